/*
 * shard.c - documents drawn, rendered and tokenised by several threads, packed in order by one.
 *
 * The documents come in chunks, each from its own random stream. A worker takes the number of the next chunk, and the
 * packing thread takes the finished chunks by their numbers, so a shard does not depend on how many worked on it.
 *
 * Threads: the lock guards the numbers and the slots' states; a slot's contents are its worker's until it is ready, then
 *          the packing thread's until that has moved on.
 */
#include "corpus.h"

#include "base/thread.h"

#include <assert.h>
#include <pthread.h>

#define CHUNK_DOCUMENTS 256
#define SLOTS           16

struct slot {
    struct tokens all; /* the documents, one after the other */
    uint32_t lens[CHUNK_DOCUMENTS];
    bool ready;
};

struct making {
    const struct shard_config *cfg;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t next, packed; /* chunks taken by workers, chunks packed */
    bool stop;
    enum err_code code;
    struct err err;
    struct slot slots[SLOTS];
};

struct worker {
    struct making *making;
    struct thread thread;
};

/* What a worker keeps from one document to the next. */
struct tools {
    struct document document;
    struct exam_problem problem;
    struct render_scratch scratch;
    struct tokens tokens;
};

static void tools_free(struct tools *t)
{
    document_free(&t->document);
    exam_problem_free(&t->problem);
    render_scratch_free(&t->scratch);
    tokens_free(&t->tokens);
}

static void append(struct tokens *to, const struct tokens *more)
{
    if (to->len + more->len > to->cap) {
        to->cap = (to->len + more->len) * 2;
        to->ptr = mem_realloc(to->ptr, to->cap * sizeof *to->ptr);
    }
    for (size_t i = 0; i < more->len; i++)
        to->ptr[to->len++] = more->ptr[i];
}

static enum err_code fill(const struct shard_config *cfg, uint64_t chunk, struct tools *t, struct slot *slot,
                          struct err *err)
{
    struct rng rng;
    enum err_code code = ERR_OK;
    rng_init(&rng, cfg->seed, chunk * 2 + (cfg->mixture->split == EXAM_HELD_OUT));
    slot->all.len = 0;
    for (size_t i = 0; i < CHUNK_DOCUMENTS && !code; i++) {
        document_draw(&t->document, cfg->mixture, &rng, &t->problem);
        code = render_document(cfg->renderer, &t->document, &rng, &t->scratch, &t->tokens, err);
        append(&slot->all, &t->tokens);
        slot->lens[i] = (uint32_t)t->tokens.len;
    }
    return code;
}

static void work(void *ctx)
{
    struct making *m = ((struct worker *)ctx)->making;
    struct tools tools = { 0 };
    pthread_mutex_lock(&m->lock);
    for (;;) {
        while (!m->stop && m->next >= m->packed + SLOTS)
            pthread_cond_wait(&m->changed, &m->lock);
        if (m->stop)
            break;
        uint64_t chunk = m->next++;
        struct slot *slot = &m->slots[chunk % SLOTS];
        struct err err;
        pthread_mutex_unlock(&m->lock);
        enum err_code code = fill(m->cfg, chunk, &tools, slot, &err);
        pthread_mutex_lock(&m->lock);
        if (code && !m->code) {
            m->code = code;
            m->err = err;
        }
        slot->ready = true;
        pthread_cond_broadcast(&m->changed);
    }
    pthread_mutex_unlock(&m->lock);
    tools_free(&tools);
}

static void pack(struct packer *p, const struct slot *slot)
{
    size_t at = 0;
    for (size_t i = 0; i < CHUNK_DOCUMENTS; i++) {
        packer_put(p, &(struct tokens){ slot->all.ptr + at, slot->lens[i], 0 });
        at += slot->lens[i];
    }
}

static void pack_all(struct making *m, struct packer *p)
{
    pthread_mutex_lock(&m->lock);
    while (!packer_full(p) && !m->code) {
        struct slot *slot = &m->slots[m->packed % SLOTS];
        while (!slot->ready && !m->code)
            pthread_cond_wait(&m->changed, &m->lock);
        if (m->code)
            break;
        pthread_mutex_unlock(&m->lock);
        pack(p, slot);
        pthread_mutex_lock(&m->lock);
        slot->ready = false;
        m->packed++;
        pthread_cond_broadcast(&m->changed);
    }
    m->stop = true;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

enum err_code shard_make(const struct shard_config *cfg, struct packer *p, struct err *err)
{
    assert(cfg->threads >= 1);
    struct making *m = mem_zalloc(sizeof *m);
    struct worker *workers = mem_array((size_t)cfg->threads, sizeof *workers);
    m->cfg = cfg;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->changed, NULL);
    for (int i = 0; i < cfg->threads; i++) {
        workers[i].making = m;
        thread_start(&workers[i].thread, "corpus", work, &workers[i]);
    }
    pack_all(m, p);
    for (int i = 0; i < cfg->threads; i++)
        thread_join(&workers[i].thread);
    enum err_code code = m->code;
    if (code)
        *err = m->err;
    for (size_t i = 0; i < SLOTS; i++)
        tokens_free(&m->slots[i].all);
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
    mem_free(workers);
    mem_free(m);
    return code;
}
