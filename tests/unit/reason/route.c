/*
 * route.c - one model after another: every branch of the rule against the rule said another way; thinkers that follow it
 * whatever the order in which lines end; steps that together never pass the request's tokens.
 */
#include "drive.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- the rule ------------------------------------------------------------------------------------------------ */

#define FLOOR 13000

/* What one sample may have come to: none, open, or one of two answers, doubted or not, below or above the floor. */
static struct route_sample sample_of(int k)
{
    if (k < 2)
        return (struct route_sample){ .open = k, .answer = SIZE_MAX };
    k -= 2;
    return (struct route_sample){ .sound = k & 1,
                                  .answer = (size_t)(k >> 1 & 1),
                                  .confidence = FLOOR - !(k >> 2 & 1) };
}
#define SAMPLES 10

/* The largest number of sound samples that share an answer. */
static int agreeing(const struct route_sample *s, int n)
{
    int votes[2] = { 0 };
    for (int i = 0; i < n; i++)
        if (s[i].sound)
            votes[s[i].answer]++;
    return votes[0] > votes[1] ? votes[0] : votes[1];
}

/* The rule as a list of cases. *more: what follows ROUTE_AGAIN. */
static enum route_next expected(const struct route *r, const struct route_sample *s, int n, int *more)
{
    int agree = agreeing(s, n);
    if (n == 3 && agree == 3)
        return ROUTE_ACCEPT;
    if (n > 3)
        return agree >= 4 ? ROUTE_ACCEPT : ROUTE_VOTE;
    if (n == 2) {
        bool sure = s[0].confidence >= FLOOR && s[1].confidence >= FLOOR;
        if (r->floor && sure && agree == 2)
            return ROUTE_ACCEPT;
        if (s[0].open && s[1].open)
            return ROUTE_DRAFT;
        *more = agree == 2 ? 1 : r->again_max;
        return *more + agree >= (agree == 2 ? 3 : 4) ? ROUTE_AGAIN : ROUTE_VOTE;
    }
    *more = r->again_max - 1;
    return *more + agree >= 4 ? ROUTE_AGAIN : ROUTE_VOTE;
}

/* All that can come of so many samples; seen: how often what followed. */
static void check_rule(const struct route *r, int n, int seen[4])
{
    int codes = 1;
    for (int i = 0; i < n; i++)
        codes *= SAMPLES;
    for (int code = 0; code < codes; code++) {
        struct route_sample s[ROUTE_SAMPLES];
        int more = 0, want = 0;
        for (int i = 0, rest = code; i < n; i++, rest /= SAMPLES)
            s[i] = sample_of(rest % SAMPLES);
        enum route_next next = route_rule(r, s, (size_t)n, &more);
        assert_int_equal(expected(r, s, n, &want), next);
        if (next == ROUTE_AGAIN)
            assert_int_equal(want, more);
        seen[next]++;
    }
}

static void every_branch_of_the_rule(void **state)
{
    (void)state;
    for (int again = 1; again <= ROUTE_AGAIN_MAX; again++)
        for (int floor = 0; floor < 2; floor++) {
            struct route r = { .again_max = again, .floor = floor ? FLOOR : 0 };
            int two[4] = { 0 }, three[4] = { 0 }, all[4] = { 0 };
            check_rule(&r, 2, two);
            assert_int_equal(floor, two[ROUTE_ACCEPT] > 0); /* two are enough only with a floor */
            assert_true(two[ROUTE_AGAIN] && two[ROUTE_DRAFT]);
            assert_int_equal(again<4, two[ROUTE_VOTE]> 0); /* four can always settle it */
            check_rule(&r, 3, three);
            assert_true(three[ROUTE_ACCEPT] && three[ROUTE_VOTE] && !three[ROUTE_DRAFT]);
            assert_int_equal(again > 2, three[ROUTE_AGAIN] > 0);
            if (again == 1)
                continue;
            check_rule(&r, 2 + again, all);
            assert_true(all[ROUTE_ACCEPT] && all[ROUTE_VOTE] && !all[ROUTE_AGAIN] && !all[ROUTE_DRAFT]);
        }
}

/* --- thinkers ---------------------------------------------------------------------------------------------- */

static struct route route_of(int max, bool carries, int64_t floor)
{
    struct route r = { .again_max = ROUTE_AGAIN_MAX, .floor = floor, .check = TRIAL_ON, .carries = carries };
    for (int i = 0; i < ROUTE_STEPS; i++)
        r.steps[i].plan.lines = (struct plan_lines){ .min = 1, .max = 1, .wave = 1, .agreement = 95 };
    r.steps[STEP_VOTE].plan.lines =
        (struct plan_lines){ .min = 2, .max = max, .wave = max < 4 ? max : 4, .agreement = 95 };
    return r;
}

struct outcome {
    enum stop stop;
    bool voted;
    size_t shown, started;
    int counted, votes;
    char steps[128]; /* of each line, its step's first letter */
    char acts[4096];
};

/* "word": it answers so; "!": it fails; "~": it is cut off in its thought; "_a text": cut off in its answer; "?word": its
 * arithmetic is false; "-word": below the floor. Behind the last, again from the first. */
struct script {
    const char *answers[8];
};

static void end_line(struct thinker *t, const void *script, size_t line)
{
    const struct script *s = script;
    size_t n = 0;
    while (n < ARRAY_LEN(s->answers) && s->answers[n])
        n++;
    const char *a = s->answers[line % n];
    struct line_end end = { .complete = *a != '~' && *a != '_',
                            .thought = *a == '?' ? STR("1 + 1 = 3\n") : STR("1 + 1 = 2\n"),
                            .confidence = { .mean = *a == '-' ? 12.0f : 14.0f } };
    if (*a == '!') {
        thinker_failed(t, line);
        return;
    }
    if (*a != '~')
        end.answer = str_from(*a == '?' || *a == '-' || *a == '_' ? a + 1 : a);
    thinker_ended(t, line, &end);
}

static struct outcome run(const struct route *route, const struct script *s, struct rng *rng)
{
    struct thinker *t = thinker_open_route(route, STR("How many?"));
    const struct reason_trace *trace = thinker_trace(t);
    struct outcome o = { 0 };
    drive(t, rng, end_line, s, o.acts, sizeof o.acts);
    o.stop = trace->stop;
    o.voted = trace->voted;
    o.shown = trace->shown;
    o.started = trace->n_lines;
    o.counted = trace->counted;
    o.votes = trace->n_options ? trace->options[0].votes : 0;
    for (size_t i = 0; i < trace->n_lines; i++)
        o.steps[i] = route_step_names[trace->lines[i].step][0];
    thinker_close(t);
    return o;
}

static void each_way_through(void **state)
{
    (void)state;
    static const struct {
        struct script script;
        int64_t floor;
        const char *steps; /* t try, a again, d draft, v vote */
        enum stop stop;
        size_t shown;
        int counted, votes;
        bool carries;
    } cases[] = {
        { { { "7" } }, 0, "tta", STOP_ACCEPTED, 0, 3, 3, false },
        { { { "7" } }, FLOOR, "tt", STOP_ACCEPTED, 0, 2, 2, false },
        { { { "-7", "7", "7" } }, FLOOR, "tta", STOP_ACCEPTED, 1, 3, 3, false },
        { { { "7", "8", "8" } }, FLOOR, "ttaaaa", STOP_ACCEPTED, 1, 6, 4, false },
        { { { "7", "?7", "7", "7", "7", "8" } }, 0, "ttaaaa", STOP_ACCEPTED, 0, 6, 5, false },
        { { { "-7", "-7", "7" } }, FLOOR, "tta", STOP_ACCEPTED, 2, 3, 3, false },
        { { { "7", "8", "9", "9", "9", "9" } }, 0, "ttaaaa", STOP_ACCEPTED, 2, 6, 4, false },
        { { { "7", "7", "8", "7", "8", "7" } }, 0, "ttaaaa", STOP_ACCEPTED, 0, 6, 4, false },
        { { { "7", "8", "9", "8", "7", "8", "6", "6" } },
          0,
          "ttaaaavvvvvvvvvvvvvvvv",
          STOP_LINES_MAX,
          9,
          16,
          6,
          false },
        { { { "7", "7", "8", "8", "8", "6", "6", "6" } },
          0,
          "ttaaaavvvvvvvvvvvvvvvv",
          STOP_LINES_MAX,
          6,
          16,
          6,
          false },
        { { { "7", "?7", "8", "8", "8", "?8", "5" } },
          0,
          "ttaaaavvvvvvvvvvvvvvvv",
          STOP_LEAD,
          9,
          14,
          8,
          false },
        { { { "!", "7", "7", "7", "7", "7" } }, 0, "ttaaaa", STOP_ACCEPTED, 1, 6, 5, false },
        { { { "~", "~", "7", "7", "7", "7" } }, 0, "ttaaaa", STOP_ACCEPTED, 2, 6, 4, false },
        { { { "~", "!", "7", "7", "7", "8" } }, 0, "ttaaaavvvvvvvvvvvv", STOP_AGREEMENT, 8, 11, 6, false },
        { { { "7", "7", "!", "7", "7", "7", "7" } }, 0, "ttaaaa", STOP_ACCEPTED, 0, 6, 5, false },
        { { { "The cat sat on the mat, and it was a very long day for all of them together." } },
          0,
          "ttd",
          STOP_OPEN_ENDED,
          2,
          1,
          0,
          false },
        { { { "_Once upon a time", "The cat sat on the mat, and it was a very long day for all of them." } },
          FLOOR,
          "ttd",
          STOP_OPEN_ENDED,
          2,
          1,
          0,
          false },
        { { { "!" } }, 0, "tt", STOP_FAILED, SIZE_MAX, 2, 0, false },
        /* drawn from the prompt of the vote, the samples are votes */
        { { { "7", "8", "7", "8", "7", "8", "7", "7" } }, 0, "ttaaaavvvvvvvvvv", STOP_LEAD, 0, 15, 9, true },
        { { { "7", "7", "8", "8", "7", "9", "7", "7" } }, 0, "ttaaaavvvvvvvv", STOP_LEAD, 0, 13, 8, true },
    };
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct route route = route_of(16, cases[i].carries, cases[i].floor);
        struct outcome first = run(&route, &cases[i].script, &rng);
        if (strcmp(cases[i].steps, first.steps) || cases[i].stop != first.stop ||
            cases[i].shown != first.shown || cases[i].counted != first.counted ||
            cases[i].votes != first.votes)
            fail_msg("case %zu: %s %s shown %zu counted %d votes %d", i, first.steps, stop_names[first.stop],
                     first.shown, first.counted, first.votes);
        assert_int_equal(first.votes > 0, first.voted);
        for (int k = 0; k < 20; k++) { /* whoever ends first */
            struct outcome again = run(&route, &cases[i].script, &rng);
            assert_memory_equal(&first.stop, &again.stop, sizeof again.stop);
            assert_int_equal(first.shown, again.shown);
            assert_string_equal(first.steps, again.steps);
        }
    }
}

/* Anything may come of a line: one decision, no more lines than there may be, the same in any order. */
static void any_lines_end_in_one_decision(void **state)
{
    (void)state;
    static const char *const words[] = { "7", "8", "?7",     "-7",
                                         "!", "~", "_it is", "The cat sat. And went. Then came" };
    struct rng rng;
    rng_init(&rng, 2, 0);
    for (int round = 0; round < 3000; round++) {
        struct script s = { { 0 } };
        int n = (int)rng_range(&rng, 1, 8), max = (int)rng_range(&rng, 1, 8);
        for (int i = 0; i < n; i++)
            s.answers[i] = words[rng_range(&rng, 0, (int64_t)ARRAY_LEN(words) - 1)];
        struct route route = route_of(max, round & 1, round & 2 ? FLOOR : 0);
        struct outcome a = run(&route, &s, &rng), b = run(&route, &s, &rng);
        assert_int_equal(a.stop, b.stop);
        assert_int_equal(a.shown, b.shown);
        assert_string_equal(a.steps, b.steps);
        assert_true(a.started <= (size_t)(ROUTE_SAMPLES + max));
        assert_true((a.shown == SIZE_MAX) == (a.stop == STOP_FAILED) || a.stop != STOP_FAILED);
        assert_true(strncmp(a.steps, "tt", 2) == 0 && !strstr(a.steps, "va") && !strstr(a.steps, "dv"));
    }
}

static void a_stop_ends_any_step(void **state)
{
    (void)state;
    struct script s = { { "7", "7", "8" } };
    for (int after = 0; after < 6; after++)
        for (int deadline = 0; deadline < 2; deadline++) {
            struct route route = route_of(8, false, 0);
            struct thinker *t = thinker_open_route(&route, STR(""));
            struct thinker_do act;
            size_t next = 0, started = 0;
            bool decided = false;
            while (thinker_next(t, &act))
                started += act.act == THINK_START;
            for (; next < (size_t)after; next++) {
                end_line(t, &s, next);
                while (thinker_next(t, &act))
                    started += act.act == THINK_START;
            }
            thinker_stop(t, deadline ? STOP_DEADLINE : STOP_CANCELLED);
            while (thinker_next(t, &act))
                decided |= act.act == THINK_DECIDE;
            if (!decided) { /* nobody of this step has ended: the next one that does decides */
                assert_true(deadline && (after == 0 || after == 3 || after == 2));
                end_line(t, &s, next);
                while (thinker_next(t, &act))
                    decided |= act.act == THINK_DECIDE;
            }
            assert_true(decided);
            assert_int_equal(deadline ? STOP_DEADLINE : STOP_CANCELLED, thinker_trace(t)->stop);
            assert_int_equal(deadline, thinker_trace(t)->shown != SIZE_MAX);
            thinker_close(t);
        }
}

/* --- plans --------------------------------------------------------------------------------------------------- */

static const struct tier mini = { .name = "mini", .thinking = THINKING_SHORT, .max_output_tokens = 100000 };
static const struct tier middle = { .name = "middle",
                                    .thinking = THINKING_LONG,
                                    .max_output_tokens = 100000 };
static const struct tier pro = {
    .name = "pro", .thinking = THINKING_BRANCHES, .default_effort = EFFORT_HIGH, .max_output_tokens = 100000
};
static const struct tier own = { .name = "auto", .thinking = THINKING_ROUTE, .max_output_tokens = 100000 };

static struct route_ask ask_of(const struct engine_info *engine, int64_t tokens)
{
    return (struct route_ask){ .own = &own,
                               .models = { &mini, &middle, &pro },
                               .engine = engine,
                               .ask = { .output_tokens_max = tokens },
                               .prompt_tokens = { 10, 12, 14 } };
}

static void steps_stay_below_the_ceiling(void **state)
{
    (void)state;
    static const struct engine_info engine = { .context = 8192, .thinking_tokens = 400, .thinks = true };
    bool fitted = false;
    int again_max = 1;
    for (int64_t total = 1; total < 40000; total += 1 + total / 7) {
        struct route r;
        struct route_ask ask = ask_of(&engine, total);
        bool fits = route_plan(&r, &ask);
        assert_true(fits || !fitted); /* more tokens never fit less */
        fitted = fits;
        if (!fits)
            continue;
        int64_t samples = 2 * r.steps[STEP_TRY].plan.tokens_max;
        const struct plan *vote = &r.steps[STEP_VOTE].plan, *draft = &r.steps[STEP_DRAFT].plan;
        assert_true(samples + draft->tokens_max <= total);
        assert_true(r.again_max >= again_max && r.again_max <= ROUTE_AGAIN_MAX);
        again_max = r.again_max; /* more tokens are never for fewer samples */
        assert_true(samples + again_max * r.steps[STEP_AGAIN].plan.tokens_max + vote->total_tokens_max <=
                    total);
        assert_true(again_max == 1 || !vote->lines.cut);
        assert_true(vote->lines.max * vote->tokens_max <= vote->total_tokens_max);
        assert_int_equal(100, r.steps[STEP_TRY].plan.think_tokens_max);
        assert_int_equal(400, r.steps[STEP_AGAIN].plan.think_tokens_max);
        assert_true(r.steps[STEP_TRY].plan.temperature == 0.8 && r.steps[STEP_AGAIN].plan.temperature == 0.8);
        assert_true(draft->temperature == 0.0 && vote->temperature == 0.8);
        assert_int_equal(EFFORT_HIGH, vote->effort);
        struct plan whole = route_whole(&r, &ask);
        assert_int_equal(total, whole.total_tokens_max);
        assert_int_equal(vote->lines.max + 2 + again_max, whole.lines.max);
    }
    assert_true(fitted);
    assert_int_equal(ROUTE_AGAIN_MAX, again_max);
}

static void some_requests_need_one_model(void **state)
{
    (void)state;
    static const struct tier *const all[] = { &mini, &middle, &pro };
    static const struct tier *const no_pro[] = { &mini, &middle, NULL };
    static const struct tier *const only_mini[] = { &mini, NULL, NULL };
    static const struct tier *const only_pro[] = { NULL, NULL, &pro };
    static const struct tier *const none[] = { NULL, NULL, NULL };
    static const struct {
        const struct tier *const *models;
        enum effort effort;
        bool asked, greedy;
        size_t choices, want;
    } cases[] = {
        { all, EFFORT_MEDIUM, false, false, 1, TIER_ROUTE },
        { all, EFFORT_LOW, true, false, 0, TIER_ROUTE },
        { all, EFFORT_HIGH, true, false, 1, TIER_ROUTE },
        { all, EFFORT_XHIGH, true, false, 1, 2 },
        { all, EFFORT_MAX, true, true, 1, 2 },
        { all, EFFORT_MAX, false, false, 1, TIER_ROUTE },
        { all, EFFORT_NONE, true, false, 1, 0 },
        { all, EFFORT_MINIMAL, true, false, 2, 0 },
        { all, EFFORT_MEDIUM, false, true, 1, 1 },
        { all, EFFORT_MEDIUM, false, false, 3, 1 },
        { no_pro, EFFORT_XHIGH, true, false, 1, 1 },
        { only_mini, EFFORT_MAX, true, false, 1, 0 },
        { only_pro, EFFORT_NONE, true, false, 1, 2 },
        { none, EFFORT_MEDIUM, false, false, 1, SIZE_MAX },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reason_ask ask = { .effort = cases[i].effort, .choices = cases[i].choices };
        ask.temperature.set = cases[i].greedy;
        assert_int_equal(cases[i].want, route_direct(cases[i].models, &ask, cases[i].asked));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_branch_of_the_rule),      cmocka_unit_test(each_way_through),
    cmocka_unit_test(any_lines_end_in_one_decision), cmocka_unit_test(a_stop_ends_any_step),
    cmocka_unit_test(steps_stay_below_the_ceiling),  cmocka_unit_test(some_requests_need_one_model),
};
TEST_GROUP(reason_route, tests)
