/*
 * background.c - background responses: accepted by a row, built again from it, ended in the store where nothing runs.
 *
 * Accepting writes the row together with the first two events, response.created and response.queued, and answers when
 * both are on disk. Running is the store's and job/'s matter: a row that was claimed comes back here (background_revive) as
 * if nobody had seen the request before.
 *
 * Some jobs end without running: cancelled while they wait, started too often without getting anywhere, not
 * buildable any more, or interactive ones whose server died. Their response is the fold of their events with the new
 * status (end_row).
 *
 * Threads: background_accept on a worker, its answer on the store's thread; revive and orphan on the conductor's runner;
 * cancel on a worker, going on where the conductor or the store answers.
 */
#include "api/api_impl.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>

#define CANCEL_AGAIN_MS 20
#define ORPHAN_MS       1000 /* until the first try again; then twice as long each time */
#define ORPHAN_MS_MAX   60000

/* --- accepting ------------------------------------------------------------------------------------------- */

/* On the store's thread. The queue knows of the job before its client does. */
static void accepted(void *ctx, const struct err *err)
{
    struct turn *t = ctx;
    if (err->code) {
        job_unreserve(t->api->conductor);
        reply_error(t->x, err);
        turn_unref(t);
        return;
    }
    job_announce(t->api->conductor, str_from(t->id));
    access_give(t->api->access, &t->place, t->compacts ? 0 : engine_prompt_tokens(t->prompts[0]));
    if (t->stream) {
        idempotency_accepted(t->api->idempotency, t->x, str_from(t->id), t->obfuscate);
        stream_response(t->api, t->x, str_from(t->id), 0, t->obfuscate);
    } else {
        reply_json(t->x, 200, &t->final);
    }
    turn_unref(t);
}

enum err_code background_accept(struct turn *t, struct err *err)
{
    enum err_code code = job_reserve(t->api->conductor, err);
    if (code)
        return code;
    struct job_view view = { .status = JOB_QUEUED, .plan = &t->plan, .seed = t->seed };
    struct store_tx *tx = store_tx_open();
    struct buf json[2] = { { 0 }, { 0 } };
    struct str events[2];
    static const enum job_event_kind kinds[2] = { JOB_EV_CREATED, JOB_EV_QUEUED };
    t->kind->reply(t, &view, &t->final); /* the reply and both events are the same response, written once */
    t->final_holds = true;
    for (size_t i = 0; i < 2; i++) {
        t->kind->encode(t, &(struct job_event){ .kind = kinds[i], .number = i }, &view, &json[i]);
        events[i] = buf_str(&json[i]);
    }
    kept_begin(t, &view, tx);
    store_tx_append(tx, str_from(t->id), 0, events, 2, (struct str){ 0 });
    store_commit(t->api->store, tx, accepted, turn_ref(t));
    buf_free(&json[0]);
    buf_free(&json[1]);
    return ERR_OK;
}

/* --- ending without running ---------------------------------------------------------------------------------- */

static void set_error(json_t *response, const struct err *why)
{
    json_t *error = json_object();
    json_object_set_new(error, "message", json_string(why->message));
    json_object_set_new(error, "type", json_string(err_type(why->code)));
    json_object_set_new(error, "param", json_null());
    json_object_set_new(error, "code", json_string(err_api_code(why->code)));
    json_object_set_new(response, "error", error);
}

/* Items that were begun will not be finished. */
static void close_items(json_t *response)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(response, "output"), i, item)
    {
        if (str_is(json_str(json_object_get(item, "status")), "in_progress"))
            json_object_set_new(item, "status", json_string("incomplete"));
    }
}

/* error and response.failed, numbered behind what is stored. */
static void append_failure(struct store_tx *tx, const struct store_job *row, const json_t *response)
{
    struct buf json[2] = { { 0 }, { 0 } };
    struct str events[2];
    static const char *const types[2] = { "error", "response.failed" };
    const json_t *error = json_object_get(response, "error");
    for (size_t i = 0; i < 2; i++) {
        json_t *event = json_object();
        json_object_set_new(event, "type", json_string(types[i]));
        json_object_set_new(event, "sequence_number", json_integer(row->events + (json_int_t)i));
        if (i == 0) {
            json_object_set(event, "message", json_object_get(error, "message"));
            json_object_set(event, "param", json_object_get(error, "param"));
            json_object_set(event, "code", json_object_get(error, "code"));
            json_object_set(event, "error", (json_t *)error);
        } else {
            json_object_set(event, "response", (json_t *)response);
        }
        json_dump(&json[i], event);
        json_decref(event);
        events[i] = buf_str(&json[i]);
    }
    store_tx_append(tx, row->id, row->events, events, 2, (struct str){ 0 });
    buf_free(&json[0]);
    buf_free(&json[1]);
}

/* The response as its events leave it, with a last status; why is the error of a failed one. only_unclaimed as in
 * store_tx_end. */
static enum err_code end_row(struct api *a, const struct store_job *row, enum store_status status,
                             const struct err *why, bool only_unclaimed, struct err *err)
{
    json_t *response = NULL;
    struct buf text = { 0 };
    enum err_code code = response_now(a, row, &response, err);
    if (code)
        return code;
    struct store_tx *tx = store_tx_open();
    json_object_set_new(response, "status", json_string(store_status_names[status]));
    close_items(response);
    if (status == STORE_FAILED) {
        set_error(response, why);
        append_failure(tx, row, response);
    }
    json_dump(&text, response);
    store_tx_end(tx, row->id, status, clock_wall_ms(), buf_str(&text), only_unclaimed);
    if (row->background)
        kept_webhook(a, tx, status, row->id);
    code = store_commit_wait(a->store, tx, err);
    if (!code && row->background)
        webhooks_wake(a->webhooks);
    buf_free(&text);
    json_decref(response);
    return code;
}

static enum err_code end_or_log(struct api *a, const struct store_job *row, enum store_status status,
                                const struct err *why)
{
    struct err err = { 0 };
    enum err_code code = end_row(a, row, status, why, false, &err);
    if (code)
        log_line(LOG_ERROR, "api", "cannot end a response id=%.*s error=%s", STR_ARG(row->id), err.message);
    return code;
}

/* An interactive response whose server died, and that could not be ended at once: a full disk gets room again. */
struct orphan {
    struct api *api;
    struct str id;
    int64_t wait_ms;
    struct arena arena;
};

static void end_orphan(void *ctx)
{
    struct orphan *o = ctx;
    struct store_job row;
    struct arena arena = { 0 };
    struct err err = { 0 };
    enum err_code code = store_job_get(o->api->store, (struct str){ 0 }, o->id, &row, &arena, &err);
    bool open = !code && row.status <= STORE_IN_PROGRESS;
    if (open)
        code = end_row(o->api, &row, STORE_CANCELLED, NULL, false, &err);
    arena_free(&arena);
    if (code == ERR_STORE && !later_stops(o->api->later)) {
        o->wait_ms = o->wait_ms * 2 < ORPHAN_MS_MAX ? o->wait_ms * 2 : ORPHAN_MS_MAX;
        later_run(o->api->later, o->wait_ms, end_orphan, o);
        return;
    }
    if (open && !code)
        log_line(LOG_INFO, "api", "ended a response at last id=%.*s", STR_ARG(o->id));
    arena_free(&o->arena);
    mem_free(o);
}

/* One that cannot be ended at all (its events do not parse) stays as it is: the log has said so. */
void background_orphan(void *api, const struct store_job *row)
{
    struct api *a = api;
    if (end_or_log(a, row, STORE_CANCELLED, NULL) != ERR_STORE)
        return;
    struct orphan *o = mem_zalloc(sizeof *o);
    o->api = a;
    o->id = arena_str(&o->arena, row->id);
    o->wait_ms = ORPHAN_MS;
    later_run(a->later, o->wait_ms, end_orphan, o);
}

/* --- running what was claimed -------------------------------------------------------------------------------- */

/* Each claim counts until a journal shows progress, the first one too. */
static enum err_code check_restarts(const struct api *a, const struct store_job *row, struct err *err)
{
    if (row->restarts <= a->cfg->restarts_max + 1)
        return ERR_OK;
    return err_set(err, ERR_SERVER, NULL,
                   "The server was restarted %" PRId64
                   " times while it worked on this response, without any progress "
                   "between two restarts.",
                   row->restarts - 1);
}

static enum err_code check_model(const struct api *a, const struct store_job *row, struct str journal,
                                 struct err *err)
{
    if (journal.len == 0 || str_is(row->engine, a->fingerprint))
        return ERR_OK;
    return err_set(err, ERR_SERVER, NULL,
                   "The server was restarted with another model and cannot go on with this response.");
}

static enum err_code submit(struct turn *t, const struct store_job *row, struct str journal, struct err *err)
{
    struct job_record record = {
        .name = row->id, .background = true, .events = row->events, .journal = journal
    };
    struct job_spec spec;
    turn_spec(t, &spec);
    spec.record = &record;
    uint64_t id;
    enum err_code code =
        job_submit(t->api->conductor, &spec, turn_sink(turn_ref(t)), &id, err); /* the sink's reference */
    if (code)
        turn_unref(t);
    return code;
}

enum err_code background_revive(void *api, const struct store_job *row, struct err *err)
{
    struct api *a = api;
    struct turn *t = NULL;
    struct str journal;
    struct arena arena = { 0 };
    enum err_code code = store_job_journal(a->store, row->id, &journal, &arena, err);
    if (!code)
        code = check_restarts(a, row, err);
    if (!code)
        code = check_model(a, row, journal, err);
    if (!code)
        code = turn_rebuild(&t, a, &responses_kind, row, err);
    if (!code)
        code = submit(t, row, journal, err);
    turn_unref(t);
    arena_free(&arena);
    if (!code || code == ERR_BUSY || code == ERR_STORE)
        return code;
    return end_or_log(a, row, STORE_FAILED, err) == ERR_STORE ? ERR_STORE : code;
}

/* --- cancelling ------------------------------------------------------------------------------------------------ */

/* A request to cancel, and what is to follow: the response as it is then, or its deletion. */
struct cancelling {
    struct api *api;
    struct http_exchange *x;
    struct access_owner owner;
    struct str id;
    bool delete;
    bool forgotten;   /* it ended while it waited */
    atomic_bool gone; /* the client has left, or the server stops: nothing is waited for any more */
    struct arena arena;
};

/* Loop thread, while the exchange is not answered. */
static void canceller_gone(void *ctx)
{
    struct cancelling *k = ctx;
    atomic_store(&k->gone, true);
}

static void end_cancelling(struct cancelling *k)
{
    arena_free(&k->arena);
    mem_free(k);
}

static void reply_row(struct cancelling *k, const struct store_job *row)
{
    struct err err = { 0 };
    if (!k->delete) {
        http_reply(k->x, 200, "application/json", row->response);
        return;
    }
    struct store_tx *tx = store_tx_open();
    store_tx_delete(tx, str_from(k->owner.id), k->id);
    if (store_commit_wait(k->api->store, tx, &err))
        reply_error(k->x, &err);
    else
        reply_deleted(k->x, k->id, "response");
}

/* The row ends here if nobody has claimed it by now; if somebody has, that is no error. */
static enum err_code end_waiting(struct cancelling *k, const struct store_job *row, struct err *err)
{
    enum err_code code = end_row(k->api, row, STORE_CANCELLED, NULL, true, err);
    if (code == ERR_CONFLICT)
        return ERR_OK;
    if (code)
        return code;
    job_forget(k->api->conductor, k->id);
    k->forgotten = true;
    return ERR_OK;
}

static void on_cancelled(void *ctx, enum job_cancelled what);

/* Where the row stands decides: over, so it is the answer; waiting, so it is ended here; else the conductor is asked, again
 * where it was asked before. It is also asked behind the end of one that waited: when it answers, the place among those
 * that wait is free, so who was told of the cancel finds it so. */
static void cancel_row(struct cancelling *k, bool waits)
{
    struct store_job row;
    struct err err = { 0 };
    enum err_code code = store_job_get(k->api->store, str_from(k->owner.id), k->id, &row, &k->arena, &err);
    if (!code && row.status <= STORE_IN_PROGRESS && waits)
        code = end_waiting(k, &row, &err);
    bool runs = !code && row.status <= STORE_IN_PROGRESS;
    if (runs && !atomic_load(&k->gone)) {
        job_cancel_named(k->api->conductor, k->id, on_cancelled, k);
        return;
    }
    if (runs)
        code = err_set(&err, ERR_BUSY, NULL, "The server is stopping.");
    if (code)
        reply_error(k->x, &err);
    else
        reply_row(k, &row);
    end_cancelling(k);
}

static void cancel_waiting(void *ctx)
{
    cancel_row(ctx, true);
}

static void cancel_stored(void *ctx)
{
    cancel_row(ctx, false);
}

/* On the conductor's thread, which must not wait for the disk. A job that is not there and not over is on its way, here or
 * at another node: a moment later it is asked for again. */
static void on_cancelled(void *ctx, enum job_cancelled what)
{
    struct cancelling *k = ctx;
    struct err err = { 0 };
    switch (what) {
    case CANCEL_ABSENT:
        later_run(k->api->later, k->forgotten ? 0 : CANCEL_AGAIN_MS, cancel_stored, k);
        return;
    case CANCEL_WAITS: later_run(k->api->later, 0, cancel_waiting, k); return;
    case CANCEL_OVER: later_run(k->api->later, 0, cancel_stored, k); return;
    case CANCEL_UNSTORED:
        err_set(&err, ERR_STORE, NULL,
                "The store cannot be written now (the server's log says why), so the end of this response is "
                "not kept yet. Please try again.");
        break;
    case CANCEL_STOPPED: err_set(&err, ERR_BUSY, NULL, "The server is stopping."); break;
    }
    reply_error(k->x, &err);
    end_cancelling(k);
}

static void cancel(const struct call *c, struct str id, bool delete)
{
    struct cancelling *k = mem_zalloc(sizeof *k);
    *k = (struct cancelling){ .api = c->api, .x = c->x, .owner = c->owner, .delete = delete };
    k->id = arena_str(&k->arena, id);
    http_on_gone(c->x, canceller_gone, k);
    cancel_stored(k);
}

void responses_cancel(const struct call *c)
{
    struct store_job row;
    struct arena arena = { 0 };
    struct err err = { 0 };
    struct str id = http_path_arg(c->x, 0);
    enum err_code code = store_job_get(c->api->store, str_from(c->owner.id), id, &row, &arena, &err);
    if (code == ERR_NOT_FOUND)
        not_found(&err, "Response", id);
    else if (!code && !row.background)
        code = err_set(&err, ERR_INVALID_VALUE, NULL, "Cannot cancel a synchronous response.");
    bool waits = code == ERR_NOT_FOUND && arriving_wait(c, id, responses_cancel);
    if (code && !waits)
        reply_error(c->x, &err);
    else if (!code)
        cancel(c, row.id, false);
    arena_free(&arena);
}

void stop_running(const struct call *c, const struct store_job *job)
{
    struct err err;
    if (job->background) {
        cancel(c, job->id, true);
        return;
    }
    err_set(&err, ERR_CONFLICT, NULL,
            "Response with id '%.*s' is still in progress; close its connection to end it.",
            STR_ARG(job->id));
    reply_error(c->x, &err);
}
