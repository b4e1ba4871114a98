/*
 * left.c - left recursion turned around: sum: sum "+" item | item becomes sum: item ("+" item)*.
 *
 * A rule that begins with a call of itself would be entered for ever (program_order.c). The rules of one circle A1..An, each taken as its texts
 * that are not empty, say together
 *
 *     Aj = Bj | A1 Cj1 | ... | An Cjn
 *
 * where no Bj begins with one of the circle. A text of At therefore begins with some Bi and goes on with pieces, each of which leads from
 * one rule to the next, until it is at t: that is At = B1 R1t | ... | Bn Rnt and Rit = Cji Rjt | ... for all j, and nothing at all where i is t. It is the
 * system of equations that a left-linear grammar is, read from the other end, so no rule is copied into another and n rules become n * n
 * small ones. Pieces that are empty (Cji of "Aj: Ai") are stepped over by their closure, or the Rs would go round in their turn.
 */
#include "grammar/node_impl.h"
#include "grammar/program.h"

#include <string.h>

#define CIRCLE_MAX 32   /* rules that begin with each other */
#define RULES_MAX  1000 /* of a grammar with left recursion */

struct turning {
    struct builder *b;
    size_t n_rules;  /* before new ones are added */
    bool *nullable;  /* by rule */
    uint64_t *leads; /* [n_rules][words]: rules that a rule can begin with, in any number of steps */
    size_t words;
    uint32_t *stamp; /* by node id: the rule it was last seen in */
    size_t n_stamps;
    size_t *filled; /* by rule: the rule of its texts that are not empty, plus one */
    size_t circle[CIRCLE_MAX];
    size_t n;
};

static bool nullable(const struct turning *t, const struct node *x)
{
    if (x->regular)
        return x->nullable;
    switch ((enum node_kind)x->kind) {
    case NODE_SEQ:
        for (; x->kind == NODE_SEQ; x = x->seq.tail)
            if (!nullable(t, x->seq.head))
                return false;
        return nullable(t, x);
    case NODE_OR:
        for (size_t i = 0; i < x->many.n; i++)
            if (nullable(t, x->many.parts[i]))
                return true;
        return false;
    case NODE_REPEAT: return x->rep.min == 0 || nullable(t, x->rep.x);
    case NODE_CALL: return x->rule < t->n_rules && t->nullable[x->rule];
    default: return false;
    }
}

static void find_nullable(struct turning *t)
{
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t r = 0; r < t->n_rules; r++) {
            bool now = nullable(t, t->b->rules[r].body);
            changed = changed || now != t->nullable[r];
            t->nullable[r] = now;
        }
    }
}

/* --- which rules begin with which -------------------------------------------------------------------------------- */

static void find_firsts(struct turning *t, size_t rule, const struct node *x)
{
    for (; x->kind == NODE_SEQ; x = x->seq.tail) {
        find_firsts(t, rule, x->seq.head);
        if (!nullable(t, x->seq.head))
            return;
    }
    if (x->id >= t->n_stamps || t->stamp[x->id] == rule + 1)
        return;
    t->stamp[x->id] = (uint32_t)rule + 1;
    if (x->kind == NODE_CALL)
        t->leads[rule * t->words + x->rule / 64] |= 1ull << (x->rule % 64);
    if (x->kind == NODE_REPEAT)
        find_firsts(t, rule, x->rep.x);
    for (size_t i = 0; x->kind == NODE_OR && i < x->many.n; i++)
        find_firsts(t, rule, x->many.parts[i]);
}

static bool leads(const struct turning *t, size_t from, size_t to)
{
    return t->leads[from * t->words + to / 64] >> (to % 64) & 1;
}

static void find_leads(struct turning *t)
{
    for (size_t r = 0; r < t->n_rules; r++)
        find_firsts(t, r, t->b->rules[r].body);
    for (size_t k = 0; k < t->n_rules; k++)
        for (size_t r = 0; r < t->n_rules; r++)
            for (size_t w = 0; leads(t, r, k) && w < t->words; w++)
                t->leads[r * t->words + w] |= t->leads[k * t->words + w];
}

/* --- texts that are not empty, split by how they begin --------------------------------------------------------------- */

struct split {
    const struct node *rest;              /* B: those that begin with no rule of the circle */
    const struct node *after[CIRCLE_MAX]; /* C: what follows a rule of the circle; n of them */
};

static const struct node *pair(struct turning *t, const struct node *x, const struct node *y)
{
    return node_seq(t->b, (const struct node *const[]){ x, y }, 2);
}

static const struct node *either(struct turning *t, const struct node *x, const struct node *y)
{
    return node_or(t->b, (const struct node *const[]){ x, y }, 2);
}

static void split_node(struct turning *t, struct split *out, const struct node *x);

static struct split nothing(const struct turning *t)
{
    struct split s = { .rest = t->b->never };
    for (size_t i = 0; i < t->n; i++)
        s.after[i] = t->b->never;
    return s;
}

static void join(struct turning *t, struct split *s, const struct split *other)
{
    s->rest = either(t, s->rest, other->rest);
    for (size_t i = 0; i < t->n; i++)
        s->after[i] = either(t, s->after[i], other->after[i]);
}

static void follow(struct turning *t, struct split *s, const struct node *tail)
{
    s->rest = pair(t, s->rest, tail);
    for (size_t i = 0; i < t->n; i++)
        s->after[i] = pair(t, s->after[i], tail);
}

/* The texts of x that are not empty, calls of the circle not split. */
static const struct node *filled(struct turning *t, const struct node *x)
{
    size_t n = t->n;
    struct split s;
    if (!nullable(t, x))
        return x;
    t->n = 0;
    split_node(t, &s, x);
    t->n = n;
    return s.rest;
}

static const struct node *filled_call(struct turning *t, const struct node *x)
{
    if (x->rule >= t->n_rules || !t->nullable[x->rule])
        return x;
    if (!t->filled[x->rule]) {
        size_t rule = rule_new(t->b, t->b->rules[x->rule].name);
        t->filled[x->rule] = rule + 1;
        const struct node *body = filled(t, t->b->rules[x->rule].body);
        rule_define(t->b, rule, body);
    }
    return node_call(t->b, t->filled[x->rule] - 1);
}

static void split_repeat(struct turning *t, struct split *out, const struct node *x)
{
    size_t min = x->rep.min && !nullable(t, x->rep.x) ? x->rep.min - 1 : 0;
    size_t max = x->rep.max == REPEAT_ENDLESS ? REPEAT_ENDLESS : x->rep.max - 1;
    split_node(t, out, x->rep.x);
    follow(t, out, node_repeat(t->b, x->rep.x, min, max));
}

static void split_call(struct turning *t, struct split *out, const struct node *x)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->circle[i] != x->rule)
            continue;
        out->after[i] = t->b->empty;
        return;
    }
    out->rest = filled_call(t, x);
}

static void split_node(struct turning *t, struct split *out, const struct node *x)
{
    struct split part;
    *out = nothing(t);
    switch ((enum node_kind)x->kind) {
    case NODE_NEVER:
    case NODE_EMPTY: return;
    case NODE_TEXT:
    case NODE_CLASS:
    case NODE_CONTROL: out->rest = x; return;
    case NODE_SEQ:
        split_node(t, out, x->seq.head);
        follow(t, out, x->seq.tail);
        if (nullable(t, x->seq.head)) {
            split_node(t, &part, x->seq.tail);
            join(t, out, &part);
        }
        return;
    case NODE_OR:
        for (size_t i = 0; i < x->many.n; i++) {
            split_node(t, &part, x->many.parts[i]);
            join(t, out, &part);
        }
        return;
    case NODE_AND:
    case NODE_NOT:
    case NODE_IMAGE: out->rest = node_and(t->b, x, node_not(t->b, t->b->empty)); return;
    case NODE_REPEAT: split_repeat(t, out, x); return;
    case NODE_CALL: split_call(t, out, x); return;
    }
}

/* --- one circle ---------------------------------------------------------------------------------------------------------- */

/* empty[i][j]: from rule i one comes to rule j by empty pieces. */
static void close_over_empty(const struct turning *t, const struct split *splits,
                             bool empty[CIRCLE_MAX][CIRCLE_MAX])
{
    for (size_t i = 0; i < t->n; i++)
        for (size_t j = 0; j < t->n; j++)
            empty[i][j] = i == j || nullable(t, splits[j].after[i]);
    for (size_t k = 0; k < t->n; k++)
        for (size_t i = 0; i < t->n; i++)
            for (size_t j = 0; j < t->n; j++)
                empty[i][j] = empty[i][j] || (empty[i][k] && empty[k][j]);
}

static void define_rests(struct turning *t, const struct split *splits, size_t rests[CIRCLE_MAX][CIRCLE_MAX])
{
    bool empty[CIRCLE_MAX][CIRCLE_MAX];
    close_over_empty(t, splits, empty);
    for (size_t i = 0; i < t->n; i++) {
        for (size_t end = 0; end < t->n; end++) {
            const struct node *body = empty[i][end] ? t->b->empty : t->b->never;
            for (size_t k = 0; k < t->n; k++)
                for (size_t j = 0; j < t->n && empty[i][k]; j++)
                    body = either(t, body,
                                  pair(t, filled(t, splits[j].after[k]), node_call(t->b, rests[j][end])));
            rule_define(t->b, rests[i][end], body);
        }
    }
}

/* The bodies of the circle's rules, all at once: each is written from all the old ones. */
static void turn_circle(struct turning *t)
{
    struct split *splits = mem_array(t->n, sizeof *splits);
    size_t(*rests)[CIRCLE_MAX] = mem_array(CIRCLE_MAX, sizeof *rests);
    for (size_t i = 0; i < t->n; i++)
        split_node(t, &splits[i], t->b->rules[t->circle[i]].body);
    for (size_t i = 0; i < t->n; i++)
        for (size_t end = 0; end < t->n; end++)
            rests[i][end] = rule_new(t->b, t->b->rules[t->circle[end]].name);
    define_rests(t, splits, rests);
    for (size_t end = 0; end < t->n; end++) {
        const struct node *body = t->b->never;
        for (size_t i = 0; i < t->n; i++)
            body = either(t, body, pair(t, splits[i].rest, node_call(t->b, rests[i][end])));
        size_t rule = t->circle[end];
        if (t->filled[rule])
            t->b->rules[t->filled[rule] - 1].body = body; /* what asked for it before gets the new one too */
        t->b->rules[rule].body = t->nullable[rule] ? either(t, t->b->empty, body) : body;
    }
    mem_free(splits);
    mem_free(rests);
}

static enum err_code turn_all(struct turning *t, struct err *err)
{
    bool *done = mem_array(t->n_rules, sizeof *done);
    enum err_code code = ERR_OK;
    for (size_t r = 0; r < t->n_rules && !code; r++) {
        if (done[r] || !leads(t, r, r))
            continue;
        t->n = 0;
        for (size_t k = r; k < t->n_rules && !code; k++) {
            if (!leads(t, r, k) || !leads(t, k, r))
                continue;
            done[k] = true;
            if (t->n == CIRCLE_MAX)
                code = err_set(err, ERR_INVALID_VALUE, NULL,
                               "More than %d rules begin with each other, rule %s among them.", CIRCLE_MAX,
                               t->b->rules[r].name);
            else
                t->circle[t->n++] = k;
        }
        if (!code)
            turn_circle(t);
    }
    mem_free(done);
    return code;
}

enum err_code turn_left_recursion(struct builder *b, struct err *err)
{
    struct turning t = {
        .b = b, .n_rules = b->n_rules, .words = (b->n_rules + 63) / 64, .n_stamps = b->n_nodes
    };
    if (b->n_rules > RULES_MAX)
        return err_set(err, ERR_INVALID_VALUE, NULL,
                       "A grammar with left recursion may have at most %d rules.", RULES_MAX);
    t.nullable = mem_array(t.n_rules, sizeof *t.nullable);
    t.leads = mem_array(t.n_rules * t.words, sizeof *t.leads);
    t.stamp = mem_array(t.n_stamps, sizeof *t.stamp);
    t.filled = mem_array(t.n_rules, sizeof *t.filled);
    find_nullable(&t);
    find_leads(&t);
    enum err_code code = turn_all(&t, err);
    mem_free(t.nullable);
    mem_free(t.leads);
    mem_free(t.stamp);
    mem_free(t.filled);
    return code;
}
