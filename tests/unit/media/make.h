/*
 * make.h - images and PDFs written by the tests themselves, byte by byte.
 */
#ifndef THINKD_TESTS_UNIT_MEDIA_MAKE_H
#define THINKD_TESTS_UNIT_MEDIA_MAKE_H

#include "test.h"

#include "media/media.h"

/* The header of an image and nothing behind it. Each puts what its format says into an empty buffer. */
void make_png(struct buf *b, uint32_t width, uint32_t height);
void make_jpeg(struct buf *b, uint32_t width, uint32_t height);
void make_gif(struct buf *b, uint32_t width, uint32_t height);
void make_webp_vp8(struct buf *b, uint32_t width, uint32_t height);
void make_webp_vp8l(struct buf *b, uint32_t width, uint32_t height);
void make_webp_vp8x(struct buf *b, uint32_t width, uint32_t height);

void make_be32(struct buf *b, uint32_t v);
void make_le32(struct buf *b, uint32_t v);
uint32_t make_crc(struct str bytes); /* as PNG has it */

/* "data:TYPE;base64,..." of bytes. */
void make_data_url(struct buf *b, const char *type, struct str bytes);

/* One page that shows text, which has no parentheses and no backslashes. */
void make_pdf(struct buf *b, const char *text);
/* One page whose content draws a form that draws the next ten times, `depth` deep: ten to that power of words. */
void make_pdf_bomb(struct buf *b, int depth);

extern const struct media_limits make_limits; /* as a server would have them, without URLs */

#endif
