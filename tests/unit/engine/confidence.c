/*
 * confidence.c - a sequence's figures against the definitions written down naively, and a token's against softmax.
 */
#include "engine/engine_impl.h"
#include "test.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The comments of struct engine_confidence, one by one. */
static struct engine_confidence naive(const struct engine_token *t, int n, int window)
{
    struct engine_confidence want = { n, window, NAN, NAN, NAN, NAN, NAN };
    double logprobs = 0, sum = 0, *means = mem_array((size_t)n + 1, sizeof *means);
    for (int i = 0; i < n; i++) {
        logprobs += (double)t[i].logprob;
        sum += (double)t[i].confidence;
    }
    if (n > 0) {
        want.mean_logprob = (float)(logprobs / n);
        want.mean = (float)(sum / n);
    }
    int windows = n - window + 1;
    for (int w = 0; w < windows; w++) {
        for (int i = 0; i < window; i++)
            means[w] += (double)t[w + i].confidence / window;
        if (w == windows - 1)
            want.last_window = (float)means[w];
    }
    if (windows > 0) {
        qsort(means, (size_t)windows, sizeof *means, ascending);
        want.lowest_window = (float)means[0];
        int tenth = windows / 10 > 0 ? windows / 10 : 1;
        double low = 0;
        for (int w = 0; w < tenth; w++)
            low += means[w] / tenth;
        want.bottom_tenth = (float)low;
    }
    mem_free(means);
    return want;
}

static void near_or_nan(float want, float got)
{
    if (isnan(want) || isnan(got))
        assert_true(isnan(want) && isnan(got));
    else
        assert_near((double)want, (double)got, 1e-5 * (1 + fabs((double)want)));
}

static void figures_are_the_definitions(void **state)
{
    (void)state;
    static const int lengths[] = { 0, 1, 15, 16, 17, 40, 199, 700 };
    static const int64_t thoughts[] = { 0, 64, 200, 1000 };
    struct rng r;
    rng_init(&r, 11, 0);
    for (size_t i = 0; i < ARRAY_LEN(lengths) * ARRAY_LEN(thoughts); i++) {
        int n = lengths[i % ARRAY_LEN(lengths)];
        struct engine_token *t = mem_array((size_t)n + 1, sizeof *t);
        struct confidence c;
        struct engine_confidence got;
        confidence_init(&c, thoughts[i / ARRAY_LEN(lengths)]);
        for (int k = 0; k < n; k++) {
            t[k] = (struct engine_token){ .logprob = (float)(-5 * rng_unit(&r)),
                                          .confidence = (float)(2 + 15 * rng_unit(&r)) };
            confidence_put(&c, &t[k]);
        }
        struct engine_confidence want = naive(t, n, c.window);
        confidence_get(&c, true, &got);
        assert_int_equal(got.tokens, n);
        near_or_nan(want.mean_logprob, got.mean_logprob);
        near_or_nan(want.mean, got.mean);
        near_or_nan(want.last_window, got.last_window);
        near_or_nan(want.lowest_window, got.lowest_window);
        near_or_nan(want.bottom_tenth, got.bottom_tenth);
        confidence_get(&c, false, &got);
        assert_true(isnan(got.bottom_tenth));
        confidence_free(&c);
        mem_free(t);
    }
}

static void windows_are_an_eighth_of_a_thought(void **state)
{
    (void)state;
    static const struct {
        int64_t thinking;
        int window;
    } cases[] = { { 0, 16 }, { 64, 16 }, { 135, 16 }, { 384, 48 }, { 4096, 512 }, { 100000, 2048 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct confidence c;
        confidence_init(&c, cases[i].thinking);
        assert_int_equal(c.window, cases[i].window);
    }
}

static void tokens_are_softmax(void **state)
{
    (void)state;
    enum { N = 300 };
    struct rng r;
    rng_init(&r, 12, 0);
    float logits[N];
    for (size_t i = 0; i < N; i++)
        logits[i] = (float)(12 * rng_unit(&r));
    logits[7] = NAN;
    logits[8] = -INFINITY;
    struct logit_summary row;
    kernels_scalar.summarize_logits(logits, N, CONFIDENCE_TOP, &row);
    double sum = 0, mean = 0;
    for (size_t i = 0; i < N; i++)
        sum += isnan(logits[i]) ? 0 : exp((double)logits[i]);
    for (int k = 0; k < 20; k++)
        mean -= ((double)row.top_logit[k] - log(sum)) / 20;
    struct engine_token t;
    confidence_token(&t, &row, 100, logits[100], 5);
    assert_int_equal(t.id, 100);
    assert_near((double)logits[100] - log(sum), (double)t.logprob, 1e-5);
    assert_near(mean, (double)t.confidence, 1e-5);
    assert_int_equal(t.n_top, 5);
    for (int k = 0; k < 5; k++) {
        assert_int_equal(t.top[k].id, row.top[k]);
        assert_near((double)logits[row.top[k]] - log(sum), (double)t.top[k].logprob, 1e-5);
    }
    confidence_token(&t, &row, 8, logits[8], 0);
    assert_true(isinf(t.logprob) && t.logprob < 0);
    assert_int_equal(t.n_top, 0);
}

/* A vocabulary of fewer tokens than k: the mean is over those there are. */
static void few_logits_are_enough(void **state)
{
    (void)state;
    const float logits[3] = { 0, 0, -INFINITY };
    struct logit_summary row;
    struct engine_token t;
    kernels_scalar.summarize_logits(logits, 3, CONFIDENCE_TOP, &row);
    confidence_token(&t, &row, 1, 0, 20);
    assert_near(log(0.5), (double)t.logprob, 1e-6);
    assert_near(log(2), (double)t.confidence, 1e-6);
    assert_int_equal(t.n_top, 2);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(figures_are_the_definitions),
    cmocka_unit_test(windows_are_an_eighth_of_a_thought),
    cmocka_unit_test(tokens_are_softmax),
    cmocka_unit_test(few_logits_are_enough),
};
TEST_GROUP(engine_confidence, tests)
