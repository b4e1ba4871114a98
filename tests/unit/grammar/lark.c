/*
 * lark.c - Lark's syntax: what grammars accept, where they first refuse, and what is refused when they are read.
 */
#include "test.h"
#include "texts.h"

#include "reference.h"

#include <string.h>

struct row {
    const char *source;
    const char *good[6]; /* whole texts */
    const char *bad[6];  /* '|' stands before the first bad byte; at the end: too short */
};

/* clang-format off */
static const struct row rows[] = {
    { "start: \"a\" B?\nB: \"b\"+ // comment\n# another\n", { "a", "ab", "abbb" }, { "|b", "ab|a", "|" } },
    { "start: expr\n?expr: term | expr \"+\" term -> add\n  | expr \"-\" term\nterm: factor | term \"*\" factor\n"
      "factor: NUMBER | \"(\" expr \")\"\n%import common.NUMBER\n%ignore \" \"\n",
      { "1", "1+2", "1 + 2*( 3 -4 ) ", "((1))", "1.5e3-2" }, { "|+", "1+|+", "(1|", "1|)", "1 |2" } },
    { "start: a\na: b \"x\" | \"1\"\nb: c\nc: a \"y\" | \"2\"\n", { "1", "2x", "1yx", "2xyxyx" }, { "1|x", "2|y", "2x|x" } },
    { "start: s\ns: s s | \"(\" s \")\" |\n", { "", "()", "(())()", "()()((()))" }, { "|)", "(|", "()|)" } },
    { "start: \"Sel\"i WORD~2..3\nWORD: /[a-z]+/i \".\"\n", { "sELa.b.", "SelAb.c.D." }, { "sela.|", "sela.b.c.|d", "s|x" } },
    { "start: (\"a\"..\"c\" | \"\\u00e9\")~2 [\"!\"]\n", { "ab", "c\xC3\xA9!" }, { "a|d", "ab!|!" } },
    { "start: S\nS: /a\\/b/ | /x y/x | /./s\n", { "a/b", "xy", "\n", "a" }, { "x|x", "a/|" } },
    { "start: ESCAPED_STRING (\",\" ESCAPED_STRING)*\n%import common (ESCAPED_STRING, WS)\n%ignore WS\n",
      { "\"a\\\"b\" , \"\"", "\"x\"\n" }, { "\"a|\n", "\"\\|\n" } },
    { "start: pair+\npair: KEY \"=\" VALUE\n\nKEY: CNAME\nVALUE: INT | \"x\"\n%import common.CNAME\n%import common.INT -> INT\n",
      { "a=1", "a=1b=x" }, { "|1", "a=|", "a=|y" } },
    { "start: (\"a\"\n  | \"b\"\n  \"c\"\n)\n", { "a", "bc" }, { "b|b", "a|b" } },
    { "start: /* not lark */\n", { NULL }, { NULL } },
};

static const struct { const char *source, *word; } refused[] = {
    { "begin: \"a\"\n", "no rule start" },              { "start: a\n", "nothing is defined as a" },
    { "start: \"a\"\nstart: \"b\"\n", "second definition" }, { "start.2: \"a\"\n", "priorities" },
    { "A.2: \"a\"\nstart: A\n", "priorities" },         { "start: x{\"a\"}\nx{y}: y\n", "templates" },
    { "%declare X\nstart: X\n", "declare" },            { "%import python.NAME\nstart: NAME\n", "python" },
    { "%import common.NAME\nstart: NAME\n", "NAME" },   { "start: \"a\n", "no end" },
    { "start: /(?=a)/\n", "look-ahead" },               { "start: A\nA: B\nB: A\n", "made of itself" },
    { "start: A\nA: start\n", "made of rule" },         { "start: \"\\q\"\n", "escape" },
    { "start: (\"a\"\n", "lacks its" },                 { "start: \"b\"..\"a\"\n", "range" },
    { "start: \"a\"~3..2\n", "upside down" },           { "start: start \"a\"\n", "No text" },
    { "start: /a/m\n", "flag" },                        { "start: \"a\" )\n", "end of the rule" },
    { "start: a\na: \"a\"\nb: c\n", "nothing is defined as c" },
};
/* clang-format on */

static struct tokenizer *tokenizer;
static struct grammar_vocab *vocab;

static int open_vocab(void **state)
{
    (void)state;
    tokenizer = test_tokenizer(NULL, 0, NULL, 0);
    grammar_vocab_open(&vocab, tokenizer);
    return 0;
}

static int close_vocab(void **state)
{
    (void)state;
    grammar_vocab_close(vocab);
    tokenizer_close(tokenizer);
    return 0;
}

static void grammars_mean_what_they_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct grammar *g;
        struct err err = { 0 };
        enum err_code code = grammar_open_lark(&g, str_from(rows[i].source), &err);
        if (code && rows[i].good[0])
            fail_msg("%s: %s", rows[i].source, err.message);
        assert_int_equal(code, rows[i].good[0] ? ERR_OK : ERR_INVALID_VALUE);
        for (size_t k = 0; !code && k < ARRAY_LEN(rows[i].good) && rows[i].good[k]; k++)
            texts_check(g, vocab, rows[i].source, rows[i].good[k]);
        for (size_t k = 0; !code && k < ARRAY_LEN(rows[i].bad) && rows[i].bad[k]; k++)
            texts_check(g, vocab, rows[i].source, rows[i].bad[k]);
        grammar_unref(g);
    }
}

static void what_cannot_be_honoured_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct grammar *g;
        struct err err = { 0 };
        enum err_code code = grammar_open_lark(&g, str_from(refused[i].source), &err);
        if (code != ERR_INVALID_VALUE || !strstr(err.message, refused[i].word))
            fail_msg("%s: %s", refused[i].source, err.message);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(grammars_mean_what_they_say, open_vocab, close_vocab),
    cmocka_unit_test(what_cannot_be_honoured_is_refused_by_name),
};
TEST_GROUP(grammar_lark, tests)
