/*
 * webhooks.c - events reach a receiver signed, once or again by the table, over a restart too; time is the test's own.
 */
#include "api/api_impl.h"
#include "base/thread.h"
#include "fetch/fetch.h"
#include "test.h"

#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define SECRET   "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" /* of the 32 bytes below */
#define BYTES    "0123456789abcdef0123456789abcdef"
#define START    INT64_C(1764967971000)
#define HITS_MAX 64

/* --- time ----------------------------------------------------------------------------------------------------- */

static atomic_llong now;

static int64_t test_now(void)
{
    return atomic_load(&now);
}

/* --- the receiver ------------------------------------------------------------------------------------------------ */

struct hit {
    char id[96], timestamp[32], signature[96];
    struct buf body;
};
static struct receiver {
    struct http_server *server;
    struct thread loop;
    char url[128];
    pthread_mutex_t lock;
    pthread_cond_t news;
    struct hit hits[HITS_MAX];
    size_t n;
    int status; /* what it answers */
} receiver = { .lock = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER };

static void copy_header(char *out, size_t size, const struct http_exchange *x, const char *name)
{
    snprintf(out, size, "%.*s", STR_ARG(http_header(x, name)));
}

static void on_hook(struct http_exchange *x, const struct http_route *route, void *app)
{
    (void)route, (void)app;
    pthread_mutex_lock(&receiver.lock);
    assert_true(receiver.n < HITS_MAX);
    struct hit *h = &receiver.hits[receiver.n++];
    copy_header(h->id, sizeof h->id, x, "webhook-id");
    copy_header(h->timestamp, sizeof h->timestamp, x, "webhook-timestamp");
    copy_header(h->signature, sizeof h->signature, x, "webhook-signature");
    buf_put_str(&h->body, http_body(x));
    int status = receiver.status;
    pthread_cond_broadcast(&receiver.news);
    pthread_mutex_unlock(&receiver.lock);
    if (status == 302)
        http_set_header(x, "location", "/elsewhere");
    http_reply(x, status, NULL, STR(""));
}

static const struct http_route routes[] = { { "POST", "/hook", 65536, on_hook, 0 } };

static void error_body(struct buf *body, const struct err *err)
{
    buf_puts(body, err->message);
}

static void run(void *ctx)
{
    http_run(ctx);
}

static int start(void **state)
{
    (void)state;
    struct http_config cfg = { .listen = "127.0.0.1:0",
                               .routes = routes,
                               .n_routes = ARRAY_LEN(routes),
                               .error_body = error_body,
                               .workers = 1,
                               .header_bytes_max = 16384,
                               .connections_max = 64,
                               .request_timeout_ms = 20000,
                               .idle_timeout_ms = 20000,
                               .ping_ms = 20000,
                               .stream_bytes_max = 1 << 20,
                               .stop_timeout_ms = 20000 };
    struct err err = { 0 };
    fetch_start();
    if (http_open(&receiver.server, &cfg, &err))
        fail_msg("%s", err.message);
    thread_start(&receiver.loop, "receiver", run, receiver.server);
    snprintf(receiver.url, sizeof receiver.url, "%s/hook", http_url(receiver.server));
    receiver.n = 0;
    receiver.status = 204;
    atomic_store(&now, START);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    http_stop(receiver.server);
    thread_join(&receiver.loop);
    http_close(receiver.server);
    fetch_stop();
    for (size_t i = 0; i < receiver.n; i++)
        buf_free(&receiver.hits[i].body);
    memset(receiver.hits, 0, sizeof receiver.hits);
    return 0;
}

static void answer_with(int status)
{
    pthread_mutex_lock(&receiver.lock);
    receiver.status = status;
    pthread_mutex_unlock(&receiver.lock);
}

static size_t hits(void)
{
    pthread_mutex_lock(&receiver.lock);
    size_t n = receiver.n;
    pthread_mutex_unlock(&receiver.lock);
    return n;
}

static void wait_hits(size_t n)
{
    pthread_mutex_lock(&receiver.lock);
    while (receiver.n < n)
        pthread_cond_wait(&receiver.news, &receiver.lock);
    pthread_mutex_unlock(&receiver.lock);
}

/* --- the sender ---------------------------------------------------------------------------------------------------- */

static struct store *open_store(const char *path)
{
    struct store *s = NULL;
    struct err err = { 0 };
    struct store_config cfg = { .path = path, .node = "test" };
    if (store_open(&s, &cfg, &err))
        fail_msg("%s", err.message);
    return s;
}

static struct webhooks *open_hooks(struct store *store)
{
    struct webhooks *w = NULL;
    struct err err = { 0 };
    struct webhooks_config cfg = {
        .store = store, .url = receiver.url, .secret = SECRET, .now_ms = test_now
    };
    if (webhooks_open(&w, &cfg, &err))
        fail_msg("%s", err.message);
    return w;
}

/* The thread may look before the commit, and then looks again a little later in the test's time. */
static void end_job(struct webhooks *w, struct store *store, const char *type, const char *response)
{
    struct err err = { 0 };
    struct store_tx *tx = store_tx_open();
    webhooks_tx(w, tx, type, str_from(response));
    assert_int_equal(ERR_OK, store_commit_wait(store, tx, &err));
    atomic_fetch_add(&now, 1000);
    webhooks_wake(w);
}

static int64_t waiting(struct store *store)
{
    int64_t n = 0;
    struct err err = { 0 };
    assert_int_equal(ERR_OK, store_object_count(store, STR("webhook"), STR("server"), STR(""), &n, &err));
    return n;
}

/* Deletes are committed by others: a commit of ours behind theirs has them before it. */
static void wait_empty(struct store *store)
{
    while (waiting(store) > 0)
        assert_int_equal(ERR_OK, store_commit_wait(store, store_tx_open(), NULL));
}

/* HMAC by another road than the code under test. */
static void assert_signed(const struct hit *h)
{
    unsigned char mac[32];
    char want[96] = "v1,";
    size_t len = 0;
    struct buf content = { 0 };
    buf_printf(&content, "%s.%s.%.*s", h->id, h->timestamp, STR_ARG(buf_str(&h->body)));
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(hmac);
    OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string("digest", (char *)"SHA256", 0),
                            OSSL_PARAM_construct_end() };
    assert_int_equal(1, EVP_MAC_init(ctx, (const unsigned char *)BYTES, 32, params));
    assert_int_equal(1, EVP_MAC_update(ctx, (const unsigned char *)content.ptr, content.len));
    assert_int_equal(1, EVP_MAC_final(ctx, mac, &len, sizeof mac));
    EVP_EncodeBlock((unsigned char *)want + 3, mac, 32);
    assert_string_equal(want, h->signature);
    EVP_MAC_CTX_free(ctx);
    EVP_MAC_free(hmac);
    buf_free(&content);
}

static void an_event_arrives_signed(void **state)
{
    (void)state;
    struct store *store = open_store(NULL);
    struct webhooks *w = open_hooks(store);
    struct err err = { 0 };
    json_t *event = NULL;
    end_job(w, store, "response.completed", "resp_1");
    wait_hits(1);
    wait_empty(store);
    const struct hit *h = &receiver.hits[0];
    assert_signed(h);
    assert_int_equal(ERR_OK, json_read(&event, buf_str(&h->body), &err));
    assert_string_equal(h->id, json_string_value(json_object_get(event, "id")));
    assert_memory_equal("evt_", h->id, 4);
    assert_string_equal("event", json_string_value(json_object_get(event, "object")));
    assert_string_equal("response.completed", json_string_value(json_object_get(event, "type")));
    assert_int_equal(START / 1000, json_integer_value(json_object_get(event, "created_at")));
    assert_string_equal("resp_1", json_string_value(json_object_get(json_object_get(event, "data"), "id")));
    json_decref(event);
    webhooks_close(w);
    assert_int_equal(1, hits());
    store_close(store);
}

/* The vector that the specification's own libraries test with: secret, id, time and body. */
static void a_known_signature(void **state)
{
    (void)state;
    struct buf secret = { 0 }, signature = { 0 };
    assert_true(base64_get(&secret, STR("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")));
    webhook_sign(&signature, buf_str(&secret), STR("msg_p5jXN8AQM9LWM0D4loKWxJek"), 1614265330,
                 STR("{\"test\": 2432232314}"));
    assert_string_equal("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", signature.ptr);
    buf_clear(&signature); /* and the one that tests/e2e/npm/client.mjs gives the npm client to check */
    webhook_sign(&signature, STR(BYTES), STR("evt_1"), 1764967971,
                 STR("{\"id\":\"evt_1\",\"object\":\"event\",\"created_at\":1764967971,"
                     "\"type\":\"response.completed\",\"data\":{\"id\":\"resp_1\"}}"));
    assert_string_equal("v1,a0u4ZFp1WwdVAsQAIuVhQ+x89nt7qrKAafeGztQy6Qk=", signature.ptr);
    buf_free(&secret);
    buf_free(&signature);
}

/* Each wait of the table in turn; a wake before its end tries nothing. Redirects are refusals too. */
static void refused_events_come_again(void **state)
{
    (void)state;
    static const int64_t ages_s[] = { 5,     30,    120,   600,    1800,   3600,   7200,  14400,
                                      28800, 57600, 86400, 129600, 172800, 216000, 259200 };
    static const int statuses[] = { 500, 302, 404, 429 };
    struct store *store = open_store(NULL);
    struct webhooks *w = open_hooks(store);
    answer_with(500);
    end_job(w, store, "response.failed", "resp_1");
    wait_hits(1);
    for (size_t i = 0; i < ARRAY_LEN(ages_s); i++) {
        int64_t before = i ? ages_s[i - 1] : 0, wait = ages_s[i] - before;
        answer_with(statuses[i % ARRAY_LEN(statuses)]);
        if (wait > 4) {
            atomic_store(&now, START + (ages_s[i] - 1) * 1000);
            webhooks_wake(w);
        }
        atomic_store(&now, START + (ages_s[i] + wait / 10 + 2) * 1000); /* and its tenth */
        webhooks_wake(w);
        wait_hits(i + 2);
        assert_string_equal(receiver.hits[0].id, receiver.hits[i + 1].id);
        assert_signed(&receiver.hits[i + 1]);
    }
    wait_empty(store); /* given up, and gone */
    webhooks_close(w);
    assert_int_equal(ARRAY_LEN(ages_s) + 1, hits());
    store_close(store);
}

static void what_was_left_is_delivered_by_the_next(void **state)
{
    (void)state;
    char path[300];
    snprintf(path, sizeof path, "%s/webhooks.db", test_tmpdir());
    struct store *store = open_store(path);
    struct webhooks *w = open_hooks(store);
    answer_with(503);
    for (size_t i = 0; i < 3; i++) {
        char id[32];
        snprintf(id, sizeof id, "resp_%zu", i);
        end_job(w, store, "response.incomplete", id);
        wait_hits(i + 1);
    }
    webhooks_close(w);
    store_close(store);
    size_t before = hits();
    answer_with(200);
    store = open_store(path);
    assert_int_equal(3, waiting(store));
    w = open_hooks(store);
    wait_hits(before + 3);
    wait_empty(store);
    webhooks_close(w);
    store_close(store);
    for (size_t i = 0; i < 3; i++) { /* the ids are the same as before */
        bool seen = false;
        for (size_t k = before; k < receiver.n; k++)
            seen |= strcmp(receiver.hits[i].id, receiver.hits[k].id) == 0;
        assert_true(seen);
    }
}

/* Rolled back with the transaction: nothing is told. */
static void a_transaction_that_fails(void **state)
{
    (void)state;
    struct store *store = open_store(NULL);
    struct webhooks *w = open_hooks(store);
    struct err err = { 0 };
    struct store_tx *tx = store_tx_open();
    webhooks_tx(w, tx, "response.completed", STR("resp_1"));
    store_tx_end(tx, STR("resp_none"), STORE_COMPLETED, 1, STR("{}"), false);
    assert_int_not_equal(ERR_OK, store_commit_wait(store, tx, &err));
    webhooks_wake(w);
    atomic_fetch_add(&now, 120000);
    end_job(w, store, "response.completed", "resp_2");
    wait_hits(1);
    assert_non_null(strstr(receiver.hits[0].body.ptr, "resp_2"));
    wait_empty(store);
    webhooks_close(w);
    assert_int_equal(1, hits());
    store_close(store);
}

static void what_is_refused_at_start(void **state)
{
    (void)state;
    static const struct {
        const char *url, *secret, *param;
    } rows[] = {
        { "ftp://host/", SECRET, "webhook_url" },
        { "host", SECRET, "webhook_url" },
        { "http://host/", "secret", "webhook_secret" },
        { "http://host/", "whsec_", "webhook_secret" },
        { "http://host/", "whsec_MDEyMw==", "webhook_secret" },
        { "http://host/", "whsec_!!!!MzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "webhook_secret" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct webhooks *w = NULL;
        struct err err = { 0 };
        struct webhooks_config cfg = { .url = rows[i].url, .secret = rows[i].secret };
        assert_int_equal(ERR_CONFIG, webhooks_open(&w, &cfg, &err));
        assert_string_equal(rows[i].param, err.param);
        assert_true(strlen(rows[i].secret) < 10 || !strstr(err.message, rows[i].secret)); /* never shown */
    }
    webhooks_tx(NULL, NULL, "response.completed", STR("resp_1")); /* not configured: nothing */
    webhooks_wake(NULL);
    webhooks_close(NULL);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(an_event_arrives_signed, start, stop),
    cmocka_unit_test(a_known_signature),
    cmocka_unit_test_setup_teardown(refused_events_come_again, start, stop),
    cmocka_unit_test_setup_teardown(what_was_left_is_delivered_by_the_next, start, stop),
    cmocka_unit_test_setup_teardown(a_transaction_that_fails, start, stop),
    cmocka_unit_test(what_is_refused_at_start),
};
TEST_GROUP(api_webhooks, tests)
