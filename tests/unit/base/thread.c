/*
 * thread.c - what a thread asks of the scheduler is its own, and asked in either order it all holds.
 */
#include "base/thread.h"
#include "test.h"

#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

struct seen {
    int nice;
    uint64_t turn_ns;
};

/* The kernel's struct sched_attr in its first version: nice at byte 16, a turn's length at byte 24. */
static uint64_t turn_ns(void)
{
    uint64_t words[6] = { 0 };
    assert_int_equal(syscall(SYS_sched_getattr, 0, words, sizeof words, 0), 0);
    return words[3];
}

static void ask_both(void *ctx)
{
    struct seen *seen = ctx;
    thread_give_way();
    thread_take_short_turns();
    seen->nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    seen->turn_ns = turn_ns();
}

static void a_thread_asks_for_itself(void **state)
{
    (void)state;
    int before = getpriority(PRIO_PROCESS, 0);
    uint64_t turn_before = turn_ns();
    struct seen seen = { 0 };
    struct thread t;
    thread_start(&t, "asks", ask_both, &seen);
    thread_join(&t);
    assert_true(seen.nice > before || before >= 5);
    assert_true(seen.turn_ns <= turn_before || turn_before == 0); /* 0: a kernel that does not say */
    assert_int_equal(getpriority(PRIO_PROCESS, 0), before);
    assert_int_equal(turn_ns(), turn_before);
    assert_true(thread_cpus() >= 1);
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(a_thread_asks_for_itself) };
TEST_GROUP(base_thread, tests)
