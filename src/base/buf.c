/*
 * buf.c - growth by doubling, one NUL kept behind the end.
 *
 * Invariant: cap is 0 or at least len + 1, so the NUL always has its place and a put of n bytes needs no more
 * than one reallocation. Sizes near SIZE_MAX are a caller's bug and asserted.
 */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void buf_reserve(struct buf *b, size_t more)
{
    assert(more < SIZE_MAX / 2 - b->len);
    size_t need = b->len + more + 1;
    if (need <= b->cap)
        return;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap *= 2;
    b->ptr = mem_realloc(b->ptr, cap);
    b->cap = cap;
}

void buf_put(struct buf *b, const void *bytes, size_t len)
{
    buf_reserve(b, len);
    if (len)
        memcpy(b->ptr + b->len, bytes, len);
    b->len += len;
    b->ptr[b->len] = '\0';
}

void buf_puts(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}

void buf_put_str(struct buf *b, struct str s)
{
    buf_put(b, s.ptr, s.len);
}

void buf_putc(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}

/* Into the room that is there: only what does not fit is made twice. */
void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    size_t room = b->cap - b->len;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(room ? b->ptr + b->len : NULL, room, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    if ((size_t)n >= room) {
        buf_reserve(b, (size_t)n);
        vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    b->len += (size_t)n;
}

void buf_drop_front(struct buf *b, size_t n)
{
    assert(n <= b->len);
    if (n == 0)
        return;
    memmove(b->ptr, b->ptr + n, b->len - n + 1);
    b->len -= n;
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    if (b->ptr)
        b->ptr[0] = '\0';
}

void buf_free(struct buf *b)
{
    mem_free(b->ptr);
    *b = (struct buf){ 0 };
}

char *buf_take(struct buf *b)
{
    buf_reserve(b, 0);
    b->ptr[b->len] = '\0';
    char *bytes = b->ptr;
    *b = (struct buf){ 0 };
    return bytes;
}

struct str buf_str(const struct buf *b)
{
    return (struct str){ b->ptr, b->len };
}
