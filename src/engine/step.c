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
 * Speculation. A decoding sequence may read more than its last token: forced ones, which are certain, or guesses
 * (lookup.c), and a token is decided after each. It is decided as if the guess were true; so when the guess turns out to
 * be what was decided before it, the decision stands, and else it and all behind it never were: their keys
 * and values are dropped, and the uniforms they looked at are still to be drawn. Every token is the one that would have come
 * without, with its log-probability and in its turn. A guess never fills a page, since full pages are stored for
 * everybody, nor takes a row from a prompt, nor makes anybody step back.
 *
 * Guesses are rows, and rows are free only as long as reading the weights takes longer than computing with them. On two
 * cores of Zen 4 (qwen3 of 0.6 B and 28 M parameters, Q8_0 and Q4_0) a step of 4 rows took 1.0 to 1.5 times as long as
 * one of a single row, 8 rows 1.1 to 2.2 times, 16 rows 2 to 4.6 times. Hence GUESS_ROWS_MAX; lookup.c stops guesses that
 * seldom come. With three and four sequences side by side what was gained and what was lost came out the other way round from one
 * measurement to the next, so there is no guessing beyond GUESS_SEQUENCES_MAX.
 *
 * Threads: the engine's, and the model's pool inside of judge().
 */
#include "engine/engine_impl.h"

#include <assert.h>
#include <stdlib.h>

/* Of a step in which somebody decodes, whose token waits for them: 16, 32 and 64 beside one of 28 M parameters make a step of
 * 5, 9 and 16 ms, and read prompts at 86, 100 and 108% of the speed (Zen 4 with other work on its two cores); of 3 M
 * parameters 0.8, 1.5 and 3.4 ms, and 95, 100 and 86%. */
#define PROMPT_ROWS_BESIDE  32
#define GUESS_SEQUENCES_MAX 2
#define GUESS_ROWS_MAX      8  /* of a step with guesses, those included */
#define FORCED_ROWS_MAX     64 /* of one sequence in one step */

enum row_use {
    ROW_READ,   /* keys and values are all that is wanted */
    ROW_TELLS,  /* the log-probability of the prompt's next token, too */
    ROW_DECIDES /* a token is due after it, if what it reads is what came */
};

struct row_owner {
    struct sequence *seq;
    enum row_use use;
    int64_t at;   /* place of the row's token in its sequence */
    bool begins;  /* what is decided after it begins the answer, behind markers that are forced */
    bool answers; /* what is decided after it was asked as a token of the answer */
    struct matcher
        *matcher; /* its grammar where what was read ahead is true; NULL: the sequence's own stands there */
};

/* A row whose logits were asked for: what is asked, and the answer. */
struct verdict {
    float *logits;
    const struct sequence *seq;
    bool answers;            /* what binds its answer binds the choice */
    struct matcher *matcher; /* NULL: no grammar does */
    int32_t target;          /* the prompt's next token; -1: one is to be chosen */
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
    struct altered *altered;   /* the same */
    uint64_t **masks;          /* the same: [mask_words] */
    size_t mask_words;
    float *logits;           /* [MODEL_LOGITS_MAX][n_vocab] */
    struct sequence **turns; /* [sequences_max] */
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
    t->altered = mem_zalloc((size_t)threads * sizeof *t->altered);
    t->masks = mem_array((size_t)threads, sizeof(uint64_t *));
    t->mask_words = (t->n_vocab + 63) / 64;
    for (int i = 0; i < threads; i++) {
        t->samplers[i] = sampler_open(t->kernels, t->n_vocab);
        t->masks[i] = mem_array(t->mask_words, sizeof *t->masks[i]);
    }
    t->logits = mem_lazy(MODEL_LOGITS_MAX * t->n_vocab * sizeof(float));
    t->turns = mem_array(sequences_max, sizeof(struct sequence *));
    return t;
}

void step_close(struct step *t)
{
    if (!t)
        return;
    for (int i = 0; i < kernel_pool_threads(t->pool); i++) {
        sampler_close(t->samplers[i]);
        altered_free(&t->altered[i]);
        mem_free(t->masks[i]);
    }
    mem_free(t->masks);
    mem_free(t->samplers);
    mem_free(t->altered);
    mem_lazy_free(t->logits);
    mem_free(t->turns);
    mem_free(t);
}

/* --- logits to tokens --------------------------------------------------------------------------------- */

/* One of the tokens by the row's summary, which was asked for the k largest. */
static int32_t pick(struct sampler *sampler, const struct verdict *v, const struct logit_summary *row,
                    size_t k)
{
    const struct engine_params *p = &v->seq->params;
    bool all = k == TOP_LOGITS && row->n_top < TOP_LOGITS;
    return sampler_pick(sampler, v->logits, row, all, p->temperature, p->top_p, p->min_p, v->uniform);
}

/* Of those that the grammar allows. Few are, mostly: then the summary lists them all. */
static int32_t pick_masked(struct step *t, int part, const struct verdict *v)
{
    struct logit_summary row;
    bind_mask(v->seq, v->matcher, t->masks[part], t->mask_words);
    t->kernels->summarize_masked(v->logits, t->n_vocab, TOP_LOGITS, t->masks[part], &row);
    if (row.n_top == TOP_LOGITS && v->seq->params.temperature > 0)
        t->kernels->mask_logits(v->logits, t->n_vocab, t->masks[part]);
    return pick(t->samplers[part], v, &row, TOP_LOGITS);
}

static int32_t pick_any(struct step *t, int part, const struct verdict *v)
{
    const struct engine_params *p = &v->seq->params;
    size_t k = sampler_top(p->temperature, p->top_p, p->min_p);
    struct logit_summary row;
    t->kernels->summarize_logits(v->logits, t->n_vocab, k, &row);
    return pick(t->samplers[part], v, &row, k);
}

/* A choice among other logits than the model's; what is told of it is the model's own. */
static void judge_bound(struct step *t, int part, struct verdict *v)
{
    t->kernels->summarize_logits(v->logits, t->n_vocab, CONFIDENCE_TOP, &v->row);
    v->id = v->row.argmax;
    if (v->id < 0)
        return;
    adjust_logits(&t->altered[part], v->logits, v->seq);
    v->id = v->matcher ? pick_masked(t, part, v) : pick_any(t, part, v);
    adjust_undo(&t->altered[part], v->logits);
}

static void judge_row(struct step *t, int part, struct verdict *v)
{
    const struct engine_params *p = &v->seq->params;
    bool choose = v->target < 0;
    if (choose && v->answers && (v->matcher || adjusts(v->seq))) {
        judge_bound(t, part, v);
    } else {
        size_t k = choose ? sampler_top(p->temperature, p->top_p, p->min_p) : CONFIDENCE_TOP;
        t->kernels->summarize_logits(v->logits, t->n_vocab, k, &v->row);
        v->id = v->row.argmax;
        if (v->id >= 0)
            v->id = choose ? pick(t->samplers[part], v, &v->row, k) : v->target;
    }
    if (v->id >= 0)
        v->logit = v->logits[v->id];
}

static void judge(void *ctx, int part, int parts)
{
    struct step *t = ctx;
    for (size_t i = (size_t)part; i < t->n_verdicts; i += (size_t)parts)
        judge_row(t, part, &t->verdicts[i]);
}

/* In the order of rows, as the uniforms are drawn. A forced token draws too. They are looked at in a copy: a
 * sequence's own stream goes on with each token that comes (tell). */
static void ask(struct step *t)
{
    struct rng rng;
    t->n_verdicts = 0;
    for (size_t i = 0; i < t->n_rows; i++) {
        struct row_owner *o = &t->owners[i];
        if (i == 0 || t->owners[i - 1].seq != o->seq)
            rng = o->seq->rng;
        double uniform = o->use == ROW_DECIDES ? rng_unit(&rng) : 0;
        o->answers = o->begins || sequence_answers(o->seq);
        if (!t->rows[i].want_logits)
            continue;
        struct verdict *v = &t->verdicts[t->n_verdicts];
        v->logits = t->logits + t->n_verdicts++ * t->n_vocab;
        v->seq = o->seq;
        v->answers = o->answers;
        v->target = o->use == ROW_TELLS ? room_token(o->seq, o->at + 1) : -1;
        v->matcher = NULL;
        if (o->answers && v->target < 0)
            v->matcher = o->matcher ? o->matcher : o->seq->bind.matcher;
        v->uniform = uniform;
    }
}

static void fail(struct engine *e, struct sequence *s)
{
    struct err err;
    err_set(&err, ERR_SERVER, NULL, "The model computed no finite number for the next token.");
    batch_fail(e, s, &err);
}

/* Whether the row read what its sequence has there by now: always, but for a guess. */
static bool is_true(const struct row_owner *o, int32_t token)
{
    return o->at < room_history(o->seq) && room_token(o->seq, o->at) == token;
}

/* The answer began behind a guess or a forced token: what was decided there was not bound by what binds an answer. The next
 * step reads the token again and decides anew. */
static bool is_stale(const struct row_owner *o)
{
    return sequence_binds(o->seq) && o->answers != sequence_answers(o->seq);
}

static void tell(struct engine *e, const struct row_owner *o, int32_t token, const struct verdict *v)
{
    struct sequence *s = o->seq;
    if (s->state == SEQUENCE_ENDED) /* an earlier row of its was no number, or brought its last token */
        return;
    if (o->use == ROW_DECIDES) {
        if (!is_true(o, token))
            return;
        if (sequence_forced(s, 0) >= 0) /* since the token before: nobody would have asked */
            v = NULL;
        else if (!v || is_stale(o)) /* or what was to be forced is not any more */
            return;
        (void)rng_unit(&s->rng);
    }
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

/* After the last row of a sequence that decodes: what was read and did not come is dropped. */
static void settle(struct engine *e, const struct row_owner *last)
{
    struct sequence *s = last->seq;
    int64_t read = room_history(s) - 1; /* the last token is the next step's */
    int n = s->lookup.guessed;
    if (n > 0) {
        int64_t came = read - (last->at - n);
        int accepted = came > 0 ? (int)came - 1 : 0; /* 0: it failed */
        atomic_fetch_add(&e->counters.guessed, n);
        atomic_fetch_add(&e->counters.accepted, accepted);
        lookup_learn(s, accepted);
    }
    if (kv_len(s->kv) > read)
        kv_truncate(s->kv, read);
    assert(s->state == SEQUENCE_ENDED || kv_len(s->kv) == read);
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
        const struct row_owner *o = &t->owners[i];
        if (o->use != ROW_READ)
            tell(e, o, t->rows[i].token, v);
        if (o->use == ROW_DECIDES && (i + 1 == t->n_rows || o[1].seq != o->seq))
            settle(e, o);
    }
    for (size_t i = 0; i < t->n_rows; i++)
        matcher_close(t->owners[i].matcher);
    t->n_rows = t->n_verdicts = 0;
}

/* --- rows ------------------------------------------------------------------------------------------------ */

/* Room in this call for so many rows, all with logits at worst. */
static void make_way(struct engine *e, size_t rows, size_t logits)
{
    struct step *t = e->local->step;
    if (t->n_rows + rows > MODEL_ROWS_MAX || t->n_verdicts + logits > MODEL_LOGITS_MAX)
        compute(e);
}

static void put_row(struct step *t, struct sequence *s, int64_t at, int32_t token, enum row_use use,
                    bool wants)
{
    t->rows[t->n_rows] = (struct model_row){ s->kv, token, wants };
    t->owners[t->n_rows++] = (struct row_owner){ .seq = s, .use = use, .at = at };
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
    for (int64_t i = at; i < stop; i++) {
        enum row_use use = use_of(s, i, end);
        bool wants = use == ROW_TELLS || (use == ROW_DECIDES && sequence_forced(s, 0) < 0);
        make_way(e, 1, wants);
        if (s->state != SEQUENCE_PREFILL) /* a row that was just computed ended it */
            break;
        put_row(e->local->step, s, i, room_token(s, i), use, wants);
    }
    atomic_fetch_add(&e->counters.prefilled, stop - at);
    return (size_t)(stop - at);
}

/* Tokens that s has to read behind its last one, without asking the model. */
static size_t forced_ahead(const struct sequence *s, int32_t *out, size_t n)
{
    size_t i = 0;
    while (i < n && (out[i] = sequence_forced(s, i)) >= 0)
        i++;
    return i;
}

/* What s reads behind its last token in this step, with room for it; at most rows guesses. */
static size_t read_ahead(struct engine *e, struct sequence *s, size_t rows, int32_t *out)
{
    int64_t at = kv_len(s->kv) + 1, last = s->tokens_max - s->output_tokens - 1; /* decided without */
    struct err err;
    size_t n = last < FORCED_ROWS_MAX - 1 ? (size_t)last : FORCED_ROWS_MAX - 1;
    if (e->speculation == SPECULATION_OFF || (sequence_answers(s) && penalises(&s->params)))
        return 0; /* each guess would change how often its token came, for those behind it */
    if (sequence_forced(s, 0) >= 0) {
        n = forced_ahead(s, out, n);
    } else {
        int64_t page = KV_PAGE_TOKENS - 1 - at % KV_PAGE_TOKENS;
        n = n < rows ? n : rows;
        n = (int64_t)n < page ? n : (size_t)page;
        n = n ? lookup_guess(s, out, n) : 0;
    }
    if (kv_reserve(s->kv, 1 + (int64_t)n, &err) == ERR_OK)
        return n;
    s->lookup.guessed = 0;
    return 0;
}

/* Where its grammar stands behind each of the n tokens read ahead, as far as it takes them: returns how many. None while a refusal
 * stands beside it, which the copies would not know. */
static size_t follow(struct sequence *s, const int32_t *ahead, size_t n, struct matcher **behind)
{
    const struct matcher *from = s->bind.matcher;
    if (s->bind.refusal)
        return 0;
    for (size_t i = 0; i < n; i++, from = behind[i - 1]) {
        behind[i] = matcher_copy(from);
        if (!matcher_accept(behind[i], ahead[i])) {
            matcher_close(behind[i]);
            return i;
        }
    }
    return n;
}

static void put_decoding(struct engine *e, struct sequence *s, size_t guesses)
{
    int32_t ahead[FORCED_ROWS_MAX];
    struct matcher *behind[FORCED_ROWS_MAX] = { 0 };
    size_t n = read_ahead(e, s, guesses, ahead);
    if (n > 0 && bind_holds(s)) {
        n = follow(s, ahead, n, behind);
        s->lookup.guessed = s->lookup.guessed > (int)n ? (int)n : s->lookup.guessed;
    }
    struct step *t = e->local->step;
    int64_t at = room_history(s) - 1;
    bool forced = sequence_forced(s, 0) >= 0;
    make_way(e, 1 + n, forced ? 1 : 1 + n);
    put_row(t, s, at, room_token(s, at), ROW_DECIDES, !forced);
    for (size_t i = 0; i < n; i++) {
        bool wants = sequence_forced(s, i + 1) < 0;
        put_row(t, s, at + 1 + (int64_t)i, ahead[i], ROW_DECIDES, wants);
        t->owners[t->n_rows - 1].matcher = behind[i];
        t->owners[t->n_rows - 1].begins = wants && sequence_leads(s);
    }
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
    size_t decoding = gather(e, SEQUENCE_DECODE), guesses = 0;
    if (decoding && decoding == e->n_running && decoding <= GUESS_SEQUENCES_MAX)
        guesses = GUESS_ROWS_MAX / decoding - 1;
    for (size_t i = 0; i < decoding; i++)
        put_decoding(e, t->turns[i], guesses);
    /* A prompt's first token makes a decoding sequence inside of this step; it was not gathered above. */
    put_prompts(e, decoding ? PROMPT_ROWS_BESIDE : MODEL_ROWS_MAX);
    compute(e);
    room_share(e);
    return e->n_running > 0;
}
