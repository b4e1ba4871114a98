/*
 * merge.c - joins neighbouring symbols, best rank first, leftmost first among equals.
 *
 * The symbols form a linked list over one text; a heap holds the pairs that may join as (rank, left symbol).
 * An entry is not removed when a join makes it stale: when it comes up, the pair that starts at its symbol
 * now is looked up again and must still have that rank. Each join adds at most two entries, so a word of n
 * bytes costs O(n log n) however long it is, where the textbook loop of rescanning the word costs O(n^2).
 */
#include "text/text_impl.h"

#include <assert.h>

void merger_free(struct merger *m)
{
    mem_free(m->symbols);
    mem_free(m->heap);
    *m = (struct merger){ 0 };
}

struct symbol *merger_add(struct merger *m, uint32_t start, int32_t id)
{
    if (m->n_symbols == m->symbols_cap) {
        m->symbols_cap = m->symbols_cap ? m->symbols_cap * 2 : 64;
        m->symbols = mem_realloc(m->symbols, m->symbols_cap * sizeof *m->symbols);
    }
    uint32_t index = (uint32_t)m->n_symbols++;
    m->symbols[index] = (struct symbol){ .id = id, .start = start, .prev = index - 1, .next = SYMBOL_NONE };
    if (index)
        m->symbols[index - 1].next = index; /* index 0: prev is SYMBOL_NONE by wrap-around */
    return &m->symbols[index];
}

uint32_t symbol_end(const struct merger *m, const struct symbol *s, struct str text)
{
    return s->next == SYMBOL_NONE ? (uint32_t)text.len : m->symbols[s->next].start;
}

/* --- the heap: smallest first, four children a node --------------------------------------------------- */

static void sift_down(struct merger *m, size_t at)
{
    uint64_t moving = m->heap[at];
    for (size_t child; (child = at * 4 + 1) < m->n_heap;) {
        size_t end = child + 4 < m->n_heap ? child + 4 : m->n_heap, least = child;
        while (++child < end)
            if (m->heap[child] < m->heap[least])
                least = child;
        if (m->heap[least] >= moving)
            break;
        m->heap[at] = m->heap[least];
        at = least;
    }
    m->heap[at] = moving;
}

static void sift_up(struct merger *m, size_t at)
{
    uint64_t moving = m->heap[at];
    for (; at && m->heap[(at - 1) / 4] > moving; at = (at - 1) / 4)
        m->heap[at] = m->heap[(at - 1) / 4];
    m->heap[at] = moving;
}

static void heap_append(struct merger *m, uint64_t entry)
{
    if (m->n_heap == m->heap_cap) {
        m->heap_cap = m->heap_cap ? m->heap_cap * 2 : 64;
        m->heap = mem_realloc(m->heap, m->heap_cap * sizeof *m->heap);
    }
    m->heap[m->n_heap++] = entry;
}

static uint64_t heap_take(struct merger *m)
{
    uint64_t least = m->heap[0];
    m->heap[0] = m->heap[--m->n_heap];
    if (m->n_heap)
        sift_down(m, 0);
    return least;
}

/* --- joining --------------------------------------------------------------------------------------------- */

struct joining {
    struct merger *m;
    const struct tokenizer *t;
    struct str text;
    merge_rule *rule;
};

/* Asks the rule about the pair that starts at symbol index. */
static bool pair_at(const struct joining *j, uint32_t index, uint32_t *rank, int32_t *id)
{
    const struct symbol *left = &j->m->symbols[index];
    if (left->id == MERGED || left->next == SYMBOL_NONE)
        return false;
    const struct symbol *right = &j->m->symbols[left->next];
    return j->rule(j->t, j->text, left, right, symbol_end(j->m, right, j->text), rank, id);
}

static void push_pair(const struct joining *j, uint32_t index)
{
    uint32_t rank;
    int32_t id;
    if (index == SYMBOL_NONE || !pair_at(j, index, &rank, &id))
        return;
    heap_append(j->m, (uint64_t)rank << 32 | index);
    sift_up(j->m, j->m->n_heap - 1);
}

static void join(struct merger *m, uint32_t index, int32_t id)
{
    struct symbol *left = &m->symbols[index], *right = &m->symbols[left->next];
    assert(right->prev == index);
    left->id = id;
    left->next = right->next;
    if (right->next != SYMBOL_NONE)
        m->symbols[right->next].prev = index;
    right->id = MERGED;
}

void merger_run(struct merger *m, const struct tokenizer *t, struct str text, merge_rule *rule)
{
    struct joining j = { m, t, text, rule };
    m->n_heap = 0;
    uint32_t rank;
    int32_t id;
    for (uint32_t i = 0; i + 1 < m->n_symbols; i++)
        if (pair_at(&j, i, &rank, &id))
            heap_append(m, (uint64_t)rank << 32 | i);
    for (size_t i = m->n_heap / 4 + 1; i-- > 0;) /* all at once is linear, one by one is not */
        if (i < m->n_heap)
            sift_down(m, i);
    while (m->n_heap) {
        uint64_t entry = heap_take(m);
        uint32_t index = (uint32_t)entry;
        if (!pair_at(&j, index, &rank, &id) || rank != entry >> 32)
            continue;
        join(m, index, id);
        push_pair(&j, index);
        push_pair(&j, m->symbols[index].prev);
    }
}
