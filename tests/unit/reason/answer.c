/*
 * answer.c - where texts say what they conclude, and which conclusions are equal.
 */
#include "base/rng.h"
#include "reason/reason.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static char *key_of(const char *words, const char *question)
{
    struct answer_hints hints;
    struct buf key = { 0 };
    answer_hints_read(&hints, str_from(question));
    answer_key(str_from(words), &hints, &key);
    answer_hints_free(&hints);
    return buf_take(&key);
}

/* Each row is one class: all in it are equal, and nothing of one row equals anything of another. */
static const char *const classes[][12] = {
    { "1/2", "0.5", "0.50", "\\frac{1}{2}", "\\frac12", "$\\dfrac{1}{2}$", "50%", "\xc2\xbd", "x = 1/2",
      "2/4" },
    { "1234", "1,234", "1234.0", "$1,234", "1234.", "x=1234", "+1234", "**1,234**", "\\boxed{1234}" },
    { "-3",
      "\xe2\x88\x92"
      "3",
      "x = -3", "-3.00", "\\text{-3}" },
    { "(3, 4)", "(3,4)", "[3, 4]", "\\left(3, 4\\right)", "( 3.0 , 4 )" },
    { "{3, 4}", "{4, 3}", "3, 4", "4 and 3", "\\{3, 4\\}", "3, 4, and 3", "3 or 4" },
    { "(4, 3)" },
    { "x = 3, y = 4", "y=4, x=3", "y = 4 and x = 3.0" },
    { "x = 4, y = 3" },
    { "b", "B", "(b)", "(B)", "b)", "b.", "option B", "Choice (b)" },
    { "1 1/2", "3/2", "1.5", "1\\frac{1}{2}" },
    { "yes", "Yes", "YES.", "\"yes\"", " yes " },
    { "two words", "Two  Words", "two\nwords." },
    { "12345678901234567890123", "12,345,678,901,234,567,890,123", "0012345678901234567890123" },
    { "12345678901234567890124" },
    { "(1, 2, 3)", "(1,2,3)" },
    { "((1, 2), 3)" },
    { "x + 1" },
    { "7 apples", "7" },
    { "7 pears" },
};

static void classes_are_classes(void **state)
{
    (void)state;
    const char *question = "How many apples are there?";
    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        for (size_t a = 0; classes[i][a]; a++) {
            char *x = key_of(classes[i][a], question);
            for (size_t j = 0; j < ARRAY_LEN(classes); j++)
                for (size_t b = 0; classes[j][b]; b++) {
                    char *y = key_of(classes[j][b], question);
                    if ((strcmp(x, y) == 0) != (i == j))
                        fail_msg("'%s' (%s) and '%s' (%s)", classes[i][a], x, classes[j][b], y);
                    mem_free(y);
                }
            mem_free(x);
        }
}

static void percent_is_asked_for(void **state)
{
    (void)state;
    static const char *const asked[] = { "50%", "50", "50 %", "50 percent", "$50\\%$" };
    char *want = key_of("50", "");
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        char *got = key_of(asked[i], "What percent of 8 is 4?");
        assert_string_equal(want, got);
        mem_free(got);
    }
    mem_free(want);
}

/* Any bytes: a key is made, always the same, and case and blanks around it change nothing. */
static void any_words_have_one_key(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789.,/-+%=x()[]{}$\\ \nabBfractextleft\xc3\xa9";
    struct rng rng;
    rng_init(&rng, 7, 0);
    for (int n = 0; n < 20000; n++) {
        char words[40];
        size_t len = (size_t)rng_range(&rng, 0, 30);
        words[0] = ' ';
        for (size_t i = 1; i <= len; i++)
            words[i] = alphabet[rng_range(&rng, 0, (int64_t)sizeof alphabet - 2)];
        snprintf(words + len + 1, 3, " \n");
        char *a = key_of(words, "x of 3 apples"), *b = key_of(words, "x of 3 apples");
        char *c = key_of(words + 1, "x of 3 apples");
        assert_string_equal(a, b);
        assert_string_equal(a, c);
        mem_free(a);
        mem_free(b);
        mem_free(c);
    }
}

static void forms_are_found_in_order(void **state)
{
    (void)state;
    static const struct {
        const char *text, *found;
        enum answer_form form;
        enum answer_kind kind;
    } cases[] = {
        { "So \\boxed{1} is wrong.\nAnswer: 2\nthen \\boxed{\\frac{1}{2}} is it", "\\frac{1}{2}", FORM_BOXED,
          0 },
        { "Answer: 7\n#### 8\n", "8", FORM_HASHES, 0 },
        { "Answer: 7\nmore words here than a line may have so that it is prose, as one may say.", "7",
          FORM_MARKED, 0 },
        { "Answer: 7\nAnswer: 9", "9", FORM_MARKED, 0 },
        { "**Answer:** 42", "42", FORM_MARKED, 0 },
        { "The answer is 42.", "42.", FORM_MARKED, 0 },
        { "Final answer: (3, 4)", "(3, 4)", FORM_MARKED, 0 },
        { "Some thought.\n(B)", "(B)", FORM_LETTER, 0 },
        { "12 + 7 = 19", "19", FORM_LINE, 0 },
        { "The sum of both is 19.", "19.", FORM_LINE, 0 },
        { "42", "42", FORM_LINE, 0 },
        { "Blue", "Blue", FORM_LINE, 0 },
        { "Once upon a time there was a king.", NULL, FORM_NONE, 0 },
        { "an unanswered: question about things and what they are, at a length above the bound", NULL,
          FORM_NONE, 0 },
        { "", NULL, FORM_NONE, 0 },
        { "  \n \n", NULL, FORM_NONE, 0 },
        { "{\"b\": 1.0, \"a\": [1, 2]}", "{\"b\": 1.0, \"a\": [1, 2]}", FORM_JSON, ANSWER_JSON },
        { "Answer: 7", NULL, FORM_NONE, ANSWER_JSON },
        { "[{\"name\":\"f\",\"arguments\":\"{}\"}]", "[{\"name\":\"f\",\"arguments\":\"{}\"}]", FORM_CALLS,
          ANSWER_CALLS },
        { "[]", NULL, FORM_NONE, ANSWER_CALLS },
        { " I cannot. ", "I cannot.", FORM_REFUSAL, ANSWER_REFUSAL },
        { "[{\"arguments\":{}}]", NULL, FORM_NONE, ANSWER_CALLS },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str found;
        struct buf key = { 0 };
        enum answer_form form = answer_find(str_from(cases[i].text), cases[i].kind, NULL, &found, &key);
        if (form != cases[i].form || !str_eq(found, str_from(cases[i].found)) ||
            (form == FORM_NONE) != (key.len == 0))
            fail_msg("'%s': %s, '%.*s'", cases[i].text, answer_form_names[form], STR_ARG(found));
        buf_free(&key);
    }
}

static void json_is_compared_by_value(void **state)
{
    (void)state;
    static const char *const rows[][4] = {
        { "{\"a\":1,\"b\":[1,2]}", "{ \"b\": [1.0, 2], \"a\": 1 }", NULL },
        { "{\"a\":1,\"b\":[2,1]}", NULL },
        { "{\"a\":\"1\",\"b\":[1,2]}", NULL },
        { "\"x\"", NULL },
    };
    static const char *const calls[][3] = {
        { "[{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"}]",
          "[{\"name\":\"f\",\"arguments\":{\"x\":1.0}}]", NULL },
        { "[{\"name\":\"g\",\"arguments\":{\"x\":1}}]", NULL },
        { "[{\"name\":\"f\",\"arguments\":{\"x\":2}}]", NULL },
    };
    for (int kind = ANSWER_JSON; kind <= ANSWER_CALLS; kind++) {
        size_t n = kind == ANSWER_JSON ? ARRAY_LEN(rows) : ARRAY_LEN(calls);
        for (size_t i = 0; i < n * n; i++)
            for (size_t a = 0; a < 2; a++)
                for (size_t b = 0; b < 2; b++) {
                    const char *x = kind == ANSWER_JSON ? rows[i / n][a] : calls[i / n][a];
                    const char *y = kind == ANSWER_JSON ? rows[i % n][b] : calls[i % n][b];
                    if (!x || !y || (a && !(kind == ANSWER_JSON ? rows[i / n][0] : calls[i / n][0])))
                        continue;
                    struct str found;
                    struct buf p = { 0 }, q = { 0 };
                    assert_int_not_equal(FORM_NONE,
                                         answer_find(str_from(x), (enum answer_kind)kind, NULL, &found, &p));
                    assert_int_not_equal(FORM_NONE,
                                         answer_find(str_from(y), (enum answer_kind)kind, NULL, &found, &q));
                    assert_int_equal(i / n == i % n, str_eq(buf_str(&p), buf_str(&q)));
                    buf_free(&p);
                    buf_free(&q);
                }
    }
}

static void claims_of_arithmetic(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int claims, false_claims;
    } cases[] = {
        { "12 + 7 = 19", 1, 0 },
        { "12 + 7 = 20", 1, 1 },
        { "So 12+7=19 and then 19*2 = 38.", 2, 0 },
        { "(12 + 7) * 3 - 8 = 49", 1, 0 },
        { "3. 4 * 5 = 20", 1, 0 },
        { "Step 2: 6 x 7 = 42", 1, 0 },
        { "6 \xc3\x97 7 = 43", 1, 1 },
        { "2x + 3 = 11", 0, 0 },
        { "x - 3 + 4 = 5", 0, 0 },
        { "a*(2+3)=10", 0, 0 },
        { "17 / 5 = 3 remainder 2", 0, 0 },
        { "17 / 5 = 3 r 2", 0, 0 },
        { "10 / 3 = 3.33", 1, 0 },
        { "10 / 3 = 3.34", 1, 1 },
        { "1/2 + 1/3 = 5/6", 1, 0 },
        { "2^10 = 1024", 1, 0 },
        { "2^100 = 1", 0, 0 },
        { "5 / 0 = 1", 0, 0 },
        { "1,200 * 3 = 3,600", 1, 0 },
        { "4 + 4 = 8 = 2^3", 1, 0 },
        { "4 + 4 <= 9", 0, 0 },
        { "4 + 4 == 9", 0, 0 },
        { "x = 3", 0, 0 },
        { "3 + 4 = 7 apples", 1, 0 },
        { "3 + 4 = 7x", 0, 0 },
        { "20% of 5 * 3 = 3", 0, 0 },
        { "-3 + 5 = 2", 1, 0 },
        { "Then: -3 + 5 = 3", 1, 1 },
        { "12 + 7 = 19\n12 + 8 = 19\n", 2, 1 },
        { "9223372036854775807 + 1 = 0", 0, 0 },
        { "((((((((((((((((((((1+1))))))))))))))))))))=2", 0, 0 },
        { "", 0, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arith_count c = arith_check(str_from(cases[i].text));
        if (c.claims != cases[i].claims || c.false_claims != cases[i].false_claims)
            fail_msg("'%s': %d claims, %d false", cases[i].text, c.claims, c.false_claims);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(classes_are_classes),       cmocka_unit_test(percent_is_asked_for),
    cmocka_unit_test(any_words_have_one_key),    cmocka_unit_test(forms_are_found_in_order),
    cmocka_unit_test(json_is_compared_by_value), cmocka_unit_test(claims_of_arithmetic),
};
TEST_GROUP(reason_answer, tests)
