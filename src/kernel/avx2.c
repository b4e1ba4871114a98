/*
 * avx2.c - the kernels on eight lanes: AVX2 with FMA and F16C. Tails go through a padded copy, because
 * masked loads of 16-bit weights do not exist here and tails are rare: real rows are multiples of 32.
 */
#include "kernel/kernel_impl.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#define vec    __m256
#define LANES  8
#define TILE_R 2 /* 4 x 2 sums, 2 rows of x and one of weights: 11 of 16 registers */

static inline vec vec_zero(void)
{
    return _mm256_setzero_ps();
}

static inline vec vec_set(float f)
{
    return _mm256_set1_ps(f);
}

static inline vec vec_set_f16(uint16_t h)
{
    return _mm256_cvtph_ps(_mm_set1_epi16((short)h));
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

static inline vec vec_mul(vec a, vec b)
{
    return _mm256_mul_ps(a, b);
}

static inline vec vec_div(vec a, vec b)
{
    return _mm256_div_ps(a, b);
}

static inline vec vec_max(vec a, vec b)
{
    return _mm256_max_ps(a, b);
}

static inline vec vec_min(vec a, vec b)
{
    return _mm256_min_ps(a, b);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vec vec_round(vec v)
{
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* 2^n built in the exponent's bits. */
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
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline vec vec_bf16(const uint16_t *p)
{
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

static inline vec vec_f16_tail(const uint16_t *p, size_t count)
{
    uint16_t padded[LANES] = { 0 };
    memcpy(padded, p, count * sizeof *p);
    return vec_f16(padded);
}

static inline vec vec_bf16_tail(const uint16_t *p, size_t count)
{
    uint16_t padded[LANES] = { 0 };
    memcpy(padded, p, count * sizeof *p);
    return vec_bf16(padded);
}

static inline vec vec_q8(const int8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

#include "kernel/vector_impl.h"

const struct kernels kernels_avx2 = { .isa = "avx2",
#define X(ret, name, args) .name = name,
                                      KERNEL_LIST(X)
#undef X
};

#else
typedef int kernel_avx2_is_empty; /* ISO C wants one declaration in a file */
#endif
