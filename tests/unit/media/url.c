/*
 * url.c - data URLs and base64: what is taken, and that everything else is refused with its own code.
 */
#include "media/make.h"

#include <stdio.h>
#include <string.h>

static void a_small_png_passes(void **state)
{
    (void)state;
    struct buf png = { 0 }, url = { 0 };
    struct arena arena = { 0 };
    struct media m;
    struct err err = { 0 };
    static const char *const types[] = { "image/png", "IMAGE/PNG", "image/png;name=a.png",
                                         "application/octet-stream" };
    make_png(&png, 32, 32);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        buf_clear(&url);
        make_data_url(&url, types[i], buf_str(&png));
        if (media_image(&m, buf_str(&url), "input[0].content[1].image_url", &make_limits, &arena, &err))
            fail_msg("%s: %s", types[i], err.message);
        assert_int_equal(MEDIA_PNG, m.kind);
        assert_int_equal(32, m.width);
        assert_int_equal(32, m.height);
        assert_true(str_eq(m.bytes, buf_str(&png)));
    }
    arena_free(&arena);
    buf_free(&png);
    buf_free(&url);
}

static void every_length_of_base64(void **state)
{
    (void)state;
    char bytes[70];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 37 + 200);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        struct buf url = { 0 };
        struct arena arena = { 0 };
        struct media m;
        struct err err = { 0 };
        make_data_url(&url, "application/octet-stream", (struct str){ bytes, len });
        if (media_file(&m, buf_str(&url), "p", &make_limits, &arena, &err))
            fail_msg("%zu bytes: %s", len, err.message);
        assert_true(str_eq(m.bytes, (struct str){ bytes, len }));
        struct str bare = str_slice(buf_str(&url), strlen("data:application/octet-stream;base64,"), url.len);
        assert_int_equal(ERR_OK, media_file(&m, bare, "p", &make_limits, &arena, &err));
        assert_true(str_eq(m.bytes, (struct str){ bytes, len }));
        arena_free(&arena);
        buf_free(&url);
    }
}

static void percent_encoding(void **state)
{
    (void)state;
    static const struct {
        const char *url, *want; /* NULL: refused */
    } rows[] = {
        { "data:,hello", "hello" },
        { "DATA:text/plain;charset=utf-8,a%20b%2Cc,d", "a b,c,d" },
        { "data:text/plain,%c3%A4", "\xc3\xa4" },
        { "data:text/plain,", "" },
        { "data:text/plain,%", NULL },
        { "data:text/plain,%2", NULL },
        { "data:text/plain,%2g", NULL },
        { "data:text/plain,%%%%%%", NULL },
        { "data:text/plain", NULL },
        { "data:", NULL },
    };
    struct arena arena = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct media m;
        struct err err = { 0 };
        enum err_code code = media_file(&m, str_from(rows[i].url), "p", &make_limits, &arena, &err);
        assert_int_equal(rows[i].want ? ERR_OK : ERR_INVALID_VALUE, code);
        if (rows[i].want)
            assert_true(str_is(m.bytes, rows[i].want));
        else
            assert_true(err.message[0] && strcmp(err.param, "p") == 0);
    }
    arena_free(&arena);
}

static void base64_is_strict(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "a",          "ab",     "abc",    "=",      "==",       "====",     "a===",     "ab=",
        "ab=c",       "a=bc",   "=abc",   "abcd=",  "abcd====", "ab==abcd", "abc=abcd", "ab c",
        "abcd abcd",  "abcd\n", "\nabcd", "ab\ncd", "abc-",     "abc_",     "ab%3d",    "ab!=",
        "ab\xc3\xa4", "aR==",   "abR=",   " abcd",  "abcd    ",
    };
    struct arena arena = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf url = { 0 };
        struct media m;
        struct err err = { 0 };
        if (media_file(&m, str_from(rows[i]), "p", &make_limits, &arena, &err) != ERR_INVALID_VALUE)
            fail_msg("taken: %s", rows[i]);
        buf_printf(&url, "data:image/png;base64,%s", rows[i]);
        if (media_image(&m, buf_str(&url), "p", &make_limits, &arena, &err) != ERR_IMAGE_BASE64)
            fail_msg("%s: %s", rows[i], err.message);
        assert_true(utf8_valid(str_from(err.message)));
        buf_free(&url);
    }
    arena_free(&arena);
}

static void images_that_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        enum err_code code;
        const char *says;
    } rows[] = {
        { "", ERR_IMAGE_URL, "expected a data URL" },
        { "iVBORw0KGgo=", ERR_IMAGE_URL, "expected a data URL" },
        { "file:///etc/passwd", ERR_IMAGE_URL, "expected a data URL" },
        { "ftp://h/x.png", ERR_IMAGE_URL, "expected a data URL" },
        { "data", ERR_IMAGE_URL, "expected a data URL" },
        { "data:image/png;base64", ERR_IMAGE_URL, "comma" },
        { "https://example.com/x.png", ERR_IMAGE_URL, "fetch_urls" },
        { "HTTP://example.com/x.png", ERR_IMAGE_URL, "fetch_urls" },
        { "data:image/png;base64,", ERR_IMAGE_FORMAT, "declared as image/png" },
        { "data:image/png;base64,aGVsbG8=", ERR_IMAGE_FORMAT, "declared as image/png" },
        { "data:image/bmp;base64,Qk0aAAAA", ERR_IMAGE_FORMAT, "supported formats" },
        { "data:text/plain;base64,aGVsbG8=", ERR_IMAGE_FORMAT, "supported formats" },
        { "data:,hello", ERR_IMAGE_FORMAT, "supported formats" },
        { "data:image/gif;base64,iVBORw0KGgo=", ERR_IMAGE, "cut short" },
        { "data:application/pdf;base64,JVBERi0xLjc=", ERR_IMAGE_FORMAT, "supported formats" },
    };
    struct arena arena = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct media m;
        struct err err = { 0 };
        enum err_code code = media_image(&m, str_from(rows[i].url), "p", &make_limits, &arena, &err);
        if (code != rows[i].code || err.code != code || !strstr(err.message, rows[i].says))
            fail_msg("%s: %s %s", rows[i].url, err_name(code), err.message);
        assert_string_equal("p", err.param);
    }
    arena_free(&arena);
}

static void a_declared_type_must_agree(void **state)
{
    (void)state;
    static const struct {
        void (*make)(struct buf *b, uint32_t width, uint32_t height);
        const char *type;
        bool fine;
    } rows[] = {
        { make_jpeg, "image/jpeg", true },      { make_jpeg, "image/jpg", true },
        { make_jpeg, "image/png", false },      { make_png, "image/jpeg", false },
        { make_gif, "image/gif", true },        { make_gif, "image/webp", false },
        { make_webp_vp8, "image/webp", true },  { make_png, "text/plain", false },
        { make_png, "application/pdf", false }, { make_png, "image/x-unheard-of", true },
    };
    struct arena arena = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf image = { 0 }, url = { 0 };
        struct media m;
        struct err err = { 0 };
        rows[i].make(&image, 10, 20);
        make_data_url(&url, rows[i].type, buf_str(&image));
        enum err_code code = media_image(&m, buf_str(&url), "p", &make_limits, &arena, &err);
        if (code != (rows[i].fine ? ERR_OK : ERR_IMAGE_FORMAT))
            fail_msg("row %zu: %s", i, err.message);
        buf_free(&image);
        buf_free(&url);
    }
    arena_free(&arena);
}

static void too_many_bytes(void **state)
{
    (void)state;
    struct media_limits limits = make_limits;
    struct buf png = { 0 }, url = { 0 };
    struct arena arena = { 0 };
    struct media m;
    struct err err = { 0 };
    make_png(&png, 32, 32);
    make_data_url(&url, "image/png", buf_str(&png));
    limits.bytes_max = (int64_t)png.len;
    assert_int_equal(ERR_OK, media_image(&m, buf_str(&url), "p", &limits, &arena, &err));
    assert_int_equal(ERR_OK, media_bytes(&m, buf_str(&png), "p", &limits, &err));
    limits.bytes_max--;
    size_t used = arena.used;
    assert_int_equal(ERR_IMAGE_TOO_LARGE, media_image(&m, buf_str(&url), "p", &limits, &arena, &err));
    assert_int_equal(used, arena.used); /* refused before anything was allocated for it */
    assert_int_equal(ERR_INVALID_VALUE, media_file(&m, buf_str(&url), "p", &limits, &arena, &err));
    assert_int_equal(ERR_INVALID_VALUE, media_bytes(&m, buf_str(&png), "p", &limits, &err));
    limits.bytes_max = 5;
    assert_int_equal(ERR_INVALID_VALUE, media_file(&m, STR("data:,123456"), "p", &limits, &arena, &err));
    assert_int_equal(ERR_OK, media_file(&m, STR("data:,1234%35"), "p", &limits, &arena, &err));
    arena_free(&arena);
    buf_free(&png);
    buf_free(&url);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_small_png_passes),      cmocka_unit_test(every_length_of_base64),
    cmocka_unit_test(percent_encoding),        cmocka_unit_test(base64_is_strict),
    cmocka_unit_test(images_that_are_refused), cmocka_unit_test(a_declared_type_must_agree),
    cmocka_unit_test(too_many_bytes),
};
TEST_GROUP(media_url, tests)
