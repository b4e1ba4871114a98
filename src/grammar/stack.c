/*
 * stack.c - stacks: interned, merged, and small.
 *
 * Two ways to read a text that return to one place with different stacks below become one frame with both stacks joined, and so on
 * down; what may follow is the same. Of two counts of one repeat over the same stack, one is left out when all that may follow it may
 * follow the other too: past the minimum the lower one is the better, and without a maximum the higher. What is left are counts that a pattern
 * like (a|aa){20,40} really keeps apart. There may be COUNTS_MAX of them; past that the lowest, furthest from their end, are let
 * go, so that a hostile pattern cannot make a step take seconds. What is then offered is less than the grammar allows, and still nothing else.
 */
#include "grammar/space.h"

#include <stdlib.h>
#include <string.h>

#define JOINED_SIZE 4096

static uint64_t mix(uint64_t hash, uint64_t x)
{
    hash = (hash ^ x) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 29;
}

static uint32_t id_of(const struct stack *x)
{
    return x ? x->id : 0;
}

static int by_place(const void *a, const void *b)
{
    const struct frame *x = a, *y = b;
    if (x->pc != y->pc)
        return x->pc < y->pc ? -1 : 1;
    if (x->count != y->count)
        return x->count < y->count ? -1 : 1;
    return id_of(x->below) < id_of(y->below) ? -1 : id_of(x->below) > id_of(y->below);
}

uint32_t stack_count(const struct program *p, uint32_t pc, uint32_t count)
{
    const struct instr *i = &p->code[pc];
    uint32_t enough = i->min ? i->min : 1;
    return i->max == COUNT_ENDLESS && count > enough ? enough : count;
}

/* All that may follow y may follow x: same place, same stack below, another count. */
static bool covers(const struct program *p, const struct frame *x, const struct frame *y)
{
    const struct instr *i = &p->code[x->pc];
    if (x->below != y->below || !x->count || !y->count)
        return false;
    if (i->max == COUNT_ENDLESS)
        return x->count > y->count;
    return x->count < y->count && x->count >= i->min;
}

/* Whether one of the frames of this repeat, by count, covers frames[at]. The likely ones first: usually all stand over one stack. */
static bool covered(const struct program *p, const struct frame *frames, uint32_t n, uint32_t at)
{
    const struct instr *i = &p->code[frames[at].pc];
    if (i->max == COUNT_ENDLESS) {
        for (uint32_t k = n; k-- > at + 1;)
            if (covers(p, &frames[k], &frames[at]))
                return true;
        return false;
    }
    for (uint32_t k = at; k-- > 0 && frames[k].count >= i->min;)
        if (covers(p, &frames[k], &frames[at]))
            return true;
    return false;
}

/* Frames by place, the stacks below equal places joined. */
static uint32_t merge(struct space *s, struct frame *frames, uint32_t n)
{
    uint32_t m = 0;
    qsort(frames, n, sizeof *frames, by_place);
    for (uint32_t i = 0; i < n; i++) {
        struct frame *last = m ? &frames[m - 1] : NULL;
        if (last && last->pc == frames[i].pc && last->count == frames[i].count) {
            if (last->below != frames[i].below)
                last->below = stack_join(s, last->below, frames[i].below);
            continue;
        }
        frames[m++] = frames[i];
    }
    return m;
}

/* The frames of one place that are kept, from the start of frames. */
static uint32_t thin_counts(const struct program *p, struct frame *frames, uint32_t n)
{
    uint32_t kept = 0;
    bool *drop = mem_array(n, sizeof *drop);
    for (uint32_t i = 0; i < n; i++)
        drop[i] = covered(p, frames, n, i);
    for (uint32_t i = 0; i < n; i++)
        if (!drop[i])
            frames[kept++] = frames[i];
    mem_free(drop);
    if (kept > COUNTS_MAX)
        memmove(frames, frames + kept - COUNTS_MAX, COUNTS_MAX * sizeof *frames);
    return kept < COUNTS_MAX ? kept : COUNTS_MAX;
}

static uint32_t thin(const struct program *p, struct frame *frames, uint32_t n)
{
    uint32_t m = 0;
    for (uint32_t from = 0, to; from < n; from = to) {
        to = from + 1;
        while (to < n && frames[to].pc == frames[from].pc)
            to++;
        uint32_t kept = to - from == 1 ? 1 : thin_counts(p, frames + from, to - from);
        memmove(frames + m, frames + from, kept * sizeof *frames);
        m += kept;
    }
    return m;
}

static uint64_t add_len(uint64_t a, uint64_t b)
{
    return a + b > LEN_NEVER / 4 ? LEN_NEVER / 4 : a + b;
}

static uint64_t frame_len(const struct program *p, const struct frame *f)
{
    if (f->pc == PC_END)
        return 0;
    uint64_t below = f->below->len;
    if (f->count == 0)
        return add_len(program_len(p, f->pc), below);
    const struct instr *i = &p->code[f->pc];
    uint64_t rounds = i->min > f->count ? i->min - f->count : 0;
    uint64_t one = rounds ? program_len(p, p->rules[i->a].start) : 0;
    uint64_t all = one && rounds > LEN_NEVER / 4 / one ? LEN_NEVER / 4 : rounds * one;
    return add_len(add_len(all, p->len[i->next]), below);
}

static void grow(struct space *s)
{
    size_t size = s->stacks_size ? 2 * s->stacks_size : 256;
    struct stack **table = mem_array(size, sizeof *table);
    for (size_t i = 0; i < s->stacks_size; i++)
        for (struct stack *x = s->stacks[i], *next; x; x = next) {
            next = x->chain;
            x->chain = table[x->hash & (size - 1)];
            table[x->hash & (size - 1)] = x;
        }
    mem_free(s->stacks);
    s->stacks = table;
    s->stacks_size = size;
}

static struct stack *intern(struct space *s, const struct frame *frames, uint32_t n)
{
    uint64_t hash = n;
    for (uint32_t i = 0; i < n; i++)
        hash = mix(mix(hash, (uint64_t)frames[i].pc << 32 | frames[i].count), id_of(frames[i].below));
    if (s->n_stacks >= s->stacks_size)
        grow(s);
    struct stack **place = &s->stacks[hash & (s->stacks_size - 1)];
    for (struct stack *x = *place; x; x = x->chain)
        if (x->hash == hash && x->n == n && memcmp(x->frames, frames, n * sizeof *frames) == 0)
            return x;
    struct stack *x = arena_alloc(&s->arena, sizeof *x + n * sizeof *frames);
    *x = (struct stack){ .hash = hash, .chain = *place, .id = ++s->n_stacks, .n = n, .len = LEN_NEVER };
    memcpy(x->frames, frames, n * sizeof *frames);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t len = frame_len(s->program, &frames[i]);
        uint32_t depth = frames[i].below ? frames[i].below->depth + 1 : 0;
        x->len = len < x->len ? len : x->len;
        x->depth = depth > x->depth ? depth : x->depth;
    }
    return *place = x;
}

struct stack *stack_make(struct space *s, struct frame *frames, uint32_t n)
{
    if (n > 1)
        n = thin(s->program, frames, merge(s, frames, n));
    return intern(s, frames, n);
}

struct stack *stack_join(struct space *s, struct stack *a, struct stack *b)
{
    if (a == b || !a || !b)
        return a ? a : b;
    if (a->id > b->id) {
        struct stack *swap = a;
        a = b;
        b = swap;
    }
    if (!s->joined)
        s->joined = mem_array(JOINED_SIZE, sizeof *s->joined);
    size_t at = mix(a->id, b->id) % JOINED_SIZE;
    if (s->joined[at].a == a && s->joined[at].b == b)
        return s->joined[at].both;
    struct frame *frames = mem_array(a->n + b->n, sizeof *frames);
    memcpy(frames, a->frames, a->n * sizeof *frames);
    memcpy(frames + a->n, b->frames, b->n * sizeof *frames);
    struct stack *both = stack_make(s, frames, a->n + b->n);
    mem_free(frames);
    s->joined[at] = (struct joined){ a, b, both };
    return both;
}

/* A count that behaves as this one does for so many bytes, each round taking at least one. */
static uint32_t clamp_count(const struct program *p, uint32_t pc, uint32_t count, uint32_t longest)
{
    const struct instr *i = &p->code[pc];
    uint32_t enough = i->min ? i->min : 1;
    if (i->min > count && i->min - count > longest)
        return 1;
    bool far = i->max == COUNT_ENDLESS || i->max - count > longest;
    return count >= enough && far ? enough : count;
}

struct stack *stack_clamp(struct space *s, struct stack *x)
{
    if (!x || x->clamped)
        return x ? x->clamped : NULL;
    struct frame *frames = mem_array(x->n, sizeof *frames);
    for (uint32_t i = 0; i < x->n; i++) {
        struct frame *f = &frames[i];
        *f = x->frames[i];
        f->below = stack_clamp(s, f->below);
        if (f->count)
            f->count = clamp_count(s->program, f->pc, f->count, s->longest);
    }
    x->clamped = stack_make(s, frames, x->n);
    x->clamped->clamped = x->clamped;
    mem_free(frames);
    return x->clamped;
}
