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
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHORT_TURN_NS 100000 /* the least that Linux takes */
#define GIVE_WAY_NICE                                                                                        \
    5 /* a third of the share of a thread at 0: it still gets on, and lets go of its locks */

/* Linux's struct sched_attr in its first version; the header that has it does not go together with sched.h. */
struct turns {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};

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

void thread_give_way(void)
{
    /* Linux keeps the nice value by thread. Where that may not be set, all is as it was. */
    setpriority(PRIO_PROCESS, (id_t)gettid(), GIVE_WAY_NICE);
}

void thread_take_short_turns(void)
{
    /* Linux 6.12 and later: a turn's length is a thread's own, and a shorter one is due earlier. Before, nothing happens. */
    struct turns turns = { .size = sizeof turns, .policy = SCHED_OTHER, .runtime_ns = SHORT_TURN_NS };
    turns.nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    syscall(SYS_sched_setattr, 0, &turns, 0);
}

int thread_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}
