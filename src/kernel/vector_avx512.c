/*
 * vector_avx512.c - vector_impl.h's kernels on sixteen lanes: AVX-512 F, BW, DQ and VL. Tails are masks.
 */
#include "kernel/kernel_impl.h"

#if defined(__x86_64__)

#include "kernel/vec_avx512_impl.h"

#define TILE_R 4 /* 4 x 4 sums, 4 rows of x and one of weights: 21 of 32 registers */

static inline vec widen_bf16(__m256i v)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}

static inline vec vec_bf16(const uint16_t *p)
{
    return widen_bf16(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

static inline vec vec_f16_tail(const uint16_t *p, size_t count)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(vec_first(count), p));
}

static inline vec vec_bf16_tail(const uint16_t *p, size_t count)
{
    return widen_bf16(_mm256_maskz_loadu_epi16(vec_first(count), p));
}

#define VEC_16_BIT_TAILS
#include "kernel/vector_impl.h"

const struct kernels kernels_vector_avx512 = { .isa = "avx512", VECTOR_KERNELS };

#else
typedef int kernel_vector_avx512_is_empty; /* ISO C wants one declaration in a file */
#endif
