/*
 * models.c - `thinkd models`: the tiers of this configuration over the model that is loaded, or a server's list.
 */
#include "cli/cli_impl.h"

#include "cli/table.h"

#include <inttypes.h>

#define NANO_PER_TOKEN_TO_MILLION 1000000

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static const char *price(struct arena *arena, int64_t nano_per_token)
{
    struct buf text = { 0 };
    put_usd(&text, nano_per_token * NANO_PER_TOKEN_TO_MILLION);
    const char *copy = arena_str(arena, buf_str(&text)).ptr;
    buf_free(&text);
    return copy;
}

static const char *endpoints(const struct tier *t)
{
    bool responses = t->endpoints & ENDPOINT_RESPONSES, chat = t->endpoints & ENDPOINT_CHAT;
    return responses && chat ? "responses, chat" : responses ? "responses" : "chat";
}

static const char *aliases(struct arena *arena, const struct tier *t)
{
    struct buf text = { 0 };
    for (size_t i = 0; t->aliases[i]; i++)
        buf_printf(&text, "%s%s", i ? ", " : "", t->aliases[i]);
    const char *copy = arena_str(arena, buf_str(&text)).ptr;
    buf_free(&text);
    return copy;
}

/* --- this configuration ------------------------------------------------------------------------------ */

static void put_local_table(struct buf *out, const struct config *cfg, const struct engine_info *info)
{
    struct table table = { .columns = 7 };
    struct arena arena = { 0 };
    table_row(&table, (const char *const[]){ "MODEL", "ENDPOINTS", "EFFORT", "$/M IN", "$/M OUT", "CONTEXT",
                                             "ALSO" });
    for (size_t i = 0; i < cfg->n_tiers; i++) {
        const struct tier *t = &cfg->tiers[i];
        const char *context = arena_printf(&arena, "%" PRId64, least(t->context_window, info->context));
        table_row(&table, (const char *const[]){ t->name, endpoints(t), effort_names[t->default_effort],
                                                 price(&arena, t->price_in), price(&arena, t->price_out),
                                                 context, aliases(&arena, t) });
    }
    table_put(&table, out);
    buf_printf(out, "\nloaded: %s (%s)\n", info->model, info->description);
    table_free(&table);
    arena_free(&arena);
}

static void put_local_json(struct buf *out, const struct config *cfg, const struct engine_info *info)
{
    struct json_writer w = { .out = out };
    jw_begin_object(&w);
    jw_key_cstring(&w, "object", "list");
    jw_key(&w, "data");
    jw_begin_array(&w);
    for (size_t i = 0; i < cfg->n_tiers; i++) {
        const struct tier *t = &cfg->tiers[i];
        int64_t window = least(t->context_window, info->context);
        jw_begin_object(&w);
        jw_key_cstring(&w, "id", t->name);
        jw_key_cstring(&w, "object", "model");
        jw_key(&w, "aliases");
        jw_begin_array(&w);
        for (size_t k = 0; t->aliases[k]; k++)
            jw_cstring(&w, t->aliases[k]);
        jw_end_array(&w);
        jw_key_int(&w, "context_window", window);
        jw_key_int(&w, "max_output_tokens", least(t->max_output_tokens, window));
        jw_key_cstring(&w, "default_effort", effort_names[t->default_effort]);
        jw_key(&w, "price");
        jw_begin_object(&w);
        jw_key_int(&w, "input", t->price_in);
        jw_key_int(&w, "output", t->price_out);
        jw_key_cstring(&w, "unit", "nano-dollars per token");
        jw_end_object(&w);
        jw_key_cstring(&w, "engine", info->model);
        jw_end_object(&w);
    }
    jw_end_array(&w);
    jw_end_object(&w);
    buf_putc(out, '\n');
}

static enum err_code list_local(struct buf *out, const struct config *cfg, struct err *err)
{
    struct local *local = NULL;
    enum err_code code = local_open(&local, cfg, 1, err);
    if (!code && cfg->json)
        put_local_json(out, cfg, local_info(local));
    else if (!code)
        put_local_table(out, cfg, local_info(local));
    local_close(local);
    return code;
}

/* --- a server ---------------------------------------------------------------------------------------- */

static const char *number_or_blank(struct arena *arena, const json_t *v)
{
    return json_is_integer(v) ? arena_printf(arena, "%" JSON_INTEGER_FORMAT, json_integer_value(v)) : "";
}

/* A price is shown only where it is in our unit; other servers have none, or their own. */
static const char *price_or_blank(struct arena *arena, const json_t *prices, const char *key)
{
    const json_t *v = json_object_get(prices, key);
    bool ours = json_is_string(json_object_get(prices, "unit")) && json_is_integer(v);
    return ours && json_integer_value(v) >= 0 && json_integer_value(v) <= 1000000000
               ? price(arena, json_integer_value(v))
               : "";
}

static enum err_code put_remote_table(struct buf *out, const json_t *list, struct err *err)
{
    const json_t *data = json_object_get(list, "data");
    if (!json_is_array(data))
        return err_set(err, ERR_NETWORK, NULL, "The server's answer is no list of models.");
    struct table table = { .columns = 4 };
    struct arena arena = { 0 };
    size_t i;
    json_t *model;
    table_row(&table, (const char *const[]){ "MODEL", "CONTEXT", "$/M IN", "$/M OUT" });
    json_array_foreach(data, i, model)
    {
        const char *id = json_string_value(json_object_get(model, "id"));
        const json_t *prices = json_object_get(model, "price");
        table_row(&table,
                  (const char *const[]){
                      id ? id : "?", number_or_blank(&arena, json_object_get(model, "context_window")),
                      price_or_blank(&arena, prices, "input"), price_or_blank(&arena, prices, "output") });
    }
    table_put(&table, out);
    table_free(&table);
    arena_free(&arena);
    return ERR_OK;
}

static enum err_code list_remote(struct buf *out, const struct config *cfg, struct err *err)
{
    struct remote *remote = NULL;
    json_t *list = NULL;
    enum err_code code = remote_open(&remote, cfg, err);
    if (!code)
        code = remote_get(remote, "/v1/models", &list, err);
    if (!code && cfg->json) {
        json_dump(out, list);
        buf_putc(out, '\n');
    } else if (!code) {
        code = put_remote_table(out, list, err);
    }
    json_decref(list);
    remote_close(remote);
    return code;
}

int models_run(const struct config *cfg)
{
    struct buf out = { 0 };
    struct err err = { 0 };
    enum err_code code = cli_no_args(cfg, "models", &err);
    if (!code)
        code = cfg->url ? list_remote(&out, cfg, &err) : list_local(&out, cfg, &err);
    if (!code)
        term_put(stdout, buf_str(&out));
    buf_free(&out);
    return code ? cli_fail(&err) : CLI_OK;
}
