/*
 * reason_impl.h - what the files of this folder share: exact fractions, and the votes of many lines.
 *
 * plan.c     budgets and sampling; route.c: of one model after another
 * ratio.c    fractions in 64 bits, exact or not at all
 * answer.c   where a text says what it concludes; key.c: what that means
 * arith.c    claims of arithmetic in a thought
 * votes.c    options and their votes
 * stop.c     when a vote is settled
 * drafts.c   which of several texts to show where there is nothing to vote on
 * thinker.c  the lines of one answer, from the first to the one that is shown
 */
#ifndef THINKD_REASON_IMPL_H
#define THINKD_REASON_IMPL_H

#include "reason/reason.h"

/* --- plan.c -------------------------------------------------------------------------------------------- */

#define ANSWER_TOKENS_RESERVED 256
#define CLOSING_TOKENS         16 /* about what ends a thought at its cap */

/* --- ratio.c ------------------------------------------------------------------------------------------- */

/* In lowest terms, the sign above: equal values are equal structs. */
struct ratio {
    int64_t num, den; /* den > 0 */
};
/* False where the result has no exact form in 64 bits, or none at all; *out is then undefined. */
bool ratio_make(int64_t num, int64_t den, struct ratio *out);
bool ratio_apply(char op, struct ratio a, struct ratio b, struct ratio *out); /* + - * / ^ */
/* Digits with commas between thousands, decimals after a point: as much as there is at the front. Bytes used; 0: no number,
 * or one too long. places: digits behind the point; may be NULL. */
size_t ratio_read(struct str s, struct ratio *out, int *places);

/* --- votes.c ------------------------------------------------------------------------------------------- */

struct votes {
    struct vote_option options[TIER_BRANCHES_MAX];
    size_t n;
    int counted, abstained;
};
/* line's vote for the answer whose option is at, or a new one where at is n. Options keep no order. */
void votes_put(struct votes *v, size_t at, size_t line, int weight, const struct line_trace *lines);
void votes_abstain(struct votes *v);
/* The leader first, then by weight; equals by summed confidence, then by their first line. */
void votes_sort(struct votes *v);
/* In place of whole votes: by how sure the model was of each line, beside the other lines of this question. */
void votes_weigh(struct votes *v, const struct line_trace *lines, size_t n_lines, const size_t *option_of);
int64_t line_confidence(const struct line_trace *line); /* millionths; 0 where there is none */

/* --- stop.c -------------------------------------------------------------------------------------------- */

/* What the votes so far settle. v is sorted; left: lines that may still be counted. */
enum stop stop_rule(const struct plan_lines *plan, const struct votes *v, int left);

#endif
