/*
 * chat.c - a model's chat format: a conversation in, a prompt's tokens out.
 *
 * A prompt is the model's own chat template, rendered and tokenised. What users write is guarded first
 * (text_guard), so no message can hold a control token, nor can a function call, whose name and arguments come from outside
 * like any text. A file without a template is a model without a chat
 * format: it goes on from the messages' texts, joined by line ends.
 *
 * Templates agree on the shape of a function call, but one wants its arguments as an object and the next as JSON text, and
 * some have no place for calls at all, which are text then. Which it is shows when a call that is known is rendered, once, at the start.
 *
 * How a reply marks its thoughts is text/'s reply_format. Where a caller wants no thinking and the template has no
 * switch for it, the prompt is given an empty, closed thought, which is what the templates that have a switch do.
 *
 * Threads: a format is read-only after chat_format_open; prompts are made on any thread.
 */
#include "engine/engine_impl.h"

#include "json/json.h"

#include <string.h>

/* A conversation for a model without a template of its own. */
static const char template_plain[] =
    "{% for m in messages %}{{ m['content'] }}{% if not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}";

/* --- function calls --------------------------------------------------------------------------------- */

static json_t *guarded(const struct tokenizer *t, struct str text, bool as_json)
{
    struct buf b = { 0 };
    if (as_json)
        text_guard_json(t, text, &b);
    else
        text_guard(t, text, &b);
    json_t *out = json_stringn_nocheck(b.len ? b.ptr : "", b.len);
    buf_free(&b);
    return out;
}

static struct str text_of(const json_t *v)
{
    return (struct str){ json_string_value(v), json_string_length(v) };
}

/* A copy of a value, guarded in every string and every key. Its depth is bounded by the reader it came from. */
static json_t *guard_value(const struct tokenizer *t, const json_t *value)
{
    size_t i;
    const char *key;
    json_t *v, *out;
    if (json_is_string(value))
        return guarded(t, text_of(value), true);
    if (json_is_array(value)) {
        out = json_array();
        json_array_foreach(value, i, v) json_array_append_new(out, guard_value(t, v));
        return out;
    }
    if (!json_is_object(value))
        return json_deep_copy(value);
    out = json_object();
    json_object_foreach((json_t *)value, key, v)
    {
        json_t *name = guarded(t, str_from(key), true);
        json_object_set_new_nocheck(out, json_string_value(name), guard_value(t, v));
        json_decref(name);
    }
    return out;
}

/* Arguments that are no JSON object go as the text that they are. */
static json_t *guard_arguments(const struct chat_format *f, const json_t *arguments)
{
    json_t *doc = NULL;
    struct err err;
    if (f->calls == CALL_ARGS_OBJECT && json_read(&doc, text_of(arguments), &err))
        doc = NULL;
    json_t *out = json_is_object(doc) ? guard_value(f->tokenizer, doc)
                                      : guarded(f->tokenizer, text_of(arguments), false);
    json_decref(doc);
    return out;
}

/* [{id, name, arguments}] in the shape of templates: [{id, type, function: {name, arguments}}]. */
static json_t *template_calls(const struct chat_format *f, const json_t *calls)
{
    json_t *out = json_array(), *call;
    size_t i;
    json_array_foreach(calls, i, call)
    {
        json_t *function = json_object(), *made = json_object();
        json_object_set_new(function, "name",
                            guarded(f->tokenizer, text_of(json_object_get(call, "name")), true));
        json_object_set_new(function, "arguments", guard_arguments(f, json_object_get(call, "arguments")));
        json_object_set_new(made, "id", guarded(f->tokenizer, text_of(json_object_get(call, "id")), true));
        json_object_set_new(made, "type", json_string("function"));
        json_object_set_new(made, "function", function);
        json_array_append_new(out, made);
    }
    return out;
}

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

static enum err_code render_messages(const struct chat_format *f, const struct engine_chat *chat,
                                     struct buf *out, struct err *err);

/* A call of f({"k": "vv"}), told by what no template writes of itself. */
static bool shows_call(struct chat_format *f, int how, const char *shown)
{
    struct buf text = { 0 };
    struct err err;
    json_t *messages = json_pack("[{ss,ss},{ss,ss,s[{ss,ss,ss}]},{ss,ss,ss,ss}]", "role", "user", "content",
                                 "u", "role", "assistant", "content", "", "tool_calls", "id", "call00001",
                                 "name", "f", "arguments", "{\"k\": \"vv\"}", "role", "tool", "content", "o",
                                 "name", "f", "tool_call_id", "call00001");
    const struct engine_chat chat = { .messages = messages };
    f->calls = how;
    bool ok =
        !render_messages(f, &chat, &text, &err) && str_find(buf_str(&text), str_from(shown)) != SIZE_MAX;
    json_decref(messages);
    buf_free(&text);
    return ok;
}

static void probe_calls(struct chat_format *f)
{
    if (!chat_template_reads(f->chat, "messages"))
        return;
    if (shows_call(f, CALL_ARGS_OBJECT, "\"vv\"") || shows_call(f, CALL_ARGS_TEXT, "{\"k\": \"vv\"}"))
        return;
    f->calls = CALL_ARGS_NONE;
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
    probe_calls(f);
    return ERR_OK;
}

void chat_format_free(struct chat_format *f)
{
    reply_format_close(f->reply);
    chat_template_close(f->chat);
    tokenizer_close(f->tokenizer);
}

/* --- prompts --------------------------------------------------------------------------------------- */

/* A copy of the messages whose texts cannot become control tokens. */
static json_t *guard_messages(const struct chat_format *f, const json_t *messages)
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
            json_t *made = strcmp(key, "tool_calls") == 0 ? template_calls(f, value)
                           : text                         ? guarded(f->tokenizer, text_of(value), false)
                                                          : json_deep_copy(value);
            json_object_set_new_nocheck(copy, key, made);
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

static enum err_code render_messages(const struct chat_format *f, const struct engine_chat *chat,
                                     struct buf *out, struct err *err)
{
    json_t *v = json_object();
    json_object_set_new(v, "messages", guard_messages(f, chat->messages));
    json_object_set_new(v, "add_generation_prompt", json_true());
    json_object_set_new(v, "bos_token", token_text(f->tokenizer, tokenizer_bos(f->tokenizer)));
    json_object_set_new(v, "eos_token", token_text(f->tokenizer, tokenizer_eos(f->tokenizer)));
    json_object_set_new(v, "enable_thinking", json_boolean(chat->think));
    json_object_set_new(v, "thinking", json_boolean(chat->think)); /* the other name in use */
    if (chat->tools)
        json_object_set_new(v, "tools", guard_value(f->tokenizer, chat->tools));
    if (chat->effort)
        json_object_set_new(v, "reasoning_effort", json_string(chat->effort));
    enum err_code code = chat_template_render(f->chat, v, out, err);
    json_decref(v);
    return code;
}

/* For a template that has no place for calls: they are said in the text, as such a model is told to write them (calls.c of
 * grammar), and what came of them is a user's message. */
static json_t *say_calls(const json_t *message)
{
    const json_t *calls = json_object_get(message, "tool_calls"), *call;
    json_t *said = json_copy((json_t *)message);
    bool tool = str_is(text_of(json_object_get(message, "role")), "tool");
    struct str content = text_of(json_object_get(message, "content"));
    struct buf text = { 0 };
    size_t i;
    buf_printf(&text, tool ? "<tool_response>\n%.*s\n</tool_response>" : "%.*s", STR_ARG(content));
    json_array_foreach(calls, i, call)
    {
        struct str name = text_of(json_object_get(call, "name")),
                   arguments = text_of(json_object_get(call, "arguments"));
        buf_printf(&text, "%s<tool_call>\n{\"name\": \"%.*s\", \"arguments\": %.*s}\n</tool_call>",
                   text.len ? "\n" : "", STR_ARG(name), STR_ARG(arguments));
    }
    json_object_set_new(said, "content", json_stringn(text.len ? text.ptr : "", text.len));
    json_object_del(said, "tool_calls");
    if (tool) {
        json_object_set_new(said, "role", json_string("user"));
        json_object_del(said, "name");
    }
    buf_free(&text);
    return said;
}

static enum err_code render(const struct chat_format *f, const struct engine_chat *chat, struct buf *out,
                            struct err *err)
{
    struct engine_chat said = *chat;
    json_t *messages, *m;
    size_t i;
    if (f->calls != CALL_ARGS_NONE)
        return render_messages(f, chat, out, err);
    messages = json_array();
    json_array_foreach(chat->messages, i, m) json_array_append_new(messages, say_calls(m));
    said.messages = messages;
    enum err_code code = render_messages(f, &said, out, err);
    json_decref(messages);
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
            code = reply_skip_thought(f->reply, chat->may_call, &p->ids, err);
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
