/*
 * responses.c - POST /v1/responses: every request field has a row here.
 *
 * A row's kind says what becomes of the field: a typed one is honoured, FIELD_IGNORED is dropped by design,
 * FIELD_UNBUILT is refused by name unless its value asks for nothing. docs/api.md is checked against the rows.
 * Some typed rows exist to be checked further down, because more than one of their values means "nothing".
 *
 * store: nothing is kept by this version, so replies say store:false whatever was asked; see docs/api.md.
 *
 * Threads: http's workers.
 */
#include "api/api_impl.h"

#define OUTPUT_TOKENS_MIN 16

static const char *const reasoning_contexts[] = { "auto", "current_turn", "all_turns", NULL };
static const char *const reasoning_modes[] = { "standard", "pro", NULL };
static const char *const verbosities[] = { "low", "medium", "high", NULL };
static const char *const truncations[] = { "auto", "disabled", NULL };
static const char *const format_types[] = { "text", "json_object", "json_schema", NULL };
static const char *const service_tiers[] = { "auto",  "default", "flex",      "priority",
                                             "scale", "fast",    "ultrafast", NULL };

struct responses_body {
    struct field_string model, instructions, user, safety_identifier, prompt_cache_key;
    struct field_json input, reasoning, text, tools, tool_choice, metadata, include, stream_options, stop;
    struct field_bool store, stream, parallel_tool_calls, ignore_eos;
    struct field_int max_output_tokens, max_tool_calls, seed, top_logprobs;
    struct field_real temperature, top_p;
    struct field_enum truncation, service_tier;
};
static const struct field responses_rows[] = {
    { FIELD_ROW(STRING, responses_body, model), .required = true },
    { FIELD_ROW(ANY, responses_body, input) }, /* required, but only after what could stand in its place */
    { FIELD_ROW(STRING, responses_body, instructions) },
    { FIELD_ROW(INT, responses_body, max_output_tokens), .min = OUTPUT_TOKENS_MIN },
    { FIELD_ROW(OBJECT, responses_body, reasoning) },
    { FIELD_ROW(OBJECT, responses_body, text) },
    { FIELD_ROW(REAL, responses_body, temperature), .min = 0, .max = 2 },
    { FIELD_ROW(REAL, responses_body, top_p), .min = 0, .max = 1 },
    { FIELD_ROW(BOOL, responses_body, stream) },
    { FIELD_ROW(OBJECT, responses_body, stream_options) },
    { FIELD_ROW(BOOL, responses_body, store) },
    { FIELD_ROW(OBJECT, responses_body, metadata) },
    { FIELD_ROW(ARRAY, responses_body, tools) },
    { FIELD_ROW(ANY, responses_body, tool_choice) },
    { FIELD_ROW(BOOL, responses_body, parallel_tool_calls) },
    { FIELD_ROW(INT, responses_body, max_tool_calls), .min = 1 },
    { FIELD_ROW(ENUM, responses_body, truncation), .values = truncations },
    { FIELD_ROW(ARRAY, responses_body, include) },
    { FIELD_ROW(ENUM, responses_body, service_tier), .values = service_tiers },
    { FIELD_ROW(STRING, responses_body, prompt_cache_key), .max = LABEL_CHARS_MAX },
    { FIELD_ROW(STRING, responses_body, safety_identifier), .max = LABEL_CHARS_MAX },
    { FIELD_ROW(STRING, responses_body, user) },
    { FIELD_ROW(INT, responses_body, seed) },
    { FIELD_ROW(ANY, responses_body, stop) },
    { FIELD_ROW(BOOL, responses_body, ignore_eos) },
    { FIELD_ROW(INT, responses_body, top_logprobs), .min = 0, .max = ENGINE_TOP_LOGPROBS_MAX },
    FIELD_LATER("previous_response_id"),
    FIELD_LATER("conversation"),
    FIELD_LATER("background"),
    FIELD_LATER("prompt"),
    FIELD_LATER("presence_penalty"),
    FIELD_LATER("frequency_penalty"),
    FIELD_LATER("context_management"),
    FIELD_DROP("prompt_cache_retention"),
    FIELD_DROP("prompt_cache_options"),
    FIELD_DROP("moderation"),
    FIELD_DROP("client_metadata"),
    FIELD_DROP("access_programs"),
    FIELD_DROP("image"),
    FIELD_DROP("provider"),
};

/* --- members that are objects --------------------------------------------------------------------------- */

struct reasoning_body {
    struct field_enum effort, summary, generate_summary, context, mode;
};
static const struct field reasoning_rows[] = {
    { FIELD_ROW(ENUM, reasoning_body, effort), .values = effort_names },
    { FIELD_ROW(ENUM, reasoning_body, summary), .values = summary_names },
    { FIELD_ROW(ENUM, reasoning_body, generate_summary), .values = summary_names }, /* old name of summary */
    { FIELD_ROW(ENUM, reasoning_body, context), .values = reasoning_contexts },
    { FIELD_ROW(ENUM, reasoning_body, mode), .values = reasoning_modes },
};

static enum err_code read_reasoning(struct turn *t, const json_t *reasoning, struct reasoning_body *r,
                                    struct err *err)
{
    enum err_code code =
        fields_decode(reasoning, reasoning_rows, ARRAY_LEN(reasoning_rows), "reasoning", r, &t->arena, err);
    if (!code && r->context.value == 2)
        code = refuse_unsupported(err, "reasoning.context", "all_turns", NULL);
    return code;
}

static void set_reasoning(struct turn *t, const struct reasoning_body *r)
{
    static const enum summary kinds[] = { SUMMARY_AUTO, SUMMARY_CONCISE, SUMMARY_DETAILED };
    struct field_enum summary = r->summary.set ? r->summary : r->generate_summary;
    if (r->effort.set)
        t->effort = (enum effort)r->effort.value;
    t->summary = summary.set ? kinds[summary.value] : SUMMARY_NONE;
    t->echo.summary = summary.set ? summary.value : -1;
}

struct text_body {
    struct field_json format;
    struct field_enum verbosity;
};
static const struct field text_rows[] = {
    { FIELD_ROW(OBJECT, text_body, format) },
    { FIELD_ROW(ENUM, text_body, verbosity), .values = verbosities },
};

struct format_body {
    struct field_enum type;
};
static const struct field format_rows[] = {
    { FIELD_ROW(ENUM, format_body, type), .values = format_types, .required = true },
    FIELD_LATER("name"),
    FIELD_LATER("schema"),
    FIELD_LATER("strict"),
    FIELD_LATER("description"),
    FIELD_LATER("json_schema"),
};

static enum err_code check_format(struct turn *t, const json_t *format, struct err *err)
{
    struct format_body f = { 0 };
    const json_t *type = json_object_get(format, "type");
    const char *name = json_is_string(type) ? json_string_value(type) : "";
    if (str_is(str_from(name), "json_object") || str_is(str_from(name), "json_schema"))
        return refuse_unsupported(err, "text.format.type", name, NULL);
    return fields_decode(format, format_rows, ARRAY_LEN(format_rows), "text.format", &f, &t->arena, err);
}

static enum err_code check_text(struct turn *t, const json_t *text, struct err *err)
{
    struct text_body b = { 0 };
    enum err_code code = fields_decode(text, text_rows, ARRAY_LEN(text_rows), "text", &b, &t->arena, err);
    if (!code && b.verbosity.set && b.verbosity.value != 1)
        code = refuse_unsupported(err, "text.verbosity", verbosities[b.verbosity.value], NULL);
    if (!code && b.format.set)
        code = check_format(t, b.format.value, err);
    return code;
}

struct stream_options_body {
    struct field_bool unused;
};
static const struct field stream_options_rows[] = { FIELD_LATER("include_obfuscation") };

static enum err_code check_stream_options(struct turn *t, const json_t *options, struct err *err)
{
    struct stream_options_body b = { 0 };
    enum err_code code = fields_decode(options, stream_options_rows, ARRAY_LEN(stream_options_rows),
                                       "stream_options", &b, &t->arena, err);
    if (!code && !t->stream)
        code = err_set(err, ERR_INVALID_VALUE, "stream_options",
                       "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    return code;
}

/* What a reply could include besides. Parts of items that this version never makes change nothing. */
static const struct include_kind {
    const char *name;
    enum { INCLUDE_NOTHING, INCLUDE_LOGPROBS, INCLUDE_UNBUILT } does;
} include_kinds[] = {
    { "message.input_image.image_url", INCLUDE_NOTHING },
    { "computer_call_output.output.image_url", INCLUDE_NOTHING },
    { "file_search_call.results", INCLUDE_NOTHING },
    { "web_search_call.results", INCLUDE_NOTHING },
    { "web_search_call.action.sources", INCLUDE_NOTHING },
    { "code_interpreter_call.outputs", INCLUDE_NOTHING },
    { "message.output_text.logprobs", INCLUDE_LOGPROBS },
    { "reasoning.encrypted_content", INCLUDE_UNBUILT },
    { "thinkd.trace", INCLUDE_UNBUILT },
};

static enum err_code read_include(struct turn *t, const json_t *include, struct err *err)
{
    const char *names[ARRAY_LEN(include_kinds) + 1] = { NULL };
    for (size_t k = 0; k < ARRAY_LEN(include_kinds); k++)
        names[k] = include_kinds[k].name;
    for (size_t i = 0; i < json_array_size(include); i++) {
        const char *param = arena_printf(&t->arena, "include[%zu]", i);
        const json_t *v = json_array_get(include, i);
        if (!json_is_string(v))
            return field_type_error(err, param, "a string", v);
        struct str name = json_str(v);
        size_t k = 0;
        while (k < ARRAY_LEN(include_kinds) && !str_is(name, include_kinds[k].name))
            k++;
        if (k == ARRAY_LEN(include_kinds))
            return field_value_error(err, param, name, names);
        t->logprobs |= include_kinds[k].does == INCLUDE_LOGPROBS;
        if (include_kinds[k].does == INCLUDE_UNBUILT)
            return refuse_unsupported(err, param, include_kinds[k].name, NULL);
    }
    return ERR_OK;
}

/* --- the request ------------------------------------------------------------------------------------------ */

static enum err_code check_options(struct turn *t, const struct responses_body *b, struct err *err)
{
    enum err_code code = ERR_OK;
    if (b->text.set)
        code = check_text(t, b->text.value, err);
    if (!code && b->stream_options.set)
        code = check_stream_options(t, b->stream_options.value, err);
    if (!code && b->truncation.set && b->truncation.value == 0)
        code = refuse_unsupported(err, "truncation", "auto", NULL);
    if (!code && b->include.set)
        code = read_include(t, b->include.value, err);
    if (!code)
        code = tools_decode(&t->tools, b->tools.value, b->tool_choice.value, &t->arena, err);
    return code;
}

static void keep_for_reply(struct turn *t, const struct responses_body *b)
{
    t->echo.instructions = b->instructions;
    t->echo.user = b->user;
    t->echo.safety_identifier = b->safety_identifier;
    t->echo.prompt_cache_key = b->prompt_cache_key;
    t->echo.max_output_tokens = b->max_output_tokens;
    t->echo.max_tool_calls = b->max_tool_calls;
    if (b->parallel_tool_calls.set)
        t->echo.parallel_tool_calls = b->parallel_tool_calls.value;
    if (!b->max_output_tokens.set && t->api->cfg->max_output_tokens > 0)
        t->echo.max_output_tokens = (struct field_int){ true, t->api->cfg->max_output_tokens };
    t->ask.output_tokens_max = t->echo.max_output_tokens.value; /* 0: not set */
}

static enum err_code decode(struct turn *t, struct err *err)
{
    struct responses_body b = { 0 };
    struct reasoning_body r = { 0 };
    enum err_code code =
        fields_decode(t->doc, responses_rows, ARRAY_LEN(responses_rows), "", &b, &t->arena, err);
    if (code)
        return code;
    if (!b.input.set)
        return field_missing_error(err, "input");
    t->stream = b.stream.value;
    if (b.reasoning.set && (code = read_reasoning(t, b.reasoning.value, &r, err)))
        return code;
    if ((code = turn_set_model(t, b.model.value, r.mode.set && r.mode.value == 1, err)) ||
        (code = check_options(t, &b, err)) || (code = turn_set_metadata(t, b.metadata.value, err)) ||
        (code = turn_set_stops(t, b.stop.value, err)))
        return code;
    t->ignore_eos = b.ignore_eos.value;
    t->top_logprobs = (int)b.top_logprobs.value;
    set_reasoning(t, &r);
    turn_set_sampling(t, b.temperature, b.top_p, b.seed);
    keep_for_reply(t, &b);
    if (b.instructions.set)
        messages_add(t, "system", b.instructions.value, STR(""));
    return messages_from_input(t, b.input.value, err);
}

static void reply(struct turn *t, const struct job_view *job, struct buf *body)
{
    struct json_writer w = { .out = body };
    put_response(&w, t, job);
}

void responses_create(struct api *a, struct http_exchange *x)
{
    static const struct turn_kind kind = {
        .path = "v1/responses",
        .endpoint = ENDPOINT_RESPONSES,
        .id_prefix = "resp_",
        .input_param = "input",
        .prompt_member = "input",
        .logprobs_param = "include",
        .decode = decode,
        .prepare = turn_prepare_chat,
        .put = events_put,
        .reply = reply,
    };
    turn_run(a, x, &kind);
}

const struct field_table responses_tables[] = {
    { "responses", responses_rows, ARRAY_LEN(responses_rows) },
    { "responses.reasoning", reasoning_rows, ARRAY_LEN(reasoning_rows) },
    { "responses.text", text_rows, ARRAY_LEN(text_rows) },
    { "responses.text.format", format_rows, ARRAY_LEN(format_rows) },
    { "responses.stream_options", stream_options_rows, ARRAY_LEN(stream_options_rows) },
    { NULL, NULL, 0 },
};
