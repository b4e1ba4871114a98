/*
 * template_test.c - what may stand behind "is", and the functions a template can call by name.
 */
#include "base/clock.h"
#include "text/template_impl.h"

#include <string.h>
#include <time.h>

#define TEST(name)                                                                                           \
    static struct value name(struct render *r, struct value self, const struct value *arg,                   \
                             const struct args *args)

/* A test of one value, as an expression of `self`. */
#define SIMPLE_TEST(name, expression)                                                                        \
    TEST(name)                                                                                               \
    {                                                                                                        \
        (void)r, (void)arg, (void)args;                                                                      \
        return v_bool(expression);                                                                           \
    }

SIMPLE_TEST(test_defined, !IS(self, V_UNDEFINED))
SIMPLE_TEST(test_undefined, IS(self, V_UNDEFINED))
SIMPLE_TEST(test_none, IS(self, V_NONE))
SIMPLE_TEST(test_boolean, IS(self, V_BOOL))
SIMPLE_TEST(test_true, IS(self, V_BOOL) && self.b)
SIMPLE_TEST(test_false, IS(self, V_BOOL) && !self.b)
SIMPLE_TEST(test_integer, IS(self, V_INT))
SIMPLE_TEST(test_float, IS(self, V_FLOAT))
SIMPLE_TEST(test_number, is_number(self))
SIMPLE_TEST(test_string, IS(self, V_STRING))
SIMPLE_TEST(test_mapping, IS(self, V_DICT))
SIMPLE_TEST(test_escaped, IS(self, V_STRING) && self.markup)
SIMPLE_TEST(test_callable, IS(self, V_MACRO) || IS(self, V_FUNCTION) || IS(self, V_METHOD))
/* Python asks for a length and for items by index, which dicts and undefined values pass too. */
SIMPLE_TEST(test_sequence, IS(self, V_STRING) || IS(self, V_LIST) || IS(self, V_TUPLE) || IS(self, V_DICT) ||
                               IS(self, V_UNDEFINED))
SIMPLE_TEST(test_iterable, IS(self, V_STRING) || IS(self, V_LIST) || IS(self, V_TUPLE) || IS(self, V_DICT) ||
                               IS(self, V_ITER) || IS(self, V_UNDEFINED) || IS(self, V_LOOP))
SIMPLE_TEST(test_equal, equal(r, self, arg[0]))
SIMPLE_TEST(test_not_equal, !equal(r, self, arg[0]))
SIMPLE_TEST(test_less, order(r, self, arg[0]) < 0)
SIMPLE_TEST(test_less_equal, order(r, self, arg[0]) <= 0)
SIMPLE_TEST(test_greater, order(r, self, arg[0]) > 0)
SIMPLE_TEST(test_greater_equal, order(r, self, arg[0]) >= 0)
SIMPLE_TEST(test_in, contains(r, arg[0], self))
/* Identity: for what is shared by all of its kind, the same as equality of one kind. */
SIMPLE_TEST(test_same, self.kind == arg[0].kind && equal(r, self, arg[0]))
SIMPLE_TEST(test_filter, IS(self, V_STRING) && find_filter(self.s) != NULL)
SIMPLE_TEST(test_test, IS(self, V_STRING) && find_test(self.s) != NULL)

/* Python's isupper: some letter has case, and none is of the other. */
static bool has_case(struct render *r, struct value v, bool upper)
{
    struct str s = to_str(r, v);
    return str_eq(str_case(r, s, upper), s) && !str_eq(str_case(r, s, !upper), s);
}
SIMPLE_TEST(test_upper, has_case(r, self, true))
SIMPLE_TEST(test_lower, has_case(r, self, false))

static struct value divides(struct render *r, struct value v, struct value by, int64_t remainder)
{
    int64_t number = 0, divisor = 0;
    if (!int_arg(r, v, 0, &number) || !int_arg(r, by, 0, &divisor))
        return v_none();
    if (divisor == 0)
        return render_fail(r, "division by zero");
    int64_t rest = divisor == -1 ? 0 : number % divisor;
    return v_bool((rest < 0 ? -rest : rest) == remainder);
}

TEST(test_divisible)
{
    (void)args;
    return divides(r, self, arg[0], 0);
}

TEST(test_even)
{
    (void)arg, (void)args;
    return divides(r, self, v_int(2), 0);
}

TEST(test_odd)
{
    (void)arg, (void)args;
    return divides(r, self, v_int(2), 1);
}

static const struct builtin tests[] = {
    { "!=", "other", 1, test_not_equal },
    { "<", "other", 1, test_less },
    { "<=", "other", 1, test_less_equal },
    { "==", "other", 1, test_equal },
    { ">", "other", 1, test_greater },
    { ">=", "other", 1, test_greater_equal },
    { "boolean", "", 0, test_boolean },
    { "callable", "", 0, test_callable },
    { "defined", "", 0, test_defined },
    { "divisibleby", "num", 1, test_divisible },
    { "eq", "other", 1, test_equal },
    { "equalto", "other", 1, test_equal },
    { "escaped", "", 0, test_escaped },
    { "even", "", 0, test_even },
    { "false", "", 0, test_false },
    { "filter", "", 0, test_filter },
    { "float", "", 0, test_float },
    { "ge", "other", 1, test_greater_equal },
    { "greaterthan", "other", 1, test_greater },
    { "gt", "other", 1, test_greater },
    { "in", "seq", 1, test_in },
    { "integer", "", 0, test_integer },
    { "iterable", "", 0, test_iterable },
    { "le", "other", 1, test_less_equal },
    { "lessthan", "other", 1, test_less },
    { "lower", "", 0, test_lower },
    { "lt", "other", 1, test_less },
    { "mapping", "", 0, test_mapping },
    { "ne", "other", 1, test_not_equal },
    { "none", "", 0, test_none },
    { "number", "", 0, test_number },
    { "odd", "", 0, test_odd },
    { "sameas", "other", 1, test_same },
    { "sequence", "", 0, test_sequence },
    { "string", "", 0, test_string },
    { "test", "", 0, test_test },
    { "true", "", 0, test_true },
    { "undefined", "", 0, test_undefined },
    { "upper", "", 0, test_upper },
};

const struct builtin *find_test(struct str name)
{
    return find_row(tests, ARRAY_LEN(tests), name);
}

/* --- functions ----------------------------------------------------------------------------------------------------- */

TEST(function_raise)
{
    (void)self, (void)args;
    struct str message = to_str(r, arg[0]);
    if (!r->failed)
        err_set(r->err, ERR_INVALID_VALUE, NULL, "%.*s", STR_ARG(message));
    r->failed = true;
    return v_none();
}

TEST(function_range)
{
    (void)self, (void)args;
    int64_t start = 0, stop = 0, step = 1;
    bool one = IS(arg[1], V_ABSENT);
    if (!int_arg(r, one ? v_int(0) : arg[0], 0, &start) || !int_arg(r, one ? arg[0] : arg[1], 0, &stop) ||
        !int_arg(r, arg[2], 1, &step))
        return v_none();
    if (step == 0)
        return render_fail(r, "range's step cannot be zero");
    struct value list = list_new(r, V_LIST);
    for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
        if (list.list->n == RANGE_MAX)
            return render_fail(r, "range gives more than %d numbers", RANGE_MAX);
        list_add(r, list, v_int(i));
        if (__builtin_add_overflow(i, step, &i))
            break;
    }
    render_step(r, list.list->n);
    return list;
}

/* dict(other, a=1), namespace(other, a=1) */
static struct value make_dict(struct render *r, const struct args *args, enum value_kind kind)
{
    struct value d = dict_new(r, kind);
    if (args->n > 1)
        return render_fail(r, "a dict is made of one value and names");
    struct value from = args->n ? args->pos[0] : (struct value){ .kind = V_UNDEFINED };
    const struct list *items = IS(from, V_DICT) ? list_new(r, V_LIST).list : iterate(r, from);
    for (size_t i = 0; IS(from, V_DICT) && i < from.dict->n; i++)
        dict_set(r, d.dict, from.dict->pairs[i].key, from.dict->pairs[i].value);
    for (size_t i = 0; i < items->n && !r->failed; i++) {
        const struct list *pair = iterate(r, items->items[i]);
        if (pair->n != 2)
            return render_fail(r, "a dict is made of pairs");
        dict_set(r, d.dict, pair->items[0], pair->items[1]);
    }
    for (size_t i = 0; i < args->n_named; i++)
        dict_set(r, d.dict, args->named[i].key, args->named[i].value);
    return d;
}

TEST(function_dict)
{
    (void)self, (void)arg;
    return make_dict(r, args, V_DICT);
}

TEST(function_namespace)
{
    (void)self, (void)arg;
    return make_dict(r, args, V_NAMESPACE);
}

TEST(function_strftime)
{
    (void)self, (void)args;
    char format[128], text[512];
    struct str s = to_str(r, arg[0]);
    if (s.len >= sizeof format)
        return render_fail(r, "strftime_now's format is too long");
    memcpy(format, s.ptr ? s.ptr : "", s.len);
    format[s.len] = '\0';
    time_t now = (time_t)clock_wall_s();
    struct tm tm;
    size_t len = localtime_r(&now, &tm) ? strftime(text, sizeof text, format, &tm) : 0;
    return v_string(arena_str(&r->arena, (struct str){ text, len }));
}

static const struct builtin functions[] = {
    { "dict", NULL, 0, function_dict },
    { "namespace", NULL, 0, function_namespace },
    { "raise_exception", "message", 1, function_raise },
    { "range", "start stop step", 1, function_range },
    { "strftime_now", "format", 1, function_strftime },
};

const struct builtin *find_function(struct str name)
{
    return find_row(functions, ARRAY_LEN(functions), name);
}
