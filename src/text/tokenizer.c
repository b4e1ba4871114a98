/*
 * tokenizer.c - a vocabulary made ready: open, encode, and questions about tokens.
 *
 * Encoding is a pass of special tokens, then the model's own rule for the text between them:
 *   text -> [special | plain text without guards]* -> bpe.c or spm.c -> ids
 * Everything an open tokenizer holds is copied; after open it is read-only, so threads share it freely.
 */
#include "text/text_impl.h"

#include <string.h>

void ids_put(struct ids *ids, int32_t id)
{
    if (ids->len == ids->cap) {
        ids->cap = ids->cap ? ids->cap * 2 : 64;
        ids->ptr = mem_realloc(ids->ptr, ids->cap * sizeof *ids->ptr);
    }
    ids->ptr[ids->len++] = id;
}

void ids_free(struct ids *ids)
{
    mem_free(ids->ptr);
    *ids = (struct ids){ 0 };
}

/* --- open ------------------------------------------------------------------------------------------------ */

/* Spellings that end a turn in the families' templates, whatever the file names as eos. */
static const char *const end_texts[] = {
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<|end|>",
    "<end_of_turn>",
    "<|eot|>",
    "<EOT>",
    "_<EOT>",
    "</s>",
    "<|return|>",
    "<|call|>",
    "<|end_of_turn|>",
    "<｜end▁of▁sentence｜>",
    "<eos>",
    "<|END_OF_TURN_TOKEN|>",
};

/* Gemma's vocabulary has the elements of HTML as words. */
static const char *const html[] = { "table",      "caption", "thead", "tbody", "tfoot", "tr",   "th",
                                    "td",         "h1",      "h2",    "h3",    "h4",    "h5",   "h6",
                                    "blockquote", "strong",  "em",    "b",     "i",     "u",    "s",
                                    "sub",        "sup",     "code",  "ul",    "ol",    "li",   "p",
                                    "a",          "img",     "br",    "hr",    "div",   "span", "pre" };

static bool is_html(struct str text)
{
    if (!str_ends(text, STR(">")) || text.len < 3)
        return false;
    struct str name = str_slice(text, text.ptr[1] == '/' ? 2 : 1, text.len - 1);
    for (size_t i = 0; i < ARRAY_LEN(html); i++)
        if (str_is(name, html[i]))
            return true;
    return false;
}

/* User-defined tokens are two kinds that files do not tell apart: words that the merges could not reach
 * (runs of blanks, "ü", <b>), and markup that steers (<think>, <tool_call>, [INST]). Markup is what must
 * never come from a user's words, so what looks like it is treated like a control token. */
static bool is_markup(struct str text)
{
    return text.ptr[0] == '[' || (text.ptr[0] == '<' && !is_html(text));
}

static enum err_code check_id(const struct vocabulary *v, int32_t id, const char *name, struct err *err)
{
    if (id < -1 || (id >= 0 && (size_t)id >= v->n_tokens))
        return err_set(err, ERR_FORMAT, NULL, "The vocabulary's %s token %d is not one of its %zu tokens.",
                       name, id, v->n_tokens);
    return ERR_OK;
}

static enum err_code check_vocabulary(const struct vocabulary *v, struct err *err)
{
    if (v->n_tokens == 0 || v->n_tokens > TOKENS_MAX || !v->tokens)
        return err_set(err, ERR_FORMAT, NULL, "A vocabulary of %zu tokens is not supported.", v->n_tokens);
    const struct {
        int32_t id;
        const char *name;
    } ids[] = {
        { v->bos, "bos" }, { v->eos, "eos" }, { v->eot, "eot" }, { v->unk, "unknown" }, { v->pad, "padding" }
    };
    for (size_t i = 0; i < ARRAY_LEN(ids); i++)
        if (check_id(v, ids[i].id, ids[i].name, err))
            return ERR_FORMAT;
    for (size_t i = 0; v->types && i < v->n_tokens; i++)
        if (v->types[i] < 0 || v->types[i] > TOKEN_BYTE)
            return err_set(err, ERR_FORMAT, NULL, "Token %zu of the vocabulary has the unknown type %d.", i,
                           (int)v->types[i]);
    return ERR_OK;
}

static void copy_tokens(struct tokenizer *t, const struct vocabulary *v)
{
    t->n = v->n_tokens;
    t->text = mem_array(t->n, sizeof *t->text);
    t->bytes = mem_array(t->n, sizeof *t->bytes);
    t->types = mem_array(t->n, sizeof *t->types);
    t->ends = mem_array(t->n, sizeof *t->ends);
    str_index_init(&t->by_text, t->text, t->n);
    str_index_init(&t->by_bytes, t->bytes, t->n);
    for (size_t i = 0; i < t->n; i++) {
        t->text[i] = arena_str(&t->arena, v->tokens[i]);
        /* 0, "undefined" in the oldest files, means nothing was said. */
        t->types[i] = v->types && v->types[i] ? (uint8_t)v->types[i] : TOKEN_NORMAL;
        str_index_put(&t->by_text, (int32_t)i);
    }
    t->bos = v->bos, t->eos = v->eos, t->eot = v->eot, t->unk = v->unk;
    t->add_bos = v->add_bos, t->add_eos = v->add_eos, t->add_space_prefix = v->add_space_prefix;
    memset(t->byte_ids, 0xFF, sizeof t->byte_ids); /* NO_TOKEN */
}

/* Phi 3's tokens of a turn take the blanks behind them along ("<|user|>\n" is one token), which its
 * tokenizer says of each and GGUF files leave out. The vocabulary is known by its placeholders; these
 * three do not. */
static bool eats_blanks(const struct tokenizer *t, struct str text)
{
    bool phi3 = t->spm && str_index_find(&t->by_text, STR("<|placeholder1|>")) != NO_TOKEN;
    return phi3 && !str_is(text, "<s>") && !str_is(text, "<unk>") && !str_is(text, "<|endoftext|>");
}

/* After the model's open: bytes are known. */
static void collect_specials(struct tokenizer *t)
{
    t->specials.rows = mem_array(t->n, sizeof *t->specials.rows);
    for (size_t i = 0; i < t->n; i++) {
        bool user = t->types[i] == TOKEN_USER_DEFINED;
        if (user && !t->bytes[i].len)
            t->bytes[i] = t->text[i];
        struct str text = user ? t->bytes[i] : t->text[i];
        if ((user || t->types[i] == TOKEN_CONTROL || t->types[i] == TOKEN_UNKNOWN) && text.len)
            t->specials.rows[t->specials.count++] =
                (struct special){ text, (int32_t)i, user && !is_markup(text), !user && eats_blanks(t, text) };
        if (t->types[i] == TOKEN_NORMAL && t->bytes[i].len > t->token_bytes_max)
            t->token_bytes_max = t->bytes[i].len;
    }
    specials_sort(&t->specials);
}

/* Harmony ends each message with <|end|>, and a turn with one of two others. */
static bool ends_messages(const struct tokenizer *t, const char *text)
{
    return strcmp(text, "<|end|>") == 0 && tokenizer_find(t, STR("<|return|>")) != NO_TOKEN &&
           tokenizer_find(t, STR("<|call|>")) != NO_TOKEN;
}

static void mark_ends(struct tokenizer *t)
{
    for (size_t i = 0; i < ARRAY_LEN(end_texts); i++) {
        int32_t id = str_index_find(&t->by_text, str_from(end_texts[i]));
        if (id != NO_TOKEN && (t->types[id] == TOKEN_CONTROL || t->types[id] == TOKEN_USER_DEFINED))
            t->ends[id] = !ends_messages(t, end_texts[i]);
    }
    if (t->eos != NO_TOKEN)
        t->ends[t->eos] = true;
    if (t->eot != NO_TOKEN)
        t->ends[t->eot] = true;
}

static enum err_code open_model(struct tokenizer *t, const struct vocabulary *v, struct err *err)
{
    if (str_is(v->model, "gpt2"))
        return bpe_open(t, v, err);
    t->spm = str_is(v->model, "llama");
    if (t->spm)
        return spm_open(t, v, err);
    return err_set(err, ERR_FORMAT, NULL,
                   "The tokenizer model \"%.*s\" is not supported (gpt2 and llama are).", STR_ARG(v->model));
}

enum err_code tokenizer_open(struct tokenizer **out, const struct vocabulary *v, struct err *err)
{
    enum err_code code = check_vocabulary(v, err);
    if (code)
        return code;
    struct tokenizer *t = mem_zalloc(sizeof *t);
    copy_tokens(t, v);
    code = open_model(t, v, err);
    if (code) {
        tokenizer_close(t);
        return code;
    }
    collect_specials(t);
    mark_ends(t);
    *out = t;
    return ERR_OK;
}

void tokenizer_close(struct tokenizer *t)
{
    if (!t)
        return;
    splitter_close(t->splitter);
    str_index_free(&t->by_text);
    str_index_free(&t->by_bytes);
    mem_free(t->text);
    mem_free(t->bytes);
    mem_free(t->types);
    mem_free(t->ends);
    mem_free(t->merges);
    mem_free(t->ranks);
    mem_free(t->specials.rows);
    arena_free(&t->arena);
    mem_free(t);
}

/* --- encode ---------------------------------------------------------------------------------------------- */

/* Where the text goes on: where the last special token ended and whether there was one. */
struct cursor {
    struct buf plain; /* text since then, guards taken out */
    bool after_special;
};

static enum err_code flush(struct encoder *e, struct cursor *c, struct err *err)
{
    struct str text = buf_str(&c->plain);
    if (text.len == 0)
        return ERR_OK;
    size_t valid = utf8_valid_len(text);
    if (valid < text.len)
        return err_set(err, ERR_INVALID_VALUE, NULL, "The text is not UTF-8 (byte 0x%02x).",
                       (unsigned char)text.ptr[valid]);
    enum err_code code = e->t->spm ? spm_encode(e, text, c->after_special, err) : bpe_encode(e, text, err);
    buf_clear(&c->plain);
    c->after_special = false;
    return code;
}

/* Behind the blanks at the start of text. A guard before a blank guards nothing; one before anything else
 * stays. */
static size_t blanks_len(struct str text)
{
    size_t len = 0, i = 0;
    for (; i < text.len && (text.ptr[i] == GUARD_BYTE || memchr(" \t\n\v\f\r", text.ptr[i], 6)); i++)
        if (text.ptr[i] != GUARD_BYTE)
            len = i + 1;
    return len;
}

/* A token may not start right behind a guard nor span one; it cannot span one since no token holds the
 * byte. */
static enum err_code encode_text(struct encoder *e, struct str text, bool specials, struct cursor *c,
                                 struct err *err)
{
    bool guarded = false;
    size_t shown = 0; /* text before this was put into plain */
    enum err_code code = ERR_OK;
    for (size_t at = 0; at < text.len && !code;) {
        if (text.ptr[at] == GUARD_BYTE) {
            buf_put_str(&c->plain, str_slice(text, shown, at));
            shown = ++at;
            guarded = true;
            continue;
        }
        const struct special *found =
            specials_match(&e->t->specials, str_slice(text, at, text.len), !specials || guarded);
        guarded = false;
        if (!found) {
            at++;
            continue;
        }
        buf_put_str(&c->plain, str_slice(text, shown, at));
        code = flush(e, c, err);
        ids_put(e->ids, found->id);
        c->after_special = true;
        at += found->text.len;
        if (found->eats)
            at += blanks_len(str_slice(text, at, text.len));
        shown = at;
    }
    if (code)
        return code;
    buf_put_str(&c->plain, str_slice(text, shown, text.len));
    return flush(e, c, err);
}

enum err_code tokenizer_encode(const struct tokenizer *t, struct str text, unsigned flags, struct ids *ids,
                               struct err *err)
{
    if (text.len > TEXT_BYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, NULL,
                       "A text of %zu bytes is longer than the tokenizer's limit of %zu.", text.len,
                       TEXT_BYTES_MAX);
    struct encoder e = { .t = t, .ids = ids };
    struct cursor c = { .after_special = !(flags & ENCODE_INSIDE) };
    if ((flags & ENCODE_BOS) && t->add_bos && t->bos != NO_TOKEN)
        ids_put(ids, t->bos);
    enum err_code code = encode_text(&e, text, flags & ENCODE_SPECIAL, &c, err);
    if (!code && (flags & ENCODE_BOS) && t->add_eos && t->eos != NO_TOKEN)
        ids_put(ids, t->eos);
    merger_free(&e.merger);
    buf_free(&e.prefixed);
    buf_free(&c.plain);
    return code;
}

/* --- questions ---------------------------------------------------------------------------------------------- */

static bool is_token(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->n;
}

size_t tokenizer_size(const struct tokenizer *t)
{
    return t->n;
}

struct str tokenizer_bytes(const struct tokenizer *t, int32_t id)
{
    return is_token(t, id) ? t->bytes[id] : (struct str){ 0 };
}

struct str tokenizer_text(const struct tokenizer *t, int32_t id)
{
    return is_token(t, id) ? t->text[id] : (struct str){ 0 };
}

int32_t tokenizer_find(const struct tokenizer *t, struct str text)
{
    int32_t id = str_index_find(&t->by_text, text);
    return id != NO_TOKEN ? id : str_index_find(&t->by_bytes, text);
}

bool tokenizer_ends(const struct tokenizer *t, int32_t id)
{
    return is_token(t, id) && t->ends[id];
}

int32_t tokenizer_bos(const struct tokenizer *t)
{
    return t->bos;
}

int32_t tokenizer_eos(const struct tokenizer *t)
{
    return t->eos;
}
