/*
 * input_tokens.c - POST /v1/responses/input_tokens: how many tokens a request would bring, without making it.
 *
 * The count is that of the prompt which create would make of the same fields, template and all, so it is exact.
 *
 * Threads: http's workers.
 */
#include "api/api_impl.h"

struct input_tokens_body {
    struct field_string model, instructions, previous_response_id;
    struct field_json input, conversation, tools, tool_choice, text, reasoning;
    struct field_bool parallel_tool_calls;
    struct field_enum truncation;
};
static const struct field input_tokens_rows[] = {
    { FIELD_ROW(STRING, input_tokens_body, model) },
    { FIELD_ROW(ANY, input_tokens_body, input) },
    { FIELD_ROW(STRING, input_tokens_body, instructions) },
    { FIELD_ROW(STRING, input_tokens_body, previous_response_id) },
    { FIELD_ROW(ANY, input_tokens_body, conversation) },
    { FIELD_ROW(ARRAY, input_tokens_body, tools) },
    { FIELD_ROW(ANY, input_tokens_body, tool_choice) },
    { FIELD_ROW(BOOL, input_tokens_body, parallel_tool_calls) },
    { FIELD_ROW(OBJECT, input_tokens_body, text) },
    { FIELD_ROW(OBJECT, input_tokens_body, reasoning) },
    { FIELD_ROW(ENUM, input_tokens_body, truncation), .values = truncations },
};
const struct field_table input_tokens_tables[] = {
    { "input_tokens", input_tokens_rows, ARRAY_LEN(input_tokens_rows) },
    { NULL, NULL, 0 },
};

/* Create needs a model; here the first that answers responses stands in for one that is not named. */
static void set_model(json_t *body, const struct config *cfg)
{
    const json_t *model = json_object_get(body, "model");
    for (size_t i = 0; i < cfg->n_tiers && (!model || json_is_null(model)); i++)
        if (cfg->tiers[i].endpoints & ENDPOINT_RESPONSES) {
            json_object_set_new(body, "model", json_string(cfg->tiers[i].name));
            return;
        }
}

static enum err_code count(const struct call *c, int64_t *tokens, struct err *err)
{
    struct input_tokens_body b = { 0 };
    struct arena arena = { 0 };
    json_t *body = NULL;
    enum err_code code = json_read(&body, http_body(c->x), err);
    if (!code)
        code = fields_decode(body, input_tokens_rows, ARRAY_LEN(input_tokens_rows), "", &b, &arena, err);
    if (!code) {
        set_model(body, c->api->cfg);
        code = turn_count_tokens(c, body, tokens, err);
    }
    json_decref(body);
    arena_free(&arena);
    return code;
}

void responses_input_tokens(const struct call *c)
{
    struct err err = { 0 };
    int64_t tokens = 0;
    if (count(c, &tokens, &err)) {
        reply_error(c->x, &err);
        return;
    }
    struct buf out = { 0 };
    struct json_writer w = { .out = &out };
    jw_begin_object(&w);
    jw_key_cstring(&w, "object", "response.input_tokens");
    jw_key_int(&w, "input_tokens", tokens);
    jw_end_object(&w);
    reply_json(c->x, 200, &out);
    buf_free(&out);
}
