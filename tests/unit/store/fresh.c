/*
 * fresh.c - stores to test on, and writes that wait for their answer.
 */
#include "store/fresh.h"

#include "base/buf.h"
#include "base/mailbox.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

char *fresh_path(void)
{
    static int number;
    struct buf path = { 0 };
    buf_printf(&path, "%s/store-%d.db", test_tmpdir(), number++);
    return buf_take(&path);
}

static enum err_code open_file(struct store **out, struct err *err)
{
    char *path = fresh_path();
    enum err_code code = store_open(out, &(struct store_config){ path, "test:1" }, err);
    mem_free(path);
    return code;
}

static enum err_code open_memory(struct store **out, struct err *err)
{
    return store_open(out, &(struct store_config){ NULL, "test:1" }, err);
}

const struct backend store_backends[STORE_BACKENDS] = { { "file", open_file }, { "memory", open_memory } };

struct store *fresh_at(const char *path)
{
    struct store *store = NULL;
    struct err err = { 0 };
    if (store_open(&store, &(struct store_config){ path, "test:1" }, &err))
        fail_msg("%s", err.message);
    return store;
}

struct str s(const char *text)
{
    return str_from(text);
}

struct store_job a_job(const char *id)
{
    return (struct store_job){ .id = s(id),
                               .owner = s("anna"),
                               .status = STORE_QUEUED,
                               .background = true,
                               .created_ms = 1000,
                               .request = s("{\"input\":\"hi\"}") };
}

struct store_object an_object(const char *id)
{
    return (struct store_object){
        .kind = s("file"), .owner = s("anna"), .id = s(id), .created_ms = 1000, .body = s("body")
    };
}

void commit(struct store *store, struct store_tx *tx, enum err_code want)
{
    struct err err = { 0 };
    enum err_code code = store_commit_wait(store, tx, &err);
    if (code != want)
        fail_msg("wanted %s, got %s: %s", err_name(want), err_name(code), err.message);
    if (code)
        assert_true(err.code == code && err.message[0]);
}

void insert_job(struct store *store, struct store_job job)
{
    struct store_tx *tx = store_tx_open();
    store_tx_insert(tx, &job);
    commit(store, tx, ERR_OK);
}

void append_events(struct store *store, const char *id, int64_t first, size_t count, const char *journal,
                   enum err_code want)
{
    struct arena arena = { 0 };
    struct str *events = arena_array(&arena, count, sizeof *events);
    for (size_t i = 0; i < count; i++)
        events[i] = s(arena_printf(&arena, "{\"n\":%lld}", (long long)first + (long long)i));
    struct store_tx *tx = store_tx_open();
    store_tx_append(tx, s(id), first, events, count, s(journal));
    arena_free(&arena); /* a transaction copies */
    commit(store, tx, want);
}

void end_job(struct store *store, const char *id, int64_t ended_ms)
{
    struct store_tx *tx = store_tx_open();
    store_tx_end(tx, s(id), STORE_COMPLETED, ended_ms, s("{\"output\":[]}"), false);
    commit(store, tx, ERR_OK);
}

/* --- calls with a callback ---------------------------------------------------------------------------- */

struct claimed {
    struct mailbox *told;
    struct store_job *jobs;
    size_t n;
    struct arena *arena;
};

static void on_claimed(void *ctx, const struct store_job *jobs, size_t n, const struct err *err)
{
    struct claimed *c = ctx;
    c->n = n;
    c->jobs = arena_array(c->arena, n, sizeof *jobs);
    for (size_t i = 0; i < n; i++) {
        c->jobs[i] = jobs[i];
        c->jobs[i].id = arena_str(c->arena, jobs[i].id);
        c->jobs[i].owner = arena_str(c->arena, jobs[i].owner);
        c->jobs[i].request = arena_str(c->arena, jobs[i].request);
    }
    mailbox_push(c->told, err);
}

size_t claim(struct store *store, size_t limit, struct store_job **out, struct arena *arena)
{
    struct err err;
    struct claimed c = { .told = mailbox_open(1, sizeof err), .arena = arena };
    store_claim(store, limit, on_claimed, &c);
    mailbox_take(c.told, &err, -1);
    mailbox_close(c.told);
    assert_int_equal(err.code, ERR_OK);
    *out = c.jobs;
    return c.n;
}

static void on_swept(void *ctx, const struct err *err)
{
    mailbox_push(ctx, err);
}

void sweep(struct store *store, struct store_limits limits, enum err_code want)
{
    struct err err;
    struct mailbox *told = mailbox_open(1, sizeof err);
    store_sweep(store, &limits, on_swept, told);
    mailbox_take(told, &err, -1);
    mailbox_close(told);
    if (err.code != want)
        fail_msg("wanted %s, got %s: %s", err_name(want), err_name(err.code), err.message);
}
