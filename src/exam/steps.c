/*
 * steps.c - arithmetic written out the way it is done on paper, in lines a small model can follow.
 *
 * The lines are what the bundled model is trained to write, so their form is chosen for it: one digit is
 * one token, columns go from the lowest digit up (a carry is known before it is needed), operands of
 * a sum are padded to the same length (the n-th digit stays at a fixed distance), and a line needs nothing
 * but the lines above it. Scratchpads of this kind and their effect: Lee et al., "Teaching Arithmetic
 * to Small Transformers", 2023.
 *
 * Two forms of the same columns. Full, a line each, then the result:       Compact, on one line:
 *     638+075 | 8+5=13 | 3+7+1=11 | 6+0+1=7 | 638+75=713                       638+075:13,11,7=713
 *     638-075 | 8-5=3 | 3-7+10=6 | 6-0-1=5 | 638-75=563                        638-075:3,6b,5=563
 *     638*7   | 8*7=56 | 3*7+5=26 | 6*7+2=44 | 638*7=4466                      638*7:56,26,44=4466
 *
 * Invariant: every line is exact, save a planted slip (see effort.c).
 */
#include "exam/exam_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MAX 192 /* two operands and their columns, 18 digits each */

enum form { INLINE, COMPACT, FULL };

/* The left side of a line while it is put together. */
struct head {
    char text[HEAD_MAX];
    int len;
};

static void PRINTF_LIKE(2, 3) head_put(struct head *h, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    h->len += vsnprintf(h->text + h->len, (size_t)(HEAD_MAX - h->len), fmt, ap);
    va_end(ap);
}

int digits_of(int64_t n)
{
    int count = 1;
    for (n = n < 0 ? -n : n; n >= 10; n /= 10)
        count++;
    return count;
}

int64_t random_digits(struct rng *rng, int digits)
{
    int64_t low = 1;
    for (int i = 1; i < digits; i++)
        low *= 10;
    return rng_range(rng, digits == 1 ? 0 : low, low * 10 - 1);
}

int64_t gcd_of(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

int64_t apply_op(char op, int64_t a, int64_t b)
{
    return op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : a / b;
}

/* Wrong the way people are: one digit is off by one or two. The sign and the number of digits stay. */
static int64_t slip_of(struct rng *rng, int64_t value)
{
    int64_t size = llabs(value), place = 1;
    for (int k = (int)rng_below(rng, (uint64_t)digits_of(size)); k > 0; k--)
        place *= 10;
    int64_t digit = size / place % 10, off = rng_range(rng, 1, 2);
    int64_t least = size / place < 10 ? 1 : 0; /* a leading digit does not vanish */
    bool down = digit - off >= least && (digit + off > 9 || rng_below(rng, 2));
    size += (down ? -off : digit + off > 9 ? 1 - digit : off) * place;
    if (size == llabs(value))
        size += place; /* a one cannot become another one */
    return value < 0 ? -size : size;
}

/* True when the step about to be written is the one to go wrong. */
static bool slips_here(struct exam_text *t, struct buf *out)
{
    return out == t->trace && t->lines++ == t->slip_at;
}

int64_t steps_line(struct exam_text *t, struct buf *out, int64_t value, const char *fmt, ...)
{
    struct head h = { .len = 0 };
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(h.text, sizeof h.text, fmt, ap);
    va_end(ap);
    if (slips_here(t, out)) {
        int64_t wrong = slip_of(t->rng, value);
        buf_printf(out, "%s=%lld\n", h.text, (long long)wrong);
        if (t->miss)
            return wrong;
        buf_puts(out, "wait\n");
    }
    buf_printf(out, "%s=%lld\n", h.text, (long long)value);
    return value;
}

/* "a/b=QrR": quotient and remainder. */
static int64_t rest_line(struct exam_text *t, struct buf *out, int64_t a, int64_t b, int64_t whole,
                         int64_t rest)
{
    if (slips_here(t, out)) {
        int64_t wrong = slip_of(t->rng, whole);
        buf_printf(out, "%lld/%lld=%lldr%lld\n", (long long)a, (long long)b, (long long)wrong,
                   (long long)rest);
        if (t->miss)
            return wrong;
        buf_puts(out, "wait\n");
    }
    buf_printf(out, "%lld/%lld=%lldr%lld\n", (long long)a, (long long)b, (long long)whole, (long long)rest);
    return whole;
}

static int64_t result_line(struct exam_text *t, struct buf *out, int64_t a, char op, int64_t b, int64_t value)
{
    return steps_line(t, out, value, b < 0 ? "%lld%c(%lld)" : "%lld%c%lld", (long long)a, op, (long long)b);
}

static int wider(int64_t a, int64_t b)
{
    int x = digits_of(a), y = digits_of(b);
    return x > y ? x : y;
}

static void head_padded(struct head *h, int64_t a, char op, int64_t b)
{
    int width = wider(a, b);
    head_put(h, "%0*lld%c%0*lld", width, (long long)a, op, width, (long long)b);
}

static bool is_compact(const struct exam_text *t, const struct buf *out)
{
    return t->effort == EXAM_LOW || out == t->recheck;
}

static enum form columns_form(const struct exam_text *t, const struct buf *out, bool columns)
{
    return !columns ? INLINE : is_compact(t, out) ? COMPACT : FULL;
}

/* One column of a sum or difference: its text for the full form, and its value. */
struct column {
    struct head text;
    int value;
    bool marked; /* borrowed from the next column */
};

static void add_column(struct column *c, int x, int y, int *carry)
{
    c->value = x + y + *carry;
    c->marked = false;
    head_put(&c->text, "%d+%d%s", x, y, *carry ? "+1" : "");
    *carry = c->value >= 10;
}

static void sub_column(struct column *c, int x, int y, int *carry)
{
    c->marked = x < y + *carry;
    c->value = x - y - *carry + (c->marked ? 10 : 0);
    head_put(&c->text, "%d-%d%s%s", x, y, *carry ? "-1" : "", c->marked ? "+10" : "");
    *carry = c->marked;
}

static int64_t two_rows(struct exam_text *t, struct buf *out, char op, int64_t a, int64_t b, enum form form)
{
    struct head row = { .len = 0 };
    int carry = 0;
    int64_t value = apply_op(op, a, b);
    if (form == INLINE)
        return result_line(t, out, a, op, b, value);
    head_padded(&row, a, op, b);
    if (form == FULL)
        buf_printf(out, "%s\n", row.text);
    for (int64_t x = a, y = b, first = 1; x || y || first; x /= 10, y /= 10, first = 0) {
        struct column c = { .value = 0 };
        (op == '+' ? add_column : sub_column)(&c, (int)(x % 10), (int)(y % 10), &carry);
        if (form == FULL)
            steps_line(t, out, c.value, "%s", c.text.text);
        else
            head_put(&row, "%c%d%s", first ? ':' : ',', c.value, c.marked ? "b" : "");
    }
    if (form == COMPACT)
        return steps_line(t, out, value, "%s", row.text);
    return result_line(t, out, a, op, b, value);
}

int64_t steps_add(struct exam_text *t, struct buf *out, int64_t a, int64_t b, bool columns)
{
    return two_rows(t, out, '+', a, b, columns_form(t, out, columns));
}

int64_t steps_sub(struct exam_text *t, struct buf *out, int64_t a, int64_t b, bool columns)
{
    return two_rows(t, out, '-', a, b, columns_form(t, out, columns));
}

/* a times one digit, column by column with the carry written out. */
static int64_t mul_digit(struct exam_text *t, struct buf *out, int64_t a, int digit, enum form form)
{
    struct head row = { .len = 0 };
    int carry = 0;
    if (a < 10 || digit < 2 || form == INLINE)
        return result_line(t, out, a, '*', digit, a * digit);
    head_put(&row, "%lld*%d", (long long)a, digit);
    for (int64_t x = a, first = 1; x; x /= 10, first = 0) {
        int value = (int)(x % 10) * digit + carry;
        if (form == COMPACT)
            head_put(&row, "%c%d", first ? ':' : ',', value);
        else if (carry)
            steps_line(t, out, value, "%d*%d+%d", (int)(x % 10), digit, carry);
        else
            steps_line(t, out, value, "%d*%d", (int)(x % 10), digit);
        carry = value / 10;
    }
    if (form == COMPACT)
        return steps_line(t, out, a * digit, "%s", row.text);
    return result_line(t, out, a, '*', digit, a * digit);
}

/* The digits of b that are not zero, each with its place value; lowest first or highest first. */
static int places_of(int64_t b, bool high_first, int64_t places[static 20])
{
    int count = 0;
    for (int64_t place = 1; b; b /= 10, place *= 10)
        if (b % 10)
            places[count++] = b % 10 * place;
    for (int i = 0; high_first && i < count / 2; i++) {
        int64_t swap = places[i];
        places[i] = places[count - 1 - i];
        places[count - 1 - i] = swap;
    }
    return count;
}

static int64_t products(struct exam_text *t, struct buf *out, int64_t a, int64_t b, enum form form)
{
    int64_t places[20], total = 0;
    int count = places_of(b, rng_below(t->rng, 2), places);
    for (int i = 0; i < count; i++) {
        int64_t digit = places[i];
        while (digit % 10 == 0)
            digit /= 10;
        int64_t part = mul_digit(t, out, a, (int)digit, form);
        if (places[i] >= 10)
            part = result_line(t, out, a, '*', places[i], a * places[i]);
        total = i ? two_rows(t, out, '+', total, part, form) : part;
    }
    return count > 1 ? result_line(t, out, a, '*', b, a * b) : total;
}

int64_t steps_mul(struct exam_text *t, struct buf *out, int64_t a, int64_t b, bool columns)
{
    enum form form = columns_form(t, out, columns);
    /* the shorter one gives the rows; the other derivation takes them from the longer */
    bool turn = t->route && a >= 10 && b >= 10 ? digits_of(a) >= digits_of(b) : digits_of(a) < digits_of(b);
    if (turn) {
        int64_t swap = a;
        a = b;
        b = swap;
    }
    if (columns && b >= 10)
        buf_printf(out, "%lld*%lld\n", (long long)a, (long long)b);
    if (a == 0 || b == 0)
        return result_line(t, out, a, '*', b, 0);
    return b < 10 ? mul_digit(t, out, a, (int)b, form) : products(t, out, a, b, form);
}

int64_t steps_places(struct exam_text *t, struct buf *out, char op, int64_t a, int64_t b)
{
    int64_t places[20];
    int count = places_of(b, true, places);
    if (count == 0)
        return result_line(t, out, a, op, 0, a);
    for (int i = 0; i < count; i++)
        a = two_rows(t, out, op, a, places[i], a < 10 && places[i] < 10 ? INLINE : COMPACT);
    return a;
}

static bool is_power_of_ten(int64_t n)
{
    while (n >= 10 && n % 10 == 0)
        n /= 10;
    return n == 1;
}

bool steps_easy(char op, int64_t a, int64_t b)
{
    bool both = a >= 10 && b >= 10;
    if (op == '*')
        return (a < 10 && b < 10) || a == 0 || b == 0 || is_power_of_ten(a) || is_power_of_ten(b);
    if (op == '/')
        return b == 1 || (b < 10 && a / b < 10) || a == 0 || a == b || is_power_of_ten(b);
    return !both && wider(a, b) < 3;
}

int64_t steps_apply(struct exam_text *t, struct buf *out, char op, int64_t a, int64_t b)
{
    int64_t rest;
    bool full = !is_compact(t, out) && wider(a, b) >= 3;
    if (steps_easy(op, a, b))
        return result_line(t, out, a, op, b, apply_op(op, a, b));
    switch (op) {
    case '+':
    case '-': return two_rows(t, out, op, a, b, full ? FULL : COMPACT);
    case '*':
        if (a >= 10 && b >= 10)
            return steps_mul(t, out, a, b, true);
        return mul_digit(t, out, a < b ? b : a, (int)(a < b ? a : b), full ? FULL : COMPACT);
    default: return steps_div(t, out, a, b, &rest);
    }
}

int64_t steps_signed(struct exam_text *t, struct buf *out, char op, int64_t a, int64_t b)
{
    int64_t x = llabs(a), y = llabs(b), value;
    if (a >= 0 && b >= 0 && (op != '-' || a >= b))
        return steps_apply(t, out, op, a, b);
    if (op == '*' || op == '/') {
        value = steps_apply(t, out, op, x, y);
        return result_line(t, out, a, op, b, (a < 0) != (b < 0) ? -value : value);
    }
    if (op == '+' && (a < 0) != (b < 0)) { /* -3+5 = 5-3, 5+(-3) = 5-3 */
        int64_t plus = a < 0 ? b : a, minus = a < 0 ? x : y;
        buf_printf(out, a < 0 ? "%lld+%lld=%lld-%lld\n" : "%lld+(%lld)=%lld-%lld\n", (long long)a,
                   (long long)b, (long long)plus, (long long)minus);
        return steps_signed(t, out, '-', plus, minus);
    }
    if (op == '-' && b < 0) { /* a-(-3) = a+3 */
        buf_printf(out, "%lld-(%lld)=%lld+%lld\n", (long long)a, (long long)b, (long long)a, (long long)y);
        return steps_signed(t, out, '+', a, y);
    }
    /* the result is negative: -3-5 and -3+(-5) are -(3+5), 3-5 is -(5-3) */
    char inner = a < 0 ? '+' : '-';
    int64_t first = a < 0 ? x : y, second = a < 0 ? y : x;
    buf_printf(out, b < 0 ? "%lld%c(%lld)=-(%lld%c%lld)\n" : "%lld%c%lld=-(%lld%c%lld)\n", (long long)a, op,
               (long long)b, (long long)first, inner, (long long)second);
    value = steps_apply(t, out, inner, first, second);
    return result_line(t, out, a, op, b, -value);
}

int64_t steps_power(struct exam_text *t, struct buf *out, int64_t a, int exponent)
{
    int64_t value = a;
    for (int i = 2; i <= exponent; i++)
        value = steps_apply(t, out, '*', value, a);
    return value;
}

/* --- division --- */

/* b times the digit tried; a first try that is one too high or too low is corrected, as people do. The
 * nearer the true quotient is to the next digit, the likelier the wrong one is tried. */
static int64_t try_digit(struct exam_text *t, struct buf *out, int64_t part, int64_t b)
{
    int64_t digit = part / b, over = part % b;
    bool full = !is_compact(t, out) && b >= 100;
    if (digit < 9 && over * 3 > b * 2 && rng_below(t->rng, 4) == 0) {
        int64_t much = mul_digit(t, out, b, (int)digit + 1, full ? FULL : COMPACT);
        buf_printf(out, "%lld>%lld\n", (long long)much, (long long)part);
    } else if (digit > 1 && over * 4 < b && rng_below(t->rng, 8) == 0) {
        int64_t few = mul_digit(t, out, b, (int)digit - 1, full ? FULL : COMPACT);
        int64_t left = steps_apply(t, out, '-', part, few);
        buf_printf(out, "%lld>=%lld\n", (long long)left, (long long)b);
    }
    int64_t product = mul_digit(t, out, b, (int)digit, full ? FULL : COMPACT);
    return steps_apply(t, out, '-', part, product);
}

static int split_digits(int64_t a, int digits[static 20])
{
    int count = 0;
    do {
        digits[count++] = (int)(a % 10);
        a /= 10;
    } while (a);
    return count;
}

/* By one digit: every digit of a gives one line, "16/3=5r1"; the remainder goes before the next digit. */
static int64_t short_division(struct exam_text *t, struct buf *out, int64_t a, int64_t b, int64_t *rest)
{
    int digits[20], count = split_digits(a, digits);
    struct head row = { .len = 0 };
    int part = 0, divisor = (int)b;
    bool compact = is_compact(t, out);
    *rest = a % b;
    if (a < b * 10) /* one digit of the quotient is one line */
        return rest_line(t, out, a, b, a / b, *rest);
    head_put(&row, "%lld/%d", (long long)a, divisor);
    if (!compact)
        buf_printf(out, "%s\n", row.text);
    for (int i = count - 1; i >= 0; i--) {
        part = part * 10 + digits[i];
        if (compact)
            head_put(&row, "%c%dr%d", i == count - 1 ? ':' : ',', part / divisor, part % divisor);
        else
            buf_printf(out, i == count - 1 ? "%d/%d=%dr%d\n" : "%02d/%d=%dr%d\n", part, divisor,
                       part / divisor, part % divisor);
        part %= divisor;
    }
    if (!compact)
        return rest_line(t, out, a, b, a / b, *rest);
    if (slips_here(t, out)) {
        int64_t wrong = slip_of(t->rng, a / b);
        buf_printf(out, "%s=%lldr%lld\n", row.text, (long long)wrong, (long long)*rest);
        if (t->miss)
            return wrong;
        buf_puts(out, "wait\n");
    }
    buf_printf(out, "%s=%lldr%lld\n", row.text, (long long)(a / b), (long long)*rest);
    return a / b;
}

/* By more digits: "a/b", then the parts of a from the left, each "part/b", the products tried, the difference and
 * "part/b=QrR". whole: the quotient is wanted, so each part is closed by that line. */
static int64_t long_division(struct exam_text *t, struct buf *out, int64_t a, int64_t b, bool whole)
{
    int digits[20], count = split_digits(a, digits);
    int64_t part = 0;
    int left = count, wide = digits_of(b);
    for (int i = 0; i < wide && left; i++)
        part = part * 10 + digits[--left];
    if (part < b && left) /* no digit of the quotient yet */
        part = part * 10 + digits[--left];
    buf_printf(out, "%lld/%lld\n", (long long)a, (long long)b);
    for (;; part = part * 10 + digits[--left]) {
        int64_t rest = part;
        if (part >= b) {
            if (part != a)
                buf_printf(out, "%lld/%lld\n", (long long)part, (long long)b);
            rest = try_digit(t, out, part, b);
        }
        if (part < b || (whole && part != a))
            rest_line(t, out, part, b, part / b, part % b);
        part = rest;
        if (!left)
            return part;
    }
}

int64_t steps_div(struct exam_text *t, struct buf *out, int64_t a, int64_t b, int64_t *rest)
{
    if (b < 10)
        return short_division(t, out, a, b, rest);
    if (a >= b)
        long_division(t, out, a, b, true);
    *rest = a % b;
    return rest_line(t, out, a, b, a / b, *rest);
}

int64_t steps_mod(struct exam_text *t, struct buf *out, int64_t a, int64_t b)
{
    int64_t rest;
    if (b < 10) {
        short_division(t, out, a, b, &rest);
        return rest;
    }
    if (a < b) {
        rest_line(t, out, a, b, 0, a);
        return a;
    }
    return long_division(t, out, a, b, false);
}

/* --- greatest common divisor --- */

/* Euclid: "a/b" and the remainder, until nothing is left. */
static int64_t euclid(struct exam_text *t, struct buf *out, int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        steps_mod(t, out, a, b);
        a = b;
        b = rest;
    }
    return a;
}

/* The other way: small factors that both share are taken out first. */
static int64_t common_factors(struct exam_text *t, struct buf *out, int64_t *a, int64_t *b)
{
    static const int primes[] = { 2, 3, 5, 7 };
    int64_t taken = 1;
    for (size_t i = 0; i < ARRAY_LEN(primes); i++)
        while (*a % primes[i] == 0 && *b % primes[i] == 0) {
            *a = steps_apply(t, out, '/', *a, primes[i]);
            *b = steps_apply(t, out, '/', *b, primes[i]);
            taken *= primes[i];
        }
    return taken;
}

int64_t steps_gcd(struct exam_text *t, struct buf *out, int64_t a, int64_t b)
{
    int64_t taken = 1;
    if (a < b) {
        int64_t swap = a;
        a = b;
        b = swap;
    }
    struct exam_text quiet = *t; /* a wrong quotient here would change which numbers go on */
    quiet.slip_at = -1;
    if (t->route)
        taken = common_factors(&quiet, out, &a, &b);
    int64_t g = euclid(t, out, a, b);
    if (taken > 1)
        return g > 1 ? steps_apply(t, out, '*', taken, g) : taken;
    return g;
}

/* --- checks --- */

void check_begin(struct buf *out)
{
    buf_puts(out, "check\n");
}

void check_equal(struct buf *out, int64_t got, int64_t want)
{
    if (got == want)
        buf_puts(out, "ok\n");
    else
        buf_printf(out, "no: %lld, not %lld\n", (long long)got, (long long)want);
}

/* The remainder of n by 9 is that of the sum of its digits. */
static int put_mod9(struct buf *out, int64_t n)
{
    int sum = 0;
    for (int64_t x = n; x; x /= 10)
        sum += (int)(x % 10);
    buf_printf(out, "%lld:%d,%d\n", (long long)n, sum, sum % 9);
    return sum % 9;
}

void steps_check(struct exam_text *t, struct buf *out, char op, int64_t a, int64_t b, int64_t result)
{
    int64_t rest = 0, back;
    check_begin(out);
    switch (op) {
    case '+': check_equal(out, steps_signed(t, out, '-', result, b), a); return;
    case '-': check_equal(out, steps_signed(t, out, '+', result, b), a); return;
    case '*':
        if (a < 100 && b < 10 && b > 0) {
            back = steps_div(t, out, result, b, &rest);
            check_equal(out, rest ? rest : back, rest ? 0 : a);
            return;
        }
        back = put_mod9(out, a);
        back *= put_mod9(out, b);
        buf_printf(out, "%lld*%lld=%lld,%lld\n", (long long)(a % 9), (long long)(b % 9), (long long)back,
                   (long long)(back % 9));
        check_equal(out, put_mod9(out, result), back % 9);
        return;
    default: check_equal(out, steps_apply(t, out, '*', result, b), a); return;
    }
}

/* --- questions and answers --- */

void put_binary(struct rng *rng, struct buf *out, int64_t a, char op, int64_t b)
{
    static const char *const times[] = { "*", "*", "*", "x", "\xc3\x97" };
    static const char *const over[] = { "/", "/", "/", "\xc3\xb7", ":" };
    const char *sign = op == '*'   ? times[rng_below(rng, ARRAY_LEN(times))]
                       : op == '/' ? over[rng_below(rng, ARRAY_LEN(over))]
                       : op == '+' ? "+"
                                   : "-";
    const char *gap = rng_below(rng, 5) < 3 ? " " : "";
    const char *open = b < 0 && (!*gap || rng_below(rng, 4)) ? "(" : "", *close = *open ? ")" : "";
    buf_printf(out, "%lld%s%s%s%s%lld%s", (long long)a, gap, sign, gap, open, (long long)b, close);
}

void put_term(struct buf *out, int64_t factor, char name)
{
    if (factor == 1)
        buf_putc(out, name);
    else if (factor == -1)
        buf_printf(out, "-%c", name);
    else
        buf_printf(out, "%lld%c", (long long)factor, name);
}

void put_const(struct buf *out, int64_t value, const char *gap)
{
    if (value)
        buf_printf(out, "%s%c%s%lld", gap, value < 0 ? '-' : '+', gap, (long long)llabs(value));
}

void put_whole(struct buf *out, int64_t value)
{
    buf_printf(out, "%lld", (long long)value);
}

void answer_put(struct exam_text *t, const char *fmt, ...)
{
    char text[128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_puts(t->answer, text);
    buf_printf(t->visible, "Answer: %s", text);
}

void answer_int(struct exam_text *t, int64_t value)
{
    answer_put(t, "%lld", (long long)value);
}
