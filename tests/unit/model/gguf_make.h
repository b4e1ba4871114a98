/*
 * gguf_make.h - GGUF files made by tests: metadata, tensors, and whole tiny models.
 *
 * It is written from the format's description, apart from src/model/gguf.c, so that the two check each
 * other. Bad use of it (too long a name, no file) fails the running test.
 *
 * Ownership: gguf_make_free ends all; what is put in is copied.
 */
#ifndef THINKD_TESTS_UNIT_MODEL_GGUF_MAKE_H
#define THINKD_TESTS_UNIT_MODEL_GGUF_MAKE_H

#include "base/buf.h"
#include "kernel/kernel.h"

#include <stdbool.h>
#include <stdint.h>

/* --- files ------------------------------------------------------------------------------------------- */

/* GGUF's own numbers of tensor types, of those this project reads. */
enum { GGUF_MAKE_F32 = 0, GGUF_MAKE_F16 = 1, GGUF_MAKE_Q8_0 = 8, GGUF_MAKE_BF16 = 30 };

struct gguf_make_tensor {
    char name[64];
    uint64_t dims[4];      /* dims[0] is the row length */
    uint32_t n_dims, type; /* type: GGUF's number */
    struct buf bytes;
    double *values; /* what the bytes stand for after rounding to the type; NULL for raw tensors */
    size_t count;
};

struct gguf_make {
    uint32_t version; /* 3 unless the test sets another */
    struct buf keys;  /* encoded metadata */
    uint64_t n_keys;
    struct gguf_make_tensor *tensors;
    size_t n_tensors;
};

void gguf_make_init(struct gguf_make *g);
void gguf_make_free(struct gguf_make *g);

void gguf_make_u32(struct gguf_make *g, const char *key, uint32_t value);
void gguf_make_u64(struct gguf_make *g, const char *key, uint64_t value);
void gguf_make_f32(struct gguf_make *g, const char *key, float value);
void gguf_make_bool(struct gguf_make *g, const char *key, bool value);
void gguf_make_str(struct gguf_make *g, const char *key, const char *value);
void gguf_make_strs(struct gguf_make *g, const char *key, const char *const *values, size_t n);
void gguf_make_i32s(struct gguf_make *g, const char *key, const int32_t *values, size_t n);
void gguf_make_f32s(struct gguf_make *g, const char *key, const float *values, size_t n);

/* A tensor of rows x cols (rows 0: a vector of cols), rounded to type: F32, F16, BF16 or Q8_0. */
void gguf_make_values(struct gguf_make *g, const char *name, enum tensor_type type, uint64_t cols,
                      uint64_t rows, const float *values);
/* A tensor of any type number, dims and bytes: for files that lie. */
void gguf_make_raw(struct gguf_make *g, const char *name, uint32_t type, const uint64_t *dims,
                   uint32_t n_dims, const void *bytes, size_t len);
const struct gguf_make_tensor *gguf_make_find(const struct gguf_make *g,
                                              const char *name); /* fails the test */

void gguf_make_bytes(const struct gguf_make *g, struct buf *out); /* the whole file, alignment 32 */
void gguf_make_write(const struct gguf_make *g, const char *path);

/* --- tiny models ------------------------------------------------------------------------------------- */

struct gguf_make_shape {
    const char *arch;      /* one of src/model/arch.c's */
    enum tensor_type type; /* of the matrices; a router stays F32 */
    int n_layers, n_embd, n_heads, n_kv_heads, head_dim, n_rot, n_ff, context;
    int n_experts, n_experts_used; /* qwen3moe, gpt-oss */
    int window;                    /* 0: the key is left out */
    bool tied;                     /* no output.weight: token_embd.weight is the head too */
    bool channels; /* harmony's control tokens beside the others, and a template of its kind */
    uint64_t seed; /* same seed, same bytes */
};
/* 2 layers (gemma3: 7), d 64, 4 heads of 16 over 2 KV heads, ffn 128, context 1024, 5 experts of which 2 are used,
 * a window of 5 (gemma3, gpt-oss); qwen3 and gemma3 tied. Types with blocks of 256: d and ffn 256, heads of 64. */
struct gguf_make_shape gguf_make_tiny_shape(const char *arch, enum tensor_type type, uint64_t seed);

/* A complete model: 256 byte tokens in GPT-2's spelling (ids 0-255 are the bytes' own values), a few merged
 * ones, then <|endoftext|> <|im_start|> <|im_end|> <think> </think>; pre-tokenizer "qwen2"; a ChatML chat
 * template that reads add_generation_prompt and enable_thinking; random weights. */
void gguf_make_model(struct gguf_make *g, const struct gguf_make_shape *shape);

/* The above in one call, written to path. */
void gguf_make_tiny(const char *path, const char *arch, enum tensor_type type, uint64_t seed);

#endif
