/*
 * packed_avx2.c - packed weights on AVX2. VPMADDUBSW adds two products of unsigned and signed bytes in 16 bits and
 * saturates. It never has to: |q| <= 127, and 2 * 127 * 127 fits. Wide weights, which reach 255, come signed
 * instead and lend their signs to the activations: |w| <= 128, and 2 * 128 * 127 fits too.
 */
#include "kernel/kernel_impl.h"

#if defined(__x86_64__)

#include "kernel/packed_256_impl.h"

#define ROWS_MOST                                                                                            \
    4 /* 8 sums and 8 quads are all registers there are; the sums wait in the first-level cache */

#define WIDE_SIGNED

static inline vint vi_dot(vint acc, vint w, const int8_t *x, bool wide)
{
    __m256i four = vi_four(x), pairs;
    if (wide)
        pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(four, w));
    else
        pairs = _mm256_maddubs_epi16(w, four);
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#include "kernel/packed_vector_impl.h"

const struct kernels kernels_packed_avx2 = { .isa = "avx2", .mul_packed = mul_packed };

#else
typedef int kernel_packed_avx2_is_empty; /* ISO C wants one declaration in a file */
#endif
