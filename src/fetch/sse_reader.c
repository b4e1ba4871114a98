/*
 * sse_reader.c - the event-stream parser of WHATWG HTML, 9.2.6, for bytes that come in any pieces.
 *
 * A line ends in CR, LF or CR LF, so a CR at the end of one piece is remembered: an LF that starts the
 * next belongs to it. Only event and data are kept; id and retry serve reconnection, which a caller of
 * fetch does by asking again.
 *
 * Bounded: no line and no event's data grows past bytes_max.
 */
#include "fetch/fetch.h"

#include <string.h>

#define EVENT_BYTES_MAX (64 * MIB)

static bool dispatch(struct sse_reader *r, struct fetch_events events)
{
    bool go_on = true;
    if (r->data.len) {
        struct str data = str_slice(buf_str(&r->data), 0, r->data.len - 1); /* without the last LF */
        struct str event = r->event.len ? buf_str(&r->event) : STR("message");
        go_on = events.put(events.ctx, event, data);
    }
    buf_clear(&r->data); /* an event without data is dropped, its name too */
    buf_clear(&r->event);
    return go_on;
}

static void take_field(struct sse_reader *r, struct str line)
{
    size_t colon = str_find(line, STR(":"));
    struct str name = str_slice(line, 0, colon), value = { 0 };
    if (colon != SIZE_MAX)
        value = str_slice(line, colon + 1, line.len);
    if (str_starts(value, STR(" ")))
        value = str_slice(value, 1, value.len);
    if (str_is(name, "data")) {
        buf_put_str(&r->data, value);
        buf_putc(&r->data, '\n');
    } else if (str_is(name, "event")) {
        buf_clear(&r->event);
        buf_put_str(&r->event, value);
    } /* a comment has an empty name; other fields are ignored, as the format asks */
}

static bool end_line(struct sse_reader *r, struct fetch_events events)
{
    struct str line = buf_str(&r->line);
    if (!r->started && str_starts(line, STR("\xef\xbb\xbf"))) /* one byte order mark may lead the stream */
        line = str_slice(line, 3, line.len);
    r->started = true;
    bool go_on = true;
    if (line.len == 0)
        go_on = dispatch(r, events);
    else
        take_field(r, line);
    buf_clear(&r->line);
    return go_on;
}

static size_t line_len(struct str bytes)
{
    size_t i = 0;
    while (i < bytes.len && bytes.ptr[i] != '\n' && bytes.ptr[i] != '\r')
        i++;
    return i;
}

bool sse_reader_feed(struct sse_reader *r, struct str bytes, struct fetch_events events, struct err *err)
{
    size_t max = r->bytes_max ? r->bytes_max : EVENT_BYTES_MAX;
    while (bytes.len) {
        if (r->seen_cr && bytes.ptr[0] == '\n')
            bytes = str_slice(bytes, 1, bytes.len);
        r->seen_cr = false;
        size_t len = line_len(bytes);
        if (r->line.len + len > max || r->data.len + r->line.len + len > max) {
            err_set(err, ERR_NETWORK, NULL, "The peer sent an event of more than %zu bytes.", max);
            return false;
        }
        buf_put(&r->line, bytes.ptr, len);
        if (len == bytes.len)
            return true; /* the line goes on in the next piece */
        r->seen_cr = bytes.ptr[len] == '\r';
        bytes = str_slice(bytes, len + 1, bytes.len);
        if (!end_line(r, events))
            return false;
    }
    return true;
}

void sse_reader_free(struct sse_reader *r)
{
    buf_free(&r->line);
    buf_free(&r->data);
    buf_free(&r->event);
    *r = (struct sse_reader){ 0 };
}
