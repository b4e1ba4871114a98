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
struct q8_0 { uint16_t d; int8_t q[Q8_0_BLOCK]; };
_Static_assert(sizeof(struct q8_0) == 34, "Q8_0 blocks are packed in files");

/* Types of a weight row as stored in files. */
enum tensor_type { TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0, TENSOR_TYPE_COUNT };

/* dot_*: sum over n of w[i] * x[i], x in f32; n is a multiple of the type's block.
 * rms_norm: y = x / sqrt(mean(x^2) + eps) * weight. softmax: in place over n, max subtracted.
 * axpy: y += a * x. silu_mul: y = silu(gate) * up. */
#define KERNEL_LIST(X)                                                                             \
    X(float, dot_f32, (const float *w, const float *x, size_t n))                                  \
    X(float, dot_f16, (const uint16_t *w, const float *x, size_t n))                               \
    X(float, dot_bf16, (const uint16_t *w, const float *x, size_t n))                              \
    X(float, dot_q8_0, (const struct q8_0 *w, const float *x, size_t n))                           \
    X(void, axpy_f32, (float *y, float a, const float *x, size_t n))                               \
    X(void, rms_norm, (float *y, const float *x, const float *weight, size_t n, float eps))        \
    X(void, softmax, (float *x, size_t n))                                                         \
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

/* Fork and join: run(ctx, part, parts) on every thread of the pool, the caller being part 0. Workers spin
 * briefly, then sleep. A pool of 1 runs in the caller. */
struct kernel_pool;
struct kernel_pool *kernel_pool_open(int threads);
int kernel_pool_threads(const struct kernel_pool *p);
void kernel_pool_run(struct kernel_pool *p, void (*run)(void *ctx, int part, int parts), void *ctx);
void kernel_pool_close(struct kernel_pool *p); /* NULL is fine */

#endif
