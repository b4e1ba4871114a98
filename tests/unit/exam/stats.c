/*
 * stats.c - intervals and tests against closed forms, brute force and data whose answer is known.
 */
#include "test.h"

#include "exam/exam.h"

#include <math.h>
#include <string.h>

/* The ends of Wilson's interval are where the normal test of p is exactly at 1.96 errors. */
static void wilson_solves_its_equation(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= 60; n++)
        for (int64_t right = 0; right <= n; right++) {
            struct exam_interval in = exam_wilson(right, n);
            double p = (double)right / (double)n, ends[] = { in.low, in.high };
            assert_true(in.low <= p && p <= in.high && in.low >= 0 && in.high <= 1);
            for (int i = 0; i < 2; i++)
                assert_near(3.841458820694124 * ends[i] * (1 - ends[i]) / (double)n,
                            (p - ends[i]) * (p - ends[i]), 1e-12);
        }
}

/* Every outcome of n coins, counted one by one. */
static double mcnemar_by_hand(int a, int b)
{
    int n = a + b, few = a < b ? a : b, extreme = 0;
    for (unsigned coins = 0; coins < 1u << n; coins++) {
        int heads = __builtin_popcount(coins);
        extreme += heads <= few || heads >= n - few;
    }
    return (double)extreme / (double)(1u << n);
}

static void mcnemar_counts_coins(void **state)
{
    (void)state;
    for (int a = 0; a <= 9; a++)
        for (int b = 0; b <= 9; b++) {
            assert_near(mcnemar_by_hand(a, b), exam_mcnemar(a, b), 1e-12);
            assert_near(exam_mcnemar(b, a), exam_mcnemar(a, b), 1e-15);
        }
    assert_near(2 * pow(0.5, 40), exam_mcnemar(0, 40), 1e-20);
    /* thousands do not underflow; near the middle it is the normal tail */
    assert_near(0.0455, exam_mcnemar(4900, 5100), 0.002);
}

/* Holm by its definition: the k-th smallest is rejected at alpha iff it and all smaller are at most alpha / (n - k + 1). */
static bool rejected_by_hand(const double *p, size_t n, size_t which, double alpha)
{
    bool out[8] = { false };
    for (size_t left = n; left > 0; left--) {
        size_t least = SIZE_MAX;
        for (size_t i = 0; i < n; i++)
            if (!out[i] && (least == SIZE_MAX || p[i] < p[least]))
                least = i;
        if (p[least] > alpha / (double)left)
            break;
        out[least] = true;
    }
    return out[which];
}

static void holm_rejects_what_its_steps_reject(void **state)
{
    struct rng rng;
    (void)state;
    rng_init(&rng, 1, 0);
    for (int round = 0; round < 500; round++) {
        double p[8], corrected[8];
        size_t n = 1 + rng_below(&rng, 8);
        for (size_t i = 0; i < n; i++)
            p[i] = corrected[i] = pow(rng_unit(&rng), 3);
        exam_holm(corrected, n);
        for (size_t i = 0; i < n; i++) {
            double alpha = rng_unit(&rng);
            assert_true(corrected[i] >= p[i] && corrected[i] <= 1);
            assert_int_equal(corrected[i] <= alpha, rejected_by_hand(p, n, i, alpha));
        }
    }
    exam_holm(NULL, 0);
}

/* 400 single items, right with 0.3: the interval of the bootstrap is that of the normal approximation. */
static void bootstrap_finds_the_known_error(void **state)
{
    struct exam_cluster c[400];
    (void)state;
    for (size_t i = 0; i < 400; i++)
        c[i] = (struct exam_cluster){ i < 120, 1 };
    struct exam_interval in = exam_bootstrap(c, 400, EXAM_ROUNDS, 7);
    double reach = 1.96 * sqrt(0.3 * 0.7 / 400);
    assert_near(0.3 - reach, in.low, 0.004);
    assert_near(0.3 + reach, in.high, 0.004);
    struct exam_interval again = exam_bootstrap(c, 400, EXAM_ROUNDS, 7);
    assert_true(in.low == again.low && in.high == again.high);
}

/* Items that are all alike within their cluster say no more than one of them: the interval is as wide as that of as many
 * items as there are clusters. Taken one by one they would claim a tenth of the variance. */
static void bootstrap_keeps_clusters_together(void **state)
{
    struct exam_cluster alike[40], single[40];
    (void)state;
    for (size_t i = 0; i < 40; i++) {
        alike[i] = (struct exam_cluster){ i % 2 ? 10 : 0, 10 };
        single[i] = (struct exam_cluster){ i % 2, 1 };
    }
    struct exam_interval a = exam_bootstrap(alike, 40, EXAM_ROUNDS, 1),
                         b = exam_bootstrap(single, 40, EXAM_ROUNDS, 1);
    assert_true(a.low == b.low && a.high == b.high);
    assert_near(0.5 - 1.96 * sqrt(0.25 / 40), a.low, 0.03);
}

static void bootstrap_of_little(void **state)
{
    struct exam_cluster same[3] = { { 2, 4 }, { 1, 2 }, { 5, 10 } };
    (void)state;
    struct exam_interval in = exam_bootstrap(same, 3, 100, 1);
    assert_true(in.low == 0.5 && in.high == 0.5); /* whatever is drawn */
    in = exam_bootstrap(NULL, 0, 100, 1);
    assert_true(in.low == 0 && in.high == 0);
}

/* All draws of k out of n, as sets of bits. */
static double pass_by_hand(int n, int right, int k)
{
    int all = 0, any = 0;
    for (unsigned set = 0; set < 1u << n; set++)
        if (__builtin_popcount(set) == k) {
            all++;
            any += (set & ((1u << right) - 1)) != 0;
        }
    return (double)any / (double)all;
}

static void pass_counts_draws(void **state)
{
    (void)state;
    for (int n = 1; n <= 9; n++)
        for (int right = 0; right <= n; right++)
            for (int k = 1; k <= n; k++)
                assert_near(pass_by_hand(n, right, k), exam_pass_at(n, right, k), 1e-12);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(wilson_solves_its_equation),
    cmocka_unit_test(mcnemar_counts_coins),
    cmocka_unit_test(holm_rejects_what_its_steps_reject),
    cmocka_unit_test(bootstrap_finds_the_known_error),
    cmocka_unit_test(bootstrap_keeps_clusters_together),
    cmocka_unit_test(bootstrap_of_little),
    cmocka_unit_test(pass_counts_draws),
};
TEST_GROUP(exam_stats, tests)
