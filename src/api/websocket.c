/*
 * websocket.c - GET /v1/responses as a WebSocket: one response after the other over one connection.
 *
 * A message {"type":"response.create", ...} is a create request; the reply is its events, one JSON text each, as a stream
 * has them, without [DONE]. One response is made at a time, and what comes meanwhile waits in order. What cannot be done is
 * an "error" event with the status that HTTP would have, and the connection goes on.
 *
 * The connection remembers its last response with everything before it, so previous_response_id goes on from it also
 * where store is false, without the store. A request that goes on from it and fails forgets it, wherever it failed: the
 * client's picture and ours may differ from there on (Open Responses, WebSocket chapter).
 *
 * A connection lives socket_life_ms. Then it hears so and is closed, one that has a response made when that has ended; what
 * waits behind it is not begun. The open connections stand in a list, oldest first, and one call of later's, put off until
 * the oldest is due, looks after all of them. When the server stops the life of all is over.
 *
 * Threads: messages and the close come from http's workers, one after the other; the stop from the loop, which hands it to
 * later's at once; answers from the conductor's and the store's thread. The lock guards all of a lane, and that nobody sends to a socket that is closed. What follows an answer, and the end
 * of a connection's life, runs on later's thread, since decoding may wait for the disk.
 * Locks: the list's, then a lane's.
 * What is remembered is the lane's own, shared with no turn: a JSON value belongs to one thread at a time.
 * Ownership: a lane is freed by the last of its socket, its turn and the call that starts the next message.
 */
#include "api/api_impl.h"

#include "base/clock.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <utlist.h>

#define WAITING_MAX 64   /* messages that wait behind the response that is made */
#define LIFE_CLOSE  1000 /* normal closure: the error event said why */
#define STOP_CLOSE  1001 /* going away */

struct waiting_message {
    json_t *doc;
    size_t bytes; /* of its text */
    struct waiting_message *prev, *next;
};

struct lanes {
    struct api *api;
    pthread_mutex_t lock; /* guards what follows, and the lanes' places in it */
    struct lane *open;    /* list, the oldest first */
    bool armed;           /* a call of sweep is put off */
};

struct lane {
    struct api *api;
    struct access_owner owner;
    int64_t opened_ms;
    struct lane *prev, *next; /* among the open ones */
    bool listed;
    pthread_mutex_t lock; /* guards what follows */
    int refs;
    struct http_socket *socket; /* NULL: closed */
    bool busy;                  /* a message is worked on */
    bool expired;               /* its life is over: what is made ends, and nothing begins */
    bool stops;                 /* since the server stops, not since it is old */
    struct turn *turn;          /* what of it can be cancelled */
    struct waiting_message *waiting;
    size_t n_waiting;
    char last[80]; /* id of the last response; "": none */
    json_t *items; /* of it, and before it */
};

static void unref(struct lane *l)
{
    pthread_mutex_lock(&l->lock);
    bool gone = --l->refs == 0;
    pthread_mutex_unlock(&l->lock);
    if (!gone)
        return;
    pthread_mutex_destroy(&l->lock);
    json_decref(l->items);
    mem_free(l);
}

/* --- sending ------------------------------------------------------------------------------------------------ */

/* With the lock. */
static void send(struct lane *l, struct str json)
{
    if (l->socket && !http_socket_send(l->socket, json) && l->turn)
        turn_cancel(l->turn);
}

void lane_event(struct lane *l, struct str json)
{
    pthread_mutex_lock(&l->lock);
    send(l, json);
    pthread_mutex_unlock(&l->lock);
}

/* Every error has a code here, also where HTTP's says null: the status would be all there is to tell them apart. */
static const char *error_code(enum err_code code)
{
    const char *name = err_api_code(code);
    return name ? name : err_status(code) == 404 ? "not_found" : "invalid_request";
}

static void put_envelope(struct buf *json, const struct err *err)
{
    struct json_writer w = { .out = json };
    jw_begin_object(&w);
    jw_key_cstring(&w, "type", "error");
    jw_key_int(&w, "status", err_status(err->code));
    jw_key(&w, "error");
    jw_begin_object(&w);
    jw_key_cstring(&w, "message", err->message);
    jw_key_cstring(&w, "type", err_type(err->code));
    jw_key_cstring(&w, "param", err->param[0] ? err->param : NULL);
    jw_key_cstring(&w, "code", error_code(err->code));
    jw_end_object(&w);
    jw_end_object(&w);
}

/* With the lock. */
static void send_error(struct lane *l, const struct err *err)
{
    struct buf json = { 0 };
    put_envelope(&json, err);
    send(l, buf_str(&json));
    buf_free(&json);
}

/* --- the last response -------------------------------------------------------------------------------------- */

bool lane_history(struct lane *l, struct str id, json_t *items)
{
    pthread_mutex_lock(&l->lock);
    bool is_last = l->last[0] && str_is(id, l->last);
    for (size_t i = 0; is_last && i < json_array_size(l->items); i++)
        json_array_append_new(items, json_deep_copy(json_array_get(l->items, i)));
    pthread_mutex_unlock(&l->lock);
    return is_last;
}

/* With the lock. */
static void forget(struct lane *l)
{
    json_decref(l->items);
    l->items = NULL;
    l->last[0] = '\0';
}

/* With the lock. What was said up to now: history, input, output. */
static void remember(struct lane *l, const struct turn *t)
{
    json_t *response = json_loadb(t->final.ptr, t->final.len, 0, NULL);
    forget(l);
    l->items = json_array();
    json_array_extend(l->items, t->history);
    json_array_clear(t->history);                          /* now the lane's alone */
    for (size_t i = 0; i < json_array_size(t->input); i++) /* these share values with the document */
        json_array_append_new(l->items, json_deep_copy(json_array_get(t->input, i)));
    json_array_extend(l->items, json_object_get(response, "output"));
    snprintf(l->last, sizeof l->last, "%s", t->id);
    json_decref(response);
}

/* With the lock. The request in doc failed. It is looked at as it was sent: it may have failed before its fields were. */
static void forget_what_failed(struct lane *l, const json_t *doc)
{
    struct str previous = json_str(json_object_get(doc, "previous_response_id"));
    if (previous.len && str_is(previous, l->last))
        forget(l);
}

/* --- the end of a connection's life ------------------------------------------------------------------------- */

static enum err_code life_is_over(const struct lane *l, struct err *err)
{
    if (l->stops)
        return err_set(err, ERR_BUSY, NULL, "The server is stopping; try again shortly.");
    return err_set(err, ERR_CONNECTION_LIMIT, NULL,
                   "This connection has been open for %" PRId64
                   " seconds, which is all that one may. Open another.",
                   l->api->cfg->socket_life_ms / 1000);
}

/* With the lock. */
static void end_life(struct lane *l)
{
    struct err err;
    if (!l->stops) {
        life_is_over(l, &err);
        send_error(l, &err);
    }
    if (l->socket)
        http_socket_close(l->socket, l->stops ? STOP_CLOSE : LIFE_CLOSE,
                          l->stops ? "The server is stopping." : "its time is over");
}

static void expire(struct lane *l, bool stops)
{
    pthread_mutex_lock(&l->lock);
    l->expired = true;
    l->stops = stops;
    if (!l->busy)
        end_life(l);
    pthread_mutex_unlock(&l->lock);
}

static void remove_lane(struct lanes *all, struct lane *l)
{
    if (l->listed)
        DL_DELETE(all->open, l);
    l->listed = false;
}

static void sweep(void *ctx)
{
    struct lanes *all = ctx;
    int64_t in_ms = 0;
    pthread_mutex_lock(&all->lock);
    for (struct lane *l; (l = all->open);) {
        in_ms = l->opened_ms + all->api->cfg->socket_life_ms - clock_mono_ms();
        if (in_ms > 0)
            break;
        remove_lane(all, l);
        expire(l, false);
    }
    bool again = all->armed = all->open != NULL;
    pthread_mutex_unlock(&all->lock);
    if (again)
        later_run(all->api->later, in_ms, sweep, all);
}

static void stop_all(void *ctx)
{
    struct lanes *all = ctx;
    pthread_mutex_lock(&all->lock);
    for (struct lane *l; (l = all->open);) {
        remove_lane(all, l);
        expire(l, true);
    }
    pthread_mutex_unlock(&all->lock);
}

static void on_stopping(void *ctx)
{
    const struct lane *l = ctx;
    later_run(l->api->later, 0, stop_all, l->api->lanes);
}

static void enlist(struct lane *l)
{
    struct lanes *all = l->api->lanes;
    pthread_mutex_lock(&all->lock);
    l->opened_ms = clock_mono_ms(); /* with the lock: the list is in the order of these */
    DL_APPEND(all->open, l);
    l->listed = true;
    bool first = !all->armed;
    all->armed = true;
    pthread_mutex_unlock(&all->lock);
    if (first)
        later_run(all->api->later, all->api->cfg->socket_life_ms, sweep, all);
}

static void delist(struct lane *l)
{
    struct lanes *all = l->api->lanes;
    pthread_mutex_lock(&all->lock);
    remove_lane(all, l);
    pthread_mutex_unlock(&all->lock);
}

struct lanes *lanes_open(struct api *a)
{
    struct lanes *all = mem_zalloc(sizeof *all);
    all->api = a;
    pthread_mutex_init(&all->lock, NULL);
    return all;
}

void lanes_close(struct lanes *all)
{
    if (!all)
        return;
    assert(!all->open);
    pthread_mutex_destroy(&all->lock);
    mem_free(all);
}

/* --- one message after the other -------------------------------------------------------------------------------- */

static void start_next(void *ctx);

void lane_begins(struct lane *l, struct turn *t)
{
    pthread_mutex_lock(&l->lock);
    l->turn = t;
    if (!l->socket)
        turn_cancel(t);
    pthread_mutex_unlock(&l->lock);
}

void lane_answered(struct lane *l, struct turn *t, const struct err *err)
{
    pthread_mutex_lock(&l->lock);
    l->turn = NULL;
    if (err->code) {
        send_error(l, err);
        forget_what_failed(l, t->doc);
    } else {
        remember(l, t);
    }
    pthread_mutex_unlock(&l->lock);
    later_run(l->api->later, 0, start_next, l); /* with the turn's reference */
}

/* doc, its own, with what only HTTP has taken out. */
static void start(struct lane *l, json_t *doc, size_t bytes)
{
    static const char *const not_here[] = { "type", "stream", "stream_options", "background" };
    for (size_t i = 0; i < ARRAY_LEN(not_here); i++)
        json_object_del(doc, not_here[i]);
    turn_run_lane(l, l->api, &l->owner, doc, bytes);
}

static void start_next(void *ctx)
{
    struct lane *l = ctx;
    pthread_mutex_lock(&l->lock);
    struct waiting_message *m = l->socket && !l->expired ? l->waiting : NULL;
    if (l->expired)
        end_life(l);
    if (m) {
        DL_DELETE(l->waiting, m);
        l->n_waiting--;
    }
    l->busy = m != NULL;
    pthread_mutex_unlock(&l->lock);
    if (!m) {
        unref(l);
        return;
    }
    start(l, m->doc, m->bytes);
    mem_free(m);
}

static enum err_code read_message(json_t **doc, struct str text, struct err *err)
{
    static const char *const known[] = { "response.create", NULL };
    enum err_code code = json_read(doc, text, err);
    if (code)
        return code;
    const json_t *type = json_object_get(*doc, "type");
    if (str_is(json_str(type), "response.create"))
        return ERR_OK;
    if (!json_is_object(*doc))
        code = field_type_error(err, "", "an object", *doc);
    else if (!type || json_is_null(type))
        code = field_missing_error(err, "type");
    else if (!json_is_string(type))
        code = field_type_error(err, "type", "a string", type);
    else
        code = field_value_error(err, "type", json_str(type), known);
    json_decref(*doc);
    *doc = NULL;
    return code;
}

/* With the lock. Room behind the response that is made, or the error. */
static enum err_code wait_in_line(struct lane *l, json_t **doc, size_t bytes, struct err *err)
{
    if (l->n_waiting == WAITING_MAX)
        return err_set(err, ERR_BUSY, NULL,
                       "%d messages wait on this connection already. Wait for a response.", WAITING_MAX);
    struct waiting_message *m = mem_zalloc(sizeof *m);
    m->doc = *doc;
    m->bytes = bytes;
    DL_APPEND(l->waiting, m);
    l->n_waiting++;
    *doc = NULL; /* it may be another thread's as soon as the lock is free */
    return ERR_OK;
}

static void on_message(void *ctx, struct http_socket *s, struct str text)
{
    struct lane *l = ctx;
    struct err err = { 0 };
    json_t *doc = NULL;
    bool starts = false;
    (void)s;
    enum err_code code = read_message(&doc, text, &err);
    pthread_mutex_lock(&l->lock);
    if (l->expired) {
        code = life_is_over(l, &err);
    } else if (!code && l->busy) {
        code = wait_in_line(l, &doc, text.len, &err);
    } else if (!code) {
        l->busy = starts = true;
        l->refs++; /* the turn's, and then start_next's */
    }
    if (code) {
        send_error(l, &err);
        forget_what_failed(l, doc);
    }
    pthread_mutex_unlock(&l->lock);
    if (starts)
        start(l, doc, text.len);
    else
        json_decref(doc);
}

static void on_refused(void *ctx, struct buf *text, const struct err *err)
{
    (void)ctx;
    put_envelope(text, err);
}

static void on_closed(void *ctx, struct http_socket *s)
{
    struct lane *l = ctx;
    struct waiting_message *m, *next;
    (void)s;
    delist(l);
    pthread_mutex_lock(&l->lock);
    l->socket = NULL;
    if (l->turn)
        turn_cancel(l->turn);
    DL_FOREACH_SAFE(l->waiting, m, next)
    {
        json_decref(m->doc);
        mem_free(m);
    }
    l->waiting = NULL;
    l->n_waiting = 0;
    pthread_mutex_unlock(&l->lock);
    unref(l);
}

void responses_socket(const struct call *c)
{
    struct err err;
    if (!http_wants_socket(c->x)) {
        http_set_header(c->x, "Allow", "POST");
        err_set(&err, ERR_METHOD, NULL,
                "GET /v1/responses is for WebSocket connections (Upgrade: websocket); a response is created "
                "with POST, "
                "and retrieved by its id.");
        reply_error(c->x, &err);
        return;
    }
    struct lane *l = mem_zalloc(sizeof *l);
    l->api = c->api;
    l->owner = c->owner;
    l->refs = 2; /* the socket's, and this call's */
    pthread_mutex_init(&l->lock, NULL);
    const struct http_socket_events events = {
        .message = on_message, .closed = on_closed, .refused = on_refused, .stopping = on_stopping, .ctx = l
    };
    enlist(l); /* before there is a `closed`, which takes it out again */
    /* The lock is held, so that the first message finds the socket where it looks for it. */
    pthread_mutex_lock(&l->lock);
    l->socket = http_upgrade(c->x, &events);
    bool refused = !l->socket;
    if (l->expired && !refused && !l->busy) /* while it had no socket that could be told */
        end_life(l);
    pthread_mutex_unlock(&l->lock);
    if (refused) { /* there will be no `closed` */
        delist(l);
        unref(l);
    }
    unref(l);
}
