/*
 * tools.c - tool definitions and tool_choice: checked, brought into one form, repeated in the reply.
 *
 * This version offers no tool to the model. What that means follows from who would run the tool:
 *   - a hosted tool without a backend is accepted, repeated, and listed under thinkd.inactive_tools, because
 *     coding agents define web_search in every turn whether they need it or not;
 *   - functions and custom tools are the caller's to run, so dropping them would change what the caller gets:
 *     they are refused by name unless tool_choice is "none", which asks for no call anyway.
 * Four spellings of a function exist (flat, chat's nested one, parameters or input_schema); the flat one leaves.
 */
#include "api/api_impl.h"

enum tool_class { TOOL_FUNCTION, TOOL_CUSTOM, TOOL_HOSTED };

static const struct tool_type {
    const char *name;
    enum tool_class class;
} tool_types[] = {
    { "function", TOOL_FUNCTION },
    { "custom", TOOL_CUSTOM },
    { "web_search", TOOL_HOSTED },
    { "web_search_2025_08_26", TOOL_HOSTED },
    { "web_search_preview", TOOL_HOSTED },
    { "web_search_preview_2025_03_11", TOOL_HOSTED },
    { "file_search", TOOL_HOSTED },
    { "code_interpreter", TOOL_HOSTED },
    { "mcp", TOOL_HOSTED },
    { "image_generation", TOOL_HOSTED },
    { "computer", TOOL_HOSTED },
    { "computer_use_preview", TOOL_HOSTED },
    { "local_shell", TOOL_HOSTED },
    { "shell", TOOL_HOSTED },
    { "apply_patch", TOOL_HOSTED },
    { "tool_search", TOOL_HOSTED },
    { "programmatic_tool_calling", TOOL_HOSTED },
    { "namespace", TOOL_HOSTED },
};

static const char *const choice_words[] = { "none", "auto", "required", NULL };

static const struct tool_type *find_type(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(tool_types); i++)
        if (str_is(name, tool_types[i].name))
            return &tool_types[i];
    return NULL;
}

static enum err_code unknown_type(struct err *err, const char *param, struct str got)
{
    const char *names[ARRAY_LEN(tool_types) + 1] = { NULL };
    for (size_t i = 0; i < ARRAY_LEN(tool_types); i++)
        names[i] = tool_types[i].name;
    return field_value_error(err, param, got, names);
}

/* The type of a tool or of a tool_choice object; path names it in errors. A table of fields does not do here, since
 * each type has members of its own and stray ones are common in what clients send. */
static enum err_code read_type(const json_t *object, const char *path, const struct tool_type **out,
                               struct arena *arena, struct err *err)
{
    const char *param = arena_printf(arena, "%s.type", path);
    if (!json_is_object(object))
        return field_type_error(err, path, "an object", object);
    const json_t *type = json_object_get(object, "type");
    if (!type || json_is_null(type))
        return field_missing_error(err, param);
    if (!json_is_string(type))
        return field_type_error(err, param, "a string", type);
    *out = find_type(json_str(type));
    return *out ? ERR_OK : unknown_type(err, param, json_str(type));
}

/* Copies body[from] to out[key] when it is there and of the right type; null otherwise. */
static enum err_code copy_member(json_t *out, const char *key, const json_t *body, const char *from,
                                 bool (*is)(const json_t *), const char *expected, const char *path,
                                 struct arena *arena, struct err *err)
{
    json_t *v = json_object_get(body, from);
    if (v && !json_is_null(v) && !is(v))
        return field_type_error(err, arena_printf(arena, "%s.%s", path, from), expected, v);
    json_object_set_new(out, key, v ? json_deep_copy(v) : json_null());
    return ERR_OK;
}

static bool is_string(const json_t *v)
{
    return json_is_string(v);
}
static bool is_object(const json_t *v)
{
    return json_is_object(v);
}
static bool is_boolean(const json_t *v)
{
    return json_is_boolean(v);
}

bool tool_name_is_good(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
              c == '-'))
            return false;
    }
    return name.len >= 1 && name.len <= 64;
}

/* Functions and custom tools share one space of names: a call says the name alone. */
static bool name_taken(const json_t *list, struct str name)
{
    size_t i;
    json_t *tool;
    json_array_foreach((json_t *)list, i, tool)
    {
        const json_t *other = json_object_get(tool, "name");
        if (json_is_string(other) && str_eq(json_str(other), name))
            return true;
    }
    return false;
}

/* Members that are absent become null: the reply's readers want all of them. parameters wins over input_schema, and
 * what else stands in the definition is left out of the flat form. */
static enum err_code add_function(struct tools *t, const json_t *tool, const struct tool_type *type,
                                  const char *path, struct arena *arena, struct err *err)
{
    const json_t *nested = json_object_get(tool, type->name); /* {type, function: {...}} */
    const json_t *body = json_is_object(nested) ? nested : tool;
    if (body == nested)
        path = arena_printf(arena, "%s.%s", path, type->name);
    const char *param = arena_printf(arena, "%s.name", path);
    const json_t *name = json_object_get(body, "name");
    if (!name || json_is_null(name))
        return field_missing_error(err, param);
    if (!json_is_string(name))
        return field_type_error(err, param, "a string", name);
    if (!tool_name_is_good(json_str(name)))
        return err_set(err, ERR_INVALID_VALUE, param,
                       "Invalid '%s': expected 1 to 64 letters, digits, '_' or '-'.", param);
    if (name_taken(t->list, json_str(name)))
        return err_set(err, ERR_INVALID_VALUE, param, "Invalid '%s': the name '%s' is used by another tool.",
                       param, json_string_value(name));
    json_t *out = json_object();
    json_array_append_new(t->list, out);
    json_object_set_new(out, "type", json_string(type->name));
    json_object_set_new(out, "name", json_string(json_string_value(name)));
    enum err_code code =
        copy_member(out, "description", body, "description", is_string, "a string", path, arena, err);
    if (type->class == TOOL_CUSTOM)
        return code ? code
                    : copy_member(out, "format", body, "format", is_object, "an object", path, arena, err);
    const char *schema = json_object_get(body, "parameters") ? "parameters" : "input_schema";
    if (!code)
        code = copy_member(out, "parameters", body, schema, is_object, "an object", path, arena, err);
    if (!code)
        code = copy_member(out, "strict", body, "strict", is_boolean, "a boolean", path, arena, err);
    return code;
}

static enum err_code add_tool(struct tools *t, const json_t *tool, const char *path, struct arena *arena,
                              struct err *err)
{
    const struct tool_type *type;
    enum err_code code = read_type(tool, path, &type, arena, err);
    if (code)
        return code;
    if (type->class != TOOL_HOSTED)
        return add_function(t, tool, type, path, arena, err);
    json_array_append_new(t->list, json_deep_copy(tool));
    json_array_append_new(t->inactive, json_string(type->name));
    return ERR_OK;
}

/* --- tool_choice ------------------------------------------------------------------------------------- */

/* An object that names one tool. Forcing a call is not possible yet, so what is well formed is unsupported. */
static enum err_code check_choice_object(const struct tools *t, const json_t *choice, struct arena *arena,
                                         struct err *err)
{
    const json_t *type = json_object_get(choice, "type");
    if (json_is_string(type) && str_is(json_str(type), "allowed_tools"))
        return refuse_unsupported(err, "tool_choice", "allowed_tools", NULL);
    const struct tool_type *found;
    enum err_code code = read_type(choice, "tool_choice", &found, arena, err);
    if (code)
        return code;
    if (found->class == TOOL_HOSTED)
        return refuse_unsupported(err, "tool_choice", found->name, "by this server: the tool has no backend");
    const json_t *nested = json_object_get(choice, found->name);
    const json_t *name = json_object_get(json_is_object(nested) ? nested : choice, "name");
    if (!json_is_string(name))
        return field_missing_error(err, "tool_choice.name");
    if (!name_taken(t->list, json_str(name)))
        return err_set(err, ERR_INVALID_VALUE, "tool_choice",
                       "Tool choice '%s' not found in 'tools' parameter.", found->name);
    return refuse_unsupported(err, "tool_choice", found->name, NULL);
}

/* Checks before the tools are known to be offered: a word outside the list is the caller's mistake, "required" is ours. */
static enum err_code check_choice(const struct tools *t, const json_t *choice, struct arena *arena,
                                  struct err *err)
{
    if (json_is_object(choice))
        return check_choice_object(t, choice, arena, err);
    if (!json_is_string(choice))
        return field_type_error(err, "tool_choice", "a string or an object", choice);
    struct str word = json_str(choice);
    if (str_is(word, "required"))
        return refuse_unsupported(err, "tool_choice", "required", NULL);
    if (!str_is(word, "none") && !str_is(word, "auto"))
        return field_value_error(err, "tool_choice", word, choice_words);
    return ERR_OK;
}

/* The first tool that the model would have to be able to call, if tool_choice lets it. */
static enum err_code refuse_callable(const struct tools *t, struct arena *arena, struct err *err)
{
    size_t i;
    json_t *tool;
    if (json_is_string(t->choice) && str_is(json_str(t->choice), "none"))
        return ERR_OK;
    json_array_foreach(t->list, i, tool)
    {
        struct str type = json_str(json_object_get(tool, "type"));
        if (find_type(type)->class == TOOL_HOSTED)
            continue;
        return err_set(
            err, ERR_UNSUPPORTED_PARAMETER, arena_printf(arena, "tools[%zu].type", i),
            "Tools of type '%.*s' are not supported by this server yet, except with tool_choice 'none'.",
            STR_ARG(type));
    }
    return ERR_OK;
}

enum err_code tools_decode(struct tools *out, const json_t *tools, const json_t *choice, struct arena *arena,
                           struct err *err)
{
    enum err_code code = ERR_OK;
    out->list = json_array();
    out->inactive = json_array();
    for (size_t i = 0; i < json_array_size(tools) && !code; i++)
        code = add_tool(out, json_array_get(tools, i), arena_printf(arena, "tools[%zu]", i), arena, err);
    if (!code && choice)
        code = check_choice(out, choice, arena, err);
    if (code)
        return code;
    out->choice = choice ? json_deep_copy(choice) : json_string("auto");
    return refuse_callable(out, arena, err);
}

void tools_free(struct tools *t)
{
    json_decref(t->list);
    json_decref(t->choice);
    json_decref(t->inactive);
}
