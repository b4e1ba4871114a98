/*
 * websocket.c - connections that were upgraded: texts between a client and the workers.
 *
 * After the reply 101 the library only keeps the descriptor for us (server.c); the connection is watched and timed by
 * conn.c like any other, and its frames are read and written here by frames.c.
 *
 *   in    on the loop, text by text into a queue; the loop hands one at a time to a worker and the next only when that
 *         one has come back, which keeps their order. With HTTP_SOCKET_QUEUE_MAX texts waiting, or as many bytes as one
 *         message may have, the socket is not read (a few more may come from what the library had read ahead, less than
 *         4 KiB of frames): the client feels it as a full pipe, and nothing is dropped.
 *   out   from any thread into `pending`; a note, and the loop frames and sends them.
 *   end   by a close handshake, a refusal, silence, a reader too slow, or the stop (which asks its user first). Whatever ended it, texts that came
 *         before are still handed out (not after http_socket_close or the stop), then `closed`; the loop frees the socket
 *         when that has returned.
 *
 * Threads: the loop's, except what stands under `lock`. A worker touches `current` and `events` between two notes.
 * Locks:   lock, for a copy only; the notes' mailbox is used after it is released.
 */
#include "http/http_impl.h"

#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define READ_A_ROUND (64 * KIB) /* bytes of one socket before others have their turn */
#define CODE_AWAY    1001
#define CODE_LATER   1013
#define REASON_MAX   123 /* bytes: what a close frame holds */

struct message {
    struct message *next;
    struct buf text;
};

enum socket_state {
    SOCKET_WAITING, /* the 101 is on its way */
    SOCKET_OPEN,
    SOCKET_ENDED, /* without its connection; closed comes, or is running */
};

struct http_socket {
    struct http_server *server;
    struct http_socket_events events;
    char id[HTTP_ID_SIZE]; /* of the request that it was */
    size_t message_max;

    pthread_mutex_t lock; /* guards from here to close_reason */
    struct buf pending;   /* texts that the loop has not taken: each its length and its bytes */
    size_t unsent;        /* bytes that the loop has taken and not sent */
    bool woken;           /* a NOTE_SOCKET_WAKE is under way */
    bool gone, too_slow;
    int close_code; /* 0: not asked for */
    char close_reason[REASON_MAX + 1];

    /* The loop's. */
    enum socket_state state;
    struct conn *conn; /* while open */
    struct frames *frames;
    struct buf early; /* what came with the handshake and is not read yet */
    size_t early_at;
    size_t read_left; /* bytes of this round */
    struct message *queue, **queue_end, *current;
    size_t n_queue, queue_bytes;
    size_t body_counted;   /* its share of server->body_bytes */
    bool busy, told;       /* a worker has it; it was told the end */
    bool pinged, half_end; /* a ping is not answered yet; the client ended while nothing is read */
    bool dropping;         /* nothing more is handed out */
};

/* --- the upgrade ------------------------------------------------------------------------------------------- */

static struct http_socket *socket_new(struct http_exchange *x, const struct http_socket_events *events)
{
    struct http_socket *s = mem_zalloc(sizeof *s);
    s->server = x->server;
    s->events = *events;
    memcpy(s->id, x->id, sizeof s->id);
    s->message_max = x->match.route->body_max;
    s->queue_end = &s->queue;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

struct http_socket *http_upgrade(struct http_exchange *x, const struct http_socket_events *events)
{
    struct err err;
    assert(events->message && events->closed);
    enum err_code code = handshake_check(&x->head, &err);
    if (code) {
        http_set_header(x, "Sec-WebSocket-Version", "13");
        exchange_refuse(x, &err);
        return NULL;
    }
    if (x->server->stopping) {
        err_set(&err, ERR_BUSY, NULL, "The server is stopping; try again shortly.");
        exchange_refuse(x, &err);
        return NULL;
    }
    struct http_socket *s = socket_new(x, events);
    exchange_upgrade(x, s); /* x is gone from here */
    return s;
}

/* --- any thread ---------------------------------------------------------------------------------------------- */

static void note(struct http_socket *s, enum note_kind kind)
{
    struct note n = { .kind = kind, .socket = s };
    /* Bounded: one wake and one done a socket, and sockets are bounded by connections. */
    bool sent = mailbox_push(s->server->notes, &n);
    assert(sent); /* the server outlives its sockets */
    (void)sent;
}

bool http_socket_send(struct http_socket *s, struct str text)
{
    pthread_mutex_lock(&s->lock);
    bool open = !s->gone && !s->too_slow && !s->close_code;
    size_t unread = s->pending.len + s->unsent;
    /* As with streams, one text larger than the bound may pass when it is alone. */
    if (open && unread && unread + text.len > (size_t)s->server->cfg.stream_bytes_max)
        s->too_slow = true;
    bool taken = open && !s->too_slow;
    if (taken) {
        buf_put(&s->pending, &text.len, sizeof text.len);
        buf_put_str(&s->pending, text);
    }
    bool wake = open && !s->woken;
    s->woken |= wake;
    pthread_mutex_unlock(&s->lock);
    if (wake)
        note(s, NOTE_SOCKET_WAKE);
    return taken;
}

void http_socket_close(struct http_socket *s, int code, const char *reason)
{
    struct str text = str_slice(str_from(reason), 0, REASON_MAX);
    assert(code >= 1000 && code <= 4999);
    pthread_mutex_lock(&s->lock);
    bool first = !s->gone && !s->close_code;
    if (first) {
        s->close_code = code;
        memcpy(s->close_reason, text.len ? text.ptr : "", utf8_whole_len(text));
    }
    bool wake = first && !s->woken;
    s->woken |= wake;
    pthread_mutex_unlock(&s->lock);
    if (wake)
        note(s, NOTE_SOCKET_WAKE);
}

void socket_work(struct http_socket *s)
{
    if (s->current)
        s->events.message(s->events.ctx, s, buf_str(&s->current->text));
    else
        s->events.closed(s->events.ctx, s);
    note(s, NOTE_SOCKET_DONE);
}

/* --- texts for the workers ------------------------------------------------------------------------------------ */

static void message_free(struct message *m)
{
    if (m)
        buf_free(&m->text);
    mem_free(m);
}

static struct message *take_first(struct http_socket *s)
{
    struct message *m = s->queue;
    if (!m)
        return NULL;
    s->queue = m->next;
    if (!s->queue)
        s->queue_end = &s->queue;
    s->n_queue--;
    s->queue_bytes -= m->text.len;
    return m;
}

static void on_text(void *ctx, struct buf *text)
{
    struct http_socket *s = ctx;
    if (s->dropping)
        return;
    struct message *m = mem_zalloc(sizeof *m);
    m->text = *text;
    *text = (struct buf){ 0 };
    *s->queue_end = m;
    s->queue_end = &m->next;
    s->n_queue++;
    s->queue_bytes += m->text.len;
}

static void on_refused(void *ctx, enum err_code code, const char *reason)
{
    const struct http_socket *s = ctx;
    struct buf text = { 0 };
    struct err err;
    if (!s->events.refused)
        return;
    err_set(&err, code, NULL, "%s", reason);
    s->events.refused(s->events.ctx, &text, &err);
    frames_text(s->frames, buf_str(&text));
    buf_free(&text);
}

static void drop_queue(struct http_socket *s)
{
    s->dropping = true;
    while (s->queue)
        message_free(take_first(s));
}

/* What this socket holds of the bytes that clients sent counts beside the bodies of requests. */
static void count_bytes(struct http_socket *s)
{
    size_t now = s->queue_bytes + (s->current ? s->current->text.len : 0) +
                 (s->frames ? frames_gathered(s->frames) : 0);
    s->server->body_bytes += now - s->body_counted;
    s->body_counted = now;
}

/* The next text, or the end when none is left, to a worker. */
static void hand_out(struct http_socket *s)
{
    if (s->busy || s->told)
        return;
    s->current = take_first(s);
    if (!s->current && s->state != SOCKET_ENDED)
        return;
    s->told = !s->current;
    s->busy = true;
    struct work work = { .socket = s };
    mailbox_push(s->server->work, &work); /* one a socket */
}

/* --- the connection -------------------------------------------------------------------------------------------- */

static bool is_paused(const struct http_socket *s)
{
    return s->n_queue >= HTTP_SOCKET_QUEUE_MAX || (s->queue && s->queue_bytes >= s->message_max) ||
           frames_flooded(s->frames);
}

static ssize_t on_recv(void *ctx, void *bytes, size_t len)
{
    struct http_socket *s = ctx;
    size_t early = s->early.len - s->early_at;
    if (is_paused(s) || (!early && !s->read_left)) {
        errno = EAGAIN;
        return -1;
    }
    if (early) {
        size_t n = early < len ? early : len;
        memcpy(bytes, s->early.ptr + s->early_at, n);
        s->early_at += n;
        if (s->early_at == s->early.len) {
            buf_free(&s->early);
            s->early_at = 0;
        }
        return (ssize_t)n;
    }
    ssize_t n = recv(s->conn->fd, bytes, len < s->read_left ? len : s->read_left, MSG_DONTWAIT);
    if (n > 0) {
        s->read_left -= (size_t)n;
        s->pinged = false;
    }
    return n;
}

static ssize_t on_send(void *ctx, const void *bytes, size_t len, bool more)
{
    struct http_socket *s = ctx;
    /* With MSG_MORE a frame's header waits for its text, and both leave in one packet. */
    return send(s->conn->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
}

/* Takes what other threads want sent. False: the reader is too slow. */
static bool take_pending(struct http_socket *s, int *close_code)
{
    pthread_mutex_lock(&s->lock);
    struct buf texts = s->pending;
    s->pending = (struct buf){ 0 };
    s->unsent += texts.len;
    s->woken = false;
    *close_code = s->close_code;
    bool ok = !s->too_slow;
    pthread_mutex_unlock(&s->lock);
    for (size_t at = 0, len; ok && at < texts.len; at += len) {
        memcpy(&len, texts.ptr + at, sizeof len);
        at += sizeof len;
        frames_text(s->frames, (struct str){ texts.ptr + at, len });
    }
    buf_free(&texts);
    return ok;
}

static void watch_and_time(struct http_socket *s)
{
    uint32_t events = is_paused(s) ? EPOLLRDHUP : EPOLLIN;
    if (frames_want_write(s->frames))
        events |= EPOLLOUT;
    /* An end that came while nothing is read would be told again and again. */
    if (events != EPOLLRDHUP || !s->half_end)
        conn_watch(s->conn, events | EPOLLONESHOT);
    if (frames_closing(s->frames))
        conn_set_timer(s->conn, TIMER_LINGER);
}

static void socket_end(struct http_socket *s, const char *why)
{
    if (s->state == SOCKET_ENDED)
        return;
    pthread_mutex_lock(&s->lock);
    s->gone = true;
    pthread_mutex_unlock(&s->lock);
    if (s->state == SOCKET_OPEN) {
        /* A client that still sends would lose the close frame to a reset: see conn.c. */
        s->conn->refused = frames_closing(s->frames) && !frames_was_answered(s->frames);
        conn_let_go(s->conn);
        s->conn = NULL;
        frames_free(s->frames);
        s->frames = NULL;
    }
    s->state = SOCKET_ENDED;
    count_bytes(s);
    log_line(LOG_DEBUG, "http", "socket ended id=%s why=%s", s->id, why);
    hand_out(s);
}

/* Both end what is being received; libwslay would send a close frame before the texts that wait, and those never. */
static void begin_close(struct http_socket *s, int close_code)
{
    if (frames_closing(s->frames))
        return;
    if (s->server->body_bytes > HTTP_BODIES_MAX && frames_gathered(s->frames)) {
        drop_queue(s);
        frames_close(s->frames, CODE_LATER, STR("Too many large messages are being received."));
    } else if (close_code && !frames_want_write(s->frames)) {
        frames_close(s->frames, close_code,
                     str_from(s->close_reason)); /* written once, before the code was */
    }
}

static bool read_some(struct http_socket *s)
{
    s->read_left = READ_A_ROUND;
    bool ok = frames_read(s->frames);
    if (s->read_left < READ_A_ROUND &&
        !frames_closing(s->frames)) /* a close has its own time, from its beginning */
        conn_touch(s->conn);
    count_bytes(s);
    return ok;
}

static bool write_some(struct http_socket *s, int close_code)
{
    bool ok = frames_write(s->frames);
    begin_close(s, close_code);
    ok = ok && frames_write(s->frames);
    pthread_mutex_lock(&s->lock);
    s->unsent = frames_unsent(s->frames);
    pthread_mutex_unlock(&s->lock);
    return ok;
}

/* Moves what can be moved, both ways. The one place where an open socket ends in peace. */
static void pump(struct http_socket *s)
{
    int close_code;
    bool fast = take_pending(s, &close_code);
    if (close_code)
        drop_queue(s);
    bool reads = fast && read_some(s), writes = reads && write_some(s, close_code);
    if (!writes || frames_over(s->frames)) {
        socket_end(s, !fast ? "slow reader" : !reads ? "client left" : !writes ? "broken" : "closed");
        return;
    }
    hand_out(s);
    watch_and_time(s);
}

void socket_begin(struct http_socket *s)
{
    s->server->n_sockets++;
}

void socket_attach(struct http_socket *s, struct conn *c, struct str early)
{
    struct frames_io io = {
        .recv = on_recv, .send = on_send, .text = on_text, .ctx = s, .refused = on_refused
    };
    int one = 1;
    assert(s->state == SOCKET_WAITING);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->state = SOCKET_OPEN;
    s->conn = c;
    s->frames = frames_open(s->message_max, &io);
    buf_put_str(&s->early, early);
    c->socket = s;
    conn_set_phase(c, CONN_SOCKET);
    if (s->server->stopping)
        socket_stop(s);
    /* By a note: this is a callback of the library, in which a connection had better not end. */
    note(s, NOTE_SOCKET_WAKE);
}

void socket_failed(struct http_socket *s)
{
    if (s->state == SOCKET_WAITING)
        socket_end(s, "client left before the reply");
}

void socket_event(struct http_socket *s, uint32_t events)
{
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        s->half_end = true;
    if (events & EPOLLERR)
        socket_end(s, "reset");
    else
        pump(s);
}

void socket_expired(struct http_socket *s)
{
    if (frames_closing(s->frames) || (s->pinged && !is_paused(s))) {
        socket_end(s, "silent");
        return;
    }
    conn_touch(s->conn);
    if (is_paused(s)) /* its pong may lie unread, and that is our doing */
        return;
    s->pinged = true;
    frames_ping(s->frames);
    pump(s);
}

void socket_woken(struct http_socket *s)
{
    if (s->state == SOCKET_OPEN)
        pump(s);
}

void socket_stop(struct http_socket *s)
{
    if (s->events.stopping)
        s->events.stopping(s->events.ctx);
    else
        http_socket_close(s, CODE_AWAY, "The server is stopping.");
}

void socket_cut(struct http_socket *s)
{
    drop_queue(s);
    socket_end(s, "cut");
}

static void socket_free(struct http_socket *s)
{
    s->server->body_bytes -= s->body_counted;
    s->server->n_sockets--;
    pthread_mutex_destroy(&s->lock);
    buf_free(&s->pending);
    buf_free(&s->early);
    mem_free(s);
}

void socket_worked(struct http_socket *s)
{
    message_free(s->current);
    s->current = NULL;
    s->busy = false;
    if (s->told) {
        socket_free(s);
        return;
    }
    count_bytes(s);
    if (s->state == SOCKET_OPEN)
        pump(s); /* hands out the next, and reads on if the queue was full */
    else
        hand_out(s);
}
