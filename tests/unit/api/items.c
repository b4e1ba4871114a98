/*
 * items.c - items as they are kept: what is filled in, what stays as it was, what is refused by name.
 */
#include "api/api_impl.h"
#include "test.h"

#include "base/clock.h"

#include <string.h>

#define HEX_DIGITS 48

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *v = json_loads(text, JSON_DECODE_ANY, &error);
    if (!v)
        fail_msg("%s: %s", error.text, text);
    return v;
}

/* An id that was made: its prefix and 48 hex digits. Takes it off, so that the rest can be compared. */
static void take_made_id(json_t *item, const char *prefix)
{
    const char *id = json_string_value(json_object_get(item, "id"));
    assert_non_null(id);
    if (strncmp(id, prefix, strlen(prefix)) != 0)
        fail_msg("%s does not begin with %s", id, prefix);
    assert_int_equal(strspn(id + strlen(prefix), "0123456789abcdef"), HEX_DIGITS);
    assert_int_equal(strlen(id), strlen(prefix) + HEX_DIGITS);
    json_object_del(item, "id");
}

#define OUT_TEXT(t) "{\"type\":\"output_text\",\"text\":\"" t "\",\"annotations\":[],\"logprobs\":[]}"

/* prefix: of the id that is made; NULL: it was sent. */
static const struct normal {
    const char *sent, *prefix, *kept;
} normals[] = {
    { "{\"role\":\"user\",\"content\":\"hi\"}", "msg_",
      "{\"type\":\"message\",\"status\":\"completed\",\"role\":\"user\","
      "\"content\":[{\"type\":\"input_text\",\"text\":\"hi\"}]}" },
    { "{\"role\":\"assistant\",\"content\":\"hi\",\"id\":\"msg_own\",\"phase\":\"commentary\"}", NULL,
      "{\"type\":\"message\",\"id\":\"msg_own\",\"status\":\"completed\",\"role\":\"assistant\","
      "\"content\":[" OUT_TEXT("hi") "],\"phase\":\"commentary\"}" },
    { "{\"type\":\"message\",\"role\":\"developer\",\"status\":\"incomplete\",\"phase\":null,"
      "\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"input_text\",\"text\":\"b\"}]}",
      "msg_",
      "{\"type\":\"message\",\"status\":\"incomplete\",\"role\":\"developer\","
      "\"content\":[{\"type\":\"input_text\",\"text\":\"a\"},{\"type\":\"input_text\",\"text\":\"b\"}]}" },
    { "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"refusal\","
      "\"refusal\":\"no\"}]}",
      "msg_",
      "{\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[" OUT_TEXT(
          "a") ",{\"type\":\"refusal\",\"refusal\":\"no\"}]}" },
    { "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:x\",\"detail\":"
      "\"low\"}},{\"type\":\"input_image\",\"file_id\":\"file-1\"}]}",
      "msg_",
      "{\"type\":\"message\",\"status\":\"completed\",\"role\":\"user\",\"content\":[{\"type\":"
      "\"input_image\",\"detail\":\"low\",\"image_url\":\"data:x\"},{\"type\":\"input_image\",\"detail\":"
      "\"auto\",\"file_id\":\"file-1\"}]}" },
    { "{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"file_data\":\"QQ==\",\"filename\":"
      "\"a.txt\"}},{\"type\":\"input_file\",\"file_url\":\"http://x/\"}]}",
      "msg_",
      "{\"type\":\"message\",\"status\":\"completed\",\"role\":\"user\",\"content\":[{\"type\":"
      "\"input_file\",\"file_data\":\"QQ==\",\"filename\":\"a.txt\"},{\"type\":\"input_file\",\"file_url\":"
      "\"http://x/\"}]}" },
    { "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{}\"}", "fc_",
      "{\"type\":\"function_call\",\"status\":\"completed\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":"
      "\"{}\"}" },
    { "{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"42\"}", "fco_",
      "{\"type\":\"function_call_output\",\"status\":\"completed\",\"call_id\":\"c\",\"output\":\"42\"}" },
    { "{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":[{\"type\":\"text\",\"text\":\"x\"}]}",
      "fco_",
      "{\"type\":\"function_call_output\",\"status\":\"completed\",\"call_id\":\"c\",\"output\":[{\"type\":"
      "\"input_text\",\"text\":\"x\"}]}" },
    { "{\"type\":\"custom_tool_call\",\"call_id\":\"c\",\"name\":\"f\",\"input\":\"i\"}", "ctc_",
      "{\"type\":\"custom_tool_call\",\"status\":\"completed\",\"call_id\":\"c\",\"name\":\"f\",\"input\":"
      "\"i\"}" },
    { "{\"type\":\"custom_tool_call_output\",\"call_id\":\"c\",\"output\":\"o\"}", "ctco_",
      "{\"type\":\"custom_tool_call_output\",\"status\":\"completed\",\"call_id\":\"c\",\"output\":\"o\"}" },
    { "{\"type\":\"reasoning\",\"content\":null,\"encrypted_content\":\"gA\"}", "rs_",
      "{\"type\":\"reasoning\",\"status\":\"completed\",\"encrypted_content\":\"gA\",\"summary\":[]}" },
    { "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"s\"}]}",
      NULL,
      "{\"type\":\"reasoning\",\"id\":\"rs_1\",\"status\":\"completed\",\"summary\":[{\"type\":\"summary_"
      "text\",\"text\":\"s\"}]}" },
    { "{\"type\":\"compaction\",\"encrypted_content\":\"gA\"}", "cmp_",
      "{\"type\":\"compaction\",\"status\":\"completed\",\"encrypted_content\":\"gA\"}" },
    { "{\"id\":\"rs_9\"}", NULL, "{\"type\":\"item_reference\",\"id\":\"rs_9\"}" },
    { "{\"type\":null,\"id\":\"rs_9\"}", NULL, "{\"type\":\"item_reference\",\"id\":\"rs_9\"}" },
    { "{\"type\":\"web_search_call\",\"status\":\"completed\",\"action\":{\"type\":\"search\"},\"x\":null}",
      "ws_", "{\"type\":\"web_search_call\",\"status\":\"completed\",\"action\":{\"type\":\"search\"}}" },
};

static void members_are_filled_in(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(normals); i++) {
        const struct normal *n = &normals[i];
        struct arena arena = { 0 };
        struct err err;
        json_t *sent = parse(n->sent), *want = parse(n->kept), *got, *again;
        if (item_normalise(&got, sent, "input[0]", &arena, &err))
            fail_msg("%s: %s", n->sent, err.message);
        assert_int_equal(item_normalise(&again, got, "input[0]", &arena, &err), ERR_OK);
        assert_true(json_equal(got, again)); /* what is kept is kept as it is */
        if (n->prefix)
            take_made_id(got, n->prefix);
        if (!json_equal(got, want))
            fail_msg("%s became %s", n->sent, json_dumps(got, JSON_COMPACT));
        json_decref(sent);
        json_decref(want);
        json_decref(got);
        json_decref(again);
        arena_free(&arena);
    }
}

static const struct refused {
    const char *sent, *param;
    enum err_code code;
} refusals[] = {
    { "7", "input[0]", ERR_INVALID_TYPE },
    { "{\"type\":7}", "input[0].type", ERR_INVALID_TYPE },
    { "{\"type\":\"massage\"}", "input[0].type", ERR_INVALID_VALUE },
    { "{\"content\":\"x\"}", "input[0].role", ERR_MISSING_PARAMETER },
    { "{\"role\":\"user\"}", "input[0].content", ERR_MISSING_PARAMETER },
    { "{\"role\":\"tool\",\"content\":\"x\"}", "input[0].role", ERR_INVALID_VALUE },
    { "{\"role\":\"user\",\"content\":7}", "input[0].content", ERR_INVALID_TYPE },
    { "{\"role\":\"user\",\"content\":\"x\",\"contents\":1}", "input[0].contents", ERR_UNKNOWN_PARAMETER },
    { "{\"role\":\"user\",\"content\":\"x\",\"status\":\"done\"}", "input[0].status", ERR_INVALID_VALUE },
    { "{\"role\":\"user\",\"content\":\"x\",\"id\":\"\"}", "input[0].id", ERR_STRING_TOO_SHORT },
    { "{\"role\":\"user\",\"content\":[7]}", "input[0].content[0]", ERR_INVALID_TYPE },
    { "{\"role\":\"user\",\"content\":[{\"text\":\"x\"}]}", "input[0].content[0].type",
      ERR_MISSING_PARAMETER },
    { "{\"role\":\"user\",\"content\":[{\"type\":\"input_text\"}]}", "input[0].content[0].text",
      ERR_MISSING_PARAMETER },
    { "{\"role\":\"user\",\"content\":[{\"type\":\"input_video\"}]}", "input[0].content[0].type",
      ERR_INVALID_VALUE },
    { "{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\"}]}", "input[0].content[0].type",
      ERR_UNSUPPORTED_VALUE },
    { "{\"role\":\"user\",\"content\":[{\"type\":\"input_image\"}]}", "input[0].content[0].image_url",
      ERR_MISSING_PARAMETER },
    { "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":7}}]}",
      "input[0].content[0].image_url.url", ERR_INVALID_TYPE },
    { "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\",\"detail\":"
      "\"hi\"}}]}",
      "input[0].content[0].image_url.detail", ERR_INVALID_VALUE },
    { "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"detail\":\"low\",\"image_url\":{\"url\":"
      "\"x\"}}]}",
      "input[0].content[0].detail", ERR_INVALID_VALUE },
    { "{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"x\",\"text\":\"t\"}]}",
      "input[0].content[0].text", ERR_UNKNOWN_PARAMETER },
    { "{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"file_id\":\"f\",\"filename\":true}}]}",
      "input[0].content[0].file.filename", ERR_INVALID_TYPE },
    { "{\"role\":\"user\",\"content\":[{\"type\":\"file\",\"file\":{\"file_id\":\"f\",\"fil\":\"l\"}}]}",
      "input[0].content[0].file.fil", ERR_UNKNOWN_PARAMETER },
    { "{\"role\":\"user\",\"content\":[{\"type\":\"input_file\"}]}", "input[0].content[0].file_id",
      ERR_MISSING_PARAMETER },
    { "{\"type\":\"function_call\",\"name\":\"f\",\"arguments\":\"\"}", "input[0].call_id",
      ERR_MISSING_PARAMETER },
    { "{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":7}", "input[0].output",
      ERR_INVALID_TYPE },
    { "{\"type\":\"compaction\"}", "input[0].encrypted_content", ERR_MISSING_PARAMETER },
    { "{\"type\":\"item_reference\"}", "input[0].id", ERR_MISSING_PARAMETER },
    { "{\"type\":\"mcp_call\",\"id\":7}", "input[0].id", ERR_INVALID_TYPE },
};

static void wrong_items_are_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct arena arena = { 0 };
        struct err err = { 0 };
        json_t *sent = parse(refusals[i].sent), *got;
        enum err_code code = item_normalise(&got, sent, "input[0]", &arena, &err);
        if (code != refusals[i].code || strcmp(err.param, refusals[i].param) != 0)
            fail_msg("%s: %s at %s", refusals[i].sent, err_name(code), err.param);
        assert_null(got);
        json_decref(sent);
        arena_free(&arena);
    }
}

static void a_string_is_one_message(void **state)
{
    struct arena arena = { 0 };
    struct err err;
    json_t *sent = json_string("hi"), *got;
    (void)state;
    assert_int_equal(items_normalise(&got, sent, "input", &arena, &err), ERR_OK);
    assert_int_equal(json_array_size(got), 1);
    const json_t *part = json_array_get(json_object_get(json_array_get(got, 0), "content"), 0);
    assert_string_equal(json_string_value(json_object_get(part, "text")), "hi");
    json_decref(got);
    json_decref(sent);
    sent = parse("[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\"}]");
    assert_int_equal(items_normalise(&got, sent, "input", &arena, &err), ERR_MISSING_PARAMETER);
    assert_string_equal(err.param, "input[1].content");
    assert_null(got);
    json_decref(sent);
    sent = json_integer(7);
    assert_int_equal(items_normalise(&got, sent, "input", &arena, &err), ERR_INVALID_TYPE);
    json_decref(sent);
    arena_free(&arena);
}

/* What the store's indexes count on: an id of a later millisecond stands behind all earlier ones. */
static void later_ids_stand_behind_earlier_ones(void **state)
{
    char first[ID_SIZE], second[ID_SIZE], other[ID_SIZE];
    int64_t now = clock_wall_ms();
    (void)state;
    id_make(first, "msg_");
    id_make(other, "msg_");
    while (clock_wall_ms() <= now + 1)
        ;
    id_make(second, "msg_");
    assert_int_equal(strlen(first), 4 + ID_HEX_DIGITS);
    assert_int_equal(strspn(first + 4, "0123456789abcdef"), ID_HEX_DIGITS);
    assert_true(strcmp(first, second) < 0 && strcmp(other, second) < 0);
    assert_string_not_equal(first, other);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(later_ids_stand_behind_earlier_ones),
    cmocka_unit_test(members_are_filled_in),
    cmocka_unit_test(wrong_items_are_refused_by_name),
    cmocka_unit_test(a_string_is_one_message),
};
TEST_GROUP(api_items, tests)
