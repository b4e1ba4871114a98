/*
 * fixtures.c - real vocabularies against the ids that their own tokenizers give.
 *
 * The files are not ours to carry, so the tests read them from the shared folder and skip where it is absent.
 */
#include "test.h"

#include "gguf_vocab.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static void expect_ids(const struct tokenizer *t, const char *name, size_t at, const struct encoding_case *c)
{
    struct ids got = { 0 };
    struct err err;
    assert_int_equal(tokenizer_encode(t, c->text, ENCODE_PLAIN, &got, &err), ERR_OK);
    bool same = got.len == c->ids.len &&
                (got.len == 0 || memcmp(got.ptr, c->ids.ptr, got.len * sizeof *got.ptr) == 0);
    for (size_t i = 0; !same && i < got.len; i++)
        print_message("# got %d, wanted %d\n", (int)got.ptr[i], i < c->ids.len ? (int)c->ids.ptr[i] : -1);
    if (!same)
        fail_msg("%s: text %zu, \"%.*s\"", name, at, STR_ARG(c->text));
    ids_free(&got);
}

/* What was encoded comes back, through the streaming way out. */
static void expect_round_trip(const struct tokenizer *t, struct str text)
{
    struct ids ids = { 0 };
    struct buf out = { 0 };
    struct detok d = { 0 };
    struct err err;
    assert_int_equal(tokenizer_encode(t, text, ENCODE_PLAIN, &ids, &err), ERR_OK);
    for (size_t i = 0; i < ids.len; i++)
        detok_put(&d, t, ids.ptr[i], &out);
    detok_end(&d, &out);
    assert_true(str_eq(buf_str(&out), text));
    detok_free(&d);
    buf_free(&out);
    ids_free(&ids);
}

static void check_cases(const struct tokenizer *t, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "fixtures/vocabs/ggml-vocab-%s.gguf.inp", name);
    char *inp = test_shared(path);
    snprintf(path, sizeof path, "fixtures/vocabs/ggml-vocab-%s.gguf.out", name);
    char *out = test_shared(path);
    assert_true(inp && out);
    size_t n;
    struct buf bytes = { 0 };
    struct encoding_case *cases = encoding_cases_read(inp, out, &n, &bytes);
    assert_int_equal(n, 46);
    for (size_t i = 0; i < n; i++) {
        expect_ids(t, name, i, &cases[i]);
        expect_round_trip(t, cases[i].text);
    }
    encoding_cases_free(cases, n, &bytes);
    mem_free(inp);
    mem_free(out);
}

static void vocabulary_agrees(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "fixtures/vocabs/ggml-vocab-%s.gguf", name);
    char *gguf = test_shared(path);
    if (!gguf)
        skip();
    struct gguf_vocab g;
    struct tokenizer *t = NULL;
    struct err err = { 0 };
    assert_true(gguf_vocab_read(&g, gguf));
    if (tokenizer_open(&t, &g.v, &err))
        fail_msg("%s: %s", name, err.message);
    gguf_vocab_free(&g); /* the tokenizer keeps nothing of it */
    check_cases(t, name);
    tokenizer_close(t);
    mem_free(gguf);
}

#define VOCABULARY(test, name)                                                                               \
    static void test(void **state)                                                                           \
    {                                                                                                        \
        (void)state;                                                                                         \
        vocabulary_agrees(name);                                                                             \
    }
VOCABULARY(gpt2_agrees, "gpt-2")
VOCABULARY(falcon_agrees, "falcon")
VOCABULARY(mpt_agrees, "mpt")
VOCABULARY(refact_agrees, "refact")
VOCABULARY(deepseek_llm_agrees, "deepseek-llm")
VOCABULARY(llama_spm_agrees, "llama-spm")

/* --- llama-bpe: its vocabulary lies in encoder.json and vocab.bpe ------------------------------------------- */

static struct str *read_encoder_json(const char *path, json_t **doc, size_t *n)
{
    *doc = json_load_file(path, 0, NULL);
    assert_non_null(*doc);
    *n = json_object_size(*doc);
    struct str *tokens = mem_array(*n, sizeof *tokens);
    const char *text;
    json_t *id;
    json_object_foreach(*doc, text, id)
    {
        assert_in_range(json_integer_value(id), 0, *n - 1);
        tokens[json_integer_value(id)] = str_from(text);
    }
    return tokens;
}

static struct str *read_lines(struct str text, size_t *n)
{
    struct str *lines = mem_array(text.len / 2, sizeof *lines);
    for (*n = 0; text.len;) {
        size_t end = str_find(text, STR("\n"));
        struct str line = str_slice(text, 0, end);
        if (line.len)
            lines[(*n)++] = line;
        text = end == SIZE_MAX ? STR("") : str_slice(text, end + 1, text.len);
    }
    return lines;
}

static void llama_bpe_agrees(void **state)
{
    (void)state;
    char *encoder = test_shared("fixtures/ollama-llama3.2-tokenizer/encoder.json");
    char *merges = test_shared("fixtures/ollama-llama3.2-tokenizer/vocab.bpe");
    if (!encoder || !merges)
        skip();
    json_t *doc;
    struct buf bytes = { 0 };
    struct err err = { 0 };
    struct vocabulary v = {
        .model = STR("gpt2"), .pre = STR("llama-bpe"), .bos = -1, .eos = -1, .eot = -1, .unk = -1, .pad = -1
    };
    v.tokens = read_encoder_json(encoder, &doc, &v.n_tokens);
    assert_int_equal(file_read(&bytes, merges, 16 * MIB, &err), ERR_OK);
    v.merges = read_lines(buf_str(&bytes), &v.n_merges);
    struct tokenizer *t = NULL;
    if (tokenizer_open(&t, &v, &err))
        fail_msg("%s", err.message);
    check_cases(t, "llama-bpe");
    tokenizer_close(t);
    mem_free((void *)v.tokens);
    mem_free((void *)v.merges);
    buf_free(&bytes);
    json_decref(doc);
    mem_free(encoder);
    mem_free(merges);
}

/* The small SPM vocabulary: the golden story comes apart into the very ids the model was scored on. */
static void stories_text_comes_apart(void **state)
{
    (void)state;
    char *gguf = test_shared("fixtures/stories260K/stories260K-f32.v3.gguf");
    char *golden = test_shared("fixtures/stories260K/golden-greedy.json");
    if (!gguf || !golden)
        skip();
    struct gguf_vocab g;
    struct tokenizer *t = NULL;
    struct err err = { 0 };
    assert_true(gguf_vocab_read(&g, gguf));
    g.v.add_bos = true;
    assert_int_equal(tokenizer_open(&t, &g.v, &err), ERR_OK);
    json_t *doc = json_load_file(golden, 0, NULL), *want = json_object_get(doc, "ids");
    assert_true(json_array_size(want) > 100);
    struct buf text = { 0 };
    struct detok d = { 0 };
    for (size_t i = 0; i < json_array_size(want); i++)
        detok_put(&d, t, (int32_t)json_integer_value(json_array_get(want, i)), &text);
    detok_end(&d, &text);
    struct ids got = { 0 };
    assert_int_equal(tokenizer_encode(t, buf_str(&text), ENCODE_BOS, &got, &err), ERR_OK);
    assert_int_equal(got.len, json_array_size(want));
    for (size_t i = 0; i < got.len; i++)
        assert_int_equal(got.ptr[i], json_integer_value(json_array_get(want, i)));
    assert_true(tokenizer_ends(t, 2));
    ids_free(&got);
    detok_free(&d);
    buf_free(&text);
    json_decref(doc);
    tokenizer_close(t);
    gguf_vocab_free(&g);
    mem_free(gguf);
    mem_free(golden);
}

/* The bundled model's vocabulary: the ids that the library it was trained with gives, a line of JSON each. */
static void bundled_vocabulary_agrees(void **state)
{
    (void)state;
    struct gguf_vocab g = { 0 };
    struct buf lines = { 0 };
    struct err err = { 0 };
    if (!gguf_vocab_read(&g, "models/thinkd-first.gguf") ||
        file_read(&lines, "models/tokenizer.golden.jsonl", 16 * MIB, &err)) {
        print_message("# missing models/thinkd-first.gguf or models/tokenizer.golden.jsonl\n");
        gguf_vocab_free(&g);
        skip();
    }
    struct tokenizer *t = NULL;
    if (tokenizer_open(&t, &g.v, &err))
        fail_msg("%s", err.message);
    size_t checked = 0;
    for (struct str rest = buf_str(&lines); rest.len; checked++) {
        size_t end = str_find(rest, STR("\n"));
        json_t *row = json_loadb(rest.ptr, end == SIZE_MAX ? rest.len : end, JSON_ALLOW_NUL, NULL);
        const json_t *text = json_object_get(row, "text"), *want = json_object_get(row, "ids");
        struct encoding_case c = { .text = { json_string_value(text), json_string_length(text) } };
        for (size_t i = 0; i < json_array_size(want); i++)
            ids_put(&c.ids, (int32_t)json_integer_value(json_array_get(want, i)));
        expect_ids(t, "thinkd-first", checked, &c);
        expect_round_trip(t, c.text);
        ids_free(&c.ids);
        json_decref(row);
        rest = end == SIZE_MAX ? STR("") : str_slice(rest, end + 1, rest.len);
    }
    assert_true(checked >= 100);
    tokenizer_close(t);
    buf_free(&lines);
    gguf_vocab_free(&g);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(gpt2_agrees),
    cmocka_unit_test(falcon_agrees),
    cmocka_unit_test(mpt_agrees),
    cmocka_unit_test(refact_agrees),
    cmocka_unit_test(deepseek_llm_agrees),
    cmocka_unit_test(llama_spm_agrees),
    cmocka_unit_test(llama_bpe_agrees),
    cmocka_unit_test(stories_text_comes_apart),
    cmocka_unit_test(bundled_vocabulary_agrees),
};
TEST_GROUP(text_fixtures, tests)
