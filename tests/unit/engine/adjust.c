/*
 * adjust.c - penalties and biases: what is chosen is what a model alone, asked row by row with the formula written out,
 * would choose; what is told of it is what it says without them; thoughts know nothing of them.
 */
#include "base/log.h"
#include "collect.h"
#include "engine/engine_impl.h"
#include "model/model.h"
#include "models.h"
#include "test.h"

#include <math.h>
#include <string.h>

static char *tiny, *thinker; /* the second's prompt opens the thought */

static int make_models(void **state)
{
    (void)state;
    tiny = models_make_tiny("adjust", NULL, NULL);
    thinker = models_make_thinker("adjust", NULL, NULL);
    log_set_level(LOG_ERROR);
    return 0;
}

static int free_models(void **state)
{
    (void)state;
    mem_free(tiny);
    mem_free(thinker);
    log_set_level(LOG_INFO);
    return 0;
}

static struct collector *open_model(const char *path)
{
    return collect_open(&(struct engine_config){ .kind = "local",
                                                 .model_path = path,
                                                 .threads = 2,
                                                 .kv_bytes_max = 16 << 20,
                                                 .cpu_mask = ~0u,
                                                 .sequences_max = 8,
                                                 .speculation = SPECULATION_LOOKUP });
}

/* --- against the model ------------------------------------------------------------------------------------ */

struct alone {
    struct model *model;
    struct kv *kv;
    float *logits;
    int *count;
    size_t n_vocab;
};

static void alone_open(struct alone *a)
{
    struct err err;
    struct model_config mc = { .path = tiny, .threads = 1, .kv_bytes_max = 16 << 20, .cpu_mask = ~0u };
    assert_int_equal(model_open(&a->model, &mc, &err), ERR_OK);
    a->kv = kv_open(a->model);
    a->n_vocab = (size_t)model_info(a->model)->n_vocab;
    a->logits = mem_array(a->n_vocab, sizeof *a->logits);
    a->count = mem_array(a->n_vocab, sizeof *a->count);
}

static void alone_close(struct alone *a)
{
    mem_free(a->logits);
    mem_free(a->count);
    kv_close(a->kv);
    model_close(a->model);
}

static double log_softmax(const struct alone *a, int32_t id)
{
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < a->n_vocab; i++)
        max = fmax(max, (double)a->logits[i]);
    for (size_t i = 0; i < a->n_vocab; i++)
        sum += exp((double)a->logits[i] - max);
    return (double)a->logits[id] - max - log(sum);
}

static float bent(const struct alone *a, const struct engine_params *p, size_t id)
{
    float l = a->logits[id];
    for (size_t i = 0; i < p->n_biases; i++)
        if ((size_t)p->biases[i].id == id)
            l += p->biases[i].bias;
    if (a->count[id])
        l -= p->frequency_penalty * (float)a->count[id] + p->presence_penalty;
    return l;
}

static int32_t best_of(const struct alone *a, const struct engine_params *p)
{
    size_t best = 0;
    for (size_t i = 1; i < a->n_vocab; i++)
        if (bent(a, p, i) > bent(a, p, best))
            best = i;
    return (int32_t)best;
}

static void same_as_alone(const struct engine_params *p, const struct engine_prompt *prompt,
                          const struct collected *got)
{
    struct alone a;
    struct err err;
    int64_t n = engine_prompt_tokens(prompt);
    alone_open(&a);
    assert_int_equal(kv_reserve(a.kv, n + p->tokens_max, &err), ERR_OK);
    for (int64_t i = 0; i < n; i++)
        model_forward(a.model, &(struct model_row){ a.kv, engine_prompt_ids(prompt)[i], true }, 1, a.logits);
    for (size_t i = 0; i < got->n_tokens; i++) {
        int32_t id = best_of(&a, p);
        assert_int_equal(got->tokens[i].id, id);
        assert_near(log_softmax(&a, id), (double)got->tokens[i].logprob, 1e-4);
        a.count[id]++;
        model_forward(a.model, &(struct model_row){ a.kv, id, true }, 1, a.logits);
    }
    alone_close(&a);
}

static const struct engine_bias biases[] = { { 101, 1.5f }, { 32, -100 }, { 66, -0.5f } };

static void choices_are_the_formula(void **state)
{
    (void)state;
    enum { STEPS = 60, CASES = 5 };
    static const struct {
        float presence, frequency;
        size_t n_biases;
    } cases[CASES] = { { 0.6f, 0, 0 }, { 0, 0.3f, 0 }, { -1, 0.1f, 0 }, { 0, 0, 3 }, { 0.2f, 0.4f, 3 } };
    struct collector *c = open_model(tiny);
    struct engine_prompt *prompt = collect_text_prompt(c, "abc abd abe");
    struct engine_params plain = collect_params(STEPS);
    plain.ignore_eos = true;
    collect_submit(c, CASES, prompt, &plain);
    const struct collected *unbent = collect_wait(c, CASES);
    same_as_alone(&plain, prompt, unbent);
    for (uint64_t i = 0; i < CASES; i++) {
        struct engine_params p = plain;
        p.presence_penalty = cases[i].presence;
        p.frequency_penalty = cases[i].frequency;
        p.biases = biases;
        p.n_biases = cases[i].n_biases;
        collect_submit(c, i, prompt, &p);
        const struct collected *got = collect_wait(c, i);
        assert_int_equal(got->n_tokens, STEPS);
        same_as_alone(&p, prompt, got);
        size_t same = 0;
        while (same < STEPS && got->tokens[same].id == unbent->tokens[same].id)
            same++;
        assert_true(same < STEPS); /* it made a difference */
    }
    engine_prompt_unref(prompt);
    collect_close(c);
}

/* --- thoughts --------------------------------------------------------------------------------------------- */

static void thoughts_are_left_alone(void **state)
{
    (void)state;
    enum { RUNS = 8, THOUGHT = 40 };
    struct collector *c = open_model(thinker);
    int differ = 0, began_alike = 0;
    for (uint64_t seq = 0; seq < RUNS; seq++) {
        struct engine_params p = collect_params(130);
        p.ignore_eos = true;
        p.think_tokens_max = THOUGHT;
        p.answer_tokens_min = 80;
        p.temperature = seq % 2 ? 1 : 0;
        p.seed = seq;
        const struct collected *plain = collect_run(c, 2 * seq, "what now?", true, &p);
        p.presence_penalty = 2;
        p.frequency_penalty = 1;
        const struct collected *got = collect_run(c, 2 * seq + 1, "what now?", true, &p);
        assert_string_equal(collect_text(&plain->thought), collect_text(&got->thought));
        differ += strcmp(collect_text(&plain->answer), collect_text(&got->answer)) != 0;
        /* Nor does the thought count: the answer begins as it would have. */
        size_t first = (size_t)plain->thinking_tokens;
        began_alike += plain->tokens[first].id == got->tokens[first].id;
    }
    assert_true(differ > RUNS / 2);
    assert_int_equal(began_alike, RUNS);
    collect_close(c);
}

/* --- echo ---------------------------------------------------------------------------------------------------- */

static void echo_has_digits_to_bend(void **state)
{
    (void)state;
    struct collector *c = collect_echo();
    struct engine_params p = collect_params(100);
    const struct engine_bias seven[] = { { ECHO_NUMBER + 7, 100 } },
                             no_three[] = { { ECHO_NUMBER + 3, -100 } };
    p.temperature = 1;
    p.biases = seven;
    p.n_biases = 1;
    assert_string_equal(collect_text(&collect_run(c, 1, "/random 5", false, &p)->answer), "7 7 7 7 7");
    p.biases = no_three;
    const struct collected *s = collect_run(c, 2, "/random 90", false, &p);
    assert_int_equal(s->output_tokens, 91);
    assert_int_equal(str_find(buf_str(&s->answer), STR("3")), SIZE_MAX);
    assert_near(log(0.1), (double)s->tokens[4].logprob, 1e-6);
    p.n_biases = 0;
    p.presence_penalty = 100; /* ten draws are a permutation */
    s = collect_run(c, 3, "/random 10", false, &p);
    for (int digit = 0; digit < 10; digit++)
        assert_non_null(memchr(s->answer.ptr, '0' + digit, s->answer.len));
    collect_close(c);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(choices_are_the_formula, make_models),
    cmocka_unit_test(thoughts_are_left_alone),
    cmocka_unit_test_teardown(echo_has_digits_to_bend, free_models),
};
TEST_GROUP(engine_adjust, tests)
