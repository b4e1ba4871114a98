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
#include <sys/socket.h>

void fetch_start(void);
void fetch_stop(void);

struct fetch_request {
    const char *method;         /* "GET", "POST" */
    const char *url;            /* http or https */
    const char *const *headers; /* "Name: value", NULL-terminated; may be NULL */
    struct str body;
    int64_t connect_ms; /* 0: 10 s */
    int64_t silent_ms;  /* longest silence of the peer; 0: 120 s */
    int64_t total_ms;   /* for all of it, redirects too; 0: no limit but that on silence */
    size_t bytes_max;   /* of the reply, or of one event; 0: 64 MiB */
    /* For URLs that a stranger chose: no address is connected to that only this machine or its network can reach, and
     * no proxy is asked, since it would connect where we do not see it. */
    bool public_only;
    int redirects_max; /* followed to http and https, and from https to https alone; 0: a redirect is a reply */
};

#define FETCH_TYPE_MAX 128

struct fetch_reply {
    int status;
    char type[FETCH_TYPE_MAX]; /* the Content-Type, cut; "" where there is none */
    struct buf body;           /* caller's: buf_free */
    bool too_long;             /* the error is that the body has more than bytes_max */
};

/* Sees one event; event is "message" where the stream names none. Return false to end the stream. */
struct fetch_events {
    bool (*put)(void *ctx, struct str event, struct str data);
    void *ctx;
};

/* Whether an address is one of the internet at large: not loopback, private, link-local, shared, multicast, reserved or
 * an IPv6 form of such a one. Other families than IPv4 and IPv6 are not. */
bool fetch_address_is_public(const struct sockaddr *address);

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
