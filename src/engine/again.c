/*
 * again.c - a thought that the model ends is sent back for another look.
 *
 * Models that were trained to check themselves do so more often when what follows a finished thought is not its end but
 * the token that they know as "go on" (arXiv 2501.19393, 2506.11274). So the marker by which the model ends its thought is
 * not taken; the continue text comes in its place, token by token, as if the model had written it, and the thought goes on
 * until it is ended again. One look is worth its tokens, several hardly are, and a thought that has looked at itself
 * needs none: it is left alone when it has said one of the request's words. So is one that is so short that it has
 * worked nothing out: "A question about me." sent back, the bundled model said half as often what it is.
 *
 * Everything here follows from the tokens, so a sequence that goes on from its past decides as it did.
 *
 * Threads: the engine's.
 */
#include "engine/engine_impl.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

void again_start(struct sequence *s)
{
    s->again.left = s->spelling.n_again && s->spelling.n_markers ? s->params.continues : 0;
}

void again_begin(struct sequence *s)
{
    s->again.left--;
    sequence_send_back(s);
}

bool again_wants(const struct sequence *s, int32_t id)
{
    const struct spelling *p = &s->spelling;
    if (s->again.left == 0 || s->again.never || s->forcing || !sequence_thinks(s) || id != p->markers[0])
        return false;
    return s->thinking_tokens >= CONTINUE_THOUGHT_MIN &&
           s->thinking_tokens + (int64_t)p->n_again + CONTINUE_TOKENS_MIN <= s->think_max;
}

/* Where word stands at the beginning of one, text[0] being the byte before it. */
static bool says(struct str text, const char *word)
{
    size_t n = strlen(word);
    assert(n <= CONTINUE_WORD_MAX);
    for (size_t i = 1; i + n <= text.len; i++)
        if (memcmp(text.ptr + i, word, n) == 0 && !isalpha((unsigned char)text.ptr[i - 1]))
            return true;
    return false;
}

void again_hear(struct sequence *s, struct str thought)
{
    struct again *a = &s->again;
    if (a->left == 0 || a->never || !s->params.continue_unless || thought.len == 0)
        return;
    struct buf text = { 0 };
    if (a->n_tail == 0)
        buf_putc(&text, '\n'); /* the thought's beginning is that of a word */
    buf_put(&text, a->tail, a->n_tail);
    for (size_t i = 0; i < thought.len; i++)
        buf_putc(&text, (char)tolower((unsigned char)thought.ptr[i]));
    for (size_t i = 0; s->params.continue_unless[i]; i++)
        a->never |= says(buf_str(&text), s->params.continue_unless[i]);
    struct str tail = buf_str(&text);
    tail = str_slice(tail, tail.len > sizeof a->tail ? tail.len - sizeof a->tail : 0, tail.len);
    memcpy(a->tail, tail.ptr, tail.len);
    a->n_tail = tail.len;
    buf_free(&text);
}
