/*
 * forward.c - the forward pass: near a double-precision reference for every architecture and weight type, and
 * the same bits whatever the chunks, the company and the threads.
 */
#include "test.h"

#include "base/rng.h"
#include "model/gguf_make.h"
#include "model/model.h"
#include "model/reference.h"

#include <stdio.h>
#include <string.h>

enum { N_TOKENS = 132 }; /* over two borders between pages */

static struct model *open_at(const char *path, unsigned cpu_mask, int threads)
{
    struct model_config cfg = {
        .path = path, .threads = threads, .kv_bytes_max = 4 * 1024 * 1024, .cpu_mask = cpu_mask
    };
    struct model *m = NULL;
    struct err err = { 0 };
    if (model_open(&m, &cfg, &err))
        fail_msg("%s", err.message);
    return m;
}

static const char *model_path(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s.gguf", test_tmpdir(), name);
    return path;
}

static void random_tokens(int32_t *tokens, int n, uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed, 0);
    for (int i = 0; i < n; i++)
        tokens[i] = (int32_t)rng_below(&rng, 260);
}

/* Logits of all n tokens of a fresh sequence, chunk rows at a time. */
static void run_chunks(struct model *m, const int32_t *tokens, int n, int chunk, float *logits)
{
    size_t n_vocab = (size_t)model_info(m)->n_vocab;
    struct kv *kv = kv_open(m);
    assert_int_equal(kv_reserve(kv, n, NULL), ERR_OK);
    for (int from = 0; from < n; from += chunk) {
        struct model_row rows[MODEL_ROWS_MAX];
        int here = n - from < chunk ? n - from : chunk;
        for (int i = 0; i < here; i++)
            rows[i] = (struct model_row){ kv, tokens[from + i], true };
        model_forward(m, rows, (size_t)here, logits + (size_t)from * n_vocab);
    }
    assert_int_equal(kv_len(kv), n);
    kv_close(kv);
}

/* --- against the reference ------------------------------------------------------------------------------ */

static void check_near(const struct gguf_make *g, const struct gguf_make_shape *shape,
                       const struct reference_extra *extra)
{
    int32_t tokens[N_TOKENS];
    random_tokens(tokens, N_TOKENS, shape->seed);
    const char *path = model_path("reference");
    gguf_make_write(g, path);
    unsigned masks[] = { 0, ~0u };
    for (size_t i = 0; i < ARRAY_LEN(masks); i++) {
        struct model *m = open_at(path, masks[i], 1);
        size_t n = (size_t)model_info(m)->n_vocab * N_TOKENS;
        double *want = mem_array(n, sizeof *want);
        float *got = mem_array(n, sizeof *got);
        reference_forward(g, shape, extra, tokens, N_TOKENS, want);
        run_chunks(m, tokens, N_TOKENS, 16, got);
        for (size_t j = 0; j < n; j++)
            assert_near(want[j], (double)got[j], 2e-5);
        mem_free(got);
        mem_free(want);
        model_close(m);
    }
}

static void agrees_with_the_reference(void **state)
{
    (void)state;
    static const struct {
        const char *arch;
        enum tensor_type type;
        int n_heads, n_kv_heads, head_dim;
        bool tied;
    } cases[] = {
        { "qwen3", TENSOR_F32, 4, 2, 16, true },   { "qwen3", TENSOR_F16, 4, 4, 16, false },
        { "qwen3", TENSOR_BF16, 6, 2, 32, true },  { "qwen3", TENSOR_Q8_0, 4, 1, 32, true },
        { "llama", TENSOR_F32, 4, 1, 16, false },  { "llama", TENSOR_F16, 4, 2, 32, true },
        { "llama", TENSOR_BF16, 2, 2, 48, false }, { "llama", TENSOR_Q8_0, 4, 2, 16, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gguf_make_shape shape = gguf_make_tiny_shape(cases[i].arch, cases[i].type, i);
        struct reference_extra extra = { .rope_factor = 1 };
        struct gguf_make g;
        shape.n_heads = cases[i].n_heads;
        shape.n_kv_heads = cases[i].n_kv_heads;
        shape.head_dim = cases[i].head_dim;
        shape.tied = cases[i].tied;
        gguf_make_init(&g);
        gguf_make_model(&g, &shape);
        check_near(&g, &shape, &extra);
        gguf_make_free(&g);
    }
}

/* Rows that are no multiple of any vector: 20 wide heads of 10, 36 wide feed-forward. */
static void odd_shapes_agree(void **state)
{
    (void)state;
    struct gguf_make_shape shape = gguf_make_tiny_shape("llama", TENSOR_F16, 77);
    struct reference_extra extra = { .rope_factor = 1 };
    struct gguf_make g;
    shape.n_embd = 20;
    shape.n_heads = 2;
    shape.head_dim = 10;
    shape.n_kv_heads = 1;
    shape.n_ff = 37;
    gguf_make_init(&g);
    gguf_make_model(&g, &shape);
    check_near(&g, &shape, &extra);
    gguf_make_free(&g);
}

static void scaled_rotations_agree(void **state)
{
    (void)state;
    struct gguf_make_shape shape = gguf_make_tiny_shape("llama", TENSOR_F32, 5);
    float freqs[] = { 1, 1, 1, 1.5f, 2, 4, 8, 8 };
    struct reference_extra extra = { .rope_factor = 4 };
    struct gguf_make g;
    gguf_make_init(&g);
    gguf_make_model(&g, &shape);
    gguf_make_str(&g, "llama.rope.scaling.type", "linear");
    gguf_make_f32(&g, "llama.rope.scaling.factor", 4);
    check_near(&g, &shape, &extra);
    extra.rope_freqs = freqs;
    gguf_make_values(&g, "rope_freqs.weight", TENSOR_F32, ARRAY_LEN(freqs), 0, freqs);
    check_near(&g, &shape, &extra);
    gguf_make_free(&g);
}

/* --- the same bits ---------------------------------------------------------------------------------------- */

static void assert_same_bits(const float *want, const float *got, size_t n, const char *what)
{
    if (memcmp(want, got, n * sizeof *want) != 0)
        fail_msg("%s changed the bits of logits", what);
}

static void chunks_and_threads_change_no_bit(void **state)
{
    (void)state;
    static const struct {
        int threads, chunk;
    } ways[] = { { 1, 1 }, { 1, 64 }, { 2, 7 }, { 3, 1 }, { 3, 64 } };
    static const unsigned masks[] = { 0, CPU_AVX2, ~0u };
    int32_t tokens[N_TOKENS];
    random_tokens(tokens, N_TOKENS, 1);
    for (int type = 0; type < TENSOR_TYPE_COUNT; type++) {
        const char *path = model_path("bits");
        gguf_make_tiny(path, type % 2 ? "llama" : "qwen3", (enum tensor_type)type, 9);
        for (size_t mask = 0; mask < ARRAY_LEN(masks); mask++) {
            float *logits[ARRAY_LEN(ways)];
            for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
                struct model *m = open_at(path, masks[mask], ways[i].threads);
                size_t n = (size_t)model_info(m)->n_vocab * N_TOKENS;
                logits[i] = mem_array(n, sizeof *logits[i]);
                run_chunks(m, tokens, N_TOKENS, ways[i].chunk, logits[i]);
                assert_same_bits(logits[0], logits[i], n, "a chunk size or thread count");
                model_close(m);
            }
            for (size_t i = 0; i < ARRAY_LEN(ways); i++)
                mem_free(logits[i]);
        }
    }
}

enum { N_SEQUENCES = 5 };

/* Five sequences advance together by random amounts, only some rows wanting logits; each must say what it
 * says alone. */
static void strangers_change_no_bit(void **state)
{
    (void)state;
    const char *path = model_path("strangers");
    gguf_make_tiny(path, "qwen3", TENSOR_Q8_0, 3);
    struct model *m = open_at(path, ~0u, 2);
    size_t n_vocab = (size_t)model_info(m)->n_vocab, n = n_vocab * N_TOKENS;
    int32_t tokens[N_SEQUENCES][N_TOKENS];
    float *alone[N_SEQUENCES], *logits = mem_array(MODEL_ROWS_MAX * n_vocab, sizeof *logits);
    struct kv *kv[N_SEQUENCES];
    struct rng rng;
    rng_init(&rng, 4, 0);
    for (int i = 0; i < N_SEQUENCES; i++) {
        random_tokens(tokens[i], N_TOKENS, 100 + (uint64_t)i);
        alone[i] = mem_array(n, sizeof *alone[i]);
        run_chunks(m, tokens[i], N_TOKENS, 64, alone[i]);
        kv[i] = kv_open(m);
        assert_int_equal(kv_reserve(kv[i], N_TOKENS, NULL), ERR_OK);
    }
    for (;;) {
        struct model_row rows[MODEL_ROWS_MAX];
        const float *want[MODEL_ROWS_MAX];
        size_t n_rows = 0, n_want = 0;
        for (int i = 0; i < N_SEQUENCES; i++) {
            int64_t at = kv_len(kv[i]), more = rng_range(&rng, 0, 12);
            for (int64_t t = at; t < at + more && t < N_TOKENS; t++) {
                rows[n_rows] = (struct model_row){ kv[i], tokens[i][t], rng_below(&rng, 3) > 0 };
                if (rows[n_rows++].want_logits)
                    want[n_want++] = alone[i] + (size_t)t * n_vocab;
            }
        }
        model_forward(m, rows, n_rows, logits);
        for (size_t i = 0; i < n_want; i++)
            assert_same_bits(want[i], logits + i * n_vocab, n_vocab, "a stranger");
        int64_t left = 0;
        for (int i = 0; i < N_SEQUENCES; i++)
            left += N_TOKENS - kv_len(kv[i]);
        if (left == 0)
            break;
    }
    for (int i = 0; i < N_SEQUENCES; i++) {
        kv_close(kv[i]);
        mem_free(alone[i]);
    }
    mem_free(logits);
    model_close(m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(agrees_with_the_reference), cmocka_unit_test(odd_shapes_agree),
    cmocka_unit_test(scaled_rotations_agree),    cmocka_unit_test(chunks_and_threads_change_no_bit),
    cmocka_unit_test(strangers_change_no_bit),
};
TEST_GROUP(model_forward, tests)
