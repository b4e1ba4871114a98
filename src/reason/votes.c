/*
 * votes.c - options, and the votes that lines gave them.
 *
 * Sums are whole numbers (quarters of a vote, millionths of confidence), so the order in which lines are counted
 * changes nothing but who was first.
 *
 * Threads: the conductor's.
 */
#include "reason/reason_impl.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define MILLION 1000000

int64_t line_confidence(const struct line_trace *line)
{
    double c = (double)line->confidence.mean;
    return isfinite(c) && fabs(c) < MILLION ? llround(c * MILLION) : 0;
}

/* Whose text is shown: one that ended by itself, the surest of those, the lowest of equals. */
static bool is_better(const struct line_trace *lines, size_t line, size_t than)
{
    int64_t a = line_confidence(&lines[line]), b = line_confidence(&lines[than]);
    if (lines[line].complete != lines[than].complete)
        return lines[line].complete;
    return a != b ? a > b : line < than;
}

void votes_put(struct votes *v, size_t at, size_t line, int weight, const struct line_trace *lines)
{
    assert(at <= v->n && at < TIER_BRANCHES_MAX && line < LINES_MAX);
    struct vote_option *o = &v->options[at];
    if (at == v->n) {
        *o = (struct vote_option){ .first = line, .best = line };
        v->n++;
    }
    if (line < o->first)
        o->first = line;
    if (is_better(lines, line, o->best))
        o->best = line;
    o->votes++;
    o->weight += weight;
    o->confidence += line_confidence(&lines[line]);
    v->counted++;
}

void votes_abstain(struct votes *v)
{
    v->counted++;
    v->abstained++;
}

static int compare(const void *x, const void *y)
{
    const struct vote_option *a = x, *b = y;
    if (a->weight != b->weight)
        return a->weight > b->weight ? -1 : 1;
    if (a->confidence != b->confidence)
        return a->confidence > b->confidence ? -1 : 1;
    return a->first < b->first ? -1 : a->first > b->first;
}

void votes_sort(struct votes *v)
{
    qsort(v->options, v->n, sizeof v->options[0], compare);
}

/* CISC (arXiv 2502.06233): a line's share is the softmax of its confidence among the lines of this question. */
void votes_weigh(struct votes *v, const struct line_trace *lines, size_t n_lines, const size_t *option_of)
{
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n_lines; i++)
        if (option_of[i] < v->n)
            most = fmax(most, (double)line_confidence(&lines[i]) / MILLION);
    for (size_t i = 0; i < n_lines; i++)
        if (option_of[i] < v->n)
            sum += exp((double)line_confidence(&lines[i]) / MILLION - most);
    for (size_t i = 0; i < v->n; i++)
        v->options[i].weight = 0;
    for (size_t i = 0; i < n_lines; i++) {
        if (option_of[i] >= v->n)
            continue;
        double share = exp((double)line_confidence(&lines[i]) / MILLION - most) / sum;
        v->options[option_of[i]].weight += (int)lround(share * MILLION * lines[i].weight / VOTE_UNIT);
    }
}
