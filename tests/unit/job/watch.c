/*
 * watch.c - see watch.h.
 */
#include "watch.h"

#include "grammar/grammar.h"
#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

pthread_mutex_t watch_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t watch_news = PTHREAD_COND_INITIALIZER;

static const char *const names[] = {
    [JOB_EV_CREATED] = "created",
    [JOB_EV_STARTED] = "started",
    [JOB_EV_ITEM_ADDED] = "item_added",
    [JOB_EV_SUMMARY_ADDED] = "summary_added",
    [JOB_EV_SUMMARY_DELTA] = "summary_delta",
    [JOB_EV_SUMMARY_TEXT_DONE] = "summary_text_done",
    [JOB_EV_SUMMARY_DONE] = "summary_done",
    [JOB_EV_PART_ADDED] = "part_added",
    [JOB_EV_TEXT_DELTA] = "text_delta",
    [JOB_EV_TEXT_DONE] = "text_done",
    [JOB_EV_PART_DONE] = "part_done",
    [JOB_EV_CALL_DELTA] = "call_delta",
    [JOB_EV_CALL_DONE] = "call_done",
    [JOB_EV_ITEM_DONE] = "item_done",
    [JOB_EV_CHOICE_DONE] = "choice_done",
    [JOB_EV_THOUGHT_DELTA] = "thought_delta",
    [JOB_EV_ERROR] = "error",
    [JOB_EV_ENDED] = "ended",
};

static void end_repeats(struct watch *w)
{
    if (w->repeats)
        buf_printf(&w->log, "%s x%d\n", names[w->last], w->repeats);
    w->repeats = 0;
}

static const char *prefix_of(const struct job_item *item)
{
    switch (item->kind) {
    case JOB_REASONING: return "rs_";
    case JOB_COMPACTION: return "cmp_";
    case JOB_CALL: return item->custom ? "ctc_" : "fc_";
    default: return "msg_";
    }
}

static void note(struct watch *w, const struct job_event *ev, const struct job_view *job)
{
    bool delta =
        ev->kind == JOB_EV_TEXT_DELTA || ev->kind == JOB_EV_SUMMARY_DELTA || ev->kind == JOB_EV_CALL_DELTA;
    if (ev->kind == JOB_EV_THOUGHT_DELTA)
        return;
    if (!delta || ev->kind != w->last)
        end_repeats(w);
    w->last = ev->kind;
    if (delta)
        w->repeats++;
    else if (ev->kind == JOB_EV_ITEM_ADDED)
        buf_printf(&w->log, "item_added %.*s\n", (int)strlen(prefix_of(&job->items[ev->item])) - 1,
                   prefix_of(&job->items[ev->item]));
    else
        buf_printf(&w->log, "%s\n", names[ev->kind]);
}

static const char *check_item(struct watch *w, const struct job_event *ev, const struct job_view *job)
{
    if (ev->item >= job->n_items || ev->item >= WATCH_ITEMS_MAX)
        return "an item that is not there";
    const struct job_item *item = &job->items[ev->item];
    enum watch_part *part = &w->parts[ev->item];
    struct buf *deltas = &w->deltas[ev->item];
    bool reasoning = ev->kind >= JOB_EV_SUMMARY_ADDED && ev->kind <= JOB_EV_SUMMARY_DONE;
    if (ev->kind != JOB_EV_ITEM_ADDED && strcmp(item->id, w->ids[ev->item]) != 0)
        return "an item's id changed";
    if (item->choice != ev->choice)
        return "another choice's item";
    if (w->items_done[ev->item])
        return "an event after the item's end";
    if (ev->kind != JOB_EV_ITEM_ADDED && ev->kind != JOB_EV_ITEM_DONE &&
        reasoning != (item->kind == JOB_REASONING))
        return "an event that does not fit the item";
    switch (ev->kind) {
    case JOB_EV_ITEM_ADDED:
        if (ev->item != w->n_items || job->n_items != w->n_items + 1 || item->done || item->text.len)
            return "items do not begin in order";
        w->n_items++;
        snprintf(w->ids[ev->item], sizeof w->ids[0], "%s", item->id);
        const char *prefix = prefix_of(item);
        *part = item->kind == JOB_CALL ? WATCH_OPEN : WATCH_NONE;
        bool shaped = str_starts(str_from(item->id), str_from(prefix)) &&
                      strspn(item->id + strlen(prefix), "0123456789abcdef") == 48 &&
                      strlen(item->id) == strlen(prefix) + 48;
        return shaped ? NULL : "an id of the wrong shape";
    case JOB_EV_SUMMARY_ADDED:
    case JOB_EV_PART_ADDED:
        if (*part != WATCH_NONE)
            return "a part that begins twice";
        *part = WATCH_OPEN;
        return NULL;
    case JOB_EV_SUMMARY_DELTA:
    case JOB_EV_TEXT_DELTA:
    case JOB_EV_CALL_DELTA:
        if (*part != WATCH_OPEN || ev->text.len == 0 || !utf8_valid(ev->text))
            return "a delta that is empty, broken or outside its part";
        buf_put_str(deltas, ev->text);
        return str_eq(buf_str(deltas), buf_str(&item->text)) ? NULL : "a delta the view does not hold";
    case JOB_EV_SUMMARY_TEXT_DONE:
    case JOB_EV_TEXT_DONE:
        if (*part != WATCH_OPEN || !str_eq(ev->text, buf_str(deltas)))
            return "a text that is not its deltas";
        *part = WATCH_TEXT_DONE;
        return NULL;
    case JOB_EV_CALL_DONE:
        if (*part != WATCH_OPEN || item->kind != JOB_CALL || !str_eq(ev->text, buf_str(deltas)))
            return "a call that is not its deltas";
        *part = WATCH_CLOSED;
        return NULL;
    case JOB_EV_SUMMARY_DONE:
    case JOB_EV_PART_DONE:
        if (*part != WATCH_TEXT_DONE || !str_eq(ev->text, buf_str(deltas)))
            return "a part that ends before its text";
        *part = WATCH_CLOSED;
        return NULL;
    default: /* JOB_EV_ITEM_DONE */
        if (!item->done || *part == WATCH_OPEN || *part == WATCH_TEXT_DONE ||
            (item->kind == JOB_MESSAGE && *part != WATCH_CLOSED))
            return "an item that ends before its part";
        w->items_done[ev->item] = true;
        return NULL;
    }
}

/* Tokens are listed once each, in order, with the text that shows them or at their choice's end. */
static const char *check_tokens(struct watch *w, const struct job_event *ev, const struct job_view *job)
{
    const struct job_choice *c = &job->choices[ev->choice];
    bool lists = ev->kind == JOB_EV_TEXT_DELTA || ev->kind == JOB_EV_CHOICE_DONE;
    size_t *listed = &w->listed[ev->choice];
    if (!lists)
        return ev->n_tokens ? "tokens with an event that lists none" : NULL;
    if (*listed == 0)
        *listed = c->n_prompt_tokens;
    if (ev->n_tokens && ev->first_token != *listed)
        return "tokens that are listed twice, or never";
    *listed += ev->n_tokens;
    if (*listed != c->n_tokens)
        return "tokens in the view that no event listed";
    for (size_t i = c->n_prompt_tokens + 1; i < c->n_tokens; i++)
        if (c->tokens[i].at < c->tokens[i - 1].at)
            return "tokens out of the order of their text";
    return NULL;
}

static const char *check_end(struct watch *w, const struct job_view *job)
{
    int64_t output = 0, reasoning = 0;
    for (size_t i = 0; i < job->n_choices; i++) {
        output += job->choices[i].output_tokens;
        reasoning += job->choices[i].reasoning_tokens;
    }
    for (size_t i = 0; i < w->n_items; i++)
        if (!w->items_done[i])
            return "an item that is never done";
    if (job->status == JOB_IN_PROGRESS || w->choices_done != job->n_choices)
        return "an end before the choices'";
    if (output != job->output_tokens || reasoning != job->reasoning_tokens || reasoning > output)
        return "totals that do not add up";
    if ((job->status == JOB_FAILED) != (job->err.code != ERR_OK) || job->ended_ms < job->started_ms)
        return "an end that contradicts itself";
    return NULL;
}

static const char *check(struct watch *w, const struct job_event *ev, const struct job_view *job)
{
    bool numbered = ev->kind != JOB_EV_CHOICE_DONE && ev->kind != JOB_EV_THOUGHT_DELTA &&
                    !(ev->kind == JOB_EV_ENDED && job->status == JOB_CANCELLED);
    if (w->ended)
        return "an event after the end";
    if (ev->number != (numbered ? w->next_number : 0))
        return "a number out of sequence";
    w->next_number += numbered;
    if (job->output_tokens < w->output_tokens)
        return "totals fell";
    w->output_tokens = job->output_tokens;
    bool ends = ev->kind == JOB_EV_ERROR || ev->kind == JOB_EV_ENDED;
    const char *wrong = ends ? NULL : check_tokens(w, ev, job);
    if (wrong)
        return wrong;
    switch (ev->kind) {
    case JOB_EV_CREATED: return ev->number == 0 ? NULL : "created, but not first";
    case JOB_EV_STARTED: return ev->number == 1 ? NULL : "started, but not second";
    case JOB_EV_THOUGHT_DELTA: buf_put_str(&w->thought, ev->text); return NULL;
    case JOB_EV_CHOICE_DONE:
        w->choices_done++;
        return job->choices[ev->choice].ended ? NULL : "a choice that has not ended";
    case JOB_EV_QUEUED: return "queued, though somebody waits";
    case JOB_EV_ERROR: return job->status == JOB_FAILED ? NULL : "an error of a job that did not fail";
    case JOB_EV_ENDED: w->ended = true; return check_end(w, job);
    default: return check_item(w, ev, job);
    }
}

static void put(void *ctx, const struct job_event *ev, const struct job_view *job)
{
    struct watch *w = ctx;
    pthread_mutex_lock(&watch_lock);
    const char *wrong = check(w, ev, job);
    if (wrong && !w->wrong)
        w->wrong = wrong;
    note(w, ev, job);
    pthread_cond_broadcast(&watch_news);
    pthread_mutex_unlock(&watch_lock);
}

static void *copy(const void *bytes, size_t len)
{
    return len ? memcpy(mem_alloc(len), bytes, len) : NULL;
}

static void note_trace(struct watch *w, const struct job_view *job)
{
    const struct reason_trace *t = job->trace;
    int64_t output = 0;
    buf_printf(&w->trace, "%s line=%d counted=%d\n", stop_names[t->stop], (int)t->shown, t->counted);
    for (size_t i = 0; i < t->n_lines; i++) {
        buf_printf(&w->trace, "%s ", line_state_names[t->lines[i].state]);
        buf_put_str(&w->trace, buf_str(&t->lines[i].answer));
        buf_putc(&w->trace, '\n');
        output += job->lines[i].output_tokens;
    }
    if (output != job->output_tokens)
        w->wrong = "lines' tokens that are not the job's";
}

static void done(void *ctx, const struct job_view *job)
{
    struct watch *w = ctx;
    pthread_mutex_lock(&watch_lock);
    if (job->trace)
        note_trace(w, job);
    if (!w->ended || w->done)
        w->wrong = "done without an end, or twice";
    w->done = true;
    w->status = job->status;
    w->failure = job->err.code;
    w->input_tokens = job->input_tokens;
    w->reasoning_tokens = job->reasoning_tokens;
    for (size_t i = 0; i < job->n_items; i++) {
        buf_put_str(&w->texts[i], buf_str(&job->items[i].text));
        w->kinds[i] = job->items[i].kind;
        w->complete[i] = job->items[i].complete;
        w->choice_of[i] = job->items[i].choice;
    }
    w->cached_tokens = job->cached_tokens;
    memcpy(w->choices, job->choices, job->n_choices * sizeof *w->choices);
    for (size_t i = 0; i < job->n_choices; i++) {
        struct job_choice *c = &w->choices[i];
        c->tokens = copy(c->tokens, c->n_tokens * sizeof *c->tokens);
        c->alternatives =
            copy(c->alternatives, c->n_tokens * (size_t)job->top_logprobs * sizeof *c->alternatives);
    }
    end_repeats(w);
    pthread_cond_broadcast(&watch_news);
    pthread_mutex_unlock(&watch_lock);
}

struct conductor *watch_open(int64_t jobs_max, int sequences_max)
{
    struct engine_config ec = { .kind = "echo", .sequences_max = sequences_max };
    struct conductor *c = NULL;
    struct err err = { 0 };
    if (conductor_open(&c, &(struct conductor_config){ .engine = &ec, .jobs_max = jobs_max }, &err))
        fail_msg("%s", err.message);
    return c;
}

void watch_close(struct conductor *c)
{
    conductor_close(c);
}

struct job_spec watch_spec(struct conductor *c, const char *message, enum effort effort,
                           int64_t output_tokens_max)
{
    static const struct tier o3 = { .name = "o3", .thinking = THINKING_LONG, .max_output_tokens = 100000 };
    struct reason_ask ask = { .effort = effort, .output_tokens_max = output_tokens_max };
    struct job_spec spec = { .choices = 1 };
    struct engine *e = conductor_engine(c);
    struct err err = { 0 };
    json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", message);
    const struct engine_chat chat = { .messages = messages, .think = effort != EFFORT_NONE };
    if (engine_prompt_open(&spec.prompt, e, &chat, &err))
        fail_msg("%s", err.message);
    json_decref(messages);
    spec.plan = reason_plan(&o3, engine_info(e), &ask, engine_prompt_tokens(spec.prompt));
    return spec;
}

struct job_spec watch_spec_lines(struct conductor *c, const char *message, enum effort effort,
                                 int64_t output_tokens_max)
{
    static const struct tier pro = { .name = "pro", .thinking = THINKING_BRANCHES };
    struct job_spec spec = watch_spec(c, message, effort, output_tokens_max);
    struct reason_ask ask = { .effort = effort, .output_tokens_max = output_tokens_max };
    spec.plan = reason_plan(&pro, engine_info(conductor_engine(c)), &ask, engine_prompt_tokens(spec.prompt));
    spec.question = str_from(message);
    return spec;
}

void watch_add_calls(struct job_spec *spec, const char *form)
{
    struct err err = { 0 };
    const struct calls_options o = { .form = form, .text = true, .parallel = true };
    json_t *omitted, *tools = json_pack("[{s:s, s:s}, {s:s, s:s}]", "type", "function", "name", "f", "type",
                                        "custom", "name", "say");
    size_t at;
    calls_open(&spec->calls, tools, &o);
    if (grammar_open_calls(&spec->grammar, spec->calls, tools, &o, &omitted, &at, &err))
        fail_msg("%s", err.message);
    json_decref(tools);
}

void watch_drop_calls(struct job_spec *spec)
{
    calls_unref(spec->calls);
    grammar_unref(spec->grammar);
}

struct job_spec watch_spec_route(struct conductor *c, const char *message, int64_t output_tokens_max,
                                 bool carries, struct watch_route *at)
{
    static const struct tier mini = { .name = "mini", .thinking = THINKING_SHORT };
    static const struct tier o3 = { .name = "o3", .thinking = THINKING_LONG };
    static const struct tier pro = { .name = "pro",
                                     .thinking = THINKING_BRANCHES,
                                     .default_effort = EFFORT_HIGH };
    static const struct tier own = { .name = "auto",
                                     .thinking = THINKING_ROUTE,
                                     .max_output_tokens = 100000 };
    struct job_spec spec = watch_spec(c, message, EFFORT_LOW, 0);
    struct route_ask ask = { .own = &own,
                             .models = { &mini, &o3, &pro },
                             .engine = engine_info(conductor_engine(c)),
                             .ask = { .output_tokens_max = output_tokens_max },
                             .carries = carries };
    for (size_t i = 0; i < TIER_ROUTE; i++) {
        ask.prompt_tokens[i] = engine_prompt_tokens(spec.prompt);
        at->prompts[i] = spec.prompt;
    }
    if (!route_plan(&at->route, &ask))
        fail_msg("%" PRId64 " tokens are too few for a route.", output_tokens_max);
    spec.prompts = at->prompts;
    spec.n_prompts = TIER_ROUTE;
    spec.route = &at->route;
    spec.plan = route_whole(&at->route, &ask);
    spec.question = str_from(message);
    return spec;
}

struct job_spec watch_spec_text(struct conductor *c, const char *text, int64_t tokens_max)
{
    struct job_spec spec = { .choices = 1, .raw = true, .logprobs = true, .top_logprobs = 1 };
    struct err err = { 0 };
    if (engine_prompt_open_text(&spec.prompt, conductor_engine(c), str_from(text), true, &err))
        fail_msg("%s", err.message);
    spec.plan = (struct plan){ .think_tokens_max = -1, .tokens_max = tokens_max, .top_p = 1 };
    return spec;
}

enum err_code watch_submit(struct watch *w, struct conductor *c, const struct job_spec *spec, struct err *err)
{
    return job_submit(c, spec, (struct job_sink){ .put = put, .done = done, .ctx = w }, &w->id, err);
}

static void hear_nothing(void *ctx, const struct job_event *ev, const struct job_view *job)
{
    (void)ctx;
    (void)ev;
    (void)job;
}

static void end_silently(void *ctx, const struct job_view *job)
{
    (void)ctx;
    (void)job;
}

struct job_sink watch_silent(void)
{
    return (struct job_sink){ .put = hear_nothing, .done = end_silently, .ctx = NULL };
}

void watch_wait(struct watch *w)
{
    pthread_mutex_lock(&watch_lock);
    while (!w->done)
        pthread_cond_wait(&watch_news, &watch_lock);
    pthread_mutex_unlock(&watch_lock);
    if (w->wrong)
        fail_msg("%s", w->wrong);
}

void watch_wait_tokens(struct watch *w, int64_t output_tokens)
{
    pthread_mutex_lock(&watch_lock);
    while (w->output_tokens < output_tokens && !w->done)
        pthread_cond_wait(&watch_news, &watch_lock);
    pthread_mutex_unlock(&watch_lock);
}

static void submit(struct watch *w, struct conductor *c, const struct job_spec *spec)
{
    struct err err = { 0 };
    if (watch_submit(w, c, spec, &err))
        fail_msg("%s", err.message);
    engine_prompt_unref(spec->prompt);
}

void watch_run_spec(struct watch *w, struct conductor *c, const struct job_spec *spec)
{
    submit(w, c, spec);
    watch_wait(w);
}

void watch_run_cancelled(struct watch *w, struct conductor *c, const struct job_spec *spec, struct rng *rng)
{
    submit(w, c, spec);
    watch_wait_tokens(w, rng_range(rng, 1, 1400));
    job_cancel(c, w->id);
    watch_wait(w);
    assert_true(w->status == JOB_CANCELLED || w->status == JOB_COMPLETED);
}

void watch_check_total(const struct watch *w, struct conductor *c, int64_t total)
{
    assert_true(w->output_tokens <= total);
    assert_true(w->status == JOB_COMPLETED || w->status == JOB_INCOMPLETE);
    assert_int_equal(engine_tokens_generated(conductor_engine(c)), w->output_tokens);
}

void watch_run(struct watch *w, struct conductor *c, const char *message, enum effort effort,
               int64_t output_tokens_max)
{
    struct job_spec spec = watch_spec(c, message, effort, output_tokens_max);
    watch_run_spec(w, c, &spec);
}

const char *watch_log(struct watch *w)
{
    return w->log.ptr ? w->log.ptr : "";
}

void watch_free(struct watch *w)
{
    buf_free(&w->trace);
    buf_free(&w->log);
    buf_free(&w->thought);
    for (size_t i = 0; i < JOB_CHOICES_MAX; i++) {
        mem_free((void *)w->choices[i].tokens);
        mem_free((void *)w->choices[i].alternatives);
    }
    for (size_t i = 0; i < WATCH_ITEMS_MAX; i++) {
        buf_free(&w->deltas[i]);
        buf_free(&w->texts[i]);
    }
    *w = (struct watch){ 0 };
}
