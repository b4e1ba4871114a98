/*
 * dequant.c - what the bytes of a stored block mean: the definition of every tensor type.
 *
 * Layouts are those of ggml's published block structures (ggml-common.h, quants in docs/gguf.md); all numbers are
 * little endian, as on every machine this builds for. Any bytes are a valid block: codes index nothing but
 * tables of 16, and scales may come out infinite or NaN, which then is what the weights are.
 */
#include "kernel/packed_impl.h"

#include <string.h>

static uint16_t half_at(const unsigned char *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return h;
}

/* 32 codes of 4 bits: k in the low nibbles, k + 16 in the high ones. */
static void nibbles_apart(const unsigned char *q, uint8_t *code)
{
    for (int i = 0; i < 16; i++) {
        code[i] = q[i] & 15;
        code[i + 16] = q[i] >> 4;
    }
}

/* Q4_0: d, 16 bytes. Q4_1: d, m, 16 bytes. IQ4_NL as Q4_0. */
static void read_4bit(const unsigned char *b, bool has_min, struct stored *s)
{
    s->d = half_at(b);
    s->dmin = has_min ? half_at(b + 2) : 0;
    nibbles_apart(b + (has_min ? 4 : 2), s->code);
}

/* Q5_0, Q5_1: the fifth bits of all 32 stand as one number before the nibbles. */
static void read_5bit(const unsigned char *b, bool has_min, struct stored *s)
{
    uint32_t fifth;
    s->d = half_at(b);
    s->dmin = has_min ? half_at(b + 2) : 0;
    b += has_min ? 4 : 2;
    memcpy(&fifth, b, sizeof fifth);
    nibbles_apart(b + 4, s->code);
    for (int i = 0; i < 32; i++)
        s->code[i] |= (uint8_t)((fifth >> i & 1) << 4);
}

static void read_q8_0(const unsigned char *b, struct stored *s)
{
    s->d = half_at(b);
    s->dmin = 0;
    for (int i = 0; i < 32; i++)
        s->code[i] = b[2 + i] ^ 0x80; /* q + 128 */
}

static void read_mxfp4(const unsigned char *b, struct stored *s)
{
    s->d = b[0];
    s->dmin = 0;
    nibbles_apart(b + 1, s->code);
}

/* 128 codes of 2 bits in 32 bytes: 32 codes at each of four shifts. Two such halves are a Q2_K or Q3_K. */
static void pairs_apart(const unsigned char *q, uint8_t *code)
{
    for (int i = 0; i < CHUNK; i++)
        code[i] = q[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
}

/* scales[16] (scale, min: nibbles), qs[64], d, dmin. */
static void read_q2_k(const unsigned char *b, struct stored *s)
{
    pairs_apart(b + 16, s->code);
    for (int g = 0; g < 16; g++) {
        s->scale[g] = b[g] & 15;
        s->min[g] = b[g] >> 4;
    }
    s->d = half_at(b + 80);
    s->dmin = half_at(b + 82);
}

/* hmask[32] (bit j: the third bit of weights 32 j ...), qs[64], scales[12] (16 of 6 bits, minus 32), d. */
static void read_q3_k(const unsigned char *b, struct stored *s)
{
    const unsigned char *six = b + 96;
    pairs_apart(b + 32, s->code);
    for (int i = 0; i < CHUNK; i++)
        s->code[i] |= (uint8_t)((b[i % 32] >> (i / 32) & 1) << 2);
    for (int g = 0; g < 16; g++) {
        int low = g < 8 ? six[g] & 15 : six[g - 8] >> 4, high = six[8 + g % 4] >> (g / 4 * 2) & 3;
        s->scale[g] = (int16_t)((low | high << 4) - 32);
        s->min[g] = 0;
    }
    s->d = half_at(b + 108);
    s->dmin = 0;
}

/* 12 bytes hold eight scales and eight mins of 6 bits: the first four whole, in bytes 0-3 and 4-7; of the others
 * the low nibbles in bytes 8-11 and the upper two bits on top of the first four. */
static void six_bits(const unsigned char *p, struct stored *s)
{
    for (int g = 0; g < 8; g++) {
        int scale = g < 4 ? p[g] & 63 : (p[g + 4] & 15) | (p[g - 4] >> 6) << 4;
        int min = g < 4 ? p[g + 4] & 63 : p[g + 4] >> 4 | (p[g] >> 6) << 4;
        s->scale[2 * g] = s->scale[2 * g + 1] = (int16_t)scale;
        s->min[2 * g] = s->min[2 * g + 1] = (int16_t)min;
    }
}

/* 64 codes of 4 bits in 32 bytes, the first 32 in the low nibbles; q advances 32 bytes for 64 codes. */
static void nibbles_k(const unsigned char *q, uint8_t *code)
{
    for (int i = 0; i < CHUNK; i++)
        code[i] = q[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4) & 15;
}

/* d, dmin, scales[12], qs[128]. */
static void read_q4_k(const unsigned char *b, struct stored *s)
{
    s->d = half_at(b);
    s->dmin = half_at(b + 2);
    six_bits(b + 4, s);
    nibbles_k(b + 16, s->code);
}

/* d, dmin, scales[12], qh[32] (bit j: the fifth bit of weights 32 j ...), qs[128]. */
static void read_q5_k(const unsigned char *b, struct stored *s)
{
    s->d = half_at(b);
    s->dmin = half_at(b + 2);
    six_bits(b + 4, s);
    nibbles_k(b + 48, s->code);
    for (int i = 0; i < CHUNK; i++)
        s->code[i] |= (uint8_t)((b[16 + i % 32] >> (i / 32) & 1) << 4);
}

/* ql[128], qh[64], scales[16] (signed), d. Each half of 128 weights takes 64 bytes of ql and 32 of qh. */
static void read_q6_k(const unsigned char *b, struct stored *s)
{
    for (int i = 0; i < CHUNK; i++) {
        const unsigned char *ql = b + i / 128 * 64, *qh = b + 128 + i / 128 * 32;
        int low = ql[i % 64] >> (i % 128 / 64 * 4) & 15, high = qh[i % 32] >> (i % 128 / 32 * 2) & 3;
        s->code[i] = (uint8_t)(low | high << 4);
    }
    for (int g = 0; g < 16; g++) {
        s->scale[g] = (int8_t)b[192 + g];
        s->min[g] = 0;
    }
    s->d = half_at(b + 208);
    s->dmin = 0;
}

/* d, upper two bits of eight scales, their low nibbles[4], qs[128]; 32 weights take 16 bytes. */
static void read_iq4_xs(const unsigned char *b, struct stored *s)
{
    uint16_t high = half_at(b + 2);
    s->d = half_at(b);
    s->dmin = 0;
    for (int g = 0; g < 8; g++) {
        int scale = (b[4 + g / 2] >> (g % 2 * 4) & 15) | (high >> 2 * g & 3) << 4;
        s->scale[2 * g] = s->scale[2 * g + 1] = (int16_t)(scale - 32);
        s->min[2 * g] = s->min[2 * g + 1] = 0;
        nibbles_apart(b + 8 + 16 * g, s->code + 32 * g);
    }
}

void stored_read(enum tensor_type type, const void *block, struct stored *s)
{
    switch (type) {
    case TENSOR_Q8_0: read_q8_0(block, s); break;
    case TENSOR_IQ4_NL:
    case TENSOR_Q4_0: read_4bit(block, false, s); break;
    case TENSOR_Q4_1: read_4bit(block, true, s); break;
    case TENSOR_Q5_0: read_5bit(block, false, s); break;
    case TENSOR_Q5_1: read_5bit(block, true, s); break;
    case TENSOR_Q2_K: read_q2_k(block, s); break;
    case TENSOR_Q3_K: read_q3_k(block, s); break;
    case TENSOR_Q4_K: read_q4_k(block, s); break;
    case TENSOR_Q5_K: read_q5_k(block, s); break;
    case TENSOR_Q6_K: read_q6_k(block, s); break;
    case TENSOR_IQ4_XS: read_iq4_xs(block, s); break;
    case TENSOR_MXFP4: read_mxfp4(block, s); break;
    case TENSOR_F32:
    case TENSOR_F16:
    case TENSOR_BF16:
    case TENSOR_TYPE_COUNT: break; /* have no blocks */
    }
}

static float from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Weight i of the block: scale * (u - zero) - min. */
static float stored_value(const struct packed_form *f, const struct stored *s, size_t i)
{
    float level = f->levels ? f->levels[s->code[i]] : (float)(s->code[i] - f->zero);
    switch (f->scales) {
    case SCALES_F16: return f16_to_f32(s->d) * level;
    case SCALES_F16_MIN: return f16_to_f32(s->d) * level + f16_to_f32(s->dmin);
    case SCALES_E8M0: return from_bits(e8m0_half_bits(s->d)) * level;
    case SCALES_K_SIGNED: return f16_to_f32(s->d) * (float)s->scale[i / 16] * level;
    case SCALES_K_MIN:
    case SCALES_K_NIBBLES: break;
    }
    return f16_to_f32(s->d) * (float)s->scale[i / 16] * level - f16_to_f32(s->dmin) * (float)s->min[i / 16];
}

static void dequantize_blocks(enum tensor_type type, const unsigned char *src, size_t n, float *out)
{
    const struct tensor_type_info *info = tensor_type_info(type);
    const struct packed_form *f = packed_form(type);
    for (; n >= info->block; n -= info->block, src += info->bytes, out += info->block) {
        struct stored s;
        stored_read(type, src, &s);
        for (size_t i = 0; i < info->block; i++)
            out[i] = stored_value(f, &s, i);
    }
}

void tensor_dequantize(enum tensor_type type, const void *src, size_t n, float *out)
{
    const unsigned char *bytes = src;
    switch (type) {
    case TENSOR_F32: memcpy(out, src, n * sizeof *out); break;
    case TENSOR_F16:
        for (size_t i = 0; i < n; i++)
            out[i] = f16_to_f32(half_at(bytes + 2 * i));
        break;
    case TENSOR_BF16: /* the upper half of binary32 */
        for (size_t i = 0; i < n; i++)
            out[i] = from_bits((uint32_t)half_at(bytes + 2 * i) << 16);
        break;
    default: dequantize_blocks(type, bytes, n, out); break;
    }
}

/* --- numbers that are none ------------------------------------------------------------------------------- */

static bool finite_f32(const unsigned char *p, size_t n)
{
    uint32_t bits, odd = 0;
    for (size_t i = 0; i < n; i++) {
        memcpy(&bits, p + 4 * i, sizeof bits);
        odd |= (bits & 0x7f800000) == 0x7f800000;
    }
    return !odd;
}

/* 16 bits every `step` bytes; exponent: the mask of theirs. */
static bool finite_16(const unsigned char *p, size_t n, size_t step, uint16_t exponent)
{
    uint32_t odd = 0;
    for (size_t i = 0; i < n; i++)
        odd |= (half_at(p + i * step) & exponent) == exponent;
    return !odd;
}

/* OCP Microscaling Formats 1.0, 5.4.1: the exponent 255 is NaN. */
static bool finite_mxfp4(const unsigned char *p, size_t n)
{
    uint32_t odd = 0;
    for (size_t i = 0; i < n; i++)
        odd |= p[i * 17] == 255;
    return !odd;
}

/* Where in a block its halves stand. */
static const struct {
    uint8_t count, at[2];
} halves[TENSOR_TYPE_COUNT] = {
    [TENSOR_Q8_0] = { 1, { 0 } },   [TENSOR_Q4_0] = { 1, { 0 } },    [TENSOR_Q4_1] = { 2, { 0, 2 } },
    [TENSOR_Q5_0] = { 1, { 0 } },   [TENSOR_Q5_1] = { 2, { 0, 2 } }, [TENSOR_Q2_K] = { 2, { 80, 82 } },
    [TENSOR_Q3_K] = { 1, { 108 } }, [TENSOR_Q4_K] = { 2, { 0, 2 } }, [TENSOR_Q5_K] = { 2, { 0, 2 } },
    [TENSOR_Q6_K] = { 1, { 208 } }, [TENSOR_IQ4_NL] = { 1, { 0 } },  [TENSOR_IQ4_XS] = { 1, { 0 } },
};

bool tensor_finite(enum tensor_type type, const void *src, size_t n)
{
    const struct tensor_type_info *info = tensor_type_info(type);
    const unsigned char *p = src;
    switch (type) {
    case TENSOR_F32: return finite_f32(p, n);
    case TENSOR_F16: return finite_16(p, n, 2, 0x7c00);
    case TENSOR_BF16: return finite_16(p, n, 2, 0x7f80);
    case TENSOR_MXFP4: return finite_mxfp4(p, n / info->block);
    default: break;
    }
    bool finite = true;
    for (int i = 0; i < halves[type].count; i++)
        finite &= finite_16(p + halves[type].at[i], n / info->block, info->bytes, 0x7c00);
    return finite;
}
