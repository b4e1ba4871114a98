/*
 * peer.c - raw sockets with deadlines, and the server that the tests talk to.
 */
#include "peer.h"

#include "base/clock.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* --- the client ------------------------------------------------------------------------------------- */

void peer_open(struct peer *p, const char *url)
{
    int port = 0;
    *p = (struct peer){ 0 };
    assert_int_equal(sscanf(url, "http://127.0.0.1:%d", &port), 1);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(p->fd >= 0);
    assert_return_code(connect(p->fd, (struct sockaddr *)&to, sizeof to), errno);
}

void peer_send_bytes(struct peer *p, const void *bytes, size_t len)
{
    for (const char *at = bytes; len;) {
        ssize_t n = send(p->fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* the server has ended the connection, which the test reads next */
        at += n;
        len -= (size_t)n;
    }
}

void peer_send(struct peer *p, const char *text)
{
    peer_send_bytes(p, text, strlen(text));
}

bool peer_fill(struct peer *p)
{
    struct pollfd pfd = { p->fd, POLLIN, 0 };
    char bytes[16384];
    if (p->eof)
        return false;
    if (poll(&pfd, 1, PEER_WAIT_MS) != 1)
        fail_msg("nothing came for %d ms; so far: %s", PEER_WAIT_MS, p->in.len ? p->in.ptr : "");
    ssize_t n = recv(p->fd, bytes, sizeof bytes, 0);
    p->eof = n <= 0; /* a reset is an end too */
    if (n > 0)
        buf_put(&p->in, bytes, (size_t)n);
    return !p->eof;
}

static size_t find(struct peer *p, const char *needle)
{
    size_t at;
    while ((at = str_find(buf_str(&p->in), str_from(needle))) == SIZE_MAX)
        if (!peer_fill(p))
            fail_msg("the connection ended before \"%s\"; so far: %s", needle, p->in.len ? p->in.ptr : "");
    return at;
}

void peer_until(struct peer *p, const char *needle)
{
    buf_drop_front(&p->in, find(p, needle) + strlen(needle));
}

void peer_until_eof(struct peer *p)
{
    while (peer_fill(p))
        continue;
}

void peer_close(struct peer *p)
{
    close(p->fd);
    buf_free(&p->in);
}

const char *peer_header(struct peer_reply *r, const char *name)
{
    static _Thread_local char value[1024];
    size_t len = strlen(name);
    for (const char *line = strstr(r->head.ptr, "\r\n"); line; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, len) == 0 && line[2 + len] == ':') {
            const char *from = line + 3 + len;
            while (*from == ' ')
                from++;
            snprintf(value, sizeof value, "%.*s", (int)strcspn(from, "\r"), from);
            return value;
        }
    return NULL;
}

struct peer_reply *peer_read_head(struct peer *p)
{
    struct peer_reply *r = mem_zalloc(sizeof *r);
    size_t len = find(p, "\r\n\r\n") + 4;
    buf_put(&r->head, p->in.ptr, len);
    buf_drop_front(&p->in, len);
    assert_int_equal(sscanf(r->head.ptr, "HTTP/1.1 %d ", &r->status), 1);
    const char *connection = peer_header(r, "Connection");
    r->closes = connection && strcasecmp(connection, "close") == 0;
    return r;
}

static void read_chunks(struct peer *p, struct buf *body)
{
    for (;;) {
        find(p, "\r\n");
        unsigned long len = strtoul(p->in.ptr, NULL, 16);
        peer_until(p, "\r\n");
        while (p->in.len < len + 2)
            assert_true(peer_fill(p));
        buf_put(body, p->in.ptr, len);
        buf_drop_front(&p->in, len + 2);
        if (len == 0)
            return;
    }
}

struct peer_reply *peer_read(struct peer *p)
{
    struct peer_reply *r = peer_read_head(p);
    const char *text = peer_header(r, "Transfer-Encoding");
    if (text) {
        read_chunks(p, &r->body);
        return r;
    }
    text = peer_header(r, "Content-Length");
    size_t len = text ? strtoul(text, NULL, 10) : 0;
    while (p->in.len < len)
        assert_true(peer_fill(p));
    buf_put(&r->body, p->in.ptr, len);
    buf_drop_front(&p->in, len);
    return r;
}

void peer_reply_free(struct peer_reply *r)
{
    buf_free(&r->head);
    buf_free(&r->body);
    mem_free(r);
}

struct peer_reply *peer_ask(const char *url, const char *request)
{
    struct peer p;
    peer_open(&p, url);
    peer_send(&p, request);
    struct peer_reply *r = peer_read(&p);
    peer_close(&p);
    return r;
}

/* --- the server -------------------------------------------------------------------------------------- */

static void gone(void *ctx)
{
    struct world *w = ctx;
    pthread_mutex_lock(&w->lock);
    w->gone++;
    pthread_cond_broadcast(&w->moved);
    pthread_mutex_unlock(&w->lock);
}

static void do_hello(struct http_exchange *x, const struct http_route *route, void *app)
{
    (void)route, (void)app;
    http_reply(x, 200, "text/plain", STR("hello"));
}

static void do_echo(struct http_exchange *x, const struct http_route *route, void *app)
{
    (void)route, (void)app;
    http_set_header(x, "x-was-type", http_header(x, "content-type").len ? "typed" : "bare");
    http_reply(x, 200, "application/octet-stream", http_body(x));
}

static void do_show(struct http_exchange *x, const struct http_route *route, void *app)
{
    (void)route, (void)app;
    struct buf out = { 0 };
    struct str name, value;
    buf_printf(&out, "%.*s|%.*s|%.*s", STR_ARG(http_method(x)), STR_ARG(http_path(x)),
               STR_ARG(http_path_arg(x, 0)));
    for (size_t i = 0; http_query(x, i, &name, &value); i++)
        buf_printf(&out, "|%.*s=%.*s", STR_ARG(name), STR_ARG(value));
    http_reply(x, 200, "text/plain", buf_str(&out));
    buf_free(&out);
}

static void do_hold(struct http_exchange *x, const struct http_route *route, void *app)
{
    struct world *w = app;
    if (route->flags == 1)
        http_stream_begin(x);
    http_on_gone(x, gone, w);
    pthread_mutex_lock(&w->lock);
    assert(w->n_held < ARRAY_LEN(w->held));
    w->held[w->n_held++] = x;
    pthread_cond_broadcast(&w->moved);
    pthread_mutex_unlock(&w->lock);
}

static void do_block(struct http_exchange *x, const struct http_route *route, void *app)
{
    struct world *w = app;
    (void)route;
    pthread_mutex_lock(&w->lock);
    w->blocked++;
    pthread_cond_broadcast(&w->moved);
    while (!w->open)
        pthread_cond_wait(&w->moved, &w->lock);
    pthread_mutex_unlock(&w->lock);
    http_reply(x, 200, "text/plain", STR("out"));
}

static const struct http_route routes[] = {
    { "GET", "/hello", 0, do_hello, 0 },         { "POST", "/echo", 1 << 20, do_echo, 0 },
    { "POST", "/small", 10, do_echo, 0 },        { "GET", "/items/{id}", 0, do_show, 0 },
    { "DELETE", "/items/{id}", 0, do_show, 0 },  { "GET", "/files/{path+}", 0, do_show, 0 },
    { "GET", "/hold", 0, do_hold, 0 },           { "GET", "/stream", 0, do_hold, 1 },
    { "GET", "/block", 0, do_block, 0 },         { "POST", "/hold", 100, do_hold, 0 },
    { "GET", "/quick", 0, do_hold, HTTP_QUICK },
};

static void error_body(struct buf *body, const struct err *err)
{
    buf_printf(body, "{\"error\":{\"message\":\"%s\"}}", err->message);
}

const struct http_config world_defaults = {
    .listen = "127.0.0.1:0",
    .routes = routes,
    .n_routes = ARRAY_LEN(routes),
    .error_body = error_body,
    .workers = 2,
    .header_bytes_max = 16384,
    .connections_max = 256,
    .connections_per_ip = 0,
    .request_timeout_ms = PEER_WAIT_MS,
    .idle_timeout_ms = PEER_WAIT_MS,
    .ping_ms = PEER_WAIT_MS,
    .stream_bytes_max = 1 << 20,
    .stop_timeout_ms = PEER_WAIT_MS,
};

static void run(void *ctx)
{
    http_run(((struct world *)ctx)->server);
}

struct world *world_start(const struct http_config *cfg)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct http_config own = cfg ? *cfg : world_defaults;
    struct err err = { 0 };
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    log_set_level(LOG_ERROR);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->moved, &monotonic);
    pthread_condattr_destroy(&monotonic);
    own.app = w;
    if (http_open(&w->server, &own, &err))
        fail_msg("%s", err.message);
    thread_start(&w->loop, "test-loop", run, w);
    w->running = true;
    return w;
}

static struct timespec deadline(void)
{
    int64_t ns = clock_mono_ns() + (int64_t)PEER_WAIT_MS * 1000000;
    return (struct timespec){ ns / 1000000000, ns % 1000000000 };
}

/* Waits under the lock until *count >= at_least. */
#define WAIT_FOR(w, condition, what)                                                                         \
    do {                                                                                                     \
        struct timespec until_ = deadline();                                                                 \
        pthread_mutex_lock(&(w)->lock);                                                                      \
        int rc_ = 0;                                                                                         \
        while (!(condition) && rc_ == 0)                                                                     \
            rc_ = pthread_cond_timedwait(&(w)->moved, &(w)->lock, &until_);                                  \
        bool ok_ = (condition);                                                                              \
        pthread_mutex_unlock(&(w)->lock);                                                                    \
        if (!ok_)                                                                                            \
            fail_msg("waited in vain for %s", what);                                                         \
    } while (0)

struct http_exchange *world_take(struct world *w)
{
    WAIT_FOR(w, w->n_held > 0, "an exchange");
    pthread_mutex_lock(&w->lock);
    struct http_exchange *x = w->held[0];
    memmove(w->held, w->held + 1, --w->n_held * sizeof w->held[0]);
    pthread_mutex_unlock(&w->lock);
    return x;
}

void world_hold_gone(struct world *w, struct http_exchange *x)
{
    http_on_gone(x, gone, w);
}

void world_wait_gone(struct world *w, int count)
{
    WAIT_FOR(w, w->gone >= count, "on_gone");
}

void world_wait_blocked(struct world *w, int count)
{
    WAIT_FOR(w, w->blocked >= count, "a worker");
}

void world_unblock(struct world *w)
{
    pthread_mutex_lock(&w->lock);
    w->open = true;
    pthread_cond_broadcast(&w->moved);
    pthread_mutex_unlock(&w->lock);
}

void world_stop(struct world *w)
{
    if (!w->running)
        return;
    http_stop(w->server);
    thread_join(&w->loop);
    w->running = false;
}

void world_end(struct world *w)
{
    world_stop(w);
    http_close(w->server);
    pthread_cond_destroy(&w->moved);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
}

const char *world_url(struct world *w)
{
    return http_url(w->server);
}
