/*
 * tokens.c - which of the tokens that were generated are listed with their log-probabilities, and where they stand.
 *
 * The engine gives a token when it is chosen and its text when the text is certain, which may be later: half a character
 * waits for its other half, the beginning of a stop string for what follows. So tokens queue here and the text, as it is
 * shown, is matched with their bytes:
 *
 *   - a token is listed as soon as the first of its bytes is shown, at the place of that byte, so that every character
 *     shown belongs to a listed token;
 *   - one of which nothing is shown is not listed: the end of a turn, a marker, blanks before an answer, what a stop
 *     string took away whole;
 *   - where text goes on from text (raw), tokens that show nothing are listed too, the end token and half a character
 *     at the limit among them: harnesses count tokens there. Only a stop string takes its own away.
 *
 * Shown text differs from its tokens' bytes in three ways, which the matching allows for: blanks before the first
 * character, U+FFFD in place of bytes that are no character, and control tokens, which are spelled and not shown.
 *
 * Threads: the conductor's.
 */
#include "job/job_impl.h"

#include <assert.h>
#include <string.h>

#define REPLACEMENT STR("\xef\xbf\xbd")

static void grow(struct tokens *t)
{
    if (t->n < t->cap)
        return;
    t->cap = t->cap ? 2 * t->cap : 32;
    t->list = mem_realloc(t->list, t->cap * sizeof *t->list);
    if (t->stride)
        t->tops = mem_realloc(t->tops, t->cap * t->stride * sizeof *t->tops);
}

void tokens_put(struct tokens *t, const struct engine_token *token, bool prompt)
{
    size_t top = (size_t)token->n_top < t->stride ? (size_t)token->n_top : t->stride;
    grow(t);
    t->list[t->n] = (struct job_token){ .id = token->id, .logprob = token->logprob, .n_top = (int)top };
    for (size_t i = 0; i < top; i++)
        t->tops[t->n * t->stride + i] = (struct job_alternative){ token->top[i].id, token->top[i].logprob };
    t->n++;
    if (prompt) {
        assert(t->front + 1 == t->n); /* the prompt comes before any text */
        t->front = t->n;
    }
}

/* The token at front is done with: it stays when it was shown or keep says so, else it goes. */
static void leave_front(struct tokens *t, size_t at, bool keep)
{
    bool shown = t->used > 0;
    t->used = 0;
    if (!shown)
        t->list[t->front].at = at;
    if (shown || keep) {
        t->front++;
        return;
    }
    size_t behind = t->n - t->front - 1;
    memmove(t->list + t->front, t->list + t->front + 1, behind * sizeof *t->list);
    if (t->stride)
        memmove(t->tops + t->front * t->stride, t->tops + (t->front + 1) * t->stride,
                behind * t->stride * sizeof *t->tops);
    t->n--;
}

/* n more bytes of the token at front stand in the text, the first of them at its byte at. */
static void use(struct tokens *t, size_t at, size_t n)
{
    if (t->used == 0)
        t->list[t->front].at = at;
    t->used += n;
}

/* Bytes that both begin with. U+FFFD in the text stands for itself only where the token has all of it: its first byte may
 * be a broken character's too. */
static size_t common(struct str token, struct str text)
{
    size_t n = 0;
    while (n < token.len && n < text.len && token.ptr[n] == text.ptr[n]) {
        bool mark = str_starts(str_slice(text, n, text.len), REPLACEMENT);
        if (mark && !str_starts(str_slice(token, n, token.len), REPLACEMENT))
            break;
        n += mark ? REPLACEMENT.len : 1;
    }
    return n;
}

static struct str rest_of_front(const struct tokens *t, const struct engine *e)
{
    struct str bytes = engine_token_text(e, t->list[t->front].id);
    return str_slice(bytes, t->used, bytes.len);
}

void tokens_show(struct tokens *t, const struct engine *e, size_t at, struct str grown, bool all)
{
    size_t end = at + grown.len;
    while (t->front < t->n && at < end) {
        struct str text = str_slice(grown, grown.len - (end - at), grown.len), rest = rest_of_front(t, e);
        size_t blanks = 0;
        if (at == 0 && common(rest, text) == 0) { /* an answer's first blanks are layout */
            blanks = rest.len - str_trim_start(rest).len;
            rest = str_slice(rest, blanks, rest.len);
        }
        size_t same = common(rest, text);
        if (same == rest.len) {
            use(t, at, same);
            at += same;
            leave_front(t, at, all);
        } else if (same == text.len) {
            use(t, at, blanks + same);
            at += same;
        } else if (str_starts(str_slice(text, same, text.len), REPLACEMENT)) {
            use(t, at, blanks + same + 1);
            at += same + REPLACEMENT.len;
        } else {
            leave_front(t, at, all);
        }
    }
}

/* What was not shown begins with the stop string, if there was one: everything before it was shown. */
static bool stop_was_found(const struct tokens *t, const struct engine *e, const struct str *stops, size_t n)
{
    struct buf hidden = { 0 };
    struct tokens walk = *t;
    bool found = false;
    for (; walk.front < walk.n; walk.front++, walk.used = 0)
        buf_put_str(&hidden, rest_of_front(&walk, e));
    for (size_t i = 0; i < n && !found; i++)
        found = str_starts(buf_str(&hidden), stops[i]);
    buf_free(&hidden);
    return found;
}

void tokens_end(struct tokens *t, const struct engine *e, size_t at, bool all, const struct str *stops,
                size_t n_stops)
{
    all = all && !stop_was_found(t, e, stops, n_stops);
    while (t->front < t->n)
        leave_front(t, at, all);
}

size_t tokens_listed(const struct tokens *t)
{
    return t->front + (t->used > 0);
}

void tokens_free(struct tokens *t)
{
    mem_free(t->list);
    mem_free(t->tops);
}
