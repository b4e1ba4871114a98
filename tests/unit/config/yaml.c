/*
 * yaml.c - the configuration file: what it sets, and the line of what is wrong with it.
 */
#include "test.h"

#include "base/file.h"
#include "config/config.h"

#include <stdio.h>
#include <string.h>

/* Loads text as thinkd.yaml; messages are compared behind the directory's name. */
static enum err_code load(struct config *c, const char *text, struct err *err)
{
    static const char *const env[] = { "NAME=value", "EMPTY=", "TEN=10", "KEY_1=key,with,commas", NULL };
    char path[256];
    snprintf(path, sizeof path, "%s/thinkd.yaml", test_tmpdir());
    assert_int_equal(ERR_OK, file_write(path, str_from(text), NULL));
    const char *args[] = { "--config", path };
    return config_load(c, CMD_SERVE, 2, args, env, err);
}

static void sets_every_kind(void **state)
{
    (void)state;
    struct config c;
    struct err err = { 0 };
    enum err_code code = load(&c,
                              "# a comment\n"
                              "listen: \"0.0.0.0:80${TEN}\"\n"
                              "threads: 4 # trailing\n"
                              "kv_bytes_max: 512 MiB\n"
                              "thinking: no\n"
                              "json: true\n"
                              "instructions: |\n  two\n  lines with $${NAME} and $5\n"
                              "data: /srv/${NAME}/x${NAME}\n"
                              "keys:\n  - first-key\n  - ${KEY_1}\n"
                              "families: add, mul\n",
                              &err);
    if (code)
        fail_msg("%s", err.message);
    assert_string_equal("0.0.0.0:8010", c.listen);
    assert_int_equal(4, c.threads);
    assert_int_equal(512 * MIB, c.kv_bytes_max);
    assert_false(c.thinking);
    assert_true(c.json);
    assert_string_equal("two\nlines with ${NAME} and $5\n", c.instructions);
    assert_string_equal("/srv/value/xvalue", c.data);
    assert_int_equal(2, c.keys.len);
    assert_string_equal("key,with,commas", c.keys.items[1]);
    assert_int_equal(2, c.families.len);
    assert_string_equal("mul", c.families.items[1]);
    config_free(&c);
}

static void nothing_is_fine(void **state)
{
    (void)state;
    static const char *const texts[] = { "",     "# only a comment\n", "---\n",
                                         "{}\n", "---\n...\n",         "models: []\n" };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct config c;
        struct err err = { 0 };
        if (load(&c, texts[i], &err))
            fail_msg("%s: %s", texts[i], err.message);
        assert_int_equal(4, c.n_tiers);
        config_free(&c);
    }
}

static const struct bad_file {
    const char *text, *message;
} bad_files[] = {
    { "\n\nlisen: x\n", "thinkd.yaml:3: unknown key 'lisen'; did you mean 'listen'?" },
    { "listen: 1.2.3.4:5\nqqqqqqqq: 1\n", "thinkd.yaml:2: unknown key 'qqqqqqqq'." },
    { "threads: 1\nthreads: 2\n", "thinkd.yaml:2: threads: was there before." },
    { "models: []\nmodels: []\n", "thinkd.yaml:2: models: was there before." },
    { "threads: four\n", "thinkd.yaml:1: threads: expected a whole number from 0 to 1024, but got 'four'." },
    { "threads: &x 1\n", "thinkd.yaml:1: anchors ('&name') are not allowed here." },
    { "threads: *x\n", "thinkd.yaml:1: aliases ('*name') are not allowed here." },
    { "keys: &k [a]\n", "thinkd.yaml:1: anchors ('&name') are not allowed here." },
    { "threads: !!int 1\n", "thinkd.yaml:1: tags ('!name') are not allowed here." },
    { "--- !thing\nthreads: 1\n", "thinkd.yaml:1: tags ('!name') are not allowed here." },
    { "threads:\n", "thinkd.yaml:1: a key or list item has no value." },
    { "threads: ~\n", "thinkd.yaml:1: a key or list item has no value." },
    { "data: ''\n", "thinkd.yaml:1: data: the value is empty." },
    { "data: \"a\\0b\"\n", "thinkd.yaml:1: data: the value contains a NUL character." },
    { "data: ${MISSING}\n", "thinkd.yaml:1: the environment has no variable 'MISSING'." },
    { "data: x${EMPTY}\nthreads: ${EMPTY}\n",
      "thinkd.yaml:2: threads: expected a whole number from 0 to 1024, but got ''." },
    { "data: ${NAME\n",
      "thinkd.yaml:1: '${' without a name and '}'; write '$${' for the characters themselves." },
    { "data: ${1}\n",
      "thinkd.yaml:1: '${' without a name and '}'; write '$${' for the characters themselves." },
    { "threads: 1\n\n# \xff\n", "thinkd.yaml:3: invalid leading UTF-8 octet." },
    { "threads: 1\ndata: \x01\n", "thinkd.yaml:2: control characters are not allowed." },
    { "threads: [1]\n", "thinkd.yaml:1: threads: expected one value, not a list." },
    { "threads: {a: 1}\n", "thinkd.yaml:1: expected a value or a list of values, not a mapping." },
    { "keys: [[a]]\n", "thinkd.yaml:1: expected a value in this list." },
    { "keys: [a, '']\n", "thinkd.yaml:1: keys: an item of the list is empty." },
    { "[a]: 1\n", "thinkd.yaml:1: expected a key." },
    { "- a\n", "thinkd.yaml:1: expected keys and values, as 'listen: 127.0.0.1:8080'." },
    { "just text\n", "thinkd.yaml:1: expected keys and values, as 'listen: 127.0.0.1:8080'." },
    { "threads: 1\n---\nthreads: 2\n", "thinkd.yaml:2: a second document begins." },
    { "config: other.yaml\n", "thinkd.yaml:1: config: a configuration file cannot name another." },
    { "data: 'x\n", "thinkd.yaml:2: found unexpected end of stream." },
    { "data: x\n\tthreads: 1\n", "thinkd.yaml:2: found a tab character that violates indentation." },
    { "models: 3\n", "thinkd.yaml:1: models: expected a list, as '- name: o3' and keys below it." },
    { "models:\n  - o3\n", "thinkd.yaml:2: expected a model, as '- name: o3' and keys below it." },
    { "models:\n  - price_in: 1\n", "thinkd.yaml:2: a model needs a name." },
    { "models:\n  - name: 'a b'\n",
      "thinkd.yaml:2: models: a name is 1 to 64 printable ASCII characters without blanks and commas." },
    { "models:\n  - name: x\n    prise_in: 1\n",
      "thinkd.yaml:3: models: unknown key 'prise_in' of a model; did you mean 'price_in'?" },
    { "models:\n  - name: x\n    price_in: 1.2345\n", "thinkd.yaml:3: models: price_in: expected dollars for "
                                                      "a million tokens, 0 to 1000000 with at most three "
                                                      "decimals." },
    { "models:\n  - name: x\n    thinking: deep\n",
      "thinkd.yaml:3: models: thinking: expected short, long, branches or route." },
    { "models:\n  - name: x\n    endpoints: []\n",
      "thinkd.yaml:3: models: endpoints: expected a list out of responses and chat." },
    { "models:\n  - name: x\n    default_effort: [low]\n",
      "thinkd.yaml:3: models: default_effort: expected one value, not a list." },
    { "models:\n  - name: x\n    name: y\n", "thinkd.yaml:3: this key of the model was there before." },
    { "models:\n  - name: x\n  - name: x\n", "thinkd.yaml:3: models: this name was there before." },
    { "models:\n  - name: o4-mini\n", "thinkd.yaml:2: models: 'o4-mini' already names the model 'o3-mini'." },
    { "models:\n  - name: x\n    aliases: [o3]\n",
      "thinkd.yaml:2: models: 'o3' already names the model 'o3'." },
    { "models:\n  - name: x\n    context_window: 0\n",
      "thinkd.yaml:3: models: context_window: expected a whole number from 1 to 10000000." },
};

static void faults_have_their_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_files); i++) {
        struct config c;
        struct err err = { 0 };
        enum err_code code = load(&c, bad_files[i].text, &err);
        const char *at = strstr(err.message, "thinkd.yaml");
        assert_string_equal(bad_files[i].message, at ? at : err.message);
        assert_int_equal(ERR_CONFIG, code);
        config_free(&c);
    }
}

static void size_is_bounded(void **state)
{
    (void)state;
    struct buf text = { 0 };
    struct config c;
    struct err err = { 0 };
    while (text.len <= MIB)
        buf_puts(&text, "# a long comment that nobody reads\n");
    assert_int_equal(ERR_CONFIG, load(&c, text.ptr, &err));
    assert_non_null(strstr(err.message, "is longer than 1048576 bytes."));
    config_free(&c);
    buf_clear(&text);
    for (int i = 0; i < 5000; i++)
        buf_puts(&text, "[");
    assert_int_equal(ERR_CONFIG, load(&c, text.ptr, &err));
    config_free(&c);
    buf_clear(&text);
    buf_puts(&text, "data: ");
    for (int i = 0; i < 100000; i++)
        buf_puts(&text, "${KEY_1}"); /* 8 bytes become 15 */
    assert_int_equal(ERR_CONFIG, load(&c, text.ptr, &err));
    assert_non_null(strstr(err.message, "the values are too long in all."));
    config_free(&c);
    buf_free(&text);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(sets_every_kind),
    cmocka_unit_test(nothing_is_fine),
    cmocka_unit_test(faults_have_their_line),
    cmocka_unit_test(size_is_bounded),
};
TEST_GROUP(config_yaml, tests)
