/*
 * data.c - the server's directory: made, checked, held by one.
 */
#include "test.h"

#include "base/file.h"
#include "base/log.h"
#include "cli/cli_impl.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", test_tmpdir(), name);
    return path;
}

static void made_private_and_held_by_one(void **state)
{
    (void)state;
    const char *path = path_of("kept");
    struct err err = { 0 };
    struct stat st;
    int first, second;
    assert_int_equal(ERR_OK, data_open(&first, path, &err));
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(0700, st.st_mode & 07777);
    assert_int_equal(ERR_CONFIG, data_open(&second, path, &err));
    char says[64];
    snprintf(says, sizeof says, "is in use by another thinkd, process %ld.", (long)getpid());
    if (!strstr(err.message, says))
        fail_msg("%s", err.message);
    assert_int_equal(-1, second);
    close(first);
    assert_int_equal(ERR_OK,
                     data_open(&second, path, &err)); /* the lock ends with its holder, the file stays */
    close(second);
}

static void what_cannot_hold_data_is_refused(void **state)
{
    (void)state;
    struct err err = { 0 };
    int lock;
    const char *path = path_of("a-file");
    assert_int_equal(ERR_OK, file_write(path, STR("x"), NULL));
    assert_int_equal(ERR_CONFIG, data_open(&lock, path, &err));
    assert_non_null(strstr(err.message, "is not a directory."));
    assert_int_equal(ERR_CONFIG, data_open(&lock, path_of("no/such/parent"), &err));
    assert_non_null(strstr(err.message, "cannot make the directory"));
    path = path_of("linked");
    assert_int_equal(0, mkdir(path, 0700));
    struct buf name = { 0 };
    buf_printf(&name, "%s/thinkd.lock", path);
    assert_int_equal(0, symlink("/dev/null", name.ptr));
    assert_int_equal(ERR_CONFIG, data_open(&lock, path, &err));
    assert_non_null(strstr(err.message, "cannot write"));
    buf_free(&name);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(made_private_and_held_by_one),
    cmocka_unit_test(what_cannot_hold_data_is_refused),
};
TEST_GROUP(cli_data, tests)
