/*
 * schema_shape.c - sets of schemas that hold together, each once, and the rules they become.
 *
 * A shape's alternatives are found when the set is first met, and never go into the value; its node is made when it
 * is first asked for, and goes in by asking for the nodes of other shapes. Whoever has arrays or objects is a rule,
 * and waits in a list until shapes_build comes to it: no recursion is as deep as the schema, and a definition that
 * leads back to itself meets its own rule.
 *
 * A schema that is nothing but a choice keeps its branches as shapes of their own, so that what several choices
 * share is one rule; with anything beside it each branch is merged with that.
 *
 * While a question is answered (compile.quiet: are these two branches of oneOf apart?), oneOf may be taken for
 * anyOf. Shapes made then are kept apart from those that are built.
 */
#include "grammar/schema_impl.h"

#include <string.h>

#define BUCKETS_FIRST  256
#define DEAD_DEPTH_MAX 6 /* properties within properties that tell two branches apart */

/* --- finding ------------------------------------------------------------------------------------------ */

static uint64_t hash_set(const json_t *const *schemas, size_t n)
{
    uint64_t h = n;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uintptr_t)schemas[i]) * 0x9e3779b97f4a7c15u ^ h >> 29;
    return h ^ h >> 32; /* addresses end in zeros, and so does a product of them */
}

/* {"$ref": "#/$defs/a", "title": "..."} is what it refers to; true demands nothing and is NULL. */
const json_t *schema_plain(struct compile *c, const json_t *schema)
{
    for (unsigned hops = 0; json_is_object(schema) && hops < SCHEMA_NESTING_MAX; hops++) {
        const char *key;
        json_t *value;
        const json_t *ref = NULL;
        bool more = false;
        json_object_foreach((json_t *)schema, key, value)
        {
            const struct keyword *k = keyword_find(key);
            if (strcmp(key, "$ref") == 0)
                ref = value;
            else
                more |= !k || !k->note;
        }
        if (!ref && !more)
            return NULL;
        const json_t *target = ref && !more ? place_resolve(c, schema, ref) : NULL;
        if (!target)
            return schema;
        schema = target;
    }
    return json_is_true(schema) ? NULL : schema;
}

/* Sorted by address, without doubles: two ways to the same set are one shape. */
static size_t plain_set(struct compile *c, const json_t *const *schemas, size_t n, const json_t **out)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *s = schema_plain(c, schemas[i]);
        size_t at = m;
        while (at > 0 && (uintptr_t)out[at - 1] > (uintptr_t)s)
            at--;
        if (!s || (at > 0 && out[at - 1] == s))
            continue;
        memmove(out + at + 1, out + at, (m - at) * sizeof *out);
        out[at] = s;
        m++;
    }
    return m;
}

/* --- alternatives ----------------------------------------------------------------------------------------- */

struct settled {
    struct facts *list;
    size_t n, cap;
};

static void settled_put(struct compile *c, struct settled *s, const struct facts *f)
{
    if (s->n >= SCHEMA_ALTERNATIVES_MAX) {
        schema_fail(c, c->document, NULL, "One value has more than %d ways through anyOf, oneOf and if.",
                    SCHEMA_ALTERNATIVES_MAX);
        return;
    }
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 2;
        struct facts *list = arena_array(&c->arena, cap, sizeof *list);
        if (s->n)
            memcpy(list, s->list, s->n * sizeof *list);
        s->list = list;
        s->cap = cap;
    }
    s->list[s->n++] = *f;
}

/* Makes every choice in every way. */
static void settle(struct compile *c, struct facts *f, struct settled *out, unsigned depth)
{
    if (!f->types || !schema_step(c, 1))
        return;
    if (depth > SCHEMA_NESTING_MAX) {
        schema_fail(c, c->document, NULL, "One value has more than %d choices.", SCHEMA_NESTING_MAX);
        return;
    }
    if (!f->choices) {
        facts_finish(c, f);
        if (f->types)
            settled_put(c, out, f);
        return;
    }
    const struct said *choice = f->choices;
    size_t i;
    json_t *branch;
    json_array_foreach(choice->value, i, branch)
    {
        struct facts one = *f;
        one.choices = choice->before;
        facts_apply(c, &one, branch, choice->way);
        settle(c, &one, out, depth + 1);
    }
}

static void find_branches(struct compile *c, struct shape *s, const json_t *list)
{
    s->branches_n = json_array_size(list);
    s->branches = arena_array(&c->arena, s->branches_n, sizeof(struct shape *));
    for (size_t i = 0; i < s->branches_n && schema_step(c, 1); i++)
        s->branches[i] = shape_of_one(c, json_array_get(list, i));
    if (c->code)
        s->branches_n = 0;
}

static void find_alternatives(struct compile *c, struct shape *s)
{
    struct facts f;
    if (c->code)
        return;
    facts_any(&f);
    c->why = NULL;
    for (size_t i = 0; i < s->n; i++)
        facts_apply(c, &f, s->schemas[i], NULL);
    if (f.choices && !f.choices->before && facts_bare(&f)) {
        find_branches(c, s, f.choices->value);
        return;
    }
    struct settled settled = { 0 };
    settle(c, &f, &settled, 0);
    s->alternatives = settled.list;
    s->alternatives_n = settled.n;
    s->why = c->why;
}

static struct shape **bucket_of(const struct compile *c, const json_t *const *schemas, size_t n)
{
    return &c->buckets[hash_set(schemas, n) & (c->n_buckets - 1)];
}

static void grow_buckets(struct compile *c)
{
    c->n_buckets = c->n_buckets ? 2 * c->n_buckets : BUCKETS_FIRST;
    c->buckets = arena_array(&c->arena, c->n_buckets, sizeof *c->buckets);
    for (struct shape *s = c->shapes; s; s = s->next) {
        struct shape **bucket = bucket_of(c, s->schemas, s->n);
        s->next_in_bucket = *bucket;
        *bucket = s;
    }
}

static struct shape *shape_new(struct compile *c, const json_t *const *schemas, size_t n)
{
    struct shape *s = arena_alloc(&c->arena, sizeof *s), **bucket = bucket_of(c, schemas, n);
    *s = (struct shape){ .schemas = schemas, .n = n, .next_in_bucket = *bucket, .asked = c->quiet > 0 };
    *bucket = s;
    c->n_shapes++;
    *c->shapes_end = s;
    c->shapes_end = &s->next;
    if (c->depth == SCHEMA_SHAPES_MAX)
        schema_fail(c, n ? schemas[0] : c->document, NULL,
                    "Schemas are nested too deeply within each other.");
    c->depth++;
    find_alternatives(c, s);
    c->depth--;
    return s;
}

struct shape *shape_of(struct compile *c, const json_t *const *schemas, size_t n)
{
    const json_t **set = arena_array(&c->arena, n + 1, sizeof *set);
    n = plain_set(c, schemas, n, set);
    if (c->n_shapes == c->n_buckets)
        grow_buckets(c);
    for (struct shape *s = *bucket_of(c, set, n); s; s = s->next_in_bucket)
        if (s->n == n && s->asked == (c->quiet > 0) && memcmp(s->schemas, set, n * sizeof(json_t *)) == 0)
            return s;
    return shape_new(c, set, n);
}

struct shape *shape_of_one(struct compile *c, const json_t *schema)
{
    return shape_of(c, &schema, 1);
}

/* --- questions ------------------------------------------------------------------------------------------------ */

static bool shape_free(const struct shape *s)
{
    return s->n == 0;
}

static bool alternative_dead(struct compile *c, const struct facts *f, unsigned depth);

static bool dead_within(struct compile *c, struct shape *s, unsigned depth)
{
    if (s->dead != DEAD_UNKNOWN || !depth || c->code)
        return s->dead == DEAD_YES;
    bool dead = true;
    s->dead = DEAD_ASKING;
    for (size_t i = 0; i < s->alternatives_n && dead; i++)
        dead = alternative_dead(c, &s->alternatives[i], depth - 1);
    for (size_t i = 0; i < s->branches_n && dead; i++)
        dead = dead_within(c, s->branches[i], depth - 1);
    s->dead = dead ? DEAD_YES : DEAD_UNKNOWN; /* a later question may look deeper */
    return dead;
}

static bool alternative_dead(struct compile *c, const struct facts *f, unsigned depth)
{
    if (f->only) { /* what is listed and not accepted is nothing */
        size_t i;
        json_t *one;
        json_array_foreach(f->only, i, one)
        {
            if (!schema_step(c, 1) || facts_accept_listed(c, f, one))
                return false;
        }
        return true;
    }
    if (f->types & ~TYPE_OBJECT)
        return false;
    for (const struct said *r = f->required; r && schema_step(c, 1); r = r->before) {
        struct shape *member = object_member(c, f, json_str(r->value));
        if (!member || dead_within(c, member, depth))
            return true;
    }
    return false;
}

bool shape_dead(struct compile *c, struct shape *s)
{
    return dead_within(c, s, DEAD_DEPTH_MAX);
}

bool shape_accepts(struct compile *c, struct shape *s, const json_t *value)
{
    for (size_t i = 0; i < s->alternatives_n && schema_step(c, 1); i++)
        if (facts_accept(c, &s->alternatives[i], value))
            return true;
    if (s->visiting) /* a circle, which shapes_build reports */
        return false;
    s->visiting = true;
    bool any = false;
    for (size_t i = 0; i < s->branches_n && !any && schema_step(c, 1); i++)
        any = shape_accepts(c, s->branches[i], value);
    s->visiting = false;
    return any;
}

static void put_new(struct compile *c, json_t *out, json_t *value)
{
    size_t i;
    json_t *one;
    json_array_foreach(out, i, one)
    {
        if (value_equal(one, value))
            return;
    }
    if (schema_step(c, 1 + json_array_size(out) / 8))
        json_array_append(out, value);
}

static bool alternative_values(struct compile *c, const struct facts *f, json_t *out)
{
    size_t i;
    json_t *one;
    if (f->only) {
        json_array_foreach(f->only, i, one)
        {
            if (facts_accept_listed(c, f, one))
                put_new(c, out, one);
        }
        return true;
    }
    if (f->types & ~(TYPE_NULL | TYPE_FALSE | TYPE_TRUE))
        return false;
    if (f->types & TYPE_NULL)
        put_new(c, out, json_null());
    if (f->types & TYPE_FALSE)
        put_new(c, out, json_false());
    if (f->types & TYPE_TRUE)
        put_new(c, out, json_true());
    return true;
}

bool shape_values(struct compile *c, struct shape *s, json_t *out, unsigned depth)
{
    if (s->n == 0 || !depth)
        return false;
    for (size_t i = 0; i < s->alternatives_n; i++)
        if (!alternative_values(c, &s->alternatives[i], out))
            return false;
    for (size_t i = 0; i < s->branches_n; i++)
        if (!shape_values(c, s->branches[i], out, depth - 1))
            return false;
    return true;
}

static const struct node *alternative_strings(struct compile *c, const struct facts *f)
{
    size_t i, n = 0;
    json_t *one;
    if (!(f->types & TYPE_STRING))
        return node_never(c->b);
    if (!f->only)
        return f->string;
    const struct node **texts = arena_array(&c->arena, json_array_size(f->only) + 1, sizeof(struct node *));
    json_array_foreach(f->only, i, one)
    {
        if (json_is_string(one) && facts_accept_listed(c, f, one))
            texts[n++] = node_text(c->b, json_str(one));
    }
    return node_or(c->b, texts, n);
}

const struct node *shape_strings(struct compile *c, struct shape *s, unsigned depth)
{
    const struct node *set = shape_free(s) ? c->any_text : node_never(c->b);
    for (size_t i = 0; i < s->alternatives_n; i++)
        set = or2(c, set, alternative_strings(c, &s->alternatives[i]));
    for (size_t i = 0; i < s->branches_n && depth; i++)
        set = or2(c, set, shape_strings(c, s->branches[i], depth - 1));
    return set;
}

/* --- nodes -------------------------------------------------------------------------------------------------- */

static const struct node *type_node(struct compile *c, struct facts *f, unsigned type)
{
    switch (f->types & type) {
    case TYPE_NULL: return text_node(c, "null");
    case TYPE_FALSE: return text_node(c, "false");
    case TYPE_TRUE: return text_node(c, "true");
    case TYPE_INTEGER:
    case TYPE_FRACTION:
    case TYPE_NUMBER: return f->number;
    case TYPE_STRING: return string_node(c, f->string);
    case TYPE_ARRAY: return array_node(c, f);
    case TYPE_OBJECT: return object_node(c, f);
    default: return node_never(c->b);
    }
}

static const struct node *alternative_node(struct compile *c, struct facts *f)
{
    static const unsigned types[] = { TYPE_NULL,   TYPE_FALSE, TYPE_TRUE,  TYPE_NUMBER,
                                      TYPE_STRING, TYPE_ARRAY, TYPE_OBJECT };
    const struct node *parts[ARRAY_LEN(types)];
    if (f->only)
        return values_node(c, f);
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        parts[i] = type_node(c, f, types[i]);
    return node_or(c->b, parts, ARRAY_LEN(types));
}

static const struct node *shape_body(struct compile *c, struct shape *s)
{
    size_t n = s->alternatives_n + s->branches_n;
    const struct node **parts = arena_array(&c->arena, n + 1, sizeof(struct node *));
    c->why = NULL;
    for (size_t i = 0; i < s->alternatives_n; i++) {
        struct facts *f = &s->alternatives[i];
        parts[i] = alternative_node(c, f);
        f->impossible = parts[i] == node_never(c->b);
        s->why = s->why ? s->why : c->why;
    }
    for (size_t i = 0; i < s->branches_n; i++)
        parts[s->alternatives_n + i] = shape_node(c, s->branches[i]);
    return node_or(c->b, parts, n);
}

/* Nothing in it leads to another shape. */
static bool is_flat(const struct shape *s)
{
    for (size_t i = 0; i < s->alternatives_n; i++)
        if (s->alternatives[i].types & (TYPE_ARRAY | TYPE_OBJECT) && !s->alternatives[i].only)
            return false;
    return s->branches_n == 0;
}

const struct node *shape_node(struct compile *c, struct shape *s)
{
    if (s->node || c->code)
        return s->node ? s->node : node_never(c->b);
    if (shape_free(s)) {
        if (c->options->strict)
            schema_fail(c, c->document, NULL,
                        "A schema that allows any value is not possible with 'strict'; give it a 'type'.");
        free_values_need(c);
        return s->node = c->free_value;
    }
    if (is_flat(s))
        return s->node = shape_body(c, s);
    s->rule = rule_new(c->b, place_text(c, s->schemas[0]));
    s->node = node_call(c->b, s->rule);
    *c->waiting_end = s;
    c->waiting_end = &s->next_waiting;
    return s->node;
}

/* A choice that leads to itself by nothing but choices. The way there is kept in a list of its own, since it may be
 * long. */
static bool circle_from(struct compile *c, struct shape *start)
{
    struct shape **way = arena_array(&c->arena, SCHEMA_NESTING_MAX + 1, sizeof *way);
    size_t next[SCHEMA_NESTING_MAX + 1] = { 0 }, depth = 0;
    way[0] = start;
    start->visiting = true;
    for (;;) {
        struct shape *s = way[depth];
        if (next[depth] == s->branches_n) {
            s->visiting = false;
            s->done = true;
            if (depth-- == 0)
                return false;
            continue;
        }
        struct shape *to = s->branches[next[depth]++];
        if (to->visiting || depth == SCHEMA_NESTING_MAX) {
            schema_fail(c, to->schemas[0], NULL,
                        "The schema refers to itself without a step into the value.");
            return true;
        }
        if (to->done || !to->branches_n)
            continue;
        way[++depth] = to;
        next[depth] = 0;
        to->visiting = true;
    }
}

void shapes_build(struct compile *c)
{
    while (c->waiting && schema_step(c, 1)) {
        struct shape *s = c->waiting;
        c->waiting = s->next_waiting;
        if (!c->waiting)
            c->waiting_end = &c->waiting;
        rule_define(c->b, s->rule, shape_body(c, s));
    }
    for (struct shape *s = c->shapes; s && !c->code; s = s->next)
        if (!s->asked && !s->done && s->branches_n && circle_from(c, s))
            return;
}

/* --- when nothing satisfies the whole
 * ------------------------------------------------------------------------------- */

static bool may_be(const struct shape *s)
{
    return s->productive || shape_free(s);
}

/* The first shape that the alternative needs and that nothing satisfies, as far as is known; NULL: all can be. */
static struct shape *missing(const struct facts *f)
{
    for (size_t i = 0; i < f->needs_n; i++)
        if (!may_be(f->needs[i]))
            return f->needs[i];
    return NULL;
}

static bool is_productive(const struct shape *s)
{
    for (size_t i = 0; i < s->alternatives_n; i++)
        if (!s->alternatives[i].impossible && !missing(&s->alternatives[i]))
            return true;
    for (size_t i = 0; i < s->branches_n; i++)
        if (may_be(s->branches[i]))
            return true;
    return shape_free(s);
}

/* In rounds until nothing changes. Shapes are met before those within them, so the last ones first. */
static void find_productive(struct compile *c)
{
    size_t n = 0;
    for (struct shape *s = c->shapes; s; s = s->next)
        n += s->node != NULL;
    struct shape **built = arena_array(&c->arena, n + 1, sizeof *built);
    n = 0;
    for (struct shape *s = c->shapes; s; s = s->next)
        if (s->node)
            built[n++] = s;
    bool changed = true;
    while (changed && schema_step(c, n / 8)) {
        changed = false;
        for (size_t i = n; i-- > 0;)
            if (!built[i]->productive && is_productive(built[i]))
                changed = built[i]->productive = true;
    }
}

static struct shape *blamed_within(const struct shape *s)
{
    for (size_t i = 0; i < s->alternatives_n; i++)
        if (missing(&s->alternatives[i]))
            return missing(&s->alternatives[i]);
    return s->branches_n ? s->branches[0] : NULL;
}

/* Follows what is needed and impossible down to where it begins. */
void shapes_check(struct compile *c, struct shape *start)
{
    find_productive(c);
    struct shape *s = start;
    if (may_be(s) || c->code)
        return;
    while (!s->visiting && blamed_within(s)) {
        s->visiting = true;
        s = blamed_within(s);
    }
    const char *why = s->visiting ? "it requires another value of its own kind within itself, without end"
                      : s->why    ? s->why
                                  : "its parts contradict each other";
    schema_fail(c, s->schemas[0], NULL, "No value satisfies the schema: %s.", why);
}
