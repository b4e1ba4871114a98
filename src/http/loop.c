/*
 * loop.c - the thread that owns the sockets, the workers beside it, and the notes between them.
 *
 * A round: wait; take what epoll tells (new connections, first bytes, clients that leave, notes); let
 * timers fire; wake streams; let the library work; free what died. Nothing in it blocks: what may take
 * long runs on a worker, and whoever answers an exchange puts a note.
 *
 * Wakes of streams are gathered where there are many. The library walks all suspended connections at each resume, so one
 * resume a token would cost more than the tokens when many streams wait: a stream that has bytes goes on
 * the ready list, and the list is woken in each round while few requests are in flight, else at most every HTTP_GATHER_NS, the
 * first wake after a pause at once. Replies are acted on at once always, ANSWERS_MAX of them a round, so that a request that
 * comes behind a group of them, as the store commits them, does not wait until all are written.
 */
#include "http/http_impl.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX  64 /* a round; what is left is told again in the next */
#define ANSWERS_MAX 8  /* a round: many that come together do not hold up a request that comes behind them */

/* --- notes of other threads ------------------------------------------------------------------------------ */

static void make_ready(struct http_exchange *x)
{
    if (x->ready)
        return;
    struct http_server *s = x->server;
    x->ready = true;
    x->next_ready = NULL;
    *s->ready_end = x;
    s->ready_end = &x->next_ready;
}

static void on_wake(struct http_exchange *x)
{
    pthread_mutex_lock(&x->lock);
    x->woken = false;
    bool streaming = x->state == EXCHANGE_STREAMING || x->state == EXCHANGE_ENDED;
    bool cut = x->too_slow && !x->gone;
    pthread_mutex_unlock(&x->lock);
    if (cut) {
        log_line(LOG_INFO, "http", "slow reader cut id=%s", x->id);
        exchange_lost(x);
        if (x->conn)
            shutdown(x->conn->fd, SHUT_RDWR);
    }
    exchange_check_gone(x);
    if (streaming)
        make_ready(x);
}

static void on_done(struct http_exchange *x)
{
    x->held = false;
    if (x->socket)
        socket_begin(x->socket);
    if (!x->conn && x->socket)
        socket_failed(x->socket);
    if (!x->conn)
        exchange_free_if_done(x);
    else if (x->conn->phase == CONN_STREAMING)
        make_ready(x); /* behind the frames it wrote */
    else
        daemon_resume(x->conn);
}

/* When the ready list may be woken. */
static int64_t flush_ns(const struct http_server *s)
{
    return s->n_exchanges < HTTP_GATHER_FROM ? 0 : s->flushed_ns + HTTP_GATHER_NS;
}

static void flush_ready(struct http_server *s, int64_t now_ns)
{
    if (!s->ready || now_ns < flush_ns(s))
        return;
    s->flushed_ns = now_ns;
    struct http_exchange *x = s->ready;
    s->ready = NULL;
    s->ready_end = &s->ready;
    while (x) {
        struct http_exchange *next = x->next_ready;
        x->ready = false;
        if (x->conn) {
            conn_touch(x->conn);
            daemon_resume(x->conn);
        }
        exchange_free_if_done(x);
        x = next;
    }
}

static void begin_stop(struct http_server *s)
{
    if (s->stopping)
        return;
    s->stopping = true;
    s->stop_by_ns = clock_mono_ns() + s->cfg.stop_timeout_ms * 1000000;
    close(s->listener);
    s->listener = -1;
    conns_stop(s);
    log_line(LOG_INFO, "http", "stopping requests=%zu", s->n_exchanges);
}

static void read_notes(struct http_server *s)
{
    struct note n;
    int answers = 0;
    while (answers < ANSWERS_MAX && mailbox_take(s->notes, &n, 0)) {
        answers += n.kind == NOTE_DONE;
        switch (n.kind) {
        case NOTE_WAKE: on_wake(n.x); break;
        case NOTE_DONE: on_done(n.x); break;
        case NOTE_STOP: begin_stop(s); break;
        case NOTE_SOCKET_WAKE: socket_woken(n.socket); break;
        case NOTE_SOCKET_DONE: socket_worked(n.socket); break;
        }
    }
}

/* --- the loop -------------------------------------------------------------------------------------------- */

static int wait_ms(struct http_server *s, int64_t now_ns)
{
    int64_t next = conns_next_ns(s), library_ms = daemon_wait_ms(s);
    if (s->ready && flush_ns(s) < next)
        next = flush_ns(s);
    if (s->stopping && !s->cut && s->stop_by_ns < next)
        next = s->stop_by_ns;
    int64_t ms = next == INT64_MAX ? -1 : next <= now_ns ? 0 : (next - now_ns + 999999) / 1000000;
    if (library_ms >= 0 && (ms < 0 || library_ms < ms))
        ms = library_ms;
    return ms > 3600 * 1000 ? 3600 * 1000 : (int)ms;
}

/* The loop's epoll knows three descriptors by these marks, and connections by their address. */
static char mark_library, mark_listener, mark_notes;

static void dispatch(struct http_server *s, const struct epoll_event *ev)
{
    if (ev->data.ptr == &mark_library)
        return; /* daemon_run at the end of the round */
    if (ev->data.ptr == &mark_listener)
        conns_accept(s);
    else if (ev->data.ptr == &mark_notes)
        read_notes(s);
    else
        conn_event(ev->data.ptr, ev->events);
}

void http_run(struct http_server *s)
{
    struct epoll_event events[EVENTS_MAX];
    thread_take_short_turns();
    while (!s->stopping || s->n_exchanges + s->n_sockets > 0) {
        int n = epoll_wait(s->epoll, events, EVENTS_MAX, wait_ms(s, clock_mono_ns()));
        for (int i = 0; i < n; i++)
            dispatch(s, &events[i]);
        int64_t now = clock_mono_ns();
        conns_expire(s, now);
        flush_ready(s, now);
        if (s->stopping && !s->cut && now >= s->stop_by_ns)
            conns_cut(s);
        daemon_run(s); /* last, so that what the round has noted is acted on at once */
        conns_half_closed(s);
        conns_sweep(s);
    }
    log_line(LOG_INFO, "http", "stopped");
}

/* --- life ------------------------------------------------------------------------------------------------ */

static void handle(struct http_exchange *x)
{
    x->match.route->handle(x, x->match.route, x->server->cfg.app);
}

/* Before each piece of work one of the quick requests, wherever its own turn is: it waits for what workers have begun, not
 * for all that came before it, and the others get on no matter how many quick ones come. */
static void work(void *ctx)
{
    struct http_server *s = ctx;
    struct http_exchange *quick;
    struct work w;
    thread_take_short_turns();
    while (mailbox_take(s->work, &w, -1)) {
        if (mailbox_take(s->quick, &quick, 0))
            handle(quick);
        if (w.socket)
            socket_work(w.socket);
        else if (w.x)
            handle(w.x);
    }
}

/* Each connection is a descriptor, each refused one another for a while, and the rest of the program has some. */
static void raise_file_limit(int64_t connections_max)
{
    struct rlimit limit;
    rlim_t want = (rlim_t)connections_max * 2 + 256;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= want)
        return;
    limit.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static bool watch_fd(struct http_server *s, int fd, uint32_t events, void *mark)
{
    struct epoll_event ev = { .events = events, .data.ptr = mark };
    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &ev) == 0;
}

static enum err_code watch_all(struct http_server *s, int library_fd, struct err *err)
{
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    /* The listener by edges: while accepting pauses for want of descriptors it must not spin the loop. */
    bool ok = s->epoll >= 0 && watch_fd(s, library_fd, EPOLLIN, &mark_library) &&
              watch_fd(s, s->listener, EPOLLIN | EPOLLET, &mark_listener) &&
              watch_fd(s, mailbox_fd(s->notes), EPOLLIN, &mark_notes);
    return ok ? ERR_OK
              : err_set(err, ERR_SERVER, NULL, "Cannot watch sockets; raise the limit of open files.");
}

enum err_code http_open(struct http_server **out, const struct http_config *cfg, struct err *err)
{
    assert(cfg->error_body && cfg->workers > 0 && cfg->connections_max > 0 && cfg->header_bytes_max > 0);
    struct http_server *s = mem_zalloc(sizeof *s);
    int library_fd = -1;
    s->cfg = *cfg;
    s->epoll = s->listener = -1;
    s->ready_end = &s->ready;
    raise_file_limit(cfg->connections_max);
    conns_init(s);
    s->notes = mailbox_open(1024, sizeof(struct note));
    s->work = mailbox_open((size_t)cfg->workers * HTTP_QUEUE_PER_WORK, sizeof(struct work));
    s->quick = mailbox_open((size_t)cfg->workers * HTTP_QUEUE_PER_WORK, sizeof(struct http_exchange *));
    enum err_code code = listen_open(&s->listener, &s->url, cfg->listen, err);
    if (!code)
        code = daemon_open(s, &library_fd, err);
    if (!code)
        code = watch_all(s, library_fd, err);
    if (code) {
        http_close(s);
        return code;
    }
    s->workers = mem_array((size_t)cfg->workers, sizeof *s->workers);
    for (; s->n_workers < cfg->workers; s->n_workers++)
        thread_start(&s->workers[s->n_workers], "http-worker", work, s);
    *out = s;
    return ERR_OK;
}

const char *http_url(const struct http_server *s)
{
    return s->url;
}

void http_stop(struct http_server *s)
{
    struct note n = { .kind = NOTE_STOP };
    mailbox_push(s->notes, &n);
}

void http_close(struct http_server *s)
{
    if (!s)
        return;
    mailbox_shut(s->work);
    for (int i = 0; i < s->n_workers; i++)
        thread_join(&s->workers[i]);
    s->cut = true; /* nobody lingers any more */
    daemon_close(s);
    conns_free(s);
    if (s->listener >= 0)
        close(s->listener);
    if (s->epoll >= 0)
        close(s->epoll);
    mailbox_close(s->notes);
    mailbox_close(s->work);
    mailbox_close(s->quick);
    mem_free(s->workers);
    mem_free(s->url);
    mem_free(s);
}
