/*
 * reference.h - the forward pass as the papers write it: one sequence, double precision, no cleverness.
 *
 * It reads the values that gguf_make put into a file, never the file, so it shares nothing with src/model.
 */
#ifndef THINKD_TESTS_UNIT_MODEL_REFERENCE_H
#define THINKD_TESTS_UNIT_MODEL_REFERENCE_H

#include "model/gguf_make.h"

/* What a test adds to a file by keys and tensors of its own; zeroes: nothing. */
struct reference_extra {
    double rope_factor;                 /* linear scaling, and yarn's */
    const float *rope_freqs;            /* [n_rot / 2] divisors */
    double rope_magnitude;              /* on sines and cosines: longrope's */
    double yarn_context;                /* the trained context; 0: not yarn */
    double attn_softcap, logit_softcap; /* 0: none */
    double score_scale;                 /* 0: 1 / sqrt(head_dim) */
};

/* logits: [n][n_vocab] for tokens 0 .. n - 1 of one sequence. */
void reference_forward(const struct gguf_make *g, const struct gguf_make_shape *s,
                       const struct reference_extra *extra, const int32_t *tokens, int n, double *logits);

#endif
