/*
 * forward.c - the forward pass: near a double-precision reference for every architecture and weight type, and
 * the same bits whatever the chunks, the company and the threads.
 */
#include "test.h"

#include "base/rng.h"
#include "model/gguf_make.h"
#include "model/model.h"
#include "model/reference.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N_TOKENS = 210 }; /* over three borders between pages */

static struct model *open_kv(const char *path, unsigned cpu_mask, int threads, enum kv_type kv)
{
    struct model_config cfg = { .path = path,
                                .threads = threads,
                                .kv_bytes_max = 16 * 1024 * 1024,
                                .kv_type = kv,
                                .cpu_mask = cpu_mask };
    struct model *m = NULL;
    struct err err = { 0 };
    if (model_open(&m, &cfg, &err))
        fail_msg("%s", err.message);
    return m;
}

static struct model *open_at(const char *path, unsigned cpu_mask)
{
    return open_kv(path, cpu_mask, 1, KV_F32);
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

/* A fresh sequence of n tokens, chunk rows at a time; logits[t] of each token t whose turn it is, of every so
 * many. */
static void run_chunks(struct model *m, const int32_t *tokens, int n, int chunk, int every, float *logits)
{
    size_t n_vocab = (size_t)model_info(m)->n_vocab;
    float *got = mem_array(MODEL_LOGITS_MAX * n_vocab, sizeof *got);
    struct kv *kv = kv_open(m);
    assert_int_equal(kv_reserve(kv, n, NULL), ERR_OK);
    for (int from = 0; from < n; from += chunk) {
        struct model_row rows[MODEL_ROWS_MAX];
        int here = n - from < chunk ? n - from : chunk, wanted = 0;
        for (int i = 0; i < here; i++)
            rows[i] = (struct model_row){ kv, tokens[from + i], (from + i) % every == every - 1 };
        model_forward(m, rows, (size_t)here, got);
        for (int i = 0; i < here; i++)
            if (rows[i].want_logits)
                memcpy(logits + (size_t)(from + i) * n_vocab, got + (size_t)wanted++ * n_vocab,
                       n_vocab * sizeof *got);
    }
    assert_int_equal(kv_len(kv), n);
    kv_close(kv);
    mem_free(got);
}

/* --- against the reference ------------------------------------------------------------------------------ */

/*
 * How far logits may be from the reference's: the root mean square of the differences over that of the
 * logits. Plain weights differ by the order of sums in single precision. Packed ones meet activations in 8
 * bits: an error of up to 1/254 of a block's largest at each product, whatever the type, because both sides
 * have the same weights. Experts may then be chosen otherwise where two are nearly equal, which these random
 * routers often have.
 */
static double bound_of(const struct gguf_make_shape *shape)
{
    bool experts = strcmp(shape->arch, "qwen3moe") == 0 || strcmp(shape->arch, "gpt-oss") == 0;
    if (shape->type <= TENSOR_BF16)
        return 3e-6;
    return experts ? 0.1 : 0.03;
}

static double root_mean_square(const double *x, size_t n)
{
    double squares = 0;
    for (size_t i = 0; i < n; i++)
        squares += x[i] * x[i];
    return sqrt(squares / (double)n);
}

static void check_one(const char *path, unsigned cpu_mask, const struct gguf_make_shape *shape,
                      const int32_t *tokens, const double *want)
{
    struct model *m = open_at(path, cpu_mask);
    size_t n = (size_t)model_info(m)->n_vocab * N_TOKENS;
    float *got = mem_array(n, sizeof *got);
    double *difference = mem_array(n, sizeof *difference);
    run_chunks(m, tokens, N_TOKENS, 16, 1, got);
    for (size_t j = 0; j < n; j++)
        difference[j] = want[j] - (double)got[j];
    double off = root_mean_square(difference, n) / root_mean_square(want, n);
    if (!(off <= bound_of(shape)))
        fail_msg("%s in %s on %s: off by %g of the logits' size", shape->arch,
                 tensor_type_info(shape->type)->name, model_info(m)->isa, off);
    mem_free(difference);
    mem_free(got);
    model_close(m);
}

static void check_near(const struct gguf_make *g, const struct gguf_make_shape *shape,
                       const struct reference_extra *extra)
{
    int32_t tokens[N_TOKENS];
    double *want = mem_array(gguf_make_find(g, "token_embd.weight")->dims[1] * N_TOKENS, sizeof *want);
    const char *path = model_path("reference");
    random_tokens(tokens, N_TOKENS, shape->seed);
    gguf_make_write(g, path);
    reference_forward(g, shape, extra, tokens, N_TOKENS, want);
    check_one(path, 0, shape, tokens, want);
    check_one(path, ~0u, shape, tokens, want);
    mem_free(want);
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
        { "qwen3", TENSOR_F32, 4, 2, 16, true },    { "qwen3", TENSOR_F16, 4, 4, 16, false },
        { "qwen3", TENSOR_BF16, 6, 2, 32, true },   { "qwen3", TENSOR_Q8_0, 4, 1, 32, true },
        { "llama", TENSOR_F32, 4, 1, 16, false },   { "llama", TENSOR_F16, 4, 2, 32, true },
        { "llama", TENSOR_BF16, 2, 2, 48, false },  { "llama", TENSOR_Q8_0, 4, 2, 16, false },
        { "qwen2", TENSOR_F32, 6, 2, 16, true },    { "qwen2", TENSOR_Q8_0, 4, 2, 16, false },
        { "phi3", TENSOR_F32, 4, 4, 12, false },    { "phi3", TENSOR_Q4_0, 4, 2, 32, false },
        { "gemma3", TENSOR_F32, 4, 1, 20, true },   { "gemma3", TENSOR_Q4_0, 4, 2, 32, true },
        { "qwen3moe", TENSOR_F32, 4, 2, 16, true }, { "qwen3moe", TENSOR_Q8_0, 4, 2, 32, false },
        { "gpt-oss", TENSOR_F32, 6, 2, 16, false }, { "gpt-oss", TENSOR_MXFP4, 8, 2, 32, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gguf_make_shape shape = gguf_make_tiny_shape(cases[i].arch, cases[i].type, i);
        struct reference_extra extra = { 0 };
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

static void every_type_agrees(void **state)
{
    (void)state;
    for (int type = TENSOR_Q8_0; type < TENSOR_TYPE_COUNT; type++) {
        struct gguf_make_shape shape =
            gguf_make_tiny_shape("llama", (enum tensor_type)type, 40 + (uint64_t)type);
        struct reference_extra extra = { 0 };
        struct gguf_make g;
        gguf_make_init(&g);
        gguf_make_model(&g, &shape);
        check_near(&g, &shape, &extra);
        gguf_make_free(&g);
    }
}

/* Rows that are no multiple of any vector: wide heads of 10, 37 wide feed-forward; windows of all kinds. */
static void odd_shapes_agree(void **state)
{
    (void)state;
    static const char *const archs[] = { "llama", "qwen2", "qwen3moe", "gemma3", "phi3", "gpt-oss" };
    for (size_t i = 0; i < ARRAY_LEN(archs); i++) {
        struct gguf_make_shape shape = gguf_make_tiny_shape(archs[i], TENSOR_F16, 77);
        struct reference_extra extra = { 0 };
        struct gguf_make g;
        shape.n_embd = 20;
        shape.n_heads = 2;
        shape.head_dim = 10;
        shape.n_rot = 6;
        shape.n_kv_heads = 1;
        shape.n_ff = 37;
        shape.n_experts = 3;
        if (i != 1 && i != 2) /* qwen's have no window */
            shape.window = 70;
        gguf_make_init(&g);
        gguf_make_model(&g, &shape);
        check_near(&g, &shape, &extra);
        gguf_make_free(&g);
    }
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

static void yarn_agrees(void **state)
{
    (void)state;
    static const char *const archs[] = { "qwen2", "gpt-oss" };
    for (size_t i = 0; i < ARRAY_LEN(archs); i++) {
        struct gguf_make_shape shape = gguf_make_tiny_shape(archs[i], TENSOR_F32, 6);
        struct reference_extra extra = { .rope_factor = 8, .yarn_context = 300 };
        struct gguf_make g;
        char key[96];
        gguf_make_init(&g);
        gguf_make_model(&g, &shape);
        snprintf(key, sizeof key, "%s.rope.scaling.type", archs[i]);
        gguf_make_str(&g, key, "yarn");
        snprintf(key, sizeof key, "%s.rope.scaling.factor", archs[i]);
        gguf_make_f32(&g, key, 8);
        snprintf(key, sizeof key, "%s.rope.scaling.original_context_length", archs[i]);
        gguf_make_u32(&g, key, 300);
        check_near(&g, &shape, &extra);
        gguf_make_free(&g);
    }
}

/* The table of divisors is the long one where the context is longer than the trained one. */
static void longrope_agrees(void **state)
{
    (void)state;
    float tables[2][8] = { { 1, 1.1f, 1.2f, 1.5f, 2, 4, 8, 9 }, { 1, 1, 1, 1.01f, 1.02f, 1.1f, 1.2f, 1.3f } };
    for (int is_short = 0; is_short < 2; is_short++) {
        struct gguf_make_shape shape = gguf_make_tiny_shape("phi3", TENSOR_F32, 7);
        struct reference_extra extra = { .rope_freqs = tables[is_short], .rope_magnitude = 1.25 };
        struct gguf_make g;
        gguf_make_init(&g);
        gguf_make_model(&g, &shape);
        gguf_make_u32(&g, "phi3.rope.scaling.original_context_length", is_short ? 1024 : 512);
        gguf_make_f32(&g, "phi3.rope.scaling.attn_factor", 1.25f);
        gguf_make_values(&g, "rope_factors_long.weight", TENSOR_F32, 8, 0, tables[0]);
        gguf_make_values(&g, "rope_factors_short.weight", TENSOR_F32, 8, 0, tables[1]);
        check_near(&g, &shape, &extra);
        gguf_make_free(&g);
    }
}

static void caps_and_scales_agree(void **state)
{
    (void)state;
    struct gguf_make_shape shape = gguf_make_tiny_shape("gemma3", TENSOR_F32, 8);
    struct reference_extra extra = {
        .attn_softcap = 2, .logit_softcap = 3, .score_scale = 0.5, .rope_factor = 8
    };
    struct gguf_make g;
    gguf_make_init(&g);
    gguf_make_model(&g, &shape);
    gguf_make_f32(&g, "gemma3.attn_logit_softcapping", 2);
    gguf_make_f32(&g, "gemma3.final_logit_softcapping", 3);
    gguf_make_f32(&g, "gemma3.attention.scale", 0.5f);
    gguf_make_str(&g, "gemma3.rope.scaling.type", "linear");
    gguf_make_f32(&g, "gemma3.rope.scaling.factor", 8);
    check_near(&g, &shape, &extra);
    gguf_make_free(&g);
}

/* --- the same bits ---------------------------------------------------------------------------------------- */

static void assert_same_bits(const float *want, const float *got, size_t n, const char *what)
{
    if (memcmp(want, got, n * sizeof *want) != 0)
        fail_msg("%s changed the bits of logits", what);
}

/* Chunks of more rows than may want logits: the others' are not asked for, in every way alike. */
static void chunks_and_threads_change_no_bit(void **state)
{
    (void)state;
    static const struct {
        int threads, chunk;
    } ways[] = { { 1, 1 }, { 1, 64 }, { 2, 7 }, { 3, 200 }, { 5, 64 }, { 8, 200 }, { 8, 1 } };
    static const unsigned masks[] = { 0, CPU_AVX2, ~0u };
    static const struct {
        const char *arch;
        enum tensor_type type;
        enum kv_type kv;
    } cases[] = { { "qwen3", TENSOR_F32, KV_F32 },    { "llama", TENSOR_F16, KV_F16 },
                  { "qwen2", TENSOR_Q8_0, KV_Q8 },    { "qwen3moe", TENSOR_Q4_1, KV_F16 },
                  { "gemma3", TENSOR_BF16, KV_Q8 },   { "phi3", TENSOR_Q5_0, KV_F32 },
                  { "gpt-oss", TENSOR_MXFP4, KV_Q8 }, { "llama", TENSOR_Q4_K, KV_F16 } };
    int32_t tokens[N_TOKENS];
    random_tokens(tokens, N_TOKENS, 1);
    for (size_t c = 0; c < ARRAY_LEN(cases) * ARRAY_LEN(masks); c++) {
        size_t i = c / ARRAY_LEN(masks);
        const char *path = model_path("bits");
        float *logits[ARRAY_LEN(ways)];
        gguf_make_tiny(path, cases[i].arch, cases[i].type, 9);
        for (size_t w = 0; w < ARRAY_LEN(ways); w++) {
            struct model *m = open_kv(path, masks[c % ARRAY_LEN(masks)], ways[w].threads, cases[i].kv);
            size_t n = (size_t)model_info(m)->n_vocab * N_TOKENS;
            logits[w] = mem_array(n, sizeof *logits[w]);
            run_chunks(m, tokens, N_TOKENS, ways[w].chunk, 4, logits[w]);
            assert_same_bits(logits[0], logits[w], n, "a chunk size or thread count");
            model_close(m);
        }
        for (size_t w = 0; w < ARRAY_LEN(ways); w++)
            mem_free(logits[w]);
    }
}

enum { N_SEQUENCES = 13, N_SHARED = 150 };

struct strangers {
    struct model *m;
    int32_t tokens[N_SEQUENCES][N_TOKENS];
    float *alone[N_SEQUENCES];
    struct kv *kv[N_SEQUENCES];
};

/* Sequences 2 and on begin alike; the odd ones of them take that over from the tree, the others compute it. */
static void open_strangers(struct strangers *s)
{
    size_t n = (size_t)model_info(s->m)->n_vocab * N_TOKENS;
    for (int i = 0; i < N_SEQUENCES; i++) {
        random_tokens(s->tokens[i], N_TOKENS, 100 + (uint64_t)i);
        if (i > 2)
            memcpy(s->tokens[i], s->tokens[2], N_SHARED * sizeof s->tokens[i][0]);
        s->alone[i] = mem_array(n, sizeof *s->alone[i]);
        run_chunks(s->m, s->tokens[i], N_TOKENS, 64, 1, s->alone[i]);
    }
    for (int i = 0; i < N_SEQUENCES; i++) {
        s->kv[i] = kv_open(s->m);
        if (i > 2 && i % 2)
            assert_int_equal(kv_match(s->kv[i], s->tokens[i], N_SHARED), N_SHARED);
        assert_int_equal(kv_reserve(s->kv[i], N_TOKENS - kv_len(s->kv[i]), NULL), ERR_OK);
    }
}

/* They advance together by random amounts up to `most`, only some rows wanting logits; each must say what it says
 * alone. */
static void advance_strangers(struct strangers *s, int most, struct rng *rng)
{
    size_t n_vocab = (size_t)model_info(s->m)->n_vocab;
    float *logits = mem_array(MODEL_LOGITS_MAX * n_vocab, sizeof *logits);
    for (size_t n_rows = 1; n_rows > 0;) {
        struct model_row rows[MODEL_ROWS_MAX];
        const float *want[MODEL_LOGITS_MAX];
        size_t n_want = 0;
        n_rows = 0;
        for (int i = 0; i < N_SEQUENCES; i++) {
            int64_t at = kv_len(s->kv[i]), more = rng_range(rng, at < N_TOKENS, most);
            for (int64_t t = at; t < at + more && t < N_TOKENS; t++) {
                rows[n_rows] = (struct model_row){ s->kv[i], s->tokens[i][t], rng_below(rng, 3) == 0 };
                if (n_want == MODEL_LOGITS_MAX)
                    rows[n_rows].want_logits = false;
                if (rows[n_rows++].want_logits)
                    want[n_want++] = s->alone[i] + (size_t)t * n_vocab;
            }
        }
        model_forward(s->m, rows, n_rows, logits);
        for (size_t i = 0; i < n_want; i++)
            assert_same_bits(want[i], logits + i * n_vocab, n_vocab, "company");
    }
    mem_free(logits);
}

static void strangers_change_no_bit(void **state)
{
    (void)state;
    static const struct {
        const char *arch;
        enum tensor_type type;
        enum kv_type kv;
        int threads, most;
    } cases[] = { { "qwen3", TENSOR_Q8_0, KV_F16, 2, 12 },
                  { "qwen3moe", TENSOR_Q4_0, KV_Q8, 3, 12 },
                  { "gemma3", TENSOR_F32, KV_F32, 5, 12 },
                  { "gpt-oss", TENSOR_MXFP4, KV_Q8, 2, 12 },
                  /* As lines of thought advance: portions (portions.c), now and then out of balance. */
                  { "qwen3", TENSOR_Q8_0, KV_F16, 3, 1 },
                  { "gemma3", TENSOR_Q4_K, KV_Q8, 2, 2 },
                  { "llama", TENSOR_F16, KV_F16, 2, 1 },
                  { "phi3", TENSOR_Q5_0, KV_F32, 3, 2 },
                  { "qwen3moe", TENSOR_Q8_0, KV_F16, 2, 1 } };
    struct rng rng;
    rng_init(&rng, 4, 0);
    for (size_t c = 0; c < ARRAY_LEN(cases); c++) {
        struct strangers s;
        const char *path = model_path("strangers");
        gguf_make_tiny(path, cases[c].arch, cases[c].type, 3);
        s.m = open_kv(path, ~0u, cases[c].threads, cases[c].kv);
        open_strangers(&s);
        advance_strangers(&s, cases[c].most, &rng);
        for (int i = 0; i < N_SEQUENCES; i++) {
            kv_close(s.kv[i]);
            mem_free(s.alone[i]);
        }
        model_close(s.m);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(agrees_with_the_reference),
    cmocka_unit_test(every_type_agrees),
    cmocka_unit_test(odd_shapes_agree),
    cmocka_unit_test(scaled_rotations_agree),
    cmocka_unit_test(yarn_agrees),
    cmocka_unit_test(longrope_agrees),
    cmocka_unit_test(caps_and_scales_agree),
    cmocka_unit_test(chunks_and_threads_change_no_bit),
    cmocka_unit_test(strangers_change_no_bit),
};
TEST_GROUP(model_forward, tests)
