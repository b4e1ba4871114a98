/*
 * limits.c - durations as clients of the API read them in x-ratelimit-reset-*.
 */
#include "test.h"

#include "api/api_impl.h"

static void durations_are_written_as_go_does(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        { 0, "0s" },
        { 1, "1ms" },
        { 12, "12ms" },
        { 999, "999ms" },
        { 1000, "1s" },
        { 1001, "1.001s" },
        { 1500, "1.5s" },
        { 8640, "8.64s" },
        { 59999, "59.999s" },
        { 60000, "1m0s" },
        { 360000, "6m0s" },
        { 61050, "1m1.05s" },
        { 3600000, "1h0m0s" },
        { 3661001, "1h1m1.001s" },
        { 360000000, "100h0m0s" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = { 0 };
        put_duration(&out, rows[i].ms);
        assert_string_equal(rows[i].text, out.ptr);
        buf_free(&out);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(durations_are_written_as_go_does),
};
TEST_GROUP(api_limits, tests)
