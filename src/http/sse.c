/*
 * sse.c - one server-sent event as bytes (WHATWG HTML, 9.2.5).
 *
 * LF only, event before data, one blank line at the end and nowhere else: some clients fail on CR LF,
 * and exchange.c finds where an event ends by that blank line.
 */
#include "http/http.h"

#include <assert.h>
#include <string.h>

void sse_frame(struct buf *out, const char *event, struct str data)
{
    /* A line break in data would start another field: whoever made it forgot to escape its JSON. */
    assert(data.len == 0 || (!memchr(data.ptr, '\n', data.len) && !memchr(data.ptr, '\r', data.len)));
    buf_reserve(out, data.len + (event ? strlen(event) : 0) + 18);
    if (event) {
        buf_puts(out, "event: ");
        buf_puts(out, event);
        buf_putc(out, '\n');
    }
    buf_puts(out, "data: ");
    buf_put_str(out, data);
    buf_puts(out, "\n\n");
}
