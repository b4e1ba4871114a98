/*
 * lines.c - many lines of thought for one answer: items and events, tokens, cancels at any moment, failures, deadlines, and
 * stops in the middle.
 */
#include "base/rng.h"
#include "shelf.h"
#include "store/fresh.h"
#include "test.h"
#include "watch.h"

#include <stdio.h>
#include <string.h>

static void run_lines(struct watch *w, struct conductor *c, const char *message, enum summary summary,
                      int64_t tokens_max)
{
    struct job_spec spec = watch_spec_lines(c, message, EFFORT_HIGH, tokens_max);
    spec.summary = summary;
    watch_run_spec(w, c, &spec);
}

static void one_thought_and_one_message_leave(void **state)
{
    (void)state;
    struct conductor *c = watch_open(4, 8);
    struct watch *w = mem_array(2, sizeof *w);
    run_lines(&w[0], c, "/vote two_words", SUMMARY_NONE, 0);
    assert_string_equal(
        "created\nstarted\nitem_added rs\nitem_done\nitem_added msg\npart_added\ntext_delta x2\n"
        "text_done\npart_done\nitem_done\nchoice_done\nended\n",
        watch_log(&w[0]));
    assert_int_equal(JOB_COMPLETED, w[0].status);
    assert_string_equal("two words", w[0].texts[1].ptr);
    assert_string_equal(
        "agreement line=0 counted=4\n"
        "completed two words\ncompleted two words\ncompleted two words\ncompleted two words\n",
        w[0].trace.ptr);
    assert_int_equal(3, w[0].output_tokens - w[0].reasoning_tokens); /* two words and the end of the turn */
    run_lines(&w[1], c, "/vote 7", SUMMARY_AUTO, 0);
    assert_non_null(strstr(w[1].texts[0].ptr, "Line 1 tries: Word 1 is \"/vote\"."));
    assert_non_null(strstr(w[1].texts[0].ptr, "4 of 4 lines agree on 7."));
    assert_int_equal(engine_tokens_generated(conductor_engine(c)), w[0].output_tokens + w[1].output_tokens);
    watch_close(c);
    watch_free(&w[0]);
    watch_free(&w[1]);
    mem_free(w);
}

/* Calls that mean the same are one answer; so is JSON, where answers are. */
static void calls_and_json_vote_by_what_they_mean(void **state)
{
    (void)state;
    static const struct {
        bool calls;
        const char *message, *log;
    } cases[] = {
        { true,
          "/vote no {\"name\":_\"f\",_\"parameters\":_{\"a\":_1,_\"b\":2}} "
          "{\"name\":_\"f\",_\"parameters\":_{\"b\":2,\"a\":1}} "
          "{\"name\":_\"f\",_\"parameters\":_{\"a\":_1,_\"b\":2}}",
          "fc" },
        { false, "/vote 7 {\"a\":_1,\"b\":2} {\"b\":2,\"a\":1} {\"a\":1,\"b\":2}", "msg" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conductor *c = watch_open(4, 8);
        struct watch *w = mem_zalloc(sizeof *w);
        struct job_spec spec = watch_spec_lines(c, cases[i].message, EFFORT_HIGH, 0);
        struct err err;
        if (cases[i].calls)
            watch_add_calls(&spec, "llama3");
        spec.json = !cases[i].calls;
        assert_int_equal(watch_submit(w, c, &spec, &err), ERR_OK);
        engine_prompt_unref(spec.prompt);
        watch_drop_calls(&spec);
        watch_wait(w);
        assert_int_equal(w->n_items, 2);
        assert_non_null(strstr(watch_log(w), cases[i].log));
        assert_string_equal(w->texts[1].ptr, cases[i].calls ? "{\"a\": 1, \"b\":2}" : "{\"a\": 1,\"b\":2}");
        assert_non_null(strstr(w->trace.ptr, " line=1 "));
        watch_close(c);
        watch_free(w);
        mem_free(w);
    }
}

static void a_long_answer_comes_in_few_pieces(void **state)
{
    (void)state;
    struct conductor *c = watch_open(4, 8);
    struct watch *w = mem_zalloc(sizeof *w);
    int deltas = 0;
    run_lines(w, c, "/random 5000", SUMMARY_NONE, 0);
    const char *at = strstr(watch_log(w), "text_delta x");
    assert_non_null(at);
    assert_int_equal(1, sscanf(at, "text_delta x%d", &deltas));
    assert_true(deltas > 100 && deltas <= 256);
    assert_int_equal(10000 - 1, w->texts[1].len); /* a digit and a blank each; the first blank is layout */
    watch_close(c);
    watch_free(w);
    mem_free(w);
}

/* Line i says the same whoever runs beside it: among others, more of them, fewer places in the engine. */
static void a_line_does_not_depend_on_the_others(void **state)
{
    (void)state;
    static const struct {
        int places;
        int64_t tokens_max;
    } ways[] = { { 1, 0 }, { 3, 0 }, { 64, 0 }, { 8, 1300 } };
    char first[64] = "", third[64] = "";
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct conductor *c = watch_open(4, ways[i].places);
        struct watch *w = mem_zalloc(sizeof *w);
        run_lines(w, c, "/random 20", SUMMARY_NONE, ways[i].tokens_max);
        char *line = strchr(w->trace.ptr, '\n') + 1;
        for (int k = 0; k < 3; k++, line = strchr(line, '\n') + 1) {
            char *was = k == 0 ? first : third, now[64];
            snprintf(now, sizeof now, "%.*s", (int)strcspn(line, "\n"), line);
            if (k == 1)
                continue;
            if (i == 0)
                snprintf(was, sizeof first, "%s", now);
            assert_string_equal(was, now);
            assert_true(strlen(now) > 40);
        }
        watch_close(c);
        watch_free(w);
        mem_free(w);
    }
    assert_string_not_equal(first, third);
}

static void lines_that_fail_are_left_out(void **state)
{
    (void)state;
    static const struct {
        const char *message, *trace;
        enum job_status status;
    } cases[] = {
        { "/vote !x 7 !x 7 7 7 7 7", "agreement line=1 counted=6\n", JOB_COMPLETED },
        { "/vote !x", "failed line=-1 counted=4\nfailed \nfailed \nfailed \nfailed \n", JOB_FAILED },
        { "/vote !x !x !x 7 7 7 7 7 7 7 7 7", "agreement line=3 counted=7\n", JOB_COMPLETED },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conductor *c = watch_open(4, 8);
        struct watch *w = mem_zalloc(sizeof *w);
        run_lines(w, c, cases[i].message, SUMMARY_DETAILED, 0);
        assert_int_equal(cases[i].status, w->status);
        assert_int_equal(cases[i].status == JOB_FAILED ? ERR_SERVER : ERR_OK, w->failure);
        assert_memory_equal(cases[i].trace, w->trace.ptr, strlen(cases[i].trace));
        assert_int_equal(engine_tokens_generated(conductor_engine(c)), w->output_tokens);
        watch_close(c);
        watch_free(w);
        mem_free(w);
    }
}

static void the_total_is_never_passed(void **state)
{
    (void)state;
    static const char *const messages[] = { "/endless", "/ponder", "/vote 1 2 3 4 5", "/random 50" };
    for (size_t i = 0; i < ARRAY_LEN(messages); i++)
        for (int64_t total = 16; total < 3000; total = total * 3 / 2) {
            struct conductor *c = watch_open(4, 8);
            struct watch *w = mem_zalloc(sizeof *w);
            run_lines(w, c, messages[i], SUMMARY_NONE, total);
            watch_check_total(w, c, total);
            watch_close(c);
            watch_free(w);
            mem_free(w);
        }
}

/* Whenever the cancel comes, each token is counted, and the answer is there or it is not. */
static void a_cancel_may_come_at_any_moment(void **state)
{
    (void)state;
    struct conductor *c = watch_open(200, 8);
    struct rng rng;
    int64_t tokens = 0;
    int cancelled = 0, completed = 0;
    rng_init(&rng, 3, 0);
    for (int n = 0; n < 120; n++) {
        struct watch *w = mem_zalloc(sizeof *w);
        struct job_spec spec = watch_spec_lines(c, "/vote 1 2 3 4 5 6 7 7 7 7 7 7", EFFORT_HIGH, 0);
        spec.summary = SUMMARY_DETAILED;
        watch_run_cancelled(w, c, &spec, &rng);
        cancelled += w->status == JOB_CANCELLED;
        completed += w->status == JOB_COMPLETED;
        if (w->status == JOB_CANCELLED)
            assert_memory_equal("cancelled line=-1", w->trace.ptr, strlen("cancelled line=-1"));
        tokens += w->output_tokens;
        watch_free(w);
        mem_free(w);
    }
    assert_int_equal(engine_tokens_generated(conductor_engine(c)), tokens);
    assert_true(cancelled > 5 && completed > 5);
    watch_close(c);
}

static void a_deadline_needs_no_event(void **state)
{
    (void)state;
    struct conductor *c = watch_open(4, 16);
    struct watch *w = mem_zalloc(sizeof *w);
    struct job_spec spec = watch_spec_lines(c, "/vote @1 7 @3 @4", EFFORT_HIGH, 0);
    struct err err = { 0 };
    spec.plan.lines.deadline_ms = 30;
    spec.summary = SUMMARY_CONCISE;
    assert_int_equal(ERR_OK, watch_submit(w, c, &spec, &err));
    watch_wait(w);
    assert_int_equal(JOB_COMPLETED, w->status);
    assert_string_equal("deadline line=1 counted=1\ncancelled \ncompleted 7\ncancelled \ncancelled \n",
                        w->trace.ptr);
    assert_int_equal(engine_tokens_generated(conductor_engine(c)), w->output_tokens);
    engine_prompt_unref(spec.prompt);
    watch_close(c);
    watch_free(w);
    mem_free(w);
}

/* --- stops in the middle -------------------------------------------------------------------------------------- */

/* The second wave waits for a release. */
static void lines_go_on_as_if_nothing_had_been(void **state)
{
    (void)state;
    static const char *const messages[][2] = {
        { "/vote 1 2 3 4 @1 1 1 1 1 1 1 1 1 1 1 1", "[1] agreement line 0 of 9" },
        { "/vote !x 2 3 4 @1 1 1 1 1 1 1 1 1 1 1 1", "[1] agreement line 4 of 10" },
        { "/vote 1 2 3 4 @!x 1 1 1 1 1 1 1 1 1 1 1", "[1] agreement line 0 of 10" },
    };
    for (size_t i = 0; i < ARRAY_LEN(messages); i++)
        for (int stops = 0; stops < 3; stops++) {
            struct arena arena = { 0 };
            struct str got = shelf_run_held(0, messages[i][0], "Line 4 found", stops, &arena);
            if (!str_is(got, messages[i][1]))
                fail_msg("%d stops: %.*s", stops, STR_ARG(got));
            arena_free(&arena);
        }
}

/* Long lines, stopped somewhere in them: each goes on with its own random numbers. */
static void long_lines_go_on_with_their_own_draws(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct shelf s, calm;
    struct listener l = { 0 };
    shelf_open(&calm, NULL, 2, 10);
    shelf_accept(&calm, "job", 0, "/random 3000");
    struct str want = shelf_row(&calm, "job", true, &arena).response;
    shelf_open(&s, fresh_path(), 2, 10);
    shelf_accept(&s, "job", 0, "/random 3000");
    listener_watch(&l, &s, "job", 2);
    listener_wait_events(&l, 5);
    for (int i = 0; i < 3; i++) {
        shelf_close(&s);
        shelf_reopen(&s);
        shelf_row(&s, "job", false, &arena);
    }
    struct str got = shelf_row(&s, "job", true, &arena).response;
    assert_true(str_eq(got, want));
    listener_free(&l);
    shelf_free(&s);
    shelf_free(&calm);
    arena_free(&arena);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_thought_and_one_message_leave),
    cmocka_unit_test(a_long_answer_comes_in_few_pieces),
    cmocka_unit_test(calls_and_json_vote_by_what_they_mean),
    cmocka_unit_test(a_line_does_not_depend_on_the_others),
    cmocka_unit_test(lines_that_fail_are_left_out),
    cmocka_unit_test(the_total_is_never_passed),
    cmocka_unit_test(a_cancel_may_come_at_any_moment),
    cmocka_unit_test(a_deadline_needs_no_event),
    cmocka_unit_test(lines_go_on_as_if_nothing_had_been),
    cmocka_unit_test(long_lines_go_on_with_their_own_draws),
};
TEST_GROUP(job_lines, tests)
