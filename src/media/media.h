/*
 * media.h - what an image or a file is: bytes in, facts and text out.
 *
 * Nothing is decoded that need not be: of an image the kind and the size in pixels are read from its header, of a file
 * its text is extracted. Every byte is a stranger's: bounds first, and PDF goes through a process of its own in a sandbox.
 *
 * Threads: any that may wait (workers). Ownership: what is returned lives in the caller's arena.
 */
#ifndef THINKD_MEDIA_MEDIA_H
#define THINKD_MEDIA_MEDIA_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum media_kind { MEDIA_PNG, MEDIA_JPEG, MEDIA_WEBP, MEDIA_GIF, MEDIA_PDF, MEDIA_TEXT, MEDIA_OTHER };
extern const char *const media_types[]; /* "image/png", ... by kind */
extern const char *const media_names[]; /* "PNG", ... by kind */

struct media {
    enum media_kind kind;
    int64_t width, height; /* pixels; images only */
    struct str bytes;
};

struct media_limits {
    bool fetch_urls;    /* http and https URLs may be read */
    bool fetch_private; /* at addresses of this machine and of private networks too */
    int64_t bytes_max;  /* of one image or file */
    int64_t pixels_max;
    int64_t text_bytes_max; /* of the text of one file */
    int64_t timeout_ms;     /* for fetching, and for extracting */
};

/* url: "data:image/png;base64,..." or, where the limits allow it, http and https. param names the field in errors:
 * ERR_IMAGE_URL, ERR_IMAGE_BASE64, ERR_IMAGE_FORMAT, ERR_IMAGE, ERR_IMAGE_DOWNLOAD, ERR_IMAGE_TOO_LARGE. */
enum err_code media_image(struct media *out, struct str url, const char *param,
                          const struct media_limits *limits, struct arena *arena, struct err *err);
/* data: a data URL or bare base64. ERR_INVALID_VALUE, and of a file that begins as an image ERR_IMAGE and its kin. */
enum err_code media_file(struct media *out, struct str data, const char *param,
                         const struct media_limits *limits, struct arena *arena, struct err *err);
/* A file by its URL: a data URL, or as media_image reads one. ERR_INVALID_VALUE. */
enum err_code media_file_url(struct media *out, struct str url, const char *param,
                             const struct media_limits *limits, struct arena *arena, struct err *err);
/* What bytes that are here already are; they are borrowed. ERR_IMAGE and its kin where they begin as an image and are none,
 * ERR_INVALID_VALUE where they are more than bytes_max. */
enum err_code media_bytes(struct media *out, struct str bytes, const char *param,
                          const struct media_limits *limits, struct err *err);
/* The text of a PDF or a text file: valid UTF-8. ERR_INVALID_VALUE: neither of the two, or nothing could be extracted
 * (the message says why, and which program is missing). */
enum err_code media_text(struct str *out, const struct media *m, const char *param,
                         const struct media_limits *limits, struct arena *arena, struct err *err);

#endif
