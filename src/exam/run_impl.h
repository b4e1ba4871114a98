/*
 * run_impl.h - the paper of questions between the files that write it, ask it and report on it.
 */
#ifndef THINKD_EXAM_RUN_IMPL_H
#define THINKD_EXAM_RUN_IMPL_H

#include "base/arena.h"
#include "exam/exam.h"

struct exam_item {
    const struct exam_family *family; /* NULL: from a file */
    struct exam_question question;    /* its texts in the paper's arena */
    struct str answer;                /* there too */
    uint64_t cluster; /* questions alike have the same: of a family and level, or a file's "template" */
};

/* What came of a question once. */
struct exam_result {
    bool asked, failed, right, priced;
    int64_t output_tokens, reasoning_tokens, cost;
    double seconds;
};

struct exam_paper {
    struct exam_item *items;
    size_t len, cap;
    struct arena arena;
    /* A column is one sample of one candidate: candidate * samples + sample. */
    size_t candidates, samples;
    struct exam_result *results; /* [len][candidates * samples]; the runner's */
};

static inline struct exam_result *paper_result(const struct exam_paper *p, size_t item, size_t column)
{
    return &p->results[item * p->candidates * p->samples + column];
}

enum err_code exam_paper_open(struct exam_paper *paper, const struct exam_config *config, struct err *err);
void exam_paper_close(struct exam_paper *paper); /* also after an error */

uint64_t cluster_name(const char *family, int level); /* of generated questions */

/* Sums the results into the report's parts and pairs; items lie in order of family and level. */
void exam_report_fill(struct exam_report *r, const struct exam_paper *paper);
/* stats.c: sums n values by the names of their clusters, or each alone where all have one name. out has room for n; gives
 * how many there are. */
size_t clusters_sum(const uint64_t *names, const double *values, size_t n, struct exam_cluster *out);

/* --- state.c: replies on disk ----------------------------------------------------------------------------- */

struct state;
/* Opens or makes the file and fills the paper's results with what is there; *resumed counts that. */
enum err_code state_open(struct state **out, const struct exam_config *config, struct exam_paper *paper,
                         int64_t *resumed, struct err *err);
/* Appends what came of a question; one call at a time. failed NULL: it has a reply. */
enum err_code state_put(struct state *s, size_t item, size_t column, const struct exam_reply *reply,
                        const struct err *failed, struct err *err);
void state_close(struct state *s); /* NULL is fine */

/* table.c: one field of RFC 4180. */
void csv_put(struct buf *out, const char *text);

/* --- chart.c ------------------------------------------------------------------------------------------------- */

struct chart_point {
    const char *label;
    size_t series; /* points of one are joined, in order of x; colours go by it */
    double x, y;   /* x > 0; y and its interval from 0 to 1 */
    double low, high;
};
/* An SVG document: x in powers of ten. */
void chart_put(struct buf *out, const char *title, const char *x_title, const struct chart_point *points,
               size_t len);

#endif
