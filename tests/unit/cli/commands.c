/*
 * commands.c - whole commands on the echo engine: what they print where, and how they exit.
 *
 * A command runs in this process with its standard streams turned to files, so leaks and races in it are seen.
 */
#include "test.h"

#include "base/file.h"
#include "cli/cli.h"
#include "json/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct ran {
    int status;
    struct buf out, err;
};

static void redirect(int saved[3], const char *input, char paths[2][256])
{
    char in[256];
    snprintf(in, sizeof in, "%s/stdin", test_tmpdir());
    assert_int_equal(ERR_OK, file_write(in, str_from(input), NULL));
    fflush(NULL);
    for (int fd = 0; fd < 3; fd++) {
        if (fd > 0)
            snprintf(paths[fd - 1], 256, "%s/std%d", test_tmpdir(), fd);
        saved[fd] = dup(fd);
        int to = fd == 0 ? open(in, O_RDONLY) : open(paths[fd - 1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(to, fd);
        close(to);
    }
}

static void restore(const int saved[3])
{
    fflush(NULL);
    clearerr(stdout);
    for (int fd = 0; fd < 3; fd++) {
        dup2(saved[fd], fd);
        close(saved[fd]);
    }
}

static struct ran run(const char *input, const char *const *args)
{
    static const char *const env[] = { NULL };
    const char *argv[16] = { "thinkd" };
    int argc = 1, saved[3];
    char paths[2][256];
    while (args[argc - 1] && argc < 15) {
        argv[argc] = args[argc - 1];
        argc++;
    }
    redirect(saved, input, paths);
    struct ran r = { .status = cli_main(argc, argv, env) };
    restore(saved);
    assert_int_equal(ERR_OK, file_read(&r.out, paths[0], MIB, NULL));
    assert_int_equal(ERR_OK, file_read(&r.err, paths[1], MIB, NULL));
    buf_puts(&r.out, "");
    buf_reserve(&r.err, 1);
    buf_puts(&r.err, "");
    return r;
}

static void ran_free(struct ran *r)
{
    buf_free(&r->out);
    buf_free(&r->err);
}

#define ARGS(...)                                                                                            \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }

static const struct row {
    const char *input;
    const char *args[12];
    int status;
    const char *out, *err; /* all of it; or, with a leading '~', a part; NULL: empty */
} rows[] = {
    { "", { "help" }, 0, "~Usage: thinkd COMMAND", NULL },
    { "", { "help", "ask" }, 0, "~Usage: thinkd ask [OPTIONS] [QUESTION...]", NULL },
    { "", { "ask", "--help" }, 0, "~  --instructions TEXT", NULL },
    { "", { "serve", "-h" }, 0, "~  --listen HOST:PORT", NULL },
    { "", { "--version" }, 0, "~thinkd ", NULL },
    { "",
      { "version", "extra" },
      2,
      NULL,
      "thinkd: 'thinkd version' takes options only, but got 'extra'.\n" },
    { "",
      { "version", "--listen", "x:1" },
      2,
      NULL,
      "thinkd: --listen: 'thinkd version' has no such option; 'thinkd serve' has it.\n" },
    { "", { "seve" }, 2, NULL, "thinkd: unknown command 'seve'; did you mean 'serve'?\n" },
    { "",
      { "help", "qwertzuiop" },
      2,
      NULL,
      "thinkd: unknown command 'qwertzuiop'; 'thinkd help' lists them.\n" },
    { "", { "ask", "--engine", "echo", "two", "words" }, 0, "two words\n", NULL },
    { "", { "ask", "--engine", "echo", "--", "--help" }, 0, "--help\n", NULL },
    { "from a file\n", { "ask", "--engine", "echo", "-" }, 0, "from a file\n", NULL },
    { "from a pipe\r\n\n", { "ask", "--engine", "echo" }, 0, "from a pipe\n", NULL },
    { "", { "ask", "--engine", "echo", "--thinking", "hello" }, 0, "hello\n", "~hello" },
    { "", { "ask", "--engine", "echo", "--json", "hello" }, 0, "~\"output_text\":\"hello\"", NULL },
    { " \n", { "ask", "--engine", "echo" }, 2, NULL, "~there is no question" },
    { "\xff", { "ask", "--engine", "echo" }, 2, NULL, "~not valid UTF-8" },
    { "", { "ask", "--engine", "echo", "--tier", "o9", "x" }, 2, NULL, "~there is no model 'o9'" },
    { "", { "ask", "--model", "/nonexistent.gguf", "x" }, 1, NULL, "~/nonexistent.gguf" },
    { "", { "ask", "--url", "http://127.0.0.1:1", "x" }, 1, NULL, "~thinkd: " },
    { "",
      { "ask", "--url", "http://127.0.0.1:1", "--api-key", "a\nb", "x" },
      2,
      NULL,
      "~--api-key: the key holds" },
    { "", { "models", "--engine", "echo" }, 0, "~o3-pro", NULL },
    { "", { "models", "--engine", "echo", "--json" }, 0, "~\"id\":\"o3-pro\"", NULL },
    { "", { "models", "o3" }, 2, NULL, "~takes options only" },
    { "",
      { "serve", "--listen", "0.0.0.0:0", "--engine", "echo", "--data", ":memory:" },
      2,
      NULL,
      "~openssl rand -hex 24" },
    { "", { "serve", "now" }, 2, NULL, "~takes options only" },
    { "", { "exam", "--engine", "echo", "--families", "mod", "--items", "1" }, 0, "~mod          all", NULL },
    { "",
      { "exam", "--engine", "echo", "--families", "mod", "--items", "1", "--models", "o3-mini,o3-pro",
        "--efforts", "low,high" },
      0,
      "~| o3-pro high - o3-pro low ",
      NULL },
    { "", { "exam", "--engine", "echo", "--families", "mood" }, 2, NULL, "~There is no family 'mood'" },
    { "", { "exam", "--engine", "echo", "--models", "o3,o9" }, 2, NULL, "~there is no model 'o9'" },
    { "", { "exam", "--engine", "echo", "--models", "o3,thinkd" }, 2, NULL, "~o3 is there twice" },
    { "", { "exam", "--engine", "echo", "--efforts", "low,huge" }, 2, NULL, "~'huge' is no effort" },
    { "", { "exam", "--engine", "echo", "--by", "color" }, 2, NULL, "~neither 'family' nor 'level'" },
    { "",
      { "exam", "--engine", "echo", "--record", "4", "--state", "/nonexistent/x", "--tier", "auto" },
      2,
      NULL,
      "~auto asks other models" },
    { "",
      { "exam", "--engine", "echo", "--families", "mod", "--items", "1", "--models", "o3,auto" },
      0,
      "~| auto - o3 ",
      NULL },
    { "", { "exam", "--engine", "echo", "--record", "4" }, 2, NULL, "~name it with --state" },
    { "",
      { "exam", "--record", "4", "--state", "/nonexistent/x", "--tier", "o3-pro", "--url",
        "http://127.0.0.1:1" },
      2,
      NULL,
      "~only the vote of o3-pro" },
    { "",
      { "exam", "--engine", "echo", "--families", "mod", "--items", "1", "--state", "/nonexistent/x" },
      1,
      NULL,
      "~/nonexistent/x: cannot open" },
    { "",
      { "exam", "--engine", "echo", "--families", "mod", "--items", "1", "--svg", "/nonexistent/x.svg" },
      1,
      "~mod",
      "~/nonexistent/x.svg" },
    { "", { "replay" }, 2, NULL, "~takes one file" },
    { "", { "replay", "/nonexistent.jsonl" }, 1, NULL, "~/nonexistent.jsonl" },
    { "", { "prompts", "--data", ":memory:" }, 2, NULL, "~--data: templates are in a directory" },
    { "", { "prompts", "x" }, 2, NULL, "~takes options only" },
    { "", { "prompts", "--data", "/nonexistent" }, 0, "~ID  VERSION", NULL },
    { "", { "prompts", "--data", "/nonexistent", "--json" }, 0, "[]\n", NULL },
    { "", { "serve", "--data", "/dev/null", "--engine", "echo" }, 2, NULL, "~is not a directory" },
};

static bool fits(const char *want, const struct buf *got)
{
    const char *text = got->ptr ? got->ptr : "";
    if (!want)
        return text[0] == '\0';
    return want[0] == '~' ? strstr(text, want + 1) != NULL : strcmp(want, text) == 0;
}

static void commands_print_and_exit(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ran r = run(rows[i].input, rows[i].args);
        if (r.status != rows[i].status || !fits(rows[i].out, &r.out) || !fits(rows[i].err, &r.err))
            fail_msg("row %zu (%s): status %d\n%s\n%s", i, rows[i].args[0], r.status, r.out.ptr, r.err.ptr);
        ran_free(&r);
    }
}

/* --- keys: one directory, and commands after one another ------------------------------------------------- */

static const char *keys_directory(void)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/of-keys", test_tmpdir());
    return path;
}

/* What a refused `thinkd keys` says, and that nothing was made. */
static void keys_refuse(void **state)
{
    (void)state;
    static const struct {
        const char *args[6];
        int status;
        const char *says;
    } refused[] = {
        { { "keys" }, 2, "'thinkd keys' takes create NAME, list, or revoke NAME, but got ''." },
        { { "keys", "make" }, 2, "but got 'make'." },
        { { "keys", "create" }, 2, "'thinkd keys create' needs a NAME." },
        { { "keys", "revoke" }, 2, "'thinkd keys revoke' needs a NAME or ID." },
        { { "keys", "list", "all" }, 2, "'thinkd keys list' does not take 'all'." },
        { { "keys", "list" }, 2, "--data: there are no keys yet: '" },
        { { "keys", "list", "--owner", "x" }, 2, "owner: only 'thinkd keys create' takes it." },
        { { "keys", "create", "x", "--data", ":memory:" }, 2, "--data: ':memory:' keeps no keys" },
        { { "keys", "create", "x", "--concurrency=1025" }, 2, "--concurrency: expected a whole number" },
        { { "keys", "create", "x", "--listen=h:1" }, 2, "--listen: 'thinkd keys' has no such option" },
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        const char *args[9] = { 0 };
        bool names = false;
        size_t n = 0;
        for (; refused[i].args[n]; n++) {
            args[n] = refused[i].args[n];
            names |= strcmp(args[n], "--data") == 0;
        }
        args[n] = names ? NULL : "--data";
        args[n + 1] = names ? NULL : keys_directory();
        struct ran r = run("", args);
        if (r.status != refused[i].status || !strstr(r.err.ptr, refused[i].says) || r.out.len)
            fail_msg("row %zu: status %d\n%s\n%s", i, r.status, r.out.ptr, r.err.ptr);
        ran_free(&r);
    }
    assert_int_equal(-1, access(keys_directory(), F_OK));
}

static json_t *ran_json(struct ran *r)
{
    struct err err = { 0 };
    json_t *v = NULL;
    if (r->status != CLI_OK || json_read(&v, buf_str(&r->out), &err))
        fail_msg("status %d, %s: %s%s", r->status, err.message, r->out.ptr, r->err.ptr);
    ran_free(r);
    return v;
}

static void keys_are_made_listed_and_revoked(void **state)
{
    (void)state;
    const char *dir = keys_directory();
    struct ran r = run("", ARGS("keys", "create", "my laptop", "--data", dir));
    assert_int_equal(CLI_OK, r.status);
    assert_int_equal(51, r.out.len); /* the key and a line break, nothing else */
    assert_memory_equal("sk-thinkd-", r.out.ptr, 10);
    assert_non_null(strstr(r.err.ptr, "'my laptop'"));
    assert_null(strstr(r.err.ptr, "sk-thinkd-"));
    ran_free(&r);
    r = run("", ARGS("keys", "create", "ci", "--owner", "team", "--requests-per-minute", "60",
                     "--tokens-per-minute=0", "--models", "o3,thinkd-mini", "--json", "--data", dir));
    json_t *made = ran_json(&r);
    assert_int_equal(60, json_integer_value(json_object_get(made, "requests_per_minute")));
    assert_int_equal(0, json_integer_value(json_object_get(made, "tokens_per_minute")));
    assert_true(json_is_integer(json_object_get(made, "tokens_per_minute")));
    assert_true(json_is_null(json_object_get(made, "concurrency")));
    assert_int_equal(50, json_string_length(json_object_get(made, "key")));
    assert_string_equal("thinkd-mini", json_string_value(json_array_get(json_object_get(made, "models"), 1)));
    r = run("", ARGS("keys", "create", "slip", "--models", "o3,o3-mimi", "--data", dir));
    assert_int_equal(CLI_USAGE, r.status);
    assert_non_null(strstr(r.err.ptr, "there is no model 'o3-mimi'"));
    ran_free(&r);
    r = run("", ARGS("keys", "create", "ci", "--data", dir));
    assert_int_equal(CLI_FAILED, r.status);
    assert_non_null(strstr(r.err.ptr, "There is a key 'ci' already"));
    ran_free(&r);
    r = run("", ARGS("keys", "list", "--data", dir));
    assert_int_equal(CLI_OK, r.status);
    assert_memory_equal("NAME       ID            OWNER", r.out.ptr, 29);
    assert_non_null(strstr(r.out.ptr, "\nci "));
    assert_non_null(strstr(r.out.ptr, "  60            none        default      o3,thinkd-mini\n"));
    assert_null(strstr(r.out.ptr, "sk-thinkd-"));
    ran_free(&r);
    r = run("", ARGS("keys", "revoke", json_string_value(json_object_get(made, "id")), "--data", dir));
    assert_int_equal(CLI_OK, r.status);
    assert_non_null(strstr(r.err.ptr, "the key 'ci', "));
    ran_free(&r);
    r = run("", ARGS("keys", "list", "--json", "--data", dir));
    json_t *list = ran_json(&r), *data = json_object_get(list, "data");
    assert_int_equal(1, json_array_size(data));
    assert_string_equal("my laptop", json_string_value(json_object_get(json_array_get(data, 0), "name")));
    assert_null(json_object_get(json_array_get(data, 0), "key"));
    r = run("", ARGS("keys", "revoke", "ci", "--data", dir));
    assert_int_equal(CLI_FAILED, r.status);
    ran_free(&r);
    r = run("", ARGS("keys", "revoke", "my laptop", "--data", dir));
    assert_int_equal(CLI_OK, r.status);
    ran_free(&r);
    r = run("", ARGS("keys", "list", "--data", dir));
    assert_int_equal(CLI_OK, r.status);
    assert_string_equal("thinkd: there are no keys\n", r.err.ptr);
    ran_free(&r);
    json_decref(made);
    json_decref(list);
}

static void json_output_is_json(void **state)
{
    (void)state;
    const char *const *const commands[] = {
        ARGS("version", "--json"),
        ARGS("models", "--engine", "echo", "--json"),
        ARGS("ask", "--engine", "echo", "--json", "--seed", "7", "x"),
    };
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        struct ran r = run("", commands[i]);
        struct err err = { 0 };
        json_t *v;
        if (json_read(&v, buf_str(&r.out), &err))
            fail_msg("%s: %s", r.out.ptr, err.message);
        assert_true(json_is_object(v));
        assert_int_equal('\n', r.out.ptr[r.out.len - 1]);
        if (i == 2)
            assert_int_equal(7, json_integer_value(json_object_get(json_object_get(v, "thinkd"), "seed")));
        json_decref(v);
        ran_free(&r);
    }
}

/* An exam records, goes on from its file, and its record is replayed, with the rules of the tiers. */
static void exams_are_recorded_and_replayed(void **state)
{
    char path[256], svg[256];
    struct buf kept = { 0 }, drawn = { 0 };
    (void)state;
    snprintf(path, sizeof path, "%s/record.jsonl", test_tmpdir());
    snprintf(svg, sizeof svg, "%s/replay.svg", test_tmpdir());
    const char *const *exam = ARGS("exam", "--engine", "echo", "--families", "mod", "--items", "1", "--tier",
                                   "o3-pro", "--record", "4", "--state", path);
    struct ran r = run("", exam);
    assert_int_equal(0, r.status);
    ran_free(&r);
    assert_int_equal(ERR_OK, file_read(&kept, path, 1 << 22, NULL));
    assert_non_null(strstr(kept.ptr, "\"thought\":")); /* one line's, of a tier that has many */
    size_t before = kept.len;
    r = run("", exam);
    assert_int_equal(0, r.status);
    assert_non_null(strstr(r.err.ptr, "40 replies were there already"));
    ran_free(&r);
    buf_clear(&kept);
    assert_int_equal(ERR_OK, file_read(&kept, path, 1 << 22, NULL));
    assert_int_equal(before, kept.len);
    r = run("", ARGS("replay", path, "--svg", svg));
    assert_int_equal(0, r.status);
    assert_non_null(strstr(r.out.ptr, "| o3-pro low "));
    assert_null(strstr(r.out.ptr, "| o3-pro medium ")); /* eight lines, and there are four */
    ran_free(&r);
    assert_int_equal(ERR_OK, file_read(&drawn, svg, 1 << 22, NULL));
    assert_non_null(strstr(drawn.ptr, "</svg>"));
    buf_free(&kept);
    buf_free(&drawn);
}

/* Aligned, in order, with status 1 as soon as one is wrong; serve does not start over such a one. */
static void prompts_are_listed_and_checked(void **state)
{
    (void)state;
    char dir[256], file[300];
    snprintf(dir, sizeof dir, "%s/templates", test_tmpdir());
    mkdir(dir, 0700);
    snprintf(file, sizeof file, "%s/prompts", dir);
    mkdir(file, 0700);
    snprintf(file, sizeof file, "%s/prompts/greet@1.yaml", dir);
    file_write(file,
               STR("variables: { name: {}, photo: { kind: image, required: false } }\ninput: '{{name}}'\n"),
               NULL);
    struct ran r = run("", ARGS("prompts", "--data", dir));
    assert_int_equal(0, r.status);
    assert_string_equal("ID          VERSION  VARIABLES             STATE\n"
                        "pmpt_greet  1        name, photo? (image)  ok\n",
                        r.out.ptr);
    ran_free(&r);
    r = run("", ARGS("prompts", "--data", dir, "--json"));
    assert_string_equal(
        "[{\"id\":\"pmpt_greet\",\"version\":1,\"variables\":[{\"name\":\"name\",\"kind\":\"text\","
        "\"required\":true,\"default\":null},{\"name\":\"photo\",\"kind\":\"image\",\"required\":false,"
        "\"default\":null}],\"error\":null}]\n",
        r.out.ptr);
    ran_free(&r);
    snprintf(file, sizeof file, "%s/prompts/wrong@1.yaml", dir);
    file_write(file, STR("input: x\ndefaults: { modle: o3 }\n"), NULL);
    r = run("", ARGS("prompts", "--data", dir));
    assert_int_equal(1, r.status);
    assert_non_null(strstr(r.out.ptr, "\npmpt_greet "));
    assert_non_null(strstr(r.out.ptr, "wrong@1.yaml:2: defaults: a request has no field 'modle'."));
    ran_free(&r);
    r = run("", ARGS("prompts", "--data", dir, "--json"));
    assert_int_equal(1, r.status);
    assert_non_null(strstr(r.out.ptr, "\"error\":\"wrong@1.yaml:2: "));
    ran_free(&r);
    r = run("", ARGS("serve", "--engine", "echo", "--listen", "127.0.0.1:0", "--data", dir));
    assert_int_equal(2, r.status);
    assert_non_null(strstr(r.err.ptr, "thinkd: wrong@1.yaml:2: "));
    ran_free(&r);
}

static void full_disk_is_an_error(void **state)
{
    (void)state;
    static const char *const env[] = { NULL };
    const char *argv[] = { "thinkd", "help", NULL };
    int saved[3];
    char paths[2][256];
    redirect(saved, "", paths);
    int full = open("/dev/full", O_WRONLY);
    dup2(full, 1);
    close(full);
    int status = cli_main(2, argv, env);
    restore(saved);
    assert_int_equal(CLI_FAILED, status);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(commands_print_and_exit),
    cmocka_unit_test(keys_refuse),
    cmocka_unit_test(keys_are_made_listed_and_revoked),
    cmocka_unit_test(json_output_is_json),
    cmocka_unit_test(exams_are_recorded_and_replayed),
    cmocka_unit_test(prompts_are_listed_and_checked),
    cmocka_unit_test(full_disk_is_an_error),
};
TEST_GROUP(cli_commands, tests)
