/*
 * attend_vector_impl.h - attention and the store over vectors of any width; an attend_<isa>.c includes it once,
 * after a vec_*_impl.h and with
 *
 *   SCORE_WIDTH(Q)  registers of tokens beside Q queries in the product q . k; divides 64 / LANES
 *   VALUE_WIDTH(Q)  registers of dimensions beside Q queries in the product p v
 *   ATTEND_VNNI     only for Q8: both products in 8-bit steps (attend_vnni512.c)
 *
 * Pages are walked in ascending position. At each, rows next to each other that hold the same page form a run;
 * its queries, up to TILE at a time, are one small matrix against the page's 64 keys, then, after the softmax
 * of each, against its values. A page's part of a query, (m, l, o) with l = sum exp(s - m), o = sum exp(s - m) v
 * over the page alone, is merged into the query's running one.
 *
 * Invariant: a query's bits depend on its own q, tokens and span alone. Each element of a product is one chain
 * of fma's, over dimensions or tokens in ascending order from zero, in a tile of any width; sums over a page's
 * tokens run by their place in the page; the 8-bit products are whole numbers and exact. A token outside
 * the span is in no chain of F32 or F16, and in 8 bits has the weight 0: what lies there, NaN included, never counts.
 */
#include "kernel/attend_impl.h"
#include "kernel/vec_math_impl.h"

#include <assert.h>
#include <string.h>

#define TILE      6
#define TILE_PAD  16 /* a whole number of registers on every instruction set */
#define PAGE_VECS (KV_TOKENS / LANES)

/* What a query carries from page to page; 32 bytes of the scratch. */
struct attend_query {
    const float *q;
    float m, l;
    float scale;               /* of Q8 with ATTEND_VNNI: q ~ scale * (256 high + low) */
    int32_t high_sum, low_sum; /* of those bytes, for the 128 that keys are off by */
    int32_t padding;
};
_Static_assert(sizeof(struct attend_query) == 32, "attend_scratch_bytes counts on it");

/* The scratch, cut up. dims: head_dim as values are padded. */
struct attend_work {
    size_t n, dims;
    struct attend_query *queries; /* [n_rows * group] */
    float *o;                     /* [n_rows * group][dims] */
    int8_t *bytes;                /* [n_rows * group][2][dims]: high bytes, then low ones */
    float *page_o;                /* [TILE][dims] */
};

/* Up to TILE queries, all of one run, before one page. */
struct attend_tile {
    const void *keys, *values;
    ptrdiff_t ahead;                        /* from this page to the next that will be read */
    const float *key_scales, *value_scales; /* of Q8 */
    size_t first, count;                    /* queries first .. first + count - 1 */
    const float *q[TILE];
    struct attend_span span[TILE];
    size_t lo, hi; /* the least and the most of the spans */
    float m[TILE_PAD], l[TILE_PAD];
    float p[TILE][KV_TOKENS] __attribute__((aligned(64))); /* scores, then weights */
};

/* What lies at the same place of the next page is on its way while this one is worked on: pages are not neighbours
 * in memory, and what the hardware fetches ahead ends with them. Into the second cache: the first is full of this
 * page, and fetching into it gained nothing where this gained 1.3 to 2 times (Zen 4, private pages). */
INLINE void fetch_ahead(const struct attend_tile *tile, const void *from, size_t bytes)
{
    UNROLL for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch((const void *)((uintptr_t)from + (uintptr_t)tile->ahead + i), 0, 2);
}

#ifndef ATTEND_VNNI

/* --- q . k -------------------------------------------------------------------------------------------------- */

static const size_t element_bytes[] = { [KV_F32] = sizeof(float), [KV_F16] = sizeof(uint16_t), [KV_Q8] = 1 };

/* Of token t and dimension i; in Q8 those of four tokens or four dimensions lie together. */
INLINE const void *key_at(enum kv_type type, const void *keys, size_t t, size_t i)
{
    return (const char *)keys + kv_key_at(type, t, i) * element_bytes[type];
}

INLINE const void *value_at(enum kv_type type, const void *values, size_t dims, size_t t, size_t i)
{
    size_t at = type == KV_Q8 ? (t / 4 * dims + i) * 4 + t % 4 : t * dims + i;
    return (const char *)values + at * element_bytes[type];
}

/* LANES tokens from t of dimension i. type is a constant wherever these are inlined. */
INLINE vec load_keys(enum kv_type type, const void *keys, size_t t, size_t i)
{
    switch (type) {
    case KV_F32: return vec_load(key_at(type, keys, t, i));
    case KV_F16: return vec_f16(key_at(type, keys, t, i));
    case KV_Q8: return vec_i8_of_4(key_at(type, keys, t, i / 4 * 4), i % 4, KV_KEY_OFFSET);
    case KV_TYPE_COUNT: break;
    }
    return vec_zero();
}

/* Scores of Q queries with W registers of tokens from t. */
INLINE void score_block(enum kv_type type, size_t W, size_t Q, struct attend_tile *tile, size_t n, size_t t)
{
    vec sum[TILE][8];
    const float *q[TILE];
    UNROLL for (size_t j = 0; j < Q; j++)
    {
        q[j] = tile->q[j];
        UNROLL for (size_t w = 0; w < W; w++) sum[j][w] = vec_zero();
    }
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        UNROLL for (size_t b = 0; b < 4; b++)
        {
            vec keys[8];
            if (type != KV_Q8 || b == 0)
                fetch_ahead(tile, key_at(type, tile->keys, t, i + b), W * LANES * (type == KV_F16 ? 2 : 4));
            UNROLL for (size_t w = 0; w < W; w++) keys[w] = load_keys(type, tile->keys, t + w * LANES, i + b);
            UNROLL for (size_t j = 0; j < Q; j++)
            {
                vec of = vec_set(q[j][i + b]);
                UNROLL for (size_t w = 0; w < W; w++) sum[j][w] = vec_fma(of, keys[w], sum[j][w]);
            }
        }
    for (; i < n; i++)
        UNROLL for (size_t w = 0; w < W; w++)
        {
            vec keys = load_keys(type, tile->keys, t + w * LANES, i);
            UNROLL for (size_t j = 0; j < Q; j++) sum[j][w] = vec_fma(vec_set(q[j][i]), keys, sum[j][w]);
        }
    UNROLL for (size_t j = 0; j < Q; j++)
    {
        UNROLL for (size_t w = 0; w < W; w++) vec_store(tile->p[j] + t + w * LANES, sum[j][w]);
    }
}

/* Blocks that no query of the tile looks into are left as they are: the mask replaces them. The last one is as narrow as
 * what is seen of it, in quarters, so that a page with few tokens is read, and asked for ahead, in part. */
INLINE void score_blocks(enum kv_type type, size_t Q, struct attend_tile *tile, size_t n)
{
    const size_t W = SCORE_WIDTH(Q), step = W * LANES;
    for (size_t t = tile->lo / step * step; t < tile->hi; t += step)
        if (W >= 4 && tile->hi - t <= step / 4)
            score_block(type, W / 4, Q, tile, n, t);
        else if (W >= 2 && tile->hi - t <= step / 2)
            score_block(type, W / 2, Q, tile, n, t);
        else
            score_block(type, W, Q, tile, n, t);
}

#endif

/* --- softmax of a page ---------------------------------------------------------------------------------------- */

/* v of tokens t .. where they are in the span, else other. */
INLINE vec within(struct attend_span span, size_t t, vec v, vec other)
{
    static const float place[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    vec at = vec_add(vec_load(place), vec_set((float)t));
    v = vec_where_less(at, vec_set((float)span.lo), other, v);
    return vec_where_less(at, vec_set((float)span.hi), v, other);
}

/* n is 4, 8 or 16. Written out, because a loop over n /= 2 is not unrolled and keeps v in memory. */
INLINE vec pairwise(vec *v, size_t n, vec (*op)(vec, vec))
{
    UNROLL for (size_t i = 0; i < 8 && n > 8; i++) v[i] = op(v[i], v[i + 8]);
    UNROLL for (size_t i = 0; i < 4 && n > 4; i++) v[i] = op(v[i], v[i + 4]);
    return op(op(v[0], v[2]), op(v[1], v[3]));
}

/* Scores of query j become weights exp(s - m), 0 outside the span; of Q8 times the value's scale, after l has
 * been summed. A page whose every score is -inf weighs nothing; m stays -inf for the merge to see. */
INLINE void weigh(enum kv_type type, const struct attend *a, struct attend_tile *tile, size_t j)
{
    struct attend_span span = tile->span[j];
    const bool whole = span.lo == 0 && span.hi == KV_TOKENS;
    vec s[PAGE_VECS], work[PAGE_VECS];
    UNROLL for (size_t v = 0; v < PAGE_VECS; v++)
    {
        s[v] = vec_load(tile->p[j] + v * LANES);
        if (type == KV_Q8)
            s[v] = vec_mul(s[v], vec_load(tile->key_scales + v * LANES));
    }
    if (a->softcap > 0) {
        vec cap = vec_set(a->softcap);
        UNROLL for (size_t v = 0; v < PAGE_VECS; v++) s[v] = vec_mul(cap, vec_tanh(vec_div(s[v], cap)));
    }
    if (!whole)
        UNROLL for (size_t v = 0; v < PAGE_VECS; v++) s[v] =
            within(span, v * LANES, s[v], vec_set(-INFINITY));
    UNROLL for (size_t v = 0; v < PAGE_VECS; v++) work[v] = s[v];
    float m = vec_most(pairwise(work, PAGE_VECS, vec_max_number));
    vec most = vec_set(m == -INFINITY ? 0 : m);
    UNROLL for (size_t v = 0; v < PAGE_VECS; v++) work[v] = s[v] = vec_exp_exact(vec_sub(s[v], most));
    tile->m[j] = m;
    tile->l[j] = vec_sum(pairwise(work, PAGE_VECS, vec_add));
    UNROLL for (size_t v = 0; v < PAGE_VECS; v++)
    {
        if (type == KV_Q8)
            s[v] = vec_mul(s[v], vec_load(tile->value_scales + v * LANES));
        if (type == KV_Q8 && !whole)
            s[v] = within(span, v * LANES, s[v], vec_zero());
        vec_store(tile->p[j] + v * LANES, s[v]);
    }
}

#ifndef ATTEND_VNNI

/* --- p v -------------------------------------------------------------------------------------------------------- */

INLINE vec load_values(enum kv_type type, const void *values, size_t dims, size_t t, size_t i)
{
    switch (type) {
    case KV_F32: return vec_load(value_at(type, values, dims, t, i));
    case KV_F16: return vec_f16(value_at(type, values, dims, t, i));
    case KV_Q8: return vec_i8_of_4(value_at(type, values, dims, t / 4 * 4, i), t % 4, 0);
    case KV_TYPE_COUNT: break;
    }
    return vec_zero();
}

/* Goes on with the chains of queries j0 .. j0 + Q - 1 and W registers of dimensions from i, over tokens lo .. hi - 1. */
INLINE void value_block(enum kv_type type, size_t W, size_t Q, const struct attend_tile *tile, size_t j0,
                        struct attend_span span, float *o, size_t dims, size_t i)
{
    vec sum[TILE][8];
    UNROLL for (size_t j = 0; j < Q; j++)
    {
        UNROLL for (size_t w = 0; w < W; w++) sum[j][w] = vec_load(o + (j0 + j) * dims + i + w * LANES);
    }
    const float *p = tile->p[j0];
    for (size_t t = span.lo; t < span.hi; t++) {
        vec values[8];
        if (type != KV_Q8 || t % 4 == 0)
            fetch_ahead(tile, value_at(type, tile->values, dims, t, i), W * LANES * (type == KV_F16 ? 2 : 4));
        UNROLL for (size_t w = 0; w < W; w++) values[w] =
            load_values(type, tile->values, dims, t, i + w * LANES);
        UNROLL for (size_t j = 0; j < Q; j++)
        {
            vec of = vec_set(p[j * KV_TOKENS + t]);
            UNROLL for (size_t w = 0; w < W; w++) sum[j][w] = vec_fma(of, values[w], sum[j][w]);
        }
    }
    UNROLL for (size_t j = 0; j < Q; j++)
    {
        UNROLL for (size_t w = 0; w < W; w++) vec_store(o + (j0 + j) * dims + i + w * LANES, sum[j][w]);
    }
}

INLINE void value_blocks(enum kv_type type, size_t Q, const struct attend_tile *tile, size_t j0,
                         struct attend_span span, float *o, size_t dims)
{
    const size_t W = VALUE_WIDTH(Q);
    size_t i = 0;
    for (; i + W * LANES <= dims; i += W * LANES)
        value_block(type, W, Q, tile, j0, span, o, dims, i);
    for (; W > 4 && i + 4 * LANES <= dims; i += 4 * LANES)
        value_block(type, 4, Q, tile, j0, span, o, dims, i);
    for (; W > 2 && i + 2 * LANES <= dims; i += 2 * LANES)
        value_block(type, 2, Q, tile, j0, span, o, dims, i);
    for (; i < dims; i += LANES)
        value_block(type, 1, Q, tile, j0, span, o, dims, i);
}

/* Both products are functions of their own for each type and number of queries: inlined into one, their two dozen sums
 * compete with everything around them, and GCC 12 kept some of them in memory. */
struct products {
    void (*score)(struct attend_tile *tile, size_t n);
    void (*value)(const struct attend_tile *tile, size_t j0, struct attend_span span, float *o, size_t dims);
};
#define PRODUCTS(name, Q)                                                                                    \
    static __attribute__((noinline)) void score_##name##_##Q(struct attend_tile *tile, size_t n)             \
    {                                                                                                        \
        score_blocks(KV_##name, Q, tile, n);                                                                 \
    }                                                                                                        \
    static __attribute__((noinline)) void value_##name##_##Q(const struct attend_tile *tile, size_t j0,      \
                                                             struct attend_span span, float *o, size_t dims) \
    {                                                                                                        \
        value_blocks(KV_##name, Q, tile, j0, span, o, dims);                                                 \
    }
#define PRODUCTS_OF(name)                                                                                    \
    PRODUCTS(name, 1)                                                                                        \
    PRODUCTS(name, 2) PRODUCTS(name, 3) PRODUCTS(name, 4) PRODUCTS(name, 5) PRODUCTS(name, 6)
PRODUCTS_OF(F32)
PRODUCTS_OF(F16)
PRODUCTS_OF(Q8)
#define PRODUCT_ROW(name)                                                                                    \
    [KV_##name] = { { score_##name##_1, value_##name##_1 }, { score_##name##_2, value_##name##_2 },          \
                    { score_##name##_3, value_##name##_3 }, { score_##name##_4, value_##name##_4 },          \
                    { score_##name##_5, value_##name##_5 }, { score_##name##_6, value_##name##_6 } }
static const struct products products[KV_TYPE_COUNT][TILE] = { PRODUCT_ROW(F32), PRODUCT_ROW(F16),
                                                               PRODUCT_ROW(Q8) };

/* The tokens that all queries of the tile see go through together; what some see before and after them (where
 * a prefill's rows end one after the other, where windows begin), each by itself, in the same order. */
INLINE void value_tile(enum kv_type type, const struct attend_tile *tile, float *o, size_t dims)
{
    struct attend_span all = tile->span[0];
    for (size_t j = 1; j < tile->count; j++) {
        all.lo = tile->span[j].lo > all.lo ? tile->span[j].lo : all.lo;
        all.hi = tile->span[j].hi < all.hi ? tile->span[j].hi : all.hi;
    }
    if (all.hi < all.lo)
        all.hi = all.lo = tile->hi; /* nothing in common: all of each comes before */
    const struct products *of = products[type];
    memset(o, 0, tile->count * dims * sizeof *o);
    for (size_t j = 0; j < tile->count && tile->lo < all.lo; j++) {
        size_t hi = tile->span[j].hi < all.lo ? tile->span[j].hi : all.lo;
        of[0].value(tile, j, (struct attend_span){ tile->span[j].lo, hi }, o, dims);
    }
    of[tile->count - 1].value(tile, 0, all, o, dims);
    for (size_t j = 0; j < tile->count && all.hi < tile->hi; j++)
        of[0].value(tile, j, (struct attend_span){ all.hi, tile->span[j].hi }, o, dims);
}

#else /* its two products, in place of score_tile and value_tile */
static void quantize_queries(const struct attend *a, struct attend_work *work);
static void score_tile_vnni(const struct attend_work *work, struct attend_tile *tile);
static void value_tile_vnni(const struct attend_tile *tile, float *o, size_t dims);
#endif

/* --- pages, runs, tiles ------------------------------------------------------------------------------------------ */

/* A page's part into the running ones, which are weighed anew where the maximum grows: one of the two factors is
 * always exp(0). A page of -inf alone has the factor 0. NaN in m or l makes all that follows NaN. */
INLINE void merge_tile(struct attend_work *work, const struct attend_tile *tile, const float *page_o)
{
    float mine[TILE_PAD], its[TILE_PAD];
    struct attend_query *queries = work->queries + tile->first;
    for (size_t j = 0; j < tile->count; j += LANES) {
        vec_store(mine + j, vec_zero());
        vec_store(its + j, vec_zero());
    }
    for (size_t j = 0; j < tile->count; j++) {
        float was = queries[j].m, page = tile->m[j], m = page <= was ? was : page;
        mine[j] = was == m ? 0 : was - m; /* -inf against -inf too */
        its[j] = page == m && m != -INFINITY ? 0 : page - (m == -INFINITY ? 0 : m);
        queries[j].m = m;
    }
    for (size_t j = 0; j < tile->count; j += LANES) {
        vec_store(mine + j, vec_exp_exact(vec_load(mine + j)));
        vec_store(its + j, vec_exp_exact(vec_load(its + j)));
    }
    for (size_t j = 0; j < tile->count; j++) {
        float *o = work->o + (tile->first + j) * work->dims;
        const float *of_page = page_o + j * work->dims;
        vec old = vec_set(mine[j]), add = vec_set(its[j]);
        queries[j].l = queries[j].l * mine[j] + tile->l[j] * its[j];
        for (size_t i = 0; i < work->dims; i += LANES)
            vec_store(o + i, vec_fma(add, vec_load(of_page + i), vec_mul(old, vec_load(o + i))));
    }
}

/* Queries first .. first + count - 1 of the call before the page that they share. */
INLINE void attend_tile(enum kv_type type, const struct attend *a, struct attend_work *work, int64_t page,
                        size_t first, size_t count, struct attend_tile *tile)
{
    tile->first = first;
    tile->count = count;
    tile->lo = KV_TOKENS;
    tile->hi = 0;
    for (size_t j = 0; j < count; j++) {
        struct attend_span s = attend_span(&a->rows[(first + j) / a->group], page);
        tile->q[j] = work->queries[first + j].q;
        tile->span[j] = s;
        tile->lo = s.lo < tile->lo ? s.lo : tile->lo;
        tile->hi = s.hi > tile->hi ? s.hi : tile->hi;
    }
#ifdef ATTEND_VNNI
    score_tile_vnni(work, tile);
    for (size_t j = 0; j < count; j++)
        weigh(type, a, tile, j);
    value_tile_vnni(tile, work->page_o, work->dims);
#else
    products[type][count - 1].score(tile, work->n);
    for (size_t j = 0; j < count; j++)
        weigh(type, a, tile, j);
    value_tile(type, tile, work->page_o, work->dims);
#endif
    merge_tile(work, tile, work->page_o);
}

/* Rows r .. end - 1 see the page at one place, i, of their sequences, and it is the same for all. */
struct attend_run {
    int64_t i, end_i;
    size_t r, end;
};

static const char *run_head(const struct attend *a, const struct attend_run *run)
{
    return attend_head(a, a->rows[run->r].pages[run->i]);
}

/* The next run from row run->end on, at this place or a later one; false: there is none. */
static bool next_run(const struct attend *a, struct attend_run *run)
{
    for (; run->i < run->end_i; run->i++, run->end = 0)
        for (run->r = run->end; run->r < a->n_rows; run->r++) {
            const struct attend_row *rows = a->rows;
            if (!attend_sees(&rows[run->r], run->i))
                continue;
            uint32_t page = rows[run->r].pages[run->i];
            run->end = run->r + 1;
            while (run->end < a->n_rows && attend_sees(&rows[run->end], run->i) &&
                   rows[run->end].pages[run->i] == page)
                run->end++;
            return true;
        }
    return false;
}

INLINE void attend_one_run(enum kv_type type, const struct attend *a, struct attend_work *work,
                           const struct attend_run *run, const char *next_head)
{
    const char *head = run_head(a, run);
    size_t values = kv_key_bytes(type, work->n), scales = values + kv_value_bytes(type, work->n);
    struct attend_tile tile; /* its weights are many, and written before they are read: not worth clearing */
    tile.keys = head;
    tile.values = head + values;
    tile.ahead = next_head - head;
    tile.key_scales = (const float *)(const void *)(head + scales);
    tile.value_scales = tile.key_scales + KV_TOKENS;
    for (size_t j = run->r * a->group, end = run->end * a->group; j < end; j += TILE) {
        attend_tile(type, a, work, run->i, j, end - j < TILE ? end - j : TILE, &tile);
        tile.ahead = 0; /* it has been fetched */
    }
}

INLINE void attend_all(enum kv_type type, const struct attend *a, struct attend_work *work)
{
    struct attend_run run = { 0 }, next;
    attend_pages(a, &run.i, &run.end_i);
    for (bool more = next_run(a, &run); more; run = next) {
        next = run;
        more = next_run(a, &next);
        attend_one_run(type, a, work, &run, run_head(a, more ? &next : &run));
    }
}

/* --- the whole ------------------------------------------------------------------------------------------------------ */

/* What is read in whole registers lies first, so that it stays aligned. */
static struct attend_work begin(const struct attend *a)
{
    const size_t queries = a->n_rows * a->group;
    struct attend_work w = { .n = a->head_dim, .dims = kv_value_dims(a->head_dim) };
    w.page_o = a->scratch;
    w.o = w.page_o + TILE * w.dims;
    w.queries = (struct attend_query *)(void *)(w.o + queries * w.dims);
    w.bytes = (int8_t *)(void *)(w.queries + queries);
    memset(w.o, 0, queries * w.dims * sizeof *w.o);
    for (size_t j = 0; j < queries; j++)
        w.queries[j] = (struct attend_query){ .q = a->rows[j / a->group].q + j % a->group * a->head_dim,
                                              .m = -INFINITY };
    return w;
}

/* out = o / l; a sink takes its part of the sum and gives no value. */
static void finish(const struct attend *a, const struct attend_work *w)
{
    for (size_t j = 0; j < a->n_rows * a->group; j++) {
        const struct attend_query *query = &w->queries[j];
        const float *o = w->o + j * w->dims;
        float *out = a->rows[j / a->group].out + j % a->group * w->n, mine = 1, l = query->l;
        if (a->sinks) {
            float sink = a->sinks[j % a->group], m = fmaxf(query->m, sink);
            mine = expf(query->m - m);
            l = l * mine + expf(sink - m);
        }
        vec share = vec_set(mine / l);
        size_t i = 0;
        for (; i + LANES <= w->n; i += LANES)
            vec_store(out + i, vec_mul(vec_load(o + i), share));
        if (i < w->n)
            vec_store_tail(out + i, vec_mul(vec_load(o + i), share), w->n - i);
    }
}

#ifdef ATTEND_VNNI

static void attend(const struct attend *a)
{
    if (a->type != KV_Q8) {
        kernels_attend_avx512.attend(a);
        return;
    }
    struct attend_work work = begin(a);
    quantize_queries(a, &work);
    attend_all(KV_Q8, a, &work);
    finish(a, &work);
}

#else

static void attend(const struct attend *a)
{
    struct attend_work work = begin(a);
    switch (a->type) {
    case KV_F32: attend_all(KV_F32, a, &work); break;
    case KV_F16: attend_all(KV_F16, a, &work); break;
    case KV_Q8: attend_all(KV_Q8, a, &work); break;
    case KV_TYPE_COUNT: break;
    }
    finish(a, &work);
}

/* --- the store ------------------------------------------------------------------------------------------------------- */

static vec load_some(const float *p, size_t left)
{
    return left >= LANES ? vec_load(p) : vec_load_tail(p, left, 0);
}

/* As in attend.c, to the bit: max |x| / 127, NaN where x has a NaN or an infinity. */
static float scale_q8(const float *x, size_t n)
{
    vec most = vec_zero(), odd = vec_zero();
    for (size_t i = 0; i < n; i += LANES) {
        vec v = load_some(x + i, n - i);
        most = vec_max_number(vec_abs(v), most);
        odd = vec_fma(v, vec_zero(), odd); /* stays 0 unless v is not finite */
    }
    return vec_sum(odd) == 0 ? vec_most(most) / 127 : NAN;
}

/* x / scale rounded, in steps of LANES, into out: [LANES] and that many lanes go. */
static void round_q8(const float *x, size_t left, float scale, int8_t *out)
{
    vec q = scale > 0 ? vec_div(load_some(x, left), vec_set(scale)) : vec_zero();
    q = vec_min(vec_set(127), vec_max(vec_set(-127), vec_round(q)));
    vec_to_i8(out, q);
}

static void store_q8(const struct kv_store *s)
{
    const size_t n = s->head_dim, dims = kv_value_dims(n);
    uint8_t *keys = (uint8_t *)s->head + s->at * 4;
    int8_t *values = (int8_t *)s->head + kv_key_bytes(KV_Q8, n) + s->at / 4 * dims * 4 + s->at % 4;
    float *scales = kv_scales(s->head, n);
    float of_key = scales[s->at] = scale_q8(s->key, n);
    float of_value = scales[KV_TOKENS + s->at] = scale_q8(s->value, n);
    for (size_t i = 0; i < n; i += LANES) {
        size_t count = n - i < LANES ? n - i : LANES;
        int8_t key[LANES], value[LANES];
        round_q8(s->key + i, n - i, of_key, key);
        round_q8(s->value + i, n - i, of_value, value);
        for (size_t j = 0; j < count; j++) {
            keys[(i + j) / 4 * KV_TOKENS * 4 + (i + j) % 4] = (uint8_t)(key[j] + KV_KEY_OFFSET);
            values[(i + j) * 4] = value[j];
        }
    }
}

static void store_f16(const struct kv_store *s)
{
    const size_t n = s->head_dim, dims = kv_value_dims(n);
    uint16_t *keys = (uint16_t *)s->head + s->at,
             *values = (uint16_t *)s->head + n * KV_TOKENS + s->at * dims;
    for (size_t i = 0; i < n; i++) /* a line each, which the stores would wait for one by one */
        __builtin_prefetch(keys + i * KV_TOKENS, 1, 2);
    for (size_t i = 0; i < n; i += LANES) {
        uint16_t key[LANES];
        vec_to_f16(key, load_some(s->key + i, n - i));
        for (size_t j = 0; j < LANES && i + j < n; j++)
            keys[(i + j) * KV_TOKENS] = key[j];
        vec_to_f16(values + i, load_some(s->value + i, n - i)); /* dims is a whole number of registers */
    }
}

static void kv_store(const struct kv_store *s)
{
    assert(s->at < KV_TOKENS);
    switch (s->type) {
    case KV_F32: kv_store_scalar(s); break;
    case KV_F16: store_f16(s); break;
    case KV_Q8: store_q8(s); break;
    case KV_TYPE_COUNT: break;
    }
}

#endif
