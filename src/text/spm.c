/*
 * spm.c - SentencePiece's BPE, the "llama" model of GGUF files.
 *
 * Text starts as its characters; the pair of neighbours whose concatenation is the token of the highest score
 * joins, leftmost first among equals (Kudo and Richardson, "SentencePiece", 2018). Blanks are written U+2581
 * in the vocabulary and one is put before the text where the model asks. A character that is no token becomes
 * its bytes <0xNN>, or the unknown token where the vocabulary has no bytes.
 *
 * Speed: there is no split into words, but hardly any vocabulary has a blank behind another character inside
 * a token, so no join can cross such a border and each word may be merged alone. Whether that holds is found
 * out once at open.
 */
#include "text/text_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SPM_BLANK "\xE2\x96\x81" /* U+2581 LOWER ONE EIGHTH BLOCK */

/* The text with U+2581 as blanks. */
static void put_blanks_from_blocks(struct str text, struct buf *out)
{
    for (size_t at; (at = str_find(text, STR(SPM_BLANK))) != SIZE_MAX;) {
        buf_put(out, text.ptr, at);
        buf_putc(out, ' ');
        text = str_slice(text, at + strlen(SPM_BLANK), text.len);
    }
    buf_put_str(out, text);
}

static struct str blanks_from_blocks(struct str text, struct arena *arena)
{
    struct buf out = { 0 };
    put_blanks_from_blocks(text, &out);
    struct str kept = arena_str(arena, buf_str(&out));
    buf_free(&out);
    return kept;
}

/* "<0x0A>" is byte 10; -1: not spelled so. */
static int byte_token(struct str text)
{
    if (text.len != 6 || !str_starts(text, STR("<0x")) || text.ptr[5] != '>')
        return -1;
    char digits[3] = { text.ptr[3], text.ptr[4], 0 }, *end;
    long byte = strtol(digits, &end, 16);
    return end == digits + 2 ? (int)byte : -1;
}

static bool blank_inside(struct str bytes)
{
    for (size_t i = 1; i < bytes.len; i++)
        if (bytes.ptr[i] == ' ' && bytes.ptr[i - 1] != ' ')
            return true;
    return false;
}

struct scored {
    float score;
    int32_t id;
};

static int by_score(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Scores become ranks, equal ones the same, so that the merge loop compares integers. */
static void rank_scores(struct tokenizer *t, const float *scores)
{
    struct scored *order = mem_array(t->n, sizeof *order);
    for (size_t i = 0; i < t->n; i++)
        order[i] = (struct scored){ scores[i], (int32_t)i };
    qsort(order, t->n, sizeof *order, by_score);
    uint32_t rank = 0;
    for (size_t i = 0; i < t->n; i++) {
        rank += i && order[i].score != order[i - 1].score;
        t->ranks[order[i].id] = rank;
    }
    mem_free(order);
}

enum err_code spm_open(struct tokenizer *t, const struct vocabulary *v, struct err *err)
{
    if (!v->scores)
        return err_set(err, ERR_FORMAT, NULL, "A \"llama\" vocabulary needs tokenizer.ggml.scores.");
    t->splits_at_blanks = true;
    for (size_t i = 0; i < t->n; i++) {
        if (isnan(v->scores[i]))
            return err_set(err, ERR_FORMAT, NULL, "The score of token %zu is not a number.", i);
        int byte = t->types[i] == TOKEN_BYTE ? byte_token(t->text[i]) : 0;
        if (byte < 0)
            return err_set(err, ERR_FORMAT, NULL, "Byte token %zu is spelled \"%.*s\", not <0xNN>.", i,
                           STR_ARG(t->text[i]));
        if (t->types[i] == TOKEN_BYTE) {
            char c = (char)byte;
            t->bytes[i] = arena_str(&t->arena, (struct str){ &c, 1 });
            t->byte_ids[byte] = (int32_t)i;
        } else if (t->types[i] == TOKEN_NORMAL || t->types[i] == TOKEN_USER_DEFINED) {
            t->bytes[i] = blanks_from_blocks(t->text[i], &t->arena);
        }
        if (t->types[i] == TOKEN_NORMAL) {
            str_index_put(&t->by_bytes, (int32_t)i);
            t->splits_at_blanks &= !blank_inside(t->bytes[i]);
        }
    }
    t->ranks = mem_array(t->n, sizeof *t->ranks);
    rank_scores(t, v->scores);
    return ERR_OK;
}

/* --- encoding ------------------------------------------------------------------------------------------- */

static bool spm_rule(const struct tokenizer *t, struct str text, const struct symbol *left,
                     const struct symbol *right, uint32_t right_end, uint32_t *rank, int32_t *id)
{
    (void)right;
    if (right_end - left->start > t->token_bytes_max)
        return false; /* keeps a lookup's cost bounded */
    int32_t found = str_index_find(&t->by_bytes, str_slice(text, left->start, right_end));
    if (found == NO_TOKEN)
        return false;
    *rank = t->ranks[found];
    *id = found;
    return true;
}

/* A symbol that is no token: its bytes, or unknown. */
static enum err_code put_unknown(struct encoder *e, struct str bytes, struct err *err)
{
    for (size_t i = 0; i < bytes.len; i++) {
        int32_t id = e->t->byte_ids[(unsigned char)bytes.ptr[i]];
        if (id != NO_TOKEN) {
            ids_put(e->ids, id);
            continue;
        }
        if (e->t->unk == NO_TOKEN)
            return err_set(err, ERR_INVALID_VALUE, NULL, "The model's vocabulary has no token for \"%.*s\".",
                           STR_ARG(bytes));
        ids_put(e->ids, e->t->unk);
        return ERR_OK;
    }
    return ERR_OK;
}

static enum err_code encode_word(struct encoder *e, struct str word, struct err *err)
{
    struct merger *m = &e->merger;
    m->n_symbols = 0;
    for (size_t at = 0; at < word.len;) {
        uint32_t codepoint;
        size_t used = utf8_decode(str_slice(word, at, word.len), &codepoint);
        merger_add(m, (uint32_t)at, str_index_find(&e->t->by_bytes, str_slice(word, at, at + used)));
        at += used;
    }
    merger_run(m, e->t, word, spm_rule);
    for (uint32_t i = 0; i != SYMBOL_NONE; i = m->symbols[i].next) {
        const struct symbol *s = &m->symbols[i];
        if (s->id != NO_TOKEN) {
            ids_put(e->ids, s->id);
            continue;
        }
        enum err_code code = put_unknown(e, str_slice(word, s->start, symbol_end(m, s, word)), err);
        if (code)
            return code;
    }
    return ERR_OK;
}

/* Length of the first stretch that can be merged alone: up to a blank behind something else. */
static size_t word_len(const struct tokenizer *t, struct str text)
{
    if (!t->splits_at_blanks)
        return text.len;
    for (size_t i = 1; i < text.len; i++)
        if (text.ptr[i] == ' ' && text.ptr[i - 1] != ' ')
            return i;
    return text.len;
}

enum err_code spm_encode(struct encoder *e, struct str text, bool after_special, struct err *err)
{
    if (text.len == 0)
        return ERR_OK;
    bool prefix = e->t->add_space_prefix && after_special;
    if (prefix || str_find(text, STR(SPM_BLANK)) != SIZE_MAX) {
        buf_clear(&e->prefixed);
        if (prefix)
            buf_putc(&e->prefixed, ' ');
        put_blanks_from_blocks(text, &e->prefixed); /* to SentencePiece a written U+2581 is a blank */
        text = buf_str(&e->prefixed);
    }
    while (text.len) {
        size_t len = word_len(e->t, text);
        enum err_code code = encode_word(e, str_slice(text, 0, len), err);
        if (code)
            return code;
        text = str_slice(text, len, text.len);
    }
    return ERR_OK;
}
