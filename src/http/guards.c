/*
 * guards.c - refuse every head that two HTTP parsers could read in two ways.
 *
 * A proxy in front of us and the library behind us must agree where a request ends; where they
 * might not, an attacker hides a second request in the first ("request smuggling", RFC 9112
 * section 11.2). libmicrohttpd 0.9.75 takes the first of two Content-Lengths, names with
 * blanks, NULs, and Content-Length beside chunked. So each head passes here, as raw bytes when
 * it is the first of its connection, and as the library's list of fields always. What is refused
 * ends the connection, since nothing behind such a head can be trusted.
 *
 * Pure functions over views; no memory, no state, any thread.
 */
#include "http/http_impl.h"

#include <string.h>

/* RFC 9110, section 5.6.2 */
static bool is_token_char(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return true;
    return c && strchr("!#$%&'*+-.^_`|~", c);
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_char((unsigned char)s.ptr[i]))
            return false;
    return s.len > 0;
}

/* Field values: no controls but the tab. Bytes above ASCII are opaque and pass (obs-text). */
static bool is_value(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

static struct str trim_blanks(struct str s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = str_slice(s, 1, s.len);
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Empty lines before the request line are skipped (RFC 9112, section 2.2). */
static size_t leading_breaks(struct str bytes)
{
    size_t at = 0;
    while (at < bytes.len && (bytes.ptr[at] == '\r' || bytes.ptr[at] == '\n'))
        at++;
    return at;
}

size_t head_end(struct str bytes)
{
    /* A bare LF ends a line here too: head_parse refuses it at once, instead of waiting for a CR. */
    for (size_t i = leading_breaks(bytes); i < bytes.len; i++) {
        if (bytes.ptr[i] != '\n')
            continue;
        if (i + 1 < bytes.len && bytes.ptr[i + 1] == '\n')
            return i + 2;
        if (i + 2 < bytes.len && bytes.ptr[i + 1] == '\r' && bytes.ptr[i + 2] == '\n')
            return i + 3;
    }
    return 0;
}

/* Takes one line off *rest, without its CRLF. */
static enum err_code take_line(struct str *rest, struct str *line, struct err *err)
{
    const char *lf = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    if (!lf || lf == rest->ptr || lf[-1] != '\r')
        return err_set(err, ERR_BAD_REQUEST, NULL,
                       "The lines of a request's head must end in CR LF, not in LF alone.");
    size_t len = (size_t)(lf - rest->ptr);
    *line = (struct str){ rest->ptr, len - 1 };
    *rest = str_slice(*rest, len + 1, rest->len);
    return ERR_OK;
}

static enum err_code parse_request_line(struct str line, struct http_head *out, struct err *err)
{
    const char *first = line.len ? memchr(line.ptr, ' ', line.len) : NULL;
    const char *last = line.len ? memrchr(line.ptr, ' ', line.len) : NULL;
    if (!first || first == last)
        return err_set(
            err, ERR_BAD_REQUEST, NULL,
            "The request line must be a method, a path and HTTP/1.1, with one blank between them.");
    out->method = (struct str){ line.ptr, (size_t)(first - line.ptr) };
    out->target = (struct str){ first + 1, (size_t)(last - first - 1) };
    out->version = str_slice(line, (size_t)(last + 1 - line.ptr), line.len);
    return ERR_OK;
}

enum err_code head_parse(struct str block, struct http_field *fields, size_t fields_max,
                         struct http_head *out, struct err *err)
{
    struct str rest = str_slice(block, leading_breaks(block), block.len), line;
    *out = (struct http_head){ .fields = fields };
    enum err_code code = take_line(&rest, &line, err);
    if (!code)
        code = parse_request_line(line, out, err);
    while (!code) {
        code = take_line(&rest, &line, err);
        if (code || line.len == 0)
            return code;
        const char *colon = memchr(line.ptr, ':', line.len);
        if (!colon) /* a line folded onto the one before it has none or starts with a blank: refused as well */
            return err_set(err, ERR_BAD_REQUEST, NULL, "A header line has no colon.");
        if (out->n_fields == fields_max)
            return err_set(err, ERR_HEADERS_TOO_LARGE, NULL, "A request may have at most %zu header fields.",
                           fields_max);
        size_t name_len = (size_t)(colon - line.ptr);
        fields[out->n_fields++] = (struct http_field){
            str_slice(line, 0, name_len),
            trim_blanks(str_slice(line, name_len + 1, line.len)),
        };
    }
    return code;
}

struct str head_field(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->n_fields; i++)
        if (str_eq_nocase(head->fields[i].name, str_from(name)))
            return trim_blanks(head->fields[i].value);
    return (struct str){ 0 };
}

static size_t count_fields(const struct http_head *head, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < head->n_fields; i++)
        count += str_eq_nocase(head->fields[i].name, str_from(name));
    return count;
}

static enum err_code guard_request_line(const struct http_head *head, struct err *err)
{
    if (!is_token(head->method) || head->method.len > 32)
        return err_set(err, ERR_BAD_REQUEST, NULL, "The request's method is malformed.");
    if (!str_is(head->version, "HTTP/1.1") && !str_is(head->version, "HTTP/1.0"))
        return err_set(err, ERR_BAD_REQUEST, NULL, "This server speaks HTTP/1.1 and HTTP/1.0 only.");
    for (size_t i = 0; i < head->target.len; i++) {
        unsigned char c = (unsigned char)head->target.ptr[i];
        if (c <= 0x20 || c == 0x7f)
            return err_set(err, ERR_BAD_REQUEST, NULL,
                           "The request's path holds a blank or a control character; percent-encode it.");
    }
    bool asterisk = str_is(head->target, "*") && str_is(head->method, "OPTIONS");
    if (!asterisk && !str_starts(head->target, STR("/")))
        return err_set(err, ERR_BAD_REQUEST, NULL, "The request's path must start with '/'.");
    return ERR_OK;
}

static enum err_code guard_fields(const struct http_head *head, struct err *err)
{
    /* Each of these decides what the request is or where it ends; a second one makes that ambiguous. */
    static const char *const once[] = { "Host",         "Content-Length", "Transfer-Encoding",
                                        "Content-Type", "Authorization",  "Expect" };
    if (head->n_fields > HTTP_FIELDS_MAX)
        return err_set(err, ERR_HEADERS_TOO_LARGE, NULL, "A request may have at most %d header fields.",
                       HTTP_FIELDS_MAX);
    for (size_t i = 0; i < head->n_fields; i++) {
        if (!is_token(head->fields[i].name))
            return err_set(
                err, ERR_BAD_REQUEST, NULL,
                "A header field's name is empty or holds a blank or a character that names cannot hold.");
        if (!is_value(head->fields[i].value))
            return err_set(err, ERR_BAD_REQUEST, NULL, "The header field %.*s holds a control character.",
                           STR_ARG(str_slice(head->fields[i].name, 0, 64)));
    }
    for (size_t i = 0; i < ARRAY_LEN(once); i++)
        if (count_fields(head, once[i]) > 1)
            return err_set(err, ERR_BAD_REQUEST, NULL, "The header field %s may appear only once.", once[i]);
    return ERR_OK;
}

static enum err_code guard_host(const struct http_head *head, struct err *err)
{
    if (count_fields(head, "Host") == 0)
        return str_is(head->version, "HTTP/1.0")
                   ? ERR_OK
                   : err_set(err, ERR_BAD_REQUEST, NULL, "The header field Host is missing.");
    struct str host = head_field(head, "Host");
    for (size_t i = 0; i < host.len; i++)
        if (strchr(" \t,/?#@\\<>\"", host.ptr[i]))
            return err_set(err, ERR_BAD_REQUEST, NULL, "The header field Host is malformed.");
    return ERR_OK;
}

static bool is_digits(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > 0;
}

static enum err_code guard_framing(const struct http_head *head, struct http_framing *framing,
                                   struct err *err)
{
    bool has_length = count_fields(head, "Content-Length"), encoded = count_fields(head, "Transfer-Encoding");
    if (has_length && encoded)
        return err_set(err, ERR_BAD_REQUEST, NULL,
                       "Content-Length and Transfer-Encoding contradict each other; send one of them.");
    if (encoded) {
        if (!str_eq_nocase(head_field(head, "Transfer-Encoding"), STR("chunked")) ||
            str_is(head->version, "HTTP/1.0"))
            return err_set(err, ERR_BAD_REQUEST, NULL,
                           "The only Transfer-Encoding this server takes is chunked, with HTTP/1.1.");
        framing->chunked = true;
    }
    if (has_length) {
        struct str value = head_field(head, "Content-Length");
        int64_t length;
        if (!is_digits(value))
            return err_set(err, ERR_BAD_REQUEST, NULL, "Content-Length must be a number of bytes.");
        if (!str_to_i64(value, &length))
            return err_set(err, ERR_TOO_LARGE, NULL,
                           "The request's body is larger than any this server takes.");
        framing->has_length = true;
        framing->length = (uint64_t)length;
    }
    struct str expect = head_field(head, "Expect");
    if (expect.len && !str_eq_nocase(expect, STR("100-continue")))
        return err_set(err, ERR_BAD_REQUEST, NULL, "The only expectation this server meets is 100-continue.");
    return ERR_OK;
}

enum err_code head_guard(const struct http_head *head, struct http_framing *framing, struct err *err)
{
    *framing = (struct http_framing){ 0 };
    enum err_code code = guard_request_line(head, err);
    if (!code)
        code = guard_fields(head, err);
    if (!code)
        code = guard_host(head, err);
    return code ? code : guard_framing(head, framing, err);
}

bool head_accounts_for(const struct http_head *head, size_t bytes)
{
    size_t sum = head->method.len + head->target.len + head->version.len + 4; /* two blanks, CR LF */
    for (size_t i = 0; i < head->n_fields; i++) {
        const struct http_field *f = &head->fields[i];
        /* Name and value lie in one line, so their distance is the colon and the blanks behind it. */
        uintptr_t gap = (uintptr_t)f->value.ptr - ((uintptr_t)f->name.ptr + f->name.len);
        if (gap == 0 || gap > bytes)
            return false;
        sum += f->name.len + gap + f->value.len + 2;
    }
    return sum + 2 == bytes;
}
