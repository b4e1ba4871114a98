/*
 * err.c - the error table, messages that stay UTF-8, and log lines nobody can forge.
 */
#include "base/err.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void table_is_sound(void **state)
{
    (void)state;
    for (int c = ERR_OK + 1; c < ERR_COUNT; c++) {
        enum err_code code = (enum err_code)c;
        int status = err_status(code);
        assert_in_range(status, 400, 599);
        if (status == 429) /* the type says what there was too much of */
            assert_string_not_equal(err_type(code), "invalid_request_error");
        else
            assert_string_equal(err_type(code), status < 500 ? "invalid_request_error" : "server_error");
        assert_memory_equal(err_name(code), "ERR_", 4);
    }
    assert_int_equal(err_status(ERR_OK), 200);
    assert_string_equal(err_api_code(ERR_CONTEXT_LENGTH), "context_length_exceeded");
    assert_null(err_api_code(ERR_NOT_FOUND));
    assert_string_equal(err_name(ERR_BUSY), "ERR_BUSY");
}

static void set_fills_and_returns(void **state)
{
    (void)state;
    struct err err = { 0 };
    assert_int_equal(err_set(&err, ERR_INVALID_VALUE, "top_p", "Got %d.", 7), ERR_INVALID_VALUE);
    assert_string_equal(err.param, "top_p");
    assert_string_equal(err.message, "Got 7.");
    assert_int_equal(err_set(&err, ERR_FILE, err.param, "Again: %s", err.message),
                     ERR_FILE); /* from itself */
    assert_string_equal(err.param, "top_p");
    assert_string_equal(err.message, "Again: Got 7.");
    assert_int_equal(err_set(&err, ERR_BUSY, NULL, "x"), ERR_BUSY);
    assert_string_equal(err.param, "");
    assert_int_equal(err_set(NULL, ERR_BUSY, NULL, "x"), ERR_BUSY);
}

static void messages_stay_utf8(void **state)
{
    (void)state;
    struct err err;
    for (size_t lead = 0; lead < 8; lead++) { /* cut at every place of a character */
        char text[1000] = "";
        memset(text, 'x', lead);
        for (size_t i = 0; i < 200; i++)
            strcat(text, "\xf0\x9f\x98\x80");
        err_set(&err, ERR_BUSY, text, "%s", text);
        assert_true(utf8_valid(str_from(err.message)));
        assert_true(utf8_valid(str_from(err.param)));
        assert_true(strlen(err.message) > sizeof err.message - 5);
        assert_null(strchr(err.message, '?'));
    }
    err_set(&err, ERR_BUSY, NULL,
            "a\xff"
            "b\xc3");
    assert_true(utf8_valid(str_from(err.message)));
    assert_int_equal(strlen(err.message), 4);
    char early[1000]; /* broken early and long: still valid after the cut */
    memset(early, 'y', sizeof early);
    early[10] = '\xff';
    early[sizeof early - 1] = '\0';
    err_set(&err, ERR_BUSY, NULL, "%s", early);
    assert_true(utf8_valid(str_from(err.message)));
    for (size_t lead = 0; lead < 4; lead++) { /* both at once */
        char both[1000] = "\xff";
        memset(both + 1, 'z', lead);
        both[1 + lead] = '\0';
        for (size_t i = 0; i < 200; i++)
            strcat(both, "\xf0\x9f\x98\x80");
        err_set(&err, ERR_BUSY, NULL, "%s", both);
        assert_true(utf8_valid(str_from(err.message)));
    }
}

/* Standard error goes to a file while the test logs. */
static void log_lines(void **state)
{
    (void)state;
    struct buf path = { 0 }, text = { 0 };
    struct err err;
    enum log_level level;
    buf_printf(&path, "%s/log", test_tmpdir());
    fflush(stderr);
    int kept = dup(STDERR_FILENO);
    assert_non_null(freopen(path.ptr, "w", stderr));
    log_line(LOG_INFO, "area", "plain key=%d", 1);
    log_line(LOG_DEBUG, "area", "not shown");
    log_set_level(LOG_DEBUG);
    log_line(LOG_DEBUG, "area", "two\nlines \x1b[31m");
    char big[5000];
    memset(big, 'b', sizeof big);
    big[sizeof big - 1] = '\0';
    log_line(LOG_ERROR, "area", "%s", big);
    log_set_level(LOG_ERROR);
    log_line(LOG_WARN, "area", "not shown");
    log_set_level(LOG_INFO);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    assert_int_equal(file_read(&text, path.ptr, MIB, &err), ERR_OK);
    assert_non_null(strstr(text.ptr, "Z info  area plain key=1\n"));
    assert_non_null(strstr(text.ptr, "Z debug area two?lines ?[31m\n"));
    assert_non_null(strstr(text.ptr, "Z error area bbbb"));
    assert_null(strstr(text.ptr, "not shown"));
    int lines = 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.ptr[i] == '\n';
    assert_int_equal(lines, 3);
    assert_int_equal(text.ptr[text.len - 1], '\n');
    assert_true(log_level_from("warn", &level) && level == LOG_WARN);
    assert_false(log_level_from("loud", &level));
    buf_free(&path);
    buf_free(&text);
}

static void clocks_go_on(void **state)
{
    (void)state;
    int64_t before = clock_mono_ns();
    assert_true(clock_mono_ns() >= before);
    assert_true(clock_mono_ms() >= before / 1000000);
    assert_true(clock_wall_s() > 1700000000);
    assert_true(clock_wall_ms() / 1000 >= clock_wall_s() - 1);
    assert_true(thread_cpus() >= 1);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(table_is_sound),     cmocka_unit_test(set_fills_and_returns),
    cmocka_unit_test(messages_stay_utf8), cmocka_unit_test(log_lines),
    cmocka_unit_test(clocks_go_on),
};
TEST_GROUP(base_err, tests)
