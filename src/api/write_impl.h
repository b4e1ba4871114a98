/*
 * write_impl.h - bytes and JSON as they go out: members of objects, errors, base64, lists in pages.
 *
 * Nothing here knows what it writes.
 */
#ifndef THINKD_API_WRITE_IMPL_H
#define THINKD_API_WRITE_IMPL_H

#include "api/call_impl.h"

/* --- errors.c --------------------------------------------------------------------------------------- */

void reply_error(struct http_exchange *x, const struct err *err);
void reply_json(struct http_exchange *x, int status, const struct buf *body);
/* message, type, param, code; without the type where the object has one of its own. */
void put_error_fields(struct json_writer *w, const struct err *err, bool with_type);
/* What an "error" event has behind its number: two readings of it in one object, members beside the type and an error object.
 * The status is what a WebSocket's errors have. */
void put_error_event(struct json_writer *w, const struct err *err);

/* "Unsupported value: 'x' is not supported ...": the API knows it, this server cannot do it. why may be NULL. */
enum err_code refuse_unsupported(struct err *err, const char *param, const char *got, const char *why);

/* --- encode.c --------------------------------------------------------------------------------------- */

#define SHA256_HEX_SIZE 65                             /* 64 digits and a NUL */
void base64_put(struct buf *out, struct str bytes);    /* RFC 4648, with padding */
bool base64_get(struct buf *out, struct str text);     /* strict; what was put before it failed stays */
void base64url_put(struct buf *out, struct str bytes); /* its section 5, without padding */
bool base64url_get(struct buf *out, struct str text);
void sha256_hex(char out[SHA256_HEX_SIZE], const struct str *pieces,
                size_t n); /* of the pieces, one after the other */

/* --- paging.c: query parameters, and lists in pages --------------------------------------------------------- */

#define PAGE_LIMIT_MAX       100
#define PAGE_LIMIT_FILES_MAX 10000

/* What a list's caller asked for; the endpoint's defaults before page_read. */
struct page {
    size_t limit, limit_max;
    bool descending;
    struct str after, before; /* ids, exclusive; views of the query */
};

bool param_get(const struct call *c, const char *name, struct str *value); /* the first of that name */
/* A parameter that was not sent leaves *out alone. */
enum err_code param_int(const struct call *c, const char *name, int64_t min, int64_t max, int64_t *out,
                        struct err *err);
enum err_code param_bool(const struct call *c, const char *name, bool *out, struct err *err);
/* The name at *at of "a,b"; *at goes on behind its comma, above the list's length behind the last. */
struct str name_at(struct str list, size_t *at);
/* include, include[] and lists with commas: known names only. */
enum err_code param_include(const struct call *c, struct err *err);
extern const char *const include_names[]; /* ends in NULL */

/* limit, order, after, before. */
enum err_code page_read(const struct call *c, struct page *page, struct err *err);
/* The page of a list that is all here, oldest first: a new array, in the page's order. With before alone it is the page
 * that ends there. more: the list goes on in the direction in which the caller walks. */
enum err_code page_cut(json_t **out, const json_t *items, const struct page *page, bool *more,
                       struct err *err);

/* {"object":"list","data":[...],"first_id","last_id","has_more"}, written entry by entry. */
struct list_reply {
    struct buf body;
    struct json_writer w;
    struct str first, last; /* views of the callers' ids */
};
void list_begin(struct list_reply *l);
void list_put(struct list_reply *l, struct str id, struct str json);
void list_send(struct list_reply *l, struct http_exchange *x, bool more);
void reply_items(struct http_exchange *x, const json_t *items, bool more);
void reply_value(struct http_exchange *x, const json_t *value);
void reply_deleted(struct http_exchange *x, struct str id, const char *object);

#endif
