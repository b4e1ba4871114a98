/*
 * program.c - nodes become instructions.
 *
 * Code is written from the end to the beginning, each piece knowing what comes next. What would be written more than once is written
 * once as a rule of its own and called, so that a program is as large as the graph of nodes and not as the tree it stands for (a
 * schema of nested references would double at each level). Alternatives that begin with texts become a tree of
 * their common beginnings: an enumeration of a thousand words is then one place at a time and not a thousand.
 */
#include "grammar/program.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SHARE_WEIGHT 6 /* instructions; less is written again where it is used again */
#define UNROLL_MAX   16

struct writer {
    struct program *p;
    struct builder *b;
    struct dfa_budget budget;
    uint32_t code_cap, n_alts, alts_cap, n_sets, sets_cap, rules_cap;
    uint32_t *rule_of;          /* by node id: its rule plus one */
    uint32_t *weight;           /* by node id: instructions, plus one; 0: not looked at */
    bool *shared;               /* by node id: it is used more than once */
    size_t n_nodes;             /* of those arrays */
    const struct node **bodies; /* by rule */
    bool too_large, too_hard;
};

/* --- pieces ------------------------------------------------------------------------------------------------------- */

static uint32_t put(struct writer *w, struct instr i)
{
    struct program *p = w->p;
    if (p->n_code >= CODE_MAX) {
        w->too_large = true;
        return PC_NEVER;
    }
    if (p->n_code == w->code_cap) {
        w->code_cap = w->code_cap ? 2 * w->code_cap : 256;
        p->code = mem_realloc(p->code, w->code_cap * sizeof *p->code);
    }
    p->code[p->n_code] = i;
    return p->n_code++;
}

static uint32_t put_text(struct writer *w, struct str text, uint32_t next)
{
    for (size_t i = text.len; i-- > 0;)
        next = put(w, (struct instr){ .op = OP_BYTE, .a = (unsigned char)text.ptr[i], .next = next });
    return next;
}

static uint32_t put_split(struct writer *w, const uint32_t *pcs, uint32_t n)
{
    struct program *p = w->p;
    if (n == 0)
        return PC_NEVER;
    if (n == 1)
        return pcs[0];
    if (w->n_alts + n > w->alts_cap) {
        w->alts_cap = 2 * (w->n_alts + n);
        p->alts = mem_realloc(p->alts, w->alts_cap * sizeof *p->alts);
    }
    memcpy(p->alts + w->n_alts, pcs, n * sizeof *pcs);
    w->n_alts += n;
    return put(w, (struct instr){ .op = OP_SPLIT, .a = w->n_alts - n, .b = n });
}

static uint32_t put_set(struct writer *w, const struct byte_set *set, uint32_t next)
{
    struct program *p = w->p;
    uint32_t i = 0;
    while (i < w->n_sets && memcmp(&p->sets[i], set, sizeof *set) != 0)
        i++;
    if (i == w->n_sets) {
        if (w->n_sets == w->sets_cap) {
            w->sets_cap = w->sets_cap ? 2 * w->sets_cap : 16;
            p->sets = mem_realloc(p->sets, w->sets_cap * sizeof *p->sets);
        }
        p->sets[w->n_sets++] = *set;
    }
    return put(w, (struct instr){ .op = OP_SET, .a = i, .next = next });
}

static uint32_t new_rule(struct writer *w, const struct node *body)
{
    struct program *p = w->p;
    if (p->n_rules == w->rules_cap) {
        w->rules_cap = w->rules_cap ? 2 * w->rules_cap : 64;
        p->rules = mem_realloc(p->rules, w->rules_cap * sizeof *p->rules);
        w->bodies = mem_realloc(w->bodies, w->rules_cap * sizeof *w->bodies);
    }
    p->rules[p->n_rules] = (struct program_rule){ 0 };
    w->bodies[p->n_rules] = body;
    return p->n_rules++;
}

static bool ascii_class(const struct node *x)
{
    return x->kind == NODE_CLASS && x->set.ranges[x->set.n - 1].last < 0x80;
}

/* It needs a dfa as a whole. */
static bool wants_dfa(const struct node *x)
{
    return x->kind == NODE_AND || x->kind == NODE_NOT || x->kind == NODE_IMAGE ||
           (x->kind == NODE_CLASS && !ascii_class(x));
}

/* The rule of a node, made when it is first asked for. Its body is written later. */
static uint32_t rule_for(struct writer *w, const struct node *x)
{
    assert(x->id < w->n_nodes);
    if (x->kind == NODE_CALL)
        return (uint32_t)x->rule;
    if (!w->rule_of[x->id])
        w->rule_of[x->id] = new_rule(w, x) + 1;
    return w->rule_of[x->id] - 1;
}

static uint32_t put_call(struct writer *w, uint32_t rule, uint32_t next)
{
    return put(w, (struct instr){ .op = OP_CALL, .a = rule, .next = next });
}

static uint32_t write_node(struct writer *w, const struct node *x, uint32_t next);

/* --- alternatives ---------------------------------------------------------------------------------------------------- */

struct branch {
    struct str text;
    const struct node *rest; /* NULL: nothing */
};

struct places {
    uint32_t *ptr;
    uint32_t n, cap;
};

static void put_place(struct places *p, uint32_t pc)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 8;
        p->ptr = mem_realloc(p->ptr, p->cap * sizeof *p->ptr);
    }
    p->ptr[p->n++] = pc;
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(((const struct branch *)a)->text, ((const struct branch *)b)->text);
}

static uint32_t write_rest(struct writer *w, const struct branch *x, uint32_t next)
{
    return x->rest ? write_node(w, x->rest, next) : next;
}

/* Branches whose texts have their first `from` bytes in common; ascending, so the first and the last have in common what all have. */
static uint32_t write_branches(struct writer *w, const struct branch *x, size_t n, size_t from, uint32_t next)
{
    if (n == 1)
        return put_text(w, str_slice(x->text, from, x->text.len), write_rest(w, x, next));
    struct str first = x[0].text, last = x[n - 1].text;
    size_t to = from;
    while (to < first.len && to < last.len && first.ptr[to] == last.ptr[to])
        to++;
    if (to > from)
        return put_text(w, str_slice(first, from, to), write_branches(w, x, n, to, next));
    struct places places = { 0 };
    for (size_t i = 0, end; i < n; i = end) {
        end = i + 1;
        if (x[i].text.len == from) {
            put_place(&places, write_rest(w, &x[i], next));
            continue;
        }
        while (end < n && x[end].text.ptr[from] == x[i].text.ptr[from])
            end++;
        put_place(&places, write_branches(w, x + i, end - i, from, next));
    }
    uint32_t pc = put_split(w, places.ptr, places.n);
    mem_free(places.ptr);
    return pc;
}

static uint32_t write_or(struct writer *w, const struct node *x, uint32_t next)
{
    struct branch *branches = mem_array(x->many.n, sizeof *branches);
    struct places places = { 0 };
    size_t n = 0;
    for (size_t i = 0; i < x->many.n; i++) {
        const struct node *part = x->many.parts[i];
        if (part->kind == NODE_TEXT)
            branches[n++] = (struct branch){ part->text, NULL };
        else if (part->kind == NODE_SEQ && part->seq.head->kind == NODE_TEXT)
            branches[n++] = (struct branch){ part->seq.head->text, part->seq.tail };
        else
            put_place(&places, write_node(w, part, next));
    }
    if (n) {
        qsort(branches, n, sizeof *branches, by_text);
        put_place(&places, write_branches(w, branches, n, 0, next));
    }
    uint32_t pc = put_split(w, places.ptr, places.n);
    mem_free(places.ptr);
    mem_free(branches);
    return pc;
}

/* --- the other kinds ---------------------------------------------------------------------------------------------------- */

static uint32_t write_class(struct writer *w, const struct node *x, uint32_t next)
{
    struct byte_set set = { 0 };
    for (size_t i = 0; i < x->set.n; i++)
        for (uint32_t c = x->set.ranges[i].first; c <= x->set.ranges[i].last; c++)
            byte_set_add(&set, (unsigned char)c);
    return put_set(w, &set, next);
}

static uint32_t write_seq(struct writer *w, const struct node *x, uint32_t next)
{
    size_t n = 1, i = 0;
    for (const struct node *y = x; y->kind == NODE_SEQ; y = y->seq.tail)
        n++;
    const struct node **parts = mem_array(n, sizeof *parts);
    for (; x->kind == NODE_SEQ; x = x->seq.tail)
        parts[i++] = x->seq.head;
    parts[i] = x;
    while (n--)
        next = write_node(w, parts[n], next);
    mem_free(parts);
    return next;
}

static uint32_t saturate(size_t count)
{
    return count >= COUNT_ENDLESS ? COUNT_ENDLESS : (uint32_t)count;
}

/* Few rounds of one character are written out. */
static bool unrolls(const struct node *x)
{
    const struct node *body = x->rep.x;
    bool leaf = (body->kind == NODE_TEXT && body->text.len == 1) || body->kind == NODE_CLASS;
    return leaf && x->rep.max <= UNROLL_MAX;
}

static uint32_t write_repeat(struct writer *w, const struct node *x, uint32_t next)
{
    const struct node *body = x->rep.x;
    size_t min = x->rep.min, max = x->rep.max;
    if (min == 0 && max == 1)
        return put_split(w, (uint32_t[]){ write_node(w, body, next), next }, 2);
    if (!unrolls(x))
        return put(w, (struct instr){ .op = OP_COUNT,
                                      .a = rule_for(w, body),
                                      .next = next,
                                      .min = saturate(min),
                                      .max = saturate(max) });
    uint32_t pc = next; /* x{2,4} is xx(x(x)?)? */
    for (size_t i = max; i-- > 0;) {
        pc = write_node(w, body, pc);
        if (i >= min)
            pc = put_split(w, (uint32_t[]){ pc, next }, 2);
    }
    return pc;
}

static uint32_t write_control(struct writer *w, const struct node *x, uint32_t next)
{
    struct program *p = w->p;
    uint32_t i = 0;
    while (i < p->n_controls && !str_eq(p->controls[i], x->text))
        i++;
    if (i == p->n_controls) {
        p->controls = mem_realloc(p->controls, (i + 1) * sizeof *p->controls);
        p->controls[p->n_controls++] = arena_str(&p->arena, x->text);
    }
    uint32_t spelled = put_text(w, x->text, next);
    return put(w, (struct instr){ .op = OP_CONTROL, .a = i, .b = spelled, .next = next });
}

static uint32_t write_inline(struct writer *w, const struct node *x, uint32_t next)
{
    switch ((enum node_kind)x->kind) {
    case NODE_EMPTY: return next;
    case NODE_TEXT: return put_text(w, x->text, next);
    case NODE_CLASS: return ascii_class(x) ? write_class(w, x, next) : put_call(w, rule_for(w, x), next);
    case NODE_SEQ: return write_seq(w, x, next);
    case NODE_OR: return write_or(w, x, next);
    case NODE_REPEAT: return write_repeat(w, x, next);
    case NODE_AND:
    case NODE_NOT:
    case NODE_IMAGE: return put_call(w, rule_for(w, x), next);
    case NODE_CONTROL: return write_control(w, x, next);
    case NODE_CALL: return put_call(w, (uint32_t)x->rule, next);
    case NODE_NEVER: break;
    }
    return PC_NEVER;
}

static uint32_t write_node(struct writer *w, const struct node *x, uint32_t next)
{
    if (next == PC_NEVER || w->too_large || w->too_hard)
        return PC_NEVER;
    if (x->id < w->n_nodes && w->shared[x->id] && w->weight[x->id] > SHARE_WEIGHT)
        return put_call(w, rule_for(w, x), next);
    return write_inline(w, x, next);
}

/* --- what is shared --------------------------------------------------------------------------------------------------------- */

static uint32_t weigh(struct writer *w, const struct node *x);

static uint32_t weigh_once(struct writer *w, const struct node *x)
{
    uint32_t n = 1;
    switch ((enum node_kind)x->kind) {
    case NODE_TEXT:
    case NODE_CONTROL: return (uint32_t)(x->text.len < CODE_MAX ? x->text.len : CODE_MAX);
    case NODE_OR:
        for (size_t i = 0; i < x->many.n && n < CODE_MAX; i++)
            n += weigh(w, x->many.parts[i]);
        return n;
    case NODE_REPEAT: /* a repeat calls its body, so it costs no more than a call */
        n = weigh(w, x->rep.x);
        return x->rep.max == 1 ? n + 1 : unrolls(x) ? (uint32_t)(2 * x->rep.max) : 1;
    case NODE_NEVER:
    case NODE_EMPTY:
    case NODE_CLASS:
    case NODE_SEQ:
    case NODE_AND: /* what is inside is a dfa's, not the program's */
    case NODE_NOT:
    case NODE_IMAGE:
    case NODE_CALL: break;
    }
    return n;
}

/* Instructions that x takes; also notes which nodes are met again. */
static uint32_t weigh(struct writer *w, const struct node *x)
{
    uint32_t n = 0;
    for (; x->kind == NODE_SEQ && !w->weight[x->id]; x = x->seq.tail) {
        w->weight[x->id] = SHARE_WEIGHT + 2; /* a sequence is met from outside or from its own beginning */
        n += weigh(w, x->seq.head);
    }
    if (w->weight[x->id]) {
        w->shared[x->id] = true;
        return n + 1;
    }
    w->weight[x->id] = 1;
    w->weight[x->id] = weigh_once(w, x) + 1;
    return n + w->weight[x->id];
}

static void weigh_all(struct writer *w)
{
    w->n_nodes = w->b->n_nodes;
    w->rule_of = mem_array(w->n_nodes, sizeof *w->rule_of);
    w->weight = mem_array(w->n_nodes, sizeof *w->weight);
    w->shared = mem_array(w->n_nodes, sizeof *w->shared);
    for (size_t i = 0; i < w->b->n_rules; i++)
        weigh(w, w->b->rules[i].body);
}

/* --- rules -------------------------------------------------------------------------------------------------------------------- */

static void write_dfa(struct writer *w, uint32_t rule, const struct node *x)
{
    struct dfa *d = NULL;
    if (!dfa_make(&d, w->b, x, &w->budget, &w->p->arena))
        w->too_hard = true;
    w->p->rules[rule].takes = program_takes(x);
    w->p->rules[rule].dfa = d; /* start is given when all code is written */
    if (!d)
        w->p->rules[rule].start = PC_NEVER;
}

static void write_rules(struct writer *w)
{
    struct program *p = w->p;
    for (uint32_t r = 0; r < p->n_rules && !w->too_large && !w->too_hard; r++) {
        const struct node *body = w->bodies[r];
        uint32_t first = p->n_code;
        if (wants_dfa(body))
            write_dfa(w, r, body);
        else {
            uint32_t start = write_inline(w, body, PC_RETURN);
            p->rules[r].start = start;
        }
        p->rules[r].code_first = first;
        p->rules[r].code_end = p->n_code;
        w->too_large = w->too_large || p->arena.used > GRAMMAR_BYTES_MAX;
    }
}

static void place_dfas(struct writer *w)
{
    struct program *p = w->p;
    p->dfa_base = p->n_code;
    p->dfa_rules = arena_array(&p->arena, p->n_rules + 1, sizeof *p->dfa_rules);
    uint64_t at = p->dfa_base;
    for (uint32_t r = 0; r < p->n_rules; r++) {
        const struct dfa *d = p->rules[r].dfa;
        if (!d)
            continue;
        p->rules[r].start = (uint32_t)at;
        p->rules[r].nullable = d->dist[0] == 0;
        p->dfa_rules[p->n_dfas++] = r;
        at += (uint64_t)d->n_states * d->n_rows;
        w->too_hard = w->too_hard || at >= PC_END;
    }
}

const struct dfa *program_dfa(const struct program *p, uint32_t pc, uint32_t *first, uint32_t *state,
                              uint32_t *row)
{
    uint32_t low = 0, high = p->n_dfas;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (p->rules[p->dfa_rules[mid]].start <= pc)
            low = mid;
        else
            high = mid;
    }
    const struct program_rule *r = &p->rules[p->dfa_rules[low]];
    *first = r->start;
    *state = (pc - r->start) / (uint32_t)r->dfa->n_rows;
    *row = (pc - r->start) % (uint32_t)r->dfa->n_rows;
    return r->dfa;
}

/* --- distances ------------------------------------------------------------------------------------------------------------------ */

/* Which rules call which, callee first. */
struct callers {
    uint32_t *first, *caller;
};

static bool calls(const struct instr *i)
{
    return i->op == OP_CALL || i->op == OP_COUNT;
}

static struct callers find_callers(const struct program *p)
{
    struct callers c = { .first = mem_array((size_t)p->n_rules + 2, sizeof *c.first) };
    for (uint32_t i = 0; i < p->n_code; i++)
        if (calls(&p->code[i]))
            c.first[p->code[i].a + 2]++;
    for (uint32_t r = 2; r < p->n_rules + 2; r++)
        c.first[r] += c.first[r - 1];
    c.caller = mem_array((size_t)c.first[p->n_rules + 1] + 1, sizeof *c.caller);
    for (uint32_t r = 0; r < p->n_rules; r++)
        for (uint32_t i = p->rules[r].code_first; i < p->rules[r].code_end; i++)
            if (calls(&p->code[i]))
                c.caller[c.first[p->code[i].a + 1]++] = r;
    return c;
}

static uint64_t add_len(uint64_t a, uint64_t b)
{
    return a == LEN_NEVER || b == LEN_NEVER ? LEN_NEVER : a + b > LEN_NEVER / 4 ? LEN_NEVER / 4 : a + b;
}

static uint64_t times_len(uint64_t a, uint32_t n)
{
    if (n == 0 || a == LEN_NEVER)
        return n ? LEN_NEVER : 0;
    return a > LEN_NEVER / 4 / n ? LEN_NEVER / 4 : a * n;
}

static uint64_t len_of(const struct program *p, const struct instr *i)
{
    uint64_t best = LEN_NEVER;
    switch ((enum op)i->op) {
    case OP_NEVER: break;
    case OP_RETURN: return 0;
    case OP_BYTE:
    case OP_SET: return add_len(1, p->len[i->next]);
    case OP_SPLIT:
        for (uint32_t k = 0; k < i->b; k++)
            best = p->len[p->alts[i->a + k]] < best ? p->len[p->alts[i->a + k]] : best;
        break;
    case OP_CALL: return add_len(program_len(p, p->rules[i->a].start), p->len[i->next]);
    case OP_COUNT: return add_len(times_len(program_len(p, p->rules[i->a].start), i->min), p->len[i->next]);
    case OP_CONTROL: return add_len(p->controls[i->a].len, p->len[i->next]);
    }
    return best;
}

static uint32_t need_of(const struct program *p, const struct instr *i)
{
    uint32_t best = UINT32_MAX, inner, after;
    switch ((enum op)i->op) {
    case OP_NEVER: break;
    case OP_RETURN: return 0;
    case OP_BYTE:
    case OP_SET:
    case OP_CONTROL: return p->need[i->next];
    case OP_SPLIT:
        for (uint32_t k = 0; k < i->b; k++)
            best = p->need[p->alts[i->a + k]] < best ? p->need[p->alts[i->a + k]] : best;
        break;
    case OP_COUNT:
        if (i->min == 0)
            return p->need[i->next];
        /* fall through */
    case OP_CALL:
        inner = program_need(p, p->rules[i->a].start);
        after = p->need[i->next];
        if (inner == UINT32_MAX || after == UINT32_MAX)
            break;
        return inner + 1 > after ? inner + 1 : after;
    }
    return best;
}

uint64_t program_len(const struct program *p, uint32_t pc)
{
    if (pc < p->dfa_base)
        return p->len[pc];
    if (pc == PC_END)
        return 0;
    uint32_t first, state, row;
    const struct dfa *d = program_dfa(p, pc, &first, &state, &row);
    return dfa_dist(d, state, row);
}

uint32_t program_need(const struct program *p, uint32_t pc)
{
    return pc < p->dfa_base ? p->need[pc] : 0;
}

/* Distances of one rule, from its end on. Returns whether those of its start changed. */
static bool measure_rule(struct program *p, const struct program_rule *r)
{
    uint64_t len = program_len(p, r->start);
    uint32_t need = program_need(p, r->start);
    for (uint32_t i = r->code_first; i < r->code_end; i++) {
        p->len[i] = len_of(p, &p->code[i]);
        p->need[i] = need_of(p, &p->code[i]);
    }
    return len != program_len(p, r->start) || need != program_need(p, r->start);
}

/* The least solution: rules are measured again when one that they call got shorter. All values only fall, so this ends. */
static void measure(struct program *p)
{
    struct callers c = find_callers(p);
    uint32_t *ring = mem_array((size_t)p->n_rules + 1, sizeof *ring), head = 0, n = p->n_rules;
    bool *waits = mem_array((size_t)p->n_rules + 1, sizeof *waits);
    p->len = mem_array(p->n_code, sizeof *p->len);
    p->need = mem_array(p->n_code, sizeof *p->need);
    for (uint32_t i = 0; i < p->n_code; i++) {
        p->len[i] = i == PC_RETURN ? 0 : LEN_NEVER;
        p->need[i] = i == PC_RETURN ? 0 : UINT32_MAX;
    }
    for (uint32_t r = 0; r < n; r++) {
        ring[r] = n - 1 - r; /* what was written last is mostly called by what came before */
        waits[r] = true;
    }
    while (n) {
        uint32_t r = ring[head];
        head = (head + 1) % (p->n_rules + 1);
        n--;
        waits[r] = false;
        if (!measure_rule(p, &p->rules[r]))
            continue;
        for (uint32_t k = c.first[r]; k < c.first[r + 1]; k++) {
            if (waits[c.caller[k]])
                continue;
            waits[c.caller[k]] = true;
            ring[(head + n++) % (p->n_rules + 1)] = c.caller[k];
        }
    }
    for (uint32_t r = 0; r < p->n_rules; r++)
        p->rules[r].nullable = program_len(p, p->rules[r].start) == 0;
    mem_free(c.first);
    mem_free(c.caller);
    mem_free(ring);
    mem_free(waits);
}

/* --- classes of bytes ------------------------------------------------------------------------------------------------------------- */

/* Splits the classes by what value each byte has. */
static void split_bytes(struct program *p, const uint16_t value[256])
{
    struct {
        uint16_t value, number; /* the new class plus one; 0: free */
        uint8_t class;
    } seen[512] = { 0 };
    unsigned n = 0;
    for (unsigned c = 0; c < 256; c++) {
        unsigned at = (value[c] * 0x9e3779b1u + p->byte_class[c] * 0x85ebca6bu) >> 23;
        while (seen[at].number && (seen[at].value != value[c] || seen[at].class != p->byte_class[c]))
            at = (at + 1) % ARRAY_LEN(seen);
        if (!seen[at].number) {
            seen[at].number = (uint16_t)++n;
            seen[at].value = value[c];
            seen[at].class = p->byte_class[c];
        }
        p->byte_class[c] = (uint8_t)(seen[at].number - 1);
    }
    p->n_classes = n;
}

static void split_by_sets(struct program *p, uint32_t n_sets)
{
    uint16_t value[256] = { 0 };
    for (uint32_t i = 2; i < p->n_code; i++)
        if (p->code[i].op == OP_BYTE)
            value[p->code[i].a] = (uint16_t)p->code[i].a + 1;
    split_bytes(p, value);
    for (uint32_t i = 0; i < n_sets && p->n_classes < 256; i++) {
        for (unsigned c = 0; c < 256; c++)
            value[c] = byte_set_has(&p->sets[i], (unsigned char)c);
        split_bytes(p, value);
    }
}

static void split_by_dfas(struct program *p)
{
    uint16_t value[256];
    for (uint32_t i = 0; i < p->n_dfas; i++) {
        const struct dfa *d = p->rules[p->dfa_rules[i]].dfa;
        split_bytes(p, d->lead);
        for (size_t r = 1; r < d->n_rows && p->n_classes < 256; r++) {
            for (unsigned c = 0; c < 256; c++)
                value[c] = dfa_row_step(&d->rows[r], (unsigned char)c);
            split_bytes(p, value);
        }
    }
}

static void class_bytes(struct program *p, uint32_t n_sets)
{
    p->n_classes = 1;
    split_by_sets(p, n_sets);
    split_by_dfas(p);
    for (unsigned c = 256; c-- > 0;)
        p->samples[p->byte_class[c]] = (unsigned char)c;
}

/* --- all of it ---------------------------------------------------------------------------------------------------------------------- */

static enum err_code check(const struct writer *w, enum err_code code, struct err *err)
{
    struct err why;
    if (builder_err(w->b, &why))
        return err_set(err, code, NULL, "%s", why.message);
    if (w->too_large)
        return err_set(err, code, NULL, "The grammar is too large: it takes more than %u instructions.",
                       CODE_MAX);
    if (w->too_hard)
        return err_set(
            err, code, NULL,
            "The grammar is too complicated: what is to hold at the same time has too many states.");
    return ERR_OK;
}

static enum err_code analyse(struct program *p, struct writer *w, enum err_code code, bool *left,
                             struct err *err)
{
    uint32_t culprit;
    measure(p);
    if (program_len(p, p->rules[p->start].start) == LEN_NEVER)
        return err_set(err, code, NULL,
                       "No text can satisfy this: what it asks for contradicts itself or never ends.");
    if (program_need(p, p->rules[p->start].start) >
        p->calls_max) /* then its texts nest as deep as they have to */
        p->calls_max = GRAMMAR_STACK_MAX;
    if (program_need(p, p->rules[p->start].start) > GRAMMAR_STACK_MAX)
        return err_set(err, code, NULL, "Even the shortest text nests more than %d rules.",
                       GRAMMAR_STACK_MAX);
    *left = !program_order(p, &culprit);
    if (*left)
        return err_set(err, code, NULL, "Rule %s begins with a call of itself.",
                       culprit < w->b->n_rules ? w->b->rules[culprit].name : "of a repeat");
    program_mark_plain(p);
    class_bytes(p, w->n_sets);
    return ERR_OK;
}

enum err_code program_make(struct program **out, struct builder *b, size_t start, enum err_code code,
                           bool *left, struct err *err)
{
    struct program *p = mem_zalloc(sizeof *p);
    struct writer w = { .p = p, .b = b, .budget = { DFA_WORK_MAX, DFA_CELLS_MAX } };
    enum err_code failed = check(&w, code, err);
    *left = false;
    if (failed)
        goto out;
    for (size_t r = 0; r < b->n_rules; r++) {
        assert(b->rules[r].body);
        new_rule(&w, b->rules[r].body);
    }
    p->start = (uint32_t)start;
    p->calls_max = b->calls_max ? b->calls_max : GRAMMAR_STACK_MAX;
    p->unique_keys = b->unique_keys;
    p->keys_mark = b->keys_mark;
    p->keys_stop = b->keys_stop;
    p->keys_wake = b->keys_wake;
    weigh_all(&w);
    put(&w, (struct instr){ .op = OP_NEVER });
    put(&w, (struct instr){ .op = OP_RETURN });
    write_rules(&w);
    if (!w.too_large && !w.too_hard)
        place_dfas(&w);
    failed = check(&w, code, err);
    if (!failed)
        failed = analyse(p, &w, code, left, err);
out:
    mem_free(w.rule_of);
    mem_free(w.weight);
    mem_free(w.shared);
    mem_free(w.bodies);
    if (failed) {
        program_free(p);
        p = NULL;
    }
    *out = p;
    return failed;
}

void program_free(struct program *p)
{
    if (!p)
        return;
    arena_free(&p->arena);
    mem_free(p->code);
    mem_free(p->alts);
    mem_free(p->sets);
    mem_free(p->rules);
    mem_free(p->controls);
    mem_free(p->len);
    mem_free(p->need);
    mem_free(p);
}
