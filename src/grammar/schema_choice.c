/*
 * schema_choice.c - keywords of which one part or another must hold: anyOf, oneOf, if, dependentRequired and their
 * kin.
 *
 * Each becomes a list of schemas of which at least one must hold. That is exact for anyOf as it stands, and for the
 * others where the parts are put so that they say what the standard says:
 *   oneOf               its branches, when no value can satisfy two of them; else each branch and not the others
 *   if, then, else      (if and then), or (not if and else)
 *   dependentRequired   without the key, or with it and those it asks for; dependentSchemas likewise
 * Lists are made once for each keyword, so that shapes meet the same schemas again when they recur.
 */
#include "grammar/schema_impl.h"

#define ONE_OF_MAX        100 /* branches compared with each other */
#define APART_MAX         200 /* pairs that are not told apart at a glance, in one schema */
#define ONE_OF_DENIED_MAX 12  /* branches that overlap, each denied in the others */

void choice_add(struct compile *c, struct facts *f, const json_t *schemas, const struct said *from)
{
    struct said *s = arena_alloc(&c->arena, sizeof *s);
    *s = (struct said){ .before = f->choices, .value = schemas, .way = from };
    f->choices = s;
}

static bool is_list(struct compile *c, const json_t *schema, const char *keyword, const json_t *value)
{
    if (!json_array_size(value))
        schema_fail(c, schema, keyword, "Expected a list of schemas with at least one.");
    return json_array_size(value);
}

void take_any_of(struct compile *c, struct facts *f, const json_t *schema, const json_t *value,
                 const struct said *from)
{
    if (is_list(c, schema, "anyOf", value))
        choice_add(c, f, value, from);
}

/* --- oneOf ------------------------------------------------------------------------------------------- */

static const json_t *only_value(const json_t *schema)
{
    const json_t *list = json_object_get(schema, "enum"), *one = json_object_get(schema, "const");
    return one ? one : json_array_size(list) == 1 ? json_array_get(list, 0) : NULL;
}

static bool requires(const json_t *schema, const char *key)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(schema, "required"), i, one)
    {
        if (json_is_string(one) && str_is(json_str(one), key))
            return true;
    }
    return false;
}

static bool only_object(const json_t *schema)
{
    return str_is(json_str(json_object_get(schema, "type")), "object") &&
           !json_is_true(json_object_get(schema, "nullable"));
}

/* Both are objects with a property that tells them apart, as a discriminated union has: seen at a glance. */
static bool told_apart(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *of_a;
    const json_t *others = json_object_get(b, "properties");
    if (!only_object(a) || !only_object(b))
        return false;
    json_object_foreach(json_object_get(a, "properties"), key, of_a)
    {
        const json_t *x = only_value(of_a), *y = only_value(json_object_get(others, key));
        if (x && y && !value_equal(x, y) && requires(a, key) && requires(b, key))
            return true;
    }
    return false;
}

/* No value satisfies both. False also where that could not be told. */
static bool apart(struct compile *c, const json_t *a, const json_t *b)
{
    if (told_apart(schema_plain(c, a), schema_plain(c, b)))
        return true;
    if (++c->compared > APART_MAX)
        return false;
    const json_t *both[] = { a, b };
    const char *why = c->why;
    c->quiet++;
    bool dead = schema_step(c, 1) && shape_dead(c, shape_of(c, both, 2));
    c->quiet--;
    c->why = why;
    return dead;
}

/* Branch i, and none of those that it is not apart from; NULL: they cannot be denied. */
static const json_t *alone(struct compile *c, const json_t *branches, size_t i, const bool *overlaps)
{
    size_t n = json_array_size(branches);
    json_t *parts = json_pack("[O]", json_array_get(branches, i));
    const json_t *made = place_made(c, json_pack("{s:o}", "allOf", parts), branches);
    for (size_t j = 0; j < n; j++) {
        if (j == i || !overlaps[i * n + j])
            continue;
        const json_t *other = json_array_get(branches, j);
        if (!schema_deniable(other))
            return NULL;
        json_array_append(parts, (json_t *)schema_not(c, other));
    }
    return json_array_size(parts) == 1 ? json_array_get(branches, i) : made;
}

static bool find_overlaps(struct compile *c, const json_t *branches, bool *overlaps)
{
    size_t n = json_array_size(branches);
    bool any = false;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n && !c->code; j++) {
            bool both = !apart(c, json_array_get(branches, i), json_array_get(branches, j));
            overlaps[i * n + j] = overlaps[j * n + i] = both;
            any |= both;
        }
    return any;
}

/* The list that says the same as an anyOf; NULL: there is none. */
static json_t *one_of_list(struct compile *c, const json_t *branches)
{
    size_t n = json_array_size(branches);
    if (n > ONE_OF_MAX)
        return NULL;
    bool *overlaps = arena_array(&c->arena, n * n, sizeof *overlaps);
    json_t *list = json_array();
    bool any = find_overlaps(c, branches, overlaps);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = !any                     ? json_array_get(branches, i)
                            : n <= ONE_OF_DENIED_MAX ? alone(c, branches, i, overlaps)
                                                     : NULL;
        if (!one) {
            json_decref(list);
            return NULL;
        }
        json_array_append(list, (json_t *)one);
    }
    return list;
}

void take_one_of(struct compile *c, struct facts *f, const json_t *schema, const json_t *value,
                 const struct said *from)
{
    if (!is_list(c, schema, "oneOf", value))
        return;
    const json_t *list = made_get(c, MADE_LIST, value);
    if (!list) {
        /* The list itself stands for "being looked at", and for "as anyOf" where no better one was found. */
        pointer_map_put(&c->made_of[MADE_LIST], &c->arena, value, value);
        json_t *made = one_of_list(c, value);
        list = made ? made_put(c, MADE_LIST, value, made, schema) : value;
    }
    if (list == value)
        schema_cannot(c, schema, "oneOf",
                      "its branches may hold together, and not all of them can be denied");
    choice_add(c, f, list, from);
}

/* --- if ------------------------------------------------------------------------------------------------ */

static const json_t *if_list(struct compile *c, const json_t *schema, const json_t *cond)
{
    const json_t *yes = json_object_get(schema, "then"), *no = json_object_get(schema, "else");
    json_t *held = json_pack("{s:[O,O]}", "allOf", cond, yes ? yes : json_true());
    json_t *not_held = json_pack("{s:[O,O]}", "allOf", schema_not(c, cond), no ? no : json_true());
    json_t *list = json_pack("[O,O]", held, not_held);
    place_made(c, held, schema);
    place_made(c, not_held, schema);
    return made_put(c, MADE_IF, schema, list, schema);
}

void take_if(struct compile *c, struct facts *f, const json_t *schema, const json_t *value,
             const struct said *from)
{
    const json_t *yes = json_object_get(schema, "then"), *no = json_object_get(schema, "else");
    if (!yes && !no)
        return;
    if (json_is_boolean(value)) {
        const json_t *chosen = json_is_true(value) ? yes : no;
        if (chosen)
            facts_apply(c, f, chosen, from);
    } else if (!schema_deniable(value)) {
        schema_cannot(c, schema, "if", "the opposite of what it says cannot be enforced");
    } else {
        const json_t *list = made_get(c, MADE_IF, schema);
        choice_add(c, f, list ? list : if_list(c, schema, value), from);
    }
}

/* --- dependents ------------------------------------------------------------------------------------------- */

/* What key asks for: a list of other keys, or a schema. */
static json_t *asked_for(const char *key, const json_t *what)
{
    if (!json_is_array(what))
        return json_pack("{s:[{s:[s]},O]}", "allOf", "required", key, what);
    json_t *keys = json_copy((json_t *)what);
    json_array_append_new(keys, json_string(key));
    return json_pack("{s:o}", "required", keys);
}

static const json_t *dependent_list(struct compile *c, const json_t *schema, const json_t *all,
                                    const char *key, const json_t *what)
{
    json_t *without = json_pack("{s:{s:b}}", "properties", key, 0), *with = asked_for(key, what);
    json_t *list = json_pack("[O,O]", without, with);
    place_made(c, without, schema);
    place_made(c, with, schema);
    json_t *by_key = (json_t *)made_get(c, MADE_LIST, all);
    if (!by_key) {
        by_key = json_object();
        made_put(c, MADE_LIST, all, by_key, schema);
    }
    json_object_set(by_key, key, list);
    return place_made(c, list, schema);
}

void take_dependent(struct compile *c, struct facts *f, const json_t *schema, const json_t *value,
                    const struct said *from)
{
    const char *key;
    json_t *what;
    if (!json_is_object(value))
        schema_fail(c, schema, NULL, "Expected an object for what depends on a property, but got %s.",
                    json_kind(value));
    json_object_foreach((json_t *)value, key, what)
    {
        if (!json_is_array(what) && !json_is_object(what) && !json_is_boolean(what)) {
            schema_fail(c, schema, NULL, "What depends on '%s' must be a list of keys or a schema.", key);
            return;
        }
        const json_t *list = json_object_get(made_get(c, MADE_LIST, value), key);
        choice_add(c, f, list ? list : dependent_list(c, schema, value, key, what), from);
    }
}
