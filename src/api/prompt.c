/*
 * prompt.c - a request that names a prompt template: the template's fields go into the request's body.
 *
 * It happens before the field table sees the body, so that what a template gives is checked like anything that a
 * request says. The request wins field by field: a member that it has is left alone, whole. Values of variables are put
 * in once and not looked at again, so that no value can bring variables of its own.
 *
 * A variable that is an image or a file makes a message of several parts of the text that it stands in.
 *
 * Threads: http's workers; templates are read-only, and what a body gets of them is copied.
 */
#include "api/api_impl.h"

#include <string.h>

struct prompt_body {
    struct field_string id, version;
    struct field_json variables;
};
static const struct field prompt_rows[] = {
    { FIELD_ROW(STRING, prompt_body, id), .required = true },
    { FIELD_ROW(STRING, prompt_body, version) },
    { FIELD_ROW(OBJECT, prompt_body, variables) },
};

const struct field_table prompt_tables[] = {
    { "responses.prompt", prompt_rows, ARRAY_LEN(prompt_rows) },
    { NULL, NULL, 0 },
};

bool api_is_request_field(const char *name)
{
    const struct field_table *t = &responses_tables[0];
    for (size_t i = 0; i < t->n; i++)
        if (t->rows[i].kind != FIELD_UNBUILT && str_is(str_from(name), t->rows[i].name))
            return true;
    return false;
}

/* A template, and what the request puts in its variables' places. */
struct filling {
    const struct prompt_template *t;
    const json_t *values; /* an object or NULL */
    struct arena *arena;
    struct err *err;
};

/* --- values --------------------------------------------------------------------------------------------- */

static const json_t *given(const struct filling *f, const char *name)
{
    const json_t *v = json_object_get(f->values, name);
    return json_is_null(v) ? NULL : v;
}

/* What a variable of each kind may be given as, and how that is called. */
static const struct value_kind {
    const char *part_types[2], *expected;
} value_kinds[PROMPT_KINDS] = {
    [PROMPT_TEXT] = { { "input_text", "text" }, "a string or an input_text part" },
    [PROMPT_IMAGE] = { { "input_image", "image_url" }, "an input_image part" },
    [PROMPT_FILE] = { { "input_file", "file" }, "an input_file part" },
};

static enum err_code check_value(const struct filling *f, const struct prompt_variable *v)
{
    const char *param = arena_printf(f->arena, "prompt.variables.%s", v->name);
    const json_t *value = given(f, v->name);
    if (!value)
        return v->required ? field_missing_error(f->err, param) : ERR_OK;
    if (json_is_string(value) && v->kind == PROMPT_TEXT)
        return ERR_OK;
    struct str type = json_str(json_object_get(value, "type"));
    const struct value_kind *kind = &value_kinds[v->kind];
    bool fits = str_is(type, kind->part_types[0]) || str_is(type, kind->part_types[1]);
    if (fits && v->kind == PROMPT_TEXT)
        fits = json_is_string(json_object_get(value, "text"));
    return fits ? ERR_OK : field_type_error(f->err, param, kind->expected, value);
}

/* All of a template's variables, wherever they stand; and none that it does not have. */
static enum err_code check_values(const struct filling *f)
{
    enum err_code code = ERR_OK;
    const char *name;
    const json_t *value;
    for (size_t i = 0; !code && i < f->t->n_variables; i++)
        code = check_value(f, &f->t->variables[i]);
    json_object_foreach((json_t *)(uintptr_t)f->values, name, value)
    {
        if (!code && !prompt_variable(f->t, str_from(name)))
            code = err_set(
                f->err, ERR_UNKNOWN_PARAMETER, arena_printf(f->arena, "prompt.variables.%.64s", name),
                "Unknown parameter: 'prompt.variables.%.64s'. The template has no such variable.", name);
    }
    return code;
}

static struct str text_value(void *ctx, struct str name)
{
    const struct filling *f = ctx;
    const struct prompt_variable *v = prompt_variable(f->t, name);
    const json_t *value = given(f, v->name);
    if (!value)
        return str_from(v->dflt);
    return json_str(json_is_object(value) ? json_object_get(value, "text") : value);
}

/* --- texts of the template ------------------------------------------------------------------------------ */

static json_t *filled_text(struct filling *f, const char *text)
{
    struct buf out = { 0 };
    prompt_fill(&out, str_from(text), text_value, f);
    json_t *filled = json_stringn(out.len ? out.ptr : "", out.len);
    buf_free(&out);
    return filled;
}

static void end_text(json_t *parts, struct buf *text)
{
    if (text->len)
        json_array_append_new(
            parts, json_pack("{s:s, s:o}", "type", "input_text", "text", json_stringn(text->ptr, text->len)));
    buf_clear(text);
}

/* The text, or its parts where an image or a file stands in it. */
static json_t *filled_content(struct filling *f, const char *content)
{
    struct str rest = str_from(content), literal, name;
    json_t *parts = json_array();
    struct buf text = { 0 };
    bool media = false;
    while (prompt_piece(&rest, &literal, &name)) {
        const struct prompt_variable *v = name.len ? prompt_variable(f->t, name) : NULL;
        buf_put_str(&text, literal);
        if (v && v->kind == PROMPT_TEXT) {
            buf_put_str(&text, text_value(f, name));
        } else if (v && given(f, v->name)) {
            media = true;
            end_text(parts, &text);
            json_array_append_new(parts, json_deep_copy(given(f, v->name)));
        }
    }
    json_t *whole = media ? json_incref(parts) : json_stringn(text.len ? text.ptr : "", text.len);
    end_text(parts, &text);
    json_decref(parts);
    buf_free(&text);
    return whole;
}

static json_t *user_message(json_t *content)
{
    return json_pack("[{s:s, s:o}]", "role", "user", "content", content);
}

static json_t *filled_input(struct filling *f)
{
    const json_t *input = f->t->input;
    if (json_is_string(input)) {
        json_t *content = filled_content(f, json_string_value(input));
        return json_is_string(content) ? content : user_message(content);
    }
    json_t *items = json_deep_copy(input);
    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *item = json_array_get(items, i);
        const char *content = json_string_value(json_object_get(json_array_get(input, i), "content"));
        json_object_set_new(item, "content", filled_content(f, content));
    }
    return items;
}

/* --- the request ---------------------------------------------------------------------------------------- */

/* An empty array of items says as little as none. */
static bool lacks(const json_t *body, const char *name)
{
    const json_t *v = json_object_get(body, name);
    return !v || json_is_null(v) || (strcmp(name, "input") == 0 && json_is_array(v) && !json_array_size(v));
}

static void merge(struct filling *f, json_t *body)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)f->t->defaults, name, value)
    {
        if (lacks(body, name))
            json_object_set_new(body, name, json_deep_copy(value));
    }
    if (f->t->instructions && lacks(body, "instructions"))
        json_object_set_new(body, "instructions", filled_text(f, f->t->instructions));
    if (f->t->input && lacks(body, "input"))
        json_object_set_new(body, "input", filled_input(f));
}

static enum err_code find(const struct api *a, const struct prompt_body *p, const struct prompt_template **t,
                          struct err *err)
{
    *t = prompts_find(a->prompts, p->id.value, p->version.value);
    if (*t)
        return ERR_OK;
    struct str id = field_quoted(p->id.value);
    if (prompts_find(a->prompts, p->id.value, STR("")))
        return err_set(err, ERR_NOT_FOUND, "prompt.version", "Prompt with id '%.*s' has no version '%.*s'.",
                       STR_ARG(id), STR_ARG(field_quoted(p->version.value)));
    return err_set(err, ERR_NOT_FOUND, "prompt.id", "Prompt with id '%.*s' not found.", STR_ARG(id));
}

enum err_code prompt_apply(struct api *a, json_t *body, struct arena *arena, struct err *err)
{
    struct prompt_body p = { 0 };
    const json_t *prompt = json_object_get(body, "prompt");
    if (!prompt || json_is_null(prompt))
        return ERR_OK;
    struct filling f = { .arena = arena, .err = err };
    enum err_code code = fields_decode(prompt, prompt_rows, ARRAY_LEN(prompt_rows), "prompt", &p, arena, err);
    if (!code)
        code = find(a, &p, &f.t, err);
    f.values = p.variables.value;
    if (!code)
        code = check_values(&f);
    if (!code)
        merge(&f, body);
    return code;
}
