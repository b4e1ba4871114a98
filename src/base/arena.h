/*
 * arena.h - memory that ends together: a request's, a job's, a compile's.
 *
 * An arena is the last parameter of what allocates from it. A pointer into one never
 * outlives it and never crosses to another thread while it may still grow.
 *
 * Threads: one at a time. Ownership: arena_free ends every pointer it gave.
 */
#ifndef THINKD_BASE_ARENA_H
#define THINKD_BASE_ARENA_H

#include "base/mem.h"
#include "base/str.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes given out, for bounds and tests */
};

void *arena_alloc(struct arena *a, size_t bytes);              /* zeroed, aligned for any type */
void *arena_array(struct arena *a, size_t count, size_t size); /* zeroed */
char *arena_strdup(struct arena *a, const char *s);            /* NULL gives NULL */
struct str arena_str(struct arena *a, struct str s);           /* a copy, NUL behind its end */
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
void arena_free(struct arena *a); /* empty and valid again */

#endif
