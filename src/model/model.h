/*
 * model.h - a GGUF file as a function from tokens to logits.
 *
 * The file is mapped and never trusted: every count, offset, type and shape is checked against the map when
 * it is opened, and what is refused is named (version, architecture, tensor, type). Architectures are rows
 * of one table over one forward pass.
 *
 * Threads: model_open, model_close and model_forward on one thread (the engine's); model_info and
 * model_vocabulary from any. Ownership: the model owns weights, scratch and the memory of all kv.
 * Invariant: a row's logits are bit-equal for any batch, chunking and thread count on one instruction set.
 */
#ifndef THINKD_MODEL_MODEL_H
#define THINKD_MODEL_MODEL_H

#include "base/err.h"
#include "base/str.h"
#include "text/text.h"

#include <stdbool.h>
#include <stdint.h>

struct model;
struct kv; /* keys and values of one sequence, in pages from the model's bounded pool */

struct model_config {
    const char *path; /* GGUF file; NULL: the bundled model */
    int threads;      /* 0: one per CPU */
    int64_t context;  /* 0: the model's own; above it: refused */
    int64_t kv_bytes_max;
    unsigned cpu_mask; /* CPU_* bits that may be used; ~0u: all */
};

struct model_info {
    const char *name;  /* general.name, else the file's base name */
    const char *arch;  /* "qwen3", "llama" */
    const char *types; /* "Q8_0", "F32", "Q8_0+F32" of the matrices */
    const char *isa;   /* kernels in use */
    int64_t parameters, file_bytes;
    int32_t n_vocab, n_layers, n_embd;
    int64_t context; /* tokens a sequence may have */
    /* Keys of our own that a model file may carry; 0 or NULL where it does not. */
    uint32_t thinking_tokens;  /* thinkd.thinking.tokens: nominal length of a thought */
    const char *close_text;    /* thinkd.thinking.close_text: the sentence that ends a thought early */
    const char *chat_template; /* tokenizer.chat_template, or NULL */
};

/* ERR_FILE, ERR_FORMAT (what is wrong with the file, and the version, architecture or type that is refused). */
enum err_code model_open(struct model **out, const struct model_config *cfg, struct err *err);
void model_close(struct model *m); /* NULL is fine; every kv is closed before */
const struct model_info *model_info(const struct model *m);
const struct vocabulary *model_vocabulary(const struct model *m); /* lives as long as the model */

struct kv *kv_open(struct model *m); /* empty: no pages yet */
void kv_close(struct kv *kv);        /* gives its pages back; NULL is fine */
int64_t kv_len(const struct kv *kv); /* tokens stored */
/* Makes room for n more tokens. ERR_BUSY: the pool is full now; ERR_CONTEXT_LENGTH: beyond the context. */
enum err_code kv_reserve(struct kv *kv, int64_t n, struct err *err);

/* One token through all layers: stored in kv at position kv_len, which then grows by one. */
struct model_row {
    struct kv *kv; /* room was reserved */
    int32_t token; /* 0 <= token < n_vocab */
    bool want_logits;
};
#define MODEL_ROWS_MAX 64 /* rows of one call */
/* Rows of the same kv stand in order. logits: [rows that want them][n_vocab], in row order. */
void model_forward(struct model *m, const struct model_row *rows, size_t n_rows, float *logits);

#endif
