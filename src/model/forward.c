/*
 * forward.c - one step: up to MODEL_ROWS_MAX rows, each one token of some sequence, through all layers.
 *
 * Rows are independent but for keys and values: a row sees the tokens of its own kv up to itself, also those
 * that stand earlier in the same step, because all rows store theirs before any attends. So a prompt's
 * chunk, a step of many branches and any mixture are the same thing. Inside, rows are sorted by their page
 * tables, so that those that share pages are neighbours; logits come out in the caller's order.
 *
 * A layer is: the way in (what the last product gives is added to x, a norm, 8 bits), q k v, attention
 * (attention.c), its product, the way in, gate and up, down (or experts.c). The last layer's rows that want no
 * logits stop at their keys and values. Of small models threads share the rows instead (portions.c).
 */
#include "model/forward_impl.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- scratch -------------------------------------------------------------------------------------------- */

float *floats_for(size_t rows, size_t width)
{
    return mem_lazy(rows * width * sizeof(float));
}

static void open_acts(struct acts *a, size_t n)
{
    acts_open(a, MODEL_ROWS_MAX, (n + ACTS_BLOCK - 1) / ACTS_BLOCK * ACTS_BLOCK);
    a->n = n;
}

static void open_rotations(struct scratch *t, const struct model *m)
{
    for (int local = 0; local < (m->shape.window ? 2 : 1); local++) {
        rope_open(&t->rope[local], m, local);
        t->cosine[local] = floats_for(MODEL_ROWS_MAX, t->rope[local].half);
        t->sine[local] = floats_for(MODEL_ROWS_MAX, t->rope[local].half);
    }
}

struct scratch *scratch_open(const struct model *m)
{
    const struct shape *s = &m->shape;
    struct scratch *t = mem_zalloc(sizeof *t);
    size_t d = (size_t)s->n_embd, q = (size_t)s->n_heads * (size_t)s->head_dim;
    size_t kv = (size_t)s->n_kv_heads * (size_t)s->head_dim;
    t->x = floats_for(MODEL_ROWS_MAX, d);
    t->out = floats_for(MODEL_ROWS_MAX, d);
    t->q = floats_for(MODEL_ROWS_MAX, q);
    t->k = floats_for(MODEL_ROWS_MAX, kv);
    t->v = floats_for(MODEL_ROWS_MAX, kv);
    open_acts(&t->h, d);
    open_acts(&t->attended, q);
    open_rotations(t, m);
    attention_open(t, m);
    if (m->arch->has & HAS_EXPERTS) {
        experts_open(t, m);
    } else {
        t->up = floats_for(MODEL_ROWS_MAX, (size_t)s->n_ff);
        open_acts(&t->hidden, (size_t)s->n_ff);
    }
    return t;
}

void scratch_close(struct scratch *t)
{
    if (!t)
        return;
    float *all[] = {
        t->x, t->out, t->q, t->k, t->v, t->up, t->cosine[0], t->cosine[1], t->sine[0], t->sine[1]
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        mem_lazy_free(all[i]);
    acts_free(&t->h);
    acts_free(&t->attended);
    acts_free(&t->hidden);
    rope_free(&t->rope[0]);
    rope_free(&t->rope[1]);
    attention_free(t);
    experts_free(t);
    mem_free(t);
}

/* --- cutting -------------------------------------------------------------------------------------------- */

struct span cut(size_t n, size_t grain, int part, int parts)
{
    size_t grains = (n + grain - 1) / grain, p = (size_t)part, of = (size_t)parts;
    struct span s = { grains * p / of * grain, grains * (p + 1) / of * grain };
    s.from = s.from < n ? s.from : n;
    s.to = s.to < n ? s.to : n;
    return s;
}

size_t parts_max(const struct model *m)
{
    size_t threads = (size_t)kernel_pool_threads(m->pool);
    return threads > 1 ? 2 * threads : 1;
}

size_t step_parts(const struct step *step)
{
    return step->alone ? 1 : parts_max(step->m);
}

void run_phase(struct step *step, void (*phase)(void *, int, int), size_t items)
{
    size_t parts = step_parts(step);
    if (items > 1 && parts > 1)
        kernel_pool_run(step->m->pool, (int)(items < parts ? items : parts), phase, step);
    else
        phase(step, 0, 1);
}

#define LIGHT_FLOATS 2048 /* a microsecond or two of one thread; sharing them out costs about one */

void run_light_phase(struct step *step, void (*phase)(void *, int, int), size_t items, size_t floats)
{
    run_phase(step, phase, floats > LIGHT_FLOATS ? items : 1);
}

void multiply(const struct step *step, const struct matrix *w, struct span span, const struct acts *x,
              float *y)
{
    if (span.from < span.to)
        matrix_mul(&step->m->kernels, &(struct product){ .w = w,
                                                         .from = span.from,
                                                         .to = span.to,
                                                         .x = x,
                                                         .n_rows = step->n_rows,
                                                         .y = y,
                                                         .y_stride = w->rows });
}

/* --- the way into a product ------------------------------------------------------------------------------- */

/* x += what is pending, which may pass a norm first (gemma). */
static void add_pending(const struct step *step, size_t row)
{
    const struct model *m = step->m;
    size_t d = (size_t)m->shape.n_embd;
    float *x = step->t->x + row * d, *out = step->t->out + row * d;
    if (step->pending == PENDING_EXPERTS)
        experts_add(step, row, x);
    if (step->pending != PENDING_OUT)
        return;
    if (step->pending_norm)
        m->kernels.rms_norm(out, out, step->pending_norm, d, m->shape.eps);
    m->kernels.axpy_f32(x, 1.0f, out, d);
}

static void phase_enter(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    const struct model *m = step->m;
    struct scratch *t = step->t;
    size_t d = (size_t)m->shape.n_embd;
    struct span rows = cut(step->n_rows, 1, part, parts);
    for (size_t r = rows.from; r < rows.to; r++) {
        add_pending(step, r);
        m->kernels.rms_norm(t->h.x + r * d, t->x + r * d, step->norm, d, m->shape.eps);
        if (step->quantize)
            m->kernels.acts_quantize(&t->h, r, 0, d);
    }
}

static void enter(struct step *step, const float *norm, bool quantize)
{
    step->norm = norm;
    step->quantize = quantize;
    run_light_phase(step, phase_enter, step->n_rows, step->n_rows * (size_t)step->m->shape.n_embd);
    step->pending = PENDING_NONE;
}

static void pend(struct step *step, enum pending what, const float *norm)
{
    step->pending = what;
    step->pending_norm = norm;
}

/* --- the dense phases ------------------------------------------------------------------------------------- */

static size_t panels(const struct matrix *w)
{
    return (w->rows + PANEL_ROWS - 1) / PANEL_ROWS;
}

/* Of a range of panels, those that are w's when *at came before it; moves *at behind them. */
static struct span take_panels(struct span all, size_t *at, const struct matrix *w)
{
    size_t begin = *at, n = panels(w), from = all.from > begin ? all.from - begin : 0;
    size_t to = all.to > begin ? all.to - begin : 0;
    *at += n;
    from = (from < n ? from : n) * PANEL_ROWS;
    to = (to < n ? to : n) * PANEL_ROWS;
    return (struct span){ from, to < w->rows ? to : w->rows };
}

/* q, k and v are one range of outputs, so that threads share them evenly. */
static void phase_qkv(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    struct scratch *t = step->t;
    const struct layer *l = step->layer;
    struct span all = cut(panels(&l->q) + panels(&l->k) + panels(&l->v), 1, part, parts);
    size_t at = 0;
    multiply(step, &l->q, take_panels(all, &at, &l->q), &t->h, t->q);
    multiply(step, &l->k, take_panels(all, &at, &l->k), &t->h, t->k);
    multiply(step, &l->v, take_panels(all, &at, &l->v), &t->h, t->v);
}

static void phase_attn_out(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    struct scratch *t = step->t;
    const struct matrix *w = &step->layer->attn_out;
    const float *bias = step->layer->out_bias;
    struct span span = cut(w->rows, PANEL_ROWS, part, parts);
    multiply(step, w, span, &t->attended, t->out);
    for (size_t r = 0; bias && r < step->n_rows; r++)
        for (size_t j = span.from; j < span.to; j++)
            t->out[r * w->rows + j] += bias[j];
}

/* hidden = silu(gate x) * (up x); whole blocks of outputs, so they can be quantised here. */
static void gate_up(struct step *step, struct span span)
{
    struct scratch *t = step->t;
    const struct layer *l = step->layer;
    const struct kernels *k = &step->m->kernels;
    size_t n = l->gate.rows;
    multiply(step, &l->gate, span, &t->h, t->hidden.x);
    multiply(step, &l->up, span, &t->h, t->up);
    for (size_t r = 0; r < step->n_rows; r++) {
        float *gate = t->hidden.x + r * n + span.from, *up = t->up + r * n + span.from;
        (step->m->arch->gate == GATE_GELU ? k->gelu_mul : k->silu_mul)(gate, gate, up, span.to - span.from);
        if (l->down.packed)
            k->acts_quantize(&t->hidden, r, span.from, span.to);
    }
}

#define GATED_FLOATS 16384 /* of gate and of up at a time: few enough to be in the cache when they are used */

static void phase_gate_up(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    struct span all = cut(step->layer->gate.rows, ACTS_BLOCK, part, parts);
    size_t width = (GATED_FLOATS / step->n_rows + ACTS_BLOCK - 1) / ACTS_BLOCK * ACTS_BLOCK;
    for (size_t from = all.from; from < all.to; from += width)
        gate_up(step, (struct span){ from, all.to - from < width ? all.to : from + width });
}

static void phase_down(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    struct scratch *t = step->t;
    const struct matrix *w = &step->layer->down;
    multiply(step, w, cut(w->rows, PANEL_ROWS, part, parts), &t->hidden, t->out);
}

static void feed_forward(struct step *step)
{
    const struct layer *l = step->layer;
    if (step->m->arch->has & HAS_EXPERTS) {
        enter(step, l->ffn_norm, l->gate_exps[0].packed || l->up_exps[0].packed || l->router.packed);
        experts_forward(step);
        pend(step, PENDING_EXPERTS, NULL);
        return;
    }
    enter(step, l->ffn_norm, l->gate.packed || l->up.packed);
    run_phase(step, phase_gate_up, (l->gate.rows + ACTS_BLOCK - 1) / ACTS_BLOCK);
    run_phase(step, phase_down, panels(&l->down));
    pend(step, PENDING_OUT, l->post_ffn_norm);
}

static void forward_layer(struct step *step)
{
    const struct layer *l = step->layer;
    enter(step, l->attn_norm, l->q.packed || l->k.packed || l->v.packed);
    run_phase(step, phase_qkv, panels(&l->q) + panels(&l->k) + panels(&l->v));
    attention_forward(step);
    if (step->n_rows == 0)
        return;
    run_phase(step, phase_attn_out, panels(&l->attn_out));
    pend(step, PENDING_OUT, l->post_attn_norm);
    feed_forward(step);
}

/* --- before and after the layers -------------------------------------------------------------------------- */

/* By page table, then as the caller has them: rows of one sequence stay in order of position. */
static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->pages != y->pages) {
        size_t nx = (size_t)x->position / KV_PAGE_TOKENS + 1, ny = (size_t)y->position / KV_PAGE_TOKENS + 1;
        for (size_t i = 0; i < nx && i < ny; i++)
            if (x->pages[i] != y->pages[i])
                return x->pages[i] < y->pages[i] ? -1 : 1;
        if (nx != ny)
            return nx < ny ? -1 : 1;
    }
    return x->position < y->position ? -1 : x->position > y->position;
}

static void begin_rows(struct step *step, const struct model_row *rows, size_t n_rows)
{
    const struct model *m = step->m;
    for (size_t r = 0; r < n_rows; r++) {
        struct kv *kv = rows[r].kv;
        assert(kv->model == m);
        assert(rows[r].token >= 0 && rows[r].token < m->shape.n_vocab);
        assert(!rows[r].want_logits || step->n_logits < MODEL_LOGITS_MAX);
        step->rows[r] = (struct row){ .kv = kv, .token = rows[r].token, .logits = -1 };
        if (rows[r].want_logits)
            step->rows[r].logits = (int32_t)step->n_logits++;
        step->rows[r].position = kv_append(kv, rows[r].token);
    }
    step->n_rows = n_rows;
    for (size_t r = 0; r < n_rows; r++)
        step->rows[r].pages = step->rows[r].kv->pages; /* after all appends, which may move them */
}

static void phase_embed(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    const struct model *m = step->m;
    struct scratch *t = step->t;
    size_t d = (size_t)m->shape.n_embd;
    struct span rows = cut(step->n_rows, 1, part, parts);
    for (size_t r = rows.from; r < rows.to; r++) {
        float *x = t->x + r * d;
        matrix_row(&m->weights.embd, (size_t)step->rows[r].token, x);
        for (size_t i = 0; m->shape.embd_scale != 1 && i < d; i++)
            x[i] *= m->shape.embd_scale;
        for (int i = 0; i < 2; i++)
            if (t->cosine[i])
                rope_at(&t->rope[i], step->rows[r].position, t->cosine[i] + r * t->rope[i].half,
                        t->sine[i] + r * t->rope[i].half);
    }
}

static void phase_logits(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    const struct model *m = step->m;
    const struct matrix *head = &m->weights.head;
    struct span span = cut(head->rows, PANEL_ROWS, part, parts);
    float cap = m->shape.logit_softcap;
    if (span.from == span.to)
        return;
    matrix_mul(&m->kernels, &(struct product){ .w = head,
                                               .from = span.from,
                                               .to = span.to,
                                               .x = &step->t->h,
                                               .rows = step->logit_rows,
                                               .n_rows = step->n_logits,
                                               .y = step->logits,
                                               .y_stride = head->rows });
    for (size_t r = 0; cap > 0 && r < step->n_logits; r++)
        for (size_t j = span.from; j < span.to; j++)
            step->logits[r * head->rows + j] = cap * tanhf(step->logits[r * head->rows + j] / cap);
}

/* Only rows that want logits are left; they are written in the caller's order. */
static void forward_head(struct step *step)
{
    if (!step->n_logits)
        return;
    assert(step->n_rows == step->n_logits);
    for (size_t r = 0; r < step->n_rows; r++)
        step->logit_rows[step->rows[r].logits] = (uint32_t)r;
    enter(step, step->m->weights.out_norm, step->m->weights.head.packed);
    run_phase(step, phase_logits, panels(&step->m->weights.head));
}

void forward_rows(struct step *step)
{
    const struct model *m = step->m;
    qsort(step->rows, step->n_rows, sizeof *step->rows, compare_rows);
    run_phase(step, phase_embed, step->n_rows);
    attention_plan(step);
    for (int32_t l = 0; step->n_rows && l < m->shape.n_layers; l++) {
        step->layer = &m->weights.layers[l];
        step->layer_index = l;
        step->local = m->shape.local[l];
        forward_layer(step);
    }
    forward_head(step);
}

void model_forward(struct model *m, const struct model_row *rows, size_t n_rows, float *logits)
{
    assert(n_rows <= MODEL_ROWS_MAX);
    struct step step = { .m = m, .t = m->scratch, .logits = logits };
    begin_rows(&step, rows, n_rows);
    if (!portions_forward(&step))
        forward_rows(&step);
    for (size_t r = 0; r < n_rows; r++)
        if (r == 0 || rows[r].kv != rows[r - 1].kv)
            kv_publish(rows[r].kv);
}
