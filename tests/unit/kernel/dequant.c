/*
 * dequant.c - stored blocks: goldens of every type, and packing as a permutation that loses nothing.
 *
 * The goldens are what llama.cpp's own Python reader (gguf.quants) makes of the same bytes.
 */
#include "test.h"

#include "base/rng.h"
#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

/* A block of bytes i * 73 + 5 i^2 + 41, but for its halves: d = 0.1, the other -0.05; MXFP4's exponent is 121. */
static const struct golden {
    enum tensor_type type;
    int halves[2]; /* where they lie; -1: none */
    float want[8]; /* at places[], as many as the block has */
} goldens[] = {
    /* clang-format off */
    { TENSOR_Q8_0, { 0, -1 }, { -4.89880371f, 4.89880371f, -8.89782715f, -9.69763184f, -4.09899902f } },
    { TENSOR_Q4_0, { 0, -1 }, { 0.699829102f, -0.699829102f, -0.0999755859f, 0.399902344f, 0.199951172f } },
    { TENSOR_Q4_1, { 0, 2 }, { 1.25094604f, 0.251190186f, 0.0512390137f, 0.851043701f, 0.951019287f } },
    { TENSOR_Q5_0, { 0, -1 }, { 0.299926758f, 1.29968262f, -1.29968262f, 0.899780273f, -0.399902344f } },
    { TENSOR_Q5_1, { 0, 2 }, { 1.65084839f, 1.45089722f, 1.25094604f, 2.65060425f, -0.0487365723f } },
    { TENSOR_Q2_K, { 80, 82 }, { 0.997253418f, 2.44064331f, 0.446136475f, 1.03848267f, 0.636077881f, 1.69458008f, 0.792297363f, 1.6333313f } },
    { TENSOR_Q3_K, { 108, -1 }, { -0.699829102f, 6.89831543f, -4.49890137f, -2.59936523f, 2.39941406f, -2.69934082f, -0.0f, -0.999755859f } },
    { TENSOR_Q4_K, { 0, 2 }, { 28.48172f, 22.683136f, 12.1282654f, 36.7897034f, 35.1438599f, 49.9402466f, 67.554657f, 4.6925354f } },
    { TENSOR_Q5_K, { 0, 2 }, { 74.8703918f, 69.0718079f, 31.1236267f, 88.9769592f, 94.3294067f, 109.125793f, 136.33786f, 11.6908264f } },
    { TENSOR_Q6_K, { 208, -1 }, { 16.0960693f, -167.859009f, 350.214478f, -174.257446f, -79.0806885f, 33.8917236f, 0.0f, -54.5866699f } },
    { TENSOR_IQ4_NL, { 0, -1 }, { 11.2972412f, -10.3974609f, -0.999755859f, 5.29870605f, 2.49938965f } },
    { TENSOR_IQ4_XS, { 0, -1 }, { -301.526367f, -142.065308f, 132.467651f, -59.4854736f, 135.166992f, -16.895874f, -28.9929199f, -40.2901611f } },
    { TENSOR_MXFP4, { -1, -1 }, { 0.09375f, -0.09375f, -0.0078125f, 0.09375f, -0.0234375f } },
    /* clang-format on */
};
static const size_t places_32[] = { 0, 1, 15, 16, 31 }, places_256[] = { 0, 17, 50, 100, 128, 151, 201, 255 };

static void golden_blocks(void **state)
{
    (void)state;
    static const uint16_t halves[] = { 0x2e66, 0xaa3d };
    for (size_t g = 0; g < ARRAY_LEN(goldens); g++) {
        const struct tensor_type_info *info = tensor_type_info(goldens[g].type);
        unsigned char block[256];
        float got[256];
        for (size_t i = 0; i < info->bytes; i++)
            block[i] = (unsigned char)(i * 73 + i * i * 5 + 41);
        for (size_t h = 0; h < 2; h++)
            if (goldens[g].halves[h] >= 0)
                memcpy(block + goldens[g].halves[h], &halves[h], 2);
        if (goldens[g].type == TENSOR_MXFP4)
            block[0] = 121;
        tensor_dequantize(goldens[g].type, block, info->block, got);
        const size_t *places = info->block == 32 ? places_32 : places_256;
        for (size_t i = 0; i < (info->block == 32 ? ARRAY_LEN(places_32) : ARRAY_LEN(places_256)); i++)
            if (!(fabsf(got[places[i]] - goldens[g].want[i]) <= 1e-6f * fabsf(goldens[g].want[i])))
                fail_msg("%s, weight %zu: %.9g, not %.9g", info->name, places[i], (double)got[places[i]],
                         (double)goldens[g].want[i]);
    }
}

static void types_are_found(void **state)
{
    (void)state;
    for (int i = 0; i < TENSOR_TYPE_COUNT; i++) {
        enum tensor_type found;
        assert_true(tensor_type_find(tensor_type_info((enum tensor_type)i)->gguf, &found));
        assert_int_equal(found, i);
    }
    enum tensor_type found;
    assert_false(tensor_type_find(16, &found)); /* IQ2_XXS */
    assert_false(tensor_type_find(UINT32_MAX, &found));
}

/* The same float, or two NaNs. */
static void assert_same(const float *want, const float *got, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!(want[i] == got[i] || (isnan(want[i]) && isnan(got[i]))))
            fail_msg("%s, weight %zu: %.9g, not %.9g", name, i, (double)got[i], (double)want[i]);
}

/* Any bytes are weights: random ones hold scales that are infinite and NaN too. */
static void check_packing(struct rng *rng, enum tensor_type type, size_t rows, size_t cols)
{
    const struct tensor_type_info *info = tensor_type_info(type);
    size_t row_bytes = cols / info->block * info->bytes, panels = (rows + PANEL_ROWS - 1) / PANEL_ROWS;
    unsigned char *bytes = mem_alloc(rows * row_bytes);
    for (size_t i = 0; i < rows * row_bytes; i++)
        bytes[i] = (unsigned char)rng_u64(rng);
    struct matrix plain = { .type = type, .rows = rows, .cols = cols, .data = bytes }, packed = plain;
    size_t size = matrix_packed_bytes(type, rows, cols);
    assert_int_equal(size % 64, 0);
    void *out = size ? mem_aligned(64, size) : NULL;
    if (size) {
        size_t cut = panels / 2;
        matrix_pack(&plain, out, cut, panels); /* in any order, in any parts */
        matrix_pack(&plain, out, 0, cut);
        packed.packed = true;
        packed.data = out;
    }
    float *want = mem_array(cols, sizeof *want), *got = mem_array(cols, sizeof *got);
    for (size_t r = 0; r < rows; r++) {
        tensor_dequantize(type, bytes + r * row_bytes, cols, want);
        matrix_row(&plain, r, got);
        assert_same(want, got, cols, info->name);
        matrix_row(&packed, r, got);
        assert_same(want, got, cols, info->name);
    }
    mem_free(got);
    mem_free(want);
    mem_free(out);
    mem_free(bytes);
}

static void packing_keeps_every_weight(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 21, 0);
    for (int type = 0; type < TENSOR_TYPE_COUNT; type++)
        for (size_t rows = 1; rows <= 35; rows += 1 + rows % 7) {
            size_t block = tensor_type_info((enum tensor_type)type)->block;
            check_packing(&rng, (enum tensor_type)type, rows,
                          block * (size_t)rng_range(&rng, 1, block > 32 ? 2 : 19));
        }
}

/* 4-bit weights stay 4-bit: what packing adds to the file's bits is under 6 of 100. */
static void packing_adds_little(void **state)
{
    (void)state;
    for (int i = 0; i < TENSOR_TYPE_COUNT; i++) {
        const struct tensor_type_info *info = tensor_type_info((enum tensor_type)i);
        size_t file = 2048 / info->block * info->bytes * 64;
        assert_true(matrix_packed_bytes((enum tensor_type)i, 64, 2048) <= file + file * 6 / 100);
        assert_true((matrix_packed_bytes((enum tensor_type)i, 64, 2048) == 0) == (info->block == 1));
    }
}

/* Whatever a block says is finite exactly when all that it stands for is. */
static void finite_as_its_weights(void **state)
{
    (void)state;
    static const uint16_t halves[] = { 0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0xffff, 0x0000, 0x03ff };
    for (enum tensor_type type = 0; type < TENSOR_TYPE_COUNT; type++) {
        const struct tensor_type_info *info = tensor_type_info(type);
        for (size_t at = 0; at + 2 <= info->bytes; at += type == TENSOR_F32 ? 4 : 1)
            for (size_t h = 0; h < ARRAY_LEN(halves); h++) {
                unsigned char block[256] __attribute__((aligned(4))) = { 0 };
                float values[256];
                bool finite = true;
                memset(block, type == TENSOR_F32 || type == TENSOR_BF16 || type == TENSOR_F16 ? 0 : 0x11,
                       info->bytes);
                memcpy(block + at + (type == TENSOR_F32 ? 2 : 0), &halves[h], 2);
                if (type == TENSOR_MXFP4 && block[0] == 255)
                    finite = false; /* NaN by the format's standard; ggml reads 2^127 */
                tensor_dequantize(type, block, info->block, values);
                for (size_t i = 0; i < info->block; i++)
                    finite = finite && isfinite(values[i]);
                if (tensor_finite(type, block, info->block) != finite)
                    fail_msg("%s, %04x at byte %zu", info->name, halves[h], at);
            }
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(finite_as_its_weights), cmocka_unit_test(golden_blocks),
    cmocka_unit_test(types_are_found),       cmocka_unit_test(packing_keeps_every_weight),
    cmocka_unit_test(packing_adds_little),
};
TEST_GROUP(kernel_dequant, tests)
