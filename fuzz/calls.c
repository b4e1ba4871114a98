/*
 * calls.c - fuzz target: any answer, read for calls in every form, comes to the same however it is cut. An input is the answer.
 */
#include "grammar/grammar.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_pieces(struct calls_scan *s, struct buf *log)
{
    while (calls_scan_next(s))
        if (s->kind == CALLS_BEGIN)
            buf_printf(log, "|%zu|", s->tool);
        else
            buf_put_str(log, s->text);
}

static void read_answer(const struct calls *c, struct str text, size_t step, struct buf *log)
{
    struct calls_scan s;
    calls_scan_start(&s, c);
    for (size_t at = 0; at < text.len; at += step) {
        calls_scan_put(&s, str_slice(text, at, at + step));
        read_pieces(&s, log);
    }
    calls_scan_end(&s);
    read_pieces(&s, log);
    calls_scan_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const forms[] = { "hermes", "phi4",    "mistral", "mistral-args",
                                         "llama3", "harmony", NULL };
    struct str text = { (const char *)data, size };
    json_t *tools = json_pack("[{s:s, s:s}, {s:s, s:s}, {s:s, s:s, s:{s:s, s:s, s:s}}]", "type", "function",
                              "name", "f", "type", "custom", "name", "say", "type", "custom", "name", "raw",
                              "format", "type", "grammar", "syntax", "lark", "definition", "start: \"a\"");
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        const struct calls_options o = { .form = forms[i] };
        struct calls *c;
        struct buf whole = { 0 }, pieces = { 0 };
        calls_open(&c, tools, &o);
        read_answer(c, text, size + 1, &whole);
        read_answer(c, text, 1, &pieces);
        assert(str_eq(buf_str(&whole), buf_str(&pieces)));
        buf_free(&whole);
        buf_free(&pieces);
        calls_unref(c);
    }
    json_decref(tools);
    return 0;
}
