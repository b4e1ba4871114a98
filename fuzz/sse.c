/*
 * sse.c - any bytes as an event stream: fed whole and in pieces, the reader must see the same events.
 *
 * The first byte chooses where the pieces are cut.
 */
#include "fetch/fetch.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool put(void *ctx, struct str event, struct str data)
{
    struct buf *seen = ctx;
    assert(event.len > 0);
    buf_printf(seen, "%zu:", event.len);
    buf_put_str(seen, event);
    buf_printf(seen, "%zu:", data.len);
    buf_put_str(seen, data);
    return seen->len < 100000;
}

/* Whether the stream was read to its end. */
static bool feed(struct str bytes, size_t step, struct buf *seen)
{
    struct sse_reader r = { .bytes_max = 4096 };
    struct err err = { 0 };
    bool ok = true;
    for (struct str rest = bytes; rest.len && ok; rest = str_slice(rest, step, rest.len))
        ok = sse_reader_feed(&r, str_slice(rest, 0, step), (struct fetch_events){ put, seen }, &err);
    assert(ok || err.code || seen->len >= 100000);
    sse_reader_free(&r);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str bytes = { (const char *)data + 1, size - 1 };
    struct buf whole = { 0 }, pieces = { 0 };
    bool a = feed(bytes, size, &whole), b = feed(bytes, 1 + data[0] % 16, &pieces);
    assert(a == b && str_eq(buf_str(&whole), buf_str(&pieces)));
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
