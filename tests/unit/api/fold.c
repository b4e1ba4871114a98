/*
 * fold.c - the response is the fold of its events, whole after each of them.
 *
 * Two kinds of streams: those that the server wrote (streams/, recorded from the echo engine), where the terminal event says
 * what the fold must have come to before it, and drawn ones with every kind of item, where the test keeps its own
 * output beside, text by text.
 */
#include "api/api_impl.h"
#include "base/file.h"
#include "base/rng.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX 512
#define FILE_MAX   (1 << 20)

struct stream {
    struct buf text;
    struct str events[EVENTS_MAX];
    size_t n;
};

static void stream_split(struct stream *s)
{
    struct str rest = buf_str(&s->text);
    while (rest.len) {
        struct str line = str_slice(rest, 0, str_find(rest, STR("\n")));
        assert_true(s->n < EVENTS_MAX);
        s->events[s->n++] = line;
        rest = str_slice(rest, line.len + 1, rest.len);
    }
}

static void stream_load(struct stream *s, const char *name)
{
    const char *root = getenv("THINKD_ROOT");
    char path[4096];
    struct err err;
    snprintf(path, sizeof path, "%s/tests/unit/api/streams/%s.jsonl", root ? root : ".", name);
    if (file_read(&s->text, path, FILE_MAX, &err))
        fail_msg("%s", err.message);
    stream_split(s);
}

static json_t *parse(struct str text)
{
    json_error_t error;
    json_t *v = json_loadb(text.ptr, text.len, 0, &error);
    if (!v)
        fail_msg("%s: %.*s", error.text, STR_ARG(text));
    return v;
}

static void assert_same(const json_t *got, const json_t *want, const char *where)
{
    if (json_equal(got, want))
        return;
    struct buf a = { 0 }, b = { 0 };
    json_dump(&a, got);
    json_dump(&b, want);
    fail_msg("%s: got %s, wanted %s", where, a.ptr, b.ptr);
}

/* The text of the messages' parts, the plain way. */
static void assert_output_text(const json_t *response)
{
    struct buf text = { 0 };
    const json_t *output = json_object_get(response, "output");
    for (size_t i = 0; i < json_array_size(output); i++) {
        const json_t *item = json_array_get(output, i), *content = json_object_get(item, "content");
        bool message = str_is(json_str(json_object_get(item, "type")), "message");
        for (size_t k = 0; message && k < json_array_size(content); k++)
            buf_put_str(&text, json_str(json_object_get(json_array_get(content, k), "text")));
    }
    assert_true(str_eq(json_str(json_object_get(response, "output_text")), buf_str(&text)));
    buf_free(&text);
}

/* All keys of the first response, a status of the API, and as many items as were added. */
static void assert_whole(const json_t *response, const json_t *created, size_t n_items)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)created, key, v)
    {
        if (!json_object_get(response, key))
            fail_msg("the key %s is not there", key);
    }
    assert_int_equal(json_object_size(response), json_object_size(created));
    assert_int_equal(json_array_size(json_object_get(response, "output")), n_items);
    assert_output_text(response);
}

static const char *const recorded[] = {
    "thought", "summary", "plain", "cut", "failed", "logprobs", "ponder"
};

/* Folded step by step, looked at after each; the step before the end has the output that the end repeats. */
static void recorded_streams_fold(void **state)
{
    (void)state;
    for (size_t r = 0; r < ARRAY_LEN(recorded); r++) {
        struct stream s = { 0 };
        struct fold *f = fold_open();
        struct err err;
        size_t added = 0;
        json_t *created = NULL, *before = NULL, *end = NULL;
        stream_load(&s, recorded[r]);
        for (size_t i = 0; i < s.n; i++) {
            json_t *event = parse(s.events[i]);
            bool terminal = i + 1 == s.n;
            added += str_is(json_str(json_object_get(event, "type")), "response.output_item.added");
            if (terminal)
                before = json_deep_copy(fold_response(f));
            assert_int_equal(fold_add(f, s.events[i], &err), ERR_OK);
            if (!created)
                created = json_incref(json_object_get(event, "response"));
            assert_whole(fold_response(f), created, added);
            assert_int_equal(fold_over(f), terminal);
            end = json_object_get(event, "response");
            if (terminal)
                assert_same(fold_response(f), end, recorded[r]);
            if (terminal)
                assert_same(json_object_get(before, "output"), json_object_get(end, "output"), recorded[r]);
            json_decref(event);
        }
        assert_true(s.n > 8);
        json_decref(created);
        json_decref(before);
        fold_close(f);
        buf_free(&s.text);
    }
}

/* Without a look in between. */
static json_t *fold_all(const struct str *events, size_t n)
{
    struct fold *f = fold_open();
    struct err err;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(fold_add(f, events[i], &err), ERR_OK);
    json_t *response = json_incref(fold_response(f));
    fold_close(f);
    return response;
}

static void all_at_once_is_step_by_step(void **state)
{
    (void)state;
    for (size_t r = 0; r < ARRAY_LEN(recorded); r++) {
        struct stream s = { 0 };
        struct fold *f = fold_open();
        struct err err;
        stream_load(&s, recorded[r]);
        for (size_t i = 0; i < s.n; i++) {
            assert_int_equal(fold_add(f, s.events[i], &err), ERR_OK);
            json_t *once = fold_all(s.events, i + 1);
            assert_same(once, fold_response(f), recorded[r]);
            json_decref(once);
        }
        fold_close(f);
        buf_free(&s.text);
    }
}

/* --- drawn streams -------------------------------------------------------------------------------------------- */

struct draw {
    struct rng rng;
    struct fold *f;
    json_t *want; /* the output as it must be */
    int64_t number;
};

/* Sends an event and takes its reference. Looking at the response now and then must not disturb what follows. */
static void send(struct draw *d, const char *type, json_t *event)
{
    struct buf text = { 0 };
    struct err err;
    json_object_set_new(event, "type", json_string(type));
    json_object_set_new(event, "sequence_number", json_integer(d->number++));
    json_dump(&text, event);
    if (fold_add(d->f, buf_str(&text), &err))
        fail_msg("%s: %s", text.ptr, err.message);
    if (rng_below(&d->rng, 3) == 0)
        assert_same(json_object_get(fold_response(d->f), "output"), d->want, type);
    json_decref(event);
    buf_free(&text);
}

static json_t *item_now(const struct draw *d)
{
    return json_array_get(d->want, json_array_size(d->want) - 1);
}

static json_t *place(const struct draw *d, const char *index, size_t i)
{
    json_t *event = json_pack("{s:I}", "output_index", (json_int_t)json_array_size(d->want) - 1);
    json_object_set(event, "item_id", json_object_get(item_now(d), "id"));
    if (index)
        json_object_set_new(event, index, json_integer((json_int_t)i));
    return event;
}

static void draw_word(struct draw *d, char out[8])
{
    static const char *const words[] = { "a", "bc ", "\xc3\xa9", "\"", "\\n", "" };
    snprintf(out, 8, "%s", words[rng_below(&d->rng, ARRAY_LEN(words))]);
}

/* A text in deltas and then whole, growing in holder's member of the wanted output too. */
static void draw_text(struct draw *d, const char *stem, json_t *holder, const char *member, const char *index,
                      size_t i, const char *whole)
{
    struct buf text = { 0 };
    char type[80], word[8];
    bool logged = json_object_get(holder, "logprobs") != NULL;
    for (size_t n = rng_below(&d->rng, 6); n > 0; n--) {
        json_t *event = place(d, index, i), *token = json_pack("[{s:s}]", "token", "t");
        draw_word(d, word);
        buf_puts(&text, word);
        json_object_set_new(event, "delta", json_string(word));
        json_object_set_new(holder, member, json_stringn(text.len ? text.ptr : "", text.len));
        if (logged)
            json_array_extend(json_object_get(holder, "logprobs"), token);
        json_object_set_new(event, "logprobs", token);
        snprintf(type, sizeof type, "response.%s.delta", stem);
        send(d, type, event);
    }
    json_t *event = place(d, index, i);
    json_object_set(event, whole, json_object_get(holder, member));
    snprintf(type, sizeof type, "response.%s.done", stem);
    send(d, type, event);
    buf_free(&text);
}

static void draw_parts(struct draw *d, const char *list, const char *index, bool summary)
{
    json_t *parts = json_object_get(item_now(d), list);
    size_t n = rng_below(&d->rng, 3);
    for (size_t i = 0; i < n; i++) {
        bool refusal = !summary && rng_below(&d->rng, 3) == 0;
        const char *name = summary ? "reasoning_summary_part" : "content_part";
        json_t *part = summary   ? json_pack("{s:s,s:s}", "type", "summary_text", "text", "")
                       : refusal ? json_pack("{s:s,s:s}", "type", "refusal", "refusal", "")
                                 : json_pack("{s:s,s:s,s:[],s:[]}", "type", "output_text", "text", "",
                                             "annotations", "logprobs");
        char type[80];
        json_t *event = place(d, index, i);
        json_object_set_new(event, "part", json_deep_copy(part));
        json_array_append(parts, part);
        snprintf(type, sizeof type, "response.%s.added", name);
        send(d, type, event);
        draw_text(d,
                  summary   ? "reasoning_summary_text"
                  : refusal ? "refusal"
                            : "output_text",
                  part, refusal ? "refusal" : "text", index, i, refusal ? "refusal" : "text");
        if (!summary && !refusal) {
            event = place(d, index, i);
            json_object_set_new(event, "annotation_index", json_integer(0));
            json_object_set_new(event, "annotation", json_pack("{s:s}", "type", "url_citation"));
            json_array_append_new(json_object_get(part, "annotations"),
                                  json_pack("{s:s}", "type", "url_citation"));
            send(d, "response.output_text.annotation.added", event);
        }
        event = place(d, index, i);
        json_object_set_new(event, "part", json_deep_copy(part));
        snprintf(type, sizeof type, "response.%s.done", name);
        send(d, type, event);
        json_decref(part);
    }
}

static void draw_item(struct draw *d)
{
    static const char *const blanks[] = {
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[]}",
        "{\"type\":\"reasoning\",\"summary\":[]}",
        "{\"type\":\"function_call\",\"call_id\":\"call_1\",\"name\":\"f\",\"arguments\":\"\"}",
        "{\"type\":\"custom_tool_call\",\"call_id\":\"call_2\",\"name\":\"g\",\"input\":\"\"}",
        "{\"type\":\"web_search_call\"}",
    };
    size_t kind = rng_below(&d->rng, ARRAY_LEN(blanks));
    json_t *item = parse(str_from(blanks[kind])), *event;
    char id[32];
    snprintf(id, sizeof id, "it_%llu", (unsigned long long)rng_u64(&d->rng));
    json_object_set_new(item, "id", json_string(id));
    json_object_set_new(item, "status", json_string("in_progress"));
    json_array_append_new(d->want, item);
    event = place(d, NULL, 0);
    json_object_set_new(event, "item", json_deep_copy(item));
    send(d, "response.output_item.added", event);
    switch (kind) {
    case 0: draw_parts(d, "content", "content_index", false); break;
    case 1: draw_parts(d, "summary", "summary_index", true); break;
    case 2: draw_text(d, "function_call_arguments", item, "arguments", NULL, 0, "arguments"); break;
    case 3: draw_text(d, "custom_tool_call_input", item, "input", NULL, 0, "input"); break;
    default:
        json_object_set_new(item, "status", json_string("searching"));
        send(d, "response.web_search_call.searching", place(d, NULL, 0));
    }
    json_object_set_new(item, "status", json_string("completed"));
    event = place(d, NULL, 0);
    json_object_set_new(event, "item", json_deep_copy(item));
    send(d, "response.output_item.done", event);
}

static void drawn_streams_fold(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct draw d = { .f = fold_open(), .want = json_array() };
        rng_init(&d.rng, seed, 0);
        send(&d, "response.created",
             json_pack("{s:{s:s,s:s,s:[],s:s}}", "response", "id", "resp_1", "status", "queued", "output",
                       "output_text", ""));
        send(&d, "response.in_progress",
             json_pack("{s:{s:s,s:s,s:[],s:s}}", "response", "id", "resp_1", "status", "in_progress",
                       "output", "output_text", ""));
        for (size_t n = rng_below(&d.rng, 5); n > 0; n--)
            draw_item(&d);
        assert_same(json_object_get(fold_response(d.f), "output"), d.want, "the end");
        assert_output_text(fold_response(d.f));
        assert_string_equal(json_string_value(json_object_get(fold_response(d.f), "status")), "in_progress");
        fold_close(d.f);
        json_decref(d.want);
    }
}

/* --- what does not follow --------------------------------------------------------------------------------------- */

#define CREATED "{\"type\":\"response.created\",\"response\":{\"output\":[],\"output_text\":\"\"}}"
#define ITEM                                                                                                 \
    "{\"type\":\"response.output_item.added\",\"output_index\":0,"                                           \
    "\"item\":{\"type\":\"message\",\"content\":[]}}"

static void events_out_of_place_are_refused(void **state)
{
    static const char *const cases[][3] = {
        { "{\"type\":\"response.in_progress\",\"response\":{}}" },
        { CREATED, CREATED },
        { "{\"type\":\"response.created\",\"response\":{}}" },
        { "not json" },
        { "[]" },
        { CREATED, "{\"type\":\"response.in_progress\"}" },
        { CREATED, "{\"type\":\"response.completed\",\"response\":null}" },
        { CREATED, "{\"type\":\"response.output_item.added\",\"output_index\":1,\"item\":{}}" },
        { CREATED, "{\"type\":\"response.output_item.added\",\"output_index\":-1,\"item\":{}}" },
        { CREATED, "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{}}" },
        { CREATED, ITEM,
          "{\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":"
          "\"x\"}" },
        { CREATED, ITEM,
          "{\"type\":\"response.content_part.added\",\"output_index\":0,\"content_index\":1,\"part\":{}}" },
        { CREATED, "{\"type\":\"response.completed\",\"response\":{\"output\":[]}}", ITEM },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fold *f = fold_open();
        struct err err;
        size_t last = 0;
        while (last + 1 < ARRAY_LEN(cases[i]) && cases[i][last + 1])
            assert_int_equal(fold_add(f, str_from(cases[i][last++]), &err), ERR_OK);
        json_t *before = json_deep_copy(fold_response(f));
        if (fold_add(f, str_from(cases[i][last]), &err) != ERR_STORE)
            fail_msg("case %zu was let pass", i);
        assert_true(err.message[0] != '\0');
        if (before)
            assert_same(fold_response(f), before, "after a refusal");
        json_decref(before);
        fold_close(f);
    }
}

#define DELTA(i, text)                                                                                       \
    "{\"type\":\"response.function_call_arguments.delta\",\"output_index\":" i ",\"delta\":\"" text "\"}"
#define CALL(i)                                                                                              \
    "{\"type\":\"response.output_item.added\",\"output_index\":" i                                           \
    ",\"item\":{\"type\":\"function_call\",\"arguments\":\"\"}}"

/* Two calls at a time, and a status that comes late. */
static void texts_grow_side_by_side(void **state)
{
    static const char *const events[] = { CREATED,
                                          CALL("0"),
                                          CALL("1"),
                                          DELTA("0", "a"),
                                          DELTA("1", "x"),
                                          DELTA("0", "b"),
                                          "{\"type\":\"response.in_progress\",\"response\":{\"output\":[],"
                                          "\"output_text\":\"\",\"status\":\"late\"}}",
                                          DELTA("1", "y"),
                                          DELTA("1", "z"),
                                          DELTA("0", "c") };
    struct str views[ARRAY_LEN(events)];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        views[i] = str_from(events[i]);
    json_t *got = fold_all(views, ARRAY_LEN(events));
    const json_t *output = json_object_get(got, "output");
    assert_string_equal(json_string_value(json_object_get(json_array_get(output, 0), "arguments")), "abc");
    assert_string_equal(json_string_value(json_object_get(json_array_get(output, 1), "arguments")), "xyz");
    assert_string_equal(json_string_value(json_object_get(got, "status")), "late");
    json_decref(got);
}

static void no_events_are_no_response(void **state)
{
    struct fold *f = fold_open();
    (void)state;
    assert_null(fold_response(f));
    fold_close(f);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(recorded_streams_fold),   cmocka_unit_test(all_at_once_is_step_by_step),
    cmocka_unit_test(drawn_streams_fold),      cmocka_unit_test(events_out_of_place_are_refused),
    cmocka_unit_test(texts_grow_side_by_side), cmocka_unit_test(no_events_are_no_response),
};
TEST_GROUP(api_fold, tests)
