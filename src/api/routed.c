/*
 * routed.c - requests for a model that asks other models (THINKING_ROUTE): whom, with which prompts, and who answered.
 *
 * Where the request itself decides it (reason's route_direct, or too few tokens), the model that is to answer takes the
 * place of the one that was asked, and all goes on as if the client had named it. Otherwise the job gets a route: a prompt
 * and a plan for each step, made beforehand, because a job that goes on after a restart is built from its request again and
 * must come to the same.
 *
 * Threads: http's workers and the runner prepare; replies are written on the conductor's.
 */
#include "api/api_impl.h"

/* The name under which it answers, with the prefix that the client used. */
static const char *name_of(struct turn *t, const struct tier *tier)
{
    bool prefixed = str_starts(str_from(t->model), STR("openai/"));
    const char *asked = arena_printf(&t->arena, "%s%s", prefixed ? "openai/" : "", tier->name);
    return model_name(tier, str_from(asked), &t->arena);
}

static void answer_alone(struct turn *t, const struct tier *tier)
{
    t->model = name_of(t, tier);
    t->tier = tier;
    if (!t->effort_asked)
        t->effort = tier->default_effort;
}

/* Those of the route that the caller's key may use; the others are NULL. */
static void allowed_models(const struct turn *t, const struct tier *models[TIER_ROUTE])
{
    for (size_t i = 0; i < TIER_ROUTE; i++) {
        models[i] = config_route(t->api->cfg, t->tier, i);
        if (!model_allowed(t->api->cfg, &t->owner, models[i]))
            models[i] = NULL;
    }
}

enum err_code route_choose(struct turn *t, struct err *err)
{
    const struct tier *models[TIER_ROUTE];
    if (t->tier->thinking != THINKING_ROUTE)
        return ERR_OK;
    allowed_models(t, models);
    t->ask.effort = t->effort;
    t->ask.choices = t->choices;
    size_t alone = t->kind->raw ? 0 : route_direct(models, &t->ask, t->effort_asked);
    if (alone == SIZE_MAX || (alone < TIER_ROUTE && !models[alone]))
        return err_set(err, ERR_MODEL_NOT_FOUND, "model",
                       "The model '%s' asks other models, and this key may use none of those that it would.",
                       t->model);
    if (alone < TIER_ROUTE)
        answer_alone(t, models[alone]);
    return ERR_OK;
}

/* --- the steps ------------------------------------------------------------------------------------------- */

static enum err_code open_prompts(struct turn *t, const struct tier *const models[TIER_ROUTE],
                                  struct err *err)
{
    enum err_code code = ERR_OK;
    t->prompts = arena_array(&t->arena, TIER_ROUTE + 1, sizeof *t->prompts);
    for (size_t i = 0; i < TIER_ROUTE && !code; i++)
        code = turn_open_prompt(t, route_effort(models, i), err);
    return code;
}

static bool fits_all(const struct turn *t, const struct route_ask *ask)
{
    for (size_t i = 0; i < TIER_ROUTE; i++)
        if (ask->prompt_tokens[i] >= ask->models[i]->context_window)
            return false;
    return t->plan.tokens_max > 0;
}

/* Too few tokens for all of it: the first model alone, with a prompt of its own. */
static enum err_code fall_back(struct turn *t, const struct tier *first, struct err *err)
{
    t->route = NULL;
    for (size_t i = 0; i < t->n_prompts; i++)
        engine_prompt_unref(t->prompts[i]);
    t->n_prompts = 0;
    answer_alone(t, first);
    return turn_prepare_chat(t, err);
}

enum err_code route_prepare(struct turn *t, struct err *err)
{
    const struct engine_info *info = engine_info(conductor_engine(t->api->conductor));
    struct route_ask ask = { .own = t->tier, .engine = info, .ask = t->ask };
    for (size_t i = 0; i < TIER_ROUTE; i++)
        ask.models[i] = config_route(t->api->cfg, t->tier, i);
    enum err_code code = open_prompts(t, ask.models, err);
    if (code)
        return code;
    for (size_t i = 0; i < TIER_ROUTE; i++)
        ask.prompt_tokens[i] = engine_prompt_tokens(t->prompts[i]);
    ask.carries =
        engine_prompt_same(t->prompts[0], t->prompts[2]) && engine_prompt_same(t->prompts[1], t->prompts[2]);
    t->route = arena_alloc(&t->arena, sizeof *t->route);
    bool enough = route_plan(t->route, &ask);
    if (enough)
        t->plan = route_whole(t->route, &ask);
    for (size_t i = 0; i < ROUTE_STEPS && enough; i++)
        t->step_names[i] = name_of(t, t->route->steps[i].tier);
    return enough && fits_all(t, &ask) ? ERR_OK : fall_back(t, ask.models[0], err);
}

/* --- replies -------------------------------------------------------------------------------------------- */

static bool is_decided(const struct job_view *job)
{
    return job->route && job->trace->stop && job->trace->shown != SIZE_MAX;
}

static enum route_step last_step(const struct job_view *job)
{
    return job->trace->lines[job->trace->n_lines - 1].step;
}

const struct tier *answering_tier(const struct turn *t, const struct job_view *job)
{
    return job->route ? job->route->steps[last_step(job)].tier : t->tier;
}

enum effort answering_effort(const struct job_view *job)
{
    return job->route ? job->route->steps[last_step(job)].plan.effort : job->plan->effort;
}

const char *answering_name(const struct turn *t, const struct job_view *job)
{
    return is_decided(job) ? t->step_names[last_step(job)] : t->model;
}

static int64_t lines_of(const struct job_view *job, enum route_step step)
{
    int64_t n = 0;
    for (size_t i = 0; i < job->trace->n_lines; i++)
        n += job->trace->lines[i].step == step;
    return n;
}

int64_t route_thinking_max(const struct job_view *job)
{
    int64_t sum = 0;
    for (enum route_step i = STEP_TRY; i <= STEP_VOTE; i++) {
        const struct plan *p = &job->route->steps[i].plan;
        int64_t lines = i == STEP_VOTE ? p->lines.max : lines_of(job, i);
        sum += job->step_input[i] && p->think ? p->think_tokens_max * lines : 0;
    }
    return sum;
}

static struct money step_cost(const struct job_view *job, enum route_step step)
{
    const struct tier *tier = job->route->steps[step].tier;
    return (struct money){ job->step_input[step] * tier->price_in, job->step_output[step] * tier->price_out };
}

struct money job_cost(const struct turn *t, const struct job_view *job)
{
    struct money sum = { 0, 0 };
    if (!job->route)
        return (struct money){ job->input_tokens * t->tier->price_in,
                               job->output_tokens * t->tier->price_out };
    for (enum route_step step = STEP_TRY; step <= STEP_VOTE; step++) {
        struct money m = step_cost(job, step);
        sum.in += m.in;
        sum.out += m.out;
    }
    return sum;
}

void put_step_costs(struct json_writer *w, const struct job_view *job)
{
    jw_begin_array(w);
    for (enum route_step step = STEP_TRY; job->route && step <= STEP_VOTE; step++) {
        if (!job->step_input[step])
            continue;
        struct money m = step_cost(job, step);
        jw_begin_object(w);
        jw_key_cstring(w, "step", route_step_names[step]);
        jw_key_cstring(w, "model", job->route->steps[step].tier->name);
        jw_key_cstring(w, "effort", effort_names[job->route->steps[step].plan.effort]);
        jw_key_int(w, "input_tokens", job->step_input[step]);
        jw_key_int(w, "output_tokens", job->step_output[step]);
        jw_key_int(w, "input", m.in);
        jw_key_int(w, "output", m.out);
        jw_key_int(w, "total", m.in + m.out);
        jw_end_object(w);
    }
    jw_end_array(w);
}

void put_route(struct json_writer *w, const struct turn *t, const struct job_view *job)
{
    jw_begin_array(w);
    if (!t->route)
        jw_cstring(w, t->tier->name);
    for (enum route_step step = STEP_TRY; job->route && step <= STEP_VOTE; step++)
        if (job->step_input[step])
            jw_cstring(w, job->route->steps[step].tier->name);
    jw_end_array(w);
}
