/*
 * template.c - chat templates: the case files in templates/, whose texts come from Jinja2 itself (expect.py), and
 * what a file of text cannot say: guards, limits, which variables a template reads.
 */
#include "test.h"

#include "base/file.h"
#include "text/text.h"

#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* --- case files ------------------------------------------------------------------------------------------------- */

struct section {
    struct str name, content;
};

/* The next "--- name" and the lines up to the one after it; false at the end. */
static bool next_section(struct str *rest, struct section *s)
{
    struct str line;
    do {
        if (rest->len == 0)
            return false;
        size_t end = str_find(*rest, STR("\n"));
        line = str_slice(*rest, 0, end);
        *rest = str_slice(*rest, end == SIZE_MAX ? rest->len : end + 1, rest->len);
    } while (!str_starts(line, STR("--- ")));
    s->name = str_slice(line, 4, line.len);
    size_t len = str_starts(*rest, STR("--- ")) ? 0 : str_find(*rest, STR("\n--- "));
    bool last = len == SIZE_MAX;
    s->content = str_slice(*rest, 0, last ? rest->len : len);
    *rest = str_slice(*rest, last ? rest->len : len + (len > 0), rest->len);
    if (last && str_ends(s->content, STR("\n")))
        s->content.len--;
    return true;
}

struct case_run {
    const char *path;
    struct chat_template *t;
    enum err_code code; /* of the last open or render */
    struct err err;
    struct buf out;
    size_t checked;
};

static void run_section(struct case_run *run, const struct section *s)
{
    buf_clear(&run->out);
    if (str_is(s->name, "template")) {
        chat_template_close(run->t);
        run->t = NULL;
        run->code = chat_template_open(&run->t, s->content, &run->err);
        return;
    }
    if (!run->t)
        fail_msg("%s: %s", run->path, run->err.message);
    json_error_t error;
    json_t *variables = json_loadb(s->content.ptr, s->content.len, JSON_ALLOW_NUL, &error);
    if (!variables)
        fail_msg("%s: %s", run->path, error.text);
    run->code = chat_template_render(run->t, variables, &run->out, &run->err);
    json_decref(variables);
}

static void check_section(struct case_run *run, const struct section *s)
{
    struct str out = buf_str(&run->out), says = str_from(run->err.message);
    bool right;
    if (str_is(s->name, "expected"))
        right = run->code == ERR_OK && str_eq(out, s->content);
    else if (str_is(s->name, "raises"))
        right = run->code == ERR_INVALID_VALUE && str_eq(says, s->content);
    else
        right = run->code == ERR_FORMAT && str_find(says, s->content) != SIZE_MAX &&
                str_is(s->name, "refused") == !run->t;
    if (!right)
        fail_msg("%s: wanted %.*s\n\"%.*s\"\ngot %s %s\n\"%.*s\"", run->path, STR_ARG(s->name),
                 STR_ARG(s->content), err_name(run->code), run->code ? run->err.message : "", STR_ARG(out));
    run->checked++;
}

static void run_case(const char *path, size_t *checked)
{
    struct buf bytes = { 0 };
    struct case_run run = { .path = path };
    struct section s;
    assert_int_equal(file_read(&bytes, path, MIB, &run.err), ERR_OK);
    struct str rest = buf_str(&bytes);
    while (next_section(&rest, &s))
        if (str_is(s.name, "template") || str_is(s.name, "variables"))
            run_section(&run, &s);
        else
            check_section(&run, &s);
    *checked += run.checked;
    chat_template_close(run.t);
    buf_free(&run.out);
    buf_free(&bytes);
}

static void cases_render_as_jinja_does(void **state)
{
    (void)state;
    glob_t files;
    assert_int_equal(glob("tests/unit/text/templates/*.case", 0, NULL, &files), 0);
    size_t checked = 0;
    for (size_t i = 0; i < files.gl_pathc; i++)
        run_case(files.gl_pathv[i], &checked);
    globfree(&files);
    assert_true(checked >= 120);
}

/* --- what files cannot say ------------------------------------------------------------------------------------------ */

static enum err_code render(const char *source, const char *variables, struct buf *out, struct err *err)
{
    struct chat_template *t = NULL;
    json_t *json = json_loads(variables, 0, NULL);
    assert_non_null(json);
    enum err_code code = chat_template_open(&t, str_from(source), err);
    if (!code)
        code = chat_template_render(t, json, out, err);
    chat_template_close(t);
    json_decref(json);
    return code;
}

/* Each of these would take hours or all memory; the render gives up in well under a second. */
static void work_is_bounded(void **state)
{
    (void)state;
    static const char *const sources[] = {
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "{{ 'x' * 999999999999 }}",
        "{{ [1] * 999999999 }}",
        "{% set ns = namespace(s='x') %}{% for i in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ "
        "ns.s }}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(64) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{% set ns = namespace(s='ab') %}{% for i in range(64) %}{% set ns.s = ns.s|replace('', ns.s) %}{% "
        "endfor %}",
        "{% set ns = namespace() %}{% set ns.self = ns %}{{ ns }}",
        "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l "
        "}}",
        "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ "
        "ns.l|tojson }}",
        "{% for i in range(100000) %}{{ 'x' * 10000 }}{% endfor %}",
        "{{ 2 ** 64 }}",
        "{{ 9223372036854775807 + 1 }}",
    };
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        struct buf out = { 0 };
        struct err err = { 0 };
        if (render(sources[i], "{}", &out, &err) != ERR_FORMAT)
            fail_msg("not stopped: %s", sources[i]);
        assert_int_equal(out.len, 0);
        buf_free(&out);
    }
}

static void deep_sources_are_refused(void **state)
{
    (void)state;
    static const char *const units[] = {
        "(", "[", "{'a':", "not ", "-", "{% if x %}", "{% for x in y %}", "x if y else ", "f(", "x["
    };
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        struct buf source = { 0 };
        struct chat_template *t = NULL;
        struct err err = { 0 };
        bool statement = units[i][1] == '%';
        buf_puts(&source, statement ? "" : "{{ ");
        for (int n = 0; n < 20000; n++)
            buf_puts(&source, units[i]);
        buf_puts(&source, statement ? "" : "x }}");
        assert_int_equal(chat_template_open(&t, buf_str(&source), &err), ERR_FORMAT);
        if (!strstr(err.message, "nested too deeply"))
            fail_msg("%s: %s", units[i], err.message);
        buf_free(&source);
    }
    struct buf source = { 0 }; /* long but flat trees are as deep to evaluate */
    struct err err = { 0 };
    struct buf out = { 0 };
    buf_puts(&source, "{{ 1");
    for (int n = 0; n < 20000; n++)
        buf_puts(&source, " + 1");
    buf_puts(&source, " }}");
    assert_int_equal(render(source.ptr, "{}", &out, &err), ERR_FORMAT);
    buf_free(&source);
    buf_free(&out);
}

static void sources_are_checked(void **state)
{
    (void)state;
    struct chat_template *t = NULL;
    struct err err = { 0 };
    assert_int_equal(chat_template_open(&t, STR("a\xFF"), &err), ERR_FORMAT);
    char *large = mem_zalloc(2 * MIB);
    memset(large, 'x', 2 * MIB);
    assert_int_equal(chat_template_open(&t, (struct str){ large, 2 * MIB }, &err), ERR_FORMAT);
    mem_free(large);
    struct buf names = { 0 };
    for (int i = 0; i < 5000; i++)
        buf_printf(&names, "{{ name%d }}", i);
    assert_int_equal(chat_template_open(&t, buf_str(&names), &err), ERR_FORMAT);
    buf_free(&names);
    assert_null(t);
    chat_template_close(NULL);
}

/* Guard bytes go through whatever a template does to content, and count as characters of their own. */
static void guards_pass_through(void **state)
{
    (void)state;
    static const struct {
        const char *source, *want;
    } rows[] = {
        { "{{ m }}", " \xFF<x>\xC3\xA9 " },
        { "{{ m|trim }}", "\xFF<x>\xC3\xA9" },
        { "{{ m|upper }}", " \xFF<X>\xC3\x89 " },
        { "{{ m|tojson }}", "\" \xFF<x>\xC3\xA9 \"" },
        { "{{ m|tojson(ensure_ascii=true) }}", "\" \xFF<x>\\u00e9 \"" },
        { "{{ m|length }}", "7" },
        { "{{ m[::-1] }}", " \xC3\xA9>x<\xFF " },
        { "{{ m.split('<')[0] ~ '|' ~ m.split('<')[1] }}", " \xFF|x>\xC3\xA9 " },
        { "{{ [m] }}", "[' \xFF<x>\xC3\xA9 ']" },
        { "{% for c in m %}{{ c }}.{% endfor %}", " .\xFF.<.x.>.\xC3\xA9. ." },
        { "{{ '<x>' in m }}", "True" },
        { "{{ m|replace('x', 'y')|e }}", " \xFF&lt;y&gt;\xC3\xA9 " },
        { "{{ m|title ~ m|capitalize ~ m.title() }}", " \xFF<X>\xC3\xA9  \xFF<x>\xC3\xA9  \xFF<X>\xC3\x89 " },
    };
    json_t *variables = json_object();
    static const char content[] = " \xFF<x>\xC3\xA9 ";
    json_object_set_new_nocheck(variables, "m", json_stringn_nocheck(content, sizeof content - 1));
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct chat_template *t = NULL;
        struct err err = { 0 };
        struct buf out = { 0 };
        assert_int_equal(chat_template_open(&t, str_from(rows[i].source), &err), ERR_OK);
        if (chat_template_render(t, variables, &out, &err))
            fail_msg("%s: %s", rows[i].source, err.message);
        if (!str_is(buf_str(&out), rows[i].want))
            fail_msg("%s: \"%.*s\"", rows[i].source, STR_ARG(buf_str(&out)));
        buf_free(&out);
        chat_template_close(t);
    }
    json_decref(variables);
}

static void templates_say_what_they_read(void **state)
{
    (void)state;
    struct chat_template *t = NULL;
    struct err err = { 0 };
    assert_int_equal(
        chat_template_open(&t,
                           STR("{% set made = 1 %}{% for m in messages %}{{ m.tools }}{% endfor %}"
                               "{% if enable_thinking is defined %}{{ 'reasoning_effort' }}{% endif %}"
                               "{% macro f(param=given) %}{% endmacro %}"),
                           &err),
        ERR_OK);
    assert_true(chat_template_reads(t, "messages"));
    assert_true(chat_template_reads(t, "enable_thinking"));
    assert_true(chat_template_reads(t, "given"));
    assert_false(chat_template_reads(t, "tools"));
    assert_false(chat_template_reads(t, "reasoning_effort"));
    assert_false(chat_template_reads(t, "made"));
    assert_false(chat_template_reads(t, "param"));
    chat_template_close(t);
}

/* What was printed before a failure is not appended, what stood in the buffer before stays. */
static void output_is_appended_or_not(void **state)
{
    (void)state;
    struct buf out = { 0 };
    struct err err = { 0 };
    buf_puts(&out, "before ");
    assert_int_equal(render("x{{ 1 }}", "{}", &out, &err), ERR_OK);
    assert_int_equal(render("lost{{ raise_exception('No ' ~ what) }}", "{\"what\": \"way\"}", &out, &err),
                     ERR_INVALID_VALUE);
    assert_string_equal(err.message, "No way");
    assert_string_equal(out.ptr, "before x1");
    buf_clear(&out);
    assert_int_equal(render("{{ strftime_now('%Y-%m-%d')|length }}", "{}", &out, &err), ERR_OK);
    assert_string_equal(out.ptr, "10");
    buf_free(&out);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(cases_render_as_jinja_does), cmocka_unit_test(work_is_bounded),
    cmocka_unit_test(deep_sources_are_refused),   cmocka_unit_test(sources_are_checked),
    cmocka_unit_test(guards_pass_through),        cmocka_unit_test(templates_say_what_they_read),
    cmocka_unit_test(output_is_appended_or_not),
};
TEST_GROUP(text_template, tests)
