/*
 * plan.c - a tier, an effort and a ceiling become budgets.
 *
 * The tier says how much of T, the model's nominal thought, each effort may use, and how many lines of thought
 * (config's tier_budget). The request's ceiling is one for all lines together: lines go first, then what each may think.
 *
 * Whatever is asked, thinking leaves the answer its reserve: min(256, a quarter) of all the tokens there
 * may be, which are bounded by the request, the tier and the rest of the context, in that order of notice. Of many
 * lines each has that reserve, since none knows whether its answer is the one that is shown.
 *
 * Sampling that the request leaves open is the tier's choice: one line of thought is the model's best guess,
 * so it is greedy. Where several answers are asked for, or many lines vote, they would all be the same one, so they are
 * drawn: temperature 0.8, top-p 0.95, min-p 0.02. A request that rules out any difference has one line.
 */
#include "reason/reason_impl.h"

#include <assert.h>

#define PRUNE_WAVE 8 /* lines that have to end before others can be measured by them */

/* A line that begins "check:" is how the bundled model's traces do it; the others are how thoughts of larger ones go back over
 * their steps. A word too many leaves a thought alone that had not looked, which costs nothing but that look. */
const char *const plan_checking_words[] = { "check", "verify", "wait", NULL };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* 0 and less mean no bound. */
static int64_t bounded(int64_t n, int64_t bound)
{
    return bound > 0 && bound < n ? bound : n;
}

bool reason_is_greedy(const struct reason_ask *ask)
{
    return (ask->temperature.set && ask->temperature.value <= 0) || (ask->top_p.set && ask->top_p.value <= 0);
}

static void set_sampling(struct plan *p, const struct reason_ask *ask)
{
    /* A request that sets either gets what the API means by it: the other at its default of 1, and nothing of
     * ours mixed in. */
    if (ask->temperature.set || ask->top_p.set) {
        p->temperature = ask->temperature.set ? ask->temperature.value : 1.0;
        p->top_p = ask->top_p.set ? ask->top_p.value : 1.0;
        return;
    }
    bool several = ask->choices > 1 || p->lines.max > 1;
    p->temperature = several ? 0.8 : 0.0;
    p->top_p = several ? 0.95 : 1.0;
    p->min_p = several ? 0.02 : 0.0;
}

/* As many lines as the total has room for, each with its whole thought and an answer's reserve. */
static void set_lines(struct plan *p, const struct tier *tier, const struct effort_budget *b, int64_t nominal)
{
    int64_t room = p->total_tokens_max / (p->think_tokens_max + CLOSING_TOKENS + p->answer_tokens_min);
    struct plan_lines *l = &p->lines;
    *l = (struct plan_lines){ .min = b->branches_min,
                              .max = b->branches_max,
                              .agreement = b->agreement,
                              .deadline_ms = tier->deadline_ms,
                              .vote = tier->vote,
                              .check = tier->check,
                              .prune = b->wave >= PRUNE_WAVE ? tier->prune : TRIAL_OFF,
                              .prune_after = nominal / 4 };
    if (room < l->max) {
        l->max = room > 1 ? (int)room : 1;
        l->cut = true;
    }
    l->min = l->min < l->max ? l->min : l->max;
    l->wave = b->wave < l->max ? b->wave : l->max;
}

struct plan reason_plan(const struct tier *tier, const struct engine_info *engine,
                        const struct reason_ask *ask, int64_t prompt_tokens)
{
    assert(ask->effort < EFFORT_COUNT);
    struct effort_budget b = tier_budget(tier, ask->effort);
    struct plan p = { .effort = ask->effort, .think = engine->thinks && ask->effort != EFFORT_NONE };
    int64_t rest = bounded(engine->context, tier->context_window) - prompt_tokens;
    if (rest < 0)
        rest = 0;
    if (ask->choices > 1 || reason_is_greedy(ask))
        b.branches_min = b.branches_max = b.wave = 1;
    /* One line cannot have more than the context holds; many may, together. */
    int64_t most = rest > INT64_MAX / TIER_BRANCHES_MAX ? INT64_MAX : rest * b.branches_max;
    p.total_tokens_max = bounded(bounded(most, tier->max_output_tokens), ask->output_tokens_max);
    p.tokens_max = least(rest, p.total_tokens_max);
    p.answer_tokens_min = least(ANSWER_TOKENS_RESERVED, p.tokens_max / 4);

    int64_t nominal =
        bounded(tier->thinking_tokens ? tier->thinking_tokens : engine->thinking_tokens, engine->context / 4);
    int64_t cap = nominal * b.think_eighths / 8;
    if (b.think_eighths > 0 && cap < 1)
        cap = 1;
    p.think_tokens_max = p.think ? least(cap, p.tokens_max - p.answer_tokens_min) : 0;
    p.continues = p.think ? b.continues : 0;
    set_lines(&p, tier, &b, nominal);
    if (p.lines.max > 1)
        p.tokens_max = least(rest, p.total_tokens_max / p.lines.max);
    else
        p.total_tokens_max = p.tokens_max;
    set_sampling(&p, ask);
    return p;
}
