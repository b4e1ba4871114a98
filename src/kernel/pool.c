/*
 * pool.c - fork and join for the parts of one step.
 *
 * A call is a ticket roll: tickets holds the call's number in its upper half and the number of parts nobody has
 * begun in its lower half, so taking a part is one compare-and-swap that cannot mistake one call for
 * another and an empty roll is empty whatever the next call's parts are. Workers and caller draw from the same roll. When a core is taken away its worker draws nothing
 * and the caller computes that part itself; only a thread suspended in the middle of a part is waited for.
 *
 * Both sides spin for some tens of microseconds, about the gap between two phases of a layer, then sleep on
 * a condition. A sleeper raises its flag before it looks once more, and who changes the state looks at the
 * flag afterwards; with sequentially consistent order one of the two sees the other.
 *
 * Threads: one caller at a time. Locks: mutex guards only the falling asleep and the waking up.
 */
#include "base/thread.h"
#include "kernel/kernel.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>

#define SPIN_ROUNDS 1000

struct kernel_pool {
    int threads;
    /* Written by the caller before it publishes a call; stable until all its parts are done. */
    void (*run)(void *ctx, int part, int parts);
    void *ctx;
    int parts;
    _Alignas(64) _Atomic uint64_t tickets; /* call number << 32 | parts not begun */
    _Alignas(64) _Atomic int unfinished;   /* parts of this call not yet done */
    _Alignas(64) _Atomic int sleepers;     /* workers that sleep or are about to */
    _Atomic int caller_sleeps;
    _Atomic int stopping;
    pthread_mutex_t mutex;
    pthread_cond_t work, done;
    struct thread workers[KERNEL_THREADS_MAX - 1];
};

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Runs one part if any is left; false when the roll is empty. */
static bool take_part(struct kernel_pool *p)
{
    uint64_t ticket = atomic_load(&p->tickets);
    do {
        if ((uint32_t)ticket == 0)
            return false;
    } while (!atomic_compare_exchange_weak(&p->tickets, &ticket, ticket - 1));
    /* The call cannot end without this part, so run, ctx and parts are its own. */
    p->run(p->ctx, p->parts - (int)(uint32_t)ticket, p->parts);
    if (atomic_fetch_sub(&p->unfinished, 1) == 1 && atomic_load(&p->caller_sleeps)) {
        pthread_mutex_lock(&p->mutex);
        pthread_cond_signal(&p->done);
        pthread_mutex_unlock(&p->mutex);
    }
    return true;
}

static bool work_waits(struct kernel_pool *p)
{
    return (uint32_t)atomic_load(&p->tickets) != 0 || atomic_load(&p->stopping);
}

static void worker_main(void *arg)
{
    struct kernel_pool *p = arg;
    while (!atomic_load(&p->stopping)) {
        if (take_part(p))
            continue;
        int rounds = 0;
        while (!work_waits(p) && rounds++ < SPIN_ROUNDS)
            relax();
        if (work_waits(p))
            continue;
        pthread_mutex_lock(&p->mutex);
        atomic_fetch_add(&p->sleepers, 1);
        while (!work_waits(p))
            pthread_cond_wait(&p->work, &p->mutex);
        atomic_fetch_sub(&p->sleepers, 1);
        pthread_mutex_unlock(&p->mutex);
    }
}

static void wake_workers(struct kernel_pool *p)
{
    if (atomic_load(&p->sleepers) == 0)
        return;
    pthread_mutex_lock(&p->mutex);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->mutex);
}

static void wait_done(struct kernel_pool *p)
{
    for (int rounds = 0; rounds < SPIN_ROUNDS; rounds++) {
        if (atomic_load(&p->unfinished) == 0)
            return;
        relax();
    }
    pthread_mutex_lock(&p->mutex);
    atomic_store(&p->caller_sleeps, 1);
    while (atomic_load(&p->unfinished) != 0)
        pthread_cond_wait(&p->done, &p->mutex);
    atomic_store(&p->caller_sleeps, 0);
    pthread_mutex_unlock(&p->mutex);
}

struct kernel_pool *kernel_pool_open(int threads)
{
    assert(threads >= 1 && threads <= KERNEL_THREADS_MAX);
    struct kernel_pool *p = mem_aligned(64, (sizeof *p + 63) / 64 * 64);
    p->threads = threads;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    for (int i = 0; i < threads - 1; i++) {
        char name[24]; /* no more than 15 are used */
        snprintf(name, sizeof name, "kernel-%d", i + 1);
        thread_start(&p->workers[i], name, worker_main, p);
    }
    return p;
}

int kernel_pool_threads(const struct kernel_pool *p)
{
    return p->threads;
}

void kernel_pool_run(struct kernel_pool *p, int parts, void (*run)(void *ctx, int part, int parts), void *ctx)
{
    assert(parts >= 1 && atomic_load(&p->unfinished) == 0);
    if (p->threads == 1 || parts == 1) {
        for (int part = 0; part < parts; part++)
            run(ctx, part, parts);
        return;
    }
    p->run = run;
    p->ctx = ctx;
    p->parts = parts;
    atomic_store(&p->unfinished, parts);
    uint64_t call = (atomic_load(&p->tickets) >> 32) + 1;
    atomic_store(&p->tickets, call << 32 | (uint32_t)(parts - 1)); /* part 0 is ours already */
    wake_workers(p);
    run(ctx, 0, parts);
    atomic_fetch_sub(&p->unfinished, 1);
    while (take_part(p))
        ;
    wait_done(p);
}

void kernel_pool_close(struct kernel_pool *p)
{
    if (!p)
        return;
    atomic_store(&p->stopping, 1);
    pthread_mutex_lock(&p->mutex);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->mutex);
    for (int i = 0; i < p->threads - 1; i++)
        thread_join(&p->workers[i]);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->mutex);
    mem_free(p);
}
