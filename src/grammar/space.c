/*
 * space.c - from one state to the next.
 *
 * A step takes a byte at each item and then closes over what costs no byte, in two phases. First rules that have ended are left, as many as
 * end here; calls are only noted. Then rules that were called are entered, callers before what they begin with
 * (program_order.c), each once with the frames of all its callers in one stack. A rule that may be empty is stepped over where it is
 * called, so nothing is left in the second phase, and a stack is complete before anything stands on it. A call that is the last thing of its rule
 * brings no frame of its own: lists written with recursion on their right need no depth.
 *
 * No item is kept from which the text could not be ended within calls_max calls (program_need), so depth is a bound
 * of the texts and never a dead end.
 */
#include "grammar/space.h"

#include <stdlib.h>
#include <string.h>

struct space *space_open(const struct program *p, const int32_t *controls, uint32_t longest)
{
    struct space *s = mem_zalloc(sizeof *s);
    s->program = p;
    s->controls = controls;
    s->longest = longest;
    s->dead = arena_alloc(&s->arena, sizeof *s->dead);
    s->pending = mem_array(p->n_rules, sizeof *s->pending);
    s->queue = mem_array(p->n_rules, sizeof *s->queue);
    return s;
}

void space_close(struct space *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->states_size; i++)
        for (struct state *x = s->states[i]; x; x = x->chain)
            mem_free(x->mask);
    for (uint32_t r = 0; r < s->program->n_rules; r++)
        mem_free(s->pending[r].ptr);
    arena_free(&s->arena);
    mem_free(s->stacks);
    mem_free(s->states);
    mem_free(s->joined);
    mem_free(s->todo);
    mem_free(s->items);
    mem_free(s->seen);
    mem_free(s->pending);
    mem_free(s->queue);
    mem_free(s);
}

size_t space_bytes(const struct space *s)
{
    return s->arena.used + s->mask_bytes;
}

/* --- what is waiting ------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t x)
{
    hash = (hash ^ x) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 29;
}

static void grow_seen(struct space *s)
{
    size_t size = s->seen_size ? 2 * s->seen_size : 256;
    struct seen_pair *table = mem_array(size, sizeof *table);
    for (size_t i = 0; i < s->seen_size; i++) {
        if (s->seen[i].stamp != s->stamp)
            continue;
        size_t at = mix(s->seen[i].pc, s->seen[i].stack->id) & (size - 1);
        while (table[at].stamp == s->stamp)
            at = (at + 1) & (size - 1);
        table[at] = s->seen[i];
    }
    mem_free(s->seen);
    s->seen = table;
    s->seen_size = size;
}

static bool first_time(struct space *s, uint32_t pc, struct stack *stack)
{
    if (2 * s->n_seen >= s->seen_size)
        grow_seen(s);
    size_t at = mix(pc, stack->id) & (s->seen_size - 1);
    for (; s->seen[at].stamp == s->stamp; at = (at + 1) & (s->seen_size - 1))
        if (s->seen[at].pc == pc && s->seen[at].stack == stack)
            return false;
    s->seen[at] = (struct seen_pair){ pc, s->stamp, stack };
    s->n_seen++;
    return true;
}

static void reach(struct space *s, uint32_t pc, struct stack *stack)
{
    const struct program *p = s->program;
    if (pc < p->dfa_base && p->len[pc] == LEN_NEVER)
        return;
    if (stack->depth + program_need(p, pc) > p->calls_max || !first_time(s, pc, stack))
        return;
    *SPACE_PUSH(s->todo, s->n_todo, s->todo_cap) = (struct item){ pc, stack };
}

/* A heap by order, the first on top. */
static void enqueue(struct space *s, uint32_t rule)
{
    const struct program_rule *rules = s->program->rules;
    uint32_t at = s->n_queue++;
    for (; at && rules[s->queue[(at - 1) / 2]].order > rules[rule].order; at = (at - 1) / 2)
        s->queue[at] = s->queue[(at - 1) / 2];
    s->queue[at] = rule;
}

static uint32_t dequeue(struct space *s)
{
    const struct program_rule *rules = s->program->rules;
    uint32_t top = s->queue[0], last = s->queue[--s->n_queue], at = 0, child;
    while ((child = 2 * at + 1) < s->n_queue) {
        if (child + 1 < s->n_queue && rules[s->queue[child + 1]].order < rules[s->queue[child]].order)
            child++;
        if (rules[s->queue[child]].order >= rules[last].order)
            break;
        s->queue[at] = s->queue[child];
        at = child;
    }
    s->queue[at] = last;
    return top;
}

static void note_call(struct space *s, uint32_t rule, struct frame f)
{
    struct pending *waiting = &s->pending[rule];
    if (waiting->n == 0)
        enqueue(s, rule);
    *SPACE_PUSH(waiting->ptr, waiting->n, waiting->cap) = f;
}

/* Whether rule can be called from a place with this stack. */
static bool fits(const struct space *s, uint32_t rule, const struct stack *stack)
{
    uint32_t need = program_need(s->program, s->program->rules[rule].start);
    return need != UINT32_MAX && stack->depth + 1 + need <= s->program->calls_max;
}

static void call(struct space *s, const struct instr *i, struct stack *stack)
{
    const struct program *p = s->program;
    if (i->next == PC_RETURN) {
        for (uint32_t k = 0; k < stack->n; k++)
            note_call(s, i->a, stack->frames[k]);
    } else if (fits(s, i->a, stack) && p->len[i->next] != LEN_NEVER) {
        note_call(s, i->a, (struct frame){ i->next, 0, stack });
    }
    if (p->rules[i->a].nullable)
        reach(s, i->next, stack);
}

static void enter_round(struct space *s, uint32_t pc, uint32_t round, struct stack *stack)
{
    const struct instr *i = &s->program->code[pc];
    if (round <= i->max && fits(s, i->a, stack))
        note_call(s, i->a, (struct frame){ pc, stack_count(s->program, pc, round), stack });
}

static void go_back(struct space *s, const struct frame *f)
{
    if (f->pc == PC_END) {
        s->may_end = true;
    } else if (f->count == 0) {
        reach(s, f->pc, f->below);
    } else {
        const struct instr *i = &s->program->code[f->pc];
        enter_round(s, f->pc, f->count + 1, f->below);
        if (f->count >= i->min)
            reach(s, i->next, f->below);
    }
}

static void leave(struct space *s, const struct stack *stack)
{
    if (s->entering)
        return; /* the rule may be empty, and where it is called it was stepped over */
    for (uint32_t i = 0; i < stack->n; i++)
        go_back(s, &stack->frames[i]);
}

/* --- the closure ------------------------------------------------------------------------------------------------- */

static void keep(struct space *s, struct item x)
{
    *SPACE_PUSH(s->items, s->n_items, s->items_cap) = x;
}

static void close_dfa(struct space *s, struct item x)
{
    uint32_t first, state, row;
    const struct dfa *d = program_dfa(s->program, x.pc, &first, &state, &row);
    if (row == 0 && d->dist[state] == 0)
        leave(s, x.stack);
    if (row || d->more[state])
        keep(s, x);
}

static void close_one(struct space *s, struct item x)
{
    const struct program *p = s->program;
    if (x.pc >= p->dfa_base) {
        close_dfa(s, x);
        return;
    }
    const struct instr *i = &p->code[x.pc];
    switch ((enum op)i->op) {
    case OP_NEVER: break;
    case OP_RETURN: leave(s, x.stack); break;
    case OP_BYTE:
    case OP_SET: keep(s, x); break;
    case OP_SPLIT:
        for (uint32_t k = 0; k < i->b; k++)
            reach(s, p->alts[i->a + k], x.stack);
        break;
    case OP_CALL: call(s, i, x.stack); break;
    case OP_COUNT:
        enter_round(s, x.pc, 1, x.stack);
        if (i->min == 0 || p->rules[i->a].nullable)
            reach(s, i->next, x.stack);
        break;
    case OP_CONTROL:
        if (s->controls[i->a] < 0)
            reach(s, i->b, x.stack);
        else
            keep(s, x);
        break;
    }
}

static void close_todo(struct space *s)
{
    while (s->n_todo)
        close_one(s, s->todo[--s->n_todo]);
}

static void begin(struct space *s)
{
    if (++s->stamp == 0) { /* stamps have come round */
        memset(s->seen, 0, s->seen_size * sizeof *s->seen);
        s->stamp = 1;
    }
    s->n_seen = s->n_todo = s->n_items = 0;
    s->entering = s->may_end = false;
}

/* --- states ---------------------------------------------------------------------------------------------------------- */

static int by_pc(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->pc != y->pc)
        return x->pc < y->pc ? -1 : 1;
    return x->stack->id < y->stack->id ? -1 : x->stack->id > y->stack->id;
}

/* Each place once, with all its stacks joined. */
static void merge_items(struct space *s)
{
    size_t m = 0;
    if (s->n_items > 1)
        qsort(s->items, s->n_items, sizeof *s->items, by_pc);
    for (size_t i = 0; i < s->n_items; i++) {
        if (m && s->items[m - 1].pc == s->items[i].pc)
            s->items[m - 1].stack = stack_join(s, s->items[m - 1].stack, s->items[i].stack);
        else
            s->items[m++] = s->items[i];
    }
    s->n_items = m;
}

static void grow_states(struct space *s)
{
    size_t size = s->states_size ? 2 * s->states_size : 256;
    struct state **table = mem_array(size, sizeof *table);
    for (size_t i = 0; i < s->states_size; i++)
        for (struct state *x = s->states[i], *next; x; x = next) {
            next = x->chain;
            x->chain = table[x->hash & (size - 1)];
            table[x->hash & (size - 1)] = x;
        }
    mem_free(s->states);
    s->states = table;
    s->states_size = size;
}

static bool same_items(const struct item *x, const struct item *y, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (x[i].pc != y[i].pc || x[i].stack != y[i].stack)
            return false;
    return true;
}

static struct state *intern_state(struct space *s)
{
    const struct program *p = s->program;
    uint32_t n = (uint32_t)s->n_items;
    uint64_t hash = s->may_end;
    for (uint32_t i = 0; i < n; i++)
        hash = mix(mix(hash, s->items[i].pc), s->items[i].stack->id);
    if (s->n_states >= s->states_size)
        grow_states(s);
    struct state **place = &s->states[hash & (s->states_size - 1)];
    for (struct state *x = *place; x; x = x->chain)
        if (x->hash == hash && x->n == n && x->may_end == s->may_end && same_items(x->items, s->items, n))
            return x;
    struct item *items = arena_array(&s->arena, n, sizeof *items);
    struct state *x = arena_alloc(&s->arena, sizeof *x + p->n_classes * sizeof(struct state *));
    x->hash = hash;
    x->chain = *place;
    x->n = n;
    x->may_end = s->may_end;
    x->len = s->may_end ? 0 : LEN_NEVER;
    for (uint32_t i = 0; i < n; i++) {
        items[i] = s->items[i];
        uint64_t len = program_len(p, items[i].pc) + items[i].stack->len;
        x->len = len < x->len ? len : x->len;
    }
    x->items = items;
    s->n_states++;
    return *place = x;
}

static struct state *finish(struct space *s)
{
    close_todo(s);
    s->entering = true;
    while (s->n_queue) {
        uint32_t rule = dequeue(s);
        struct pending *waiting = &s->pending[rule];
        struct stack *stack = stack_make(s, waiting->ptr, waiting->n);
        waiting->n = 0;
        reach(s, s->program->rules[rule].start, stack);
        close_todo(s);
    }
    merge_items(s);
    return s->n_items || s->may_end ? intern_state(s) : NULL;
}

struct state *space_start(struct space *s)
{
    begin(s);
    s->may_end = s->program->rules[s->program->start].nullable;
    note_call(s, s->program->start, (struct frame){ PC_END, 0, NULL });
    return finish(s);
}

static void take_byte(struct space *s, const struct item *x, unsigned char byte)
{
    const struct program *p = s->program;
    if (x->pc < p->dfa_base) {
        const struct instr *i = &p->code[x->pc];
        if ((i->op == OP_BYTE && i->a == byte) || (i->op == OP_SET && byte_set_has(&p->sets[i->a], byte)))
            reach(s, i->next, x->stack);
        return;
    }
    uint32_t first, state, row, to_state, to_row;
    const struct dfa *d = program_dfa(p, x->pc, &first, &state, &row);
    if (dfa_step(d, state, row, byte, &to_state, &to_row))
        reach(s, first + to_state * (uint32_t)d->n_rows + to_row, x->stack);
}

struct state *space_step(struct space *s, struct state *at, unsigned char byte)
{
    struct state **next = &at->next[s->program->byte_class[byte]];
    if (*next)
        return *next == s->dead ? NULL : *next;
    begin(s);
    for (uint32_t i = 0; i < at->n; i++)
        take_byte(s, &at->items[i], byte);
    struct state *to = finish(s);
    *next = to ? to : s->dead;
    return to;
}

struct state *space_control(struct space *s, const struct state *at, uint32_t control)
{
    const struct program *p = s->program;
    begin(s);
    for (uint32_t i = 0; i < at->n; i++) {
        const struct item *x = &at->items[i];
        if (x->pc < p->dfa_base && p->code[x->pc].op == OP_CONTROL && p->code[x->pc].a == control)
            reach(s, p->code[x->pc].next, x->stack);
    }
    return finish(s);
}

struct state *space_clamped(struct space *s, struct state *at)
{
    if (at->clamped)
        return at->clamped;
    begin(s);
    s->may_end = at->may_end;
    for (uint32_t i = 0; i < at->n; i++)
        keep(s, (struct item){ at->items[i].pc, stack_clamp(s, at->items[i].stack) });
    merge_items(s);
    at->clamped = intern_state(s);
    at->clamped->clamped = at->clamped;
    return at->clamped;
}

/* --- moving ------------------------------------------------------------------------------------------------------------- */

static struct stack *adopt_stack(struct space *s, const struct stack *x, struct stack **moved)
{
    if (!x || moved[x->id])
        return x ? moved[x->id] : NULL;
    struct frame *frames = mem_array(x->n, sizeof *frames);
    for (uint32_t i = 0; i < x->n; i++) {
        frames[i] = x->frames[i];
        frames[i].below = adopt_stack(s, x->frames[i].below, moved);
    }
    moved[x->id] = stack_make(s, frames, x->n);
    mem_free(frames);
    return moved[x->id];
}

struct state *space_adopt(struct space *s, const struct space *from, const struct state *at)
{
    struct stack **moved = mem_array((size_t)from->n_stacks + 1, sizeof(struct stack *));
    begin(s);
    s->may_end = at->may_end;
    for (uint32_t i = 0; i < at->n; i++)
        keep(s, (struct item){ at->items[i].pc, adopt_stack(s, at->items[i].stack, moved) });
    merge_items(s);
    mem_free(moved);
    return intern_state(s);
}

/* --- questions ------------------------------------------------------------------------------------------------------------ */

struct byte_set space_bytes_next(struct space *s, const struct state *at)
{
    const struct program *p = s->program;
    struct byte_set all = { 0 };
    for (uint32_t i = 0; i < at->n; i++) {
        uint32_t pc = at->items[i].pc, first, state, row, to_state, to_row;
        if (pc < p->dfa_base) {
            const struct instr *x = &p->code[pc];
            if (x->op == OP_BYTE)
                byte_set_add(&all, (unsigned char)x->a);
            for (int k = 0; k < 4 && x->op == OP_SET; k++)
                all.bits[k] |= p->sets[x->a].bits[k];
            continue;
        }
        const struct dfa *d = program_dfa(p, pc, &first, &state, &row);
        for (unsigned c = 0; c < 256; c++)
            if (dfa_step(d, state, row, (unsigned char)c, &to_state, &to_row))
                byte_set_add(&all, (unsigned char)c);
    }
    return all;
}
