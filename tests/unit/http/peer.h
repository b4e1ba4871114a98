/*
 * peer.h - a client of raw bytes and a server to aim it at, for the tests of http and fetch.
 *
 * Every wait has a deadline of PEER_WAIT_MS and fails the test when it passes; none is a sleep.
 */
#ifndef THINKD_TESTS_UNIT_HTTP_PEER_H
#define THINKD_TESTS_UNIT_HTTP_PEER_H

#include "test.h"

#include "base/thread.h"
#include "http/http.h"

#include <pthread.h>

#define PEER_WAIT_MS 20000

struct peer {
    int fd;
    struct buf in; /* received and not yet taken */
    bool eof;
};

struct peer_reply {
    int status;
    struct buf head, body; /* body decoded */
    bool closes;           /* Connection: close */
};

void peer_open(struct peer *p, const char *url);
void peer_send(struct peer *p, const char *text);
void peer_send_bytes(struct peer *p, const void *bytes, size_t len);
bool peer_fill(struct peer *p);                      /* more bytes; false at the end of the connection */
void peer_until(struct peer *p, const char *needle); /* and takes everything up to its end */
struct peer_reply *peer_read(struct peer *p);        /* the next whole reply */
struct peer_reply *peer_read_head(struct peer *p);   /* its head only */
const char *peer_header(struct peer_reply *r, const char *name); /* or NULL; valid until the next call */
void peer_reply_free(struct peer_reply *r);
void peer_until_eof(struct peer *p);
void peer_close(struct peer *p);

/* One request on its own connection. */
struct peer_reply *peer_ask(const char *url, const char *request);

/* A server with the routes of peer.c on a thread of its own. */
struct world {
    struct http_server *server;
    struct thread loop;
    pthread_mutex_t lock; /* guards below */
    pthread_cond_t moved;
    struct http_exchange *held[2048]; /* by GET /hold and GET /stream, oldest first */
    size_t n_held;
    int gone;    /* calls of on_gone */
    int blocked; /* workers inside GET /block */
    bool open;   /* lets them out */
    bool running;
};

extern const struct http_config world_defaults;
struct world *world_start(const struct http_config *cfg);       /* NULL: world_defaults */
struct http_exchange *world_take(struct world *w);              /* waits for a held exchange */
void world_hold_gone(struct world *w, struct http_exchange *x); /* http_on_gone that counts in w->gone */
void world_wait_gone(struct world *w, int count);
void world_wait_blocked(struct world *w, int count);
void world_unblock(struct world *w);
void world_stop(struct world *w); /* http_stop and waits for http_run to return */
void world_end(struct world *w);  /* stops if it runs, and frees */
const char *world_url(struct world *w);

#endif
