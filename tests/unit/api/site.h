/*
 * site.h - the whole API in this process, on the echo engine and a store in memory or in a file, asked over a socket.
 *
 * Threads: the server's own; site_ask may be called by any and blocks until the reply has ended.
 */
#ifndef THINKD_TESTS_UNIT_API_SITE_H
#define THINKD_TESTS_UNIT_API_SITE_H

#include "api/api_impl.h"
#include "base/thread.h"

struct site {
    struct config cfg;
    struct access *access;
    struct store *store;
    struct conductor *conductor;
    struct api *api;
    struct http_server *server;
    struct thread loop;
    int port;
};
/* options: further arguments of serve, NULL-terminated, or NULL. path: the store's file, NULL for memory. */
void site_open(struct site *s, const char *const *options, const char *path);
void site_close(struct site *s);

struct site_reply {
    int status;
    char *head; /* the status line and the headers, as they came */
    struct buf body;
    json_t *json; /* NULL: the body is none */
};
/* headers: whole lines with their line breaks, or NULL. */
struct site_reply site_ask(const struct site *s, const char *method, const char *path, const char *headers,
                           const char *body);
void site_reply_free(struct site_reply *r);
/* Sends without reading: the descriptor, to be closed or read by site_read. */
int site_send(const struct site *s, const char *method, const char *path, const char *headers,
              const char *body);
struct site_reply site_read(int fd); /* closes it */
/* The reply's JSON, the caller's; NULL where it is none. Another status fails the test. */
json_t *site_json(const struct site *s, const char *method, const char *path, const char *body, int status);
struct buf site_bytes(const struct site *s,
                      const char *path); /* of a GET that succeeds; the caller frees them */

#define OWNER "local" /* of every caller of a server without keys */

/* A job's row. NULL members are empty. */
struct row {
    const char *id, *owner, *previous, *conversation;
    enum store_status status;
    int64_t created_ms;
    const char *input;         /* an array of items */
    const char *response;      /* the whole object; only of jobs that are over */
    const char *const *events; /* ends in NULL */
};
void put_row(struct store *store, const struct row *row);

#endif
