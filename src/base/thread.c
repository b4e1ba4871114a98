/*
 * thread.c - pthread_create with signals blocked and a name.
 *
 * A process without threads to give cannot serve, so failing to start one ends it with a line that says what to
 * raise, as running out of memory does.
 */
#include "base/thread.h"

#include "base/mem.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct start {
    void (*run)(void *);
    void *ctx;
};

static void *enter(void *arg)
{
    struct start start = *(struct start *)arg;
    mem_free(arg);
    start.run(start.ctx);
    return NULL;
}

void thread_start(struct thread *t, const char *name, void (*run)(void *), void *ctx)
{
    struct start *start = mem_alloc(sizeof *start);
    *start = (struct start){ run, ctx };
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a new thread inherits the mask */
    int rc = pthread_create(&t->id, NULL, enter, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc) {
        fprintf(stderr, "thinkd: cannot start thread %s (error %d); raise the process limit\n", name, rc);
        abort();
    }
    pthread_setname_np(t->id, name);
}

void thread_join(struct thread *t)
{
    pthread_join(t->id, NULL);
}

int thread_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}
