/*
 * packed.c - products of packed weights: near what the weights are in double precision, the same to the last bit in every
 * instruction set this CPU runs, and deaf to their neighbours. Activations in 8 bits too.
 */
#include "test.h"

#include "base/rng.h"
#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

struct fixture {
    enum tensor_type type;
    struct matrix plain, packed;
    void *bytes, *panels;
    struct acts x;
};

/* Random codes. The halves and the exponent that scale a block are made ordinary, wherever they lie. */
static void random_block(struct rng *rng, enum tensor_type type, unsigned char *block)
{
    static const struct {
        enum tensor_type type;
        int d, dmin;
    } places[] = { { TENSOR_Q8_0, 0, -1 },   { TENSOR_Q4_0, 0, -1 },   { TENSOR_Q4_1, 0, 2 },
                   { TENSOR_Q5_0, 0, -1 },   { TENSOR_Q5_1, 0, 2 },    { TENSOR_Q2_K, 80, 82 },
                   { TENSOR_Q3_K, 108, -1 }, { TENSOR_Q4_K, 0, 2 },    { TENSOR_Q5_K, 0, 2 },
                   { TENSOR_Q6_K, 208, -1 }, { TENSOR_IQ4_NL, 0, -1 }, { TENSOR_IQ4_XS, 0, -1 } };
    for (size_t i = 0; i < tensor_type_info(type)->bytes; i++)
        block[i] = (unsigned char)rng_u64(rng);
    if (type == TENSOR_MXFP4)
        block[0] = (unsigned char)rng_range(rng, 118, 127);
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        uint16_t d = f32_to_f16((float)(rng_unit(rng) * 0.1 - 0.03)),
                 dmin = f32_to_f16((float)(rng_unit(rng) * 0.1));
        if (places[i].type == type)
            memcpy(block + places[i].d, &d, 2);
        if (places[i].type == type && places[i].dmin >= 0)
            memcpy(block + places[i].dmin, &dmin, 2);
    }
}

static void fixture_init(struct fixture *f, struct rng *rng, enum tensor_type type, size_t rows, size_t cols,
                         size_t n_x)
{
    const struct tensor_type_info *info = tensor_type_info(type);
    size_t blocks = rows * cols / info->block;
    f->type = type;
    f->bytes = mem_alloc(blocks * info->bytes);
    for (size_t i = 0; i < blocks; i++)
        random_block(rng, type, (unsigned char *)f->bytes + i * info->bytes);
    f->plain = (struct matrix){ .type = type, .rows = rows, .cols = cols, .data = f->bytes };
    f->panels = mem_aligned(64, matrix_packed_bytes(type, rows, cols));
    matrix_pack(&f->plain, f->panels, 0, (rows + PANEL_ROWS - 1) / PANEL_ROWS);
    f->packed = f->plain;
    f->packed.packed = true;
    f->packed.data = f->panels;
    acts_open(&f->x, n_x, cols + (size_t)rng_range(rng, 0, 70)); /* longer rows were seen before */
    f->x.n = cols;
    for (size_t i = 0; i < n_x * cols; i++)
        f->x.x[i] = (float)(2 * rng_unit(rng) - 1) * (i / 32 % 3 ? 1.0f : 30.0f);
    for (size_t r = 0; r < n_x; r++)
        kernels_scalar.acts_quantize(&f->x, r, 0, cols);
}

static void fixture_free(struct fixture *f)
{
    acts_free(&f->x);
    mem_free(f->panels);
    mem_free(f->bytes);
}

static size_t random_cols(struct rng *rng, enum tensor_type type)
{
    size_t block = tensor_type_info(type)->block;
    return block * (size_t)rng_range(rng, 1, block == 32 ? 19 : 3);
}

/*
 * The bound. With w_i the weight and x_i = d q_i + e_i, |e_i| <= d / 2 (to nearest):
 *   |y - w . x| <= sum |w_i| d_i / 2 + rounding,
 * rounding being at most some 2^-24 a block of sums of |scale (u - zero) d q| + |min d q|, which are at most
 * `size` below; `exact` compares with d q itself and leaves only the rounding.
 */
static void check_against_double(const struct fixture *f, const float *y, size_t stride, const float *weights)
{
    size_t n = f->plain.cols;
    for (size_t r = 0; r < f->x.rows_max; r++)
        for (size_t j = 0; j < f->plain.rows; j++) {
            double sum = 0, exact = 0, size = 0, coarse = 0, largest = 0;
            const float *w = weights + j * n, *x = f->x.x + r * n;
            for (size_t i = 0; i < n; i++) {
                const struct acts_block *b = acts_row(&f->x, r) + i / ACTS_BLOCK;
                sum += (double)w[i] * (double)x[i];
                exact += (double)w[i] * (double)b->d * b->q[i % ACTS_BLOCK];
                coarse += fabs((double)w[i]) * (double)b->d * 0.50001;
                largest = fmax(largest, fabs((double)w[i]));
                size += fabs((double)b->d * b->q[i % ACTS_BLOCK]);
            }
            size *= 3 * largest * 1e-6; /* 3: a min is no larger than twice the largest weight */
            assert_near(exact, (double)y[r * stride + j], size);
            assert_near(sum, (double)y[r * stride + j], coarse + size);
        }
}

static void scalar_is_right(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 31, 0);
    for (int type = 0; type < TENSOR_TYPE_COUNT; type++)
        for (int i = 0; i < 6 && tensor_type_info((enum tensor_type)type)->block > 1; i++) {
            size_t rows = (size_t)rng_range(&rng, 1, 40), stride = rows + (size_t)rng_range(&rng, 0, 3);
            struct fixture f;
            fixture_init(&f, &rng, (enum tensor_type)type, rows, random_cols(&rng, (enum tensor_type)type),
                         (size_t)rng_range(&rng, 1, 5));
            float *y = mem_array(f.x.rows_max * stride, sizeof *y);
            float *weights = mem_array(rows * f.plain.cols, sizeof *weights);
            tensor_dequantize(f.type, f.bytes, rows * f.plain.cols, weights);
            matrix_mul(&kernels_scalar, &(struct product){ .w = &f.packed,
                                                           .to = rows,
                                                           .x = &f.x,
                                                           .n_rows = f.x.rows_max,
                                                           .y = y,
                                                           .y_stride = stride });
            check_against_double(&f, y, stride, weights);
            mem_free(weights);
            mem_free(y);
            fixture_free(&f);
        }
}

/* The same bits, or two NaNs: which NaN it is, is the processor's affair. */
static void assert_same(const float *want, const float *got, size_t n, const char *isa, enum tensor_type type)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(want + i, got + i, sizeof *want) != 0 && !(isnan(want[i]) && isnan(got[i])))
            fail_msg("%s, %s, output %zu: %.9g, not %.9g", isa, tensor_type_info(type)->name, i,
                     (double)got[i], (double)want[i]);
}

/* Odd sizes, gathered rows, a cut anywhere; what lies beside the outputs stays. */
static void check_variant(struct rng *rng, const struct kernels *k, enum tensor_type type)
{
    size_t rows = (size_t)rng_range(rng, 1, 53), n_x = (size_t)rng_range(rng, 1, 9),
           n = (size_t)rng_range(rng, 1, 40), stride = rows + (size_t)rng_range(rng, 0, 3);
    struct fixture f;
    uint32_t pick[40];
    fixture_init(&f, rng, type, rows, random_cols(rng, type), n_x);
    for (size_t r = 0; r < n; r++)
        pick[r] = (uint32_t)rng_below(rng, n_x);
    float *want = mem_array(n * stride, sizeof *want), *got = mem_array(n * stride, sizeof *got);
    struct product p = {
        .w = &f.packed, .to = rows, .x = &f.x, .rows = pick, .n_rows = n, .y = want, .y_stride = stride
    };
    matrix_mul(&kernels_scalar, &p);
    p.y = got;
    p.to = (size_t)rng_below(rng, rows / PANEL_ROWS + 1) * PANEL_ROWS;
    matrix_mul(k, &p);
    p.from = p.to;
    p.to = rows;
    matrix_mul(k, &p);
    assert_same(want, got, n * stride, k->isa, type); /* both left the gaps at zero */
    mem_free(got);
    mem_free(want);
    fixture_free(&f);
}

static void variants_agree_to_the_bit(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 32, 0);
    struct kernels k, before = { 0 };
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++) {
        for (int type = 0; type < TENSOR_TYPE_COUNT && k.mul_packed != before.mul_packed; type++)
            for (int i = 0; i < 12 && tensor_type_info((enum tensor_type)type)->block > 1; i++)
                check_variant(&rng, &k, (enum tensor_type)type);
        before = k;
    }
}

/* Any bytes: scales that are infinite, NaN or subnormal. */
static void variants_agree_on_hostile_blocks(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 33, 0);
    struct kernels k;
    for (int type = 0; type < TENSOR_TYPE_COUNT; type++) {
        const struct tensor_type_info *info = tensor_type_info((enum tensor_type)type);
        if (info->block == 1)
            continue;
        struct fixture f;
        fixture_init(&f, &rng, (enum tensor_type)type, 16, 256, 3);
        for (size_t i = 0; i < 16 * 256 / info->block * info->bytes; i++)
            ((unsigned char *)f.bytes)[i] = (unsigned char)rng_u64(&rng);
        matrix_pack(&f.plain, f.panels, 0, 1);
        float want[48], got[48];
        struct product p = { .w = &f.packed, .to = 16, .x = &f.x, .n_rows = 3, .y = want, .y_stride = 16 };
        matrix_mul(&kernels_scalar, &p);
        p.y = got;
        for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++) {
            matrix_mul(&k, &p);
            assert_same(want, got, 48, k.isa, f.type);
        }
        fixture_free(&f);
    }
}

/* A row with an infinity or a NaN is NaN in every output, and no other row is. */
static void broken_rows_stay_alone(void **state)
{
    (void)state;
    static const float broken[] = { NAN, INFINITY, -INFINITY };
    struct rng rng;
    rng_init(&rng, 34, 0);
    struct kernels k;
    for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++)
        for (size_t b = 0; b < ARRAY_LEN(broken); b++) {
            struct fixture f;
            float y[5][20];
            fixture_init(&f, &rng, TENSOR_Q4_0, 20, 96, 5);
            f.x.x[2 * 96 + (size_t)rng_below(&rng, 96)] = broken[b];
            for (size_t r = 0; r < 5; r++)
                k.acts_quantize(&f.x, r, 0, 96);
            matrix_mul(&k, &(struct product){
                               .w = &f.packed, .to = 20, .x = &f.x, .n_rows = 5, .y = y[0], .y_stride = 20 });
            for (size_t r = 0; r < 5; r++)
                for (size_t j = 0; j < 20; j++)
                    assert_true(r == 2 ? isnan(y[r][j]) : isfinite(y[r][j]));
            fixture_free(&f);
        }
}

/* --- activations -------------------------------------------------------------------------------------------- */

static void check_block(const struct acts *a, size_t r, size_t b)
{
    const struct acts_block *q = acts_row(a, r) + b;
    const float *x = a->x + r * a->n + b * ACTS_BLOCK;
    int32_t sum[2] = { 0, 0 };
    double max = 0;
    for (size_t i = 0; i < ACTS_BLOCK; i++) {
        assert_in_range(q->q[i] + 127, 0, 254);
        assert_near((double)x[i], (double)q->d * q->q[i], (double)q->d * 0.50001 + 0x1p-100);
        sum[i / 16] += q->q[i];
        max = fmax(max, fabs((double)x[i]));
    }
    assert_near(max >= 0x1p-100 ? max / 127 : 0, (double)q->d, max * 1e-9);
    assert_int_equal(q->minus16[0], -sum[0]);
    assert_int_equal(q->minus16[1], -sum[1]);
    assert_int_equal(q->minus32, -sum[0] - sum[1]);
}

/* From the smallest floats to the largest, ties and zeroes; cut anywhere; the same bytes in all instruction sets. */
static void quantising_agrees(void **state)
{
    (void)state;
    enum { ROWS = 5, BLOCKS = 7, N = BLOCKS * ACTS_BLOCK };
    struct rng rng;
    rng_init(&rng, 35, 0);
    struct kernels k;
    struct acts want, got;
    acts_open(&want, ROWS, N + 33);
    acts_open(&got, ROWS, N + 33);
    want.n = got.n = N;
    for (int round = 0; round < 40; round++) {
        for (size_t i = 0; i < ROWS * N; i++) {
            int power = (int)(i / ACTS_BLOCK * 37 + (size_t)round * 11) % 275 - 148;
            double x = 2 * rng_unit(&rng) - 1;
            if (round % 4 == 0)
                x = i % ACTS_BLOCK ? (double)rng_range(&rng, -127, 127) / 127 + 0.5 / 127 : 1; /* ties */
            want.x[i] = got.x[i] = round % 7 == 3 && i % 64 < 32 ? 0.0f : (float)ldexp(x, power);
        }
        for (size_t r = 0; r < ROWS; r++)
            kernels_scalar.acts_quantize(&want, r, 0, N);
        for (size_t r = 0; r < ROWS; r++)
            for (size_t b = 0; b < BLOCKS; b++)
                check_block(&want, r, b);
        for (size_t v = 0; kernels_variant(v, cpu_detect(), &k); v++) {
            size_t cut = (size_t)rng_below(&rng, BLOCKS + 1) * ACTS_BLOCK;
            memset(got.q, 0x55, ROWS * (BLOCKS | 1) * sizeof *got.q);
            for (size_t r = 0; r < ROWS; r++) {
                k.acts_quantize(&got, r, cut, N);
                k.acts_quantize(&got, r, 0, cut);
                assert_memory_equal(acts_row(&want, r), acts_row(&got, r), BLOCKS * sizeof *got.q);
            }
        }
    }
    acts_free(&want);
    acts_free(&got);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(scalar_is_right),
    cmocka_unit_test(variants_agree_to_the_bit),
    cmocka_unit_test(variants_agree_on_hostile_blocks),
    cmocka_unit_test(broken_rows_stay_alone),
    cmocka_unit_test(quantising_agrees),
};
TEST_GROUP(kernel_packed, tests)
