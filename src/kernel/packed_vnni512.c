/*
 * packed_vnni512.c - packed weights on AVX-512 with VNNI: VPDPBUSD adds four products of unsigned and signed bytes to
 * each 32-bit lane. The weights are its unsigned register, four activations its broadcast from memory.
 */
#include "kernel/kernel_impl.h"

#if defined(__x86_64__)

#include "kernel/packed_512_impl.h"

/* 12 sums, 8 quads, 4 dots under way, up to 4 scales and mins: 28 of 32 registers. 16 rows spill, and are slower. */
#define ROWS_MOST 12
#define DOT_ROWS  4

static inline vint vi_dot(vint acc, vint w, const int8_t *x, bool wide)
{
    (void)wide;
    return _mm512_dpbusd_epi32(acc, w, vi_four(x));
}

#include "kernel/packed_vector_impl.h"

const struct kernels kernels_packed_vnni512 = { .isa = "avx512-vnni", .mul_packed = mul_packed };

#else
typedef int kernel_packed_vnni512_is_empty; /* ISO C wants one declaration in a file */
#endif
