/*
 * keys.c - `thinkd keys`: keys made, listed and revoked in the store of --data, beside a running server or without one.
 *
 * A new key goes to standard output alone, so that a script can keep it: KEY=$(thinkd keys create NAME). Only create
 * makes a directory; the others would make one out of a slip in --data, and find nothing in it.
 */
#include "cli/cli_impl.h"

#include "access/access.h"
#include "cli/table.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ID_SHOWN 12 /* digits: enough to revoke by */

/* --- what is shown ------------------------------------------------------------------------------------- */

static void put_limit_json(struct json_writer *w, const char *key, int64_t limit)
{
    jw_key(w, key);
    if (limit == ACCESS_UNSET)
        jw_null(w);
    else
        jw_int(w, limit);
}

/* null: all of them. */
static void put_models_json(struct json_writer *w, const char *models)
{
    struct str rest = str_from(models), name;
    jw_key(w, "models");
    if (!rest.len) {
        jw_null(w);
        return;
    }
    jw_begin_array(w);
    while (access_model(&rest, &name))
        jw_string(w, name);
    jw_end_array(w);
}

static void put_key_json(struct json_writer *w, const struct access_key *key, const char *secret)
{
    jw_begin_object(w);
    jw_key_cstring(w, "object", "key");
    jw_key_cstring(w, "id", key->id);
    jw_key_cstring(w, "name", key->name);
    jw_key_cstring(w, "owner", key->owner);
    jw_key_int(w, "created_at", key->created_s);
    put_limit_json(w, "requests_per_minute", key->limits.requests_per_minute);
    put_limit_json(w, "tokens_per_minute", key->limits.tokens_per_minute);
    put_limit_json(w, "concurrency", key->limits.concurrency);
    put_models_json(w, key->models);
    if (secret) {
        jw_key_cstring(w, "key", secret);
    }
    jw_end_object(w);
}

static void put_list_json(struct buf *out, const struct access_key *keys, size_t n)
{
    struct json_writer w = { .out = out };
    jw_begin_object(&w);
    jw_key_cstring(&w, "object", "list");
    jw_key(&w, "data");
    jw_begin_array(&w);
    for (size_t i = 0; i < n; i++)
        put_key_json(&w, &keys[i], NULL);
    jw_end_array(&w);
    jw_end_object(&w);
    buf_putc(out, '\n');
}

static const char *limit_text(struct arena *arena, int64_t limit)
{
    return limit == ACCESS_UNSET ? "default" : limit == 0 ? "none" : arena_printf(arena, "%" PRId64, limit);
}

static const char *day(struct arena *arena, int64_t seconds)
{
    char text[16] = "?";
    time_t t = (time_t)seconds;
    struct tm tm;
    if (gmtime_r(&t, &tm))
        strftime(text, sizeof text, "%Y-%m-%d", &tm);
    return arena_strdup(arena, text);
}

static void put_list_table(struct buf *out, const struct access_key *keys, size_t n)
{
    struct table table = { .columns = 8 };
    struct arena arena = { 0 };
    table_row(&table, (const char *const[]){ "NAME", "ID", "OWNER", "CREATED", "REQUESTS/MIN", "TOKENS/MIN",
                                             "CONCURRENCY", "MODELS" });
    for (size_t i = 0; i < n; i++) {
        const struct access_limits *limits = &keys[i].limits;
        table_row(&table,
                  (const char *const[]){
                      keys[i].name, arena_printf(&arena, "%.*s", ID_SHOWN, keys[i].id), keys[i].owner,
                      day(&arena, keys[i].created_s), limit_text(&arena, limits->requests_per_minute),
                      limit_text(&arena, limits->tokens_per_minute), limit_text(&arena, limits->concurrency),
                      keys[i].models[0] ? keys[i].models : "all" });
    }
    table_put(&table, out);
    table_free(&table);
    arena_free(&arena);
}

/* --- verbs: out is for standard output, said for standard error -------------------------------------------- */

static int64_t own_limit(const struct config *cfg, const char *key, int64_t value)
{
    return config_flagged(cfg, key) ? value
                                    : ACCESS_UNSET; /* the file's and the environment's are a server's */
}

static bool fits(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
    return strlen(text) < size;
}

/* A name that is no model here is most likely a slip, which would lock the key's holder out. */
static enum err_code take_models(struct access_key *key, const struct config *cfg, struct err *err)
{
    struct buf list = { 0 };
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < cfg->models.len && !code; i++) {
        const char *name = cfg->models.items[i];
        if (!config_tier(cfg, str_from(name)))
            code = err_set(err, ERR_CONFIG, "models", "--models: there is no model '%.80s'.", name);
        buf_printf(&list, "%s%s", i ? "," : "", name);
    }
    if (!code && list.len && !fits(key->models, sizeof key->models, list.ptr))
        code = err_set(err, ERR_CONFIG, "models", "--models: the names have %zu characters, and %d at most.",
                       list.len, ACCESS_MODELS_MAX);
    buf_free(&list);
    return code;
}

static enum err_code key_create(struct store *s, const struct config *cfg, struct buf *out, struct buf *said,
                                struct err *err)
{
    char secret[ACCESS_SECRET_CHARS + 1];
    struct access_key key = {
        .limits = { .requests_per_minute = own_limit(cfg, "requests_per_minute", cfg->requests_per_minute),
                    .tokens_per_minute = own_limit(cfg, "tokens_per_minute", cfg->tokens_per_minute),
                    .concurrency = own_limit(cfg, "concurrency", cfg->concurrency) }
    };
    enum err_code code = config_flagged(cfg, "models") ? take_models(&key, cfg, err) : ERR_OK;
    if (code)
        return code;
    if (!fits(key.name, sizeof key.name, cfg->args[1]))
        code =
            err_set(err, ERR_CONFIG, NULL, "A key's name has at most %d characters.", ACCESS_NAME_CHARS_MAX);
    else if (!fits(key.owner, sizeof key.owner, cfg->owner ? cfg->owner : ""))
        code = err_set(err, ERR_CONFIG, "owner", "--owner: an owner's id has at most %d characters.",
                       ACCESS_OWNER_CHARS_MAX);
    else
        code = access_key_create(s, &key, secret, err);
    if (code)
        return code;
    if (cfg->json) {
        struct json_writer w = { .out = out };
        put_key_json(&w, &key, secret);
        buf_putc(out, '\n');
        return ERR_OK;
    }
    buf_printf(out, "%s\n", secret);
    buf_printf(said, "thinkd: this is the key '%s' of owner %s. It is not shown again.\n", key.name,
               key.owner);
    return ERR_OK;
}

static enum err_code keys_list(struct store *s, const struct config *cfg, struct buf *out, struct buf *said,
                               struct err *err)
{
    struct arena arena = { 0 };
    struct access_key *keys;
    size_t n = 0;
    enum err_code code = access_keys_list(s, &keys, &n, &arena, err);
    if (!code && cfg->json)
        put_list_json(out, keys, n);
    else if (!code && n)
        put_list_table(out, keys, n);
    else if (!code)
        buf_puts(said, "thinkd: there are no keys\n");
    arena_free(&arena);
    return code;
}

static enum err_code key_revoke(struct store *s, const struct config *cfg, struct buf *out, struct buf *said,
                                struct err *err)
{
    struct access_key key;
    enum err_code code = access_key_revoke(s, str_from(cfg->args[1]), &key, err);
    if (!code && cfg->json) {
        struct json_writer w = { .out = out };
        put_key_json(&w, &key, NULL);
        buf_putc(out, '\n');
    } else if (!code) {
        buf_printf(said, "thinkd: the key '%s', %.*s, is revoked; a running server refuses it within %d s\n",
                   key.name, ID_SHOWN, key.id, ACCESS_KEY_LIFE_MS / 1000);
    }
    return code;
}

static const struct verb {
    const char *name, *arg; /* arg NULL: it takes none */
    bool makes;             /* the directory and the store, where there are none */
    enum err_code (*run)(struct store *s, const struct config *cfg, struct buf *out, struct buf *said,
                         struct err *err);
} verbs[] = {
    { "create", "NAME", true, key_create },
    { "list", NULL, false, keys_list },
    { "revoke", "NAME or ID", false, key_revoke },
};

/* --- the command --------------------------------------------------------------------------------------------- */

static enum err_code find_verb(const struct config *cfg, const struct verb **out, struct err *err)
{
    const char *name = cfg->n_args ? cfg->args[0] : "";
    *out = NULL;
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            *out = &verbs[i];
    if (!*out)
        return err_set(err, ERR_CONFIG, NULL,
                       "'thinkd keys' takes create NAME, list, or revoke NAME, but got '%.80s'.", name);
    size_t want = (*out)->arg ? 2 : 1;
    if (cfg->n_args == want)
        return ERR_OK;
    if (cfg->n_args > want)
        return err_set(err, ERR_CONFIG, NULL, "'thinkd keys %s' does not take '%.80s'.", name,
                       cfg->args[want]);
    return err_set(err, ERR_CONFIG, NULL, "'thinkd keys %s' needs a %s.", name, (*out)->arg);
}

/* Flags that only a new key has a use for; given to another verb they are a mistake. */
static enum err_code check_flags(const struct config *cfg, const struct verb *v, struct err *err)
{
    static const char *const of_a_new_key[] = { "owner", "requests_per_minute", "tokens_per_minute",
                                                "concurrency", "models" };
    for (size_t i = 0; i < ARRAY_LEN(of_a_new_key) && !v->makes; i++)
        if (config_flagged(cfg, of_a_new_key[i]))
            return err_set(err, ERR_CONFIG, of_a_new_key[i], "%s: only 'thinkd keys create' takes it.",
                           of_a_new_key[i]);
    return ERR_OK;
}

static enum err_code open_store(struct store **out, const struct config *cfg, const struct verb *v,
                                struct err *err)
{
    if (data_in_memory(cfg))
        return err_set(err, ERR_CONFIG, "data",
                       "--data: ':memory:' keeps no keys; name a directory, or give the server --keys.");
    struct buf path = { 0 };
    int lock;
    enum err_code code = data_path(&path, cfg, DATA_STORE, err);
    if (!code && v->makes)
        code = data_open(&lock, cfg, false, err);
    else if (!code && access(path.ptr, F_OK))
        code = err_set(err, ERR_CONFIG, "data", "--data: there are no keys yet: '%.200s': %s.", path.ptr,
                       strerror(errno));
    buf_free(&path);
    return code ? code : data_store(out, cfg, true, err);
}

int keys_run(const struct config *cfg)
{
    struct buf out = { 0 }, said = { 0 };
    struct err err = { 0 };
    struct store *store = NULL;
    const struct verb *v;
    enum err_code code = find_verb(cfg, &v, &err);
    if (!code)
        code = check_flags(cfg, v, &err);
    if (!code)
        code = open_store(&store, cfg, v, &err);
    if (!code)
        code = v->run(store, cfg, &out, &said, &err);
    store_close(store);
    if (!code) {
        term_put(stdout, buf_str(&out));
        term_put(stderr, buf_str(&said));
    }
    buf_free(&out);
    buf_free(&said);
    return code ? cli_fail(&err) : CLI_OK;
}
