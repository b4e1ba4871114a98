/*
 * batch.c - the engine's thread: which runnable sequences take part in the next step.
 *
 * Between two steps it drains the commands, so a cancel takes effect before the next token. Sequences are
 * admitted in the order of submission, at most sequences_max at a time, and only when the kind can reserve
 * everything they may ever need: a sequence that runs never runs out of room half way. The first that does
 * not fit holds up those behind it, so that a large one is not overtaken for ever; an empty engine has room
 * for any, as a kind's context is never more than its memory holds.
 *
 * Every sequence that was submitted leaves through finish(), which sends its one ENGINE_DONE or
 * ENGINE_FAILED.
 *
 * The thread sleeps only in the mailbox: when nothing can advance until a command comes.
 *
 * Threads: all of it on the engine's thread.
 */
#include "engine/engine_impl.h"

#include <assert.h>
#include <utlist.h>

static struct engine_event totals(const struct sequence *s, enum engine_kind kind)
{
    return (struct engine_event){
        .kind = kind,
        .seq = s->id,
        .stage = s->text_stage,
        .output_tokens = s->output_tokens,
        .thinking_tokens = s->thinking_tokens,
        .finish = s->finish,
        .closed_by_budget = s->closed_by_budget,
    };
}

/* The last event of s, which is freed by its caller or, when it stands among the running, by sweep(). */
static void finish(struct engine *e, struct sequence *s, const struct err *failure)
{
    struct engine_event ev = totals(s, failure ? ENGINE_FAILED : ENGINE_DONE);
    if (failure)
        ev.err = *failure;
    HASH_DEL(e->by_id, s);
    atomic_fetch_sub(&e->live, 1);
    s->state = SEQUENCE_ENDED;
    e->sink.put(e->sink.ctx, &ev);
}

void batch_fail(struct engine *e, struct sequence *s, const struct err *err)
{
    assert(s->state != SEQUENCE_ENDED);
    finish(e, s, err);
}

static void send_text(struct engine *e, const struct sequence *s)
{
    struct engine_event ev = totals(s, ENGINE_TEXT);
    ev.text = buf_str(&s->text);
    e->sink.put(e->sink.ctx, &ev);
}

void batch_token(struct engine *e, struct sequence *s, int32_t chosen)
{
    assert(s->state != SEQUENCE_ENDED);
    bool ended = sequence_put(s, chosen);
    s->state = SEQUENCE_DECODE;
    atomic_fetch_add(&e->generated, 1);
    send_text(e, s);
    if (ended)
        finish(e, s, NULL);
}

/* Takes those that ended out of the running, keeping the order of the rest. */
static void sweep(struct engine *e)
{
    size_t kept = 0;
    for (size_t i = 0; i < e->n_running; i++) {
        struct sequence *s = e->running[i];
        if (s->state != SEQUENCE_ENDED) {
            e->running[kept++] = s;
            continue;
        }
        e->ops->leave(e, s);
        sequence_close(s);
    }
    e->n_running = kept;
}

static void admit(struct engine *e)
{
    struct sequence *s;
    while ((s = e->waiting) && e->n_running < (size_t)e->sequences_max && e->ops->admit(e, s)) {
        DL_DELETE(e->waiting, s);
        e->running[e->n_running++] = s;
    }
}

static void cancel(struct engine *e, uint64_t id)
{
    struct sequence *s;
    HASH_FIND(hh, e->by_id, &id, sizeof id, s);
    if (!s)
        return; /* it ended while the cancel was on its way */
    bool waits = s->state == SEQUENCE_WAITING;
    s->finish = FINISH_CANCELLED;
    if (!waits) {
        sequence_cancel(s);
        if (s->text.len)
            send_text(e, s);
    }
    finish(e, s, NULL);
    if (waits) {
        DL_DELETE(e->waiting, s);
        sequence_close(s);
    }
}

static void close_all(struct engine *e)
{
    struct err err;
    err_set(&err, ERR_BUSY, NULL, "The engine is stopping.");
    for (size_t i = 0; i < e->n_running; i++)
        if (e->running[i]->state != SEQUENCE_ENDED)
            finish(e, e->running[i], &err);
    sweep(e);
    struct sequence *s, *after;
    DL_FOREACH_SAFE(e->waiting, s, after)
    {
        DL_DELETE(e->waiting, s);
        finish(e, s, &err);
        sequence_close(s);
    }
}

static void obey(struct engine *e, const struct command *c)
{
    switch (c->kind) {
    case COMMAND_SUBMIT:
        DL_APPEND(e->waiting, c->seq);
        HASH_ADD(hh, e->by_id, id, sizeof c->seq->id, c->seq);
        break;
    case COMMAND_CANCEL: cancel(e, c->id); break;
    case COMMAND_CLOSE: e->closing = true; break;
    }
}

static void run(struct engine *e)
{
    bool advanced = false;
    while (!e->closing) {
        struct command c;
        int timeout_ms = advanced ? 0 : -1;
        while (mailbox_take(e->commands, &c, timeout_ms)) {
            obey(e, &c);
            timeout_ms = 0;
        }
        sweep(e); /* the cancelled give their room back before others are admitted */
        admit(e);
        advanced = e->ops->step(e);
        sweep(e);
    }
}

void batch_run(void *batch_start)
{
    struct batch_start *start = batch_start;
    struct engine *e = start->engine;
    enum err_code code = e->ops->open(e, start->cfg, start->err);
    mailbox_push(e->opened, &code); /* start is gone from here on */
    if (!code) {
        run(e);
        mailbox_shut(e->commands);
        struct command c;
        while (mailbox_take(e->commands, &c, 0)) /* what raced with the close */
            obey(e, &c);
        close_all(e);
    }
    e->ops->close(e);
}
