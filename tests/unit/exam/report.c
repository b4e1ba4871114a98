/*
 * report.c - several candidates over the same questions: kept on disk and gone on with, compared, drawn.
 */
#include "test.h"

#include "base/file.h"
#include "exam/exam.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct exam_candidate candidates[] = { { "small", "low" },
                                                    { "small", "high" },
                                                    { "large", "high" } };

/* Knows the answers of its questions "x = N": candidate c is wrong where N % 7 <= 3 - c. Counts who asks what. */
struct knower {
    int asked[3], left; /* calls that are still answered; negative: all */
    bool stop;
};

static enum err_code ask_knower(void *ctx, const struct exam_question *q, struct exam_reply *reply,
                                struct err *err)
{
    struct knower *k = ctx;
    int n = atoi(strchr(q->text.ptr, '=') + 1);
    __atomic_add_fetch(&k->asked[q->candidate], 1, __ATOMIC_RELAXED);
    if (k->left == 0)
        return err_set(err, ERR_NETWORK, NULL, "The server is away.");
    if (k->left > 0 && --k->left == 0)
        __atomic_store_n(&k->stop, true, __ATOMIC_RELAXED);
    buf_printf(&reply->text, "Answer: %d", n % 7 > 3 - (int)q->candidate ? n : n + 1);
    reply->output_tokens = 10 << q->candidate;
    reply->priced = true;
    reply->cost = 250;
    reply->seconds = 0.25;
    return ERR_OK;
}

static char *path_of(const char *name)
{
    struct buf path = { 0 };
    buf_printf(&path, "%s/%s", test_tmpdir(), name);
    return buf_take(&path);
}

static char *questions(int n)
{
    struct buf text = { 0 };
    char *path = path_of("questions.jsonl");
    for (int i = 0; i < n; i++)
        buf_printf(&text, "{\"question\":\"x = %d\",\"answer\":\"%d\",\"template\":\"t%d\"}\n", i, i, i % 20);
    assert_int_equal(ERR_OK, file_write(path, buf_str(&text), NULL));
    buf_free(&text);
    return path;
}

static struct exam_config config_of(const char *file)
{
    return (struct exam_config){
        .seed = 1, .threads = 1, .file = file, .candidates = candidates, .candidates_len = 3
    };
}

static void pairs_are_compared(void **state)
{
    char *file = questions(140);
    struct exam_config c = config_of(file);
    struct exam_report r;
    struct knower k = { .left = -1 };
    (void)state;
    c.threads = 4;
    assert_int_equal(ERR_OK, exam_run(&c, (struct exam_asker){ ask_knower, &k }, &r, NULL));
    assert_int_equal(3, r.parts_len);
    assert_int_equal(60, r.parts[0].total.right); /* of 7 in a row 3, 4 and 5 */
    assert_int_equal(80, r.parts[1].total.right);
    assert_int_equal(100, r.parts[2].total.right);
    assert_int_equal(250 * 140, r.parts[2].total.cost);
    assert_int_equal(3, r.pairs_len);
    for (size_t i = 0; i < 3; i++) {
        const struct exam_pair *p = &r.pairs[i];
        int gap = (int)(p->b - p->a);
        assert_int_equal(140, p->n);
        assert_int_equal(20, p->clusters);
        assert_int_equal(0, p->only_a);
        assert_int_equal(20 * gap, p->only_b);
        assert_near(gap / 7.0, p->difference, 1e-12);
        assert_true(p->interval.low <= p->difference && p->difference <= p->interval.high);
        assert_near(exam_mcnemar(0, 20 * gap), p->p, 1e-15);
        assert_true(p->holm >= p->p);
    }
    exam_report_free(&r);
    mem_free(file);
}

/* What was stopped goes on: nothing is asked twice, and the figures are those of one run. */
static void goes_on_where_it_stopped(void **state)
{
    char *file = questions(30), *kept = path_of("kept.jsonl");
    struct exam_config c = config_of(file);
    struct exam_report r, whole;
    struct knower first = { .left = 40 }, second = { .left = -1 }, once = { .left = -1 };
    (void)state;
    c.state = kept;
    c.stop = &first.stop;
    assert_int_equal(ERR_OK, exam_run(&c, (struct exam_asker){ ask_knower, &first }, &r, NULL));
    assert_int_equal(40, first.asked[0] + first.asked[1] + first.asked[2]);
    /* each question was put to all before the next */
    assert_true(first.asked[0] - first.asked[2] <= 1);
    exam_report_free(&r);

    /* a torn last line, as a crash leaves it, costs that reply alone */
    struct buf bytes = { 0 };
    assert_int_equal(ERR_OK, file_read(&bytes, kept, 1 << 20, NULL));
    assert_int_equal(0, truncate(kept, (off_t)bytes.len - 5));
    buf_free(&bytes);

    c.stop = NULL;
    assert_int_equal(ERR_OK, exam_run(&c, (struct exam_asker){ ask_knower, &second }, &r, NULL));
    assert_int_equal(39, r.resumed);
    assert_int_equal(90 - 39, second.asked[0] + second.asked[1] + second.asked[2]);
    c.state = NULL;
    assert_int_equal(ERR_OK, exam_run(&c, (struct exam_asker){ ask_knower, &once }, &whole, NULL));
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(whole.parts[i].total.right, r.parts[i].total.right);
        assert_int_equal(whole.parts[i].total.output_tokens, r.parts[i].total.output_tokens);
        assert_int_equal(whole.parts[i].total.cost, r.parts[i].total.cost);
    }
    exam_report_free(&whole);
    exam_report_free(&r);
    unlink(kept);
    mem_free(kept);
    mem_free(file);
}

static void failures_are_asked_again(void **state)
{
    char *file = questions(10), *kept = path_of("failed.jsonl");
    struct exam_config c = config_of(file);
    struct exam_report r;
    struct knower away = { .left = 0 }, back = { .left = -1 };
    struct err err;
    (void)state;
    c.state = kept;
    assert_int_equal(ERR_NETWORK, exam_run(&c, (struct exam_asker){ ask_knower, &away }, &r, &err));
    exam_report_free(&r);
    assert_int_equal(ERR_OK, exam_run(&c, (struct exam_asker){ ask_knower, &back }, &r, NULL));
    assert_int_equal(0, r.resumed);
    assert_int_equal(30, back.asked[0] + back.asked[1] + back.asked[2]);
    exam_report_free(&r);
    unlink(kept);
    mem_free(kept);
    mem_free(file);
}

static void refuses(const struct exam_config *c, enum err_code code, const char *names)
{
    struct knower k = { .left = -1 };
    struct exam_report r;
    struct err err = { 0 };
    assert_int_equal(code, exam_run(c, (struct exam_asker){ ask_knower, &k }, &r, &err));
    if (!strstr(err.message, names))
        fail_msg("\"%s\" does not name %s", err.message, names);
    assert_int_equal(0, k.asked[0]);
    exam_report_free(&r);
}

static void other_arguments_are_named(void **state)
{
    char *file = questions(5), *kept = path_of("other.jsonl");
    struct exam_config c = config_of(file);
    struct exam_report r;
    struct knower k = { .left = -1 };
    json_t *arguments = json_pack("{s:s}", "url", "http://a"),
           *others = json_pack("{s:s}", "url", "http://b");
    (void)state;
    c.state = kept;
    c.arguments = arguments;
    assert_int_equal(ERR_OK, exam_run(&c, (struct exam_asker){ ask_knower, &k }, &r, NULL));
    exam_report_free(&r);
    c.seed = 2;
    refuses(&c, ERR_CONFIG, "'seed' is 1 there, and 2 now");
    c.seed = 1;
    c.candidates_len = 2;
    refuses(&c, ERR_CONFIG, "'candidates'");
    c.candidates_len = 3;
    c.arguments = others;
    refuses(&c, ERR_CONFIG, "'url' is \"http://a\" there, and \"http://b\" now");
    c.arguments = NULL;
    refuses(&c, ERR_CONFIG, "'url' is \"http://a\" there, and null now");
    c.arguments = arguments;
    mem_free(questions(6));
    refuses(&c, ERR_CONFIG, "'questions' is 5 there, and 6 now");
    c.state = file;
    refuses(&c, ERR_CONFIG, "is no exam's file");
    unlink(kept);
    json_decref(others);
    json_decref(arguments);
    mem_free(kept);
    mem_free(file);
}

/* --- what is printed ---------------------------------------------------------------------------------------------- */

static struct exam_report run_small(const char *file)
{
    struct exam_config c = config_of(file);
    struct exam_report r;
    struct knower k = { .left = -1 };
    assert_int_equal(ERR_OK, exam_run(&c, (struct exam_asker){ ask_knower, &k }, &r, NULL));
    return r;
}

static void tables_have_models_as_columns(void **state)
{
    char *file = questions(70);
    struct exam_report r = run_small(file);
    struct buf out = { 0 };
    (void)state;
    exam_report_table(&r, EXAM_BY_FAMILY, &out);
    assert_non_null(strstr(out.ptr, "| Accuracy                 |        small |        large |\n"
                                    "|--------------------------|-------------:|-------------:|\n"
                                    "| all questions, low       |        42.9% |            - |\n"
                                    "| all questions, high      |        57.1% |        71.4% |\n"
                                    "| file, low                |        42.9% |            - |\n"));
    assert_non_null(
        strstr(out.ptr, "| large high               |     70 |    71.4% |  59.9- 80.7 |      40.0 |"));
    assert_non_null(strstr(out.ptr, "$0.000000250"));
    assert_non_null(strstr(out.ptr, "| small high - small low             |     70 |    +14.3 |"));
    buf_free(&out);
    exam_report_free(&r);
    mem_free(file);
}

static void json_and_csv_have_them_all(void **state)
{
    char *file = questions(14);
    struct exam_report r = run_small(file);
    struct buf out = { 0 };
    json_t *root;
    (void)state;
    exam_report_json(&r, &out);
    assert_int_equal(ERR_OK, json_read(&root, buf_str(&out), NULL));
    json_t *large = json_array_get(json_object_get(root, "candidates"), 2);
    assert_string_equal("large", json_string_value(json_object_get(large, "model")));
    assert_int_equal(10, json_integer_value(json_object_get(json_object_get(large, "total"), "right")));
    assert_int_equal(3, json_array_size(json_object_get(root, "differences")));
    json_decref(root);
    buf_clear(&out);
    exam_report_csv(&r, &out);
    assert_non_null(strstr(out.ptr, "\r\nlarge,high,total,,14,10,0,0.714286,"));
    buf_clear(&out);
    r.parts[0].candidate.model = "a,\"b\"";
    exam_report_csv(&r, &out);
    assert_non_null(strstr(out.ptr, "\r\n\"a,\"\"b\"\"\",low,file,"));
    buf_free(&out);
    exam_report_free(&r);
    mem_free(file);
}

struct label {
    double x, y, width;
};

/* Where the labels of a chart stand, as its text says. */
static size_t read_labels(const char *svg, struct label *labels, size_t max)
{
    size_t n = 0;
    for (const char *at = svg; (at = strstr(at, "<text class=\"label\"")) && n < max; at++) {
        const char *text = strchr(at, '>') + 1;
        assert_int_equal(2,
                         sscanf(at, "<text class=\"label\" x=\"%lf\" y=\"%lf\"", &labels[n].x, &labels[n].y));
        labels[n].width = 5.5 * (double)(strchr(text, '<') - text); /* of 11 px sans serif, on average */
        const char *anchor = strstr(at, "text-anchor=\"end\"");
        if (anchor && anchor < text)
            labels[n].x -= labels[n].width;
        n++;
    }
    return n;
}

/* Fifteen points that nearly coincide: every label is there, and none stands on another. */
static void labels_do_not_collide(void **state)
{
    struct exam_part parts[15] = { 0 };
    struct exam_report r = { .parts = parts, .parts_len = 15 };
    struct label l[16];
    struct buf svg = { 0 };
    static const char *const models[] = { "o3-mini", "o3", "o3-pro" };
    static const char *const efforts[] = { "minimal", "low", "medium", "high", "xhigh" };
    (void)state;
    for (int i = 0; i < 15; i++) {
        parts[i].candidate = (struct exam_candidate){ models[i / 5], efforts[i % 5] };
        parts[i].total = (struct exam_row){ "total", 0, 1000, 700 + i % 4, 0, 300000 + 100 * i, 0, 1, 0, 0 };
    }
    exam_report_svg(&r, &svg);
    size_t n = read_labels(svg.ptr, l, 16);
    assert_int_equal(15, n);
    for (size_t i = 0; i < n; i++) {
        assert_true(l[i].x > 0 && l[i].x + l[i].width < 860 && l[i].y > 0 && l[i].y < 520);
        for (size_t k = 0; k < i; k++)
            if (l[i].x < l[k].x + l[k].width && l[k].x < l[i].x + l[i].width && l[i].y - 11 < l[k].y &&
                l[k].y - 11 < l[i].y)
                fail_msg("labels %zu and %zu meet", k, i);
    }
    assert_non_null(strstr(svg.ptr, "prefers-color-scheme:dark"));
    buf_free(&svg);
}

static void charts_escape_and_survive_nothing(void **state)
{
    struct exam_part part = { .candidate = { "a<b>&c", NULL },
                              .total = { "total", 0, 10, 10, 0, 100, 0, 1, 0, 0 } };
    struct exam_report r = { .parts = &part, .parts_len = 1 };
    struct buf svg = { 0 };
    (void)state;
    exam_report_svg(&r, &svg);
    assert_non_null(strstr(svg.ptr, "a&lt;b&gt;&amp;c"));
    assert_null(strstr(svg.ptr, "a<b"));
    assert_null(strstr(svg.ptr, "nan"));
    buf_clear(&svg);
    part.total.output_tokens = 0; /* no place on a logarithmic axis */
    exam_report_svg(&r, &svg);
    assert_null(strstr(svg.ptr, "inf"));
    assert_null(strstr(svg.ptr, "class=\"mark"));
    assert_non_null(strstr(svg.ptr, "</svg>"));
    buf_free(&svg);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(pairs_are_compared),
    cmocka_unit_test(goes_on_where_it_stopped),
    cmocka_unit_test(failures_are_asked_again),
    cmocka_unit_test(other_arguments_are_named),
    cmocka_unit_test(tables_have_models_as_columns),
    cmocka_unit_test(json_and_csv_have_them_all),
    cmocka_unit_test(labels_do_not_collide),
    cmocka_unit_test(charts_escape_and_survive_nothing),
};
TEST_GROUP(exam_report, tests)
