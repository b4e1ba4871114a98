/*
 * openapi.c - the description at /openapi.json says all that the tables say, refers to nothing that is not there, and is JSON.
 */
#include "api/api_impl.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

static int load(void **state)
{
    struct buf text = { 0 };
    struct err err = { 0 };
    json_t *doc = NULL;
    openapi_put(&text);
    if (json_read(&doc, buf_str(&text), &err)) /* strict: a path or a member twice is an error */
        print_message("# %s\n", err.message);
    buf_free(&text);
    *state = doc;
    return doc ? 0 : -1;
}

static int unload(void **state)
{
    json_decref(*state);
    return 0;
}

static const json_t *at(const json_t *v, const char *key)
{
    const json_t *member = json_object_get(v, key);
    if (!member)
        fail_msg("no member '%s'", key);
    return member;
}

static const json_t *schemas(void **state)
{
    return at(at(*state, "components"), "schemas");
}

/* By its title, which is the table's name. */
static const json_t *schema_of(void **state, const char *table)
{
    const char *key;
    json_t *schema;
    json_object_foreach((json_t *)schemas(state), key, schema)
    {
        if (strcmp(json_string_value(json_object_get(schema, "title")), table) == 0)
            return schema;
    }
    fail_msg("no schema for the table %s", table);
    return NULL;
}

static bool holds(const json_t *array, const char *text)
{
    const json_t *v;
    size_t i;
    json_array_foreach((json_t *)array, i, v)
    {
        if (text ? json_is_string(v) && strcmp(json_string_value(v), text) == 0 : json_is_null(v))
            return true;
    }
    return false;
}

static void every_endpoint(void **state)
{
    const struct endpoint *ep;
    for (size_t i = 0; (ep = endpoint_row(i)); i++) {
        char path[256], method[16];
        size_t n = 0;
        for (const char *p = ep->path; *p; p++)
            if (*p != '+')
                path[n++] = *p;
        path[n] = '\0';
        for (n = 0; ep->method[n]; n++)
            method[n] = (char)(ep->method[n] | 0x20);
        method[n] = '\0';
        const json_t *op = at(at(at(*state, "paths"), path), method);
        assert_int_equal(json_array_size(at(op, "security")), ep->flags & EP_KEY ? 2 : 0);
        assert_non_null(at(at(op, "responses"), "200"));
        if (ep->flags & EP_JSON)
            assert_non_null(
                at(at(at(at(at(op, "requestBody"), "content"), "application/json"), "schema"), "$ref"));
        for (size_t q = 0; ep->query && ep->query[q]; q++) {
            const json_t *p;
            size_t k;
            bool seen = false;
            json_array_foreach((json_t *)at(op, "parameters"), k, p) seen |=
                strcmp(json_string_value(at(p, "name")), ep->query[q]) == 0;
            assert_true(seen);
        }
    }
}

static void check_bounds(const struct field *f, const json_t *property)
{
    static const char *const low[] = { [FIELD_INT] = "minimum",
                                       [FIELD_REAL] = "minimum",
                                       [FIELD_STRING] = "minLength",
                                       [FIELD_ARRAY] = "minItems" };
    static const char *const high[] = { [FIELD_INT] = "maximum",
                                        [FIELD_REAL] = "maximum",
                                        [FIELD_STRING] = "maxLength",
                                        [FIELD_ARRAY] = "maxItems" };
    bool bounded =
        f->kind == FIELD_INT || f->kind == FIELD_REAL || f->kind == FIELD_STRING || f->kind == FIELD_ARRAY;
    if (!bounded || (f->min == 0 && f->max == 0))
        return;
    assert_near(f->min, json_number_value(at(property, low[f->kind])), 0);
    if (f->max >= f->min)
        assert_near(f->max, json_number_value(at(property, high[f->kind])), 0);
}

static void every_field(void **state)
{
    const struct field_table *t;
    size_t n = 0;
    for (size_t i = 0; (t = field_table_at(i)); i++) {
        const json_t *schema = schema_of(state, t->name);
        assert_int_equal(json_object_size(at(schema, "properties")), t->n);
        for (size_t k = 0; k < t->n; k++, n++) {
            const struct field *f = &t->rows[k];
            const json_t *property = at(at(schema, "properties"), f->name);
            assert_int_equal(holds(json_object_get(schema, "required"), f->name), f->required);
            for (size_t v = 0; f->kind == FIELD_ENUM && f->values[v]; v++)
                assert_true(holds(at(property, "enum"), f->values[v]));
            check_bounds(f, property);
            assert_int_equal(json_is_true(json_object_get(property, "deprecated")), f->kind == FIELD_UNBUILT);
        }
    }
    const char *table, *name;
    enum field_kind kind;
    assert_true(api_field(n - 1, &table, &name, &kind));
    assert_false(
        api_field(n, &table, &name, &kind)); /* what docs/api.md is checked against is the same list */
}

static void every_error(void **state)
{
    const json_t *object = at(at(schemas(state), "error.object"), "properties");
    for (int code = ERR_OK + 1; code < ERR_COUNT; code++) {
        char name[32];
        snprintf(name, sizeof name, "error_%d", err_status((enum err_code)code));
        const char *why =
            json_string_value(at(at(at(at(*state, "components"), "responses"), name), "description"));
        const char *api = err_api_code((enum err_code)code);
        assert_non_null(strstr(why, api ? api : "null"));
        assert_true(holds(at(at(object, "code"), "enum"), api));
        assert_true(holds(at(at(object, "type"), "enum"), err_type((enum err_code)code)));
    }
}

static void follow(const json_t *root, const json_t *v)
{
    const char *key;
    json_t *member;
    size_t i;
    const char *ref = json_string_value(json_object_get(v, "$ref"));
    if (ref) {
        char section[32], name[128];
        assert_int_equal(2, sscanf(ref, "#/components/%31[a-z]/%127s", section, name));
        assert_non_null(at(at(at(root, "components"), section), name));
    }
    json_array_foreach((json_t *)v, i, member) follow(root, member);
    json_object_foreach((json_t *)v, key, member) follow(root, member);
}

static void every_reference_leads_somewhere(void **state)
{
    follow(*state, *state);
}

/* Nested tables are reached from the fields that hold them, not only listed. */
static void tables_are_nested(void **state)
{
    struct buf text = { 0 };
    json_dump(&text, at(at(schema_of(state, "responses"), "properties"), "input"));
    assert_non_null(strstr(text.ptr, "#/components/schemas/input.item\""));
    assert_non_null(strstr(text.ptr, "#/components/schemas/input.item.reasoning\""));
    buf_clear(&text);
    json_dump(&text, at(at(schema_of(state, "content[] (file)"), "properties"), "file"));
    assert_non_null(strstr(text.ptr, "#/components/schemas/content.item.file.file\""));
    buf_clear(&text);
    json_dump(&text, at(at(schema_of(state, "responses"), "properties"), "reasoning"));
    assert_non_null(strstr(text.ptr, "#/components/schemas/responses.reasoning\""));
    buf_free(&text);
}

/* Readers of OpenAPI refuse other names; that two tables share none is json_read's doing. */
static void components_have_plain_names(void **state)
{
    const char *key;
    json_t *schema;
    json_object_foreach((json_t *)schemas(state), key, schema)
    {
        if (key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")])
            fail_msg("a component is called '%s'", key);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(every_endpoint, load, unload),
    cmocka_unit_test_setup_teardown(every_field, load, unload),
    cmocka_unit_test_setup_teardown(every_error, load, unload),
    cmocka_unit_test_setup_teardown(every_reference_leads_somewhere, load, unload),
    cmocka_unit_test_setup_teardown(tables_are_nested, load, unload),
    cmocka_unit_test_setup_teardown(components_have_plain_names, load, unload),
};
TEST_GROUP(api_openapi, tests)
