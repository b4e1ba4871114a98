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

#if defined(__x86_64__)
extern const struct kernels kernels_avx2;
extern const struct kernels kernels_avx512;
#endif

/* Complete unrolling of the tiles' small loops, so that their sums stay in registers. */
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

#endif
