/*
 * thinkd_logits.c - our logits for a list of token ids; see logits.h.
 *
 * THINKD_CPU_MASK in the environment leaves instruction sets out, by name as --cpu-mask has them.
 */
#include "logits.h"

#include "kernel/kernel.h"
#include "model/model.h"

static struct model *open_model(const struct asked *a)
{
    unsigned mask = ~0u;
    const char *names = getenv("THINKD_CPU_MASK"), *bad;
    if (names && !cpu_mask_from(names, &mask, &bad))
        fail("THINKD_CPU_MASK names no instruction set");
    const struct model_config cfg = {
        .path = a->model,
        .threads = 2,
        .context = a->context,
        .kv_bytes_max = 512 << 20,
        .kv_type = KV_F32,
        .cpu_mask = mask,
    };
    struct model *m;
    struct err err = { 0 };
    if (model_open(&m, &cfg, &err))
        fail(err.message);
    return m;
}

static void step(struct model *m, struct kv *kv, const int32_t *ids, int n, float *logits)
{
    struct model_row rows[MODEL_LOGITS_MAX];
    struct err err = { 0 };
    if (kv_reserve(kv, n, &err))
        fail(err.message);
    for (int i = 0; i < n; i++)
        rows[i] = (struct model_row){ .kv = kv, .token = ids[i], .want_logits = true };
    model_forward(m, rows, (size_t)n, logits);
}

int main(int argc, char **argv)
{
    struct asked a = asked_read(argc, argv);
    struct model *m = open_model(&a);
    int32_t n_vocab = model_info(m)->n_vocab, next = 0;
    float *logits = mem_array((size_t)MODEL_LOGITS_MAX * (size_t)n_vocab, sizeof *logits);
    struct kv *kv = kv_open(m);
    for (int at = 0; at < a.n_ids;) {
        int n = a.n_ids - at < MODEL_LOGITS_MAX ? a.n_ids - at : MODEL_LOGITS_MAX;
        for (int i = at; i < at + n; i++)
            if (a.ids[i] < 0 || a.ids[i] >= n_vocab)
                fail("an id is not of the vocabulary");
        step(m, kv, a.ids + at, n, logits);
        fwrite(logits, sizeof *logits, (size_t)n * (size_t)n_vocab, a.out);
        next = likeliest(logits + (size_t)(n - 1) * (size_t)n_vocab, n_vocab);
        at += n;
    }
    printf("{\"n_vocab\": %d, \"greedy\": [", n_vocab);
    for (int i = 0; i < a.greedy; i++) {
        printf("%s%d", i ? ", " : "", next);
        step(m, kv, &next, 1, logits);
        next = likeliest(logits, n_vocab);
    }
    printf("]}\n");
    fclose(a.out);
    mem_free(logits);
    kv_close(kv);
    model_close(m);
    return 0;
}
