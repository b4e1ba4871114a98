/*
 * main.c - runs the registered groups; arguments choose groups by prefix.
 *
 * Output is TAP (set CMOCKA_MESSAGE_OUTPUT to change it), so that scripts/tally can count every suite alike.
 */
#include "test.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct test_group *groups;

void test_register(struct test_group *group)
{
    struct test_group **at = &groups;
    while (*at && strcmp((*at)->name, group->name) < 0)
        at = &(*at)->next;
    group->next = *at;
    *at = group;
}

char *test_shared(const char *relative)
{
    const char *root = getenv("THINKD_SHARED");
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", root ? root : "../shared", relative);
    if (access(path, R_OK) == 0)
        return mem_strdup(path);
    print_message("# missing %s\n", relative);
    return NULL;
}

static char tmpdir[64];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_tmpdir(void)
{
    nftw(tmpdir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *test_tmpdir(void)
{
    if (!tmpdir[0]) {
        strcpy(tmpdir, "/tmp/thinkd-test-XXXXXX");
        if (!mkdtemp(tmpdir))
            abort();
        atexit(remove_tmpdir);
    }
    return tmpdir;
}

static bool chosen(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strncmp(name, argv[i], strlen(argv[i])) == 0)
            return true;
    return argc < 2;
}

int main(int argc, char **argv)
{
    setenv("CMOCKA_MESSAGE_OUTPUT", "TAP", 0);
    int failed = 0;
    for (struct test_group *g = groups; g; g = g->next)
        if (chosen(g->name, argc, argv))
            failed += _cmocka_run_group_tests(g->name, g->tests, g->count, NULL, NULL);
    return failed ? 1 : 0;
}
