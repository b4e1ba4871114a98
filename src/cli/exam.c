/*
 * exam.c - `thinkd exam`: problems with known answers, asked of this engine or of a server, and a report.
 *
 * Here the exam's runner meets a backend; neither knows the other. Interrupting (Ctrl-C) asks no further question
 * and reports what was answered; a second time ends the process. With --state the same command goes on from there.
 *
 * Threads: the runner's threads call ask_question at once; progress comes one call at a time.
 */
#include "cli/cli_impl.h"

#include "base/clock.h"
#include "base/file.h"
#include "exam/exam.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#define CALL_ID           "call_1" /* of what an earlier turn called */
#define ITEMS_DEFAULT     20
#define SEED_DEFAULT      1
#define IN_FLIGHT_DEFAULT 8
#define TRACE_TEMPERATURE 0.8 /* of a server's traces: what lines of one answer are drawn at here */

static bool stop; /* set by the signal handler, read by the runner */

static void on_interrupt(int signo)
{
    (void)signo;
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
}

static void catch_interrupt(void)
{
    struct sigaction action = { .sa_handler = on_interrupt, .sa_flags = (int)(SA_RESETHAND | SA_RESTART) };
    sigaction(SIGINT, &action, NULL);
}

/* Who is asked, and how. */
struct asking {
    struct backend *backend;
    const struct config *cfg;
    struct exam_candidate candidates[EXAM_CANDIDATES_MAX];
    struct ask asks[EXAM_CANDIDATES_MAX]; /* all but the question */
    size_t len;
};

/* The instructions of the command line before those of the question. */
static void join_instructions(struct buf *out, const char *given, struct str own)
{
    buf_printf(out, "%s%s", given ? given : "", given && own.len ? "\n" : "");
    buf_put_str(out, own);
}

/* An earlier reply: its calls, whose results follow, or its words. */
static json_t *replied(struct str reply)
{
    json_t *call, *calls = exam_calls(reply), *said = json_array();
    size_t i;
    json_array_foreach(calls, i, call)
    {
        struct buf arguments = { 0 };
        json_dump(&arguments, json_object_get(call, "arguments"));
        json_array_append_new(said, json_pack("{s:s,s:O,s:s}", "id", CALL_ID, "name",
                                              json_object_get(call, "name"), "arguments", arguments.ptr));
        buf_free(&arguments);
    }
    json_decref(calls);
    if (json_array_size(said))
        return json_pack("{s:s,s:s,s:o}", "role", "assistant", "content", "", "tool_calls", said);
    json_decref(said);
    return json_pack("{s:s,s:s%}", "role", "assistant", "content", reply.ptr, reply.len);
}

/* A turn that calls a function makes one call, so one id does for all of them. */
static json_t *earlier_of(const struct exam_question *q)
{
    json_t *messages = q->earlier_len ? json_array() : NULL;
    for (int i = 0; i < q->earlier_len; i++) {
        struct str said = q->earlier[i].said;
        json_t *message = json_pack("{s:s,s:s%}", "role", q->earlier[i].tool ? "tool" : "user", "content",
                                    said.ptr, said.len);
        if (q->earlier[i].tool)
            json_object_set_new(message, "tool_call_id", json_string(CALL_ID));
        json_array_append_new(messages, message);
        json_array_append_new(messages, replied(q->earlier[i].visible));
    }
    return messages;
}

static bool put_thought(void *ctx, bool thought, struct str piece)
{
    struct exam_reply *reply = ctx;
    if (thought)
        buf_put_str(&reply->thought, piece);
    return true;
}

/* A server that names no price is charged by this configuration's list, where that has its model. */
static void take_cost(const struct asking *a, const struct ask *ask, const struct answer *answer,
                      struct exam_reply *reply)
{
    const struct tier *tier = config_tier(a->cfg, str_from(ask->model));
    reply->priced = answer->cost >= 0 || (answer->counted && tier && tier->thinking != THINKING_ROUTE);
    if (answer->cost >= 0)
        reply->cost = answer->cost;
    else if (reply->priced)
        reply->cost = answer->input_tokens * tier->price_in + answer->output_tokens * tier->price_out;
}

static void take_answer(const struct asking *a, const struct ask *ask, const struct answer *answer,
                        struct exam_reply *reply)
{
    reply->input_tokens = answer->input_tokens;
    reply->output_tokens = answer->output_tokens;
    reply->reasoning_tokens = answer->reasoning_tokens;
    reply->seconds = (double)answer->elapsed_ms / 1000;
    const struct engine_confidence *sure = &answer->confidence;
    reply->confidence =
        (struct exam_confidence){ sure->tokens,      sure->window,        sure->mean_logprob, sure->mean,
                                  sure->last_window, sure->lowest_window, sure->bottom_tenth };
    reply->cut = answer->status == JOB_INCOMPLETE;
    take_cost(a, ask, answer, reply);
    buf_put_str(&reply->text, buf_str(&answer->text));
}

/* Servers may not know seeds: they are sent one only where one was asked for. The first trace of a record is the greedy one. */
static void set_sampling(struct ask *ask, const struct asking *a, const struct exam_question *q)
{
    ask->seed.set = !a->cfg->url || a->cfg->seed;
    ask->seed.value = q->seed;
    if (!a->cfg->record)
        return;
    ask->thinking = ask->trace = true;
    if (q->sample == 0 || (a->cfg->url && !ask->temperature.set)) {
        ask->temperature.set = true;
        ask->temperature.value = q->sample == 0 ? 0 : TRACE_TEMPERATURE;
    }
}

static enum err_code ask_question(void *ctx, const struct exam_question *q, struct exam_reply *reply,
                                  struct err *err)
{
    const struct asking *a = ctx;
    struct ask ask = a->asks[q->candidate];
    struct answer answer;
    struct buf instructions = { 0 };
    json_t *earlier = earlier_of(q), *tools = NULL;
    if (q->tools.len)
        (void)json_read(&tools, q->tools, NULL); /* the exam's own */
    ask.tools = tools;
    ask.call_id = q->tool ? CALL_ID : NULL;
    join_instructions(&instructions, ask.instructions, q->system);
    ask.question = q->text;
    ask.instructions = instructions.len ? instructions.ptr : NULL;
    ask.earlier = earlier;
    set_sampling(&ask, a, q);
    struct ask_sink sink = { ask.thinking ? put_thought : NULL, reply };
    enum err_code code = backend_ask(a->backend, &ask, sink, &answer, err);
    json_decref(earlier);
    json_decref(tools);
    buf_free(&instructions);
    if (!code)
        take_answer(a, &ask, &answer, reply);
    answer_free(&answer);
    return code;
}

/* --- progress ---------------------------------------------------------------------------------------- */

static void draw(void *ctx, const struct exam_status *s)
{
    draw_progress(ctx, s->done, s->total, s->right, s->eta_seconds);
}

/* --- the command ------------------------------------------------------------------------------------- */

static enum err_code check_families(const struct config *cfg, struct err *err)
{
    struct exam_selection s;
    struct err why = { 0 };
    for (size_t i = 0; i < cfg->families.len; i++)
        if (exam_select(&s, cfg->families.items[i], &why))
            return err_set(err, ERR_CONFIG, "families", "--families: %s", why.message);
    return ERR_OK;
}

enum err_code cli_detail(const struct config *cfg, enum exam_detail *out, struct err *err)
{
    *out = !cfg->by ? EXAM_BY_NOTHING : strcmp(cfg->by, "family") == 0 ? EXAM_BY_FAMILY : EXAM_BY_LEVEL;
    if (*out == EXAM_BY_LEVEL && strcmp(cfg->by, "level") != 0)
        return err_set(err, ERR_CONFIG, "by", "--by: '%.40s' is neither 'family' nor 'level'.", cfg->by);
    return ERR_OK;
}

static enum err_code check_options(const struct config *cfg, enum exam_detail *detail, struct err *err)
{
    if (cfg->file && cfg->families.len)
        return err_set(err, ERR_CONFIG, "families", "--families: a --file has none; leave one of them out.");
    if (cfg->record && !cfg->state)
        return err_set(err, ERR_CONFIG, "record",
                       "--record: traces are kept in a file: name it with --state.");
    if (cli_detail(cfg, detail, err))
        return ERR_CONFIG;
    for (size_t i = 0; i < cfg->efforts.len; i++) {
        enum effort effort;
        if (!effort_from(str_from(cfg->efforts.items[i]), &effort))
            return err_set(
                err, ERR_CONFIG, "efforts",
                "--efforts: '%.40s' is no effort; use none, minimal, low, medium, high, xhigh or max.",
                cfg->efforts.items[i]);
    }
    enum err_code code = check_families(cfg, err);
    return code ? code : cli_no_args(cfg, "exam", err);
}

static int64_t in_flight(const struct config *cfg)
{
    return cfg->concurrency ? cfg->concurrency : IN_FLIGHT_DEFAULT;
}

/* --- who is asked ------------------------------------------------------------------------------------- */

static enum err_code add_candidate(struct asking *a, const struct ask *ask, const char *effort,
                                   struct err *err)
{
    if (a->len == EXAM_CANDIDATES_MAX)
        return err_set(err, ERR_CONFIG, "models", "--models, --efforts: at most %d models times efforts.",
                       EXAM_CANDIDATES_MAX);
    for (size_t i = 0; i < a->len; i++)
        if (strcmp(a->candidates[i].model, ask->model) == 0 &&
            strcmp(a->candidates[i].effort ? a->candidates[i].effort : "", effort ? effort : "") == 0)
            return err_set(err, ERR_CONFIG, "models", "--models, --efforts: %.64s%s%s is there twice.",
                           ask->model, effort ? " " : "", effort ? effort : "");
    a->candidates[a->len] = (struct exam_candidate){ ask->model, effort };
    a->asks[a->len] = *ask;
    if (effort)
        a->asks[a->len].effort.set = effort_from(str_from(effort), &a->asks[a->len].effort.value);
    a->len++;
    return ERR_OK;
}

/* A trace is one line of thought: a route has none of its own, and a server shows only what many lines came to. */
static enum err_code check_record(const struct asking *a, const struct ask *ask, struct err *err)
{
    const struct tier *tier = config_tier(a->cfg, str_from(ask->model));
    if (!a->cfg->record || !tier)
        return ERR_OK;
    if (tier->thinking == THINKING_ROUTE)
        return err_set(
            err, ERR_CONFIG, "record",
            "--record: a trace is one line of thought, and %.64s asks other models; record one of those.",
            tier->name);
    if (a->cfg->url && tier->thinking == THINKING_BRANCHES)
        return err_set(err, ERR_CONFIG, "record",
                       "--record: a trace is one line of thought, and a server shows only the vote of %.64s; "
                       "record a model that has one.",
                       tier->name);
    return ERR_OK;
}

/* One model at each effort. */
static enum err_code add_model(struct asking *a, const struct ask *ask, struct err *err)
{
    enum err_code code = check_record(a, ask, err);
    for (size_t i = 0; i < a->cfg->efforts.len && !code; i++)
        code = add_candidate(a, ask, a->cfg->efforts.items[i], err);
    if (!code && a->cfg->efforts.len == 0)
        code = add_candidate(a, ask, a->cfg->effort, err);
    return code;
}

static enum err_code open_asking(struct asking *a, struct err *err)
{
    struct ask ask;
    const struct config_list *models = &a->cfg->models;
    enum err_code code = models->len ? ERR_OK : ask_from_config(&ask, a->cfg, err);
    if (!code && models->len == 0)
        code = add_model(a, &ask, err);
    for (size_t i = 0; i < models->len && !code; i++) {
        struct config named = *a->cfg; /* borrows everything */
        named.tier = models->items[i];
        code = ask_from_config(&ask, &named, err);
        if (!code)
            code = ask_set_model(&ask, a->cfg, models->items[i], err);
        if (!code)
            code = add_model(a, &ask, err);
    }
    return code ? code : backend_open(&a->backend, a->cfg, in_flight(a->cfg), err);
}

/* What replies depend on beside questions and candidates. A null is what was not given. */
static json_t *arguments_of(const struct config *cfg)
{
    json_t *families = json_array();
    for (size_t i = 0; i < cfg->families.len; i++)
        json_array_append_new(families, json_string(cfg->families.items[i]));
    return json_pack("{s:s?,s:s?,s:s,s:I,s:s?,s:s?,s:I,s:o}", "url", cfg->url, "model", cfg->model, "engine",
                     cfg->engine, "context", (json_int_t)cfg->context, "temperature", cfg->temperature,
                     "file", cfg->file, "items", (json_int_t)cfg->items, "families", families);
}

static enum err_code run(struct asking *a, struct exam_report *report, struct err *err)
{
    int64_t drawn_ms = 0;
    const struct config *cfg = a->cfg;
    json_t *arguments = arguments_of(cfg);
    struct exam_config exam = { .seed = cfg->seed ? (uint64_t)cfg->seed : SEED_DEFAULT,
                                .items = cfg->items ? (int)cfg->items : ITEMS_DEFAULT,
                                .threads = (int)in_flight(cfg),
                                .families = cfg->families.items,
                                .families_len = cfg->families.len,
                                .file = cfg->file,
                                .file_items_max = cfg->items,
                                .candidates = a->candidates,
                                .candidates_len = a->len,
                                .samples = cfg->record ? (int)cfg->record + 1 : 1,
                                .state = cfg->state,
                                .arguments = arguments,
                                .stop = &stop };
    if (term_is(stderr)) {
        exam.progress = draw;
        exam.progress_ctx = &drawn_ms;
    }
    catch_interrupt();
    enum err_code code = exam_run(&exam, (struct exam_asker){ ask_question, a }, report, err);
    json_decref(arguments);
    return code;
}

/* The report in one form into a file; path NULL: not wanted. */
static enum err_code write_form(const char *path, const struct exam_report *report,
                                void (*form)(const struct exam_report *r, struct buf *out), struct err *err)
{
    struct buf out = { 0 };
    if (!path)
        return ERR_OK;
    form(report, &out);
    enum err_code code = file_write(path, buf_str(&out), err);
    buf_free(&out);
    return code;
}

static void put_remarks(struct buf *out, const struct exam_report *report)
{
    int64_t failed = 0;
    for (size_t i = 0; i < report->parts_len; i++)
        failed += report->parts[i].total.failed;
    if (report->resumed)
        buf_printf(out, "thinkd: %" PRId64 " replies were there already\n", report->resumed);
    if (__atomic_load_n(&stop, __ATOMIC_RELAXED))
        buf_puts(out, "thinkd: interrupted; the report is of what was answered before\n");
    if (failed)
        buf_printf(out, "thinkd: %" PRId64 " questions got no answer; the first: %s\n", failed,
                   report->first_error.message);
}

static void print_report(const struct config *cfg, enum exam_detail detail, const struct exam_report *report)
{
    struct buf out = { 0 };
    if (cfg->json)
        exam_report_json(report, &out);
    else
        exam_report_table(report, detail, &out);
    term_put(stdout, buf_str(&out));
    buf_clear(&out);
    put_remarks(&out, report);
    term_put(stderr, buf_str(&out));
    buf_free(&out);
}

void exam_list(struct buf *out)
{
    buf_puts(out, "\nFamilies:\n");
    for (size_t i = 0; i < exam_family_count(); i++) {
        const struct exam_family *f = exam_family_at(i);
        buf_printf(out, "  %-10s %d %-6s %s\n", exam_family_name(f), exam_family_levels(f),
                   exam_family_levels(f) == 1 ? "level" : "levels", exam_family_what(f));
    }
}

int exam_command(const struct config *cfg)
{
    struct err err = { 0 };
    struct asking a = { .cfg = cfg };
    struct exam_report report = { 0 };
    enum exam_detail detail;
    enum err_code code = check_options(cfg, &detail, &err);
    if (!code)
        code = open_asking(&a, &err);
    if (!code)
        code = run(&a, &report, &err);
    if (!code) {
        print_report(cfg, detail, &report);
        code = write_form(cfg->csv, &report, exam_report_csv, &err);
    }
    if (!code)
        code = write_form(cfg->svg, &report, exam_report_svg, &err);
    exam_report_free(&report);
    backend_close(a.backend);
    return code ? cli_fail(&err) : CLI_OK;
}
