/*
 * text.c - the text of files: encodings, real PDFs, hostile ones, and programs in pdftotext's place that misbehave.
 *
 * The last are shell scripts found by PATH before the real program; what a sandbox lets them do is asked of them.
 */
#include "media/make.h"

#include "base/clock.h"
#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err_code text_of(struct str *out, struct str bytes, const struct media_limits *limits,
                             struct arena *arena, struct err *err)
{
    struct media m;
    *err = (struct err){ 0 };
    enum err_code code = media_bytes(&m, bytes, "p", limits, err);
    return code ? code : media_text(out, &m, "p", limits, arena, err);
}

static void plain_text(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        const char *want, *says;
    } rows[] = {
        { { "hello\n", 6 }, "hello\n", NULL },
        { { "", 0 }, "", NULL },
        { { "\xef\xbb\xbfwith a mark", 14 }, "with a mark", NULL },
        { { "gr\xc3\xbc\xc3\x9f", 6 }, "gr\xc3\xbc\xc3\x9f", NULL },
        { { "gr\xfc\xdf dich", 9 }, NULL, "Latin-1" },
        { { "\xff\xfeh\0i\0", 6 }, NULL, "UTF-16" },
        { { "\xfe\xff\0h\0i", 6 }, NULL, "UTF-16" },
        { { "a\0b", 3 }, NULL, "neither a PDF nor text" },
        { { "\x7f"
            "ELF\2\1\1\0",
            8 },
          NULL,
          "neither a PDF nor text" },
    };
    struct arena arena = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str text;
        struct err err;
        enum err_code code = text_of(&text, rows[i].bytes, &make_limits, &arena, &err);
        if (rows[i].want) {
            assert_int_equal(ERR_OK, code);
            assert_true(str_is(text, rows[i].want));
        } else if (code != ERR_INVALID_VALUE || !strstr(err.message, rows[i].says)) {
            fail_msg("row %zu: %s", i, err.message);
        }
    }
    struct buf png = { 0 };
    struct str text;
    struct err err;
    make_png(&png, 1, 1);
    assert_int_equal(ERR_INVALID_VALUE, text_of(&text, buf_str(&png), &make_limits, &arena, &err));
    assert_non_null(strstr(err.message, "image part"));
    buf_free(&png);
    arena_free(&arena);
}

static void plain_text_is_bounded(void **state)
{
    (void)state;
    struct media_limits limits = make_limits;
    struct arena arena = { 0 };
    struct str text;
    struct err err;
    limits.text_bytes_max = 5;
    assert_int_equal(ERR_OK, text_of(&text, STR("12345"), &limits, &arena, &err));
    assert_int_equal(ERR_INVALID_VALUE, text_of(&text, STR("123456"), &limits, &arena, &err));
    arena_free(&arena);
}

/* --- PDF with the real program -------------------------------------------------------------------------- */

static void need_pdftotext(void)
{
    const char *path = getenv("PATH");
    for (struct str rest = str_from(path); rest.len;) {
        size_t end = str_find(rest, STR(":"));
        char file[512];
        snprintf(file, sizeof file, "%.*s/pdftotext", STR_ARG(str_slice(rest, 0, end)));
        if (access(file, X_OK) == 0)
            return;
        rest = str_slice(rest, end == SIZE_MAX ? rest.len : end + 1, rest.len);
    }
    print_message("# missing pdftotext (poppler-utils)\n");
    skip();
}

static void pdf_text_comes_out(void **state)
{
    (void)state;
    need_pdftotext();
    struct buf pdf = { 0 };
    struct arena arena = { 0 };
    struct str text;
    struct err err;
    make_pdf(&pdf, "The quick brown fox\njumps over 13 lazy dogs.");
    if (text_of(&text, buf_str(&pdf), &make_limits, &arena, &err))
        fail_msg("%s", err.message);
    assert_true(str_is(text, "The quick brown fox\njumps over 13 lazy dogs."));
    arena_free(&arena);
    buf_free(&pdf);
}

/* Cut anywhere it is refused, or what is left of it is read; it never hangs and never crashes us. */
static void pdf_cut(void **state)
{
    (void)state;
    need_pdftotext();
    struct buf pdf = { 0 };
    struct arena arena = { 0 };
    make_pdf(&pdf, "words");
    for (size_t len = 5; len < pdf.len; len += 97) {
        struct str text;
        struct err err;
        enum err_code code = text_of(&text, str_slice(buf_str(&pdf), 0, len), &make_limits, &arena, &err);
        assert_true(code == ERR_INVALID_VALUE || (!code && str_is(text, "words")));
        assert_true(!code || strstr(err.message, "no text could be extracted"));
    }
    arena_free(&arena);
    buf_free(&pdf);
}

static void pdf_without_text(void **state)
{
    (void)state;
    need_pdftotext();
    struct buf pdf = { 0 };
    struct arena arena = { 0 };
    struct str text;
    struct err err;
    make_pdf(&pdf, "");
    assert_int_equal(ERR_INVALID_VALUE, text_of(&text, buf_str(&pdf), &make_limits, &arena, &err));
    assert_non_null(strstr(err.message, "may be pictures"));
    arena_free(&arena);
    buf_free(&pdf);
}

static void pdf_text_is_bounded(void **state)
{
    (void)state;
    need_pdftotext();
    struct media_limits limits = make_limits;
    struct buf pdf = { 0 };
    struct arena arena = { 0 };
    struct str text;
    struct err err;
    make_pdf(&pdf, "0123456789 0123456789 0123456789");
    limits.text_bytes_max = 20;
    assert_int_equal(ERR_INVALID_VALUE, text_of(&text, buf_str(&pdf), &limits, &arena, &err));
    assert_non_null(strstr(err.message, "more than 20 bytes of text"));
    arena_free(&arena);
    buf_free(&pdf);
}

/* Ten to the twelfth words on one page: whichever bound is met first, it is one. */
static void pdf_that_never_ends(void **state)
{
    (void)state;
    need_pdftotext();
    struct media_limits limits = make_limits;
    struct buf pdf = { 0 };
    struct arena arena = { 0 };
    struct str text;
    struct err err;
    make_pdf_bomb(&pdf, 13);
    limits.timeout_ms = 1000;
    int64_t began = clock_mono_ms();
    assert_int_equal(ERR_INVALID_VALUE, text_of(&text, buf_str(&pdf), &limits, &arena, &err));
    assert_true(clock_mono_ms() - began < 60000);
    arena_free(&arena);
    buf_free(&pdf);
}

/* --- programs in its place ------------------------------------------------------------------------------ */

struct stage {
    char dir[128];
    char *path; /* PATH as it was */
};

/* A script called pdftotext that runs `body`, first in PATH. The directory is open to nobody, who may be running it. */
static void stage_open(struct stage *s, const char *body)
{
    struct buf text = { 0 }, path = { 0 };
    char file[160];
    snprintf(s->dir, sizeof s->dir, "%s/bin", test_tmpdir());
    chmod(test_tmpdir(), 0755);
    mkdir(s->dir, 0755);
    snprintf(file, sizeof file, "%s/pdftotext", s->dir);
    buf_printf(&text, "#!/bin/sh\n%s\n", body);
    assert_int_equal(ERR_OK, file_write(file, buf_str(&text), NULL));
    chmod(file, 0755);
    s->path = mem_strdup(getenv("PATH"));
    buf_printf(&path, "%s:%s", s->dir, s->path);
    setenv("PATH", path.ptr, 1);
    buf_free(&text);
    buf_free(&path);
}

static void stage_close(struct stage *s)
{
    setenv("PATH", s->path, 1);
    mem_free(s->path);
}

static enum err_code stage_run(const char *body, const struct media_limits *limits, struct str *text,
                               struct arena *arena, struct err *err)
{
    struct stage s;
    stage_open(&s, body);
    enum err_code code = text_of(text, STR("%PDF-1.4 input of the test"), limits, arena, err);
    stage_close(&s);
    return code;
}

/* Processes with that word in their command line. */
static int processes_with(const char *word)
{
    DIR *dir = opendir("/proc");
    int n = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        char path[300], line[4096];
        snprintf(path, sizeof path, "/proc/%s/cmdline", e->d_name);
        FILE *f = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        size_t len = f ? fread(line, 1, sizeof line, f) : 0;
        n += len && str_find((struct str){ line, len }, str_from(word)) != SIZE_MAX;
        if (f)
            fclose(f);
    }
    closedir(dir);
    return n;
}

static void the_filter_sees_its_input_and_little_else(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct str text;
    struct err err;
    int leak = dup2(STDERR_FILENO, 9); /* a descriptor that is not close-on-exec */
    setenv("THINKD_SECRET", "x", 1);
    enum err_code code = stage_run("cat\n"
                                   "echo; echo \"args $*\"\n"
                                   "echo \"env $THINKD_SECRET|$HOME|$PATH\"\n"
                                   "if (: >&9) 2>/dev/null; then echo open; else echo closed; fi\n"
                                   "(echo x >/tmp/thinkd-was-here) 2>/dev/null\n"
                                   "if [ -s /tmp/thinkd-was-here ]; then echo wrote; else echo nothing; fi\n",
                                   &make_limits, &text, &arena, &err);
    unsetenv("THINKD_SECRET");
    close(leak);
    if (code)
        fail_msg("%s", err.message);
    if (!str_is(text, "%PDF-1.4 input of the test\nargs -q -enc UTF-8 -eol unix - -\nenv "
                      "||/usr/bin:/bin\nclosed\nnothing"))
        fail_msg("%.*s", STR_ARG(text));
    arena_free(&arena);
}

static void output_is_made_clean(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct str text;
    struct err err;
    assert_int_equal(
        ERR_OK, stage_run("printf 'a\\000b\\377c\\033d\\014e\\303\\244'", &make_limits, &text, &arena, &err));
    assert_true(str_is(text, "ab\xef\xbf\xbd"
                             "cd\ne\xc3\xa4"));
    arena_free(&arena);
}

static void a_silent_program_is_killed(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "exec sleep 98127.25",                      /* silent */
        "sleep 98127.25 & sleep 98127.25",          /* and with a child */
        "echo some; exec >&-; exec sleep 98127.25", /* its output is closed, and it goes on */
        "sleep 98127.25 & echo some; exit 0",       /* it ends, and its child keeps the output */
        "trap '' TERM HUP INT; while :; do sleep 98127.25; done",
    };
    struct media_limits limits = make_limits;
    limits.timeout_ms = 300;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        struct arena arena = { 0 };
        struct str text;
        struct err err;
        enum err_code code = stage_run(bodies[i], &limits, &text, &arena, &err);
        /* in a namespace of its own a child ends with its parent, and the call with both */
        bool ended = i == 3 && !code && str_is(text, "some");
        if (!ended && (code != ERR_INVALID_VALUE || !strstr(err.message, "within 300 ms")))
            fail_msg("row %zu: %s", i, err.message);
        if (processes_with("98127.25") != 0)
            fail_msg("row %zu: a process outlived the call", i);
        arena_free(&arena);
    }
}

static void an_endless_program_is_killed(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct str text;
    struct err err;
    assert_int_equal(ERR_INVALID_VALUE, stage_run("exec yes 98127.75", &make_limits, &text, &arena, &err));
    assert_non_null(strstr(err.message, "more than 100000 bytes of text"));
    assert_int_equal(0, processes_with("98127.75"));
    arena_free(&arena);
}

static void a_failing_program_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says;
    } rows[] = {
        { "exit 1", "damaged" },
        { "echo text; exit 3", "damaged" },
        { "kill -SEGV $$", "crashed" },
        { "exit 0", "may be pictures" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arena arena = { 0 };
        struct str text;
        struct err err;
        if (stage_run(rows[i].body, &make_limits, &text, &arena, &err) != ERR_INVALID_VALUE ||
            !strstr(err.message, rows[i].says))
            fail_msg("row %zu: %s", i, err.message);
        arena_free(&arena);
    }
}

static void a_missing_program_is_named(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct str text;
    struct err err;
    char *path = mem_strdup(getenv("PATH"));
    setenv("PATH", "/nonexistent", 1);
    enum err_code code = text_of(&text, STR("%PDF-1.4"), &make_limits, &arena, &err);
    setenv("PATH", path, 1);
    mem_free(path);
    assert_int_equal(ERR_INVALID_VALUE, code);
    assert_non_null(strstr(err.message, "install poppler-utils"));
    arena_free(&arena);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(plain_text),
    cmocka_unit_test(plain_text_is_bounded),
    cmocka_unit_test(pdf_text_comes_out),
    cmocka_unit_test(pdf_cut),
    cmocka_unit_test(pdf_without_text),
    cmocka_unit_test(pdf_text_is_bounded),
    cmocka_unit_test(pdf_that_never_ends),
    cmocka_unit_test(the_filter_sees_its_input_and_little_else),
    cmocka_unit_test(output_is_made_clean),
    cmocka_unit_test(a_silent_program_is_killed),
    cmocka_unit_test(an_endless_program_is_killed),
    cmocka_unit_test(a_failing_program_says_why),
    cmocka_unit_test(a_missing_program_is_named),
};
TEST_GROUP(media_text, tests)
