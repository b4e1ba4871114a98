/*
 * local.c - asks the engine in this process, through the same conductor that serves HTTP.
 *
 * The conductor's thread must not wait for a terminal or a pipe, so its sink only copies pieces into a mailbox
 * that the asking thread empties. The mailbox has two owners, the asker and the job's sink; the last of
 * them to let go frees it.
 *
 * Threads: local_ask from any; sinks on the conductor's thread.
 */
#include "cli/cli_impl.h"

#include "base/clock.h"
#include "base/mailbox.h"
#include "base/rng.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define PIECES_MAX 1024 /* a bound in name only: pieces are pushed, and a job's tokens bound them */

struct local {
    struct conductor *conductor;
};

enum piece_kind { PIECE_TEXT, PIECE_THOUGHT, PIECE_END };

struct piece {
    enum piece_kind kind;
    char *bytes; /* the taker's */
    size_t len;
};

/* One job, as both sides see it. The result is written before PIECE_END is pushed and read after it. */
struct hearing {
    struct mailbox *pieces;
    atomic_int refs;
    bool thinking;           /* thoughts are wanted */
    const struct tier *tier; /* that answers, where it is one alone */
    struct answer *answer;
    struct err err; /* code 0: no failure */
};

/* The configuration has checked the name; which instruction sets there are, only the kernels know. */
static enum kv_type kv_type_named(const char *name)
{
    int type = 0;
    while (strcmp(kv_type_names[type], name) != 0)
        type++;
    return (enum kv_type)type;
}

static enum err_code read_cpu_mask(const char *names, unsigned *mask, struct err *err)
{
    const char *bad;
    if (cpu_mask_from(names ? names : "", mask, &bad))
        return ERR_OK;
    return err_set(err, ERR_CONFIG, "cpu_mask",
                   "cpu_mask: '%.*s' is no instruction set that can be left out; use avx2, avx-vnni, avx512, "
                   "avx512-vnni, amx, neon, dotprod or i8mm.",
                   (int)strcspn(bad, ","), bad);
}

enum err_code local_conductor(struct conductor **out, const struct config *cfg, int64_t jobs_max,
                              struct store *store, struct err *err)
{
    unsigned mask;
    enum err_code code = read_cpu_mask(cfg->cpu_mask, &mask, err);
    if (code)
        return code;
    struct engine_config engine = { .kind = cfg->engine,
                                    .model_path = cfg->model,
                                    .threads = (int)cfg->threads,
                                    .context = cfg->context,
                                    .kv_bytes_max = cfg->kv_bytes_max,
                                    .kv_type = kv_type_named(cfg->kv_type),
                                    .cpu_mask = mask,
                                    .sequences_max = (int)cfg->sequences_max,
                                    .speculation = strcmp(cfg->speculation, "off") == 0
                                                       ? SPECULATION_OFF
                                                       : SPECULATION_LOOKUP };
    struct conductor_config conductor = { .engine = &engine,
                                          .jobs_max = jobs_max,
                                          .store = store,
                                          .background_max = cfg->background_max,
                                          .queue_max = cfg->queue_max };
    return conductor_open(out, &conductor, err);
}

enum err_code local_open(struct local **out, const struct config *cfg, int64_t asks_max, struct err *err)
{
    struct local *l = mem_zalloc(sizeof *l);
    enum err_code code = local_conductor(&l->conductor, cfg, asks_max, NULL, err);
    if (code) {
        local_close(l);
        return code;
    }
    *out = l;
    return ERR_OK;
}

void local_close(struct local *l)
{
    if (!l)
        return;
    conductor_close(l->conductor);
    mem_free(l);
}

const struct engine_info *local_info(const struct local *l)
{
    return engine_info(conductor_engine(l->conductor));
}

/* --- the job's sink ------------------------------------------------------------------------------------ */

static void unref(struct hearing *h)
{
    if (atomic_fetch_sub(&h->refs, 1) > 1)
        return;
    mailbox_close(h->pieces);
    mem_free(h);
}

static void push(struct hearing *h, enum piece_kind kind, struct str text)
{
    struct piece p = { kind, mem_alloc(text.len), text.len };
    memcpy(p.bytes, text.len ? text.ptr : "", text.len);
    mailbox_push(h->pieces, &p);
}

static void job_put(void *ctx, const struct job_event *ev, const struct job_view *job)
{
    struct hearing *h = ctx;
    (void)job;
    if (ev->kind == JOB_EV_TEXT_DELTA)
        push(h, PIECE_TEXT, ev->text);
    else if (ev->kind == JOB_EV_THOUGHT_DELTA && h->thinking)
        push(h, PIECE_THOUGHT, ev->text);
}

/* What each step cost at its tier's price, and which tier was the last. */
static void put_money(struct answer *a, const struct tier *tier, const struct job_view *job)
{
    a->model = tier->name;
    a->cost = job->input_tokens * tier->price_in + job->output_tokens * tier->price_out;
    if (!job->route)
        return;
    a->cost = 0;
    for (size_t i = 0; i < ROUTE_STEPS; i++) {
        const struct tier *asked = job->route->steps[i].tier;
        a->cost += job->step_input[i] * asked->price_in + job->step_output[i] * asked->price_out;
    }
    a->model = job->route->steps[job->trace->lines[job->trace->n_lines - 1].step].tier->name;
}

static void job_done(void *ctx, const struct job_view *job)
{
    struct hearing *h = ctx;
    struct answer *a = h->answer;
    put_money(a, h->tier, job);
    a->status = job->status;
    a->counted = true;
    a->input_tokens = job->input_tokens;
    a->cached_tokens = job->cached_tokens;
    a->output_tokens = job->output_tokens;
    a->reasoning_tokens = job->reasoning_tokens;
    if (job->n_choices)
        a->confidence = job->choices[0].confidence;
    if (job->status == JOB_INCOMPLETE)
        snprintf(a->incomplete, sizeof a->incomplete, "max_output_tokens");
    if (job->status == JOB_FAILED)
        h->err = job->err;
    push(h, PIECE_END, (struct str){ 0 });
    unref(h);
}

/* --- the question ------------------------------------------------------------------------------------ */

static json_t *messages_of(const struct ask *ask)
{
    json_t *messages = json_array();
    if (ask->instructions)
        json_array_append_new(messages,
                              json_pack("{s:s,s:s}", "role", "system", "content", ask->instructions));
    if (ask->earlier)
        json_array_extend(messages,
                          (json_t *)(uintptr_t)ask->earlier); /* shares its elements, changes none */
    json_t *question = json_pack("{s:s,s:s%}", "role", ask->call_id ? "tool" : "user", "content",
                                 ask->question.len ? ask->question.ptr : "", ask->question.len);
    if (ask->call_id)
        json_object_set_new(question, "tool_call_id", json_string(ask->call_id));
    json_array_append_new(messages, question);
    return messages;
}

/* A question as a job, and what that needs until it is submitted. */
struct question {
    struct job_spec spec;
    const struct tier *tier; /* that answers, where it is one alone */
    struct engine_prompt *prompts[TIER_ROUTE];
    size_t n_prompts;
    struct route route;
};

static void question_free(struct question *q)
{
    for (size_t i = 0; i < q->n_prompts; i++)
        engine_prompt_unref(q->prompts[i]);
    q->n_prompts = 0;
}

static enum err_code open_prompt(struct question *q, const struct engine *engine, const struct ask *ask,
                                 enum effort effort, struct err *err)
{
    if (ask->tools && !engine_info(engine)->shows_tools)
        return err_set(
            err, ERR_CONFIG, "model",
            "%s has a chat template that shows no tools; ask a server, which tells any model of them "
            "(--url), or leave what needs tools out.",
            engine_info(engine)->model);
    json_t *messages = messages_of(ask);
    const struct engine_chat chat = { .messages = messages,
                                      .effort = effort_names[effort],
                                      .think = effort != EFFORT_NONE,
                                      .tools = ask->tools };
    enum err_code code = engine_prompt_open(&q->prompts[q->n_prompts], engine, &chat, err);
    json_decref(messages);
    q->n_prompts += !code;
    return code;
}

/* One model after another; false in *routed where the request has too few tokens for that. */
static enum err_code ask_others(struct question *q, const struct engine *engine, const struct ask *ask,
                                const struct reason_ask *reason, bool *routed, struct err *err)
{
    struct route_ask r = { .own = ask->tier, .engine = engine_info(engine), .ask = *reason };
    memcpy(r.models, ask->models, sizeof r.models);
    for (size_t i = 0; i < TIER_ROUTE; i++) {
        enum err_code code = open_prompt(q, engine, ask, route_effort(ask->models, i), err);
        if (code)
            return code;
        r.prompt_tokens[i] = engine_prompt_tokens(q->prompts[i]);
    }
    r.carries =
        engine_prompt_same(q->prompts[0], q->prompts[2]) && engine_prompt_same(q->prompts[1], q->prompts[2]);
    *routed = route_plan(&q->route, &r);
    if (!*routed) {
        question_free(q);
        return ERR_OK;
    }
    q->spec.plan = route_whole(&q->route, &r);
    q->spec.route = &q->route;
    return ERR_OK;
}

static enum err_code ask_one(struct question *q, const struct engine *engine, const struct ask *ask,
                             struct reason_ask *reason, struct err *err)
{
    reason->effort = ask->effort.set ? ask->effort.value : q->tier->default_effort;
    enum err_code code = open_prompt(q, engine, ask, reason->effort, err);
    if (!code)
        q->spec.plan = reason_plan(q->tier, engine_info(engine), reason, engine_prompt_tokens(q->prompts[0]));
    return code;
}

static enum err_code make_spec(struct local *l, const struct ask *ask, struct question *q, struct err *err)
{
    struct engine *engine = conductor_engine(l->conductor);
    struct reason_ask reason = { .effort = ask->effort.value, .output_tokens_max = ask->output_tokens_max };
    reason.temperature.set = ask->temperature.set;
    reason.temperature.value = ask->temperature.value;
    reason.choices = ask->trace ? 2 : 1; /* of several answers each is one line, and they differ */
    *q = (struct question){ .tier = ask->tier };
    q->spec = (struct job_spec){ .choices = 1, .summary = SUMMARY_NONE, .question = ask->question };
    q->spec.seed = ask->seed.set ? ask->seed.value : rng_os_u64() >> 11;
    bool routed = false;
    enum err_code code = ERR_OK;
    if (ask->tier->thinking == THINKING_ROUTE) {
        size_t alone = route_direct(ask->models, &reason, ask->effort.set);
        q->tier = ask->models[alone < TIER_ROUTE ? alone : 0];
        if (alone == TIER_ROUTE)
            code = ask_others(q, engine, ask, &reason, &routed, err);
    }
    if (!code && !routed)
        code = ask_one(q, engine, ask, &reason, err);
    q->spec.prompts = q->prompts;
    q->spec.n_prompts = q->n_prompts;
    q->spec.prompt = q->prompts[0];
    return code;
}

/* Hands pieces on until the end has come; a sink that has had enough cancels, and the end still comes. */
static void hear(struct local *l, uint64_t id, struct hearing *h, struct ask_sink sink)
{
    struct piece p = { PIECE_TEXT, NULL, 0 };
    bool wanted = true;
    while (mailbox_take(h->pieces, &p, -1) && p.kind != PIECE_END) {
        struct str text = { p.bytes, p.len };
        if (p.kind == PIECE_TEXT)
            buf_put_str(&h->answer->text, text);
        if (wanted && sink.put && !sink.put(sink.ctx, p.kind == PIECE_THOUGHT, text)) {
            wanted = false;
            job_cancel(l->conductor, id);
        }
        mem_free(p.bytes);
    }
    mem_free(p.bytes);
}

static void put_usage_json(struct json_writer *w, const struct answer *a)
{
    jw_begin_object(w);
    jw_key_int(w, "input_tokens", a->input_tokens);
    jw_key(w, "input_tokens_details");
    jw_begin_object(w);
    jw_key_int(w, "cached_tokens", a->cached_tokens);
    jw_end_object(w);
    jw_key_int(w, "output_tokens", a->output_tokens);
    jw_key(w, "output_tokens_details");
    jw_begin_object(w);
    jw_key_int(w, "reasoning_tokens", a->reasoning_tokens);
    jw_end_object(w);
    jw_key_int(w, "total_tokens", a->input_tokens + a->output_tokens);
    jw_end_object(w);
}

/* The members of a Response object that an answer without a server has, named as there. */
static void put_json(struct answer *a, const struct job_spec *spec)
{
    static const char *const names[] = { "queued",     "in_progress", "completed",
                                         "incomplete", "failed",      "cancelled" };
    struct json_writer w = { .out = &a->json };
    jw_begin_object(&w);
    jw_key_cstring(&w, "object", "response");
    jw_key_cstring(&w, "status", names[a->status]);
    jw_key(&w, "incomplete_details");
    if (a->status == JOB_INCOMPLETE) {
        jw_begin_object(&w);
        jw_key_cstring(&w, "reason", a->incomplete);
        jw_end_object(&w);
    } else {
        jw_null(&w);
    }
    jw_key_cstring(&w, "model", a->model);
    jw_key_string(&w, "output_text", buf_str(&a->text));
    jw_key(&w, "reasoning");
    jw_begin_object(&w);
    jw_key_cstring(&w, "effort", effort_names[spec->plan.effort]);
    jw_end_object(&w);
    jw_key_real(&w, "temperature", spec->plan.temperature);
    jw_key(&w, "usage");
    put_usage_json(&w, a);
    jw_key(&w, "thinkd");
    jw_begin_object(&w);
    jw_key(&w, "cost");
    jw_begin_object(&w);
    jw_key_int(&w, "total", a->cost);
    jw_end_object(&w);
    jw_key_int(&w, "seed", (int64_t)spec->seed);
    jw_end_object(&w);
    jw_end_object(&w);
}

static enum err_code failure(const struct hearing *h, struct err *err)
{
    if (h->err.code && err)
        *err = h->err;
    return h->err.code;
}

enum err_code local_ask(struct local *l, const struct ask *ask, struct ask_sink sink, struct answer *a,
                        struct err *err)
{
    int64_t start = clock_mono_ms();
    struct question q;
    enum err_code code = make_spec(l, ask, &q, err);
    if (code) {
        question_free(&q);
        return code;
    }
    struct hearing *h = mem_zalloc(sizeof *h);
    h->pieces = mailbox_open(PIECES_MAX, sizeof(struct piece));
    h->thinking = ask->thinking;
    h->answer = a;
    h->tier = q.tier;
    atomic_init(&h->refs, 2);
    uint64_t id;
    code = job_submit(l->conductor, &q.spec, (struct job_sink){ .put = job_put, .done = job_done, .ctx = h },
                      &id, err);
    question_free(&q);
    if (code) {
        unref(h); /* no sink call was or will be made */
    } else {
        hear(l, id, h, sink);
        code = failure(h, err);
        a->elapsed_ms = clock_mono_ms() - start;
        put_json(a, &q.spec);
    }
    unref(h);
    return code;
}
