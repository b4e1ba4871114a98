/*
 * items.c - any JSON as input items: they are kept in one form, or refused by name.
 *
 * What is kept has a type and an id, and is kept as it is when it comes again. A refusal names a place and is valid
 * UTF-8, whatever the caller's bytes were.
 */
#include "api/api_impl.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const json_t *items)
{
    struct arena arena = { 0 };
    struct err err = { 0 };
    json_t *again;
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        assert(json_is_string(json_object_get(item, "type")) && json_is_string(json_object_get(item, "id")));
    }
    enum err_code code = items_normalise(&again, items, "input", &arena, &err);
    assert(!code && json_equal(items, again));
    json_decref(again);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = { 0 };
    struct err err = { 0 };
    json_t *doc, *items = NULL;
    if (json_read(&doc, (struct str){ (const char *)data, size }, &err))
        return 0;
    if (items_normalise(&items, doc, "input", &arena, &err))
        assert(err.param[0] && utf8_valid(str_from(err.param)) && utf8_valid(str_from(err.message)));
    else if (json_is_array(doc)) /* a string is one item only the first time */
        check(items);
    json_decref(items);
    json_decref(doc);
    arena_free(&arena);
    return 0;
}
