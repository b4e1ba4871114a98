/*
 * gguf.c - any bytes as a model file: it opens or says in UTF-8 why not, and what opens can compute a token.
 *
 * The corpus: `tiny-*` are whole models of 32 dimensions, `table-*` are tables without models, `lie-*` are
 * files each with one wrong number; the fuzzer does the rest.
 */
#include "model/model.h"

#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void compute(struct model *m)
{
    struct kv *kv = kv_open(m);
    float *logits = mem_array((size_t)model_info(m)->n_vocab, sizeof *logits);
    struct model_row row = { kv, 0, true };
    if (!kv_reserve(kv, 1, NULL))
        model_forward(m, &row, 1, logits);
    mem_free(logits);
    kv_close(kv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct model *m = NULL;
    struct err err = { 0 };
    int fd = memfd_create("gguf", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct model_config cfg = { .path = path, .threads = 1, .kv_bytes_max = 1 << 20, .cpu_mask = ~0u };
    if (model_open(&m, &cfg, &err) == ERR_OK)
        compute(m);
    else
        assert(err.message[0] && utf8_valid(str_from(err.message)));
    model_close(m);
    close(fd);
    return 0;
}
