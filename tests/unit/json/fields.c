/*
 * fields.c - a table of requests against one field table: what is decoded, and the sentence of every refusal.
 */
#include "test.h"

#include "json/json.h"

#include <string.h>

struct target {
    struct field_int tokens, free_int, from;
    struct field_real temperature;
    struct field_bool stream;
    struct field_string model, user;
    struct field_enum effort, one;
    struct field_json metadata, stop, input;
};

static const char *const efforts[] = { "low", "medium", "high", NULL };
static const char *const ones[] = { "only", NULL };
#define AT(member) offsetof(struct target, member)
static const struct field table[] = {
    { "model", FIELD_STRING, AT(model), .min = 1, .max = 8, .required = true },
    { "user", FIELD_STRING, AT(user), .min = 3 },
    { "max_output_tokens", FIELD_INT, AT(tokens), .min = 16, .max = 100 },
    { "from", FIELD_INT, AT(from), .min = 16 },
    { "free_int", FIELD_INT, AT(free_int), .min = 0 },
    { "temperature", FIELD_REAL, AT(temperature), .min = 0, .max = 2 },
    { "stream", FIELD_BOOL, AT(stream), .min = 0 },
    { "effort", FIELD_ENUM, AT(effort), .values = efforts },
    { "one", FIELD_ENUM, AT(one), .values = ones },
    { "metadata", FIELD_OBJECT, AT(metadata), .min = 0 },
    { "stop", FIELD_ARRAY, AT(stop), .min = 2, .max = 4 },
    { "input", FIELD_ANY, AT(input), .min = 0 },
    { "provider", FIELD_IGNORED, .neutral = NULL },
    { "tools", FIELD_UNBUILT, .neutral = NULL },
    { "tier", FIELD_UNBUILT, .neutral = "auto" },
};

static enum err_code decode(const char *text, const char *path, struct target *t, struct arena *arena,
                            json_t **doc, struct err *err)
{
    *t = (struct target){ 0 };
    assert_int_equal(ERR_OK, json_read(doc, str_from(text), NULL));
    return fields_decode(*doc, table, ARRAY_LEN(table), path, t, arena, err);
}

static void decodes_every_kind(void **state)
{
    (void)state;
    struct target t;
    struct arena arena = { 0 };
    struct err err = { 0 };
    json_t *doc;
    const char *text =
        "{\"model\":\"o3\",\"max_output_tokens\":16,\"temperature\":1,\"stream\":true,\"effort\":\"high\","
        "\"metadata\":{\"a\":\"b\"},\"stop\":[1,2],\"input\":\"hi\",\"provider\":7,\"free_int\":-5,"
        "\"user\":null,\"from\":99999}";
    assert_int_equal(ERR_OK, decode(text, "", &t, &arena, &doc, &err));
    assert_true(t.model.set && str_is(t.model.value, "o3"));
    assert_true(t.tokens.set && t.tokens.value == 16);
    assert_true(t.free_int.set && t.free_int.value == -5);
    assert_true(t.from.set && t.from.value == 99999);
    assert_true(t.temperature.set && t.temperature.value == 1.0);
    assert_true(t.stream.set && t.stream.value);
    assert_true(t.effort.set && t.effort.value == 2);
    assert_true(t.metadata.set && json_object_size(t.metadata.value) == 1);
    assert_true(t.stop.set && json_array_size(t.stop.value) == 2);
    assert_true(t.input.set && json_is_string(t.input.value));
    assert_false(t.user.set);
    assert_false(t.one.set);
    json_decref(doc);
    assert_true(str_is(t.model.value, "o3")); /* strings live in the arena, not in the document */
    arena_free(&arena);
}

static const struct refusal {
    const char *text, *path;
    enum err_code code;
    const char *param, *message;
} refusals[] = {
    { "[]", "", ERR_INVALID_TYPE, "", "Invalid type: expected an object, but got an array instead." },
    { "3", "reasoning", ERR_INVALID_TYPE, "reasoning",
      "Invalid type for 'reasoning': expected an object, but got an integer instead." },
    { "{}", "", ERR_MISSING_PARAMETER, "model", "Missing required parameter: 'model'." },
    { "{\"model\":null}", "a[3]", ERR_MISSING_PARAMETER, "a[3].model",
      "Missing required parameter: 'a[3].model'." },
    { "{\"model\":1}", "", ERR_INVALID_TYPE, "model",
      "Invalid type for 'model': expected a string, but got an integer instead." },
    { "{\"model\":\"\"}", "", ERR_STRING_TOO_SHORT, "model",
      "Invalid 'model': empty string. Expected a string with minimum length 1, but got an empty string "
      "instead." },
    { "{\"model\":\"o\",\"user\":\"ab\"}", "", ERR_STRING_TOO_SHORT, "user",
      "Invalid 'user': string too short. Expected a string with minimum length 3, but got a string with "
      "length 2 "
      "instead." },
    { "{\"model\":\"\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9\"}", "", ERR_STRING_TOO_LONG,
      "model",
      "Invalid 'model': string too long. Expected a string with maximum length 8, but got a string with "
      "length 9 "
      "instead." },
    { "{\"model\":\"o\",\"max_output_tokens\":5}", "", ERR_INTEGER_BELOW_MIN, "max_output_tokens",
      "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 5 "
      "instead." },
    { "{\"model\":\"o\",\"max_output_tokens\":101}", "", ERR_INTEGER_ABOVE_MAX, "max_output_tokens",
      "Invalid 'max_output_tokens': integer above maximum value. Expected a value <= 100, but got 101 "
      "instead." },
    { "{\"model\":\"o\",\"max_output_tokens\":16.0}", "", ERR_INVALID_TYPE, "max_output_tokens",
      "Invalid type for 'max_output_tokens': expected an integer, but got a decimal instead." },
    { "{\"model\":\"o\",\"from\":15}", "", ERR_INTEGER_BELOW_MIN, "from",
      "Invalid 'from': integer below minimum value. Expected a value >= 16, but got 15 instead." },
    { "{\"model\":\"o\",\"temperature\":2.1}", "", ERR_DECIMAL_ABOVE_MAX, "temperature",
      "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.1 instead." },
    { "{\"model\":\"o\",\"temperature\":-1}", "", ERR_DECIMAL_BELOW_MIN, "temperature",
      "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -1 instead." },
    { "{\"model\":\"o\",\"temperature\":\"1\"}", "", ERR_INVALID_TYPE, "temperature",
      "Invalid type for 'temperature': expected a decimal, but got a string instead." },
    { "{\"model\":\"o\",\"stream\":\"true\"}", "", ERR_INVALID_TYPE, "stream",
      "Invalid type for 'stream': expected a boolean, but got a string instead." },
    { "{\"model\":\"o\",\"effort\":\"huge\"}", "reasoning", ERR_INVALID_VALUE, "reasoning.effort",
      "Invalid value: 'huge'. Supported values are: 'low', 'medium', and 'high'." },
    { "{\"model\":\"o\",\"one\":\"two\"}", "", ERR_INVALID_VALUE, "one",
      "Invalid value: 'two'. Supported values are: 'only'." },
    { "{\"model\":\"o\",\"effort\":[]}", "", ERR_INVALID_TYPE, "effort",
      "Invalid type for 'effort': expected a string, but got an array instead." },
    { "{\"model\":\"o\",\"metadata\":true}", "", ERR_INVALID_TYPE, "metadata",
      "Invalid type for 'metadata': expected an object, but got a boolean instead." },
    { "{\"model\":\"o\",\"stop\":{}}", "", ERR_INVALID_TYPE, "stop",
      "Invalid type for 'stop': expected an array, but got an object instead." },
    { "{\"model\":\"o\",\"stop\":[]}", "", ERR_EMPTY_ARRAY, "stop",
      "Invalid 'stop': empty array. Expected an array with minimum length 2, but got an empty array "
      "instead." },
    { "{\"model\":\"o\",\"stop\":[1]}", "", ERR_ARRAY_TOO_SHORT, "stop",
      "Invalid 'stop': array too short. Expected an array with minimum length 2, but got an array with "
      "length 1 "
      "instead." },
    { "{\"model\":\"o\",\"stop\":[1,2,3,4,5]}", "", ERR_ARRAY_TOO_LONG, "stop",
      "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length "
      "5 "
      "instead." },
    { "{\"model\":\"o\",\"temprature\":1}", "", ERR_UNKNOWN_PARAMETER, "temprature",
      "Unknown parameter: 'temprature'. Did you mean 'temperature'?" },
    { "{\"model\":\"o\",\"stremm\":null}", "x", ERR_UNKNOWN_PARAMETER, "x.stremm",
      "Unknown parameter: 'x.stremm'. Did you mean 'x.stream'?" },
    { "{\"model\":\"o\",\"qwertz\":1}", "", ERR_UNKNOWN_PARAMETER, "qwertz", "Unknown parameter: 'qwertz'." },
    { "{\"model\":\"o\",\"tools\":[1]}", "", ERR_UNSUPPORTED_PARAMETER, "tools",
      "'tools' is not supported by this server yet." },
    { "{\"model\":\"o\",\"tier\":\"flex\"}", "", ERR_UNSUPPORTED_PARAMETER, "tier",
      "'tier' is not supported by this server yet." },
};

static void refuses_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        const struct refusal *r = &refusals[i];
        struct target t;
        struct arena arena = { 0 };
        struct err err = { 0 };
        json_t *doc;
        assert_int_equal(r->code, decode(r->text, r->path, &t, &arena, &doc, &err));
        assert_int_equal(r->code, err.code);
        assert_string_equal(r->message, err.message);
        assert_string_equal(r->param, err.param);
        json_decref(doc);
        arena_free(&arena);
    }
}

static void unbuilt_passes_when_it_asks_for_nothing(void **state)
{
    (void)state;
    static const char *const values[] = { "null", "false", "0", "0.0", "\"\"", "[]", "{}", "\"auto\"" };
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct target t;
        struct arena arena = { 0 };
        struct buf text = { 0 };
        struct err err = { 0 };
        json_t *doc;
        buf_printf(&text, "{\"model\":\"o\",\"tier\":%s}", values[i]);
        if (decode(text.ptr, "", &t, &arena, &doc, &err))
            fail_msg("%s: %s", text.ptr, err.message);
        json_decref(doc);
        arena_free(&arena);
        buf_free(&text);
    }
}

/* Names and values of any length and any UTF-8 give a bounded, valid message. */
static void hostile_names_stay_bounded(void **state)
{
    (void)state;
    struct buf text = { 0 };
    buf_puts(&text, "{\"model\":\"o\",\"effort\":\"");
    for (int i = 0; i < 5000; i++)
        buf_puts(&text, "\u20ac");
    buf_puts(&text, "\"}");
    struct target t;
    struct arena arena = { 0 };
    struct err err = { 0 };
    json_t *doc;
    assert_int_equal(ERR_INVALID_VALUE, decode(text.ptr, "", &t, &arena, &doc, &err));
    assert_true(utf8_valid(str_from(err.message)));
    assert_non_null(strstr(err.message, "Supported values are: 'low', 'medium', and 'high'."));
    json_decref(doc);
    buf_clear(&text);
    buf_puts(&text, "{\"model\":\"o\",\"");
    for (int i = 0; i < 5000; i++)
        buf_puts(&text, "\u20ac");
    buf_puts(&text, "\":1}");
    assert_int_equal(ERR_UNKNOWN_PARAMETER, decode(text.ptr, "", &t, &arena, &doc, &err));
    assert_true(utf8_valid(str_from(err.message)) && utf8_valid(str_from(err.param)));
    json_decref(doc);
    arena_free(&arena);
    buf_free(&text);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(decodes_every_kind),
    cmocka_unit_test(refuses_by_name),
    cmocka_unit_test(unbuilt_passes_when_it_asks_for_nothing),
    cmocka_unit_test(hostile_names_stay_bounded),
};
TEST_GROUP(json_fields, tests)
