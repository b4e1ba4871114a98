/*
 * detok.c - tokens back to text, as they come: whole characters only, and stop strings found on the way.
 *
 * A character may be spread over several tokens. What could still become one waits in `held`, at most three
 * bytes; what never can is shown as U+FFFD at once, so that the output is always valid UTF-8.
 */
#include "text/text_impl.h"

#define REPLACEMENT STR("\xEF\xBF\xBD") /* U+FFFD */

void put_valid(struct str bytes, struct buf *out)
{
    while (bytes.len) {
        size_t valid = utf8_valid_len(bytes);
        buf_put(out, bytes.ptr, valid);
        if (valid == bytes.len)
            return;
        bytes = str_slice(bytes, valid, bytes.len);
        size_t wrong = 1; /* a character that was begun and broken off is one mark, not one per byte */
        while (wrong < bytes.len && utf8_whole_len(str_slice(bytes, 0, wrong + 1)) == 0)
            wrong++;
        buf_put_str(out, REPLACEMENT);
        bytes = str_slice(bytes, wrong, bytes.len);
    }
}

void detok_put(struct detok *d, const struct tokenizer *t, int32_t id, struct buf *out)
{
    struct str bytes = tokenizer_bytes(t, id);
    if (bytes.len == 0)
        return;
    if (!d->started && t->spm && t->add_space_prefix && bytes.ptr[0] == ' ')
        bytes = str_slice(bytes, 1, bytes.len);
    d->started = true;
    buf_put_str(&d->held, bytes);
    size_t whole = utf8_whole_len(buf_str(&d->held));
    put_valid(str_slice(buf_str(&d->held), 0, whole), out);
    buf_drop_front(&d->held, whole);
}

void detok_end(struct detok *d, struct buf *out)
{
    if (d->held.len)
        buf_put_str(out, REPLACEMENT); /* one character was begun */
    buf_clear(&d->held);
}

void detok_free(struct detok *d)
{
    buf_free(&d->held);
    *d = (struct detok){ 0 };
}

/* --- stop strings -------------------------------------------------------------------------------------------- */

/* Where the earliest stop starts, or SIZE_MAX. */
static size_t find_stop(const struct stop_scan *s, struct str text)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < s->n_stops; i++) {
        size_t at = s->stops[i].len ? str_find(text, s->stops[i]) : SIZE_MAX;
        if (at < first)
            first = at;
    }
    return first;
}

/* How many bytes at the end of text may be the beginning of a stop. */
static size_t pending_len(const struct stop_scan *s, struct str text)
{
    size_t most = 0;
    for (size_t i = 0; i < s->n_stops; i++) {
        struct str stop = s->stops[i];
        size_t len = stop.len && stop.len - 1 < text.len ? stop.len - 1 : stop.len ? text.len : 0;
        while (len > most && !str_ends(text, str_slice(stop, 0, len)))
            len--;
        if (len > most)
            most = len;
    }
    return most;
}

bool stop_scan_put(struct stop_scan *s, struct str text, struct buf *out)
{
    buf_put_str(&s->held, text);
    struct str held = buf_str(&s->held);
    size_t stop = find_stop(s, held);
    size_t shown = stop != SIZE_MAX ? stop : held.len - pending_len(s, held);
    buf_put(out, held.ptr, shown);
    if (stop != SIZE_MAX)
        buf_clear(&s->held);
    else
        buf_drop_front(&s->held, shown);
    return stop != SIZE_MAX;
}

void stop_scan_end(struct stop_scan *s, struct buf *out)
{
    buf_put_str(out, buf_str(&s->held));
    buf_clear(&s->held);
}

void stop_scan_free(struct stop_scan *s)
{
    buf_free(&s->held);
}
