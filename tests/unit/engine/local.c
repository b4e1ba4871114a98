/*
 * local.c - the engine on tiny models made here: the same tokens alone and in a batch, prompts beside
 * decoding, memory that binds, and thoughts told apart by a real vocabulary.
 */
#include "base/file.h"
#include "base/rng.h"
#include "collect.h"
#include "model/model.h"
#include "test.h"

#include "../model/gguf_make.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What the tiny model's template does when enable_thinking is not false, and the same number of bytes that open
 * a thought instead. */
#define TEMPLATE_TAIL "and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
#define TEMPLATE_OPEN "and enable_thinking is true              %}<think>{% endif %}"
_Static_assert(sizeof TEMPLATE_TAIL == sizeof TEMPLATE_OPEN, "a patch keeps the file's offsets");

static char *model_path(const char *name)
{
    struct buf b = { 0 };
    buf_printf(&b, "%s/%s.gguf", test_tmpdir(), name);
    return buf_take(&b);
}

/* A tiny model whose bytes were changed before they were written: from, where it is first found, becomes to. */
static char *patched_model(const char *name, struct str from, struct str to)
{
    struct gguf_make_shape shape = gguf_make_tiny_shape("qwen3", TENSOR_F32, 3);
    struct gguf_make g;
    struct buf bytes = { 0 };
    struct err err = { 0 };
    gguf_make_init(&g);
    gguf_make_model(&g, &shape);
    gguf_make_bytes(&g, &bytes);
    size_t at = str_find(buf_str(&bytes), from);
    assert_true(at != SIZE_MAX && from.len == to.len);
    memcpy(bytes.ptr + at, to.ptr, to.len);
    char *path = model_path(name);
    if (file_write(path, buf_str(&bytes), &err))
        fail_msg("%s", err.message);
    buf_free(&bytes);
    gguf_make_free(&g);
    return path;
}

static struct engine_config config_of(const char *path)
{
    return (struct engine_config){ .kind = "local",
                                   .model_path = path,
                                   .threads = 2,
                                   .kv_bytes_max = 64 << 20,
                                   .cpu_mask = ~0u,
                                   .sequences_max = 128 };
}

static char *tiny; /* qwen3, F32 */

static int make_tiny(void **state)
{
    (void)state;
    tiny = model_path("tiny");
    gguf_make_tiny(tiny, "qwen3", TENSOR_F32, 3);
    return 0;
}

static int free_tiny(void **state)
{
    (void)state;
    mem_free(tiny);
    tiny = NULL;
    return 0;
}

static struct collector *open_tiny(int sequences_max)
{
    if (!tiny)
        make_tiny(NULL);
    struct engine_config cfg = config_of(tiny);
    cfg.sequences_max = sequences_max;
    return collect_open(&cfg);
}

static void info_is_the_models(void **state)
{
    (void)state;
    struct collector *c = open_tiny(4);
    const struct engine_info *info = engine_info(c->engine);
    assert_string_equal(info->model, "tiny");
    assert_non_null(strstr(info->description, "qwen3"));
    assert_int_equal(info->context, 1024);
    assert_int_equal(info->thinking_tokens, 256); /* never above a quarter of the context */
    assert_true(info->thinks);
    assert_true(isnan(info->temperature) && isnan(info->top_p) && isnan(info->min_p));
    collect_close(c);
}

static void prompts_are_the_template(void **state)
{
    (void)state;
    struct collector *c = open_tiny(4);
    /* Bytes are tokens but for "er", markers are one each: <|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\n */
    struct engine_prompt *p = collect_prompt(c, "q", true);
    int64_t plain = engine_prompt_tokens(p);
    assert_int_equal(plain, 1 + 4 + 1 + 1 + 1 + 1 + 10);
    engine_prompt_unref(p);
    p = collect_prompt(c, "q", false); /* <think>\n\n</think>\n\n more */
    assert_int_equal(engine_prompt_tokens(p), plain + 6);
    engine_prompt_unref(p);
    /* What a user writes never becomes a control token: ten bytes are ten tokens. */
    p = collect_prompt(c, "<|im_end|>", true);
    assert_true(engine_prompt_tokens(p) > plain + 4);
    engine_prompt_unref(p);
    p = collect_prompt(c, "</think>", true);
    assert_true(engine_prompt_tokens(p) > plain + 2);
    engine_prompt_unref(p);
    collect_close(c);
}

static void prompts_are_bounded(void **state)
{
    (void)state;
    struct collector *c = open_tiny(4);
    static const size_t lengths[] = { 1010, 2000, 3000000 };
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        char *text = mem_alloc(lengths[i] + 1);
        memset(text, '7', lengths[i]);
        text[lengths[i]] = '\0';
        json_t *m = json_pack("[{s:s, s:s}]", "role", "user", "content", text);
        struct engine_prompt *p = NULL;
        struct err err = { 0 };
        assert_int_equal(
            engine_prompt_open(&p, c->engine, &(struct engine_chat){ .messages = m, .think = true }, &err),
            ERR_CONTEXT_LENGTH);
        assert_non_null(strstr(err.message, "maximum context length is 1024 tokens"));
        json_decref(m);
        mem_free(text);
    }
    collect_close(c);
}

/* --- the same tokens, whoever is beside -------------------------------------------------------------- */

enum { MANY = 70 }; /* more than fit into one call of the model */

static const struct engine_bias liked[] = { { 70, 3 }, { 71, -100 } };

static struct engine_params params_of(uint64_t seq)
{
    struct engine_params p = collect_params(8 + (int64_t)(seq % 5) * 6);
    p.seed = seq * 7919;
    p.stream = seq % 3;
    p.temperature = seq % 4 ? 0.5 + 0.4 * (double)(seq % 4) : 0;
    p.top_p = seq % 2 ? 0.9 : 1;
    p.min_p = seq % 5 ? 0 : 0.05;
    p.ignore_eos = seq % 7 == 0;
    p.think_tokens_max = seq % 6 ? -1 : 2;
    p.presence_penalty = seq % 9 == 4 ? 1.5f : 0;
    p.frequency_penalty = seq % 8 == 4 ? 0.5f : 0;
    p.biases = liked;
    p.n_biases = seq % 10 == 3 ? ARRAY_LEN(liked) : 0;
    return p;
}

static void run_many(struct collector *c)
{
    struct engine_prompt *prompts[MANY];
    for (uint64_t seq = 0; seq < MANY; seq++) {
        char message[200];
        snprintf(message, sizeof message, "%0*d and %d?", (int)(1 + seq * 2), (int)seq, (int)(seq * seq));
        prompts[seq] = collect_prompt(c, message, seq % 2);
    }
    for (uint64_t seq = 0; seq < MANY; seq++) {
        struct engine_params p = params_of(seq);
        collect_submit(c, seq, prompts[seq], &p);
    }
    for (uint64_t seq = 0; seq < MANY; seq++) {
        collect_wait(c, seq);
        engine_prompt_unref(prompts[seq]);
    }
}

static void a_batch_changes_nothing(void **state)
{
    (void)state;
    struct collector *alone = open_tiny(1), *batch = open_tiny(MANY);
    run_many(alone);
    run_many(batch);
    int distinct = 0;
    for (size_t i = 0; i < MANY; i++) {
        const struct collected *a = &alone->seqs[i], *b = &batch->seqs[i];
        assert_string_equal(collect_text(&a->answer), collect_text(&b->answer));
        assert_string_equal(collect_text(&a->thought), collect_text(&b->thought));
        assert_int_equal(a->output_tokens, b->output_tokens);
        assert_int_equal(a->thinking_tokens, b->thinking_tokens);
        assert_int_equal(a->finish, b->finish);
        distinct += i > 0 && strcmp(collect_text(&a->answer), collect_text(&alone->seqs[i - 1].answer)) != 0;
    }
    assert_true(distinct > MANY / 2); /* the comparison says something */
    assert_int_equal(engine_tokens_generated(alone->engine), engine_tokens_generated(batch->engine));
    collect_close(alone);
    collect_close(batch);
}

/* Greedy, against the model itself one row at a time. The tiny model's template is written out by hand. */
static void greedy_is_the_models_own(void **state)
{
    (void)state;
    enum { STEPS = 40 };
    struct collector *c = open_tiny(2);
    struct engine_params p = collect_params(STEPS);
    p.ignore_eos = true;
    const struct collected *s = collect_run(c, 1, "hello", true, &p);

    struct model *m;
    struct tokenizer *t;
    struct err err;
    struct ids ids = { 0 };
    struct model_config mc = { .path = tiny, .threads = 1, .kv_bytes_max = 64 << 20, .cpu_mask = ~0u };
    assert_int_equal(model_open(&m, &mc, &err), ERR_OK);
    assert_int_equal(tokenizer_open(&t, model_vocabulary(m), &err), ERR_OK);
    struct str prompt = STR("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n");
    assert_int_equal(tokenizer_encode(t, prompt, ENCODE_SPECIAL | ENCODE_BOS, &ids, &err), ERR_OK);
    size_t n_prompt = ids.len, n_vocab = (size_t)model_info(m)->n_vocab;
    float *logits = mem_array(n_vocab, sizeof *logits);
    struct kv *kv = kv_open(m);
    struct detok d = { 0 };
    struct buf text = { 0 };
    assert_int_equal(kv_reserve(kv, (int64_t)n_prompt + STEPS, &err), ERR_OK);
    for (size_t i = 0; i < n_prompt + STEPS - 1; i++) {
        model_forward(m, &(struct model_row){ kv, ids.ptr[i], true }, 1, logits);
        int32_t best = 0;
        for (size_t v = 1; v < n_vocab; v++)
            if (logits[v] > logits[best])
                best = (int32_t)v;
        if (i + 1 >= n_prompt) {
            ids_put(&ids, best);
            detok_put(&d, t, best, &text);
        }
    }
    assert_int_equal(s->output_tokens, STEPS);
    if (s->thinking_tokens == 0) /* no marker came up: the texts are the same but for blanks before them */
        assert_string_equal(collect_text(&s->answer), text.len ? str_trim_start(buf_str(&text)).ptr : "");
    buf_free(&text);
    detok_free(&d);
    ids_free(&ids);
    mem_free(logits);
    kv_close(kv);
    tokenizer_close(t);
    model_close(m);
    collect_close(c);
}

static void stories_are_golden(void **state)
{
    (void)state;
    char *path = test_shared("fixtures/stories260K/stories260K-f32.v3.gguf");
    char *golden_path = test_shared("fixtures/stories260K/golden-greedy.json");
    if (!path || !golden_path) {
        mem_free(path);
        mem_free(golden_path);
        skip();
    }
    json_t *golden = json_load_file(golden_path, 0, NULL);
    struct engine_config cfg = config_of(path);
    struct collector *c = collect_open(&cfg);
    assert_false(engine_info(c->engine)->thinks);
    int64_t n =
        (int64_t)json_array_size(json_object_get(golden, "ids")) - 1; /* the first is the prompt: BOS */
    struct engine_params p = collect_params(n);
    const struct collected *s = collect_run(c, 1, "", true, &p);
    assert_int_equal(s->output_tokens, n);
    /* The golden text spells tokens as the vocabulary does. */
    struct buf want = { 0 };
    struct str text = str_from(json_string_value(json_object_get(golden, "text")));
    text = str_slice(text, strlen("<s> "), text.len);
    for (size_t at; (at = str_find(text, STR("<0x0A>"))) != SIZE_MAX;
         text = str_slice(text, at + 6, text.len)) {
        buf_put_str(&want, str_slice(text, 0, at));
        buf_putc(&want, '\n');
    }
    buf_put_str(&want, text);
    assert_string_equal(collect_text(&s->answer), collect_text(&want));
    buf_free(&want);
    json_decref(golden);
    collect_close(c);
    mem_free(path);
    mem_free(golden_path);
}

/* --- prompts beside decoding --------------------------------------------------------------------------- */

static void a_long_prompt_stops_nobody(void **state)
{
    (void)state;
    struct collector *c = open_tiny(8);
    struct engine_params p = collect_params(400);
    p.ignore_eos = true;
    struct engine_prompt *brief = collect_prompt(c, "a", false);
    collect_stop_at(c, 1, 5);
    collect_submit(c, 1, brief, &p);
    collect_wait_tokens(c, 1, 5);
    char text[901];
    memset(text, '5', 900);
    text[900] = '\0';
    struct engine_prompt *lengthy = collect_prompt(c, text, false);
    pthread_mutex_lock(&c->lock);
    uint64_t before = c->events;
    pthread_mutex_unlock(&c->lock);
    struct engine_params few = collect_params(3);
    collect_submit(c, 2, lengthy, &few);
    collect_go_on(c);
    const struct collected *s = collect_wait(c, 2);
    /* 900 rows at no more than 64 a step: the first sequence had a token in each of 15 steps. */
    assert_true(s->first_event - before >= 14);
    assert_true(s->first_event - before <= 30);
    assert_int_equal(collect_wait(c, 1)->output_tokens, 400);
    engine_prompt_unref(brief);
    engine_prompt_unref(lengthy);
    collect_close(c);
}

/* --- memory -------------------------------------------------------------------------------------------- */

static void memory_binds(void **state)
{
    (void)state;
    struct engine_config cfg = config_of(tiny);
    cfg.kv_bytes_max = 100 << 10; /* 2 layers, 2 heads of 16, keys and values, floats: 512 bytes a token */
    struct collector *c = collect_open(&cfg);
    const int64_t context = engine_info(c->engine)->context;
    assert_true(context > 50 && context < 1024);
    struct engine_params p = collect_params(context / 3);
    p.ignore_eos = true;
    struct engine_prompt *prompt = collect_prompt(c, "q", false);
    for (uint64_t seq = 0; seq < 12; seq++)
        collect_submit(c, seq, prompt, &p); /* not all fit at once; all come to their end */
    struct engine_params all = collect_params(100000);
    all.ignore_eos = true;
    collect_submit(c, 12, prompt, &all); /* needs everything there is */
    collect_submit(c, 13, prompt, &p);
    for (uint64_t seq = 0; seq < 14; seq++) {
        const struct collected *s = collect_wait(c, seq);
        assert_false(s->failed);
        assert_int_equal(s->output_tokens, seq == 12 ? context - engine_prompt_tokens(prompt) : context / 3);
        assert_int_equal(s->finish, FINISH_LENGTH);
    }
    engine_prompt_unref(prompt);
    collect_close(c);
}

static void cancels_and_close_leave_nothing(void **state)
{
    (void)state;
    struct collector *c = open_tiny(6);
    struct engine_prompt *prompt = collect_prompt(c, "some words", true);
    struct engine_params p = collect_params(900);
    p.ignore_eos = true;
    p.temperature = 1;
    for (uint64_t seq = 0; seq < 20; seq++)
        collect_submit(c, seq, prompt, &p);
    for (uint64_t seq = 0; seq < 20; seq += 3)
        engine_cancel(c->engine, seq);
    collect_wait(c, 0);
    collect_wait_tokens(c, 1, 3);
    int64_t sum = 0;
    collect_engine_close(c);
    for (uint64_t seq = 0; seq < 20; seq++) {
        assert_int_equal(c->seqs[seq].ends, 1);
        sum += c->seqs[seq].output_tokens;
    }
    assert_true(sum >= 3);
    engine_prompt_unref(prompt);
    collect_close(c);
}

/* --- thoughts ------------------------------------------------------------------------------------------- */

static void an_open_thought_in_the_prompt_is_one(void **state)
{
    (void)state;
    char *path = patched_model("opens", STR(TEMPLATE_TAIL), STR(TEMPLATE_OPEN));
    struct engine_config cfg = config_of(path);
    struct collector *c = collect_open(&cfg);
    for (uint64_t seq = 0; seq < 12; seq++) {
        struct engine_params p = collect_params(300);
        p.think_tokens_max = (int64_t)seq * 5;
        p.answer_tokens_min = 20;
        p.temperature = 1.5;
        p.seed = seq;
        const struct collected *s = collect_run(c, seq, "what now?", true, &p);
        assert_true(s->thinking_tokens > 0);
        if (s->closed_by_budget && seq > 0) {
            assert_true(str_find(buf_str(&s->thought), STR("so I answer now")) != SIZE_MAX);
            assert_true(s->thinking_tokens > p.think_tokens_max + 20); /* the sentence, in bytes, counts */
            assert_true(s->output_tokens > s->thinking_tokens);
        }
        if (seq == 0) {
            assert_true(s->closed_by_budget);
            assert_string_equal(collect_text(&s->thought), "");
        }
    }
    struct engine_params p = collect_params(40); /* the same template, asked not to think */
    const struct collected *s = collect_run(c, 99, "what now?", false, &p);
    assert_int_equal(s->closed_by_budget, false);
    collect_close(c);
    mem_free(path);
}

/* A file whose weights overflow fails the sequence, not the server. */
static void not_a_number_fails_the_sequence(void **state)
{
    (void)state;
    const float huge = 3e38f;
    struct gguf_make_shape shape = gguf_make_tiny_shape("qwen3", TENSOR_F32, 3);
    struct gguf_make g;
    gguf_make_init(&g);
    gguf_make_model(&g, &shape);
    for (size_t i = 0; i < g.n_tensors; i++)
        if (strcmp(g.tensors[i].name, "output_norm.weight") == 0)
            for (size_t at = 0; at < g.tensors[i].bytes.len; at += sizeof huge)
                memcpy(g.tensors[i].bytes.ptr + at, &huge, sizeof huge);
    char *path = model_path("nan");
    gguf_make_write(&g, path);
    gguf_make_free(&g);
    struct engine_config cfg = config_of(path);
    struct collector *c = collect_open(&cfg);
    struct engine_params p = collect_params(10);
    const struct collected *s = collect_run(c, 1, "hello", true, &p);
    assert_true(s->failed);
    assert_int_equal(s->err.code, ERR_SERVER);
    assert_int_equal(s->output_tokens, 0);
    collect_close(c);
    mem_free(path);
}

static void a_bad_file_is_refused(void **state)
{
    (void)state;
    struct engine *e = NULL;
    struct err err = { 0 };
    struct engine_config cfg = config_of("/no/such/model.gguf");
    assert_int_equal(engine_open(&e, &cfg, (struct engine_sink){ 0 }, &err), ERR_FILE);
    assert_non_null(strstr(err.message, "/no/such/model.gguf"));
    char *path = model_path("bad");
    assert_int_equal(file_write(path, STR("GGUF, but not really"), &err), ERR_OK);
    cfg.model_path = path;
    assert_int_equal(engine_open(&e, &cfg, (struct engine_sink){ 0 }, &err), ERR_FORMAT);
    mem_free(path);
    path = patched_model("template", STR("{% for m in messages %}"), STR("{% oop m in messages %}"));
    cfg.model_path = path;
    assert_int_equal(engine_open(&e, &cfg, (struct engine_sink){ 0 }, &err), ERR_FORMAT);
    mem_free(path);
    assert_null(e);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(info_is_the_models, make_tiny),
    cmocka_unit_test(prompts_are_the_template),
    cmocka_unit_test(prompts_are_bounded),
    cmocka_unit_test(a_batch_changes_nothing),
    cmocka_unit_test(greedy_is_the_models_own),
    cmocka_unit_test(stories_are_golden),
    cmocka_unit_test(a_long_prompt_stops_nobody),
    cmocka_unit_test(memory_binds),
    cmocka_unit_test(cancels_and_close_leave_nothing),
    cmocka_unit_test(an_open_thought_in_the_prompt_is_one),
    cmocka_unit_test(not_a_number_fails_the_sequence),
    cmocka_unit_test_teardown(a_bad_file_is_refused, free_tiny),
};
TEST_GROUP(engine_local, tests)
