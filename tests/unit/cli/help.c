/*
 * help.c - what --help and docs/cli.md say about commands and options, row by row.
 */
#include "test.h"

#include "base/file.h"
#include "cli/cli.h"
#include "config/config.h"
#include "exam/exam.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_document(struct buf *out)
{
    const char *root = getenv("THINKD_ROOT");
    char path[4096];
    struct err err = { 0 };
    snprintf(path, sizeof path, "%s/docs/cli.md", root ? root : ".");
    if (file_read(out, path, MIB, &err))
        fail_msg("%s", err.message);
}

/* The table row of docs/cli.md that begins with the option, as its own string, or NULL. Caller frees. */
static char *document_row(const struct buf *doc, const char *key)
{
    struct buf start = { 0 };
    buf_puts(&start, "\n| `--");
    for (const char *c = key; *c; c++)
        buf_putc(&start, *c == '_' ? '-' : *c);
    const char *at = strstr(doc->ptr, "\n## All options\n");
    assert_non_null(at);
    do
        at = strstr(at + 1, start.ptr);
    while (at && at[start.len] != '`' && at[start.len] != ' ');
    buf_free(&start);
    return at ? mem_strndup(at + 1, strcspn(at + 1, "\n")) : NULL;
}

static void every_option_is_documented(void **state)
{
    (void)state;
    struct buf doc = { 0 };
    const char *key, *dflt, *help, *command, *summary;
    unsigned commands;
    read_document(&doc);
    for (size_t i = 0; config_row(i, &key, &dflt, &help, &commands); i++) {
        char *row = document_row(&doc, key);
        if (!row)
            fail_msg("docs/cli.md has no row for %s", key);
        const char *names = strchr(row + 2, '|'), *meaning = strchr(names + 1, '|');
        for (size_t c = 0; cli_command(c, &command, &summary); c++) {
            const char *named = strstr(names, command);
            if ((named && named < meaning) != ((commands >> c & 1) != 0))
                fail_msg("docs/cli.md, %s: the commands differ at %s", key, command);
        }
        struct buf value = { 0 };
        buf_printf(&value, "`%s`", dflt ? dflt : "");
        bool plain = !dflt || strcmp(dflt, "0") == 0 || strcmp(dflt, "false") == 0;
        if (!plain && !strstr(meaning, value.ptr))
            fail_msg("docs/cli.md, %s: the default is %s", key, dflt);
        buf_free(&value);
        mem_free(row);
    }
    buf_free(&doc);
}

static void every_command_is_documented(void **state)
{
    (void)state;
    struct buf doc = { 0 }, help = { 0 };
    const char *name, *summary;
    read_document(&doc);
    for (size_t i = 0; cli_command(i, &name, &summary); i++) {
        char heading[64];
        snprintf(heading, sizeof heading, "\n## thinkd %s\n", name);
        assert_non_null(strstr(doc.ptr, heading));
        buf_clear(&help);
        assert_true(cli_help(&help, name));
        assert_non_null(strstr(help.ptr, summary));
        assert_non_null(strstr(help.ptr, "  --json"));
    }
    buf_clear(&help);
    assert_true(cli_help(&help, NULL));
    assert_non_null(strstr(help.ptr, "thinkd serve"));
    assert_false(cli_help(&help, "frobnicate"));
    buf_free(&help);
    buf_free(&doc);
}

static void exam_help_lists_the_families(void **state)
{
    (void)state;
    struct buf help = { 0 };
    assert_true(cli_help(&help, "exam"));
    for (size_t i = 0; i < exam_family_count(); i++) {
        const struct exam_family *f = exam_family_at(i);
        assert_non_null(strstr(help.ptr, exam_family_what(f)));
    }
    buf_free(&help);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_option_is_documented),
    cmocka_unit_test(every_command_is_documented),
    cmocka_unit_test(exam_help_lists_the_families),
};
TEST_GROUP(cli_help, tests)
