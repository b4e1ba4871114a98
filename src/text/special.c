/*
 * special.c - finds tokens that stand in text as they are spelled: <|im_start|>, </think>, runs of blanks.
 *
 * The rows are sorted, so a text is matched by narrowing the range of rows that agree with it byte by byte:
 * the last row that ended on the way is the longest match. The cost of a place is the length of the match
 * times the logarithm of the rows, whatever their number.
 *
 * text_guard is the other half: it marks every place of foreign text where a match would start.
 */
#include "text/text_impl.h"

#include <stdlib.h>
#include <string.h>

static int compare_rows(const void *a, const void *b)
{
    const struct special *x = a, *y = b;
    int order = str_cmp(x->text, y->text);
    return order ? order : (x->id > y->id) - (x->id < y->id);
}

void specials_sort(struct specials *s)
{
    if (s->count)
        qsort(s->rows, s->count, sizeof *s->rows, compare_rows);
    for (size_t i = 0; i < s->count; i++)
        s->starts[(unsigned char)s->rows[i].text.ptr[0]] = true;
}

/* First row in [from, to) whose byte at depth is >= byte. All rows of the range agree before depth; a row that
 * ends at depth sorts before all that go on. */
static size_t lower_bound(const struct specials *s, size_t from, size_t to, size_t depth, int byte)
{
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        struct str text = s->rows[mid].text;
        int at = depth < text.len ? (unsigned char)text.ptr[depth] : -1;
        if (at < byte)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

const struct special *specials_match(const struct specials *s, struct str text, bool plain_only)
{
    if (text.len == 0 || !s->starts[(unsigned char)text.ptr[0]])
        return NULL;
    const struct special *best = NULL;
    size_t from = 0, to = s->count;
    for (size_t depth = 0; depth < text.len && from < to; depth++) {
        int byte = (unsigned char)text.ptr[depth];
        from = lower_bound(s, from, to, depth, byte);
        to = lower_bound(s, from, to, depth, byte + 1);
        if (from < to && s->rows[from].text.len == depth + 1 && (s->rows[from].plain || !plain_only))
            best = &s->rows[from];
    }
    return best;
}

/* Whether any token that is not plain text starts at text, or would start there if more text followed. */
static bool may_start(const struct specials *s, struct str text)
{
    if (!s->starts[(unsigned char)text.ptr[0]])
        return false;
    size_t from = 0, to = s->count;
    for (size_t depth = 0; depth < text.len && from < to; depth++) {
        int byte = (unsigned char)text.ptr[depth];
        from = lower_bound(s, from, to, depth, byte);
        to = lower_bound(s, from, to, depth, byte + 1);
        if (from < to && s->rows[from].text.len == depth + 1 && !s->rows[from].plain)
            return true;
    }
    for (size_t i = from; i < to; i++) /* text ended inside these */
        if (!s->rows[i].plain)
            return true;
    return false;
}

/* Whether text put behind foreign bytes could finish a token that they began. */
static bool may_finish(const struct specials *s, struct str text)
{
    for (size_t i = 0; i < s->count; i++) {
        struct str row = s->rows[i].text;
        for (size_t at = 1; at < row.len && !s->rows[i].plain; at++) {
            size_t common = row.len - at < text.len ? row.len - at : text.len;
            if (memcmp(row.ptr + at, text.ptr, common) == 0)
                return true;
        }
    }
    return false;
}

void text_guard(const struct tokenizer *t, struct str content, struct buf *out)
{
    const struct specials *s = &t->specials;
    if (content.len && may_finish(s, content))
        buf_putc(out, GUARD_BYTE);
    size_t shown = 0;
    for (size_t at = 0; at < content.len; at++)
        if (may_start(s, str_slice(content, at, content.len))) {
            buf_put_str(out, str_slice(content, shown, at));
            buf_putc(out, GUARD_BYTE);
            shown = at;
        }
    buf_put_str(out, str_slice(content, shown, content.len));
}

static void put_guard(struct buf *out)
{
    if (!out->len || out->ptr[out->len - 1] != GUARD_BYTE)
        buf_putc(out, GUARD_BYTE);
}

void text_guard_json(const struct tokenizer *t, struct str content, struct buf *out)
{
    struct buf guarded = { 0 };
    text_guard(t, content, &guarded);
    for (size_t at = 0; at < guarded.len; at++) {
        char c = guarded.ptr[at];
        bool escaped = c == '"' || c == '\\' || (unsigned char)c < 0x20;
        if (escaped)
            put_guard(out);
        buf_putc(out, c);
        if (escaped)
            put_guard(out);
    }
    buf_free(&guarded);
}
