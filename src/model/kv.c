/*
 * kv.c - keys and values of sequences, in pages from one bounded pool.
 *
 * The pool is one reservation of address space made when the model opens; memory arrives as pages are first
 * written. Pages given back are reused last in, first out, so a quiet server stays small. A reservation is
 * all or nothing: a sequence never holds pages that it could not use.
 *
 * Threads: the engine's. Ownership: a kv owns its page table, the pool the memory.
 */
#include "model/model_impl.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

enum err_code kv_pool_init(struct kv_pool *p, const struct shape *s, int64_t bytes_max, struct err *err)
{
    *p = (struct kv_pool){ 0 };
    p->head_floats = (size_t)KV_PAGE_TOKENS * (size_t)s->head_dim;
    p->layer_floats = 2 * (size_t)s->n_kv_heads * p->head_floats;
    p->page_floats = (size_t)s->n_layers * p->layer_floats;
    size_t page_bytes = p->page_floats * sizeof(float);
    uint64_t pages = bytes_max > 0 ? (uint64_t)bytes_max / page_bytes : 0;
    if (pages == 0)
        return err_set(
            err, ERR_CONFIG, "kv_bytes_max",
            "Expected at least %zu bytes for keys and values (one page of %d tokens), but got %" PRId64 ".",
            page_bytes, KV_PAGE_TOKENS, bytes_max);
    p->n_pages = pages > UINT32_MAX ? UINT32_MAX : (uint32_t)pages;
    p->bytes = p->n_pages * page_bytes;
    void *memory =
        mmap(NULL, p->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        size_t asked = p->bytes;
        *p = (struct kv_pool){ 0 };
        return err_set(err, ERR_CONFIG, "kv_bytes_max", "Cannot reserve %zu bytes for keys and values: %s.",
                       asked, strerror(errno));
    }
    p->memory = memory;
    return ERR_OK;
}

void kv_pool_free(struct kv_pool *p)
{
    if (p->memory)
        munmap(p->memory, p->bytes);
    mem_free(p->free);
    *p = (struct kv_pool){ 0 };
}

static size_t pages_left(const struct kv_pool *p)
{
    return p->n_free + (p->n_pages - p->n_fresh);
}

static uint32_t page_take(struct kv_pool *p)
{
    assert(pages_left(p) > 0);
    return p->n_free ? p->free[--p->n_free] : p->n_fresh++;
}

static void page_give_back(struct kv_pool *p, uint32_t page)
{
    if (p->n_free == p->cap_free) {
        p->cap_free = p->cap_free ? 2 * p->cap_free : 64;
        p->free = mem_realloc(p->free, p->cap_free * sizeof *p->free);
    }
    p->free[p->n_free++] = page;
}

struct kv *kv_open(struct model *m)
{
    struct kv *kv = mem_zalloc(sizeof *kv);
    kv->model = m;
    m->n_kv++;
    return kv;
}

void kv_close(struct kv *kv)
{
    if (!kv)
        return;
    for (size_t i = kv->n_pages; i-- > 0;)
        page_give_back(&kv->model->kv_pool, kv->pages[i]);
    kv->model->n_kv--;
    mem_free(kv->pages);
    mem_free(kv);
}

int64_t kv_len(const struct kv *kv)
{
    return kv->len;
}

enum err_code kv_reserve(struct kv *kv, int64_t n, struct err *err)
{
    struct kv_pool *pool = &kv->model->kv_pool;
    int64_t context = kv->model->info.context;
    assert(n >= 0);
    if (n > context - kv->len)
        return err_set(err, ERR_CONTEXT_LENGTH, NULL,
                       "%" PRId64 " more tokens after %" PRId64 " exceed the context of %" PRId64 " tokens.",
                       n, kv->len, context);
    size_t wanted = (size_t)((kv->len + n + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS);
    if (wanted <= kv->n_pages)
        return ERR_OK;
    if (wanted - kv->n_pages > pages_left(pool))
        return err_set(err, ERR_BUSY, NULL,
                       "The memory for keys and values is full: %zu more pages of %d tokens, %zu left.",
                       wanted - kv->n_pages, KV_PAGE_TOKENS, pages_left(pool));
    if (wanted > kv->cap_pages) {
        kv->cap_pages = wanted + wanted / 2;
        kv->pages = mem_realloc(kv->pages, kv->cap_pages * sizeof *kv->pages);
    }
    while (kv->n_pages < wanted)
        kv->pages[kv->n_pages++] = page_take(pool);
    return ERR_OK;
}
