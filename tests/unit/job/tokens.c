/*
 * tokens.c - which tokens are listed, and where: exactly on the echo engine, whose tokens are words, and by rule on a tiny
 * model of single bytes, which writes little else than broken characters.
 */
#include "test.h"
#include "watch.h"

#include "../model/gguf_make.h"

#include <math.h>
#include <string.h>

static void run(struct watch *w, struct conductor *c, const struct job_spec *spec)
{
    struct err err;
    assert_int_equal(watch_submit(w, c, spec, &err), ERR_OK);
    watch_wait(w);
}

/* "text@place" of each listed token of choice 0, one behind the other. */
static void describe(struct buf *out, const struct watch *w, struct conductor *c)
{
    const struct job_choice *choice = &w->choices[0];
    buf_clear(out);
    for (size_t i = 0; i < choice->n_tokens; i++) {
        struct str text = engine_token_text(conductor_engine(c), choice->tokens[i].id);
        buf_printf(out, "%s%.*s@%zu", i ? "|" : "", STR_ARG(text), choice->tokens[i].at);
    }
    buf_puts(out, "");
}

/* Thinking, markers and the end of the turn are not part of the answer. */
static void an_answer_lists_what_it_shows(void **state)
{
    (void)state;
    static const struct {
        const char *message, *stop, *tokens;
    } cases[] = {
        { "two words", NULL, "two@0| words@3" },
        { "/count 9", " 4", " 1@0| 2@1| 3@3" },
        { "/count 9", "4 5", " 1@0| 2@1| 3@3| 4@5" }, /* of " 4" the blank is shown */
        { "/count 9", "2 x", " 1@0| 2@1| 3@3| 4@5| 5@7| 6@9| 7@11| 8@13| 9@15" },
        { "/count 0", NULL, "" },
    };
    struct conductor *c = watch_open(8, 8);
    struct buf seen = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct watch *w = mem_zalloc(sizeof *w);
        struct job_spec spec = watch_spec(c, cases[i].message, EFFORT_LOW, 0);
        spec.logprobs = true;
        spec.top_logprobs = 2;
        if (cases[i].stop)
            spec.stops[spec.n_stops++] = str_from(cases[i].stop);
        run(w, c, &spec);
        describe(&seen, w, c);
        assert_string_equal(seen.ptr ? seen.ptr : "", cases[i].tokens);
        assert_int_equal(w->choices[0].n_prompt_tokens, 0);
        engine_prompt_unref(spec.prompt);
        watch_free(w);
        mem_free(w);
    }
    buf_free(&seen);
    watch_close(c);
}

static void nothing_is_kept_unasked(void **state)
{
    (void)state;
    struct conductor *c = watch_open(8, 8);
    struct watch *w = mem_zalloc(sizeof *w);
    watch_run(w, c, "two words", EFFORT_LOW, 0);
    assert_int_equal(w->choices[0].n_tokens, 0);
    assert_int_equal(w->choices[0].confidence.tokens > 0, true);
    assert_false(isnan(w->choices[0].confidence.mean_logprob));
    watch_free(w);
    mem_free(w);
    watch_close(c);
}

/* --- a model of bytes ------------------------------------------------------------------------------------ */

static struct conductor *open_tiny(void)
{
    struct buf path = { 0 };
    struct conductor *c = NULL;
    struct err err = { 0 };
    buf_printf(&path, "%s/tokens.gguf", test_tmpdir());
    gguf_make_tiny(path.ptr, "llama", TENSOR_Q8_0, 5);
    struct engine_config ec = {
        .kind = "local", .model_path = path.ptr, .threads = 1, .kv_bytes_max = 16 << 20, .sequences_max = 16
    };
    if (conductor_open(&c, &(struct conductor_config){ .engine = &ec, .jobs_max = 64 }, &err))
        fail_msg("%s", err.message);
    buf_free(&path);
    return c;
}

static struct str text_of(const struct watch *w, size_t choice)
{
    for (size_t i = 0; i < w->n_items; i++)
        if (w->choice_of[i] == choice)
            return buf_str(&w->texts[i]);
    return STR("");
}

/* The listed tokens' bytes from one on are the text from its place on, as far as both are whole characters. */
static void check_places(const struct watch *w, size_t choice, struct conductor *c)
{
    const struct job_choice *ch = &w->choices[choice];
    struct str text = text_of(w, choice);
    for (size_t i = ch->n_prompt_tokens; i < ch->n_tokens; i++) {
        struct str bytes = engine_token_text(conductor_engine(c), ch->tokens[i].id);
        size_t at = ch->tokens[i].at;
        assert_true(at <= text.len);
        if (bytes.len == 1 && (unsigned char)bytes.ptr[0] < 0x80 && at < text.len &&
            bytes.ptr[0] != text.ptr[at])
            fail_msg("token %zu is not at byte %zu of the text", i, at);
        assert_true(ch->tokens[i].logprob <= 0);
        assert_int_equal(ch->tokens[i].n_top, 1);
        assert_true(ch->alternatives[i].logprob >= ch->tokens[i].logprob ||
                    fabsf(ch->alternatives[i].logprob - ch->tokens[i].logprob) < 1e-5f);
    }
}

/* Without a stop string every token is listed, whatever it shows; with one, no fewer than cover the text. */
static void text_lists_every_token(void **state)
{
    (void)state;
    struct conductor *c = open_tiny();
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct watch *w = mem_zalloc(sizeof *w);
        struct job_spec spec = watch_spec_text(c, "the end", 24);
        bool stops = seed % 2;
        spec.choices = 3;
        spec.seed = seed;
        spec.plan.temperature = 1;
        if (stops) {
            spec.stops[spec.n_stops++] = STR("a");
            spec.stops[spec.n_stops++] = STR("er");
            spec.stops[spec.n_stops++] = STR("\xef\xbf\xbd\xef\xbf\xbd"); /* two broken characters */
        }
        run(w, c, &spec);
        for (size_t i = 0; i < 3; i++) {
            const struct job_choice *ch = &w->choices[i];
            if (!stops || ch->finish == FINISH_LENGTH)
                assert_int_equal(ch->n_tokens, ch->output_tokens);
            else
                assert_true(ch->n_tokens <= (size_t)ch->output_tokens);
            check_places(w, i, c);
        }
        engine_prompt_unref(spec.prompt);
        watch_free(w);
        mem_free(w);
    }
    watch_close(c);
}

/* Reading a prompt alone gives what reading it before generating gives. */
static void a_prompt_lists_its_tokens(void **state)
{
    (void)state;
    struct conductor *c = open_tiny();
    struct watch *w = mem_array(2, sizeof *w);
    for (size_t i = 0; i < 2; i++) {
        struct job_spec spec = watch_spec_text(c, "the tin", (int64_t)i * 4);
        spec.prompt_logprobs = true;
        run(&w[i], c, &spec);
        int64_t n = engine_prompt_tokens(spec.prompt);
        assert_int_equal(w[i].choices[0].n_prompt_tokens, n);
        assert_int_equal(w[i].choices[0].n_tokens, n + (int64_t)i * 4);
        assert_int_equal(w[i].output_tokens, i * 4);
        assert_int_equal(w[i].status, JOB_INCOMPLETE);
        assert_true(isnan(w[i].choices[0].tokens[0].logprob));
        for (int64_t k = 1; k < n; k++) {
            assert_int_equal(w[i].choices[0].tokens[k].id, engine_prompt_ids(spec.prompt)[k]);
            assert_true(w[i].choices[0].tokens[k].logprob == w[0].choices[0].tokens[k].logprob);
        }
        engine_prompt_unref(spec.prompt);
    }
    for (size_t i = 0; i < 2; i++)
        watch_free(&w[i]);
    mem_free(w);
    watch_close(c);
}

/* --- several prompts ---------------------------------------------------------------------------------------- */

/* A prompt's choices are the same alone and beside others, and every prompt is counted once. */
static void prompts_do_not_meet(void **state)
{
    (void)state;
    static const char *const texts[] = { "the end", "in the inn", "ten" };
    struct conductor *c = open_tiny();
    struct watch *all = mem_zalloc(sizeof *all), *one = mem_zalloc(sizeof *one);
    struct engine_prompt *prompts[3];
    struct job_spec spec = { 0 };
    int64_t tokens = 0;
    for (size_t i = 0; i < 3; i++) {
        spec = watch_spec_text(c, texts[i], 12);
        prompts[i] = spec.prompt;
        tokens += engine_prompt_tokens(spec.prompt);
    }
    spec.prompts = prompts;
    spec.n_prompts = 3;
    spec.choices = 2;
    spec.seed = 9;
    spec.plan.temperature = 1;
    run(all, c, &spec);
    assert_int_equal(all->input_tokens, tokens);
    assert_true(all->cached_tokens < tokens);
    spec.prompt = prompts[1];
    spec.n_prompts = 0;
    run(one, c, &spec);
    for (size_t i = 0; i < 2; i++)
        assert_true(str_eq(text_of(one, i), text_of(all, 2 + i)));
    assert_false(str_eq(text_of(one, 0), text_of(one, 1)));
    for (size_t i = 0; i < 3; i++)
        engine_prompt_unref(prompts[i]);
    watch_free(all);
    watch_free(one);
    mem_free(all);
    mem_free(one);
    watch_close(c);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(an_answer_lists_what_it_shows), cmocka_unit_test(nothing_is_kept_unasked),
    cmocka_unit_test(text_lists_every_token),        cmocka_unit_test(a_prompt_lists_its_tokens),
    cmocka_unit_test(prompts_do_not_meet),
};
TEST_GROUP(job_tokens, tests)
