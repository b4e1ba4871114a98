/*
 * plan.c - a tier, an effort and a ceiling become budgets.
 *
 * The table says how much of T, the model's nominal thought, each effort may use, in eighths: one row per
 * way of thinking. A tier that thinks in branches uses the long row: its branches would each have that cap.
 *
 * Whatever is asked, thinking leaves the answer its reserve: min(256, a quarter) of all the tokens there
 * may be, which are bounded by the request, the tier and the rest of the context, in that order of notice.
 *
 * Sampling that the request leaves open is the tier's choice: one line of thought is the model's best guess,
 * so it is greedy. Where several answers are asked for they would all be the same one, so they are drawn
 * as branches are: temperature 0.8, top-p 0.95, min-p 0.02.
 */
#include "reason/reason.h"

#include <assert.h>

#define ANSWER_TOKENS_RESERVED 256

static const int64_t eighths[][EFFORT_COUNT] = {
    /*                   none, minimal, low, medium, high, xhigh, max */
    [THINKING_SHORT] = { 0, 1, 2, 4, 8, 16, 32 },
    [THINKING_LONG] = { 0, 1, 4, 8, 16, 24, 32 },
    [THINKING_BRANCHES] = { 0, 1, 4, 8, 16, 24, 32 },
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* 0 and less mean no bound. */
static int64_t bounded(int64_t n, int64_t bound)
{
    return bound > 0 && bound < n ? bound : n;
}

struct plan reason_plan(const struct tier *tier, const struct engine_info *engine,
                        const struct reason_ask *ask, int64_t prompt_tokens)
{
    assert(ask->effort < EFFORT_COUNT);
    struct plan p = { .effort = ask->effort, .think = engine->thinks && ask->effort != EFFORT_NONE };
    int64_t rest = bounded(engine->context, tier->context_window) - prompt_tokens;
    p.tokens_max = bounded(bounded(rest, tier->max_output_tokens), ask->output_tokens_max);
    if (p.tokens_max < 0)
        p.tokens_max = 0;
    p.answer_tokens_min = least(ANSWER_TOKENS_RESERVED, p.tokens_max / 4);

    int64_t share = eighths[tier->thinking][ask->effort];
    int64_t cap = engine->thinking_tokens * share / 8;
    if (share > 0 && cap < 1)
        cap = 1;
    p.think_tokens_max = p.think ? least(cap, p.tokens_max - p.answer_tokens_min) : 0;

    /* A request that sets either gets what the API means by it: the other at its default of 1, and nothing of
     * ours mixed in. */
    if (ask->temperature.set || ask->top_p.set) {
        p.temperature = ask->temperature.set ? ask->temperature.value : 1.0;
        p.top_p = ask->top_p.set ? ask->top_p.value : 1.0;
        return p;
    }
    bool several = ask->choices > 1;
    p.temperature = several ? 0.8 : 0.0;
    p.top_p = several ? 0.95 : 1.0;
    p.min_p = several ? 0.02 : 0.0;
    return p;
}
