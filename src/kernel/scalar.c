/*
 * scalar.c - what every kernel computes, in plain loops. Never tuned: the other files are tested against it.
 */
#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

static float bf16_to_f32(uint16_t b)
{
    uint32_t bits = (uint32_t)b << 16; /* bfloat16 is the upper half of binary32 */
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* w[i] of a row in the file's type. All four are exact in f32: Q8_0's product has 11 + 7 bits. */
static float weight(enum tensor_type type, const void *row, size_t i)
{
    switch (type) {
    case TENSOR_F32: return ((const float *)row)[i];
    case TENSOR_F16: return f16_to_f32(((const uint16_t *)row)[i]);
    case TENSOR_BF16: return bf16_to_f32(((const uint16_t *)row)[i]);
    case TENSOR_Q8_0: {
        const struct q8_0 *block = (const struct q8_0 *)row + i / Q8_0_BLOCK;
        return f16_to_f32(block->d) * (float)block->q[i % Q8_0_BLOCK];
    }
    case TENSOR_TYPE_COUNT: break;
    }
    return 0;
}

/* y[r][j] = sum_i w[j][i] x[r][i]. Rows of w have no gaps, so w[j][i] is element j * n + i. */
static void mul(enum tensor_type type, const struct mul *m)
{
    for (size_t r = 0; r < m->x_rows; r++)
        for (size_t j = 0; j < m->w_rows; j++) {
            float sum = 0;
            for (size_t i = 0; i < m->n; i++)
                sum += weight(type, m->w, j * m->n + i) * m->x[r * m->x_stride + i];
            m->y[r * m->y_stride + j] = sum;
        }
}

static void mul_f32(const struct mul *m)
{
    mul(TENSOR_F32, m);
}

static void mul_f16(const struct mul *m)
{
    mul(TENSOR_F16, m);
}

static void mul_bf16(const struct mul *m)
{
    mul(TENSOR_BF16, m);
}

static void mul_q8_0(const struct mul *m)
{
    mul(TENSOR_Q8_0, m);
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

const struct kernels kernels_scalar = { .isa = "scalar",
#define X(ret, name, args) .name = name,
                                        KERNEL_LIST(X)
#undef X
};
