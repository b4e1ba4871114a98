/*
 * tokenizer.c - fuzz target: a byte-level and an SPM vocabulary over any text, in every mode.
 *
 * The text is guarded and encoded as it is; whatever encodes must decode to the same bytes, and guarded text must
 * hold no special token.
 */
#include "text/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SPELLED 256 /* ids below are the 256 bytes in both vocabularies */

static struct tokenizer *open_tokenizer(bool spm)
{
    static char spelling[SPELLED][8];
    static struct str tokens[SPELLED + 6];
    static float scores[SPELLED + 6];
    static int32_t types[SPELLED + 6];
    static const char *const words[] = { "ab", "abc", "<|im_end|>", "<think>", "    ", "aa" };
    static const struct str merges[] = { { "a b", 3 }, { "ab c", 4 }, { "a a", 3 } };
    unsigned hidden = 0x100;
    for (unsigned b = 0; b < SPELLED; b++) {
        bool prints = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
        size_t len = spm ? (size_t)snprintf(spelling[b], 8, "<0x%02X>", b)
                         : utf8_encode(prints ? b : hidden++, spelling[b]);
        tokens[b] = (struct str){ spelling[b], len };
        types[b] = spm ? TOKEN_BYTE : TOKEN_NORMAL;
    }
    for (size_t i = 0; i < 6; i++) {
        tokens[SPELLED + i] = str_from(words[i]);
        types[SPELLED + i] = i == 2 ? TOKEN_CONTROL : i == 3 || i == 4 ? TOKEN_USER_DEFINED : TOKEN_NORMAL;
    }
    struct vocabulary v = { .model = spm ? STR("llama") : STR("gpt2"),
                            .pre = spm ? STR("") : STR("llama-bpe"),
                            .tokens = tokens,
                            .scores = scores,
                            .types = types,
                            .n_tokens = SPELLED + 6,
                            .merges = merges,
                            .n_merges = 3,
                            .bos = -1,
                            .eos = -1,
                            .eot = -1,
                            .unk = -1,
                            .pad = -1 };
    struct tokenizer *t = NULL;
    return tokenizer_open(&t, &v, NULL) ? NULL : t;
}

static void check(const struct tokenizer *t, struct str text)
{
    struct buf guarded = { 0 }, back = { 0 };
    struct ids plain = { 0 }, special = { 0 };
    struct err err;
    text_guard(t, text, &guarded);
    enum err_code code = tokenizer_encode(t, text, ENCODE_PLAIN, &plain, &err);
    if (tokenizer_encode(t, buf_str(&guarded), ENCODE_SPECIAL, &special, &err) != code)
        abort();
    for (size_t i = 0; !code && i < special.len; i++) {
        if (special.ptr[i] == SPELLED + 2 || special.ptr[i] == SPELLED + 3)
            abort();
        buf_put_str(&back, tokenizer_bytes(t, special.ptr[i]));
    }
    bool has_block = str_find(text, STR("\xE2\x96\x81")) != SIZE_MAX; /* a blank to SPM */
    if (!code && !has_block && !memchr(text.len ? text.ptr : "", 0xFF, text.len) &&
        !str_eq(buf_str(&back), text))
        abort();
    ids_free(&plain);
    ids_free(&special);
    buf_free(&guarded);
    buf_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *bpe, *spm;
    if (!bpe) {
        bpe = open_tokenizer(false);
        spm = open_tokenizer(true);
    }
    struct str text = { (const char *)data, size };
    check(bpe, text);
    check(spm, text);
    return 0;
}
