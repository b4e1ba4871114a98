/*
 * writer.c - the one thread that writes: groups of transactions with one sync, claims, sweeps between groups.
 *
 * A group is what waits in the inbox, up to GROUP_MAX. Each transaction runs in a savepoint of its own inside one
 * BEGIN .. COMMIT, so a refused one leaves no trace and its neighbours stay. When the group as a whole cannot be
 * committed (a full disk rolls everything back), each transaction is tried again alone: it is that one's error then,
 * and small ones may still fit. Nothing is told before the sync that made it true; done is called in the order of the
 * inbox, which is the order of store_commit.
 *
 * The write-ahead log is copied into the database by a thread and handle of its own, so that no commit pays for it, each
 * time it has grown by CHECKPOINT_PAGES: a page that was written often meanwhile is copied once. A passive checkpoint
 * never makes the log start anew under constant writing, so beyond WAL_PAGES_MAX the writer waits
 * until all of it is copied and the readers have left it.
 *
 * Threads: commits come from any; all else here is the writer's, but for write_checkpoints.
 */
#include "store/store_impl.h"

#include "base/log.h"

#include <assert.h>
#include <string.h>

/* --- work --------------------------------------------------------------------------------------------- */

static void send_work(struct store *s, struct work work)
{
    struct work *w = mem_alloc(sizeof *w);
    *w = work;
    bool sent = mailbox_push(s->inbox, &w);
    assert(sent); /* nobody uses a store that is closed */
    (void)sent;
}

/* Tells and frees. */
static void end_work(struct work *w)
{
    if (w->kind == WORK_CLAIM)
        w->claimed(w->ctx, w->err.code ? NULL : w->jobs, w->err.code ? 0 : w->n, &w->err);
    else if (w->done)
        w->done(w->ctx, &w->err);
    store_tx_close(w->tx);
    arena_free(&w->arena);
    mem_free(w);
}

void store_commit(struct store *s, struct store_tx *tx, store_done *done, void *ctx)
{
    send_work(s, (struct work){ .kind = WORK_TX, .tx = tx, .done = done, .ctx = ctx });
}

void store_claim(struct store *s, size_t limit, store_claimed *done, void *ctx)
{
    assert(!s->beside);
    send_work(s, (struct work){ .kind = WORK_CLAIM, .limit = limit, .claimed = done, .ctx = ctx });
}

void store_sweep(struct store *s, const struct store_limits *limits, store_done *done, void *ctx)
{
    struct work work = { .kind = WORK_SWEEP, .done = done, .ctx = ctx };
    sweep_init(&work.sweep, limits);
    send_work(s, work);
}

static void post_result(void *ctx, const struct err *err)
{
    mailbox_push(ctx, err);
}

enum err_code store_commit_wait(struct store *s, struct store_tx *tx, struct err *err)
{
    struct err result;
    struct mailbox *answer = mailbox_open(1, sizeof result);
    store_commit(s, tx, post_result, answer);
    mailbox_take(answer, &result, -1);
    mailbox_close(answer);
    if (result.code && err)
        *err = result;
    return result.code;
}

/* --- groups ------------------------------------------------------------------------------------------- */

static struct handle *writer_take(struct store *s)
{
    return s->path ? &s->writer : pool_take(s);
}

static void writer_give(struct store *s, struct handle *h)
{
    if (!s->path)
        pool_give(s, h);
}

static enum err_code exec(struct handle *h, const char *sql, struct err *err)
{
    struct query q;
    query_open(&q, h, sql);
    return query_run(&q, err);
}

static bool in_transaction(const struct handle *h)
{
    return !sqlite3_get_autocommit(h->db);
}

static void roll_back(struct handle *h)
{
    if (in_transaction(h)) /* SQLite has done it itself after some errors */
        exec(h, "ROLLBACK", NULL);
}

/* What the work is, inside a transaction; its result waits in it for the commit. */
static enum err_code perform(struct store *s, struct handle *h, struct work *work)
{
    struct writing w = { .h = h, .node = str_from(s->node) };
    enum err_code code;
    work->err = (struct err){ 0 };
    arena_free(&work->arena);
    if (work->kind == WORK_CLAIM)
        code = jobs_claim(&w, work->limit, &work->jobs, &work->n, &work->arena, &work->err);
    else
        code = tx_run(work->tx, &w, &work->err);
    work->waiting = w.waiting;
    return code;
}

static void run_alone(struct store *s, struct handle *h, struct work *work)
{
    struct err err = { 0 };
    enum err_code code = exec(h, "BEGIN IMMEDIATE", &err);
    if (!code) {
        code = perform(s, h, work);
        err = work->err;
    }
    if (!code)
        code = exec(h, "COMMIT", &err);
    if (code)
        roll_back(h);
    work->err = err;
}

/* False: the transaction around all is gone. */
static bool run_in_savepoint(struct store *s, struct handle *h, struct work *work)
{
    struct err err = { 0 };
    enum err_code code = exec(h, "SAVEPOINT one", &err);
    if (code)
        return false;
    if (perform(s, h, work) && in_transaction(h))
        code = exec(h, "ROLLBACK TO one", &err);
    if (!code && in_transaction(h))
        code = exec(h, "RELEASE one", &err);
    return !code && in_transaction(h);
}

static bool run_together(struct store *s, struct handle *h, struct work *const *group, size_t n)
{
    bool whole = true;
    for (size_t i = 0; whole && i < n; i++)
        whole = run_in_savepoint(s, h, group[i]);
    whole = whole && !exec(h, "COMMIT", NULL);
    if (!whole)
        roll_back(h);
    return whole;
}

static void run_group(struct store *s, struct handle *h, struct work *const *group, size_t n)
{
    struct err err = { 0 };
    if (n == 1) {
        run_alone(s, h, group[0]);
        return;
    }
    if (exec(h, "BEGIN IMMEDIATE", &err)) { /* locked: to try each of them would only wait n times as long */
        for (size_t i = 0; i < n; i++)
            group[i]->err = err;
        return;
    }
    if (run_together(s, h, group, n))
        return;
    for (size_t i = 0; i < n; i++)
        run_alone(s, h, group[i]);
}

static void commit_group(struct store *s, struct work *const *group, size_t n)
{
    struct handle *h = writer_take(s);
    run_group(s, h, group, n);
    for (size_t i = 0; i < n; i++)
        if (!group[i]->err.code)
            atomic_fetch_add(&s->waiting, group[i]->waiting);
    writer_give(s, h);
    for (size_t i = 0; i < n; i++)
        end_work(group[i]);
}

static size_t work_bytes(const struct work *w)
{
    return w->tx ? w->tx->arena.used : 0;
}

/* Sweeps do not join the group: they wait in a list of their own. */
static void add_sweep(struct store *s, struct work *sweep)
{
    struct work **end = &s->sweeps;
    while (*end)
        end = &(*end)->next;
    *end = sweep;
}

/* What waits now; where nothing does and no sweep is under way, the next thing to come. */
static size_t take_group(struct store *s, struct work **group)
{
    size_t n = 0, bytes = 0;
    struct work *w;
    while (n < GROUP_MAX && bytes < GROUP_BYTES_MAX && mailbox_take(s->inbox, &w, n || s->sweeps ? 0 : -1)) {
        if (w->kind == WORK_SWEEP) {
            add_sweep(s, w);
            continue;
        }
        bytes += work_bytes(w);
        group[n++] = w;
    }
    return n;
}

/* --- sweeps ------------------------------------------------------------------------------------------- */

static bool sweep_on(struct store *s, struct handle *h, struct work *work)
{
    struct writing w = { .h = h, .node = str_from(s->node) };
    bool over = false;
    enum err_code code = exec(h, "BEGIN IMMEDIATE", &work->err);
    if (!code)
        code = sweep_step(&work->sweep, &w, &over, &work->err);
    if (!code)
        code = exec(h, "COMMIT", &work->err);
    if (code)
        roll_back(h);
    return code || over;
}

static void advance_sweep(struct store *s)
{
    struct work *work = s->sweeps;
    bool over = true;
    if (mailbox_is_shut(s->inbox)) {
        err_set(&work->err, ERR_CANCELLED, NULL, "The store was closed before the sweep was over.");
    } else {
        struct handle *h = writer_take(s);
        over = sweep_on(s, h, work);
        writer_give(s, h);
    }
    if (!over)
        return;
    s->sweeps = work->next;
    end_work(work);
}

/* --- the write-ahead log ------------------------------------------------------------------------------ */

static int on_commit(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct store *s = ctx;
    (void)db, (void)name;
    s->wal_pages = pages;
    if (pages < s->wal_noted) /* the log has begun anew */
        s->wal_noted = 0;
    if (pages >= s->wal_noted + CHECKPOINT_PAGES) {
        s->wal_noted = pages;
        mailbox_post(s->checkpoint_due, &(int){ SQLITE_CHECKPOINT_PASSIVE }); /* full: it is due already */
    }
    return SQLITE_OK;
}

/* The other thread does it, because only one at a time may; here nothing is written until it answers. Readers that stay
 * for longer than BUSY_MS are left alone until the log has grown by as much again. */
static void bound_log(struct store *s)
{
    int rc;
    if (s->wal_pages < s->wal_bound)
        return;
    mailbox_push(s->checkpoint_due, &(int){ SQLITE_CHECKPOINT_RESTART });
    mailbox_take(s->checkpoint_done, &rc, -1);
    s->wal_bound = rc ? s->wal_pages + WAL_PAGES_MAX : WAL_PAGES_MAX;
    s->wal_pages = 0;
}

static void write_checkpoints(void *ctx)
{
    struct store *s = ctx;
    int mode, last = SQLITE_OK;
    thread_give_way();
    while (mailbox_take(s->checkpoint_due, &mode, -1)) {
        struct err err;
        int rc = sqlite3_wal_checkpoint_v2(s->checkpointer.db, NULL, mode, NULL, NULL);
        if (rc && rc != SQLITE_BUSY && rc != last) { /* once, not at every try */
            handle_error(&s->checkpointer, rc, &err);
            log_line(LOG_WARN, "store", "checkpoint failed: %s", err.message);
        }
        last = rc;
        if (mode == SQLITE_CHECKPOINT_RESTART)
            mailbox_push(s->checkpoint_done, &rc);
    }
}

/* --- the thread --------------------------------------------------------------------------------------- */

static void write_all(void *ctx)
{
    struct store *s = ctx;
    struct work *group[GROUP_MAX];
    for (;;) {
        size_t n = take_group(s, group);
        if (n) {
            commit_group(s, group, n);
            bound_log(s);
        }
        if (s->sweeps)
            advance_sweep(s);
        else if (!n)
            break; /* shut and empty */
    }
}

void writer_start(struct store *s)
{
    s->wal_bound = WAL_PAGES_MAX;
    if (s->path) {
        sqlite3_wal_hook(s->writer.db, on_commit, s);
        thread_start(&s->checkpoint_thread, "store-log", write_checkpoints, s);
        s->checkpointing = true;
    }
    thread_start(&s->writer_thread, "store", write_all, s);
    s->writing = true;
}

void writer_stop(struct store *s)
{
    if (s->inbox)
        mailbox_shut(s->inbox);
    if (s->writing)
        thread_join(&s->writer_thread);
    if (s->checkpoint_due)
        mailbox_shut(s->checkpoint_due);
    if (s->checkpointing)
        thread_join(&s->checkpoint_thread);
}
