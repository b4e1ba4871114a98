/*
 * extension.c - the object "thinkd" of every reply: what the answer cost, how sure the model was of it, how many lines of
 * thought agree on it, and what it takes to get it again; with include "thinkd.trace" also how it came about.
 *
 * The API has no place for money, budgets, confidence or a drawn seed. They stand in one object under our own name, so that no
 * key of the API is given another meaning.
 *
 * Threads: the conductor's.
 */
#include "api/api_impl.h"

bool job_over(const struct job_view *job)
{
    return job->status > JOB_IN_PROGRESS;
}

/* Money is whole nano-dollars, so that sums stay exact: tokens times the price of one. */
static void put_cost(struct json_writer *w, const struct turn *t, const struct job_view *job)
{
    const struct tier *tier = answering_tier(t, job);
    struct money cost = job_cost(t, job);
    jw_begin_object(w);
    jw_key_int(w, "input", cost.in);
    jw_key_int(w, "output", cost.out);
    jw_key_int(w, "total", cost.in + cost.out);
    jw_key(w, "price");
    jw_begin_object(w);
    jw_key_int(w, "input", tier->price_in);
    jw_key_int(w, "output", tier->price_out);
    jw_end_object(w);
    if (job->route) {
        jw_key(w, "steps");
        put_step_costs(w, job);
    }
    jw_end_object(w);
}

/* Figures that the engine has anyway, null where it has none (an answer shorter than a window has no lowest one). */
static void put_figures(struct json_writer *w, const struct engine_confidence *c)
{
    jw_begin_object(w);
    jw_key(w, "mean_logprob");
    put_logprob(w, c->mean_logprob);
    jw_key(w, "mean");
    put_logprob(w, c->mean);
    jw_key(w, "lowest");
    put_logprob(w, c->lowest_window);
    jw_key(w, "tail");
    put_logprob(w, c->last_window);
    jw_end_object(w);
}

/* Of each choice; where many lines of thought made it, of the one that is shown. */
static void put_confidence(struct json_writer *w, const struct job_view *job)
{
    jw_begin_array(w);
    for (size_t i = 0; i < job->n_choices && job_over(job); i++)
        put_figures(w, &job->choices[i].confidence);
    jw_end_array(w);
}

/* --- how it came about ------------------------------------------------------------------------------------ */

static void put_share(struct json_writer *w, const char *key, int of, int all)
{
    jw_key_real(w, key, (double)(int64_t)(1000.0 * of / all + 0.5) / 1000.0);
}

/* How many lines agree. Null where nothing was voted on: one line of thought, an open question, or no answer. */
static void put_consensus(struct json_writer *w, const struct reason_trace *t)
{
    if (!t || !t->voted) {
        jw_null(w);
        return;
    }
    jw_begin_object(w);
    jw_key_string(w, "answer", buf_str(&t->lines[t->options[0].first].answer));
    jw_key_int(w, "votes", t->options[0].votes);
    jw_key_int(w, "of", t->counted);
    put_share(w, "agreement", t->options[0].votes, t->counted);
    jw_end_object(w);
}

static void put_line_answer(struct json_writer *w, const struct line_trace *l)
{
    jw_key_cstring(w, "form", l->form ? answer_form_names[l->form] : NULL);
    jw_key(w, "answer");
    if (l->form)
        jw_string(w, buf_str(&l->answer));
    else
        jw_null(w);
    jw_key(w, "weight"); /* of its vote: 1 for a whole one */
    jw_real(w, l->counted ? (double)l->weight / VOTE_UNIT : 0);
    jw_key(w, "arithmetic");
    jw_begin_object(w);
    jw_key_int(w, "claims", l->arith.claims);
    jw_key_int(w, "false", l->arith.false_claims);
    jw_end_object(w);
    jw_key(w, "prunable_after");
    if (l->prunable)
        jw_int(w, l->prunable_after);
    else
        jw_null(w);
}

static void put_line(struct json_writer *w, const struct job_view *job, size_t i)
{
    const struct line_trace *l = &job->trace->lines[i];
    const struct job_choice *f = &job->lines[i];
    jw_begin_object(w);
    jw_key_int(w, "index", (int64_t)i);
    jw_key_int(w, "stream", (int64_t)i); /* what it draws from, with the seed */
    if (job->route) {
        jw_key_cstring(w, "step", route_step_names[l->step]);
        jw_key_cstring(w, "model", job->route->steps[l->step].tier->name);
    }
    jw_key_cstring(w, "status", line_state_names[l->state]);
    jw_key_bool(w, "complete", l->complete);
    jw_key_bool(w, "counted", l->counted);
    put_line_answer(w, l);
    jw_key_int(w, "output_tokens", f->output_tokens);
    jw_key_int(w, "thinking_tokens", f->reasoning_tokens);
    jw_key_bool(w, "closed_by_budget", f->closed_by_budget);
    jw_key(w, "confidence");
    put_figures(w, &f->confidence);
    jw_end_object(w);
}

static void put_votes(struct json_writer *w, const struct reason_trace *t)
{
    jw_begin_array(w);
    for (size_t i = 0; i < t->n_options; i++) {
        const struct vote_option *o = &t->options[i];
        jw_begin_object(w);
        jw_key_string(w, "answer", buf_str(&t->lines[o->first].answer));
        jw_key_int(w, "votes", o->votes);
        jw_key_int(w, "first", (int64_t)o->first);
        jw_key_int(w, "surest", (int64_t)o->best);
        jw_end_object(w);
    }
    jw_end_array(w);
}

/* Where the tokens went: thoughts, answers that are not shown, and the one that is. */
static void put_stages(struct json_writer *w, const struct job_view *job)
{
    int64_t thinking = 0, visible = job->output_tokens - job->reasoning_tokens;
    for (size_t i = 0; i < job->trace->n_lines; i++)
        thinking += job->lines[i].reasoning_tokens;
    jw_begin_object(w);
    jw_key_int(w, "thinking", thinking);
    jw_key_int(w, "answers_not_shown", job->output_tokens - thinking - visible);
    jw_key_int(w, "answer", visible);
    jw_end_object(w);
}

static void put_counts(struct json_writer *w, const struct reason_trace *t)
{
    static const enum line_state states[] = { LINE_ENDED, LINE_FAILED, LINE_PRUNED, LINE_CANCELLED };
    jw_key_int(w, "started", (int64_t)t->n_lines);
    for (size_t k = 0; k < ARRAY_LEN(states); k++) {
        int64_t n = 0;
        for (size_t i = 0; i < t->n_lines; i++)
            n += t->lines[i].state == states[k];
        jw_key_int(w, line_state_names[states[k]], n);
    }
    jw_key_int(w, "counted", t->counted);
    jw_key_int(w, "abstained", t->abstained);
    jw_key_int(w, "prunable", t->prunable);
}

/* Null while the response runs, and where one line of thought made it. */
static void put_trace(struct json_writer *w, const struct job_view *job)
{
    const struct reason_trace *t = job->trace;
    if (!t || !job_over(job)) {
        jw_null(w);
        return;
    }
    jw_begin_object(w);
    jw_key_cstring(w, "stop_reason", stop_names[t->stop]);
    jw_key(w, "shown");
    if (t->shown == SIZE_MAX)
        jw_null(w);
    else
        jw_int(w, (int64_t)t->shown);
    put_counts(w, t);
    jw_key(w, "votes");
    put_votes(w, t);
    jw_key(w, "tokens");
    put_stages(w, job);
    jw_key_int(w, "wall_ms", job->ended_ms - job->started_ms);
    jw_key_int(w, "seed", (int64_t)job->seed);
    jw_key(w, "lines");
    jw_begin_array(w);
    for (size_t i = 0; i < t->n_lines; i++)
        put_line(w, job, i);
    jw_end_array(w);
    jw_end_object(w);
}

/* Of the answer's schema, then of the tools'. */
static void put_omitted(struct json_writer *w, const struct turn *t)
{
    const json_t *lists[] = { t->format.omitted, t->tools.omitted };
    jw_key(w, "omitted_keywords");
    jw_begin_array(w);
    for (size_t k = 0; k < ARRAY_LEN(lists); k++)
        for (size_t i = 0; i < json_array_size(lists[k]); i++)
            jw_value(w, json_array_get(lists[k], i));
    jw_end_array(w);
}

static int64_t thinking_max(const struct job_view *job)
{
    if (job->route)
        return route_thinking_max(job);
    return job->plan->think ? job->plan->think_tokens_max * job->plan->lines.max : 0;
}

void put_thinkd(struct json_writer *w, const struct turn *t, const struct job_view *job)
{
    jw_begin_object(w);
    jw_key(w, "cost"); /* null until the job is over, as usage is */
    if (job_over(job))
        put_cost(w, t, job);
    else
        jw_null(w);
    jw_key(w, "route");
    put_route(w, t, job);
    jw_key(w, "budget"); /* of thinking, in tokens */
    jw_begin_object(w);
    jw_key_int(w, "allowed", thinking_max(job));
    jw_key_int(w, "used", job->reasoning_tokens);
    jw_end_object(w);
    jw_key_cstring(w, "effort", effort_names[answering_effort(job)]);
    jw_key_int(w, "seed", (int64_t)job->seed);
    jw_key(w, "confidence");
    put_confidence(w, job);
    put_omitted(w, t);
    jw_key(w, "consensus");
    put_consensus(w, job_over(job) ? job->trace : NULL);
    if (t->trace) {
        jw_key(w, "trace");
        put_trace(w, job);
    }
    jw_key(w, "inactive_tools");
    if (t->tools.inactive)
        jw_value(w, t->tools.inactive);
    else
        jw_raw(w, STR("[]"));
    jw_end_object(w);
}
