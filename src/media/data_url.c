/*
 * data_url.c - data URLs (RFC 2397) and base64 (RFC 4648), strictly.
 *
 * Strict because two readers of one lenient text may see two contents: no line breaks or blanks inside, padding where it
 * belongs, and unused bits zero, so that each content has one spelling. The decoded size is known before anything is
 * allocated and is checked against the limit first.
 */
#include "media/media_impl.h"

#include <string.h>

bool data_url_is(struct str url)
{
    return str_eq_nocase(str_slice(url, 0, 5), STR("data:"));
}

/* --- base64 --------------------------------------------------------------------------------------------- */

static int letter(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static size_t padding(struct str text)
{
    size_t n = 0;
    while (n < 2 && n < text.len && text.ptr[text.len - 1 - n] == '=')
        n++;
    return n;
}

/* Up to four letters into up to three bytes. False: no letter among them, or bits that stand for nothing. */
static bool decode_group(const char *text, size_t letters, char *out)
{
    unsigned bits = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < letters ? letter((unsigned char)text[i]) : 0;
        if (value < 0)
            return false;
        bits = bits << 6 | (unsigned)value;
    }
    const unsigned char bytes[3] = { bits >> 16 & 255, bits >> 8 & 255, bits & 255 };
    memcpy(out, bytes, letters - 1);
    return letters == 4 || bytes[letters - 1] == 0;
}

static enum err_code too_large(const struct media_ask *ask, struct err *err)
{
    return err_set(err, ask->too_large, ask->param, "Invalid '%s': the %s is larger than %lld bytes.",
                   ask->param, ask->what, (long long)ask->limits->bytes_max);
}

enum err_code base64_read(struct str text, const struct media_ask *ask, struct str *bytes,
                          struct arena *arena, struct err *err)
{
    size_t pad = padding(text), letters = text.len - pad, len = letters / 4 * 3 + (pad ? 3 - pad : 0);
    if (text.len % 4 != 0 || (pad && letters < 2))
        return err_set(err, ask->base64, ask->param,
                       "Invalid '%s': the %s's base64 is cut short or lacks its padding.", ask->param,
                       ask->what);
    if (len > (uint64_t)ask->limits->bytes_max)
        return too_large(ask, err);
    char *out = arena_alloc(arena, len + 1);
    for (size_t i = 0; i < letters; i += 4)
        if (!decode_group(text.ptr + i, letters - i < 4 ? letters - i : 4, out + i / 4 * 3))
            return err_set(err, ask->base64, ask->param,
                           "Invalid '%s': the %s is not base64 at character %zu of its data.", ask->param,
                           ask->what, i + 1);
    *bytes = (struct str){ out, len };
    return ERR_OK;
}

/* --- the URL -------------------------------------------------------------------------------------------- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum err_code percent_read(struct str text, const struct media_ask *ask, struct str *bytes,
                                  struct arena *arena, struct err *err)
{
    size_t len = 0, escapes = 0;
    for (size_t i = 0; i < text.len; i++)
        escapes += text.ptr[i] == '%';
    if (escapes * 2 <= text.len && text.len - escapes * 2 > (uint64_t)ask->limits->bytes_max)
        return too_large(ask, err);
    char *out = arena_alloc(arena, text.len + 1);
    for (size_t i = 0; i < text.len; i++, len++) {
        out[len] = text.ptr[i];
        if (text.ptr[i] != '%')
            continue;
        int high = i + 2 < text.len ? hex(text.ptr[i + 1]) : -1;
        int low = i + 2 < text.len ? hex(text.ptr[i + 2]) : -1;
        if (high < 0 || low < 0)
            return err_set(err, ask->url, ask->param,
                           "Invalid '%s': a '%%' without two hexadecimal digits in the data URL.",
                           ask->param);
        out[len] = (char)(high * 16 + low);
        i += 2;
    }
    *bytes = (struct str){ out, len };
    return ERR_OK;
}

enum err_code data_url_read(struct str url, const struct media_ask *ask, struct str *type, struct str *bytes,
                            struct arena *arena, struct err *err)
{
    struct str rest = str_slice(url, 5, url.len);
    size_t comma = str_find(rest, STR(","));
    if (comma == SIZE_MAX)
        return err_set(err, ask->url, ask->param,
                       "Invalid '%s': a data URL needs a comma before its data, as "
                       "'data:image/png;base64,aGVsbG8='.",
                       ask->param);
    struct str head = str_slice(rest, 0, comma), data = str_slice(rest, comma + 1, rest.len);
    *type = str_slice(head, 0, str_find(head, STR(";")));
    if (type->len == 0)
        *type = STR("text/plain");
    size_t mark = head.len < 7 ? head.len : head.len - 7;
    if (str_eq_nocase(str_slice(head, mark, head.len), STR(";base64")))
        return base64_read(data, ask, bytes, arena, err);
    return percent_read(data, ask, bytes, arena, err);
}
