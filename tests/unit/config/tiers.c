/*
 * tiers.c - the models of the API: built-in rows, rows of the file, and how names find them.
 */
#include "test.h"

#include "base/file.h"
#include "config/config.h"

#include <stdio.h>
#include <string.h>

static void load(struct config *c, const char *yaml)
{
    char path[256];
    struct err err = { 0 };
    snprintf(path, sizeof path, "%s/tiers.yaml", test_tmpdir());
    assert_int_equal(ERR_OK, file_write(path, str_from(yaml), NULL));
    const char *args[] = { "--config", path };
    if (config_load(c, CMD_ASK, 2, args, NULL, &err))
        fail_msg("%s", err.message);
}

static void names_and_aliases_find_their_row(void **state)
{
    (void)state;
    static const struct {
        const char *name, *tier;
    } rows[] = {
        { "o3", "o3" },
        { "openai/o3", "o3" },
        { "o3-2025-04-16", "o3" },
        { "thinkd", "o3" },
        { "o3-mini", "o3-mini" },
        { "o4-mini", "o3-mini" },
        { "openai/o3-mini-2025-01-31", "o3-mini" },
        { "thinkd-mini", "o3-mini" },
        { "o3-pro", "o3-pro" },
        { "openai/o3-pro-2025-06-10", "o3-pro" },
        { "thinkd-pro", "o3-pro" },
        { "auto", "auto" },
        { "thinkd-auto", "auto" },
        { "openai/auto", "auto" },
        { "", NULL },
        { "openai/", NULL },
        { "openai/openai/o3", NULL },
        { "O3", NULL },
        { "o3 ", NULL },
    };
    struct config c;
    load(&c, "");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct tier *t = config_tier(&c, str_from(rows[i].name));
        assert_string_equal(rows[i].tier ? rows[i].tier : "none", t ? t->name : "none");
    }
    const struct tier *pro = config_tier(&c, STR("o3-pro"));
    assert_int_equal(TRIAL_ON, pro->check);
    assert_int_equal(TRIAL_SHADOW, pro->prune);
    assert_int_equal(ENDPOINT_RESPONSES, pro->endpoints);
    assert_int_equal(EFFORT_HIGH, pro->default_effort);
    assert_int_equal(20000, pro->price_in);
    assert_int_equal(80000, pro->price_out);
    assert_int_equal(200000, pro->context_window);
    assert_int_equal(550, config_tier(&c, STR("o3-mini"))->price_in);
    config_free(&c);
}

static void the_file_changes_and_adds(void **state)
{
    (void)state;
    struct config c;
    load(&c, "models:\n"
             "  - price_in: 0.125\n"
             "    name: o3\n"
             "  - name: o3-mini\n"
             "    aliases: []\n"
             "  - name: o4-mini\n"
             "    aliases: [mini, org/mini]\n"
             "    endpoints: chat\n"
             "    default_effort: low\n"
             "    thinking: short\n"
             "    price_out: 12\n"
             "    context_window: 4096\n"
             "    max_output_tokens: 1024\n");
    assert_int_equal(5, c.n_tiers);
    const struct tier *o3 = config_tier(&c, STR("thinkd"));
    assert_int_equal(125, o3->price_in);
    assert_int_equal(8000, o3->price_out); /* what the entry leaves out stays */
    const struct tier *mini = config_tier(&c, STR("openai/mini"));
    assert_string_equal("o4-mini", mini->name);
    assert_ptr_equal(mini, config_tier(&c, STR("org/mini")));
    assert_int_equal(ENDPOINT_CHAT, mini->endpoints);
    assert_int_equal(EFFORT_LOW, mini->default_effort);
    assert_int_equal(THINKING_SHORT, mini->thinking);
    assert_int_equal(0, mini->price_in);
    assert_int_equal(12000, mini->price_out);
    assert_int_equal(4096, mini->context_window);
    assert_true(mini->created > 1700000000);
    assert_null(config_tier(&c, STR("thinkd-mini")));
    config_free(&c);
}

static void a_route_asks_models_that_are_there(void **state)
{
    (void)state;
    struct config c;
    load(&c, "models:\n"
             "  - name: quick\n"
             "    thinking: short\n"
             "  - name: auto\n"
             "    route: [quick, thinkd, o3-pro]\n"
             "    confidence_floor: 13.25\n"
             "    check: shadow\n");
    const struct tier *t = config_tier(&c, STR("thinkd-auto"));
    static const char *const names[] = { "quick", "o3", "o3-pro" };
    for (size_t i = 0; i < TIER_ROUTE; i++)
        assert_string_equal(names[i], config_route(&c, t, i)->name);
    assert_int_equal(13250, t->confidence_floor);
    assert_int_equal(TRIAL_SHADOW, t->check);
    config_free(&c);
    load(&c, "models: [{name: cascade, thinking: route}]\n");
    assert_string_equal("o3-pro", config_route(&c, config_tier(&c, STR("cascade")), 2)->name);
    config_free(&c);
    static const char *const bad[] = { "route: [o3, o3-pro]",
                                       "route: [o3, o3, o3, o3]",
                                       "route: [o3-mini, o3, gone]",
                                       "route: [o3-mini, auto, o3]",
                                       "confidence_floor: 1.0001",
                                       "confidence_floor: -1",
                                       "route: o3" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char text[96], path[256];
        struct err err = { 0 };
        snprintf(text, sizeof text, "models: [{name: auto, %s}]\n", bad[i]);
        snprintf(path, sizeof path, "%s/tiers.yaml", test_tmpdir());
        assert_int_equal(ERR_OK, file_write(path, str_from(text), NULL));
        const char *args[] = { "--config", path };
        assert_int_equal(ERR_CONFIG, config_load(&c, CMD_ASK, 2, args, NULL, &err));
        config_free(&c);
    }
}

static void prices_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t nano;
    } rows[] = { { "0", 0 },       { "2", 2000 },       { "0.55", 550 },
                 { "2.20", 2200 }, { "10.001", 10001 }, { "1000000", 1000000000 } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config c;
        char text[64];
        snprintf(text, sizeof text, "models: [{name: x, price_in: %s}]\n", rows[i].text);
        load(&c, text);
        assert_int_equal(rows[i].nano, config_tier(&c, STR("x"))->price_in);
        config_free(&c);
    }
    static const char *const bad[] = { ".5",    "5.", "1e3", "-1", "1000001", "1,5", "99999999999999999999",
                                       "0.0001" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct config c;
        char text[64], path[256];
        snprintf(text, sizeof text, "models: [{name: x, price_in: '%s'}]\n", bad[i]);
        snprintf(path, sizeof path, "%s/tiers.yaml", test_tmpdir());
        assert_int_equal(ERR_OK, file_write(path, str_from(text), NULL));
        const char *args[] = { "--config", path };
        assert_int_equal(ERR_CONFIG, config_load(&c, CMD_ASK, 2, args, NULL, NULL));
        config_free(&c);
    }
}

static void an_entry_has_its_own_lines(void **state)
{
    (void)state;
    struct config c;
    load(&c, "models:\n"
             "  - name: o3-pro\n"
             "    branches_max: [1, 1, 2, 2, 6, 6, 6]\n"
             "    wave: [1, 1, 2, 2, 3, 8, 8]\n"
             "    agreement: [90, 90, 90, 90, 80, 90, 90]\n"
             "    thinking_tokens: 100\n"
             "    deadline_ms: 5000\n"
             "    vote: confidence\n"
             "    check: on\n"
             "    prune: off\n");
    const struct tier *t = config_tier(&c, STR("o3-pro"));
    struct effort_budget high = tier_budget(t, EFFORT_HIGH), xhigh = tier_budget(t, EFFORT_XHIGH);
    assert_int_equal(6, high.branches_max);
    assert_int_equal(4, high.branches_min); /* the built-in one */
    assert_int_equal(3, high.wave);
    assert_int_equal(80, high.agreement);
    assert_int_equal(16, high.think_eighths);
    assert_int_equal(6, xhigh.branches_min); /* no more than max */
    assert_int_equal(6, xhigh.wave);
    assert_int_equal(100, t->thinking_tokens);
    assert_int_equal(5000, t->deadline_ms);
    assert_int_equal(VOTE_CONFIDENCE, t->vote);
    assert_int_equal(TRIAL_ON, t->check);
    assert_int_equal(TRIAL_OFF, t->prune);
    config_free(&c);
    static const char *const bad[] = { "branches_max: 5",
                                       "branches_max: [1, 2, 3]",
                                       "branches_min: [1, 1, 1, 1, 1, 1, 65]",
                                       "wave: [0, 1, 1, 1, 1, 1, 1]",
                                       "agreement: [49, 50, 50, 50, 50, 50, 50]",
                                       "agreement: [50, 50, 50, 50, 50, 50, 100]",
                                       "continues: [0, 0, 0, 0, 0, 0, 9]",
                                       "think_eighths: [0, 0, 0, 0, 0, 0, x]",
                                       "vote: plurality",
                                       "check: maybe",
                                       "prune: [on]",
                                       "deadline_ms: -1" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char text[128], path[256];
        snprintf(text, sizeof text, "models:\n  - name: x\n    %s\n", bad[i]);
        snprintf(path, sizeof path, "%s/tiers.yaml", test_tmpdir());
        assert_int_equal(ERR_OK, file_write(path, str_from(text), NULL));
        const char *args[] = { "--config", path };
        if (config_load(&c, CMD_ASK, 2, args, NULL, NULL) != ERR_CONFIG)
            fail_msg("%s is taken", bad[i]);
        config_free(&c);
    }
}

static void efforts_have_names(void **state)
{
    (void)state;
    enum effort effort;
    for (int i = 0; i < EFFORT_COUNT; i++) {
        assert_true(effort_from(str_from(effort_names[i]), &effort));
        assert_int_equal(i, effort);
    }
    assert_null(effort_names[EFFORT_COUNT]);
    assert_false(effort_from(STR("High"), &effort));
    assert_false(effort_from(STR(""), &effort));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(names_and_aliases_find_their_row),   cmocka_unit_test(the_file_changes_and_adds),
    cmocka_unit_test(a_route_asks_models_that_are_there), cmocka_unit_test(prices_are_exact),
    cmocka_unit_test(an_entry_has_its_own_lines),         cmocka_unit_test(efforts_have_names),
};
TEST_GROUP(config_tiers, tests)
