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
#include <stdlib.h>
#include <string.h>

#define QUESTION_MAX 65536 /* bytes of a question that say how answers to it are compared */

/* --- life ----------------------------------------------------------------------------------------- */

static struct turn *turn_open(struct api *a, const struct turn_kind *kind)
{
    struct turn *t = mem_zalloc(sizeof *t);
    t->api = a;
    t->kind = kind;
    atomic_init(&t->refs, 1);
    t->messages = json_array();
    t->choices = 1;
    t->echo.summary = -1;
    t->echo.parallel_tool_calls = true;
    t->echo.verbosity = VERBOSITY_USUAL;
    t->created_ms = clock_wall_ms();
    t->created_s = t->created_ms / 1000;
    t->seal = arena_alloc(&t->arena, sizeof *t->seal);
    id_make(t->id, kind->id_prefix);
    return t;
}

struct turn *turn_ref(struct turn *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void turn_unref(struct turn *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) > 1)
        return;
    for (size_t i = 0; i < t->n_prompts; i++) /* the job has its own references */
        engine_prompt_unref(t->prompts[i]);
    access_give(t->api->access, &t->place, 0); /* given back already, unless a way out forgot it */
    tools_free(&t->tools);
    format_free(&t->format);
    json_decref(t->messages);
    json_decref(t->calls);
    json_decref(t->configured);
    json_decref(t->input);
    json_decref(t->history);
    json_decref(t->doc);
    buf_free(&t->frame);
    buf_free(&t->request);
    buf_free(&t->final);
    buf_free(t->seal);
    arena_free(&t->arena);
    mem_free(t);
}

void turn_cancel(struct turn *t)
{
    atomic_store(&t->gone, true);
    if (atomic_load(&t->submitted))
        job_cancel(t->api->conductor, t->job_id);
}

/* Loop thread. Never called after the exchange was answered, so t is alive. */
static void client_gone(void *ctx)
{
    turn_cancel(ctx);
}

/* --- the job ---------------------------------------------------------------------------------------- */

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

static struct engine_chat chat_of(const struct turn *t, const json_t *messages, enum effort effort)
{
    return (struct engine_chat){
        .messages = messages,
        .effort = effort_names[effort],
        .think = effort != EFFORT_NONE,
        .tools = tools_shown(t),
        .may_call = tools_may_call(&t->tools),
    };
}

enum err_code turn_measure(const struct turn *t, int64_t *tokens, struct err *err)
{
    const struct engine_chat chat = chat_of(t, t->messages, t->effort);
    struct engine_prompt *p;
    enum err_code code = engine_prompt_open(&p, conductor_engine(t->api->conductor), &chat, err);
    *tokens = code ? INT64_MAX : engine_prompt_tokens(p);
    if (!code)
        engine_prompt_unref(p);
    return code == ERR_CONTEXT_LENGTH ? ERR_OK : code;
}

static enum err_code open_prompt(struct turn *t, const json_t *messages, enum effort effort, struct err *err)
{
    const struct engine_chat chat = chat_of(t, messages, effort);
    struct engine_prompt *p;
    enum err_code code = engine_prompt_open(&p, conductor_engine(t->api->conductor), &chat, err);
    if (!code && (code = check_window(t, p, err)))
        engine_prompt_unref(p);
    if (!code)
        t->prompts[t->n_prompts++] = p;
    return code;
}

static bool is_system(const json_t *message)
{
    return str_is(json_str(json_object_get(message, "role")), "system");
}

static bool is_tool(const json_t *message)
{
    return str_is(json_str(json_object_get(message, "role")), "tool");
}

/* Where what must stay begins: the last message; with the calls that it answers, where it is a tool's. */
static size_t tail_start(const json_t *messages)
{
    size_t i = json_array_size(messages);
    i -= i > 0;
    while (i > 0 && is_tool(json_array_get(messages, i)))
        i--;
    return i;
}

/* The messages without the first n of those that truncation may drop: neither system messages nor the tail. Outputs go with
 * the calls before them. */
static json_t *without_oldest(const json_t *messages, size_t n)
{
    json_t *kept = json_array();
    size_t tail = tail_start(messages);
    bool began = false;
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *m = json_array_get(messages, i);
        bool dropped = i < tail && !is_system(m) && (n > 0 || (!began && is_tool(m)));
        n -= dropped && n > 0;
        began |= !dropped && !is_system(m);
        if (!dropped)
            json_array_append(kept, m);
    }
    return kept;
}

/* truncation auto: as few of the oldest messages go as have to. Fewer messages never make a longer prompt, so the least
 * number is found by halving, a handful of renderings also for a long history. */
static enum err_code truncate_prompt(struct turn *t, enum effort effort, struct err *err)
{
    size_t droppable = 0, low = 1, tail = tail_start(t->messages), at = t->n_prompts;
    for (size_t i = 0; i < tail; i++)
        droppable += !is_system(json_array_get(t->messages, i));
    size_t high = droppable;
    enum err_code code = ERR_CONTEXT_LENGTH;
    while (low <= high && high > 0) {
        size_t n = (low + high) / 2;
        json_t *kept = without_oldest(t->messages, n);
        enum err_code tried = open_prompt(t, kept, effort, err);
        json_decref(kept);
        if (tried && tried != ERR_CONTEXT_LENGTH)
            return tried;
        if (tried) {
            low = n + 1;
            continue;
        }
        high = n - 1;
        code = ERR_OK;
        if (t->n_prompts > at + 1) { /* a better one than before */
            engine_prompt_unref(t->prompts[at]);
            t->prompts[at] = t->prompts[--t->n_prompts];
        }
    }
    return code;
}

/* What the user said last, which the answer is an answer to. */
static struct str last_question(struct turn *t)
{
    for (size_t i = json_array_size(t->messages); i-- > 0;) {
        const json_t *m = json_array_get(t->messages, i);
        if (str_is(json_str(json_object_get(m, "role")), "user"))
            return arena_str(&t->arena, str_slice(json_str(json_object_get(m, "content")), 0, QUESTION_MAX));
    }
    return STR("");
}

/* Many lines of thought make one answer; several answers would each need their own. */
static enum err_code check_choices(const struct turn *t, struct err *err)
{
    if (t->choices < 2 || tier_budget(t->tier, t->effort).branches_max < 2)
        return ERR_OK;
    return err_set(
        err, ERR_UNSUPPORTED_VALUE, "n",
        "Unsupported value: 'n' must be 1 with the '%s' model at this effort, which makes one answer out "
        "of many lines of thought.",
        t->model);
}

/* There is place for one more than are opened: of two that would do, one goes. */
enum err_code turn_open_prompt(struct turn *t, enum effort effort, struct err *err)
{
    enum err_code code = open_prompt(t, t->messages, effort, err);
    if (code == ERR_CONTEXT_LENGTH && t->truncate)
        code = truncate_prompt(t, effort, err);
    return code ? turn_prompt_error(t, t->kind->input_param, err) : ERR_OK;
}

/* No model is asked, so there is no prompt that would have to fit; the plan is what the reply shows of it, of a model that asks
 * others the first one's. */
static void prepare_compaction(struct turn *t)
{
    bool routes = t->tier->thinking == THINKING_ROUTE;
    const struct tier *tier = routes ? config_route(t->api->cfg, t->tier, 0) : t->tier;
    t->ask.effort = t->effort;
    t->ask.choices = t->choices;
    t->plan = reason_plan(tier, engine_info(conductor_engine(t->api->conductor)), &t->ask, 0);
    t->plan.think = false;
}

/* Rendering and tokenising take milliseconds, which is why this runs on a worker. */
enum err_code turn_prepare_chat(struct turn *t, struct err *err)
{
    t->question = last_question(t);
    if (route_choose(t, err))
        return err->code;
    if (t->compacts) {
        prepare_compaction(t);
        return ERR_OK;
    }
    if (t->tier->thinking == THINKING_ROUTE)
        return route_prepare(t, err);
    if (check_choices(t, err))
        return err->code;
    const struct engine *engine = conductor_engine(t->api->conductor);
    t->ask.effort = t->effort;
    t->ask.choices = t->choices;
    t->prompts = arena_array(&t->arena, 2, sizeof *t->prompts);
    if (turn_open_prompt(t, t->effort, err))
        return err->code;
    t->plan = reason_plan(t->tier, engine_info(engine), &t->ask, engine_prompt_tokens(t->prompts[0]));
    return ERR_OK;
}

/* Log-probabilities are kept until the reply is written, so what a request can make of them is bounded before it
 * begins. */
static enum err_code check_logprobs(const struct turn *t, struct err *err)
{
    int64_t tokens = 0, each = 1 + t->top_logprobs;
    int64_t most = t->plan.lines.max > 1 ? t->plan.total_tokens_max : t->plan.tokens_max;
    size_t answers = t->route ? 1 : t->n_prompts;
    for (size_t i = 0; i < answers && t->logprobs; i++)
        tokens += most + (t->prompt_logprobs ? engine_prompt_tokens(t->prompts[i]) : 0);
    tokens *= (int64_t)t->choices;
    if (tokens * each <= LOGPROBS_MAX)
        return ERR_OK;
    return err_set(
        err, ERR_INVALID_VALUE, t->kind->logprobs_param,
        "This request may list %lld tokens with %d alternatives each, which is more log-probabilities "
        "than the %d that one request may have. Ask for fewer tokens, choices or alternatives.",
        (long long)tokens, t->top_logprobs, LOGPROBS_MAX);
}

/* Owners share no computed prompt: cached_tokens and the time to the first token would tell one what another has sent. */
static uint64_t salt_of(const struct turn *t)
{
    char digits[SHA256_HEX_SIZE];
    sha256_hex(digits, &(struct str){ t->owner.id, strlen(t->owner.id) }, 1);
    digits[16] = '\0';
    return strtoull(digits, NULL, 16);
}

static enum err_code prepare(struct turn *t, struct err *err)
{
    enum err_code code = t->kind->prepare(t, err);
    for (size_t i = 0; i < t->n_prompts && !code; i++) {
        engine_prompt_set_salt(t->prompts[i], salt_of(t));
        code = check_window(t, t->prompts[i], err);
    }
    return code ? code : check_logprobs(t, err);
}

/* --- what the job says: the conductor's thread ------------------------------------------------------- */

void turn_write(struct turn *t, const char *event, struct str data)
{
    buf_clear(&t->frame);
    sse_frame(&t->frame, event, data);
    if (!atomic_load(&t->gone) && !http_stream_write(t->x, buf_str(&t->frame)))
        turn_cancel(t); /* a reader too slow for its stream counts as one that left */
    buf_clear(&t->frame);
}

static struct err stopped_early(void)
{
    struct err err = { 0 };
    err_set(&err, ERR_BUSY, NULL, "The server stopped before the answer was complete. Please try again.");
    return err;
}

static void write_error(struct turn *t, const struct err *err)
{
    struct buf data = { 0 };
    api_error_body(&data, err);
    turn_write(t, NULL, buf_str(&data));
    buf_free(&data);
}

void turn_write_failure(struct turn *t, const struct job_view *job)
{
    struct err err = job->status == JOB_CANCELLED ? stopped_early() : job->err;
    write_error(t, &err);
}

/* The stream begins with the job's first event, which is as soon as the job is accepted: the client learns the response's
 * id long before the first token. */
static void begin_stream(struct turn *t)
{
    if (!t->began)
        http_stream_begin(t->x);
    t->began = true;
}

static void job_put(void *ctx, const struct job_event *ev, const struct job_view *job)
{
    struct turn *t = ctx;
    if (!t->stream)
        return;
    begin_stream(t);
    t->kind->put(t, ev, job);
}

/* The watcher of a stream whose events are encoded for the log. */
static void watch_put(void *ctx, int64_t number, struct str json)
{
    struct turn *t = ctx;
    t->shown = number + 1;
    if (t->lane) {
        lane_event(t->lane, json);
        return;
    }
    begin_stream(t);
    buf_clear(&t->frame);
    stream_frame(&t->frame, json, t->obfuscate);
    if (!atomic_load(&t->gone) && !http_stream_write(t->x, buf_str(&t->frame)))
        turn_cancel(t);
    buf_clear(&t->frame);
}

static void watch_end(void *ctx, enum job_watch_end why)
{
    (void)ctx; /* the sink's last call follows, and says how it went */
    (void)why;
}

static void end_stream(struct turn *t)
{
    buf_clear(&t->frame);
    sse_frame(&t->frame, NULL, STR("[DONE]"));
    http_stream_write(t->x, buf_str(&t->frame));
    http_stream_end(t->x);
}

/* On the store's thread, or at once where there is nothing to store. After the exchange is answered client_gone is never
 * called again, so the job's reference may go. */
static void answer(void *ctx, const struct err *err)
{
    struct turn *t = ctx;
    if (t->lane) {
        lane_answered(t->lane, t, err);
    } else if (t->began) {
        if (err->code)
            write_error(t, err);
        end_stream(t);
    } else if (err->code) {
        reply_error(t->x, err);
    } else {
        reply_json(t->x, 200, &t->final);
    }
    turn_unref(t);
}

static void keep_answer(struct turn *t, const struct job_view *job)
{
    struct store_tx *tx = store_tx_open();
    t->kind->keep(t, job, tx);
    store_commit(t->api->store, tx, answer, t);
}

/* The job's last call: everything but the end of a stream was said before. */
static void job_done(void *ctx, const struct job_view *job)
{
    struct turn *t = ctx;
    struct err err = { 0 };
    bool answered = job->status == JOB_COMPLETED || job->status == JOB_INCOMPLETE;
    /* Before the answer: who has read it may ask again at once. */
    access_give(t->api->access, &t->place, job->input_tokens + job->output_tokens);
    if (!t->x && !t->lane) { /* a background job's: who cares watches it, or is called */
        access_charge(t->api->access, &t->owner, job->output_tokens); /* its request paid for the prompt */
        webhooks_wake(t->api->webhooks);
        turn_unref(t);
        return;
    }
    if ((answered || t->lane) && !t->began && !t->final.len)
        t->kind->reply(t, job, &t->final);
    if (!answered && !t->began &&
        !t->lane) /* cancelled: the client left and hears nothing, or the server stops */
        err = job->status == JOB_FAILED ? job->err : stopped_early();
    if (answered && t->keeps)
        keep_answer(t, job);
    else
        answer(t, &err);
}

/* To a client that has seen events already it looks like a response that failed at its end. */
static void show_failure(struct turn *t, const struct job_view *job, const struct err *err)
{
    static const enum job_event_kind kinds[] = { JOB_EV_ERROR, JOB_EV_ENDED };
    struct job_view failed = *job;
    failed.status = JOB_FAILED;
    failed.err = *err;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct buf json = { 0 };
        const struct job_event ev = { .kind = kinds[i], .number = (uint64_t)t->shown };
        t->kind->encode(t, &ev, &failed, &json);
        watch_put(t, t->shown, buf_str(&json));
        buf_free(&json);
    }
}

static void job_unstored(void *ctx, const struct job_view *job, const struct err *err)
{
    struct turn *t = ctx;
    const struct err shown = { 0 };
    access_give(t->api->access, &t->place, job->input_tokens + job->output_tokens);
    if (t->shown)
        show_failure(t, job, err);
    answer(t, t->shown ? &shown : err);
}

struct job_sink turn_sink(struct turn *t)
{
    bool kept = t->store && t->kind->encode;
    return (struct job_sink){
        .put = t->kind->put ? job_put : NULL,
        .done = job_done,
        .ctx = t,
        .encode = t->kind->encode,
        .begin = kept ? kept_begin : NULL,
        .finish = kept ? kept_finish : NULL,
        .unstored = kept ? job_unstored : NULL,
    };
}

/* --- the job ----------------------------------------------------------------------------------------- */

void turn_spec(const struct turn *t, struct job_spec *spec)
{
    *spec = (struct job_spec){
        .prompts = t->prompts,
        .n_prompts = t->n_prompts,
        .choices = t->choices,
        .plan = t->plan,
        .route = t->route,
        .question = t->question,
        .context_max = t->kind->raw ? t->tier->context_window : 0, /* a conversation's plan knows it */
        .raw = t->kind->raw,
        .logprobs = t->logprobs,
        .prompt_logprobs = t->prompt_logprobs,
        .top_logprobs = t->top_logprobs,
        .summary = t->summary,
        .compaction = t->compaction,
        .compacts = t->compacts,
        .n_stops = t->n_stops,
        .ignore_eos = t->ignore_eos,
        .presence_penalty = t->presence_penalty,
        .frequency_penalty = t->frequency_penalty,
        .biases = t->biases,
        .n_biases = t->n_biases,
        .grammar = t->tools.grammar ? t->tools.grammar : t->format.grammar,
        .calls = t->tools.calls,
        .json = t->format.grammar != NULL,
        .refusal = format_refusal(t),
        .seed = t->seed,
    };
    memcpy(spec->stops, t->stops, sizeof spec->stops);
}

/* Answers nothing when it fails; afterwards the exchange is the job's and must not be touched here: the job may
 * have answered it already. That is also why the listener for a client that leaves is set before the job exists, and why
 * the job's reference is taken before it is submitted. */
static enum err_code submit(struct turn *t, struct err *err)
{
    struct conductor *c = t->api->conductor;
    struct job_record record = { .name = str_from(t->id) };
    struct job_watcher watcher = { .put = watch_put, .end = watch_end, .ctx = t };
    struct job_spec spec;
    turn_spec(t, &spec);
    if (t->store && t->kind->encode)
        spec.record = &record;
    if (t->stream && t->kind->encode)
        spec.watcher = &watcher;
    uint64_t id; /* not t->job_id: client_gone reads that one as soon as submitted is set */
    if (t->x)
        http_on_gone(t->x, client_gone, t);
    turn_ref(t);
    enum err_code code = job_submit(c, &spec, turn_sink(t), &id, err);
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

/* The input may be megabytes and has become tokens; what the reply repeats stays. */
static void drop_input(struct turn *t)
{
    if (t->store && t->kind->encode)
        kept_request(t);
    json_object_del(t->doc, t->kind->prompt_member);
    json_array_clear(t->messages);
}

/* From the decoded document to the job, or to the error. */
static enum err_code run(struct turn *t, struct err *err)
{
    enum err_code code = t->kind->decode(t, err);
    if (!code)
        code = prepare(t, err);
    if (!code) {
        drop_input(t);
        code = t->background ? background_accept(t, err) : submit(t, err);
    }
    if (code)
        access_give(t->api->access, &t->place, 0); /* there is no job */
    return code;
}

void turn_run(const struct call *c, const struct turn_kind *kind)
{
    struct turn *t = turn_open(c->api, kind);
    struct err err = { 0 };
    t->x = c->x;
    t->owner = c->owner;
    t->place = access_place_move(c->place);
    enum err_code code = json_read(&t->doc, http_body(t->x), &err);
    if (!code && c->deployment.len && json_is_object(t->doc) && !json_object_get(t->doc, "model"))
        json_object_set_new(t->doc, "model", json_stringn(c->deployment.ptr, c->deployment.len));
    if (!code)
        code = run(t, &err);
    if (code) {
        access_give(t->api->access, &t->place, 0);
        reply_error(c->x, &err);
    }
    turn_unref(t);
}

void turn_run_lane(struct lane *lane, struct api *a, const struct access_owner *owner, json_t *doc,
                   size_t bytes)
{
    struct turn *t = turn_open(a, &responses_kind);
    struct err err = { 0 };
    t->lane = lane;
    t->owner = *owner;
    t->doc = doc;
    lane_begins(lane, t);
    enum err_code code = access_again(a->access, &t->owner, &err); /* the handshake may be an hour old */
    if (!code)
        code = access_take(a->access, &t->owner, limits_estimate(bytes), &t->place, &err);
    if (!code)
        code = run(t, &err);
    if (code)
        lane_answered(lane, t, &err);
    turn_unref(t);
}

enum err_code turn_count_tokens(const struct call *c, json_t *body, int64_t *tokens, struct err *err)
{
    struct turn *t = turn_open(c->api, &responses_kind);
    t->owner = c->owner;
    t->doc = json_incref(body);
    t->counts = true;
    *tokens = 0;
    enum err_code code = t->kind->decode(t, err);
    if (!code && json_array_size(t->messages)) {
        code = turn_prepare_chat(t, err);
        *tokens = code || t->compacts ? 0 : engine_prompt_tokens(t->prompts[0]);
    }
    turn_unref(t);
    return code;
}

enum err_code turn_rebuild(struct turn **out, struct api *a, const struct turn_kind *kind,
                           const struct store_job *row, struct err *err)
{
    struct turn *t = turn_open(a, kind);
    json_t *request = NULL;
    t->row = row;
    snprintf(t->id, sizeof t->id, "%.*s", STR_ARG(row->id));
    snprintf(t->owner.id, sizeof t->owner.id, "%.*s", STR_ARG(row->owner));
    enum err_code code = json_read(&request, row->request, err);
    if (!code) {
        t->doc = json_incref(json_object_get(request, "body"));
        json_array_extend(t->messages, json_object_get(request, "messages"));
        snprintf(t->owner.models, sizeof t->owner.models, "%.*s",
                 STR_ARG(json_str(json_object_get(request, "models"))));
        t->input = json_incref(json_object_get(request, "input")); /* a conversation gains it at the end */
        t->created_s = json_integer_value(json_object_get(request, "created_s"));
        t->compacts = json_is_true(json_object_get(request, "compacts"));
        t->compaction = arena_str(&t->arena, json_str(json_object_get(request, "compaction")));
        code = kind->decode(t, err);
    }
    if (!code)
        code = prepare(t, err);
    json_decref(request);
    t->row = NULL;
    if (code) {
        turn_unref(t);
        return code;
    }
    *out = t;
    return ERR_OK;
}
