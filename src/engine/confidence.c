/*
 * confidence.c - what the model's logits say of a token, and of a sequence so far.
 *
 * The figures are DeepConf's (arXiv 2508.15260, section 3), with a window for short thoughts: clamp(T / 8, 16, 2048)
 * tokens, T the nominal length of a thought. Where fewer than k logits are finite, the mean is over those.
 *
 * A sequence keeps the running sums of its tokens' confidences, 8 bytes a token, so that every window's sum is a
 * difference of two and the last figure, the mean of the lowest tenth of windows, can be asked for at the end.
 * Everything is in double precision and in the order of tokens: the same sequence has the same figures anywhere.
 *
 * Threads: the engine's.
 */
#include "engine/engine_impl.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* log softmax: l - max - log sum exp(l - max). */
static double logprob_of(const struct logit_summary *row, float logit)
{
    return (double)logit - (double)row->max - row->log_sum;
}

void confidence_token(struct engine_token *out, const struct logit_summary *row, int32_t id, float logit,
                      int n_top)
{
    double sum = 0;
    int k = row->n_top < CONFIDENCE_TOP ? row->n_top : CONFIDENCE_TOP;
    *out = (struct engine_token){ .id = id, .logprob = (float)logprob_of(row, logit) };
    for (int i = 0; i < k; i++)
        sum += logprob_of(row, row->top_logit[i]);
    out->confidence = k ? (float)(-sum / k) : NAN;
    out->n_top = n_top < row->n_top ? n_top : row->n_top;
    for (int i = 0; i < out->n_top; i++) {
        out->top[i].id = row->top[i];
        out->top[i].logprob = (float)logprob_of(row, row->top_logit[i]);
    }
}

void confidence_no_token(struct engine_token *out, int32_t id)
{
    *out = (struct engine_token){ .id = id, .logprob = NAN, .confidence = NAN };
}

void confidence_init(struct confidence *c, int64_t thinking_tokens)
{
    int64_t window = thinking_tokens / 8;
    *c = (struct confidence){ .window = (int)(window < 16 ? 16 : window > 2048 ? 2048 : window) };
}

void confidence_free(struct confidence *c)
{
    mem_free(c->sums);
    *c = (struct confidence){ 0 };
}

/* Of the window that ends before token `end`. */
static double window_sum(const struct confidence *c, size_t end)
{
    return c->sums[end] - c->sums[end - (size_t)c->window];
}

void confidence_put(struct confidence *c, const struct engine_token *t)
{
    if (c->n + 2 > c->cap) {
        c->cap = c->cap ? 2 * c->cap : 64;
        c->sums = mem_realloc(c->sums, c->cap * sizeof *c->sums);
        c->sums[0] = 0;
    }
    c->sums[c->n + 1] = c->sums[c->n] + (double)t->confidence;
    c->n++;
    c->logprobs += (double)t->logprob;
    size_t window = (size_t)c->window;
    if (c->n >= window) {
        double sum = window_sum(c, c->n);
        if (c->n == window || sum < c->lowest)
            c->lowest = sum;
    }
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The lowest tenth, rounded down, but one at the least. */
static double bottom_tenth(const struct confidence *c)
{
    size_t windows = c->n - (size_t)c->window + 1, tenth = windows / 10 ? windows / 10 : 1;
    double *sums = mem_array(windows, sizeof *sums), total = 0;
    for (size_t i = 0; i < windows; i++)
        sums[i] = window_sum(c, i + (size_t)c->window);
    qsort(sums, windows, sizeof *sums, ascending);
    for (size_t i = 0; i < tenth; i++)
        total += sums[i];
    mem_free(sums);
    return total / (double)tenth / c->window;
}

void confidence_get(const struct confidence *c, bool done, struct engine_confidence *out)
{
    *out = (struct engine_confidence){ (int64_t)c->n, c->window, NAN, NAN, NAN, NAN, NAN };
    if (c->n == 0)
        return;
    out->mean_logprob = (float)(c->logprobs / (double)c->n);
    out->mean = (float)(c->sums[c->n] / (double)c->n);
    if (c->n < (size_t)c->window)
        return;
    out->last_window = (float)(window_sum(c, c->n) / c->window);
    out->lowest_window = (float)(c->lowest / c->window);
    if (done)
        out->bottom_tenth = (float)bottom_tenth(c);
}
