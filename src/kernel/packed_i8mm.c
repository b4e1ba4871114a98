/*
 * packed_i8mm.c - packed weights on NEON with 8-bit matrix products. SMMLA multiplies two rows by two outputs over eight
 * k, so two quads are woven into registers of two outputs each, which serve all pairs of rows.
 */
#include "kernel/kernel_impl.h"

#if defined(__aarch64__)

#include "kernel/packed_neon_impl.h"

#define ROWS_MOST 4 /* see packed_dotprod.c */

#define DOT_PAIRS

static inline vint vi_add32(vint a, vint b)
{
    return vaddq_s32(a, b);
}

static inline void vi_dot_pair(const vint *w, size_t quads, const int8_t *x0, const int8_t *x1, vint acc[2])
{
    int32x4_t low = vdupq_n_s32(0), high = low; /* outputs 0, 1 and 2, 3: [row 0][2], [row 1][2] */
    UNROLL for (size_t q = 0; q < quads; q += 2)
    {
        int8x16_t x = vcombine_s8(vld1_s8(x0 + 4 * q), vld1_s8(x1 + 4 * q));
        low = vmmlaq_s32(low, x, vreinterpretq_s8_s32(vzip1q_s32(w[q], w[q + 1])));
        high = vmmlaq_s32(high, x, vreinterpretq_s8_s32(vzip2q_s32(w[q], w[q + 1])));
    }
    acc[0] = vcombine_s32(vget_low_s32(low), vget_low_s32(high));
    acc[1] = vcombine_s32(vget_high_s32(low), vget_high_s32(high));
}

#include "kernel/packed_vector_impl.h"

const struct kernels kernels_packed_i8mm = { .isa = "neon-i8mm", .mul_packed = mul_packed };

#else
typedef int kernel_packed_i8mm_is_empty; /* ISO C wants one declaration in a file */
#endif
