/*
 * split.c - known splits of the pre-tokenizers.
 *
 * The only test that looks behind the folder's front door: through it words show as tokens only, and a wrong
 * border may hide under merges.
 */
#include "test.h"

#include "base/file.h"
#include "text/text_impl.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct split_case {
    const char *names; /* of families, blank between two */
    const char *text;
    const char *words; /* '|' between two */
};

static const struct split_case split_cases[] = {
    { "qwen2 deepseek-r1-qwen stablelm2 smollm refact starcoder deepseek-coder tekken qwen35", "1234",
      "1|2|3|4" },
    { "llama-bpe llama3 dbrx glm4 gpt-4o deepseek-v3", "1234567", "123|456|7" },
    { "gpt-2 mpt olmo gpt-neox deepseek-llm", "1234567", "1234567" },
    { "falcon default", "1234567", "123|456|7" },
    { "qwen2 llama-bpe", "Hello, world! It's", "Hello|,| world|!| It|'s" },
    { "gpt-2 mpt smollm", "Hello, world! It's", "Hello|,| world|!| It|'s" },
    { "qwen2 llama-bpe", "WE'LL 'RE", "WE|'LL| '|RE" },
    { "gpt-2", "WE'LL", "WE|'|LL" },
    { "qwen2 llama-bpe tekken", "a  b\n\n c", "a| | b|\n\n| c" },
    { "gpt-2", "a  b\n\n c", "a| | b|\n\n| c" },
    { "qwen2 llama-bpe", "x;\n\ny", "x|;\n\n|y" },
    { "gpt-2", "x;\n\ny", "x|;|\n|\n|y" },
    { "qwen2 llama-bpe gpt-2", "a   ", "a|   " },
    { "qwen2", "12+7=19", "1|2|+|7|=|1|9" },
    { "qwen2", "<think>\n12 + 7", "<think|>\n|1|2| +| |7" },
    { "llama-bpe", "(foo)\tbar", "(foo|)|\tbar" },
    { "gpt-2", "(foo)\tbar", "(|foo|)|\t|bar" },
    { "gpt-4o llama4", "HelloWorld's XMLFile", "Hello|World's| XMLFile" },
    { "tekken", "HelloWorld's", "Hello|World|'s" },
    { "qwen2", "\xC3\xBC\xE6\x88\x91 \xF0\x9F\x98\x81", "\xC3\xBC\xE6\x88\x91| \xF0\x9F\x98\x81" },
    { "falcon", "a`b", "a|`|b" },
    { "default", "a.b ..c", "a|.|b| |..|c" },
    { "deepseek-llm", "ab\ncd, \xE6\x88\x91", "ab|\n|cd|,| |\xE6\x88\x91" },
    { "qwen2", "a\xC2\x85\xE3\x80\x80z", "a|\xC2\x85|\xE3\x80\x80z" },
    { "seed-coder", "x;\n\ny12", "x|;|\n\n|y|1|2" },
    { "qwen2", "a\xE1\xA0\x8E", "a|\xE1\xA0\x8E" }, /* U+180E: a format character, no blank */
};

static enum err_code put_word(void *ctx, struct str word, struct err *err)
{
    (void)err;
    struct buf *out = ctx;
    if (out->len)
        buf_putc(out, '|');
    buf_put_str(out, word);
    return ERR_OK;
}

static void check_split(struct str name, const struct split_case *c)
{
    struct splitter *s = NULL;
    struct err err = { 0 };
    struct buf got = { 0 };
    if (splitter_open(&s, name, &err))
        fail_msg("%s", err.message);
    assert_int_equal(splitter_run(s, str_from(c->text), (struct word_sink){ put_word, &got }, &err), ERR_OK);
    if (!str_is(buf_str(&got), c->words))
        fail_msg("%.*s cuts \"%s\" as \"%.*s\", wanted \"%s\"", STR_ARG(name), c->text,
                 STR_ARG(buf_str(&got)), c->words);
    buf_free(&got);
    splitter_close(s);
}

static void known_splits(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(split_cases); i++)
        for (struct str names = str_from(split_cases[i].names); names.len;) {
            size_t end = str_find(names, STR(" "));
            check_split(str_slice(names, 0, end), &split_cases[i]);
            names = end == SIZE_MAX ? STR("") : str_slice(names, end + 1, names.len);
        }
}

/* --- splits.golden: what the families' own patterns say, run by the library they were written for (splits.py) --- */

struct golden {
    json_t *words;
    size_t at;
    bool same;
};

static enum err_code compare_word(void *ctx, struct str word, struct err *err)
{
    (void)err;
    struct golden *g = ctx;
    const json_t *want = json_array_get(g->words, g->at++);
    g->same &= want && str_eq(word, (struct str){ json_string_value(want), json_string_length(want) });
    return ERR_OK;
}

static void check_golden(struct str name, json_t *words, size_t line)
{
    struct golden g = { words, 0, true };
    struct buf text = { 0 };
    struct splitter *s = NULL;
    struct err err = { 0 };
    for (size_t i = 0; i < json_array_size(words); i++)
        buf_puts(&text, json_string_value(json_array_get(words, i)));
    if (splitter_open(&s, name, &err) ||
        splitter_run(s, buf_str(&text), (struct word_sink){ compare_word, &g }, &err))
        fail_msg("%s", err.message);
    if (!g.same || g.at != json_array_size(words))
        fail_msg("line %zu, %.*s: another split, word %zu of \"%s\"", line, STR_ARG(name), g.at, text.ptr);
    splitter_close(s);
    buf_free(&text);
}

static void golden_splits(void **state)
{
    (void)state;
    struct buf file = { 0 };
    struct err err = { 0 };
    size_t n = 0;
    assert_int_equal(file_read(&file, "tests/unit/text/splits.golden", MIB, &err), ERR_OK);
    for (struct str rest = buf_str(&file); rest.len; n++) {
        struct str line = str_slice(rest, 0, str_find(rest, STR("\n")));
        size_t tab = str_find(line, STR("\t"));
        assert_true(tab != SIZE_MAX);
        json_t *words = json_loadb(line.ptr + tab + 1, line.len - tab - 1, 0, NULL);
        assert_non_null(words);
        for (struct str names = str_slice(line, 0, tab); names.len;) {
            size_t end = str_find(names, STR(" "));
            check_golden(str_slice(names, 0, end), words, n + 1);
            names = end == SIZE_MAX ? STR("") : str_slice(names, end + 1, names.len);
        }
        json_decref(words);
        rest = str_slice(rest, line.len + 1, rest.len);
    }
    assert_true(n > 70);
    buf_free(&file);
}

static void unknown_family_is_named(void **state)
{
    (void)state;
    struct splitter *s = NULL;
    struct err err = { 0 };
    assert_int_equal(splitter_open(&s, STR("klingon"), &err), ERR_FORMAT);
    assert_non_null(strstr(err.message, "klingon"));
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(known_splits),
    cmocka_unit_test(golden_splits),
    cmocka_unit_test(unknown_family_is_named),
};
TEST_GROUP(text_split, tests)
