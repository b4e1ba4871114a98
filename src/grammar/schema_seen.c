/*
 * schema_seen.c - unevaluatedProperties and unevaluatedItems: what holds for the parts that no other schema has looked at.
 *
 * Where those others hold in any case (the schema's own keywords, allOf, references) it is known beforehand what they look at, and the
 * keyword says what "additional" would say in a schema that names all of that. Such a schema is made here. One that stands
 * in a choice (anyOf, oneOf, if, dependent ones) has looked only where it holds: where such a one looks at any part at all, the
 * keyword cannot be enforced. What stands under "not" never has.
 *
 * A schema without any of those speaks for itself (schema_sees_alone) and is read where its object or array is built.
 */
#include "grammar/schema_impl.h"

#include <string.h>

struct seen {
    struct compile *c;
    const json_t *of;         /* whose keyword it is */
    bool items;               /* of an array, else of an object */
    json_t *names, *patterns; /* objects with the keys that were looked at */
    size_t first;             /* so many of the first items were */
    bool all, unknown;
};

enum way { BY_REFERENCE, BY_SCHEMA, BY_LIST, BY_KEY };

/* Where a schema says more of the same value. */
static const struct applicator {
    const char *name;
    enum way way;
    bool choice;
} applicators[] = {
    { "$ref", BY_REFERENCE, false },
    { "$recursiveRef", BY_REFERENCE, false },
    { "$dynamicRef", BY_REFERENCE, false },
    { "allOf", BY_LIST, false },
    { "anyOf", BY_LIST, true },
    { "oneOf", BY_LIST, true },
    { "if", BY_SCHEMA, true },
    { "then", BY_SCHEMA, true },
    { "else", BY_SCHEMA, true },
    { "dependentSchemas", BY_KEY, true },
    { "dependencies", BY_KEY, true },
};

bool schema_sees_alone(const json_t *schema)
{
    for (size_t i = 0; i < ARRAY_LEN(applicators); i++)
        if (json_object_get(schema, applicators[i].name))
            return false;
    return !json_object_get(schema, "contains");
}

static void note_keys(const struct seen *s, json_t *keys, const json_t *of)
{
    const char *key;
    json_t *value;
    if (!schema_step(s->c, json_object_size(of)))
        return;
    json_object_foreach((json_t *)of, key, value) json_object_set_new(keys, key, json_true());
}

static void note_members(struct seen *s, const json_t *schema)
{
    note_keys(s, s->names, json_object_get(schema, "properties"));
    note_keys(s, s->patterns, json_object_get(schema, "patternProperties"));
    s->all |= json_object_get(schema, "additionalProperties") ||
              (schema != s->of && json_object_get(schema, "unevaluatedProperties"));
}

static void note_items(struct seen *s, const json_t *schema)
{
    const json_t *prefix = json_object_get(schema, "prefixItems"), *items = json_object_get(schema, "items");
    size_t n = json_array_size(json_is_array(items) ? items : prefix);
    s->first = n > s->first ? n : s->first;
    s->all |= (items && !json_is_array(items)) ||
              (json_is_array(items) && json_object_get(schema, "additionalItems")) ||
              (schema != s->of && json_object_get(schema, "unevaluatedItems"));
    s->unknown |=
        json_object_get(schema, "contains") != NULL; /* which ones it looks at is the value's matter */
}

static void look(struct seen *s, const json_t *schema, unsigned depth);

/* A choice may look at nothing. */
static void look_at_choice(struct seen *s, const json_t *schema, unsigned depth)
{
    struct seen one = { .c = s->c, .items = s->items, .names = json_object(), .patterns = json_object() };
    look(&one, schema, depth);
    s->unknown |=
        one.unknown || one.all || one.first || json_object_size(one.names) || json_object_size(one.patterns);
    json_decref(one.names);
    json_decref(one.patterns);
}

static void look_by_reference(struct seen *s, const json_t *schema, const json_t *ref, unsigned depth)
{
    const json_t *target = place_resolve(s->c, schema, ref);
    s->unknown |= !target || place_is_dynamic(s->c, target, ref);
    look(s, target, depth);
}

static void look_by(struct seen *s, const struct applicator *a, const json_t *schema, unsigned depth)
{
    void (*go)(struct seen *, const json_t *, unsigned) = a->choice ? look_at_choice : look;
    json_t *value = json_object_get(schema, a->name), *one;
    const char *key;
    size_t i;
    switch (a->way) {
    case BY_REFERENCE: look_by_reference(s, schema, value, depth); break;
    case BY_SCHEMA: go(s, value, depth); break;
    case BY_LIST: json_array_foreach(value, i, one) go(s, one, depth); break;
    case BY_KEY: json_object_foreach(value, key, one) go(s, one, depth); break;
    }
}

static void look(struct seen *s, const json_t *schema, unsigned depth)
{
    if (!json_is_object(schema))
        return;
    if (depth == 0 || !schema_step(s->c, 1 + json_object_size(schema))) {
        s->unknown = true;
        return;
    }
    if (s->items)
        note_items(s, schema);
    else
        note_members(s, schema);
    for (size_t i = 0; i < ARRAY_LEN(applicators); i++)
        if (json_object_get(schema, applicators[i].name))
            look_by(s, &applicators[i], schema, depth - 1);
}

/* The schema that says value of all that was not looked at. */
static json_t *rest_of(const struct seen *s, const json_t *value)
{
    json_t *first = json_array();
    for (size_t i = 0; i < s->first; i++)
        json_array_append_new(first, json_true());
    json_t *rest = s->all     ? json_object()
                   : s->items ? json_pack("{s:O, s:O}", "prefixItems", first, "items", value)
                              : json_pack("{s:O, s:O, s:O}", "properties", s->names, "patternProperties",
                                          s->patterns, "additionalProperties", value);
    json_decref(first);
    return rest;
}

const json_t *schema_rest(struct compile *c, const json_t *schema, const json_t *value, bool items)
{
    enum made kind = items ? MADE_REST_ITEMS : MADE_REST_MEMBERS;
    const json_t *rest = made_get(c, kind, schema);
    struct seen s = { .c = c, .of = schema, .items = items };
    if (rest)
        return rest;
    s.names = json_object();
    s.patterns = json_object();
    look(&s, schema, SCHEMA_NESTING_MAX);
    if (s.all || !s.unknown)
        rest = made_put(c, kind, schema, rest_of(&s, value), schema);
    json_decref(s.names);
    json_decref(s.patterns);
    return rest;
}
