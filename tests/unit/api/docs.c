/*
 * docs.c - docs/api.md says what the tables do: every endpoint, every request field with its state, every error.
 *
 * The repository's root is THINKD_ROOT, or the working directory.
 */
#include "api/api.h"
#include "base/file.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOC_BYTES_MAX (1 << 20)

static int load(void **state)
{
    static struct buf doc;
    const char *root = getenv("THINKD_ROOT");
    char path[4096];
    struct err err;
    snprintf(path, sizeof path, "%s/docs/api.md", root ? root : ".");
    buf_clear(&doc);
    if (file_read(&doc, path, DOC_BYTES_MAX, &err)) {
        print_message("# %s\n", err.message);
        return -1;
    }
    *state = &doc;
    return 0;
}

static int unload(void **state)
{
    buf_free(*state);
    return 0;
}

/* The lines from the heading of that name to the next heading. */
static struct str section(const struct buf *doc, const char *name)
{
    char heading[256];
    snprintf(heading, sizeof heading, "\n### `%s`\n", name);
    struct str all = buf_str(doc);
    size_t at = str_find(all, str_from(heading));
    if (at == SIZE_MAX)
        fail_msg("docs/api.md has no heading \"### `%s`\"", name);
    struct str rest = str_slice(all, at + strlen(heading), all.len);
    size_t end = str_find(rest, STR("\n#"));
    return str_slice(rest, 0, end);
}

static const char *state_of(enum field_kind kind)
{
    return kind == FIELD_IGNORED ? "ignored" : kind == FIELD_UNBUILT ? "not built" : "honoured";
}

static void every_field_is_documented(void **state)
{
    const char *table, *name;
    enum field_kind kind;
    size_t n = 0;
    for (; api_field(n, &table, &name, &kind); n++) {
        char row[256];
        snprintf(row, sizeof row, "| `%s` | %s |", name, state_of(kind));
        if (str_find(section(*state, table), str_from(row)) == SIZE_MAX)
            fail_msg("docs/api.md, section %s, lacks the row \"%s\"", table, row);
    }
    assert_true(n > 100);
}

/* The other direction: a row of a field table in the document is a row in the code. */
static void no_field_is_invented(void **state)
{
    const char *table, *name;
    enum field_kind kind;
    size_t rows = 0, fields = 0;
    struct str last = { 0 };
    for (; api_field(fields, &table, &name, &kind); fields++) {
        struct str s = section(*state, table);
        if (s.ptr == last.ptr)
            continue;
        last = s;
        for (size_t at; (at = str_find(s, STR("\n| `"))) != SIZE_MAX; rows++)
            s = str_slice(s, at + 1, s.len);
    }
    assert_int_equal(rows, fields);
}

static void every_endpoint_is_documented(void **state)
{
    const char *method, *path;
    size_t n = 0;
    for (; api_endpoint(n, &method, &path); n++) {
        char row[256];
        snprintf(row, sizeof row, "\n| %s | `%s` |", method, path);
        if (str_find(buf_str(*state), str_from(row)) == SIZE_MAX)
            fail_msg("docs/api.md lacks the row \"%s\"", row + 1);
    }
    assert_true(n >= 5);
}

static void every_error_is_documented(void **state)
{
    for (int code = ERR_OK + 1; code < ERR_COUNT; code++) {
        const char *api = err_api_code((enum err_code)code);
        char row[256];
        snprintf(row, sizeof row, api ? "\n| %d | `%s` |" : "\n| %d | null |%.0s",
                 err_status((enum err_code)code), api ? api : "");
        if (str_find(buf_str(*state), str_from(row)) == SIZE_MAX)
            fail_msg("docs/api.md lacks the row \"%s\" of %s", row + 1, err_name((enum err_code)code));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(every_field_is_documented, load, unload),
    cmocka_unit_test_setup_teardown(no_field_is_invented, load, unload),
    cmocka_unit_test_setup_teardown(every_endpoint_is_documented, load, unload),
    cmocka_unit_test_setup_teardown(every_error_is_documented, load, unload),
};
TEST_GROUP(api_docs, tests)
