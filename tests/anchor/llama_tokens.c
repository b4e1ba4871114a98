/*
 * llama_tokens.c - llama.cpp's ids for a list of texts; see tokens.h.
 *
 * Built on the host against the chroot's headers and library, run inside the chroot. It uses nothing of
 * thinkd.
 */
#include "tokens.h"

#include <ggml-backend.h>
#include <llama.h>

static void quiet(enum ggml_log_level level, const char *text, void *ctx)
{
    (void)ctx;
    if (level == GGML_LOG_LEVEL_ERROR)
        fputs(text, stderr);
}

int main(int argc, char **argv)
{
    struct texts texts = texts_open(argc, argv);
    int32_t *ids = malloc(2 * TEXT_MAX * sizeof *ids);
    llama_log_set(quiet, NULL);
    ggml_backend_load_all();
    llama_backend_init();
    struct llama_model_params p = llama_model_default_params();
    p.vocab_only = true;
    struct llama_model *model = llama_model_load_from_file(argv[1], p);
    if (!ids || !model)
        fail("llama.cpp does not load the vocabulary");
    const struct llama_vocab *v = llama_model_get_vocab(model);
    while (texts_next(&texts)) {
        int32_t n =
            llama_tokenize(v, texts.text, (int32_t)texts.len, ids, 2 * TEXT_MAX, false, texts.special);
        if (n < 0)
            fail("llama_tokenize failed");
        put_ids(ids, (size_t)n);
    }
    texts_close(&texts);
    free(ids);
    llama_model_free(model);
    return 0;
}
