/*
 * forward_impl.h - what the files of the forward pass share: a step's rows, its activations, how it is cut.
 *
 * A phase is a function over (struct step, part, parts) that the pool runs; its parts write disjoint places
 * and read nothing that another part writes. Between two phases all threads meet, which costs a microsecond or
 * three, so a layer has few.
 *
 * Invariant: every output is one kernel's sum over one row, or a loop in a fixed order over that row's own
 * values, so neither the other rows nor the cuts change a bit of it.
 */
#ifndef THINKD_MODEL_FORWARD_IMPL_H
#define THINKD_MODEL_FORWARD_IMPL_H

#include "model/model_impl.h"

struct scratch {
    float *x;             /* [rows][n_embd] the residual stream */
    float *out;           /* [rows][n_embd] what attention or the feed-forward adds to it next */
    struct acts h;        /* [n_embd] normed input of a product */
    struct acts attended; /* [n_heads * head_dim] */
    struct acts hidden;   /* [n_ff] gated */
    float *q, *k, *v, *up;
    struct rope rope[2];        /* layers that see all, layers with a window */
    float *cosine[2], *sine[2]; /* [rows][n_rot / 2] of each row's position */
    unsigned char *attend;      /* [parts] scratch of the attention kernel */
    size_t attend_bytes;        /* of one part */
    struct experts *experts;    /* NULL: none */
};

/* One row of the step, in the order in which the phases see them. */
struct row {
    struct kv *kv;
    int64_t position;
    const uint32_t *pages;
    int32_t token;
    int32_t logits; /* which row of logits is its own; -1: none */
};

enum pending { PENDING_NONE, PENDING_OUT, PENDING_EXPERTS };

struct step {
    struct model *m;
    struct scratch *t; /* row r of these rows has place r in it */
    bool alone;        /* one thread's portion of a step (portions.c): phases are not cut */
    struct row rows[MODEL_ROWS_MAX];
    size_t n_rows;
    const struct layer *layer;
    int32_t layer_index;
    bool local; /* this layer sees only the window */
    /* The way into the next product: what is added to x first, the norm after it, and who reads it. */
    enum pending pending;
    const float *pending_norm; /* NULL: none */
    const float *norm;
    bool quantize;
    /* Attention: items of (KV head, rows, query heads). */
    size_t group_from[MODEL_ROWS_MAX + 1], n_groups, q_pieces;
    float *logits;
    uint32_t logit_rows[MODEL_LOGITS_MAX];
    size_t n_logits;
};

/* --- cutting (forward.c) -------------------------------------------------------------------------------- */

struct span {
    size_t from, to;
};
/* Part `part` of [0, n), its borders at multiples of grain. */
struct span cut(size_t n, size_t grain, int part, int parts);
/* More parts than threads, so that who comes late finds less to do; no more than there are items. */
size_t parts_max(const struct model *m);
size_t step_parts(const struct step *step); /* the same; 1 where it is alone */
void run_phase(struct step *step, void (*phase)(void *, int, int), size_t items);
/* The same for little work of `floats` in all: what is over sooner than a fork stays on this thread. */
void run_light_phase(struct step *step, void (*phase)(void *, int, int), size_t items, size_t floats);

/* y[r][j] = w[j] . x[r] for the outputs of span, rows of y lie w->rows apart. */
void multiply(const struct step *step, const struct matrix *w, struct span span, const struct acts *x,
              float *y);
float *floats_for(size_t rows, size_t width); /* mem_lazy */
/* All layers and the head; the rows have their places in kv, in the caller's order. */
void forward_rows(struct step *step);

/* --- portions.c ----------------------------------------------------------------------------------------- */

/* forward_rows for all rows, each thread with some of them from the first layer to the last. false: nothing was
 * done, because the threads do better with some of every product. */
bool portions_forward(struct step *step);

/* --- attention.c ---------------------------------------------------------------------------------------- */

void attention_open(struct scratch *t, const struct model *m);
void attention_free(struct scratch *t);
/* Once a step: rows into groups. */
void attention_plan(struct step *step);
/* q, k, v are there; leaves `attended`, in 8 bits too where the product after it wants that. */
void attention_forward(struct step *step);

/* --- experts.c ------------------------------------------------------------------------------------------ */

void experts_open(struct scratch *t, const struct model *m);
void experts_free(struct scratch *t);
/* Routes the rows of h and computes their experts; what they add is pending. */
void experts_forward(struct step *step);
/* x[row] += the chosen experts' outputs, each by its weight, in the order of their rank. */
void experts_add(const struct step *step, size_t row, float *x);

#endif
