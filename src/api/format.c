/*
 * format.c - what form an answer has: text, a JSON object, or JSON by a schema; decoded, compiled, repeated in the reply.
 *
 * A schema becomes a grammar here, on a worker, so what cannot be guaranteed is a 400 before anything is thought. Three spellings
 * of it exist: flat (text.format), nested (response_format.json_schema, which text.format may have too); the flat one leaves.
 *
 * Compiled schemas are kept for the next request with the same one, least recently used ones given up beyond
 * FORMATS_MAX and FORMATS_BYTES_MAX: a client sends its schema with every request, and what was found out about a grammar's states
 * on the loaded vocabulary is worth more than the compiling.
 *
 * Threads: http's workers and whoever builds jobs again; the mutex guards the list. Compiling is done outside of it, so two
 * requests that come at once with a new schema may both compile it.
 */
#include "api/api_impl.h"

#include "grammar/grammar.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define FORMATS_MAX       64
#define FORMATS_BYTES_MAX ((size_t)128 << 20)

const char *const format_types[] = { "text", "json_object", "json_schema", NULL };
enum { FORMAT_TEXT, FORMAT_JSON_OBJECT, FORMAT_JSON_SCHEMA }; /* indices into format_types */

/* --- what is kept ------------------------------------------------------------------------------------------- */

struct entry {
    char key[SHA256_HEX_SIZE];
    struct grammar *grammar;
    json_t *omitted; /* or NULL */
};

struct formats {
    pthread_mutex_t lock;
    struct entry list[FORMATS_MAX]; /* the last used first */
    size_t n;
};

static void entry_free(struct entry *e)
{
    grammar_unref(e->grammar);
    json_decref(e->omitted);
    *e = (struct entry){ 0 };
}

struct formats *formats_open(void)
{
    struct formats *f = mem_zalloc(sizeof *f);
    pthread_mutex_init(&f->lock, NULL);
    return f;
}

void formats_close(struct formats *f)
{
    if (!f)
        return;
    while (f->n)
        entry_free(&f->list[--f->n]);
    pthread_mutex_destroy(&f->lock);
    mem_free(f);
}

/* Moves what stands at i to the front. */
static void use(struct formats *f, size_t i)
{
    struct entry e = f->list[i];
    for (; i > 0; i--)
        f->list[i] = f->list[i - 1];
    f->list[0] = e;
}

bool formats_take(struct formats *f, const char *key, struct format *out)
{
    size_t i = 0;
    pthread_mutex_lock(&f->lock);
    while (i < f->n && strcmp(f->list[i].key, key) != 0)
        i++;
    bool found = i < f->n;
    if (found) {
        use(f, i);
        out->grammar = grammar_ref(f->list[0].grammar);
        out->omitted =
            json_deep_copy(f->list[0].omitted); /* a copy: json_t counts its references without a lock */
    }
    pthread_mutex_unlock(&f->lock);
    return found;
}

static size_t bytes_of(const struct formats *f)
{
    size_t bytes = 0;
    for (size_t i = 0; i < f->n; i++)
        bytes += grammar_bytes(f->list[i].grammar);
    return bytes;
}

void formats_keep(struct formats *f, const char *key, const struct format *made)
{
    pthread_mutex_lock(&f->lock);
    if (f->n == FORMATS_MAX)
        entry_free(&f->list[--f->n]);
    struct entry *e = &f->list[f->n++];
    snprintf(e->key, sizeof e->key, "%s", key);
    e->grammar = grammar_ref(made->grammar);
    e->omitted = json_deep_copy(made->omitted);
    use(f, f->n - 1);
    while (f->n > 1 && bytes_of(f) > FORMATS_BYTES_MAX)
        entry_free(&f->list[--f->n]);
    pthread_mutex_unlock(&f->lock);
}

/* --- compiling ---------------------------------------------------------------------------------------------- */

/* param is where clients of the endpoint look for what is wrong: text.format.schema, or chat's whole response_format. */
static enum err_code say_invalid(struct err *err, const char *param, const char *name)
{
    char why[sizeof err->message];
    snprintf(why, sizeof why, "%s", err->message);
    return err_set(err, ERR_INVALID_SCHEMA, param, "Invalid schema for response_format '%s': %s", name, why);
}

static enum err_code compile(struct turn *t, const json_t *schema, bool strict, const char *param,
                             const char *name, struct err *err)
{
    const struct schema_options o = { .strict = strict, .path = "schema", .layout = LAYOUT_SPACED };
    struct buf text = { 0 };
    char key[SHA256_HEX_SIZE];
    json_dump(&text, schema);
    sha256_hex(key, (const struct str[]){ strict ? STR("strict") : STR(""), STR("\n"), buf_str(&text) }, 3);
    buf_free(&text);
    if (formats_take(t->api->formats, key, &t->format))
        return ERR_OK;
    enum err_code code = grammar_open_schema(&t->format.grammar, schema, &o, &t->format.omitted, err);
    if (code)
        return say_invalid(err, param, name);
    formats_keep(t->api->formats, key, &t->format);
    return ERR_OK;
}

/* --- decoding ------------------------------------------------------------------------------------------------ */

struct schema_body {
    struct field_string name, description;
    struct field_json schema;
    struct field_bool strict;
};
static const struct field schema_rows[] = {
    { FIELD_ROW(STRING, schema_body, name), .min = 1, .max = 64, .required = true },
    { FIELD_ROW(STRING, schema_body, description) },
    { FIELD_ROW(OBJECT, schema_body, schema), .required = true },
    { FIELD_ROW(BOOL, schema_body, strict) },
};

/* The flat form and the nested one in one table: which members may stand together is the type's matter. */
struct format_body {
    struct field_enum type;
    struct field_string name, description;
    struct field_json schema, json_schema;
    struct field_bool strict;
};
static const struct field format_rows[] = {
    { FIELD_ROW(ENUM, format_body, type), .values = format_types, .required = true },
    { FIELD_ROW(STRING, format_body, name), .min = 1, .max = 64 },
    { FIELD_ROW(STRING, format_body, description) },
    { FIELD_ROW(OBJECT, format_body, schema) },
    { FIELD_ROW(BOOL, format_body, strict) },
    { FIELD_ROW(OBJECT, format_body, json_schema) },
};
static const struct field chat_format_rows[] = {
    { FIELD_ROW(ENUM, format_body, type), .values = format_types, .required = true },
    { FIELD_ROW(OBJECT, format_body, json_schema) },
};

static json_t *nullable(struct field_string s)
{
    return s.set ? json_stringn(s.value.ptr, s.value.len) : json_null();
}

static json_t *shown_form(const struct schema_body *b)
{
    json_t *shown = json_object();
    json_object_set_new(shown, "type", json_string("json_schema"));
    json_object_set_new(shown, "name", json_stringn(b->name.value.ptr, b->name.value.len));
    json_object_set_new(shown, "description", nullable(b->description));
    json_object_set_new(shown, "schema", json_deep_copy(b->schema.value));
    json_object_set_new(shown, "strict", json_boolean(b->strict.value));
    return shown;
}

static enum err_code set_schema(struct turn *t, const struct schema_body *b, const char *path,
                                const char *param, struct err *err)
{
    if (!tool_name_is_good(b->name.value)) {
        param = arena_printf(&t->arena, "%s.name", path);
        return err_set(err, ERR_INVALID_VALUE, param,
                       "Invalid '%s': expected 1 to 64 letters, digits, '_' or '-'.", param);
    }
    const char *name = arena_strdup(&t->arena, b->name.value.ptr);
    enum err_code code = compile(t, b->schema.value, b->strict.value, param, name, err);
    if (!code)
        t->format.shown = shown_form(b);
    return code;
}

static enum err_code set_nested(struct turn *t, const json_t *nested, const char *path, const char *param,
                                struct err *err)
{
    struct schema_body b = { 0 };
    path = arena_printf(&t->arena, "%s.json_schema", path);
    enum err_code code = fields_decode(nested, schema_rows, ARRAY_LEN(schema_rows), path, &b, &t->arena, err);
    return code ? code : set_schema(t, &b, path, param, err);
}

static enum err_code set_json_object(struct turn *t, struct err *err)
{
    t->format.shown = json_pack("{s:s}", "type", format_types[FORMAT_JSON_OBJECT]);
    return grammar_open_json_object(&t->format.grammar, LAYOUT_SPACED, err);
}

/* A member that says something about a schema, where there is none to say it about. */
static enum err_code refuse_strays(struct turn *t, const struct format_body *b, const char *path,
                                   struct err *err)
{
    const char *stray = b->name.set          ? "name"
                        : b->description.set ? "description"
                        : b->schema.set      ? "schema"
                        : b->strict.set      ? "strict"
                        : b->json_schema.set ? "json_schema"
                                             : NULL;
    if (!stray)
        return ERR_OK;
    const char *param = arena_printf(&t->arena, "%s.%s", path, stray);
    return err_set(err, ERR_UNSUPPORTED_PARAMETER, param,
                   "Unsupported parameter: '%s' is only allowed with the type 'json_schema'.", param);
}

static enum err_code set_flat(struct turn *t, const struct format_body *b, const char *path, struct err *err)
{
    const struct schema_body flat = {
        .name = b->name, .description = b->description, .schema = b->schema, .strict = b->strict
    };
    if (!b->name.set || !b->schema.set)
        return field_missing_error(err,
                                   arena_printf(&t->arena, "%s.%s", path, b->name.set ? "schema" : "name"));
    return set_schema(t, &flat, path, arena_printf(&t->arena, "%s.schema", path), err);
}

enum err_code format_decode(struct turn *t, const json_t *format, const char *path, struct err *err)
{
    struct format_body b = { 0 };
    enum err_code code = fields_decode(format, format_rows, ARRAY_LEN(format_rows), path, &b, &t->arena, err);
    if (code)
        return code;
    if (b.type.value != FORMAT_JSON_SCHEMA)
        code = refuse_strays(t, &b, path, err);
    if (code || b.type.value == FORMAT_TEXT)
        return code;
    if (b.type.value == FORMAT_JSON_OBJECT)
        return set_json_object(t, err);
    if (b.json_schema.set)
        return set_nested(t, b.json_schema.value, path, arena_printf(&t->arena, "%s.schema", path), err);
    return set_flat(t, &b, path, err);
}

enum err_code format_decode_chat(struct turn *t, const json_t *format, struct err *err)
{
    struct format_body b = { 0 };
    enum err_code code = fields_decode(format, chat_format_rows, ARRAY_LEN(chat_format_rows),
                                       "response_format", &b, &t->arena, err);
    if (code)
        return code;
    if (b.type.value != FORMAT_JSON_SCHEMA)
        code = refuse_strays(t, &b, "response_format", err);
    if (code || b.type.value == FORMAT_TEXT)
        return code;
    if (b.type.value == FORMAT_JSON_OBJECT)
        return set_json_object(t, err);
    if (!b.json_schema.set)
        return field_missing_error(err, "response_format.json_schema");
    return set_nested(t, b.json_schema.value, "response_format", "response_format", err);
}

/* --- what comes of it ---------------------------------------------------------------------------------------- */

/* The grammar holds the answer to the schema; that the model knows it makes the answer a sensible one. */
void format_instruct(struct turn *t)
{
    struct buf line = { 0 };
    const json_t *schema = json_object_get(t->format.shown, "schema");
    const json_t *about = json_object_get(t->format.shown, "description");
    if (!t->format.grammar)
        return;
    buf_puts(&line, schema ? "Reply in JSON matching this schema: " : "Reply with one JSON object.");
    if (schema)
        json_dump(&line, schema);
    if (json_is_string(about))
        buf_printf(&line, "\n%s", json_string_value(about));
    messages_instruct(t, buf_str(&line));
    buf_free(&line);
}

/* JSON mode promises an object. */
struct grammar *format_refusal(const struct turn *t)
{
    if (t->tools.grammar)
        return t->tools.refusal;
    return json_object_get(t->format.shown, "schema")
               ? engine_info(conductor_engine(t->api->conductor))->refusals
               : NULL;
}

void format_put(struct json_writer *w, const struct turn *t)
{
    if (t->format.shown)
        jw_value(w, t->format.shown);
    else
        jw_raw(w, STR("{\"type\":\"text\"}"));
}

void format_free(struct format *f)
{
    json_decref(f->shown);
    json_decref(f->omitted);
    grammar_unref(f->grammar);
    *f = (struct format){ 0 };
}

const struct field_table format_tables[] = {
    { "responses.text.format", format_rows, ARRAY_LEN(format_rows) },
    { "responses.text.format.json_schema", schema_rows, ARRAY_LEN(schema_rows) },
    { "chat.response_format", chat_format_rows, ARRAY_LEN(chat_format_rows) },
    { "chat.response_format.json_schema", schema_rows, ARRAY_LEN(schema_rows) },
    { NULL, NULL, 0 },
};
