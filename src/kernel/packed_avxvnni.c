/*
 * packed_avxvnni.c - packed weights on the VNNI of processors without AVX-512: VPDPBUSD in its VEX form.
 */
#include "kernel/kernel_impl.h"

#if defined(__x86_64__)

#include "kernel/packed_256_impl.h"

#define ROWS_MOST 4 /* see packed_avx2.c */

static inline vint vi_dot(vint acc, vint w, const int8_t *x, bool wide)
{
    (void)wide;
    return _mm256_dpbusd_avx_epi32(acc, w, vi_four(x));
}

#include "kernel/packed_vector_impl.h"

const struct kernels kernels_packed_avxvnni = { .isa = "avx-vnni", .mul_packed = mul_packed };

#else
typedef int kernel_packed_avxvnni_is_empty; /* ISO C wants one declaration in a file */
#endif
