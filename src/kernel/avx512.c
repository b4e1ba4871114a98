/*
 * avx512.c - the kernels on sixteen lanes: AVX-512 F, BW, DQ and VL. Tails are masks.
 */
#include "kernel/kernel_impl.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define vec    __m512
#define LANES  16
#define TILE_R 4 /* 4 x 4 sums, 4 rows of x and one of weights: 21 of 32 registers */

static inline __mmask16 first(size_t count)
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

static inline vec vec_set_f16(uint16_t h)
{
    return _mm512_cvtph_ps(_mm256_set1_epi16((short)h));
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
    return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), first(count), p);
}

static inline void vec_store_tail(float *p, vec v, size_t count)
{
    _mm512_mask_storeu_ps(p, first(count), v);
}

static inline vec vec_add(vec a, vec b)
{
    return _mm512_add_ps(a, b);
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

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm512_fmadd_ps(a, b, c);
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
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline vec vec_f16_tail(const uint16_t *p, size_t count)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first(count), p));
}

static inline vec widen_bf16(__m256i v)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}

static inline vec vec_bf16(const uint16_t *p)
{
    return widen_bf16(_mm256_loadu_si256((const __m256i *)p));
}

static inline vec vec_bf16_tail(const uint16_t *p, size_t count)
{
    return widen_bf16(_mm256_maskz_loadu_epi16(first(count), p));
}

static inline vec vec_q8(const int8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

#include "kernel/vector_impl.h"

const struct kernels kernels_avx512 = { .isa = "avx512",
#define X(ret, name, args) .name = name,
                                        KERNEL_LIST(X)
#undef X
};

#else
typedef int kernel_avx512_is_empty; /* ISO C wants one declaration in a file */
#endif
