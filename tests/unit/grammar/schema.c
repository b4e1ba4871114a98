/*
 * schema.c - schemas and the texts that they allow and forbid, as tables (schema/README.md says how they are
 * written).
 *
 * Every allowed text is put byte by byte: what was accepted so far must always be gone on from by the next byte,
 * and may end after the last. Of a forbidden one the byte is known that must be the first to be refused.
 */
#include "test.h"

#include "base/file.h"
#include "base/rng.h"
#include "reference.h"
#include "json/json.h"

#include <dirent.h>
#include <string.h>

#define TABLES    "tests/unit/grammar/schema"
#define TABLE_MAX (1 * MIB)
#define BAD       "\xC2\xA6" /* stands before the first bad byte */

static struct tokenizer *tokenizer;
static struct grammar_vocab *vocab;

static int open_vocab(void **state)
{
    static const char *const words[] = { "\"a\"", "{\"", "\":", "\",\"", "true",
                                         "ab",    "12",  "\"}", "\"a",   ",\"a\":" };
    (void)state;
    tokenizer = test_tokenizer(words, ARRAY_LEN(words), NULL, 0);
    grammar_vocab_open(&vocab, tokenizer);
    return 0;
}

static int close_vocab(void **state)
{
    (void)state;
    grammar_vocab_close(vocab);
    tokenizer_close(tokenizer);
    return 0;
}

/* All that is wrong in a table is shown before it fails. */
static size_t wrongs;
#define WRONG(t, ...)                                                                                        \
    do {                                                                                                     \
        print_message("# %s: %.*s: ", (t)->file, STR_ARG((t)->name));                                        \
        print_message(__VA_ARGS__);                                                                          \
        print_message("\n");                                                                                 \
        wrongs++;                                                                                            \
    } while (0)

/* --- one case ----------------------------------------------------------------------------------------- */

struct table_case {
    const char *file;
    struct str name;
    struct buf schema;
    struct schema_options options;
    struct buf omitted; /* "#/a keyword\n" each */
    struct str error;
    struct str texts[64]; /* with their sign */
    size_t n;
};

static void check_good(const struct table_case *t, struct grammar *g, struct str text)
{
    struct matcher *m;
    matcher_open(&m, g, vocab);
    size_t at = 0;
    while (at < text.len && matcher_put(m, str_slice(text, at, at + 1)) == 1)
        at++;
    if (at < text.len || !matcher_may_end(m))
        WRONG(t, "%.*s refused at byte %zu", STR_ARG(text), at);
    matcher_close(m);
}

static void check_bad(const struct table_case *t, struct grammar *g, struct str text)
{
    struct matcher *m;
    size_t mark = str_find(text, STR(BAD));
    if (mark == SIZE_MAX)
        WRONG(t, "no mark in %.*s", STR_ARG(text));
    matcher_open(&m, g, vocab);
    struct str rest = str_slice(text, mark + strlen(BAD), text.len);
    size_t taken = matcher_put(m, str_slice(text, 0, mark));
    if (taken < mark)
        WRONG(t, "%.*s refused at byte %zu already", STR_ARG(text), taken);
    else if (rest.len ? matcher_put(m, rest) > 0 : matcher_may_end(m))
        WRONG(t, "%.*s not refused", STR_ARG(text));
    matcher_close(m);
}

static void check_omitted(const struct table_case *t, const json_t *omitted)
{
    struct buf got = { 0 };
    size_t i;
    json_t *one;
    json_array_foreach(omitted, i, one)
    {
        buf_printf(&got, "%s %s\n", json_string_value(json_object_get(one, "path")),
                   json_string_value(json_object_get(one, "keyword")));
    }
    if (!str_eq(buf_str(&got), buf_str(&t->omitted)))
        WRONG(t, "left out %swhere expected was %s", got.len ? got.ptr : "nothing ",
              t->omitted.len ? t->omitted.ptr : "nothing");
    buf_free(&got);
}

static void check_case(struct table_case *t)
{
    struct err err = { 0 };
    struct grammar *g;
    json_t *schema, *omitted;
    if (json_read(&schema, buf_str(&t->schema), &err)) {
        WRONG(t, "%s", err.message);
        return;
    }
    enum err_code code = grammar_open_schema(&g, schema, &t->options, &omitted, &err);
    if (t->error.len) {
        if (code != ERR_INVALID_SCHEMA || str_find(str_from(err.message), t->error) == SIZE_MAX)
            WRONG(t, "%s", code ? err.message : "compiled");
        assert_true(utf8_valid(str_from(err.message)));
    } else if (code) {
        WRONG(t, "%s", err.message);
    } else {
        check_omitted(t, omitted);
        for (size_t i = 0; i < t->n; i++)
            (t->texts[i].ptr[0] == '+' ? check_good : check_bad)(t, g,
                                                                 str_slice(t->texts[i], 2, t->texts[i].len));
        grammar_unref(g);
    }
    json_decref(omitted);
    json_decref(schema);
}

/* --- tables ---------------------------------------------------------------------------------------------- */

static void case_line(struct table_case *t, struct str line)
{
    static const struct {
        const char *word;
        int what;
    } words[] = { { "schema ", 's' },   { " ", 's' },      { "+ ", 't' },     { "- ", 't' },
                  { "left out ", 'o' }, { "error ", 'e' }, { "strict", 'x' }, { "spaced", 'b' } };
    int what = 0;
    struct str rest = line;
    for (size_t i = 0; i < ARRAY_LEN(words) && !what; i++)
        if (str_starts(line, str_from(words[i].word))) {
            what = words[i].what;
            rest = str_slice(line, strlen(words[i].word), line.len);
        }
    switch (what) {
    case 's': buf_put_str(&t->schema, rest); break;
    case 't':
        assert_in_range(t->n, 0, ARRAY_LEN(t->texts) - 1);
        t->texts[t->n++] = line;
        break;
    case 'o': buf_printf(&t->omitted, "%.*s\n", STR_ARG(rest)); break;
    case 'e': t->error = rest; break;
    case 'x': t->options.strict = true; break;
    case 'b': t->options.layout = LAYOUT_SPACED; break;
    default: WRONG(t, "what is '%.*s'?", STR_ARG(line));
    }
}

static void finish_case(struct table_case *t, size_t *cases)
{
    if (t->schema.len) {
        check_case(t);
        ++*cases;
    }
    buf_free(&t->schema);
    buf_free(&t->omitted);
}

static size_t check_table(const char *path)
{
    struct buf text = { 0 };
    struct err err = { 0 };
    size_t cases = 0;
    struct table_case t = { .file = path };
    if (file_read(&text, path, TABLE_MAX, &err))
        fail_msg("%s", err.message);
    for (struct str rest = buf_str(&text), line; rest.len; rest = str_slice(rest, line.len + 1, rest.len)) {
        line = str_slice(rest, 0, str_find(rest, STR("\n")));
        if (str_starts(line, STR("# "))) {
            finish_case(&t, &cases);
            t = (struct table_case){ .file = path, .name = str_slice(line, 2, line.len), .options.path = "" };
        } else if (line.len) {
            case_line(&t, line);
        }
    }
    finish_case(&t, &cases);
    buf_free(&text);
    return cases;
}

static void tables(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s.txt", TABLES, name);
    wrongs = 0;
    assert_true(check_table(path) > 0);
    assert_int_equal(wrongs, 0);
}

#define TABLE(name)                                                                                          \
    static void name##_table(void **state)                                                                   \
    {                                                                                                        \
        (void)state;                                                                                         \
        tables(#name);                                                                                       \
    }
TABLE(types)
TABLE(values)
TABLE(numbers)
TABLE(strings)
TABLE(arrays)
TABLE(objects)
TABLE(choices)
TABLE(refs)
TABLE(strict)
TABLE(sdk)

#define TEST(name) cmocka_unit_test_setup_teardown(name##_table, open_vocab, close_vocab)
static const struct CMUnitTest tests[] = { TEST(types),  TEST(values),  TEST(numbers), TEST(strings),
                                           TEST(arrays), TEST(objects), TEST(choices), TEST(refs),
                                           TEST(strict), TEST(sdk) };
TEST_GROUP(grammar_schema, tests)
