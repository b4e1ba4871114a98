/*
 * calls.c - calls of tools, in a model's own spelling: as a grammar, and read back while they are written.
 *
 * Both ways use one table, so what the one lets through the other takes apart. An answer is text, then calls; how a call
 * is spelled is a row of forms[]:
 *   hermes        <tool_call>\n{"name": "f", "arguments": {...}}\n</tool_call>, parted by a line break (hermes, qwen)
 *   phi4          <|tool_call|>[{"name": "f", "arguments": {...}}, ...]<|/tool_call|>
 *   mistral       [TOOL_CALLS][{"name": "f", "arguments": {...}}, ...]
 *   mistral-args  [TOOL_CALLS]f[ARGS]{...}, again and again
 *   llama3        {"name": "f", "parameters": {...}}, parted by "; ", and nothing else
 *   harmony       <|channel|>commentary to=functions.f <|constrain|>json<|message|>{...}, one in an answer
 *   plain         hermes in letters: for models whose format is none of these
 * Markers are control tokens but in plain. Text never holds the marker; with llama3 it never begins like a call, and where text is
 * JSON itself, plain takes llama3's place. The frame of a call has one spelling, so most of it is forced. Harmony says in its head what
 * a message is, so there the grammar begins behind <|start|>assistant (grammar_has_heads), and text before a call is a message of its
 * own.
 *
 * A custom tool's input is JSON text in the member "input", which is also how a history shows it; what a Lark grammar makes
 * is no regular set, so it has no such image and stands as it is behind {"name": "f"} and a line break, up to the end of the answer.
 * Beside such a tool and a document, an open object among the arguments of a function may say a key twice with harmony.
 *
 * A reader is given what the engine shows of an answer. A closing marker that is a token may be missing there.
 *
 * Threads:   calls are read-only once open; a scan belongs to one thread.
 * Ownership: a scan's piece is a view until the scan is touched again. json_t of the tools are only read.
 */
#include "base/mem.h"
#include "grammar/grammar_impl.h"
#include "grammar/matcher_impl.h"

#include <assert.h>
#include <ctype.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum tool_kind { TOOL_FUNCTION, TOOL_INPUT, TOOL_RAW };

/* What stands before a text, around one that a call follows, and, as a reader sees it, before each call. */
struct heads {
    const char *text, *note, *note_end, *role;
};

static const struct heads harmony_heads = { "<|channel|>final<|message|>", "<|channel|>commentary<|message|>",
                                            "<|end|><|start|>assistant", "assistant" },
                          no_heads = { "", "", "", "" };

static const struct form {
    const char *name;
    const char *open, *close; /* "": none */
    bool controls;            /* markers are tokens */
    bool each;                /* around each call, else around all */
    const char *begin, *end;  /* inside of them */
    const char *lead, *middle, *tail;
    const char *raw; /* in the place of middle where an input stands as it is */
    const char *between;
    const char *mark; /* by which grammars know a call's object (builder_keys_behind) */
    const char *
        stop; /* and that an input stands as it is: what nothing else has outside of strings (builder_keys_until) */
    const char *
        wake; /* "", or the control token that stands before each object, where no bytes do (builder_keys_after) */
    const struct heads *heads;
} forms[] = {
    { "hermes", "<tool_call>", "</tool_call>", true, true, "\n", "\n", "{\"name\": \"",
      "\", \"arguments\": ", "}", "\"}\n", "\n", "\n{\"name\": \"", "\"}\n", "", &no_heads },
    { "phi4", "<|tool_call|>", "<|/tool_call|>", true, false, "[", "]", "{\"name\": \"",
      "\", \"arguments\": ", "}", "\"}\n", ", ", "{\"name\": \"", "\"}\n", "", &no_heads },
    { "mistral", "[TOOL_CALLS]", "", true, false, "[", "]", "{\"name\": \"", "\", \"arguments\": ", "}",
      "\"}\n", ", ", "{\"name\": \"", "\"}\n", "", &no_heads },
    { "mistral-args", "[TOOL_CALLS]", "", true, true, "", "", "", "[ARGS]", "", "\n", "", "", "\n", "[ARGS]",
      &no_heads },
    { "llama3", "", "", false, true, "", "", "{\"name\": \"", "\", \"parameters\": ", "}", "\"}\n", "; ",
      "{\"name\": \"", "\"}\n", "", &no_heads },
    { "harmony", "<|channel|>commentary to=functions.", "", true, true, "", "", "",
      " <|constrain|>json<|message|>", "", "<|message|>", "", "", "=functions.", "<|constrain|>",
      &harmony_heads },
    { "plain", "<tool_call>", "</tool_call>", false, true, "\n", "\n", "{\"name\": \"",
      "\", \"arguments\": ", "}", "\"}\n", "\n", "\n{\"name\": \"", "\"}\n", "", &no_heads },
};
#define FORM_PLAIN (&forms[ARRAY_LEN(forms) - 1])
#define INPUT_HEAD "{\"input\": \""

struct calls_tool {
    char *name;
    char *head; /* by which a reader knows its call: all that is forced, from the marker or the object on */
    enum tool_kind kind;
    bool custom, offered;
};

struct calls {
    atomic_int refs;
    const struct form *form;
    char *open;               /* what a reader looks for; "": none */
    struct calls_tool *tools; /* [n], by their place in the request */
    size_t n;
};

/* --- what may be called ------------------------------------------------------------------------------------- */

static const struct form *form_of(const struct calls_options *o)
{
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (o->form && strcmp(forms[i].name, o->form) == 0)
            return !*forms[i].open && o->answer ? FORM_PLAIN : &forms[i];
    return FORM_PLAIN;
}

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const json_t *grammar_format(const json_t *tool)
{
    const json_t *format = json_object_get(tool, "format");
    return strcmp(member(format, "type"), "grammar") == 0 ? format : NULL;
}

static bool is_lark(const json_t *tool)
{
    return strcmp(member(grammar_format(tool), "syntax"), "lark") == 0;
}

static bool is_offered(const struct calls_options *o, const char *name)
{
    for (size_t i = 0; i < json_array_size(o->only); i++)
        if (strcmp(json_string_value(json_array_get(o->only, i)), name) == 0)
            return true;
    return !o->only;
}

static char *open_of(const struct form *f)
{
    struct buf b = { 0 };
    buf_printf(&b, "%s%s", f->heads->role, f->open);
    return buf_take(&b);
}

static char *head_of(const struct form *f, const struct calls_tool *t)
{
    struct buf b = { 0 };
    if (f->each)
        buf_printf(&b, "%s%s%s", f->heads->role, f->open, f->begin);
    buf_printf(&b, "%s%s%s", f->lead, t->name, t->kind == TOOL_RAW ? f->raw : f->middle);
    if (t->kind == TOOL_INPUT)
        buf_puts(&b, INPUT_HEAD);
    return buf_take(&b);
}

static void read_tool(const struct calls *c, struct calls_tool *t, const json_t *tool,
                      const struct calls_options *o)
{
    const char *name = member(tool, "name");
    t->custom = strcmp(member(tool, "type"), "custom") == 0;
    bool callable = t->custom || strcmp(member(tool, "type"), "function") == 0;
    if (!callable || !is_offered(o, name))
        return;
    t->offered = true;
    t->name = mem_strndup(name, strlen(name));
    t->kind = !t->custom ? TOOL_FUNCTION : is_lark(tool) ? TOOL_RAW : TOOL_INPUT;
    t->head = head_of(c->form, t);
}

void calls_open(struct calls **out, const json_t *tools, const struct calls_options *o)
{
    struct calls *c = mem_zalloc(sizeof *c);
    c->refs = 1;
    c->form = form_of(o);
    c->open = open_of(c->form);
    c->n = json_array_size(tools);
    c->tools = mem_array(c->n, sizeof *c->tools);
    for (size_t i = 0; i < c->n; i++)
        read_tool(c, &c->tools[i], json_array_get(tools, i), o);
    *out = c;
}

struct calls *calls_ref(struct calls *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void calls_unref(struct calls *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    for (size_t i = 0; i < c->n; i++) {
        mem_free(c->tools[i].name);
        mem_free(c->tools[i].head);
    }
    mem_free(c->tools);
    mem_free(c->open);
    mem_free(c);
}

const char *calls_name(const struct calls *c, size_t tool)
{
    return c->tools[tool].name;
}

bool calls_custom(const struct calls *c, size_t tool)
{
    return c->tools[tool].custom;
}

void calls_example(const struct calls *c, struct buf *out)
{
    const struct form *f = c->form;
    buf_printf(out, "%s%s%sNAME%s{...}%s%s%s", f->open, f->begin, f->lead, f->middle, f->tail, f->end,
               f->close);
}

/* --- as a grammar --------------------------------------------------------------------------------------------- */

struct making {
    struct builder *b;
    const struct calls *c;
    const struct form *f;
    const struct calls_options *o;
    struct err *err;
};

static const struct node *text_of(const struct making *m, const char *text)
{
    return node_text(m->b, str_from(text));
}

/* How long a control token's name at the beginning of text is: "<tool_call>", "[ARGS]"; 0: there is none. */
static size_t control_len(struct str text)
{
    bool named =
        text.len > 1 && (text.ptr[0] == '<' || (text.ptr[0] == '[' && isupper((unsigned char)text.ptr[1])));
    size_t end = named ? str_find(text, text.ptr[0] == '<' ? STR(">") : STR("]")) : SIZE_MAX;
    return end == SIZE_MAX ? 0 : end + 1;
}

/* What a form's row says, its markers as the tokens they are. */
static const struct node *framing(const struct making *m, const char *text)
{
    const struct node *x = node_empty(m->b);
    for (struct str rest = str_from(text); rest.len;) {
        size_t control = m->f->controls ? control_len(rest) : 0, len = control ? control : 1;
        struct str first = str_slice(rest, 0, len);
        const struct node *both[] = { x, control ? node_control(m->b, first) : node_text(m->b, first) };
        x = node_seq(m->b, both, 2);
        rest = str_slice(rest, len, rest.len);
    }
    return x;
}

static const struct node *any_text(const struct making *m)
{
    static const struct char_range all = { 1, 0x10ffff };
    return node_repeat(m->b, node_class(m->b, &all, 1), 0, REPEAT_ENDLESS);
}

/* Arguments are an object, whether the schema says so or leaves it open. */
static enum err_code arguments_schema(const struct making *m, const json_t *tool, json_t **out)
{
    const json_t *given = json_object_get(tool, "parameters"), *type = json_object_get(given, "type");
    bool object = !type || json_is_null(type) || strcmp(member(given, "type"), "object") == 0;
    for (size_t i = 0; i < json_array_size(type); i++)
        object |= str_is((struct str){ json_string_value(json_array_get(type, i)),
                                       json_string_length(json_array_get(type, i)) },
                         "object");
    *out = NULL;
    if (!object)
        return err_set(m->err, ERR_INVALID_SCHEMA, "parameters",
                       "The schema of a function's parameters must be that of an object.");
    *out = json_is_object(given) ? json_copy((json_t *)given) : json_object();
    json_object_set_new(*out, "type", json_string("object"));
    return ERR_OK;
}

static void add_omitted(json_t *all, const char *path, json_t *omitted)
{
    for (size_t i = 0; i < json_array_size(omitted); i++) {
        const json_t *one = json_array_get(omitted, i);
        struct buf b = { 0 };
        buf_printf(&b, "%s.%s", path, member(one, "path"));
        json_array_append_new(all, json_pack("{s:s#, s:s}", "path", b.len ? b.ptr : "", (int)b.len, "keyword",
                                             member(one, "keyword")));
        buf_free(&b);
    }
    json_decref(omitted);
}

static enum err_code function_node(const struct making *m, size_t at, const json_t *tool,
                                   const struct node **out, json_t *omitted)
{
    json_t *schema, *left_out = NULL;
    char path[48];
    const struct schema_options o = { .strict = json_is_true(json_object_get(tool, "strict")),
                                      .path = "parameters",
                                      .layout = LAYOUT_SPACED };
    enum err_code code = arguments_schema(m, tool, &schema);
    if (!code)
        code = schema_node(out, m->b, schema, &o, &left_out, m->err);
    json_decref(schema);
    snprintf(path, sizeof path, "tools[%zu].parameters", at);
    add_omitted(omitted, path, left_out);
    return code;
}

static enum err_code input_node(const struct making *m, const json_t *tool, const struct node **out)
{
    const json_t *format = grammar_format(tool);
    const struct node *text = any_text(m);
    struct str pattern = str_from(member(format, "definition"));
    enum err_code code = format ? regex_node(&text, m->b, pattern, REGEX_RUST, false, m->err) : ERR_OK;
    *out = code ? NULL : node_json_image(m->b, text);
    return code;
}

/* A call of one tool, without what stands around it. */
static enum err_code call_node(const struct making *m, size_t at, const json_t *tool, const struct node **out,
                               json_t *omitted)
{
    const struct calls_tool *t = &m->c->tools[at];
    const struct form *f = m->f;
    const struct node *body = NULL;
    const bool input = t->kind == TOOL_INPUT, raw = t->kind == TOOL_RAW;
    size_t rule;
    enum err_code code =
        raw     ? lark_rule(&rule, m->b, str_from(member(grammar_format(tool), "definition")), m->err)
        : input ? input_node(m, tool, &body)
                : function_node(m, at, tool, &body, omitted);
    if (code)
        return code;
    const struct node *parts[] = {
        text_of(m, f->lead),
        text_of(m, t->name),
        framing(m, raw ? f->raw : f->middle),
        text_of(m, input ? INPUT_HEAD : ""),
        raw ? node_call(m->b, rule) : body,
        text_of(m, input ? "\"}" : ""),
        text_of(m, raw ? "" : f->tail),
    };
    *out = node_seq(m->b, parts, ARRAY_LEN(parts));
    return ERR_OK;
}

/* x (between x)*, or (x between)* */
static const struct node *repeated(const struct making *m, const struct node *x, bool open_end)
{
    const struct node *between = text_of(m, m->f->between), *one[] = { between, x },
                      *begun[] = { x, between };
    size_t more = m->o->parallel && m->f->heads == &no_heads ? CALLS_MAX - 1 : 0;
    if (open_end)
        return node_repeat(m->b, node_seq(m->b, begun, 2), 0, more);
    const struct node *all[] = { x, node_repeat(m->b, node_seq(m->b, one, 2), 0, more) };
    return node_seq(m->b, all, 2);
}

static const struct node *around(const struct making *m, const struct node *x)
{
    const struct form *f = m->f;
    const struct node *parts[] = { framing(m, f->open), text_of(m, f->begin), x, text_of(m, f->end),
                                   framing(m, f->close) };
    return node_seq(m->b, parts, ARRAY_LEN(parts));
}

/* The calls of an answer: framed ones, the last may be one whose input stands as it is. */
static const struct node *calls_node(const struct making *m, const struct node *framed,
                                     const struct node *raw)
{
    const bool each = m->f->each;
    const struct node *open = framing(m, m->f->open), *begin = text_of(m, m->f->begin);
    const struct node *before = repeated(m, each ? around(m, framed) : framed, true);
    const struct node *last[] = { each ? before : open, each ? open : begin, each ? begin : before, raw };
    const struct node *either[] = {
        each ? repeated(m, around(m, framed), false) : around(m, repeated(m, framed, false)),
        node_seq(m->b, last, ARRAY_LEN(last)),
    };
    return node_or(m->b, either, 2);
}

/* Text that cannot be taken for the beginning of a call. */
static const struct node *free_text(const struct making *m)
{
    const struct node *any = any_text(m);
    const struct node *calling[] = { *m->f->open ? any : node_empty(m->b),
                                     text_of(m, *m->f->open ? m->c->open : "{"), any };
    return node_and(m->b, any, node_not(m->b, node_seq(m->b, calling, 3)));
}

/* Where no call need be made: text, or text and calls; where it must be JSON, the one or the other. */
static enum err_code with_text(const struct making *m, const struct node **x)
{
    const struct heads *heads = m->f->heads;
    const struct node *text, *calls = *x, *head = framing(m, heads->text);
    const struct schema_options o = { .strict = m->o->answer_strict,
                                      .path = "schema",
                                      .layout = LAYOUT_SPACED };
    if (m->o->answer) {
        enum err_code code = schema_node(&text, m->b, m->o->answer, &o, NULL, m->err);
        if (code)
            return code;
        const struct node *answer[] = { head, text }, *either[] = { node_seq(m->b, answer, 2), calls };
        *x = node_or(m->b, either, 2);
        return ERR_OK;
    }
    text = free_text(m);
    const struct node *answer[] = { head, text };
    const struct node *note[] = { framing(m, heads->note), *m->f->open ? text : node_empty(m->b),
                                  framing(m, heads->note_end), calls };
    const struct node *either[] = { node_seq(m->b, answer, 2), node_seq(m->b, note, 4), calls };
    *x = node_or(m->b, either, heads == &no_heads ? 2 : 3); /* a message may not be empty, text may */
    return ERR_OK;
}

/* Where no text is free, all of it is JSON, and what stands around calls ends no key. */
static void watch_keys(const struct making *m, bool raw)
{
    const struct form *f = m->f;
    bool some_free = m->o->text && !m->o->answer;
    if (some_free && *f->wake)
        builder_keys_after(m->b, str_from(f->wake));
    else if (some_free)
        builder_keys_behind(m->b, str_from(f->mark));
    if (raw)
        builder_keys_until(m->b, str_from(f->stop));
}

static enum err_code make(const struct making *m, const json_t *tools, const struct node **out,
                          json_t *omitted, size_t *at)
{
    const struct node *framed = node_never(m->b), *raw = node_never(m->b);
    enum err_code code = ERR_OK;
    for (*at = 0; *at < m->c->n; ++*at) {
        const struct node *one;
        if (!m->c->tools[*at].offered)
            continue;
        code = call_node(m, *at, json_array_get(tools, *at), &one, omitted);
        if (code)
            return code;
        const struct node **list = m->c->tools[*at].kind == TOOL_RAW ? &raw : &framed;
        const struct node *both[] = { *list, one };
        *list = node_or(m->b, both, 2);
    }
    *out = calls_node(m, framed, raw);
    if (m->o->text)
        code = with_text(m, out);
    watch_keys(m, raw != node_never(m->b));
    /* The depth is one for all of an answer: Lark nests deeper only where it has no JSON beside it. */
    if (raw == node_never(m->b) || framed != node_never(m->b) || (m->o->text && m->o->answer))
        schema_bound_depth(m->b);
    return code;
}

enum err_code grammar_open_calls(struct grammar **out, const struct calls *c, const json_t *tools,
                                 const struct calls_options *o, json_t **omitted, size_t *at, struct err *err)
{
    const struct making m = { .b = builder_open(), .c = c, .f = c->form, .o = o, .err = err };
    const struct node *x;
    *out = NULL;
    *omitted = json_array();
    enum err_code code = make(&m, tools, &x, *omitted, at);
    if (code) {
        builder_close(m.b);
    } else {
        size_t start = rule_new(m.b, "the answer");
        rule_define(m.b, start, x);
        code = grammar_from(out, m.b, start, ERR_INVALID_SCHEMA, err);
        if (!code)
            (*out)->heads = c->form->heads != &no_heads;
    }
    if (code || json_array_size(*omitted) == 0) {
        json_decref(*omitted);
        *omitted = NULL;
    }
    return code;
}

bool grammar_has_heads(const struct grammar *g)
{
    return g->heads;
}

enum err_code grammar_open_refusal(struct grammar **out, struct str opening, const struct calls *c,
                                   struct err *err)
{
    const struct making m = { .b = builder_open(), .c = c, .f = c ? c->form : NULL, .err = err };
    const struct node *any = any_text(&m);
    const struct node *begun[] = { node_text(m.b, opening), any };
    const struct node *parts[] = { c ? framing(&m, m.f->heads->text) : node_empty(m.b),
                                   node_seq(m.b, begun, 2) };
    if (c)
        parts[1] = node_and(m.b, parts[1], free_text(&m));
    size_t start = rule_new(m.b, "the refusal");
    rule_define(m.b, start, node_seq(m.b, parts, 2));
    enum err_code code = grammar_from(out, m.b, start, ERR_INVALID_VALUE, err);
    if (!code)
        (*out)->heads = c && m.f->heads != &no_heads;
    return code;
}

/* --- read back -------------------------------------------------------------------------------------------------- */

enum { IN_START, IN_TEXT, IN_REST, IN_FRAME, IN_OBJECT, IN_INPUT, IN_RAW };

void calls_scan_start(struct calls_scan *s, const struct calls *c)
{
    *s = (struct calls_scan){ .calls = c };
}

void calls_scan_free(struct calls_scan *s)
{
    buf_free(&s->held);
    buf_free(&s->piece);
}

void calls_scan_put(struct calls_scan *s, struct str text)
{
    buf_put_str(&s->held, text);
}

void calls_scan_end(struct calls_scan *s)
{
    s->ended = true;
}

/* The first n bytes of what is held become the piece. */
static bool give(struct calls_scan *s, size_t n, enum calls_piece kind)
{
    buf_clear(&s->piece);
    buf_put(&s->piece, s->held.ptr, n);
    buf_drop_front(&s->held, n);
    s->kind = kind;
    s->text = buf_str(&s->piece);
    return n > 0;
}

/* How much of marker the end of text may be the beginning of. */
static size_t half_of(struct str text, struct str marker)
{
    size_t len = marker.len - 1 < text.len ? marker.len - 1 : text.len;
    while (len && !str_ends(text, str_slice(marker, 0, len)))
        len--;
    return len;
}

/* Without an opening marker a call shows by its first byte, and text is all of the rest. */
static bool next_at_start(struct calls_scan *s)
{
    if (*s->calls->open)
        s->state = IN_TEXT;
    else if (s->held.len)
        s->state = s->held.ptr[0] == '{' ? IN_FRAME : IN_REST;
    return s->state != IN_START && calls_scan_next(s);
}

/* Blanks before an answer's text are layout. strchr finds NUL too, which no text holds. */
static void drop_blanks(struct calls_scan *s)
{
    size_t n = 0;
    while (!s->shown && n < s->held.len && strchr(" \t\r\n", s->held.ptr[n]))
        n++;
    buf_drop_front(&s->held, n);
    s->shown |= s->held.len > 0;
}

/* Blanks at the end of text may turn out to stand before a call, where they are layout. */
static bool next_in_text(struct calls_scan *s)
{
    drop_blanks(s);
    struct str held = buf_str(&s->held), open = str_from(s->calls->open);
    size_t at = str_find(held, open);
    size_t n = at != SIZE_MAX ? at : s->ended ? held.len : held.len - half_of(held, open);
    size_t shown = n;
    while (shown && !(s->ended && at == SIZE_MAX) && strchr(" \t\r\n", held.ptr[shown - 1]))
        shown--;
    if (at == SIZE_MAX)
        return give(s, shown, CALLS_TEXT);
    s->state = IN_FRAME;
    bool some = give(s, shown, CALLS_TEXT);
    buf_drop_front(&s->held, n - shown);
    return some || calls_scan_next(s);
}

static bool next_in_frame(struct calls_scan *s)
{
    static const int states[] = { IN_OBJECT, IN_INPUT, IN_RAW };
    const struct calls *c = s->calls;
    size_t best = SIZE_MAX, behind = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct str head = str_from(c->tools[i].offered ? c->tools[i].head : "");
        size_t at = head.len ? str_find(buf_str(&s->held), head) : SIZE_MAX;
        if (at >= best)
            continue;
        best = at;
        behind = at + head.len;
        s->tool = i;
    }
    if (best == SIZE_MAX)
        return false;
    buf_drop_front(&s->held, behind);
    s->state = states[c->tools[s->tool].kind];
    s->depth = 0;
    s->quoted = s->escaped = false;
    s->kind = CALLS_BEGIN;
    s->text = STR("");
    return true;
}

static bool next_in_object(struct calls_scan *s)
{
    size_t n = 0;
    bool over = false;
    while (n < s->held.len && !over) {
        char c = s->held.ptr[n++];
        bool quote = c == '"' && !s->escaped;
        s->escaped = s->quoted && c == '\\' && !s->escaped;
        s->quoted ^= quote;
        if (!s->quoted && !quote && (c == '{' || c == '['))
            s->depth++;
        else if (!s->quoted && !quote && (c == '}' || c == ']'))
            over = --s->depth == 0;
    }
    if (over)
        s->state = IN_FRAME;
    return give(s, n, CALLS_ARGUMENTS);
}

/* One escape of JSON. Returns its bytes; 0: it is not all there. */
static size_t unescape(struct str s, struct buf *out)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char utf8[4], digits[5] = "";
    if (s.len < 2 || (s.ptr[1] == 'u' && s.len < 6))
        return 0;
    if (s.ptr[1] == 'u') {
        memcpy(digits, s.ptr + 2, 4);
        buf_put(out, utf8, utf8_encode((uint32_t)strtoul(digits, NULL, 16), utf8));
        return 6;
    }
    const char *named = strchr(from, s.ptr[1]);
    buf_putc(out, named ? to[named - from] : s.ptr[1]);
    return 2;
}

static bool next_in_input(struct calls_scan *s)
{
    struct str held = buf_str(&s->held);
    size_t at = 0, n;
    buf_clear(&s->piece);
    while (at < held.len && held.ptr[at] != '"') {
        n = held.ptr[at] == '\\' ? unescape(str_slice(held, at, held.len), &s->piece) : 1;
        if (n == 0)
            break;
        if (held.ptr[at] != '\\')
            buf_putc(&s->piece, held.ptr[at]);
        at += n;
    }
    if (at < held.len && held.ptr[at] == '"')
        s->state = IN_FRAME;
    buf_drop_front(&s->held, at);
    s->kind = CALLS_ARGUMENTS;
    s->text = buf_str(&s->piece);
    return s->text.len > 0 || (s->state == IN_FRAME && calls_scan_next(s));
}

bool calls_scan_whole(const struct calls_scan *s)
{
    return s->state != IN_OBJECT && s->state != IN_INPUT;
}

bool calls_scan_next(struct calls_scan *s)
{
    switch (s->state) {
    case IN_START: return next_at_start(s);
    case IN_TEXT: return next_in_text(s);
    case IN_REST: drop_blanks(s); return give(s, s->held.len, CALLS_TEXT);
    case IN_FRAME: return next_in_frame(s);
    case IN_OBJECT: return next_in_object(s);
    case IN_INPUT: return next_in_input(s);
    default: return give(s, s->held.len, CALLS_ARGUMENTS);
    }
}
