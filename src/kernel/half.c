/*
 * half.c - IEEE 754 binary16 and binary32 into each other, bit by bit.
 *
 * The slow and certain way, for tables, scales and tests; vector files use their instructions, which agree.
 */
#include "kernel/kernel.h"

#include <string.h>

static float from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 0x1f, mantissa = h & 0x3ff;
    if (exponent == 0x1f) /* infinities and NaNs keep their payload */
        return from_bits(sign | 0x7f800000 | mantissa << 13);
    if (exponent) /* bias 15 becomes bias 127 */
        return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
    float tiny = (float)mantissa * 0x1p-24f; /* zero and subnormals: exact in f32 */
    return sign ? -tiny : tiny;
}

uint16_t f32_to_f16(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) /* NaN: quiet, some of its payload */
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    if (magnitude >= 0x477ff000) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00);
    uint32_t shift, mantissa;
    if (magnitude >= 0x38800000) { /* 2^-14: normal */
        mantissa = magnitude - (112u << 23);
        shift = 13;
    } else if (magnitude >= 0x33000000) { /* 2^-25: subnormal, or the tie that rounds to zero */
        mantissa = (magnitude & 0x7fffff) | 0x800000;
        shift = 126 - (magnitude >> 23);
    } else
        return sign;
    uint32_t half = 1u << (shift - 1), kept = mantissa >> shift, rest = mantissa & (2 * half - 1);
    kept += rest > half || (rest == half && (kept & 1)); /* a carry runs into the exponent, as it should */
    return (uint16_t)(sign | kept);
}
