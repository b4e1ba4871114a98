/*
 * matcher.c - random grammars against the reference: every prefix, every mask, every shortest end.
 *
 * A beginning is right when some text of the grammar begins with it. The reference can only say whether a whole text is in the grammar, so
 * both directions are checked: texts up to BRIEF bytes are all tried, each one found must be accepted byte by byte and may end;
 * and wherever the matcher stands, the end that it proposes must make a text that the reference knows.
 */
#include "test.h"

#include "base/rng.h"
#include "reference.h"

#include <string.h>

#define BRIEF    6
#define GRAMMARS 300

static const char letters[] = "ab{";

/* --- random grammars ------------------------------------------------------------------------------------------- */

struct making {
    struct builder *b;
    struct rng rng;
    size_t rules[3], n_rules;
    bool left; /* calls may come first */
};

static size_t pick(struct making *m, size_t n)
{
    return (size_t)rng_below(&m->rng, n);
}

static const struct node *random_leaf(struct making *m)
{
    static const struct char_range ranges[] = {
        { 'a', 'b' }, { 0xe9, 0xe9 }, { 'a', 0x10ffff }, { '{', '{' }
    };
    static const char *const texts[] = { "a", "b", "ab", "{", "ba", "\xC3\xA9" };
    switch (pick(m, 4)) {
    case 0: return node_class(m->b, &ranges[pick(m, ARRAY_LEN(ranges))], 1);
    case 1: return pick(m, 3) ? node_class(m->b, ranges, 2) : node_empty(m->b);
    default: return node_text(m->b, str_from(texts[pick(m, ARRAY_LEN(texts))]));
    }
}

static const struct node *random_regular(struct making *m, int depth)
{
    const struct node *parts[3];
    if (depth == 0)
        return random_leaf(m);
    size_t n = 2 + pick(m, 2), min = pick(m, 3), kind = pick(m, 7);
    for (size_t i = 0; i < 3; i++)
        parts[i] = random_regular(m, depth - 1);
    switch (kind) {
    case 0:
    case 1: return node_seq(m->b, parts, n);
    case 2: return node_or(m->b, parts, n);
    case 3: return node_repeat(m->b, parts[0], min, pick(m, 2) ? REPEAT_ENDLESS : min + pick(m, 3));
    case 4: return node_and(m->b, parts[0], node_not(m->b, parts[1]));
    case 5:
        return node_and(
            m->b, parts[0],
            node_repeat(m->b, node_class(m->b, &(struct char_range){ 0, 0x10ffff }, 1), min, min + 2));
    default: return random_leaf(m);
    }
}

static const struct node *random_node(struct making *m, int depth)
{
    const struct node *parts[3];
    if (depth == 0)
        return pick(m, 3) ? random_leaf(m) : node_call(m->b, m->rules[pick(m, m->n_rules)]);
    size_t n = 2 + pick(m, 2), min = pick(m, 3), kind = pick(m, 6);
    for (size_t i = 0; i < 3; i++)
        parts[i] = random_node(m, depth - 1);
    switch (kind) {
    case 0:
    case 1: return node_seq(m->b, parts, n);
    case 2: return node_or(m->b, parts, n);
    case 3: return node_repeat(m->b, parts[0], min, pick(m, 2) ? REPEAT_ENDLESS : min + 1 + pick(m, 3));
    case 4: return random_regular(m, 2);
    default: return pick(m, 3) ? random_leaf(m) : node_control(m->b, STR("<c>"));
    }
}

/* The same seed makes the same grammar. With an even one bodies begin with a letter or end at once. */
static struct builder *random_grammar(uint64_t seed, size_t *start)
{
    struct making m = { .b = builder_open(), .n_rules = 3 };
    rng_init(&m.rng, seed, 7);
    m.left = seed % 2;
    for (size_t i = 0; i < m.n_rules; i++)
        m.rules[i] = rule_new(m.b, "random");
    for (size_t i = 0; i < m.n_rules; i++) {
        const struct node *parts[2] = { node_text(m.b, (struct str){ &letters[pick(&m, 3)], 1 }),
                                        random_node(&m, 3) };
        const struct node *either[2] = { node_seq(m.b, parts, 2), random_leaf(&m) };
        rule_define(m.b, m.rules[i], m.left ? parts[1] : node_or(m.b, either, 2));
    }
    *start = m.rules[0];
    return m.b;
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

static struct tokenizer *tokenizer;
static struct grammar_vocab *vocab;

static int open_vocab(void **state)
{
    static const char *const words[] = { "ab",
                                         "aa",
                                         "b{",
                                         "\xC3\xA9"
                                         "a",
                                         "abab",
                                         "{{",
                                         "a\"",
                                         "\"",
                                         "<c>a",
                                         "aaaaaa" };
    static const char *const controls[] = { "<c>", "<d>" };
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

/* The mask is what matcher_allows says of each token, and that is what its bytes say. */
static void check_mask(struct matcher *m)
{
    size_t words, any = 0;
    const uint64_t *mask = matcher_mask(m, &words);
    assert_int_equal(words, (tokenizer_size(tokenizer) + 63) / 64);
    for (int32_t id = 0; (size_t)id < tokenizer_size(tokenizer); id++) {
        bool set = mask[id / 64] >> (id % 64) & 1;
        struct str bytes = tokenizer_bytes(tokenizer, id);
        any += set;
        assert_int_equal(set, matcher_allows(m, id));
        if (tokenizer_ends(tokenizer, id)) {
            assert_int_equal(set, matcher_may_end(m));
        } else if (bytes.len) {
            struct matcher *copy = matcher_copy(m);
            assert_int_equal(set, matcher_put(copy, bytes) == bytes.len);
            matcher_close(copy);
        }
    }
    assert_true(any > 0);
}

struct check {
    struct builder *b;
    size_t start;
    struct grammar *g;
};

#define fail_in(c, ...)                                                                                      \
    do {                                                                                                     \
        struct buf rules_ = { 0 };                                                                           \
        reference_print((c)->b, &rules_);                                                                    \
        print_error("%s", rules_.ptr);                                                                       \
        buf_free(&rules_);                                                                                   \
        fail_msg(__VA_ARGS__);                                                                               \
    } while (0)

/* The end it proposes makes a text of the grammar. */
static size_t check_closing(const struct check *c, const struct matcher *m, struct str so_far)
{
    struct buf text = { 0 };
    buf_put_str(&text, so_far);
    assert_true(matcher_closing(m, 1000, &text));
    if (text.len <= REFERENCE_TEXT_MAX && !reference_matches(c->b, c->start, buf_str(&text)))
        fail_in(c, "\"%.*s\" is closed as \"%s\"", STR_ARG(so_far), text.ptr);
    size_t len = text.len - so_far.len;
    assert_true(len == 0 || !matcher_closing(m, len - 1, &text));
    buf_free(&text);
    return len;
}

/* Bytes that are forced are the only ones. */
static void check_forced(const struct matcher *m)
{
    struct buf forced = { 0 };
    matcher_forced(m, &forced);
    struct matcher *at = matcher_copy(m);
    for (size_t i = 0; i < forced.len && i < 20; i++) {
        assert_false(matcher_may_end(at));
        for (unsigned c = 0; c < 256; c++) {
            struct matcher *copy = matcher_copy(at);
            char byte = (char)c;
            assert_int_equal(matcher_put(copy, (struct str){ &byte, 1 }), byte == forced.ptr[i]);
            matcher_close(copy);
        }
        matcher_put(at, (struct str){ &forced.ptr[i], 1 });
    }
    matcher_close(at);
    buf_free(&forced);
}

/* What the reference knows of the texts that begin with one. */
struct found {
    bool whole;
    size_t nearest; /* bytes to the end of the shortest, SIZE_MAX: none of up to BRIEF letters */
};

/* All texts up to BRIEF letters, depth first; m stands behind text, or is NULL where it has refused. */
static struct found explore(const struct check *c, const struct matcher *m, struct buf *text)
{
    static const char *const steps[] = { "a", "b", "{", "\xC3\xA9" };
    struct found f = { reference_matches(c->b, c->start, buf_str(text)), SIZE_MAX };
    if (f.whole)
        f.nearest = 0;
    for (size_t i = 0; i < ARRAY_LEN(steps) && text->len < BRIEF; i++) {
        struct matcher *next = m ? matcher_copy(m) : NULL;
        size_t len = strlen(steps[i]), before = text->len;
        if (next && matcher_put(next, str_from(steps[i])) < len) {
            matcher_close(next);
            next = NULL;
        }
        buf_puts(text, steps[i]);
        struct found below = m || text->len < 4 ? explore(c, next, text) : (struct found){ false, SIZE_MAX };
        text->len = before;
        text->ptr[before] = 0;
        matcher_close(next);
        if (below.nearest != SIZE_MAX && below.nearest + len < f.nearest)
            f.nearest = below.nearest + len;
    }
    if (f.nearest != SIZE_MAX && !m)
        fail_in(c, "\"%.*s\" was refused, and a text goes on from it", STR_ARG(buf_str(text)));
    if (!m)
        return f;
    if (f.whole != matcher_may_end(m))
        fail_in(c, "\"%.*s\" may %send", STR_ARG(buf_str(text)), f.whole ? "" : "not ");
    size_t closing = check_closing(c, m, buf_str(text));
    if (closing > f.nearest)
        fail_in(c, "\"%.*s\" is closed by %zu bytes, %zu would do", STR_ARG(buf_str(text)), closing,
                f.nearest);
    return f;
}

static void random_grammars_agree(void **state)
{
    (void)state;
    size_t made = 0;
    for (uint64_t seed = 0; seed < GRAMMARS; seed++) {
        struct check c = { 0 };
        struct err err = { 0 };
        struct buf text = { 0 };
        struct matcher *m;
        struct builder *b = random_grammar(seed, &c.start);
        enum err_code code = grammar_from(&c.g, b, c.start, ERR_INVALID_VALUE, &err);
        if (code) { /* that nothing can satisfy; left recursion is turned around */
            assert_non_null(strstr(err.message, "No text"));
            continue;
        }
        made++;
        c.b = random_grammar(seed, &c.start);
        matcher_open(&m, c.g, vocab);
        buf_puts(&text, "");
        explore(&c, m, &text);
        for (int i = 0; i < 3; i++) {
            check_mask(m);
            check_forced(m);
            buf_clear(&text);
            matcher_closing(m, 1000, &text);
            if (text.len)
                matcher_put(m, str_slice(buf_str(&text), 0, 1));
        }
        matcher_close(m);
        grammar_unref(c.g);
        builder_close(c.b);
        buf_free(&text);
    }
    assert_true(made > GRAMMARS / 2);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(random_grammars_agree, open_vocab, close_vocab),
};
TEST_GROUP(grammar_matcher, tests)
