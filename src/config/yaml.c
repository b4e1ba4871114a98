/*
 * yaml.c - the configuration file: libyaml's events, read into the same setters as flags and environment.
 *
 * The shape is fixed: one document, one mapping of keys to scalars or lists of scalars, and `models:`, a
 * list of such mappings. So the events are read by descent through that shape, two levels deep at most,
 * and anything else is refused where it stands. Scalars are typed by their key and by nothing else: `no` is
 * a word unless the key is a bool. Anchors, aliases and tags are refused (no expansion bombs, no surprises).
 *
 * Bounds: the text is CONFIG_FILE_BYTES_MAX long at most, and so is what ${NAME} expands to in all.
 * Ownership: values are copied into the config's arena; the scratch arena ends with the call.
 */
#include "config/config_impl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define TIER_PAIRS_MAX 16 /* keys of one model's mapping */

struct yaml {
    yaml_parser_t parser;
    yaml_event_t event; /* the last one read; freed by the next */
    struct str text;
    struct config *c;
    const char *name; /* of the file, as messages show it */
    const char *const *env;
    struct err *err;
    struct arena scratch;
    size_t expanded; /* bytes of all scalars */
    char where[CONFIG_WHERE_MAX];
};

static const char *at_line(struct yaml *y, size_t line, struct str key)
{
    snprintf(y->where, sizeof y->where, "%s:%zu%s%.*s", y->name, line, key.len ? ": " : "", STR_ARG(key));
    return y->where;
}

static size_t line_of(const struct yaml *y)
{
    return y->event.start_mark.line + 1;
}

static enum err_code fail(struct yaml *y, size_t line, const char *what)
{
    return err_set(y->err, ERR_CONFIG, NULL, "%s: %s.", at_line(y, line, (struct str){ 0 }), what);
}

/* libyaml marks the line of what it could scan; bytes that it could not even read have an offset alone. */
const char *yaml_problem(const struct yaml_parser_s *parser, struct str text, size_t *line)
{
    *line = parser->problem_mark.line + 1;
    if (parser->error == YAML_READER_ERROR) {
        *line = 1;
        for (size_t i = 0; i < parser->problem_offset && i < text.len; i++)
            *line += text.ptr[i] == '\n';
    }
    return parser->problem ? parser->problem : "not YAML";
}

static enum err_code fail_syntax(struct yaml *y)
{
    size_t line;
    const char *problem = yaml_problem(&y->parser, y->text, &line);
    return fail(y, line, problem);
}

/* Reads the next event and refuses what no shape allows. */
static enum err_code next(struct yaml *y)
{
    yaml_event_delete(&y->event);
    if (!yaml_parser_parse(&y->parser, &y->event)) {
        memset(&y->event, 0, sizeof y->event);
        return fail_syntax(y);
    }
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (y->event.type) {
    case YAML_ALIAS_EVENT: return fail(y, line_of(y), "aliases ('*name') are not allowed here");
    case YAML_SCALAR_EVENT:
        anchor = y->event.data.scalar.anchor;
        tag = y->event.data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = y->event.data.sequence_start.anchor;
        tag = y->event.data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = y->event.data.mapping_start.anchor;
        tag = y->event.data.mapping_start.tag;
        break;
    default: break;
    }
    if (anchor)
        return fail(y, line_of(y), "anchors ('&name') are not allowed here");
    if (tag)
        return fail(y, line_of(y), "tags ('!name') are not allowed here");
    return ERR_OK;
}

/* --- scalars ------------------------------------------------------------------------------------------- */

static bool is_name_char(char c, bool first)
{
    return c == '_' || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (!first && c >= '0' && c <= '9');
}

/* s begins behind "${". Puts the variable's value and gives the bytes used with the closing brace, or 0. */
static size_t put_variable(struct yaml *y, struct str s, struct buf *out)
{
    size_t len = 0;
    while (len < s.len && is_name_char(s.ptr[len], len == 0))
        len++;
    if (len == 0 || len == s.len || s.ptr[len] != '}') {
        fail(y, line_of(y), "'${' without a name and '}'; write '$${' for the characters themselves");
        return 0;
    }
    struct str name = str_slice(s, 0, len);
    const char *value = config_env(y->env, name);
    if (!value) {
        char what[160];
        snprintf(what, sizeof what, "the environment has no variable '%.*s'",
                 STR_ARG(str_slice(name, 0, 100)));
        fail(y, line_of(y), what);
        return 0;
    }
    buf_puts(out, value);
    return len + 1;
}

/* The scalar of the current event with ${NAME} replaced ("$${" stands for "${"), in the scratch arena. */
static enum err_code scalar(struct yaml *y, struct str *out)
{
    struct str raw = { (const char *)y->event.data.scalar.value, y->event.data.scalar.length };
    bool plain = y->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && (raw.len == 0 || str_is(raw, "~") || str_is(raw, "null")))
        return fail(y, line_of(y), "a key or list item has no value");
    struct buf text = { 0 };
    for (size_t i = 0; i < raw.len;) {
        struct str rest = str_slice(raw, i, raw.len);
        if (str_starts(rest, STR("$${"))) {
            buf_puts(&text, "${");
            i += 3;
        } else if (str_starts(rest, STR("${"))) {
            size_t used = put_variable(y, str_slice(rest, 2, rest.len), &text);
            if (used == 0) {
                buf_free(&text);
                return ERR_CONFIG;
            }
            i += 2 + used;
        } else {
            buf_putc(&text, raw.ptr[i++]);
        }
        if (text.len > CONFIG_FILE_BYTES_MAX)
            break;
    }
    y->expanded += text.len;
    *out = arena_str(&y->scratch, buf_str(&text));
    buf_free(&text);
    if (y->expanded > CONFIG_FILE_BYTES_MAX)
        return fail(y, line_of(y), "the values are too long in all");
    return ERR_OK;
}

/* A scalar, or a list of scalars, the start of which is the current event. */
struct values {
    struct str *items;
    size_t len, cap;
    bool list;
};

static enum err_code add_value(struct yaml *y, struct values *v)
{
    if (v->len == v->cap) {
        size_t cap = v->cap ? v->cap * 2 : 8;
        struct str *items = arena_array(&y->scratch, cap, sizeof *items);
        if (v->len)
            memcpy(items, v->items, v->len * sizeof *items);
        v->items = items;
        v->cap = cap;
    }
    return scalar(y, &v->items[v->len++]);
}

static enum err_code read_values(struct yaml *y, struct values *v)
{
    *v = (struct values){ .list = y->event.type == YAML_SEQUENCE_START_EVENT };
    if (y->event.type == YAML_SCALAR_EVENT)
        return add_value(y, v);
    if (!v->list)
        return fail(y, line_of(y), "expected a value or a list of values, not a mapping");
    for (;;) {
        enum err_code code = next(y);
        if (code || y->event.type == YAML_SEQUENCE_END_EVENT)
            return code;
        if (y->event.type != YAML_SCALAR_EVENT)
            return fail(y, line_of(y), "expected a value in this list");
        code = v->len < CONFIG_LIST_MAX ? add_value(y, v) : fail(y, line_of(y), "the list is too long");
        if (code)
            return code;
    }
}

/* --- models -------------------------------------------------------------------------------------------- */

struct pair {
    struct str key;
    struct values values;
    size_t line;
};

struct entry {
    struct pair pairs[TIER_PAIRS_MAX];
    size_t n;
    size_t line;
};

static const struct pair *find_pair(const struct entry *e, struct str key)
{
    for (size_t i = 0; i < e->n; i++)
        if (str_eq(e->pairs[i].key, key))
            return &e->pairs[i];
    return NULL;
}

static enum err_code read_entry(struct yaml *y, struct entry *e)
{
    *e = (struct entry){ .line = line_of(y) };
    if (y->event.type != YAML_MAPPING_START_EVENT)
        return fail(y, line_of(y), "expected a model, as '- name: o3' and keys below it");
    for (;;) {
        enum err_code code = next(y);
        if (code || y->event.type == YAML_MAPPING_END_EVENT)
            return code;
        if (y->event.type != YAML_SCALAR_EVENT)
            return fail(y, line_of(y), "expected a key");
        struct pair p = { .line = line_of(y) };
        if ((code = scalar(y, &p.key)))
            return code;
        if (find_pair(e, p.key))
            return fail(y, p.line, "this key of the model was there before");
        if (e->n == TIER_PAIRS_MAX)
            return fail(y, p.line, "too many keys for one model");
        if ((code = next(y)) || (code = read_values(y, &p.values)))
            return code;
        e->pairs[e->n++] = p;
    }
}

static enum err_code apply_entry(struct yaml *y, const struct entry *e)
{
    const struct pair *name = find_pair(e, STR("name"));
    if (!name || name->values.list)
        return fail(y, e->line, "a model needs a name");
    struct tier tier;
    enum err_code code =
        tier_begin(y->c, name->values.items[0], &tier, at_line(y, name->line, STR("models")), y->err);
    for (size_t i = 0; !code && i < e->n; i++) {
        const struct pair *p = &e->pairs[i];
        if (p != name)
            code = tier_set(y->c, &tier, p->key, p->values.items, p->values.len, p->values.list,
                            at_line(y, p->line, STR("models")), y->err);
    }
    return code ? code : tier_end(y->c, &tier, at_line(y, e->line, STR("models")), y->err);
}

static enum err_code read_models(struct yaml *y)
{
    struct str seen[CONFIG_TIERS_MAX];
    size_t n = 0;
    if (y->event.type != YAML_SEQUENCE_START_EVENT)
        return fail(y, line_of(y), "models: expected a list, as '- name: o3' and keys below it");
    for (;;) {
        struct entry e;
        enum err_code code = next(y);
        if (code || y->event.type == YAML_SEQUENCE_END_EVENT)
            return code;
        if ((code = read_entry(y, &e)) || (code = apply_entry(y, &e)))
            return code;
        struct str name = find_pair(&e, STR("name"))->values.items[0];
        for (size_t i = 0; i < n; i++)
            if (str_eq(seen[i], name))
                return fail(y, e.line, "models: this name was there before");
        if (n == CONFIG_TIERS_MAX)
            return fail(y, e.line, "models: too many");
        seen[n++] = name;
    }
}

/* --- the document -------------------------------------------------------------------------------------- */

static enum err_code unknown_key(struct yaml *y, size_t line, struct str key)
{
    const struct config_key *meant = config_nearest(key, ~0u);
    struct str cut = str_slice(key, 0, 80);
    at_line(y, line, (struct str){ 0 });
    if (!meant)
        return err_set(y->err, ERR_CONFIG, NULL, "%s: unknown key '%.*s'.", y->where, STR_ARG(cut));
    return err_set(y->err, ERR_CONFIG, meant->name, "%s: unknown key '%.*s'; did you mean '%s'?", y->where,
                   STR_ARG(cut), meant->name);
}

static enum err_code set_values(struct yaml *y, const struct config_key *key, const struct values *v,
                                size_t line)
{
    at_line(y, line, str_from(key->name));
    if (!v->list)
        return config_set(y->c, key, v->items[0], y->where, y->err);
    if (key->kind != KIND_LIST)
        return err_set(y->err, ERR_CONFIG, key->name, "%s: expected one value, not a list.", y->where);
    enum err_code code = ERR_OK;
    for (size_t i = 0; !code && i < v->len; i++)
        code = config_list_add(y->c, key, v->items[i], y->where, y->err);
    return code;
}

static enum err_code read_pair(struct yaml *y, bool *seen)
{
    struct str name;
    size_t line = line_of(y);
    if (y->event.type != YAML_SCALAR_EVENT)
        return fail(y, line, "expected a key");
    enum err_code code = scalar(y, &name);
    if (code || (code = next(y)))
        return code;
    bool models = str_is(name, "models");
    const struct config_key *key = config_find(name);
    if (!key && !models)
        return unknown_key(y, line, name);
    size_t row = models ? config_keys_len : (size_t)(key - config_keys);
    if (seen[row])
        return err_set(y->err, ERR_CONFIG, NULL, "%s: was there before.", at_line(y, line, name));
    seen[row] = true;
    if (models)
        return read_models(y);
    if (str_is(name, "config"))
        return fail(y, line, "config: a configuration file cannot name another");
    struct values values;
    code = read_values(y, &values);
    return code ? code : set_values(y, key, &values, line);
}

static enum err_code read_mapping(struct yaml *y)
{
    bool *seen = arena_array(&y->scratch, config_keys_len + 1, sizeof *seen);
    for (;;) {
        enum err_code code = next(y);
        if (code || y->event.type == YAML_MAPPING_END_EVENT)
            return code;
        if ((code = read_pair(y, seen)))
            return code;
    }
}

static bool is_empty_scalar(const yaml_event_t *e)
{
    return e->type == YAML_SCALAR_EVENT && e->data.scalar.length == 0 &&
           e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static enum err_code read_stream(struct yaml *y)
{
    enum err_code code = next(y); /* stream start */
    if (code || (code = next(y)) || y->event.type == YAML_STREAM_END_EVENT)
        return code; /* nothing but comments sets nothing */
    assert(y->event.type == YAML_DOCUMENT_START_EVENT);
    if ((code = next(y)))
        return code;
    if (y->event.type == YAML_MAPPING_START_EVENT)
        code = read_mapping(y);
    else if (!is_empty_scalar(&y->event))
        code = fail(y, line_of(y), "expected keys and values, as 'listen: 127.0.0.1:8080'");
    if (code || (code = next(y)) || (code = next(y)))
        return code; /* document end, then what follows it */
    return y->event.type == YAML_STREAM_END_EVENT ? ERR_OK : fail(y, line_of(y), "a second document begins");
}

enum err_code config_yaml(struct config *c, struct str text, const char *name, const char *const *env,
                          struct err *err)
{
    struct yaml y = { .text = text, .c = c, .name = name, .env = env, .err = err };
    if (!yaml_parser_initialize(&y.parser))
        return err_set(err, ERR_CONFIG, NULL, "%s: no memory for the YAML parser.", name);
    yaml_parser_set_encoding(&y.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&y.parser, (const unsigned char *)(text.len ? text.ptr : ""), text.len);
    enum err_code code = read_stream(&y);
    yaml_event_delete(&y.event);
    yaml_parser_delete(&y.parser);
    arena_free(&y.scratch);
    return code;
}
