/*
 * number.c - linear equations and greatest common divisors.
 */
#include "exam/exam_impl.h"

#include <stdlib.h>

/* --- linear equations: n = a, b, c, d, x with a*x + b = c*x + d, or a*(x + b) = d at level 6 --- */

static void draw_linear(struct rng *rng, int level, struct exam_case *c)
{
    int64_t x = rng_range(rng, level >= 4 ? -12 : 0, level >= 3 ? 25 : 60), a = 1, b = 0, k = 0;
    switch (level) {
    case 1: b = rng_range(rng, -60, 99); break;
    case 2: a = rng_range(rng, 2, 12); break;
    case 3:
        a = rng_range(rng, 2, 12);
        b = rng_range(rng, 1, 60);
        break;
    case 4:
        a = rng_range(rng, 2, 15);
        b = rng_range(rng, -99, 99);
        break;
    case 5:
        k = rng_range(rng, 1, 9);
        a = k + rng_range(rng, 1, 9);
        b = rng_range(rng, -50, 50);
        break;
    default:
        a = rng_range(rng, 2, 12);
        b = rng_range(rng, -20, 20);
        break;
    }
    if (b == 0 && level != 2)
        b = 7;
    c->n[0] = a;
    c->n[1] = b;
    c->n[2] = k;
    c->n[3] = level == 6 ? a * (x + b) : a * x + b - k * x;
    c->n[4] = x;
    c->key = case_key("linear", c->n, 4);
}

static void put_term(struct buf *out, int64_t factor, char name)
{
    if (factor == 1)
        buf_putc(out, name);
    else
        buf_printf(out, "%lld%c", (long long)factor, name);
}

static void put_const(struct buf *out, int64_t value, const char *gap)
{
    if (value)
        buf_printf(out, "%s%c%s%lld", gap, value < 0 ? '-' : '+', gap, (long long)llabs(value));
}

static void put_equation(struct buf *out, const struct exam_case *c, char name, const char *gap)
{
    if (c->level == 6) {
        buf_printf(out, "%lld(%c", (long long)c->n[0], name);
        put_const(out, c->n[1], gap);
        buf_putc(out, ')');
    } else {
        put_term(out, c->n[0], name);
        put_const(out, c->n[1], gap);
    }
    buf_printf(out, "%s=%s", gap, gap);
    if (c->n[2]) {
        put_term(out, c->n[2], name);
        put_const(out, c->n[3], gap);
    } else {
        buf_printf(out, "%lld", (long long)c->n[3]);
    }
}

static const char *const solve_words[] = {
    "Solve {} for @.",
    "Solve for @: {}",
    "Solve {}.",
    "Find @ if {}.",
    "If {}, what is @?",
    "What is @ if {}?",
    "Solve the equation {}.",
    "Find the value of @: {}",
    "{}, what is @?",
    "Given {}, find @.",
    "{}\nWhat is @?",
    "What value of @ satisfies {}?",
    "solve {}",
    "Determine @ when {}.",
    "{}. Find @.",
    "!For which @ does {} hold?",
    "!Please find the unknown @ in {}.",
};

static bool ask_linear(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char names[] = "xxxxxynzatk";
    char name = names[rng_below(t->rng, sizeof names - 1)];
    struct buf e = { 0 };
    bool held;
    const char *w = wording_pick(t->rng, WORDINGS(solve_words), withheld, &held);
    put_equation(&e, c, name, rng_below(t->rng, 2) ? " " : "");
    for (; *w; w++) {
        if (w[0] == '{') {
            buf_put_str(t->question, buf_str(&e));
            w++;
        } else {
            buf_putc(t->question, *w == '@' ? name : *w);
        }
    }
    buf_free(&e);
    return held;
}

/* "head=a-b=value" where the sign of b has been resolved. */
static int64_t move_const(struct exam_text *t, int64_t a, int64_t b)
{
    struct buf *out = t->trace;
    buf_printf(out, "%lld%c%lld=%lld\n", (long long)a, b > 0 ? '-' : '+', (long long)llabs(b),
               (long long)(a - b));
    return a - b;
}

static void solve_linear(const struct exam_case *c, struct exam_text *t)
{
    int64_t a = c->n[0], b = c->n[1], k = c->n[2], d = c->n[3], x = c->n[4];
    struct buf *out = t->trace, *check = t->recheck;
    if (t->effort >= EXAM_MEDIUM) {
        put_equation(out, c, 'x', "");
        buf_putc(out, '\n');
    }
    if (c->level == 6) {
        buf_printf(out, "%lld/%lld=%lld\n", (long long)d, (long long)a, (long long)(d / a));
        buf_puts(out, "x");
        put_const(out, b, "");
        buf_printf(out, "=%lld\n", (long long)(d / a));
        move_const(t, d / a, b);
    } else {
        if (k) {
            buf_printf(out, "%lldx-%lldx=%lldx\n", (long long)a, (long long)k, (long long)(a - k));
            a -= k;
        }
        int64_t right = b ? move_const(t, d, b) : d;
        if (a > 1 && (b || k || t->effort == EXAM_LOW)) {
            put_term(out, a, 'x');
            buf_printf(out, "=%lld\n", (long long)right);
        }
        if (a > 1)
            buf_printf(out, "%lld/%lld=%lld\n", (long long)right, (long long)a, (long long)(right / a));
    }
    buf_printf(out, "x=%lld\n", (long long)x);
    buf_puts(check, "check\n");
    if (c->level == 6) {
        buf_printf(check, "%lld%c%lld=%lld\n", (long long)x, b < 0 ? '-' : '+', (long long)llabs(b),
                   (long long)(x + b));
        buf_printf(check, "%lld*%lld=%lld\n", (long long)c->n[0], (long long)(x + b), (long long)d);
    } else {
        if (c->n[0] != 1)
            buf_printf(check, "%lld*%lld=%lld\n", (long long)c->n[0], (long long)x, (long long)(c->n[0] * x));
        if (b)
            buf_printf(check, "%lld%c%lld=%lld\n", (long long)(c->n[0] * x), b < 0 ? '-' : '+',
                       (long long)llabs(b), (long long)(c->n[0] * x + b));
        if (k) {
            buf_printf(check, "%lld*%lld=%lld\n", (long long)k, (long long)x, (long long)(k * x));
            buf_printf(check, "%lld%c%lld=%lld\n", (long long)(k * x), d < 0 ? '-' : '+', (long long)llabs(d),
                       (long long)(k * x + d));
        }
    }
    buf_puts(check, "ok\n");
    answer_int(t, x);
}

const struct exam_family family_linear = {
    .name = "linear",
    .what = "linear equations: 1 x+b=c, 2 ax=c, 3-4 ax+b=c, 5 x on both sides, 6 a(x+b)=c",
    .levels = 6,
    .draw = draw_linear,
    .ask = ask_linear,
    .solve = solve_linear,
    .check = check_number,
};

/* --- greatest common divisor: n = a, b --- */

static int64_t gcd_of(int64_t a, int64_t b)
{
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static void draw_gcd(struct rng *rng, int level, struct exam_case *c)
{
    static const int64_t top[] = { 30, 99, 300, 999, 9999 };
    int64_t max = top[level - 1], g = 1, a, b;
    /* half of the cases are built around a common factor, or most answers would be 1 */
    if (rng_below(rng, 2))
        g = rng_range(rng, 2, max / 4 < 60 ? max / 4 : 60);
    a = g * rng_range(rng, 1, max / g);
    b = g * rng_range(rng, 1, max / g);
    c->n[0] = a;
    c->n[1] = b;
    int64_t s[2] = { a < b ? a : b, a < b ? b : a };
    c->key = case_key("gcd", s, 2);
}

static bool ask_gcd(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const ask[] = {
        "What is the greatest common divisor of {}?",
        "Find the gcd of {}.",
        "What is the GCD of {}?",
        "Compute gcd({,}).",
        "gcd({,})",
        "Find the greatest common divisor of {}.",
        "Find the greatest common factor of {}.",
        "What is gcd({,})?",
        "What is the largest number that divides both {}?",
        "Calculate the highest common factor of {}.",
        "What is the HCF of {}?",
        "Use Euclid's algorithm to find the gcd of {}.",
        "GCD of {}",
        "!Determine the greatest common divisor of {}.",
        "!Which is the biggest integer dividing {}?",
    };
    bool held;
    for (const char *w = wording_pick(t->rng, WORDINGS(ask), withheld, &held); *w; w++) {
        if (w[0] != '{') {
            buf_putc(t->question, *w);
            continue;
        }
        const char *join = w[1] == ',' ? (rng_below(t->rng, 2) ? ", " : ",") : " and ";
        buf_printf(t->question, "%lld%s%lld", (long long)c->n[0], join, (long long)c->n[1]);
        w += w[1] == ',' ? 2 : 1;
    }
    return held;
}

static void solve_gcd(const struct exam_case *c, struct exam_text *t)
{
    int64_t a = c->n[0], b = c->n[1], g = gcd_of(a, b), rest;
    struct buf *out = t->trace;
    if (a < b) {
        a = c->n[1];
        b = c->n[0];
    }
    if (t->effort == EXAM_LOW)
        buf_printf(out, "%lld,%lld", (long long)a, (long long)b);
    while (b) {
        if (t->effort == EXAM_LOW) {
            buf_printf(out, ",%lld", (long long)(a % b));
        } else {
            if (a / b > 1)
                buf_printf(out, "%lld*%lld=%lld\n", (long long)(a / b), (long long)b, (long long)(a / b * b));
            buf_printf(out, "%lld-%lld=%lld\n", (long long)a, (long long)(a / b * b), (long long)(a % b));
        }
        rest = a % b;
        a = b;
        b = rest;
    }
    buf_printf(out, t->effort == EXAM_LOW ? "\n" : "gcd=%lld\n", (long long)g);
    buf_puts(t->recheck, "check\n");
    for (int i = 0; i < 2; i++)
        buf_printf(t->recheck, "%lld/%lld=%lld\n", (long long)c->n[i], (long long)g,
                   (long long)(c->n[i] / g));
    buf_puts(t->recheck, "ok\n");
    answer_int(t, g);
}

const struct exam_family family_gcd = {
    .name = "gcd",
    .what = "greatest common divisors by Euclid: numbers up to 30, 99, 300, 999, 9999",
    .levels = 5,
    .draw = draw_gcd,
    .ask = ask_gcd,
    .solve = solve_gcd,
    .check = check_number,
};
