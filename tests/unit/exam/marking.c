/*
 * marking.c - finding an answer in a reply and comparing it, and the interval around a rate.
 */
#include "test.h"

#include "exam/exam.h"

struct extract_case {
    const char *reply, *answer;
};

static void extracts_the_final_answer(void **state)
{
    static const struct extract_case cases[] = {
        { "Answer: 42", "42" },
        { "So 3+4=7.\nAnswer: 7\n", "7" },
        { "Answer: 1\nNo, wait.\nAnswer: 2", "2" },
        { "answer: 14 remainder 3", "14 remainder 3" },
        { "**Answer:** 9", "** 9" },
        { "The box is $\\boxed{12}$ or \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}" },
        { "\\boxed{12", "12" },
        { "Answer: 5 and \\boxed{6}", "5 and \\boxed{6}" },
        { "It is 1,234 in all.", "1,234" },
        { "between 3 and -7.", "-7" },
        { "10-7", "7" },
        { "x = 2.50.", "2.50" },
        { "3/4", "3/4" },
        { "no number", "" },
        { "", "" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str got = exam_extract(str_from(cases[i].reply));
        if (!str_is(got, cases[i].answer))
            fail_msg("'%s': wanted '%s', got '%.*s'", cases[i].reply, cases[i].answer, STR_ARG(got));
    }
}

struct same_case {
    const char *a, *b;
    bool same;
};

static void compares_exactly(void **state)
{
    static const struct same_case cases[] = {
        { "42", "42", true },
        { "42", "43", false },
        { "042", "42", true },
        { "-5",
          "\xe2\x88\x92"
          "5",
          true },
        { "-5", "5", false },
        { "+5", "5", true },
        { "1,234", "1234", true },
        { "1,234,567", "1234567", true },
        { "1,23", "123", false },
        { "0.5", "1/2", true },
        { "0.50", "\\frac{1}{2}", true },
        { "-\\frac{2}{4}", "-0.5", true },
        { "2.0", "2", true },
        { "0.1", "0.10000000000001", false },
        { "14 remainder 3", "14 r 3", true },
        { "14 R3", "14 remainder 3", true },
        { "14, remainder 3", "14 remainder 3", true },
        { "14 with remainder 3", "14 remainder 3", true },
        { "14 with a remainder of 3", "14 remainder 3", false },
        { "14 remainder of 3", "14 remainder 3", true },
        { "14 remainder 0", "14", true },
        { "14 remainder 3", "14", false },
        { "14 remainder 3", "14 remainder 4", false },
        { "$12", "12", true },
        { "12 apples", "12", true },
        { "12 dollars.", "12", true },
        { "x = 3", "3", true },
        { "x=3", "3", true },
        { "3 4", "3", false },
        { "3+4", "3", false },
        { "3/0", "3", false },
        { "12345678901234567890", "1", false },
        { "** 9", "9", true },
        { "Paris", "paris", true },
        { "Paris.", "paris", true },
        { "Paris", "London", false },
        { "", "", true },
        { "", "0", false },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str a = str_from(cases[i].a), b = str_from(cases[i].b);
        if (exam_same(a, b) != cases[i].same || exam_same(b, a) != cases[i].same)
            fail_msg("'%s' and '%s' should%s be the same", cases[i].a, cases[i].b,
                     cases[i].same ? "" : " not");
    }
}

struct chat_case {
    const char *family, *reply;
    bool right;
};

static void marks_chat_by_kind(void **state)
{
    static const char decline[] =
        "I am thinkd's small built-in model; load a bigger one with `thinkd serve --model FILE.gguf`.";
    static const struct chat_case cases[] = {
        { "greet", "Hello! What is your exercise?", true },
        { "greet", "hi", true },
        { "greet", "Which number?", false },
        { "greet", "This is fine.", false }, /* "hi" inside a word is no greeting */
        { "greet", decline, false },
        { "greet", "", false },
        { "thanks", "You are welcome!", true },
        { "thanks", "No.", false },
        { "identity", "I am thinkd.", true },
        { "identity", "I am a model.", false },
        { "identity", decline, false },
        { "decline", decline, true },
        { "decline", "I am thinkd. Load with --model.", false }, /* two sentences */
        { "decline", "Use --model FILE.gguf.", false },
        { "decline", "Answer: 42", false },
        { "decline", "", false },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct exam_family *f = exam_family_find(str_from(cases[i].family));
        if (exam_check(f, str_from(cases[i].reply), str_from(cases[i].family)) != cases[i].right)
            fail_msg("%s: '%s'", cases[i].family, cases[i].reply);
    }
}

struct wilson_case {
    int64_t right, n;
    double low, high;
};

/* The last row is the example of Newcombe, Statistics in Medicine 17 (1998), table I. */
static void wilson_known_values(void **state)
{
    static const struct wilson_case cases[] = {
        { 0, 0, 0, 1 },
        { 0, 10, 0, 0.2775 },
        { 10, 10, 0.7225, 1 },
        { 5, 10, 0.2366, 0.7634 },
        { 1, 29, 0.0061, 0.1718 },
        { 81, 263, 0.2553, 0.3662 },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct exam_interval w = exam_wilson(cases[i].right, cases[i].n);
        assert_near(cases[i].low, w.low, 5e-5);
        assert_near(cases[i].high, w.high, 5e-5);
    }
}

/* Whatever bytes a reply holds, marking ends and gives an answer inside it. */
static void survives_any_bytes(void **state)
{
    static const char alphabet[] = "0123456789.,/-+$\\boxed{}frac Answer:\n rR\xe2\x88\x92";
    struct rng rng;
    (void)state;
    rng_init(&rng, 77, 0);
    for (int n = 0; n < 20000; n++) {
        char reply[48];
        size_t len = (size_t)rng_below(&rng, sizeof reply);
        for (size_t i = 0; i < len; i++)
            reply[i] = alphabet[rng_below(&rng, sizeof alphabet - 1)];
        struct str got = exam_extract((struct str){ reply, len });
        assert_true(got.len == 0 || (got.ptr >= reply && got.ptr + got.len <= reply + len));
        assert_true(exam_same(got, got));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(extracts_the_final_answer), cmocka_unit_test(compares_exactly),
    cmocka_unit_test(marks_chat_by_kind),        cmocka_unit_test(wilson_known_values),
    cmocka_unit_test(survives_any_bytes),
};
TEST_GROUP(exam_marking, tests)
