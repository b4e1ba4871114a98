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
    bool thinking; /* thoughts are wanted */
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

static void job_done(void *ctx, const struct job_view *job)
{
    struct hearing *h = ctx;
    struct answer *a = h->answer;
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
    json_array_append_new(messages, json_pack("{s:s,s:s%}", "role", "user", "content",
                                              ask->question.len ? ask->question.ptr : "", ask->question.len));
    return messages;
}

static enum err_code make_spec(struct local *l, const struct ask *ask, struct job_spec *spec, struct err *err)
{
    enum effort effort = ask->effort.set ? ask->effort.value : ask->tier->default_effort;
    struct reason_ask reason = { .effort = effort, .output_tokens_max = ask->output_tokens_max };
    reason.temperature.set = ask->temperature.set;
    reason.temperature.value = ask->temperature.value;
    reason.choices = ask->trace ? 2 : 1; /* of several answers each is one line, and they differ */
    json_t *messages = messages_of(ask);
    struct engine_chat chat = { messages, effort_names[effort], effort != EFFORT_NONE, NULL };
    struct engine *engine = conductor_engine(l->conductor);
    *spec = (struct job_spec){ .choices = 1, .summary = SUMMARY_NONE, .question = ask->question };
    spec->seed = ask->seed.set ? ask->seed.value : rng_os_u64() >> 11;
    enum err_code code = engine_prompt_open(&spec->prompt, engine, &chat, err);
    json_decref(messages);
    if (!code)
        spec->plan = reason_plan(ask->tier, engine_info(engine), &reason, engine_prompt_tokens(spec->prompt));
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

static void put_text(struct json_writer *w, const char *key, const char *text)
{
    jw_key(w, key);
    jw_cstring(w, text);
}

static void put_int(struct json_writer *w, const char *key, int64_t v)
{
    jw_key(w, key);
    jw_int(w, v);
}

static void put_usage_json(struct json_writer *w, const struct answer *a)
{
    jw_begin_object(w);
    put_int(w, "input_tokens", a->input_tokens);
    jw_key(w, "input_tokens_details");
    jw_begin_object(w);
    put_int(w, "cached_tokens", a->cached_tokens);
    jw_end_object(w);
    put_int(w, "output_tokens", a->output_tokens);
    jw_key(w, "output_tokens_details");
    jw_begin_object(w);
    put_int(w, "reasoning_tokens", a->reasoning_tokens);
    jw_end_object(w);
    put_int(w, "total_tokens", a->input_tokens + a->output_tokens);
    jw_end_object(w);
}

/* The members of a Response object that an answer without a server has, named as there. */
static void put_json(struct answer *a, const struct ask *ask, const struct job_spec *spec)
{
    static const char *const names[] = { "in_progress", "completed", "incomplete", "failed", "cancelled" };
    struct json_writer w = { .out = &a->json };
    jw_begin_object(&w);
    put_text(&w, "object", "response");
    put_text(&w, "status", names[a->status]);
    jw_key(&w, "incomplete_details");
    if (a->status == JOB_INCOMPLETE) {
        jw_begin_object(&w);
        put_text(&w, "reason", a->incomplete);
        jw_end_object(&w);
    } else {
        jw_null(&w);
    }
    put_text(&w, "model", ask->model);
    jw_key(&w, "output_text");
    jw_string(&w, buf_str(&a->text));
    jw_key(&w, "reasoning");
    jw_begin_object(&w);
    put_text(&w, "effort", effort_names[spec->plan.effort]);
    jw_end_object(&w);
    jw_key(&w, "temperature");
    jw_real(&w, spec->plan.temperature);
    jw_key(&w, "usage");
    put_usage_json(&w, a);
    jw_key(&w, "thinkd");
    jw_begin_object(&w);
    jw_key(&w, "cost");
    jw_begin_object(&w);
    put_int(&w, "total", a->cost);
    jw_end_object(&w);
    put_int(&w, "seed", (int64_t)spec->seed);
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
    struct job_spec spec;
    enum err_code code = make_spec(l, ask, &spec, err);
    if (code)
        return code;
    struct hearing *h = mem_zalloc(sizeof *h);
    h->pieces = mailbox_open(PIECES_MAX, sizeof(struct piece));
    h->thinking = ask->thinking;
    h->answer = a;
    atomic_init(&h->refs, 2);
    uint64_t id;
    code = job_submit(l->conductor, &spec, (struct job_sink){ .put = job_put, .done = job_done, .ctx = h },
                      &id, err);
    engine_prompt_unref(spec.prompt);
    if (code) {
        unref(h); /* no sink call was or will be made */
    } else {
        hear(l, id, h, sink);
        code = failure(h, err);
        a->elapsed_ms = clock_mono_ms() - start;
        a->cost = a->input_tokens * ask->tier->price_in + a->output_tokens * ask->tier->price_out;
        put_json(a, ask, &spec);
    }
    unref(h);
    return code;
}
