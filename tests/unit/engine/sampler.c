/*
 * sampler.c - the sampler against a naive one that sorts, and its draws against the distribution.
 *
 * It is tested through engine_impl.h: logits have no front door.
 */
#include "engine/engine_impl.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void random_logits(struct rng *r, float *logits, size_t n)
{
    double spread = 1 + 8 * rng_unit(r);
    for (size_t i = 0; i < n; i++)
        logits[i] = (float)(spread * (rng_unit(r) - 0.5));
    for (size_t ties = rng_below(r, 4); ties-- > 0;)
        logits[rng_below(r, n)] = logits[rng_below(r, n)];
}

static int32_t pick(struct sampler *s, const float *logits, size_t n, double temperature, double top_p,
                    double min_p, double uniform)
{
    struct logit_summary row;
    size_t k = sampler_top(temperature, top_p, min_p);
    kernels_scalar.summarize_logits(logits, n, k, &row);
    return sampler_pick(s, logits, &row, k == TOP_LOGITS && row.n_top < TOP_LOGITS, temperature, top_p, min_p,
                        uniform);
}

struct entry {
    double weight;
    size_t id;
};

static int by_weight(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight < y->weight ? 1 : -1;
    return x->id < y->id ? -1 : 1;
}

/* The definition at the top of sampler.c, written down with a full sort. Fills who stays, and their shares. */
static void naive(const float *logits, size_t n, double temperature, double top_p, double min_p,
                  double *share)
{
    struct entry *e = mem_array(n, sizeof *e);
    double max = -INFINITY, total = 0, above = 0, kept = 0;
    for (size_t i = 0; i < n; i++)
        max = fmax(max, (double)logits[i]);
    for (size_t i = 0; i < n; i++) {
        e[i] = (struct entry){ exp(((double)logits[i] - max) / temperature), i };
        total += e[i].weight;
        share[i] = 0;
    }
    qsort(e, n, sizeof *e, by_weight);
    for (size_t i = 0; i < n; i++) {
        bool stays = i == 0 || ((top_p >= 1 || above < top_p * total) && e[i].weight >= min_p);
        share[e[i].id] = stays ? e[i].weight : 0;
        kept += share[e[i].id];
        above += e[i].weight;
    }
    for (size_t i = 0; i < n; i++)
        share[i] /= kept;
    mem_free(e);
}

/* Draws on an even grid of uniforms come out in proportion to the shares, to within a grid step per token. */
static void agrees_with_sorting(void **state)
{
    (void)state;
    enum { N = 37, GRID = 4096 };
    static const double temperatures[] = { 0.1, 0.7, 1, 2 }, top_ps[] = { 1, 0.95, 0.5, 0.1, 0 },
                        min_ps[] = { 0, 0.02, 0.5, 1 };
    struct rng r;
    rng_init(&r, 1, 0);
    struct sampler *s = sampler_open(&kernels_scalar, N);
    float logits[N];
    double share[N];
    for (size_t i = 0; i < ARRAY_LEN(temperatures) * ARRAY_LEN(top_ps) * ARRAY_LEN(min_ps); i++) {
        double temperature = temperatures[i % 4], top_p = top_ps[i / 4 % 5], min_p = min_ps[i / 20];
        random_logits(&r, logits, N);
        naive(logits, N, temperature, top_p, min_p, share);
        int counts[N] = { 0 };
        for (int g = 0; g < GRID; g++)
            counts[pick(s, logits, N, temperature, top_p, min_p, (g + 0.5) / GRID)]++;
        for (size_t t = 0; t < N; t++)
            assert_near(share[t] * GRID, counts[t], 2.0);
    }
    sampler_close(s);
}

static void greedy_takes_the_first_of_the_likeliest(void **state)
{
    (void)state;
    struct sampler *s = sampler_open(&kernels_scalar, 5);
    const float tie[5] = { 1, 3, 2, 3, 3 };
    for (int i = 0; i < 10; i++)
        assert_int_equal(pick(s, tie, 5, 0, 0.5, 0.1, i / 10.0), 1);
    const float least[5] = { -INFINITY, -INFINITY, -5, -INFINITY, NAN };
    assert_int_equal(pick(s, least, 5, 0, 1, 0, 0.5), 2);
    assert_int_equal(pick(s, least, 5, 1, 1, 0, 0.999), 2);
    assert_int_equal(pick(s, least, 5, 1, 0.9, 0, 0.999), 2);
    assert_int_equal(pick(s, tie, 5, 1e-300, 0.4, 0, 0.999), 3); /* 1 / temperature overflows a float */
    sampler_close(s);
}

static void nothing_finite_is_an_error(void **state)
{
    (void)state;
    struct sampler *s = sampler_open(&kernels_scalar, 3);
    const float cases[][3] = { { NAN, NAN, NAN }, { -INFINITY, -INFINITY, -INFINITY }, { 0, INFINITY, 0 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(pick(s, cases[i], 3, 1, 1, 0, 0.5), -1);
    sampler_close(s);
}

/* Pearson's statistic of 20,000 draws with a fixed seed. With 15 degrees of freedom it is above 37.7 once in a
 * thousand seeds; this seed is not one of them, and stays so. */
static void draws_follow_the_distribution(void **state)
{
    (void)state;
    enum { N = 16, DRAWS = 20000 };
    struct rng r;
    rng_init(&r, 99, 3);
    struct sampler *s = sampler_open(&kernels_scalar, N);
    float logits[N];
    double share[N];
    int counts[N] = { 0 };
    for (size_t i = 0; i < N; i++)
        logits[i] = (float)(i % 5) * 0.5f;
    naive(logits, N, 1, 1, 0, share);
    for (int i = 0; i < DRAWS; i++)
        counts[pick(s, logits, N, 1, 1, 0, rng_unit(&r))]++;
    double statistic = 0;
    for (size_t i = 0; i < N; i++)
        statistic += (counts[i] - share[i] * DRAWS) * (counts[i] - share[i] * DRAWS) / (share[i] * DRAWS);
    assert_true(statistic < 37.7);
    sampler_close(s);
}

static void ends_of_the_uniform_stay_inside(void **state)
{
    (void)state;
    enum { N = 100 };
    struct rng r;
    rng_init(&r, 5, 0);
    struct sampler *s = sampler_open(&kernels_scalar, N);
    float logits[N];
    double share[N];
    for (int i = 0; i < 200; i++) {
        double top_p = i % 2 ? 0.8 : 1, uniform = i % 4 < 2 ? 0 : 1 - 0x1p-53;
        random_logits(&r, logits, N);
        naive(logits, N, 0.9, top_p, 0.05, share);
        assert_true(share[pick(s, logits, N, 0.9, top_p, 0.05, uniform)] > 0);
    }
    sampler_close(s);
}

/* --- the walk, on rows of every flatness ------------------------------------------------------------------ */

static int by_id(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* The ids that stay in the order of the walk, with their shares; returns how many. */
static size_t naive_walk(const float *logits, size_t n, double temperature, double top_p, double min_p,
                         struct entry *out)
{
    double *share = mem_array(n, sizeof *share);
    size_t kept = 0, above_min_p = 0;
    naive(logits, n, temperature, top_p, min_p, share);
    double best = 0;
    for (size_t i = 0; i < n; i++)
        best = fmax(best, share[i]);
    for (size_t i = 0; i < n; i++) {
        above_min_p += share[i] / best >= min_p && share[i] > 0;
        if (share[i] > 0)
            out[kept++] = (struct entry){ (double)logits[i], i }; /* the order is that of the logits */
    }
    qsort(out, kept, sizeof *out, by_weight);
    if (top_p >= 1 && (min_p <= 0 || above_min_p >= TOP_LOGITS) && n > TOP_LOGITS)
        qsort(out, kept, sizeof *out, by_id);
    for (size_t i = 0; i < kept; i++)
        out[i].weight = share[out[i].id];
    mem_free(share);
    return kept;
}

/* The token that u falls on in the walk, but for what rounding can do at a border. */
static void check_walk(struct sampler *s, const float *logits, size_t n, double temperature, double top_p,
                       double min_p)
{
    enum { GRID = 24 };
    struct entry *order = mem_array(n, sizeof *order);
    size_t kept = naive_walk(logits, n, temperature, top_p, min_p, order);
    for (int g = 0; g < GRID; g++) {
        double u = (g + 0.5) / GRID, from = 0;
        int32_t got = pick(s, logits, n, temperature, top_p, min_p, u);
        size_t i = 0;
        while (i < kept && order[i].id != (size_t)got)
            from += order[i++].weight;
        assert_true(i < kept);
        assert_true(u > from - 1e-5 && u < from + order[i].weight + 1e-5);
    }
    mem_free(order);
}

static void walks_are_the_definition(void **state)
{
    (void)state;
    enum { N = 2500 };
    static const double spreads[] = { 0, 0.001, 1, 4, 30 }, temperatures[] = { 0.3, 0.8, 1, 1.7 },
                        top_ps[] = { 1, 0.999, 0.9, 0.3 }, min_ps[] = { 0, 0.02, 0.5 };
    struct rng r;
    rng_init(&r, 21, 0);
    float *logits = mem_array(N, sizeof *logits);
    struct kernels fastest = kernels_for(cpu_detect());
    struct sampler *plain = sampler_open(&kernels_scalar, N), *fast = sampler_open(&fastest, N);
    for (size_t i = 0; i < 5 * 4 * 4 * 3; i++) {
        double spread = spreads[i % 5], temperature = temperatures[i / 5 % 4], top_p = top_ps[i / 20 % 4];
        for (size_t k = 0; k < N; k++) /* about normal */
            logits[k] = (float)(spread * (rng_unit(&r) + rng_unit(&r) + rng_unit(&r) - 1.5) * 2);
        check_walk(i % 2 ? plain : fast, logits, N, temperature, top_p, min_ps[i / 80]);
    }
    sampler_close(plain);
    sampler_close(fast);
    mem_free(logits);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(walks_are_the_definition),
    cmocka_unit_test(agrees_with_sorting),
    cmocka_unit_test(greedy_takes_the_first_of_the_likeliest),
    cmocka_unit_test(nothing_finite_is_an_error),
    cmocka_unit_test(draws_follow_the_distribution),
    cmocka_unit_test(ends_of_the_uniform_stay_inside),
};
TEST_GROUP(engine_sampler, tests)
