/*
 * mailbox.c - a ring under one mutex.
 *
 * The eventfd holds 1 while the ring is not empty: it is written on the step from empty and
 * read on the step to empty, both under the lock, so an owner in epoll cannot miss a message.
 */
#include "base/mailbox.h"

#include "base/clock.h"
#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct mailbox {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t filled, drained;
    size_t bound; /* messages that post and wait accept */
    size_t bytes; /* of one message */
    size_t cap, head, count;
    unsigned char *ring;
    int fd; /* -1 until asked for */
    bool shut;
};

struct mailbox *mailbox_open(size_t messages_max, size_t message_bytes)
{
    assert(messages_max > 0 && message_bytes > 0);
    struct mailbox *m = mem_zalloc(sizeof *m);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->filled, &monotonic);
    pthread_cond_init(&m->drained, &monotonic);
    pthread_condattr_destroy(&monotonic);
    m->bound = messages_max;
    m->bytes = message_bytes;
    m->fd = -1;
    return m;
}

void mailbox_close(struct mailbox *m)
{
    if (!m)
        return;
    if (m->fd >= 0)
        close(m->fd);
    pthread_cond_destroy(&m->filled);
    pthread_cond_destroy(&m->drained);
    pthread_mutex_destroy(&m->lock);
    mem_free(m->ring);
    mem_free(m);
}

static void signal_fd(struct mailbox *m)
{
    uint64_t one = 1;
    if (m->fd >= 0) {
        ssize_t n = write(m->fd, &one, sizeof one);
        (void)n; /* only EAGAIN is possible, and then it is readable already */
    }
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

static void put(struct mailbox *m, const void *message) /* lock held */
{
    if (m->count == m->cap)
        grow(m);
    memcpy(m->ring + (m->head + m->count) % m->cap * m->bytes, message, m->bytes);
    if (m->count++ == 0)
        signal_fd(m);
    pthread_cond_signal(&m->filled);
}

bool mailbox_post(struct mailbox *m, const void *message)
{
    pthread_mutex_lock(&m->lock);
    bool ok = !m->shut && m->count < m->bound;
    if (ok)
        put(m, message);
    pthread_mutex_unlock(&m->lock);
    return ok;
}

bool mailbox_wait(struct mailbox *m, const void *message)
{
    pthread_mutex_lock(&m->lock);
    while (!m->shut && m->count >= m->bound)
        pthread_cond_wait(&m->drained, &m->lock);
    bool ok = !m->shut;
    if (ok)
        put(m, message);
    pthread_mutex_unlock(&m->lock);
    return ok;
}

bool mailbox_push(struct mailbox *m, const void *message)
{
    pthread_mutex_lock(&m->lock);
    bool ok = !m->shut;
    if (ok)
        put(m, message);
    pthread_mutex_unlock(&m->lock);
    return ok;
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
    while (m->count == 0 && !m->shut && timeout_ms != 0) {
        int rc = timeout_ms < 0 ? pthread_cond_wait(&m->filled, &m->lock)
                                : pthread_cond_timedwait(&m->filled, &m->lock, &until);
        if (rc == ETIMEDOUT)
            break;
    }
    bool got = m->count > 0;
    if (got) {
        memcpy(message, m->ring + m->head * m->bytes, m->bytes);
        m->head = (m->head + 1) % m->cap;
        if (--m->count == 0 && m->fd >= 0 && !m->shut) {
            uint64_t drop;
            ssize_t n = read(m->fd, &drop, sizeof drop);
            (void)n;
        }
        pthread_cond_signal(&m->drained);
    }
    pthread_mutex_unlock(&m->lock);
    return got;
}

void mailbox_shut(struct mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    m->shut = true;
    signal_fd(m);
    pthread_cond_broadcast(&m->filled);
    pthread_cond_broadcast(&m->drained);
    pthread_mutex_unlock(&m->lock);
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
            signal_fd(m);
    }
    int fd = m->fd;
    pthread_mutex_unlock(&m->lock);
    return fd;
}
