/*
 * tools.c - tool definitions and tool_choice: checked, brought into one form, repeated in the reply, given to the model.
 *
 * Functions and custom tools are the caller's to run. Which of them may be called, whether one must be and how many, becomes a
 * grammar here, on a worker, so a call that the model makes can always be read and keeps its schema. A hosted tool without a backend is
 * accepted, repeated, and listed under thinkd.inactive_tools, because coding agents define web_search in every turn
 * whether they need it or not.
 *
 * Four spellings of a function exist (flat, chat's nested one, parameters or input_schema); the flat one leaves.
 *
 * A model whose template shows tools is shown them there. Any other is told by a system message what there is and how a call is
 * written; the grammar sees to it that it is written so.
 *
 * Threads: http's workers and whoever builds jobs again.
 */
#include "api/api_impl.h"

#include "grammar/grammar.h"

#include <string.h>

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

/* A custom tool's format: any text, or a grammar, which chat has in an object of its own. */
static enum err_code check_format(json_t *out, const char *path, struct arena *arena, struct err *err)
{
    static const char *const types[] = { "text", "grammar", NULL }, *const syntaxes[] = { "lark", "regex",
                                                                                          NULL };
    path = arena_printf(arena, "%s.format", path);
    json_t *format = json_object_get(out, "format");
    struct str type = json_str(json_object_get(format, "type"));
    if (!json_is_object(format) || str_is(type, "text"))
        return ERR_OK;
    if (!str_is(type, "grammar"))
        return json_is_string(json_object_get(format, "type"))
                   ? field_value_error(err, arena_printf(arena, "%s.type", path), type, types)
                   : field_missing_error(err, arena_printf(arena, "%s.type", path));
    const json_t *nested = json_object_get(format, "grammar");
    const json_t *from = json_is_object(nested) ? nested : format;
    struct str syntax = json_str(json_object_get(from, "syntax"));
    if (!json_is_string(json_object_get(from, "syntax")))
        return field_missing_error(err, arena_printf(arena, "%s.syntax", path));
    if (!str_is(syntax, "lark") && !str_is(syntax, "regex"))
        return field_value_error(err, arena_printf(arena, "%s.syntax", path), syntax, syntaxes);
    if (!json_is_string(json_object_get(from, "definition")))
        return field_missing_error(err, arena_printf(arena, "%s.definition", path));
    json_object_set_new(out, "format",
                        json_pack("{s:s, s:O, s:O}", "type", "grammar", "syntax",
                                  json_object_get(from, "syntax"), "definition",
                                  json_object_get(from, "definition")));
    return ERR_OK;
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
    if (type->class == TOOL_CUSTOM && !code)
        code = copy_member(out, "format", body, "format", is_object, "an object", path, arena, err);
    if (type->class == TOOL_CUSTOM)
        return code ? code : check_format(out, path, arena, err);
    const json_t *parameters = json_object_get(body, "parameters");
    const char *schema = parameters && !json_is_null(parameters) ? "parameters" : "input_schema";
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

/* Whether a tool of that type and name is among them. */
static bool has_tool(const struct tools *t, const char *type, struct str name)
{
    for (size_t i = 0; i < json_array_size(t->list); i++) {
        const json_t *tool = json_array_get(t->list, i);
        if (str_is(json_str(json_object_get(tool, "type")), type) &&
            str_eq(json_str(json_object_get(tool, "name")), name))
            return true;
    }
    return false;
}

/* The tool that an object names goes to t->only. */
static enum err_code choose(struct tools *t, const json_t *named, const struct tool_type *type,
                            const char *path, struct arena *arena, struct err *err)
{
    const json_t *nested = json_object_get(named, type->name);
    const json_t *name = json_object_get(json_is_object(nested) ? nested : named, "name");
    if (!json_is_string(name))
        return field_missing_error(err, arena_printf(arena, "%s.name", path));
    if (!has_tool(t, type->name, json_str(name)))
        return err_set(err, ERR_INVALID_VALUE, "tool_choice",
                       "Tool choice '%s' not found in 'tools' parameter.", type->name);
    json_array_append_new(t->only, json_copy((json_t *)name));
    return ERR_OK;
}

/* Hosted tools may be among those that are allowed: they stay inactive. */
static enum err_code choose_allowed(struct tools *t, const json_t *body, const char *path,
                                    struct arena *arena, struct err *err)
{
    static const char *const modes[] = { "auto", "required", NULL };
    const json_t *mode = json_object_get(body, "mode"), *list = json_object_get(body, "tools");
    const char *list_path = arena_printf(arena, "%s.tools", path);
    enum err_code code = ERR_OK;
    if (mode && !json_is_null(mode) && !str_is(json_str(mode), "auto") && !str_is(json_str(mode), "required"))
        return field_value_error(err, arena_printf(arena, "%s.mode", path), json_str(mode), modes);
    if (!json_is_array(list))
        return list ? field_type_error(err, list_path, "an array", list)
                    : field_missing_error(err, list_path);
    t->required = str_is(json_str(mode), "required");
    for (size_t i = 0; i < json_array_size(list) && !code; i++) {
        const struct tool_type *type;
        const char *at = arena_printf(arena, "%s[%zu]", list_path, i);
        code = read_type(json_array_get(list, i), at, &type, arena, err);
        if (!code && type->class != TOOL_HOSTED)
            code = choose(t, json_array_get(list, i), type, at, arena, err);
    }
    return code;
}

static enum err_code read_choice_object(struct tools *t, const json_t *choice, struct arena *arena,
                                        struct err *err)
{
    const json_t *type = json_object_get(choice, "type"), *nested = json_object_get(choice, "allowed_tools");
    const struct tool_type *found;
    t->only = json_array();
    if (json_is_string(type) && str_is(json_str(type), "allowed_tools"))
        return json_is_object(nested) ? choose_allowed(t, nested, "tool_choice.allowed_tools", arena, err)
                                      : choose_allowed(t, choice, "tool_choice", arena, err);
    enum err_code code = read_type(choice, "tool_choice", &found, arena, err);
    if (code)
        return code;
    if (found->class == TOOL_HOSTED)
        return refuse_unsupported(err, "tool_choice", found->name, "by this server: the tool has no backend");
    t->required = true;
    return choose(t, choice, found, "tool_choice", arena, err);
}

static enum err_code read_choice(struct tools *t, const json_t *choice, struct arena *arena, struct err *err)
{
    if (json_is_object(choice))
        return read_choice_object(t, choice, arena, err);
    if (!json_is_string(choice))
        return field_type_error(err, "tool_choice", "a string or an object", choice);
    struct str word = json_str(choice);
    t->none = str_is(word, "none");
    t->required = str_is(word, "required");
    return t->none || t->required || str_is(word, "auto")
               ? ERR_OK
               : field_value_error(err, "tool_choice", word, choice_words);
}

/* As it was given, with the mode that was meant. */
static json_t *shown_choice(const json_t *choice)
{
    json_t *shown = choice ? json_deep_copy(choice) : json_string("auto");
    bool allowed = str_is(json_str(json_object_get(shown, "type")), "allowed_tools");
    if (allowed && json_object_get(shown, "tools") && !json_is_string(json_object_get(shown, "mode")))
        json_object_set_new(shown, "mode", json_string("auto"));
    return shown;
}

static bool may_call(const struct tools *t, const json_t *tool)
{
    const json_t *name = json_object_get(tool, "name");
    bool allowed = !t->only;
    for (size_t i = 0; i < json_array_size(t->only); i++)
        allowed |= json_equal(json_array_get(t->only, i), name);
    return allowed && !t->none && find_type(json_str(json_object_get(tool, "type")))->class != TOOL_HOSTED;
}

bool tools_may_call(const struct tools *t)
{
    for (size_t i = 0; i < json_array_size(t->list); i++)
        if (may_call(t, json_array_get(t->list, i)))
            return true;
    return false;
}

/* A call is demanded where none can be made. */
static enum err_code refuse_empty(const struct tools *t, struct err *err)
{
    if (!t->required || tools_may_call(t))
        return ERR_OK;
    if (json_array_size(t->inactive))
        return refuse_unsupported(err, "tool_choice", "required",
                                  "by this server: the tools it could mean have no backend");
    return err_set(err, ERR_INVALID_VALUE, "tool_choice",
                   "A tool_choice that demands a call is only allowed when 'tools' are specified.");
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
        code = read_choice(out, choice, arena, err);
    if (!code)
        code = refuse_empty(out, err);
    out->choice = shown_choice(choice);
    return code;
}

/* --- what the model gets -------------------------------------------------------------------------------- */

/* A custom tool is shown as the function that its calls look like. */
static json_t *input_parameters(const json_t *tool)
{
    const json_t *definition = json_object_get(json_object_get(tool, "format"), "definition");
    json_t *input = json_pack("{s:s}", "type", "string");
    if (json_is_string(definition))
        json_object_set_new(input, "description", json_copy((json_t *)definition));
    return json_pack("{s:s, s:{s:o}, s:[s]}", "type", "object", "properties", "input", input, "required",
                     "input");
}

static json_t *offered_tool(const json_t *tool)
{
    json_t *function = json_object(), *parameters = json_object_get(tool, "parameters");
    bool custom = str_is(json_str(json_object_get(tool, "type")), "custom");
    json_object_set(function, "name", json_object_get(tool, "name"));
    if (json_is_string(json_object_get(tool, "description")))
        json_object_set(function, "description", json_object_get(tool, "description"));
    json_object_set_new(function, "parameters",
                        custom ? input_parameters(tool)
                        : json_is_object(parameters)
                            ? json_deep_copy(parameters)
                            : json_pack("{s:s, s:{}}", "type", "object", "properties"));
    return json_pack("{s:s, s:o}", "type", "function", "function", function);
}

static const struct engine_info *info_of(const struct turn *t)
{
    return engine_info(conductor_engine(t->api->conductor));
}

const json_t *tools_shown(const struct turn *t)
{
    return info_of(t)->shows_tools ? t->tools.offered : NULL;
}

void tools_instruct(struct turn *t)
{
    struct buf text = { 0 };
    if (!t->tools.calls || info_of(t)->shows_tools)
        return;
    buf_puts(&text, "You may call these tools:\n");
    for (size_t i = 0; i < json_array_size(t->tools.offered); i++) {
        json_dump(&text, json_object_get(json_array_get(t->tools.offered, i), "function"));
        buf_putc(&text, '\n');
    }
    buf_printf(&text, "%s with a call that is written like this:\n",
               t->tools.required ? "Reply" : "Where a tool helps, end your reply");
    calls_example(t->tools.calls, &text);
    messages_instruct(t, buf_str(&text));
    buf_free(&text);
}

/* --- what it may write ------------------------------------------------------------------------------------ */

/* Whose fault it is, in the words of the request: what stands at `at` is a tool as it was spelled there. */
static enum err_code say_wrong(const struct turn *t, size_t at, struct arena *arena, struct err *err)
{
    const json_t *tool = json_array_get(t->tools.list, at);
    const json_t *asked = json_array_get(json_object_get(t->doc, "tools"), at);
    const char *type = json_string_value(json_object_get(tool, "type"));
    bool custom = type && strcmp(type, "custom") == 0;
    const char *why = arena_strdup(arena, err->message);
    if (!tool)
        return err_set(err, err->code, "tools", "These tools cannot be offered together: %s", why);
    const char *nested = json_is_object(json_object_get(asked, type)) ? type : "";
    const char *param = arena_printf(arena, "tools[%zu]%s%s.%s", at, *nested ? "." : "", nested,
                                     custom                                ? "format"
                                     : json_object_get(tool, "parameters") ? "parameters"
                                                                           : "name");
    return err_set(err, err->code, param, "Invalid %s '%s': %s",
                   custom ? "grammar for tool" : "schema for function",
                   json_string_value(json_object_get(tool, "name")), why);
}

static void key_of(const struct turn *t, const struct calls_options *o, char key[SHA256_HEX_SIZE])
{
    struct buf text = { 0 };
    buf_printf(&text, "%s %d %d %d ", o->form ? o->form : "", o->text, o->parallel, o->answer_strict);
    json_dump(&text, t->tools.list);
    if (o->only)
        json_dump(&text, o->only);
    buf_putc(&text, '\n');
    if (o->answer)
        json_dump(&text, o->answer);
    sha256_hex(key, (const struct str[]){ STR("calls\n"), buf_str(&text) }, 2);
    buf_free(&text);
}

static enum err_code compile(struct turn *t, const struct calls_options *o, struct err *err)
{
    struct format made = { 0 };
    char key[SHA256_HEX_SIZE];
    size_t at;
    enum err_code code = ERR_OK;
    key_of(t, o, key);
    calls_open(&t->tools.calls, t->tools.list, o);
    if (!formats_take(t->api->formats, key, &made)) {
        code = grammar_open_calls(&made.grammar, t->tools.calls, t->tools.list, o, &made.omitted, &at, err);
        if (code)
            return say_wrong(t, at, &t->arena, err);
        formats_keep(t->api->formats, key, &made);
    }
    t->tools.grammar = made.grammar;
    t->tools.omitted = made.omitted;
    return code;
}

/* An answer by a schema, beside calls, may be refused. */
static enum err_code compile_refusal(struct turn *t, struct err *err)
{
    const struct engine_info *info = info_of(t);
    struct format made = { 0 };
    char key[SHA256_HEX_SIZE];
    sha256_hex(key, (const struct str[]){ STR("refusal\n"), str_from(info->calls ? info->calls : "") }, 2);
    if (!formats_take(t->api->formats, key, &made)) {
        enum err_code code =
            grammar_open_refusal(&made.grammar, str_from(info->refusal), t->tools.calls, err);
        if (code)
            return code;
        formats_keep(t->api->formats, key, &made);
    }
    t->tools.refusal = made.grammar;
    return ERR_OK;
}

enum err_code tools_bind(struct turn *t, bool parallel, struct err *err)
{
    struct tools *tools = &t->tools;
    if (!tools_may_call(tools))
        return ERR_OK;
    json_t *object = json_pack("{s:s}", "type", "object");
    const json_t *schema = json_object_get(t->format.shown, "schema");
    const struct calls_options o = {
        .form = info_of(t)->calls,
        .only = tools->only,
        .text = !tools->required,
        .parallel = parallel,
        .answer = !t->format.grammar || tools->required ? NULL
                  : schema                              ? schema
                                                        : object,
        .answer_strict = json_is_true(json_object_get(t->format.shown, "strict")),
    };
    enum err_code code = compile(t, &o, err);
    json_decref(object);
    if (!code && schema && !tools->required && info_of(t)->refusal)
        code = compile_refusal(t, err);
    tools->offered = json_array();
    for (size_t i = 0; i < json_array_size(tools->list); i++)
        if (may_call(tools, json_array_get(tools->list, i)))
            json_array_append_new(tools->offered, offered_tool(json_array_get(tools->list, i)));
    return code;
}

void tools_free(struct tools *t)
{
    json_decref(t->list);
    json_decref(t->choice);
    json_decref(t->inactive);
    json_decref(t->only);
    json_decref(t->omitted);
    json_decref(t->offered);
    calls_unref(t->calls);
    grammar_unref(t->grammar);
    grammar_unref(t->refusal);
}
