/*
 * attend_neon.c - attention and the passes over logits on four lanes: 4 x 6 sums, 4 registers of the page and one of a
 * query are 29 of 32.
 */
#include "kernel/kernel_impl.h"

#if defined(__aarch64__)

#include "kernel/vec_neon_impl.h"

#define SCORE_WIDTH(Q) 4
#define VALUE_WIDTH(Q) 4

#include "kernel/attend_vector_impl.h"
#include "kernel/choose_vector_impl.h"

const struct kernels kernels_attend_neon = { .kv_store = kv_store, .attend = attend, CHOOSE_KERNELS };

#else
typedef int kernel_attend_neon_is_empty; /* ISO C wants one declaration in a file */
#endif
