/*
 * mem.c - malloc and its kin, with the one answer to "no memory" that a service can give.
 */
#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void out_of_memory(size_t bytes)
{
    /* Not log.h: writing a log line may allocate. */
    fprintf(stderr, "thinkd: out of memory asking for %zu bytes; lower the memory limits or add memory\n",
            bytes);
    abort();
}

void *mem_alloc(size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);
    if (!p)
        out_of_memory(bytes);
    return p;
}

void *mem_zalloc(size_t bytes)
{
    void *p = calloc(1, bytes ? bytes : 1);
    if (!p)
        out_of_memory(bytes);
    return p;
}

void *mem_array(size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        out_of_memory(SIZE_MAX);
    return mem_zalloc(count * size);
}

void *mem_realloc(void *p, size_t bytes)
{
    void *q = realloc(p, bytes ? bytes : 1);
    if (!q)
        out_of_memory(bytes);
    return q;
}

void *mem_aligned(size_t align, size_t bytes)
{
    void *p = NULL;
    if (posix_memalign(&p, align, bytes ? bytes : 1))
        out_of_memory(bytes);
    memset(p, 0, bytes);
    return p;
}

/* calloc knows what is fresh from the system and does not write to it; where its block begins stands before ours. */
void *mem_lazy(size_t bytes)
{
    unsigned char *raw = mem_zalloc(bytes + 64 + sizeof raw);
    unsigned char *p = (unsigned char *)(((uintptr_t)raw + sizeof raw + 63) & ~(uintptr_t)63);
    memcpy(p - sizeof raw, &raw, sizeof raw);
    return p;
}

void mem_lazy_free(void *p)
{
    unsigned char *raw;
    if (!p)
        return;
    memcpy(&raw, (unsigned char *)p - sizeof raw, sizeof raw);
    mem_free(raw);
}

char *mem_strndup(const char *s, size_t len)
{
    char *copy = mem_alloc(len + 1);
    if (len)
        memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *mem_strdup(const char *s)
{
    return s ? mem_strndup(s, strlen(s)) : NULL;
}

void mem_free(void *p)
{
    free(p);
}
