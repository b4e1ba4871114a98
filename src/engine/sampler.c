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
 * One uniform number decides, whatever the settings, so a sequence's draws stay in step with its tokens.
 * Sums run in a fixed order in double precision: over ids, or from the likeliest down (equal ones by id).
 * A token's fate therefore depends on its logits alone, not on who shares its batch.
 *
 * Cost: O(V) without top-p; with it a heap of V and O(k log V) for the k tokens that stay.
 * Threads: the engine's.
 */
#include "engine/engine_impl.h"

#include <math.h>

struct candidate {
    float weight;
    int32_t id;
};

struct sampler {
    size_t n_vocab;
    float *weight;          /* [n_vocab] */
    struct candidate *heap; /* [n_vocab] */
};

struct sampler *sampler_open(size_t n_vocab)
{
    struct sampler *s = mem_zalloc(sizeof *s);
    s->n_vocab = n_vocab;
    s->weight = mem_array(n_vocab, sizeof *s->weight);
    s->heap = mem_array(n_vocab, sizeof *s->heap);
    return s;
}

void sampler_close(struct sampler *s)
{
    if (!s)
        return;
    mem_free(s->weight);
    mem_free(s->heap);
    mem_free(s);
}

static int32_t likeliest(const float *logits, size_t n)
{
    int32_t best = -1;
    for (size_t i = 0; i < n; i++)
        if (!isnan(logits[i]) && (best < 0 || logits[i] > logits[best]))
            best = (int32_t)i;
    return best >= 0 && isfinite(logits[best]) ? best : -1;
}

/* Walks ids upward until the running sum passes target; rounding may leave it at the last that stays. */
static int32_t draw_by_id(const struct sampler *s, float least, double uniform)
{
    double sum = 0, passed = 0;
    for (size_t i = 0; i < s->n_vocab; i++)
        if (s->weight[i] >= least)
            sum += (double)s->weight[i];
    int32_t last = -1;
    for (size_t i = 0; i < s->n_vocab; i++) {
        if (s->weight[i] < least || s->weight[i] == 0)
            continue;
        last = (int32_t)i;
        passed += (double)s->weight[i];
        if (passed > uniform * sum)
            break;
    }
    return last;
}

static bool likelier(struct candidate a, struct candidate b)
{
    return a.weight > b.weight || (a.weight == b.weight && a.id < b.id);
}

static void sift_down(struct candidate *heap, size_t n, size_t at)
{
    struct candidate moved = heap[at];
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && likelier(heap[child + 1], heap[child]))
            child++;
        if (!likelier(heap[child], moved))
            break;
        heap[at] = heap[child];
    }
    heap[at] = moved;
}

/* The k likeliest end up behind the shrinking heap, at heap[n - 1], heap[n - 2], ... in that order. */
static int32_t draw_top_p(struct sampler *s, double total, double top_p, float least, double uniform)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_vocab; i++)
        if (s->weight[i] >= least && s->weight[i] > 0)
            s->heap[n++] = (struct candidate){ s->weight[i], (int32_t)i };
    for (size_t i = n / 2; i-- > 0;)
        sift_down(s->heap, n, i);

    double kept = 0;
    size_t left = n;
    do {
        struct candidate top = s->heap[0];
        s->heap[0] = s->heap[--left];
        if (left)
            sift_down(s->heap, left, 0);
        s->heap[left] = top;
        kept += (double)top.weight;
    } while (left && kept < top_p * total);

    double passed = 0;
    size_t at = n;
    do
        passed += (double)s->heap[--at].weight;
    while (at > left && passed <= uniform * kept);
    return s->heap[at].id;
}

int32_t sampler_pick(struct sampler *s, const float *logits, double temperature, double top_p, double min_p,
                     double uniform)
{
    int32_t best = likeliest(logits, s->n_vocab);
    if (best < 0 || temperature <= 0)
        return best;
    float max = logits[best], inverse = (float)(1 / temperature);
    double total = 0;
    for (size_t i = 0; i < s->n_vocab; i++) {
        float distance = logits[i] - max;
        /* 0 apart is weight 1 even when 1 / temperature is infinite. NaN weighs nothing. */
        s->weight[i] = distance == 0 ? 1 : isnan(logits[i]) ? 0 : expf(distance * inverse);
        total += (double)s->weight[i];
    }
    if (top_p < 1)
        return draw_top_p(s, total, top_p, (float)min_p, uniform);
    return draw_by_id(s, (float)min_p, uniform);
}
