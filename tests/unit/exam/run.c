/*
 * run.c - the runner on askers that know, guess, fail or are stopped; its table and its JSON.
 */
#include "test.h"

#include "base/file.h"
#include "exam/exam.h"
#include "json/json.h"

#include <string.h>

/* Answers sums by reading "a+b" or "a + b"; everything else is "Answer: 0". */
static enum err_code ask_adder(void *ctx, const struct exam_question *q, struct exam_reply *reply,
                               struct err *err)
{
    long long a, b;
    (void)ctx;
    (void)err;
    const char *digits = q->text.ptr + strcspn(q->text.ptr, "0123456789");
    if (sscanf(digits, "%lld + %lld", &a, &b) != 2 && sscanf(digits, "%lld and %lld", &a, &b) != 2)
        a = b = 0;
    buf_printf(&reply->text, "Answer: %lld", a + b);
    reply->output_tokens = 10;
    reply->reasoning_tokens = 4;
    reply->seconds = 0.5;
    return ERR_OK;
}

static enum err_code ask_broken(void *ctx, const struct exam_question *q, struct exam_reply *reply,
                                struct err *err)
{
    int *left = ctx; /* calls that still succeed; NULL: none */
    (void)q;
    if (left && __atomic_sub_fetch(left, 1, __ATOMIC_RELAXED) >= 0) {
        buf_puts(&reply->text, "Answer: 0");
        return ERR_OK;
    }
    return err_set(err, ERR_NETWORK, NULL, "The server is away.");
}

struct tally {
    int64_t calls, last_done;
    bool stop;
};

static void count_progress(void *ctx, const struct exam_status *s)
{
    struct tally *t = ctx;
    t->calls++;
    assert_true(s->done == t->last_done + 1 && s->done <= s->total && s->eta_seconds >= 0);
    t->last_done = s->done;
    if (s->done == 10)
        __atomic_store_n(&t->stop, true, __ATOMIC_RELAXED);
}

/* Answers nobody; counts what questions bring along. */
static enum err_code ask_silent(void *ctx, const struct exam_question *q, struct exam_reply *reply,
                                struct err *err)
{
    int *seen = ctx;
    (void)err;
    seen[0] += q->system.len > 0;
    seen[1] += q->tools.len > 0;
    seen[2] += q->tool;
    seen[3] += q->earlier_len;
    for (int i = 0; i < q->earlier_len; i++)
        assert_true(q->earlier[i].said.len > 0 && q->earlier[i].visible.len > 0);
    buf_puts(&reply->text, "-");
    return ERR_OK;
}

/* System messages, tools and earlier turns reach the asker. */
static void questions_are_whole(void **state)
{
    static const char *const names[] = { "tool", "after" };
    struct exam_config c = { .seed = 3, .items = 10, .threads = 1, .families = names, .families_len = 2 };
    struct exam_report r;
    int seen[4] = { 0 };
    (void)state;
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_silent, seen }, &r, NULL), ERR_OK);
    exam_report_free(&r);
    assert_int_equal(seen[1], 8 * 10);
    assert_int_equal(seen[2], 10);                        /* the results of level 8 */
    assert_int_equal(seen[3], 10 + 10 * (1 + 2 + 3 + 4)); /* their calls, and the turns of after */
    c.families = (const char *const[]){ "follow" };
    c.families_len = 1;
    memset(seen, 0, sizeof seen);
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_silent, seen }, &r, NULL), ERR_OK);
    exam_report_free(&r);
    assert_in_range(seen[0], 20, 80); /* the greetings and conversations at least */
}

static void counts_and_intervals(void **state)
{
    static const char *const names[] = { "add", "greet" };
    struct tally tally = { 0 };
    struct exam_config c = { .seed = 1,
                             .items = 30,
                             .threads = 4,
                             .families = names,
                             .families_len = 2,
                             .progress = count_progress,
                             .progress_ctx = &tally };
    struct exam_report r;
    struct err err = { 0 };
    (void)state;
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_adder, NULL }, &r, &err), ERR_OK);
    assert_int_equal(r.parts[0].rows_len, 8 + 1 + 1 + 1); /* levels and a sum for each family */
    assert_int_equal(r.parts[0].total.asked, 9 * 30);
    assert_int_equal(tally.calls, r.parts[0].total.asked);
    assert_int_equal(r.parts[0].total.output_tokens, 10 * r.parts[0].total.asked);
    assert_int_equal(r.parts[0].rows[0].asked, 30);
    assert_string_equal(r.parts[0].rows[8].family, "add");
    assert_int_equal(r.parts[0].rows[8].level, 0);
    assert_int_equal(r.parts[0].rows[8].asked, 8 * 30);
    assert_true(r.parts[0].rows[1].right >= 25);    /* two digits: plain sums, in either form */
    assert_int_equal(r.parts[0].rows[10].right, 0); /* "Answer: 0" greets nobody */
    exam_report_free(&r);
}

/* The same seed asks the same questions whatever the number of threads and the other families. */
static void order_does_not_matter(void **state)
{
    static const char *const one[] = { "add" };
    static const char *const two[] = { "sub", "add" };
    struct exam_report a, b;
    struct exam_config c = { .seed = 7, .items = 20, .threads = 1, .families = one, .families_len = 1 };
    (void)state;
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_adder, NULL }, &a, NULL), ERR_OK);
    c.threads = 8;
    c.families = two;
    c.families_len = 2;
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_adder, NULL }, &b, NULL), ERR_OK);
    for (size_t i = 0; i < a.parts[0].rows_len; i++) {
        assert_int_equal(a.parts[0].rows[i].right, b.parts[0].rows[i + 9].right);
        assert_string_equal(a.parts[0].rows[i].family, b.parts[0].rows[i + 9].family);
    }
    exam_report_free(&a);
    exam_report_free(&b);
}

static void failures_are_counted(void **state)
{
    static const char *const names[] = { "sub" };
    struct exam_config c = { .seed = 1, .items = 10, .threads = 2, .families = names, .families_len = 1 };
    struct exam_report r;
    struct err err = { 0 };
    int good = 20;
    (void)state;
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_broken, &good }, &r, &err), ERR_OK);
    assert_int_equal(r.parts[0].total.asked, 80);
    assert_int_equal(r.parts[0].total.failed, 60);
    assert_string_equal(r.first_error.message, "The server is away.");
    exam_report_free(&r);
    /* an asker that never works ends the run early, with its own error */
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_broken, NULL }, &r, &err), ERR_NETWORK);
    assert_true(r.parts[0].total.asked < 20);
    assert_string_equal(err.message, "The server is away.");
    exam_report_free(&r);
}

static void stops_when_told(void **state)
{
    struct tally tally = { 0 };
    struct exam_config c = { .seed = 1,
                             .items = 50,
                             .threads = 3,
                             .progress = count_progress,
                             .progress_ctx = &tally,
                             .stop = &tally.stop };
    struct exam_report r;
    (void)state;
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_adder, NULL }, &r, NULL), ERR_OK);
    assert_in_range(r.parts[0].total.asked, 10, 10 + 3);
    exam_report_free(&r);
}

/* A level is asked the same questions alone, and a family is one however often it is named. */
static void levels_may_be_chosen(void **state)
{
    static const char *const all[] = { "gcd", "add" }, *const some[] = { "gcd:4", "add:2-3", "gcd:2" };
    static const struct {
        const char *family;
        int level;
        size_t in_all;
    } rows[] = { { "gcd", 2, 1 },  { "gcd", 4, 3 },  { "gcd", 0, 0 },
                 { "add", 2, 10 }, { "add", 3, 11 }, { "add", 0, 0 } };
    struct exam_config c = { .seed = 2, .items = 5, .threads = 1, .families = all, .families_len = 2 };
    struct exam_report a, b;
    (void)state;
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_adder, NULL }, &a, NULL), ERR_OK);
    c.families = some;
    c.families_len = 3;
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_adder, NULL }, &b, NULL), ERR_OK);
    assert_int_equal(b.parts[0].rows_len, ARRAY_LEN(rows));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct exam_row *row = &b.parts[0].rows[i], *same = &a.parts[0].rows[rows[i].in_all];
        assert_string_equal(row->family, rows[i].family);
        assert_int_equal(row->level, rows[i].level);
        assert_true(row->level == 0 || (row->asked == same->asked && row->right == same->right));
    }
    exam_report_free(&a);
    exam_report_free(&b);
}

static void refuses_bad_selections(void **state)
{
    static const char *const bad[] = { "poetry",  "poetry:1", "gcd:",   "gcd:0", "gcd:9",
                                       "gcd:5-4", "gcd:1-",   "gcd:-1", "gcd:a", "" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct exam_selection s;
        struct err err = { 0 };
        if (exam_select(&s, bad[i], &err) != ERR_INVALID_VALUE || !err.message[0])
            fail_msg("%s", bad[i]);
    }
}

static void refuses_bad_configs(void **state)
{
    static const char *const unknown[] = { "poetry" };
    struct exam_report r;
    struct err err = { 0 };
    struct exam_config c = { .items = 1, .threads = 1, .families = unknown, .families_len = 1 };
    (void)state;
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_adder, NULL }, &r, &err), ERR_INVALID_VALUE);
    assert_non_null(strstr(err.message, "poetry"));
    exam_report_free(&r);
    c = (struct exam_config){ .items = 0, .threads = 1 };
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_adder, NULL }, &r, &err), ERR_INVALID_VALUE);
    c = (struct exam_config){ .items = 1, .threads = 0 };
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_adder, NULL }, &r, &err), ERR_INVALID_VALUE);
    c = (struct exam_config){ .threads = 1, .file = "/nonexistent/questions.jsonl" };
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_adder, NULL }, &r, &err), ERR_FILE);
    exam_report_free(&r);
}

static char *write_file(const char *text)
{
    struct buf path = { 0 };
    buf_printf(&path, "%s/questions.jsonl", test_tmpdir());
    assert_int_equal(file_write(path.ptr, str_from(text), NULL), ERR_OK);
    return buf_take(&path);
}

static void reads_question_files(void **state)
{
    char *path =
        write_file("{\"question\": \"What is 2 + 3?\", \"answer\": \"2+3=<<2+3=5>>5\\n#### 5\"}\n"
                   "\n"
                   "{\"question\": \"What is 1000 + 234?\", \"answer\": \"1,234\", \"source\": \"x\"}\n"
                   "{\"question\": \"What is 1 + 1?\", \"answer\": \"3\"}");
    struct exam_config c = { .threads = 2, .file = path };
    struct exam_report r;
    struct err err = { 0 };
    (void)state;
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_adder, NULL }, &r, &err), ERR_OK);
    assert_int_equal(r.parts[0].rows_len, 1);
    assert_string_equal(r.parts[0].rows[0].family, "file");
    assert_int_equal(r.parts[0].total.asked, 3);
    assert_int_equal(r.parts[0].total.right, 2);
    exam_report_free(&r);
    c.file_items_max = 1;
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_adder, NULL }, &r, &err), ERR_OK);
    assert_int_equal(r.parts[0].total.asked, 1);
    exam_report_free(&r);
    mem_free(path);
}

static void names_the_bad_line(void **state)
{
    static const char *const bad[] = { "{\"question\": \"a\"}\n", "{\"question\": 1, \"answer\": \"2\"}\n",
                                       "[1]\n", "not json\n" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf text = { 0 };
        buf_printf(&text, "{\"question\": \"1 + 1\", \"answer\": \"2\"}\n%s", bad[i]);
        char *path = write_file(text.ptr);
        struct exam_config c = { .threads = 1, .file = path };
        struct exam_report r;
        struct err err = { 0 };
        assert_int_equal(exam_run(&c, (struct exam_asker){ ask_adder, NULL }, &r, &err), ERR_FORMAT);
        assert_non_null(strstr(err.message, "questions.jsonl:2:"));
        exam_report_free(&r);
        mem_free(path);
        buf_free(&text);
    }
    char *path = write_file("\n");
    struct exam_config c = { .threads = 1, .file = path };
    struct exam_report r;
    assert_int_equal(exam_run(&c, (struct exam_asker){ ask_adder, NULL }, &r, NULL), ERR_FORMAT);
    mem_free(path);
}

/* Fixed figures, so that the columns can be compared as text. */
static struct exam_report small_report(struct exam_part *part, struct exam_row rows[2])
{
    rows[0] = (struct exam_row){ "add", 1, 100, 95, 0, 2000, 1500, 12.5, 0, 0 };
    rows[1] = (struct exam_row){ "add", 0, 100, 95, 2, 2000, 1500, 12.5, 0, 0 };
    *part = (struct exam_part){ .rows = rows,
                                .rows_len = 2,
                                .total = { "total", 0, 100, 95, 2, 2000, 1500, 12.5, 0, 0 } };
    return (struct exam_report){ .parts = part, .parts_len = 1, .wall_seconds = 3.25, .seed = 1 };
}

static void table_is_aligned(void **state)
{
    struct exam_row rows[2];
    struct exam_part part;
    struct exam_report r = small_report(&part, rows);
    struct buf out = { 0 };
    (void)state;
    exam_report_table(&r, EXAM_BY_LEVEL, &out);
    assert_string_equal(
        out.ptr,
        "family     level   asked   right     acc  95% interval    tokens reasoning  seconds\n"
        "add            1     100      95   95.0%   88.8-97.8       20.0      15.0     0.12\n"
        "add          all     100      95   95.0%   88.8-97.8       20.0      15.0     0.12  2 failed\n"
        "total        all     100      95   95.0%   88.8-97.8       20.0      15.0     0.12  2 failed\n"
        "seed 1, 3.2 seconds in all; tokens, reasoning and seconds are means per question\n");
    buf_free(&out);
}

static void json_reads_back(void **state)
{
    struct exam_row rows[2];
    struct exam_part part;
    struct exam_report r = small_report(&part, rows);
    struct buf out = { 0 };
    json_t *root;
    (void)state;
    exam_report_json(&r, &out);
    assert_int_equal(json_read(&root, buf_str(&out), NULL), ERR_OK);
    json_t *row = json_array_get(json_object_get(root, "rows"), 0);
    assert_int_equal(json_integer_value(json_object_get(row, "right")), 95);
    assert_int_equal(json_integer_value(json_object_get(row, "level")), 1);
    assert_near(0.95, json_real_value(json_object_get(row, "accuracy")), 1e-9);
    assert_true(json_is_null(json_object_get(json_object_get(root, "total"), "level")));
    assert_true(json_is_null(json_object_get(root, "first_error")));
    json_decref(root);
    buf_free(&out);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(counts_and_intervals),   cmocka_unit_test(questions_are_whole),
    cmocka_unit_test(order_does_not_matter),  cmocka_unit_test(failures_are_counted),
    cmocka_unit_test(stops_when_told),        cmocka_unit_test(levels_may_be_chosen),
    cmocka_unit_test(refuses_bad_selections), cmocka_unit_test(refuses_bad_configs),
    cmocka_unit_test(reads_question_files),   cmocka_unit_test(names_the_bad_line),
    cmocka_unit_test(table_is_aligned),       cmocka_unit_test(json_reads_back),
};
TEST_GROUP(exam_run, tests)
