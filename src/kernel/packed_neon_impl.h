/*
 * packed_neon_impl.h - registers of 16 bytes for packed_vector_impl.h: NEON with dot products. Both operands of a dot
 * product are signed here, so wide weights come signed; the others are below 128 and are what they are.
 */
#include "kernel/kernel_impl.h"

#include <arm_neon.h>
#include <string.h>

#define vint  int32x4_t
#define vflt  float32x4_t
#define LANES 4
#define WIDE_SIGNED

static inline vint vi_zero(void)
{
    return vdupq_n_s32(0);
}

static inline vint vi_load(const void *p)
{
    return vreinterpretq_s32_u8(vld1q_u8(p));
}

static inline vint vi_set(unsigned char byte)
{
    return vreinterpretq_s32_u8(vdupq_n_u8(byte));
}

static inline vint vi_and(vint a, vint b)
{
    return vandq_s32(a, b);
}

static inline vint vi_or(vint a, vint b)
{
    return vorrq_s32(a, b);
}

static inline vint vi_xor(vint a, vint b)
{
    return veorq_s32(a, b);
}

#define vi_left(v, n)   vreinterpretq_s32_u16(vshlq_n_u16(vreinterpretq_u16_s32(v), n))
#define vi_right(v, n)  vreinterpretq_s32_u16(vshrq_n_u16(vreinterpretq_u16_s32(v), n))
#define vi_left32(v, n) vshlq_n_s32(v, n)

static inline vint vi_levels(const unsigned char *table, vint codes)
{
    return vreinterpretq_s32_u8(vqtbl1q_u8(vld1q_u8(table), vreinterpretq_u8_s32(codes)));
}

static inline vint vi_broadcast(const int32_t *p)
{
    return vdupq_n_s32(*p);
}

static inline vint vi_dot(vint acc, vint w, const int8_t *x, bool wide)
{
    int32_t four;
    (void)wide;
    memcpy(&four, x, sizeof four);
    return vdotq_s32(acc, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(vdupq_n_s32(four)));
}

static inline vflt vf_zero(void)
{
    return vdupq_n_f32(0);
}

static inline vflt vf_whole(vint v)
{
    return vcvtq_f32_s32(v);
}

static inline vflt vf_broadcast(const float *p)
{
    return vdupq_n_f32(*p);
}

static inline vflt vf_mul(vflt a, vflt b)
{
    return vmulq_f32(a, b);
}

static inline vflt vf_fma(vflt a, vflt b, vflt c)
{
    return vfmaq_f32(c, a, b);
}

static inline vflt vf_half(const void *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

static inline uint8x8_t four_bytes(const void *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    return vreinterpret_u8_u32(vdup_n_u32(four));
}

static inline vflt vf_signed(const void *p)
{
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(four_bytes(p))))));
}

static inline uint32x4_t widen_bytes(const void *p)
{
    return vmovl_u16(vget_low_u16(vmovl_u8(four_bytes(p))));
}

static inline vflt vf_bits(const void *p, int shift, unsigned mask)
{
    return vcvtq_f32_u32(vandq_u32(vshlq_u32(widen_bytes(p), vdupq_n_s32(-shift)), vdupq_n_u32(mask)));
}

/* e8m0_half_bits of the 4: (e - 1) << 23, but for the two smallest 2^21 << e. */
static inline vflt vf_exponent(const void *p)
{
    uint32x4_t e = widen_bytes(p), one = vdupq_n_u32(1);
    uint32x4_t normal = vshlq_n_u32(vsubq_u32(e, one), 23);
    uint32x4_t small = vshlq_u32(vdupq_n_u32(1 << 21), vreinterpretq_s32_u32(vminq_u32(e, one)));
    return vreinterpretq_f32_u32(vbslq_u32(vcgtq_u32(e, one), normal, small));
}

static inline void vf_store(float *p, vflt v)
{
    vst1q_f32(p, v);
}
