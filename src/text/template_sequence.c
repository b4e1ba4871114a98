/*
 * template_sequence.c - filters over lists, dicts and what else can be iterated.
 *
 * Those that Jinja writes as generators (map, select, unique, ...) give a V_ITER: always true, without length,
 * used up by the first walk, as a template meets them there.
 */
#include "text/template_impl.h"

#include <string.h>

#define FILTER(name)                                                                                         \
    static struct value name(struct render *r, struct value self, const struct value *arg,                   \
                             const struct args *args)

/* "a.b.0" walks down; a number is an index. */
static struct value walk(struct render *r, struct value v, struct value path)
{
    if (IS(path, V_ABSENT) || IS(path, V_NONE))
        return v;
    if (!IS(path, V_STRING))
        return get_item(r, v, path);
    for (struct str rest = path.s; !r->failed;) {
        size_t dot = str_find(rest, STR("."));
        struct str part = str_slice(rest, 0, dot);
        int64_t index;
        bool digits = part.len && part.ptr[0] >= '0' && part.ptr[0] <= '9' && str_to_i64(part, &index);
        v = get_item(r, v, digits ? v_int(index) : v_string(part));
        if (dot == SIZE_MAX)
            break;
        rest = str_slice(rest, dot + 1, rest.len);
    }
    return v;
}

/* --- length, ends ----------------------------------------------------------------------------------------------- */

FILTER(filter_length)
{
    (void)arg, (void)args;
    size_t n;
    if (!length_of(r, self, &n))
        return render_fail(r, "a %s has no length", type_name(self));
    return v_int((int64_t)n);
}

FILTER(filter_first)
{
    (void)arg, (void)args;
    if (IS(self, V_ITER))
        return self.iter->at < self.iter->list->n ? self.iter->list->items[self.iter->at++]
                                                  : v_undefined(r, "No first item, sequence was empty.");
    const struct list *list = iterate(r, self);
    return list->n ? list->items[0] : v_undefined(r, "No first item, sequence was empty.");
}

FILTER(filter_last)
{
    (void)arg, (void)args;
    if (IS(self, V_ITER))
        return render_fail(r, "a generator has no last item");
    const struct list *list = iterate(r, self);
    return list->n ? list->items[list->n - 1] : v_undefined(r, "No last item, sequence was empty.");
}

FILTER(filter_list)
{
    (void)arg, (void)args;
    struct value copy = list_new(r, V_LIST);
    const struct list *list = iterate(r, self);
    for (size_t i = 0; i < list->n && !r->failed; i++)
        list_add(r, copy, list->items[i]);
    render_step(r, list->n);
    return copy;
}

FILTER(filter_items)
{
    (void)arg, (void)args;
    struct value pairs = list_new(r, V_LIST);
    if (!IS(self, V_DICT) && !IS(self, V_UNDEFINED))
        return render_fail(r, "only a mapping has items, not a %s", type_name(self));
    for (size_t i = 0; IS(self, V_DICT) && i < self.dict->n; i++) {
        struct value pair = list_new(r, V_TUPLE);
        list_add(r, pair, self.dict->pairs[i].key);
        list_add(r, pair, self.dict->pairs[i].value);
        list_add(r, pairs, pair);
    }
    return v_iter(r, pairs);
}

FILTER(filter_reverse)
{
    (void)arg, (void)args;
    if (IS(self, V_STRING))
        return get_slice(r, self, NULL, NULL, -1);
    struct value reversed = list_new(r, V_LIST);
    const struct list *list = iterate(r, self);
    for (size_t i = list->n; i-- > 0 && !r->failed;)
        list_add(r, reversed, list->items[i]);
    render_step(r, list->n);
    return v_iter(r, reversed);
}

FILTER(filter_join)
{
    (void)args;
    struct str glue = IS(arg[0], V_ABSENT) ? STR("") : to_str(r, arg[0]);
    const struct list *list = iterate(r, self);
    struct buf out = { 0 };
    for (size_t i = 0; i < list->n && !r->failed; i++) {
        if (i)
            put_bounded(r, &out, glue);
        put_str(r, walk(r, list->items[i], arg[1]), &out);
    }
    render_step(r, list->n + out.len / 64);
    return v_from_buf(r, &out);
}

FILTER(filter_sum)
{
    (void)args;
    double sum = 0;
    int64_t whole = 0;
    bool is_float = false;
    struct value start = list_new(r, V_LIST);
    const struct list *list = iterate(r, self);
    list_add(r, start, IS(arg[1], V_ABSENT) ? v_int(0) : arg[1]);
    for (size_t i = 0; i < list->n; i++)
        list_add(r, start, walk(r, list->items[i], arg[0]));
    for (size_t i = 0; i < start.list->n && !r->failed; i++) {
        struct value v = start.list->items[i];
        if (!is_number(v))
            return render_fail(r, "a %s cannot be summed", type_name(v));
        is_float |= IS(v, V_FLOAT);
        sum += as_double(v);
        if (!IS(v, V_FLOAT) && __builtin_add_overflow(whole, IS(v, V_BOOL) ? v.b : v.i, &whole))
            return render_fail(r, "an integer does not fit 64 bits");
    }
    render_step(r, list->n);
    return is_float ? v_float(sum) : v_int(whole);
}

/* --- order ----------------------------------------------------------------------------------------------------------- */

/* An item and what it is compared by. */
struct keyed {
    struct value key, item;
};

static struct value fold_case(struct render *r, struct value v, bool case_sensitive)
{
    return IS(v, V_STRING) && !case_sensitive ? v_string(str_case(r, v.s, false)) : v;
}

/* Merge sort: stable, and a comparison that fails ends it early without harm. scratch as long as rows. */
static void sort_rows(struct render *r, struct keyed *rows, struct keyed *scratch, size_t n, bool reverse)
{
    if (n < 2 || !render_step(r, n))
        return;
    size_t half = n / 2, a = 0, b = half, out = 0;
    sort_rows(r, rows, scratch, half, reverse);
    sort_rows(r, rows + half, scratch, n - half, reverse);
    while (a < half && b < n && !r->failed) {
        int sign = order(r, rows[b].key, rows[a].key);
        bool take_b = reverse ? sign > 0 : sign < 0;
        scratch[out++] = rows[take_b ? b++ : a++];
    }
    if (r->failed)
        return;
    memcpy(scratch + out, rows + a, (half - a) * sizeof *rows);
    memcpy(scratch + out + (half - a), rows + b, (n - b) * sizeof *rows);
    memcpy(rows, scratch, n * sizeof *rows);
}

static struct value sorted(struct render *r, struct keyed *rows, size_t n, bool reverse)
{
    struct value list = list_new(r, V_LIST);
    struct keyed *scratch = arena_array(&r->arena, n + 1, sizeof *scratch);
    sort_rows(r, rows, scratch, n, reverse);
    for (size_t i = 0; i < n; i++)
        list_add(r, list, rows[i].item);
    return list;
}

static struct keyed *keyed_rows(struct render *r, const struct list *list, struct value path,
                                bool case_sensitive)
{
    if (!render_room(r, list->n * sizeof(struct keyed) * 2))
        return arena_array(&r->arena, list->n + 1, sizeof(struct keyed));
    struct keyed *rows = arena_array(&r->arena, list->n + 1, sizeof *rows);
    for (size_t i = 0; i < list->n && !r->failed; i++)
        rows[i] =
            (struct keyed){ fold_case(r, walk(r, list->items[i], path), case_sensitive), list->items[i] };
    return rows;
}

FILTER(filter_sort)
{
    (void)args;
    if (IS(arg[2], V_STRING) && str_find(arg[2].s, STR(",")) != SIZE_MAX)
        return render_fail(r, "sort by several attributes is not supported");
    const struct list *list = iterate(r, self);
    struct keyed *rows = keyed_rows(r, list, arg[2], truth(arg[1]));
    return r->failed ? v_none() : sorted(r, rows, list->n, truth(arg[0]));
}

FILTER(filter_dictsort)
{
    (void)args;
    bool by_value = !IS(arg[1], V_ABSENT) && str_is(to_str(r, arg[1]), "value");
    if (!by_value && !IS(arg[1], V_ABSENT) && !str_is(to_str(r, arg[1]), "key"))
        return render_fail(r, "dictsort sorts by key or value");
    if (!IS(self, V_DICT))
        return render_fail(r, "dictsort of a %s has no meaning", type_name(self));
    struct value pairs = list_new(r, V_LIST);
    for (size_t i = 0; i < self.dict->n; i++) {
        struct value pair = list_new(r, V_TUPLE);
        list_add(r, pair, self.dict->pairs[i].key);
        list_add(r, pair, self.dict->pairs[i].value);
        list_add(r, pairs, pair);
    }
    struct keyed *rows = keyed_rows(r, pairs.list, v_int(by_value), truth(arg[0]));
    return r->failed ? v_none() : sorted(r, rows, pairs.list->n, truth(arg[2]));
}

FILTER(filter_unique)
{
    (void)args;
    const struct list *list = iterate(r, self);
    struct keyed *rows = keyed_rows(r, list, arg[1], truth(arg[0]));
    struct value kept = list_new(r, V_LIST);
    struct value seen = dict_new(r, V_DICT);
    for (size_t i = 0; i < list->n && !r->failed; i++)
        if (!dict_get(r, seen.dict, rows[i].key)) {
            dict_set(r, seen.dict, rows[i].key, v_none());
            list_add(r, kept, list->items[i]);
        }
    return v_iter(r, kept);
}

static struct value extreme(struct render *r, struct value self, const struct value *arg, bool largest)
{
    const struct list *list = iterate(r, self);
    struct keyed *rows = keyed_rows(r, list, arg[1], truth(arg[0]));
    if (list->n == 0)
        return v_undefined(r, "No aggregated item, sequence was empty.");
    size_t best = 0;
    for (size_t i = 1; i < list->n && !r->failed; i++) {
        int sign = order(r, rows[i].key, rows[best].key);
        if (largest ? sign > 0 : sign < 0)
            best = i;
    }
    return rows[best].item;
}

FILTER(filter_min)
{
    (void)args;
    return extreme(r, self, arg, false);
}

FILTER(filter_max)
{
    (void)args;
    return extreme(r, self, arg, true);
}

/* --- map, select and their kin -------------------------------------------------------------------------------------------- */

/* The arguments behind the first `from`. */
static struct args rest_of(const struct args *args, size_t from)
{
    from = from < args->n ? from : args->n;
    return (struct args){ args->pos + from, args->n - from, args->named, args->n_named };
}

static struct value *named_arg(const struct args *args, const char *name)
{
    for (size_t i = 0; i < args->n_named; i++)
        if (str_is(args->named[i].key.s, name))
            return &args->named[i].value;
    return NULL;
}

/* map(attribute="a.b", default=x) */
static struct value map_attribute(struct render *r, struct value self, const struct args *args,
                                  struct value path)
{
    struct value out = list_new(r, V_LIST);
    const struct value *otherwise = named_arg(args, "default");
    const struct list *list = iterate(r, self);
    if (args->n || args->n_named != (otherwise ? 2 : 1))
        return render_fail(r, "map takes attribute and default, or a filter");
    for (size_t i = 0; i < list->n && !r->failed; i++) {
        struct value v = walk(r, list->items[i], path);
        list_add(r, out, IS(v, V_UNDEFINED) && otherwise ? *otherwise : v);
    }
    return v_iter(r, out);
}

FILTER(filter_map)
{
    (void)arg;
    if (!truth(self)) /* Jinja asks this first, so none has no items here */
        return v_iter(r, list_new(r, V_LIST));
    const struct value *path = named_arg(args, "attribute");
    if (path)
        return map_attribute(r, self, args, *path);
    const struct builtin *filter = args->n ? find_filter(to_str(r, args->pos[0])) : NULL;
    if (!filter)
        return render_fail(r, "map needs the name of a filter");
    struct value out = list_new(r, V_LIST);
    struct args rest = rest_of(args, 1);
    const struct list *list = iterate(r, self);
    for (size_t i = 0; i < list->n && !r->failed; i++)
        list_add(r, out, call_builtin(r, filter, list->items[i], &rest));
    return v_iter(r, out);
}

/* The items whose value (or attribute) passes the test, or fails it. Without a test: is true. */
static struct value choose(struct render *r, struct value self, const struct args *args, bool attribute,
                           bool keep)
{
    if (args->n < attribute)
        return render_fail(r, "the name of an attribute is missing");
    if (!truth(self))
        return v_iter(r, list_new(r, V_LIST));
    struct value path = attribute ? args->pos[0] : (struct value){ .kind = V_ABSENT };
    struct args rest = rest_of(args, attribute);
    const struct builtin *test = rest.n ? find_test(to_str(r, rest.pos[0])) : NULL;
    if (rest.n && !test)
        return render_fail(r, "the test \"%.*s\" is not supported", STR_ARG(to_str(r, rest.pos[0])));
    rest = rest_of(&rest, 1);
    struct value out = list_new(r, V_LIST);
    const struct list *list = iterate(r, self);
    for (size_t i = 0; i < list->n && !r->failed; i++) {
        struct value v = walk(r, list->items[i], path);
        bool passes = truth(test ? call_builtin(r, test, v, &rest) : v);
        if (passes == keep)
            list_add(r, out, list->items[i]);
    }
    return v_iter(r, out);
}

FILTER(filter_select)
{
    (void)arg;
    return choose(r, self, args, false, true);
}

FILTER(filter_reject)
{
    (void)arg;
    return choose(r, self, args, false, false);
}

FILTER(filter_selectattr)
{
    (void)arg;
    return choose(r, self, args, true, true);
}

FILTER(filter_rejectattr)
{
    (void)arg;
    return choose(r, self, args, true, false);
}

static const struct builtin filters[] = {
    { "count", "", 0, filter_length },
    { "dictsort", "case_sensitive by reverse", 0, filter_dictsort },
    { "first", "", 0, filter_first },
    { "items", "", 0, filter_items },
    { "join", "d attribute", 0, filter_join },
    { "last", "", 0, filter_last },
    { "length", "", 0, filter_length },
    { "list", "", 0, filter_list },
    { "map", NULL, 0, filter_map },
    { "max", "case_sensitive attribute", 0, filter_max },
    { "min", "case_sensitive attribute", 0, filter_min },
    { "reject", NULL, 0, filter_reject },
    { "rejectattr", NULL, 0, filter_rejectattr },
    { "reverse", "", 0, filter_reverse },
    { "select", NULL, 0, filter_select },
    { "selectattr", NULL, 0, filter_selectattr },
    { "sort", "reverse case_sensitive attribute", 0, filter_sort },
    { "sum", "attribute start", 0, filter_sum },
    { "unique", "case_sensitive attribute", 0, filter_unique },
};

const struct builtin *find_sequence_filter(struct str name)
{
    return find_row(filters, ARRAY_LEN(filters), name);
}
