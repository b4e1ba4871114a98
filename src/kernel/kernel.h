/*
 * kernel.h - the inner loops: one list, one file for each instruction set, chosen once at start.
 *
 * scalar.c is the definition of every kernel. A row's result depends on nothing but that row: not
 * on its neighbours, the batch or the number of threads, so logits are bit-equal for any batching on one
 * instruction set.
 *
 * Threads: kernels are pure; kernels_best is settled before threads start.
 */
#ifndef THINKD_KERNEL_KERNEL_H
#define THINKD_KERNEL_KERNEL_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* GGUF's Q8_0: 32 weights share one scale; value = d * q. d is IEEE half precision. */
#define Q8_0_BLOCK 32
struct q8_0 {
    uint16_t d;
    int8_t q[Q8_0_BLOCK];
};
_Static_assert(sizeof(struct q8_0) == 34, "Q8_0 blocks are packed in files");

/* Types of a weight row as stored in files. */
enum tensor_type { TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0, TENSOR_TYPE_COUNT };

/* A matrix of stored weights against rows of activations, weights read once for all of them:
 * y[r * y_stride + j] = sum over i < n of w[j][i] * x[r * x_stride + i], for r < x_rows and j < w_rows.
 * w is [w_rows][n] in the kernel's type, rows without gaps; n is a multiple of the type's block. */
struct mul {
    float *y;
    size_t y_stride;
    const void *w;
    size_t w_rows;
    const float *x;
    size_t x_stride, x_rows;
    size_t n;
};

/* mul_*: see struct mul. An output's sum runs in an order that depends on n alone, so how a matrix is cut
 *        into calls and how many rows share one changes no bit.
 * dot_f32: sum of a[i] * b[i]. axpy_f32: y += a * x.
 * rms_norm: y = x / sqrt(mean(x^2) + eps) * weight; y may be x.
 * softmax: in place over n > 0 finite values, the largest subtracted first.
 * silu_mul: y = gate / (1 + exp(-gate)) * up; y may be gate or up. */
#define KERNEL_LIST(X)                                                                                       \
    X(void, mul_f32, (const struct mul *m))                                                                  \
    X(void, mul_f16, (const struct mul *m))                                                                  \
    X(void, mul_bf16, (const struct mul *m))                                                                 \
    X(void, mul_q8_0, (const struct mul *m))                                                                 \
    X(float, dot_f32, (const float *a, const float *b, size_t n))                                            \
    X(void, axpy_f32, (float *y, float a, const float *x, size_t n))                                         \
    X(void, rms_norm, (float *y, const float *x, const float *weight, size_t n, float eps))                  \
    X(void, softmax, (float *x, size_t n))                                                                   \
    X(void, silu_mul, (float *y, const float *gate, const float *up, size_t n))

struct kernels {
    const char *isa; /* "scalar", "avx2", "avx512" */
#define X(ret, name, args) ret(*name) args;
    KERNEL_LIST(X)
#undef X
};

enum { CPU_AVX2 = 1, CPU_AVX512 = 2 }; /* AVX2 means with FMA and F16C; AVX512 means F, BW, DQ, VL */
unsigned cpu_detect(void);
struct kernels kernels_for(unsigned cpu);
/* Variant number i this cpu can run (0 is scalar), for tests: false past the last. */
bool kernels_variant(size_t i, unsigned cpu, struct kernels *out);
extern const struct kernels kernels_scalar;

float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f); /* round to nearest even */

/* Fork and join: run(ctx, part, parts) for each part of 0 .. parts-1 exactly once, the caller doing part 0
 * and whatever the workers have not begun when it is done, so a thread that is not running delays nobody.
 * parts is the number of threads. Workers spin briefly, then sleep. A pool of 1 runs in the caller. */
#define KERNEL_THREADS_MAX 256
struct kernel_pool;
struct kernel_pool *kernel_pool_open(int threads); /* 1 .. KERNEL_THREADS_MAX */
int kernel_pool_threads(const struct kernel_pool *p);
void kernel_pool_run(struct kernel_pool *p, void (*run)(void *ctx, int part, int parts), void *ctx);
void kernel_pool_close(struct kernel_pool *p); /* NULL is fine */

#endif
