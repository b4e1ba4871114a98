/*
 * churn.c - clients that leave at any point, some with a reset, while holders answer on another thread: nothing
 * may crash, leak, race or hang. What it asserts is the end: the server still answers, and stops by itself.
 */
#include "peer.h"

#include "base/rng.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ROUNDS 400

static const char *const openings[] = {
    "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n",
    "GET /hold HTTP/1.1\r\nHost: t\r\n\r\n",
    "GET /stream HTTP/1.1\r\nHost: t\r\n\r\n",
    "HEAD /stream HTTP/1.1\r\nHost: t\r\n\r\n",
    "GET /stream HTTP/1.0\r\n\r\n",
    "POST /hold HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc",
    "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "POST /small HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n",
    "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n0123456789abcdef",
    "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nxxx",
    "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "GET /nowhere HTTP/1.1\r\nHost: t\r\n\r\n",
};

struct janitor {
    struct thread thread;
    struct world *world;
    struct rng rng;
    bool done; /* under the world's lock */
};

static void answer(struct janitor *j, struct http_exchange *x)
{
    if (!str_is(http_path(x), "/stream")) {
        http_reply(x, 200, "text/plain", STR("held"));
        return;
    }
    for (uint64_t i = rng_below(&j->rng, 20); i > 0; i--)
        if (!http_stream_write(x, STR("data: some bytes of an event\n\n")))
            break;
    http_stream_end(x);
}

static void janitor_run(void *ctx)
{
    struct janitor *j = ctx;
    struct world *w = j->world;
    pthread_mutex_lock(&w->lock);
    while (!j->done || w->n_held) {
        if (!w->n_held) {
            pthread_cond_wait(&w->moved, &w->lock);
            continue;
        }
        struct http_exchange *x = w->held[--w->n_held];
        pthread_mutex_unlock(&w->lock);
        answer(j, x);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
}

static void one_client(const char *url, struct rng *rng)
{
    struct peer p;
    peer_open(&p, url);
    for (uint64_t requests = 1 + rng_below(rng, 3); requests > 0; requests--) {
        const char *text = openings[rng_below(rng, ARRAY_LEN(openings))];
        size_t len = strlen(text);
        if (rng_below(rng, 3) == 0)
            len = rng_below(rng, len); /* leaves in the middle of its request */
        peer_send_bytes(&p, text, len);
        if (rng_below(rng, 2))
            break;
    }
    switch (rng_below(rng, 4)) {
    case 0: break;
    case 1: shutdown(p.fd, SHUT_WR); break;
    case 2:
        shutdown(p.fd, SHUT_WR);
        peer_until_eof(&p);
        break;
    default: { /* a reset instead of an end */
        struct linger hard = { 1, 0 };
        setsockopt(p.fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    }
    peer_close(&p);
}

static void clients_leave_at_any_point(void **state)
{
    (void)state;
    struct http_config cfg = world_defaults;
    cfg.ping_ms = 1;
    struct world *w = world_start(&cfg);
    struct janitor j = { .world = w };
    struct rng rng;
    rng_init(&rng, 20261123, 0);
    rng_init(&j.rng, 20261123, 1);
    thread_start(&j.thread, "test-janitor", janitor_run, &j);
    for (int i = 0; i < ROUNDS; i++)
        one_client(world_url(w), &rng);
    struct peer_reply *r = peer_ask(world_url(w), openings[0]);
    assert_int_equal(r->status, 200);
    peer_reply_free(r);
    http_stop(w->server);
    thread_join(&w->loop); /* only when every exchange has ended */
    w->running = false;
    pthread_mutex_lock(&w->lock);
    j.done = true;
    pthread_cond_broadcast(&w->moved);
    pthread_mutex_unlock(&w->lock);
    thread_join(&j.thread);
    world_end(w);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(clients_leave_at_any_point),
};
TEST_GROUP(http_churn, tests)
