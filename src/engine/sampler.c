/*
 * sampler.c - from logits to one token, the same one every time.
 *
 * With w_i = exp((l_i - max l) / temperature), a token stays when
 *   min-p: w_i >= min_p (the likeliest has w = 1), and
 *   top-p: it is among the likeliest tokens that together first reach top_p of the sum of all w,
 * and of those that stay one is drawn in proportion to w. Both rules read the same whole distribution,
 * so their order does not matter; the likeliest token always stays. Temperature 0 takes the likeliest, the
 * lowest id on a tie.
 *
 * A draw is one uniform number u: the tokens that stay are walked until the sum of their w passes u of the whole. The
 * walk goes from the likeliest down (equal logits by id) where the likeliest TOP_LOGITS are known to hold all that
 * stay (always where the summary lists every token there is, as under a grammar), or where top_p < 1; else by id. Which of these it is depends on the row's logits and the settings alone,
 * and so does every sum's order: a token's fate is its own, whoever shares its batch.
 *
 * Cost. The row's summary, which is made anyway, mostly decides: with min-p no further pass, with top-p one for the sum
 * of all w (none at temperature 1). Only where the distribution is so flat that TOP_LOGITS tokens do not reach top_p, the
 * tokens are sorted into buckets by distance from the best (finer ones where nearly all weigh the same), the bucket where the draw falls is found by the buckets'
 * sums, and one or two buckets are sorted: O(V) however many stay.
 *
 * Threads: one at a time.
 */
#include "engine/engine_impl.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK         4096 /* ids whose weights are summed together */
#define BUCKETS       2048
#define FLAT_WEIGHT   0.5   /* of the mean token; the likeliest has 1 */
#define BUCKETS_DEPTH 24.0f /* the last bucket has what weighs less than exp(-24) */

struct candidate {
    float logit, weight;
    int32_t id;
};

struct sampler {
    const struct kernels *kernels;
    size_t n_vocab, n_blocks;
    float *weight;                /* [n_vocab] */
    double *block;                /* [n_blocks] sums of weight */
    double *bucket;               /* [BUCKETS] sums of weight; made when first needed, as the next two */
    uint16_t *where;              /* [n_vocab] buckets */
    struct candidate *candidates; /* [n_vocab] of one bucket */
};

struct sampler *sampler_open(const struct kernels *k, size_t n_vocab)
{
    struct sampler *s = mem_zalloc(sizeof *s);
    s->kernels = k;
    s->n_vocab = n_vocab;
    s->n_blocks = (n_vocab + BLOCK - 1) / BLOCK;
    s->weight = mem_lazy(n_vocab * sizeof *s->weight);
    s->block = mem_array(s->n_blocks, sizeof *s->block);
    return s;
}

void sampler_close(struct sampler *s)
{
    if (!s)
        return;
    mem_lazy_free(s->weight);
    mem_free(s->block);
    mem_free(s->bucket);
    mem_free(s->where);
    mem_free(s->candidates);
    mem_free(s);
}

size_t sampler_top(double temperature, double top_p, double min_p)
{
    return temperature > 0 && (top_p < 1 || min_p > 0) ? TOP_LOGITS : CONFIDENCE_TOP;
}

/* --- the whole distribution ------------------------------------------------------------------------- */

static size_t block_len(const struct sampler *s, size_t b)
{
    size_t rest = s->n_vocab - b * BLOCK;
    return rest < BLOCK ? rest : BLOCK;
}

static double weigh(struct sampler *s, const float *logits, float max, float inverse_t)
{
    double total = 0;
    for (size_t b = 0; b < s->n_blocks; b++) {
        size_t at = b * BLOCK;
        s->block[b] = s->kernels->exp_weights(s->weight + at, logits + at, block_len(s, b), max, inverse_t);
        total += s->block[b];
    }
    return total;
}

static double at_least(float weight, float least)
{
    return weight >= least ? (double)weight : 0;
}

/* Four sums side by side, since each has to wait for its own last addition. */
static double sum_at_least(const float *w, size_t n, float least)
{
    double a = 0, b = 0, c = 0, d = 0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        a += at_least(w[i], least);
        b += at_least(w[i + 1], least);
        c += at_least(w[i + 2], least);
        d += at_least(w[i + 3], least);
    }
    for (; i < n; i++)
        a += at_least(w[i], least);
    return (a + b) + (c + d);
}

/* Leaves the weights below least out of the blocks' sums. */
static double drop_below(struct sampler *s, float least)
{
    double total = 0;
    for (size_t b = 0; b < s->n_blocks; b++)
        total += s->block[b] = sum_at_least(s->weight + b * BLOCK, block_len(s, b), least);
    return total;
}

/* Walks ids upward until the sum passes target; rounding may leave it at the last that stays. */
static int32_t draw_by_id(const struct sampler *s, float least, double target)
{
    double passed = 0;
    size_t b = 0, last_block = 0;
    for (; b < s->n_blocks; b++) {
        if (s->block[b] <= 0)
            continue;
        last_block = b;
        if (passed + s->block[b] > target)
            break;
        passed += s->block[b];
    }
    if (b == s->n_blocks)
        passed -= s->block[last_block];
    int32_t last = -1;
    for (size_t i = last_block * BLOCK; i < last_block * BLOCK + block_len(s, last_block); i++) {
        if (s->weight[i] < least || s->weight[i] <= 0)
            continue;
        last = (int32_t)i;
        passed += (double)s->weight[i];
        if (passed > target)
            break;
    }
    return last;
}

/* --- from the likeliest down ------------------------------------------------------------------------- */

/* How many of c [n], likeliest first, stay when `above` of the mass stands before them. *kept: above and their sum. */
static size_t keep(const struct candidate *c, size_t n, double above, double enough, float least,
                   double *kept)
{
    size_t i = 0;
    double sum = above;
    while (i < n && ((above <= 0 && i == 0) || (sum < enough && c[i].weight >= least)))
        sum += (double)c[i++].weight;
    *kept = sum;
    return i;
}

static int32_t walk(const struct candidate *c, size_t n, double passed, double target)
{
    size_t i = 0;
    while (i + 1 < n && (passed += (double)c[i].weight) <= target)
        i++;
    return c[i].id;
}

static int likeliest_first(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit < y->logit ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static float lower(float low, float weight, float logit)
{
    return weight > 0 && logit < low ? logit : low;
}

/* How far the buckets have to reach. Where nearly all weigh nearly the same, to the least of them: else all would stand in a few
 * buckets, whose sorting would take longer than all the rest. Four searches side by side, as in sum_at_least. */
static float depth_of(const struct sampler *s, const float *logits, float max, float inverse_t)
{
    double total = 0;
    for (size_t b = 0; b < s->n_blocks; b++)
        total += s->block[b];
    if (total < FLAT_WEIGHT * (double)s->n_vocab)
        return BUCKETS_DEPTH;
    const float *w = s->weight;
    float a = max, b = max, c = max, d = max;
    size_t i = 0;
    for (; i + 4 <= s->n_vocab; i += 4) {
        a = lower(a, w[i], logits[i]);
        b = lower(b, w[i + 1], logits[i + 1]);
        c = lower(c, w[i + 2], logits[i + 2]);
        d = lower(d, w[i + 3], logits[i + 3]);
    }
    for (; i < s->n_vocab; i++)
        a = lower(a, w[i], logits[i]);
    a = a < b ? a : b;
    c = c < d ? c : d;
    float far = (max - (a < c ? a : c)) * inverse_t;
    return far < BUCKETS_DEPTH ? far : BUCKETS_DEPTH;
}

/* Which bucket each token is in, and the buckets' sums of what min-p leaves. The number never decreases as the logit
 * falls, so buckets are in the order of their candidates. */
static void fill_buckets(struct sampler *s, const float *logits, float max, float inverse_t, float least)
{
    const float last = BUCKETS - 1, wide = inverse_t * (BUCKETS / depth_of(s, logits, max, inverse_t));
    const float scale = wide < FLT_MAX ? wide : FLT_MAX; /* of a finite scale, 0 apart is 0 */
    for (size_t i = 0; i < s->n_vocab; i++) {
        float at = (max - logits[i]) * scale;
        s->where[i] = (uint16_t)(at < last ? at : last); /* NaN too: it weighs nothing */
    }
    memset(s->bucket, 0, BUCKETS * sizeof *s->bucket);
    for (size_t i = 0; i < s->n_vocab; i++)
        s->bucket[s->where[i]] += at_least(s->weight[i], least);
}

/* The candidates of one bucket, likeliest first. */
static size_t open_bucket(struct sampler *s, const float *logits, size_t bucket)
{
    size_t n = 0, sorted = 1;
    for (size_t i = 0; i < s->n_vocab; i++)
        if (s->where[i] == bucket && s->weight[i] > 0)
            s->candidates[n++] = (struct candidate){ logits[i], s->weight[i], (int32_t)i };
    while (sorted < n && s->candidates[sorted].logit <= s->candidates[sorted - 1].logit)
        sorted++;
    if (sorted < n) /* equal ones are as they come */
        qsort(s->candidates, n, sizeof *s->candidates, likeliest_first);
    return n;
}

/* The last bucket that holds some of what stays, and the mass before it. */
static size_t border(const struct sampler *s, double enough, double *above)
{
    size_t last = 0;
    double sum = 0;
    *above = 0;
    for (size_t b = 0; b < BUCKETS && sum < enough; b++)
        if (s->bucket[b] > 0) {
            last = b;
            *above = sum;
            sum += s->bucket[b];
        }
    return last;
}

static int32_t draw_flat(struct sampler *s, const float *logits, float max, float inverse_t, double enough,
                         float least, double uniform)
{
    if (!s->bucket) {
        s->bucket = mem_array(BUCKETS, sizeof *s->bucket);
        s->where = mem_array(s->n_vocab, sizeof *s->where);
        s->candidates = mem_array(s->n_vocab, sizeof *s->candidates);
    }
    fill_buckets(s, logits, max, inverse_t, least);
    double above, kept, passed = 0;
    size_t last = border(s, enough, &above), n = open_bucket(s, logits, last);
    n = keep(s->candidates, n, above, enough, least, &kept);

    double target = uniform * kept;
    if (target >= above)
        return walk(s->candidates, n, above, target);
    size_t b = 0;
    while (b + 1 < last && passed + s->bucket[b] <= target)
        passed += s->bucket[b++];
    n = open_bucket(s, logits, b);
    while (n > 1 && s->candidates[n - 1].weight < least)
        n--;
    return walk(s->candidates, n, passed, target);
}

/* The summary's candidates [TOP_LOGITS]; returns how many. */
static size_t list_top(struct sampler *s, const struct logit_summary *row, float inverse_t,
                       struct candidate *c)
{
    float w[TOP_LOGITS];
    size_t n = (size_t)row->n_top;
    s->kernels->exp_weights(w, row->top_logit, n, row->max, inverse_t);
    for (size_t i = 0; i < n; i++)
        c[i] = (struct candidate){ row->top_logit[i], w[i], row->top[i] };
    return n;
}

static double sum_of(const struct candidate *c, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)c[i].weight;
    return sum;
}

int32_t sampler_pick(struct sampler *s, const float *logits, const struct logit_summary *row, bool all,
                     double temperature, double top_p, double min_p, double uniform)
{
    if (row->argmax < 0 || temperature <= 0)
        return row->argmax;
    float inverse_t = (float)(1 / temperature), least = (float)min_p;
    if (top_p >= 1 && min_p <= 0 && !all)
        return draw_by_id(s, 0, uniform * weigh(s, logits, row->max, inverse_t));

    struct candidate c[TOP_LOGITS];
    size_t n = list_top(s, row, inverse_t, c);
    bool below = !all && c[n - 1].weight >= least; /* what is not in the list may stay by min-p */
    double total = INFINITY, kept;
    if (top_p < 1)
        total = temperature == 1 ? exp(row->log_sum)
                : all            ? sum_of(c, n)
                                 : weigh(s, logits, row->max, inverse_t);
    double enough = top_p < 1 ? top_p * total : INFINITY;
    size_t stay = keep(c, n, 0, enough, least, &kept);
    if (!below || kept >= enough)
        return walk(c, stay, 0, uniform * kept);

    if (temperature == 1 || top_p >= 1)
        weigh(s, logits, row->max, inverse_t);
    if (top_p >= 1)
        return draw_by_id(s, least, uniform * drop_below(s, least));
    return draw_flat(s, logits, row->max, inverse_t, enough, least, uniform);
}
