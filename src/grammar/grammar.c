/*
 * grammar.c - a compiled grammar, and what is remembered of it for each vocabulary.
 *
 * A space of states only grows. When it has reached CACHE_BYTES_MAX a new, empty one takes its place; each matcher moves its own state over
 * at its next call, and the old space ends with the last that leaves. So no answer ever depends on what was remembered.
 */
#include "grammar/matcher_impl.h"

static void cache_close(struct cache *c)
{
    cache_space_drop(c->space);
    pthread_mutex_destroy(&c->lock);
    grammar_vocab_close(c->vocab);
    mem_free(c->controls);
    mem_free(c);
}

/* Of the longest token; bytes alone come one at a time. */
static uint32_t longest(const struct grammar_vocab *v)
{
    return v ? v->longest : 1;
}

static struct cache *cache_open(const struct program *p, struct grammar_vocab *v)
{
    struct cache *c = mem_zalloc(sizeof *c);
    c->vocab = v ? grammar_vocab_ref(v) : NULL;
    pthread_mutex_init(&c->lock, NULL);
    c->controls = mem_array(p->n_controls, sizeof *c->controls);
    for (uint32_t i = 0; i < p->n_controls; i++) {
        int32_t id = v ? tokenizer_find(v->tokenizer, p->controls[i]) : -1;
        c->controls[i] = id >= 0 && str_eq(tokenizer_text(v->tokenizer, id), p->controls[i]) ? id : -1;
    }
    c->space = space_open(p, c->controls, longest(v));
    c->space->refs = 1;
    return c;
}

struct cache *grammar_cache(struct grammar *g, struct grammar_vocab *v)
{
    pthread_mutex_lock(&g->lock);
    struct cache *c = g->caches;
    while (c && c->vocab != v)
        c = c->next;
    if (!c) {
        c = cache_open(g->program, v);
        c->next = g->caches;
        g->caches = c;
    }
    pthread_mutex_unlock(&g->lock);
    return c;
}

void cache_space_drop(struct space *s)
{
    if (s && --s->refs == 0)
        space_close(s);
}

void cache_move(struct cache *c, struct space **space, struct state **at)
{
    if (space_bytes(c->space) > CACHE_BYTES_MAX) {
        cache_space_drop(c->space);
        c->space = space_open(c->space->program, c->controls, longest(c->vocab));
        c->space->refs = 1;
    }
    if (*space == c->space)
        return;
    *at = space_adopt(c->space, *space, *at);
    c->space->refs++;
    cache_space_drop(*space);
    *space = c->space;
}

enum err_code grammar_from(struct grammar **out, struct builder *b, size_t start, enum err_code unsatisfiable,
                           struct err *err)
{
    struct program *p;
    bool left;
    *out = NULL;
    enum err_code code = program_make(&p, b, start, unsatisfiable, &left, err);
    if (left && (code = turn_left_recursion(b, err)) == ERR_OK)
        code = program_make(&p, b, start, unsatisfiable, &left, err);
    builder_close(b);
    if (code)
        return code;
    struct grammar *g = mem_zalloc(sizeof *g);
    g->refs = 1;
    g->program = p;
    pthread_mutex_init(&g->lock, NULL);
    *out = g;
    return ERR_OK;
}

struct grammar *grammar_ref(struct grammar *g)
{
    atomic_fetch_add(&g->refs, 1);
    return g;
}

void grammar_unref(struct grammar *g)
{
    if (!g || atomic_fetch_sub(&g->refs, 1) != 1)
        return;
    for (struct cache *c = g->caches, *next; c; c = next) {
        next = c->next;
        cache_close(c);
    }
    pthread_mutex_destroy(&g->lock);
    program_free(g->program);
    mem_free(g);
}

size_t grammar_bytes(struct grammar *g)
{
    const struct program *p = g->program;
    size_t bytes = p->arena.used + p->n_code * (sizeof *p->code + sizeof *p->len + sizeof *p->need);
    pthread_mutex_lock(&g->lock);
    for (struct cache *c = g->caches; c; c = c->next) {
        pthread_mutex_lock(&c->lock);
        bytes += space_bytes(c->space);
        pthread_mutex_unlock(&c->lock);
    }
    pthread_mutex_unlock(&g->lock);
    return bytes;
}
