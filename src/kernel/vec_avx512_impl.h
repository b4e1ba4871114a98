/*
 * vec_avx512_impl.h - sixteen lanes of floats: AVX-512 F, BW, DQ and VL. Tails are masks. What each operation
 * gives is said in vec_avx2_impl.h.
 */
#ifndef THINKD_KERNEL_VEC_AVX512_IMPL_H
#define THINKD_KERNEL_VEC_AVX512_IMPL_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define vec   __m512
#define LANES 16

static inline __mmask16 vec_first(size_t count)
{
    return (__mmask16)((1u << count) - 1);
}

static inline vec vec_zero(void)
{
    return _mm512_setzero_ps();
}

static inline vec vec_set(float f)
{
    return _mm512_set1_ps(f);
}

static inline vec vec_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void vec_store(float *p, vec v)
{
    _mm512_storeu_ps(p, v);
}

static inline vec vec_load_tail(const float *p, size_t count, float fill)
{
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), vec_first(count), p);
}

static inline void vec_store_tail(float *p, vec v, size_t count)
{
    _mm512_mask_storeu_ps(p, vec_first(count), v);
}

static inline vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
}

static inline vec vec_sub(vec a, vec b)
{
    return _mm512_sub_ps(a, b);
}

static inline vec vec_mul(vec a, vec b)
{
    return _mm512_mul_ps(a, b);
}

static inline vec vec_div(vec a, vec b)
{
    return _mm512_div_ps(a, b);
}

static inline vec vec_max(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

static inline vec vec_min(vec a, vec b)
{
    return _mm512_min_ps(a, b);
}

static inline vec vec_max_number(vec a, vec b)
{
    return _mm512_max_ps(a, b);
}

static inline vec vec_abs(vec v)
{
    return _mm512_abs_ps(v);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vec vec_where_less(vec a, vec b, vec x, vec y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}

static inline vec vec_where_equal(vec a, vec b, vec x, vec y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), y, x);
}

static inline unsigned vec_less_bits(vec a, vec b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

static inline vec vec_where_bits(unsigned bits, vec x, vec y)
{
    return _mm512_mask_blend_ps((__mmask16)bits, y, x);
}

static inline vec vec_round(vec v)
{
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vec vec_scale2(vec v, vec n)
{
    return _mm512_scalef_ps(v, n);
}

static inline float vec_sum(vec v)
{
    return _mm512_reduce_add_ps(v);
}

static inline float vec_most(vec v)
{
    return _mm512_reduce_max_ps(v);
}

static inline vec vec_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

static inline void vec_to_f16(uint16_t *p, vec v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

static inline void vec_to_i8(int8_t *p, vec v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v)));
}

static inline vec vec_i8_of_4(const void *p, size_t at, uint8_t flip)
{
    __m512i groups = _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8((char)flip));
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(groups, 24 - 8 * (unsigned)at), 24));
}

#endif
