/*
 * image.c - kinds and sizes out of headers, and headers that are cut, that lie, or that are something else.
 */
#include "media/make.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    void (*make)(struct buf *b, uint32_t width, uint32_t height);
    enum media_kind kind;
    uint32_t side_max; /* of what the format can say */
} formats[] = {
    { "png", make_png, MEDIA_PNG, 0x7fffffff },     { "jpeg", make_jpeg, MEDIA_JPEG, 0xffff },
    { "gif", make_gif, MEDIA_GIF, 0xffff },         { "vp8", make_webp_vp8, MEDIA_WEBP, 0x3fff },
    { "vp8l", make_webp_vp8l, MEDIA_WEBP, 0x4000 }, { "vp8x", make_webp_vp8x, MEDIA_WEBP, 0x1000000 },
};

/* From a block of the exact size, so that a read past the end is one for the address sanitizer. */
static enum err_code look(struct media *m, struct str bytes, struct err *err)
{
    char *exact = mem_alloc(bytes.len ? bytes.len : 1);
    if (bytes.len)
        memcpy(exact, bytes.ptr, bytes.len);
    *err = (struct err){ 0 };
    enum err_code code = media_bytes(m, (struct str){ exact, bytes.len }, "p", &make_limits, err);
    mem_free(exact);
    return code;
}

static void every_kind_has_its_size(void **state)
{
    (void)state;
    static const uint32_t sizes[][2] = { { 32, 32 }, { 1, 1 }, { 640, 480 }, { 257, 16383 }, { 5, 255 } };
    struct buf b = { 0 };
    struct media m;
    struct err err;
    for (size_t f = 0; f < ARRAY_LEN(formats); f++)
        for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
            buf_clear(&b);
            formats[f].make(&b, sizes[s][0], sizes[s][1]);
            if (look(&m, buf_str(&b), &err))
                fail_msg("%s: %s", formats[f].name, err.message);
            assert_int_equal(formats[f].kind, m.kind);
            assert_int_equal(sizes[s][0], m.width);
            assert_int_equal(sizes[s][1], m.height);
        }
    buf_free(&b);
}

/* A prefix is refused, or says what the whole says; never something else. */
static void cut_at_every_byte(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct media m;
    struct err err;
    for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
        buf_clear(&b);
        formats[f].make(&b, 321, 123);
        bool seen = false;
        for (size_t len = 0; len < b.len; len++) {
            enum err_code code = look(&m, str_slice(buf_str(&b), 0, len), &err);
            bool is_image = !code && m.kind <= MEDIA_GIF;
            if (is_image && (m.width != 321 || m.height != 123))
                fail_msg("%s cut to %zu bytes has %lld x %lld pixels", formats[f].name, len,
                         (long long)m.width, (long long)m.height);
            assert_true(!code || (code == ERR_IMAGE && strstr(err.message, "cut short")));
            seen |= code != ERR_OK;
            assert_true(len > 12 || !is_image);
        }
        assert_true(seen);
    }
    buf_free(&b);
}

static void too_many_pixels(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct media m;
    struct err err;
    for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
        buf_clear(&b);
        formats[f].make(&b, formats[f].side_max, formats[f].side_max);
        assert_int_equal(ERR_IMAGE_TOO_LARGE, look(&m, buf_str(&b), &err));
        assert_string_equal("p", err.param);
        buf_clear(&b);
        formats[f].make(&b, formats[f].side_max, 1); /* long and thin is as many pixels as it is */
        assert_int_equal(formats[f].side_max > 100000000 ? ERR_IMAGE_TOO_LARGE : ERR_OK,
                         look(&m, buf_str(&b), &err));
    }
    buf_clear(&b);
    make_png(&b, 10000, 10000);
    assert_int_equal(ERR_OK, look(&m, buf_str(&b), &err));
    buf_clear(&b);
    make_png(&b, 10000, 10001);
    assert_int_equal(ERR_IMAGE_TOO_LARGE, look(&m, buf_str(&b), &err));
    buf_free(&b);
}

/* One byte of a good header changed. */
static void headers_that_lie(void **state)
{
    (void)state;
    static const struct {
        size_t format, at;
        int byte;
        const char *says;
    } rows[] = {
        { 0, 11, 14, "first chunk" },
        { 0, 15, 'X', "first chunk" },
        { 0, 19, 7, "checksum" },
        { 0, 32, 0, "checksum" },
        { 1, 24, 0xfe, "cut short" },
        { 1, 25, 4, "between its segments" },
        { 1, 32, 0xda, "before its frame" },
        { 1, 34, 0x12, "frame header" },
        { 3, 4, 255, "cut short" },
        { 3, 12, 'X', "none of VP8" },
        { 3, 16, 9, "first chunk" },
        { 3, 16, 200, "first chunk" },
        { 3, 20, 0x11, "key frame" },
        { 3, 24, 0, "key frame" },
        { 4, 20, 0x2e, "VP8L header" },
        { 4, 24, 0x20, "VP8L header" },
        { 5, 16, 9, "first chunk" },
        { 5, 19, 1, "first chunk" },
    };
    struct buf b = { 0 };
    struct media m;
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_clear(&b);
        formats[rows[i].format].make(&b, 321, 123);
        b.ptr[rows[i].at] = (char)rows[i].byte;
        if (look(&m, buf_str(&b), &err) != ERR_IMAGE || !strstr(err.message, rows[i].says))
            fail_msg("row %zu, %s: %s", i, formats[rows[i].format].name, err.message);
    }
    buf_free(&b);
}

/* Values that a checksum does not catch, because they were meant. */
static void png_values_that_png_does_not_have(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        int byte;
        bool fine;
    } rows[] = {
        { 24, 16, true }, { 24, 3, false }, { 24, 32, false }, { 24, 1, false },
        { 25, 6, true },  { 25, 5, false }, { 25, 7, false },  { 26, 1, false },
        { 27, 1, false }, { 28, 1, true },  { 28, 2, false },
    };
    struct buf b = { 0 };
    struct media m;
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_clear(&b);
        make_png(&b, 4, 4);
        b.ptr[rows[i].at] = (char)rows[i].byte;
        b.len -= 4;
        make_be32(&b, make_crc(str_slice(buf_str(&b), 12, 29)));
        if (look(&m, buf_str(&b), &err) != (rows[i].fine ? ERR_OK : ERR_IMAGE))
            fail_msg("row %zu: %s", i, err.message);
    }
    buf_free(&b);
}

static void no_width_or_height(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct media m;
    struct err err;
    for (size_t f = 0; f < 4; f++) /* the others count from 1 */
        for (int side = 0; side < 2; side++) {
            buf_clear(&b);
            formats[f].make(&b, side ? 5 : 0, side ? 0 : 5);
            if (look(&m, buf_str(&b), &err) != ERR_IMAGE || !strstr(err.message, "no width or no height"))
                fail_msg("%s: %s", formats[f].name, err.message);
        }
    buf_free(&b);
}

/* A segment's length may lead anywhere: to the end, past it, or nowhere. */
static void jpeg_without_a_frame(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        const char *says;
    } rows[] = {
        { { "\xff\xd8\xff", 3 }, "cut short" },
        { { "\xff\xd8\xff\xff\xff\xff", 6 }, "cut short" },
        { { "\xff\xd8\xff\xe0\xff\xff", 6 }, "cut short" },
        { { "\xff\xd8\xff\xe0\0\0", 6 }, "shorter than" },
        { { "\xff\xd8\xff\xe0\0\1", 6 }, "shorter than" },
        { { "\xff\xd8\xff\xe0\0\2", 6 }, "cut short" },
        { { "\xff\xd8\xff\xd9", 4 }, "before its frame" },
        { { "\xff\xd8\xff\0", 4 }, "before its frame" },
        { { "\xff\xd8\xff\xd8\xff\xd8", 6 }, "before its frame" },
    };
    struct media m;
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (look(&m, rows[i].bytes, &err) != ERR_IMAGE || !strstr(err.message, rows[i].says))
            fail_msg("row %zu: %s", i, err.message);
}

static void what_is_no_image(void **state)
{
    (void)state;
    static const struct {
        struct str bytes;
        enum media_kind kind;
    } rows[] = {
        { { "", 0 }, MEDIA_TEXT },
        { { "plain", 5 }, MEDIA_TEXT },
        { { "%PDF-1.7", 8 }, MEDIA_PDF },
        { { "a\0b", 3 }, MEDIA_OTHER },
        { { "\xfe\xff\0a", 4 }, MEDIA_OTHER },
        { { "GIF88a", 6 }, MEDIA_TEXT },
        { { "RIFF1234WAVE", 12 }, MEDIA_TEXT },
        { { "12345678WEBP", 12 }, MEDIA_TEXT },
    };
    struct media m;
    struct err err;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(ERR_OK, look(&m, rows[i].bytes, &err));
        if (m.kind != rows[i].kind)
            fail_msg("row %zu is %s", i, media_names[m.kind]);
    }
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_kind_has_its_size),
    cmocka_unit_test(cut_at_every_byte),
    cmocka_unit_test(too_many_pixels),
    cmocka_unit_test(headers_that_lie),
    cmocka_unit_test(png_values_that_png_does_not_have),
    cmocka_unit_test(no_width_or_height),
    cmocka_unit_test(jpeg_without_a_frame),
    cmocka_unit_test(what_is_no_image),
};
TEST_GROUP(media_image, tests)
