/*
 * mem.h - allocation that cannot fail.
 *
 * Inputs, queues and caches are bounded before they allocate, so running out of
 * memory means the process was given less than its limits promise: it ends with a
 * line on standard error, and durable jobs make the restart safe.
 *
 * Threads: any. Ownership: the caller frees with mem_free.
 */
#ifndef THINKD_BASE_MEM_H
#define THINKD_BASE_MEM_H

#include <stddef.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define KIB          ((size_t)1024)
#define MIB          ((size_t)1024 * 1024)
#define GIB          ((size_t)1024 * 1024 * 1024)

#if defined(__GNUC__)
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define PRINTF_LIKE(fmt, args)
#endif

void *mem_alloc(size_t bytes);                 /* contents undefined; 0 bytes gives a valid pointer */
void *mem_zalloc(size_t bytes);                /* all zero */
void *mem_array(size_t count, size_t size);    /* all zero; ends the process when count * size overflows */
void *mem_realloc(void *p, size_t bytes);      /* as realloc */
void *mem_aligned(size_t align, size_t bytes); /* all zero; align is a power of two, 64 for vector kernels */
/* All zero, aligned to 64, for arrays sized for the worst case: memory arrives as it is first touched, where the system gives it
 * by pages. Only mem_lazy_free frees it. */
void *mem_lazy(size_t bytes);
void mem_lazy_free(void *p);                  /* NULL is fine */
char *mem_strdup(const char *s);              /* NULL gives NULL */
char *mem_strndup(const char *s, size_t len); /* always NUL-terminated */
void mem_free(void *p);                       /* NULL is fine */

#endif
