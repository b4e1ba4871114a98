/*
 * lookup.c - guesses change the speed and nothing else: every sequence is run with speculation and without, and has the
 * same tokens, figures and totals. The tiny model goes in circles when it is greedy, so guesses hold; sampled, they
 * mostly do not; both are checked to have happened.
 */
#include "base/log.h"
#include "base/rng.h"
#include "collect.h"
#include "engine/engine_impl.h"
#include "models.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#define PAGE_KV ((int64_t)kv_head_bytes(KV_F32, 16) * 2 * 2) /* 2 layers, 2 heads */

/* Circles to guess in, forced text, choices; few tokens may be left to close it. */
static const char pattern[] = "(abc abd (abe|abf) [0-9a-c]{0,3}(, |; and)){9,40}end\\.";
static struct grammar *held;
static char *tiny, *thinker; /* the second is asked to think and its prompt opens the thought */

static int make_models(void **state)
{
    (void)state;
    struct err err;
    tiny = models_make_tiny("lookup", NULL, NULL);
    thinker = models_make_thinker("lookup", "thinkd.thinking.continue_text", " again");
    assert_int_equal(grammar_open_regex(&held, str_from(pattern), &err), ERR_OK);
    log_set_level(LOG_ERROR);
    return 0;
}

static int free_models(void **state)
{
    (void)state;
    mem_free(tiny);
    mem_free(thinker);
    grammar_unref(held);
    log_set_level(LOG_INFO);
    return 0;
}

static struct engine_config config_of(const char *path, int sequences_max)
{
    return (struct engine_config){ .kind = "local",
                                   .model_path = path,
                                   .threads = 2,
                                   .kv_bytes_max = 16 << 20,
                                   .cpu_mask = ~0u,
                                   .sequences_max = sequences_max };
}

/* Two engines that differ in nothing but speculation. */
struct pair {
    struct collector *plain, *ahead;
};

static struct pair open_pair(struct engine_config cfg)
{
    struct pair p = { .plain = collect_open(&cfg) };
    cfg.speculation = SPECULATION_LOOKUP;
    p.ahead = collect_open(&cfg);
    return p;
}

static void close_pair(struct pair p)
{
    collect_close(p.plain);
    collect_close(p.ahead);
}

/* Sequences 0 .. n-1, submitted together: the engine stands until they are all there, so its steps are the same each time. */
typedef void describe(uint64_t seq, char message[64], struct engine_params *p);

static void run_all(struct collector *c, uint64_t n, bool think, describe *of)
{
    collect_hold(c);
    for (uint64_t seq = 0; seq < n; seq++) {
        char message[64];
        struct engine_params p = collect_params(0);
        of(seq, message, &p);
        struct engine_prompt *prompt = collect_prompt(c, message, think);
        collect_submit(c, seq, prompt, &p);
        engine_prompt_unref(prompt);
    }
    collect_let_go(c);
    for (uint64_t seq = 0; seq < n; seq++)
        collect_wait(c, seq);
}

/* The plain one never guesses; what both say is the same. Returns what the other one's guesses came to. */
static struct engine_stats same_in_both(struct pair p, uint64_t n, bool think, describe *of)
{
    run_all(p.plain, n, think, of);
    run_all(p.ahead, n, think, of);
    for (uint64_t seq = 0; seq < n; seq++) {
        collect_same(&p.plain->seqs[seq], &p.ahead->seqs[seq]);
        assert_int_equal(p.ahead->seqs[seq].events, p.plain->seqs[seq].events);
    }
    struct engine_stats plain = collect_stats(p.plain), ahead = collect_stats(p.ahead);
    assert_int_equal(plain.guessed, 0);
    assert_int_equal(plain.generated, ahead.generated);
    assert_true(ahead.accepted <= ahead.guessed);
    return ahead;
}

static void greedy(uint64_t seq, char message[64], struct engine_params *p)
{
    snprintf(message, 64, "abc abd abe %d", (int)seq);
    p->tokens_max = 300 + (int64_t)seq; /* every place in a run of guesses */
    p->ignore_eos = true;
    p->top_logprobs = 5;
}

static const struct engine_bias liked[] = { { 70, 2 }, { 71, -100 }, { 5, -1 } };

static void sampled(uint64_t seq, char message[64], struct engine_params *p)
{
    greedy(seq, message, p);
    p->temperature = 0.02 * (double)(1 << seq % 7); /* from hardly to quite at random */
    p->top_p = seq % 2 ? 0.9 : 1;
    p->min_p = seq % 3 ? 0.02 : 0;
    p->seed = seq;
    p->stream = seq % 4;
    p->ignore_eos = seq % 5 != 0;
    p->presence_penalty = seq % 8 == 3 ? 0.5f : 0;
    p->frequency_penalty = seq % 8 == 6 ? 0.2f : 0;
    p->biases = liked;
    p->n_biases = seq % 4 == 1 ? ARRAY_LEN(liked) : 0;
    p->grammar = seq % 3 == 1 ? held : NULL;
}

static void tokens_are_the_same(void **state)
{
    (void)state;
    static const struct {
        describe *of;
        int beside;
    } cases[] = { { greedy, 1 }, { sampled, 1 }, { greedy, 3 }, { sampled, 3 }, { sampled, 8 } };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair p = open_pair(config_of(tiny, cases[i].beside));
        struct engine_stats stats = same_in_both(p, 24, false, cases[i].of);
        assert_true(stats.accepted > 0);
        if (cases[i].beside == 1) {
            assert_true(stats.accepted < stats.guessed);
            assert_true(stats.steps < collect_stats(p.plain).steps);
        }
        close_pair(p);
    }
}

/* Stop strings of the model's own, found in the middle of what was guessed. */
static void stopped(uint64_t seq, char message[64], struct engine_params *p)
{
    greedy(seq / 3, message, p);
    static const char *const stops[] = { "e", "aa", "t", " ", "0", "er", "\n", "Z" };
    p->stops[0] = str_from(stops[seq % ARRAY_LEN(stops)]);
    p->stops[1] = str_from(stops[seq * 3 % ARRAY_LEN(stops)]);
    p->n_stops = 1 + seq % 2;
    p->temperature = seq % 2 ? 0 : 0.3;
    p->ignore_eos = false;
    p->seed = seq;
}

static void stops_are_the_same(void **state)
{
    (void)state;
    struct pair p = open_pair(config_of(tiny, 1));
    same_in_both(p, 60, false, stopped);
    close_pair(p);
}

/* A thought with a bound, closed by force; and a tokens_max that ends inside the closing. */
static void bounded(uint64_t seq, char message[64], struct engine_params *p)
{
    greedy(seq / 4, message, p);
    p->tokens_max = 100 + (int64_t)seq * 7;
    p->think_tokens_max = (int64_t)seq * 3;
    p->continues = seq % 4 ? 2 : 0;
    p->answer_tokens_min = seq % 3 ? 20 : 0;
    p->temperature = seq % 2 ? 0 : 1.2;
    p->seed = seq;
    p->frequency_penalty = seq % 3 ? 0 : 0.4f;
    p->biases = liked;
    p->n_biases = seq % 5 ? 0 : ARRAY_LEN(liked);
    p->grammar = seq % 2 ? held : NULL;
}

static void forced_tokens_are_the_same(void **state)
{
    (void)state;
    for (int beside = 1; beside <= 80; beside += 79) { /* 79: their forced rows do not fit into one call */
        struct pair p = open_pair(config_of(thinker, beside));
        struct engine_stats stats = same_in_both(p, 60, true, bounded);
        int closed = 0;
        for (size_t seq = 0; seq < 60; seq++)
            closed += p.ahead->seqs[seq].closed_by_budget;
        assert_true(closed > 30);
        assert_true(stats.steps < collect_stats(p.plain).steps);
        close_pair(p);
    }
}

/* Prompts that begin alike, in memory that is too little: some step back and come again. */
static void crowded(uint64_t seq, char message[64], struct engine_params *p)
{
    sampled(seq, message, p);
    memset(message, 'x', 40);
    snprintf(message + 40, 20, "%d", (int)seq % 2);
    p->tokens_max = 150;
}

static void little_memory_changes_nothing(void **state)
{
    (void)state;
    struct engine_config cfg = config_of(tiny, 3);
    cfg.kv_bytes_max = 6 * PAGE_KV;
    struct pair p = open_pair(cfg);
    struct engine_stats stats = same_in_both(p, 12, false, crowded);
    assert_true(stats.preempted > 0);
    assert_true(stats.guessed > 0);
    close_pair(p);
}

/* What a sequence has said when it is cancelled is how it would have begun; who is beside it goes on as ever. */
static void cancels_leave_a_beginning(void **state)
{
    (void)state;
    struct pair p = open_pair(config_of(tiny, 2));
    for (uint64_t seq = 0; seq < 20; seq += 2)
        for (int ahead = 0; ahead < 2; ahead++) {
            struct collector *c = ahead ? p.ahead : p.plain;
            char message[64];
            struct engine_params params = collect_params(0);
            sampled(seq, message, &params);
            params.ignore_eos = true;
            struct engine_prompt *prompt = collect_prompt(c, message, false);
            if (ahead)
                collect_stop_at(c, seq, 40 + (int64_t)seq);
            collect_submit(c, seq, prompt, &params);
            collect_submit(c, seq + 1, prompt, &params);
            engine_prompt_unref(prompt);
            if (ahead) {
                collect_wait_tokens(c, seq, 40 + (int64_t)seq);
                engine_cancel(c->engine, seq);
                collect_go_on(c);
            }
            collect_wait(c, seq);
            collect_wait(c, seq + 1);
        }
    for (uint64_t seq = 0; seq < 20; seq += 2) {
        const struct collected *whole = &p.plain->seqs[seq], *part = &p.ahead->seqs[seq];
        collect_same(whole + 1, part + 1);
        assert_int_equal(part->finish, FINISH_CANCELLED);
        assert_true(part->n_tokens >= 40 && part->n_tokens <= 40 + seq + LOOKUP_AHEAD_MAX + 1);
        for (size_t i = 0; i < part->n_tokens; i++)
            assert_int_equal(part->tokens[i].id, whole->tokens[i].id);
    }
    close_pair(p);
}

/* --- the index -------------------------------------------------------------------------------------------- */

static size_t guesses(const int32_t *text, size_t n, int32_t *out, size_t n_out)
{
    struct engine_prompt *prompt = mem_zalloc(sizeof *prompt);
    atomic_init(&prompt->refs, 1);
    for (size_t i = 0; i < n; i++)
        ids_put(&prompt->ids, text[i]);
    prompt->tokens = (int64_t)n;
    struct engine_params params = collect_params(10);
    struct sequence *s = sequence_open(1, prompt, &params);
    engine_prompt_unref(prompt);
    s->tokens_max = 10;
    n_out = lookup_guess(s, out, n_out);
    sequence_close(s);
    return n_out;
}

static void guesses_are_what_followed(void **state)
{
    (void)state;
    static const struct {
        int32_t text[16];
        size_t n;
        int32_t want[3];
        size_t n_want;
    } cases[] = {
        { { 1 }, 1, { 0 }, 0 },
        { { 1, 1 }, 2, { 0 }, 0 }, /* one token is not enough */
        { { 1, 2, 3, 1 }, 4, { 0 }, 0 },
        { { 1, 2, 3, 1, 2 }, 5, { 3, 1, 2 }, 3 },
        { { 7, 7, 7 }, 3, { 7, 7, 7 }, 3 },                          /* goes on with itself */
        { { 5, 1, 2, 8, 6, 1, 2, 9, 1, 2 }, 10, { 9, 1, 2 }, 3 },    /* the newest */
        { { 5, 1, 2, 8, 6, 1, 2, 9, 5, 1, 2 }, 11, { 8, 6, 1 }, 3 }, /* the longest goes before the newest */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int32_t out[3];
        assert_int_equal(guesses(cases[i].text, cases[i].n, out, 3), cases[i].n_want);
        for (size_t k = 0; k < cases[i].n_want; k++)
            assert_int_equal(out[k], cases[i].want[k]);
    }
}

/* Long texts are more than the table holds: what it says is still what followed somewhere. */
static void a_full_table_is_never_wrong(void **state)
{
    (void)state;
    enum { LONG = 60000 };
    int32_t *text = mem_array(LONG, sizeof *text), out[3];
    struct rng rng;
    rng_init(&rng, 4, 0);
    for (size_t i = 0; i < LONG; i++)
        text[i] = (int32_t)rng_below(&rng, 1000);
    memcpy(text + LONG - 4, text + LONG - 90, 4 * sizeof *text);
    assert_int_equal(guesses(text, LONG, out, 3), 3);
    assert_memory_equal(out, text + LONG - 86, sizeof out);
    mem_free(text);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(tokens_are_the_same, make_models),
    cmocka_unit_test(stops_are_the_same),
    cmocka_unit_test(forced_tokens_are_the_same),
    cmocka_unit_test(little_memory_changes_nothing),
    cmocka_unit_test(cancels_leave_a_beginning),
    cmocka_unit_test(guesses_are_what_followed),
    cmocka_unit_test_teardown(a_full_table_is_never_wrong, free_models),
};
TEST_GROUP(engine_lookup, tests)
