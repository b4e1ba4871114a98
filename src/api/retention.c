/*
 * retention.c - what is kept for how long: a sweep of the store at the start, and every few minutes.
 *
 * What goes is the store's matter (store_sweep): responses that ended before keep_ms, unless a kept one goes on from them; objects
 * whose time is over, stored chat completions among them; the oldest responses where there are more bytes than
 * keep_bytes. A sweep may take longer than the interval, and then the next one is left out.
 *
 * Threads: later's begins a sweep, the store's ends it. Ownership: the last of the two frees; the store's may come when
 * the API is closed.
 */
#include "api/api_impl.h"

#include "base/clock.h"
#include "base/log.h"

#define SWEEP_EVERY_MS (5 * 60 * 1000)

struct retention {
    struct store *store;
    struct later *later;
    int64_t keep_ms, keep_bytes;
    atomic_bool sweeping;
    atomic_int refs; /* the API's, and a sweep's */
};

static void unref(struct retention *r)
{
    if (atomic_fetch_sub(&r->refs, 1) == 1)
        mem_free(r);
}

static void swept(void *ctx, const struct err *err)
{
    struct retention *r = ctx;
    if (err->code && err->code != ERR_CANCELLED) /* the store was closed */
        log_line(LOG_ERROR, "api", "what is old stays for now error=%s", err->message);
    atomic_store(&r->sweeping, false);
    unref(r);
}

static void sweep(struct retention *r)
{
    int64_t now = clock_wall_ms();
    const struct store_limits limits = {
        .ended_before_ms = r->keep_ms ? now - r->keep_ms : 0,
        .now_ms = now,
        .bytes_max = r->keep_bytes,
    };
    if (atomic_exchange(&r->sweeping, true))
        return;
    atomic_fetch_add(&r->refs, 1);
    store_sweep(r->store, &limits, swept, r);
}

static void tick(void *ctx)
{
    struct retention *r = ctx;
    if (later_stops(r->later))
        return;
    sweep(r);
    later_run(r->later, SWEEP_EVERY_MS, tick, r);
}

void retention_open(struct retention **out, struct store *store, struct later *later, int64_t keep_ms,
                    int64_t keep_bytes)
{
    struct retention *r = mem_zalloc(sizeof *r);
    *r = (struct retention){ .store = store, .later = later, .keep_ms = keep_ms, .keep_bytes = keep_bytes };
    atomic_init(&r->sweeping, false);
    atomic_init(&r->refs, 1);
    *out = r;
    later_run(later, 0, tick, r);
}

void retention_close(struct retention *r)
{
    if (r)
        unref(r);
}
