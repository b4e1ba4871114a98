/*
 * messages.c - what the caller said, in the one form a chat template takes: role and text.
 *
 * Responses items and chat messages differ in their outer shape and agree in the inner one. Instructions come
 * first (the caller adds them), developer messages become system messages, several system messages keep their
 * place. A message of several text parts becomes its texts, one after the other, with a line break between.
 *
 * History as clients send it back must pass: items carry ids, statuses and phases that only the sender needs,
 * and reasoning items of earlier turns are dropped, because a thought belongs to the turn that thought it
 * (API.md section 10, reasoning.context "current_turn"). So is a reference to a stored reasoning item; a reference to
 * anything else names something this server has not kept, which is a 404.
 */
#include "api/api_impl.h"

#define INPUT_CHARS_MAX 10485760

/* --- parts -------------------------------------------------------------------------------------------- */

/* The kinds of content parts, and what holds their text; PART_OTHER is not text, and not built. */
static const struct part_kind {
    const char *type;
    enum { PART_TEXT, PART_REFUSAL, PART_OTHER } holds;
} part_kinds[] = {
    { "input_text", PART_TEXT }, { "output_text", PART_TEXT },  { "text", PART_TEXT },
    { "refusal", PART_REFUSAL }, { "input_image", PART_OTHER }, { "input_file", PART_OTHER },
    { "image_url", PART_OTHER }, { "file", PART_OTHER },        { "input_audio", PART_OTHER },
};

struct part {
    struct field_string type, text, refusal;
};
static const struct field part_rows[] = {
    { FIELD_ROW(STRING, part, type), .required = true },
    { FIELD_ROW(STRING, part, text) },
    { FIELD_ROW(STRING, part, refusal) },
    FIELD_DROP("annotations"), /* of output_text, as it was sent */
    FIELD_DROP("logprobs"),
};

static enum err_code unknown_part(struct err *err, const char *param, struct str got)
{
    const char *names[ARRAY_LEN(part_kinds) + 1] = { NULL };
    for (size_t i = 0; i < ARRAY_LEN(part_kinds); i++)
        names[i] = part_kinds[i].type;
    return field_value_error(err, param, got, names);
}

/* The kind comes before the table: an image's members are not worth naming where images are not read. */
static enum err_code part_kind_of(const json_t *part, const char *path, const struct part_kind **out,
                                  struct arena *arena, struct err *err)
{
    const char *param = arena_printf(arena, "%s.type", path);
    const json_t *type = json_object_get(part, "type");
    *out = NULL;
    if (!json_is_string(type))
        return ERR_OK; /* the table says what is wrong with it */
    for (size_t i = 0; i < ARRAY_LEN(part_kinds) && !*out; i++)
        if (str_is(json_str(type), part_kinds[i].type))
            *out = &part_kinds[i];
    if (!*out)
        return unknown_part(err, param, json_str(type));
    return (*out)->holds != PART_OTHER ? ERR_OK : refuse_unsupported(err, param, (*out)->type, NULL);
}

static enum err_code add_part(const json_t *part, const char *path, struct buf *out, struct arena *arena,
                              struct err *err)
{
    struct part p = { 0 };
    const struct part_kind *kind;
    enum err_code code = part_kind_of(part, path, &kind, arena, err);
    if (!code)
        code = fields_decode(part, part_rows, ARRAY_LEN(part_rows), path, &p, arena, err);
    if (code)
        return code;
    bool refusal = kind->holds == PART_REFUSAL;
    struct field_string text = refusal ? p.refusal : p.text;
    if (!text.set)
        return field_missing_error(err, arena_printf(arena, "%s.%s", path, refusal ? "refusal" : "text"));
    if (out->len)
        buf_putc(out, '\n');
    buf_put_str(out, text.value);
    return ERR_OK;
}

/* content: a string, or an array of parts. NULL is no text. */
static enum err_code content_text(const json_t *content, const char *path, struct buf *out,
                                  struct arena *arena, struct err *err)
{
    if (!content)
        return ERR_OK;
    if (json_is_string(content)) {
        buf_put_str(out, json_str(content));
        return field_string_check(err, path, json_str(content), 0, INPUT_CHARS_MAX);
    }
    if (!json_is_array(content))
        return field_type_error(err, path, "a string or an array of content parts", content);
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < json_array_size(content) && !code; i++)
        code = add_part(json_array_get(content, i), arena_printf(arena, "%s[%zu]", path, i), out, arena, err);
    return code;
}

/* --- messages ------------------------------------------------------------------------------------------ */

void messages_add(struct turn *t, const char *role, struct str text, struct str name)
{
    json_t *m = json_object();
    json_object_set_new(m, "role", json_string(role));
    json_object_set_new(m, "content", json_stringn(text.len ? text.ptr : "", text.len));
    if (name.len)
        json_object_set_new(m, "name", json_stringn(name.ptr, name.len));
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
    enum err_code code = content_text(content, content_path, &text, &t->arena, err);
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
};
static const struct field item_reasoning_rows[] = {
    FIELD_DROP("type"),
    FIELD_DROP("id"),
    FIELD_DROP("status"),
    { FIELD_ROW(ARRAY, item_reasoning, summary) },
    { FIELD_ROW(ARRAY, item_reasoning, content) },
    FIELD_LATER("encrypted_content"), /* never given out, so it is some other server's */
};

/* Checked and dropped. */
static enum err_code reasoning_item(struct turn *t, const json_t *item, const char *path, struct err *err)
{
    struct item_reasoning r = { 0 };
    return fields_decode(item, item_reasoning_rows, ARRAY_LEN(item_reasoning_rows), path, &r, &t->arena, err);
}

struct item_reference {
    struct field_string id;
};
static const struct field item_reference_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(STRING, item_reference, id), .required = true },
};

/* Some clients refer to the reasoning of the last turn by id, without having been told that it was stored. */
static enum err_code reference_item(struct turn *t, const json_t *item, const char *path, struct err *err)
{
    struct item_reference r = { 0 };
    enum err_code code =
        fields_decode(item, item_reference_rows, ARRAY_LEN(item_reference_rows), path, &r, &t->arena, err);
    if (code || str_starts(r.id.value, STR("rs_")))
        return code;
    return err_set(err, ERR_NOT_FOUND, arena_printf(&t->arena, "%s.id", path),
                   "Item with id '%.*s' not found.", STR_ARG(str_slice(r.id.value, 0, 64)));
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
    { "function_call", NULL },
    { "function_call_output", NULL },
    { "custom_tool_call", NULL },
    { "custom_tool_call_output", NULL },
    { "compaction", NULL },
    { "compaction_trigger", NULL },
    { "configuration_update", NULL },
    { "web_search_call", NULL },
    { "file_search_call", NULL },
    { "code_interpreter_call", NULL },
    { "image_generation_call", NULL },
    { "computer_call", NULL },
    { "computer_call_output", NULL },
    { "local_shell_call", NULL },
    { "local_shell_call_output", NULL },
    { "shell_call", NULL },
    { "shell_call_output", NULL },
    { "apply_patch_call", NULL },
    { "apply_patch_call_output", NULL },
    { "mcp_list_tools", NULL },
    { "mcp_approval_request", NULL },
    { "mcp_approval_response", NULL },
    { "mcp_call", NULL },
    { "tool_search_call", NULL },
    { "tool_search_output", NULL },
    { "additional_tools", NULL },
    { "program", NULL },
    { "program_output", NULL },
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

/* No type: a message, or a reference where there is an id and nothing a message needs. */
static struct str item_type(const json_t *item)
{
    const json_t *type = json_object_get(item, "type");
    if (json_is_string(type))
        return json_str(type);
    bool reference =
        json_object_get(item, "id") && !json_object_get(item, "role") && !json_object_get(item, "content");
    return reference ? STR("item_reference") : STR("message");
}

static enum err_code add_item(struct turn *t, const json_t *item, const char *path, struct err *err)
{
    const char *param = arena_printf(&t->arena, "%s.type", path);
    if (!json_is_object(item))
        return field_type_error(err, path, "an object", item);
    const json_t *type = json_object_get(item, "type");
    if (type && !json_is_null(type) && !json_is_string(type))
        return field_type_error(err, param, "a string", type);
    struct str name = item_type(item);
    for (size_t i = 0; i < ARRAY_LEN(item_kinds); i++)
        if (str_is(name, item_kinds[i].type))
            return item_kinds[i].add ? item_kinds[i].add(t, item, path, err)
                                     : refuse_unsupported(err, param, item_kinds[i].type, NULL);
    return unknown_item(err, param, name);
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
    enum err_code code = field_array_check(err, "input", json_array_size(input), 1, SIZE_MAX);
    for (size_t i = 0; i < json_array_size(input) && !code; i++)
        code = add_item(t, json_array_get(input, i), arena_printf(&t->arena, "input[%zu]", i), err);
    if (!code && json_array_size(t->messages) == before)
        code =
            err_set(err, ERR_INVALID_VALUE, "input", "Invalid 'input': there is no message in it to answer.");
    return code;
}

/* --- chat messages ---------------------------------------------------------------------------------------- */

struct chat_message {
    struct field_enum role;
    struct field_json content;
    struct field_string name, refusal;
};
static const struct field chat_message_rows[] = {
    { FIELD_ROW(ENUM, chat_message, role), .values = chat_roles, .required = true },
    { FIELD_ROW(ANY, chat_message, content) },
    { FIELD_ROW(STRING, chat_message, name) },
    { FIELD_ROW(STRING, chat_message, refusal) },
    FIELD_DROP("annotations"), /* clients send a reply's message back as it came */
    FIELD_DROP("reasoning_content"),
    FIELD_LATER("tool_calls"),
    FIELD_LATER("function_call"),
    FIELD_LATER("audio"),
    FIELD_LATER("tool_call_id"),
};

/* The role comes before the table, because a tool's message has members that would be named first otherwise. */
static enum err_code add_chat_message(struct turn *t, const json_t *message, const char *path,
                                      struct err *err)
{
    struct chat_message m = { 0 };
    const json_t *role = json_object_get(message, "role");
    if (json_is_string(role) && (str_is(json_str(role), "tool") || str_is(json_str(role), "function")))
        return refuse_unsupported(err, arena_printf(&t->arena, "%s.role", path), json_string_value(role),
                                  NULL);
    enum err_code code =
        fields_decode(message, chat_message_rows, ARRAY_LEN(chat_message_rows), path, &m, &t->arena, err);
    if (code)
        return code;
    const char *content_path = arena_printf(&t->arena, "%s.content", path);
    if (!m.content.set && m.refusal.set) {
        messages_add(t, template_role(m.role.value), m.refusal.value, m.name.value);
        return ERR_OK;
    }
    if (!m.content.set) /* only a message of tool calls has none, and those are refused above */
        return field_missing_error(err, content_path);
    return add_message(t, m.role.value, m.content.value, m.name.value, content_path, err);
}

enum err_code messages_from_chat(struct turn *t, const json_t *messages, struct err *err)
{
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < json_array_size(messages) && !code; i++)
        code = add_chat_message(t, json_array_get(messages, i), arena_printf(&t->arena, "messages[%zu]", i),
                                err);
    return code;
}

const struct field_table message_tables[] = {
    { "input[]", item_message_rows, ARRAY_LEN(item_message_rows) },
    { "input[] (reasoning)", item_reasoning_rows, ARRAY_LEN(item_reasoning_rows) },
    { "input[] (item_reference)", item_reference_rows, ARRAY_LEN(item_reference_rows) },
    { "content[]", part_rows, ARRAY_LEN(part_rows) },
    { "messages[]", chat_message_rows, ARRAY_LEN(chat_message_rows) },
    { NULL, NULL, 0 },
};
