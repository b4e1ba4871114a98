/*
 * errors.c - struct err as the API shows it: one object, four keys, always all of them.
 *
 * Error objects and sentences follow API.md's section on errors, which quotes what clients already know. Every
 * error that reaches a caller before the first byte of a stream passes here.
 *
 * Threads: no state; reply functions from any thread.
 */
#include "api/api_impl.h"

void put_error_fields(struct json_writer *w, const struct err *err, bool with_type)
{
    jw_key_cstring(w, "message", err->message);
    if (with_type) {
        jw_key_cstring(w, "type", err_type(err->code));
    }
    jw_key_cstring(w, "param", err->param[0] ? err->param : NULL);
    jw_key_cstring(w, "code", err_api_code(err->code));
}

void put_error_event(struct json_writer *w, const struct err *err)
{
    jw_key_int(w, "status", err_status(err->code));
    put_error_fields(w, err, false);
    jw_key(w, "error");
    jw_begin_object(w);
    put_error_fields(w, err, true);
    jw_end_object(w);
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
    api_error_body(&body, err);
    reply_json(x, err_status(err->code), &body);
    buf_free(&body);
}

enum err_code refuse_unsupported(struct err *err, const char *param, const char *got, const char *why)
{
    struct str cut = field_quoted(str_from(got));
    return err_set(err, ERR_UNSUPPORTED_VALUE, param, "Unsupported value: '%.*s' is not supported%s%s.",
                   STR_ARG(cut), why ? " " : " by this server yet", why ? why : "");
}
