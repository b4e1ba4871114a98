/*
 * read.c - what json_read takes, what it refuses, and where it says the fault is.
 */
#include "test.h"

#include "json/json.h"

#include <string.h>

static void takes_any_value(void **state)
{
    (void)state;
    static const char *const good[] = { "{}",
                                        "[]",
                                        "null",
                                        "true",
                                        " 1 ",
                                        "\"x\"",
                                        "-0.5e3",
                                        "9223372036854775807",
                                        "{\"a\":[1,{\"b\":\"\\u00e9\"}]}\n" };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        json_t *v;
        struct err err = { 0 };
        if (json_read(&v, str_from(good[i]), &err))
            fail_msg("%s: %s", good[i], err.message);
        json_decref(v);
    }
}

static void refuses_with_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        { "", "line 1, column 0" },
        { "   ", "ends too early" },
        { "{\"a\":1", "ends too early" },
        { "{\"a\":1}x", "line 1, column 8" },
        { "{\n  \"a\": tru\n}", "line 2, column 10" },
        { "{\"a\":1,\"a\":2}", "duplicate object key" },
        { "{'a':1}", "column 2" },
        { "[01]", "column" },
        { "[1e400]", "real number overflow" },
        { "[NaN]", "column" },
        { "[18446744073709551616]", "too big integer" },
        { "[\"\xff\"]", "column" },
        { "[\"\xc0\xaf\"]", "column" },
        { "[\"\\ud800\"]", "column" },
        { "[\"a\tb\"]", "column" },
        { "[\"a\\u0000b\"]", "\\u0000 is not allowed" },
        { "{\"a\\u0000b\":1}", "\\u0000 is not allowed" },
        { "\xef\xbb\xbf{}", "column" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        json_t *v = (json_t *)1;
        struct err err = { 0 };
        assert_int_equal(ERR_INVALID_JSON, json_read(&v, str_from(bad[i].text), &err));
        assert_null(v);
        if (!strstr(err.message, bad[i].says))
            fail_msg("%s: %s", bad[i].text, err.message);
        assert_non_null(strstr(err.message, "We could not parse the JSON body of your request. (line "));
        assert_string_equal("", err.param);
    }
    json_t *v;
    assert_int_equal(ERR_INVALID_JSON, json_read(&v, (struct str){ "[1]\0", 4 }, NULL));
}

/* levels arrays inside each other, with brackets in strings that must not count. */
static enum err_code read_nested(size_t levels, struct err *err)
{
    struct buf text = { 0 };
    for (size_t i = 0; i < levels; i++)
        buf_puts(&text, i % 2 ? "{\"[[{\\\"[\":" : "[\n");
    buf_putc(&text, '1');
    for (size_t i = levels; i-- > 0;)
        buf_putc(&text, i % 2 ? '}' : ']');
    json_t *v;
    enum err_code code = json_read(&v, buf_str(&text), err);
    json_decref(v);
    buf_free(&text);
    return code;
}

static void bounds_depth(void **state)
{
    (void)state;
    struct err err = { 0 };
    assert_int_equal(ERR_OK, read_nested(JSON_DEPTH_MAX, &err));
    assert_int_equal(ERR_INVALID_JSON, read_nested(JSON_DEPTH_MAX + 1, &err));
    assert_non_null(strstr(err.message, "(line 65, column 11: arrays and objects are nested too deep)"));
    assert_int_equal(ERR_INVALID_JSON, read_nested(1000000, &err));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(takes_any_value),
    cmocka_unit_test(refuses_with_the_place),
    cmocka_unit_test(bounds_depth),
};
TEST_GROUP(json_read, tests)
