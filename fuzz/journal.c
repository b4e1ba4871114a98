/*
 * journal.c - any bytes as a job's journal: refused, or entries that come back the same when they are written again.
 *
 * An input is as the store gives it: entries one behind the other (src/job/journal.c says how one is laid out).
 */
#include "job/job_impl.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = { (const char *)data, size };
    struct heard h, again;
    size_t choice, choice_again;
    while (journal_take(&rest, &choice, &h)) {
        struct buf written = { 0 };
        assert(choice < JOB_CHOICES_MAX && utf8_valid(h.text));
        if (h.kind == ENGINE_FAILED) /* what it says is the failure's: it is not written from there */
            continue;
        journal_put(&written, choice, &h);
        struct str back = buf_str(&written);
        bool taken = journal_take(&back, &choice_again, &again);
        assert(taken && back.len == 0 && choice_again == choice && str_eq(again.text, h.text));
        assert(again.kind == h.kind && again.stage == h.stage && again.finish == h.finish);
        assert(again.token.id == h.token.id && again.token.n_top == h.token.n_top);
        assert(again.output_tokens == h.output_tokens && again.cached_tokens == h.cached_tokens);
        buf_free(&written);
    }
    return 0;
}
