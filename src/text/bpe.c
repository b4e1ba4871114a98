/*
 * bpe.c - byte-level byte-pair encoding, the "gpt2" model of GGUF files.
 *
 * A word starts as its bytes; the pair of neighbours that comes first in the list of merges joins, again and
 * again (Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", 2016; over bytes:
 * GPT-2). The table of merges maps a pair of token ids to its place in the list and the joined token.
 *
 * Some vocabularies lack bytes that their texts never had (Falcon's, StarCoder's: control characters). Such a
 * byte joins nothing and is left out, as in the tokenizers these models were trained with.
 */
#include "text/text_impl.h"

#include <string.h>

static size_t pair_hash(int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key *= 0x9E3779B97F4A7C15u; /* 2^64 / golden ratio; the high half is well mixed */
    return (size_t)(key >> 32 ^ key >> 11);
}

static const struct merge_row *find_merge(const struct tokenizer *t, int32_t left, int32_t right)
{
    for (size_t at = pair_hash(left, right) & t->merges_mask;; at = (at + 1) & t->merges_mask) {
        const struct merge_row *row = &t->merges[at];
        if (row->left == NO_TOKEN)
            return NULL;
        if (row->left == left && row->right == right)
            return row;
    }
}

static void put_merge(struct tokenizer *t, struct merge_row row)
{
    size_t at = pair_hash(row.left, row.right) & t->merges_mask;
    while (t->merges[at].left != NO_TOKEN) {
        if (t->merges[at].left == row.left && t->merges[at].right == row.right)
            return; /* listed twice: the first place counts */
        at = (at + 1) & t->merges_mask;
    }
    t->merges[at] = row;
}

/* "left right": no spelled token holds a blank, but a vocabulary may list one that starts with it. */
static enum err_code read_merge(struct tokenizer *t, struct str merge, size_t rank, struct buf *joined,
                                struct err *err)
{
    const char *blank = merge.len > 2 ? memchr(merge.ptr + 1, ' ', merge.len - 2) : NULL;
    if (!blank)
        return err_set(err, ERR_FORMAT, NULL, "Merge %zu of the vocabulary is not two tokens and a blank.",
                       rank);
    size_t cut = (size_t)(blank - merge.ptr);
    struct str left = str_slice(merge, 0, cut), right = str_slice(merge, cut + 1, merge.len);
    buf_clear(joined);
    buf_put_str(joined, left);
    buf_put_str(joined, right);
    struct merge_row row = { .left = str_index_find(&t->by_text, left),
                             .right = str_index_find(&t->by_text, right),
                             .rank = (uint32_t)rank,
                             .id = str_index_find(&t->by_text, buf_str(joined)) };
    if (row.left == NO_TOKEN || row.right == NO_TOKEN || row.id == NO_TOKEN)
        return err_set(err, ERR_FORMAT, NULL, "Merge %zu of the vocabulary (\"%.*s\") names no token.", rank,
                       STR_ARG(merge));
    put_merge(t, row);
    return ERR_OK;
}

static enum err_code read_merges(struct tokenizer *t, const struct vocabulary *v, struct err *err)
{
    if (v->n_merges > TOKENS_MAX || (v->n_merges && !v->merges))
        return err_set(err, ERR_FORMAT, NULL, "A vocabulary of %zu merges is not supported.", v->n_merges);
    size_t rows = 16;
    while (rows < v->n_merges * 2)
        rows *= 2;
    t->merges = mem_alloc(rows * sizeof *t->merges);
    t->merges_mask = rows - 1;
    for (size_t i = 0; i < rows; i++)
        t->merges[i].left = NO_TOKEN;
    struct buf joined = { 0 };
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < v->n_merges && !code; i++)
        code = read_merge(t, v->merges[i], i, &joined, err);
    buf_free(&joined);
    return code;
}

/* Without merges no word of more than a byte would ever be built. */
static enum err_code check_merges(const struct tokenizer *t, const struct vocabulary *v, struct err *err)
{
    for (size_t i = 0; i < t->n && v->n_merges == 0; i++)
        if (t->types[i] == TOKEN_NORMAL && t->bytes[i].len > 1)
            return err_set(err, ERR_FORMAT, NULL, "A \"gpt2\" vocabulary needs tokenizer.ggml.merges.");
    return ERR_OK;
}

enum err_code bpe_open(struct tokenizer *t, const struct vocabulary *v, struct err *err)
{
    enum err_code code = splitter_open(&t->splitter, v->pre, err);
    if (code)
        return code;
    for (size_t i = 0; i < t->n; i++) {
        if (t->types[i] != TOKEN_NORMAL)
            continue;
        if (!bytes_from_spelling(t->text[i], &t->arena, &t->bytes[i]))
            t->bytes[i] = t->text[i]; /* an added word that was never spelled in bytes */
        str_index_put(&t->by_bytes, (int32_t)i);
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        t->byte_ids[byte] = str_index_find(&t->by_bytes, (struct str){ &c, 1 });
    }
    code = check_merges(t, v, err);
    return code ? code : read_merges(t, v, err);
}

/* --- encoding ------------------------------------------------------------------------------------------- */

static bool bpe_rule(const struct tokenizer *t, struct str text, const struct symbol *left,
                     const struct symbol *right, uint32_t right_end, uint32_t *rank, int32_t *id)
{
    (void)text, (void)right_end;
    if (left->id == NO_TOKEN || right->id == NO_TOKEN)
        return false;
    const struct merge_row *row = find_merge(t, left->id, right->id);
    if (row) {
        *rank = row->rank;
        *id = row->id;
    }
    return row != NULL;
}

static enum err_code encode_word(void *ctx, struct str word, struct err *err)
{
    (void)err;
    struct encoder *e = ctx;
    const struct tokenizer *t = e->t;
    if (splitter_ignores_merges(t->splitter) && word.len <= t->token_bytes_max) {
        int32_t whole = str_index_find(&t->by_bytes, word);
        if (whole != NO_TOKEN) {
            ids_put(e->ids, whole);
            return ERR_OK;
        }
    }
    struct merger *m = &e->merger;
    m->n_symbols = 0;
    for (size_t i = 0; i < word.len; i++)
        merger_add(m, (uint32_t)i, t->byte_ids[(unsigned char)word.ptr[i]]);
    merger_run(m, t, word, bpe_rule);
    for (uint32_t i = 0; i != SYMBOL_NONE; i = m->symbols[i].next)
        if (m->symbols[i].id != NO_TOKEN)
            ids_put(e->ids, m->symbols[i].id);
    return ERR_OK;
}

enum err_code bpe_encode(struct encoder *e, struct str text, struct err *err)
{
    return splitter_run(e->t->splitter, text, (struct word_sink){ encode_word, e }, err);
}
