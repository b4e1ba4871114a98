/*
 * batch.c - many sequences on one model: what they share, who goes first, who steps back, and that none of it shows
 * in any token. Models are tiny ones made here; a "blocker" decodes beside the sequences in question, and where its
 * sink makes the engine stand still, what is submitted arrives between two steps.
 */
#include "base/log.h"
#include "base/rng.h"
#include "collect.h"
#include "model/model.h"
#include "test.h"

#include "../model/gguf_make.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define BLOCKER   500
#define PAGE_KV   ((int64_t)kv_head_bytes(KV_F32, 16) * 2 * 2) /* 2 layers, 2 heads */
#define WORDS_LEN 1000

static char *tiny;

static int make_models(void **state)
{
    (void)state;
    struct buf b = { 0 };
    buf_printf(&b, "%s/batch.gguf", test_tmpdir());
    tiny = buf_take(&b);
    gguf_make_tiny(tiny, "qwen3", TENSOR_F32, 5);
    log_set_level(LOG_ERROR); /* engines here are short of memory on purpose, and would say so */
    return 0;
}

static int free_models(void **state)
{
    (void)state;
    mem_free(tiny);
    log_set_level(LOG_INFO);
    return 0;
}

static struct engine_config config_of(int sequences_max)
{
    return (struct engine_config){ .kind = "local",
                                   .model_path = tiny,
                                   .threads = 2,
                                   .kv_bytes_max = 16 << 20,
                                   .cpu_mask = ~0u,
                                   .sequences_max = sequences_max };
}

static struct collector *open_batch(int sequences_max)
{
    struct engine_config cfg = config_of(sequences_max);
    return collect_open(&cfg);
}

/* n bytes of text, which are as many tokens; the same bytes for the same seed. */
static struct engine_prompt *prompt_of(struct collector *c, uint64_t seed, size_t common, size_t n)
{
    char text[WORDS_LEN + 1];
    struct rng r;
    rng_init(&r, 77, 0);
    assert_true(n <= WORDS_LEN);
    for (size_t i = 0; i < n; i++) {
        if (i == common)
            rng_init(&r, 78, seed);
        text[i] = (char)('A' + rng_below(&r, 26)); /* no two of which make one token */
    }
    text[n] = '\0';
    struct engine_prompt *p = collect_text_prompt(c, text);
    assert_int_equal(engine_prompt_tokens(p), n);
    return p;
}

static struct engine_params sampled(uint64_t seed, int64_t tokens_max)
{
    struct engine_params p = collect_params(tokens_max);
    p.seed = seed;
    p.temperature = 0.9;
    p.top_p = 0.9;
    p.min_p = 0.01;
    p.ignore_eos = true;
    return p;
}

/* Somebody who decodes until it is cancelled. The engine stands still at its first token when this returns. */
static void block(struct collector *c)
{
    struct engine_prompt *p = prompt_of(c, 999, 0, 3);
    struct engine_params params = sampled(1, 900);
    collect_stop_at(c, BLOCKER, 1);
    collect_submit(c, BLOCKER, p, &params);
    collect_wait_tokens(c, BLOCKER, 1);
    engine_prompt_unref(p);
}

static void unblock(struct collector *c)
{
    engine_cancel(c->engine, BLOCKER);
    collect_wait(c, BLOCKER);
}

/* --- sharing ------------------------------------------------------------------------------------------- */

/* What a prompt gives alone, in an engine of its own. */
static void run_alone(struct collected *out, struct collector **keep, struct engine_config cfg, size_t common,
                      size_t n, uint64_t seed, const struct engine_params *params)
{
    cfg.sequences_max = 1;
    *keep = collect_open(&cfg);
    struct engine_prompt *p = prompt_of(*keep, seed, common, n);
    collect_submit(*keep, 1, p, params);
    *out = *collect_wait(*keep, 1);
    engine_prompt_unref(p);
}

static void branches_read_their_prompt_once(void **state)
{
    (void)state;
    enum { BRANCHES = 32 };
    static const size_t lengths[] = { 20, 64, 65, 129, 300, 512 };
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct collector *c = open_batch(BRANCHES + 1);
        struct engine_prompt *p = prompt_of(c, 1, 0, lengths[i]);
        block(c);
        for (uint64_t seq = 0; seq < BRANCHES; seq++) {
            struct engine_params params = sampled(9, 12);
            params.stream = seq;
            collect_submit(c, seq, p, &params);
        }
        struct engine_stats before = collect_stats(c);
        collect_go_on(c);
        for (uint64_t seq = 0; seq < BRANCHES; seq++) {
            const struct collected *s = collect_wait(c, seq);
            assert_int_equal(s->output_tokens, 12);
            assert_int_equal(s->cached_tokens, seq ? lengths[i] - 1 : 0);
        }
        struct engine_stats after = collect_stats(c);
        assert_int_equal(after.prefilled - before.prefilled, lengths[i] + BRANCHES - 1);
        for (uint64_t seq = 0; seq < BRANCHES; seq += 7) { /* and nobody can tell from the tokens */
            struct engine_params params = sampled(9, 12);
            struct collector *alone;
            struct collected want;
            params.stream = seq;
            run_alone(&want, &alone, config_of(1), 0, lengths[i], 1, &params);
            collect_same(&want, &c->seqs[seq]);
            collect_close(alone);
        }
        unblock(c);
        engine_prompt_unref(p);
        collect_close(c);
    }
}

static void clients_share_a_beginning(void **state)
{
    (void)state;
    enum { CLIENTS = 8, COMMON = 500, LENGTH = 560 };
    struct collector *c = open_batch(CLIENTS + 1);
    struct engine_prompt *p[CLIENTS];
    block(c);
    for (uint64_t seq = 0; seq < CLIENTS; seq++)
        p[seq] = prompt_of(c, seq, COMMON, LENGTH);
    struct engine_params params = sampled(4, 10);
    for (uint64_t seq = 0; seq < CLIENTS; seq++)
        collect_submit(c, seq, p[seq], &params);
    struct engine_stats before = collect_stats(c);
    collect_go_on(c);
    for (uint64_t seq = 0; seq < CLIENTS; seq++)
        collect_wait(c, seq);
    struct engine_stats after = collect_stats(c);
    int64_t whole_pages = COMMON / 64 * 64;
    assert_true(after.prefilled - before.prefilled <= LENGTH + (CLIENTS - 1) * (LENGTH - whole_pages));
    for (uint64_t seq = 0; seq < CLIENTS; seq++) {
        struct collector *alone;
        struct collected want;
        run_alone(&want, &alone, config_of(1), COMMON, LENGTH, seq, &params);
        collect_same(&want, &c->seqs[seq]);
        collect_close(alone);
        engine_prompt_unref(p[seq]);
    }
    unblock(c);
    collect_close(c);
}

/* The one that reads is cancelled in the middle, then the next; the others find another reader. */
static void a_reader_may_go_away(void **state)
{
    (void)state;
    enum { BRANCHES = 6 };
    struct collector *c = open_batch(BRANCHES + 1);
    struct engine_prompt *p = prompt_of(c, 1, 0, 700);
    struct engine_params params = sampled(9, 5);
    block(c);
    for (uint64_t seq = 0; seq < BRANCHES; seq++)
        collect_submit(c, seq, p, &params);
    for (uint64_t seq = 0; seq < 2; seq++) {
        int64_t tokens =
            5 + 4 * (int64_t)seq; /* 700 rows at no more than 64 beside the blocker's take eleven steps */
        collect_stop_at(c, BLOCKER, tokens);
        collect_wait_tokens(c, BLOCKER, tokens);
        engine_cancel(c->engine, seq);
    }
    collect_go_on(c);
    for (uint64_t seq = 0; seq < BRANCHES; seq++) {
        const struct collected *s = collect_wait(c, seq);
        assert_int_equal(s->finish, seq < 2 ? FINISH_CANCELLED : FINISH_LENGTH);
        assert_int_equal(s->output_tokens, seq < 2 ? 0 : 5);
    }
    unblock(c);
    engine_prompt_unref(p);
    collect_close(c);
}

static void the_same_prompt_again_is_cached(void **state)
{
    (void)state;
    struct collector *c = open_batch(4);
    struct engine_prompt *p = prompt_of(c, 1, 200, 200), *more = prompt_of(c, 2, 200, 260);
    struct engine_params params = sampled(3, 20);
    params.top_logprobs = 3;
    for (uint64_t seq = 0; seq < 3; seq++) {
        collect_submit(c, seq, p, &params);
        const struct collected *s = collect_wait(c, seq);
        assert_int_equal(s->cached_tokens, seq ? 199 : 0);
        collect_same(&c->seqs[0], s);
        for (size_t i = 0; i < s->n_tokens; i++)
            assert_int_equal(s->tokens[i].n_top, 3);
    }
    collect_submit(c, 3, more, &params);
    assert_int_equal(collect_wait(c, 3)->cached_tokens, 200); /* of the last page as much as agrees */
    assert_int_equal(collect_stats(c).cached, 2 * 199 + 200);
    engine_prompt_unref(p);
    engine_prompt_unref(more);
    collect_close(c);
}

/* Another owner's prompt is never met: not when it is stored, not while it is read, and no owner waits for another. */
static void owners_share_nothing(void **state)
{
    (void)state;
    enum { OWNERS = 4, EACH = 2, LENGTH = 300 };
    struct collector *c = open_batch(OWNERS * EACH + 1);
    struct engine_params params = sampled(3, 20);
    struct engine_prompt *p[OWNERS];
    block(c);
    struct engine_stats before = collect_stats(c);
    for (uint64_t owner = 0; owner < OWNERS; owner++) {
        p[owner] = prompt_of(c, 1, LENGTH, LENGTH);
        engine_prompt_set_salt(p[owner], owner);
        for (uint64_t i = 0; i < EACH; i++)
            collect_submit(c, owner * EACH + i, p[owner], &params);
    }
    collect_go_on(c);
    for (uint64_t seq = 0; seq < OWNERS * EACH; seq++)
        collect_same(collect_wait(c, 0), collect_wait(c, seq));
    for (uint64_t owner = 0; owner < OWNERS; owner++) {
        int64_t cached = 0;
        for (uint64_t i = 0; i < EACH; i++)
            cached += c->seqs[owner * EACH + i].cached_tokens;
        assert_int_equal(cached, (EACH - 1) * (LENGTH - 1));
        collect_submit(c, 100 + owner, p[owner], &params); /* and later it finds its own */
        assert_int_equal(collect_wait(c, 100 + owner)->cached_tokens, LENGTH - 1);
    }
    assert_int_equal(collect_stats(c).cached - before.cached, OWNERS * EACH * (LENGTH - 1));
    struct engine_prompt *stranger = prompt_of(c, 1, LENGTH, LENGTH);
    engine_prompt_set_salt(stranger, 99);
    collect_submit(c, 200, stranger, &params);
    assert_int_equal(collect_wait(c, 200)->cached_tokens, 0);
    collect_same(&c->seqs[0], &c->seqs[200]);
    engine_prompt_unref(stranger);
    for (uint64_t owner = 0; owner < OWNERS; owner++)
        engine_prompt_unref(p[owner]);
    unblock(c);
    collect_close(c);
}

/* --- memory -------------------------------------------------------------------------------------------- */

static void compare_with_alone(struct collector *c, struct engine_config cfg, uint64_t sequences,
                               size_t common, size_t n, int64_t tokens_max)
{
    struct collector *alone;
    struct collected want;
    for (uint64_t seq = 0; seq < sequences; seq++) {
        struct engine_params params = sampled(seq, tokens_max);
        run_alone(&want, &alone, cfg, common, n, seq, &params);
        collect_same(&want, collect_wait(c, seq));
        collect_close(alone);
    }
}

/* Ten pages for twelve sequences that want three each: they take turns, and go on as if nothing had been. */
static void who_steps_back_goes_on_exactly(void **state)
{
    (void)state;
    enum { SEQUENCES = 12 };
    static const enum kv_type types[] = { KV_F32, KV_F16, KV_Q8 };
    for (size_t t = 0; t < ARRAY_LEN(types); t++) {
        struct engine_config cfg = config_of(SEQUENCES);
        cfg.kv_type = types[t];
        cfg.kv_bytes_max = 10 * (int64_t)kv_head_bytes(types[t], 16) * 2 * 2;
        struct collector *c = collect_open(&cfg);
        struct engine_prompt *p[SEQUENCES];
        for (uint64_t seq = 0; seq < SEQUENCES; seq++) {
            struct engine_params params = sampled(seq, 150);
            p[seq] = prompt_of(c, seq, 0, 40);
            collect_submit(c, seq, p[seq], &params);
        }
        for (uint64_t seq = 0; seq < SEQUENCES; seq++) {
            const struct collected *s = collect_wait(c, seq);
            assert_false(s->failed);
            assert_int_equal(s->output_tokens, 150);
            engine_prompt_unref(p[seq]);
        }
        assert_true(collect_stats(c).preempted > 0);
        assert_true(collect_stats(c).kv_pages == 10);
        compare_with_alone(c, cfg, SEQUENCES, 0, 40, 150);
        collect_close(c);
    }
}

/* One that needs all the memory there is comes to its end beside others. */
static void a_large_one_gets_through(void **state)
{
    (void)state;
    struct engine_config cfg = config_of(8);
    cfg.kv_bytes_max = 6 * PAGE_KV;
    struct collector *c = collect_open(&cfg);
    int64_t context = engine_info(c->engine)->context;
    assert_int_equal(context, 6 * 64);
    struct engine_prompt *p = prompt_of(c, 1, 0, 30);
    for (uint64_t seq = 0; seq < 20; seq++) {
        struct engine_params params = sampled(seq, seq % 7 == 3 ? 10000 : 60);
        collect_submit(c, seq, p, &params);
    }
    for (uint64_t seq = 0; seq < 20; seq++) {
        const struct collected *s = collect_wait(c, seq);
        assert_int_equal(s->finish, FINISH_LENGTH);
        assert_int_equal(s->output_tokens, seq % 7 == 3 ? context - 30 : 60);
    }
    struct engine_stats stats = collect_stats(c);
    assert_int_equal(stats.waiting, 0);
    engine_prompt_unref(p);
    collect_close(c);
}

static void cancels_find_those_that_stepped_back(void **state)
{
    (void)state;
    struct engine_config cfg = config_of(8);
    cfg.kv_bytes_max = 4 * PAGE_KV;
    struct collector *c = collect_open(&cfg);
    struct engine_prompt *p = prompt_of(c, 1, 0, 30);
    for (uint64_t seq = 0; seq < 8; seq++) {
        struct engine_params params = sampled(seq, 150);
        collect_submit(c, seq, p, &params);
    }
    collect_wait_tokens(c, 0, 100);
    for (uint64_t seq = 0; seq < 8; seq++)
        engine_cancel(c->engine, seq);
    for (uint64_t seq = 0; seq < 8; seq++)
        collect_wait(c, seq);
    collect_engine_close(c);
    engine_prompt_unref(p);
    collect_close(c);
}

/* --- who goes first -------------------------------------------------------------------------------------- */

static void background_makes_room(void **state)
{
    (void)state;
    struct engine_config cfg = config_of(2);
    struct collector *c = collect_open(&cfg);
    struct engine_prompt *p[6];
    for (uint64_t seq = 0; seq < 6; seq++)
        p[seq] = prompt_of(c, seq, 0, 50);
    collect_stop_at(c, 0, 1); /* both begin together */
    for (uint64_t seq = 0; seq < 2; seq++) {
        struct engine_params params = sampled(seq, 300);
        params.priority = ENGINE_BACKGROUND;
        collect_submit(c, seq, p[seq], &params);
    }
    collect_stop_at(c, 1, 10);
    collect_wait_tokens(c, 1, 10);
    for (uint64_t seq = 2; seq < 6; seq++) {
        struct engine_params params = sampled(seq, 300);
        collect_submit(c, seq, p[seq], &params);
    }
    collect_go_on(c);
    for (uint64_t seq = 0; seq < 6; seq++) {
        collect_wait(c, seq);
        engine_prompt_unref(p[seq]);
    }
    for (uint64_t seq = 2; seq < 6; seq++)
        assert_true(c->seqs[seq].order <= 4);
    assert_int_equal(collect_stats(c).preempted, 2);
    compare_with_alone(c, cfg, 6, 0, 50, 300);
    collect_close(c);
}

/* A prompt of many steps beside one that decodes: its neighbours wait for at most the rows that are kept for it. */
static void a_short_prompt_passes_a_long_one(void **state)
{
    (void)state;
    struct collector *c = open_batch(4);
    struct engine_prompt *lengthy = prompt_of(c, 1, 0, 900), *brief = prompt_of(c, 2, 0, 12);
    struct engine_params params = sampled(1, 3);
    block(c);
    collect_submit(c, 0, lengthy, &params);
    collect_submit(c, 1, brief, &params);
    collect_go_on(c);
    collect_wait(c, 0);
    assert_int_equal(collect_wait(c, 1)->order, 1);
    unblock(c);
    engine_prompt_unref(lengthy);
    engine_prompt_unref(brief);
    collect_close(c);
}

static void cancel_stops_a_long_prompt(void **state)
{
    (void)state;
    struct collector *c = open_batch(4);
    struct engine_prompt *p = prompt_of(c, 1, 0, 900);
    struct engine_params params = sampled(1, 3);
    block(c);
    collect_submit(c, 0, p, &params);
    struct engine_stats before = collect_stats(c);
    collect_stop_at(c, BLOCKER, 6);
    collect_wait_tokens(c, BLOCKER, 6);
    engine_cancel(c->engine, 0);
    collect_go_on(c);
    assert_int_equal(collect_wait(c, 0)->finish, FINISH_CANCELLED);
    assert_true(collect_stats(c).prefilled - before.prefilled <= 6 * 64);
    unblock(c);
    engine_prompt_unref(p);
    collect_close(c);
}

/* --- log-probabilities ------------------------------------------------------------------------------------ */

/* log softmax, one row at a time, of a prompt and what the engine said after it. */
static void model_logprobs(const int32_t *ids, size_t n, double *out)
{
    struct model *m;
    struct err err;
    struct model_config mc = { .path = tiny, .threads = 1, .kv_bytes_max = 16 << 20, .cpu_mask = ~0u };
    if (model_open(&m, &mc, &err))
        fail_msg("%s", err.message);
    size_t n_vocab = (size_t)model_info(m)->n_vocab;
    float *logits = mem_array(n_vocab, sizeof *logits);
    struct kv *kv = kv_open(m);
    assert_int_equal(kv_reserve(kv, (int64_t)n, &err), ERR_OK);
    for (size_t i = 0; i + 1 < n; i++) {
        model_forward(m, &(struct model_row){ kv, ids[i], true }, 1, logits);
        double sum = 0;
        for (size_t v = 0; v < n_vocab; v++)
            sum += exp((double)logits[v]);
        out[i + 1] = (double)logits[ids[i + 1]] - log(sum);
    }
    kv_close(kv);
    mem_free(logits);
    model_close(m);
}

static void check_logprobs(const struct collected *s, const struct engine_prompt *p)
{
    size_t n = (size_t)engine_prompt_tokens(p), all = n + s->n_tokens;
    int32_t *ids = mem_array(all, sizeof *ids);
    double *want = mem_array(all, sizeof *want);
    assert_int_equal(s->n_prompt, n);
    memcpy(ids, engine_prompt_ids(p), n * sizeof *ids);
    for (size_t i = 0; i < s->n_tokens; i++)
        ids[n + i] = s->tokens[i].id;
    model_logprobs(ids, all, want);
    for (size_t i = 0; i < all; i++) {
        const struct engine_token *t = i < n ? &s->prompt[i] : &s->tokens[i - n];
        assert_int_equal(t->id, ids[i]);
        if (i == 0) {
            assert_true(isnan(t->logprob));
            continue;
        }
        assert_near(want[i], (double)t->logprob, 1e-3);
        assert_int_equal(t->n_top, 5);
        for (int k = 1; k < t->n_top; k++)
            assert_true(t->top[k].logprob <= t->top[k - 1].logprob);
        assert_true(t->logprob <= t->top[0].logprob);
        assert_true(t->confidence > 0);
    }
    mem_free(ids);
    mem_free(want);
}

static void prompts_have_logprobs(void **state)
{
    (void)state;
    static const struct {
        size_t length;
        int64_t tokens_max;
    } cases[] = { { 1, 0 }, { 1, 4 }, { 2, 0 }, { 64, 3 }, { 65, 0 }, { 200, 5 }, { 200, 0 } };
    struct collector *c = open_batch(8);
    for (uint64_t seq = 0; seq < ARRAY_LEN(cases); seq++) {
        struct engine_prompt *p =
            prompt_of(c, 1, 0, cases[seq].length); /* what is cached is computed again */
        struct engine_params params = sampled(1, cases[seq].tokens_max);
        params.prompt_logprobs = true;
        params.top_logprobs = 5;
        collect_submit(c, seq, p, &params);
        const struct collected *s = collect_wait(c, seq);
        assert_int_equal(s->finish, FINISH_LENGTH);
        assert_int_equal(s->output_tokens, cases[seq].tokens_max);
        assert_int_equal(s->cached_tokens, 0);
        check_logprobs(s, p);
        engine_prompt_unref(p);
    }
    collect_close(c);
}

/* Nothing is said twice when its sequence stepped back in the middle of telling. */
static void telling_goes_on_after_stepping_back(void **state)
{
    (void)state;
    struct collector *c = open_batch(1);
    struct engine_prompt *p = prompt_of(c, 1, 0, 700), *other = prompt_of(c, 2, 0, 5);
    struct engine_params background = sampled(1, 4), now = sampled(2, 4);
    background.priority = ENGINE_BACKGROUND;
    background.prompt_logprobs = true;
    background.top_logprobs = 5;
    collect_hold(c);
    collect_submit(c, 0, p, &background);
    collect_wait_arrival(c);
    collect_submit(c, 1, other, &now);
    collect_let_go(c);
    check_logprobs(collect_wait(c, 0), p);
    assert_int_equal(collect_wait(c, 1)->order, 1);
    assert_int_equal(collect_stats(c).preempted, 1);
    engine_prompt_unref(p);
    engine_prompt_unref(other);
    collect_close(c);
}

/* --- prompts ------------------------------------------------------------------------------------------------ */

static void prompts_of_text_and_ids(void **state)
{
    (void)state;
    struct collector *c = open_batch(4);
    const struct engine *e = c->engine;
    struct engine_prompt *text = collect_text_prompt(c, "<think>her number</think>"), *ids = NULL,
                         *plain = NULL;
    struct err err = { 0 };
    struct buf spelled = { 0 };
    int32_t vocabulary = engine_info(e)->vocabulary;
    size_t n = (size_t)engine_prompt_tokens(text);
    for (size_t i = 0; i < n; i++)
        buf_put_str(&spelled, engine_token_text(e, engine_prompt_ids(text)[i]));
    assert_string_equal(spelled.ptr, "<think>her number</think>");
    assert_int_equal(engine_prompt_open_ids(&ids, e, engine_prompt_ids(text), n, &err), ERR_OK);
    assert_memory_equal(engine_prompt_ids(text), engine_prompt_ids(ids), n * sizeof(int32_t));
    assert_int_equal(engine_prompt_open_text(&plain, e, STR("<think>her number</think>"), false, &err),
                     ERR_OK);
    assert_true(engine_prompt_tokens(plain) > engine_prompt_tokens(text)); /* markers are letters */

    struct engine_params params = sampled(5, 30);
    collect_submit(c, 0, text, &params);
    collect_submit(c, 1, ids, &params);
    collect_same(collect_wait(c, 0), collect_wait(c, 1));
    assert_int_equal(c->seqs[0].thinking_tokens, 0); /* it is gone on with, whatever stands in it */

    const int32_t bad[2][2] = { { 5, vocabulary }, { -1, 5 } };
    struct engine_prompt *none = NULL;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(engine_prompt_open_ids(&none, e, bad[i], 2, &err), ERR_INVALID_VALUE);
    assert_int_equal(engine_prompt_open_ids(&none, e, NULL, 0, &err), ERR_INVALID_VALUE);
    int32_t *many = mem_array(2000, sizeof *many);
    assert_int_equal(engine_prompt_open_ids(&none, e, many, 2000, &err), ERR_CONTEXT_LENGTH);
    assert_non_null(strstr(err.message, "your prompt resulted in 2000 tokens"));
    assert_null(none);
    assert_int_equal(engine_token_text(e, vocabulary).len, 0);
    mem_free(many);
    buf_free(&spelled);
    engine_prompt_unref(text);
    engine_prompt_unref(ids);
    engine_prompt_unref(plain);
    collect_close(c);
}

/* --- no numbers ---------------------------------------------------------------------------------------------- */

/* One byte's embedding is no number: who says it fails, alone. */
static void one_that_fails_fails_alone(void **state)
{
    (void)state;
    /* gemma scales its embedding, so that a weight that is a number yet becomes none. */
    struct gguf_make_shape shape = gguf_make_tiny_shape("gemma3", TENSOR_F32, 3);
    struct gguf_make g;
    struct buf path = { 0 };
    gguf_make_init(&g);
    shape.tied = false;
    gguf_make_model(&g, &shape);
    for (size_t i = 0; i < g.n_tensors; i++)
        for (size_t d = 0; strcmp(g.tensors[i].name, "token_embd.weight") == 0 && d < (size_t)shape.n_embd;
             d++) {
            const float most = FLT_MAX;
            memcpy(g.tensors[i].bytes.ptr + ((size_t)'Z' * (size_t)shape.n_embd + d) * sizeof most, &most,
                   sizeof most);
        }
    buf_printf(&path, "%s/batch-nan.gguf", test_tmpdir());
    gguf_make_write(&g, path.ptr);
    gguf_make_free(&g);
    struct engine_config cfg = config_of(8);
    cfg.model_path = path.ptr;
    struct collector *c = collect_open(&cfg);
    struct engine_prompt *good = collect_text_prompt(c, "a good one"),
                         *bad = collect_text_prompt(c, "a baZ one");
    struct engine_params params = sampled(1, 20);
    params.prompt_logprobs = true;
    collect_hold(c);
    for (uint64_t seq = 0; seq < 8; seq++)
        collect_submit(c, seq, seq % 3 == 1 ? bad : good, &params);
    collect_let_go(c);
    for (uint64_t seq = 0; seq < 8; seq++) {
        const struct collected *s = collect_wait(c, seq);
        assert_int_equal(s->failed, seq % 3 == 1);
        assert_int_equal(s->output_tokens, seq % 3 == 1 ? 0 : 20);
        if (s->failed)
            assert_non_null(strstr(s->err.message, "no finite number"));
    }
    engine_prompt_unref(good);
    engine_prompt_unref(bad);
    collect_close(c);
    buf_free(&path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(branches_read_their_prompt_once, make_models),
    cmocka_unit_test(clients_share_a_beginning),
    cmocka_unit_test(a_reader_may_go_away),
    cmocka_unit_test(the_same_prompt_again_is_cached),
    cmocka_unit_test(owners_share_nothing),
    cmocka_unit_test(who_steps_back_goes_on_exactly),
    cmocka_unit_test(a_large_one_gets_through),
    cmocka_unit_test(cancels_find_those_that_stepped_back),
    cmocka_unit_test(background_makes_room),
    cmocka_unit_test(a_short_prompt_passes_a_long_one),
    cmocka_unit_test(cancel_stops_a_long_prompt),
    cmocka_unit_test(prompts_have_logprobs),
    cmocka_unit_test(telling_goes_on_after_stepping_back),
    cmocka_unit_test(prompts_of_text_and_ids),
    cmocka_unit_test_teardown(one_that_fails_fails_alone, free_models),
};
TEST_GROUP(engine_batch, tests)
