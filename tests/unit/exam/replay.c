/*
 * replay.c - policies on records whose outcome is known: what they answer, what they cost, what is refused.
 */
#include "test.h"

#include "base/file.h"
#include "exam/exam.h"
#include "reason/reason.h"
#include "json/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Question i and sample s (0: greedy) of a record: the answer's difference to the right one, and its tokens. */
struct script {
    int samples;
    int (*off)(int i, int s);
    int (*tokens)(int i, int s);
    bool (*away)(int i, int s); /* NULL: it always answers */
};

static enum err_code ask_script(void *ctx, const struct exam_question *q, struct exam_reply *reply,
                                struct err *err)
{
    const struct script *script = ctx;
    int i = atoi(strchr(q->text.ptr, '=') + 1);
    if (script->away && script->away(i, q->sample))
        return err_set(err, ERR_NETWORK, NULL, "The server is away.");
    buf_printf(&reply->text, "Answer: %d", i + script->off(i, q->sample));
    reply->output_tokens = script->tokens(i, q->sample);
    return ERR_OK;
}

static char *path_of(const char *name)
{
    struct buf path = { 0 };
    buf_printf(&path, "%s/%s", test_tmpdir(), name);
    return buf_take(&path);
}

/* The path of a record of n questions; the caller unlinks and frees it. */
static char *record(const struct script *script, int n)
{
    static const struct exam_candidate candidate = { "o3", "high" };
    struct buf text = { 0 };
    char *file = path_of("replay-asked.jsonl"), *kept = path_of("replay-record.jsonl");
    for (int i = 0; i < n; i++)
        buf_printf(&text, "{\"question\":\"x = %d\",\"answer\":\"%d\"}\n", i, i);
    assert_int_equal(ERR_OK, file_write(file, buf_str(&text), NULL));
    struct exam_config c = { .seed = 1,
                             .threads = 2,
                             .file = file,
                             .candidates = &candidate,
                             .candidates_len = 1,
                             .samples = script->samples + 1,
                             .state = kept };
    struct exam_report r;
    struct script copy = *script;
    assert_int_equal(ERR_OK, exam_run(&c, (struct exam_asker){ ask_script, &copy }, &r, NULL));
    exam_report_free(&r);
    buf_free(&text);
    mem_free(file);
    return kept;
}

struct told {
    int64_t done, total;
};

static void hear(void *ctx, int64_t done, int64_t total)
{
    struct told *t = ctx;
    assert_true(done >= t->done);
    *t = (struct told){ done, total };
}

static struct exam_replay replayed(char *path, const struct exam_policy *more, size_t n)
{
    struct exam_replay r;
    struct err err = { 0 };
    struct told told = { 0 };
    const struct exam_replay_config config = {
        .path = path, .more = more, .more_len = n, .seed = 1, .progress = hear, .progress_ctx = &told
    };
    if (exam_replay(&r, &config, &err))
        fail_msg("%s", err.message);
    assert_true(told.done == r.items && told.total == r.items);
    unlink(path);
    mem_free(path);
    return r;
}

static const struct exam_replay_row *row_of(const struct exam_replay *r, const char *name)
{
    for (size_t i = 0; i < r->rows_len; i++)
        if (strcmp(r->policies[r->rows[i].policy].name, name) == 0)
            return &r->rows[i];
    fail_msg("there is no row %s", name);
    return NULL;
}

static int never_off(int i, int s)
{
    (void)i;
    (void)s;
    return 0;
}

static int ten(int i, int s)
{
    (void)i;
    (void)s;
    return 10;
}

/* Everybody agrees: rules stop where their tables say, and cost what they began. */
static void rules_stop_where_they_should(void **state)
{
    struct script script = { 8, never_off, ten, NULL };
    struct exam_replay r = replayed(record(&script, 5), NULL, 0);
    static const struct {
        const char *name;
        int lines;
    } rows[] = { { "greedy", 1 },    { "single", 1 },    { "maj@2", 2 },  { "maj@8", 8 }, { "agree80@8", 4 },
                 { "agree95@8", 4 }, { "agree99@8", 8 }, { "lead@8", 8 }, { "pass@4", 4 } };
    (void)state;
    assert_int_equal(4, stop_votes_needed(95, 0)); /* so one wave of four is enough, and at 99 it is not */
    assert_int_equal(6, stop_votes_needed(99, 0));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct exam_replay_row *row = row_of(&r, rows[i].name);
        assert_near(1, row->accuracy, 0);
        assert_near(rows[i].lines, row->lines, 0);
        assert_near(10 * rows[i].lines, row->tokens, 0);
    }
    assert_int_equal(5, r.items);
    exam_replay_free(&r);
}

static int one_is_long(int i, int s)
{
    (void)i;
    return s == 1 ? 1000 : 10;
}

/* Three agree, and the fourth need not end: where the long one is the last it is cut off at 10 of its 1000 tokens; where
 * it is before the third, the rule has to wait for it. Either way every token is counted. */
static void cancelled_lines_cost_what_had_passed(void **state)
{
    struct script script = { 4, never_off, one_is_long, NULL };
    struct exam_policy rule = { POLICY_STOP, "rule", 3, 4, 4, 90, false, false };
    struct exam_replay r = replayed(record(&script, 1), &rule, 1);
    (void)state;
    double cut =
        (1030 - row_of(&r, "rule")->tokens) / (1030 - 40) * EXAM_ORDERS; /* orders in which it was the last */
    assert_near(round(cut), cut, 1e-9);
    assert_in_range((int)round(cut), 25, 80); /* a quarter of 200, give or take four errors */
    assert_near(1030, row_of(&r, "maj@4")->tokens, 0);
    exam_replay_free(&r);
}

/* Of each question's eight traces i % 9 are right; the wrong ones differ. The greedy one is right for even questions. */
static int spread(int i, int s)
{
    if (s == 0)
        return i % 2;
    return s <= i % 9 ? 0 : 100 + s;
}

static int by_sample(int i, int s)
{
    (void)i;
    return 5 * s + 5;
}

static void votes_and_passes_are_exact(void **state)
{
    struct script script = { 8, spread, by_sample, NULL };
    struct exam_policy whole = { POLICY_STOP, "whole", 8, 8, 8, 99, false, false };
    struct exam_replay r = replayed(record(&script, 90), &whole, 1);
    double pass = 0, tokens = 0;
    (void)state;
    for (int right = 0; right <= 8; right++)
        pass += exam_pass_at(8, right, 4) / 9;
    for (int s = 1; s <= 8; s++)
        tokens += by_sample(0, s);
    assert_near(0.5, row_of(&r, "greedy")->accuracy, 0);
    assert_near(0.5, row_of(&r, "single")->accuracy, 0.01);
    assert_near(pass, row_of(&r, "pass@4")->accuracy, 1e-12);
    assert_near(8 / 9.0, row_of(&r, "pass@8")->accuracy, 1e-12);
    /* two or more right ones win against wrong ones that all differ; one alone wins where it is first */
    double all = row_of(&r, "maj@8")->accuracy;
    assert_true(all > 7 / 9.0 && all < 7 / 9.0 + 0.3 / 9);
    assert_near(tokens, row_of(&r, "maj@8")->tokens, 1e-9);
    assert_near(all, row_of(&r, "whole")->accuracy, 0);
    assert_true(row_of(&r, "whole")->tokens <= tokens);
    /* two that differ: the first; so the vote of two is one trace, exactly, in the same orders */
    assert_near(row_of(&r, "single")->accuracy + 0, row_of(&r, "maj@2")->accuracy, 0.02);
    assert_false(row_of(&r, "maj@8")->compared);
    assert_near(row_of(&r, "greedy")->accuracy - all, row_of(&r, "greedy")->difference, 1e-12);
    exam_replay_free(&r);
}

static void the_same_twice(void **state)
{
    struct script script = { 8, spread, by_sample, NULL };
    char *path = record(&script, 20);
    struct exam_replay a, b;
    (void)state;
    const struct exam_replay_config config = { .path = path, .seed = 1 };
    assert_int_equal(ERR_OK, exam_replay(&a, &config, NULL));
    assert_int_equal(ERR_OK, exam_replay(&b, &config, NULL));
    assert_int_equal(a.rows_len, b.rows_len);
    assert_memory_equal(a.rows, b.rows, a.rows_len * sizeof *a.rows);
    exam_replay_free(&a);
    exam_replay_free(&b);
    unlink(path);
    mem_free(path);
}

static bool away_once(int i, int s)
{
    return i == 3 && s == 2;
}

static void questions_without_all_traces_are_left_out(void **state)
{
    struct script script = { 4, never_off, ten, away_once };
    struct exam_replay r = replayed(record(&script, 6), NULL, 0);
    struct buf out = { 0 };
    (void)state;
    assert_int_equal(5, r.items);
    assert_int_equal(1, r.left_out);
    exam_replay_table(&r, &out);
    assert_non_null(
        strstr(out.ptr, "| maj@4                        |   100.0% | 100.0-100.0 |      40.0 |   4.0 |"));
    assert_non_null(strstr(out.ptr, "1 questions lack traces and were left out"));
    buf_free(&out);
    exam_replay_free(&r);
}

static void forms_agree(void **state)
{
    struct script script = { 4, spread, by_sample, NULL };
    struct exam_replay r = replayed(record(&script, 18), NULL, 0);
    struct buf out = { 0 };
    json_t *root;
    (void)state;
    exam_replay_json(&r, &out);
    assert_int_equal(ERR_OK, json_read(&root, buf_str(&out), NULL));
    const json_t *first = json_array_get(json_object_get(root, "rows"), 0);
    assert_string_equal("greedy", json_string_value(json_object_get(first, "policy")));
    assert_near(r.rows[0].accuracy, json_real_value(json_object_get(first, "accuracy")), 1e-15);
    assert_int_equal(r.rows_len, json_array_size(json_object_get(root, "rows")));
    json_decref(root);
    buf_clear(&out);
    exam_replay_csv(&r, &out);
    assert_non_null(strstr(out.ptr, "\r\no3,high,maj@4,"));
    buf_clear(&out);
    exam_replay_svg(&r, &out);
    assert_non_null(strstr(out.ptr, ">pass@4</text>"));
    buf_free(&out);
    exam_replay_free(&r);
}

/* Of four traces of each question so many are right; the wrong ones differ. */
static const struct {
    const char *family;
    int level, right;
} grouped[] = { { "add", 1, 4 }, { "add", 1, 3 }, { "add", 2, 2 }, { "gcd", 4, 3 } };

static char *record_grouped(void)
{
    struct buf text = { 0 };
    char *path = path_of("replay-grouped.jsonl");
    buf_puts(&text, "{\"object\":\"thinkd.exam\",\"arguments\":{\"candidates\":[[\"o3\",null]],\"samples\":5,"
                    "\"questions\":4}}\n");
    for (int i = 0; i < (int)ARRAY_LEN(grouped); i++)
        for (int s = 0; s < 5; s++)
            buf_printf(&text,
                       "{\"item\":%d,\"candidate\":0,\"sample\":%d,\"family\":\"%s\",\"level\":%d,"
                       "\"question\":\"%d\","
                       "\"cluster\":\"%s%d\",\"right\":%s,\"complete\":true,\"text\":\"Answer: "
                       "%d\",\"output_tokens\":9}\n",
                       i, s, grouped[i].family, grouped[i].level, i, grouped[i].family, grouped[i].level,
                       s <= grouped[i].right ? "true" : "false", s <= grouped[i].right ? 0 : s);
    assert_int_equal(ERR_OK, file_write(path, buf_str(&text), NULL));
    buf_free(&text);
    return path;
}

static void gains_are_told_apart(void **state)
{
    static const struct {
        enum exam_detail by;
        const char *family;
        int level, questions;
        double single, vote;
    } rows[] = { { EXAM_BY_FAMILY, "add", 0, 3, 2.25 / 3, 1 },
                 { EXAM_BY_FAMILY, "gcd", 0, 1, 0.75, 1 },
                 { EXAM_BY_LEVEL, "add", 1, 2, 1.75 / 2, 1 },
                 { EXAM_BY_LEVEL, "add", 2, 1, 0.5, 1 },
                 { EXAM_BY_LEVEL, "gcd", 4, 1, 0.75, 1 } };
    char *path = record_grouped();
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows);) {
        struct exam_replay r;
        struct buf out = { 0 };
        const struct exam_replay_config config = { .path = path, .seed = 1, .by = rows[i].by };
        assert_int_equal(ERR_OK, exam_replay(&r, &config, NULL));
        for (size_t g = 0; g < r.groups_len; g++, i++) {
            const struct exam_replay_group *of = &r.groups[g];
            assert_true(i < ARRAY_LEN(rows) && rows[i].by == config.by && str_is(of->family, rows[i].family));
            assert_int_equal(of->level, rows[i].level);
            assert_int_equal(of->questions, rows[i].questions);
            assert_near(rows[i].single, of->single, 0.1);
            assert_near(rows[i].vote, of->vote, 1e-12);
            assert_near(of->vote - of->single, of->gain, 1e-12);
            assert_true(of->interval.low <= of->gain + 1e-12 && of->gain <= of->interval.high + 1e-12);
        }
        exam_replay_table(&r, &out);
        assert_non_null(strstr(out.ptr, rows[i - 1].level ? "| gcd 4 " : "| gcd  "));
        buf_clear(&out);
        exam_replay_json(&r, &out);
        assert_non_null(strstr(out.ptr, "\"groups\""));
        buf_free(&out);
        exam_replay_free(&r);
    }
    unlink(path);
    mem_free(path);
}

#define HEADER                                                                                               \
    "{\"object\":\"thinkd.exam\",\"arguments\":{\"candidates\":[[\"o3\",null]],\"samples\":3,\"questions\":" \
    "1}}\n"

static const struct {
    const char *text;
    enum err_code code;
    const char *says;
} bad[] = {
    { "", ERR_CONFIG, "no exam's file" },
    { "{\"object\":\"list\"}\n", ERR_CONFIG, "no exam's file" },
    { "{\"object\":\"thinkd.exam\",\"arguments\":{\"samples\":1,\"questions\":1}}\n", ERR_CONFIG,
      "--record" },
    { "{\"object\":\"thinkd.exam\",\"arguments\":{\"samples\":9999,\"questions\":1}}\n", ERR_CONFIG,
      "at most 64" },
    { "{\"object\":\"thinkd.exam\",\"arguments\":{\"samples\":3,\"questions\":-1}}\n", ERR_CONFIG, "-1" },
    { HEADER, ERR_CONFIG, "no question has all" },
    { HEADER "not json\n", ERR_FORMAT, "bad.jsonl:2:" },
    { HEADER "{\"item\":1,\"family\":\"f\",\"level\":0,\"candidate\":0,\"sample\":0,\"question\":\"q\","
             "\"cluster\":\"0\",\"text\":\"\","
             "\"output_tokens\":1}\n",
      ERR_FORMAT, "bad.jsonl:2: This line is no trace" },
    { HEADER "{\"item\":0,\"family\":\"f\",\"level\":0,\"candidate\":0,\"sample\":0,\"question\":\"q\","
             "\"cluster\":\"0\",\"text\":7,"
             "\"output_tokens\":1}\n",
      ERR_FORMAT, "no trace" },
    { HEADER "{\"item\":0,\"family\":\"f\",\"level\":0,\"candidate\":0,\"sample\":3,\"question\":\"q\","
             "\"cluster\":\"0\",\"text\":\"\","
             "\"output_tokens\":1}\n",
      ERR_FORMAT, "no trace" },
    { HEADER "{\"item\":0,\"family\":\"f\",\"level\":0,\"candidate\":0,\"sample\":0,\"question\":\"q\","
             "\"cluster\":\"0\",\"text\":\"\","
             "\"output_tokens\":-1}\n",
      ERR_FORMAT, "no trace" },
    { HEADER "{\"item\":0,\"family\":\"f\",\"level\":9,\"candidate\":0,\"sample\":0,\"question\":\"q\","
             "\"cluster\":\"0\",\"text\":\"\","
             "\"output_tokens\":1}\n",
      ERR_FORMAT, "no trace" },
};

static void bad_records_are_refused(void **state)
{
    char *path = path_of("bad.jsonl");
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct exam_replay r;
        struct err err = { 0 };
        assert_int_equal(ERR_OK, file_write(path, str_from(bad[i].text), NULL));
        enum err_code code = exam_replay(&r, &(struct exam_replay_config){ .path = path, .seed = 1 }, &err);
        if (code != bad[i].code || !strstr(err.message, bad[i].says))
            fail_msg("row %zu: %d, %s", i, (int)code, err.message);
        exam_replay_free(&r);
    }
    unlink(path);
    mem_free(path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(rules_stop_where_they_should),
    cmocka_unit_test(cancelled_lines_cost_what_had_passed),
    cmocka_unit_test(votes_and_passes_are_exact),
    cmocka_unit_test(the_same_twice),
    cmocka_unit_test(questions_without_all_traces_are_left_out),
    cmocka_unit_test(forms_agree),
    cmocka_unit_test(gains_are_told_apart),
    cmocka_unit_test(bad_records_are_refused),
};
TEST_GROUP(exam_replay, tests)
