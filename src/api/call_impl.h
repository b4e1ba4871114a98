/*
 * call_impl.h - what a request is before it means anything: the API it came to, its owner, its row in the endpoint table.
 *
 * dispatch (endpoints.c) makes a struct call and hands it to the row's handler, which answers its exchange once.
 */
#ifndef THINKD_API_CALL_IMPL_H
#define THINKD_API_CALL_IMPL_H

#include "api/api.h"

#include "base/arena.h"

#include <stdatomic.h>

#define ID_HEX_DIGITS 48
#define ID_PREFIX_MAX 31
#define ID_SIZE       (ID_PREFIX_MAX + ID_HEX_DIGITS + 1)

void id_make(char id[ID_SIZE],
             const char *prefix); /* "msg_" + 48 hex digits, younger ids behind older ones */

struct later;
struct lane;
struct lanes;
struct formats;
struct api {
    const struct config *cfg;
    struct access *access;
    struct store *store;
    struct conductor *conductor;
    struct arena arena;
    struct http_route *routes; /* of each endpoint in each family of paths */
    size_t n_routes;
    struct later *later;  /* what may wait for the disk and has no worker */
    struct lanes *lanes;  /* open WebSockets */
    char fingerprint[16]; /* "fp_" + 10 hex digits that change with the model */
    struct seal *seal;
    struct idempotency *idempotency;
    struct retention *retention;
    struct webhooks *webhooks; /* NULL: no webhook_url */
    struct prompts *prompts;
    struct formats *formats; /* compiled schemas */
};

/* --- endpoints.c ------------------------------------------------------------------------------------ */

/* A request that was let in: whose it is, and the exchange that its handler answers exactly once, now or later. Lives
 * until the handler returns. Its place among the owner's limits is given back when the handler returns, unless the handler
 * has moved it to what goes on living (access_place_move): so a way out that forgets it leaks nothing. */
struct call {
    struct api *api;
    struct http_exchange *x;
    struct access_owner owner;
    struct access_place *place; /* empty where the endpoint does not generate */
    struct str deployment;      /* Azure: the model that the path names; else empty */
    bool again;                 /* it has waited for what it asks for; arriving.c */
};

enum {
    EP_KEY = 1,     /* the caller needs a key */
    EP_JSON = 2,    /* the body is JSON, as large as the configuration allows */
    EP_FORM = 4,    /* the body is multipart/form-data, as large as the configuration allows */
    EP_THINK = 8,   /* generates: it counts against the owner's limits and its replies say how they stand */
    EP_LIST = 16,   /* needs no key where the configuration's models_without_key says so */
    EP_SOCKET = 64, /* becomes a WebSocket, whose messages are as large as the configuration allows */
    EP_BODY = 32    /* a body is let pass unread: some clients send an empty object */
};

/* A row of the endpoint table: everything dispatch needs to know about a path. */
struct endpoint {
    const char *method, *path;
    void (*handle)(const struct call *c);
    unsigned flags;
    const char *const *query; /* NULL-terminated names of the query parameters that it reads; NULL: none */
};

/* Row i of the endpoint table, and the i-th field table; NULL past the end. */
const struct endpoint *endpoint_row(size_t i);
struct http_route *endpoint_routes(size_t *n, size_t body_max, struct arena *arena);
const struct field_table *field_table_at(size_t i);

/* --- limits.c ------------------------------------------------------------------------------------------- */

/* Takes a place among the owner's limits for a request with this much text, and says on the reply how they stand; also
 * when it is refused. */
enum err_code limits_enter(struct access *a, const struct access_owner *owner, struct http_exchange *x,
                           struct access_place *place, struct err *err);
int64_t limits_estimate(size_t bytes);          /* tokens of a request that is so long */
void put_duration(struct buf *out, int64_t ms); /* as Go writes one: "12ms", "1.5s", "6m0s" */

/* --- idempotency.c ---------------------------------------------------------------------------------- */

struct idempotency;
void idempotency_open(struct idempotency **out, struct store *store,
                      int64_t keep_ms);        /* keep_ms 0: keys are ignored */
void idempotency_close(struct idempotency *t); /* after every exchange was answered; NULL is fine */
/* True: the request is a repeat by its Idempotency-Key, and x was answered. Else its answer will be heard and kept. */
bool idempotency_answered(const struct call *c);
/* A background response's row is on disk: from here on a repeat of the request that x brought gets its stream. Before x is answered. */
void idempotency_accepted(struct idempotency *t, const struct http_exchange *x, struct str id,
                          bool obfuscate);

/* --- handlers and field tables ----------------------------------------------------------------------- */

void responses_create(const struct call *c);
void responses_cancel(const struct call *c);
void responses_socket(const struct call *c);
void chat_create(const struct call *c);
void completions_create(const struct call *c);
void models_list(const struct call *c);
void models_get(const struct call *c);
void model_lookup(const struct call *c);
void health_get(const struct call *c);
void responses_get(const struct call *c);
void responses_delete(const struct call *c);
void responses_input_items(const struct call *c);
void conversations_create(const struct call *c);
void conversations_get(const struct call *c);
void conversations_update(const struct call *c);
void conversations_delete(const struct call *c);
void conversation_items_create(const struct call *c);
void conversation_items_list(const struct call *c);
void conversation_item_get(const struct call *c);
void conversation_item_delete(const struct call *c);
void stored_chat_list(const struct call *c);
void stored_chat_get(const struct call *c);
void stored_chat_update(const struct call *c);
void stored_chat_delete(const struct call *c);
void stored_chat_messages(const struct call *c);
void files_create(const struct call *c);
void files_list(const struct call *c);
void files_get(const struct call *c);
void files_delete(const struct call *c);
void files_content(const struct call *c);
void responses_compact(const struct call *c);
void responses_input_tokens(const struct call *c);
void openapi_get(const struct call *c);
void openapi_put(struct buf *out); /* the description itself */

/* A field table under the name that docs/api.md gives it. */
struct field_table {
    const char *name;
    const struct field *rows;
    size_t n;
};
extern const struct field_table responses_tables[], chat_tables[], completions_tables[], message_tables[],
    item_tables[], conversation_tables[], stored_chat_tables[], compact_tables[], input_tokens_tables[],
    part_tables[], prompt_tables[], item_part_tables[], format_tables[]; /* end in a NULL name */

/* Rows of a field table: a typed member of struct s, a field dropped by design, a field that is not built. */
#define FIELD_ROW(k, s, m) .name = #m, .kind = FIELD_##k, .offset = offsetof(struct s, m)
#define FIELD_DROP(n)                                                                                        \
    {                                                                                                        \
        .name = n, .kind = FIELD_IGNORED                                                                     \
    }
#define FIELD_LATER(n)                                                                                       \
    {                                                                                                        \
        .name = n, .kind = FIELD_UNBUILT                                                                     \
    }

#endif
