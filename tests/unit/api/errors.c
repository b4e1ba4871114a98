/*
 * errors.c - the error object: four keys, whatever the error.
 */
#include "api/api.h"
#include "test.h"

#include <string.h>

static json_t *body_of(const struct err *err)
{
    struct buf body = { 0 };
    struct err bad;
    json_t *json = NULL;
    api_error_body(&body, err);
    if (json_read(&json, buf_str(&body), &bad))
        fail_msg("%s: %s", bad.message, body.ptr);
    buf_free(&body);
    return json;
}

static void assert_member(const json_t *error, const char *key, const char *want)
{
    const json_t *v = json_object_get(error, key);
    assert_non_null(v);
    if (!want)
        assert_true(json_is_null(v));
    else
        assert_string_equal(json_string_value(v), want);
}

static void every_code_has_its_object(void **state)
{
    (void)state;
    for (int code = ERR_OK + 1; code < ERR_COUNT; code++) {
        struct err err;
        err_set(&err, (enum err_code)code, code % 2 ? "a.b[1]" : NULL, "It went wrong.");
        json_t *body = body_of(&err);
        const json_t *error = json_object_get(body, "error");
        assert_int_equal(json_object_size(body), 1);
        assert_int_equal(json_object_size(error), 4);
        assert_member(error, "message", "It went wrong.");
        assert_member(error, "type", err_type((enum err_code)code));
        assert_member(error, "param", code % 2 ? "a.b[1]" : NULL);
        assert_member(error, "code", err_api_code((enum err_code)code));
        json_decref(body);
    }
}

/* A caller's own words come back inside a message; they must not break out of it. */
static void messages_are_escaped(void **state)
{
    static const char *const words[] = { "\"}", "\\", "\n\r\t", "\x01\x1f", "é🙂", "</script>" };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct err err;
        err_set(&err, ERR_INVALID_VALUE, words[i], "Invalid value: '%s'.", words[i]);
        json_t *body = body_of(&err);
        const char *message = json_string_value(json_object_get(json_object_get(body, "error"), "message"));
        assert_non_null(strstr(message, words[i]));
        json_decref(body);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_code_has_its_object),
    cmocka_unit_test(messages_are_escaped),
};
TEST_GROUP(api_errors, tests)
