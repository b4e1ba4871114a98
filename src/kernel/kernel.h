/*
 * kernel.h - the inner loops: one list, one file for each instruction set, chosen once at start.
 *
 * scalar.c and its neighbours without an instruction set in their name are the definition of every kernel. A
 * row's result depends on nothing but that row: not on its neighbours, the batch or the number of threads, so
 * logits are bit-equal for any batching on one instruction set.
 *
 * Threads: kernels are pure; kernels_for is called before threads start.
 */
#ifndef THINKD_KERNEL_KERNEL_H
#define THINKD_KERNEL_KERNEL_H

#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- stored weights (types.c, dequant.c) ------------------------------------------------------------------ */

/* Tensor types of GGUF files that this build computes with (ggml's docs/gguf.md and ggml-common.h give the
 * layouts). block: weights that share a scale; bytes: what a block takes in the file. */
/* clang-format off */
#define TENSOR_LIST(X)                        \
    /* name    GGUF's number  block  bytes */ \
    X(F32,     0,             1,     4)       \
    X(F16,     1,             1,     2)       \
    X(BF16,    30,            1,     2)       \
    X(Q8_0,    8,             32,    34)      \
    X(Q4_0,    2,             32,    18)      \
    X(Q4_1,    3,             32,    20)      \
    X(Q5_0,    6,             32,    22)      \
    X(Q5_1,    7,             32,    24)      \
    X(Q2_K,    10,            256,   84)      \
    X(Q3_K,    11,            256,   110)     \
    X(Q4_K,    12,            256,   144)     \
    X(Q5_K,    13,            256,   176)     \
    X(Q6_K,    14,            256,   210)     \
    X(IQ4_NL,  20,            32,    18)      \
    X(IQ4_XS,  23,            256,   136)     \
    X(MXFP4,   39,            32,    17)
/* clang-format on */
enum tensor_type {
#define X(name, gguf, block, bytes) TENSOR_##name,
    TENSOR_LIST(X)
#undef X
        TENSOR_TYPE_COUNT
};
struct tensor_type_info {
    const char *name;
    uint32_t gguf;
    size_t block, bytes;
};
const struct tensor_type_info *tensor_type_info(enum tensor_type type);
bool tensor_type_find(uint32_t gguf, enum tensor_type *out); /* false: not one of ours */
/* What n stored weights stand for; n is a multiple of the block. This is every type's definition. */
void tensor_dequantize(enum tensor_type type, const void *src, size_t n, float *out);

/* Whether none of n stored weights is NaN or infinite, told by a quantised block's scale and min. */
bool tensor_finite(enum tensor_type type, const void *src, size_t n);

float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f); /* round to nearest even */

/* --- matrices (matrix.c) ------------------------------------------------------------------------------------ */

/*
 * A weight matrix [rows][cols]. F32, F16 and BF16 are used as the file has them; quantised ones are packed into
 * panels of PANEL_ROWS outputs first, so that one register holds the same four weights of sixteen outputs.
 * Packing keeps a type's bits a weight: 4-bit weights stay 4-bit in memory.
 */
#define PANEL_ROWS 16
struct matrix {
    enum tensor_type type; /* of the file */
    bool packed;
    size_t rows, cols; /* cols is a multiple of the type's block */
    const void *data;  /* plain: in the file's layout; packed: 64-byte aligned */
};
/* Bytes that the packed form takes, a multiple of 64; 0: this type is used as it is in the file. */
size_t matrix_packed_bytes(enum tensor_type type, size_t rows, size_t cols);
/* Packs panels from .. to - 1 of plain into out, which has matrix_packed_bytes; parts may run on many threads. Any bytes
 * can be packed; no scale is rounded.
 * Rows past the end of the last panel are zeroes. */
void matrix_pack(const struct matrix *plain, void *out, size_t panel_from, size_t panel_to);
/* Row `row` as floats [cols]: exactly what tensor_dequantize says of the file's. */
void matrix_row(const struct matrix *m, size_t row, float *out);

/*
 * Rows of activations, and the same rows in 8 bits for packed weights: x[i] ~ d * q[i], d = max |x| / 127 over a
 * block of 32, q = x / d to the nearest whole number, ties to even. A block whose largest is below 2^-100 counts as
 * zeroes; one with an infinity or a NaN has d = NaN, which makes every output of its row NaN.
 */
#define ACTS_BLOCK 32
struct acts_block { /* all that a product needs of 32 activations, side by side */
    int8_t q[ACTS_BLOCK];
    float d;
    int32_t minus32, minus16[2]; /* minus the sum of the 32 q, and of each half of them */
};
struct acts {
    size_t rows_max, n_max; /* n_max a multiple of 32 */
    size_t n;               /* length of a row now; may change between uses, up to n_max */
    float *x;               /* [rows_max][n]; aligned to 64 */
    struct acts_block *q;   /* [rows_max][n / 32], rows at acts_row */
};
static inline struct acts_block *acts_row(const struct acts *a, size_t r)
{
    /* An odd stride: rows a multiple of 4 KiB apart would fall into the same few sets of the first-level cache. */
    return a->q + r * (a->n / ACTS_BLOCK | 1);
}
/* The rows from r on as rows of their own, in the same memory: n must stay what it is. */
static inline struct acts acts_from(const struct acts *a, size_t r)
{
    return (struct acts){ a->rows_max - r, a->n_max, a->n, a->x + r * a->n, acts_row(a, r) };
}
/* Arrays for rows_max rows of up to n_max, which is rounded up to a multiple of 32; n becomes n_max. */
void acts_open(struct acts *a, size_t rows_max, size_t n_max);
void acts_free(struct acts *a);

/* y[r * y_stride + j] = w[j] . x[row(r)] for outputs from <= j < to (from a multiple of PANEL_ROWS) and
 * r < n_rows; row(r) is rows[r], or r where rows is NULL. Packed weights read q, plain ones x. */
struct product {
    const struct matrix *w;
    size_t from, to;
    const struct acts *x;
    const uint32_t *rows;
    size_t n_rows;
    float *y; /* y[0] is output 0 of the first row, whatever from is */
    size_t y_stride;
};

/* --- attention (attend.c) ------------------------------------------------------------------------------------- */

/* Keys and values are kept in pages of 64 tokens. What a page holds for one KV head is a kv_head: its layout is
 * the kernels' own. F32 is exact; F16 rounds; Q8 has a scale for each token's key and each token's value. */
#define KV_PAGE_TOKENS 64
enum kv_type { KV_F32, KV_F16, KV_Q8, KV_TYPE_COUNT };
extern const char *const kv_type_names[KV_TYPE_COUNT + 1]; /* "f32", "f16", "q8_0"; NULL-terminated */
size_t kv_head_bytes(enum kv_type type, size_t head_dim);  /* a multiple of 64 */
/* The first n tokens of src into dst, which holds nothing yet. */
void kv_head_copy(enum kv_type type, size_t head_dim, void *dst, const void *src, size_t n);

struct kv_store {
    enum kv_type type;
    size_t head_dim;
    void *head;               /* kv_head_bytes, aligned to 64 */
    size_t at;                /* token within the page */
    const float *key, *value; /* [head_dim] */
};

/* One row's queries of the heads that share one KV head: sees tokens from <= t < to of its sequence. */
struct attend_row {
    const float *q;        /* [group][head_dim], carrying the scores' scale */
    float *out;            /* [group][head_dim] */
    const uint32_t *pages; /* pages[i] holds tokens 64 i .. */
    int64_t from, to;      /* from < to */
};
/* out = sum over t of softmax(softcap(q . k_t)) v_t. Rows next to each other that have the same page at the same place
 * read it once, together. Pages are taken in order of position and merged by log-sum-exp, each by itself, so a
 * row's result does not depend on who shares its pages. */
struct attend {
    enum kv_type type;
    size_t head_dim, group; /* group: query heads of this KV head */
    const unsigned char *memory;
    size_t page_bytes, offset; /* the kv_head of page p is at memory + p * page_bytes + offset */
    const struct attend_row *rows;
    size_t n_rows;
    float softcap;      /* s -> softcap * tanh(s / softcap); 0: none */
    const float *sinks; /* [group] logits that take part in the sum and have no value (gpt-oss); NULL: none */
    void *scratch;      /* attend_scratch_bytes(head_dim, n_rows * group), aligned to 64 */
};
size_t attend_scratch_bytes(size_t head_dim, size_t queries);

/* --- sampling (choose.c) ---------------------------------------------------------------------------------------- */

/* What sampling and confidence need of one row of logits, in one or two passes while it is in the cache. */
#define TOP_LOGITS 64
struct logit_summary {
    float max;               /* the largest; NaN counts as no logit */
    int32_t argmax;          /* the lowest id that has it; -1: no logit is finite, or one is +inf */
    double log_sum;          /* log sum_i exp(l_i - max), in a fixed order */
    int32_t n_top;           /* min(TOP_LOGITS, finite logits) */
    int32_t top[TOP_LOGITS]; /* ids of the largest, best first, lower id first on a tie */
    float top_logit[TOP_LOGITS];
};

/* --- the list ------------------------------------------------------------------------------------------------- */

/* mul_f32/f16/bf16: product over plain weights. mul_packed: over packed ones. An output's sum runs in an order that
 *        depends on the row length alone, so how a matrix is cut into calls and how many rows share one changes no bit.
 * acts_quantize: fills the blocks of row r from x, for i in [from, to), multiples of 32.
 * dot_f32: sum of a[i] * b[i]. axpy_f32: y += a * x.
 * rms_norm: y = x / sqrt(mean(x^2) + eps) * weight; y may be x.
 * softmax: in place over n > 0 finite values, the largest subtracted first.
 * silu_mul: y = gate / (1 + exp(-gate)) * up; y may be gate or up. gelu_mul: the same with gelu's tanh form
 *        (0.5 g (1 + tanh(sqrt(2/pi) (g + 0.044715 g^3)))).
 * kv_store, attend: see the structs.
 * summarize_logits: see logit_summary; k <= TOP_LOGITS of the largest are found.
 * summarize_masked: the same of the logits whose bit is set: bit i % 64 of mask[i / 64]; the others count as -inf. Where
 *        whole stretches are ruled out, they are not read.
 * mask_logits: those whose bit is clear become -inf.
 * exp_weights: w[i] = exp((l[i] - max) * inverse_t), NaN weighs 0, l[i] == max weighs 1; returns their sum in a fixed order. */
#define KERNEL_LIST(X)                                                                                       \
    X(void, mul_f32, (const struct product *p))                                                              \
    X(void, mul_f16, (const struct product *p))                                                              \
    X(void, mul_bf16, (const struct product *p))                                                             \
    X(void, mul_packed, (const struct product *p))                                                           \
    X(void, acts_quantize, (struct acts * a, size_t r, size_t from, size_t to))                              \
    X(float, dot_f32, (const float *a, const float *b, size_t n))                                            \
    X(void, axpy_f32, (float *y, float a, const float *x, size_t n))                                         \
    X(void, rms_norm, (float *y, const float *x, const float *weight, size_t n, float eps))                  \
    X(void, softmax, (float *x, size_t n))                                                                   \
    X(void, silu_mul, (float *y, const float *gate, const float *up, size_t n))                              \
    X(void, gelu_mul, (float *y, const float *gate, const float *up, size_t n))                              \
    X(void, kv_store, (const struct kv_store *s))                                                            \
    X(void, attend, (const struct attend *a))                                                                \
    X(void, summarize_logits, (const float *logits, size_t n, size_t k, struct logit_summary *out))          \
    X(void, summarize_masked,                                                                                \
      (const float *logits, size_t n, size_t k, const uint64_t *mask, struct logit_summary *out))            \
    X(void, mask_logits, (float *logits, size_t n, const uint64_t *mask))                                    \
    X(double, exp_weights, (float *w, const float *l, size_t n, float max, float inverse_t))

struct kernels {
    const char *isa; /* "scalar", "avx2", "avx512", "avx512-vnni", "amx", "neon-dotprod", ... */
#define X(ret, name, args) ret(*name) args;
    KERNEL_LIST(X)
#undef X
};

/* What a CPU may have; each bit implies those that its name builds on. */
enum {
    CPU_AVX2 = 1,        /* with FMA and F16C */
    CPU_AVX_VNNI = 2,    /* 256-bit VNNI in VEX form */
    CPU_AVX512 = 4,      /* F, BW, DQ, VL */
    CPU_AVX512_VNNI = 8, /* and VBMI */
    CPU_AMX = 16,        /* tiles, int8; the process was given leave to use them */
    CPU_NEON = 32,
    CPU_DOTPROD = 64,
    CPU_I8MM = 128
};
unsigned cpu_detect(void);
/* A --cpu-mask: names of levels to leave out ("avx512,amx", "" for none); *mask has the bits that may be used. false:
 * *bad points at the name in names that is no level. */
bool cpu_mask_from(const char *names, unsigned *mask, const char **bad);
struct kernels kernels_for(unsigned cpu);
/* For tests: what this cpu runs with the i weakest overlays on top of scalar (0: none); false past the last. */
bool kernels_variant(size_t i, unsigned cpu, struct kernels *out);
extern const struct kernels kernels_scalar;
/* y = w x for any type of w, by the right kernel. */
void matrix_mul(const struct kernels *k, const struct product *p);

/* Fork and join: run(ctx, part, parts) for each part of 0 .. parts-1 exactly once, the caller doing part 0
 * and whatever the workers have not begun when it is done, so a thread that is not running delays nobody.
 * Workers spin briefly, then sleep. A pool of 1 runs in the caller. */
#define KERNEL_THREADS_MAX 256
struct kernel_pool;
struct kernel_pool *kernel_pool_open(int threads); /* 1 .. KERNEL_THREADS_MAX */
int kernel_pool_threads(const struct kernel_pool *p);
void kernel_pool_run(struct kernel_pool *p, int parts, void (*run)(void *ctx, int part, int parts),
                     void *ctx);
void kernel_pool_close(struct kernel_pool *p); /* NULL is fine */

#endif
