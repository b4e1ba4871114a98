/*
 * exam.c - `thinkd exam`: problems with known answers, asked of this engine or of a server, and a report.
 *
 * Here the exam's runner meets a backend; neither knows the other. Interrupting (Ctrl-C) asks no further question
 * and reports what was answered; a second time ends the process.
 *
 * Threads: the runner's threads call ask_question at once; progress comes one call at a time.
 */
#include "cli/cli_impl.h"

#include "base/clock.h"
#include "exam/exam.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#define ITEMS_DEFAULT     20
#define SEED_DEFAULT      1
#define IN_FLIGHT_DEFAULT 8
#define BAR_CHARACTERS    24
#define BAR_EVERY_MS      100

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

struct candidate {
    struct backend *backend;
    struct ask ask; /* all but the question */
};

/* The instructions of the command line before those of the question. */
static void join_instructions(struct buf *out, const char *given, struct str own)
{
    buf_printf(out, "%s%s", given ? given : "", given && own.len ? "\n" : "");
    buf_put_str(out, own);
}

static json_t *earlier_of(const struct exam_question *q)
{
    json_t *messages = q->earlier_len ? json_array() : NULL;
    for (int i = 0; i < q->earlier_len; i++) {
        struct str said = q->earlier[i].said, reply = q->earlier[i].visible;
        json_array_append_new(messages,
                              json_pack("{s:s,s:s%}", "role", "user", "content", said.ptr, said.len));
        json_array_append_new(messages,
                              json_pack("{s:s,s:s%}", "role", "assistant", "content", reply.ptr, reply.len));
    }
    return messages;
}

static enum err_code ask_question(void *ctx, const struct exam_question *q, struct exam_reply *reply,
                                  struct err *err)
{
    const struct candidate *c = ctx;
    struct ask ask = c->ask;
    struct answer answer;
    struct buf instructions = { 0 };
    if (q->tools.len) /* neither backend takes them yet */
        return err_set(err, ERR_CONFIG, NULL,
                       "this command asks no questions with function tools yet; leave the family '%s' out.",
                       q->family);
    json_t *earlier = earlier_of(q);
    join_instructions(&instructions, ask.instructions, q->system);
    ask.question = q->text;
    ask.instructions = instructions.len ? instructions.ptr : NULL;
    ask.earlier = earlier;
    enum err_code code = backend_ask(c->backend, &ask, (struct ask_sink){ 0 }, &answer, err);
    json_decref(earlier);
    buf_free(&instructions);
    reply->output_tokens = answer.output_tokens;
    reply->reasoning_tokens = answer.reasoning_tokens;
    reply->seconds = (double)answer.elapsed_ms / 1000;
    if (!code)
        buf_put_str(&reply->text, buf_str(&answer.text));
    answer_free(&answer);
    return code;
}

/* --- progress ---------------------------------------------------------------------------------------- */

struct bar {
    int64_t drawn_ms; /* when it was drawn last */
};

void put_progress(struct buf *out, int64_t done, int64_t total, int64_t right, double eta_seconds)
{
    int64_t full = total ? done * BAR_CHARACTERS / total : 0, eta = (int64_t)(eta_seconds + 0.5);
    buf_putc(out, '[');
    for (int64_t i = 0; i < BAR_CHARACTERS; i++)
        buf_putc(out, i < full ? '#' : '.');
    buf_printf(out, "] %" PRId64 "/%" PRId64 "  %.1f%% right", done, total,
               done ? 100.0 * (double)right / (double)done : 0.0);
    if (done < total && eta >= 3600)
        buf_printf(out, "  %" PRId64 ":%02" PRId64 ":%02" PRId64 " left", eta / 3600, eta / 60 % 60,
                   eta % 60);
    else if (done < total)
        buf_printf(out, "  %" PRId64 ":%02" PRId64 " left", eta / 60, eta % 60);
}

static void draw(void *ctx, const struct exam_status *s)
{
    struct bar *bar = ctx;
    int64_t now = clock_mono_ms();
    if (s->done < s->total && now - bar->drawn_ms < BAR_EVERY_MS)
        return;
    struct buf line = { 0 };
    bar->drawn_ms = now;
    buf_putc(&line, '\r');
    put_progress(&line, s->done, s->total, s->right, s->eta_seconds);
    buf_puts(&line, s->done == s->total ? "\x1b[K\n" : "\x1b[K");
    fwrite(line.ptr, 1, line.len, stderr);
    buf_free(&line);
}

/* --- the command ------------------------------------------------------------------------------------- */

static enum err_code check_options(const struct config *cfg, struct err *err)
{
    if (cfg->file && cfg->families.len)
        return err_set(err, ERR_CONFIG, "families", "--families: a --file has none; leave one of them out.");
    for (size_t i = 0; i < cfg->families.len; i++)
        if (!exam_family_find(str_from(cfg->families.items[i]))) {
            struct buf names = { 0 };
            for (size_t k = 0; k < exam_family_count(); k++)
                buf_printf(&names, "%s%s", k ? ", " : "", exam_family_name(exam_family_at(k)));
            err_set(err, ERR_CONFIG, "families", "--families: there is no family '%.40s'; there are %s.",
                    cfg->families.items[i], names.ptr ? names.ptr : "none");
            buf_free(&names);
            return ERR_CONFIG;
        }
    return cli_no_args(cfg, "exam", err);
}

static int64_t in_flight(const struct config *cfg)
{
    return cfg->concurrency ? cfg->concurrency : IN_FLIGHT_DEFAULT;
}

static enum err_code run(const struct config *cfg, struct candidate *c, struct exam_report *report,
                         struct err *err)
{
    struct bar bar = { 0 };
    struct exam_config exam = { .seed = cfg->seed ? (uint64_t)cfg->seed : SEED_DEFAULT,
                                .items = cfg->items ? (int)cfg->items : ITEMS_DEFAULT,
                                .threads = (int)in_flight(cfg),
                                .families = cfg->families.items,
                                .families_len = cfg->families.len,
                                .file = cfg->file,
                                .file_items_max = cfg->items,
                                .stop = &stop };
    if (term_is(stderr)) {
        exam.progress = draw;
        exam.progress_ctx = &bar;
    }
    if (!cfg->url &&
        !c->ask.seed.set) { /* the same exam twice gives the same marks; servers may not know seeds */
        c->ask.seed.set = true;
        c->ask.seed.value = SEED_DEFAULT;
    }
    catch_interrupt();
    return exam_run(&exam, (struct exam_asker){ ask_question, c }, report, err);
}

static void print_report(const struct config *cfg, const struct exam_report *report)
{
    struct buf out = { 0 };
    if (cfg->json)
        exam_report_json(report, &out);
    else
        exam_report_table(report, &out);
    term_put(stdout, buf_str(&out));
    buf_clear(&out);
    if (__atomic_load_n(&stop, __ATOMIC_RELAXED))
        buf_puts(&out, "thinkd: interrupted; the report is of what was answered before\n");
    if (report->total.failed)
        buf_printf(&out, "thinkd: %" PRId64 " questions got no answer; the first: %s\n", report->total.failed,
                   report->first_error.message);
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
    struct candidate c = { 0 };
    struct exam_report report = { 0 };
    enum err_code code = check_options(cfg, &err);
    if (!code)
        code = ask_from_config(&c.ask, cfg, &err);
    if (!code)
        code = backend_open(&c.backend, cfg, in_flight(cfg), &err);
    if (!code)
        code = run(cfg, &c, &report, &err);
    if (!code)
        print_report(cfg, &report);
    exam_report_free(&report);
    backend_close(c.backend);
    return code ? cli_fail(&err) : CLI_OK;
}
