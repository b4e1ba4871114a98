/*
 * program_plain.c - finds the repeats that are runs of plain characters, the body of nearly every string of JSON.
 *
 * Plain is what a string of JSON holds as it is: any character but controls, the quotation mark and the backslash. In such a run nearly every
 * token of a vocabulary is allowed, and which of them are plain is known before (vocab.c), so a mask is mostly copied (mask.c). That is right only
 * if plain characters do nothing else there than be one more of the run, which is what is looked for here: the body takes
 * them all by one dfa of one class and in no other way, and what follows the run begins with none and with something.
 */
#include "grammar/program.h"

#define LOOK_MAX 64 /* places; a body of more is no run */

static bool plain_byte(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

/* A class that is a dfa of its own. Another dfa may take some, and does not belong into a run. */
enum takes program_takes(const struct node *x)
{
    static const struct char_range plain[] = {
        { 0x20, '"' - 1 }, { '"' + 1, '\\' - 1 }, { '\\' + 1, 0xd7ff }, { 0xe000, CHAR_LAST }
    };
    size_t whole = 0;
    bool some = false;
    if (x->kind != NODE_CLASS)
        return TAKES_SOME;
    for (size_t i = 0; i < x->set.n; i++) {
        for (size_t k = 0; k < ARRAY_LEN(plain); k++) {
            const struct char_range *r = &x->set.ranges[i];
            whole += r->first <= plain[k].first && r->last >= plain[k].last;
            some = some || (r->first <= plain[k].last && r->last >= plain[k].first);
        }
    }
    return whole == ARRAY_LEN(plain) ? TAKES_ALL : some ? TAKES_SOME : TAKES_NONE;
}

static enum takes set_takes(const struct program *p, const struct instr *i)
{
    for (unsigned c = 0; c < 256; c++) {
        bool has = i->op == OP_BYTE ? i->a == c : byte_set_has(&p->sets[i->a], (unsigned char)c);
        if (has && plain_byte((unsigned char)c))
            return TAKES_SOME;
    }
    return TAKES_NONE;
}

struct look {
    uint32_t todo[LOOK_MAX];
    uint32_t n, n_seen;
    unsigned all, some;
    bool lost; /* too much to see, or the end of the rule */
};

static void see(struct look *l, uint32_t pc)
{
    if (l->n == LOOK_MAX || ++l->n_seen > LOOK_MAX)
        l->lost = true;
    else
        l->todo[l->n++] = pc;
}

static void see_rule(const struct program *p, struct look *l, uint32_t rule)
{
    const struct program_rule *r = &p->rules[rule];
    if (!r->dfa) {
        see(l, r->start);
        return;
    }
    l->all += r->takes == TAKES_ALL;
    l->some += r->takes == TAKES_SOME;
}

/* What is taken from the places that wait in l on. end: the end of a rule may be among them. */
static void look_on(const struct program *p, struct look *l, bool end)
{
    while (l->n && !l->lost) {
        uint32_t pc = l->todo[--l->n];
        const struct instr *i = &p->code[pc];
        if (p->len[pc] == LEN_NEVER)
            continue;
        switch ((enum op)i->op) {
        case OP_NEVER: break;
        case OP_RETURN: l->lost = l->lost || !end; break;
        case OP_BYTE:
        case OP_SET: l->some += set_takes(p, i) == TAKES_SOME; break;
        case OP_SPLIT:
            for (uint32_t k = 0; k < i->b; k++)
                see(l, p->alts[i->a + k]);
            break;
        case OP_CONTROL: l->lost = true; break;
        case OP_CALL:
        case OP_COUNT:
            see_rule(p, l, i->a);
            if (p->rules[i->a].nullable || (i->op == OP_COUNT && i->min == 0))
                see(l, i->next);
            break;
        }
    }
}

static bool is_plain_run(const struct program *p, const struct instr *i)
{
    struct look body = { 0 }, after = { 0 };
    see_rule(p, &body, i->a);
    look_on(p, &body, true);
    if (body.lost || body.all != 1 || body.some || p->rules[i->a].nullable)
        return false;
    see(&after, i->next);
    look_on(p, &after, false);
    return !after.lost && !after.all && !after.some;
}

void program_mark_plain(struct program *p)
{
    for (uint32_t i = 0; i < p->n_code; i++)
        if (p->code[i].op == OP_COUNT)
            p->code[i].plain = p->len[i] != LEN_NEVER && is_plain_run(p, &p->code[i]);
}
