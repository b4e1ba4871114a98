/*
 * choose.c - the passes over one row of logits in plain loops: the definition.
 *
 * Which logits there are: NaN is none and -inf is a token that is ruled out; either weighs nothing and is
 * never among the largest. +inf is a broken row: argmax is -1, as where nothing is finite.
 */
#include "kernel/attend_impl.h"

#include <assert.h>
#include <string.h>

/* Puts logit x of id where it belongs among the n best so far; equal ones stay before it, so ids must come in
 * ascending order. Returns the new n. */
static int32_t insert(struct logit_summary *s, int32_t n, int32_t k, int32_t id, float x)
{
    if (n == k && !(x > s->top_logit[k - 1]))
        return n;
    int32_t at = n < k ? n : k - 1;
    for (; at > 0 && x > s->top_logit[at - 1]; at--) {
        s->top[at] = s->top[at - 1];
        s->top_logit[at] = s->top_logit[at - 1];
    }
    s->top[at] = id;
    s->top_logit[at] = x;
    return n < k ? n + 1 : k;
}

static bool is_set(const uint64_t *mask, size_t i)
{
    return !mask || (mask[i / 64] >> i % 64 & 1);
}

void summarize_masked_scalar(const float *logits, size_t n, size_t k, const uint64_t *mask,
                             struct logit_summary *out)
{
    assert(k <= TOP_LOGITS);
    *out = (struct logit_summary){ .max = -INFINITY, .argmax = -1 };
    for (size_t i = 0; i < n; i++)
        if (is_set(mask, i) && logits[i] > out->max) {
            out->max = logits[i];
            out->argmax = (int32_t)i;
        }
    if (!isfinite(out->max)) {
        out->argmax = -1;
        return;
    }
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (!is_set(mask, i) || !isfinite(logits[i]))
            continue;
        sum += exp((double)logits[i] - (double)out->max);
        if (k)
            out->n_top = insert(out, out->n_top, (int32_t)k, (int32_t)i, logits[i]);
    }
    out->log_sum = log(sum);
}

void summarize_logits_scalar(const float *logits, size_t n, size_t k, struct logit_summary *out)
{
    summarize_masked_scalar(logits, n, k, NULL, out);
}

void mask_logits_scalar(float *logits, size_t n, const uint64_t *mask)
{
    for (size_t i = 0; i < n; i++)
        if (!is_set(mask, i))
            logits[i] = -INFINITY;
}

double exp_weights_scalar(float *w, const float *l, size_t n, float max, float inverse_t)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        float x = (l[i] - max) * inverse_t; /* NaN for the maximum itself where inverse_t is infinite */
        w[i] = l[i] == max ? 1.0f : x == x ? expf(x) : 0.0f;
        sum += (double)w[i];
    }
    return sum;
}
