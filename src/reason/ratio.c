/*
 * ratio.c - fractions in 64 bits: exact, or refused.
 *
 * Answers are compared and arithmetic is checked by value, and a value that was rounded would make two different
 * answers one. So what does not fit is no number here, and its words stand for themselves.
 *
 * Threads: no state.
 */
#include "reason/reason_impl.h"

#include <assert.h>

#define POWER_MAX 64

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

bool ratio_make(int64_t num, int64_t den, struct ratio *out)
{
    if (den == 0 || num == INT64_MIN || den == INT64_MIN)
        return false;
    int64_t common = gcd(num, den);
    if (den < 0)
        common = -common;
    *out = (struct ratio){ num / common, den / common };
    return true;
}

static bool add(struct ratio a, struct ratio b, struct ratio *out)
{
    int64_t left, right, num, den;
    return !__builtin_mul_overflow(a.num, b.den, &left) && !__builtin_mul_overflow(b.num, a.den, &right) &&
           !__builtin_add_overflow(left, right, &num) && !__builtin_mul_overflow(a.den, b.den, &den) &&
           ratio_make(num, den, out);
}

/* Crosswise in lowest terms first, so that only a result that does not fit is refused. */
static bool multiply(struct ratio a, struct ratio b, struct ratio *out)
{
    struct ratio x, y;
    int64_t num, den;
    return ratio_make(a.num, b.den, &x) && ratio_make(b.num, a.den, &y) &&
           !__builtin_mul_overflow(x.num, y.num, &num) && !__builtin_mul_overflow(x.den, y.den, &den) &&
           ratio_make(num, den, out);
}

static bool power(struct ratio a, struct ratio b, struct ratio *out)
{
    if (b.den != 1 || b.num < -POWER_MAX || b.num > POWER_MAX || (a.num == 0 && b.num <= 0))
        return false;
    struct ratio r = { 1, 1 };
    bool fits = b.num >= 0 || ratio_make(a.den, a.num, &a);
    for (int64_t i = 0; i < (b.num < 0 ? -b.num : b.num) && fits; i++)
        fits = multiply(r, a, &r);
    *out = r;
    return fits;
}

bool ratio_apply(char op, struct ratio a, struct ratio b, struct ratio *out)
{
    switch (op) {
    case '+': return add(a, b, out);
    case '-': b.num = -b.num; return add(a, b, out); /* lowest terms never hold INT64_MIN */
    case '*': return multiply(a, b, out);
    case '/': return b.num != 0 && ratio_make(b.den, b.num, &b) && multiply(a, b, out);
    case '^': return power(a, b, out);
    default: assert(!"an operator that no caller has"); return false;
    }
}

static bool is_digit(struct str s, size_t i)
{
    return i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9';
}

/* "1,234,567": one to three digits, then groups of three. */
static size_t thousands(struct str s, size_t digits)
{
    size_t i = digits;
    if (digits > 3)
        return digits;
    while (i < s.len && s.ptr[i] == ',' && is_digit(s, i + 1) && is_digit(s, i + 2) && is_digit(s, i + 3) &&
           !is_digit(s, i + 4))
        i += 4;
    return i;
}

static bool push_digit(struct ratio *r, char digit)
{
    return !__builtin_mul_overflow(r->num, 10, &r->num) &&
           !__builtin_add_overflow(r->num, digit - '0', &r->num);
}

size_t ratio_read(struct str s, struct ratio *out, int *places)
{
    struct ratio r = { 0, 1 };
    size_t i = 0, whole = 0;
    int behind = 0;
    while (is_digit(s, whole))
        whole++;
    whole = thousands(s, whole);
    for (; i < whole; i++)
        if (s.ptr[i] != ',' && !push_digit(&r, s.ptr[i]))
            return 0;
    if (i < s.len && s.ptr[i] == '.' && is_digit(s, i + 1)) {
        size_t end = i + 1, last; /* zeros at the end say nothing, and may be many */
        while (is_digit(s, end))
            end++;
        for (last = end; last > i + 1 && s.ptr[last - 1] == '0'; last--)
            ;
        behind = (int)(end - i - 1);
        for (size_t k = i + 1; k < last; k++)
            if (!push_digit(&r, s.ptr[k]) || __builtin_mul_overflow(r.den, 10, &r.den))
                return 0;
        i = end;
    }
    if (i == 0 || !ratio_make(r.num, r.den, out))
        return 0;
    if (places)
        *places = behind;
    return i;
}
