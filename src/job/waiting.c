/*
 * waiting.c - background jobs that are in the store and not here: announced, claimed, revived; watched and cancelled before.
 *
 * A background job is accepted by writing its row, and run by claiming it from the store and building it anew from what the
 * row says. A job that was just accepted and one that a dead process left go the same way, so the way back from a crash
 * is walked with every job there is; and what waits costs a row on disk and a name here, not a prompt in memory.
 *
 * The store says which jobs this process may run (store_claim, oldest first, no more than there is room for). The runner,
 * a thread of its own, asks the API to build each (reviver) and to submit it. Until then the job's place here keeps
 * who watches it and who has cancelled it.
 *
 *   announce -> place -> claimed -> revived -> here (a job with a log)
 *                  \-> cancelled in the store, forgotten
 *
 * Threads: the conductor's, but for the runner's loop and what job.h offers to any thread.
 */
#include "job/job_impl.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <utlist.h>

#define CLAIMS_MAX 16 /* jobs claimed at a time: a few, so that another node finds some */
#define WAITING_RETRY_MS                                                                                     \
    1000 /* between two tries of what the store refused, or for which there was no room */

struct place {
    char *name;
    bool claimed;
    bool returns;             /* it is to wait again, which is not stored yet */
    struct watcher *watchers; /* list */
    struct cancel *cancels;   /* of a claimed job: it is cancelled when it arrives */
    UT_hash_handle hh;
};

/* Rows on their way to the runner. */
struct claim {
    struct arena arena;
    struct store_job *rows;
    size_t n;
    struct err err;
};

void claim_free(struct claim *claim)
{
    if (!claim)
        return;
    arena_free(&claim->arena);
    mem_free(claim);
}

static struct place *find(struct conductor *c, const char *name)
{
    struct place *p;
    HASH_FIND_STR(c->waiting.places, name, p);
    return p;
}

/* --- places ------------------------------------------------------------------------------------------------ */

void waiting_announce(struct conductor *c, char *name)
{
    if (find(c, name)) { /* it was claimed first */
        atomic_fetch_sub(&c->reserved, 1);
        mem_free(name);
        return;
    }
    struct place *p = mem_zalloc(sizeof *p);
    p->name = name;
    HASH_ADD_KEYPTR(hh, c->waiting.places, p->name, strlen(p->name), p);
    c->waiting.unclaimed++;
    waiting_claim(c);
}

/* The place goes; its watchers and cancels were taken, or hear why. */
static void remove_place(struct conductor *c, struct place *p, enum job_watch_end why)
{
    HASH_DEL(c->waiting.places, p);
    c->waiting.unclaimed -= !p->claimed;
    atomic_fetch_sub(&c->reserved, 1);
    log_end_watchers(&p->watchers, why);
    cancels_end(&p->cancels, why == WATCH_STOPPED ? CANCEL_STOPPED : CANCEL_ABSENT);
    mem_free(p->name);
    mem_free(p);
}

bool waiting_watch(struct conductor *c, const char *name, struct watcher *w)
{
    struct place *p = find(c, name);
    if (p)
        DL_APPEND2(p->watchers, w, prev, nxt);
    return p != NULL;
}

void waiting_unwatch(struct conductor *c, const char *name, void *ctx)
{
    struct place *p = find(c, name);
    if (p)
        log_unwatch(&p->watchers, ctx);
}

bool waiting_cancel(struct conductor *c, const char *name, struct cancel *cancel)
{
    struct place *p = find(c, name);
    if (!p)
        return false;
    if (p->claimed) {
        LL_PREPEND(p->cancels, cancel);
    } else {
        cancel->done(cancel->ctx, CANCEL_WAITS);
        mem_free(cancel);
    }
    return true;
}

void waiting_forget(struct conductor *c, const char *name)
{
    struct place *p = find(c, name);
    if (p && !p->claimed)
        remove_place(c, p, WATCH_ABSENT);
}

/* --- claims -------------------------------------------------------------------------------------------------- */

/* On the store's thread. */
static void on_claimed(void *ctx, const struct store_job *jobs, size_t n, const struct err *err)
{
    struct conductor *c = ctx;
    struct claim *claim = mem_zalloc(sizeof *claim);
    claim->err = *err;
    claim->n = n;
    claim->rows = arena_array(&claim->arena, n + 1, sizeof *claim->rows);
    for (size_t i = 0; i < n; i++) {
        struct store_job *row = &claim->rows[i];
        *row = jobs[i];
        row->id = arena_str(&claim->arena, row->id);
        row->owner = arena_str(&claim->arena, row->owner);
        row->previous = arena_str(&claim->arena, row->previous);
        row->conversation = arena_str(&claim->arena, row->conversation);
        row->engine = arena_str(&claim->arena, row->engine);
        row->request = arena_str(&claim->arena, row->request);
        row->response = (struct str){ 0 };
    }
    mailbox_push(c->box, &(struct message){ .kind = MESSAGE_CLAIMED, .claim = claim });
}

static void try_again(struct conductor *c)
{
    c->waiting.retry_ms = clock_mono_ms() + WAITING_RETRY_MS;
}

void waiting_claim(struct conductor *c)
{
    struct waiting *w = &c->waiting;
    int64_t room = c->background_max - w->running;
    if (!w->started || w->claiming || c->closing || w->unclaimed == 0 || room <= 0)
        return;
    w->claiming = true;
    store_claim(c->store, room < CLAIMS_MAX ? (size_t)room : CLAIMS_MAX, on_claimed, c);
}

/* A row that nobody will run, as the server stops: a start that never was does not count as one. */
static void give_back(struct conductor *c, struct str name)
{
    struct store_tx *tx = store_tx_open();
    store_tx_unclaim(tx, name);
    store_commit(c->store, tx, NULL, NULL);
}

static void give_all_back(struct conductor *c, const struct claim *claim, size_t from)
{
    for (size_t i = from; i < claim->n; i++)
        give_back(c, claim->rows[i].id);
}

void waiting_claimed(struct conductor *c, struct claim *claim)
{
    struct waiting *w = &c->waiting;
    if (claim->err.code) {
        log_line(LOG_ERROR, "job", "cannot claim, trying again error=%s", claim->err.message);
        try_again(c);
    }
    for (size_t i = 0; i < claim->n; i++) {
        struct place *p = find(c, claim->rows[i].id.ptr);
        if (!p) { /* another node accepted it */
            atomic_fetch_add(&c->reserved, 1);
            waiting_announce(c, mem_strdup(claim->rows[i].id.ptr));
            p = find(c, claim->rows[i].id.ptr);
        }
        w->unclaimed -= !p->claimed;
        p->claimed = true;
        w->running++;
    }
    w->claiming = false; /* not before all of them are counted */
    bool some = claim->n > 0;
    if (!some || !mailbox_push(w->claims, &claim)) {
        give_all_back(c, claim, 0);
        claim_free(claim);
    }
    if (some)
        waiting_claim(c);
}

void waiting_left(struct conductor *c)
{
    c->waiting.running--;
    waiting_claim(c);
}

/* On the store's thread. */
static void on_unclaimed(void *ctx, const struct err *err)
{
    struct message *m = ctx;
    if (err->code) {
        m->err = mem_alloc(sizeof *m->err);
        *m->err = *err;
    }
    mailbox_push(m->ctx, m);
    mem_free(m);
}

/* It waits again when the store has written that down; until then nobody else may take it for waiting. */
static void unclaim(struct conductor *c, struct place *p)
{
    struct store_tx *tx = store_tx_open();
    struct message *m = mem_zalloc(sizeof *m);
    *m = (struct message){ .kind = MESSAGE_UNCLAIMED, .name = mem_strdup(p->name), .ctx = c->box };
    p->returns = false;
    c->waiting.unclaiming++;
    store_tx_unclaim(tx, str_from(p->name));
    store_commit(c->store, tx, on_unclaimed, m);
}

/* The API is done with a claimed job. If it is still not here, it was ended in the store, or there is no room for it, or
 * the store could not be read or written. */
void waiting_revived(struct conductor *c, const char *name, enum err_code code)
{
    struct place *p = find(c, name);
    if (!p)
        return;
    if (code == ERR_BUSY || code == ERR_STORE) {
        if (c->closing)
            give_back(c, str_from(name));
        else
            unclaim(c, p);
        return;
    }
    remove_place(c, p, WATCH_ABSENT);
    waiting_left(c);
}

void waiting_unclaimed(struct conductor *c, const char *name, const struct err *err)
{
    struct place *p = find(c, name);
    c->waiting.unclaiming--;
    if (!p || c->closing)
        return;
    try_again(c); /* now it would find no room again */
    p->returns = err && err->code == ERR_STORE;
    if (p->returns) {
        cancels_end(&p->cancels, CANCEL_UNSTORED);
        return;
    }
    if (err) { /* somebody has deleted or ended it */
        remove_place(c, p, WATCH_ABSENT);
        waiting_left(c);
        return;
    }
    p->claimed = false;
    c->waiting.unclaimed++;
    c->waiting.running--;
    cancels_end(&p->cancels, CANCEL_WAITS);
}

void waiting_retry(struct conductor *c)
{
    struct place *p, *next;
    if (!c->waiting.retry_ms || clock_mono_ms() < c->waiting.retry_ms)
        return;
    c->waiting.retry_ms = 0;
    HASH_ITER(hh, c->waiting.places, p, next)
    if (p->returns)
        unclaim(c, p);
    waiting_claim(c);
}

void waiting_arrived(struct conductor *c, struct job *j)
{
    struct place *p = find(c, j->name);
    struct watcher *w, *next;
    if (!p)
        return;
    DL_FOREACH_SAFE2(p->watchers, w, next, nxt)
    {
        DL_DELETE2(p->watchers, w, prev, nxt);
        log_watch(j, w);
    }
    j->cancels = p->cancels;
    p->cancels = NULL;
    remove_place(c, p, WATCH_ABSENT);
    if (j->cancels)
        conductor_cancel(c, j);
}

void waiting_close(struct conductor *c)
{
    struct place *p, *next;
    HASH_ITER(hh, c->waiting.places, p, next)
    remove_place(c, p, WATCH_STOPPED);
}

/* --- the runner ---------------------------------------------------------------------------------------------- */

static void revive(struct conductor *c, const struct store_job *row)
{
    struct err err = { 0 };
    enum err_code code = c->waiting.reviver.revive(c->waiting.reviver.ctx, row, &err);
    if (code && code != ERR_BUSY)
        log_line(LOG_ERROR, "job", "cannot run name=%s error=%s", row->id.ptr, err.message);
    mailbox_push(
        c->box,
        &(struct message){ .kind = MESSAGE_REVIVED, .id = (uint64_t)code, .name = mem_strdup(row->id.ptr) });
}

static void run(void *ctx)
{
    struct conductor *c = ctx;
    struct claim *claim;
    thread_give_way(); /* to requests: what it revives has been waiting */
    while (mailbox_take(c->waiting.claims, &claim, -1)) {
        size_t i = 0;
        for (; i < claim->n && !mailbox_is_shut(c->waiting.claims); i++)
            revive(c, &claim->rows[i]);
        give_all_back(c, claim, i);
        claim_free(claim);
    }
}

/* --- the front door's ------------------------------------------------------------------------------------------ */

/* What an earlier process left: of interactive jobs nobody waits any more; background ones wait to be claimed. */
static enum err_code take_over(struct conductor *c, struct err *err)
{
    struct arena arena = { 0 };
    struct store_job *rows;
    size_t n;
    enum err_code code = store_jobs_open(c->store, false, &rows, &n, &arena, err);
    for (size_t i = 0; i < n && !code; i++)
        c->waiting.reviver.orphan(c->waiting.reviver.ctx, &rows[i]);
    if (!code)
        code = store_jobs_open(c->store, true, &rows, &n, &arena, err);
    for (size_t i = 0; i < n && !code; i++) {
        atomic_fetch_add(&c->reserved, 1); /* also above queue_max: they were accepted */
        job_announce(c, rows[i].id);
    }
    if (!code && n)
        log_line(LOG_INFO, "job", "going on with background jobs n=%zu", n);
    arena_free(&arena);
    return code;
}

enum err_code conductor_start(struct conductor *c, const struct job_reviver *r, struct err *err)
{
    struct waiting *w = &c->waiting;
    assert(c->store && !w->started);
    w->reviver = *r;
    w->claims = mailbox_open(CLAIMS_MAX, sizeof(struct claim *));
    enum err_code code = take_over(c, err);
    if (code)
        return code;
    thread_start(&w->runner, "runner", run, c);
    w->runs = true;
    mailbox_push(c->box, &(struct message){ .kind = MESSAGE_START });
    return ERR_OK;
}

void waiting_stop(struct conductor *c)
{
    struct claim *claim;
    if (!c->waiting.claims)
        return;
    mailbox_shut(c->waiting.claims);
    if (c->waiting.runs)
        thread_join(&c->waiting.runner);
    while (mailbox_take(c->waiting.claims, &claim, 0)) {
        give_all_back(c, claim, 0);
        claim_free(claim);
    }
}

enum err_code job_reserve(struct conductor *c, struct err *err)
{
    if (atomic_fetch_add(&c->reserved, 1) < c->queue_max)
        return ERR_OK;
    job_unreserve(c);
    return err_set(err, ERR_BUSY, NULL,
                   "The queue of background responses is full: %" PRId64 " wait. Please try again later.",
                   c->queue_max);
}

void job_unreserve(struct conductor *c)
{
    atomic_fetch_sub(&c->reserved, 1);
}

void job_announce(struct conductor *c, struct str name)
{
    struct message m = { .kind = MESSAGE_ANNOUNCE, .name = mem_strndup(name.ptr, name.len) };
    if (!mailbox_push(c->box, &m)) /* the server stops; the row is there for the next one */
        mem_free(m.name);
}

void job_watch(struct conductor *c, struct str name, int64_t next, struct job_watcher watcher)
{
    struct watcher *w = mem_zalloc(sizeof *w);
    w->w = watcher;
    w->next = next;
    struct message m = { .kind = MESSAGE_WATCH, .name = mem_strndup(name.ptr, name.len), .watcher = w };
    if (mailbox_push(c->box, &m))
        return;
    watcher.end(watcher.ctx, WATCH_STOPPED);
    mem_free(m.name);
    mem_free(w);
}

void job_unwatch(struct conductor *c, struct str name, void *ctx)
{
    struct message m = { .kind = MESSAGE_UNWATCH, .name = mem_strndup(name.ptr, name.len), .ctx = ctx };
    if (!mailbox_push(c->box, &m))
        mem_free(m.name);
}

void job_cancel_named(struct conductor *c, struct str name, void (*done)(void *ctx, enum job_cancelled what),
                      void *ctx)
{
    struct cancel *cancel = mem_zalloc(sizeof *cancel);
    *cancel = (struct cancel){ .done = done, .ctx = ctx };
    struct message m = { .kind = MESSAGE_CANCEL_NAMED,
                         .name = mem_strndup(name.ptr, name.len),
                         .cancel = cancel };
    if (mailbox_push(c->box, &m))
        return;
    done(ctx, CANCEL_STOPPED);
    mem_free(m.name);
    mem_free(cancel);
}

void job_forget(struct conductor *c, struct str name)
{
    struct message m = { .kind = MESSAGE_FORGET, .name = mem_strndup(name.ptr, name.len) };
    if (!mailbox_push(c->box, &m))
        mem_free(m.name);
}
