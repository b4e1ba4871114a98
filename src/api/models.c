/*
 * models.c - GET /v1/models and /v1/models/{id}: the tiers that the caller's key may use, under each name for them.
 *
 * A model of the API is a tier over the weights that are loaded, so its limits are the smaller of the two, and
 * each entry says which weights those are. Prices are nano-dollars a token, as in every reply's cost.
 *
 * Threads: http's workers; everything read is constant.
 */
#include "api/api_impl.h"

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void put_endpoints(struct json_writer *w, const struct tier *tier)
{
    jw_key(w, "endpoints");
    jw_begin_array(w);
    if (tier->endpoints & ENDPOINT_RESPONSES)
        jw_cstring(w, "/v1/responses");
    if (tier->endpoints & ENDPOINT_CHAT) {
        jw_cstring(w, "/v1/chat/completions");
        jw_cstring(w, "/v1/completions");
    }
    jw_end_array(w);
}

/* A model that does not mark its thinking answers at once whatever the effort, and says so here. */
static void put_efforts(struct json_writer *w, const struct tier *tier, const struct engine_info *engine)
{
    jw_key(w, "efforts");
    jw_begin_array(w);
    for (int e = 0; e < EFFORT_COUNT; e++)
        jw_cstring(w, effort_names[e]);
    jw_end_array(w);
    jw_key_cstring(w, "default_effort", effort_names[tier->default_effort]);
    jw_key_bool(w, "thinks", engine->thinks);
}

static void put_model(struct json_writer *w, struct str id, const struct tier *tier,
                      const struct engine_info *engine)
{
    int64_t window = least(tier->context_window, engine->context);
    jw_begin_object(w);
    jw_key_string(w, "id", id);
    jw_key_cstring(w, "object", "model");
    jw_key_int(w, "created", tier->created);
    jw_key_cstring(w, "owned_by", "thinkd");
    jw_key_int(w, "context_window", window);
    jw_key_int(w, "max_output_tokens", least(tier->max_output_tokens, window));
    jw_key_raw(w, "modalities", STR("{\"input\":[\"text\"],\"output\":[\"text\"]}"));
    put_endpoints(w, tier);
    put_efforts(w, tier, engine);
    jw_key(w, "price");
    jw_begin_object(w);
    jw_key_int(w, "input", tier->price_in);
    jw_key_int(w, "output", tier->price_out);
    jw_key_cstring(w, "unit", "nano-dollars per token");
    jw_end_object(w);
    jw_key_cstring(w, "engine", engine->model);
    jw_end_object(w);
}

/* Plain and with the prefix: some clients offer reasoning options only for names that begin with "o3". */
static void put_names(struct json_writer *w, const char *name, const struct tier *tier,
                      const struct engine_info *engine)
{
    struct buf prefixed = { 0 };
    buf_printf(&prefixed, "openai/%s", name);
    put_model(w, str_from(name), tier, engine);
    put_model(w, buf_str(&prefixed), tier, engine);
    buf_free(&prefixed);
}

void models_list(const struct call *c)
{
    const struct engine_info *engine = engine_info(conductor_engine(c->api->conductor));
    struct buf body = { 0 };
    struct json_writer w = { .out = &body };
    jw_begin_object(&w);
    jw_key_cstring(&w, "object", "list");
    jw_key(&w, "data");
    jw_begin_array(&w);
    for (size_t i = 0; i < c->api->cfg->n_tiers; i++) {
        const struct tier *tier = &c->api->cfg->tiers[i];
        if (!model_allowed(c->api->cfg, &c->owner, tier))
            continue;
        put_names(&w, tier->name, tier, engine);
        for (size_t k = 0; tier->aliases && tier->aliases[k]; k++)
            put_names(&w, tier->aliases[k], tier, engine);
    }
    jw_end_array(&w);
    jw_end_object(&w);
    reply_json(c->x, 200, &body);
    buf_free(&body);
}

void models_get(const struct call *c)
{
    struct str id = http_path_arg(c->x, 0);
    const struct tier *tier = config_tier(c->api->cfg, id);
    struct err err;
    struct buf body = { 0 };
    struct json_writer w = { .out = &body };
    if (!tier || !model_allowed(c->api->cfg, &c->owner, tier)) {
        model_not_found(&err, id);
        reply_error(c->x, &err);
        return;
    }
    put_model(&w, id, tier, engine_info(conductor_engine(c->api->conductor)));
    reply_json(c->x, 200, &body);
    buf_free(&body);
}
