/*
 * load.c - three sources become one configuration: flag beats environment beats file beats default.
 *
 * Flags are read first, because --config decides whether there is a file; they are applied last. The file
 * belongs to all commands, so each of its keys is checked whatever the command is; variables and flags of
 * other commands are another matter: a variable may be set for them, a flag can only be a mistake.
 */
#include "config/config_impl.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>

static const struct {
    unsigned bit;
    const char *name;
} commands[] = {
    { CMD_SERVE, "serve" },   { CMD_ASK, "ask" },   { CMD_MODELS, "models" },   { CMD_EXAM, "exam" },
    { CMD_REPLAY, "replay" }, { CMD_KEYS, "keys" }, { CMD_PROMPTS, "prompts" }, { CMD_VERSION, "version" },
};

/* Variables under our prefix that are no options: they place the tests' fixtures and the checkout. */
static const char *const reserved[] = { "shared", "root" };

struct flag {
    const struct config_key *key;
    struct str value;
    char where[80]; /* the flag as it was typed, without its value */
};

struct flags {
    struct flag *items;
    size_t len;
};

static const char *command_name(unsigned bits)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (commands[i].bit & bits)
            return commands[i].name;
    return "";
}

/* --- flags --------------------------------------------------------------------------------------------- */

/* "kv-bytes-max" as "kv_bytes_max", cut to what a key can be. */
static struct str key_name(struct str flag, char name[48])
{
    size_t len = flag.len < 47 ? flag.len : 47;
    for (size_t i = 0; i < len; i++)
        name[i] = flag.ptr[i] == '-' ? '_' : flag.ptr[i];
    name[len] = '\0';
    return (struct str){ name, len };
}

static void dashed(char out[48], const char *key)
{
    snprintf(out, 48, "%s", key);
    for (char *c = out; *c; c++)
        if (*c == '_')
            *c = '-';
}

/* Of another command, mistyped, or unheard of: in this order, because the first is sure and the second a guess. */
static enum err_code unknown_flag(const char *where, struct str name, unsigned command, struct err *err)
{
    const struct config_key *key = config_find(name), *meant = config_nearest(name, command);
    char other[48];
    if (key)
        return err_set(err, ERR_CONFIG, key->name, "%s: 'thinkd %s' has no such option; 'thinkd %s' has it.",
                       where, command_name(command), command_name(key->commands));
    if (meant) {
        dashed(other, meant->name);
        return err_set(err, ERR_CONFIG, NULL, "unknown option '%s'; did you mean '--%s'?", where, other);
    }
    return err_set(err, ERR_CONFIG, NULL, "unknown option '%s'; see 'thinkd %s --help'.", where,
                   command_name(command));
}

/* Of two values for one option the last would win in silence, and the first was meant as much; lists add up. */
static enum err_code check_twice(const struct flags *flags, const struct flag *f, struct err *err)
{
    for (size_t i = 0; i < flags->len; i++)
        if (flags->items[i].key == f->key && f->key->kind != KIND_LIST)
            return err_set(err, ERR_CONFIG, f->key->name, "%s: given twice.", f->where);
    return ERR_OK;
}

/* One argument that begins with "--", and its value, which may be the next argument. Advances *at past both. */
static enum err_code parse_flag(struct flags *flags, unsigned command, int argc, const char *const *argv,
                                int *at, struct err *err)
{
    struct str arg = str_slice(str_from(argv[*at]), 2, SIZE_MAX);
    size_t equals = str_find(arg, STR("="));
    bool has_value = equals != SIZE_MAX;
    struct str typed = str_slice(arg, 0, equals);
    char buffer[48];
    struct str name = key_name(typed, buffer);
    struct flag f = { .key = config_find(name) };
    snprintf(f.where, sizeof f.where, "--%.*s", STR_ARG(str_slice(typed, 0, 64)));
    bool negated = !f.key && str_starts(name, STR("no_"));
    if (negated) {
        const struct config_key *key = config_find(str_slice(name, 3, name.len));
        f.key = key && key->kind == KIND_BOOL ? key : NULL;
    }
    (*at)++;
    if (!f.key || !(f.key->commands & command))
        return unknown_flag(f.where, f.key ? str_from(f.key->name) : name, command, err);
    if (negated && has_value)
        return err_set(err, ERR_CONFIG, f.key->name, "%s: takes no value.", f.where);
    if (has_value)
        f.value = str_slice(arg, equals + 1, arg.len);
    else if (f.key->kind == KIND_BOOL)
        f.value = negated ? STR("false") : STR("true");
    else if (*at == argc || strncmp(argv[*at], "--", 2) == 0)
        return err_set(err, ERR_CONFIG, f.key->name,
                       "%s: needs a value (one that begins with '--' goes behind '=').", f.where);
    else
        f.value = str_from(argv[(*at)++]);
    enum err_code code = check_twice(flags, &f, err);
    if (!code)
        flags->items[flags->len++] = f;
    return code;
}

static enum err_code parse_args(struct config *c, struct flags *flags, unsigned command, int argc,
                                const char *const *argv, struct err *err)
{
    flags->items = arena_array(&c->arena, (size_t)argc + 1, sizeof *flags->items);
    c->args = arena_array(&c->arena, (size_t)argc + 1, sizeof *c->args);
    bool options = true;
    for (int i = 0; i < argc;) {
        const char *arg = argv[i];
        if (options && strcmp(arg, "--") == 0) {
            options = false;
            i++;
        } else if (options && strncmp(arg, "--", 2) == 0) {
            enum err_code code = parse_flag(flags, command, argc, argv, &i, err);
            if (code)
                return code;
        } else if (options && arg[0] == '-' && arg[1]) {
            return err_set(err, ERR_CONFIG, NULL,
                           "unknown option '%.60s'; what is no option but begins with '-' goes behind '--'.",
                           arg);
        } else {
            c->args[c->n_args++] = arena_strdup(&c->arena, arg);
            i++;
        }
    }
    return ERR_OK;
}

/* Cleared first and in a loop of its own: a list's repeated flags replace the file's items, not each other's. */
static enum err_code apply_flags(struct config *c, const struct flags *flags, struct err *err)
{
    enum err_code code = ERR_OK;
    c->flags = arena_array(&c->arena, flags->len + 1, sizeof *c->flags);
    for (size_t i = 0; i < flags->len; i++) {
        config_clear(c, flags->items[i].key);
        c->flags[c->n_flags++] = flags->items[i].key->name;
    }
    for (size_t i = 0; !code && i < flags->len; i++)
        code = config_set(c, flags->items[i].key, flags->items[i].value, flags->items[i].where, err);
    return code;
}

/* --- environment --------------------------------------------------------------------------------------- */

const char *config_env(const char *const *env, struct str name)
{
    for (; env && *env; env++) {
        struct str entry = str_from(*env);
        if (entry.len > name.len && entry.ptr[name.len] == '=' && str_starts(entry, name))
            return *env + name.len + 1;
    }
    return NULL;
}

static enum err_code misspelt(struct str name, const struct config_key *meant, struct err *err)
{
    char right[48];
    snprintf(right, sizeof right, "%s", meant->name);
    for (char *c = right; *c; c++)
        *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
    return err_set(err, ERR_CONFIG, NULL, "THINKD_%.*s: no such option; did you mean THINKD_%s?",
                   STR_ARG(str_slice(name, 0, 48)), right);
}

/* The key of THINKD_<name>, or NULL where the variable is none of ours: service managers set variables
 * under the service's name too (THINKD_PORT_8080_TCP), so only what looks like a slip is an error. */
static enum err_code env_key(struct str name, const struct config_key **key, struct err *err)
{
    char lower[48];
    bool upper = true;
    size_t len = name.len < 47 ? name.len : 47;
    for (size_t i = 0; i < len; i++) {
        upper = upper && !(name.ptr[i] >= 'a' && name.ptr[i] <= 'z');
        lower[i] = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] - 'A' + 'a') : name.ptr[i];
    }
    struct str k = { lower, len };
    *key = NULL;
    for (size_t i = 0; i < ARRAY_LEN(reserved); i++)
        if (str_is(k, reserved[i]))
            return ERR_OK;
    const struct config_key *found = name.len == len ? config_find(k) : NULL;
    if (found && upper) {
        *key = found;
        return ERR_OK;
    }
    const struct config_key *meant = found ? found : config_nearest(k, ~0u);
    return meant ? misspelt(name, meant, err) : ERR_OK;
}

static enum err_code apply_env(struct config *c, unsigned command, const char *const *env, struct err *err)
{
    for (; env && *env; env++) {
        struct str entry = str_from(*env);
        size_t equals = str_find(entry, STR("="));
        if (!str_starts(entry, STR("THINKD_")) || equals == SIZE_MAX)
            continue;
        struct str name = str_slice(entry, strlen("THINKD_"), equals),
                   value = str_slice(entry, equals + 1, entry.len);
        const struct config_key *key;
        enum err_code code = env_key(name, &key, err);
        if (!code && key && (key->commands & command) && value.len > 0) { /* empty is the same as unset */
            char where[80];
            snprintf(where, sizeof where, "THINKD_%.*s", STR_ARG(name));
            config_clear(c, key);
            code = config_set(c, key, value, where, err);
        }
        if (code)
            return code;
    }
    return ERR_OK;
}

/* --- all of it ----------------------------------------------------------------------------------------- */

static const char *config_path(struct config *c, const struct flags *flags, const char *const *env)
{
    for (size_t i = 0; i < flags->len; i++)
        if (strcmp(flags->items[i].key->name, "config") == 0)
            return arena_str(&c->arena, flags->items[i].value).ptr;
    const char *path = config_env(env, STR("THINKD_CONFIG"));
    return path && path[0] ? path : NULL;
}

static enum err_code read_file(struct config *c, const char *path, const char *const *env, struct err *err)
{
    struct buf text = { 0 };
    struct err why = { 0 };
    if (file_read(&text, path, CONFIG_FILE_BYTES_MAX, &why)) {
        buf_free(&text);
        return err_set(err, ERR_CONFIG, "config", "%s", why.message);
    }
    /* Messages open with the file's name; a path that would fill them shows its last part. */
    const char *slash = strrchr(path, '/'), *name = strlen(path) > 120 && slash ? slash + 1 : path;
    enum err_code code = config_yaml(c, buf_str(&text), name, env, err);
    buf_free(&text);
    return code;
}

enum err_code config_load(struct config *c, unsigned command, int argc, const char *const *argv,
                          const char *const *env, struct err *err)
{
    *c = (struct config){ 0 };
    config_defaults(c);
    tiers_builtin(c);
    struct flags flags = { 0 };
    enum err_code code = parse_args(c, &flags, command, argc, argv, err);
    if (code)
        return code;
    bool reads_file = config_find(STR("config"))->commands & command;
    const char *path = reads_file ? config_path(c, &flags, env) : NULL;
    if (path)
        code = read_file(c, path, env, err);
    if (!code)
        code = tiers_check(c, err);
    if (!code)
        code = apply_env(c, command, env, err);
    if (!code)
        code = apply_flags(c, &flags, err);
    return code;
}

bool config_flagged(const struct config *c, const char *key)
{
    for (size_t i = 0; i < c->n_flags; i++)
        if (strcmp(c->flags[i], key) == 0)
            return true;
    return false;
}

void config_free(struct config *c)
{
    arena_free(&c->arena);
    *c = (struct config){ 0 };
}
