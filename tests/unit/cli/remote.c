/*
 * remote.c - asking a server: the request it gets, and what becomes of each way it can answer.
 *
 * The server is a thread of the test that takes one connection, reads one request and sends prepared bytes.
 */
#include "test.h"

#include "base/thread.h"
#include "cli/cli_impl.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake {
    int listener;
    const char *reply; /* all of it, headers too */
    struct buf request;
    struct thread thread;
};

/* Whether the request in b is complete by its Content-Length. */
static bool complete(const struct buf *b)
{
    const char *end = b->len ? strstr(b->ptr, "\r\n\r\n") : NULL;
    if (!end)
        return false;
    const char *length = strcasestr(b->ptr, "content-length:");
    size_t body = length && length < end ? strtoul(length + 15, NULL, 10) : 0;
    return b->len >= (size_t)(end + 4 - b->ptr) + body;
}

static void serve_one(void *ctx)
{
    struct fake *f = ctx;
    char bytes[4096];
    int fd = accept(f->listener, NULL, NULL);
    while (!complete(&f->request)) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n <= 0)
            break;
        buf_put(&f->request, bytes, (size_t)n);
    }
    for (const char *at = f->reply; *at;) {
        ssize_t n = send(fd, at, strlen(at), MSG_NOSIGNAL);
        if (n <= 0)
            break;
        at += n;
    }
    shutdown(fd, SHUT_WR);
    while (read(fd, bytes, sizeof bytes) > 0) /* until the client has closed: a reset could eat the reply */
        continue;
    close(fd);
}

/* Starts the server and gives the configuration that asks it. */
static struct config fake_start(struct fake *f, const char *reply, char url[64])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    *f = (struct fake){ .listener = socket(AF_INET, SOCK_STREAM, 0), .reply = reply };
    assert_int_equal(0, bind(f->listener, (struct sockaddr *)&at, sizeof at));
    assert_int_equal(0, listen(f->listener, 1));
    getsockname(f->listener, (struct sockaddr *)&at, &len);
    snprintf(url, 64, "http://127.0.0.1:%d/v1/", ntohs(at.sin_port));
    thread_start(&f->thread, "fake", serve_one, f);
    return (struct config){ .url = url, .api_key = "sk-test", .tier = "o3" };
}

static void fake_stop(struct fake *f)
{
    thread_join(&f->thread);
    close(f->listener);
    buf_free(&f->request);
}

struct heard {
    struct buf text, thought;
    size_t pieces_max; /* then it has had enough; 0: never */
    size_t pieces;
};

static bool hear(void *ctx, bool thought, struct str piece)
{
    struct heard *h = ctx;
    buf_put_str(thought ? &h->thought : &h->text, piece);
    return ++h->pieces != h->pieces_max;
}

#define OK_SSE  "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
#define OK_JSON "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
#define DELTA(t)                                                                                             \
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"" t       \
    "\"}\n\n"
#define THOUGHT(t) "data: {\"type\":\"response.reasoning_summary_text.delta\",\"delta\":\"" t "\"}\n\n"
#define USAGE                                                                                                \
    "\"usage\":{\"input_tokens\":5,\"output_tokens\":9,\"output_tokens_details\":{\"reasoning_tokens\":7}}"
#define RESPONSE(status, more)                                                                               \
    "{\"object\":\"response\",\"status\":\"" status "\"," more                                               \
    "\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"42\"}]}]," USAGE    \
    "}"
#define END(event, status, more)                                                                             \
    "data: {\"type\":\"response." event "\",\"response\":" RESPONSE(status, more) "}\n\n"

static const struct row {
    const char *reply;
    enum err_code code;
    enum job_status status;
    const char *text_or_message, *thought;
} rows[] = {
    { OK_SSE THOUGHT("hm") DELTA("4") DELTA("2") END("completed", "completed", "") "data: [DONE]\n\n", ERR_OK,
      JOB_COMPLETED, "42", "hm" },
    { OK_SSE END("completed", "completed", ""), ERR_OK, JOB_COMPLETED, "42", "" }, /* no deltas at all */
    { OK_JSON RESPONSE("completed", ""), ERR_OK, JOB_COMPLETED, "42", "" },        /* no stream at all */
    { OK_SSE DELTA("4")
          END("incomplete", "incomplete", "\"incomplete_details\":{\"reason\":\"max_output_tokens\"},"),
      ERR_OK, JOB_INCOMPLETE, "4", "" },
    { OK_SSE END("failed", "failed", "\"error\":{\"message\":\"It broke.\"},"), ERR_NETWORK, 0, "It broke.",
      "" },
    { OK_SSE "data: {\"type\":\"error\",\"message\":\"Flat.\"}\n\n", ERR_NETWORK, 0, "Flat.", "" },
    { OK_SSE "data: {\"type\":\"error\",\"error\":{\"message\":\"Nested.\"}}\n\n", ERR_NETWORK, 0, "Nested.",
      "" },
    { OK_SSE "data: "
             "{\"type\":\"response.completed\",\"response\":{\"object\":\"response\",\"status\":"
             "\"completed\",\"output\":"
             "[{\"type\":\"function_call\",\"name\":\"f\",\"arguments\":\"{\\\"a\\\": 1}\"}]," USAGE "}}\n\n",
      ERR_OK, JOB_COMPLETED, "<tool_call>\n{\"name\":\"f\",\"arguments\":{\"a\": 1}}\n</tool_call>", "" },
    { OK_SSE DELTA("4"), ERR_NETWORK, 0, "The server closed the stream before the answer was complete.", "" },
    { OK_SSE "data: {oops\n\n", ERR_NETWORK, 0, "The server's stream holds an event that is not JSON.", "" },
    { OK_SSE "data: {\"type\":\"response.completed\",\"response\":7}\n\n", ERR_NETWORK, 0,
      "The server's answer is no Response object.", "" },
    { OK_JSON "{\"object\":\"response\",\"status\":\"queued\"}", ERR_NETWORK, 0,
      "The server's answer ends with the status 'queued'.", "" },
    { OK_JSON "<html>", ERR_NETWORK, 0, "The server's answer is neither a stream nor JSON.", "" },
    { "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
      "{\"error\":{\"message\":\"The model 'x' does not exist.\"}}",
      ERR_NETWORK, 0, "The model 'x' does not exist.", "" },
    { "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>", ERR_NETWORK,
      0, "The server answered with status 502.", "" },
    { "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", ERR_NETWORK, 0,
      "The server answered with status 500.", "" },
};

static void every_answer_is_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fake fake;
        char url[64];
        struct config cfg = fake_start(&fake, rows[i].reply, url);
        struct backend *b = NULL;
        struct heard h = { 0 };
        struct answer a = { 0 };
        struct ask ask;
        struct err err = { 0 };
        assert_int_equal(ERR_OK, backend_open(&b, &cfg, 1, &err));
        assert_int_equal(ERR_OK, ask_from_config(&ask, &cfg, &err));
        ask.question = STR("What is 17 + 25?");
        enum err_code code = backend_ask(b, &ask, (struct ask_sink){ hear, &h }, &a, &err);
        if (code != rows[i].code || (code && strcmp(err.message, rows[i].text_or_message) != 0))
            fail_msg("row %zu: %s", i, err.message);
        if (!code) {
            assert_int_equal(rows[i].status, a.status);
            assert_string_equal(rows[i].text_or_message, a.text.ptr);
            assert_string_equal(rows[i].text_or_message, h.text.ptr);
            assert_string_equal(rows[i].thought, h.thought.len ? h.thought.ptr : "");
            assert_true(a.counted && a.input_tokens == 5 && a.output_tokens == 9 && a.reasoning_tokens == 7);
            assert_true(a.json.len > 0);
        }
        backend_close(b);
        assert_non_null(strstr(fake.request.ptr, "POST /v1/responses HTTP/1.1\r\n"));
        assert_non_null(strstr(fake.request.ptr, "Authorization: Bearer sk-test\r\n"));
        fake_stop(&fake);
        answer_free(&a);
        buf_free(&h.text);
        buf_free(&h.thought);
    }
}

static void enough_ends_the_stream(void **state)
{
    (void)state;
    struct fake fake;
    char url[64];
    struct config cfg = fake_start(&fake, OK_SSE DELTA("1") DELTA("2") DELTA("3"), url);
    struct backend *b = NULL;
    struct heard h = { .pieces_max = 2 };
    struct answer a = { 0 };
    struct ask ask;
    assert_int_equal(ERR_OK, backend_open(&b, &cfg, 1, NULL));
    assert_int_equal(ERR_OK, ask_from_config(&ask, &cfg, NULL));
    ask.question = STR("x");
    assert_int_equal(ERR_OK, backend_ask(b, &ask, (struct ask_sink){ hear, &h }, &a, NULL));
    assert_int_equal(JOB_CANCELLED, a.status);
    assert_string_equal("12", h.text.ptr);
    backend_close(b);
    fake_stop(&fake);
    answer_free(&a);
    buf_free(&h.text);
}

static void the_body_says_what_was_asked(void **state)
{
    (void)state;
    struct buf out = { 0 };
    struct ask ask = { .model = "o3", .question = STR("a\"b") };
    remote_body(&out, &ask);
    assert_string_equal("{\"model\":\"o3\",\"input\":\"a\\\"b\",\"store\":false,\"stream\":true}", out.ptr);
    buf_clear(&out);
    json_t *earlier = json_pack("[{s:s,s:s}]", "role", "user", "content", "1+1?");
    ask.earlier = earlier;
    remote_body(&out, &ask);
    assert_string_equal("{\"model\":\"o3\",\"input\":[{\"role\":\"user\",\"content\":\"1+1?\"},"
                        "{\"role\":\"user\",\"content\":\"a\\\"b\"}],\"store\":false,\"stream\":true}",
                        out.ptr);
    json_decref(earlier);
    buf_clear(&out);
    json_t *tools = json_pack("[{s:s,s:{s:s}}]", "type", "function", "function", "name", "f");
    ask.earlier = earlier = json_pack("[{s:s,s:s,s:[{s:s,s:s,s:s}]}]", "role", "assistant", "content", "",
                                      "tool_calls", "id", "c1", "name", "f", "arguments", "{}");
    ask.tools = tools;
    ask.call_id = "c1";
    remote_body(&out, &ask);
    assert_string_equal(
        "{\"model\":\"o3\",\"input\":[{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\","
        "\"arguments\":\"{}\"},{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"a\\\"b\"}],"
        "\"tools\":[{\"type\":\"function\",\"name\":\"f\"}],\"store\":false,\"stream\":true}",
        out.ptr);
    json_decref(earlier);
    json_decref(tools);
    buf_clear(&out);
    ask = (struct ask){
        .model = "m", .question = STR("q"), .instructions = "i", .output_tokens_max = 99, .thinking = true
    };
    ask.effort.set = true;
    ask.effort.value = EFFORT_HIGH;
    ask.temperature.set = true;
    ask.temperature.value = 0.1;
    ask.seed.set = true;
    ask.seed.value = 7;
    remote_body(&out, &ask);
    assert_string_equal(
        "{\"model\":\"m\",\"input\":\"q\",\"instructions\":\"i\",\"reasoning\":{\"effort\":\"high\","
        "\"summary\":\"detailed\"},\"max_output_tokens\":99,\"temperature\":0.1,\"seed\":7,"
        "\"store\":false,\"stream\":true}",
        out.ptr);
    buf_free(&out);
}

static void base_urls_lose_their_tail(void **state)
{
    (void)state;
    static const char *const urls[] = { "http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1//" };
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct buf out = { 0 };
        remote_base(&out, str_from(urls[i]));
        assert_string_equal("http://h:1", out.ptr);
        buf_free(&out);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_answer_is_understood),
    cmocka_unit_test(enough_ends_the_stream),
    cmocka_unit_test(the_body_says_what_was_asked),
    cmocka_unit_test(base_urls_lose_their_tail),
};
TEST_GROUP(cli_remote, tests)
