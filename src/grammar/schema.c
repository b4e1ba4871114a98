/*
 * schema.c - JSON Schema (draft 2020-12, and the forms of older drafts that SDKs send) as a grammar.
 *
 * The texts of the grammar are JSON that is valid against the schema: exactly, or what cannot be so is refused
 * (strict) or named (else). Leaving a keyword out only ever lets more texts in, so what is enforced of the rest
 * stays true. In some things the grammar says less than the schema, on purpose: each is one spelling among equals,
 * or a bound on what a reader can take.
 *   properties   in the order of the schema, those without a name last
 *   strings      each character in one spelling (node_json_image); no U+0000
 *   dates        from the year 1 on
 *   numbers      see schema_number.c
 *   blanks       none, or one behind ':' and ',' (enum json_layout)
 *
 * With strict, what the API demands besides is checked where it is needed: the document is an object, every object
 * forbids keys that it does not name, and requires those it names.
 *
 * Threads:   a compile belongs to one.
 * Ownership: the schema stays the caller's; json_t of it are only counted up while the compile lives.
 */
#include "grammar/schema_impl.h"

static void compile_open(struct compile *c, struct builder *b, const json_t *schema,
                         const struct schema_options *o, struct err *err)
{
    static const struct char_range all = { 1, 0x10ffff };
    *c = (struct compile){ .b = b, .document = schema, .options = o, .err = err };
    c->omitted = json_array();
    c->made = json_pack("[i]", 1); /* its first is the 1 that an integer is a multiple of */
    c->shapes_end = &c->shapes;
    c->waiting_end = &c->waiting;
    c->any_char = node_class(b, &all, 1);
    c->any_text = node_repeat(b, c->any_char, 0, REPEAT_ENDLESS);
    bool spaced = o->layout == LAYOUT_SPACED;
    c->comma = spaced ? seq2(c, text_node(c, ","), opt(c, text_node(c, " "))) : text_node(c, ",");
    c->colon = spaced ? seq2(c, text_node(c, ":"), opt(c, text_node(c, " "))) : text_node(c, ":");
}

static void compile_close(struct compile *c)
{
    json_decref(c->omitted);
    json_decref(c->made);
    arena_free(&c->arena);
}

static bool only_objects(const struct shape *s, unsigned depth)
{
    for (size_t i = 0; i < s->alternatives_n; i++)
        if (s->alternatives[i].types != TYPE_OBJECT)
            return false;
    for (size_t i = 0; i < s->branches_n; i++)
        if (!depth || !only_objects(s->branches[i], depth - 1))
            return false;
    return s->n > 0;
}

static const struct node *build(struct compile *c)
{
    places_find(c);
    struct shape *start = c->code ? NULL : shape_of_one(c, c->document);
    if (!c->code && c->options->strict && !only_objects(start, SCHEMA_NESTING_MAX))
        schema_fail(c, c->document, "type", "With 'strict' the schema must be that of an object.");
    if (c->code)
        return node_never(c->b);
    const struct node *x = shape_node(c, start);
    shapes_build(c);
    if (schema_step(c, 0))
        shapes_check(c, start);
    return x;
}

enum err_code schema_node(const struct node **out, struct builder *b, const json_t *schema,
                          const struct schema_options *o, json_t **omitted, struct err *err)
{
    struct compile c;
    if (omitted)
        *omitted = NULL;
    compile_open(&c, b, schema, o, err);
    *out = build(&c);
    enum err_code code = c.code;
    if (!code && omitted && json_array_size(c.omitted))
        *omitted = json_incref(c.omitted);
    compile_close(&c);
    return code;
}

/* Each is a call, and what stands in it has one more. */
void schema_bound_depth(struct builder *b)
{
    builder_calls_max(b, JSON_DEPTH_MAX - 1);
}

/* The grammar whose texts are those of x. Takes the builder. */
static enum err_code grammar_of(struct grammar **out, struct builder *b, const struct node *x,
                                struct err *err)
{
    size_t start = rule_new(b, "the schema");
    rule_define(b, start, x);
    schema_bound_depth(b);
    return grammar_from(out, b, start, ERR_INVALID_SCHEMA, err);
}

enum err_code grammar_open_schema(struct grammar **out, const json_t *schema, const struct schema_options *o,
                                  json_t **omitted, struct err *err)
{
    const struct node *x;
    struct builder *b = builder_open();
    *out = NULL;
    enum err_code code = schema_node(&x, b, schema, o, omitted, err);
    if (code) {
        builder_close(b);
        return code;
    }
    code = grammar_of(out, b, x, err);
    if (!code)
        return ERR_OK;
    struct err why = *err;
    if (omitted) {
        json_decref(*omitted);
        *omitted = NULL;
    }
    return err_set(err, code, o->path, "%s", why.message);
}

enum err_code grammar_open_json_object(struct grammar **out, enum json_layout layout, struct err *err)
{
    struct compile c;
    struct schema_options o = { .layout = layout };
    struct builder *b = builder_open();
    *out = NULL;
    compile_open(&c, b, json_true(), &o, err);
    free_values_need(&c);
    const struct node *x = c.free_object;
    compile_close(&c);
    return grammar_of(out, b, x, err);
}
