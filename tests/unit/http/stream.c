/*
 * stream.c - streams, clients that leave, clients that dawdle, and the stop.
 */
#include "peer.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"

static void assert_status(struct peer_reply *r, int status)
{
    assert_int_equal(r->status, status);
    assert_non_null(peer_header(r, "x-request-id"));
    peer_reply_free(r);
}

static void a_stream_is_frames_then_an_end(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    struct peer p;
    peer_open(&p, world_url(w));
    for (int round = 0; round < 3; round++) { /* on one connection: a stream ends, its connection does not */
        peer_send(&p, GET("/stream"));
        struct http_exchange *x = world_take(w);
        struct peer_reply *r = peer_read_head(&p);
        assert_int_equal(r->status, 200);
        assert_string_equal(peer_header(r, "Content-Type"), "text/event-stream");
        assert_string_equal(peer_header(r, "Cache-Control"), "no-cache");
        assert_string_equal(peer_header(r, "X-Accel-Buffering"), "no");
        assert_non_null(peer_header(r, "x-request-id"));
        peer_reply_free(r);
        struct buf frame = { 0 };
        sse_frame(&frame, "note", STR("{\"n\":1}"));
        sse_frame(&frame, NULL, STR("[DONE]"));
        assert_true(http_stream_write(x, buf_str(&frame)));
        peer_until(&p, "event: note\ndata: {\"n\":1}\n\ndata: [DONE]\n\n");
        buf_free(&frame);
        http_stream_end(x);
        peer_until(&p, "0\r\n\r\n");
    }
    peer_close(&p);
    world_end(w);
}

/* Each chunk must end where an event ends, unless the event is larger than a chunk can be. */
static void events_are_not_split_between_chunks(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    struct peer p;
    char data[3001];
    peer_open(&p, world_url(w));
    peer_send(&p, GET("/stream"));
    struct http_exchange *x = world_take(w);
    for (int i = 0; i < 200; i++) {
        struct buf frame = { 0 };
        size_t len = (size_t)(i * 37 % 3000);
        memset(data, 'x', len);
        sse_frame(&frame, "piece", (struct str){ data, len });
        assert_true(http_stream_write(x, buf_str(&frame)));
        buf_free(&frame);
    }
    http_stream_end(x);
    peer_reply_free(peer_read_head(&p));
    int events = 0;
    for (unsigned long len = 1; len;) {
        while (str_find(buf_str(&p.in), STR("\r\n")) == SIZE_MAX)
            assert_true(peer_fill(&p));
        len = strtoul(p.in.ptr, NULL, 16);
        peer_until(&p, "\r\n");
        while (p.in.len < len + 2)
            assert_true(peer_fill(&p));
        struct str chunk = { p.in.ptr, len };
        if (len) {
            assert_true(str_starts(chunk, STR("event: piece\ndata: ")));
            assert_true(str_ends(chunk, STR("\n\n")));
        }
        for (size_t at; (at = str_find(chunk, STR("\n\n"))) != SIZE_MAX; events++)
            chunk = str_slice(chunk, at + 2, chunk.len);
        buf_drop_front(&p.in, len + 2);
    }
    assert_int_equal(events, 200);
    peer_close(&p);
    world_end(w);
}

struct writer {
    struct thread thread;
    struct http_exchange *x;
    int id;
};

static void write_many(void *ctx)
{
    struct writer *me = ctx;
    char text[64];
    for (int i = 0; i < 500; i++) {
        snprintf(text, sizeof text, "data: %d:%d\n\n", me->id, i);
        if (!http_stream_write(me->x, str_from(text)))
            abort(); /* nobody left */
    }
    http_stream_end(me->x);
}

static void streams_are_written_side_by_side(void **state)
{
    (void)state;
    enum { STREAMS = 8 };
    struct world *w = world_start(NULL);
    struct peer peers[STREAMS];
    struct writer writers[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        peer_open(&peers[i], world_url(w));
        peer_send(&peers[i], GET("/stream"));
        writers[i] = (struct writer){ .x = world_take(w), .id = i };
    }
    for (int i = 0; i < STREAMS; i++)
        thread_start(&writers[i].thread, "test-writer", write_many, &writers[i]);
    for (int i = 0; i < STREAMS; i++) {
        struct peer_reply *r = peer_read(&peers[i]);
        struct buf want = { 0 };
        for (int n = 0; n < 500; n++)
            buf_printf(&want, "data: %d:%d\n\n", i, n);
        assert_string_equal(r->body.ptr, want.ptr);
        buf_free(&want);
        peer_reply_free(r);
        thread_join(&writers[i].thread);
        peer_close(&peers[i]);
    }
    assert_int_equal(w->gone, 0);
    world_end(w);
}

static void silence_is_filled_with_pings(void **state)
{
    (void)state;
    struct http_config cfg = world_defaults;
    cfg.ping_ms = 20;
    struct world *w = world_start(&cfg);
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, GET("/stream"));
    struct http_exchange *x = world_take(w);
    for (int i = 0; i < 3; i++)
        peer_until(&p, ": ping\n\n");
    http_stream_end(x);
    peer_until(&p, "0\r\n\r\n");
    peer_close(&p);
    world_end(w);
}

static void a_client_that_leaves_is_noticed(void **state)
{
    (void)state;
    static const char *const requests[] = { GET("/hold"), GET("/stream") };
    for (size_t i = 0; i < 2; i++) {
        struct world *w = world_start(NULL);
        struct peer p;
        peer_open(&p, world_url(w));
        peer_send(&p, requests[i]);
        struct http_exchange *x = world_take(w);
        if (i == 1)
            peer_until(&p, "\r\n\r\n"); /* a silent stream */
        peer_close(&p);
        world_wait_gone(w, 1);
        if (i == 1) {
            assert_false(http_stream_write(x, STR("data: x\n\n")));
            http_stream_end(x);
        } else {
            http_reply(x, 200, "text/plain", STR("to nobody"));
        }
        world_stop(w);
        assert_int_equal(w->gone, 1);
        world_end(w);
    }
}

static void gone_before_on_gone_is_set(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    struct peer p;
    int dummy = 0;
    peer_open(&p, world_url(w));
    peer_send(&p, GET("/stream"));
    struct http_exchange *x = world_take(w);
    http_on_gone(x, NULL, &dummy); /* as if none had been set */
    peer_close(&p);
    while (http_stream_write(x, STR("data: x\n\n"))) /* until it is known; each write is bounded */
        sched_yield();
    world_hold_gone(w, x); /* set late: still called, once */
    world_wait_gone(w, 1);
    http_stream_end(x);
    world_end(w);
}

/* A half-closed client counts as gone, and still gets what the holder then says. */
static void a_half_closed_client(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, GET("/hold"));
    struct http_exchange *x = world_take(w);
    shutdown(p.fd, SHUT_WR);
    world_wait_gone(w, 1);
    http_reply(x, 499, "text/plain", STR("you left"));
    struct peer_reply *r = peer_read(&p);
    assert_string_equal(r->body.ptr, "you left");
    assert_status(r, 499);
    peer_until_eof(&p);
    peer_close(&p);
    world_end(w);
}

static void half_a_request_is_400(void **state)
{
    (void)state;
    static const char *const halves[] = {
        "GET /hel",
        "GET /hello HTTP/1.1\r\nHost: t\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhal",
    };
    struct world *w = world_start(NULL);
    for (size_t i = 0; i < ARRAY_LEN(halves); i++) {
        struct peer p;
        peer_open(&p, world_url(w));
        peer_send(&p, halves[i]);
        shutdown(p.fd, SHUT_WR);
        peer_until_eof(&p);
        /* When the library reads the end first, it closes without a word: both are an end, none is a hang. */
        if (p.in.len)
            assert_status(peer_read(&p), 400);
        peer_close(&p);
    }
    assert_status(peer_ask(world_url(w), GET("/hello")), 200);
    world_end(w);
}

static void a_slow_reader_is_cut(void **state)
{
    (void)state;
    struct http_config cfg = world_defaults;
    cfg.stream_bytes_max = 65536;
    struct world *w = world_start(&cfg);
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, GET("/stream"));
    struct http_exchange *x = world_take(w);
    char frame[4096];
    memset(frame, 'x', sizeof frame);
    memcpy(frame, "data: ", 6);
    memcpy(frame + sizeof frame - 2, "\n\n", 2);
    int written = 0;
    while (http_stream_write(x, (struct str){ frame, sizeof frame }))
        assert_true(++written < 100000); /* 400 MB: far beyond what sockets hold */
    world_wait_gone(w, 1);
    http_stream_end(x);
    peer_until_eof(&p); /* the connection was ended, without a last chunk */
    assert_true(p.in.len < (size_t)written * sizeof frame + 4096);
    assert_int_equal(str_find(str_slice(buf_str(&p.in), p.in.len - 5, p.in.len), STR("0\r\n\r\n")), SIZE_MAX);
    peer_close(&p);
    world_end(w);
}

static void a_frame_larger_than_all_bounds_passes_alone(void **state)
{
    (void)state;
    struct http_config cfg = world_defaults;
    cfg.stream_bytes_max = 65536;
    struct world *w = world_start(&cfg);
    struct peer p;
    struct buf data = { 0 }, frame = { 0 };
    while (data.len < 1000000)
        buf_putc(&data, (char)('a' + data.len % 26));
    sse_frame(&frame, NULL, buf_str(&data));
    peer_open(&p, world_url(w));
    peer_send(&p, GET("/stream"));
    struct http_exchange *x = world_take(w);
    assert_true(http_stream_write(x, buf_str(&frame)));
    http_stream_end(x);
    struct peer_reply *r = peer_read(&p);
    assert_int_equal(r->body.len, frame.len);
    assert_memory_equal(r->body.ptr, frame.ptr, frame.len);
    peer_reply_free(r);
    buf_free(&data);
    buf_free(&frame);
    peer_close(&p);
    world_end(w);
}

static void a_slow_sender_is_408(void **state)
{
    (void)state;
    static const char *const starts[] = {
        "GET /hello HTTP/1.1\r\nHo",
        "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf",
    };
    struct http_config cfg = world_defaults;
    cfg.request_timeout_ms = 100;
    struct world *w = world_start(&cfg);
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        struct peer p;
        peer_open(&p, world_url(w));
        peer_send(&p, starts[i]);
        assert_status(peer_read(&p), 408);
        peer_until_eof(&p);
        peer_close(&p);
    }
    /* On a kept-alive connection the time runs from the first byte. */
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, GET("/hello"));
    assert_status(peer_read(&p), 200);
    peer_send(&p, "P");
    peer_until_eof(&p);
    peer_close(&p);
    /* Nothing at all is ended in silence. */
    peer_open(&p, world_url(w));
    peer_until_eof(&p);
    assert_int_equal(p.in.len, 0);
    peer_close(&p);
    world_end(w);
}

/* A byte at a time keeps the library's own timeout from ever firing. */
static void a_dripping_sender_is_408(void **state)
{
    (void)state;
    struct http_config cfg = world_defaults;
    cfg.request_timeout_ms = 200;
    struct world *w = world_start(&cfg);
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, "GET /hello HTTP/1.1\r\nX: ");
    struct timeval pause = { 0, 10000 };
    setsockopt(p.fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof pause);
    char byte;
    for (int i = 0; recv(p.fd, &byte, 1, MSG_PEEK) < 0; i++) { /* waits a little each time */
        peer_send(&p, "x");
        assert_true(i < 2000);
    }
    assert_status(peer_read(&p), 408);
    peer_close(&p);
    world_end(w);
}

static void idle_connections_are_closed(void **state)
{
    (void)state;
    struct http_config cfg = world_defaults;
    cfg.idle_timeout_ms = 50;
    struct world *w = world_start(&cfg);
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, GET("/hello"));
    assert_status(peer_read(&p), 200);
    peer_until_eof(&p);
    assert_int_equal(p.in.len, 0);
    peer_close(&p);
    world_end(w);
}

static void connections_are_bounded(void **state)
{
    (void)state;
    for (int per_ip = 0; per_ip < 2; per_ip++) {
        struct http_config cfg = world_defaults;
        *(per_ip ? &cfg.connections_per_ip : &cfg.connections_max) = 3;
        struct world *w = world_start(&cfg);
        struct peer peers[3];
        for (int i = 0; i < 3; i++) {
            peer_open(&peers[i], world_url(w));
            peer_send(&peers[i], GET("/hello"));
            assert_status(peer_read(&peers[i]), 200);
        }
        struct peer fourth;
        peer_open(&fourth, world_url(w));
        struct peer_reply *r = peer_read(&fourth);
        assert_string_equal(peer_header(r, "retry-after"), "1");
        assert_status(r, 503);
        peer_close(&fourth);
        for (int i = 0; i < 3; i++)
            peer_close(&peers[i]);
        world_end(w);
    }
}

static void stop_lets_running_exchanges_end(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    struct peer held, stream, idle;
    peer_open(&held, world_url(w));
    peer_send(&held, GET("/hold"));
    struct http_exchange *x = world_take(w);
    peer_open(&stream, world_url(w));
    peer_send(&stream, GET("/stream"));
    struct http_exchange *y = world_take(w);
    peer_open(&idle, world_url(w));
    peer_send(&idle, GET("/hello"));
    assert_status(peer_read(&idle), 200);
    http_stop(w->server);
    peer_until_eof(&idle); /* the stop has begun */
    http_reply(x, 200, "text/plain", STR("done"));
    struct peer_reply *r = peer_read(&held);
    assert_true(r->closes);
    assert_status(r, 200);
    assert_true(http_stream_write(y, STR("data: last\n\n")));
    http_stream_end(y);
    peer_until(&stream, "data: last\n\n");
    peer_until(&stream, "0\r\n\r\n");
    thread_join(&w->loop);
    w->running = false;
    assert_int_equal(w->gone, 0);
    peer_close(&held);
    peer_close(&stream);
    peer_close(&idle);
    world_end(w);
}

static void stop_cuts_what_does_not_end(void **state)
{
    (void)state;
    struct http_config cfg = world_defaults;
    cfg.stop_timeout_ms = 20;
    struct world *w = world_start(&cfg);
    struct peer held, stream, half;
    peer_open(&held, world_url(w));
    peer_send(&held, GET("/hold"));
    struct http_exchange *x = world_take(w);
    peer_open(&stream, world_url(w));
    peer_send(&stream, GET("/stream"));
    struct http_exchange *y = world_take(w);
    peer_until(&stream, "\r\n\r\n");
    peer_open(&half, world_url(w));
    peer_send(&half, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf");
    http_stop(w->server);
    world_wait_gone(w, 2);
    peer_until_eof(&held); /* ended, although their holders have not let go */
    peer_until_eof(&stream);
    peer_until_eof(&half);
    assert_false(http_stream_write(y, STR("data: x\n\n")));
    http_stream_end(y);
    http_reply(x, 500, "text/plain", STR("late"));
    thread_join(&w->loop); /* and http_run waited for the holders */
    w->running = false;
    peer_close(&held);
    peer_close(&stream);
    peer_close(&half);
    world_end(w);
}

static void head_of_a_stream_route(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, "HEAD /stream HTTP/1.1\r\nHost: t\r\n\r\n");
    struct http_exchange *x = world_take(w);
    world_wait_gone(w, 1); /* nobody reads a body */
    http_stream_end(x);
    assert_status(peer_read_head(&p), 200);
    peer_send(&p, GET("/hello"));
    assert_status(peer_read(&p), 200);
    peer_close(&p);
    world_end(w);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_stream_is_frames_then_an_end),
    cmocka_unit_test(events_are_not_split_between_chunks),
    cmocka_unit_test(streams_are_written_side_by_side),
    cmocka_unit_test(silence_is_filled_with_pings),
    cmocka_unit_test(a_client_that_leaves_is_noticed),
    cmocka_unit_test(gone_before_on_gone_is_set),
    cmocka_unit_test(a_half_closed_client),
    cmocka_unit_test(half_a_request_is_400),
    cmocka_unit_test(a_slow_reader_is_cut),
    cmocka_unit_test(a_frame_larger_than_all_bounds_passes_alone),
    cmocka_unit_test(a_slow_sender_is_408),
    cmocka_unit_test(a_dripping_sender_is_408),
    cmocka_unit_test(idle_connections_are_closed),
    cmocka_unit_test(connections_are_bounded),
    cmocka_unit_test(stop_lets_running_exchanges_end),
    cmocka_unit_test(stop_cuts_what_does_not_end),
    cmocka_unit_test(head_of_a_stream_route),
};
TEST_GROUP(http_stream, tests)
