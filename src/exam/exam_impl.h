/*
 * exam_impl.h - what the files of exam share: the row of a family, and the lines of worked arithmetic.
 */
#ifndef THINKD_EXAM_IMPL_H
#define THINKD_EXAM_IMPL_H

#include "exam/exam.h"

#define CASE_NUMBERS_MAX 12

/* A drawn case: everything the question and the working depend on, but the wording. */
struct exam_case {
    int level;
    int pick;                    /* which template or shape, where a family has several */
    int64_t n[CASE_NUMBERS_MAX]; /* the numbers, family by family */
    uint64_t key;                /* set by the family from the canonical form */
    bool few;                    /* so few cases exist that wording, not numbers, is held out */
};

/* The written form of a case. */
struct exam_text {
    struct rng *rng;
    enum exam_effort effort;
    struct buf *question, *trace, *recheck, *visible, *answer;
    int slips; /* wrong lines still to be planted, each followed by "wait" and the right line */
};

struct exam_family {
    const char *name;
    const char *what;
    int levels;
    bool exam_only;
    bool by_wording; /* the exam asks in withheld wordings alone, whatever the case */
    void (*draw)(struct rng *rng, int level, struct exam_case *c);
    /* withheld: use a wording that training never uses, where the family has one; returns whether it did. */
    bool (*ask)(const struct exam_case *c, struct exam_text *t, bool withheld);
    void (*solve)(const struct exam_case *c, struct exam_text *t);
    bool (*check)(struct str reply, struct str answer);
};

extern const struct exam_family family_add, family_sub, family_mul, family_div;
extern const struct exam_family family_expr, family_linear, family_gcd;
extern const struct exam_family family_story, family_story_new;
extern const struct exam_family family_greet, family_thanks, family_identity, family_decline;

/* Wordings: a list of formats in which {} stands for the case. One that begins with '!' is withheld. */
struct wordings {
    const char *const *list;
    size_t count;
};
#define WORDINGS(array) ((struct wordings){ (array), ARRAY_LEN(array) })
/* Returns the wording without its '!'. held: from the withheld ones, if the list has any. */
const char *wording_pick(struct rng *rng, struct wordings w, bool held, bool *is_held);
/* Writes the wording with {} replaced by inner. */
void wording_put(struct buf *out, const char *wording, struct str inner);

uint64_t case_key(const char *kind, const int64_t *n, size_t count);

/* steps.c: worked arithmetic. Every function writes whole lines that end in '\n' and returns the exact
 * result; operands are not negative unless it says so. */
int64_t steps_add(struct exam_text *t, struct buf *out, int64_t a, int64_t b, bool columns);
int64_t steps_sub(struct exam_text *t, struct buf *out, int64_t a, int64_t b, bool columns); /* a >= b */
int64_t steps_mul(struct exam_text *t, struct buf *out, int64_t a, int64_t b, bool columns);
int64_t steps_div(struct exam_text *t, struct buf *out, int64_t a, int64_t b, int64_t *rest);
/* One operation inside a larger exercise: columns only where the effort and the size call for them. */
int64_t steps_apply(struct exam_text *t, struct buf *out, char op, int64_t a, int64_t b);
/* The result is undone by the inverse operation, or checked modulo 9. */
void steps_check(struct exam_text *t, struct buf *out, char op, int64_t a, int64_t b, int64_t result);
int64_t apply_op(char op, int64_t a, int64_t b); /* exact; '/' needs a multiple */

int digits_of(int64_t n);
int64_t random_digits(struct rng *rng, int digits); /* uniform among the numbers of so many digits */
void put_binary(struct rng *rng, struct buf *out, int64_t a, char op, int64_t b); /* "12 x 34", "12*34" */
void answer_int(struct exam_text *t, int64_t value); /* both the answer and the visible reply */

bool check_number(struct str reply, struct str answer);
bool check_chat(struct str reply, struct str answer);

extern const char chat_decline_text[];

#endif
