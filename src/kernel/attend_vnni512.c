/*
 * attend_vnni512.c - attention over Q8 pages in 8-bit products of 64 bytes: AVX-512 VNNI.
 *
 * An instruction multiplies unsigned bytes with signed ones, four to a lane, and adds them to 32 bits. Keys are
 * kept with 128 added, so they are the unsigned side of q . k, and 128 times the sum of q is taken away again;
 * weights p are the unsigned side of p v.
 *
 * One byte for q and for p is not enough: over random keys and values their rounding then adds as much error to the
 * output (0.5 to 1.3%) as that of the stored keys and values makes (0.7 to 1.6%), and saves a fifth of the time where 32
 * branches share a page, nothing where a page is one branch's own (Zen 4). So both have 16 bits, as two bytes in two sums,
 * and add 2e-5:
 *   q = scale (256 high + low), a step is max |q| / 32512: q . k is off by at most half a step times sum |k|;
 *   p times the value's scale in steps of 1/65535 of the page's largest: p v is off by at most 64 x 127 half steps.
 * The sums are whole numbers and exact: 64 x 255 x 128 in p v, head_dim x 255 x 128 in q . k.
 */
#include "kernel/kernel_impl.h"

#if defined(__x86_64__)

#include "kernel/vec_avx512_impl.h"

#define ATTEND_VNNI
#include "kernel/attend_vector_impl.h"

#define HALF_TILE 3 /* queries: two sums each against 4 registers of the page are 24, and 4 + 1 more of 32 */

/* The first n <= 16 of x as high and low bytes; they are added to the query's sums. */
static void split_query(const float *x, size_t n, struct attend_query *query, int8_t *high, int8_t *low)
{
    vec v = vec_load_tail(x, n < LANES ? n : LANES, 0), most = vec_set(32512);
    v = query->scale > 0 ? vec_div(v, vec_set(query->scale)) : vec_zero();
    __m512i whole = _mm512_cvtps_epi32(vec_min(most, vec_max(vec_sub(vec_zero(), most), v)));
    __m512i up = _mm512_srai_epi32(_mm512_add_epi32(whole, _mm512_set1_epi32(128)), 8);
    __m512i rest = _mm512_sub_epi32(whole, _mm512_slli_epi32(up, 8)); /* -128 .. 127 */
    _mm_storeu_si128((__m128i *)(void *)high, _mm512_cvtepi32_epi8(up));
    _mm_storeu_si128((__m128i *)(void *)low, _mm512_cvtepi32_epi8(rest));
    query->high_sum += _mm512_reduce_add_epi32(up);
    query->low_sum += _mm512_reduce_add_epi32(rest);
}

static float largest_magnitude(const float *x, size_t n)
{
    vec most = vec_zero(), odd = vec_zero();
    for (size_t i = 0; i < n; i += LANES) {
        vec v = vec_load_tail(x + i, n - i < LANES ? n - i : LANES, 0);
        most = vec_max_number(vec_abs(v), most);
        odd = vec_fma(v, vec_zero(), odd); /* stays 0 unless v is not finite */
    }
    return vec_sum(odd) == 0 ? vec_most(most) : NAN;
}

static void quantize_queries(const struct attend *a, struct attend_work *work)
{
    for (size_t j = 0; j < a->n_rows * a->group; j++) {
        struct attend_query *query = &work->queries[j];
        int8_t *high = work->bytes + j * 2 * work->dims, *low = high + work->dims;
        query->scale = largest_magnitude(query->q, work->n) / 32512;
        for (size_t i = 0; i < work->dims; i += LANES) /* the padding becomes 0 */
            split_query(query->q + i, i < work->n ? work->n - i : 0, query, high + i, low + i);
    }
}

/* sum + four products in each lane. In assembler, because GCC 12 copies the sum of the intrinsic to another register
 * and back at every step, which takes longer than the products. */
INLINE __m512i add_dots(__m512i sum, __m512i unsigned_bytes, __m512i signed_bytes)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(unsigned_bytes), "v"(signed_bytes));
    return sum;
}

INLINE __m512i four_bytes(const void *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm512_set1_epi32(four);
}

/* sum[j] of Q queries, two of each, over W registers; the whole of both products. */
INLINE void score_half(size_t Q, const struct attend_work *work, struct attend_tile *tile, size_t j0)
{
    enum { W = PAGE_VECS };
    __m512i high[HALF_TILE][W], low[HALF_TILE][W];
    const int8_t *bytes[HALF_TILE];
    const char *keys = tile->keys;
    const size_t n = kv_round_up(work->n, 4);
    UNROLL for (size_t j = 0; j < Q; j++)
    {
        const struct attend_query *query = &work->queries[tile->first + j0 + j];
        bytes[j] = work->bytes + (tile->first + j0 + j) * 2 * work->dims;
        UNROLL for (size_t w = 0; w < W; w++)
        {
            high[j][w] = _mm512_set1_epi32(-KV_KEY_OFFSET * query->high_sum);
            low[j][w] = _mm512_set1_epi32(-KV_KEY_OFFSET * query->low_sum);
        }
    }
    for (size_t i = 0; i < n; i += 4, keys += 4 * KV_TOKENS) {
        __m512i k[W];
        fetch_ahead(tile, keys, 4 * KV_TOKENS);
        UNROLL for (size_t w = 0; w < W; w++) k[w] = _mm512_loadu_si512(keys + w * 64);
        UNROLL for (size_t j = 0; j < Q; j++)
        {
            __m512i up = four_bytes(bytes[j] + i), rest = four_bytes(bytes[j] + work->dims + i);
            UNROLL for (size_t w = 0; w < W; w++)
            {
                high[j][w] = add_dots(high[j][w], k[w], up);
                low[j][w] = add_dots(low[j][w], k[w], rest);
            }
        }
    }
    UNROLL for (size_t j = 0; j < Q; j++)
    {
        vec scale = vec_set(work->queries[tile->first + j0 + j].scale);
        UNROLL for (size_t w = 0; w < W; w++)
        {
            vec whole = vec_fma(vec_set(256), _mm512_cvtepi32_ps(high[j][w]), _mm512_cvtepi32_ps(low[j][w]));
            vec_store(tile->p[j0 + j] + w * LANES, vec_mul(scale, whole));
        }
    }
}

static void score_tile_vnni(const struct attend_work *work, struct attend_tile *tile)
{
    for (size_t j = 0; j < tile->count; j += HALF_TILE)
        switch (tile->count - j) {
        case 1: score_half(1, work, tile, j); break;
        case 2: score_half(2, work, tile, j); break;
        default: score_half(3, work, tile, j); break;
        }
}

/* A query's weights in two bytes; a NaN among them is kept in the scale. */
struct split_weights {
    uint8_t high[KV_TOKENS], low[KV_TOKENS];
    float scale;
};

static void split(const float *p, struct split_weights *out)
{
    vec v[PAGE_VECS], most = vec_zero(), sum = vec_zero();
    UNROLL for (size_t w = 0; w < PAGE_VECS; w++)
    {
        v[w] = vec_load(p + w * LANES);
        most = vec_max_number(v[w], most);
        sum = vec_add(sum, v[w]);
    }
    float total = vec_sum(sum);
    out->scale = total == total ? vec_most(most) / 65535 : NAN;
    vec scale = vec_set(out->scale > 0 ? out->scale : 1);
    UNROLL for (size_t w = 0; w < PAGE_VECS; w++)
    {
        __m512i whole = _mm512_cvtps_epi32(vec_min(vec_set(65535), vec_div(v[w], scale)));
        _mm_storeu_si128((__m128i *)(void *)(out->high + w * LANES),
                         _mm512_cvtepi32_epi8(_mm512_srli_epi32(whole, 8)));
        _mm_storeu_si128((__m128i *)(void *)(out->low + w * LANES), _mm512_cvtepi32_epi8(whole));
    }
}

/* W registers of dimensions from i; groups of four tokens from lo to hi. */
INLINE void value_half(size_t W, size_t Q, const struct attend_tile *tile, const struct split_weights *p,
                       float *o, size_t dims, size_t i)
{
    __m512i high[HALF_TILE][4], low[HALF_TILE][4];
    UNROLL for (size_t j = 0; j < Q; j++)
    {
        UNROLL for (size_t w = 0; w < W; w++) high[j][w] = low[j][w] = _mm512_setzero_si512();
    }
    for (size_t t = tile->lo / 4 * 4; t < tile->hi; t += 4) {
        const char *values = (const char *)tile->values + t * dims + i * 4;
        __m512i v[4];
        fetch_ahead(tile, values, W * 64);
        UNROLL for (size_t w = 0; w < W; w++) v[w] = _mm512_loadu_si512(values + w * 64);
        UNROLL for (size_t j = 0; j < Q; j++)
        {
            __m512i up = four_bytes(p[j].high + t), rest = four_bytes(p[j].low + t);
            UNROLL for (size_t w = 0; w < W; w++)
            {
                high[j][w] = add_dots(high[j][w], up, v[w]);
                low[j][w] = add_dots(low[j][w], rest, v[w]);
            }
        }
    }
    UNROLL for (size_t j = 0; j < Q; j++)
    {
        UNROLL for (size_t w = 0; w < W; w++)
        {
            __m512i whole = _mm512_add_epi32(_mm512_slli_epi32(high[j][w], 8), low[j][w]);
            vec_store(o + j * dims + i + w * LANES, vec_mul(vec_set(p[j].scale), _mm512_cvtepi32_ps(whole)));
        }
    }
}

INLINE void value_halves(size_t Q, const struct attend_tile *tile, const struct split_weights *p, float *o,
                         size_t dims)
{
    size_t i = 0;
    for (; i + 4 * LANES <= dims; i += 4 * LANES)
        value_half(4, Q, tile, p, o, dims, i);
    for (; i < dims; i += LANES)
        value_half(1, Q, tile, p, o, dims, i);
}

static void value_tile_vnni(const struct attend_tile *tile, float *o, size_t dims)
{
    struct split_weights p[TILE];
    for (size_t j = 0; j < tile->count; j++)
        split(tile->p[j], &p[j]);
    for (size_t j = 0; j < tile->count; j += HALF_TILE)
        switch (tile->count - j) {
        case 1: value_halves(1, tile, p + j, o + j * dims, dims); break;
        case 2: value_halves(2, tile, p + j, o + j * dims, dims); break;
        default: value_halves(3, tile, p + j, o + j * dims, dims); break;
        }
}

const struct kernels kernels_attend_vnni512 = { .attend = attend };

#else
typedef int kernel_attend_vnni512_is_empty; /* ISO C wants one declaration in a file */
#endif
