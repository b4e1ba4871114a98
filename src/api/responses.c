/*
 * responses.c - POST /v1/responses: every request field has a row here.
 *
 * A row's kind says what becomes of the field: a typed one is honoured, FIELD_IGNORED is dropped by design,
 * FIELD_UNBUILT is refused by name unless its value asks for nothing. docs/api.md is checked against the rows.
 * Some typed rows exist to be checked further down, because more than one of their values means "nothing".
 *
 * What a response goes on from comes first in its conversation: instructions, then earlier responses or the
 * conversation's items, then the input. Instructions of earlier responses are not inherited; what configuration updates among
 * the items set is, so the options are looked at behind the messages.
 *
 * Threads: http's workers.
 */
#include "api/api_impl.h"

#include "grammar/grammar.h"

#include <stdio.h>

#define OUTPUT_TOKENS_MIN     16
#define COMPACT_THRESHOLD_MIN 1000
#define ANSWER_ITEMS          3 /* of a response at most, beside calls: what was compacted, a thought and a message */

static const char *const reasoning_contexts[] = { "auto", "current_turn", "all_turns", NULL };
static const char *const managements[] = { "compaction", NULL };
static const char *const reasoning_modes[] = { "standard", "pro", NULL };

struct responses_body {
    struct field_string model, instructions, user, safety_identifier, prompt_cache_key, previous_response_id;
    struct field_json input, reasoning, text, tools, tool_choice, metadata, include, stream_options, stop,
        conversation, prompt, context_management;
    struct field_bool store, stream, background, parallel_tool_calls, ignore_eos;
    struct field_int max_output_tokens, max_tool_calls, seed, top_logprobs;
    struct field_real temperature, top_p, presence_penalty, frequency_penalty;
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
    { FIELD_ROW(BOOL, responses_body, background) },
    { FIELD_ROW(STRING, responses_body, previous_response_id) },
    { FIELD_ROW(ANY, responses_body, conversation) },
    { FIELD_ROW(OBJECT, responses_body, prompt) }, /* what it gives was put into the body by prompt_apply */
    { FIELD_ROW(REAL, responses_body, presence_penalty), .min = -2, .max = 2 },
    { FIELD_ROW(REAL, responses_body, frequency_penalty), .min = -2, .max = 2 },
    { FIELD_ROW(ARRAY, responses_body, context_management), .max = 1 },
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
    t->all_turns = r->context.set && r->context.value == 2;
    return code;
}

static void set_reasoning(struct turn *t, const struct reasoning_body *r)
{
    static const enum summary kinds[] = { SUMMARY_AUTO, SUMMARY_CONCISE, SUMMARY_DETAILED };
    struct field_enum summary = r->summary.set ? r->summary : r->generate_summary;
    if (r->effort.set)
        t->effort = (enum effort)r->effort.value;
    t->effort_asked = r->effort.set;
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

static enum err_code check_text(struct turn *t, const json_t *text, struct err *err)
{
    struct text_body b = { 0 };
    enum err_code code = fields_decode(text, text_rows, ARRAY_LEN(text_rows), "text", &b, &t->arena, err);
    if (b.verbosity.set)
        t->echo.verbosity = b.verbosity.value;
    if (!code && b.format.set)
        code = format_decode(t, b.format.value, t->format_path ? t->format_path : "text.format", err);
    return code;
}

struct management_body {
    struct field_enum type;
    struct field_int compact_threshold;
};
static const struct field management_rows[] = {
    { FIELD_ROW(ENUM, management_body, type), .values = managements, .required = true },
    { FIELD_ROW(INT, management_body, compact_threshold), .min = COMPACT_THRESHOLD_MIN },
};

/* Without a threshold: half of the window, which is what a compacted one is opened to. */
static enum err_code read_management(struct turn *t, const json_t *list, struct err *err)
{
    struct management_body b = { 0 };
    if (!json_array_size(list))
        return ERR_OK;
    enum err_code code = fields_decode(json_array_get(list, 0), management_rows, ARRAY_LEN(management_rows),
                                       "context_management[0]", &b, &t->arena, err);
    t->compact_above = b.compact_threshold.set ? b.compact_threshold.value : compaction_room(t);
    return code;
}

struct stream_options_body {
    struct field_bool include_obfuscation;
};
static const struct field stream_options_rows[] = {
    { FIELD_ROW(BOOL, stream_options_body, include_obfuscation) },
};

static enum err_code check_stream_options(struct turn *t, const json_t *options, struct err *err)
{
    struct stream_options_body b = { 0 };
    enum err_code code = fields_decode(options, stream_options_rows, ARRAY_LEN(stream_options_rows),
                                       "stream_options", &b, &t->arena, err);
    if (!code && !t->stream)
        code = err_set(err, ERR_INVALID_VALUE, "stream_options",
                       "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    t->obfuscate = b.include_obfuscation.value;
    return code;
}

/* The names in include_names that read_include does not act on ask for parts of items that this version never makes. */
static enum err_code read_include(struct turn *t, const json_t *include, struct err *err)
{
    for (size_t i = 0; i < json_array_size(include); i++) {
        const char *param = arena_printf(&t->arena, "include[%zu]", i);
        const json_t *v = json_array_get(include, i);
        if (!json_is_string(v))
            return field_type_error(err, param, "a string", v);
        struct str name = json_str(v);
        size_t k = 0;
        while (include_names[k] && !str_is(name, include_names[k]))
            k++;
        if (!include_names[k])
            return field_value_error(err, param, name, include_names);
        t->trace |= str_is(name, "thinkd.trace");
        t->logprobs |= str_is(name, "message.output_text.logprobs");
        t->sealed |= str_is(name, "reasoning.encrypted_content");
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
    if (!code && b->include.set)
        code = read_include(t, b->include.value, err);
    if (!code)
        code = read_management(t, b->context_management.value, err);
    if (!code)
        code = tools_decode(&t->tools, b->tools.value, b->tool_choice.value, &t->arena, err);
    if (!code)
        code = tools_bind(t, !b->parallel_tool_calls.set || b->parallel_tool_calls.value, err);
    return code;
}

/* --- what it goes on from ------------------------------------------------------------------------------------- */

/* "conv_..." or {"id": "conv_..."}. */
static enum err_code read_conversation(struct turn *t, const json_t *conversation, struct err *err)
{
    const json_t *id = json_is_object(conversation) ? json_object_get(conversation, "id") : conversation;
    const char *param = json_is_object(conversation) ? "conversation.id" : "conversation";
    if (json_is_object(conversation) && !id)
        return field_missing_error(err, param);
    if (!json_is_string(id))
        return field_type_error(err, param, "a string", id);
    t->conversation = arena_str(&t->arena, json_str(id));
    return ERR_OK;
}

static enum err_code read_keeping(struct turn *t, const struct responses_body *b, struct err *err)
{
    t->store = b->store.set ? b->store.value : !asked_as_aimlapi(t->api->cfg);
    t->background = b->background.value;
    t->truncate = b->truncation.set && b->truncation.value == 0;
    t->previous = b->previous_response_id.value;
    if (t->background && !t->store)
        return err_set(err, ERR_INVALID_VALUE, "background",
                       "Background responses are kept in the store: 'background' needs 'store' to be true.");
    if (b->conversation.set && t->previous.len)
        return err_set(err, ERR_INVALID_VALUE, "previous_response_id",
                       "'previous_response_id' and 'conversation' cannot be used together.");
    enum err_code code = b->conversation.set ? read_conversation(t, b->conversation.value, err) : ERR_OK;
    t->keeps = t->conversation.len && !t->store; /* by itself: the conversation is kept, and was asked for */
    return code;
}

static enum err_code find_conversation(struct turn *t, json_t *items, struct err *err)
{
    enum err_code code = conversation_items(t->api, &t->owner, t->conversation, 0, items, &t->arena, err);
    if (code == ERR_NOT_FOUND)
        snprintf(err->param, sizeof err->param, "conversation");
    return code;
}

/* What was said before: earlier responses, or the conversation's items. */
static enum err_code add_history(struct turn *t, struct err *err)
{
    json_t *items = json_array();
    enum err_code code = ERR_OK;
    const char *param = t->previous.len ? "previous_response_id" : "conversation";
    if (t->previous.len && !(t->lane && lane_history(t->lane, t->previous, items)))
        code = history_items(t->api, &t->owner, t->previous, items, &t->arena, err);
    else if (t->conversation.len)
        code = find_conversation(t, items, err);
    if (!code)
        code = messages_from_history(t, items, param, err);
    t->history = items;
    return code;
}

/* References become what they name, so that what was kept stays whole whatever is deleted later. The prompt has looked
 * them up already: only reasoning may be missing, which it left out too. */
static enum err_code keep_references(struct turn *t, struct err *err)
{
    enum err_code code = ERR_OK;
    for (size_t i = json_array_size(t->input); i-- > 0 && !code;) {
        const json_t *item = json_array_get(t->input, i);
        json_t *found = NULL;
        if (!str_is(json_str(json_object_get(item, "type")), "item_reference"))
            continue;
        code = item_find(t->api, &t->owner, json_str(json_object_get(item, "id")), &found, &t->arena, err);
        if (code == ERR_NOT_FOUND) {
            json_array_remove(t->input, i);
            code = ERR_OK;
        } else if (!code) {
            item_new_id(found, &t->arena);
            json_array_set_new(t->input, i, found);
        }
    }
    return code;
}

static size_t answer_items(const struct turn *t)
{
    return ANSWER_ITEMS + (t->tools.calls ? CALLS_MAX : 0);
}

/* The request's own items, as the store keeps them. */
static enum err_code keep_input(struct turn *t, const json_t *input, struct err *err)
{
    enum err_code code = items_normalise(&t->input, input, "input", &t->arena, err);
    if (!code)
        code = keep_references(t, err);
    if (!code && t->conversation.len)
        code = conversation_room(t->api, &t->owner, t->conversation,
                                 json_array_size(t->input) + answer_items(t), "conversation", err);
    if (!code && t->conversation.len)
        code = conversation_fresh_ids(t->api, &t->owner, t->input, &t->arena, err);
    return code;
}

/* The messages of a window that grew too long, made anew of what is left of it. */
static enum err_code compact_window(struct turn *t, const struct responses_body *b, struct err *err)
{
    json_t *items = json_array(), *window;
    if (t->history)
        json_array_extend(items, t->history);
    if (json_is_array(b->input.value))
        json_array_extend(items, (json_t *)b->input.value);
    else if (b->input.set)
        json_array_append_new(items, json_pack("{s:s,s:O}", "role", "user", "content", b->input.value));
    enum err_code code = compaction_make(t, items, &window, err);
    if (!code && window) {
        json_array_clear(t->messages);
        json_decref(t->calls);
        t->calls = NULL;
        if (b->instructions.set)
            messages_add(t, "system", b->instructions.value, STR(""));
        code = messages_from_history(t, window, "input", err);
        json_decref(window);
    }
    json_decref(items);
    return code;
}

/* A job that is built again has its whole conversation already. */
static enum err_code read_messages(struct turn *t, const struct responses_body *b, struct err *err)
{
    bool history = t->previous.len || t->conversation.len;
    if (t->row)
        return ERR_OK;
    if (!b->input.set && !history && !t->counts)
        return field_missing_error(err, "input");
    if (b->instructions.set)
        messages_add(t, "system", b->instructions.value, STR(""));
    enum err_code code = messages_take_trigger(t, json_object_get(t->doc, "input"), err);
    if (!code && history)
        code = add_history(t, err);
    if (!code && b->input.set)
        code = messages_from_input(t, b->input.value, err);
    return code ? code : messages_check_calls(t, err);
}

/* What the options make of the messages, and what is kept of the input. */
static enum err_code finish_messages(struct turn *t, const struct responses_body *b, struct err *err)
{
    enum err_code code = ERR_OK;
    if (t->row)
        return ERR_OK;
    if ((t->compact_above || t->compacts) && !t->counts)
        code = compact_window(t, b, err);
    if (!code && json_array_size(t->messages)) { /* none: nothing is asked, and tokens are counted */
        messages_set_verbosity(t, t->echo.verbosity);
        format_instruct(t);
        tools_instruct(t);
    }
    if (!code && (t->store || t->lane || t->keeps) && !t->counts && b->input.set)
        code = keep_input(t, b->input.value, err);
    return code;
}

/* --- what its items set ---------------------------------------------------------------------------------------- */

static const json_t *set_in(json_t *doc, const char *object, const char *name, json_t *value)
{
    json_t *in = json_object_get(doc, object);
    if (!json_is_object(in)) {
        in = json_object();
        json_object_set_new(doc, object, in);
    }
    json_object_set(in, name, value);
    return in;
}

/* Updates among the items hold against the request's own fields, until a later update. They are written into the body: a job
 * that is built again, and has its messages already, finds them there. */
static enum err_code configure(struct turn *t, struct responses_body *b, struct reasoning_body *r,
                               struct err *err)
{
    json_t *effort = json_object_get(t->configured, "effort"),
           *format = json_object_get(t->configured, "format");
    if (format)
        b->text = (struct field_json){ true, set_in(t->doc, "text", "format", format) };
    return effort ? read_reasoning(t, set_in(t->doc, "reasoning", "effort", effort), r, err) : ERR_OK;
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
    if (!b->max_output_tokens.set && default_output_tokens(t->api->cfg) > 0)
        t->echo.max_output_tokens = (struct field_int){ true, default_output_tokens(t->api->cfg) };
    t->ask.output_tokens_max = t->echo.max_output_tokens.value; /* 0: not set */
}

static enum err_code decode(struct turn *t, struct err *err)
{
    struct responses_body b = { 0 };
    struct reasoning_body r = { 0 };
    enum err_code code = t->row ? ERR_OK : prompt_apply(t->api, t->doc, &t->arena, err);
    if (!code)
        code = fields_decode(t->doc, responses_rows, ARRAY_LEN(responses_rows), "", &b, &t->arena, err);
    if (code)
        return code;
    t->stream = b.stream.value || t->lane;
    if (b.reasoning.set && (code = read_reasoning(t, b.reasoning.value, &r, err)))
        return code;
    if ((code = turn_set_model(t, b.model.value, r.mode.set && r.mode.value == 1, err)) ||
        (code = read_keeping(t, &b, err)) || (code = read_messages(t, &b, err)) ||
        (code = configure(t, &b, &r, err)) || (code = check_options(t, &b, err)) ||
        (code = turn_set_metadata(t, b.metadata.value, err)) || (code = turn_set_stops(t, b.stop.value, err)))
        return code;
    t->ignore_eos = b.ignore_eos.value;
    t->top_logprobs = (int)b.top_logprobs.value;
    set_reasoning(t, &r);
    turn_set_sampling(t, b.temperature, b.top_p, b.seed);
    turn_set_penalties(t, b.presence_penalty, b.frequency_penalty);
    keep_for_reply(t, &b);
    return finish_messages(t, &b, err);
}

static void reply(struct turn *t, const struct job_view *job, struct buf *body)
{
    struct json_writer w = { .out = body };
    put_response(&w, t, job);
}

const struct turn_kind responses_kind = {
    .path = "v1/responses",
    .endpoint = ENDPOINT_RESPONSES,
    .id_prefix = "resp_",
    .input_param = "input",
    .prompt_member = "input",
    .logprobs_param = "include",
    .decode = decode,
    .prepare = turn_prepare_chat,
    .encode = events_encode,
    .reply = reply,
    .keep = kept_in_conversation,
};

void responses_create(const struct call *c)
{
    turn_run(c, &responses_kind);
}

const struct field_table responses_tables[] = {
    { "responses", responses_rows, ARRAY_LEN(responses_rows) },
    { "responses.reasoning", reasoning_rows, ARRAY_LEN(reasoning_rows) },
    { "responses.text", text_rows, ARRAY_LEN(text_rows) },
    { "responses.context_management[]", management_rows, ARRAY_LEN(management_rows) },
    { "responses.stream_options", stream_options_rows, ARRAY_LEN(stream_options_rows) },
    { NULL, NULL, 0 },
};
