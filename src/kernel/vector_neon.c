/*
 * vector_neon.c - vector_impl.h's kernels on four lanes: NEON, as every 64-bit ARM has it.
 */
#include "kernel/kernel_impl.h"

#if defined(__aarch64__)

#include "kernel/vec_neon_impl.h"

#define TILE_R 4 /* 4 x 4 sums, 4 rows of x and one of weights: 21 of 32 registers */

static inline vec vec_bf16(const uint16_t *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}

#include "kernel/vector_impl.h"

const struct kernels kernels_vector_neon = { .isa = "neon", VECTOR_KERNELS };

#else
typedef int kernel_vector_neon_is_empty; /* ISO C wants one declaration in a file */
#endif
