/*
 * vector_avx2.c - vector_impl.h's kernels on eight lanes: AVX2 with FMA and F16C.
 */
#include "kernel/kernel_impl.h"

#if defined(__x86_64__)

#include "kernel/vec_avx2_impl.h"

#define TILE_R 2 /* 4 x 2 sums, 2 rows of x and one of weights: 11 of 16 registers */

static inline vec vec_bf16(const uint16_t *p)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

#include "kernel/vector_impl.h"

const struct kernels kernels_vector_avx2 = { .isa = "avx2", VECTOR_KERNELS };

#else
typedef int kernel_vector_avx2_is_empty; /* ISO C wants one declaration in a file */
#endif
