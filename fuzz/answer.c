/*
 * answer.c - what a model wrote, as an answer and as claims of arithmetic: whatever it is, what is found lies in the text,
 * and the same words have the same key.
 */
#include "reason/reason.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = { (const char *)data, size }, found;
    struct answer_hints hints;
    answer_hints_read(&hints, text);
    for (int kind = ANSWER_TEXT; kind <= ANSWER_CALLS; kind++) {
        struct buf key = { 0 }, again = { 0 };
        enum answer_form form = answer_find(text, (enum answer_kind)kind, &hints, &found, &key);
        assert((form == FORM_NONE) == (key.len == 0) && found.len <= text.len);
        if (form != FORM_NONE && kind == ANSWER_TEXT) {
            assert(found.ptr >= text.ptr && found.ptr + found.len <= text.ptr + text.len);
            answer_key(found, &hints, &again);
            assert(str_eq(buf_str(&key), buf_str(&again)));
        }
        buf_free(&key);
        buf_free(&again);
    }
    answer_hints_free(&hints);
    struct arith_count count = arith_check(text);
    assert(count.false_claims >= 0 && count.false_claims <= count.claims);
    return 0;
}
