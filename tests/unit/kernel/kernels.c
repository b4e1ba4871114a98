/*
 * kernels.c - every variant this CPU can run computes what scalar.c says, at all sizes and tails, and an
 * output's bits do not depend on what is computed beside it.
 */
#include "test.h"

#include "base/rng.h"
#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

static float *random_floats(struct rng *rng, size_t n)
{
    float *x = mem_array(n, sizeof *x); /* exactly n: the sanitizer sees a read past the tail */
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(2 * rng_unit(rng) - 1);
    return x;
}

/* --- matrices ----------------------------------------------------------------------------------------- */

typedef void mul_fn(const struct mul *m);

static mul_fn *mul_of(const struct kernels *k, enum tensor_type type)
{
    mul_fn *const of[] = { [TENSOR_F32] = k->mul_f32,
                           [TENSOR_F16] = k->mul_f16,
                           [TENSOR_BF16] = k->mul_bf16,
                           [TENSOR_Q8_0] = k->mul_q8_0 };
    return of[type];
}

/* n stored weights of random value, and in exact what they stand for. */
static void *random_weights(struct rng *rng, enum tensor_type type, size_t n, double *exact)
{
    static const size_t bytes[] = { [TENSOR_F32] = 4, [TENSOR_F16] = 2, [TENSOR_BF16] = 2 };
    unsigned char *w =
        type == TENSOR_Q8_0 ? mem_array(n / Q8_0_BLOCK, sizeof(struct q8_0)) : mem_array(n, bytes[type]);
    for (size_t i = 0; i < n; i++) {
        float f = (float)(2 * rng_unit(rng) - 1);
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        uint16_t half = type == TENSOR_F16 ? f32_to_f16(f) : (uint16_t)(bits >> 16);
        struct q8_0 *block = (struct q8_0 *)(void *)w + i / Q8_0_BLOCK;
        switch (type) {
        case TENSOR_F32: memcpy(w + 4 * i, &f, 4); break;
        case TENSOR_F16:
            f = f16_to_f32(half);
            memcpy(w + 2 * i, &half, 2);
            break;
        case TENSOR_BF16:
            bits = (uint32_t)half << 16;
            memcpy(&f, &bits, 4);
            memcpy(w + 2 * i, &half, 2);
            break;
        default:
            if (i % Q8_0_BLOCK == 0)
                block->d = f32_to_f16(f / 64);
            block->q[i % Q8_0_BLOCK] = (int8_t)rng_range(rng, -128, 127);
            f = f16_to_f32(block->d) * (float)block->q[i % Q8_0_BLOCK];
        }
        exact[i] = (double)f;
    }
    return w;
}

/* Random sizes, against the definition in double precision. */
static void check_mul(struct rng *rng, const struct kernels *k, enum tensor_type type)
{
    size_t n = (size_t)rng_range(rng, 0, 130), w_rows = (size_t)rng_range(rng, 1, 19),
           x_rows = (size_t)rng_range(rng, 1, 10);
    n = type == TENSOR_Q8_0 ? n / 16 * Q8_0_BLOCK : n;
    size_t x_stride = n + (size_t)rng_range(rng, 0, 3), y_stride = w_rows + (size_t)rng_range(rng, 0, 3);
    double *exact = mem_array(w_rows * n, sizeof *exact);
    void *w = random_weights(rng, type, w_rows * n, exact);
    float *x = random_floats(rng, x_rows * x_stride), *y = random_floats(rng, x_rows * y_stride);
    struct mul m = { y, y_stride, w, w_rows, x, x_stride, x_rows, n };
    mul_of(k, type)(&m);
    for (size_t r = 0; r < x_rows; r++)
        for (size_t j = 0; j < w_rows; j++) {
            double sum = 0, size = 0;
            for (size_t i = 0; i < n; i++) {
                sum += exact[j * n + i] * (double)x[r * x_stride + i];
                size += fabs(exact[j * n + i] * (double)x[r * x_stride + i]);
            }
            assert_near(sum, (double)y[r * y_stride + j], 2e-6 * size);
        }
    mem_free(y);
    mem_free(x);
    mem_free(w);
    mem_free(exact);
}

static void mul_agrees(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (int type = 0; type < TENSOR_TYPE_COUNT; type++)
            for (int i = 0; i < 150; i++)
                check_mul(&rng, &k, (enum tensor_type)type);
}

/* All outputs in one call, and each in a call of its own. */
static void mul_ignores_neighbours(void **state)
{
    (void)state;
    enum { N = 96, W = 27, R = 11 };
    struct rng rng;
    rng_init(&rng, 2, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (int type = 0; type < TENSOR_TYPE_COUNT; type++) {
            double *exact = mem_array(W * N, sizeof *exact);
            unsigned char *w = random_weights(&rng, (enum tensor_type)type, W * N, exact);
            static const size_t row_bytes[] = { N * 4, N * 2, N * 2, N / Q8_0_BLOCK * sizeof(struct q8_0) };
            float *x = random_floats(&rng, R * N), y[R][W];
            struct mul all = { y[0], W, w, W, x, N, R, N };
            mul_of(&k, (enum tensor_type)type)(&all);
            for (size_t r = 0; r < R; r++)
                for (size_t j = 0; j < W; j++) {
                    float one;
                    struct mul m = { &one, 1, w + j * row_bytes[type], 1, x + r * N, N, 1, N };
                    mul_of(&k, (enum tensor_type)type)(&m);
                    assert_memory_equal(&one, &y[r][j], sizeof one);
                }
            mem_free(x);
            mem_free(w);
            mem_free(exact);
        }
}

/* --- vectors ------------------------------------------------------------------------------------------ */

static void dot_and_axpy_agree(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 3, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (size_t n = 0; n <= 259; n++) {
            float *a = random_floats(&rng, n), *b = random_floats(&rng, n), *c = random_floats(&rng, n);
            double sum = 0, size = 0;
            for (size_t i = 0; i < n; i++) {
                sum += (double)a[i] * (double)b[i];
                size += fabs((double)a[i] * (double)b[i]);
            }
            assert_near(sum, (double)k.dot_f32(a, b, n), 2e-6 * size);
            float *d = random_floats(&rng, n);
            memcpy(d, c, n * sizeof *d);
            k.axpy_f32(d, 0.7f, a, n);
            for (size_t i = 0; i < n; i++)
                assert_near((double)c[i] + 0.7 * (double)a[i], (double)d[i], 5e-7);
            mem_free(d);
            mem_free(c);
            mem_free(b);
            mem_free(a);
        }
}

static void norm_and_gate_agree(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 4, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (size_t n = 1; n <= 131; n++) {
            float *x = random_floats(&rng, n), *w = random_floats(&rng, n);
            float *want = random_floats(&rng, n), *got = random_floats(&rng, n);
            kernels_scalar.rms_norm(want, x, w, n, 1e-5f);
            memcpy(got, x, n * sizeof *x);
            k.rms_norm(got, got, w, n, 1e-5f); /* in place */
            for (size_t i = 0; i < n; i++)
                assert_near((double)want[i], (double)got[i], 1e-6 + 1e-6 * fabs((double)want[i]));
            for (size_t i = 0; i < n; i++)
                x[i] *= i % 7 == 3 ? 120.0f : 8.0f; /* into the saturated ends of the gate too */
            kernels_scalar.silu_mul(want, x, w, n);
            memcpy(got, x, n * sizeof *x);
            k.silu_mul(got, got, w, n);
            for (size_t i = 0; i < n; i++)
                assert_near((double)want[i], (double)got[i], 1e-7 + 1e-6 * fabs((double)want[i]));
            mem_free(got);
            mem_free(want);
            mem_free(w);
            mem_free(x);
        }
}

static void softmax_agrees(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 5, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (size_t n = 1; n <= 131; n++) {
            float *x = random_floats(&rng, n), total = 0;
            double *want = mem_array(n, sizeof *want), sum = 0, most = -1e9;
            for (size_t i = 0; i < n; i++) {
                x[i] = x[i] * 60.0f - 400.0f * (float)(i % 5 == 1); /* far apart, and below exp's range */
                most = fmax(most, (double)x[i]);
            }
            for (size_t i = 0; i < n; i++)
                sum += want[i] = exp((double)x[i] - most);
            k.softmax(x, n);
            for (size_t i = 0; i < n; i++) {
                assert_near(want[i] / sum, (double)x[i], 1e-7 + 2e-6 * want[i] / sum);
                total += x[i];
            }
            assert_near(1.0, (double)total, 1e-5);
            mem_free(want);
            mem_free(x);
        }
}

/* --- choice --------------------------------------------------------------------------------------------- */

static void the_mask_decides(void **state)
{
    (void)state;
    struct kernels k;
    assert_string_equal(kernels_for(0).isa, "scalar");
    assert_true(kernels_for(0).mul_q8_0 == kernels_scalar.mul_q8_0);
    size_t n = 0;
    while (kernels_variant(n, cpu_detect(), &k))
        n++;
    assert_string_equal(kernels_for(cpu_detect()).isa, k.isa); /* the last is the best */
    assert_true(kernels_variant(0, 0, &k));
    assert_false(kernels_variant(1, 0, &k));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(mul_agrees),         cmocka_unit_test(mul_ignores_neighbours),
    cmocka_unit_test(dot_and_axpy_agree), cmocka_unit_test(norm_and_gate_agree),
    cmocka_unit_test(softmax_agrees),     cmocka_unit_test(the_mask_decides),
};
TEST_GROUP(kernel_kernels, tests)
