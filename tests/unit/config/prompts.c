/*
 * prompts.c - templates: what a file gives, the line of what is wrong with it, and which one an id finds.
 */
#include "test.h"

#include "base/file.h"
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A fresh directory. */
static const char *fresh(char path[160])
{
    static int n;
    snprintf(path, 160, "%s/prompts-%d", test_tmpdir(), n++);
    assert_int_equal(0, mkdir(path, 0700));
    return path;
}

static void put(const char *dir, const char *name, const char *text)
{
    char path[320];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_int_equal(ERR_OK, file_write(path, str_from(text), NULL));
}

static bool is_field(const char *name)
{
    return strcmp(name, "model") == 0 || strcmp(name, "metadata") == 0 || strcmp(name, "stop") == 0;
}

static struct prompts *open_dir(const char *dir)
{
    struct prompts *p = NULL;
    struct err err = { 0 };
    if (prompts_open(&p, dir, is_field, &err))
        fail_msg("%s", err.message);
    return p;
}

/* --- what is read --------------------------------------------------------------------------------------- */

static void a_whole_template(void **state)
{
    (void)state;
    char dir[160];
    put(fresh(dir), "guide@2.yaml",
        "variables:\n"
        "  city: {}\n"
        "  tone: { default: friendly, kind: text }\n"
        "  photo: { kind: image, required: false }\n"
        "  paper:\n    kind: file\n"
        "  note:\n"
        "instructions: |\n  A {{ tone }} guide\n  to {{city}}.\n"
        "input:\n"
        "  - { role: system, content: '{{note}}' }\n"
        "  - role: user\n    content: See {{photo}} and {{paper}}\n"
        "defaults:\n"
        "  model: o3\n"
        "  stop: [a, \"1\", 1, -2.5, true, \"true\", yes, null, ~, '', {}]\n"
        "  metadata: { \"n\": {a: [1]} }\n");
    struct prompts *p = open_dir(dir);
    const struct prompt_template *t = prompts_at(p, 0);
    if (t->err.code)
        fail_msg("%s", t->err.message);
    assert_null(prompts_at(p, 1));
    assert_string_equal("guide", t->name);
    assert_int_equal(2, t->version);
    assert_int_equal(5, t->n_variables);
    static const struct prompt_variable want[] = {
        { "city", PROMPT_TEXT, true, NULL },    { "tone", PROMPT_TEXT, false, "friendly" },
        { "photo", PROMPT_IMAGE, false, NULL }, { "paper", PROMPT_FILE, true, NULL },
        { "note", PROMPT_TEXT, true, NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        const struct prompt_variable *v = &t->variables[i];
        assert_string_equal(want[i].name, v->name);
        assert_true(v->kind == want[i].kind && v->required == want[i].required);
        assert_true(want[i].dflt ? strcmp(want[i].dflt, v->dflt) == 0 : !v->dflt);
        assert_ptr_equal(v, prompt_variable(t, str_from(want[i].name)));
    }
    assert_null(prompt_variable(t, STR("town")));
    assert_string_equal("A {{ tone }} guide\nto {{city}}.\n", t->instructions);
    struct buf text = { 0 };
    json_dump(&text, t->input);
    assert_string_equal(
        "[{\"role\":\"system\",\"content\":\"{{note}}\"},{\"role\":\"user\",\"content\":\"See {{photo}} "
        "and {{paper}}\"}]",
        text.ptr);
    buf_clear(&text);
    json_dump(&text, t->defaults);
    assert_string_equal(
        "{\"model\":\"o3\",\"stop\":[\"a\",\"1\",1,-2.5,true,\"true\",\"yes\",null,null,\"\",{}],"
        "\"metadata\":{\"n\":{\"a\":[1]}}}",
        text.ptr);
    buf_free(&text);
    prompts_close(p);
}

static void what_is_wrong_has_a_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says; /* behind "t@1.yaml:" */
    } rows[] = {
        { "", "1: expected a template" },
        { "just text\n", "1: expected a template" },
        { "[input]\n", "1: expected a template" },
        { "{}\n", "1: a template needs" },
        { "variables: { a: {} }\n", "1: a template needs" },
        { "input: x\n---\ninput: y\n", "3: a second document begins" },
        { "input: [\n", "2: " },
        { "input: x\ninputs: y\n", "2: unknown key 'inputs'" },
        { "input: x\ninput: y\n", "2: 'input' was there before" },
        { "input: x\ninstructions: &a y\ndefaults: { stop: [*a] }\n", "2: aliases" },
        { "input: !text x\n", "1: tags" },
        { "input: \"a\\0b\"\n", "1: the value contains a NUL" },
        { "? [a]\n: b\n", "1: expected a key" },
        { "input:\n", "1: expected a text" },
        { "input: {}\n", "1: expected a text" },
        { "input: []\n", "1: input: expected a message" },
        { "input:\n  - hello\n", "2: expected a message" },
        { "input:\n  - role: user\n", "2: expected a message" },
        { "input:\n  - role: user\n    text: x\n", "3: a message has the keys" },
        { "input:\n  - role: tool\n    content: x\n", "2: role: expected" },
        { "input:\n  - role: user\n    content: [x]\n", "3: expected a text" },
        { "input:\n  - role: user\n    content: '{{x}}'\n", "3: there is no variable 'x'" },
        { "instructions: [x]\n", "1: expected a text" },
        { "input: x\ninstructions: '{{x}}'\n", "2: there is no variable 'x'" },
        { "input: 'a {{ b'\n", "1: '{{' without" },
        { "input: 'a {{}}'\n", "1: '{{' without" },
        { "input: 'a {{b c}}'\n", "1: '{{' without" },
        { "input: 'a {{1}}'\n", "1: '{{' without" },
        { "variables: { p: { kind: image } }\ninstructions: 'a {{p}}'\n", "2: 'p' is no text" },
        { "variables: [a]\ninput: x\n", "1: variables: expected names" },
        { "input: x\nvariables:\n  a b: {}\n", "3: a variable's name" },
        { "input: x\nvariables:\n  a: text\n", "3: expected keys of the variable" },
        { "input: x\nvariables:\n  a: { type: text }\n", "3: a variable has the keys" },
        { "input: x\nvariables:\n  a: { kind: sound }\n", "3: kind: expected" },
        { "input: x\nvariables:\n  a: { required: yes }\n", "3: required: expected" },
        { "input: x\nvariables:\n  a: { default: [] }\n", "3: default: expected" },
        { "input: x\nvariables:\n  a: { default: x, required: true }\n", "3: 'a' is required and has" },
        { "input: x\nvariables:\n  a:\n    default: x\n    kind: file\n", "4: 'a' is no text" },
        { "input: x\ndefaults: [model]\n", "2: defaults: expected" },
        { "input: x\ndefaults:\n  model: o3\n  modle: o3\n", "4: defaults: a request has no field 'modle'" },
        { "input: x\ndefaults:\n  prompt: x\n", "3: defaults: 'prompt' cannot" },
        { "input: x\ndefaults:\n  input: x\n", "3: defaults: 'input' cannot" },
        { "input: x\ndefaults:\n  metadata: {a: 1, a: 2}\n", "3: 'a' was there before" },
        { "input: \xff\n", "1: " },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char dir[160], want[160];
        put(fresh(dir), "t@1.yaml", rows[i].text);
        struct prompts *p = open_dir(dir);
        const struct prompt_template *t = prompts_at(p, 0);
        snprintf(want, sizeof want, "t@1.yaml:%s", rows[i].says);
        if (t->err.code != ERR_CONFIG || !str_starts(str_from(t->err.message), str_from(want)))
            fail_msg("row %zu: wanted %s, got %s", i, want, t->err.code ? t->err.message : "no error");
        assert_null(prompts_find(p, STR("pmpt_t"), STR("")));
        prompts_close(p);
    }
}

static void depth_and_keys_are_bounded(void **state)
{
    (void)state;
    char dir[160];
    struct buf deep = { 0 }, wide = { 0 };
    fresh(dir);
    buf_puts(&deep, "input: x\ndefaults:\n  metadata: ");
    for (int i = 0; i < 40; i++)
        buf_putc(&deep, '[');
    for (int i = 0; i < 40; i++)
        buf_putc(&deep, ']');
    buf_puts(&wide, "input: x\ndefaults:\n  metadata:\n");
    for (int i = 0; i < 257; i++)
        buf_printf(&wide, "    k%d: 1\n", i);
    put(dir, "deep@1.yaml", deep.ptr);
    put(dir, "wide@1.yaml", wide.ptr);
    struct prompts *p = open_dir(dir);
    assert_non_null(strstr(prompts_at(p, 0)->err.message, "deep@1.yaml:3: more than 32 levels"));
    assert_non_null(strstr(prompts_at(p, 1)->err.message, "wide@1.yaml:4: more than 256 keys"));
    prompts_close(p);
    buf_free(&deep);
    buf_free(&wide);
}

/* --- files and ids -------------------------------------------------------------------------------------- */

static void names_of_files(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "x.yaml",  "x@.yaml",    "x@0.yaml",  "x@01.yaml",         "x@1x.yaml",
        "@1.yaml", "x y@1.yaml", "x@-1.yaml", "x@1234567890.yaml", "x@1@2.yaml"
    };
    char dir[160];
    fresh(dir);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        put(dir, bad[i], "input: x\n");
    put(dir, ".x@1.yaml", "nonsense"); /* hidden, or of another kind: none of ours */
    put(dir, "README.md", "nonsense");
    put(dir, "x@1.yaml~", "nonsense");
    put(dir, "a-b_C9@12.yaml", "input: x\n");
    struct prompts *p = open_dir(dir);
    size_t n = 0, wrong = 0;
    for (const struct prompt_template *t; (t = prompts_at(p, n)); n++) {
        wrong += t->err.code == ERR_CONFIG && strstr(t->err.message, "NAME@VERSION.yaml") != NULL;
        assert_true(!t->err.code ||
                    (t->version == 0 && str_starts(str_from(t->err.message), str_from(t->name))));
    }
    assert_int_equal(ARRAY_LEN(bad), wrong);
    assert_int_equal(ARRAY_LEN(bad) + 1, n);
    assert_non_null(prompts_find(p, STR("pmpt_a-b_C9"), STR("12")));
    prompts_close(p);
}

static void ids_and_versions(void **state)
{
    (void)state;
    static const struct {
        const char *id, *version;
        int64_t want; /* 0: none */
    } rows[] = {
        { "pmpt_a", "", 10 },  { "pmpt_a", "2", 2 },  { "pmpt_a", "9", 9 }, { "pmpt_a", "3", 0 },
        { "pmpt_a", "11", 0 }, { "pmpt_a", "x", 0 },  { "pmpt_a", "0", 0 }, { "pmpt_a", "+2", 0 },
        { "pmpt_ab", "", 1 },  { "pmpt_abc", "", 0 }, { "a", "", 0 },       { "pmpt_", "", 0 },
        { "", "", 0 },         { "PMPT_a", "", 0 },
    };
    char dir[160];
    fresh(dir);
    put(dir, "a@2.yaml", "input: x\n");
    put(dir, "a@10.yaml", "input: x\n");
    put(dir, "a@9.yaml", "input: x\n");
    put(dir, "a@11.yaml", "wrong\n"); /* and so not the highest */
    put(dir, "ab@1.yaml", "input: x\n");
    struct prompts *p = open_dir(dir);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct prompt_template *t = prompts_find(p, str_from(rows[i].id), str_from(rows[i].version));
        if ((t ? t->version : 0) != rows[i].want)
            fail_msg("%s %s", rows[i].id, rows[i].version);
    }
    for (int64_t i = 0; i < 4; i++) { /* listed in order of number, not of letters */
        static const int64_t order[] = { 2, 9, 10, 11 };
        assert_int_equal(order[i], prompts_at(p, (size_t)i)->version);
    }
    prompts_close(p);
}

static void directories(void **state)
{
    (void)state;
    struct prompts *p = open_dir(NULL);
    assert_null(prompts_at(p, 0));
    prompts_close(p);
    p = open_dir("/nonexistent/prompts");
    assert_null(prompts_at(p, 0));
    assert_null(prompts_find(p, STR("pmpt_a"), STR("")));
    prompts_close(p);
    prompts_close(NULL);
    char dir[160], path[320];
    snprintf(path, sizeof path, "%s/sub@1.yaml", fresh(dir));
    assert_int_equal(0, mkdir(path, 0700)); /* a directory of that name is a file that cannot be read */
    p = open_dir(dir);
    assert_int_equal(ERR_FILE, prompts_at(p, 0)->err.code);
    prompts_close(p);
}

/* --- texts ---------------------------------------------------------------------------------------------- */

static struct str value(void *ctx, struct str name)
{
    (void)ctx;
    return str_is(name, "a") ? STR("<{{b}}>") : str_is(name, "empty") ? STR("") : STR("B");
}

static void texts_are_filled(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { "", "" },
        { "no variable", "no variable" },
        { "{{a}}", "<{{b}}>" }, /* values are not looked at again */
        { "{{ b }}{{b}} {{empty}}.", "BB ." },
        { "{ {b} } }} {b}", "{ {b} } }} {b}" },
        { "x{{b}}", "xB" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = { 0 };
        prompt_fill(&out, str_from(rows[i][0]), value, NULL);
        assert_true(str_is(buf_str(&out), rows[i][1]));
        buf_free(&out);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_whole_template),           cmocka_unit_test(what_is_wrong_has_a_line),
    cmocka_unit_test(depth_and_keys_are_bounded), cmocka_unit_test(names_of_files),
    cmocka_unit_test(ids_and_versions),           cmocka_unit_test(directories),
    cmocka_unit_test(texts_are_filled),
};
TEST_GROUP(config_prompts, tests)
