/*
 * streams.c - many open event streams and one large body, on one loop thread.
 *
 *   bench/streams [STREAMS [ROUNDS [INTERVAL_MS [burst]]]]      10000 20 1000
 *
 * The server is http/ in this process, with two workers; the client is a forked process with one epoll, on loopback.
 * Both are single-threaded where it counts, so two CPUs are enough.
 *
 *   memory    resident memory of the server before and after all streams are open (heads read, one event sent each) and
 *             after they ended, over their number; without the kernel's socket buffers
 *   events    a thread writes one event to every stream each INTERVAL_MS, spread over it or in one burst. Latency: from
 *             http_stream_write to the client's read; reads: how many recv calls of the client found something, which is one an event when each
 *             event is one write and arrives alone
 *   cancel    the client closes everything at once: from then until on_gone was called for each stream
 *   body      64 MiB are uploaded by one connection while another asks GET /hello again and again: the longest gap
 *             between two of its answers, beside the same without the upload
 *
 * Prints one line a figure. Raises RLIMIT_NOFILE itself as far as it may: STREAMS and some more in either process.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define STREAMS_MAX 50000
#define BODY_BYTES  (64 * MIB)
#define PASSES      3 /* of the upload */
#define BATCH                                                                                                \
    50 /* streams that are opened, or written to, at one time: fewer than may wait for two workers */

/* --- the server ------------------------------------------------------------------------------------------ */

static struct http_exchange *streams[STREAMS_MAX];
static atomic_int n_streams, n_gone;
static atomic_llong last_gone_ns;

static void fail(const char *what)
{
    fprintf(stderr, "streams: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void gone(void *ctx)
{
    (void)ctx;
    atomic_store(&last_gone_ns, clock_mono_ns());
    atomic_fetch_add(&n_gone, 1);
}

static void do_stream(struct http_exchange *x, const struct http_route *route, void *app)
{
    (void)route, (void)app;
    http_stream_begin(x);
    http_on_gone(x, gone, NULL);
    streams[atomic_fetch_add(&n_streams, 1)] = x;
}

static void do_hello(struct http_exchange *x, const struct http_route *route, void *app)
{
    (void)route, (void)app;
    http_reply(x, 200, "text/plain", STR("hello"));
}

static void do_body(struct http_exchange *x, const struct http_route *route, void *app)
{
    char text[32];
    (void)route, (void)app;
    snprintf(text, sizeof text, "%zu", http_body(x).len);
    http_reply(x, 200, "text/plain", str_from(text));
}

static void error_body(struct buf *body, const struct err *err)
{
    buf_puts(body, err->message);
}

static const struct http_route routes[] = {
    { "GET", "/stream", 0, do_stream, 0 },
    { "GET", "/hello", 0, do_hello, 0 },
    { "POST", "/body", BODY_BYTES, do_body, 0 },
};

static void run(void *server)
{
    http_run(server);
}

static size_t resident_bytes(void)
{
    size_t pages = 0, skip;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%zu %zu", &skip, &pages) != 2)
        fail("/proc/self/statm");
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static double cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void sleep_until(int64_t ns)
{
    int64_t left = ns - clock_mono_ns();
    if (left > 0)
        usleep((useconds_t)(left / 1000));
}

/* One event to every stream, spread over so much time. */
static void write_round(int n, int64_t spread_ns)
{
    char text[256];
    int64_t began = clock_mono_ns();
    for (int i = 0; i < n; i++) {
        if (i % BATCH == 0)
            sleep_until(began + spread_ns * i / n);
        snprintf(text, sizeof text,
                 "data: {\"type\":\"response.output_text.delta\",\"ns\":%lld,\"pad\":\"%0100d\"}\n\n",
                 (long long)clock_mono_ns(), i);
        http_stream_write(streams[i], str_from(text));
    }
}

/* --- the client ------------------------------------------------------------------------------------------ */

static int dial(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    /* One source address has fewer ports than streams may be wanted. */
    static uint32_t turn;
    struct sockaddr_in from = { .sin_family = AF_INET };
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + turn++ % 4);
    if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof from) ||
        connect(fd, (struct sockaddr *)&to, sizeof to))
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void say(int fd, const char *text)
{
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text))
        fail("send");
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

struct tally {
    int64_t *latency_ns;
    size_t events, reads, split; /* split: reads that did not hold whole events only */
};

static void read_events(struct tally *t, int fd)
{
    char bytes[65536];
    ssize_t n = recv(fd, bytes, sizeof bytes - 1, MSG_DONTWAIT);
    if (n <= 0)
        return;
    int64_t now = clock_mono_ns();
    bytes[n] = '\0';
    t->reads++;
    t->split += n < 4 || memcmp(bytes + n - 4, "\n\n\r\n", 4) != 0;
    for (const char *at = strstr(bytes, "\"ns\":"); at; at = strstr(at + 1, "\"ns\":"))
        t->latency_ns[t->events++] = now - atoll(at + 5);
}

/* Reads until so many events have come, then says how it was. */
static void client_events(int epoll, int n, int rounds)
{
    struct epoll_event ready[512];
    struct tally t = { .latency_ns = mem_array((size_t)n * (size_t)rounds, sizeof(int64_t)) };
    while (t.events < (size_t)n * (size_t)rounds) {
        int got = epoll_wait(epoll, ready, 512, 20000);
        if (got <= 0)
            fail("events are missing");
        for (int i = 0; i < got; i++)
            read_events(&t, ready[i].data.fd);
    }
    qsort(t.latency_ns, t.events, sizeof *t.latency_ns, compare);
    printf("events: %zu in %zu reads, %zu of them not whole; latency ms: median %.2f, p99 %.2f, max %.2f\n",
           t.events, t.reads, t.split, (double)t.latency_ns[t.events / 2] / 1e6,
           (double)t.latency_ns[t.events * 99 / 100] / 1e6, (double)t.latency_ns[t.events - 1] / 1e6);
    fflush(stdout);
    mem_free(t.latency_ns);
}

static void read_head(int fd)
{
    char bytes[4096];
    if (recv(fd, bytes, sizeof bytes, 0) <= 12 || memcmp(bytes, "HTTP/1.1 200", 12) != 0)
        fail("a stream's head");
}

static void client_opens(int epoll, int port, int n, int *fds)
{
    for (int i = 0; i < n; i++) {
        int fd = fds[i] = dial(port);
        struct epoll_event ev = { .events = EPOLLIN, .data.fd = fd };
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev))
            fail("epoll_ctl");
        say(fd,
            "GET /stream HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer sk-0123456789abcdef\r\nAccept: */*\r\n"
            "User-Agent: streams\r\n\r\n");
        for (int j = i / BATCH * BATCH; (i % BATCH == BATCH - 1 || i == n - 1) && j <= i; j++)
            read_head(fds[j]);
    }
}

static void client_skips(int epoll, int n)
{
    struct epoll_event ready[512];
    char bytes[65536];
    for (int seen = 0; seen < n;) {
        int got = epoll_wait(epoll, ready, 512, 20000);
        if (got <= 0)
            fail("first events are missing");
        for (int i = 0; i < got; i++) {
            ssize_t len = recv(ready[i].data.fd, bytes, sizeof bytes - 1, MSG_DONTWAIT);
            bytes[len > 0 ? len : 0] = '\0';
            seen += strstr(bytes, "\"ns\":") != NULL;
        }
    }
}

static double hello_gap_ms(int fd, atomic_int *until, int at_least)
{
    char bytes[4096];
    int64_t longest = 0, last = clock_mono_ns();
    for (int i = 0; i < at_least || (until && !atomic_load(until)); i++) {
        say(fd, "GET /hello HTTP/1.1\r\nHost: t\r\n\r\n");
        if (recv(fd, bytes, sizeof bytes, 0) <= 0)
            fail("hello");
        int64_t now = clock_mono_ns();
        if (now - last > longest)
            longest = now - last;
        last = now;
    }
    return (double)longest / 1e6;
}

struct upload {
    int port;
    double ms;
    atomic_int done;
};

static void do_upload(void *ctx)
{
    struct upload *u = ctx;
    char text[256], *bytes = mem_zalloc(BODY_BYTES);
    int fd = dial(u->port);
    int64_t began = clock_mono_ns();
    snprintf(text, sizeof text, "POST /body HTTP/1.1\r\nHost: t\r\nContent-Length: %zu\r\n\r\n", BODY_BYTES);
    say(fd, text);
    for (size_t at = 0; at < BODY_BYTES;) {
        ssize_t n = send(fd, bytes + at, BODY_BYTES - at, MSG_NOSIGNAL);
        if (n <= 0)
            fail("upload");
        at += (size_t)n;
    }
    ssize_t n = recv(fd, text, sizeof text - 1, 0);
    if (n <= 0 || !str_starts((struct str){ text, (size_t)n }, STR("HTTP/1.1 200")))
        fail("upload's answer");
    u->ms = (double)(clock_mono_ns() - began) / 1e6;
    close(fd);
    mem_free(bytes);
    atomic_store(&u->done, 1);
}

static void client_body(int port)
{
    int fd = dial(port);
    for (int pass = 0; pass < PASSES; pass++) {
        struct upload u = { .port = port };
        struct thread thread;
        double quiet = hello_gap_ms(fd, NULL, 2000);
        thread_start(&thread, "upload", do_upload, &u);
        double busy = hello_gap_ms(fd, &u.done, 1);
        thread_join(&thread);
        printf("body: %zu MiB in %.0f ms; longest gap of another connection %.2f ms, without the upload %.2f "
               "ms\n",
               BODY_BYTES / MIB, u.ms, busy, quiet);
        fflush(stdout);
    }
}

/* Steps are given and reported as bytes on pipes. */
static void wait_for(int fd)
{
    char byte;
    if (read(fd, &byte, 1) != 1)
        exit(1); /* the other process has said why */
}

static void tell(int fd)
{
    if (write(fd, "x", 1) != 1)
        exit(1);
}

static void client(int port, int n, int rounds, int in, int out)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC), *fds = mem_array((size_t)n, sizeof *fds);
    client_opens(epoll, port, n, fds);
    tell(out);
    client_skips(epoll, n);
    tell(out);
    client_events(epoll, n, rounds);
    tell(out);
    wait_for(in);
    for (int i = 0; i < n; i++)
        close(fds[i]);
    mem_free(fds);
    tell(out);
    wait_for(in);
    client_body(port);
    exit(0);
}

/* --- the measurement --------------------------------------------------------------------------------------- */

static void wait_count(atomic_int *count, int n, const char *what)
{
    for (int64_t until = clock_mono_ms() + 30000; atomic_load(count) < n; usleep(1000))
        if (clock_mono_ms() > until) {
            fprintf(stderr, "streams: %d of %d %s\n", atomic_load(count), n, what);
            exit(1);
        }
}

static void events_and_memory(int n, int rounds, int interval_ms, bool spread, int from)
{
    size_t before = resident_bytes();
    wait_for(from); /* all connections are open */
    wait_count(&n_streams, n, "streams have begun");
    write_round(n, 0);
    wait_for(from);
    printf("memory: %.1f KiB a stream\n", (double)(resident_bytes() - before) / 1024 / n);
    fflush(stdout);
    double cpu = cpu_s();
    int64_t began = clock_mono_ns();
    for (int r = 0; r < rounds; r++) {
        write_round(n, spread ? interval_ms * (int64_t)1000000 : 0);
        sleep_until(began + (int64_t)(r + 1) * interval_ms * 1000000);
    }
    wait_for(from);
    double s = (double)(clock_mono_ns() - began) / 1e9;
    printf("server: %.0f events/s for %.1f s, CPU %.0f %%, %.1f us an event; memory %.1f KiB a stream\n",
           n * rounds / s, s, (cpu_s() - cpu) / s * 100, (cpu_s() - cpu) * 1e6 / n / rounds,
           (double)(resident_bytes() - before) / 1024 / n);
}

static void cancel(int n, int to, int from)
{
    size_t before = resident_bytes();
    int64_t began = clock_mono_ns();
    double cpu = cpu_s();
    tell(to);
    wait_for(from);
    wait_count(&n_gone, n, "were told that their client left");
    printf("cancel: %d of %d told, the last %.0f ms after the first close; CPU %.0f ms\n",
           atomic_load(&n_gone), n, (double)(atomic_load(&last_gone_ns) - began) / 1e6,
           (cpu_s() - cpu) * 1e3);
    for (int i = 0; i < n; i++)
        http_stream_end(streams[i]);
    printf("memory: %.1f MiB with all streams, %.1f MiB when they were told to end\n", (double)before / MIB,
           (double)resident_bytes() / MIB);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 10000, rounds = argc > 2 ? atoi(argv[2]) : 20;
    int interval_ms = argc > 3 ? atoi(argv[3]) : 1000, to[2], from[2], port = 0;
    bool spread = argc < 5 || strcmp(argv[4], "burst") != 0;
    struct http_config cfg = { .listen = "127.0.0.1:0", .routes = routes, .n_routes = ARRAY_LEN(routes) };
    struct rlimit files = { (rlim_t)n + 512, (rlim_t)n + 512 };
    struct http_server *server;
    struct thread loop;
    struct err err;
    if (n < 1 || n > STREAMS_MAX || rounds < 1 || interval_ms < 1)
        return fprintf(stderr, "usage: streams [STREAMS [ROUNDS [INTERVAL_MS [burst]]]]\n"), 2;
    if (setrlimit(RLIMIT_NOFILE, &files) || pipe(to) || pipe(from))
        fail("limit of open files");
    cfg.error_body = error_body;
    cfg.workers = 2;
    cfg.header_bytes_max = 16384; /* this and the next are the defaults of thinkd */
    cfg.connections_max = n + 16;
    cfg.request_timeout_ms = cfg.idle_timeout_ms = 60000;
    cfg.ping_ms = 15000;
    cfg.stream_bytes_max = 8 << 20;
    cfg.stop_timeout_ms = 5000;
    log_set_level(LOG_WARN);
    if (http_open(&server, &cfg, &err))
        return fprintf(stderr, "streams: %s\n", err.message), 1;
    sscanf(http_url(server), "http://127.0.0.1:%d", &port);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        client(port, n, rounds, to[0], from[1]);
    thread_start(&loop, "loop", run, server);
    events_and_memory(n, rounds, interval_ms, spread, from[0]);
    cancel(n, to[1], from[0]);
    tell(to[1]);
    int status = 0;
    waitpid(pid, &status, 0);
    http_stop(server);
    thread_join(&loop);
    http_close(server);
    return status != 0;
}
