/*
 * fraction.c - fractions and percentages.
 *
 * A fraction is worked out over one denominator and then brought to lowest terms by the greatest common divisor; the
 * check multiplies crosswise, which needs no division.
 */
#include "exam/exam_impl.h"

#include <stdlib.h>

/* --- fractions: n = a, b, c, d of a/b and c/d; pick = what is asked --- */

enum { FRAC_SIMPLIFY, FRAC_COMPARE, FRAC_ADD, FRAC_SUB, FRAC_MUL, FRAC_DIV };

static const char frac_ops[] = { 0, 0, '+', '-', '*', '/' };

/* A numerator and a denominator without a common factor. */
static void draw_proper(struct rng *rng, int64_t top, int64_t n[2])
{
    n[1] = rng_range(rng, 2, top);
    n[0] = rng_range(rng, 1, rng_below(rng, 4) ? n[1] - 1 : 2 * n[1]);
    int64_t g = gcd_of(n[0], n[1]);
    n[0] /= g;
    n[1] /= g;
}

static void draw_fraction(struct rng *rng, int level, struct exam_case *c)
{
    static const int64_t top[EXAM_LEVELS_MAX] = { 9, 10, 12, 15, 20, 35, 60, 99 };
    int64_t *n = c->n;
    static const int kinds[EXAM_LEVELS_MAX][2] = {
        { FRAC_SIMPLIFY, FRAC_COMPARE }, { FRAC_COMPARE, FRAC_ADD },  { FRAC_ADD, FRAC_MUL },
        { FRAC_SIMPLIFY, FRAC_DIV },     { FRAC_SIMPLIFY, FRAC_DIV }, { FRAC_SIMPLIFY, FRAC_DIV },
        { FRAC_SIMPLIFY, FRAC_DIV },     { FRAC_SIMPLIFY, FRAC_DIV }
    };
    c->pick = (int)rng_range(rng, kinds[level - 1][0], kinds[level - 1][1]);
    do {
        draw_proper(rng, top[level - 1], n);
        draw_proper(rng, top[level - 1], n + 2);
        if (level == 2 && c->pick == FRAC_ADD && n[1] % n[3]) /* one denominator divides the other */
            n[3] = n[1];
    } while (c->pick == FRAC_COMPARE && n[0] * n[3] == n[1] * n[2]);
    if (c->pick == FRAC_SIMPLIFY) {
        int64_t factor = rng_range(rng, 2, top[level - 1]);
        n[0] *= factor;
        n[1] *= factor;
        n[2] = n[3] = 0;
    }
    if (c->pick == FRAC_SUB && n[0] * n[3] < n[1] * n[2])
        for (int i = 0; i < 2; i++) {
            int64_t swap = n[i];
            n[i] = n[i + 2];
            n[i + 2] = swap;
        }
    bool turn = (c->pick == FRAC_ADD || c->pick == FRAC_MUL || c->pick == FRAC_COMPARE) &&
                (n[0] > n[2] || (n[0] == n[2] && n[1] > n[3]));
    const int64_t id[] = { c->pick, n[turn ? 2 : 0], n[turn ? 3 : 1], n[turn ? 0 : 2], n[turn ? 1 : 3] };
    c->few = level == 1;
    c->key = case_key("fraction", id, 5);
}

static bool ask_fraction(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const simplify[] = {
        "Simplify {a}/{b}.",
        "Reduce {a}/{b} to lowest terms.",
        "Write {a}/{b} in lowest terms.",
        "What is {a}/{b} in simplest form?",
        "Simplify the fraction {a}/{b}.",
        "Cancel {a}/{b} as far as possible.",
        "simplify {a}/{b}",
        "Bring {a}/{b} to its simplest form.",
        "Express {a}/{b} as a fraction in lowest terms.",
        "!Reduce the fraction {a}/{b} completely.",
    };
    static const char *const compare[] = {
        "Which is larger, {a}/{b} or {c}/{d}?",
        "Which fraction is greater: {a}/{b} or {c}/{d}?",
        "Compare {a}/{b} and {c}/{d}. Which is larger?",
        "Is {a}/{b} or {c}/{d} bigger?",
        "Find the larger of {a}/{b} and {c}/{d}.",
        "What is the maximum of {a}/{b} and {c}/{d}?",
        "Which is more, {a}/{b} or {c}/{d}?",
        "!Of {a}/{b} and {c}/{d}, which one is greater?",
    };
    static const char *const compute[] = {
        "What is {}?",
        "Calculate {}.",
        "Compute {}.",
        "{}",
        "{} = ?",
        "Work out {} as a fraction.",
        "What is {} as a fraction?",
        "Evaluate {}.",
        "Find {} in lowest terms.",
        "Calculate {} and simplify.",
        "How much is {}?",
        "what is {}",
        "Give {} as a single fraction.",
        "Please work out {}.",
        "Simplify {}.",
        "!What fraction is {}?",
        "!Write {} as one fraction.",
    };
    if (c->pick <= FRAC_COMPARE)
        return ask_words(c, t, withheld, c->pick ? WORDINGS(compare) : WORDINGS(simplify), (struct str){ 0 },
                         0);
    static const char *const forms[] = { "%lld/%lld %c %lld/%lld", "%lld/%lld%c%lld/%lld",
                                         "(%lld/%lld) %c (%lld/%lld)" };
    struct buf e = { 0 };
    /* 1/2/3/4 would be another number: a division keeps its parentheses */
    size_t form = c->pick == FRAC_DIV ? 2 : rng_below(t->rng, 3);
    const int64_t *n = c->n;
    switch (form) {
    case 0:
        buf_printf(&e, forms[0], (long long)n[0], (long long)n[1], frac_ops[c->pick], (long long)n[2],
                   (long long)n[3]);
        break;
    case 1:
        buf_printf(&e, forms[1], (long long)n[0], (long long)n[1], frac_ops[c->pick], (long long)n[2],
                   (long long)n[3]);
        break;
    default:
        buf_printf(&e, forms[2], (long long)n[0], (long long)n[1], frac_ops[c->pick], (long long)n[2],
                   (long long)n[3]);
        break;
    }
    bool held = ask_words(c, t, withheld, WORDINGS(compute), buf_str(&e), 0);
    buf_free(&e);
    return held;
}

/* To lowest terms, in place; ends in "40/112=5/14". */
static void lowest(struct exam_text *t, int64_t q[2])
{
    int64_t num = q[0], den = q[1];
    if (q[0] == 0) {
        q[1] = 1;
        return;
    }
    int64_t g = gcd_of(q[0], q[1]);
    if (q[0] != 1 && q[1] != 1) {
        steps_gcd(t, t->trace, q[0], q[1]);
        steps_line(t, t->trace, g, "gcd");
    }
    for (int i = 0; i < 2 && g > 1; i++)
        q[i] = steps_apply(t, t->trace, '/', q[i], g);
    if (g > 1)
        buf_printf(t->trace, q[1] == 1 ? "%lld/%lld=%lld\n" : "%lld/%lld=%lld/%lld\n", (long long)num,
                   (long long)den, (long long)q[0], (long long)q[1]);
}

/* One denominator: the product, or for the other derivation the least common multiple. */
static void sum_over(struct exam_text *t, const int64_t *n, char op, int64_t q[2])
{
    int64_t left = n[3], right = n[1]; /* what the numerators are multiplied by */
    if (t->route || n[1] == n[3]) {
        int64_t g = n[1] == n[3] ? n[1] : steps_line(t, t->trace, steps_gcd(t, t->trace, n[1], n[3]), "gcd");
        left = n[3] / g;
        right = n[1] / g;
        if (n[1] != n[3] && g > 1) {
            steps_apply(t, t->trace, '/', n[3], g);
            steps_apply(t, t->trace, '/', n[1], g);
        }
    }
    int64_t a = left == 1 ? n[0] : steps_apply(t, t->trace, '*', n[0], left);
    int64_t b = right == 1 ? n[2] : steps_apply(t, t->trace, '*', n[2], right);
    q[1] = left == 1 ? n[1] : steps_apply(t, t->trace, '*', n[1], left);
    q[0] = steps_signed(t, t->trace, op, a, b);
    buf_printf(t->trace, "%lld/%lld\n", (long long)q[0], (long long)q[1]);
}

static void product_over(struct exam_text *t, const int64_t *n, bool divide, int64_t q[2])
{
    int64_t c = n[divide ? 3 : 2], d = n[divide ? 2 : 3];
    if (divide)
        buf_printf(t->trace, "%lld/%lld*%lld/%lld\n", (long long)n[0], (long long)n[1], (long long)c,
                   (long long)d);
    int64_t a[2] = { n[0], d }, b[2] = { c, n[1] };
    if (t->route) { /* crosswise first: smaller numbers */
        lowest(t, a);
        lowest(t, b);
    }
    q[0] = steps_apply(t, t->trace, '*', a[0], b[0]);
    q[1] = steps_apply(t, t->trace, '*', b[1], a[1]);
    buf_printf(t->trace, "%lld/%lld\n", (long long)q[0], (long long)q[1]);
}

static void answer_fraction(struct exam_text *t, const int64_t q[2], bool must_be_lowest)
{
    struct buf text = { 0 };
    put_whole(&text, q[0]);
    if (q[1] != 1)
        buf_printf(&text, "/%lld", (long long)q[1]);
    buf_puts(t->answer, text.ptr);
    buf_puts(t->answer, must_be_lowest ? LOWEST_TERMS : "");
    buf_printf(t->visible, "Answer: %s", text.ptr);
    buf_free(&text);
}

static void check_cross(struct exam_text *t, const int64_t q[2], int64_t num, int64_t den)
{
    check_begin(t->recheck);
    int64_t left = steps_apply(t, t->recheck, '*', q[0], den);
    check_equal(t->recheck, left, steps_apply(t, t->recheck, '*', num, q[1]));
}

static void solve_compare(const struct exam_case *c, struct exam_text *t)
{
    const int64_t *n = c->n;
    int64_t left = steps_apply(t, t->trace, '*', n[0], n[3]),
            right = steps_apply(t, t->trace, '*', n[2], n[1]);
    buf_printf(t->trace, "%lld%c%lld\n", (long long)left, left < right ? '<' : '>', (long long)right);
    check_begin(t->recheck);
    /* the difference of the two has the sign of that of the products */
    int64_t less = steps_signed(t, t->recheck, '-', left, right);
    buf_puts(t->recheck, (less < 0) == (n[0] * n[3] < n[2] * n[1]) ? "ok\n" : "no\n");
    answer_fraction(t, left < right ? n + 2 : n, false);
}

static void solve_fraction(const struct exam_case *c, struct exam_text *t)
{
    const int64_t *n = c->n;
    int64_t q[2] = { n[0], n[1] }, num = n[0], den = n[1];
    switch (c->pick) {
    case FRAC_COMPARE: solve_compare(c, t); return;
    case FRAC_SIMPLIFY: break;
    case FRAC_ADD:
    case FRAC_SUB:
        sum_over(t, n, frac_ops[c->pick], q);
        num = apply_op(frac_ops[c->pick], n[0] * n[3], n[2] * n[1]);
        den = n[1] * n[3];
        break;
    default:
        product_over(t, n, c->pick == FRAC_DIV, q);
        num = n[0] * n[c->pick == FRAC_DIV ? 3 : 2];
        den = n[1] * n[c->pick == FRAC_DIV ? 2 : 3];
        break;
    }
    lowest(t, q);
    check_cross(t, q, num, den);
    answer_fraction(t, q, c->pick == FRAC_SIMPLIFY);
}

const struct exam_family family_fraction = {
    .name = "fraction",
    .what = "simplify, compare, + - * / of fractions: denominators to 9, 10, 12, 15, 20, 35, 60, 99",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_fraction,
    .ask = ask_fraction,
    .solve = solve_fraction,
    .check = check_fraction,
};

/* --- percentages: n = percent, whole, result; pick = what is asked --- */

enum { PCT_OF, PCT_WHAT, PCT_UP, PCT_DOWN, PCT_BACK, PCT_KINDS };

static void draw_percent(struct rng *rng, int level, struct exam_case *c)
{
    static const int64_t top[EXAM_LEVELS_MAX] = { 10, 20, 50, 99, 300, 999, 5000, 20000 };
    static const int kinds[EXAM_LEVELS_MAX] = { 1, 2, 2, 4, 4, 5, 5, 5 };
    int64_t p, step;
    c->pick = (int)rng_below(rng, (uint64_t)kinds[level - 1]);
    do {
        p = level <= 2 ? 5 * rng_range(rng, 1, 20) : rng_range(rng, 1, c->pick == PCT_DOWN ? 95 : 150);
        step = 100 / gcd_of(p, 100); /* multiples of it have a whole result */
    } while (p == 100 || step > top[level - 1]);
    int64_t whole = step * rng_range(rng, 1, top[level - 1] * (level <= 2 ? 10 : 1) / step);
    c->n[0] = p;
    c->n[1] = whole;
    c->n[2] = p * whole / 100;
    c->n[3] = c->pick == PCT_DOWN ? whole - c->n[2] : whole + c->n[2];
    c->few = level <= 2;
    const int64_t id[] = { c->pick, p, whole };
    c->key = case_key("percent", id, 3);
}

static bool ask_percent(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const of[] = {
        "What is {a}% of {b}?",
        "Calculate {a}% of {b}.",
        "Find {a} percent of {b}.",
        "{a}% of {b}",
        "How much is {a}% of {b}?",
        "What is {a} percent of {b}?",
        "Compute {a}% of {b}.",
        "Work out {a}% of {b}.",
        "{a}% of {b} = ?",
        "How many are {a}% of {b}?",
        "!Give me {a} percent of {b}.",
        "!What number is {a}% of {b}?",
    };
    static const char *const what[] = {
        "{c} is what percent of {b}?",         "What percent of {b} is {c}?",
        "What percentage of {b} is {c}?",      "How many percent of {b} are {c}?",
        "Express {c} as a percentage of {b}.", "{c} out of {b} is what percent?",
        "Find what percent {c} is of {b}.",    "!Which percentage of {b} does {c} make?",
    };
    static const char *const up[] = {
        "Increase {b} by {a}%.",
        "What is {b} increased by {a}%?",
        "A price of {b} rises by {a}%. What is the new price?",
        "{b} grows by {a}%. What is it then?",
        "Add {a}% to {b}.",
        "What is {b} plus {a} percent?",
        "The rent is {b} and goes up by {a}%. What is the new rent?",
        "!A salary of {b} is raised by {a}%. How much is it now?",
    };
    static const char *const down[] = {
        "Decrease {b} by {a}%.",
        "What is {b} decreased by {a}%?",
        "A price of {b} falls by {a}%. What is the new price?",
        "{b} shrinks by {a}%. What is left?",
        "Take {a}% off {b}.",
        "A coat costs {b} and is sold with a discount of {a}%. What does it cost now?",
        "What is {b} minus {a} percent?",
        "!With {a}% off, what is the price of something that costs {b}?",
    };
    static const char *const back[] = {
        "{a}% of a number is {c}. What is the number?",
        "{c} is {a}% of what number?",
        "Of which number is {c} {a} percent?",
        "If {a}% of x is {c}, what is x?",
        "Find the number of which {a}% is {c}.",
        "!{a} percent of some number make {c}. Find the number.",
    };
    const struct wordings words[PCT_KINDS] = { WORDINGS(of), WORDINGS(what), WORDINGS(up), WORDINGS(down),
                                               WORDINGS(back) };
    return ask_words(c, t, withheld, words[c->pick], (struct str){ 0 }, 0);
}

/* a*b/100; the other way divides first, by what 100 and the number share. */
static int64_t hundredth(struct exam_text *t, struct buf *out, int64_t a, int64_t b, int64_t over)
{
    if (!t->route || b % over == 0) {
        if (t->route) {
            int64_t part = steps_apply(t, out, '/', b, over);
            return steps_apply(t, out, '*', part, a);
        }
        return steps_apply(t, out, '/', steps_apply(t, out, '*', a, b), over);
    }
    int64_t g = gcd_of(b, over);
    b = g > 1 ? steps_apply(t, out, '/', b, g) : b;
    over = g > 1 ? steps_apply(t, out, '/', over, g) : over;
    return over == 1 ? steps_apply(t, out, '*', a, b)
                     : steps_apply(t, out, '/', steps_apply(t, out, '*', a, b), over);
}

static void solve_percent(const struct exam_case *c, struct exam_text *t)
{
    int64_t p = c->n[0], whole = c->n[1], part = c->n[2], value;
    if (c->pick == PCT_WHAT)
        value = hundredth(t, t->trace, part, 100, whole);
    else if (c->pick == PCT_BACK)
        value = hundredth(t, t->trace, part, 100, p);
    else
        value = hundredth(t, t->trace, p, whole, 100);
    if (c->pick == PCT_UP || c->pick == PCT_DOWN)
        value = steps_apply(t, t->trace, c->pick == PCT_UP ? '+' : '-', whole, value);
    check_begin(t->recheck);
    /* p hundredths of the whole are a hundred times the part */
    if (c->pick == PCT_UP || c->pick == PCT_DOWN)
        part = steps_signed(t, t->recheck, '-', c->pick == PCT_UP ? value : whole,
                            c->pick == PCT_UP ? whole : value);
    int64_t left = c->pick == PCT_WHAT
                       ? steps_apply(t, t->recheck, '*', value, whole)
                       : steps_apply(t, t->recheck, '*', p, c->pick == PCT_BACK ? value : whole);
    int64_t hundred = c->pick == PCT_OF ? value : part;
    check_equal(t->recheck, left, steps_signed(t, t->recheck, '*', hundred, 100));
    answer_int(t, value);
}

const struct exam_family family_percent = {
    .name = "percent",
    .what = "parts, shares, increases, decreases, wholes: to 100, 200, 50, 99, 300, 999, 5000, 20000",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_percent,
    .ask = ask_percent,
    .solve = solve_percent,
    .check = check_number,
};
