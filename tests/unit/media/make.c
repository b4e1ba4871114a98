/*
 * make.c - see make.h.
 */
#include "media/make.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

const struct media_limits make_limits = {
    .bytes_max = 1 << 20,
    .pixels_max = 100000000,
    .text_bytes_max = 100000,
    .timeout_ms = 20000,
};

static void put_bytes(struct buf *b, uint32_t v, int bytes, bool big)
{
    for (int i = 0; i < bytes; i++)
        buf_putc(b, (char)(v >> 8 * (big ? bytes - 1 - i : i) & 255));
}

void make_be32(struct buf *b, uint32_t v)
{
    put_bytes(b, v, 4, true);
}

void make_le32(struct buf *b, uint32_t v)
{
    put_bytes(b, v, 4, false);
}

/* By division of polynomials over the whole message, so that it is no copy of the code under test. */
uint32_t make_crc(struct str bytes)
{
    uint32_t table[256], crc = 0;
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t c = n;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320 ^ c >> 1 : c >> 1;
        table[n] = c;
    }
    crc = ~crc;
    for (size_t i = 0; i < bytes.len; i++)
        crc = table[(crc ^ (unsigned char)bytes.ptr[i]) & 255] ^ crc >> 8;
    return ~crc;
}

void make_png(struct buf *b, uint32_t width, uint32_t height)
{
    static const char rest[] = { 8, 2, 0, 0, 0 }; /* depth 8, RGB */
    buf_put(b, "\x89PNG\r\n\x1a\n", 8);
    make_be32(b, 13);
    buf_puts(b, "IHDR");
    make_be32(b, width);
    make_be32(b, height);
    buf_put(b, rest, sizeof rest);
    make_be32(b, make_crc(str_slice(buf_str(b), 12, 29)));
}

void make_jpeg(struct buf *b, uint32_t width, uint32_t height)
{
    static const char components[] = { 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0 };
    buf_put(b, "\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0", 20);
    buf_put(b, "\xff\xff\xff\xc4\0\5abc", 9); /* fill bytes, and DHT, which is among the SOFs and none */
    buf_put(b, "\xff\xd0\xff\xc2\0\x11\x08", 7);
    put_bytes(b, height, 2, true);
    put_bytes(b, width, 2, true);
    buf_put(b, components, sizeof components);
}

void make_gif(struct buf *b, uint32_t width, uint32_t height)
{
    buf_puts(b, "GIF89a");
    put_bytes(b, width, 2, false);
    put_bytes(b, height, 2, false);
    buf_put(b, "\x80\0\0", 3);
}

static void put_riff(struct buf *b, const char *chunk, uint32_t bytes)
{
    buf_puts(b, "RIFF");
    make_le32(b, 12 + bytes);
    buf_puts(b, "WEBP");
    buf_puts(b, chunk);
    make_le32(b, bytes);
}

void make_webp_vp8(struct buf *b, uint32_t width, uint32_t height)
{
    put_riff(b, "VP8 ", 10);
    buf_put(b, "\x10\0\0\x9d\x01\x2a", 6);
    put_bytes(b, width | 1 << 14, 2, false);
    put_bytes(b, height | 2 << 14, 2, false);
}

void make_webp_vp8l(struct buf *b, uint32_t width, uint32_t height)
{
    put_riff(b, "VP8L", 6);
    buf_putc(b, 0x2f);
    make_le32(b, (width - 1) | (height - 1) << 14 | 1u << 28);
    buf_putc(b, 0);
}

void make_webp_vp8x(struct buf *b, uint32_t width, uint32_t height)
{
    put_riff(b, "VP8X", 10);
    make_le32(b, 0);
    put_bytes(b, width - 1, 3, false);
    put_bytes(b, height - 1, 3, false);
}

void make_data_url(struct buf *b, const char *type, struct str bytes)
{
    unsigned char *text = mem_alloc(bytes.len * 2 + 8);
    int len = EVP_EncodeBlock(text, (const unsigned char *)bytes.ptr, (int)bytes.len);
    buf_printf(b, "data:%s;base64,", type);
    buf_put(b, text, (size_t)len);
    mem_free(text);
}

/* --- PDF ------------------------------------------------------------------------------------------------ */

#define OBJECTS_MAX 64

struct pdf {
    struct buf *b;
    size_t at[OBJECTS_MAX];
    int n;
};

static void put_object(struct pdf *p, const char *text)
{
    p->at[++p->n] = p->b->len;
    buf_printf(p->b, "%d 0 obj\n%s\nendobj\n", p->n, text);
}

static void put_stream(struct pdf *p, const char *dictionary, const char *content)
{
    struct buf text = { 0 };
    buf_printf(&text, "<< %s /Length %zu >>\nstream\n%s\nendstream", dictionary, strlen(content), content);
    put_object(p, text.ptr);
    buf_free(&text);
}

/* The font is object 3, the content object 5. */
static void begin(struct pdf *p, struct buf *b, const char *resources)
{
    char page[512];
    *p = (struct pdf){ .b = b };
    buf_puts(b, "%PDF-1.4\n");
    put_object(p, "<< /Type /Catalog /Pages 2 0 R >>");
    put_object(p, "<< /Type /Pages /Kids [4 0 R] /Count 1 >>");
    put_object(p, "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>");
    snprintf(
        page, sizeof page,
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 5 0 R /Resources << /Font << /F1 3 0 "
        "R >> %s >> >>",
        resources);
    put_object(p, page);
}

static void end(struct pdf *p)
{
    size_t xref = p->b->len;
    buf_printf(p->b, "xref\n0 %d\n0000000000 65535 f \n", p->n + 1);
    for (int i = 1; i <= p->n; i++)
        buf_printf(p->b, "%010zu 00000 n \n", p->at[i]);
    buf_printf(p->b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%zu\n%%%%EOF\n", p->n + 1, xref);
}

void make_pdf(struct buf *b, const char *text)
{
    struct pdf p;
    struct buf content = { 0 };
    begin(&p, b, "");
    buf_puts(&content, "BT /F1 12 Tf 50 700 Td 14 TL\n");
    for (struct str rest = str_from(text); rest.len;) {
        struct str line = str_slice(rest, 0, str_find(rest, STR("\n")));
        buf_printf(&content, "(%.*s) Tj T*\n", STR_ARG(line));
        rest = str_slice(rest, line.len + 1, rest.len);
    }
    buf_puts(&content, "ET");
    put_stream(&p, "", content.ptr);
    end(&p);
    buf_free(&content);
}

void make_pdf_bomb(struct buf *b, int depth)
{
    struct pdf p;
    begin(&p, b, "/XObject << /X 6 0 R >>");
    put_stream(&p, "", "/X Do");
    for (int i = 0; i < depth; i++) {
        char dictionary[256];
        bool last = i == depth - 1;
        snprintf(dictionary, sizeof dictionary,
                 "/Type /XObject /Subtype /Form /BBox [0 0 600 800] /Resources << /Font << /F1 3 0 R >> "
                 "/XObject << "
                 "/X %d 0 R >> >>",
                 last ? 6 : p.n + 2);
        put_stream(&p, dictionary,
                   last ? "BT /F1 12 Tf 50 700 Td (word) Tj ET"
                        : "/X Do /X Do /X Do /X Do /X Do /X Do /X Do /X Do /X Do /X Do");
    }
    end(&p);
}
