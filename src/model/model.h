/*
 * model.h - a GGUF file as a function from tokens to logits.
 *
 * The file is mapped and never trusted: every count, offset, type and shape is checked against the map when
 * it is opened, and what is refused is named (version, architecture, tensor, type). Architectures are rows
 * of one table over one forward pass. Quantised matrices are packed for the kernels when the model is opened, and
 * their pages of the map given back.
 *
 * Threads: model_open, model_close and model_forward on one thread (the engine's); model_info and
 * model_vocabulary from any. Ownership: the model owns weights, scratch and the memory of all kv.
 * Invariant: a row's logits are bit-equal for any batch, chunking and thread count on one instruction set.
 */
#ifndef THINKD_MODEL_MODEL_H
#define THINKD_MODEL_MODEL_H

#include "base/err.h"
#include "base/str.h"
#include "kernel/kernel.h"
#include "text/text.h"

#include <stdbool.h>
#include <stdint.h>

struct model;
struct kv; /* the tokens of one sequence with their keys and values, in pages from the model's bounded pool */

struct model_config {
    const char *path;     /* GGUF file; NULL: the bundled model */
    int threads;          /* 0: one per CPU */
    int64_t context;      /* 0: the model's own; above it: refused */
    int64_t kv_bytes_max; /* of all pages, those kept for later prompts too */
    enum kv_type kv_type;
    unsigned cpu_mask; /* CPU_* bits that may be used; ~0u: all */
};

struct model_info {
    const char *name;  /* general.name, else the file's base name */
    const char *arch;  /* "qwen3", "llama", ...: the table in arch.c */
    const char *types; /* "Q8_0", "F32", "Q8_0+F32" of the matrices */
    const char *isa;   /* kernels in use */
    int64_t parameters, file_bytes;
    int32_t n_vocab, n_layers, n_embd;
    int64_t context; /* tokens a sequence may have */
    /* Keys of our own that a model file may carry; 0 or NULL where it does not. */
    uint32_t thinking_tokens; /* thinkd.thinking.tokens: nominal length of a thought */
    const char *close_text;   /* thinkd.thinking.close_text: the sentence that ends a thought early */
    const char *
        continue_text; /* thinkd.thinking.continue_text: what sends a finished thought back for another look */
    const char *refusal;       /* thinkd.refusal.opening: how each of its refusals begins */
    const char *chat_template; /* tokenizer.chat_template, or NULL */
    /* How its makers would have it sampled: general.sampling.temp, .top_p and .min_p; NAN where the file does not say, or says what
     * cannot be. */
    double temperature, top_p, min_p;
};

/* ERR_FILE, ERR_FORMAT (what is wrong with the file, and the version, architecture or type that is refused). */
enum err_code model_open(struct model **out, const struct model_config *cfg, struct err *err);
void model_close(struct model *m); /* NULL is fine; every kv is closed before */
const struct model_info *model_info(const struct model *m);
const struct vocabulary *model_vocabulary(const struct model *m); /* lives as long as the model */

/*
 * Keys and values. Pages of 64 tokens, reference-counted. A page that is full, and what a closed sequence
 * leaves in its last one, goes into a radix tree by token ids and is found there by every later sequence with
 * the same beginning; what nobody uses is given up least recently used first when room is needed. So memory
 * once used stays used, up to kv_bytes_max, and what is left for sequences is pages - pages_used of kv_usage.
 *
 * Admission: kv_open, kv_match, kv_reserve; where that says ERR_BUSY, kv_close and wait for somebody to end
 * (what was matched stays in the tree, as used now). The last token of a prompt has to be computed for its
 * logits, so match one less than the prompt. Sequences that begin alike and wait together: compute one of
 * them; the others then match its full pages, or, forked from it, have all of its tokens, those of the last
 * page too, which is not in the tree before it is full or closed. Its logits are theirs too. Sequences that
 * share pages stand next to each other in a step's rows: attention then reads the pages once.
 */
struct kv *kv_open(struct model *m); /* empty: no pages yet; salt 0 */
/* Of an empty kv: it shares pages with sequences of the same salt alone, and a fork has its salt. */
void kv_set_salt(struct kv *kv, uint64_t salt);
/* Gives its pages back; their tokens stay in the tree for as long as there is room. NULL is fine. */
void kv_close(struct kv *kv);
int64_t kv_len(const struct kv *kv); /* tokens stored */
/* For an empty kv: takes over the longest stored beginning of ids, at most n tokens, and returns its length.
 * Whole pages are shared; of one more the tokens that agree are copied, where a page is free or can be made
 * free. Room that was reserved is given back. */
int64_t kv_match(struct kv *kv, const int32_t *ids, int64_t n);
/* What kv_match would find now, without taking anything; not a use. */
int64_t kv_would_match(const struct model *m, uint64_t salt, const int32_t *ids, int64_t n);
/* Makes room for n more tokens, giving up unused pages of the tree where needed; all or nothing, and room is
 * kept until it is used. ERR_BUSY: the pool is full of pages in use; ERR_CONTEXT_LENGTH: too long. */
enum err_code kv_reserve(struct kv *kv, int64_t n, struct err *err);
/* A second sequence with the same tokens: full pages are shared, of the last one what is in it is copied.
 * Room that was reserved is not. NULL: the copy takes a page and none can be had. */
struct kv *kv_fork(struct kv *kv);
/* Drops the tokens after len, and the room that was reserved beyond them: reserve again before the next
 * token. Pages in the tree stay there. Returns the new length: len, or the end of the last whole page before
 * it when its page is in the tree and none can be had for the copy to go on in. */
int64_t kv_truncate(struct kv *kv, int64_t len);

struct kv_usage {
    int64_t pages, pages_used, pages_kept; /* in the pool; of sequences; only in the tree */
    int64_t page_bytes, page_tokens;
    int64_t hits, evicted; /* tokens found by kv_match, pages given up, since the start */
};
void kv_usage(const struct model *m, struct kv_usage *out);

/* One token through all layers: stored in kv at position kv_len, which then grows by one. */
struct model_row {
    struct kv *kv; /* room was reserved */
    int32_t token; /* 0 <= token < n_vocab */
    bool want_logits;
};
#define MODEL_ROWS_MAX   256 /* rows of one call */
#define MODEL_LOGITS_MAX 64  /* rows of one call that may want logits */
/* Rows of the same kv stand together, in order. logits: [rows that want them][n_vocab], in row order. */
void model_forward(struct model *m, const struct model_row *rows, size_t n_rows, float *logits);
/* The model's pool and kernels, for what the engine does on its thread between two steps (sampling). */
struct kernel_pool *model_pool(const struct model *m);
const struct kernels *model_kernels(const struct model *m);

#endif
