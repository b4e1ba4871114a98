/*
 * template_eval.c - evaluates expressions.
 *
 * Every node costs a step and a level of depth, so neither a long template nor a deep one can hold a thread.
 * Integers are 64 bits; where Python's would grow beyond, the render fails rather than wrap.
 */
#include "text/template_impl.h"

#include <math.h>
#include <string.h>

/* --- numbers ------------------------------------------------------------------------------------------------- */

static struct value overflow(struct render *r)
{
    return render_fail(r, "an integer does not fit 64 bits");
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static struct value int_pow(struct render *r, int64_t base, int64_t exponent)
{
    if (exponent < 0)
        return v_float(pow((double)base, (double)exponent));
    int64_t result = 1;
    for (int64_t i = 0; i < exponent && base != 1 && !(base == 0 && result == 0); i++) {
        if (base == -1)
            return v_int(exponent % 2 ? -1 : 1);
        if (__builtin_mul_overflow(result, base, &result))
            return overflow(r);
    }
    return v_int(result);
}

static struct value int_op(struct render *r, int op, int64_t a, int64_t b)
{
    int64_t result;
    if (b == 0 && (op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD))
        return render_fail(r, "division by zero");
    switch (op) {
    case OP_ADD: return __builtin_add_overflow(a, b, &result) ? overflow(r) : v_int(result);
    case OP_SUB: return __builtin_sub_overflow(a, b, &result) ? overflow(r) : v_int(result);
    case OP_MUL: return __builtin_mul_overflow(a, b, &result) ? overflow(r) : v_int(result);
    case OP_DIV: return v_float((double)a / (double)b);
    case OP_FLOORDIV: return b == -1 ? int_op(r, OP_SUB, 0, a) : v_int(floor_div(a, b));
    case OP_MOD: return v_int(b == -1 ? 0 : a - floor_div(a, b) * b);
    default: return int_pow(r, a, b);
    }
}

static struct value float_op(struct render *r, int op, double a, double b)
{
    if (b == 0 && (op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD))
        return render_fail(r, "division by zero");
    switch (op) {
    case OP_ADD: return v_float(a + b);
    case OP_SUB: return v_float(a - b);
    case OP_MUL: return v_float(a * b);
    case OP_DIV: return v_float(a / b);
    case OP_FLOORDIV: return v_float(floor(a / b));
    case OP_MOD: return v_float(a - b * floor(a / b));
    default: return v_float(pow(a, b));
    }
}

/* --- strings and lists ------------------------------------------------------------------------------------------ */

static struct value add_strings(struct render *r, struct value a, struct value b)
{
    struct buf text = { 0 };
    bool markup = a.markup || b.markup;
    const struct value parts[] = { a, b };
    for (size_t i = 0; i < 2; i++) {
        struct value part = parts[i];
        if (markup && !part.markup)
            part = call_builtin(r, find_filter(STR("escape")), part, &(struct args){ 0 });
        put_bounded(r, &text, part.s);
    }
    render_step(r, text.len / 64);
    struct value sum = v_from_buf(r, &text);
    sum.markup = markup;
    return sum;
}

static struct value repeat(struct render *r, struct value v, int64_t times)
{
    bool text = IS(v, V_STRING);
    size_t unit = text ? v.s.len : v.list->n * sizeof(struct value);
    if (times <= 0 || unit == 0)
        return text ? v_string(STR("")) : list_new(r, v.kind);
    if ((uint64_t)times > RENDER_MEMORY_MAX / unit || !render_step(r, unit * (size_t)times / 64))
        return render_fail(r, "a value is repeated too often");
    if (!text) {
        struct value all = list_new(r, v.kind);
        for (int64_t i = 0; i < times && !r->failed; i++)
            for (size_t k = 0; k < v.list->n; k++)
                list_add(r, all, v.list->items[k]);
        return all;
    }
    struct buf all = { 0 };
    while (times-- > 0 && put_bounded(r, &all, v.s))
        ;
    return v_from_buf(r, &all);
}

static struct value add_lists(struct render *r, const struct value *a, const struct value *b)
{
    struct value sum = list_new(r, a->kind);
    for (size_t i = 0; i < a->list->n; i++)
        list_add(r, sum, a->list->items[i]);
    for (size_t i = 0; i < b->list->n; i++)
        list_add(r, sum, b->list->items[i]);
    render_step(r, sum.list->n);
    return sum;
}

static bool is_repeatable(struct value v)
{
    return IS(v, V_STRING) || IS(v, V_LIST) || IS(v, V_TUPLE);
}

static struct value eval_binary(struct render *r, int op, struct value a, struct value b)
{
    static const char *const signs[] = { "+", "-", "*", "/", "//", "%", "**" };
    if (r->failed)
        return a;
    if (is_number(a) && is_number(b)) {
        if (IS(a, V_FLOAT) || IS(b, V_FLOAT))
            return float_op(r, op, as_double(a), as_double(b));
        return int_op(r, op, IS(a, V_BOOL) ? a.b : a.i, IS(b, V_BOOL) ? b.b : b.i);
    }
    if (IS(a, V_UNDEFINED) || IS(b, V_UNDEFINED))
        return render_fail(r, "%.*s", STR_ARG(IS(a, V_UNDEFINED) ? a.s : b.s));
    if (op == OP_ADD && IS(a, V_STRING) && IS(b, V_STRING))
        return add_strings(r, a, b);
    if (op == OP_ADD && (IS(a, V_LIST) || IS(a, V_TUPLE)) && a.kind == b.kind)
        return add_lists(r, &a, &b);
    if (op == OP_MUL && is_repeatable(a) && (IS(b, V_INT) || IS(b, V_BOOL)))
        return repeat(r, a, IS(b, V_BOOL) ? b.b : b.i);
    if (op == OP_MUL && is_repeatable(b) && (IS(a, V_INT) || IS(a, V_BOOL)))
        return repeat(r, b, IS(a, V_BOOL) ? a.b : a.i);
    if (op == OP_MOD && IS(a, V_STRING))
        return IS(b, V_TUPLE) ? str_percent(r, a.s, b.list->items, b.list->n) : str_percent(r, a.s, &b, 1);
    return render_fail(r, "%s %s %s has no meaning", type_name(a), signs[op], type_name(b));
}

static struct value eval_sign(struct render *r, const struct node *n)
{
    struct value v = eval(r, n->a);
    if (r->failed)
        return v;
    if (IS(v, V_UNDEFINED))
        return render_fail(r, "%.*s", STR_ARG(v.s));
    if (!is_number(v))
        return render_fail(r, "a %s has no sign", type_name(v));
    if (IS(v, V_FLOAT))
        return v_float(n->kind == N_NEG ? -v.d : v.d);
    int64_t i = IS(v, V_BOOL) ? v.b : v.i;
    return n->kind == N_NEG ? int_op(r, OP_SUB, 0, i) : v_int(i);
}

/* --- comparisons --------------------------------------------------------------------------------------------------- */

static bool compare(struct render *r, int op, struct value a, struct value b)
{
    switch (op) {
    case CMP_EQ: return equal(r, a, b);
    case CMP_NE: return !equal(r, a, b);
    case CMP_IN: return contains(r, b, a);
    case CMP_NOT_IN: return !contains(r, b, a);
    default: break;
    }
    if (IS(a, V_UNDEFINED) || IS(b, V_UNDEFINED)) {
        render_fail(r, "%.*s", STR_ARG(IS(a, V_UNDEFINED) ? a.s : b.s));
        return false;
    }
    if ((IS(a, V_FLOAT) && isnan(a.d)) || (IS(b, V_FLOAT) && isnan(b.d)))
        return false;
    int sign = order(r, a, b);
    return op == CMP_LT ? sign < 0 : op == CMP_LE ? sign <= 0 : op == CMP_GT ? sign > 0 : sign >= 0;
}

static struct value eval_compare(struct render *r, const struct node *n)
{
    struct value left = eval(r, n->a);
    for (size_t i = 0; i < n->n_items && !r->failed; i++) {
        struct value right = eval(r, n->items[i]->a);
        if (r->failed || !compare(r, n->items[i]->op, left, right))
            return v_bool(false);
        left = right;
    }
    return v_bool(true);
}

/* --- calls ------------------------------------------------------------------------------------------------------------ */

/* *args: what it iterates over, behind the others. */
static void spread_list(struct render *r, struct value from, struct args *args)
{
    const struct list *more = iterate(r, from);
    if (!render_step(r, more->n) || !render_room(r, (args->n + more->n) * sizeof *args->pos))
        return;
    struct value *grown = arena_array(&r->arena, args->n + more->n + 1, sizeof *grown);
    memcpy(grown, args->pos, args->n * sizeof *grown);
    if (more->n)
        memcpy(grown + args->n, more->items, more->n * sizeof *grown);
    args->pos = grown;
    args->n += more->n;
}

/* **kwargs: a dict's pairs, whose keys must be names. */
static void spread_dict(struct render *r, struct value from, struct args *args)
{
    if (!IS(from, V_DICT)) {
        render_fail(r, "only a mapping can follow **, not a %s", type_name(from));
        return;
    }
    const struct dict *more = from.dict;
    if (!render_step(r, more->n) || !render_room(r, (args->n_named + more->n) * sizeof *args->named))
        return;
    struct pair *grown = arena_array(&r->arena, args->n_named + more->n + 2, sizeof *grown);
    memcpy(grown, args->named, args->n_named * sizeof *grown);
    for (size_t i = 0; i < more->n; i++) {
        if (!IS(more->pairs[i].key, V_STRING))
            render_fail(r, "a name of an argument is a %s", type_name(more->pairs[i].key));
        grown[args->n_named + i] = more->pairs[i];
    }
    args->named = grown;
    args->n_named += more->n;
}

static struct args eval_args(struct render *r, const struct node *n)
{
    struct args args = { .n = n->n_items, .n_named = n->n_named };
    args.pos = arena_array(&r->arena, n->n_items + 1, sizeof *args.pos);
    args.named = arena_array(&r->arena, n->n_named + 2, sizeof *args.named); /* one more for {% call %} */
    for (size_t i = 0; i < n->n_items; i++)
        args.pos[i] = eval(r, n->items[i]);
    for (size_t i = 0; i < n->n_named; i++)
        args.named[i] = (struct pair){ v_string(n->named[i].name), eval(r, n->named[i].value) };
    if (n->b && !r->failed)
        spread_list(r, eval(r, n->b), &args);
    if (n->c && !r->failed)
        spread_dict(r, eval(r, n->c), &args);
    return args;
}

/* Which of "width first blank" a name is, or -1. */
static int param_index(const char *params, struct str name)
{
    struct str rest = str_from(params);
    for (int i = 0; rest.len; i++) {
        size_t end = str_find(rest, STR(" "));
        if (str_eq(str_slice(rest, 0, end), name))
            return i;
        rest = end == SIZE_MAX ? STR("") : str_slice(rest, end + 1, rest.len);
    }
    return -1;
}

static size_t count_params(const char *params)
{
    size_t count = *params != '\0';
    for (; *params; params++)
        count += *params == ' ';
    return count;
}

struct value call_builtin(struct render *r, const struct builtin *f, struct value self,
                          const struct args *args)
{
    struct value bound[PARAMS_MAX] = { { .kind = V_ABSENT } };
    if (!render_step(r, 1))
        return v_none();
    if (!f->params)
        return f->call(r, self, bound, args);
    size_t n = count_params(f->params);
    if (args->n > n)
        return render_fail(r, "%s takes at most %zu arguments, not %zu", f->name, n, args->n);
    for (size_t i = 0; i < args->n; i++)
        bound[i] = args->pos[i];
    for (size_t i = 0; i < args->n_named; i++) {
        int at = param_index(f->params, args->named[i].key.s);
        if (at < 0 || !IS(bound[at], V_ABSENT))
            return render_fail(r, "%s does not take the argument %.*s", f->name,
                               STR_ARG(args->named[i].key.s));
        bound[at] = args->named[i].value;
    }
    for (size_t i = 0; i < f->n_required; i++)
        if (IS(bound[i], V_ABSENT))
            return render_fail(r, "%s needs %zu arguments", f->name, f->n_required);
    return f->call(r, self, bound, args);
}

struct value call_value(struct render *r, struct value callee, const struct args *args)
{
    if (r->failed)
        return v_none();
    switch (callee.kind) {
    case V_MACRO: return call_macro(r, callee.macro, args);
    case V_FUNCTION: return call_builtin(r, callee.builtin, v_none(), args);
    case V_METHOD: return call_builtin(r, callee.method->builtin, callee.method->self, args);
    case V_UNDEFINED: return render_fail(r, "%.*s", STR_ARG(callee.s));
    default: return render_fail(r, "a %s cannot be called", type_name(callee));
    }
}

struct value eval_filter(struct render *r, const struct node *n, struct value input)
{
    if (!n->builtin)
        return render_fail(r, "the %s \"%.*s\" is not supported", n->kind == N_TEST ? "test" : "filter",
                           STR_ARG(n->text));
    struct args args = eval_args(r, n);
    if (r->failed)
        return v_none();
    return call_builtin(r, n->builtin, input, &args);
}

struct value eval_call(struct render *r, const struct node *n, const struct pair *extra)
{
    struct value callee = eval(r, n->a);
    struct args args = eval_args(r, n);
    if (extra)
        args.named[args.n_named++] = *extra;
    return call_value(r, callee, &args);
}

/* --- the rest ----------------------------------------------------------------------------------------------------------- */

static struct value eval_list(struct render *r, const struct node *n)
{
    struct value list = list_new(r, n->kind == N_TUPLE ? V_TUPLE : V_LIST);
    for (size_t i = 0; i < n->n_items; i++)
        list_add(r, list, eval(r, n->items[i]));
    return list;
}

static struct value eval_dict(struct render *r, const struct node *n)
{
    struct value dict = dict_new(r, V_DICT);
    for (size_t i = 0; i + 1 < n->n_items && !r->failed; i += 2) {
        struct value key = eval(r, n->items[i]);
        dict_set(r, dict.dict, key, eval(r, n->items[i + 1]));
    }
    return dict;
}

/* NULL part: NULL; else the number it must be, in *slot. */
static const int64_t *eval_bound(struct render *r, const struct node *part, int64_t *slot)
{
    struct value v = part ? eval(r, part) : v_none();
    if (IS(v, V_NONE))
        return NULL;
    if (IS(v, V_INT))
        *slot = v.i;
    else
        render_fail(r, "a slice's bound is a %s", type_name(v));
    return slot;
}

static struct value eval_item(struct render *r, const struct node *n)
{
    struct value object = eval(r, n->a);
    if (n->b->kind != N_SLICE) {
        struct value key = eval(r, n->b);
        return r->failed ? key : get_item(r, object, key);
    }
    int64_t slots[3] = { 0, 0, 1 };
    const int64_t *start = eval_bound(r, n->b->a, &slots[0]);
    const int64_t *stop = eval_bound(r, n->b->b, &slots[1]);
    eval_bound(r, n->b->c, &slots[2]);
    return r->failed ? v_none() : get_slice(r, object, start, stop, slots[2]);
}

static struct value eval_concat(struct render *r, const struct node *n)
{
    struct buf text = { 0 };
    for (size_t i = 0; i < n->n_items && !r->failed; i++)
        put_str(r, eval(r, n->items[i]), &text);
    render_step(r, text.len / 64);
    return v_from_buf(r, &text);
}

static struct value eval_kind(struct render *r, const struct node *n)
{
    struct value v;
    switch (n->kind) {
    case N_CONST: return n->constant;
    case N_NAME: return lookup(r, n->name);
    case N_LIST:
    case N_TUPLE: return eval_list(r, n);
    case N_DICT: return eval_dict(r, n);
    case N_ATTR: v = eval(r, n->a); return r->failed ? v : get_attr(r, v, n->text);
    case N_ITEM: return eval_item(r, n);
    case N_CALL: return eval_call(r, n, NULL);
    case N_FILTER:
    case N_TEST: return eval_filter(r, n, eval(r, n->a));
    case N_NOT: return v_bool(!truth(eval(r, n->a)));
    case N_NEG:
    case N_POS: return eval_sign(r, n);
    case N_BINARY: v = eval(r, n->a); return eval_binary(r, n->op, v, eval(r, n->b));
    case N_CONCAT: return eval_concat(r, n);
    case N_AND: v = eval(r, n->a); return truth(v) ? eval(r, n->b) : v;
    case N_OR: v = eval(r, n->a); return truth(v) ? v : eval(r, n->b);
    case N_COMPARE: return eval_compare(r, n);
    case N_IF_EXPR:
        if (truth(eval(r, n->a)))
            return eval(r, n->b);
        if (n->c)
            return eval(r, n->c);
        return v_undefined(r, "the inline if on line %d is false and has no else", n->line);
    default: return v_none(); /* no statement is an expression */
    }
}

struct value eval(struct render *r, const struct node *n)
{
    if (!render_step(r, 1))
        return v_none();
    if (n->line)
        r->line = n->line;
    if (++r->depth > RENDER_DEPTH_MAX)
        render_fail(r, "evaluation is nested too deeply");
    struct value v = r->failed ? v_none() : eval_kind(r, n);
    r->depth--;
    return v;
}
