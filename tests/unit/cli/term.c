/*
 * term.c - small texts for people: cleaned output, money, usage, tables, progress, the server's first block.
 */
#include "test.h"

#include "cli/cli_impl.h"
#include "cli/table.h"

#include <string.h>

static void control_characters_lose_their_power(void **state)
{
    (void)state;
    static const struct {
        const char *text, *clean;
    } rows[] = {
        { "plain \xc3\xa9\xe2\x82\xac\n\ttext", "plain \xc3\xa9\xe2\x82\xac\n\ttext" },
        { "\x1b[2Jgone", "\xef\xbf\xbd[2Jgone" },
        { "a\rb\x07\x7f", "a\xef\xbf\xbd"
                          "b\xef\xbf\xbd\xef\xbf\xbd" },
        { "\xc2\x9b"
          "31m",
          "\xef\xbf\xbd"
          "31m" }, /* C1 CSI */
        { "\xff", "\xef\xbf\xbd" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = { 0 };
        term_clean(&out, str_from(rows[i].text));
        assert_string_equal(rows[i].clean, out.ptr);
        buf_free(&out);
    }
}

static void money_is_exact(void **state)
{
    (void)state;
    static const struct {
        int64_t nano;
        const char *text;
    } rows[] = {
        { 0, "$0.00" },          { 1, "$0.000000001" },   { 550000, "$0.00055" },
        { 1000000000, "$1.00" }, { 2200000000, "$2.20" }, { 123456789012, "$123.456789012" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = { 0 };
        put_usd(&out, rows[i].nano);
        assert_string_equal(rows[i].text, out.ptr);
        buf_free(&out);
    }
}

static void usage_says_what_is_known(void **state)
{
    (void)state;
    struct buf out = { 0 };
    struct answer a = { .cost = -1, .elapsed_ms = 1250 };
    put_usage(&out, &a);
    assert_string_equal("1.2 s", out.ptr);
    buf_clear(&out);
    a.counted = true;
    a.input_tokens = 12;
    a.output_tokens = 34;
    put_usage(&out, &a);
    assert_string_equal("12 tokens in, 34 out, 1.2 s", out.ptr);
    buf_clear(&out);
    a.reasoning_tokens = 30;
    a.cost = 296000;
    put_usage(&out, &a);
    assert_string_equal("12 tokens in, 34 out (30 of thought), 1.2 s, $0.000296", out.ptr);
    buf_free(&out);
}

static void tables_line_up(void **state)
{
    (void)state;
    struct table t = { .columns = 3 };
    struct buf out = { 0 };
    table_row(&t, (const char *const[]){ "A", "LONG HEAD", "C" });
    table_row(&t, (const char *const[]){ "\xc3\xa9\xc3\xa9\xc3\xa9", "x", "" });
    table_row(&t, (const char *const[]){ "b", "", "" });
    table_put(&t, &out);
    assert_string_equal("A    LONG HEAD  C\n\xc3\xa9\xc3\xa9\xc3\xa9  x\nb\n", out.ptr);
    table_free(&t);
    buf_free(&out);
}

static void progress_fits_a_line(void **state)
{
    (void)state;
    static const struct {
        int64_t done, total, right;
        double eta;
        const char *text;
    } rows[] = {
        { 0, 0, 0, 0, "[........................] 0/0  0.0% right" },
        { 1, 4, 1, 61, "[######..................] 1/4  100.0% right  1:01 left" },
        { 3, 4, 1, 3661.4, "[##################......] 3/4  33.3% right  1:01:01 left" },
        { 4, 4, 2, 0, "[########################] 4/4  50.0% right" },
        { 2, 4, -1, 5, "[############............] 2/4  0:05 left" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = { 0 };
        put_progress(&out, rows[i].done, rows[i].total, rows[i].right, rows[i].eta);
        assert_string_equal(rows[i].text, out.ptr);
        buf_free(&out);
    }
}

static void banner_has_a_line_to_try(void **state)
{
    (void)state;
    struct engine_info engine = { .model = "m", .description = "tiny \"one\"" };
    struct buf out = { 0 };
    serve_banner(&out, "http://127.0.0.1:1", &engine, false, false);
    assert_string_equal("thinkd is listening on http://127.0.0.1:1\nmodel: m (tiny \"one\")\n"
                        "try:   curl http://127.0.0.1:1/v1/responses -H 'Content-Type: application/json' -d "
                        "'{\"model\": \"o3-pro\", \"input\": \"What is 17 + 25?\"}'\n",
                        out.ptr);
    buf_clear(&out);
    serve_banner(&out, "http://0.0.0.0:1", &engine, true, false);
    assert_non_null(strstr(out.ptr, " -H \"Authorization: Bearer $KEY\" -d "));
    buf_clear(&out);
    serve_banner(&out, "http://0.0.0.0:1", &engine, true, true);
    assert_string_equal(
        "{\"url\":\"http://0.0.0.0:1\",\"model\":\"m\",\"description\":\"tiny \\\"one\\\"\",\"keys\":true}\n",
        out.ptr);
    buf_free(&out);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(control_characters_lose_their_power),
    cmocka_unit_test(money_is_exact),
    cmocka_unit_test(usage_says_what_is_known),
    cmocka_unit_test(tables_line_up),
    cmocka_unit_test(progress_fits_a_line),
    cmocka_unit_test(banner_has_a_line_to_try),
};
TEST_GROUP(cli_term, tests)
