/*
 * resume.c - runs that are cut off and go on in another engine: tokens, texts, totals and figures come to what the
 * undisturbed run had, wherever the cut was, and nothing is generated twice.
 *
 * A run of a row of `cases` is cut behind every one of its tokens; all those cuts are resumed together in a fresh engine,
 * where they are each other's company, and some alone. Models are tiny ones made here and the bundled one.
 */
#include "base/log.h"
#include "collect.h"
#include "grammar/grammar.h"
#include "model/model.h"
#include "models.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define PAGE_KV ((int64_t)kv_head_bytes(KV_F32, 16) * 2 * 2) /* 2 layers, 2 heads */
#define BASE    500                                          /* the number of the run that is cut */

static const char *const patterns[] = { "[a-z]{5}(, [a-z]+ (or|and) not){0,9}\\.",
                                        "\\{\"name\":\"[^\"]*\",\"n\":[0-9]+\\}" };
static struct grammar *grammars[ARRAY_LEN(patterns)];
static char *tiny, *thinker; /* the second's prompt opens the thought */

static int make_models(void **state)
{
    (void)state;
    struct err err;
    tiny = models_make_tiny("resume", NULL, NULL);
    thinker = models_make_thinker("resume", "thinkd.thinking.continue_text", " again");
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
        assert_int_equal(grammar_open_regex(&grammars[i], str_from(patterns[i]), &err), ERR_OK);
    log_set_level(LOG_ERROR);
    return 0;
}

static int free_models(void **state)
{
    (void)state;
    mem_free(tiny);
    mem_free(thinker);
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
        grammar_unref(grammars[i]);
    log_set_level(LOG_INFO);
    return 0;
}

static struct engine_config echo_config(int sequences_max)
{
    return (struct engine_config){ .kind = "echo", .sequences_max = sequences_max };
}

static struct engine_config local_config(const char *path, enum engine_speculation speculation)
{
    return (struct engine_config){ .kind = "local",
                                   .model_path = path,
                                   .threads = 2,
                                   .kv_bytes_max = 64 << 20,
                                   .cpu_mask = ~0u,
                                   .sequences_max = 128,
                                   .speculation = speculation };
}

/* --- runs, cut and resumed ------------------------------------------------------------------------------- */

static void same_tail(const char *what, const struct buf *whole, size_t shown, const struct buf *rest)
{
    struct str want = str_slice(buf_str(whole), shown, whole->len);
    if (want.len != rest->len || (want.len && memcmp(want.ptr, rest->ptr, want.len) != 0))
        fail_msg("%s: '%.*s' instead of '%s'", what, STR_ARG(want), collect_text(rest));
}

/* got went on behind the first n tokens of run, and is what came after them. */
static void same_as_undisturbed(const struct collected *run, size_t n, const struct collected *got)
{
    struct collected tail = *run;
    static const struct collect_mark nothing = { 0 };
    const struct collect_mark *shown = n ? &run->marks[n - 1] : &nothing;
    if (got->failed)
        fail_msg("behind %zu of %zu tokens: %s", n, run->n_tokens, got->err.message);
    same_tail("thought", &run->thought, shown->thought, &got->thought);
    same_tail("answer", &run->answer, shown->answer, &got->answer);
    tail.thought = got->thought;
    tail.answer = got->answer;
    tail.tokens += n;
    tail.n_tokens -= n;
    collect_same(&tail, got);
    assert_memory_equal(&run->confidence, &got->confidence, sizeof run->confidence);
    for (size_t i = n; i < run->n_tokens; i++)
        assert_int_equal(run->marks[i].thinking_tokens, got->marks[i - n].thinking_tokens);
}

/* Goes on behind the cuts from, from + by, ... all at once. */
static void resume_beside(struct engine_config cfg, const struct collected *run, const char *message,
                          bool think, const struct engine_params *params, size_t from, size_t by)
{
    struct collector *c = collect_open(&cfg);
    struct engine_prompt *p = collect_prompt(c, message, think);
    int64_t missing = 0;
    for (size_t n = from; n <= run->n_tokens; n += by) {
        collect_resume(c, n, p, params, run, n);
        missing += (int64_t)(run->n_tokens - n);
    }
    for (size_t n = from; n <= run->n_tokens; n += by)
        same_as_undisturbed(run, n, collect_wait(c, n));
    assert_int_equal(engine_tokens_generated(c->engine), missing);
    engine_prompt_unref(p);
    collect_close(c);
}

static void resume_alone(struct engine_config cfg, const struct collected *run, const char *message,
                         bool think, const struct engine_params *params, size_t n)
{
    resume_beside(cfg, run, message, think, params, n, run->n_tokens + 1);
}

static const struct collected *run_of(struct collector **keep, struct engine_config cfg, const char *message,
                                      bool think, const struct engine_params *params)
{
    *keep = collect_open(&cfg);
    return collect_run(*keep, BASE, message, think, params);
}

/* Every cut in company, of long runs each seventh, and some alone. */
static void cut_everywhere(struct engine_config cfg, const char *message, bool think,
                           const struct engine_params *params)
{
    struct collector *first;
    const struct collected *run = run_of(&first, cfg, message, think, params);
    bool lengthy = run->n_tokens > 100;
    resume_beside(cfg, run, message, think, params, 0, lengthy ? 7 : 1);
    for (size_t n = 3; n <= run->n_tokens; n += lengthy ? 32 : 16)
        resume_alone(cfg, run, message, think, params, n);
    collect_close(first);
}

static struct engine_params sampled(uint64_t seed, int64_t tokens_max)
{
    struct engine_params p = collect_params(tokens_max);
    p.seed = seed;
    p.stream = seed % 3;
    p.temperature = 1;
    return p;
}

/* --- echo ------------------------------------------------------------------------------------------------- */

static const struct {
    const char *message;
    bool think;
    int64_t tokens_max, think_max, answer_min;
    const char *stops[2];
    bool ignore_eos;
} echo_cases[] = {
    { "/again look at it with both your eyes", true, 100, -1, 0, { 0 }, false },
    /* as often as the bound allows */
    { "/again look at it with both your eyes", true, 100, 52, 10, { 0 }, false },
    { "repeat what I said to you", true, 100, -1, 0, { 0 }, false },
    { "repeat what I said to you", true, 30, -1, 10, { 0 }, false }, /* no room for the sentence */
    { "repeat what I said to you", true, 100, 9, 0, { 0 }, false },
    { "repeat what I said to you", true, 100, 0, 0, { 0 }, false },
    { "repeat what I said to you", false, 4, -1, 0, { 0 }, false },
    { "/random 40", true, 100, 5, 0, { 0 }, false },
    { "/random 40", false, 100, -1, 0, { " 3 7", " 5 1 1" }, false },
    { "/ponder", true, 80, 50, 10, { 0 }, false },
    { "/count 30", false, 100, -1, 0, { " 12 13 99", " 29 30" }, false },
    { "/count 3", false, 20, -1, 0, { 0 }, true },
    { "/endless", false, 50, -1, 0, { "zz" }, false },
};

static void echo_goes_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(echo_cases); i++) {
        struct engine_params p = sampled(i, echo_cases[i].tokens_max);
        p.think_tokens_max = echo_cases[i].think_max;
        p.answer_tokens_min = echo_cases[i].answer_min;
        p.ignore_eos = echo_cases[i].ignore_eos;
        p.continues = 2;
        for (; p.n_stops < 2 && echo_cases[i].stops[p.n_stops]; p.n_stops++)
            p.stops[p.n_stops] = str_from(echo_cases[i].stops[p.n_stops]);
        cut_everywhere(echo_config(64), echo_cases[i].message, echo_cases[i].think, &p);
    }
}

/* Words have other numbers where other words were seen before them. */
static void echo_needs_no_ids(void **state)
{
    (void)state;
    struct collector *first, *second = collect_echo();
    struct engine_params p = sampled(1, 100);
    const struct collected *run = run_of(&first, echo_config(4), "one two three four", false, &p);
    engine_prompt_unref(collect_prompt(second, "words that come before those", false));
    struct engine_prompt *prompt = collect_prompt(second, "one two three four", false);
    collect_resume(second, 1, prompt, &p, run, 2);
    const struct collected *got = collect_wait(second, 1);
    assert_int_not_equal(run->tokens[2].id, got->tokens[0].id);
    assert_string_equal(collect_text(&got->answer), " three four");
    assert_int_equal(got->output_tokens, run->output_tokens);
    engine_prompt_unref(prompt);
    collect_close(first);
    collect_close(second);
}

static void echo_holds_again(void **state)
{
    (void)state;
    struct collector *first = collect_echo(), *second = collect_echo();
    struct engine_params p = sampled(1, 100), longer = sampled(1, 16);
    struct engine_prompt *prompt = collect_prompt(first, "/hold 10", false);
    longer.ignore_eos = true;
    collect_submit(first, BASE, prompt, &longer);
    engine_prompt_unref(prompt);
    collect_wait_tokens(first, BASE, 10);
    collect_run(first, 1, "/release", false, &p);
    const struct collected *run = collect_wait(first, BASE);
    assert_int_equal(run->n_tokens, 16);

    prompt = collect_prompt(second, "/hold 10", false);
    for (size_t n = 0; n <= 16; n++)
        collect_resume(second, n, prompt, &longer, run, n);
    for (size_t n = 11; n <= 16; n++) /* they were released */
        same_as_undisturbed(run, n, collect_wait(second, n));
    engine_prompt_unref(prompt);
    for (size_t n = 0; n < 10; n++)
        collect_wait_tokens(second, n, 10);

    /* A release that is past frees nobody; by the end of the count it would have. */
    prompt = collect_prompt(second, "/release", false);
    collect_resume(second, 20, prompt, &p, &first->seqs[1], 1);
    engine_prompt_unref(prompt);
    assert_int_equal(collect_wait(second, 20)->finish, FINISH_STOP);
    collect_run(second, 21, "/count 3", false, &p);
    pthread_mutex_lock(&second->lock);
    for (size_t n = 0; n < 11; n++)
        assert_int_equal(second->seqs[n].ends, 0);
    pthread_mutex_unlock(&second->lock);
    collect_run(second, 22, "/release", false, &p);
    for (size_t n = 0; n < 11; n++)
        same_as_undisturbed(run, n, collect_wait(second, n));
    collect_close(first);
    collect_close(second);
}

static void echo_fails_again(void **state)
{
    (void)state;
    struct collector *first, *second = collect_echo();
    struct engine_params p = sampled(1, 100);
    const struct collected *run = run_of(&first, echo_config(4), "/fail", false, &p);
    struct engine_prompt *prompt = collect_prompt(second, "/fail", false);
    assert_int_equal(run->n_tokens, 3);
    for (size_t n = 0; n <= 3; n++) {
        collect_resume(second, n, prompt, &p, run, n);
        const struct collected *got = collect_wait(second, n);
        assert_int_equal(got->n_tokens, 3 - n);
        assert_string_equal(got->err.message, run->err.message);
    }
    engine_prompt_unref(prompt);
    collect_close(first);
    collect_close(second);
}

/* --- models ------------------------------------------------------------------------------------------------- */

static const struct {
    int64_t tokens_max, think_max, answer_min;
    double temperature;
    const char *stops[2];
    bool thinks, ignore_eos;
} cases[] = {
    { 60, -1, 0, 1, { 0 }, false, true },          { 100, -1, 0, 1, { 0 }, false, false },
    { 90, -1, 0, 0, { 0 }, false, true },  /* greedy, in circles: guesses hold */
    { 60, 20, 10, 1, { 0 }, true, true },  /* closed by the marker alone */
    { 230, 12, 20, 1, { 0 }, true, true }, /* closed by the sentence */
    { 100, -1, 0, 1, { "ab", "Q" }, false, true }, { 100, 30, 20, 1.3, { "e", "\n" }, true, false },
    { 70, 0, 0, 1, { "  ", "zz" }, true, true },
};

static const struct engine_bias liked[] = { { 70, 2 }, { 71, -100 } };

static struct engine_params params_of(size_t i, bool held)
{
    struct engine_params p = sampled(i, cases[i].tokens_max);
    p.think_tokens_max = cases[i].think_max;
    p.answer_tokens_min = cases[i].answer_min;
    p.temperature = cases[i].temperature;
    p.ignore_eos = cases[i].ignore_eos;
    p.presence_penalty = i % 3 == 0 ? 0.7f : 0;
    p.frequency_penalty = i % 4 == 1 ? 0.3f : 0;
    p.biases = liked;
    p.n_biases = i % 3 == 1 ? ARRAY_LEN(liked) : 0;
    p.grammar = held ? grammars[i % ARRAY_LEN(grammars)] : NULL;
    for (; p.n_stops < 2 && cases[i].stops[p.n_stops]; p.n_stops++)
        p.stops[p.n_stops] = str_from(cases[i].stops[p.n_stops]);
    return p;
}

static void models_go_on(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (int way = 0; way < 3; way++) { /* plain, with guesses, with those and a grammar */
            struct engine_config cfg =
                local_config(cases[i].thinks ? thinker : tiny, way ? SPECULATION_LOOKUP : SPECULATION_OFF);
            struct engine_params p = params_of(i, way == 2);
            cut_everywhere(cfg, "abc abd", cases[i].thinks, &p);
        }
}

/* Each cut in an engine that has nothing but it. */
static void each_cut_goes_on_alone(void **state)
{
    (void)state;
    struct engine_config cfg = local_config(thinker, SPECULATION_LOOKUP);
    struct engine_params p = sampled(5, 40);
    struct collector *first;
    p.think_tokens_max = 12;
    p.ignore_eos = true;
    p.stops[p.n_stops++] = STR("qqqqq");
    cfg.sequences_max = 2;
    const struct collected *run = run_of(&first, cfg, "alone", true, &p);
    assert_true(run->closed_by_budget);
    for (size_t n = 0; n <= run->n_tokens; n++)
        resume_alone(cfg, run, "alone", true, &p, n);
    collect_close(first);
}

/* Random models say everything sooner or later: turns that end, also inside a thought, where a marker is forced then. */
static void every_way_to_end_goes_on(void **state)
{
    (void)state;
    enum { RUNS = 64 };
    struct engine_config cfg = local_config(thinker, SPECULATION_LOOKUP);
    struct collector *first = collect_open(&cfg), *second = collect_open(&cfg);
    struct engine_prompt *p = collect_prompt(first, "ends", true), *q = collect_prompt(second, "ends", true);
    int64_t missing = 0;
    int stopped = 0, owed = 0;
    for (uint64_t seq = 0; seq < RUNS; seq++) {
        struct engine_params params = sampled(seq, 200);
        collect_submit(first, seq, p, &params);
    }
    for (uint64_t seq = 0; seq < RUNS; seq++) {
        struct engine_params params = sampled(seq, 200);
        const struct collected *run = collect_wait(first, seq);
        size_t n = run->n_tokens, at = 0;
        while (at < n && !isnan(run->tokens[at].logprob))
            at++;
        bool owes = at < n && !run->closed_by_budget;
        owed += owes;
        stopped += run->finish == FINISH_STOP;
        const size_t cuts[] = { n, n - 1, n / 2, owes ? at : 0, owes ? at + 1 : 1 };
        for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
            collect_resume(second, i * RUNS + seq, q, &params, run, cuts[i]);
            missing += (int64_t)(n - cuts[i]);
        }
        for (size_t i = 0; i < ARRAY_LEN(cuts); i++)
            same_as_undisturbed(run, cuts[i], collect_wait(second, i * RUNS + seq));
    }
    assert_true(stopped > 3 && owed > 3);
    assert_int_equal(engine_tokens_generated(second->engine), missing);
    engine_prompt_unref(p);
    engine_prompt_unref(q);
    collect_close(first);
    collect_close(second);
}

/* Thoughts that the model ends and that are sent back: the text for that is forced, wherever the run was cut. */
static void thoughts_that_are_sent_back_go_on(void **state)
{
    (void)state;
    enum { RUNS = 64, CUTS = 5 };
    struct engine_config cfg = local_config(thinker, SPECULATION_LOOKUP);
    struct collector *first = collect_open(&cfg), *second = collect_open(&cfg);
    struct engine_prompt *p = collect_prompt(first, "ends", true), *q = collect_prompt(second, "ends", true);
    int sent = 0;
    for (uint64_t seq = 0; seq < RUNS; seq++) {
        struct engine_params params = sampled(seq, 200);
        params.continues = 2;
        collect_submit(first, seq, p, &params);
    }
    for (uint64_t seq = 0; seq < RUNS; seq++) {
        struct engine_params params = sampled(seq, 200);
        const struct collected *run = collect_wait(first, seq);
        size_t n = run->n_tokens, at = 0;
        params.continues = 2;
        while (at < n && !isnan(run->tokens[at].logprob))
            at++;
        if (at == n || str_find(buf_str(&run->thought), STR(" again")) == SIZE_MAX)
            continue;
        sent++;
        const size_t cuts[CUTS] = { at, at + 1 < n ? at + 1 : n, at + 3 < n ? at + 3 : n, n, n - 1 };
        for (size_t i = 0; i < CUTS; i++) {
            collect_resume(second, i * RUNS + seq, q, &params, run, cuts[i]);
            same_as_undisturbed(run, cuts[i], collect_wait(second, i * RUNS + seq));
        }
    }
    assert_true(sent > 3);
    engine_prompt_unref(p);
    engine_prompt_unref(q);
    collect_close(first);
    collect_close(second);
}

/* Ten pages for twelve sequences: they step back with and without a past, and go on. */
static void little_memory_goes_on(void **state)
{
    (void)state;
    enum { RUNS = 12 };
    struct engine_config cfg = local_config(tiny, SPECULATION_LOOKUP);
    cfg.kv_bytes_max = 10 * PAGE_KV; /* the context's length is among what both have to have in common */
    struct collector *first = collect_open(&cfg), *second = collect_open(&cfg);
    struct engine_params params[RUNS];
    char messages[RUNS][64];
    int64_t missing = 0;
    for (uint64_t seq = 0; seq < RUNS; seq++) {
        params[seq] = sampled(seq, 150);
        params[seq].ignore_eos = true;
        snprintf(messages[seq], 64, "%dabcdefghijklmnop%d", (int)seq % 3, (int)seq);
        collect_run(first, seq, messages[seq], false, &params[seq]);
    }
    collect_hold(second); /* they are all there before any of them is far */
    for (uint64_t seq = 0; seq < RUNS; seq++) {
        struct engine_prompt *p = collect_prompt(second, messages[seq], false);
        collect_resume(second, seq, p, &params[seq], &first->seqs[seq], seq * 7);
        missing += 150 - (int64_t)seq * 7;
        engine_prompt_unref(p);
    }
    collect_let_go(second);
    for (uint64_t seq = 0; seq < RUNS; seq++)
        same_as_undisturbed(&first->seqs[seq], seq * 7, collect_wait(second, seq));
    assert_true(collect_stats(second).preempted > 0);
    assert_int_equal(engine_tokens_generated(second->engine), missing);
    collect_close(first);
    collect_close(second);
}

static void the_bundled_model_goes_on(void **state)
{
    (void)state;
    enum { TOKENS = 40 };
    struct engine_config cfg = local_config(NULL, SPECULATION_LOOKUP);
    struct engine_params p = sampled(11, TOKENS);
    struct collector *first;
    cfg.sequences_max = 16;
    p.think_tokens_max = 8;
    p.answer_tokens_min = 10;
    p.stops[p.n_stops++] = STR("\n\n\n");
    const struct collected *run = run_of(&first, cfg, "What is 12 + 7?", true, &p);
    assert_true(run->n_tokens > 10);
    resume_beside(cfg, run, "What is 12 + 7?", true, &p, 0, 1);
    resume_alone(cfg, run, "What is 12 + 7?", true, &p, run->n_tokens / 2);
    collect_close(first);
}

/* --- pasts that are wrong, told already, or not wanted any more ---------------------------------------------- */

static void a_wrong_past_fails(void **state)
{
    (void)state;
    struct engine_config cfg = local_config(thinker, SPECULATION_OFF);
    struct engine_params p = sampled(5, 40), fewer = sampled(5, 20);
    p.think_tokens_max = fewer.think_tokens_max = 12;
    p.ignore_eos = fewer.ignore_eos = true;
    struct collector *first, *second = collect_open(&cfg);
    const struct collected *run = run_of(&first, cfg, "wrong", true, &p);
    struct engine_prompt *prompt = collect_prompt(second, "wrong", true);
    const int32_t vocabulary = engine_info(second->engine)->vocabulary;
    assert_true(isnan(run->tokens[12].logprob)); /* the marker */
    const struct {
        size_t at;
        struct engine_token token;
    } wrong[] = {
        { 3, { .id = -1, .logprob = -1, .confidence = 1 } },
        { 3, { .id = vocabulary, .logprob = -1, .confidence = 1 } },
        { 3, { .id = 65, .logprob = -1, .confidence = NAN } },
        { 3, { .id = 65, .logprob = NAN, .confidence = NAN } },  /* nothing is forced there */
        { 12, { .id = 65, .logprob = NAN, .confidence = NAN } }, /* something else is */
        { 12, { .id = run->tokens[12].id, .logprob = -1, .confidence = 1 } },
        { 13, { .id = 65, .logprob = NAN, .confidence = NAN } },
    };
    uint64_t seq = 0;
    for (; seq < ARRAY_LEN(wrong); seq++) {
        struct engine_token keep = run->tokens[wrong[seq].at];
        run->tokens[wrong[seq].at] = wrong[seq].token;
        collect_resume(second, seq, prompt, &p, run, 20);
        run->tokens[wrong[seq].at] = keep;
    }
    collect_resume(second, seq++, prompt, &fewer, run, 21); /* goes on behind its end */
    struct engine_prompt *ends = collect_text_prompt(second, "<|im_end|>");
    struct engine_token keep = run->tokens[0];
    run->tokens[0].id = engine_prompt_ids(ends)[0]; /* in a thought it would have become the marker */
    p.ignore_eos = false;
    collect_resume(second, seq++, prompt, &p, run, 1);
    p.ignore_eos = true;
    run->tokens[0] = keep;
    engine_prompt_unref(ends);
    for (uint64_t i = 0; i < seq; i++) {
        const struct collected *got = collect_wait(second, i);
        assert_true(got->failed);
        assert_int_equal(got->err.code, ERR_SERVER);
        assert_non_null(strstr(got->err.message, "does not belong to this model and request"));
        assert_int_equal(got->events, 1);
    }
    collect_resume(second, seq, prompt, &p, run, 20); /* the engine goes on, and the run is as it was */
    same_as_undisturbed(run, 20, collect_wait(second, seq));
    engine_prompt_unref(prompt);
    collect_close(first);
    collect_close(second);
}

static void an_end_in_the_past_is_one(void **state)
{
    (void)state;
    struct engine_config cfg = local_config(tiny, SPECULATION_OFF);
    cfg.sequences_max = 1;
    for (int stops = 0; stops < 2; stops++) {
        struct engine_params p = sampled(5, 60);
        struct collector *first, *second = collect_open(&cfg);
        p.ignore_eos = true;
        if (stops)
            p.stops[p.n_stops++] = STR("a");
        const struct collected *run = run_of(&first, cfg, "an end", false, &p);
        assert_int_equal(run->finish, stops ? FINISH_STOP : FINISH_LENGTH);
        struct engine_prompt *prompt = collect_prompt(second, "an end", false);
        collect_resume(second, 1, prompt, &p, run, run->n_tokens);
        const struct collected *got = collect_wait(second, 1);
        same_as_undisturbed(run, run->n_tokens, got);
        assert_int_equal(got->events, 1);
        assert_int_equal(collect_stats(second).prefilled, 0);
        engine_prompt_unref(prompt);
        collect_close(first);
        collect_close(second);
    }
}

/* The prompt was told before the first token; a run cut before that tells all of it. */
static void prompts_are_not_told_again(void **state)
{
    (void)state;
    struct engine_config configs[] = { local_config(tiny, SPECULATION_OFF), echo_config(8) };
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        struct engine_params p = sampled(5, 20);
        struct collector *first, *second = collect_open(&configs[i]);
        p.prompt_logprobs = true;
        p.top_logprobs = 3;
        const struct collected *run = run_of(&first, configs[i], "a prompt of some words", false, &p);
        struct engine_prompt *prompt = collect_prompt(second, "a prompt of some words", false);
        for (size_t n = 0; n <= run->n_tokens; n++)
            collect_resume(second, n, prompt, &p, run, n);
        for (size_t n = 0; n <= run->n_tokens; n++) {
            same_as_undisturbed(run, n, collect_wait(second, n));
            assert_int_equal(second->seqs[n].n_prompt, n ? 0 : engine_prompt_tokens(prompt));
        }
        p.tokens_max = 0;
        collect_resume(second, BASE, prompt, &p, run, 1);
        assert_true(collect_wait(second, BASE)->failed);
        engine_prompt_unref(prompt);
        collect_close(first);
        collect_close(second);
    }
}

/* A cancel finds one whose past was not read yet: it has its totals, and shows what was held back. */
static void cancels_find_pasts(void **state)
{
    (void)state;
    struct engine_config cfg = echo_config(1);
    struct engine_params p = sampled(1, 100), none = p;
    struct collector *first, *second = collect_open(&cfg);
    p.stops[p.n_stops++] = STR(" 4 5 x");
    const struct collected *run = run_of(&first, cfg, "/count 8", false, &p);
    struct engine_prompt *hold = collect_prompt(second, "/hold 1", false),
                         *prompt = collect_prompt(second, "/count 8", false);
    collect_submit(second, BASE, hold, &none);
    collect_wait_tokens(second, BASE, 1);
    collect_resume(second, 0, prompt, &p, run, 5);
    collect_resume(second, 1, prompt, &p, run, run->n_tokens);
    struct collected wrong = *run;
    struct engine_token forced[] = { { .id = 1, .logprob = NAN, .confidence = NAN } };
    wrong.tokens = forced;
    wrong.n_tokens = 1;
    collect_resume(second, 2, prompt, &p, &wrong, 1);
    for (uint64_t seq = 0; seq < 3; seq++)
        engine_cancel(second->engine, seq);

    const struct collected *got = collect_wait(second, 0);
    assert_int_equal(got->finish, FINISH_CANCELLED);
    assert_int_equal(got->output_tokens, 5);
    assert_int_equal(got->confidence.tokens, 5);
    assert_string_equal(collect_text(&run->answer), "1 2 3 4 5 6 7 8");
    assert_int_equal(run->marks[4].answer, strlen("1 2 3"));
    assert_string_equal(collect_text(&got->answer), " 4 5");          /* of no token: collect.c checks that */
    same_as_undisturbed(run, run->n_tokens, collect_wait(second, 1)); /* it had ended before */
    assert_true(collect_wait(second, 2)->failed);
    assert_int_equal(engine_tokens_generated(second->engine), 1);
    engine_cancel(second->engine, BASE);
    collect_wait(second, BASE);
    collect_resume(second, 3, prompt, &p, run, 2); /* and nothing stands in the way of the next */
    same_as_undisturbed(run, 2, collect_wait(second, 3));
    engine_prompt_unref(hold);
    engine_prompt_unref(prompt);
    collect_close(first);
    collect_close(second);
}

/* An engine that stops ends them like all others. */
static void closing_ends_pasts(void **state)
{
    (void)state;
    struct engine_config cfg = echo_config(1);
    struct engine_params p = sampled(1, 100);
    struct collector *first, *second = collect_open(&cfg);
    const struct collected *run = run_of(&first, cfg, "/count 8", false, &p);
    struct engine_prompt *hold = collect_prompt(second, "/hold 1", false),
                         *prompt = collect_prompt(second, "/count 8", false);
    collect_submit(second, BASE, hold, &p);
    collect_wait_tokens(second, BASE, 1);
    for (uint64_t seq = 0; seq < 4; seq++)
        collect_resume(second, seq, prompt, &p, run, 4);
    engine_prompt_unref(hold);
    engine_prompt_unref(prompt);
    collect_engine_close(second);
    for (uint64_t seq = 0; seq < 4; seq++)
        assert_true(second->seqs[seq].failed);
    collect_close(first);
    collect_close(second);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(echo_goes_on, make_models),
    cmocka_unit_test(echo_needs_no_ids),
    cmocka_unit_test(echo_holds_again),
    cmocka_unit_test(echo_fails_again),
    cmocka_unit_test(models_go_on),
    cmocka_unit_test(each_cut_goes_on_alone),
    cmocka_unit_test(every_way_to_end_goes_on),
    cmocka_unit_test(thoughts_that_are_sent_back_go_on),
    cmocka_unit_test(little_memory_goes_on),
    cmocka_unit_test(the_bundled_model_goes_on),
    cmocka_unit_test(a_wrong_past_fails),
    cmocka_unit_test(an_end_in_the_past_is_one),
    cmocka_unit_test(prompts_are_not_told_again),
    cmocka_unit_test(cancels_find_pasts),
    cmocka_unit_test_teardown(closing_ends_pasts, free_models),
};
TEST_GROUP(engine_resume, tests)
