/*
 * limits.c - an owner's limits under a clock that the test turns: buckets, places, and a naive reference that counts
 * millisecond by millisecond.
 */
#include "test.h"

#include "access/access.h"
#include "base/rng.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static _Atomic int64_t clock_ms;

static int64_t read_clock(void *ctx)
{
    (void)ctx;
    return atomic_load(&clock_ms);
}

static struct access *open_access(void)
{
    struct config cfg = { .listen = "127.0.0.1:1" };
    struct access *a = NULL;
    assert_int_equal(ERR_OK, access_open(&a, &cfg, NULL, NULL));
    atomic_store(&clock_ms, 1000000);
    access_use_clock(a, read_clock, NULL);
    return a;
}

static struct access_owner owner_with(const char *id, int64_t requests, int64_t tokens, int64_t concurrency)
{
    struct access_owner o = { .limits = { requests, tokens, concurrency } };
    snprintf(o.id, sizeof o.id, "%s", id);
    return o;
}

static void assert_rate(struct access_rate r, int64_t limit, int64_t remaining, int64_t reset_ms)
{
    assert_int_equal(limit, r.limit);
    assert_int_equal(remaining, r.remaining);
    assert_int_equal(reset_ms, r.reset_ms);
}

static void without_limits_nothing_is_counted(void **state)
{
    (void)state;
    struct access *a = open_access();
    struct access_owner o = owner_with("x", 0, 0, 0);
    struct access_place p = { 0 };
    assert_int_equal(ERR_OK, access_take(a, &o, 1000, &p, NULL));
    assert_null(p.seat);
    assert_rate(p.requests, 0, 0, 0);
    assert_rate(p.tokens, 0, 0, 0);
    access_give(a, &p, 5);
    access_close(a);
}

static void requests_come_back_with_time(void **state)
{
    (void)state;
    struct access *a = open_access();
    struct access_owner o = owner_with("acme", 3, 0, 0), other = owner_with("other", 3, 0, 0);
    struct err err = { 0 };
    for (int i = 0; i < 3; i++) {
        struct access_place p = { 0 };
        assert_int_equal(ERR_OK, access_take(a, &o, 1, &p, &err));
        assert_rate(p.requests, 3, 2 - i, 20000 * (i + 1));
        access_give(a, &p, 1);
    }
    struct access_place p = { 0 };
    assert_int_equal(ERR_RATE_LIMIT_REQUESTS, access_take(a, &o, 1, &p, &err));
    assert_null(p.seat);
    assert_int_equal(20000, p.wait_ms);
    assert_rate(p.requests, 3, 0, 60000);
    assert_string_equal(
        "Rate limit reached for acme on requests per min (RPM): Limit 3, Used 3, Requested 1. "
        "Please try again in 20.000s.",
        err.message);
    assert_int_equal(ERR_OK, access_take(a, &other, 1, &p, &err)); /* an owner's limits are its own */
    access_give(a, &p, 1);
    clock_ms += 19999;
    assert_int_equal(ERR_RATE_LIMIT_REQUESTS, access_take(a, &o, 1, &p, &err));
    assert_int_equal(1, p.wait_ms); /* and a refusal costs nothing */
    clock_ms += 1;
    assert_int_equal(ERR_OK, access_take(a, &o, 1, &p, &err));
    access_give(a, &p, 1);
    access_close(a);
}

static void tokens_are_corrected_by_what_was_used(void **state)
{
    (void)state;
    struct access *a = open_access();
    struct access_owner o = owner_with("acme", 0, 600, 0);
    struct access_place p = { 0 };
    struct err err = { 0 };
    assert_int_equal(ERR_OK, access_take(a, &o, 100, &p, &err));
    assert_rate(p.tokens, 600, 500, 10000);
    access_give(a, &p, 30); /* 70 come back */
    assert_int_equal(ERR_OK, access_take(a, &o, 570, &p, &err));
    assert_rate(p.tokens, 600, 0, 60000);
    access_give(a, &p, 1170); /* 600 are owed */
    assert_int_equal(ERR_RATE_LIMIT_TOKENS, access_take(a, &o, 1, &p, &err));
    assert_int_equal(60100, p.wait_ms);
    assert_rate(p.tokens, 600, 0, 120000);
    clock_ms += 60100;
    assert_int_equal(ERR_OK, access_take(a, &o, 1, &p, &err));
    access_give(a, &p, 0);
    clock_ms += 600000;
    assert_int_equal(ERR_OK, access_take(a, &o, 1000000, &p, &err)); /* more than there ever is: all of it */
    assert_rate(p.tokens, 600, 0, 60000);
    access_give(a, &p, 0);
    assert_int_equal(ERR_OK, access_take(a, &o, 600, &p, &err));
    access_give(a, &p, INT64_MAX);
    assert_int_equal(ERR_RATE_LIMIT_TOKENS, access_take(a, &o, 1, &p, &err));
    assert_true(p.wait_ms > 0);
    access_close(a);
}

static void what_goes_on_without_a_place_is_owed_too(void **state)
{
    (void)state;
    struct access *a = open_access();
    struct access_owner o = owner_with("acme", 0, 600, 1), nobody = owner_with("nobody", 0, 600, 0);
    struct access_place p = { 0 };
    access_charge(a, &nobody, 1000); /* never heard of */
    assert_int_equal(ERR_OK, access_take(a, &nobody, 600, &p, NULL));
    access_give(a, &p, 0);
    assert_int_equal(ERR_OK, access_take(a, &o, 10, &p, NULL));
    access_give(a, &p, 10); /* answered, and thinking goes on */
    access_charge(a, &o, 600);
    assert_int_equal(ERR_RATE_LIMIT_TOKENS, access_take(a, &o, 1, &p, NULL));
    assert_int_equal(1100, p.wait_ms);
    access_charge(a, &o, -5); /* is nothing */
    clock_ms += 1100;
    assert_int_equal(ERR_OK, access_take(a, &o, 1, &p, NULL)); /* the count of what runs was left alone */
    access_give(a, &p, 0);
    access_charge(a, &o, INT64_MAX);
    access_charge(a, &o, INT64_MAX);
    assert_int_equal(ERR_RATE_LIMIT_TOKENS, access_take(a, &o, 1, &p, NULL));
    assert_true(p.wait_ms > 0);
    access_close(a);
}

static void places_are_given_back_once(void **state)
{
    (void)state;
    struct access *a = open_access();
    struct access_owner o = owner_with("acme", 0, 1000, 2);
    struct access_place p[3] = { 0 };
    struct err err = { 0 };
    assert_int_equal(ERR_OK, access_take(a, &o, 10, &p[0], &err));
    assert_int_equal(ERR_OK, access_take(a, &o, 10, &p[1], &err));
    assert_int_equal(ERR_RATE_LIMIT_REQUESTS, access_take(a, &o, 10, &p[2], &err));
    assert_non_null(strstr(err.message, "acme on requests at a time: Limit 2, Used 2, Requested 1."));
    assert_int_equal(1000, p[2].wait_ms);
    struct access_place moved = access_place_move(&p[0]);
    assert_rate(p[0].tokens, 1000, 990, 600); /* still to be read */
    access_give(a, &p[0], 0);                 /* moved away: nothing */
    access_give(a, &p[0], 0);
    assert_int_equal(ERR_RATE_LIMIT_REQUESTS, access_take(a, &o, 10, &p[2], &err));
    access_give(a, &moved, 10);
    access_give(a, &moved, 10); /* empty: nothing */
    assert_int_equal(ERR_OK, access_take(a, &o, 10, &p[2], &err));
    assert_rate(p[2].tokens, 1000, 970, 1800);
    assert_int_equal(ERR_RATE_LIMIT_REQUESTS, access_take(a, &o, 10, &p[0], &err));
    access_give(a, &p[1], 0);
    access_give(a, &p[2], 0);
    access_close(a);
}

/* Keys of one owner may have different limits, and a limit may come and go. */
static void the_key_that_calls_sets_the_limit(void **state)
{
    (void)state;
    struct access *a = open_access();
    struct access_owner big = owner_with("acme", 10, 0, 0), small = owner_with("acme", 2, 0, 0),
                        none = owner_with("acme", 0, 500, 0);
    struct access_place p = { 0 };
    assert_int_equal(ERR_OK, access_take(a, &big, 0, &p, NULL));
    assert_rate(p.requests, 10, 9, 6000);
    access_give(a, &p, 0);
    assert_int_equal(ERR_OK, access_take(a, &small, 0, &p, NULL));
    assert_rate(p.requests, 2, 1, 30000);
    access_give(a, &p, 0);
    assert_int_equal(ERR_OK, access_take(a, &big, 0, &p, NULL));
    assert_rate(p.requests, 10, 0, 60000);
    access_give(a, &p, 0);
    assert_int_equal(ERR_OK, access_take(a, &none, 500, &p, NULL));
    access_give(a, &p, 100000);
    struct access_owner no_tokens = owner_with("acme", 10, 0, 0);
    clock_ms += 60000;
    assert_int_equal(ERR_OK,
                     access_take(a, &no_tokens, 500, &p, NULL)); /* what was owed goes with the limit */
    access_give(a, &p, 500);
    assert_int_equal(ERR_OK, access_take(a, &none, 500, &p, NULL));
    access_give(a, &p, 0);
    access_close(a);
}

static void the_table_forgets_the_idle_alone(void **state)
{
    (void)state;
    struct access *a = open_access();
    struct access_place held = { 0 }, p = { 0 };
    struct access_owner o = owner_with("held", 0, 0, 1);
    struct err err = { 0 };
    char id[24];
    assert_int_equal(ERR_OK, access_take(a, &o, 0, &held, &err));
    for (int i = 1; i < ACCESS_OWNERS_MAX; i++) {
        snprintf(id, sizeof id, "owner-%d", i);
        struct access_owner each = owner_with(id, 60, 0, 0);
        assert_int_equal(ERR_OK, access_take(a, &each, 0, &p, &err));
        access_give(a, &p, 0);
    }
    struct access_owner late = owner_with("late", 60, 0, 0);
    assert_int_equal(ERR_BUSY, access_take(a, &late, 0, &p, &err)); /* nobody's bucket is full yet */
    assert_null(p.seat);
    clock_ms += 1000;
    assert_int_equal(ERR_OK, access_take(a, &late, 0, &p, &err));
    access_give(a, &p, 0);
    assert_int_equal(ERR_RATE_LIMIT_REQUESTS,
                     access_take(a, &o, 0, &p, &err)); /* who runs was not forgotten */
    access_give(a, &held, 0);
    access_close(a);
}

/* --- against a reference ----------------------------------------------------------------------------- */

#define PLACES 4

struct naive {
    int64_t requests, tokens; /* in 1/60000 */
    int64_t running;
};

static void naive_ms(struct naive *n, const struct access_limits *l)
{
    n->requests += l->requests_per_minute;
    n->tokens += l->tokens_per_minute;
    n->requests = n->requests < l->requests_per_minute * 60000 ? n->requests : l->requests_per_minute * 60000;
    n->tokens = n->tokens < l->tokens_per_minute * 60000 ? n->tokens : l->tokens_per_minute * 60000;
}

enum reason { FREE, BY_REQUESTS, BY_TOKENS, BY_COUNT };
static const enum err_code codes[] = { [BY_REQUESTS] = ERR_RATE_LIMIT_REQUESTS,
                                       [BY_TOKENS] = ERR_RATE_LIMIT_TOKENS,
                                       [BY_COUNT] = ERR_RATE_LIMIT_REQUESTS };

static enum reason naive_take(struct naive *n, const struct access_limits *l, int64_t tokens)
{
    if (l->requests_per_minute && n->requests < 60000)
        return BY_REQUESTS;
    if (l->tokens_per_minute && n->tokens < tokens * 60000)
        return BY_TOKENS;
    if (l->concurrency && n->running >= l->concurrency)
        return BY_COUNT;
    n->requests -= l->requests_per_minute ? 60000 : 0;
    n->tokens -= l->tokens_per_minute ? tokens * 60000 : 0;
    n->running++;
    return FREE;
}

/* The wait that a refusal names is the least that helps: a millisecond sooner nothing has changed. */
static int64_t naive_wait(struct naive n, const struct access_limits *l, int64_t tokens)
{
    enum reason first = naive_take(&n, l, tokens), now = first;
    int64_t ms = 0;
    if (first == BY_COUNT)
        return 1000;
    for (; now == first; ms++) {
        naive_ms(&n, l);
        struct naive try = n;
        now = naive_take(&try, l, tokens);
    }
    return ms;
}

static void one_life(struct rng *rng)
{
    struct access *a = open_access();
    struct access_owner o =
        owner_with("x", rng_range(rng, 0, 1) ? rng_range(rng, 1, 200) : 0,
                   rng_range(rng, 0, 3) ? rng_range(rng, 1, 3000) : 0, rng_range(rng, 0, 3));
    const struct access_limits *l = &o.limits;
    struct naive n = { l->requests_per_minute * 60000, l->tokens_per_minute * 60000, 0 };
    struct access_place places[PLACES] = { 0 };
    bool limited = l->requests_per_minute || l->tokens_per_minute || l->concurrency;
    for (int step = 0; step < 200; step++) {
        struct access_place *p = &places[rng_below(rng, PLACES)];
        int64_t tokens = rng_range(rng, 0, 400), pause = rng_range(rng, 0, 3) ? 0 : rng_range(rng, 0, 3000);
        clock_ms += pause;
        for (int64_t i = 0; i < pause; i++)
            naive_ms(&n, l);
        if (p->seat) {
            n.tokens += l->tokens_per_minute ? (p->estimate - tokens) * 60000 : 0;
            if (n.tokens > l->tokens_per_minute * 60000)
                n.tokens = l->tokens_per_minute * 60000;
            n.running--;
            access_give(a, p, tokens);
        } else if (limited) {
            int64_t asked =
                l->tokens_per_minute && tokens > l->tokens_per_minute ? l->tokens_per_minute : tokens;
            struct naive before = n;
            enum reason why = naive_take(&n, l, asked);
            assert_int_equal(codes[why], access_take(a, &o, tokens, p, NULL));
            if (why != FREE)
                assert_int_equal(naive_wait(before, l, asked), p->wait_ms);
            if (l->tokens_per_minute)
                assert_int_equal(n.tokens > 0 ? n.tokens / 60000 : 0, p->tokens.remaining);
            if (l->requests_per_minute)
                assert_int_equal(n.requests / 60000, p->requests.remaining);
        }
    }
    for (int i = 0; i < PLACES; i++)
        access_give(a, &places[i], 0);
    access_close(a);
}

static void it_agrees_with_counting(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 4, 0);
    for (int life = 0; life < 25; life++)
        one_life(&rng);
}

/* --- many threads --------------------------------------------------------------------------------------- */

#define THREADS 8
#define ROUNDS  400

static struct crowd {
    struct access *a;
    struct access_owner owner;
    atomic_int running, most, let_in;
} crowd;

static void one_of_many(void *ctx)
{
    struct crowd *c = ctx;
    for (int i = 0; i < ROUNDS; i++) {
        struct access_place p = { 0 }, moved;
        struct access_owner who;
        assert_int_equal(ERR_OK, access_check(c->a, STR(""), STR(""), &who, NULL));
        if (access_take(c->a, &c->owner, 3, &p, NULL))
            continue;
        int now = atomic_fetch_add(&c->running, 1) + 1, most = atomic_load(&c->most);
        while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now))
            ;
        atomic_fetch_add(&c->let_in, 1);
        moved = access_place_move(&p);
        atomic_fetch_sub(&c->running, 1);
        access_give(c->a, &moved, 2);
        access_give(c->a, &p, 2);
    }
}

static void threads_share_one_owner(void **state)
{
    (void)state;
    struct thread threads[THREADS];
    crowd = (struct crowd){ .a = open_access(), .owner = owner_with("crowd", 1000, 1000000, 3) };
    for (int i = 0; i < THREADS; i++)
        thread_start(&threads[i], "crowd", one_of_many, &crowd);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    assert_in_range(crowd.most, 1, 3);
    assert_in_range(crowd.let_in, 1, 1000);
    struct access_place p = { 0 };
    crowd.owner.limits.requests_per_minute = 0;
    assert_int_equal(ERR_OK, access_take(crowd.a, &crowd.owner, 0, &p, NULL));
    assert_int_equal(1000000 - 2 * crowd.let_in, p.tokens.remaining); /* each was corrected once */
    access_give(crowd.a, &p, 0);
    access_close(crowd.a);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_limits_nothing_is_counted),
    cmocka_unit_test(requests_come_back_with_time),
    cmocka_unit_test(tokens_are_corrected_by_what_was_used),
    cmocka_unit_test(what_goes_on_without_a_place_is_owed_too),
    cmocka_unit_test(places_are_given_back_once),
    cmocka_unit_test(the_key_that_calls_sets_the_limit),
    cmocka_unit_test(the_table_forgets_the_idle_alone),
    cmocka_unit_test(it_agrees_with_counting),
    cmocka_unit_test(threads_share_one_owner),
};
TEST_GROUP(access_limits, tests)
