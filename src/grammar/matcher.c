/*
 * matcher.c - follows one text.
 *
 * A matcher is a pointer to a state and little more, so copying one is cheap. Every call takes the lock of the cache that its grammar
 * and vocabulary share: other matchers may be making the same states at the same time.
 *
 * Where no object may say a key twice, the keys so far are the matcher's own (keys.h). They only ever take away from what the state
 * allows: the tokens with a quotation mark that would end such a key.
 */
#include "grammar/matcher_impl.h"

#include <assert.h>
#include <string.h>

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
    m->keys.mark = m->space->program->keys_mark;
    m->keys.stop = m->space->program->keys_stop;
    m->keys.asleep = m->space->program->keys_wake.len > 0;
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
    arena_free(&m->keys_arena);
    mem_free(m->mask);
    mem_free(m);
}

struct matcher *matcher_copy(const struct matcher *m)
{
    struct matcher *copy = mem_zalloc(sizeof *copy);
    *copy = *m;
    grammar_ref(copy->grammar);
    copy->keys_arena = (struct arena){ 0 };
    copy->mask = NULL;
    keys_copy(&copy->keys, &m->keys, &copy->keys_arena);
    lock(m);
    copy->space->refs++;
    unlock(m);
    return copy;
}

/* --- keys that were said ------------------------------------------------------------------------------------------- */

/* The mask without the tokens that would end a key a second time. */
static const uint64_t *without_said(struct matcher *m, const uint64_t *mask)
{
    const struct grammar_vocab *v = m->cache->vocab;
    bool copied = false;
    for (size_t i = 0; i < v->n_quoted; i++) {
        int32_t id = v->quoted[i];
        uint64_t bit = 1ull << (id % 64);
        if (!(mask[id / 64] & bit) || keys_allow(&m->keys, tokenizer_bytes(v->tokenizer, id)))
            continue;
        if (!m->mask)
            m->mask = mem_array(v->words, sizeof *m->mask);
        if (!copied)
            memcpy(m->mask, mask, v->words * sizeof *mask);
        copied = true;
        m->mask[id / 64] &= ~bit;
    }
    return copied ? m->mask : mask;
}

const uint64_t *matcher_mask(struct matcher *m, size_t *words)
{
    assert(m->cache->vocab);
    lock(m);
    const uint64_t *mask = mask_of(m->cache, &m->space, &m->state);
    unlock(m);
    *words = m->cache->vocab->words;
    return m->space->program->unique_keys ? without_said(m, mask) : mask;
}

/* --- going on ------------------------------------------------------------------------------------------------------ */

/* A place in a text: a state, and the keys so far where they matter. */
struct standing {
    struct space *space;
    struct state *at;
    struct keys keys;
    struct arena *arena; /* of the keys; NULL: they do not matter */
};

static struct standing stand(const struct matcher *m, struct arena *arena)
{
    bool unique = m->space->program->unique_keys;
    return (struct standing){ m->space, m->state, m->keys, unique ? arena : NULL };
}

static bool go_on(struct standing *s, unsigned char byte)
{
    struct state *to = space_step(s->space, s->at, byte);
    if (!to || (s->arena && !keys_step(&s->keys, byte, s->arena)))
        return false;
    s->at = to;
    return true;
}

/* Goes on by control token i, if it is asked for here. */
static bool go_on_by_control(struct standing *s, uint32_t i)
{
    const struct program *p = s->space->program;
    struct state *to = space_control(s->space, s->at, i);
    if (!to)
        return false;
    s->at = to;
    s->keys.asleep = s->keys.asleep && !str_eq(p->controls[i], p->keys_wake);
    return true;
}

/* As far as the bytes lead; returns how far. */
static size_t follow(struct standing *s, struct str bytes)
{
    size_t taken = 0;
    while (taken < bytes.len && go_on(s, (unsigned char)bytes.ptr[taken]))
        taken++;
    return taken;
}

static bool follow_control(const struct matcher *m, struct standing *s, int32_t id)
{
    for (uint32_t i = 0; i < m->space->program->n_controls; i++)
        if (m->cache->controls[i] == id)
            return go_on_by_control(s, i);
    return false;
}

static bool is_end(const struct grammar_vocab *v, int32_t id)
{
    return v->ends[id / 64] >> (id % 64) & 1;
}

/* Goes on by a token; false where it is not allowed. Called under the lock. */
static bool follow_token(const struct matcher *m, struct standing *s, int32_t id)
{
    const struct grammar_vocab *v = m->cache->vocab;
    assert(v);
    if (id < 0 || (size_t)id >= v->n_tokens)
        return false;
    if (follow_control(m, s, id))
        return true;
    if (is_end(v, id))
        return m->state->may_end;
    struct str bytes = tokenizer_bytes(v->tokenizer, id);
    return v->text[id / 64] >> (id % 64) & 1 && follow(s, bytes) == bytes.len;
}

bool matcher_allows(const struct matcher *m, int32_t id)
{
    struct arena arena = { 0 };
    lock(m);
    struct standing s = stand(m, &arena);
    bool allowed = follow_token(m, &s, id);
    unlock(m);
    arena_free(&arena);
    return allowed;
}

static void remain(struct matcher *m, const struct standing *s)
{
    m->state = s->at;
    m->keys = s->keys;
}

bool matcher_accept(struct matcher *m, int32_t id)
{
    lock(m);
    cache_move(m->cache, &m->space, &m->state);
    struct standing s = stand(m, &m->keys_arena);
    bool allowed = follow_token(m, &s, id);
    if (allowed)
        remain(m, &s);
    unlock(m);
    return allowed;
}

size_t matcher_put(struct matcher *m, struct str bytes)
{
    size_t done = 0, taken = 4096;
    lock(m);
    while (taken == 4096) { /* in pieces, so that a long text cannot grow a space without end */
        cache_move(m->cache, &m->space, &m->state);
        struct standing s = stand(m, &m->keys_arena);
        taken = follow(&s, str_slice(bytes, done, done + 4096));
        remain(m, &s);
        done += taken;
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
 * where only a control token comes nearer, it stands for its text. A byte that the keys refuse makes a detour of a byte or two. False: nothing
 * goes on. */
static bool go_nearer(struct standing *s, struct buf *out)
{
    const struct program *p = s->space->program;
    struct byte_set set = space_bytes_next(s->space, s->at);
    struct standing best = { 0 };
    unsigned byte = 0;
    for (unsigned c = 0; c < 256 && !(best.at && best.at->len < s->at->len); c++) {
        struct standing to = *s;
        if (!byte_set_has(&set, (unsigned char)c) || !go_on(&to, (unsigned char)c) ||
            (best.at && best.at->len <= to.at->len))
            continue;
        best = to;
        byte = c;
    }
    for (uint32_t i = 0; i < p->n_controls && !(best.at && best.at->len < s->at->len); i++) {
        struct state *to = space_control(s->space, s->at, i);
        if (to && to->len + p->controls[i].len == s->at->len) {
            buf_put_str(out, p->controls[i]);
            return go_on_by_control(s, i);
        }
    }
    if (!best.at)
        return false;
    buf_putc(out, (char)byte);
    *s = best;
    return true;
}

bool matcher_closing(const struct matcher *m, size_t max, struct buf *out)
{
    size_t before = out->len;
    struct arena arena = { 0 };
    bool on = true;
    lock(m);
    struct standing s = stand(m, &arena);
    while (on && s.at->len && s.at->len <= max - (out->len - before))
        on = go_nearer(&s, out);
    unlock(m);
    arena_free(&arena);
    assert(on); /* every state can be gone on from */
    return s.at->len == 0;
}
