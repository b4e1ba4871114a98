/*
 * items.c - input items as they are kept and shown again.
 *
 * A client may leave out what the API fills in: the type of a message, ids, a status, the array around a single text.
 * Conversations, the input of stored responses and input_items show one form, and it is made here, once: `type` and `id`
 * first, then the status, then the members of the item's table in the table's order.
 *
 * Messages, function calls, custom calls, their outputs, reasoning, compaction and configuration updates are checked member by
 * member. Calls of hosted tools come back from clients as history; they are kept as they were sent, with an id.
 *
 * Ownership: a new item shares its values with the one it was made from, by reference count.
 * Threads: any; no state.
 */
#include "api/api_impl.h"

#include "base/clock.h"
#include "base/rng.h"

#include <inttypes.h>
#include <stdio.h>

#define ID_TIME_DIGITS   12 /* of them: milliseconds */
#define INPUT_CHARS_MAX  10485760
#define SEALED_CHARS_MAX 20971520

static const char *const roles[] = { "user", "assistant", "system", "developer", NULL };
static const char *const phases[] = { "commentary", "final_answer", NULL };
static const char *const statuses[] = { "in_progress", "completed", "incomplete", NULL };
enum { ROLE_ASSISTANT = 1 };

/* What the tables below decode into: every member that any of them has. */
struct members {
    struct field_string id, call_id, name, namespace, arguments, input, encrypted_content;
    struct field_enum role, phase, status, effort;
    struct field_json content, output, summary, caller, reasoning, text, format;
};

/* Adds the value that object has under name, if any. */
void keep_member(json_t *out, const json_t *object, const char *name)
{
    json_t *v = json_object_get(object, name);
    if (v && !json_is_null(v))
        json_object_set(out, name, v);
}

void keep_member_or(json_t *out, const json_t *object, const char *name, json_t *otherwise)
{
    keep_member(out, object, name);
    if (json_object_get(out, name))
        json_decref(otherwise);
    else
        json_object_set_new(out, name, otherwise);
}

/* The time first, so that what was made one after the other stands side by side in the store's indexes: a commit then changes
 * a few pages at their end and not one for each id anywhere. The 144 random bits behind it are what nobody guesses. */
void id_make(char id[ID_SIZE], const char *prefix)
{
    int n = snprintf(id, ID_SIZE, "%.*s%0*" PRIx64, ID_PREFIX_MAX, prefix, ID_TIME_DIGITS,
                     (uint64_t)clock_wall_ms() & 0xffffffffffff);
    rng_os_hex(id + n, ID_HEX_DIGITS - ID_TIME_DIGITS);
}

char *new_id(struct arena *arena, const char *prefix)
{
    char id[ID_SIZE];
    id_make(id, prefix);
    return arena_strdup(arena, id);
}

/* --- items ---------------------------------------------------------------------------------------------------- */

/* An item on its way. */
struct making {
    const json_t *sent;
    struct members m;
    const char *path;
    struct arena *arena;
};

static enum err_code set_parts(json_t *out, const struct making *k, const char *name, const json_t *content,
                               bool assistant, struct err *err)
{
    json_t *parts;
    enum err_code code = parts_normalise(&parts, content, assistant,
                                         arena_printf(k->arena, "%s.%s", k->path, name), k->arena, err);
    json_object_set_new(out, name, parts);
    return code;
}

/* A string becomes the one part that says the same. */
static enum err_code make_message(json_t *out, struct making *k, struct err *err)
{
    const json_t *content = k->m.content.value;
    const char *param = arena_printf(k->arena, "%s.content", k->path);
    bool assistant = k->m.role.value == ROLE_ASSISTANT;
    if (json_is_array(content))
        return set_parts(out, k, "content", content, assistant, err);
    if (!json_is_string(content))
        return field_type_error(err, param, "a string or an array of content parts", content);
    json_t *part = json_object(), *parts = json_array();
    json_object_set_new(part, "type", json_string(assistant ? "output_text" : "input_text"));
    json_object_set(part, "text", (json_t *)content);
    if (assistant) {
        json_object_set_new(part, "annotations", json_array());
        json_object_set_new(part, "logprobs", json_array());
    }
    json_array_append_new(parts, part);
    json_object_set_new(out, "content", parts);
    return field_string_check(err, param, json_str(content), 0, INPUT_CHARS_MAX);
}

/* A tool's output stays a string where it is one. */
static enum err_code make_output(json_t *out, struct making *k, struct err *err)
{
    const json_t *output = k->m.output.value;
    const char *param = arena_printf(k->arena, "%s.output", k->path);
    if (json_is_array(output))
        return set_parts(out, k, "output", output, false, err);
    if (json_is_string(output))
        return field_string_check(err, param, json_str(output), 0, INPUT_CHARS_MAX);
    return field_type_error(err, param, "a string or an array of content parts", output);
}

static enum err_code make_reasoning(json_t *out, struct making *k, struct err *err)
{
    (void)err;
    if (!k->m.summary.set)
        json_object_set_new(out, "summary", json_array());
    return ERR_OK;
}

static const struct field configured_reasoning_rows[] = {
    { FIELD_ROW(ENUM, members, effort), .values = effort_names },
};
static const struct field configured_text_rows[] = {
    { FIELD_ROW(OBJECT, members, format), .required = true },
};

/* What the format says beyond its type is read where a response has it: that takes a model. */
static enum err_code check_configured_text(struct making *k, struct err *err)
{
    static const char *const types[] = { "text", "json_schema", NULL };
    const char *path = arena_printf(k->arena, "%s.text", k->path);
    enum err_code code = fields_decode(k->m.text.value, configured_text_rows, ARRAY_LEN(configured_text_rows),
                                       path, &k->m, k->arena, err);
    const json_t *type = code ? NULL : json_object_get(k->m.format.value, "type");
    const char *param = arena_printf(k->arena, "%s.format.type", path);
    if (code)
        return code;
    if (!type || json_is_null(type))
        return field_missing_error(err, param);
    if (!json_is_string(type))
        return field_type_error(err, param, "a string", type);
    if (!str_is(json_str(type), types[0]) && !str_is(json_str(type), types[1]))
        return field_value_error(err, param, json_str(type), types);
    return ERR_OK;
}

static enum err_code make_configuration(json_t *out, struct making *k, struct err *err)
{
    enum err_code code = ERR_OK;
    (void)out;
    if (!k->m.reasoning.set && !k->m.text.set)
        return err_set(err, ERR_MISSING_PARAMETER, k->path,
                       "Invalid '%s': a configuration update needs 'reasoning' or 'text'.", k->path);
    if (k->m.reasoning.set)
        code = fields_decode(k->m.reasoning.value, configured_reasoning_rows,
                             ARRAY_LEN(configured_reasoning_rows),
                             arena_printf(k->arena, "%s.reasoning", k->path), &k->m, k->arena, err);
    if (!code && k->m.text.set)
        code = check_configured_text(k, err);
    return code;
}

static const struct field message_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(STRING, members, id), .min = 1, .max = ITEM_ID_CHARS_MAX },
    { FIELD_ROW(ENUM, members, status), .values = statuses },
    { FIELD_ROW(ENUM, members, role), .values = roles, .required = true },
    { FIELD_ROW(ANY, members, content), .required = true },
    { FIELD_ROW(ENUM, members, phase), .values = phases },
};
static const struct field call_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(STRING, members, id), .min = 1, .max = ITEM_ID_CHARS_MAX },
    { FIELD_ROW(ENUM, members, status), .values = statuses },
    { FIELD_ROW(STRING, members, call_id), .min = 1, .max = CALL_ID_CHARS, .required = true },
    { FIELD_ROW(STRING, members, name), .min = 1, .max = TOOL_NAME_CHARS, .required = true },
    { FIELD_ROW(STRING, members, arguments), .required = true },
    { FIELD_ROW(STRING, members, namespace), .max = TOOL_NAME_CHARS },
    { FIELD_ROW(OBJECT, members, caller) },
};
static const struct field custom_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(STRING, members, id), .min = 1, .max = ITEM_ID_CHARS_MAX },
    { FIELD_ROW(ENUM, members, status), .values = statuses },
    { FIELD_ROW(STRING, members, call_id), .min = 1, .max = CALL_ID_CHARS, .required = true },
    { FIELD_ROW(STRING, members, name), .min = 1, .max = TOOL_NAME_CHARS, .required = true },
    { FIELD_ROW(STRING, members, input), .required = true },
    { FIELD_ROW(STRING, members, namespace), .max = TOOL_NAME_CHARS },
    { FIELD_ROW(OBJECT, members, caller) },
};
static const struct field output_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(STRING, members, id), .min = 1, .max = ITEM_ID_CHARS_MAX },
    { FIELD_ROW(ENUM, members, status), .values = statuses },
    { FIELD_ROW(STRING, members, call_id), .min = 1, .max = CALL_ID_CHARS, .required = true },
    { FIELD_ROW(ANY, members, output), .required = true },
    { FIELD_ROW(STRING, members, name), .max = TOOL_NAME_CHARS },
    { FIELD_ROW(STRING, members, namespace), .max = TOOL_NAME_CHARS },
    { FIELD_ROW(OBJECT, members, caller) },
};
static const struct field reasoning_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(STRING, members, id), .min = 1, .max = ITEM_ID_CHARS_MAX },
    { FIELD_ROW(ENUM, members, status), .values = statuses },
    { FIELD_ROW(ARRAY, members, summary) },
    { FIELD_ROW(ARRAY, members, content) },
    { FIELD_ROW(STRING, members, encrypted_content), .max = SEALED_CHARS_MAX },
};
static const struct field compaction_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(STRING, members, id), .min = 1, .max = ITEM_ID_CHARS_MAX },
    { FIELD_ROW(ENUM, members, status), .values = statuses },
    { FIELD_ROW(STRING, members, encrypted_content), .max = SEALED_CHARS_MAX, .required = true },
    FIELD_DROP("created_by"),
};
static const struct field configuration_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(STRING, members, id), .min = 1, .max = ITEM_ID_CHARS_MAX },
    { FIELD_ROW(OBJECT, members, reasoning) },
    { FIELD_ROW(OBJECT, members, text) },
};
static const struct field reference_rows[] = {
    FIELD_DROP("type"),
    { FIELD_ROW(STRING, members, id), .min = 1, .max = ITEM_ID_CHARS_MAX, .required = true },
};

/* rows NULL: kept as it was sent. prefix NULL: no id is made. */
static const struct item_shape {
    const char *type, *prefix;
    const struct field *rows;
    size_t n_rows;
    enum err_code (*make)(json_t *out, struct making *k, struct err *err); /* what the rows do not say */
    bool status; /* "completed" where it was not sent */
} shapes[] = {
    { "message", "msg_", message_rows, ARRAY_LEN(message_rows), make_message, true },
    { "function_call", "fc_", call_rows, ARRAY_LEN(call_rows), NULL, true },
    { "function_call_output", "fco_", output_rows, ARRAY_LEN(output_rows), make_output, true },
    { "custom_tool_call", "ctc_", custom_rows, ARRAY_LEN(custom_rows), NULL, true },
    { "custom_tool_call_output", "ctco_", output_rows, ARRAY_LEN(output_rows), make_output, true },
    { "reasoning", "rs_", reasoning_rows, ARRAY_LEN(reasoning_rows), make_reasoning, true },
    { "compaction", "cmp_", compaction_rows, ARRAY_LEN(compaction_rows), NULL, true },
    { "configuration_update", "cfgu_", configuration_rows, ARRAY_LEN(configuration_rows), make_configuration,
      false },
    { "item_reference", NULL, reference_rows, ARRAY_LEN(reference_rows), NULL, false },
    { "web_search_call", "ws_", NULL, 0, NULL, false },
    { "file_search_call", "fs_", NULL, 0, NULL, false },
    { "code_interpreter_call", "ci_", NULL, 0, NULL, false },
    { "image_generation_call", "ig_", NULL, 0, NULL, false },
    { "computer_call", "cu_", NULL, 0, NULL, false },
    { "computer_call_output", "cuo_", NULL, 0, NULL, false },
    { "local_shell_call", "lsh_", NULL, 0, NULL, false },
    { "local_shell_call_output", "lsho_", NULL, 0, NULL, false },
    { "shell_call", "sh_", NULL, 0, NULL, false },
    { "shell_call_output", "sho_", NULL, 0, NULL, false },
    { "apply_patch_call", "apc_", NULL, 0, NULL, false },
    { "apply_patch_call_output", "apco_", NULL, 0, NULL, false },
    { "mcp_list_tools", "mcpl_", NULL, 0, NULL, false },
    { "mcp_approval_request", "mcpr_", NULL, 0, NULL, false },
    { "mcp_approval_response", "mcpa_", NULL, 0, NULL, false },
    { "mcp_call", "mcp_", NULL, 0, NULL, false },
    { "tool_search_call", "ts_", NULL, 0, NULL, false },
    { "tool_search_output", "tso_", NULL, 0, NULL, false },
    { "additional_tools", "at_", NULL, 0, NULL, false },
    { "program", "prog_", NULL, 0, NULL, false },
    { "program_output", "progo_", NULL, 0, NULL, false },
};

static enum err_code unknown_item(struct err *err, const char *param, struct str got)
{
    const char *names[ARRAY_LEN(shapes) + 1] = { NULL };
    for (size_t i = 0; shapes[i].rows; i++) /* those with a table come first, and are enough for a message */
        names[i] = shapes[i].type;
    return field_value_error(err, param, got, names);
}

struct str item_type_of(const json_t *item)
{
    const json_t *type = json_object_get(item, "type");
    if (json_is_string(type))
        return json_str(type);
    bool reference =
        json_object_get(item, "id") && !json_object_get(item, "role") && !json_object_get(item, "content");
    return reference ? STR("item_reference") : STR("message");
}

static enum err_code find_shape(const struct making *k, const struct item_shape **shape, struct err *err)
{
    const json_t *type = json_object_get(k->sent, "type");
    const char *param = arena_printf(k->arena, "%s.type", k->path);
    if (!json_is_object(k->sent))
        return field_type_error(err, k->path, "an object", k->sent);
    if (type && !json_is_null(type) && !json_is_string(type))
        return field_type_error(err, param, "a string", type);
    struct str name = item_type_of(k->sent);
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        if (str_is(name, shapes[i].type)) {
            *shape = &shapes[i];
            return ERR_OK;
        }
    return unknown_item(err, param, name);
}

/* type and id, the same for every item. */
static enum err_code begin_item(json_t *out, const struct making *k, const struct item_shape *shape,
                                struct err *err)
{
    const json_t *id = json_object_get(k->sent, "id");
    const char *param = arena_printf(k->arena, "%s.id", k->path);
    json_object_set_new(out, "type", json_string(shape->type));
    if (!id || json_is_null(id)) {
        json_object_set_new(out, "id", json_string(new_id(k->arena, shape->prefix)));
        return ERR_OK;
    }
    if (!json_is_string(id))
        return field_type_error(err, param, "a string", id);
    json_object_set(out, "id", (json_t *)id);
    return field_string_check(err, param, json_str(id), 1, ITEM_ID_CHARS_MAX);
}

static void keep_all(json_t *out, const json_t *sent)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)sent, key, v)
    {
        if (!json_is_null(v) && !json_object_get(out, key))
            json_object_set(out, key, v);
    }
}

static enum err_code make_item(json_t *out, struct making *k, const struct item_shape *shape, struct err *err)
{
    enum err_code code =
        shape->rows ? fields_decode(k->sent, shape->rows, shape->n_rows, k->path, &k->m, k->arena, err)
                    : ERR_OK;
    if (!code)
        code = begin_item(out, k, shape, err);
    if (code)
        return code;
    if (shape->status)
        keep_member_or(out, k->sent, "status", json_string("completed"));
    for (size_t i = 0; i < shape->n_rows; i++)
        if (shape->rows[i].kind != FIELD_IGNORED)
            keep_member(out, k->sent, shape->rows[i].name);
    if (!shape->rows)
        keep_all(out, k->sent);
    return shape->make ? shape->make(out, k, err) : ERR_OK;
}

enum err_code item_normalise(json_t **out, const json_t *item, const char *path, struct arena *arena,
                             struct err *err)
{
    struct making k = { .sent = item, .path = path, .arena = arena };
    const struct item_shape *shape = NULL;
    *out = NULL;
    enum err_code code = find_shape(&k, &shape, err);
    if (code)
        return code;
    json_t *made = json_object();
    code = make_item(made, &k, shape, err);
    if (code)
        json_decref(made);
    else
        *out = made;
    return code;
}

void item_new_id(json_t *item, struct arena *arena)
{
    struct str type = json_str(json_object_get(item, "type"));
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        if (str_is(type, shapes[i].type) && shapes[i].prefix)
            json_object_set_new(item, "id", json_string(new_id(arena, shapes[i].prefix)));
}

/* A string is one message of the user. */
static json_t *message_of(const json_t *text)
{
    json_t *item = json_object();
    json_object_set_new(item, "role", json_string("user"));
    json_object_set(item, "content", (json_t *)text);
    return item;
}

enum err_code items_normalise(json_t **out, const json_t *input, const char *path, struct arena *arena,
                              struct err *err)
{
    enum err_code code = ERR_OK;
    json_t *list = json_array(), *item, *one = json_is_string(input) ? message_of(input) : NULL;
    *out = NULL;
    if (one)
        code = field_string_check(err, path, json_str(input), 0, INPUT_CHARS_MAX);
    if (one && !code)
        code = item_normalise(&item, one, path, arena, err);
    else if (!one && !json_is_array(input))
        code = field_type_error(err, path, "a string or an array of items", input);
    if (one && !code)
        json_array_append_new(list, item);
    for (size_t i = 0; !one && !code && i < json_array_size(input); i++) {
        code = item_normalise(&item, json_array_get(input, i), arena_printf(arena, "%s[%zu]", path, i), arena,
                              err);
        if (!code)
            json_array_append_new(list, item);
    }
    json_decref(one);
    if (code)
        json_decref(list);
    else
        *out = list;
    return code;
}

const struct field_table item_tables[] = {
    { "item: message", message_rows, ARRAY_LEN(message_rows) },
    { "item: function_call", call_rows, ARRAY_LEN(call_rows) },
    { "item: custom_tool_call", custom_rows, ARRAY_LEN(custom_rows) },
    { "item: outputs", output_rows, ARRAY_LEN(output_rows) },
    { "item: reasoning", reasoning_rows, ARRAY_LEN(reasoning_rows) },
    { "item: compaction", compaction_rows, ARRAY_LEN(compaction_rows) },
    { "item: configuration_update", configuration_rows, ARRAY_LEN(configuration_rows) },
    { "item: configuration_update.reasoning", configured_reasoning_rows,
      ARRAY_LEN(configured_reasoning_rows) },
    { "item: configuration_update.text", configured_text_rows, ARRAY_LEN(configured_text_rows) },
    { "item: item_reference", reference_rows, ARRAY_LEN(reference_rows) },
    { NULL, NULL, 0 },
};
