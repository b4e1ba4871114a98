/*
 * write.c - the writer, the dumper and string literals: exact text, and a round trip on random values.
 */
#include "test.h"

#include "base/rng.h"
#include "json/json.h"

#include <string.h>

static void writes_exact_text(void **state)
{
    (void)state;
    struct buf out = { 0 };
    json_t *echo = json_pack("{s:f,s:[i,n]}", "t", 0.1, "a", 3);
    struct json_writer w = { .out = &out };
    jw_begin_object(&w);
    jw_key_string(&w, "s", STR("a\"b\\c\n\x01\xc3\xa9"));
    jw_key_cstring(&w, "none", NULL);
    jw_key(&w, "list");
    jw_begin_array(&w);
    jw_int(&w, INT64_MIN);
    jw_bool(&w, true);
    jw_begin_object(&w);
    jw_end_object(&w);
    jw_begin_array(&w);
    jw_end_array(&w);
    jw_raw(&w, STR("[1,2]"));
    jw_value(&w, echo);
    jw_value(&w, NULL);
    jw_null(&w);
    jw_end_array(&w);
    jw_key_real(&w, "r", 1);
    jw_end_object(&w);
    assert_int_equal(0, w.depth);
    assert_string_equal("{\"s\":\"a\\\"b\\\\c\\n\\u0001\xc3\xa9\",\"none\":null,\"list\":[-"
                        "9223372036854775808,true,{},[],[1,2],"
                        "{\"t\":0.1,\"a\":[3,null]},null,null],\"r\":1.0}",
                        out.ptr);
    json_decref(echo);
    buf_free(&out);
}

static void integers_are_whole(void **state)
{
    (void)state;
    static const struct {
        int64_t v;
        const char *text;
    } rows[] = {
        { 0, "0" },
        { -1, "-1" },
        { 10, "10" },
        { 1234567890, "1234567890" },
        { INT64_MAX, "9223372036854775807" },
        { INT64_MIN, "-9223372036854775808" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = { 0 };
        struct json_writer w = { .out = &out };
        jw_int(&w, rows[i].v);
        assert_string_equal(rows[i].text, out.ptr);
        buf_free(&out);
    }
}

static void reals_are_shortest(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *text;
    } rows[] = {
        { 0.1, "0.1" },
        { 0.7, "0.7" },
        { 1, "1.0" },
        { 0.0, "0.0" },
        { -0.0, "-0.0" },
        { -20, "-20.0" },
        { 999999999999999, "999999999999999.0" },
        { 1e15, "1e+15" },
        { 123456789012345680.0, "1.2345678901234568e+17" },
        { 1234567890123456, "1234567890123456.0" },
        { 0.1 + 0.2, "0.30000000000000004" },
        { 5e-324, "5e-324" },
        { 1e300, "1e+300" },
        { 1.7976931348623157e308, "1.7976931348623157e+308" },
        { 1.0 / 3, "0.3333333333333333" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = { 0 };
        struct json_writer w = { .out = &out };
        jw_real(&w, rows[i].v);
        assert_string_equal(rows[i].text, out.ptr);
        buf_free(&out);
    }
}

static void bad_utf8_becomes_replacement(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text;
    } rows[] = {
        { "", "\"\"" },
        { "a\xff"
          "b",
          "\"a\xef\xbf\xbd"
          "b\"" },
        { "\xc3", "\"\xef\xbf\xbd\"" },
        { "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
        { "\xe2\x80\xa8", "\"\xe2\x80\xa8\"" },
        { "\x7f/\x1f", "\"\x7f/\\u001f\"" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = { 0 };
        json_put_string(&out, str_from(rows[i].bytes));
        assert_string_equal(rows[i].text, out.ptr);
        buf_free(&out);
    }
    struct buf out = { 0 };
    json_put_string(&out, (struct str){ "a\0b", 3 });
    assert_string_equal("\"a\\u0000b\"", out.ptr);
    buf_free(&out);
}

static json_t *random_value(struct rng *r, int depth)
{
    char bytes[24];
    size_t len = (size_t)rng_below(r, sizeof bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(1 + rng_below(r, 126));
    switch (rng_below(r, depth < 5 ? 8 : 6)) {
    case 0: return json_null();
    case 1: return json_boolean(rng_below(r, 2));
    case 2: return json_integer((json_int_t)rng_u64(r));
    case 3: return json_real((rng_unit(r) - 0.5) * (double)rng_u64(r));
    case 4: return json_real((double)rng_range(r, -9999, 9999) / 1000);
    case 5: return json_stringn(bytes, len);
    case 6: {
        json_t *a = json_array();
        for (size_t n = (size_t)rng_below(r, 5); n > 0; n--)
            json_array_append_new(a, random_value(r, depth + 1));
        return a;
    }
    default: {
        json_t *o = json_object();
        for (size_t n = (size_t)rng_below(r, 5); n > 0; n--) {
            char key[24];
            size_t used = 0;
            for (size_t k = (size_t)rng_below(r, 12); k > 0; k--)
                key[used++] = (char)(1 + rng_below(r, 126));
            key[used] = '\0';
            json_object_set_new(o, key, random_value(r, depth + 1));
        }
        return o;
    }
    }
}

static void dump_reads_back_equal(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 1, 0);
    for (int i = 0; i < 500; i++) {
        struct buf out = { 0 }, again = { 0 };
        json_t *v = random_value(&r, 0), *back;
        struct err err = { 0 };
        json_dump(&out, v);
        if (json_read(&back, buf_str(&out), &err))
            fail_msg("%s: %s", out.ptr, err.message);
        assert_true(json_equal(v, back));
        json_dump(&again, back);
        assert_true(str_eq(buf_str(&out), buf_str(&again)));
        assert_int_equal(SIZE_MAX, str_find(buf_str(&out), STR("\n")));
        json_decref(v);
        json_decref(back);
        buf_free(&out);
        buf_free(&again);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(writes_exact_text),     cmocka_unit_test(integers_are_whole),
    cmocka_unit_test(reals_are_shortest),    cmocka_unit_test(bad_utf8_becomes_replacement),
    cmocka_unit_test(dump_reads_back_equal),
};
TEST_GROUP(json_write, tests)
