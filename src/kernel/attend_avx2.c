/*
 * attend_avx2.c - attention and the passes over logits on eight lanes. Sums, a register of queries and what is being read
 * fit 16 registers: 2 x 6 sums, or more of fewer queries, so that one chain of additions need not wait for itself.
 */
#include "kernel/kernel_impl.h"

#if defined(__x86_64__)

#include "kernel/vec_avx2_impl.h"

#define SCORE_WIDTH(Q) ((Q) == 1 ? 8 : (Q) <= 3 ? 4 : 2)
#define VALUE_WIDTH(Q) ((Q) == 1 ? 8 : (Q) <= 3 ? 4 : 2)

#include "kernel/attend_vector_impl.h"
#include "kernel/choose_vector_impl.h"

const struct kernels kernels_attend_avx2 = { .kv_store = kv_store, .attend = attend, CHOOSE_KERNELS };

#else
typedef int kernel_attend_avx2_is_empty; /* ISO C wants one declaration in a file */
#endif
