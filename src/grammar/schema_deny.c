/*
 * schema_deny.c - "not", by saying the opposite.
 *
 * The opposite of one keyword is another, and holds only for the type that the keyword speaks of, since values of
 * other types satisfy it: not {"minimum": 3} is a number below 3. The opposite of several keywords is that one of
 * them does not hold. A keyword without an opposite makes the whole "not" unenforceable; schema_deniable tells
 * before anything is taken in. Further inside, an opposite may still turn out to be one that cannot be said: what
 * is left out then only widens, since by then everything stands in positive form.
 */
#include "grammar/schema_impl.h"

#include <string.h>

#define UNUSED (void)schema, (void)from

const json_t *schema_not(struct compile *c, const json_t *schema)
{
    if (json_is_boolean(schema))
        return json_is_true(schema) ? json_false() : json_true();
    const json_t *made = made_get(c, MADE_NOT, schema);
    return made ? made : made_put(c, MADE_NOT, schema, json_pack("{s:O}", "not", schema), schema);
}

static bool values_deniable(const json_t *values)
{
    size_t i;
    json_t *one;
    json_array_foreach(values, i, one)
    {
        if (json_is_array(one) || json_is_object(one))
            return false;
    }
    return true;
}

/* Some keywords have forms, or companions, that their opposite does not know. */
static bool keyword_deniable(const json_t *schema, const struct keyword *k, const json_t *value)
{
    if (!k || (!k->deny && !k->note))
        return false;
    if (strcmp(k->name, "const") == 0)
        return !json_is_array(value) && !json_is_object(value);
    if (strcmp(k->name, "enum") == 0)
        return values_deniable(value);
    if (strncmp(k->name, "exclusive", 9) == 0)
        return !json_is_boolean(value);
    if (strcmp(k->name, "type") == 0)
        return !json_is_true(json_object_get(schema, "nullable"));
    if (strcmp(k->name, "items") == 0)
        return !json_is_array(value);
    return true;
}

bool schema_deniable(const json_t *schema)
{
    const char *key;
    json_t *value;
    if (json_is_boolean(schema))
        return true;
    json_object_foreach((json_t *)schema, key, value)
    {
        if (!keyword_deniable(schema, keyword_find(key), value))
            return false;
    }
    return json_is_object(schema);
}

/* {"not": {a, b}} as [{"not": {a}}, {"not": {b}}]. */
static const json_t *split(struct compile *c, const json_t *denied)
{
    const json_t *known = made_get(c, MADE_SPLIT, denied);
    if (known)
        return known;
    json_t *list = json_array();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)denied, key, value)
    {
        if (keyword_find(key)->note)
            continue;
        json_t *one = json_pack("{s:O}", key, value);
        place_made(c, one, denied);
        json_array_append(list, (json_t *)schema_not(c, one));
    }
    return made_put(c, MADE_SPLIT, denied, list, denied);
}

void take_not(struct compile *c, struct facts *f, const json_t *schema, const json_t *value,
              const struct said *from)
{
    if (!json_is_object(value) && !json_is_boolean(value)) {
        schema_fail(c, schema, "not", "Expected a schema, but got %s.", json_kind(value));
        return;
    }
    if (json_is_false(value))
        return;
    if (!schema_deniable(value)) {
        schema_cannot(c, schema, "not", "the opposite of what it says cannot be enforced");
        return;
    }
    const char *key;
    json_t *v;
    const struct keyword *one = NULL;
    const json_t *one_value = NULL;
    size_t n = 0;
    json_object_foreach((json_t *)value, key, v)
    {
        if (!keyword_find(key)->note) {
            one = keyword_find(key);
            one_value = v;
            n++;
        }
    }
    if (!n)
        facts_forbid(c, f, TYPE_ALL, "everything is forbidden by 'not'");
    else if (n == 1)
        one->deny(c, f, value, one_value, from);
    else
        choice_add(c, f, split(c, value), from);
}

/* --- one keyword each --------------------------------------------------------------------------------- */

static void of_type(struct compile *c, struct facts *f, unsigned types)
{
    facts_forbid(c, f, ~types, "no type is left that all of its parts allow");
}

DENY(type)
{
    (void)from;
    facts_forbid(c, f, type_mask(c, schema, value), "no type is left that all of its parts allow");
}

DENY(const)
{
    UNUSED;
    unsigned type = value_type(value);
    if (type & (TYPE_NUMBER | TYPE_STRING))
        f->except = said_add(c, f->except, value);
    else
        facts_forbid(c, f, type, "every value is forbidden by 'not'");
}

DENY(enum)
{
    size_t i;
    json_t *one;
    json_array_foreach(value, i, one)
    {
        if (schema_step(c, 1))
            deny_const(c, f, schema, one, from);
    }
}

DENY(low)
{
    UNUSED;
    of_type(c, f, TYPE_NUMBER);
    if (json_is_number(value))
        facts_bound(&f->high, value, true, -1);
}

DENY(low_exclusive)
{
    UNUSED;
    of_type(c, f, TYPE_NUMBER);
    if (json_is_number(value))
        facts_bound(&f->high, value, false, -1);
}

DENY(high)
{
    UNUSED;
    of_type(c, f, TYPE_NUMBER);
    if (json_is_number(value))
        facts_bound(&f->low, value, true, 1);
}

DENY(high_exclusive)
{
    UNUSED;
    of_type(c, f, TYPE_NUMBER);
    if (json_is_number(value))
        facts_bound(&f->low, value, false, 1);
}

DENY(multiple)
{
    (void)from;
    if (!number_multiple_fits(value)) {
        schema_cannot(c, schema, "multipleOf", "the divisor has too many digits");
        return;
    }
    of_type(c, f, TYPE_NUMBER);
    struct said *s = arena_alloc(&c->arena, sizeof *s);
    *s = (struct said){ .before = f->multiples, .value = value, .denied = true };
    f->multiples = s;
}

/* --- counts: not at least n is at most n - 1 ------------------------------------------------------------------ */

static void below(struct compile *c, struct facts *f, unsigned type, size_t *max, const json_t *schema,
                  const char *keyword, const json_t *value)
{
    size_t n;
    of_type(c, f, type);
    if (!count_value(c, schema, keyword, value, &n))
        return;
    if (!n)
        facts_forbid(c, f, type, "a count below 0 is asked for by 'not'");
    else if (n < SIZE_MAX && n - 1 < *max)
        *max = n - 1;
}

static void above(struct compile *c, struct facts *f, unsigned type, size_t *min, const json_t *schema,
                  const char *keyword, const json_t *value)
{
    size_t n;
    of_type(c, f, type);
    if (!count_value(c, schema, keyword, value, &n))
        return;
    if (n == SIZE_MAX)
        facts_forbid(c, f, type, "a count without end is asked for by 'not'");
    else if (n + 1 > *min)
        *min = n + 1;
}

DENY(length_min)
{
    (void)from;
    below(c, f, TYPE_STRING, &f->length_max, schema, "minLength", value);
}

DENY(length_max)
{
    (void)from;
    above(c, f, TYPE_STRING, &f->length_min, schema, "maxLength", value);
}

DENY(items_min)
{
    (void)from;
    below(c, f, TYPE_ARRAY, &f->items_max, schema, "minItems", value);
}

DENY(items_max)
{
    (void)from;
    above(c, f, TYPE_ARRAY, &f->items_min, schema, "maxItems", value);
}

DENY(members_min)
{
    (void)from;
    below(c, f, TYPE_OBJECT, &f->members_max, schema, "minProperties", value);
}

DENY(members_max)
{
    (void)from;
    above(c, f, TYPE_OBJECT, &f->members_min, schema, "maxProperties", value);
}

/* --- strings ----------------------------------------------------------------------------------------------- */

static void without(struct compile *c, struct facts *f, const struct node *set)
{
    const struct node *rest = node_and(c->b, c->any_text, node_not(c->b, set));
    f->text = f->text ? node_and(c->b, f->text, rest) : rest;
}

DENY(pattern)
{
    (void)from;
    const struct node *set;
    struct err err;
    if (!json_is_string(value) || regex_node(&set, c->b, json_str(value), REGEX_ECMA, true, &err)) {
        schema_cannot(c, schema, "pattern", "the pattern cannot be compiled");
        return;
    }
    of_type(c, f, TYPE_STRING);
    without(c, f, set);
}

DENY(format)
{
    UNUSED;
    if (!json_is_string(value) || !format_known(json_string_value(value))) {
        facts_forbid(c, f, TYPE_ALL,
                     "a format that is not known holds for everything, and is forbidden by 'not'");
        return;
    }
    of_type(c, f, TYPE_STRING);
    without(c, f, format_node(c, json_string_value(value)));
}

/* --- parts -------------------------------------------------------------------------------------------------- */

DENY(items)
{
    of_type(c, f, TYPE_ARRAY);
    const json_t *made = json_is_object(value) ? made_get(c, MADE_CONTAINS, value) : NULL;
    if (!made)
        made =
            made_put(c, MADE_CONTAINS, value, json_pack("{s:O}", "contains", schema_not(c, value)), schema);
    facts_apply(c, f, made, from);
}

DENY(contains)
{
    of_type(c, f, TYPE_ARRAY);
    const json_t *made = json_is_object(value) ? made_get(c, MADE_ITEMS, value) : NULL;
    if (!made)
        made = made_put(c, MADE_ITEMS, value, json_pack("{s:O}", "items", schema_not(c, value)), schema);
    facts_apply(c, f, made, from);
}

DENY(required)
{
    of_type(c, f, TYPE_OBJECT);
    const json_t *list = made_get(c, MADE_LIST, value);
    if (!list) {
        json_t *made = json_array();
        size_t i;
        json_t *key;
        json_array_foreach(value, i, key)
        {
            json_t *one = json_pack("{s:{s:b}}", "properties", json_string_value(key), 0);
            json_array_append(made, one);
            place_made(c, one, schema);
        }
        list = made_put(c, MADE_LIST, value, made, schema);
    }
    if (json_array_size(list))
        choice_add(c, f, list, from);
    else
        facts_forbid(c, f, TYPE_ALL, "an empty 'required' holds for everything, and is forbidden by 'not'");
}

DENY(properties)
{
    of_type(c, f, TYPE_OBJECT);
    const json_t *list = made_get(c, MADE_LIST, value);
    if (!list) {
        json_t *made = json_array();
        const char *key;
        json_t *one;
        json_object_foreach((json_t *)value, key, one)
        {
            json_t *wrong =
                json_pack("{s:[s], s:{s:O}}", "required", key, "properties", key, schema_not(c, one));
            json_array_append(made, wrong);
            place_made(c, wrong, schema);
        }
        list = made_put(c, MADE_LIST, value, made, schema);
    }
    if (json_array_size(list))
        choice_add(c, f, list, from);
    else
        facts_forbid(c, f, TYPE_ALL, "an empty 'properties' holds for everything, and is forbidden by 'not'");
}

DENY(any_of)
{
    (void)schema;
    size_t i;
    json_t *one;
    json_array_foreach(value, i, one) facts_apply(c, f, schema_not(c, one), from);
}

DENY(all_of)
{
    const json_t *list = made_get(c, MADE_LIST, value);
    if (!list) {
        json_t *made = json_array();
        size_t i;
        json_t *one;
        json_array_foreach(value, i, one) json_array_append(made, (json_t *)schema_not(c, one));
        list = made_put(c, MADE_LIST, value, made, schema);
    }
    choice_add(c, f, list, from);
}

DENY(denied)
{
    (void)schema;
    facts_apply(c, f, value, from);
}

DENY(ref)
{
    const json_t *target = place_resolve(c, schema, value);
    if (target)
        facts_apply(c, f, schema_not(c, target), from);
}
