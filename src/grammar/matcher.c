/*
 * matcher.c - follows one text.
 *
 * A matcher is a pointer to a state and little more, so copying one is cheap. Every call takes the lock of the cache that its grammar
 * and vocabulary share: other matchers may be making the same states at the same time.
 */
#include "grammar/matcher_impl.h"

#include <assert.h>

static void lock(const struct matcher *m)
{
    pthread_mutex_lock(&m->cache->lock);
}

static void unlock(const struct matcher *m)
{
    pthread_mutex_unlock(&m->cache->lock);
}

void matcher_open(struct matcher **out, struct grammar *g, struct grammar_vocab *v)
{
    struct matcher *m = mem_zalloc(sizeof *m);
    m->grammar = grammar_ref(g);
    m->cache = grammar_cache(g, v);
    lock(m);
    m->space = m->cache->space;
    m->space->refs++;
    m->state = space_start(m->space);
    unlock(m);
    assert(m->state); /* a grammar without a text is refused when it is compiled */
    *out = m;
}

void matcher_close(struct matcher *m)
{
    if (!m)
        return;
    lock(m);
    cache_space_drop(m->space);
    unlock(m);
    grammar_unref(m->grammar);
    mem_free(m);
}

struct matcher *matcher_copy(const struct matcher *m)
{
    struct matcher *copy = mem_zalloc(sizeof *copy);
    *copy = *m;
    grammar_ref(copy->grammar);
    lock(m);
    copy->space->refs++;
    unlock(m);
    return copy;
}

const uint64_t *matcher_mask(struct matcher *m, size_t *words)
{
    assert(m->cache->vocab);
    lock(m);
    const uint64_t *mask = mask_of(m->cache, &m->space, &m->state);
    unlock(m);
    *words = m->cache->vocab->words;
    return mask;
}

/* --- going on ------------------------------------------------------------------------------------------------------ */

/* Where len bytes lead, as far as they lead. */
static struct state *follow(struct space *s, struct state *at, struct str bytes, size_t *taken)
{
    struct state *to = at;
    for (*taken = 0; *taken < bytes.len; ++*taken) {
        to = space_step(s, at, (unsigned char)bytes.ptr[*taken]);
        if (!to)
            return at;
        at = to;
    }
    return at;
}

/* The state behind a control token that is asked for here, or NULL. */
static struct state *after_control(const struct matcher *m, int32_t id)
{
    for (uint32_t i = 0; i < m->space->program->n_controls; i++)
        if (m->cache->controls[i] == id)
            return space_control(m->space, m->state, i);
    return NULL;
}

static bool is_end(const struct grammar_vocab *v, int32_t id)
{
    return v->ends[id / 64] >> (id % 64) & 1;
}

/* The state behind a token, NULL where it is not allowed. Called under the lock. */
static struct state *after_token(const struct matcher *m, int32_t id)
{
    const struct grammar_vocab *v = m->cache->vocab;
    size_t taken;
    assert(v);
    if (id < 0 || (size_t)id >= v->n_tokens)
        return NULL;
    struct state *to = after_control(m, id);
    if (to)
        return to;
    if (is_end(v, id))
        return m->state->may_end ? m->state : NULL;
    struct str bytes = tokenizer_bytes(v->tokenizer, id);
    if (!(v->text[id / 64] >> (id % 64) & 1))
        return NULL;
    to = follow(m->space, m->state, bytes, &taken);
    return taken == bytes.len ? to : NULL;
}

bool matcher_allows(const struct matcher *m, int32_t id)
{
    lock(m);
    bool allowed = after_token(m, id) != NULL;
    unlock(m);
    return allowed;
}

bool matcher_accept(struct matcher *m, int32_t id)
{
    lock(m);
    cache_move(m->cache, &m->space, &m->state);
    struct state *to = after_token(m, id);
    if (to)
        m->state = to;
    unlock(m);
    return to != NULL;
}

size_t matcher_put(struct matcher *m, struct str bytes)
{
    size_t done = 0, taken = 1;
    lock(m);
    while (done < bytes.len && taken) { /* in pieces, so that a long text cannot grow a space without end */
        cache_move(m->cache, &m->space, &m->state);
        m->state = follow(m->space, m->state, str_slice(bytes, done, done + 4096), &taken);
        done += taken;
        taken = taken == 4096;
    }
    unlock(m);
    return done;
}

/* --- questions ------------------------------------------------------------------------------------------------------- */

bool matcher_may_end(const struct matcher *m)
{
    return m->state->may_end;
}

bool matcher_over(const struct matcher *m)
{
    return m->state->may_end && m->state->n == 0;
}

static bool has_control(const struct program *p, const struct state *at)
{
    for (uint32_t i = 0; i < at->n; i++)
        if (at->items[i].pc < p->dfa_base && p->code[at->items[i].pc].op == OP_CONTROL)
            return true;
    return false;
}

/* The one byte that can come next, or -1. */
static int only_byte(struct space *s, const struct state *at)
{
    if (at->may_end || has_control(s->program, at))
        return -1;
    struct byte_set set = space_bytes_next(s, at);
    int only = -1;
    for (int k = 0; k < 4; k++) {
        if (!set.bits[k])
            continue;
        if (only >= 0 || set.bits[k] & (set.bits[k] - 1))
            return -1;
        only = 64 * k + __builtin_ctzll(set.bits[k]);
    }
    return only;
}

void matcher_forced(const struct matcher *m, struct buf *out)
{
    lock(m);
    struct state *at = m->state;
    for (int byte; (byte = only_byte(m->space, at)) >= 0 && out->len < GRAMMAR_FORCED_MAX;) {
        buf_putc(out, (char)byte);
        at = space_step(m->space, at, (unsigned char)byte);
    }
    unlock(m);
}

/* One step nearer to the end: where everything is kept that the grammar allows (stack.c), one byte is one byte nearer. Bytes first;
 * where only a control token comes nearer, it stands for its text. */
static struct state *nearer(struct space *s, struct state *at, struct buf *out)
{
    const struct program *p = s->program;
    struct byte_set set = space_bytes_next(s, at);
    struct state *best = NULL;
    unsigned byte = 0;
    for (unsigned c = 0; c < 256 && !(best && best->len < at->len); c++) {
        struct state *to = byte_set_has(&set, (unsigned char)c) ? space_step(s, at, (unsigned char)c) : NULL;
        if (!to || (best && best->len <= to->len))
            continue;
        best = to;
        byte = c;
    }
    for (uint32_t i = 0; i < p->n_controls && !(best && best->len < at->len); i++) {
        struct state *to = space_control(s, at, i);
        if (to && to->len + p->controls[i].len == at->len) {
            buf_put_str(out, p->controls[i]);
            return to;
        }
    }
    if (best)
        buf_putc(out, (char)byte);
    return best;
}

bool matcher_closing(const struct matcher *m, size_t max, struct buf *out)
{
    size_t before = out->len;
    lock(m);
    struct state *at = m->state;
    while (at && at->len && at->len <= max - (out->len - before))
        at = nearer(m->space, at, out);
    unlock(m);
    assert(at); /* every state can be gone on from */
    return at->len == 0;
}
