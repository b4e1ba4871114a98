/*
 * sse.c - the event-stream reader: rows of streams, each fed whole, byte by byte, and cut at every point.
 */
#include "test.h"

#include "fetch/fetch.h"

#include <string.h>

struct seen {
    struct buf text;
    int stop_after; /* events; 0: never */
    int count;
};

static bool put(void *ctx, struct str event, struct str data)
{
    struct seen *seen = ctx;
    buf_printf(&seen->text, "[%.*s|%.*s]", STR_ARG(event), STR_ARG(data));
    return ++seen->count != seen->stop_after;
}

static const struct {
    const char *stream, *events;
} rows[] = {
    { "data: a\n\n", "[message|a]" },
    { "event: e\ndata: a\n\ndata: b\n\n", "[e|a][message|b]" },
    { "data: a\r\n\r\ndata: b\r\rdata: c\n\n", "[message|a][message|b][message|c]" },
    { "data: a\rdata: b\r\n\n", "[message|a\nb]" },
    { "data:a\ndata:  b\ndata\ndata:\n\n", "[message|a\n b\n\n]" },
    { ": comment\n: ping\n\ndata: x\n\n", "[message|x]" },
    { "event: lost\n\ndata: x\n\n", "[message|x]" },
    { "event: one\nevent: two\ndata: x\n\n", "[two|x]" },
    { "event\nevent:\ndata: x\n\n", "[message|x]" },
    { "id: 1\nretry: 5\nunknown: z\n data: not\ndata: x\n\n", "[message|x]" },
    { "data\n\n", "[message|]" },
    { "data: never ended\n", "" },
    { "data: half\n\ndata: never", "[message|half]" },
    { "\xef\xbb\xbf"
      "data: bom\n\n",
      "[message|bom]" },
    { "data: a\n\n\xef\xbb\xbf"
      "data: not again\n\n",
      "[message|a]" },
    { "data: a:b: c\n\n", "[message|a:b: c]" },
    { "\n\n\r\n\rdata: x\n\n\n", "[message|x]" },
    { "data: \xc3\xa9\n\n", "[message|\xc3\xa9]" },
    { "", "" },
};

static void feed_in_pieces(size_t row, size_t first, size_t step)
{
    struct seen seen = { 0 };
    struct sse_reader r = { 0 };
    struct fetch_events events = { put, &seen };
    struct str rest = str_from(rows[row].stream);
    for (size_t size = first; rest.len; size = step) {
        size_t len = size < rest.len ? size : rest.len;
        char *piece = mem_strndup(rest.ptr, len); /* its own block, so that reading past it shows */
        assert_true(sse_reader_feed(&r, (struct str){ piece, len }, events, NULL));
        mem_free(piece);
        rest = str_slice(rest, len, rest.len);
    }
    if (strcmp(seen.text.len ? seen.text.ptr : "", rows[row].events))
        fail_msg("row %zu by %zu, %zu: %s", row, first, step, seen.text.len ? seen.text.ptr : "(nothing)");
    sse_reader_free(&r);
    buf_free(&seen.text);
}

static void reads_streams_cut_anywhere(void **state)
{
    (void)state;
    for (size_t row = 0; row < ARRAY_LEN(rows); row++) {
        feed_in_pieces(row, 1, 1);
        for (size_t first = 1; first <= strlen(rows[row].stream) + 1; first++)
            feed_in_pieces(row, first, SIZE_MAX);
    }
}

static void the_sink_ends_it(void **state)
{
    (void)state;
    struct seen seen = { .stop_after = 2 };
    struct sse_reader r = { 0 };
    struct err err = { 0 };
    assert_false(sse_reader_feed(&r, STR("data: 1\n\ndata: 2\n\ndata: 3\n\n"),
                                 (struct fetch_events){ put, &seen }, &err));
    assert_int_equal(err.code, ERR_OK);
    assert_string_equal(seen.text.ptr, "[message|1][message|2]");
    sse_reader_free(&r);
    buf_free(&seen.text);
}

static void events_are_bounded(void **state)
{
    (void)state;
    static const char *const streams[] = {
        "data: 0123456789\n\n",                                 /* one line */
        "data: 01\ndata: 01\ndata: 01\ndata: 01\ndata: 01\n\n", /* lines that gather */
        ": 0123456789012345",                                   /* a comment that never ends */
    };
    for (size_t i = 0; i < ARRAY_LEN(streams); i++)
        for (size_t step = 1; step < 100; step += 98) {
            struct seen seen = { 0 };
            struct sse_reader r = { .bytes_max = 12 };
            struct err err = { 0 };
            bool ok = true;
            for (struct str rest = str_from(streams[i]); rest.len && ok;
                 rest = str_slice(rest, step, rest.len))
                ok = sse_reader_feed(&r, str_slice(rest, 0, step), (struct fetch_events){ put, &seen }, &err);
            assert_false(ok);
            assert_int_equal(err.code, ERR_NETWORK);
            assert_int_equal(seen.count, 0);
            sse_reader_free(&r);
        }
    struct seen seen = { 0 };
    struct sse_reader r = { .bytes_max = 12 };
    for (int i = 0; i < 100; i++) /* the bound is on one event */
        assert_true(sse_reader_feed(&r, STR("data: 012345\n\n"), (struct fetch_events){ put, &seen }, NULL));
    assert_int_equal(seen.count, 100);
    sse_reader_free(&r);
    buf_free(&seen.text);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(reads_streams_cut_anywhere),
    cmocka_unit_test(the_sink_ends_it),
    cmocka_unit_test(events_are_bounded),
};
TEST_GROUP(fetch_sse, tests)
