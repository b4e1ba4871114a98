/*
 * half.c - binary16: every value there and back, and rounding at every border.
 */
#include "test.h"

#include "kernel/kernel.h"

#include <math.h>

/* What IEEE 754 says the 16 bits are. */
static double half_value(uint16_t h)
{
    int exponent = h >> 10 & 0x1f, mantissa = h & 0x3ff;
    double magnitude = exponent == 0    ? ldexp(mantissa, -24)
                       : exponent == 31 ? (double)INFINITY
                                        : ldexp(1024 + mantissa, exponent - 25);
    return h & 0x8000 ? -magnitude : magnitude;
}

static void every_value_there_and_back(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = f16_to_f32((uint16_t)h);
        if ((h & 0x7fff) > 0x7c00) {
            assert_true(isnan(f));
            assert_true(isnan(f16_to_f32(f32_to_f16(f))));
            continue;
        }
        assert_true((double)f == half_value((uint16_t)h));
        assert_int_equal(f32_to_f16(f), h);
    }
}

static void rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7c00; h++) {
        /* Above the largest finite value stands what would come next if the exponent went on. */
        double low = half_value((uint16_t)h), high = h == 0x7bff ? 65536.0 : half_value((uint16_t)(h + 1));
        float middle = (float)((low + high) / 2);
        assert_int_equal(f32_to_f16(middle), h & 1 ? h + 1 : h);
        assert_int_equal(f32_to_f16(nextafterf(middle, 0)), h);
        assert_int_equal(f32_to_f16(nextafterf(middle, INFINITY)), h + 1);
        assert_int_equal(f32_to_f16(-nextafterf(middle, INFINITY)), (h + 1) | 0x8000);
    }
    assert_int_equal(f32_to_f16(1e30f), 0x7c00);
    assert_int_equal(f32_to_f16(1e-30f), 0);
    assert_int_equal(f32_to_f16(-INFINITY), 0xfc00);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_value_there_and_back),
    cmocka_unit_test(rounds_to_nearest_even),
};
TEST_GROUP(kernel_half, tests)
