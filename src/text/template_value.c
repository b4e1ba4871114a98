/*
 * template_value.c - the values of a render: Python's data model as far as templates can see it.
 *
 * Values are small and copied; lists, dicts and texts live in the render's arena. Lists are not changed once a
 * template can see them (the sandbox is immutable); only namespaces are.
 */
#include "text/template_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct value v_none(void)
{
    return (struct value){ .kind = V_NONE };
}

struct value v_bool(bool b)
{
    return (struct value){ .kind = V_BOOL, .b = b };
}

struct value v_int(int64_t i)
{
    return (struct value){ .kind = V_INT, .i = i };
}

struct value v_float(double d)
{
    return (struct value){ .kind = V_FLOAT, .d = d };
}

struct value v_string(struct str s)
{
    return (struct value){ .kind = V_STRING, .s = s };
}

struct value v_chars(const char *literal)
{
    return v_string(str_from(literal));
}

struct value v_undefined(struct render *r, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return (struct value){ .kind = V_UNDEFINED, .s = arena_str(&r->arena, str_from(text)) };
}

struct value v_iter(struct render *r, struct value list)
{
    struct iter *iter = arena_alloc(&r->arena, sizeof *iter);
    iter->list = list.list;
    return (struct value){ .kind = V_ITER, .iter = iter };
}

struct value v_from_buf(struct render *r, struct buf *b)
{
    struct value v = v_string(STR(""));
    if (render_room(r, b->len))
        v = v_string(arena_str(&r->arena, buf_str(b)));
    buf_free(b);
    return v;
}

/* JSON's depth was bounded when it was read. */
struct value v_from_json(struct render *r, const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_NULL: return v_none();
    case JSON_TRUE: return v_bool(true);
    case JSON_FALSE: return v_bool(false);
    case JSON_INTEGER: return v_int(json_integer_value(json));
    case JSON_REAL: return v_float(json_real_value(json));
    case JSON_STRING: return v_string((struct str){ json_string_value(json), json_string_length(json) });
    case JSON_ARRAY: break;
    case JSON_OBJECT: break;
    }
    if (!render_step(r, 1) || !render_room(r, 0))
        return v_none();
    if (json_is_array(json)) {
        struct value list = list_new(r, V_LIST);
        for (size_t i = 0; i < json_array_size(json); i++)
            list_add(r, list, v_from_json(r, json_array_get(json, i)));
        return list;
    }
    struct value dict = dict_new(r, V_DICT);
    for (void *at = json_object_iter((json_t *)json); at; at = json_object_iter_next((json_t *)json, at)) {
        struct pair *grown = dict.dict->pairs;
        if (dict.dict->n == dict.dict->cap) { /* keys are unique already: no search */
            dict.dict->cap = dict.dict->cap ? dict.dict->cap * 2 : 8;
            grown = arena_array(&r->arena, dict.dict->cap, sizeof *grown);
            if (dict.dict->n)
                memcpy(grown, dict.dict->pairs, dict.dict->n * sizeof *grown);
            dict.dict->pairs = grown;
        }
        grown[dict.dict->n++] =
            (struct pair){ v_chars(json_object_iter_key(at)), v_from_json(r, json_object_iter_value(at)) };
    }
    return dict;
}

/* --- lists and dicts ------------------------------------------------------------------------------------------- */

struct value list_new(struct render *r, enum value_kind kind)
{
    struct value v = { .kind = kind };
    v.list = arena_alloc(&r->arena, sizeof *v.list);
    return v;
}

void list_add(struct render *r, struct value list, struct value item)
{
    struct list *l = list.list;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 8;
        if (!render_room(r, cap * sizeof item))
            return;
        struct value *grown = arena_array(&r->arena, cap, sizeof *grown);
        if (l->n)
            memcpy(grown, l->items, l->n * sizeof *grown);
        l->items = grown;
        l->cap = cap;
    }
    l->items[l->n++] = item;
}

struct value dict_new(struct render *r, enum value_kind kind)
{
    struct value v = { .kind = kind };
    v.dict = arena_alloc(&r->arena, sizeof *v.dict);
    return v;
}

struct value *dict_get(struct render *r, const struct dict *d, struct value key)
{
    if (!render_step(r, d->n / 16))
        return NULL;
    for (size_t i = 0; i < d->n; i++) {
        struct value *at = &d->pairs[i].key;
        bool same = IS(key, V_STRING) ? IS(*at, V_STRING) && str_eq(key.s, at->s) : equal(r, *at, key);
        if (same)
            return &d->pairs[i].value;
    }
    return NULL;
}

void dict_set(struct render *r, struct dict *d, struct value key, struct value v)
{
    if (IS(key, V_LIST) || IS(key, V_DICT)) {
        render_fail(r, "a %s cannot be a key", type_name(key));
        return;
    }
    struct value *there = dict_get(r, d, key);
    if (there) {
        *there = v;
        return;
    }
    if (d->n == d->cap) {
        d->cap = d->cap ? d->cap * 2 : 8;
        struct pair *grown = arena_array(&r->arena, d->cap, sizeof *grown);
        if (d->n)
            memcpy(grown, d->pairs, d->n * sizeof *grown);
        d->pairs = grown;
    }
    d->pairs[d->n++] = (struct pair){ key, v };
}

/* --- questions ----------------------------------------------------------------------------------------------------- */

const char *type_name(struct value v)
{
    static const char *const names[] = {
        [V_ABSENT] = "nothing", [V_UNDEFINED] = "Undefined",
        [V_NONE] = "NoneType",  [V_BOOL] = "bool",
        [V_INT] = "int",        [V_FLOAT] = "float",
        [V_STRING] = "str",     [V_LIST] = "list",
        [V_TUPLE] = "tuple",    [V_ITER] = "generator",
        [V_DICT] = "dict",      [V_NAMESPACE] = "Namespace",
        [V_MACRO] = "Macro",    [V_FUNCTION] = "function",
        [V_METHOD] = "method",  [V_LOOP] = "LoopContext",
    };
    return names[v.kind];
}

bool is_number(struct value v)
{
    return IS(v, V_BOOL) || IS(v, V_INT) || IS(v, V_FLOAT);
}

double as_double(struct value v)
{
    return IS(v, V_FLOAT) ? v.d : IS(v, V_BOOL) ? v.b : (double)v.i;
}

bool truth(struct value v)
{
    switch (v.kind) {
    case V_UNDEFINED:
    case V_ABSENT:
    case V_NONE: return false;
    case V_BOOL: return v.b;
    case V_INT: return v.i != 0;
    case V_FLOAT: return v.d != 0;
    case V_STRING: return v.s.len != 0;
    case V_LIST:
    case V_TUPLE: return v.list->n != 0;
    case V_DICT: return v.dict->n != 0;
    default: return true;
    }
}

static bool list_equal(struct render *r, const struct list *a, const struct list *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!equal(r, a->items[i], b->items[i]))
            return false;
    return true;
}

static bool dict_equal(struct render *r, const struct dict *a, const struct dict *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct value *other = dict_get(r, b, a->pairs[i].key);
        if (!other || !equal(r, a->pairs[i].value, *other))
            return false;
    }
    return true;
}

/* -1, 0, 1; the integers exactly, floats against integers as doubles. */
static int number_order(struct value a, struct value b)
{
    if (!IS(a, V_FLOAT) && !IS(b, V_FLOAT)) {
        int64_t x = IS(a, V_BOOL) ? a.b : a.i, y = IS(b, V_BOOL) ? b.b : b.i;
        return (x > y) - (x < y);
    }
    double x = as_double(a), y = as_double(b);
    return (x > y) - (x < y);
}

bool equal(struct render *r, struct value a, struct value b)
{
    if (is_number(a) && is_number(b))
        return number_order(a, b) == 0 && !(IS(a, V_FLOAT) && isnan(a.d)) && !(IS(b, V_FLOAT) && isnan(b.d));
    if (a.kind != b.kind || !render_step(r, 1))
        return false;
    switch (a.kind) {
    case V_UNDEFINED:
    case V_NONE: return true;
    case V_STRING: return str_eq(a.s, b.s);
    case V_FUNCTION: return a.builtin == b.builtin;
    case V_LIST:
    case V_TUPLE:
    case V_DICT: break;
    default: return a.list == b.list; /* identity: every other kind is one pointer */
    }
    if (++r->depth > RENDER_DEPTH_MAX)
        render_fail(r, "values are nested too deeply to compare");
    bool same = !r->failed && (IS(a, V_DICT) ? dict_equal(r, a.dict, b.dict) : list_equal(r, a.list, b.list));
    r->depth--;
    return same;
}

int order(struct render *r, struct value a, struct value b)
{
    if (is_number(a) && is_number(b))
        return number_order(a, b);
    if (IS(a, V_STRING) && IS(b, V_STRING)) {
        render_step(r, a.s.len / 64);
        return str_cmp(a.s, b.s); /* UTF-8 sorts as its code points do */
    }
    if ((IS(a, V_LIST) || IS(a, V_TUPLE)) && a.kind == b.kind && r->depth < RENDER_DEPTH_MAX) {
        r->depth++;
        int result = (a.list->n > b.list->n) - (a.list->n < b.list->n);
        for (size_t i = 0; i < a.list->n && i < b.list->n && !r->failed; i++)
            if (!equal(r, a.list->items[i], b.list->items[i])) {
                result = order(r, a.list->items[i], b.list->items[i]);
                break;
            }
        r->depth--;
        return result;
    }
    render_fail(r, "%s and %s have no order", type_name(a), type_name(b));
    return 0;
}

bool contains(struct render *r, struct value container, struct value item)
{
    switch (container.kind) {
    case V_STRING:
        if (!IS(item, V_STRING)) {
            render_fail(r, "a string is searched for a %s", type_name(item));
            return false;
        }
        return render_step(r, container.s.len / 64) && str_find(container.s, item.s) != SIZE_MAX;
    case V_DICT: return dict_get(r, container.dict, item) != NULL;
    default: break;
    }
    const struct list *list = iterate(r, container);
    for (size_t i = 0; i < list->n && !r->failed; i++)
        if (equal(r, list->items[i], item))
            return true;
    return false;
}

/* --- iteration, attributes, items ---------------------------------------------------------------------------------------- */

static struct list *characters(struct render *r, struct str s)
{
    struct value list = list_new(r, V_LIST);
    for (size_t at = 0; at < s.len && !r->failed;) {
        uint32_t c;
        size_t used = next_char(s, at, &c);
        list_add(r, list, v_string(str_slice(s, at, at + used)));
        at += used;
    }
    render_step(r, list.list->n);
    return list.list;
}

struct list *iterate(struct render *r, struct value v)
{
    struct value list = list_new(r, V_LIST);
    switch (v.kind) {
    case V_LIST:
    case V_TUPLE: return v.list;
    case V_STRING: return characters(r, v.s);
    case V_UNDEFINED: return list.list;
    case V_DICT:
        for (size_t i = 0; i < v.dict->n; i++)
            list_add(r, list, v.dict->pairs[i].key);
        return list.list;
    case V_ITER:
        for (; v.iter->at < v.iter->list->n; v.iter->at++)
            list_add(r, list, v.iter->list->items[v.iter->at]);
        return list.list;
    default: render_fail(r, "a %s cannot be iterated over", type_name(v)); return list.list;
    }
}

bool length_of(struct render *r, struct value v, size_t *n)
{
    switch (v.kind) {
    case V_STRING: *n = count_chars(v.s); return render_step(r, v.s.len / 64);
    case V_LIST:
    case V_TUPLE: *n = v.list->n; return true;
    case V_DICT: *n = v.dict->n; return true;
    case V_LOOP: *n = v.loop->items->n; return true;
    case V_UNDEFINED: *n = 0; return true;
    default: return false;
    }
}

static struct value loop_attr(struct render *r, struct loop *l, struct str name)
{
    const struct {
        const char *name;
        struct value value;
    } rows[] = {
        { "index", v_int((int64_t)l->at + 1) },
        { "index0", v_int((int64_t)l->at) },
        { "revindex", v_int((int64_t)(l->items->n - l->at)) },
        { "revindex0", v_int((int64_t)(l->items->n - l->at) - 1) },
        { "first", v_bool(l->at == 0) },
        { "last", v_bool(l->at + 1 == l->items->n) },
        { "length", v_int((int64_t)l->items->n) },
        { "depth", v_int(1) }, /* of recursive loops, and there are none */
        { "depth0", v_int(0) },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_is(name, rows[i].name))
            return rows[i].value;
    if (str_is(name, "previtem"))
        return l->at ? l->items->items[l->at - 1] : v_undefined(r, "there is no previous item");
    if (str_is(name, "nextitem"))
        return l->at + 1 < l->items->n ? l->items->items[l->at + 1] : v_undefined(r, "there is no next item");
    return (struct value){ .kind = V_ABSENT };
}

static struct value bind_method(struct render *r, struct value self, struct str name)
{
    const struct builtin *row = find_method(self.kind, name);
    if (!row)
        return (struct value){ .kind = V_ABSENT };
    struct method *m = arena_alloc(&r->arena, sizeof *m);
    *m = (struct method){ self, row };
    return (struct value){ .kind = V_METHOD, .method = m };
}

static struct value no_attr(struct render *r, struct value v, struct str name)
{
    const char *object = IS(v, V_NAMESPACE) || IS(v, V_NONE) ? "" : " object";
    return v_undefined(r, "'%s%s' has no attribute '%.*s'", IS(v, V_NONE) ? "None" : type_name(v), object,
                       STR_ARG(str_slice(name, 0, 60)));
}

/* v.name: attributes and methods come before keys. */
struct value get_attr(struct render *r, struct value v, struct str name)
{
    struct value found = { .kind = V_ABSENT };
    const struct value *item = NULL;
    if (IS(v, V_UNDEFINED))
        return render_fail(r, "%.*s", STR_ARG(v.s));
    if (IS(v, V_LOOP))
        found = loop_attr(r, v.loop, name);
    if (IS(found, V_ABSENT))
        found = bind_method(r, v, name);
    if (IS(found, V_ABSENT) && (IS(v, V_DICT) || IS(v, V_NAMESPACE)))
        item = dict_get(r, v.dict, v_string(name));
    return !IS(found, V_ABSENT) ? found : item ? *item : no_attr(r, v, name);
}

/* v[key]: keys come before attributes. */
struct value get_item(struct render *r, struct value v, struct value key)
{
    if (IS(v, V_UNDEFINED))
        return render_fail(r, "%.*s", STR_ARG(v.s));
    if (IS(v, V_DICT)) {
        const struct value *item = dict_get(r, v.dict, key);
        if (item)
            return *item;
    }
    if (IS(key, V_STRING))
        return get_attr(r, v, key.s);
    size_t n = 0;
    bool indexed = IS(v, V_LIST) || IS(v, V_TUPLE) || IS(v, V_STRING);
    if (indexed && (IS(key, V_INT) || IS(key, V_BOOL))) {
        int64_t at = IS(key, V_BOOL) ? key.b : key.i;
        length_of(r, v, &n);
        at += at < 0 ? (int64_t)n : 0;
        if (at >= 0 && at < (int64_t)n)
            return IS(v, V_STRING) ? characters(r, v.s)->items[at] : v.list->items[at];
    }
    struct buf repr = { 0 };
    put_repr(r, key, &repr);
    struct value missing = v_undefined(r, "'%s object' has no element %.*s", type_name(v),
                                       STR_ARG(str_slice(buf_str(&repr), 0, 60)));
    buf_free(&repr);
    return missing;
}

/* Python's rule: negative counts from the end, then cut to the length. */
static int64_t slice_bound(const int64_t *given, int64_t otherwise, int64_t n, int64_t step)
{
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    if (!given)
        return otherwise;
    int64_t at = *given < 0 && *given >= -n ? *given + n : *given;
    return at < low ? low : at > high ? high : at;
}

struct value get_slice(struct render *r, struct value v, const int64_t *start, const int64_t *stop,
                       int64_t step)
{
    if (step == 0)
        return render_fail(r, "a slice's step cannot be zero");
    if (IS(v, V_UNDEFINED))
        return render_fail(r, "%.*s", STR_ARG(v.s));
    if (!IS(v, V_LIST) && !IS(v, V_TUPLE) && !IS(v, V_STRING))
        return v_undefined(r, "'%s object' cannot be sliced", type_name(v));
    const struct list *all = IS(v, V_STRING) ? characters(r, v.s) : v.list;
    int64_t n = (int64_t)all->n;
    int64_t at = slice_bound(start, step < 0 ? n - 1 : 0, n, step);
    int64_t end = slice_bound(stop, step < 0 ? -1 : n, n, step);
    struct value part = list_new(r, IS(v, V_TUPLE) ? V_TUPLE : V_LIST);
    for (; step > 0 ? at < end : at > end; at += step) {
        list_add(r, part, all->items[at]);
        if (step > n || step < -n)
            break; /* one step leaves the list; and at + step stays in range */
    }
    if (!IS(v, V_STRING) || !render_step(r, part.list->n))
        return part;
    struct buf text = { 0 };
    for (size_t i = 0; i < part.list->n; i++)
        buf_put_str(&text, part.list->items[i].s);
    return v_from_buf(r, &text);
}
