/*
 * space.c - states: few where texts repeat, left behind where there are too many, and shared by threads.
 */
#include "test.h"

#include "base/rng.h"
#include "base/thread.h"
#include "grammar/matcher_impl.h"
#include "reference.h"

#include <string.h>

static struct tokenizer *tokenizer;
static struct grammar_vocab *vocab;

static int open_vocab(void **state)
{
    static const char *const words[] = { "ab", "ba", "],[", "\":", "aaaaaaaa", "aa\"" };
    (void)state;
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

static struct grammar *lark(const char *source)
{
    struct grammar *g;
    struct err err = { 0 };
    if (grammar_open_lark(&g, str_from(source), &err))
        fail_msg("%s", err.message);
    return g;
}

static const char json[] =
    "start: value\nvalue: \"[\" [value (\",\" value)*] \"]\" | \"{\" [pair (\",\" pair)*] \"}\" | STRING | "
    "NUMBER\n"
    "pair: STRING \":\" value\n%import common.ESCAPED_STRING -> STRING\n%import common.NUMBER\n";

static uint32_t states_after(struct grammar *g, const char *opening, const char *element, size_t times)
{
    struct space *s = space_open(g->program, NULL, 8);
    struct state *at = space_start(s);
    for (; *opening; opening++)
        assert_non_null(at = space_step(s, at, (unsigned char)*opening));
    for (size_t i = 0; i < times; i++)
        for (const char *c = element; *c; c++)
            assert_non_null(at = space_step(s, at, (unsigned char)*c));
    uint32_t n = s->n_states;
    space_close(s);
    return n;
}

static void long_lists_come_back_to_their_states(void **state)
{
    static const char *const elements[] = { "1,", "\"ab\",", "{\"a\":[1,2]},", "[[]]," };
    (void)state;
    struct grammar *g = lark(json);
    for (size_t i = 0; i < ARRAY_LEN(elements); i++)
        assert_int_equal(states_after(g, "[", elements[i], 3), states_after(g, "[", elements[i], 5000));
    /* nesting costs states in proportion to its depth and no more */
    uint32_t few = states_after(g, "", "[", 50), many = states_after(g, "", "[", 100);
    assert_int_equal(many - few, 50);
    assert_int_equal(states_after(g, "", "{\"a\":[", 200) - states_after(g, "", "{\"a\":[", 100), 500);
    grammar_unref(g);
}

static void nesting_ends_before_it_is_too_deep(void **state)
{
    struct matcher *m;
    struct buf text = { 0 };
    struct grammar *g = lark(json);
    (void)state;
    matcher_open(&m, g, vocab);
    for (int i = 0; i < 2 * GRAMMAR_STACK_MAX; i++)
        buf_putc(&text, '[');
    size_t taken = matcher_put(m, buf_str(&text));
    assert_true(taken > GRAMMAR_STACK_MAX / 4 && taken <= GRAMMAR_STACK_MAX + 1);
    buf_clear(&text);
    assert_true(matcher_closing(m, 2 * GRAMMAR_STACK_MAX, &text));
    assert_int_equal(matcher_put(m, buf_str(&text)), text.len);
    assert_true(matcher_over(m));
    matcher_close(m);
    buf_free(&text);
    grammar_unref(g);
}

static void clamped_counts_keep_their_masks(void **state)
{
    struct grammar *g;
    struct err err;
    struct matcher *m;
    size_t words;
    (void)state;
    assert_int_equal(grammar_open_regex(&g, STR("x[ab]{40,80}\""), &err), ERR_OK);
    matcher_open(&m, g, vocab);
    matcher_put(m, STR("x"));
    const uint64_t *mask = matcher_mask(m, &words), *last = mask;
    size_t masks = 1;
    for (int i = 0; i <= 80; i++) {
        assert_int_equal(matcher_may_end(m), false);
        mask = matcher_mask(m, &words);
        masks += mask != last;
        last = mask;
        for (int32_t id = 0; (size_t)id < tokenizer_size(tokenizer); id++)
            assert_int_equal(mask[id / 64] >> (id % 64) & 1, matcher_allows(m, id));
        assert_int_equal(matcher_put(m, STR("a")), i < 80);
    }
    assert_true(masks < 30); /* near 40 and near 80 alone: the longest token has 8 bytes */
    matcher_close(m);
    grammar_unref(g);
}

/* A pattern with two to the power of 200 states, a few kilobytes each. */
static struct grammar *endless_states(void)
{
    struct grammar *g;
    struct err err;
    assert_int_equal(grammar_open_regex(&g, STR("[ab]*a[ab]{200}"), &err), ERR_OK);
    return g;
}

static void follow_random(struct matcher *m, struct rng *rng, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = rng_below(rng, 2) ? 'a' : 'b';
        assert_int_equal(matcher_put(m, (struct str){ &c, 1 }), 1);
    }
}

static void full_spaces_are_left(void **state)
{
    struct matcher *m, *early;
    struct rng one, other;
    size_t words;
    (void)state;
    struct grammar *g = endless_states();
    matcher_open(&m, g, vocab);
    rng_init(&one, 1, 0);
    other = one;
    follow_random(m, &one, 100);
    early = matcher_copy(m); /* stays in the first space */
    const struct space *first = m->space;
    follow_random(m, &one, 40000);
    assert_ptr_not_equal(m->space, first);
    assert_true(space_bytes(m->space) < CACHE_BYTES_MAX + MIB);
    assert_ptr_equal(early->space, first);
    /* what stood in the old one goes on as if nothing had been */
    struct matcher *fresh;
    matcher_open(&fresh, g, vocab);
    follow_random(fresh, &other, 100);
    one = other;
    for (int i = 0; i < 300; i++) {
        assert_int_equal(matcher_may_end(early), matcher_may_end(fresh));
        assert_ptr_equal(matcher_mask(early, &words), matcher_mask(fresh, &words));
        follow_random(early, &one, 1);
        follow_random(fresh, &other, 1);
    }
    matcher_close(early);
    matcher_close(fresh);
    matcher_close(m);
    grammar_unref(g);
}

/* --- threads ---------------------------------------------------------------------------------------------------------- */

struct job {
    struct grammar *grammar;
    uint64_t seed;
    size_t whole; /* places where the text may end */
};

static void run(void *ctx)
{
    struct job *job = ctx;
    struct matcher *m;
    struct rng rng;
    size_t words;
    rng_init(&rng, job->seed, 0);
    matcher_open(&m, job->grammar, vocab);
    for (int i = 0; i < 400; i++) {
        follow_random(m, &rng, 1);
        matcher_mask(m, &words);
        job->whole += matcher_may_end(m);
    }
    matcher_close(m);
}

static void threads_share_a_grammar(void **state)
{
    struct job jobs[4], alone = { .seed = 2 };
    struct thread threads[4];
    (void)state;
    struct grammar *g = endless_states();
    alone.grammar = g;
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++) {
        jobs[i] = (struct job){ .grammar = g, .seed = i % 3 };
        thread_start(&threads[i], "matcher", run, &jobs[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
        thread_join(&threads[i]);
    run(&alone);
    assert_int_equal(jobs[0].whole, jobs[3].whole);
    assert_int_equal(jobs[2].whole, alone.whole);
    assert_true(alone.whole > 50);
    grammar_unref(g);
}

/* --- what is refused --------------------------------------------------------------------------------------------------- */

static void expect_refused(struct builder *b, const struct node *x, const char *word)
{
    struct grammar *g;
    struct err err = { 0 };
    size_t start = rule_new(b, "hostile");
    rule_define(b, start, x);
    assert_int_equal(grammar_from(&g, b, start, ERR_INVALID_SCHEMA, &err), ERR_INVALID_SCHEMA);
    if (!strstr(err.message, word))
        fail_msg("%s", err.message);
}

static void what_would_be_too_large_is_refused(void **state)
{
    const struct char_range range = { 'a', 'b' };
    struct builder *b = builder_open();
    (void)state;
    const struct node *ab = node_class(b, &range, 1), *any = node_repeat(b, ab, 0, REPEAT_ENDLESS);
    /* (a|b)*a(a|b){30} and (a|b)*b(a|b){30}: two to the power of 30 states */
    const struct node *parts[] = { any, node_text(b, STR("a")), node_repeat(b, ab, 30, 30) };
    const struct node *others[] = { any, node_text(b, STR("b")), parts[2] };
    expect_refused(b, node_and(b, node_seq(b, parts, 3), node_seq(b, others, 3)), "too complicated");

    b = builder_open();
    const struct node *deep = node_text(b, STR("a"));
    for (int i = 0; i < 1500; i++) {
        const struct node *either[] = {
            node_seq(b, (const struct node *const[]){ deep, node_text(b, STR("b")) }, 2),
            node_text(b, STR("c"))
        };
        deep = node_or(b, either, 2);
    }
    expect_refused(b, deep, "too large");

    b = builder_open();
    const struct node *doubled = node_control(b, STR("<c>"));
    for (int i = 0; i < 64; i++) /* as a tree it would have 2 to the power of 64 leaves */
        doubled = node_seq(b, (const struct node *const[]){ doubled, node_text(b, STR(",")), doubled }, 3);
    expect_refused(b, doubled, "too large");

    b = builder_open();
    expect_refused(b, node_and(b, node_text(b, STR("a")), node_text(b, STR("b"))), "No text");
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(long_lists_come_back_to_their_states),
    cmocka_unit_test_setup_teardown(nesting_ends_before_it_is_too_deep, open_vocab, close_vocab),
    cmocka_unit_test_setup_teardown(clamped_counts_keep_their_masks, open_vocab, close_vocab),
    cmocka_unit_test_setup_teardown(full_spaces_are_left, open_vocab, close_vocab),
    cmocka_unit_test_setup_teardown(threads_share_a_grammar, open_vocab, close_vocab),
    cmocka_unit_test(what_would_be_too_large_is_refused),
};
TEST_GROUP(grammar_space, tests)
