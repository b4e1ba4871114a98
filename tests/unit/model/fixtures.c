/*
 * fixtures.c - real files: a trained model's published text to the last id, and files that must be refused.
 */
#include "test.h"

#include "kernel/kernel.h"
#include "model/model.h"

#include <jansson.h>
#include <string.h>

static struct model *open_model(const char *path, unsigned cpu_mask, int threads)
{
    struct model_config cfg = {
        .path = path, .threads = threads, .kv_bytes_max = 16 * 1024 * 1024, .cpu_mask = cpu_mask
    };
    struct model *m = NULL;
    struct err err = { 0 };
    if (model_open(&m, &cfg, &err))
        fail_msg("%s", err.message);
    return m;
}

static int32_t argmax(const float *logits, int32_t n)
{
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

/* The golden's top logits at one position, if it has that position. */
static void check_top(const json_t *positions, size_t at, const float *logits)
{
    size_t i, j;
    json_t *position, *top;
    json_array_foreach(positions, i,
                       position) if ((size_t)json_integer_value(json_object_get(position, "pos")) == at)
        json_array_foreach(json_object_get(position, "top5"), j, top)
            assert_near(json_real_value(json_object_get(top, "logit")),
                        (double)logits[json_integer_value(json_object_get(top, "id"))], 1e-4);
}

static void follows_golden(const char *path, const json_t *golden, unsigned cpu_mask)
{
    struct model *m = open_model(path, cpu_mask, 1);
    struct kv *kv = kv_open(m);
    const json_t *ids = json_object_get(golden, "ids");
    size_t n = json_array_size(ids);
    int32_t n_vocab = model_info(m)->n_vocab;
    float *logits = mem_array((size_t)n_vocab, sizeof *logits);
    assert_true(n > 1);
    assert_int_equal(kv_reserve(kv, (int64_t)n, NULL), ERR_OK);
    for (size_t i = 0; i + 1 < n; i++) {
        struct model_row row = { kv, (int32_t)json_integer_value(json_array_get(ids, i)), true };
        model_forward(m, &row, 1, logits);
        assert_int_equal(argmax(logits, n_vocab), json_integer_value(json_array_get(ids, i + 1)));
        check_top(json_object_get(golden, "top5_logits_by_position"), i, logits);
    }
    mem_free(logits);
    kv_close(kv);
    model_close(m);
}

static void stories_are_told_to_the_last_id(void **state)
{
    (void)state;
    char *path = test_shared("fixtures/stories260K/stories260K-f32.v3.gguf");
    char *golden_path = test_shared("fixtures/stories260K/golden-greedy.json");
    if (!path || !golden_path)
        skip();
    json_t *golden = json_load_file(golden_path, 0, NULL);
    assert_non_null(golden);
    unsigned cpu = cpu_detect(), masks[] = { 0, CPU_AVX2, ~0u };
    for (size_t i = 0; i < ARRAY_LEN(masks); i++)
        if (i == 0 || (cpu & masks[i]))
            follows_golden(path, golden, masks[i]);
    json_decref(golden);
    mem_free(golden_path);
    mem_free(path);
}

/* The trainer's own logits and greedy ids for its bundled model. It computes with whole activations and we
 * with 8 bits of them, which moves the logits of this file, that range over 40, by up to a tenth; so its
 * choice must be ours, or as good as ours within twice that. */
#define TRAINER_BOUND 0.1

static void follow_trainer(struct model *m, const json_t *row)
{
    const json_t *prompt = json_object_get(row, "prompt_ids"), *greedy = json_object_get(row, "greedy_ids");
    size_t n_prompt = json_array_size(prompt), n = n_prompt + json_array_size(greedy) - 1, i;
    int32_t n_vocab = model_info(m)->n_vocab;
    float *logits = mem_array((size_t)n_vocab, sizeof *logits);
    struct kv *kv = kv_open(m);
    json_t *top;
    assert_true(n_prompt > 0 && json_array_size(greedy) > 0);
    assert_int_equal(kv_reserve(kv, (int64_t)n, NULL), ERR_OK);
    for (size_t t = 0; t < n; t++) {
        const json_t *id = t < n_prompt ? json_array_get(prompt, t) : json_array_get(greedy, t - n_prompt);
        struct model_row forward = { kv, (int32_t)json_integer_value(id), t + 1 >= n_prompt };
        model_forward(m, &forward, 1, logits);
        if (t + 1 == n_prompt)
            json_array_foreach(json_object_get(row, "top5"), i, top)
                assert_near(json_number_value(json_array_get(top, 1)),
                            (double)logits[json_integer_value(json_array_get(top, 0))], TRAINER_BOUND);
        if (t + 1 >= n_prompt)
            assert_near(logits[argmax(logits, n_vocab)],
                        logits[json_integer_value(json_array_get(greedy, t + 1 - n_prompt))],
                        2 * TRAINER_BOUND);
    }
    kv_close(kv);
    mem_free(logits);
}

static void the_bundled_model_follows_its_trainer(void **state)
{
    (void)state;
    json_t *golden = json_load_file("models/logits.golden.json", 0, NULL), *row;
    size_t i;
    if (!golden) {
        print_message("# missing models/logits.golden.json\n");
        skip();
    }
    struct model *m = open_model(NULL, ~0u, 1);
    assert_true(json_array_size(golden) > 0);
    json_array_foreach(golden, i, row) follow_trainer(m, row);
    model_close(m);
    json_decref(golden);
}

static void files_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *file, *says;
    } cases[] = {
        { "fixtures/stories260K/tinyllamas-stories-260k-f32.gguf", "version 1" },
        { "fixtures/stories260K/tokenizer.bin", "not a GGUF file" },
        { "fixtures/vocabs/ggml-vocab-llama-spm.gguf", "Tensor 'token_embd.weight' is missing" },
        { "fixtures/vocabs/ggml-vocab-deepseek-llm.gguf", "Tensor 'token_embd.weight' is missing" },
        { "fixtures/vocabs/ggml-vocab-gpt-2.gguf", "Architecture 'gpt2'" },
        { "fixtures/vocabs/ggml-vocab-gpt-neox.gguf", "Architecture 'gptneox'" },
        { "fixtures/vocabs/ggml-vocab-falcon.gguf", "Architecture 'falcon'" },
        { "fixtures/vocabs/ggml-vocab-mpt.gguf", "Architecture 'mpt'" },
        { "fixtures/vocabs/ggml-vocab-refact.gguf", "Architecture 'refact'" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *path = test_shared(cases[i].file);
        if (!path)
            skip();
        struct model_config cfg = { .path = path, .kv_bytes_max = 1024 * 1024, .cpu_mask = ~0u };
        struct model *m = NULL;
        struct err err = { 0 };
        assert_int_equal(model_open(&m, &cfg, &err), ERR_FORMAT);
        if (!strstr(err.message, cases[i].says) || !strstr(err.message, path))
            fail_msg("%s: %s", cases[i].file, err.message);
        mem_free(path);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(stories_are_told_to_the_last_id),
    cmocka_unit_test(the_bundled_model_follows_its_trainer),
    cmocka_unit_test(files_are_refused_by_name),
};
TEST_GROUP(model_fixtures, tests)
