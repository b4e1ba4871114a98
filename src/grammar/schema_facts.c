/*
 * schema_facts.c - the keywords, and what each adds to the facts about one value.
 *
 * A keyword is a row of the table below. What it demands is merged into the facts, so that allOf, $ref with
 * siblings and two schemas of one property need nothing of their own. A keyword that speaks of one type leaves
 * values of other types alone, as the standard has it.
 *
 * from is the way of schemas by which the one in hand was reached for this same value. A schema that leads back to
 * itself without a step into the value would ask a validator to run for ever, and is refused.
 */
#include "grammar/schema_impl.h"

#include <string.h>

#define TAKE(name)                                                                                           \
    static void take_##name(struct compile *c, struct facts *f, const json_t *schema, const json_t *value,   \
                            const struct said *from)
#define UNUSED (void)schema, (void)from

const struct said *said_add(struct compile *c, const struct said *before, const json_t *value)
{
    struct said *s = arena_alloc(&c->arena, sizeof *s);
    *s = (struct said){ .before = before, .value = value };
    return s;
}

const json_t **said_in_order(struct compile *c, const struct said *list, size_t *n)
{
    *n = 0;
    for (const struct said *s = list; s; s = s->before)
        ++*n;
    const json_t **values = arena_array(&c->arena, *n + 1, sizeof *values);
    size_t i = *n;
    for (const struct said *s = list; s; s = s->before)
        values[--i] = s->value;
    return values;
}

void facts_any(struct facts *f)
{
    *f = (struct facts){
        .types = TYPE_ALL, .length_max = SIZE_MAX, .items_max = SIZE_MAX, .members_max = SIZE_MAX
    };
}

bool facts_bare(const struct facts *f)
{
    return f->types == TYPE_ALL && !f->only && !f->except && !f->low.number && !f->high.number &&
           !f->multiples && !f->text && !f->length_min && f->length_max == SIZE_MAX && !f->arrays &&
           !f->items_min && f->items_max == SIZE_MAX && !f->contains && !f->unique && !f->objects &&
           !f->required && !f->names && !f->members_min && f->members_max == SIZE_MAX;
}

const json_t *facts_say(const struct facts *f, const char *keyword)
{
    for (const struct said *s = f->applied; s; s = s->before)
        if (json_object_get(s->value, keyword))
            return s->value;
    return NULL;
}

void facts_forbid(struct compile *c, struct facts *f, unsigned types, const char *why)
{
    f->types &= ~types;
    if (!f->types && !c->why)
        c->why = why;
}

/* --- values that keywords carry --------------------------------------------------------------------- */

bool count_value(struct compile *c, const json_t *schema, const char *keyword, const json_t *value,
                 size_t *out)
{
    double real = json_number_value(value);
    if (!json_is_number(value) || real < 0 || (real < SCHEMA_COUNT_MAX && real != (double)(size_t)real)) {
        schema_fail(c, schema, keyword, "Expected an integer >= 0, but got %s.", json_kind(value));
        return false;
    }
    *out = real < SCHEMA_COUNT_MAX ? (size_t)real : SIZE_MAX;
    return true;
}

static bool is_number(struct compile *c, const json_t *schema, const char *keyword, const json_t *value)
{
    if (!json_is_number(value))
        schema_fail(c, schema, keyword, "Expected a number, but got %s.", json_kind(value));
    return json_is_number(value);
}

static unsigned type_named(const char *name)
{
    static const struct {
        const char *name;
        unsigned bits;
    } types[] = {
        { "null", TYPE_NULL },       { "boolean", TYPE_FALSE | TYPE_TRUE },
        { "integer", TYPE_INTEGER }, { "number", TYPE_NUMBER },
        { "string", TYPE_STRING },   { "array", TYPE_ARRAY },
        { "object", TYPE_OBJECT },
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].bits;
    return 0;
}

unsigned type_mask(struct compile *c, const json_t *schema, const json_t *value)
{
    unsigned mask = json_is_string(value) ? type_named(json_string_value(value)) : 0;
    size_t i;
    json_t *one;
    bool wrong = !mask && !json_is_array(value);
    json_array_foreach(value, i, one)
    {
        unsigned bits = json_is_string(one) ? type_named(json_string_value(one)) : 0;
        wrong |= !bits;
        mask |= bits;
    }
    if (wrong || !mask)
        schema_fail(c, schema, "type",
                    "Expected one or a list of 'null', 'boolean', 'integer', 'number', 'string', 'array' and "
                    "'object'.");
    return mask;
}

/* Keeps the tighter bound. sign: 1 for lower ones, -1 for upper ones. */
void facts_bound(struct bound *b, const json_t *number, bool exclusive, int sign)
{
    int cmp = b->number ? number_cmp(number, b->number) * sign : 1;
    if (cmp > 0)
        *b = (struct bound){ number, exclusive };
    else if (cmp == 0)
        b->exclusive |= exclusive;
}

void facts_only(struct compile *c, struct facts *f, const json_t *values)
{
    if (!f->only) {
        f->only = values;
        return;
    }
    json_t *both = json_array();
    json_array_append_new(c->made, both);
    size_t i, j;
    json_t *a, *b;
    json_array_foreach(f->only, i, a)
    {
        if (!schema_step(c, json_array_size(values)))
            return;
        json_array_foreach(values, j, b)
        {
            if (value_equal(a, b)) {
                json_array_append(both, a);
                break;
            }
        }
    }
    f->only = both;
}

/* --- keywords of any value --------------------------------------------------------------------------- */

TAKE(nothing)
{
    (void)c, (void)f, (void)value, UNUSED;
}

TAKE(type)
{
    (void)from;
    unsigned mask = type_mask(c, schema, value);
    if (json_is_true(json_object_get(schema, "nullable"))) /* OpenAPI 3.0 */
        mask |= TYPE_NULL;
    facts_forbid(c, f, ~mask, "no type is left that all of its parts allow");
}

TAKE(const)
{
    UNUSED;
    facts_only(c, f, place_made(c, json_pack("[O]", value), schema));
}

TAKE(enum)
{
    (void)from;
    if (!json_is_array(value))
        schema_fail(c, schema, "enum", "Expected an array, but got %s.", json_kind(value));
    else if (!json_array_size(value))
        schema_fail(c, schema, "enum", "No value is allowed, since the list is empty.");
    else
        facts_only(c, f, value);
}

TAKE(ref)
{
    const json_t *target = place_resolve(c, schema, value);
    if (target)
        facts_apply(c, f, target, from);
}

TAKE(all_of)
{
    size_t i;
    json_t *one;
    if (!json_array_size(value))
        schema_fail(c, schema, "allOf", "Expected a list of schemas.");
    json_array_foreach(value, i, one) facts_apply(c, f, one, from);
}

/* --- numbers -------------------------------------------------------------------------------------------- */

/* Draft 4 had booleans that turned minimum and maximum into exclusive bounds. */
TAKE(low)
{
    (void)from;
    if (is_number(c, schema, "minimum", value))
        facts_bound(&f->low, value, json_is_true(json_object_get(schema, "exclusiveMinimum")), 1);
}

TAKE(high)
{
    (void)from;
    if (is_number(c, schema, "maximum", value))
        facts_bound(&f->high, value, json_is_true(json_object_get(schema, "exclusiveMaximum")), -1);
}

TAKE(low_exclusive)
{
    (void)from;
    if (!json_is_boolean(value) && is_number(c, schema, "exclusiveMinimum", value))
        facts_bound(&f->low, value, true, 1);
}

TAKE(high_exclusive)
{
    (void)from;
    if (!json_is_boolean(value) && is_number(c, schema, "exclusiveMaximum", value))
        facts_bound(&f->high, value, true, -1);
}

TAKE(multiple)
{
    (void)from;
    if (!json_is_number(value) || json_number_value(value) <= 0)
        schema_fail(c, schema, "multipleOf", "Expected a number above 0.");
    else if (!number_multiple_fits(value))
        schema_cannot(c, schema, "multipleOf", "the divisor has too many digits");
    else
        f->multiples = said_add(c, f->multiples, value);
}

/* --- strings -------------------------------------------------------------------------------------------- */

static void text_both(struct compile *c, struct facts *f, const struct node *set)
{
    f->text = f->text ? node_and(c->b, f->text, set) : set;
}

TAKE(pattern)
{
    (void)from;
    const struct node *set;
    struct err err;
    if (!json_is_string(value))
        schema_fail(c, schema, "pattern", "Expected a string, but got %s.", json_kind(value));
    else if (regex_node(&set, c->b, json_str(value), REGEX_ECMA, true, &err))
        schema_cannot(c, schema, "pattern", arena_strdup(&c->arena, err.message));
    else
        text_both(c, f, set);
}

/* A format that is not known is a note. */
TAKE(format)
{
    (void)from;
    if (!json_is_string(value))
        schema_fail(c, schema, "format", "Expected a string, but got %s.", json_kind(value));
    else if (format_known(json_string_value(value)))
        text_both(c, f, format_written(c, json_string_value(value)));
}

TAKE(length_min)
{
    (void)from;
    size_t n;
    if (count_value(c, schema, "minLength", value, &n) && n > f->length_min)
        f->length_min = n;
}

TAKE(length_max)
{
    (void)from;
    size_t n;
    if (count_value(c, schema, "maxLength", value, &n) && n < f->length_max)
        f->length_max = n;
}

/* --- arrays ------------------------------------------------------------------------------------------------ */

/* items, prefixItems and additionalItems are read together, where the array is built: the schema is noted once. */
static void note_once(struct compile *c, const struct said **list, const json_t *schema)
{
    for (const struct said *s = *list; s; s = s->before)
        if (s->value == schema)
            return;
    *list = said_add(c, *list, schema);
}

TAKE(array)
{
    (void)value, (void)from;
    note_once(c, &f->arrays, schema);
}

TAKE(items_min)
{
    (void)from;
    size_t n;
    if (count_value(c, schema, "minItems", value, &n) && n > f->items_min)
        f->items_min = n;
}

TAKE(items_max)
{
    (void)from;
    size_t n;
    if (count_value(c, schema, "maxItems", value, &n) && n < f->items_max)
        f->items_max = n;
}

TAKE(unique)
{
    UNUSED, (void)c;
    f->unique |= json_is_true(value);
}

TAKE(contains)
{
    (void)from;
    size_t min = 1, max = SIZE_MAX;
    const json_t *low = json_object_get(schema, "minContains"),
                 *high = json_object_get(schema, "maxContains");
    if ((low && !count_value(c, schema, "minContains", low, &min)) ||
        (high && !count_value(c, schema, "maxContains", high, &max)))
        return;
    struct said *s = arena_alloc(&c->arena, sizeof *s);
    *s = (struct said){ .before = f->contains, .value = value, .min = min, .max = max };
    f->contains = s;
    note_once(c, &f->arrays, schema); /* so that what cannot be enforced has a place */
}

/* --- objects ------------------------------------------------------------------------------------------------- */

TAKE(object)
{
    (void)from;
    if (!json_is_object(value) && !json_is_boolean(value))
        schema_fail(c, schema, NULL, "Expected an object of schemas, but got %s.", json_kind(value));
    note_once(c, &f->objects, schema);
}

TAKE(required)
{
    (void)from;
    size_t i;
    json_t *key;
    if (json_is_boolean(value)) /* draft 3, and what some generators leave on a property */
        return;
    if (!json_is_array(value))
        schema_fail(c, schema, "required", "Expected an array of strings, but got %s.", json_kind(value));
    json_array_foreach(value, i, key)
    {
        if (!json_is_string(key))
            schema_fail(c, schema, "required", "Expected an array of strings.");
        f->required = said_add(c, f->required, key);
    }
    if (!f->objects)
        note_once(c, &f->objects, schema);
}

TAKE(members_min)
{
    (void)from;
    size_t n;
    if (count_value(c, schema, "minProperties", value, &n) && n > f->members_min)
        f->members_min = n;
    note_once(c, &f->objects, schema);
}

TAKE(members_max)
{
    (void)from;
    size_t n;
    if (count_value(c, schema, "maxProperties", value, &n) && n < f->members_max)
        f->members_max = n;
    note_once(c, &f->objects, schema);
}

TAKE(names)
{
    (void)from;
    note_once(c, &f->objects, schema);
    f->names = said_add(c, f->names, value);
}

static void take_rest(struct compile *c, struct facts *f, const json_t *schema, const json_t *value,
                      const struct said *from, bool items)
{
    const char *keyword = items ? "unevaluatedItems" : "unevaluatedProperties";
    if (!json_is_object(value) && !json_is_boolean(value)) {
        schema_fail(c, schema, keyword, "Expected a schema, an object or a boolean, but got %s.",
                    json_kind(value));
        return;
    }
    bool alone = schema_sees_alone(schema); /* then it is what "additional" says */
    const json_t *rest = alone ? NULL : schema_rest(c, schema, value, items);
    if (alone)
        note_once(c, items ? &f->arrays : &f->objects, schema);
    else if (rest)
        facts_apply(c, f, rest, from);
    else
        schema_cannot(c, schema, keyword, "what other schemas have looked at depends on which of them hold");
}

TAKE(rest_of_items)
{
    take_rest(c, f, schema, value, from, true);
}

TAKE(rest_of_members)
{
    take_rest(c, f, schema, value, from, false);
}

TAKE(dynamic_ref)
{
    const json_t *target = place_resolve(c, schema, value);
    if (target && place_is_dynamic(c, target, value))
        schema_cannot(c, schema, "$dynamicRef",
                      "several schemas have that anchor, and which is meant is known "
                      "only while a validator runs");
    else if (target)
        facts_apply(c, f, target, from);
}

/* --- the table -------------------------------------------------------------------------------------------- */

/* clang-format off */
static const struct keyword keywords[] = {
    /* name                   take                 deny                 note */
    { "$ref",                 take_ref,            deny_ref,            false },
    { "$dynamicRef",          take_dynamic_ref,    NULL,                false },
    { "$recursiveRef",        take_ref,            deny_ref,            false }, /* only ever "#" */
    { "type",                 take_type,           deny_type,           false },
    { "nullable",             take_nothing,        NULL,                true  }, /* read with type */
    { "const",                take_const,          deny_const,          false },
    { "enum",                 take_enum,           deny_enum,           false },
    { "allOf",                take_all_of,         deny_all_of,         false },
    { "anyOf",                take_any_of,         deny_any_of,         false },
    { "oneOf",                take_one_of,         NULL,                false },
    { "not",                  take_not,            deny_denied,           false },
    { "if",                   take_if,             NULL,                false },
    { "then",                 take_nothing,        NULL,                true  }, /* read with if */
    { "else",                 take_nothing,        NULL,                true  },
    { "minimum",              take_low,            deny_low,            false },
    { "maximum",              take_high,           deny_high,           false },
    { "exclusiveMinimum",     take_low_exclusive,  deny_low_exclusive,  false },
    { "exclusiveMaximum",     take_high_exclusive, deny_high_exclusive, false },
    { "multipleOf",           take_multiple,       deny_multiple,       false },
    { "pattern",              take_pattern,        deny_pattern,        false },
    { "format",               take_format,         deny_format,         false },
    { "minLength",            take_length_min,     deny_length_min,     false },
    { "maxLength",            take_length_max,     deny_length_max,     false },
    { "prefixItems",          take_array,          NULL,                false },
    { "items",                take_array,          deny_items,          false },
    { "additionalItems",      take_array,          NULL,                false },
    { "unevaluatedItems",     take_rest_of_items,  NULL,                false },
    { "minItems",             take_items_min,      deny_items_min,      false },
    { "maxItems",             take_items_max,      deny_items_max,      false },
    { "uniqueItems",          take_unique,         NULL,                false },
    { "contains",             take_contains,       deny_contains,       false },
    { "minContains",          take_nothing,        NULL,                false }, /* read with contains */
    { "maxContains",          take_nothing,        NULL,                false },
    { "properties",           take_object,         deny_properties,     false },
    { "patternProperties",    take_object,         NULL,                false },
    { "additionalProperties", take_object,         NULL,                false },
    { "unevaluatedProperties", take_rest_of_members, NULL,                false },
    { "required",             take_required,       deny_required,       false },
    { "minProperties",        take_members_min,    deny_members_min,    false },
    { "maxProperties",        take_members_max,    deny_members_max,    false },
    { "propertyNames",        take_names,          NULL,                false },
    { "dependentRequired",    take_dependent,      NULL,                false },
    { "dependentSchemas",     take_dependent,      NULL,                false },
    { "dependencies",         take_dependent,      NULL,                false },
    { "$schema", take_nothing, NULL, true },          { "$vocabulary", take_nothing, NULL, true },
    { "$id", take_nothing, NULL, true },              { "id", take_nothing, NULL, true },
    { "$anchor", take_nothing, NULL, true },          { "$dynamicAnchor", take_nothing, NULL, true },
    { "$recursiveAnchor", take_nothing, NULL, true }, { "$comment", take_nothing, NULL, true },
    { "$defs", take_nothing, NULL, true },            { "definitions", take_nothing, NULL, true },
    { "title", take_nothing, NULL, true },            { "description", take_nothing, NULL, true },
    { "default", take_nothing, NULL, true },          { "examples", take_nothing, NULL, true },
    { "example", take_nothing, NULL, true },          { "deprecated", take_nothing, NULL, true },
    { "readOnly", take_nothing, NULL, true },         { "writeOnly", take_nothing, NULL, true },
    { "contentEncoding", take_nothing, NULL, true },  { "contentMediaType", take_nothing, NULL, true },
    { "contentSchema", take_nothing, NULL, true },    { "discriminator", take_nothing, NULL, true },
    { "externalDocs", take_nothing, NULL, true },     { "xml", take_nothing, NULL, true },
};
/* clang-format on */

const struct keyword *keyword_find(const char *name)
{
    static const struct keyword extension = { "x-", take_nothing, NULL, true };
    for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
        if (strcmp(keywords[i].name, name) == 0)
            return &keywords[i];
    return strncmp(name, "x-", 2) == 0 ? &extension : NULL;
}

/* --- a schema ------------------------------------------------------------------------------------------------ */

static bool leads_back(struct compile *c, const json_t *schema, const struct said *from)
{
    unsigned depth = 0;
    for (const struct said *s = from; s; s = s->before, depth++)
        if (s->value == schema) {
            schema_fail(c, schema, NULL, "The schema refers to itself without a step into the value.");
            return true;
        }
    if (depth > SCHEMA_NESTING_MAX)
        schema_fail(c, schema, NULL, "Schemas are nested too deeply within each other.");
    return depth > SCHEMA_NESTING_MAX;
}

static bool applied_already(struct compile *c, const struct facts *f, const json_t *schema)
{
    size_t looked = 0;
    for (const struct said *s = f->applied; s; s = s->before, looked++)
        if (s->value == schema)
            return true;
    return !schema_step(c, 1 + looked / 8);
}

void facts_apply(struct compile *c, struct facts *f, const json_t *schema, const struct said *from)
{
    if (json_is_true(schema) || c->code)
        return;
    if (json_is_false(schema)) {
        facts_forbid(c, f, TYPE_ALL, "the schema is false");
        return;
    }
    if (!json_is_object(schema)) {
        schema_fail(c, from ? from->value : schema, NULL,
                    "Expected a schema, an object or a boolean, but got %s.", json_kind(schema));
        return;
    }
    if (leads_back(c, schema, from) || applied_already(c, f, schema))
        return;
    f->applied = said_add(c, f->applied, schema);
    const struct said *way = said_add(c, from, schema);
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)schema, key, value)
    {
        const struct keyword *k = keyword_find(key);
        if (!k)
            schema_cannot(c, schema, key, "the keyword is not known");
        else if (schema_step(c, 1))
            k->take(c, f, schema, value, way);
    }
}

/* Takes the values off the list that something else forbids; arrays and objects wait until their parts are known. */
static void filter_listed(struct compile *c, struct facts *f)
{
    json_t *rest = json_array();
    size_t i;
    json_t *one;
    json_array_foreach(f->only, i, one)
    {
        bool deep = json_is_array(one) || json_is_object(one);
        if (schema_step(c, 1) && (deep ? f->types & value_type(one) : facts_accept_listed(c, f, one)))
            json_array_append(rest, one);
    }
    json_array_append_new(c->made, rest);
    f->only = rest;
    if (!json_array_size(rest))
        facts_forbid(c, f, TYPE_ALL, "none of the values that it lists satisfies the rest of it");
}

/* All that speaks of characters is left out together, for each by itself might be the one that is too much. */
static void forget_text(struct compile *c, struct facts *f)
{
    static const char *const of_text[] = { "pattern", "format", "not" };
    for (const struct said *s = f->applied; s; s = s->before)
        for (size_t i = 0; i < ARRAY_LEN(of_text); i++)
            if (json_object_get(s->value, of_text[i]))
                schema_cannot(c, s->value, of_text[i],
                              "what is asked of its characters together has too many states");
    f->text = NULL;
    f->except = NULL;
    f->string = string_set(c, f);
}

/* What remains possible once every choice is made. Whoever has no type left has said why. */
void facts_finish(struct compile *c, struct facts *f)
{
    if (f->types & TYPE_NUMBER && !f->only) {
        f->number = number_node(c, f);
        if (f->number == node_never(c->b))
            facts_forbid(c, f, TYPE_NUMBER, "no number is within its bounds");
    }
    if (f->types & TYPE_STRING && !f->only) {
        f->string = string_set(c, f);
        enum answer never = node_is_never(c->b, f->string);
        if (never == ANSWER_UNKNOWN)
            forget_text(c, f);
        if (never == ANSWER_YES)
            facts_forbid(c, f, TYPE_STRING, "no string satisfies its length, pattern and format together");
    }
    if (f->only)
        filter_listed(c, f);
    if (f->items_min > f->items_max)
        facts_forbid(c, f, TYPE_ARRAY, "minItems is above maxItems");
    if (f->members_min > f->members_max)
        facts_forbid(c, f, TYPE_OBJECT, "minProperties is above maxProperties");
    if (f->items_min == SIZE_MAX)
        facts_forbid(c, f, TYPE_ARRAY, "minItems is more than can be written");
    if (f->members_min == SIZE_MAX)
        facts_forbid(c, f, TYPE_OBJECT, "minProperties is more than can be written");
}
