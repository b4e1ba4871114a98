/*
 * events.c - the events of a job, in the API's order, for every way in which it can go.
 */
#include "test.h"
#include "watch.h"

#include <string.h>

struct fixture {
    struct conductor *c;
    struct watch w;
};

static int open_fixture(void **state)
{
    struct fixture *f = mem_zalloc(sizeof *f);
    f->c = watch_open(64, 64);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    watch_close(f->c);
    watch_free(&f->w);
    mem_free(f);
    return 0;
}

static const char *text(const struct buf *b)
{
    return b->len ? b->ptr : "";
}

static void thought_and_answer(void **state)
{
    struct fixture *f = *state;
    watch_run(&f->w, f->c, "two words", EFFORT_MEDIUM, 0);
    assert_string_equal(watch_log(&f->w),
                        "created\nstarted\nitem_added rs\nitem_done\nitem_added msg\npart_added\n"
                        "text_delta x2\ntext_done\npart_done\nitem_done\nchoice_done\nended\n");
    assert_int_equal(f->w.status, JOB_COMPLETED);
    assert_string_equal(text(&f->w.texts[0]), "");
    assert_string_equal(text(&f->w.texts[1]), "two words");
    assert_string_equal(text(&f->w.thought), "Word 1 is \"two\".\nWord 2 is \"words\".\n");
    assert_int_equal(f->w.input_tokens, 4);
    assert_int_equal(f->w.reasoning_tokens, 10);
    assert_int_equal(f->w.output_tokens, 13);
    assert_true(f->w.complete[0] && f->w.complete[1]);
    assert_memory_equal(f->w.ids[0] + 3, f->w.ids[1] + 4, 40);
    assert_int_equal(conductor_jobs(f->c), 0);
}

static void summary_has_its_part(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = watch_spec(f->c, "two words", EFFORT_MEDIUM, 0);
    struct err err;
    spec.summary = SUMMARY_DETAILED;
    assert_int_equal(watch_submit(&f->w, f->c, &spec, &err), ERR_OK);
    engine_prompt_unref(spec.prompt);
    watch_wait(&f->w);
    assert_string_equal(
        watch_log(&f->w),
        "created\nstarted\nitem_added rs\nsummary_added\nsummary_delta x2\nsummary_text_done\n"
        "summary_done\nitem_done\nitem_added msg\npart_added\ntext_delta x2\ntext_done\npart_done\n"
        "item_done\nchoice_done\nended\n");
    assert_string_equal(text(&f->w.texts[0]), "Word 1 is \"two\".\nWord 2 is \"words\".");
}

static void no_thought_no_item(void **state)
{
    struct fixture *f = *state;
    watch_run(&f->w, f->c, "two words", EFFORT_NONE, 0);
    assert_string_equal(watch_log(&f->w),
                        "created\nstarted\nitem_added msg\npart_added\ntext_delta x2\ntext_done\n"
                        "part_done\nitem_done\nchoice_done\nended\n");
    assert_int_equal(f->w.reasoning_tokens, 0);
}

static void empty_answer_is_an_answer(void **state)
{
    struct fixture *f = *state;
    watch_run(&f->w, f->c, "/count 0", EFFORT_NONE, 0);
    assert_string_equal(watch_log(&f->w),
                        "created\nstarted\nitem_added msg\npart_added\ntext_done\npart_done\n"
                        "item_done\nchoice_done\nended\n");
    assert_int_equal(f->w.status, JOB_COMPLETED);
}

static void length_is_incomplete(void **state)
{
    struct fixture *f = *state;
    watch_run(&f->w, f->c, "/count 100", EFFORT_NONE, 20);
    assert_int_equal(f->w.status, JOB_INCOMPLETE);
    assert_int_equal(f->w.choices[0].finish, FINISH_LENGTH);
    assert_int_equal(f->w.n_items, 1);
    assert_false(f->w.complete[0]);
    assert_int_equal(f->w.output_tokens, 20);
}

/* One token: the thought has begun, nothing else has. */
static void length_inside_the_thought(void **state)
{
    struct fixture *f = *state;
    watch_run(&f->w, f->c, "word", EFFORT_HIGH, 1);
    assert_string_equal(watch_log(&f->w), "created\nstarted\nitem_added rs\nitem_done\nchoice_done\nended\n");
    assert_int_equal(f->w.status, JOB_INCOMPLETE);
    assert_false(f->w.complete[0]);
    assert_int_equal(f->w.output_tokens, 1);
}

static void budget_closes_the_thought(void **state)
{
    static const struct {
        enum effort effort;
        int64_t reasoning; /* T = 64: the cap, the sentence, the marker */
    } cases[] = { { EFFORT_MINIMAL, 8 + 6 }, { EFFORT_LOW, 32 + 6 },    { EFFORT_MEDIUM, 64 + 6 },
                  { EFFORT_HIGH, 128 + 6 },  { EFFORT_XHIGH, 192 + 6 }, { EFFORT_MAX, 256 + 6 } };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        watch_run(&f->w, f->c, "/ponder", cases[i].effort, 0);
        assert_int_equal(f->w.status, JOB_COMPLETED);
        assert_int_equal(f->w.reasoning_tokens, cases[i].reasoning);
        assert_true(f->w.choices[0].closed_by_budget);
        assert_string_equal(text(&f->w.texts[1]), "Done.");
        watch_free(&f->w);
    }
}

static void failure_keeps_what_was_written(void **state)
{
    struct fixture *f = *state;
    watch_run(&f->w, f->c, "/fail", EFFORT_LOW, 0);
    assert_int_equal(f->w.status, JOB_FAILED);
    assert_int_equal(f->w.failure, ERR_SERVER);
    assert_string_equal(text(&f->w.texts[1]), "This will fail.");
    assert_true(f->w.complete[0]);
    assert_false(f->w.complete[1]);
}

static void cancel_keeps_what_was_written(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = watch_spec(f->c, "/hold 3", EFFORT_LOW, 0);
    struct err err;
    assert_int_equal(watch_submit(&f->w, f->c, &spec, &err), ERR_OK);
    engine_prompt_unref(spec.prompt);
    watch_wait_tokens(&f->w, 2 + 8 + 3);
    assert_int_equal(conductor_jobs(f->c), 1);
    job_cancel(f->c, f->w.id);
    job_cancel(f->c, f->w.id);
    job_cancel(f->c, 123456);
    watch_wait(&f->w);
    assert_int_equal(f->w.status, JOB_CANCELLED);
    assert_string_equal(text(&f->w.texts[1]), "1 2 3");
    assert_false(f->w.complete[1]);
    assert_int_equal(f->w.output_tokens, 13);
    job_cancel(f->c, f->w.id); /* it has ended */
}

static void choices_each_have_their_items(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = watch_spec(f->c, "/random 12", EFFORT_LOW, 0);
    struct err err;
    spec.choices = 5;
    spec.seed = 42;
    spec.plan.temperature = 1;
    assert_int_equal(watch_submit(&f->w, f->c, &spec, &err), ERR_OK);
    watch_wait(&f->w);
    assert_int_equal(f->w.status, JOB_COMPLETED);
    assert_int_equal(f->w.n_items, 10);
    assert_int_equal(f->w.choices_done, 5);
    assert_int_equal(f->w.input_tokens, 4); /* the prompt once */
    assert_int_equal(f->w.output_tokens, 5 * (2 + 8 + 12 + 1));
    struct buf first[5] = { 0 };
    for (size_t i = 0; i < 10; i++)
        if (f->w.kinds[i] == JOB_MESSAGE)
            buf_put_str(&first[f->w.choice_of[i]], buf_str(&f->w.texts[i]));
    for (size_t i = 1; i < 5; i++)
        assert_string_not_equal(text(&first[i]), text(&first[0]));

    /* A choice says the same whatever the number of choices. */
    struct watch *alone = mem_zalloc(sizeof *alone);
    spec.choices = 2;
    assert_int_equal(watch_submit(alone, f->c, &spec, &err), ERR_OK);
    watch_wait(alone);
    for (size_t i = 0; i < 4; i++)
        if (alone->kinds[i] == JOB_MESSAGE)
            assert_string_equal(text(&alone->texts[i]), text(&first[alone->choice_of[i]]));
    watch_free(alone);
    mem_free(alone);
    for (size_t i = 0; i < 5; i++)
        buf_free(&first[i]);
    engine_prompt_unref(spec.prompt);
}

static void stops_reach_the_engine(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = watch_spec(f->c, "/count 9", EFFORT_NONE, 0);
    struct err err;
    char stop[] = "5 6";
    spec.stops[spec.n_stops++] = str_from(stop);
    assert_int_equal(watch_submit(&f->w, f->c, &spec, &err), ERR_OK);
    stop[0] = 'x'; /* it was copied */
    engine_prompt_unref(spec.prompt);
    watch_wait(&f->w);
    assert_string_equal(text(&f->w.texts[0]), "1 2 3 4 ");
    assert_int_equal(f->w.status, JOB_COMPLETED);
}

static void no_room_is_refused(void **state)
{
    struct fixture *f = *state;
    struct job_spec spec = watch_spec(f->c, "word", EFFORT_NONE, 0);
    struct err err = { 0 };
    spec.plan.tokens_max = 0;
    assert_int_equal(watch_submit(&f->w, f->c, &spec, &err), ERR_CONTEXT_LENGTH);
    engine_prompt_unref(spec.prompt);
    assert_int_equal(conductor_jobs(f->c), 0);
}

static void run_calls(struct fixture *f, const char *message, const char *stop)
{
    struct job_spec spec = watch_spec(f->c, message, EFFORT_NONE, 0);
    struct err err;
    watch_add_calls(&spec, "plain");
    if (stop)
        spec.stops[spec.n_stops++] = str_from(stop);
    assert_int_equal(watch_submit(&f->w, f->c, &spec, &err), ERR_OK);
    engine_prompt_unref(spec.prompt);
    watch_drop_calls(&spec);
    watch_wait(&f->w);
}

static void text_then_calls(void **state)
{
    struct fixture *f = *state;
    run_calls(f,
              "I look: \n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, 2]}}\n</tool_call>\n"
              "<tool_call>\n{\"name\": \"say\", \"arguments\": {\"input\": \"a\\nb\"}}\n</tool_call>",
              NULL);
    assert_string_equal(watch_log(&f->w),
                        "created\nstarted\nitem_added msg\npart_added\ntext_delta x2\ntext_done\npart_done\n"
                        "item_done\nitem_added fc\ncall_delta x3\ncall_done\nitem_done\n"
                        "item_added ctc\ncall_delta x1\ncall_done\nitem_done\nchoice_done\nended\n");
    assert_int_equal(f->w.status, JOB_COMPLETED);
    assert_string_equal(text(&f->w.texts[0]), "I look:");
    assert_string_equal(text(&f->w.texts[1]), "{\"a\": [1, 2]}");
    assert_string_equal(text(&f->w.texts[2]), "a\nb");
    assert_true(f->w.complete[0] && f->w.complete[1] && f->w.complete[2]);
}

static void calls_alone_have_no_message(void **state)
{
    struct fixture *f = *state;
    run_calls(f, "<tool_call>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_call>", NULL);
    assert_string_equal(watch_log(&f->w),
                        "created\nstarted\nitem_added fc\ncall_delta x1\ncall_done\nitem_done\n"
                        "choice_done\nended\n");
}

/* What looks like the beginning of a call is shown when it turns out to be none. */
static void text_that_was_held_back_comes(void **state)
{
    struct fixture *f = *state;
    run_calls(f, "a <tool_", NULL);
    assert_int_equal(f->w.n_items, 1);
    assert_string_equal(text(&f->w.texts[0]), "a <tool_");
}

static void a_call_that_a_stop_cuts_is_incomplete(void **state)
{
    struct fixture *f = *state;
    run_calls(f, "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"x halt y\"}}\n</tool_call>",
              "halt");
    assert_int_equal(f->w.status, JOB_COMPLETED);
    assert_string_equal(text(&f->w.texts[0]), "{\"a\": \"x ");
    assert_false(f->w.complete[0]);
}

#define ON_ECHO(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

static const struct CMUnitTest tests[] = {
    ON_ECHO(thought_and_answer),
    ON_ECHO(summary_has_its_part),
    ON_ECHO(no_thought_no_item),
    ON_ECHO(empty_answer_is_an_answer),
    ON_ECHO(length_is_incomplete),
    ON_ECHO(length_inside_the_thought),
    ON_ECHO(budget_closes_the_thought),
    ON_ECHO(failure_keeps_what_was_written),
    ON_ECHO(cancel_keeps_what_was_written),
    ON_ECHO(choices_each_have_their_items),
    ON_ECHO(stops_reach_the_engine),
    ON_ECHO(no_room_is_refused),
    ON_ECHO(text_then_calls),
    ON_ECHO(calls_alone_have_no_message),
    ON_ECHO(text_that_was_held_back_comes),
    ON_ECHO(a_call_that_a_stop_cuts_is_incomplete),
};
TEST_GROUP(job_events, tests)
