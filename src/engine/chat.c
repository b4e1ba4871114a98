/*
 * chat.c - a model's chat format: a conversation in, a prompt's tokens out.
 *
 * A prompt is the model's own chat template, rendered and tokenised. What users write is guarded first
 * (text_guard), so no message can hold a control token. A file without a template is a model without a chat
 * format: it goes on from the messages' texts, joined by line ends.
 *
 * Thinking needs a pair of markers that are tokens of the vocabulary, and a template that speaks of them.
 * Where a caller wants no thinking and the template has no switch for it, the prompt is given an empty,
 * closed thought, which is what the templates that have a switch do.
 *
 * Threads: a format is read-only after chat_format_open; prompts are made on any thread.
 */
#include "engine/engine_impl.h"

#include <string.h>

/* Spellings of a thought's markers; both must be single tokens. */
static const struct {
    const char *open, *close;
} markers[] = {
    { "<think>", "</think>" },
    { "[THINK]", "[/THINK]" },
    { "<seed:think>", "</seed:think>" },
};

/* A conversation for a model without a template of its own. */
static const char template_plain[] =
    "{% for m in messages %}{{ m['content'] }}{% if not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}";

/* --- opening --------------------------------------------------------------------------------------- */

static void find_markers(struct chat_format *f, struct str source)
{
    for (size_t i = 0; i < ARRAY_LEN(markers); i++) {
        struct str open = str_from(markers[i].open), close = str_from(markers[i].close);
        int32_t open_id = tokenizer_find(f->tokenizer, open), close_id = tokenizer_find(f->tokenizer, close);
        bool spoken_of =
            f->chat_switches || str_find(source, open) != SIZE_MAX || str_find(source, close) != SIZE_MAX;
        if (open_id < 0 || close_id < 0 || !spoken_of)
            continue;
        f->open = open_id;
        f->close = close_id;
        return;
    }
}

static size_t longest_token(const struct tokenizer *t)
{
    size_t longest = 1;
    for (size_t i = 0; i < tokenizer_size(t); i++) {
        size_t bytes = tokenizer_bytes(t, (int32_t)i).len, text = tokenizer_text(t, (int32_t)i).len;
        size_t len = bytes > text ? bytes : text;
        longest = len > longest ? len : longest;
    }
    return longest;
}

enum err_code chat_format_open(struct chat_format *f, const struct vocabulary *vocabulary, const char *source,
                               struct err *err)
{
    f->open = f->close = -1;
    enum err_code code = tokenizer_open(&f->tokenizer, vocabulary, err);
    if (!code)
        code = chat_template_open(&f->chat, str_from(source ? source : template_plain), err);
    if (code)
        return code;
    f->chat_switches =
        chat_template_reads(f->chat, "enable_thinking") || chat_template_reads(f->chat, "thinking");
    find_markers(f, str_from(source));
    f->token_bytes_max = longest_token(f->tokenizer);
    return ERR_OK;
}

void chat_format_free(struct chat_format *f)
{
    chat_template_close(f->chat);
    tokenizer_close(f->tokenizer);
}

/* --- prompts --------------------------------------------------------------------------------------- */

static json_t *guarded(const struct tokenizer *t, const json_t *text)
{
    struct buf b = { 0 };
    text_guard(t, (struct str){ json_string_value(text), json_string_length(text) }, &b);
    json_t *out = json_stringn_nocheck(b.len ? b.ptr : "", b.len);
    buf_free(&b);
    return out;
}

/* A copy of the messages whose texts cannot become control tokens. */
static json_t *guard_messages(const struct tokenizer *t, const json_t *messages)
{
    json_t *out = json_array(), *message, *value;
    size_t i;
    const char *key;
    json_array_foreach(messages, i, message)
    {
        json_t *copy = json_object();
        /* jansson's iteration takes no const object; nothing is changed. */
        json_object_foreach(message, key, value)
        {
            bool text = json_is_string(value) && strcmp(key, "role") != 0;
            json_object_set_new_nocheck(copy, key, text ? guarded(t, value) : json_deep_copy(value));
        }
        json_array_append_new(out, copy);
    }
    return out;
}

static json_t *token_text(const struct tokenizer *t, int32_t id)
{
    struct str text = id >= 0 ? tokenizer_text(t, id) : (struct str){ 0 };
    return json_stringn_nocheck(text.len ? text.ptr : "", text.len);
}

static enum err_code render(const struct chat_format *f, const struct engine_chat *chat, struct buf *out,
                            struct err *err)
{
    json_t *v = json_object();
    json_object_set_new(v, "messages", guard_messages(f->tokenizer, chat->messages));
    json_object_set_new(v, "add_generation_prompt", json_true());
    json_object_set_new(v, "bos_token", token_text(f->tokenizer, tokenizer_bos(f->tokenizer)));
    json_object_set_new(v, "eos_token", token_text(f->tokenizer, tokenizer_eos(f->tokenizer)));
    json_object_set_new(v, "enable_thinking", json_boolean(chat->think));
    json_object_set_new(v, "thinking", json_boolean(chat->think)); /* the other name in use */
    if (chat->effort)
        json_object_set_new(v, "reasoning_effort", json_string(chat->effort));
    enum err_code code = chat_template_render(f->chat, v, out, err);
    json_decref(v);
    return code;
}

/* Whether the last marker among ids opens a thought that nothing closes. */
static bool ends_thinking(const struct chat_format *f, const struct ids *ids)
{
    for (size_t i = ids->len; f->close >= 0 && i-- > 0;)
        if (ids->ptr[i] == f->open || ids->ptr[i] == f->close)
            return ids->ptr[i] == f->open;
    return false;
}

static enum err_code put_closed_thought(const struct chat_format *f, struct ids *ids, struct err *err)
{
    const struct str blank = STR("\n\n");
    if (!ends_thinking(f, ids))
        ids_put(ids, f->open);
    enum err_code code = tokenizer_encode(f->tokenizer, blank, ENCODE_PLAIN, ids, err);
    ids_put(ids, f->close);
    return code ? code : tokenizer_encode(f->tokenizer, blank, ENCODE_PLAIN, ids, err);
}

static enum err_code tokenise(const struct chat_format *f, struct str text, struct ids *ids, struct err *err)
{
    /* Templates that write the first token themselves must not get a second one. */
    int32_t bos = tokenizer_bos(f->tokenizer);
    bool written = bos >= 0 && str_starts(text, tokenizer_text(f->tokenizer, bos));
    unsigned flags = ENCODE_SPECIAL | (written ? 0 : ENCODE_BOS);
    return tokenizer_encode(f->tokenizer, text, flags, ids, err);
}

enum err_code chat_format_prompt(const struct chat_format *f, int64_t context, const struct engine_chat *chat,
                                 struct engine_prompt *p, struct err *err)
{
    struct buf text = { 0 };
    enum err_code code = render(f, chat, &text, err);
    /* However it is cut into tokens, this text has at least so many: too many need not be cut at all. */
    p->tokens = (int64_t)(text.len / (2 * f->token_bytes_max)); /* half: guard bytes vanish */
    p->at_least = p->tokens >= context;
    if (!code && !p->at_least) {
        code = tokenise(f, buf_str(&text), &p->ids, err);
        if (!code && !chat->think && f->close >= 0 && !f->chat_switches)
            code = put_closed_thought(f, &p->ids, err);
        if (!code && p->ids.len == 0 && tokenizer_bos(f->tokenizer) >= 0)
            ids_put(&p->ids, tokenizer_bos(f->tokenizer));
        if (!code && p->ids.len == 0)
            code = err_set(err, ERR_INVALID_VALUE, "messages", "The conversation is empty.");
        p->tokens = (int64_t)p->ids.len;
        p->start = ends_thinking(f, &p->ids) ? ENGINE_THINKING : ENGINE_ANSWER;
    }
    buf_free(&text);
    return code;
}
