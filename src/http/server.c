/*
 * server.c - libmicrohttpd, which no other file knows.
 *
 * The library runs without threads of its own: its epoll descriptor sits in the loop's, and it works
 * inside MHD_run, once a round, after everything else of the round was noted. All its calls and callbacks
 * are therefore on the loop thread.
 *
 * A request in the library's callbacks:
 *   on_target   the request line is there: the exchange is made, the deadline runs
 *   on_request  called with the head; with each piece of the body; when complete; and again each time a
 *               suspended connection is resumed, until a response is queued
 *   on_end      the answer is out or the connection lost: the exchange loses its connection
 *   on_upgrade  a 101 is out: the exchange ends, the descriptor is websocket.c's until daemon_release
 * While an exchange is held its connection is suspended; so is a stream's while there is nothing to send.
 *
 * Not ours to word: what the library itself refuses on a connection's second request or later (a malformed
 * chunk, a head beyond its memory) gets its own short page and the end of the connection.
 */
#include "http/http_impl.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define MHD_POOL_BEYOND_HEAD (32 * KIB) /* a chunk, and so an unsplit SSE event, can be about this large */
#define MHD_SPARE_CONNS      64         /* above our own bound, so that the library's never decides */
#define STREAM_BLOCK         4096       /* bytes a read for HTTP/1.0 clients, which get no chunks */
#define STREAM_SMALL         4096 /* bytes of buffers that a stream keeps while it has nothing to send */

/* --- answers ------------------------------------------------------------------------------------------ */

static void add_header(struct MHD_Response *r, const char *name, const char *value)
{
    enum MHD_Result ok = MHD_add_response_header(r, name, value);
    assert(ok == MHD_YES); /* names and values were checked where they came in */
    (void)ok;
}

static void put_header(void *ctx, const char *name, const char *value)
{
    add_header(ctx, name, value);
}

static void add_headers(struct MHD_Response *r, const struct http_exchange *x)
{
    struct reply_facts facts = { .status = x->status };
    exchange_facts(x, &facts);
    reply_fields(&facts, put_header, r);
    if (x->content_type)
        add_header(r, "Content-Type", x->content_type);
    for (size_t i = 0; i < x->n_fields; i++)
        add_header(r, x->fields[i].name.ptr, x->fields[i].value.ptr);
    if (x->server->stopping && !x->socket)
        add_header(r, "Connection", "close");
}

/* A stream that sleeps needs no pages of the buffer that the library gives it for a chunk, which is nearly all of the
 * connection's memory: it has filled that with zeros when the head was read, 24 KiB of 48, and large events dirty it. */
static void give_back_pages(struct http_exchange *x, char *out, size_t max)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)out + page - 1) & ~(page - 1), to = ((uintptr_t)out + max) & ~(page - 1);
    if (x->dirty && from < to)
        madvise((void *)from, to - from, MADV_DONTNEED); /* it may only fail to save */
    x->dirty = false;
}

/* Takes len bytes off what waits; lock held. */
static void take_out(struct http_exchange *x, char *out, size_t len)
{
    memcpy(out, x->out.ptr + x->out_at, len);
    x->out_at += len;
    x->dirty |= len > STREAM_SMALL;
    if (x->out_at == x->out.len && x->out.cap > STREAM_SMALL) {
        buf_free(&x->out);
        x->out_at = 0;
    } else if (x->out_at == x->out.len) {
        buf_clear(&x->out);
        x->out_at = 0;
    } else if (x->out_at > x->out.len / 2) { /* moving less than was sent keeps the total linear */
        buf_drop_front(&x->out, x->out_at);
        x->out_at = 0;
    }
}

/* The library asks for more of a stream: whole events, or sleep. */
static ssize_t on_read(void *cls, uint64_t pos, char *out, size_t max)
{
    struct http_exchange *x = cls;
    (void)pos;
    ssize_t n;
    pthread_mutex_lock(&x->lock);
    struct str pending = str_slice(buf_str(&x->out), x->out_at, x->out.len);
    if (x->gone && x->state != EXCHANGE_ENDED) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (pending.len) {
        n = (ssize_t)frame_cut(pending, max);
        take_out(x, out, (size_t)n);
    } else if (x->state == EXCHANGE_ENDED) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        n = 0;
    }
    pthread_mutex_unlock(&x->lock);
    if (n == 0) {
        give_back_pages(x, out, max);
        /* A frame written since the unlock has put its note, and notes are read after this. */
        x->conn->suspended = true;
        MHD_suspend_connection(x->conn->handle);
    }
    return n;
}

static enum MHD_Result send_response(struct http_exchange *x, struct MHD_Response *r)
{
    assert(r);
    add_headers(r, x);
    enum MHD_Result ok = MHD_queue_response(x->conn->handle, (unsigned)x->status, r);
    MHD_destroy_response(r);
    return ok;
}

static enum MHD_Result send_reply(struct http_exchange *x)
{
    size_t len = x->out.len;
    conn_set_phase(x->conn, CONN_SENDING);
    char *body = buf_take(&x->out); /* the library frees it, with free() */
    return send_response(x, MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE));
}

static enum MHD_Result send_stream(struct http_exchange *x)
{
    /* Asked with HEAD, 0.9.75 would send the chunk that ends a stream. */
    bool head_only = str_is(x->head.method, "HEAD");
    /* Chunks are made in the connection's memory; the block would lie unused with every stream. */
    size_t block = str_is(x->head.version, "HTTP/1.0") ? STREAM_BLOCK : 1;
    struct MHD_Response *r =
        head_only ? MHD_create_response_from_buffer(0, "", MHD_RESPMEM_PERSISTENT)
                  : MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, block, on_read, x, NULL);
    x->dirty = true;
    conn_set_phase(x->conn, head_only ? CONN_SENDING : CONN_STREAMING);
    add_header(r, "Cache-Control", "no-cache");
    add_header(r, "X-Accel-Buffering", "no"); /* nginx would gather events */
    return send_response(x, r);
}

static void on_upgrade(void *cls, struct MHD_Connection *handle, void *context, const char *early,
                       size_t early_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *upgrade)
{
    struct http_exchange *x = cls;
    struct conn *c = x->conn;
    struct http_socket *socket = x->socket;
    (void)handle, (void)context;
    assert(fd == c->fd);
    c->upgrade = upgrade;
    c->x = NULL;
    x->socket = NULL;
    socket_attach(socket, c, (struct str){ early, early_len });
    exchange_detach(x);
}

static enum MHD_Result send_upgrade(struct http_exchange *x)
{
    char accept[HTTP_ACCEPT_SIZE];
    struct MHD_Response *r = MHD_create_response_for_upgrade(on_upgrade, x); /* adds Connection: Upgrade */
    conn_set_phase(x->conn, CONN_SENDING);
    handshake_accept(head_field(&x->head, "Sec-WebSocket-Key"), accept);
    add_header(r, "Upgrade", "websocket");
    add_header(r, "Sec-WebSocket-Accept", accept);
    return send_response(x, r);
}

/* --- requests ------------------------------------------------------------------------------------------ */

static void *on_target(void *cls, const char *uri, struct MHD_Connection *handle)
{
    (void)cls;
    struct conn *c = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    assert(!c->x);
    c->x = exchange_new(c, str_from(uri)); /* as received; url of on_request is decoded and ends at NULs */
    if (c->phase != CONN_RECEIVING)        /* else the deadline runs since the first byte */
        conn_set_phase(c, CONN_RECEIVING);
    return c->x;
}

struct fields {
    struct http_field *at;
    size_t count;
};

static enum MHD_Result on_field(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                const char *value, size_t value_len)
{
    struct fields *f = cls;
    (void)kind;
    f->at[f->count++] =
        (struct http_field){ { name, name_len }, { value ? value : name + name_len, value_len } };
    return f->count <= HTTP_FIELDS_MAX ? MHD_YES : MHD_NO; /* one more than allowed is enough to refuse */
}

static enum err_code read_head(struct http_exchange *x, const char *method, const char *version,
                               struct err *err)
{
    struct http_field views[HTTP_FIELDS_MAX + 1];
    struct fields f = { views, 0 };
    struct MHD_Connection *handle = x->conn->handle;
    MHD_get_connection_values_n(handle, MHD_HEADER_KIND, on_field, &f);
    struct http_head *h = &x->head;
    struct str target = h->target;
    *h = (struct http_head){ str_from(method), target, str_from(version), views, f.count };
    enum err_code code = head_guard(h, &x->framing, err);
    size_t bytes = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
    if (!code && bytes > (size_t)x->server->cfg.header_bytes_max)
        code = err_set(err, ERR_HEADERS_TOO_LARGE, NULL,
                       "The request line and headers are longer than %lld bytes.",
                       (long long)x->server->cfg.header_bytes_max);
    if (!code && !head_accounts_for(h, bytes))
        code = err_set(err, ERR_BAD_REQUEST, NULL,
                       "The request's head holds a NUL, or blanks where none belong.");
    /* The views lie in the library's memory, which a lost client takes with it. */
    struct http_field *copies = arena_array(&x->arena, f.count + 1, sizeof *copies);
    for (size_t i = 0; i < f.count; i++)
        copies[i] =
            (struct http_field){ arena_str(&x->arena, views[i].name), arena_str(&x->arena, views[i].value) };
    h->fields = copies;
    h->method = arena_str(&x->arena, h->method);
    h->version = arena_str(&x->arena, h->version);
    return code;
}

static enum err_code check_body(const struct http_exchange *x, struct err *err)
{
    size_t max = x->match.route ? x->match.route->body_max : 0;
    if (max == 0 && (x->body.len || x->framing.length))
        return err_set(err, ERR_TOO_LARGE, NULL, "%.*s %.*s takes no request body.", STR_ARG(x->head.method),
                       STR_ARG(str_slice(x->target.path, 0, 200)));
    if (x->body.len > max || (x->framing.has_length && x->framing.length > max))
        return err_set(err, ERR_TOO_LARGE, NULL, "The request's body is larger than %zu bytes.", max);
    if (x->server->body_bytes > HTTP_BODIES_MAX)
        return err_set(err, ERR_BUSY, NULL, "Too many large requests are being received; try again shortly.");
    return ERR_OK;
}

static void answer_options(struct http_exchange *x)
{
    struct str asked = head_field(&x->head, "Access-Control-Request-Headers");
    char headers[512] = "authorization, content-type, api-key, openai-organization, openai-project";
    if (asked.len && asked.len < sizeof headers)
        snprintf(headers, sizeof headers, "%.*s",
                 STR_ARG(asked)); /* a field's value: no control characters */
    http_set_header(x, "Allow", x->match.allow);
    http_set_header(x, "Access-Control-Allow-Methods", x->match.allow);
    http_set_header(x, "Access-Control-Allow-Headers", headers);
    http_set_header(x, "Access-Control-Max-Age", "86400");
    exchange_answer(x, 204, NULL, (struct str){ 0 });
}

/* Ends the connection: behind a request that was refused unread, nothing can be trusted or waited for. */
static enum MHD_Result refuse(struct http_exchange *x, const struct err *err)
{
    conn_refuse(x->conn, err);
    return MHD_NO;
}

static enum MHD_Result on_head(struct http_exchange *x, const char *method, const char *version)
{
    struct err err;
    enum err_code code = read_head(x, method, version, &err);
    if (code)
        return refuse(x, &err);
    bool has_body = x->framing.chunked || x->framing.length > 0;
    if (str_is(x->head.target, "*"))
        x->target.raw_path = x->target.path = x->head.target;
    else
        code = target_decode(x->head.target, &x->arena, &x->target, &err);
    if (!code)
        code = route_find(x->server->cfg.routes, x->server->cfg.n_routes, x->head.method, &x->target,
                          &x->arena, &x->match, &err);
    if (!code)
        code = check_body(x, &err);
    if (code && has_body)
        return refuse(x, &err);
    if (code == ERR_METHOD)
        http_set_header(x, "Allow", x->match.allow);
    if (code)
        exchange_answer_error(x, &err);
    else if (!x->match.route)
        answer_options(x);
    return MHD_YES; /* answered when complete, which it is at the next call: there is no body */
}

/* A buffer that grows is copied, which for tens of megabytes keeps the loop for tens of milliseconds: who has sent so much is
 * believed about the rest, whose pages are not touched before it comes. */
static void believe_length(struct http_exchange *x)
{
    if (x->framing.has_length && x->body.len >= HTTP_BODY_BELIEVED && x->framing.length > x->body.cap)
        buf_reserve(&x->body, x->framing.length - x->body.len);
}

static enum MHD_Result on_body(struct http_exchange *x, const char *bytes, size_t *len)
{
    struct err err;
    believe_length(x);
    buf_put(&x->body, bytes, *len);
    x->body_counted += *len;
    x->server->body_bytes += *len;
    *len = 0;
    return check_body(x, &err) ? refuse(x, &err) : MHD_YES;
}

/* A quick one stands in its own queue before its turn is given out, so whoever takes the turn finds it, if nobody has yet.
 * Their number is bounded there, that of the turns by it. */
static bool give_to_worker(struct http_exchange *x)
{
    struct http_server *s = x->server;
    if (!(x->match.route->flags & HTTP_QUICK))
        return mailbox_post(s->work, &(struct work){ .x = x });
    return mailbox_post(s->quick, &x) && mailbox_push(s->work, &(struct work){ 0 });
}

static enum MHD_Result hand_out(struct http_exchange *x)
{
    if (!give_to_worker(x)) {
        struct err err;
        err_set(&err, ERR_BUSY, NULL, "The server has more requests than it can take in; try again shortly.");
        exchange_answer_error(x, &err);
        return send_reply(x);
    }
    x->held = true; /* the worker's first note is read after this */
    conn_set_phase(x->conn, CONN_HELD);
    x->conn->suspended = true;
    MHD_suspend_connection(x->conn->handle);
    return MHD_YES;
}

static enum MHD_Result on_complete(struct http_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    enum exchange_state state = x->state;
    bool gone = x->gone;
    pthread_mutex_unlock(&x->lock);
    if (!x->complete_ns)
        x->complete_ns = clock_mono_ns();
    if (state == EXCHANGE_REPLIED)
        return send_reply(x);
    if (gone)
        return MHD_NO; /* cut, or a stream that nobody would read */
    if (state == EXCHANGE_OPEN && !x->held)
        return hand_out(x);
    assert(state != EXCHANGE_OPEN); /* a held one is resumed by its answer or its end only */
    return state == EXCHANGE_UPGRADED ? send_upgrade(x) : send_stream(x);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *handle, const char *url,
                                  const char *method, const char *version, const char *bytes, size_t *len,
                                  void **context)
{
    struct http_exchange *x = *context;
    (void)cls, (void)handle, (void)url;
    assert(x && x->conn);
    if (x->conn->refused)
        return MHD_NO;
    if (!x->seen_head) {
        x->seen_head = true;
        return on_head(x, method, version);
    }
    return *len ? on_body(x, bytes, len) : on_complete(x);
}

static void on_end(void *cls, struct MHD_Connection *handle, void **context,
                   enum MHD_RequestTerminationCode how)
{
    struct http_exchange *x = *context;
    struct conn *c = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    (void)cls, (void)how;
    if (!x || c->phase == CONN_SOCKET) /* that exchange ended in on_upgrade */
        return;
    *context = NULL;
    c->x = NULL;
    /* While it is held its status is still the holder's to write. */
    log_line(LOG_DEBUG, "http", "done id=%s status=%d path=%.*s ms=%lld", x->id, x->held ? 0 : x->status,
             STR_ARG(str_slice(x->target.path, 0, 200)),
             (long long)((clock_mono_ns() - x->received_ns) / 1000000));
    if (c->phase == CONN_SENDING || c->phase == CONN_STREAMING) {
        conn_set_phase(c, CONN_IDLE);
        if (c->server->stopping)
            shutdown(c->fd, SHUT_RDWR);
    }
    exchange_detach(x);
}

static void on_connection(void *cls, struct MHD_Connection *handle, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = cls;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        conn_closed(*context); /* the library closes the descriptor right after this */
        return;
    }
    int fd = MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct conn **at = &s->adopting;
    while ((*at)->fd != fd) /* it is there: only daemon_adopt brings connections */
        at = &(*at)->next_adopting;
    struct conn *c = *at;
    *at = c->next_adopting;
    c->handle = handle;
    *context = c;
}

/* What the library could not take it has closed. */
static void adoption_failed(struct conn *c)
{
    c->server->adopting = c->next_adopting;
    conn_bury(c);
}

void daemon_adopt(struct conn *c)
{
    struct http_server *s = c->server;
    c->next_adopting = s->adopting;
    s->adopting = c;
    conn_set_phase(c, CONN_RECEIVING);
    /* 0.9.75 takes it up at once, 1.0 in its next run. */
    enum MHD_Result ok = MHD_add_connection(s->daemon, c->fd, (const struct sockaddr *)&c->peer, c->peer_len);
    if (ok != MHD_YES && s->adopting == c)
        adoption_failed(c);
}

void daemon_resume(struct conn *c)
{
    if (!c->suspended)
        return;
    c->suspended = false;
    MHD_resume_connection(c->handle);
}

void daemon_release(struct conn *c)
{
    MHD_upgrade_action(c->upgrade, MHD_UPGRADE_ACTION_CLOSE);
}

/* --- life ------------------------------------------------------------------------------------------------ */

void daemon_run(struct http_server *s)
{
    MHD_run(s->daemon);
    while (s->adopting) /* what it has not named by now it could not take */
        adoption_failed(s->adopting);
}

int64_t daemon_wait_ms(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG ms;
    return MHD_get_timeout(s->daemon, &ms) == MHD_YES ? (int64_t)ms : -1;
}

enum err_code daemon_open(struct http_server *s, int *fd, struct err *err)
{
    const struct http_config *cfg = &s->cfg;
    /* The library times a reader that has stalled; the other two are timed in conn.c, and first. */
    int64_t silent_ms =
        cfg->idle_timeout_ms > cfg->request_timeout_ms ? cfg->idle_timeout_ms : cfg->request_timeout_ms;
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE | MHD_USE_NO_LISTEN_SOCKET;
    /* clang-format off */
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, s,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, s,
        MHD_OPTION_NOTIFY_COMPLETED, on_end, s,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)cfg->header_bytes_max + MHD_POOL_BEYOND_HEAD,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)cfg->connections_max + MHD_SPARE_CONNS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(silent_ms / 1000 + 1), MHD_OPTION_END);
    /* clang-format on */
    if (!s->daemon)
        return err_set(err, ERR_SERVER, NULL, "The HTTP library does not start.");
    *fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return ERR_OK;
}

void daemon_close(struct http_server *s)
{
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
}
