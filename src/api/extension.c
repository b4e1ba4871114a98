/*
 * extension.c - the object "thinkd" of every reply: what the answer cost, how sure the model was of it, and what it takes
 * to get it again.
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
static void put_cost(struct json_writer *w, const struct tier *tier, const struct job_view *job)
{
    int64_t in = job->input_tokens * tier->price_in, out = job->output_tokens * tier->price_out;
    jw_begin_object(w);
    put_int(w, "input", in);
    put_int(w, "output", out);
    put_int(w, "total", in + out);
    jw_key(w, "price");
    jw_begin_object(w);
    put_int(w, "input", tier->price_in);
    put_int(w, "output", tier->price_out);
    jw_end_object(w);
    jw_end_object(w);
}

/* Of each choice: figures that the engine has anyway, null where it has none (an answer shorter than a window has no
 * lowest one). */
static void put_confidence(struct json_writer *w, const struct job_view *job)
{
    jw_begin_array(w);
    for (size_t i = 0; i < job->n_choices && job_over(job); i++) {
        const struct engine_confidence *c = &job->choices[i].confidence;
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
    jw_end_array(w);
}

void put_thinkd(struct json_writer *w, const struct turn *t, const struct job_view *job)
{
    jw_begin_object(w);
    jw_key(w, "cost"); /* null until the job is over, as usage is */
    if (job_over(job))
        put_cost(w, t->tier, job);
    else
        jw_null(w);
    jw_key(w, "route");
    jw_begin_array(w);
    jw_cstring(w, t->tier->name);
    jw_end_array(w);
    jw_key(w, "budget"); /* of thinking, in tokens */
    jw_begin_object(w);
    put_int(w, "allowed", job->plan->think ? job->plan->think_tokens_max : 0);
    put_int(w, "used", job->reasoning_tokens);
    jw_end_object(w);
    jw_key(w, "effort");
    jw_cstring(w, effort_names[job->plan->effort]);
    put_int(w, "seed", (int64_t)job->seed);
    jw_key(w, "confidence");
    put_confidence(w, job);
    jw_key(w, "omitted_keywords"); /* of the answer's schema */
    if (t->format.omitted)
        jw_value(w, t->format.omitted);
    else
        jw_raw(w, STR("[]"));
    jw_key(w, "inactive_tools");
    if (t->tools.inactive)
        jw_value(w, t->tools.inactive);
    else
        jw_raw(w, STR("[]"));
    jw_end_object(w);
}
