/*
 * ask.c - questions about regular nodes while a grammar is still being built: is there a text, is this one of them,
 * do they go on.
 *
 * Each makes the automaton of the node and throws it away. A question may take a quarter of what all of a builder's
 * questions may take together, so a few that are too hard leave room for the others.
 */
#include "grammar/dfa.h"

#include <assert.h>

#define PART 4

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static struct dfa_budget budget_of(const struct builder *b)
{
    return (struct dfa_budget){ .work = least(DFA_WORK_MAX - b->asked_work, DFA_WORK_MAX / PART),
                                .cells = least(DFA_CELLS_MAX - b->asked_cells, DFA_CELLS_MAX / PART) };
}

static bool make(struct dfa **out, struct builder *b, const struct node *x, struct arena *arena)
{
    struct dfa_budget left = budget_of(b), before = left;
    *out = NULL;
    if (!left.work || !left.cells)
        return false;
    bool made = dfa_make(out, b, x, &left, arena);
    b->asked_work += before.work - left.work;
    b->asked_cells += before.cells - left.cells;
    return made;
}

/* Nodes without AND and NOT are simplified so far that only one has no text. */
enum answer node_is_never(struct builder *b, const struct node *x)
{
    assert(x->regular);
    if (!x->boolean || x->nullable)
        return x == b->never ? ANSWER_YES : ANSWER_NO;
    struct arena arena = { 0 };
    struct dfa *d;
    enum answer never = !make(&d, b, x, &arena) ? ANSWER_UNKNOWN : d ? ANSWER_NO : ANSWER_YES;
    arena_free(&arena);
    return never;
}

enum answer node_has(struct builder *b, const struct node *x, struct str utf8)
{
    assert(x->regular);
    if (x->kind == NODE_TEXT)
        return str_eq(x->text, utf8) ? ANSWER_YES : ANSWER_NO;
    struct dfa_budget left = budget_of(b), before = left;
    bool has = left.work && dfa_has(b, x, utf8, &left);
    b->asked_work += before.work - left.work;
    return !left.work ? ANSWER_UNKNOWN : has ? ANSWER_YES : ANSWER_NO;
}

/* --- lengths ------------------------------------------------------------------------------------------ */

#define LOOKS_MAX 10000 /* nodes that are looked at; what is shared is looked at again each time */

struct lengths {
    size_t min, max;
};

static size_t plus(size_t a, size_t b)
{
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

static size_t times(size_t a, size_t b)
{
    return a && b > SIZE_MAX / a ? SIZE_MAX : a * b;
}

static struct lengths lengths_of(const struct node *x, size_t *looks);

/* OR takes the wider of two, AND the narrower. */
static struct lengths lengths_of_parts(const struct node *x, size_t *looks)
{
    struct lengths all = lengths_of(x->many.parts[0], looks);
    bool either = x->kind == NODE_OR;
    for (size_t i = 1; i < x->many.n; i++) {
        struct lengths one = lengths_of(x->many.parts[i], looks);
        all.min = (one.min < all.min) == either ? one.min : all.min;
        all.max = (one.max > all.max) == either ? one.max : all.max;
    }
    return all;
}

static struct lengths lengths_of_row(const struct node *x, size_t *looks)
{
    struct lengths all = { 0, 0 };
    for (bool more = true; more; x = more ? x->seq.tail : x) {
        more = x->kind == NODE_SEQ;
        struct lengths one = lengths_of(more ? x->seq.head : x, looks);
        all = (struct lengths){ plus(all.min, one.min), plus(all.max, one.max) };
    }
    return all;
}

static struct lengths lengths_of(const struct node *x, size_t *looks)
{
    struct lengths any = { 0, SIZE_MAX }, one;
    if (++*looks > LOOKS_MAX)
        return any;
    switch ((enum node_kind)x->kind) {
    case NODE_EMPTY: return (struct lengths){ 0, 0 };
    case NODE_TEXT: return (struct lengths){ utf8_count(x->text), utf8_count(x->text) };
    case NODE_CLASS: return (struct lengths){ 1, 1 };
    case NODE_SEQ: return lengths_of_row(x, looks);
    case NODE_OR:
    case NODE_AND: return lengths_of_parts(x, looks);
    case NODE_REPEAT:
        one = lengths_of(x->rep.x, looks);
        return (struct lengths){ times(one.min, x->rep.min), times(one.max, x->rep.max) };
    case NODE_NEVER:
    case NODE_NOT:
    case NODE_IMAGE:
    case NODE_CONTROL:
    case NODE_CALL: break;
    }
    return any;
}

void node_lengths(const struct node *x, size_t *min, size_t *max)
{
    size_t looks = 0;
    struct lengths all = lengths_of(x, &looks);
    *min = all.min;
    *max = all.max;
}

/* --- going on -------------------------------------------------------------------------------------------- */

/* Dead states are cut off, so a state that leads anywhere leads to a text, and on from there. */
bool node_open_ended(struct builder *b, const struct node *x)
{
    assert(x->regular);
    struct arena arena = { 0 };
    struct dfa *d;
    bool open = make(&d, b, x, &arena) && d;
    for (size_t s = 0; open && s < d->n_states; s++) {
        bool leads = false;
        for (size_t k = 0; k < d->n_classes; k++)
            leads |= d->next[s * d->n_classes + k] != DFA_DEAD;
        /* A state that was cut off is not entered any more; its row says nothing. */
        open = leads || d->dist[s] == UINT32_MAX;
    }
    arena_free(&arena);
    return open;
}

void builder_unique_keys(struct builder *b)
{
    b->unique_keys = true;
}

void builder_keys_behind(struct builder *b, struct str mark)
{
    b->unique_keys = b->unique_keys && mark.len;
    b->keys_mark = mark;
}

void builder_calls_max(struct builder *b, uint32_t max)
{
    b->calls_max = max;
}

void builder_keys_after(struct builder *b, struct str control)
{
    b->keys_wake = control;
}

void builder_keys_until(struct builder *b, struct str stop)
{
    b->keys_stop = stop;
}
