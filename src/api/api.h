/*
 * api.h - the API's meaning: requests checked field by field, jobs submitted, events as JSON.
 *
 * Endpoints are one table (endpoints.c). Each resource has a file. A field is honoured, or refused by name.
 *
 * Threads: handlers run on http's workers, job sinks on the conductor's thread; an exchange under way is
 * shared by the two only through http's thread-safe replies and job_cancel.
 */
#ifndef THINKD_API_API_H
#define THINKD_API_API_H

#include "access/access.h"
#include "config/config.h"
#include "http/http.h"
#include "job/job.h"
#include "store/store.h"
#include "json/json.h"

struct api;

/* All borrowed until api_close. data: the directory that is kept; NULL: nothing is. */
struct api_config {
    const struct config *options;
    const char *data;
    struct access *access;
    struct store *store;
    struct conductor *conductor;
};
/* Takes over the jobs that an earlier process left in the store. */
enum err_code api_open(struct api **out, const struct api_config *cfg, struct err *err);
/* After http_run has returned and the conductor was closed. */
void api_close(struct api *a);                                       /* NULL is fine */
const struct http_route *api_routes(const struct api *a, size_t *n); /* app of the routes is the struct api */
void api_error_body(struct buf *body, const struct err *err);        /* {"error":{message,type,param,code}} */

/* Row i of the endpoint table, for documents and tests: false past the end. */
bool api_endpoint(size_t i, const char **method, const char **path);
/* Row i of all request field tables one after the other, for documents and tests: false past the end.
 * *table says where the field stands: "responses", "responses.reasoning", "chat", "chat.messages[]", ... */
bool api_field(size_t i, const char **table, const char **name, enum field_kind *kind);
/* Whether POST /v1/responses has a field of that name which this version honours or ignores: for prompt templates. */
bool api_is_request_field(const char *name);

#endif
