/*
 * local.c - jobs on a real engine: a tiny model made here, drawn from with seeds.
 */
#include "test.h"
#include "watch.h"

#include "../model/gguf_make.h"

#include <string.h>

enum { JOBS = 12 };

static struct conductor *open_tiny(int sequences_max)
{
    struct buf path = { 0 };
    struct conductor *c = NULL;
    struct err err = { 0 };
    buf_printf(&path, "%s/jobs.gguf", test_tmpdir());
    gguf_make_tiny(path.ptr, "llama", TENSOR_Q8_0, 5);
    struct engine_config ec = { .kind = "local",
                                .model_path = path.ptr,
                                .threads = 1,
                                .kv_bytes_max = 16 << 20,
                                .sequences_max = sequences_max };
    if (conductor_open(&c, &(struct conductor_config){ .engine = &ec, .jobs_max = JOBS }, &err))
        fail_msg("%s", err.message);
    buf_free(&path);
    return c;
}

/* All at once; returns the tokens of all. */
static int64_t run_all(struct watch *watches, int sequences_max)
{
    struct conductor *c = open_tiny(sequences_max);
    int64_t tokens = 0;
    for (size_t i = 0; i < JOBS; i++) {
        struct job_spec spec = watch_spec(c, "How many?", i % 2 ? EFFORT_LOW : EFFORT_NONE, 30);
        struct err err;
        spec.plan.temperature = 1;
        spec.choices = 1 + i % 3;
        spec.seed = i / 2;
        spec.summary = SUMMARY_DETAILED;
        assert_int_equal(watch_submit(&watches[i], c, &spec, &err), ERR_OK);
        engine_prompt_unref(spec.prompt);
    }
    for (size_t i = 0; i < JOBS; i++) {
        watch_wait(&watches[i]);
        tokens += watches[i].output_tokens;
    }
    assert_int_equal(tokens, engine_tokens_generated(conductor_engine(c)));
    watch_close(c);
    return tokens;
}

static void the_same_seeds_give_the_same_answers(void **state)
{
    (void)state;
    struct watch *alone = mem_array(JOBS, sizeof *alone), *together = mem_array(JOBS, sizeof *together);
    assert_int_equal(run_all(alone, 1), run_all(together, 32));
    for (size_t i = 0; i < JOBS; i++) {
        assert_int_equal(alone[i].status, together[i].status);
        assert_int_equal(alone[i].n_items, together[i].n_items);
        /* Items are numbered as they begin, which depends on company; what a choice says does not. */
        for (size_t a = 0; a < alone[i].n_items; a++)
            for (size_t b = 0; b < together[i].n_items; b++)
                if (alone[i].choice_of[a] == together[i].choice_of[b] &&
                    alone[i].kinds[a] == together[i].kinds[b])
                    assert_true(str_eq(buf_str(&alone[i].texts[a]), buf_str(&together[i].texts[b])));
        watch_free(&alone[i]);
        watch_free(&together[i]);
    }
    mem_free(alone);
    mem_free(together);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_same_seeds_give_the_same_answers),
};
TEST_GROUP(job_local, tests)
