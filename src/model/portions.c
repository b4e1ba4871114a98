/*
 * portions.c - a step of many rows of a small model, cut by rows instead of by outputs.
 *
 * Cut by outputs, threads meet after every product, some sixty times a step, and each time read what the others
 * wrote. Where weights are few, that takes as long as the products themselves. So each thread takes some of the
 * sequences, a portion, from the first layer to the last, and they meet once. Each reads all weights then, which
 * costs nothing only while they come from a cache; and a page that sequences of two portions share is read by both.
 *
 * A portion is a step of its own over a part of the scratch. Rows of one sequence see each other's keys, so they
 * are never parted: a prompt's chunk is one piece, and steps that such a piece would put out of balance go the other way.
 */
#include "model/forward_impl.h"

#include <assert.h>
#include <string.h>

#define PORTION_MODEL_MAX (32 << 20) /* bytes of the model's file: about a cache that cores share */
#define PORTION_ROWS_MIN  4          /* fewer would have the weights read for too little */

struct portions {
    const struct step *step;
    size_t n, from[KERNEL_THREADS_MAX + 1]; /* rows */
};

/* --- the cut -------------------------------------------------------------------------------------------- */

/* What a row costs, in tokens that it attends to: products of 8 bits take a quarter of attention's time for as many
 * multiplications, of which a token takes two for each dimension of the queries. */
static int64_t products_cost(const struct model *m)
{
    const struct shape *s = &m->shape;
    return m->weights.parameters / (8 * (int64_t)s->n_layers * s->n_heads * s->head_dim) + 1;
}

/* Whether rows r - 1 and r are of two sequences. */
static bool parts_at(const struct step *step, size_t r)
{
    const struct row *rows = step->rows;
    if (rows[r].kv == rows[r - 1].kv)
        return false;
    assert(rows[r - 1].position == rows[r - 1].kv->len - 1); /* or it has rows behind those of another */
    return true;
}

/* Into n portions of about the same cost; false: one would have a quarter more than its due. */
static bool cut_portions(struct portions *p, const struct step *step, size_t n)
{
    const int64_t of_products = products_cost(step->m), parts = (int64_t)n;
    int64_t total = 0, sum = 0, begun = 0, most = 0;
    p->step = step;
    p->n = 1;
    p->from[0] = 0;
    for (size_t r = 0; r < step->n_rows; r++)
        total += step->rows[r].position + of_products;
    for (size_t r = 0; r < step->n_rows; r++) {
        int64_t cost = step->rows[r].position + of_products;
        if (r > 0 && p->n < n && parts_at(step, r) && (2 * sum + cost) * parts >= 2 * total * (int64_t)p->n) {
            most = sum - begun > most ? sum - begun : most;
            begun = sum;
            p->from[p->n++] = r;
        }
        sum += cost;
    }
    most = sum - begun > most ? sum - begun : most;
    p->from[p->n] = step->n_rows;
    return p->n == n && 4 * most * parts <= 5 * total;
}

/* --- a portion ------------------------------------------------------------------------------------------ */

/* The scratch from a row on, with the attention's scratch of one part. */
static struct scratch scratch_from(const struct scratch *t, const struct shape *s, size_t row, int part)
{
    struct scratch own = *t;
    size_t dim = (size_t)s->head_dim;
    own.x += row * (size_t)s->n_embd;
    own.out += row * (size_t)s->n_embd;
    own.q += row * (size_t)s->n_heads * dim;
    own.k += row * (size_t)s->n_kv_heads * dim;
    own.v += row * (size_t)s->n_kv_heads * dim;
    own.up += row * (size_t)s->n_ff;
    own.h = acts_from(&t->h, row);
    own.attended = acts_from(&t->attended, row);
    own.hidden = acts_from(&t->hidden, row);
    for (size_t i = 0; i < ARRAY_LEN(own.cosine); i++)
        if (t->cosine[i]) {
            own.cosine[i] += row * t->rope[i].half;
            own.sine[i] += row * t->rope[i].half;
        }
    own.attend += (size_t)part * t->attend_bytes;
    return own;
}

static void phase_portion(void *ctx, int part, int parts)
{
    const struct portions *p = ctx;
    const struct step *whole = p->step;
    size_t from = p->from[part], before = 0;
    struct scratch own = scratch_from(whole->t, &whole->m->shape, from, part);
    struct step step = { .m = whole->m, .t = &own, .alone = true, .n_rows = p->from[part + 1] - from };
    (void)parts;
    for (size_t r = 0; r < from; r++)
        before += whole->rows[r].logits >= 0;
    step.logits = whole->logits + before * (size_t)whole->m->shape.n_vocab;
    memcpy(step.rows, whole->rows + from, step.n_rows * sizeof *step.rows);
    for (size_t r = 0; r < step.n_rows; r++)
        if (step.rows[r].logits >= 0) {
            step.rows[r].logits -= (int32_t)before;
            step.n_logits++;
        }
    forward_rows(&step);
}

bool portions_forward(struct step *step)
{
    const struct model *m = step->m;
    struct portions p;
    size_t threads = (size_t)kernel_pool_threads(m->pool);
    if (threads == 1 || step->n_rows < threads * PORTION_ROWS_MIN || m->map.len > PORTION_MODEL_MAX ||
        (m->arch->has & HAS_EXPERTS) || !cut_portions(&p, step, threads))
        return false;
    kernel_pool_run(m->pool, (int)p.n, phase_portion, &p);
    return true;
}
