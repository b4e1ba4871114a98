/*
 * data.c - the server's directory: made, checked, held by one.
 */
#include "test.h"

#include "base/file.h"
#include "base/log.h"
#include "cli/cli_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", test_tmpdir(), name);
    return path;
}

static enum err_code open_at(int *lock, const char *path, struct err *err)
{
    struct config cfg = { .data = path };
    return data_open(lock, &cfg, true, err);
}

static void made_private_and_held_by_one(void **state)
{
    (void)state;
    const char *path = path_of("kept");
    struct err err = { 0 };
    struct stat st;
    int first, second;
    assert_int_equal(ERR_OK, open_at(&first, path, &err));
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(0700, st.st_mode & 07777);
    assert_int_equal(ERR_CONFIG, open_at(&second, path, &err));
    char says[64];
    snprintf(says, sizeof says, "is in use by another thinkd, process %ld.", (long)getpid());
    if (!strstr(err.message, says))
        fail_msg("%s", err.message);
    assert_int_equal(-1, second);
    close(first);
    assert_int_equal(ERR_OK,
                     open_at(&second, path, &err)); /* the lock ends with its holder, the file stays */
    close(second);
}

static void what_cannot_hold_data_is_refused(void **state)
{
    (void)state;
    struct err err = { 0 };
    int lock;
    const char *path = path_of("a-file");
    assert_int_equal(ERR_OK, file_write(path, STR("x"), NULL));
    assert_int_equal(ERR_CONFIG, open_at(&lock, path, &err));
    assert_non_null(strstr(err.message, "is not a directory."));
    assert_int_equal(ERR_CONFIG, open_at(&lock, path_of("a-file/child"), &err));
    assert_non_null(strstr(err.message, "--data: cannot make the directory"));
    path = path_of("linked");
    assert_int_equal(0, mkdir(path, 0700));
    struct buf name = { 0 };
    buf_printf(&name, "%s/thinkd.lock", path);
    assert_int_equal(0, symlink("/dev/null", name.ptr));
    assert_int_equal(ERR_CONFIG, open_at(&lock, path, &err));
    assert_non_null(strstr(err.message, "cannot write"));
    buf_free(&name);
}

static void what_is_missing_above_is_made(void **state)
{
    (void)state;
    struct err err = { 0 };
    struct stat st;
    int lock;
    struct config cfg = { .data = path_of("no/such//parent/") };
    assert_int_equal(ERR_OK, data_open(&lock, &cfg, false, &err));
    assert_int_equal(-1, lock); /* not held */
    assert_int_equal(0, stat(path_of("no/such/parent"), &st));
    assert_int_equal(0700, st.st_mode & 07777);
    assert_int_equal(0, stat(path_of("no"), &st));
    assert_int_equal(0700, st.st_mode & 07777);
    assert_int_equal(-1, stat(path_of("no/such/parent/thinkd.lock"), &st));
}

/* A variable of the environment for as long as a test looks at it. */
static char *swap_env(const char *name, const char *value)
{
    char *old = mem_strdup(getenv(name));
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
    return old;
}

static void the_environment_says_where(void **state)
{
    (void)state;
    static const struct {
        const char *data, *xdg, *home, *path; /* path NULL: refused */
    } rows[] = {
        { "here/and there", "/x", "/h", "here/and there/thinkd.db" },
        { NULL, "/x", "/h", "/x/thinkd/thinkd.db" },
        { NULL, "", "/h", "/h/.local/share/thinkd/thinkd.db" },
        { NULL, "relative", "/h", "/h/.local/share/thinkd/thinkd.db" },
        { NULL, NULL, NULL, NULL },
        { NULL, "relative", "relative", NULL },
    };
    char *xdg = swap_env("XDG_DATA_HOME", NULL), *home = swap_env("HOME", NULL);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config cfg = { .data = rows[i].data };
        struct buf path = { 0 };
        struct err err = { 0 };
        mem_free(swap_env("XDG_DATA_HOME", rows[i].xdg));
        mem_free(swap_env("HOME", rows[i].home));
        enum err_code code = data_path(&path, &cfg, DATA_STORE, &err);
        assert_int_equal(rows[i].path ? ERR_OK : ERR_CONFIG, code);
        if (!code)
            assert_string_equal(rows[i].path, path.ptr);
        else
            assert_non_null(strstr(err.message, "--data: neither XDG_DATA_HOME nor HOME"));
        buf_free(&path);
    }
    mem_free(swap_env("XDG_DATA_HOME", xdg));
    mem_free(swap_env("HOME", home));
    mem_free(xdg);
    mem_free(home);
}

static void memory_touches_no_disk(void **state)
{
    (void)state;
    struct config cfg = { .data = ":memory:" };
    struct store *s = NULL;
    struct err err = { 0 };
    int lock;
    assert_int_equal(ERR_OK, data_open(&lock, &cfg, true, &err));
    assert_int_equal(-1, lock);
    assert_int_equal(ERR_OK, data_store(&s, &cfg, false, &err));
    store_close(s);
    assert_int_equal(-1, access(":memory:", F_OK));
}

static void a_store_that_cannot_be_opened_names_the_option(void **state)
{
    (void)state;
    struct config cfg = { .data = path_of("broken") };
    struct store *s = NULL;
    struct err err = { 0 };
    int lock;
    assert_int_equal(ERR_OK, data_open(&lock, &cfg, true, &err));
    assert_int_equal(ERR_OK, file_write(path_of("broken/thinkd.db"),
                                        STR("this is no database, and long enough to "
                                            "be looked at as one"),
                                        NULL));
    cfg.data = path_of("broken");
    assert_int_equal(ERR_CONFIG, data_store(&s, &cfg, false, &err));
    if (strncmp(err.message, "--data: ", 8) != 0)
        fail_msg("%s", err.message);
    close(lock);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(made_private_and_held_by_one),
    cmocka_unit_test(what_cannot_hold_data_is_refused),
    cmocka_unit_test(what_is_missing_above_is_made),
    cmocka_unit_test(the_environment_says_where),
    cmocka_unit_test(memory_touches_no_disk),
    cmocka_unit_test(a_store_that_cannot_be_opened_names_the_option),
};
TEST_GROUP(cli_data, tests)
