/*
 * reply.c - replies of each family, token by token: what is thought, text and call; and the calls in them.
 *
 * One vocabulary of bytes that has every family's markers; the template's source alone chooses the format.
 * Expected replies are written as runs of parts: t(...) a thought, a(...) text of the answer, c(...) a call,
 * ! the end of the turn.
 */
#include "test.h"

#include "base/file.h"
#include "text/text_impl.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *text;
    int32_t type;
} markers[] = {
    { "<think>", TOKEN_USER_DEFINED },      { "</think>", TOKEN_USER_DEFINED },
    { "[THINK]", TOKEN_CONTROL },           { "[/THINK]", TOKEN_CONTROL },
    { "<seed:think>", TOKEN_USER_DEFINED }, { "</seed:think>", TOKEN_USER_DEFINED },
    { "<tool_call>", TOKEN_USER_DEFINED },  { "</tool_call>", TOKEN_USER_DEFINED },
    { "[TOOL_CALLS]", TOKEN_CONTROL },      { "[ARGS]", TOKEN_CONTROL },
    { "[CALL_ID]", TOKEN_CONTROL },         { "<|python_tag|>", TOKEN_CONTROL },
    { "<|start|>", TOKEN_CONTROL },         { "<|channel|>", TOKEN_CONTROL },
    { "<|constrain|>", TOKEN_CONTROL },     { "<|message|>", TOKEN_CONTROL },
    { "<|end|>", TOKEN_CONTROL },           { "<|return|>", TOKEN_CONTROL },
    { "<|call|>", TOKEN_CONTROL },          { "<|im_end|>", TOKEN_CONTROL },
    { "<|eom_id|>", TOKEN_CONTROL },
};

/* n_markers of the table's, so that a vocabulary may be without. */
static struct tokenizer *open_tokenizer(size_t n_markers)
{
    enum { BYTES = 256, MAX = BYTES + ARRAY_LEN(markers) };
    struct buf spelled[BYTES] = { { 0 } };
    struct str tokens[MAX];
    int32_t types[MAX];
    for (unsigned b = 0; b < BYTES; b++) {
        char c = (char)b;
        bytes_to_spelling((struct str){ &c, 1 }, &spelled[b]);
        tokens[b] = buf_str(&spelled[b]);
        types[b] = TOKEN_NORMAL;
    }
    for (size_t i = 0; i < n_markers; i++) {
        tokens[BYTES + i] = str_from(markers[i].text);
        types[BYTES + i] = markers[i].type;
    }
    struct vocabulary v = { .model = STR("gpt2"),
                            .pre = STR("gpt-2"),
                            .tokens = tokens,
                            .types = types,
                            .n_tokens = BYTES + n_markers,
                            .bos = -1,
                            .eos = -1,
                            .eot = -1,
                            .unk = -1,
                            .pad = -1 };
    struct tokenizer *t = NULL;
    struct err err = { 0 };
    if (tokenizer_open(&t, &v, &err))
        fail_msg("%s", err.message);
    for (unsigned b = 0; b < BYTES; b++)
        buf_free(&spelled[b]);
    return t;
}

static void encode(const struct tokenizer *t, const char *text, struct ids *ids)
{
    struct err err = { 0 };
    assert_int_equal(tokenizer_encode(t, str_from(text), ENCODE_SPECIAL, ids, &err), ERR_OK);
}

struct parts {
    struct buf out;
    int part; /* -1: none yet */
};

static void put_part(struct parts *p, enum reply_part part, struct str text)
{
    if (!text.len)
        return;
    if (p->part != (int)part) {
        buf_puts(&p->out, p->part < 0 ? "" : ")");
        buf_putc(&p->out, "tac"[part]);
        buf_putc(&p->out, '(');
    }
    p->part = (int)part;
    buf_put_str(&p->out, text);
}

/* The parts of one reply; calls collects the text of its REPLY_CALL parts. */
static char *scan(const struct reply_format *f, const struct tokenizer *t, const char *prompt,
                  const char *reply, struct buf *calls)
{
    struct ids before = { 0 }, ids = { 0 };
    struct reply_scan s = { 0 };
    struct parts p = { .part = -1 };
    bool ends = false;
    encode(t, prompt, &before);
    encode(t, reply, &ids);
    reply_scan_start(&s, f, &before);
    for (size_t i = 0; i < ids.len && !ends; i++) {
        enum reply_part was = s.part;
        bool text = reply_scan_put(&s, ids.ptr[i], &ends);
        if (ends && was == REPLY_THOUGHT)
            assert_int_equal(s.part, REPLY_THOUGHT);
        put_part(&p, s.part, s.before);
        if (text)
            put_part(&p, s.part, tokenizer_bytes(t, ids.ptr[i]));
        if (calls && s.part == REPLY_CALL) {
            buf_put_str(calls, s.before);
            if (text)
                buf_put_str(calls, tokenizer_bytes(t, ids.ptr[i]));
        }
    }
    buf_puts(&p.out, p.part < 0 ? "" : ")");
    buf_puts(&p.out, ends ? "!" : "");
    reply_scan_free(&s);
    ids_free(&before);
    ids_free(&ids);
    return buf_take(&p.out);
}

static struct reply_format *open_format(const struct tokenizer *t, const char *source, const char *name)
{
    struct reply_format *f;
    reply_format_open(&f, t, str_from(source));
    assert_string_equal(reply_format_name(f), name);
    return f;
}

#define QWEN    "x <think> y <tool_call> z"
#define HARMONY "x <|channel|> y"

static const struct {
    const char *source, *name, *prompt, *reply, *want;
} replies[] = {
    /* thoughts between two markers */
    { QWEN, "think+hermes", "", "<think>hm</think>yes<|im_end|>x", "t(hm)a(yes)!" },
    { QWEN, "think+hermes", "<think>\n", "hm</think>yes", "t(hm)a(yes)" },
    { QWEN, "think+hermes", "<think>\n\n</think>\n\n", "yes", "a(yes)" },
    { QWEN, "think+hermes", "", " \n<think>hm</think>yes", "a( \n)t(hm)a(yes)" },
    { QWEN, "think+hermes", "", "so <think>hm</think>yes", "a(so hmyes)" },
    { QWEN, "think+hermes", "", "<think>a<think>b</think>c</think>d<think>e", "t(ab)a(cde)" },
    { QWEN, "think+hermes", "", "<think>hm<|im_end|>more", "t(hm)!" },
    { QWEN, "think+hermes", "", "<think>hm</think><|im_end|>", "t(hm)!" },
    { "[THINK]", "bracket-think", "", "[THINK]hm[/THINK]yes", "t(hm)a(yes)" },
    { "</seed:think>", "seed-think", "", "<seed:think>hm</seed:think>yes", "t(hm)a(yes)" },
    { "enable_thinking", "think", "", "<think>hm</think>yes", "t(hm)a(yes)" },
    { "nothing", "plain", "", "<think>hm</think>yes<|im_end|>", "a(<think>hm</think>yes)!" },
    { "", "plain", "", "yes", "a(yes)" },
    /* calls between markers */
    { QWEN, "think+hermes", "",
      "<think>hm</think>ok <tool_call>\n{}\n</tool_call>\n<tool_call>[]</tool_call><|im_end|>",
      "t(hm)a(ok )c(<tool_call>\n{}\n)a(\n)c(<tool_call>[])!" },
    { QWEN, "think+hermes", "<think>", "maybe <tool_call>{}</tool_call> </think>no",
      "t(maybe <tool_call>{}</tool_call> )a(no)" },
    { QWEN, "think+hermes", "", "<tool_call>{}</tool_call><think>late</think>", "c(<tool_call>{})a(late)" },
    { "[TOOL_CALLS]", "plain+mistral", "", "[TOOL_CALLS]f[ARGS]{}[TOOL_CALLS]g[CALL_ID]1[ARGS]{}",
      "c([TOOL_CALLS]f[ARGS]{}[TOOL_CALLS]g[CALL_ID]1[ARGS]{})" },
    { "[TOOL_CALLS]", "plain+mistral", "", "see[ARGS] it", "a(see it)" },
    { "<|python_tag|>", "plain+llama3", "", "<|python_tag|>{\"name\"}<|eom_id|>",
      "c(<|python_tag|>{\"name\"})!" },
    { "tools parameters", "plain+llama3", "", "{\"name\"}", "a({\"name\"})" },
    /* harmony */
    { HARMONY, "harmony", "<|start|>assistant",
      "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>yes<|return|>x",
      "t(hm)a(yes)!" },
    { HARMONY, "harmony", "<|start|>assistant<|channel|>analysis<|message|>",
      "hm<|end|><|start|>assistant<|message|>yes", "t(hm)a(yes)" },
    { HARMONY, "harmony", "<|start|>user<|message|>q<|end|>",
      "<|start|>assistant<|channel|>final<|message|>yes<|end|>x", "a(yes)!" },
    { HARMONY, "harmony", "<|start|>assistant",
      "<|channel|>commentary<|message|>I look<|end|><|start|>assistant<|channel|>analysis<|message|>hm<|end|>"
      "<|start|>assistant<|channel|>final<|message|>yes<|return|>",
      "a(I look)t(hm)a(yes)!" },
    { HARMONY, "harmony", "<|start|>assistant",
      "<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\":1}<|call|>x",
      "c(assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\":1})!" },
    { HARMONY, "harmony", "<|start|>assistant",
      "<|channel|>analysis<|message|>hm<|end|><|start|>assistant "
      "to=functions.f<|channel|>commentary<|message|>{}<|call|>",
      "t(hm)c(assistant to=functions.f<|channel|>commentary<|message|>{})!" },
    { HARMONY, "harmony", "<|start|>assistant", "<|channel|>analysis<|message|>hm<|return|>", "t(hm)!" },
    { HARMONY, "harmony", "<|start|>assistant", "\nHello<|return|>", "a(assistant\nHello)!" },
    { HARMONY, "harmony", "<|start|>assistant",
      "<|channel|>final<|message|>a<|channel|>analysis<|message|>b<|message|>c", "a(a)t(bc)" },
    { HARMONY, "harmony", "text", " goes on", "a( goes on)" },
    { HARMONY, "harmony", "<|start|>assistant", "<|channel|>analysis<|message|>hm<|end|>lost",
      "t(hm)a(lost)" },
};

static void replies_come_apart(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(ARRAY_LEN(markers));
    for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
        struct reply_format *f = open_format(t, replies[i].source, replies[i].name);
        char *got = scan(f, t, replies[i].prompt, replies[i].reply, NULL);
        if (strcmp(got, replies[i].want) != 0)
            fail_msg("reply %zu, \"%s\": got %s, wanted %s", i, replies[i].reply, got, replies[i].want);
        mem_free(got);
        reply_format_close(f);
    }
    tokenizer_close(t);
}

/* A header that never ends does not swallow the reply, and half a character in it is no half a character
 * out. */
static void endless_headers_are_text(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(ARRAY_LEN(markers));
    struct reply_format *f = open_format(t, HARMONY, "harmony");
    struct ids prompt = { 0 }, long_word = { 0 };
    struct reply_scan s = { 0 };
    bool ends, shown = false;
    encode(t, "<|start|>assistant", &prompt);
    reply_scan_start(&s, f, &prompt);
    for (int i = 0; i < 1000 && !shown; i++) {
        reply_scan_put(&s, i == 99 ? 0xC3 : 'x', &ends);
        shown = s.before.len > 0;
    }
    assert_true(shown);
    assert_int_equal(s.part, REPLY_TEXT);
    assert_true(utf8_valid(s.before));
    assert_true(str_starts(s.before, STR("assistantxxx")));
    assert_true(reply_scan_put(&s, 'y', &ends));
    reply_scan_free(&s);
    ids_free(&prompt);
    ids_free(&long_word);
    reply_format_close(f);
    tokenizer_close(t);
}

/* --- closing and skipping ------------------------------------------------------------------------------------------ */

static char *spell(const struct tokenizer *t, const struct ids *ids)
{
    struct buf out = { 0 };
    buf_puts(&out, "");
    for (size_t i = 0; i < ids->len; i++)
        buf_put_str(&out,
                    ids->ptr[i] < 256 ? tokenizer_bytes(t, ids->ptr[i]) : tokenizer_text(t, ids->ptr[i]));
    return buf_take(&out);
}

static void thoughts_are_closed(void **state)
{
    (void)state;
    static const struct {
        const char *source, *want;
    } rows[] = {
        { QWEN, "</think>" },
        { "[THINK]", "[/THINK]" },
        { HARMONY, "<|end|><|start|>assistant<|channel|>final<|message|>" },
    };
    struct tokenizer *t = open_tokenizer(ARRAY_LEN(markers));
    struct reply_format *f;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        reply_format_open(&f, t, str_from(rows[i].source));
        assert_true(reply_thinks(f));
        char *got = spell(t, reply_closing(f));
        assert_string_equal(got, rows[i].want);
        mem_free(got);
        /* Forced into a thought, they end in an answer. */
        struct reply_scan s = { 0 };
        struct ids prompt = { 0 };
        bool ends;
        encode(t, i == 2 ? "<|start|>assistant<|channel|>analysis<|message|>" : markers[2 * i].text, &prompt);
        reply_scan_start(&s, f, &prompt);
        assert_int_equal(s.part, REPLY_THOUGHT);
        for (size_t k = 0; k < reply_closing(f)->len; k++) {
            assert_false(reply_scan_put(&s, reply_closing(f)->ptr[k], &ends));
            assert_false(ends);
        }
        assert_int_equal(s.part, REPLY_TEXT);
        assert_true(reply_scan_put(&s, 'a', &ends));
        reply_scan_free(&s);
        ids_free(&prompt);
        reply_format_close(f);
    }
    f = open_format(t, "no such thing", "plain");
    assert_false(reply_thinks(f));
    assert_int_equal(reply_closing(f)->len, 0);
    reply_format_close(f);
    reply_format_close(NULL);
    tokenizer_close(t);
}

static void thoughts_are_skipped(void **state)
{
    (void)state;
    static const struct {
        const char *source, *prompt, *want;
        bool may_call;
    } rows[] = {
        { QWEN, "q", "q<think>\n\n</think>\n\n", false },
        { QWEN, "q", "q<think>\n\n</think>\n\n", true },
        { QWEN, "q<think>\n", "q<think>\n\n\n</think>\n\n", false },
        { "plain", "q", "q", true },
        { HARMONY, "<|start|>assistant", "<|start|>assistant<|channel|>final<|message|>", false },
        { HARMONY, "<|start|>user<|message|>q<|end|>",
          "<|start|>user<|message|>q<|end|><|start|>assistant<|channel|>final<|message|>", false },
        { HARMONY, "<|start|>assistant<|channel|>analysis<|message|>",
          "<|start|>assistant<|channel|>analysis<|message|><|end|><|start|>assistant<|channel|>final<|"
          "message|>",
          false },
        { HARMONY, "<|start|>assistant", "<|start|>assistant", true },
        { HARMONY, "<|start|>user<|message|>q<|end|>", "<|start|>user<|message|>q<|end|><|start|>assistant",
          true },
        { HARMONY, "<|start|>assistant<|channel|>analysis<|message|>",
          "<|start|>assistant<|channel|>analysis<|message|><|end|><|start|>assistant", true },
    };
    struct tokenizer *t = open_tokenizer(ARRAY_LEN(markers));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply_format *f;
        struct ids ids = { 0 };
        struct err err = { 0 };
        reply_format_open(&f, t, str_from(rows[i].source));
        encode(t, rows[i].prompt, &ids);
        assert_int_equal(reply_skip_thought(f, rows[i].may_call, &ids, &err), ERR_OK);
        char *got = spell(t, &ids);
        assert_string_equal(got, rows[i].want);
        struct reply_scan s = { 0 };
        reply_scan_start(&s, f, &ids);
        assert_int_equal(s.part, REPLY_TEXT);
        reply_scan_free(&s);
        mem_free(got);
        ids_free(&ids);
        reply_format_close(f);
    }
    tokenizer_close(t);
}

/* Markers that are no tokens are text: only calls are found in it. */
static void a_vocabulary_without_markers(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(0);
    struct reply_format *f = open_format(t, QWEN, "plain+hermes");
    char *got = scan(f, t, "", "<think>hm</think><tool_call>{}", NULL);
    assert_string_equal(got, "a(<think>hm</think><tool_call>{})");
    mem_free(got);
    reply_format_close(f);
    f = open_format(t, "parameters", "plain");
    reply_format_close(f);
    f = open_format(t, HARMONY, "plain");
    reply_format_close(f);
    tokenizer_close(t);
}

/* --- calls ------------------------------------------------------------------------------------------------------------ */

#define LLAMA   "<|python_tag|>"
#define MISTRAL "[TOOL_CALLS]"

/* want: the calls as JSON; NULL: no call; "!...": an error that says this. */
static const struct {
    const char *source, *text, *want;
} call_rows[] = {
    { QWEN, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, null]}}\n</tool_call>",
      "[{\"name\":\"f\",\"arguments\":{\"a\":[1,null]}}]" },
    { QWEN, "look: <tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call> and <tool_call>{\"name\":\"g\"}",
      "[{\"name\":\"f\",\"arguments\":{}},{\"name\":\"g\",\"arguments\":{}}]" },
    { QWEN, "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}</tool_call>",
      "[{\"name\":\"f\",\"arguments\":{\"a\":1}}]" },
    { QWEN, "<tool_call>{\"name\":\"f\",\"arguments\":\"\"}</tool_call>",
      "[{\"name\":\"f\",\"arguments\":{}}]" },
    { QWEN, "<tool_call>{\"name\":\"f\"}\n{\"name\":\"g\"}</tool_call>",
      "[{\"name\":\"f\",\"arguments\":{}},{\"name\":\"g\",\"arguments\":{}}]" },
    { QWEN, "<tool_call>[{\"name\":\"f\"},{\"name\":\"g\"}]</tool_call>",
      "[{\"name\":\"f\",\"arguments\":{}},{\"name\":\"g\",\"arguments\":{}}]" },
    { QWEN, "{\"name\":\"f\",\"arguments\":{\"}\":\"{\\\"\"}}",
      "[{\"name\":\"f\",\"arguments\":{\"}\":\"{\\\"\"}}]" },
    { QWEN, "no call", NULL },
    { QWEN, "{\"answer\": 1}", NULL },
    { QWEN, "{\"answer\": ", NULL },
    { QWEN, "<tool_call>", "!tool call 1, but no JSON object follows" },
    { QWEN, "<tool_call>f(1)</tool_call>", "!tool call 1, but no JSON object follows" },
    { QWEN, "<tool_call>{\"name\":\"f\"}</tool_call><tool_call>{\"name\":",
      "!tool call 2, but its JSON does not end" },
    { QWEN, "<tool_call>{\"name\":\"f\",}</tool_call>", "!its JSON breaks at line 1, column 13" },
    { QWEN, "<tool_call>{\"name\":\"f\",\"name\":\"g\"}</tool_call>", "!its JSON breaks" },
    { QWEN, "<tool_call>{\"arguments\":{}}</tool_call>", "!it has no \"name\"" },
    { QWEN, "<tool_call>{\"name\":\" \"}</tool_call>", "!no usable name" },
    { QWEN, "<tool_call>[1]</tool_call>", "!it is not an object" },
    { QWEN, "<tool_call>{\"name\":\"f\",\"arguments\":[1]}</tool_call>", "!its arguments are not an object" },
    { QWEN, "<tool_call>{\"name\":\"f\",\"arguments\":\"[1]\"}</tool_call>",
      "!a string that holds no JSON object" },
    { QWEN, "<tool_call>{\"name\":\"f\"} or so</tool_call>", "!something follows its object" },
    { LLAMA, "{\"name\": \"f\", \"parameters\": {\"a\": 1}}", "[{\"name\":\"f\",\"arguments\":{\"a\":1}}]" },
    { LLAMA,
      "\n{\"type\": \"function\", \"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": "
      "{}}\n",
      "[{\"name\":\"f\",\"arguments\":{}},{\"name\":\"g\",\"arguments\":{}}]" },
    { LLAMA, "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"a\":1}}}",
      "[{\"name\":\"f\",\"arguments\":{\"a\":1}}]" },
    { LLAMA, "{\"function\":\"f\",\"parameters\":{\"a\":1}}", "[{\"name\":\"f\",\"arguments\":{\"a\":1}}]" },
    { LLAMA, "<|python_tag|>{\"name\": \"f\", \"parameters\": {}}", "[{\"name\":\"f\",\"arguments\":{}}]" },
    { LLAMA, "<|python_tag|>search.call(query=\"a \\\"b\\\"\", n=\"2\")",
      "[{\"name\":\"search\",\"arguments\":{\"query\":\"a \\\"b\\\"\",\"n\":\"2\"}}]" },
    { LLAMA, "<|python_tag|>search.call(query)",
      "[{\"name\":\"python\",\"arguments\":{\"code\":\"search.call(query)\"}}]" },
    { LLAMA, "<|python_tag|>print(1)\n", "[{\"name\":\"python\",\"arguments\":{\"code\":\"print(1)\"}}]" },
    { LLAMA, "<|python_tag|>{\"a\": 1}",
      "[{\"name\":\"python\",\"arguments\":{\"code\":\"{\\\"a\\\": 1}\"}}]" },
    { LLAMA, "<|python_tag|> ", "!nothing follows its marker" },
    { LLAMA, "{\"name\": \"Ada\", \"born\": 1815}", NULL },
    { LLAMA, "{\"name\": \"f\", \"parameters\": {", "!its JSON does not end" },
    { LLAMA, "{\"name\": \"f\", \"parameters\": {}} is it", "!no JSON object follows" },
    { LLAMA, "Say {\"name\": \"f\", \"parameters\": {}}", NULL },
    { LLAMA, "", NULL },
    { MISTRAL,
      "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}, \"id\": \"abcdefghi\"}, {\"name\": \"g\"}]",
      "[{\"name\":\"f\",\"arguments\":{\"a\":1}},{\"name\":\"g\",\"arguments\":{}}]" },
    { MISTRAL, "[TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]g[CALL_ID]x1[ARGS]{}",
      "[{\"name\":\"f\",\"arguments\":{\"a\":1}},{\"name\":\"g\",\"arguments\":{}}]" },
    { MISTRAL, "so[TOOL_CALLS]f{\"a\": 1}", "[{\"name\":\"f\",\"arguments\":{\"a\":1}}]" },
    { MISTRAL, "[{\"name\": \"f\", \"arguments\": {}}]", NULL },
    { MISTRAL, "[TOOL_CALLS]f", "!it has no arguments" },
    { MISTRAL, "[TOOL_CALLS]{}", "!it has no \"name\"" },
    { MISTRAL, "[TOOL_CALLS]f[CALL_ID]x", "!nothing follows its id" },
    { MISTRAL, "[TOOL_CALLS][ARGS]{}", "!its JSON breaks" },
    { HARMONY, "assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\":1}",
      "[{\"name\":\"f\",\"arguments\":{\"a\":1}}]" },
    { HARMONY, " to=functions.f<|channel|>commentary<|message|>{} to=functions.g<|message|>{}",
      "[{\"name\":\"f\",\"arguments\":{}},{\"name\":\"g\",\"arguments\":{}}]" },
    { HARMONY, " to=python<|channel|>analysis<|message|>print(1)",
      "[{\"name\":\"python\",\"arguments\":{\"code\":\"print(1)\"}}]" },
    { HARMONY, " to=browser.search<|message|>{\"q\":\"x\"}",
      "[{\"name\":\"browser.search\",\"arguments\":{\"q\":\"x\"}}]" },
    { HARMONY, " to=functions.f<|message|>now", "!no JSON object follows" },
    { HARMONY, "just text", NULL },
    { "plain", "<tool_call>{\"name\":\"f\"}", NULL },
};

static void calls_are_read(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(ARRAY_LEN(markers));
    for (size_t i = 0; i < ARRAY_LEN(call_rows); i++) {
        const char *want = call_rows[i].want;
        struct reply_format *f;
        json_t *calls;
        struct err err = { 0 };
        struct buf got = { 0 };
        reply_format_open(&f, t, str_from(call_rows[i].source));
        enum err_code code = reply_calls(f, str_from(call_rows[i].text), &calls, &err);
        if (calls)
            json_dump(&got, calls);
        else
            buf_puts(&got, code ? err.message : "no call");
        bool good = want && want[0] == '!'
                        ? code == ERR_INVALID_VALUE && strstr(err.message, want + 1) && !calls
                        : code == ERR_OK && strcmp(got.ptr, want ? want : "no call") == 0;
        if (!good)
            fail_msg("calls %zu, \"%s\": %s", i, call_rows[i].text, got.ptr);
        buf_free(&got);
        json_decref(calls);
        reply_format_close(f);
    }
    tokenizer_close(t);
}

/* What a scan puts as REPLY_CALL is what reply_calls reads. */
static void scanned_calls_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *source, *prompt, *reply;
    } rows[] = {
        { QWEN, "",
          "<think>hm</think>ok <tool_call>\n{\"name\":\"f\",\"arguments\":{}}\n</tool_call>\n<tool_call>"
          "{\"name\":\"g\",\"arguments\":{}}</tool_call><|im_end|>" },
        { MISTRAL, "", "[TOOL_CALLS]f[CALL_ID]1[ARGS]{}[TOOL_CALLS]g[ARGS]{}" },
        { LLAMA, "",
          "<|python_tag|>{\"name\":\"f\",\"parameters\":{}};{\"name\":\"g\",\"parameters\":{}}<|eom_id|>" },
        { HARMONY, "<|start|>assistant",
          " to=functions.f<|channel|>commentary<|message|>{}<|end|><|start|>assistant "
          "to=functions.g<|message|>{}" },
    };
    struct tokenizer *t = open_tokenizer(ARRAY_LEN(markers));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply_format *f;
        struct buf calls = { 0 }, got = { 0 };
        json_t *list;
        struct err err = { 0 };
        reply_format_open(&f, t, str_from(rows[i].source));
        mem_free(scan(f, t, rows[i].prompt, rows[i].reply, &calls));
        if (reply_calls(f, buf_str(&calls), &list, &err))
            fail_msg("%s: %s", rows[i].reply, err.message);
        json_dump(&got, list);
        assert_string_equal(got.ptr, "[{\"name\":\"f\",\"arguments\":{}},{\"name\":\"g\",\"arguments\":{}}]");
        json_decref(list);
        buf_free(&got);
        buf_free(&calls);
        reply_format_close(f);
    }
    tokenizer_close(t);
}

static void calls_are_bounded(void **state)
{
    (void)state;
    struct tokenizer *t = open_tokenizer(ARRAY_LEN(markers));
    struct reply_format *f = open_format(t, QWEN, "think+hermes");
    struct buf many = { 0 }, deep = { 0 };
    json_t *calls;
    struct err err = { 0 };
    for (int i = 0; i < 1000; i++)
        buf_puts(&many, "<tool_call>{\"name\":\"f\"}</tool_call>");
    assert_int_equal(reply_calls(f, buf_str(&many), &calls, &err), ERR_INVALID_VALUE);
    assert_non_null(strstr(err.message, "tool call 129"));
    buf_puts(&deep, "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":");
    for (int i = 0; i < 100000; i++)
        buf_putc(&deep, '[');
    assert_int_equal(reply_calls(f, buf_str(&deep), &calls, &err), ERR_INVALID_VALUE);
    assert_non_null(strstr(err.message, "nested too deeply"));
    buf_clear(&deep);
    buf_reserve(&deep, 8 * MIB);
    memset(deep.ptr, 'x', 8 * MIB);
    deep.len = 8 * MIB;
    assert_int_equal(reply_calls(f, buf_str(&deep), &calls, &err), ERR_INVALID_VALUE);
    assert_null(calls);
    buf_free(&many);
    buf_free(&deep);
    reply_format_close(f);
    tokenizer_close(t);
}

/* Where text stops being shown while a reply streams. */
static void call_starts_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *source, *text;
        size_t want;
    } rows[] = {
        { QWEN, "abc", 3 },       { QWEN, "abc<tool_call>{", 3 },
        { QWEN, "abc<tool_", 3 }, { QWEN, "abc<", 3 },
        { QWEN, "abc<tool ", 9 }, { QWEN, " {\"n", 1 },
        { LLAMA, "{", 0 },        { LLAMA, "a {", 3 },
        { MISTRAL, "{", 1 },      { MISTRAL, "a[TOOL_", 1 },
        { HARMONY, "to=", 3 },    { "plain", "<tool_call>", 11 },
        { QWEN, "", 0 },
    };
    struct tokenizer *t = open_tokenizer(ARRAY_LEN(markers));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply_format *f;
        reply_format_open(&f, t, str_from(rows[i].source));
        size_t got = reply_call_start(f, str_from(rows[i].text));
        if (got != rows[i].want)
            fail_msg("\"%s\": %zu, not %zu", rows[i].text, got, rows[i].want);
        reply_format_close(f);
    }
    tokenizer_close(t);
}

/* The template that the project's own models carry. */
static void own_models_think_and_call(void **state)
{
    (void)state;
    struct buf source = { 0 };
    struct err err = { 0 };
    assert_int_equal(file_read(&source, "train/chat.jinja", 64 * KIB, &err), ERR_OK);
    struct tokenizer *t = open_tokenizer(ARRAY_LEN(markers));
    struct reply_format *f;
    reply_format_open(&f, t, buf_str(&source));
    assert_string_equal(reply_format_name(f), "think+hermes");
    reply_format_close(f);
    tokenizer_close(t);
    buf_free(&source);
}

/* What may begin a thought behind the prompt and so much of the reply, and whether a head is being written. */
static void beginnings_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *source, *prompt, *reply;
        bool opening, head;
    } rows[] = {
        { QWEN, "q", "", true, false },
        { QWEN, "q", "\n\n", true, false },
        { QWEN, "q", "a", false, false },
        { QWEN, "q<think>", "", false, false },
        { QWEN, "q", "<think>a</think>", false, false },
        { QWEN, "q<think>\n\n</think>\n\n", "", false, false },
        { QWEN, "<think>a</think>b", "", true, false }, /* an earlier turn's */
        { "plain", "q", "", false, false },
        { HARMONY, "<|start|>assistant", "", false, true },
        { HARMONY, "<|start|>assistant", "<|channel|>final<|message|>", false, false },
        { HARMONY, "<|start|>assistant", "<|channel|>analysis<|message|>a<|end|><|start|>", false, true },
    };
    struct tokenizer *t = open_tokenizer(ARRAY_LEN(markers));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply_format *f;
        struct ids prompt = { 0 }, reply = { 0 };
        struct reply_scan s = { 0 };
        bool ends;
        encode(t, rows[i].prompt, &prompt);
        encode(t, rows[i].reply, &reply);
        reply_format_open(&f, t, str_from(rows[i].source));
        reply_scan_start(&s, f, &prompt);
        for (size_t k = 0; k < reply.len; k++)
            reply_scan_put(&s, reply.ptr[k], &ends);
        int32_t want = rows[i].opening ? tokenizer_find(t, STR("<think>")) : -1;
        if (reply_scan_opening(&s) != want || reply_scan_in_head(&s) != rows[i].head)
            fail_msg("row %zu", i);
        reply_scan_free(&s);
        ids_free(&prompt);
        ids_free(&reply);
        reply_format_close(f);
    }
    tokenizer_close(t);
}

/* Markers that are no tokens are letters like others. */
static void calls_have_a_form_where_their_markers_are_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *source, *form;
    } rows[] = { { QWEN, "hermes" },
                 { "[TOOL_CALLS]", "mistral-args" },
                 { "tools parameters", "llama3" },
                 { HARMONY, "harmony" },
                 { "", NULL } };
    struct tokenizer *t = open_tokenizer(ARRAY_LEN(markers)), *none = open_tokenizer(0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply_format *f;
        reply_format_open(&f, t, str_from(rows[i].source));
        const char *form = reply_calls_form(f);
        assert_true(rows[i].form ? form && strcmp(form, rows[i].form) == 0 : !form);
        reply_format_close(f);
    }
    struct reply_format *letters;
    reply_format_open(&letters, none, STR("<tool_call>"));
    assert_null(reply_calls_form(letters));
    reply_format_close(letters);
    tokenizer_close(none);
    tokenizer_close(t);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(calls_have_a_form_where_their_markers_are_tokens),
    cmocka_unit_test(beginnings_are_known),
    cmocka_unit_test(replies_come_apart),
    cmocka_unit_test(endless_headers_are_text),
    cmocka_unit_test(thoughts_are_closed),
    cmocka_unit_test(thoughts_are_skipped),
    cmocka_unit_test(a_vocabulary_without_markers),
    cmocka_unit_test(calls_are_read),
    cmocka_unit_test(scanned_calls_are_read),
    cmocka_unit_test(calls_are_bounded),
    cmocka_unit_test(call_starts_are_found),
    cmocka_unit_test(own_models_think_and_call),
};
TEST_GROUP(text_reply, tests)
