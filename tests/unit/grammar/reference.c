/*
 * reference.c - see reference.h.
 */
#include "reference.h"

#include "grammar/node_impl.h"
#include "test.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ends[i] of a node: bit j is set where it matches text[i..j). */
struct reading {
    struct builder *b;
    struct str text;
    const struct node **nodes; /* by id: parts before wholes */
    uint64_t (*ends)[REFERENCE_TEXT_MAX + 1];
};

static bool starts_character(struct str text, size_t at)
{
    return at == text.len || ((unsigned char)text.ptr[at] & 0xc0) != 0x80;
}

static uint64_t after_each(const struct reading *r, const struct node *x, uint64_t from)
{
    uint64_t all = 0;
    for (size_t j = 0; j <= r->text.len; j++)
        if (from >> j & 1)
            all |= r->ends[x->id][j];
    return all;
}

static uint64_t repeat_ends(const struct reading *r, const struct node *x, size_t i)
{
    uint64_t at = 1ull << i, all = x->rep.min == 0 ? at : 0;
    for (size_t k = 1; k <= x->rep.max && k <= x->rep.min + r->text.len + 1; k++) {
        at = after_each(r, x->rep.x, at);
        if (k >= x->rep.min)
            all |= at;
    }
    return all;
}

static uint64_t ends_of(const struct reading *r, const struct node *x, size_t i)
{
    struct str rest = str_slice(r->text, i, r->text.len);
    uint64_t all = 0;
    uint32_t c;
    size_t used;
    switch ((enum node_kind)x->kind) {
    case NODE_NEVER: return 0;
    case NODE_EMPTY: return 1ull << i;
    case NODE_TEXT:
    case NODE_CONTROL: return str_starts(rest, x->text) ? 1ull << (i + x->text.len) : 0;
    case NODE_CLASS:
        used = utf8_decode(rest, &c);
        for (size_t k = 0; used && k < x->set.n; k++)
            if (c >= x->set.ranges[k].first && c <= x->set.ranges[k].last)
                all = 1ull << (i + used);
        return all;
    case NODE_SEQ: return after_each(r, x->seq.tail, r->ends[x->seq.head->id][i]);
    case NODE_OR:
        for (size_t k = 0; k < x->many.n; k++)
            all |= r->ends[x->many.parts[k]->id][i];
        return all;
    case NODE_AND:
        all = UINT64_MAX;
        for (size_t k = 0; k < x->many.n; k++)
            all &= r->ends[x->many.parts[k]->id][i];
        return all;
    case NODE_NOT:
        for (size_t j = i; j <= r->text.len; j++)
            if (starts_character(r->text, j) && utf8_valid(str_slice(r->text, i, j)))
                all |= 1ull << j;
        return all & ~r->ends[x->rep.x->id][i];
    case NODE_IMAGE: return 0; /* compared with what it stands for: see regex.c */
    case NODE_REPEAT: return repeat_ends(r, x, i);
    case NODE_CALL: return r->ends[r->b->rules[x->rule].body->id][i];
    }
    return 0;
}

bool reference_matches(struct builder *b, size_t start, struct str text)
{
    struct reading r = { .b = b, .text = text };
    assert(text.len <= REFERENCE_TEXT_MAX);
    r.nodes = mem_array(b->n_nodes, sizeof *r.nodes);
    r.ends = mem_array(b->n_nodes, sizeof *r.ends);
    for (size_t i = 0; i < b->table_size; i++)
        if (b->table[i])
            r.nodes[b->table[i]->id] = b->table[i];
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t n = 0; n < b->n_nodes; n++) {
            for (size_t i = 0; i <= text.len; i++) {
                uint64_t now = ends_of(&r, r.nodes[n], i);
                changed = changed || now != r.ends[n][i];
                r.ends[n][i] = now;
            }
        }
    }
    bool whole = r.ends[b->rules[start].body->id][0] >> text.len & 1;
    mem_free(r.nodes);
    mem_free(r.ends);
    return whole;
}

static void print_node(const struct node *x, struct buf *out)
{
    static const char *const names[] = { "never", "empty", "text",  "class",  "seq",     "or",
                                         "and",   "not",   "image", "repeat", "control", "call" };
    buf_printf(out, "%s(", names[x->kind]);
    if (x->kind == NODE_TEXT || x->kind == NODE_CONTROL)
        buf_put_str(out, x->text);
    for (size_t i = 0; x->kind == NODE_CLASS && i < x->set.n; i++)
        buf_printf(out, "%x-%x ", (unsigned)x->set.ranges[i].first, (unsigned)x->set.ranges[i].last);
    if (x->kind == NODE_SEQ) {
        print_node(x->seq.head, out);
        print_node(x->seq.tail, out);
    }
    for (size_t i = 0; (x->kind == NODE_OR || x->kind == NODE_AND) && i < x->many.n; i++) {
        print_node(x->many.parts[i], out);
        buf_puts(out, " ");
    }
    if (x->kind == NODE_NOT || x->kind == NODE_REPEAT)
        print_node(x->rep.x, out);
    if (x->kind == NODE_REPEAT)
        buf_printf(out, " %zu..%zd", x->rep.min, (ssize_t)x->rep.max);
    if (x->kind == NODE_CALL)
        buf_printf(out, "%zu", x->rule);
    buf_puts(out, ")");
}

void reference_print(struct builder *b, struct buf *out)
{
    for (size_t i = 0; i < b->n_rules; i++) {
        buf_printf(out, "%zu: ", i);
        print_node(b->rules[i].body, out);
        buf_puts(out, "\n");
    }
}

struct tokenizer *test_tokenizer(const char *const *words, size_t n_words, const char *const *controls,
                                 size_t n_controls)
{
    struct arena arena = { 0 };
    size_t n = 257 + n_words + n_controls;
    struct str *tokens = arena_array(&arena, n, sizeof *tokens);
    float *scores = arena_array(&arena, n, sizeof *scores);
    int32_t *types = arena_array(&arena, n, sizeof *types);
    for (size_t i = 0; i < n; i++) {
        types[i] = i < 256 ? TOKEN_BYTE : i == 256 || i >= 257 + n_words ? TOKEN_CONTROL : TOKEN_NORMAL;
        if (i < 256)
            tokens[i] = str_from(arena_printf(&arena, "<0x%02X>", (unsigned)i));
        else if (i == 256)
            tokens[i] = STR("</s>");
        else
            tokens[i] = str_from(i < 257 + n_words ? words[i - 257] : controls[i - 257 - n_words]);
        if (types[i] == TOKEN_NORMAL && tokens[i].ptr[0] == '<' && tokens[i].ptr[tokens[i].len - 1] == '>')
            types[i] = TOKEN_USER_DEFINED;
    }
    struct vocabulary v = { .model = STR("llama"),
                            .tokens = tokens,
                            .scores = scores,
                            .types = types,
                            .n_tokens = n,
                            .bos = -1,
                            .eos = 256,
                            .eot = -1,
                            .unk = -1,
                            .pad = -1,
                            .add_space_prefix = true };
    struct tokenizer *t = NULL;
    struct err err = { 0 };
    assert_int_equal(tokenizer_open(&t, &v, &err), ERR_OK);
    arena_free(&arena);
    return t;
}
