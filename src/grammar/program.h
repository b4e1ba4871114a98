/*
 * program.h - a compiled grammar: rules as little programs over bytes.
 *
 * A program is what an automaton with a stack runs on: instructions that take a byte, split, call rules and count. Rules are the
 * builder's own, and some of the compiler's: bodies of repeats, pieces that are used in several places, and each dfa. It knows no vocabulary.
 *
 * A place (pc) is the number of an instruction; PC_NEVER is the first, PC_END the end of the text, and from dfa_base on each position of
 * each dfa has a place of its own.
 *
 * Invariants: next is always a lower place, so there are no loops inside a rule: repeats call their body. No rule begins with a call that
 * can come back to it without a byte in between (left recursion has been turned around by left.c).
 */
#ifndef THINKD_GRAMMAR_PROGRAM_H
#define THINKD_GRAMMAR_PROGRAM_H

#include "grammar/dfa.h"

#define CODE_MAX          (1u << 19)
#define GRAMMAR_STACK_MAX 1000 /* calls inside calls that a text may need */
#define COUNT_ENDLESS     UINT32_MAX
#define LEN_NEVER         UINT64_MAX
#define PC_NEVER          0u
#define PC_RETURN         1u
#define PC_END            UINT32_MAX

enum op {
    OP_NEVER,
    OP_RETURN,
    OP_BYTE,    /* a: the byte */
    OP_SET,     /* a: number of a set of bytes */
    OP_SPLIT,   /* a: first of b alternatives */
    OP_CALL,    /* a: rule */
    OP_COUNT,   /* a: rule of the body; min, max */
    OP_CONTROL, /* a: number of a name; b: the place where its text is spelled */
};

struct instr {
    uint8_t op;
    bool plain; /* of OP_COUNT: a run of plain characters of JSON strings, see program_plain.c */
    uint32_t a, b, next;
    uint32_t min, max; /* OP_COUNT */
};

/* Of the plain characters of a JSON string. */
enum takes { TAKES_NONE, TAKES_SOME, TAKES_ALL };

struct program_rule {
    uint32_t start;
    uint32_t order; /* a rule that begins with a call stands before the one it calls */
    bool nullable;
    const struct dfa *dfa; /* or NULL */
    enum takes takes;      /* of a dfa: its first character */
    uint32_t code_first, code_end;
};

struct byte_set {
    uint64_t bits[4];
};

struct program {
    struct arena arena;
    struct instr *code;
    uint32_t n_code, dfa_base;
    uint32_t *alts;
    struct byte_set *sets;
    struct program_rule *rules;
    uint32_t n_rules, start;                    /* start: the rule */
    uint32_t calls_max;                         /* calls inside calls that a text may need */
    bool unique_keys;                           /* keys.h is asked too */
    struct str keys_mark, keys_stop, keys_wake; /* keys.h */
    uint32_t *dfa_rules;                        /* those with a dfa, by place */
    uint32_t n_dfas;
    struct str *controls;
    uint32_t n_controls;
    uint64_t *len;  /* by instruction: bytes to the end of the rule at least; LEN_NEVER */
    uint32_t *need; /* by instruction: calls inside calls that the cheapest way takes */
    uint8_t byte_class[256];
    unsigned char samples[256]; /* a byte of each class */
    unsigned n_classes;
};

/* ERR_OK, or code with what is wrong. The builder stays the caller's. *left: it is that a rule begins with itself. */
enum err_code program_make(struct program **out, struct builder *b, size_t start, enum err_code code,
                           bool *left, struct err *err);
/* Rewrites the rules so that none begins with itself. */
enum err_code turn_left_recursion(struct builder *b, struct err *err);
void program_free(struct program *p); /* NULL is fine */

/* Which rule's dfa a place is in, and the position there. */
const struct dfa *program_dfa(const struct program *p, uint32_t pc, uint32_t *first, uint32_t *state,
                              uint32_t *row);
uint64_t program_len(const struct program *p, uint32_t pc);
uint32_t program_need(const struct program *p, uint32_t pc);

/* Analyses that program_make runs, one a file. */
bool program_order(struct program *p, uint32_t *culprit); /* false: rule culprit is left-recursive */
enum takes program_takes(const struct node *x);           /* of a node that becomes a dfa */
void program_mark_plain(struct program *p);

static inline bool byte_set_has(const struct byte_set *s, unsigned char c)
{
    return s->bits[c >> 6] >> (c & 63) & 1;
}

static inline void byte_set_add(struct byte_set *s, unsigned char c)
{
    s->bits[c >> 6] |= 1ull << (c & 63);
}

#endif
