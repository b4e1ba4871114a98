/*
 * arriving.c - asking again for a response that runs and whose row is not on disk yet.
 *
 * A stream shows response.created before the row of its job is committed, so its id may be asked for in between. Who finds
 * no row asks the conductor: while the job runs here, the handler is called again behind the job's first commit, or
 * its end. Nothing that is found at once pays for that, and an id of nobody costs a message to the conductor.
 *
 * The wait ends with the job at the latest, and a server that stops ends those, so a client that leaves meanwhile needs no
 * watching for.
 *
 * Threads: asked on a worker; heard on the conductor's; called again on later's. Ownership: freed there.
 */
#include "api/api_impl.h"

struct arriving {
    struct call call;
    void (*again)(const struct call *c);
    char *name;
    bool there; /* the conductor's: an event is stored, and so the row */
};

static void ask_again(void *ctx)
{
    struct arriving *a = ctx;
    a->again(&a->call);
    mem_free(a->name);
    mem_free(a);
}

static void on_event(void *ctx, int64_t number, struct str json)
{
    struct arriving *a = ctx;
    (void)number, (void)json;
    if (!a->there)
        job_unwatch(a->call.api->conductor, str_from(a->name), a);
    a->there = true;
}

/* Also where no such job runs: it may have been stored since the look. */
static void on_end(void *ctx, enum job_watch_end why)
{
    struct arriving *a = ctx;
    (void)why;
    later_run(a->call.api->later, 0, ask_again, a);
}

bool arriving_wait(const struct call *c, struct str id, void (*again)(const struct call *c))
{
    if (c->again)
        return false;
    struct arriving *a = mem_zalloc(sizeof *a);
    *a = (struct arriving){ .call = *c, .again = again, .name = mem_strndup(id.ptr, id.len) };
    a->call.again = true;
    a->call.place = NULL; /* dispatch's, and of endpoints that generate */
    job_watch(c->api->conductor, id, 0, (struct job_watcher){ .put = on_event, .end = on_end, .ctx = a });
    return true;
}
