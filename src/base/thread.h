/*
 * thread.h - threads with names, all signals blocked: signals are the main thread's to hear.
 *
 * Threads: any. Ownership: each started thread is joined exactly once.
 */
#ifndef THINKD_BASE_THREAD_H
#define THINKD_BASE_THREAD_H

#include <pthread.h>

struct thread {
    pthread_t id;
};

/* name: at most 15 bytes, shown by top and gdb. Ends the process when the system has no thread to give. */
void thread_start(struct thread *t, const char *name, void (*run)(void *), void *ctx);
void thread_join(struct thread *t);
/* From now on the calling thread leaves the CPU to the process's others where there is not enough for all: for work that
 * nobody waits for. */
void thread_give_way(void);
/* From now on the calling thread runs in short turns, and in return soon after it was woken, with no larger share of the
 * CPU: for the threads between a request and its answer. */
void thread_take_short_turns(void);
int thread_cpus(void); /* CPUs this process may run on, at least 1 */

#endif
