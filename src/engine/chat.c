/*
 * chat.c - a model's chat format: a conversation in, a prompt's tokens out.
 *
 * A prompt is the model's own chat template, rendered and tokenised. What users write is guarded first
 * (text_guard), so no message can hold a control token. A file without a template is a model without a chat
 * format: it goes on from the messages' texts, joined by line ends.
 *
 * How a reply marks its thoughts is text/'s reply_format. Where a caller wants no thinking and the template has no
 * switch for it, the prompt is given an empty, closed thought, which is what the templates that have a switch do.
 *
 * Threads: a format is read-only after chat_format_open; prompts are made on any thread.
 */
#include "engine/engine_impl.h"

#include <string.h>

/* A conversation for a model without a template of its own. */
static const char template_plain[] =
    "{% for m in messages %}{{ m['content'] }}{% if not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}";

/* --- opening --------------------------------------------------------------------------------------- */

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
    enum err_code code = tokenizer_open(&f->tokenizer, vocabulary, err);
    if (!code)
        code = chat_template_open(&f->chat, str_from(source ? source : template_plain), err);
    if (code)
        return code;
    f->chat_switches =
        chat_template_reads(f->chat, "enable_thinking") || chat_template_reads(f->chat, "thinking");
    reply_format_open(&f->reply, f->tokenizer, str_from(source));
    f->token_bytes_max = longest_token(f->tokenizer);
    return ERR_OK;
}

void chat_format_free(struct chat_format *f)
{
    reply_format_close(f->reply);
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

static enum err_code tokenise(const struct chat_format *f, struct str text, struct ids *ids, struct err *err)
{
    /* Templates that write the first token themselves must not get a second one. */
    int32_t bos = tokenizer_bos(f->tokenizer);
    bool written = bos >= 0 && str_starts(text, tokenizer_text(f->tokenizer, bos));
    unsigned flags = ENCODE_SPECIAL | (written ? 0 : ENCODE_BOS);
    return tokenizer_encode(f->tokenizer, text, flags, ids, err);
}

/* However it is cut into tokens, text has at least p->tokens: too many need not be cut at all. */
static bool is_too_long(const struct chat_format *f, int64_t context, struct str text,
                        struct engine_prompt *p)
{
    p->tokens = (int64_t)(text.len / (2 * f->token_bytes_max)); /* half: guard bytes vanish */
    p->at_least = p->tokens >= context;
    return p->at_least;
}

/* A prompt has one token at the least, where the vocabulary has one to begin with. */
static void begin_empty(const struct chat_format *f, struct engine_prompt *p)
{
    int32_t bos = tokenizer_bos(f->tokenizer);
    if (p->ids.len == 0 && bos >= 0)
        ids_put(&p->ids, bos);
    p->tokens = (int64_t)p->ids.len;
}

enum err_code chat_format_prompt(const struct chat_format *f, int64_t context, const struct engine_chat *chat,
                                 struct engine_prompt *p, struct err *err)
{
    struct buf text = { 0 };
    enum err_code code = render(f, chat, &text, err);
    if (!code && !is_too_long(f, context, buf_str(&text), p)) {
        code = tokenise(f, buf_str(&text), &p->ids, err);
        if (!code && !chat->think && !f->chat_switches)
            code = reply_skip_thought(f->reply, &p->ids, err);
        begin_empty(f, p);
    }
    buf_free(&text);
    return code;
}

enum err_code chat_format_text(const struct chat_format *f, int64_t context, struct str text, bool special,
                               struct engine_prompt *p, struct err *err)
{
    if (is_too_long(f, context, text, p))
        return ERR_OK; /* the front door refuses it */
    unsigned flags = (special ? ENCODE_SPECIAL : ENCODE_PLAIN) | ENCODE_BOS;
    enum err_code code = tokenizer_encode(f->tokenizer, text, flags, &p->ids, err);
    begin_empty(f, p);
    return code;
}
