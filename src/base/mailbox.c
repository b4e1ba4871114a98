/*
 * mailbox.c - a ring under one mutex.
 *
 * Takers sleep on a futex and not on a condition variable, so that who puts a message wakes them after it has let go of
 * the lock: on one CPU the woken thread runs at once, and would only find the lock taken and sleep again. By then the
 * mailbox may be gone (whoever takes the last message may close it), which is fine: of its memory the call needs the
 * address and nothing else, and whoever else sleeps there by then looks again why it was woken.
 *
 * The eventfd is written for the step from empty, and read, under the lock, by the take that finds the ring empty: so an owner
 * in epoll cannot miss a message. It too is written after the lock was let go of, so it may come late, when its message
 * was taken already: then the owner takes once in vain. Closing waits for those who are about to write it.
 */
#include "base/mailbox.h"

#include "base/clock.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct mailbox {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t drained;
    uint32_t changes; /* messages put, and the shut: takers sleep while it stands still */
    size_t takers;    /* that sleep */
    size_t bound;     /* messages that post and wait accept */
    size_t bytes;     /* of one message */
    size_t cap, head, count;
    unsigned char *ring;
    int fd;         /* -1 until asked for */
    size_t writing; /* senders that have let go of the lock and write fd */
    bool shut;
};

struct mailbox *mailbox_open(size_t messages_max, size_t message_bytes)
{
    assert(messages_max > 0 && message_bytes > 0);
    struct mailbox *m = mem_zalloc(sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->drained, NULL);
    m->bound = messages_max;
    m->bytes = message_bytes;
    m->fd = -1;
    return m;
}

void mailbox_close(struct mailbox *m)
{
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    while (m->writing)
        pthread_cond_wait(&m->drained, &m->lock);
    pthread_mutex_unlock(&m->lock);
    if (m->fd >= 0)
        close(m->fd);
    pthread_cond_destroy(&m->drained);
    pthread_mutex_destroy(&m->lock);
    mem_free(m->ring);
    mem_free(m);
}

static void write_fd(struct mailbox *m)
{
    uint64_t one = 1;
    ssize_t n = write(m->fd, &one, sizeof one);
    (void)n; /* only EAGAIN is possible, and then it is readable already */
}

static void read_fd(struct mailbox *m)
{
    uint64_t drop;
    ssize_t n = read(m->fd, &drop, sizeof drop);
    (void)n; /* EAGAIN: nothing was put since, or it is about to be written */
}

/* Lock not held. */
static void write_fd_and_leave(struct mailbox *m)
{
    write_fd(m);
    pthread_mutex_lock(&m->lock);
    if (--m->writing == 0)
        pthread_cond_broadcast(&m->drained);
    pthread_mutex_unlock(&m->lock);
}

/* Lock held, let go of meanwhile. False: the time is over. */
static bool sleep_until(struct mailbox *m, const struct timespec *until)
{
    uint32_t seen = m->changes;
    m->takers++;
    pthread_mutex_unlock(&m->lock);
    long rc = syscall(SYS_futex, &m->changes, FUTEX_WAIT_BITSET_PRIVATE, seen, until, NULL,
                      FUTEX_BITSET_MATCH_ANY); /* until is by CLOCK_MONOTONIC */
    bool timely = rc == 0 || errno != ETIMEDOUT;
    pthread_mutex_lock(&m->lock);
    m->takers--;
    return timely;
}

/* Lock not held; m may be gone. */
static void wake(struct mailbox *m, int takers)
{
    syscall(SYS_futex, &m->changes, FUTEX_WAKE_PRIVATE, takers, NULL, NULL, 0);
}

static void grow(struct mailbox *m)
{
    size_t cap = m->cap ? m->cap * 2 : 16;
    unsigned char *ring = mem_array(cap, m->bytes);
    for (size_t i = 0; i < m->count; i++)
        memcpy(ring + i * m->bytes, m->ring + (m->head + i) % m->cap * m->bytes, m->bytes);
    mem_free(m->ring);
    m->ring = ring;
    m->cap = cap;
    m->head = 0;
}

/* Lock held. True: the owner in epoll is to be told. */
static bool put(struct mailbox *m, const void *message)
{
    if (m->count == m->cap)
        grow(m);
    memcpy(m->ring + (m->head + m->count) % m->cap * m->bytes, message, m->bytes);
    m->changes++;
    return m->count++ == 0 && m->fd >= 0;
}

/* Takers sleep in take, or their owner in epoll. */
static void unlock_and_tell(struct mailbox *m, bool takers, bool owner)
{
    takers = takers && m->count > 0 && m->takers > 0;
    m->writing += owner;
    pthread_mutex_unlock(&m->lock);
    if (takers)
        wake(m, 1);
    if (owner)
        write_fd_and_leave(m);
}

static bool put_and_unlock(struct mailbox *m, const void *message, bool ok)
{
    bool first = ok && put(m, message);
    unlock_and_tell(m, true, first);
    return ok;
}

bool mailbox_post(struct mailbox *m, const void *message)
{
    pthread_mutex_lock(&m->lock);
    return put_and_unlock(m, message, !m->shut && m->count < m->bound);
}

/* Lock held. Messages that were put quietly may have filled the box. */
static void wait_for_room(struct mailbox *m)
{
    while (!m->shut && m->count >= m->bound) {
        if (m->takers)
            wake(m, 1);
        pthread_cond_wait(&m->drained, &m->lock);
    }
}

bool mailbox_wait(struct mailbox *m, const void *message)
{
    pthread_mutex_lock(&m->lock);
    wait_for_room(m);
    return put_and_unlock(m, message, !m->shut);
}

bool mailbox_wait_quietly(struct mailbox *m, const void *message)
{
    pthread_mutex_lock(&m->lock);
    wait_for_room(m);
    bool ok = !m->shut;
    bool first = ok && put(m, message);
    unlock_and_tell(m, false, first);
    return ok;
}

void mailbox_wake(struct mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    unlock_and_tell(m, true, false);
}

bool mailbox_push(struct mailbox *m, const void *message)
{
    pthread_mutex_lock(&m->lock);
    return put_and_unlock(m, message, !m->shut);
}

bool mailbox_take(struct mailbox *m, void *message, int timeout_ms)
{
    struct timespec until = { 0 };
    if (timeout_ms > 0) {
        int64_t ns = clock_mono_ns() + (int64_t)timeout_ms * 1000000;
        until.tv_sec = (time_t)(ns / 1000000000);
        until.tv_nsec = (long)(ns % 1000000000);
    }
    pthread_mutex_lock(&m->lock);
    while (m->count == 0 && !m->shut && timeout_ms != 0)
        if (!sleep_until(m, timeout_ms < 0 ? NULL : &until))
            break;
    bool got = m->count > 0;
    if (got) {
        memcpy(message, m->ring + m->head * m->bytes, m->bytes);
        m->head = (m->head + 1) % m->cap;
        m->count--;
        pthread_cond_signal(&m->drained);
    } else if (m->fd >= 0 && !m->shut) {
        read_fd(m);
    }
    pthread_mutex_unlock(&m->lock);
    return got;
}

void mailbox_shut(struct mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    m->shut = true;
    m->changes++;
    if (m->fd >= 0)
        write_fd(m);
    pthread_cond_broadcast(&m->drained);
    pthread_mutex_unlock(&m->lock);
    wake(m, INT_MAX);
}

bool mailbox_is_shut(struct mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    bool shut = m->shut;
    pthread_mutex_unlock(&m->lock);
    return shut;
}

int mailbox_fd(struct mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    if (m->fd < 0) {
        m->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        assert(m->fd >= 0);
        if (m->count || m->shut)
            write_fd(m);
    }
    int fd = m->fd;
    pthread_mutex_unlock(&m->lock);
    return fd;
}
