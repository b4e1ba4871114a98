/*
 * chat.c - POST /v1/chat/completions: every request field has a row here, as in responses.c.
 *
 * The endpoint maps onto the same turn. Two limits exist for the same thing, max_completion_tokens and the older
 * max_tokens; each is an upper bound, so with both the smaller binds. Labels (user, safety_identifier,
 * prompt_cache_key) are checked and name nothing here, since the chat object has no place for them; metadata is
 * repeated when given.
 *
 * Threads: http's workers.
 */
#include "api/api_impl.h"

#include <assert.h>

static const char *const function_call_words[] = { "none", "auto", NULL };
static const char *const modality_names[] = { "text", "audio", NULL };

struct chat_body {
    struct field_string model, user, safety_identifier, prompt_cache_key;
    struct field_json messages, tools, tool_choice, functions, function_call, metadata, stream_options, stop,
        response_format, modalities, logit_bias;
    struct field_bool stream, store, parallel_tool_calls, ignore_eos, logprobs;
    struct field_int max_completion_tokens, max_tokens, n, seed, top_logprobs;
    struct field_real temperature, top_p, presence_penalty, frequency_penalty;
    struct field_enum reasoning_effort, verbosity, service_tier;
};
static const struct field chat_rows[] = {
    { FIELD_ROW(STRING, chat_body, model), .required = true },
    { FIELD_ROW(ARRAY, chat_body, messages), .min = 1, .required = true },
    { FIELD_ROW(INT, chat_body, max_completion_tokens), .min = 1 },
    { FIELD_ROW(INT, chat_body, max_tokens), .min = 1 },
    { FIELD_ROW(ENUM, chat_body, reasoning_effort), .values = effort_names },
    { FIELD_ROW(REAL, chat_body, temperature), .min = 0, .max = 2 },
    { FIELD_ROW(REAL, chat_body, top_p), .min = 0, .max = 1 },
    { FIELD_ROW(INT, chat_body, n), .min = 1, .max = JOB_CHOICES_MAX },
    { FIELD_ROW(ANY, chat_body, stop) },
    { FIELD_ROW(INT, chat_body, seed) },
    { FIELD_ROW(BOOL, chat_body, stream) },
    { FIELD_ROW(OBJECT, chat_body, stream_options) },
    { FIELD_ROW(OBJECT, chat_body, response_format) },
    { FIELD_ROW(ENUM, chat_body, verbosity), .values = verbosities },
    { FIELD_ROW(ARRAY, chat_body, modalities) },
    { FIELD_ROW(ARRAY, chat_body, tools) },
    { FIELD_ROW(ANY, chat_body, tool_choice) },
    { FIELD_ROW(BOOL, chat_body, parallel_tool_calls) },
    { FIELD_ROW(OBJECT, chat_body, metadata) },
    { FIELD_ROW(ENUM, chat_body, service_tier), .values = service_tiers },
    { FIELD_ROW(STRING, chat_body, user) },
    { FIELD_ROW(STRING, chat_body, safety_identifier), .max = LABEL_CHARS_MAX },
    { FIELD_ROW(STRING, chat_body, prompt_cache_key), .max = LABEL_CHARS_MAX },
    { FIELD_ROW(BOOL, chat_body, ignore_eos) },
    { FIELD_ROW(BOOL, chat_body, logprobs) },
    { FIELD_ROW(INT, chat_body, top_logprobs), .min = 0, .max = ENGINE_TOP_LOGPROBS_MAX },
    { FIELD_ROW(BOOL, chat_body, store) },
    { FIELD_ROW(OBJECT, chat_body, logit_bias) },
    { FIELD_ROW(REAL, chat_body, presence_penalty), .min = -2, .max = 2 },
    { FIELD_ROW(REAL, chat_body, frequency_penalty), .min = -2, .max = 2 },
    FIELD_LATER("audio"),
    FIELD_LATER("prediction"),
    FIELD_LATER("web_search_options"),
    { FIELD_ROW(ARRAY, chat_body, functions) },
    { FIELD_ROW(ANY, chat_body, function_call) },
    FIELD_DROP("prompt_cache_retention"),
    FIELD_DROP("prompt_cache_options"),
    FIELD_DROP("moderation"),
    FIELD_DROP("client_metadata"),
    FIELD_DROP("access_programs"),
    FIELD_DROP("image"),
    FIELD_DROP("provider"),
};

struct chat_stream_options {
    struct field_bool include_usage;
};
static const struct field stream_options_rows[] = {
    { FIELD_ROW(BOOL, chat_stream_options, include_usage) },
    FIELD_LATER("include_obfuscation"),
};

static enum err_code check_modalities(struct turn *t, const json_t *modalities, struct err *err)
{
    for (size_t i = 0; i < json_array_size(modalities); i++) {
        const char *param = arena_printf(&t->arena, "modalities[%zu]", i);
        const json_t *v = json_array_get(modalities, i);
        struct str name = json_str(v);
        if (!json_is_string(v))
            return field_type_error(err, param, "a string", v);
        if (str_is(name, "audio"))
            return refuse_unsupported(err, param, "audio", NULL);
        if (!str_is(name, "text"))
            return field_value_error(err, param, name, modality_names);
    }
    return ERR_OK;
}

/* Without stream:true the options have nothing to act on and the reply carries its usage anyway: the product
 * documents' own example sends them so. */
static enum err_code read_stream_options(struct turn *t, const json_t *options, struct err *err)
{
    struct chat_stream_options o = { 0 };
    enum err_code code = fields_decode(options, stream_options_rows, ARRAY_LEN(stream_options_rows),
                                       "stream_options", &o, &t->arena, err);
    t->include_usage = o.include_usage.value;
    return code;
}

/* A field of tools under the name that the request has for it: tools[0].function.name is functions[0].name. */
static const char *name_asked(struct turn *t, struct str param)
{
    struct str tools = STR("tools["), inner = STR(".function"), tail = { 0 };
    if (str_starts(param, STR("tool_choice")))
        return "function_call";
    if (!str_starts(param, tools))
        return param.ptr;
    struct str rest = str_slice(param, tools.len, param.len);
    size_t at = str_find(rest, inner);
    if (at != SIZE_MAX)
        tail = str_slice(rest, at + inner.len, rest.len);
    return arena_printf(&t->arena, "functions[%.*s%.*s", STR_ARG(str_slice(rest, 0, at)), STR_ARG(tail));
}

/* An error of tools, said of what was asked. */
static enum err_code said_of_functions(struct turn *t, enum err_code code, struct err *err)
{
    struct str message = str_from(arena_printf(&t->arena, "%s", err->message));
    struct str param = str_from(arena_printf(&t->arena, "%s", err->param));
    const char *name = name_asked(t, param);
    size_t at = param.len ? str_find(message, param) : SIZE_MAX;
    if (at == SIZE_MAX)
        return err_set(err, code, name, "%s", message.ptr);
    return err_set(err, code, name, "%.*s%s%s", STR_ARG(str_slice(message, 0, at)), name,
                   message.ptr + at + param.len);
}

/* The older form of a choice, {"name"}, in tool_choice's; words are the same in both. */
static enum err_code choice_of(json_t **choice, const json_t *asked, struct err *err)
{
    const json_t *name = json_object_get(asked, "name");
    *choice = NULL;
    if (json_is_string(asked) && str_is(json_str(asked), "required"))
        return field_value_error(err, "function_call", json_str(asked), function_call_words);
    if (json_is_object(asked) && !json_is_string(name))
        return name ? field_type_error(err, "function_call.name", "a string", name)
                    : field_missing_error(err, "function_call.name");
    *choice = json_is_object(asked)
                  ? json_pack("{s:s, s:{s:O}}", "type", "function", "function", "name", name)
                  : json_copy((json_t *)asked);
    return ERR_OK;
}

static enum err_code decode_functions(struct turn *t, const struct chat_body *b, struct err *err)
{
    json_t *tools = json_array(), *choice;
    enum err_code code = choice_of(&choice, b->function_call.value, err);
    for (size_t i = 0; i < json_array_size(b->functions.value) && !code; i++) {
        json_t *function = json_array_get(b->functions.value, i);
        if (!json_is_object(function))
            code = field_type_error(err, arena_printf(&t->arena, "functions[%zu]", i), "an object", function);
        json_array_append_new(tools, json_pack("{s:s, s:O}", "type", "function", "function", function));
    }
    if (!code)
        code = tools_decode(&t->tools, tools, choice, &t->arena, err);
    t->tools.functions = true;
    if (!code)
        code = tools_bind(t, false, err);
    json_decref(tools);
    json_decref(choice);
    return code ? said_of_functions(t, code, err) : ERR_OK;
}

static enum err_code decode_tools(struct turn *t, const struct chat_body *b, struct err *err)
{
    bool older = b->functions.set || b->function_call.set;
    if (older && (b->tools.set || b->tool_choice.set))
        return err_set(
            err, ERR_INVALID_VALUE, b->functions.set ? "functions" : "function_call",
            "'functions' and 'function_call' cannot be used together with 'tools' and 'tool_choice'.");
    if (older)
        return decode_functions(t, b, err);
    enum err_code code = tools_decode(&t->tools, b->tools.value, b->tool_choice.value, &t->arena, err);
    return code ? code : tools_bind(t, !b->parallel_tool_calls.set || b->parallel_tool_calls.value, err);
}

static enum err_code check_options(struct turn *t, const struct chat_body *b, struct err *err)
{
    enum err_code code = ERR_OK;
    if (b->response_format.set)
        code = format_decode_chat(t, b->response_format.value, err);
    if (!code && b->modalities.set)
        code = check_modalities(t, b->modalities.value, err);
    if (!code && b->stream_options.set)
        code = read_stream_options(t, b->stream_options.value, err);
    if (!code && b->top_logprobs.value > 0 && !b->logprobs.value)
        code = err_set(err, ERR_INVALID_VALUE, "top_logprobs",
                       "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.");
    return code ? code : decode_tools(t, b, err);
}

/* 0: no limit was given. */
static int64_t output_limit(const struct turn *t, const struct chat_body *b)
{
    int64_t limit = b->max_completion_tokens.value;
    if (b->max_tokens.set && (limit == 0 || b->max_tokens.value < limit))
        limit = b->max_tokens.value;
    return limit ? limit : default_output_tokens(t->api->cfg);
}

static enum err_code decode(struct turn *t, struct err *err)
{
    struct chat_body b = { 0 };
    enum err_code code = fields_decode(t->doc, chat_rows, ARRAY_LEN(chat_rows), "", &b, &t->arena, err);
    if (code)
        return code;
    t->stream = b.stream.value;
    t->store = t->keeps = b.store.value;
    if ((code = turn_set_model(t, b.model.value, false, err)) || (code = check_options(t, &b, err)) ||
        (code = turn_set_metadata(t, b.metadata.value, err)) ||
        (code = turn_set_stops(t, b.stop.value, err)) || (code = turn_set_biases(t, b.logit_bias.value, err)))
        return code;
    turn_set_penalties(t, b.presence_penalty, b.frequency_penalty);
    if (b.reasoning_effort.set)
        t->effort = (enum effort)b.reasoning_effort.value;
    t->effort_asked = b.reasoning_effort.set;
    t->choices = b.n.set ? (size_t)b.n.value : 1;
    t->ignore_eos = b.ignore_eos.value;
    t->logprobs = b.logprobs.value;
    t->top_logprobs = (int)b.top_logprobs.value;
    turn_set_sampling(t, b.temperature, b.top_p, b.seed);
    t->ask.output_tokens_max = output_limit(t, &b);
    if (t->store)
        t->input = json_incref((json_t *)b.messages.value);
    code = messages_from_chat(t, b.messages.value, err);
    if (code)
        return code;
    messages_set_verbosity(t, b.verbosity.set ? b.verbosity.value : VERBOSITY_USUAL);
    format_instruct(t);
    tools_instruct(t);
    return ERR_OK;
}

/* What it was asked stays with a stored completion, for those who list its messages. */
static void keep(struct turn *t, const struct job_view *job, struct store_tx *tx)
{
    struct err err;
    if (t->began) /* else it is there, to be sent */
        chat_reply(t, job, &t->final);
    struct str body = buf_str(&t->final);
    enum err_code code =
        stored_chat_tx(tx, &t->owner, body, t->input, t->metadata, t->api->cfg->keep_ms, &err);
    assert(!code); /* body is what chat_reply wrote */
    (void)code;
}

void chat_create(const struct call *c)
{
    static const struct turn_kind kind = {
        .path = "v1/chat/completions",
        .endpoint = ENDPOINT_CHAT,
        .id_prefix = "chatcmpl-",
        .input_param = "messages",
        .prompt_member = "messages",
        .logprobs_param = "logprobs",
        .decode = decode,
        .prepare = turn_prepare_chat,
        .put = chat_put,
        .reply = chat_reply,
        .keep = keep,
    };
    turn_run(c, &kind);
}

const struct field_table chat_tables[] = {
    { "chat", chat_rows, ARRAY_LEN(chat_rows) },
    { "chat.stream_options", stream_options_rows, ARRAY_LEN(stream_options_rows) },
    { NULL, NULL, 0 },
};
