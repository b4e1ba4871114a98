/*
 * stored.c - what is stored, fetched again: responses, their input, items by id, chat completions, files.
 *
 * Rows are written into the store as the server writes them; requests go over HTTP where an endpoint is meant, and to the
 * functions where another part of the API calls them.
 */
#include "site.h"

#include "base/clock.h"
#include "base/rng.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static struct site site;

static int start(void **state)
{
    (void)state;
    /* What is put in ended long ago: the sweep at the start would race with it. */
    static const char *const options[] = { "--keep-ms", "0", NULL };
    site_open(&site, options, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    site_close(&site);
    return 0;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* The ids of a list, one behind the other: "a b c". */
static void assert_ids(const json_t *items, const char *want)
{
    struct buf got = { 0 };
    buf_puts(&got, "");
    for (size_t i = 0; i < json_array_size(items); i++)
        buf_printf(&got, "%s%s", i ? " " : "", text_of(json_array_get(items, i), "id"));
    assert_string_equal(got.len ? got.ptr : "", want);
    buf_free(&got);
}

static void assert_refused(const char *method, const char *path, int status, const char *message)
{
    json_t *reply = site_json(&site, method, path, NULL, status);
    assert_string_equal(text_of(json_object_get(reply, "error"), "message"), message);
    json_decref(reply);
}

#define MESSAGE(id) "{\"type\":\"message\",\"id\":\"" id "\"}"
#define OVER(id, items)                                                                                      \
    "{\"id\":\"" id "\",\"object\":\"response\",\"status\":\"completed\", \"output\":[" items "]}"

static const char *const running[] = {
    "{\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_run\",\"object\":"
    "\"response\","
    "\"status\":\"queued\",\"output\":[],\"output_text\":\"\"}}",
    "{\"type\":\"response.in_progress\",\"sequence_number\":1,\"response\":{\"id\":\"resp_run\",\"object\":"
    "\"response\",\"status\":\"in_progress\",\"output\":[],\"output_text\":\"\"}}",
    "{\"type\":\"response.output_item.added\",\"sequence_number\":2,\"output_index\":0,\"item\":{\"type\":"
    "\"message\","
    "\"id\":\"msg_run\",\"status\":\"in_progress\",\"content\":[]}}",
    "{\"type\":\"response.content_part.added\",\"sequence_number\":3,\"output_index\":0,\"content_index\":0,"
    "\"part\":"
    "{\"type\":\"output_text\",\"text\":\"\",\"annotations\":[],\"logprobs\":[]}}",
    "{\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"output_index\":0,\"content_index\":0,"
    "\"delta\":"
    "\"so \",\"logprobs\":[]}",
    "{\"type\":\"response.output_text.delta\",\"sequence_number\":5,\"output_index\":0,\"content_index\":0,"
    "\"delta\":"
    "\"far\",\"logprobs\":[]}",
    NULL
};

/* --- responses ------------------------------------------------------------------------------------------------- */

static void what_is_over_comes_as_it_is_stored(void **state)
{
    (void)state;
    static const char stored[] =
        OVER("resp_a", MESSAGE("msg_a")); /* with a blank that no writer of ours makes */
    put_row(site.store, &(struct row){ .id = "resp_a", .status = STORE_COMPLETED, .response = stored });
    struct buf got = site_bytes(&site, "/v1/responses/resp_a?include[]=message.output_text.logprobs");
    assert_string_equal(got.ptr, stored);
    buf_free(&got);
}

static void what_waits_comes_as_its_last_event_shows_it(void **state)
{
    (void)state;
    static const char *const events[] = {
        "{\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_w\",\"output\":[]}"
        "}",
        "{\"type\":\"response.queued\",\"sequence_number\":1,\"response\":{\"id\":\"resp_w\", \"output\":[],"
        "\"metadata\":{\"a\":\",\\\"response\\\":\"}}}",
        NULL
    };
    put_row(site.store, &(struct row){ .id = "resp_w", .events = events });
    struct buf got = site_bytes(&site, "/v1/responses/resp_w");
    assert_string_equal(got.ptr,
                        "{\"id\":\"resp_w\", \"output\":[],\"metadata\":{\"a\":\",\\\"response\\\":\"}}");
    buf_free(&got);
}

static void what_runs_is_its_events_so_far(void **state)
{
    (void)state;
    put_row(site.store, &(struct row){ .id = "resp_run", .status = STORE_IN_PROGRESS, .events = running });
    json_t *got = site_json(&site, "GET", "/v1/responses/resp_run", NULL, 200);
    assert_string_equal(text_of(got, "status"), "in_progress");
    assert_string_equal(text_of(got, "output_text"), "so far");
    assert_ids(json_object_get(got, "output"), "msg_run");
    json_decref(got);
}

static void a_status_is_the_later_word_of_row_and_events(void **state)
{
    (void)state;
    const char *const created[] = { running[0], NULL };
    const struct {
        struct row row;
        const char *status;
    } cases[] = {
        { { .id = "resp_waits", .events = created }, "queued" },
        { { .id = "resp_claimed", .status = STORE_IN_PROGRESS, .events = created }, "in_progress" },
        { { .id = "resp_begun", .events = running }, "in_progress" }, /* begun between the two looks */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char path[64];
        put_row(site.store, &cases[i].row);
        snprintf(path, sizeof path, "/v1/responses/%s", cases[i].row.id);
        json_t *got = site_json(&site, "GET", path, NULL, 200);
        assert_string_equal(text_of(got, "status"), cases[i].status);
        json_decref(got);
    }
}

static void a_deleted_response_is_gone(void **state)
{
    (void)state;
    put_row(site.store,
            &(struct row){ .id = "resp_a", .status = STORE_FAILED, .response = OVER("resp_a", "") });
    json_t *got = site_json(&site, "DELETE", "/v1/responses/resp_a", NULL, 200);
    assert_int_equal(json_object_size(got), 3);
    assert_string_equal(text_of(got, "id"), "resp_a");
    assert_string_equal(text_of(got, "object"), "response");
    assert_true(json_is_true(json_object_get(got, "deleted")));
    json_decref(got);
    assert_refused("GET", "/v1/responses/resp_a", 404, "Response with id 'resp_a' not found.");
    assert_refused("DELETE", "/v1/responses/resp_a", 404, "Response with id 'resp_a' not found.");
}

static void others_responses_are_not_there(void **state)
{
    (void)state;
    put_row(site.store, &(struct row){ .id = "resp_x",
                                       .owner = "somebody",
                                       .status = STORE_COMPLETED,
                                       .response = OVER("resp_x", MESSAGE("msg_x")) });
    assert_refused("GET", "/v1/responses/resp_x", 404, "Response with id 'resp_x' not found.");
    assert_refused("DELETE", "/v1/responses/resp_x", 404, "Response with id 'resp_x' not found.");
    assert_refused("GET", "/v1/responses/resp_x/input_items", 404, "Response with id 'resp_x' not found.");
}

/* Three responses, each going on from the one before. */
static void put_chain(enum store_status last)
{
    struct store *store = site.store;
    put_row(store, &(struct row){ .id = "resp_1",
                                  .status = STORE_COMPLETED,
                                  .input = "[" MESSAGE("i1a") "," MESSAGE("i1b") "]",
                                  .response = OVER("resp_1", MESSAGE("o1")) });
    put_row(store, &(struct row){ .id = "resp_2",
                                  .previous = "resp_1",
                                  .status = STORE_CANCELLED,
                                  .input = "[" MESSAGE("i2") "]",
                                  .response = OVER("resp_2", MESSAGE("o2a") "," MESSAGE("o2b")) });
    put_row(store, &(struct row){ .id = "resp_3",
                                  .previous = "resp_2",
                                  .status = last,
                                  .input = "[" MESSAGE("i3") "]",
                                  .response = OVER("resp_3", MESSAGE("o3")),
                                  .events = running });
}

static void assert_list(const char *path, const char *ids, bool more)
{
    json_t *got = site_json(&site, "GET", path, NULL, 200), *data = json_object_get(got, "data");
    size_t n = json_array_size(data);
    assert_ids(data, ids);
    assert_string_equal(text_of(got, "object"), "list");
    assert_int_equal(json_is_true(json_object_get(got, "has_more")), more);
    assert_string_equal(text_of(got, "first_id"), text_of(json_array_get(data, 0), "id"));
    assert_string_equal(text_of(got, "last_id"), n ? text_of(json_array_get(data, n - 1), "id") : "");
    json_decref(got);
}

static void input_holds_what_is_inherited(void **state)
{
    (void)state;
    put_chain(STORE_IN_PROGRESS);
    assert_list("/v1/responses/resp_3/input_items", "i3 o2b o2a i2 o1 i1b i1a", false);
    assert_list("/v1/responses/resp_3/input_items?order=asc&limit=3", "i1a i1b o1", true);
    assert_list("/v1/responses/resp_3/input_items?order=asc&limit=3&after=o1", "i2 o2a o2b", true);
    assert_list("/v1/responses/resp_3/input_items?order=asc&before=i2", "i1a i1b o1", false);
    assert_list("/v1/responses/resp_1/input_items", "i1b i1a", false);
    json_decref(site_json(&site, "DELETE", "/v1/responses/resp_2", NULL, 200));
    assert_list("/v1/responses/resp_3/input_items", "i3", false); /* what went is not there any more */
}

static void no_input_is_an_empty_list(void **state)
{
    (void)state;
    put_row(site.store,
            &(struct row){ .id = "resp_a", .status = STORE_COMPLETED, .response = OVER("resp_a", "") });
    json_t *got = site_json(&site, "GET", "/v1/responses/resp_a/input_items", NULL, 200);
    assert_true(json_is_null(json_object_get(got, "first_id")));
    assert_true(json_is_null(json_object_get(got, "last_id")));
    json_decref(got);
}

/* --- contexts --------------------------------------------------------------------------------------------------- */

static struct api an_api(void)
{
    return (struct api){ .store = site.store };
}
static const struct access_owner me = { .id = OWNER };

static void assert_context(const char *id, const char *want)
{
    struct api a = an_api();
    struct arena arena = { 0 };
    struct err err;
    json_t *out = json_array();
    if (history_items(&a, &me, str_from(id), out, &arena, &err))
        fail_msg("%s: %s", id, err.message);
    assert_ids(out, want);
    json_decref(out);
    arena_free(&arena);
}

static void assert_no_context(const char *id, enum err_code want, const char *message)
{
    struct api a = an_api();
    struct arena arena = { 0 };
    struct err err = { 0 };
    json_t *out = json_array();
    assert_int_equal(history_items(&a, &me, str_from(id), out, &arena, &err), want);
    assert_string_equal(err.param, "previous_response_id");
    if (strncmp(err.message, message, strlen(message)) != 0)
        fail_msg("%s", err.message);
    json_decref(out);
    arena_free(&arena);
}

static void a_context_is_inputs_and_outputs_in_turn(void **state)
{
    (void)state;
    put_chain(STORE_COMPLETED);
    assert_context("resp_1", "i1a i1b o1");
    assert_context("resp_3", "i1a i1b o1 i2 o2a o2b i3 o3");
    json_decref(site_json(&site, "DELETE", "/v1/responses/resp_1", NULL, 200));
    assert_no_context("resp_3", ERR_PREVIOUS_NOT_FOUND, "Previous response with id 'resp_1' not found.");
}

static void what_cannot_be_gone_on_from_says_why(void **state)
{
    (void)state;
    put_chain(STORE_IN_PROGRESS);
    put_row(site.store, &(struct row){ .id = "resp_x",
                                       .owner = "somebody",
                                       .status = STORE_COMPLETED,
                                       .response = OVER("resp_x", "") });
    assert_no_context("resp_3", ERR_CONFLICT, "Previous response with id 'resp_3' is still in progress.");
    assert_no_context("resp_x", ERR_PREVIOUS_NOT_FOUND, "Previous response with id 'resp_x' not found.");
    assert_no_context("resp_none", ERR_PREVIOUS_NOT_FOUND,
                      "Previous response with id 'resp_none' not found.");
    assert_no_context("resp_", ERR_INVALID_VALUE, "Invalid 'previous_response_id': 'resp_'.");
    assert_no_context("msg_1", ERR_INVALID_VALUE, "Invalid 'previous_response_id': 'msg_1'.");
    assert_no_context("resp_a b", ERR_INVALID_VALUE, "Invalid 'previous_response_id'");
    assert_no_context("", ERR_INVALID_VALUE, "Invalid 'previous_response_id'");
}

static void a_chain_is_bounded(void **state)
{
    (void)state;
    char id[32], before[32] = "";
    for (int i = 0; i <= HISTORY_RESPONSES_MAX; i++) {
        snprintf(id, sizeof id, "resp_%d", i);
        put_row(site.store,
                &(struct row){
                    .id = id, .previous = before, .status = STORE_COMPLETED, .response = "{\"output\":[]}" });
        snprintf(before, sizeof before, "%s", id);
    }
    snprintf(id, sizeof id, "resp_%d", HISTORY_RESPONSES_MAX - 1);
    assert_context(id, "");
    assert_no_context(before, ERR_CONTEXT_LENGTH, "The chain of previous responses is longer than");
}

static void a_context_is_bounded(void **state)
{
    (void)state;
    struct buf big = { 0 };
    buf_puts(&big, "{\"output\":[],\"pad\":\"");
    while (big.len <= HISTORY_BYTES_MAX / 2)
        buf_puts(&big, "0123456789012345678901234567890123456789012345678901234567890123456789");
    buf_puts(&big, "\"}");
    put_row(site.store, &(struct row){ .id = "resp_1", .status = STORE_COMPLETED, .response = big.ptr });
    put_row(site.store,
            &(struct row){
                .id = "resp_2", .previous = "resp_1", .status = STORE_COMPLETED, .response = big.ptr });
    assert_context("resp_1", "");
    assert_no_context("resp_2", ERR_CONTEXT_LENGTH, "The previous responses hold more than");
    buf_free(&big);
}

/* Puts items into a conversation at a time of its own. */
static void put_items(const char *conversation, int64_t created_ms, const char *const *ids)
{
    struct store_tx *tx = store_tx_open();
    struct err err = { 0 };
    char body[128];
    for (size_t i = 0; ids[i]; i++) {
        snprintf(body, sizeof body, "{\"type\":\"message\",\"id\":\"%s\"}", ids[i]);
        struct store_object o = { .kind = STR("conversation.item"),
                                  .owner = STR(OWNER),
                                  .id = str_from(ids[i]),
                                  .parent = str_from(conversation),
                                  .created_ms = created_ms,
                                  .body = str_from(body) };
        store_tx_object_put(tx, &o);
    }
    assert_int_equal(store_commit_wait(site.store, tx, &err), ERR_OK);
}

/* One place is left: a response would add its input, a thought and a message. */
static void a_full_conversation_takes_no_response(void **state)
{
    (void)state;
    struct err err;
    char ids[24];
    struct store_object c = { .kind = STR("conversation"),
                              .owner = STR(OWNER),
                              .id = STR("conv_full"),
                              .created_ms = 1,
                              .body = STR("{\"metadata\":{}}") };
    struct store_tx *tx = store_tx_open();
    store_tx_object_put(tx, &c);
    for (int i = 0; i < CONVERSATION_ITEMS_MAX - 1; i++) {
        snprintf(ids, sizeof ids, "full_%d", i);
        struct store_object o = { .kind = STR("conversation.item"),
                                  .owner = STR(OWNER),
                                  .id = str_from(ids),
                                  .parent = c.id,
                                  .created_ms = 1,
                                  .body = STR("{\"type\":\"reasoning\",\"id\":\"rs\",\"summary\":[]}") };
        store_tx_object_put(tx, &o);
    }
    assert_int_equal(store_commit_wait(site.store, tx, &err), ERR_OK);
    json_t *reply = site_json(&site, "POST", "/v1/responses",
                              "{\"model\":\"o3\",\"input\":\"hi\",\"conversation\":\"conv_full\"}", 400);
    const json_t *error = json_object_get(reply, "error");
    assert_string_equal(text_of(error, "code"), "array_above_max_length");
    assert_string_equal(text_of(error, "param"), "conversation");
    json_decref(reply);
}

/* The conversation goes on after the response, and holds what the response itself added. */
static void a_response_saw_its_conversation_as_it_was(void **state)
{
    (void)state;
    struct store_object c = { .kind = STR("conversation"),
                              .owner = STR(OWNER),
                              .id = STR("conv_1"),
                              .body = STR("{\"metadata\":{}}") };
    struct store_tx *tx = store_tx_open();
    struct err err = { 0 };
    store_tx_object_put(tx, &c);
    assert_int_equal(store_commit_wait(site.store, tx, &err), ERR_OK);
    put_items("conv_1", 1000, (const char *const[]){ "c1", "c2", NULL });
    put_items("conv_1", 2000, (const char *const[]){ "i1", "o1", NULL });
    put_items("conv_1", 3000, (const char *const[]){ "c3", NULL });
    put_row(site.store, &(struct row){ .id = "resp_c",
                                       .conversation = "conv_1",
                                       .created_ms = 2000,
                                       .status = STORE_COMPLETED,
                                       .input = "[" MESSAGE("i1") "]",
                                       .response = OVER("resp_c", MESSAGE("o1")) });
    assert_list("/v1/responses/resp_c/input_items?order=asc", "c1 c2 i1", false);
    assert_context("resp_c", "c1 c2 i1 o1");
    json_decref(site_json(&site, "DELETE", "/v1/conversations/conv_1", NULL, 200));
    assert_context("resp_c", "i1 o1");
    struct store_object item;
    struct arena arena = { 0 };
    assert_int_equal(
        store_object_get(site.store, STR("conversation.item"), STR(OWNER), STR("c3"), &item, &arena, &err),
        ERR_OK);
    assert_true(item.expires_ms > clock_wall_ms()); /* left behind, but not for ever */
    arena_free(&arena);
}

/* --- items by id ------------------------------------------------------------------------------------------------- */

static void index_item(const char *item, const char *job)
{
    struct store_tx *tx = store_tx_open();
    struct err err = { 0 };
    store_tx_item(tx, STR(OWNER), str_from(item), str_from(job));
    assert_int_equal(store_commit_wait(site.store, tx, &err), ERR_OK);
}

static void assert_item(const char *id, enum err_code want)
{
    struct api a = an_api();
    struct arena arena = { 0 };
    struct err err = { 0 };
    json_t *item;
    assert_int_equal(item_find(&a, &me, str_from(id), &item, &arena, &err), want);
    if (want == ERR_OK)
        assert_string_equal(text_of(item, "id"), id);
    else
        assert_null(item);
    json_decref(item);
    arena_free(&arena);
}

static void items_are_found_wherever_they_lie(void **state)
{
    (void)state;
    put_chain(STORE_COMPLETED);
    put_row(site.store, &(struct row){ .id = "resp_run", .status = STORE_IN_PROGRESS, .events = running });
    put_items("conv_1", 1000, (const char *const[]){ "c1", NULL });
    index_item("o2b", "resp_2");
    index_item("i2", "resp_2");
    index_item("msg_run", "resp_run");
    index_item("lost", "resp_2");
    assert_item("o2b", ERR_OK);
    assert_item("i2", ERR_OK);
    assert_item("msg_run", ERR_OK);
    assert_item("c1", ERR_OK);
    assert_item("lost", ERR_NOT_FOUND);
    assert_item("none", ERR_NOT_FOUND);
}

/* --- chat completions ------------------------------------------------------------------------------------------------ */

static void put_chat(const char *id, const char *model, const char *metadata, const char *messages)
{
    struct buf completion = { 0 };
    struct err err = { 0 };
    json_t *m = json_loads(metadata, 0, NULL), *list = json_loads(messages, 0, NULL);
    struct store_tx *tx = store_tx_open();
    buf_printf(&completion, "{\"id\":\"%s\",\"object\":\"chat.completion\",\"model\":\"%s\",\"choices\":[]}",
               id, model);
    assert_int_equal(stored_chat_tx(tx, &me, buf_str(&completion), list, m, 0, &err), ERR_OK);
    assert_int_equal(store_commit_wait(site.store, tx, &err), ERR_OK);
    json_decref(m);
    json_decref(list);
    buf_free(&completion);
}

/* Every filter and limit beside a plain walk over what was stored. */
static void completions_are_filtered(void **state)
{
    (void)state;
    static const char *const models[] = { "o3", "o3-mini" };
    char id[32], metadata[64], path[256];
    int kinds[230];
    struct rng rng;
    rng_init(&rng, 7, 0);
    for (int i = 0; i < 230; i++) { /* more than are looked at together */
        kinds[i] = (int)rng_below(&rng, 4);
        snprintf(id, sizeof id, "c%d", i);
        snprintf(metadata, sizeof metadata, "{\"k\":\"%d\"}", kinds[i] / 2);
        put_chat(id, models[kinds[i] % 2], metadata, "[]");
    }
    for (int round = 0; round < 60; round++) {
        int after = (int)rng_below(&rng, 230), limit = 1 + (int)rng_below(&rng, 100), found = 0;
        bool by_model = rng_below(&rng, 2), by_key = rng_below(&rng, 2), more = false;
        int model = (int)rng_below(&rng, 2), key = (int)rng_below(&rng, 2);
        struct buf want = { 0 };
        buf_puts(&want, "");
        for (int i = after + 1; i < 230 && !more; i++) {
            if ((by_model && kinds[i] % 2 != model) || (by_key && kinds[i] / 2 != key))
                continue;
            more = found == limit;
            if (!more)
                buf_printf(&want, "%sc%d", found++ ? " " : "", i);
        }
        int n = snprintf(path, sizeof path, "/v1/chat/completions?limit=%d&after=c%d", limit, after);
        if (by_model)
            n += snprintf(path + n, sizeof path - (size_t)n, "&model=%s", models[model]);
        if (by_key)
            snprintf(path + n, sizeof path - (size_t)n, "&metadata%%5Bk%%5D=%d", key);
        assert_list(path, want.len ? want.ptr : "", more);
        buf_free(&want);
    }
    assert_list("/v1/chat/completions?order=desc&limit=2", "c229 c228", true);
}

static void a_completion_is_kept_with_its_messages(void **state)
{
    (void)state;
    put_chat(
        "chatcmpl-1", "o3", "{\"a\":\"b\"}",
        "[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"id\":\"mine\",\"content\":[{\"type\":"
        "\"text\",\"text\":\"t\"}]}]");
    json_t *got = site_json(&site, "GET", "/v1/chat/completions/chatcmpl-1", NULL, 200);
    assert_string_equal(text_of(got, "object"), "chat.completion");
    assert_string_equal(text_of(json_object_get(got, "metadata"), "a"), "b");
    json_decref(got);
    assert_list("/v1/chat/completions/chatcmpl-1/messages", "chatcmpl-1-0 chatcmpl-1-1", false);
    assert_list("/v1/chat/completions/chatcmpl-1/messages?limit=1&order=desc", "chatcmpl-1-1", true);
    got = site_json(&site, "GET", "/v1/chat/completions/chatcmpl-1/messages", NULL, 200);
    const json_t *data = json_object_get(got, "data"), *parts = json_array_get(data, 1);
    assert_string_equal(text_of(json_array_get(data, 0), "content"), "s");
    assert_true(json_is_null(json_object_get(json_array_get(data, 0), "content_parts")));
    assert_true(json_is_null(json_object_get(parts, "content")));
    assert_int_equal(json_array_size(json_object_get(parts, "content_parts")), 1);
    json_decref(got);
}

static void a_completions_metadata_changes(void **state)
{
    (void)state;
    put_chat("chatcmpl-1", "o3", "{\"a\":\"b\"}", "[]");
    json_t *got =
        site_json(&site, "POST", "/v1/chat/completions/chatcmpl-1", "{\"metadata\":{\"c\":\"d\"}}", 200);
    assert_int_equal(json_object_size(json_object_get(got, "metadata")), 1);
    json_decref(got);
    got = site_json(&site, "GET", "/v1/chat/completions/chatcmpl-1", NULL, 200);
    assert_string_equal(text_of(json_object_get(got, "metadata"), "c"), "d");
    json_decref(got);
    got = site_json(&site, "DELETE", "/v1/chat/completions/chatcmpl-1", NULL, 200);
    assert_string_equal(text_of(got, "object"), "chat.completion.deleted");
    json_decref(got);
    assert_refused("GET", "/v1/chat/completions/chatcmpl-1", 404,
                   "Chat completion with id 'chatcmpl-1' not found.");
}

/* --- files --------------------------------------------------------------------------------------------------------------- */

static void a_file_is_found_with_its_name(void **state)
{
    (void)state;
    struct api a = an_api();
    struct access_owner other = { .id = "somebody" };
    struct store_tx *tx = store_tx_open();
    struct arena arena = { 0 };
    struct err err = { 0 };
    struct str name, bytes;
    struct store_object o = {
        .kind = STR("file"), .owner = STR(OWNER), .id = STR("file-1"), .body = STR("{\"filename\":\"a.txt\"}")
    };
    store_tx_object_put(tx, &o);
    o.kind = STR("file.content");
    o.body = (struct str){ "a\0b", 3 };
    store_tx_object_put(tx, &o);
    assert_int_equal(store_commit_wait(site.store, tx, &err), ERR_OK);
    assert_int_equal(file_find(&a, &me, STR("file-1"), &name, &bytes, &arena, &err), ERR_OK);
    assert_true(str_is(name, "a.txt"));
    assert_int_equal(bytes.len, 3);
    assert_memory_equal(bytes.ptr, "a\0b", 3);
    assert_int_equal(file_find(&a, &other, STR("file-1"), &name, &bytes, &arena, &err), ERR_NOT_FOUND);
    assert_string_equal(err.message, "File with id 'file-1' not found.");
    arena_free(&arena);
}

#define STORED(name) cmocka_unit_test_setup_teardown(name, start, end)
static const struct CMUnitTest tests[] = {
    STORED(what_is_over_comes_as_it_is_stored),
    STORED(what_waits_comes_as_its_last_event_shows_it),
    STORED(what_runs_is_its_events_so_far),
    STORED(a_status_is_the_later_word_of_row_and_events),
    STORED(a_deleted_response_is_gone),
    STORED(others_responses_are_not_there),
    STORED(input_holds_what_is_inherited),
    STORED(no_input_is_an_empty_list),
    STORED(a_context_is_inputs_and_outputs_in_turn),
    STORED(what_cannot_be_gone_on_from_says_why),
    STORED(a_chain_is_bounded),
    STORED(a_context_is_bounded),
    STORED(a_full_conversation_takes_no_response),
    STORED(a_response_saw_its_conversation_as_it_was),
    STORED(items_are_found_wherever_they_lie),
    STORED(completions_are_filtered),
    STORED(a_completion_is_kept_with_its_messages),
    STORED(a_completions_metadata_changes),
    STORED(a_file_is_found_with_its_name),
};
TEST_GROUP(api_stored, tests)
