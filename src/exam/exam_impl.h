/*
 * exam_impl.h - what the files of exam share: the row of a family, and the lines of worked arithmetic.
 */
#ifndef THINKD_EXAM_IMPL_H
#define THINKD_EXAM_IMPL_H

#include "exam/exam.h"

#define CASE_NUMBERS_MAX 20
#define CASE_OWN_MAX     2048
#define CASE_WRAP_MAX    4

/* A drawn case: everything the question and the working depend on, but the wording. */
struct exam_case {
    int level;
    int pick;                        /* which template or shape, where a family has several */
    int64_t n[CASE_NUMBERS_MAX];     /* the numbers, family by family */
    uint64_t key;                    /* set by the family from the canonical form */
    bool few;                        /* so few cases exist that wording, not numbers, is held out */
    int64_t wrap[CASE_WRAP_MAX];     /* of a family that wraps another, whose case this is */
    unsigned char own[CASE_OWN_MAX]; /* a family's own description, where numbers do not suffice: case_keep */
};

/* The written form of a case. */
struct exam_text {
    struct rng *rng;
    enum exam_effort effort;
    struct buf *question, *trace, *recheck, *visible, *answer;
    int slips;   /* for families without routes: lines they may write wrong first, each followed by "wait" */
    int route;   /* which of the family's derivations to write: 0, or 1 for another way to the same answer */
    int lines;   /* steps written to trace so far */
    int slip_at; /* the step that is written wrong first; -1 for none */
    bool
        miss; /* the slip is not noticed: no "wait" follows, and the derivation goes on from the wrong value */
    struct buf *system, *tools; /* empty unless the family fills them */
    struct exam_problem *whole; /* for families whose problem has earlier turns: see text_earlier */
};

/* Empties the problem and points t at its parts. */
void text_begin(struct exam_text *t, struct exam_problem *p, struct rng *rng, enum exam_effort effort);
/* What was written so far becomes an earlier turn, and question, trace, recheck and visible are empty again: the next
 * turn's. tool: what is written next is a tool's result. At most EXAM_EARLIER_MAX times. */
void text_earlier(struct exam_text *t, bool tool);

struct exam_family {
    const char *name;
    const char *what;
    int levels;
    bool exam_only;
    int train_levels; /* levels above it are asked in the exam alone; 0: all levels train */
    /* 0: solve is called once. Else it may be called any number of times for one case, and with 2 it has two
     * derivations: route 1 reaches the answer another way than route 0, for the comparing of xhigh. */
    int routes;
    bool by_wording; /* the exam asks in withheld wordings alone, whatever the case */
    void (*draw)(struct rng *rng, int level, struct exam_case *c);
    /* withheld: use a wording that training never uses, where the family has one; returns whether it did. */
    bool (*ask)(const struct exam_case *c, struct exam_text *t, bool withheld);
    void (*solve)(const struct exam_case *c, struct exam_text *t);
    bool (*check)(struct str reply, struct str answer);
};

extern const struct exam_family family_add, family_sub, family_mul, family_div;
extern const struct exam_family family_expr, family_linear, family_gcd;
extern const struct exam_family family_story, family_story_new, family_story_names, family_story_aside,
    family_story_long;
extern const struct exam_family family_greet, family_thanks, family_identity, family_ask, family_decline;
extern const struct exam_family family_clock, family_date, family_unit;
extern const struct exam_family family_follow, family_after;
extern const struct exam_family family_tool, family_json, family_letters;
extern const struct exam_family family_boolean, family_knights, family_order, family_syllogism;

extern const struct exam_family family_lcm, family_mod, family_crt, family_divisors;
extern const struct exam_family family_fraction, family_percent;
extern const struct exam_family family_systems, family_quadratic, family_sequence;
extern const struct exam_family family_combin, family_countdown, family_base, family_aime;

/* effort.c: the slips of a family without routes, drawn before it asks, for it may write its working then. */
void effort_plan(const struct exam_family *f, struct exam_text *t, bool train);
/* Writes the working that the effort pays for: derivations, checks, planted slips. */
void effort_solve(const struct exam_family *f, const struct exam_case *c, struct exam_text *t, bool train,
                  struct exam_problem *p);

/* Wordings: a list of formats in which {} stands for the case, {a} for n[0], {b} for n[1] and so on, {?} for the
 * unknown's letter. One that begins with '!' is withheld. */
struct wordings {
    const char *const *list;
    size_t count;
};
#define WORDINGS(array) ((struct wordings){ (array), ARRAY_LEN(array) })
/* Returns the wording without its '!'. held: from the withheld ones, if the list has any. */
const char *wording_pick(struct rng *rng, struct wordings w, bool held, bool *is_held);
/* Writes the wording with {} replaced by inner. */
void wording_put(struct buf *out, const char *wording, struct str inner);
/* Asks in a wording of the list, with every slot filled; returns whether it is a withheld one. */
bool ask_words(const struct exam_case *c, struct exam_text *t, bool withheld, struct wordings w,
               struct str inner, char unknown);

uint64_t case_key(const char *kind, const int64_t *n, size_t count);

/* steps.c: worked arithmetic. Every function writes whole lines that end in '\n' and returns the result its
 * last line states: the exact one, but for a missed slip. Operands are not negative unless it says so. Columns stand on
 * one line at low effort and in rechecks, on a line each in a working of more effort. */
int64_t steps_line(struct exam_text *t, struct buf *out, int64_t value, const char *fmt, ...)
    PRINTF_LIKE(4, 5); /* "head=value" */
int64_t steps_add(struct exam_text *t, struct buf *out, int64_t a, int64_t b, bool columns);
int64_t steps_sub(struct exam_text *t, struct buf *out, int64_t a, int64_t b, bool columns); /* a >= b */
int64_t steps_mul(struct exam_text *t, struct buf *out, int64_t a, int64_t b, bool columns);
/* Long division, b > 0; its last line is "a/b=QrR". */
int64_t steps_div(struct exam_text *t, struct buf *out, int64_t a, int64_t b, int64_t *rest);
/* The remainder alone; the last line is a difference, or "a/b=QrR" for a divisor of one digit. */
int64_t steps_mod(struct exam_text *t, struct buf *out, int64_t a, int64_t b);
/* One operation inside a larger exercise: columns where the numbers call for them. '/' needs a multiple. */
int64_t steps_apply(struct exam_text *t, struct buf *out, char op, int64_t a, int64_t b);
/* The same for any signs and any order: brought back to one with neither, then the sign is put back. */
int64_t steps_signed(struct exam_text *t, struct buf *out, char op, int64_t a, int64_t b);
/* a plus or minus b, one place of b after the other from the highest. */
int64_t steps_places(struct exam_text *t, struct buf *out, char op, int64_t a, int64_t b);
/* a whole number to a power of 1 or more, factor by factor */
int64_t steps_power(struct exam_text *t, struct buf *out, int64_t a, int exponent);
/* Divides by single primes and Euclid: the greatest common divisor of two numbers above zero. */
int64_t steps_gcd(struct exam_text *t, struct buf *out, int64_t a, int64_t b);
bool steps_easy(char op, int64_t a, int64_t b); /* steps_apply writes it without columns */
/* "check", and the result undone by the inverse operation or looked at modulo 9; any signs for + and -. */
void steps_check(struct exam_text *t, struct buf *out, char op, int64_t a, int64_t b, int64_t result);
void check_begin(struct buf *out);
/* "ok", or what is not as it should be. */
void check_equal(struct buf *out, int64_t got, int64_t want);
int64_t apply_op(char op, int64_t a, int64_t b); /* exact; '/' needs a multiple */

int digits_of(int64_t n);
int64_t gcd_of(int64_t a, int64_t b);
int64_t random_digits(struct rng *rng, int digits); /* uniform among the numbers of so many digits */
void put_binary(struct rng *rng, struct buf *out, int64_t a, char op, int64_t b); /* "12 x 34", "12*34" */
void put_term(struct buf *out, int64_t factor, char name);                        /* "3x", "x", "-x" */
void put_const(struct buf *out, int64_t value, const char *gap); /* " + 3", "-3"; nothing for zero */
void put_whole(struct buf *out, int64_t value);
void answer_int(struct exam_text *t, int64_t value); /* both the answer and the visible reply */
void answer_put(struct exam_text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);

bool check_number(struct str reply, struct str answer);
int numbers_of(struct str s, int64_t *out, int max); /* up to max whole numbers in s, in order */
/* The same whole numbers: "3:05" is "03:05"; "3 hours 5 minutes" is "3 h 5 min". */
bool check_numbers(struct str reply, struct str answer);
/* marks.c */
#define LOWEST_TERMS " in lowest terms" /* behind an answer to check_fraction that must be reduced */
bool check_named(struct str reply, struct str answer);
bool check_set(struct str reply, struct str answer);
bool check_fraction(struct str reply, struct str answer);
bool check_product(struct str reply, struct str answer);
bool check_numeral(struct str reply, struct str answer);
bool check_expression(struct str reply, struct str answer);
bool check_chat(struct str reply, struct str answer);
bool check_json(struct str reply, struct str answer); /* the same JSON value */

extern const char chat_decline_text[];

#endif
