/*
 * arena.c - bump allocation in blocks; a large request gets a block of its own.
 *
 * Blocks begin small and double: there may be an arena for each of ten thousand open streams, which holds a head.
 */
#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ARENA_BLOCK_FIRST ((size_t)1024)
#define ARENA_BLOCK_BYTES ((size_t)8192)

struct arena_block {
    struct arena_block *next;
    size_t used, cap; /* bytes of data */
    alignas(max_align_t) unsigned char data[];
};

static size_t next_cap(const struct arena_block *newest)
{
    size_t cap = newest ? newest->cap * 2 : ARENA_BLOCK_FIRST;
    return cap < ARENA_BLOCK_BYTES ? cap : ARENA_BLOCK_BYTES;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    assert(bytes < SIZE_MAX / 2);
    bytes = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct arena_block *block = a->blocks;
    if (!block || block->cap - block->used < bytes) {
        size_t cap = next_cap(block);
        while (bytes > cap && cap < ARENA_BLOCK_BYTES)
            cap *= 2;
        if (bytes > ARENA_BLOCK_BYTES / 4)
            cap = bytes;
        struct arena_block *fresh = mem_zalloc(sizeof *fresh + cap);
        fresh->cap = cap;
        if (block && cap == bytes) { /* a big one goes behind, so the open block stays in use */
            fresh->next = block->next;
            block->next = fresh;
        } else {
            fresh->next = block;
            a->blocks = fresh;
        }
        block = fresh;
    }
    void *p = block->data + block->used;
    block->used += bytes;
    a->used += bytes;
    return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    assert(size == 0 || count < SIZE_MAX / 2 / size);
    return arena_alloc(a, count * size);
}

struct str arena_str(struct arena *a, struct str s)
{
    char *copy = arena_alloc(a, s.len + 1);
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    return (struct str){ copy, s.len };
}

char *arena_strdup(struct arena *a, const char *s)
{
    return s ? (char *)arena_str(a, str_from(s)).ptr : NULL;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    char *text = arena_alloc(a, (size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    return text;
}

void arena_free(struct arena *a)
{
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    *a = (struct arena){ 0 };
}
