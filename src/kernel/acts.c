/*
 * acts.c - rows of activations and their 8-bit form. The arrays are sized once and reused at any row length; rows that
 * nobody used take no memory.
 */
#include "kernel/kernel.h"

#include <assert.h>

void acts_open(struct acts *a, size_t rows_max, size_t n_max)
{
    n_max = (n_max + ACTS_BLOCK - 1) / ACTS_BLOCK * ACTS_BLOCK;
    assert(rows_max > 0 && n_max > 0 && n_max < SIZE_MAX / rows_max / 16);
    *a = (struct acts){ .rows_max = rows_max, .n_max = n_max, .n = n_max };
    a->x = mem_lazy(rows_max * n_max * sizeof *a->x);
    a->q = mem_lazy(rows_max * (n_max / ACTS_BLOCK | 1) * sizeof *a->q);
}

void acts_free(struct acts *a)
{
    mem_lazy_free(a->x);
    mem_lazy_free(a->q);
    *a = (struct acts){ 0 };
}
