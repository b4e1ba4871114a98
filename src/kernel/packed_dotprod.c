/*
 * packed_dotprod.c - packed weights on NEON with dot products (SDOT).
 */
#include "kernel/kernel_impl.h"

#if defined(__aarch64__)

#include "kernel/packed_neon_impl.h"

#define ROWS_MOST 4 /* 16 sums, 8 quads, up to 4 scales and mins: 28 of 32 registers */

#include "kernel/packed_vector_impl.h"

const struct kernels kernels_packed_dotprod = { .isa = "neon-dotprod", .mul_packed = mul_packed };

#else
typedef int kernel_packed_dotprod_is_empty; /* ISO C wants one declaration in a file */
#endif
