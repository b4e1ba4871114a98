/*
 * aime.c - composite questions whose answer is a whole number from 0 to 999: two or three of the other families' methods
 * one after the other.
 *
 * pick = the template, n = its numbers. Level L uses numbers of level L's size, the last level is not trained.
 */
#include "exam/exam_impl.h"

#include <stdlib.h>

enum {
    AIME_GCD_MOD,
    AIME_ROOT_SQUARES,
    AIME_POWER_SUM,
    AIME_CHOOSE_MOD,
    AIME_SERIES_MOD,
    AIME_LCM_PART,
    AIME_KINDS
};

/* Sizes by level. */
static const int64_t small_top[EXAM_LEVELS_MAX] = { 5, 8, 9, 12, 15, 20, 25, 40 };
static const int64_t large_top[EXAM_LEVELS_MAX] = { 20, 40, 60, 99, 200, 400, 999, 3000 };

static void draw_numbers(struct rng *rng, int level, struct exam_case *c)
{
    int64_t *n = c->n, small = small_top[level - 1], large = large_top[level - 1], g;
    switch (c->pick) {
    case AIME_GCD_MOD: /* gcd(a,b)*c + d mod e */
    case AIME_LCM_PART:
        g = rng_range(rng, 2, small);
        n[0] = g * rng_range(rng, 1, large / g + 1);
        n[1] = g * rng_range(rng, 1, large / g + 1);
        n[2] = rng_range(rng, 2, large);
        n[3] = rng_range(rng, 1, large);
        n[4] = rng_range(rng, 3, c->pick == AIME_LCM_PART ? 1000 : small * 4);
        break;
    case AIME_ROOT_SQUARES: /* r, s of x^2 - ax + b */
        n[2] = rng_range(rng, 1, small < 22 ? small : 22);
        n[3] = rng_range(rng, 1, small < 22 ? small : 22);
        n[0] = n[2] + n[3];
        n[1] = n[2] * n[3];
        break;
    case AIME_POWER_SUM: /* a^b + c^d mod e */
        n[0] = rng_range(rng, 2, small);
        n[1] = rng_range(rng, 2, small);
        n[2] = rng_range(rng, 2, small);
        n[3] = rng_range(rng, 2, small);
        n[4] = rng_range(rng, 3, small * 2);
        break;
    case AIME_CHOOSE_MOD: /* C(a,b)+c mod e */
        n[0] = rng_range(rng, 4, small < 20 ? small + 3 : 22);
        n[1] = rng_range(rng, 2, level < 5 ? 2 : 3);
        n[2] = rng_range(rng, 1, large);
        n[4] = rng_range(rng, 3, large < 1000 ? large : 1000);
        break;
    default: /* first a, step b, c terms, mod e */
        n[0] = rng_range(rng, 1, small);
        n[1] = rng_range(rng, 1, small);
        n[2] = rng_range(rng, 3, large);
        n[4] = rng_range(rng, 3, large < 1000 ? large : 1000);
        break;
    }
}

static void draw_aime(struct rng *rng, int level, struct exam_case *c)
{
    c->pick = (int)rng_below(rng, AIME_KINDS);
    do {
        draw_numbers(rng, level, c);
    } while (c->pick == AIME_ROOT_SQUARES && c->n[2] * c->n[2] + c->n[3] * c->n[3] > 999);
    c->few = c->pick == AIME_ROOT_SQUARES;
    const int64_t id[] = { c->pick, c->n[0], c->n[1], c->n[2], c->n[3], c->n[4] };
    c->key = case_key("aime", id, 6);
}

static bool ask_aime(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const gcd_mod[] = {
        "Let g be the greatest common divisor of {a} and {b}. Find the remainder when {c}g + {d} is divided "
        "by {e}.",
        "Let g = gcd({a}, {b}). What is {c}g + {d} modulo {e}?",
        "If g is the gcd of {a} and {b}, what remainder does {c}g + {d} leave when divided by {e}?",
        "g is the greatest common divisor of {a} and {b}. Compute ({c}g + {d}) mod {e}.",
        "Find ({c}g + {d}) mod {e}, where g = gcd({a}, {b}).",
        "Suppose g = gcd({a}, {b}). Find the remainder of {c}g + {d} on division by {e}.",
        "!With g = gcd({a}, {b}), determine {c}g + {d} modulo {e}.",
    };
    static const char *const squares[] = {
        "The roots of x^2 - {a}x + {b} = 0 are r and s. Find r^2 + s^2.",
        "Let r and s be the roots of x^2 - {a}x + {b} = 0. What is r^2 + s^2?",
        "Find the sum of the squares of the roots of x^2 - {a}x + {b} = 0.",
        "Two numbers have the sum {a} and the product {b}. What is the sum of their squares?",
        "If r + s = {a} and rs = {b}, what is r^2 + s^2?",
        "The sum of two numbers is {a} and their product is {b}. Find the sum of their squares.",
        "!Two numbers add up to {a} and multiply to {b}. What do their squares add up to?",
    };
    static const char *const powers[] = {
        "Find the remainder when {a}^{b} + {c}^{d} is divided by {e}.",
        "What is {a}^{b} + {c}^{d} modulo {e}?",
        "Compute ({a}^{b} + {c}^{d}) mod {e}.",
        "What remainder does {a}^{b} + {c}^{d} leave when divided by {e}?",
        "({a}^{b} + {c}^{d}) mod {e}",
        "Find {a}^{b} + {c}^{d} mod {e}.",
        "!Divide {a}^{b} + {c}^{d} by {e}: what is the remainder?",
    };
    static const char *const choices[] = {
        "Let N be the number of ways to choose {b} of {a} people. Find the remainder when N + {c} is divided "
        "by {e}.",
        "In N ways {b} of {a} books can be chosen. What is N + {c} modulo {e}?",
        "N is the number of teams of {b} from {a} players. Compute (N + {c}) mod {e}.",
        "Let N = C({a}, {b}). Find (N + {c}) mod {e}.",
        "There are N ways to choose {b} cards out of {a}. What remainder does N + {c} leave when divided by "
        "{e}?",
        "!How many ways to pick {b} of {a} are there, plus {c}, modulo {e}?",
    };
    static const char *const series[] = {
        "An arithmetic sequence starts with {a} and has the difference {b}. Find the sum of its first {c} "
        "terms modulo {e}.",
        "Let S be the sum of the first {c} terms of the arithmetic sequence with first term {a} and "
        "difference {b}. What is S "
        "mod {e}?",
        "The first term is {a} and each next one is {b} larger. What remainder does the sum of the first {c} "
        "terms leave when "
        "divided by {e}?",
        "Sum {c} terms of the arithmetic sequence with first term {a} and step {b}, and give the result "
        "modulo {e}.",
        "S is the sum of {c} numbers, the first is {a} and each is {b} more than the one before. Find S mod "
        "{e}.",
        "!Starting at {a} in steps of {b}, {c} numbers are added. What is the total modulo {e}?",
    };
    static const char *const lcm_part[] = {
        "Let L be the least common multiple of {a} and {b}. Find the remainder when L is divided by {e}.",
        "What is lcm({a}, {b}) modulo {e}?",
        "Find lcm({a}, {b}) mod {e}.",
        "If L is the lcm of {a} and {b}, what remainder does L leave when divided by {e}?",
        "Compute the least common multiple of {a} and {b} modulo {e}.",
        "!Divide the least common multiple of {a} and {b} by {e}: which remainder is left?",
    };
    const struct wordings words[AIME_KINDS] = { WORDINGS(gcd_mod), WORDINGS(squares), WORDINGS(powers),
                                                WORDINGS(choices), WORDINGS(series),  WORDINGS(lcm_part) };
    return ask_words(c, t, withheld, words[c->pick], (struct str){ 0 }, 0);
}

static int64_t reduced(struct exam_text *t, struct buf *out, int64_t value, int64_t m)
{
    if (value >= m)
        steps_mod(t, out, value, m);
    return value % m;
}

/* a^e mod m, a factor at a time, reduced after each. */
static int64_t power_by_factors(struct exam_text *t, struct buf *out, int64_t a, int64_t e, int64_t m)
{
    int64_t base = reduced(t, out, a, m), value = base;
    for (int64_t i = 2; i <= e; i++) {
        value = reduced(t, out, steps_apply(t, out, '*', value, base), m);
        buf_printf(out, "%lld^%lld mod %lld=%lld\n", (long long)a, (long long)i, (long long)m,
                   (long long)value);
    }
    return value;
}

/* The same by halving the exponent. */
static int64_t power_by_halves(struct exam_text *t, struct buf *out, int64_t a, int64_t e, int64_t m)
{
    int64_t value;
    if (e == 1)
        return reduced(t, out, a, m);
    value = power_by_halves(t, out, a, e / 2, m);
    value = reduced(t, out, steps_apply(t, out, '*', value, value), m);
    if (e % 2)
        value = reduced(t, out, steps_apply(t, out, '*', value, a), m);
    buf_printf(out, "%lld^%lld mod %lld=%lld\n", (long long)a, (long long)e, (long long)m, (long long)value);
    return value;
}

static int64_t choose_value(struct exam_text *t, struct buf *out, int64_t n, int64_t k)
{
    int64_t value = n, under = 1;
    for (int64_t i = 1; i < k; i++) {
        value = steps_apply(t, out, '*', value, n - i);
        under *= i + 1;
        if (t->route) /* divide as soon as it goes */
            value = steps_apply(t, out, '/', value, i + 1);
    }
    return t->route || under == 1 ? value : steps_apply(t, out, '/', value, under);
}

static int64_t series_value(struct exam_text *t, struct buf *out, const int64_t *n)
{
    int64_t times = steps_apply(t, out, '-', n[2], 1);
    int64_t last = steps_apply(t, out, '+', n[0], steps_apply(t, out, '*', times, n[1]));
    int64_t ends = steps_apply(t, out, '+', n[0], last);
    if (t->route && ends % 2 == 0)
        return steps_apply(t, out, '*', steps_apply(t, out, '/', ends, 2), n[2]);
    if (t->route)
        return steps_apply(t, out, '*', ends, steps_apply(t, out, '/', n[2], 2));
    return steps_apply(t, out, '/', steps_apply(t, out, '*', ends, n[2]), 2);
}

/* The value that is reduced at the end. */
static int64_t derive_value(const struct exam_case *c, struct exam_text *t, struct buf *out)
{
    const int64_t *n = c->n;
    int64_t value, other, g;
    switch (c->pick) {
    case AIME_GCD_MOD:
        g = steps_gcd(t, out, n[0], n[1]);
        steps_line(t, out, g, "g");
        value = steps_apply(t, out, '*', n[2], g);
        return steps_apply(t, out, '+', value, n[3]);
    case AIME_LCM_PART:
        g = steps_gcd(t, out, n[0], n[1]);
        steps_line(t, out, g, "gcd");
        value = steps_apply(t, out, '/', n[t->route != 0], g);
        return steps_apply(t, out, '*', n[t->route == 0], value);
    case AIME_ROOT_SQUARES:
        if (t->route) { /* the two numbers themselves */
            steps_apply(t, out, '+', n[2], n[3]);
            steps_apply(t, out, '*', n[2], n[3]);
            value = steps_apply(t, out, '*', n[2], n[2]);
            other = steps_apply(t, out, '*', n[3], n[3]);
            return steps_apply(t, out, '+', value, other);
        }
        value = steps_apply(t, out, '*', n[0], n[0]); /* (r+s)^2 - 2rs */
        other = steps_apply(t, out, '*', 2, n[1]);
        return steps_apply(t, out, '-', value, other);
    case AIME_POWER_SUM:
        value = (t->route ? power_by_factors : power_by_halves)(t, out, n[0], n[1], n[4]);
        other = (t->route ? power_by_factors : power_by_halves)(t, out, n[2], n[3], n[4]);
        return steps_apply(t, out, '+', value, other);
    case AIME_CHOOSE_MOD:
        value = choose_value(t, out, n[0], n[1]);
        return steps_apply(t, out, '+', value, n[2]);
    default: return series_value(t, out, n);
    }
}

static void solve_aime(const struct exam_case *c, struct exam_text *t)
{
    int64_t m = c->pick == AIME_ROOT_SQUARES ? 1000 : c->n[4];
    int64_t value = reduced(t, t->trace, derive_value(c, t, t->trace), m);
    value = steps_line(t, t->trace, value, "result");
    struct exam_text other = *t;
    other.route = !t->route;
    other.slip_at = -1;
    check_begin(t->recheck);
    check_equal(t->recheck, reduced(t, t->recheck, derive_value(c, &other, t->recheck), m), value);
    answer_int(t, value);
}

const struct exam_family family_aime = {
    .name = "aime",
    .what = "composites with an answer from 0 to 999: gcd, lcm, powers, choices, sums, roots, remainders",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_aime,
    .ask = ask_aime,
    .solve = solve_aime,
    .check = check_number,
};
