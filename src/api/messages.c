/*
 * messages.c - what the caller said, in the one form a chat template takes: role and text.
 *
 * Responses items and chat messages differ in their outer shape and agree in the inner one. Instructions come
 * first (the caller adds them), developer messages become system messages, several system messages keep their
 * place. What a message's content becomes is parts.c's.
 *
 * History as clients send it back must pass: items carry ids, statuses and phases that only the sender needs, and
 * thoughts of earlier turns are dropped, because a thought belongs to the turn that thought it, unless
 * reasoning.context asks for those of all turns and they come sealed (API.md section 10).
 *
 * A call is part of the assistant's message before it, or a message of its own; its output is a message of the
 * role "tool". Both must be there, the call first: a template that shows one without the other shows the model something
 * that never happens.
 */
#include "api/api_impl.h"

#include <string.h>

/* --- messages ------------------------------------------------------------------------------------------ */

void messages_add(struct turn *t, const char *role, struct str text, struct str name)
{
    json_t *m = json_object();
    json_object_set_new(m, "role", json_string(role));
    json_object_set_new(m, "content", json_stringn(text.len ? text.ptr : "", text.len));
    if (name.len)
        json_object_set_new(m, "name", json_stringn(name.ptr, name.len));
    if (t->thought.len && t->all_turns && strcmp(role, "assistant") == 0)
        json_object_set_new(m, "reasoning_content", json_stringn(t->thought.ptr, t->thought.len));
    t->thought = (struct str){ 0 };
    json_array_append_new(t->messages, m);
}

enum role { ROLE_USER, ROLE_ASSISTANT, ROLE_SYSTEM, ROLE_DEVELOPER, ROLE_TOOL, ROLE_FUNCTION };
static const char *const item_roles[] = { "user", "assistant", "system", "developer", NULL };
static const char *const chat_roles[] = {
    "user", "assistant", "system", "developer", "tool", "function", NULL
};
static const char *const phases[] = { "commentary", "final_answer", NULL };

static const char *template_role(int role)
{
    return role == ROLE_DEVELOPER ? "system" : item_roles[role];
}

static enum err_code add_message(struct turn *t, int role, const json_t *content, struct str name,
                                 const char *content_path, struct err *err)
{
    struct buf text = { 0 };
    enum err_code code = content_text(t, content, content_path, &text, err);
    if (!code)
        messages_add(t, template_role(role), buf_str(&text), name);
    buf_free(&text);
    return code;
}

/* --- Responses items ------------------------------------------------------------------------------------ */

struct item_message {
    struct field_enum role, phase;
    struct field_json content;
};
static const struct field item_message_rows[] = {
    FIELD_DROP("type"), /* read before the table */
    { FIELD_ROW(ENUM, item_message, role), .values = item_roles, .required = true },
    { FIELD_ROW(ANY, item_message, content), .required = true },
    { FIELD_ROW(ENUM, item_message, phase), .values = phases },
    FIELD_DROP("id"),
    FIELD_DROP("status"),
};

/* Ids, statuses and phases are how a client files its history; the prompt has no place for them. */
static enum err_code message_item(struct turn *t, const json_t *item, const char *path, struct err *err)
{
    struct item_message m = { 0 };
    enum err_code code =
        fields_decode(item, item_message_rows, ARRAY_LEN(item_message_rows), path, &m, &t->arena, err);
    if (code)
        return code;
    return add_message(t, m.role.value, m.content.value, STR(""), arena_printf(&t->arena, "%s.content", path),
                       err);
}

struct item_reasoning {
    struct field_json summary, content;
    struct field_string encrypted_content;
};
static const struct field item_reasoning_rows[] = {
    FIELD_DROP("type"),
    FIELD_DROP("id"),
    FIELD_DROP("status"),
    { FIELD_ROW(ARRAY, item_reasoning, summary) },
    { FIELD_ROW(ARRAY, item_reasoning, content) },
    { FIELD_ROW(STRING, item_reasoning, encrypted_content) },
};

/* A sealed thought is opened, so that one which is not ours is said, and belongs to the assistant's message that follows
 * where the request asks for thoughts of all turns. What is not sealed is checked and dropped. */
static enum err_code reasoning_item(struct turn *t, const json_t *item, const char *path, struct err *err)
{
    struct item_reasoning r = { 0 };
    struct buf thought = { 0 };
    enum err_code code =
        fields_decode(item, item_reasoning_rows, ARRAY_LEN(item_reasoning_rows), path, &r, &t->arena, err);
    if (!code && r.encrypted_content.set)
        code = seal_get(t->api->seal, str_from(t->owner.id), "reasoning", r.encrypted_content.value,
                        arena_printf(&t->arena, "%s.encrypted_content", path), &thought, err);
    if (!code)
        t->thought = arena_str(&t->arena, buf_str(&thought));
    buf_free(&thought);
    return code;
}

static enum err_code add_item(struct turn *t, const json_t *item, const char *path, struct err *err);

struct item_reference {
    struct field_string id;
};
static const struct field item_reference_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(STRING, item_reference, id), .required = true },
};

/* What it names is looked up among what is stored. Reasoning that is not there is left out: some clients refer to the
 * thoughts of answers that were not stored. */
static enum err_code reference_item(struct turn *t, const json_t *item, const char *path, struct err *err)
{
    struct item_reference r = { 0 };
    json_t *found = NULL;
    enum err_code code =
        fields_decode(item, item_reference_rows, ARRAY_LEN(item_reference_rows), path, &r, &t->arena, err);
    if (code)
        return code;
    code = item_find(t->api, &t->owner, r.id.value, &found, &t->arena, err);
    if (!code)
        code = add_item(t, found, path, err);
    else if (code == ERR_NOT_FOUND && str_starts(r.id.value, STR("rs_")))
        code = ERR_OK;
    else if (code == ERR_NOT_FOUND)
        code = err_set(err, ERR_NOT_FOUND, arena_printf(&t->arena, "%s.id", path),
                       "Item with id '%.*s' not found.", STR_ARG(str_slice(r.id.value, 0, 64)));
    json_decref(found);
    return code;
}

/* --- how long an answer is asked for ---------------------------------------------------------------------- */

void messages_instruct(struct turn *t, struct str line)
{
    json_t *first = json_array_get(t->messages, 0);
    struct buf text = { 0 };
    bool system = str_is(json_str(json_object_get(first, "role")), "system");
    struct str before = system ? json_str(json_object_get(first, "content")) : STR("");
    buf_printf(&text, "%.*s%s%.*s", STR_ARG(before), before.len ? "\n" : "", STR_ARG(line));
    if (!system) {
        first = json_object();
        json_object_set_new(first, "role", json_string("system"));
        json_array_insert_new(t->messages, 0, first);
    }
    json_object_set_new(first, "content", json_stringn(text.ptr, text.len));
    buf_free(&text);
}

void messages_set_verbosity(struct turn *t, int verbosity)
{
    static const char *const lines[] = {
        "Keep the answer short: say what was asked for and nothing else.", NULL,
        "Answer in detail: explain each step and what it follows from, and give examples where they help."
    };
    if (lines[verbosity])
        messages_instruct(t, str_from(lines[verbosity]));
}

/* --- settings that stay ---------------------------------------------------------------------------------- */

/* The last update of a setting holds. Copied: the items may go before the settings are looked at. */
static enum err_code configuration_item(struct turn *t, const json_t *item, const char *path, struct err *err)
{
    json_t *made;
    enum err_code code = item_normalise(&made, item, path, &t->arena, err);
    if (code)
        return code;
    json_t *effort = json_object_get(json_object_get(made, "reasoning"), "effort");
    json_t *format = json_object_get(json_object_get(made, "text"), "format");
    if (!t->configured)
        t->configured = json_object();
    if (json_is_string(effort))
        json_object_set_new(t->configured, "effort", json_deep_copy(effort));
    if (format) {
        json_object_set_new(t->configured, "format", json_deep_copy(format));
        t->format_path = arena_printf(&t->arena, "%s.text.format", path);
    }
    json_decref(made);
    return ERR_OK;
}

/* --- function calls ------------------------------------------------------------------------------------- */

/* The assistant's message that a call belongs to: the last one, or a new one without text. A thought begins a new one, which
 * shows it. */
static json_t *calling_message(struct turn *t)
{
    size_t n = json_array_size(t->messages);
    json_t *last = n ? json_array_get(t->messages, n - 1) : NULL;
    if (last && !t->thought.len && str_is(json_str(json_object_get(last, "role")), "assistant"))
        return last;
    messages_add(t, "assistant", STR(""), STR(""));
    return json_array_get(t->messages, n);
}

/* What is open is a string, the function's name; what was answered is true. */
static void note_call(struct turn *t, const json_t *call)
{
    if (!t->calls)
        t->calls = json_object();
    json_object_set(t->calls, json_string_value(json_object_get(call, "call_id")),
                    json_object_get(call, "name"));
}

/* A call's arguments as a template takes them: JSON text. A custom tool's input is free text, which is shown as the one
 * argument of that name. */
static json_t *arguments_of(const json_t *call)
{
    json_t *input = json_object_get(call, "input");
    struct buf text = { 0 };
    if (!input)
        return json_incref(json_object_get(call, "arguments"));
    buf_puts(&text, "{\"input\":");
    json_put_string(&text, json_str(input));
    buf_puts(&text, "}");
    json_t *arguments = json_stringn(text.ptr, text.len);
    buf_free(&text);
    return arguments;
}

/* made: an object with call_id and name, and arguments or input. */
static void add_call(struct turn *t, const json_t *made)
{
    json_t *message = calling_message(t), *calls = json_object_get(message, "tool_calls"),
           *call = json_object();
    if (!calls) {
        calls = json_array();
        json_object_set_new(message, "tool_calls", calls);
    }
    json_object_set(call, "id", json_object_get(made, "call_id"));
    json_object_set(call, "name", json_object_get(made, "name"));
    json_object_set_new(call, "arguments", arguments_of(made));
    json_array_append_new(calls, call);
    note_call(t, made);
}

static enum err_code call_item(struct turn *t, const json_t *item, const char *path, struct err *err)
{
    json_t *made;
    enum err_code code = item_normalise(&made, item, path, &t->arena, err);
    if (code)
        return code;
    add_call(t, made);
    json_decref(made);
    return ERR_OK;
}

static void add_output(struct turn *t, const char *call_id, struct str text)
{
    struct str name = json_str(json_object_get(t->calls, call_id));
    messages_add(t, "tool", text, name);
    json_t *message = json_array_get(t->messages, json_array_size(t->messages) - 1);
    json_object_set_new(message, "tool_call_id", json_string(call_id));
    json_object_set_new(t->calls, call_id, json_true());
}

static enum err_code output_item(struct turn *t, const json_t *item, const char *path, struct err *err)
{
    json_t *made;
    struct buf text = { 0 };
    enum err_code code = item_normalise(&made, item, path, &t->arena, err);
    if (code)
        return code;
    const char *call_id = json_string_value(json_object_get(made, "call_id"));
    if (!json_object_get(t->calls, call_id))
        code = err_set(err, ERR_INVALID_VALUE, arena_printf(&t->arena, "%s.call_id", path),
                       "No tool call found for function call output with call_id %s.", call_id);
    if (!code)
        code = content_text(t, json_object_get(made, "output"), arena_printf(&t->arena, "%s.output", path),
                            &text, err);
    if (!code)
        add_output(t, call_id, buf_str(&text));
    buf_free(&text);
    json_decref(made);
    return code;
}

void messages_note_calls(struct turn *t, const json_t *items)
{
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        struct str type = json_str(json_object_get(item, "type"));
        if (str_is(type, "function_call") || str_is(type, "custom_tool_call"))
            note_call(t, item);
    }
}

enum err_code messages_check_calls(const struct turn *t, struct err *err)
{
    const char *call_id;
    json_t *state;
    json_object_foreach(t->calls, call_id, state)
    {
        if (json_is_string(state))
            return err_set(err, ERR_BAD_REQUEST, t->kind->input_param,
                           "No tool output found for function call %s.", call_id);
    }
    return ERR_OK;
}

/* --- a window to be compacted ------------------------------------------------------------------------- */

struct item_trigger {
    struct field_string id;
};
static const struct field trigger_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(STRING, item_trigger, id), .min = 1, .max = ITEM_ID_CHARS_MAX }, /* checked; it is not kept */
};

/* The one that may be there was taken off before. */
static enum err_code trigger_item(struct turn *t, const json_t *item, const char *path, struct err *err)
{
    (void)item;
    return err_set(
        err, ERR_INVALID_VALUE, arena_printf(&t->arena, "%s.type", path),
        "A 'compaction_trigger' may only stand as the last item of the 'input' of POST /v1/responses.");
}

enum err_code messages_take_trigger(struct turn *t, json_t *input, struct err *err)
{
    size_t n = json_array_size(input);
    const json_t *last = n ? json_array_get(input, n - 1) : NULL;
    if (!str_is(json_str(json_object_get(last, "type")), "compaction_trigger"))
        return ERR_OK;
    struct item_trigger trigger = { 0 };
    const char *path = arena_printf(&t->arena, "input[%zu]", n - 1);
    enum err_code code =
        fields_decode(last, trigger_rows, ARRAY_LEN(trigger_rows), path, &trigger, &t->arena, err);
    if (code)
        return code;
    if (n == 1 && !t->previous.len && !t->conversation.len)
        return err_set(
            err, ERR_INVALID_VALUE, "input",
            "Invalid 'input': nothing stands before the 'compaction_trigger' that could be compacted.");
    t->compacts = true;
    json_array_remove(input, n - 1);
    return ERR_OK;
}

/* --- items of every type ---------------------------------------------------------------------------------- */

/* What other tools did in earlier turns: its results stand in the messages that came of it, and a model that does not know
 * the tool could make nothing of the call. */
static enum err_code opaque_item(struct turn *t, const json_t *item, const char *path, struct err *err)
{
    (void)t, (void)item, (void)path, (void)err;
    return ERR_OK;
}

/* All items of the API, so that one which is not built is told apart from one that does not exist. */
static const struct item_kind {
    const char *type;
    enum err_code (*add)(struct turn *t, const json_t *item, const char *path,
                         struct err *err); /* NULL: not built */
} item_kinds[] = {
    { "message", message_item },
    { "reasoning", reasoning_item },
    { "item_reference", reference_item },
    { "function_call", call_item },
    { "function_call_output", output_item },
    { "custom_tool_call", call_item },
    { "custom_tool_call_output", output_item },
    { "compaction", NULL },
    { "compaction_trigger", trigger_item },
    { "configuration_update", configuration_item },
    { "web_search_call", opaque_item },
    { "file_search_call", opaque_item },
    { "code_interpreter_call", opaque_item },
    { "image_generation_call", opaque_item },
    { "computer_call", opaque_item },
    { "computer_call_output", opaque_item },
    { "local_shell_call", opaque_item },
    { "local_shell_call_output", opaque_item },
    { "shell_call", opaque_item },
    { "shell_call_output", opaque_item },
    { "apply_patch_call", opaque_item },
    { "apply_patch_call_output", opaque_item },
    { "mcp_list_tools", opaque_item },
    { "mcp_approval_request", opaque_item },
    { "mcp_approval_response", opaque_item },
    { "mcp_call", opaque_item },
    { "tool_search_call", opaque_item },
    { "tool_search_output", opaque_item },
    { "additional_tools", opaque_item },
    { "program", opaque_item },
    { "program_output", opaque_item },
};

static enum err_code unknown_item(struct err *err, const char *param, struct str got)
{
    const char *names[ARRAY_LEN(item_kinds) + 1] = { NULL };
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(item_kinds); i++)
        if (item_kinds[i].add)
            names[n++] = item_kinds[i].type;
    return field_value_error(err, param, got, names);
}

static enum err_code add_item(struct turn *t, const json_t *item, const char *path, struct err *err)
{
    const char *param = arena_printf(&t->arena, "%s.type", path);
    if (!json_is_object(item))
        return field_type_error(err, path, "an object", item);
    const json_t *type = json_object_get(item, "type");
    if (type && !json_is_null(type) && !json_is_string(type))
        return field_type_error(err, param, "a string", type);
    struct str name = item_type_of(item);
    for (size_t i = 0; i < ARRAY_LEN(item_kinds); i++)
        if (str_is(name, item_kinds[i].type))
            return item_kinds[i].add ? item_kinds[i].add(t, item, path, err)
                                     : refuse_unsupported(err, param, item_kinds[i].type, NULL);
    return unknown_item(err, param, name);
}

/* Compaction items are opened first: what they hold stands where it once stood. */
static enum err_code add_items(struct turn *t, const json_t *items, const char *path, struct err *err)
{
    json_t *expanded;
    enum err_code code = compaction_expand(&expanded, t->api, str_from(t->owner.id), items,
                                           compaction_room(t), &t->arena, err);
    for (size_t i = 0; !code && i < json_array_size(expanded); i++)
        code = add_item(t, json_array_get(expanded, i), arena_printf(&t->arena, "%s[%zu]", path, i), err);
    json_decref(expanded);
    return code;
}

enum err_code messages_from_input(struct turn *t, const json_t *input, struct err *err)
{
    size_t before = json_array_size(t->messages);
    if (json_is_string(input)) {
        messages_add(t, "user", json_str(input), STR(""));
        return field_string_check(err, "input", json_str(input), 0, INPUT_CHARS_MAX);
    }
    if (!json_is_array(input))
        return field_type_error(err, "input", "a string or an array of items", input);
    /* Nothing new is fine behind what was said before. */
    size_t least = t->previous.len || t->conversation.len ? 0 : 1;
    enum err_code code = field_array_check(err, "input", json_array_size(input), least, SIZE_MAX);
    if (!code)
        code = add_items(t, input, "input", err);
    if (!code && json_array_size(t->messages) == before && least)
        code =
            err_set(err, ERR_INVALID_VALUE, "input", "Invalid 'input': there is no message in it to answer.");
    return code;
}

enum err_code messages_from_history(struct turn *t, const json_t *items, const char *path, struct err *err)
{
    return add_items(t, items, path, err);
}

/* --- chat messages ---------------------------------------------------------------------------------------- */

struct chat_message {
    struct field_enum role;
    struct field_json content, tool_calls, function_call;
    struct field_string name, refusal, tool_call_id;
};
static const struct field chat_message_rows[] = {
    { FIELD_ROW(ENUM, chat_message, role), .values = chat_roles, .required = true },
    { FIELD_ROW(ANY, chat_message, content) },
    { FIELD_ROW(STRING, chat_message, name) },
    { FIELD_ROW(STRING, chat_message, refusal) },
    FIELD_DROP("annotations"), /* clients send a reply's message back as it came */
    FIELD_DROP("reasoning_content"),
    { FIELD_ROW(ARRAY, chat_message, tool_calls) },
    { FIELD_ROW(STRING, chat_message, tool_call_id), .min = 1, .max = CALL_ID_CHARS },
    { FIELD_ROW(OBJECT, chat_message, function_call) },
    FIELD_LATER("audio"),
};

enum call_type { CALL_FUNCTION, CALL_CUSTOM };
static const char *const call_types[] = { "function", "custom", NULL };

struct chat_call {
    struct field_string id;
    struct field_enum type;
    struct field_json function, custom;
};
static const struct field chat_call_rows[] = {
    { FIELD_ROW(STRING, chat_call, id), .min = 1, .max = CALL_ID_CHARS, .required = true },
    { FIELD_ROW(ENUM, chat_call, type), .values = call_types },
    { FIELD_ROW(OBJECT, chat_call, function) },
    { FIELD_ROW(OBJECT, chat_call, custom) },
    FIELD_DROP("index"), /* of a stream's deltas, which some clients keep */
};

struct called {
    struct field_string name, arguments, input;
};
static const struct field function_rows[] = {
    { FIELD_ROW(STRING, called, name), .min = 1, .max = TOOL_NAME_CHARS, .required = true },
    { FIELD_ROW(STRING, called, arguments), .required = true },
};
static const struct field custom_rows[] = {
    { FIELD_ROW(STRING, called, name), .min = 1, .max = TOOL_NAME_CHARS, .required = true },
    { FIELD_ROW(STRING, called, input), .required = true },
};

/* One of a message's tool_calls. */
static enum err_code add_chat_call(struct turn *t, const json_t *call, const char *path, struct err *err)
{
    struct chat_call c = { 0 };
    struct called made = { 0 };
    enum err_code code =
        fields_decode(call, chat_call_rows, ARRAY_LEN(chat_call_rows), path, &c, &t->arena, err);
    bool custom = c.type.value == CALL_CUSTOM;
    const struct field_json *body = custom ? &c.custom : &c.function;
    const char *place = arena_printf(&t->arena, "%s.%s", path, call_types[c.type.value]);
    if (!code && !body->set)
        code = field_missing_error(err, place);
    if (!code)
        code = fields_decode(body->value, custom ? custom_rows : function_rows, ARRAY_LEN(function_rows),
                             place, &made, &t->arena, err);
    if (code)
        return code;
    struct str text = custom ? made.input.value : made.arguments.value;
    json_t *item = json_object();
    json_object_set_new(item, "call_id", json_stringn(c.id.value.ptr, c.id.value.len));
    json_object_set_new(item, "name", json_stringn(made.name.value.ptr, made.name.value.len));
    json_object_set_new(item, custom ? "input" : "arguments",
                        json_stringn(text.ptr ? text.ptr : "", text.len));
    add_call(t, item);
    json_decref(item);
    return ERR_OK;
}

/* A call in the older form has no id: the place where it stands serves as one. */
static enum err_code add_function_call(struct turn *t, const json_t *call, const char *path, struct err *err)
{
    struct called made = { 0 };
    enum err_code code =
        fields_decode(call, function_rows, ARRAY_LEN(function_rows), path, &made, &t->arena, err);
    if (code)
        return code;
    struct str name = made.name.value, arguments = made.arguments.value;
    json_t *item = json_pack("{s:s, s:o, s:o}", "call_id", path, "name", json_stringn(name.ptr, name.len),
                             "arguments", json_stringn(arguments.len ? arguments.ptr : "", arguments.len));
    add_call(t, item);
    json_decref(item);
    return ERR_OK;
}

/* An assistant's message with calls needs no text. */
static enum err_code calling_chat_message(struct turn *t, const struct chat_message *m, const char *path,
                                          struct err *err)
{
    enum err_code code = ERR_OK;
    if (m->role.value != ROLE_ASSISTANT)
        return err_set(
            err, ERR_INVALID_VALUE,
            arena_printf(&t->arena, "%s.%s", path, m->function_call.set ? "function_call" : "tool_calls"),
            "Only messages of the role 'assistant' have 'tool_calls' or a 'function_call'.");
    if (m->content.set)
        code = add_message(t, ROLE_ASSISTANT, m->content.value, m->name.value,
                           arena_printf(&t->arena, "%s.content", path), err);
    else
        messages_add(t, "assistant", STR(""), m->name.value);
    for (size_t i = 0; i < json_array_size(m->tool_calls.value) && !code; i++)
        code = add_chat_call(t, json_array_get(m->tool_calls.value, i),
                             arena_printf(&t->arena, "%s.tool_calls[%zu]", path, i), err);
    if (!code && m->function_call.set)
        code = add_function_call(t, m->function_call.value, arena_printf(&t->arena, "%s.function_call", path),
                                 err);
    return code;
}

static enum err_code tool_message(struct turn *t, const struct chat_message *m, const char *path,
                                  struct err *err)
{
    struct buf text = { 0 };
    const char *param = arena_printf(&t->arena, "%s.tool_call_id", path);
    const char *content_path = arena_printf(&t->arena, "%s.content", path);
    if (!m->tool_call_id.set)
        return field_missing_error(err, param);
    if (!m->content.set)
        return field_missing_error(err, content_path);
    const char *call_id = m->tool_call_id.value.ptr;
    if (!json_object_get(t->calls, call_id))
        return err_set(err, ERR_INVALID_VALUE, param,
                       "No tool call with the id %s stands in a message before this one.", call_id);
    enum err_code code = content_text(t, m->content.value, content_path, &text, err);
    if (!code)
        add_output(t, call_id, buf_str(&text));
    buf_free(&text);
    return code;
}

/* The youngest call of a function that has no output yet; NULL: none. */
static const char *open_call(const struct turn *t, struct str name)
{
    const char *call_id, *found = NULL;
    json_t *state;
    json_object_foreach(t->calls, call_id, state)
    {
        if (json_is_string(state) && str_eq(json_str(state), name))
            found = call_id;
    }
    return found;
}

/* Names what was called, where a tool's message has the call's id. */
static enum err_code function_message(struct turn *t, const struct chat_message *m, const char *path,
                                      struct err *err)
{
    struct buf text = { 0 };
    const char *param = arena_printf(&t->arena, "%s.name", path);
    const char *content_path = arena_printf(&t->arena, "%s.content", path);
    if (!m->name.set)
        return field_missing_error(err, param);
    if (!m->content.set)
        return field_missing_error(err, content_path);
    const char *call_id = open_call(t, m->name.value);
    if (!call_id)
        return err_set(err, ERR_INVALID_VALUE, param,
                       "No call of '%.*s' without an output stands in a message before this one.",
                       STR_ARG(field_quoted(m->name.value)));
    enum err_code code = content_text(t, m->content.value, content_path, &text, err);
    if (!code)
        add_output(t, call_id, buf_str(&text));
    buf_free(&text);
    return code;
}

static enum err_code add_chat_message(struct turn *t, const json_t *message, const char *path,
                                      struct err *err)
{
    struct chat_message m = { 0 };
    enum err_code code =
        fields_decode(message, chat_message_rows, ARRAY_LEN(chat_message_rows), path, &m, &t->arena, err);
    if (code)
        return code;
    const char *content_path = arena_printf(&t->arena, "%s.content", path);
    if (m.role.value == ROLE_TOOL)
        return tool_message(t, &m, path, err);
    if (m.tool_call_id.set)
        return err_set(err, ERR_INVALID_VALUE, arena_printf(&t->arena, "%s.tool_call_id", path),
                       "Only messages of the role 'tool' have a 'tool_call_id'.");
    if (m.role.value == ROLE_FUNCTION)
        return function_message(t, &m, path, err);
    if (json_array_size(m.tool_calls.value) > 0 || m.function_call.set)
        return calling_chat_message(t, &m, path, err);
    if (!m.content.set && m.refusal.set) {
        messages_add(t, template_role(m.role.value), m.refusal.value, m.name.value);
        return ERR_OK;
    }
    if (!m.content.set)
        return field_missing_error(err, content_path);
    return add_message(t, m.role.value, m.content.value, m.name.value, content_path, err);
}

enum err_code messages_from_chat(struct turn *t, const json_t *messages, struct err *err)
{
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < json_array_size(messages) && !code; i++)
        code = add_chat_message(t, json_array_get(messages, i), arena_printf(&t->arena, "messages[%zu]", i),
                                err);
    return code ? code : messages_check_calls(t, err);
}

const struct field_table message_tables[] = {
    { "input[]", item_message_rows, ARRAY_LEN(item_message_rows) },
    { "input[] (reasoning)", item_reasoning_rows, ARRAY_LEN(item_reasoning_rows) },
    { "input[] (item_reference)", item_reference_rows, ARRAY_LEN(item_reference_rows) },
    { "input[] (compaction_trigger)", trigger_rows, ARRAY_LEN(trigger_rows) },
    { "messages[]", chat_message_rows, ARRAY_LEN(chat_message_rows) },
    { "messages[].tool_calls[]", chat_call_rows, ARRAY_LEN(chat_call_rows) },
    { "messages[].tool_calls[].function", function_rows, ARRAY_LEN(function_rows) },
    { "messages[].tool_calls[].custom", custom_rows, ARRAY_LEN(custom_rows) },
    { NULL, NULL, 0 },
};
