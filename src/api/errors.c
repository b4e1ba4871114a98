/*
 * errors.c - struct err as the API shows it: one object, four keys, always all of them.
 *
 * Error objects and sentences follow API.md's section on errors, which quotes what clients already know. Every
 * error that reaches a caller before the first byte of a stream passes here.
 *
 * Threads: no state; reply functions from any thread.
 */
#include "api/api_impl.h"

#include <stdio.h>

#define QUOTED_BYTES_MAX 64 /* of a caller's value inside a message */

void put_error_fields(struct json_writer *w, const struct err *err, bool with_type)
{
    jw_key(w, "message");
    jw_cstring(w, err->message);
    if (with_type) {
        jw_key(w, "type");
        jw_cstring(w, err_type(err->code));
    }
    jw_key(w, "param");
    jw_cstring(w, err->param[0] ? err->param : NULL);
    jw_key(w, "code");
    jw_cstring(w, err_api_code(err->code));
}

void api_error_body(struct buf *body, const struct err *err)
{
    struct json_writer w = { .out = body };
    jw_begin_object(&w);
    jw_key(&w, "error");
    jw_begin_object(&w);
    put_error_fields(&w, err, true);
    jw_end_object(&w);
    jw_end_object(&w);
}

void reply_json(struct http_exchange *x, int status, const struct buf *body)
{
    http_reply(x, status, "application/json", buf_str(body));
}

void reply_error(struct http_exchange *x, const struct err *err)
{
    struct buf body = { 0 };
    int status = err_status(err->code);
    api_error_body(&body, err);
    if (status == 503) { /* clients wait this long before they try again */
        http_set_header(x, "retry-after", "1");
        http_set_header(x, "retry-after-ms", "1000");
    }
    reply_json(x, status, &body);
    buf_free(&body);
}

static struct str quoted(struct str s)
{
    struct str cut = str_slice(s, 0, QUOTED_BYTES_MAX);
    return str_slice(cut, 0, utf8_whole_len(cut));
}

enum err_code refuse_invalid(struct err *err, const char *param, struct str got, const char *const *supported)
{
    struct buf list = { 0 };
    for (size_t i = 0; supported[i]; i++)
        buf_printf(&list, "%s'%s'", i == 0 ? "" : supported[i + 1] ? ", " : ", and ", supported[i]);
    got = quoted(got);
    err_set(err, ERR_INVALID_VALUE, param, "Invalid value: '%.*s'. Supported values are: %s.", STR_ARG(got),
            list.ptr ? list.ptr : "none");
    buf_free(&list);
    return ERR_INVALID_VALUE;
}

enum err_code refuse_unsupported(struct err *err, const char *param, const char *got, const char *why)
{
    struct str cut = quoted(str_from(got));
    return err_set(err, ERR_UNSUPPORTED_VALUE, param, "Unsupported value: '%.*s' is not supported%s%s.",
                   STR_ARG(cut), why ? " " : " by this server yet", why ? why : "");
}

enum err_code refuse_missing(struct err *err, const char *param)
{
    return err_set(err, ERR_MISSING_PARAMETER, param, "Missing required parameter: '%s'.", param);
}

enum err_code check_string_max(struct err *err, const char *param, struct str s, size_t chars_max)
{
    if (s.len <= chars_max) /* no more characters than bytes */
        return ERR_OK;
    size_t chars = utf8_count(s);
    if (chars <= chars_max)
        return ERR_OK;
    return err_set(
        err, ERR_STRING_TOO_LONG, param,
        "Invalid '%s': string too long. Expected a string with maximum length %zu, but got a string "
        "with length %zu instead.",
        param, chars_max, chars);
}
