/*
 * http.h - the network side: requests in, replies and streams out; bytes, not meanings.
 *
 * libmicrohttpd parses HTTP/1.1 and is driven from the loop thread's own epoll; http/server.c is the
 * only file that knows it. Around it stand the guards of DEPENDENCIES.md 2.4: request smuggling checks,
 * a deadline from the first byte to the last of a request, bounds on headers, body and connections.
 *
 * A request becomes an exchange. It is handed to a worker thread when its body is complete; whoever
 * holds the exchange answers it exactly once, from any thread, now or much later:
 *   http_reply, or http_stream_begin, http_stream_write..., http_stream_end.
 * After http_reply or http_stream_end the exchange is gone for the caller.
 *
 * A client that leaves is noticed while nothing is being sent (EPOLLRDHUP): on_gone is called once on
 * the loop thread and must only post a message. The holder still ends the exchange; its bytes are dropped.
 *
 * Threads: the loop thread runs http_run; workers run handlers; reply functions from any thread.
 */
#ifndef THINKD_HTTP_HTTP_H
#define THINKD_HTTP_HTTP_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct http_server;
struct http_exchange;

struct http_route {
    const char *method;  /* "POST" */
    const char *pattern; /* "/v1/models/{id}"; a last segment "{id+}" also takes slashes */
    size_t body_max;     /* bytes; 0: a body is refused */
    /* On a worker thread; app is http_config's. */
    void (*handle)(struct http_exchange *x, const struct http_route *route, void *app);
    unsigned flags; /* the application's own */
};

struct http_config {
    const char *listen; /* "127.0.0.1:8080", "[::1]:0", "0.0.0.0:8080" */
    const struct http_route *routes;
    size_t n_routes;
    void *app; /* handed to handlers */
    /* Writes the body for an error that the HTTP side itself answers: 400, 404, 405, 408, 413, 431, 503. */
    void (*error_body)(struct buf *body, const struct err *err);
    int workers;
    int64_t header_bytes_max, connections_max, connections_per_ip;
    int64_t request_timeout_ms, idle_timeout_ms, ping_ms, stream_bytes_max, stop_timeout_ms;
};

enum err_code http_open(struct http_server **out, const struct http_config *cfg, struct err *err);
/* Listening since http_open. */
const char *http_url(const struct http_server *s); /* "http://127.0.0.1:8080", with the port that was bound */
void http_run(struct http_server *s);   /* the loop: returns after http_stop when all exchanges ended */
void http_stop(struct http_server *s);  /* any thread: accept no more, let running ones end, then cut them */
void http_close(struct http_server *s); /* after http_run returned; NULL is fine */

/* --- the request: valid until the exchange is answered; read-only ------------------------------- */

struct str http_method(const struct http_exchange *x);
struct str http_path(const struct http_exchange *x);                     /* percent-decoded, valid UTF-8 */
struct str http_path_arg(const struct http_exchange *x, size_t i);       /* what {..} number i matched */
struct str http_header(const struct http_exchange *x, const char *name); /* first of that name, or empty */
bool http_query(const struct http_exchange *x, size_t i, struct str *name, struct str *value); /* decoded */
struct str http_body(const struct http_exchange *x);

/* Calls fn(ctx) on the loop thread if the client leaves, or the server stops, before the exchange is answered:
 * at most once, at once if it has left already, never after http_reply or http_stream_end returned. */
void http_on_gone(struct http_exchange *x, void (*fn)(void *ctx), void *ctx);

/* --- the reply ------------------------------------------------------------------------------------ */

/* Before the reply begins; name and value are copied and must be free of control characters. */
void http_set_header(struct http_exchange *x, const char *name, const char *value);
/* Copies; content_type may be NULL. */
void http_reply(struct http_exchange *x, int status, const char *content_type, struct str body);

/* An SSE stream: status 200, text/event-stream, no-cache. While nothing is written for ping_ms, a comment
 * ": ping\n\n" is sent. Writes are gathered by the loop and each frame leaves in one piece. */
void http_stream_begin(struct http_exchange *x);
bool http_stream_write(struct http_exchange *x, struct str frame); /* copies; false: nobody reads any more */
void http_stream_end(struct http_exchange *x);

/* "event: T\ndata: J\n\n"; event NULL leaves its line out. data must hold no line break. */
void sse_frame(struct buf *out, const char *event, struct str data);

#endif
