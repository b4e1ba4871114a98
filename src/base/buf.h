/*
 * buf.h - bytes that grow: replies, frames, decoded text.
 *
 * Zero-initialised is empty and valid: struct buf b = { 0 }. What is stored is always
 * followed by a NUL that does not count, so ptr may be used as a C string once something
 * was put.
 *
 * Threads: one at a time. Ownership: buf_free, or buf_take by which the bytes change hands.
 */
#ifndef THINKD_BASE_BUF_H
#define THINKD_BASE_BUF_H

#include "base/mem.h"
#include "base/str.h"

struct buf {
    char *ptr;
    size_t len; /* bytes stored */
    size_t cap; /* bytes owned */
};

void buf_reserve(struct buf *b, size_t more); /* room for this many more without another allocation */
void buf_put(struct buf *b, const void *bytes, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_put_str(struct buf *b, struct str s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_drop_front(struct buf *b, size_t n); /* n <= len */
void buf_clear(struct buf *b);                /* keeps the memory */
void buf_free(struct buf *b);                 /* empty and valid again */
char *buf_take(struct buf *b);                /* NUL-terminated, caller frees; b is empty again */
struct str buf_str(const struct buf *b);      /* valid until the next put */

#endif
