/*
 * lark.c - fuzz target: any grammar in Lark's syntax, and any text in it. Inputs: see grammar_texts.h.
 */
#include "grammar_texts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    struct str source = { (const char *)data, end ? (size_t)(end - data) : size };
    struct str text = str_slice((struct str){ (const char *)data, size }, source.len + 1, size);
    struct grammar *g;
    struct err err = { 0 };
    if (grammar_open_lark(&g, source, &err) == ERR_OK)
        grammar_fuzz(g, text);
    else
        assert(utf8_valid(str_from(err.message)) && err.message[0]);
    return 0;
}
