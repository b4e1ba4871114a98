/*
 * keys.c - the table of options, and the one place where text becomes an option's value.
 *
 * CONFIG_LIST in config.h is expanded here into rows that the sources, --help and the documents' test walk.
 * Values are checked when they are set, so a message can name the place that the value came from.
 */
#include "config/config_impl.h"

#include "base/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct config_key config_keys[] = {
#define X(name, kind, dflt, min, max, cmds, help)                                                            \
    { #name, KIND_##kind, dflt, min, max, cmds, help, offsetof(struct config, name) },
    CONFIG_LIST(X)
#undef X
};
const size_t config_keys_len = ARRAY_LEN(config_keys);

const struct config_key *config_find(struct str name)
{
    for (size_t i = 0; i < config_keys_len; i++)
        if (str_is(name, config_keys[i].name))
            return &config_keys[i];
    return NULL;
}

const struct config_key *config_nearest(struct str name, unsigned commands)
{
    const struct config_key *best = NULL;
    size_t least = 3; /* more edits than two are another word */
    for (size_t i = 0; i < config_keys_len && name.len <= 32; i++) {
        size_t edits = str_distance(name, str_from(config_keys[i].name));
        if ((config_keys[i].commands & commands) && edits < least && edits * 3 <= name.len) {
            least = edits;
            best = &config_keys[i];
        }
    }
    return best;
}

bool config_row(size_t i, const char **key, const char **dflt, const char **help, unsigned *commands)
{
    if (i >= config_keys_len)
        return false;
    *key = config_keys[i].name;
    *dflt = config_keys[i].dflt;
    *help = config_keys[i].help;
    *commands = config_keys[i].commands;
    return true;
}

/* --- values of some keys are more than their kind --------------------------------------------------- */

/* HOST:PORT by its last colon. An IPv6 address needs its brackets: "::1:8080" is itself a valid address, so
 * a guess at where the port begins could be wrong without anyone noticing. */
static bool is_listen(struct str v)
{
    size_t colon = v.len;
    while (colon > 0 && v.ptr[colon - 1] != ':')
        colon--;
    if (colon < 2) /* no colon, or nothing before it */
        return false;
    struct str host = str_slice(v, 0, colon - 1), port = str_slice(v, colon, v.len);
    int64_t number;
    if (port.len > 5 || !str_to_i64(port, &number) || number < 0 || number > 65535 || port.ptr[0] == '+')
        return false;
    bool bracketed = host.ptr[0] == '[' && host.ptr[host.len - 1] == ']' && host.len > 2;
    return bracketed || str_find(host, STR(":")) == SIZE_MAX;
}

static bool is_engine(struct str v)
{
    return str_is(v, "local") || str_is(v, "echo");
}

static bool is_kv_type(struct str v)
{
    return str_is(v, "f32") || str_is(v, "f16") || str_is(v, "q8_0");
}

static bool is_speculation(struct str v)
{
    return str_is(v, "off") || str_is(v, "lookup");
}

static bool is_dialect(struct str v)
{
    return str_is(v, "openai") || str_is(v, "aimlapi");
}

static bool is_log_level(struct str v)
{
    char name[8];
    enum log_level level;
    snprintf(name, sizeof name, "%.*s", STR_ARG(v));
    return v.len < sizeof name && log_level_from(name, &level);
}

static bool is_effort(struct str v)
{
    enum effort effort;
    return effort_from(v, &effort);
}

static bool is_temperature(struct str v)
{
    double t;
    return str_to_double(v, &t) && t >= 0 && t <= 2;
}

static bool is_url(struct str v)
{
    return (str_starts(v, STR("http://")) && v.len > 7) || (str_starts(v, STR("https://")) && v.len > 8);
}

static const struct check {
    const char *key;
    bool (*holds)(struct str value);
    const char *expected;
} checks[] = {
    { "listen", is_listen, "an address and a port, as 127.0.0.1:8080 or [::1]:8080" },
    { "engine", is_engine, "local or echo" },
    { "kv_type", is_kv_type, "f32, f16 or q8_0" },
    { "speculation", is_speculation, "off or lookup" },
    { "dialect", is_dialect, "openai or aimlapi" },
    { "log_level", is_log_level, "error, warn, info or debug" },
    { "effort", is_effort, "none, minimal, low, medium, high, xhigh or max" },
    { "temperature", is_temperature, "a number from 0 to 2" },
    { "url", is_url, "a URL that begins with http:// or https://" },
};

/* --- kinds ------------------------------------------------------------------------------------------- */

/* Only what is no secret comes here: the list of keys and api_key are strings that any text fits. */
static enum err_code unexpected(struct err *err, const char *where, const char *expected, struct str got)
{
    got = str_slice(got, 0, 80);
    return err_set(err, ERR_CONFIG, NULL, "%s: expected %s, but got '%.*s'.", where, expected, STR_ARG(got));
}

static enum err_code set_string(struct config *c, const struct config_key *key, struct str v,
                                const char *where, struct err *err)
{
    if (v.len == 0)
        return err_set(err, ERR_CONFIG, NULL, "%s: the value is empty.", where);
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        if (strcmp(checks[i].key, key->name) == 0 && !checks[i].holds(v))
            return unexpected(err, where, checks[i].expected, v);
    *(const char **)((char *)c + key->offset) = arena_str(&c->arena, v).ptr;
    return ERR_OK;
}

static enum err_code set_int(struct config *c, const struct config_key *key, struct str v, const char *where,
                             struct err *err)
{
    int64_t n;
    char expected[96];
    if (str_to_i64(v, &n) && n >= key->min && n <= key->max) {
        *(int64_t *)((char *)c + key->offset) = n;
        return ERR_OK;
    }
    if (key->max == INT64_MAX)
        snprintf(expected, sizeof expected, "a whole number of at least %" PRId64, key->min);
    else
        snprintf(expected, sizeof expected, "a whole number from %" PRId64 " to %" PRId64, key->min,
                 key->max);
    return unexpected(err, where, expected, v);
}

/* Both families of units, told apart by their i as everywhere; a bare "512M" could mean either and is refused. */
static bool size_from(struct str v, int64_t *out)
{
    static const struct {
        const char *name;
        int64_t bytes;
    } units[] = {
        { "", 1 },
        { "B", 1 },
        { "KiB", 1LL << 10 },
        { "MiB", 1LL << 20 },
        { "GiB", 1LL << 30 },
        { "TiB", 1LL << 40 },
        { "KB", 1000 },
        { "MB", 1000000 },
        { "GB", 1000000000 },
        { "TB", 1000000000000 },
    };
    size_t digits = 0;
    while (digits < v.len && v.ptr[digits] >= '0' && v.ptr[digits] <= '9')
        digits++;
    int64_t n;
    if (digits == 0 || !str_to_i64(str_slice(v, 0, digits), &n))
        return false;
    struct str unit = str_trim_start(str_slice(v, digits, v.len));
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq_nocase(unit, str_from(units[i].name)))
            return !__builtin_mul_overflow(n, units[i].bytes, out);
    return false;
}

static enum err_code set_size(struct config *c, const struct config_key *key, struct str v, const char *where,
                              struct err *err)
{
    int64_t n;
    if (size_from(v, &n) && n >= key->min && (key->max == 0 || n <= key->max)) {
        *(int64_t *)((char *)c + key->offset) = n;
        return ERR_OK;
    }
    char expected[96];
    snprintf(expected, sizeof expected, "bytes, as 1048576, 512MiB or 2GB, and at least %" PRId64, key->min);
    return unexpected(err, where, expected, v);
}

/* The words that YAML 1.1, shells and people use; the key is known to be a switch, so `no` is no surprise here. */
static enum err_code set_bool(struct config *c, const struct config_key *key, struct str v, const char *where,
                              struct err *err)
{
    static const char *const words[][2] = {
        { "false", "true" }, { "no", "yes" }, { "off", "on" }, { "0", "1" }
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        for (int value = 0; value < 2; value++)
            if (str_eq_nocase(v, str_from(words[i][value]))) {
                *(bool *)((char *)c + key->offset) = value;
                return ERR_OK;
            }
    return unexpected(err, where, "true or false", v);
}

enum err_code config_list_add(struct config *c, const struct config_key *key, struct str item,
                              const char *where, struct err *err)
{
    struct config_list *list = (struct config_list *)((char *)c + key->offset);
    if (item.len == 0)
        return err_set(err, ERR_CONFIG, NULL, "%s: an item of the list is empty.", where);
    if (list->len == CONFIG_LIST_MAX)
        return err_set(err, ERR_CONFIG, NULL, "%s: more than %d items.", where, CONFIG_LIST_MAX);
    if ((list->len & (list->len - 1)) ==
        0) { /* full at every power of two: the copies cost as much as the list */
        const char **more = arena_array(&c->arena, list->len ? list->len * 2 : 1, sizeof *more);
        if (list->len)
            memcpy(more, list->items, list->len * sizeof *more);
        list->items = more;
    }
    list->items[list->len++] = arena_str(&c->arena, item).ptr;
    return ERR_OK;
}

static enum err_code set_list(struct config *c, const struct config_key *key, struct str v, const char *where,
                              struct err *err)
{
    for (;;) {
        size_t comma = str_find(v, STR(","));
        struct str item = str_trim(str_slice(v, 0, comma));
        enum err_code code = config_list_add(c, key, item, where, err);
        if (code || comma == SIZE_MAX)
            return code;
        v = str_slice(v, comma + 1, v.len);
    }
}

enum err_code config_set(struct config *c, const struct config_key *key, struct str value, const char *where,
                         struct err *err)
{
    if (memchr(value.ptr ? value.ptr : "", '\0', value.len))
        return err_set(err, ERR_CONFIG, NULL, "%s: the value contains a NUL character.", where);
    switch (key->kind) {
    case KIND_STRING: return set_string(c, key, value, where, err);
    case KIND_INT: return set_int(c, key, value, where, err);
    case KIND_SIZE: return set_size(c, key, value, where, err);
    case KIND_BOOL: return set_bool(c, key, value, where, err);
    case KIND_LIST: return set_list(c, key, value, where, err);
    }
    assert(!"a kind without a setter");
    return ERR_CONFIG;
}

void config_clear(struct config *c, const struct config_key *key)
{
    if (key->kind == KIND_LIST)
        *(struct config_list *)((char *)c + key->offset) = (struct config_list){ 0 };
}

void config_defaults(struct config *c)
{
    for (size_t i = 0; i < config_keys_len; i++)
        if (config_keys[i].dflt) {
            enum err_code code =
                config_set(c, &config_keys[i], str_from(config_keys[i].dflt), "default", NULL);
            assert(!code);
            (void)code;
        }
}
