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

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct http_server;
struct http_exchange;

#define HTTP_QUICK (1u << 31) /* a route's requests pass those of others that wait for a worker */

struct http_route {
    const char *method;  /* "POST" */
    const char *pattern; /* "/v1/models/{id}"; a last segment "{id+}" also takes slashes */
    size_t body_max;     /* bytes; 0: a body is refused */
    /* On a worker thread; app is http_config's. */
    void (*handle)(struct http_exchange *x, const struct http_route *route, void *app);
    unsigned flags; /* the application's own, but for HTTP_QUICK */
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

/* Calls fn(ctx) when the exchange is answered, once, on the thread that answers it, before http_reply or http_stream_end
 * returns and before the client sees the end: for who keeps what was said. It must not block. Set by the handler, at most
 * once, before anybody else can answer. */
struct http_answer {
    int status;
    bool stream;     /* events were sent; body is empty then */
    bool gone;       /* the client had left */
    struct str body; /* of a plain reply, until fn returns */
};
void http_on_answer(struct http_exchange *x, void (*fn)(void *ctx, const struct http_answer *a), void *ctx);

/* --- the reply ------------------------------------------------------------------------------------ */

/* Before the reply begins; name and value are copied and must be free of control characters. */
void http_set_header(struct http_exchange *x, const char *name, const char *value);
/* Copies; content_type may be NULL. */
void http_reply(struct http_exchange *x, int status, const char *content_type, struct str body);

/* An SSE stream: status 200, text/event-stream, no-cache. While nothing is written for ping_ms, a comment
 * ": ping\n\n" is sent. Writes are gathered by the loop and each frame leaves in one piece. */
void http_stream_begin(struct http_exchange *x);
bool http_stream_write(struct http_exchange *x, struct str frame); /* copies; false: nobody reads any more */
size_t http_stream_unread(
    struct http_exchange *x); /* bytes that wait for the client to read; 0 once it has left */
void http_stream_end(struct http_exchange *x);

/* --- WebSocket (RFC 6455) ------------------------------------------------------------------------- */

/* A connection that was upgraded. Messages of one socket are handed to workers one after the other, in order; sends from
 * any thread leave in order. What no client may send (unmasked frames, a message beyond the route's body_max, text that is
 * not UTF-8, binary messages) ends the connection with the code that the RFC names. Pings are answered, and sent after
 * ping_ms of silence; a peer that does not answer one for as long again is gone. */
struct http_socket;
struct http_socket_events {
    void (*message)(void *ctx, struct http_socket *s,
                    struct str text); /* on a worker; text until it returns */
    void (*closed)(void *ctx,
                   struct http_socket *s); /* on a worker, after the last message: s goes when it returns */
    void (*refused)(void *ctx, struct buf *text, const struct err *err); /* on the loop: a message that is too
                                              large or not text ends the connection; what is sent before. NULL: nothing */
    void (*stopping)(void *ctx); /* on the loop, where it may post and no more: the server stops. Who has it
                                              closes the socket by itself when what it works on is done, or the stop's
                                              timeout cuts it. NULL: it is closed at once */
    void *ctx;
};
bool http_wants_socket(const struct http_exchange *x); /* http_upgrade is to answer it */
/* Answers x, which is gone for the caller, with 101; events may come at once, on other workers, and even `closed` may have
 * returned before this does: what uses the socket asks ctx whether it is still there. NULL: x was not a handshake or the
 * server stops, and x was answered with 400 or 503. */
struct http_socket *http_upgrade(struct http_exchange *x, const struct http_socket_events *events);
/* False: nobody reads any more (closed, or stream_bytes_max unread, which cuts the connection). text is valid UTF-8.
 * Any thread until `closed` returns: a call that runs then, or begins later, would meet freed memory. So `closed` takes
 * the lock under which the application's other threads send, marks the socket as gone there, and returns. */
bool http_socket_send(struct http_socket *s, struct str text); /* copies */
/* After what was sent. No message begins any more; closed comes. reason may be NULL. */
void http_socket_close(struct http_socket *s, int code, const char *reason);

/* --- multipart/form-data (RFC 7578) --------------------------------------------------------------- */

#define HTTP_FORM_PARTS_MAX 128
#define HTTP_FORM_HEAD_MAX  8192 /* bytes of one part's headers */

struct http_part {
    struct str name, filename; /* valid UTF-8, name not empty; of the body, or unescaped in the arena */
    struct str content_type;   /* as sent; empty: not there */
    struct str bytes;          /* of the body */
    bool is_file;              /* filename was there, be it empty */
};

struct http_form {
    struct str rest;
    char delimiter[4 + 70];
    size_t delimiter_len;
    int parts;
    bool begun, ended;
};

/* The boundary that a Content-Type names, as a view of it; false: this is no multipart/form-data with a sound one. */
bool http_form_boundary(struct str content_type, struct str *boundary);
/* Over a complete body, which must stay; boundary as http_form_boundary gave it. */
void http_form_begin(struct http_form *f, struct str body, struct str boundary);
/* The next part, or found false behind the last. What is malformed or beyond a bound is ERR_BAD_REQUEST with a message that
 * says what, and ends the reading. A body is only sound when found is false: a part may be followed by an error. */
enum err_code http_form_next(struct http_form *f, struct http_part *part, bool *found, struct arena *a,
                             struct err *err);

/* "event: T\ndata: J\n\n"; event NULL leaves its line out. data must hold no line break. */
void sse_frame(struct buf *out, const char *event, struct str data);

#endif
