/*
 * vocabulary.c - what the file says about its tokens, as text/ wants it.
 *
 * Token texts and merges stay where they are in the file; scores and types are copied, because arrays in a
 * file have no alignment. Whether the tokens make sense is for tokenizer_open to say; here sizes agree and
 * ids exist.
 */
#include "model/model_impl.h"

#include <inttypes.h>
#include <string.h>

#define KEY "tokenizer.ggml."

static enum err_code read_strings(const struct gguf *g, const char *key, const struct str **out, size_t *n,
                                  struct err *err)
{
    const struct gguf_value *v;
    enum err_code code = gguf_array(g, key, GGUF_STR, GGUF_STR, &v, err);
    if (code)
        return code;
    struct str *views = mem_array((size_t)v->count, sizeof *views);
    gguf_strings(v, views);
    *out = views;
    *n = (size_t)v->count;
    return ERR_OK;
}

/* An array of 4-byte items, one for each token; absent leaves *out NULL. */
static enum err_code read_per_token(const struct gguf *g, const char *key, enum gguf_type a, enum gguf_type b,
                                    size_t n_tokens, void **out, struct err *err)
{
    const struct gguf_value *v;
    if (!gguf_find(g, key))
        return ERR_OK;
    enum err_code code = gguf_array(g, key, a, b, &v, err);
    if (code)
        return code;
    if (v->count != n_tokens)
        return err_set(err, ERR_FORMAT, NULL, "Metadata key '%s' has %" PRIu64 " items for %zu tokens.", key,
                       v->count, n_tokens);
    *out = mem_alloc(v->len);
    memcpy(*out, v->data, v->len);
    return ERR_OK;
}

/* *id holds the default, -1 or what the tokenizer's kind implies. Some files write -1 for "none". */
static enum err_code read_id(const struct gguf *g, const char *key, size_t n_tokens, int32_t *id,
                             struct err *err)
{
    int64_t value = *id < (int64_t)n_tokens ? *id : -1;
    enum err_code code = ERR_OK;
    if (gguf_find(g, key))
        code = gguf_int(g, key, -1, (int64_t)n_tokens - 1, &value, err);
    *id = (int32_t)value;
    return code;
}

static enum err_code read_flag(const struct gguf *g, const char *key, bool *flag, struct err *err)
{
    return gguf_find(g, key) ? gguf_bool(g, key, flag, err) : ERR_OK;
}

/* What files leave out because the programs that wrote them took it for granted: SentencePiece models begin
 * with <s> = 1, </s> = 2, <unk> = 0; Llama 3's byte-level vocabulary also begins a text with its bos. */
static void set_defaults(struct vocabulary *v)
{
    bool spm = str_is(v->model, "llama");
    v->bos = spm ? 1 : -1;
    v->eos = spm ? 2 : -1;
    v->unk = spm ? 0 : -1;
    v->eot = v->pad = -1;
    v->add_bos = vocabulary_begins_with_bos(v->model, v->pre);
    v->add_eos = false;
    v->add_space_prefix = spm;
}

static enum err_code read_ids(struct vocabulary *v, const struct gguf *g, struct err *err)
{
    enum err_code code;
    if ((code = read_id(g, KEY "bos_token_id", v->n_tokens, &v->bos, err)) ||
        (code = read_id(g, KEY "eos_token_id", v->n_tokens, &v->eos, err)) ||
        (code = read_id(g, KEY "eot_token_id", v->n_tokens, &v->eot, err)) ||
        (code = read_id(g, KEY "unknown_token_id", v->n_tokens, &v->unk, err)) ||
        (code = read_id(g, KEY "padding_token_id", v->n_tokens, &v->pad, err)) ||
        (code = read_flag(g, KEY "add_bos_token", &v->add_bos, err)) ||
        (code = read_flag(g, KEY "add_eos_token", &v->add_eos, err)) ||
        (code = read_flag(g, KEY "add_space_prefix", &v->add_space_prefix, err)))
        return code;
    return ERR_OK;
}

enum err_code vocabulary_read(struct vocabulary *v, const struct gguf *g, struct err *err)
{
    *v = (struct vocabulary){ 0 };
    void *scores = NULL, *types = NULL;
    enum err_code code;
    if ((code = gguf_text(g, KEY "model", &v->model, err)) ||
        (code = read_strings(g, KEY "tokens", &v->tokens, &v->n_tokens, err)))
        return code;
    if (v->n_tokens == 0)
        return err_set(err, ERR_FORMAT, NULL, "Metadata key '" KEY "tokens' is empty.");
    if (gguf_find(g, KEY "pre") && (code = gguf_text(g, KEY "pre", &v->pre, err)))
        return code;
    if (gguf_find(g, KEY "merges") && (code = read_strings(g, KEY "merges", &v->merges, &v->n_merges, err)))
        return code;
    code = read_per_token(g, KEY "scores", GGUF_F32, GGUF_F32, v->n_tokens, &scores, err);
    v->scores = scores;
    if (code)
        return code;
    code = read_per_token(g, KEY "token_type", GGUF_I32, GGUF_U32, v->n_tokens, &types, err);
    v->types = types;
    if (code)
        return code;
    set_defaults(v);
    return read_ids(v, g, err);
}

void vocabulary_free(struct vocabulary *v)
{
    mem_free((void *)(uintptr_t)v->tokens);
    mem_free((void *)(uintptr_t)v->merges);
    mem_free((void *)(uintptr_t)v->scores);
    mem_free((void *)(uintptr_t)v->types);
    *v = (struct vocabulary){ 0 };
}
