/*
 * later.c - a thread for what may wait for the disk and has no worker: streams that read what is stored, cancels.
 *
 * The conductor and the store answer on their own threads, which wait for nobody; what follows from their answer and may
 * wait is handed over here. A call may be put off for a moment, to look again at something that another thread is about
 * to change.
 *
 * Closing runs everything that is due or put off at once, each call once, and what those hand over: whoever waits here
 * owns memory, and an exchange.
 *
 * Threads: as its own comment says. The list of what is put off is the thread's.
 */
#include "api/api_impl.h"

#include "base/clock.h"
#include "base/mailbox.h"
#include "base/thread.h"

#include <utlist.h>

#define CALLS_MAX 1024 /* a bound in name only: calls are pushed, and exchanges bound them */

struct put_off {
    int64_t due_ms;
    void (*fn)(void *ctx);
    void *ctx;
    struct put_off *next;
};

struct later {
    struct mailbox *calls;
    struct thread thread;
    struct put_off *waiting; /* list, the first due first */
};

static int by_due(const struct put_off *a, const struct put_off *b)
{
    return (a->due_ms > b->due_ms) - (a->due_ms < b->due_ms);
}

/* How long to sleep: -1 is for ever. */
static int next_due(const struct later *l, int64_t now_ms)
{
    if (!l->waiting)
        return -1;
    int64_t wait = l->waiting->due_ms - now_ms;
    return wait > 0 ? (int)wait : 0;
}

static void run_due(struct later *l, int64_t now_ms)
{
    while (l->waiting && (l->waiting->due_ms <= now_ms || mailbox_is_shut(l->calls))) {
        struct put_off *p = l->waiting;
        LL_DELETE(l->waiting, p);
        p->fn(p->ctx);
        mem_free(p);
    }
}

static void run(void *ctx)
{
    struct later *l = ctx;
    struct put_off call;
    for (;;) {
        bool taken = mailbox_take(l->calls, &call, next_due(l, clock_mono_ms()));
        if (taken) {
            struct put_off *p = mem_alloc(sizeof *p);
            *p = call;
            LL_INSERT_INORDER(l->waiting, p, by_due);
        }
        run_due(l, clock_mono_ms());
        if (!taken && mailbox_is_shut(l->calls))
            return;
    }
}

struct later *later_open(void)
{
    struct later *l = mem_zalloc(sizeof *l);
    l->calls = mailbox_open(CALLS_MAX, sizeof(struct put_off));
    thread_start(&l->thread, "later", run, l);
    return l;
}

void later_close(struct later *l)
{
    if (!l)
        return;
    mailbox_shut(l->calls);
    thread_join(&l->thread);
    mailbox_close(l->calls);
    mem_free(l);
}

bool later_stops(struct later *l)
{
    return mailbox_is_shut(l->calls);
}

void later_run(struct later *l, int64_t in_ms, void (*fn)(void *ctx), void *ctx)
{
    struct put_off call = { .due_ms = clock_mono_ms() + in_ms, .fn = fn, .ctx = ctx };
    if (!mailbox_push(l->calls, &call))
        fn(ctx); /* the server stops: nothing here waits for long any more */
}
