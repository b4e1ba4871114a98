/*
 * packed_avx512.c - packed weights on AVX-512 without VNNI. As in packed_avx2.c no sum of two products saturates:
 * wide weights come signed and lend their signs to the activations, here by a mask of those that are negative.
 */
#include "kernel/kernel_impl.h"

#if defined(__x86_64__)

#include "kernel/packed_512_impl.h"

#define ROWS_MOST 4

#define WIDE_SIGNED

static inline vint vi_dot(vint acc, vint w, const int8_t *x, bool wide)
{
    __m512i four = vi_four(x);
    if (wide) {
        four = _mm512_mask_sub_epi8(four, _mm512_movepi8_mask(w), _mm512_setzero_si512(), four);
        w = _mm512_abs_epi8(w);
    }
    return _mm512_add_epi32(acc, _mm512_madd_epi16(_mm512_maddubs_epi16(w, four), _mm512_set1_epi16(1)));
}

#include "kernel/packed_vector_impl.h"

const struct kernels kernels_packed_avx512 = { .isa = "avx512", .mul_packed = mul_packed };

#else
typedef int kernel_packed_avx512_is_empty; /* ISO C wants one declaration in a file */
#endif
