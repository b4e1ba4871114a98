/*
 * model.c - opening and closing: what is told about a file, and what is refused with its name.
 */
#include "test.h"

#include "base/rng.h"
#include "kernel/kernel.h"
#include "model/gguf_make.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", test_tmpdir(), name);
    return path;
}

static struct model_config config(const char *path)
{
    return (struct model_config){ .path = path, .threads = 1, .kv_bytes_max = 1024 * 1024, .cpu_mask = ~0u };
}

static void refuses(const struct model_config *cfg, enum err_code code, const char *says)
{
    struct model *m = NULL;
    struct err err = { 0 };
    enum err_code got = model_open(&m, cfg, &err);
    if (got != code || !strstr(err.message, says))
        fail_msg("wanted %s '%s', got %s: %s", err_name(code), says, err_name(got), err.message);
    assert_null(m);
}

static void tells_what_it_opened(void **state)
{
    (void)state;
    struct gguf_make_shape shape = gguf_make_tiny_shape("qwen3", TENSOR_Q8_0, 1);
    struct gguf_make g;
    gguf_make_init(&g);
    gguf_make_model(&g, &shape);
    gguf_make_u32(&g, "thinkd.thinking.tokens", 321);
    gguf_make_str(&g, "thinkd.thinking.close_text", "So be it.");
    gguf_make_str(&g, "thinkd.thinking.continue_text", "<more>");
    gguf_make_str(&g, "thinkd.refusal.opening", "Sorry");
    gguf_make_f32(&g, "general.sampling.temp", 0.75f);
    gguf_make_f32(&g, "general.sampling.top_p", 1.5f); /* cannot be */
    gguf_make_write(&g, path_of("told.gguf"));
    gguf_make_free(&g);
    struct model_config cfg = config(path_of("told.gguf"));
    struct model *m = NULL;
    assert_int_equal(model_open(&m, &cfg, NULL), ERR_OK);
    const struct model_info *info = model_info(m);
    const struct vocabulary *v = model_vocabulary(m);
    assert_string_equal(info->name, "tiny");
    assert_string_equal(info->arch, "qwen3");
    assert_string_equal(info->types, "Q8_0");
    assert_string_equal(info->isa, kernels_for(cpu_detect()).isa);
    assert_string_equal(info->close_text, "So be it.");
    assert_string_equal(info->continue_text, "<more>");
    assert_string_equal(info->refusal, "Sorry");
    assert_int_equal(info->thinking_tokens, 321);
    assert_true(info->temperature == 0.75 && isnan(info->top_p) && isnan(info->min_p));
    assert_int_equal(info->context, 1024);
    assert_int_equal(info->n_vocab, 266);
    assert_int_equal(info->parameters,
                     266 * 64 + 64 + 2 * (64 * (64 + 32 + 32 + 64) + 3 * 64 * 128 + 2 * 64 + 2 * 16));
    assert_non_null(strstr(info->chat_template, "<|im_start|>"));
    assert_int_equal(v->n_tokens, 266);
    assert_int_equal(v->n_merges, 5);
    assert_true(str_is(v->tokens['A'], "A") && str_is(v->tokens[' '], "\u0120") &&
                str_is(v->tokens[261], "<|endoftext|>"));
    assert_true(str_is(v->merges[1], "th e"));
    assert_int_equal(v->eos, 263);
    assert_int_equal(v->eot, -1);
    assert_int_equal(v->types[264], TOKEN_USER_DEFINED);
    assert_false(v->add_bos);
    model_close(m);
    model_close(NULL);
}

static void configuration_is_checked(void **state)
{
    (void)state;
    gguf_make_tiny(path_of("small.gguf"), "llama", TENSOR_F32, 1);
    struct model_config good = config(path_of("small.gguf")), cfg = good;
    cfg.context = 1025;
    refuses(&cfg, ERR_CONFIG, "context is 1024 tokens, but 1025");
    cfg = good;
    cfg.kv_bytes_max = 1000;
    refuses(&cfg, ERR_CONFIG, "at least 32768 bytes");
    cfg = good;
    cfg.threads = -1;
    refuses(&cfg, ERR_CONFIG, "threads");
    cfg = good;
    cfg.path = "/nonexistent/model.gguf";
    refuses(&cfg, ERR_FILE, "/nonexistent/model.gguf");
    cfg = good;
    cfg.context = 100;
    struct model *m = NULL;
    assert_int_equal(model_open(&m, &cfg, NULL), ERR_OK);
    assert_int_equal(model_info(m)->context, 100);
    model_close(m);
}

/* --- files whose parts do not fit ------------------------------------------------------------------------- */

static struct gguf_make_tensor *tensor(struct gguf_make *g, const char *name)
{
    return (struct gguf_make_tensor *)(uintptr_t)gguf_make_find(g, name);
}

static void rename_tensor(struct gguf_make *g)
{
    strcpy(tensor(g, "blk.1.ffn_up.weight")->name, "blk.2.ffn_up.weight");
}

static void add_bias(struct gguf_make *g)
{
    gguf_make_values(g, "blk.0.ffn_up.bias", TENSOR_F32, 2, 0, (float[]){ 1, 1 });
}

static void short_bias(struct gguf_make *g)
{
    gguf_make_values(g, "blk.0.attn_q.bias", TENSOR_F32, 2, 0, (float[]){ 1, 1 });
}

static void swap_dims(struct gguf_make *g)
{
    struct gguf_make_tensor *t = tensor(g, "blk.0.ffn_down.weight");
    t->dims[0] = 64;
    t->dims[1] = 128;
}

static void flatten(struct gguf_make *g)
{
    struct gguf_make_tensor *t = tensor(g, "token_embd.weight");
    t->dims[0] *= t->dims[1];
    t->n_dims = 1;
}

static void use_q4_k(struct gguf_make *g)
{
    struct gguf_make_tensor *t = tensor(g, "blk.0.attn_q.weight");
    t->type = 12;
    t->dims[0] = 256;
    t->dims[1] = 16;
}

static void use_iq2_s(struct gguf_make *g)
{
    struct gguf_make_tensor *t = tensor(g, "blk.0.ffn_down.weight");
    t->type = 22;
    t->dims[0] = 256;
    t->dims[1] = 32;
}

static void quantized_norm(struct gguf_make *g)
{
    tensor(g, "output_norm.weight")->type = GGUF_MAKE_Q8_0;
}

static void set_value(struct gguf_make *g, const char *name, size_t i, float value)
{
    memcpy(tensor(g, name)->bytes.ptr + i * sizeof value, &value, sizeof value);
}

static void norm_of_nan(struct gguf_make *g)
{
    set_value(g, "blk.1.ffn_norm.weight", 63, NAN);
}

static void infinite_norm(struct gguf_make *g)
{
    set_value(g, "output_norm.weight", 0, -INFINITY);
}

static void matrix_of_nan(struct gguf_make *g)
{
    set_value(g, "blk.1.attn_v.weight", 64 * 32 - 1, NAN);
}

static void infinite_embedding(struct gguf_make *g)
{
    set_value(g, "token_embd.weight", 64 * 9, INFINITY);
}

static void divide_by_zero(struct gguf_make *g)
{
    gguf_make_values(g, "rope_freqs.weight", TENSOR_F32, 8, 0, (float[]){ 1, 1, 1, 1, 1, 1, 1, 0 });
}

static void use_experts(struct gguf_make *g)
{
    gguf_make_u32(g, "llama.expert_count", 8);
}

static void use_clamp(struct gguf_make *g)
{
    gguf_make_f32(g, "llama.attention.clamp_kqv", 8);
}

static void use_ntk(struct gguf_make *g)
{
    gguf_make_str(g, "llama.rope.scaling.type", "ntk");
}

static void wild_rope(struct gguf_make *g)
{
    gguf_make_f32(g, "llama.rope.scaling.factor", INFINITY);
}

static void few_scores(struct gguf_make *g)
{
    gguf_make_f32s(g, "tokenizer.ggml.scores", (float[]){ 1, 2, 3 }, 3);
}

static void far_unknown(struct gguf_make *g)
{
    gguf_make_u32(g, "tokenizer.ggml.unknown_token_id", 266);
}

static void parts_must_fit(void **state)
{
    (void)state;
    static const struct {
        void (*spoil)(struct gguf_make *g);
        const char *says;
    } cases[] = {
        { rename_tensor, "Tensor 'blk.1.ffn_up.weight' is missing" },
        { add_bias, "Tensor 'blk.0.ffn_up.bias' is not part of architecture llama" },
        { short_bias, "Tensor 'blk.0.attn_q.bias' has shape 2 x 1 x 1 x 1" },
        { swap_dims, "Tensor 'blk.0.ffn_down.weight' has shape 64 x 128 x 1 x 1, but the metadata asks for "
                     "128 x 64 x 1" },
        { flatten, "Tensor 'token_embd.weight' has shape" },
        { use_q4_k, "Tensor 'blk.0.attn_q.weight' has shape" },
        { use_iq2_s, "Tensor 'blk.0.ffn_down.weight' has type IQ2_S (22), which this build does not read" },
        { quantized_norm,
          "Tensor 'output_norm.weight' has type Q8_0 (8), which this build does not read there" },
        { norm_of_nan, "Tensor 'blk.1.ffn_norm.weight' has nan at 63" },
        { infinite_norm, "Tensor 'output_norm.weight' has -inf at 0" },
        { matrix_of_nan, "Tensor 'blk.1.attn_v.weight' has a weight that is not a finite number" },
        { infinite_embedding, "Tensor 'token_embd.weight' has a weight that is not a finite number" },
        { divide_by_zero, "Tensor 'rope_freqs.weight' has 0 at 7" },
        { use_experts, "'llama.expert_count' asks for something" },
        { use_clamp, "'llama.attention.clamp_kqv' asks for something" },
        { use_ntk, "'llama.rope.scaling.type' is 'ntk'" },
        { wild_rope, "'llama.rope.scaling.factor'" },
        { few_scores, "'tokenizer.ggml.scores' has 3 items for 266 tokens" },
        { far_unknown, "'tokenizer.ggml.unknown_token_id' is 266" },
    };
    struct gguf_make_shape shape = gguf_make_tiny_shape("llama", TENSOR_F32, 1);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct gguf_make g;
        gguf_make_init(&g);
        gguf_make_model(&g, &shape);
        cases[i].spoil(&g);
        gguf_make_write(&g, path_of("spoiled.gguf"));
        gguf_make_free(&g);
        struct model_config cfg = config(path_of("spoiled.gguf"));
        refuses(&cfg, ERR_FORMAT, cases[i].says);
    }
}

/* The metadata of a tiny model, one key left out or with another value. */
static void keys_must_be_there(void **state)
{
    (void)state;
    static const char *const keys[] = { "general.architecture",
                                        "llama.block_count",
                                        "llama.embedding_length",
                                        "llama.feed_forward_length",
                                        "llama.attention.head_count",
                                        "llama.context_length",
                                        "llama.attention.layer_norm_rms_epsilon",
                                        "tokenizer.ggml.model",
                                        "tokenizer.ggml.tokens" };
    struct gguf_make_shape shape = gguf_make_tiny_shape("llama", TENSOR_F32, 1);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct gguf_make g;
        char says[128];
        gguf_make_init(&g);
        gguf_make_model(&g, &shape);
        struct str all = buf_str(&g.keys);
        char quoted[96]; /* the key with its length in front, as the file has it */
        memset(quoted, 0, 8);
        quoted[0] = (char)strlen(keys[i]);
        strcpy(quoted + 8, keys[i]);
        size_t at = str_find(all, (struct str){ quoted, 8 + strlen(keys[i]) });
        assert_true(at < all.len);
        g.keys.ptr[at + 8] = '_'; /* renamed: gone */
        gguf_make_write(&g, path_of("keyless.gguf"));
        gguf_make_free(&g);
        struct model_config cfg = config(path_of("keyless.gguf"));
        snprintf(says, sizeof says, "Metadata key '%s' is missing", keys[i]);
        refuses(&cfg, ERR_FORMAT, says);
    }
}

/* Any damage is either harmless or a sentence; opening never ends the process. */
static void damaged_files_never_crash(void **state)
{
    (void)state;
    struct gguf_make_shape shape = gguf_make_tiny_shape("qwen3", TENSOR_F16, 1);
    struct gguf_make g;
    struct buf file = { 0 };
    struct rng rng;
    rng_init(&rng, 6, 0);
    gguf_make_init(&g);
    gguf_make_model(&g, &shape);
    gguf_make_bytes(&g, &file);
    gguf_make_free(&g);
    for (int i = 0; i < 150; i++) {
        size_t at = (size_t)rng_below(&rng, 1200), len = i % 3 ? file.len : (size_t)rng_below(&rng, file.len);
        char was = file.ptr[at];
        struct model *m = NULL;
        struct err err = { 0 };
        FILE *out = fopen(path_of("damaged.gguf"), "wb");
        assert_non_null(out);
        file.ptr[at] = (char)rng_u64(&rng);
        assert_int_equal(fwrite(file.ptr, 1, len, out), len);
        fclose(out);
        struct model_config cfg = config(path_of("damaged.gguf"));
        if (model_open(&m, &cfg, &err))
            assert_true(err.message[0] && utf8_valid(str_from(err.message)));
        model_close(m);
        file.ptr[at] = was;
    }
    buf_free(&file);
}

static void the_bundled_model_opens(void **state)
{
    (void)state;
    struct model_config cfg = config(NULL);
    struct model *m = NULL;
    struct err err = { 0 };
    cfg.kv_bytes_max = 64 * 1024 * 1024;
    if (model_open(&m, &cfg, &err))
        fail_msg("%s", err.message);
    struct kv *kv = kv_open(m);
    float *logits = mem_array((size_t)model_info(m)->n_vocab, sizeof *logits);
    struct model_row row = { kv, 1, true };
    assert_int_equal(kv_reserve(kv, 1, NULL), ERR_OK);
    model_forward(m, &row, 1, logits);
    for (int32_t i = 0; i < model_info(m)->n_vocab; i++)
        assert_true(logits[i] - logits[i] == 0); /* finite */
    mem_free(logits);
    kv_close(kv);
    model_close(m);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(tells_what_it_opened),
    cmocka_unit_test(configuration_is_checked),
    cmocka_unit_test(parts_must_fit),
    cmocka_unit_test(keys_must_be_there),
    cmocka_unit_test(damaged_files_never_crash),
    cmocka_unit_test(the_bundled_model_opens),
};
TEST_GROUP(model_model, tests)
