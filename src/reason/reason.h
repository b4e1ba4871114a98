/*
 * reason.h - which thoughts deserve the next tokens.
 *
 * plan: a tier, an effort and a ceiling become budgets for one line of thought per answer.
 * summaries: what is told of a thought that is not shown.
 *
 * Threads: all of it on the conductor's thread; plans from any.
 */
#ifndef THINKD_REASON_REASON_H
#define THINKD_REASON_REASON_H

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"
#include "engine/engine.h"

/* What the caller may set; unset members leave the tier's choice. */
struct reason_ask {
    enum effort effort;
    struct {
        bool set;
        double value;
    } temperature, top_p;
    int64_t output_tokens_max; /* 0: the tier's and the model's ceiling */
    size_t choices;            /* answers asked for; 0 and 1: one */
};

struct plan {
    enum effort effort;
    bool think;                /* false: effort none, or a model that cannot */
    int64_t think_tokens_max;  /* the effort's cap in tokens */
    int64_t answer_tokens_min; /* min(256, 25%) of the total kept for the answer */
    int64_t tokens_max;        /* thinking and answer together */
    double temperature, top_p, min_p;
};

/* tokens_max is what the request, the tier and the context leave beside prompt_tokens; 0 when the prompt leaves
 * no room, which job_submit refuses (ERR_CONTEXT_LENGTH). */
struct plan reason_plan(const struct tier *tier, const struct engine_info *engine,
                        const struct reason_ask *ask, int64_t prompt_tokens);

/* --- summaries of thoughts ------------------------------------------------------------------------ */

enum summary { SUMMARY_NONE, SUMMARY_AUTO, SUMMARY_CONCISE, SUMMARY_DETAILED };
/* Derived from the thought itself by rule, line by line as it is written: detailed gives every line, concise
 * the lines that conclude something, auto is concise. Never empty for a thought that is not. Zero-initialise with kind. */
struct summarizer {
    enum summary kind;
    struct buf line;
    bool wrote;
    struct buf last;
};
void summarizer_put(struct summarizer *s, struct str thought,
                    struct buf *out); /* appends what became certain */
void summarizer_end(struct summarizer *s, struct buf *out);
void summarizer_free(struct summarizer *s);

#endif
