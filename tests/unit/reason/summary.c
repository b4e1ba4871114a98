/*
 * summary.c - summaries by rule, whole and in pieces.
 */
#include "base/rng.h"
#include "reason/reason.h"
#include "test.h"

static void summarize(enum summary kind, struct str thought, size_t piece, struct buf *out)
{
    struct summarizer s = { .kind = kind };
    for (size_t at = 0; at < thought.len; at += piece)
        summarizer_put(&s, str_slice(thought, at, at + piece), out);
    summarizer_end(&s, out);
    summarizer_free(&s);
}

static const struct {
    const char *thought, *concise, *detailed;
} cases[] = {
    { "", "", "" },
    { " \n\n\t", "", "" },
    { "one line", "one line", "one line" },
    { "first\n\n  second  \nthird\n", "third", "first\nsecond\nthird" },
    { "12+7=19\nso it is 19\n19-7=12\ncheck: ok", "so it is 19\ncheck: ok",
      "12+7=19\nso it is 19\n19-7=12\ncheck: ok" },
    { "2. Therefore, x = 3\nsome more\n- The answer is 3.", "2. Therefore, x = 3\n- The answer is 3.",
      "2. Therefore, x = 3\nsome more\n- The answer is 3." },
    { "sober thoughts\nTotality\nSO: yes", "SO: yes", "sober thoughts\nTotality\nSO: yes" },
};

static void rule_by_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t piece = 1; piece < 50; piece++) { /* cut anywhere, the summary is the same */
            struct buf concise = { 0 }, detailed = { 0 }, automatic = { 0 }, none = { 0 };
            struct str thought = str_from(cases[i].thought);
            summarize(SUMMARY_CONCISE, thought, piece, &concise);
            summarize(SUMMARY_AUTO, thought, piece, &automatic);
            summarize(SUMMARY_DETAILED, thought, piece, &detailed);
            summarize(SUMMARY_NONE, thought, piece, &none);
            assert_true(str_is(buf_str(&concise), cases[i].concise));
            assert_true(str_is(buf_str(&automatic), cases[i].concise));
            assert_true(str_is(buf_str(&detailed), cases[i].detailed));
            assert_int_equal(none.len, 0);
            buf_free(&concise);
            buf_free(&automatic);
            buf_free(&detailed);
        }
}

static void streams_line_by_line(void **state)
{
    (void)state;
    struct summarizer s = { .kind = SUMMARY_DETAILED };
    struct buf out = { 0 };
    summarizer_put(&s, STR("begun"), &out);
    assert_int_equal(out.len, 0);
    summarizer_put(&s, STR(" and ended\nnext"), &out);
    assert_string_equal(out.ptr, "begun and ended");
    summarizer_end(&s, &out);
    assert_string_equal(out.ptr, "begun and ended\nnext");
    summarizer_free(&s);
    buf_free(&out);
}

static void long_lines_are_cut_between_characters(void **state)
{
    (void)state;
    for (size_t lead = 0; lead < 4; lead++) {
        struct buf thought = { 0 }, concise = { 0 }, detailed = { 0 };
        buf_puts(&thought, "so");
        for (size_t i = 0; i <= lead; i++)
            buf_putc(&thought, ' ');
        for (int i = 0; i < 300; i++)
            buf_puts(&thought, "\xe4\xb8\x96");
        summarize(SUMMARY_CONCISE, buf_str(&thought), 7, &concise);
        summarize(SUMMARY_DETAILED, buf_str(&thought), 7, &detailed);
        assert_true(concise.len < 410 && concise.len > 390);
        assert_true(utf8_valid(buf_str(&concise)));
        assert_true(str_ends(buf_str(&concise), STR("\xe2\x80\xa6")));
        assert_true(str_eq(buf_str(&detailed), buf_str(&thought)));
        buf_free(&thought);
        buf_free(&concise);
        buf_free(&detailed);
    }
}

/* Whatever is thought: not empty unless the thought is blank, valid, and every line of it from the thought. */
static void never_empty_for_a_thought(void **state)
{
    (void)state;
    static const char *const parts[] = { "so",   " ",  "\n",       "x=1",  "answer",
                                         "\n\n", "\t", "\xc3\xa9", "wait", ":" };
    struct rng r;
    rng_init(&r, 7, 0);
    for (int round = 0; round < 500; round++) {
        struct buf thought = { 0 }, out = { 0 };
        for (size_t n = rng_below(&r, 12); n-- > 0;)
            buf_puts(&thought, parts[rng_below(&r, ARRAY_LEN(parts))]);
        summarize(SUMMARY_CONCISE, buf_str(&thought), 1 + rng_below(&r, 5), &out);
        assert_int_equal(out.len == 0, str_trim(buf_str(&thought)).len == 0);
        assert_true(utf8_valid(buf_str(&out)));
        for (struct str rest = buf_str(&out); rest.len;) {
            size_t end = str_find(rest, STR("\n"));
            struct str line = str_slice(rest, 0, end);
            assert_true(str_find(buf_str(&thought), line) != SIZE_MAX);
            rest = end == SIZE_MAX ? (struct str){ 0 } : str_slice(rest, end + 1, rest.len);
        }
        buf_free(&thought);
        buf_free(&out);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(rule_by_rule),
    cmocka_unit_test(streams_line_by_line),
    cmocka_unit_test(long_lines_are_cut_between_characters),
    cmocka_unit_test(never_empty_for_a_thought),
};
TEST_GROUP(reason_summary, tests)
