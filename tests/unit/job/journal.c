/*
 * journal.c - what the engine said comes back from its bytes as it was; bytes that are no journal are refused.
 *
 * The journal has no front door of its own: what is tested here is that of the folder's files among themselves.
 */
#include "job/job_impl.h"

#include "base/rng.h"
#include "test.h"

#include <string.h>

static struct heard a_heard(struct rng *r)
{
    static const char *const texts[] = { "", "a", " word", "\xc3\xa4\xe2\x82\xac", "two\nlines" };
    struct heard h = { .kind = (enum engine_kind)rng_below(r, ENGINE_DONE + 1),
                       .stage = (enum engine_stage)rng_below(r, 2),
                       .finish = (enum engine_finish)rng_below(r, FINISH_CANCELLED + 1),
                       .closed_by_budget = rng_below(r, 2),
                       .deadline = rng_below(r, 2),
                       .output_tokens = (int64_t)rng_below(r, 1 << 20),
                       .thinking_tokens = (int64_t)rng_below(r, 1 << 20),
                       .cached_tokens = (int64_t)rng_below(r, 1 << 20),
                       .text = str_from(texts[rng_below(r, ARRAY_LEN(texts))]) };
    h.token.id = (int32_t)rng_below(r, 100000) - 1;
    h.token.logprob = -(float)rng_below(r, 1000) / 100;
    h.token.confidence = (float)rng_below(r, 1000) / 100;
    h.token.n_top = (int)rng_below(r, ENGINE_TOP_LOGPROBS_MAX + 1);
    for (int i = 0; i < h.token.n_top; i++) {
        h.token.top[i].id = (int32_t)i;
        h.token.top[i].logprob = -(float)i;
    }
    return h;
}

static void expect_same(const struct heard *want, const struct heard *got)
{
    assert_int_equal(got->kind, want->kind);
    assert_int_equal(got->stage, want->stage);
    assert_int_equal(got->finish, want->finish);
    assert_int_equal(got->closed_by_budget, want->closed_by_budget);
    assert_int_equal(got->deadline, want->deadline);
    assert_int_equal(got->output_tokens, want->output_tokens);
    assert_int_equal(got->thinking_tokens, want->thinking_tokens);
    assert_int_equal(got->cached_tokens, want->cached_tokens);
    assert_int_equal(got->token.id, want->token.id);
    assert_true(got->token.logprob == want->token.logprob && got->token.confidence == want->token.confidence);
    assert_int_equal(got->token.n_top, want->token.n_top);
    assert_memory_equal(&got->token.top, &want->token.top,
                        (size_t)want->token.n_top * sizeof want->token.top[0] + !want->token.n_top);
    assert_memory_equal(&got->confidence, &want->confidence, sizeof want->confidence);
    assert_true(str_eq(got->text, want->text));
}

static void every_entry_comes_back(void **state)
{
    (void)state;
    enum { N = 500 };
    struct heard *all = mem_array(N, sizeof *all);
    size_t choices[N], choice;
    struct buf bytes = { 0 };
    struct rng r;
    struct heard got;
    rng_init(&r, 1, 0);
    for (size_t i = 0; i < N; i++) {
        all[i] = a_heard(&r);
        choices[i] = rng_below(&r, JOB_CHOICES_MAX);
        journal_put(&bytes, choices[i], &all[i]);
    }
    struct str rest = buf_str(&bytes);
    for (size_t i = 0; i < N; i++) {
        assert_true(journal_take(&rest, &choice, &got));
        assert_int_equal(choice, choices[i]);
        expect_same(&all[i], &got);
    }
    assert_int_equal(rest.len, 0);
    assert_false(journal_take(&rest, &choice, &got));
    buf_free(&bytes);
    mem_free(all);
}

static void a_failure_says_why(void **state)
{
    (void)state;
    struct err err = { 0 };
    struct buf bytes = { 0 };
    struct heard got;
    size_t choice;
    err_set(&err, ERR_SERVER, NULL, "It broke.");
    journal_put(&bytes, 5, &(struct heard){ .kind = ENGINE_FAILED, .err = &err, .output_tokens = 9 });
    struct str rest = buf_str(&bytes);
    assert_true(journal_take(&rest, &choice, &got));
    assert_int_equal(5, choice);
    assert_int_equal(ENGINE_FAILED, got.kind);
    assert_int_equal(9, got.output_tokens);
    assert_int_equal(ERR_SERVER, got.token.id);
    assert_true(str_is(got.text, "It broke."));
    buf_free(&bytes);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 2, 0);
    for (int i = 0; i < 50; i++) {
        struct heard h = a_heard(&r), got;
        struct buf bytes = { 0 };
        size_t choice;
        journal_put(&bytes, 3, &h);
        for (size_t len = 0; len < bytes.len; len++) {
            char *copy = mem_strndup(bytes.ptr, len); /* so that a sanitizer sees what is read behind it */
            struct str cut = { copy, len };
            assert_false(journal_take(&cut, &choice, &got));
            mem_free(copy);
        }
        buf_free(&bytes);
    }
}

/* Each byte of the head in turn says something that cannot be. */
static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    struct heard h = { .kind = ENGINE_TEXT, .text = STR("abc") }, got;
    struct buf good = { 0 };
    size_t choice;
    journal_put(&good, 0, &h);
    static const struct {
        size_t at;
        unsigned char value;
    } wrong[] = { { 0, JOB_CHOICES_MAX },
                  { 1, ENGINE_FAILED + 1 },
                  { 1, 255 },
                  { 2, ENGINE_ANSWER + 1 },
                  { 3, FINISH_CANCELLED + 1 },
                  { 5, 255 },
                  { 8, 4 },
                  { 11, 255 } };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct buf bad = { 0 };
        buf_put_str(&bad, buf_str(&good));
        bad.ptr[wrong[i].at] = (char)wrong[i].value;
        struct str rest = buf_str(&bad);
        if (journal_take(&rest, &choice, &got))
            fail_msg("byte %zu as %d was taken", wrong[i].at, wrong[i].value);
        buf_free(&bad);
    }
    good.ptr[good.len - 1] = (char)0xff; /* text that is no UTF-8 */
    struct str rest = buf_str(&good);
    assert_false(journal_take(&rest, &choice, &got));
    buf_free(&good);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_entry_comes_back),
    cmocka_unit_test(a_failure_says_why),
    cmocka_unit_test(every_truncation_is_refused),
    cmocka_unit_test(what_cannot_be_is_refused),
};
TEST_GROUP(job_journal, tests)
