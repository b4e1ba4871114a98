/*
 * amx.c - the products by tiles, on registers and tiles in plain C: what packed_amx.c computes on a CPU that has them.
 *
 * The model keeps to the manual where the code could go wrong: a tile has the shape it was given at the beginning,
 * rows and bytes beyond it are neither read nor written, and nothing survives tiles_end.
 */
#include "test.h"

#include "base/rng.h"
#include "kernel/packed_impl.h"

#include <math.h>
#include <string.h>

/* --- registers of 64 bytes ----------------------------------------------------------------------------------- */

typedef union {
    uint8_t bytes[64];
    uint16_t words[32];
    int32_t lanes[16];
} vint;
typedef struct {
    float lanes[16];
} vflt;
#define LANES     16
#define ROWS_MOST 16
#define WITHOUT_TILES

static vint vi_zero(void)
{
    return (vint){ .lanes = { 0 } };
}

static vint vi_load(const void *p)
{
    vint v;
    assert_int_equal((uintptr_t)p % 64, 0);
    memcpy(&v, p, sizeof v);
    return v;
}

static void vi_store(void *p, vint v)
{
    assert_int_equal((uintptr_t)p % 64, 0);
    memcpy(p, &v, sizeof v);
}

static vint vi_set(unsigned char byte)
{
    vint v;
    memset(&v, byte, sizeof v);
    return v;
}

#define EACH(type, expression)                                                                               \
    type v;                                                                                                  \
    for (size_t i = 0; i < sizeof v.lanes / sizeof v.lanes[0]; i++)                                          \
        v.lanes[i] = expression;                                                                             \
    return v

static vint vi_and(vint a, vint b)
{
    EACH(vint, a.lanes[i] & b.lanes[i]);
}

static vint vi_or(vint a, vint b)
{
    EACH(vint, a.lanes[i] | b.lanes[i]);
}

static vint vi_add32(vint a, vint b)
{
    EACH(vint, a.lanes[i] + b.lanes[i]);
}

static vint vi_left32(vint a, int n)
{
    EACH(vint, a.lanes[i] * (1 << n));
}

static vint vi_broadcast(const int32_t *p)
{
    EACH(vint, *p);
}

static vint vi_left(vint v, int n)
{
    for (size_t i = 0; i < 32; i++)
        v.words[i] = (uint16_t)(v.words[i] << n);
    return v;
}

static vint vi_right(vint v, int n)
{
    for (size_t i = 0; i < 32; i++)
        v.words[i] = (uint16_t)(v.words[i] >> n);
    return v;
}

static vint vi_levels(const unsigned char *table, vint codes)
{
    for (size_t i = 0; i < 64; i++)
        codes.bytes[i] = table[codes.bytes[i]];
    return codes;
}

static vflt vf_zero(void)
{
    EACH(vflt, 0);
}

static vflt vf_whole(vint a)
{
    EACH(vflt, (float)a.lanes[i]);
}

static vflt vf_broadcast(const float *p)
{
    EACH(vflt, *p);
}

static vflt vf_mul(vflt a, vflt b)
{
    EACH(vflt, a.lanes[i] * b.lanes[i]);
}

static vflt vf_fma(vflt a, vflt b, vflt c)
{
    EACH(vflt, fmaf(a.lanes[i], b.lanes[i], c.lanes[i]));
}

static vflt vf_half(const void *p)
{
    EACH(vflt, f16_to_f32(((const uint16_t *)p)[i]));
}

static vflt vf_signed(const void *p)
{
    EACH(vflt, ((const int8_t *)p)[i]);
}

static vflt vf_bits(const void *p, int shift, int mask)
{
    EACH(vflt, (float)(((const uint8_t *)p)[i] >> shift & mask));
}

static vflt vf_exponent(const void *p)
{
    vflt v;
    for (size_t i = 0; i < 16; i++) {
        uint32_t bits = e8m0_half_bits(((const uint8_t *)p)[i]);
        memcpy(&v.lanes[i], &bits, sizeof bits);
    }
    return v;
}

static void vf_store(float *p, vflt v)
{
    memcpy(p, &v, sizeof v);
}

#include "kernel/packed_vector_impl.h"

/* --- tiles ---------------------------------------------------------------------------------------------------- */

struct tile_shape {
    uint8_t rows, row_bytes;
};

static struct {
    bool on;
    struct tile_shape shape[8];
    uint8_t bytes[8][16][64];
    size_t products;
} amx;

static void tiles_begin(const struct tile_shape *shapes)
{
    assert_false(amx.on);
    memcpy(amx.shape, shapes, sizeof amx.shape);
    memset(amx.bytes, 0, sizeof amx.bytes);
    amx.on = true;
}

static void tiles_end(void)
{
    assert_true(amx.on);
    amx.on = false;
}

static void tile_zero(int t)
{
    assert_true(amx.on);
    memset(amx.bytes[t], 0, sizeof amx.bytes[t]);
}

static void tile_read(int t, const void *p, size_t stride)
{
    assert_true(amx.on);
    for (size_t r = 0; r < amx.shape[t].rows; r++)
        memcpy(amx.bytes[t][r], (const char *)p + r * stride, amx.shape[t].row_bytes);
}

static void tile_write(int t, void *p, size_t stride)
{
    assert_true(amx.on);
    for (size_t r = 0; r < amx.shape[t].rows; r++)
        memcpy((char *)p + r * stride, amx.bytes[t][r], amx.shape[t].row_bytes);
}

static void tile_dot(int c, int a, int b)
{
    const struct tile_shape *sc = &amx.shape[c], *sa = &amx.shape[a], *sb = &amx.shape[b];
    assert_true(amx.on && sc->rows == sa->rows && sc->row_bytes == sb->row_bytes &&
                sa->row_bytes == 4 * sb->rows);
    for (size_t m = 0; m < sc->rows; m++)
        for (size_t n = 0; n < sc->row_bytes / 4u; n++) {
            int32_t sum;
            memcpy(&sum, &amx.bytes[c][m][4 * n], 4);
            for (size_t k = 0; k < sa->row_bytes; k++)
                sum += (int8_t)amx.bytes[a][m][k] * amx.bytes[b][k / 4][4 * n + k % 4];
            memcpy(&amx.bytes[c][m][4 * n], &sum, 4);
        }
    amx.products++;
}

static void mul_packed_rest(const struct product *p)
{
    assert_true(p->n_rows < 16);
    kernels_scalar.mul_packed(p);
}

#include "kernel/packed_amx_impl.h"

/* --- tests ---------------------------------------------------------------------------------------------------- */

/* Random codes with scales that are ordinary wherever they lie: no exponent of all ones in any two bytes. */
static void *random_panels(struct rng *rng, struct matrix *w)
{
    const struct tensor_type_info *info = tensor_type_info(w->type);
    size_t bytes = w->rows * w->cols / info->block * info->bytes;
    unsigned char *plain = mem_alloc(bytes);
    void *out = mem_aligned(64, matrix_packed_bytes(w->type, w->rows, w->cols));
    for (size_t i = 0; i < bytes; i++)
        plain[i] = (unsigned char)(rng_u64(rng) & 0xbb);
    w->data = plain;
    matrix_pack(w, out, 0, (w->rows + PANEL_ROWS - 1) / PANEL_ROWS);
    mem_free(plain);
    w->packed = true;
    w->data = out;
    return out;
}

static void check_tiles(struct rng *rng, enum tensor_type type, size_t n, bool gather)
{
    size_t block = tensor_type_info(type)->block, rows = (size_t)rng_range(rng, 1, 40), stride = rows + 1;
    struct matrix w = { .type = type,
                        .rows = rows,
                        .cols = block * (size_t)rng_range(rng, 1, block == 32 ? 13 : 2) };
    void *panels = random_panels(rng, &w);
    struct acts x;
    uint32_t pick[50];
    acts_open(&x, n, w.cols);
    for (size_t i = 0; i < n * w.cols; i++)
        x.x[i] = (float)(2 * rng_unit(rng) - 1);
    for (size_t r = 0; r < n; r++) {
        kernels_scalar.acts_quantize(&x, r, 0, w.cols);
        pick[r] = (uint32_t)rng_below(rng, n);
    }
    float *want = mem_array(n * stride, sizeof *want), *got = mem_array(n * stride, sizeof *got);
    struct product p = {
        .w = &w, .to = rows, .x = &x, .rows = gather ? pick : NULL, .n_rows = n, .y = want, .y_stride = stride
    };
    kernels_scalar.mul_packed(&p);
    p.y = got;
    amx.products = 0;
    mul_packed_amx(&p);
    assert_memory_equal(want, got, n * stride * sizeof *got);
    assert_true((amx.products > 0) == (n >= 16));
    assert_false(amx.on);
    mem_free(got);
    mem_free(want);
    acts_free(&x);
    mem_free(panels);
}

static void tiles_agree_to_the_bit(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 15, 16, 17, 35 };
    struct rng rng;
    rng_init(&rng, 41, 0);
    for (int type = 0; type < TENSOR_TYPE_COUNT; type++)
        for (size_t i = 0; i < ARRAY_LEN(sizes) && tensor_type_info((enum tensor_type)type)->block > 1; i++)
            check_tiles(&rng, (enum tensor_type)type, sizes[i], i % 2);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(tiles_agree_to_the_bit),
};
TEST_GROUP(kernel_amx, tests)
