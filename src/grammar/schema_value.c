/*
 * schema_value.c - values that a schema names itself (enum, const), any JSON, and small helpers for nodes.
 *
 * A named value is written as the schema wrote it: its keys in that order, its numbers as jansson gives them back.
 * Each is held against everything else that is demanded of it here, so that only values that are valid become text.
 */
#include "grammar/schema_impl.h"

#include <string.h>

/* --- nodes ---------------------------------------------------------------------------------------------- */

const struct node *seq2(struct compile *c, const struct node *x, const struct node *y)
{
    return node_seq(c->b, (const struct node *const[]){ x, y }, 2);
}

const struct node *or2(struct compile *c, const struct node *x, const struct node *y)
{
    return node_or(c->b, (const struct node *const[]){ x, y }, 2);
}

const struct node *opt(struct compile *c, const struct node *x)
{
    return node_repeat(c->b, x, 0, 1);
}

const struct node *text_node(struct compile *c, const char *text)
{
    return node_text(c->b, str_from(text));
}

/* --- comparing --------------------------------------------------------------------------------------------- */

unsigned value_type(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_NULL: return TYPE_NULL;
    case JSON_FALSE: return TYPE_FALSE;
    case JSON_TRUE: return TYPE_TRUE;
    case JSON_STRING: return TYPE_STRING;
    case JSON_ARRAY: return TYPE_ARRAY;
    case JSON_OBJECT: return TYPE_OBJECT;
    case JSON_INTEGER: return TYPE_INTEGER;
    case JSON_REAL: break;
    }
    double x = json_real_value(v);
    return x >= 9007199254740992.0 || x <= -9007199254740992.0 || x == (double)(int64_t)x ? TYPE_INTEGER
                                                                                          : TYPE_FRACTION;
}

static bool objects_equal(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    if (json_object_size(a) != json_object_size(b))
        return false;
    json_object_foreach((json_t *)a, key, value)
    {
        const json_t *other = json_object_get(b, key);
        if (!other || !value_equal(value, other))
            return false;
    }
    return true;
}

bool value_equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return number_cmp(a, b) == 0;
    if (json_is_object(a) && json_is_object(b))
        return objects_equal(a, b);
    if (!json_is_array(a) || !json_is_array(b))
        return json_equal(a, b);
    if (json_array_size(a) != json_array_size(b))
        return false;
    for (size_t i = 0; i < json_array_size(a); i++)
        if (!value_equal(json_array_get(a, i), json_array_get(b, i)))
            return false;
    return true;
}

/* --- is a value valid? ----------------------------------------------------------------------------------------- */

static bool excepted(const struct facts *f, const json_t *v)
{
    for (const struct said *e = f->except; e; e = e->before)
        if (value_equal(e->value, v))
            return true;
    return false;
}

static bool contains_accept(struct compile *c, const struct said *contains, const json_t *v)
{
    size_t i, n = 0;
    json_t *item;
    struct shape *s = shape_of_one(c, contains->value);
    json_array_foreach(v, i, item)
    {
        n += shape_accepts(c, s, item);
    }
    return n >= contains->min && n <= contains->max;
}

static bool all_differ(struct compile *c, const json_t *v)
{
    size_t n = json_array_size(v);
    for (size_t i = 0; i < n && schema_step(c, i / 8); i++)
        for (size_t j = 0; j < i; j++)
            if (value_equal(json_array_get(v, i), json_array_get(v, j)))
                return false;
    return true;
}

static bool array_accepts(struct compile *c, const struct facts *f, const json_t *v)
{
    size_t i, n = json_array_size(v);
    json_t *item;
    if (n < f->items_min || n > f->items_max || (f->unique && !all_differ(c, v)))
        return false;
    json_array_foreach(v, i, item)
    {
        struct shape *s = array_item(c, f, i);
        if (!s || !shape_accepts(c, s, item))
            return false;
    }
    for (const struct said *s = f->contains; s; s = s->before)
        if (!contains_accept(c, s, v))
            return false;
    return true;
}

static bool object_accepts(struct compile *c, const struct facts *f, const json_t *v)
{
    const char *key;
    json_t *value;
    size_t n = json_object_size(v);
    if (n < f->members_min || n > f->members_max)
        return false;
    for (const struct said *r = f->required; r; r = r->before)
        if (!json_object_get(v, json_string_value(r->value)))
            return false;
    json_object_foreach((json_t *)v, key, value)
    {
        struct shape *s = object_member(c, f, str_from(key));
        if (!s || !shape_accepts(c, s, value))
            return false;
    }
    return true;
}

static bool listed(const struct facts *f, const json_t *value)
{
    size_t i;
    json_t *one;
    json_array_foreach(f->only, i, one)
    {
        if (value_equal(one, value))
            return true;
    }
    return !f->only;
}

bool facts_accept(struct compile *c, const struct facts *f, const json_t *value)
{
    return listed(f, value) && facts_accept_listed(c, f, value);
}

bool facts_accept_listed(struct compile *c, const struct facts *f, const json_t *value)
{
    if (!(f->types & value_type(value)) || excepted(f, value))
        return false;
    switch (json_typeof(value)) {
    case JSON_INTEGER:
    case JSON_REAL: return number_accepts(f, value);
    case JSON_STRING: return string_accepts(c, f, json_str(value));
    case JSON_ARRAY: return array_accepts(c, f, value);
    case JSON_OBJECT: return object_accepts(c, f, value);
    default: return true;
    }
}

/* --- values as text
 * ------------------------------------------------------------------------------------------------ */

static const struct node *array_text(struct compile *c, const json_t *v)
{
    const struct node *x = text_node(c, "]");
    for (size_t i = json_array_size(v); i-- > 0;) {
        x = seq2(c, value_node(c, json_array_get(v, i)), x);
        if (i)
            x = seq2(c, c->comma, x);
    }
    return seq2(c, text_node(c, "["), x);
}

static const struct node *object_text(struct compile *c, const json_t *v)
{
    const struct node *x = text_node(c, "{");
    const char *key;
    json_t *value;
    bool more = false;
    json_object_foreach((json_t *)v, key, value)
    {
        const struct node *member[] = { more ? c->comma : node_empty(c->b), string_node(c, text_node(c, key)),
                                        c->colon, value_node(c, value) };
        x = seq2(c, x, node_seq(c->b, member, ARRAY_LEN(member)));
        more = true;
    }
    return seq2(c, x, text_node(c, "}"));
}

const struct node *value_node(struct compile *c, const json_t *v)
{
    if (!schema_step(c, 1))
        return node_never(c->b);
    if (json_is_array(v))
        return array_text(c, v);
    if (json_is_object(v))
        return object_text(c, v);
    if (json_is_string(v))
        return string_node(c, node_text(c->b, json_str(v)));
    struct buf text = { 0 };
    json_dump(&text, v);
    const struct node *x = node_text(c->b, buf_str(&text));
    buf_free(&text);
    return x;
}

/* Strings apart: one image of them all is smaller than one each. */
const struct node *values_node(struct compile *c, const struct facts *f)
{
    size_t n = json_array_size(f->only), strings = 0, others = 0, i;
    const struct node **texts = arena_array(&c->arena, n + 1, sizeof(struct node *));
    const struct node **rest = arena_array(&c->arena, n + 2, sizeof(struct node *));
    json_t *one;
    json_array_foreach(f->only, i, one)
    {
        if (!schema_step(c, 1) || !facts_accept_listed(c, f, one))
            continue;
        if (json_is_string(one))
            texts[strings++] = node_text(c->b, json_str(one));
        else
            rest[others++] = value_node(c, one);
    }
    if (strings)
        rest[others++] = string_node(c, node_or(c->b, texts, strings));
    return node_or(c->b, rest, others);
}

/* --- any JSON
 * --------------------------------------------------------------------------------------------------------- */

static const struct node *free_list(struct compile *c, const char *open, const struct node *item,
                                    const char *close)
{
    const struct node *more = node_repeat(c->b, seq2(c, c->comma, item), 0, REPEAT_ENDLESS);
    const struct node *parts[] = { text_node(c, open), opt(c, seq2(c, item, more)), text_node(c, close) };
    return node_seq(c->b, parts, ARRAY_LEN(parts));
}

void free_values_need(struct compile *c)
{
    if (c->free_value)
        return;
    size_t value = rule_new(c->b, "any value"), array = rule_new(c->b, "any array"),
           object = rule_new(c->b, "any object");
    struct facts any;
    facts_any(&any);
    c->free_value = node_call(c->b, value);
    c->free_array = node_call(c->b, array);
    c->free_object = node_call(c->b, object);
    const struct node *text = string_node(c, c->any_text);
    const struct node *member[] = { text, c->colon, c->free_value };
    const struct node *values[] = {
        text_node(c, "null"), text_node(c, "true"), text_node(c, "false"), number_node(c, &any), text,
        c->free_array,        c->free_object
    };
    rule_define(c->b, value, node_or(c->b, values, ARRAY_LEN(values)));
    rule_define(c->b, array, free_list(c, "[", c->free_value, "]"));
    rule_define(c->b, object, free_list(c, "{", node_seq(c->b, member, ARRAY_LEN(member)), "}"));
    builder_unique_keys(c->b);
}
