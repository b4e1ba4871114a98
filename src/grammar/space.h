/*
 * space.h - the states that a grammar's texts lead through, made as they are met.
 *
 * A state is a set of items, each a place in the program and a stack of what to go on with when the place's rule ends. A
 * stack is a set too: of frames, each a place to return to and the stack below. Both are interned, so one state is one
 * pointer, and what was found out about it (where each byte leads, its mask) is found out once. That is a parser of Tomita's kind (a stack
 * shared between all ways a text can be read) whose stacks are merged as far as they can be: in a state every place has one
 * stack, in a stack every place to return to has one stack below. A state is so at most as large as the program, however
 * ambiguous the grammar is, and a list of thousands of elements comes back to the same state after each.
 *
 * A space only grows. When it is too large its user starts another one and moves over the states still in use (space_adopt);
 * the old one ends when nobody is in it.
 *
 * Threads: one at a time; grammar.c and matcher.c hold the lock. Ownership: a space owns its states and stacks.
 */
#ifndef THINKD_GRAMMAR_SPACE_H
#define THINKD_GRAMMAR_SPACE_H

#include "grammar/program.h"

#define COUNTS_MAX 256 /* counts that one repeat may have at the same time; see stack.c */

struct stack;

struct frame {
    uint32_t pc;         /* to return to; of a repeat, its OP_COUNT; PC_END below everything */
    uint32_t count;      /* of a repeat the present round, from 1; 0: not in a round */
    struct stack *below; /* NULL for PC_END alone */
};

struct stack {
    uint64_t hash;
    struct stack *chain;
    struct stack *clamped; /* or NULL: not asked for yet */
    uint64_t len;          /* bytes to the end of the text at least, behind the present rule */
    uint32_t id, depth, n;
    struct frame frames[]; /* by pc and count */
};

struct item {
    uint32_t pc;
    struct stack *stack; /* NULL for PC_END */
};

struct state {
    uint64_t hash;
    struct state *chain;
    struct state *clamped; /* or NULL: not asked for yet */
    uint64_t len;          /* bytes to the end of the text at least */
    uint64_t *mask;        /* mask.c's, or NULL */
    uint32_t n;
    bool may_end;
    const struct item *items; /* by pc; all go on */
    struct state *next[];     /* by class of bytes: NULL not asked for, dead: nowhere */
};

struct pending {
    struct frame *ptr;
    uint32_t n, cap;
};

struct seen_pair {
    uint32_t pc, stamp;
    struct stack *stack;
};

struct joined {
    struct stack *a, *b, *both;
};

struct space {
    const struct program *program;
    const int32_t *controls; /* by number of a name: the token, -1: it is spelled */
    uint32_t longest;        /* token, in bytes */
    unsigned refs;           /* grammar.c's */
    struct arena arena;
    struct state *dead; /* stands for nowhere */
    struct stack **stacks;
    struct state **states;
    size_t stacks_size, states_size; /* of the tables; powers of two */
    uint32_t n_stacks, n_states;
    struct joined *joined; /* a cache of stack_join */
    size_t mask_bytes;

    /* one closure */
    struct item *todo, *items;
    size_t n_todo, todo_cap, n_items, items_cap;
    struct seen_pair *seen;
    size_t seen_size, n_seen;
    uint32_t stamp;
    struct pending *pending; /* by rule: the frames it is called with */
    uint32_t *queue;         /* rules that are pending, a heap by their order */
    uint32_t n_queue;
    bool entering, may_end;
};

struct space *space_open(const struct program *p, const int32_t *controls, uint32_t longest);
void space_close(struct space *s); /* NULL is fine */
size_t space_bytes(const struct space *s);

struct state *space_start(struct space *s);
/* NULL: the byte leads nowhere. */
struct state *space_step(struct space *s, struct state *at, unsigned char byte);
struct state *space_control(struct space *s, const struct state *at, uint32_t control);
/* A state with the same continuations for the next `longest` bytes, so with the same mask: counts that are far from their
 * bounds are brought to one value. */
struct state *space_clamped(struct space *s, struct state *at);
/* The same state, of another space of the same program. */
struct state *space_adopt(struct space *s, const struct space *from, const struct state *at);
/* The bytes that may come next, as far as they are bytes. */
struct byte_set space_bytes_next(struct space *s, const struct state *at);

/* stack.c */
struct stack *stack_make(struct space *s, struct frame *frames, uint32_t n); /* reorders frames */
struct stack *stack_join(struct space *s, struct stack *a, struct stack *b);
uint32_t stack_count(const struct program *p, uint32_t pc, uint32_t count); /* as it is kept */
struct stack *stack_clamp(struct space *s, struct stack *x);

/* The slot of one more element; grows *ptr. */
#define SPACE_PUSH(ptr, n, cap)                                                                              \
    ((n) == (cap)                                                                                            \
         ? (void)((cap) = (cap) ? 2 * (cap) : 16, (ptr) = mem_realloc((ptr), (cap) * sizeof *(ptr)))         \
         : (void)0,                                                                                          \
     &(ptr)[(n)++])

#endif
