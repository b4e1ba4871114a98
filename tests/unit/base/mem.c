/*
 * mem.c - memory that arrives as it is touched.
 */
#include "base/mem.h"
#include "test.h"

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

static int64_t resident(void)
{
    long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f)
        return -1;
    if (fscanf(f, "%*d %lld", &pages) != 1)
        pages = -1;
    fclose(f);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static void lazy_is_zero_and_aligned(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes < 5000000; bytes = 3 * bytes + 1) {
        unsigned char *p = mem_lazy(bytes);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < bytes; i++) {
            assert_int_equal(p[i], 0);
            p[i] = 0xff; /* what is freed is not zero when it comes again */
        }
        mem_lazy_free(p);
    }
    mem_lazy_free(NULL);
}

static void lazy_takes_what_is_touched(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* its shadow of what is mapped is resident too */
#endif
    int64_t before = resident();
    if (before < 0)
        skip();
    unsigned char *p = mem_lazy(256 * MIB);
    p[0] = 1;
    p[256 * MIB - 1] = 1;
    assert_true(resident() - before < (int64_t)(64 * MIB));
    mem_lazy_free(p);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(lazy_is_zero_and_aligned),
    cmocka_unit_test(lazy_takes_what_is_touched),
};
TEST_GROUP(base_mem, tests)
