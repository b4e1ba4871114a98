/*
 * words_impl.h - names, things and phrases, shared by the families whose questions are written in words.
 *
 * A phrase is text with slots in braces and verbs in two tenses: "{N} [gives|gave] {a} {o} to {M}." The cast fills the
 * slots; lists withhold some of their entries (those that begin with '!'), which only the exam draws.
 */
#ifndef THINKD_EXAM_WORDS_IMPL_H
#define THINKD_EXAM_WORDS_IMPL_H

#include "exam/exam_impl.h"

#define CAST_PEOPLE 12
#define CAST_ITEMS  8

struct noun {
    const char *one, *many;
    bool food;
};

struct person {
    const char *name;
    bool girl;
};

/* Who and what a story is about. */
struct cast {
    struct person people[CAST_PEOPLE]; /* all different; the first is the main person */
    const char *items[CAST_ITEMS];     /* things that one buys once, all different: "jacket" */
    const char *days[7];               /* from a random one on */
    struct noun thing, other, box;
    const char *kin, *shop;
    int currency;
    bool past;
};

/* held: names and things are those that training never uses. */
void cast_draw(struct rng *rng, struct cast *k, bool held);

/* Where a phrase gets its words. Slots: {a}..{h} numbers, {$a} as money, {xa} "twice", {fa} "a third"; {N} {he} {his} {him}
 * the main person, {S} it at the start of a sentence, {M} {K} two others, {D} {E} days, {o} {o1} {ao} the thing (plural,
 * singular, "an apple"), {q} {q1} another, {box} {boxes}, {kin}, {shop}, {i} {j} items, {u} the currency. */
struct phrase {
    struct rng *rng;
    const struct cast *cast;
    const int64_t *n; /* a and on */
    int who, other;   /* of {M} and {K}, {D} and {E}, {i} and {j}: 0 is the main person, the first day */
    bool label;       /* for a line of working: numbers as digits, no variation */
};
/* Ends at the text's end or at a '|' outside of brackets. */
void phrase_put(struct buf *out, const struct phrase *p, const char *text);
/* Where in a list "one|two|three" that part begins; NULL: there are fewer. */
const char *part_at(const char *list, int index);
/* Capitals at the start of sentences, "an" before vowels stays the writer's. */
void text_tidy(struct buf *text);
/* A wording with {0}..{9} replaced by the parts. */
void put_parts(struct buf *out, const char *wording, const struct buf *parts);
void put_number_word(struct buf *out, int64_t n); /* "seven", "twenty-one"; 0 to 100 */
const char *article_of(const char *noun);         /* "a" or "an" */

/* One of a list of names that may begin with '!' (withheld); the name without it. */
const char *list_pick(struct rng *rng, const char *const *list, size_t count, bool held);
#define LIST_PICK(rng, list, held) list_pick(rng, list, ARRAY_LEN(list), held)

#define WORD_MAX 48
/* In training half of the time other words that nobody has seen, two at most, with capitals as these, so that words are copied
 * and not known; else the words. out: WORD_MAX bytes. */
void words_or_invented(struct rng *rng, const char *word, bool held, char *out);
/* The same as a JSON string; out: WORD_MAX + 2 bytes. */
void words_quoted(struct rng *rng, const char *word, bool held, char *out);

/* "label: a+b=c" and a line's end; now and then a planted slip before it. label NULL or the effort low: none. a, b and the
 * result are not negative; '/' needs a multiple. */
int64_t put_op(struct exam_text *t, struct buf *out, const char *label, int64_t a, char op, int64_t b);
/* A planted slip, if one is due: the wrong line and "wait". */
void put_slip(struct exam_text *t, struct buf *out, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* A random permutation of 0..count-1. */
void shuffle(struct rng *rng, int *order, int count);

/* A family's own description of a case, of at most CASE_OWN_MAX bytes, without pointers that die. */
void case_keep(struct exam_case *c, const void *own, size_t size);
void case_recall(const struct exam_case *c, void *own, size_t size);

extern const char *const words_months[12], *const words_days[7]; /* days from Monday */
const char *words_city(struct rng *rng, bool held);
const char *unit_asked(
    const struct exam_case *c); /* of the family unit, levels 1 and 3: the unit of the answer */
/* Another name of the same kind, if name is one of the lists'; NULL if it is not. */
const char *words_other_name(struct rng *rng, struct str name);
const char *words_name(struct rng *rng, bool held);

/* One of the words of "e=a,b,c", in quotes. */
void pick_word(struct rng *rng, const char *kind, char *out, size_t size);

#endif
