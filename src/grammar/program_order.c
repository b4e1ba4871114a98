/*
 * program_order.c - in which order rules that begin together are entered, and which characters a counted string may hold.
 *
 * Between two bytes a rule may be called from several places at once. All of them are gathered before the rule is entered, so that it
 * is entered once; for that the rules must have an order in which callers stand before what they begin with. There is
 * one exactly when no rule is left-recursive.
 */
#include "grammar/program.h"

#include <string.h>

struct walk {
    struct program *p;
    uint32_t *stamp; /* by instruction: the last rule whose beginning it was found in, plus one */
    uint8_t *colour; /* by rule: 0 new, 1 being visited, 2 done */
    uint32_t done;
    uint32_t culprit;
};

struct pcs {
    uint32_t *ptr;
    size_t n, cap;
};

static void push(struct pcs *s, uint32_t pc)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 32;
        s->ptr = mem_realloc(s->ptr, s->cap * sizeof *s->ptr);
    }
    s->ptr[s->n++] = pc;
}

/* The rules that can be called from the beginning of rule r before any byte. */
static void find_callees(struct walk *w, uint32_t r, struct pcs *callees)
{
    struct program *p = w->p;
    struct pcs todo = { 0 };
    if (!p->rules[r].dfa)
        push(&todo, p->rules[r].start);
    while (todo.n) {
        uint32_t pc = todo.ptr[--todo.n];
        const struct instr *i = &p->code[pc];
        if (w->stamp[pc] == r + 1 || p->len[pc] == LEN_NEVER)
            continue;
        w->stamp[pc] = r + 1;
        if (i->op == OP_SPLIT)
            for (uint32_t k = 0; k < i->b; k++)
                push(&todo, p->alts[i->a + k]);
        if (i->op == OP_CONTROL)
            push(&todo, i->b);
        if (i->op != OP_CALL && i->op != OP_COUNT)
            continue;
        push(callees, i->a);
        if (p->rules[i->a].nullable || (i->op == OP_COUNT && i->min == 0))
            push(&todo, i->next);
    }
    mem_free(todo.ptr);
}

struct visit {
    uint32_t rule;
    struct pcs callees;
};

struct visits {
    struct visit *ptr;
    size_t n, cap;
};

static void enter(struct walk *w, struct visits *v, uint32_t rule)
{
    if (v->n == v->cap) {
        v->cap = v->cap ? 2 * v->cap : 32;
        v->ptr = mem_realloc(v->ptr, v->cap * sizeof *v->ptr);
    }
    struct visit *x = &v->ptr[v->n++];
    *x = (struct visit){ .rule = rule };
    w->colour[rule] = 1;
    find_callees(w, rule, &x->callees);
}

/* Depth first, without recursion: chains of rules may be as long as a grammar. false: a circle. */
static bool visit_from(struct walk *w, struct visits *v, uint32_t rule)
{
    enter(w, v, rule);
    while (v->n) {
        struct visit *x = &v->ptr[v->n - 1];
        if (x->callees.n == 0) {
            w->colour[x->rule] = 2;
            w->p->rules[x->rule].order = w->p->n_rules - 1 - w->done++;
            mem_free(x->callees.ptr);
            v->n--;
            continue;
        }
        uint32_t callee = x->callees.ptr[--x->callees.n];
        if (w->colour[callee] == 1) {
            w->culprit = callee;
            return false;
        }
        if (w->colour[callee] == 0)
            enter(w, v, callee);
    }
    return true;
}

bool program_order(struct program *p, uint32_t *culprit)
{
    struct walk w = { .p = p,
                      .stamp = mem_array(p->n_code, sizeof *w.stamp),
                      .colour = mem_array(p->n_rules, 1) };
    struct visits v = { 0 };
    bool ok = true;
    for (uint32_t r = 0; r < p->n_rules && ok; r++)
        if (w.colour[r] == 0)
            ok = visit_from(&w, &v, r);
    while (v.n)
        mem_free(v.ptr[--v.n].callees.ptr);
    *culprit = w.culprit;
    mem_free(v.ptr);
    mem_free(w.stamp);
    mem_free(w.colour);
    return ok;
}
