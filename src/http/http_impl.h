/*
 * http_impl.h - what the files of http/ share.
 *
 * The path of a request through them:
 *   conn.c      accepts, bounds and times connections; looks at the first head before the library does
 *   guards.c    refuses heads that two parsers could read in two ways
 *   router.c    turns method and target into a route and its arguments
 *   server.c    libmicrohttpd and its callbacks
 *   loop.c      the thread that runs all this, and the workers
 *   exchange.c  the request once it is complete, and its one answer, given from any thread
 *   websocket.c a connection that was upgraded; handshake.c how it begins, frames.c its protocol
 *   reply.c     the header fields that every answer carries, and refusals written without the library
 *
 * Threads: everything here belongs to the loop thread, except what struct http_exchange marks otherwise.
 * Locks:   http_exchange.lock, then a mailbox's own; never two exchanges at a time.
 */
#ifndef THINKD_HTTP_IMPL_H
#define THINKD_HTTP_IMPL_H

#include "base/arena.h"
#include "base/mailbox.h"
#include "base/thread.h"
#include "http/http.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#define HTTP_FIELDS_MAX       128         /* header fields of a request */
#define HTTP_QUERY_MAX        64          /* query parameters */
#define HTTP_ARGS_MAX         4           /* {..} in a route's pattern */
#define HTTP_QUEUE_PER_WORK   64          /* complete requests that wait for one worker */
#define HTTP_BODIES_MAX       (512 * MIB) /* of all requests in flight */
#define HTTP_BODY_BELIEVED    (4 * MIB)   /* of a body that came, before memory is taken for all of it */
#define HTTP_GATHER_NS        (2 * 1000 * 1000) /* at least this long between two rounds of stream wakes, */
#define HTTP_GATHER_FROM      256               /* where so many requests are in flight */
#define HTTP_LINGER_MS        2000              /* how long a refused client may take to read why */
#define HTTP_ACCEPT_PAUSE_MS  100               /* when the process has no descriptor left */
#define HTTP_ID_SIZE          37                /* "req_", 32 hex digits, NUL */
#define HTTP_ACCEPT_SIZE      29                /* base64 of a SHA-1 digest, NUL */
#define HTTP_SOCKET_QUEUE_MAX 16                /* texts of one socket that wait for a worker */
#define HTTP_SOCKET_PONGS_MAX 32                /* pongs owed to a client that does not read */

/* --- guards.c: pure ------------------------------------------------------------------------------ */

struct http_field {
    struct str name, value;
};

/* A request's head as views: of the raw bytes, or of what the library made of them. */
struct http_head {
    struct str method, target, version;
    const struct http_field *fields;
    size_t n_fields;
};

struct http_framing {
    bool chunked;
    bool has_length;
    uint64_t length; /* bytes, when has_length */
};

/* Bytes up to and with the empty line that ends a head; 0 while it is not there. */
size_t head_end(struct str bytes);
/* Splits a complete head into out, whose fields lie in the given array. ERR_BAD_REQUEST names what is
 * malformed, ERR_HEADERS_TOO_LARGE when there are more than fields_max. */
enum err_code head_parse(struct str block, struct http_field *fields, size_t fields_max,
                         struct http_head *out, struct err *err);
/* Refuses what is ambiguous (RFC 9112, sections 3.2, 5, 6 and 11.2); fills framing. */
enum err_code head_guard(const struct http_head *head, struct http_framing *framing, struct err *err);
/* Whether views into one received buffer account for each of its bytes: what a NUL hid does not. */
bool head_accounts_for(const struct http_head *head, size_t bytes);
struct str head_field(const struct http_head *head, const char *name); /* first of that name, or empty */

/* --- router.c: pure ------------------------------------------------------------------------------ */

struct http_target {
    struct str raw_path; /* a view of the target, before '?' */
    struct str path;     /* decoded, in the arena */
    const struct http_field *query;
    size_t n_query;
};

struct http_match {
    const struct http_route *route; /* NULL: an OPTIONS request, answered here */
    struct str args[HTTP_ARGS_MAX];
    size_t n_args;
    char allow[64]; /* methods of the path: "GET, HEAD, OPTIONS" */
};

/* Percent-decoding: no broken escapes, no NUL, valid UTF-8. plus_is_blank: as in queries. */
enum err_code percent_decode(struct str in, bool plus_is_blank, struct arena *a, struct str *out,
                             struct err *err);
enum err_code target_decode(struct str target, struct arena *a, struct http_target *out, struct err *err);
/* ERR_NOT_FOUND, ERR_METHOD (allow is filled), or the first route of the table that matches. */
enum err_code route_find(const struct http_route *routes, size_t n_routes, struct str method,
                         const struct http_target *target, struct arena *a, struct http_match *out,
                         struct err *err);

/* --- reply.c -------------------------------------------------------------------------------------- */

/* What the fields that every answer carries are made of. */
struct reply_facts {
    const char *id;      /* the request's, HTTP_ID_SIZE */
    int64_t complete_ns; /* when the request was complete; 0: it is not */
    int status;
    bool own_retry;       /* the application said when to try again */
    bool own_repeat;      /* and whether to */
    struct str target;    /* as received, or empty when unknown */
    struct str client_id; /* X-Client-Request-Id as received, or empty */
};
/* Calls put with each of them. name and value are valid during the call. */
void reply_fields(const struct reply_facts *facts,
                  void (*put)(void *ctx, const char *name, const char *value), void *ctx);
void request_id_make(char id[HTTP_ID_SIZE]);
bool client_request_id_ok(struct str id);
const char *status_reason(int status);
/* A complete HTTP/1.1 answer that ends the connection. */
void refusal_write(struct buf *out, const struct http_config *cfg, const struct err *err,
                   const struct reply_facts *facts);

/* --- listen.c ------------------------------------------------------------------------------------- */

/* Binds and listens; url (caller frees) names the port that was bound. */
enum err_code listen_open(int *fd, char **url, const char *listen_on, struct err *err);

/* --- connections ---------------------------------------------------------------------------------- */

/*
 *  accept -> FIRST -head complete-> RECEIVING -request complete-> HELD -answered-> SENDING or STREAMING
 *                                      ^                                             |
 *                                      +-first byte- IDLE <------ answer sent -------+
 *  A refusal leads from anywhere to the end of the connection, by LINGER. SENDING leads to SOCKET by a 101.
 */
enum conn_phase {
    CONN_FIRST,     /* accepted; its first head has not arrived; the library does not know it */
    CONN_IDLE,      /* the library has it, no byte of a request has come */
    CONN_RECEIVING, /* between the first byte and the last of a request */
    CONN_HELD,      /* request complete, exchange handed out */
    CONN_SENDING,   /* the answer is on its way */
    CONN_STREAMING, /* as SENDING, and there may be more */
    CONN_LINGER,    /* refused; read until the client has seen why */
    CONN_SOCKET,    /* upgraded */
};

/* Connections whose time is up after the same delay, oldest first. */
struct conn_list {
    struct conn *head, *tail;
    int64_t delay_ns;
};

struct conn {
    struct http_server *server;
    struct conn *prev, *next;     /* all connections */
    struct conn *earlier, *later; /* the timer it is in */
    struct conn_list *timer;      /* or NULL */
    int64_t due_ns;
    int fd;                     /* closed here in FIRST and LINGER, else by the library */
    void *handle;               /* struct MHD_Connection, or NULL */
    struct http_exchange *x;    /* the request being received or answered */
    struct http_socket *socket; /* in SOCKET, until it has ended */
    void *upgrade;              /* struct MHD_UpgradeResponseHandle, in SOCKET */
    enum conn_phase phase;
    uint32_t armed;   /* epoll events asked for, 0 once they fired */
    bool watched;     /* registered in the loop's epoll */
    bool suspended;   /* the library waits for daemon_resume */
    bool half_closed; /* in the server's list of the same name */
    bool refused;     /* a refusal was written: linger */
    bool dead;        /* freed at the end of the loop's round */
    struct conn *next_half, *next_dead, *next_adopting;
    struct sockaddr_storage peer;
    socklen_t peer_len;
};

enum { TIMER_REQUEST, TIMER_IDLE, TIMER_PING, TIMER_LINGER, TIMER_COUNT };

struct http_server {
    struct http_config cfg;
    struct MHD_Daemon *daemon;
    char *url;
    int epoll, listener; /* -1: closed */
    struct mailbox *notes;
    struct mailbox *work;  /* struct work */
    struct mailbox *quick; /* struct http_exchange *: those that pass; for each there is a turn in work */
    struct thread *workers;
    int n_workers;

    struct conn *conns, *half, *dead;
    size_t n_conns;
    struct conn *adopting; /* given to the library, which has not named them yet */
    struct conn_list timers[TIMER_COUNT];
    int64_t accept_again_ns; /* 0: accepting */
    char *head;              /* scratch of head_bytes for looking at first heads */
    size_t head_bytes;

    size_t n_exchanges, n_sockets;
    size_t body_bytes;                        /* of all exchanges and sockets */
    struct http_exchange *ready, **ready_end; /* streams to wake in the next round */
    int64_t flushed_ns;

    atomic_bool stopping; /* written by the loop */
    bool cut;
    int64_t stop_by_ns;
};

void conns_init(struct http_server *s);
void conns_accept(struct http_server *s);
void conn_event(struct conn *c, uint32_t events);
void conn_set_phase(struct conn *c, enum conn_phase phase); /* and its timer and watch */
void conn_touch(struct conn *c);                            /* starts its timer again */
void conn_set_timer(struct conn *c, int timer);             /* TIMER_*; goes on if it runs */
void conn_watch(struct conn *c, uint32_t events);
void conn_let_go(struct conn *c); /* a socket's: it has ended, and the library closes it */
void conn_closed(struct conn *c); /* the library is about to close the descriptor */
void conn_bury(struct conn *c);   /* its descriptor is closed or not its own any more */
/* Writes a refusal past the library, which has nothing of this connection in its buffers. */
void conn_refuse(struct conn *c, const struct err *err);
void conns_expire(struct http_server *s, int64_t now_ns);
int64_t conns_next_ns(const struct http_server *s); /* when the next timer is due; INT64_MAX: none */
void conns_half_closed(struct http_server *s);      /* after each run of the library */
void conns_sweep(struct http_server *s);            /* frees the dead */
void conns_stop(struct http_server *s);             /* closes the silent ones */
void conns_cut(struct http_server *s);              /* ends all */
void conns_free(struct http_server *s);

enum err_code daemon_open(struct http_server *s, int *fd,
                          struct err *err); /* fd: to be watched by the loop */
void daemon_close(struct http_server *s);
void daemon_run(struct http_server *s);
int64_t daemon_wait_ms(struct http_server *s); /* when it must run without an event; -1: never */
void daemon_adopt(struct conn *c);             /* gives the connection to the library */
void daemon_resume(struct conn *c);            /* does nothing if it is not suspended */
void daemon_release(struct conn *c);           /* gives an upgraded connection back, to be closed */

/* --- exchanges ------------------------------------------------------------------------------------ */

enum exchange_state {
    EXCHANGE_OPEN,
    EXCHANGE_REPLIED,
    EXCHANGE_STREAMING,
    EXCHANGE_ENDED, /* a stream's last byte was written */
    EXCHANGE_UPGRADED,
};

struct http_exchange {
    struct http_server *server;

    /* Written by the loop before the exchange is handed out, read-only from then on. */
    struct arena arena;
    char id[HTTP_ID_SIZE];
    int64_t received_ns, complete_ns;
    struct http_head head;
    struct http_target target;
    struct http_match match;
    struct http_framing framing;
    struct buf body;

    /* The holder's until it replies or begins its stream, the loop's from then on. */
    struct http_field *fields;
    size_t n_fields;
    int status;
    const char *content_type; /* in the arena, or NULL */
    void (*on_answer)(void *, const struct http_answer *);
    void *answer_ctx;

    pthread_mutex_t lock; /* guards from here to gone_ctx */
    enum exchange_state state;
    struct buf out; /* the reply's body, or what of a stream was not taken */
    size_t out_at;  /* bytes of out already taken */
    bool woken;     /* a NOTE_WAKE is under way */
    bool gone;      /* nobody reads any more; on_gone has been called if it was there */
    bool too_slow;  /* the reader let more than stream_bytes_max gather */
    void (*on_gone)(void *);
    void *gone_ctx;
    struct http_socket *socket; /* UPGRADED: what it becomes; the loop's from NOTE_DONE on */

    /* The loop's. Freed when all three are gone. */
    struct conn *conn; /* NULL once the library has done with the request */
    bool held;         /* a worker or holder has it */
    bool ready;        /* in the server's list of that name */
    struct http_exchange *next_ready;
    bool seen_head;
    bool dirty;          /* the library's buffer for a stream's chunks has pages to give back */
    size_t body_counted; /* its share of server->body_bytes */
};

enum note_kind {
    NOTE_WAKE, /* bytes were written, or on_gone was set late */
    NOTE_DONE, /* the holder has let go */
    NOTE_STOP,
    NOTE_SOCKET_WAKE, /* texts or a close wait to be sent */
    NOTE_SOCKET_DONE, /* a worker has come back */
};

struct note {
    enum note_kind kind;
    struct http_exchange *x;
    struct http_socket *socket;
};

/* One of the two; neither: a turn for the oldest quick one. */
struct work {
    struct http_exchange *x;
    struct http_socket *socket;
};

struct http_exchange *exchange_new(struct conn *c, struct str target);
void exchange_free_if_done(struct http_exchange *x);
void exchange_detach(struct http_exchange *x); /* the library has done with it */
void exchange_lost(struct http_exchange *x);   /* the client left, or must leave */
void exchange_check_gone(struct http_exchange *x);
/* An answer of the loop itself. */
void exchange_answer(struct http_exchange *x, int status, const char *content_type, struct str body);
void exchange_answer_error(struct http_exchange *x, const struct err *err);
/* For what the fields of its answer are made of; keeps facts->status. */
void exchange_facts(const struct http_exchange *x, struct reply_facts *facts);
/* Its holder's, which lets go. */
void exchange_refuse(struct http_exchange *x, const struct err *err);
void exchange_upgrade(struct http_exchange *x, struct http_socket *socket);
/* How many of max bytes a chunk should take, so that frames are not split where they fit. */
size_t frame_cut(struct str pending, size_t max);
bool exchange_ping(struct http_exchange *x); /* true: there is something to send now */

/* --- sockets -------------------------------------------------------------------------------------- */

/* ERR_BAD_REQUEST says what of a handshake is missing. */
enum err_code handshake_check(const struct http_head *head, struct err *err);
void handshake_accept(struct str key, char accept[HTTP_ACCEPT_SIZE]); /* Sec-WebSocket-Accept */

struct frames;

struct frames_io {
    /* As recv(2) and send(2): 0 is the end, -1 with EAGAIN is later. more: the rest of a frame follows. */
    ssize_t (*recv)(void *ctx, void *bytes, size_t len);
    ssize_t (*send)(void *ctx, const void *bytes, size_t len, bool more);
    void (*text)(void *ctx, struct buf *text); /* a complete message; takes the bytes or leaves them */
    void *ctx;
    /* A message is not taken, and the connection will be closed: may queue a last text. NULL is fine. */
    void (*refused)(void *ctx, enum err_code code, const char *reason);
};

struct frames *frames_open(size_t message_max, const struct frames_io *io);
void frames_free(struct frames *f);  /* NULL is fine */
bool frames_read(struct frames *f);  /* until recv says later; false: the connection ended */
bool frames_write(struct frames *f); /* until send says later; false: it cannot be written any more */
void frames_text(struct frames *f, struct str text); /* these three queue for frames_write */
void frames_ping(struct frames *f);
void frames_close(struct frames *f, int code,
                  struct str reason);             /* goes before texts that wait, and ends them */
bool frames_closing(const struct frames *f);      /* a close frame is queued or sent */
bool frames_was_answered(const struct frames *f); /* the client sent its close frame */
bool frames_over(const struct frames *f);         /* nothing more to read or write */
bool frames_want_write(const struct frames *f);
bool frames_flooded(const struct frames *f);    /* pings of a client that does not read */
size_t frames_unsent(const struct frames *f);   /* bytes of queued messages */
size_t frames_gathered(const struct frames *f); /* bytes of the message being received */

void socket_work(struct http_socket *s); /* on a worker */
/* On the loop. begin: its exchange was answered; then attach, or failed when the connection was lost before. */
void socket_begin(struct http_socket *s);
void socket_attach(struct http_socket *s, struct conn *c, struct str early);
void socket_failed(struct http_socket *s);
void socket_event(struct http_socket *s, uint32_t events);
void socket_expired(struct http_socket *s);
void socket_woken(struct http_socket *s);
void socket_worked(struct http_socket *s);
void socket_stop(struct http_socket *s);
void socket_cut(struct http_socket *s);

#endif
