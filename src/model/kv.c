/*
 * kv.c - keys and values of sequences, in pages from one bounded pool, shared by prefix.
 *
 * A page is free, held by sequences, kept by the tree of stored beginnings (kv_tree.c), or both of these. Its
 * refs count the holders: each sequence one, the tree one. A sequence's page table is a path of the tree
 * (full pages, perhaps shared) followed by pages that are its own: the one it writes to and room it has
 * reserved. So a page is written only while refs is 1 and it is not in the tree, and what is in the tree
 * never changes.
 *
 * That two sequences may swap pages for their tokens' sake rests on the model's invariant: the keys and
 * values of a token are a function of the tokens up to it, bit for bit, whatever was computed beside it.
 *
 * The pool is one reservation of address space made when the model opens; memory arrives as pages are first
 * written, in order, so a server that was never asked holds none of it. Pages once written stay resident, up
 * to the pool's bound. Huge pages are asked for: memory then arrives by 2 MiB, at most that much ahead of
 * what is used. The tables beside the pages take some 300 bytes a page, when it is used.
 *
 * A reservation is all or nothing: a sequence never holds pages that it could not use.
 *
 * Threads: the engine's. Ownership: a kv owns its page table, the pool the memory.
 */
#include "model/model_impl.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

/* --- the pool ------------------------------------------------------------------------------------------- */

#define HUGE_PAGE (2 * MIB)

/* Bytes of a page's tables: refs, free and its node. */
#define TABLE_BYTES (2 * sizeof(uint32_t) + sizeof(struct kv_node))

/* Reserves pages and tables; false: errno says why. */
static bool pool_map(struct kv_pool *p)
{
    size_t pages = p->n_pages * p->page_bytes, tables = p->n_pages * TABLE_BYTES;
    p->map_bytes = HUGE_PAGE + pages + 64 + tables;
    p->map =
        mmap(NULL, p->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p->map == MAP_FAILED)
        return false;
    p->memory = (unsigned char *)(((uintptr_t)p->map + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    (void)madvise(p->memory, pages,
                  MADV_HUGEPAGE); /* refused where the system has none: small pages serve as well */
    struct kv_node *nodes = (void *)(p->memory + pages); /* page_bytes is a multiple of 64 */
    p->refs = (uint32_t *)(nodes + p->n_pages);
    p->free = p->refs + p->n_pages;
    kv_tree_init(&p->tree, nodes);
    return true;
}

enum err_code kv_pool_init(struct kv_pool *p, const struct shape *s, enum kv_type type, int64_t bytes_max,
                           struct err *err)
{
    *p = (struct kv_pool){ .type = type,
                           .head_dim = (size_t)s->head_dim,
                           .n_layers = (size_t)s->n_layers,
                           .n_kv_heads = (size_t)s->n_kv_heads };
    p->head_bytes = kv_head_bytes(type, p->head_dim);
    p->layer_bytes = p->n_kv_heads * p->head_bytes;
    p->page_bytes = p->n_layers * p->layer_bytes;
    uint64_t pages = bytes_max > 0 ? (uint64_t)bytes_max / p->page_bytes : 0;
    if (pages == 0) {
        size_t page_bytes = p->page_bytes;
        *p = (struct kv_pool){ 0 };
        return err_set(
            err, ERR_CONFIG, "kv_bytes_max",
            "Expected at least %zu bytes for keys and values (one page of %d tokens), but got %" PRId64 ".",
            page_bytes, KV_PAGE_TOKENS, bytes_max);
    }
    /* Numbers of pages are 32 bits wide; what bytes_max grants beyond that, terabytes, stays unused. */
    p->n_pages = pages < KV_NO_PAGE ? (uint32_t)pages : KV_NO_PAGE;
    if (!pool_map(p)) {
        size_t asked = p->map_bytes;
        *p = (struct kv_pool){ 0 };
        return err_set(err, ERR_CONFIG, "kv_bytes_max", "Cannot reserve %zu bytes for keys and values: %s.",
                       asked, strerror(errno));
    }
    return ERR_OK;
}

void kv_pool_free(struct kv_pool *p)
{
    if (p->map)
        munmap(p->map, p->map_bytes);
    *p = (struct kv_pool){ 0 };
}

/* Pages that can be had: never used, given back, or only kept. All of the last can be given up one after the
 * other, because no sequence holds anything below a kept page. */
static size_t pages_left(const struct kv_pool *p)
{
    return p->n_free + (p->n_pages - p->n_fresh) + p->tree.n_kept;
}

static bool in_tree(const struct kv_pool *p, uint32_t page)
{
    return p->tree.nodes[page].n_tokens > 0;
}

/* The tree gives up a page that nobody else holds. */
static void page_forget(struct kv_pool *p, uint32_t page)
{
    assert(p->refs[page] == 1);
    kv_tree_remove(&p->tree, page);
    p->refs[page] = 0;
    p->free[p->n_free++] = page;
}

/* A page with one reference, the caller's: the one given back last, for the caches' sake; or a new one; or,
 * when there is none left, the one that the tree kept longest. */
static uint32_t page_take(struct kv_pool *p)
{
    assert(pages_left(p) > 0);
    if (p->n_free == 0 && p->n_fresh == p->n_pages) {
        page_forget(p, p->tree.oldest);
        p->evicted++;
    }
    uint32_t page = p->n_free ? p->free[--p->n_free] : p->n_fresh++;
    assert(p->refs[page] == 0 && !in_tree(p, page));
    p->refs[page] = 1;
    return page;
}

/* One more sequence holds a page of the tree. */
static void page_ref(struct kv_pool *p, uint32_t page)
{
    assert(in_tree(p, page));
    if (p->refs[page]++ == 1)
        kv_tree_hold(&p->tree, page);
}

static void page_unref(struct kv_pool *p, uint32_t page)
{
    assert(p->refs[page] > (in_tree(p, page) ? 1u : 0u));
    if (--p->refs[page] == 0)
        p->free[p->n_free++] = page;
    else if (p->refs[page] == 1 && in_tree(p, page))
        kv_tree_keep(&p->tree, page);
}

/* The first n tokens of a page into another. */
static void page_copy(struct kv_pool *p, uint32_t to, uint32_t from, int64_t n)
{
    unsigned char *dst = p->memory + to * p->page_bytes;
    const unsigned char *src = p->memory + from * p->page_bytes;
    for (size_t at = 0; at < p->page_bytes; at += p->head_bytes)
        kv_head_copy(p->type, p->head_dim, dst + at, src + at, (size_t)n);
}

/* Page i of kv, with its n tokens, into the tree, in place of a child that is a beginning of them. Nobody
 * holds such a child: it has fewer than 64 tokens, and of those kv_match takes copies only. */
static void page_publish(struct kv_pool *p, const struct kv *kv, size_t i, int64_t n, struct kv_found nearest)
{
    uint32_t page = kv->pages[i];
    assert(p->refs[page] == 1);
    if (nearest.n > 0 && nearest.n == p->tree.nodes[nearest.page].n_tokens)
        page_forget(p, nearest.page);
    kv_tree_insert(&p->tree, i ? kv->pages[i - 1] : KV_NO_PAGE, kv->salt, kv->tokens + i * KV_PAGE_TOKENS, n,
                   page);
    p->refs[page]++;
}

/* --- sequences ------------------------------------------------------------------------------------------ */

struct kv *kv_open(struct model *m)
{
    struct kv *kv = mem_zalloc(sizeof *kv);
    kv->model = m;
    m->n_kv++;
    return kv;
}

void kv_set_salt(struct kv *kv, uint64_t salt)
{
    assert(kv->len == 0);
    kv->salt = salt;
}

/* Lets go of the pages from n on, the deepest first: see kv_tree.c on why. */
static void pages_drop(struct kv *kv, size_t n)
{
    while (kv->n_pages > n)
        page_unref(&kv->model->kv_pool, kv->pages[--kv->n_pages]);
    if (kv->n_published > n)
        kv->n_published = n;
}

static struct kv_found nearest_child(const struct kv *kv, size_t i, int64_t n)
{
    return kv_tree_find(&kv->model->kv_pool.tree, i ? kv->pages[i - 1] : KV_NO_PAGE, kv->salt,
                        kv->tokens + i * KV_PAGE_TOKENS, n);
}

void kv_publish(struct kv *kv)
{
    struct kv_pool *p = &kv->model->kv_pool;
    for (; (int64_t)(kv->n_published + 1) * KV_PAGE_TOKENS <= kv->len; kv->n_published++) {
        size_t i = kv->n_published;
        struct kv_found nearest = nearest_child(kv, i, KV_PAGE_TOKENS);
        if (nearest.n < KV_PAGE_TOKENS) {
            page_publish(p, kv, i, KV_PAGE_TOKENS, nearest);
            continue;
        }
        /* Somebody computed the same page at the same time and was first: both go on with one. */
        page_ref(p, nearest.page);
        page_unref(p, kv->pages[i]);
        kv->pages[i] = nearest.page;
    }
}

/* What the last page holds stays too, unless a kept page says as much. */
static void publish_rest(struct kv *kv)
{
    size_t i = kv->n_published;
    int64_t n = kv->len - (int64_t)i * KV_PAGE_TOKENS;
    struct kv_found nearest = nearest_child(kv, i, n);
    if (nearest.n < n)
        page_publish(&kv->model->kv_pool, kv, i, n, nearest);
}

void kv_close(struct kv *kv)
{
    if (!kv)
        return;
    kv_publish(kv);
    if (kv->len % KV_PAGE_TOKENS)
        publish_rest(kv);
    pages_drop(kv, 0);
    kv->model->n_kv--;
    mem_free(kv->tokens);
    mem_free(kv->pages);
    mem_free(kv);
}

int64_t kv_len(const struct kv *kv)
{
    return kv->len;
}

/* Room in the tables for n pages and their tokens. */
static void tables_grow(struct kv *kv, size_t n)
{
    if (n <= kv->cap_pages)
        return;
    kv->cap_pages = n + n / 2;
    kv->pages = mem_realloc(kv->pages, kv->cap_pages * sizeof *kv->pages);
    kv->tokens = mem_realloc(kv->tokens, kv->cap_pages * KV_PAGE_TOKENS * sizeof *kv->tokens);
}

enum err_code kv_reserve(struct kv *kv, int64_t n, struct err *err)
{
    struct kv_pool *p = &kv->model->kv_pool;
    int64_t context = kv->model->info.context;
    assert(n >= 0);
    if (n > context - kv->len)
        return err_set(err, ERR_CONTEXT_LENGTH, NULL,
                       "%" PRId64 " more tokens after %" PRId64 " exceed the context of %" PRId64 " tokens.",
                       n, kv->len, context);
    size_t wanted = (size_t)((kv->len + n + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS);
    if (wanted <= kv->n_pages)
        return ERR_OK;
    if (wanted - kv->n_pages > pages_left(p))
        return err_set(err, ERR_BUSY, NULL,
                       "The memory for keys and values is full: %zu more pages of %d tokens, %zu left.",
                       wanted - kv->n_pages, KV_PAGE_TOKENS, pages_left(p));
    tables_grow(kv, wanted);
    while (kv->n_pages < wanted)
        kv->pages[kv->n_pages++] = page_take(p);
    return ERR_OK;
}

int64_t kv_append(struct kv *kv, int32_t token)
{
    assert((size_t)kv->len < kv->n_pages * KV_PAGE_TOKENS &&
           kv->len < kv->model->info.context); /* reserved */
    uint32_t page = kv->pages[kv->len / KV_PAGE_TOKENS];
    assert(kv->model->kv_pool.refs[page] == 1 && !in_tree(&kv->model->kv_pool, page));
    kv->tokens[kv->len] = token;
    return kv->len++;
}

/* --- beginnings that are stored ------------------------------------------------------------------------- */

struct match {
    size_t whole;         /* pages to share */
    uint32_t last;        /* of them */
    struct kv_found part; /* a page of which n tokens are to be copied */
};

static struct match match_find(const struct kv_pool *p, uint64_t salt, const int32_t *ids, int64_t n)
{
    struct match m = { .last = KV_NO_PAGE };
    size_t kept = 0; /* pages that would count as left no longer */
    assert(n >= 0);
    for (;;) {
        int64_t rest = n - (int64_t)m.whole * KV_PAGE_TOKENS;
        m.part = kv_tree_find(&p->tree, m.last, salt, ids + m.whole * KV_PAGE_TOKENS,
                              rest < KV_PAGE_TOKENS ? rest : KV_PAGE_TOKENS);
        kept += m.part.n && p->refs[m.part.page] == 1;
        if (m.part.n < KV_PAGE_TOKENS)
            break;
        m.last = m.part.page;
        m.whole++;
    }
    if (pages_left(p) <= kept) /* the page that is copied must outlive the copying */
        m.part = (struct kv_found){ KV_NO_PAGE, 0 };
    return m;
}

static int64_t match_tokens(const struct match *m)
{
    return (int64_t)m->whole * KV_PAGE_TOKENS + m->part.n;
}

int64_t kv_would_match(const struct model *m, uint64_t salt, const int32_t *ids, int64_t n)
{
    struct match found = match_find(&m->kv_pool, salt, ids, n);
    return match_tokens(&found);
}

/* Appends a page of its own to kv with the first n tokens of another. */
static void copy_rest(struct kv *kv, uint32_t from, int64_t n)
{
    struct kv_pool *p = &kv->model->kv_pool;
    uint32_t page = page_take(p);
    page_copy(p, page, from, n);
    kv->pages[kv->n_pages++] = page;
}

int64_t kv_match(struct kv *kv, const int32_t *ids, int64_t n)
{
    struct kv_pool *p = &kv->model->kv_pool;
    assert(kv->len == 0);
    pages_drop(kv, 0);
    struct match m = match_find(p, kv->salt, ids, n);
    tables_grow(kv, m.whole + 1);
    uint32_t page = m.last;
    for (size_t i = m.whole; i-- > 0; page = p->tree.nodes[page].parent) {
        page_ref(p, page);
        kv->pages[i] = page;
    }
    kv->n_pages = kv->n_published = m.whole;
    if (m.part.n) {
        if (p->refs[m.part.page] == 1) { /* used now: and by that the last to be given up for the copy */
            kv_tree_hold(&p->tree, m.part.page);
            kv_tree_keep(&p->tree, m.part.page);
        }
        copy_rest(kv, m.part.page, m.part.n);
    }
    kv->len = match_tokens(&m);
    if (kv->len)
        memcpy(kv->tokens, ids, (size_t)kv->len * sizeof *ids);
    p->hits += kv->len;
    return kv->len;
}

struct kv *kv_fork(struct kv *kv)
{
    struct kv_pool *p = &kv->model->kv_pool;
    kv_publish(kv);
    size_t whole = kv->n_published;
    int64_t rest = kv->len - (int64_t)whole * KV_PAGE_TOKENS;
    if (rest && pages_left(p) == 0)
        return NULL;
    struct kv *child = kv_open(kv->model);
    child->salt = kv->salt;
    tables_grow(child, whole + 1);
    for (size_t i = 0; i < whole; i++) {
        page_ref(p, kv->pages[i]);
        child->pages[i] = kv->pages[i];
    }
    child->n_pages = child->n_published = whole;
    if (rest)
        copy_rest(child, kv->pages[whole], rest);
    child->len = kv->len;
    if (kv->len)
        memcpy(child->tokens, kv->tokens, (size_t)kv->len * sizeof *kv->tokens);
    return child;
}

int64_t kv_truncate(struct kv *kv, int64_t len)
{
    struct kv_pool *p = &kv->model->kv_pool;
    assert(len >= 0 && len <= kv->len);
    size_t whole = (size_t)(len / KV_PAGE_TOKENS);
    int64_t rest = len % KV_PAGE_TOKENS;
    pages_drop(kv, rest ? whole + 1 : whole);
    if (whole < kv->n_published) { /* what is in the tree is not written to: go on in a copy */
        uint32_t shared = kv->pages[whole];
        kv->n_pages = kv->n_published = whole;
        if (pages_left(p) > 0)
            copy_rest(kv, shared, rest);
        else
            len -= rest;
        page_unref(p, shared);
    }
    kv->len = len;
    return len;
}

void kv_usage(const struct model *m, struct kv_usage *out)
{
    const struct kv_pool *p = &m->kv_pool;
    *out = (struct kv_usage){ .pages = p->n_pages,
                              .pages_used = (int64_t)(p->n_pages - pages_left(p)),
                              .pages_kept = (int64_t)p->tree.n_kept,
                              .page_bytes = (int64_t)p->page_bytes,
                              .page_tokens = KV_PAGE_TOKENS,
                              .hits = p->hits,
                              .evicted = p->evicted };
}
