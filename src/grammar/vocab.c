/*
 * vocab.c - the tokens of a model, sorted for the walks of mask.c.
 *
 * What is in the tries may be part of a text: every token that stands for bytes, but none that ends a turn, and none that is markup
 * (<think>, <tool_call>): written by a model, such a token is a mark and not the letters it is spelled with, even where its
 * vocabulary gives it bytes. A grammar that wants one asks by name (node_control).
 */
#include "grammar/vocab_impl.h"

#include <stdlib.h>
#include <string.h>

struct word {
    struct str bytes;
    int32_t id;
};

static int by_bytes(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    int order = str_cmp(x->bytes, y->bytes);
    return order ? order : x->id < y->id ? -1 : 1;
}

/* Characters of a token that is plain, 0: it is not. */
static uint32_t plain_chars(struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];
        if (c < 0x20 || c == '"' || c == '\\')
            return 0;
    }
    size_t n = utf8_valid(bytes) ? utf8_count(bytes) : 0;
    return n > PLAIN_CHARS_MAX ? 0 : (uint32_t)n;
}

/* It looks like markup, and the tokenizer finds it only where markup is looked for. */
static bool is_markup(const struct tokenizer *t, int32_t id, struct str bytes)
{
    char last = bytes.ptr[bytes.len - 1];
    if (bytes.len < 3 || !((bytes.ptr[0] == '<' && last == '>') || (bytes.ptr[0] == '[' && last == ']')))
        return false;
    struct ids plain = { 0 }, special = { 0 };
    struct err err;
    bool markup = tokenizer_encode(t, bytes, ENCODE_PLAIN, &plain, &err) == ERR_OK &&
                  tokenizer_encode(t, bytes, ENCODE_SPECIAL, &special, &err) == ERR_OK && special.len == 1 &&
                  special.ptr[0] == id && !(plain.len == 1 && plain.ptr[0] == id);
    ids_free(&plain);
    ids_free(&special);
    return markup;
}

static size_t shared_prefix(struct str a, struct str b)
{
    size_t n = 0;
    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
        n++;
    return n;
}

/* Words ascending, all different. */
static void make_trie(struct trie *trie, const struct word *words, size_t n, const int32_t *same)
{
    uint32_t open[TOKEN_BYTES_MAX]; /* by depth: the node that is being filled */
    size_t total = 0, depth = 0;
    for (size_t i = 0; i < n; i++)
        total += words[i].bytes.len - (i ? shared_prefix(words[i - 1].bytes, words[i].bytes) : 0);
    trie->nodes = mem_array(total, sizeof *trie->nodes);
    for (size_t i = 0; i < n; i++) {
        size_t keep = i ? shared_prefix(words[i - 1].bytes, words[i].bytes) : 0;
        while (depth > keep)
            trie->nodes[open[--depth]].end = trie->n;
        for (; depth < words[i].bytes.len; depth++) {
            open[depth] = trie->n;
            trie->nodes[trie->n++] = (struct trie_node){ .token = -1,
                                                         .depth = (uint16_t)(depth + 1),
                                                         .byte = (uint8_t)words[i].bytes.ptr[depth] };
        }
        trie->nodes[trie->n - 1].token = words[i].id;
        trie->nodes[trie->n - 1].same = same[words[i].id] >= 0;
    }
    while (depth)
        trie->nodes[open[--depth]].end = trie->n;
}

static void set_bit(uint64_t *bits, int32_t id)
{
    bits[id / 64] |= 1ull << (id % 64);
}

/* Tokens with the bytes of the one before are chained to the first. Returns how many are left. */
static size_t chain_same(struct grammar_vocab *v, struct word *words, size_t n)
{
    size_t m = 0;
    for (size_t i = 0; i < v->n_tokens; i++)
        v->same[i] = -1;
    for (size_t i = 0; i < n; i++) {
        if (m && str_eq(words[m - 1].bytes, words[i].bytes)) {
            v->same[words[i].id] = v->same[words[m - 1].id];
            v->same[words[m - 1].id] = words[i].id;
        } else {
            words[m++] = words[i];
        }
    }
    return m;
}

static void put_plain(struct grammar_vocab *v, int32_t id, uint32_t chars)
{
    for (; id >= 0; id = v->same[id])
        set_bit(v->plain + chars * v->words, id);
}

static void sort_plain(struct grammar_vocab *v, struct word *words, size_t n)
{
    size_t odd = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t chars = plain_chars(words[i].bytes);
        v->plain_longest = chars > v->plain_longest ? chars : v->plain_longest;
    }
    v->plain = mem_array((v->plain_longest + 1) * v->words, sizeof *v->plain);
    for (size_t i = 0; i < n; i++) {
        uint32_t chars = plain_chars(words[i].bytes);
        if (chars)
            put_plain(v, words[i].id, chars);
        else
            words[odd++] = words[i];
    }
    for (size_t i = v->words; i < (v->plain_longest + 1) * v->words; i++)
        v->plain[i] |= v->plain[i - v->words];
    make_trie(&v->odd, words, odd, v->same);
}

void grammar_vocab_open(struct grammar_vocab **out, const struct tokenizer *t)
{
    struct grammar_vocab *v = mem_zalloc(sizeof *v);
    size_t n = 0;
    v->refs = 1;
    v->tokenizer = t;
    v->n_tokens = tokenizer_size(t);
    v->words = (v->n_tokens + 63) / 64;
    v->same = mem_array(v->n_tokens, sizeof *v->same);
    v->ends = mem_array(v->words, sizeof *v->ends);
    v->text = mem_array(v->words, sizeof *v->text);
    v->quoted = mem_array(v->n_tokens, sizeof *v->quoted);
    struct word *words = mem_array(v->n_tokens, sizeof *words);
    for (int32_t id = 0; (size_t)id < v->n_tokens; id++) {
        struct str bytes = tokenizer_bytes(t, id);
        if (tokenizer_ends(t, id))
            set_bit(v->ends, id);
        else if (bytes.len && bytes.len <= TOKEN_BYTES_MAX && !is_markup(t, id, bytes)) {
            words[n++] = (struct word){ bytes, id };
            set_bit(v->text, id);
            if (str_find(bytes, STR("\"")) != SIZE_MAX)
                v->quoted[v->n_quoted++] = id;
        }
    }
    qsort(words, n, sizeof *words, by_bytes);
    n = chain_same(v, words, n);
    for (size_t i = 0; i < n; i++)
        v->longest = words[i].bytes.len > v->longest ? (uint32_t)words[i].bytes.len : v->longest;
    make_trie(&v->all, words, n, v->same);
    sort_plain(v, words, n);
    mem_free(words);
    *out = v;
}

struct grammar_vocab *grammar_vocab_ref(struct grammar_vocab *v)
{
    atomic_fetch_add(&v->refs, 1);
    return v;
}

void grammar_vocab_close(struct grammar_vocab *v)
{
    if (!v || atomic_fetch_sub(&v->refs, 1) != 1)
        return;
    mem_free(v->all.nodes);
    mem_free(v->odd.nodes);
    mem_free(v->same);
    mem_free(v->plain);
    mem_free(v->text);
    mem_free(v->ends);
    mem_free(v->quoted);
    mem_free(v);
}
