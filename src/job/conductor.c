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
 * Room is checked before a job is accepted: the runs that all jobs together may have are no more than the engine lets wait, so it
 * never refuses one of an accepted job.
 *
 * A sequence's number is its job's and its run's in one, so an engine event finds its job without a
 * second table; one that finds none belongs to a job that has ended and is dropped.
 *
 * Closing: the conductor cancels what runs and leaves when no job is left, so the engine is closed when it
 * has nothing more to say. A background job is not cancelled but suspended: it ends here and stays open in the store, as
 * far as it was written. One that somebody has cancelled is ended.
 *
 * Threads: as job.h says. Ownership: a message's job and text change hands with it.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/rng.h"
#include "base/thread.h"
#include "grammar/grammar.h"
#include "job/job_impl.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <utlist.h>

#define MESSAGES_MAX 1024 /* engine events in flight before the engine waits */
#define RUN_BITS     7    /* JOB_CHOICES_MAX choices, or fewer lines of one */
#define STALLED_MS   250  /* between two looks at jobs that could not be stored */

/* --- jobs ------------------------------------------------------------------------------------------ */

/* Behind each prompt there is as much room as the request's bounds and the context leave. */
static int64_t tokens_max(const struct job *j, int64_t most, const struct engine_prompt *prompt)
{
    int64_t rest = j->context_max - engine_prompt_tokens(prompt);
    return j->context_max > 0 && rest < most ? rest : most;
}

static void take_prompts(struct job *j, const struct job_spec *spec)
{
    j->n_prompts = spec->compacts ? 0 : spec->n_prompts ? spec->n_prompts : 1;
    j->prompts = mem_array(j->n_prompts, sizeof(struct engine_prompt *));
    for (size_t i = 0; i < j->n_prompts; i++) {
        j->prompts[i] = engine_prompt_ref(spec->n_prompts ? spec->prompts[i] : spec->prompt);
        if (!spec->route) /* then only those count that are used */
            j->view.input_tokens += engine_prompt_tokens(j->prompts[i]);
    }
}

static void take_plan(struct engine_params *p, const struct plan *plan)
{
    p->temperature = plan->temperature;
    p->top_p = plan->top_p;
    p->min_p = plan->min_p;
    p->think_tokens_max = plan->think_tokens_max;
    p->answer_tokens_min = plan->answer_tokens_min;
    p->continues = plan->continues;
    p->continue_unless = plan_checking_words;
}

static void take_params(struct job *j, const struct job_spec *spec)
{
    j->params = (struct engine_params){
        .priority = spec->record && spec->record->background ? ENGINE_BACKGROUND : ENGINE_INTERACTIVE,
        .top_logprobs = spec->logprobs ? spec->top_logprobs : 0,
        .prompt_logprobs = spec->prompt_logprobs,
        .seed = spec->seed,
        .n_stops = spec->n_stops,
        .ignore_eos = spec->ignore_eos,
        .presence_penalty = spec->presence_penalty,
        .frequency_penalty = spec->frequency_penalty,
        .n_biases = spec->n_biases,
        .grammar = spec->grammar ? grammar_ref(spec->grammar) : NULL,
        .refusal = spec->refusal ? grammar_ref(spec->refusal) : NULL,
    };
    j->calls = spec->calls ? calls_ref(spec->calls) : NULL;
    j->json = spec->json;
    take_plan(&j->params, &spec->plan);
    if (spec->n_biases) {
        struct engine_bias *biases = mem_array(spec->n_biases, sizeof *biases);
        memcpy(biases, spec->biases, spec->n_biases * sizeof *biases);
        j->params.biases = biases;
    }
    for (size_t i = 0; i < spec->n_stops; i++)
        j->params.stops[i] =
            (struct str){ mem_strndup(spec->stops[i].ptr, spec->stops[i].len), spec->stops[i].len };
}

/* A kept job's items share the first digits of its name: those that stand by time in the store's indexes. */
static void take_record(struct job *j, const struct job_spec *spec)
{
    const struct job_record *r = spec->record;
    log_open(j, spec);
    rng_os_hex(j->hex, JOB_HEX);
    if (!r)
        return;
    j->name = mem_strndup(r->name.ptr, r->name.len);
    j->past = (struct str){ mem_strndup(r->journal.ptr, r->journal.len), r->journal.len };
    if (r->name.len >= JOB_HEX + OWN_HEX)
        memcpy(j->hex, r->name.ptr + r->name.len - JOB_HEX - OWN_HEX, JOB_HEX);
}

static size_t choices_of(const struct job_spec *spec)
{
    if (spec->compacts)
        return 0;
    if (spec->route)
        return 1;
    return spec->choices * (spec->n_prompts ? spec->n_prompts : 1);
}

static bool has_lines(const struct job_spec *spec)
{
    return !spec->compacts && (spec->route || spec->plan.lines.max > 1);
}

/* Sequences that the engine may get: one for each choice, or the lines of one. A job without any ends as it starts. */
static size_t runs_of(const struct job_spec *spec)
{
    return has_lines(spec) ? (size_t)spec->plan.lines.max : choices_of(spec);
}

static struct job *job_new(const struct job_spec *spec, struct job_sink sink, const struct engine *engine)
{
    size_t choices = choices_of(spec);
    assert(spec->choices >= 1 && choices <= JOB_CHOICES_MAX);
    assert(!spec->compacts || spec->compaction.len);
    assert(!has_lines(spec) || (choices == 1 && !spec->raw));
    assert(!spec->route || spec->n_prompts == TIER_ROUTE);
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
    j->n_runs = runs_of(spec);
    j->runs = mem_array(j->n_runs, sizeof *j->runs);
    take_params(j, spec);
    j->compaction =
        (struct str){ mem_strndup(spec->compaction.ptr, spec->compaction.len), spec->compaction.len };
    for (size_t i = 0; i < choices; i++) {
        j->lines[i] = (struct line){ .reasoning = NO_ITEM, .message = NO_ITEM, .call = NO_ITEM };
        calls_scan_start(&j->lines[i].scan, j->calls);
        j->lines[i].summarizer.kind = spec->summary;
        j->lines[i].tokens.stride = (size_t)j->params.top_logprobs;
        j->choices[i].confidence = (struct engine_confidence){ 0, 0, NAN, NAN, NAN, NAN, NAN };
    }
    take_record(j, spec);
    j->view = (struct job_view){
        .choices = j->choices,
        .n_choices = choices,
        .choices_each = spec->choices,
        .top_logprobs = j->params.top_logprobs,
        .plan = &j->plan,
        .seed = spec->seed,
    };
    take_prompts(j, spec);
    if (has_lines(spec))
        lines_open(j, spec);
    for (size_t i = 0; i < j->n_runs && !j->thinker; i++, j->running++)
        j->runs[i].started = true;
    return j;
}

static void job_free(struct job *j)
{
    for (size_t i = 0; i < j->view.n_items; i++) {
        buf_free(&j->items[i].text);
        buf_free(&j->items[i].thought);
    }
    for (size_t i = 0; i < j->view.n_choices; i++) {
        summarizer_free(&j->lines[i].summarizer);
        tokens_free(&j->lines[i].tokens);
        calls_scan_free(&j->lines[i].scan);
    }
    for (size_t i = 0; i < j->n_runs; i++)
        buf_free(&j->runs[i].past);
    lines_free(j);
    for (size_t i = 0; i < j->params.n_stops; i++)
        mem_free((void *)j->params.stops[i].ptr);
    mem_free((void *)j->params.biases);
    mem_free((void *)j->compaction.ptr);
    grammar_unref(j->params.grammar);
    grammar_unref(j->params.refusal);
    calls_unref(j->calls);
    for (size_t i = 0; i < j->n_prompts; i++)
        engine_prompt_unref(j->prompts[i]);
    log_free(&j->log);
    mem_free(j->name);
    mem_free((void *)j->past.ptr);
    mem_free(j->route);
    mem_free(j->prompts);
    mem_free(j->items);
    mem_free(j->choices);
    mem_free(j->lines);
    mem_free(j->runs);
    mem_free(j);
}

static uint64_t sequence_id(const struct job *j, size_t run)
{
    return j->id << RUN_BITS | run;
}

/* --- the conductor's thread ------------------------------------------------------------------------ */

void conductor_cancel_run(struct conductor *c, struct job *j, size_t run)
{
    engine_cancel(c->engine, sequence_id(j, run));
}

/* Who is suspended decides nothing more here, and does not know of it when it goes on. */
void conductor_cancel(struct conductor *c, struct job *j)
{
    if (j->stopping)
        return;
    j->stopping = true;
    if (j->thinker && !j->suspended && !j->ended) {
        lines_cancel(c, j);
        return;
    }
    for (size_t i = 0; i < j->n_runs; i++)
        if (j->runs[i].started && !j->runs[i].ended)
            conductor_cancel_run(c, j, i);
}

static void give_place_back(struct conductor *c, size_t runs)
{
    atomic_fetch_sub(&c->runs, (long long)runs);
    atomic_fetch_sub(&c->admitted, 1);
}

void cancels_end(struct cancel **list, enum job_cancelled what)
{
    struct cancel *cancel, *next;
    LL_FOREACH_SAFE(*list, cancel, next)
    {
        cancel->done(cancel->ctx, what);
        mem_free(cancel);
    }
    *list = NULL;
}

/* Told, stored, forgotten: the last of a job. */
static void release(struct conductor *c, struct job *j)
{
    struct log *l = &j->log;
    log_end_watchers(&l->watchers, j->suspended || l->broken.code ? WATCH_STOPPED : WATCH_OVER);
    cancels_end(&j->cancels, j->suspended ? CANCEL_STOPPED : CANCEL_OVER);
    HASH_DEL(c->jobs, j);
    if (j->name)
        HASH_DELETE(by_name, c->named, j);
    log_line(LOG_DEBUG, "job", "ended id=%" PRIu64 " status=%d input=%" PRId64 " output=%" PRId64, j->id,
             (int)j->view.status, j->view.input_tokens, j->view.output_tokens);
    if (l->broken.code && j->sink.unstored)
        j->sink.unstored(j->sink.ctx, &j->view, &l->broken);
    else
        j->sink.done(j->sink.ctx, &j->view);
    if (l->background)
        waiting_left(c);
    job_free(j);
}

/* What has not been stored is; when nothing is left to store, and nothing to come, the job goes. */
static void settle(struct conductor *c, struct job *j)
{
    log_flush(c, j);
    if (j->ended && !j->log.in_flight && !j->log.retry_ms && (j->log.over || !j->log.stores))
        release(c, j);
}

/* After its last choice. */
static void retire(struct conductor *c, struct job *j)
{
    /* Its place is free before anybody hears of the end, so who asks again at once is not turned away. */
    give_place_back(c, j->n_runs);
    if (j->suspended)
        j->ended = true; /* and nobody is told: it goes on when the store is opened again */
    else
        job_end(j);
}

static void end_choice(struct job *j, size_t choice, enum engine_finish finish, bool failed)
{
    assert(!j->runs[choice].ended && j->running > 0);
    j->runs[choice].ended = true;
    j->running--;
    job_end_choice(j, choice, finish, failed);
}

static void fail(struct conductor *c, struct job *j, size_t choice, const struct err *err)
{
    if (!j->err.code)
        j->err = *err;
    conductor_cancel(c, j); /* an answer less is no answer: the others need not go on */
    end_choice(j, choice, FINISH_CANCELLED, true);
}

/* What was heard of a run, again or for the first time. */
static void take_in(struct conductor *c, struct job *j, size_t run, const struct heard *h)
{
    log_heard(j, run, h);
    if (j->thinker) {
        lines_hear(c, j, run, h);
        return;
    }
    job_hear(j, run, h);
    if (h->kind == ENGINE_FAILED)
        fail(c, j, run, h->err);
    else if (h->kind == ENGINE_DONE)
        end_choice(j, run, h->finish, false);
}

static bool replay_entry(struct conductor *c, struct job *j, size_t run, struct heard *h)
{
    if (run >= j->n_runs || !j->runs[run].started || j->runs[run].ended)
        return false;
    struct err err = { 0 };
    if (h->kind == ENGINE_FAILED) {
        err_set(&err, (enum err_code)h->token.id, NULL, "%.*s", STR_ARG(h->text));
        h->err = &err;
    }
    take_in(c, j, run, h);
    struct engine_past p = { h->token.id, h->token.logprob, h->token.confidence };
    if (h->kind == ENGINE_TEXT && p.id >= 0)
        buf_put(&j->runs[run].past, &p, sizeof p);
    return true;
}

/* The journal of an earlier process, heard again with nobody listening; the runs keep what their sequences came to. */
static bool replay(struct conductor *c, struct job *j)
{
    struct str rest = j->past;
    size_t run = 0;
    struct heard h;
    bool good = true;
    j->replaying = true;
    while (rest.len && good)
        good = journal_take(&rest, &run, &h) && replay_entry(c, j, run, &h);
    j->replaying = false;
    return good && !j->log.diverged && (int64_t)j->events == j->log.known;
}

/* A job whose journal does not bring what its clients have seen ends here; its events go on behind those. */
static void refuse_past(struct job *j)
{
    err_set(&j->err, ERR_SERVER, NULL,
            "The server was restarted with another version or model and cannot go on with this response.");
    if ((int64_t)j->events < j->log.known)
        j->events = (uint64_t)j->log.known;
    for (size_t i = 0; i < j->n_runs; i++)
        j->runs[i].ended = true;
    j->running = 0;
    for (size_t i = 0; i < j->view.n_choices; i++)
        if (!j->choices[i].ended)
            job_end_choice(j, i, FINISH_CANCELLED, true);
}

/* The prompt of a run; on a route it is its step's, and so are the settings. */
static struct engine_prompt *prepare_run(struct job *j, size_t run)
{
    const struct plan *plan = &j->plan;
    size_t at = j->thinker ? 0 : run / j->view.choices_each;
    if (j->route) {
        enum route_step step = j->view.trace->lines[run].step;
        at = route_model(step);
        plan = &j->route->steps[step].plan;
        take_plan(&j->params, plan);
    }
    /* Choices of one prompt draw apart, as lines of thought do; a prompt's are the same in any company of prompts. */
    j->params.stream = j->thinker ? run : run % j->view.choices_each;
    j->params.tokens_max = tokens_max(j, plan->tokens_max, j->prompts[at]);
    return j->prompts[at];
}

void conductor_submit(struct conductor *c, struct job *j, size_t run)
{
    struct buf *past = &j->runs[run].past;
    struct engine_prompt *prompt = prepare_run(j, run);
    j->params.past = (const struct engine_past *)past->ptr;
    j->params.n_past = past->len / sizeof(struct engine_past);
    bool taken = engine_submit(c->engine, sequence_id(j, run), prompt, &j->params);
    assert(taken); /* job_submit kept the room, and the engine closes behind the conductor */
    (void)taken;
    buf_free(past);
}

/* A job that is suspended hears no more of it. */
static void end_run(struct job *j, size_t run)
{
    j->runs[run].ended = true;
    j->running--;
}

static void run_choices(struct conductor *c, struct job *j)
{
    j->params.group = j->id;
    j->suspended = c->closing && j->log.background;
    if (j->thinker)
        lines_go(c, j);
    for (size_t i = 0; i < j->n_runs && !j->thinker; i++) {
        if (j->runs[i].ended)
            continue;
        if (!c->closing)
            conductor_submit(c, j, i);
        else if (j->suspended)
            end_run(j, i);
        else
            end_choice(j, i, FINISH_CANCELLED, false);
    }
    if (c->closing && !j->suspended)
        log_refuse(j);
}

/* Tokens: those that need not be generated again. */
static void log_start(const struct job *j, bool resumes)
{
    size_t past = 0;
    for (size_t i = 0; i < j->n_runs; i++)
        past += j->runs[i].past.len / sizeof(struct engine_past);
    if (resumes)
        log_line(LOG_INFO, "job", "going on name=%s tokens=%zu", j->name, past);
    else
        log_line(LOG_DEBUG, "job", "running name=%s", j->name);
}

static void start(struct conductor *c, struct job *j)
{
    bool resumes = j->past.len > 0;
    HASH_ADD(hh, c->jobs, id, sizeof j->id, j);
    if (j->name)
        HASH_ADD_KEYPTR(by_name, c->named, j->name, strlen(j->name), j);
    job_begin(j);
    if (resumes && !replay(c, j))
        refuse_past(j);
    if (j->log.background)
        log_start(j, resumes);
    run_choices(c, j);
    if (j->log.background)
        waiting_arrived(c, j);
    if (j->running == 0)
        retire(c, j);
    settle(c, j);
}

static struct job *find(struct conductor *c, uint64_t id)
{
    struct job *j;
    HASH_FIND(hh, c->jobs, &id, sizeof id, j);
    return j;
}

struct job *conductor_named(struct conductor *c, const char *name)
{
    struct job *j;
    HASH_FIND(by_name, c->named, name, strlen(name), j);
    return j;
}

static void hear(struct conductor *c, uint64_t seq, const struct heard *h)
{
    struct job *j = find(c, seq >> RUN_BITS);
    size_t run = seq & (JOB_CHOICES_MAX - 1);
    if (!j || j->runs[run].ended)
        return;
    if (!j->suspended)
        take_in(c, j, run, h);
    else if (h->kind == ENGINE_DONE || h->kind == ENGINE_FAILED)
        end_run(j, run);
    if (j->running == 0)
        retire(c, j);
    settle(c, j);
}

/* --- by name --------------------------------------------------------------------------------------------- */

static void watch(struct conductor *c, const char *name, struct watcher *w)
{
    struct job *j = conductor_named(c, name);
    if (j)
        log_watch(j, w);
    else if (!waiting_watch(c, name, w)) {
        w->w.end(w->w.ctx, WATCH_ABSENT);
        mem_free(w);
    }
}

static void unwatch(struct conductor *c, const char *name, void *ctx)
{
    struct job *j = conductor_named(c, name);
    if (j)
        log_unwatch(&j->log.watchers, ctx);
    else
        waiting_unwatch(c, name, ctx);
}

static void cancel_named(struct conductor *c, const char *name, struct cancel *cancel)
{
    struct job *j = conductor_named(c, name);
    if (j) {
        LL_PREPEND(j->cancels, cancel);
        conductor_cancel(c, j);
    } else if (!waiting_cancel(c, name, cancel)) {
        cancel->done(cancel->ctx, CANCEL_ABSENT);
        mem_free(cancel);
    }
}

/* --- the mailbox ------------------------------------------------------------------------------------------ */

static void close_jobs(struct conductor *c)
{
    struct job *j, *next;
    c->closing = true;
    c->stalled = 0;
    HASH_ITER(hh, c->jobs, j, next)
    {
        j->suspended = j->log.background && !j->ended && !j->stopping;
        j->log.retry_ms = 0;
        conductor_cancel(c, j);
        settle(c, j);
    }
    waiting_close(c);
}

static void on_stored_message(struct conductor *c, const struct message *m)
{
    struct job *j = find(c, m->id);
    assert(j); /* it stays until its transaction is back */
    log_stored(c, j, m->err);
    settle(c, j);
}

static void obey(struct conductor *c, struct message *m)
{
    struct job *j;
    switch (m->kind) {
    case MESSAGE_SUBMIT: start(c, m->job); break;
    case MESSAGE_CANCEL:
        if ((j = find(c, m->id)))
            conductor_cancel(c, j);
        break;
    case MESSAGE_ENGINE:
        hear(c, m->id, &m->heard);
        mem_free((void *)m->heard.text.ptr);
        mem_free(m->heard.err);
        break;
    case MESSAGE_STORED: on_stored_message(c, m); break;
    case MESSAGE_START:
        c->waiting.started = true;
        waiting_claim(c);
        break;
    case MESSAGE_ANNOUNCE: waiting_announce(c, m->name); return; /* it took the name */
    case MESSAGE_CLAIMED: waiting_claimed(c, m->claim); break;
    case MESSAGE_REVIVED: waiting_revived(c, m->name, (enum err_code)m->id); break;
    case MESSAGE_UNCLAIMED: waiting_unclaimed(c, m->name, m->err); break;
    case MESSAGE_WATCH: watch(c, m->name, m->watcher); break;
    case MESSAGE_UNWATCH: unwatch(c, m->name, m->ctx); break;
    case MESSAGE_CANCEL_NAMED: cancel_named(c, m->name, m->cancel); break;
    case MESSAGE_FORGET: waiting_forget(c, m->name); break;
    case MESSAGE_CLOSE: close_jobs(c); break;
    }
    mem_free(m->name);
    mem_free(m->err);
}

static void try_stalled(struct conductor *c)
{
    struct job *j, *next;
    HASH_ITER(hh, c->jobs, j, next)
    if (j->log.retry_ms && clock_mono_ms() >= j->log.retry_ms) {
        j->log.retry_ms = 0;
        c->stalled--;
        settle(c, j);
    }
}

/* Jobs whose deadline has come hear of it as if a running line had said so. Returns when the next one comes; -1: never. */
static int64_t pass_deadlines(struct conductor *c)
{
    struct job *j, *next;
    int64_t now = clock_mono_ms(), soonest = -1;
    c->deadlines = false;
    HASH_ITER(hh, c->jobs, j, next)
    {
        size_t run;
        struct heard h;
        int64_t left = j->deadline_mono - now;
        if (!j->deadline_mono)
            continue;
        if (left <= 0) {
            if (lines_deadline(j, &run, &h))
                hear(c, sequence_id(j, run), &h);
            continue;
        }
        c->deadlines = true;
        if (soonest < 0 || left < soonest)
            soonest = left;
    }
    return soonest;
}

static int wait_ms(struct conductor *c)
{
    int64_t deadline = c->deadlines ? pass_deadlines(c) : -1;
    bool stalled = c->stalled || c->waiting.retry_ms;
    if (deadline < 0 || (stalled && deadline > STALLED_MS))
        return stalled ? STALLED_MS : -1;
    return (int)deadline; /* a configuration's, which is bounded */
}

/* The store's answers that are still to come are waited for too. */
static bool may_leave(const struct conductor *c)
{
    return c->closing && !c->jobs && !c->waiting.claiming && !c->waiting.unclaiming;
}

static void run(void *ctx)
{
    struct conductor *c = ctx;
    struct message m;
    while (!may_leave(c)) {
        if (mailbox_take(c->box, &m, wait_ms(c)))
            obey(c, &m);
        if (c->stalled)
            try_stalled(c);
        waiting_retry(c);
    }
    mailbox_shut(c->box);
    while (mailbox_take(c->box, &m, 0)) /* what raced with the close ends as cancelled */
        obey(c, &m);
    waiting_close(c);
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
    bool heard = mailbox_wait_quietly(c->box, &m);
    assert(heard); /* the conductor outlives every sequence */
    (void)heard;
}

static void flush_engine(void *ctx)
{
    struct conductor *c = ctx;
    mailbox_wake(c->box);
}

enum err_code conductor_open(struct conductor **out, const struct conductor_config *cfg, struct err *err)
{
    struct conductor *c = mem_zalloc(sizeof *c);
    c->jobs_max = cfg->jobs_max;
    c->store = cfg->store;
    c->background_max = cfg->background_max;
    c->queue_max = cfg->queue_max;
    c->box = mailbox_open(MESSAGES_MAX, sizeof(struct message));
    enum err_code code =
        engine_open(&c->engine, cfg->engine, (struct engine_sink){ from_engine, c, flush_engine }, err);
    if (code) {
        mailbox_close(c->box);
        mem_free(c);
        return code;
    }
    thread_start(&c->thread, "conductor", run, c);
    *out = c;
    return ERR_OK;
}

void conductor_stop(struct conductor *c)
{
    if (!c || c->stopped)
        return;
    c->stopped = true;
    waiting_stop(c);
    mailbox_push(c->box, &(struct message){ .kind = MESSAGE_CLOSE });
    thread_join(&c->thread);
}

void conductor_close(struct conductor *c)
{
    if (!c)
        return;
    conductor_stop(c);
    engine_close(c->engine);
    mailbox_close(c->box);
    mailbox_close(c->waiting.claims);
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

/* A place for one more job and its runs, or none: both counts are taken first and given back when either is too much. */
static bool take_place(struct conductor *c, size_t runs)
{
    long long jobs = atomic_fetch_add(&c->admitted, 1) + 1;
    long long all = atomic_fetch_add(&c->runs, (long long)runs) + (long long)runs;
    if (jobs <= c->jobs_max && all <= ENGINE_WAITING_MAX)
        return true;
    give_place_back(c, runs);
    return false;
}

enum err_code job_submit(struct conductor *c, const struct job_spec *spec, struct job_sink sink, uint64_t *id,
                         struct err *err)
{
    if (spec->plan.tokens_max < 1 && !(spec->prompt_logprobs && spec->plan.tokens_max == 0) &&
        !spec->compacts)
        return err_set(err, ERR_CONTEXT_LENGTH, "messages",
                       "The messages' %" PRId64
                       " tokens leave no room for an answer in this model's context.",
                       engine_prompt_tokens(spec->prompt));
    if (!take_place(c, runs_of(spec)))
        return err_set(err, ERR_BUSY, NULL, "The server is overloaded. Please try again later.");
    struct message m = { .kind = MESSAGE_SUBMIT, .job = job_new(spec, sink, c->engine) };
    m.job->id = m.job->view.id = atomic_fetch_add(&c->last_id, 1) + 1;
    *id = m.job->id; /* before the push: the sink may be called while this returns */
    if (mailbox_push(c->box, &m))
        return ERR_OK;
    give_place_back(c, runs_of(spec));
    job_free(m.job);
    return err_set(err, ERR_BUSY, NULL, "The server is stopping.");
}

void job_cancel(struct conductor *c, uint64_t id)
{
    mailbox_push(c->box, &(struct message){ .kind = MESSAGE_CANCEL, .id = id });
}
