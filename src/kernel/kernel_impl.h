/*
 * kernel_impl.h - the variants that dispatch.c chooses from, and what their files share.
 *
 * A variant's file is compiled with its own instruction set flags; nothing in it may run before dispatch.c
 * has seen that the CPU has them. That is why helpers here are static: a shared external copy could be the
 * one compiled for the newer machine.
 */
#ifndef THINKD_KERNEL_KERNEL_IMPL_H
#define THINKD_KERNEL_KERNEL_IMPL_H

#include "kernel/kernel.h"

/* Overlays, by what they hold: vector_*: products of plain weights, quantising, norms and gates; packed_*: products of
 * packed weights; attend_*: attention and logits. NULL members are left to a weaker row. */
#if defined(__x86_64__)
extern const struct kernels kernels_vector_avx2, kernels_vector_avx512;
extern const struct kernels kernels_packed_avx2, kernels_packed_avxvnni, kernels_packed_avx512;
extern const struct kernels kernels_packed_vnni512, kernels_packed_amx;
extern const struct kernels kernels_attend_avx2, kernels_attend_avx512, kernels_attend_vnni512;
#elif defined(__aarch64__)
extern const struct kernels kernels_vector_neon;
extern const struct kernels kernels_packed_dotprod, kernels_packed_i8mm;
extern const struct kernels kernels_attend_neon;
#endif

/* Blocks of activations whose largest is below this count as zeroes: 127 / max stays finite. */
#define ACTS_TINY 0x1p-100f

/* Complete unrolling of the tiles' small loops, so that their sums stay in registers. Under the sanitizers gcc finds loops that
 * it cannot annotate, and speed is nothing there. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#endif
