/*
 * keys.c - no object says a key twice: masks, single tokens, bytes and the way to the end agree about that.
 */
#include "test.h"

#include "base/rng.h"
#include "reference.h"
#include "json/json.h"

#include <string.h>

static const char *const words[] = {
    "\"a\"", "\"a\":", ",\"a\":", "{\"a\":1,\"a\":", "{\"a\":1,\"b\":", "a\"", "\":", "},\"", "\\\"", "\"\":"
};
enum { FIRST_WORD = 257 };

static struct tokenizer *tokenizer;
static struct grammar_vocab *vocab;
static struct grammar *any_object;

static int open_all(void **state)
{
    struct err err;
    (void)state;
    tokenizer = test_tokenizer(words, ARRAY_LEN(words), NULL, 0);
    grammar_vocab_open(&vocab, tokenizer);
    assert_int_equal(grammar_open_json_object(&any_object, LAYOUT_COMPACT, &err), ERR_OK);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    grammar_unref(any_object);
    grammar_vocab_close(vocab);
    tokenizer_close(tokenizer);
    return 0;
}

static struct matcher *at(const char *text)
{
    struct matcher *m;
    matcher_open(&m, any_object, vocab);
    assert_int_equal(matcher_put(m, str_from(text)), strlen(text));
    return m;
}

static bool in_mask(struct matcher *m, int32_t id)
{
    size_t n;
    const uint64_t *mask = matcher_mask(m, &n);
    return mask[id / 64] >> (id % 64) & 1;
}

/* Whether the word may come after text, by every way of asking. */
static bool may_come(const char *text, size_t word)
{
    struct matcher *m = at(text), *copy = matcher_copy(m);
    int32_t id = (int32_t)(FIRST_WORD + word);
    bool by_bytes = matcher_put(copy, str_from(words[word])) == strlen(words[word]);
    assert_int_equal(in_mask(m, id), by_bytes);
    assert_int_equal(matcher_allows(m, id), by_bytes);
    assert_int_equal(matcher_accept(m, id), by_bytes);
    matcher_close(copy);
    matcher_close(m);
    return by_bytes;
}

static void tokens_that_say_a_key_again(void **state)
{
    (void)state;
    assert_true(may_come("{", 1));
    assert_false(may_come("{\"a\":1,", 0));
    assert_false(may_come("{\"a\":1,", 1));
    assert_true(may_come("{\"b\":1,", 1));
    assert_false(may_come("{\"a\":1", 2));
    assert_true(may_come("{\"b\":{\"a\":1}", 2)); /* another object's */
    assert_false(may_come("{\"a\":{\"b\":1}", 2));
    assert_false(may_come("{\"b\":", 3)); /* twice within one token */
    assert_true(may_come("{\"b\":", 4));
    assert_false(may_come("{\"a\":1,\"", 5));
    assert_true(may_come("{\"a\":1,\"a", 5));
    assert_false(may_come("{\"x\":1,\"x", 6));
    assert_true(may_come("{\"x\":1,\"xx", 6));
    assert_true(may_come("{\"a\":\"", 5)); /* a value */
    assert_false(may_come("{\"\":1,", 9));
}

static void a_quote_is_taken_off_the_mask(void **state)
{
    (void)state;
    struct matcher *m = at("{\"key\":1,\"key"), *other = at("{\"key\":1,\"ke");
    assert_false(in_mask(m, '"'));
    assert_true(in_mask(m, 'y'));
    assert_true(in_mask(other, '"')); /* the same state of the automaton, other keys */
    matcher_close(m);
    matcher_close(other);
}

static void the_nearest_end_says_no_key_again(void **state)
{
    static const char *const texts[] = { "{\"\":1,\"", "{\"\":1,", "{\"\":1,\" \":2,\"",
                                         "{\"a\":[{\"\":0,\"" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct matcher *m = at(texts[i]);
        struct buf text = { 0 };
        struct err err;
        json_t *read;
        buf_puts(&text, texts[i]);
        assert_true(matcher_closing(m, 100, &text));
        assert_int_equal(json_read(&read, buf_str(&text), &err), ERR_OK);
        json_decref(read);
        buf_free(&text);
        matcher_close(m);
    }
}

/* Random texts of few letters, so that keys do meet: in each place mask and bytes agree about every token. */
static void masks_agree_with_bytes(void **state)
{
    static const char letters[] = "{}[]:,\"\"\"aab\\1";
    (void)state;
    struct rng r;
    rng_init(&r, 5, 5);
    for (int walk = 0; walk < 60; walk++) {
        struct matcher *m = at("{");
        for (int i = 0; i < 60; i++) {
            for (int32_t id = 0; id < (int32_t)(FIRST_WORD + ARRAY_LEN(words)); id++) {
                struct str bytes = tokenizer_bytes(tokenizer, id);
                if (id == 256)
                    continue;
                struct matcher *copy = matcher_copy(m);
                assert_int_equal(in_mask(m, id), matcher_put(copy, bytes) == bytes.len);
                matcher_close(copy);
            }
            char next = letters[rng_below(&r, sizeof letters - 1)];
            matcher_put(m, (struct str){ &next, 1 });
        }
        matcher_close(m);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
static const struct CMUnitTest tests[] = { TEST(tokens_that_say_a_key_again),
                                           TEST(a_quote_is_taken_off_the_mask),
                                           TEST(the_nearest_end_says_no_key_again),
                                           TEST(masks_agree_with_bytes) };
TEST_GROUP(grammar_keys, tests)
