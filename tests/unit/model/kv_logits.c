/*
 * kv_logits.c - whatever a sequence's pages went through, its logits have the bits that computing it alone
 * gives.
 *
 * This is what lets kv.c put a page that one sequence computed under another, and swap two that were computed
 * at once.
 */
#include "test.h"

#include "base/rng.h"
#include "model/gguf_make.h"
#include "model/model.h"

#include <stdio.h>
#include <string.h>

enum { TEXT = 210, TEXTS = 4, LIVE = 5 };

static struct model *open_type(enum kv_type type, int64_t kv_bytes_max)
{
    char path[256];
    snprintf(path, sizeof path, "%s/kv_logits.gguf", test_tmpdir());
    gguf_make_tiny(path, "qwen3", TENSOR_Q8_0, 1);
    struct model_config cfg = {
        .path = path, .threads = 1, .kv_bytes_max = kv_bytes_max, .kv_type = type, .cpu_mask = ~0u
    };
    struct model *m = NULL;
    assert_int_equal(model_open(&m, &cfg, NULL), ERR_OK);
    return m;
}

/* Texts that agree up to 0, 70, 140 .. tokens. */
static void write_texts(int32_t texts[TEXTS][TEXT])
{
    for (int32_t i = 0; i < TEXTS; i++)
        for (int32_t t = 0; t < TEXT; t++)
            texts[i][t] = t < 70 * i ? (t * 7 + 3) % 200 : (t * 11 + 17 * i) % 250;
}

/* The logits of every token of every text, each text computed alone, one token at a time, on a model of its
 * own. */
static float *reference(enum kv_type type, int32_t texts[TEXTS][TEXT])
{
    float *out = NULL;
    for (size_t i = 0; i < TEXTS; i++) {
        struct model *m = open_type(type, 1 << 20);
        size_t n = (size_t)model_info(m)->n_vocab;
        if (!out)
            out = mem_array(TEXTS * TEXT * n, sizeof *out);
        struct kv *kv = kv_open(m);
        assert_int_equal(kv_reserve(kv, TEXT, NULL), ERR_OK);
        for (size_t t = 0; t < TEXT; t++)
            model_forward(m, &(struct model_row){ kv, texts[i][t], true }, 1, out + (i * TEXT + t) * n);
        kv_close(kv);
        model_close(m);
    }
    return out;
}

struct live {
    struct kv *kv;
    size_t text;
};

/* One step of all sequences that have room and text left, each some tokens long; their logits are checked. */
static void step(struct model *m, struct live *live, int32_t texts[TEXTS][TEXT], const float *want,
                 struct rng *rng)
{
    enum { ROWS = 60 };
    struct model_row rows[ROWS];
    const float *wanted[ROWS];
    size_t n = (size_t)model_info(m)->n_vocab, n_rows = 0;
    for (size_t i = 0; i < LIVE; i++) {
        if (!live[i].kv)
            continue;
        int64_t from = kv_len(live[i].kv), k = (int64_t)rng_below(rng, ROWS / LIVE + 1);
        k = k < TEXT - from ? k : TEXT - from;
        if (kv_reserve(live[i].kv, k, NULL) != ERR_OK)
            continue;
        for (int64_t t = from; t < from + k; t++) {
            rows[n_rows] = (struct model_row){ live[i].kv, texts[live[i].text][t], true };
            wanted[n_rows++] = want + (live[i].text * TEXT + (size_t)t) * n;
        }
    }
    float *logits = mem_array(ROWS * n, sizeof *logits);
    if (n_rows)
        model_forward(m, rows, n_rows, logits);
    for (size_t r = 0; r < n_rows; r++)
        assert_memory_equal(logits + r * n, wanted[r], n * sizeof *logits);
    mem_free(logits);
}

static void change(struct model *m, struct live *live, int32_t texts[TEXTS][TEXT], struct rng *rng)
{
    struct live *a = &live[rng_below(rng, LIVE)], *b = &live[rng_below(rng, LIVE)];
    if (!a->kv) {
        a->text = (size_t)rng_below(rng, TEXTS);
        a->kv = kv_open(m);
        kv_match(a->kv, texts[a->text], (int64_t)rng_below(rng, TEXT));
    } else if (!b->kv) {
        b->text = a->text;
        b->kv = kv_fork(a->kv);
    } else if (rng_below(rng, 2)) {
        kv_truncate(a->kv, (int64_t)rng_below(rng, (uint64_t)kv_len(a->kv) + 1));
    } else {
        kv_close(a->kv);
        a->kv = NULL;
    }
}

static void logits_do_not_show_where_pages_came_from(void **state)
{
    (void)state;
    int32_t texts[TEXTS][TEXT];
    write_texts(texts);
    for (enum kv_type type = 0; type < KV_TYPE_COUNT; type++) {
        float *want = reference(type, texts);
        struct model *m = open_type(type, (int64_t)(12 * 2 * 2 * kv_head_bytes(type, 16))); /* 12 pages */
        struct live live[LIVE] = { 0 };
        struct rng rng;
        rng_init(&rng, 5, type);
        for (int i = 0; i < 250; i++) {
            if (rng_below(&rng, 4) == 0)
                change(m, live, texts, &rng);
            step(m, live, texts, want, &rng);
        }
        struct kv_usage usage;
        kv_usage(m, &usage);
        assert_true(usage.pages == 12 && usage.hits > 500 && usage.evicted > 10);
        for (size_t i = 0; i < LIVE; i++)
            kv_close(live[i].kv);
        model_close(m);
        mem_free(want);
    }
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(logits_do_not_show_where_pages_came_from) };
TEST_GROUP(model_kv_logits, tests)
