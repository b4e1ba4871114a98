/*
 * plan.c - budgets: the table row by row, and what holds for every combination.
 */
#include "reason/reason.h"
#include "test.h"

static const struct engine_info model = { .context = 100000, .thinking_tokens = 400, .thinks = true };

static struct tier tier_of(enum thinking thinking)
{
    return (struct tier){ .thinking = thinking, .context_window = 200000, .max_output_tokens = 100000 };
}

static void table_is_the_design(void **state)
{
    (void)state;
    static const int64_t caps[][EFFORT_COUNT] = {
        /* none, T/8 minimal, low, medium, high, xhigh, 4T max; T = 400 */
        [THINKING_SHORT] = { 0, 50, 100, 200, 400, 800, 1600 },
        [THINKING_LONG] = { 0, 50, 200, 400, 800, 1200, 1600 },
        [THINKING_BRANCHES] = { 0, 50, 400, 400, 800, 800, 1600 },
    };
    static const struct {
        int min, max, wave, agreement;
    } lines[EFFORT_COUNT] = {
        { 1, 1, 1, 95 },  { 1, 1, 1, 95 },  { 2, 4, 4, 90 },  { 3, 8, 4, 95 },
        { 4, 16, 4, 95 }, { 8, 32, 8, 99 }, { 16, 53, 8, 99 } /* what 100,000 tokens leave of 64 */
    };
    for (int row = THINKING_SHORT; row <= THINKING_BRANCHES; row++)
        for (int effort = 0; effort < EFFORT_COUNT; effort++) {
            struct tier tier = tier_of((enum thinking)row);
            struct plan p =
                reason_plan(&tier, &model, &(struct reason_ask){ .effort = (enum effort)effort }, 10);
            assert_int_equal(p.think_tokens_max, caps[row][effort]);
            assert_int_equal(p.think, effort != EFFORT_NONE);
            assert_int_equal(p.effort, effort);
            int max = row == THINKING_BRANCHES ? lines[effort].max : 1;
            assert_int_equal(p.lines.max, max);
            assert_int_equal(p.tokens_max, max == 1 ? 100000 - 10 : 100000 / max);
            assert_int_equal(p.lines.cut, max == 53);
            if (max > 1) {
                assert_int_equal(p.lines.min, lines[effort].min);
                assert_int_equal(p.lines.wave, lines[effort].wave);
                assert_int_equal(p.lines.agreement, lines[effort].agreement);
                assert_int_equal(p.lines.prune, effort >= EFFORT_XHIGH ? TRIAL_SHADOW : TRIAL_OFF);
                assert_int_equal(p.lines.prune_after, 100); /* T/4 */
            }
            assert_int_equal(p.continues, row == THINKING_LONG && effort >= EFFORT_HIGH);
            assert_int_equal(p.answer_tokens_min, 256);
        }
}

static void every_bound_binds(void **state)
{
    (void)state;
    static const struct {
        int64_t context, window, tier_max, asked, prompt, tokens_max;
    } cases[] = {
        { 100000, 200000, 100000, 0, 40, 99960 },
        { 100000, 200000, 5000, 0, 40, 5000 },
        { 100000, 2000, 100000, 0, 40, 1960 },
        { 2048, 200000, 100000, 0, 2000, 48 },
        { 2048, 200000, 100000, 16, 40, 16 },
        { 2048, 200000, 100000, 99999, 48, 2000 },
        { 2048, 0, 0, 0, 48, 2000 },
        { 2048, 2048, 100, 100, 2048, 0 },
        { 4096, 2048, 100, 100, 3000, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct engine_info info = model;
        struct tier tier = tier_of(THINKING_LONG);
        info.context = cases[i].context;
        tier.context_window = cases[i].window;
        tier.max_output_tokens = cases[i].tier_max;
        struct reason_ask ask = { .effort = EFFORT_MEDIUM, .output_tokens_max = cases[i].asked };
        assert_int_equal(reason_plan(&tier, &info, &ask, cases[i].prompt).tokens_max, cases[i].tokens_max);
    }
}

static void thinking_never_takes_the_reserve(void **state)
{
    (void)state;
    struct tier tier = tier_of(THINKING_LONG);
    for (int64_t total = 1; total < 3000; total += 7)
        for (int effort = 0; effort < EFFORT_COUNT; effort++) {
            struct reason_ask ask = { .effort = (enum effort)effort, .output_tokens_max = total };
            struct plan p = reason_plan(&tier, &model, &ask, 100);
            assert_int_equal(p.tokens_max, total);
            assert_int_equal(p.answer_tokens_min, total / 4 < 256 ? total / 4 : 256);
            assert_true(p.think_tokens_max + p.answer_tokens_min <= p.tokens_max);
            assert_true(p.think_tokens_max >= 0);
        }
}

/* However little there is: all lines together stay below it, each with its answer's reserve; lines go before thought. */
static void the_total_binds_all_lines(void **state)
{
    (void)state;
    struct tier tier = tier_of(THINKING_BRANCHES);
    int before = 0;
    for (int64_t total = 1; total < 60000; total += 37) {
        struct reason_ask ask = { .effort = EFFORT_HIGH, .output_tokens_max = total };
        struct plan p = reason_plan(&tier, &model, &ask, 100);
        assert_true(p.lines.max >= 1 && p.lines.max <= 16 && p.lines.max >= before);
        assert_true(p.lines.wave <= p.lines.max && p.lines.min <= p.lines.max);
        assert_true(p.lines.max * p.tokens_max <= total);
        assert_int_equal(p.total_tokens_max, total);
        assert_true(p.think_tokens_max + p.answer_tokens_min <= p.tokens_max);
        if (p.lines.max > 1)
            assert_int_equal(p.think_tokens_max, 800);
        assert_int_equal(p.lines.cut, p.lines.max < 16);
        before = p.lines.max;
    }
    assert_int_equal(16, before);
}

static void what_rules_out_a_difference_has_one_line(void **state)
{
    (void)state;
    struct tier tier = tier_of(THINKING_BRANCHES);
    static const struct {
        struct reason_ask ask;
        int max;
        double temperature, top_p;
    } cases[] = {
        { { .effort = EFFORT_HIGH }, 16, 0.8, 0.95 },
        { { .effort = EFFORT_HIGH, .temperature = { true, 0 } }, 1, 0, 1 },
        { { .effort = EFFORT_HIGH, .top_p = { true, 0 } }, 1, 1, 0 },
        { { .effort = EFFORT_HIGH, .temperature = { true, 0.3 } }, 16, 0.3, 1 },
        { { .effort = EFFORT_HIGH, .top_p = { true, 0.5 } }, 16, 1, 0.5 },
        { { .effort = EFFORT_HIGH, .choices = 2 }, 1, 0.8, 0.95 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct plan p = reason_plan(&tier, &model, &cases[i].ask, 10);
        assert_int_equal(cases[i].max, p.lines.max);
        assert_true(cases[i].temperature == p.temperature && cases[i].top_p == p.top_p);
    }
}

static void an_entry_has_its_own_budgets(void **state)
{
    (void)state;
    struct tier tier = tier_of(THINKING_BRANCHES);
    tier.branches_max = (struct tier_list){ true, { 1, 1, 3, 3, 3, 3, 3 } };
    tier.think_eighths = (struct tier_list){ true, { 0, 2, 2, 2, 4, 4, 4 } };
    tier.agreement = (struct tier_list){ true, { 80, 80, 80, 80, 80, 80, 80 } };
    tier.thinking_tokens = 80;
    struct plan p = reason_plan(&tier, &model, &(struct reason_ask){ .effort = EFFORT_HIGH }, 10);
    assert_int_equal(3, p.lines.max);
    assert_int_equal(3, p.lines.min);
    assert_int_equal(3, p.lines.wave);
    assert_int_equal(80, p.lines.agreement);
    assert_int_equal(40, p.think_tokens_max);
    tier.thinking_tokens = 1000000; /* no thought is longer than a quarter of the context */
    assert_int_equal(
        12500,
        reason_plan(&tier, &model, &(struct reason_ask){ .effort = EFFORT_HIGH }, 10).think_tokens_max);
}

static void a_model_without_thoughts_has_no_budget(void **state)
{
    (void)state;
    struct engine_info plain = model;
    struct tier tier = tier_of(THINKING_LONG);
    plain.thinks = false;
    struct plan p = reason_plan(&tier, &plain, &(struct reason_ask){ .effort = EFFORT_HIGH }, 10);
    assert_false(p.think);
    assert_int_equal(p.think_tokens_max, 0);
}

static void sampling_is_the_tiers_unless_asked(void **state)
{
    (void)state;
    static const struct {
        struct reason_ask ask;
        double temperature, top_p, min_p;
    } cases[] = {
        { { .effort = EFFORT_LOW }, 0, 1, 0 },
        { { .choices = 1 }, 0, 1, 0 },
        { { .choices = 3 }, 0.8, 0.95, 0.02 },
        { { .temperature = { true, 0.7 } }, 0.7, 1, 0 },
        { { .temperature = { true, 0 }, .choices = 3 }, 0, 1, 0 },
        { { .temperature = { true, 1 }, .top_p = { true, 0.5 } }, 1, 0.5, 0 },
        { { .top_p = { true, 0.5 } }, 1, 0.5, 0 },
        { { .top_p = { true, 0.5 }, .choices = 2 }, 1, 0.5, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tier tier = tier_of(THINKING_LONG);
        struct plan p = reason_plan(&tier, &model, &cases[i].ask, 10);
        assert_true(p.temperature == cases[i].temperature);
        assert_true(p.top_p == cases[i].top_p);
        assert_true(p.min_p == cases[i].min_p);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(table_is_the_design),
    cmocka_unit_test(every_bound_binds),
    cmocka_unit_test(thinking_never_takes_the_reserve),
    cmocka_unit_test(the_total_binds_all_lines),
    cmocka_unit_test(what_rules_out_a_difference_has_one_line),
    cmocka_unit_test(an_entry_has_its_own_budgets),
    cmocka_unit_test(a_model_without_thoughts_has_no_budget),
    cmocka_unit_test(sampling_is_the_tiers_unless_asked),
};
TEST_GROUP(reason_plan, tests)
