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
 * Room is checked before a job is accepted: the choices of all jobs together are no more than the engine lets wait, so it
 * never refuses one of an accepted job.
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
#include <math.h>
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
    atomic_llong choices;  /* theirs: sequences that the engine has or may get */
    atomic_ullong last_id;

    /* The conductor's thread only. */
    struct job *jobs; /* hash by id */
    bool closing;
};

/* --- jobs ------------------------------------------------------------------------------------------ */

/* Behind each prompt there is as much room as the request's bounds and the context leave. */
static int64_t tokens_max(const struct job *j, size_t choice)
{
    int64_t most = j->plan.tokens_max;
    int64_t rest = j->context_max - engine_prompt_tokens(j->prompts[choice / j->view.choices_each]);
    return j->context_max > 0 && rest < most ? rest : most;
}

static void take_prompts(struct job *j, const struct job_spec *spec)
{
    j->n_prompts = spec->n_prompts ? spec->n_prompts : 1;
    j->prompts = mem_array(j->n_prompts, sizeof(struct engine_prompt *));
    for (size_t i = 0; i < j->n_prompts; i++) {
        j->prompts[i] = engine_prompt_ref(spec->n_prompts ? spec->prompts[i] : spec->prompt);
        j->view.input_tokens += engine_prompt_tokens(j->prompts[i]);
    }
}

static void take_params(struct job *j, const struct job_spec *spec)
{
    const struct plan *plan = &spec->plan;
    j->params = (struct engine_params){
        .priority = ENGINE_INTERACTIVE, /* somebody waits on the line for every job there is */
        .top_logprobs = spec->logprobs ? spec->top_logprobs : 0,
        .prompt_logprobs = spec->prompt_logprobs,
        .seed = spec->seed,
        .temperature = plan->temperature,
        .top_p = plan->top_p,
        .min_p = plan->min_p,
        .think_tokens_max = plan->think_tokens_max,
        .answer_tokens_min = plan->answer_tokens_min,
        .n_stops = spec->n_stops,
        .ignore_eos = spec->ignore_eos,
    };
    for (size_t i = 0; i < spec->n_stops; i++)
        j->params.stops[i] =
            (struct str){ mem_strndup(spec->stops[i].ptr, spec->stops[i].len), spec->stops[i].len };
}

static size_t choices_of(const struct job_spec *spec)
{
    return spec->choices * (spec->n_prompts ? spec->n_prompts : 1);
}

static struct job *job_new(const struct job_spec *spec, struct job_sink sink, const struct engine *engine)
{
    size_t choices = choices_of(spec);
    assert(spec->choices >= 1 && choices <= JOB_CHOICES_MAX);
    assert(spec->n_stops <= ARRAY_LEN(spec->stops));
    struct job *j = mem_zalloc(sizeof *j);
    j->sink = sink;
    j->engine = engine;
    j->plan = spec->plan;
    j->context_max = spec->context_max;
    j->raw = spec->raw;
    j->logprobs = spec->logprobs;
    j->choices = mem_array(choices, sizeof *j->choices);
    j->lines = mem_array(choices, sizeof *j->lines);
    take_params(j, spec);
    for (size_t i = 0; i < choices; i++) {
        j->lines[i] = (struct line){ .reasoning = NO_ITEM, .message = NO_ITEM };
        j->lines[i].summarizer.kind = spec->summary;
        j->lines[i].tokens.stride = (size_t)j->params.top_logprobs;
        j->choices[i].confidence = (struct engine_confidence){ 0, 0, NAN, NAN, NAN, NAN, NAN };
    }
    rng_os_hex(j->hex, JOB_HEX);
    j->running = choices;
    j->view = (struct job_view){
        .choices = j->choices,
        .n_choices = choices,
        .choices_each = spec->choices,
        .top_logprobs = j->params.top_logprobs,
        .plan = &j->plan,
        .seed = spec->seed,
    };
    take_prompts(j, spec);
    return j;
}

static void job_free(struct job *j)
{
    for (size_t i = 0; i < j->view.n_items; i++)
        buf_free(&j->items[i].text);
    for (size_t i = 0; i < j->view.n_choices; i++) {
        summarizer_free(&j->lines[i].summarizer);
        tokens_free(&j->lines[i].tokens);
    }
    for (size_t i = 0; i < j->params.n_stops; i++)
        mem_free((void *)j->params.stops[i].ptr);
    for (size_t i = 0; i < j->n_prompts; i++)
        engine_prompt_unref(j->prompts[i]);
    mem_free(j->prompts);
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

static void give_place_back(struct conductor *c, size_t choices)
{
    atomic_fetch_sub(&c->choices, (long long)choices);
    atomic_fetch_sub(&c->admitted, 1);
}

/* After its last choice: told, forgotten, freed. */
static void retire(struct conductor *c, struct job *j)
{
    /* Its place is free before anybody hears of the end, so who asks again at once is not turned away. */
    give_place_back(c, j->view.n_choices);
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
    j->params.group = j->id;
    for (size_t i = 0; i < j->view.n_choices; i++) {
        /* Choices of one prompt draw apart; a prompt's are the same in any company of prompts. */
        j->params.stream = i % j->view.choices_each;
        j->params.tokens_max = tokens_max(j, i);
        if (c->closing) {
            job_end_choice(j, i, FINISH_CANCELLED, false);
            continue;
        }
        bool taken =
            engine_submit(c->engine, sequence_id(j, i), j->prompts[i / j->view.choices_each], &j->params);
        assert(taken); /* job_submit kept the room, and the engine closes behind the conductor */
        (void)taken;
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
                   .cached_tokens = ev->cached_tokens,
                   .token = ev->token,
                   .confidence = ev->confidence },
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

/* A place for one more job and its choices, or none: both counts are taken first and given back when either is too much. */
static bool take_place(struct conductor *c, size_t choices)
{
    long long jobs = atomic_fetch_add(&c->admitted, 1) + 1;
    long long all = atomic_fetch_add(&c->choices, (long long)choices) + (long long)choices;
    if (jobs <= c->jobs_max && all <= ENGINE_WAITING_MAX)
        return true;
    give_place_back(c, choices);
    return false;
}

enum err_code job_submit(struct conductor *c, const struct job_spec *spec, struct job_sink sink, uint64_t *id,
                         struct err *err)
{
    if (spec->plan.tokens_max < 1 && !(spec->prompt_logprobs && spec->plan.tokens_max == 0))
        return err_set(err, ERR_CONTEXT_LENGTH, "messages",
                       "The messages' %" PRId64
                       " tokens leave no room for an answer in this model's context.",
                       engine_prompt_tokens(spec->prompt));
    if (!take_place(c, choices_of(spec)))
        return err_set(err, ERR_BUSY, NULL, "The server is overloaded. Please try again later.");
    struct message m = { .kind = MESSAGE_SUBMIT, .job = job_new(spec, sink, c->engine) };
    m.job->id = m.job->view.id = atomic_fetch_add(&c->last_id, 1) + 1;
    *id = m.job->id; /* before the push: the sink may be called while this returns */
    if (mailbox_push(c->box, &m))
        return ERR_OK;
    give_place_back(c, choices_of(spec));
    job_free(m.job);
    return err_set(err, ERR_BUSY, NULL, "The server is stopping.");
}

void job_cancel(struct conductor *c, uint64_t id)
{
    mailbox_push(c->box, &(struct message){ .kind = MESSAGE_CANCEL, .id = id });
}
