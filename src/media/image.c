/*
 * image.c - kind and size of an image, from its header alone.
 *
 * Formats: PNG (ISO/IEC 15948, 5.2, 5.3 and 11.2.2), JPEG (ITU-T T.81, annex B), GIF (87a and 89a, logical screen
 * descriptor), WebP (RFC 9649: VP8 with RFC 6386, 9.1; VP8L; VP8X). Pixels are never looked at, so nothing here can be
 * made to work hard; the walk through a JPEG's segments takes at least two bytes a step.
 *
 * Every read goes through at(): bytes behind the end are zero and the cursor remembers, so that a cut file is one
 * check at the end and not one a line.
 */
#include "media/media_impl.h"

#include <string.h>

struct cursor {
    struct str bytes;
    bool past; /* something behind the end was asked for */
};

static uint32_t at(struct cursor *c, size_t i)
{
    if (i < c->bytes.len)
        return (unsigned char)c->bytes.ptr[i];
    c->past = true;
    return 0;
}

static uint32_t be16(struct cursor *c, size_t i)
{
    return at(c, i) << 8 | at(c, i + 1);
}

static uint32_t be32(struct cursor *c, size_t i)
{
    return be16(c, i) << 16 | be16(c, i + 2);
}

static uint32_t le16(struct cursor *c, size_t i)
{
    return at(c, i) | at(c, i + 1) << 8;
}

static uint32_t le24(struct cursor *c, size_t i)
{
    return le16(c, i) | at(c, i + 2) << 16;
}

static uint32_t le32(struct cursor *c, size_t i)
{
    return le16(c, i) | le16(c, i + 2) << 16;
}

/* Why it is no such image, or NULL. */
typedef const char *read_size(struct cursor *c, struct media *m);

/* --- PNG ------------------------------------------------------------------------------------------------ */

/* CRC-32 as PNG has it (annex D), bit by bit: seventeen bytes need no table. */
static uint32_t png_crc(struct cursor *c, size_t from, size_t to)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = from; i < to; i++) {
        crc ^= at(c, i);
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* Table 11.1: which depths a colour type may have. */
static bool png_depth_fits(uint32_t colour, uint32_t depth)
{
    static const uint32_t depths[] = { [0] = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 8 | 1 << 16,
                                       [2] = 1 << 8 | 1 << 16,
                                       [3] = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 8,
                                       [4] = 1 << 8 | 1 << 16,
                                       [6] = 1 << 8 | 1 << 16 };
    return colour < ARRAY_LEN(depths) && depth <= 16 && depths[colour] >> depth & 1;
}

/* Signature 0-7, length 8-11, "IHDR" 12-15, width, height, depth, colour, compression, filter, interlace, CRC 29-32. */
static const char *png_size(struct cursor *c, struct media *m)
{
    if (c->bytes.len >= 33 && (be32(c, 8) != 13 || memcmp(c->bytes.ptr + 12, "IHDR", 4) != 0))
        return "its first chunk is not IHDR";
    m->width = be32(c, 16);
    m->height = be32(c, 20);
    if (png_crc(c, 12, 29) != be32(c, 29) && !c->past)
        return "the checksum of its header is wrong";
    if (c->past)
        return NULL;
    if (m->width > INT32_MAX || m->height > INT32_MAX || !png_depth_fits(at(c, 25), at(c, 24)) ||
        at(c, 26) != 0 || at(c, 27) != 0 || at(c, 28) > 1)
        return "its header has values that PNG does not";
    return NULL;
}

/* --- JPEG ----------------------------------------------------------------------------------------------- */

static bool jpeg_is_frame(uint32_t marker) /* SOFn: C0 to CF but DHT, JPG and DAC */
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

static bool jpeg_is_alone(uint32_t marker) /* TEM and RSTn: no length behind them */
{
    return marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7);
}

/* A segment: length (with its own two bytes), then for SOFn precision, height, width, components. */
static const char *jpeg_frame(struct cursor *c, size_t i, struct media *m)
{
    uint32_t length = be16(c, i), components = at(c, i + 7);
    m->height = be16(c, i + 3);
    m->width = be16(c, i + 5);
    if (!c->past && length != 8 + 3 * components)
        return "the length of its frame header is wrong";
    return NULL;
}

static const char *jpeg_size(struct cursor *c, struct media *m)
{
    for (size_t i = 2; !c->past;) {
        if (at(c, i++) != 0xff)
            return c->past ? NULL : "a marker is missing between its segments";
        while (at(c, i) == 0xff) /* fill bytes */
            i++;
        uint32_t marker = at(c, i++);
        if (jpeg_is_frame(marker))
            return jpeg_frame(c, i, m);
        if (marker == 0xda || marker == 0xd9 || marker == 0xd8 || (marker == 0 && !c->past))
            return "its picture begins before its frame header";
        if (jpeg_is_alone(marker))
            continue;
        uint32_t length = be16(c, i);
        if (length < 2 && !c->past)
            return "a segment is shorter than its own length";
        i += length;
    }
    return NULL;
}

/* --- GIF ------------------------------------------------------------------------------------------------ */

static const char *gif_size(struct cursor *c, struct media *m)
{
    m->width = le16(c, 6);
    m->height = le16(c, 8);
    at(c, 12); /* the descriptor ends here */
    return NULL;
}

/* --- WebP ----------------------------------------------------------------------------------------------- */

/* Frame tag (bit 0: 0 for a key frame), start code, 14 bits of width and height with 2 of scale above each. */
static const char *vp8_size(struct cursor *c, struct media *m)
{
    m->width = le16(c, 26) & 0x3fff;
    m->height = le16(c, 28) & 0x3fff;
    if (!c->past && ((at(c, 20) & 1) != 0 || le24(c, 23) != 0x2a019d))
        return "its VP8 frame is not a key frame";
    return NULL;
}

static const char *vp8l_size(struct cursor *c, struct media *m)
{
    uint32_t bits = le32(c, 21);
    m->width = (bits & 0x3fff) + 1;
    m->height = (bits >> 14 & 0x3fff) + 1;
    if (!c->past && (at(c, 20) != 0x2f || bits >> 29 != 0))
        return "its VP8L header is wrong";
    return NULL;
}

static const char *vp8x_size(struct cursor *c, struct media *m)
{
    m->width = le24(c, 24) + 1;
    m->height = le24(c, 27) + 1;
    return NULL;
}

/* "RIFF", size, "WEBP", then the first chunk: its name at 12, its size at 16, its content at 20. */
static const char *webp_size(struct cursor *c, struct media *m)
{
    static const struct {
        const char name[5];
        uint32_t bytes; /* of the chunk at least */
        read_size *read;
    } chunks[] = { { "VP8 ", 10, vp8_size }, { "VP8L", 5, vp8l_size }, { "VP8X", 10, vp8x_size } };
    uint32_t riff = le32(c, 4), chunk = le32(c, 16);
    if (c->past)
        return NULL;
    if ((uint64_t)riff + 8 > c->bytes.len) {
        c->past = true;
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++)
        if (memcmp(c->bytes.ptr + 12, chunks[i].name, 4) == 0)
            return chunk < chunks[i].bytes || (uint64_t)chunk + 12 > riff
                       ? "the size of its first chunk is wrong"
                       : chunks[i].read(c, m);
    return "its first chunk is none of VP8, VP8L and VP8X";
}

/* --- all of them ---------------------------------------------------------------------------------------- */

static const struct image_format {
    enum media_kind kind;
    struct str magic;
    size_t magic_at;
    read_size *read;
} formats[] = {
    { MEDIA_PNG, { "\x89PNG\r\n\x1a\n", 8 }, 0, png_size },
    { MEDIA_JPEG, { "\xff\xd8\xff", 3 }, 0, jpeg_size },
    { MEDIA_GIF, { "GIF87a", 6 }, 0, gif_size },
    { MEDIA_GIF, { "GIF89a", 6 }, 0, gif_size },
    { MEDIA_WEBP, { "WEBP", 4 }, 8, webp_size },
};

static const struct image_format *format_of(struct str bytes)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (str_starts(str_slice(bytes, formats[i].magic_at, bytes.len), formats[i].magic) &&
            (formats[i].kind != MEDIA_WEBP || str_starts(bytes, STR("RIFF"))))
            return &formats[i];
    return NULL;
}

enum media_kind image_kind(struct str bytes)
{
    const struct image_format *f = format_of(bytes);
    return f ? f->kind : MEDIA_OTHER;
}

bool image_size(struct media *m, const char **why)
{
    struct cursor c = { .bytes = m->bytes };
    *why = format_of(m->bytes)->read(&c, m);
    if (!*why && c.past)
        *why = "it is cut short";
    if (!*why && (m->width == 0 || m->height == 0))
        *why = "it has no width or no height";
    return !*why;
}
