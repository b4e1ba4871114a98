/*
 * modular.c - remainders of sums, products and powers, and numbers with two given remainders.
 */
#include "exam/exam_impl.h"

#include <stdlib.h>

/* --- n = a, b (the second operand or the exponent), m; pick = what is asked --- */

enum { MOD_PLAIN, MOD_SUM, MOD_DIFFERENCE, MOD_PRODUCT, MOD_POWER };

static void draw_mod(struct rng *rng, int level, struct exam_case *c)
{
    static const int digits[EXAM_LEVELS_MAX] = { 2, 3, 3, 4, 4, 4, 5, 5 };
    static const int64_t modulus[EXAM_LEVELS_MAX] = { 9, 12, 30, 60, 999, 99, 99, 250 };
    static const int64_t power[EXAM_LEVELS_MAX] = { 0, 0, 5, 8, 12, 20, 40, 100 };
    c->pick = level == 1 ? MOD_PLAIN : (int)rng_below(rng, level < 3 ? MOD_PRODUCT : MOD_POWER + 1);
    int64_t m = rng_range(rng, level < 5 ? 2 : 7, modulus[level - 1]);
    int64_t a = random_digits(rng, digits[level - 1]);
    int64_t b = random_digits(rng, (int)rng_range(rng, 1, digits[level - 1]));
    if (c->pick == MOD_PRODUCT) {
        a = random_digits(rng, digits[level - 1] - 1);
        b = random_digits(rng, level > 5 ? 3 : 2);
    }
    if (c->pick == MOD_POWER) {
        m = m > 99 && level < 8 ? m % 90 + 7 : m;
        a = rng_range(rng, 2, level < 6 ? 20 : 99);
        b = rng_range(rng, 2, power[level - 1]);
    }
    if (c->pick == MOD_PLAIN)
        b = 0;
    if (c->pick == MOD_DIFFERENCE && a < b) {
        int64_t swap = a;
        a = b;
        b = swap;
    }
    c->n[0] = a;
    c->n[1] = b;
    c->n[2] = m;
    const int64_t id[] = { c->pick, a, b, m };
    const int64_t same[] = { a, m }; /* div asks this too */
    c->key = c->pick == MOD_PLAIN ? case_key("div", same, 2) : case_key("mod", id, 4);
}

static bool ask_mod(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const ask[] = {
        "What is {} mod {c}?",
        "Compute {} mod {c}.",
        "Calculate {} mod {c}.",
        "{} mod {c}",
        "Find {} modulo {c}.",
        "What is {} modulo {c}?",
        "What is the remainder when {} is divided by {c}?",
        "Find the remainder when {} is divided by {c}.",
        "{} mod {c} = ?",
        "Reduce {} modulo {c}.",
        "What remainder does {} leave when divided by {c}?",
        "Find the remainder of {} on division by {c}.",
        "What is the residue of {} mod {c}?",
        "Work out {} (mod {c}).",
        "{} is divided by {c}. What is the remainder?",
        "Evaluate {} mod {c}.",
        "Give the remainder of {} divided by {c}.",
        "!Divide {} by {c}: which remainder is left?",
        "!Determine {} modulo {c}.",
    };
    struct buf e = { 0 };
    bool spaces = rng_below(t->rng, 2);
    switch (c->pick) {
    case MOD_PLAIN: put_whole(&e, c->n[0]); break;
    case MOD_POWER: buf_printf(&e, "%lld^%lld", (long long)c->n[0], (long long)c->n[1]); break;
    default:
        buf_printf(&e, spaces ? "(%lld %c %lld)" : "(%lld%c%lld)", (long long)c->n[0], " +-*"[c->pick],
                   (long long)c -> n[1]);
        break;
    }
    bool held = ask_words(c, t, withheld, WORDINGS(ask), buf_str(&e), 0);
    buf_free(&e);
    return held;
}

/* value mod m; below m nothing is written */
static int64_t reduce(struct exam_text *t, int64_t value, int64_t m)
{
    if (value >= m)
        steps_mod(t, t->trace, value, m);
    return value % m;
}

static int64_t power_line(struct exam_text *t, int64_t a, int64_t e, int64_t m, int64_t value)
{
    return steps_line(t, t->trace, value, "%lld^%lld mod %lld", (long long)a, (long long)e, (long long)m);
}

/* From the exponent's highest bit: square, and multiply where the bit is set. */
static int64_t power_down(struct exam_text *t, int64_t a, int64_t e, int64_t m)
{
    int64_t base = reduce(t, a, m), value = base;
    int bits = 0;
    for (int64_t x = e; x; x >>= 1) {
        buf_printf(t->trace, bits ? ",%lld" : "%lld", (long long)x);
        bits++;
    }
    buf_putc(t->trace, '\n');
    for (int bit = bits - 2; bit >= 0; bit--) {
        value = reduce(t, steps_apply(t, t->trace, '*', value, value), m);
        if (e >> bit & 1)
            value = reduce(t, steps_apply(t, t->trace, '*', value, base), m);
        value = power_line(t, a, e >> bit, m, value);
    }
    return value;
}

/* From the lowest bit: the squares, and the product of those whose bit is set. */
static int64_t power_up(struct exam_text *t, int64_t a, int64_t e, int64_t m)
{
    int64_t square = reduce(t, a, m), value = 0;
    bool begun = false;
    for (int64_t x = e, at = 1;; at *= 2) {
        if (x & 1) {
            value = begun ? reduce(t, steps_apply(t, t->trace, '*', value, square), m) : square;
            begun = true;
        }
        x >>= 1;
        if (!x)
            return power_line(t, a, e, m, value);
        square = reduce(t, steps_apply(t, t->trace, '*', square, square), m);
        square = power_line(t, a, at * 2, m, square);
    }
}

static int64_t solve_mod_value(const struct exam_case *c, struct exam_text *t)
{
    int64_t a = c->n[0], b = c->n[1], m = c->n[2];
    static const char ops[] = { 0, '+', '-', '*' };
    if (c->pick == MOD_POWER)
        return (t->route ? power_up : power_down)(t, a, b, m);
    if (c->pick == MOD_PLAIN)
        return reduce(t, a, m);
    if (t->route == 0 && (c->pick != MOD_PRODUCT || (a < m && b < m)))
        return reduce(t, steps_apply(t, t->trace, ops[c->pick], a, b), m);
    a = reduce(t, a, m); /* the operands first */
    b = reduce(t, b, m);
    int64_t value = steps_signed(t, t->trace, ops[c->pick], a, b);
    if (value < 0)
        value = steps_signed(t, t->trace, '+', value, m);
    return reduce(t, value, m);
}

static void solve_mod(const struct exam_case *c, struct exam_text *t)
{
    int64_t m = c->n[2], a = c->n[0], b = c->n[1];
    int64_t value = steps_line(t, t->trace, solve_mod_value(c, t), "rest");
    check_begin(t->recheck);
    if (c->pick == MOD_POWER) { /* by the other way round */
        struct exam_text other = *t;
        other.trace = other.recheck = t->recheck;
        other.slip_at = -1;
        other.effort = EXAM_LOW;
        check_equal(t->recheck, (t->route ? power_down : power_up)(&other, a, b, m), value);
    } else { /* what is left after the remainder is a multiple of m */
        static const char ops[] = { 0, '+', '-', '*' };
        int64_t whole = c->pick == MOD_PLAIN ? a : steps_signed(t, t->recheck, ops[c->pick], a, b), rest;
        int64_t less = value ? llabs(steps_signed(t, t->recheck, '-', whole, value)) : whole;
        steps_div(t, t->recheck, less, m, &rest);
        check_equal(t->recheck, rest, 0);
    }
    answer_int(t, value);
}

const struct exam_family family_mod = {
    .name = "mod",
    .what = "remainders of numbers, sums, products and powers: moduli to 9, 12, 30, 60, 999, 99, 99, 250",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_mod,
    .ask = ask_mod,
    .solve = solve_mod,
    .check = check_number,
};

/* --- the smallest number with given remainders: n = r, m, s, k: r mod m and s mod k --- */

static void draw_crt(struct rng *rng, int level, struct exam_case *c)
{
    static const int64_t top[EXAM_LEVELS_MAX] = { 5, 7, 9, 11, 13, 17, 21, 32 };
    int64_t *n = c->n;
    do {
        n[1] = rng_range(rng, 2, top[level - 1]);
        n[3] = rng_range(rng, level < 4 ? 2 : 4, top[level - 1]);
    } while (gcd_of(n[1], n[3]) != 1);
    n[0] = rng_range(rng, 0, n[1] - 1);
    n[2] = rng_range(rng, 0, n[3] - 1);
    c->few = level <= 2;
    bool turn = n[1] > n[3];
    const int64_t id[] = { n[turn ? 2 : 0], n[turn ? 3 : 1], n[turn ? 0 : 2], n[turn ? 1 : 3] };
    c->key = case_key("crt", id, 4);
}

static bool ask_crt(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const ask[] = {
        "What is the smallest non-negative number that leaves remainder {a} when divided by {b} and "
        "remainder {c} when "
        "divided by {d}?",
        "Find the smallest non-negative x with x mod {b} = {a} and x mod {d} = {c}.",
        "Find the least x >= 0 such that x = {a} (mod {b}) and x = {c} (mod {d}).",
        "x mod {b} = {a}, x mod {d} = {c}. What is the smallest x that is not negative?",
        "A number leaves remainder {a} when divided by {b}, and {c} when divided by {d}. What is the "
        "smallest such number?",
        "Solve x = {a} mod {b}, x = {c} mod {d} for the smallest x of 0 or more.",
        "Which is the smallest whole number with remainder {a} modulo {b} and remainder {c} modulo {d}?",
        "Divided by {b}, a number leaves {a}; divided by {d}, it leaves {c}. Find the smallest one.",
        "Find the smallest whole number x: x mod {b} is {a} and x mod {d} is {c}.",
        "Use the Chinese remainder theorem: x = {a} (mod {b}), x = {c} (mod {d}). Find the smallest x, 0 or "
        "more.",
        "What is the smallest x that is not negative if x mod {b} = {a} and x mod {d} = {c}?",
        "Smallest x >= 0 with x mod {b} = {a} and x mod {d} = {c}?",
        "A pile of stones: in groups of {b} there are {a} left, in groups of {d} there are {c} left. What is "
        "the smallest "
        "possible number of stones?",
        "!Give the least whole number that is {a} modulo {b} and {c} modulo {d}.",
        "!In rows of {b} there are {a} left over, in rows of {d} there are {c}. How many are there at least?",
    };
    return ask_words(c, t, withheld, WORDINGS(ask), (struct str){ 0 }, 0);
}

/* Numbers with the remainder s modulo k, one after the other, until one leaves r modulo m. */
static int64_t step_through(struct exam_text *t, int64_t r, int64_t m, int64_t s, int64_t k)
{
    for (int64_t x = s;;) {
        if (x < 10 * m || m < 10)
            buf_printf(t->trace, "%lld/%lld=%lldr%lld\n", (long long)x, (long long)m, (long long)(x / m),
                       (long long)(x % m));
        else
            steps_mod(t, t->trace, x, m);
        if (x % m == r)
            return steps_line(t, t->trace, x, "x");
        x = steps_apply(t, t->trace, '+', x, k);
    }
}

static void solve_crt(const struct exam_case *c, struct exam_text *t)
{
    const int64_t *n = c->n;
    /* the larger modulus makes the larger steps; the other way round is longer and independent */
    bool first = (n[1] > n[3]) != (t->route != 0);
    int64_t x = first ? step_through(t, n[2], n[3], n[0], n[1]) : step_through(t, n[0], n[1], n[2], n[3]);
    int64_t rest[2];
    check_begin(t->recheck);
    for (int i = 0; i < 2; i++)
        steps_div(t, t->recheck, x, n[2 * i + 1], rest + i);
    bool second = rest[0] == n[0];
    check_equal(t->recheck, rest[second], n[2 * second]);
    answer_int(t, x);
}

const struct exam_family family_crt = {
    .name = "crt",
    .what = "smallest number with two given remainders: moduli to 5, 7, 9, 11, 13, 17, 21, 32",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_crt,
    .ask = ask_crt,
    .solve = solve_crt,
    .check = check_number,
};
