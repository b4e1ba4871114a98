/*
 * mailbox.c - order, bounds, shutting and the eventfd, alone and between threads.
 */
#include "base/mailbox.h"
#include "base/mem.h"
#include "base/thread.h"
#include "test.h"

#include <poll.h>
#include <stdatomic.h>

struct note {
    int sender, number;
};

static bool readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, 0) == 1;
}

static void keeps_order_and_bound(void **state)
{
    (void)state;
    struct mailbox *m = mailbox_open(3, sizeof(int));
    int x;
    assert_false(mailbox_take(m, &x, 0));
    for (int i = 0; i < 3; i++)
        assert_true(mailbox_post(m, &i));
    assert_false(mailbox_post(m, &(int){ 3 }));
    for (int i = 3; i < 50; i++)
        assert_true(mailbox_push(m, &i)); /* past the bound */
    assert_false(mailbox_post(m, &(int){ 99 }));
    for (int i = 0; i < 50; i++) {
        assert_true(mailbox_take(m, &x, 0));
        assert_int_equal(x, i);
    }
    assert_false(mailbox_take(m, &x, 1)); /* a millisecond, then false */
    mailbox_close(m);
    mailbox_close(NULL);
}

static void shut_lets_nothing_in_and_all_out(void **state)
{
    (void)state;
    struct mailbox *m = mailbox_open(3, sizeof(int));
    int x = 1;
    mailbox_post(m, &x);
    assert_false(mailbox_is_shut(m));
    mailbox_shut(m);
    assert_true(mailbox_is_shut(m));
    assert_false(mailbox_post(m, &x) || mailbox_wait(m, &x) || mailbox_push(m, &x));
    assert_true(mailbox_take(m, &x, -1));
    assert_false(mailbox_take(m, &x, -1)); /* shut and empty: no wait */
    mailbox_close(m);
}

static void fd_is_readable_until_none_is_found(void **state)
{
    (void)state;
    struct mailbox *m = mailbox_open(8, sizeof(int));
    int x = 5;
    mailbox_post(m, &x); /* before the fd exists */
    int fd = mailbox_fd(m);
    assert_int_equal(fd, mailbox_fd(m));
    assert_true(readable(fd));
    assert_true(mailbox_take(m, &x, 0));
    assert_false(mailbox_take(m, &x, 0));
    assert_false(readable(fd));
    mailbox_push(m, &x);
    mailbox_wait_quietly(m, &x); /* that is for who sleeps in take */
    assert_true(mailbox_take(m, &x, 0));
    assert_true(readable(fd));
    assert_true(mailbox_take(m, &x, 0));
    mailbox_wait_quietly(m, &x);
    assert_true(readable(fd));
    assert_true(mailbox_take(m, &x, 0));
    assert_false(mailbox_take(m, &x, 0));
    assert_false(readable(fd));
    mailbox_shut(m);
    assert_true(readable(fd)); /* so an owner in epoll hears of it */
    assert_false(mailbox_take(m, &x, 0));
    assert_true(readable(fd));
    mailbox_close(m);
}

#define SENDERS  4
#define MESSAGES 5000

struct sender {
    struct mailbox *m;
    int number;
    bool waits;
};

static void send_all(void *ctx)
{
    struct sender *s = ctx;
    for (int i = 0; i < MESSAGES; i++) {
        struct note n = { s->number, i };
        if (s->waits)
            mailbox_wait(s->m, &n);
        else
            mailbox_push(s->m, &n);
    }
}

static void many_senders_lose_nothing(void **state)
{
    (void)state;
    struct mailbox *m = mailbox_open(16, sizeof(struct note));
    struct thread threads[SENDERS];
    struct sender senders[SENDERS];
    int next[SENDERS] = { 0 };
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){ m, i, i % 2 == 0 };
        thread_start(&threads[i], "sender", send_all, &senders[i]);
    }
    for (int i = 0; i < SENDERS * MESSAGES; i++) {
        struct note n;
        assert_true(mailbox_take(m, &n, -1));
        assert_int_equal(n.number, next[n.sender]++); /* each sender's in its order */
    }
    for (int i = 0; i < SENDERS; i++)
        thread_join(&threads[i]);
    struct note n;
    assert_false(mailbox_take(m, &n, 0));
    mailbox_close(m);
}

/* Closed with the last message in hand, while who sent it may still be about to write the eventfd. */
static void an_owner_in_epoll_misses_nothing(void **state)
{
    (void)state;
    struct mailbox *m = mailbox_open(16, sizeof(struct note));
    struct pollfd p = { .fd = mailbox_fd(m), .events = POLLIN };
    struct thread threads[SENDERS];
    struct sender senders[SENDERS];
    struct note n;
    int left = SENDERS * MESSAGES;
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){ m, i, i % 2 == 0 };
        thread_start(&threads[i], "sender", send_all, &senders[i]);
    }
    while (left > 0) {
        assert_int_equal(poll(&p, 1, 10000), 1);
        while (left > 0 && mailbox_take(m, &n, 0))
            left--;
    }
    mailbox_close(m);
    for (int i = 0; i < SENDERS; i++)
        thread_join(&threads[i]);
}

struct blocked {
    struct mailbox *m;
    atomic_int result; /* -1 until known */
};

static void wait_for_room(void *ctx)
{
    struct blocked *b = ctx;
    atomic_store(&b->result, mailbox_wait(b->m, &(int){ 2 }));
}

static void take_one(void *ctx)
{
    struct blocked *b = ctx;
    int x;
    atomic_store(&b->result, mailbox_take(b->m, &x, -1));
}

static void room_wakes_a_sender(void **state)
{
    (void)state;
    struct blocked b = { mailbox_open(1, sizeof(int)), -1 };
    struct thread t;
    int x;
    mailbox_post(b.m, &(int){ 1 });
    thread_start(&t, "blocked", wait_for_room, &b);
    assert_true(mailbox_take(b.m, &x, -1) && x == 1);
    assert_true(mailbox_take(b.m, &x, -1) && x == 2);
    thread_join(&t);
    assert_int_equal(atomic_load(&b.result), 1);
    mailbox_close(b.m);
}

static void take_many(void *ctx)
{
    struct blocked *b = ctx;
    int x, sum = 0;
    for (int i = 0; i < 100 && mailbox_take(b->m, &x, -1); i++)
        sum += x;
    atomic_store(&b->result, sum);
}

/* More than fits, so that the sender waits for a taker whom nobody has woken; the last ones lie until the wake. */
static void quiet_messages_arrive(void **state)
{
    (void)state;
    struct blocked b = { mailbox_open(8, sizeof(int)), -1 };
    struct thread t;
    thread_start(&t, "taker", take_many, &b);
    for (int i = 0; i < 100; i++)
        assert_true(mailbox_wait_quietly(b.m, &i));
    mailbox_wake(b.m);
    thread_join(&t);
    assert_int_equal(atomic_load(&b.result), 4950);
    mailbox_wake(b.m); /* empty: nobody to wake for */
    mailbox_shut(b.m);
    assert_false(mailbox_wait_quietly(b.m, &(int){ 1 }));
    mailbox_close(b.m);
}

static void shut_wakes_everyone(void **state)
{
    (void)state;
    struct blocked full = { mailbox_open(1, sizeof(int)), -1 }, empty = { mailbox_open(1, sizeof(int)), -1 };
    struct thread sender, taker;
    mailbox_post(full.m, &(int){ 1 });
    thread_start(&sender, "sender", wait_for_room, &full);
    thread_start(&taker, "taker", take_one, &empty);
    mailbox_shut(full.m);
    mailbox_shut(empty.m);
    thread_join(&sender);
    thread_join(&taker);
    assert_int_equal(atomic_load(&full.result), 0);
    assert_int_equal(atomic_load(&empty.result), 0);
    mailbox_close(full.m);
    mailbox_close(empty.m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(keeps_order_and_bound),
    cmocka_unit_test(shut_lets_nothing_in_and_all_out),
    cmocka_unit_test(fd_is_readable_until_none_is_found),
    cmocka_unit_test(many_senders_lose_nothing),
    cmocka_unit_test(an_owner_in_epoll_misses_nothing),
    cmocka_unit_test(room_wakes_a_sender),
    cmocka_unit_test(quiet_messages_arrive),
    cmocka_unit_test(shut_wakes_everyone),
};
TEST_GROUP(base_mailbox, tests)
