/*
 * beside.c - a second process at an open store: it reads and writes objects, and no job notices.
 */
#include "test.h"

#include "base/mailbox.h"
#include "base/thread.h"
#include "store/store.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static struct store *open_at(const char *name, bool beside)
{
    char path[256];
    struct store *s = NULL;
    struct err err = { 0 };
    snprintf(path, sizeof path, "%s/%s.db", test_tmpdir(), name);
    const struct store_config cfg = { .path = path, .node = beside ? "b:2" : "a:1" };
    if (beside ? store_open_beside(&s, &cfg, &err) : store_open(&s, &cfg, &err))
        fail_msg("%s", err.message);
    return s;
}

static void put(struct store *s, const char *id)
{
    struct store_tx *tx = store_tx_open();
    struct err err = { 0 };
    store_tx_object_put(tx,
                        &(struct store_object){ .kind = STR("key"), .id = str_from(id), .body = STR("{}") });
    if (store_commit_wait(s, tx, &err))
        fail_msg("%s", err.message);
}

static int64_t count(struct store *s)
{
    int64_t n = -1;
    assert_int_equal(ERR_OK, store_object_count(s, STR("key"), STR(""), STR(""), &n, NULL));
    return n;
}

static void on_claimed(void *ctx, const struct store_job *jobs, size_t n, const struct err *err)
{
    (void)jobs;
    assert_int_equal(ERR_OK, err->code);
    mailbox_push(ctx, &n);
}

static size_t claim(struct store *s)
{
    size_t n = 0;
    struct mailbox *answer = mailbox_open(1, sizeof n);
    store_claim(s, 1, on_claimed, answer);
    mailbox_take(answer, &n, -1);
    mailbox_close(answer);
    return n;
}

static void each_sees_what_the_other_commits(void **state)
{
    (void)state;
    struct store *s = open_at("two", false);
    struct store_tx *tx = store_tx_open();
    store_tx_insert(tx, &(struct store_job){ .id = STR("resp_1"),
                                             .owner = STR("o"),
                                             .background = true,
                                             .created_ms = 1,
                                             .request = STR("{}") });
    assert_int_equal(ERR_OK, store_commit_wait(s, tx, NULL));
    assert_int_equal(1, claim(s));
    put(s, "mine");
    struct store *beside = open_at("two", true);
    assert_int_equal(1, count(beside));
    put(beside, "theirs");
    assert_int_equal(2, count(s));
    struct store *third = open_at("two", true); /* as many as like */
    assert_int_equal(2, count(third));
    store_close(third);
    store_close(beside);
    put(s, "later"); /* their leaving took nothing along */
    assert_int_equal(3, count(s));
    assert_int_equal(0, claim(s)); /* and the job is still this store's */
    store_close(s);
    beside = open_at("two", true); /* alone it is the same */
    assert_int_equal(3, count(beside));
    store_close(beside);
}

#define WRITES 40

static void write_some(void *ctx)
{
    char id[32];
    for (int i = 0; i < WRITES; i++) {
        snprintf(id, sizeof id, "%p-%d", ctx, i);
        put(ctx, id);
    }
}

static void both_may_write_at_once(void **state)
{
    (void)state;
    struct store *s = open_at("race", false), *beside = open_at("race", true);
    struct thread a, b;
    thread_start(&a, "a", write_some, s);
    thread_start(&b, "b", write_some, beside);
    thread_join(&a);
    thread_join(&b);
    assert_int_equal(2 * WRITES, count(s));
    store_close(beside);
    store_close(s);
}

static atomic_int opened;

static void open_and_put(void *ctx)
{
    struct store *s = open_at("born", ctx != NULL);
    atomic_fetch_add(&opened, 1);
    put(s, ctx ? "beside" : "holder");
    store_close(s);
}

/* An empty file gets its schema once, whoever comes first. */
static void two_may_begin_at_once(void **state)
{
    (void)state;
    struct thread a, b;
    int beside;
    thread_start(&a, "a", open_and_put, NULL);
    thread_start(&b, "b", open_and_put, &beside);
    thread_join(&a);
    thread_join(&b);
    assert_int_equal(2, opened);
    struct store *s = open_at("born", false);
    assert_int_equal(2, count(s));
    store_close(s);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_sees_what_the_other_commits),
    cmocka_unit_test(both_may_write_at_once),
    cmocka_unit_test(two_may_begin_at_once),
};
TEST_GROUP(store_beside, tests)
