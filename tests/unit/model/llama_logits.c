/*
 * llama_logits.c - every architecture against llama.cpp's own logits, from a file that is made beside it.
 *
 * llama_logits.txt says how it was made; the models are made here. The bound is that of F32 sums in another order; gelu is
 * looked up in a table of halves over there, so gemma3 is given what that costs.
 */
#include "test.h"

#include "base/file.h"
#include "base/str.h"
#include "kernel/kernel.h"
#include "model/gguf_make.h"
#include "model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDS_MAX 128

struct golden {
    char arch[32];
    unsigned seed;
    int32_t ids[IDS_MAX], greedy[IDS_MAX];
    float logits[IDS_MAX];
    int n_ids, n_greedy, n_logits;
};

static int read_ids(const char *text, int32_t *out)
{
    int n = 0;
    for (char *end; n < IDS_MAX; n++, text = end) {
        long v = strtol(text, &end, 10);
        if (end == text)
            break;
        out[n] = (int32_t)v;
    }
    return n;
}

static int read_floats(const char *text, float *out)
{
    int n = 0;
    for (char *end; n < IDS_MAX; n++, text = end) {
        float v = strtof(text, &end);
        if (end == text)
            break;
        out[n] = v;
    }
    return n;
}

/* Takes the next model's four lines; false at the end of the file. */
static bool golden_next(FILE *f, struct golden *g)
{
    char line[4096];
    memset(g, 0, sizeof *g);
    while (g->n_logits == 0 && fgets(line, sizeof line, f)) {
        if (strncmp(line, "model ", 6) == 0)
            assert_int_equal(sscanf(line, "model %31s %u", g->arch, &g->seed), 2);
        else if (strncmp(line, "ids ", 4) == 0)
            g->n_ids = read_ids(line + 4, g->ids);
        else if (strncmp(line, "greedy ", 7) == 0)
            g->n_greedy = read_ids(line + 7, g->greedy);
        else if (strncmp(line, "logits ", 7) == 0)
            g->n_logits = read_floats(line + 7, g->logits);
    }
    return g->n_logits > 0;
}

static void forward(struct model *m, struct kv *kv, const int32_t *ids, int n, float *logits)
{
    struct model_row rows[IDS_MAX];
    struct err err = { 0 };
    if (kv_reserve(kv, n, &err))
        fail_msg("%s", err.message);
    for (int i = 0; i < n; i++)
        rows[i] = (struct model_row){ kv, ids[i], i == n - 1 };
    model_forward(m, rows, (size_t)n, logits);
}

static int32_t likeliest(const float *logits, int32_t n)
{
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

static void follows(const struct golden *g)
{
    char path[300];
    snprintf(path, sizeof path, "%s/llama-%s.gguf", test_tmpdir(), g->arch);
    gguf_make_tiny(path, g->arch, TENSOR_F32, g->seed);
    const struct model_config cfg = {
        .path = path, .threads = 1, .kv_bytes_max = 16 << 20, .kv_type = KV_F32, .cpu_mask = ~0u
    };
    struct model *m;
    struct err err = { 0 };
    if (model_open(&m, &cfg, &err))
        fail_msg("%s", err.message);
    struct kv *kv = kv_open(m);
    int32_t n_vocab = model_info(m)->n_vocab;
    float *logits = mem_array((size_t)n_vocab, sizeof *logits);
    double bound = strcmp(g->arch, "gemma3") == 0 ? 5e-3 : 2e-4;
    forward(m, kv, g->ids, g->n_ids, logits);
    for (int i = 0; i < g->n_logits; i++)
        assert_near((double)g->logits[i], (double)logits[i], bound);
    for (int i = 0; i < g->n_greedy; i++) {
        int32_t id = likeliest(logits, n_vocab);
        assert_int_equal(id, g->greedy[i]);
        forward(m, kv, &id, 1, logits);
    }
    mem_free(logits);
    kv_close(kv);
    model_close(m);
}

static void every_architecture_follows_llama(void **state)
{
    (void)state;
    FILE *f = fopen("tests/unit/model/llama_logits.txt", "r");
    struct golden g;
    int n = 0;
    assert_non_null(f);
    for (; golden_next(f, &g); n++)
        follows(&g);
    fclose(f);
    assert_int_equal(n, 7);
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(every_architecture_follows_llama) };
TEST_GROUP(model_llama_logits, tests)
