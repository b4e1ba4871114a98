/*
 * step.c - one step of the sequences on a local model: which rows are computed, and tokens out of their logits.
 *
 * Every decoding sequence has a row in every step, and prompts are read beside them, with few rows while
 * somebody decodes, so that a long prompt delays a neighbour's token by little, else as many as one call takes. The
 * prompts have the rows in the order in which their sequences go before each other; a quarter is kept for those behind
 * the first, so that a short question need not wait for the end of a long text.
 *
 * A row's logits do not depend on the other rows (model.h), nor a draw on other sequences (sampler.c), so a
 * sequence's tokens are the same alone and in any company. The pool's threads share the rows that have logits;
 * events go out in the order of rows, from this thread.
 *
 * A sequence has one or more rows in a step and decides at most once, after the last.
 *
 * Threads: the engine's, and the model's pool inside of judge().
 */
#include "engine/engine_impl.h"

#include <assert.h>
#include <stdlib.h>

#define PROMPT_ROWS_BESIDE 64 /* of a step in which somebody decodes */

enum row_use {
    ROW_READ,   /* keys and values are all that is wanted */
    ROW_TELLS,  /* the log-probability of the prompt's next token, too */
    ROW_DECIDES /* a token is due after it */
};

struct row_owner {
    struct sequence *seq;
    enum row_use use;
    int64_t at; /* place of the row's token in its sequence */
};

/* A row whose logits were asked for: what is asked, and the answer. */
struct verdict {
    const float *logits;
    const struct engine_params *params;
    int32_t target; /* the prompt's next token; -1: one is to be chosen */
    double uniform;
    int32_t id; /* target or what was chosen; -1: no logit is finite */
    float logit;
    struct logit_summary row;
};

struct step {
    struct model *model;
    const struct kernels *kernels;
    struct kernel_pool *pool;
    size_t n_vocab;
    struct sampler **samplers; /* one a thread */
    float *logits;             /* [MODEL_LOGITS_MAX][n_vocab] */
    struct sequence **turns;   /* [sequences_max] */
    struct model_row rows[MODEL_ROWS_MAX];
    struct row_owner owners[MODEL_ROWS_MAX];
    struct verdict verdicts[MODEL_LOGITS_MAX];
    size_t n_rows, n_verdicts;
};

struct step *step_open(struct model *m, size_t sequences_max)
{
    struct step *t = mem_zalloc(sizeof *t);
    t->model = m;
    t->kernels = model_kernels(m);
    t->pool = model_pool(m);
    t->n_vocab = (size_t)model_info(m)->n_vocab;
    int threads = kernel_pool_threads(t->pool);
    t->samplers = mem_array((size_t)threads, sizeof(struct sampler *));
    for (int i = 0; i < threads; i++)
        t->samplers[i] = sampler_open(t->kernels, t->n_vocab);
    t->logits = mem_aligned(64, (MODEL_LOGITS_MAX * t->n_vocab * sizeof(float) + 63) / 64 * 64);
    t->turns = mem_array(sequences_max, sizeof(struct sequence *));
    return t;
}

void step_close(struct step *t)
{
    if (!t)
        return;
    for (int i = 0; i < kernel_pool_threads(t->pool); i++)
        sampler_close(t->samplers[i]);
    mem_free(t->samplers);
    mem_free(t->logits);
    mem_free(t->turns);
    mem_free(t);
}

/* --- logits to tokens --------------------------------------------------------------------------------- */

static void judge_row(const struct step *t, struct sampler *sampler, struct verdict *v)
{
    const struct engine_params *p = v->params;
    bool choose = v->target < 0;
    size_t k = choose ? sampler_top(p->temperature, p->top_p, p->min_p) : CONFIDENCE_TOP;
    t->kernels->summarize_logits(v->logits, t->n_vocab, k, &v->row);
    v->id = v->row.argmax;
    if (v->id < 0)
        return;
    v->id = choose ? sampler_pick(sampler, v->logits, &v->row, p->temperature, p->top_p, p->min_p, v->uniform)
                   : v->target;
    v->logit = v->logits[v->id];
}

static void judge(void *ctx, int part, int parts)
{
    struct step *t = ctx;
    for (size_t i = (size_t)part; i < t->n_verdicts; i += (size_t)parts)
        judge_row(t, t->samplers[part], &t->verdicts[i]);
}

/* In the order of rows, as the uniforms are drawn. A forced token draws too. */
static void ask(struct step *t)
{
    t->n_verdicts = 0;
    for (size_t i = 0; i < t->n_rows; i++) {
        struct row_owner *o = &t->owners[i];
        double uniform = o->use == ROW_DECIDES ? rng_unit(&o->seq->rng) : 0;
        if (!t->rows[i].want_logits)
            continue;
        struct verdict *v = &t->verdicts[t->n_verdicts];
        v->logits = t->logits + t->n_verdicts++ * t->n_vocab;
        v->params = &o->seq->params;
        v->target = o->use == ROW_TELLS ? room_token(o->seq, o->at + 1) : -1;
        v->uniform = uniform;
    }
}

static void fail(struct engine *e, struct sequence *s)
{
    struct err err;
    err_set(&err, ERR_SERVER, NULL, "The model computed no finite number for the next token.");
    batch_fail(e, s, &err);
}

static void tell(struct engine *e, const struct row_owner *o, const struct verdict *v)
{
    struct sequence *s = o->seq;
    if (s->state == SEQUENCE_ENDED) /* an earlier row of its was no number */
        return;
    if (v && v->id < 0) {
        fail(e, s);
    } else if (o->use == ROW_DECIDES) {
        batch_token(e, s, v ? v->id : -1, v ? &v->row : NULL, v ? v->logit : 0);
    } else {
        batch_prompt_token(e, s, &v->row, v->logit);
        if (s->params.tokens_max == 0 && s->prompt_told == s->prompt->tokens)
            batch_done(e, s);
    }
}

/* Computes the rows gathered so far, and says what came of them. */
static void compute(struct engine *e)
{
    struct step *t = e->local->step;
    if (t->n_rows == 0)
        return;
    model_forward(t->model, t->rows, t->n_rows, t->logits);
    ask(t);
    int threads = kernel_pool_threads(t->pool);
    if (t->n_verdicts)
        kernel_pool_run(t->pool, (size_t)threads < t->n_verdicts ? threads : (int)t->n_verdicts, judge, t);
    size_t at = 0;
    for (size_t i = 0; i < t->n_rows; i++) {
        const struct verdict *v = t->rows[i].want_logits ? &t->verdicts[at++] : NULL;
        if (t->owners[i].use != ROW_READ)
            tell(e, &t->owners[i], v);
    }
    t->n_rows = t->n_verdicts = 0;
}

/* --- rows ------------------------------------------------------------------------------------------------ */

static void put_row(struct engine *e, struct sequence *s, int64_t at, enum row_use use)
{
    struct step *t = e->local->step;
    bool wants = use == ROW_TELLS || (use == ROW_DECIDES && sequence_forced(s) < 0);
    if (t->n_rows == MODEL_ROWS_MAX || (wants && t->n_verdicts == MODEL_LOGITS_MAX))
        compute(e);
    if (s->state == SEQUENCE_ENDED) /* by a row that was just computed */
        return;
    t->rows[t->n_rows] = (struct model_row){ s->kv, room_token(s, at), wants };
    t->owners[t->n_rows++] = (struct row_owner){ s, use, at };
    t->n_verdicts += wants;
}

static enum row_use use_of(const struct sequence *s, int64_t at, int64_t end)
{
    if (s->params.prompt_logprobs && at + 1 < s->prompt->tokens && at + 1 >= s->prompt_told)
        return ROW_TELLS;
    return at + 1 == end ? ROW_DECIDES : ROW_READ;
}

/* Up to rows_max tokens that s has to read; returns how many. */
static size_t put_prompt(struct engine *e, struct sequence *s, size_t rows_max)
{
    int64_t at = kv_len(s->kv), end = room_history(s);
    int64_t stop = at + (int64_t)rows_max < end ? at + (int64_t)rows_max : end;
    if (s->params.tokens_max == 0 && stop == end) /* nothing comes after the last token */
        stop = end - 1;
    if (s->store_at > at && s->store_at < stop)
        stop = s->store_at;
    if (s->params.prompt_logprobs && s->prompt_told == 0) {
        batch_prompt_token(e, s, NULL, 0);
        if (end == 1 && s->params.tokens_max == 0)
            batch_done(e, s);
    }
    for (int64_t i = at; i < stop && s->state == SEQUENCE_PREFILL; i++)
        put_row(e, s, i, use_of(s, i, end));
    atomic_fetch_add(&e->counters.prefilled, stop - at);
    return (size_t)(stop - at);
}

static int in_order(const void *a, const void *b)
{
    const struct sequence *s = *(struct sequence *const *)a, *t = *(struct sequence *const *)b;
    return s == t ? 0 : batch_before(s, t) ? -1 : 1;
}

/* Those of the running in a state, into turns. */
static size_t gather(struct engine *e, enum sequence_state state)
{
    struct sequence **turns = e->local->step->turns;
    size_t n = 0;
    for (size_t i = 0; i < e->n_running; i++)
        if (e->running[i]->state == state)
            turns[n++] = e->running[i];
    return n;
}

static void put_prompts(struct engine *e, size_t rows)
{
    struct sequence **turns = e->local->step->turns;
    size_t n = gather(e, SEQUENCE_PREFILL), spare = n > 1 ? rows / 4 : 0;
    qsort(turns, n, sizeof *turns, in_order);
    for (size_t i = 0; i < n && rows > 0; i++)
        rows -= put_prompt(e, turns[i], i == 0 ? rows - spare : rows);
}

bool step_run(struct engine *e)
{
    struct step *t = e->local->step;
    room_reserve(e);
    size_t decoding = gather(e, SEQUENCE_DECODE);
    for (size_t i = 0; i < decoding; i++)
        put_row(e, t->turns[i], room_history(t->turns[i]) - 1, ROW_DECIDES);
    /* A prompt's first token makes a decoding sequence inside of this step; it was not gathered above. */
    put_prompts(e, decoding ? PROMPT_ROWS_BESIDE : MODEL_ROWS_MAX);
    compute(e);
    room_share(e);
    return e->n_running > 0;
}
