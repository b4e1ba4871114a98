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

enum takes { TAKES_NONE, TAKES_SOME, TAKES_ALL };

static bool plain_byte(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
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

/* A class is a dfa of two states. All characters: every plain lead leads to the class, whatever follows. */
static bool row_is_full(const struct dfa *d, uint16_t step, uint32_t first, uint32_t last)
{
    if (step == STEP_NONE || step & STEP_CLASS)
        return step != STEP_NONE && d->next[step & ~STEP_CLASS] != DFA_DEAD;
    for (uint32_t i = 0; i < 64; i++) {
        bool wanted = i >= first && i <= last;
        if (wanted && !row_is_full(d, d->rows[step].step[i], 0, 63))
            return false;
    }
    return true;
}

static enum takes dfa_takes(const struct dfa *d)
{
    bool some = false, all = d->n_states == 2 && d->dist[1] == 0 && d->dist[0] > 0;
    for (size_t k = 0; k < d->n_classes && all; k++)
        all = d->next[d->n_classes + k] == DFA_DEAD && (d->next[k] == DFA_DEAD || d->next[k] == 1);
    for (unsigned c = 0; c < 0xf5; c++) {
        if (!plain_byte((unsigned char)c) || (c >= 0x80 && c < 0xc2))
            continue;
        uint32_t state, row;
        bool taken = dfa_step(d, 0, 0, (unsigned char)c, &state, &row);
        some = some || taken;
        all = all && taken &&
              row_is_full(d, d->lead[c],
                          c == 0xe0   ? 0x20
                          : c == 0xf0 ? 0x10
                                      : 0,
                          c == 0xed   ? 0x1f
                          : c == 0xf4 ? 0x0f
                                      : 63);
    }
    return all ? TAKES_ALL : some ? TAKES_SOME : TAKES_NONE;
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
    enum takes takes = dfa_takes(r->dfa);
    l->all += takes == TAKES_ALL;
    l->some += takes == TAKES_SOME;
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
