/*
 * thinker.c - many lines of thought: the stop rules against whole numbers, and what is decided from what lines say,
 * whatever the order in which they end.
 */
#include "drive.h"
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- stop rules --------------------------------------------------------------------------------------------- */

/* C(n, k) out of Pascal's triangle, in numbers of as many decimal digits as it takes. */
#define DIGITS 40
struct big {
    unsigned char d[DIGITS]; /* lowest first */
};

static struct big big_of(int n)
{
    struct big b = { { 0 } };
    for (int i = 0; n; i++, n /= 10)
        b.d[i] = (unsigned char)(n % 10);
    return b;
}

static struct big big_add(struct big a, struct big b)
{
    int carry = 0;
    for (int i = 0; i < DIGITS; i++) {
        int sum = a.d[i] + b.d[i] + carry;
        a.d[i] = (unsigned char)(sum % 10);
        carry = sum / 10;
    }
    assert_int_equal(0, carry);
    return a;
}

static int big_cmp(struct big a, struct big b)
{
    for (int i = DIGITS; i-- > 0;)
        if (a.d[i] != b.d[i])
            return a.d[i] < b.d[i] ? -1 : 1;
    return 0;
}

static struct big big_times(struct big a, int n)
{
    struct big sum = { { 0 } };
    for (int i = 0; i < n; i++)
        sum = big_add(sum, a);
    return sum;
}

static struct big choose[130][130];

static void make_choose(void)
{
    for (int n = 0; n < 130; n++)
        for (int k = 0; k <= n; k++)
            choose[n][k] = k == 0 || k == n ? big_of(1) : big_add(choose[n - 1][k - 1], choose[n - 1][k]);
}

/* P(Bin(n, 1/2) <= a) >= percent / 100, by all the ways there are. */
static bool brute_force(int percent, int a, int b)
{
    struct big ways = { { 0 } }, all = { { 0 } };
    int n = a + b + 1;
    for (int k = 0; k <= n; k++) {
        all = big_add(all, choose[n][k]);
        if (k <= a)
            ways = big_add(ways, choose[n][k]);
    }
    return big_cmp(big_times(ways, 100), big_times(all, percent)) >= 0;
}

static void table_is_exact(void **state)
{
    (void)state;
    static const int design[][9] = { { 3, 5, 6, 8, 9, 11, 12, 13, 15 },
                                     { 4, 6, 8, 9, 11, 12, 14, 15, 17 },
                                     { 6, 9, 11, 13, 14, 16, 18, 19, 21 } };
    static const int percents[] = { 90, 95, 99 };
    for (size_t i = 0; i < 3; i++)
        for (int b = 0; b < 9; b++)
            assert_int_equal(design[i][b], stop_votes_needed(percents[i], b));
    make_choose();
    for (int percent = 50; percent < 100; percent++)
        for (int b = 0; b <= TIER_BRANCHES_MAX; b++) {
            int a = b + 1;
            while (a + b <= TIER_BRANCHES_MAX && !brute_force(percent, a, b))
                a++;
            int want = a + b <= TIER_BRANCHES_MAX ? a : TIER_BRANCHES_MAX + 1;
            assert_int_equal(want, stop_votes_needed(percent, b));
        }
}

/* The same by the integral that it stands for. */
static double beta_above_half(int a, int b)
{
    double sum = 0, step = 1e-4;
    double scale = lgamma(a + b + 2) - lgamma(a + 1) - lgamma(b + 1);
    for (double x = 0.5 + step / 2; x < 1; x += step)
        sum += step * exp(scale + a * log(x) + b * log1p(-x));
    return sum;
}

static void table_is_the_beta_rule(void **state)
{
    (void)state;
    static const int percents[] = { 90, 95, 99 };
    for (size_t i = 0; i < 3; i++)
        for (int b = 0; b < 20; b++) {
            int a = stop_votes_needed(percents[i], b);
            if (a > TIER_BRANCHES_MAX)
                continue;
            assert_true(beta_above_half(a, b) >= percents[i] / 100.0 - 1e-6);
            assert_true(a == b + 1 || beta_above_half(a - 1, b) < percents[i] / 100.0 + 1e-6);
        }
}

/* --- thinkers ---------------------------------------------------------------------------------------------- */

static struct plan plan_of(int min, int max, int wave, int agreement)
{
    return (struct plan){ .lines = { .min = min, .max = max, .wave = wave, .agreement = agreement } };
}

/* What came of one run. */
struct outcome {
    enum stop stop;
    bool voted;
    size_t shown, started, options;
    int counted, abstained, leader;
    char acts[4096]; /* as drive writes them */
};

struct script {
    const char *const *answers; /* of each line; NULL: it fails */
    const float *confidence;    /* NULL: all the same */
};

static void end_line(struct thinker *t, const void *script, size_t line)
{
    const struct script *s = script;
    struct line_end end = { .complete = true,
                            .confidence = { .mean = s->confidence ? s->confidence[line] : 1 } };
    end.answer = str_from(s->answers[line]);
    end.thought = STR("1 + 1 = 2\n");
    if (s->answers[line])
        thinker_ended(t, line, &end);
    else
        thinker_failed(t, line);
}

static struct outcome run(const struct plan *plan, const struct script *s, struct rng *rng)
{
    struct thinker *t = thinker_open(plan, STR("How many?"));
    const struct reason_trace *trace = thinker_trace(t);
    struct outcome o = { 0 };
    drive(t, rng, end_line, s, o.acts, sizeof o.acts);
    o.stop = trace->stop;
    o.voted = trace->voted;
    o.shown = trace->shown;
    o.started = trace->n_lines;
    o.options = trace->n_options;
    o.counted = trace->counted;
    o.abstained = trace->abstained;
    o.leader = trace->n_options ? trace->options[0].votes : 0;
    thinker_close(t);
    return o;
}

static void every_way_to_stop(void **state)
{
    (void)state;
    static const char *const same[] = { "7", "7", "7.0", "7", "7", "7", "7", "7" };
    static const char *const two[] = { "7", "8", "8", "7" };
    static const char *const mixed[] = { "1", "2", "3", "4", "5", "5", "6", "5" };
    static const char *const prose[] = { "It was a dark and stormy night.", "It was a dark and quiet night.",
                                         "Once there was a king who slept.", "7" };
    static const char *const declined[] = {
        "It was a dark and stormy night.", "7", "7", "It is a king who sleeps.", "7", "7", "7", "7"
    };
    static const char *const parted[] = { "It was a dark and stormy night.", "7", "8",
                                          "It is a king who sleeps." };
    static const char *const half[] = { "7", NULL, "8", NULL, "7", "7", "7", "7" };
    static const char *const none[] = { NULL, NULL, NULL, NULL };
    static const char *const lone[] = { NULL, NULL, NULL, "7", NULL, NULL, NULL, NULL };
    static const float sure[] = { 1, 2, 2, 1 };
    static const struct {
        const char *name;
        struct script script;
        int min, max, agreement;
        bool cut;
        enum stop stop;
        size_t shown;
        int counted;
    } cases[] = {
        { "agreement", { same, NULL }, 2, 8, 90, false, STOP_AGREEMENT, 0, 3 },
        { "min holds it back", { same, NULL }, 4, 8, 90, false, STOP_AGREEMENT, 0, 4 },
        { "lead", { same, NULL }, 4, 4, 99, false, STOP_LEAD, 0, 3 },
        { "tie, surer", { two, sure }, 4, 4, 95, false, STOP_LINES_MAX, 1, 4 },
        { "tie, first", { two, NULL }, 4, 4, 95, false, STOP_LINES_MAX, 0, 4 },
        { "budget", { two, NULL }, 4, 4, 95, true, STOP_BUDGET, 0, 4 },
        { "plurality", { mixed, NULL }, 4, 8, 95, false, STOP_LINES_MAX, 4, 8 },
        { "open-ended", { prose, NULL }, 4, 16, 95, false, STOP_OPEN_ENDED, 0, 4 },
        { "half decline, half agree", { declined, NULL }, 4, 8, 90, false, STOP_AGREEMENT, 1, 5 },
        { "half decline, the others differ", { parted, NULL }, 4, 8, 95, false, STOP_OPEN_ENDED, 0, 4 },
        { "failures abstain", { half, NULL }, 3, 8, 90, false, STOP_LEAD, 0, 7 },
        { "all failed", { none, NULL }, 4, 16, 95, false, STOP_FAILED, SIZE_MAX, 4 },
        { "one lives", { lone, NULL }, 4, 8, 95, false, STOP_LINES_MAX, 3, 8 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rng rng;
        rng_init(&rng, i, 0);
        struct plan plan = plan_of(cases[i].min, cases[i].max, 4, cases[i].agreement);
        plan.lines.cut = cases[i].cut;
        struct outcome o = run(&plan, &cases[i].script, &rng);
        if (o.stop != cases[i].stop || o.shown != cases[i].shown || o.counted != cases[i].counted)
            fail_msg("%s: %s, line %d, %d counted: %s", cases[i].name,
                     stop_names[o.stop] ? stop_names[o.stop] : "", (int)o.shown, o.counted, o.acts);
        assert_int_equal(o.voted, o.stop != STOP_OPEN_ENDED && o.stop != STOP_FAILED);
    }
}

static void draw_answers(struct rng *rng, const char **answers, float *confidence, int spread, int failures)
{
    static const char *const words[] = { "1", "2", "3", "4", "5", "6", "7", "8" };
    for (int i = 0; i < TIER_BRANCHES_MAX; i++) {
        int64_t a = rng_range(rng, 0, spread), b = rng_range(rng, 0, spread);
        answers[i] = rng_range(rng, 0, 99) < failures ? NULL : words[a < b ? a : b];
        confidence[i] = (float)rng_range(rng, 0, 5);
    }
}

/* The same lines in any order of ending: the same lines are started and counted, and the same one is shown. */
static void order_changes_nothing(void **state)
{
    (void)state;
    struct rng draws;
    rng_init(&draws, 11, 0);
    for (int n = 0; n < 400; n++) {
        const char *answers[TIER_BRANCHES_MAX];
        float confidence[TIER_BRANCHES_MAX];
        draw_answers(&draws, answers, confidence, (int)rng_range(&draws, 1, 7), n % 3 == 0 ? 20 : 0);
        struct script s = { answers, confidence };
        int max = (int)rng_range(&draws, 2, 40), wave = (int)rng_range(&draws, 1, 8);
        struct plan plan = plan_of((int)rng_range(&draws, 1, max), max, wave < max ? wave : max, 95);
        plan.lines.vote = n % 2 ? VOTE_CONFIDENCE : VOTE_MAJORITY;
        struct outcome want = { 0 };
        for (int k = 0; k < 5; k++) {
            struct rng order;
            rng_init(&order, (uint64_t)n, (uint64_t)k);
            struct outcome got = run(&plan, &s, &order);
            if (k == 0)
                want = got;
            assert_string_equal(want.acts, got.acts);
            assert_int_equal(want.stop, got.stop);
            assert_int_equal(want.leader, got.leader);
        }
    }
}

/* Who stops because nobody can be overtaken shows what all lines together would have shown. */
static void the_lead_loses_nothing(void **state)
{
    (void)state;
    struct rng draws;
    rng_init(&draws, 13, 0);
    int early = 0;
    for (int n = 0; n < 400; n++) {
        const char *answers[TIER_BRANCHES_MAX];
        float confidence[TIER_BRANCHES_MAX];
        draw_answers(&draws, answers, confidence, 3, 0);
        struct plan plan = plan_of(16, 16, 4, 99);
        struct script s = { answers, NULL };
        struct outcome o = run(&plan, &s, &draws);
        if (o.stop != STOP_LEAD)
            continue;
        early += o.counted < 16;
        int votes[9] = { 0 };
        for (int i = 0; i < 16; i++)
            votes[answers[i][0] - '0']++;
        for (int k = 1; k < 9; k++)
            if (k != answers[o.shown][0] - '0')
                assert_true(votes[k] < votes[answers[o.shown][0] - '0']);
    }
    assert_true(early > 50);
}

/* --- what only some plans do ---------------------------------------------------------------------------------- */

static size_t take_acts(struct thinker *t, enum thinker_act what, size_t *lines)
{
    struct thinker_do act;
    size_t n = 0;
    while (thinker_next(t, &act))
        if (act.act == what)
            lines[n++] = act.line;
    return n;
}

/* As it stands when everything that follows was done. */
static const struct reason_trace *trace_of(struct thinker *t)
{
    size_t lines[TIER_BRANCHES_MAX];
    take_acts(t, THINK_DECIDE, lines);
    return thinker_trace(t);
}

static void end_with(struct thinker *t, size_t line, const char *answer, float mean, float lowest)
{
    thinker_ended(t, line,
                  &(struct line_end){ .answer = str_from(answer),
                                      .complete = true,
                                      .confidence = { .mean = mean, .lowest_window = lowest } });
}

static void a_deadline_takes_what_there_is(void **state)
{
    (void)state;
    struct plan plan = plan_of(4, 16, 4, 95);
    struct thinker *t = thinker_open(&plan, STR(""));
    size_t lines[TIER_BRANCHES_MAX];
    assert_int_equal(4, take_acts(t, THINK_START, lines));
    thinker_stop(t, STOP_DEADLINE);
    assert_int_equal(STOP_NONE, trace_of(t)->stop); /* nobody has ended: the next one decides */
    end_with(t, 2, "7", 1, NAN);
    assert_int_equal(3, take_acts(t, THINK_CANCEL, lines));
    assert_int_equal(STOP_DEADLINE, trace_of(t)->stop);
    assert_int_equal(2, trace_of(t)->shown);
    assert_int_equal(1, trace_of(t)->counted);
    thinker_close(t);

    t = thinker_open(&plan, STR(""));
    end_with(t, 3, "7", 1, NAN);
    end_with(t, 1, "8", 2, NAN);
    end_with(t, 2, "7", 1, NAN);
    assert_int_equal(STOP_NONE, trace_of(t)->stop);
    thinker_stop(t, STOP_DEADLINE);
    assert_int_equal(STOP_DEADLINE, trace_of(t)->stop);
    assert_int_equal(2, trace_of(t)->shown);
    assert_int_equal(3, trace_of(t)->counted);
    thinker_close(t);
}

static void a_cancel_decides_nothing(void **state)
{
    (void)state;
    struct plan plan = plan_of(4, 16, 4, 95);
    struct thinker *t = thinker_open(&plan, STR(""));
    size_t lines[TIER_BRANCHES_MAX];
    take_acts(t, THINK_START, lines);
    end_with(t, 0, "7", 1, NAN);
    assert_int_equal(1, trace_of(t)->counted);
    thinker_stop(t, STOP_CANCELLED);
    assert_int_equal(3, take_acts(t, THINK_CANCEL, lines));
    assert_int_equal(SIZE_MAX, trace_of(t)->shown);
    end_with(t, 1, "7", 1, NAN); /* it ended before it heard of that */
    assert_int_equal(1, trace_of(t)->counted);
    assert_int_equal(0, take_acts(t, THINK_START, lines));
    thinker_close(t);
}

static void false_arithmetic_weighs_less_where_it_is_on(void **state)
{
    (void)state;
    for (int trial = TRIAL_SHADOW; trial <= TRIAL_ON; trial++) {
        struct plan plan = plan_of(3, 3, 3, 99);
        plan.lines.check = (enum trial)trial;
        struct thinker *t = thinker_open(&plan, STR(""));
        static const char *const answers[] = { "7", "7", "8" };
        for (size_t i = 0; i < 3; i++)
            thinker_ended(t, i,
                          &(struct line_end){ .thought = i < 2 ? STR("3 + 3 = 7") : STR("4 + 4 = 8"),
                                              .answer = str_from(answers[i]),
                                              .complete = true,
                                              .confidence = { .mean = 1 } });
        const struct reason_trace *trace = trace_of(t);
        assert_int_equal(trial == TRIAL_ON ? 2 : 0, trace->shown);
        assert_int_equal(trial == TRIAL_OFF ? 0 : 1, trace->lines[0].arith.false_claims);
        assert_int_equal(trial == TRIAL_ON ? 1 : VOTE_UNIT, trace->lines[0].weight);
        thinker_close(t);
    }
}

static void an_invalid_answer_has_no_vote(void **state)
{
    (void)state;
    struct plan plan = plan_of(3, 3, 3, 99);
    struct thinker *t = thinker_open(&plan, STR(""));
    for (size_t i = 0; i < 3; i++)
        thinker_ended(t, i,
                      &(struct line_end){ .answer = i < 2 ? STR("7") : STR("8"),
                                          .complete = true,
                                          .invalid = i < 2,
                                          .confidence = { .mean = 1 } });
    assert_int_equal(2, trace_of(t)->shown);
    assert_int_equal(2, trace_of(t)->abstained);
    thinker_close(t);
}

static void confidence_weighs_where_it_is_asked_for(void **state)
{
    (void)state;
    static const char *const answers[] = { "7", "7", "8" };
    for (int vote = VOTE_MAJORITY; vote <= VOTE_CONFIDENCE; vote++) {
        struct plan plan = plan_of(3, 3, 3, 99);
        plan.lines.vote = (enum vote)vote;
        struct thinker *t = thinker_open(&plan, STR(""));
        for (size_t i = 0; i < 3; i++)
            end_with(t, i, answers[i], i == 2 ? 5 : 1, NAN);
        assert_int_equal(vote == VOTE_CONFIDENCE ? 2 : 0, trace_of(t)->shown);
        thinker_close(t);
    }
}

/* The first wave's lowest windows are 1..8: below 3 a later line would be, or is, cut off. */
static void pruning_is_seen_before_it_is_done(void **state)
{
    (void)state;
    for (int trial = TRIAL_SHADOW; trial <= TRIAL_ON; trial++) {
        struct plan plan = plan_of(8, 16, 8, 99);
        plan.lines.prune = (enum trial)trial;
        plan.lines.prune_after = 10;
        struct thinker *t = thinker_open(&plan, STR(""));
        size_t lines[TIER_BRANCHES_MAX];
        char answer[] = "1";
        for (size_t i = 0; i < 8; i++, answer[0]++)
            end_with(t, i, answer, 1, (float)(i + 1));
        assert_int_equal(16, take_acts(t, THINK_START, lines));
        struct engine_confidence low = { .lowest_window = 2.5f }, fine = { .lowest_window = 3.5f },
                                 early = { .lowest_window = NAN };
        thinker_heard(t, 8, &low, 10); /* too early to say */
        thinker_heard(t, 9, &early, 50);
        thinker_heard(t, 10, &fine, 50);
        assert_int_equal(0, trace_of(t)->prunable);
        thinker_heard(t, 8, &low, 11);
        thinker_heard(t, 8, &low, 12);
        assert_int_equal(trial == TRIAL_ON ? 1 : 0, take_acts(t, THINK_CANCEL, lines));
        assert_int_equal(trial == TRIAL_OFF ? 0 : 1, trace_of(t)->prunable);
        assert_int_equal(trial == TRIAL_ON, trace_of(t)->lines[8].state == LINE_PRUNED);
        if (trial != TRIAL_OFF)
            assert_int_equal(11, trace_of(t)->lines[8].prunable_after);
        thinker_close(t);
    }
}

static void the_draft_is_the_one_in_the_middle(void **state)
{
    (void)state;
    static const struct str texts[] = { { "a b c d", sizeof "a b c d" - 1 },
                                        { "a b c e", sizeof "a b c e" - 1 },
                                        { "x y z", sizeof "x y z" - 1 },
                                        { "a b c d e", sizeof "a b c d e" - 1 } };
    assert_int_equal(0, drafts_medoid(texts, 1));
    assert_int_equal(0, drafts_medoid(texts + 2, 1));
    size_t middle = drafts_medoid(texts, 4);
    struct str turned[4];
    for (size_t shift = 0; shift < 4; shift++) {
        for (size_t i = 0; i < 4; i++)
            turned[i] = texts[(i + shift) % 4];
        assert_true(str_eq(texts[middle], turned[drafts_medoid(turned, 4)]));
    }
    assert_int_not_equal(2, middle);
    struct str empty[] = { { 0 }, { 0 } };
    assert_int_equal(0, drafts_medoid(empty, 2));
}

/* --- accounts ------------------------------------------------------------------------------------------------ */

static void an_account_says_what_lines_say(void **state)
{
    (void)state;
    static const char *const wants[] = {
        [SUMMARY_NONE] = "",
        [SUMMARY_CONCISE] =
            "Line 1 tries: Add the tens.\nLine 1 found 7.\nLine 2 tries: Count up.\nLine 2 found 7.0.\n"
            "2 of 2 lines agree on 7.\nLine 3 failed.\n2 of 3 lines agree on 7.\n"
            "The answer is that of line 1.",
        [SUMMARY_DETAILED] =
            "Line 1:\nAdd the tens.\nSo 7.\nLine 1 found 7.\nLine 2:\nCount up.\nLine 2 found 7.0.\n"
            "2 of 2 lines agree on 7.\nLine 3 failed.\n2 of 3 lines agree on 7.\n"
            "The answer is that of line 1.",
    };
    static const char *const thoughts[] = { "\nAdd the tens.\nSo 7.\n", "Count up.", "" };
    static const enum summary kinds[] = { SUMMARY_NONE, SUMMARY_CONCISE, SUMMARY_DETAILED };
    for (size_t k = 0; k < 3; k++)
        for (size_t piece = 1; piece < 30; piece += 7) {
            struct plan plan = plan_of(4, 4, 4, 99);
            struct thinker *t = thinker_open(&plan, STR(""));
            struct account a = { .kind = kinds[k] };
            struct buf out = { 0 };
            end_with(t, 0, "7", 1, NAN);
            for (size_t line = 0; line < 3; line++) {
                struct str thought = str_from(thoughts[line]);
                for (size_t at = 0; at < thought.len; at += piece)
                    account_put(&a, line, str_slice(thought, at, at + piece), &out);
                if (line == 1)
                    end_with(t, 1, "7.0", 1, NAN);
                if (line == 2)
                    thinker_failed(t, 2);
                account_count(&a, line, trace_of(t), &out);
            }
            account_decide(&a, trace_of(t), &out);
            assert_string_equal(wants[kinds[k]], out.len ? out.ptr : "");
            buf_free(&out);
            account_free(&a);
            thinker_close(t);
        }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(table_is_exact),
    cmocka_unit_test(table_is_the_beta_rule),
    cmocka_unit_test(every_way_to_stop),
    cmocka_unit_test(order_changes_nothing),
    cmocka_unit_test(the_lead_loses_nothing),
    cmocka_unit_test(a_deadline_takes_what_there_is),
    cmocka_unit_test(a_cancel_decides_nothing),
    cmocka_unit_test(false_arithmetic_weighs_less_where_it_is_on),
    cmocka_unit_test(an_invalid_answer_has_no_vote),
    cmocka_unit_test(confidence_weighs_where_it_is_asked_for),
    cmocka_unit_test(pruning_is_seen_before_it_is_done),
    cmocka_unit_test(the_draft_is_the_one_in_the_middle),
    cmocka_unit_test(an_account_says_what_lines_say),
};
TEST_GROUP(reason_thinker, tests)
