/*
 * prompts.c - a directory of prompt templates: read once, checked whole, found by id and version.
 *
 * A template is one YAML file, NAME@VERSION.yaml:
 *
 *     variables:
 *       city: {}                      # a text that a request must give
 *       tone: { default: friendly }
 *       photo: { kind: image, required: false }
 *     instructions: Answer in a {{tone}} tone.
 *     input:
 *       - { role: user, content: "What is this in {{city}}? {{photo}}" }
 *     defaults: { model: o3, reasoning: { effort: high } }
 *
 * Its file is read as libyaml's tree of nodes rather than as events, because defaults may hold anything that a request's
 * JSON may. The tree is checked once before it is looked at: no aliases (each node has one parent), no tags, no key twice,
 * depth and keys bounded. Every message begins with file and line.
 *
 * A file that is wrong spoils its own template and no other: the list shows what is wrong with each.
 *
 * Ownership: everything is in the set's arena but the JSON, which the templates own.
 */
#include "config/config_impl.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define PROMPTS_MAX          4096 /* files of a directory */
#define PROMPT_NAME_MAX      64
#define PROMPT_VARIABLES_MAX 64
#define PROMPT_KEYS_MAX      256 /* of one mapping */
#define PROMPT_DEPTH_MAX     32

const char *const prompt_kind_names[PROMPT_KINDS + 1] = { "text", "image", "file", NULL };

struct prompts {
    struct prompt_template *items;
    size_t n;
    struct arena arena;
};

/* A file being read. */
struct reading {
    yaml_document_t doc;
    bool *seen;       /* [nodes] */
    const char *file; /* its name, as messages show it */
    struct prompt_template *t;
    bool (*is_field)(const char *name);
    struct arena *arena;
    struct err *err;
};

/* --- nodes ---------------------------------------------------------------------------------------------- */

static const yaml_node_t *node_at(const struct reading *r, int index)
{
    return yaml_document_get_node((yaml_document_t *)(uintptr_t)&r->doc, index);
}

static size_t line_of(const yaml_node_t *node)
{
    return node ? node->start_mark.line + 1 : 1;
}

static enum err_code PRINTF_LIKE(3, 4)
    fail(const struct reading *r, const yaml_node_t *node, const char *fmt, ...)
{
    char what[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return err_set(r->err, ERR_CONFIG, NULL, "%s:%zu: %s.", r->file, line_of(node), what);
}

static struct str scalar_of(const yaml_node_t *node)
{
    if (!node || node->type != YAML_SCALAR_NODE)
        return (struct str){ 0 };
    return (struct str){ (const char *)node->data.scalar.value, node->data.scalar.length };
}

static bool is_plain(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static bool is_null(const yaml_node_t *node)
{
    struct str s = scalar_of(node);
    return is_plain(node) && (s.len == 0 || str_is(s, "~") || str_is(s, "null"));
}

static size_t pairs_of(const yaml_node_t *node)
{
    return (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
}

/* A mapping's pair, or false past its end. */
static bool pair_at(const struct reading *r, const yaml_node_t *mapping, size_t i, const yaml_node_t **key,
                    const yaml_node_t **value)
{
    if (i >= pairs_of(mapping))
        return false;
    *key = node_at(r, mapping->data.mapping.pairs.start[i].key);
    *value = node_at(r, mapping->data.mapping.pairs.start[i].value);
    return true;
}

static const yaml_node_t *item_at(const struct reading *r, const yaml_node_t *list, size_t i)
{
    size_t n = (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
    return i < n ? node_at(r, list->data.sequence.items.start[i]) : NULL;
}

/* --- the tree as a whole -------------------------------------------------------------------------------- */

static enum err_code check_node(struct reading *r, int index, int depth);

static enum err_code check_mapping(struct reading *r, const yaml_node_t *node, int depth)
{
    const yaml_node_t *key, *value, *other;
    enum err_code code = ERR_OK;
    if (pairs_of(node) > PROMPT_KEYS_MAX)
        return fail(r, node, "more than %d keys", PROMPT_KEYS_MAX);
    for (size_t i = 0; !code && pair_at(r, node, i, &key, &value); i++) {
        if (key->type != YAML_SCALAR_NODE)
            return fail(r, key, "expected a key");
        for (size_t k = 0; k < i && pair_at(r, node, k, &other, &value); k++)
            if (str_eq(scalar_of(key), scalar_of(other)))
                return fail(r, key, "'%.*s' was there before", STR_ARG(str_slice(scalar_of(key), 0, 64)));
        code = check_node(r, node->data.mapping.pairs.start[i].key, depth);
        if (!code)
            code = check_node(r, node->data.mapping.pairs.start[i].value, depth);
    }
    return code;
}

static enum err_code check_node(struct reading *r, int index, int depth)
{
    const yaml_node_t *node = node_at(r, index);
    const char *tag = (const char *)node->tag;
    const char *usual = node->type == YAML_SCALAR_NODE    ? YAML_STR_TAG
                        : node->type == YAML_MAPPING_NODE ? YAML_MAP_TAG
                                                          : YAML_SEQ_TAG;
    enum err_code code = ERR_OK;
    if (r->seen[index])
        return fail(r, node, "aliases ('*name') are not allowed here");
    r->seen[index] = true;
    if (tag && strcmp(tag, usual) != 0)
        return fail(r, node, "tags ('!name') are not allowed here");
    if (depth > PROMPT_DEPTH_MAX)
        return fail(r, node, "more than %d levels", PROMPT_DEPTH_MAX);
    if (memchr(scalar_of(node).len ? scalar_of(node).ptr : "", '\0', scalar_of(node).len))
        return fail(r, node, "the value contains a NUL character");
    if (node->type == YAML_MAPPING_NODE)
        return check_mapping(r, node, depth + 1);
    if (node->type == YAML_SEQUENCE_NODE)
        for (const int *i = node->data.sequence.items.start; !code && i < node->data.sequence.items.top; i++)
            code = check_node(r, *i, depth + 1);
    return code;
}

/* --- YAML as JSON --------------------------------------------------------------------------------------- */

/* Plain scalars have types by YAML 1.2's core schema, as far as JSON has them: yes and no are words. */
static json_t *scalar_json(const yaml_node_t *node)
{
    struct str s = scalar_of(node);
    int64_t integer;
    double real;
    if (is_null(node))
        return json_null();
    if (is_plain(node) && (str_is(s, "true") || str_is(s, "false")))
        return json_boolean(s.ptr[0] == 't');
    if (is_plain(node) && str_to_i64(s, &integer))
        return json_integer(integer);
    if (is_plain(node) && str_to_double(s, &real))
        return json_real(real);
    return json_stringn(s.len ? s.ptr : "", s.len);
}

static json_t *node_json(const struct reading *r, const yaml_node_t *node)
{
    const yaml_node_t *key, *value;
    if (node->type == YAML_SCALAR_NODE)
        return scalar_json(node);
    if (node->type == YAML_SEQUENCE_NODE) {
        json_t *list = json_array();
        for (size_t i = 0; (value = item_at(r, node, i)); i++)
            json_array_append_new(list, node_json(r, value));
        return list;
    }
    json_t *object = json_object();
    for (size_t i = 0; pair_at(r, node, i, &key, &value); i++)
        json_object_setn_new(object, (const char *)key->data.scalar.value, key->data.scalar.length,
                             node_json(r, value));
    return object;
}

/* --- texts with variables ------------------------------------------------------------------------------- */

static bool is_name(struct str s, const char *more)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i > 0 && ((c >= '0' && c <= '9') || strchr(more, c))))
            return false;
    }
    return s.len > 0 && s.len <= PROMPT_NAME_MAX;
}

/* A "{{" without its "}}" gives a variable's name that is empty and not NULL: prompts_open lets none of them in. */
bool prompt_piece(struct str *rest, struct str *literal, struct str *variable)
{
    if (rest->len == 0)
        return false;
    size_t open = str_find(*rest, STR("{{"));
    *literal = str_slice(*rest, 0, open);
    *variable = (struct str){ 0 };
    if (open == SIZE_MAX) {
        *rest = (struct str){ 0 };
        return true;
    }
    struct str inside = str_slice(*rest, open + 2, rest->len);
    size_t close = str_find(inside, STR("}}"));
    *variable = close == SIZE_MAX ? (struct str){ inside.ptr, 0 } : str_trim(str_slice(inside, 0, close));
    *rest = close == SIZE_MAX ? (struct str){ 0 } : str_slice(inside, close + 2, inside.len);
    return true;
}

void prompt_fill(struct buf *out, struct str text, struct str (*value)(void *ctx, struct str name), void *ctx)
{
    struct str literal, variable;
    while (prompt_piece(&text, &literal, &variable)) {
        buf_put_str(out, literal);
        if (variable.len)
            buf_put_str(out, value(ctx, variable));
    }
}

const struct prompt_variable *prompt_variable(const struct prompt_template *t, struct str name)
{
    for (size_t i = 0; i < t->n_variables; i++)
        if (str_is(name, t->variables[i].name))
            return &t->variables[i];
    return NULL;
}

static enum err_code check_variables(const struct reading *r, const yaml_node_t *node, bool texts_only)
{
    struct str rest = scalar_of(node), literal, name;
    while (prompt_piece(&rest, &literal, &name)) {
        const struct prompt_variable *v = prompt_variable(r->t, name);
        if (name.ptr && !is_name(name, ""))
            return fail(r, node, "'{{' without a variable's name and '}}'");
        if (name.len && !v)
            return fail(r, node, "there is no variable '%.*s' under variables", STR_ARG(name));
        if (v && texts_only && v->kind != PROMPT_TEXT)
            return fail(r, node, "'%s' is no text, and instructions are", v->name);
    }
    return ERR_OK;
}

static enum err_code read_text(const struct reading *r, const yaml_node_t *node, bool texts_only,
                               struct str *out)
{
    if (node->type != YAML_SCALAR_NODE || is_null(node))
        return fail(r, node, "expected a text");
    *out = scalar_of(node);
    return check_variables(r, node, texts_only);
}

/* --- variables ------------------------------------------------------------------------------------------ */

static enum err_code read_kind(const struct reading *r, const yaml_node_t *node, struct prompt_variable *v)
{
    for (int kind = 0; kind < PROMPT_KINDS; kind++)
        if (str_is(scalar_of(node), prompt_kind_names[kind])) {
            v->kind = (enum prompt_kind)kind;
            return ERR_OK;
        }
    return fail(r, node, "kind: expected text, image or file");
}

static enum err_code read_required(const struct reading *r, const yaml_node_t *node,
                                   struct prompt_variable *v)
{
    struct str s = scalar_of(node);
    if (!str_is(s, "true") && !str_is(s, "false"))
        return fail(r, node, "required: expected true or false");
    v->required = str_is(s, "true");
    return ERR_OK;
}

static enum err_code read_default(const struct reading *r, const yaml_node_t *node, struct prompt_variable *v)
{
    if (node->type != YAML_SCALAR_NODE || is_null(node))
        return fail(r, node, "default: expected a text");
    v->dflt = arena_str(r->arena, scalar_of(node)).ptr;
    return ERR_OK;
}

static const struct variable_key {
    const char *name;
    enum err_code (*read)(const struct reading *r, const yaml_node_t *node, struct prompt_variable *v);
} variable_keys[] = {
    { "kind", read_kind },
    { "required", read_required },
    { "default", read_default },
};

static enum err_code read_variable(const struct reading *r, const yaml_node_t *key, const yaml_node_t *value,
                                   struct prompt_variable *v)
{
    const yaml_node_t *member, *node;
    bool said = false; /* whether it is required */
    enum err_code code = ERR_OK;
    *v = (struct prompt_variable){ .name = arena_str(r->arena, scalar_of(key)).ptr, .required = true };
    if (!is_name(scalar_of(key), ""))
        return fail(r, key, "a variable's name has letters, digits and '_', at most %d", PROMPT_NAME_MAX);
    if (is_null(value))
        return ERR_OK;
    if (value->type != YAML_MAPPING_NODE)
        return fail(r, value, "expected keys of the variable: kind, required, default");
    for (size_t i = 0; !code && pair_at(r, value, i, &member, &node); i++) {
        size_t k = 0;
        while (k < ARRAY_LEN(variable_keys) && !str_is(scalar_of(member), variable_keys[k].name))
            k++;
        if (k == ARRAY_LEN(variable_keys))
            return fail(r, member, "a variable has the keys kind, required and default");
        said |= variable_keys[k].read == read_required;
        code = variable_keys[k].read(r, node, v);
    }
    if (!code && v->dflt && said && v->required)
        return fail(r, value, "'%s' is required and has a default", v->name);
    if (!code && v->dflt && v->kind != PROMPT_TEXT)
        return fail(r, value, "'%s' is no text, and has a default", v->name);
    v->required = v->required && !v->dflt;
    return code;
}

static enum err_code read_variables(struct reading *r, const yaml_node_t *node)
{
    const yaml_node_t *key, *value;
    enum err_code code = ERR_OK;
    if (node->type != YAML_MAPPING_NODE)
        return fail(r, node, "variables: expected names, as 'city: {}'");
    if (pairs_of(node) > PROMPT_VARIABLES_MAX)
        return fail(r, node, "variables: more than %d", PROMPT_VARIABLES_MAX);
    struct prompt_variable *v = arena_array(r->arena, pairs_of(node) + 1, sizeof *v);
    r->t->variables = v;
    for (size_t i = 0; !code && pair_at(r, node, i, &key, &value); i++)
        code = read_variable(r, key, value, &v[r->t->n_variables++]);
    return code;
}

/* --- the other keys ------------------------------------------------------------------------------------- */

static enum err_code read_instructions(struct reading *r, const yaml_node_t *node)
{
    struct str text;
    enum err_code code = read_text(r, node, true, &text);
    if (!code)
        r->t->instructions = arena_str(r->arena, text).ptr;
    return code;
}

static bool is_role(struct str s)
{
    return str_is(s, "user") || str_is(s, "assistant") || str_is(s, "system") || str_is(s, "developer");
}

static enum err_code read_message(struct reading *r, const yaml_node_t *node, json_t *messages)
{
    const yaml_node_t *key, *value;
    json_t *message = json_object();
    json_array_append_new(messages, message);
    if (node->type != YAML_MAPPING_NODE || pairs_of(node) != 2)
        return fail(r, node, "expected a message with role and content");
    for (size_t i = 0; pair_at(r, node, i, &key, &value); i++) {
        struct str text = scalar_of(value);
        enum err_code code = ERR_OK;
        if (str_is(scalar_of(key), "content"))
            code = read_text(r, value, false, &text);
        else if (!str_is(scalar_of(key), "role"))
            code = fail(r, key, "a message has the keys role and content");
        else if (!is_role(text))
            code = fail(r, value, "role: expected user, assistant, system or developer");
        if (code)
            return code;
        json_object_set_new(message, (const char *)key->data.scalar.value,
                            json_stringn(text.len ? text.ptr : "", text.len));
    }
    return ERR_OK;
}

static enum err_code read_input(struct reading *r, const yaml_node_t *node)
{
    const yaml_node_t *item;
    struct str text;
    enum err_code code = ERR_OK;
    if (node->type == YAML_SEQUENCE_NODE) {
        json_t *messages = json_array();
        r->t->input = messages;
        for (size_t i = 0; !code && (item = item_at(r, node, i)); i++)
            code = read_message(r, item, messages);
        return code || json_array_size(messages) ? code : fail(r, node, "input: expected a message");
    }
    if (!(code = read_text(r, node, false, &text)))
        r->t->input = json_stringn(text.len ? text.ptr : "", text.len);
    return code;
}

/* What has a key of its own in the file, or would lead to another template, is no default. */
static enum err_code read_defaults(struct reading *r, const yaml_node_t *node)
{
    const yaml_node_t *key, *value;
    if (node->type != YAML_MAPPING_NODE)
        return fail(r, node, "defaults: expected fields of a request, as 'model: o3'");
    r->t->defaults = node_json(r, node);
    for (size_t i = 0; pair_at(r, node, i, &key, &value); i++) {
        struct str name = scalar_of(key);
        if (str_is(name, "instructions") || str_is(name, "input") || str_is(name, "prompt"))
            return fail(r, key, "defaults: '%.*s' cannot stand here", STR_ARG(name));
        if (r->is_field && !r->is_field((const char *)key->data.scalar.value))
            return fail(r, key, "defaults: a request has no field '%.*s'", STR_ARG(str_slice(name, 0, 64)));
    }
    return ERR_OK;
}

/* In the order in which they are read: texts are checked against the variables. */
static const struct template_key {
    const char *name;
    enum err_code (*read)(struct reading *r, const yaml_node_t *node);
} template_keys[] = {
    { "variables", read_variables },
    { "instructions", read_instructions },
    { "input", read_input },
    { "defaults", read_defaults },
};

static enum err_code check_keys(const struct reading *r, const yaml_node_t *root)
{
    const yaml_node_t *key, *value;
    for (size_t i = 0; pair_at(r, root, i, &key, &value); i++) {
        size_t k = 0;
        while (k < ARRAY_LEN(template_keys) && !str_is(scalar_of(key), template_keys[k].name))
            k++;
        if (k == ARRAY_LEN(template_keys))
            return fail(r, key,
                        "unknown key '%.*s'; a template has variables, instructions, input and defaults",
                        STR_ARG(str_slice(scalar_of(key), 0, 64)));
    }
    return ERR_OK;
}

static enum err_code read_root(struct reading *r)
{
    const yaml_node_t *root = yaml_document_get_root_node(&r->doc), *key, *value;
    if (!root || root->type != YAML_MAPPING_NODE)
        return fail(r, root, "expected a template: variables, instructions, input, defaults");
    r->seen = arena_array(r->arena, (size_t)(r->doc.nodes.top - r->doc.nodes.start) + 1, sizeof *r->seen);
    enum err_code code = check_node(r, 1, 0); /* libyaml counts from the root, which is 1 */
    if (!code)
        code = check_keys(r, root);
    for (size_t k = 0; !code && k < ARRAY_LEN(template_keys); k++)
        for (size_t i = 0; !code && pair_at(r, root, i, &key, &value); i++)
            if (str_is(scalar_of(key), template_keys[k].name))
                code = template_keys[k].read(r, value);
    if (!code && !r->t->instructions && !r->t->input && !r->t->defaults)
        code = fail(r, root, "a template needs instructions, input or defaults");
    return code;
}

/* --- files ---------------------------------------------------------------------------------------------- */

static enum err_code fail_syntax(struct reading *r, const yaml_parser_t *parser, struct str text)
{
    size_t line;
    const char *problem = yaml_problem(parser, text, &line);
    return err_set(r->err, ERR_CONFIG, NULL, "%s:%zu: %s.", r->file, line, problem);
}

static enum err_code read_document(struct reading *r, struct str text)
{
    yaml_parser_t parser;
    yaml_document_t more;
    if (!yaml_parser_initialize(&parser))
        return err_set(r->err, ERR_CONFIG, NULL, "%s:1: no memory for the YAML parser.", r->file);
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.len ? text.ptr : ""), text.len);
    enum err_code code;
    if (!yaml_parser_load(&parser, &r->doc)) {
        code = fail_syntax(r, &parser, text);
    } else {
        code = read_root(r);
        if (!code && !yaml_parser_load(&parser, &more)) {
            code = fail_syntax(r, &parser, text);
        } else if (!code) {
            const yaml_node_t *second = yaml_document_get_root_node(&more);
            if (second)
                code = fail(r, second, "a second document begins");
            yaml_document_delete(&more);
        }
        yaml_document_delete(&r->doc);
    }
    yaml_parser_delete(&parser);
    return code;
}

/* NAME@VERSION of a file's name. */
static bool parse_name(struct prompt_template *t, struct str file, struct arena *arena)
{
    struct str stem = str_slice(file, 0, file.len - strlen(".yaml"));
    size_t at = str_find(stem, STR("@"));
    struct str name = str_slice(stem, 0, at);
    struct str version = at == SIZE_MAX ? (struct str){ 0 } : str_slice(stem, at + 1, stem.len);
    bool digits = version.len > 0 && version.len <= 9 && version.ptr[0] >= '1' && version.ptr[0] <= '9';
    if (!is_name(name, "-") || !digits || !str_to_i64(version, &t->version))
        return false;
    t->name = arena_str(arena, name).ptr;
    return true;
}

static void read_file(struct prompts *p, const char *dir, const char *file,
                      bool (*is_field)(const char *name))
{
    struct prompt_template *t = &p->items[p->n++];
    struct reading r = { .file = file, .t = t, .is_field = is_field, .arena = &p->arena, .err = &t->err };
    struct buf text = { 0 };
    t->name = arena_strdup(&p->arena, file);
    if (!parse_name(t, str_from(file), &p->arena))
        err_set(&t->err, ERR_CONFIG, NULL,
                "%s:1: a template's file is called NAME@VERSION.yaml, as greeting@1.yaml: letters, digits, "
                "'_' and "
                "'-', and a number from 1.",
                file);
    else if (!file_read(&text, arena_printf(&p->arena, "%s/%s", dir, file), CONFIG_FILE_BYTES_MAX, &t->err))
        read_document(&r, buf_str(&text));
    buf_free(&text);
}

static int is_template(const struct dirent *e)
{
    return e->d_name[0] != '.' && str_ends(str_from(e->d_name), STR(".yaml"));
}

static int by_name_and_version(const void *a, const void *b)
{
    const struct prompt_template *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x->version > y->version) - (x->version < y->version);
}

enum err_code prompts_open(struct prompts **out, const char *dir, bool (*is_field)(const char *name),
                           struct err *err)
{
    struct prompts *p = mem_zalloc(sizeof *p);
    struct dirent **files = NULL;
    int n = dir ? scandir(dir, &files, is_template, alphasort) : 0;
    enum err_code code = ERR_OK;
    if (n < 0 && errno != ENOENT && errno != ENOTDIR)
        code = err_set(err, ERR_FILE, NULL, "Cannot read '%s': %s.", dir, strerror(errno));
    else if (n > PROMPTS_MAX)
        code = err_set(err, ERR_CONFIG, NULL, "'%s' has more than %d templates.", dir, PROMPTS_MAX);
    p->items = arena_array(&p->arena, (size_t)(n > 0 ? n : 0) + 1, sizeof *p->items);
    for (int i = 0; i < n; i++) {
        if (!code)
            read_file(p, dir, arena_strdup(&p->arena, files[i]->d_name), is_field);
        free(files[i]);
    }
    free(files);
    qsort(p->items, p->n, sizeof *p->items, by_name_and_version);
    if (code)
        prompts_close(p);
    else
        *out = p;
    return code;
}

void prompts_close(struct prompts *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->n; i++) {
        json_decref((json_t *)(uintptr_t)p->items[i].input);
        json_decref((json_t *)(uintptr_t)p->items[i].defaults);
    }
    arena_free(&p->arena);
    mem_free(p);
}

/* --- finding -------------------------------------------------------------------------------------------- */

const struct prompt_template *prompts_at(const struct prompts *p, size_t i)
{
    return i < p->n ? &p->items[i] : NULL;
}

const struct prompt_template *prompts_find(const struct prompts *p, struct str id, struct str version)
{
    const struct prompt_template *best = NULL;
    struct str prefix = STR(PROMPT_ID_PREFIX);
    int64_t wanted = 0;
    if (!str_starts(id, prefix) || (version.len && (version.ptr[0] == '+' || !str_to_i64(version, &wanted))))
        return NULL;
    for (size_t i = 0; i < p->n; i++) { /* in order of version, so the last is the highest */
        const struct prompt_template *t = &p->items[i];
        if (!t->err.code && str_is(str_slice(id, prefix.len, id.len), t->name) &&
            (!version.len || t->version == wanted))
            best = t;
    }
    return best;
}
