/*
 * render.c - a document as the tokens of a training row.
 *
 * The prompt goes through the chat template and the tokenizer of src/text, guarded as the engine guards it, so that what
 * is trained on is byte for byte what is served. What the model writes is tokenised in the pieces in which it will
 * stand in a reply: a forced closing sentence begins a piece of its own, as it does when the engine forces it.
 *
 * Kinds of documents: working, then the answer; KIND_OFF, thinking switched off; KIND_CUT, cut at a random place by the
 * closing sentence, so that a spent budget still ends in an answer; KIND_MORE, told to go on behind the working, with a check that half of the time finds a slip and mends it.
 */
#include "corpus.h"

#include "base/file.h"
#include "json/json.h"

#include <assert.h>
#include <string.h>

#define TOKENIZER_BYTES_MAX (16 * MIB)
#define TEMPLATE_BYTES_MAX  (256 * KIB)
#define REQUESTS_BYTES_MAX  (64 * MIB)

enum kind { KIND_PLAIN, KIND_OFF, KIND_CUT, KIND_MORE };

struct renderer {
    struct tokenizer *tokenizer;
    struct chat_template *chat;
    struct reply_format *reply;
    char *close;
    json_t *requests; /* array of strings, or NULL; only read */
};

/* --- opening -------------------------------------------------------------------------------------------------- */

static enum err_code read_json_file(json_t **out, const char *path, size_t bytes_max, struct err *err)
{
    struct buf bytes = { 0 };
    enum err_code code = file_read(&bytes, path, bytes_max, err);
    if (!code)
        code = json_read(out, buf_str(&bytes), err);
    buf_free(&bytes);
    return code;
}

static struct str text_of(const json_t *v)
{
    return (struct str){ json_string_value(v), json_string_length(v) };
}

/* Ids run from 0 without gaps, or the file is not what the trainer wrote. */
static enum err_code place_tokens(const json_t *vocab, struct str *tokens, size_t n, struct err *err)
{
    const char *text;
    json_t *id;
    json_object_foreach((json_t *)vocab, text, id)
    {
        json_int_t i = json_integer_value(id);
        if (i < 0 || (size_t)i >= n || tokens[i].ptr)
            return err_set(err, ERR_FORMAT, NULL, "The tokenizer's id %lld is out of range or given twice.",
                           (long long)i);
        tokens[i] = str_from(text);
    }
    return ERR_OK;
}

/* merges: ["left", "right"], or "left right" in older files. */
static enum err_code read_merges(const json_t *merges, struct str *out, struct buf *texts, struct err *err)
{
    size_t i;
    json_t *m;
    json_array_foreach(merges, i, m)
    {
        if (json_is_string(m))
            buf_put_str(texts, text_of(m));
        else if (json_array_size(m) == 2)
            buf_printf(texts, "%s %s", json_string_value(json_array_get(m, 0)),
                       json_string_value(json_array_get(m, 1)));
        else
            return err_set(err, ERR_FORMAT, NULL, "Merge %zu of the tokenizer is no pair.", i);
        buf_putc(texts, '\0');
    }
    const char *at = texts->ptr;
    for (i = 0; i < json_array_size(merges); i++, at += out[i - 1].len + 1)
        out[i] = str_from(at);
    return ERR_OK;
}

/* Every token that was added to the merged ones is a special one. */
static void mark_added(const json_t *added, int32_t *types, size_t n)
{
    size_t i;
    json_t *a;
    json_array_foreach(added, i, a)
    {
        json_int_t id = json_integer_value(json_object_get(a, "id"));
        if (id >= 0 && (size_t)id < n)
            types[id] = TOKEN_CONTROL;
    }
}

/* merge_texts holds what v.merges views; all of it may go when the tokenizer is open. */
static enum err_code open_vocabulary(struct renderer *r, const json_t *file, struct buf *merge_texts,
                                     struct err *err)
{
    const json_t *model = json_object_get(file, "model"), *vocab = json_object_get(model, "vocab");
    const json_t *merges = json_object_get(model, "merges");
    size_t n = json_object_size(vocab), n_merges = json_array_size(merges);
    struct str *tokens = mem_array(n + 1, sizeof *tokens), *pairs = mem_array(n_merges + 1, sizeof *pairs);
    int32_t *types = mem_array(n + 1, sizeof *types);
    const struct vocabulary v = { .model = STR("gpt2"),
                                  .pre = STR("qwen2"),
                                  .tokens = tokens,
                                  .types = types,
                                  .n_tokens = n,
                                  .merges = pairs,
                                  .n_merges = n_merges,
                                  .bos = -1,
                                  .eos = -1,
                                  .eot = -1,
                                  .unk = -1,
                                  .pad = -1 };
    enum err_code code = place_tokens(vocab, tokens, n, err);
    mark_added(json_object_get(file, "added_tokens"), types, n);
    if (!code)
        code = read_merges(merges, pairs, merge_texts, err);
    if (!code)
        code = tokenizer_open(&r->tokenizer, &v, err);
    mem_free(tokens);
    mem_free(pairs);
    mem_free(types);
    return code;
}

static enum err_code open_tokenizer(struct renderer *r, const char *path, struct err *err)
{
    json_t *file = NULL;
    struct buf merge_texts = { 0 };
    enum err_code code = read_json_file(&file, path, TOKENIZER_BYTES_MAX, err);
    if (!code)
        code = open_vocabulary(r, file, &merge_texts, err);
    if (!code && tokenizer_size(r->tokenizer) > TOKEN_ID_MASK)
        code = err_set(err, ERR_FORMAT, NULL, "A row has room for ids up to %d.", TOKEN_ID_MASK);
    buf_free(&merge_texts);
    json_decref(file);
    return code;
}

static enum err_code open_template(struct renderer *r, const char *path, struct err *err)
{
    struct buf source = { 0 };
    enum err_code code = file_read(&source, path, TEMPLATE_BYTES_MAX, err);
    if (!code)
        code = chat_template_open(&r->chat, buf_str(&source), err);
    if (!code)
        reply_format_open(&r->reply, r->tokenizer, buf_str(&source));
    buf_free(&source);
    return code;
}

enum err_code renderer_open(struct renderer **out, const struct renderer_config *cfg, struct err *err)
{
    struct renderer *r = mem_zalloc(sizeof *r);
    r->close = mem_strdup(cfg->close ? cfg->close : "");
    enum err_code code = open_tokenizer(r, cfg->tokenizer, err);
    if (!code)
        code = open_template(r, cfg->template, err);
    if (!code && cfg->requests)
        code = read_json_file(&r->requests, cfg->requests, REQUESTS_BYTES_MAX, err);
    if (code) {
        renderer_close(r);
        return code;
    }
    *out = r;
    return ERR_OK;
}

void renderer_close(struct renderer *r)
{
    if (!r)
        return;
    reply_format_close(r->reply);
    chat_template_close(r->chat);
    tokenizer_close(r->tokenizer);
    json_decref(r->requests);
    mem_free(r->close);
    mem_free(r);
}

const struct tokenizer *renderer_tokenizer(const struct renderer *r)
{
    return r->tokenizer;
}

/* --- the prompt ----------------------------------------------------------------------------------------------- */

static json_t *guarded(const struct renderer *r, struct str text)
{
    struct buf b = { 0 };
    text_guard(r->tokenizer, text, &b);
    json_t *out = json_stringn_nocheck(b.len ? b.ptr : "", b.len);
    buf_free(&b);
    return out;
}

static void add_message(json_t *messages, const char *role, json_t *content)
{
    json_t *m = json_object();
    json_object_set_new(m, "role", json_string(role));
    json_object_set_new(m, "content", content);
    json_array_append_new(messages, m);
}

/* [{name, arguments}] as templates expect them: [{type, function: {name, arguments}}]. */
static json_t *template_calls(json_t *calls)
{
    json_t *out = json_array(), *call;
    size_t i;
    json_array_foreach(calls, i, call)
    {
        json_t *made = json_object();
        json_object_set_new(made, "type", json_string("function"));
        json_object_set(made, "function", call);
        json_array_append_new(out, made);
    }
    return out;
}

/* An earlier reply comes back as a client sends it: calls apart from text, thoughts gone. */
static enum err_code add_reply(const struct renderer *r, json_t *messages, struct str text, struct err *err)
{
    json_t *calls = NULL;
    size_t at = str_find(text, STR("<tool_call>"));
    if (at == SIZE_MAX) {
        add_message(messages, "assistant", guarded(r, text));
        return ERR_OK;
    }
    enum err_code code = reply_calls(r->reply, str_slice(text, at, text.len), &calls, err);
    if (code)
        return code;
    add_message(messages, "assistant", guarded(r, str_trim(str_slice(text, 0, at))));
    json_object_set_new(json_array_get(messages, json_array_size(messages) - 1), "tool_calls",
                        template_calls(calls));
    json_decref(calls);
    return ERR_OK;
}

static enum err_code add_turns(const struct renderer *r, const struct document *d, json_t *messages,
                               struct err *err)
{
    enum err_code code = ERR_OK;
    for (int i = 0; i < d->turns_len && !code; i++) {
        const struct turn *t = &d->turns[i];
        add_message(messages, t->tool ? "tool" : "user", guarded(r, buf_str(&t->said)));
        if (i + 1 < d->turns_len)
            code = add_reply(r, messages, buf_str(&t->text), err);
    }
    return code;
}

enum err_code render_prompt(const struct renderer *r, const struct document *d, bool think, struct buf *out,
                            struct err *err)
{
    json_t *v = json_object(), *messages = json_array(), *tools = NULL;
    enum err_code code = ERR_OK;
    json_object_set_new(v, "messages", messages);
    json_object_set_new(v, "add_generation_prompt", json_true());
    json_object_set_new(v, "enable_thinking", json_boolean(think));
    json_object_set_new(v, "reasoning_effort", json_string(exam_effort_name(d->effort)));
    if (d->system.len)
        add_message(messages, "system", guarded(r, buf_str(&d->system)));
    if (d->tools.len && !(code = json_read(&tools, buf_str(&d->tools), err)))
        json_object_set_new(v, "tools", tools);
    if (!code)
        code = add_turns(r, d, messages, err);
    if (!code)
        code = chat_template_render(r->chat, v, out, err);
    json_decref(v);
    return code;
}

/* --- the whole ------------------------------------------------------------------------------------------------ */

void tokens_free(struct tokens *t)
{
    mem_free(t->ptr);
    *t = (struct tokens){ 0 };
}

void render_scratch_free(struct render_scratch *s)
{
    buf_free(&s->text);
    ids_free(&s->ids);
}

static void tokens_put(struct tokens *t, const struct ids *ids, bool counted)
{
    if (t->len + ids->len > t->cap) {
        t->cap = (t->len + ids->len) * 2;
        t->ptr = mem_realloc(t->ptr, t->cap * sizeof *t->ptr);
    }
    for (size_t i = 0; i < ids->len; i++)
        t->ptr[t->len++] = (uint16_t)(ids->ptr[i] | (counted ? TOKEN_COUNTED : 0));
}

/* One piece, tokenised by itself; s->text holds it and is empty after. */
static enum err_code put_piece(const struct renderer *r, struct render_scratch *s, bool counted,
                               struct tokens *out, struct err *err)
{
    s->ids.len = 0;
    enum err_code code = tokenizer_encode(r->tokenizer, buf_str(&s->text), ENCODE_SPECIAL, &s->ids, err);
    tokens_put(out, &s->ids, counted);
    buf_clear(&s->text);
    return code;
}

static enum kind pick_kind(struct rng *rng, const struct document *d, const struct turn *last)
{
    uint64_t at = rng_below(rng, 100);
    if (at < 4)
        return KIND_OFF;
    if (at < 9 && last->think.len)
        return KIND_CUT;
    if (last->flawed.len)
        return KIND_MORE;
    /* only where the working ends without a check of its own */
    if (at < 19 && last->recheck.len && d->effort <= EXAM_MEDIUM)
        return KIND_MORE;
    return KIND_PLAIN;
}

/* Three in ten of the requests to decline are people's own. */
static void swap_request(const struct renderer *r, const struct document *d, struct turn *last,
                         struct rng *rng)
{
    size_t n = json_array_size(r->requests);
    if (n && str_is(document_family(d), "decline") && rng_below(rng, 10) < 3) {
        buf_clear(&last->said);
        buf_put_str(&last->said, text_of(json_array_get(r->requests, rng_below(rng, n))));
    }
}

static enum err_code put_reply(const struct renderer *r, const struct turn *last, enum kind kind,
                               struct rng *rng, struct render_scratch *s, struct tokens *out, struct err *err)
{
    enum err_code code = ERR_OK;
    bool flawed = kind == KIND_MORE && last->flawed.len; /* its wrong end is read, not learned */
    struct str think = buf_str(flawed ? &last->flawed : &last->think);
    if (kind == KIND_CUT)
        think = str_slice(think, 0, utf8_whole_len(str_slice(think, 0, (size_t)rng_below(rng, think.len))));
    if (kind != KIND_OFF)
        buf_printf(&s->text, "<think>\n%.*s", STR_ARG(think));
    if (kind == KIND_CUT || kind == KIND_MORE) {
        code = put_piece(r, s, !flawed, out, err);
        buf_puts(&s->text, kind == KIND_CUT ? r->close : "<|more|>");
        if (kind == KIND_CUT)
            buf_puts(&s->text, "</think>");
        if (!code)
            code = put_piece(r, s, false, out, err);
        if (kind == KIND_MORE)
            buf_printf(&s->text, "\n%.*s", STR_ARG(buf_str(flawed ? &last->mended : &last->recheck)));
    }
    if (kind == KIND_PLAIN || kind == KIND_MORE)
        buf_puts(&s->text, "</think>");
    buf_printf(&s->text, "%s%.*s<|im_end|>", kind == KIND_OFF ? "" : "\n", STR_ARG(buf_str(&last->text)));
    return code ? code : put_piece(r, s, true, out, err);
}

enum err_code render_document(const struct renderer *r, const struct document *d, struct rng *rng,
                              struct render_scratch *s, struct tokens *out, struct err *err)
{
    assert(d->turns_len > 0);
    struct turn *last = (struct turn *)&d->turns[d->turns_len - 1];
    swap_request(r, d, last, rng);
    enum kind kind = pick_kind(rng, d, last);
    bool all_counted = rng_below(rng, 10) == 0; /* so that it also learns what is asked */
    out->len = 0;
    buf_clear(&s->text);
    enum err_code code = render_prompt(r, d, kind != KIND_OFF, &s->text, err);
    if (!code)
        code = put_piece(r, s, all_counted, out, err);
    if (!code)
        code = put_reply(r, last, kind, rng, s, out, err);
    if (!code && out->len)
        out->ptr[0] = (uint16_t)((out->ptr[0] & TOKEN_ID_MASK) | TOKEN_FIRST);
    return code;
}
