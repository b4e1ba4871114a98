/*
 * node_impl.h - what a node is inside, for the files that turn nodes into an automaton.
 *
 * Nodes of one builder are hash-consed: two that are written alike are one pointer, so sets of nodes are compared by
 * their ids. They never change and live in the builder's arena.
 */
#ifndef THINKD_GRAMMAR_NODE_IMPL_H
#define THINKD_GRAMMAR_NODE_IMPL_H

#include "grammar/grammar_impl.h"

#define NODE_DEPTH_MAX                                                                                       \
    1000 /* nodes inside nodes, the tails of sequences not counted: what recursion may take */
#define CHAR_LAST 0x10ffff

enum node_kind {
    NODE_NEVER,
    NODE_EMPTY,
    NODE_TEXT,  /* at least one character */
    NODE_CLASS, /* one of at least two characters */
    NODE_SEQ,   /* head, which is no sequence, and tail, which is not empty */
    NODE_OR,    /* at least two, by id */
    NODE_AND,   /* at least two, by id */
    NODE_NOT,
    NODE_IMAGE, /* what JSON writes for the texts of x, which has an AND or a NOT in it: see image.c */
    NODE_REPEAT,
    NODE_CONTROL,
    NODE_CALL
};

struct node {
    uint8_t kind;
    bool nullable; /* of a regular node: the empty text is one of its texts */
    bool regular;
    bool boolean; /* an AND or a NOT is in it */
    uint16_t depth;
    uint32_t id; /* in order of making */
    uint64_t hash;
    union {
        struct str text; /* TEXT, CONTROL */
        struct {
            const struct char_range *ranges; /* ascending, apart from each other */
            size_t n;
        } set;
        struct {
            const struct node *head, *tail;
        } seq;
        struct {
            const struct node *const *parts;
            size_t n;
        } many; /* OR, AND */
        struct {
            const struct node *x;
            size_t min, max;
        } rep;       /* REPEAT, and NOT and IMAGE by x */
        size_t rule; /* CALL */
    };
};

struct noted {                           /* of a node */
    const struct node *image;            /* what JSON writes for it; NULL: not asked for yet */
    uint32_t collected, numbered, state; /* while an automaton is made: valid in the round that is said */
};

struct rule {
    const char *name;
    const struct node *body; /* NULL until defined */
};

struct builder {
    struct arena arena;
    const struct node **table; /* open addressing; a power of two of places */
    size_t n_nodes, table_size, text_bytes;
    const struct node *never, *empty, *any;
    struct noted *noted; /* by id */
    size_t n_noted;
    uint32_t rounds; /* automata that were made */
    struct rule *rules;
    size_t n_rules, rules_cap;
    bool too_large;
    bool unique_keys;
    uint32_t calls_max;                         /* program.h; 0: GRAMMAR_STACK_MAX */
    struct str keys_mark, keys_stop, keys_wake; /* keys.h */
    size_t asked_work, asked_cells;             /* what questions have used (ask.c) */
};

struct noted *node_noted(struct builder *b, const struct node *x); /* until another node's are asked for */
/* Two parts in a row, without looking for texts to join. */
const struct node *node_pair(struct builder *b, const struct node *head, const struct node *tail);
const struct node *node_image(struct builder *b, const struct node *x);
/* The same texts as an IMAGE's, written out. */
const struct node *node_spelled(struct builder *b, const struct node *image);
/* How JSON writes a character; the length. */
size_t json_spell(uint32_t c, char out[8]);
bool ranges_hold(const struct char_range *ranges, size_t n, uint32_t c);

#endif
