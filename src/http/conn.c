/*
 * conn.c - connections: admitted, timed, watched, and ended politely.
 *
 * The library times silence only, so a byte a second holds a connection for ever, and it is deaf to a
 * client that leaves while nothing is sent. Both are done here, from the loop's own epoll:
 *
 *   - A connection stays here (CONN_FIRST) until its first head is complete. Bytes are looked at with
 *     MSG_PEEK and left for the library, so a malformed or endless head gets our own error object.
 *   - A deadline runs from the first byte of a request to its last. Between requests the descriptor is
 *     watched for that first byte; while one is answered, for EPOLLRDHUP.
 *   - A refused client that is still sending would lose the refusal: closing a socket with unread bytes
 *     sends RST. So the descriptor is duplicated, read until the client stops, and closed then.
 *
 * Timers are lists, one for each delay: all that waits in one waits equally long, so its head is next.
 * A connection that ends is freed when the loop's round is over, since epoll may have named it in the
 * same round.
 *
 * Threads: the loop's alone.
 */
#include "http/http_impl.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MS_NS           1000000
#define ACCEPTS_A_ROUND 64

/* --- timers ------------------------------------------------------------------------------------------ */

static void timer_stop(struct conn *c)
{
    struct conn_list *list = c->timer;
    if (!list)
        return;
    *(c->earlier ? &c->earlier->later : &list->head) = c->later;
    *(c->later ? &c->later->earlier : &list->tail) = c->earlier;
    c->timer = NULL;
    c->earlier = c->later = NULL;
}

static void timer_start(struct conn *c, struct conn_list *list)
{
    timer_stop(c);
    c->timer = list;
    c->due_ns = clock_mono_ns() + list->delay_ns;
    c->earlier = list->tail;
    *(list->tail ? &list->tail->later : &list->head) = c;
    list->tail = c;
}

void conn_touch(struct conn *c)
{
    if (c->timer)
        timer_start(c, c->timer);
}

void conn_set_timer(struct conn *c, int timer)
{
    struct conn_list *list = &c->server->timers[timer];
    if (c->timer != list) /* CONN_FIRST to CONN_RECEIVING is the same request: its deadline goes on */
        timer_start(c, list);
}

int64_t conns_next_ns(const struct http_server *s)
{
    int64_t next = s->accept_again_ns ? s->accept_again_ns : INT64_MAX;
    for (int i = 0; i < TIMER_COUNT; i++)
        if (s->timers[i].head && s->timers[i].head->due_ns < next)
            next = s->timers[i].head->due_ns;
    return next;
}

/* --- life -------------------------------------------------------------------------------------------- */

void conn_watch(struct conn *c, uint32_t events)
{
    if (c->armed == events)
        return;
    struct epoll_event ev = { .events = events, .data.ptr = c };
    int op = c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(c->server->epoll, op, c->fd, &ev) == 0) {
        c->watched = true;
        c->armed = events;
    }
}

static void unwatch(struct conn *c)
{
    if (c->watched)
        epoll_ctl(c->server->epoll, EPOLL_CTL_DEL, c->fd, NULL);
    c->watched = false;
    c->armed = 0;
}

void conn_let_go(struct conn *c)
{
    unwatch(c);
    timer_stop(c);
    c->socket = NULL;
    daemon_release(c);
}

static struct conn *conn_new(struct http_server *s, int fd)
{
    struct conn *c = mem_zalloc(sizeof *c);
    c->server = s;
    c->fd = fd;
    c->next = s->conns;
    if (s->conns)
        s->conns->prev = c;
    s->conns = c;
    s->n_conns++;
    return c;
}

void conn_bury(struct conn *c)
{
    struct http_server *s = c->server;
    assert(!c->dead);
    unwatch(c);
    timer_stop(c);
    *(c->prev ? &c->prev->next : &s->conns) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    s->n_conns--;
    c->dead = true;
    c->next_dead = s->dead;
    s->dead = c;
}

static void conn_close(struct conn *c)
{
    unwatch(c);
    close(c->fd);
    conn_bury(c);
}

void conns_sweep(struct http_server *s)
{
    while (s->dead) {
        struct conn *c = s->dead;
        s->dead = c->next_dead;
        mem_free(c);
    }
}

void conn_set_phase(struct conn *c, enum conn_phase phase)
{
    static const struct {
        int timer; /* -1: none here */
        uint32_t events;
    } phases[] = {
        [CONN_FIRST] = { TIMER_REQUEST, EPOLLIN | EPOLLRDHUP | EPOLLET },
        [CONN_IDLE] = { TIMER_IDLE, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT },
        [CONN_RECEIVING] = { TIMER_REQUEST, EPOLLRDHUP | EPOLLONESHOT },
        [CONN_HELD] = { -1, EPOLLRDHUP | EPOLLONESHOT },
        [CONN_SENDING] = { -1, EPOLLRDHUP | EPOLLONESHOT }, /* a stalled reader is the library's to time */
        [CONN_STREAMING] = { TIMER_PING, EPOLLRDHUP | EPOLLONESHOT },
        [CONN_LINGER] = { TIMER_LINGER, EPOLLIN | EPOLLRDHUP },
        [CONN_SOCKET] = { TIMER_PING, EPOLLIN | EPOLLONESHOT },
    };
    c->phase = phase;
    if (phases[phase].timer < 0)
        timer_stop(c);
    else
        conn_set_timer(c, phases[phase].timer);
    conn_watch(c, phases[phase].events);
}

/* --- refusals ---------------------------------------------------------------------------------------- */

/* One attempt: a client that has filled its own buffers gets the end of the connection only. */
static void write_refusal(struct conn *c, const struct err *err)
{
    struct buf text = { 0 };
    char id[HTTP_ID_SIZE];
    struct reply_facts facts = { .id = id, .status = err_status(err->code) };
    if (c->x)
        exchange_facts(c->x, &facts);
    else
        request_id_make(id);
    refusal_write(&text, &c->server->cfg, err, &facts);
    ssize_t n = send(c->fd, text.ptr, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    log_line(LOG_DEBUG, "http", "refused id=%s status=%d written=%zd", facts.id, facts.status, n);
    buf_free(&text);
}

void conn_refuse(struct conn *c, const struct err *err)
{
    assert(c->handle);
    if (c->refused)
        return;
    write_refusal(c, err);
    c->refused = true;
}

/* Reads what the client still sends and throws it away. */
static void linger(struct conn *c)
{
    char drop[4096];
    for (int i = 0; i < 64; i++) { /* then let others have their turn; epoll is level-triggered here */
        ssize_t n = recv(c->fd, drop, sizeof drop, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            conn_close(c);
            return;
        }
    }
}

static void refuse_first(struct conn *c, const struct err *err)
{
    write_refusal(c, err);
    shutdown(c->fd, SHUT_WR);
    conn_set_phase(c, CONN_LINGER);
    linger(c);
}

void conn_closed(struct conn *c)
{
    struct http_server *s = c->server;
    bool polite = c->refused || c->phase == CONN_RECEIVING;
    int fd = polite && !s->cut ? dup(c->fd) : -1;
    unwatch(c);
    if (fd >= 0) {
        struct conn *rest = conn_new(s, fd);
        rest->peer = c->peer;
        shutdown(fd, SHUT_WR);
        conn_set_phase(rest, CONN_LINGER);
    }
    c->handle = NULL;
    conn_bury(c);
}

/* --- the first head ---------------------------------------------------------------------------------- */

/* What no method starts with: TLS, or bytes that are not HTTP at all. Waiting for their end would be vain. */
static bool is_foreign(struct str bytes)
{
    char c = bytes.len ? bytes.ptr[0] : 'G';
    return !((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '\r' || c == '\n');
}

static enum err_code look_at_head(const struct conn *c, struct str bytes, bool *complete, struct err *err)
{
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head head;
    struct http_framing framing;
    size_t limit = (size_t)c->server->cfg.header_bytes_max;
    size_t end = head_end(bytes);
    *complete = end > 0;
    if (is_foreign(bytes))
        return err_set(err, ERR_BAD_REQUEST, NULL, "This port speaks plain HTTP/1.1; a proxy can add TLS.");
    if (end > limit || (!end && bytes.len > limit))
        return err_set(err, ERR_HEADERS_TOO_LARGE, NULL,
                       "The request line and headers are longer than %zu bytes.", limit);
    if (!end)
        return ERR_OK;
    enum err_code code = head_parse(str_slice(bytes, 0, end), fields, ARRAY_LEN(fields), &head, err);
    return code ? code : head_guard(&head, &framing, err);
}

static void first_bytes(struct conn *c, uint32_t events)
{
    struct http_server *s = c->server;
    struct err err;
    bool complete;
    ssize_t n = recv(c->fd, s->head, s->head_bytes, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_close(c);
        return;
    }
    enum err_code code = look_at_head(c, (struct str){ s->head, (size_t)n }, &complete, &err);
    bool ended = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    if (!code && !complete && ended)
        code = err_set(&err, ERR_BAD_REQUEST, NULL,
                       "The connection was closed in the middle of a request's head.");
    if (code)
        refuse_first(c, &err);
    else if (complete)
        daemon_adopt(c);
}

/* --- events ------------------------------------------------------------------------------------------ */

void conn_event(struct conn *c, uint32_t events)
{
    if (c->dead)
        return;
    bool ended = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    if (c->phase != CONN_FIRST && c->phase != CONN_LINGER)
        c->armed = 0; /* EPOLLONESHOT */
    switch (c->phase) {
    case CONN_FIRST: first_bytes(c, events); break;
    case CONN_LINGER: linger(c); break;
    case CONN_IDLE:
        conn_set_phase(c, CONN_RECEIVING);
        break; /* what the event is, the library finds out; an end comes again now that it is armed anew */
    case CONN_RECEIVING:
        if (ended && !c->half_closed) {
            c->half_closed = true;
            c->next_half = c->server->half;
            c->server->half = c;
        }
        break;
    case CONN_HELD:
    case CONN_SENDING:
    case CONN_STREAMING:
        if (!ended || !c->x)
            break;
        exchange_lost(c->x);
        if (c->phase == CONN_STREAMING)
            shutdown(c->fd, SHUT_RDWR);
        if (c->phase != CONN_HELD)
            daemon_resume(c);
        break; /* a held one is resumed by its answer, which a client that only half-closed still gets */
    case CONN_SOCKET:
        if (c->socket)
            socket_event(c->socket, events);
        break;
    }
}

/* The library may have more of the request in the socket's buffer than it has read: only when that is empty
 * and the request is not complete will it never be. */
void conns_half_closed(struct http_server *s)
{
    struct conn *list = s->half;
    s->half = NULL;
    while (list) {
        struct conn *c = list;
        int unread = 0;
        list = c->next_half;
        c->half_closed = false;
        if (c->dead || c->phase != CONN_RECEIVING)
            continue;
        if (ioctl(c->fd, FIONREAD, &unread) == 0 && unread > 0) {
            c->half_closed = true;
            c->next_half = s->half;
            s->half = c;
            continue;
        }
        struct err err;
        err_set(&err, ERR_BAD_REQUEST, NULL, "The connection was closed in the middle of a request.");
        if (c->x)
            conn_refuse(c, &err);
        shutdown(c->fd, SHUT_RDWR);
    }
}

static void expire(struct conn *c)
{
    struct err err;
    err_set(&err, ERR_TIMEOUT, NULL, "The request was not complete after %lld ms.",
            (long long)c->server->cfg.request_timeout_ms);
    char byte;
    switch (c->phase) {
    case CONN_FIRST:
        if (recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1)
            refuse_first(c, &err);
        else
            conn_close(c); /* it never said a word */
        break;
    case CONN_LINGER: conn_close(c); break;
    case CONN_RECEIVING:
        conn_refuse(c, &err);
        timer_stop(c);
        shutdown(c->fd, SHUT_RDWR);
        break;
    case CONN_STREAMING:
        conn_touch(c);
        if (c->x && exchange_ping(c->x))
            daemon_resume(c);
        break;
    case CONN_SOCKET: socket_expired(c->socket); break;
    default: /* IDLE: the library sees the end and closes */
        timer_stop(c);
        shutdown(c->fd, SHUT_RDWR);
        break;
    }
}

void conns_expire(struct http_server *s, int64_t now_ns)
{
    for (int i = 0; i < TIMER_COUNT; i++)
        while (s->timers[i].head && s->timers[i].head->due_ns <= now_ns)
            expire(s->timers[i].head); /* leaves the list or goes to its end */
    if (s->accept_again_ns && s->accept_again_ns <= now_ns) {
        s->accept_again_ns = 0;
        conns_accept(s);
    }
}

/* --- admission --------------------------------------------------------------------------------------- */

static bool same_address(const struct conn *a, const struct conn *b)
{
    if (a->peer.ss_family != b->peer.ss_family)
        return false;
    if (a->peer.ss_family == AF_INET6)
        return memcmp(&((const struct sockaddr_in6 *)&a->peer)->sin6_addr,
                      &((const struct sockaddr_in6 *)&b->peer)->sin6_addr, 16) == 0;
    return ((const struct sockaddr_in *)&a->peer)->sin_addr.s_addr ==
           ((const struct sockaddr_in *)&b->peer)->sin_addr.s_addr;
}

static enum err_code admit(const struct conn *c, struct err *err)
{
    const struct http_server *s = c->server;
    if ((int64_t)s->n_conns > s->cfg.connections_max)
        return err_set(err, ERR_BUSY, NULL, "All %lld connections are in use; try again shortly.",
                       (long long)s->cfg.connections_max);
    int64_t same = 0;
    if (s->cfg.connections_per_ip > 0)
        for (const struct conn *other = s->conns; other; other = other->next)
            same += same_address(c, other);
    if (same > s->cfg.connections_per_ip)
        return err_set(err, ERR_BUSY, NULL, "Your address has all its %lld connections in use.",
                       (long long)s->cfg.connections_per_ip);
    return ERR_OK;
}

static void conn_accepted(struct http_server *s, int fd, const struct sockaddr_storage *peer,
                          socklen_t peer_len)
{
    struct conn *c = conn_new(s, fd);
    struct err err;
    c->peer = *peer;
    c->peer_len = peer_len;
    if (admit(c, &err)) {
        /* Not lingering: the point is to hold no descriptor. What has come so far is read off, so that the
         * refusal survives the close in the common case. */
        write_refusal(c, &err);
        ssize_t n = recv(fd, s->head, s->head_bytes, MSG_DONTWAIT);
        (void)n;
        conn_close(c);
        return;
    }
    conn_set_phase(c, CONN_FIRST);
}

void conns_accept(struct http_server *s)
{
    for (int i = 0; s->listener >= 0 && !s->accept_again_ns; i++) {
        if (i == ACCEPTS_A_ROUND) { /* others have their turn; epoll will not tell again (EPOLLET) */
            s->accept_again_ns = clock_mono_ns();
            return;
        }
        struct sockaddr_storage peer = { 0 };
        socklen_t len = sizeof peer;
        int fd = accept4(s->listener, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            conn_accepted(s, fd, &peer, len);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            log_line(LOG_WARN, "http", "cannot accept: %s; raise the limit of open files", strerror(errno));
            s->accept_again_ns = clock_mono_ns() + HTTP_ACCEPT_PAUSE_MS * MS_NS;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

/* --- the end ----------------------------------------------------------------------------------------- */

void conns_init(struct http_server *s)
{
    s->timers[TIMER_REQUEST].delay_ns = s->cfg.request_timeout_ms * MS_NS;
    s->timers[TIMER_IDLE].delay_ns = s->cfg.idle_timeout_ms * MS_NS;
    s->timers[TIMER_PING].delay_ns = s->cfg.ping_ms * MS_NS;
    s->timers[TIMER_LINGER].delay_ns = (int64_t)HTTP_LINGER_MS * MS_NS;
    s->head_bytes = (size_t)s->cfg.header_bytes_max + 1; /* one more shows that there is more */
    s->head = mem_alloc(s->head_bytes);
}

void conns_stop(struct http_server *s)
{
    for (struct conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (c->phase == CONN_FIRST)
            conn_close(c);
        else if (c->phase == CONN_IDLE)
            shutdown(c->fd, SHUT_RDWR);
        else if (c->socket)
            socket_stop(c->socket);
    }
}

void conns_cut(struct http_server *s)
{
    s->cut = true;
    for (struct conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (c->phase == CONN_FIRST || c->phase == CONN_LINGER) {
            conn_close(c);
            continue;
        }
        if (c->x)
            exchange_lost(c->x);
        if (c->socket)
            socket_cut(c->socket);
        shutdown(c->fd, SHUT_RDWR);
        daemon_resume(c);
    }
}

void conns_free(struct http_server *s)
{
    for (struct conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        conn_close(c);
    }
    conns_sweep(s);
    mem_free(s->head);
}
