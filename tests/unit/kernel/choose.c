/*
 * choose.c - the passes over logits: every variant against a plain search and sums in double precision.
 */
#include "test.h"

#include "base/rng.h"
#include "kernel/kernel.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* What the row is made of: scattered values, few different ones, masks, ascending, NaN and so on. */
enum kind { PLAIN, TIES, MASKED, RISING, FALLING, WITH_NAN, WIDE, LOWEST, ONE_LEFT, KINDS };

static float *random_logits(struct rng *rng, size_t n, enum kind kind)
{
    float *l = mem_array(n, sizeof *l); /* exactly n: the sanitizer sees a read past the tail */
    for (size_t i = 0; i < n; i++) {
        float x = (float)(24 * rng_unit(rng) - 12);
        bool often = rng_range(rng, 0, 3) != 0;
        switch (kind) {
        case TIES: x = rintf(x / 8); break;
        case MASKED: x = often ? -INFINITY : x; break;
        case RISING: x = (float)i / 16; break;
        case FALLING: x = -(float)i / 16; break;
        case WITH_NAN: x = often ? x : NAN; break;
        case WIDE: x *= 1e36f; break;
        case LOWEST: x = often ? -FLT_MAX : -INFINITY; break;
        case ONE_LEFT: x = i == n / 2 ? x : -INFINITY; break;
        default: break;
        }
        l[i] = x;
    }
    return l;
}

static bool better(const float *l, size_t a, size_t b)
{
    return l[a] > l[b] || (l[a] == l[b] && a < b);
}

/* By looking for the next best, k times. */
static void check_top(const float *l, size_t n, size_t k, const struct logit_summary *s)
{
    size_t finite = 0;
    for (size_t i = 0; i < n; i++)
        finite += isfinite(l[i]) != 0;
    assert_int_equal(s->n_top, k < finite ? k : finite);
    size_t last = SIZE_MAX;
    for (int32_t j = 0; j < s->n_top; j++) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < n; i++)
            if (isfinite(l[i]) && (last == SIZE_MAX || better(l, last, i)) &&
                (best == SIZE_MAX || better(l, i, best)))
                best = i;
        assert_int_equal(s->top[j], best);
        assert_memory_equal(&s->top_logit[j], &l[best], sizeof(float));
        last = best;
    }
}

static void check_summary(const struct kernels *k, const float *l, size_t n, size_t top)
{
    struct logit_summary s;
    memset(&s, 0xff, sizeof s);
    k->summarize_logits(l, n, top, &s);
    int32_t argmax = -1;
    for (size_t i = 0; i < n; i++)
        if (isfinite(l[i]) && (argmax < 0 || l[i] > l[argmax]))
            argmax = (int32_t)i;
    assert_int_equal(s.argmax, argmax);
    check_top(l, n, top, &s);
    if (argmax < 0)
        return;
    assert_memory_equal(&s.max, &l[argmax], sizeof(float));
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += isfinite(l[i]) ? exp((double)l[i] - (double)s.max) : 0;
    assert_near(log(sum), s.log_sum, 5e-7);
    struct logit_summary again;
    k->summarize_logits(l, n, top, &again);
    assert_memory_equal(&s.log_sum, &again.log_sum, sizeof s.log_sum);
}

static void every_variant_finds_the_best(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 31, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (int kind = 0; kind < KINDS; kind++)
            for (size_t n = 1; n < 1100; n += (size_t)rng_range(&rng, 1, n < 140 ? 3 : 150)) {
                float *l = random_logits(&rng, n, (enum kind)kind);
                check_summary(&k, l, n, n % 3 ? (size_t)rng_range(&rng, 0, TOP_LOGITS) : TOP_LOGITS);
                mem_free(l);
            }
}

/* More logits than the first pass has blocks of the usual size. */
static void a_vocabulary_of_any_size(void **state)
{
    (void)state;
    static const size_t sizes[] = { 151936, 262143, 262144, 262145, 600001 };
    struct rng rng;
    rng_init(&rng, 32, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            float *l = random_logits(&rng, sizes[i], i % 2 ? RISING : PLAIN);
            check_summary(&k, l, sizes[i], 5);
            mem_free(l);
        }
}

static void a_row_that_is_broken_has_no_best(void **state)
{
    (void)state;
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (size_t n = 0; n < 300; n++) {
            struct logit_summary s;
            float *l = mem_array(n, sizeof *l);
            if (n)
                l[n / 2] = INFINITY;
            for (int round = 0; round < 3; round++) { /* +inf somewhere, then nothing but NaN, but -inf */
                k.summarize_logits(l, n, TOP_LOGITS, &s);
                assert_int_equal(s.argmax, -1);
                assert_int_equal(s.n_top, 0);
                for (size_t i = 0; i < n; i++)
                    l[i] = round ? -INFINITY : NAN;
            }
            mem_free(l);
        }
}

static void weights_are_exponentials(void **state)
{
    (void)state;
    static const float inverse[] = { 1, 0.5f, 1.6f, 100, 0, INFINITY };
    struct rng rng;
    rng_init(&rng, 33, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (size_t n = 1; n < 700; n += (size_t)rng_range(&rng, 1, 9)) {
            float *l = random_logits(&rng, n, n % 2 ? WITH_NAN : MASKED), *w = mem_array(n, sizeof *w);
            l[n / 3] = 12.5f; /* the largest */
            float by = inverse[n % ARRAY_LEN(inverse)];
            double sum = k.exp_weights(w, l, n, 12.5f, by), want = 0;
            for (size_t i = 0; i < n; i++) {
                double x = ((double)l[i] - 12.5) * (double)by, e = l[i] == 12.5f ? 1 : isnan(x) ? 0 : exp(x);
                assert_near(e, (double)w[i], 1e-37 + 1e-5 * e);
                want += (double)w[i];
            }
            assert_true(w[n / 3] == 1.0f);
            assert_near(want, sum, 1e-6 * want);
            assert_true(sum == k.exp_weights(w, l, n, 12.5f, by));
            mem_free(w);
            mem_free(l);
        }
}

/* What share of the bits is set, in 64ths: few, none but one, half, nearly all, all; whole stretches are clear, too. */
static uint64_t *random_mask(struct rng *rng, size_t n)
{
    static const int64_t shares[] = { 0, 1, 32, 63, 64 };
    size_t words = (n + 63) / 64;
    uint64_t *mask = mem_array(words ? words : 1, sizeof *mask);
    int64_t share = shares[rng_below(rng, ARRAY_LEN(shares))];
    bool stretches = rng_below(rng, 2);
    for (size_t i = 0; i < n; i++)
        if (rng_range(rng, 0, 63) < share && !(stretches && i / 128 % 3))
            mask[i / 64] |= (uint64_t)1 << i % 64;
    if (n && rng_below(rng, 4))
        mask[n / 2 / 64] |= (uint64_t)1 << n / 2 % 64;
    return mask;
}

/* A masked row is the row with -inf in it. */
static void masks_rule_out(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 34, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (size_t round = 0; round < 600; round++) {
            size_t n = round < 300   ? round
                       : round < 590 ? rng_below(&rng, 5000)
                                     : 262144 + rng_below(&rng, 9999);
            size_t top = rng_below(&rng, TOP_LOGITS + 1);
            float *l = random_logits(&rng, n, (enum kind)rng_below(&rng, KINDS)),
                  *masked = mem_array(n + 1, sizeof *l);
            uint64_t *mask = random_mask(&rng, n);
            for (size_t i = 0; i < n; i++)
                masked[i] = mask[i / 64] >> i % 64 & 1 ? l[i] : -INFINITY;
            struct logit_summary want, got;
            memset(&want, 0, sizeof want); /* padding too */
            memset(&got, 0, sizeof got);
            k.summarize_logits(masked, n, top, &want);
            k.summarize_masked(l, n, top, mask, &got);
            assert_int_equal(got.argmax, want.argmax);
            assert_int_equal(got.n_top, want.n_top);
            assert_memory_equal(&got.max, &want.max, sizeof got.max);
            assert_memory_equal(&got.log_sum, &want.log_sum, sizeof got.log_sum);
            assert_memory_equal(got.top, want.top, (size_t)got.n_top * sizeof *got.top);
            assert_memory_equal(got.top_logit, want.top_logit, (size_t)got.n_top * sizeof(float));
            k.mask_logits(l, n, mask);
            for (size_t i = 0; i < n; i++)
                assert_true(l[i] == masked[i] || (isnan(l[i]) && isnan(masked[i])));
            mem_free(l);
            mem_free(masked);
            mem_free(mask);
        }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_variant_finds_the_best),
    cmocka_unit_test(a_vocabulary_of_any_size),
    cmocka_unit_test(a_row_that_is_broken_has_no_best),
    cmocka_unit_test(weights_are_exponentials),
    cmocka_unit_test(masks_rule_out),
};
TEST_GROUP(kernel_choose, tests)
