/*
 * steps.c - arithmetic written out the way it is done on paper, in lines a small model can follow.
 *
 * The lines are what the bundled model is trained to write, so their form is chosen for it: one digit is
 * one token, columns go from the lowest digit up (a carry is known before it is needed), operands of
 * a sum are padded to the same length (the n-th digit stays at a fixed distance), and a line needs nothing
 * but the lines above it. Scratchpads of this kind and their effect: Lee et al., "Teaching Arithmetic
 * to Small Transformers", 2023.
 *
 * Invariant: every line is exact, save a planted slip, which is followed by "wait" and the right line.
 */
#include "exam/exam_impl.h"

#include <stdio.h>

#define DIGITS_MAX 18

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

int64_t apply_op(char op, int64_t a, int64_t b)
{
    return op == '+' ? a + b : op == '-' ? a - b : op == '*' ? a * b : a / b;
}

/* Ends the line "head=" with its value. A slip is rare and costs three more lines at most: the wrong one
 * stands as it was, "wait" marks it, and the line is written again. */
static void put_line(struct exam_text *t, struct buf *out, const char *head, int64_t value)
{
    if (t->slips > 0 && rng_below(t->rng, 4) == 0) {
        int64_t wrong = value + rng_range(t->rng, 1, value > 9 ? 10 : 2) * (rng_below(t->rng, 2) ? 1 : -1);
        if (wrong >= 0 && wrong != value) {
            buf_printf(out, "%s=%lld\nwait\n", head, (long long)wrong);
            t->slips--;
        }
    }
    buf_printf(out, "%s=%lld\n", head, (long long)value);
}

static void put_result(struct exam_text *t, struct buf *out, int64_t a, char op, int64_t b, int64_t value)
{
    char head[64];
    snprintf(head, sizeof head, "%lld%c%lld", (long long)a, op, (long long)b);
    put_line(t, out, head, value);
}

static void put_padded(struct buf *out, int64_t a, char op, int64_t b)
{
    int width = digits_of(a) > digits_of(b) ? digits_of(a) : digits_of(b);
    buf_printf(out, "%0*lld%c%0*lld", width, (long long)a, op, width, (long long)b);
}

int64_t steps_add(struct exam_text *t, struct buf *out, int64_t a, int64_t b, bool columns)
{
    char head[64];
    int carry = 0;
    bool compact = t->effort == EXAM_LOW;
    if (!columns) {
        put_result(t, out, a, '+', b, a + b);
        return a + b;
    }
    put_padded(out, a, '+', b);
    buf_putc(out, compact ? ':' : '\n');
    for (int64_t x = a, y = b; x || y; x /= 10, y /= 10) {
        int sum = (int)(x % 10 + y % 10) + carry;
        if (compact) {
            buf_printf(out, "%d%s", sum, x >= 10 || y >= 10 ? "," : "\n");
        } else {
            snprintf(head, sizeof head, "%d+%d%s", (int)(x % 10), (int)(y % 10), carry ? "+1" : "");
            put_line(t, out, head, sum);
        }
        carry = sum >= 10;
    }
    if (compact && !a && !b)
        buf_puts(out, "0\n");
    if (!compact)
        put_result(t, out, a, '+', b, a + b);
    return a + b;
}

int64_t steps_sub(struct exam_text *t, struct buf *out, int64_t a, int64_t b, bool columns)
{
    char head[64];
    int borrow = 0;
    bool compact = t->effort == EXAM_LOW;
    if (!columns) {
        put_result(t, out, a, '-', b, a - b);
        return a - b;
    }
    put_padded(out, a, '-', b);
    buf_putc(out, compact ? ':' : '\n');
    for (int64_t x = a, y = b; x; x /= 10, y /= 10) {
        int top = (int)(x % 10), low = (int)(y % 10) + borrow, lend = top < low ? 10 : 0;
        if (compact) {
            /* "b" marks a digit that borrowed from the next column */
            buf_printf(out, "%d%s%s", top + lend - low, lend ? "b" : "", x >= 10 ? "," : "\n");
        } else {
            snprintf(head, sizeof head, "%d-%d%s%s", top, (int)(y % 10), borrow ? "-1" : "",
                     lend ? "+10" : "");
            put_line(t, out, head, top + lend - low);
        }
        borrow = lend != 0;
    }
    if (compact && !a)
        buf_puts(out, "0\n");
    if (!compact)
        put_result(t, out, a, '-', b, a - b);
    return a - b;
}

/* a times one digit, column by column with the carry written out. */
static int64_t mul_digit(struct exam_text *t, struct buf *out, int64_t a, int digit)
{
    char head[64];
    int carry = 0;
    if (a >= 10 && digit > 1)
        for (int64_t x = a; x; x /= 10) {
            int value = (int)(x % 10) * digit + carry;
            if (carry)
                snprintf(head, sizeof head, "%d*%d+%d", (int)(x % 10), digit, carry);
            else
                snprintf(head, sizeof head, "%d*%d", (int)(x % 10), digit);
            put_line(t, out, head, value);
            carry = value / 10;
        }
    put_result(t, out, a, '*', digit, a * digit);
    return a * digit;
}

int64_t steps_mul(struct exam_text *t, struct buf *out, int64_t a, int64_t b, bool columns)
{
    int64_t total = 0, place = 1;
    if (digits_of(a) < digits_of(b)) {
        int64_t swap = a;
        a = b;
        b = swap;
        if (digits_of(b) > 1 || columns)
            buf_printf(out, "%lld*%lld\n", (long long)a, (long long)b);
    }
    if (b < 10) {
        if (columns)
            return mul_digit(t, out, a, (int)b);
        put_result(t, out, a, '*', b, a * b);
        return a * b;
    }
    for (int64_t rest = b; rest; rest /= 10, place *= 10) {
        int digit = (int)(rest % 10);
        if (digit == 0)
            continue;
        if (columns)
            mul_digit(t, out, a, digit);
        if (!columns || place > 1)
            put_result(t, out, a, '*', digit * place, a * digit * place);
        if (total)
            steps_add(t, out, total, a * digit * place, columns);
        total += a * digit * place;
    }
    put_result(t, out, a, '*', b, total);
    return total;
}

int64_t steps_div(struct exam_text *t, struct buf *out, int64_t a, int64_t b, int64_t *rest)
{
    int digits[DIGITS_MAX], count = 0;
    int64_t part = 0;
    bool begun = false, compact = t->effort == EXAM_LOW;
    for (int64_t x = a; x || !count; x /= 10)
        digits[count++] = (int)(x % 10);
    while (count > 0) {
        part = part * 10 + digits[--count];
        if (part < b && !begun && count > 0)
            continue; /* no digit of the quotient yet */
        begun = true;
        if (compact)
            buf_printf(out, "%lld r %lld%s", (long long)(part / b), (long long)(part % b),
                       count ? "," : "\n");
        else if (b >= 10 && t->effort >= EXAM_HIGH && part / b > 1)
            buf_printf(out, "%lld*%lld=%lld\n%lld-%lld=%lld\n", (long long)b, (long long)(part / b),
                       (long long)(part / b * b), (long long)part, (long long)(part / b * b),
                       (long long)(part % b));
        else
            buf_printf(out, "%lld=%lld*%lld+%lld\n", (long long)part, (long long)(part / b), (long long)b,
                       (long long)(part % b));
        part %= b;
    }
    if (!compact)
        buf_printf(out, "%lld=%lld*%lld+%lld\n", (long long)a, (long long)(a / b), (long long)b,
                   (long long)(a % b));
    *rest = a % b;
    return a / b;
}

int64_t steps_apply(struct exam_text *t, struct buf *out, char op, int64_t a, int64_t b)
{
    int wide = digits_of(a) > digits_of(b) ? digits_of(a) : digits_of(b);
    bool both = a >= 10 && b >= 10;
    int64_t rest;
    switch (op) {
    case '+': return steps_add(t, out, a, b, t->effort >= EXAM_MEDIUM && both && wide >= 3);
    case '-': return steps_sub(t, out, a, b, t->effort >= EXAM_MEDIUM && both && wide >= 3);
    case '*': return steps_mul(t, out, a, b, t->effort >= EXAM_MEDIUM && (both || wide >= 3));
    default: break;
    }
    if (t->effort >= EXAM_MEDIUM && a / b >= 10)
        steps_div(t, out, a, b, &rest);
    put_result(t, out, a, '/', b, a / b);
    return a / b;
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
    int left, right;
    buf_puts(out, "check\n");
    switch (op) {
    case '+': steps_sub(t, out, result, b, digits_of(result) >= 3); break;
    case '-': steps_add(t, out, result, b, digits_of(a) >= 3); break;
    case '*':
        if (a < 100 && b < 10) {
            put_result(t, out, result, '/', b ? b : 1, b ? a : 0);
            break;
        }
        left = put_mod9(out, a);
        right = put_mod9(out, b);
        buf_printf(out, "%d*%d=%d,%d\n", left, right, left * right, left * right % 9);
        put_mod9(out, result);
        break;
    default: steps_mul(t, out, result, b, result >= 10); break;
    }
    buf_puts(out, "ok\n");
}

void put_binary(struct rng *rng, struct buf *out, int64_t a, char op, int64_t b)
{
    static const char *const times[] = { "*", "*", "*", "x", "\xc3\x97" };
    static const char *const over[] = { "/", "/", "/", "\xc3\xb7", ":" };
    const char *sign = op == '*'   ? times[rng_below(rng, ARRAY_LEN(times))]
                       : op == '/' ? over[rng_below(rng, ARRAY_LEN(over))]
                       : op == '+' ? "+"
                                   : "-";
    const char *gap = rng_below(rng, 5) < 3 ? " " : "";
    const char *open = b < 0 && rng_below(rng, 4) ? "(" : "", *close = *open ? ")" : "";
    buf_printf(out, "%lld%s%s%s%s%lld%s", (long long)a, gap, sign, gap, open, (long long)b, close);
}

void answer_int(struct exam_text *t, int64_t value)
{
    buf_printf(t->answer, "%lld", (long long)value);
    buf_printf(t->visible, "Answer: %lld", (long long)value);
}
