/*
 * compact.c - POST /v1/responses/compact: what is kept, what is sealed, and that all of it comes back where it stood.
 *
 * The window is the echo engine's context, made small by a tier of the configuration's own.
 */
#include "api/api_impl.h"
#include "base/file.h"
#include "site.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static struct site site;

/* o3's own window would hold any test: this one holds 4,000 tokens, so 1,000 are kept and 2,000 put back. */
static const char models[] =
    "models:\n  - name: small\n    context_window: 4000\n    max_output_tokens: 1000\n";

static int start(void **state)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/models.yaml", test_tmpdir());
    assert_int_equal(ERR_OK, file_write(path, str_from(models), NULL));
    const char *const options[] = { "--config", path, NULL };
    site_open(&site, options, NULL);
    *state = &site;
    return 0;
}

static int stop(void **state)
{
    site_close(*state);
    return 0;
}

static json_t *compacted(json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);
    struct site_reply r = site_ask(&site, "POST", "/v1/responses/compact", NULL, text);
    if (r.status != 200)
        fail_msg("%d: %s", r.status, r.body.ptr);
    json_t *output = json_incref(json_object_get(r.json, "output"));
    site_reply_free(&r);
    free(text);
    json_decref(body);
    return output;
}

static json_t *request(json_t *input)
{
    return json_pack("{s:s, s:o}", "model", "small", "input", input);
}

static void say(json_t *items, const char *role, const char *text, int words)
{
    struct buf long_text = { 0 };
    buf_puts(&long_text, text);
    for (int i = 0; i < words; i++)
        buf_puts(&long_text, " word");
    json_array_append_new(items, json_pack("{s:s, s:s}", "role", role, "content", long_text.ptr));
    buf_free(&long_text);
}

static json_t *expand(const json_t *input, int64_t tokens_max)
{
    struct arena arena = { 0 };
    struct err err = { 0 };
    json_t *out = NULL;
    if (compaction_expand(&out, site.api, STR("local"), input, tokens_max, &arena, &err))
        fail_msg("%s", err.message);
    arena_free(&arena);
    return out;
}

/* The first word of each message, one after the other; other items by their type. */
static void assert_words(const json_t *items, const char *want)
{
    struct buf got = { 0 };
    const json_t *item;
    size_t i;
    json_array_foreach((json_t *)items, i, item)
    {
        const json_t *content = json_object_get(item, "content");
        if (json_is_array(content))
            content = json_object_get(json_array_get(content, 0), "text");
        struct str text = json_str(content ? content : json_object_get(item, "type"));
        buf_printf(&got, "%s%.*s", i ? " " : "", STR_ARG(str_slice(text, 0, str_find(text, STR(" ")))));
    }
    assert_string_equal(got.ptr ? got.ptr : "", want);
    buf_free(&got);
}

static json_t *conversation(int words)
{
    json_t *items = json_array();
    say(items, "developer", "rule", 0);
    say(items, "user", "u1", words);
    say(items, "assistant", "a1", words);
    say(items, "user", "u2", words);
    say(items, "assistant", "a2", words);
    say(items, "user", "u3", 1);
    return items;
}

static void all_comes_back_in_its_place(void **state)
{
    (void)state;
    json_t *output = compacted(request(conversation(20))), *back = expand(output, INT64_MAX);
    assert_words(output, "rule u1 u2 u3 compaction");
    assert_words(back, "rule u1 a1 u2 a2 u3");
    json_decref(output);
    json_decref(back);
}

static void what_does_not_fit_is_sealed(void **state)
{
    (void)state;
    json_t *output = compacted(request(conversation(700))), *back = expand(output, INT64_MAX);
    assert_words(output, "rule u2 u3 compaction"); /* u1 and u2 together are more than 1,000 tokens */
    assert_words(back, "rule u1 a1 u2 a2 u3");
    json_decref(back);
    back = expand(output, 1000); /* the oldest are left out first */
    assert_words(back, "rule u2 a2 u3");
    json_decref(back);
    json_decref(output);
}

static void the_output_is_an_input(void **state)
{
    (void)state;
    json_t *output = compacted(request(conversation(20)));
    say(output, "user", "u4", 1);
    json_t *back = expand(output, INT64_MAX);
    assert_words(back, "rule u1 a1 u2 a2 u3 u4");
    json_decref(back);
    output = compacted(request(output)); /* again: opened first, so nothing is sealed twice */
    back = expand(output, INT64_MAX);
    assert_words(back, "rule u1 a1 u2 a2 u3 u4");
    json_decref(back);
    json_decref(output);
}

/* Full items, as Open Responses has them. */
static void items_are_whole(void **state)
{
    (void)state;
    json_t *output = compacted(request(conversation(5)));
    const json_t *item;
    size_t i;
    json_array_foreach(output, i, item)
    {
        const char *id = json_string_value(json_object_get(item, "id"));
        assert_non_null(id);
        if (strcmp(json_string_value(json_object_get(item, "type")), "message") != 0)
            continue;
        assert_memory_equal(id, "msg_", 4);
        assert_string_equal("completed", json_string_value(json_object_get(item, "status")));
        const json_t *part = json_array_get(json_object_get(item, "content"), 0);
        assert_string_equal("input_text", json_string_value(json_object_get(part, "type")));
    }
    assert_memory_equal(json_string_value(json_object_get(json_array_get(output, i - 1), "id")), "cmp_", 4);
    json_decref(output);
}

static void the_reply(void **state)
{
    (void)state;
    struct site_reply r = site_ask(&site, "POST", "/v1/responses/compact", NULL,
                                   "{\"model\":\"o3\",\"input\":\"one two three\"}");
    assert_int_equal(r.status, 200);
    assert_string_equal("response.compaction", json_string_value(json_object_get(r.json, "object")));
    assert_memory_equal(json_string_value(json_object_get(r.json, "id")), "resp_", 5);
    assert_true(json_is_integer(json_object_get(r.json, "created_at")));
    const json_t *usage = json_object_get(r.json, "usage");
    int64_t input = json_integer_value(json_object_get(usage, "input_tokens"));
    assert_true(input > 0);
    assert_int_equal(0, json_integer_value(json_object_get(usage, "output_tokens")));
    assert_int_equal(input, json_integer_value(json_object_get(usage, "total_tokens")));
    assert_int_equal(2, json_array_size(json_object_get(r.json, "output")));
    site_reply_free(&r);
}

/* Beyond the context: the very window that needs to be compacted. */
static void longer_than_the_context(void **state)
{
    (void)state;
    json_t *items = json_array();
    for (int i = 0; i < 40; i++) {
        say(items, "user", "u", 2000);
        say(items, "assistant", "a", 2000);
    }
    say(items, "user", "last", 1);
    json_t *output = compacted(request(items)), *back = expand(output, INT64_MAX);
    assert_words(output, "last compaction");
    assert_int_equal(81, json_array_size(back));
    json_decref(back);
    back = expand(output, 4200);
    assert_words(back, "u a last");
    json_decref(back);
    json_decref(output);
}

/* An output without its call means nothing to a model, so they are left out together. */
static void calls_and_outputs_go_together(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct buf sealed = { 0 }, token = { 0 };
    buf_puts(&sealed,
             "{\"kept\":1,\"items\":[[0,10,{\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":\"f\"}],"
             "[0,10,{\"role\":\"assistant\",\"content\":\"a1\"}],"
             "[0,10,{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"x\"}],"
             "[1,10,{\"role\":\"assistant\",\"content\":\"a2\"}]]}");
    assert_true(seal_put(site.api->seal, STR("local"), "compaction", buf_str(&sealed), &token));
    json_t *input = json_pack("[{s:s,s:s},{s:s,s:s}]", "role", "user", "content", "u1", "type", "compaction",
                              "encrypted_content", token.ptr);
    static const struct {
        int64_t max;
        const char *want;
    } rows[] = { { 40, "function_call a1 function_call_output u1 a2" },
                 { 39, "a1 u1 a2" },
                 { 10, "u1 a2" },
                 { 9, "u1" } };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        json_t *back = expand(input, rows[i].max);
        assert_words(back, rows[i].want);
        json_decref(back);
    }
    json_array_remove(input, 0); /* the kept message was taken out: the order of the rest stays */
    json_t *back = expand(input, 40);
    assert_words(back, "function_call a1 function_call_output a2");
    json_decref(back);
    json_decref(input);
    buf_free(&sealed);
    buf_free(&token);
    arena_free(&arena);
}

static void only_its_owner_opens_it(void **state)
{
    (void)state;
    json_t *output = compacted(request(conversation(1))), *out = NULL;
    struct arena arena = { 0 };
    struct err err = { 0 };
    assert_int_equal(ERR_ENCRYPTED_CONTENT,
                     compaction_expand(&out, site.api, STR("other"), output, INT64_MAX, &arena, &err));
    assert_string_equal("input[4].encrypted_content", err.param);
    assert_null(out);
    arena_free(&arena);
    json_decref(output);
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        const char *body, *code, *param;
        int status;
    } rows[] = {
        { "{\"input\":\"x\"}", "missing_required_parameter", "model", 400 },
        { "{\"model\":\"o3\"}", "missing_required_parameter", "input", 400 },
        { "{\"model\":\"o3\",\"input\":null}", "missing_required_parameter", "input", 400 },
        { "{\"model\":\"o3\",\"input\":5}", "invalid_type", "input", 400 },
        { "{\"model\":\"o3\",\"input\":[]}", "empty_array", "input", 400 },
        { "{\"model\":\"o3\",\"input\":[{\"role\":\"x\",\"content\":\"y\"}]}", "invalid_value",
          "input[0].role", 400 },
        { "{\"model\":\"none\",\"input\":\"x\"}", "model_not_found", "model", 404 },
        { "{\"model\":\"o3\",\"input\":\"x\",\"stream\":true}", "unknown_parameter", "stream", 400 },
        { "{\"model\":\"o3\",\"input\":\"x\",\"previous_response_id\":\"resp_no\"}",
          "previous_response_not_found", "previous_response_id", 400 },
        { "{\"model\":\"o3\",\"input\":[{\"type\":\"compaction\"}]}", "missing_required_parameter",
          "input[0].encrypted_content", 400 },
        { "{\"model\":\"o3\",\"input\":[{\"type\":\"compaction\",\"encrypted_content\":\"AQ\"}]}",
          "invalid_encrypted_content", "input[0].encrypted_content", 400 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct site_reply r = site_ask(&site, "POST", "/v1/responses/compact", NULL, rows[i].body);
        const json_t *error = json_object_get(r.json, "error");
        const char *code = json_string_value(json_object_get(error, "code"));
        if (r.status != rows[i].status || !code || strcmp(code, rows[i].code) != 0)
            fail_msg("%s: %d %s", rows[i].body, r.status, r.body.ptr);
        assert_string_equal(json_string_value(json_object_get(error, "param")), rows[i].param);
        site_reply_free(&r);
    }
}

/* --- input_tokens ------------------------------------------------------------------------------------------ */

static int64_t counted(const char *body)
{
    struct site_reply r = site_ask(&site, "POST", "/v1/responses/input_tokens", NULL, body);
    if (r.status != 200)
        fail_msg("%d: %s", r.status, r.body.ptr);
    assert_string_equal("response.input_tokens", json_string_value(json_object_get(r.json, "object")));
    int64_t n = json_integer_value(json_object_get(r.json, "input_tokens"));
    site_reply_free(&r);
    return n;
}

/* The count is what create then says in its usage. */
static void input_tokens_are_those_of_create(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"model\":\"o3\",\"input\":\"What is 17 + 25?\"}",
        "{\"model\":\"o3\",\"input\":\"Hello\",\"instructions\":\"Be short, and kind.\"}",
        "{\"model\":\"o3\",\"input\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
        "\"content\":\"b\"},"
        "{\"role\":\"user\",\"content\":\"c\"}],\"reasoning\":{\"effort\":\"high\"}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct site_reply r = site_ask(&site, "POST", "/v1/responses", NULL, bodies[i]);
        assert_int_equal(r.status, 200);
        int64_t want = json_integer_value(json_object_get(json_object_get(r.json, "usage"), "input_tokens"));
        assert_int_equal(want, counted(bodies[i]));
        site_reply_free(&r);
    }
    assert_true(counted("{\"input\":\"x\"}") > 0); /* a model of its own choice */
    assert_int_equal(0, counted("{}"));
}

static void input_tokens_are_refused_like_create(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { "{\"model\":\"none\",\"input\":\"x\"}", "model_not_found" },
        { "{\"input\":5}", "invalid_type" },
        { "{\"input\":\"x\",\"stream\":true}", "unknown_parameter" },
        { "{\"truncation\":\"never\"}", "invalid_value" },
        { "{\"previous_response_id\":\"resp_no\"}", "previous_response_not_found" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct site_reply r = site_ask(&site, "POST", "/v1/responses/input_tokens", NULL, rows[i][0]);
        const char *code = json_string_value(json_object_get(json_object_get(r.json, "error"), "code"));
        if (!code || strcmp(code, rows[i][1]) != 0)
            fail_msg("%s: %s", rows[i][0], r.body.ptr);
        site_reply_free(&r);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(all_comes_back_in_its_place, start, stop),
    cmocka_unit_test_setup_teardown(what_does_not_fit_is_sealed, start, stop),
    cmocka_unit_test_setup_teardown(the_output_is_an_input, start, stop),
    cmocka_unit_test_setup_teardown(items_are_whole, start, stop),
    cmocka_unit_test_setup_teardown(the_reply, start, stop),
    cmocka_unit_test_setup_teardown(longer_than_the_context, start, stop),
    cmocka_unit_test_setup_teardown(calls_and_outputs_go_together, start, stop),
    cmocka_unit_test_setup_teardown(only_its_owner_opens_it, start, stop),
    cmocka_unit_test_setup_teardown(refusals, start, stop),
    cmocka_unit_test_setup_teardown(input_tokens_are_those_of_create, start, stop),
    cmocka_unit_test_setup_teardown(input_tokens_are_refused_like_create, start, stop),
};
TEST_GROUP(api_compact, tests)
