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
    /* what came of it */
    bool asked, failed, right;
    int64_t output_tokens, reasoning_tokens;
    double seconds;
};

struct exam_paper {
    struct exam_item *items;
    size_t len, cap;
    struct arena arena;
};

enum err_code exam_paper_open(struct exam_paper *paper, const struct exam_config *config, struct err *err);
void exam_paper_close(struct exam_paper *paper); /* also after an error */

/* Sums the items, which lie in order of family and level, into the report's rows. */
void exam_report_fill(struct exam_report *r, const struct exam_paper *paper);

#endif
