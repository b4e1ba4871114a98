/*
 * form.c - multipart/form-data (RFC 7578): the parts of a complete body, as views of it.
 *
 * Strict, because a body that two readers cut in different places is a way past whoever checked it first: lines end in
 * CR LF, nothing stands before the first boundary or behind the last, a boundary is followed by its line's end and nothing
 * else, and each part has one Content-Disposition with one name. What browsers and the clients of the API send passes.
 *
 * A part's bytes are never copied. Names are, into the arena, and only where a quote was escaped: as \" or, which is what
 * browsers send, %22.
 *
 * Pure functions; any thread.
 */
#include "http/http_impl.h"

#include <assert.h>
#include <string.h>

#define BOUNDARY_MAX 70 /* bytes; RFC 2046, section 5.1.1 */

/* --- the boundary ---------------------------------------------------------------------------------------- */

static bool is_boundary(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!word && (c == '\0' || !strchr("'()+_,-./:=? ", c)))
            return false;
    }
    return s.len > 0 && s.len <= BOUNDARY_MAX && s.ptr[s.len - 1] != ' ';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes one parameter, `; name=value` or `; name="value"`, off *rest. A quoted value keeps its backslashes. False: that
 * is not what stands there. */
static bool take_parameter(struct str *rest, struct str *name, struct str *value)
{
    struct str s = str_trim_start(*rest);
    if (!str_starts(s, STR(";")))
        return false;
    s = str_trim_start(str_slice(s, 1, s.len));
    size_t equals = str_find(s, STR("="));
    if (equals == SIZE_MAX || equals == 0)
        return false;
    *name = str_slice(s, 0, equals);
    s = str_slice(s, equals + 1, s.len);
    bool quoted = str_starts(s, STR("\""));
    size_t end = quoted;
    while (end < s.len && (quoted ? s.ptr[end] != '"' : s.ptr[end] != ';' && !is_blank(s.ptr[end])))
        end += quoted && s.ptr[end] == '\\' && end + 1 < s.len && s.ptr[end + 1] == '"' ? 2 : 1;
    if (quoted && end == s.len)
        return false;
    *value = str_slice(s, quoted, end);
    *rest = str_slice(s, end + quoted, s.len);
    return true;
}

bool http_form_boundary(struct str content_type, struct str *boundary)
{
    size_t semicolon = str_find(content_type, STR(";"));
    struct str name, value, rest = str_slice(content_type, semicolon, content_type.len);
    bool found = false;
    if (!str_eq_nocase(str_trim(str_slice(content_type, 0, semicolon)), STR("multipart/form-data")))
        return false;
    while (str_trim(rest).len) {
        if (!take_parameter(&rest, &name, &value))
            return false;
        if (!str_eq_nocase(name, STR("boundary")))
            continue;
        if (found || !is_boundary(value))
            return false;
        found = true;
        *boundary = value;
    }
    return found;
}

/* --- a part's head --------------------------------------------------------------------------------------- */

static enum err_code bad(struct err *err, const char *what)
{
    return err_set(err, ERR_BAD_REQUEST, NULL, "The multipart body cannot be read: %s.", what);
}

/* \" and %22 become the quote they stand for. */
static struct str unescape(struct str s, struct arena *a)
{
    if (str_find(s, STR("\\\"")) == SIZE_MAX && str_find(s, STR("%22")) == SIZE_MAX)
        return s;
    char *out = arena_alloc(a, s.len);
    size_t len = 0;
    for (size_t i = 0; i < s.len;) {
        struct str here = str_slice(s, i, s.len);
        size_t escape = str_starts(here, STR("\\\"")) ? 2 : str_starts(here, STR("%22")) ? 3 : 0;
        out[len++] = escape ? '"' : s.ptr[i];
        i += escape ? escape : 1;
    }
    return (struct str){ out, len };
}

static enum err_code read_disposition(struct str value, struct http_part *part, struct arena *a,
                                      struct err *err)
{
    size_t semicolon = str_find(value, STR(";"));
    struct str name, text, rest = str_slice(value, semicolon, value.len);
    if (!str_eq_nocase(str_trim(str_slice(value, 0, semicolon)), STR("form-data")))
        return bad(err, "a part's Content-Disposition is not form-data");
    while (str_trim(rest).len) {
        if (!take_parameter(&rest, &name, &text))
            return bad(err, "a part's Content-Disposition is malformed");
        bool is_name = str_eq_nocase(name, STR("name")), is_file = str_eq_nocase(name, STR("filename"));
        if (str_eq_nocase(name, STR("filename*")))
            return bad(err, "a part has filename*, which RFC 7578 rules out; send filename in UTF-8");
        if ((is_name && part->name.ptr) || (is_file && part->is_file))
            return bad(err, "a part has two names");
        if (is_name)
            part->name = unescape(text, a);
        if (is_file)
            part->filename = unescape(text, a);
        part->is_file |= is_file;
    }
    if (!part->name.len)
        return bad(err, "a part has no name");
    if (!utf8_valid(part->name) || !utf8_valid(part->filename))
        return bad(err, "a part's name is not valid UTF-8");
    return ERR_OK;
}

static bool has_controls(struct str line)
{
    for (size_t i = 0; i < line.len; i++)
        if (((unsigned char)line.ptr[i] < 0x20 && line.ptr[i] != '\t') || line.ptr[i] == 0x7f)
            return true;
    return false;
}

/* Other fields may be there and mean nothing (RFC 7578, section 4.8). */
static enum err_code read_field(struct str line, struct http_part *part, struct arena *a, struct err *err)
{
    size_t colon = str_find(line, STR(":"));
    struct str name = str_slice(line, 0, colon);
    if (colon == SIZE_MAX || colon == 0 || is_blank(line.ptr[0]) || is_blank(line.ptr[colon - 1]) ||
        has_controls(line))
        return bad(err, "a part's header line is malformed");
    struct str value = str_trim(str_slice(line, colon + 1, line.len));
    if (str_eq_nocase(name, STR("Content-Disposition")))
        return part->name.ptr ? bad(err, "a part has two Content-Dispositions")
                              : read_disposition(value, part, a, err);
    if (str_eq_nocase(name, STR("Content-Type"))) {
        if (part->content_type.len)
            return bad(err, "a part has two Content-Types");
        part->content_type = value;
    }
    if (str_eq_nocase(name, STR("Content-Transfer-Encoding")) && !str_eq_nocase(value, STR("binary")) &&
        !str_eq_nocase(value, STR("8bit")) && !str_eq_nocase(value, STR("7bit")))
        return bad(err, "a part has a Content-Transfer-Encoding; send its bytes as they are");
    return ERR_OK;
}

static enum err_code read_head(struct http_form *f, struct http_part *part, struct arena *a, struct err *err)
{
    struct str window = str_slice(f->rest, 0, HTTP_FORM_HEAD_MAX);
    for (;;) {
        size_t end = str_find(window, STR("\r\n"));
        if (end == SIZE_MAX)
            return window.len && f->rest.len > window.len
                       ? err_set(err, ERR_BAD_REQUEST, NULL,
                                 "A part of the multipart body has more than %d bytes of headers.",
                                 HTTP_FORM_HEAD_MAX)
                       : bad(err, "it ends in the middle of a part's headers");
        struct str line = str_slice(window, 0, end);
        window = str_slice(window, end + 2, window.len);
        f->rest = str_slice(f->rest, end + 2, f->rest.len);
        if (line.len == 0)
            break;
        enum err_code code = read_field(line, part, a, err);
        if (code)
            return code;
    }
    return part->name.ptr ? ERR_OK : bad(err, "a part has no Content-Disposition");
}

/* --- parts ----------------------------------------------------------------------------------------------- */

void http_form_begin(struct http_form *f, struct str body, struct str boundary)
{
    assert(is_boundary(boundary));
    *f = (struct http_form){ .rest = body };
    memcpy(f->delimiter, "\r\n--", 4);
    memcpy(f->delimiter + 4, boundary.ptr, boundary.len);
    f->delimiter_len = boundary.len + 4;
}

/* Behind a delimiter: a line's end, or "--" and the end of the body. */
static enum err_code after_delimiter(struct http_form *f, struct err *err)
{
    if (str_starts(f->rest, STR("\r\n"))) {
        f->rest = str_slice(f->rest, 2, f->rest.len);
        return ERR_OK;
    }
    if (!str_starts(f->rest, STR("--")))
        return bad(err, "a boundary is followed by something else than a line's end");
    f->ended = true;
    f->rest = str_slice(f->rest, 2, f->rest.len);
    if (f->rest.len && !str_is(f->rest, "\r\n"))
        return bad(err, "bytes follow its last boundary");
    return ERR_OK;
}

static enum err_code find_first(struct http_form *f, struct err *err)
{
    struct str first = { f->delimiter + 2, f->delimiter_len - 2 }; /* no line ends before it */
    if (!str_starts(f->rest, first))
        return bad(err, "it does not begin with its boundary");
    f->rest = str_slice(f->rest, first.len, f->rest.len);
    return after_delimiter(f, err);
}

enum err_code http_form_next(struct http_form *f, struct http_part *part, bool *found, struct arena *a,
                             struct err *err)
{
    enum err_code code = ERR_OK;
    *part = (struct http_part){ 0 };
    *found = false;
    if (!f->begun)
        code = find_first(f, err);
    f->begun = true;
    if (code || f->ended)
        return code;
    if (f->parts++ == HTTP_FORM_PARTS_MAX)
        return err_set(err, ERR_BAD_REQUEST, NULL, "The multipart body has more than %d parts.",
                       HTTP_FORM_PARTS_MAX);
    code = read_head(f, part, a, err);
    if (code)
        return code;
    const char *end = f->rest.len ? memmem(f->rest.ptr, f->rest.len, f->delimiter, f->delimiter_len) : NULL;
    if (!end)
        return bad(err, "it ends without its last boundary");
    size_t len = (size_t)(end - f->rest.ptr);
    part->bytes = str_slice(f->rest, 0, len);
    f->rest = str_slice(f->rest, len + f->delimiter_len, f->rest.len);
    *found = true;
    return after_delimiter(f, err);
}
