/*
 * websocket.c - upgraded connections over real sockets, with frames made by hand.
 *
 * The application of these tests echoes; a few texts make it do something else (see on_message). Closed sockets are
 * counted in the world's `gone`.
 */
#include "peer.h"

#include "base/rng.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define MESSAGE_MAX (128 * KIB)
#define KEY         "dGhlIHNhbXBsZSBub25jZQ==" /* of RFC 6455, section 1.3, as is ACCEPT */
#define ACCEPT      "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define UPGRADE     "GET /socket HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
#define HANDSHAKE   UPGRADE "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n"

enum { FIN = 0x80, MORE = 0, CONT = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

/* --- the application ----------------------------------------------------------------------------------------- */

static void wait_until_open(struct world *w)
{
    pthread_mutex_lock(&w->lock);
    w->blocked++;
    pthread_cond_broadcast(&w->moved);
    while (!w->open)
        pthread_cond_wait(&w->moved, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

static void on_message(void *ctx, struct http_socket *s, struct str text)
{
    if (str_is(text, "close")) {
        http_socket_send(s, STR("first"));
        http_socket_send(s, STR("last"));
        http_socket_close(s, 4000, "as asked");
        assert_false(http_socket_send(s, STR("never")));
    } else if (str_is(text, "block")) {
        wait_until_open(ctx);
    } else if (str_is(text, "flood")) {
        char bytes[4096];
        memset(bytes, 'f', sizeof bytes);
        while (http_socket_send(s, (struct str){ bytes, sizeof bytes }))
            continue;
    } else {
        http_socket_send(s, text);
    }
}

static void on_closed(void *ctx, struct http_socket *s)
{
    struct world *w = ctx;
    http_socket_close(s, 1000, NULL); /* harmless */
    assert_false(http_socket_send(s, STR("to nobody")));
    pthread_mutex_lock(&w->lock);
    w->gone++;
    pthread_cond_broadcast(&w->moved);
    pthread_mutex_unlock(&w->lock);
}

static void do_socket(struct http_exchange *x, const struct http_route *route, void *app)
{
    struct http_socket_events events = { .message = on_message, .closed = on_closed, .ctx = app };
    if (route->flags)
        wait_until_open(app);
    bool wants = http_wants_socket(x); /* well-formed or not */
    struct http_socket *s = http_upgrade(x, &events);
    assert_true(wants || !s);
}

static void do_hello(struct http_exchange *x, const struct http_route *route, void *app)
{
    (void)route, (void)app;
    http_reply(x, 200, "text/plain", STR("hello"));
}

static const struct http_route routes[] = {
    { "GET", "/socket", MESSAGE_MAX, do_socket, 0 },
    { "POST", "/socket", MESSAGE_MAX, do_socket, 0 },
    { "GET", "/openai/late", MESSAGE_MAX, do_socket, 1 },
    { "GET", "/hello", 0, do_hello, 0 },
};

static struct http_config config(void)
{
    struct http_config cfg = world_defaults;
    cfg.routes = routes;
    cfg.n_routes = ARRAY_LEN(routes);
    return cfg;
}

static struct world *start(void)
{
    struct http_config cfg = config();
    return world_start(&cfg);
}

/* --- frames -------------------------------------------------------------------------------------------------- */

static void put_frame(struct buf *out, int first, struct str payload, bool masked)
{
    static const char mask[4] = { 0x12, 0x34, 0x56, 0x78 };
    size_t len = payload.len;
    buf_putc(out, (char)first);
    buf_putc(out, (char)((masked ? 0x80 : 0) | (len < 126 ? (int)len : len < 65536 ? 126 : 127)));
    for (int shift = len < 126 ? -8 : len < 65536 ? 8 : 56; shift >= 0; shift -= 8)
        buf_putc(out, (char)(len >> shift));
    if (masked)
        buf_put(out, mask, 4);
    for (size_t i = 0; i < len; i++)
        buf_putc(out, (char)(payload.ptr[i] ^ (masked ? mask[i % 4] : 0)));
}

static void send_frame(struct peer *p, int first, struct str payload)
{
    struct buf out = { 0 };
    put_frame(&out, first, payload, true);
    peer_send_bytes(p, out.ptr, out.len);
    buf_free(&out);
}

static void need(struct peer *p, size_t len)
{
    while (p->in.len < len)
        if (!peer_fill(p))
            fail_msg("the connection ended in the middle of a frame, %zu bytes of %zu", p->in.len, len);
}

/* The next frame: its first byte; payload is appended to. */
static int read_frame(struct peer *p, struct buf *payload)
{
    need(p, 2);
    int first = (unsigned char)p->in.ptr[0];
    size_t len = (unsigned char)p->in.ptr[1], extra = len < 126 ? 0 : len == 126 ? 2 : 8;
    assert_true(len < 128); /* a server does not mask */
    need(p, 2 + extra);
    if (extra)
        len = 0;
    for (size_t i = 0; i < extra; i++)
        len = len << 8 | (unsigned char)p->in.ptr[2 + i];
    need(p, 2 + extra + len);
    buf_put(payload, p->in.ptr + 2 + extra, len);
    buf_drop_front(&p->in, 2 + extra + len);
    return first;
}

static void expect(struct peer *p, int first, struct str want)
{
    struct buf got = { 0 };
    assert_int_equal(read_frame(p, &got), first);
    if (got.len != want.len || (want.len && memcmp(got.ptr, want.ptr, want.len) != 0))
        fail_msg("got %.40s (%zu bytes), wanted %.*s", got.len ? got.ptr : "", got.len, STR_ARG(want));
    buf_free(&got);
}

/* A close frame with the code, 0: without one; texts before it are skipped. */
static void expect_close(struct peer *p, int code)
{
    struct buf got = { 0 };
    while (read_frame(p, &got) != (FIN | CLOSE))
        buf_clear(&got);
    int has = got.len < 2 ? 0 : (unsigned char)got.ptr[0] << 8 | (unsigned char)got.ptr[1];
    if (has != code)
        fail_msg("closed with %d instead of %d", has, code);
    buf_free(&got);
}

static void open_socket(struct peer *p, const char *url)
{
    peer_open(p, url);
    peer_send(p, HANDSHAKE);
    struct peer_reply *r = peer_read_head(p);
    assert_int_equal(r->status, 101);
    peer_reply_free(r);
}

static void close_socket(struct peer *p)
{
    send_frame(p, FIN | CLOSE, STR("\x03\xe8"));
    expect_close(p, 1000);
    peer_until_eof(p);
    peer_close(p);
}

/* --- the handshake ------------------------------------------------------------------------------------------- */

static void a_handshake_is_answered(void **state)
{
    (void)state;
    struct world *w = start();
    struct peer p;
    world_unblock(w);
    peer_open(&p, world_url(w));
    peer_send(&p,
              "GET /openai/late HTTP/1.1\r\nHost: t\r\nupgrade: h2c,  WebSocket\r\nconnection: UPGRADE\r\n"
              "x-client-request-id: mine\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
              "sec-websocket-version: 13\r\nsec-websocket-key: " KEY "\r\n\r\n");
    struct peer_reply *r = peer_read_head(&p);
    assert_int_equal(r->status, 101);
    assert_string_equal(peer_header(r, "Sec-WebSocket-Accept"), ACCEPT);
    assert_string_equal(peer_header(r, "Upgrade"), "websocket");
    assert_string_equal(peer_header(r, "Connection"), "Upgrade");
    assert_null(peer_header(r, "Sec-WebSocket-Extensions"));
    assert_string_equal(peer_header(r, "openai-version"), "2020-10-01");
    assert_string_equal(peer_header(r, "x-client-request-id"), "mine");
    assert_string_equal(peer_header(r, "x-ms-region"), "local");
    assert_int_equal(strlen(peer_header(r, "x-request-id")), 36);
    peer_reply_free(r);
    close_socket(&p);
    world_end(w);
}

static void bad_handshakes_are_refused(void **state)
{
    (void)state;
    static const char *const requests[] = {
        UPGRADE "Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
        UPGRADE "Sec-WebSocket-Key: " KEY "\r\n\r\n",
        UPGRADE "Sec-WebSocket-Version: 13\r\n\r\n",
        UPGRADE "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2hvcnQ=\r\n\r\n",
        UPGRADE "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q==\r\n\r\n",
        UPGRADE "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=x\r\n\r\n",
        UPGRADE "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Key: " KEY
                "\r\n\r\n",
        "GET /socket HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: " KEY "\r\n\r\n",
        "GET /socket HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: " KEY "\r\n\r\n",
        "POST /socket HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: "
        "0\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n",
        "GET /socket HTTP/1.0\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: " KEY "\r\n\r\n",
        "GET /socket HTTP/1.1\r\nHost: t\r\n\r\n",
    };
    struct world *w = start();
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct peer_reply *r = peer_ask(world_url(w), requests[i]);
        if (r->status != 400)
            fail_msg("%d for %s", r->status, requests[i]);
        assert_string_equal(peer_header(r, "Sec-WebSocket-Version"), "13");
        assert_non_null(strstr(r->body.ptr, "WebSocket"));
        peer_reply_free(r);
    }
    assert_int_equal(w->gone, 0);
    world_end(w);
}

/* A refused handshake leaves a connection that goes on as HTTP. */
static void a_refused_handshake_keeps_the_connection(void **state)
{
    (void)state;
    struct world *w = start();
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, "GET /socket HTTP/1.1\r\nHost: t\r\n\r\n");
    peer_reply_free(peer_read(&p));
    peer_send(&p, HANDSHAKE);
    struct peer_reply *r = peer_read_head(&p);
    assert_int_equal(r->status, 101);
    peer_reply_free(r);
    send_frame(&p, FIN | TEXT, STR("now"));
    expect(&p, FIN | TEXT, STR("now"));
    close_socket(&p);
    world_end(w);
}

static void a_client_that_leaves_before_the_reply(void **state)
{
    (void)state;
    struct world *w = start();
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, "GET /openai/late HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY "\r\n\r\n");
    world_wait_blocked(w, 1);
    peer_close(&p);
    world_unblock(w);
    world_wait_gone(w, 1); /* closed comes, though the socket never opened */
    world_stop(w);
    assert_int_equal(w->gone, 1);
    world_end(w);
}

/* --- messages ------------------------------------------------------------------------------------------------ */

static void texts_of_every_size_come_back(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 4, 125, 126, 127, 65535, 65536, MESSAGE_MAX };
    struct world *w = start();
    struct peer p;
    char *bytes = mem_alloc(MESSAGE_MAX);
    open_socket(&p, world_url(w));
    for (size_t i = 0; i < MESSAGE_MAX; i++)
        bytes[i] = (char)('a' + i % 26);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        send_frame(&p, FIN | TEXT, (struct str){ bytes, sizes[i] });
        expect(&p, FIN | TEXT, (struct str){ bytes, sizes[i] });
    }
    mem_free(bytes);
    close_socket(&p);
    world_wait_gone(w, 1);
    world_end(w);
}

static void fragments_join_around_control_frames(void **state)
{
    (void)state;
    struct world *w = start();
    struct peer p;
    open_socket(&p, world_url(w));
    send_frame(&p, MORE | TEXT, STR("zwei gr\xc3")); /* cut within a character */
    send_frame(&p, FIN | PING, STR("are you there"));
    send_frame(&p, MORE | CONT, STR(""));
    send_frame(&p, FIN | PONG, STR("unasked"));
    send_frame(&p, FIN | CONT,
               STR("\xbc\xc3\x9f"
                   "e"));
    expect(&p, FIN | PONG, STR("are you there"));
    expect(&p, FIN | TEXT,
           STR("zwei gr\xc3\xbc\xc3\x9f"
               "e"));
    close_socket(&p);
    world_end(w);
}

static void frames_may_come_with_the_handshake(void **state)
{
    (void)state;
    struct world *w = start();
    struct buf out = { 0 };
    struct peer p;
    buf_puts(&out, HANDSHAKE);
    for (int i = 0; i < 40; i++) { /* more than may wait for a worker */
        char text[32];
        snprintf(text, sizeof text, "early %d", i);
        put_frame(&out, FIN | TEXT, str_from(text), true);
    }
    peer_open(&p, world_url(w));
    peer_send_bytes(&p, out.ptr, out.len);
    peer_until(&p, "\r\n\r\n");
    for (int i = 0; i < 40; i++) {
        char text[32];
        snprintf(text, sizeof text, "early %d", i);
        expect(&p, FIN | TEXT, str_from(text));
    }
    close_socket(&p);
    buf_free(&out);
    world_end(w);
}

static void frames_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct world *w = start();
    struct buf out = { 0 };
    struct peer p;
    open_socket(&p, world_url(w));
    put_frame(&out, MORE | TEXT, STR("slow"), true);
    put_frame(&out, FIN | CONT, STR("ly"), true);
    for (size_t i = 0; i < out.len; i++)
        peer_send_bytes(&p, out.ptr + i, 1);
    expect(&p, FIN | TEXT, STR("slowly"));
    close_socket(&p);
    buf_free(&out);
    world_end(w);
}

/* What no client may send, and the code that ends it. */
static void what_no_client_may_send(void **state)
{
    (void)state;
#define MASK "\x01\x02\x03\x04"
#define ROW(bytes, code)                                                                                     \
    {                                                                                                        \
        bytes, sizeof(bytes) - 1, code                                                                       \
    }
    static const struct {
        const char *bytes;
        size_t len;
        int code;
    } rows[] = {
        ROW("\x81\x01x", 1002),                          /* unmasked */
        ROW("\x82\x81" MASK "x", 1003),                  /* binary */
        ROW("\x02\x81" MASK "x", 1003),                  /* binary, its first fragment */
        ROW("\xc1\x81" MASK "x", 1002),                  /* RSV1: no extension was agreed */
        ROW("\xa1\x81" MASK "x", 1002),                  /* RSV2 */
        ROW("\x83\x81" MASK "x", 1002),                  /* reserved opcodes */
        ROW("\x8b\x80" MASK, 1002),                      /* the same, control */
        ROW("\x80\x81" MASK "x", 1002),                  /* goes on where nothing began */
        ROW("\x01\x81" MASK "x\x81\x81" MASK "x", 1002), /* begins before the last has ended */
        ROW("\x09\x80" MASK, 1002),                      /* a control frame in fragments */
        ROW("\x89\xfe\x00\x7e" MASK, 1002),              /* a long control frame */
        ROW("\x81\xfe\x00\x05" MASK, 1002),              /* a length not in its shortest form */
        ROW("\x81\xff\x80\x00\x00\x00\x00\x00\x00\x01" MASK, 1002),
        ROW("\x81\xff\x00\x00\x00\x00\x00\x02\x00\x01" MASK "x", 1009), /* MESSAGE_MAX and one */
        ROW("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff" MASK "x", 1009),
        ROW("\x81\x81" MASK "\xfe", 1007),         /* 0xff */
        ROW("\x81\x82" MASK "\xc1\x82", 1007),     /* overlong: c0 80 */
        ROW("\x81\x83" MASK "\xec\xa2\x83", 1007), /* a surrogate: ed a0 80 */
        ROW("\x81\x81" MASK "\xc2", 1007),         /* half a character: c3 */
        ROW("\x88\x81" MASK "x", 1002),            /* half a code */
        ROW("\x88\x82" MASK "\x02\xea", 1000),     /* 1000, which a client may send, is answered in kind */
        ROW("\x88\x82" MASK "\x02\xef", 1002),     /* 1005 may not be sent */
        ROW("\x88\x83" MASK "\x02\xea\xfc", 1007), /* a reason that is not UTF-8 */
    };
    struct world *w = start();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct peer p;
        int code = rows[i].code;
        open_socket(&p, world_url(w));
        peer_send_bytes(&p, rows[i].bytes, rows[i].len);
        struct buf got = { 0 };
        int first = read_frame(&p, &got);
        int has = got.len < 2 ? 0 : (unsigned char)got.ptr[0] << 8 | (unsigned char)got.ptr[1];
        if (first != (FIN | CLOSE) || has != code)
            fail_msg("row %zu: frame %02x, code %d instead of %d", i, (unsigned)first, has, code);
        peer_until_eof(&p);
        assert_int_equal(p.in.len, 0);
        buf_free(&got);
        peer_close(&p);
    }
    world_wait_gone(w, (int)ARRAY_LEN(rows));
    world_end(w);
}

static void fragments_are_bounded_together(void **state)
{
    (void)state;
    struct world *w = start();
    struct peer p;
    char *bytes = mem_zalloc(MESSAGE_MAX);
    memset(bytes, 'x', MESSAGE_MAX);
    open_socket(&p, world_url(w));
    send_frame(&p, MORE | TEXT, (struct str){ bytes, MESSAGE_MAX - 1 });
    send_frame(&p, MORE | CONT, STR("x"));
    send_frame(&p, FIN | CONT, STR("x"));
    /* Still sending when the refusal comes: it must arrive all the same. */
    for (int i = 0; i < 20; i++)
        send_frame(&p, FIN | TEXT, (struct str){ bytes, MESSAGE_MAX });
    expect_close(&p, 1009);
    peer_close(&p);
    world_wait_gone(w, 1);
    mem_free(bytes);
    world_end(w);
}

/* Sends what the connection takes without waiting; how many bytes. */
static size_t stuff(struct peer *p, struct str bytes)
{
    size_t at = 0;
    while (at < bytes.len) {
        struct pollfd pfd = { p->fd, POLLOUT, 0 };
        ssize_t n = send(p->fd, bytes.ptr + at, bytes.len - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            at += (size_t)n;
        else if (errno != EAGAIN || poll(&pfd, 1, 200) != 1)
            break;
    }
    return at;
}

static void texts_wait_in_order_behind_a_slow_worker(void **state)
{
    (void)state;
    enum { TEXTS = 600, BYTES = 64 * 1024 };
    struct http_config cfg = config();
    cfg.stream_bytes_max = 64 * (int64_t)MIB; /* this client is slow to read */
    struct world *w = world_start(&cfg);
    struct peer p, other;
    struct buf out = { 0 }, text = { 0 };
    open_socket(&p, world_url(w));
    send_frame(&p, FIN | TEXT, STR("block"));
    world_wait_blocked(w, 1);
    for (int i = 0; i < TEXTS; i++) {
        buf_clear(&text);
        buf_printf(&text, "%d ", i);
        while (text.len < BYTES)
            buf_puts(&text, "0123456789abcdef");
        put_frame(&out, FIN | TEXT, buf_str(&text), true);
    }
    size_t sent = stuff(&p, buf_str(&out));
    assert_true(sent < out.len); /* 39 MB: the server does not read on while its queue is full */
    open_socket(&other, world_url(w));
    send_frame(&other, FIN | TEXT, STR("not my queue"));
    expect(&other, FIN | TEXT, STR("not my queue"));
    close_socket(&other);
    world_unblock(w);
    for (int i = 0; i < TEXTS; i++) {
        struct buf got = { 0 };
        char want[32];
        sent += stuff(&p, str_slice(buf_str(&out), sent, sent + 4 * BYTES)); /* as the echoes are read */
        assert_int_equal(read_frame(&p, &got), FIN | TEXT);
        snprintf(want, sizeof want, "%d ", i);
        assert_true(str_starts(buf_str(&got), str_from(want)));
        buf_free(&got);
    }
    close_socket(&p);
    buf_free(&out);
    buf_free(&text);
    world_end(w);
}

/* --- the end ------------------------------------------------------------------------------------------------- */

static void the_application_closes_after_what_it_sent(void **state)
{
    (void)state;
    struct world *w = start();
    struct peer p;
    open_socket(&p, world_url(w));
    send_frame(&p, FIN | TEXT, STR("close"));
    send_frame(&p, FIN | TEXT, STR("not heard any more"));
    expect(&p, FIN | TEXT, STR("first"));
    expect(&p, FIN | TEXT, STR("last"));
    expect(&p, FIN | CLOSE,
           STR("\x0f\xa0"
               "as asked"));
    send_frame(&p, FIN | CLOSE, STR("\x0f\xa0"));
    peer_until_eof(&p);
    assert_int_equal(p.in.len, 0);
    peer_close(&p);
    world_wait_gone(w, 1);
    world_end(w);
}

static void an_unanswered_close_ends_too(void **state)
{
    (void)state;
    struct world *w = start();
    struct peer p;
    open_socket(&p, world_url(w));
    send_frame(&p, FIN | TEXT, STR("close"));
    expect_close(&p, 4000);
    world_wait_gone(w, 1);
    peer_until_eof(&p);
    peer_close(&p);
    world_end(w);
}

static void a_close_is_answered_in_kind(void **state)
{
    (void)state;
    struct world *w = start();
    struct peer p;
    open_socket(&p, world_url(w));
    send_frame(&p, FIN | CLOSE, STR(""));
    expect_close(&p, 0);
    peer_until_eof(&p);
    peer_close(&p);
    open_socket(&p, world_url(w));
    send_frame(&p, FIN | CLOSE, STR("\x0b\xb8why"));
    expect_close(&p, 3000);
    peer_until_eof(&p);
    peer_close(&p);
    world_wait_gone(w, 2);
    world_end(w);
}

/* Texts that came before the client left are heard, then closed; the worker that had the first one sees no race. */
static void a_client_that_vanishes(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        struct world *w = start();
        struct peer p;
        open_socket(&p, world_url(w));
        send_frame(&p, FIN | TEXT, STR("block"));
        world_wait_blocked(w, 1);
        send_frame(&p, FIN | TEXT, STR("hello"));
        if (reset) {
            struct linger hard = { 1, 0 };
            setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        }
        peer_close(&p);
        world_unblock(w);
        world_wait_gone(w, 1);
        world_stop(w);
        assert_int_equal(w->gone, 1);
        world_end(w);
    }
}

static void a_slow_reader_is_cut(void **state)
{
    (void)state;
    struct http_config cfg = config();
    cfg.stream_bytes_max = 65536;
    struct world *w = world_start(&cfg);
    struct peer p;
    open_socket(&p, world_url(w));
    send_frame(&p, FIN | TEXT, STR("flood"));
    world_wait_gone(w, 1);
    peer_until_eof(&p);
    peer_close(&p);
    world_end(w);
}

static void silence_is_pinged_and_then_the_end(void **state)
{
    (void)state;
    struct http_config cfg = config();
    cfg.ping_ms = 50;
    struct world *w = world_start(&cfg);
    struct peer p;
    open_socket(&p, world_url(w));
    for (int i = 0; i < 5; i++) { /* a client that answers stays */
        expect(&p, FIN | PING, STR(""));
        send_frame(&p, FIN | PONG, STR(""));
    }
    expect(&p, FIN | PING, STR(""));
    peer_until_eof(&p); /* one that does not is gone */
    world_wait_gone(w, 1);
    peer_close(&p);
    world_end(w);
}

/* A client that pings and does not read is not read from either, and gets every pong when it reads. */
static void pings_of_a_client_that_does_not_read(void **state)
{
    (void)state;
    enum { PINGS = 200000 };
    struct world *w = start();
    struct peer p;
    struct buf out = { 0 };
    char text[126];
    memset(text, 'p', sizeof text);
    open_socket(&p, world_url(w));
    for (int i = 0; i < PINGS; i++)
        put_frame(&out, FIN | PING, (struct str){ text, 125 }, true);
    size_t sent = stuff(&p, buf_str(&out));
    size_t pings = sent / (out.len / PINGS);
    assert_true(pings < PINGS);
    for (size_t i = 0; i < pings; i++)
        expect(&p, FIN | PONG, (struct str){ text, 125 });
    peer_close(&p);
    world_wait_gone(w, 1);
    buf_free(&out);
    world_end(w);
}

static void stop_says_going_away(void **state)
{
    (void)state;
    struct http_config cfg = config();
    struct world *w = world_start(&cfg);
    struct peer p[3];
    for (int i = 0; i < 3; i++)
        open_socket(&p[i], world_url(w));
    http_stop(w->server);
    for (int i = 0; i < 3; i++) {
        expect_close(&p[i], 1001);
        send_frame(&p[i], FIN | CLOSE, STR("\x03\xe9"));
        peer_until_eof(&p[i]);
        peer_close(&p[i]);
    }
    thread_join(&w->loop);
    w->running = false;
    assert_int_equal(w->gone, 3);
    world_end(w);
}

static void stop_cuts_sockets_that_do_not_answer(void **state)
{
    (void)state;
    struct http_config cfg = config();
    cfg.stop_timeout_ms = 20;
    struct world *w = world_start(&cfg);
    struct peer idle, deaf;
    open_socket(&idle, world_url(w));
    open_socket(&deaf, world_url(w));
    send_frame(&deaf, FIN | TEXT, STR("block"));
    world_wait_blocked(w, 1);
    http_stop(w->server);
    expect_close(&idle, 1001);
    peer_until_eof(&idle);
    peer_until_eof(&deaf); /* although a worker still has it */
    world_unblock(w);
    thread_join(&w->loop); /* waits for closed */
    w->running = false;
    assert_int_equal(w->gone, 2);
    peer_close(&idle);
    peer_close(&deaf);
    world_end(w);
}

static void sockets_count_as_connections(void **state)
{
    (void)state;
    struct http_config cfg = config();
    cfg.connections_max = 2;
    struct world *w = world_start(&cfg);
    struct peer p[3];
    open_socket(&p[0], world_url(w));
    open_socket(&p[1], world_url(w));
    peer_open(&p[2], world_url(w));
    struct peer_reply *r = peer_read(&p[2]);
    assert_int_equal(r->status, 503);
    peer_reply_free(r);
    for (int i = 0; i < 3; i++)
        peer_close(&p[i]);
    world_wait_gone(w, 2);
    world_end(w);
}

struct chatter {
    struct thread thread;
    const char *url;
    int id;
};

static void chat(void *ctx)
{
    struct chatter *me = ctx;
    struct peer p;
    open_socket(&p, me->url);
    for (int i = 0; i < 200; i++) {
        char text[64];
        snprintf(text, sizeof text, "socket %d, text %d", me->id, i);
        send_frame(&p, FIN | TEXT, str_from(text));
        send_frame(&p, FIN | TEXT, str_from(text));
        expect(&p, FIN | TEXT, str_from(text));
        expect(&p, FIN | TEXT, str_from(text));
    }
    if (me->id % 2)
        close_socket(&p);
    else
        peer_close(&p);
}

static void many_sockets_at_once(void **state)
{
    (void)state;
    enum { SOCKETS = 32 };
    struct world *w = start();
    struct chatter chatters[SOCKETS];
    for (int i = 0; i < SOCKETS; i++) {
        chatters[i] = (struct chatter){ .url = world_url(w), .id = i };
        thread_start(&chatters[i].thread, "test-chatter", chat, &chatters[i]);
    }
    for (int i = 0; i < SOCKETS; i++)
        thread_join(&chatters[i].thread);
    world_wait_gone(w, SOCKETS);
    struct peer_reply *r = peer_ask(world_url(w), "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_int_equal(r->status, 200);
    peer_reply_free(r);
    world_end(w);
}

/* Handshakes and frames cut anywhere, ends of every kind, and some left open at the stop: nothing may crash, leak or
 * hang, and those that are open at the stop are told their end. */
static void clients_leave_at_any_point(void **state)
{
    (void)state;
    enum { ROUNDS = 300, LEFT = 5 };
    struct http_config cfg = config();
    cfg.stop_timeout_ms = 20;
    cfg.ping_ms = 1;
    struct world *w = world_start(&cfg);
    struct peer p, left[LEFT];
    struct buf bytes = { 0 };
    struct rng rng;
    rng_init(&rng, 20261127, 0);
    buf_puts(&bytes, HANDSHAKE);
    put_frame(&bytes, FIN | TEXT, STR("whole"), true);
    put_frame(&bytes, MORE | TEXT, STR("two "), true);
    put_frame(&bytes, FIN | PING, STR("?"), true);
    put_frame(&bytes, FIN | CONT, STR("halves"), true);
    put_frame(&bytes, FIN | TEXT, STR("close"), true);
    put_frame(&bytes, FIN | CLOSE, STR("\x0f\xa0"), true);
    for (int i = 0; i < ROUNDS; i++) {
        struct linger hard = { 1, 0 };
        peer_open(&p, world_url(w));
        peer_send_bytes(&p, bytes.ptr, rng_below(&rng, bytes.len + 1));
        if (rng_below(&rng, 3) == 0)
            setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        else if (rng_below(&rng, 2))
            shutdown(p.fd, SHUT_WR);
        peer_close(&p);
    }
    for (int i = 0; i < LEFT; i++)
        open_socket(&left[i], world_url(w));
    world_stop(w);
    assert_true(w->gone >= LEFT);
    for (int i = 0; i < LEFT; i++)
        peer_close(&left[i]);
    buf_free(&bytes);
    world_end(w);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_handshake_is_answered),
    cmocka_unit_test(bad_handshakes_are_refused),
    cmocka_unit_test(a_refused_handshake_keeps_the_connection),
    cmocka_unit_test(a_client_that_leaves_before_the_reply),
    cmocka_unit_test(texts_of_every_size_come_back),
    cmocka_unit_test(fragments_join_around_control_frames),
    cmocka_unit_test(frames_may_come_with_the_handshake),
    cmocka_unit_test(frames_may_come_byte_by_byte),
    cmocka_unit_test(what_no_client_may_send),
    cmocka_unit_test(fragments_are_bounded_together),
    cmocka_unit_test(texts_wait_in_order_behind_a_slow_worker),
    cmocka_unit_test(the_application_closes_after_what_it_sent),
    cmocka_unit_test(an_unanswered_close_ends_too),
    cmocka_unit_test(a_close_is_answered_in_kind),
    cmocka_unit_test(a_client_that_vanishes),
    cmocka_unit_test(a_slow_reader_is_cut),
    cmocka_unit_test(silence_is_pinged_and_then_the_end),
    cmocka_unit_test(pings_of_a_client_that_does_not_read),
    cmocka_unit_test(stop_says_going_away),
    cmocka_unit_test(stop_cuts_sockets_that_do_not_answer),
    cmocka_unit_test(sockets_count_as_connections),
    cmocka_unit_test(many_sockets_at_once),
    cmocka_unit_test(clients_leave_at_any_point),
};
TEST_GROUP(http_websocket, tests)
