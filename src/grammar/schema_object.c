/*
 * schema_object.c - objects: the named members in the order of the schema, then those that are not named.
 *
 * A member's value has the set of all that speak of its key: properties, the patternProperties that match it, and,
 * of each schema of the object in which neither does, additionalProperties. Keys that are only required are named
 * too, last.
 *
 * Keys without a name may come where no schema forbids them, behind the named ones. They are told apart by the
 * patterns they match, and are never a named key. That none of them comes twice no grammar can say, for it would
 * have to remember them all; what can be said would be, say, an order of their first letters, and would keep a
 * model from writing {"name": ..., "age": ...}. So the matcher remembers the keys of the objects that are open, and
 * refuses the quote that would end one of them a second time (builder_unique_keys). That never leads to a place
 * from which nothing goes on if each beginning of a key has endless ends. Where a pattern or propertyNames
 * leave keys for which that is not so, at most one of them may come, as if it were the last that is named.
 */
#include "grammar/schema_impl.h"

#include <string.h>

#define MEMBERS_MANY 32   /* from here on they are rules */
#define FIRSTS_MAX   1000 /* optional ones before the first that is required */

struct member {
    struct str key;
    bool required, barred;
    const struct node *node; /* key, colon, value */
};

struct region { /* keys without a name that match the same patterns */
    const struct node *keys;
    struct shape *value;
};

struct pattern {
    const json_t *owner, *schema;
    const struct node *keys;
};

struct object {
    struct compile *c;
    struct facts *f;
    const json_t **schemas; /* those with properties, in order */
    size_t schemas_n;
    struct member *members;
    size_t n, cap;
    json_t *index; /* key: its place in members */
    struct pattern patterns[SCHEMA_PATTERNS_MAX];
    size_t patterns_n;
    const struct node *others,
        *more_others; /* members without a name: the first, and those behind one; never, empty: none */
};

/* --- one member ------------------------------------------------------------------------------------------- */

static const json_t *additional_of(const json_t *schema)
{
    const json_t *a = json_object_get(schema, "additionalProperties");
    const json_t *rest = a ? NULL : json_object_get(schema, "unevaluatedProperties");
    return rest && schema_sees_alone(schema) ? rest : a;
}

static const struct node *key_pattern(struct compile *c, const json_t *schema, const char *pattern)
{
    const struct node *x;
    struct err err;
    if (!regex_node(&x, c->b, str_from(pattern), REGEX_ECMA, true, &err))
        return x;
    schema_cannot(c, schema, "patternProperties", arena_strdup(&c->arena, err.message));
    return NULL;
}

/* Appends what schema says of key. False: it forbids it. */
static bool member_schemas(struct compile *c, const json_t *schema, struct str key, const json_t **out,
                           size_t *n)
{
    const json_t *named = json_object_getn(json_object_get(schema, "properties"), key.ptr, key.len);
    bool spoken = named;
    const char *pattern;
    json_t *value;
    if (named)
        out[(*n)++] = named;
    json_object_foreach(json_object_get(schema, "patternProperties"), pattern, value)
    {
        const struct node *keys = key_pattern(c, schema, pattern);
        if (!keys || !schema_step(c, 1))
            return true; /* what it says cannot be told, so nothing is demanded */
        if (!text_among(c, keys, key))
            continue;
        out[(*n)++] = value;
        spoken = true;
    }
    if (!spoken && additional_of(schema))
        out[(*n)++] = additional_of(schema);
    for (size_t i = 0; i < *n; i++)
        if (json_is_false(out[i]))
            return false;
    return true;
}

static size_t most_schemas(const struct facts *f)
{
    size_t n = 1;
    for (const struct said *s = f->objects; s; s = s->before)
        n += 2 + json_object_size(json_object_get(s->value, "patternProperties"));
    return n;
}

/* NULL where the strings that names allow are not known to be a set. */
static const struct node *names_set(struct compile *c, const struct facts *f)
{
    size_t n;
    const json_t **names = said_in_order(c, f->names, &n);
    return n ? shape_strings(c, shape_of(c, names, n), SCHEMA_NESTING_MAX) : c->any_text;
}

struct shape *object_member(struct compile *c, const struct facts *f, struct str key)
{
    const json_t **schemas = arena_array(&c->arena, most_schemas(f), sizeof *schemas);
    size_t n = 0;
    for (const struct said *s = f->objects; s && schema_step(c, 1); s = s->before)
        if (!member_schemas(c, s->value, key, schemas, &n))
            return NULL;
    if (f->names && names_set(c, f) != c->any_text && !text_among(c, names_set(c, f), key))
        return NULL;
    return shape_of(c, schemas, n);
}

/* --- the named ones ------------------------------------------------------------------------------------------ */

static void add_member(struct object *o, struct member m)
{
    if (o->n == o->cap) {
        o->cap = o->cap ? 2 * o->cap : 16;
        struct member *wide = arena_array(&o->c->arena, o->cap, sizeof *wide);
        if (o->n)
            memcpy(wide, o->members, o->n * sizeof *wide);
        o->members = wide;
    }
    o->members[o->n++] = m;
}

static void name_member(struct object *o, const char *key)
{
    if (json_object_get(o->index, key) || !schema_step(o->c, 1))
        return;
    json_object_set_new(o->index, key, json_integer((json_int_t)o->n));
    add_member(o, (struct member){ .key = str_from(arena_strdup(&o->c->arena, key)) });
}

/* Where propertyNames is a list of strings, its keys are named. */
static void name_listed(struct object *o)
{
    size_t n, i;
    json_t *one, *values = json_array();
    const json_t **names = said_in_order(o->c, o->f->names, &n);
    place_made(o->c, values, o->c->document);
    if (!n || !shape_values(o->c, shape_of(o->c, names, n), values, SCHEMA_NESTING_MAX))
        return;
    json_array_foreach(values, i, one)
    {
        if (json_is_string(one))
            name_member(o, json_string_value(one));
    }
}

static void name_members(struct object *o)
{
    size_t n;
    for (size_t i = 0; i < o->schemas_n; i++) {
        const char *key;
        json_t *value;
        json_t *properties = json_object_get(o->schemas[i], "properties");
        if (properties && !json_is_object(properties))
            schema_fail(o->c, o->schemas[i], "properties", "Expected an object, but got %s.",
                        json_kind(properties));
        json_object_foreach(properties, key, value) name_member(o, key);
    }
    const json_t **required = said_in_order(o->c, o->f->required, &n);
    for (size_t i = 0; i < n; i++)
        name_member(o, json_string_value(required[i]));
    for (size_t i = 0; i < n && !o->c->code; i++)
        o->members[json_integer_value(json_object_get(o->index, json_string_value(required[i])))].required =
            true;
    name_listed(o);
}

static const struct node *member_node(struct object *o, const struct node *keys, struct shape *value)
{
    const struct node *parts[] = { string_node(o->c, keys), o->c->colon, shape_node(o->c, value) };
    return node_seq(o->c->b, parts, ARRAY_LEN(parts));
}

/* False: a key that is required is forbidden. */
static bool build_members(struct object *o)
{
    struct shape **needs = arena_array(&o->c->arena, o->n + 1, sizeof *needs);
    if (o->f->types == TYPE_OBJECT)
        o->f->needs = needs;
    for (size_t i = 0; i < o->n && schema_step(o->c, 1); i++) {
        struct member *m = &o->members[i];
        struct shape *value = object_member(o->c, o->f, m->key);
        m->barred = !value;
        if (m->barred && m->required) {
            o->c->why = arena_printf(&o->c->arena, "it requires '%.*s', which it forbids",
                                     STR_ARG(field_quoted(m->key)));
            return false;
        }
        if (m->required && o->f->types == TYPE_OBJECT)
            needs[o->f->needs_n++] = value;
        if (!m->barred)
            m->node = member_node(o, node_text(o->c->b, m->key), value);
        if (!m->barred && !m->required && o->c->options->strict)
            schema_fail(o->c, o->schemas[0], "required",
                        "With 'strict' every property is required, but '%.*s' is not listed.",
                        STR_ARG(field_quoted(m->key)));
    }
    return !o->c->code;
}

/* --- those without a name ---------------------------------------------------------------------------------------- */

static bool find_patterns(struct object *o)
{
    for (size_t i = 0; i < o->schemas_n; i++) {
        const char *pattern;
        json_t *value;
        json_t *all = json_object_get(o->schemas[i], "patternProperties");
        if (all && !json_is_object(all))
            schema_fail(o->c, o->schemas[i], "patternProperties", "Expected an object, but got %s.",
                        json_kind(all));
        json_object_foreach(all, pattern, value)
        {
            const struct node *keys = key_pattern(o->c, o->schemas[i], pattern);
            if (!keys || o->patterns_n == SCHEMA_PATTERNS_MAX) {
                schema_cannot(o->c, o->schemas[i], "patternProperties",
                              "too many patterns speak of one object");
                return false;
            }
            o->patterns[o->patterns_n++] = (struct pattern){ o->schemas[i], value, keys };
        }
    }
    return true;
}

/* What holds for keys that match just the patterns in mask; NULL: they are forbidden. */
static struct shape *region_shape(struct object *o, size_t mask)
{
    const json_t **schemas = arena_array(&o->c->arena, most_schemas(o->f), sizeof *schemas);
    size_t n = 0;
    for (size_t i = 0; i < o->schemas_n; i++) {
        bool spoken = false;
        for (size_t p = 0; p < o->patterns_n; p++)
            if (mask >> p & 1 && o->patterns[p].owner == o->schemas[i]) {
                schemas[n++] = o->patterns[p].schema;
                spoken = true;
            }
        if (!spoken && additional_of(o->schemas[i]))
            schemas[n++] = additional_of(o->schemas[i]);
    }
    for (size_t i = 0; i < n; i++)
        if (json_is_false(schemas[i]))
            return NULL;
    return shape_of(o->c, schemas, n);
}

static const struct node *unnamed_keys(struct object *o)
{
    const struct node **names = arena_array(&o->c->arena, o->n + 1, sizeof(struct node *));
    const struct node *set = o->f->names ? names_set(o->c, o->f) : o->c->any_text;
    for (size_t i = 0; i < o->n; i++)
        names[i] = node_text(o->c->b, o->members[i].key);
    return o->n ? node_and(o->c->b, set, node_not(o->c->b, node_or(o->c->b, names, o->n))) : set;
}

static const struct node *region_keys(struct object *o, size_t mask, const struct node *unnamed)
{
    for (size_t p = 0; p < o->patterns_n; p++) {
        const struct node *keys = o->patterns[p].keys;
        unnamed = node_and(o->c->b, unnamed, mask >> p & 1 ? keys : node_not(o->c->b, keys));
    }
    return unnamed;
}

static void build_others(struct object *o)
{
    struct builder *b = o->c->b;
    const struct node *any = node_never(b), *unnamed = NULL;
    o->others = node_never(b);
    o->more_others = node_empty(b);
    bool told =
        find_patterns(o); /* else patternProperties is left out, and with it what is "additional" to it */
    o->patterns_n = told ? o->patterns_n : 0;
    for (size_t mask = 0; mask < (size_t)1 << o->patterns_n && schema_step(o->c, 1); mask++) {
        struct shape *value = told ? region_shape(o, mask) : shape_of(o->c, NULL, 0);
        if (!value)
            continue;
        unnamed = unnamed ? unnamed : unnamed_keys(o);
        const struct node *keys = region_keys(o, mask, unnamed);
        /* Any text but a few is never nothing, and has no beginning without endless ends. */
        bool plain = !o->patterns_n && (!o->f->names || names_set(o->c, o->f) == o->c->any_text);
        if (!plain && node_is_never(b, keys) == ANSWER_YES)
            continue;
        if (o->c->options->strict)
            schema_fail(o->c, o->schemas_n ? o->schemas[0] : o->c->document, "additionalProperties",
                        "With 'strict' every object must say 'additionalProperties': false.");
        const struct node *member = member_node(o, keys, value);
        if (plain || node_open_ended(b, keys))
            any = or2(o->c, any, member);
        else
            add_member(o, (struct member){ .node = member }); /* once, as if it were named */
    }
    if (any == node_never(b))
        return;
    builder_unique_keys(b);
    o->others = any;
    o->more_others = node_repeat(b, seq2(o->c, o->c->comma, any), 0, REPEAT_ENDLESS);
}

/* --- in a row --------------------------------------------------------------------------------------------------- */

/* What is said in two places and more is a rule where there is much of it. */
static const struct node *as_rule(struct object *o, const struct node *x)
{
    if (o->n < MEMBERS_MANY)
        return x;
    size_t rule = rule_new(o->c->b, "members");
    rule_define(o->c->b, rule, x);
    return node_call(o->c->b, rule);
}

static const struct node *behind(struct object *o, const struct member *m, const struct node *rest)
{
    const struct node *x = seq2(o->c, o->c->comma, m->node);
    return seq2(o->c, m->required ? x : opt(o->c, x), rest);
}

/*
 * Commas stand between members, whichever are there. rest[i] is what may follow when something stands before member
 * i; the object begins with one of the members up to the first that is required. So each member is written down
 * twice at most, and not once for each set of those before it.
 */
static const struct node *in_a_row(struct object *o)
{
    struct builder *b = o->c->b;
    const struct node **firsts = arena_array(&o->c->arena, o->n + 2, sizeof(struct node *));
    const struct node *rest = o->more_others;
    size_t required = 0, n = 0;
    while (required < o->n && !(o->members[required].required && !o->members[required].barred))
        required++;
    if (required == o->n)
        firsts[n++] = opt(o->c, seq2(o->c, o->others, o->more_others));
    for (size_t i = o->n; i-- > 0;) {
        if (o->members[i].barred)
            continue;
        if (i <= required && i + 1 < o->n) {
            o->members[i].node = as_rule(o, o->members[i].node);
            rest = as_rule(o, rest);
        }
        if (i <= required)
            firsts[n++] = seq2(o->c, o->members[i].node, rest);
        rest = behind(o, &o->members[i], rest);
    }
    return node_or(b, firsts, n);
}

/* --- counted
 * ------------------------------------------------------------------------------------------------------ */

struct tally {
    struct object *o;
    size_t min, max, cap; /* counts are kept up to cap */
    size_t *rules;        /* [n + 1][cap + 1] */
};
/* A count is that of named members so far, so it is never above their number. */

static const struct node *tally_call(struct tally *t, size_t at, size_t count)
{
    return node_call(t->o->c->b, t->rules[at * (t->cap + 1) + (count < t->cap ? count : t->cap)]);
}

static const struct node *tally_others(struct tally *t, size_t count)
{
    struct object *o = t->o;
    size_t least = t->min > count ? t->min - count : 0,
           most = t->max == SIZE_MAX ? REPEAT_ENDLESS : t->max - count;
    if (o->others == node_never(o->c->b) || !most)
        return least ? node_never(o->c->b) : node_empty(o->c->b);
    const struct node *more = seq2(o->c, o->c->comma, o->others);
    if (count)
        return node_repeat(o->c->b, more, least, most);
    const struct node *x =
        seq2(o->c, o->others,
             node_repeat(o->c->b, more, least ? least - 1 : 0, most == REPEAT_ENDLESS ? most : most - 1));
    return least ? x : opt(o->c, x);
}

static const struct node *tally_state(struct tally *t, size_t at, size_t count)
{
    struct object *o = t->o;
    if (at == o->n)
        return tally_others(t, count);
    const struct member *m = &o->members[at];
    const struct node *without = tally_call(t, at + 1, count);
    if (m->barred)
        return without;
    const struct node *parts[] = { count ? o->c->comma : node_empty(o->c->b), m->node,
                                   tally_call(t, at + 1, count + 1) };
    const struct node *with =
        count < t->max ? node_seq(o->c->b, parts, ARRAY_LEN(parts)) : node_never(o->c->b);
    return m->required ? with : or2(o->c, with, without);
}

/* NULL: too many states. */
static const struct node *in_a_counted_row(struct object *o)
{
    const struct facts *f = o->f;
    struct tally t = { o, f->members_min, f->members_max, o->n, NULL };
    if (f->members_max == SIZE_MAX && f->members_min < t.cap)
        t.cap = f->members_min ? f->members_min : 1;
    if (t.cap > SCHEMA_COUNTED_MAX || (o->n + 1) * (t.cap + 1) > SCHEMA_COUNTED_MAX)
        return NULL;
    size_t states = (o->n + 1) * (t.cap + 1);
    t.rules = arena_array(&o->c->arena, states, sizeof *t.rules);
    for (size_t i = 0; i < states; i++)
        t.rules[i] = rule_new(o->c->b, "members");
    for (size_t i = 0; i < states && schema_step(o->c, 1); i++)
        rule_define(o->c->b, t.rules[i], tally_state(&t, i / (t.cap + 1), i % (t.cap + 1)));
    return tally_call(&t, 0, 0);
}

/* False: no number of members is allowed. */
static bool counts_meet(const struct object *o, size_t required, size_t possible, bool closed)
{
    if (required > o->f->members_max)
        o->c->why = "more properties are required than maxProperties allows";
    else if (closed && possible < o->f->members_min)
        o->c->why = "fewer properties are possible than minProperties asks for";
    else
        return true;
    return false;
}

static bool counts_matter(const struct object *o, size_t required, size_t possible, bool closed)
{
    return o->f->members_min > required ||
           (o->f->members_max != SIZE_MAX && (!closed || o->f->members_max < possible));
}

/* --- all of it
 * -------------------------------------------------------------------------------------------------------- */

/* Known before anything is built, so that hostile objects cost little. */
static void bound_firsts(struct object *o)
{
    size_t first = 0;
    while (first < o->n && !o->members[first].required)
        first++;
    if (first > FIRSTS_MAX)
        schema_fail(o->c, o->schemas[0], "properties", "More than %d properties may be the first one there.",
                    FIRSTS_MAX);
}

static const struct node *members_node(struct object *o)
{
    name_members(o);
    bound_firsts(o);
    if (!build_members(o))
        return node_never(o->c->b);
    build_others(o);
    size_t required = 0, possible = 0;
    for (size_t i = 0; i < o->n; i++) {
        required += o->members[i].required;
        possible += !o->members[i].barred;
    }
    bool closed = o->others == node_never(o->c->b);
    const struct node *x = NULL;
    if (!counts_meet(o, required, possible, closed))
        return node_never(o->c->b);
    if (counts_matter(o, required, possible, closed) && !(x = in_a_counted_row(o))) {
        static const char *const keywords[] = { "minProperties", "maxProperties" };
        for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
            if (facts_say(o->f, keywords[i]))
                schema_cannot(o->c, facts_say(o->f, keywords[i]), keywords[i],
                              "counting so many properties takes too many states");
    }
    return x ? x : in_a_row(o);
}

const struct node *object_node(struct compile *c, struct facts *f)
{
    struct object o = { .c = c, .f = f, .index = json_object() };
    const struct node *x = node_never(c->b);
    o.schemas = said_in_order(c, f->objects, &o.schemas_n);
    if (!o.schemas_n && !c->options->strict && !f->names) {
        free_values_need(c);
        x = c->free_object;
    } else {
        const struct node *parts[] = { text_node(c, "{"), members_node(&o), text_node(c, "}") };
        x = node_seq(c->b, parts, ARRAY_LEN(parts));
    }
    json_decref(o.index);
    return x;
}
