/*
 * attention.c - keys and values into their pages, then every row's look at its own.
 *
 * All rows store before any attends, so rows of one sequence in one step see each other. Where KV heads are
 * many enough to share out, one part does both for its heads and nobody waits in between; otherwise storing
 * is a phase of its own, and attention is cut into (KV head, some rows, some query heads).
 *
 * Rows of one page table stand next to each other (forward.c), and the kernel reads a page once for all of
 * them, so rows are cut into as few groups as keep all threads busy.
 */
#include "model/forward_impl.h"

#include <string.h>

#define QUERIES_MAX 256 /* of one call of the kernel: bounds its scratch; larger calls gain nothing more */

static size_t group_of(const struct shape *s)
{
    return (size_t)(s->n_heads / s->n_kv_heads);
}

static size_t rows_a_call(size_t queries)
{
    return queries < QUERIES_MAX ? QUERIES_MAX / queries : 1;
}

void attention_open(struct scratch *t, const struct model *m)
{
    size_t group = group_of(&m->shape), queries = rows_a_call(group) * group;
    t->attend_bytes = (attend_scratch_bytes((size_t)m->shape.head_dim, queries) + 63) / 64 * 64;
    t->attend = mem_lazy(parts_max(m) * t->attend_bytes + 64);
}

void attention_free(struct scratch *t)
{
    mem_lazy_free(t->attend);
}

/* --- keys, values and queries made ready ----------------------------------------------------------------- */

struct heads {
    const float *bias, *norm;
    size_t n;
    float scale; /* 1: none */
};

/* Eight at a time: a count that the compiler knows makes vectors of the loop. */
static void scale_head(float *head, size_t dim, float scale)
{
    size_t i = 0;
    for (; i + 8 <= dim; i += 8)
        for (size_t j = i; j < i + 8; j++)
            head[j] *= scale;
    for (; i < dim; i++)
        head[i] *= scale;
}

static void ready_heads(const struct step *step, size_t row, float *heads, const struct heads *h)
{
    const struct model *m = step->m;
    const struct scratch *t = step->t;
    size_t dim = (size_t)m->shape.head_dim, half = (size_t)m->shape.n_rot / 2;
    for (size_t i = 0; h->bias && i < h->n * dim; i++)
        heads[i] += h->bias[i];
    for (size_t i = 0; i < h->n; i++, heads += dim) {
        if (h->norm)
            m->kernels.rms_norm(heads, heads, h->norm, dim, m->shape.eps);
        rope_rotate(m->arch->rope, heads, half, t->cosine[step->local] + row * half,
                    t->sine[step->local] + row * half);
        if (h->scale != 1)
            scale_head(heads, dim, h->scale);
    }
}

static size_t kv_head_offset(const struct step *step, size_t head)
{
    const struct kv_pool *p = &step->m->kv_pool;
    return (size_t)step->layer_index * p->layer_bytes + head * p->head_bytes;
}

static void store_kv(const struct step *step, size_t row, size_t head, const float *key, const float *value)
{
    const struct kv_pool *p = &step->m->kv_pool;
    const struct row *r = &step->rows[row];
    uint32_t page = r->pages[r->position / KV_PAGE_TOKENS];
    struct kv_store store = { .type = p->type,
                              .head_dim = p->head_dim,
                              .head = p->memory + page * p->page_bytes + kv_head_offset(step, head),
                              .at = (size_t)(r->position % KV_PAGE_TOKENS),
                              .key = key,
                              .value = value };
    step->m->kernels.kv_store(&store);
}

/* One KV head of one row, and the query heads that look at it. Queries carry the scores' scale. */
static void ready(const struct step *step, size_t row, size_t head)
{
    const struct shape *s = &step->m->shape;
    const struct layer *l = step->layer;
    const struct scratch *t = step->t;
    size_t dim = (size_t)s->head_dim, n_kv = (size_t)s->n_kv_heads, group = group_of(s);
    size_t at = head * dim, q_at = head * group * dim;
    float *q = t->q + row * (size_t)s->n_heads * dim + q_at;
    float *k = t->k + row * n_kv * dim + at, *v = t->v + row * n_kv * dim + at;
    ready_heads(step, row, q,
                &(struct heads){ l->q_bias ? l->q_bias + q_at : NULL, l->q_norm, group, s->score_scale });
    ready_heads(step, row, k, &(struct heads){ l->k_bias ? l->k_bias + at : NULL, l->k_norm, 1, 1 });
    for (size_t d = 0; l->v_bias && d < dim; d++)
        v[d] += l->v_bias[at + d];
    store_kv(step, row, head, k, v);
}

/* --- attention ------------------------------------------------------------------------------------------- */

/* What one item looks after. */
struct item {
    size_t head;        /* KV head */
    size_t q_from, q_n; /* of its query heads */
    struct span rows;
};

/* Whether the outputs of n query heads are whole blocks, so that an item can quantise its own. */
static bool whole_blocks(const struct step *step, size_t n)
{
    return n * (size_t)step->m->shape.head_dim % ACTS_BLOCK == 0;
}

static void attend_call(const struct step *step, const struct item *item, struct span rows, void *scratch)
{
    const struct model *m = step->m;
    const struct shape *s = &m->shape;
    struct scratch *t = step->t;
    struct attend_row views[QUERIES_MAX];
    size_t dim = (size_t)s->head_dim, width = (size_t)s->n_heads * dim;
    size_t first = item->head * group_of(s) + item->q_from;
    for (size_t r = rows.from; r < rows.to; r++) {
        const struct row *row = &step->rows[r];
        int64_t from = step->local ? row->position + 1 - s->window : 0;
        views[r - rows.from] = (struct attend_row){ .q = t->q + r * width + first * dim,
                                                    .out = t->attended.x + r * width + first * dim,
                                                    .pages = row->pages,
                                                    .from = from > 0 ? from : 0,
                                                    .to = row->position + 1 };
    }
    struct attend a = { .type = m->kv_pool.type,
                        .head_dim = dim,
                        .group = item->q_n,
                        .memory = m->kv_pool.memory,
                        .page_bytes = m->kv_pool.page_bytes,
                        .offset = kv_head_offset(step, item->head),
                        .rows = views,
                        .n_rows = rows.to - rows.from,
                        .softcap = s->attn_softcap,
                        .sinks = step->layer->sinks ? step->layer->sinks + first : NULL,
                        .scratch = scratch };
    m->kernels.attend(&a);
    for (size_t r = rows.from; step->quantize && whole_blocks(step, item->q_n) && r < rows.to; r++)
        m->kernels.acts_quantize(&t->attended, r, first * dim, (first + item->q_n) * dim);
}

static void attend_item(const struct step *step, const struct item *item, int part)
{
    struct scratch *t = step->t;
    size_t n = rows_a_call(item->q_n);
    for (size_t from = item->rows.from; from < item->rows.to; from += n) {
        size_t to = item->rows.to - from < n ? item->rows.to : from + n;
        attend_call(step, item, (struct span){ from, to }, t->attend + (size_t)part * t->attend_bytes);
    }
}

/* --- phases ---------------------------------------------------------------------------------------------- */

/* One part looks after whole KV heads: it needs nobody else's keys. */
static void phase_ready_attend(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    const struct shape *s = &step->m->shape;
    struct span heads = cut((size_t)s->n_kv_heads, 1, part, parts);
    for (size_t head = heads.from; head < heads.to; head++) {
        for (size_t r = 0; r < step->n_rows; r++)
            ready(step, r, head);
        struct item item = { head, 0, group_of(s), { 0, step->n_rows } };
        attend_item(step, &item, part);
    }
}

static void phase_ready(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    size_t n_kv = (size_t)step->m->shape.n_kv_heads;
    struct span items = cut(step->n_rows * n_kv, 1, part, parts);
    for (size_t i = items.from; i < items.to; i++)
        ready(step, i / n_kv, i % n_kv);
}

static void phase_attend(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    const struct shape *s = &step->m->shape;
    size_t pieces = step->q_pieces, groups = step->n_groups, q_n = group_of(s) / pieces;
    struct span items = cut((size_t)s->n_kv_heads * groups * pieces, 1, part, parts);
    for (size_t i = items.from; i < items.to; i++) {
        size_t g = i / pieces % groups;
        struct item item = { .head = i / pieces / groups,
                             .q_from = i % pieces * q_n,
                             .q_n = q_n,
                             .rows = { step->group_from[g], step->group_from[g + 1] } };
        attend_item(step, &item, part);
    }
}

static void phase_quantize(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    struct scratch *t = step->t;
    struct span rows = cut(step->n_rows, 1, part, parts);
    for (size_t r = rows.from; r < rows.to; r++)
        step->m->kernels.acts_quantize(&t->attended, r, 0, t->attended.n);
}

/* --- the plan -------------------------------------------------------------------------------------------- */

/* Groups of about equal work: a row's is the length of what it sees. */
static void cut_rows(struct step *step, size_t n_groups)
{
    int64_t total = 0, sum = 0;
    size_t g = 0;
    for (size_t r = 0; r < step->n_rows; r++)
        total += step->rows[r].position + KV_PAGE_TOKENS;
    for (size_t r = 0; r < step->n_rows; r++) {
        if (g < n_groups && sum * (int64_t)n_groups >= total * (int64_t)g)
            step->group_from[g++] = r;
        sum += step->rows[r].position + KV_PAGE_TOKENS;
    }
    step->group_from[g] = step->n_rows;
    step->n_groups = g;
}

/* The fewest pieces of a KV head's queries, at least n of them where heads and blocks allow. */
static size_t pieces_for(const struct step *step, size_t n)
{
    size_t group = group_of(&step->m->shape), best = 1;
    for (size_t p = 2; p <= group && best < n; p++)
        if (group % p == 0 && whole_blocks(step, group / p))
            best = p;
    return best;
}

void attention_plan(struct step *step)
{
    size_t n_kv = (size_t)step->m->shape.n_kv_heads, parts = step_parts(step);
    size_t wanted = parts > 1 ? (parts + n_kv - 1) / n_kv : 1;
    size_t groups = wanted < step->n_rows ? wanted : step->n_rows;
    step->q_pieces = groups ? pieces_for(step, (wanted + groups - 1) / groups) : 1;
    cut_rows(step, groups);
}

/* Heads that go up in the threads, or many more heads than threads. */
static bool heads_are_enough(const struct step *step)
{
    size_t n_kv = (size_t)step->m->shape.n_kv_heads;
    size_t threads = step->alone ? 1 : (size_t)kernel_pool_threads(step->m->pool);
    return n_kv % threads == 0 || n_kv >= 4 * threads;
}

/* The last layer's rows that want no logits are done once their keys and values are stored. */
static void drop_rows(struct step *step)
{
    const struct shape *s = &step->m->shape;
    struct scratch *t = step->t;
    size_t n = 0, width = (size_t)s->n_heads * (size_t)s->head_dim, d = (size_t)s->n_embd;
    for (size_t r = 0; r < step->n_rows; r++) {
        if (step->rows[r].logits < 0)
            continue;
        memmove(t->q + n * width, t->q + r * width, width * sizeof(float));
        memmove(t->x + n * d, t->x + r * d, d * sizeof(float));
        step->rows[n++] = step->rows[r];
    }
    step->n_rows = n;
    attention_plan(step);
}

void attention_forward(struct step *step)
{
    const struct shape *s = &step->m->shape;
    size_t n_kv = (size_t)s->n_kv_heads;
    bool last = step->layer_index == s->n_layers - 1 && step->n_logits < step->n_rows;
    step->quantize = step->layer->attn_out.packed;
    if (heads_are_enough(step) && !last) {
        run_phase(step, phase_ready_attend, n_kv);
    } else {
        run_phase(step, phase_ready, step->n_rows * n_kv);
        if (last)
            drop_rows(step);
        if (step->n_rows)
            run_phase(step, phase_attend, n_kv * step->n_groups * step->q_pieces);
    }
    if (step->quantize && !whole_blocks(step, group_of(s)))
        run_phase(step, phase_quantize, step->n_rows);
}
