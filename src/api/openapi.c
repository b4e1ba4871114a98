/*
 * openapi.c - GET /openapi.json: the API as the tables have it, for tools that read OpenAPI 3.1.
 *
 * Every path is a row of the endpoint table, every property a row of a field table with its type, bounds and values, every
 * error a row of ERR_LIST. The one thing written down here is which table an endpoint's body is decoded by; a field table is
 * found from a property by its name: T.member is the object `member` of T, and member[] (what) a kind of element of an array.
 *
 * Threads: http's workers; the tables are constant.
 */
#include "api/api_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#ifndef THINKD_VERSION
#error "THINKD_VERSION comes from the Makefile"
#endif

#define NAME_MAX_BYTES 128

static const struct {
    void (*handle)(const struct call *c);
    const char *table;
} bodies[] = {
    { responses_create, "responses" },
    { chat_create, "chat" },
    { completions_create, "completions" },
    { responses_compact, "compact" },
    { responses_input_tokens, "input_tokens" },
    { conversations_create, "conversations" },
    { conversations_update, "conversations/{id}" },
    { conversation_items_create, "conversations/{id}/items" },
    { stored_chat_update, "chat/completions/{id}" },
};

/* --- names ------------------------------------------------------------------------------------------------- */

/* A component's name: letters, digits, '.', '_' and '-'. "input[] (reasoning)" becomes "input.item.reasoning". Tables need
 * names that stay apart. */
static void component_name(char out[NAME_MAX_BYTES], const char *table)
{
    size_t n = 0;
    for (const char *p = table; *p && n + 6 < NAME_MAX_BYTES; p++) {
        if (*p == '[')
            n += (size_t)snprintf(out + n, 6, ".item");
        else if (*p == '(' || *p == ':' || *p == '/')
            out[n++] = '.';
        else if (!strchr("]){} ", *p))
            out[n++] = *p;
    }
    out[n] = '\0';
}

static void put_ref(struct json_writer *w, const char *section, const char *name)
{
    char ref[NAME_MAX_BYTES + 64];
    snprintf(ref, sizeof ref, "#/components/%s/%s", section, name);
    jw_begin_object(w);
    jw_key_cstring(w, "$ref", ref);
    jw_end_object(w);
}

static void put_table_ref(struct json_writer *w, const char *table)
{
    char name[NAME_MAX_BYTES];
    component_name(name, table);
    put_ref(w, "schemas", name);
}

/* "input[]" itself, or a kind of it, "input[] (reasoning)"; no member of one. */
static bool names_element(struct str name, struct str stem)
{
    if (!str_starts(name, stem))
        return false;
    struct str kind = str_slice(name, stem.len, name.len);
    return !kind.len || (str_starts(kind, STR(" (")) && str_ends(kind, STR(")")));
}

/* The i-th table for the elements of the array `member` of `table`, or NULL. Arrays that several endpoints
 * share stand under the member's name alone. */
static const char *element_table(const char *table, const char *member, size_t i)
{
    char own[NAME_MAX_BYTES], shared[NAME_MAX_BYTES];
    const struct field_table *t;
    snprintf(own, sizeof own, "%s.%s[]", table, member);
    snprintf(shared, sizeof shared, "%s[]", member);
    for (size_t n = 0; (t = field_table_at(n)); n++) {
        struct str name = str_from(t->name);
        if ((names_element(name, str_from(own)) || names_element(name, str_from(shared))) && i-- == 0)
            return t->name;
    }
    return NULL;
}

static const char *member_table(const char *table, const char *member)
{
    char own[NAME_MAX_BYTES];
    const struct field_table *t;
    snprintf(own, sizeof own, "%s.%s", table, member);
    for (size_t n = 0; (t = field_table_at(n)); n++)
        if (str_is(str_from(own), t->name))
            return t->name;
    return NULL;
}

/* --- fields --------------------------------------------------------------------------------------------------- */

static void put_number(struct json_writer *w, const char *key, double v)
{
    jw_key(w, key);
    if (v == floor(v) && fabs(v) < 9e15)
        jw_int(w, (int64_t)v);
    else
        jw_real(w, v);
}

/* As struct field has it: both 0 is no bound, max below min no upper one. */
static void put_bounds(struct json_writer *w, const struct field *f, const char *low, const char *high)
{
    if (f->min == 0 && f->max == 0)
        return;
    put_number(w, low, f->min);
    if (f->max >= f->min)
        put_number(w, high, f->max);
}

static void put_values(struct json_writer *w, const struct field *f)
{
    jw_key(w, "enum");
    jw_begin_array(w);
    for (size_t i = 0; f->values[i]; i++)
        jw_cstring(w, f->values[i]);
    if (!f->required)
        jw_null(w); /* the same as absent */
    jw_end_array(w);
}

static void put_type(struct json_writer *w, const char *type, bool required)
{
    jw_key(w, "type");
    if (required) {
        jw_cstring(w, type);
        return;
    }
    jw_begin_array(w);
    jw_cstring(w, type);
    jw_cstring(w, "null");
    jw_end_array(w);
}

static void put_elements(struct json_writer *w, const char *table, const struct field *f)
{
    const char *first = element_table(table, f->name, 0), *name;
    if (!first)
        return;
    jw_key(w, "items");
    jw_begin_object(w);
    jw_key(w, "anyOf");
    jw_begin_array(w);
    for (size_t i = 0; (name = element_table(table, f->name, i)); i++)
        put_table_ref(w, name);
    jw_end_array(w);
    jw_end_object(w);
}

/* A string or an array, where the array's elements have tables; else any value. */
static void put_union(struct json_writer *w, const char *table, const struct field *f)
{
    if (!element_table(table, f->name, 0))
        return;
    jw_key(w, "anyOf");
    jw_begin_array(w);
    jw_raw(w, STR("{\"type\":\"string\"}"));
    jw_begin_object(w);
    jw_key_cstring(w, "type", "array");
    put_elements(w, table, f);
    jw_end_object(w);
    if (!f->required)
        jw_raw(w, STR("{\"type\":\"null\"}"));
    jw_end_array(w);
}

static void put_state(struct json_writer *w, const struct field *f)
{
    if (f->kind == FIELD_IGNORED)
        jw_key_cstring(w, "description", "Accepted and ignored by design.");
    if (f->kind == FIELD_UNBUILT) {
        jw_key_cstring(w, "description", "Not built: refused unless its value asks for nothing.");
        jw_key_bool(w, "deprecated", true);
    }
}

static void put_object(struct json_writer *w, const char *table, const struct field *f)
{
    const char *nested = member_table(table, f->name);
    put_type(w, "object", f->required);
    if (!nested)
        return;
    jw_key(w, "allOf");
    jw_begin_array(w);
    put_table_ref(w, nested);
    jw_end_array(w);
}

static void put_field(struct json_writer *w, const char *table, const struct field *f)
{
    jw_begin_object(w);
    switch (f->kind) {
    case FIELD_INT:
        put_type(w, "integer", f->required);
        put_bounds(w, f, "minimum", "maximum");
        break;
    case FIELD_REAL:
        put_type(w, "number", f->required);
        put_bounds(w, f, "minimum", "maximum");
        break;
    case FIELD_BOOL: put_type(w, "boolean", f->required); break;
    case FIELD_STRING:
        put_type(w, "string", f->required);
        put_bounds(w, f, "minLength", "maxLength");
        break;
    case FIELD_ENUM: put_values(w, f); break;
    case FIELD_OBJECT: put_object(w, table, f); break;
    case FIELD_ARRAY:
        put_type(w, "array", f->required);
        put_bounds(w, f, "minItems", "maxItems");
        put_elements(w, table, f);
        break;
    case FIELD_ANY: put_union(w, table, f); break;
    case FIELD_IGNORED:
    case FIELD_UNBUILT: break;
    }
    put_state(w, f);
    jw_end_object(w);
}

static void put_required(struct json_writer *w, const struct field_table *t)
{
    bool any = false;
    for (size_t i = 0; i < t->n; i++)
        any |= t->rows[i].required;
    if (!any) /* an empty list is not allowed by every reader */
        return;
    jw_key(w, "required");
    jw_begin_array(w);
    for (size_t i = 0; i < t->n; i++)
        if (t->rows[i].required)
            jw_cstring(w, t->rows[i].name);
    jw_end_array(w);
}

static void put_table(struct json_writer *w, const struct field_table *t)
{
    char name[NAME_MAX_BYTES];
    component_name(name, t->name);
    jw_key(w, name);
    jw_begin_object(w);
    jw_key_cstring(w, "title", t->name);
    jw_key_cstring(w, "type", "object");
    jw_key(w, "properties");
    jw_begin_object(w);
    for (size_t i = 0; i < t->n; i++) {
        jw_key(w, t->rows[i].name);
        put_field(w, t->name, &t->rows[i]);
    }
    jw_end_object(w);
    put_required(w, t);
    jw_key_bool(w, "additionalProperties", false);
    jw_end_object(w);
}

/* --- errors ------------------------------------------------------------------------------------------------------ */

/* Each value once, in the list's order. */
static void put_error_values(struct json_writer *w, const char *key, const char *(*value)(enum err_code))
{
    jw_key(w, key);
    jw_begin_object(w);
    jw_key(w, "enum");
    jw_begin_array(w);
    for (int code = ERR_OK + 1; code < ERR_COUNT; code++) {
        const char *v = value((enum err_code)code);
        bool seen = false;
        for (int before = ERR_OK + 1; before < code && !seen; before++) {
            const char *b = value((enum err_code)before);
            seen = v == b || (v && b && strcmp(v, b) == 0);
        }
        if (!seen)
            jw_cstring(w, v);
    }
    jw_end_array(w);
    jw_end_object(w);
}

static void put_error_schema(struct json_writer *w)
{
    jw_key(w, "error");
    jw_raw(w,
           STR("{\"title\":\"error\",\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{"
               "\"$ref\":\"#/components/schemas/error.object\"}}}"));
    jw_key(w, "error.object");
    jw_begin_object(w);
    jw_key_cstring(w, "title", "error.object");
    jw_key_cstring(w, "type", "object");
    jw_key_raw(w, "required", STR("[\"message\",\"type\",\"param\",\"code\"]"));
    jw_key(w, "properties");
    jw_begin_object(w);
    jw_key_raw(w, "message", STR("{\"type\":\"string\"}"));
    put_error_values(w, "type", err_type);
    jw_key_raw(w, "param", STR("{\"type\":[\"string\",\"null\"]}"));
    put_error_values(w, "code", err_api_code);
    jw_end_object(w);
    jw_end_object(w);
}

static void put_error_response(struct json_writer *w, const char *key, const char *why)
{
    jw_key(w, key);
    jw_begin_object(w);
    jw_key_cstring(w, "description", why);
    jw_key_raw(w, "content",
               STR("{\"application/json\":{\"schema\":{\"$ref\":\"#/components/schemas/error\"}}}"));
    jw_end_object(w);
}

/* One response a status: its name is the status, its description the codes that come with it. */
static void put_error_responses(struct json_writer *w)
{
    for (int code = ERR_OK + 1; code < ERR_COUNT; code++) {
        struct buf why = { 0 };
        char key[16];
        int status = err_status((enum err_code)code);
        bool seen = false;
        for (int before = ERR_OK + 1; before < code && !seen; before++)
            seen = err_status((enum err_code)before) == status;
        for (int other = code; other < ERR_COUNT && !seen; other++) {
            const char *name = err_api_code((enum err_code)other);
            if (err_status((enum err_code)other) == status)
                buf_printf(&why, "%s%s", why.len ? ", " : "code: ", name ? name : "null");
        }
        snprintf(key, sizeof key, "error_%d", status);
        if (!seen)
            put_error_response(w, key, why.ptr);
        buf_free(&why);
    }
}

/* --- paths -------------------------------------------------------------------------------------------------------- */

/* "{id+}", which takes slashes, is "{id}" to a reader of the description. */
static void put_path(struct buf *out, const char *pattern)
{
    for (; *pattern; pattern++)
        if (!(pattern[0] == '+' && pattern[1] == '}'))
            buf_putc(out, *pattern);
}

static void put_parameter(struct json_writer *w, struct str name, const char *in)
{
    jw_begin_object(w);
    jw_key_string(w, "name", name);
    jw_key_cstring(w, "in", in);
    jw_key_bool(w, "required", strcmp(in, "path") == 0);
    jw_key_raw(w, "schema", STR("{\"type\":\"string\"}"));
    jw_end_object(w);
}

static void put_parameters(struct json_writer *w, const struct endpoint *ep)
{
    struct str rest = str_from(ep->path);
    jw_key(w, "parameters");
    jw_begin_array(w);
    for (size_t at; (at = str_find(rest, STR("{"))) != SIZE_MAX;) {
        rest = str_slice(rest, at + 1, rest.len);
        struct str name = str_slice(rest, 0, str_find(rest, STR("}")));
        put_parameter(w, str_ends(name, STR("+")) ? str_slice(name, 0, name.len - 1) : name, "path");
    }
    for (size_t i = 0; ep->query && ep->query[i]; i++)
        put_parameter(w, str_from(ep->query[i]), "query");
    jw_end_array(w);
}

static void put_body(struct json_writer *w, const struct endpoint *ep)
{
    const char *table = NULL;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        if (bodies[i].handle == ep->handle)
            table = bodies[i].table;
    if (!(ep->flags & (EP_JSON | EP_FORM)))
        return;
    jw_key(w, "requestBody");
    jw_begin_object(w);
    jw_key(w, "content");
    jw_begin_object(w);
    jw_key(w, ep->flags & EP_JSON ? "application/json" : "multipart/form-data");
    jw_begin_object(w);
    jw_key(w, "schema");
    if (table)
        put_table_ref(w, table);
    else
        jw_raw(w, STR("{\"type\":\"object\"}"));
    jw_end_object(w);
    jw_end_object(w);
    jw_end_object(w);
}

static void put_responses(struct json_writer *w, const struct endpoint *ep)
{
    jw_key(w, "responses");
    jw_begin_object(w);
    jw_key_raw(w, "200", STR("{\"description\":\"done\"}"));
    for (int code = ERR_OK + 1; code < ERR_COUNT && ep->flags & EP_KEY; code++) {
        int status = err_status((enum err_code)code);
        char key[16], name[32];
        bool seen = false;
        for (int before = ERR_OK + 1; before < code && !seen; before++)
            seen = err_status((enum err_code)before) == status;
        if (seen)
            continue;
        snprintf(key, sizeof key, "%d", status);
        snprintf(name, sizeof name, "error_%d", status);
        jw_key(w, key);
        put_ref(w, "responses", name);
    }
    jw_end_object(w);
}

static void put_operation_id(struct json_writer *w, const struct endpoint *ep)
{
    struct buf id = { 0 };
    for (const char *p = ep->method; *p; p++)
        buf_putc(&id, (char)(*p | 0x20));
    for (const char *p = ep->path; *p; p++)
        if (*p != '{' && *p != '}' && *p != '+')
            buf_putc(&id, *p == '/' || *p == '.' ? '_' : *p);
    jw_key_string(w, "operationId", buf_str(&id));
    buf_free(&id);
}

static void put_operation(struct json_writer *w, const struct endpoint *ep)
{
    char method[16];
    snprintf(method, sizeof method, "%s", ep->method);
    for (char *p = method; *p; p++)
        *p = (char)(*p | 0x20);
    jw_key(w, method);
    jw_begin_object(w);
    put_operation_id(w, ep);
    jw_key_raw(w, "security", ep->flags & EP_KEY ? STR("[{\"bearer\":[]},{\"api_key\":[]}]") : STR("[]"));
    put_parameters(w, ep);
    put_body(w, ep);
    put_responses(w, ep);
    jw_end_object(w);
}

static bool first_of_its_path(size_t i)
{
    for (size_t before = 0; before < i; before++)
        if (strcmp(endpoint_row(before)->path, endpoint_row(i)->path) == 0)
            return false;
    return true;
}

static void put_paths(struct json_writer *w)
{
    struct buf path = { 0 };
    for (size_t i = 0; endpoint_row(i); i++) {
        if (!first_of_its_path(i))
            continue;
        buf_clear(&path);
        put_path(&path, endpoint_row(i)->path);
        jw_key(w, path.ptr);
        jw_begin_object(w);
        for (size_t k = i; endpoint_row(k); k++)
            if (strcmp(endpoint_row(k)->path, endpoint_row(i)->path) == 0)
                put_operation(w, endpoint_row(k));
        jw_end_object(w);
    }
    buf_free(&path);
}

/* --- the whole ----------------------------------------------------------------------------------------------------- */

static void put_components(struct json_writer *w)
{
    const struct field_table *t;
    jw_key(w, "schemas");
    jw_begin_object(w);
    for (size_t i = 0; (t = field_table_at(i)); i++)
        put_table(w, t);
    put_error_schema(w);
    jw_end_object(w);
    jw_key(w, "responses");
    jw_begin_object(w);
    put_error_responses(w);
    jw_end_object(w);
    jw_key_raw(w, "securitySchemes",
               STR("{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
                   "\"api_key\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"api-key\"}}"));
}

void openapi_put(struct buf *out)
{
    struct json_writer w = { .out = out };
    jw_begin_object(&w);
    jw_key_cstring(&w, "openapi", "3.1.0");
    jw_key(&w, "info");
    jw_begin_object(&w);
    jw_key_cstring(&w, "title", "thinkd");
    jw_key_cstring(&w, "version", THINKD_VERSION);
    jw_end_object(&w);
    jw_key(&w, "paths");
    jw_begin_object(&w);
    put_paths(&w);
    jw_end_object(&w);
    jw_key(&w, "components");
    jw_begin_object(&w);
    put_components(&w);
    jw_end_object(&w);
    jw_end_object(&w);
}

void openapi_get(const struct call *c)
{
    struct buf body = { 0 };
    openapi_put(&body);
    reply_json(c->x, 200, &body);
    buf_free(&body);
}
