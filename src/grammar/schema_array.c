/*
 * schema_array.c - arrays: the first items one by one, the others alike, and how many.
 *
 * Each schema that speaks of items adds one to the set that holds for a place: of prefixItems the one for the
 * place, else items (draft 7 and older: items as a list, then additionalItems).
 *
 * contains and uniqueItems need a memory of what was there, so they are states: how many items there are and how
 * many of them are contained; or which of a few possible values were used. States become rules that call each
 * other. Where there would be too many, or no finite list of values, they cannot be enforced.
 */
#include "grammar/schema_impl.h"

/* --- one item ------------------------------------------------------------------------------------------- */

static const json_t *prefix_of(const json_t *schema)
{
    const json_t *prefix = json_object_get(schema, "prefixItems"), *items = json_object_get(schema, "items");
    return prefix ? prefix : json_is_array(items) ? items : NULL;
}

static const json_t *others_of(const json_t *schema)
{
    const json_t *items = json_object_get(schema, "items");
    if (json_is_array(items))
        items = json_object_get(schema, "additionalItems");
    const json_t *rest = items ? NULL : json_object_get(schema, "unevaluatedItems");
    return rest && schema_sees_alone(schema) ? rest : items;
}

static const json_t *item_schema(const json_t *schema, size_t index)
{
    const json_t *one = json_array_get(prefix_of(schema), index);
    return one ? one : others_of(schema);
}

struct shape *array_item(struct compile *c, const struct facts *f, size_t index)
{
    size_t n, m = 0;
    const json_t **schemas = said_in_order(c, f->arrays, &n);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = item_schema(schemas[i], index);
        if (json_is_false(one))
            return NULL;
        if (one)
            schemas[m++] = one;
    }
    schema_step(c, 1 + n);
    return shape_of(c, schemas, m);
}

static size_t array_prefix(struct compile *c, const struct facts *f)
{
    size_t most = 0;
    for (const struct said *s = f->arrays; s; s = s->before) {
        const json_t *prefix = json_object_get(s->value, "prefixItems");
        if (prefix && !json_is_array(prefix))
            schema_fail(c, s->value, "prefixItems", "Expected a list of schemas, but got %s.",
                        json_kind(prefix));
        size_t n = json_array_size(prefix_of(s->value));
        most = n > most ? n : most;
    }
    return most;
}

/* --- without a memory --------------------------------------------------------------------------------------- */

static const struct node *item_then(struct compile *c, const struct node *item, size_t index,
                                    const struct node *rest)
{
    const struct node *parts[] = { index ? c->comma : node_empty(c->b), item, rest };
    return node_seq(c->b, parts, ARRAY_LEN(parts));
}

/* From place index on, all alike. */
static const struct node *alike(struct compile *c, const struct node *item, size_t index, size_t min,
                                size_t max)
{
    size_t least = min > index ? min - index : 0, most = max == SIZE_MAX ? REPEAT_ENDLESS : max - index;
    if (!most)
        return node_empty(c->b);
    if (index)
        return node_repeat(c->b, seq2(c, c->comma, item), least, most);
    const struct node *more = node_repeat(c->b, seq2(c, c->comma, item), least ? least - 1 : 0,
                                          most == REPEAT_ENDLESS ? most : most - 1);
    return least ? seq2(c, item, more) : opt(c, seq2(c, item, more));
}

static const struct node *plain_items(struct compile *c, const struct facts *f, size_t prefix, size_t max)
{
    const struct node *x = node_empty(c->b);
    size_t at = max < prefix ? max : prefix;
    if (max > prefix)
        x = alike(c, shape_node(c, array_item(c, f, prefix)), prefix, f->items_min, max);
    while (at-- > 0 && schema_step(c, 1)) {
        x = item_then(c, shape_node(c, array_item(c, f, at)), at, x);
        if (at >= f->items_min)
            x = opt(c, x);
    }
    return x;
}

/* --- contains --------------------------------------------------------------------------------------------------- */

struct counting {
    struct compile *c;
    size_t items_min, items_max, hits_min, hits_max; /* SIZE_MAX: no bound */
    size_t items_cap, hits_cap;                      /* counts are kept up to these */
    const struct node *hit, *miss;
    size_t *rules; /* [items_cap + 1][hits_cap + 1] */
};

static const struct node *count_then(struct counting *k, size_t items, size_t hits, const struct node *item,
                                     bool hit)
{
    size_t next = items + 1 < k->items_cap ? items + 1 : k->items_cap;
    size_t next_hits = hits + hit < k->hits_cap ? hits + hit : k->hits_cap;
    if (items == k->items_max || (hit && hits == k->hits_max))
        return node_never(k->c->b);
    return item_then(k->c, item, items, node_call(k->c->b, k->rules[next * (k->hits_cap + 1) + next_hits]));
}

static const struct node *count_state(struct counting *k, size_t items, size_t hits)
{
    bool whole = items >= k->items_min && hits >= k->hits_min;
    const struct node *parts[] = { whole ? node_empty(k->c->b) : node_never(k->c->b),
                                   count_then(k, items, hits, k->miss, false),
                                   count_then(k, items, hits, k->hit, true) };
    return node_or(k->c->b, parts, ARRAY_LEN(parts));
}

static const struct node *counted_items(struct counting *k)
{
    size_t states = (k->items_cap + 1) * (k->hits_cap + 1);
    k->rules = arena_array(&k->c->arena, states, sizeof *k->rules);
    for (size_t i = 0; i < states; i++)
        k->rules[i] = rule_new(k->c->b, "items");
    for (size_t i = 0; i < states && schema_step(k->c, 1); i++)
        rule_define(k->c->b, k->rules[i], count_state(k, i / (k->hits_cap + 1), i % (k->hits_cap + 1)));
    return node_call(k->c->b, k->rules[0]);
}

/* An item and more that hold for it; NULL: nothing may stand there. */
static struct shape *item_and(struct compile *c, const struct facts *f, const json_t *more)
{
    struct facts with = *f;
    json_t *schema = json_pack("{s:O}", "items", more);
    with.arrays = said_add(c, f->arrays, place_made(c, schema, f->applied->value));
    return array_item(c, &with, 0);
}

static void need(struct facts *f, struct shape *s)
{
    if (f->types == TYPE_ARRAY)
        f->needs[f->needs_n++] = s;
}

/* NULL: it cannot be enforced. A miss is any item where only a least count is asked for, for then it does no harm
 * to count too little. */
static const struct node *containing(struct compile *c, struct facts *f, size_t max)
{
    const struct said *k = f->contains;
    struct counting s = {
        .c = c, .items_min = f->items_min, .items_max = max, .hits_min = k->min, .hits_max = k->max
    };
    bool most = k->max != SIZE_MAX;
    if (k->before || (most && !schema_deniable(k->value)))
        return NULL;
    s.items_cap = max == SIZE_MAX ? (f->items_min ? f->items_min : 1) : max;
    s.hits_cap = most ? k->max : k->min;
    if (s.items_cap > SCHEMA_COUNTED_MAX || s.hits_cap > SCHEMA_COUNTED_MAX ||
        (s.items_cap + 1) * (s.hits_cap + 1) > SCHEMA_COUNTED_MAX)
        return NULL;
    struct shape *hit = item_and(c, f, k->value),
                 *miss = item_and(c, f, most ? schema_not(c, k->value) : json_true());
    s.hit = hit ? shape_node(c, hit) : node_never(c->b);
    if (hit && s.hits_min)
        need(f, hit);
    if (!hit && s.hits_min) {
        c->why = "no item may be what contains asks for";
        return node_never(c->b);
    }
    s.miss = miss ? shape_node(c, miss) : node_never(c->b);
    return counted_items(&s);
}

/* --- unique
 * ------------------------------------------------------------------------------------------------------- */

struct choosing {
    struct compile *c;
    const struct node *values[SCHEMA_UNIQUE_MAX];
    size_t rules[1 << SCHEMA_UNIQUE_MAX], n, min, max;
};

static const struct node *chosen_state(struct choosing *k, size_t used)
{
    const struct node *parts[SCHEMA_UNIQUE_MAX + 1];
    size_t count = (size_t)__builtin_popcountll(used), n = 0;
    if (count >= k->min)
        parts[n++] = node_empty(k->c->b);
    for (size_t i = 0; i < k->n && count < k->max; i++)
        if (!(used >> i & 1))
            parts[n++] =
                item_then(k->c, k->values[i], count, node_call(k->c->b, k->rules[used | (size_t)1 << i]));
    return node_or(k->c->b, parts, n);
}

/* NULL: the items are not a short list of values. */
static const struct node *unique_items(struct compile *c, const struct facts *f, size_t max)
{
    json_t *values = json_array();
    place_made(c, values, c->document);
    if (!shape_values(c, array_item(c, f, 0), values, SCHEMA_NESTING_MAX) ||
        json_array_size(values) > SCHEMA_UNIQUE_MAX)
        return NULL;
    struct choosing k = { .c = c, .n = json_array_size(values), .min = f->items_min, .max = max };
    if (k.min > k.n)
        return node_never(c->b);
    for (size_t i = 0; i < k.n; i++)
        k.values[i] = value_node(c, json_array_get(values, i));
    for (size_t i = 0; i < (size_t)1 << k.n; i++)
        k.rules[i] = rule_new(c->b, "unique items");
    for (size_t i = 0; i < (size_t)1 << k.n; i++)
        rule_define(c->b, k.rules[i], chosen_state(&k, i));
    return node_call(c->b, k.rules[0]);
}

/* --- all of it
 * -------------------------------------------------------------------------------------------------------- */

static const struct node *items_node(struct compile *c, struct facts *f, size_t prefix, size_t max)
{
    bool unique = f->unique && max > 1, both = unique && f->contains;
    const struct node *x = NULL;
    if (unique && !both && !prefix)
        x = unique_items(c, f, max);
    if (unique && !x)
        schema_cannot(c, facts_say(f, "uniqueItems"), "uniqueItems",
                      "the items are not a short list of values");
    if (!x && f->contains && !prefix)
        x = containing(c, f, max);
    if (!x && f->contains)
        schema_cannot(
            c, facts_say(f, "contains"), "contains",
            "it is counted beside prefixItems or another contains, or its opposite cannot be enforced");
    return x ? x : plain_items(c, f, prefix, max);
}

/* What stands at the first places, as many as must be there. */
static void note_needs(struct compile *c, struct facts *f, size_t prefix)
{
    size_t n = f->items_min < prefix + 1 ? f->items_min : prefix + 1;
    if (f->types != TYPE_ARRAY)
        return;
    struct shape **needs = arena_array(&c->arena, n + 2, sizeof *needs); /* one more for contains */
    for (size_t i = 0; i < n; i++) {
        needs[i] = array_item(c, f, i);
        shape_node(c, needs[i]); /* uniqueItems has no other use for it */
    }
    f->needs = needs;
    f->needs_n = n;
}

const struct node *array_node(struct compile *c, struct facts *f)
{
    size_t prefix = array_prefix(c, f), max = f->items_max, last = max < prefix ? max : prefix;
    if (!f->arrays && !f->items_min && max == SIZE_MAX && !f->unique) {
        free_values_need(c);
        return c->free_array;
    }
    for (size_t i = 0; i <= last && schema_step(c, 1); i++)
        if (i < max && !array_item(c, f, i))
            max = i; /* nothing may stand there */
    if (f->items_min > max || c->code) {
        c->why = "more items are required than may stand there";
        return node_never(c->b);
    }
    note_needs(c, f, prefix);
    const struct node *parts[] = { text_node(c, "["), items_node(c, f, prefix, max), text_node(c, "]") };
    return node_seq(c->b, parts, ARRAY_LEN(parts));
}
