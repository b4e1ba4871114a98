/*
 * paging.c - a page of a list beside the plain way to find it, over every list, cursor and limit that is small.
 */
#include "api/api_impl.h"
#include "test.h"

#include <stdio.h>

#define LEN_MAX 6

static void name_of(char out[16], size_t i)
{
    snprintf(out, 16, "it_%d", (int)i);
}

static json_t *list_of(size_t n)
{
    json_t *items = json_array();
    char id[16];
    for (size_t i = 0; i < n; i++) {
        name_of(id, i);
        json_array_append_new(items, json_pack("{s:s}", "id", id));
    }
    return items;
}

/* Walks the list entry by entry, as the caller would: seen counts those between the cursors. */
struct naive {
    size_t ids[LEN_MAX], n;
    bool more;
};
static struct naive naive_page(size_t len, size_t limit, bool descending, size_t after, size_t before)
{
    struct naive out = { .n = 0 };
    size_t between[LEN_MAX], n = 0;
    bool open = after == SIZE_MAX;
    for (size_t step = 0; step < len; step++) {
        size_t i = descending ? len - 1 - step : step;
        if (i == before)
            break;
        if (open)
            between[n++] = i;
        open |= i == after;
    }
    bool last_ones = before != SIZE_MAX && after == SIZE_MAX;
    out.more = n > limit;
    for (size_t k = 0; k < n; k++)
        if (last_ones ? n - k <= limit : k < limit)
            out.ids[out.n++] = between[k];
    return out;
}

static void check(const json_t *items, size_t limit, bool descending, size_t after, size_t before)
{
    char a[16] = "", b[16] = "", id[16];
    struct err err;
    json_t *got;
    bool more;
    if (after != SIZE_MAX)
        name_of(a, after);
    if (before != SIZE_MAX)
        name_of(b, before);
    struct page page = {
        .limit = limit, .descending = descending, .after = str_from(a), .before = str_from(b)
    };
    struct naive want = naive_page(json_array_size(items), limit, descending, after, before);
    assert_int_equal(page_cut(&got, items, &page, &more, &err), ERR_OK);
    assert_int_equal(json_array_size(got), want.n);
    assert_int_equal(more, want.more);
    for (size_t i = 0; i < want.n; i++) {
        name_of(id, want.ids[i]);
        assert_string_equal(json_string_value(json_object_get(json_array_get(got, i), "id")), id);
    }
    json_decref(got);
}

/* Index n stands for no cursor. */
static size_t cursor(size_t i, size_t n)
{
    return i < n ? i : SIZE_MAX;
}

static void pages_are_what_a_walk_finds(void **state)
{
    (void)state;
    for (size_t n = 0; n <= LEN_MAX; n++) {
        json_t *items = list_of(n);
        for (size_t limit = 1; limit <= n + 1; limit++)
            for (size_t after = 0; after <= n; after++)
                for (size_t before = 0; before <= n; before++) {
                    check(items, limit, false, cursor(after, n), cursor(before, n));
                    check(items, limit, true, cursor(after, n), cursor(before, n));
                }
        json_decref(items);
    }
}

static void pages_join_to_the_list(void **state)
{
    json_t *items = list_of(LEN_MAX), *got;
    struct page page = { .limit = 4 };
    struct err err;
    bool more;
    (void)state;
    assert_int_equal(page_cut(&got, items, &page, &more, &err), ERR_OK);
    assert_true(more);
    page.after = STR("it_3");
    json_decref(got);
    assert_int_equal(page_cut(&got, items, &page, &more, &err), ERR_OK);
    assert_int_equal(json_array_size(got), 2);
    assert_false(more);
    json_decref(got);
    json_decref(items);
}

static void a_cursor_of_another_list_is_refused(void **state)
{
    json_t *items = list_of(2), *got = NULL;
    struct err err;
    bool more;
    (void)state;
    struct page after = { .limit = 1, .after = STR("it_7") }, before = { .limit = 1, .before = STR("x") };
    assert_int_equal(page_cut(&got, items, &after, &more, &err), ERR_INVALID_VALUE);
    assert_string_equal(err.param, "after");
    assert_int_equal(page_cut(&got, items, &before, &more, &err), ERR_INVALID_VALUE);
    assert_string_equal(err.param, "before");
    json_decref(items);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(pages_are_what_a_walk_finds),
    cmocka_unit_test(pages_join_to_the_list),
    cmocka_unit_test(a_cursor_of_another_list_is_refused),
};
TEST_GROUP(api_paging, tests)
