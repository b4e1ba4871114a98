/*
 * report.c - what an exam found: the results summed by candidate, family and level, and candidates compared in pairs.
 *
 * A pair is compared on the questions that both were asked, where a question without a reply counts as wrong. How it is
 * shown is table.c's, how sure it is stats.c's.
 */
#include "exam/exam_impl.h"
#include "exam/run_impl.h"

#include <string.h>

static void count_result(struct exam_row *row, const struct exam_result *r)
{
    row->asked++;
    row->right += r->right;
    row->failed += r->failed;
    row->output_tokens += r->output_tokens;
    row->reasoning_tokens += r->reasoning_tokens;
    row->seconds += r->seconds;
    row->cost += r->priced ? r->cost : 0;
    row->priced += r->priced;
}

static void count(struct exam_row *row, const struct exam_paper *paper, size_t item, size_t candidate)
{
    for (size_t s = 0; s < paper->samples; s++) {
        const struct exam_result *r = paper_result(paper, item, candidate * paper->samples + s);
        if (r->asked)
            count_result(row, r);
    }
}

static void add_row(struct exam_part *part, struct exam_row row)
{
    part->rows = mem_realloc(part->rows, (part->rows_len + 1) * sizeof *part->rows);
    part->rows[part->rows_len++] = row;
}

static void fill_part(struct exam_part *part, const struct exam_paper *paper, size_t candidate)
{
    const struct exam_item *items = paper->items;
    part->total = (struct exam_row){ .family = "total" };
    for (size_t i = 0; i < paper->len;) {
        const struct exam_family *f = items[i].family;
        struct exam_row all = { .family = f ? f->name : "file" };
        while (i < paper->len && items[i].family == f) {
            struct exam_row row = { .family = all.family, .level = items[i].question.level };
            for (; i < paper->len && items[i].family == f && items[i].question.level == row.level; i++) {
                count(&row, paper, i, candidate);
                count(&all, paper, i, candidate);
                count(&part->total, paper, i, candidate);
            }
            if (row.level > 0 && row.asked > 0)
                add_row(part, row);
        }
        if (all.asked > 0)
            add_row(part, all);
    }
}

/* --- pairs ------------------------------------------------------------------------------------------------- */

/* Room for the differences of a pair, one a question. */
struct differences {
    uint64_t *names;
    double *values;
    struct exam_cluster *clusters;
};

static void compare(struct exam_pair *pair, const struct exam_paper *paper, struct differences *d,
                    uint64_t seed)
{
    for (size_t i = 0; i < paper->len; i++) {
        const struct exam_result *a = paper_result(paper, i, pair->a), *b = paper_result(paper, i, pair->b);
        if (!a->asked || !b->asked)
            continue;
        d->names[pair->n] = paper->items[i].cluster;
        d->values[pair->n++] = b->right - a->right;
        pair->only_a += a->right && !b->right;
        pair->only_b += b->right && !a->right;
    }
    pair->clusters = clusters_sum(d->names, d->values, (size_t)pair->n, d->clusters);
    pair->difference = pair->n ? (double)(pair->only_b - pair->only_a) / (double)pair->n : 0;
    pair->interval = exam_bootstrap(d->clusters, pair->clusters, EXAM_ROUNDS, seed);
    pair->p = exam_mcnemar(pair->only_a, pair->only_b);
}

static void correct(struct exam_report *r)
{
    double *p = mem_array(r->pairs_len, sizeof *p);
    for (size_t i = 0; i < r->pairs_len; i++)
        p[i] = r->pairs[i].p;
    exam_holm(p, r->pairs_len);
    for (size_t i = 0; i < r->pairs_len; i++)
        r->pairs[i].holm = p[i];
    mem_free(p);
}

static void fill_pairs(struct exam_report *r, const struct exam_paper *paper)
{
    struct differences d = { mem_array(paper->len, sizeof *d.names), mem_array(paper->len, sizeof *d.values),
                             mem_array(paper->len, sizeof *d.clusters) };
    r->pairs = mem_array(paper->candidates * (paper->candidates - 1) / 2, sizeof *r->pairs);
    for (size_t b = 1; b < paper->candidates; b++)
        for (size_t a = 0; a < b; a++) {
            struct exam_pair *pair = &r->pairs[r->pairs_len++];
            *pair = (struct exam_pair){ .a = a, .b = b };
            compare(pair, paper, &d, r->seed);
        }
    correct(r);
    mem_free(d.names);
    mem_free(d.values);
    mem_free(d.clusters);
}

void exam_report_fill(struct exam_report *r, const struct exam_paper *paper)
{
    r->parts = mem_array(paper->candidates, sizeof *r->parts);
    r->parts_len = paper->candidates;
    for (size_t c = 0; c < paper->candidates; c++)
        fill_part(&r->parts[c], paper, c);
    if (paper->candidates > 1 && paper->samples == 1)
        fill_pairs(r, paper);
}

void exam_report_free(struct exam_report *r)
{
    for (size_t i = 0; i < r->parts_len; i++)
        mem_free(r->parts[i].rows);
    mem_free(r->parts);
    mem_free(r->pairs);
    memset(r, 0, sizeof *r);
}
