/*
 * turn.c - the life of a request for thought: decoded, prepared, run as a job, answered.
 *
 * A turn has two references. The worker holds one until it has submitted the job, the job holds the other until
 * its last sink call; the job may well end before job_submit has returned, so neither may free alone.
 *
 * A client that leaves is heard on the loop thread (client_gone) at a moment when the job's id may not be
 * known yet. Both sides therefore write their own flag first and then read the other's: at least one of them
 * sees both and cancels; cancelling twice is fine.
 *
 * Nothing is sent before the job is accepted, so whatever is wrong until then is a plain HTTP error, also for
 * a request that asked for a stream.
 */
#include "api/api_impl.h"

#include "base/clock.h"
#include "base/rng.h"

#include <stdio.h>
#include <string.h>

#define ID_HEX_DIGITS 48

/* --- life ----------------------------------------------------------------------------------------- */

static struct turn *turn_open(struct api *a, struct http_exchange *x, const struct turn_kind *kind)
{
    struct turn *t = mem_zalloc(sizeof *t);
    t->api = a;
    t->x = x;
    t->kind = kind;
    atomic_init(&t->refs, 1);
    t->messages = json_array();
    t->choices = 1;
    t->echo.summary = -1;
    t->echo.parallel_tool_calls = true;
    t->created_s = clock_wall_s();
    char digits[ID_HEX_DIGITS + 1];
    rng_os_hex(digits, ID_HEX_DIGITS);
    snprintf(t->id, sizeof t->id, "%s%s", kind->id_prefix, digits);
    return t;
}

static void turn_unref(struct turn *t)
{
    if (atomic_fetch_sub(&t->refs, 1) > 1)
        return;
    tools_free(&t->tools);
    json_decref(t->messages);
    json_decref(t->doc);
    buf_free(&t->frame);
    arena_free(&t->arena);
    mem_free(t);
}

/* Loop thread. Never called after the exchange was answered, so t is alive. */
static void client_gone(void *ctx)
{
    struct turn *t = ctx;
    atomic_store(&t->gone, true);
    if (atomic_load(&t->submitted))
        job_cancel(t->api->conductor, t->job_id);
}

/* --- the job ---------------------------------------------------------------------------------------- */

static enum err_code decode(struct turn *t, struct err *err)
{
    enum err_code code = json_read(&t->doc, http_body(t->x), err);
    if (!code)
        code = t->kind->decode(t, err);
    return code;
}

/* The engine speaks of prompts; the caller hears which of its fields is meant, in the words its API has for it:
 * Responses gives no numbers, the others give both, as the engine does. */
enum err_code turn_prompt_error(const struct turn *t, const char *param, struct err *err)
{
    if (err->code == ERR_CONTEXT_LENGTH && t->kind->endpoint == ENDPOINT_RESPONSES)
        return err_set(
            err, ERR_CONTEXT_LENGTH, param,
            "Your input exceeds the context window of this model. Please adjust your input and try again.");
    if (err_status(err->code) == 400)
        snprintf(err->param, sizeof err->param, "%s", param);
    return err->code;
}

/* The tier's window is a ceiling of its own: the loaded model may hold more than the tier is sold with. */
static enum err_code check_window(const struct turn *t, const struct engine_prompt *prompt, struct err *err)
{
    int64_t tokens = engine_prompt_tokens(prompt);
    if (tokens < t->tier->context_window)
        return ERR_OK;
    err_set(err, ERR_CONTEXT_LENGTH, t->kind->input_param,
            "This model's maximum context length is %lld tokens. However, your %s resulted in %lld tokens. "
            "Please reduce the length of the %s.",
            (long long)t->tier->context_window, t->kind->input_param, (long long)tokens,
            t->kind->input_param);
    return turn_prompt_error(t, t->kind->input_param, err);
}

/* Rendering and tokenising take milliseconds, which is why this runs on a worker. */
enum err_code turn_prepare_chat(struct turn *t, struct err *err)
{
    const struct engine *engine = conductor_engine(t->api->conductor);
    const struct engine_chat chat = {
        .messages = t->messages,
        .effort = effort_names[t->effort],
        .think = t->effort != EFFORT_NONE,
    };
    t->ask.effort = t->effort;
    t->ask.choices = t->choices;
    t->prompts = arena_alloc(&t->arena, sizeof *t->prompts);
    enum err_code code = engine_prompt_open(&t->prompts[0], engine, &chat, err);
    if (code)
        return turn_prompt_error(t, t->kind->input_param, err);
    t->n_prompts = 1;
    t->plan = reason_plan(t->tier, engine_info(engine), &t->ask, engine_prompt_tokens(t->prompts[0]));
    return ERR_OK;
}

/* Log-probabilities are kept until the reply is written, so what a request can make of them is bounded before it
 * begins. */
static enum err_code check_logprobs(const struct turn *t, struct err *err)
{
    int64_t tokens = 0, each = 1 + t->top_logprobs;
    for (size_t i = 0; i < t->n_prompts && t->logprobs; i++)
        tokens += t->plan.tokens_max + (t->prompt_logprobs ? engine_prompt_tokens(t->prompts[i]) : 0);
    tokens *= (int64_t)t->choices;
    if (tokens * each <= LOGPROBS_MAX)
        return ERR_OK;
    return err_set(
        err, ERR_INVALID_VALUE, t->kind->logprobs_param,
        "This request may list %lld tokens with %d alternatives each, which is more log-probabilities "
        "than the %d that one request may have. Ask for fewer tokens, choices or alternatives.",
        (long long)tokens, t->top_logprobs, LOGPROBS_MAX);
}

static enum err_code prepare(struct turn *t, struct err *err)
{
    enum err_code code = t->kind->prepare(t, err);
    for (size_t i = 0; i < t->n_prompts && !code; i++)
        code = check_window(t, t->prompts[i], err);
    return code ? code : check_logprobs(t, err);
}

/* Conductor's thread, the job's last call. Everything but the end of a stream was said in job_put. After the
 * exchange is answered client_gone is never called again, so the job's reference may go. */
static void job_done(void *ctx, const struct job_view *job)
{
    struct turn *t = ctx;
    if (t->began) {
        sse_frame(&t->frame, NULL, STR("[DONE]"));
        http_stream_write(t->x, buf_str(&t->frame));
        http_stream_end(t->x);
    } else if (job->status == JOB_COMPLETED || job->status == JOB_INCOMPLETE) {
        t->kind->reply(t, job, &t->frame);
        reply_json(t->x, 200, &t->frame);
    } else if (job->status == JOB_FAILED) {
        reply_error(t->x, &job->err);
    } else { /* cancelled: the client left and hears nothing, or the server stops */
        struct err err;
        err_set(&err, ERR_BUSY, NULL, "The server stopped before the answer was complete. Please try again.");
        reply_error(t->x, &err);
    }
    turn_unref(t);
}

/* Conductor's thread. The stream begins with the job's first event, which is as soon as the job is accepted: the
 * client learns the response's id long before the first token. */
static void job_put(void *ctx, const struct job_event *ev, const struct job_view *job)
{
    struct turn *t = ctx;
    if (!t->stream)
        return;
    if (!t->began)
        http_stream_begin(t->x);
    t->began = true;
    t->kind->put(t, ev, job);
}

void turn_write(struct turn *t, const struct job_view *job, const char *event, struct str data)
{
    buf_clear(&t->frame);
    sse_frame(&t->frame, event, data);
    if (!t->cut && !http_stream_write(t->x, buf_str(&t->frame))) {
        t->cut = true; /* a reader too slow for its stream counts as one that left */
        job_cancel(t->api->conductor, job->id);
    }
    buf_clear(&t->frame);
}

void turn_write_failure(struct turn *t, const struct job_view *job)
{
    struct err err = job->err;
    struct buf data = { 0 };
    if (job->status == JOB_CANCELLED)
        err_set(&err, ERR_BUSY, NULL, "The server stopped before the answer was complete. Please try again.");
    api_error_body(&data, &err);
    turn_write(t, job, NULL, buf_str(&data));
    buf_free(&data);
}

/* Answers nothing when it fails; afterwards the exchange is the job's and must not be touched here: the job may
 * have answered it already. That is also why the listener for a client that leaves is set before the job exists, and why
 * the job's reference is taken before it is submitted. */
static enum err_code submit(struct turn *t, struct err *err)
{
    struct conductor *c = t->api->conductor;
    struct job_spec spec = {
        .prompt = t->prompts[0],
        .prompts = t->prompts,
        .n_prompts = t->n_prompts,
        .choices = t->choices,
        .plan = t->plan,
        .context_max = t->kind->raw ? t->tier->context_window : 0, /* a conversation's plan knows it */
        .raw = t->kind->raw,
        .logprobs = t->logprobs,
        .prompt_logprobs = t->prompt_logprobs,
        .top_logprobs = t->top_logprobs,
        .summary = t->summary,
        .n_stops = t->n_stops,
        .ignore_eos = t->ignore_eos,
        .seed = t->seed,
    };
    memcpy(spec.stops, t->stops, sizeof spec.stops);
    uint64_t id; /* not t->job_id: client_gone reads that one as soon as submitted is set */
    http_on_gone(t->x, client_gone, t);
    atomic_fetch_add(&t->refs, 1);
    enum err_code code = job_submit(c, &spec, (struct job_sink){ job_put, job_done, t }, &id, err);
    if (code) {
        atomic_fetch_sub(&t->refs, 1);
        return code == ERR_CONTEXT_LENGTH ? turn_prompt_error(t, t->kind->input_param, err) : code;
    }
    t->job_id = id;
    atomic_store(&t->submitted, true);
    if (atomic_load(&t->gone))
        job_cancel(c, id);
    return ERR_OK;
}

void turn_run(struct api *a, struct http_exchange *x, const struct turn_kind *kind)
{
    struct turn *t = turn_open(a, x, kind);
    struct err err = { 0 };
    enum err_code code = decode(t, &err);
    if (!code)
        code = prepare(t, &err);
    struct engine_prompt **prompts = t->prompts;
    size_t n_prompts = t->n_prompts;
    if (!code) {
        /* The input may be megabytes and has become tokens; what the reply repeats stays. */
        json_object_del(t->doc, kind->prompt_member);
        json_array_clear(t->messages);
        code = submit(t, &err);
    }
    if (code)
        reply_error(x, &err);
    for (size_t i = 0; i < n_prompts; i++) /* the job has its own references */
        engine_prompt_unref(prompts[i]);
    turn_unref(t);
}
