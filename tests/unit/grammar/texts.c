/*
 * texts.c - see texts.h.
 */
#include "texts.h"

#include "test.h"

#include <string.h>

void texts_check(struct grammar *g, struct grammar_vocab *v, const char *source, const char *text)
{
    struct matcher *m;
    const char *bar = strchr(text, '|');
    struct buf bytes = { 0 };
    buf_put(&bytes, text, bar ? (size_t)(bar - text) : strlen(text));
    size_t good = bytes.len;
    if (bar)
        buf_puts(&bytes, bar + 1);
    matcher_open(&m, g, v);
    size_t taken = matcher_put(m, buf_str(&bytes));
    if (taken != good || (!bar && !matcher_may_end(m)) || (bar && !bar[1] && matcher_may_end(m)))
        fail_msg("%s and \"%s\": %zu bytes were taken", source, text, taken);
    matcher_close(m);
    buf_free(&bytes);
}
