/*
 * vec_neon_impl.h - four lanes of floats: NEON as every 64-bit ARM has it. What each operation gives is said in
 * vec_avx2_impl.h; here max and min give NaN where either is one.
 */
#ifndef THINKD_KERNEL_VEC_NEON_IMPL_H
#define THINKD_KERNEL_VEC_NEON_IMPL_H

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define vec   float32x4_t
#define LANES 4

static inline vec vec_zero(void)
{
    return vdupq_n_f32(0);
}

static inline vec vec_set(float f)
{
    return vdupq_n_f32(f);
}

static inline vec vec_load(const float *p)
{
    return vld1q_f32(p);
}

static inline void vec_store(float *p, vec v)
{
    vst1q_f32(p, v);
}

static inline vec vec_load_tail(const float *p, size_t count, float fill)
{
    float padded[LANES];
    for (size_t i = 0; i < LANES; i++)
        padded[i] = i < count ? p[i] : fill;
    return vld1q_f32(padded);
}

static inline void vec_store_tail(float *p, vec v, size_t count)
{
    float padded[LANES];
    vst1q_f32(padded, v);
    memcpy(p, padded, count * sizeof *p);
}

static inline vec vec_add(vec a, vec b)
{
    return vaddq_f32(a, b);
}

static inline vec vec_sub(vec a, vec b)
{
    return vsubq_f32(a, b);
}

static inline vec vec_mul(vec a, vec b)
{
    return vmulq_f32(a, b);
}

static inline vec vec_div(vec a, vec b)
{
    return vdivq_f32(a, b);
}

static inline vec vec_max(vec a, vec b)
{
    return vmaxq_f32(a, b);
}

static inline vec vec_min(vec a, vec b)
{
    return vminq_f32(a, b);
}

static inline vec vec_max_number(vec a, vec b)
{
    return vmaxnmq_f32(a, b);
}

static inline vec vec_abs(vec v)
{
    return vabsq_f32(v);
}

static inline vec vec_fma(vec a, vec b, vec c)
{
    return vfmaq_f32(c, a, b);
}

static inline vec vec_where_less(vec a, vec b, vec x, vec y)
{
    return vbslq_f32(vcltq_f32(a, b), x, y);
}

static inline vec vec_where_equal(vec a, vec b, vec x, vec y)
{
    return vbslq_f32(vceqq_f32(a, b), x, y);
}

static inline unsigned vec_less_bits(vec a, vec b)
{
    static const uint32_t bit[LANES] = { 1, 2, 4, 8 };
    return vaddvq_u32(vandq_u32(vcltq_f32(a, b), vld1q_u32(bit)));
}

static inline vec vec_where_bits(unsigned bits, vec x, vec y)
{
    static const uint32_t bit[LANES] = { 1, 2, 4, 8 };
    return vbslq_f32(vtstq_u32(vdupq_n_u32(bits), vld1q_u32(bit)), x, y);
}

static inline vec vec_round(vec v)
{
    return vrndnq_f32(v);
}

static inline vec vec_scale2(vec v, vec n)
{
    int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
    return vmulq_f32(v, vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23)));
}

static inline float vec_sum(vec v)
{
    return vaddvq_f32(v);
}

static inline float vec_most(vec v)
{
    return vmaxvq_f32(v);
}

static inline vec vec_f16(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

static inline void vec_to_f16(uint16_t *p, vec v)
{
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)));
}

static inline void vec_to_i8(int8_t *p, vec v)
{
    int16x4_t half = vqmovn_s32(vcvtnq_s32_f32(v));
    int8x8_t bytes = vqmovn_s16(vcombine_s16(half, half));
    uint32_t four = vget_lane_u32(vreinterpret_u32_s8(bytes), 0);
    memcpy(p, &four, sizeof four);
}

static inline vec vec_i8_of_4(const void *p, size_t at, uint8_t flip)
{
    int32x4_t groups = vreinterpretq_s32_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(flip)));
    int32x4_t high = vshlq_s32(groups, vdupq_n_s32(24 - 8 * (int)at));
    return vcvtq_f32_s32(vshrq_n_s32(high, 24));
}

#endif
