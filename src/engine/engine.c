/*
 * engine.c - the front door: which kind, prompts and their references, and the sending side of the commands.
 *
 * Commands are pushed, never waited for: a caller may be the one that the engine's sink waits for. They
 * are bounded all the same, by ENGINE_WAITING_MAX for submissions and by live sequences for cancels.
 *
 * Threads: any may call; what the engine's thread owns is touched in batch.c only.
 */
#include "engine/engine_impl.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const struct engine_ops *const kinds[] = { &engine_local, &engine_echo };

static const struct engine_ops *kind_named(const char *kind, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(kind, kinds[i]->kind) == 0)
            return kinds[i];
    err_set(err, ERR_CONFIG, "engine", "There is no engine '%s'; use local or echo.", kind);
    return NULL;
}

static void dispose(struct engine *e)
{
    mailbox_close(e->commands);
    mailbox_close(e->opened);
    mem_free(e->running);
    mem_free(e);
}

enum err_code engine_open(struct engine **out, const struct engine_config *cfg, struct engine_sink sink,
                          struct err *err)
{
    const struct engine_ops *ops = kind_named(cfg->kind, err);
    if (!ops)
        return ERR_CONFIG;
    if (cfg->sequences_max < 1)
        return err_set(err, ERR_CONFIG, "sequences_max", "sequences_max must be at least 1, but is %d.",
                       cfg->sequences_max);
    struct engine *e = mem_zalloc(sizeof *e);
    e->ops = ops;
    e->sink = sink;
    e->sequences_max = cfg->sequences_max;
    e->speculation = cfg->speculation;
    e->running = mem_array((size_t)cfg->sequences_max, sizeof(struct sequence *));
    e->commands = mailbox_open(ENGINE_WAITING_MAX, sizeof(struct command));
    e->opened = mailbox_open(1, sizeof(enum err_code));

    /* The kind opens on the thread that will use it: a model is its thread's from the first byte. */
    struct batch_start start = { e, cfg, err };
    thread_start(&e->thread, "engine", batch_run, &start);
    enum err_code code = ERR_OK;
    mailbox_take(e->opened, &code, -1);
    if (code) {
        thread_join(&e->thread);
        dispose(e);
        return code;
    }
    *out = e;
    return ERR_OK;
}

void engine_close(struct engine *e)
{
    if (!e)
        return;
    mailbox_push(e->commands, &(struct command){ .kind = COMMAND_CLOSE });
    thread_join(&e->thread);
    assert(atomic_load(&e->live) == 0);
    dispose(e);
}

const struct engine_info *engine_info(const struct engine *e)
{
    return &e->info;
}

void engine_stats(const struct engine *e, struct engine_stats *out)
{
    const struct counters *c = &e->counters;
    int64_t live = atomic_load(&e->live);
    *out = (struct engine_stats){
        .running = atomic_load(&c->running),
        .generated = atomic_load(&c->generated),
        .prefilled = atomic_load(&c->prefilled),
        .cached = atomic_load(&c->cached),
        .preempted = atomic_load(&c->preempted),
        .steps = atomic_load(&c->steps),
        .guessed = atomic_load(&c->guessed),
        .accepted = atomic_load(&c->accepted),
        .kv_pages = atomic_load(&c->kv_pages),
        .kv_pages_used = atomic_load(&c->kv_pages_used),
        .kv_pages_kept = atomic_load(&c->kv_pages_kept),
        .kv_page_bytes = atomic_load(&c->kv_page_bytes),
        .kv_pages_evicted = atomic_load(&c->kv_pages_evicted),
    };
    /* Read at two moments: sequences that have ended since then are still among the running. */
    out->waiting = live > out->running ? live - out->running : 0;
}

int64_t engine_tokens_generated(const struct engine *e)
{
    return atomic_load(&e->counters.generated);
}

struct str engine_token_text(const struct engine *e, int32_t id)
{
    return e->ops->knows(e, id) ? e->ops->spell(e, id) : (struct str){ 0 };
}

/* --- prompts --------------------------------------------------------------------------------------- */

static struct engine_prompt *prompt_new(bool raw)
{
    struct engine_prompt *p = mem_zalloc(sizeof *p);
    atomic_init(&p->refs, 1);
    p->raw = raw;
    return p;
}

/* Hands p over when all went well, else lets go of it. */
static enum err_code hand_over(struct engine_prompt **out, const struct engine *e, struct engine_prompt *p,
                               enum err_code code, struct err *err)
{
    const char *what = p->raw ? "prompt" : "messages";
    if (!code && p->tokens >= e->info.context)
        code = err_set(err, ERR_CONTEXT_LENGTH, what,
                       "This model's maximum context length is %lld tokens. However, your %s resulted in "
                       "%s%lld tokens. Please reduce the length of the %s.",
                       (long long)e->info.context, what, p->at_least ? "at least " : "", (long long)p->tokens,
                       what);
    if (!code && p->tokens == 0)
        code = err_set(err, ERR_INVALID_VALUE, what, "%s",
                       p->raw ? "The prompt is empty." : "The conversation is empty.");
    if (code) {
        engine_prompt_unref(p);
        return code;
    }
    assert((int64_t)p->ids.len == p->tokens);
    *out = p;
    return ERR_OK;
}

enum err_code engine_prompt_open(struct engine_prompt **out, const struct engine *e,
                                 const struct engine_chat *chat, struct err *err)
{
    struct engine_prompt *p = prompt_new(false);
    return hand_over(out, e, p, e->ops->chat(e, chat, p, err), err);
}

enum err_code engine_prompt_open_text(struct engine_prompt **out, const struct engine *e, struct str text,
                                      bool special, struct err *err)
{
    struct engine_prompt *p = prompt_new(true);
    return hand_over(out, e, p, e->ops->text(e, text, special, p, err), err);
}

enum err_code engine_prompt_open_ids(struct engine_prompt **out, const struct engine *e, const int32_t *ids,
                                     size_t n, struct err *err)
{
    struct engine_prompt *p = prompt_new(true);
    p->tokens = (int64_t)n;
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < n && p->tokens < e->info.context && !code; i++) {
        ids_put(&p->ids, ids[i]);
        if (!e->ops->knows(e, ids[i]))
            code =
                err_set(err, ERR_INVALID_VALUE, "prompt",
                        "Token %lld of the prompt, %d, is not in the vocabulary.", (long long)i, (int)ids[i]);
    }
    if (!code && n > 0 && p->ids.len == n)
        code = e->ops->ids(e, p, err);
    return hand_over(out, e, p, code, err);
}

struct engine_prompt *engine_prompt_ref(struct engine_prompt *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}

void engine_prompt_unref(struct engine_prompt *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) > 1)
        return;
    ids_free(&p->ids);
    if (p->free_script)
        p->free_script(p->script);
    mem_free(p);
}

void engine_prompt_set_salt(struct engine_prompt *p, uint64_t salt)
{
    assert(atomic_load(&p->refs) == 1);
    p->salt = salt;
}

int64_t engine_prompt_tokens(const struct engine_prompt *p)
{
    return p->tokens;
}

const int32_t *engine_prompt_ids(const struct engine_prompt *p)
{
    return p->ids.ptr;
}

bool engine_prompt_same(const struct engine_prompt *a, const struct engine_prompt *b)
{
    return a == b || (a->tokens == b->tokens && a->ids.len == b->ids.len && a->raw == b->raw &&
                      a->ids.len > 0 && memcmp(a->ids.ptr, b->ids.ptr, a->ids.len * sizeof *a->ids.ptr) == 0);
}

/* --- sequences ------------------------------------------------------------------------------------- */

bool engine_submit(struct engine *e, uint64_t seq, struct engine_prompt *prompt,
                   const struct engine_params *params)
{
    for (size_t i = 0; i < params->n_biases; i++)
        assert(params->biases[i].id >= 0 && isfinite(params->biases[i].bias) &&
               (e->info.vocabulary == 0 || params->biases[i].id < e->info.vocabulary));
    if (atomic_fetch_add(&e->live, 1) >= (long long)e->sequences_max + ENGINE_WAITING_MAX) {
        atomic_fetch_sub(&e->live, 1);
        return false;
    }
    struct command c = { .kind = COMMAND_SUBMIT, .id = seq, .seq = sequence_open(seq, prompt, params) };
    if (mailbox_push(e->commands, &c))
        return true;
    sequence_close(c.seq); /* the engine is being closed */
    atomic_fetch_sub(&e->live, 1);
    return false;
}

void engine_cancel(struct engine *e, uint64_t seq)
{
    mailbox_push(e->commands, &(struct command){ .kind = COMMAND_CANCEL, .id = seq });
}
