/*
 * packed_256_impl.h - registers of 32 bytes for packed_vector_impl.h; vi_dot is left to who includes it.
 */
#include "kernel/kernel_impl.h"

#include <immintrin.h>
#include <string.h>

#define vint  __m256i
#define vflt  __m256
#define LANES 8

static inline vint vi_zero(void)
{
    return _mm256_setzero_si256();
}

static inline vint vi_load(const void *p)
{
    return _mm256_load_si256(p);
}

static inline vint vi_set(unsigned char byte)
{
    return _mm256_set1_epi8((char)byte);
}

static inline vint vi_and(vint a, vint b)
{
    return _mm256_and_si256(a, b);
}

static inline vint vi_or(vint a, vint b)
{
    return _mm256_or_si256(a, b);
}

static inline vint vi_xor(vint a, vint b)
{
    return _mm256_xor_si256(a, b);
}

#define vi_left(v, n)   _mm256_slli_epi16(v, n)
#define vi_right(v, n)  _mm256_srli_epi16(v, n)
#define vi_left32(v, n) _mm256_slli_epi32(v, n)

static inline vint vi_levels(const unsigned char *table, vint codes)
{
    return _mm256_shuffle_epi8(
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table)), codes);
}

static inline vint vi_broadcast(const int32_t *p)
{
    return _mm256_set1_epi32(*p);
}

/* Four activations in every lane. */
static inline vint vi_four(const int8_t *x)
{
    int32_t four;
    memcpy(&four, x, sizeof four);
    return _mm256_set1_epi32(four);
}

static inline vflt vf_zero(void)
{
    return _mm256_setzero_ps();
}

static inline vflt vf_whole(vint v)
{
    return _mm256_cvtepi32_ps(v);
}

static inline vflt vf_broadcast(const float *p)
{
    return _mm256_set1_ps(*p);
}

static inline vflt vf_mul(vflt a, vflt b)
{
    return _mm256_mul_ps(a, b);
}

static inline vflt vf_fma(vflt a, vflt b, vflt c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vflt vf_half(const void *p)
{
    return _mm256_cvtph_ps(_mm_load_si128(p));
}

static inline vflt vf_signed(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
}

static inline vflt vf_bits(const void *p, int shift, int mask)
{
    __m256i v = _mm256_srlv_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64(p)), _mm256_set1_epi32(shift));
    return _mm256_cvtepi32_ps(_mm256_and_si256(v, _mm256_set1_epi32(mask)));
}

/* e8m0_half_bits of the 8: (e - 1) << 23, but for the two smallest 2^21 << e. */
static inline vflt vf_exponent(const void *p)
{
    __m256i e = _mm256_cvtepu8_epi32(_mm_loadl_epi64(p)), one = _mm256_set1_epi32(1);
    __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(e, one), 23);
    __m256i small = _mm256_sllv_epi32(_mm256_set1_epi32(1 << 21), e);
    return _mm256_castsi256_ps(_mm256_blendv_epi8(small, normal, _mm256_cmpgt_epi32(e, one)));
}

static inline void vf_store(float *p, vflt v)
{
    _mm256_storeu_ps(p, v);
}
