/*
 * conductor.c - many jobs at once: bounds, cancels at any moment, closing, and every token counted once.
 */
#include "base/rng.h"
#include "base/thread.h"
#include "test.h"
#include "watch.h"

#include <stdatomic.h>
#include <stdio.h>

static void submit(struct watch *w, struct conductor *c, const char *message)
{
    struct job_spec spec = watch_spec(c, message, EFFORT_LOW, 0);
    struct err err = { 0 };
    if (watch_submit(w, c, &spec, &err))
        fail_msg("%s", err.message);
    engine_prompt_unref(spec.prompt);
}

static void more_than_jobs_max_is_busy(void **state)
{
    (void)state;
    struct conductor *c = watch_open(2, 8);
    struct watch *w = mem_array(4, sizeof *w);
    struct err err = { 0 };
    submit(&w[0], c, "/hold 1");
    submit(&w[1], c, "/hold 1");
    struct job_spec spec = watch_spec(c, "word", EFFORT_LOW, 0);
    assert_int_equal(watch_submit(&w[2], c, &spec, &err), ERR_BUSY);
    assert_int_equal(err_status(err.code), 503);
    assert_int_equal(conductor_jobs(c), 2);
    job_cancel(c, w[0].id);
    watch_wait(&w[0]);
    assert_int_equal(watch_submit(&w[3], c, &spec, &err),
                     ERR_OK); /* its place is free when its end is heard */
    watch_wait(&w[3]);
    assert_int_equal(w[3].status, JOB_COMPLETED);
    assert_int_equal(w[2].next_number, 0); /* the refused one heard nothing */
    engine_prompt_unref(spec.prompt);
    watch_close(c);
    for (size_t i = 0; i < 4; i++)
        watch_free(&w[i]);
    mem_free(w);
}

/* So that the engine takes every choice of an accepted job: it never lets more than these wait. */
static void more_choices_than_may_wait_are_busy(void **state)
{
    (void)state;
    enum { JOBS = ENGINE_WAITING_MAX / JOB_CHOICES_MAX };
    struct conductor *c = watch_open(2 * JOBS, 1);
    struct watch *w = mem_array(3, sizeof *w);
    struct job_spec spec = watch_spec(c, "/hold 0", EFFORT_NONE, 0);
    struct err err = { 0 };
    uint64_t ids[JOBS];
    spec.choices = JOB_CHOICES_MAX;
    assert_int_equal(watch_submit(&w[0], c, &spec, &err), ERR_OK);
    for (size_t i = 1; i < JOBS; i++)
        assert_int_equal(job_submit(c, &spec, watch_silent(), &ids[i], &err), ERR_OK);
    spec.choices = 1;
    assert_int_equal(watch_submit(&w[1], c, &spec, &err), ERR_BUSY);
    assert_int_equal(conductor_jobs(c), JOBS);
    job_cancel(c, w[0].id);
    watch_wait(&w[0]);
    assert_int_equal(watch_submit(&w[2], c, &spec, &err), ERR_OK);
    engine_prompt_unref(spec.prompt);
    watch_close(c);
    for (size_t i = 0; i < 3; i++)
        watch_free(&w[i]);
    mem_free(w);
}

static void close_cancels_what_runs(void **state)
{
    (void)state;
    struct conductor *c = watch_open(100, 4);
    struct watch *w = mem_array(10, sizeof *w);
    for (size_t i = 0; i < 10; i++) /* four run, six wait */
        submit(&w[i], c, i % 2 ? "/hold 2" : "/endless");
    watch_wait_tokens(&w[0], 1);
    conductor_close(c);
    for (size_t i = 0; i < 10; i++) {
        assert_true(w[i].done);
        assert_null(w[i].wrong);
        assert_int_equal(w[i].status, JOB_CANCELLED);
        watch_free(&w[i]);
    }
    mem_free(w);
    conductor_close(NULL);
}

static void one_failed_choice_fails_the_job(void **state)
{
    (void)state;
    struct conductor *c = watch_open(4, 2); /* two of the choices wait, and are never begun */
    struct watch *w = mem_zalloc(sizeof *w);
    struct job_spec spec = watch_spec(c, "/fail", EFFORT_NONE, 0);
    struct err err;
    spec.choices = 4;
    assert_int_equal(watch_submit(w, c, &spec, &err), ERR_OK);
    watch_wait(w);
    assert_int_equal(w->status, JOB_FAILED);
    assert_int_equal(w->choices_done, 4);
    engine_prompt_unref(spec.prompt);
    watch_close(c);
    watch_free(w);
    mem_free(w);
}

/* --- hundreds of jobs, cancelled at random --------------------------------------------------------- */

#define STRESS_JOBS    300
#define STRESS_THREADS 3

struct stress {
    struct conductor *c;
    struct watch *watches; /* [STRESS_JOBS] */
    uint64_t seed;
    size_t first;
};

/* Each thread submits its share, cancelling a random earlier one of its own now and then. */
static void stress_run(void *ctx)
{
    static const char *const messages[] = {
        "/count 20", "a few words to think about", "/fail", "/random 15", "/endless", "/hold 3", "/ponder"
    };
    struct stress *s = ctx;
    struct rng r;
    rng_init(&r, s->seed, 0);
    for (size_t i = s->first; i < STRESS_JOBS; i += STRESS_THREADS) {
        const char *message = messages[rng_below(&r, ARRAY_LEN(messages))];
        struct job_spec spec = watch_spec(s->c, message, (enum effort)rng_below(&r, EFFORT_COUNT),
                                          (int64_t)(1 + rng_below(&r, 200)));
        struct err err;
        spec.choices = 1 + rng_below(&r, 4);
        spec.summary = (enum summary)rng_below(&r, 4);
        spec.seed = i;
        if (watch_submit(&s->watches[i], s->c, &spec, &err))
            s->watches[i].wrong = "refused";
        engine_prompt_unref(spec.prompt);
        size_t other = s->first + STRESS_THREADS * rng_below(&r, (i - s->first) / STRESS_THREADS + 1);
        if (rng_below(&r, 3) == 0)
            job_cancel(s->c, s->watches[other].id);
    }
    for (size_t i = s->first; i < STRESS_JOBS; i += STRESS_THREADS)
        job_cancel(s->c, s->watches[i].id);
}

static void each_ends_exactly_once(void **state)
{
    (void)state;
    struct conductor *c = watch_open(STRESS_JOBS, 16);
    struct watch *watches = mem_array(STRESS_JOBS, sizeof *watches);
    struct stress stress[STRESS_THREADS];
    struct thread threads[STRESS_THREADS];
    for (size_t i = 0; i < STRESS_THREADS; i++) {
        stress[i] = (struct stress){ c, watches, 100 + i, i };
        thread_start(&threads[i], "stress", stress_run, &stress[i]);
    }
    for (size_t i = 0; i < STRESS_THREADS; i++)
        thread_join(&threads[i]);
    int64_t tokens = 0;
    for (size_t i = 0; i < STRESS_JOBS; i++) {
        watch_wait(&watches[i]);
        tokens += watches[i].output_tokens;
    }
    assert_int_equal(tokens, engine_tokens_generated(conductor_engine(c)));
    assert_int_equal(conductor_jobs(c), 0);
    watch_close(c);
    for (size_t i = 0; i < STRESS_JOBS; i++)
        watch_free(&watches[i]);
    mem_free(watches);
}

/* It has no sequences and no prompt, and ends as it starts, also where the engine has no room. */
static void a_job_that_only_compacts_asks_no_engine(void **state)
{
    (void)state;
    struct conductor *c = watch_open(2, 1);
    struct job_spec spec = { .choices = 1, .compaction = STR("sealed"), .compacts = true };
    struct watch held = { 0 };
    submit(&held, c, "/hold 1");
    for (int i = 0; i < 3; i++) { /* its place is given back each time */
        struct watch w = { 0 };
        struct err err = { 0 };
        assert_int_equal(watch_submit(&w, c, &spec, &err), ERR_OK);
        watch_wait(&w);
        assert_string_equal(watch_log(&w), "created\nstarted\nitem_added cmp\nitem_done\nended\n");
        assert_int_equal(w.status, JOB_COMPLETED);
        assert_int_equal(w.n_items, 1);
        assert_int_equal(w.kinds[0], JOB_COMPACTION);
        assert_true(w.complete[0]);
        assert_true(str_is(buf_str(&w.texts[0]), "sealed"));
        assert_int_equal(w.input_tokens + w.output_tokens, 0);
        watch_free(&w);
    }
    job_cancel(c, held.id);
    watch_wait(&held);
    watch_free(&held);
    watch_close(c);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(more_than_jobs_max_is_busy), cmocka_unit_test(more_choices_than_may_wait_are_busy),
    cmocka_unit_test(close_cancels_what_runs),    cmocka_unit_test(one_failed_choice_fails_the_job),
    cmocka_unit_test(each_ends_exactly_once),     cmocka_unit_test(a_job_that_only_compacts_asks_no_engine),
};
TEST_GROUP(job_conductor, tests)
