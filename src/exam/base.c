/*
 * base.c - whole numbers in other bases: repeated division one way, digit by digit from the left the other way.
 */
#include "exam/exam_impl.h"

#include <stdio.h>
#include <string.h>

#define NUMERAL_MAX 64

/* n = number, base; pick = direction */
enum { BASE_TO, BASE_FROM };

static void numeral(int64_t n, int64_t base, char out[static NUMERAL_MAX])
{
    static const char digits[] = "0123456789ABCDEF";
    char text[NUMERAL_MAX];
    int at = NUMERAL_MAX - 1;
    text[at] = 0;
    do {
        text[--at] = digits[n % base];
        n /= base;
    } while (n);
    memcpy(out, text + at, (size_t)(NUMERAL_MAX - at));
}

static void draw_base(struct rng *rng, int level, struct exam_case *c)
{
    static const int64_t top[EXAM_LEVELS_MAX] = { 31, 63, 127, 255, 600, 1500, 4095, 20000 };
    static const int bases[] = { 2, 2, 8, 16, 3, 5, 4, 7, 6, 9, 12 };
    static const size_t usable[EXAM_LEVELS_MAX] = { 2, 3, 4, 6, 9, 11, 11, 11 };
    c->n[1] = bases[rng_below(rng, usable[level - 1])];
    c->n[0] = rng_range(rng, c->n[1], top[level - 1]);
    c->pick = (int)rng_below(rng, 2);
    c->few = level <= 2;
    c->key = case_key("base", c->n, 2);
}

static bool ask_base(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const to[] = {
        "Write {a} in base {b}.",
        "Convert {a} to base {b}.",
        "What is {a} in base {b}?",
        "Express {a} in base {b}.",
        "{a} in base {b}",
        "Convert the decimal number {a} to base {b}.",
        "How is {a} written in base {b}?",
        "Change {a} from base 10 to base {b}.",
        "What is the base {b} representation of {a}?",
        "convert {a} to base {b}",
        "Find the base-{b} form of {a}.",
        "!Turn {a} into a base {b} numeral.",
    };
    static const char *const from[] = {
        "What is {} (base {b}) in decimal?",
        "Convert {} from base {b} to decimal.",
        "Convert {} from base {b} to base 10.",
        "Which decimal number is {} in base {b}?",
        "{} in base {b} is what in base 10?",
        "What is the decimal value of the base {b} number {}?",
        "Read {} as a base {b} number and write it in decimal.",
        "convert base {b} {} to decimal",
        "Find the value of {} in base {b}.",
        "How much is {} in base {b}?",
        "!Turn the base {b} numeral {} into a decimal number.",
    };
    static const char *const to_named[][8] = {
        { "Convert {a} to binary.", "What is {a} in binary?", "Write {a} in binary.", "{a} in binary",
          "Express {a} as a binary number.", "How do you write {a} in binary?",
          "Give {a} in binary notation.", "!Turn {a} into binary." },
        { "Convert {a} to hexadecimal.", "What is {a} in hexadecimal?", "Write {a} in hexadecimal.",
          "{a} in hex", "Express {a} as a hexadecimal number.", "What is {a} in hex?",
          "Give {a} in hexadecimal notation.", "!Turn {a} into hexadecimal." },
    };
    static const char *const from_named[][8] = {
        { "Convert binary {} to decimal.", "What is the binary number {} in decimal?",
          "What is binary {} in decimal?", "Read the binary number {}: what is it in decimal?",
          "binary {} to decimal", "Find the decimal value of the binary number {}.",
          "Which number is {} in binary?", "!Turn the binary number {} into decimal." },
        { "Convert hexadecimal {} to decimal.", "What is the hexadecimal number {} in decimal?",
          "What is hex {} in decimal?", "Read the hexadecimal number {}: what is it in decimal?",
          "hex {} to decimal", "Find the decimal value of the hexadecimal number {}.",
          "Which number is {} in hexadecimal?", "!Turn the hexadecimal number {} into decimal." },
    };
    char text[NUMERAL_MAX];
    struct wordings words = c->pick == BASE_TO ? WORDINGS(to) : WORDINGS(from);
    bool hex = c->n[1] == 16;
    if ((c->n[1] == 2 || hex) && rng_below(t->rng, 2))
        words = c->pick == BASE_TO ? WORDINGS(to_named[hex]) : WORDINGS(from_named[hex]);
    numeral(c->n[0], c->n[1], text);
    return ask_words(c, t, withheld, words, str_from(text), 0);
}

/* Divide by the base until nothing is left; the remainders from last to first are the numeral. */
static void by_division(struct exam_text *t, int64_t n, int64_t base)
{
    int64_t rest;
    for (; n; n /= base) {
        if (n < base)
            buf_printf(t->trace, "%lld/%lld=0r%lld\n", (long long)n, (long long)base, (long long)n);
        else
            steps_div(t, t->trace, n, base, &rest);
        if (n % base >= 10)
            buf_printf(t->trace, "%lld is %c\n", (long long)(n % base), (char)('A' + n % base - 10));
    }
}

/* The other way: the powers of the base, and how often each goes into what is left. */
static void by_powers(struct exam_text *t, int64_t n, int64_t base)
{
    int64_t power = 1;
    while (power * base <= n)
        power = steps_apply(t, t->trace, '*', power, base);
    for (int64_t left = n; power; power /= base) {
        int64_t digit = left / power;
        if (power == 1 || digit == 0) {
            buf_printf(t->trace, "%lld/%lld=%lldr%lld\n", (long long)left, (long long)power, (long long)digit,
                       (long long)(left % power));
        } else {
            int64_t product = digit > 1 ? steps_apply(t, t->trace, '*', power, digit) : power;
            steps_apply(t, t->trace, '-', left, product);
            buf_printf(t->trace, "%lld/%lld=%lldr%lld\n", (long long)left, (long long)power, (long long)digit,
                       (long long)(left % power));
        }
        if (digit >= 10)
            buf_printf(t->trace, "%lld is %c\n", (long long)digit, (char)('A' + digit - 10));
        left %= power;
    }
}

/* From the left: what is there times the base, plus the next digit. */
static int64_t by_digits(struct exam_text *t, struct buf *out, const char *text, int64_t base)
{
    int64_t value = 0;
    for (const char *s = text; *s; s++) {
        int64_t digit = *s >= 'A' ? *s - 'A' + 10 : *s - '0';
        if (digit >= 10)
            buf_printf(out, "%c is %lld\n", *s, (long long)digit);
        if (s == text) {
            value = digit;
            if (!s[1] || base == 10)
                buf_printf(out, "%lld\n", (long long)value);
            continue;
        }
        value = steps_apply(t, out, '*', value, base);
        if (digit)
            value = steps_apply(t, out, '+', value, digit);
    }
    return value;
}

/* From the right: each digit times its power of the base, added up. */
static int64_t by_places(struct exam_text *t, const char *text, int64_t base)
{
    int64_t value = 0, power = 1;
    bool begun = false;
    for (size_t i = strlen(text); i-- > 0;) {
        int64_t digit = text[i] >= 'A' ? text[i] - 'A' + 10 : text[i] - '0';
        if (digit >= 10)
            buf_printf(t->trace, "%c is %lld\n", text[i], (long long)digit);
        if (digit) {
            int64_t part =
                power > 1 && digit > 1 ? steps_apply(t, t->trace, '*', power, digit) : power * digit;
            value = begun ? steps_apply(t, t->trace, '+', value, part) : part;
            begun = true;
        }
        if (i)
            power = power == 1 ? base : steps_apply(t, t->trace, '*', power, base);
    }
    return value;
}

static void solve_base(const struct exam_case *c, struct exam_text *t)
{
    char text[NUMERAL_MAX];
    int64_t n = c->n[0], base = c->n[1], rest;
    numeral(n, base, text);
    check_begin(t->recheck);
    if (c->pick == BASE_TO) {
        (t->route ? by_powers : by_division)(t, n, base);
        buf_printf(t->trace, "%s\n", text);
        check_equal(t->recheck, by_digits(t, t->recheck, text, base), n);
        answer_put(t, "%s", text);
        return;
    }
    int64_t value = t->route ? by_places(t, text, base) : by_digits(t, t->trace, text, base);
    value = steps_line(t, t->trace, value, "value");
    /* the last digit is the remainder by the base, the next one that of the quotient, and so on */
    for (int64_t left = value, at = (int64_t)strlen(text); left && at > 0; left /= base)
        steps_div(t, t->recheck, left, base, &rest), at--;
    char back[NUMERAL_MAX];
    numeral(value, base, back);
    if (strcmp(back, text) == 0)
        buf_puts(t->recheck, "ok\n");
    else
        buf_printf(t->recheck, "no: %s, not %s\n", back, text);
    answer_int(t, value);
}

const struct exam_family family_base = {
    .name = "base",
    .what = "numbers in other bases: to 31, 63, 127, 255, 600, 1500, 4095, 20000",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_base,
    .ask = ask_base,
    .solve = solve_base,
    .check = check_numeral,
};
