/*
 * kv.c - pages of keys and values: bounded, all or nothing, and used again.
 */
#include "test.h"

#include "model/gguf_make.h"
#include "model/model.h"

#include <stdio.h>
#include <string.h>

enum { PAGE_BYTES = 2 * 2 * 2 * 64 * 16 * 4 }; /* layers, k and v, heads, tokens, dims, bytes */

/* A tiny model with memory for so many pages. */
static struct model *open_pages(int pages)
{
    char path[256];
    snprintf(path, sizeof path, "%s/pages.gguf", test_tmpdir());
    gguf_make_tiny(path, "qwen3", TENSOR_F32, 1);
    struct model_config cfg = {
        .path = path, .threads = 1, .kv_bytes_max = pages * PAGE_BYTES + 100, .cpu_mask = ~0u
    };
    struct model *m = NULL;
    assert_int_equal(model_open(&m, &cfg, NULL), ERR_OK);
    return m;
}

static void a_full_pool_is_busy(void **state)
{
    (void)state;
    struct model *m = open_pages(4);
    struct kv *a = kv_open(m), *b = kv_open(m);
    struct err err = { 0 };
    assert_int_equal(kv_reserve(a, 65, NULL), ERR_OK);    /* two pages */
    assert_int_equal(kv_reserve(a, 128, NULL), ERR_OK);   /* the same two */
    assert_int_equal(kv_reserve(b, 129, &err), ERR_BUSY); /* three of two left */
    assert_int_equal(kv_reserve(b, 128, NULL), ERR_OK);   /* what failed took nothing */
    assert_int_equal(kv_reserve(a, 129, NULL), ERR_BUSY);
    kv_close(b);
    assert_int_equal(kv_reserve(a, 129, NULL), ERR_OK);
    assert_int_equal(kv_len(a), 0);
    kv_close(a);
    kv_close(NULL);
    model_close(m);
}

static void the_context_binds(void **state)
{
    (void)state;
    struct model *m = open_pages(40);
    struct kv *kv = kv_open(m);
    struct err err = { 0 };
    float *logits = mem_array((size_t)model_info(m)->n_vocab, sizeof *logits);
    assert_int_equal(kv_reserve(kv, 1024, NULL), ERR_OK);
    assert_int_equal(kv_reserve(kv, 1025, &err), ERR_CONTEXT_LENGTH);
    assert_non_null(strstr(err.message, "1024"));
    struct model_row row = { kv, 5, true };
    model_forward(m, &row, 1, logits);
    assert_int_equal(kv_len(kv), 1);
    assert_int_equal(kv_reserve(kv, 1024, NULL), ERR_CONTEXT_LENGTH);
    assert_int_equal(kv_reserve(kv, 1023, NULL), ERR_OK);
    mem_free(logits);
    kv_close(kv);
    model_close(m);
}

/* Sequences come and go; a page's past must not show in what a later sequence computes. */
static void pages_are_used_again(void **state)
{
    (void)state;
    struct model *m = open_pages(3);
    size_t n = (size_t)model_info(m)->n_vocab;
    float *first = mem_array(n, sizeof *first), *again = mem_array(n, sizeof *again);
    for (int round = 0; round < 20; round++) {
        struct kv *other = kv_open(m), *kv = kv_open(m);
        assert_int_equal(kv_reserve(other, 1 + round % 60, NULL), ERR_OK);
        assert_int_equal(kv_reserve(kv, 70, NULL), ERR_OK);
        for (int t = 0; t < 70; t++) {
            struct model_row rows[] = { { other, 200 + round, false }, { kv, t, true } };
            bool both = t <= round % 60;
            model_forward(m, both ? rows : rows + 1, both ? 2 : 1, round ? again : first);
        }
        if (round)
            assert_memory_equal(first, again, n * sizeof *first);
        kv_close(round % 2 ? kv : other);
        kv_close(round % 2 ? other : kv);
    }
    mem_free(again);
    mem_free(first);
    model_close(m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_full_pool_is_busy),
    cmocka_unit_test(the_context_binds),
    cmocka_unit_test(pages_are_used_again),
};
TEST_GROUP(model_kv, tests)
