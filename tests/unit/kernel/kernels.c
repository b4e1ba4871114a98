/*
 * kernels.c - every variant this CPU can run computes what scalar.c says, at all sizes and tails, and an
 * output's bits do not depend on what is computed beside it. Packed weights have packed.c, attention attend.c.
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

/* n stored weights of random value. */
static void *random_weights(struct rng *rng, enum tensor_type type, size_t n)
{
    size_t bytes = tensor_type_info(type)->bytes;
    unsigned char *w = mem_array(n, bytes);
    for (size_t i = 0; i < n; i++) {
        float f = (float)(2 * rng_unit(rng) - 1);
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        uint16_t half = type == TENSOR_F16 ? f32_to_f16(f) : (uint16_t)(bits >> 16);
        memcpy(w + bytes * i, bytes == 4 ? (const void *)&f : &half, bytes);
    }
    return w;
}

/* x_rows rows of n, without a float to spare, so that the sanitizer sees a read past the last row's tail. */
static void random_acts(struct acts *x, struct rng *rng, size_t x_rows, size_t n)
{
    *x = (struct acts){ .rows_max = x_rows, .n_max = n, .n = n, .x = random_floats(rng, x_rows * n) };
}

/* Random sizes and gathered rows, against the definition in double precision. */
static void check_mul(struct rng *rng, const struct kernels *k, enum tensor_type type)
{
    size_t n = (size_t)rng_range(rng, 1, 130), w_rows = (size_t)rng_range(rng, 1, 39),
           x_rows = (size_t)rng_range(rng, 1, 10), n_rows = (size_t)rng_range(rng, 1, 10);
    size_t stride = w_rows + (size_t)rng_range(rng, 0, 3);
    uint32_t rows[10];
    for (size_t r = 0; r < n_rows; r++)
        rows[r] = (uint32_t)rng_below(rng, x_rows);
    struct matrix w = {
        .type = type, .rows = w_rows, .cols = n, .data = random_weights(rng, type, w_rows * n)
    };
    struct acts x;
    random_acts(&x, rng, x_rows, n);
    float *y = random_floats(rng, n_rows * stride), *row = mem_array(n, sizeof *row);
    matrix_mul(
        k, &(struct product){
               .w = &w, .to = w_rows, .x = &x, .rows = rows, .n_rows = n_rows, .y = y, .y_stride = stride });
    for (size_t j = 0; j < w_rows; j++) {
        matrix_row(&w, j, row);
        for (size_t r = 0; r < n_rows; r++) {
            double sum = 0, size = 0;
            for (size_t i = 0; i < n; i++) {
                sum += (double)row[i] * (double)x.x[rows[r] * n + i];
                size += fabs((double)row[i] * (double)x.x[rows[r] * n + i]);
            }
            assert_near(sum, (double)y[r * stride + j], 2e-6 * size);
        }
    }
    mem_free(row);
    mem_free(y);
    mem_free(x.x);
    mem_free((void *)w.data);
}

static void mul_agrees(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (int type = TENSOR_F32; type <= TENSOR_BF16; type++)
            for (int i = 0; i < 100; i++)
                check_mul(&rng, &k, (enum tensor_type)type);
}

/* All outputs in one call, and each row and panel in a call of its own. */
static void mul_ignores_neighbours(void **state)
{
    (void)state;
    enum { N = 99, W = 43, R = 11 };
    struct rng rng;
    rng_init(&rng, 2, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (int type = TENSOR_F32; type <= TENSOR_BF16; type++) {
            struct matrix w = { .type = (enum tensor_type)type,
                                .rows = W,
                                .cols = N,
                                .data = random_weights(&rng, (enum tensor_type)type, W * N) };
            struct acts x;
            float all[R][W], one[W];
            random_acts(&x, &rng, R, N);
            struct product p = { .w = &w, .to = W, .x = &x, .n_rows = R, .y = all[0], .y_stride = W };
            matrix_mul(&k, &p);
            for (uint32_t r = 0; r < R; r++)
                for (size_t j = 0; j < W; j += PANEL_ROWS) {
                    struct product alone = p;
                    alone.from = j;
                    alone.to = j + PANEL_ROWS < W ? j + PANEL_ROWS : W;
                    alone.rows = &r;
                    alone.n_rows = 1;
                    alone.y = one;
                    matrix_mul(&k, &alone);
                    assert_memory_equal(&one[j], &all[r][j], (alone.to - j) * sizeof *one);
                }
            mem_free(x.x);
            mem_free((void *)w.data);
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

/* Against the tanh form itself, in double precision. */
static void check_gelu(const struct kernels *k, const float *x, const float *w, float *got, size_t n)
{
    memcpy(got, w, n * sizeof *w);
    k->gelu_mul(got, x, got, n);
    for (size_t i = 0; i < n; i++) {
        double g = (double)x[i],
               want = 0.5 * g * (1 + tanh(sqrt(2 / acos(-1.0)) * (g + 0.044715 * g * g * g)));
        assert_near(want * (double)w[i], (double)got[i], 1e-6 + 2e-6 * fabs(want * (double)w[i]));
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
            check_gelu(&k, x, w, got, n);
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
    struct kernels k, best = kernels_for(cpu_detect());
    assert_string_equal(kernels_for(0).isa, "scalar");
    assert_true(kernels_for(0).mul_packed == kernels_scalar.mul_packed);
    for (size_t i = 0; kernels_variant(i, cpu_detect(), &k); i++)
        ;
    assert_memory_equal(&best, &k, sizeof k); /* all overlays together are the best */
    assert_true(kernels_variant(0, 0, &k));
    assert_false(kernels_variant(1, 0, &k));
    assert_memory_equal(&k, &kernels_scalar, sizeof k);
}

static void mask_names(void **state)
{
    (void)state;
    unsigned mask;
    const char *bad = NULL;
    assert_true(cpu_mask_from("", &mask, &bad));
    assert_int_equal(mask, ~0u);
    assert_true(cpu_mask_from("amx,avx512", &mask, &bad));
    assert_int_equal(mask, ~(unsigned)(CPU_AMX | CPU_AVX512));
    assert_true(cpu_mask_from("i8mm", &mask, &bad));
    assert_int_equal(mask, ~(unsigned)CPU_I8MM);
    assert_false(cpu_mask_from("amx,avx51,neon", &mask, &bad));
    assert_string_equal(bad, "avx51,neon");
    assert_false(cpu_mask_from("avx", &mask, &bad)); /* no prefix of a name will do */
    assert_false(cpu_mask_from("amx,,neon", &mask, &bad));
    assert_string_equal(bad, ",neon");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(mul_agrees),         cmocka_unit_test(mul_ignores_neighbours),
    cmocka_unit_test(dot_and_axpy_agree), cmocka_unit_test(norm_and_gate_agree),
    cmocka_unit_test(softmax_agrees),     cmocka_unit_test(the_mask_decides),
    cmocka_unit_test(mask_names),
};
TEST_GROUP(kernel_kernels, tests)
