/*
 * room.c - keys and values of sequences: what they share, and when there is room for one more.
 *
 * The model keeps what it has computed by beginnings of token ids (model.h). A sequence that is admitted takes over
 * the longest beginning of its own that is stored; what it has to read then, its prompt's rest, gets its pages at once,
 * and one page more for every running sequence has to be left, so that nobody steps back for it soon. While it runs,
 * a token's room is reserved before each step; batch.c says who steps back when there is none.
 *
 * Prompts of one salt that begin alike are read once. While a running sequence reads what another would read too, the other
 * waits, then takes it over. Full pages are stored as they fill. Branches of one prompt share more than full
 * pages: all but the last token, which each has to read for its logits. For them the reader halts there for one moment and
 * stores its last, part-filled page as well. Nobody waits for somebody that waits, since only running sequences are
 * waited for, and who waits asks anew before each step: a reader that is cancelled, fails or steps back is
 * simply not there any more.
 *
 * A sequence that had to step back is admitted again like one whose prompt is longer by what it has written; most of
 * that is found stored. Its keys and values are the same bits either way, as the model promises.
 *
 * Threads: the engine's. Ownership: the model owns the pages, a sequence its kv.
 */
#include "engine/engine_impl.h"

#include <assert.h>
#include <string.h>

/* Tokens for which it pays to wait a step or more: of a beginning, and of a whole prompt, where the others
 * have nothing else to read. */
#define SHARED_TOKENS_MIN 64
#define WHOLE_TOKENS_MIN  16

int64_t room_context(const struct model *m, int64_t context)
{
    struct kv_usage u;
    kv_usage(m, &u);
    int64_t fits = u.pages * u.page_tokens;
    return fits < context ? fits : context;
}

int64_t room_history(const struct sequence *s)
{
    return s->prompt->tokens + (int64_t)s->out.len;
}

int32_t room_token(const struct sequence *s, int64_t at)
{
    int64_t n = s->prompt->tokens;
    return at < n ? s->prompt->ids.ptr[at] : s->out.ptr[at - n];
}

/* All that s has to have read, in one array; valid until the next call. */
static const int32_t *history_ids(struct local *l, const struct sequence *s)
{
    if (s->out.len == 0)
        return s->prompt->ids.ptr;
    l->history.len = 0;
    for (int64_t i = 0; i < room_history(s); i++)
        ids_put(&l->history, room_token(s, i));
    return l->history.ptr;
}

/* How much of its history s may take over: not the last token, whose logits are needed, and nothing from the first
 * token on of which the sink is to hear. */
static int64_t match_max(const struct sequence *s)
{
    if (s->params.prompt_logprobs && s->prompt_told < s->prompt->tokens)
        return s->prompt_told > 0 ? s->prompt_told - 1 : 0;
    return room_history(s) - 1;
}

/* --- beginnings that are being read ------------------------------------------------------------------ */

static int64_t common_beginning(const struct sequence *reader, const struct sequence *s, const int32_t *ids,
                                int64_t n)
{
    const struct ids *read = &reader->prompt->ids;
    int64_t shorter = (int64_t)read->len < n ? (int64_t)read->len : n, i = 0;
    if (reader->prompt->salt != s->prompt->salt)
        return 0;
    if (reader->prompt == s->prompt && s->out.len == 0)
        return shorter;
    while (i < shorter && read->ptr[i] == ids[i])
        i++;
    return i;
}

/* Whether a running sequence will soon have stored more of s's beginning than is stored now. */
static bool is_being_read(struct engine *e, const struct sequence *s, const int32_t *ids, int64_t n,
                          int64_t stored)
{
    for (size_t i = 0; i < e->n_running; i++) {
        struct sequence *reader = e->running[i];
        /* A background reader may have to wait for s itself. */
        if (reader->state != SEQUENCE_PREFILL || reader->params.priority > s->params.priority)
            continue;
        int64_t common = common_beginning(reader, s, ids, n), at = common;
        bool whole = common == n;
        if (!whole)
            at -= at % KV_PAGE_TOKENS;
        if (kv_len(reader->kv) >= at || at - stored < (whole ? WHOLE_TOKENS_MIN : SHARED_TOKENS_MIN))
            continue;
        if (whole && (reader->store_at == 0 || at < reader->store_at))
            reader->store_at = at;
        return true;
    }
    return false;
}

void room_share(struct engine *e)
{
    for (size_t i = 0; i < e->n_running; i++) {
        struct sequence *s = e->running[i];
        if (s->store_at && s->state == SEQUENCE_PREFILL && kv_len(s->kv) == s->store_at)
            kv_close(kv_fork(s->kv)); /* what is closed is stored */
        s->store_at = 0;              /* who still waits will say so again */
    }
}

/* --- room ---------------------------------------------------------------------------------------------- */

static int64_t pages_left(const struct local *l)
{
    struct kv_usage u;
    kv_usage(l->model, &u);
    return u.pages - u.pages_used;
}

/* False: s, alone or beside the others, has to wait for somebody to leave. */
static bool take_room(struct engine *e, struct sequence *s, const int32_t *ids, int64_t stored)
{
    struct local *l = e->local;
    int64_t n = room_history(s), spare = (int64_t)e->n_running;
    int64_t pages = (n + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS - stored / KV_PAGE_TOKENS;
    if (pages + spare > pages_left(l))
        return false;
    struct err err;
    s->kv = kv_open(l->model);
    kv_set_salt(s->kv, s->prompt->salt);
    int64_t found = kv_match(s->kv, ids, match_max(s));
    if (kv_reserve(s->kv, n - found, &err) ||
        pages_left(l) < spare) { /* pages of the tree count as used now */
        kv_close(s->kv);
        s->kv = NULL;
        return false;
    }
    atomic_fetch_add(&e->counters.cached, found);
    if (!s->admitted) /* what is found of its past is none of the prompt's */
        s->cached_tokens = found < s->prompt->tokens ? found : s->prompt->tokens;
    return true;
}

enum admission room_admit(struct engine *e, struct sequence *s)
{
    if (s->refused_at == e->departures + 1) /* nobody has left since: it is still full */
        return ADMIT_FULL;
    const int32_t *ids = history_ids(e->local, s);
    int64_t n = match_max(s), stored = kv_would_match(e->local->model, s->prompt->salt, ids, n);
    if (is_being_read(e, s, ids, n, stored))
        return ADMIT_LATER;
    if (!take_room(e, s, ids, stored)) {
        s->refused_at = e->departures + 1;
        return ADMIT_FULL;
    }
    s->state = SEQUENCE_PREFILL;
    return ADMITTED;
}

void room_leave(struct engine *e, struct sequence *s)
{
    (void)e;
    kv_close(s->kv);
    s->kv = NULL;
    s->store_at = 0;
}

void room_reserve(struct engine *e)
{
    struct err err;
    for (size_t i = 0; i < e->n_running;) {
        struct sequence *s = e->running[i];
        if (s->state != SEQUENCE_DECODE || !kv_reserve(s->kv, 1, &err)) {
            i++;
            continue;
        }
        assert(e->n_running > 1); /* one alone reaches the context's end */
        batch_step_back(e);
        i = 0; /* places have changed; who has its room already keeps it */
    }
}
