/*
 * limits.c - an owner's limits as a reply's headers tell them.
 *
 * Limits are taken before a body is read, so tokens are guessed from its size: text has about four bytes a token. What
 * was really used is told to access when the request ends.
 *
 * Threads: http's workers, while the exchange is still theirs.
 */
#include "api/api_impl.h"

#include <inttypes.h>
#include <stdio.h>

#define BYTES_PER_TOKEN 4

void put_duration(struct buf *out, int64_t ms)
{
    int64_t hours = ms / 3600000, minutes = ms / 60000 % 60, seconds = ms / 1000 % 60, rest = ms % 1000;
    if (ms > 0 && ms < 1000) {
        buf_printf(out, "%" PRId64 "ms", ms);
        return;
    }
    if (hours)
        buf_printf(out, "%" PRId64 "h", hours);
    if (hours || minutes)
        buf_printf(out, "%" PRId64 "m", minutes);
    buf_printf(out, "%" PRId64, seconds);
    if (rest) {
        int digits = rest % 100 == 0 ? 1 : rest % 10 == 0 ? 2 : 3;
        buf_printf(out, ".%0*" PRId64, digits, digits == 1 ? rest / 100 : digits == 2 ? rest / 10 : rest);
    }
    buf_putc(out, 's');
}

static void set_number(struct http_exchange *x, const char *name, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, number);
    http_set_header(x, name, text);
}

static void set_rate(struct http_exchange *x, const char *of, const struct access_rate *rate)
{
    char name[48];
    struct buf reset = { 0 };
    if (!rate->limit)
        return;
    snprintf(name, sizeof name, "x-ratelimit-limit-%s", of);
    set_number(x, name, rate->limit);
    snprintf(name, sizeof name, "x-ratelimit-remaining-%s", of);
    set_number(x, name, rate->remaining);
    snprintf(name, sizeof name, "x-ratelimit-reset-%s", of);
    put_duration(&reset, rate->reset_ms);
    http_set_header(x, name, reset.ptr);
    buf_free(&reset);
}

int64_t limits_estimate(size_t bytes)
{
    return (int64_t)(bytes / BYTES_PER_TOKEN) + 1;
}

enum err_code limits_enter(struct access *a, const struct access_owner *owner, struct http_exchange *x,
                           struct access_place *place, struct err *err)
{
    enum err_code code = access_take(a, owner, limits_estimate(http_body(x).len), place, err);
    set_rate(x, "requests", &place->requests);
    set_rate(x, "tokens", &place->tokens);
    if (place->wait_ms) {
        set_number(x, "retry-after", (place->wait_ms + 999) / 1000);
        set_number(x, "retry-after-ms", place->wait_ms);
    }
    return code;
}
