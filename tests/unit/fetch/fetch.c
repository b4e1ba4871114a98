/*
 * fetch.c - the client against our own server, and against peers that misbehave on raw sockets.
 */
#include "test.h"

#include "base/thread.h"
#include "fetch/fetch.h"
#include "http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int start(void **state)
{
    (void)state;
    fetch_start();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    fetch_stop();
    return 0;
}

/* --- our own server ------------------------------------------------------------------------------------ */

static void do_echo(struct http_exchange *x, const struct http_route *route, void *app)
{
    (void)route, (void)app;
    struct buf out = { 0 };
    buf_printf(&out, "%.*s|%.*s|%.*s|%.*s", STR_ARG(http_method(x)), STR_ARG(http_header(x, "x-mine")),
               STR_ARG(http_header(x, "expect")), STR_ARG(http_body(x)));
    http_reply(x, 200, "text/plain", buf_str(&out));
    buf_free(&out);
}

static void do_fail(struct http_exchange *x, const struct http_route *route, void *app)
{
    (void)route, (void)app;
    http_reply(x, 429, "application/json", STR("{\"error\":{}}"));
}

static void do_events(struct http_exchange *x, const struct http_route *route, void *app)
{
    (void)route, (void)app;
    http_stream_begin(x);
    for (int i = 0; i < 100; i++) {
        char data[32];
        struct buf frame = { 0 };
        snprintf(data, sizeof data, "%d", i);
        sse_frame(&frame, "n", str_from(data));
        http_stream_write(x, buf_str(&frame));
        buf_free(&frame);
    }
    http_stream_end(x);
}

static const struct http_route routes[] = {
    { "GET", "/echo", 0, do_echo, 0 },        { "POST", "/echo", 1 << 21, do_echo, 0 },
    { "DELETE", "/echo", 0, do_echo, 0 },     { "GET", "/fail", 0, do_fail, 0 },
    { "POST", "/events", 100, do_events, 0 },
};

static void error_body(struct buf *body, const struct err *err)
{
    buf_puts(body, err->message);
}

static void run(void *ctx)
{
    http_run(ctx);
}

struct site {
    struct http_server *server;
    struct thread loop;
    char url[128];
};

static void site_open(struct site *s, const char *path)
{
    struct http_config cfg = {
        .listen = "127.0.0.1:0",
        .routes = routes,
        .n_routes = ARRAY_LEN(routes),
        .error_body = error_body,
        .workers = 2,
        .header_bytes_max = 16384,
        .connections_max = 64,
        .request_timeout_ms = 20000,
        .idle_timeout_ms = 20000,
        .ping_ms = 20000,
        .stream_bytes_max = 1 << 20,
        .stop_timeout_ms = 20000,
    };
    struct err err = { 0 };
    if (http_open(&s->server, &cfg, &err))
        fail_msg("%s", err.message);
    thread_start(&s->loop, "test-site", run, s->server);
    snprintf(s->url, sizeof s->url, "%s%s", http_url(s->server), path);
}

static void site_close(struct site *s)
{
    http_stop(s->server);
    thread_join(&s->loop);
    http_close(s->server);
}

static void performs(void **state)
{
    (void)state;
    struct site s;
    site_open(&s, "/echo");
    static const char *const headers[] = { "x-mine: yes", NULL };
    static const struct {
        const char *method, *body, *want;
    } rows[] = {
        { "GET", "", "GET|yes||" },
        { "POST", "body", "POST|yes||body" },
        { "POST", "", "POST|yes||" },
        { "DELETE", "", "DELETE|yes||" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fetch_request req = {
            .method = rows[i].method, .url = s.url, .headers = headers, .body = str_from(rows[i].body)
        };
        struct fetch_reply reply;
        struct err err = { 0 };
        if (fetch_perform(&req, &reply, &err))
            fail_msg("%s", err.message);
        assert_int_equal(reply.status, 200);
        assert_string_equal(reply.body.ptr, rows[i].want);
        buf_free(&reply.body);
    }
    site_close(&s);
}

static void a_large_body_needs_no_expectation(void **state)
{
    (void)state;
    struct site s;
    site_open(&s, "/echo");
    struct buf body = { 0 };
    while (body.len < 1500000)
        buf_puts(&body, "0123456789");
    struct fetch_request req = { .method = "POST", .url = s.url, .body = buf_str(&body) };
    struct fetch_reply reply;
    struct err err = { 0 };
    assert_int_equal(fetch_perform(&req, &reply, &err), ERR_OK);
    assert_int_equal(reply.body.len, body.len + strlen("POST|||"));
    buf_free(&reply.body);
    req.bytes_max = 1000;
    assert_int_equal(fetch_perform(&req, &reply, &err), ERR_NETWORK);
    assert_string_equal(err.message, "The peer's reply is longer than 1000 bytes.");
    assert_int_equal(reply.body.len, 0);
    buf_free(&body);
    site_close(&s);
}

static void an_error_status_is_a_reply(void **state)
{
    (void)state;
    struct site s;
    site_open(&s, "/fail");
    struct fetch_request req = { .method = "GET", .url = s.url };
    struct fetch_reply reply;
    assert_int_equal(fetch_perform(&req, &reply, NULL), ERR_OK);
    assert_int_equal(reply.status, 429);
    assert_string_equal(reply.body.ptr, "{\"error\":{}}");
    buf_free(&reply.body);
    site_close(&s);
}

struct tally {
    int count, stop_after;
};

static bool count_event(void *ctx, struct str event, struct str data)
{
    struct tally *t = ctx;
    char want[32];
    snprintf(want, sizeof want, "%d", t->count);
    assert_true(str_is(event, "n") && str_is(data, want));
    return ++t->count != t->stop_after;
}

static void streams(void **state)
{
    (void)state;
    struct site s;
    site_open(&s, "/events");
    for (int stop_after = 0; stop_after <= 10; stop_after += 10) {
        struct tally t = { 0, stop_after };
        struct fetch_request req = { .method = "POST", .url = s.url, .body = STR("{}") };
        struct fetch_reply reply;
        struct err err = { 0 };
        if (fetch_stream(&req, (struct fetch_events){ count_event, &t }, &reply, &err))
            fail_msg("%s", err.message);
        assert_int_equal(reply.status, 200);
        assert_int_equal(t.count, stop_after ? stop_after : 100);
        assert_int_equal(reply.body.len, 0);
        buf_free(&reply.body);
    }
    site_close(&s);
    site_open(&s, "/fail"); /* what is no event stream lands in body */
    struct tally t = { 0, 0 };
    struct fetch_request req = { .method = "GET", .url = s.url };
    struct fetch_reply reply;
    assert_int_equal(fetch_stream(&req, (struct fetch_events){ count_event, &t }, &reply, NULL), ERR_OK);
    assert_int_equal(reply.status, 429);
    assert_string_equal(reply.body.ptr, "{\"error\":{}}");
    buf_free(&reply.body);
    site_close(&s);
}

/* --- peers that misbehave ------------------------------------------------------------------------------- */

struct rogue {
    int fd;
    char url[64];
    const char *says; /* after a request, then it closes; NULL: it stays silent until the client is gone */
    struct thread thread;
};

static void rogue_run(void *ctx)
{
    struct rogue *r = ctx;
    char bytes[4096];
    int fd = accept(r->fd, NULL, NULL);
    if (recv(fd, bytes, sizeof bytes, 0) > 0 && r->says)
        send(fd, r->says, strlen(r->says), MSG_NOSIGNAL);
    if (!r->says)
        while (recv(fd, bytes, sizeof bytes, 0) > 0)
            continue;
    close(fd);
}

static void rogue_start(struct rogue *r, const char *says)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    r->says = says;
    r->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_return_code(bind(r->fd, (struct sockaddr *)&at, sizeof at), errno);
    assert_return_code(listen(r->fd, 1), errno);
    assert_return_code(getsockname(r->fd, (struct sockaddr *)&at, &len), errno);
    snprintf(r->url, sizeof r->url, "http://127.0.0.1:%d/", ntohs(at.sin_port));
    thread_start(&r->thread, "test-rogue", rogue_run, r);
}

static void rogue_end(struct rogue *r)
{
    thread_join(&r->thread);
    close(r->fd);
}

static bool any_event(void *ctx, struct str event, struct str data)
{
    (void)event, (void)data;
    ++*(int *)ctx;
    return true;
}

static void misbehaving_peers_are_errors(void **state)
{
    (void)state;
    static const char *const says[] = {
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: "
        "x\n\n\r\n",
        "not http at all\r\n\r\n",
        "SSH-2.0-x\r\n",
        NULL,
    };
    for (size_t i = 0; i < ARRAY_LEN(says); i++) {
        struct rogue r;
        int events = 0;
        rogue_start(&r, says[i]);
        struct fetch_request req = { .method = "GET", .url = r.url, .silent_ms = 1000 };
        struct fetch_reply reply;
        struct err err = { 0 };
        if (fetch_stream(&req, (struct fetch_events){ any_event, &events }, &reply, &err) != ERR_NETWORK)
            fail_msg("row %zu was taken", i);
        assert_int_equal(reply.body.len, 0);
        assert_true(str_starts(str_from(err.message), STR("No reply from http://127.0.0.1:")));
        assert_int_equal(events, i == 2); /* what came whole was delivered before the end */
        rogue_end(&r);
    }
}

static void a_redirect_is_not_followed(void **state)
{
    (void)state;
    struct rogue r;
    rogue_start(&r, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    struct fetch_request req = { .method = "GET", .url = r.url };
    struct fetch_reply reply;
    assert_int_equal(fetch_perform(&req, &reply, NULL), ERR_OK);
    assert_int_equal(reply.status, 302);
    buf_free(&reply.body);
    rogue_end(&r);
}

static void only_http_is_spoken(void **state)
{
    (void)state;
    static const char *const urls[] = { "file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/",
                                        "nonsense://x", "" };
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct fetch_request req = { .method = "GET", .url = urls[i] };
        struct fetch_reply reply;
        struct err err = { 0 };
        assert_int_equal(fetch_perform(&req, &reply, &err), ERR_NETWORK);
        assert_true(err.message[0]);
    }
}

static void nobody_listens(void **state)
{
    (void)state;
    struct rogue r;
    rogue_start(&r, ""); /* its port is closed before it is asked */
    int knock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    getsockname(r.fd, (struct sockaddr *)&at, &len);
    assert_return_code(connect(knock, (struct sockaddr *)&at, sizeof at), errno);
    close(knock);
    rogue_end(&r);
    struct fetch_request req = { .method = "GET", .url = r.url };
    struct fetch_reply reply;
    struct err err = { 0 };
    assert_int_equal(fetch_perform(&req, &reply, &err), ERR_NETWORK);
    assert_non_null(strstr(err.message, "127.0.0.1"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(performs, start, stop),
    cmocka_unit_test_setup_teardown(a_large_body_needs_no_expectation, start, stop),
    cmocka_unit_test_setup_teardown(an_error_status_is_a_reply, start, stop),
    cmocka_unit_test_setup_teardown(streams, start, stop),
    cmocka_unit_test_setup_teardown(misbehaving_peers_are_errors, start, stop),
    cmocka_unit_test_setup_teardown(a_redirect_is_not_followed, start, stop),
    cmocka_unit_test_setup_teardown(only_http_is_spoken, start, stop),
    cmocka_unit_test_setup_teardown(nobody_listens, start, stop),
};
TEST_GROUP(fetch_fetch, tests)
