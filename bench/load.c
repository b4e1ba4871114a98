/*
 * load.c - the same requests for any completions server: how many a second, and how long each waits.
 *
 *     load PORT CONNECTIONS REQUESTS BODY... [@FILE]
 *
 * Opens CONNECTIONS to 127.0.0.1:PORT, keeps one request in flight on each and sends REQUESTS in all to
 * /v1/completions. BODY is the JSON to send; several are taken in turn; @FILE holds one a line. One line of JSON on standard
 * output: seconds from the first byte sent to the last answer, and the latencies, from sending to the whole answer.
 *
 * Written for one thread and epoll so that it takes little of the machine it measures. It reads as much HTTP as two servers
 * speak: a status line, Content-Length or chunks that end in an empty one. A status other than 200 ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024
#define REPLY_MAX       ((size_t)1 << 20)

struct conn {
    int fd;
    const char *request; /* that has no whole answer yet; NULL: idle */
    size_t length, sent;
    char *reply; /* REPLY_MAX + 1 */
    size_t got;
    double begin;
};

struct load {
    struct conn *conns;
    char **requests; /* whole ones, head and body */
    size_t n_requests, total, started, done;
    double *waits; /* [total] seconds */
    int port, epoll;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "load: %s: %s\n", what, detail);
    exit(1);
}

static void add_request(struct load *l, const char *body, int port)
{
    char *text;
    int n =
        asprintf(&text,
                 "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
                 "Content-Length: %zu\r\n\r\n%s",
                 port, strlen(body), body);
    l->requests = realloc(l->requests, (l->n_requests + 1) * sizeof *l->requests);
    if (n < 0 || !l->requests)
        fail("memory", "none left");
    l->requests[l->n_requests++] = text;
}

static void read_bodies(struct load *l, const char *path, int port)
{
    FILE *f = fopen(path, "r");
    if (!f)
        fail(path, strerror(errno));
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&line, &cap, f)) > 0;) {
        if (line[n - 1] == '\n')
            line[n - 1] = '\0';
        add_request(l, line, port);
    }
    free(line);
    fclose(f);
}

static void connect_one(struct load *l, struct conn *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((unsigned short)l->port) };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to))
        fail("connect", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev);
}

/* Sockets block: a request is small against a socket's buffer, so this returns at once. */
static void send_next(struct load *l, struct conn *c)
{
    if (l->started == l->total)
        return;
    c->request = l->requests[l->started++ % l->n_requests];
    c->length = strlen(c->request);
    c->got = 0;
    c->begin = now();
    for (c->sent = 0; c->sent < c->length;) {
        ssize_t n = send(c->fd, c->request + c->sent, c->length - c->sent, MSG_NOSIGNAL);
        if (n < 0)
            fail("send", strerror(errno));
        c->sent += (size_t)n;
    }
}

/* Whether reply holds a whole answer; *close: the server ends the connection behind it. */
static bool is_whole(const struct conn *c, bool *close)
{
    const char *end = strstr(c->reply, "\r\n\r\n"), *length = strcasestr(c->reply, "\r\nContent-Length:");
    if (!end)
        return false;
    const char *word = strcasestr(c->reply, "\r\nConnection: close");
    *close = word && word < end;
    size_t body = c->got - (size_t)(end + 4 - c->reply);
    if (length && length < end)
        return body >= strtoul(length + 17, NULL, 10);
    return body >= 5 && memcmp(c->reply + c->got - 5, "0\r\n\r\n", 5) == 0;
}

static void take(struct load *l, struct conn *c)
{
    ssize_t n = recv(c->fd, c->reply + c->got, REPLY_MAX - c->got, 0);
    if (n == 0 && !c->request) { /* a server may close what is idle */
        close(c->fd);
        return;
    }
    if (n <= 0)
        fail("recv", n ? strerror(errno) : "the server closed the connection");
    c->got += (size_t)n;
    c->reply[c->got] = '\0';
    bool last = false;
    if (!is_whole(c, &last)) {
        if (c->got == REPLY_MAX)
            fail("recv", "an answer is too long");
        return;
    }
    if (strncmp(c->reply, "HTTP/1.1 200", 12) != 0)
        fail("the server refused", c->reply);
    l->waits[l->done++] = now() - c->begin;
    c->request = NULL;
    if (last) {
        close(c->fd);
        connect_one(l, c);
    }
    send_next(l, c);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    struct load l = { .epoll = epoll_create1(EPOLL_CLOEXEC) };
    size_t conns = argc > 4 ? strtoul(argv[2], NULL, 10) : 0;
    l.total = argc > 4 ? strtoul(argv[3], NULL, 10) : 0;
    if (conns < 1 || conns > CONNECTIONS_MAX || l.total < conns) {
        fprintf(stderr,
                "usage: load PORT CONNECTIONS REQUESTS BODY... | @FILE; at least a request a connection\n");
        return 2;
    }
    l.port = atoi(argv[1]);
    for (int i = 4; i < argc; i++) {
        if (argv[i][0] == '@')
            read_bodies(&l, argv[i] + 1, l.port);
        else
            add_request(&l, argv[i], l.port);
    }
    l.conns = calloc(conns, sizeof *l.conns);
    l.waits = calloc(l.total, sizeof *l.waits);
    if (!l.conns || !l.waits || l.n_requests == 0)
        fail("start", "no memory, or no body");
    for (size_t i = 0; i < conns; i++) {
        if (!(l.conns[i].reply = malloc(REPLY_MAX + 1)))
            fail("memory", "none left");
        connect_one(&l, &l.conns[i]);
    }
    double begin = now();
    for (size_t i = 0; i < conns; i++)
        send_next(&l, &l.conns[i]);
    while (l.done < l.total) {
        struct epoll_event ready[64];
        int n = epoll_wait(l.epoll, ready, 64, 600000);
        if (n <= 0)
            fail("wait", n ? strerror(errno) : "no answer in ten minutes");
        for (int i = 0; i < n; i++)
            take(&l, ready[i].data.ptr);
    }
    double took = now() - begin;
    qsort(l.waits, l.total, sizeof *l.waits, by_size);
    printf("{\"requests\": %zu, \"seconds\": %.4f, \"per_second\": %.2f, \"wait_median_s\": %.5f, "
           "\"wait_min_s\": %.5f, "
           "\"wait_max_s\": %.5f}\n",
           l.total, took, (double)l.total / took, l.waits[l.total / 2], l.waits[0], l.waits[l.total - 1]);
    return 0;
}
