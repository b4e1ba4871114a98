/*
 * file.c - whole files, and what goes wrong with them.
 */
#include "base/file.h"
#include "test.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char *path_of(const char *name)
{
    struct buf b = { 0 };
    buf_printf(&b, "%s/%s", test_tmpdir(), name);
    return buf_take(&b);
}

static void write_read_map(void **state)
{
    (void)state;
    char *path = path_of("data");
    struct err err = { 0 };
    struct buf big = { 0 };
    for (int i = 0; i < 50000; i++)
        buf_printf(&big, "%d,", i);
    const struct str texts[] = { STR(""), STR("short"), { "a\0b", 3 }, buf_str(&big), STR("shorter again") };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct buf b = { 0 };
        struct file_map map;
        assert_int_equal(file_write(path, texts[i], &err), ERR_OK);
        assert_int_equal(file_read(&b, path, MIB, &err), ERR_OK);
        assert_true(str_eq(buf_str(&b), texts[i]));
        buf_free(&b);
        assert_int_equal(file_map(&map, path, &err), ERR_OK);
        assert_true(str_eq((struct str){ (const char *)map.ptr, map.len }, texts[i]));
        file_unmap(&map);
        file_unmap(&map);
    }
    buf_free(&big);
    mem_free(path);
}

static void limits_are_exact(void **state)
{
    (void)state;
    char *path = path_of("ten");
    struct err err = { 0 };
    struct buf b = { 0 };
    assert_int_equal(file_write(path, STR("0123456789"), &err), ERR_OK);
    assert_int_equal(file_read(&b, path, 10, &err), ERR_OK);
    buf_clear(&b);
    assert_int_equal(file_read(&b, path, 9, &err), ERR_FILE);
    assert_non_null(strstr(err.message, "longer than 9 bytes"));
    buf_free(&b);
    mem_free(path);
}

static void errors_name_the_path(void **state)
{
    (void)state;
    char *missing = path_of("missing"), *nested = path_of("no/such/dir");
    struct err err = { 0 };
    struct buf b = { 0 };
    struct file_map map;
    assert_int_equal(file_read(&b, missing, 10, &err), ERR_FILE);
    assert_non_null(strstr(err.message, missing));
    assert_int_equal(file_map(&map, missing, &err), ERR_FILE);
    assert_int_equal(file_map(&map, test_tmpdir(), &err), ERR_FILE);
    assert_non_null(strstr(err.message, "regular"));
    assert_int_equal(file_read(&b, test_tmpdir(), 10, &err), ERR_FILE);
    assert_int_equal(file_write(nested, STR("x"), &err), ERR_FILE);
    assert_int_equal(file_read(&b, missing, 10, NULL), ERR_FILE); /* an err is optional */
    buf_free(&b);
    mem_free(missing);
    mem_free(nested);
}

/* A file is replaced in one step, and a failed write leaves nothing behind. */
static void write_leaves_no_parts(void **state)
{
    (void)state;
    char *dir = path_of("target");
    char *inside = path_of("target/x");
    struct err err = { 0 };
    assert_int_equal(file_write(dir, STR("a file"), &err), ERR_OK);
    assert_int_equal(file_write(inside, STR("x"), &err), ERR_FILE);        /* its folder is a file */
    assert_int_equal(file_write(test_tmpdir(), STR("x"), &err), ERR_FILE); /* the rename fails */
    DIR *d = opendir(test_tmpdir());
    for (struct dirent *e; (e = readdir(d));)
        assert_null(strstr(e->d_name, ".part"));
    closedir(d);
    mem_free(dir);
    mem_free(inside);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(write_read_map),
    cmocka_unit_test(limits_are_exact),
    cmocka_unit_test(errors_name_the_path),
    cmocka_unit_test(write_leaves_no_parts),
};
TEST_GROUP(base_file, tests)
