/*
 * acts.c - rows of activations and their 8-bit form. The arrays are sized once and reused at any row length.
 */
#include "kernel/kernel.h"

#include <assert.h>

void acts_open(struct acts *a, size_t rows_max, size_t n_max)
{
    n_max = (n_max + ACTS_BLOCK - 1) / ACTS_BLOCK * ACTS_BLOCK;
    assert(rows_max > 0 && n_max > 0 && n_max < SIZE_MAX / rows_max / 16);
    *a = (struct acts){ .rows_max = rows_max, .n_max = n_max, .n = n_max };
    a->x = mem_aligned(64, (rows_max * n_max * sizeof *a->x + 63) / 64 * 64);
    a->q = mem_aligned(64, (rows_max * (n_max / ACTS_BLOCK | 1) * sizeof *a->q + 63) / 64 * 64);
}

void acts_free(struct acts *a)
{
    mem_free(a->x);
    mem_free(a->q);
    *a = (struct acts){ 0 };
}
