/*
 * media_impl.h - what the files of media/ share: bytes out of URLs, facts out of bytes, text out of a sandbox.
 */
#ifndef THINKD_MEDIA_IMPL_H
#define THINKD_MEDIA_IMPL_H

#include "media/media.h"

#define MEDIA_URL_BYTES_MAX 8192 /* of an http URL; data URLs are bounded by bytes_max */
#define MEDIA_REDIRECTS_MAX 3

/* What is being read, so that one path serves images and files: which code an error has, and what it is called. */
struct media_ask {
    const char *param, *what; /* "image", "file" */
    enum err_code url, base64, format, download, too_large;
    const struct media_limits *limits;
};

/* --- data_url.c ----------------------------------------------------------------------------------------- */

bool data_url_is(struct str url);
/* RFC 2397. *type is a view of url ("text/plain" where it names none), *bytes in the arena. */
enum err_code data_url_read(struct str url, const struct media_ask *ask, struct str *type, struct str *bytes,
                            struct arena *arena, struct err *err);
/* RFC 4648, section 4, padding required, nothing else among the letters. */
enum err_code base64_read(struct str text, const struct media_ask *ask, struct str *bytes,
                          struct arena *arena, struct err *err);

/* --- image.c -------------------------------------------------------------------------------------------- */

/* The kind that the first bytes tell; MEDIA_OTHER: no image. */
enum media_kind image_kind(struct str bytes);
/* Width and height out of the header of that kind. False: cut short, or not what it says it is; *why says which. */
bool image_size(struct media *m, const char **why);

/* --- pdf.c ---------------------------------------------------------------------------------------------- */

enum err_code pdf_text(struct str *out, struct str bytes, const char *param,
                       const struct media_limits *limits, struct arena *arena, struct err *err);

/* --- sandbox.c ------------------------------------------------------------------------------------------ */

/* A filter: a program that reads standard input and writes standard output, run where it can do little else. */
struct sandbox_run {
    const char *program;     /* looked for in PATH */
    const char *const *args; /* NULL-terminated, without the program's name */
    struct str input;
    size_t output_max; /* bytes */
    int64_t timeout_ms;
};
enum sandbox_end {
    SANDBOX_EXITED,   /* by itself; see status */
    SANDBOX_MISSING,  /* the program, or one that the sandbox is made of */
    SANDBOX_TIMEOUT,  /* killed: time */
    SANDBOX_TOO_LONG, /* killed: output */
    SANDBOX_FAILED    /* could not be started */
};
struct sandbox_result {
    enum sandbox_end end;
    int status;          /* SANDBOX_EXITED: the exit status, or 128 + a signal's number */
    const char *missing; /* SANDBOX_MISSING: its name */
};
/* Blocks until the process is gone, whatever happened; output holds what came. */
struct sandbox_result sandbox_filter(const struct sandbox_run *run, struct buf *output);

#endif
