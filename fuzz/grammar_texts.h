/*
 * grammar_texts.h - what must hold for any grammar and any text, for the targets whose inputs are both.
 *
 * An input is a grammar, a byte 0, and a text. The vocabulary is one of all bytes and a few words.
 */
#ifndef THINKD_FUZZ_GRAMMAR_TEXTS_H
#define THINKD_FUZZ_GRAMMAR_TEXTS_H

#include "grammar/grammar.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define GRAMMAR_FUZZ_BYTES 100  /* of a text that is followed */
#define GRAMMAR_FUZZ_END   2000 /* of an end that is checked */

static struct tokenizer *grammar_fuzz_tokenizer(void)
{
    static const char *const words[] = { "ab", "\"a", "\": ", "\xC3\xA9t", "  ", "aaa", "0x1", "</s>" };
    enum { WORDS = ARRAY_LEN(words), TOKENS = 256 + WORDS };
    static char names[256][8];
    struct str tokens[TOKENS];
    float scores[TOKENS] = { 0 };
    int32_t types[TOKENS];
    struct tokenizer *t = NULL;
    struct err err;
    for (int i = 0; i < TOKENS; i++) {
        if (i < 256)
            snprintf(names[i], sizeof names[i], "<0x%02X>", (unsigned)i);
        tokens[i] = str_from(i < 256 ? names[i] : words[i - 256]);
        types[i] = i < 256 ? TOKEN_BYTE : i == TOKENS - 1 ? TOKEN_CONTROL : TOKEN_NORMAL;
    }
    struct vocabulary v = { .model = STR("llama"),
                            .tokens = tokens,
                            .scores = scores,
                            .types = types,
                            .n_tokens = TOKENS,
                            .bos = -1,
                            .eos = TOKENS - 1,
                            .eot = -1,
                            .unk = -1,
                            .pad = -1 };
    enum err_code code = tokenizer_open(&t, &v, &err);
    assert(code == ERR_OK);
    (void)code;
    return t;
}

/* Each bit of the mask is what the token's bytes say, and there is one. */
static void grammar_fuzz_mask(struct matcher *m, const struct tokenizer *t)
{
    size_t words, any = 0;
    const uint64_t *mask = matcher_mask(m, &words);
    for (int32_t id = 0; (size_t)id < tokenizer_size(t); id++) {
        struct matcher *copy = matcher_copy(m);
        struct str bytes = tokenizer_bytes(t, id);
        bool set = mask[id / 64] >> (id % 64) & 1;
        bool fits = tokenizer_ends(t, id) ? matcher_may_end(m) : matcher_put(copy, bytes) == bytes.len;
        assert(set == fits && set == matcher_allows(m, id));
        any += set;
        matcher_close(copy);
    }
    assert(any > 0);
}

/* Forced bytes are accepted, and so is the end that is proposed, which makes the text whole. */
static void grammar_fuzz_ends(const struct matcher *m)
{
    struct buf text = { 0 };
    struct matcher *copy = matcher_copy(m);
    matcher_forced(m, &text);
    assert(matcher_put(copy, buf_str(&text)) == text.len);
    buf_clear(&text);
    if (matcher_closing(copy, GRAMMAR_FUZZ_END, &text)) {
        assert(matcher_put(copy, buf_str(&text)) == text.len);
        assert(matcher_may_end(copy));
    }
    matcher_close(copy);
    buf_free(&text);
}

/* Takes g over. */
static void grammar_fuzz(struct grammar *g, struct str text)
{
    static struct tokenizer *t;
    static struct grammar_vocab *v;
    struct matcher *m;
    if (!t) {
        t = grammar_fuzz_tokenizer();
        grammar_vocab_open(&v, t);
    }
    matcher_open(&m, g, v);
    for (size_t i = 0; i < text.len && i < GRAMMAR_FUZZ_BYTES; i++) {
        if (i % 8 == 0)
            grammar_fuzz_mask(m, t);
        grammar_fuzz_ends(m);
        if (!matcher_put(m, (struct str){ text.ptr + i, 1 }))
            break;
    }
    grammar_fuzz_ends(m);
    matcher_close(m);
    grammar_unref(g);
}

#endif
