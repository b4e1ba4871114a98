/*
 * load.c - sources, precedence, kinds, and the sentence for each thing that can be wrong.
 */
#include "test.h"

#include "base/file.h"
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 8

static enum err_code load(struct config *c, unsigned command, const char *const *args, const char *const *env,
                          struct err *err)
{
    int argc = 0;
    while (argc < ARGS_MAX && args && args[argc])
        argc++;
    return config_load(c, command, argc, args, env, err);
}

/* Writes text as a file and gives its path, in one static buffer. */
static const char *yaml_file(const char *text)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/thinkd.yaml", test_tmpdir());
    assert_int_equal(ERR_OK, file_write(path, str_from(text), NULL));
    return path;
}

static void defaults_of_every_kind(void **state)
{
    (void)state;
    struct config c;
    assert_int_equal(ERR_OK, load(&c, CMD_SERVE, NULL, NULL, NULL));
    assert_string_equal("127.0.0.1:8080", c.listen);
    assert_null(c.data);
    assert_int_equal(0, c.threads);
    assert_int_equal(GIB, c.kv_bytes_max);
    assert_int_equal(16 * KIB, c.header_bytes_max);
    assert_false(c.json);
    assert_int_equal(0, c.keys.len);
    assert_int_equal(0, c.n_args);
    config_free(&c);
    config_free(&c);
}

static void flag_beats_environment_beats_file_beats_default(void **state)
{
    (void)state;
    const char *path = yaml_file("threads: 1\ncontext: 11\nworkers: 3\nkeys: [filekey-1, 'file,key-2']\n");
    const char *env[] = { "THINKD_THREADS=2", "THINKD_CONTEXT=22", "THINKD_KEYS=a1, b2 ,c3", "PATH=/bin",
                          NULL };
    const char *args[] = { "--config", path, "--threads", "3", NULL };
    struct config c;
    assert_int_equal(ERR_OK, load(&c, CMD_SERVE, args, env, NULL));
    assert_int_equal(3, c.threads);
    assert_int_equal(22, c.context);
    assert_int_equal(3, c.workers);
    assert_int_equal(8080, atoi(strchr(c.listen, ':') + 1));
    assert_int_equal(3, c.keys.len);
    assert_string_equal("b2", c.keys.items[1]);
    config_free(&c);
    const char *only_file[] = { "--config", path, NULL };
    assert_int_equal(ERR_OK, load(&c, CMD_SERVE, only_file, NULL, NULL));
    assert_int_equal(2, c.keys.len);
    assert_string_equal("file,key-2", c.keys.items[1]); /* an item of a list is taken whole */
    config_free(&c);
    const char *by_env[] = { "THINKD_CONFIG=", "THINKD_LISTEN=", NULL }; /* empty is unset */
    assert_int_equal(ERR_OK, load(&c, CMD_SERVE, NULL, by_env, NULL));
    config_free(&c);
}

static void flags_in_every_form(void **state)
{
    (void)state;
    const char *args[] = { "--kv-bytes-max", "2MiB", "--sequences_max=7", "--keys", "one,two",
                           "--keys=three",   NULL };
    struct config c;
    assert_int_equal(ERR_OK, load(&c, CMD_SERVE, args, NULL, NULL));
    assert_int_equal(2 * MIB, c.kv_bytes_max);
    assert_int_equal(7, c.sequences_max);
    assert_int_equal(3, c.keys.len);
    assert_string_equal("three", c.keys.items[2]);
    config_free(&c);
    const char *ask[] = {
        "what", "--thinking", "--no-json", "--temperature=0.5", "--", "--is-this", "-", NULL
    };
    assert_int_equal(ERR_OK, load(&c, CMD_ASK, ask, NULL, NULL));
    assert_true(c.thinking);
    assert_false(c.json);
    assert_int_equal(3, c.n_args);
    assert_string_equal("what", c.args[0]);
    assert_string_equal("--is-this", c.args[1]);
    config_free(&c);
    const char *off[] = { "--thinking=off", "--json", "true", "-", NULL };
    const char *on[] = { "THINKD_THINKING=yes", NULL };
    assert_int_equal(ERR_OK, load(&c, CMD_ASK, off, on, NULL));
    assert_false(c.thinking);
    assert_true(c.json);
    assert_int_equal(2, c.n_args); /* a bool takes no value from the next word */
    config_free(&c);
}

static const struct bad_flag {
    unsigned command;
    const char *args[4];
    const char *message;
} bad_flags[] = {
    { CMD_SERVE, { "--lisen", "x" }, "unknown option '--lisen'; did you mean '--listen'?" },
    { CMD_SERVE, { "--kv-byte-max=1" }, "unknown option '--kv-byte-max'; did you mean '--kv-bytes-max'?" },
    { CMD_SERVE, { "--frobnicate" }, "unknown option '--frobnicate'; see 'thinkd serve --help'." },
    { CMD_ASK, { "--listen", "x:1" }, "--listen: 'thinkd ask' has no such option; 'thinkd serve' has it." },
    { CMD_SERVE,
      { "--no-thinking" },
      "--no-thinking: 'thinkd serve' has no such option; 'thinkd ask' has it." },
    { CMD_ASK, { "--no-effort" }, "unknown option '--no-effort'; see 'thinkd ask --help'." },
    { CMD_ASK, { "--no-json=true" }, "--no-json: takes no value." },
    { CMD_SERVE, { "-x" }, "unknown option '-x'; what is no option but begins with '-' goes behind '--'." },
    { CMD_SERVE, { "--listen" }, "--listen: needs a value (one that begins with '--' goes behind '=')." },
    { CMD_SERVE,
      { "--listen", "--data", "x" },
      "--listen: needs a value (one that begins with '--' goes behind '=')." },
    { CMD_SERVE, { "--threads=1", "--threads=1" }, "--threads: given twice." },
    { CMD_SERVE, { "--threads", "x" }, "--threads: expected a whole number from 0 to 1024, but got 'x'." },
    { CMD_SERVE,
      { "--threads", "1025" },
      "--threads: expected a whole number from 0 to 1024, but got '1025'." },
    { CMD_SERVE,
      { "--threads", "99999999999999999999" },
      "--threads: expected a whole number from 0 to 1024, but got '99999999999999999999'." },
    { CMD_ASK, { "--seed", "-1" }, "--seed: expected a whole number of at least 0, but got '-1'." },
    { CMD_SERVE,
      { "--kv_bytes_max=1MB" },
      "--kv_bytes_max: expected bytes, as 1048576, 512MiB or 2GB, and at least 1048576, but got '1MB'." },
    { CMD_SERVE,
      { "--kv-bytes-max=9999999999TiB" },
      "--kv-bytes-max: expected bytes, as 1048576, 512MiB or 2GB, and at least 1048576, but got "
      "'9999999999TiB'." },
    { CMD_SERVE,
      { "--kv-bytes-max=-5MiB" },
      "--kv-bytes-max: expected bytes, as 1048576, 512MiB or 2GB, and at least 1048576, but got '-5MiB'." },
    { CMD_ASK, { "--thinking=maybe" }, "--thinking: expected true or false, but got 'maybe'." },
    { CMD_SERVE, { "--keys=a,,b" }, "--keys: an item of the list is empty." },
    { CMD_SERVE, { "--data=" }, "--data: the value is empty." },
    { CMD_SERVE,
      { "--listen=8080" },
      "--listen: expected an address and a port, as 127.0.0.1:8080 or [::1]:8080, but got '8080'." },
    { CMD_SERVE,
      { "--listen=::1:8080" },
      "--listen: expected an address and a port, as 127.0.0.1:8080 or [::1]:8080, but got '::1:8080'." },
    { CMD_SERVE,
      { "--listen=h:70000" },
      "--listen: expected an address and a port, as 127.0.0.1:8080 or [::1]:8080, but got 'h:70000'." },
    { CMD_SERVE, { "--engine=gpu" }, "--engine: expected local or echo, but got 'gpu'." },
    { CMD_SERVE,
      { "--log-level=loud" },
      "--log-level: expected error, warn, info or debug, but got 'loud'." },
    { CMD_ASK,
      { "--effort=huge" },
      "--effort: expected none, minimal, low, medium, high, xhigh or max, but got 'huge'." },
    { CMD_ASK, { "--temperature=2.5" }, "--temperature: expected a number from 0 to 2, but got '2.5'." },
    { CMD_ASK,
      { "--url=localhost:80" },
      "--url: expected a URL that begins with http:// or https://, but got 'localhost:80'." },
    { CMD_SERVE,
      { "--config=/nonexistent/thinkd.yaml" },
      "Cannot open '/nonexistent/thinkd.yaml': No such file or directory." },
};

static void bad_flags_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_flags); i++) {
        struct config c;
        struct err err = { 0 };
        assert_int_equal(ERR_CONFIG, load(&c, bad_flags[i].command, bad_flags[i].args, NULL, &err));
        assert_string_equal(bad_flags[i].message, err.message);
        config_free(&c);
    }
}

static void environment_is_checked(void **state)
{
    (void)state;
    static const struct {
        unsigned command;
        const char *entry, *message;
    } rows[] = {
        { CMD_SERVE, "THINKD_LISEN=x", "THINKD_LISEN: no such option; did you mean THINKD_LISTEN?" },
        { CMD_SERVE, "THINKD_listen=x", "THINKD_listen: no such option; did you mean THINKD_LISTEN?" },
        { CMD_SERVE, "THINKD_KV_BYTE_MAX=x",
          "THINKD_KV_BYTE_MAX: no such option; did you mean THINKD_KV_BYTES_MAX?" },
        { CMD_SERVE, "THINKD_THREADS=many",
          "THINKD_THREADS: expected a whole number from 0 to 1024, but got 'many'." },
        { CMD_SERVE, "THINKD_CONFIG=/nonexistent", "Cannot open '/nonexistent': No such file or directory." },
        { CMD_SERVE, "THINKD_SHARED=/somewhere", NULL },
        { CMD_SERVE, "THINKD_PORT_8080_TCP=tcp://10.0.0.1:8080", NULL },
        { CMD_SERVE, "THINKD_URL=nonsense that serve never reads", NULL },
        { CMD_VERSION, "THINKD_CONFIG=/nonexistent", NULL },
        { CMD_ASK, "THINKD_LISTEN=nonsense", NULL },
        { CMD_SERVE, "THINKD", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *env[] = { rows[i].entry, NULL };
        struct config c;
        struct err err = { 0 };
        enum err_code code = load(&c, rows[i].command, NULL, env, &err);
        assert_string_equal(rows[i].message ? rows[i].message : "", err.message);
        assert_int_equal(rows[i].message ? ERR_CONFIG : ERR_OK, code);
        config_free(&c);
    }
}

/* Every key can be set from every source, under its own name. */
static void every_row_is_reachable(void **state)
{
    (void)state;
    const char *key, *dflt, *help;
    unsigned commands;
    struct buf all = { 0 };
    for (unsigned command = CMD_SERVE; command <= CMD_VERSION; command <<= 1) {
        buf_clear(&all);
        config_help(&all, command);
        for (size_t i = 0; config_row(i, &key, &dflt, &help, &commands); i++) {
            struct buf flag = { 0 };
            buf_puts(&flag, "\n  --");
            for (const char *p = key; *p; p++)
                buf_putc(&flag, *p == '_' ? '-' : *p);
            struct buf text = { 0 };
            buf_printf(&text, "\n%s", all.ptr);
            const char *at = strstr(text.ptr, flag.ptr);
            bool listed = at && (at[flag.len] == ' ' || at[flag.len] == '\n');
            if (listed != ((commands & command) != 0))
                fail_msg("%s in the help of command %u", key, command);
            assert_true(strlen(help) > 5);
            buf_free(&flag);
            buf_free(&text);
        }
        for (struct str rest = buf_str(&all); rest.len;) {
            size_t end = str_find(rest, STR("\n"));
            assert_true(end <= 110);
            rest = str_slice(rest, end + 1, rest.len);
        }
    }
    buf_free(&all);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(defaults_of_every_kind),
    cmocka_unit_test(flag_beats_environment_beats_file_beats_default),
    cmocka_unit_test(flags_in_every_form),
    cmocka_unit_test(bad_flags_are_named),
    cmocka_unit_test(environment_is_checked),
    cmocka_unit_test(every_row_is_reachable),
};
TEST_GROUP(config_load, tests)
