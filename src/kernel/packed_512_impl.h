/*
 * packed_512_impl.h - registers of 64 bytes for packed_vector_impl.h; vi_dot is left to who includes it.
 */
#include "kernel/kernel_impl.h"

#include <immintrin.h>
#include <string.h>

#define vint  __m512i
#define vflt  __m512
#define LANES 16

static inline vint vi_zero(void)
{
    return _mm512_setzero_si512();
}

static inline vint vi_load(const void *p)
{
    return _mm512_load_si512(p);
}

static inline vint vi_set(unsigned char byte)
{
    return _mm512_set1_epi8((char)byte);
}

static inline vint vi_and(vint a, vint b)
{
    return _mm512_and_si512(a, b);
}

static inline vint vi_or(vint a, vint b)
{
    return _mm512_or_si512(a, b);
}

static inline vint vi_xor(vint a, vint b)
{
    return _mm512_xor_si512(a, b);
}

#define vi_left(v, n)   _mm512_slli_epi16(v, n)
#define vi_right(v, n)  _mm512_srli_epi16(v, n)
#define vi_left32(v, n) _mm512_slli_epi32(v, n)

static inline vint vi_levels(const unsigned char *table, vint codes)
{
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)table)),
                               codes);
}

static inline vint vi_broadcast(const int32_t *p)
{
    return _mm512_set1_epi32(*p);
}

/* Four activations in every lane. */
static inline vint vi_four(const int8_t *x)
{
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
}

static inline vflt vf_zero(void)
{
    return _mm512_setzero_ps();
}

static inline vflt vf_whole(vint v)
{
    return _mm512_cvtepi32_ps(v);
}

static inline vflt vf_broadcast(const float *p)
{
    return _mm512_set1_ps(*p);
}

static inline vflt vf_mul(vflt a, vflt b)
{
    return _mm512_mul_ps(a, b);
}

static inline vflt vf_fma(vflt a, vflt b, vflt c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vflt vf_half(const void *p)
{
    return _mm512_cvtph_ps(_mm256_load_si256(p));
}

static inline vflt vf_signed(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_load_si128(p)));
}

static inline vflt vf_bits(const void *p, int shift, int mask)
{
    __m512i v = _mm512_srlv_epi32(_mm512_cvtepu8_epi32(_mm_load_si128(p)), _mm512_set1_epi32(shift));
    return _mm512_cvtepi32_ps(_mm512_and_si512(v, _mm512_set1_epi32(mask)));
}

/* e8m0_half_bits of the 16: (e - 1) << 23, but for the two smallest 2^21 << e. */
static inline vflt vf_exponent(const void *p)
{
    __m512i e = _mm512_cvtepu8_epi32(_mm_load_si128(p)), one = _mm512_set1_epi32(1);
    __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, one), 23);
    __m512i small = _mm512_sllv_epi32(_mm512_set1_epi32(1 << 21), e);
    return _mm512_castsi512_ps(_mm512_mask_mov_epi32(normal, _mm512_cmple_epi32_mask(e, one), small));
}

static inline void vf_store(float *p, vflt v)
{
    _mm512_storeu_ps(p, v);
}
