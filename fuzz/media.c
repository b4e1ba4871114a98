/*
 * media.c - any bytes as an image, as a file and as a URL: what is accepted keeps to the limits, what is refused says why.
 *
 * The first byte chooses the way in: 0 bytes, 1 an image's URL, 2 a file's data. PDF and http are never reached: the
 * text of a PDF is not asked for, and URLs are not allowed.
 */
#include "media/media.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(enum err_code code, const struct media *m, const struct media_limits *limits,
                  const struct err *err)
{
    if (code) {
        assert(err->code == code && err_status(code) == 400);
        assert(err->message[0] && utf8_valid(str_from(err->message)));
        return;
    }
    assert(m->bytes.len <= (uint64_t)limits->bytes_max);
    if (m->kind <= MEDIA_GIF)
        assert(m->width > 0 && m->height > 0 && m->width <= limits->pixels_max / m->height);
    else
        assert(m->width == 0 && m->height == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct media_limits limits = {
        .bytes_max = 4096, .pixels_max = 1000000, .text_bytes_max = 1024, .timeout_ms = 1
    };
    if (size == 0)
        return 0;
    struct str bytes = { (const char *)data + 1, size - 1 }, text;
    struct arena arena = { 0 };
    struct media m = { 0 };
    struct err err = { 0 };
    enum err_code code = data[0] % 3 == 0   ? media_bytes(&m, bytes, "p", &limits, &err)
                         : data[0] % 3 == 1 ? media_image(&m, bytes, "p", &limits, &arena, &err)
                                            : media_file(&m, bytes, "p", &limits, &arena, &err);
    check(code, &m, &limits, &err);
    assert(code || data[0] % 3 != 1 || m.kind <= MEDIA_GIF);
    if (!code && m.kind != MEDIA_PDF && !media_text(&text, &m, "p", &limits, &arena, &err))
        assert(utf8_valid(text) && text.len <= (uint64_t)limits.text_bytes_max);
    arena_free(&arena);
    return 0;
}
