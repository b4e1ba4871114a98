/*
 * attend_impl.h - how a page of keys and values lies in memory, and what the files of attention share.
 *
 * A kv_head, n = head_dim, all parts aligned to 64 bytes:
 *   F32, F16  keys [n][64 tokens], values [64 tokens][n rounded up to 16]
 *   Q8        keys [n / 4 rounded up][64 tokens][4] as k + 128, values [64 / 4][n rounded up to 16][4 tokens],
 *             then 64 scales of keys and 64 of values in F32: key = scale * k, -127 <= k <= 127
 * Keys are transposed so that one register holds the same dimension of many tokens, values are not, so that one
 * holds many dimensions of the same token: both products then run without a sum across lanes. The groups of
 * four bytes are what one lane of an 8-bit dot product takes. k + 128 stands where the instruction wants its
 * unsigned operand. What pads a page is never written and never counts.
 *
 * The layout is one for all instruction sets, so any variant's kv_store serves any variant's attend.
 */
#ifndef THINKD_KERNEL_ATTEND_IMPL_H
#define THINKD_KERNEL_ATTEND_IMPL_H

#include "kernel/kernel_impl.h"

#include <math.h>

#if defined(__x86_64__)
extern const struct kernels kernels_attend_avx2, kernels_attend_avx512, kernels_attend_vnni512;
#elif defined(__aarch64__)
extern const struct kernels kernels_attend_neon;
#endif

void attend_scalar(const struct attend *a);
void kv_store_scalar(const struct kv_store *s);
void summarize_logits_scalar(const float *logits, size_t n, size_t k, struct logit_summary *out);
void summarize_masked_scalar(const float *logits, size_t n, size_t k, const uint64_t *mask,
                             struct logit_summary *out);
void mask_logits_scalar(float *logits, size_t n, const uint64_t *mask);
double exp_weights_scalar(float *w, const float *l, size_t n, float max, float inverse_t);

#define KV_TOKENS     KV_PAGE_TOKENS
#define KV_LANES      16 /* values are padded to this many dimensions */
#define KV_KEY_OFFSET 128

static inline size_t kv_round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static inline size_t kv_value_dims(size_t head_dim)
{
    return kv_round_up(head_dim, KV_LANES);
}

static inline size_t kv_key_bytes(enum kv_type type, size_t head_dim)
{
    switch (type) {
    case KV_F32: return head_dim * KV_TOKENS * sizeof(float);
    case KV_F16: return head_dim * KV_TOKENS * sizeof(uint16_t);
    case KV_Q8: return kv_round_up(head_dim, 4) * KV_TOKENS;
    case KV_TYPE_COUNT: break;
    }
    return 0;
}

static inline size_t kv_value_bytes(enum kv_type type, size_t head_dim)
{
    static const size_t bytes[] = { [KV_F32] = sizeof(float), [KV_F16] = sizeof(uint16_t), [KV_Q8] = 1 };
    return kv_value_dims(head_dim) * KV_TOKENS * bytes[type];
}

/* Where element i of token t lies, in elements of the type from the start of the keys or values. */
static inline size_t kv_key_at(enum kv_type type, size_t t, size_t i)
{
    return type == KV_Q8 ? (i / 4 * KV_TOKENS + t) * 4 + i % 4 : i * KV_TOKENS + t;
}

static inline size_t kv_value_at(enum kv_type type, size_t head_dim, size_t t, size_t i)
{
    size_t dims = kv_value_dims(head_dim);
    return type == KV_Q8 ? (t / 4 * dims + i) * 4 + t % 4 : t * dims + i;
}

/* Of Q8: [64] of keys, then [64] of values. */
static inline float *kv_scales(void *head, size_t head_dim)
{
    return (float *)(void *)((char *)head + kv_key_bytes(KV_Q8, head_dim) + kv_value_bytes(KV_Q8, head_dim));
}

/* --- what the variants of attend walk over ---------------------------------------------------------------- */

/* The tokens lo <= t < hi of page number `page` that a row sees. */
struct attend_span {
    size_t lo, hi;
};

static inline bool attend_sees(const struct attend_row *r, int64_t page)
{
    return r->from < (page + 1) * KV_TOKENS && r->to > page * KV_TOKENS;
}

static inline struct attend_span attend_span(const struct attend_row *r, int64_t page)
{
    int64_t lo = r->from - page * KV_TOKENS, hi = r->to - page * KV_TOKENS;
    return (struct attend_span){ lo > 0 ? (size_t)lo : 0, hi < KV_TOKENS ? (size_t)hi : KV_TOKENS };
}

/* The first and one past the last page that any row sees. */
static inline void attend_pages(const struct attend *a, int64_t *first, int64_t *end)
{
    *first = INT64_MAX;
    *end = 0;
    for (size_t r = 0; r < a->n_rows; r++) {
        int64_t from = a->rows[r].from / KV_TOKENS, to = (a->rows[r].to + KV_TOKENS - 1) / KV_TOKENS;
        *first = from < *first ? from : *first;
        *end = to > *end ? to : *end;
    }
}

static inline const void *attend_head(const struct attend *a, uint32_t page)
{
    return a->memory + page * a->page_bytes + a->offset;
}

#endif
