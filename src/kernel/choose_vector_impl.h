/*
 * choose_vector_impl.h - the passes over logits on vectors of any width; included after a vec_*_impl.h.
 *
 * The first pass takes the largest of each block of logits. The k-th largest of those is a bound below which
 * none of the k largest logits lies, and no more than k blocks hold anything above it (equal ones aside): so
 * the search for the k largest reads a fraction of the row, however the logits are arranged.
 *
 * A masked row is the same row with -inf where a bit is clear, put there as it is loaded; blocks without a set bit are
 * not loaded at all.
 *
 * Sums: SUM_BLOCK logits at a time in two registers, added lane by lane, then across the lanes, the blocks' sums in
 * double precision in ascending order. A block whose every weight is 0 is left out, which changes no bit.
 */
#include "kernel/attend_impl.h"
#include "kernel/vec_math_impl.h"

#include <assert.h>
#include <string.h>

#define SUM_BLOCK  128
#define BLOCKS_MAX 2048 /* of the first pass: beyond 262,144 logits its blocks grow */
#define GROUPS     64   /* of a row with few blocks: at least TOP_LOGITS, so that the k-th largest is there */
_Static_assert(GROUPS >= TOP_LOGITS, "bound_of_short looks for the k-th of them");

INLINE vec load_logits(const float *l, size_t left)
{
    return left >= LANES ? vec_load(l) : vec_load_tail(l, left, -INFINITY);
}

/* The bits of LANES logits from i on, which is a multiple of LANES. */
INLINE unsigned bits_of(const uint64_t *mask, size_t i)
{
    return (unsigned)(mask[i / 64] >> i % 64) & ((1u << LANES) - 1);
}

/* Logits from i on, left of them; mask: NULL, or what is allowed of the row l. */
INLINE vec load_allowed(const float *l, size_t i, size_t left, const uint64_t *mask)
{
    vec v = load_logits(l + i, left);
    return mask ? vec_where_bits(bits_of(mask, i), v, vec_set(-INFINITY)) : v;
}

/* Of the block [from, to); from is a multiple of 64. */
static bool allows_any(const uint64_t *mask, size_t from, size_t to)
{
    uint64_t any = 0;
    for (size_t w = from / 64; w * 64 < to; w++)
        any |= mask[w];
    return any != 0;
}

/* Of l[from .. to). NaN counts as no logit. */
INLINE float largest_of(const float *l, size_t from, size_t to, const uint64_t *mask)
{
    vec even = vec_set(-INFINITY), odd = even;
    size_t i = from;
    if (mask && !allows_any(mask, from, to))
        return -INFINITY;
    for (; i + 2 * LANES <= to; i += 2 * LANES) {
        even = vec_max_number(load_allowed(l, i, LANES, mask), even);
        odd = vec_max_number(load_allowed(l, i + LANES, LANES, mask), odd);
    }
    for (; i < to; i += LANES)
        even = vec_max_number(load_allowed(l, i, to - i, mask), even);
    return vec_most(vec_max_number(even, odd));
}

/* Puts x where it belongs among the best so far, behind its equals; n of at most k. Returns the new n. */
static size_t insert(float *best, int32_t *ids, size_t n, size_t k, float x, int32_t id)
{
    size_t at = n < k ? n : k - 1;
    for (; at > 0 && x > best[at - 1]; at--) {
        best[at] = best[at - 1];
        ids[at] = ids[at - 1];
    }
    best[at] = x;
    ids[at] = id;
    return n < k ? n + 1 : k;
}

/* The k-th largest block maximum: at least k logits are not below it. -inf where there are fewer blocks. */
static float bound_of(const float *most, size_t blocks, size_t k)
{
    float best[TOP_LOGITS];
    int32_t ids[TOP_LOGITS];
    size_t n = 0;
    for (size_t b = 0; b < blocks; b++)
        if (n < k || most[b] > best[k - 1])
            n = insert(best, ids, n, k, most[b], (int32_t)b);
    return n == k ? best[k - 1] : -INFINITY;
}

/* The same where the row has fewer blocks than k: of GROUPS groups of logits, each a lane of one register. Which of their
 * maxima is the k-th is counted, because putting them in order takes longer. */
static float bound_of_short(const float *l, size_t n, const uint64_t *mask, size_t k)
{
    vec most[GROUPS / LANES];
    float each[GROUPS], bound = INFINITY;
    UNROLL for (size_t g = 0; g < GROUPS / LANES; g++) most[g] = vec_set(-INFINITY);
    for (size_t i = 0; i < n; i += GROUPS)
        UNROLL for (size_t g = 0; g < GROUPS / LANES; g++) if (i + g * LANES < n) most[g] =
            vec_max_number(load_allowed(l, i + g * LANES, n - i - g * LANES, mask), most[g]);
    UNROLL for (size_t g = 0; g < GROUPS / LANES; g++) vec_store(each + g * LANES, most[g]);
    for (size_t j = 0; j < GROUPS; j++) {
        size_t larger = 0;
        UNROLL for (size_t g = 0; g < GROUPS / LANES; g++) larger +=
            (size_t)__builtin_popcount(vec_less_bits(vec_set(each[j]), most[g]));
        if (larger < k && each[j] < bound)
            bound = each[j];
    }
    return bound;
}

/* The k largest of l[from .. to) into out, among those that are there already. */
INLINE void search(const float *l, size_t from, size_t to, const uint64_t *mask, size_t k, float above,
                   struct logit_summary *out)
{
    size_t n = (size_t)out->n_top;
    for (size_t i = from; i < to; i += LANES) {
        vec v = load_allowed(l, i, to - i, mask);
        float than = n == k && out->top_logit[k - 1] > above ? out->top_logit[k - 1] : above;
        for (unsigned bits = vec_less_bits(vec_set(than), v); bits; bits &= bits - 1) {
            size_t at = i + (size_t)__builtin_ctz(bits);
            if (n < k || l[at] > out->top_logit[k - 1])
                n = insert(out->top_logit, out->top, n, k, l[at], (int32_t)at);
        }
    }
    out->n_top = (int32_t)n;
}

/* exp(x), 0 of NaN. */
INLINE vec weight_of(vec x)
{
    return vec_where_less(vec_set(EXP_LOWEST), x, vec_exp_exact(x), vec_zero());
}

INLINE float sum_block(const float *l, size_t from, size_t to, const uint64_t *mask, float max)
{
    vec most = vec_set(max), even = vec_zero(), odd = vec_zero();
    for (size_t i = from; i < to; i += 2 * LANES) {
        even = vec_add(even, weight_of(vec_sub(load_allowed(l, i, to - i, mask), most)));
        if (i + LANES < to)
            odd = vec_add(odd, weight_of(vec_sub(load_allowed(l, i + LANES, to - i - LANES, mask), most)));
    }
    return vec_sum(vec_add(even, odd));
}

INLINE int32_t first_equal(const float *l, size_t from, const uint64_t *mask, float x)
{
    while (!(l[from] == x) || (mask && !(mask[from / 64] >> from % 64 & 1)))
        from++;
    return (int32_t)from;
}

INLINE void summarize(const float *l, size_t n, size_t k, const uint64_t *mask, struct logit_summary *out)
{
    float most[BLOCKS_MAX];
    const size_t block = ((n - (n > 0)) / BLOCKS_MAX / SUM_BLOCK + 1) * SUM_BLOCK;
    size_t blocks = 0, best = 0;
    assert(k <= TOP_LOGITS && n <= INT32_MAX);
    *out = (struct logit_summary){ .max = -INFINITY, .argmax = -1 };
    for (size_t i = 0; i < n; i += block, blocks++) {
        most[blocks] = largest_of(l, i, n - i < block ? n : i + block, mask);
        if (most[blocks] > out->max) {
            out->max = most[blocks];
            best = i;
        }
    }
    if (!isfinite(out->max))
        return;
    out->argmax = first_equal(l, best, mask, out->max);
    out->max = l[out->argmax]; /* of 0 and -0 the first */
    float bound = k == 0 ? out->max : blocks < k ? bound_of_short(l, n, mask, k) : bound_of(most, blocks, k);
    float above = nextafterf(bound, -INFINITY);
    double sum = 0;
    for (size_t b = 0; b < blocks; b++) {
        size_t from = b * block, to = n - from < block ? n : from + block;
        if (k && most[b] > above)
            search(l, from, to, mask, k, above, out);
        if (most[b] - out->max > EXP_LOWEST)
            for (size_t i = from; i < to; i += SUM_BLOCK)
                sum += (double)sum_block(l, i, to - i < SUM_BLOCK ? to : i + SUM_BLOCK, mask, out->max);
    }
    out->log_sum = log(sum);
}

static void summarize_logits(const float *l, size_t n, size_t k, struct logit_summary *out)
{
    summarize(l, n, k, NULL, out);
}

static void summarize_masked(const float *l, size_t n, size_t k, const uint64_t *mask,
                             struct logit_summary *out)
{
    summarize(l, n, k, mask, out);
}

static void mask_logits(float *l, size_t n, const uint64_t *mask)
{
    for (size_t i = 0; i < n; i += LANES) {
        vec v = load_allowed(l, i, n - i, mask);
        if (n - i >= LANES)
            vec_store(l + i, v);
        else
            vec_store_tail(l + i, v, n - i);
    }
}

static double exp_weights(float *w, const float *l, size_t n, float max, float inverse_t)
{
    const vec most = vec_set(max), by = vec_set(inverse_t), one = vec_set(1);
    double sum = 0;
    for (size_t from = 0; from < n; from += SUM_BLOCK) {
        size_t to = n - from < SUM_BLOCK ? n : from + SUM_BLOCK;
        vec in_lanes = vec_zero();
        for (size_t i = from; i < to; i += LANES) {
            vec v = load_logits(l + i, to - i);
            vec e = vec_where_equal(v, most, one, weight_of(vec_mul(vec_sub(v, most), by)));
            if (to - i >= LANES)
                vec_store(w + i, e);
            else
                vec_store_tail(w + i, e, to - i);
            in_lanes = vec_add(in_lanes, e);
        }
        sum += (double)vec_sum(in_lanes);
    }
    return sum;
}

#define CHOOSE_KERNELS                                                                                       \
    .summarize_logits = summarize_logits, .summarize_masked = summarize_masked, .mask_logits = mask_logits,  \
    .exp_weights = exp_weights
