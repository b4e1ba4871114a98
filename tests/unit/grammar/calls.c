/*
 * calls.c - calls in every form: what the grammar lets through, a scan takes apart, however it is cut.
 */
#include "test.h"

#include "grammar/grammar.h"
#include "reference.h"
#include "json/json.h"

#include <string.h>

static const char tools_json[] =
    "[{\"type\":\"function\",\"name\":\"add\",\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{"
    "\"type\":"
    "\"integer\"}},\"required\":[\"a\"],\"additionalProperties\":false},\"strict\":true},"
    "{\"type\":\"web_search\"},"
    "{\"type\":\"function\",\"name\":\"add_all\",\"parameters\":null,\"strict\":null},"
    "{\"type\":\"custom\",\"name\":\"say\",\"format\":null},"
    "{\"type\":\"custom\",\"name\":\"dial\",\"format\":{\"type\":\"grammar\",\"syntax\":\"regex\","
    "\"definition\":"
    "\"[0-9]+\\n?\"}},"
    "{\"type\":\"custom\",\"name\":\"calc\",\"format\":{\"type\":\"grammar\",\"syntax\":\"lark\","
    "\"definition\":"
    "\"start: n (\\\"+\\\" n)*\\nn: /[0-9]+/ | \\\"(\\\" start \\\")\\\"\"}}]";

struct case_calls {
    const char *form, *text, *log; /* log NULL: refused; the text's last byte is the first bad one */
};

static struct grammar *open_calls(struct calls **calls, const json_t *tools, const struct calls_options *o)
{
    struct grammar *g;
    struct err err;
    json_t *omitted;
    size_t at;
    calls_open(calls, tools, o);
    assert_int_equal(grammar_open_calls(&g, *calls, tools, o, &omitted, &at, &err), ERR_OK);
    assert_null(omitted);
    return g;
}

static void log_pieces(struct calls_scan *s, const struct calls *c, struct buf *log)
{
    while (calls_scan_next(s)) {
        if (s->kind == CALLS_BEGIN)
            buf_printf(log, "|%s%s:", calls_custom(c, s->tool) ? "*" : "", calls_name(c, s->tool));
        else
            buf_put_str(log, s->text);
    }
}

static void check_scan(const struct calls *c, const char *text, const char *log)
{
    for (size_t step = 1; step <= strlen(text) + 1; step++) {
        struct calls_scan s;
        struct buf got = { 0 };
        struct str rest = str_from(text);
        calls_scan_start(&s, c);
        for (; rest.len; rest = str_slice(rest, step, rest.len)) {
            calls_scan_put(&s, str_slice(rest, 0, step));
            log_pieces(&s, c, &got);
        }
        calls_scan_end(&s);
        log_pieces(&s, c, &got);
        buf_putc(&got, '\0');
        assert_string_equal(got.ptr, log);
        calls_scan_free(&s);
        buf_free(&got);
    }
}

/* shown: what a reader has of text; log NULL: refused, as above. */
static void check_text(const struct calls *c, struct grammar *g, const char *form, const char *text,
                       const char *shown, const char *log)
{
    struct matcher *m;
    size_t len = strlen(text);
    matcher_open(&m, g, NULL);
    size_t taken = matcher_put(m, str_from(text));
    if (taken != (log ? len : len - 1))
        fail_msg("%s: %s: %zu of %zu bytes", form, text, taken, len);
    if (log && !matcher_may_end(m))
        fail_msg("%s: %s may not end", form, text);
    matcher_close(m);
    if (log)
        check_scan(c, shown, log);
}

static void check_case(const struct calls *c, struct grammar *g, const struct case_calls *k)
{
    check_text(c, g, k->form, k->text, k->text, k->log);
}

/* Of messages with heads a reader is shown less than the grammar has: their bodies, and a call's head with its role before it. */
static const struct {
    const char *text, *shown, *log;
} messages[] = {
    { "<|channel|>final<|message|>it is <|channel|> \"so\" ", "it is <|channel|> \"so\" ",
      "it is <|channel|> \"so\" " },
    { "<|channel|>final<|message|>", "", "" },
    { "<|channel|>commentary to=functions.add <|constrain|>json<|message|>{\"a\": 1}",
      "assistant<|channel|>commentary to=functions.add <|constrain|>json<|message|>{\"a\": 1}",
      "|add:{\"a\": 1}" },
    { "<|channel|>commentary<|message|>I add. <|end|><|start|>assistant<|channel|>commentary "
      "to=functions.add_all "
      "<|constrain|>json<|message|>{\"b\":[]}",
      "I add. assistant<|channel|>commentary to=functions.add_all <|constrain|>json<|message|>{\"b\":[]}",
      "I add.|add_all:{\"b\":[]}" },
    { "<|channel|>commentary to=functions.say <|constrain|>json<|message|>{\"input\": \"a\\n\"}",
      "assistant<|channel|>commentary to=functions.say <|constrain|>json<|message|>{\"input\": \"a\\n\"}",
      "|*say:a\n" },
    { "<|channel|>commentary to=functions.calc<|message|>1+(2)",
      "assistant<|channel|>commentary to=functions.calc<|message|>1+(2)", "|*calc:1+(2)" },
    { "<|channel|>a", NULL, NULL },
    { "a", NULL, NULL },
    { "<|channel|>commentary to=functions.su", NULL, NULL },
    { "<|channel|>commentary to=functions.add <|constrain|>json<|message|>{\"a\": 1}<", NULL,
      NULL }, /* one */
};

static const struct case_calls with_text[] = {
    { "hermes", "", "" },
    { "hermes", " \n ", "" },
    { "hermes", " \n a\n b ", "a\n b " },
    { "llama3", "\n {\"a\"", "{\"a\"" },
    { "hermes", "no <tool_cal> \"{\"a\" \"a\" here  ", "no <tool_cal> \"{\"a\" \"a\" here  " },
    { "hermes", "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>",
      "|add:{\"a\": 1}" },
    { "hermes",
      "so: \n<tool_call>\n{\"name\": \"add_all\", \"arguments\": {\"a\": \"}]\\\"\\\\\", "
      "\"b\":[{}]}}\n</tool_call>\n"
      "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\":2}}\n</tool_call>",
      "so:|add_all:{\"a\": \"}]\\\"\\\\\", \"b\":[{}]}|add:{\"a\":2}" },
    { "hermes",
      "<tool_call>\n{\"name\": \"say\", \"arguments\": {\"input\": "
      "\"a\\n\\\"b\\\"\\u0001<tool_call>\"}}\n</tool_call>",
      "|*say:a\n\"b\"\001<tool_call>" },
    { "hermes", "<tool_call>\n{\"name\": \"dial\", \"arguments\": {\"input\": \"12\\n\"}}\n</tool_call>",
      "|*dial:12\n" },
    { "hermes", "x <tool_call>\n{\"name\": \"calc\"}\n1+(2+3)", "x|*calc:1+(2+3)" },
    { "hermes",
      "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\":2}}\n</tool_call>\n<tool_call>\n{\"name\": "
      "\"calc\"}\n1",
      "|add:{\"a\":2}|*calc:1" },
    { "hermes", "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"b", NULL },
    { "hermes", "<tool_call>\n{\"name\": \"su", NULL },
    { "hermes", "<tool_call>\n{\"name\": \"w", NULL },
    { "hermes", "<tool_call>\n{\"name\": \"dial\", \"arguments\": {\"input\": \"a", NULL },
    { "hermes", "<tool_call> ", NULL },
    { "hermes", "x <tool_call>\n{\"name\": \"calc\"}\n)", NULL },
    { "plain", "a < b\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\":-2}}\n</tool_call>",
      "a < b|add:{\"a\":-2}" },
    { "phi4",
      "x<|tool_call|>[{\"name\": \"add\", \"arguments\": {\"a\":1}}, {\"name\": \"add\", \"arguments\": "
      "{\"a\":2}}]<|/tool_call|>",
      "x|add:{\"a\":1}|add:{\"a\":2}" },
    { "phi4", "<|tool_call|>[{\"name\": \"add\", \"arguments\": {\"a\":1}}, {\"name\": \"calc\"}\n7",
      "|add:{\"a\":1}|*calc:7" },
    { "mistral", "x [TOOL_CALLS][{\"name\": \"say\", \"arguments\": {\"input\": \"\"}}]", "x|*say:" },
    { "mistral-args", "[TOOL_CALLS]add[ARGS]{\"a\":1}[TOOL_CALLS]add_all[ARGS]{\"add[ARGS]\":[]}",
      "|add:{\"a\":1}|add_all:{\"add[ARGS]\":[]}" },
    { "mistral-args", "[TOOL_CALLS]dial[ARGS]{\"input\": \"5\"}", "|*dial:5" },
    { "mistral-args", "[TOOL_CALLS]calc\n5", "|*calc:5" },
    { "llama3",
      "{\"name\": \"add\", \"parameters\": {\"a\":1}}; {\"name\": \"add\", \"parameters\": {\"a\":2}}",
      "|add:{\"a\":1}|add:{\"a\":2}" },
    { "llama3", "it is {\"a\":1}  ", "it is {\"a\":1}  " },
    { "llama3", "{\"a", NULL },
    { "other", "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\":1}}\n</tool_call>", "|add:{\"a\":1}" },
};

static void goes_both_ways(void **state)
{
    json_t *tools = json_loads(tools_json, 0, NULL);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(with_text); i++) {
        const struct calls_options o = { .form = with_text[i].form, .text = true, .parallel = true };
        struct calls *c;
        struct grammar *g = open_calls(&c, tools, &o);
        check_case(c, g, &with_text[i]);
        grammar_unref(g);
        calls_unref(c);
    }
    json_decref(tools);
}

static void messages_have_heads(void **state)
{
    (void)state;
    const struct calls_options o = { .form = "harmony", .text = true, .parallel = true };
    json_t *tools = json_loads(tools_json, 0, NULL);
    struct calls *c;
    struct grammar *g = open_calls(&c, tools, &o);
    assert_true(grammar_has_heads(g));
    for (size_t i = 0; i < ARRAY_LEN(messages); i++)
        check_text(c, g, "harmony", messages[i].text, messages[i].shown, messages[i].log);
    grammar_unref(g);
    calls_unref(c);
    json_decref(tools);
}

/* What must be called, how often, and which of the tools. */
static void keeps_to_the_choice(void **state)
{
    static const struct case_calls one[] = {
        { "hermes", "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\":1}}\n</tool_call>",
          "|add:{\"a\":1}" },
        { "hermes", "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\":1}}\n</tool_call>\n", NULL },
        { "hermes", "<tool_call>\n{\"name\": \"add_", NULL },
        { "hermes", "a", NULL },
        { "llama3", "{\"name\": \"add\", \"parameters\": {\"a\":1}};", NULL },
        { "phi4", "<|tool_call|>[{\"name\": \"add\", \"arguments\": {\"a\":1}},", NULL },
    };
    json_t *tools = json_loads(tools_json, 0, NULL), *only = json_pack("[s]", "add");
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(one); i++) {
        const struct calls_options o = { .form = one[i].form, .only = only };
        struct calls *c;
        struct grammar *g = open_calls(&c, tools, &o);
        check_case(c, g, &one[i]);
        grammar_unref(g);
        calls_unref(c);
    }
    json_decref(only);
    json_decref(tools);
}

static void answers_in_json(void **state)
{
    static const struct case_calls cases[] = {
        { "llama3", "{\"name\": 1}", "{\"name\": 1}" },
        { "llama3", "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\":1}}\n</tool_call>",
          "|add:{\"a\":1}" },
        { "hermes", "{\"name\": \"", NULL },
        { "hermes", "{\"name\": 1}<", NULL },
    };
    json_t *tools = json_loads(tools_json, 0, NULL);
    json_t *schema = json_loads("{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"integer\"}},"
                                "\"required\":[\"name\"],\"additionalProperties\":false}",
                                0, NULL);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct calls_options o = { .form = cases[i].form, .text = true, .answer = schema };
        struct calls *c;
        struct grammar *g = open_calls(&c, tools, &o);
        check_case(c, g, &cases[i]);
        grammar_unref(g);
        calls_unref(c);
    }
    json_decref(schema);
    json_decref(tools);
}

/* Open objects say no key twice, whatever quotes and braces the text before them has. */
/* Where no text is free, they do so in documents and in every form's calls. */
static void watches_keys_where_all_is_json(void **state)
{
    static const struct {
        struct case_calls k;
        bool text, lark;
    } cases[] = {
        { { "hermes", "{\"a\": 1, \"b\": {\"a\": 1}}", "{\"a\": 1, \"b\": {\"a\": 1}}" }, true, false },
        { { "hermes", "{\"a\": 1, \"a\"", NULL }, true, false },
        { { "harmony", "<|channel|>final<|message|>{\"a\": 1, \"a\"", NULL }, true, false },
        { { "mistral-args", "{\"a\": 1, \"b\": {\"a\": 1, \"a\"", NULL }, true, false },
        { { "mistral-args", "[TOOL_CALLS]add_all[ARGS]{\"a\": 1, \"a\"", NULL }, true, false },
        { { "mistral-args", "[TOOL_CALLS]add_all[ARGS]{\"a\": 1, \"a\"", NULL }, false, false },
        { { "mistral-args", "[TOOL_CALLS]add_all[ARGS]{\"a\":1}[TOOL_CALLS]add_all[ARGS]{\"a\":1}",
            "|add_all:{\"a\":1}|add_all:{\"a\":1}" },
          false,
          false },
        { { "llama3",
            "{\"name\": \"add_all\", \"parameters\": {\"name\":1}}; {\"name\": \"add_all\", \"parameters\": "
            "{\"name\":1,\"name\"",
            NULL },
          false,
          false },
        { { "harmony",
            "<|channel|>commentary to=functions.add_all <|constrain|>json<|message|>{\"a\": 1, \"a\"", NULL },
          false,
          false },
        { { "plain", "<tool_call>\n{\"name\": \"add_all\", \"arguments\": {\"b\": {}, \"b\"", NULL },
          false,
          false },
        /* What a Lark grammar makes is none of theirs. */
        { { "plain", "{\"a\": \"x\", \"=functions.\": 1, \"a\"", NULL }, true, true },
        { { "harmony", "<|channel|>final<|message|>{\"=functions.\": 1, \"a\": 1, \"a\"", NULL },
          true,
          true },
        { { "plain", "<tool_call>\n{\"name\": \"twice\"}\n{\"a\",\"a\"}", "|*twice:{\"a\",\"a\"}" },
          true,
          true },
        { { "plain",
            "<tool_call>\n{\"name\": \"add_all\", \"arguments\": {\"a\": "
            "1}}\n</tool_call>\n<tool_call>\n{\"name\": "
            "\"add_all\", \"arguments\": {\"a\": 1, \"a\"",
            NULL },
          false,
          true },
        { { "mistral", "[TOOL_CALLS][{\"name\": \"twice\"}\n{\"a\",\"a\"}", "|*twice:{\"a\",\"a\"}" },
          false,
          true },
        { { "mistral-args", "[TOOL_CALLS]twice\n{\"a\",\"a\"}", "|*twice:{\"a\",\"a\"}" }, true, true },
    };
    static const char twice[] =
        "{\"type\":\"custom\",\"name\":\"twice\",\"format\":{\"type\":\"grammar\",\"syntax\":"
        "\"lark\",\"definition\":\"start: \\\"{\\\" /.a./ \\\",\\\" /.a./ \\\"}\\\"\"}}";
    json_t *tools = json_loads(tools_json, 0, NULL), *only = json_pack("[s]", "add_all"),
           *both = json_pack("[s, s]", "add_all", "twice"), *answer = json_object();
    json_t *lark = json_loads(twice, 0, NULL);
    (void)state;
    assert_non_null(lark);
    json_array_append_new(tools, lark);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct calls_options o = { .form = cases[i].k.form,
                                         .text = cases[i].text,
                                         .answer = cases[i].text ? answer : NULL,
                                         .parallel = true,
                                         .only = cases[i].lark ? both : only };
        struct calls *c;
        struct grammar *g = open_calls(&c, tools, &o);
        check_case(c, g, &cases[i].k);
        grammar_unref(g);
        calls_unref(c);
    }
    json_decref(answer);
    json_decref(only);
    json_decref(both);
    json_decref(tools);
}

/* How often part goes on behind begin. */
static size_t levels(const char *name, bool text, const char *begin, const char *part)
{
    json_t *tools = json_loads(tools_json, 0, NULL), *only = json_pack("[s]", name), *answer = json_object();
    const struct calls_options o = {
        .form = "plain", .text = text, .answer = text ? answer : NULL, .only = only
    };
    struct calls *c;
    struct grammar *g = open_calls(&c, tools, &o);
    struct matcher *m;
    size_t n = 0;
    matcher_open(&m, g, NULL);
    assert_int_equal(matcher_put(m, str_from(begin)), strlen(begin));
    while (n < 2000 && matcher_put(m, str_from(part)) == strlen(part))
        n++;
    matcher_close(m);
    grammar_unref(g);
    calls_unref(c);
    json_decref(answer);
    json_decref(only);
    json_decref(tools);
    return n;
}

/* Whatever JSON there is can be read back, also beside a tool whose input nests by itself. */
static void json_is_no_deeper_beside_lark(void **state)
{
    static const char calc[] = "<tool_call>\n{\"name\": \"calc\"}\n";
    (void)state;
    size_t alone = levels("calc", false, calc, "("), beside = levels("calc", true, calc, "("),
           document = levels("calc", true, "", "{\"a\": ");
    assert_true(alone > JSON_DEPTH_MAX && beside > JSON_DEPTH_MAX / 3 && beside < JSON_DEPTH_MAX);
    assert_true(document > JSON_DEPTH_MAX / 3 && document < JSON_DEPTH_MAX);
}

static void refusals_are_no_calls(void **state)
{
    (void)state;
    static const struct {
        const char *form, *text, *log; /* as in check_text */
    } cases[] = {
        { "plain", "I cannot", "I cannot" },
        { "plain", "I cannot (.*) <tool_cal", "I cannot (.*) <tool_cal" },
        { "plain", "I cannot <tool_call>", NULL },
        { "plain", "I c\"", NULL },
        { "plain", "{", NULL },
        { "hermes", "I cannot {\"a\":1}\n", "I cannot {\"a\":1}\n" },
        { "hermes", "I cannot\n<tool_call>", NULL },
        { "mistral", "I cannot [TOOL_CALLS]", NULL },
        { "phi4", "I cannot <|tool_call|>", NULL },
        { "llama3", "I cannot {", "I cannot {" }, /* beside JSON it is written as plain is */
        { "harmony", "<|channel|>final<|message|>I cannot \n <|channel|>", "I cannot \n <|channel|>" },
        { "harmony", "<|channel|>c", NULL },
        { "harmony", "I", NULL },
    };
    json_t *tools = json_loads(tools_json, 0, NULL), *answer = json_object();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct calls_options o = { .form = cases[i].form, .text = true, .answer = answer };
        const char *head = strstr(cases[i].text, "<|message|>");
        struct calls *calls;
        struct grammar *g;
        calls_open(&calls, tools, &o);
        assert_int_equal(grammar_open_refusal(&g, STR("I cannot"), calls, NULL), ERR_OK);
        assert_int_equal(grammar_has_heads(g), strcmp(cases[i].form, "harmony") == 0);
        check_text(calls, g, cases[i].form, cases[i].text,
                   head ? head + strlen("<|message|>") : cases[i].text, cases[i].log);
        grammar_unref(g);
        calls_unref(calls);
    }
    json_decref(answer);
    json_decref(tools);
}

/* By itself it may say anything behind its opening, whose characters mean nothing else. */
static void refusals_begin_alike(void **state)
{
    (void)state;
    struct grammar *g;
    assert_int_equal(grammar_open_refusal(&g, STR("No (.*)"), NULL, NULL), ERR_OK);
    assert_false(grammar_has_heads(g));
    check_text(NULL, g, "none", "No (.)", NULL, NULL);
    check_text(NULL, g, "none", "No (.*]", NULL, NULL);
    grammar_unref(g);
}

static void watches_keys_in_calls_alone(void **state)
{
    static const struct case_calls cases[] = {
        { "hermes",
          "{\"a\": 1, \"a\": \" <tool_call>\n{\"name\": \"add_all\", \"arguments\": {\"a\":1, "
          "\"b\":{\"a\":1}}}\n</tool_call>",
          "{\"a\": 1, \"a\": \"|add_all:{\"a\":1, \"b\":{\"a\":1}}" },
        { "hermes", "\" <tool_call>\n{\"name\": \"add_all\", \"arguments\": {\"a\":1, \"a\"", NULL },
    };
    json_t *tools = json_loads(tools_json, 0, NULL), *only = json_pack("[s]", "add_all");
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct calls_options o = { .form = "hermes", .text = true, .only = only };
        struct calls *c;
        struct grammar *g = open_calls(&c, tools, &o);
        check_case(c, g, &cases[i]);
        grammar_unref(g);
        calls_unref(c);
    }
    json_decref(only);
    json_decref(tools);
}

static void expect_error(const char *tool, const char *part)
{
    struct calls *c;
    struct grammar *g;
    struct err err = { 0 };
    json_t *omitted,
        *tools = json_pack("[o,o]", json_pack("{s:s}", "type", "mcp"), json_loads(tool, 0, NULL));
    const struct calls_options o = { .text = true };
    size_t at;
    calls_open(&c, tools, &o);
    assert_int_not_equal(grammar_open_calls(&g, c, tools, &o, &omitted, &at, &err), ERR_OK);
    assert_int_equal(at, 1);
    if (str_find(str_from(err.message), str_from(part)) == SIZE_MAX)
        fail_msg("'%s' is not in: %s", part, err.message);
    calls_unref(c);
    json_decref(tools);
}

static void says_which_tool_is_wrong(void **state)
{
    (void)state;
    expect_error("{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"type\":\"string\"}}", "object");
    expect_error("{\"type\":\"function\",\"name\":\"f\",\"strict\":true,\"parameters\":{\"type\":\"object\","
                 "\"properties\":"
                 "{\"a\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"uniqueItems\":true}},"
                 "\"required\":[\"a\"],"
                 "\"additionalProperties\":false}}",
                 "uniqueItems");
    expect_error("{\"type\":\"custom\",\"name\":\"f\",\"format\":{\"type\":\"grammar\",\"syntax\":\"regex\","
                 "\"definition\":"
                 "\"(\"}}",
                 "");
    expect_error("{\"type\":\"custom\",\"name\":\"f\",\"format\":{\"type\":\"grammar\",\"syntax\":\"lark\","
                 "\"definition\":"
                 "\"x: y\"}}",
                 "start");
}

static void names_what_it_leaves_out(void **state)
{
    struct calls *c;
    struct grammar *g;
    struct err err;
    size_t at;
    json_t *omitted,
        *tools = json_loads(
            "[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"type\":"
            "\"array\",\"items\":{\"type\":\"integer\"},\"uniqueItems\":true}}}}]",
            0, NULL);
    const struct calls_options o = { .text = true };
    (void)state;
    calls_open(&c, tools, &o);
    assert_int_equal(grammar_open_calls(&g, c, tools, &o, &omitted, &at, &err), ERR_OK);
    const json_t *one = json_array_get(omitted, 0);
    assert_string_equal(json_string_value(json_object_get(one, "keyword")), "uniqueItems");
    assert_true(
        str_starts(str_from(json_string_value(json_object_get(one, "path"))), STR("tools[0].parameters")));
    json_decref(omitted);
    grammar_unref(g);
    calls_unref(c);
    json_decref(tools);
}

/* Where no bytes tell a call's object from free text, the control token before it does. */
static void watches_keys_behind_control_tokens(void **state)
{
    static const char *const controls[] = { "[TOOL_CALLS]", "[ARGS]",        "<|channel|>", "<|message|>",
                                            "<|end|>",      "<|constrain|>", "<|start|>" };
    static const struct {
        const char *form, *pieces[14]; /* as they come, until NULL */
    } cases[] = {
        { "mistral-args",
          { "{\"a\": 1, \"a\": [ARG", "[TOOL_CALLS]", "add_all", "[ARGS]", "{\"b\":{\"a\":1}}",
            "[TOOL_CALLS]", "add_all", "[ARGS]", "{\"a\":1,\"" } },
        { "harmony",
          { "<|channel|>", "commentary", "<|message|>", "{\"a\", \"a\"", "<|end|>", "<|start|>", "assistant",
            "<|channel|>", "commentary to=functions.add_all ", "<|constrain|>", "json", "<|message|>",
            "{\"a\":1,\"" } },
    };
    json_t *tools = json_loads(tools_json, 0, NULL), *only = json_pack("[s]", "add_all");
    struct tokenizer *t = test_tokenizer(NULL, 0, controls, ARRAY_LEN(controls));
    struct grammar_vocab *v;
    (void)state;
    grammar_vocab_open(&v, t);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct calls_options o = {
            .form = cases[i].form, .text = true, .parallel = true, .only = only
        };
        struct calls *c;
        struct matcher *m;
        struct grammar *g = open_calls(&c, tools, &o);
        matcher_open(&m, g, v);
        for (const char *const *p = cases[i].pieces; *p; p++) {
            int32_t id = tokenizer_find(t, str_from(*p));
            if (id >= 0 ? !matcher_accept(m, id) : matcher_put(m, str_from(*p)) != strlen(*p))
                fail_msg("%s: %s", cases[i].form, *p);
        }
        assert_int_equal(matcher_put(m, STR("a\"")), 1); /* said before */
        assert_int_equal(matcher_put(m, STR("b\":2}")), 5);
        assert_true(matcher_may_end(m));
        matcher_close(m);
        grammar_unref(g);
        calls_unref(c);
    }
    grammar_vocab_close(v);
    tokenizer_close(t);
    json_decref(only);
    json_decref(tools);
}

/* Where markers are tokens, their letters are no marker, and the tokens stand nowhere else. */
static void asks_for_control_tokens(void **state)
{
    static const char *const controls[] = { "<tool_call>", "</tool_call>" };
    json_t *tools = json_loads(tools_json, 0, NULL), *only = json_pack("[s]", "add_all");
    const struct calls_options o = { .form = "hermes", .text = true, .only = only };
    struct tokenizer *t = test_tokenizer(NULL, 0, controls, ARRAY_LEN(controls));
    int32_t open = tokenizer_find(t, str_from(controls[0])), close = tokenizer_find(t, str_from(controls[1]));
    struct grammar_vocab *v;
    struct calls *c;
    struct matcher *m;
    struct str letters = str_from(controls[0]);
    (void)state;
    grammar_vocab_open(&v, t);
    struct grammar *g = open_calls(&c, tools, &o);
    matcher_open(&m, g, v);
    assert_true(matcher_put(m, STR("x")) == 1);
    assert_true(matcher_allows(m, open) && !matcher_allows(m, close));
    assert_int_equal(matcher_put(m, letters), letters.len - 1);
    matcher_close(m);
    matcher_open(&m, g, v);
    assert_true(matcher_accept(m, open));
    struct str call = STR("\n{\"name\": \"add_all\", \"arguments\": {\"a\":1, \"a");
    assert_int_equal(matcher_put(m, call), call.len);
    assert_int_equal(matcher_put(m, STR("\"")), 0); /* said before */
    assert_int_equal(matcher_put(m, STR("b\":2}}\n")), 7);
    assert_false(matcher_may_end(m));
    assert_true(matcher_accept(m, close));
    assert_true(matcher_over(m));
    matcher_close(m);
    grammar_unref(g);
    calls_unref(c);
    grammar_vocab_close(v);
    tokenizer_close(t);
    json_decref(only);
    json_decref(tools);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(asks_for_control_tokens),
    cmocka_unit_test(watches_keys_behind_control_tokens),
    cmocka_unit_test(goes_both_ways),
    cmocka_unit_test(messages_have_heads),
    cmocka_unit_test(keeps_to_the_choice),
    cmocka_unit_test(watches_keys_where_all_is_json),
    cmocka_unit_test(json_is_no_deeper_beside_lark),
    cmocka_unit_test(refusals_are_no_calls),
    cmocka_unit_test(refusals_begin_alike),
    cmocka_unit_test(answers_in_json),
    cmocka_unit_test(watches_keys_in_calls_alone),
    cmocka_unit_test(says_which_tool_is_wrong),
    cmocka_unit_test(names_what_it_leaves_out),
};
TEST_GROUP(grammar_calls, tests)
