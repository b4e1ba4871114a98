/*
 * node.c - the nodes of a grammar: made once each, and simplified as they are made.
 *
 * What is simplified is what keeps the number of derivatives finite (dfa.c): sequences lean to the right, alternatives and
 * intersections are flat sets in the order of their ids, nothing and the empty text are absorbed where they can be, and one
 * character is a text and never a class.
 *
 * A builder that is full (GRAMMAR_NODES_MAX, GRAMMAR_BYTES_MAX, NODE_DEPTH_MAX) answers every further request with the node of no text, so
 * that front ends need no error path at each step; builder_err says so in the end.
 */
#include "grammar/node_impl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_FIRST 1024

static uint64_t mix(uint64_t hash, uint64_t x)
{
    hash = (hash ^ x) * 0x9e3779b97f4a7c15ull;
    return hash ^ hash >> 29;
}

/* --- the table -------------------------------------------------------------------------------------------- */

static uint64_t hash_node(const struct node *x)
{
    uint64_t h = mix(0, x->kind);
    switch ((enum node_kind)x->kind) {
    case NODE_NEVER:
    case NODE_EMPTY: return h;
    case NODE_TEXT:
    case NODE_CONTROL: return mix(h, str_hash(x->text));
    case NODE_CLASS:
        for (size_t i = 0; i < x->set.n; i++)
            h = mix(h, (uint64_t)x->set.ranges[i].first << 32 | x->set.ranges[i].last);
        return h;
    case NODE_SEQ: return mix(mix(h, x->seq.head->id), x->seq.tail->id);
    case NODE_OR:
    case NODE_AND:
        for (size_t i = 0; i < x->many.n; i++)
            h = mix(h, x->many.parts[i]->id);
        return h;
    case NODE_NOT:
    case NODE_IMAGE:
    case NODE_REPEAT: return mix(mix(mix(h, x->rep.x->id), x->rep.min), x->rep.max);
    case NODE_CALL: return mix(h, x->rule);
    }
    return h;
}

static bool same_node(const struct node *x, const struct node *y)
{
    if (x->kind != y->kind || x->hash != y->hash)
        return false;
    switch ((enum node_kind)x->kind) {
    case NODE_NEVER:
    case NODE_EMPTY: return true;
    case NODE_TEXT:
    case NODE_CONTROL: return str_eq(x->text, y->text);
    case NODE_CLASS:
        return x->set.n == y->set.n &&
               memcmp(x->set.ranges, y->set.ranges, x->set.n * sizeof *x->set.ranges) == 0;
    case NODE_SEQ: return x->seq.head == y->seq.head && x->seq.tail == y->seq.tail;
    case NODE_OR:
    case NODE_AND:
        return x->many.n == y->many.n &&
               memcmp(x->many.parts, y->many.parts, x->many.n * sizeof(void *)) == 0;
    case NODE_NOT:
    case NODE_IMAGE:
    case NODE_REPEAT: return x->rep.x == y->rep.x && x->rep.min == y->rep.min && x->rep.max == y->rep.max;
    case NODE_CALL: return x->rule == y->rule;
    }
    return false;
}

static void grow_table(struct builder *b)
{
    size_t size = b->table_size ? b->table_size * 2 : TABLE_FIRST;
    const struct node **table = mem_array(size, sizeof *table);
    for (size_t i = 0; i < b->table_size; i++) {
        if (!b->table[i])
            continue;
        size_t at = b->table[i]->hash & (size - 1);
        while (table[at])
            at = (at + 1) & (size - 1);
        table[at] = b->table[i];
    }
    mem_free(b->table);
    b->table = table;
    b->table_size = size;
}

/* What a new node refers to is moved into the arena. */
static void own(struct builder *b, struct node *x)
{
    if (x->kind == NODE_TEXT || x->kind == NODE_CONTROL) {
        x->text = arena_str(&b->arena, x->text);
        b->text_bytes += x->text.len;
    }
    if (x->kind == NODE_CLASS) {
        size_t bytes = x->set.n * sizeof *x->set.ranges;
        struct char_range *ranges = arena_alloc(&b->arena, bytes);
        memcpy(ranges, x->set.ranges, bytes);
        x->set.ranges = ranges;
        b->text_bytes += bytes;
    }
    if (x->kind == NODE_OR || x->kind == NODE_AND) {
        const struct node **parts = arena_array(&b->arena, x->many.n, sizeof *parts);
        memcpy(parts, x->many.parts, x->many.n * sizeof *parts);
        x->many.parts = parts;
    }
}

static const struct node *intern(struct builder *b, struct node x)
{
    x.hash = hash_node(&x);
    if (b->n_nodes * 2 >= b->table_size)
        grow_table(b);
    size_t at = x.hash & (b->table_size - 1);
    for (; b->table[at]; at = (at + 1) & (b->table_size - 1))
        if (same_node(b->table[at], &x))
            return b->table[at];
    if (b->n_nodes >= GRAMMAR_NODES_MAX || b->arena.used >= GRAMMAR_BYTES_MAX ||
        b->text_bytes >= GRAMMAR_TEXT_MAX || x.depth > NODE_DEPTH_MAX) {
        b->too_large = true;
        return b->never;
    }
    x.id = (uint32_t)b->n_nodes++;
    own(b, &x);
    struct node *made = arena_alloc(&b->arena, sizeof *made);
    *made = x;
    return b->table[at] = made;
}

/* --- life ---------------------------------------------------------------------------------------------------- */

struct builder *builder_open(void)
{
    static const struct char_range all[] = { { 0, 0xd7ff }, { 0xe000, CHAR_LAST } };
    struct builder *b = mem_zalloc(sizeof *b);
    b->never = intern(b, (struct node){ .kind = NODE_NEVER, .regular = true });
    b->empty = intern(b, (struct node){ .kind = NODE_EMPTY, .regular = true, .nullable = true });
    b->any = node_repeat(b, node_class(b, all, ARRAY_LEN(all)), 0, REPEAT_ENDLESS);
    return b;
}

void builder_close(struct builder *b)
{
    if (!b)
        return;
    arena_free(&b->arena);
    mem_free(b->table);
    mem_free(b->noted);
    mem_free(b->rules);
    mem_free(b);
}

enum err_code builder_err(const struct builder *b, struct err *err)
{
    if (!b->too_large)
        return ERR_OK;
    return err_set(err, ERR_INVALID_VALUE, NULL,
                   "The grammar is too large: it takes more than %d nodes, %d MiB of texts and classes, %zu "
                   "MiB in all or %d levels of nesting.",
                   GRAMMAR_NODES_MAX, GRAMMAR_TEXT_MAX >> 20, GRAMMAR_BYTES_MAX / MIB, NODE_DEPTH_MAX);
}

struct arena *builder_arena(struct builder *b)
{
    return &b->arena;
}

struct noted *node_noted(struct builder *b, const struct node *x)
{
    if (x->id >= b->n_noted) {
        size_t n = 2 * (size_t)x->id + 64;
        b->noted = mem_realloc(b->noted, n * sizeof *b->noted);
        memset(b->noted + b->n_noted, 0, (n - b->n_noted) * sizeof *b->noted);
        b->n_noted = n;
    }
    return &b->noted[x->id];
}

bool node_regular(const struct node *x)
{
    return x->regular;
}

/* --- leaves ----------------------------------------------------------------------------------------------------- */

const struct node *node_empty(struct builder *b)
{
    return b->empty;
}

const struct node *node_never(struct builder *b)
{
    return b->never;
}

const struct node *node_text(struct builder *b, struct str utf8)
{
    assert(utf8_valid(utf8));
    if (utf8.len == 0)
        return b->empty;
    return intern(b, (struct node){ .kind = NODE_TEXT, .regular = true, .text = utf8 });
}

static int by_first(const void *a, const void *b)
{
    const struct char_range *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

void ranges_sort(struct char_range *ranges, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (ranges[i].first < ranges[i - 1].first) { /* most are in order */
            qsort(ranges, n, sizeof *ranges, by_first);
            return;
        }
}

static size_t put_range(struct char_range *out, size_t n, uint32_t first, uint32_t last)
{
    if (first > last)
        return n;
    if (n && first <= out[n - 1].last + 1) {
        if (last > out[n - 1].last)
            out[n - 1].last = last;
        return n;
    }
    out[n] = (struct char_range){ first, last };
    return n + 1;
}

const struct node *node_class(struct builder *b, const struct char_range *ranges, size_t n)
{
    struct char_range *sorted = mem_array(n + 1, sizeof *sorted), *out = mem_array(2 * n + 1, sizeof *out);
    size_t m = 0;
    if (n)
        memcpy(sorted, ranges, n * sizeof *sorted);
    ranges_sort(sorted, n);
    for (size_t i = 0; i < n; i++) { /* without the surrogates, which are no characters */
        uint32_t first = sorted[i].first, last = sorted[i].last < CHAR_LAST ? sorted[i].last : CHAR_LAST;
        m = put_range(out, m, first, last < 0xd7ff ? last : 0xd7ff);
        m = put_range(out, m, first > 0xe000 ? first : 0xe000, last);
    }
    ranges_sort(out, m);
    size_t k = 0;
    for (size_t i = 0; i < m; i++)
        k = put_range(out, k, out[i].first, out[i].last);
    const struct node *x = b->never;
    char utf8[4];
    if (k == 1 && out[0].first == out[0].last)
        x = node_text(b, (struct str){ utf8, utf8_encode(out[0].first, utf8) });
    else if (k)
        x = intern(b, (struct node){ .kind = NODE_CLASS, .regular = true, .set = { out, k } });
    mem_free(sorted);
    mem_free(out);
    return x;
}

bool ranges_hold(const struct char_range *ranges, size_t n, uint32_t c)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (ranges[mid].last < c)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && ranges[low].first <= c;
}

const struct node *node_control(struct builder *b, struct str name)
{
    return name.len ? intern(b, (struct node){ .kind = NODE_CONTROL, .text = name }) : b->empty;
}

/* --- rules --------------------------------------------------------------------------------------------------------- */

size_t rule_new(struct builder *b, const char *name)
{
    if (b->n_rules == b->rules_cap) {
        b->rules_cap = b->rules_cap ? b->rules_cap * 2 : 16;
        b->rules = mem_realloc(b->rules, b->rules_cap * sizeof *b->rules);
    }
    if (b->n_rules >= GRAMMAR_NODES_MAX)
        b->too_large = true;
    b->rules[b->n_rules] = (struct rule){ .name = arena_strdup(&b->arena, name) };
    return b->n_rules++;
}

void rule_define(struct builder *b, size_t rule, const struct node *x)
{
    assert(rule < b->n_rules && !b->rules[rule].body);
    b->rules[rule].body = x;
}

const struct node *node_call(struct builder *b, size_t rule)
{
    assert(rule < b->n_rules);
    return intern(b, (struct node){ .kind = NODE_CALL, .rule = rule });
}

/* --- sequences ---------------------------------------------------------------------------------------------------------- */

static uint16_t deeper(const struct node *x)
{
    return (uint16_t)(x->depth + 1);
}

const struct node *node_pair(struct builder *b, const struct node *head, const struct node *tail)
{
    if (head == b->never || tail == b->never)
        return b->never;
    if (head == b->empty)
        return tail;
    if (tail == b->empty)
        return head;
    if (head->kind == NODE_SEQ) { /* leans to the right */
        size_t n = 1, i = 0;
        for (const struct node *x = head; x->kind == NODE_SEQ; x = x->seq.tail)
            n++;
        const struct node **parts = mem_array(n, sizeof *parts);
        for (; head->kind == NODE_SEQ; head = head->seq.tail)
            parts[i++] = head->seq.head;
        parts[i] = head;
        while (n--)
            tail = node_pair(b, parts[n], tail);
        mem_free(parts);
        return tail;
    }
    uint16_t depth = deeper(head) > tail->depth ? deeper(head) : tail->depth;
    return intern(b, (struct node){ .kind = NODE_SEQ,
                                    .nullable = head->nullable && tail->nullable,
                                    .regular = head->regular && tail->regular,
                                    .boolean = head->boolean || tail->boolean,
                                    .depth = depth,
                                    .seq = { head, tail } });
}

/* Neighbouring texts become one, which is smaller and lets alternatives be told apart by their first bytes. */
const struct node *node_seq(struct builder *b, const struct node *const *parts, size_t n)
{
    struct buf text = { 0 };
    const struct node *x = b->empty;
    while (n) {
        size_t from = n;
        while (from && parts[from - 1]->kind == NODE_TEXT)
            from--;
        if (n - from < 2) {
            x = node_pair(b, parts[--n], x);
            continue;
        }
        buf_clear(&text);
        for (size_t i = from; i < n; i++)
            buf_put_str(&text, parts[i]->text);
        x = node_pair(b, node_text(b, buf_str(&text)), x);
        n = from;
    }
    buf_free(&text);
    return x;
}

const struct node *node_repeat(struct builder *b, const struct node *x, size_t min, size_t max)
{
    if (min > max)
        return b->never;
    if (max == 0 || x == b->empty)
        return b->empty;
    if (x == b->never)
        return min ? b->never : b->empty;
    if (x->nullable)
        min = 0;
    bool endless = x->kind == NODE_REPEAT && x->rep.min <= 1 && x->rep.max == REPEAT_ENDLESS;
    if (endless && min <= 1) /* (y*)*, (y+)*, (y+)+, (y*)+ */
        return node_repeat(b, x->rep.x, min < x->rep.min ? min : x->rep.min, REPEAT_ENDLESS);
    if (min == 1 && max == 1)
        return x;
    return intern(b, (struct node){ .kind = NODE_REPEAT,
                                    .nullable = min == 0,
                                    .regular = x->regular,
                                    .boolean = x->boolean,
                                    .depth = deeper(x),
                                    .rep = { x, min, max } });
}

/* --- sets ------------------------------------------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    uint32_t x = (*(const struct node *const *)a)->id, y = (*(const struct node *const *)b)->id;
    return x < y ? -1 : x > y;
}

/* The parts of parts that are themselves of this kind, laid flat; without drop. Caller frees. */
static const struct node **flatten(const struct node *const *parts, size_t n, enum node_kind kind,
                                   const struct node *drop, size_t *out_n)
{
    size_t total = 0, m = 0;
    for (size_t i = 0; i < n; i++)
        total += parts[i]->kind == kind ? parts[i]->many.n : 1;
    const struct node **flat = mem_array(total + 2, sizeof *flat);
    for (size_t i = 0; i < n; i++) {
        if (parts[i]->kind == kind) {
            memcpy(flat + m, parts[i]->many.parts, parts[i]->many.n * sizeof *flat);
            m += parts[i]->many.n;
        } else if (parts[i] != drop) {
            flat[m++] = parts[i];
        }
    }
    *out_n = m;
    return flat;
}

static size_t sort_unique(const struct node **parts, size_t n)
{
    size_t m = 0;
    qsort(parts, n, sizeof *parts, by_id);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || parts[i] != parts[i - 1])
            parts[m++] = parts[i];
    return m;
}

static const struct node *intern_many(struct builder *b, enum node_kind kind, const struct node **parts,
                                      size_t n)
{
    struct node x = { .kind = (uint8_t)kind,
                      .nullable = kind == NODE_AND,
                      .regular = true,
                      .boolean = kind == NODE_AND,
                      .many = { parts, n } };
    for (size_t i = 0; i < n; i++) {
        x.nullable = kind == NODE_AND ? x.nullable && parts[i]->nullable : x.nullable || parts[i]->nullable;
        x.regular = x.regular && parts[i]->regular;
        x.boolean = x.boolean || parts[i]->boolean;
        x.depth = deeper(parts[i]) > x.depth ? deeper(parts[i]) : x.depth;
    }
    return intern(b, x);
}

static bool one_char(const struct node *x, uint32_t *c)
{
    return x->kind == NODE_TEXT && utf8_decode(x->text, c) == x->text.len;
}

/* Single characters and classes become one class. */
static size_t join_classes(struct builder *b, const struct node **parts, size_t n)
{
    size_t total = 0, m = 0, k = 0;
    uint32_t c;
    for (size_t i = 0; i < n; i++)
        total += parts[i]->kind == NODE_CLASS ? parts[i]->set.n : one_char(parts[i], &c);
    struct char_range *ranges = mem_array(total + 1, sizeof *ranges);
    for (size_t i = 0; i < n; i++) {
        if (parts[i]->kind == NODE_CLASS) {
            memcpy(ranges + k, parts[i]->set.ranges, parts[i]->set.n * sizeof *ranges);
            k += parts[i]->set.n;
        } else if (one_char(parts[i], &c)) {
            ranges[k++] = (struct char_range){ c, c };
        } else {
            parts[m++] = parts[i];
        }
    }
    if (k)
        parts[m++] = node_class(b, ranges, k);
    mem_free(ranges);
    return m;
}

static bool among(const struct node **parts, size_t n, const struct node *x)
{
    for (size_t i = 0; i < n; i++)
        if (parts[i] == x)
            return true;
    return false;
}

const struct node *node_or(struct builder *b, const struct node *const *parts, size_t n)
{
    const struct node **flat = flatten(parts, n, NODE_OR, b->never, &n);
    n = join_classes(b, flat, n);
    n = sort_unique(flat, n);
    const struct node *x = b->never;
    if (among(flat, n, b->any) && !among(flat, n, b->never)) {
        x = b->any;
        for (size_t i = 0; i < n; i++)
            if (!flat[i]->regular) /* a call may end in a control token */
                x = NULL;
    }
    if (n == 1)
        x = flat[0];
    else if (n && x != b->any)
        x = intern_many(b, NODE_OR, flat, n);
    mem_free(flat);
    return x;
}

static const struct node *and_of(struct builder *b, const struct node *const *parts, size_t n)
{
    const struct node **flat = flatten(parts, n, NODE_AND, b->any, &n);
    n = sort_unique(flat, n);
    const struct node *x = b->any;
    if (among(flat, n, b->never))
        x = b->never;
    else if (n == 1)
        x = flat[0];
    else if (n)
        x = intern_many(b, NODE_AND, flat, n);
    mem_free(flat);
    return x;
}

const struct node *node_and(struct builder *b, const struct node *x, const struct node *y)
{
    assert(x->regular && y->regular);
    return and_of(b, (const struct node *const[]){ x, y }, 2);
}

const struct node *node_not(struct builder *b, const struct node *x)
{
    assert(x->regular);
    if (x == b->never || x == b->any)
        return x == b->any ? b->never : b->any;
    if (x->kind == NODE_NOT)
        return x->rep.x;
    return intern(b, (struct node){ .kind = NODE_NOT,
                                    .nullable = !x->nullable,
                                    .regular = true,
                                    .boolean = true,
                                    .depth = deeper(x),
                                    .rep = { x, 0, 0 } });
}

const struct node *node_image(struct builder *b, const struct node *x)
{
    return intern(b, (struct node){ .kind = NODE_IMAGE,
                                    .nullable = x->nullable,
                                    .regular = true,
                                    .boolean = true,
                                    .depth = deeper(x),
                                    .rep = { x, 0, 0 } });
}
