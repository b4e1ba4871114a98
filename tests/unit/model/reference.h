/*
 * reference.h - the forward pass as the papers write it: one sequence, double precision, no cleverness.
 *
 * It reads the values that gguf_make put into a file, never the file, so it shares nothing with src/model.
 */
#ifndef THINKD_TESTS_UNIT_MODEL_REFERENCE_H
#define THINKD_TESTS_UNIT_MODEL_REFERENCE_H

#include "model/gguf_make.h"

struct reference_extra {
    double rope_factor;      /* linear scaling; 1: none */
    const float *rope_freqs; /* [head_dim / 2] or NULL */
};

/* logits: [n][n_vocab] for tokens 0 .. n - 1 of one sequence. */
void reference_forward(const struct gguf_make *g, const struct gguf_make_shape *s,
                       const struct reference_extra *extra, const int32_t *tokens, int n, double *logits);

#endif
