/*
 * mask.c - which tokens may come next in a state.
 *
 * The trie of the vocabulary is walked with the states its bytes lead to; a byte that leads nowhere skips all tokens behind it. That is
 * cheap where little is allowed, and dear in a string, where nearly all is: so where a run of plain characters is all
 * that plain characters can be there (program_plain.c), the plain tokens that fit into it are copied from a set made before, and only the others, those with
 * quotes, escapes and halves of characters, are walked. Masks are kept with their states; counts far from their bounds have one mask
 * (space_clamped), so a string of at most 500 characters needs new ones only near its end.
 */
#include "grammar/matcher_impl.h"

#include <string.h>

/* --- runs of plain characters ------------------------------------------------------------------------------------ */

static bool plain_byte(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

static bool takes_plain(const struct program *p, uint32_t pc)
{
    uint32_t first, state, row, to_state, to_row;
    if (pc < p->dfa_base) {
        const struct instr *i = &p->code[pc];
        if (i->op == OP_BYTE)
            return plain_byte((unsigned char)i->a);
        for (unsigned c = 0x20; c < 256 && i->op == OP_SET; c++)
            if (plain_byte((unsigned char)c) && byte_set_has(&p->sets[i->a], (unsigned char)c))
                return true;
        return false;
    }
    const struct dfa *d = program_dfa(p, pc, &first, &state, &row);
    unsigned end =
        row ? 0x80
            : 256; /* inside of a character come bytes that no plain token begins with, or an escape's */
    for (unsigned c = 0x20; c < end; c++)
        if (plain_byte((unsigned char)c) && dfa_step(d, state, row, (unsigned char)c, &to_state, &to_row))
            return true;
    return false;
}

/* What may come when this is the only place that takes plain characters. */
static bool run_at(const struct program *p, const struct item *taker, uint32_t *run)
{
    uint32_t first, state, row;
    if (taker->pc < p->dfa_base)
        return false;
    const struct dfa *d = program_dfa(p, taker->pc, &first, &state, &row);
    const struct frame *f = &taker->stack->frames[0];
    if (row == 0 && d->loops[state]) {
        *run = COUNT_ENDLESS;
        return true;
    }
    if (row || state || taker->stack->n != 1 || f->count == 0 || !p->code[f->pc].plain)
        return false;
    uint32_t max = p->code[f->pc].max;
    *run = max == COUNT_ENDLESS ? max : max - f->count + 1;
    return true;
}

/* How many plain characters may come, if that is all there is to plain tokens here; false: they must be looked at. */
static bool plain_run(const struct program *p, const struct state *at, uint32_t *run)
{
    const struct item *taker = NULL;
    *run = 0;
    for (uint32_t i = 0; i < at->n; i++) {
        if (!takes_plain(p, at->items[i].pc))
            continue;
        if (taker)
            return false;
        taker = &at->items[i];
    }
    return !taker || run_at(p, taker, run);
}

/* --- the walk ------------------------------------------------------------------------------------------------------- */

struct walk {
    struct cache *cache;
    struct space *space;
    struct state *stack[TOKEN_BYTES_MAX + 1]; /* by depth */
    uint64_t *bits;
};

/* The space has grown beyond its bound: the way down to here is walked again in a new one. */
static void start_anew(struct walk *w, const uint8_t *path, size_t depth)
{
    cache_move(w->cache, &w->space, &w->stack[0]);
    for (size_t i = 0; i < depth; i++)
        w->stack[i + 1] = space_step(w->space, w->stack[i], path[i]);
}

static void allow(const struct grammar_vocab *v, uint64_t *bits, int32_t token)
{
    for (; token >= 0; token = v->same[token])
        bits[token / 64] |= 1ull << (token % 64);
}

static void walk_trie(struct walk *w, const struct trie *trie)
{
    const struct grammar_vocab *v = w->cache->vocab;
    const uint8_t *class = w->space->program->byte_class;
    uint8_t path[TOKEN_BYTES_MAX];
    for (uint32_t i = 0; i < trie->n;) {
        const struct trie_node *node = &trie->nodes[i];
        path[node->depth - 1] = node->byte;
        struct state *from = w->stack[node->depth - 1], *to = from->next[class[node->byte]];
        if (!to) {
            if (space_bytes(w->space) > CACHE_BYTES_MAX)
                start_anew(w, path, (size_t)node->depth - 1);
            to = space_step(w->space, w->stack[node->depth - 1], node->byte);
        }
        if (!to || to == w->space->dead) {
            i = node->end;
            continue;
        }
        w->stack[node->depth] = to;
        if (node->token >= 0)
            w->bits[node->token / 64] |= 1ull << (node->token % 64);
        if (node->same)
            allow(v, w->bits, node->token);
        i++;
    }
}

static void put_controls(const struct cache *c, const struct state *at, uint64_t *bits)
{
    const struct program *p = c->space->program;
    for (uint32_t i = 0; i < at->n; i++) {
        uint32_t pc = at->items[i].pc;
        if (pc < p->dfa_base && p->code[pc].op == OP_CONTROL)
            allow(c->vocab, bits, c->controls[p->code[pc].a]);
    }
    for (size_t i = 0; i < c->vocab->words && at->may_end; i++)
        bits[i] |= c->vocab->ends[i];
}

static void fill(struct walk *w)
{
    const struct grammar_vocab *v = w->cache->vocab;
    uint32_t run;
    put_controls(w->cache, w->stack[0], w->bits);
    if (!plain_run(w->space->program, w->stack[0], &run)) {
        walk_trie(w, &v->all);
        return;
    }
    const uint64_t *plain = v->plain + (run < v->plain_longest ? run : v->plain_longest) * v->words;
    for (size_t i = 0; i < v->words; i++)
        w->bits[i] |= plain[i];
    walk_trie(w, &v->odd);
}

uint64_t *mask_of(struct cache *c, struct space **space, struct state **at)
{
    cache_move(c, space, at);
    struct state *clamped = space_clamped(*space, *at);
    if (clamped->mask)
        return clamped->mask;
    struct walk w = { .cache = c, .space = *space, .bits = mem_array(c->vocab->words, sizeof *w.bits) };
    w.space->refs++; /* the walk's own: a new one may begin while it goes */
    w.stack[0] = clamped;
    fill(&w);
    cache_space_drop(w.space);
    cache_move(c, space, at);
    clamped = space_clamped(*space, *at);
    if (clamped->mask) {
        mem_free(w.bits);
        return clamped->mask;
    }
    (*space)->mask_bytes += c->vocab->words * sizeof *w.bits;
    return clamped->mask = w.bits;
}
