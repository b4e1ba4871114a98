/*
 * schema_limits.c - schemas that are made to take for ever: each compiles or is refused, by a bound that has a name.
 */
#include "test.h"

#include "reference.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

/* NULL: it compiles; else what the message says. */
static void check(struct buf *schema, const char *message)
{
    struct schema_options options = { .path = "text.format.schema" };
    struct err err = { 0 };
    struct grammar *g;
    json_t *parsed, *omitted;
    if (json_read(&parsed, buf_str(schema), &err))
        fail_msg("%s", err.message);
    enum err_code code = grammar_open_schema(&g, parsed, &options, &omitted, &err);
    if (message) {
        assert_int_equal(code, ERR_INVALID_SCHEMA);
        assert_string_equal(err.param, "text.format.schema");
        if (!strstr(err.message, message))
            fail_msg("%.60s: %s", schema->ptr, err.message);
    } else {
        if (code)
            fail_msg("%.60s: %s", schema->ptr, err.message);
        grammar_unref(g);
        json_decref(omitted);
    }
    json_decref(parsed);
    buf_free(schema);
}

/* {"$ref": the first of n definitions, each made by format from its number and the next one's; the last is null. */
static void check_chain(size_t n, const char *before, const char *between, const char *after,
                        const char *message)
{
    struct buf b = { 0 };
    buf_puts(&b, "{\"$ref\":\"#/$defs/d0\",\"$defs\":{");
    for (size_t i = 0; i < n; i++) {
        buf_printf(&b, "\"d%zu\":%s\"$ref\":\"#/$defs/d%zu\"", i, before, i + 1);
        if (between)
            buf_printf(&b, "%s\"$ref\":\"#/$defs/d%zu\"", between, i + 1);
        buf_printf(&b, "%s,", after);
    }
    buf_printf(&b, "\"d%zu\":{\"type\":\"null\"}}}", n);
    check(&b, message);
}

static void doublings(void **state)
{
    (void)state;
    check_chain(40, "{\"allOf\":[{", "},{\"maxLength\":5,", "}]}", NULL);
    check_chain(40, "{\"properties\":{\"a\":{", "},\"b\":{", "}}}", NULL);
    check_chain(40, "{\"anyOf\":[{", "},{", "}]}", NULL);
    check_chain(40, "{\"anyOf\":[{", "},{\"maxLength\":5,", "}]}", "more than");
    check_chain(40, "{\"maxLength\":9,\"oneOf\":[{", "},{\"maxLength\":5,", "}]}", "too complex");
    check_chain(40, "{\"unevaluatedItems\":false,\"allOf\":[{", "},{\"prefixItems\":[true],", "}]}",
                "too complex");
    check_chain(40, "{\"unevaluatedProperties\":false,\"anyOf\":[{", "},{\"minimum\":1,", "}]}",
                "too complex");
}

static void chains(void **state)
{
    (void)state;
    check_chain(100, "{", NULL, "}", NULL);
    check_chain(10000, "{", NULL, "}", "nested too deeply");
    check_chain(10000, "{\"anyOf\":[{\"type\":\"string\"},{", NULL, "}]}", "nested too deeply");
    check_chain(3000, "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"a\":{", NULL,
                "}}}", NULL);
}

static void check_text(const char *schema, const char *message)
{
    struct buf b = { 0 };
    buf_puts(&b, schema);
    check(&b, message);
}

static void counts(void **state)
{
    (void)state;
    check_text("{\"type\":\"string\",\"maxLength\":1000000000}", NULL);
    check_text("{\"type\":\"array\",\"maxItems\":1000000000,\"items\":{\"type\":\"null\"}}", NULL);
    check_text("{\"type\":\"object\",\"maxProperties\":1000000000}", NULL);
    check_text("{\"type\":\"string\",\"pattern\":\"^(a+)+$\"}", NULL);
    check_text("{\"type\":\"string\",\"pattern\":\"(a|b)*a(a|b){20}$\",\"maxLength\":500}",
               NULL); /* in part */
    check_text("{\"type\":\"string\",\"minLength\":1e300}", "no string satisfies");
    check_text("{\"type\":\"integer\",\"minimum\":1e300}", "no number is within its bounds");
}

/* Many of one thing: format says each by its number, twice. */
static void check_many(size_t n, const char *before, const char *format, const char *after,
                       const char *message)
{
    struct buf b = { 0 };
    buf_puts(&b, before);
    for (size_t i = 0; i < n; i++) {
        const char *at = strchr(format, '#');
        buf_printf(&b, "%s%.*s%zu%s", i ? "," : "", (int)(at - format), format, i, at + 1);
    }
    buf_puts(&b, after);
    check(&b, message);
}

static void many(void **state)
{
    (void)state;
    check_many(10000, "{\"enum\":[", "\"value #\"", "]}", NULL);
    check_many(10000, "{\"allOf\":[", "{\"minimum\":#}", "]}", "too complex");
    check_many(500, "{\"properties\":{", "\"p#\":{\"type\":\"string\"}", "}}", NULL);
    check_many(3000, "{\"properties\":{", "\"p#\":{\"type\":\"string\"}", "}}", "may be the first one there");
    check_many(100, "{\"oneOf\":[", "{\"type\":\"integer\",\"minimum\":#}", "]}", NULL); /* in part */
    check_many(100000, "{\"enum\":[", "\"value #\"", "]}", "more than 100000 nodes");
    check_many(60000, "{\"$defs\":{", "\"d#\":{}", "}}", "more than 50000 arrays and objects");
    check_many(5000, "{\"type\":\"integer\",\"not\":{\"enum\":[", "#", "]}}", NULL);
    check_many(400, "{\"anyOf\":[", "{\"properties\":{\"k#\":{\"type\":\"string\"}}}", "]}", NULL);
}

static void check_pattern(size_t n, const char *part, const char *after, const char *message)
{
    struct buf b = { 0 };
    buf_puts(&b, "{\"type\":\"string\",\"pattern\":\"^(");
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, part, i);
    buf_printf(&b, "%s\"}", after);
    check(&b, message);
}

static void long_patterns(void **state)
{
    (void)state;
    check_pattern(20000, "w%zu|", "x)$", NULL);
    check_pattern(200000, "|", "x)$", NULL);
    check_pattern(3000, "a?b*[cd]", ")$", NULL);
    check_pattern(700000, "x", ")$", NULL);
    check_pattern(200000, "a?b*[cd]", ")$", "more than 100000 nodes");
    check_pattern(3000, "a?b*[cd]", ")$\",\"maxLength\":9000,\"minLength\":1,\"title\":\"", NULL);
}

/* What is written can be read back: nothing nests deeper than json_read takes, and from everywhere there is an end. */
static void nesting_can_be_read_back(void **state)
{
    static const struct {
        const char *schema, *level;
    } cases[] = {
        { "{}", "[" },
        { "{}", "{\"a\":" },
        { "{}", "[1,[2],{\"b\":" },
        { "{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}", "[[],[" },
        { "{\"properties\":{\"b\":{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}}}", "{\"b\":[" },
        { "{\"type\":\"object\",\"properties\":{\"a\":{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]},"
          "\"z\":{\"type\":\"array\",\"items\":{\"type\":\"array\"},\"minItems\":2}},\"required\":[\"a\","
          "\"z\"]}",
          "{\"a\":" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct schema_options o = { .path = "schema" };
        json_t *schema = json_loads(cases[i].schema, 0, NULL), *value, *omitted;
        struct str level = str_from(cases[i].level);
        struct buf text = { 0 };
        struct matcher *m;
        struct grammar *g;
        struct err err;
        assert_int_equal(grammar_open_schema(&g, schema, &o, &omitted, &err), ERR_OK);
        matcher_open(&m, g, NULL);
        size_t taken = level.len;
        while (taken == level.len && text.len < 32 * JSON_DEPTH_MAX) {
            taken = matcher_put(m, level);
            buf_put(&text, level.ptr, taken);
        }
        assert_true(taken < level.len && text.len > level.len * JSON_DEPTH_MAX / 6);
        assert_true(matcher_closing(m, 1 << 16, &text));
        if (json_read(&value, buf_str(&text), &err))
            fail_msg("%s: %s", cases[i].schema, err.message);
        json_decref(value);
        json_decref(schema);
        matcher_close(m);
        grammar_unref(g);
        buf_free(&text);
    }
}

/* What has to be deeper may be. */
static void nesting_that_is_demanded(void **state)
{
    enum { LEVELS = 150 };
    const struct schema_options o = { .path = "schema" };
    json_t *schema = json_pack("{s:s, s:{s:{s:i}}}", "$ref", "#/$defs/150", "$defs", "0", "const", 1),
           *omitted;
    char name[16], next[32];
    struct buf text = { 0 };
    struct matcher *m;
    struct grammar *g;
    struct err err;
    (void)state;
    for (int i = 1; i <= LEVELS; i++) {
        snprintf(name, sizeof name, "%d", i);
        snprintf(next, sizeof next, "#/$defs/%d", i - 1);
        json_object_set_new(
            json_object_get(schema, "$defs"), name,
            json_pack("{s:s, s:i, s:{s:s}}", "type", "array", "minItems", 1, "items", "$ref", next));
    }
    if (grammar_open_schema(&g, schema, &o, &omitted, &err))
        fail_msg("%s", err.message);
    matcher_open(&m, g, NULL);
    assert_true(matcher_closing(m, 1 << 10, &text));
    assert_int_equal(text.len, 2 * LEVELS + 1);
    matcher_close(m);
    grammar_unref(g);
    buf_free(&text);
    json_decref(schema);
}

static const struct CMUnitTest tests[] = { cmocka_unit_test(doublings),
                                           cmocka_unit_test(chains),
                                           cmocka_unit_test(counts),
                                           cmocka_unit_test(many),
                                           cmocka_unit_test(long_patterns),
                                           cmocka_unit_test(nesting_can_be_read_back),
                                           cmocka_unit_test(nesting_that_is_demanded) };
TEST_GROUP(grammar_schema_limits, tests)
