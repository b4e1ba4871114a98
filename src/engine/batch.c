/*
 * batch.c - the engine's thread: which runnable sequences take part in the next step.
 *
 * Between two steps it drains the commands, so a cancel takes effect before the next token. Then sequences are
 * admitted, at most sequences_max at a time and as far as the kind has room: interactive ones before background, and
 * within a class in the order of queue.c's tickets. The first for which there is no room holds up those
 * behind it, so that a large one is not overtaken for ever; one that waits for what another is computing does not.
 *
 * Room is not reserved ahead. When it runs out, whoever comes last in the order (class, ticket) steps back: it gives
 * its room up, waits at its old place and goes on later exactly where it was, with its tokens, its random numbers and
 * what it has told the sink. A background sequence also steps back when an interactive one has nowhere to run; and where
 * a group holds several of the places and another none, the last of the largest group does, so that nobody's request waits
 * for another's sixty branches. The first in that order never does, so it comes to its end, and then the next is first: no
 * two can push each other out for ever.
 *
 * Every sequence that was submitted leaves through finish(), which sends its one ENGINE_DONE or
 * ENGINE_FAILED.
 *
 * The thread sleeps only in the mailbox: when nothing can advance until a command comes.
 *
 * Threads: all of it on the engine's thread.
 */
#include "engine/engine_impl.h"

#include "base/clock.h"

#include <assert.h>
#include <string.h>
#include <utlist.h>

#define FLUSH_NS 50000 /* between two flushes of the sink, unless the engine has nothing else to do */

/* --- events ------------------------------------------------------------------------------------------ */

static struct engine_event totals(const struct sequence *s, enum engine_kind kind)
{
    struct engine_event ev = {
        .kind = kind,
        .seq = s->id,
        .stage = s->text_stage,
        .output_tokens = s->output_tokens,
        .thinking_tokens = s->thinking_tokens,
        .cached_tokens = s->cached_tokens,
        .finish = s->finish,
        .closed_by_budget = s->closed_by_budget,
        .closed_by_grammar = s->closed_by_grammar,
    };
    confidence_no_token(&ev.token, -1);
    confidence_get(&s->confidence, kind == ENGINE_DONE, &ev.confidence);
    return ev;
}

static void tell(struct engine *e, const struct engine_event *ev)
{
    e->unflushed = true;
    e->sink.put(e->sink.ctx, ev);
}

static void flush(struct engine *e, bool at_once)
{
    if (!e->unflushed || !e->sink.flush)
        return;
    int64_t now_ns = clock_mono_ns();
    if (!at_once && now_ns - e->flushed_ns < FLUSH_NS)
        return;
    e->unflushed = false;
    e->flushed_ns = now_ns;
    e->sink.flush(e->sink.ctx);
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
    tell(e, &ev);
}

void batch_fail(struct engine *e, struct sequence *s, const struct err *err)
{
    assert(s->state != SEQUENCE_ENDED);
    finish(e, s, err);
}

void batch_done(struct engine *e, struct sequence *s)
{
    s->finish = FINISH_LENGTH;
    finish(e, s, NULL);
}

void batch_token(struct engine *e, struct sequence *s, int32_t chosen, const struct logit_summary *row,
                 float logit)
{
    assert(s->state != SEQUENCE_ENDED);
    bool ended = sequence_put(s, chosen);
    s->state = SEQUENCE_DECODE;
    atomic_fetch_add(&e->counters.generated, 1);
    struct engine_token token;
    int32_t id = s->out.ptr[s->out.len - 1];
    if (row && s->own) {
        confidence_token(&token, row, id, logit, s->params.top_logprobs);
        confidence_put(&s->confidence, &token);
    } else {
        confidence_no_token(&token, id);
    }
    struct engine_event ev = totals(s, ENGINE_TEXT);
    ev.text = buf_str(&s->text);
    ev.token = token;
    tell(e, &ev);
    if (ended)
        finish(e, s, NULL);
}

void batch_prompt_token(struct engine *e, struct sequence *s, const struct logit_summary *row, float logit)
{
    struct engine_event ev = totals(s, ENGINE_PROMPT);
    int32_t id = s->prompt->ids.ptr[s->prompt_told++];
    if (row)
        confidence_token(&ev.token, row, id, logit, s->params.top_logprobs);
    else
        confidence_no_token(&ev.token, id);
    tell(e, &ev);
}

/* --- the running ------------------------------------------------------------------------------------- */

static void leave(struct engine *e, struct sequence *s)
{
    e->ops->leave(e, s);
    e->n_background -= s->params.priority == ENGINE_BACKGROUND;
    e->departures++;
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
        leave(e, s);
        sequence_close(s);
    }
    e->n_running = kept;
}

/* Order of prompts in which those with the longest common beginnings are neighbours. */
static int compare_prompts(const struct engine_prompt *a, const struct engine_prompt *b)
{
    size_t n = a->ids.len < b->ids.len ? a->ids.len : b->ids.len, i = 0;
    if (a == b)
        return 0;
    while (i < n && a->ids.ptr[i] == b->ids.ptr[i])
        i++;
    if (i < n)
        return a->ids.ptr[i] < b->ids.ptr[i] ? -1 : 1;
    return (a->ids.len > n) - (b->ids.len > n);
}

static bool stands_after(const struct sequence *s, const struct sequence *t)
{
    int order = compare_prompts(s->prompt, t->prompt);
    return order > 0 || (order == 0 && s->ticket > t->ticket);
}

/* Rows of neighbours are computed side by side, and what they share is read once. */
static void join(struct engine *e, struct sequence *s)
{
    size_t low = 0, high = e->n_running;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (stands_after(s, e->running[middle]))
            low = middle + 1;
        else
            high = middle;
    }
    memmove(e->running + low + 1, e->running + low, (e->n_running - low) * sizeof(struct sequence *));
    e->running[low] = s;
    e->n_running++;
    e->n_background += s->params.priority == ENGINE_BACKGROUND;
}

bool batch_before(const struct sequence *s, const struct sequence *t)
{
    if (s->params.priority != t->params.priority)
        return s->params.priority == ENGINE_INTERACTIVE;
    return s->ticket < t->ticket;
}

static void step_back(struct engine *e, size_t at)
{
    struct sequence *s = e->running[at];
    leave(e, s);
    s->state = SEQUENCE_WAITING;
    memmove(e->running + at, e->running + at + 1, (e->n_running - at - 1) * sizeof(struct sequence *));
    e->n_running--;
    queue_put_back(&e->queues[s->params.priority], s);
    atomic_fetch_add(&e->counters.preempted, 1);
}

void batch_step_back(struct engine *e)
{
    size_t last = e->n_running;
    for (size_t i = 0; i < e->n_running; i++)
        if (e->running[i]->state != SEQUENCE_ENDED &&
            (last == e->n_running || batch_before(e->running[last], e->running[i])))
            last = i;
    assert(last < e->n_running);
    step_back(e, last);
}

/* --- admission --------------------------------------------------------------------------------------- */

/* The first time that s's turn has come: its bounds, and what an earlier run of it came to. False: it ended there. */
static bool begin(struct engine *e, struct sequence *s)
{
    struct err err;
    bool ended;
    if (s->started)
        return true;
    e->ops->start(e, s);
    enum err_code code = past_read(e, s, &ended, &err);
    if (code || ended)
        finish(e, s, code ? &err : NULL);
    return !code && !ended;
}

/* Of one that ended while it waited. */
static void drop(struct engine *e, struct sequence *s)
{
    queue_remove(&e->queues[s->params.priority], s);
    sequence_close(s);
}

/* False: s, and whoever is behind it, has to wait. */
static bool admit_one(struct engine *e, struct sequence *s)
{
    if (!begin(e, s)) {
        drop(e, s);
        return true;
    }
    for (;;) {
        enum admission said = ADMIT_FULL;
        if (e->n_running < (size_t)e->sequences_max)
            said = e->ops->admit(e, s);
        if (said == ADMIT_LATER)
            return true;
        if (said == ADMITTED) {
            queue_remove(&e->queues[s->params.priority], s);
            s->admitted = true;
            join(e, s);
            return true;
        }
        assert(e->n_running > 0);
        if (s->params.priority != ENGINE_INTERACTIVE || e->n_background == 0)
            return false;
        batch_step_back(e); /* the last of all is of the background */
    }
}

/* Whether one more of this class may get a ticket: a ticket is a place among the running, taken or not. */
static bool has_place(const struct engine *e, enum engine_priority class)
{
    size_t taken = e->queues[ENGINE_INTERACTIVE].n_ahead + e->n_running;
    if (class == ENGINE_INTERACTIVE)
        taken -= e->n_background;
    else
        taken += e->queues[ENGINE_BACKGROUND].n_ahead;
    return taken < (size_t)e->sequences_max;
}

static bool admit_class(struct engine *e, enum engine_priority class)
{
    struct queue *q = &e->queues[class];
    struct sequence *s, *next;
    DL_FOREACH_SAFE(q->ahead, s, next)
    if (!admit_one(e, s))
        return false;
    while (has_place(e, class) && (s = queue_next(q, 0))) {
        queue_turn(q, s);
        if (!admit_one(e, s))
            return false;
    }
    return true;
}

static bool same_group(const struct sequence *s, const struct sequence *t)
{
    return s == t || (s->params.group && s->params.group == t->params.group &&
                      s->params.priority == t->params.priority);
}

static size_t places_of(const struct engine *e, const struct sequence *s)
{
    size_t n = 0;
    for (size_t i = 0; i < e->n_running; i++)
        n += same_group(e->running[i], s);
    return n;
}

static bool has_ticket(const struct queue *q, const struct sequence *s)
{
    const struct sequence *ahead;
    DL_FOREACH(q->ahead, ahead)
    {
        if (same_group(ahead, s))
            return true;
    }
    return false;
}

/* The last one of the group that holds most places; n_running: none holds two. */
static size_t most_crowded(const struct engine *e)
{
    size_t found = e->n_running, most = 1;
    for (size_t i = 0; i < e->n_running; i++) {
        size_t n = places_of(e, e->running[i]);
        if (n > most ||
            (n == most && found < e->n_running && batch_before(e->running[found], e->running[i]))) {
            most = n;
            found = i;
        }
    }
    return found;
}

/* All places are taken, by interactive ones. A group that has none, nor is about to have one, gets one of the largest
 * group's, if there is room for it otherwise. It keeps it until that sequence ends, so a sequence pushes out one other
 * at most. */
static void share_places(struct engine *e)
{
    struct queue *q = &e->queues[ENGINE_INTERACTIVE];
    struct sequence *s;
    for (size_t nth = 0; e->n_running == (size_t)e->sequences_max && (s = queue_next(q, nth));) {
        size_t at = places_of(e, s) || has_ticket(q, s) ? e->n_running : most_crowded(e);
        if (at < e->n_running && !begin(e, s)) {
            drop(e, s);
            continue;
        }
        if (at == e->n_running || e->ops->admit(e, s) != ADMITTED) {
            nth++;
            continue;
        }
        step_back(e, at);
        queue_turn(q, s);
        queue_remove(q, s);
        s->admitted = true;
        join(e, s);
    }
}

static void admit(struct engine *e)
{
    if (admit_class(e, ENGINE_INTERACTIVE))
        admit_class(e, ENGINE_BACKGROUND);
    if (e->n_background == 0)
        share_places(e);
}

/* --- commands ---------------------------------------------------------------------------------------- */

/* With what was held back of its text, in an event of no token. */
static void end_by_cancel(struct engine *e, struct sequence *s)
{
    s->finish = FINISH_CANCELLED;
    if (s->started)
        sequence_cancel(s);
    if (s->text.len) {
        struct engine_event ev = totals(s, ENGINE_TEXT);
        ev.text = buf_str(&s->text);
        tell(e, &ev);
    }
    finish(e, s, NULL);
}

static void cancel(struct engine *e, uint64_t id)
{
    struct sequence *s;
    HASH_FIND(hh, e->by_id, &id, sizeof id, s);
    if (!s)
        return; /* it ended while the cancel was on its way */
    bool waits = s->state == SEQUENCE_WAITING;
    if (s->params.n_past == 0 || begin(e, s)) /* what it held back is in its past */
        end_by_cancel(e, s);
    if (waits)
        drop(e, s);
}

static void close_all(struct engine *e)
{
    struct err err;
    struct sequence *s, *next;
    err_set(&err, ERR_BUSY, NULL, "The engine is stopping.");
    for (size_t i = 0; i < e->n_running; i++)
        if (e->running[i]->state != SEQUENCE_ENDED)
            finish(e, e->running[i], &err);
    sweep(e);
    HASH_ITER(hh, e->by_id, s, next)
    {
        finish(e, s, &err);
        drop(e, s);
    }
}

static void obey(struct engine *e, const struct command *c)
{
    switch (c->kind) {
    case COMMAND_SUBMIT:
        queue_put(&e->queues[c->seq->params.priority], c->seq);
        HASH_ADD(hh, e->by_id, id, sizeof c->seq->id, c->seq);
        break;
    case COMMAND_CANCEL: cancel(e, c->id); break;
    case COMMAND_CLOSE: e->closing = true; break;
    }
}

/* --- the thread -------------------------------------------------------------------------------------- */

static void publish_usage(struct engine *e)
{
    struct counters *c = &e->counters;
    if (!e->ops->usage)
        return;
    struct kv_usage u;
    e->ops->usage(e, &u);
    atomic_store(&c->kv_pages, u.pages);
    atomic_store(&c->kv_pages_used, u.pages_used);
    atomic_store(&c->kv_pages_kept, u.pages_kept);
    atomic_store(&c->kv_page_bytes, u.page_bytes);
    atomic_store(&c->kv_pages_evicted, u.evicted);
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
        flush(e, false); /* what was cancelled, before a step that may be long */
        sweep(e);        /* the cancelled give their room back before others are admitted */
        admit(e);
        atomic_store(&e->counters.running, (long long)e->n_running); /* before anybody hears of them */
        advanced = e->ops->step(e);
        flush(e, !advanced);
        sweep(e);
        atomic_store(&e->counters.running, (long long)e->n_running);
        atomic_fetch_add(&e->counters.steps, advanced);
        publish_usage(e);
    }
}

void batch_run(void *batch_start)
{
    struct batch_start *start = batch_start;
    struct engine *e = start->engine;
    e->queues[ENGINE_INTERACTIVE].tickets = e->queues[ENGINE_BACKGROUND].tickets = &e->tickets;
    enum err_code code = e->ops->open(e, start->cfg, start->err);
    if (!code)
        publish_usage(e);
    mailbox_push(e->opened, &code); /* start is gone from here on */
    if (!code) {
        run(e);
        mailbox_shut(e->commands);
        struct command c;
        while (mailbox_take(e->commands, &c, 0)) /* what raced with the close */
            obey(e, &c);
        close_all(e);
        flush(e, true);
    }
    e->ops->close(e);
}
