/*
 * echo.c - the promises of every sequence, checked to the token on the echo engine.
 */
#include "base/mailbox.h"
#include "collect.h"
#include "test.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define SENTENCE        "\nTime is up for thinking.\n" /* the echo engine's closing sentence: 5 tokens */
#define SENTENCE_TOKENS 5

static int open_echo(void **state)
{
    *state = collect_echo();
    return 0;
}

static int close_echo(void **state)
{
    collect_close(*state);
    return 0;
}

static void thinks_then_answers(void **state)
{
    struct engine_params p = collect_params(1000);
    const struct collected *s = collect_run(*state, 1, "What is  2 plus 2?", true, &p);
    assert_string_equal(collect_text(&s->thought),
                        "Word 1 is \"What\".\nWord 2 is \"is\".\nWord 3 is \"2\".\n"
                        "Word 4 is \"plus\".\nWord 5 is \"2?\".\n");
    assert_string_equal(collect_text(&s->answer), "What is  2 plus 2?");
    assert_int_equal(s->thinking_tokens, 2 + 5 * 4);
    assert_int_equal(s->output_tokens, 2 + 5 * 4 + 5 + 1);
    assert_int_equal(s->finish, FINISH_STOP);
    assert_false(s->closed_by_budget);
    assert_int_equal(s->events, s->output_tokens + 1); /* one a step, and the end */
}

static void answers_without_thinking(void **state)
{
    struct engine_params p = collect_params(1000);
    const struct collected *s = collect_run(*state, 1, "  Grüße, 世界! ", false, &p);
    assert_string_equal(collect_text(&s->thought), "");
    assert_string_equal(collect_text(&s->answer), "Grüße, 世界! "); /* blanks before an answer are layout */
    assert_int_equal(s->thinking_tokens, 0);
    assert_int_equal(s->output_tokens, 3);
}

static void counts_prompt_tokens(void **state)
{
    struct engine_prompt *p = collect_prompt(*state, "one two three", true);
    assert_int_equal(engine_prompt_tokens(p), 1 + 1 + 3);
    engine_prompt_unref(p);
}

/* Every budget, every limit: the bounds that sequence.c promises, each from first principles. */
static void budgets_bind(void **state)
{
    static const int64_t caps[] = { 0, 1, 2, 5, 6, 10, 50, -1 }, limits[] = { 1, 2, 3, 7, 8, 16, 30, 100 };
    uint64_t seq = 0;
    for (size_t c = 0; c < ARRAY_LEN(caps); c++)
        for (size_t l = 0; l < ARRAY_LEN(limits); l++) {
            struct engine_params p = collect_params(limits[l]);
            p.think_tokens_max = caps[c];
            p.answer_tokens_min = limits[l] / 4;
            const struct collected *s = collect_run(*state, ++seq, "/ponder", true, &p);
            assert_true(s->closed_by_budget || s->output_tokens == limits[l]);
            assert_true(s->output_tokens <= limits[l]);
            if (caps[c] >= 0) /* the open marker is a thought's first token and comes before any bound */
                assert_true(s->thinking_tokens <= (caps[c] ? caps[c] : 1) + SENTENCE_TOKENS + 1);
            if (limits[l] >= 8) {
                assert_true(s->output_tokens - s->thinking_tokens >= 2); /* "Done." and the end */
                assert_int_equal(s->finish, FINISH_STOP);
                assert_string_equal(collect_text(&s->answer), "Done.");
            }
        }
}

static void closing_is_exact(void **state)
{
    struct engine_params p = collect_params(1000);
    p.think_tokens_max = 4;
    p.answer_tokens_min = 100;
    const struct collected *s = collect_run(*state, 1, "/ponder", true, &p);
    assert_string_equal(collect_text(&s->thought), "1 2 3" SENTENCE);
    assert_string_equal(collect_text(&s->answer), "Done.");
    assert_int_equal(s->thinking_tokens, 4 + SENTENCE_TOKENS + 1);
    assert_int_equal(s->output_tokens, 4 + SENTENCE_TOKENS + 1 + 2);
    assert_true(s->closed_by_budget);

    p.think_tokens_max = 0; /* closed at once: no sentence to explain what was not there */
    s = collect_run(*state, 2, "/ponder", true, &p);
    assert_string_equal(collect_text(&s->thought), "");
    assert_string_equal(collect_text(&s->answer), "Done.");
    assert_int_equal(s->thinking_tokens, 2);
}

#define MORE " five six seven eight nine"

/* "/again three four" and MORE: 8 words of 4 tokens each, the markers around them, " 2" and the token before it. */
static void thoughts_are_sent_back(void **state)
{
    enum { WORDS = 8, THOUGHT = 4 * WORDS };
    static const char *const words[] = { "check", "wait", NULL };
    static const struct {
        const char *message;
        int continues, sent;
        int64_t think_max;
    } cases[] = {
        { "/again three four" MORE, 0, 0, -1 },
        { "/again three four" MORE, 1, 1, -1 },
        { "/again three four" MORE, 3, 3, -1 },
        { "/again three four" MORE, 1, 1, THOUGHT + 1 + 2 + 16 },
        { "/again three four" MORE, 1, 0, THOUGHT + 2 + 16 },
        { "/again three four" MORE, 2, 1, THOUGHT + 1 + 2 + 16 },
        { "once three four" MORE, 2, 0, -1 },
        { "/again Check four" MORE, 1, 0, -1 },
        { "/again three wait" MORE, 1, 0, -1 },
        { "/again re-check four" MORE, 1, 0, -1 },
        { "/again recheck four" MORE, 1, 1, -1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct engine_params p = collect_params(1000);
        p.continues = cases[i].continues;
        p.continue_unless = words;
        p.think_tokens_max = cases[i].think_max;
        const struct collected *s = collect_run(*state, 100 + i, cases[i].message, true, &p);
        int64_t answer = str_starts(str_from(cases[i].message), STR("/again")) ? WORDS - 1 : WORDS;
        if (s->thinking_tokens != 2 + THOUGHT + 2 * cases[i].sent)
            fail_msg("case %zu: %d tokens", i, (int)s->thinking_tokens);
        assert_int_equal(s->thinking_tokens + answer + 1, s->output_tokens);
        assert_int_equal(s->finish, FINISH_STOP);
        assert_false(s->closed_by_budget);
        if (i == 2) {
            assert_true(str_ends(buf_str(&s->thought), STR("Word 8 is \"nine\".\n 2 2 2")));
            assert_string_equal("three four" MORE, collect_text(&s->answer));
        }
    }
}

/* Seven words are too few to be looked at again. */
static void short_thoughts_are_left_alone(void **state)
{
    struct engine_params p = collect_params(1000);
    p.continues = 1;
    const struct collected *s = collect_run(*state, 1, "/again two three four five six seven", true, &p);
    assert_int_equal(s->thinking_tokens, 2 + 4 * 7);
}

static void thinking_leaves_room(void **state)
{
    struct engine_params p = collect_params(100);
    p.answer_tokens_min = 25;
    const struct collected *s = collect_run(*state, 1, "/ponder", true, &p);
    assert_int_equal(s->thinking_tokens, 75);
    assert_string_equal(collect_text(&s->answer), "Done.");
    assert_true(s->closed_by_budget);
    assert_true(str_ends(buf_str(&s->thought), STR(SENTENCE)));
}

static void context_end_binds(void **state)
{
    (void)state;
    struct collector *c =
        collect_open(&(struct engine_config){ .kind = "echo", .context = 40, .sequences_max = 1 });
    assert_int_equal(engine_info(c->engine)->thinking_tokens, 10);
    struct engine_params p = collect_params(1000);
    p.answer_tokens_min = 5;
    const struct collected *s = collect_run(c, 1, "/ponder", true, &p); /* a prompt of 3 */
    assert_int_equal(s->thinking_tokens, 37 - 5);
    assert_int_equal(s->finish, FINISH_STOP);
    s = collect_run(c, 2, "/endless", false, &p);
    assert_int_equal(s->output_tokens, 37);
    assert_int_equal(s->finish, FINISH_LENGTH);

    char words[256] = "";
    for (int i = 0; i < 38; i++)
        strcat(words, "w ");
    json_t *m = json_pack("[{s:s, s:s}]", "role", "user", "content", words);
    struct engine_prompt *prompt = NULL;
    struct err err = { 0 };
    assert_int_equal(
        engine_prompt_open(&prompt, c->engine, &(struct engine_chat){ .messages = m, .think = true }, &err),
        ERR_CONTEXT_LENGTH);
    assert_string_equal(err.message,
                        "This model's maximum context length is 40 tokens. However, your messages "
                        "resulted in 40 tokens. Please reduce the length of the messages.");
    assert_null(prompt);
    json_decref(m);
    collect_close(c);
}

static void length_cuts(void **state)
{
    struct engine_params p = collect_params(5);
    const struct collected *s = collect_run(*state, 1, "/count 10", false, &p);
    assert_string_equal(collect_text(&s->answer), "1 2 3 4 5");
    assert_int_equal(s->output_tokens, 5);
    assert_int_equal(s->finish, FINISH_LENGTH);
    s = collect_run(*state, 2, "/count 4", false, &p); /* the end token is the fifth */
    assert_int_equal(s->output_tokens, 5);
    assert_int_equal(s->finish, FINISH_STOP);
}

static void stops_stop(void **state)
{
    static const struct {
        const char *stops[2];
        const char *answer;
        int64_t tokens;
    } cases[] = {
        { { "4" }, "1 2 3 ", 4 },          /* inside a token: what stands before it is shown */
        { { " 4 5" }, "1 2 3", 5 },        /* over two tokens */
        { { "4 6", "5" }, "1 2 3 4 ", 5 }, /* a beginning that comes to nothing is shown */
        { { "1" }, "", 1 },
        { { "zzz" }, "1 2 3 4 5 6 7 8", 9 },
        { { "8 9" }, "1 2 3 4 5 6 7 8", 9 }, /* held back to the end, and shown then */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct engine_params p = collect_params(100);
        for (size_t k = 0; k < 2 && cases[i].stops[k]; k++)
            p.stops[p.n_stops++] = str_from(cases[i].stops[k]);
        const struct collected *s = collect_run(*state, i, "/count 8", false, &p);
        assert_string_equal(collect_text(&s->answer), cases[i].answer);
        assert_int_equal(s->output_tokens, cases[i].tokens);
        assert_int_equal(s->finish, FINISH_STOP);
    }
}

static void stops_leave_thoughts_alone(void **state)
{
    struct engine_params p = collect_params(1000);
    p.stops[p.n_stops++] = STR("is");
    const struct collected *s = collect_run(*state, 1, "that is it", true, &p);
    assert_true(str_find(buf_str(&s->thought), STR(" is \"it\"")) != SIZE_MAX);
    assert_string_equal(collect_text(&s->answer), "that ");
}

static void ignore_eos_goes_on(void **state)
{
    struct engine_params p = collect_params(20);
    p.ignore_eos = true;
    const struct collected *s = collect_run(*state, 1, "/count 3", false, &p);
    assert_string_equal(collect_text(&s->answer), "1 2 3");
    assert_int_equal(s->output_tokens, 20);
    assert_int_equal(s->finish, FINISH_LENGTH);
}

static void fails_once(void **state)
{
    struct engine_params p = collect_params(100);
    const struct collected *s = collect_run(*state, 1, "/fail", false, &p);
    assert_true(s->failed);
    assert_int_equal(s->err.code, ERR_SERVER);
    assert_string_equal(collect_text(&s->answer), "This will fail.");
    assert_int_equal(s->output_tokens, 3);
}

static void holds_until_cancelled(void **state)
{
    struct collector *c = *state;
    struct engine_prompt *hold = collect_prompt(c, "/hold 3", true);
    struct engine_params p = collect_params(1000);
    collect_submit(c, 1, hold, &p);
    collect_wait_tokens(c, 1, 2 + 2 * 4 + 3);
    const struct collected *other = collect_run(c, 2, "hello", false, &p); /* others are not held up */
    assert_string_equal(collect_text(&other->answer), "hello");
    assert_int_equal(c->seqs[1].ends, 0);
    engine_cancel(c->engine, 1);
    const struct collected *s = collect_wait(c, 1);
    assert_int_equal(s->finish, FINISH_CANCELLED);
    assert_string_equal(collect_text(&s->answer), "1 2 3");
    assert_int_equal(s->output_tokens, 2 + 2 * 4 + 3);
    engine_cancel(c->engine, 1);  /* ended already */
    engine_cancel(c->engine, 99); /* never was */
    engine_prompt_unref(hold);
}

static void release_lets_go(void **state)
{
    struct collector *c = *state;
    struct engine_prompt *hold = collect_prompt(c, "/hold 1", false);
    struct engine_params p = collect_params(100);
    collect_submit(c, 1, hold, &p);
    collect_wait_tokens(c, 1, 1);
    collect_run(c, 2, "/release", true, &p);
    const struct collected *s = collect_wait(c, 1);
    assert_int_equal(s->finish, FINISH_STOP);
    assert_int_equal(s->output_tokens, 2);
    collect_run(c, 3, "/release", false, &p); /* before there is one: the next goes through */
    collect_submit(c, 4, hold, &p);
    assert_int_equal(collect_wait(c, 4)->finish, FINISH_STOP);
    engine_prompt_unref(hold);
}

/* The engine is stopped inside the sink of a token; a cancel that is sent then lets no further one through. */
static void cancel_takes_one_step(void **state)
{
    struct collector *c = *state;
    struct engine_prompt *endless = collect_prompt(c, "/endless", false);
    struct engine_params p = collect_params(100000);
    for (uint64_t seq = 0; seq < 50; seq++) {
        collect_submit(c, seq, endless, &p);
        collect_wait_tokens(c, seq, 3);
        pthread_mutex_lock(&c->gate);
        pthread_mutex_lock(&c->lock);
        int64_t before = c->seqs[seq].output_tokens;
        pthread_mutex_unlock(&c->lock);
        engine_cancel(c->engine, seq);
        pthread_mutex_unlock(&c->gate);
        const struct collected *s = collect_wait(c, seq);
        assert_int_equal(s->finish, FINISH_CANCELLED);
        assert_true(s->output_tokens <= before + 1); /* the one whose event was on its way */
    }
    engine_prompt_unref(endless);
}

static void waits_in_order(void **state)
{
    (void)state;
    struct collector *c = collect_open(&(struct engine_config){ .kind = "echo", .sequences_max = 2 });
    struct engine_prompt *hold = collect_prompt(c, "/hold 1", false),
                         *word = collect_prompt(c, "word", false);
    struct engine_params p = collect_params(100);
    collect_submit(c, 0, hold, &p);
    collect_submit(c, 1, hold, &p);
    for (uint64_t seq = 2; seq < 40; seq++)
        collect_submit(c, seq, word, &p);
    engine_cancel(c->engine, 39); /* while it waits */
    const struct collected *s = collect_wait(c, 39);
    assert_int_equal(s->finish, FINISH_CANCELLED);
    assert_int_equal(s->output_tokens, 0);
    assert_int_equal(c->seqs[2].ends, 0);
    engine_cancel(c->engine, 0);
    for (uint64_t seq = 2; seq < 39; seq++)
        assert_int_equal(collect_wait(c, seq)->finish, FINISH_STOP);
    for (uint64_t seq = 3; seq < 39; seq++)
        assert_true(c->seqs[seq].order > c->seqs[seq - 1].order);
    engine_prompt_unref(hold);
    engine_prompt_unref(word);
    collect_close(c); /* 1 still holds: the close fails it */
}

static void close_fails_what_runs(void **state)
{
    (void)state;
    struct collector *c = collect_open(&(struct engine_config){ .kind = "echo", .sequences_max = 2 });
    struct engine_prompt *hold = collect_prompt(c, "/hold 1", false);
    struct engine_params p = collect_params(100);
    for (uint64_t seq = 0; seq < 5; seq++)
        collect_submit(c, seq, hold, &p);
    collect_wait_tokens(c, 1, 1);
    collect_engine_close(c);
    for (uint64_t seq = 0; seq < 5; seq++) {
        assert_int_equal(c->seqs[seq].ends, 1);
        assert_true(c->seqs[seq].failed);
        assert_int_equal(c->seqs[seq].output_tokens, seq < 2);
    }
    engine_prompt_unref(hold); /* a prompt may outlive its engine */
    collect_close(c);
}

static void seeds_decide(void **state)
{
    struct engine_params p = collect_params(100);
    p.temperature = 1;
    const struct collected *s[5];
    const uint64_t seeds[5][2] = { { 7, 0 }, { 7, 0 }, { 7, 1 }, { 8, 0 }, { 1, 7 } };
    for (size_t i = 0; i < 5; i++) {
        p.seed = seeds[i][0];
        p.stream = seeds[i][1];
        s[i] = collect_run(*state, i, "/random 30", true, &p);
    }
    assert_string_equal(s[0]->answer.ptr, s[1]->answer.ptr);
    for (size_t i = 2; i < 5; i++)
        for (size_t k = 1; k < i; k++)
            assert_string_not_equal(s[i]->answer.ptr, s[k]->answer.ptr);
    p.temperature = 0;
    const struct collected *greedy = collect_run(*state, 9, "/random 3", false, &p);
    assert_string_equal(collect_text(&greedy->answer), "0 0 0");
}

static void generated_is_the_sum(void **state)
{
    struct collector *c = *state;
    int64_t before = engine_tokens_generated(c->engine), sum = 0;
    struct engine_params p = collect_params(50);
    for (uint64_t seq = 0; seq < 20; seq++) {
        char message[32];
        snprintf(message, sizeof message, "/count %d", (int)(seq * 4));
        sum += collect_run(c, seq, message, seq % 2, &p)->output_tokens;
    }
    assert_int_equal(engine_tokens_generated(c->engine) - before, sum);
}

static void refuses_what_it_cannot(void **state)
{
    (void)state;
    struct engine *e;
    struct err err = { 0 };
    struct engine_sink none = { 0 };
    struct engine_config cfg = { .kind = "nothing", .sequences_max = 1 };
    assert_int_equal(engine_open(&e, &cfg, none, &err), ERR_CONFIG);
    assert_non_null(strstr(err.message, "nothing"));
    cfg = (struct engine_config){ .kind = "echo", .sequences_max = 0 };
    assert_int_equal(engine_open(&e, &cfg, none, &err), ERR_CONFIG);
    cfg = (struct engine_config){ .kind = "echo", .sequences_max = 1, .model_path = "x.gguf" };
    assert_int_equal(engine_open(&e, &cfg, none, &err), ERR_CONFIG);
    engine_close(NULL);
}

static void directives_check_their_number(void **state)
{
    struct collector *c = *state;
    static const char *const bad[] = { "/count", "/count x", "/hold -1", "/random 1000001" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        json_t *m = json_pack("[{s:s, s:s}]", "role", "user", "content", bad[i]);
        struct engine_prompt *p = NULL;
        struct err err = { 0 };
        assert_int_equal(
            engine_prompt_open(&p, c->engine, &(struct engine_chat){ .messages = m, .think = true }, &err),
            ERR_INVALID_VALUE);
        json_decref(m);
    }
}

/* --- who goes first -------------------------------------------------------------------------------------- */

/* One at a time: groups take turns, and who has none is a group alone. */
static void groups_take_turns(void **state)
{
    (void)state;
    static const uint64_t groups[] = { 5, 5, 5, 5, 6, 6, 0, 0, 7 };
    static const uint64_t order[] = { 0, 4, 6, 7, 8, 1, 5, 2, 3 }; /* in which they end */
    struct collector *c = collect_open(&(struct engine_config){ .kind = "echo", .sequences_max = 1 });
    struct engine_prompt *hold = collect_prompt(c, "/hold 1", false),
                         *word = collect_prompt(c, "word", false);
    struct engine_params p = collect_params(100);
    collect_submit(c, 100, hold, &p);
    collect_wait_tokens(c, 100, 1);
    for (uint64_t seq = 0; seq < ARRAY_LEN(groups); seq++) {
        p.group = groups[seq];
        collect_submit(c, seq, word, &p);
    }
    struct engine_stats stats = collect_stats(c);
    assert_int_equal(stats.running, 1);
    assert_int_equal(stats.waiting, ARRAY_LEN(groups));
    engine_cancel(c->engine, 100);
    for (uint64_t at = 0; at < ARRAY_LEN(order); at++)
        assert_int_equal(collect_wait(c, order[at])->order, at + 2);
    engine_prompt_unref(hold);
    engine_prompt_unref(word);
    collect_close(c);
}

/* Three places: a request of six branches fills them, and gives one, its last, to each request that comes later. */
static void no_group_keeps_all_places(void **state)
{
    (void)state;
    static const uint64_t groups[] = { 5, 5, 5, 5, 5, 5, 6, 6, 7, 0 };
    struct collector *c = collect_open(&(struct engine_config){ .kind = "echo", .sequences_max = 3 });
    struct engine_prompt *hold = collect_prompt(c, "/hold 2", false),
                         *word = collect_prompt(c, "word", false);
    struct engine_params p = collect_params(100);
    for (uint64_t seq = 0; seq < ARRAY_LEN(groups); seq++) {
        p.group = groups[seq];
        collect_submit(c, seq, seq < 6 ? hold : word, &p);
        if (seq < 3)
            collect_wait_tokens(c, seq, 2);
    }
    for (uint64_t seq = 6; seq < ARRAY_LEN(groups); seq++)
        assert_true(collect_wait(c, seq)->order <= 4);
    assert_true(collect_stats(c).preempted >= 1);
    assert_int_equal(c->seqs[0].ends, 0);
    struct engine_prompt *release = collect_prompt(c, "/release", false);
    for (uint64_t seq = 0; seq < 6; seq++) { /* each is held until it is let go, in the places there are */
        collect_submit(c, 20 + seq, release, &p);
        collect_wait(c, 20 + seq);
    }
    for (uint64_t seq = 0; seq < 6; seq++)
        assert_int_equal(collect_wait(c, seq)->finish, collect_wait(c, 6)->finish);
    engine_prompt_unref(release);
    engine_prompt_unref(hold);
    engine_prompt_unref(word);
    collect_close(c);
}

static void background_steps_back(void **state)
{
    (void)state;
    struct collector *c = collect_open(&(struct engine_config){ .kind = "echo", .sequences_max = 2 });
    struct engine_prompt *hold = collect_prompt(c, "/hold 3", true), *word = collect_prompt(c, "word", false);
    struct engine_params now = collect_params(100), later = now;
    later.priority = ENGINE_BACKGROUND;
    collect_submit(c, 0, hold, &later);
    collect_submit(c, 1, hold, &later);
    for (uint64_t seq = 0; seq < 2; seq++)
        collect_wait_tokens(c, seq, 2 + 2 * 4 + 3); /* all but the end */
    for (uint64_t seq = 2; seq < 8; seq++)
        collect_submit(c, seq, word, seq < 5 ? &later : &now);
    for (uint64_t seq = 5; seq < 8; seq++)
        assert_true(collect_wait(c, seq)->order <= 3);
    assert_true(collect_stats(c).preempted >= 1);
    engine_cancel(c->engine, 0);
    engine_cancel(c->engine, 1);
    for (uint64_t seq = 2; seq < 5; seq++)
        collect_wait(c, seq);
    for (uint64_t seq = 0; seq < 2; seq++)
        assert_string_equal(collect_text(&collect_wait(c, seq)->answer), "1 2 3");
    engine_prompt_unref(hold);
    engine_prompt_unref(word);
    collect_close(c);
}

/* --- log-probabilities ------------------------------------------------------------------------------------ */

static void check_token(const struct engine_token *t, int n_top)
{
    double mass = 0;
    assert_int_equal(t->n_top, n_top);
    assert_true(t->logprob <= -0.125f && t->logprob >= -1);
    assert_true(t->confidence > 0);
    for (int k = 0; k < t->n_top; k++) {
        mass += exp((double)t->top[k].logprob);
        assert_true(k == 0 || t->top[k].logprob < t->top[k - 1].logprob);
    }
    assert_true(mass < 1 + 1e-6);
    if (n_top)
        assert_int_equal(t->top[0].id, t->id);
}

static void made_up_logprobs_fit_together(void **state)
{
    struct collector *c = *state;
    struct engine_params p = collect_params(100);
    p.top_logprobs = 20;
    p.prompt_logprobs = true;
    const struct collected *s = collect_run(c, 1, "What is 2 plus 2?", true, &p);
    assert_int_equal(s->n_prompt, 1 + 1 + 5);
    assert_true(isnan(s->prompt[0].logprob));
    for (size_t i = 1; i < s->n_prompt; i++)
        check_token(&s->prompt[i], 20);
    struct buf text = { 0 };
    for (size_t i = 0; i < s->n_tokens; i++) {
        check_token(&s->tokens[i], 20);
        buf_put_str(&text, engine_token_text(c->engine, s->tokens[i].id));
    }
    assert_string_equal(
        collect_text(&text),
        "<think>Word 1 is \"What\".\nWord 2 is \"is\".\nWord 3 is \"2\".\nWord 4 is \"plus\".\n"
        "Word 5 is \"2?\".\n</think>What is 2 plus 2?<|end|>");
    buf_free(&text);
    assert_int_equal(s->confidence.tokens, s->n_tokens);
    assert_int_equal(s->confidence.window, 16);
    assert_true(s->confidence.lowest_window <= s->confidence.bottom_tenth);
    assert_true(s->confidence.bottom_tenth <= s->confidence.mean);
    collect_same(s, collect_run(c, 2, "What is 2 plus 2?", true, &p));

    p.tokens_max = 0;
    s = collect_run(c, 3, "a b", false, &p);
    assert_int_equal(s->n_prompt, 4);
    assert_int_equal(s->output_tokens, 0);
    assert_int_equal(s->finish, FINISH_LENGTH);
    assert_true(isnan(s->confidence.mean));

    p = collect_params(10);
    p.top_logprobs = 12;
    s = collect_run(c, 4, "/random 5", false, &p);
    assert_int_equal(s->tokens[0].n_top, 10);
    assert_near(log(0.1), (double)s->tokens[0].logprob, 1e-6);
    assert_string_equal(engine_token_text(c->engine, s->tokens[0].top[9].id).ptr, " 9");
}

static void forced_tokens_have_none(void **state)
{
    struct engine_params p = collect_params(1000);
    p.think_tokens_max = 4;
    const struct collected *s = collect_run(*state, 1, "/ponder", true, &p);
    int forced = 0;
    for (size_t i = 0; i < s->n_tokens; i++)
        forced += isnan(s->tokens[i].logprob) && isnan(s->tokens[i].confidence);
    assert_int_equal(forced, SENTENCE_TOKENS + 1);
    assert_int_equal(s->confidence.tokens, (int64_t)s->n_tokens - forced);
    assert_true(isnan(s->confidence.last_window)); /* six are no window of sixteen */
    assert_false(isnan(s->confidence.mean));
}

static void prompts_of_text_and_ids(void **state)
{
    struct collector *c = *state;
    struct engine_params p = collect_params(100);
    struct engine_prompt *text = collect_text_prompt(c, "/count 3"), *ids = NULL, *none = NULL;
    struct err err = { 0 };
    assert_int_equal(engine_prompt_tokens(text), 2);
    const int32_t *of = engine_prompt_ids(text);
    assert_int_equal(engine_prompt_open_ids(&ids, c->engine, of, 2, &err), ERR_OK);
    collect_submit(c, 1, text, &p);
    collect_submit(c, 2, ids, &p);
    collect_same(collect_wait(c, 1), collect_wait(c, 2));
    assert_string_equal(collect_text(&c->seqs[1].answer), " 1 2 3"); /* as it stands: blanks too */
    assert_int_equal(engine_prompt_open_ids(&none, c->engine, (int32_t[]){ 999999 }, 1, &err),
                     ERR_INVALID_VALUE);
    assert_int_equal(engine_prompt_open_text(&none, c->engine, STR(""), true, &err), ERR_INVALID_VALUE);
    assert_string_equal(err.message, "The prompt is empty.");
    assert_int_equal(engine_token_text(c->engine, -1).len, 0);
    engine_prompt_unref(text);
    engine_prompt_unref(ids);
}

/* Heard by flush alone, as who sleeps until then hears it. */
struct late_listener {
    atomic_bool done;
    struct mailbox *heard;
};

static void put_late(void *ctx, const struct engine_event *ev)
{
    struct late_listener *l = ctx;
    if (ev->kind == ENGINE_DONE)
        atomic_store(&l->done, true);
}

static void flush_late(void *ctx)
{
    struct late_listener *l = ctx;
    if (atomic_exchange(&l->done, false))
        mailbox_push(l->heard, &(int){ 1 });
}

/* Also when another sequence goes on, and when it was cancelled. */
static void a_flush_follows_every_end(void **state)
{
    static const char *const texts[] = { "hi", "/hold 2", "/endless", "What is 17 + 25?" };
    struct late_listener l = { false, mailbox_open(8, sizeof(int)) };
    struct engine_config cfg = { .kind = "echo", .sequences_max = 4 };
    struct engine_params p = collect_params(1000);
    struct engine *e;
    struct err err;
    int one;
    (void)state;
    p.ignore_eos = false;
    p.tokens_max = INT64_C(1) << 40;
    assert_int_equal(engine_open(&e, &cfg, (struct engine_sink){ put_late, &l, flush_late }, &err), ERR_OK);
    for (uint64_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct engine_prompt *prompt;
        assert_int_equal(engine_prompt_open_text(&prompt, e, str_from(texts[i]), false, &err), ERR_OK);
        assert_true(engine_submit(e, i, prompt, &p));
        engine_prompt_unref(prompt);
        if (i % 2)
            engine_cancel(e, i);
        if (i != 2)
            assert_true(mailbox_take(l.heard, &one, 10000));
    }
    engine_cancel(e, 2);
    assert_true(mailbox_take(l.heard, &one, 10000));
    engine_close(e);
    mailbox_close(l.heard);
}

#define ON_ECHO(test) cmocka_unit_test_setup_teardown(test, open_echo, close_echo)

static const struct CMUnitTest tests[] = {
    ON_ECHO(thinks_then_answers),
    ON_ECHO(answers_without_thinking),
    ON_ECHO(counts_prompt_tokens),
    ON_ECHO(budgets_bind),
    ON_ECHO(closing_is_exact),
    ON_ECHO(thoughts_are_sent_back),
    ON_ECHO(short_thoughts_are_left_alone),
    ON_ECHO(thinking_leaves_room),
    cmocka_unit_test(context_end_binds),
    ON_ECHO(length_cuts),
    ON_ECHO(stops_stop),
    ON_ECHO(stops_leave_thoughts_alone),
    ON_ECHO(ignore_eos_goes_on),
    ON_ECHO(fails_once),
    ON_ECHO(holds_until_cancelled),
    ON_ECHO(release_lets_go),
    ON_ECHO(cancel_takes_one_step),
    cmocka_unit_test(waits_in_order),
    cmocka_unit_test(close_fails_what_runs),
    ON_ECHO(seeds_decide),
    ON_ECHO(generated_is_the_sum),
    cmocka_unit_test(refuses_what_it_cannot),
    ON_ECHO(directives_check_their_number),
    cmocka_unit_test(groups_take_turns),
    cmocka_unit_test(no_group_keeps_all_places),
    cmocka_unit_test(background_steps_back),
    ON_ECHO(made_up_logprobs_fit_together),
    ON_ECHO(forced_tokens_have_none),
    ON_ECHO(prompts_of_text_and_ids),
    cmocka_unit_test(a_flush_follows_every_end),
};
TEST_GROUP(engine_echo, tests)
