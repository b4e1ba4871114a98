/*
 * guards.c - heads that two parsers could read in two ways are refused, over sockets as a connection's first
 * request and as its second, and by the functions themselves.
 */
#include "peer.h"

#include "http/http_impl.h"

#include <string.h>

#define LINE "POST /echo HTTP/1.1\r\n"
#define HEAD LINE "Host: t\r\n"

/* '~' in a request stands for NUL, so that the rows stay text. */
static const struct row {
    const char *request;
    int status;
} rows[] = {
    { HEAD "Content-Length: 1\r\n\r\nx", 200 },
    { HEAD "content-length:1\r\n\r\nx", 200 },
    { HEAD "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400 },
    { HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400 },
    { HEAD "Content-Length: 1, 1\r\n\r\nx", 400 },
    { HEAD "Content-Length: +1\r\n\r\nx", 400 },
    { HEAD "Content-Length: -1\r\n\r\nx", 400 },
    { HEAD "Content-Length: 0x1\r\n\r\nx", 400 },
    { HEAD "Content-Length: 1 1\r\n\r\nx", 400 },
    { HEAD "Content-Length:\r\n\r\nx", 400 },
    { HEAD "Content-Length: 99999999999999999999\r\n\r\nx", 413 },
    { HEAD "Content-Length : 1\r\n\r\nx", 400 },
    { HEAD " Content-Length: 1\r\n\r\nx", 400 },
    { HEAD "Content-Length\t: 1\r\n\r\nx", 400 },
    { HEAD "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
    { HEAD "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400 },
    { HEAD "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 200 },
    { HEAD "Transfer-Encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 200 },
    { HEAD "Transfer-Encoding: identity\r\n\r\n", 400 },
    { HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400 },
    { HEAD "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400 },
    { HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
    { HEAD "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400 },
    { "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
    { LINE "Content-Length: 1\r\n\r\nx", 400 },
    { HEAD "Host: u\r\nContent-Length: 1\r\n\r\nx", 400 },
    { LINE "Host: t, u\r\nContent-Length: 1\r\n\r\nx", 400 },
    { LINE "Host: t/u\r\nContent-Length: 1\r\n\r\nx", 400 },
    { LINE "Host:\r\nContent-Length: 1\r\n\r\nx", 200 },
    { HEAD "X: a~b\r\nContent-Length: 1\r\n\r\nx", 400 },
    { HEAD "X~Y: a\r\nContent-Length: 1\r\n\r\nx", 400 },
    { HEAD "Content-Length: 1~\r\n\r\nx", 400 },
    { "POST /echo~/x HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx", 400 },
    { HEAD "X: a\x01\r\nContent-Length: 1\r\n\r\nx", 400 },
    { HEAD "X: a\nContent-Length: 1\r\n\r\nx", 400 },
    { "POST /echo HTTP/1.1\nHost: t\nContent-Length: 1\n\nx", 400 },
    { HEAD "no colon\r\nContent-Length: 1\r\n\r\nx", 400 },
    { HEAD ": nameless\r\nContent-Length: 1\r\n\r\nx", 400 },
    { HEAD "X(Y): 1\r\nContent-Length: 1\r\n\r\nx", 400 },
    { HEAD "Expect: wonders\r\nContent-Length: 1\r\n\r\nx", 400 },
    { HEAD "Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 1\r\n\r\nx", 400 },
    { HEAD "Authorization: a\r\nAuthorization: b\r\nContent-Length: 1\r\n\r\nx", 400 },
    { "POST  /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx", 400 },
    { "POST /ec ho HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx", 400 },
    { "POST http://t/echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx", 400 },
    { "POST echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx", 400 },
    { "POST /echo HTTP/1.1 \r\nHost: t\r\nContent-Length: 1\r\n\r\nx", 400 },
};

/* What the library answers itself behind another request, or, as libmicrohttpd 1.0 unfolds lines, soundly takes. */
static const struct row first_only[] = {
    { HEAD "X: a\r\n folded\r\nContent-Length: 1\r\n\r\nx", 400 },
    { "POST /echo HTTP/2.0\r\nHost: t\r\nContent-Length: 1\r\n\r\nx", 400 },
    { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400 },
    { "POST /echo\r\nHost: t\r\nContent-Length: 1\r\n\r\nx", 400 },
    { "\x16\x03\x01\x02", 400 }, /* TLS on the plain port */
    { "{}", 400 },
    { "\r\n\r\nPOST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx", 200 },
};

static void send_row(struct peer *p, const char *request)
{
    size_t len = strlen(request);
    char *bytes = mem_strdup(request);
    for (size_t i = 0; i < len; i++)
        if (bytes[i] == '~')
            bytes[i] = '\0';
    peer_send_bytes(p, bytes, len);
    mem_free(bytes);
}

/* ours: the answer must be this server's own. Behind a first request the library may be the one that refuses, with
 * a page of its own or by ending the connection. */
static void check_row(struct peer *p, const struct row *row, bool ours)
{
    if (!ours && row->status != 200) {
        peer_until_eof(p);
        if (p->in.len == 0)
            return;
    }
    struct peer_reply *r = peer_read(p);
    bool refused_otherwise = !ours && row->status != 200 && r->status >= 300;
    if (r->status != row->status && !refused_otherwise)
        fail_msg("%d instead of %d for: %s", r->status, row->status, row->request);
    if (r->status != 200) {
        assert_true(r->closes);
        if (ours)
            assert_true(str_starts(buf_str(&r->body), STR("{\"error\":")));
        peer_until_eof(p);
        /* What stood behind must not be taken for a request. (The library's own page may be longer than it says.) */
        if (p->in.len && (ours || strstr(p->in.ptr, "HTTP/1.1 ")))
            fail_msg("%s after the refusal of: %s", p->in.ptr, row->request);
    }
    peer_reply_free(r);
}

static void first_requests(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    for (size_t i = 0; i < ARRAY_LEN(rows) + ARRAY_LEN(first_only); i++) {
        const struct row *row = i < ARRAY_LEN(rows) ? &rows[i] : &first_only[i - ARRAY_LEN(rows)];
        struct peer p;
        peer_open(&p, world_url(w));
        send_row(&p, row->request);
        check_row(&p, row, true);
        peer_close(&p);
    }
    world_end(w);
}

static void later_requests(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct peer p;
        peer_open(&p, world_url(w));
        peer_send(&p, "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n");
        peer_reply_free(peer_read(&p));
        send_row(&p, rows[i].request);
        check_row(&p, &rows[i], false);
        peer_close(&p);
    }
    world_end(w);
}

static void heads_are_bounded(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    struct buf text = { 0 };
    for (int kind = 0; kind < 3; kind++)
        for (int second = 0; second < 2; second++) {
            struct peer p;
            buf_clear(&text);
            buf_puts(&text, kind == 2 ? "GET /hello?" : "GET /hello HTTP/1.1\r\nHost: t\r\n");
            for (int i = 0; i < (kind == 0 ? 200 : 0); i++)
                buf_printf(&text, "x%d: 1\r\n", i);
            for (int i = 0; i < (kind == 0 ? 0 : 2000); i++)
                buf_puts(&text, kind == 1 && i % 100 == 0 ? "x: 0123456789\r\n" : "0123456789");
            buf_puts(&text, kind == 2 ? " HTTP/1.1\r\nHost: t\r\n\r\n" : kind == 1 ? ": 1\r\n\r\n" : "\r\n");
            peer_open(&p, world_url(w));
            if (second) {
                peer_send(&p, "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n");
                peer_reply_free(peer_read(&p));
            }
            peer_send_bytes(&p, text.ptr, text.len);
            struct peer_reply *r = peer_read(&p);
            if (r->status != 431)
                fail_msg("kind %d, %s request: %d", kind, second ? "second" : "first", r->status);
            assert_true(r->closes);
            assert_non_null(peer_header(r, "x-request-id"));
            peer_reply_free(r);
            peer_close(&p);
        }
    /* Far beyond all memory that the library has for a head. */
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, "GET /hello HTTP/1.1\r\nHost: t\r\n");
    for (int i = 0; i < 5000; i++)
        peer_send(&p, "Xxxxxxxxxx: yyyyyyyy\r\n");
    struct peer_reply *r = peer_read(&p);
    assert_int_equal(r->status, 431);
    assert_non_null(peer_header(r, "x-request-id"));
    peer_reply_free(r);
    peer_close(&p);
    buf_free(&text);
    world_end(w);
}

static void client_request_ids(void **state)
{
    (void)state;
    char id[130];
    memset(id, 'a', sizeof id);
    assert_false(client_request_id_ok((struct str){ id, 0 }));
    assert_true(client_request_id_ok((struct str){ id, 1 }));
    assert_true(client_request_id_ok((struct str){ id, 128 }));
    assert_false(client_request_id_ok((struct str){ id, 129 }));
    assert_true(client_request_id_ok(STR("AZaz09._:-")));
    static const char *const bad[] = { "a b", "a/b", "a\n", "\xc3\xa9", "a,b", "a\"" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(client_request_id_ok(str_from(bad[i])));
}

static void frames_are_cut_where_they_end(void **state)
{
    (void)state;
    static const struct {
        const char *pending;
        size_t max, cut;
    } cuts[] = {
        { "data: a\n\n", 100, 9 },
        { "data: a\n\n", 9, 9 },
        { "data: a\n\ndata: b\n\n", 17, 9 },
        { "data: a\n\ndata: b\n\n", 9, 9 },
        { "data: abcdef\n\n", 5, 5 },
        { "a\n\nb\n\nc", 6, 6 },
        { "a\n\nb\n\nc", 5, 3 },
        { "abc", 1, 1 },
        { "", 10, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++)
        assert_int_equal(frame_cut(str_from(cuts[i].pending), cuts[i].max), cuts[i].cut);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(first_requests),
    cmocka_unit_test(later_requests),
    cmocka_unit_test(heads_are_bounded),
    cmocka_unit_test(client_request_ids),
    cmocka_unit_test(frames_are_cut_where_they_end),
};
TEST_GROUP(http_guards, tests)
