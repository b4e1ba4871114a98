/*
 * shelf.c - see shelf.h.
 */
#include "job/shelf.h"

#include "store/fresh.h"
#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES  64
#define EVENTS_READ 1000000

static void lock(void)
{
    pthread_mutex_lock(&watch_lock);
}

static void unlock_and_tell(void)
{
    pthread_cond_broadcast(&watch_news);
    pthread_mutex_unlock(&watch_lock);
}

/* --- sinks ---------------------------------------------------------------------------------------------------- */

/* A background job's sink. */
struct revived {
    struct shelf *s;
    char name[NAME_BYTES];
    int ended;
};

static void encode(void *ctx, const struct job_event *ev, const struct job_view *job, struct buf *json)
{
    (void)ctx;
    (void)job;
    buf_printf(json, "%" PRIu64 " %d %zu %zu ", ev->number, (int)ev->kind, ev->item, ev->choice);
    for (size_t i = 0; i < ev->text.len; i++)
        buf_putc(json, ev->text.ptr[i] == '\n' ? '|' : ev->text.ptr[i]);
}

static enum store_status stored_status(enum job_status status)
{
    static const enum store_status all[] = {
        [JOB_QUEUED] = STORE_QUEUED,       [JOB_IN_PROGRESS] = STORE_IN_PROGRESS,
        [JOB_COMPLETED] = STORE_COMPLETED, [JOB_INCOMPLETE] = STORE_INCOMPLETE,
        [JOB_FAILED] = STORE_FAILED,       [JOB_CANCELLED] = STORE_CANCELLED,
    };
    return all[status];
}

/* The messages' texts by choice, as items of several choices come in the order in which they began. */
static void end_row(struct store_tx *tx, const char *name, const struct job_view *job)
{
    struct buf text = { 0 };
    for (size_t choice = 0; choice < job->n_choices; choice++)
        for (size_t i = 0; i < job->n_items; i++)
            if (job->items[i].kind == JOB_MESSAGE && job->items[i].choice == choice)
                buf_printf(&text, "[%.*s]", STR_ARG(buf_str(&job->items[i].text)));
            else if (job->items[i].kind == JOB_CALL && job->items[i].choice == choice)
                buf_printf(&text, "%s %s %s(%.*s)", job->items[i].id, job->items[i].call_id,
                           job->items[i].name, STR_ARG(buf_str(&job->items[i].text)));
    if (job->trace)
        buf_printf(&text, " %s line %d of %d", stop_names[job->trace->stop], (int)job->trace->shown,
                   job->trace->counted);
    store_tx_end(tx, str_from(name), stored_status(job->status), job->ended_ms, buf_str(&text), false);
    buf_free(&text);
}

static void finish(void *ctx, const struct job_view *job, struct store_tx *tx)
{
    struct revived *r = ctx;
    end_row(tx, r->name, job);
}

static void done(void *ctx, const struct job_view *job)
{
    struct revived *r = ctx;
    (void)job;
    lock();
    r->s->running--;
    if (r->ended++)
        r->s->wrong = "a job's done came twice";
    unlock_and_tell();
    mem_free(r);
}

/* --- the reviver ------------------------------------------------------------------------------------------------ */

static void wait_at_gate(struct shelf *s)
{
    lock();
    s->waits = s->gated;
    pthread_cond_broadcast(&watch_news);
    while (s->gated)
        pthread_cond_wait(&watch_news, &watch_lock);
    s->waits = false;
    unlock_and_tell();
}

static void count_arrival(struct shelf *s, int by)
{
    lock();
    s->revived += by;
    s->running += by;
    if (s->running > s->most)
        s->most = s->running;
    unlock_and_tell();
}

static enum err_code submit(struct shelf *s, const struct store_job *row, struct str journal, struct err *err)
{
    char *message;
    struct arena arena = { 0 };
    size_t choices = strtoul(arena_str(&arena, row->request).ptr, &message, 10);
    struct watch_route route;
    struct job_spec spec;
    if (choices == SHELF_ROUTE)
        spec = watch_spec_route(s->c, message + 1, 0, false, &route);
    else
        spec = choices ? watch_spec(s->c, message + 1, EFFORT_LOW, 0)
                       : watch_spec_lines(s->c, message + 1, EFFORT_HIGH, 0);
    struct job_record record = {
        .name = row->id, .background = true, .events = row->events, .journal = journal
    };
    struct revived *r = mem_zalloc(sizeof *r);
    uint64_t id;
    r->s = s;
    snprintf(r->name, sizeof r->name, "%.*s", STR_ARG(row->id));
    if (strstr(message, "<tool_call>"))
        watch_add_calls(&spec, "plain");
    spec.record = &record;
    spec.choices = choices && choices != SHELF_ROUTE ? choices : 1;
    spec.summary = SUMMARY_DETAILED;
    spec.seed = 7;
    spec.plan.temperature = 1;
    count_arrival(s, 1);
    enum err_code code =
        job_submit(s->c, &spec,
                   (struct job_sink){ .done = done, .encode = encode, .finish = finish, .ctx = r }, &id, err);
    if (code) {
        count_arrival(s, -1);
        mem_free(r);
    }
    engine_prompt_unref(spec.prompt);
    watch_drop_calls(&spec);
    arena_free(&arena);
    return code;
}

static enum err_code revive(void *ctx, const struct store_job *row, struct err *err)
{
    struct shelf *s = ctx;
    struct str journal;
    struct arena arena = { 0 };
    wait_at_gate(s);
    lock();
    enum err_code refuse = s->refuse;
    pthread_mutex_unlock(&watch_lock);
    if (refuse)
        return err_set(err, refuse, NULL, "Not now.");
    enum err_code code = store_job_journal(s->store, row->id, &journal, &arena, err);
    if (!code)
        code = submit(s, row, journal, err);
    arena_free(&arena);
    return code;
}

static void orphan(void *ctx, const struct store_job *row)
{
    struct shelf *s = ctx;
    struct err err;
    struct store_tx *tx = store_tx_open();
    store_tx_end(tx, row->id, STORE_CANCELLED, 1, STR("orphan"), false);
    s->orphans += store_commit_wait(s->store, tx, &err) == ERR_OK;
}

/* --- the shelf --------------------------------------------------------------------------------------------------- */

static void must(enum err_code code, const struct err *err)
{
    if (code)
        fail_msg("%s", err->message);
}

void shelf_reopen(struct shelf *s)
{
    struct engine_config engine = { .kind = "echo", .sequences_max = 8 };
    struct err err = { 0 };
    must(store_open(&s->store, &(struct store_config){ s->path, "test:1" }, &err), &err);
    const struct conductor_config cfg = { .engine = &engine,
                                          .jobs_max = 1000,
                                          .store = s->store,
                                          .background_max = s->background_max,
                                          .queue_max = s->queue_max };
    must(conductor_open(&s->c, &cfg, &err), &err);
    must(conductor_start(s->c, &(struct job_reviver){ revive, orphan, s }, &err), &err);
}

void shelf_open(struct shelf *s, char *path, int64_t background_max, int64_t queue_max)
{
    *s = (struct shelf){ .path = path, .background_max = background_max, .queue_max = queue_max };
    shelf_reopen(s);
}

void shelf_close(struct shelf *s)
{
    conductor_close(s->c);
    store_close(s->store);
    s->c = NULL;
    s->store = NULL;
    if (s->wrong)
        fail_msg("%s", s->wrong);
    assert_int_equal(s->running, 0); /* each that was built had its done */
}

void shelf_free(struct shelf *s)
{
    if (s->c)
        shelf_close(s);
    mem_free(s->path);
}

void shelf_accept(struct shelf *s, const char *name, size_t choices, const char *message)
{
    struct err err = { 0 };
    struct buf request = { 0 };
    struct str events[2] = { STR("0 0 0 0 "), STR("1 1 0 0 ") };
    buf_printf(&request, "%zu %s", choices, message);
    struct store_job row = { .id = str_from(name),
                             .owner = STR("anna"),
                             .status = STORE_QUEUED,
                             .background = true,
                             .created_ms = 1,
                             .request = buf_str(&request) };
    must(job_reserve(s->c, &err), &err);
    struct store_tx *tx = store_tx_open();
    store_tx_insert(tx, &row);
    store_tx_append(tx, row.id, 0, events, 2, (struct str){ 0 });
    must(store_commit_wait(s->store, tx, &err), &err);
    job_announce(s->c, row.id);
    buf_free(&request);
}

void shelf_gate(struct shelf *s, bool gated)
{
    lock();
    s->gated = gated;
    unlock_and_tell();
}

void shelf_wait_gated(struct shelf *s)
{
    lock();
    while (!s->waits)
        pthread_cond_wait(&watch_news, &watch_lock);
    pthread_mutex_unlock(&watch_lock);
}

struct store_job shelf_row(struct shelf *s, const char *name, bool over, struct arena *arena)
{
    struct store_job row;
    struct err err = { 0 };
    for (;;) {
        must(store_job_get(s->store, (struct str){ 0 }, str_from(name), &row, arena, &err), &err);
        if (!over || row.status > STORE_IN_PROGRESS)
            return row;
        struct listener l = { 0 };
        listener_watch(&l, s, name, INT64_MAX);
        listener_wait(&l);
        listener_free(&l);
    }
}

const char *shelf_events(struct shelf *s, const char *name, struct arena *arena)
{
    struct str *events;
    size_t n;
    struct err err = { 0 };
    struct buf lines = { 0 };
    must(store_job_events(s->store, str_from(name), 0, EVENTS_READ, SIZE_MAX, &events, &n, arena, &err),
         &err);
    for (size_t i = 0; i < n; i++) {
        const char *line = arena_str(arena, events[i]).ptr;
        if (strtoull(line, NULL, 10) != i)
            fail_msg("%s: event %zu is '%s'", name, i, line);
        buf_printf(&lines, "%s\n", line);
    }
    const char *all = arena_str(arena, buf_str(&lines)).ptr;
    buf_free(&lines);
    return all;
}

/* --- listeners ---------------------------------------------------------------------------------------------------- */

static void hear(void *ctx, int64_t number, struct str json)
{
    struct listener *l = ctx;
    lock();
    if (l->ends)
        l->wrong = "an event behind the end";
    if (l->n && number != l->first + l->n)
        l->wrong = "an event out of order";
    if (!l->n)
        l->first = number;
    l->n++;
    buf_printf(&l->events, "%.*s\n", STR_ARG(json));
    unlock_and_tell();
}

static void hear_end(void *ctx, enum job_watch_end why)
{
    struct listener *l = ctx;
    lock();
    l->ends++;
    l->why = why;
    unlock_and_tell();
}

void listener_watch(struct listener *l, struct shelf *s, const char *name, int64_t next)
{
    job_watch(s->c, str_from(name), next, (struct job_watcher){ hear, hear_end, l });
}

void listener_wait_events(struct listener *l, int64_t n)
{
    lock();
    while (l->n < n && !l->ends)
        pthread_cond_wait(&watch_news, &watch_lock);
    pthread_mutex_unlock(&watch_lock);
    if (l->wrong)
        fail_msg("%s", l->wrong);
}

void listener_wait_text(struct listener *l, const char *text)
{
    lock();
    while (!l->ends && (!l->events.ptr || !strstr(l->events.ptr, text)))
        pthread_cond_wait(&watch_news, &watch_lock);
    pthread_mutex_unlock(&watch_lock);
}

void listener_wait(struct listener *l)
{
    listener_wait_events(l, INT64_MAX);
}

int listener_ends(struct listener *l)
{
    lock();
    int ends = l->ends;
    pthread_mutex_unlock(&watch_lock);
    return ends;
}

void listener_free(struct listener *l)
{
    buf_free(&l->events);
}

struct str shelf_run_held(size_t choices, const char *message, const char *heard, int stops,
                          struct arena *arena)
{
    struct shelf s;
    struct listener l = { 0 };
    shelf_open(&s, fresh_path(), 2, 10);
    shelf_accept(&s, "job", choices, message);
    listener_watch(&l, &s, "job", 2);
    listener_wait_text(&l, heard);
    for (int i = 0; i < stops; i++) {
        shelf_close(&s);
        shelf_reopen(&s);
        shelf_row(&s, "job", false, arena);
    }
    const char *before = shelf_events(&s, "job", arena);
    shelf_accept(&s, "release", 1, "/release");
    struct store_job row = shelf_row(&s, "job", true, arena);
    assert_int_equal(STORE_COMPLETED, row.status);
    assert_memory_equal(shelf_events(&s, "job", arena), before, strlen(before));
    if (stops)
        listener_wait(&l);
    listener_free(&l);
    shelf_free(&s);
    return row.response;
}

/* --- cancels --------------------------------------------------------------------------------------------------------- */

static void told(void *ctx, enum job_cancelled what)
{
    struct canceller *k = ctx;
    lock();
    k->told++;
    k->what = what;
    unlock_and_tell();
}

void canceller_cancel(struct canceller *k, struct shelf *s, const char *name)
{
    job_cancel_named(s->c, str_from(name), told, k);
}

enum job_cancelled canceller_wait(struct canceller *k)
{
    lock();
    while (!k->told)
        pthread_cond_wait(&watch_news, &watch_lock);
    pthread_mutex_unlock(&watch_lock);
    return k->what;
}

/* --- interactive jobs ---------------------------------------------------------------------------------------------- */

static void kept_begin(void *ctx, const struct job_view *job, struct store_tx *tx)
{
    struct kept *k = ctx;
    (void)job;
    k->begun++;
    store_tx_insert(tx, &(struct store_job){ .id = str_from(k->name),
                                             .owner = STR("anna"),
                                             .status = STORE_IN_PROGRESS,
                                             .created_ms = 1,
                                             .request = STR("interactive") });
}

static void kept_finish(void *ctx, const struct job_view *job, struct store_tx *tx)
{
    end_row(tx, ((struct kept *)ctx)->name, job);
}

static void kept_done(void *ctx, const struct job_view *job)
{
    struct kept *k = ctx;
    lock();
    k->done++;
    k->status = job->status;
    unlock_and_tell();
}

static void kept_unstored(void *ctx, const struct job_view *job, const struct err *err)
{
    ((struct kept *)ctx)->unstored = *err;
    kept_done(ctx, job);
}

void kept_submit(struct kept *k, struct shelf *s, const char *name, const char *message, bool streamed)
{
    struct job_spec spec = watch_spec(s->c, message, EFFORT_LOW, 0);
    struct job_record record = { .name = str_from(name) };
    struct job_watcher watcher = { hear, hear_end, &k->heard };
    struct err err = { 0 };
    uint64_t id;
    *k = (struct kept){ .s = s, .name = name };
    spec.record = &record;
    spec.watcher = streamed ? &watcher : NULL;
    spec.seed = 7;
    must(job_submit(s->c, &spec,
                    (struct job_sink){ .done = kept_done,
                                       .encode = encode,
                                       .begin = kept_begin,
                                       .finish = kept_finish,
                                       .unstored = kept_unstored,
                                       .ctx = k },
                    &id, &err),
         &err);
    engine_prompt_unref(spec.prompt);
}

void kept_wait(struct kept *k)
{
    lock();
    while (!k->done)
        pthread_cond_wait(&watch_news, &watch_lock);
    pthread_mutex_unlock(&watch_lock);
    assert_int_equal(k->done, 1);
    if (k->heard.wrong)
        fail_msg("%s", k->heard.wrong);
}

void kept_free(struct kept *k)
{
    listener_free(&k->heard);
}
