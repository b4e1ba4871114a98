/*
 * reply.c - which tokens of a reply are thought, text or call, and which are markers between them.
 *
 * Two tables: how families mark thoughts, and how they mark tool calls. A format is one row of each, chosen
 * by what the vocabulary holds and the template says, since no file names its format. Harmony (gpt-oss) is
 * both at once: a reply is a run of messages
 *     <|start|>assistant<|channel|>CHANNEL to=RECIPIENT <|constrain|>json<|message|>BODY<|end|>
 * where the channel (analysis, commentary, final) says what the body is, a recipient in either half of the
 * header makes it a call, and <|return|> or <|call|> in the place of <|end|> ends the turn.
 *
 * The scan sees ids and never text, so that a model that spells a marker in letters has written letters.
 * Prompts are safe to read the same way: what users wrote was guarded (text_guard), so every marker there is
 * the template's.
 *
 * Threads: a format is read-only after open; a scan belongs to one thread.
 */
#include "text/text_impl.h"

#include <stdio.h>
#include <string.h>

#define HEADER_BYTES_MAX 256 /* of a harmony message; anything longer is text that lost its marker */

static const struct reply_family thoughts[] = {
    { "think",
      "<think>",
      "<think>",
      CALLS_NONE,
      { { MARK_THINK_OPEN, "<think>" }, { MARK_THINK_CLOSE, "</think>" } } },
    { "bracket-think",
      "[THINK]",
      "[THINK]",
      CALLS_NONE,
      { { MARK_THINK_OPEN, "[THINK]" }, { MARK_THINK_CLOSE, "[/THINK]" } } },
    { "seed-think",
      "<seed:think>",
      "<seed:think>",
      CALLS_NONE,
      { { MARK_THINK_OPEN, "<seed:think>" }, { MARK_THINK_CLOSE, "</seed:think>" } } },
};

static const struct reply_family harmony = { "harmony",
                                             "<|channel|>",
                                             "<|channel|>",
                                             CALLS_HARMONY,
                                             { { MARK_START, "<|start|>" },
                                               { MARK_CHANNEL, "<|channel|>" },
                                               { MARK_CONSTRAIN, "<|constrain|>" },
                                               { MARK_MESSAGE, "<|message|>" },
                                               { MARK_END, "<|end|>" } } };

static const struct reply_family calls[] = {
    { "hermes",
      "<tool_call>",
      NULL,
      CALLS_TAGGED,
      { { MARK_CALL_OPEN, "<tool_call>" }, { MARK_CALL_CLOSE, "</tool_call>" } } },
    { "mistral",
      "[TOOL_CALLS]",
      NULL,
      CALLS_MISTRAL,
      { { MARK_CALL_OPEN, "[TOOL_CALLS]" }, { MARK_CALL_PART, "[ARGS]" }, { MARK_CALL_PART, "[CALL_ID]" } } },
    { "phi4",
      "<|tool_call|>",
      NULL,
      CALLS_TAGGED,
      { { MARK_CALL_OPEN, "<|tool_call|>" }, { MARK_CALL_CLOSE, "<|/tool_call|>" } } },
    { "llama3", "<|python_tag|>", NULL, CALLS_LLAMA, { { MARK_CALL_OPEN, "<|python_tag|>" } } },
    /* Llama 3.2's template asks for a bare object and does not speak of the tag. */
    { "llama3", "parameters", "<|python_tag|>", CALLS_LLAMA, { { MARK_CALL_OPEN, "<|python_tag|>" } } },
};

/* --- choosing ------------------------------------------------------------------------------------------------ */

static bool speaks_of(struct str source, const char *needle)
{
    return str_find(source, str_from(needle)) != SIZE_MAX;
}

static bool has_token(const struct tokenizer *t, const char *text)
{
    return !text || tokenizer_find(t, str_from(text)) != NO_TOKEN;
}

static bool has_markers(const struct tokenizer *t, const struct reply_family *row)
{
    for (size_t i = 0; i < FAMILY_MARKERS_MAX && row->markers[i].text; i++)
        if (!has_token(t, row->markers[i].text))
            return false;
    return true;
}

/* Thoughts are parted by tokens alone, all of which must exist. A template with a switch need not spell
 * them. */
static const struct reply_family *choose_thoughts(const struct tokenizer *t, struct str source)
{
    if (has_markers(t, &harmony) && speaks_of(source, harmony.needle))
        return &harmony;
    bool switches = speaks_of(source, "enable_thinking") || speaks_of(source, "thinking");
    for (size_t i = 0; i < ARRAY_LEN(thoughts); i++) {
        const struct reply_family *row = &thoughts[i];
        bool spoken = speaks_of(source, row->needle) || speaks_of(source, row->markers[1].text);
        if ((switches || spoken) && has_markers(t, row))
            return row;
    }
    return NULL;
}

static const struct reply_family *choose_calls(const struct tokenizer *t, struct str source)
{
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        if (speaks_of(source, calls[i].needle) && has_token(t, calls[i].token))
            return &calls[i];
    return NULL;
}

static void add_markers(struct reply_format *f, const struct reply_family *row)
{
    for (size_t i = 0; row && i < FAMILY_MARKERS_MAX && row->markers[i].text; i++) {
        int32_t id = tokenizer_find(f->t, str_from(row->markers[i].text));
        if (id == NO_TOKEN)
            continue;
        f->markers[f->n_markers].id = id;
        f->markers[f->n_markers++].kind = row->markers[i].kind;
    }
}

static int32_t marker_id(const struct reply_format *f, enum marker kind)
{
    for (size_t i = 0; i < f->n_markers; i++)
        if (f->markers[i].kind == kind)
            return f->markers[i].id;
    return NO_TOKEN;
}

static bool is_harmony(const struct reply_format *f)
{
    return f->thoughts == &harmony;
}

/* A word of harmony's header that is no marker. */
static void put_word(const struct reply_format *f, const char *word, struct ids *ids)
{
    struct err err;
    tokenizer_encode(f->t, str_from(word), ENCODE_PLAIN, ids, &err);
}

static void put_head(const struct reply_format *f, const char *channel, struct ids *ids)
{
    ids_put(ids, marker_id(f, MARK_CHANNEL));
    put_word(f, channel, ids);
    ids_put(ids, marker_id(f, MARK_MESSAGE));
}

static void put_start(const struct reply_format *f, struct ids *ids)
{
    ids_put(ids, marker_id(f, MARK_START));
    put_word(f, "assistant", ids);
}

static void make_closing(struct reply_format *f)
{
    if (is_harmony(f)) {
        put_head(f, "analysis", &f->opening);
        ids_put(&f->closing, marker_id(f, MARK_END));
        put_start(f, &f->closing);
        f->n_to_head = f->closing.len;
        put_head(f, "final", &f->closing);
    } else if (f->thoughts) {
        ids_put(&f->closing, marker_id(f, MARK_THINK_CLOSE));
    }
}

void reply_format_open(struct reply_format **out, const struct tokenizer *t, struct str template_source)
{
    struct reply_format *f = mem_zalloc(sizeof *f);
    f->t = t;
    f->thoughts = choose_thoughts(t, template_source);
    f->calls = is_harmony(f) ? &harmony : choose_calls(t, template_source);
    add_markers(f, f->thoughts);
    add_markers(f, is_harmony(f) ? NULL : f->calls);
    make_closing(f);
    const char *first = f->thoughts ? f->thoughts->name : "plain";
    if (f->calls && f->calls != f->thoughts)
        snprintf(f->name, sizeof f->name, "%s+%s", first, f->calls->name);
    else
        snprintf(f->name, sizeof f->name, "%s", first);
    *out = f;
}

void reply_format_close(struct reply_format *f)
{
    if (!f)
        return;
    ids_free(&f->closing);
    ids_free(&f->opening);
    mem_free(f);
}

const char *reply_format_name(const struct reply_format *f)
{
    return f->name;
}

/* Every marker must be a token for them to be one, as harmony's are where it is chosen; mistral's newer vocabularies part a call's
 * name from its arguments. */
const char *reply_calls_form(const struct reply_format *f)
{
    if (!f->calls)
        return NULL;
    if (is_harmony(f) || f->calls->calls == CALLS_LLAMA)
        return f->calls->name;
    if (marker_id(f, MARK_CALL_OPEN) == NO_TOKEN)
        return NULL;
    if (f->calls->calls == CALLS_MISTRAL)
        return has_token(f->t, "[ARGS]") ? "mistral-args" : "mistral";
    return marker_id(f, MARK_CALL_CLOSE) == NO_TOKEN ? NULL : f->calls->name;
}

bool reply_thinks(const struct reply_format *f)
{
    return f->thoughts != NULL;
}

const struct ids *reply_closing(const struct reply_format *f)
{
    return &f->closing;
}

size_t reply_closing_to_head(const struct reply_format *f)
{
    return f->n_to_head;
}

const struct ids *reply_opening(const struct reply_format *f)
{
    return &f->opening;
}

struct str reply_marker_text(const struct reply_format *f, enum marker kind)
{
    for (size_t i = 0; f->calls && i < FAMILY_MARKERS_MAX && f->calls->markers[i].text; i++)
        if (f->calls->markers[i].kind == kind)
            return str_from(f->calls->markers[i].text);
    return STR("");
}

/* --- one reply ------------------------------------------------------------------------------------------------- */

enum state {
    IN_BODY,   /* of a part; without harmony always */
    IN_ANSWER, /* harmony: in the body of the final channel, whose end is the turn's */
    IN_HEADER,
    BETWEEN /* harmony: behind <|end|> */
};

static enum marker marker_of(const struct reply_format *f, int32_t id)
{
    for (size_t i = 0; i < f->n_markers; i++)
        if (f->markers[i].id == id)
            return f->markers[i].kind;
    return MARK_NONE;
}

static void enter(struct reply_scan *s, enum reply_part part)
{
    if (s->part != part)
        s->part_tokens = 0;
    s->part = part;
    s->thought |= part == REPLY_THOUGHT;
    s->shown |= part == REPLY_CALL;
}

/* --- thoughts between two markers --- */

static bool put_marked(struct reply_scan *s, int32_t id, enum marker kind)
{
    bool thinking = s->part == REPLY_THOUGHT, calling = s->part == REPLY_CALL;
    switch (kind) {
    case MARK_THINK_OPEN:
        if (!s->thought && !s->shown)
            enter(s, REPLY_THOUGHT);
        return false;
    case MARK_THINK_CLOSE:
        if (thinking)
            enter(s, REPLY_TEXT);
        return false;
    case MARK_CALL_OPEN:
    case MARK_CALL_PART:
        if (thinking)
            return true; /* a thought about calls makes none */
        if (kind == MARK_CALL_OPEN)
            enter(s, REPLY_CALL);
        if (kind == MARK_CALL_OPEN || calling)
            s->before = tokenizer_text(s->format->t, id);
        return false;
    case MARK_CALL_CLOSE:
        if (calling)
            enter(s, REPLY_TEXT);
        return thinking;
    default: return true;
    }
}

/* --- harmony --- */

/* The word behind `lead` in the header: up to a blank or the next marker. */
static struct str header_word(struct str header, const char *lead)
{
    size_t at = str_find(header, str_from(lead));
    if (at == SIZE_MAX)
        return STR("");
    struct str rest = str_slice(header, at + strlen(lead), header.len);
    size_t len = 0;
    while (len < rest.len && rest.ptr[len] != ' ' && rest.ptr[len] != '<')
        len++;
    return str_slice(rest, 0, len);
}

/* The header is complete, and a body begins. */
static void begin_body(struct reply_scan *s)
{
    struct str header = buf_str(&s->header), channel = header_word(header, "<|channel|>");
    bool call = header_word(header, "to=").len > 0;
    bool thinks = str_is(channel, "analysis");
    s->state = call || thinks || str_is(channel, "commentary") ? IN_BODY : IN_ANSWER;
    enter(s, call ? REPLY_CALL : thinks ? REPLY_THOUGHT : REPLY_TEXT);
    if (call) {
        buf_puts(&s->header, "<|message|>");
        s->before = buf_str(&s->header);
    }
}

/* Bytes of tokens are not characters, but what is shown must be. */
static void make_header_valid(struct reply_scan *s)
{
    struct buf valid = { 0 };
    put_valid(buf_str(&s->header), &valid);
    buf_free(&s->header);
    s->header = valid;
}

static void put_header(struct reply_scan *s, struct str text)
{
    buf_put_str(&s->header, text);
    bool line_end = text.len && memchr(text.ptr, '\n', text.len);
    if (s->header.len <= HEADER_BYTES_MAX && !line_end)
        return;
    make_header_valid(s); /* no header looks like this: the model wrote without one */
    s->state = IN_ANSWER;
    enter(s, REPLY_TEXT);
    s->before = buf_str(&s->header);
}

static bool put_harmony(struct reply_scan *s, int32_t id, enum marker kind)
{
    const struct tokenizer *t = s->format->t;
    switch (kind) {
    case MARK_START:
        s->state = IN_HEADER;
        enter(s, REPLY_TEXT);
        buf_clear(&s->header);
        break;
    case MARK_CHANNEL:
    case MARK_CONSTRAIN:
        if (s->state != IN_HEADER) /* a header that lost its start */
            buf_clear(&s->header);
        s->state = IN_HEADER;
        put_header(s, tokenizer_text(t, id));
        break;
    case MARK_MESSAGE:
        if (s->state == BETWEEN)
            buf_clear(&s->header);
        if (s->state == IN_HEADER || s->state == BETWEEN) {
            make_header_valid(s);
            begin_body(s);
        }
        break;
    case MARK_END:
        s->state = BETWEEN;
        enter(s, REPLY_TEXT);
        break;
    default:
        if (s->state == IN_HEADER) {
            put_header(s, tokenizer_bytes(t, id));
            return false;
        }
        if (s->state == BETWEEN)
            s->state = IN_ANSWER;
        return true;
    }
    return false;
}

/* --- both --- */

static bool ends_turn(const struct reply_scan *s, int32_t id, enum marker kind)
{
    if (is_harmony(s->format) && kind == MARK_END)
        return s->state == IN_ANSWER;
    return tokenizer_ends(s->format->t, id);
}

static bool is_blank(struct str bytes)
{
    return str_trim(bytes).len == 0;
}

static bool put(struct reply_scan *s, int32_t id)
{
    enum marker kind = marker_of(s->format, id);
    bool text = is_harmony(s->format) ? put_harmony(s, id, kind) : put_marked(s, id, kind);
    s->part_tokens++;
    s->shown |= text && s->part != REPLY_THOUGHT && !is_blank(tokenizer_bytes(s->format->t, id));
    return text;
}

bool reply_scan_put(struct reply_scan *s, int32_t id, bool *ends)
{
    s->before = STR("");
    *ends = ends_turn(s, id, marker_of(s->format, id));
    if (*ends && s->part == REPLY_THOUGHT)
        return false;
    return put(s, id) && !*ends;
}

/* The last message of a prompt says where the reply begins: in its header, in its body, behind it. */
static void start_harmony(struct reply_scan *s, const struct ids *prompt)
{
    int32_t start = marker_id(s->format, MARK_START);
    size_t at = prompt->len;
    while (at > 0 && prompt->ptr[at - 1] != start)
        at--;
    if (at == 0) /* no chat: text that goes on */
        return;
    s->state = IN_HEADER;
    for (; at < prompt->len; at++)
        put(s, prompt->ptr[at]);
}

static bool ends_thinking(const struct reply_format *f, const struct ids *prompt)
{
    for (size_t i = prompt->len; i-- > 0;) {
        enum marker kind = marker_of(f, prompt->ptr[i]);
        if (kind == MARK_THINK_OPEN || kind == MARK_THINK_CLOSE)
            return kind == MARK_THINK_OPEN;
    }
    return false;
}

/* A marker that closes a thought, and nothing but blanks behind it: one of an earlier turn is not meant. */
static bool ends_closed(const struct reply_format *f, const struct ids *prompt)
{
    size_t i = prompt->len;
    while (i > 0 && marker_of(f, prompt->ptr[i - 1]) == MARK_NONE &&
           tokenizer_bytes(f->t, prompt->ptr[i - 1]).len &&
           is_blank(tokenizer_bytes(f->t, prompt->ptr[i - 1])))
        i--;
    return i > 0 && marker_of(f, prompt->ptr[i - 1]) == MARK_THINK_CLOSE;
}

void reply_scan_start(struct reply_scan *s, const struct reply_format *f, const struct ids *prompt)
{
    reply_scan_free(s);
    s->format = f;
    s->part = REPLY_TEXT;
    if (is_harmony(f))
        start_harmony(s, prompt);
    else if (f->thoughts && ends_thinking(f, prompt))
        enter(s, REPLY_THOUGHT);
    s->shown = false;
    s->closed = !is_harmony(f) && ends_closed(f, prompt);
    s->part_tokens = 0;
    s->before = STR("");
}

int32_t reply_scan_opening(const struct reply_scan *s)
{
    if (!s->format || is_harmony(s->format) || s->part != REPLY_TEXT || s->thought || s->shown || s->closed)
        return NO_TOKEN;
    return marker_id(s->format, MARK_THINK_OPEN);
}

bool reply_scan_in_head(const struct reply_scan *s)
{
    return s->format && is_harmony(s->format) && s->state == IN_HEADER;
}

bool reply_scan_at_head(const struct reply_scan *s)
{
    return reply_scan_in_head(s) && str_find(buf_str(&s->header), STR("<|")) == SIZE_MAX;
}

void reply_scan_free(struct reply_scan *s)
{
    buf_free(&s->header);
    *s = (struct reply_scan){ 0 };
}

/* --- prompts without thinking ---------------------------------------------------------------------------------------- */

static void skip_harmony(const struct reply_format *f, bool may_call, struct ids *prompt)
{
    struct reply_scan s = { 0 };
    reply_scan_start(&s, f, prompt);
    if (s.part == REPLY_THOUGHT) {
        for (size_t i = 0; i < (may_call ? f->n_to_head : f->closing.len); i++)
            ids_put(prompt, f->closing.ptr[i]);
    } else if (s.state == BETWEEN || reply_scan_at_head(&s)) {
        if (s.state == BETWEEN)
            put_start(f, prompt);
        if (!may_call)
            put_head(f, "final", prompt);
    }
    reply_scan_free(&s);
}

enum err_code reply_skip_thought(const struct reply_format *f, bool may_call, struct ids *prompt,
                                 struct err *err)
{
    const struct str blank = STR("\n\n");
    if (!f->thoughts)
        return ERR_OK;
    if (is_harmony(f)) {
        skip_harmony(f, may_call, prompt);
        return ERR_OK;
    }
    if (!ends_thinking(f, prompt))
        ids_put(prompt, marker_id(f, MARK_THINK_OPEN));
    enum err_code code = tokenizer_encode(f->t, blank, ENCODE_PLAIN, prompt, err);
    ids_put(prompt, marker_id(f, MARK_THINK_CLOSE));
    return code ? code : tokenizer_encode(f->t, blank, ENCODE_PLAIN, prompt, err);
}
