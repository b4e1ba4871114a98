/*
 * route.c - one model asked after another in one job: what is counted, cancels in every step, stops in the middle of each.
 */
#include "base/rng.h"
#include "shelf.h"
#include "test.h"
#include "watch.h"

#include <stdio.h>
#include <string.h>

static void run_route(struct watch *w, struct conductor *c, const char *message, int64_t tokens_max,
                      bool carries)
{
    struct watch_route route;
    struct job_spec spec = watch_spec_route(c, message, tokens_max, carries, &route);
    spec.summary = SUMMARY_CONCISE;
    watch_run_spec(w, c, &spec);
}

static void each_way_has_its_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *message, *trace;
        int prompts; /* that are paid for */
        bool carries;
    } cases[] = {
        { "/vote 7", "accepted line=0 counted=3\ncompleted 7\ncompleted 7\ncompleted 7\n", 2, false },
        { "/vote 7 8 9 9 9 9", "accepted line=2 counted=6\ncompleted 7\ncompleted 8\ncompleted 9\n", 2,
          false },
        { "/vote 7 8 9 7 8 9 9 9 9 9", "agreement line=6 counted=4\n", 3, false },
        { "/vote 7 7 9 7 8 9 7 7 7 7", "lead line=0 counted=11\n", 3, true },
        { "/vote !x", "failed line=-1 counted=2\nfailed \nfailed \n", 1, false },
        { "/vote A_dog_ran_home_over_the_hills,_as_far_as_anybody_could_have_told_them_then.",
          "open_ended line=2 counted=1\n", 2, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conductor *c = watch_open(4, 8);
        struct watch *w = mem_zalloc(sizeof *w);
        struct job_spec one = watch_spec(c, cases[i].message, EFFORT_LOW, 0);
        int64_t prompt = engine_prompt_tokens(one.prompt);
        engine_prompt_unref(one.prompt);
        run_route(w, c, cases[i].message, 0, cases[i].carries);
        if (strncmp(cases[i].trace, w->trace.ptr, strlen(cases[i].trace)))
            fail_msg("%s: %s", cases[i].message, w->trace.ptr);
        assert_int_equal(engine_tokens_generated(conductor_engine(c)), w->output_tokens);
        assert_int_equal(cases[i].prompts * prompt, w->input_tokens);
        watch_close(c);
        watch_free(w);
        mem_free(w);
    }
}

/* Line i draws from stream i, so no two are alike, and each is the same whichever way the others went. */
static void streams_never_meet(void **state)
{
    (void)state;
    struct conductor *c = watch_open(4, 8);
    struct watch *w = mem_array(2, sizeof *w);
    run_route(&w[0], c, "/random 20", 0, false);
    run_route(&w[1], c, "/random 20", 60000, true);
    const char *lines[2][12];
    size_t n[2] = { 0 };
    for (size_t k = 0; k < 2; k++)
        for (char *line = strtok(w[k].trace.ptr, "\n"); line && n[k] < 12; line = strtok(NULL, "\n"))
            lines[k][n[k]++] = line;
    assert_true(n[0] == 12 && n[1] == 12); /* random lines never agree */
    for (size_t i = 1; i < 12; i++) {
        assert_string_equal(lines[0][i], lines[1][i]);
        for (size_t k = 1; k < i; k++)
            assert_string_not_equal(lines[0][i], lines[0][k]);
    }
    for (size_t k = 0; k < 2; k++)
        watch_free(&w[k]);
    watch_close(c);
    mem_free(w);
}

static void the_total_is_never_passed(void **state)
{
    (void)state;
    static const char *const messages[] = { "/endless", "/ponder", "/vote 1 1 2 3 4", "/random 50" };
    for (size_t i = 0; i < ARRAY_LEN(messages); i++)
        for (int64_t total = 4000; total < 12000; total = total * 3 / 2) {
            struct conductor *c = watch_open(4, 8);
            struct watch *w = mem_zalloc(sizeof *w);
            run_route(w, c, messages[i], total, false);
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
    rng_init(&rng, 5, 0);
    for (int n = 0; n < 120; n++) {
        struct watch *w = mem_zalloc(sizeof *w);
        struct watch_route route;
        struct job_spec spec = watch_spec_route(c, "/vote 1 1 2 3 4 5 6 7 7 7 7 7 7", 0, n & 1, &route);
        spec.summary = SUMMARY_DETAILED;
        watch_run_cancelled(w, c, &spec, &rng);
        tokens += w->output_tokens;
        watch_free(w);
        mem_free(w);
    }
    assert_int_equal(engine_tokens_generated(conductor_engine(c)), tokens);
    watch_close(c);
}

static void wait_told(struct watch *w, const char *text)
{
    pthread_mutex_lock(&watch_lock);
    while (!w->done && (!w->deltas[0].ptr || !strstr(w->deltas[0].ptr, text)))
        pthread_cond_wait(&watch_news, &watch_lock);
    pthread_mutex_unlock(&watch_lock);
}

/* A line of the step waits for a release that never comes. */
static void a_cancel_ends_any_step(void **state)
{
    (void)state;
    static const struct {
        const char *message, *told;
        int lines;
    } cases[] = {
        { "/vote 1 @1", "Line 1 found", 2 },
        { "/vote 1 1 @1", "Line 2 found", 3 },
        { "/vote 1 2 3 @4 5 6", "Line 3 found", 6 },
        { "/vote 1 2 3 4 5 6 7 @8 9 10", "Line 7 found", 10 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conductor *c = watch_open(4, 8);
        struct watch *w = mem_zalloc(sizeof *w);
        struct watch_route route;
        struct job_spec spec = watch_spec_route(c, cases[i].message, 0, false, &route);
        struct err err = { 0 };
        spec.summary = SUMMARY_CONCISE;
        assert_int_equal(ERR_OK, watch_submit(w, c, &spec, &err));
        wait_told(w, cases[i].told);
        job_cancel(c, w->id);
        watch_wait(w);
        assert_int_equal(JOB_CANCELLED, w->status);
        int lines = -2; /* the first is of the whole, and a break is behind the last */
        for (const char *p = w->trace.ptr; p; p = strchr(p + 1, '\n'))
            lines++;
        assert_int_equal(cases[i].lines, lines);
        assert_int_equal(engine_tokens_generated(conductor_engine(c)), w->output_tokens);
        engine_prompt_unref(spec.prompt);
        watch_close(c);
        watch_free(w);
        mem_free(w);
    }
}

/* --- stops in the middle -------------------------------------------------------------------------------------- */

/* A line of the step waits for a release. */
static void a_step_goes_on_as_if_nothing_had_been(void **state)
{
    (void)state;
    static const struct {
        const char *message, *heard;
    } cases[] = {
        { "/vote 7 @7 7", "Line 1:" },                                             /* a sample */
        { "/vote 7 7 @7", "Line 2 found" },                                        /* the third */
        { "/vote 7 7 @8 7 7 9", "Line 2 found" },                                  /* and then three more */
        { "/vote 7 8 9 @9 9 9", "Line 3 found" },                                  /* four at once */
        { "/vote 7 8 1 2 3 4 5 @5 5 5", "Line 7 found" },                          /* the vote */
        { "/vote 7 8 1 2 3 4 1 2 3 4 @1 1 1 1 1 1 1 1 1 1 1 1", "Line 10 found" }, /* its second wave */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena = { 0 };
        struct str want = { 0 };
        for (int stops = 0; stops < 3; stops++) {
            struct str got = shelf_run_held(SHELF_ROUTE, cases[i].message, cases[i].heard, stops, &arena);
            if (stops == 0)
                want = got;
            if (!str_eq(want, got))
                fail_msg("case %zu, %d stops: %.*s, not %.*s", i, stops, STR_ARG(got), STR_ARG(want));
        }
        arena_free(&arena);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_way_has_its_tokens),   cmocka_unit_test(streams_never_meet),
    cmocka_unit_test(the_total_is_never_passed), cmocka_unit_test(a_cancel_may_come_at_any_moment),
    cmocka_unit_test(a_cancel_ends_any_step),    cmocka_unit_test(a_step_goes_on_as_if_nothing_had_been),
};
TEST_GROUP(job_route, tests)
