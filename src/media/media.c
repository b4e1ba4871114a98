/*
 * media.c - from a URL, base64 or bytes to what they are.
 *
 * The bytes decide what something is; a declared media type may only agree. A type that says nothing
 * (application/octet-stream, or one that we have no name for) is no contradiction.
 *
 * URLs of strangers are a way into the server's own network, so they are read only where the limits allow it, at addresses
 * of the internet at large unless the limits allow more, and the size is bounded while it arrives. Which address
 * counts is decided in fetch, where the socket is opened.
 */
#include "media/media_impl.h"

#include "fetch/fetch.h"

#include <string.h>

const char *const media_types[] = { "image/png",
                                    "image/jpeg",
                                    "image/webp",
                                    "image/gif",
                                    "application/pdf",
                                    "text/plain",
                                    "application/octet-stream" };
const char *const media_names[] = { "PNG", "JPEG", "WebP", "GIF", "PDF", "text", "unknown" };

static bool is_image(enum media_kind kind)
{
    return kind <= MEDIA_GIF;
}

/* --- what bytes are ------------------------------------------------------------------------------------- */

static enum media_kind kind_of(struct str bytes)
{
    enum media_kind kind = image_kind(bytes);
    if (kind != MEDIA_OTHER)
        return kind;
    if (str_starts(bytes, STR("%PDF-")))
        return MEDIA_PDF;
    bool text = utf8_valid(bytes) && !memchr(bytes.len ? bytes.ptr : "", '\0', bytes.len);
    return text ? MEDIA_TEXT : MEDIA_OTHER;
}

static enum err_code look(struct media *m, struct str bytes, const struct media_ask *ask, struct err *err)
{
    const char *why;
    *m = (struct media){ .kind = kind_of(bytes), .bytes = bytes };
    if (!is_image(m->kind))
        return ERR_OK;
    if (!image_size(m, &why))
        return err_set(err, ERR_IMAGE, ask->param, "Invalid '%s': this is no valid %s image: %s.", ask->param,
                       media_names[m->kind], why);
    if (m->width > ask->limits->pixels_max / m->height)
        return err_set(err, ERR_IMAGE_TOO_LARGE, ask->param,
                       "Invalid '%s': the image has %lld x %lld pixels, and %lld are allowed.", ask->param,
                       (long long)m->width, (long long)m->height, (long long)ask->limits->pixels_max);
    return ERR_OK;
}

/* The media type without its parameters. */
static struct str bare_type(struct str type)
{
    return str_trim(str_slice(type, 0, str_find(type, STR(";"))));
}

/* The kind that a declared type names; MEDIA_OTHER: none that could be contradicted. */
static enum media_kind declared_kind(struct str type)
{
    if (str_eq_nocase(type, STR("image/jpg"))) /* what it is often called */
        return MEDIA_JPEG;
    if (str_eq_nocase(str_slice(type, 0, 5), STR("text/")))
        return MEDIA_TEXT;
    for (int kind = MEDIA_PNG; kind < MEDIA_TEXT; kind++)
        if (str_eq_nocase(type, str_from(media_types[kind])))
            return (enum media_kind)kind;
    return MEDIA_OTHER;
}

/* Text that is in no encoding that we read has no kind of its own; media_text says what is wrong with it. */
static enum err_code check_declared(const struct media *m, struct str type, const struct media_ask *ask,
                                    struct err *err)
{
    enum media_kind said = declared_kind(type);
    if (said == MEDIA_OTHER || said == m->kind || (said == MEDIA_TEXT && m->kind == MEDIA_OTHER))
        return ERR_OK;
    return err_set(err, ask->format, ask->param,
                   "Invalid '%s': it is declared as %.*s, but its bytes are %s.", ask->param,
                   STR_ARG(str_slice(type, 0, 64)),
                   m->kind == MEDIA_OTHER ? "something else" : media_types[m->kind]);
}

static enum err_code check_is_image(const struct media *m, const struct media_ask *ask, struct err *err)
{
    if (is_image(m->kind))
        return ERR_OK;
    return err_set(err, ask->format, ask->param,
                   "Invalid '%s': the image is none of the supported formats: PNG, JPEG, GIF and WebP.",
                   ask->param);
}

/* --- http and https ------------------------------------------------------------------------------------- */

static bool is_web_url(struct str url)
{
    return str_eq_nocase(str_slice(url, 0, 7), STR("http://")) ||
           str_eq_nocase(str_slice(url, 0, 8), STR("https://"));
}

static enum err_code check_url(struct str url, const struct media_ask *ask, struct err *err)
{
    if (!ask->limits->fetch_urls)
        return err_set(
            err, ask->url, ask->param,
            "Invalid '%s': this server does not fetch URLs (its option fetch_urls is off). Send the %s "
            "as a data URL or in base64.",
            ask->param, ask->what);
    if (url.len > MEDIA_URL_BYTES_MAX)
        return err_set(err, ask->url, ask->param, "Invalid '%s': the URL is longer than %d bytes.",
                       ask->param, MEDIA_URL_BYTES_MAX);
    return ERR_OK;
}

static enum err_code fetch_url(struct str url, const struct media_ask *ask, struct str *type,
                               struct str *bytes, struct arena *arena, struct err *err)
{
    struct fetch_request req = {
        .method = "GET",
        .url = arena_str(arena, url).ptr,
        .connect_ms = ask->limits->timeout_ms,
        .silent_ms = ask->limits->timeout_ms,
        .total_ms = ask->limits->timeout_ms,
        .bytes_max = (size_t)ask->limits->bytes_max,
        .public_only = !ask->limits->fetch_private,
        .redirects_max = MEDIA_REDIRECTS_MAX,
    };
    struct fetch_reply reply;
    struct err why = { 0 };
    enum err_code code = fetch_perform(&req, &reply, &why);
    if (code && reply.too_long)
        code = err_set(err, ask->too_large, ask->param, "Invalid '%s': the %s is larger than %lld bytes.",
                       ask->param, ask->what, (long long)ask->limits->bytes_max);
    else if (code)
        code = err_set(err, ask->download, ask->param, "Invalid '%s': the %s could not be downloaded. %s",
                       ask->param, ask->what, why.message);
    else if (reply.status != 200)
        code = err_set(err, ask->download, ask->param,
                       "Invalid '%s': the %s could not be downloaded: its server replied with status %d.",
                       ask->param, ask->what, reply.status);
    if (!code) {
        *type = arena_str(arena, str_from(reply.type));
        *bytes = arena_str(arena, buf_str(&reply.body));
    }
    buf_free(&reply.body);
    return code;
}

/* --- both kinds of URL ---------------------------------------------------------------------------------- */

static enum err_code read_url(struct media *out, struct str url, const struct media_ask *ask,
                              struct arena *arena, struct err *err)
{
    struct str type, bytes;
    enum err_code code;
    if (data_url_is(url)) {
        code = data_url_read(url, ask, &type, &bytes, arena, err);
    } else if (is_web_url(url)) {
        code = check_url(url, ask, err);
        if (!code)
            code = fetch_url(url, ask, &type, &bytes, arena, err);
    } else {
        return err_set(err, ask->url, ask->param,
                       "Invalid '%s': expected a data URL, as 'data:%s;base64,...', or one that begins with "
                       "http:// or https://.",
                       ask->param, media_types[ask->format == ERR_IMAGE_FORMAT ? MEDIA_PNG : MEDIA_PDF]);
    }
    if (!code)
        code = look(out, bytes, ask, err);
    return code ? code : check_declared(out, bare_type(type), ask, err);
}

static struct media_ask ask_image(const char *param, const struct media_limits *limits)
{
    return (struct media_ask){ .param = param,
                               .what = "image",
                               .url = ERR_IMAGE_URL,
                               .base64 = ERR_IMAGE_BASE64,
                               .format = ERR_IMAGE_FORMAT,
                               .download = ERR_IMAGE_DOWNLOAD,
                               .too_large = ERR_IMAGE_TOO_LARGE,
                               .limits = limits };
}

static struct media_ask ask_file(const char *param, const struct media_limits *limits)
{
    return (struct media_ask){ .param = param,
                               .what = "file",
                               .url = ERR_INVALID_VALUE,
                               .base64 = ERR_INVALID_VALUE,
                               .format = ERR_INVALID_VALUE,
                               .download = ERR_INVALID_VALUE,
                               .too_large = ERR_INVALID_VALUE,
                               .limits = limits };
}

enum err_code media_image(struct media *out, struct str url, const char *param,
                          const struct media_limits *limits, struct arena *arena, struct err *err)
{
    struct media_ask ask = ask_image(param, limits);
    enum err_code code = read_url(out, url, &ask, arena, err);
    return code ? code : check_is_image(out, &ask, err);
}

enum err_code media_file(struct media *out, struct str data, const char *param,
                         const struct media_limits *limits, struct arena *arena, struct err *err)
{
    struct media_ask ask = ask_file(param, limits);
    struct str bytes;
    if (data_url_is(data))
        return read_url(out, data, &ask, arena, err);
    enum err_code code = base64_read(data, &ask, &bytes, arena, err);
    return code ? code : look(out, bytes, &ask, err);
}

enum err_code media_file_url(struct media *out, struct str url, const char *param,
                             const struct media_limits *limits, struct arena *arena, struct err *err)
{
    struct media_ask ask = ask_file(param, limits);
    return read_url(out, url, &ask, arena, err);
}

enum err_code media_bytes(struct media *out, struct str bytes, const char *param,
                          const struct media_limits *limits, struct err *err)
{
    struct media_ask ask = ask_file(param, limits);
    if (bytes.len > (uint64_t)limits->bytes_max)
        return err_set(err, ask.too_large, param, "Invalid '%s': the file is larger than %lld bytes.", param,
                       (long long)limits->bytes_max);
    return look(out, bytes, &ask, err);
}

/* --- text ----------------------------------------------------------------------------------------------- */

static const char *why_no_text(struct str bytes)
{
    if (str_starts(bytes, STR("\xff\xfe")) || str_starts(bytes, STR("\xfe\xff")))
        return "its text is in UTF-16. Save it as UTF-8";
    for (size_t i = 0; i < bytes.len; i++)
        if ((unsigned char)bytes.ptr[i] < 0x20 && !memchr("\t\n\r\f", bytes.ptr[i], 4))
            return "it is neither a PDF nor text";
    return "its text is not in UTF-8 (it may be in Latin-1). Save it as UTF-8";
}

static enum err_code plain_text(struct str *out, struct str bytes, const char *param,
                                const struct media_limits *limits, struct arena *arena, struct err *err)
{
    if (str_starts(bytes, STR("\xef\xbb\xbf"))) /* a byte order mark belongs to the file, not to its text */
        bytes = str_slice(bytes, 3, bytes.len);
    if (bytes.len > (uint64_t)limits->text_bytes_max)
        return err_set(err, ERR_INVALID_VALUE, param,
                       "Invalid '%s': the file has more than %lld bytes of text.", param,
                       (long long)limits->text_bytes_max);
    *out = arena_str(arena, bytes);
    return ERR_OK;
}

enum err_code media_text(struct str *out, const struct media *m, const char *param,
                         const struct media_limits *limits, struct arena *arena, struct err *err)
{
    if (m->kind == MEDIA_PDF)
        return pdf_text(out, m->bytes, param, limits, arena, err);
    if (m->kind == MEDIA_TEXT)
        return plain_text(out, m->bytes, param, limits, arena, err);
    if (is_image(m->kind))
        return err_set(
            err, ERR_INVALID_VALUE, param,
            "Invalid '%s': this file is an image (%s), which has no text. Send it as an image part.", param,
            media_types[m->kind]);
    return err_set(err, ERR_INVALID_VALUE, param, "Invalid '%s': no text can be read from this file: %s.",
                   param, why_no_text(m->bytes));
}
