/*
 * fetch.h - outgoing HTTP (libcurl) and the reader of server-sent events.
 *
 * Threads: fetch_start once; then any thread, each call blocks its caller.
 */
#ifndef THINKD_FETCH_FETCH_H
#define THINKD_FETCH_FETCH_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

void fetch_start(void);
void fetch_stop(void);

struct fetch_request {
    const char *method;         /* "GET", "POST" */
    const char *url;            /* http or https */
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    struct str body;
    int64_t connect_ms; /* 0: 10 s */
    int64_t silent_ms;  /* longest silence of the peer; 0: 120 s */
    size_t bytes_max;   /* of the reply, or of one event; 0: 64 MiB */
};

struct fetch_reply {
    int status;
    struct buf body; /* caller's: buf_free */
};

/* Sees one event; event is "message" where the stream names none. Return false to end the stream. */
struct fetch_events {
    bool (*put)(void *ctx, struct str event, struct str data);
    void *ctx;
};

/* ERR_NETWORK when no reply came. A status of 400 or more is a reply, not an error. */
enum err_code fetch_perform(const struct fetch_request *req, struct fetch_reply *reply, struct err *err);
/* As above; a text/event-stream reply goes to events and leaves body empty, any other lands in body. */
enum err_code fetch_stream(const struct fetch_request *req, struct fetch_events events,
                           struct fetch_reply *reply, struct err *err);

/* The event-stream parser (WHATWG HTML, 9.2.6), fed in pieces of any size. Zero-initialise. */
struct sse_reader {
    struct buf line, data, event;
    bool seen_cr, started;
    size_t bytes_max; /* of one event; 0: 64 MiB */
};
/* False: the sink ended it, or an event is longer than bytes_max (err is then set). */
bool sse_reader_feed(struct sse_reader *r, struct str bytes, struct fetch_events events, struct err *err);
void sse_reader_free(struct sse_reader *r);

#endif
