/*
 * server.c - requests and replies over real sockets: keep-alive, pipelining, bodies, limits, headers.
 */
#include "peer.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GET(path) "GET " path " HTTP/1.1\r\nHost: t\r\n\r\n"

static void assert_reply(struct peer_reply *r, int status, const char *body)
{
    assert_int_equal(r->status, status);
    assert_non_null(peer_header(r, "x-request-id"));
    if (body)
        assert_string_equal(r->body.len ? r->body.ptr : "", body);
    peer_reply_free(r);
}

static void keeps_connections_alive(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    struct peer p;
    peer_open(&p, world_url(w));
    for (int i = 0; i < 50; i++) {
        peer_send(&p, GET("/hello"));
        assert_reply(peer_read(&p), 200, "hello");
    }
    peer_close(&p);
    world_end(w);
}

static void answers_pipelined_requests_in_order(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\none" GET(
                      "/hello") "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "3\r\nthr\r\n2\r\nee\r\n0\r\n\r\n" GET("/nowhere") GET("/items/4"));
    assert_reply(peer_read(&p), 200, "one");
    assert_reply(peer_read(&p), 200, "hello");
    assert_reply(peer_read(&p), 200, "three");
    assert_reply(peer_read(&p), 404, "{\"error\":{\"message\":\"Invalid URL (GET /nowhere)\"}}");
    assert_reply(peer_read(&p), 200, "GET|/items/4|4");
    peer_close(&p);
    world_end(w);
}

static void every_answer_carries_its_headers(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    static const char *const requests[] = {
        GET("/hello"),
        GET("/nowhere"),
        "POST /hello HTTP/1.1\r\nHost: t\r\n\r\n",
        "OPTIONS /hello HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /hello HTTP/1.1\r\n\r\n",
        "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 11\r\n\r\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct peer_reply *r = peer_ask(world_url(w), requests[i]);
        assert_string_equal(peer_header(r, "openai-version"), "2020-10-01");
        assert_non_null(peer_header(r, "openai-processing-ms"));
        assert_string_equal(peer_header(r, "Access-Control-Allow-Origin"), "*");
        assert_non_null(strstr(peer_header(r, "Access-Control-Expose-Headers"), "x-request-id"));
        const char *id = peer_header(r, "x-request-id");
        assert_int_equal(strlen(id), 36);
        assert_memory_equal(id, "req_", 4);
        assert_int_equal(strspn(id + 4, "0123456789abcdef"), 32);
        peer_reply_free(r);
    }
    world_end(w);
}

static void echoes_a_sane_client_request_id(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    static const struct {
        const char *sent, *back;
    } rows[] = { { "abc-1.2_3:Z", "abc-1.2_3:Z" }, { "a b", NULL }, { "<x>", NULL }, { "", NULL } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256];
        snprintf(text, sizeof text, "GET /hello HTTP/1.1\r\nHost: t\r\nX-Client-Request-Id: %s\r\n\r\n",
                 rows[i].sent);
        struct peer_reply *r = peer_ask(world_url(w), text);
        const char *back = peer_header(r, "x-client-request-id");
        if (rows[i].back)
            assert_string_equal(back, rows[i].back);
        else
            assert_null(back);
        peer_reply_free(r);
    }
    world_end(w);
}

/* On /openai/ only, whoever answers: a worker's route, the loop, or a refusal written past the library. */
static void azure_paths_carry_azure_fields(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        bool azure;
    } rows[] = {
        { GET("/openai/nowhere?api-version=v1"), true },
        { "POST /openai/x HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nbody", true },
        { GET("/openai"), false },
        { GET("/v1/openai/x"), false },
        { GET("/hello"), false },
    };
    struct world *w = world_start(NULL);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct peer_reply *r = peer_ask(world_url(w), rows[i].request);
        char id[64], digits[64] = "req_";
        const char *guid = peer_header(r, "apim-request-id");
        assert_int_equal(guid != NULL, rows[i].azure);
        if (guid) {
            assert_int_equal(sscanf(guid, "%8[0-9a-f]-%4[0-9a-f]-%4[0-9a-f]-%4[0-9a-f]-%12[0-9a-f]",
                                    digits + 4, digits + 12, digits + 16, digits + 20, digits + 24),
                             5);
            snprintf(id, sizeof id, "%s", peer_header(r, "x-request-id"));
            assert_string_equal(id, digits);
            assert_string_equal(peer_header(r, "x-ms-region"), "local");
        } else {
            assert_null(peer_header(r, "x-ms-region"));
        }
        peer_reply_free(r);
    }
    world_end(w);
}

/* A script in a browser reads only what is exposed. */
static void fields_are_exposed(void **state)
{
    (void)state;
    static const char *const names[] = {
        "x-request-id",
        "x-client-request-id",
        "apim-request-id",
        "x-ms-region",
        "openai-processing-ms",
        "openai-version",
        "openai-organization",
        "x-ratelimit-limit-requests",
        "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-requests",
        "x-ratelimit-reset-tokens",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
    };
    struct world *w = world_start(NULL);
    struct peer_reply *r = peer_ask(world_url(w), GET("/hello"));
    struct buf exposed = { 0 };
    buf_printf(&exposed, ", %s,", peer_header(r, "Access-Control-Expose-Headers"));
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char text[64];
        snprintf(text, sizeof text, ", %s,", names[i]);
        if (!strstr(exposed.ptr, text))
            fail_msg("%s is not exposed", names[i]);
    }
    buf_free(&exposed);
    peer_reply_free(r);
    world_end(w);
}

static int count_lines(const char *head, const char *start)
{
    int count = 0;
    for (const char *at = strstr(head, start); at; at = strstr(at + 1, start))
        count++;
    return count;
}

/* The application's answer as the client reads it; value NULL: it does not say name itself. */
static struct peer_reply *reply_of(struct world *w, int status, const char *name, const char *value)
{
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, GET("/hold"));
    struct http_exchange *x = world_take(w);
    if (value)
        http_set_header(x, name, value);
    http_reply(x, status, "text/plain", STR("not now"));
    struct peer_reply *r = peer_read(&p);
    peer_close(&p);
    return r;
}

static void the_application_knows_better_when_to_retry(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    for (int own = 0; own < 2; own++) {
        struct peer_reply *r = reply_of(w, 503, "Retry-After", own ? "7" : NULL);
        assert_string_equal(peer_header(r, "retry-after"), own ? "7" : "1");
        assert_int_equal(count_lines(r->head.ptr, "\r\nretry-after"), own ? 0 : 2); /* none contradicts it */
        peer_reply_free(r);
    }
    world_end(w);
}

static void a_conflict_is_not_repeated_unless_the_application_says_so(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    for (int own = 0; own < 2; own++) {
        struct peer_reply *r = reply_of(w, 409, "x-should-retry", own ? "true" : NULL);
        assert_string_equal(peer_header(r, "x-should-retry"), own ? "true" : "false");
        assert_int_equal(count_lines(r->head.ptr, "\r\nx-should-retry"), 1);
        peer_reply_free(r);
    }
    world_end(w);
}

static void routes_methods(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    static const struct {
        const char *method, *path;
        int status;
        const char *allow;
    } rows[] = {
        { "GET", "/hello", 200, NULL },
        { "POST", "/hello", 405, "GET, HEAD, OPTIONS" },
        { "PUT", "/items/x", 405, "GET, HEAD, DELETE, OPTIONS" },
        { "BREW", "/echo", 405, "POST, OPTIONS" },
        { "OPTIONS", "/items/x", 204, "GET, HEAD, DELETE, OPTIONS" },
        { "OPTIONS", "/nowhere", 404, NULL },
        { "OPTIONS", "*", 204, "GET, HEAD, POST, DELETE, OPTIONS" },
        { "GET", "/items/", 404, NULL },
        { "GET", "/items/a/b", 404, NULL },
        { "GET", "/items/%zz", 400, NULL },
        { "GET", "/items/%ff", 400, NULL },
        { "GET", "/items/%00", 400, NULL },
        { "DELETE", "/items/a%2Fb", 200, NULL },
        { "GET", "/files/a/b/c", 200, NULL },
    };
    struct peer p;
    peer_open(&p, world_url(w));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256];
        snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: t\r\n\r\n", rows[i].method, rows[i].path);
        peer_send(&p, text);
        struct peer_reply *r = peer_read(&p);
        if (r->status != rows[i].status)
            fail_msg("%s %s: %d", rows[i].method, rows[i].path, r->status);
        const char *allow = peer_header(r, "Allow");
        if (rows[i].allow)
            assert_string_equal(allow, rows[i].allow);
        else
            assert_null(allow);
        peer_reply_free(r);
    }
    peer_close(&p);
    world_end(w);
}

static void decodes_paths_and_queries(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    static const struct {
        const char *target, *body;
    } rows[] = {
        { "/items/a%2Fb?x=1", "GET|/items/a/b|a/b|x=1" },
        { "/items/%C3%A9?q=a+b%26&empty=&flag&&z=%3D",
          "GET|/items/\xc3\xa9|\xc3\xa9|q=a b&|empty=|flag=|z==" },
        { "/files/x/y%20z?", "GET|/files/x/y z|x/y z" },
        { "/items/a+b", "GET|/items/a+b|a+b" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[256];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", rows[i].target);
        assert_reply(peer_ask(world_url(w), text), 200, rows[i].body);
    }
    world_end(w);
}

static void head_and_preflight_have_no_body(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, "HEAD /hello HTTP/1.1\r\nHost: t\r\n\r\n");
    struct peer_reply *r = peer_read_head(&p);
    assert_int_equal(r->status, 200);
    assert_string_equal(peer_header(r, "Content-Length"), "5");
    peer_reply_free(r);
    peer_send(
        &p, "OPTIONS /echo HTTP/1.1\r\nHost: t\r\nOrigin: http://o\r\nAccess-Control-Request-Method: POST\r\n"
            "Access-Control-Request-Headers: authorization,x-stainless-os\r\n\r\n");
    r = peer_read(&p); /* were there a body of the HEAD, this would not be a head */
    assert_int_equal(r->status, 204);
    assert_string_equal(peer_header(r, "Access-Control-Allow-Headers"), "authorization,x-stainless-os");
    assert_string_equal(peer_header(r, "Access-Control-Allow-Methods"), "POST, OPTIONS");
    peer_reply_free(r);
    peer_close(&p);
    world_end(w);
}

static void bounds_bodies(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    static const struct {
        const char *request;
        int status;
    } rows[] = {
        { "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n0123456789", 200 },
        { "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 11\r\n\r\n", 413 }, /* before its first byte */
        { "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999\r\n\r\n", 413 },
        { "POST /small HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n",
          200 },
        { "POST /small HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: "
          "chunked\r\n\r\na\r\n0123456789\r\n1\r\nx\r\n",
          413 },
        { "GET /hello HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n{}", 413 },
        { "GET /hello HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n", 200 },
        { "GET /hello HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 413 },
        { "GET /hello HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200 },
        { "POST /small HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n", 413 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct peer_reply *r = peer_ask(world_url(w), rows[i].request);
        if (r->status != rows[i].status)
            fail_msg("row %zu: %d", i, r->status);
        peer_reply_free(r);
    }
    world_end(w);
}

/* The refusal must survive a client that goes on sending: closing on unread bytes would reset it away. */
static void a_refusal_reaches_a_client_that_still_sends(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    size_t len = 512 * KIB;
    char *body = mem_alloc(len);
    memset(body, 'x', len);
    for (int i = 0; i < 20; i++) {
        struct peer p;
        peer_open(&p, world_url(w));
        peer_send(&p, "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 524288\r\n\r\n");
        peer_send_bytes(&p, body, len);
        assert_reply(peer_read(&p), 413, NULL);
        peer_close(&p);
    }
    mem_free(body);
    world_end(w);
}

static void a_large_body_comes_back_whole(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    size_t len = 1 << 20;
    struct buf body = { 0 };
    while (body.len < len)
        buf_putc(&body, (char)('a' + body.len % 23));
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 1048576\r\n\r\n");
    peer_send_bytes(&p, body.ptr, body.len);
    struct peer_reply *r = peer_read(&p);
    assert_int_equal(r->body.len, len);
    assert_memory_equal(r->body.ptr, body.ptr, len);
    peer_reply_free(r);
    peer_close(&p);
    buf_free(&body);
    world_end(w);
}

static void expect_100_continue(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, "POST /echo HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    peer_until(&p, "HTTP/1.1 100 Continue\r\n\r\n");
    peer_send(&p, "ok");
    assert_reply(peer_read(&p), 200, "ok");
    peer_close(&p);
    world_end(w);
}

static void http_1_0_closes(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    struct peer p;
    peer_open(&p, world_url(w));
    peer_send(&p, "GET /hello HTTP/1.0\r\n\r\n");
    peer_until(&p, "hello");
    peer_until_eof(&p);
    peer_close(&p);
    world_end(w);
}

/* One is worked on, QUEUED wait, and as many as are left are refused, whichever these are. */
static void a_full_queue_is_503(void **state)
{
    enum { QUEUED = 64, REFUSED = 8, ALL = 1 + QUEUED + REFUSED }; /* HTTP_QUEUE_PER_WORK */
    (void)state;
    struct http_config cfg = world_defaults;
    cfg.workers = 1;
    struct world *w = world_start(&cfg);
    struct peer peers[ALL];
    struct pollfd polls[ALL];
    for (int i = 0; i < ALL; i++) {
        peer_open(&peers[i], world_url(w));
        polls[i] = (struct pollfd){ peers[i].fd, POLLIN, 0 };
        peer_send(&peers[i], GET("/block"));
        if (i == 0)
            world_wait_blocked(w, 1);
    }
    for (int refused = 0; refused < REFUSED;) {
        assert_true(poll(polls, ALL, PEER_WAIT_MS) > 0);
        for (int i = 0; i < ALL; i++) {
            if (!polls[i].revents)
                continue;
            struct peer_reply *r = peer_read(&peers[i]);
            assert_int_equal(r->status, 503);
            assert_string_equal(peer_header(r, "retry-after"), "1");
            assert_string_equal(peer_header(r, "retry-after-ms"), "1000");
            peer_reply_free(r);
            polls[i].fd = -1; /* poll passes over it */
            refused++;
        }
    }
    world_unblock(w);
    for (int i = 0; i < ALL; i++) {
        if (polls[i].fd >= 0)
            assert_reply(peer_read(&peers[i]), 200, "out");
        peer_close(&peers[i]);
    }
    world_end(w);
}

/* What the loop itself answers comes behind all that it had read before. */
static void wait_for_loop(struct world *w)
{
    assert_reply(peer_ask(world_url(w), GET("/nowhere")), 404, NULL);
}

/* Both ways: a quick one passes those that wait, and one that waits is not kept waiting by any number of quick ones. */
static void quick_requests_pass_others(void **state)
{
    static const char *const order[] = { "/quick", "/hold", "/quick", "/hold", "/quick" };
    (void)state;
    struct http_config cfg = world_defaults;
    cfg.workers = 1;
    struct world *w = world_start(&cfg);
    struct peer blocker, peers[ARRAY_LEN(order)];
    peer_open(&blocker, world_url(w));
    peer_send(&blocker, GET("/block"));
    world_wait_blocked(w, 1);
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        peer_open(&peers[i], world_url(w));
        peer_send(&peers[i],
                  i < 2 ? "POST /hold HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\nx" : GET("/quick"));
        wait_for_loop(w);
    }
    world_unblock(w);
    assert_reply(peer_read(&blocker), 200, "out");
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        struct http_exchange *x = world_take(w);
        assert_true(str_is(http_path(x), order[i]));
        http_reply(x, 200, "text/plain", STR("taken"));
    }
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        assert_reply(peer_read(&peers[i]), 200, "taken");
        peer_close(&peers[i]);
    }
    peer_close(&blocker);
    world_end(w);
}

static void a_thousand_requests(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    struct peer p;
    peer_open(&p, world_url(w));
    for (int i = 0; i < 1000; i++) {
        if (i % 10 == 9) { /* every tenth on a new connection */
            peer_close(&p);
            peer_open(&p, world_url(w));
        }
        peer_send(&p,
                  i % 2 ? GET("/hello") : "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nbody");
        assert_reply(peer_read(&p), 200, i % 2 ? "hello" : "body");
    }
    peer_close(&p);
    world_end(w);
}

static void holders_answer_from_other_threads(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    struct peer peers[16];
    for (int i = 0; i < 16; i++) {
        peer_open(&peers[i], world_url(w));
        char text[128];
        snprintf(text, sizeof text, "POST /hold HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\n%02d", i);
        peer_send(&peers[i], text);
    }
    for (int i = 0; i < 16; i++) {
        struct http_exchange *x = world_take(w);
        http_set_header(x, "x-extra", "yes");
        http_reply(x, 201, "text/plain", http_body(x));
    }
    for (int i = 0; i < 16; i++) {
        struct peer_reply *r = peer_read(&peers[i]);
        assert_int_equal(r->status, 201);
        assert_int_equal(atoi(r->body.ptr), i);
        assert_string_equal(peer_header(r, "x-extra"), "yes");
        peer_reply_free(r);
        peer_close(&peers[i]);
    }
    assert_int_equal(w->gone, 0);
    world_end(w);
}

static void open_errors_tell_what_to_do(void **state)
{
    (void)state;
    struct world *w = world_start(NULL);
    static const struct {
        const char *listen, *message;
    } rows[] = {
        { "8080", "Cannot listen on \"8080\": expected HOST:PORT, as 127.0.0.1:8080 or [::1]:8080." },
        { "::1:80", "Cannot listen on \"::1:80\": expected HOST:PORT, as 127.0.0.1:8080 or [::1]:8080." },
        { "127.0.0.1:65536",
          "Cannot listen on \"127.0.0.1:65536\": expected HOST:PORT, as 127.0.0.1:8080 or [::1]:8080." },
        { "192.0.2.1:0",
          "Cannot listen on 192.0.2.1:0: this machine has no such address; choose another with --listen" },
    };
    struct http_config cfg = world_defaults;
    struct http_server *s = NULL;
    struct err err = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        cfg.listen = rows[i].listen;
        assert_int_equal(http_open(&s, &cfg, &err), ERR_CONFIG);
        assert_string_equal(err.message, rows[i].message);
    }
    char taken[64], message[256];
    snprintf(taken, sizeof taken, "%s", world_url(w) + strlen("http://"));
    snprintf(message, sizeof message,
             "Cannot listen on %s: the address is in use; choose another with --listen", taken);
    cfg.listen = taken;
    assert_int_equal(http_open(&s, &cfg, &err), ERR_CONFIG);
    assert_string_equal(err.message, message);
    assert_null(s);
    world_end(w);
}

static void listens_on_ipv6(void **state)
{
    (void)state;
    struct http_config cfg = world_defaults;
    struct http_server *s = NULL;
    struct err err = { 0 };
    cfg.listen = "[::1]:0";
    if (http_open(&s, &cfg, &err)) {
        print_message("# no IPv6 here: %s\n", err.message);
        skip();
    }
    assert_int_equal(strncmp(http_url(s), "http://[::1]:", 13), 0);
    http_close(s); /* without http_run */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(keeps_connections_alive),
    cmocka_unit_test(answers_pipelined_requests_in_order),
    cmocka_unit_test(every_answer_carries_its_headers),
    cmocka_unit_test(echoes_a_sane_client_request_id),
    cmocka_unit_test(azure_paths_carry_azure_fields),
    cmocka_unit_test(fields_are_exposed),
    cmocka_unit_test(the_application_knows_better_when_to_retry),
    cmocka_unit_test(a_conflict_is_not_repeated_unless_the_application_says_so),
    cmocka_unit_test(routes_methods),
    cmocka_unit_test(decodes_paths_and_queries),
    cmocka_unit_test(head_and_preflight_have_no_body),
    cmocka_unit_test(bounds_bodies),
    cmocka_unit_test(a_refusal_reaches_a_client_that_still_sends),
    cmocka_unit_test(a_large_body_comes_back_whole),
    cmocka_unit_test(expect_100_continue),
    cmocka_unit_test(http_1_0_closes),
    cmocka_unit_test(a_full_queue_is_503),
    cmocka_unit_test(quick_requests_pass_others),
    cmocka_unit_test(a_thousand_requests),
    cmocka_unit_test(holders_answer_from_other_threads),
    cmocka_unit_test(open_errors_tell_what_to_do),
    cmocka_unit_test(listens_on_ipv6),
};
TEST_GROUP(http_server, tests)
