/*
 * detok.c - streaming: characters that come in pieces, and stop strings that do.
 */
#include "test.h"

#include "base/arena.h"
#include "base/rng.h"
#include "text/text.h"

#include <string.h>

/* An SPM vocabulary of the 256 bytes and a few words; id of byte b is b. */
static struct tokenizer *byte_tokenizer(bool space_prefix)
{
    struct arena arena = { 0 };
    struct str tokens[260];
    float scores[260] = { 0 };
    int32_t types[260];
    for (int i = 0; i < 256; i++) {
        tokens[i] = str_from(arena_printf(&arena, "<0x%02X>", (unsigned)i));
        types[i] = TOKEN_BYTE;
    }
    static const char *const words[] = { "\xE2\x96\x81hi", "</s>", "\xE2\x96\x81", "x" };
    for (int i = 0; i < 4; i++) {
        tokens[256 + i] = str_from(words[i]);
        types[256 + i] = i == 1 ? TOKEN_CONTROL : TOKEN_NORMAL;
    }
    struct vocabulary v = { .model = STR("llama"),
                            .tokens = tokens,
                            .scores = scores,
                            .types = types,
                            .n_tokens = 260,
                            .bos = -1,
                            .eos = 257,
                            .eot = -1,
                            .unk = -1,
                            .pad = -1,
                            .add_space_prefix = space_prefix };
    struct tokenizer *t = NULL;
    struct err err = { 0 };
    assert_int_equal(tokenizer_open(&t, &v, &err), ERR_OK);
    arena_free(&arena);
    return t;
}

static void characters_come_whole(void **state)
{
    (void)state;
    static const struct {
        const char *bytes; /* one token each */
        const char *shown; /* after each token '|' */
        const char *end;
    } rows[] = {
        { "ab", "a|b|", "" },
        { "\xC3\xA9", "|\xC3\xA9|", "" },
        { "\xF0\x9F\x98\x81", "|||\xF0\x9F\x98\x81|", "" },
        { "\x80z", "\xEF\xBF\xBD|z|", "" },
        { "\xC3z", "|\xEF\xBF\xBDz|", "" },
        { "\xE6\x88z", "||\xEF\xBF\xBDz|", "" },
        { "\xC0\x80", "\xEF\xBF\xBD|\xEF\xBF\xBD|", "" },
        { "\xED\xA0\x80", "|\xEF\xBF\xBD\xEF\xBF\xBD|\xEF\xBF\xBD|", "" },
        { "\xFF", "\xEF\xBF\xBD|", "" },
        { "a\xE6\x88", "a|||", "\xEF\xBF\xBD" },
        { "\xF0\x9F\xC3\xA9", "||\xEF\xBF\xBD|\xC3\xA9|", "" },
    };
    struct tokenizer *t = byte_tokenizer(false);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct detok d = { 0 };
        struct buf out = { 0 }, end = { 0 };
        for (const char *c = rows[i].bytes; *c; c++) {
            detok_put(&d, t, (unsigned char)*c, &out);
            buf_putc(&out, '|');
        }
        detok_end(&d, &end);
        if (!str_is(buf_str(&out), rows[i].shown) || !str_is(buf_str(&end), rows[i].end))
            fail_msg("row %zu: \"%.*s\" \"%.*s\"", i, STR_ARG(buf_str(&out)), STR_ARG(buf_str(&end)));
        buf_free(&out);
        buf_free(&end);
        detok_free(&d);
    }
    tokenizer_close(t);
}

/* Any bytes, cut anywhere: valid UTF-8 comes out, and valid input comes out as it is. */
static void output_is_always_utf8(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 11, 0);
    struct tokenizer *t = byte_tokenizer(false);
    for (int round = 0; round < 3000; round++) {
        struct buf in = { 0 }, out = { 0 };
        struct detok d = { 0 };
        for (uint64_t n = rng_below(&rng, 12), i = 0; i < n; i++)
            if (rng_below(&rng, 2)) {
                char utf8[4];
                buf_put(&in, utf8, utf8_encode((uint32_t)rng_below(&rng, 0x11000), utf8));
            } else if (round % 2) {
                buf_putc(&in, (char)rng_below(&rng, 256));
            }
        for (size_t i = 0; i < in.len; i++)
            detok_put(&d, t, (unsigned char)in.ptr[i], &out);
        detok_end(&d, &out);
        assert_true(utf8_valid(buf_str(&out)));
        if (utf8_valid(buf_str(&in)))
            assert_true(str_eq(buf_str(&in), buf_str(&out)));
        detok_free(&d);
        buf_free(&in);
        buf_free(&out);
    }
    tokenizer_close(t);
}

static void first_blank_is_the_prefix(void **state)
{
    (void)state;
    for (int prefix = 0; prefix < 2; prefix++) {
        struct tokenizer *t = byte_tokenizer(prefix);
        struct detok d = { 0 };
        struct buf out = { 0 };
        static const int32_t ids[] = { 257, 256, 256, 259, -1, 100000 };
        for (size_t i = 0; i < ARRAY_LEN(ids); i++)
            detok_put(&d, t, ids[i], &out);
        assert_string_equal(out.ptr, prefix ? "hi hix" : " hi hix");
        detok_free(&d);
        buf_free(&out);
        tokenizer_close(t);
    }
}

static void stops_are_held_back(void **state)
{
    (void)state;
    static const struct str stops[] = { { "END", 3 }, { "\n\n", 2 }, { "</a>", 4 } };
    static const struct {
        const char *pieces; /* '|' between two */
        const char *shown;  /* after each piece '|' */
        bool found;
        const char *end;
    } rows[] = {
        { "abc", "abc|", false, "" },      { "abEND", "ab|", true, "" },
        { "abE|N|D!", "ab|||", true, "" }, { "abE|N|X", "ab||ENX|", false, "" },
        { "EEN|D", "E||", true, "" },      { "a\n|b", "a|\nb|", false, "" },
        { "a\n|\nEND", "a||", true, "" },  { "x<|/|a", "x|||", false, "</a" },
        { "END", "|", true, "" },          { "</a>END", "|", true, "" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct stop_scan s = { .stops = stops, .n_stops = ARRAY_LEN(stops) };
        struct buf out = { 0 }, end = { 0 };
        bool found = false;
        for (struct str rest = str_from(rows[i].pieces); rest.len;) {
            size_t bar = str_find(rest, STR("|"));
            found = stop_scan_put(&s, str_slice(rest, 0, bar), &out);
            buf_putc(&out, '|');
            rest = bar == SIZE_MAX ? STR("") : str_slice(rest, bar + 1, rest.len);
        }
        stop_scan_end(&s, &end);
        if (found != rows[i].found || !str_is(buf_str(&out), rows[i].shown) ||
            !str_is(buf_str(&end), rows[i].end))
            fail_msg("row %zu: \"%.*s\" \"%.*s\"", i, STR_ARG(buf_str(&out)), STR_ARG(buf_str(&end)));
        stop_scan_free(&s);
        buf_free(&out);
        buf_free(&end);
    }
}

/* However the text is cut into pieces, what is shown is what a search in the whole text says. */
static void stops_do_not_depend_on_pieces(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 12, 0);
    static const struct str stops[] = { { "aab", 3 }, { "abba", 4 }, { "", 0 } };
    for (int round = 0; round < 5000; round++) {
        char text[24];
        size_t len = rng_below(&rng, sizeof text), want = len;
        for (size_t i = 0; i < len; i++)
            text[i] = "ab"[rng_below(&rng, 2)];
        struct str whole = { text, len };
        for (size_t i = 0; i < 2; i++)
            if (str_find(whole, stops[i]) < want)
                want = str_find(whole, stops[i]);
        struct stop_scan s = { .stops = stops, .n_stops = 3 };
        struct buf out = { 0 };
        bool found = false;
        for (size_t at = 0; at < len && !found;) {
            size_t n = 1 + rng_below(&rng, 4);
            found = stop_scan_put(&s, str_slice(whole, at, at + n), &out);
            at += n;
        }
        if (!found)
            stop_scan_end(&s, &out);
        /* The earliest to be complete wins, which may start later than one completed after it. */
        assert_true(found == (want < len) && str_eq(buf_str(&out), str_slice(whole, 0, out.len)));
        if (!found || out.len != want)
            assert_true(found ? out.len >= want : out.len == len);
        stop_scan_free(&s);
        buf_free(&out);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(characters_come_whole),         cmocka_unit_test(output_is_always_utf8),
    cmocka_unit_test(first_blank_is_the_prefix),     cmocka_unit_test(stops_are_held_back),
    cmocka_unit_test(stops_do_not_depend_on_pieces),
};
TEST_GROUP(text_detok, tests)
