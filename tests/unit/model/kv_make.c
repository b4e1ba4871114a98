/*
 * kv_make.c - see kv_make.h.
 */
#include "test.h"

#include "model/kv_make.h"

#include <string.h>

enum { LAYERS = 2, HEADS = 3, DIM = 20 };

struct model *kv_make_open(enum kv_type type, int n_pages, int64_t context)
{
    struct model *m = mem_zalloc(sizeof *m);
    m->shape = (struct shape){ .n_layers = LAYERS, .n_kv_heads = HEADS, .head_dim = DIM };
    m->info.context = context;
    int64_t bytes = (int64_t)(LAYERS * HEADS * kv_head_bytes(type, DIM)) * n_pages;
    assert_int_equal(kv_pool_init(&m->kv_pool, &m->shape, type, bytes + 100, NULL), ERR_OK);
    assert_int_equal(m->kv_pool.n_pages, n_pages);
    return m;
}

void kv_make_close(struct model *m)
{
    kv_make_check_pool(m, NULL, 0);
    assert_int_equal(m->n_kv, 0);
    kv_pool_free(&m->kv_pool);
    mem_free(m);
}

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * 0x9e3779b97f4a7c15;
    return h ^ h >> 29;
}

/* The keys and values of the token whose beginning hashes to h, into place `at` of a kv_head. */
static void store(enum kv_type type, void *head, size_t at, uint64_t h)
{
    float key[DIM], value[DIM];
    for (size_t i = 0; i < DIM; i++) {
        key[i] = (float)(mix(h, i) % 255) - 127;
        value[i] = (float)(mix(h, i + DIM) % 255) - 127;
    }
    struct kv_store s = { .type = type, .head_dim = DIM, .head = head, .at = at, .key = key, .value = value };
    kernels_scalar.kv_store(&s);
}

static unsigned char *head_of(const struct kv_pool *p, uint32_t page, size_t layer, size_t head)
{
    return p->memory + page * p->page_bytes + layer * p->layer_bytes + head * p->head_bytes;
}

static uint64_t hash_of(const int32_t *tokens, int64_t n)
{
    uint64_t h = 1;
    for (int64_t i = 0; i < n; i++)
        h = mix(h, (uint64_t)tokens[i] + 7);
    return h;
}

void kv_make_step(struct kv *kv, const int32_t *tokens, int64_t n)
{
    struct kv_pool *p = &kv->model->kv_pool;
    uint64_t h = hash_of(kv->tokens, kv->len);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = kv_append(kv, tokens[i]);
        uint32_t page = kv->pages[at / KV_PAGE_TOKENS];
        assert_int_equal(p->refs[page], 1);
        assert_int_equal(p->tree.nodes[page].n_tokens, 0);
        h = mix(h, (uint64_t)tokens[i] + 7);
        for (size_t layer = 0; layer < LAYERS; layer++)
            for (size_t head = 0; head < HEADS; head++)
                store(p->type, head_of(p, page, layer, head), (size_t)(at % KV_PAGE_TOKENS),
                      mix(h, layer * HEADS + head));
    }
    kv_publish(kv);
}

/* A kv_head can be read by its owner only, so two are compared after both were brought to 64 tokens: `got`
 * has its first n copied and the rest stored, `want` all stored. */
static void check_head(const struct kv_pool *p, const void *head, const uint64_t *hashes, size_t n)
{
    unsigned char *want = mem_aligned(64, p->head_bytes), *got = mem_aligned(64, p->head_bytes);
    kv_head_copy(p->type, DIM, got, head, n);
    for (size_t t = 0; t < KV_PAGE_TOKENS; t++) {
        store(p->type, want, t, t < n ? hashes[t] : t);
        if (t >= n)
            store(p->type, got, t, t);
    }
    assert_memory_equal(want, got, p->head_bytes);
    mem_free(got);
    mem_free(want);
}

void kv_make_check(const struct kv *kv)
{
    const struct kv_pool *p = &kv->model->kv_pool;
    uint64_t h = 1;
    for (int64_t at = 0; at < kv->len; at += KV_PAGE_TOKENS) {
        size_t n = (size_t)(kv->len - at < KV_PAGE_TOKENS ? kv->len - at : KV_PAGE_TOKENS);
        uint64_t hashes[LAYERS * HEADS][KV_PAGE_TOKENS];
        for (size_t t = 0; t < n; t++) {
            h = mix(h, (uint64_t)kv->tokens[at + (int64_t)t] + 7);
            for (size_t i = 0; i < LAYERS * HEADS; i++)
                hashes[i][t] = mix(h, i);
        }
        for (size_t i = 0; i < LAYERS * HEADS; i++)
            check_head(p, head_of(p, kv->pages[at / KV_PAGE_TOKENS], i / HEADS, i % HEADS), hashes[i], n);
    }
}

void kv_make_check_pool(const struct model *m, struct kv *const *kvs, size_t n)
{
    const struct kv_pool *p = &m->kv_pool;
    uint32_t *holders = mem_array(p->n_pages, sizeof *holders);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < kvs[i]->n_pages; j++)
            holders[kvs[i]->pages[j]]++;
    int64_t used = 0, kept = 0;
    for (uint32_t page = 0; page < p->n_pages; page++) {
        const struct kv_node *node = &p->tree.nodes[page];
        bool stored = node->n_tokens > 0;
        assert_int_equal(p->refs[page], holders[page] + stored);
        used += holders[page] > 0;
        kept += stored && holders[page] == 0;
        if (stored)
            assert_int_equal(node->kept, holders[page] == 0);
        if (stored && node->parent != KV_NO_PAGE) /* no page hangs below one that is gone */
            assert_int_equal(p->tree.nodes[node->parent].n_tokens, KV_PAGE_TOKENS);
    }
    struct kv_usage usage;
    kv_usage(m, &usage);
    assert_int_equal(usage.pages_used, used);
    assert_int_equal(usage.pages_kept, kept);
    assert_int_equal(p->n_fresh - p->n_free, used + kept); /* none is lost */
    mem_free(holders);
}
