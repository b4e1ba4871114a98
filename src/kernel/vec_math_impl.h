/*
 * vec_math_impl.h - exp and tanh over vectors of any width, after a vec_*_impl.h.
 *
 * Unlike vector_impl.h's vec_exp these keep what attention and sampling tell apart: exp is exactly 0 below
 * -87, so what is masked by -inf weighs nothing at all, and a NaN stays one.
 */
#ifndef THINKD_KERNEL_VEC_MATH_IMPL_H
#define THINKD_KERNEL_VEC_MATH_IMPL_H

#include "kernel/kernel_impl.h"

#ifndef INLINE
#define INLINE static inline __attribute__((always_inline))
#endif

#define EXP_LOWEST (-87.0f) /* 2^k is a normal number down to here */

/* exp(x) = 2^k exp(r), k = round(x / ln 2), |r| <= ln(2) / 2, where Taylor's series to r^7 is good to 6e-9.
 * ln 2 is taken away in two parts, the first with few enough bits that k times it is exact. Above 88 it is
 * exp(88). max and min give their second operand where either is NaN, so x comes second. */
INLINE vec vec_exp_exact(vec x)
{
    static const float taylor[] = {
        1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f
    };
    vec in = vec_min(vec_set(88.0f), vec_max(vec_set(EXP_LOWEST), x));
    vec k = vec_round(vec_mul(in, vec_set(1.44269504f)));
    vec r = vec_fma(k, vec_set(-0.693359375f), in);
    r = vec_fma(k, vec_set(2.12194440e-4f), r);
    vec p = vec_set(taylor[0]);
    UNROLL for (size_t i = 1; i < 8; i++) p = vec_fma(p, r, vec_set(taylor[i]));
    return vec_where_less(x, vec_set(EXP_LOWEST), vec_zero(), vec_scale2(p, k));
}

/* 1 - 2 / (exp(2x) + 1): good to 1e-7 of 1, which is what a soft cap needs. */
INLINE vec vec_tanh(vec x)
{
    vec one = vec_set(1.0f), e = vec_exp_exact(vec_add(x, x));
    return vec_fma(vec_set(-2.0f), vec_div(one, vec_add(e, one)), one);
}

#endif
