/*
 * lines.c - many lines of thought for one choice: between the engine, which runs them, and the thinker, which knows what
 * they are for (reason.h).
 *
 * What the engine says of a line is kept here and, when the line has ended, told to the thinker; what the thinker asks for
 * is done: a line started or cancelled, the summary carried on, in the end one line's answer shown. All lines share one
 * reasoning item; the message is that of the line shown, and begins when it is known which that is.
 *
 * The summary tells of one line at a time, in the order in which they are counted. So items, events and numbers follow
 * from what was heard alone, and a journal that is heard again brings the same: before the job is live, starts and
 * cancels are only noted, and lines_go makes them true. A deadline is part of what was heard (heard.deadline).
 *
 * Where models are asked one after the other, their lines follow each other here: line i is run i with stream i whatever
 * step it is of, so all of the above holds; only its prompt and its settings are the step's (conductor.c).
 *
 * Lines that need not go on are cancelled and waited for, so that every token they cost is counted.
 *
 * Threads: the conductor's.
 */
#include "base/clock.h"
#include "job/job_impl.h"
#include "json/json.h"

#include <assert.h>
#include <math.h>

/* --- what the thinker asks for -------------------------------------------------------------------------- */

static void put_account(struct job *j, struct buf *text)
{
    job_put_summary(j, 0, buf_str(text));
    buf_free(text);
}

/* The summary goes on with what has come since of the line that it tells of. */
static void catch_up(struct job *j)
{
    struct buf text = { 0 };
    struct str thought = buf_str(&j->runs[j->telling].thought);
    struct str news = str_slice(thought, j->told, thought.len);
    j->told = thought.len;
    job_put_raw_thought(j, 0, news);
    account_put(&j->account, j->telling, news, &text);
    put_account(j, &text);
}

static void tell_of(struct job *j, size_t line)
{
    j->telling = line;
    j->told = 0;
}

/* A step's prompt is paid for with its first line. */
static void count_prompt(struct job *j, size_t line)
{
    enum route_step step = j->view.trace->lines[line].step;
    if (!j->route || j->view.step_input[step])
        return;
    j->view.step_input[step] = engine_prompt_tokens(j->prompts[route_model(step)]);
    j->view.input_tokens += j->view.step_input[step];
}

static void start_line(struct conductor *c, struct job *j, size_t line)
{
    assert(!j->runs[line].started);
    j->runs[line].started = true;
    j->running++;
    count_prompt(j, line);
    if (j->live)
        conductor_submit(c, j, line);
}

static void cancel_line(struct conductor *c, struct job *j, size_t line)
{
    j->runs[line].stopping = true;
    if (j->live && !j->runs[line].ended)
        conductor_cancel_run(c, j, line);
}

static void count_line(struct job *j, size_t line)
{
    struct buf text = { 0 };
    if (line != j->telling) /* a deadline does not wait for those before it */
        tell_of(j, line);
    catch_up(j);
    account_count(&j->account, line, j->view.trace, &text);
    put_account(j, &text);
    tell_of(j, line + 1);
}

static void decide(struct job *j, size_t line)
{
    struct buf text = { 0 };
    account_decide(&j->account, j->view.trace, &text);
    put_account(j, &text);
    if (line == SIZE_MAX)
        return;
    job_show_line(j, 0, &j->runs[line], j->figures[line].finish == FINISH_STOP);
    job_count_lines(j);
}

static void obey(struct conductor *c, struct job *j)
{
    struct thinker_do act;
    while (thinker_next(j->thinker, &act))
        switch (act.act) {
        case THINK_START: start_line(c, j, act.line); break;
        case THINK_CANCEL: cancel_line(c, j, act.line); break;
        case THINK_COUNT:
            job_begin_thought(j, 0);
            count_line(j, act.line);
            break;
        case THINK_DECIDE: decide(j, act.line); break;
        }
}

/* --- what the engine says ------------------------------------------------------------------------------- */

static void count(struct job *j, size_t line, const struct heard *h)
{
    struct job_choice *f = &j->figures[line];
    f->output_tokens = h->output_tokens;
    f->reasoning_tokens = h->thinking_tokens;
    f->cached_tokens = h->cached_tokens;
    f->closed_by_budget = h->closed_by_budget;
    if (h->kind != ENGINE_FAILED) /* then the last ones stay */
        f->confidence = h->confidence;
    job_count_lines(j);
}

static void hear_text(struct job *j, size_t line, const struct heard *h)
{
    struct run *r = &j->runs[line];
    job_begin_thought(j, 0);
    if (h->stage == ENGINE_THINKING) {
        buf_put_str(&r->thought, h->text);
        return;
    }
    r->answering = true;
    buf_put_str(&r->answer, h->text);
    buf_put(&r->ends, &r->answer.len, sizeof r->answer.len);
    if (j->logprobs)
        buf_put(&r->tokens, &h->token, sizeof h->token);
}

static void put_input(struct buf *out, struct str input)
{
    buf_puts(out, "{\"input\":");
    json_put_string(out, input);
    buf_putc(out, '}');
}

/* One call as votes compare it. */
static void put_call(const struct job *j, size_t tool, struct str arguments, struct buf *out)
{
    buf_printf(out, "%c{\"name\":\"%s\",\"arguments\":", out->len ? ',' : '[', calls_name(j->calls, tool));
    if (calls_custom(j->calls, tool))
        put_input(out, arguments);
    else
        buf_put_str(out, arguments);
    buf_putc(out, '}');
}

/* The calls of an answer as a list in JSON; empty: it has none. */
static void find_calls(const struct job *j, struct str answer, struct buf *out)
{
    struct calls_scan s;
    struct buf arguments = { 0 };
    size_t tool = SIZE_MAX;
    calls_scan_start(&s, j->calls);
    calls_scan_put(&s, answer);
    calls_scan_end(&s);
    while (calls_scan_next(&s)) {
        if (s.kind == CALLS_ARGUMENTS)
            buf_put_str(&arguments, s.text);
        if (s.kind != CALLS_BEGIN)
            continue;
        if (tool != SIZE_MAX)
            put_call(j, tool, buf_str(&arguments), out);
        tool = s.tool;
        buf_clear(&arguments);
    }
    if (tool != SIZE_MAX) {
        put_call(j, tool, buf_str(&arguments), out);
        buf_putc(out, ']');
    }
    calls_scan_free(&s);
    buf_free(&arguments);
}

/* A line that made calls votes for all of them together. */
static void end_line(struct job *j, size_t line, const struct heard *h)
{
    struct run *r = &j->runs[line];
    struct buf calls = { 0 };
    if (j->calls)
        find_calls(j, buf_str(&r->answer), &calls);
    struct line_end end = { .thought = buf_str(&r->thought),
                            .answer = calls.len ? buf_str(&calls) : buf_str(&r->answer),
                            .kind = calls.len                             ? ANSWER_CALLS
                                    : job_refuses(j, buf_str(&r->answer)) ? ANSWER_REFUSAL
                                    : j->json                             ? ANSWER_JSON
                                                                          : ANSWER_TEXT,
                            .complete = h->finish == FINISH_STOP,
                            .confidence = h->confidence };
    thinker_ended(j->thinker, line, &end);
    buf_free(&calls);
}

static void hear_end(struct job *j, size_t line, const struct heard *h)
{
    struct run *r = &j->runs[line];
    struct job_choice *f = &j->figures[line];
    r->ended = f->ended = true;
    f->finish = h->kind == ENGINE_FAILED ? FINISH_CANCELLED : h->finish;
    j->running--;
    if (h->kind == ENGINE_FAILED) {
        if (!j->line_err.code)
            j->line_err = *h->err;
        thinker_failed(j->thinker, line);
    } else if (h->finish == FINISH_CANCELLED) {
        thinker_cancelled(j->thinker, line);
    } else {
        end_line(j, line, h);
    }
}

void lines_hear(struct conductor *c, struct job *j, size_t run, const struct heard *h)
{
    count(j, run, h);
    if (h->kind == ENGINE_TEXT) {
        hear_text(j, run, h);
        thinker_heard(j->thinker, run, &h->confidence, h->output_tokens);
    } else if (h->kind != ENGINE_PROMPT) {
        hear_end(j, run, h);
    }
    if (h->deadline)
        thinker_stop(j->thinker, STOP_DEADLINE);
    /* Nobody but the thinker cancels one line: an end that it did not ask for is the whole job's. */
    if (h->kind == ENGINE_DONE && h->finish == FINISH_CANCELLED && !j->runs[run].stopping)
        thinker_stop(j->thinker, STOP_CANCELLED);
    obey(c, j);
    if (!thinker_decided(j->thinker) && j->telling < j->n_runs)
        catch_up(j);
    if (j->running == 0)
        lines_end(j);
}

/* --- the job's life ---------------------------------------------------------------------------------------- */

void lines_open(struct job *j, const struct job_spec *spec)
{
    if (spec->route) {
        j->route = mem_alloc(sizeof *j->route);
        *j->route = *spec->route;
        j->view.route = j->route;
        j->thinker = thinker_open_route(j->route, spec->question);
    } else {
        j->thinker = thinker_open(&spec->plan, spec->question);
    }
    j->figures = mem_array(j->n_runs, sizeof *j->figures);
    for (size_t i = 0; i < j->n_runs; i++)
        j->figures[i].confidence = (struct engine_confidence){ 0, 0, NAN, NAN, NAN, NAN, NAN };
    j->view.trace = thinker_trace(j->thinker);
    j->view.lines = j->figures;
    j->account.kind = spec->summary;
    j->lines[0].summarizer.kind = SUMMARY_NONE;
    obey(NULL, j); /* the first wave, which nobody runs yet */
}

void lines_free(struct job *j)
{
    for (size_t i = 0; i < j->n_runs; i++) {
        buf_free(&j->runs[i].thought);
        buf_free(&j->runs[i].answer);
        buf_free(&j->runs[i].ends);
        buf_free(&j->runs[i].tokens);
    }
    account_free(&j->account);
    thinker_close(j->thinker);
    mem_free(j->figures);
}

static void end_unrun(struct job *j, size_t line)
{
    j->runs[line].ended = j->figures[line].ended = true;
    j->figures[line].finish = FINISH_CANCELLED;
    j->running--;
    if (!j->suspended)
        thinker_cancelled(j->thinker, line);
}

void lines_go(struct conductor *c, struct job *j)
{
    bool none = c->closing || j->stopping;
    obey(c, j);
    if (none && !j->suspended)
        thinker_stop(j->thinker, STOP_CANCELLED);
    obey(c, j);
    j->live = !c->closing;
    if (j->live && j->plan.lines.deadline_ms) {
        j->deadline_mono = clock_mono_ms() + j->plan.lines.deadline_ms;
        c->deadlines = true;
    }
    for (size_t i = 0; i < j->n_runs; i++) {
        struct run *r = &j->runs[i];
        if (!r->started || r->ended)
            continue;
        if (none || r->stopping)
            end_unrun(j, i);
        else
            conductor_submit(c, j, i);
    }
    if (j->running == 0 && !j->suspended)
        lines_end(j);
}

bool lines_deadline(struct job *j, size_t *run, struct heard *h)
{
    size_t i = 0;
    j->deadline_mono = 0;
    while (i < j->n_runs && (!j->runs[i].started || j->runs[i].ended))
        i++;
    if (i == j->n_runs || thinker_decided(j->thinker))
        return false;
    const struct job_choice *f = &j->figures[i];
    *run = i;
    *h = (struct heard){ .kind = ENGINE_TEXT,
                         .stage = ENGINE_THINKING,
                         .deadline = true,
                         .output_tokens = f->output_tokens,
                         .thinking_tokens = f->reasoning_tokens,
                         .cached_tokens = f->cached_tokens,
                         .token = { .id = -1 },
                         .confidence = f->confidence };
    return true;
}

void lines_cancel(struct conductor *c, struct job *j)
{
    thinker_stop(j->thinker, STOP_CANCELLED);
    obey(c, j);
}

void lines_end(struct job *j)
{
    const struct reason_trace *t = j->view.trace;
    if (j->choices[0].ended)
        return;
    assert(t->stop);
    if (t->stop == STOP_FAILED)
        j->err = j->line_err;
    enum engine_finish finish = t->shown == SIZE_MAX ? FINISH_CANCELLED : j->figures[t->shown].finish;
    job_end_choice(j, 0, finish, t->stop == STOP_FAILED);
}
