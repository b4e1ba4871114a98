/*
 * models.c - a key that may use some models: what it is told about the others, on every endpoint that takes a model.
 */
#include "site.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static struct site site;
static char header[128];

static int set_up(void **state)
{
    static const char *const options[] = { "--models-without-key", NULL };
    struct access_key key = { .name = "some", .models = "o3-mini,openai/o3-2025-04-16" };
    char secret[ACCESS_SECRET_CHARS + 1];
    struct err err;
    (void)state;
    site_open(&site, options, NULL);
    if (access_key_create(site.store, &key, secret, &err))
        return -1;
    snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", secret);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    site_close(&site);
    return 0;
}

static void assert_status(const char *method, const char *path, const char *body, int status)
{
    struct site_reply r = site_ask(&site, method, path, header, body);
    if (r.status != status)
        fail_msg("%s %s %s: %d, not %d: %s", method, path, body ? body : "", r.status, status, r.body.ptr);
    const json_t *error = json_object_get(r.json, "error");
    if (status == 404)
        assert_string_equal(json_string_value(json_object_get(error, "code")), "model_not_found");
    site_reply_free(&r);
}

static void other_models_are_not_there(void **state)
{
    static const struct {
        const char *path, *rest;
    } endpoints[] = { { "/v1/responses", "\"input\":\"hi\"" },
                      { "/v1/responses", "\"input\":\"hi\",\"background\":true" },
                      { "/v1/responses/compact", "\"input\":\"hi\"" },
                      { "/v1/responses/input_tokens", "\"input\":\"hi\"" },
                      { "/v1/chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" },
                      { "/v1/completions", "\"prompt\":\"hi\"" } };
    static const struct {
        const char *name;
        int status;
    } models[] = {
        { "o3", 200 }, { "o4-mini", 200 }, { "thinkd", 200 }, { "auto", 404 }, { "thinkd-auto", 404 }
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++)
        for (size_t k = 0; k < ARRAY_LEN(models); k++) {
            char body[256];
            snprintf(body, sizeof body, "{\"model\":\"%s\",%s}", models[k].name, endpoints[i].rest);
            assert_status("POST", endpoints[i].path, body, models[k].status);
        }
    assert_status("POST", "/v1/responses", "{\"model\":\"o3-pro\",\"input\":\"hi\"}", 404);
    assert_status("POST", "/v1/responses",
                  "{\"model\":\"o3\",\"input\":\"hi\",\"reasoning\":{\"mode\":\"pro\"}}", 404);
    assert_status("GET", "/v1/models/o3", NULL, 200);
    assert_status("GET", "/v1/models/o3-pro", NULL, 404);
    assert_status("GET", "/model/o3", NULL, 200);
    assert_status("GET", "/model/o3-pro", NULL, 404);
}

static size_t listed(const char *headers, const char *name)
{
    struct site_reply r = site_ask(&site, "GET", "/v1/models", headers, NULL);
    assert_int_equal(r.status, 200);
    const json_t *data = json_object_get(r.json, "data");
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(data); i++)
        n += str_is(json_str(json_object_get(json_array_get(data, i), "id")), name);
    site_reply_free(&r);
    return n;
}

static void the_list_is_the_keys_own(void **state)
{
    (void)state;
    assert_int_equal(listed(header, "o3-mini"), 1);
    assert_int_equal(listed(header, "openai/o3"), 1);
    assert_int_equal(listed(header, "o3-pro"), 0);
    assert_int_equal(listed(NULL, "o3-pro"), 1); /* to a caller without a key, as the option says */
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(other_models_are_not_there, set_up, tear_down),
    cmocka_unit_test_setup_teardown(the_list_is_the_keys_own, set_up, tear_down),
};
TEST_GROUP(api_models, tests)
