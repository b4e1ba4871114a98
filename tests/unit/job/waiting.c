/*
 * waiting.c - background jobs over a store: announced, claimed, run; watched and cancelled at any moment; a stop, a start
 * again and a full disk in the middle.
 *
 * Nothing here waits by sleeping: "/hold N" of the echo engine stops a job where it is to be looked at, the gate of the
 * reviver one that is claimed. A limit on the size of files stands for a full disk, as it can be lifted again.
 */
#include "base/rng.h"
#include "base/thread.h"
#include "job/shelf.h"
#include "store/fresh.h"
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static void release_holds(struct shelf *s)
{
    struct watch *w = mem_zalloc(sizeof *w);
    watch_run(w, s->c, "/release", EFFORT_NONE, 0);
    watch_free(w);
    mem_free(w);
}

static void expect_over(struct shelf *s, const char *name, enum store_status status, const char *response)
{
    struct arena arena = { 0 };
    struct store_job row = shelf_row(s, name, true, &arena);
    assert_int_equal(row.status, status);
    if (response && !str_is(row.response, response))
        fail_msg("%s: '%.*s' is not '%s'", name, STR_ARG(row.response), response);
    shelf_events(s, name, &arena);
    arena_free(&arena);
}

static void runs_what_is_announced(void **state)
{
    (void)state;
    struct shelf s;
    char name[16];
    shelf_open(&s, NULL, 3, 100);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "job_%d", i);
        shelf_accept(&s, name, 1, "two words");
    }
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "job_%d", i);
        expect_over(&s, name, STORE_COMPLETED, "[two words]");
    }
    assert_int_equal(s.revived, 20);
    assert_true(s.most <= 3); /* background_max */
    assert_int_equal(store_waiting(s.store), 0);
    shelf_free(&s);
}

static void the_queue_has_a_bound(void **state)
{
    (void)state;
    struct shelf s;
    struct err err;
    shelf_open(&s, NULL, 1, 3);
    shelf_accept(&s, "runs", 1, "/hold 1");
    struct listener l = { 0 };
    listener_watch(&l, &s, "runs", 2);
    listener_wait_events(&l, 5); /* it runs: its place among those that wait is free */
    for (int i = 0; i < 3; i++)
        assert_int_equal(job_reserve(s.c, &err), ERR_OK);
    assert_int_equal(job_reserve(s.c, &err), ERR_BUSY);
    job_unreserve(s.c);
    assert_int_equal(job_reserve(s.c, &err), ERR_OK);
    for (int i = 0; i < 3; i++)
        job_unreserve(s.c);
    release_holds(&s);
    listener_wait(&l);
    assert_int_equal(l.why, WATCH_OVER);
    assert_int_equal(l.ends, 1);
    listener_free(&l);
    shelf_free(&s);
}

/* --- watchers ------------------------------------------------------------------------------------------------- */

static void watchers_before_during_late_and_after(void **state)
{
    (void)state;
    struct shelf s;
    struct arena arena = { 0 };
    struct listener before = { 0 }, during = { 0 }, late = { 0 }, left = { 0 }, after = { 0 };
    shelf_open(&s, NULL, 1, 10);
    shelf_gate(&s, true);
    shelf_accept(&s, "job", 1, "/hold 1000");
    listener_watch(&before, &s, "job", 2);
    shelf_gate(&s, false);
    listener_wait_events(&before, 1000); /* stored, all of them: so the first are no longer in memory */
    listener_watch(&late, &s, "job", 2);
    listener_wait(&late);
    assert_int_equal(late.why, WATCH_BEHIND);
    assert_int_equal(late.n, 0);
    listener_watch(&during, &s, "job", 990);
    listener_watch(&left, &s, "job", 2000);
    job_unwatch(s.c, STR("job"), &left);
    listener_wait(&left);
    assert_int_equal(left.why, WATCH_LEFT);
    job_unwatch(s.c, STR("job"), &left); /* it is not there any more */
    release_holds(&s);
    listener_wait(&before);
    listener_wait(&during);
    assert_int_equal(before.why, WATCH_OVER);
    assert_int_equal(during.why, WATCH_OVER);
    assert_int_equal(during.first, 990);
    const char *all = shelf_events(&s, "job", &arena);
    assert_true(strlen(all) > before.events.len);
    assert_string_equal(all + strlen(all) - before.events.len, before.events.ptr);
    assert_string_equal(all + strlen(all) - during.events.len, during.events.ptr);
    listener_watch(&after, &s, "job", 2);
    listener_wait(&after);
    assert_int_equal(after.why, WATCH_ABSENT);
    assert_true(before.ends == 1 && during.ends == 1 && late.ends == 1 && left.ends == 1 && after.ends == 1);
    listener_free(&before);
    listener_free(&during);
    arena_free(&arena);
    shelf_free(&s);
}

/* --- cancels -------------------------------------------------------------------------------------------------- */

static void cancelled_while_it_waits(void **state)
{
    (void)state;
    struct shelf s;
    struct listener runs = { 0 }, waits = { 0 };
    struct canceller k = { 0 }, again = { 0 };
    shelf_open(&s, NULL, 1, 10);
    shelf_accept(&s, "runs", 1, "/hold 1");
    listener_watch(&runs, &s, "runs", 2);
    listener_wait_events(&runs, 5);
    shelf_accept(&s, "waits", 1, "word");
    listener_watch(&waits, &s, "waits", 2);
    canceller_cancel(&k, &s, "waits");
    assert_int_equal(canceller_wait(&k), CANCEL_WAITS);
    struct store_tx *tx = store_tx_open();
    store_tx_end(tx, STR("waits"), STORE_CANCELLED, 1, STR("never ran"), true);
    commit(s.store, tx, ERR_OK);
    job_forget(s.c, STR("waits"));
    listener_wait(&waits);
    assert_int_equal(waits.why, WATCH_ABSENT);
    canceller_cancel(&again, &s, "waits");
    assert_int_equal(canceller_wait(&again), CANCEL_ABSENT);
    release_holds(&s);
    expect_over(&s, "runs", STORE_COMPLETED, NULL);
    expect_over(&s, "waits", STORE_CANCELLED, "never ran");
    assert_int_equal(s.revived, 1);
    listener_wait(&runs);
    listener_free(&runs);
    listener_free(&waits);
    shelf_free(&s);
}

static void cancelled_while_it_is_built_runs_and_after(void **state)
{
    (void)state;
    struct shelf s;
    struct listener l = { 0 };
    struct canceller built = { 0 }, runs = { 0 }, twice = { 0 }, over = { 0 };
    shelf_open(&s, NULL, 2, 10);
    shelf_gate(&s, true);
    shelf_accept(&s, "built", 1, "/endless");
    shelf_wait_gated(&s);
    canceller_cancel(&built, &s, "built");
    shelf_gate(&s, false);
    assert_int_equal(canceller_wait(&built), CANCEL_OVER);
    expect_over(&s, "built", STORE_CANCELLED, NULL);
    shelf_accept(&s, "runs", 1, "/hold 3");
    listener_watch(&l, &s, "runs", 2);
    listener_wait_events(&l, 8);
    canceller_cancel(&runs, &s, "runs");
    canceller_cancel(&twice, &s, "runs");
    assert_int_equal(canceller_wait(&runs), CANCEL_OVER);
    canceller_wait(&twice); /* it came while the end was stored, or behind it */
    assert_true(twice.what == CANCEL_OVER || twice.what == CANCEL_ABSENT);
    expect_over(&s, "runs", STORE_CANCELLED, NULL);
    canceller_cancel(&over, &s, "runs");
    assert_int_equal(canceller_wait(&over), CANCEL_ABSENT);
    assert_true(built.told == 1 && runs.told == 1 && twice.told == 1 && over.told == 1);
    listener_wait(&l);
    listener_free(&l);
    shelf_free(&s);
}

/* A row that goes while its job runs: the job is nobody's any more, and ends. */
static void a_row_that_is_gone_ends_its_job(void **state)
{
    (void)state;
    struct shelf s;
    struct listener l = { 0 };
    shelf_open(&s, NULL, 2, 10);
    shelf_accept(&s, "job", 1, "/endless");
    listener_watch(&l, &s, "job", 2);
    listener_wait_events(&l, 3);
    struct store_tx *tx = store_tx_open();
    store_tx_end(tx, STR("job"), STORE_FAILED, 1, STR("another's"), false);
    commit(s.store, tx, ERR_OK);
    listener_wait(&l);
    assert_int_equal(l.ends, 1);
    expect_over(&s, "job", STORE_FAILED, "another's");
    listener_free(&l);
    shelf_free(&s);
}

/* --- what the reviver refuses ------------------------------------------------------------------------------------ */

static void set_refuse(struct shelf *s, enum err_code code)
{
    pthread_mutex_lock(&watch_lock);
    s->refuse = code;
    pthread_mutex_unlock(&watch_lock);
}

/* No other job runs here that could make it be asked again by its end. */
static void refused_for_now_it_waits_again(void **state)
{
    static const enum err_code codes[] = { ERR_BUSY, ERR_STORE };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        struct shelf s;
        struct canceller k = { 0 };
        shelf_open(&s, NULL, 2, 10);
        shelf_gate(&s, true);
        set_refuse(&s, codes[i]);
        shelf_accept(&s, "job", 1, "two words");
        shelf_accept(&s, "cancelled", 1, "two words");
        shelf_wait_gated(&s);
        canceller_cancel(&k, &s, "job");
        shelf_gate(&s, false);
        assert_int_equal(canceller_wait(&k), CANCEL_WAITS); /* nobody holds it until it gets its place */
        set_refuse(&s, ERR_OK);
        expect_over(&s, "job", STORE_COMPLETED, "[two words]");
        expect_over(&s, "cancelled", STORE_COMPLETED, "[two words]");
        shelf_free(&s);
    }
}

/* --- closing ---------------------------------------------------------------------------------------------------- */

static const char *undisturbed(const char *name, size_t choices, const char *message, struct arena *arena)
{
    struct shelf s;
    struct listener l = { 0 };
    shelf_open(&s, NULL, 2, 10);
    shelf_accept(&s, name, choices, message);
    listener_watch(&l, &s, name, 2);
    listener_wait(&l);
    shelf_row(&s, name, true, arena);
    const char *events = shelf_events(&s, name, arena);
    listener_free(&l);
    shelf_free(&s);
    return events;
}

/* Thousands of tokens, of which an engine that is not waited for writes a thousand ahead: so each stop finds it half-way. */
#define LONG  "/random 60000"
#define STOPS 4

#define TRIES 20

/* Stopped STOPS times, and it came out as if it had not been. Returns in how many of them it was half-way. */
static int stop_often(const char *want, struct arena *arena)
{
    struct shelf s;
    int stops = 0;
    shelf_open(&s, fresh_path(), 2, 10);
    shelf_accept(&s, "job", 1, LONG);
    for (int i = 0; i < STOPS; i++) {
        struct listener l = { 0 };
        struct arena round = { 0 };
        listener_watch(&l, &s, "job", shelf_row(&s, "job", false, &round).events);
        listener_wait_events(&l, 40);
        shelf_close(&s);
        assert_int_equal(l.ends, 1);
        shelf_reopen(&s);
        stops += shelf_row(&s, "job", false, &round).status <= STORE_IN_PROGRESS;
        listener_free(&l);
        arena_free(&round);
    }
    expect_over(&s, "job", STORE_COMPLETED, NULL);
    assert_true(strcmp(shelf_events(&s, "job", arena), want) == 0);
    shelf_free(&s);
    return stops;
}

static void goes_on_where_a_stop_left_it(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    const char *want = undisturbed("job", 1, LONG, &arena);
    int stops = 0;
    for (int i = 0; i < TRIES && stops == 0; i++) /* a busy machine may wake this thread behind its end */
        stops = stop_often(want, &arena);
    assert_true(stops > 0);
    arena_free(&arena);
}

/* A call's items, ids and deltas are the same behind a stop in its middle, as most are: nothing holds the job there. */
static void a_call_goes_on(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct shelf s;
    struct buf call = { 0 };
    struct listener l = { 0 };
    buf_puts(&call, "I look. <tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [0");
    for (int i = 1; i < 20000; i++)
        buf_printf(&call, ", %d", i % 10);
    buf_puts(&call, "]}}\n</tool_call>\n<tool_call>\n{\"name\": \"say\", \"arguments\": {\"input\": "
                    "\"x\"}}\n</tool_call>");
    const char *want = undisturbed("job", 1, call.ptr, &arena);
    shelf_open(&s, fresh_path(), 2, 10);
    shelf_accept(&s, "job", 1, call.ptr);
    listener_watch(&l, &s, "job", 2);
    listener_wait_events(&l, 200);
    shelf_close(&s);
    shelf_reopen(&s);
    struct str got = shelf_row(&s, "job", true, &arena).response;
    assert_true(str_starts(got, STR("[I look.]fc_")));
    assert_true(str_find(got, STR(" say(x)")) != SIZE_MAX);
    assert_true(strcmp(shelf_events(&s, "job", &arena), want) == 0);
    listener_free(&l);
    shelf_free(&s);
    buf_free(&call);
    arena_free(&arena);
}

static void choices_go_on_each_for_itself(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct shelf s, calm;
    struct listener l = { 0 };
    shelf_open(&calm, NULL, 2, 10);
    shelf_accept(&calm, "job", 5, "/random 20000");
    struct str want = shelf_row(&calm, "job", true, &arena).response;
    shelf_open(&s, fresh_path(), 2, 10);
    shelf_accept(&s, "job", 5, "/random 20000");
    listener_watch(&l, &s, "job", 2);
    listener_wait_events(&l, 300);
    shelf_close(&s);
    shelf_reopen(&s);
    assert_int_equal(shelf_row(&s, "job", false, &arena).status, STORE_IN_PROGRESS);
    const char *before = shelf_events(&s, "job", &arena);
    struct str got = shelf_row(&s, "job", true, &arena).response;
    assert_true(str_eq(got, want));
    const char *after = shelf_events(&s, "job", &arena);
    assert_memory_equal(after, before,
                        strlen(before)); /* what was told stays, in the order in which it was heard */
    assert_non_null(strstr(after, l.events.ptr));
    listener_free(&l);
    shelf_free(&s);
    shelf_free(&calm);
    arena_free(&arena);
}

static void a_stop_tells_everybody_who_waits(void **state)
{
    (void)state;
    struct shelf s;
    struct arena arena = { 0 };
    struct listener runs = { 0 }, waits = { 0 };
    struct canceller late = { 0 };
    struct kept plain;
    shelf_open(&s, fresh_path(), 1, 10);
    shelf_accept(&s, "runs", 1, "/hold 3");
    listener_watch(&runs, &s, "runs", 2);
    listener_wait_events(&runs, 8);
    shelf_accept(&s, "waits", 1, "two words");
    listener_watch(&waits, &s, "waits", 2);
    kept_submit(&plain, &s, "plain", "/hold 2", true);
    listener_wait_events(&plain.heard, 4);
    conductor_stop(s.c);
    assert_int_equal(runs.why, WATCH_STOPPED);
    assert_int_equal(waits.why, WATCH_STOPPED);
    assert_int_equal(plain.done, 1);
    assert_int_equal(plain.status, JOB_CANCELLED);
    canceller_cancel(&late, &s, "runs"); /* in vain, and told so */
    assert_int_equal(canceller_wait(&late), CANCEL_STOPPED);
    job_announce(s.c, STR("waits"));
    shelf_close(&s);
    assert_true(runs.ends == 1 && waits.ends == 1 && plain.heard.ends == 1);
    shelf_reopen(&s);
    assert_int_equal(shelf_row(&s, "plain", false, &arena).status, STORE_CANCELLED);
    release_holds(&s);
    expect_over(&s, "runs", STORE_COMPLETED, NULL);
    expect_over(&s, "waits", STORE_COMPLETED, "[two words]");
    listener_free(&runs);
    listener_free(&waits);
    kept_free(&plain);
    arena_free(&arena);
    shelf_free(&s);
}

/* Claimed, and the server stops before they are built: that was no start, however often it happens. */
static void a_stop_before_the_start_does_not_count(void **state)
{
    (void)state;
    struct shelf s;
    struct arena arena = { 0 };
    shelf_open(&s, fresh_path(), 8, 10);
    shelf_gate(&s, true);
    set_refuse(&s, ERR_BUSY);
    shelf_accept(&s, "job", 1, "two words");
    shelf_accept(&s, "other", 1, "two words");
    for (int i = 0; i < 4; i++) {
        shelf_wait_gated(&s);
        shelf_gate(&s, false);
        shelf_close(&s);
        shelf_gate(&s, true);
        shelf_reopen(&s);
    }
    set_refuse(&s, ERR_OK);
    shelf_gate(&s, false);
    expect_over(&s, "job", STORE_COMPLETED, "[two words]");
    expect_over(&s, "other", STORE_COMPLETED, "[two words]");
    assert_true(shelf_row(&s, "job", true, &arena).restarts <= 1);
    assert_true(shelf_row(&s, "other", true, &arena).restarts <= 1);
    arena_free(&arena);
    shelf_free(&s);
}

/* --- a full disk -------------------------------------------------------------------------------------------------- */

static struct rlimit no_limit;

static void fill_disk(void)
{
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &no_limit);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 4096, no_limit.rlim_max });
}

static void make_room(void)
{
    setrlimit(RLIMIT_FSIZE, &no_limit);
    signal(SIGXFSZ, SIG_DFL);
}

static void background_jobs_wait_for_room(void **state)
{
    (void)state;
    struct shelf s;
    struct listener l = { 0 };
    struct canceller k = { 0 };
    shelf_open(&s, fresh_path(), 2, 10);
    shelf_accept(&s, "runs", 1, "/hold 3");
    listener_watch(&l, &s, "runs", 2);
    listener_wait_events(&l, 8);
    shelf_accept(&s, "stopped", 1, "/hold 3");
    struct listener stopped = { 0 };
    listener_watch(&stopped, &s, "stopped", 2);
    listener_wait_events(&stopped, 8);
    shelf_accept(&s, "waits", 1, "two words"); /* there is no room beside the two */
    fill_disk();
    canceller_cancel(&k, &s, "stopped");
    enum job_cancelled what = canceller_wait(&k); /* it is not left waiting for the disk */
    release_holds(&s);
    int ends = listener_ends(&l) + listener_ends(&stopped);
    make_room();
    assert_int_equal(what, CANCEL_UNSTORED);
    assert_int_equal(ends, 0); /* nobody hears of an end that is not stored */
    expect_over(&s, "runs", STORE_COMPLETED, NULL);
    expect_over(&s, "stopped", STORE_CANCELLED, NULL);
    expect_over(&s, "waits", STORE_COMPLETED, "[two words]");
    listener_wait(&l);
    listener_wait(&stopped);
    assert_true(l.why == WATCH_OVER && l.ends == 1 && stopped.ends == 1 && k.told == 1);
    listener_free(&l);
    listener_free(&stopped);
    shelf_free(&s);
}

/* The claim itself cannot be written: it is tried again though nothing else happens here. */
static void a_claim_that_failed_is_tried_again(void **state)
{
    (void)state;
    struct shelf s;
    shelf_open(&s, fresh_path(), 1, 10);
    struct listener l = { 0 };
    struct canceller k = { 0 };
    shelf_accept(&s, "runs", 1, "/hold 3");
    listener_watch(&l, &s, "runs", 2);
    listener_wait_events(&l, 8);
    shelf_accept(&s, "waits", 1, "two words");
    struct store_tx *tx = store_tx_open();
    store_tx_end(tx, STR("runs"), STORE_CANCELLED, 1, STR("gone"), false);
    commit(s.store, tx, ERR_OK);
    fill_disk();
    canceller_cancel(&k, &s, "runs"); /* gone from the store, so it leaves; and the next is to be claimed */
    canceller_wait(&k);
    listener_wait(&l);
    make_room();
    expect_over(&s, "waits", STORE_COMPLETED, "[two words]");
    listener_free(&l);
    shelf_free(&s);
}

static void interactive_jobs_hear_of_it(void **state)
{
    (void)state;
    struct shelf s;
    struct kept plain, streamed;
    shelf_open(&s, fresh_path(), 2, 10);
    fill_disk();
    kept_submit(&plain, &s, "plain", "two words", false);
    kept_wait(&plain);
    kept_submit(&streamed, &s, "streamed", "/count 30", true);
    kept_wait(&streamed);
    make_room();
    assert_int_equal(plain.unstored.code, ERR_STORE);
    assert_non_null(strstr(plain.unstored.message, "full"));
    assert_int_equal(streamed.unstored.code, ERR_STORE);
    assert_int_equal(streamed.heard.ends, 1);
    assert_int_equal(streamed.heard.why, WATCH_STOPPED);
    char end[32];
    snprintf(end, sizeof end, " %d ", (int)JOB_EV_ENDED);
    for (const char *line = streamed.heard.events.ptr; line && *line; line = strchr(line, '\n') + 1)
        assert_false(strncmp(strchr(line, ' '), end, strlen(end)) == 0); /* no end that is not stored */
    kept_free(&plain);
    kept_free(&streamed);
    kept_submit(&plain, &s, "plain", "two words", false);
    kept_wait(&plain);
    assert_int_equal(plain.unstored.code, ERR_OK);
    expect_over(&s, "plain", STORE_COMPLETED, "[two words]");
    kept_free(&plain);
    shelf_free(&s);
}

/* --- many ---------------------------------------------------------------------------------------------------------- */

#define MANY         150
#define MANY_THREADS 3

struct many {
    struct shelf *s;
    uint64_t seed;
    int first;
    struct listener listeners[MANY];
    struct canceller cancellers[MANY];
    int listened, cancelled;
};

static void disturb(void *ctx)
{
    struct many *m = ctx;
    struct rng r;
    char name[16];
    rng_init(&r, m->seed, 0);
    for (int i = 0; i < MANY / MANY_THREADS; i++) {
        static const char *const messages[] = { "/random 20", "a few words", "/endless", "/fail",
                                                "/count 9" };
        size_t which = rng_below(&r, ARRAY_LEN(messages));
        snprintf(name, sizeof name, "job_%d", m->first + i * MANY_THREADS);
        shelf_accept(m->s, name, 1 + rng_below(&r, 3), messages[which]);
        int any = m->first + (int)rng_below(&r, (uint64_t)i + 1) * MANY_THREADS;
        char other[16];
        snprintf(other, sizeof other, "job_%d", any);
        if (rng_below(&r, 2)) {
            struct listener *l = &m->listeners[m->listened++];
            listener_watch(l, m->s, other, (int64_t)rng_below(&r, 10));
            if (rng_below(&r, 4) == 0)
                job_unwatch(m->s->c, str_from(other), l);
        }
        if (rng_below(&r, 3) == 0)
            canceller_cancel(&m->cancellers[m->cancelled++], m->s, other);
    }
}

/* What is still endless is cancelled, as the API does it: ended in the store where it waits. */
static void end_all(struct shelf *s)
{
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "job_%d", i);
        for (;;) {
            struct canceller k = { 0 };
            canceller_cancel(&k, s, name);
            enum job_cancelled what = canceller_wait(&k);
            if (what != CANCEL_WAITS)
                break;
            struct err err;
            struct store_tx *tx = store_tx_open();
            store_tx_end(tx, str_from(name), STORE_CANCELLED, 1, STR("waited"), true);
            if (store_commit_wait(s->store, tx, &err) == ERR_OK)
                job_forget(s->c, str_from(name));
        }
    }
}

static void each_callback_comes_exactly_once(void **state)
{
    (void)state;
    struct shelf s;
    struct many *many = mem_array(MANY_THREADS, sizeof *many);
    struct thread threads[MANY_THREADS];
    shelf_open(&s, NULL, 5, MANY);
    for (int i = 0; i < MANY_THREADS; i++) {
        many[i] = (struct many){ .s = &s, .seed = 40 + (uint64_t)i, .first = i };
        thread_start(&threads[i], "disturb", disturb, &many[i]);
    }
    for (int i = 0; i < MANY_THREADS; i++)
        thread_join(&threads[i]);
    end_all(&s);
    for (int i = 0; i < MANY; i++) {
        char name[16];
        snprintf(name, sizeof name, "job_%d", i);
        struct arena arena = { 0 };
        expect_over(&s, name, shelf_row(&s, name, true, &arena).status, NULL);
        arena_free(&arena);
    }
    conductor_stop(s.c); /* no callback comes behind this */
    for (int t = 0; t < MANY_THREADS; t++) {
        for (int i = 0; i < many[t].listened; i++) {
            assert_int_equal(many[t].listeners[i].ends, 1);
            assert_null(many[t].listeners[i].wrong);
            listener_free(&many[t].listeners[i]);
        }
        for (int i = 0; i < many[t].cancelled; i++)
            assert_int_equal(many[t].cancellers[i].told, 1);
    }
    assert_true(s.most <= 5);
    assert_int_equal(store_waiting(s.store), 0);
    shelf_free(&s);
    mem_free(many);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(runs_what_is_announced),
    cmocka_unit_test(the_queue_has_a_bound),
    cmocka_unit_test(watchers_before_during_late_and_after),
    cmocka_unit_test(cancelled_while_it_waits),
    cmocka_unit_test(cancelled_while_it_is_built_runs_and_after),
    cmocka_unit_test(a_row_that_is_gone_ends_its_job),
    cmocka_unit_test(refused_for_now_it_waits_again),
    cmocka_unit_test(goes_on_where_a_stop_left_it),
    cmocka_unit_test(a_call_goes_on),
    cmocka_unit_test(choices_go_on_each_for_itself),
    cmocka_unit_test(a_stop_tells_everybody_who_waits),
    cmocka_unit_test(a_stop_before_the_start_does_not_count),
    cmocka_unit_test(background_jobs_wait_for_room),
    cmocka_unit_test(a_claim_that_failed_is_tried_again),
    cmocka_unit_test(interactive_jobs_hear_of_it),
    cmocka_unit_test(each_callback_comes_exactly_once),
};
TEST_GROUP(job_waiting, tests)
