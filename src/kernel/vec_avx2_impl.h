/*
 * vec_avx2_impl.h - eight lanes of floats: AVX2 with FMA and F16C. Tails go through a padded copy, because
 * masked loads of 16-bit elements do not exist here and tails are rare.
 */
#ifndef THINKD_KERNEL_VEC_AVX2_IMPL_H
#define THINKD_KERNEL_VEC_AVX2_IMPL_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define vec   __m256
#define LANES 8

static inline vec vec_zero(void)
{
    return _mm256_setzero_ps();
}

static inline vec vec_set(float f)
{
    return _mm256_set1_ps(f);
}

static inline vec vec_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void vec_store(float *p, vec v)
{
    _mm256_storeu_ps(p, v);
}

static inline vec vec_load_tail(const float *p, size_t count, float fill)
{
    float padded[LANES];
    for (size_t i = 0; i < LANES; i++)
        padded[i] = i < count ? p[i] : fill;
    return _mm256_loadu_ps(padded);
}

static inline void vec_store_tail(float *p, vec v, size_t count)
{
    float padded[LANES];
    _mm256_storeu_ps(padded, v);
    memcpy(p, padded, count * sizeof *p);
}

static inline vec vec_add(vec a, vec b)
{
    return _mm256_add_ps(a, b);
}

static inline vec vec_sub(vec a, vec b)
{
    return _mm256_sub_ps(a, b);
}

static inline vec vec_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}

static inline vec vec_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}

/* Where either is NaN: b. */
static inline vec vec_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

static inline vec vec_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}

/* The larger; where a is NaN: b. */
static inline vec vec_max_number(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

static inline vec vec_abs(vec v)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), v);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

/* a < b ? x : y, in each lane; y where a or b is NaN. */
static inline vec vec_where_less(vec a, vec b, vec x, vec y)
{
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

static inline vec vec_where_equal(vec a, vec b, vec x, vec y)
{
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_EQ_OQ));
}

/* Bit i: lane i has a < b. */
static inline unsigned vec_less_bits(vec a, vec b)
{
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

/* x in the lanes whose bit is set, else y. */
static inline vec vec_where_bits(unsigned bits, vec x, vec y)
{
    const __m256i one = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256i here = _mm256_and_si256(_mm256_set1_epi32((int)bits), one);
    return _mm256_blendv_ps(y, x, _mm256_castsi256_ps(_mm256_cmpeq_epi32(here, one)));
}

static inline vec vec_round(vec v)
{
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* v * 2^n, 2^n built in the exponent's bits. */
static inline vec vec_scale2(vec v, vec n)
{
    __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
}

static inline float vec_sum(vec v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    s = _mm_add_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s);
}

static inline float vec_most(vec v)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    s = _mm_max_ss(s, _mm_movehdup_ps(s));
    return _mm_cvtss_f32(s);
}

static inline vec vec_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}

static inline void vec_to_f16(uint16_t *p, vec v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

/* Whole numbers within -128 .. 127. */
static inline void vec_to_i8(int8_t *p, vec v)
{
    __m256i wide = _mm256_cvtps_epi32(v);
    __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packs_epi16(half, half));
}

/* Byte `at` of each of LANES groups of four signed bytes; flip: 0x80 turns a byte that is kept with 128 added. */
static inline vec vec_i8_of_4(const void *p, size_t at, uint8_t flip)
{
    __m256i groups = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)p), _mm256_set1_epi8((char)flip));
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(groups, 24 - 8 * (int)at), 24));
}

#endif
