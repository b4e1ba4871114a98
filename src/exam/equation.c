/*
 * equation.c - linear equations, pairs of them, and quadratic equations with whole solutions.
 *
 * Every signed sum stands on lines of its own, in the forms that the sums and differences teach; the equation is
 * written again after each step, so that the next one needs nothing further up.
 */
#include "exam/exam_impl.h"

#include <stdlib.h>
#include <string.h>

static int64_t draw_signed(struct rng *rng, int64_t low, int64_t high)
{
    int64_t value = rng_range(rng, low, high);
    return rng_below(rng, 2) ? -value : value;
}

/* --- linear equations: a(x+p)+b = k(x+q)+d; n = a, p, b, k, q, d, x, and 1 if the sides are swapped --- */

enum { LIN_A, LIN_P, LIN_B, LIN_K, LIN_Q, LIN_D, LIN_X, LIN_SWAP };

static const char unknowns[] = "xxxxxyznatkmpw";

static void draw_coefficients(struct rng *rng, int level, int64_t *n)
{
    int64_t wide = rng_below(rng, 2) ? 999 : 99;
    bool both = rng_below(rng, 2);
    switch (level) {
    case 1: n[LIN_B] = draw_signed(rng, 1, 99); break;
    case 2: n[LIN_A] = rng_range(rng, 2, 12); break;
    case 3:
        n[LIN_A] = rng_range(rng, 2, 12);
        n[LIN_B] = draw_signed(rng, 1, 60);
        break;
    case 4:
        n[LIN_K] = both ? rng_range(rng, 1, 9) : 0;
        n[LIN_A] = n[LIN_K] + rng_range(rng, 2, 15);
        n[LIN_B] = draw_signed(rng, 1, 99);
        break;
    case 5:
        n[LIN_K] = both ? rng_range(rng, 2, wide / 2) : 0;
        n[LIN_A] = n[LIN_K] + rng_range(rng, 2, wide / 2);
        n[LIN_B] = draw_signed(rng, 1, 999);
        break;
    case 6:
        n[LIN_A] = rng_range(rng, 2, 40);
        n[LIN_P] = draw_signed(rng, 1, 50);
        n[LIN_B] = both ? draw_signed(rng, 1, 99) : 0;
        break;
    default:
        n[LIN_K] = rng_range(rng, 2, wide / 2);
        n[LIN_A] = n[LIN_K] + rng_range(rng, 2, wide / 2);
        n[LIN_P] = draw_signed(rng, 1, 60);
        n[LIN_B] = both ? draw_signed(rng, 1, 999) : 0;
        n[LIN_Q] = level == 8 ? draw_signed(rng, 1, 60) : 0;
        break;
    }
}

static void draw_linear(struct rng *rng, int level, struct exam_case *c)
{
    int64_t *n = c->n, x = level <= 3 ? rng_range(rng, 0, level == 3 ? 25 : 99)
                                      : rng_range(rng, level == 4 ? -12 : -50, level == 4 ? 30 : 99);
    n[LIN_A] = 1;
    draw_coefficients(rng, level, n);
    n[LIN_X] = x;
    n[LIN_D] = n[LIN_A] * (x + n[LIN_P]) + n[LIN_B] - n[LIN_K] * (x + n[LIN_Q]);
    n[LIN_SWAP] = level >= 3 && rng_below(rng, 4) == 0;
    c->pick = unknowns[rng_below(rng, sizeof unknowns - 1)];
    c->key = case_key("linear", n, LIN_X);
}

/* "a(x+p)+b", "ax+b", or b alone when there is no x */
static void put_side(struct buf *out, int64_t a, int64_t p, int64_t b, char x, const char *gap)
{
    if (a == 0) {
        put_whole(out, b);
        return;
    }
    if (p) {
        buf_printf(out, "%lld(%c", (long long)a, x);
        put_const(out, p, gap);
        buf_putc(out, ')');
    } else {
        put_term(out, a, x);
    }
    put_const(out, b, gap);
}

static void put_linear(struct buf *out, const int64_t *n, char x, const char *gap, bool swapped)
{
    for (int side = 0; side < 2; side++) {
        if (side)
            buf_printf(out, "%s=%s", gap, gap);
        if ((side == 1) != swapped)
            put_side(out, n[LIN_K], n[LIN_Q], n[LIN_D], x, gap);
        else
            put_side(out, n[LIN_A], n[LIN_P], n[LIN_B], x, gap);
    }
}

static const char *const solve_words[] = {
    "Solve {} for {?}.",
    "Solve for {?}: {}",
    "Solve {}.",
    "Find {?} if {}.",
    "If {}, what is {?}?",
    "What is {?} if {}?",
    "Solve the equation {}.",
    "Find the value of {?}: {}",
    "{}, what is {?}?",
    "Given {}, find {?}.",
    "{}\nWhat is {?}?",
    "What value of {?} satisfies {}?",
    "solve {}",
    "Determine {?} when {}.",
    "{}. Find {?}.",
    "{}",
    "What is the solution of {}?",
    "Please solve {}.",
    "Can you solve {} for {?}?",
    "Suppose {}. What is {?}?",
    "Find the number {?} for which {}.",
    "{}, {?} = ?",
    "Calculate {?} from {}.",
    "I have the equation {}. What is {?}?",
    "!For which {?} does {} hold?",
    "!Please find the unknown {?} in {}.",
    "!Work out {?}, given that {}.",
};

static bool ask_linear(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    struct buf e = { 0 };
    put_linear(&e, c->n, (char)c->pick, rng_below(t->rng, 2) ? " " : "", c->n[LIN_SWAP]);
    bool held = ask_words(c, t, withheld, WORDINGS(solve_words), buf_str(&e), (char)c->pick);
    buf_free(&e);
    return held;
}

/* The equation as it is now; compact working leaves it out, and so does what is solved. */
static void again_linear(struct exam_text *t, const int64_t *n, char x)
{
    bool solved = n[LIN_A] == 1 && !n[LIN_P] && !n[LIN_B] && !n[LIN_K];
    if (t->effort == EXAM_LOW || solved)
        return;
    put_linear(t->trace, n, x, "", false);
    buf_putc(t->trace, '\n');
}

static void expand(struct exam_text *t, int64_t *n)
{
    for (int side = 0; side < 2; side++) {
        int64_t *s = n + 3 * side;
        if (s[1] == 0)
            continue;
        int64_t product = steps_signed(t, t->trace, '*', s[0], s[1]);
        s[2] = s[2] ? steps_signed(t, t->trace, '+', product, s[2]) : product;
        s[1] = 0;
    }
}

static void gather(struct exam_text *t, int64_t *n, char x, bool constants)
{
    if (constants && n[LIN_B]) {
        n[LIN_D] = steps_signed(t, t->trace, '-', n[LIN_D], n[LIN_B]);
        n[LIN_B] = 0;
        again_linear(t, n, x);
    } else if (!constants && n[LIN_K]) {
        n[LIN_A] = steps_signed(t, t->trace, '-', n[LIN_A], n[LIN_K]);
        n[LIN_K] = 0;
        again_linear(t, n, x);
    }
}

static int64_t substitute(struct exam_text *t, struct buf *out, const int64_t *side, int64_t x)
{
    int64_t value = side[1] ? steps_signed(t, out, '+', x, side[1]) : x;
    if (side[0] == 0)
        return side[2];
    if (side[0] != 1)
        value = steps_signed(t, out, '*', side[0], value);
    return side[2] ? steps_signed(t, out, '+', value, side[2]) : value;
}

static void solve_linear(const struct exam_case *c, struct exam_text *t)
{
    int64_t n[LIN_SWAP];
    char x = (char)c->pick;
    memcpy(n, c->n, sizeof n);
    if (c->n[LIN_SWAP] && t->effort != EXAM_LOW) {
        put_linear(t->trace, n, x, "", true);
        buf_putc(t->trace, '\n');
    }
    put_linear(t->trace, n, x, "", false);
    buf_putc(t->trace, '\n');
    bool other = t->route ? !(c->key >> 8 & 1) : c->key >> 8 & 1;
    if (n[LIN_P] && n[LIN_B] == 0 && n[LIN_K] == 0 && other) { /* divide before the parenthesis is opened */
        n[LIN_D] = steps_signed(t, t->trace, '/', n[LIN_D], n[LIN_A]);
        n[LIN_B] = n[LIN_P];
        n[LIN_P] = 0;
        n[LIN_A] = 1;
        again_linear(t, n, x);
    } else if (n[LIN_P] || n[LIN_Q]) {
        expand(t, n);
        again_linear(t, n, x);
    }
    gather(t, n, x, other);
    gather(t, n, x, !other);
    int64_t value = n[LIN_A] == 1 ? n[LIN_D] : steps_signed(t, t->trace, '/', n[LIN_D], n[LIN_A]);
    value = steps_line(t, t->trace, value, "%c", x);
    check_begin(t->recheck);
    int64_t left = substitute(t, t->recheck, c->n, value);
    check_equal(t->recheck, left, substitute(t, t->recheck, c->n + 3, value));
    answer_int(t, value);
}

const struct exam_family family_linear = {
    .name = "linear",
    .what =
        "equations: x+b=c, ax=c, ax+b=c, ax+b=kx+d, three digits, a(x+p)+b=d, a(x+p)+b=kx+d, two parentheses",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_linear,
    .ask = ask_linear,
    .solve = solve_linear,
    .check = check_number,
};

/* --- two equations: ax+by=e, cx+dy=f; n = a, b, e, c, d, f, x, y --- */

static const char pairs[][3] = { "xy", "xy", "xy", "ab", "mn", "pq", "uv", "st" };

static int64_t draw_factor(struct rng *rng, int level)
{
    static const int64_t top[] = { 1, 3, 5, 7, 9, 12, 20, 40 };
    int64_t value = rng_range(rng, 1, top[level - 1]);
    return level >= 3 && rng_below(rng, 3) == 0 ? -value : value;
}

static void draw_systems(struct rng *rng, int level, struct exam_case *c)
{
    static const int64_t tops[] = { 30, 20, 9, 9, 12, 20, 30, 40 };
    int64_t *n = c->n, top = tops[level - 1];
    do {
        for (int i = 0; i < 5; i++)
            n[i] = draw_factor(rng, level);
        if (level <= 2)
            n[0] = n[1] = 1;
        if (level == 1)
            n[4] = -1;
    } while (n[0] * n[4] == n[1] * n[3]);
    n[6] = rng_range(rng, level <= 3 ? 0 : -top, top);
    n[7] = rng_range(rng, level <= 3 ? 0 : -top, top);
    n[2] = n[0] * n[6] + n[1] * n[7];
    n[5] = n[3] * n[6] + n[4] * n[7];
    c->pick = (int)rng_below(rng, ARRAY_LEN(pairs));
    c->key = case_key("systems", n, 6);
}

static void put_pair(struct buf *out, const int64_t *n, const char *xy, const char *gap)
{
    put_term(out, n[0], xy[0]);
    buf_printf(out, "%s%c%s", gap, n[1] < 0 ? '-' : '+', gap);
    put_term(out, llabs(n[1]), xy[1]);
    buf_printf(out, "%s=%s%lld", gap, gap, (long long)n[2]);
}

static bool ask_systems(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const ask[] = {
        "Solve {}.",
        "Solve the system {}.",
        "Solve the system of equations: {}",
        "Find both unknowns: {}",
        "Find the solution of {}.",
        "{}",
        "What are the unknowns if {}?",
        "Solve these equations: {}.",
        "Solve simultaneously: {}",
        "Given {}, find both values.",
        "Two equations: {}. Solve them.",
        "solve {}",
        "Which values satisfy {}?",
        "Please solve the two equations {}.",
        "What is the solution of the system {}?",
        "!Find the pair that solves {}.",
        "!Work out both letters from {}.",
    };
    static const char *const joins[] = { " and ", ", ", "; ", " and ", "\n" };
    struct buf e = { 0 };
    const char *gap = rng_below(t->rng, 2) ? " " : "";
    put_pair(&e, c->n, pairs[c->pick], gap);
    buf_puts(&e, joins[rng_below(t->rng, ARRAY_LEN(joins))]);
    put_pair(&e, c->n + 3, pairs[c->pick], gap);
    bool held = ask_words(c, t, withheld, WORDINGS(ask), buf_str(&e), 0);
    buf_free(&e);
    return held;
}

/* p*q - r*s, the way a variable is eliminated */
static int64_t cross(struct exam_text *t, int64_t p, int64_t q, int64_t r, int64_t s)
{
    int64_t left = steps_signed(t, t->trace, '*', p, q), right = steps_signed(t, t->trace, '*', r, s);
    return steps_signed(t, t->trace, '-', left, right);
}

/* "3x=12" and its solution; the last line is "x=4" */
static int64_t divide_out(struct exam_text *t, int64_t factor, char x, int64_t value)
{
    if (factor != 1) {
        put_term(t->trace, factor, x);
        buf_printf(t->trace, "=%lld\n", (long long)value);
        value = steps_signed(t, t->trace, '/', value, factor);
    }
    return steps_line(t, t->trace, value, "%c", x);
}

static void solve_systems(const struct exam_case *c, struct exam_text *t)
{
    const int64_t *n = c->n;
    const char *xy = pairs[c->pick];
    int64_t v[2];
    int first = (int)(c->key >> 8 & 1) ^ (t->route != 0), second = !first; /* what is found first */
    for (int i = 0; i < 2; i++) {
        put_pair(t->trace, n + 3 * i, xy, "");
        buf_putc(t->trace, '\n');
    }
    int64_t factor = cross(t, n[first], n[3 + second], n[3 + first], n[second]);
    int64_t value = cross(t, n[2], n[3 + second], n[5], n[second]);
    v[first] = divide_out(t, factor, xy[first], value);
    int64_t known = n[first] == 1 ? v[first] : steps_signed(t, t->trace, '*', n[first], v[first]);
    v[second] = divide_out(t, n[second], xy[second], steps_signed(t, t->trace, '-', n[2], known));
    check_begin(t->recheck);
    int64_t left[2], right[2] = { n[2], n[5] };
    for (int i = 0; i < 2; i++) {
        int64_t x = steps_signed(t, t->recheck, '*', n[3 * i], v[0]);
        int64_t y = steps_signed(t, t->recheck, '*', n[3 * i + 1], v[1]);
        left[i] = steps_signed(t, t->recheck, '+', x, y);
    }
    check_equal(t->recheck, left[left[0] == right[0]], right[left[0] == right[0]]);
    answer_put(t, "%c=%lld, %c=%lld", xy[0], (long long)v[0], xy[1], (long long)v[1]);
}

const struct exam_family family_systems = {
    .name = "systems",
    .what = "two linear equations: factors to 1, 3, 5, 7, 9, 12, 20, 40",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_systems,
    .ask = ask_systems,
    .solve = solve_systems,
    .check = check_named,
};

/* --- quadratic equations: a(x-r)(x-s)=0; n = a, b, c of ax^2+bx+c=0, r <= s, and 1 if c stands right --- */

static void draw_quadratic(struct rng *rng, int level, struct exam_case *c)
{
    static const int64_t top[] = { 5, 9, 9, 12, 30, 15, 45, 60 };
    int64_t *n = c->n, size = top[level - 1], r = rng_range(rng, 1, size), s = rng_range(rng, 1, size);
    if (level >= 2 && rng_below(rng, 2))
        r = -r;
    if (level >= 2 && rng_below(rng, 2))
        s = -s;
    if (level == 3 && rng_below(rng, 2))
        s = -r;
    int64_t a = level == 6 || level == 8 ? rng_range(rng, 2, level == 6 ? 5 : 9) : 1;
    n[0] = a;
    n[1] = -a * (r + s);
    n[2] = a * r * s;
    n[3] = r < s ? r : s;
    n[4] = r < s ? s : r;
    n[5] = level >= 3 && rng_below(rng, 3) == 0;
    c->pick = unknowns[rng_below(rng, sizeof unknowns - 1)];
    c->few = level <= 4;
    c->key = case_key("quadratic", n, 3);
}

static void put_quadratic(struct buf *out, const int64_t *n, char x, const char *gap, bool moved)
{
    if (n[0] != 1)
        put_whole(out, n[0]);
    buf_printf(out, "%c^2", x);
    if (n[1]) {
        buf_printf(out, "%s%c%s", gap, n[1] < 0 ? '-' : '+', gap);
        put_term(out, llabs(n[1]), x);
    }
    if (!moved)
        put_const(out, n[2], gap);
    buf_printf(out, "%s=%s%lld", gap, gap, (long long)(moved ? -n[2] : 0));
}

static bool ask_quadratic(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const ask[] = {
        "Solve {}.",
        "Solve {} for {?}.",
        "Find all solutions of {}.",
        "What are the roots of {}?",
        "Find the roots of {}.",
        "Solve the quadratic equation {}.",
        "{}",
        "Solve for {?}: {}",
        "Which numbers {?} satisfy {}?",
        "Find {?} if {}.",
        "solve {}",
        "What are the solutions of the equation {}?",
        "Determine every {?} with {}.",
        "Please solve {}.",
        "If {}, what can {?} be?",
        "!For what values of {?} is {}?",
        "!Give the solutions of {}.",
    };
    struct buf e = { 0 };
    put_quadratic(&e, c->n, (char)c->pick, rng_below(t->rng, 2) ? " " : "", c->n[5]);
    bool held = ask_words(c, t, withheld, WORDINGS(ask), buf_str(&e), (char)c->pick);
    buf_free(&e);
    return held;
}

/* The root of a square: between which tens it lies, then the number itself. */
static int64_t square_root(struct exam_text *t, int64_t square)
{
    int64_t root = 0;
    while (root * root < square)
        root++;
    int64_t tens = root / 10 * 10;
    if (root > 10 && root != tens) {
        steps_line(t, t->trace, tens * tens, "%lld*%lld", (long long)tens, (long long)tens);
        steps_line(t, t->trace, (tens + 10) * (tens + 10), "%lld*%lld", (long long)tens + 10,
                   (long long)tens + 10);
    }
    steps_apply(t, t->trace, '*', root, root);
    return root;
}

/* By the formula: b*b-4c, its root, and half of -b less and more the root. */
static void by_formula(struct exam_text *t, int64_t b, int64_t c, char x, int64_t out[2])
{
    int64_t square = steps_apply(t, t->trace, '*', llabs(b), llabs(b));
    int64_t four = steps_signed(t, t->trace, '*', 4, c);
    int64_t root = square_root(t, steps_signed(t, t->trace, '-', square, four));
    for (int i = 0; i < 2; i++) {
        int64_t twice = root ? steps_signed(t, t->trace, i ? '+' : '-', -b, root) : -b;
        int64_t half = steps_signed(t, t->trace, '/', twice, 2);
        out[i] = steps_line(t, t->trace, half, "%c", x);
        if (root == 0) {
            out[1] = out[0];
            return;
        }
    }
}

/* By factors: pairs with the product c until their sum is -b. */
static void by_factors(struct exam_text *t, int64_t b, int64_t c, char x, int64_t out[2])
{
    for (int64_t i = 1; i * i <= llabs(c); i++) {
        if (c % i)
            continue;
        int64_t other = c / i, sign = i + other == -b || (i + other < 0) == (-b < 0) ? 1 : -1;
        int64_t p = i * sign, q = other * sign;
        steps_signed(t, t->trace, '+', p, q);
        if (p + q != -b)
            continue;
        out[0] = steps_line(t, t->trace, p < q ? p : q, "%c", x);
        out[1] = p == q ? out[0] : steps_line(t, t->trace, p < q ? q : p, "%c", x);
        return;
    }
}

/* What stands before x^2 was divided away, so it is written down again before it is multiplied with. */
static int64_t value_at(struct exam_text *t, const int64_t *n, char name, int64_t x)
{
    struct buf *out = t->recheck;
    if (n[0] != 1) {
        put_quadratic(out, n, name, "", false);
        buf_putc(out, '\n');
    }
    int64_t square = steps_signed(t, out, '*', x, x);
    if (n[0] != 1)
        square = steps_apply(t, out, '*', n[0], square);
    int64_t sum = n[1] ? steps_signed(t, out, '+', square, steps_signed(t, out, '*', n[1], x)) : square;
    return steps_signed(t, out, '+', sum, n[2]);
}

static void solve_quadratic(const struct exam_case *c, struct exam_text *t)
{
    int64_t n[3] = { c->n[0], c->n[1], c->n[2] }, roots[2] = { 0, 0 };
    char x = (char)c->pick;
    put_quadratic(t->trace, n, x, "", false);
    buf_putc(t->trace, '\n');
    if (n[0] != 1) {
        for (int i = 1; i < 3; i++)
            n[i] = n[i] ? steps_signed(t, t->trace, '/', n[i], n[0]) : 0;
        n[0] = 1;
        put_quadratic(t->trace, n, x, "", false);
        buf_putc(t->trace, '\n');
    }
    (t->route ? by_factors : by_formula)(t, n[1], n[2], x, roots);
    check_begin(t->recheck);
    int64_t left = value_at(t, c->n, x, roots[0]);
    if (left == 0 && roots[1] != roots[0])
        left = value_at(t, c->n, x, roots[1]);
    check_equal(t->recheck, left, 0);
    if (roots[0] == roots[1])
        answer_put(t, "%c=%lld", x, (long long)roots[0]);
    else
        answer_put(t, "%c=%lld, %c=%lld", x, (long long)roots[0], x, (long long)roots[1]);
}

const struct exam_family family_quadratic = {
    .name = "quadratic",
    .what = "whole roots: to 5, 9, 9, 12, 30, 15 with a factor, 45, 60 with a factor",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_quadratic,
    .ask = ask_quadratic,
    .solve = solve_quadratic,
    .check = check_set,
};
