/*
 * events.c - the fold: what an engine says of a job's sequences becomes its items and numbered events.
 *
 * The order is the API's. Per choice:
 *   reasoning item added, [summary part added, deltas, text done, part done], item done,
 *   message item added, part added, text deltas, text done, part done, item done,
 *   [call item added, call deltas, call done, item done] for each call, choice done.
 * Where there are calls and no text there is no message.
 * An item that holds what was compacted stands before those of all choices.
 * A choice that has begun to think has a reasoning item, with or without a summary, before its message.
 * Items are numbered in the order in which they begin; every item that was added is done before the job's
 * terminal event, as incomplete when its choice was cut off, failed or cancelled.
 *
 * The view that goes with an event already holds what the event says.
 *
 * Threads: the conductor's. Ownership: texts handed to the sink live in the items or until it returns.
 */
#include "base/clock.h"
#include "job/job_impl.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ANSWER_DELTAS_MAX 256
#define CALL_HEX          24

/* A cancelled response has no terminal event in the API: its stream just ends. */
static bool is_numbered(const struct job *j, enum job_event_kind kind)
{
    if (kind == JOB_EV_ENDED)
        return j->view.status != JOB_CANCELLED;
    return kind != JOB_EV_CHOICE_DONE && kind != JOB_EV_THOUGHT_DELTA;
}

static void put(struct job *j, struct job_event *ev)
{
    if (is_numbered(j, ev->kind)) {
        ev->number = j->events++;
        log_event(j, ev);
    }
    if (j->sink.put && !j->replaying)
        j->sink.put(j->sink.ctx, ev, &j->view);
}

static void tell(struct job *j, enum job_event_kind kind, size_t item, size_t choice, struct str text)
{
    put(j, &(struct job_event){ .kind = kind, .item = item, .choice = choice, .text = text });
}

/* --- items ----------------------------------------------------------------------------------------- */

static size_t new_item(struct job *j, enum job_item_kind kind, size_t choice, const char *prefix)
{
    size_t at = j->view.n_items;
    if (at == j->items_cap) {
        j->items_cap = at ? 2 * at : 4;
        j->items = mem_realloc(j->items, j->items_cap * sizeof *j->items);
        j->view.items = j->items;
    }
    struct job_item *item = &j->items[at];
    *item = (struct job_item){ .kind = kind, .choice = choice };
    /* 48 digits, of which the first are the same for all of a job's items. The last are its number's, mixed so that ids
     * look as they do elsewhere: a job that goes on after a restart gives its items the same ids again. */
    uint32_t own = ((uint32_t)at + 1) * 2654435761u;
    snprintf(item->id, sizeof item->id, "%s_%s%0*" PRIx32, prefix, j->hex, OWN_HEX, own);
    j->view.n_items++;
    return at;
}

static size_t add_item(struct job *j, enum job_item_kind kind, size_t choice)
{
    static const char *const prefixes[] = { "rs", "msg", "cmp" };
    size_t at = new_item(j, kind, choice, prefixes[kind]);
    tell(j, JOB_EV_ITEM_ADDED, at, choice, (struct str){ 0 });
    return at;
}

static void finish_item(struct job *j, size_t at, bool complete)
{
    struct job_item *item = &j->items[at];
    assert(!item->done);
    item->done = true;
    item->complete = complete;
    tell(j, JOB_EV_ITEM_DONE, at, item->choice, buf_str(&item->text));
}

/* --- a choice's thought ---------------------------------------------------------------------------- */

static void put_summary(struct job *j, struct line *l, struct str text)
{
    if (text.len == 0)
        return;
    struct job_item *item = &j->items[l->reasoning];
    if (!l->part_open)
        tell(j, JOB_EV_SUMMARY_ADDED, l->reasoning, item->choice, (struct str){ 0 });
    l->part_open = true;
    buf_put_str(&item->text, text);
    tell(j, JOB_EV_SUMMARY_DELTA, l->reasoning, item->choice, text);
}

static void put_thought(struct job *j, size_t choice, struct str text)
{
    struct line *l = &j->lines[choice];
    if (l->reasoning == NO_ITEM)
        l->reasoning = add_item(j, JOB_REASONING, choice);
    if (text.len == 0)
        return;
    buf_put_str(&j->items[l->reasoning].thought, text);
    tell(j, JOB_EV_THOUGHT_DELTA, l->reasoning, choice, text);
    struct buf summary = { 0 };
    summarizer_put(&l->summarizer, text, &summary);
    put_summary(j, l, buf_str(&summary));
    buf_free(&summary);
}

static void end_thought(struct job *j, size_t choice, bool complete)
{
    struct line *l = &j->lines[choice];
    if (l->reasoning == NO_ITEM || j->items[l->reasoning].done)
        return;
    struct buf summary = { 0 };
    summarizer_end(&l->summarizer, &summary);
    put_summary(j, l, buf_str(&summary));
    buf_free(&summary);
    if (l->part_open) {
        struct str text = buf_str(&j->items[l->reasoning].text);
        tell(j, JOB_EV_SUMMARY_TEXT_DONE, l->reasoning, choice, text);
        tell(j, JOB_EV_SUMMARY_DONE, l->reasoning, choice, text);
    }
    finish_item(j, l->reasoning, complete);
}

/* Of many lines of thought: they have one item, and its text is told of all of them. */
void job_begin_thought(struct job *j, size_t choice)
{
    struct line *l = &j->lines[choice];
    if (l->reasoning == NO_ITEM)
        l->reasoning = add_item(j, JOB_REASONING, choice);
}

void job_put_raw_thought(struct job *j, size_t choice, struct str text)
{
    if (text.len)
        tell(j, JOB_EV_THOUGHT_DELTA, j->lines[choice].reasoning, choice, text);
}

void job_put_summary(struct job *j, size_t choice, struct str text)
{
    put_summary(j, &j->lines[choice], text);
}

/* --- a choice's answer ----------------------------------------------------------------------------- */

/* The view gains the tokens that are listed by now; the event that goes with them says which are new. */
static void list_tokens(struct job *j, size_t choice, struct job_event *ev)
{
    struct job_choice *c = &j->choices[choice];
    const struct tokens *t = &j->lines[choice].tokens;
    ev->first_token = c->n_tokens;
    c->tokens = t->list;
    c->alternatives = t->tops;
    c->n_tokens = tokens_listed(t);
    ev->n_tokens = c->n_tokens - ev->first_token;
}

static void put_text(struct job *j, size_t choice, struct str text)
{
    struct line *l = &j->lines[choice];
    struct buf *all = &j->items[l->message].text;
    struct job_event ev = { .kind = JOB_EV_TEXT_DELTA, .item = l->message, .choice = choice, .text = text };
    tokens_show(&l->tokens, j->engine, all->len, text, j->raw);
    list_tokens(j, choice, &ev);
    buf_put_str(all, text);
    put(j, &ev);
}

/* Neither JSON nor a call begins with a refusal's first letter (engine_info). */
bool job_refuses(const struct job *j, struct str answer)
{
    return j->params.refusal && answer.len && answer.ptr[0] == engine_info(j->engine)->refusal[0];
}

static void begin_message(struct job *j, size_t choice, struct str text)
{
    struct line *l = &j->lines[choice];
    if (l->message != NO_ITEM)
        return;
    l->message = add_item(j, JOB_MESSAGE, choice);
    j->items[l->message].refusal = job_refuses(j, text);
    tell(j, JOB_EV_PART_ADDED, l->message, choice, (struct str){ 0 });
}

static void end_message(struct job *j, size_t choice, bool complete)
{
    struct line *l = &j->lines[choice];
    if (l->message == NO_ITEM || j->items[l->message].done)
        return;
    struct str text = buf_str(&j->items[l->message].text);
    tell(j, JOB_EV_TEXT_DONE, l->message, choice, text);
    tell(j, JOB_EV_PART_DONE, l->message, choice, text);
    finish_item(j, l->message, complete);
}

/* --- its calls --- */

/* A call is whole when the next begins or the choice ends: what an answer that is cut off ends in is never taken for more than it is. */
static void end_call(struct job *j, size_t choice, bool complete)
{
    struct line *l = &j->lines[choice];
    if (l->call == NO_ITEM || j->items[l->call].done)
        return;
    tell(j, JOB_EV_CALL_DONE, l->call, choice, buf_str(&j->items[l->call].text));
    finish_item(j, l->call, complete);
}

static void begin_call(struct job *j, size_t choice, size_t tool)
{
    struct line *l = &j->lines[choice];
    end_message(j, choice, true);
    end_call(j, choice, true);
    bool custom = calls_custom(j->calls, tool);
    l->call = new_item(j, JOB_CALL, choice, custom ? "ctc" : "fc");
    struct job_item *item = &j->items[l->call];
    item->name = calls_name(j->calls, tool);
    item->custom = custom;
    /* The digits that the job's items share, and the item's own. */
    snprintf(item->call_id, sizeof item->call_id, "call_%.*s%s", CALL_HEX - OWN_HEX, j->hex,
             item->id + strlen(item->id) - OWN_HEX);
    tell(j, JOB_EV_ITEM_ADDED, l->call, choice, (struct str){ 0 });
}

static void put_arguments(struct job *j, size_t choice, struct str text)
{
    struct line *l = &j->lines[choice];
    buf_put_str(&j->items[l->call].text, text);
    tell(j, JOB_EV_CALL_DELTA, l->call, choice, text);
}

static void put_pieces(struct job *j, size_t choice)
{
    struct calls_scan *s = &j->lines[choice].scan;
    while (calls_scan_next(s))
        switch (s->kind) {
        case CALLS_TEXT:
            begin_message(j, choice, s->text);
            put_text(j, choice, s->text);
            break;
        case CALLS_BEGIN: begin_call(j, choice, s->tool); break;
        case CALLS_ARGUMENTS: put_arguments(j, choice, s->text); break;
        }
}

/* More of what the engine shows of an answer: text, and calls where there may be some. */
static void put_answered(struct job *j, size_t choice, struct str text)
{
    if (!j->calls) {
        begin_message(j, choice, text);
        put_text(j, choice, text);
        return;
    }
    calls_scan_put(&j->lines[choice].scan, text);
    put_pieces(j, choice);
}

/* Nothing more comes. An answer may be empty, and is still an answer; cut off inside the thought there is none. */
static void end_answer(struct job *j, size_t choice, bool complete, bool due)
{
    struct line *l = &j->lines[choice];
    if (j->calls) {
        calls_scan_end(&l->scan);
        put_pieces(j, choice);
    }
    if (due && l->call == NO_ITEM)
        begin_message(j, choice, (struct str){ 0 });
    end_message(j, choice, complete);
    end_call(j, choice, complete && calls_scan_whole(&l->scan)); /* a stop string may stand inside one */
}

/* --- a job ----------------------------------------------------------------------------------------- */

void job_begin(struct job *j)
{
    j->view.started_ms = clock_wall_ms();
    j->view.status = j->log.background ? JOB_QUEUED : JOB_IN_PROGRESS;
    tell(j, JOB_EV_CREATED, 0, 0, (struct str){ 0 });
    if (j->log.background)
        tell(j, JOB_EV_QUEUED, 0, 0, (struct str){ 0 });
    j->view.status = JOB_IN_PROGRESS;
    tell(j, JOB_EV_STARTED, 0, 0, (struct str){ 0 });
    if (!j->compaction.len)
        return;
    size_t at = add_item(j, JOB_COMPACTION, 0);
    buf_put_str(&j->items[at].text, j->compaction);
    finish_item(j, at, true);
}

/* The engine's totals are per sequence; the job's are their sums, each prompt counted once. */
static void count(struct job *j, size_t choice, const struct heard *h)
{
    struct job_choice *c = &j->choices[choice];
    j->view.output_tokens += h->output_tokens - c->output_tokens;
    j->view.reasoning_tokens += h->thinking_tokens - c->reasoning_tokens;
    if (choice % j->view.choices_each == 0)
        j->view.cached_tokens += h->cached_tokens - c->cached_tokens;
    c->output_tokens = h->output_tokens;
    c->reasoning_tokens = h->thinking_tokens;
    c->cached_tokens = h->cached_tokens;
    c->closed_by_budget = h->closed_by_budget;
}

static void hear_token(struct job *j, size_t choice, const struct engine_token *token)
{
    struct line *l = &j->lines[choice];
    if (!j->logprobs || token->id < 0)
        return;
    tokens_put(&l->tokens, token, false);
    j->choices[choice].tokens = l->tokens.list; /* they may have moved */
    j->choices[choice].alternatives = l->tokens.tops;
}

static void hear_prompt(struct job *j, size_t choice, const struct heard *h)
{
    if (!j->logprobs)
        return;
    struct job_event unsent;
    tokens_put(&j->lines[choice].tokens, &h->token, true);
    list_tokens(j, choice, &unsent);
    j->choices[choice].n_prompt_tokens = j->choices[choice].n_tokens;
}

static void hear_text(struct job *j, size_t choice, const struct heard *h)
{
    struct line *l = &j->lines[choice];
    if (h->stage == ENGINE_THINKING && !j->raw) {
        put_thought(j, choice, h->text);
        return;
    }
    hear_token(j, choice, &h->token);
    l->answering = true;
    end_thought(j, choice, true);
    if (h->text.len)
        put_answered(j, choice, h->text);
}

void job_hear(struct job *j, size_t choice, const struct heard *h)
{
    count(j, choice, h);
    if (h->kind == ENGINE_PROMPT)
        hear_prompt(j, choice, h);
    else if (h->kind == ENGINE_TEXT)
        hear_text(j, choice, h);
    if (h->kind != ENGINE_FAILED) /* then the last ones stay */
        j->choices[choice].confidence = h->confidence;
}

/* What each prompt's first line found of it. */
static int64_t cached_of_lines(const struct job *j)
{
    const struct reason_trace *t = j->view.trace;
    int64_t sum = j->figures[0].cached_tokens;
    for (size_t i = 1; i < t->n_lines; i++)
        if (t->lines[i].step != t->lines[i - 1].step)
            sum += j->figures[i].cached_tokens;
    return sum;
}

/* What belongs to the answer that is shown is visible; everything else was thinking. Until one is, all of it is. */
void job_count_lines(struct job *j)
{
    struct job_choice *c = &j->choices[0];
    c->output_tokens = 0;
    memset(j->view.step_output, 0, sizeof j->view.step_output);
    for (size_t i = 0; i < j->view.trace->n_lines; i++) {
        c->output_tokens += j->figures[i].output_tokens;
        j->view.step_output[j->view.trace->lines[i].step] += j->figures[i].output_tokens;
    }
    size_t shown = j->view.trace->shown;
    const struct job_choice *line = shown < j->n_runs ? &j->figures[shown] : NULL;
    c->reasoning_tokens = c->output_tokens - (line ? line->output_tokens - line->reasoning_tokens : 0);
    c->cached_tokens = cached_of_lines(j);
    if (line) {
        c->closed_by_budget = line->closed_by_budget;
        c->confidence = line->confidence;
    }
    j->view.output_tokens = c->output_tokens;
    j->view.reasoning_tokens = c->reasoning_tokens;
    j->view.cached_tokens = c->cached_tokens;
}

/* An answer that is there already comes in no more pieces than a reader needs to see it come. */
static void put_answer(struct job *j, size_t choice, const struct run *line)
{
    const size_t *ends = (const size_t *)line->ends.ptr;
    const struct engine_token *tokens = (const struct engine_token *)line->tokens.ptr;
    size_t at = 0, n = line->ends.len / sizeof *ends, least = line->answer.len / ANSWER_DELTAS_MAX;
    for (size_t i = 0; i < n; i++) {
        if (j->logprobs)
            hear_token(j, choice, &tokens[i]);
        if (ends[i] - at <= least && i + 1 < n)
            continue;
        if (ends[i] > at)
            put_answered(j, choice, str_slice(buf_str(&line->answer), at, ends[i]));
        at = ends[i];
    }
}

/* The answer of a line that has ended. One that was cut off inside its thought has none. */
void job_show_line(struct job *j, size_t choice, const struct run *line, bool complete)
{
    struct buf *thought = &j->items[j->lines[choice].reasoning].thought;
    buf_clear(thought);
    buf_put_str(thought, buf_str(&line->thought));
    j->lines[choice].answering = line->answering;
    end_thought(j, choice, true);
    if (!complete && !line->answering)
        return;
    put_answer(j, choice, line);
    end_answer(j, choice, complete, true);
}

void job_end_choice(struct job *j, size_t choice, enum engine_finish finish, bool failed)
{
    struct job_choice *c = &j->choices[choice];
    struct line *l = &j->lines[choice];
    bool complete = !failed && finish == FINISH_STOP;
    assert(!c->ended);
    end_thought(j, choice, complete || l->answering);
    end_answer(j, choice, complete, complete || (!failed && finish == FINISH_LENGTH && l->answering));
    c->ended = true;
    c->finish = finish;

    struct job_event ev = { .kind = JOB_EV_CHOICE_DONE, .choice = choice };
    size_t length = l->message == NO_ITEM ? 0 : j->items[l->message].text.len;
    ev.item = l->message == NO_ITEM ? 0 : l->message;
    tokens_end(&l->tokens, j->engine, length, j->raw && finish != FINISH_CANCELLED, j->params.stops,
               finish == FINISH_STOP ? j->params.n_stops : 0);
    list_tokens(j, choice, &ev);
    put(j, &ev);
}

static enum job_status status_of(const struct job *j)
{
    enum job_status status = JOB_COMPLETED;
    if (j->err.code)
        return JOB_FAILED;
    for (size_t i = 0; i < j->view.n_choices; i++) {
        if (j->choices[i].finish == FINISH_CANCELLED)
            return JOB_CANCELLED;
        if (j->choices[i].finish == FINISH_LENGTH)
            status = JOB_INCOMPLETE;
    }
    return status;
}

void job_end(struct job *j)
{
    assert(j->running == 0 && j->view.status == JOB_IN_PROGRESS);
    j->view.status = status_of(j);
    j->view.err = j->err;
    j->view.ended_ms = clock_wall_ms();
    j->ended = true;
    j->end_number = (int64_t)j->events;
    if (j->view.status == JOB_FAILED)
        tell(j, JOB_EV_ERROR, 0, 0, (struct str){ 0 });
    tell(j, JOB_EV_ENDED, 0, 0, (struct str){ 0 });
}
