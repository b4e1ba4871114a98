/*
 * kv.c - pages of keys and values: bounded, all or nothing, shared by prefix, used again.
 */
#include "test.h"

#include "model/kv_make.h"

#include <string.h>

enum { PAGE = KV_PAGE_TOKENS };

/* Token i of text number `text`; texts agree up to token `common` and nowhere after. */
static void write_text(int32_t *ids, int64_t n, int32_t text, int64_t common)
{
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)(i % 50) + (i < common ? 0 : 1000 * text + 100);
}

/* A new sequence over ids: what is stored is matched, the rest computed. */
static struct kv *run(struct model *m, const int32_t *ids, int64_t n, int64_t want_match)
{
    struct kv *kv = kv_open(m);
    assert_int_equal(kv_would_match(m, 0, ids, n), want_match);
    assert_int_equal(kv_match(kv, ids, n), want_match);
    assert_int_equal(kv_reserve(kv, n - want_match, NULL), ERR_OK);
    kv_make_step(kv, ids + want_match, n - want_match);
    assert_int_equal(kv_len(kv), n);
    kv_make_check(kv);
    return kv;
}

static struct kv_usage usage_of(const struct model *m)
{
    struct kv_usage u;
    kv_usage(m, &u);
    return u;
}

static void a_full_pool_is_busy(void **state)
{
    (void)state;
    struct model *m = kv_make_open(KV_F32, 4, 1024);
    struct kv *a = kv_open(m), *b = kv_open(m);
    struct err err = { 0 };
    assert_int_equal(kv_reserve(a, 65, NULL), ERR_OK);    /* two pages */
    assert_int_equal(kv_reserve(a, 128, NULL), ERR_OK);   /* the same two */
    assert_int_equal(kv_reserve(b, 129, &err), ERR_BUSY); /* three of two left */
    assert_int_equal(usage_of(m).pages_used, 2);          /* what failed took nothing */
    assert_int_equal(kv_reserve(b, 128, NULL), ERR_OK);
    assert_int_equal(kv_reserve(a, 129, NULL), ERR_BUSY);
    kv_close(b);
    assert_int_equal(kv_reserve(a, 129, NULL), ERR_OK);
    assert_int_equal(kv_len(a), 0);
    kv_close(a);
    kv_close(NULL);
    kv_make_close(m);
}

static void the_context_binds(void **state)
{
    (void)state;
    struct model *m = kv_make_open(KV_F32, 40, 1024);
    struct kv *kv = kv_open(m);
    struct err err = { 0 };
    assert_int_equal(kv_reserve(kv, 1024, NULL), ERR_OK);
    assert_int_equal(kv_reserve(kv, 1025, &err), ERR_CONTEXT_LENGTH);
    assert_non_null(strstr(err.message, "1024"));
    kv_make_step(kv, &(int32_t){ 5 }, 1);
    assert_int_equal(kv_reserve(kv, 1024, NULL), ERR_CONTEXT_LENGTH);
    assert_int_equal(kv_reserve(kv, 1023, NULL), ERR_OK);
    kv_close(kv);
    kv_make_close(m);
}

static void a_pool_that_cannot_be_is_refused(void **state)
{
    (void)state;
    struct shape small = { .n_layers = 2, .n_kv_heads = 2, .head_dim = 16 };
    struct shape large = { .n_layers = 128, .n_kv_heads = 64, .head_dim = 256 };
    int64_t page = (int64_t)(4 * kv_head_bytes(KV_F16, 16));
    const struct {
        const struct shape *shape;
        int64_t bytes_max;
    } bad[] = { { &small, page - 1 },  { &small, 0 },       { &small, -1 },
                { &small, INT64_MIN }, { &large, 1 << 20 }, { &large, INT64_MAX } };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct kv_pool p;
        struct err err = { 0 };
        assert_int_equal(kv_pool_init(&p, bad[i].shape, KV_F16, bad[i].bytes_max, &err), ERR_CONFIG);
        assert_string_equal(err.param, "kv_bytes_max");
        kv_pool_free(&p); /* of what was not opened is fine */
    }
}

/* What follows runs for each type of page. */
#define FOR_TYPES(type) for (enum kv_type type = 0; type < KV_TYPE_COUNT; type++)

/* A match is exact to the token: whole pages are the same pages, of one more what agrees is copied. */
static void a_beginning_is_found_to_the_token(void **state)
{
    (void)state;
    int32_t ids[300], other[300];
    write_text(ids, 300, 1, 0);
    FOR_TYPES(type)
    {
        struct model *m = kv_make_open(type, 99, 1024);
        kv_close(run(m, ids, 200, 0));
        assert_int_equal(usage_of(m).pages_kept, 4); /* the fourth with 8 tokens */
        int64_t known = 200;
        const int64_t lengths[] = { 0, 1, 63, 64, 65, 127, 128, 191, 192, 199, 200, 201, 300 };
        for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
            int64_t n = lengths[i], want = n < known ? n : known;
            known = n < known ? known : n;
            struct kv *kv = run(m, ids, n, want);
            assert_int_equal(usage_of(m).pages_used, (n + PAGE - 1) / PAGE);
            kv_make_check_pool(m, &kv, 1);
            kv_close(kv);
        }
        for (int64_t common = 0; common <= 200; common += common < 60 || common > 70 ? 7 : 1) {
            memcpy(other, ids, sizeof other);
            for (int64_t t = common; t < 300; t++)
                other[t] = 9000 + (int32_t)common;
            int64_t hits = usage_of(m).hits;
            struct kv *kv = run(m, other, common + 20, common);
            assert_int_equal(usage_of(m).hits, hits + common);
            kv_close(kv);
        }
        kv_make_close(m);
    }
}

/* The same tokens under another salt are another text: while they are computed, when they are stored, in a fork. */
static void salts_share_nothing(void **state)
{
    (void)state;
    static const uint64_t salts[] = { 7, 0, UINT64_MAX, 8 };
    int32_t ids[300];
    write_text(ids, 300, 1, 0);
    FOR_TYPES(type)
    {
        struct model *m = kv_make_open(type, 99, 1024);
        for (size_t round = 0; round < 2; round++)
            for (size_t i = 0; i < ARRAY_LEN(salts); i++) {
                struct kv *kv = kv_open(m), *fork;
                int64_t want = round ? 150 : 0;
                kv_set_salt(kv, salts[i]);
                assert_int_equal(kv_would_match(m, salts[i], ids, 200), want);
                assert_int_equal(kv_match(kv, ids, 200), want);
                assert_int_equal(kv_reserve(kv, 150 - want, NULL), ERR_OK);
                kv_make_step(kv, ids + want, 150 - want);
                kv_make_check(kv);
                assert_int_equal(kv_would_match(m, salts[i] + 1000, ids, 200), 0);
                fork = kv_fork(kv);
                kv_close(kv);
                kv_close(fork);
            }
        assert_int_equal(usage_of(m).hits, 4 * 150);
        assert_int_equal(usage_of(m).pages_kept, 4 * 3);
        kv_make_close(m);
    }
}

/* Thirty-two branches of a prompt of 512 tokens hold its eight pages once. */
static void branches_share_the_pages_of_their_prompt(void **state)
{
    (void)state;
    enum { BRANCHES = 32, PROMPT = 512 };
    static int32_t ids[PROMPT + 70];
    struct model *m = kv_make_open(KV_Q8, 200, 1024);
    struct kv *kvs[BRANCHES];
    for (int32_t b = 0; b < BRANCHES; b++) {
        write_text(ids, ARRAY_LEN(ids), b + 1, PROMPT);
        kvs[b] = run(m, ids, PROMPT + 1, b ? PROMPT : 0);
        assert_memory_equal(kvs[b]->pages, kvs[0]->pages, 8 * sizeof *kvs[b]->pages);
        assert_int_equal(usage_of(m).pages_used, 8 + b + 1);
    }
    for (int32_t b = 0; b < BRANCHES; b++) { /* 70 tokens of its own: two pages */
        write_text(ids, ARRAY_LEN(ids), b + 1, PROMPT);
        assert_int_equal(kv_reserve(kvs[b], 69, NULL), ERR_OK);
        kv_make_step(kvs[b], ids + PROMPT + 1, 69);
        kv_make_check(kvs[b]);
    }
    assert_int_equal(usage_of(m).pages_used, 8 + 2 * BRANCHES);
    kv_make_check_pool(m, kvs, BRANCHES);
    for (int32_t b = 0; b < BRANCHES; b++)
        kv_close(kvs[b]);
    assert_int_equal(usage_of(m).pages_used, 0);
    assert_int_equal(usage_of(m).pages_kept, 8 + 2 * BRANCHES);
    kv_make_close(m);
}

/* Sequences that compute the same at the same time end up on the same pages: their contents are equal bit for
 * bit. */
static void twins_become_one(void **state)
{
    (void)state;
    int32_t ids[150];
    write_text(ids, 150, 1, 0);
    FOR_TYPES(type)
    {
        struct model *m = kv_make_open(type, 8, 1024);
        struct kv *kvs[] = { kv_open(m), kv_open(m) };
        assert_int_equal(kv_reserve(kvs[0], 150, NULL), ERR_OK);
        assert_int_equal(kv_reserve(kvs[1], 150, NULL), ERR_OK);
        for (int64_t t = 0; t < 150; t += 25) /* in chunks that cross the pages' ends */
            for (int i = 0; i < 2; i++)
                kv_make_step(kvs[i], ids + t, 25);
        assert_int_equal(usage_of(m).pages_used, 2 + 2); /* the last page of each is not full */
        assert_memory_equal(kvs[0]->pages, kvs[1]->pages, 2 * sizeof *kvs[0]->pages);
        assert_int_not_equal(kvs[0]->pages[2], kvs[1]->pages[2]);
        kv_make_check_pool(m, kvs, 2);
        kv_close(kvs[0]);
        kv_make_check(kvs[1]);
        kv_close(kvs[1]); /* its rest is in the tree already */
        assert_int_equal(usage_of(m).pages_kept, 3);
        kv_make_close(m);
    }
}

/* Turns of a conversation: what one leaves behind the next one takes up, and replaces by what is longer. */
static void a_conversation_goes_on(void **state)
{
    (void)state;
    int32_t ids[640];
    write_text(ids, 640, 1, 0);
    struct model *m = kv_make_open(KV_F16, 20, 1024);
    int64_t known = 0;
    for (int64_t n = 5; n < 640; n += 5 + n / 4) {
        kv_close(run(m, ids, n, known));
        assert_int_equal(usage_of(m).pages_kept, (n + PAGE - 1) / PAGE); /* no page twice */
        known = n;
    }
    kv_make_close(m);
}

/* Room is made by giving up what was used longest ago, the ends of texts before their beginnings; what a
 * sequence holds stays. */
static void the_least_recently_used_goes_first(void **state)
{
    (void)state;
    int32_t a[200], b[200], c[200];
    write_text(a, 200, 1, 0);
    write_text(b, 200, 2, 0);
    write_text(c, 200, 3, 0);
    struct model *m = kv_make_open(KV_F32, 10, 1024);
    kv_close(run(m, a, 192, 0));
    kv_close(run(m, b, 192, 0));
    kv_close(run(m, a, 128, 128)); /* the last of a is now older than all of b */
    struct kv *held = kv_open(m);
    assert_int_equal(kv_reserve(held, 5 * PAGE, NULL), ERR_OK); /* four were free */
    assert_int_equal(usage_of(m).evicted, 1);
    assert_int_equal(kv_would_match(m, 0, a, 200), 128);
    assert_int_equal(kv_would_match(m, 0, b, 200), 192);
    assert_int_equal(kv_reserve(held, 7 * PAGE, NULL), ERR_OK);
    assert_int_equal(kv_would_match(m, 0, a, 200), 128);
    assert_int_equal(kv_would_match(m, 0, b, 200), 64);

    struct kv *kv = kv_open(m); /* a is taken: two pages, one left */
    assert_int_equal(kv_match(kv, a, 128), 128);
    assert_int_equal(kv_reserve(kv, 1, NULL), ERR_OK);
    assert_int_equal(kv_would_match(m, 0, b, 200), 0);
    struct err err = { 0 };
    assert_int_equal(kv_reserve(kv, PAGE + 1, &err), ERR_BUSY);
    assert_int_equal(usage_of(m).evicted, 4);
    kv_make_check(kv);
    kv_close(held);
    kv_close(kv);
    kv_close(run(m, c, 200, 0));
    kv_make_close(m);
}

/* With no page to copy to, whole pages are shared and no more; a page is never copied onto itself. */
static void a_copy_needs_a_page(void **state)
{
    (void)state;
    int32_t ids[200];
    write_text(ids, 200, 1, 0);
    struct model *m = kv_make_open(KV_F32, 3, 1024);
    kv_close(run(m, ids, 100, 0));
    struct kv *held = kv_open(m), *kv = kv_open(m);
    assert_int_equal(kv_reserve(held, PAGE, NULL), ERR_OK);
    assert_int_equal(kv_would_match(m, 0, ids, 100), 64); /* the page of the 36 is the only one left */
    assert_int_equal(kv_match(kv, ids, 100), 64);
    assert_int_equal(kv_reserve(kv, 36, NULL), ERR_OK);
    kv_make_step(kv, ids + 64, 36);
    kv_make_check(kv);
    kv_close(kv);
    kv_close(held);
    kv = run(m, ids, 100, 100);
    kv_close(kv);
    kv_make_close(m);
}

static void a_fork_has_its_own_future(void **state)
{
    (void)state;
    int32_t ids[200], other[200];
    write_text(ids, 200, 1, 0);
    write_text(other, 200, 2, 0);
    FOR_TYPES(type)
    {
        for (int64_t n = 0; n <= 130; n += 13) {
            struct model *m = kv_make_open(type, 9, 1024);
            struct kv *parent = run(m, ids, n, 0);
            assert_int_equal(kv_reserve(parent, 200 - n, NULL), ERR_OK); /* room is not inherited */
            struct kv *child = kv_fork(parent), *kvs[] = { parent, child };
            assert_non_null(child);
            assert_int_equal(kv_len(child), n);
            kv_make_check_pool(m, kvs, 2);
            assert_int_equal(usage_of(m).pages_used, 4 + (n % PAGE != 0));
            assert_int_equal(kv_reserve(child, 200 - n, NULL), ERR_OK);
            kv_make_step(parent, ids + n, 200 - n);
            kv_make_step(child, other + n, 200 - n);
            kv_make_check(parent);
            kv_make_check(child);
            kv_close(parent);
            kv_make_check(child);
            kv_close(child);
            kv_make_close(m);
        }
    }
}

static void nothing_can_be_forked_and_matched(void **state)
{
    (void)state;
    struct model *m = kv_make_open(KV_F32, 2, 1024);
    struct kv *kvs[] = { kv_open(m), NULL };
    kvs[1] = kv_fork(kvs[0]);
    assert_int_equal(kv_len(kvs[1]), 0);
    assert_int_equal(kv_truncate(kvs[1], 0), 0);
    assert_int_equal(kv_reserve(kvs[1], 128, NULL), ERR_OK);
    assert_int_equal(kv_match(kvs[1], (int32_t[]){ 1 }, 0), 0); /* and gives back what was reserved */
    assert_int_equal(kv_reserve(kvs[0], 128, NULL), ERR_OK);
    kv_make_check_pool(m, kvs, 2);
    kv_close(kvs[0]);
    kv_close(kvs[1]);
    kv_make_close(m);
}

static void a_fork_without_a_page_is_none(void **state)
{
    (void)state;
    int32_t ids[200];
    write_text(ids, 200, 1, 0);
    struct model *m = kv_make_open(KV_F32, 2, 1024);
    struct kv *parent = run(m, ids, 100, 0);
    assert_null(kv_fork(parent));
    kv_make_check_pool(m, &parent, 1);
    assert_int_equal(kv_truncate(parent, 64), 64);
    assert_int_equal(kv_reserve(parent, 64, NULL), ERR_OK);
    struct kv *child = kv_fork(parent); /* a whole page is shared: this needs none */
    assert_non_null(child);
    kv_close(child);
    kv_close(parent);
    kv_make_close(m);
}

static void tokens_are_taken_back(void **state)
{
    (void)state;
    int32_t ids[200], other[200];
    write_text(ids, 200, 1, 0);
    write_text(other, 200, 2, 0);
    FOR_TYPES(type)
    {
        for (int64_t len = 0; len <= 150; len++) {
            struct model *m = kv_make_open(type, 6, 1024);
            struct kv *kv = run(m, ids, 150, 0);
            assert_int_equal(kv_reserve(kv, 100, NULL), ERR_OK);
            assert_int_equal(kv_truncate(kv, len), len);
            assert_int_equal(kv_len(kv), len);
            assert_int_equal(usage_of(m).pages_used, (len + PAGE - 1) / PAGE);
            kv_make_check(kv);
            kv_make_check_pool(m, &kv, 1);
            assert_int_equal(kv_would_match(m, 0, ids, 150), 128); /* whole pages stay in the tree */
            assert_int_equal(kv_reserve(kv, 200 - len, NULL), ERR_OK);
            kv_make_step(kv, other + len, 200 - len);
            kv_make_check(kv);
            kv_close(kv);
            kv_make_close(m);
        }
    }
}

/* Where the copy that taking back wants has no page, more is taken back. */
static void taking_back_without_a_page_falls_to_a_whole_one(void **state)
{
    (void)state;
    int32_t ids[200];
    write_text(ids, 200, 1, 0);
    struct model *m = kv_make_open(KV_F32, 2, 1024);
    struct kv *kv = run(m, ids, 128, 0);
    assert_int_equal(kv_truncate(kv, 127), 64);
    kv_make_check(kv);
    assert_int_equal(kv_truncate(kv, 30), 30); /* the second page is only kept: it makes room */
    kv_make_check(kv);
    kv_close(kv);
    kv_make_close(m);
}

/* The i-th of many texts of 50 tokens that begin alike; each next to others in two places. */
static void write_sibling(int32_t *ids, int32_t i, int32_t n)
{
    memset(ids, 0, 50 * sizeof *ids);
    ids[10] = (int32_t)((int64_t)i * 7919 % n);
    ids[40] = i % 7;
}

static int height(const struct kv_tree *t, uint32_t page)
{
    if (page == KV_NO_PAGE)
        return 0;
    int left = height(t, t->nodes[page].left), right = height(t, t->nodes[page].right);
    return 1 + (left > right ? left : right);
}

/* Thousands of beginnings under one parent are each found, whatever their salts, and go one by one in the order of their
 * last use. */
static void many_siblings_are_found(void **state)
{
    (void)state;
    enum { SIBLINGS = 3000 };
    struct model *m = kv_make_open(KV_Q8, SIBLINGS + 1, (int64_t)1 << 20);
    int32_t ids[50];
    for (int32_t i = 0; i < SIBLINGS; i++) {
        struct kv *kv = kv_open(m);
        kv_set_salt(kv, (uint64_t)i % 3);
        write_sibling(ids, i, SIBLINGS);
        assert_int_equal(kv_reserve(kv, 50, NULL), ERR_OK);
        for (int t = 0; t < 50; t++)
            kv_append(kv, ids[t]);
        kv_close(kv);
    }
    struct kv *kv = kv_open(m);
    for (int32_t n = 0; n <= SIBLINGS + 1; n += 500) {
        assert_int_equal(kv_reserve(kv, (int64_t)n * PAGE, NULL), ERR_OK);
        int32_t evicted = n ? n - 1 : 0; /* the first page was free */
        assert_int_equal(usage_of(m).evicted, evicted);
        assert_true(height(&m->kv_pool.tree, m->kv_pool.tree.children) < 40); /* log2(3000) is 11.6 */
        for (int32_t i = 0; i < SIBLINGS; i += n ? 19 : 1) {
            write_sibling(ids, i, SIBLINGS);
            assert_int_equal(kv_would_match(m, (uint64_t)i % 3, ids, 50) == 50, i >= evicted);
            ids[40] = 8;
            assert_int_equal(kv_would_match(m, (uint64_t)i % 3, ids, 50) == 40, i >= evicted);
        }
    }
    kv_close(kv);
    kv_make_close(m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_full_pool_is_busy),
    cmocka_unit_test(the_context_binds),
    cmocka_unit_test(a_pool_that_cannot_be_is_refused),
    cmocka_unit_test(a_beginning_is_found_to_the_token),
    cmocka_unit_test(salts_share_nothing),
    cmocka_unit_test(branches_share_the_pages_of_their_prompt),
    cmocka_unit_test(twins_become_one),
    cmocka_unit_test(a_conversation_goes_on),
    cmocka_unit_test(the_least_recently_used_goes_first),
    cmocka_unit_test(a_copy_needs_a_page),
    cmocka_unit_test(a_fork_has_its_own_future),
    cmocka_unit_test(nothing_can_be_forked_and_matched),
    cmocka_unit_test(a_fork_without_a_page_is_none),
    cmocka_unit_test(tokens_are_taken_back),
    cmocka_unit_test(taking_back_without_a_page_falls_to_a_whole_one),
    cmocka_unit_test(many_siblings_are_found),
};
TEST_GROUP(model_kv, tests)
