/*
 * stream.c - a background response as a stream: what is stored of it, then what comes.
 *
 * A stream reads stored events in portions until there are no more, then watches the job. The job's log keeps recent events,
 * so what was stored between the last portion and the watch is not missed; where the log begins later than the stream stands
 * (WATCH_BEHIND), it reads the store again. It ends with the job: behind the terminal event, or where a cancelled
 * response has none.
 *
 * It is as fast as its client reads, and is not cut for being slow: what there is no room for is in the store. Reading there, it
 * waits for its client; watching, it leaves the watch and reads there.
 *
 * A client that leaves is heard on the loop thread, which only says so (the flag, job_unwatch); whoever has the stream at
 * that moment ends it. The stream itself is touched by one thread at a time: later's while it reads, the conductor's
 * while it watches. When the client leaves between the last look at the flag and the watch, job_unwatch comes before the
 * watch and finds nothing; so who has begun the watch looks again, for which it has a reference of its own.
 *
 * job_unwatch may be said twice, and the second may meet a later stream at the same address. That one hears WATCH_LEFT
 * though its client is there, and watches anew.
 *
 * Threads: as said. Ownership: the exchange is the stream's; the stream is freed with its last reference.
 */
#include "api/api_impl.h"

#include "base/rng.h"

#include <stdio.h>

#define PORTION_EVENTS 512
#define PORTION_BYTES  (256 * KIB)
#define LOOK_AGAIN_MS  50  /* at a job that runs at another node, or between being claimed and running */
#define UNREAD_BYTES   MIB /* that may wait for the client, where stream_bytes_max is not less */
#define FRAME_BYTES    256 /* of a frame beside its event, a pad too */
#define SLOW_MS                                                                                              \
    5 /* until a client that has not read enough is looked at again; then twice as long each time */
#define SLOW_MS_MAX 320
#define PAD_BYTES   8 /* random bytes behind an obfuscated delta, as twice as many digits */

struct stream {
    struct api *api;
    struct http_exchange *x;
    char *name;
    int64_t next;    /* number of the event it sends next */
    int64_t slow_ms; /* how long it has last waited for its client */
    bool behind;     /* the watch, which it leaves */
    bool obfuscate;
    atomic_bool gone;
    atomic_int refs;
};

static void unref(struct stream *s)
{
    if (atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    mem_free(s->name);
    mem_free(s);
}

/* --- frames ----------------------------------------------------------------------------------------------- */

/* The value of "type", which stands first in every event. */
static struct str type_of(struct str json)
{
    const struct str head = STR("{\"type\":\"");
    struct str rest = str_slice(json, head.len, json.len);
    return str_slice(rest, 0, str_find(rest, STR("\"")));
}

void stream_frame(struct buf *out, struct str json, bool obfuscate)
{
    char type[64], pad[2 * PAD_BYTES + 1];
    snprintf(type, sizeof type, "%.*s", STR_ARG(type_of(json)));
    if (!obfuscate || !str_ends(str_from(type), STR(".delta"))) {
        sse_frame(out, type, json);
        return;
    }
    struct buf padded = { 0 };
    uint64_t random = rng_os_u64();
    rng_os_hex(pad, PAD_BYTES + (size_t)(random % PAD_BYTES));
    buf_put_str(&padded, str_slice(json, 0, json.len - 1));
    buf_printf(&padded, ",\"obfuscation\":\"%s\"}", pad);
    sse_frame(out, type, buf_str(&padded));
    buf_free(&padded);
}

/* False: nobody reads any more. */
static bool send(struct stream *s, struct str json)
{
    struct buf frame = { 0 };
    stream_frame(&frame, json, s->obfuscate);
    bool sent = http_stream_write(s->x, buf_str(&frame));
    buf_free(&frame);
    s->next++;
    if (!sent)
        atomic_store(&s->gone, true);
    return sent;
}

static void end(struct stream *s)
{
    http_stream_write(s->x, STR("data: [DONE]\n\n"));
    http_stream_end(s->x);
    unref(s);
}

static size_t unread_max(const struct stream *s)
{
    size_t max = (size_t)s->api->cfg->stream_bytes_max;
    return max < UNREAD_BYTES ? max : UNREAD_BYTES;
}

/* For an event, or for the stream's end. An event of any size has room where nothing waits. */
static bool has_room(const struct stream *s, size_t bytes)
{
    size_t unread = http_stream_unread(s->x);
    return !unread || unread + bytes + FRAME_BYTES <= unread_max(s);
}

/* --- what comes ---------------------------------------------------------------------------------------------- */

static void read_on(void *ctx);

/* Conductor's thread. */
static void watch_put(void *ctx, int64_t number, struct str json)
{
    struct stream *s = ctx;
    (void)number; /* s->next, as the watch began there */
    if (s->behind || atomic_load(&s->gone))
        return;
    s->behind = !has_room(s, json.len);
    if (s->behind || !send(s, json))
        job_unwatch(s->api->conductor, str_from(s->name), s);
}

static void watch_end(void *ctx, enum job_watch_end why)
{
    struct stream *s = ctx;
    bool over = why == WATCH_OVER && !s->behind && has_room(s, 0);
    if (over || why == WATCH_STOPPED || atomic_load(&s->gone))
        end(s);
    else
        later_run(s->api->later, why == WATCH_ABSENT ? LOOK_AGAIN_MS : 0, read_on, s);
}

/* Loop thread. s is there: its exchange has not been answered. */
static void client_gone(void *ctx)
{
    struct stream *s = ctx;
    atomic_store(&s->gone, true);
    job_unwatch(s->api->conductor, str_from(s->name), s);
}

/* --- what is stored --------------------------------------------------------------------------------------------- */

/* Sends a portion, or what of it there is room for. *more: there may be others. */
static enum err_code send_stored(struct stream *s, bool *more, bool *full, struct err *err)
{
    struct str *events;
    size_t n = 0;
    struct arena arena = { 0 };
    enum err_code code = store_job_events(s->api->store, str_from(s->name), s->next, PORTION_EVENTS,
                                          PORTION_BYTES, &events, &n, &arena, err);
    bool reads = !atomic_load(&s->gone);
    *full = false;
    for (size_t i = 0; i < n && reads && !*full; i++)
        if (!(*full = !has_room(s, events[i].len)))
            reads = send(s, events[i]);
    *more = !code && n > 0 && reads;
    arena_free(&arena);
    return code;
}

/* A job that is over says so in its row, which is written with its last events: so the row is read first. */
static enum err_code is_over(struct stream *s, bool *over, struct err *err)
{
    struct store_job row;
    struct arena arena = { 0 };
    enum err_code code =
        store_job_get(s->api->store, (struct str){ 0 }, str_from(s->name), &row, &arena, err);
    *over = !code && row.status > STORE_IN_PROGRESS;
    arena_free(&arena);
    return code;
}

/* The error is the stream's, not the response's, so it has the last event's number: behind that the next one is still to be
 * read. */
static void fail(struct stream *s, const struct err *err)
{
    struct buf json = { 0 }, frame = { 0 };
    struct json_writer w = { .out = &json };
    jw_begin_object(&w);
    jw_key_cstring(&w, "type", "error");
    jw_key_int(&w, "sequence_number", s->next > 0 ? s->next - 1 : 0);
    put_error_event(&w, err);
    jw_end_object(&w);
    sse_frame(&frame, "error", buf_str(&json));
    http_stream_write(s->x, buf_str(&frame));
    buf_free(&json);
    buf_free(&frame);
    end(s);
}

/* From here on the stream is the conductor's. */
static void watch(struct stream *s)
{
    atomic_fetch_add(&s->refs, 1);
    s->behind = false;
    job_watch(s->api->conductor, str_from(s->name), s->next,
              (struct job_watcher){ .put = watch_put, .end = watch_end, .ctx = s });
    if (atomic_load(&s->gone))
        job_unwatch(s->api->conductor, str_from(s->name), s);
    unref(s);
}

static void wait_for_reader(struct stream *s, int64_t ms)
{
    s->slow_ms = ms < SLOW_MS_MAX ? ms : SLOW_MS_MAX;
    later_run(s->api->later, s->slow_ms, read_on, s);
}

/* Later's thread. */
static void read_on(void *ctx)
{
    struct stream *s = ctx;
    struct err err = { 0 };
    bool over, more = true, full = false;
    if (http_stream_unread(s->x) > unread_max(s) / 2) { /* one who does not read costs less and less */
        wait_for_reader(s, 2 * s->slow_ms);
        return;
    }
    enum err_code code = is_over(s, &over, &err);
    while (!code && more && !full)
        code = send_stored(s, &more, &full, &err);
    full |= !code && over && !has_room(s, 0);
    if (!code && full && !atomic_load(&s->gone))
        wait_for_reader(s, SLOW_MS);
    else if (code && code != ERR_NOT_FOUND)
        fail(s, &err);
    else if (code || over || atomic_load(&s->gone))
        end(s);
    else
        watch(s);
}

void stream_response(struct api *a, struct http_exchange *x, struct str name, int64_t next, bool obfuscate)
{
    struct stream *s = mem_zalloc(sizeof *s);
    *s = (struct stream){ .api = a, .x = x, .next = next, .slow_ms = SLOW_MS, .obfuscate = obfuscate };
    s->name = mem_strndup(name.ptr, name.len);
    atomic_init(&s->gone, false);
    atomic_init(&s->refs, 1);
    http_stream_begin(x);
    http_on_gone(x, client_gone, s);
    later_run(a->later, 0, read_on, s);
}

enum err_code responses_stream(const struct call *c, struct str id, int64_t starting_after,
                               bool include_obfuscation, struct err *err)
{
    struct store_job row;
    struct arena arena = { 0 };
    enum err_code code = store_job_get(c->api->store, str_from(c->owner.id), id, &row, &arena, err);
    if (code == ERR_NOT_FOUND)
        not_found(err, "Response", id);
    else if (!code && !row.background)
        code = err_set(err, ERR_INVALID_VALUE, "stream",
                       "Only responses that were created with 'background' can be retrieved as a stream.");
    if (!code)
        stream_response(c->api, c->x, row.id, starting_after + 1, include_obfuscation);
    arena_free(&arena);
    return code;
}
