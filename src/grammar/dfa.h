/*
 * dfa.h - the regular sets that need one state at a time: intersections, complements, and classes beyond ASCII.
 *
 * A dfa reads characters, not bytes: its alphabet is the partition of all characters by the classes it is made of, so a
 * pattern of two classes with a maxLength of 1,000 has a few thousand small rows. The bytes of a character are told apart by a classifier,
 * a trie of UTF-8 in rows of 64. A position is a state and a row of the classifier, row 0 between two characters.
 *
 * Of an IMAGE it reads characters as JSON writes them in a string: the classifier knows the escapes.
 *
 * Invariant: every state that is reachable reaches an accepting one (dead ones are cut off), so whatever byte is accepted can
 * be gone on from. Texts that are not UTF-8 are never accepted.
 */
#ifndef THINKD_GRAMMAR_DFA_H
#define THINKD_GRAMMAR_DFA_H

#include "grammar/node_impl.h"

#define DFA_DEAD        UINT32_MAX
#define DFA_WORK_MAX    300000 /* derivatives of nodes that one grammar may take; 20 to 80 ms */
#define DFA_CLASSES_MAX 4096
#define DFA_CELLS_MAX   (2 << 20) /* states times classes of one grammar */

/* Where a byte leads: a class of characters, a further row, or nothing. */
#define STEP_NONE  0xffffu
#define STEP_CLASS 0x8000u /* ored to a class */

struct dfa_row {
    uint16_t step[128]; /* by the low bits of a byte */
    bool ascii; /* it takes bytes below 0x80: it is in an escape; else those that continue a character */
    const uint16_t *classes; /* that can be reached below */
    const uint8_t *lens;     /* and in how many bytes at least */
    size_t n_classes;
};

struct dfa {
    uint16_t lead[256];   /* row 0: by the first byte of a character */
    struct dfa_row *rows; /* rows[0] has only its classes */
    size_t n_rows, n_states, n_classes;
    const uint32_t *next; /* [n_states][n_classes]; state 0 is the start */
    const bool *more;     /* by state: something may still come */
    const bool *loops;    /* by state: every plain character of a JSON string leads back to it */
    const uint32_t *dist; /* bytes to the nearest end, by state; 0: accepting */
};

struct dfa_budget {
    size_t work, cells;
};

static inline uint16_t dfa_row_step(const struct dfa_row *r, unsigned char byte)
{
    return r->ascii                ? (byte < 0x80 ? r->step[byte] : STEP_NONE)
           : (byte & 0xc0) == 0x80 ? r->step[byte & 0x3f]
                                   : STEP_NONE;
}

/* The dfa of a regular node, in arena. *out stays NULL where the node has no text. false: the budget is used up. */
bool dfa_make(struct dfa **out, struct builder *b, const struct node *x, struct dfa_budget *budget,
              struct arena *arena);

/* Is text one of x's? Without making an automaton. */
bool dfa_has(struct builder *b, const struct node *x, struct str text, struct dfa_budget *budget);

/* One byte from position (state, row): false where it leads nowhere. */
bool dfa_step(const struct dfa *d, uint32_t state, uint32_t row, unsigned char byte, uint32_t *to_state,
              uint32_t *to_row);
/* Bytes from a position to the nearest end. */
uint32_t dfa_dist(const struct dfa *d, uint32_t state, uint32_t row);

#endif
