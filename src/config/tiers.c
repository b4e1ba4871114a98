/*
 * tiers.c - the models of the API: the built-in rows, and the rows of a file's `models:` list.
 *
 * A tier is data. What an effort may use comes from one row of `budgets`, chosen by how the tier thinks, and from the
 * lists that its entry gives in place of it. Prices are kept as whole nano-dollars a token, because 1 $/M tokens is exactly 1000 of
 * them and sums of money must not drift; a price with more than three decimals has no exact form and
 * is refused. `auto` has no budgets and no price: it asks other rows, which it names, and costs what those cost.
 */
#include "config/config_impl.h"

#include "base/clock.h"

#include <assert.h>
#include <string.h>

const char *const effort_names[EFFORT_COUNT + 1] = { "none", "minimal", "low", "medium",
                                                     "high", "xhigh",   "max", NULL };
static const char *const thinking_names[] = { "short", "long", "branches", "route", NULL };
static const char *const vote_names[] = { "majority", "confidence", NULL };
static const char *const trial_names[] = { "shadow", "off", "on", NULL };

#define CONTEXT_WINDOW 200000
#define OUTPUT_TOKENS  100000
#define TOKENS_MAX     10000000

static const char *const o3_mini_aliases[] = { "o3-mini-2025-01-31", "o4-mini", "thinkd-mini", NULL };
static const char *const o3_aliases[] = { "o3-2025-04-16", "thinkd", NULL };
static const char *const o3_pro_aliases[] = { "o3-pro-2025-06-10", "thinkd-pro", NULL };
static const char *const auto_aliases[] = { "thinkd-auto", NULL };
static const char *const no_aliases[] = { NULL };
static const char *const route_names[TIER_ROUTE] = { "o3-mini", "o3",
                                                     "o3-pro" }; /* unless an entry says others */

static const struct tier builtin[] = {
    { .name = "o3-mini",
      .aliases = o3_mini_aliases,
      .endpoints = ENDPOINT_RESPONSES | ENDPOINT_CHAT,
      .default_effort = EFFORT_MEDIUM,
      .thinking = THINKING_SHORT,
      .price_in = 550,
      .price_out = 2200,
      .context_window = CONTEXT_WINDOW,
      .max_output_tokens = OUTPUT_TOKENS,
      .created = 1738281600 },
    { .name = "o3",
      .aliases = o3_aliases,
      .endpoints = ENDPOINT_RESPONSES | ENDPOINT_CHAT,
      .default_effort = EFFORT_MEDIUM,
      .thinking = THINKING_LONG,
      .price_in = 2000,
      .price_out = 8000,
      .context_window = CONTEXT_WINDOW,
      .max_output_tokens = OUTPUT_TOKENS,
      .created = 1744761600 },
    { .name = "o3-pro",
      .aliases = o3_pro_aliases,
      .endpoints = ENDPOINT_RESPONSES,
      .default_effort = EFFORT_HIGH,
      .thinking = THINKING_BRANCHES,
      .price_in = 20000,
      .price_out = 80000,
      .context_window = CONTEXT_WINDOW,
      .max_output_tokens = OUTPUT_TOKENS,
      .check = TRIAL_ON, /* two models were measured: docs/reasoning.md */
      .created = 1749513600 },
    { .name = "auto",
      .aliases = auto_aliases,
      .endpoints = ENDPOINT_RESPONSES | ENDPOINT_CHAT,
      .default_effort = EFFORT_MEDIUM,
      .thinking = THINKING_ROUTE,
      .context_window = CONTEXT_WINDOW,
      .max_output_tokens = OUTPUT_TOKENS,
      .check = TRIAL_ON, /* what it costs to distrust a sample is one more */
      .created = 1764201600 },
};

/* clang-format off */
static const struct effort_budget budgets[][EFFORT_COUNT] = {
    /*                     T/8  lines    wave  %  again */
    [THINKING_SHORT] = { {  0,  1,  1,  1, 95, 0 },   /* none */
                         {  1,  1,  1,  1, 95, 0 },   /* minimal */
                         {  2,  1,  1,  1, 95, 0 },   /* low */
                         {  4,  1,  1,  1, 95, 0 },   /* medium */
                         {  8,  1,  1,  1, 95, 0 },   /* high */
                         { 16,  1,  1,  1, 95, 0 },   /* xhigh */
                         { 32,  1,  1,  1, 95, 0 } }, /* max */
    [THINKING_LONG] = {  {  0,  1,  1,  1, 95, 0 },
                         {  1,  1,  1,  1, 95, 0 },
                         {  4,  1,  1,  1, 95, 0 },
                         {  8,  1,  1,  1, 95, 0 },
                         { 16,  1,  1,  1, 95, 1 },
                         { 24,  1,  1,  1, 95, 1 },
                         { 32,  1,  1,  1, 95, 1 } },
    [THINKING_BRANCHES] = { {  0,  1,  1, 1, 95, 0 },
                            {  1,  1,  1, 1, 95, 0 },
                            {  8,  2,  4, 4, 90, 0 },
                            {  8,  3,  8, 4, 95, 0 },
                            { 16,  4, 16, 4, 95, 0 },
                            { 16,  8, 32, 8, 99, 0 },
                            { 32, 16, 64, 8, 99, 0 } },
};
/* clang-format on */

static int pick(const struct tier_list *own, enum effort effort, int otherwise)
{
    return own->set ? own->values[effort] : otherwise;
}

struct effort_budget tier_budget(const struct tier *t, enum effort effort)
{
    assert(t->thinking != THINKING_ROUTE); /* those that it asks have budgets */
    const struct effort_budget *row = &budgets[t->thinking][effort];
    struct effort_budget b = {
        .think_eighths = pick(&t->think_eighths, effort, row->think_eighths),
        .branches_min = pick(&t->branches_min, effort, row->branches_min),
        .branches_max = pick(&t->branches_max, effort, row->branches_max),
        .wave = pick(&t->wave, effort, row->wave),
        .agreement = pick(&t->agreement, effort, row->agreement),
        .continues = pick(&t->continues, effort, row->continues),
    };
    if (b.branches_min > b.branches_max) /* the ceiling is what an entry is meant to lower */
        b.branches_min = b.branches_max;
    if (b.wave > b.branches_max)
        b.wave = b.branches_max;
    return b;
}

bool effort_from(struct str name, enum effort *out)
{
    for (int i = 0; i < EFFORT_COUNT; i++)
        if (str_is(name, effort_names[i])) {
            *out = (enum effort)i;
            return true;
        }
    return false;
}

void tiers_builtin(struct config *c)
{
    c->tiers = arena_array(&c->arena, CONFIG_TIERS_MAX, sizeof *c->tiers);
    memcpy(c->tiers, builtin, sizeof builtin);
    c->n_tiers = ARRAY_LEN(builtin);
}

static bool answers_to(const struct tier *t, struct str name)
{
    if (str_is(name, t->name))
        return true;
    for (size_t i = 0; t->aliases[i]; i++)
        if (str_is(name, t->aliases[i]))
            return true;
    return false;
}

static const struct tier *find(const struct config *c, struct str name)
{
    for (size_t i = 0; i < c->n_tiers; i++)
        if (answers_to(&c->tiers[i], name))
            return &c->tiers[i];
    return NULL;
}

const struct tier *config_tier(const struct config *c, struct str name)
{
    const struct tier *t = find(c, name);
    if (!t && str_starts(name, STR("openai/")))
        t = find(c, str_slice(name, strlen("openai/"), name.len));
    return t;
}

const struct tier *config_route(const struct config *c, const struct tier *t, size_t i)
{
    assert(t->thinking == THINKING_ROUTE && i < TIER_ROUTE);
    return config_tier(c, str_from(t->route[i] ? t->route[i] : route_names[i]));
}

static bool is_model_name(struct str name)
{
    if (name.len == 0 || name.len > 64)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] <= ' ' || name.ptr[i] > '~' || name.ptr[i] == ',')
            return false;
    return true;
}

enum err_code tier_begin(struct config *c, struct str name, struct tier *out, const char *where,
                         struct err *err)
{
    if (!is_model_name(name))
        return err_set(err, ERR_CONFIG, "models",
                       "%s: a name is 1 to 64 printable ASCII characters without blanks and commas.", where);
    for (size_t i = 0; i < c->n_tiers; i++)
        if (str_is(name, c->tiers[i].name)) {
            *out = c->tiers[i];
            return ERR_OK;
        }
    *out = (struct tier){ .name = arena_str(&c->arena, name).ptr,
                          .aliases = no_aliases,
                          .endpoints = ENDPOINT_RESPONSES | ENDPOINT_CHAT,
                          .default_effort = EFFORT_MEDIUM,
                          .thinking = THINKING_LONG,
                          .context_window = CONTEXT_WINDOW,
                          .max_output_tokens = OUTPUT_TOKENS,
                          .created = clock_wall_s() };
    return ERR_OK;
}

/* --- the keys of an entry ------------------------------------------------------------------------------ */

struct entry {
    struct config *c;
    struct tier *tier;
    const struct str *values;
    size_t n;
};

/* The setters give NULL, or what they expected. */
static const char *set_aliases(struct entry *e)
{
    const char **names = arena_array(&e->c->arena, e->n + 1, sizeof *names);
    for (size_t i = 0; i < e->n; i++) {
        if (!is_model_name(e->values[i]))
            return "names of 1 to 64 printable ASCII characters without blanks and commas";
        names[i] = arena_str(&e->c->arena, e->values[i]).ptr;
    }
    e->tier->aliases = names;
    return NULL;
}

static const char *set_endpoints(struct entry *e)
{
    unsigned endpoints = 0;
    for (size_t i = 0; i < e->n; i++) {
        if (str_is(e->values[i], "responses"))
            endpoints |= ENDPOINT_RESPONSES;
        else if (str_is(e->values[i], "chat"))
            endpoints |= ENDPOINT_CHAT;
        else
            return "a list out of responses and chat";
    }
    e->tier->endpoints = endpoints;
    return endpoints ? NULL : "a list out of responses and chat";
}

static const char *set_effort(struct entry *e)
{
    return effort_from(e->values[0], &e->tier->default_effort)
               ? NULL
               : "none, minimal, low, medium, high, xhigh or max";
}

static const char *set_thinking(struct entry *e)
{
    for (int i = 0; thinking_names[i]; i++)
        if (str_is(e->values[0], thinking_names[i])) {
            e->tier->thinking = (enum thinking)i;
            return NULL;
        }
    return "short, long, branches or route";
}

static const char *set_route(struct entry *e)
{
    for (size_t i = 0; i < e->n && i < TIER_ROUTE; i++)
        e->tier->route[i] = arena_str(&e->c->arena, e->values[i]).ptr;
    return e->n == TIER_ROUTE ? NULL
                              : "three models: the one that tries, the one that is asked next, the last";
}

/* At most three decimals, as thousandths: "2" dollars for a million tokens are 2000 nano-dollars a token. */
static bool thousandths_from(struct str v, int64_t *out)
{
    int64_t nano = 0;
    int decimals = -1; /* -1: before the point */
    for (size_t i = 0; i < v.len; i++) {
        if (v.ptr[i] == '.' && decimals < 0 && i > 0) {
            decimals = 0;
            continue;
        }
        if (v.ptr[i] < '0' || v.ptr[i] > '9' || nano > 1000000000 || decimals == 3)
            return false;
        nano = nano * 10 + (v.ptr[i] - '0');
        decimals += decimals >= 0;
    }
    if (v.len == 0 || decimals == 0)
        return false;
    for (int i = decimals < 0 ? 0 : decimals; i < 3; i++)
        nano *= 10;
    *out = nano;
    return nano <= 1000000000; /* of prices: a million dollars for a million tokens */
}

static const char price_expected[] = "dollars for a million tokens, 0 to 1000000 with at most three decimals";

static const char *set_price_in(struct entry *e)
{
    return thousandths_from(e->values[0], &e->tier->price_in) ? NULL : price_expected;
}

static const char *set_price_out(struct entry *e)
{
    return thousandths_from(e->values[0], &e->tier->price_out) ? NULL : price_expected;
}

static const char *set_confidence_floor(struct entry *e)
{
    return thousandths_from(e->values[0], &e->tier->confidence_floor)
               ? NULL
               : "a number from 0 to 1000000 with at most three decimals";
}

static const char *set_tokens(struct str v, int64_t *out)
{
    return str_to_i64(v, out) && *out >= 1 && *out <= TOKENS_MAX ? NULL : "a whole number from 1 to 10000000";
}

static const char *set_context_window(struct entry *e)
{
    return set_tokens(e->values[0], &e->tier->context_window);
}

static const char *set_max_output_tokens(struct entry *e)
{
    return set_tokens(e->values[0], &e->tier->max_output_tokens);
}

static const char *set_count(struct str v, int64_t *out, const char *expected)
{
    return str_to_i64(v, out) && *out >= 0 && *out <= TOKENS_MAX ? NULL : expected;
}

static const char *set_thinking_tokens(struct entry *e)
{
    return set_count(e->values[0], &e->tier->thinking_tokens, "a whole number from 0 to 10000000");
}

static const char *set_deadline_ms(struct entry *e)
{
    return set_count(e->values[0], &e->tier->deadline_ms, "milliseconds, from 0 to 10000000");
}

/* One value for each effort, from none to max. */
static const char *set_list(struct entry *e, struct tier_list *list, int min, int max, const char *expected)
{
    for (size_t i = 0; i < e->n; i++) {
        int64_t v;
        if (e->n != EFFORT_COUNT || !str_to_i64(e->values[i], &v) || v < min || v > max)
            return expected;
        list->values[i] = (int)v;
    }
    list->set = e->n == EFFORT_COUNT;
    return list->set ? NULL : expected;
}

static const char *set_think_eighths(struct entry *e)
{
    return set_list(e, &e->tier->think_eighths, 0, 1024,
                    "seven whole numbers from 0 to 1024, one for each effort");
}

static const char lines_expected[] = "seven whole numbers from 1 to 64, one for each effort";

static const char *set_branches_min(struct entry *e)
{
    return set_list(e, &e->tier->branches_min, 1, TIER_BRANCHES_MAX, lines_expected);
}

static const char *set_branches_max(struct entry *e)
{
    return set_list(e, &e->tier->branches_max, 1, TIER_BRANCHES_MAX, lines_expected);
}

static const char *set_wave(struct entry *e)
{
    return set_list(e, &e->tier->wave, 1, TIER_BRANCHES_MAX, lines_expected);
}

static const char *set_agreement(struct entry *e)
{
    return set_list(e, &e->tier->agreement, 50, 99, "seven whole numbers from 50 to 99, one for each effort");
}

static const char *set_continues(struct entry *e)
{
    return set_list(e, &e->tier->continues, 0, 8, "seven whole numbers from 0 to 8, one for each effort");
}

static bool set_name(struct str v, const char *const *names, int *out)
{
    for (int i = 0; names[i]; i++)
        if (str_is(v, names[i])) {
            *out = i;
            return true;
        }
    return false;
}

static const char *set_vote(struct entry *e)
{
    int v;
    if (!set_name(e->values[0], vote_names, &v))
        return "majority or confidence";
    e->tier->vote = (enum vote)v;
    return NULL;
}

static const char *set_trial(struct str value, enum trial *out)
{
    int v;
    if (!set_name(value, trial_names, &v))
        return "shadow, off or on";
    *out = (enum trial)v;
    return NULL;
}

static const char *set_check(struct entry *e)
{
    return set_trial(e->values[0], &e->tier->check);
}

static const char *set_prune(struct entry *e)
{
    return set_trial(e->values[0], &e->tier->prune);
}

static const struct tier_key {
    const char *name;
    bool list;
    const char *(*set)(struct entry *e);
} tier_keys[] = {
    { "aliases", true, set_aliases },
    { "endpoints", true, set_endpoints },
    { "default_effort", false, set_effort },
    { "thinking", false, set_thinking },
    { "route", true, set_route },
    { "confidence_floor", false, set_confidence_floor },
    { "price_in", false, set_price_in },
    { "price_out", false, set_price_out },
    { "context_window", false, set_context_window },
    { "max_output_tokens", false, set_max_output_tokens },
    { "thinking_tokens", false, set_thinking_tokens },
    { "think_eighths", true, set_think_eighths },
    { "branches_min", true, set_branches_min },
    { "branches_max", true, set_branches_max },
    { "wave", true, set_wave },
    { "agreement", true, set_agreement },
    { "continues", true, set_continues },
    { "deadline_ms", false, set_deadline_ms },
    { "vote", false, set_vote },
    { "check", false, set_check },
    { "prune", false, set_prune },
};

static enum err_code unknown_key(struct str key, const char *where, struct err *err)
{
    const char *meant = NULL;
    size_t least = 4;
    struct str cut = str_slice(key, 0, 64);
    for (size_t i = 0; i < ARRAY_LEN(tier_keys) && key.len <= 64; i++) {
        size_t edits = str_distance(key, str_from(tier_keys[i].name));
        if (edits < least && edits * 2 < key.len) {
            least = edits;
            meant = tier_keys[i].name;
        }
    }
    if (!meant)
        return err_set(err, ERR_CONFIG, "models", "%s: unknown key '%.*s' of a model.", where, STR_ARG(cut));
    return err_set(err, ERR_CONFIG, "models", "%s: unknown key '%.*s' of a model; did you mean '%s'?", where,
                   STR_ARG(cut), meant);
}

enum err_code tier_set(struct config *c, struct tier *t, struct str key, const struct str *values, size_t n,
                       bool list, const char *where, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(tier_keys); i++) {
        const struct tier_key *k = &tier_keys[i];
        if (!str_is(key, k->name))
            continue;
        if (list && !k->list)
            return err_set(err, ERR_CONFIG, "models", "%s: %s: expected one value, not a list.", where,
                           k->name);
        struct entry e = { c, t, values, n };
        const char *expected = k->set(&e);
        if (expected)
            return err_set(err, ERR_CONFIG, "models", "%s: %s: expected %s.", where, k->name, expected);
        return ERR_OK;
    }
    return unknown_key(key, where, err);
}

/* --- the whole list ------------------------------------------------------------------------------------ */

static enum err_code check_name(const struct config *c, const struct tier *t, const char *name,
                                const char *where, struct err *err)
{
    const struct tier *other = find(c, str_from(name));
    if (!other || strcmp(other->name, t->name) == 0)
        return ERR_OK;
    return err_set(err, ERR_CONFIG, "models", "%s: '%s' already names the model '%s'.", where, name,
                   other->name);
}

enum err_code tier_end(struct config *c, const struct tier *t, const char *where, struct err *err)
{
    enum err_code code = check_name(c, t, t->name, where, err);
    for (size_t i = 0; !code && t->aliases[i]; i++)
        code = check_name(c, t, t->aliases[i], where, err);
    if (code)
        return code;
    for (size_t i = 0; i < c->n_tiers; i++)
        if (strcmp(c->tiers[i].name, t->name) == 0) {
            c->tiers[i] = *t;
            return ERR_OK;
        }
    if (c->n_tiers == CONFIG_TIERS_MAX)
        return err_set(err, ERR_CONFIG, "models", "%s: more than %d models.", where, CONFIG_TIERS_MAX);
    c->tiers[c->n_tiers++] = *t;
    return ERR_OK;
}

/* Once all entries are known: whom a route asks is there, and asks nobody else. */
enum err_code tiers_check(const struct config *c, struct err *err)
{
    for (size_t i = 0; i < c->n_tiers; i++)
        for (size_t k = 0; c->tiers[i].thinking == THINKING_ROUTE && k < TIER_ROUTE; k++) {
            const struct tier *asked = config_route(c, &c->tiers[i], k);
            if (!asked || asked->thinking == THINKING_ROUTE)
                return err_set(err, ERR_CONFIG, "models", "models: the route of '%s' names '%.64s', %s.",
                               c->tiers[i].name, c->tiers[i].route[k] ? c->tiers[i].route[k] : route_names[k],
                               asked ? "which has a route itself" : "which is no model");
        }
    return ERR_OK;
}
