/*
 * conductor.c - the one thread that owns all jobs, and the one mailbox it hears through.
 *
 * Submissions, cancels and everything the engine says arrive in one order, so a job is only ever touched
 * here and its events need no lock.
 *
 * Why nobody waits for anybody in a circle: the engine waits for room in this mailbox, so that slow sinks
 * slow the tokens down instead of piling them up; the conductor never waits for the engine (its commands
 * are pushed), sinks do not block, and callers push too (their number is bounded by jobs_max, and a cancel
 * belongs to a job). So this thread always comes back to its mailbox, and room always comes.
 *
 * A sequence's number is its job's and its choice's in one, so an engine event finds its job without a
 * second table; one that finds none belongs to a job that has ended and is dropped.
 *
 * Closing: the conductor cancels what runs and leaves when no job is left, so the engine is closed when it
 * has nothing more to say.
 *
 * Threads: as job.h says. Ownership: a message's job and text change hands with it.
 */
#include "base/log.h"
#include "base/mailbox.h"
#include "base/rng.h"
#include "base/thread.h"
#include "job/job_impl.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>

#define MESSAGES_MAX 1024 /* engine events in flight before the engine waits */
#define CHOICE_BITS  7    /* JOB_CHOICES_MAX choices */

enum message_kind { MESSAGE_SUBMIT, MESSAGE_CANCEL, MESSAGE_ENGINE, MESSAGE_CLOSE };
struct message {
    enum message_kind kind;
    uint64_t id; /* of the job; MESSAGE_ENGINE: of the sequence */
    struct job *job;
    struct heard heard;
};

struct conductor {
    struct engine *engine;
    struct mailbox *box;
    struct thread thread;
    int64_t jobs_max;
    atomic_llong admitted; /* jobs accepted and not ended */
    atomic_ullong last_id;

    /* The conductor's thread only. */
    struct job *jobs; /* hash by id */
    bool closing;
};

/* --- jobs ------------------------------------------------------------------------------------------ */

struct job *job_new(const struct job_spec *spec, struct job_sink sink)
{
    assert(spec->choices >= 1 && spec->choices <= JOB_CHOICES_MAX);
    assert(spec->n_stops <= ARRAY_LEN(spec->stops));
    struct job *j = mem_zalloc(sizeof *j);
    const struct plan *plan = &spec->plan;
    j->sink = sink;
    j->plan = *plan;
    j->prompt = engine_prompt_ref(spec->prompt);
    j->choices = mem_array(spec->choices, sizeof *j->choices);
    j->lines = mem_array(spec->choices, sizeof *j->lines);
    for (size_t i = 0; i < spec->choices; i++)
        j->lines[i] = (struct line){ NO_ITEM, NO_ITEM, .summarizer = { .kind = spec->summary } };
    rng_os_hex(j->hex, JOB_HEX);
    j->running = spec->choices;
    j->params = (struct engine_params){
        .seed = spec->seed,
        .temperature = plan->temperature,
        .top_p = plan->top_p,
        .min_p = plan->min_p,
        .tokens_max = plan->tokens_max,
        .think_tokens_max = plan->think_tokens_max,
        .answer_tokens_min = plan->answer_tokens_min,
        .n_stops = spec->n_stops,
        .ignore_eos = spec->ignore_eos,
    };
    for (size_t i = 0; i < spec->n_stops; i++)
        j->params.stops[i] =
            (struct str){ mem_strndup(spec->stops[i].ptr, spec->stops[i].len), spec->stops[i].len };
    j->view = (struct job_view){
        .choices = j->choices,
        .n_choices = spec->choices,
        .input_tokens = engine_prompt_tokens(spec->prompt),
        .plan = &j->plan,
        .seed = spec->seed,
    };
    return j;
}

void job_free(struct job *j)
{
    for (size_t i = 0; i < j->view.n_items; i++)
        buf_free(&j->items[i].text);
    for (size_t i = 0; i < j->view.n_choices; i++)
        summarizer_free(&j->lines[i].summarizer);
    for (size_t i = 0; i < j->params.n_stops; i++)
        mem_free((void *)j->params.stops[i].ptr);
    engine_prompt_unref(j->prompt);
    mem_free(j->items);
    mem_free(j->choices);
    mem_free(j->lines);
    mem_free(j);
}

static uint64_t sequence_id(const struct job *j, size_t choice)
{
    return j->id << CHOICE_BITS | choice;
}

/* --- the conductor's thread ------------------------------------------------------------------------ */

static void stop(struct conductor *c, struct job *j)
{
    if (j->stopping)
        return;
    j->stopping = true;
    for (size_t i = 0; i < j->view.n_choices; i++)
        if (!j->choices[i].ended)
            engine_cancel(c->engine, sequence_id(j, i));
}

/* After its last choice: told, forgotten, freed. */
static void retire(struct conductor *c, struct job *j)
{
    /* Its place is free before anybody hears of the end, so who asks again at once is not turned away. */
    atomic_fetch_sub(&c->admitted, 1);
    job_end(j);
    HASH_DEL(c->jobs, j);
    log_line(LOG_DEBUG, "job", "ended id=%" PRIu64 " status=%d input=%" PRId64 " output=%" PRId64, j->id,
             (int)j->view.status, j->view.input_tokens, j->view.output_tokens);
    j->sink.done(j->sink.ctx, &j->view);
    job_free(j);
}

static void fail(struct conductor *c, struct job *j, size_t choice, const struct err *err)
{
    if (!j->err.code)
        j->err = *err;
    stop(c, j); /* an answer less is no answer: the others need not go on */
    job_end_choice(j, choice, FINISH_CANCELLED, true);
}

static void start(struct conductor *c, struct job *j)
{
    HASH_ADD(hh, c->jobs, id, sizeof j->id, j);
    job_begin(j);
    for (size_t i = 0; i < j->view.n_choices; i++) {
        j->params.stream = i;
        if (j->stopping || c->closing) {
            job_end_choice(j, i, FINISH_CANCELLED, false);
        } else if (!engine_submit(c->engine, sequence_id(j, i), j->prompt, &j->params)) {
            struct err err;
            err_set(&err, ERR_BUSY, NULL, "The server is overloaded. Please try again later.");
            fail(c, j, i, &err);
        }
    }
    if (j->running == 0)
        retire(c, j);
}

static struct job *find(struct conductor *c, uint64_t id)
{
    struct job *j;
    HASH_FIND(hh, c->jobs, &id, sizeof id, j);
    return j;
}

static void hear(struct conductor *c, uint64_t seq, const struct heard *h)
{
    struct job *j = find(c, seq >> CHOICE_BITS);
    size_t choice = seq & (JOB_CHOICES_MAX - 1);
    if (!j || j->choices[choice].ended)
        return;
    job_hear(j, choice, h);
    if (h->kind == ENGINE_FAILED)
        fail(c, j, choice, h->err);
    else if (h->kind == ENGINE_DONE)
        job_end_choice(j, choice, h->finish, false);
    if (j->running == 0)
        retire(c, j);
}

static void obey(struct conductor *c, struct message *m)
{
    struct job *j, *next;
    switch (m->kind) {
    case MESSAGE_SUBMIT: start(c, m->job); break;
    case MESSAGE_CANCEL:
        j = find(c, m->id);
        if (j)
            stop(c, j);
        break;
    case MESSAGE_ENGINE:
        hear(c, m->id, &m->heard);
        mem_free((void *)m->heard.text.ptr);
        mem_free(m->heard.err);
        break;
    case MESSAGE_CLOSE:
        c->closing = true;
        HASH_ITER(hh, c->jobs, j, next)
        stop(c, j);
        break;
    }
}

static void run(void *ctx)
{
    struct conductor *c = ctx;
    struct message m;
    while (!(c->closing && !c->jobs) && mailbox_take(c->box, &m, -1))
        obey(c, &m);
    mailbox_shut(c->box);
    while (mailbox_take(c->box, &m, 0)) /* submissions that raced with the close end as cancelled */
        obey(c, &m);
}

/* --- other threads --------------------------------------------------------------------------------- */

/* On the engine's thread. Waits for room: this is where a stream that is not read slows its engine. */
static void from_engine(void *ctx, const struct engine_event *ev)
{
    struct conductor *c = ctx;
    struct message m = {
        .kind = MESSAGE_ENGINE,
        .id = ev->seq,
        .heard = { .kind = ev->kind,
                   .stage = ev->stage,
                   .finish = ev->finish,
                   .closed_by_budget = ev->closed_by_budget,
                   .output_tokens = ev->output_tokens,
                   .thinking_tokens = ev->thinking_tokens,
                   .cached_tokens = ev->cached_tokens },
    };
    if (ev->kind == ENGINE_TEXT && ev->text.len)
        m.heard.text = (struct str){ mem_strndup(ev->text.ptr, ev->text.len), ev->text.len };
    if (ev->kind == ENGINE_FAILED) {
        m.heard.err = mem_alloc(sizeof *m.heard.err);
        *m.heard.err = ev->err;
    }
    bool heard = mailbox_wait(c->box, &m);
    assert(heard); /* the conductor outlives every sequence */
    (void)heard;
}

enum err_code conductor_open(struct conductor **out, const struct conductor_config *cfg, struct err *err)
{
    struct conductor *c = mem_zalloc(sizeof *c);
    c->jobs_max = cfg->jobs_max;
    c->box = mailbox_open(MESSAGES_MAX, sizeof(struct message));
    enum err_code code =
        engine_open(&c->engine, cfg->engine, (struct engine_sink){ .put = from_engine, .ctx = c }, err);
    if (code) {
        mailbox_close(c->box);
        mem_free(c);
        return code;
    }
    thread_start(&c->thread, "conductor", run, c);
    *out = c;
    return ERR_OK;
}

void conductor_close(struct conductor *c)
{
    if (!c)
        return;
    mailbox_push(c->box, &(struct message){ .kind = MESSAGE_CLOSE });
    thread_join(&c->thread);
    engine_close(c->engine);
    mailbox_close(c->box);
    mem_free(c);
}

struct engine *conductor_engine(struct conductor *c)
{
    return c->engine;
}

size_t conductor_jobs(struct conductor *c)
{
    return (size_t)atomic_load(&c->admitted);
}

enum err_code job_submit(struct conductor *c, const struct job_spec *spec, struct job_sink sink, uint64_t *id,
                         struct err *err)
{
    if (spec->plan.tokens_max < 1)
        return err_set(err, ERR_CONTEXT_LENGTH, "messages",
                       "The messages' %" PRId64
                       " tokens leave no room for an answer in this model's context.",
                       engine_prompt_tokens(spec->prompt));
    if (atomic_fetch_add(&c->admitted, 1) >= c->jobs_max) {
        atomic_fetch_sub(&c->admitted, 1);
        return err_set(err, ERR_BUSY, NULL, "The server is overloaded. Please try again later.");
    }
    struct message m = { .kind = MESSAGE_SUBMIT, .job = job_new(spec, sink) };
    m.job->id = m.job->view.id = atomic_fetch_add(&c->last_id, 1) + 1;
    *id = m.job->id; /* before the push: the sink may be called while this returns */
    if (mailbox_push(c->box, &m))
        return ERR_OK;
    job_free(m.job);
    atomic_fetch_sub(&c->admitted, 1);
    return err_set(err, ERR_BUSY, NULL, "The server is stopping.");
}

void job_cancel(struct conductor *c, uint64_t id)
{
    mailbox_push(c->box, &(struct message){ .kind = MESSAGE_CANCEL, .id = id });
}
