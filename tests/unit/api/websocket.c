/*
 * websocket.c - responses over one connection, where it takes two sockets, two owners or a server that is looked into.
 *
 * What one client alone can see is asked by tests/openresponses. Nothing here waits for a time: /hold keeps a response open
 * until /release, and what must have happened is asked for until it has.
 */
#include "site.h"

#include "test.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TRIES_MAX   100000
#define WAITING_MAX 64
#define UPGRADE                                                                                              \
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define KEYED(key) "Authorization: Bearer " key "\r\n"
enum { TEXT = 1, CLOSE = 8, PING = 9 };

/* --- a client ----------------------------------------------------------------------------------------------- */

static void read_all(int fd, void *to, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t got = recv(fd, (char *)to + at, n - at, 0);
        assert_true(got > 0);
        at += (size_t)got;
    }
}

static void send_all(int fd, const void *from, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t sent = send(fd, (const char *)from + at, n - at, MSG_NOSIGNAL);
        assert_true(sent > 0);
        at += (size_t)sent;
    }
}

static int open_socket(const struct site *s, const char *headers)
{
    char all[512], head[2048] = "";
    size_t n = 0;
    snprintf(all, sizeof all, "%s%s", headers, UPGRADE);
    int fd = site_send(s, "GET", "/v1/responses", all, NULL);
    while (!strstr(head, "\r\n\r\n")) {
        assert_true(n + 1 < sizeof head);
        read_all(fd, head + n++, 1);
    }
    assert_non_null(strstr(head, " 101 "));
    return fd;
}

/* A mask of zeros is one too. */
static void put(int fd, const char *text)
{
    size_t n = strlen(text);
    unsigned char head[8] = { 0x80 | TEXT, (unsigned char)(0x80 | (n < 126 ? n : 126)),
                              (unsigned char)(n >> 8), (unsigned char)n };
    assert_true(n < 65536);
    send_all(fd, head, n < 126 ? 2 : 4);
    send_all(fd, "\0\0\0", 4);
    send_all(fd, text, n);
}

/* The next message, the caller's; NULL: a close frame of the server. */
static json_t *get(int fd)
{
    for (;;) {
        unsigned char head[2], more[8] = { 0 };
        read_all(fd, head, 2);
        size_t n = head[1], n_more = n == 126 ? 2 : n == 127 ? 8 : 0;
        read_all(fd, more, n_more);
        for (size_t i = 0; n_more && i < n_more; i++)
            n = (i ? n << 8 : 0) | more[i];
        char *text = mem_zalloc(n + 1);
        read_all(fd, text, n);
        json_t *json = json_loads(text, 0, NULL);
        mem_free(text);
        if ((head[0] & 15) == TEXT) {
            assert_non_null(json);
            return json;
        }
        json_decref(json);
        if ((head[0] & 15) == CLOSE)
            return NULL;
    }
}

static const char *str_at(const json_t *v, const char *key)
{
    const char *text = json_string_value(json_object_get(v, key));
    return text ? text : "";
}

/* Reads up to the first message of this type, which is the caller's. */
static json_t *get_type(int fd, const char *type)
{
    for (;;) {
        json_t *m = get(fd);
        if (!m)
            fail_msg("closed before %s", type);
        if (strcmp(str_at(m, "type"), type) == 0)
            return m;
        if (strcmp(str_at(m, "type"), "error") == 0)
            fail_msg("error: %s", str_at(json_object_get(m, "error"), "message"));
        json_decref(m);
    }
}

static void expect_error(int fd, int status, const char *code)
{
    json_t *m = get(fd);
    assert_non_null(m);
    assert_string_equal(str_at(m, "type"), "error");
    assert_int_equal(json_integer_value(json_object_get(m, "status")), status);
    assert_string_equal(str_at(json_object_get(m, "error"), "code"), code);
    json_decref(m);
}

/* Asks, and reads the response up to its end; its id in the caller's bytes. */
static void turn(int fd, const char *request, char id[80])
{
    put(fd, request);
    json_t *m = get_type(fd, "response.completed");
    snprintf(id, 80, "%s", str_at(json_object_get(m, "response"), "id"));
    json_decref(m);
}

#define CREATE(more) "{\"type\":\"response.create\",\"model\":\"o3\"," more "}"
#define HOLD         CREATE("\"input\":\"/hold 1\",\"reasoning\":{\"effort\":\"none\"}")

static void release(const struct site *s)
{
    json_decref(site_json(s, "POST", "/v1/responses",
                          "{\"model\":\"o3\",\"input\":\"/release\",\"reasoning\":{\"effort\":\"none\"}}",
                          200));
}

/* --- tests --------------------------------------------------------------------------------------------------- */

static void owners_do_not_share(void **state)
{
    (void)state;
    static const char *const options[] = { "--keys", "sk-key-of-one,sk-key-of-two", NULL };
    struct site s;
    char stored[80], unstored[80], ask[512];
    site_open(&s, options, NULL);
    int one = open_socket(&s, KEYED("sk-key-of-one")), two = open_socket(&s, KEYED("sk-key-of-two"));
    turn(one, CREATE("\"input\":\"a\""), stored);
    turn(one, CREATE("\"input\":\"a\",\"store\":false"), unstored);
    const char *const ids[] = { stored, unstored };
    for (size_t i = 0; i < 2; i++) {
        snprintf(ask, sizeof ask, CREATE("\"input\":\"b\",\"previous_response_id\":\"%s\""), ids[i]);
        put(two, ask);
        expect_error(two, 400, "previous_response_not_found");
        turn(one, ask, (char[80]){ 0 });
        /* What it went on from is not its last response any more. */
        turn(one, CREATE("\"input\":\"a\",\"store\":false"), unstored);
    }
    close(one), close(two);
    site_close(&s);
}

/* A connection may live an hour, and what is known of a revoked key two seconds. */
static void a_revoked_key_makes_nothing_more(void **state)
{
    (void)state;
    struct site s;
    struct access_key key = { .name = "gone", .limits = { ACCESS_UNSET, ACCESS_UNSET, ACCESS_UNSET } };
    char secret[ACCESS_SECRET_CHARS + 1], header[128];
    site_open(&s, NULL, NULL);
    assert_int_equal(ERR_OK, access_key_create(s.store, &key, secret, NULL));
    snprintf(header, sizeof header, KEYED("%s"), secret);
    int fd = open_socket(&s, header);
    turn(fd, CREATE("\"input\":\"a\""), (char[80]){ 0 });
    assert_int_equal(ERR_OK, access_key_revoke(s.store, STR("gone"), &key, NULL));
    int status = 0;
    for (int i = 0; i < TRIES_MAX && !status; i++) {
        put(fd, CREATE("\"input\":\"a\",\"store\":false"));
        json_t *m = get(fd);
        status = (int)json_integer_value(json_object_get(m, "status"));
        json_decref(m);
        if (!status)
            json_decref(get_type(fd, "response.completed"));
    }
    assert_int_equal(status, 401);
    close(fd);
    site_close(&s);
}

static void a_thought_is_opened_for_its_owner_alone(void **state)
{
    (void)state;
    static const char *const options[] = { "--keys", "sk-key-of-one,sk-key-of-two", NULL };
    struct site s;
    site_open(&s, options, NULL);
    int one = open_socket(&s, KEYED("sk-key-of-one")), two = open_socket(&s, KEYED("sk-key-of-two"));
    put(one, CREATE("\"input\":\"a\",\"store\":false,\"include\":[\"reasoning.encrypted_content\"]"));
    json_t *end = get_type(one, "response.completed");
    json_t *item = json_array_get(json_object_get(json_object_get(end, "response"), "output"), 0);
    assert_string_equal(str_at(item, "type"), "reasoning");
    json_object_set_new(item, "content", json_null()); /* as codex sends it back */
    json_t *ask = json_pack("{ss,ss,sb,s[O,{ss,ss}]}", "type", "response.create", "model", "o3", "store", 0,
                            "input", item, "role", "user", "content", "b");
    char *text = json_dumps(ask, 0);
    turn(one, text, (char[80]){ 0 });
    put(two, text);
    expect_error(two, 400, "invalid_encrypted_content");
    free(text);
    json_decref(ask);
    json_decref(end);
    close(one), close(two);
    site_close(&s);
}

/* The items of a response that is kept nowhere else: what they set and what was compacted go on with the connection. */
static void items_that_set_and_compact_go_on(void **state)
{
    (void)state;
    struct site s;
    char id[80], ask[512];
    site_open(&s, NULL, NULL);
    int fd = open_socket(&s, "");
    turn(fd,
         CREATE("\"store\":false,\"input\":[{\"type\":\"configuration_update\",\"reasoning\":{\"effort\":"
                "\"none\"}},{\"role\":\"user\",\"content\":\"one two three\"}]"),
         id);
    snprintf(ask, sizeof ask,
             CREATE("\"store\":false,\"input\":[{\"type\":\"compaction_trigger\"}],\"previous_response_id\":"
                    "\"%s\""),
             id);
    put(fd, ask);
    json_t *m = get_type(fd, "response.output_item.done");
    assert_string_equal(str_at(json_object_get(m, "item"), "type"), "compaction");
    json_decref(m);
    m = get_type(fd, "response.completed");
    snprintf(id, sizeof id, "%s", str_at(json_object_get(m, "response"), "id"));
    json_decref(m);
    snprintf(ask, sizeof ask, CREATE("\"store\":false,\"input\":\"four\",\"previous_response_id\":\"%s\""),
             id);
    put(fd, ask);
    m = get_type(fd, "response.completed");
    const json_t *response = json_object_get(m, "response");
    assert_string_equal(str_at(json_object_get(response, "reasoning"), "effort"), "none");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(response, "usage"), "input_tokens")),
                     11);
    json_decref(m);
    close(fd);
    site_close(&s);
}

static void what_waits_is_bounded(void **state)
{
    (void)state;
    struct site s;
    char id[80], ask[512];
    site_open(&s, NULL, NULL);
    int fd = open_socket(&s, "");
    turn(fd, CREATE("\"input\":\"a\",\"store\":false"), id);
    put(fd, HOLD);
    json_decref(get_type(fd, "response.output_text.delta"));
    for (int i = 0; i < WAITING_MAX; i++)
        put(fd, CREATE("\"input\":\"b\",\"store\":false"));
    put(fd, CREATE("\"input\":\"c\""));
    expect_error(fd, 503, "server_is_overloaded");
    /* A continuation that is refused there evicts like any other. */
    snprintf(ask, sizeof ask, CREATE("\"input\":\"b\",\"previous_response_id\":\"%s\""), id);
    put(fd, ask);
    expect_error(fd, 503, "server_is_overloaded");
    release(&s);
    json_decref(get_type(fd, "response.completed"));
    for (int i = 0; i < WAITING_MAX; i++)
        json_decref(get_type(fd, "response.completed"));
    put(fd, ask);
    expect_error(fd, 400, "previous_response_not_found");
    close(fd);
    site_close(&s);
}

/* Closing cancels what is made, and drops what waits behind it. */
static void closing_cancels(void **state)
{
    (void)state;
    struct site s;
    char path[160];
    site_open(&s, NULL, NULL);
    int fd = open_socket(&s, "");
    put(fd, HOLD);
    json_t *m = get_type(fd, "response.created");
    snprintf(path, sizeof path, "/v1/responses/%s", str_at(json_object_get(m, "response"), "id"));
    json_decref(m);
    json_decref(get_type(fd, "response.output_text.delta"));
    put(fd, HOLD);
    put(fd, HOLD);
    close(fd);
    bool cancelled = false;
    for (int i = 0; i < TRIES_MAX && !cancelled; i++) {
        struct site_reply r = site_ask(&s, "GET", path, NULL, NULL);
        assert_true(r.status == 200 || r.status == 404); /* its row is written beside its events */
        cancelled = strcmp(str_at(r.json, "status"), "cancelled") == 0;
        site_reply_free(&r);
    }
    assert_true(cancelled);
    site_close(&s); /* which waits for every job: none of those behind was begun, or it would hold for ever */
}

static void limits_hold_for_messages(void **state)
{
    (void)state;
    static const char *const options[] = { "--requests-per-minute", "2", NULL };
    struct site s;
    char id[80];
    site_open(&s, options, NULL);
    int fd = open_socket(&s, "");
    turn(fd, CREATE("\"input\":\"a\""), id);
    turn(fd, CREATE("\"input\":\"a\""), id);
    for (int i = 0; i < 2; i++) {
        put(fd, CREATE("\"input\":\"a\""));
        expect_error(fd, 429, "rate_limit_exceeded");
    }
    close(fd);
    site_close(&s);
}

static void a_long_message_counts_as_long(void **state)
{
    (void)state;
    static const char *const options[] = { "--tokens-per-minute", "1000", NULL };
    struct site s;
    struct buf ask = { 0 };
    site_open(&s, options, NULL);
    int fd = open_socket(&s, ""), other = open_socket(&s, "");
    put(fd, HOLD); /* its place holds what was guessed until it ends */
    json_decref(get_type(fd, "response.output_text.delta"));
    buf_puts(&ask, "{\"type\":\"response.create\",\"model\":\"o3\",\"input\":\"");
    for (int i = 0; i < 3980; i++)
        buf_putc(&ask, 'x');
    buf_puts(&ask, "\"}");
    buf_putc(&ask, '\0');
    put(other, ask.ptr);
    expect_error(other, 429, "rate_limit_exceeded");
    buf_free(&ask);
    close(fd), close(other);
    site_close(&s);
}

/* --- the life of a connection ---------------------------------------------------------------------------------- */

static void expect_the_end(int fd)
{
    json_t *m;
    int said = 0;
    while ((m = get(fd))) {
        assert_string_equal(str_at(json_object_get(m, "error"), "code"),
                            "websocket_connection_limit_reached");
        json_decref(m);
        said++;
    }
    assert_true(said > 0);
}

static void an_idle_connection_ends(void **state)
{
    (void)state;
    static const char *const options[] = { "--socket-life-ms", "1", NULL };
    struct site s;
    site_open(&s, options, NULL);
    int fds[8];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        fds[i] = open_socket(&s, "");
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        expect_the_end(fds[i]);
        close(fds[i]);
    }
    site_close(&s);
}

/* Asks what is no request until the answer is that the connection's life is over. */
static void wait_for_the_end(int fd)
{
    for (;;) {
        put(fd, "{}");
        json_t *m = get(fd);
        assert_non_null(m);
        bool over =
            strcmp(str_at(json_object_get(m, "error"), "code"), "websocket_connection_limit_reached") == 0;
        json_decref(m);
        if (over)
            return;
    }
}

/* What is made when the life ends is made to its end; what waits behind it is not begun. */
static bool holds_over_the_end(int life_ms)
{
    char life[16];
    const char *options[] = { "--socket-life-ms", life, NULL };
    struct site s;
    snprintf(life, sizeof life, "%d", life_ms);
    site_open(&s, options, NULL);
    int fd = open_socket(&s, "");
    put(fd, HOLD);
    put(fd, HOLD);
    json_t *m = get(fd);
    bool began = strcmp(str_at(m, "type"), "response.created") == 0; /* else this machine is too slow */
    json_decref(m);
    if (began) {
        json_decref(get_type(fd, "response.output_text.delta"));
        wait_for_the_end(fd);
        release(&s);
        json_decref(get_type(fd, "response.completed"));
        expect_the_end(fd);
    }
    close(fd);
    site_close(&s);
    return began;
}

static void a_response_is_made_to_its_end(void **state)
{
    (void)state;
    bool held = false;
    for (int life_ms = 250; !held && life_ms < 100000; life_ms *= 4)
        held = holds_over_the_end(life_ms);
    assert_true(held);
}

/* What ends the connection is told like any other error first. */
static void what_is_not_taken_is_told(void **state)
{
    (void)state;
    static const char *const options[] = { "--body-bytes-max", "1KiB", NULL };
    struct site s;
    char large[2000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    site_open(&s, options, NULL);
    int fd = open_socket(&s, "");
    put(fd, large);
    expect_error(fd, 413, "invalid_request");
    assert_null(get(fd));
    close(fd);
    fd = open_socket(&s, "");
    send_all(fd, "\x82\x80\0\0\0\0", 6); /* bytes, none of them, masked */
    expect_error(fd, 400, "invalid_request");
    assert_null(get(fd));
    close(fd);
    site_close(&s);
}

/* What is made when the server stops is made to its end, as over HTTP. Where that was sooner than the stop, what waited has begun. */
static void a_stop_waits_for_the_response(void **state)
{
    (void)state;
    struct site s;
    json_t *m;
    int began, completed = 0;
    site_open(&s, NULL, NULL);
    int busy = open_socket(&s, ""), idle = open_socket(&s, "");
    put(busy, CREATE("\"input\":\"/count 3000\",\"reasoning\":{\"effort\":\"none\"}"));
    put(busy, CREATE("\"input\":\"a\""));
    json_decref(get_type(busy, "response.created"));
    http_stop(s.server);
    assert_null(get(idle));
    for (began = 1; (m = get(busy)); json_decref(m)) {
        began += strcmp(str_at(m, "type"), "response.created") == 0;
        completed += strcmp(str_at(m, "type"), "response.completed") == 0;
    }
    assert_int_equal(completed, began);
    close(busy), close(idle);
    site_close(&s);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(owners_do_not_share),
    cmocka_unit_test(a_revoked_key_makes_nothing_more),
    cmocka_unit_test(a_thought_is_opened_for_its_owner_alone),
    cmocka_unit_test(what_waits_is_bounded),
    cmocka_unit_test(closing_cancels),
    cmocka_unit_test(limits_hold_for_messages),
    cmocka_unit_test(a_long_message_counts_as_long),
    cmocka_unit_test(items_that_set_and_compact_go_on),
    cmocka_unit_test(an_idle_connection_ends),
    cmocka_unit_test(a_response_is_made_to_its_end),
    cmocka_unit_test(what_is_not_taken_is_told),
    cmocka_unit_test(a_stop_waits_for_the_response),
};
TEST_GROUP(api_websocket, tests)
