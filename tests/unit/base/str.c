/*
 * str.c - views, numbers, and UTF-8 against a decoder written from the standard's table.
 */
#include "base/str.h"
#include "base/rng.h"
#include "test.h"

#include <math.h>
#include <string.h>

static void views(void **state)
{
    (void)state;
    struct str s = STR("  a b\t\n");
    assert_true(str_is(str_trim(s), "a b"));
    assert_true(str_is(str_trim_start(s), "a b\t\n"));
    assert_true(str_is(str_trim_end(s), "  a b"));
    assert_true(str_is(str_trim(STR(" \v\f\r ")), ""));
    assert_true(str_is(str_slice(s, 2, 5), "a b"));
    assert_true(str_is(str_slice(s, 5, 100), "\t\n"));
    assert_true(str_is(str_slice(s, 100, 200), ""));
    assert_true(str_is(str_slice(s, 4, 2), ""));
    assert_true(str_is(str_from(NULL), ""));
    assert_true(str_eq((struct str){ NULL, 0 }, STR("")));
    assert_int_equal(str_slice((struct str){ NULL, 0 }, 0, 5).len, 0);
    assert_true(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
    assert_false(str_eq_nocase(STR("\xc3\x84"), STR("\xc3\xa4"))); /* ASCII letters only */
    assert_false(str_eq_nocase(STR("[x"), STR("{x")));
    assert_true(str_starts(STR("abc"), STR("ab")) && str_starts(STR("abc"), STR("")));
    assert_false(str_starts(STR("a"), STR("ab")));
    assert_true(str_ends(STR("abc"), STR("bc")) && !str_ends(STR("c"), STR("bc")));
}

static void finding_and_ordering(void **state)
{
    (void)state;
    assert_int_equal(str_find(STR("banana"), STR("nan")), 2);
    assert_int_equal(str_find(STR("banana"), STR("")), 0);
    assert_true(str_find(STR("banana"), STR("x")) == SIZE_MAX);
    assert_true(str_find(STR("a"), STR("aa")) == SIZE_MAX);
    assert_true(str_find((struct str){ NULL, 0 }, STR("a")) == SIZE_MAX);
    assert_true(str_cmp(STR("a"), STR("b")) < 0 && str_cmp(STR("b"), STR("a")) > 0);
    assert_true(str_cmp(STR("a"), STR("ab")) < 0 && str_cmp(STR("ab"), STR("ab")) == 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0); /* bytes are unsigned */
    assert_true(str_hash(STR("")) == UINT64_C(0xcbf29ce484222325));
    assert_true(str_hash(STR("foobar")) == UINT64_C(0x85944171f73967e8)); /* the authors' test vector */
}

static void whole_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        { "0", true, 0 },
        { "-0", true, 0 },
        { "+7", true, 7 },
        { "007", true, 7 },
        { "9223372036854775807", true, INT64_MAX },
        { "-9223372036854775808", true, INT64_MIN },
        { "9223372036854775808", false, 0 },
        { "-9223372036854775809", false, 0 },
        { "99999999999999999999999", false, 0 },
        { "", false, 0 },
        { "-", false, 0 },
        { "+-1", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "1.0", false, 0 },
        { "0x10", false, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t value = -77;
        assert_int_equal(str_to_i64(str_from(cases[i].text), &value), cases[i].ok);
        assert_true(value == (cases[i].ok ? cases[i].value : -77));
    }
}

static void real_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        double value;
    } cases[] = {
        { "0.7", true, 0.7 },  { "-1e3", true, -1000 }, { ".5", true, 0.5 }, { "2.", true, 2 },
        { "1e999", false, 0 }, { "nan", false, 0 },     { "inf", false, 0 }, { "0x1p3", false, 0 },
        { "", false, 0 },      { " 1", false, 0 },      { "1 ", false, 0 },  { "1e", false, 0 },
        { "1,5", false, 0 },   { "--1", false, 0 },     { "e5", false, 0 },  { "1e-999", true, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        double value = -77;
        assert_int_equal(str_to_double(str_from(cases[i].text), &value), cases[i].ok);
        assert_true(value == (cases[i].ok ? cases[i].value : -77));
    }
    double value;
    assert_false(str_to_double((struct str){ "1\0002", 3 }, &value));
}

static size_t naive_distance(struct str a, struct str b)
{
    if (a.len == 0 || b.len == 0)
        return a.len + b.len;
    struct str a1 = str_slice(a, 1, a.len), b1 = str_slice(b, 1, b.len);
    size_t replace = naive_distance(a1, b1) + (a.ptr[0] != b.ptr[0]);
    size_t drop = naive_distance(a1, b) + 1, add = naive_distance(a, b1) + 1;
    size_t best = replace < drop ? replace : drop;
    return best < add ? best : add;
}

static void distances(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 1, 0);
    assert_int_equal(str_distance(STR("kitten"), STR("sitting")), 3);
    for (int i = 0; i < 300; i++) {
        char a[6], b[6];
        struct str x = { a, rng_below(&r, 6) }, y = { b, rng_below(&r, 6) };
        for (size_t k = 0; k < 6; k++) {
            a[k] = (char)('a' + rng_below(&r, 3));
            b[k] = (char)('a' + rng_below(&r, 3));
        }
        assert_int_equal(str_distance(x, y), naive_distance(x, y));
    }
}

/* --- UTF-8 ------------------------------------------------------------------------------------------ */

/* Length of the well-formed sequence at p, 0 if there is none: by decoding and encoding again. */
static size_t naive_decode(const unsigned char *p, size_t len, uint32_t *cp)
{
    for (size_t n = 1; n <= 4 && n <= len; n++) {
        static const struct {
            unsigned char mask, lead;
            uint32_t least;
        } forms[] = {
            { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 }
        };
        if ((p[0] & forms[n - 1].mask) != forms[n - 1].lead)
            continue;
        uint32_t c = p[0] & (unsigned char)~forms[n - 1].mask;
        for (size_t i = 1; i < n; i++) {
            if ((p[i] & 0xc0) != 0x80)
                return 0;
            c = c << 6 | (p[i] & 0x3f);
        }
        if (c < forms[n - 1].least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return 0;
        *cp = c;
        return n;
    }
    return 0;
}

static void decoding_agrees_on_all_short_sequences(void **state)
{
    (void)state;
    static const unsigned char tails[] = { 0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff };
    for (int lead = 0; lead < 256; lead++)
        for (size_t t = 0; t < ARRAY_LEN(tails) * ARRAY_LEN(tails) * ARRAY_LEN(tails); t++)
            for (size_t len = 1; len <= 4; len++) {
                unsigned char p[4] = { (unsigned char)lead, tails[t % 11], tails[t / 11 % 11],
                                       tails[t / 121] };
                uint32_t want = 0, got = 0;
                size_t n = naive_decode(p, len, &want);
                assert_int_equal(utf8_decode((struct str){ (char *)p, len }, &got), n);
                assert_true(want == got);
            }
}

static void encoding_is_its_inverse(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x110000; c += c < 0x900 ? 1 : 61) {
        char out[4];
        uint32_t back = 0;
        size_t n = utf8_encode(c, out);
        bool valid = c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
        assert_int_equal(n > 0, valid);
        if (valid) {
            assert_int_equal(utf8_decode((struct str){ out, n }, &back), n);
            assert_true(back == c);
        }
    }
}

static void validity(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t valid, whole;
    } cases[] = {
        { "", 0, 0 },
        { "abc", 3, 3 },
        { "\xc3\xa4", 2, 2 },
        { "a\xc3", 1, 1 }, /* may go on */
        { "a\xe4\xb8", 1, 1 },
        { "a\xf0\x9f\x98", 1, 1 },
        { "a\xf0\x9f\x98\x80", 5, 5 },
        { "a\xff", 1, 2 },         /* can never go on */
        { "a\xc0\x80", 1, 3 },     /* overlong */
        { "a\xed\xa0\x80", 1, 4 }, /* surrogate */
        { "a\xed\xa0", 1, 3 },     /* the start of one: already hopeless */
        { "a\xf4\x90", 1, 3 },     /* above U+10FFFF */
        { "a\x80", 1, 2 },
        { "\xe4\xb8"
          "x",
          0, 3 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str s = str_from(cases[i].text);
        assert_int_equal(utf8_valid_len(s), cases[i].valid);
        assert_int_equal(utf8_valid(s), cases[i].valid == s.len);
        assert_int_equal(utf8_whole_len(s), cases[i].whole);
    }
    assert_int_equal(utf8_count(STR("a\xc3\xa4\xe4\xb8\x96\xf0\x9f\x98\x80")), 4);
}

/* Cutting valid text anywhere: the whole part is valid, and what is held back is under a character. */
static void whole_len_never_waits_for_more_than_it_must(void **state)
{
    (void)state;
    struct str text = STR("x\xc3\xa4y\xe4\xb8\x96\xf0\x9f\x98\x80z\xef\xbf\xbd");
    for (size_t cut = 0; cut <= text.len; cut++) {
        struct str head = str_slice(text, 0, cut);
        size_t whole = utf8_whole_len(head);
        assert_true(utf8_valid(str_slice(head, 0, whole)));
        assert_int_equal(whole, utf8_valid_len(head));
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(views),
    cmocka_unit_test(finding_and_ordering),
    cmocka_unit_test(whole_numbers),
    cmocka_unit_test(real_numbers),
    cmocka_unit_test(distances),
    cmocka_unit_test(decoding_agrees_on_all_short_sequences),
    cmocka_unit_test(encoding_is_its_inverse),
    cmocka_unit_test(validity),
    cmocka_unit_test(whole_len_never_waits_for_more_than_it_must),
};
TEST_GROUP(base_str, tests)
