/*
 * idempotency.c - the same key twice: done once, and what a repeat gets in each state of the first.
 */
#include "api/api_impl.h"
#include "site.h"
#include "test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ASK  "{\"model\":\"o3\",\"input\":\"What is 17 + 25?\"}"
#define LONG "{\"model\":\"o3\",\"input\":\"/endless\"}"

static struct site_reply post(const struct site *s, const char *key, const char *body)
{
    char header[512];
    snprintf(header, sizeof header, "Idempotency-Key: %s\r\n", key);
    return site_ask(s, "POST", "/v1/responses", header, body);
}

static const char *id_of(const struct site_reply *r)
{
    if (r->status != 200)
        fail_msg("%d: %s", r->status, r->body.ptr);
    return json_string_value(json_object_get(r->json, "id"));
}

static void a_repeat_gets_the_same_reply(void **state)
{
    (void)state;
    struct site s;
    site_open(&s, NULL, NULL);
    struct site_reply first = post(&s, "one", ASK), again = post(&s, "one", ASK),
                      other = post(&s, "two", ASK);
    assert_null(strstr(first.head, "dempotent-replayed: true"));
    assert_non_null(strstr(again.head, "idempotent-replayed: true"));
    assert_int_equal(again.status, 200);
    assert_non_null(strstr(again.head, "application/json"));
    assert_true(str_eq(buf_str(&first.body), buf_str(&again.body)));
    assert_string_not_equal(id_of(&first), id_of(&other));
    site_reply_free(&first);
    site_reply_free(&again);
    site_reply_free(&other);
    site_close(&s);
}

/* By another process, that is, from the store. */
static void a_repeat_after_a_restart(void **state)
{
    (void)state;
    struct site s;
    char path[300];
    snprintf(path, sizeof path, "%s/idempotency.db", test_tmpdir());
    site_open(&s, NULL, path);
    struct site_reply first = post(&s, "one", ASK);
    site_close(&s);
    site_open(&s, NULL, path);
    struct site_reply again = post(&s, "one", ASK);
    assert_string_equal(id_of(&first), id_of(&again));
    assert_non_null(strstr(again.head, "idempotent-replayed: true"));
    site_reply_free(&first);
    site_reply_free(&again);
    site_close(&s);
}

static void assert_error(const struct site_reply *r, int status, const char *code)
{
    const json_t *error = json_object_get(r->json, "error");
    if (r->status != status)
        fail_msg("%d: %s", r->status, r->body.ptr);
    assert_string_equal(code, json_string_value(json_object_get(error, "code")));
    assert_true(json_is_null(json_object_get(error, "param")));
}

static void another_request(void **state)
{
    (void)state;
    struct site s;
    site_open(&s, NULL, NULL);
    struct site_reply first = post(&s, "one", ASK),
                      other = post(&s, "one", "{\"model\":\"o3\",\"input\":\"else\"}");
    struct site_reply path = site_ask(&s, "POST", "/responses", "Idempotency-Key: one\r\n", ASK);
    assert_error(&other, 400, "invalid_value");
    assert_error(&path, 400, "invalid_value");
    site_reply_free(&first);
    site_reply_free(&other);
    site_reply_free(&path);
    site_close(&s);
}

/* The first is known to be running once it has begun its stream. */
static void while_it_runs(void **state)
{
    (void)state;
    struct site s;
    char byte;
    static const char body[] = "{\"model\":\"o3\",\"input\":\"/endless\",\"stream\":true}";
    site_open(&s, NULL, NULL);
    int fd = site_send(&s, "POST", "/v1/responses", "Idempotency-Key: one\r\n", body);
    assert_int_equal(1, read(fd, &byte, 1));
    struct site_reply again = post(&s, "one", body), other = post(&s, "one", LONG);
    assert_error(&again, 409, "conflict");
    assert_non_null(strstr(again.head, "x-should-retry: true"));
    assert_non_null(strstr(again.head, "retry-after: 1"));
    assert_error(&other, 400, "invalid_value");
    site_reply_free(&again);
    site_reply_free(&other);
    close(fd); /* cancels it: nothing was kept, so the key is free as soon as the job has ended */
    int status = 409;
    while (status == 409) {
        struct site_reply r = post(&s, "one", ASK);
        status = r.status == 400 ? 409 : r.status; /* 400: the first still runs, and was another request */
        site_reply_free(&r);
    }
    assert_int_equal(status, 200);
    site_close(&s);
}

static void a_stream_is_not_replayed(void **state)
{
    (void)state;
    struct site s;
    static const char body[] = "{\"model\":\"o3\",\"input\":\"hi\",\"stream\":true}";
    site_open(&s, NULL, NULL);
    struct site_reply first = post(&s, "one", body), again = post(&s, "one", body);
    assert_non_null(strstr(first.body.ptr, "[DONE]"));
    assert_error(&again, 409, "conflict");
    assert_non_null(strstr(again.head, "x-should-retry: false"));
    site_reply_free(&first);
    site_reply_free(&again);
    site_close(&s);
}

/* Reads a stream's beginning, up to its response's id, and leaves. */
static void begin_and_leave(const struct site *s, const char *body, char id[80])
{
    struct buf seen = { 0 };
    char piece[1024];
    int fd = site_send(s, "POST", "/v1/responses", "Idempotency-Key: one\r\n", body);
    while (str_find(buf_str(&seen), STR("response.queued")) == SIZE_MAX) {
        ssize_t n = read(fd, piece, sizeof piece);
        assert_true(n > 0);
        buf_put(&seen, piece, (size_t)n);
    }
    assert_int_equal(sscanf(strstr(seen.ptr, "\"resp_"), "\"%79[a-z0-9_]", id), 1);
    close(fd);
    buf_free(&seen);
}

/* The response goes on without its client, so a client that asks again must not begin a second one. */
static void a_background_stream_is_joined(void **state)
{
    static const char body[] = "{\"model\":\"o3\",\"input\":\"/hold 2\",\"stream\":true,\"background\":true}";
    char id[80];
    struct site s;
    char path[300];
    (void)state;
    snprintf(path, sizeof path, "%s/idempotent-stream.db", test_tmpdir());
    site_open(&s, NULL, path);
    begin_and_leave(&s, body, id);
    int runs = site_send(&s, "POST", "/v1/responses", "Idempotency-Key: one\r\n", body);
    json_decref(site_json(&s, "POST", "/v1/responses", "{\"model\":\"o3\",\"input\":\"/release\"}", 200));
    struct site_reply again = site_read(runs);
    site_close(&s);
    site_open(&s, NULL, path);
    struct site_reply later = post(&s, "one", body);
    const struct site_reply *const repeats[] = { &again, &later };
    for (size_t i = 0; i < ARRAY_LEN(repeats); i++) {
        assert_non_null(strstr(repeats[i]->head, "idempotent-replayed: true"));
        assert_non_null(strstr(repeats[i]->body.ptr, "\"sequence_number\":0"));
        assert_non_null(strstr(repeats[i]->body.ptr, id));
        assert_non_null(strstr(repeats[i]->body.ptr, "response.completed"));
    }
    site_reply_free(&again);
    site_reply_free(&later);
    snprintf(path, sizeof path, "/v1/responses/%s", id);
    json_decref(site_json(&s, "DELETE", path, NULL, 200));
    struct site_reply gone = post(&s, "one", body);
    assert_int_equal(gone.status, 404);
    site_reply_free(&gone);
    site_close(&s);
}

static void an_error_is_not_kept(void **state)
{
    (void)state;
    struct site s;
    site_open(&s, NULL, NULL);
    struct site_reply bad = post(&s, "one", "{\"model\":\"o3\",\"input\":5}"), good = post(&s, "one", ASK);
    assert_int_equal(bad.status, 400);
    assert_non_null(id_of(&good));
    site_reply_free(&bad);
    site_reply_free(&good);
    site_close(&s);
}

static struct site_reply as(const struct site *s, const char *key)
{
    char header[256];
    snprintf(header, sizeof header, "Idempotency-Key: one\r\nAuthorization: Bearer %s\r\n", key);
    return site_ask(s, "POST", "/v1/responses", header, ASK);
}

static void keys_belong_to_owners(void **state)
{
    (void)state;
    struct site s;
    static const char *const options[] = { "--keys", "first-key,second-key", NULL };
    site_open(&s, options, NULL);
    struct site_reply a = as(&s, "first-key"), b = as(&s, "second-key"), again = as(&s, "first-key");
    assert_string_not_equal(id_of(&a), id_of(&b));
    assert_string_equal(id_of(&a), id_of(&again));
    site_reply_free(&a);
    site_reply_free(&b);
    site_reply_free(&again);
    site_close(&s);
}

/* A record that has expired and was not swept yet is replaced. */
static void a_key_expires(void **state)
{
    (void)state;
    struct site s;
    struct arena arena = { 0 };
    struct store_object o;
    struct err err = { 0 };
    char key[SHA256_HEX_SIZE];
    site_open(&s, NULL, NULL);
    struct site_reply first = post(&s, "one", ASK);
    sha256_hex(key, &STR("one"), 1);
    while (store_object_get(s.store, STR("idempotency"), STR("local"), str_from(key), &o, &arena, &err))
        assert_int_equal(err.code, ERR_NOT_FOUND); /* on its way */
    assert_true(o.expires_ms - o.created_ms == 86400000);
    o.expires_ms = 1;
    struct store_tx *tx = store_tx_open();
    store_tx_object_update(tx, &o);
    assert_int_equal(ERR_OK, store_commit_wait(s.store, tx, &err));
    struct site_reply second = post(&s, "one", ASK), third = post(&s, "one", ASK);
    assert_string_not_equal(id_of(&first), id_of(&second));
    assert_string_equal(id_of(&second), id_of(&third));
    site_reply_free(&first);
    site_reply_free(&second);
    site_reply_free(&third);
    arena_free(&arena);
    site_close(&s);
}

static void odd_keys(void **state)
{
    (void)state;
    struct site s;
    char key[257];
    site_open(&s, NULL, NULL);
    memset(key, 'k', sizeof key);
    key[256] = '\0';
    struct site_reply r = post(&s, key, ASK);
    assert_error(&r, 400, "invalid_value");
    site_reply_free(&r);
    key[255] = '\0';
    r = post(&s, key, ASK);
    assert_int_equal(r.status, 200);
    site_reply_free(&r);
    r = site_ask(&s, "GET", "/v1/models", "Idempotency-Key: one\r\n",
                 NULL); /* a GET is idempotent by itself */
    assert_int_equal(r.status, 200);
    site_reply_free(&r);
    site_close(&s);
}

static void it_can_be_turned_off(void **state)
{
    (void)state;
    struct site s;
    static const char *const options[] = { "--idempotency-ms", "0", NULL };
    site_open(&s, options, NULL);
    struct site_reply first = post(&s, "one", ASK), again = post(&s, "one", ASK);
    assert_string_not_equal(id_of(&first), id_of(&again));
    site_reply_free(&first);
    site_reply_free(&again);
    site_close(&s);
}

#define RACERS 8
static struct racer {
    struct site *site;
    struct thread thread;
    struct site_reply reply;
} racers[RACERS];

static void race(void *ctx)
{
    struct racer *r = ctx;
    r->reply = post(r->site, "raced", ASK);
}

/* Many at once: each is the one answer or told to wait. */
static void a_race_is_won_once(void **state)
{
    (void)state;
    struct site s;
    char id[128] = "";
    site_open(&s, NULL, NULL);
    for (size_t i = 0; i < RACERS; i++) {
        racers[i].site = &s;
        thread_start(&racers[i].thread, "racer", race, &racers[i]);
    }
    for (size_t i = 0; i < RACERS; i++) {
        thread_join(&racers[i].thread);
        if (racers[i].reply.status == 409) {
            site_reply_free(&racers[i].reply);
            continue;
        }
        if (!id[0])
            snprintf(id, sizeof id, "%s", id_of(&racers[i].reply));
        assert_string_equal(id, id_of(&racers[i].reply));
        site_reply_free(&racers[i].reply);
    }
    assert_true(id[0] != '\0');
    site_close(&s);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_repeat_gets_the_same_reply),
    cmocka_unit_test(a_repeat_after_a_restart),
    cmocka_unit_test(another_request),
    cmocka_unit_test(while_it_runs),
    cmocka_unit_test(a_stream_is_not_replayed),
    cmocka_unit_test(a_background_stream_is_joined),
    cmocka_unit_test(an_error_is_not_kept),
    cmocka_unit_test(keys_belong_to_owners),
    cmocka_unit_test(a_key_expires),
    cmocka_unit_test(odd_keys),
    cmocka_unit_test(it_can_be_turned_off),
    cmocka_unit_test(a_race_is_won_once),
};
TEST_GROUP(api_idempotency, tests)
