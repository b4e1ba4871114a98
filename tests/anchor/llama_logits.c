/*
 * llama_logits.c - logits of llama.cpp for a list of token ids; see logits.h.
 *
 * Built on the host against the chroot's headers and library, run inside the chroot. It uses nothing of
 * thinkd.
 */
#include "logits.h"

#include <ggml-backend.h>
#include <llama.h>

static void quiet(enum ggml_log_level level, const char *text, void *ctx)
{
    (void)ctx;
    if (level == GGML_LOG_LEVEL_ERROR)
        fputs(text, stderr);
}

/* ids at positions from at on, logits for each. */
static const float *step(struct llama_context *ctx, const int32_t *ids, int n, int at)
{
    struct llama_batch batch = llama_batch_init(n, 0, 1);
    batch.n_tokens = n;
    for (int i = 0; i < n; i++) {
        batch.token[i] = ids[i];
        batch.pos[i] = at + i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = 1;
    }
    if (llama_decode(ctx, batch) != 0)
        fail("llama_decode failed");
    llama_batch_free(batch);
    return llama_get_logits(ctx);
}

int main(int argc, char **argv)
{
    struct asked a = asked_read(argc, argv);
    llama_log_set(quiet, NULL);
    ggml_backend_load_all();
    llama_backend_init();
    struct llama_model *model = llama_model_load_from_file(a.model, llama_model_default_params());
    if (!model)
        fail("llama.cpp does not load the model");
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = (uint32_t)a.context;
    p.n_batch = p.n_ubatch = 512;
    p.n_threads = p.n_threads_batch = 2;
    p.type_k = p.type_v = GGML_TYPE_F32;
    p.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    p.swa_full = true;
    struct llama_context *ctx = llama_init_from_model(model, p);
    if (!ctx)
        fail("llama.cpp makes no context");

    int32_t n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model)), next = 0;
    for (int at = 0; at < a.n_ids;) {
        int n = a.n_ids - at < 512 ? a.n_ids - at : 512;
        const float *logits = step(ctx, a.ids + at, n, at);
        fwrite(logits, sizeof *logits, (size_t)n * (size_t)n_vocab, a.out);
        next = likeliest(logits + (size_t)(n - 1) * (size_t)n_vocab, n_vocab);
        at += n;
    }
    printf("{\"n_vocab\": %d, \"greedy\": [", n_vocab);
    for (int i = 0; i < a.greedy; i++) {
        printf("%s%d", i ? ", " : "", next);
        next = likeliest(step(ctx, &next, 1, a.n_ids + i), n_vocab);
    }
    printf("]}\n");
    fclose(a.out);
    llama_free(ctx);
    llama_model_free(model);
    return 0;
}
