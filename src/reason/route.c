/*
 * route.c - one model after another: which is asked, with what, and when an answer is sure enough.
 *
 *   TRY (two samples of the cheap model, at low effort)
 *     nothing to compare  -> DRAFT: the middle model answers as if it had been asked, and is not asked further
 *     they agree          -> AGAIN (the middle model, at medium effort), once: all three agree -> shown
 *     else                -> AGAIN, four times in all, at once: four of the six agree -> shown
 *     else                -> VOTE: many lines of the last model, at its default effort
 *
 * Two samples of a small model often agree on the same mistake, so two are enough only where a floor of their confidence was
 * measured and neither is below it. Three that all agree, and four of six, err no more often than the vote does where they agree
 * (docs/reasoning.md has the numbers), and a sample costs a hundredth of it.
 * An answer that the checks speak against counts for nothing here: distrust costs another question, trust an error.
 * (Agreement of cheap samples as the sign of an easy question: arXiv 2310.03094, 2407.02348.)
 *
 * What a question's text says never chooses the route; that it is open is seen by its answers.
 *
 * Each step is given its tokens beforehand, so that all together stay below the request's ceiling whatever happens. A
 * sample has room for its thought and for an answer that can be compared; one that is longer is an open question's.
 *
 * Threads: any. Nothing is kept.
 */
#include "reason/reason_impl.h"

#include <assert.h>

#define MOST 4 /* that agree, where not all three of the first do */

const char *const route_step_names[] = { "try", "again", "draft", "vote", NULL };

/* --- without a question to anybody ------------------------------------------------------------------------ */

static size_t best_allowed(const struct tier *const models[TIER_ROUTE])
{
    static const size_t order[TIER_ROUTE] = { 1, 0, 2 }; /* the one in the middle answers alone */
    for (size_t i = 0; i < TIER_ROUTE; i++)
        if (models[order[i]])
            return order[i];
    return SIZE_MAX;
}

size_t route_direct(const struct tier *const models[TIER_ROUTE], const struct reason_ask *ask,
                    bool effort_asked)
{
    for (size_t i = 0; i < TIER_ROUTE; i++)
        if (!models[i])
            return best_allowed(models);
    if (effort_asked && ask->effort >= EFFORT_XHIGH)
        return 2;
    if (effort_asked && ask->effort <= EFFORT_MINIMAL)
        return 0;
    /* Samples that cannot differ agree on anything; and several answers are not one. */
    return reason_is_greedy(ask) || ask->choices > 1 ? 1 : TIER_ROUTE;
}

/* --- the steps ------------------------------------------------------------------------------------------- */

size_t route_model(enum route_step step)
{
    static const size_t models[ROUTE_STEPS] = {
        [STEP_TRY] = 0, [STEP_AGAIN] = 1, [STEP_DRAFT] = 1, [STEP_VOTE] = 2
    };
    return models[step];
}

enum effort route_effort(const struct tier *const models[TIER_ROUTE], size_t model)
{
    static const enum effort efforts[] = { EFFORT_LOW, EFFORT_MEDIUM };
    return model < ARRAY_LEN(efforts) ? efforts[model] : models[model]->default_effort;
}

/* One line that is compared with others, and no longer than that takes. False: there is not room enough for it. */
static bool plan_sample(struct plan *p)
{
    int64_t enough = p->think_tokens_max + CLOSING_TOKENS + ANSWER_TOKENS_RESERVED;
    bool fits = p->tokens_max >= enough;
    p->tokens_max = p->total_tokens_max = enough;
    return fits;
}

static void plan_step(struct route *r, enum route_step step, const struct route_ask *a, int64_t tokens)
{
    struct reason_ask ask = a->ask;
    size_t model = route_model(step);
    const struct tier *tier = a->models[model];
    ask.effort = route_effort(a->models, model);
    ask.choices = step == STEP_TRY || step == STEP_AGAIN ? 2 : 1; /* drawn, as several answers are */
    ask.output_tokens_max = tokens;
    r->steps[step].tier = tier;
    r->steps[step].plan = reason_plan(tier, a->engine, &ask, a->prompt_tokens[model]);
}

static int64_t ceiling(const struct route_ask *a)
{
    int64_t most = a->own->max_output_tokens, asked = a->ask.output_tokens_max;
    return asked > 0 && asked < most ? asked : most;
}

/* Whether the vote has as many lines as it may have, or where there is one sample before it as many as it needs. */
static bool plan_vote(struct route *r, const struct route_ask *a, int64_t tokens)
{
    if (tokens < 1)
        return false;
    plan_step(r, STEP_VOTE, a, tokens);
    const struct plan_lines *l = &r->steps[STEP_VOTE].plan.lines;
    return !l->cut || (r->again_max == 1 &&
                       l->max >= tier_budget(a->models[2], a->models[2]->default_effort).branches_min);
}

bool route_plan(struct route *r, const struct route_ask *a)
{
    int64_t left = ceiling(a);
    *r = (struct route){ .floor = a->own->confidence_floor, .check = a->own->check, .carries = a->carries };
    plan_step(r, STEP_TRY, a, left);
    if (!plan_sample(&r->steps[STEP_TRY].plan))
        return false;
    left -= ROUTE_TRIES * r->steps[STEP_TRY].plan.tokens_max;
    if (left < 1)
        return false;
    plan_step(r, STEP_AGAIN, a, left);
    plan_step(r, STEP_DRAFT, a, left);
    if (!plan_sample(&r->steps[STEP_AGAIN].plan))
        return false;
    for (r->again_max = ROUTE_AGAIN_MAX; r->again_max > 0; r->again_max--)
        if (plan_vote(r, a, left - r->again_max * r->steps[STEP_AGAIN].plan.tokens_max))
            return true;
    return false;
}

struct plan route_whole(const struct route *r, const struct route_ask *a)
{
    struct plan p = r->steps[STEP_VOTE].plan;
    p.total_tokens_max = ceiling(a);
    p.lines.max += ROUTE_TRIES + r->again_max;
    p.lines.deadline_ms = a->own->deadline_ms;
    return p;
}

/* --- the rule -------------------------------------------------------------------------------------------- */

static bool is_pair(const struct route_sample *a, const struct route_sample *b)
{
    return a->sound && b->sound && a->answer == b->answer;
}

static bool is_above(const struct route_sample *s, int64_t floor)
{
    return s->sound && s->confidence >= floor;
}

/* As many as agree with one of them. */
static size_t agreeing(const struct route_sample *s, size_t n)
{
    size_t most = 0;
    for (size_t i = 0; i < n; i++) {
        size_t with = 0;
        for (size_t k = 0; k < n; k++)
            with += is_pair(&s[i], &s[k]);
        most = with > most ? with : most;
    }
    return most;
}

static bool all_open(const struct route_sample *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!s[i].open)
            return false;
    return true;
}

enum route_next route_rule(const struct route *r, const struct route_sample *s, size_t n, int *more)
{
    size_t agree = agreeing(s, n), third = ROUTE_TRIES + 1, all = ROUTE_TRIES + (size_t)r->again_max;
    assert(n == ROUTE_TRIES || n == third || n == all);
    bool sure = r->floor > 0 && is_above(&s[0], r->floor) && is_above(&s[1], r->floor);
    if (n == ROUTE_TRIES ? sure && agree == n : agree >= (n == third ? third : MOST))
        return ROUTE_ACCEPT;
    if (n == ROUTE_TRIES && all_open(s, n))
        return ROUTE_DRAFT;
    bool third_decides = n == ROUTE_TRIES && agree == n;
    *more = third_decides ? 1 : (int)(all - n);
    return third_decides || (*more > 0 && agree + (size_t)*more >= MOST) ? ROUTE_AGAIN : ROUTE_VOTE;
}
