/*
 * log.c - the events of one job: numbered JSON in memory until it is stored, and who listens.
 *
 * At most one transaction of a job is on its way. What comes meanwhile waits for the next, so the group grows with the
 * load by itself and a job never floods the store. A transaction holds events and the journal of what was heard up to
 * the same moment, so that what is on disk always fits together; the last one holds the end as well.
 *
 * A background job whose transaction fails (the disk is full) keeps everything and tries again: nobody has heard of it. An
 * interactive job is told to its client as it goes, and when its end cannot be stored the client is told that instead. A
 * row that is gone (deleted, ended by another) is nobody's: the job stops and is forgotten.
 *
 * Stored events stay here for a while for those who come a little late; who wants older ones reads the store.
 *
 * Threads: the conductor's. Ownership: events and watchers are the log's.
 */
#include "job/job_impl.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

#define LOG_KEEP     256  /* stored events of a job that stay in memory */
#define LOG_RETRY_MS 1000 /* between two tries to store what could not be stored */

void log_open(struct job *j, const struct job_spec *spec)
{
    struct log *l = &j->log;
    const struct job_record *r = spec->record;
    l->stores = r != NULL;
    l->background = r && r->background;
    l->active = l->background || spec->watcher;
    l->known = r ? r->events : 0;
    l->first = l->sent = l->stored = l->known;
    l->begun = l->background;
    if (!spec->watcher)
        return;
    struct watcher *w = mem_zalloc(sizeof *w);
    w->w = *spec->watcher;
    w->early = true;
    DL_APPEND2(l->watchers, w, prev, nxt);
}

/* Watchers are left where the job was never taken in: they hear nothing of it. */
void log_free(struct log *l)
{
    struct watcher *w, *next;
    DL_FOREACH_SAFE2(l->watchers, w, next, nxt)
    mem_free(w);
    for (size_t i = 0; i < l->n; i++)
        mem_free(l->events[i]);
    mem_free(l->events);
    buf_free(&l->journal);
}

/* --- who listens ------------------------------------------------------------------------------------------ */

/* Everything of the log that w may hear by now: stored events, or all but an end that is not stored. */
static int64_t may_hear(const struct job *j, const struct watcher *w)
{
    const struct log *l = &j->log;
    int64_t end = l->first + (int64_t)l->n;
    if (!l->stores)
        return end;
    if (!w->early)
        return l->stored;
    bool end_stored = l->over && !l->broken.code;
    return j->ended && !end_stored && j->end_number < end ? j->end_number : end;
}

static void catch_up(const struct job *j, struct watcher *w)
{
    const struct log *l = &j->log;
    int64_t may = may_hear(j, w);
    for (; w->next < may; w->next++)
        w->w.put(w->w.ctx, w->next, str_from(l->events[w->next - l->first]));
}

static void catch_all_up(struct job *j)
{
    struct watcher *w;
    DL_FOREACH2(j->log.watchers, w, nxt)
    catch_up(j, w);
}

static void end_watcher(struct watcher **list, struct watcher *w, enum job_watch_end why)
{
    DL_DELETE2(*list, w, prev, nxt);
    w->w.end(w->w.ctx, why);
    mem_free(w);
}

void log_watch(struct job *j, struct watcher *w)
{
    struct log *l = &j->log;
    DL_APPEND2(l->watchers, w, prev, nxt);
    if (w->next < l->first)
        end_watcher(&l->watchers, w, WATCH_BEHIND);
    else
        catch_up(j, w);
}

bool log_unwatch(struct watcher **list, void *ctx)
{
    struct watcher *w, *next;
    DL_FOREACH_SAFE2(*list, w, next, nxt)
    if (w->w.ctx == ctx) {
        end_watcher(list, w, WATCH_LEFT);
        return true;
    }
    return false;
}

void log_end_watchers(struct watcher **list, enum job_watch_end why)
{
    struct watcher *w, *next;
    DL_FOREACH_SAFE2(*list, w, next, nxt)
    end_watcher(list, w, why);
}

/* --- what is written ---------------------------------------------------------------------------------------- */

static void keep(struct log *l, char *json)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 16;
        l->events = mem_realloc(l->events, l->cap * sizeof(char *));
    }
    l->events[l->n++] = json;
}

void log_event(struct job *j, const struct job_event *ev)
{
    struct log *l = &j->log;
    if (ev->kind == JOB_EV_STARTED)
        l->start = l->background && (int64_t)ev->number >= l->known;
    if (!l->active || (int64_t)ev->number < l->known)
        return;
    l->diverged |= j->replaying;
    struct buf json = { 0 };
    j->sink.encode(j->sink.ctx, ev, &j->view, &json);
    keep(l, buf_take(&json));
    catch_all_up(j);
}

/* A choice that failed is tried again after a restart; a line that failed was counted as one, and stays one. */
void log_heard(struct job *j, size_t run, const struct heard *h)
{
    bool written = h->kind != ENGINE_FAILED || j->thinker;
    if (j->log.background && !j->replaying && written)
        journal_put(&j->log.journal, run, h);
}

/* Interactive jobs that nobody watches are written when they are over, in one go. */
static bool is_due(const struct job *j)
{
    const struct log *l = &j->log;
    bool news = l->sent < l->first + (int64_t)l->n || l->journal_sent < l->journal.len;
    if (!l->stores || l->in_flight || l->over || l->retry_ms || l->broken.code)
        return false;
    return j->ended || (l->active && news);
}

static void on_stored(void *ctx, const struct err *err)
{
    struct message *m = ctx; /* made when the transaction was, so that nothing can fail here */
    if (err->code) {
        m->err = mem_alloc(sizeof *m->err);
        *m->err = *err;
    }
    mailbox_push(m->ctx, m);
    mem_free(m);
}

static void add_news(const struct job *j, struct store_tx *tx)
{
    const struct log *l = &j->log;
    size_t n = (size_t)(l->first + (int64_t)l->n - l->sent);
    struct str *events = mem_array(n + 1, sizeof *events);
    for (size_t i = 0; i < n; i++)
        events[i] = str_from(l->events[(size_t)(l->sent - l->first) + i]);
    if (n || l->journal.len)
        store_tx_append(tx, str_from(j->name), l->sent, events, n, buf_str(&l->journal));
    mem_free(events);
}

void log_flush(struct conductor *c, struct job *j)
{
    struct log *l = &j->log;
    if (!is_due(j))
        return;
    struct store_tx *tx = store_tx_open();
    if (!l->begun)
        j->sink.begin(j->sink.ctx, &j->view, tx);
    if (l->start)
        store_tx_start(tx, str_from(j->name));
    add_news(j, tx);
    if (j->ended && !j->suspended)
        j->sink.finish(j->sink.ctx, &j->view, tx);
    l->last = j->ended;
    l->sent = l->first + (int64_t)l->n;
    l->journal_sent = l->journal.len;
    l->in_flight = true;
    struct message *m = mem_zalloc(sizeof *m);
    *m = (struct message){ .kind = MESSAGE_STORED, .id = j->id, .ctx = c->box };
    store_commit(c->store, tx, on_stored, m);
}

static void trim(struct log *l)
{
    int64_t from = l->stored - LOG_KEEP;
    size_t n = from > l->first ? (size_t)(from - l->first) : 0;
    if (n < LOG_KEEP) /* in large pieces, for one move of the rest */
        return;
    for (size_t i = 0; i < n; i++)
        mem_free(l->events[i]);
    memmove(l->events, l->events + n, (l->n - n) * sizeof(char *));
    l->n -= n;
    l->first = from;
}

static void stored(struct job *j)
{
    struct log *l = &j->log;
    l->begun = true;
    l->start = false;
    l->stored = l->sent;
    buf_drop_front(&l->journal, l->journal_sent);
    l->journal_sent = 0;
    l->over = l->last;
    catch_all_up(j);
    trim(l);
}

/* The row is not there any more, or is over: nothing of this job can be kept, so it need not go on. */
static void give_up(struct conductor *c, struct job *j)
{
    log_line(LOG_WARN, "job", "gone from the store name=%s", j->name);
    j->log.over = true;
    conductor_cancel(c, j);
}

static void not_stored(struct conductor *c, struct job *j, const struct err *err)
{
    struct log *l = &j->log;
    l->sent = l->stored;
    l->journal_sent = 0;
    if (!l->background) {
        l->broken = *err;
        l->over = true;
        conductor_cancel(c, j);
    } else if (err->code == ERR_NOT_FOUND || err->code == ERR_CONFLICT) {
        give_up(c, j);
    } else if (c->closing) {
        l->over = j->suspended = true; /* what is on disk is what it goes on from */
    } else {
        log_line(LOG_ERROR, "job", "not stored, trying again name=%s error=%s", j->name, err->message);
        l->retry_ms = clock_mono_ms() + LOG_RETRY_MS;
        c->stalled++;
        if (j->ended) /* until there is room again may be long */
            cancels_end(&j->cancels, CANCEL_UNSTORED);
    }
}

/* Its transaction's answer would come when nobody takes it any more. */
void log_refuse(struct job *j)
{
    struct log *l = &j->log;
    if (!l->stores)
        return;
    assert(!l->background); /* those are suspended */
    err_set(&l->broken, ERR_BUSY, NULL, "The server is stopping.");
    l->over = true;
}

void log_stored(struct conductor *c, struct job *j, const struct err *err)
{
    j->log.in_flight = false;
    if (err && err->code)
        not_stored(c, j, err);
    else
        stored(j);
}
