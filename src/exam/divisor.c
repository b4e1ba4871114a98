/*
 * divisor.c - greatest common divisors, least common multiples, prime factors and divisors.
 */
#include "exam/exam_impl.h"

#include <stdio.h>

#define FACTORS_MAX 20

/* Both orders of a pair are one case. */
static uint64_t pair_key(const char *kind, const int64_t *n)
{
    int64_t s[2] = { n[0] < n[1] ? n[0] : n[1], n[0] < n[1] ? n[1] : n[0] };
    return case_key(kind, s, 2);
}

/* "84 and 30", or "84, 30" where the wording says {,} */
static bool ask_pair_of(const struct exam_case *c, struct exam_text *t, bool withheld, struct wordings w)
{
    struct buf e = { 0 };
    bool held;
    const char *wording = wording_pick(t->rng, w, withheld, &held);
    for (; *wording; wording++) {
        if (wording[0] != '{') {
            buf_putc(t->question, *wording);
            continue;
        }
        const char *join = wording[1] == ',' ? (rng_below(t->rng, 2) ? ", " : ",") : " and ";
        buf_printf(t->question, "%lld%s%lld", (long long)c->n[0], join, (long long)c->n[1]);
        wording += wording[1] == ',' ? 2 : 1;
    }
    buf_free(&e);
    return held;
}

/* --- greatest common divisor: n = a, b --- */

static void draw_gcd(struct rng *rng, int level, struct exam_case *c)
{
    static const int64_t top[EXAM_LEVELS_MAX] = { 30, 99, 300, 999, 9999, 9999, 99999, 999999 };
    int64_t max = top[level - 1], g = 1;
    /* levels 4 and 5: three-digit with three- and four-digit numbers */
    int64_t other = level == 5 ? (rng_below(rng, 2) ? 999 : 9999) : max;
    /* half of the cases are built around a common factor, or most answers would be 1 */
    if (rng_below(rng, 2))
        g = rng_range(rng, 2, max / 4 < 99 ? max / 4 : 99);
    c->n[0] = g * rng_range(rng, 1, max / g);
    c->n[1] = g * rng_range(rng, 1, other / g);
    c->key = pair_key("gcd", c->n);
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
        "gcd of {}",
        "What is the greatest common factor of {}?",
        "Find the GCF of {}.",
        "Compute the greatest common divisor of {}.",
        "What is the biggest number dividing both {}?",
        "gcd({,}) = ?",
        "!Determine the greatest common divisor of {}.",
        "!Which is the biggest integer dividing {}?",
    };
    return ask_pair_of(c, t, withheld, WORDINGS(ask));
}

static void solve_gcd(const struct exam_case *c, struct exam_text *t)
{
    int64_t g = steps_line(t, t->trace, steps_gcd(t, t->trace, c->n[0], c->n[1]), "gcd"), rest[2];
    check_begin(t->recheck);
    for (int i = 0; i < 2; i++)
        steps_div(t, t->recheck, c->n[i], g, rest + i);
    check_equal(t->recheck, rest[0] ? rest[0] : rest[1], 0);
    answer_int(t, g);
}

const struct exam_family family_gcd = {
    .name = "gcd",
    .what = "greatest common divisors: to 30, 99, 300, 999, four and three digits, 4, 5, 6 digits",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_gcd,
    .ask = ask_gcd,
    .solve = solve_gcd,
    .check = check_number,
};

/* --- least common multiple: n = a, b --- */

static void draw_lcm(struct rng *rng, int level, struct exam_case *c)
{
    static const int64_t top[EXAM_LEVELS_MAX] = { 12, 20, 40, 99, 300, 500, 999, 2500 };
    int64_t max = top[level - 1], g = rng_range(rng, 1, level < 3 ? 6 : 20);
    for (int i = 0; i < 2; i++)
        c->n[i] = g * rng_range(rng, 1, max / g ? max / g : 1);
    c->few = level == 1;
    c->key = pair_key("lcm", c->n);
}

static bool ask_lcm(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const ask[] = {
        "What is the least common multiple of {}?",
        "Find the lcm of {}.",
        "What is the LCM of {}?",
        "Compute lcm({,}).",
        "lcm({,})",
        "Find the least common multiple of {}.",
        "Find the lowest common multiple of {}.",
        "What is lcm({,})?",
        "What is the smallest number that both {} divide?",
        "Calculate the least common multiple of {}.",
        "LCM of {}",
        "lcm of {}",
        "What is the lowest common multiple of {}?",
        "lcm({,}) = ?",
        "Which is the smallest positive multiple of both {}?",
        "!Determine the least common multiple of {}.",
        "!What is the first number that is a multiple of both {}?",
    };
    return ask_pair_of(c, t, withheld, WORDINGS(ask));
}

/* The other way: multiples of the larger until the smaller divides one. Only where few are needed. */
static int64_t lcm_by_multiples(struct exam_text *t, int64_t a, int64_t b)
{
    int64_t large = a < b ? b : a, small = a < b ? a : b, value = large, rest;
    for (;;) {
        rest = value % small;
        steps_mod(t, t->trace, value, small);
        if (rest == 0)
            return value;
        value = steps_apply(t, t->trace, '+', value, large);
    }
}

static void solve_lcm(const struct exam_case *c, struct exam_text *t)
{
    int64_t a = c->n[0], b = c->n[1], g = gcd_of(a, b), small = a < b ? a : b, value, rest[2];
    if (t->route && small / g <= 6) {
        struct exam_text quiet = *t; /* a slip there could end the list early */
        quiet.slip_at = -1;
        value = lcm_by_multiples(&quiet, a, b);
    } else {
        g = steps_line(t, t->trace, steps_gcd(t, t->trace, a, b), "gcd");
        bool turn = t->route ? !(c->key >> 8 & 1) : c->key >> 8 & 1;
        value = steps_apply(t, t->trace, '/', turn ? b : a, gcd_of(a, b));
        value = steps_apply(t, t->trace, '*', turn ? a : b, value);
    }
    value = steps_line(t, t->trace, value, "lcm");
    check_begin(t->recheck);
    for (int i = 0; i < 2; i++)
        steps_div(t, t->recheck, value, c->n[i], rest + i);
    check_equal(t->recheck, rest[0] ? rest[0] : rest[1], 0);
    answer_int(t, value);
}

const struct exam_family family_lcm = {
    .name = "lcm",
    .what = "least common multiples: numbers to 12, 20, 40, 99, 300, 500, 999, 2500",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_lcm,
    .ask = ask_lcm,
    .solve = solve_lcm,
    .check = check_number,
};

/* --- prime factors: n = number; pick = what is asked of it --- */

enum { DIV_PRIME, DIV_FACTORS, DIV_COUNT, DIV_SUM, DIV_LARGEST, DIV_KINDS };

/* The primes of n with their exponents. */
struct factors {
    int64_t prime[FACTORS_MAX];
    int power[FACTORS_MAX];
    int count;
};

static void put_power(struct buf *out, int64_t prime, int power)
{
    put_whole(out, prime);
    if (power > 1)
        buf_printf(out, "^%d", power);
}

static void put_factors(struct buf *out, const struct factors *f)
{
    for (int i = 0; i < f->count; i++) {
        buf_puts(out, i ? "*" : "");
        put_power(out, f->prime[i], f->power[i]);
    }
}

static bool is_prime(int64_t n)
{
    for (int64_t d = 2; d * d <= n; d++)
        if (n % d == 0)
            return false;
    return n > 1;
}

static void add_prime(struct factors *f, int64_t prime)
{
    int at = 0;
    while (at < f->count && f->prime[at] != prime)
        at++;
    if (at == f->count)
        f->prime[f->count++] = prime;
    f->power[at]++;
}

/* Trial division: every prime in turn, as often as it divides, until its square is larger than what is left. */
static struct factors factorise(struct exam_text *t, int64_t n)
{
    struct factors f = { .count = 0 };
    for (int64_t p = 2; n > 1; p++) {
        int64_t rest;
        if (!is_prime(p))
            continue;
        if (p * p > n) {
            if (n > 3)
                buf_printf(t->trace, "%lld*%lld>%lld\n", (long long)p, (long long)p, (long long)n);
            add_prime(&f, n);
            break;
        }
        for (;;) {
            steps_div(t, t->trace, n, p, &rest);
            if (rest)
                break;
            add_prime(&f, p);
            n /= p;
            if (n < p * p)
                break;
        }
    }
    for (int i = 1; i < f.count; i++) /* the last prime found may be one that was there already: keep order */
        if (f.prime[i] < f.prime[i - 1]) {
            int64_t prime = f.prime[i];
            int power = f.power[i];
            f.prime[i] = f.prime[i - 1];
            f.power[i] = f.power[i - 1];
            f.prime[i - 1] = prime;
            f.power[i - 1] = power;
        }
    return f;
}

/* The last prime that trial division has to try. */
static int64_t last_trial(int64_t n)
{
    int64_t p = 2;
    for (; p * p <= n; p++)
        while (n % p == 0 && n > p)
            n /= p;
    return p;
}

/* Smooth numbers have many divisors; half of the cases are such. The others need no long row of trials. */
static int64_t draw_number(struct rng *rng, int64_t max, int64_t trials)
{
    static const int primes[] = { 2, 2, 2, 3, 3, 5, 7, 11, 13 };
    if (rng_below(rng, 2)) {
        int64_t n;
        do {
            n = rng_range(rng, max / 10 + 2, max);
        } while (last_trial(n) > trials);
        return n;
    }
    int64_t n = 1;
    for (;;) {
        int64_t p = primes[rng_below(rng, ARRAY_LEN(primes))];
        if (n * p > max)
            return n < 2 ? 2 : n;
        n *= p;
    }
}

static void draw_divisors(struct rng *rng, int level, struct exam_case *c)
{
    static const int64_t top[EXAM_LEVELS_MAX] = { 50, 100, 200, 500, 1000, 2500, 5000, 12000 };
    static const int64_t trials[EXAM_LEVELS_MAX] = { 11, 11, 13, 13, 14, 18, 20, 24 };
    c->n[0] = draw_number(rng, top[level - 1], trials[level - 1]);
    c->pick = (int)rng_below(rng, level <= 2 ? DIV_FACTORS + 1 : DIV_KINDS);
    c->few = level <= 2;
    const int64_t id[] = { c->n[0] };
    c->key = case_key("divisors", id, 1);
}

static bool ask_divisors(const struct exam_case *c, struct exam_text *t, bool withheld)
{
    static const char *const prime[] = {
        "Is {a} a prime number?",        "Is {a} prime?",
        "Is the number {a} prime?",      "Check whether {a} is prime.",
        "Tell me if {a} is a prime.",    "is {a} prime",
        "Can you tell if {a} is prime?", "!Find out whether {a} is a prime number.",
    };
    static const char *const factors[] = {
        "What is the prime factorization of {a}?",
        "Factor {a} into primes.",
        "Write {a} as a product of primes.",
        "Find the prime factors of {a}.",
        "Factorise {a}.",
        "Factorize {a}",
        "Give the prime factorisation of {a}.",
        "Decompose {a} into prime factors.",
        "prime factorization of {a}",
        "!Break {a} down into prime factors.",
    };
    static const char *const count[] = {
        "How many divisors does {a} have?",
        "How many positive divisors does {a} have?",
        "Count the divisors of {a}.",
        "What is the number of divisors of {a}?",
        "Find the number of positive divisors of {a}.",
        "How many whole numbers divide {a}?",
        "How many factors does {a} have?",
        "!By how many positive integers is {a} divisible?",
    };
    static const char *const sum[] = {
        "What is the sum of the divisors of {a}?",
        "Find the sum of all positive divisors of {a}.",
        "Add up all divisors of {a}.",
        "What do the positive divisors of {a} add up to?",
        "Calculate the sum of divisors of {a}.",
        "!What is the total of all the divisors of {a}?",
    };
    static const char *const largest[] = {
        "What is the largest prime factor of {a}?",    "Find the greatest prime factor of {a}.",
        "What is the biggest prime that divides {a}?", "largest prime factor of {a}",
        "Find the largest prime divisor of {a}.",      "!Which is the highest prime factor of {a}?",
    };
    const struct wordings words[DIV_KINDS] = { WORDINGS(prime), WORDINGS(factors), WORDINGS(count),
                                               WORDINGS(sum), WORDINGS(largest) };
    return ask_words(c, t, withheld, words[c->pick], (struct str){ 0 }, 0);
}

/* One factor for each prime: its power plus one, or 1 + p + ... + p^k. */
static int64_t multiply_out(struct exam_text *t, const struct factors *f, bool sums)
{
    int64_t total = 0;
    for (int i = 0; i < f->count; i++) {
        int at = t->route ? f->count - 1 - i : i;
        int64_t part = f->power[at] + 1, power = 1;
        if (!sums)
            steps_line(t, t->trace, part, "%d+1", f->power[at]);
        else
            part = 1;
        for (int k = 0; sums && k < f->power[at]; k++) {
            power = k ? steps_apply(t, t->trace, '*', power, f->prime[at]) : f->prime[at];
            part = steps_apply(t, t->trace, '+', part, power);
        }
        total = i ? steps_apply(t, t->trace, '*', total, part) : part;
    }
    return total;
}

static void check_factors(struct exam_text *t, const struct factors *f, int64_t n)
{
    int64_t back = 1;
    check_begin(t->recheck);
    for (int i = 0; i < f->count; i++)
        for (int k = 0; k < f->power[i]; k++)
            back = back == 1 ? f->prime[i] : steps_apply(t, t->recheck, '*', back, f->prime[i]);
    check_equal(t->recheck, back, n);
}

static void solve_divisors(const struct exam_case *c, struct exam_text *t)
{
    struct buf product = { 0 };
    struct factors f = factorise(t, c->n[0]);
    put_factors(&product, &f);
    buf_printf(t->trace, "%lld=%s\n", (long long)c->n[0], product.ptr);
    check_factors(t, &f, c->n[0]);
    switch (c->pick) {
    case DIV_PRIME: answer_put(t, "%s", f.count == 1 && f.power[0] == 1 ? "yes" : "no"); break;
    case DIV_FACTORS: answer_put(t, "%s", product.ptr); break;
    case DIV_LARGEST: answer_int(t, f.prime[f.count - 1]); break;
    default: answer_int(t, multiply_out(t, &f, c->pick == DIV_SUM)); break;
    }
    buf_free(&product);
}

const struct exam_family family_divisors = {
    .name = "divisors",
    .what = "primes, prime factors, count and sum of divisors: to 50, 100, 200, 500, 1000, 2500, 5000, 12000",
    .levels = 8,
    .train_levels = 7,
    .routes = 2,
    .draw = draw_divisors,
    .ask = ask_divisors,
    .solve = solve_divisors,
    .check = check_product,
};
