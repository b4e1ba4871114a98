/*
 * forward.c - one step: up to 64 rows, each one token of some sequence, through all layers.
 *
 * Rows are independent but for keys and values: a row sees the tokens of its own kv up to itself, also those
 * that stand earlier in the same batch, because all rows store theirs before any attends. So a prompt's
 * chunk, a step of many branches and any mixture are the same thing.
 *
 * A layer is eight phases; within one, the pool's threads take disjoint outputs and nobody reads what another
 * writes. A phase is a function over (struct step, part, parts).
 *
 * Invariant: every output is one kernel call's sum, or loops in order of position; neither depends on the
 * other rows or on how outputs are cut into parts. Hence logits are bit-equal for any batching.
 *
 * x        [rows][n_embd]    the residual stream
 * h        [rows][widest]    normed input of a product; later the attention's output, then the gate's
 * q, k, v  [rows][heads * head_dim]
 * gate, up [rows][n_ff]
 */
#include "model/model_impl.h"

#include <assert.h>
#include <math.h>
#include <string.h>

struct scratch {
    float *x, *h, *q, *k, *v, *attended, *out, *gate, *up;
    float *cosine, *sine; /* [rows][n_rot / 2] of each row's position */
    double *frequencies;  /* [n_rot / 2] radians a position */
    float *scores;        /* [threads][scores_len] */
    size_t scores_len;
};

struct step {
    struct model *m;
    const struct model_row *rows;
    size_t n_rows;
    int64_t positions[MODEL_ROWS_MAX];
    const struct layer *layer;
    size_t layer_index;
    float *logits;
    size_t n_logits;
};

/* --- scratch -------------------------------------------------------------------------------------------- */

static float *rows_of(size_t width)
{
    return mem_aligned(64, (MODEL_ROWS_MAX * width * sizeof(float) + 63) / 64 * 64);
}

static size_t q_width(const struct shape *s)
{
    return (size_t)s->n_heads * (size_t)s->head_dim;
}

static size_t kv_width(const struct shape *s)
{
    return (size_t)s->n_kv_heads * (size_t)s->head_dim;
}

/* frequency_i = base^(-2i / n_rot), slowed down by the file's factors (Llama 3.1) and the linear scaling. */
static double *make_frequencies(const struct model *m)
{
    const struct shape *s = &m->shape;
    size_t n = (size_t)s->n_rot / 2;
    double *f = mem_array(n, sizeof *f);
    for (size_t i = 0; i < n; i++) {
        f[i] = pow(s->rope_base, -2.0 * (double)i / (double)s->n_rot) / s->rope_factor;
        if (m->weights.rope_freqs)
            f[i] /= (double)m->weights.rope_freqs[i];
    }
    return f;
}

struct scratch *scratch_open(const struct model *m)
{
    const struct shape *s = &m->shape;
    struct scratch *t = mem_zalloc(sizeof *t);
    t->x = rows_of((size_t)s->n_embd);
    t->h = rows_of((size_t)s->n_embd);
    t->out = rows_of((size_t)s->n_embd);
    t->q = rows_of(q_width(s));
    t->attended = rows_of(q_width(s));
    t->k = rows_of(kv_width(s));
    t->v = rows_of(kv_width(s));
    t->gate = rows_of((size_t)s->n_ff);
    t->up = rows_of((size_t)s->n_ff);
    t->cosine = rows_of((size_t)s->n_rot / 2);
    t->sine = rows_of((size_t)s->n_rot / 2);
    t->frequencies = make_frequencies(m);
    t->scores_len = ((size_t)m->info.context + 15) / 16 * 16;
    t->scores = mem_array((size_t)kernel_pool_threads(m->pool) * t->scores_len, sizeof(float));
    return t;
}

void scratch_close(struct scratch *t)
{
    if (!t)
        return;
    float *all[] = { t->x, t->h,    t->out, t->q,      t->attended, t->k,
                     t->v, t->gate, t->up,  t->cosine, t->sine,     t->scores };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        mem_free(all[i]);
    mem_free(t->frequencies);
    mem_free(t);
}

/* --- parts ---------------------------------------------------------------------------------------------- */

struct span {
    size_t from, to;
};

/* Part `part` of [0, n), its borders at multiples of grain. */
static struct span cut(size_t n, size_t grain, int part, int parts)
{
    size_t grains = (n + grain - 1) / grain, p = (size_t)part, of = (size_t)parts;
    struct span s = { grains * p / of * grain, grains * (p + 1) / of * grain };
    s.from = s.from < n ? s.from : n;
    s.to = s.to < n ? s.to : n;
    return s;
}

/* The part of span that lies within [begin, begin + n), counted from begin. */
static struct span within(struct span span, size_t begin, size_t n)
{
    size_t from = span.from > begin ? span.from - begin : 0, to = span.to > begin ? span.to - begin : 0;
    return (struct span){ from < n ? from : n, to < n ? to : n };
}

/* Work that is over sooner than a fork stays on this thread. */
static void run_phase(struct step *step, void (*phase)(void *, int, int), size_t items)
{
    if (items > 1)
        kernel_pool_run(step->m->pool, phase, step);
    else
        phase(step, 0, 1);
}

#define MUL_GRAIN 8 /* output rows that a kernel takes together */

/* y[r][j] = w[j] . x[r] for the output rows of span. */
static void multiply(const struct step *step, const struct weight *w, struct span span, float *y,
                     const float *x, size_t n_rows)
{
    if (span.from == span.to)
        return;
    const struct kernels *k = &step->m->kernels;
    struct mul mul = { .y = y + span.from,
                       .y_stride = w->rows,
                       .w_rows = span.to - span.from,
                       .x = x,
                       .x_stride = w->cols,
                       .x_rows = n_rows,
                       .n = w->cols };
    size_t first = span.from * w->cols;
    switch (w->type) {
    case TENSOR_F32:
        mul.w = (const float *)w->data + first;
        k->mul_f32(&mul);
        break;
    case TENSOR_F16:
        mul.w = (const uint16_t *)w->data + first;
        k->mul_f16(&mul);
        break;
    case TENSOR_BF16:
        mul.w = (const uint16_t *)w->data + first;
        k->mul_bf16(&mul);
        break;
    case TENSOR_Q8_0:
        mul.w = (const struct q8_0 *)w->data + first / Q8_0_BLOCK;
        k->mul_q8_0(&mul);
        break;
    case TENSOR_TYPE_COUNT: assert(false);
    }
}

/* --- the phases of a layer ------------------------------------------------------------------------------- */

static void norm_rows(struct step *step, const float *weight, struct span rows)
{
    const struct shape *s = &step->m->shape;
    struct scratch *t = step->m->scratch;
    size_t d = (size_t)s->n_embd;
    for (size_t r = rows.from; r < rows.to; r++)
        step->m->kernels.rms_norm(t->h + r * d, t->x + r * d, weight, d, s->eps);
}

static void phase_attn_norm(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    norm_rows(step, step->layer->attn_norm, cut(step->n_rows, 1, part, parts));
}

static void phase_ffn_norm(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    norm_rows(step, step->layer->ffn_norm, cut(step->n_rows, 1, part, parts));
}

/* q, k and v are one range of outputs, so that threads share them evenly. */
static void phase_qkv(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    struct scratch *t = step->m->scratch;
    const struct layer *l = step->layer;
    struct span span = cut(l->q.rows + l->k.rows + l->v.rows, MUL_GRAIN, part, parts);
    multiply(step, &l->q, within(span, 0, l->q.rows), t->q, t->h, step->n_rows);
    multiply(step, &l->k, within(span, l->q.rows, l->k.rows), t->k, t->h, step->n_rows);
    multiply(step, &l->v, within(span, l->q.rows + l->k.rows, l->v.rows), t->v, t->h, step->n_rows);
}

/* Pairs (a, b) of a head turn by position * frequency_i: (a cos - b sin, a sin + b cos). */
static void rotate(const struct model *m, float *head, const float *cosine, const float *sine)
{
    size_t half = (size_t)m->shape.n_rot / 2;
    bool halves = m->arch->rope == ROPE_HALVES;
    for (size_t i = 0; i < half; i++) {
        float *a = halves ? head + i : head + 2 * i, *b = halves ? a + half : a + 1;
        float x = *a, y = *b;
        *a = x * cosine[i] - y * sine[i];
        *b = x * sine[i] + y * cosine[i];
    }
}

static void ready_heads(const struct step *step, size_t row, float *heads, size_t n_heads, const float *norm)
{
    const struct model *m = step->m;
    size_t dim = (size_t)m->shape.head_dim, half = (size_t)m->shape.n_rot / 2;
    for (size_t i = 0; i < n_heads; i++) {
        if (norm)
            m->kernels.rms_norm(heads + i * dim, heads + i * dim, norm, dim, m->shape.eps);
        rotate(m, heads + i * dim, m->scratch->cosine + row * half, m->scratch->sine + row * half);
    }
}

/* Keys of a head in page i of a sequence: [64][head_dim]; its values lie n_kv_heads heads further on. */
static float *page_keys(const struct step *step, const struct kv *kv, size_t i, size_t kv_head)
{
    const struct kv_pool *p = &step->m->kv_pool;
    return p->memory + kv->pages[i] * p->page_floats + step->layer_index * p->layer_floats +
           kv_head * p->head_floats;
}

static void store_kv(const struct step *step, size_t row)
{
    const struct shape *s = &step->m->shape;
    const struct scratch *t = step->m->scratch;
    size_t dim = (size_t)s->head_dim, n = (size_t)s->n_kv_heads;
    size_t page = (size_t)step->positions[row] / KV_PAGE_TOKENS,
           at = (size_t)step->positions[row] % KV_PAGE_TOKENS;
    for (size_t head = 0; head < n; head++) {
        float *keys = page_keys(step, step->rows[row].kv, page, head);
        float *values = keys + n * step->m->kv_pool.head_floats;
        memcpy(keys + at * dim, t->k + row * kv_width(s) + head * dim, dim * sizeof(float));
        memcpy(values + at * dim, t->v + row * kv_width(s) + head * dim, dim * sizeof(float));
    }
}

/* Queries carry the scores' scale, 1 / sqrt(head_dim), so that attention need not. */
static void phase_rope(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    const struct shape *s = &step->m->shape;
    struct scratch *t = step->m->scratch;
    struct span rows = cut(step->n_rows, 1, part, parts);
    float scale = 1.0f / sqrtf((float)s->head_dim);
    for (size_t r = rows.from; r < rows.to; r++) {
        float *q = t->q + r * q_width(s);
        ready_heads(step, r, q, (size_t)s->n_heads, step->layer->q_norm);
        for (size_t i = 0; i < q_width(s); i++)
            q[i] *= scale;
        ready_heads(step, r, t->k + r * kv_width(s), (size_t)s->n_kv_heads, step->layer->k_norm);
        store_kv(step, r);
    }
}

/* out = sum over t <= position of softmax(q . k_t) v_t, for one head of one row. */
static void attend(const struct step *step, size_t row, size_t head, float *scores)
{
    const struct model *m = step->m;
    const struct shape *s = &m->shape;
    const struct kv *kv = step->rows[row].kv;
    size_t dim = (size_t)s->head_dim, kv_head = head / (size_t)(s->n_heads / s->n_kv_heads);
    size_t n = (size_t)step->positions[row] + 1, values_at = (size_t)s->n_kv_heads * m->kv_pool.head_floats;
    const float *q = m->scratch->q + row * q_width(s) + head * dim;
    float *out = m->scratch->attended + row * q_width(s) + head * dim;
    for (size_t page = 0; page * KV_PAGE_TOKENS < n; page++) {
        const float *keys = page_keys(step, kv, page, kv_head);
        size_t from = page * KV_PAGE_TOKENS, here = n - from < KV_PAGE_TOKENS ? n - from : KV_PAGE_TOKENS;
        for (size_t i = 0; i < here; i++)
            scores[from + i] = m->kernels.dot_f32(q, keys + i * dim, dim);
    }
    m->kernels.softmax(scores, n);
    memset(out, 0, dim * sizeof *out);
    for (size_t page = 0; page * KV_PAGE_TOKENS < n; page++) {
        const float *values = page_keys(step, kv, page, kv_head) + values_at;
        size_t from = page * KV_PAGE_TOKENS, here = n - from < KV_PAGE_TOKENS ? n - from : KV_PAGE_TOKENS;
        for (size_t i = 0; i < here; i++)
            m->kernels.axpy_f32(out, scores[from + i], values + i * dim, dim);
    }
}

static void phase_attend(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    struct scratch *t = step->m->scratch;
    size_t n_heads = (size_t)step->m->shape.n_heads;
    struct span items = cut(step->n_rows * n_heads, 1, part, parts);
    for (size_t i = items.from; i < items.to; i++)
        attend(step, i / n_heads, i % n_heads, t->scores + (size_t)part * t->scores_len);
}

/* x += w y, for this part's outputs of every row. */
static void add_product(struct step *step, const struct weight *w, const float *y, int part, int parts)
{
    struct scratch *t = step->m->scratch;
    struct span span = cut(w->rows, MUL_GRAIN, part, parts);
    multiply(step, w, span, t->out, y, step->n_rows);
    for (size_t r = 0; r < step->n_rows; r++)
        for (size_t j = span.from; j < span.to; j++)
            t->x[r * w->rows + j] += t->out[r * w->rows + j];
}

static void phase_attn_out(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    add_product(step, &step->layer->attn_out, step->m->scratch->attended, part, parts);
}

/* gate = silu(gate x) * (up x) */
static void phase_gate_up(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    struct scratch *t = step->m->scratch;
    const struct layer *l = step->layer;
    struct span span = cut(l->gate.rows, MUL_GRAIN, part, parts);
    multiply(step, &l->gate, span, t->gate, t->h, step->n_rows);
    multiply(step, &l->up, span, t->up, t->h, step->n_rows);
    for (size_t r = 0; r < step->n_rows; r++) {
        float *gate = t->gate + r * l->gate.rows + span.from;
        step->m->kernels.silu_mul(gate, gate, t->up + r * l->up.rows + span.from, span.to - span.from);
    }
}

static void phase_down(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    add_product(step, &step->layer->down, step->m->scratch->gate, part, parts);
}

static void forward_layer(struct step *step)
{
    run_phase(step, phase_attn_norm, step->n_rows);
    run_phase(step, phase_qkv, SIZE_MAX);
    run_phase(step, phase_rope, step->n_rows);
    run_phase(step, phase_attend, SIZE_MAX);
    run_phase(step, phase_attn_out, SIZE_MAX);
    run_phase(step, phase_ffn_norm, step->n_rows);
    run_phase(step, phase_gate_up, SIZE_MAX);
    run_phase(step, phase_down, SIZE_MAX);
}

/* --- before and after the layers -------------------------------------------------------------------------- */

/* Row `token` of the embedding, exactly as stored. */
static void embed(const struct weight *w, size_t token, float *x)
{
    size_t first = token * w->cols;
    for (size_t i = 0; i < w->cols; i++)
        switch (w->type) {
        case TENSOR_F32: x[i] = ((const float *)w->data)[first + i]; break;
        case TENSOR_F16: x[i] = f16_to_f32(((const uint16_t *)w->data)[first + i]); break;
        case TENSOR_BF16: {
            uint32_t bits = (uint32_t)((const uint16_t *)w->data)[first + i] << 16;
            memcpy(&x[i], &bits, sizeof bits);
            break;
        }
        case TENSOR_Q8_0: {
            const struct q8_0 *block = (const struct q8_0 *)w->data + (first + i) / Q8_0_BLOCK;
            x[i] = f16_to_f32(block->d) * (float)block->q[i % Q8_0_BLOCK];
            break;
        }
        case TENSOR_TYPE_COUNT: assert(false);
        }
}

static void begin_row(struct step *step, size_t r)
{
    const struct model *m = step->m;
    struct scratch *t = m->scratch;
    struct kv *kv = step->rows[r].kv;
    size_t half = (size_t)m->shape.n_rot / 2;
    assert(kv->model == m);
    assert(step->rows[r].token >= 0 && step->rows[r].token < m->shape.n_vocab);
    assert((size_t)kv->len < kv->n_pages * KV_PAGE_TOKENS && kv->len < m->info.context); /* reserved */
    step->positions[r] = kv->len++;
    embed(&m->weights.embd, (size_t)step->rows[r].token, t->x + r * (size_t)m->shape.n_embd);
    for (size_t i = 0; i < half; i++) {
        double angle = (double)step->positions[r] * t->frequencies[i];
        t->cosine[r * half + i] = (float)cos(angle);
        t->sine[r * half + i] = (float)sin(angle);
    }
}

static void phase_logits(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    const struct weight *head = &step->m->weights.head;
    multiply(step, head, cut(head->rows, MUL_GRAIN, part, parts), step->logits, step->m->scratch->h,
             step->n_logits);
}

/* Norms the rows that want logits into consecutive rows of h, so that the head sees only them. */
static void forward_head(struct step *step)
{
    const struct model *m = step->m;
    size_t d = (size_t)m->shape.n_embd;
    for (size_t r = 0; r < step->n_rows; r++)
        if (step->rows[r].want_logits)
            m->kernels.rms_norm(m->scratch->h + step->n_logits++ * d, m->scratch->x + r * d,
                                m->weights.out_norm, d, m->shape.eps);
    if (step->n_logits)
        run_phase(step, phase_logits, SIZE_MAX);
}

void model_forward(struct model *m, const struct model_row *rows, size_t n_rows, float *logits)
{
    assert(n_rows <= MODEL_ROWS_MAX);
    struct step step = { .m = m, .rows = rows, .n_rows = n_rows, .logits = logits };
    for (size_t r = 0; r < n_rows; r++)
        begin_row(&step, r);
    for (int32_t l = 0; n_rows && l < m->shape.n_layers; l++) {
        step.layer = &m->weights.layers[l];
        step.layer_index = (size_t)l;
        forward_layer(&step);
    }
    forward_head(&step);
}
