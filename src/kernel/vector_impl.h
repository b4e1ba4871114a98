/*
 * vector_impl.h - the kernels over vectors of any width; an instruction set's file includes it once.
 *
 * Before it, that file defines, static and inline:
 *   vec, LANES                       a register of LANES floats
 *   vec_zero() vec_set(f) vec_load(p) vec_store(p, v)
 *   vec_load_tail(p, count, fill)    the first count lanes from memory, the others fill
 *   vec_store_tail(p, v, count)      the first count lanes
 *   vec_add vec_mul vec_div vec_max vec_min vec_fma(a, b, c) = a * b + c
 *   vec_round(v)                     to the nearest whole number
 *   vec_scale2(v, n)                 v * 2^n, n whole, -126 <= n <= 127
 *   vec_abs(v) vec_to_i8(p, v)       whole numbers within [-128, 127] as LANES bytes
 *   vec_sum(v) vec_most(v)           over the lanes, in one fixed order
 *   vec_f16(p) vec_bf16(p)           LANES stored weights as floats
 * and where it has masked loads of 16 bits, VEC_16_BIT_TAILS with
 *   vec_f16_tail(p, count) vec_bf16_tail(p, count)   the others zero
 *
 * Invariant: an output of mul has one accumulator of LANES partial sums, taken over i in steps of LANES and
 * then through vec_sum, whatever tile it falls into; that is what makes its bits independent of neighbours.
 * One accumulator would wait for its own additions, so a tile carries 8 or 16 outputs side by side.
 */
#include "kernel/packed_impl.h"

#include <math.h>
#include <string.h>

#ifndef INLINE
#define INLINE static inline __attribute__((always_inline))
#endif

#ifndef VEC_16_BIT_TAILS
/* Through a padded copy: tails are rare, real rows are multiples of 32. */
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
#endif

/* --- matrices ----------------------------------------------------------------------------------------- */

/* Bytes of n weights of a row. type is a constant wherever this and the next two are inlined. */
INLINE size_t weight_bytes(enum tensor_type type, size_t n)
{
    return n * (type == TENSOR_F32 ? 4 : 2);
}

INLINE vec load_weights(enum tensor_type type, const char *w)
{
    switch (type) {
    case TENSOR_F32: return vec_load((const float *)(const void *)w);
    case TENSOR_F16: return vec_f16((const uint16_t *)(const void *)w);
    default: return vec_bf16((const uint16_t *)(const void *)w);
    }
}

INLINE vec load_weights_tail(enum tensor_type type, const char *w, size_t count)
{
    switch (type) {
    case TENSOR_F32: return vec_load_tail((const float *)(const void *)w, count, 0);
    case TENSOR_F16: return vec_f16_tail((const uint16_t *)(const void *)w, count);
    default: return vec_bf16_tail((const uint16_t *)(const void *)w, count);
    }
}

/* Outputs j0 .. j0 + W - 1 of rows r0 .. r0 + R - 1; type, W and R are constants at every call. */
INLINE void mul_tile(enum tensor_type type, const struct product *p, size_t j0, size_t r0, size_t W, size_t R)
{
    const size_t n = p->w->cols, row_bytes = weight_bytes(type, n);
    const char *w = (const char *)p->w->data + j0 * row_bytes;
    const float *x[4];
    vec sum[8][4], xs[4];
    UNROLL for (size_t r = 0; r < R; r++) x[r] = p->x->x + product_row(p, r0 + r) * n;
    UNROLL for (size_t j = 0; j < W; j++)
    {
        UNROLL for (size_t r = 0; r < R; r++) sum[j][r] = vec_zero();
    }
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        UNROLL for (size_t r = 0; r < R; r++) xs[r] = vec_load(x[r] + i);
        UNROLL for (size_t j = 0; j < W; j++)
        {
            vec ws = load_weights(type, w + j * row_bytes + weight_bytes(type, i));
            UNROLL for (size_t r = 0; r < R; r++) sum[j][r] = vec_fma(ws, xs[r], sum[j][r]);
        }
    }
    if (i < n) {
        UNROLL for (size_t r = 0; r < R; r++) xs[r] = vec_load_tail(x[r] + i, n - i, 0);
        UNROLL for (size_t j = 0; j < W; j++)
        {
            vec ws = load_weights_tail(type, w + j * row_bytes + weight_bytes(type, i), n - i);
            UNROLL for (size_t r = 0; r < R; r++) sum[j][r] = vec_fma(ws, xs[r], sum[j][r]);
        }
    }
    UNROLL for (size_t j = 0; j < W; j++)
    {
        UNROLL for (size_t r = 0; r < R; r++) p->y[(r0 + r) * p->y_stride + j0 + j] = vec_sum(sum[j][r]);
    }
}

/* Eight rows of weights at a time stay in the first-level cache while all rows of x pass over them. */
INLINE void mul_tiles(enum tensor_type type, const struct product *p)
{
    size_t j = p->from;
    for (; j + 8 <= p->to; j += 8) {
        size_t r = 0;
        for (; r + TILE_R <= p->n_rows; r += TILE_R) {
            mul_tile(type, p, j, r, 4, TILE_R);
            mul_tile(type, p, j + 4, r, 4, TILE_R);
        }
        for (; r < p->n_rows; r++)
            mul_tile(type, p, j, r, 8, 1);
    }
    for (; j < p->to; j++)
        for (size_t r = 0; r < p->n_rows; r++)
            mul_tile(type, p, j, r, 1, 1);
}

static void mul_f32(const struct product *p)
{
    mul_tiles(TENSOR_F32, p);
}

static void mul_f16(const struct product *p)
{
    mul_tiles(TENSOR_F16, p);
}

static void mul_bf16(const struct product *p)
{
    mul_tiles(TENSOR_BF16, p);
}

/* --- activations -------------------------------------------------------------------------------------- */

/* In d, max |x| of a block; false where one is infinite or NaN: neither is below infinity. */
INLINE bool largest_of(const float *x, float *d)
{
    const unsigned all = (1u << LANES) - 1;
    vec most = vec_zero();
    unsigned finite = all;
    UNROLL for (size_t i = 0; i < ACTS_BLOCK; i += LANES)
    {
        vec v = vec_abs(vec_load(x + i));
        most = vec_max(v, most);
        finite &= vec_less_bits(v, vec_set(INFINITY));
    }
    *d = vec_most(most);
    return finite == all;
}

/* The sums are taken over floats: whole numbers of at most 127 * 16, so exact in any order. */
INLINE void quantize_block(struct acts_block *b, const float *x, float inverse)
{
    UNROLL for (size_t half = 0; half < 2; half++)
    {
        vec sum = vec_zero();
        UNROLL for (size_t i = half * 16; i < half * 16 + 16; i += LANES)
        {
            vec q = vec_round(vec_mul(vec_load(x + i), vec_set(inverse)));
            vec_to_i8(b->q + i, q);
            sum = vec_add(sum, q);
        }
        b->minus16[half] = -(int32_t)vec_sum(sum);
    }
    b->minus32 = b->minus16[0] + b->minus16[1];
}

static void acts_quantize(struct acts *a, size_t r, size_t from, size_t to)
{
    for (size_t i = from; i < to; i += ACTS_BLOCK) {
        const float *x = a->x + r * a->n + i;
        struct acts_block *b = acts_row(a, r) + i / ACTS_BLOCK;
        float max;
        bool finite = largest_of(x, &max);
        if (finite && max >= ACTS_TINY) {
            b->d = max / 127.0f;
            quantize_block(b, x, 127.0f / max);
        } else
            *b = (struct acts_block){ .d = finite ? 0 : NAN };
    }
}

/* --- vectors ------------------------------------------------------------------------------------------ */

/* Two accumulators: heads are short (64 to 128), so more would only cost a longer reduction. */
static float dot_f32(const float *a, const float *b, size_t n)
{
    vec even = vec_zero(), odd = vec_zero();
    size_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        even = vec_fma(vec_load(a + i), vec_load(b + i), even);
        odd = vec_fma(vec_load(a + i + LANES), vec_load(b + i + LANES), odd);
    }
    for (; i + LANES <= n; i += LANES)
        even = vec_fma(vec_load(a + i), vec_load(b + i), even);
    if (i < n)
        odd = vec_fma(vec_load_tail(a + i, n - i, 0), vec_load_tail(b + i, n - i, 0), odd);
    return vec_sum(vec_add(even, odd));
}

static void axpy_f32(float *y, float a, const float *x, size_t n)
{
    vec as = vec_set(a);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vec_store(y + i, vec_fma(as, vec_load(x + i), vec_load(y + i)));
    if (i < n)
        vec_store_tail(y + i, vec_fma(as, vec_load_tail(x + i, n - i, 0), vec_load_tail(y + i, n - i, 0)),
                       n - i);
}

static void rms_norm(float *y, const float *x, const float *w, size_t n, float eps)
{
    vec scale = vec_set(1.0f / sqrtf(dot_f32(x, x, n) / (float)n + eps));
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vec_store(y + i, vec_mul(vec_mul(vec_load(x + i), scale), vec_load(w + i)));
    if (i < n) {
        vec xs = vec_load_tail(x + i, n - i, 0), ws = vec_load_tail(w + i, n - i, 0);
        vec_store_tail(y + i, vec_mul(vec_mul(xs, scale), ws), n - i);
    }
}

/* exp(x) = 2^k exp(r), k = round(x / ln 2), |r| <= ln(2) / 2, where Taylor's series to r^7 is good to 6e-9.
 * x is held within [-87, 88], where 2^k is a normal number: nothing below 1e-37 matters to a softmax or a
 * gate. ln 2 is taken away in two parts, the first with few enough bits that k times it is exact. */
INLINE vec vec_exp(vec x)
{
    static const float taylor[] = {
        1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f
    };
    x = vec_max(x, vec_set(-87.0f));
    x = vec_min(x, vec_set(88.0f));
    vec k = vec_round(vec_mul(x, vec_set(1.44269504f)));
    vec r = vec_fma(k, vec_set(-0.693359375f), x);
    r = vec_fma(k, vec_set(2.12194440e-4f), r);
    vec p = vec_set(taylor[0]);
    UNROLL for (size_t i = 1; i < 8; i++) p = vec_fma(p, r, vec_set(taylor[i]));
    return vec_scale2(p, k);
}

static float largest(const float *x, size_t n)
{
    vec most = vec_set(x[0]);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        most = vec_max(most, vec_load(x + i));
    if (i < n)
        most = vec_max(most, vec_load_tail(x + i, n - i, x[0]));
    return vec_most(most);
}

static void softmax(float *x, size_t n)
{
    vec minus = vec_set(-largest(x, n)), sum = vec_zero();
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec e = vec_exp(vec_add(vec_load(x + i), minus));
        vec_store(x + i, e);
        sum = vec_add(sum, e);
    }
    if (i < n) {
        vec_store_tail(x + i, vec_exp(vec_add(vec_load_tail(x + i, n - i, 0), minus)), n - i);
        sum = vec_add(sum, vec_load_tail(x + i, n - i,
                                         0)); /* again from memory: lanes past the end are no part of it */
    }
    vec share = vec_set(1.0f / vec_sum(sum));
    for (i = 0; i + LANES <= n; i += LANES)
        vec_store(x + i, vec_mul(vec_load(x + i), share));
    if (i < n)
        vec_store_tail(x + i, vec_mul(vec_load_tail(x + i, n - i, 0), share), n - i);
}

INLINE vec silu_times(vec gate, vec up)
{
    vec one = vec_set(1.0f), e = vec_exp(vec_mul(gate, vec_set(-1.0f)));
    return vec_mul(vec_div(gate, vec_add(one, e)), up);
}

static void silu_mul(float *y, const float *gate, const float *up, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vec_store(y + i, silu_times(vec_load(gate + i), vec_load(up + i)));
    if (i < n)
        vec_store_tail(y + i, silu_times(vec_load_tail(gate + i, n - i, 0), vec_load_tail(up + i, n - i, 0)),
                       n - i);
}

/* The tanh form, as scalar.c writes it. vec_exp's bounds make the ends 0 and gate * up. */
INLINE vec gelu_times(vec gate, vec up)
{
    vec one = vec_set(1.0f), cube = vec_fma(vec_mul(gate, gate), vec_set(0.044715f), one);
    vec u = vec_mul(vec_mul(gate, vec_set(-2.0f * 0.7978845608f)), cube);
    return vec_mul(vec_div(gate, vec_add(one, vec_exp(u))), up);
}

static void gelu_mul(float *y, const float *gate, const float *up, size_t n)
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vec_store(y + i, gelu_times(vec_load(gate + i), vec_load(up + i)));
    if (i < n)
        vec_store_tail(y + i, gelu_times(vec_load_tail(gate + i, n - i, 0), vec_load_tail(up + i, n - i, 0)),
                       n - i);
}

/* What every including file exports. */
#define VECTOR_KERNELS                                                                                       \
    .mul_f32 = mul_f32, .mul_f16 = mul_f16, .mul_bf16 = mul_bf16, .acts_quantize = acts_quantize,            \
    .dot_f32 = dot_f32, .axpy_f32 = axpy_f32, .rms_norm = rms_norm, .softmax = softmax,                      \
    .silu_mul = silu_mul, .gelu_mul = gelu_mul
