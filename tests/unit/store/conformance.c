/*
 * conformance.c - what every store does: each case runs on each row of store_backends.
 *
 * Cases are written against the front door only, so another implementation is a row in fresh.c and nothing here.
 */
#include "store/store.h"

#include "base/buf.h"
#include "base/mailbox.h"
#include "base/thread.h"
#include "store/fresh.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

struct fixture {
    struct store *store;
    struct arena arena;
    struct err err;
};

static int open_store(void **state)
{
    const struct backend *backend = *state;
    struct fixture *f = mem_zalloc(sizeof *f);
    *state = f;
    if (backend->open(&f->store, &f->err))
        print_message("# %s: %s\n", backend->name, f->err.message);
    return f->store ? 0 : -1;
}

static int close_store(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    arena_free(&f->arena);
    mem_free(f);
    return 0;
}

static struct store_job get(struct fixture *f, const char *id)
{
    struct store_job job;
    if (store_job_get(f->store, s(""), s(id), &job, &f->arena, &f->err))
        fail_msg("%s: %s", id, f->err.message);
    return job;
}

static void assert_str(struct str got, const char *want)
{
    if (!str_is(got, want))
        fail_msg("wanted '%s', got '%.*s'", want, STR_ARG(got));
}

/* --- jobs --------------------------------------------------------------------------------------------- */

static void a_job_reads_as_it_was_inserted(void **state)
{
    struct fixture *f = *state;
    static const char bytes[] = "nul \0 and \xff";
    struct store_job in = { .id = s("resp_1"),
                            .owner = s("anna"),
                            .status = STORE_IN_PROGRESS,
                            .created_ms = 1700000000123,
                            .previous = s("resp_0"),
                            .conversation = s("conv_1"),
                            .engine = s("model:1"),
                            .request = { bytes, sizeof bytes - 1 } };
    insert_job(f->store, in);
    struct store_job out = get(f, "resp_1");
    assert_str(out.id, "resp_1");
    assert_str(out.owner, "anna");
    assert_str(out.previous, "resp_0");
    assert_str(out.conversation, "conv_1");
    assert_str(out.engine, "model:1");
    assert_true(str_eq(out.request, in.request));
    assert_true(out.status == STORE_IN_PROGRESS && !out.background && out.response.len == 0);
    assert_true(out.created_ms == 1700000000123 && out.ended_ms == 0 && out.events == 0 && out.restarts == 0);
}

static void a_job_may_be_inserted_when_it_is_over(void **state)
{
    struct fixture *f = *state;
    struct store_job in = a_job("resp_1");
    in.background = false;
    in.status = STORE_FAILED;
    in.ended_ms = 2000;
    in.response = s("done");
    insert_job(f->store, in);
    struct store_job out = get(f, "resp_1");
    assert_true(out.status == STORE_FAILED && out.ended_ms == 2000);
    assert_str(out.response, "done");
    append_events(f->store, "resp_1", 0, 1, "", ERR_CONFLICT);
    assert_int_equal(store_waiting(f->store), 0);
}

static void owners_see_their_own(void **state)
{
    struct fixture *f = *state;
    struct store_job job;
    insert_job(f->store, a_job("resp_1"));
    assert_int_equal(store_job_get(f->store, s("anna"), s("resp_1"), &job, &f->arena, &f->err), ERR_OK);
    assert_int_equal(store_job_get(f->store, s(""), s("resp_1"), &job, &f->arena, &f->err), ERR_OK);
    assert_int_equal(store_job_get(f->store, s("ben"), s("resp_1"), &job, &f->arena, &f->err), ERR_NOT_FOUND);
    assert_int_equal(store_job_get(f->store, s("anna"), s("resp_2"), &job, &f->arena, &f->err),
                     ERR_NOT_FOUND);
    end_job(f->store, "resp_1", 2000);
    struct store_tx *tx = store_tx_open();
    store_tx_delete(tx, s("ben"), s("resp_1"));
    commit(f->store, tx, ERR_NOT_FOUND);
    get(f, "resp_1");
}

static void an_id_is_taken_once(void **state)
{
    struct fixture *f = *state;
    insert_job(f->store, a_job("resp_1"));
    struct store_job again = a_job("resp_1");
    again.owner = s("ben");
    struct store_tx *tx = store_tx_open();
    store_tx_insert(tx, &again);
    commit(f->store, tx, ERR_CONFLICT);
    assert_str(get(f, "resp_1").owner, "anna");
    assert_int_equal(store_waiting(f->store), 1);
}

static void a_status_goes_forwards_only(void **state)
{
    struct fixture *f = *state;
    insert_job(f->store, a_job("resp_1"));
    struct store_tx *tx = store_tx_open();
    store_tx_start(tx, s("resp_1"));
    commit(f->store, tx, ERR_OK);
    assert_int_equal(get(f, "resp_1").status, STORE_IN_PROGRESS);
    tx = store_tx_open();
    store_tx_start(tx, s("resp_1"));
    commit(f->store, tx, ERR_CONFLICT);
    end_job(f->store, "resp_1", 2000);
    for (int status = STORE_COMPLETED; status <= STORE_CANCELLED; status++) {
        tx = store_tx_open();
        store_tx_end(tx, s("resp_1"), (enum store_status)status, 3000, s("other"), false);
        commit(f->store, tx, ERR_CONFLICT);
    }
    tx = store_tx_open();
    store_tx_start(tx, s("resp_1"));
    commit(f->store, tx, ERR_CONFLICT);
    struct store_job job = get(f, "resp_1");
    assert_true(job.status == STORE_COMPLETED && job.ended_ms == 2000);
    assert_str(job.response, "{\"output\":[]}");
}

static void a_missing_job_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct str *events, text;
    size_t n;
    append_events(f->store, "gone", 0, 1, "", ERR_NOT_FOUND);
    struct store_tx *tx = store_tx_open();
    store_tx_start(tx, s("gone"));
    commit(f->store, tx, ERR_NOT_FOUND);
    tx = store_tx_open();
    store_tx_end(tx, s("gone"), STORE_FAILED, 1, s(""), false);
    commit(f->store, tx, ERR_NOT_FOUND);
    tx = store_tx_open();
    store_tx_item(tx, s("anna"), s("msg_1"), s("gone"));
    commit(f->store, tx, ERR_NOT_FOUND);
    tx = store_tx_open();
    store_tx_unclaim(tx, s("gone"));
    commit(f->store, tx, ERR_NOT_FOUND);
    assert_int_equal(store_job_events(f->store, s("gone"), 0, 9, 999, &events, &n, &f->arena, &f->err),
                     ERR_NOT_FOUND);
    assert_int_equal(store_job_journal(f->store, s("gone"), &text, &f->arena, &f->err), ERR_NOT_FOUND);
}

static void open_jobs_come_oldest_first(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *id;
        int64_t created_ms;
        bool background;
    } rows[] = { { "c", 30, true },  { "a", 10, true },  { "x", 5, false },
                 { "b1", 20, true }, { "b2", 20, true }, { "over", 1, true } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct store_job job = a_job(rows[i].id);
        job.created_ms = rows[i].created_ms;
        job.background = rows[i].background;
        job.status = job.background ? STORE_QUEUED : STORE_IN_PROGRESS;
        job.owner = s(i % 2 ? "anna" : "ben");
        insert_job(f->store, job);
    }
    end_job(f->store, "over", 50);
    struct store_job *jobs;
    size_t n;
    static const char *const want[] = { "a", "b1", "b2", "c" };
    assert_int_equal(store_jobs_open(f->store, true, &jobs, &n, &f->arena, &f->err), ERR_OK);
    assert_int_equal(n, ARRAY_LEN(want));
    for (size_t i = 0; i < n; i++)
        assert_str(jobs[i].id, want[i]);
    assert_int_equal(store_jobs_open(f->store, false, &jobs, &n, &f->arena, &f->err), ERR_OK);
    assert_int_equal(n, 1);
    assert_str(jobs[0].id, "x");
}

/* --- events and journal ------------------------------------------------------------------------------- */

static void expect_events(struct fixture *f, int64_t first, size_t limit, size_t bytes_max, size_t want)
{
    struct str *events;
    size_t n;
    assert_int_equal(
        store_job_events(f->store, s("resp_1"), first, limit, bytes_max, &events, &n, &f->arena, &f->err),
        ERR_OK);
    if (n != want)
        fail_msg("from %lld, limit %zu, bytes %zu: wanted %zu events, got %zu", (long long)first, limit,
                 bytes_max, want, n);
    for (size_t i = 0; i < n; i++)
        assert_str(events[i], arena_printf(&f->arena, "{\"n\":%lld}", (long long)first + (long long)i));
}

static void events_are_read_from_any_number(void **state)
{
    struct fixture *f = *state;
    insert_job(f->store, a_job("resp_1"));
    expect_events(f, 0, 10, 1000, 0);
    static const size_t groups[] = { 1, 3, 2, 4 };
    int64_t first = 0;
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        append_events(f->store, "resp_1", first, groups[i], "", ERR_OK);
        first += (int64_t)groups[i];
    }
    assert_int_equal(get(f, "resp_1").events, 10);
    for (int64_t from = 0; from <= 12; from++)
        for (size_t limit = 0; limit <= 12; limit++) {
            size_t there = from < 10 ? (size_t)(10 - from) : 0;
            expect_events(f, from, limit, SIZE_MAX, limit < there ? limit : there);
        }
}

static void events_stop_at_a_number_of_bytes(void **state)
{
    struct fixture *f = *state;
    insert_job(f->store, a_job("resp_1"));
    append_events(f->store, "resp_1", 0, 5, "", ERR_OK);
    append_events(f->store, "resp_1", 5, 5, "", ERR_OK);
    size_t one = strlen("{\"n\":0}");
    expect_events(f, 0, 10, 0, 1); /* at least one */
    expect_events(f, 3, 10, one, 1);
    expect_events(f, 3, 10, 2 * one - 1, 1);
    expect_events(f, 3, 10, 2 * one, 2);
    expect_events(f, 3, 10, 4 * one, 4);
    expect_events(f, 3, 3, 4 * one, 3);
    expect_events(f, 9, 10, 0, 1);
    expect_events(f, 10, 10, 0, 0);
}

static void empty_events_count(void **state)
{
    struct fixture *f = *state;
    struct str in[] = { s(""), s("x"), s(""), s("") }, *out;
    size_t n;
    insert_job(f->store, a_job("resp_1"));
    struct store_tx *tx = store_tx_open();
    store_tx_append(tx, s("resp_1"), 0, in, 4, s(""));
    store_tx_append(tx, s("resp_1"), 4, in, 1, s(""));
    commit(f->store, tx, ERR_OK);
    assert_int_equal(store_job_events(f->store, s("resp_1"), 0, 9, 999, &out, &n, &f->arena, &f->err),
                     ERR_OK);
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++)
        assert_str(out[i], i == 1 ? "x" : "");
}

static void event_numbers_have_no_gaps(void **state)
{
    struct fixture *f = *state;
    insert_job(f->store, a_job("resp_1"));
    append_events(f->store, "resp_1", 1, 1, "", ERR_CONFLICT);
    append_events(f->store, "resp_1", 0, 2, "", ERR_OK);
    append_events(f->store, "resp_1", 0, 2, "", ERR_CONFLICT);
    append_events(f->store, "resp_1", 1, 2, "", ERR_CONFLICT);
    append_events(f->store, "resp_1", 3, 2, "lost", ERR_CONFLICT);
    append_events(f->store, "resp_1", 2, 2, "", ERR_OK);
    end_job(f->store, "resp_1", 5);
    append_events(f->store, "resp_1", 4, 1, "", ERR_CONFLICT);
    expect_events(f, 0, 100, 1000, 4); /* they stay when the job is over */
}

static void the_journal_lasts_until_the_end(void **state)
{
    struct fixture *f = *state;
    struct str text;
    insert_job(f->store, a_job("resp_1"));
    insert_job(f->store, a_job("resp_2"));
    append_events(f->store, "resp_1", 0, 1, "ab", ERR_OK);
    append_events(f->store, "resp_2", 0, 1, "XY", ERR_OK);
    append_events(f->store, "resp_1", 1, 0, "cd", ERR_OK); /* a piece alone */
    append_events(f->store, "resp_1", 1, 1, "", ERR_OK);
    append_events(f->store, "resp_1", 2, 0, "e", ERR_OK);
    assert_int_equal(store_job_journal(f->store, s("resp_1"), &text, &f->arena, &f->err), ERR_OK);
    assert_str(text, "abcde");
    end_job(f->store, "resp_1", 5);
    assert_int_equal(store_job_journal(f->store, s("resp_1"), &text, &f->arena, &f->err), ERR_OK);
    assert_str(text, "");
    assert_int_equal(store_job_journal(f->store, s("resp_2"), &text, &f->arena, &f->err), ERR_OK);
    assert_str(text, "XY");
}

/* --- transactions ------------------------------------------------------------------------------------- */

static void a_transaction_is_whole_or_not_there(void **state)
{
    struct fixture *f = *state;
    struct store_job job;
    struct store_job one = a_job("resp_1"), two = a_job("resp_2");
    struct store_object o = an_object("file_1");
    struct store_tx *tx = store_tx_open();
    store_tx_insert(tx, &one);
    store_tx_append(tx, s("resp_1"), 0, (struct str[]){ s("a"), s("b") }, 2, s("j"));
    store_tx_object_put(tx, &o);
    store_tx_insert(tx, &two);
    store_tx_start(tx, s("nobody"));
    commit(f->store, tx, ERR_NOT_FOUND);
    assert_int_equal(store_job_get(f->store, s(""), s("resp_1"), &job, &f->arena, &f->err), ERR_NOT_FOUND);
    assert_int_equal(store_object_get(f->store, o.kind, o.owner, o.id, &o, &f->arena, &f->err),
                     ERR_NOT_FOUND);
    assert_int_equal(store_waiting(f->store), 0);
    tx = store_tx_open();
    store_tx_insert(tx, &one);
    store_tx_append(tx, s("resp_1"), 0, (struct str[]){ s("a"), s("b") }, 2, s("j"));
    store_tx_end(tx, s("resp_1"), STORE_COMPLETED, 9, s("r"), false);
    commit(f->store, tx, ERR_OK);
    assert_int_equal(get(f, "resp_1").events, 2);
    assert_int_equal(store_waiting(f->store), 0);
}

static void an_empty_transaction_is_fine(void **state)
{
    struct fixture *f = *state;
    commit(f->store, store_tx_open(), ERR_OK);
    store_commit(f->store, store_tx_open(), NULL, NULL);
    store_tx_close(store_tx_open());
    store_tx_close(NULL);
}

struct told {
    struct mailbox *box;
    int number;
};

static void tell(void *ctx, const struct err *err)
{
    struct told *t = ctx;
    mailbox_push(t->box, (int[]){ t->number, (int)err->code });
}

/* Enough that many share a group; every third fails, and its neighbours do not mind. */
static void done_comes_in_the_order_of_commits(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 600 };
    struct told told[COUNT];
    struct mailbox *box = mailbox_open(COUNT, sizeof(int[2]));
    for (int i = 0; i < COUNT; i++) {
        struct store_job job = a_job(arena_printf(&f->arena, "resp_%d", i % 3 == 2 ? i - 1 : i));
        struct store_tx *tx = store_tx_open();
        store_tx_insert(tx, &job);
        told[i] = (struct told){ box, i };
        store_commit(f->store, tx, tell, &told[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        int got[2];
        mailbox_take(box, got, -1);
        assert_int_equal(got[0], i);
        assert_int_equal(got[1], i % 3 == 2 ? ERR_CONFLICT : ERR_OK);
    }
    assert_int_equal(store_waiting(f->store), COUNT / 3 * 2);
    mailbox_close(box);
}

struct submitter {
    struct store *store;
    int number, failed;
};

#define SUBMITTERS 4
#define SUBMITTED  60

static void submit(void *ctx)
{
    struct submitter *me = ctx;
    for (int i = 0; i < SUBMITTED; i++) {
        char id[32];
        struct arena arena = { 0 };
        struct err err;
        struct store_job out;
        snprintf(id, sizeof id, "resp_%d_%d", me->number, i);
        struct store_job job = a_job(id);
        struct store_tx *tx = store_tx_open();
        store_tx_insert(tx, &job);
        store_tx_append(tx, s(id), 0, &job.request, 1, s("j"));
        /* What was acknowledged is there for every reader. */
        if (store_commit_wait(me->store, tx, &err) ||
            store_job_get(me->store, s(""), s(id), &out, &arena, &err) || out.events != 1)
            me->failed++;
        arena_free(&arena);
    }
}

static void many_threads_write_and_read(void **state)
{
    struct fixture *f = *state;
    struct thread threads[SUBMITTERS];
    struct submitter submitters[SUBMITTERS];
    for (int i = 0; i < SUBMITTERS; i++) {
        submitters[i] = (struct submitter){ f->store, i, 0 };
        thread_start(&threads[i], "submitter", submit, &submitters[i]);
    }
    for (int i = 0; i < SUBMITTERS; i++) {
        thread_join(&threads[i]);
        assert_int_equal(submitters[i].failed, 0);
    }
    assert_int_equal(store_waiting(f->store), SUBMITTERS * SUBMITTED);
}

/* --- claims ------------------------------------------------------------------------------------------- */

static void claims_take_the_oldest_once(void **state)
{
    struct fixture *f = *state;
    static const int64_t created[] = { 30, 10, 20 };
    struct store_job *jobs;
    for (int i = 0; i < 3; i++) {
        struct store_job job = a_job(arena_printf(&f->arena, "resp_%lld", (long long)created[i]));
        job.created_ms = created[i];
        insert_job(f->store, job);
    }
    struct store_job direct = a_job("direct");
    direct.background = false;
    direct.status = STORE_IN_PROGRESS;
    insert_job(f->store, direct);
    assert_int_equal(store_waiting(f->store), 3);
    assert_int_equal(claim(f->store, 2, &jobs, &f->arena), 2);
    assert_str(jobs[0].id, "resp_10");
    assert_str(jobs[1].id, "resp_20");
    assert_str(jobs[0].request, "{\"input\":\"hi\"}");
    assert_true(jobs[0].restarts == 1 && jobs[0].status == STORE_QUEUED);
    assert_int_equal(store_waiting(f->store), 1);
    assert_int_equal(claim(f->store, 9, &jobs, &f->arena), 1);
    assert_str(jobs[0].id, "resp_30");
    assert_int_equal(claim(f->store, 9, &jobs, &f->arena), 0);
    assert_int_equal(store_waiting(f->store), 0);
    assert_int_equal(get(f, "resp_10").restarts, 1);
}

static void progress_forgives_restarts(void **state)
{
    struct fixture *f = *state;
    struct store_job *jobs;
    insert_job(f->store, a_job("resp_1"));
    claim(f->store, 1, &jobs, &f->arena);
    append_events(f->store, "resp_1", 0, 2, "", ERR_OK);
    assert_int_equal(get(f, "resp_1").restarts, 1); /* events alone are none */
    append_events(f->store, "resp_1", 2, 0, "x", ERR_OK);
    assert_int_equal(get(f, "resp_1").restarts, 0);
}

static void an_unclaimed_job_waits_again(void **state)
{
    struct fixture *f = *state;
    struct store_job *jobs;
    insert_job(f->store, a_job("resp_1"));
    struct store_tx *tx = store_tx_open();
    store_tx_unclaim(tx, s("resp_1"));
    commit(f->store, tx, ERR_CONFLICT); /* nobody has it */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(claim(f->store, 5, &jobs, &f->arena), 1);
        assert_int_equal(jobs[0].restarts, 1);
        tx = store_tx_open();
        store_tx_unclaim(tx, s("resp_1"));
        commit(f->store, tx, ERR_OK);
        assert_int_equal(get(f, "resp_1").restarts, 0);
        assert_int_equal(store_waiting(f->store), 1);
    }
}

static void only_a_job_that_waits_is_cancelled(void **state)
{
    struct fixture *f = *state;
    struct store_job *jobs;
    insert_job(f->store, a_job("resp_1"));
    struct store_job second = a_job("resp_2");
    second.created_ms = 2000;
    insert_job(f->store, second);
    claim(f->store, 1, &jobs, &f->arena);
    struct store_tx *tx = store_tx_open();
    store_tx_end(tx, s("resp_1"), STORE_CANCELLED, 5, s("r"), true);
    commit(f->store, tx, ERR_CONFLICT);
    assert_int_equal(get(f, "resp_1").status, STORE_QUEUED);
    tx = store_tx_open();
    store_tx_end(tx, s("resp_2"), STORE_CANCELLED, 5, s("r"), true);
    commit(f->store, tx, ERR_OK);
    assert_int_equal(get(f, "resp_2").status, STORE_CANCELLED);
    assert_int_equal(store_waiting(f->store), 0);
    assert_int_equal(claim(f->store, 9, &jobs, &f->arena), 0);
    struct store_job direct = a_job("direct");
    direct.background = false;
    direct.status = STORE_IN_PROGRESS;
    insert_job(f->store, direct);
    tx = store_tx_open();
    store_tx_end(tx, s("direct"), STORE_CANCELLED, 5, s("r"), true);
    commit(f->store, tx, ERR_CONFLICT); /* who inserted it runs it */
}

/* --- items and deletion ------------------------------------------------------------------------------- */

static void an_item_knows_its_job(void **state)
{
    struct fixture *f = *state;
    struct str job;
    insert_job(f->store, a_job("resp_1"));
    insert_job(f->store, a_job("resp_2"));
    for (int i = 0; i < 2; i++) { /* a restarted job tells it again */
        struct store_tx *tx = store_tx_open();
        store_tx_item(tx, s("anna"), s("msg_1"), s("resp_1"));
        commit(f->store, tx, ERR_OK);
    }
    struct store_tx *tx = store_tx_open();
    store_tx_item(tx, s("anna"), s("msg_1"), s("resp_2"));
    commit(f->store, tx, ERR_CONFLICT);
    assert_int_equal(store_item_job(f->store, s("anna"), s("msg_1"), &job, &f->arena, &f->err), ERR_OK);
    assert_str(job, "resp_1");
    assert_int_equal(store_item_job(f->store, s(""), s("msg_1"), &job, &f->arena, &f->err), ERR_OK);
    assert_int_equal(store_item_job(f->store, s("ben"), s("msg_1"), &job, &f->arena, &f->err), ERR_NOT_FOUND);
    assert_int_equal(store_item_job(f->store, s("anna"), s("msg_2"), &job, &f->arena, &f->err),
                     ERR_NOT_FOUND);
}

static void deleting_takes_all_of_it(void **state)
{
    struct fixture *f = *state;
    struct str job, *events;
    struct store_job out;
    size_t n;
    insert_job(f->store, a_job("resp_1"));
    append_events(f->store, "resp_1", 0, 3, "journal", ERR_OK);
    struct store_tx *tx = store_tx_open();
    store_tx_item(tx, s("anna"), s("msg_1"), s("resp_1"));
    commit(f->store, tx, ERR_OK);
    tx = store_tx_open();
    store_tx_delete(tx, s("anna"), s("resp_1"));
    commit(f->store, tx, ERR_CONFLICT); /* it is not over */
    end_job(f->store, "resp_1", 5);
    tx = store_tx_open();
    store_tx_delete(tx, s("anna"), s("resp_1"));
    commit(f->store, tx, ERR_OK);
    assert_int_equal(store_job_get(f->store, s(""), s("resp_1"), &out, &f->arena, &f->err), ERR_NOT_FOUND);
    assert_int_equal(store_item_job(f->store, s("anna"), s("msg_1"), &job, &f->arena, &f->err),
                     ERR_NOT_FOUND);
    tx = store_tx_open();
    store_tx_delete(tx, s("anna"), s("resp_1"));
    commit(f->store, tx, ERR_NOT_FOUND);
    append_events(f->store, "resp_1", 3, 1, "", ERR_NOT_FOUND);
    insert_job(f->store, a_job("resp_1")); /* nothing of the old one shows in a new one */
    assert_int_equal(store_job_events(f->store, s("resp_1"), 0, 9, 999, &events, &n, &f->arena, &f->err),
                     ERR_OK);
    assert_int_equal(n, 0);
}

/* --- objects ------------------------------------------------------------------------------------------ */

static void put_object(struct fixture *f, struct store_object o, enum err_code want)
{
    struct store_tx *tx = store_tx_open();
    store_tx_object_put(tx, &o);
    commit(f->store, tx, want);
}

static void objects_are_put_changed_and_deleted(void **state)
{
    struct fixture *f = *state;
    struct store_object o = an_object("file_1"), out;
    o.expires_ms = 77;
    put_object(f, o, ERR_OK);
    put_object(f, o, ERR_CONFLICT);
    assert_int_equal(store_object_get(f->store, o.kind, o.owner, o.id, &out, &f->arena, &f->err), ERR_OK);
    assert_str(out.kind, "file");
    assert_str(out.owner, "anna");
    assert_str(out.id, "file_1");
    assert_str(out.body, "body");
    assert_true(out.created_ms == 1000 && out.expires_ms == 77 && out.parent.len == 0);
    int64_t place = out.place;
    o.body = s("changed");
    o.expires_ms = 0;
    struct store_tx *tx = store_tx_open();
    store_tx_object_update(tx, &o);
    commit(f->store, tx, ERR_OK);
    assert_int_equal(store_object_get(f->store, o.kind, o.owner, o.id, &out, &f->arena, &f->err), ERR_OK);
    assert_str(out.body, "changed");
    assert_true(out.expires_ms == 0 && out.place == place);
    tx = store_tx_open();
    store_tx_object_delete(tx, o.kind, o.owner, o.id);
    commit(f->store, tx, ERR_OK);
    tx = store_tx_open();
    store_tx_object_delete(tx, o.kind, o.owner, o.id);
    commit(f->store, tx, ERR_NOT_FOUND);
    tx = store_tx_open();
    store_tx_object_update(tx, &o);
    commit(f->store, tx, ERR_NOT_FOUND);
}

static void kind_owner_and_id_are_one_name(void **state)
{
    struct fixture *f = *state;
    static const char *const names[][3] = { { "file", "anna", "1" },
                                            { "file", "ben", "1" },
                                            { "key", "anna", "1" },
                                            { "file", "anna", "2" },
                                            { "file", "", "1" } };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct store_object o = { .kind = s(names[i][0]), .owner = s(names[i][1]), .id = s(names[i][2]) };
        o.body = s(arena_printf(&f->arena, "%zu", i));
        put_object(f, o, ERR_OK);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct store_object out;
        assert_int_equal(store_object_get(f->store, s(names[i][0]), s(names[i][1]), s(names[i][2]), &out,
                                          &f->arena, &f->err),
                         ERR_OK);
        assert_str(out.body, arena_printf(&f->arena, "%zu", i));
    }
    int64_t count;
    assert_int_equal(store_object_count(f->store, s("file"), s("anna"), s(""), &count, &f->err), ERR_OK);
    assert_int_equal(count, 2);
}

/* Members 0 .. 9 of the list "conv"; the ids of what a question finds, as one word. */
static const char *members(struct fixture *f, struct store_list ask, const char *more_word)
{
    struct store_object *out;
    size_t n;
    bool more;
    struct buf word = { 0 };
    ask.kind = s("item");
    ask.owner = s("anna");
    ask.parent = s("conv");
    if (store_object_list(f->store, &ask, &out, &n, &more, &f->arena, &f->err))
        return "not found";
    for (size_t i = 0; i < n; i++)
        buf_put_str(&word, out[i].id);
    buf_puts(&word, more ? more_word : "");
    const char *copy = arena_strdup(&f->arena, word.len ? word.ptr : "");
    buf_free(&word);
    return copy;
}

static void put_members(struct fixture *f)
{
    for (int i = 0; i < 10; i++) {
        struct store_object o = { .kind = s("item"),
                                  .owner = s("anna"),
                                  .parent = s("conv"),
                                  .id = s(arena_printf(&f->arena, "%d", i)),
                                  .created_ms = 100 + i };
        put_object(f, o, ERR_OK);
    }
    struct store_object other = { .kind = s("item"), .owner = s("anna"), .parent = s("other"), .id = s("x") };
    put_object(f, other, ERR_OK);
}

static void lists_are_paged(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *after, *before;
        size_t limit;
        bool descending;
        const char *want;
    } cases[] = {
        { "", "", 20, false, "0123456789" }, { "", "", 10, false, "0123456789" },
        { "", "", 3, false, "012+" },        { "", "", 3, true, "987+" },
        { "2", "", 3, false, "345+" },       { "7", "", 3, true, "654+" },
        { "6", "", 3, false, "789" },        { "2", "", 3, true, "10" },
        { "9", "", 3, false, "" },           { "", "5", 3, false, "234+" },
        { "", "3", 3, false, "012" },        { "", "5", 3, true, "876+" },
        { "", "0", 3, false, "" },           { "2", "6", 9, false, "345" },
        { "2", "6", 2, false, "34+" },       { "6", "2", 9, true, "543" },
        { "x", "", 3, false, "not found" },  { "", "77", 3, false, "not found" },
        { "", "", 0, false, "+" },
    };
    put_members(f);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct store_list ask = { .after = s(cases[i].after),
                                  .before = s(cases[i].before),
                                  .limit = cases[i].limit,
                                  .descending = cases[i].descending };
        const char *got = members(f, ask, "+");
        if (strcmp(got, cases[i].want) != 0)
            fail_msg("case %zu: wanted %s, got %s", i, cases[i].want, got);
    }
    assert_string_equal(members(f, (struct store_list){ .limit = 20, .created_from_ms = 107 }, "+"), "789");
}

/* --- sweeps ------------------------------------------------------------------------------------------- */

static bool is_there(struct fixture *f, const char *id)
{
    struct store_job job;
    struct err err;
    return store_job_get(f->store, s(""), s(id), &job, &f->arena, &err) == ERR_OK;
}

/* Already over; id and previous are one word each. */
static void insert_over(struct fixture *f, const char *id, const char *previous, int64_t ended_ms)
{
    struct store_job job = a_job(id);
    job.previous = s(previous);
    insert_job(f->store, job);
    end_job(f->store, id, ended_ms);
}

static void what_is_old_goes(void **state)
{
    struct fixture *f = *state;
    struct str job;
    insert_over(f, "old", "", 99);
    insert_over(f, "edge", "", 100);
    insert_job(f->store, a_job("open"));
    struct store_tx *tx = store_tx_open();
    store_tx_item(tx, s("anna"), s("msg_1"), s("old"));
    commit(f->store, tx, ERR_OK);
    struct store_object expired = an_object("expired"), later = an_object("later"),
                        never = an_object("never"), out;
    expired.expires_ms = 500;
    later.expires_ms = 501;
    put_object(f, expired, ERR_OK);
    put_object(f, later, ERR_OK);
    put_object(f, never, ERR_OK);
    sweep(f->store, (struct store_limits){ .ended_before_ms = 100, .now_ms = 500 }, ERR_OK);
    assert_false(is_there(f, "old"));
    assert_true(is_there(f, "edge") && is_there(f, "open"));
    assert_int_equal(store_item_job(f->store, s(""), s("msg_1"), &job, &f->arena, &f->err), ERR_NOT_FOUND);
    assert_int_equal(store_object_get(f->store, s("file"), s("anna"), s("expired"), &out, &f->arena, &f->err),
                     ERR_NOT_FOUND);
    assert_int_equal(store_object_get(f->store, s("file"), s("anna"), s("later"), &out, &f->arena, &f->err),
                     ERR_OK);
    assert_int_equal(store_object_get(f->store, s("file"), s("anna"), s("never"), &out, &f->arena, &f->err),
                     ERR_OK);
}

static void a_chain_stays_while_its_end_is_kept(void **state)
{
    struct fixture *f = *state;
    insert_over(f, "a", "", 10);
    insert_over(f, "b", "a", 20);
    insert_over(f, "c", "b", 200);
    insert_over(f, "p", "", 10);
    insert_over(f, "q", "p", 20);
    insert_over(f, "late", "", 50); /* a parent that ended after what goes on from it */
    insert_over(f, "early", "late", 40);
    sweep(f->store, (struct store_limits){ .ended_before_ms = 100 }, ERR_OK);
    assert_true(is_there(f, "a") && is_there(f, "b") && is_there(f, "c"));
    assert_false(is_there(f, "p") || is_there(f, "q"));
    assert_false(is_there(f, "late") || is_there(f, "early"));
    sweep(f->store, (struct store_limits){ .ended_before_ms = 300 }, ERR_OK);
    assert_false(is_there(f, "a") || is_there(f, "b") || is_there(f, "c"));
}

/* More than one step's worth, with long chains. */
static void a_sweep_takes_many(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 150; i++) {
        const char *id = arena_printf(&f->arena, "resp_%d", i);
        insert_over(f, id, i % 50 ? arena_printf(&f->arena, "resp_%d", i - 1) : "", i);
    }
    sweep(f->store, (struct store_limits){ .ended_before_ms = 140 }, ERR_OK);
    for (int i = 0; i < 150; i++)
        assert_int_equal(is_there(f, arena_printf(&f->arena, "resp_%d", i)), i >= 100);
}

static void the_oldest_go_when_it_is_too_much(void **state)
{
    struct fixture *f = *state;
    static char large[50000];
    memset(large, 'x', sizeof large);
    for (int i = 0; i < 40; i++) {
        struct store_job job = a_job(arena_printf(&f->arena, "resp_%d", i));
        job.request = (struct str){ large, sizeof large };
        job.previous = s(i == 39 ? "resp_0" : ""); /* no chain holds against the size */
        insert_job(f->store, job);
        if (i != 5)
            end_job(f->store, arena_printf(&f->arena, "resp_%d", i), 100 + i);
    }
    assert_true(store_bytes(f->store) > 2000000);
    sweep(f->store, (struct store_limits){ .bytes_max = 1000000 }, ERR_OK);
    assert_true(store_bytes(f->store) <= 1000000);
    assert_true(store_bytes(f->store) > 800000); /* and no more than that */
    assert_false(is_there(f, "resp_0"));
    assert_true(is_there(f, "resp_5") && is_there(f, "resp_39"));     /* what runs is not touched */
    sweep(f->store, (struct store_limits){ .bytes_max = 1 }, ERR_OK); /* less than there can be */
    assert_true(is_there(f, "resp_5"));
    assert_false(is_there(f, "resp_39"));
    append_events(f->store, "resp_5", 0, 1, "", ERR_OK);
}

/* Objects that would go by themselves, and those alone, go in turn with the jobs. */
static void what_expires_goes_with_the_oldest(void **state)
{
    struct fixture *f = *state;
    static char large[50000];
    struct store_object out, forever = an_object("forever");
    int jobs = 0, objects = 0;
    memset(large, 'x', sizeof large);
    forever.created_ms = 1;
    forever.body = (struct str){ large, sizeof large };
    put_object(f, forever, ERR_OK);
    for (int i = 0; i < 20; i++) {
        struct store_job job = a_job(arena_printf(&f->arena, "resp_%d", i));
        struct store_object o = an_object(arena_printf(&f->arena, "file_%d", i));
        job.request = o.body = (struct str){ large, sizeof large };
        insert_job(f->store, job);
        end_job(f->store, arena_printf(&f->arena, "resp_%d", i), 100 + 2 * i);
        o.created_ms = 101 + 2 * i;
        o.expires_ms = 1000000 - i; /* the order of their ends is another */
        put_object(f, o, ERR_OK);
    }
    sweep(f->store, (struct store_limits){ .bytes_max = 1000000 }, ERR_OK);
    assert_true(store_bytes(f->store) <= 1000000);
    for (int i = 0; i < 20; i++) {
        const char *id = arena_printf(&f->arena, "file_%d", i);
        jobs += is_there(f, arena_printf(&f->arena, "resp_%d", i));
        objects += !store_object_get(f->store, s("file"), s("anna"), s(id), &out, &f->arena, &f->err);
    }
    assert_true(jobs > 5 && (objects == jobs || objects == jobs + 1));
    assert_true(is_there(f, "resp_19"));
    assert_int_equal(store_object_get(f->store, s("file"), s("anna"), s("forever"), &out, &f->arena, &f->err),
                     ERR_OK);
}

/* --- the cases on every store ------------------------------------------------------------------------- */

#define CASES(X)                                                                                             \
    X(a_job_reads_as_it_was_inserted)                                                                        \
    X(a_job_may_be_inserted_when_it_is_over)                                                                 \
    X(owners_see_their_own)                                                                                  \
    X(an_id_is_taken_once)                                                                                   \
    X(a_status_goes_forwards_only)                                                                           \
    X(a_missing_job_is_not_found)                                                                            \
    X(open_jobs_come_oldest_first)                                                                           \
    X(events_are_read_from_any_number)                                                                       \
    X(events_stop_at_a_number_of_bytes)                                                                      \
    X(empty_events_count)                                                                                    \
    X(event_numbers_have_no_gaps)                                                                            \
    X(the_journal_lasts_until_the_end)                                                                       \
    X(a_transaction_is_whole_or_not_there)                                                                   \
    X(an_empty_transaction_is_fine)                                                                          \
    X(done_comes_in_the_order_of_commits)                                                                    \
    X(many_threads_write_and_read)                                                                           \
    X(claims_take_the_oldest_once)                                                                           \
    X(progress_forgives_restarts)                                                                            \
    X(an_unclaimed_job_waits_again)                                                                          \
    X(only_a_job_that_waits_is_cancelled)                                                                    \
    X(an_item_knows_its_job)                                                                                 \
    X(deleting_takes_all_of_it)                                                                              \
    X(objects_are_put_changed_and_deleted)                                                                   \
    X(kind_owner_and_id_are_one_name)                                                                        \
    X(lists_are_paged)                                                                                       \
    X(what_is_old_goes)                                                                                      \
    X(a_chain_stays_while_its_end_is_kept)                                                                   \
    X(a_sweep_takes_many)                                                                                    \
    X(the_oldest_go_when_it_is_too_much)                                                                     \
    X(what_expires_goes_with_the_oldest)

#define X(test) { #test, test },
static const struct {
    const char *name;
    CMUnitTestFunction run;
} cases[] = { CASES(X) };
#undef X

static struct CMUnitTest tests[STORE_BACKENDS * ARRAY_LEN(cases)];
static char names[ARRAY_LEN(tests)][64];

__attribute__((constructor)) static void fill_tests(void)
{
    for (size_t i = 0; i < ARRAY_LEN(tests); i++) {
        const struct backend *backend = &store_backends[i / ARRAY_LEN(cases)];
        snprintf(names[i], sizeof names[i], "%s: %s", backend->name, cases[i % ARRAY_LEN(cases)].name);
        tests[i] = (struct CMUnitTest){ names[i], cases[i % ARRAY_LEN(cases)].run, open_store, close_store,
                                        (void *)backend };
    }
}
TEST_GROUP(store_conformance, tests)
