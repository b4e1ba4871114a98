/*
 * regex.c - patterns: what they accept, where they first refuse, and what is refused when they are read.
 */
#include "test.h"
#include "texts.h"

#include "base/rng.h"
#include "grammar/node_impl.h"
#include "reference.h"

#include <string.h>

struct row {
    enum regex_flavour flavour;
    bool search;
    const char *pattern;
    const char *good[5]; /* whole texts */
    const char *bad[5];  /* texts; '|' stands before the first bad byte, at the end: it is too short */
};

/* clang-format off */
static const struct row rows[] = {
    { REGEX_RUST, false, "a|bc*", { "a", "b", "bc", "bccc" }, { "|c", "a|a", "bc|b", "|" } },
    { REGEX_RUST, false, "(?i)Ab[c-d]", { "abc", "ABD", "aBc" }, { "a|c", "ab|e" } },
    { REGEX_RUST, false, "(?i:k)k", { "kk", "Kk" }, { "k|K" } },
    { REGEX_RUST, false, "a.b", { "axb", "a\xC3\xA9" "b", "a\rb" }, { "a|\nb", "ax|", "a\xC3|b" } },
    { REGEX_RUST, false, "(?s)a.b", { "a\nb" }, { "a\n|c" } },
    { REGEX_RUST, false, "\\d{2,3}", { "12", "123", "1\xD9\xA3" }, { "1|", "123|4", "|a" } },
    { REGEX_RUST, false, "[a-z&&[^aeiou]]+", { "xyz" }, { "x|a", "|e" } },
    { REGEX_RUST, false, "[0-9--4]", { "3", "5" }, { "|4" } },
    { REGEX_RUST, false, "[a-c~~b-d]", { "a", "d" }, { "|b", "|c" } },
    { REGEX_RUST, false, "[[:alpha:]_]", { "a", "_" }, { "|1" } },
    { REGEX_RUST, false, "[]a]", { "]", "a" }, { "|b" } },
    { REGEX_RUST, false, "\\p{Lu}\\P{Lu}", { "\xC3\x89x", "A1" }, { "|a", "A|B" } },
    { REGEX_RUST, false, "\\x41\\x{42}\\u{43}", { "ABC" }, { "A|C" } },
    { REGEX_RUST, false, "(?x) a b # words\n c", { "abc" }, { "a|\x20" } },
    { REGEX_RUST, false, "^a$", { "a" }, { "a|a" } },
    { REGEX_RUST, false, "\\Aa\\z", { "a" }, { "a|a" } },
    { REGEX_RUST, false, "(?P<year>\\w+)-(?<x>y)??", { "2020-", "a-y" }, { "|-", "a-|x" } },
    { REGEX_RUST, false, "a{,2}b", { "b", "ab", "aab" }, { "aa|a" } },
    { REGEX_RUST, false, "", { "" }, { "|a" } },
    { REGEX_ECMA, true, "^[a-z]+$", { "a", "zz" }, { "|A", "|", "a|1" } },
    { REGEX_ECMA, true, "b", { "b", "abc", "bb", "\xF0\x9F\x98\x81" "b" }, { "|", "aa|" } },
    { REGEX_ECMA, true, "^a|b$", { "a", "axx", "b", "xxb" }, { "|", "x|" } },
    { REGEX_ECMA, true, "^(a|^b)c", { "ac", "bcx" }, { "|c", "a|a" } },
    { REGEX_ECMA, true, "a^", { NULL }, { "|" } },
    { REGEX_ECMA, true, "^$", { "" }, { "|a" } },
    { REGEX_ECMA, true, "(a$)?b", { "b", "ab" }, { "|" } },
    { REGEX_ECMA, true, "^\\d\\w\\s\\D$", { "1_ x", "1a\xC2\xA0y" }, { "|a", "1|-", "1a|b", "1a |1", "|\xD9" } },
    { REGEX_ECMA, true, "^.$", { "a", "\xC3\xA9" }, { "|\n", "|\r", "\xE2\x80|\xA8" } },
    { REGEX_ECMA, true, "^[\\]\\-x]$", { "]", "-", "x" }, { "|a" } },
    { REGEX_ECMA, true, "^\\u00e9\\u{e9}\\ud83d\\ude01\\cA$", { "\xC3\xA9\xC3\xA9\xF0\x9F\x98\x81\x01" }, { "|e" } },
    { REGEX_ECMA, true, "^a{x}$", { "a{x}" }, { "a|a" } },
    { REGEX_ECMA, true, "^[^]$", { "a", "\n" }, { "|" } },
    { REGEX_ECMA, true, "^\\/\\.\\@$", { "/.@" }, { "|a" } },
    { REGEX_ECMA, true, "^(?:\\w+\\s?){3,4}$", { "a b c", "abc", "ab cd e f" }, { "a b c d |e", "|", "ab|" } },
    { REGEX_ECMA, true, "^(a|aa){3,}$", { "aaa", "aaaa", "aaaaaaaaaaaaa" }, { "aa|", "aaa|b" } },
    { REGEX_ECMA, true, "^(a|aa){3,4}$", { "aaa", "aaaaaaaa" }, { "aa|", "aaaaaaaa|a" } },
};

static const struct { enum regex_flavour flavour; const char *pattern, *word; } refused[] = {
    { REGEX_RUST, "a(?=b)", "look-ahead" },      { REGEX_ECMA, "(?<!a)b", "look-ahead and look-behind" },
    { REGEX_ECMA, "(a)\\1", "back-reference" },  { REGEX_ECMA, "\\bword", "word boundaries" },
    { REGEX_RUST, "(", "no end" },               { REGEX_RUST, ")", "closes nothing" },
    { REGEX_RUST, "[a", "no end" },              { REGEX_RUST, "*a", "nothing to repeat" },
    { REGEX_RUST, "a{3,2}", "upside down" },     { REGEX_RUST, "[z-a]", "upside down" },
    { REGEX_RUST, "\\p{Greek}", "\"Greek\"" },   { REGEX_RUST, "(?m)^a", "flag m" },
    { REGEX_RUST, "(^a)*", "anchor" },           { REGEX_ECMA, "\\u{d800}", "no character" },
    { REGEX_ECMA, "a\\", "backslash" },          { REGEX_RUST, "\\q", "not known" },
};
/* clang-format on */

static struct tokenizer *tokenizer;
static struct grammar_vocab *vocab;

static int open_vocab(void **state)
{
    (void)state;
    static const char *const words[] = { "ab", "a\\", "n\"",       "\\\"",  "\\u00",
                                         "1f", " a",  "\xC3\xA9t", "aaaaaa" };
    tokenizer = test_tokenizer(words, ARRAY_LEN(words), NULL, 0);
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

static void patterns_mean_what_they_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct builder *b = builder_open();
        struct grammar *g;
        struct err err = { 0 };
        const struct node *x;
        enum err_code code =
            regex_node(&x, b, str_from(rows[i].pattern), rows[i].flavour, rows[i].search, &err);
        if (code)
            fail_msg("%s: %s", rows[i].pattern, err.message);
        size_t start = rule_new(b, "pattern");
        rule_define(b, start, x);
        code = grammar_from(&g, b, start, ERR_INVALID_SCHEMA, &err);
        assert_int_equal(code, rows[i].good[0] ? ERR_OK : ERR_INVALID_SCHEMA);
        for (size_t k = 0; !code && k < ARRAY_LEN(rows[i].good) && rows[i].good[k]; k++)
            texts_check(g, vocab, rows[i].pattern, rows[i].good[k]);
        for (size_t k = 0; !code && k < ARRAY_LEN(rows[i].bad) && rows[i].bad[k]; k++)
            texts_check(g, vocab, rows[i].pattern, rows[i].bad[k]);
        grammar_unref(g);
    }
}

static void what_is_not_regular_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct builder *b = builder_open();
        struct err err = { 0 };
        const struct node *x;
        enum err_code code = regex_node(&x, b, str_from(refused[i].pattern), refused[i].flavour, true, &err);
        if (code != ERR_INVALID_VALUE || !strstr(err.message, refused[i].word))
            fail_msg("%s: %s", refused[i].pattern, err.message);
        builder_close(b);
    }
}

static void json_images_have_one_spelling(void **state)
{
    static const char *const good[] = { "", "ab", "\\\"", "\\\\n", "\\n\\t", "\\u001f", "/", "\xC3\xA9\x7f" };
    static const char *const bad[] = { "\\|/", "\\u00|61", "\\u000|a", "|\"", "|\n", "\\u001|F", "\\|x" };
    struct row row = { .pattern = "the image of all" };
    struct builder *b = builder_open();
    struct grammar *g;
    struct err err;
    (void)state;
    size_t start = rule_new(b, "string");
    const struct node *any = node_not(b, node_never(b));
    rule_define(b, start, node_json_image(b, node_and(b, any, node_not(b, node_text(b, STR("x\n"))))));
    assert_int_equal(grammar_from(&g, b, start, ERR_INVALID_SCHEMA, &err), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        texts_check(g, vocab, row.pattern, good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        texts_check(g, vocab, row.pattern, bad[i]);
    texts_check(g, vocab, row.pattern, "x\\n|");
    grammar_unref(g);
}

static void each_character_is_spelled_as_json_writes_it(void **state)
{
    struct row row = { .pattern = "the image of a text" };
    struct builder *b = builder_open();
    struct grammar *g;
    struct err err;
    (void)state;
    size_t start = rule_new(b, "string");
    const struct node *text = node_text(b, STR("\b\f\n\r\t\"\\/\x01\x1f\x7f\xC3\xA9"));
    rule_define(b, start, node_json_image(b, text));
    assert_int_equal(grammar_from(&g, b, start, ERR_INVALID_SCHEMA, &err), ERR_OK);
    texts_check(g, vocab, row.pattern, "\\b\\f\\n\\r\\t\\\"\\\\/\\u0001\\u001f\x7f\xC3\xA9");
    grammar_unref(g);
}

static void expect_same_texts(struct grammar *a, struct grammar *b, struct rng *rng)
{
    struct matcher *x, *y;
    matcher_open(&x, a, vocab);
    matcher_open(&y, b, vocab);
    for (int i = 0; i < 40; i++) {
        size_t words, n = 0;
        const uint64_t *mask = matcher_mask(x, &words), *other = matcher_mask(y, &words);
        assert_memory_equal(mask, other, words * sizeof *mask);
        for (size_t w = 0; w < words; w++)
            n += (size_t)__builtin_popcountll(mask[w]);
        n = (size_t)rng_below(rng, n);
        int32_t id = 0;
        while (!(mask[id / 64] >> (id % 64) & 1) || n-- > 0)
            id++;
        struct buf end = { 0 };
        assert_true(matcher_closing(x, 1000, &end));
        assert_true(end.len == 0 || !matcher_closing(y, end.len - 1, &end));
        buf_free(&end);
        if (tokenizer_ends(tokenizer, id))
            break;
        assert_true(matcher_accept(x, id) && matcher_accept(y, id));
    }
    matcher_close(x);
    matcher_close(y);
}

/* The automaton that reads spelled characters, and one of the spellings. */
static void images_of_intersections_are_those_of_their_spellings(void **state)
{
    static const char *const patterns[][2] = {
        { "\\S+( \\S+)*", ".{3,12}" },    { "[a-z\"\\\\]*", ".*\".*" },
        { "(?s).*\\n.*", "(?s).{2,9}" },  { "[\\x00-\\x1f]+", "[^\\n\\x01]*\\x1f" },
        { "[\\p{L}\\t]{2,}", "[^a-m]*" }, { "(ab|a\\\\|\\x{e9})*", "(?s).{5,7}" },
    };
    struct rng rng;
    struct err err;
    (void)state;
    rng_init(&rng, 5, 0);
    for (size_t i = 0; i < 2 * ARRAY_LEN(patterns); i++) {
        struct grammar *g[2];
        for (int spelled = 0; spelled < 2; spelled++) {
            struct builder *b = builder_open();
            const struct node *x, *y, *both;
            assert_int_equal(regex_node(&x, b, str_from(patterns[i / 2][0]), REGEX_RUST, false, &err),
                             ERR_OK);
            assert_int_equal(regex_node(&y, b, str_from(patterns[i / 2][1]), REGEX_RUST, false, &err),
                             ERR_OK);
            both = node_json_image(b, i % 2 ? node_and(b, x, node_not(b, y)) : node_and(b, x, y));
            const struct node *whole[] = { node_text(b, STR("\"")), spelled ? node_spelled(b, both) : both,
                                           node_text(b, STR("\"")) };
            size_t start = rule_new(b, "string");
            rule_define(b, start, node_seq(b, whole, 3));
            assert_int_equal(grammar_from(&g[spelled], b, start, ERR_INVALID_VALUE, &err), ERR_OK);
        }
        for (int k = 0; k < 10; k++)
            expect_same_texts(g[0], g[1], &rng);
        grammar_unref(g[0]);
        grammar_unref(g[1]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(patterns_mean_what_they_say, open_vocab, close_vocab),
    cmocka_unit_test(what_is_not_regular_is_refused_by_name),
    cmocka_unit_test_setup_teardown(each_character_is_spelled_as_json_writes_it, open_vocab, close_vocab),
    cmocka_unit_test_setup_teardown(images_of_intersections_are_those_of_their_spellings, open_vocab,
                                    close_vocab),
    cmocka_unit_test_setup_teardown(json_images_have_one_spelling, open_vocab, close_vocab),
};
TEST_GROUP(grammar_regex, tests)
