/*
 * scalar.c - what every kernel computes, in plain loops. Never tuned: the other files are tested against it.
 */
#include "kernel/attend_impl.h"
#include "kernel/packed_impl.h"

#include <math.h>
#include <string.h>

static float bf16_to_f32(uint16_t b)
{
    uint32_t bits = (uint32_t)b << 16; /* bfloat16 is the upper half of binary32 */
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* w[i] of a row in the file's type: exact in f32. */
static float weight(enum tensor_type type, const void *row, size_t i)
{
    switch (type) {
    case TENSOR_F32: return ((const float *)row)[i];
    case TENSOR_F16: return f16_to_f32(((const uint16_t *)row)[i]);
    default: return bf16_to_f32(((const uint16_t *)row)[i]);
    }
}

/* y[r][j] = sum_i w[j][i] x[row(r)][i]. Rows of w have no gaps, so w[j][i] is element j * n + i. */
static void mul(enum tensor_type type, const struct product *p)
{
    size_t n = p->w->cols;
    for (size_t r = 0; r < p->n_rows; r++)
        for (size_t j = p->from; j < p->to; j++) {
            const float *x = p->x->x + product_row(p, r) * n;
            float sum = 0;
            for (size_t i = 0; i < n; i++)
                sum += weight(type, p->w->data, j * n + i) * x[i];
            p->y[r * p->y_stride + j] = sum;
        }
}

static void mul_f32(const struct product *p)
{
    mul(TENSOR_F32, p);
}

static void mul_f16(const struct product *p)
{
    mul(TENSOR_F16, p);
}

static void mul_bf16(const struct product *p)
{
    mul(TENSOR_BF16, p);
}

/* sum_i (u_i - zero) q_i over the groups' quads; u_i of output o. Exact: at most 32 * 255 * 127 and as much again. */
static int32_t dot_group(const struct chunk *c, size_t quad, size_t quads, size_t o, const int8_t *q)
{
    int32_t sum = 0;
    for (size_t i = 0; i < 4 * quads; i++)
        sum += c->u[quad + i / 4][o][i % 4] * q[i];
    return sum;
}

/*
 * One chunk's share of output o for activation row r, added to sum. For each block of 32, over its one or two groups g:
 *
 *   t = sum_g (scale_g * dot_g - min_g * (sum of q over g)),   sum += t * d
 *
 * with every addition fused into the product before it. The vector kernels do these very operations in this very
 * order, so all instruction sets agree to the last bit.
 */
static float add_chunk(const struct packed_form *f, const struct chunk *c, size_t blocks, size_t o,
                       const struct acts_block *x, float sum)
{
    size_t groups = ACTS_BLOCK / (size_t)f->group, quads = 8 / groups;
    for (size_t b = 0; b < blocks; b++) {
        float t = 0;
        for (size_t g = 0; g < groups; g++) {
            size_t place = 2 * b + g; /* in the chunk's scales, which stand for 16 k each */
            int32_t minus = groups == 2 ? x[b].minus16[g] : x[b].minus32;
            int32_t dot = dot_group(c, 8 * b + g * quads, quads, o, x[b].q + 4 * g * quads) + f->zero * minus;
            t = g ? fmaf((float)dot, c->scale[place][o], t) : (float)dot * c->scale[place][o];
            if (packed_has_min(f))
                t = fmaf(c->min[place][o], (float)minus, t);
        }
        sum = fmaf(t, x[b].d, sum);
    }
    return sum;
}

static void mul_packed_panel(const struct product *p, size_t from, size_t to)
{
    const struct packed_form *f = packed_form(p->w->type);
    const unsigned char *at =
        (const unsigned char *)p->w->data + from / PANEL_ROWS * panel_bytes(f, p->w->cols);
    size_t n_blocks = p->w->cols / ACTS_BLOCK;
    for (size_t r = 0; r < p->n_rows; r++)
        for (size_t j = from; j < to; j++)
            p->y[r * p->y_stride + j] = 0;
    for (size_t block = 0; block < n_blocks;) {
        size_t blocks = n_blocks - block < CHUNK_BLOCKS ? n_blocks - block : CHUNK_BLOCKS;
        struct chunk c;
        chunk_open(f, at, blocks, &c);
        for (size_t r = 0; r < p->n_rows; r++)
            for (size_t j = from; j < to; j++) {
                float *y = &p->y[r * p->y_stride + j];
                *y = add_chunk(f, &c, blocks, j - from, acts_row(p->x, product_row(p, r)) + block, *y);
            }
        at += chunk_bytes(f, blocks);
        block += blocks;
    }
}

static void mul_packed(const struct product *p)
{
    for (size_t j = p->from; j < p->to; j += PANEL_ROWS)
        mul_packed_panel(p, j, p->to - j < PANEL_ROWS ? p->to : j + PANEL_ROWS);
}

/* d = max |x| / 127; false: the block has no finite scale. */
static bool largest_of(const float *x, float *max)
{
    *max = 0;
    for (size_t i = 0; i < ACTS_BLOCK; i++) {
        if (!isfinite(x[i]))
            return false;
        *max = fabsf(x[i]) > *max ? fabsf(x[i]) : *max;
    }
    return true;
}

static void acts_quantize(struct acts *a, size_t r, size_t from, size_t to)
{
    for (size_t i = from; i < to; i += ACTS_BLOCK) {
        const float *x = a->x + r * a->n + i;
        struct acts_block *b = acts_row(a, r) + i / ACTS_BLOCK;
        float max;
        bool finite = largest_of(x, &max), zero = !finite || max < ACTS_TINY;
        float inverse = zero ? 0 : 127.0f / max;
        b->d = !finite ? NAN : zero ? 0 : max / 127.0f;
        b->minus16[0] = b->minus16[1] = 0;
        for (size_t k = 0; k < ACTS_BLOCK; k++) {
            b->q[k] = zero ? 0 : (int8_t)lrintf(x[k] * inverse);
            b->minus16[k / 16] -= b->q[k];
        }
        b->minus32 = b->minus16[0] + b->minus16[1];
    }
}

static float dot_f32(const float *a, const float *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void axpy_f32(float *y, float a, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

static void rms_norm(float *y, const float *x, const float *w, size_t n, float eps)
{
    float squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += x[i] * x[i];
    float scale = 1.0f / sqrtf(squares / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale * w[i];
}

static void softmax(float *x, size_t n)
{
    float max = x[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        max = x[i] > max ? x[i] : max;
    for (size_t i = 0; i < n; i++)
        sum += x[i] = expf(x[i] - max);
    for (size_t i = 0; i < n; i++)
        x[i] /= sum;
}

static void silu_mul(float *y, const float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

/* 0.5 g (1 + tanh(u)) = g / (1 + exp(-2 u)), u = sqrt(2 / pi) (g + 0.044715 g^3): no difference of near equals. */
static void gelu_mul(float *y, const float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float g = gate[i], u = 0.7978845608f * g * (1.0f + 0.044715f * g * g);
        y[i] = g / (1.0f + expf(-2.0f * u)) * up[i];
    }
}

const struct kernels kernels_scalar = {
    .isa = "scalar",
    .mul_f32 = mul_f32,
    .mul_f16 = mul_f16,
    .mul_bf16 = mul_bf16,
    .mul_packed = mul_packed,
    .acts_quantize = acts_quantize,
    .dot_f32 = dot_f32,
    .axpy_f32 = axpy_f32,
    .rms_norm = rms_norm,
    .softmax = softmax,
    .silu_mul = silu_mul,
    .gelu_mul = gelu_mul,
    .kv_store = kv_store_scalar,
    .attend = attend_scalar,
    .summarize_logits = summarize_logits_scalar,
    .summarize_masked = summarize_masked_scalar,
    .mask_logits = mask_logits_scalar,
    .exp_weights = exp_weights_scalar,
};
