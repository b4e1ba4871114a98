/*
 * experts.c - a feed-forward that is a router's choice of a few out of many (Shazeer et al. 2017).
 *
 * A row's router logits choose its n_experts_used best, lower id first on a tie; their weights are a softmax
 * over the chosen, which is the same as a softmax over all that is then made to sum to 1. Rows are gathered
 * by expert, so that an expert's matrices are read once for all rows that chose it; what they give is added
 * row by row in the order of rank, so a row's sum does not depend on who else came.
 *
 *   slot    one (row, expert) of the step; the slots of an expert are neighbours
 *   hidden  [slots][n_ff], down [slots][n_embd]
 */
#include "model/forward_impl.h"

#include <assert.h>

struct experts {
    size_t used;               /* experts a row */
    float *scores;             /* [rows][n_experts] of the router */
    uint32_t *chosen, *slots;  /* [rows][used], by rank */
    float *weights;            /* [rows][used] */
    uint32_t *from;            /* [n_experts + 1] slots of expert e: from[e] .. from[e + 1] - 1 */
    uint32_t *active;          /* experts with a slot */
    size_t n_active, n_chunks; /* chunks of an expert's outputs: items are (active expert, chunk) */
    uint32_t *rows, *count_up; /* [slots] the row of each slot; 0, 1, 2 ... */
    struct acts hidden;
    float *up, *down;
};

void experts_open(struct scratch *t, const struct model *m)
{
    const struct shape *s = &m->shape;
    struct experts *e = t->experts = mem_zalloc(sizeof *e);
    size_t n = (size_t)s->n_experts, ff = (size_t)s->n_ff;
    e->used = (size_t)s->n_experts_used;
    size_t slots = MODEL_ROWS_MAX * e->used;
    e->scores = floats_for(MODEL_ROWS_MAX, n);
    e->weights = floats_for(slots, 1);
    e->chosen = mem_array(slots, sizeof *e->chosen);
    e->slots = mem_array(slots, sizeof *e->slots);
    e->rows = mem_array(slots, sizeof *e->rows);
    e->count_up = mem_array(slots, sizeof *e->count_up);
    for (size_t i = 0; i < slots; i++)
        e->count_up[i] = (uint32_t)i;
    e->from = mem_array(n + 1, sizeof *e->from);
    e->active = mem_array(n, sizeof *e->active);
    acts_open(&e->hidden, slots, (ff + ACTS_BLOCK - 1) / ACTS_BLOCK * ACTS_BLOCK);
    e->hidden.n = ff;
    e->up = floats_for(slots, ff);
    e->down = floats_for(slots, (size_t)s->n_embd);
}

void experts_free(struct scratch *t)
{
    struct experts *e = t->experts;
    if (!e)
        return;
    void *lists[] = { e->chosen, e->slots, e->rows, e->count_up, e->from, e->active };
    float *floats[] = { e->scores, e->weights, e->up, e->down };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        mem_free(lists[i]);
    for (size_t i = 0; i < ARRAY_LEN(floats); i++)
        mem_lazy_free(floats[i]);
    acts_free(&e->hidden);
    mem_free(e);
}

/* --- routing --------------------------------------------------------------------------------------------- */

static void phase_router(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    const struct matrix *w = &step->layer->router;
    struct experts *e = step->t->experts;
    const float *bias = step->layer->router_bias;
    struct span span = cut(w->rows, PANEL_ROWS, part, parts);
    multiply(step, w, span, &step->t->h, e->scores);
    for (size_t r = 0; bias && r < step->n_rows; r++)
        for (size_t j = span.from; j < span.to; j++)
            e->scores[r * w->rows + j] += bias[j];
}

static bool is_chosen(const uint32_t *chosen, size_t n, uint32_t id)
{
    for (size_t i = 0; i < n; i++)
        if (chosen[i] == id)
            return true;
    return false;
}

/* The best of those not chosen yet; where no score is a number, the first. */
static uint32_t best_of(const float *scores, size_t n, const uint32_t *chosen, size_t n_chosen)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < n; i++)
        if ((best == UINT32_MAX || scores[i] > scores[best]) && !is_chosen(chosen, n_chosen, i))
            best = i;
    return best;
}

static void phase_choose(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    struct experts *e = step->t->experts;
    size_t n = (size_t)step->m->shape.n_experts;
    struct span rows = cut(step->n_rows, 1, part, parts);
    for (size_t r = rows.from; r < rows.to; r++) {
        uint32_t *chosen = e->chosen + r * e->used;
        float *weights = e->weights + r * e->used;
        for (size_t i = 0; i < e->used; i++) {
            chosen[i] = best_of(e->scores + r * n, n, chosen, i);
            weights[i] = e->scores[r * n + chosen[i]];
        }
        step->m->kernels.softmax(weights, e->used);
    }
}

/* Slots by expert, within an expert by row: a counting sort. */
static void gather(const struct step *step, struct experts *e)
{
    size_t n = (size_t)step->m->shape.n_experts, slots = step->n_rows * e->used;
    for (size_t i = 0; i <= n; i++)
        e->from[i] = 0;
    for (size_t i = 0; i < slots; i++)
        e->from[e->chosen[i] + 1]++;
    e->n_active = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (e->from[i + 1])
            e->active[e->n_active++] = i;
        e->from[i + 1] += e->from[i];
    }
    for (size_t i = 0; i < slots; i++) {
        uint32_t slot = e->from[e->chosen[i]]++;
        e->slots[i] = slot;
        e->rows[slot] = (uint32_t)(i / e->used);
    }
    for (size_t i = n; i > 0; i--) /* each has moved to where the next began */
        e->from[i] = e->from[i - 1];
    e->from[0] = 0;
    assert(e->from[n] == slots);
}

/* --- their matrices -------------------------------------------------------------------------------------- */

struct work {
    size_t expert, first, n; /* its slots */
    struct span span;        /* of its outputs */
};

static struct work work_of(const struct experts *e, size_t item, size_t outputs, size_t grain)
{
    size_t expert = e->active[item / e->n_chunks], first = e->from[expert];
    return (struct work){ expert, first, e->from[expert + 1] - first,
                          cut(outputs, grain, (int)(item % e->n_chunks), (int)e->n_chunks) };
}

static void multiply_slots(const struct step *step, const struct work *k, const struct matrix *w,
                           const struct acts *x, const uint32_t *rows, float *y)
{
    matrix_mul(&step->m->kernels, &(struct product){ .w = w,
                                                     .from = k->span.from,
                                                     .to = k->span.to,
                                                     .x = x,
                                                     .rows = rows + k->first,
                                                     .n_rows = k->n,
                                                     .y = y + k->first * w->rows,
                                                     .y_stride = w->rows });
}

/* gpt-oss: g sigmoid(1.702 g) (u + 1), g at most 7, u within [-7, 7]. It is silu(1.702 g) (u + 1) / 1.702; what
 * is not a number stays so. */
static void clamp_gate(float *gate, float *up, size_t n)
{
    const float alpha = 1.702f, limit = 7;
    for (size_t i = 0; i < n; i++) {
        float g = gate[i] > limit ? limit : gate[i];
        float u = up[i] > limit ? limit : up[i] < -limit ? -limit : up[i];
        gate[i] = alpha * g;
        up[i] = (u + 1) / alpha;
    }
}

static void add_bias(float *y, const float *bias, size_t expert, size_t width, struct span span)
{
    for (size_t j = span.from; bias && j < span.to; j++)
        y[j] += bias[expert * width + j];
}

static void gate_up(const struct step *step, const struct work *k)
{
    const struct scratch *t = step->t;
    struct experts *e = t->experts;
    const struct layer *l = step->layer;
    const struct kernels *kernels = &step->m->kernels;
    size_t ff = (size_t)step->m->shape.n_ff, width = k->span.to - k->span.from;
    multiply_slots(step, k, &l->gate_exps[k->expert], &t->h, e->rows, e->hidden.x);
    multiply_slots(step, k, &l->up_exps[k->expert], &t->h, e->rows, e->up);
    for (size_t s = k->first; s < k->first + k->n; s++) {
        float *gate = e->hidden.x + s * ff, *up = e->up + s * ff;
        add_bias(gate, l->gate_exps_bias, k->expert, ff, k->span);
        add_bias(up, l->up_exps_bias, k->expert, ff, k->span);
        gate += k->span.from;
        up += k->span.from;
        if (step->m->arch->gate == GATE_OAI)
            clamp_gate(gate, up, width);
        kernels->silu_mul(gate, gate, up, width);
        if (l->down_exps[0].packed)
            kernels->acts_quantize(&e->hidden, s, k->span.from, k->span.to);
    }
}

static void phase_gate_up(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    const struct experts *e = step->t->experts;
    struct span items = cut(e->n_active * e->n_chunks, 1, part, parts);
    for (size_t i = items.from; i < items.to; i++) {
        struct work k = work_of(e, i, (size_t)step->m->shape.n_ff, ACTS_BLOCK);
        if (k.span.from < k.span.to)
            gate_up(step, &k);
    }
}

static void phase_down(void *ctx, int part, int parts)
{
    struct step *step = ctx;
    struct experts *e = step->t->experts;
    const struct layer *l = step->layer;
    size_t d = (size_t)step->m->shape.n_embd;
    struct span items = cut(e->n_active * e->n_chunks, 1, part, parts);
    for (size_t i = items.from; i < items.to; i++) {
        struct work k = work_of(e, i, d, PANEL_ROWS);
        if (k.span.from == k.span.to)
            continue;
        multiply_slots(step, &k, &l->down_exps[k.expert], &e->hidden, e->count_up, e->down);
        for (size_t s = k.first; s < k.first + k.n; s++)
            add_bias(e->down + s * d, l->down_exps_bias, k.expert, d, k.span);
    }
}

/* Experts have unequal numbers of rows, so each item is a part of its own and threads take them as they come. */
static void run_items(struct step *step, void (*phase)(void *, int, int))
{
    const struct experts *e = step->t->experts;
    size_t items = step_parts(step) > 1 ? e->n_active * e->n_chunks : 1;
    kernel_pool_run(step->m->pool, (int)items, phase, step);
}

void experts_forward(struct step *step)
{
    struct experts *e = step->t->experts;
    run_phase(step, phase_router, (step->layer->router.rows + PANEL_ROWS - 1) / PANEL_ROWS);
    run_light_phase(step, phase_choose, step->n_rows, step->n_rows * e->used * step->layer->router.rows);
    gather(step, e);
    size_t items = 2 * step_parts(step);
    e->n_chunks = (items + e->n_active - 1) / e->n_active;
    run_items(step, phase_gate_up);
    run_items(step, phase_down);
}

void experts_add(const struct step *step, size_t row, float *x)
{
    const struct experts *e = step->t->experts;
    size_t d = (size_t)step->m->shape.n_embd;
    for (size_t i = row * e->used; i < (row + 1) * e->used; i++)
        step->m->kernels.axpy_f32(x, e->weights[i], e->down + e->slots[i] * d, d);
}
