/*
 * dfa.c - regular nodes as automata over characters, by Brzozowski's derivatives (J. ACM 11, 1964).
 *
 * A state is a node: what may still come. Its derivative by a character is what may come after that one; complement and intersection
 * are as simple as alternatives that way, and counted repeats count by themselves (x{3,5} by x's first character leaves a rest and x{2,4}).
 * Hash-consing and the simplifications of node.c bring equal states together; alternatives are distributed over
 * what follows them, so that without intersections a state is a set of at most as many terms as the expression has places (Antimirov, TCS 155,
 * 1996), times its counts.
 *
 * The whole automaton is made at compile time, within a budget that all of a grammar's share: only so is it known which states are
 * dead, and a text that can no longer end well must be refused at its first bad byte. Sets without AND and NOT do not come here (program.c), so
 * long counts, huge enumerations and catastrophic patterns do not either.
 */
#include "grammar/dfa.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- the alphabet --------------------------------------------------------------------------------------------- */

struct span {
    uint32_t first, last;
    uint32_t class;
};

struct points {
    uint32_t *ptr;
    size_t n, cap;
};

struct making {
    struct builder *b;
    struct dfa_budget *budget;
    bool over;                /* the budget is */
    bool spelled;             /* characters are read as JSON writes them */
    uint32_t round;           /* noted of nodes: their characters are in the alphabet; their state */
    struct points cuts;       /* where spans begin */
    struct points chars;      /* of texts */
    const struct node **sets; /* classes */
    size_t n_sets, sets_cap;
    struct span *spans; /* of all characters, ascending */
    size_t n_spans, n_classes;
    uint32_t *samples; /* a character of each class */
    uint8_t *lens;     /* bytes of the shortest of each class */
    const struct node **states;
    size_t n_states, states_cap;
    uint32_t *next;
    size_t next_cap;
};

static void put_point(struct points *p, uint32_t c)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 64;
        p->ptr = mem_realloc(p->ptr, p->cap * sizeof *p->ptr);
    }
    p->ptr[p->n++] = c;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void sort_points(struct points *p)
{
    size_t m = 0;
    if (p->n)
        qsort(p->ptr, p->n, sizeof *p->ptr, by_value);
    for (size_t i = 0; i < p->n; i++)
        if (i == 0 || p->ptr[i] != p->ptr[i - 1])
            p->ptr[m++] = p->ptr[i];
    p->n = m;
}

static void put_set(struct making *m, const struct node *x)
{
    if (m->n_sets == m->sets_cap) {
        m->sets_cap = m->sets_cap ? 2 * m->sets_cap : 64;
        m->sets = mem_realloc(m->sets, m->sets_cap * sizeof *m->sets);
    }
    m->sets[m->n_sets++] = x;
}

static void collect_text(struct making *m, struct str text)
{
    uint32_t c;
    for (size_t used; text.len && (used = utf8_decode(text, &c)); text = str_slice(text, used, text.len))
        put_point(&m->chars, c);
}

/* False: it was before. */
static bool collect_first(const struct making *m, const struct node *x)
{
    struct noted *n = node_noted(m->b, x);
    bool first = n->collected != m->round;
    n->collected = m->round;
    return first;
}

static void collect(struct making *m, const struct node *x)
{
    for (; x->kind == NODE_SEQ; x = x->seq.tail) {
        if (!collect_first(m, x))
            return;
        collect(m, x->seq.head);
    }
    if (!collect_first(m, x))
        return;
    switch ((enum node_kind)x->kind) {
    case NODE_TEXT: collect_text(m, x->text); return;
    case NODE_CLASS:
        for (size_t i = 0; i < x->set.n; i++) {
            put_point(&m->cuts, x->set.ranges[i].first);
            put_point(&m->cuts, x->set.ranges[i].last + 1);
        }
        put_set(m, x);
        return;
    case NODE_OR:
    case NODE_AND:
        for (size_t i = 0; i < x->many.n; i++)
            collect(m, x->many.parts[i]);
        return;
    case NODE_NOT:
    case NODE_REPEAT: collect(m, x->rep.x); return;
    case NODE_IMAGE: collect(m, node_spelled(m->b, x)); return; /* inside of another set */
    case NODE_NEVER:
    case NODE_EMPTY:
    case NODE_SEQ:
    case NODE_CONTROL:
    case NODE_CALL: return;
    }
}

static void cut_spans(struct making *m)
{
    sort_points(&m->chars);
    for (size_t i = 0; i < m->chars.n; i++) {
        put_point(&m->cuts, m->chars.ptr[i]);
        put_point(&m->cuts, m->chars.ptr[i] + 1);
    }
    put_point(&m->cuts, 0);
    put_point(&m->cuts, 0xd800);
    put_point(&m->cuts, 0xe000);
    put_point(&m->cuts, CHAR_LAST + 1);
    sort_points(&m->cuts);
    m->spans = mem_array(m->cuts.n, sizeof *m->spans);
    for (size_t i = 0; i + 1 < m->cuts.n; i++)
        if (m->cuts.ptr[i] != 0xd800)
            m->spans[m->n_spans++] = (struct span){ m->cuts.ptr[i], m->cuts.ptr[i + 1] - 1, 0 };
}

static size_t span_at(const struct making *m, uint32_t c)
{
    size_t low = 0, high = m->n_spans;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (m->spans[mid].last < c)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Numbers the classes that have characters from 0. */
static void number_classes(struct making *m, uint32_t *number)
{
    uint32_t n = 0;
    memset(number, 0, m->n_classes * sizeof *number);
    for (size_t i = 0; i < m->n_spans; i++) {
        uint32_t *class = &number[m->spans[i].class];
        if (!*class)
            *class = ++n;
        m->spans[i].class = *class - 1;
    }
    m->n_classes = n;
}

static void spend(const struct making *m, size_t work)
{
    m->budget->work -= work < m->budget->work ? work : m->budget->work;
}

/* Splits every class into what is in the set and what is not. twin: by class, what its part inside the set is called; it has
 * room for four times the spans, and there are never more classes with characters than spans. */
static void refine(struct making *m, const struct char_range *ranges, size_t n, uint32_t *twin)
{
    if (m->n_classes > 2 * m->n_spans)
        number_classes(m, twin);
    memset(twin, 0, m->n_classes * sizeof *twin);
    size_t classes = m->n_classes;
    for (size_t r = 0; r < n; r++) {
        size_t i = span_at(m, ranges[r].first);
        for (; i < m->n_spans && m->spans[i].first <= ranges[r].last; i++) {
            uint32_t *t = &twin[m->spans[i].class];
            if (!*t)
                *t = (uint32_t)classes++;
            m->spans[i].class = *t;
        }
    }
    m->n_classes = classes;
    spend(m, n);
}

static void make_alphabet(struct making *m, const struct node *x)
{
    collect(m, x);
    cut_spans(m);
    m->n_classes = 1;
    uint32_t *twin = mem_array(4 * m->n_spans + 4, sizeof *twin);
    for (size_t i = 0; i < m->n_sets && m->budget->work; i++)
        refine(m, m->sets[i]->set.ranges, m->sets[i]->set.n, twin);
    for (size_t i = 0; i < m->chars.n && m->budget->work; i++)
        refine(m, &(struct char_range){ m->chars.ptr[i], m->chars.ptr[i] }, 1, twin);
    number_classes(m, twin);
    mem_free(twin);
    m->samples = mem_array(m->n_classes, sizeof *m->samples);
    for (size_t i = m->n_spans; i-- > 0;)
        m->samples[m->spans[i].class] = m->spans[i].first;
    spend(m, 2 * m->n_spans); /* the classifier too has to do with each */
    m->over = m->n_classes > DFA_CLASSES_MAX || m->budget->work == 0;
}

/* --- derivatives -------------------------------------------------------------------------------------------------- */

struct parts {
    const struct node **ptr;
    size_t n, cap;
};

static void put_part(struct parts *p, const struct node *x)
{
    if (p->n == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 8;
        p->ptr = mem_realloc(p->ptr, p->cap * sizeof *p->ptr);
    }
    p->ptr[p->n++] = x;
}

static const struct node *followed(const struct making *m, const struct node *x, const struct node *tail)
{
    for (const struct node *y = x; y->kind == NODE_SEQ; y = y->seq.tail)
        spend(m, 1); /* node_pair takes it apart */
    return node_pair(m->b, x, tail);
}

/* x then tail, alternatives apart. */
static void put_followed(struct making *m, struct parts *p, const struct node *x, const struct node *tail)
{
    if (x->kind != NODE_OR) {
        put_part(p, followed(m, x, tail));
        return;
    }
    for (size_t i = 0; i < x->many.n; i++)
        put_part(p, followed(m, x->many.parts[i], tail));
}

static const struct node *derive(struct making *m, const struct node *x, uint32_t c);

static const struct node *derive_parts(struct making *m, const struct node *x, uint32_t c)
{
    struct parts p = { 0 };
    for (size_t i = 0; i < x->many.n; i++)
        put_part(&p, derive(m, x->many.parts[i], c));
    const struct node *y = m->b->never;
    if (x->kind == NODE_OR) {
        y = node_or(m->b, p.ptr, p.n);
    } else {
        y = p.ptr[0];
        for (size_t i = 1; i < p.n; i++)
            y = node_and(m->b, y, p.ptr[i]);
    }
    mem_free(p.ptr);
    return y;
}

static const struct node *derive_seq(struct making *m, const struct node *x, uint32_t c)
{
    struct parts p = { 0 };
    for (; x->kind == NODE_SEQ; x = x->seq.tail) {
        put_followed(m, &p, derive(m, x->seq.head, c), x->seq.tail);
        if (!x->seq.head->nullable)
            break;
    }
    if (x->kind != NODE_SEQ)
        put_part(&p, derive(m, x, c));
    const struct node *y = node_or(m->b, p.ptr, p.n);
    mem_free(p.ptr);
    return y;
}

static const struct node *derive_repeat(struct making *m, const struct node *x, uint32_t c)
{
    struct parts p = { 0 };
    size_t min = x->rep.min ? x->rep.min - 1 : 0;
    size_t max = x->rep.max == REPEAT_ENDLESS ? REPEAT_ENDLESS : x->rep.max - 1;
    put_followed(m, &p, derive(m, x->rep.x, c), node_repeat(m->b, x->rep.x, min, max));
    const struct node *y = node_or(m->b, p.ptr, p.n);
    mem_free(p.ptr);
    return y;
}

static const struct node *derive(struct making *m, const struct node *x, uint32_t c)
{
    uint32_t first;
    if (m->budget->work == 0)
        m->over = true;
    if (m->over)
        return m->b->never;
    m->budget->work--;
    switch ((enum node_kind)x->kind) {
    case NODE_TEXT: {
        size_t used = utf8_decode(x->text, &first);
        return first == c ? node_text(m->b, str_slice(x->text, used, x->text.len)) : m->b->never;
    }
    case NODE_CLASS: return ranges_hold(x->set.ranges, x->set.n, c) ? m->b->empty : m->b->never;
    case NODE_SEQ: return derive_seq(m, x, c);
    case NODE_OR:
    case NODE_AND: return derive_parts(m, x, c);
    case NODE_NOT: return node_not(m->b, derive(m, x->rep.x, c));
    case NODE_REPEAT: return derive_repeat(m, x, c);
    case NODE_IMAGE: return derive(m, node_spelled(m->b, x), c);
    case NODE_NEVER:
    case NODE_EMPTY:
    case NODE_CONTROL:
    case NODE_CALL: break;
    }
    return m->b->never;
}

/* --- states --------------------------------------------------------------------------------------------------------- */

static uint32_t number_state(struct making *m, const struct node *x)
{
    if (x == m->b->never)
        return DFA_DEAD;
    struct noted *n = node_noted(m->b, x);
    if (n->numbered != m->round) {
        if (m->n_states == m->states_cap) {
            m->states_cap = m->states_cap ? 2 * m->states_cap : 64;
            m->states = mem_realloc(m->states, m->states_cap * sizeof *m->states);
        }
        n->numbered = m->round;
        n->state = (uint32_t)m->n_states;
        m->states[m->n_states++] = x;
    }
    return n->state;
}

static void put_row(struct making *m, size_t state)
{
    size_t need = (state + 1) * m->n_classes;
    if (need > m->next_cap) {
        m->next_cap = 2 * need;
        m->next = mem_realloc(m->next, m->next_cap * sizeof *m->next);
    }
    for (size_t k = 0; k < m->n_classes && !m->over; k++) {
        uint32_t to = number_state(m, derive(m, m->states[state], m->samples[k]));
        m->next[state * m->n_classes + k] = to;
    }
    m->over = m->over || m->budget->cells < m->n_classes || m->b->too_large;
    if (!m->over)
        m->budget->cells -= m->n_classes;
}

/* Bytes of the shortest character of each class. Above ASCII the first one of a span is. */
static void measure_classes(struct making *m)
{
    char out[8];
    m->lens = mem_array(m->n_classes, 1);
    for (size_t i = 0; i < m->n_spans; i++) {
        uint8_t *least = &m->lens[m->spans[i].class];
        for (uint32_t c = m->spans[i].first; c <= m->spans[i].last && c <= 0x80; c++) {
            uint8_t len = (uint8_t)(m->spelled ? json_spell(c, out) : utf8_encode(c, out));
            *least = *least && *least < len ? *least : len;
        }
        if (!*least)
            *least = (uint8_t)utf8_encode(m->spans[i].first, out);
    }
}

/* Which states lead to each one, and by how many bytes: the edges turned around, by state. */
struct edges {
    size_t *first; /* [n_states + 1] */
    uint32_t *from;
    uint8_t *len;
};

static struct edges turn_around(const struct making *m)
{
    size_t cells = m->n_states * m->n_classes;
    struct edges e = { .first = mem_array(m->n_states + 2, sizeof *e.first) };
    for (size_t i = 0; i < cells; i++)
        if (m->next[i] != DFA_DEAD)
            e.first[m->next[i] + 2]++;
    for (size_t s = 2; s < m->n_states + 2; s++)
        e.first[s] += e.first[s - 1];
    e.from = mem_array(e.first[m->n_states + 1] + 1, sizeof *e.from);
    e.len = mem_array(e.first[m->n_states + 1] + 1, 1);
    for (size_t i = 0; i < cells; i++) {
        if (m->next[i] == DFA_DEAD)
            continue;
        size_t at = e.first[m->next[i] + 1]++;
        e.from[at] = (uint32_t)(i / m->n_classes);
        e.len[at] = m->lens[i % m->n_classes];
    }
    return e;
}

/* dist of each state from the accepting ones backwards, in a ring of waiting states. Dead states keep UINT32_MAX. */
static void measure(const struct making *m, uint32_t *dist)
{
    struct edges e = turn_around(m);
    uint32_t *ring = mem_array(m->n_states + 1, sizeof *ring);
    bool *waits = mem_array(m->n_states, sizeof *waits);
    size_t head = 0, n = 0;
    for (size_t s = 0; s < m->n_states; s++) {
        dist[s] = m->states[s]->nullable ? 0 : UINT32_MAX;
        waits[s] = m->states[s]->nullable;
        if (waits[s])
            ring[n++] = (uint32_t)s;
    }
    while (n) {
        uint32_t s = ring[head];
        head = (head + 1) % (m->n_states + 1);
        n--;
        waits[s] = false;
        for (size_t i = e.first[s]; i < e.first[s + 1]; i++) {
            uint32_t from = e.from[i];
            if (dist[s] + e.len[i] >= dist[from])
                continue;
            dist[from] = dist[s] + e.len[i];
            if (!waits[from])
                ring[(head + n++) % (m->n_states + 1)] = from;
            waits[from] = true;
        }
    }
    mem_free(e.first);
    mem_free(e.from);
    mem_free(e.len);
    mem_free(ring);
    mem_free(waits);
}

/* --- the classifier ---------------------------------------------------------------------------------------------------- */

struct rows {
    struct dfa_row *ptr;
    size_t n, cap;
    bool *live; /* by class: some state goes on by it */
    struct {
        uint16_t to, row;
    } alike[3]; /* the newest row of each level that leads to one place throughout; row 0: none yet */
};

static uint16_t put_classifier_row(struct rows *rows, const uint16_t step[128], bool ascii)
{
    bool any = false;
    for (size_t i = 0; i < 128; i++)
        any = any || step[i] != STEP_NONE;
    if (!any)
        return STEP_NONE;
    for (size_t i = rows->n; i-- > 1;) /* a handful, or a few hundred for Unicode's properties */
        if (rows->ptr[i].ascii == ascii && memcmp(rows->ptr[i].step, step, sizeof rows->ptr[i].step) == 0)
            return (uint16_t)i;
    if (rows->n == rows->cap) {
        rows->cap = rows->cap ? 2 * rows->cap : 16;
        rows->ptr = mem_realloc(rows->ptr, rows->cap * sizeof *rows->ptr);
    }
    rows->ptr[rows->n] = (struct dfa_row){ .ascii = ascii };
    memcpy(rows->ptr[rows->n].step, step, sizeof rows->ptr[rows->n].step);
    return (uint16_t)rows->n++;
}

/* i: the first span that does not end before c. */
static uint16_t span_step(const struct making *m, const struct rows *rows, size_t i, uint32_t c,
                          uint32_t least)
{
    if (c < least || i == m->n_spans || m->spans[i].first > c || !rows->live[m->spans[i].class])
        return STEP_NONE;
    return (uint16_t)(STEP_CLASS | m->spans[i].class);
}

static uint16_t class_step(const struct making *m, const struct rows *rows, uint32_t c)
{
    return span_step(m, rows, span_at(m, c), c, 0);
}

static void clear_steps(uint16_t step[128])
{
    for (size_t i = 0; i < 128; i++)
        step[i] = STEP_NONE;
}

/* A row, and rows below it, of characters that are all of one class: most of Unicode is that, in most automata. */
static uint16_t classify_alike(struct rows *rows, uint16_t step, int levels)
{
    for (int i = 0; i < levels && step != STEP_NONE; i++) {
        if (!rows->alike[i].row || rows->alike[i].to != step) {
            uint16_t all[128];
            clear_steps(all);
            for (int k = 0; k < 64; k++)
                all[k] = step;
            rows->alike[i].to = step;
            rows->alike[i].row = put_classifier_row(rows, all, false);
        }
        step = rows->alike[i].row;
    }
    return step;
}

/* The row of the characters from base on, 64 to the power of levels of them; least: below it a form would be overlong. */
static uint16_t classify(const struct making *m, struct rows *rows, uint32_t base, int levels, uint32_t least)
{
    uint16_t step[128];
    uint32_t width = 1u << 6 * (levels - 1);
    size_t at = span_at(m, base);
    uint32_t last = base + 64 * width - 1;
    if (last < least || at == m->n_spans || m->spans[at].first > last)
        return STEP_NONE;
    if (m->spans[at].first <= base && m->spans[at].last >= last && base >= least)
        return classify_alike(rows, span_step(m, rows, at, base, least), levels);
    clear_steps(step);
    for (uint32_t i = 0; i < 64; i++) {
        while (at < m->n_spans && m->spans[at].last < base + i)
            at++;
        if (levels == 1)
            step[i] = span_step(m, rows, at, base + i, least);
        else
            step[i] = classify(m, rows, base + i * width, levels - 1, least);
    }
    return put_classifier_row(rows, step, false);
}

/* What stands behind \u00: 0 or 1 and a last digit, of characters that have no shorter escape. */
static uint16_t classify_hex(const struct making *m, struct rows *rows)
{
    uint16_t step[128], last[128];
    char out[8];
    clear_steps(step);
    for (uint32_t high = 0; high < 2; high++) {
        clear_steps(last);
        for (uint32_t low = 0; low < 16; low++)
            if (json_spell(16 * high + low, out) == 6)
                last[(unsigned char)"0123456789abcdef"[low]] = class_step(m, rows, 16 * high + low);
        step['0' + high] = put_classifier_row(rows, last, true);
    }
    return put_classifier_row(rows, step, true);
}

/* What stands behind the backslash of an escape. */
static uint16_t classify_escapes(const struct making *m, struct rows *rows)
{
    uint16_t step[128], zero[128], behind = classify_hex(m, rows);
    char out[8];
    for (int i = 0; i < 2 && behind != STEP_NONE; i++) {
        clear_steps(zero);
        zero['0'] = behind;
        behind = put_classifier_row(rows, zero, true);
    }
    clear_steps(step);
    step['u'] = behind;
    for (uint32_t c = 0; c < 0x80; c++)
        if (json_spell(c, out) == 2)
            step[(unsigned char)out[1]] = class_step(m, rows, c);
    return put_classifier_row(rows, step, true);
}

static void put_leads(const struct making *m, struct rows *rows, struct dfa *d)
{
    for (uint32_t i = 0; i < 256; i++)
        d->lead[i] = STEP_NONE;
    char out[8];
    for (uint32_t i = 0; i < 0x80; i++)
        if (!m->spelled || json_spell(i, out) == 1)
            d->lead[i] = class_step(m, rows, i);
    if (m->spelled)
        d->lead['\\'] = classify_escapes(m, rows);
    for (uint32_t i = 0xc2; i < 0xe0; i++)
        d->lead[i] = classify(m, rows, (i & 0x1f) << 6, 1, 0x80);
    for (uint32_t i = 0xe0; i < 0xf0; i++)
        d->lead[i] = classify(m, rows, (i & 0x0f) << 12, 2, 0x800);
    for (uint32_t i = 0xf0; i < 0xf5; i++)
        d->lead[i] = classify(m, rows, (i & 0x07) << 18, 3, 0x10000);
}

/* What can be reached through n steps, in how many bytes: rows below are numbered before those above. */
static void gather_classes(struct dfa *d, const uint16_t *steps, size_t n, struct dfa_row *out,
                           struct arena *arena)
{
    uint8_t *lens = mem_array(d->n_classes, 1);
    size_t found = 0, at = 0;
    for (size_t i = 0; i < n; i++) {
        if (steps[i] == STEP_NONE)
            continue;
        if (steps[i] & STEP_CLASS) {
            lens[steps[i] & ~STEP_CLASS] = 1;
            continue;
        }
        const struct dfa_row *below = &d->rows[steps[i]];
        for (size_t k = 0; k < below->n_classes; k++) {
            uint8_t *len = &lens[below->classes[k]], more = (uint8_t)(below->lens[k] + 1);
            *len = *len && *len < more ? *len : more;
        }
    }
    for (size_t k = 0; k < d->n_classes; k++)
        found += lens[k] != 0;
    uint16_t *classes = arena_array(arena, found, sizeof *classes);
    uint8_t *out_lens = arena_array(arena, found, 1);
    for (size_t k = 0; k < d->n_classes; k++) {
        if (!lens[k])
            continue;
        classes[at] = (uint16_t)k;
        out_lens[at++] = lens[k];
    }
    out->classes = classes;
    out->lens = out_lens;
    out->n_classes = found;
    mem_free(lens);
}

static void make_classifier(const struct making *m, struct dfa *d, struct arena *arena)
{
    struct rows rows = { .live = mem_array(m->n_classes, sizeof(bool)) };
    for (size_t i = 0; i < d->n_states * d->n_classes; i++)
        if (d->next[i] != DFA_DEAD)
            rows.live[i % d->n_classes] = true;
    put_classifier_row(&rows, (uint16_t[128]){ 0 }, false); /* row 0 is lead's */
    put_leads(m, &rows, d);
    d->n_rows = rows.n;
    d->rows = arena_array(arena, rows.n, sizeof *d->rows);
    memcpy(d->rows, rows.ptr, rows.n * sizeof *d->rows);
    for (size_t i = 1; i < d->n_rows; i++)
        gather_classes(d, d->rows[i].step, 128, &d->rows[i], arena);
    gather_classes(d, d->lead, 256, &d->rows[0], arena);
    mem_free(rows.live);
    mem_free(rows.ptr);
}

/* --- all of it -------------------------------------------------------------------------------------------------------------- */

static bool plain_span(const struct span *s)
{
    return s->last >= 0x20 && !(s->first == s->last && (s->first == '"' || s->first == '\\'));
}

static const bool *find_loops(const struct making *m, const uint32_t *next, struct arena *arena)
{
    bool *loops = arena_array(arena, m->n_states, sizeof *loops),
         *plain = mem_array(m->n_classes, sizeof *plain);
    for (size_t i = 0; i < m->n_spans; i++)
        plain[m->spans[i].class] = plain[m->spans[i].class] || plain_span(&m->spans[i]);
    for (size_t s = 0; s < m->n_states; s++) {
        loops[s] = true;
        for (size_t k = 0; k < m->n_classes && loops[s]; k++)
            loops[s] = !plain[k] || next[s * m->n_classes + k] == s;
    }
    mem_free(plain);
    return loops;
}

static struct dfa *finish(const struct making *m, struct arena *arena)
{
    uint32_t *dist = arena_array(arena, m->n_states, sizeof *dist);
    measure(m, dist);
    if (dist[0] == UINT32_MAX)
        return NULL;
    struct dfa *d = arena_alloc(arena, sizeof *d);
    uint32_t *next = arena_array(arena, m->n_states * m->n_classes, sizeof *next);
    for (size_t i = 0; i < m->n_states * m->n_classes; i++)
        next[i] = m->next[i] == DFA_DEAD || dist[m->next[i]] == UINT32_MAX ? DFA_DEAD : m->next[i];
    bool *more = arena_array(arena, m->n_states, sizeof *more);
    for (size_t i = 0; i < m->n_states * m->n_classes; i++)
        more[i / m->n_classes] |= next[i] != DFA_DEAD;
    d->next = next;
    d->more = more;
    d->loops = find_loops(m, next, arena);
    d->dist = dist;
    d->n_states = m->n_states;
    d->n_classes = m->n_classes;
    make_classifier(m, d, arena);
    return d;
}

bool dfa_make(struct dfa **out, struct builder *b, const struct node *x, struct dfa_budget *budget,
              struct arena *arena)
{
    struct making m = { .b = b, .budget = budget, .round = ++b->rounds };
    *out = NULL;
    assert(x->regular);
    if (x->kind == NODE_IMAGE) {
        m.spelled = true;
        x = x->rep.x;
    }
    make_alphabet(&m, x);
    measure_classes(&m);
    number_state(&m, x);
    for (size_t s = 0; s < m.n_states && !m.over; s++)
        put_row(&m, s);
    if (!m.over && m.n_states)
        *out = finish(&m, arena);
    mem_free(m.cuts.ptr);
    mem_free(m.chars.ptr);
    mem_free(m.sets);
    mem_free(m.spans);
    mem_free(m.samples);
    mem_free(m.lens);
    mem_free(m.states);
    mem_free(m.next);
    return !m.over;
}

bool dfa_has(struct builder *b, const struct node *x, struct str text, struct dfa_budget *budget)
{
    struct making m = { .b = b, .budget = budget };
    uint32_t c;
    for (size_t used; text.len && (used = utf8_decode(text, &c)); text = str_slice(text, used, text.len))
        x = derive(&m, x, c);
    return x->nullable && !text.len && !m.over;
}

bool dfa_step(const struct dfa *d, uint32_t state, uint32_t row, unsigned char byte, uint32_t *to_state,
              uint32_t *to_row)
{
    uint16_t step = row == 0 ? d->lead[byte] : dfa_row_step(&d->rows[row], byte);
    if (step == STEP_NONE)
        return false;
    const uint32_t *next = d->next + (size_t)state * d->n_classes;
    if (step & STEP_CLASS) {
        *to_state = next[step & ~STEP_CLASS];
        *to_row = 0;
        return *to_state != DFA_DEAD;
    }
    *to_state = state;
    *to_row = step;
    const struct dfa_row *below = &d->rows[step];
    for (size_t i = 0; i < below->n_classes; i++)
        if (next[below->classes[i]] != DFA_DEAD)
            return true;
    return false;
}

uint32_t dfa_dist(const struct dfa *d, uint32_t state, uint32_t row)
{
    if (row == 0)
        return d->dist[state];
    uint32_t best = UINT32_MAX;
    const struct dfa_row *r = &d->rows[row];
    for (size_t i = 0; i < r->n_classes; i++) {
        uint32_t to = d->next[(size_t)state * d->n_classes + r->classes[i]];
        if (to != DFA_DEAD && d->dist[to] + r->lens[i] < best)
            best = d->dist[to] + r->lens[i];
    }
    return best;
}
