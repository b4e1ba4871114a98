/*
 * marks.c - marking answers that are more than one number: solutions with names, sets, fractions in lowest terms,
 * products of primes, numerals of other bases, and expressions that must reach a target.
 *
 * Any equivalent form is right: order, signs and words around do not count where the mathematics does not mind.
 */
#include "exam/exam_impl.h"

#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 24

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The whole numbers in a text, each with the letter that "=" or "is" gave it to (0: none). */
struct named {
    int64_t value;
    char name;
};

static int read_numbers(struct str s, struct named out[static PARTS_MAX])
{
    int count = 0;
    char name = 0;
    for (size_t i = 0; i < s.len && count < PARTS_MAX; i++) {
        if (is_letter(s.ptr[i])) {
            bool alone = (i == 0 || !is_letter(s.ptr[i - 1])) && (i + 1 == s.len || !is_letter(s.ptr[i + 1]));
            name = alone ? s.ptr[i] : name;
            continue;
        }
        if (!is_digit(s.ptr[i]))
            continue;
        bool minus = i > 0 && s.ptr[i - 1] == '-';
        minus |= i > 2 && !memcmp(s.ptr + i - 3, "\xe2\x88\x92", 3);
        size_t end = i;
        int64_t value = 0;
        while (end < s.len && is_digit(s.ptr[end]) && end - i < 17)
            value = value * 10 + (s.ptr[end++] - '0');
        out[count++] = (struct named){ minus ? -value : value, name };
        name = 0;
        i = end - 1;
    }
    return count;
}

/* "x=3, y=-2" in any order; without letters, in the order of the question. */
bool check_named(struct str reply, struct str answer)
{
    struct named given[PARTS_MAX], want[PARTS_MAX];
    int n = read_numbers(answer, want);
    if (read_numbers(exam_extract(reply), given) != n)
        return false;
    for (int i = 0; i < n; i++) {
        int at = i;
        for (int k = 0; k < n && given[i].name; k++)
            if (want[k].name == given[i].name)
                at = k;
        if (given[i].name && want[at].name != given[i].name)
            return false;
        if (given[i].value != want[at].value)
            return false;
    }
    return true;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = ((const struct named *)a)->value, y = ((const struct named *)b)->value;
    return (x > y) - (x < y);
}

static int distinct(struct str s, struct named out[static PARTS_MAX])
{
    int n = read_numbers(s, out), kept = 0;
    qsort(out, (size_t)n, sizeof *out, by_value);
    for (int i = 0; i < n; i++)
        if (i == 0 || out[i].value != out[kept - 1].value)
            out[kept++] = out[i];
    return kept;
}

/* The same whole numbers in any order, however often each is named. */
bool check_set(struct str reply, struct str answer)
{
    struct named given[PARTS_MAX], want[PARTS_MAX];
    int n = distinct(answer, want);
    if (distinct(exam_extract(reply), given) != n)
        return false;
    for (int i = 0; i < n; i++)
        if (given[i].value != want[i].value)
            return false;
    return n > 0;
}

/* "2 5/11" becomes 27/11; false for anything else. */
static bool read_mixed(struct str s, struct buf *improper)
{
    struct named parts[PARTS_MAX];
    size_t space = str_find(s, STR(" ")), slash = str_find(s, STR("/"));
    if (space == SIZE_MAX || slash == SIZE_MAX || slash < space || read_numbers(s, parts) != 3)
        return false;
    int64_t whole = parts[0].value, num = parts[1].value, den = parts[2].value;
    if (den <= 0 || num >= den || llabs(whole) > 1000000 || den > 1000000)
        return false;
    buf_printf(improper, "%lld/%lld", (long long)(whole * den + (whole < 0 ? -num : num)), (long long)den);
    return true;
}

/* An equal value; where the answer says so, its fraction must be in lowest terms. */
bool check_fraction(struct str reply, struct str answer)
{
    struct named parts[PARTS_MAX];
    struct str given = exam_extract(reply);
    bool lowest = str_ends(answer, STR(LOWEST_TERMS));
    if (lowest)
        answer = str_slice(answer, 0, answer.len - strlen(LOWEST_TERMS));
    struct buf improper = { 0 };
    bool same = given.len > 0 && exam_same(read_mixed(given, &improper) ? buf_str(&improper) : given, answer);
    buf_free(&improper);
    if (!same)
        return false;
    return !lowest || read_numbers(given, parts) != 2 || gcd_of(parts[0].value, parts[1].value) == 1;
}

/* --- products of primes --- */

/* Reads "2^3 * 3 x 5" into its factors; false when it is not a product. */
static bool read_product(struct str s, struct named out[static PARTS_MAX], int *count)
{
    const char *at = s.ptr, *end = s.ptr + s.len;
    *count = 0;
    while (at < end) {
        if (*at == ' ' || *at == '*' || *at == 'x' || *at == '.' || *at == '$' ||
            (unsigned char)*at >= 0x80) { /* the signs of multiplication */
            at++;
            continue;
        }
        if (!is_digit(*at))
            return false;
        int64_t prime = 0, power = 1;
        for (; at < end && is_digit(*at) && prime < 1000000000; at++)
            prime = prime * 10 + (*at - '0');
        if (at + 1 < end && *at == '^') {
            bool brace = *++at == '{';
            at += brace;
            for (power = 0; at < end && is_digit(*at) && power < 100; at++)
                power = power * 10 + (*at - '0');
            at += brace && at < end;
        }
        for (; power > 0; power--) {
            if (*count == PARTS_MAX)
                return false;
            out[(*count)++].value = prime;
        }
    }
    return *count > 0;
}

static bool is_power_product(struct str s)
{
    return str_find(s, STR("*")) != SIZE_MAX || str_find(s, STR("^")) != SIZE_MAX;
}

/* The same factors in any order and grouping; other answers (yes, no, a number) as usual. */
bool check_product(struct str reply, struct str answer)
{
    struct named given[PARTS_MAX], want[PARTS_MAX];
    int n, m;
    struct str said = exam_extract(reply);
    if (!is_power_product(answer))
        return check_number(reply, answer);
    size_t equals = str_find(said, STR("=")); /* "12 = 2^2*3" */
    if (equals != SIZE_MAX)
        said = str_slice(said, equals + 1, said.len);
    if (!read_product(answer, want, &m) || !read_product(said, given, &n) || n != m)
        return false;
    qsort(given, (size_t)n, sizeof *given, by_value);
    qsort(want, (size_t)m, sizeof *want, by_value);
    for (int i = 0; i < n; i++)
        if (given[i].value != want[i].value)
            return false;
    return true;
}

/* --- numerals --- */

/* Without what may stand around a numeral: a prefix, leading zeros, the base behind it. */
static struct str bare_numeral(struct str s)
{
    s = str_trim(s);
    while (s.len && (s.ptr[s.len - 1] == '.' || s.ptr[s.len - 1] == '$'))
        s.len--;
    size_t base = str_find(s, STR("_"));
    if (base != SIZE_MAX)
        s.len = base;
    size_t space = str_find(s, STR(" "));
    if (space != SIZE_MAX)
        s.len = space;
    if (s.len > 2 && s.ptr[0] == '0' && strchr("xXbBoO", s.ptr[1]))
        s = str_slice(s, 2, s.len);
    while (s.len > 1 && s.ptr[0] == '0')
        s = str_slice(s, 1, s.len);
    return s;
}

bool check_numeral(struct str reply, struct str answer)
{
    struct str given = bare_numeral(exam_extract(reply));
    return given.len > 0 && str_eq_nocase(given, bare_numeral(answer));
}

/* --- expressions that reach a target --- */

struct expression {
    const char *at, *end;
    int64_t numbers[PARTS_MAX];
    int count, depth;
    bool bad;
};

struct ratio {
    int64_t num, den;
};

static struct ratio read_sum(struct expression *e);

static void skip_blanks(struct expression *e)
{
    while (e->at < e->end && *e->at == ' ')
        e->at++;
}

static struct ratio read_unit(struct expression *e)
{
    struct ratio value = { 0, 1 };
    skip_blanks(e);
    if (e->at < e->end && *e->at == '(' && e->depth < PARTS_MAX) {
        e->at++;
        e->depth++;
        value = read_sum(e);
        e->depth--;
        skip_blanks(e);
        e->bad |= e->at == e->end || *e->at != ')';
        e->at += e->at < e->end;
        return value;
    }
    if (e->at == e->end || !is_digit(*e->at) || e->count == PARTS_MAX) {
        e->bad = true;
        return value;
    }
    for (; e->at < e->end && is_digit(*e->at) && value.num < 1000000; e->at++)
        value.num = value.num * 10 + (*e->at - '0');
    e->numbers[e->count++] = value.num;
    return value;
}

/* Values beyond the limit are no honest attempt, and could overflow. */
static struct ratio bounded(struct expression *e, struct ratio v)
{
    e->bad |= v.den == 0 || llabs(v.num) > 1000000000 || llabs(v.den) > 1000000000;
    return e->bad ? (struct ratio){ 0, 1 } : v;
}

/* '*', 'x', '×', '/', '÷'; 0 when none stands here. */
static char read_times(struct expression *e)
{
    static const struct {
        const char *sign;
        char op;
    } signs[] = { { "*", '*' }, { "x", '*' }, { "\xc3\x97", '*' }, { "/", '/' }, { "\xc3\xb7", '/' } };
    skip_blanks(e);
    struct str rest = { e->at, (size_t)(e->end - e->at) };
    for (size_t i = 0; i < ARRAY_LEN(signs); i++)
        if (str_starts(rest, str_from(signs[i].sign))) {
            e->at += strlen(signs[i].sign);
            return signs[i].op;
        }
    return 0;
}

static struct ratio read_term(struct expression *e)
{
    struct ratio value = read_unit(e);
    for (char op; !e->bad && (op = read_times(e));) {
        struct ratio right = read_unit(e);
        value = bounded(e, op == '*' ? (struct ratio){ value.num * right.num, value.den * right.den }
                                     : (struct ratio){ value.num * right.den, value.den * right.num });
    }
    return value;
}

static struct ratio read_sum(struct expression *e)
{
    struct ratio value = read_term(e);
    for (skip_blanks(e); !e->bad && e->at < e->end && (*e->at == '+' || *e->at == '-'); skip_blanks(e)) {
        char op = *e->at++;
        struct ratio right = read_term(e);
        int64_t num = value.num * right.den + (op == '+' ? 1 : -1) * right.num * value.den;
        value = bounded(e, (struct ratio){ num, value.den * right.den });
    }
    return value;
}

static bool read_expression(struct str s, struct expression *e, struct ratio *value)
{
    size_t equals = str_find(s, STR("="));
    s = str_trim(equals == SIZE_MAX ? s : str_slice(s, 0, equals));
    *e = (struct expression){ .at = s.ptr, .end = s.ptr + s.len };
    *value = s.len ? read_sum(e) : (struct ratio){ 0, 0 };
    return s.len > 0 && !e->bad && e->at == e->end;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Any expression of the same value that uses the same numbers, each as often. */
bool check_expression(struct str reply, struct str answer)
{
    struct expression given, want;
    struct ratio value, target;
    if (!read_expression(answer, &want, &target) || !read_expression(exam_extract(reply), &given, &value))
        return false;
    if (given.count != want.count || value.num * target.den != target.num * value.den)
        return false;
    qsort(given.numbers, (size_t)given.count, sizeof *given.numbers, by_number);
    qsort(want.numbers, (size_t)want.count, sizeof *want.numbers, by_number);
    return memcmp(given.numbers, want.numbers, (size_t)given.count * sizeof *given.numbers) == 0;
}
