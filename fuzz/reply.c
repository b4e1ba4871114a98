/*
 * reply.c - fuzz target: a reply of any family, taken apart token by token, and the calls in it.
 *
 * An input is text: its first line the template that chooses the format, its second the prompt's end, the
 * rest the reply. Markers are written as they are spelled; every other byte is a token of its own. What is
 * shown besides tokens must be whole characters, and what is read as a call must have a name and arguments.
 */
#include "text/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BYTES 256

static const char *const markers[] = {
    "<think>",        "</think>",       "[THINK]",      "[/THINK]",    "<seed:think>",  "</seed:think>",
    "<tool_call>",    "</tool_call>",   "[TOOL_CALLS]", "[ARGS]",      "[CALL_ID]",     "<|tool_call|>",
    "<|/tool_call|>", "<|python_tag|>", "<|start|>",    "<|channel|>", "<|constrain|>", "<|message|>",
    "<|end|>",        "<|return|>",     "<|call|>",     "<|im_end|>",
};

static struct tokenizer *open_tokenizer(void)
{
    static char spelling[BYTES][8];
    static struct str tokens[BYTES + ARRAY_LEN(markers)];
    static int32_t types[BYTES + ARRAY_LEN(markers)];
    static float scores[BYTES + ARRAY_LEN(markers)];
    for (unsigned b = 0; b < BYTES; b++) {
        tokens[b] = (struct str){ spelling[b], (size_t)snprintf(spelling[b], 8, "<0x%02X>", b) };
        types[b] = TOKEN_BYTE;
    }
    for (size_t i = 0; i < ARRAY_LEN(markers); i++) {
        tokens[BYTES + i] = str_from(markers[i]);
        types[BYTES + i] = i % 2 ? TOKEN_CONTROL : TOKEN_USER_DEFINED;
    }
    struct vocabulary v = { .model = STR("llama"),
                            .tokens = tokens,
                            .types = types,
                            .scores = scores,
                            .n_tokens = ARRAY_LEN(tokens),
                            .bos = -1,
                            .eos = -1,
                            .eot = -1,
                            .unk = -1,
                            .pad = -1 };
    struct tokenizer *t = NULL;
    return tokenizer_open(&t, &v, NULL) ? NULL : t;
}

static void to_ids(struct str text, struct ids *ids)
{
    while (text.len) {
        size_t i = 0, used = 1;
        while (i < ARRAY_LEN(markers) && !str_starts(text, str_from(markers[i])))
            i++;
        if (i < ARRAY_LEN(markers))
            used = strlen(markers[i]);
        ids_put(ids, i < ARRAY_LEN(markers) ? (int32_t)(BYTES + i) : (unsigned char)text.ptr[0]);
        text = str_slice(text, used, text.len);
    }
}

static struct str take_line(struct str *text)
{
    size_t end = str_find(*text, STR("\n"));
    struct str line = str_slice(*text, 0, end);
    *text = end == SIZE_MAX ? STR("") : str_slice(*text, end + 1, text->len);
    return line;
}

static void check_calls(const struct reply_format *f, struct str text)
{
    json_t *calls, *call;
    struct err err = { 0 };
    size_t i;
    if (reply_call_start(f, text) > text.len)
        abort();
    if (reply_calls(f, text, &calls, &err) &&
        (calls || !utf8_valid(str_from(err.message)) || !err.message[0]))
        abort();
    json_array_foreach(calls, i, call)
    {
        if (!json_string_length(json_object_get(call, "name")) ||
            !json_is_object(json_object_get(call, "arguments")))
            abort();
    }
    json_decref(calls);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *t;
    if (!t)
        t = open_tokenizer();
    struct str text = { (const char *)data, size };
    struct reply_format *f;
    struct ids prompt = { 0 }, reply = { 0 };
    struct reply_scan s = { 0 };
    struct buf parts[3] = { { 0 } };
    bool ends = false;
    reply_format_open(&f, t, take_line(&text));
    to_ids(take_line(&text), &prompt);
    to_ids(text, &reply);
    reply_scan_start(&s, f, &prompt);
    for (size_t i = 0; i < reply.len && !ends; i++) {
        bool shown = reply_scan_put(&s, reply.ptr[i], &ends);
        if (!utf8_valid(s.before) || (ends && shown))
            abort();
        buf_put_str(&parts[s.part], s.before);
        if (shown)
            buf_put_str(&parts[s.part], tokenizer_bytes(t, reply.ptr[i]));
    }
    check_calls(f, text);
    check_calls(f, buf_str(&parts[REPLY_CALL]));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        buf_free(&parts[i]);
    reply_scan_free(&s);
    ids_free(&prompt);
    ids_free(&reply);
    reply_format_close(f);
    return 0;
}
