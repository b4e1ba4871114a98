/*
 * vocab.c - which tokens there are for a text: halves of characters, twins, markup, control tokens; and real vocabularies.
 */
#include "test.h"

#include "base/rng.h"
#include "reference.h"
#include "text/gguf_vocab.h"

#include <stdio.h>

enum { END = 256, WORD_A, TWIN_A, BLANK_A, THINK, HALF, CALL, OTHER };

static struct tokenizer *tokenizer;
static struct grammar_vocab *vocab;

static int open_vocab(void **state)
{
    static const char *const words[] = { "ab", "ab",
                                         "\xE2\x96\x81"
                                         "ab",
                                         "<think>", "\xC3\xA9\"" };
    static const char *const controls[] = { "<call>", "<other>" };
    (void)state;
    tokenizer = test_tokenizer(words, ARRAY_LEN(words), controls, ARRAY_LEN(controls));
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

/* Exactly these ids, and those of bytes in all of which `bytes` is true. */
static void expect_tokens(struct matcher *m, const int32_t *ids, size_t n, bool (*bytes)(unsigned char))
{
    size_t words;
    const uint64_t *mask = matcher_mask(m, &words);
    for (int32_t id = 0; (size_t)id < tokenizer_size(tokenizer); id++) {
        bool want = id < 256 && bytes((unsigned char)id);
        for (size_t i = 0; i < n; i++)
            want = want || ids[i] == id;
        if ((mask[id / 64] >> (id % 64) & 1) != want || matcher_allows(m, id) != want)
            fail_msg("token %d: wanted %d", (int)id, want);
    }
}

static bool no_byte(unsigned char c)
{
    (void)c;
    return false;
}

static bool second_byte(unsigned char c)
{
    return c >= 0x80 && c < 0xc0;
}

static bool first_byte(unsigned char c)
{
    return c < 0x80 || (c >= 0xc2 && c < 0xf5);
}

static bool is_a(unsigned char c)
{
    return c == 'a';
}

static void text_takes_what_is_text(void **state)
{
    static const int32_t begin[] = { END, WORD_A, TWIN_A, BLANK_A, HALF };
    struct grammar *g;
    struct matcher *m;
    struct err err;
    (void)state;
    assert_int_equal(grammar_open_regex(&g, STR("(?s).*"), &err), ERR_OK);
    matcher_open(&m, g, vocab);
    expect_tokens(m, begin, ARRAY_LEN(begin), first_byte);
    assert_true(matcher_accept(m, 0xc3)); /* half a character: only its other half fits */
    expect_tokens(m, NULL, 0, second_byte);
    assert_false(matcher_may_end(m));
    assert_false(matcher_accept(m, END));
    assert_true(matcher_accept(m, 0xa9));
    assert_true(matcher_accept(m, END));
    assert_false(matcher_accept(m, THINK)); /* markup is not the letters it is spelled with */
    assert_false(matcher_accept(m, CALL));
    assert_false(matcher_accept(m, -1));
    assert_false(matcher_accept(m, (int32_t)tokenizer_size(tokenizer)));
    assert_int_equal(matcher_put(m, STR("<think>")), 7);
    matcher_close(m);
    grammar_unref(g);
}

/* "a" <think> "b" | <call> | <none> "x" */
static struct grammar *with_controls(void)
{
    struct builder *b = builder_open();
    struct grammar *g;
    struct err err;
    const struct node *think[] = { node_text(b, STR("a")), node_control(b, STR("<think>")),
                                   node_text(b, STR("b")) };
    const struct node *none[] = { node_control(b, STR("<none>")), node_text(b, STR("x")) };
    const struct node *all[] = { node_seq(b, think, 3), node_control(b, STR("<call>")),
                                 node_seq(b, none, 2) };
    size_t start = rule_new(b, "start");
    rule_define(b, start, node_or(b, all, 3));
    assert_int_equal(grammar_from(&g, b, start, ERR_INVALID_VALUE, &err), ERR_OK);
    return g;
}

static bool is_a_or_bracket(unsigned char c)
{
    return c == 'a' || c == '<';
}

static void control_tokens_come_where_they_are_asked_for(void **state)
{
    struct matcher *m, *copy;
    struct buf text = { 0 };
    struct grammar *g = with_controls();
    (void)state;
    matcher_open(&m, g, vocab);
    expect_tokens(m, (const int32_t[]){ CALL }, 1,
                  is_a_or_bracket); /* <none> is none of the vocabulary's: it is spelled */
    copy = matcher_copy(m);
    assert_int_equal(matcher_put(copy, STR("<none>x")), 7);
    assert_true(matcher_over(copy));
    matcher_close(copy);
    copy = matcher_copy(m);
    assert_int_equal(matcher_put(copy, STR("<call>")), 1);
    matcher_close(copy);
    assert_true(matcher_accept(m, 'a'));
    expect_tokens(m, (const int32_t[]){ THINK }, 1, no_byte);
    matcher_forced(m, &text);
    assert_int_equal(text.len, 0); /* a token is forced, and no byte */
    assert_true(matcher_closing(m, 100, &text));
    assert_string_equal(text.ptr, "<think>b");
    assert_true(matcher_accept(m, THINK));
    buf_clear(&text);
    matcher_forced(m, &text);
    assert_string_equal(text.ptr, "b");
    assert_int_equal(matcher_put(m, STR("b")), 1);
    expect_tokens(m, (const int32_t[]){ END }, 1, no_byte);
    matcher_close(m);
    buf_free(&text);
    grammar_unref(g);
}

static void one_byte_is_one_token(void **state)
{
    struct grammar *g;
    struct matcher *m;
    struct err err;
    (void)state;
    assert_int_equal(grammar_open_regex(&g, STR("a(b\xC3\xA9\")?"), &err), ERR_OK);
    matcher_open(&m, g, vocab);
    expect_tokens(m, (const int32_t[]){ WORD_A, TWIN_A }, 2, is_a);
    assert_true(matcher_accept(m, TWIN_A));
    expect_tokens(m, (const int32_t[]){ HALF, 0xc3 }, 2, no_byte);
    matcher_close(m);
    grammar_unref(g);
}

/* --- real ones -------------------------------------------------------------------------------------------------------- */

static const char *const grammars[] = {
    "start: value\nvalue: \"[\" [value (\",\" value)*] \"]\" | \"{\" [pair (\",\" pair)*] \"}\" | STRING | "
    "NUMBER\n"
    "pair: STRING \":\" value\n%import common.ESCAPED_STRING -> STRING\n%import common.NUMBER\n%import "
    "common.WS\n%ignore WS\n",
    "start: \"\\\"\" /[^\"\\\\\\x00-\\x1f]{0,300}/ \"\\\"\"\n",
    "start: \"\\\"\" /[^\"\\\\\\x00-\\x1f]{17,24}/ \"\\\"\"\n",
    "start: \"\\\"\" /[^\"\\\\\\x00-\\x1f]{17}[a-z]+/ \"\\\"\"\n",
    "start: /[A-Z][a-z]+( \\p{L}+){2,5}[.!?]/\n",
    "start: (STEP \"\\n\")~1..40\nSTEP: /[0-9]+\\. .{1,80}/\n",
};

static int32_t random_token(const uint64_t *mask, size_t words, struct rng *rng)
{
    size_t n = 0;
    for (size_t w = 0; w < words; w++)
        n += (size_t)__builtin_popcountll(mask[w]);
    n = (size_t)rng_below(rng, n);
    for (int32_t id = 0;; id++)
        if (mask[id / 64] >> (id % 64) & 1 && n-- == 0)
            return id;
}

static void check_walk(const struct tokenizer *t, struct grammar_vocab *v, struct grammar *g, struct rng *rng)
{
    struct matcher *m;
    size_t words;
    matcher_open(&m, g, v);
    for (int i = 0; i < 12; i++) {
        const uint64_t *mask = matcher_mask(m, &words);
        for (int32_t id = 0; (size_t)id < tokenizer_size(t); id++)
            if ((mask[id / 64] >> (id % 64) & 1) != matcher_allows(m, id))
                fail_msg("step %d, token %d \"%.*s\"", i, (int)id, STR_ARG(tokenizer_bytes(t, id)));
        int32_t id = random_token(mask, words, rng);
        if (tokenizer_ends(t, id))
            break;
        assert_true(matcher_accept(m, id));
    }
    matcher_close(m);
}

static void real_vocabularies_have_exact_masks(void **state)
{
    static const char *const names[] = { "deepseek-llm", "llama-spm", "gpt-2" };
    struct rng rng;
    (void)state;
    rng_init(&rng, 3, 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[128];
        struct gguf_vocab file;
        struct tokenizer *t;
        struct grammar_vocab *v;
        struct err err;
        snprintf(path, sizeof path, "fixtures/vocabs/ggml-vocab-%s.gguf", names[i]);
        char *full = test_shared(path);
        if (!full || !gguf_vocab_read(&file, full))
            skip();
        assert_int_equal(tokenizer_open(&t, &file.v, &err), ERR_OK);
        grammar_vocab_open(&v, t);
        for (size_t k = 0; k < ARRAY_LEN(grammars); k++) {
            struct grammar *g;
            assert_int_equal(grammar_open_lark(&g, str_from(grammars[k]), &err), ERR_OK);
            check_walk(t, v, g, &rng);
            grammar_unref(g);
        }
        grammar_vocab_close(v);
        tokenizer_close(t);
        gguf_vocab_free(&file);
        mem_free(full);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(text_takes_what_is_text, open_vocab, close_vocab),
    cmocka_unit_test_setup_teardown(control_tokens_come_where_they_are_asked_for, open_vocab, close_vocab),
    cmocka_unit_test_setup_teardown(one_byte_is_one_token, open_vocab, close_vocab),
    cmocka_unit_test(real_vocabularies_have_exact_masks),
};
TEST_GROUP(grammar_vocab, tests)
