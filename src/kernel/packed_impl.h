/*
 * packed_impl.h - the layout of packed weights, shared by what packs, unpacks and multiplies them.
 *
 * A panel holds 16 outputs. Along k it is cut into chunks of 256 weights (the last one may be shorter), and a
 * chunk into blocks of 32, the length over which activations share a scale. Everything of a chunk lies together,
 * so a panel is one stream of memory:
 *
 *   codes of block 0, 1, ... | scales of the chunk | zeroes up to a multiple of 64 bytes
 *
 * Codes. A quad is four consecutive k of all 16 outputs, [16][4] bytes: one register, and what an instruction
 * that adds four products of bytes to each 32-bit lane wants (VPDPBUSD, SDOT; eight quads are an AMX tile of
 * half depth). A block is eight quads. Codes wider than a plane are cut in two planes:
 *   8 bits  quads 0 .. 7 as they are                                              512 bytes a block
 *   4 bits  64-byte register i holds quad i in its low nibbles, i + 4 in its high ones           256
 *   2 bits  register i holds quad 4 i + j in its bits 2 j and 2 j + 1                            128
 *   1 bit   one register holds quad j in its bits j                                               64
 * Above the low plane (8, 4 or 2 bits) comes the high one (2, 1 or no bits); the high bits are worth 2^low_bits.
 *
 * A weight is scale * (u - zero) - min, u its code or, for types with levels, zero + levels[code]: always
 * unsigned, so that one instruction fits all. Scales and mins are kept as the file has them and are exact in
 * binary32; group is the number of k that share them:
 *   F16        half d[16] a block
 *   F16_MIN    half d[16], half min[16] a block; min is the file's with its sign turned
 *   E8M0       exponent[16] a block
 *   K_MIN      half d[16], half dmin[16], then bytes scale[8][16], min[8][16] a chunk: d * scale and dmin * min
 *   K_NIBBLES  half d[16], half dmin[16], then bytes [16][16]: scale in the low nibble, min in the high one
 *   K_SIGNED   half d[16], then signed bytes [256 / group][16]
 */
#ifndef THINKD_KERNEL_PACKED_IMPL_H
#define THINKD_KERNEL_PACKED_IMPL_H

#include "kernel/kernel_impl.h"

/* What a 4-bit code stands for where it is no plain number. The first are the quantiles that IQ4_NL's authors
 * fitted to weights, the second twice the values of an E2M1 float: a sign, two bits of exponent, one of mantissa. */
static const int8_t iq4_levels[16] = { -127, -104, -83, -65, -49, -35, -22, -10,
                                       1,    13,   25,  38,  53,  69,  89,  113 };
static const int8_t e2m1_levels[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

enum scales { SCALES_F16, SCALES_F16_MIN, SCALES_E8M0, SCALES_K_MIN, SCALES_K_NIBBLES, SCALES_K_SIGNED };

/* clang-format off */
#define PACKED_LIST(X)                                                \
    /* type    low high group zero  scales             levels */      \
    X(Q8_0,    8,  0,   32,   128,  SCALES_F16,        NULL)          \
    X(Q4_0,    4,  0,   32,   8,    SCALES_F16,        NULL)          \
    X(Q4_1,    4,  0,   32,   0,    SCALES_F16_MIN,    NULL)          \
    X(Q5_0,    4,  1,   32,   16,   SCALES_F16,        NULL)          \
    X(Q5_1,    4,  1,   32,   0,    SCALES_F16_MIN,    NULL)          \
    X(Q2_K,    2,  0,   16,   0,    SCALES_K_NIBBLES,  NULL)          \
    X(Q3_K,    2,  1,   16,   4,    SCALES_K_SIGNED,   NULL)          \
    X(Q4_K,    4,  0,   32,   0,    SCALES_K_MIN,      NULL)          \
    X(Q5_K,    4,  1,   32,   0,    SCALES_K_MIN,      NULL)          \
    X(Q6_K,    4,  2,   16,   32,   SCALES_K_SIGNED,   NULL)          \
    X(IQ4_NL,  4,  0,   32,   128,  SCALES_F16,        iq4_levels)    \
    X(IQ4_XS,  4,  0,   32,   128,  SCALES_K_SIGNED,   iq4_levels)    \
    X(MXFP4,   4,  0,   32,   16,   SCALES_E8M0,       e2m1_levels)
/* clang-format on */

struct packed_form {
    int low_bits, high_bits;
    int group; /* 16 or 32 */
    int zero;  /* 0 or a power of two */
    enum scales scales;
    const int8_t *levels; /* [16] or NULL */
};

/* In the header so that it folds away where the type is a constant. NULL: not packed. */
static inline const struct packed_form *packed_form(enum tensor_type type)
{
    static const struct packed_form forms[TENSOR_TYPE_COUNT] = {
#define X(name, low, high, group, zero, scales, levels)                                                      \
    [TENSOR_##name] = { low, high, group, zero, scales, levels },
        PACKED_LIST(X)
#undef X
    };
    return forms[type].low_bits ? &forms[type] : NULL;
}

static inline bool packed_has_min(const struct packed_form *f)
{
    return f->scales == SCALES_F16_MIN || f->scales == SCALES_K_MIN || f->scales == SCALES_K_NIBBLES;
}

#define CHUNK        256
#define CHUNK_BLOCKS (CHUNK / ACTS_BLOCK)
#define QUAD_BYTES   (4 * PANEL_ROWS)

/* What a stored block says, before it is packed or multiplied out: dequant.c. */
struct stored {
    uint8_t code[CHUNK];
    uint16_t d, dmin;           /* binary16; E8M0: d is the exponent */
    int16_t scale[16], min[16]; /* of the groups; K types only */
};
void stored_read(enum tensor_type type, const void *block, struct stored *out);

/* Twice a power of two is halved here because e2m1_levels are doubled; the two smallest exponents are subnormal. */
static inline uint32_t e8m0_half_bits(uint32_t e)
{
    return e < 2 ? UINT32_C(0x00200000) << e : (e - 1) << 23;
}

/* Sizes; f is a constant in the vector kernels, where all of this folds away. */
static inline size_t block_code_bytes(const struct packed_form *f)
{
    return (size_t)(f->low_bits + f->high_bits) * QUAD_BYTES;
}

static inline size_t chunk_scale_bytes(const struct packed_form *f, size_t blocks)
{
    switch (f->scales) {
    case SCALES_F16: return blocks * 2 * PANEL_ROWS;
    case SCALES_F16_MIN: return blocks * 4 * PANEL_ROWS;
    case SCALES_E8M0: return blocks * PANEL_ROWS;
    case SCALES_K_MIN: return (4 + 16) * PANEL_ROWS;
    case SCALES_K_NIBBLES: return (4 + 16) * PANEL_ROWS;
    case SCALES_K_SIGNED: return (size_t)(2 + CHUNK / f->group) * PANEL_ROWS;
    }
    return 0;
}

static inline size_t chunk_bytes(const struct packed_form *f, size_t blocks)
{
    return (blocks * block_code_bytes(f) + chunk_scale_bytes(f, blocks) + 63) / 64 * 64;
}

static inline size_t panel_bytes(const struct packed_form *f, size_t cols)
{
    size_t whole = cols / CHUNK, rest = cols % CHUNK / ACTS_BLOCK;
    return whole * chunk_bytes(f, CHUNK_BLOCKS) + (rest ? chunk_bytes(f, rest) : 0);
}

/* A chunk laid open: the codes as u, and scale and min of each group of 16 k (twice the same for groups of 32). */
struct chunk {
    uint8_t u[CHUNK / 4][PANEL_ROWS][4];
    float scale[CHUNK / 16][PANEL_ROWS], min[CHUNK / 16][PANEL_ROWS];
};
void chunk_open(const struct packed_form *f, const unsigned char *packed, size_t blocks, struct chunk *out);

static inline size_t product_row(const struct product *p, size_t r)
{
    return p->rows ? p->rows[r] : r;
}

#endif
