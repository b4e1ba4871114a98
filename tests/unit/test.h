/*
 * test.h - how a unit test file joins the run.
 *
 * A file holds static tests and ends in TEST_GROUP(folder_file, tests): the group registers itself
 * before main, so a build that leaves a folder out (make DIRS="...") simply has fewer groups.
 */
#ifndef THINKD_TESTS_UNIT_TEST_H
#define THINKD_TESTS_UNIT_TEST_H

/* cmocka wants these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

#include <stdbool.h>

struct test_group {
    const char *name;
    const struct CMUnitTest *tests;
    size_t count;
    struct test_group *next;
};
void test_register(struct test_group *group);

#define TEST_GROUP(group, array)                                                                             \
    static struct test_group test_group_##group = { #group, array, sizeof(array) / sizeof((array)[0]),       \
                                                    NULL };                                                  \
    __attribute__((constructor)) static void test_group_##group##_register(void)                             \
    {                                                                                                        \
        test_register(&test_group_##group);                                                                  \
    }

/* Path of a file under the shared fixtures (THINKD_SHARED, default ../shared), or NULL when it is not there: then
 * the test says which file it missed and skips: `if (!path) skip();` after test_missing. Caller frees. */
char *test_shared(const char *relative);
/* Path of a fresh temporary directory, removed with its content at exit. */
const char *test_tmpdir(void);

#define assert_near(want, got, bound)                                                                        \
    do {                                                                                                     \
        double want_ = (want), got_ = (got), bound_ = (bound);                                               \
        if (!(want_ - got_ <= bound_ && got_ - want_ <= bound_))                                             \
            fail_msg("%s:%d: wanted %.9g, got %.9g, bound %.3g", __FILE__, __LINE__, want_, got_, bound_);   \
    } while (0)

#endif
