/*
 * story_impl.h - a word problem between the files that build it, tell it and work it out.
 *
 * A story is a graph: numbers that the text gives, and steps that compute new quantities from numbers and earlier
 * steps. A genre builds the graph of just so many steps from its templates, and later tells it.
 */
#ifndef THINKD_EXAM_STORY_IMPL_H
#define THINKD_EXAM_STORY_IMPL_H

#include "exam/words_impl.h"

#define STORY_LEVELS      8
#define STORY_STEPS_MAX   12
#define STORY_NUMBERS_MAX 48
#define STORY_PARTS_MAX   14
#define STORY_VALUE_MAX   999999
#define STORY_NOTHING     127 /* no operand */

struct story_step {
    const char *label; /* a phrase: what is computed */
    int64_t value;
    signed char left, right; /* operands: a number's index, or -1 - s for step s */
    signed char who, other;  /* of the label */
    unsigned char number;    /* of the label: index of its {a} */
    char op;
};

/* One template in use. */
struct story_part {
    short clause;         /* the genre's index of it */
    unsigned char number; /* index of its first number */
    signed char who, other;
};

struct story {
    int genre;
    int64_t n[STORY_NUMBERS_MAX];
    struct story_step steps[STORY_STEPS_MAX];
    struct story_part parts[STORY_PARTS_MAX];
    int n_len, steps_len, parts_len;
    int shape;     /* the genre's own */
    bool withheld; /* holds a template that training never sees */
    bool big;      /* numbers are drawn large */
    struct cast cast;
};

/* What the genre may use: known templates alone, or withheld ones too, and then at least one of them. */
struct story_genre {
    const char *name;
    int steps_min, steps_max, weight;
    /* False: these numbers did not work out; it is called again on a fresh story. */
    bool (*draw)(struct rng *rng, struct story *s, int steps, bool withheld);
    /* Facts, one a line, and the question. */
    void (*tell)(const struct story *s, struct rng *rng, struct buf *facts, struct buf *ask);
};
extern const struct story_genre story_chain, story_graph, story_fixed;

/* All return false when a value is not a positive whole number in bounds. */
bool story_number(struct story *s, int64_t value, int *index);
bool story_compute(struct story *s, char op, int left, int right, const char *label,
                   const struct story_part *part);
/* Runs "a*b $+1": letters are numbers from part's first on, $ is *running (updated), 1-9 are results in this plan,
 * capitals and x y z w constants (x 2, y 3, z 4, w 10, D 12, W 7, T 24, H 60, C 100, K 1000). */
bool story_plan(struct story *s, const char *plan, const char *labels, const struct story_part *part,
                int *running);
int story_plan_steps(const char *plan); /* "" is none */
/* Draws the numbers that the letters of sizes ask for, where $ is known to be value (0: there is none yet). */
bool story_draw_sizes(struct rng *rng, struct story *s, const char *sizes, int64_t value);
int64_t story_value(const struct story *s, int operand);
void story_say(const struct story *s, struct rng *rng, const struct story_part *part, struct buf *out,
               const char *text);

#endif
