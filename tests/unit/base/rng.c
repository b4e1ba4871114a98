/*
 * rng.c - golden values, computed apart from this code, and uniformity.
 */
#include "base/rng.h"
#include "test.h"

#include <string.h>

/* The generator's published first outputs from the state 1, 2, 3, 4. */
static void generator_is_the_published_one(void **state)
{
    (void)state;
    static const uint64_t want[] = { 11520, 0, 1509978240, 1215971899390074240 };
    struct rng r = { { 1, 2, 3, 4 } };
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        assert_true(rng_u64(&r) == want[i]);
}

static void streams_are_golden(void **state)
{
    (void)state;
    static const struct {
        uint64_t seed, stream, want[3];
    } cases[] = {
        { 0, 0, { 0xfb5405f7bd79c540, 0x780c98e26cea5883, 0x2a146e0980febc66 } },
        { 1, 0, { 0xef75d62a19ba94ed, 0x8e9490536375f270, 0xc05630b1c614195d } },
        { 0, 1, { 0xee127fe613436e33, 0xd6dad8d34a1874ea, 0x2a52c16cec1116a9 } },
        { 1, 2, { 0x5f147c977b052899, 0x3beb7d2db94e1f5d, 0x2263ee6c6d422ac7 } },
        { 2, 1, { 0x84f02f195ab5fd66, 0x46ff6f0daaf44911, 0x8276408e60c29367 } },
        { UINT64_MAX, UINT64_MAX, { 0x5a24625849aef5fa, 0x0177bf4162305fac, 0x97359f05bc75e24d } },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rng r;
        rng_init(&r, cases[i].seed, cases[i].stream);
        for (size_t k = 0; k < 3; k++)
            assert_true(rng_u64(&r) == cases[i].want[k]);
    }
}

/* Pearson's statistic with fixed seeds; the bounds are exceeded once in a thousand seeds. */
static void below_is_uniform(void **state)
{
    (void)state;
    static const struct {
        uint64_t n;
        double bound;
    } cases[] = { { 2, 10.9 }, { 7, 22.5 }, { 10, 27.9 }, { 64, 103.5 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum { DRAWS = 64000 };
        int counts[64] = { 0 };
        double expected = (double)DRAWS / (double)cases[i].n, statistic = 0;
        struct rng r;
        rng_init(&r, 11, i);
        for (int d = 0; d < DRAWS; d++) {
            uint64_t x = rng_below(&r, cases[i].n);
            assert_true(x < cases[i].n);
            counts[x]++;
        }
        for (uint64_t k = 0; k < cases[i].n; k++)
            statistic += (counts[k] - expected) * (counts[k] - expected) / expected;
        assert_true(statistic < cases[i].bound);
    }
}

static void below_has_no_bias_at_the_top(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 3, 0);
    uint64_t n = UINT64_C(3) << 62; /* without rejection a third of all draws would fall twice as often */
    int low = 0;
    for (int i = 0; i < 30000; i++)
        low += rng_below(&r, n) < UINT64_C(1) << 62;
    assert_near(10000, low, 400);
    assert_true(rng_below(&r, 1) == 0);
}

static void range_holds_both_ends(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 4, 0);
    bool seen[5] = { 0 };
    for (int i = 0; i < 200; i++) {
        int64_t x = rng_range(&r, -2, 2);
        assert_in_range(x + 2, 0, 4);
        seen[x + 2] = true;
    }
    for (int i = 0; i < 5; i++)
        assert_true(seen[i]);
    assert_true(rng_range(&r, INT64_MAX, INT64_MAX) == INT64_MAX);
    bool negative = false, positive = false;
    for (int i = 0; i < 100; i++) {
        int64_t x = rng_range(&r, INT64_MIN, INT64_MAX);
        negative |= x < 0;
        positive |= x > 0;
    }
    assert_true(negative && positive);
}

static void unit_is_in_its_interval(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 5, 0);
    double sum = 0, squares = 0;
    for (int i = 0; i < 100000; i++) {
        double u = rng_unit(&r);
        assert_true(u >= 0 && u < 1);
        sum += u;
        squares += u * u;
    }
    assert_near(0.5, sum / 100000, 0.005);
    assert_near(1.0 / 3, squares / 100000, 0.005);
}

static void os_hex_is_hex_and_fresh(void **state)
{
    (void)state;
    char a[50], b[50];
    rng_os_hex(a, 49);
    rng_os_hex(b, 49);
    assert_int_equal(strlen(a), 49);
    assert_int_equal(strspn(a, "0123456789abcdef"), 49);
    assert_string_not_equal(a, b);
    rng_os_hex(a, 0);
    assert_string_equal(a, "");
    assert_true(rng_os_u64() != rng_os_u64());
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(generator_is_the_published_one),
    cmocka_unit_test(streams_are_golden),
    cmocka_unit_test(below_is_uniform),
    cmocka_unit_test(below_has_no_bias_at_the_top),
    cmocka_unit_test(range_holds_both_ends),
    cmocka_unit_test(unit_is_in_its_interval),
    cmocka_unit_test(os_hex_is_hex_and_fresh),
};
TEST_GROUP(base_rng, tests)
