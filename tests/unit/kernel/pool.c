/*
 * pool.c - fork and join: every part once, all of them before the call returns, with more threads than CPUs too.
 */
#include "test.h"

#include "kernel/kernel.h"

#include <string.h>

enum { THREADS_MAX = 9, PARTS_MAX = 40 };

struct tally {
    int parts, runs[PARTS_MAX]; /* plain ints: the join must make them visible */
    size_t sum[PARTS_MAX];
};

static void count_part(void *ctx, int part, int parts)
{
    struct tally *t = ctx;
    if (part == 0)
        t->parts = parts;
    t->runs[part]++;
    for (size_t i = (size_t)part; i < 1000; i += (size_t)parts)
        t->sum[part] += i;
}

static void check_call(struct kernel_pool *p, int parts)
{
    struct tally t;
    size_t sum = 0;
    memset(&t, 0, sizeof t);
    kernel_pool_run(p, parts, count_part, &t);
    assert_int_equal(t.parts, parts);
    for (int i = 0; i < parts; i++) {
        assert_int_equal(t.runs[i], 1);
        sum += t.sum[i];
    }
    assert_int_equal(sum, 499500);
}

/* Fewer parts than threads, as many, and more; other numbers from call to call. */
static void every_part_runs_once(void **state)
{
    (void)state;
    for (int threads = 1; threads <= THREADS_MAX; threads += threads < 4 ? 1 : 5) {
        struct kernel_pool *p = kernel_pool_open(threads);
        assert_int_equal(kernel_pool_threads(p), threads);
        for (int call = 0; call < 600; call++)
            check_call(p, call % 3 ? 1 + call * 7 % PARTS_MAX : threads);
        kernel_pool_close(p);
    }
}

/* Workers that were never used, or have gone to sleep, still end. */
static void closes_at_once(void **state)
{
    (void)state;
    kernel_pool_close(NULL);
    for (int i = 0; i < 20; i++)
        kernel_pool_close(kernel_pool_open(3));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_part_runs_once),
    cmocka_unit_test(closes_at_once),
};
TEST_GROUP(kernel_pool, tests)
