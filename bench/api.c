/*
 * api.c - what requests cost: one client for `bench/api`, which starts the servers and makes a table of it.
 *
 *   bench/api sync DIR N                        4 KB written over older bytes and synced (fdatasync), one after the other
 *   bench/api direct N                          the echo engine without a server: one prompt at a time, then 64 side by side
 *   bench/api turns PORT N                      one connection, in turns: GET /healthz, a response with store:false, a stored one
 *   bench/api get PORT PATH N                   one connection, the same GET
 *   bench/api load PORT PATH SECONDS CONNS      as many GETs as CONNS connections get answered
 *   bench/api accept PORT SECONDS CONNS RATE    background responses, RATE a second (0: as many as are answered)
 *
 * A latency goes from send to the last byte of the answer; with a RATE from the moment the request was due, so that a
 * server that falls behind is seen. While jobs are accepted another connection retrieves the youngest of them, RETRIEVES a
 * second, each timed from the moment it was due: one that finds the one before it under way waits for that, and its wait
 * counts. drain_s is the time from the last acceptance until the youngest job is over.
 *
 * The client must not be part of what it measures. An answer is timed before it is looked into, those that epoll names
 * together at the moment they were named; between any two of them the one that retrieves has its turn, so that its
 * answer does not wait for theirs. sent_late is what is left: from the moment a retrieve was due until it was sent.
 *
 * One thread, raw sockets, loopback. Prints one JSON object a call; times in microseconds but for those that say s. Ends
 * with 1 and a line on standard error when an answer is not a 200.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/mailbox.h"
#include "engine/engine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNS_MAX    1024
#define SAMPLES_MAX  4000000
#define ANSWER_BYTES 65536
#define RETRIEVES    200 /* a second */
#define SIDE_BY_SIDE 64
#define BLOCK        4096
#define SYNC_PLACES  32 /* blocks of the file that syncs are measured on */
#define QUESTION     "What is 17 + 25?"

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "api: %s: %s\n", what, why);
    exit(1);
}

/* --- samples --------------------------------------------------------------------------------------------- */

struct samples {
    int64_t *ns;
    size_t n, cap;
};

static void samples_put(struct samples *s, int64_t ns)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 1024;
        s->ns = mem_realloc(s->ns, s->cap * sizeof *s->ns);
    }
    if (s->n < SAMPLES_MAX)
        s->ns[s->n++] = ns;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double at(const struct samples *s, size_t per_mille)
{
    return s->n ? (double)s->ns[(s->n - 1) * per_mille / 1000] / 1e3 : 0;
}

/* A member of the object that is being printed. */
static void print_samples(const char *name, struct samples *s)
{
    qsort(s->ns, s->n, sizeof *s->ns, compare);
    printf("\"%s\":{\"n\":%zu,\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"max\":%.1f}", name, s->n, at(s, 500),
           at(s, 900), at(s, 990), at(s, 1000));
    mem_free(s->ns);
}

/* --- the disk and the engine by themselves ---------------------------------------------------------------------- */

static int bench_sync(const char *dir, int n)
{
    char path[4096], block[BLOCK];
    struct samples took = { 0 };
    snprintf(path, sizeof path, "%s/bench-sync", dir);
    memset(block, 'x', sizeof block);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (int i = 0; fd >= 0 && i < SYNC_PLACES + n; i++) {
        int64_t began = clock_mono_ns();
        if (pwrite(fd, block, sizeof block, (off_t)(i % SYNC_PLACES) * BLOCK) != BLOCK || fdatasync(fd))
            fail(path, strerror(errno));
        if (i >= SYNC_PLACES) /* the file has its size: as a write-ahead log has that was begun anew */
            samples_put(&took, clock_mono_ns() - began);
    }
    if (fd < 0 || close(fd) || unlink(path))
        fail(path, strerror(errno));
    printf("{");
    print_samples("sync", &took);
    printf("}\n");
    return 0;
}

static void on_event(void *ctx, const struct engine_event *ev)
{
    if (ev->kind == ENGINE_DONE || ev->kind == ENGINE_FAILED)
        mailbox_push(ctx, &ev->seq);
}

static void submit(struct engine *e, uint64_t seq, const json_t *messages)
{
    struct engine_chat chat = { .messages = messages, .effort = "medium", .think = true };
    struct engine_params params = { .group = seq,
                                    .temperature = 1,
                                    .top_p = 1,
                                    .tokens_max = 512,
                                    .think_tokens_max = -1,
                                    .answer_tokens_min = 64 };
    struct engine_prompt *prompt;
    struct err err;
    if (engine_prompt_open(&prompt, e, &chat, &err))
        fail("prompt", err.message);
    if (!engine_submit(e, seq, prompt, &params))
        fail("engine", "it takes no more");
    engine_prompt_unref(prompt);
}

/* n runs with so many at a time; from the conversation to the last event. */
static double direct_runs(struct engine *e, struct mailbox *ended, int n, int together, struct samples *took)
{
    json_t *messages = json_pack("[{s:s,s:s}]", "role", "user", "content", QUESTION);
    int64_t began[SIDE_BY_SIDE], start = clock_mono_ns();
    uint64_t seq;
    for (int i = 0; i < n + together; i++) {
        int place = i;
        if (i >= together) {
            mailbox_take(ended, &seq, -1);
            place = (int)seq;
            samples_put(took, clock_mono_ns() - began[place]);
        }
        if (i >= n)
            continue;
        began[place] = clock_mono_ns();
        submit(e, (uint64_t)place, messages);
    }
    json_decref(messages);
    return n / ((double)(clock_mono_ns() - start) / 1e9);
}

static int bench_direct(int n)
{
    struct engine_config cfg = { .kind = "echo", .threads = 1, .sequences_max = SIDE_BY_SIDE };
    struct mailbox *ended = mailbox_open(SIDE_BY_SIDE, sizeof(uint64_t));
    struct samples alone = { 0 }, together = { 0 };
    struct engine *e;
    struct err err;
    if (engine_open(&e, &cfg, (struct engine_sink){ .put = on_event, .ctx = ended }, &err))
        fail("engine", err.message);
    direct_runs(e, ended, n, 1, &alone);
    double rate = direct_runs(e, ended, n, SIDE_BY_SIDE, &together);
    printf("{");
    print_samples("run", &alone);
    printf(",\"rate\":%.0f}\n", rate);
    engine_close(e);
    mailbox_close(ended);
    mem_free(together.ns);
    return 0;
}

/* --- requests -------------------------------------------------------------------------------------------------- */

/* One connection with at most one request on its way. */
struct client {
    int fd;
    bool busy;
    int64_t since_ns;
    size_t len; /* of the answer so far */
    char answer[ANSWER_BYTES];
};

static struct client *dial(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct client *c = mem_zalloc(sizeof *c);
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to))
        fail("connect", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return c;
}

static void hang_up(struct client *c)
{
    close(c->fd);
    mem_free(c);
}

static void get(struct buf *out, const char *path)
{
    buf_printf(out, "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", path);
}

static void post(struct buf *out, const char *more)
{
    char body[512];
    snprintf(body, sizeof body, "{\"model\":\"o3-mini\",\"input\":\"" QUESTION "\",%s}", more);
    buf_printf(out,
               "POST /v1/responses HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
               "Content-Length: %zu\r\n\r\n%s",
               strlen(body), body);
}

static void say(struct client *c, struct str request, int64_t since_ns)
{
    if (send(c->fd, request.ptr, request.len, MSG_NOSIGNAL) != (ssize_t)request.len)
        fail("send", strerror(errno));
    c->busy = true;
    c->since_ns = since_ns;
    c->len = 0;
}

static bool is_whole(const struct client *c)
{
    const char *end = strstr(c->answer, "\r\n\r\n"), *length = strcasestr(c->answer, "\r\ncontent-length:");
    if (!end)
        return false;
    if (!length || length > end)
        fail("an answer has no length", c->answer);
    return c->len >=
           (size_t)(end + 4 - c->answer) + strtoul(length + strlen("\r\ncontent-length:"), NULL, 10);
}

/* Reads what is there, or with MSG_DONTWAIT perhaps nothing; true when the answer is complete. */
static bool hear(struct client *c, int flags)
{
    ssize_t n = recv(c->fd, c->answer + c->len, sizeof c->answer - 1 - c->len, flags);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0)
        fail("the server hung up", n ? strerror(errno) : "end of file");
    c->len += (size_t)n;
    c->answer[c->len] = '\0';
    if (!is_whole(c))
        return false;
    if (strncmp(c->answer, "HTTP/1.1 200", 12) != 0)
        fail("not a 200", c->answer);
    c->busy = false;
    return true;
}

static void ask(struct client *c, struct str request, struct samples *took)
{
    say(c, request, clock_mono_ns());
    while (!hear(c, 0))
        ;
    samples_put(took, clock_mono_ns() - c->since_ns);
}

static int bench_turns(int port, int n)
{
    static const char *const names[] = { "healthz", "unstored", "stored" };
    struct buf requests[3] = { { 0 }, { 0 }, { 0 } };
    struct samples took[3] = { { 0 }, { 0 }, { 0 } };
    struct client *c = dial(port);
    get(&requests[0], "/healthz");
    post(&requests[1], "\"store\":false");
    post(&requests[2], "\"store\":true");
    for (int i = 0; i < 3 * n; i++)
        ask(c, buf_str(&requests[i % 3]), &took[i % 3]);
    for (int i = 0; i < 3; i++) {
        printf(i ? "," : "{");
        print_samples(names[i], &took[i]);
        buf_free(&requests[i]);
    }
    printf("}\n");
    hang_up(c);
    return 0;
}

static int bench_get(int port, const char *path, int n)
{
    struct buf request = { 0 };
    struct samples took = { 0 };
    struct client *c = dial(port);
    get(&request, path);
    for (int i = 0; i < n; i++)
        ask(c, buf_str(&request), &took);
    printf("{");
    print_samples("get", &took);
    printf("}\n");
    buf_free(&request);
    hang_up(c);
    return 0;
}

/* --- many connections -------------------------------------------------------------------------------------------- */

/* A load: requests of one kind on some connections, and for accepted jobs the one that retrieves. */
struct load {
    int epoll, n;
    struct client *clients[CONNS_MAX],
        *retriever; /* epoll does not know the retriever: it is looked at all the time */
    struct buf request, retrieve;
    struct samples took, retrieved, sent_late;
    int64_t began_ns, until_ns, due; /* due: requests that have been sent */
    int64_t retrieve_due_ns;         /* of the next; INT64_MAX: there is nothing to retrieve */
    double rate;
    char id[80]; /* of the youngest job accepted */
};

static void dial_into(struct load *l, int i, int port)
{
    l->clients[i] = dial(port);
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = l->clients[i] };
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->clients[i]->fd, &ev))
        fail("epoll_ctl", strerror(errno));
}

static void load_open(struct load *l, int port, int conns, double rate)
{
    if (conns < 1 || conns > CONNS_MAX)
        fail("connections", "1 to 1024");
    *l = (struct load){
        .epoll = epoll_create1(EPOLL_CLOEXEC), .n = conns, .rate = rate, .retrieve_due_ns = INT64_MAX
    };
    for (int i = 0; i < conns; i++)
        dial_into(l, i, port);
}

static void load_free(struct load *l)
{
    for (int i = 0; i < l->n; i++)
        hang_up(l->clients[i]);
    buf_free(&l->request);
    buf_free(&l->retrieve);
    close(l->epoll);
}

static void take_id(struct load *l, const struct client *c)
{
    const char *from = strstr(c->answer, "\"id\":\"resp_");
    if (!from || sscanf(from, "\"id\":\"%79[a-z0-9_]", l->id) != 1)
        fail("an accepted response has no id", c->answer);
    if (l->retrieve_due_ns == INT64_MAX)
        l->retrieve_due_ns = clock_mono_ns();
}

static void heard(struct load *l, struct client *c, int64_t named_ns)
{
    samples_put(&l->took, named_ns - c->since_ns);
    if (l->retriever)
        take_id(l, c);
}

/* What was due before the end is sent behind it too: those that a server has held up are not left out. */
static bool owes_retrieve(const struct load *l)
{
    return l->retriever && (l->retriever->busy || l->retrieve_due_ns < l->until_ns);
}

static void send_retrieve(struct load *l, int64_t now)
{
    char path[128];
    if (l->retriever->busy || !owes_retrieve(l) || now < l->retrieve_due_ns)
        return;
    snprintf(path, sizeof path, "/v1/responses/%s", l->id);
    buf_clear(&l->retrieve);
    get(&l->retrieve, path);
    samples_put(&l->sent_late, now - l->retrieve_due_ns);
    say(l->retriever, buf_str(&l->retrieve), l->retrieve_due_ns);
    l->retrieve_due_ns += 1000000000 / RETRIEVES;
}

static void turn_retriever(struct load *l)
{
    if (!l->retriever)
        return;
    if (l->retriever->busy && hear(l->retriever, MSG_DONTWAIT))
        samples_put(&l->retrieved, clock_mono_ns() - l->retriever->since_ns);
    send_retrieve(l, clock_mono_ns());
}

/* Every idle connection sends, as far as the rate has come. */
static void send_due(struct load *l, int64_t now)
{
    for (int i = 0; i < l->n; i++) {
        int64_t due_ns = l->rate > 0 ? l->began_ns + (int64_t)((double)l->due / l->rate * 1e9) : now;
        if (due_ns > now)
            return;
        if (l->clients[i]->busy)
            continue;
        say(l->clients[i], buf_str(&l->request), due_ns);
        l->due++;
        turn_retriever(l);
    }
}

/* Looks again and again where jobs are accepted: this client has a CPU of its own. */
static void turn(struct load *l, bool sends)
{
    struct epoll_event ready[64];
    turn_retriever(l);
    if (sends)
        send_due(l, clock_mono_ns());
    int n = epoll_wait(l->epoll, ready, 64, l->retriever ? 0 : 1);
    int64_t named_ns = clock_mono_ns();
    for (int i = 0; i < n; i++) {
        if (hear(ready[i].data.ptr, 0))
            heard(l, ready[i].data.ptr, named_ns);
        turn_retriever(l);
    }
}

static bool is_busy(const struct load *l)
{
    bool busy = owes_retrieve(l);
    for (int i = 0; i < l->n; i++)
        busy |= l->clients[i]->busy;
    return busy;
}

/* Answers a second, until the last answer. */
static double load_run(struct load *l, double seconds)
{
    l->began_ns = clock_mono_ns();
    l->until_ns = l->began_ns + (int64_t)(seconds * 1e9);
    while (clock_mono_ns() < l->until_ns)
        turn(l, true);
    while (is_busy(l))
        turn(l, false);
    return (double)l->took.n / ((double)(clock_mono_ns() - l->began_ns) / 1e9);
}

static int bench_load(int port, const char *path, double seconds, int conns)
{
    struct load l;
    load_open(&l, port, conns, 0);
    get(&l.request, path);
    double rate = load_run(&l, seconds);
    printf("{\"rate\":%.0f,", rate);
    print_samples("get", &l.took);
    printf("}\n");
    load_free(&l);
    return 0;
}

static double drain_s(const struct load *l, struct client *c)
{
    struct samples unused = { 0 };
    struct buf request = { 0 };
    char path[128];
    int64_t began = clock_mono_ns();
    snprintf(path, sizeof path, "/v1/responses/%s", l->id);
    get(&request, path);
    for (;; usleep(10000)) {
        ask(c, buf_str(&request), &unused);
        if (!strstr(c->answer, "\"status\":\"queued\"") &&
            !strstr(c->answer, "\"status\":\"in_progress\",\"c"))
            break;
    }
    buf_free(&request);
    mem_free(unused.ns);
    return (double)(clock_mono_ns() - began) / 1e9;
}

static int bench_accept(int port, double seconds, int conns, double rate)
{
    struct load l;
    load_open(&l, port, conns, rate);
    l.retriever = dial(port);
    post(&l.request, "\"background\":true");
    double got = load_run(&l, seconds), drained = drain_s(&l, l.retriever);
    printf("{\"rate\":%.0f,\"drain_s\":%.3f,", got, drained);
    print_samples("accept", &l.took);
    printf(",");
    print_samples("retrieve", &l.retrieved);
    printf(",");
    print_samples("sent_late", &l.sent_late);
    printf("}\n");
    hang_up(l.retriever);
    load_free(&l);
    return 0;
}

/* --- the command ------------------------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    if (!strcmp(mode, "sync") && argc == 4)
        return bench_sync(argv[2], atoi(argv[3]));
    if (!strcmp(mode, "direct") && argc == 3)
        return bench_direct(atoi(argv[2]));
    if (!strcmp(mode, "turns") && argc == 4)
        return bench_turns(atoi(argv[2]), atoi(argv[3]));
    if (!strcmp(mode, "get") && argc == 5)
        return bench_get(atoi(argv[2]), argv[3], atoi(argv[4]));
    if (!strcmp(mode, "load") && argc == 6)
        return bench_load(atoi(argv[2]), argv[3], atof(argv[4]), atoi(argv[5]));
    if (!strcmp(mode, "accept") && argc == 6)
        return bench_accept(atoi(argv[2]), atof(argv[3]), atoi(argv[4]), atof(argv[5]));
    fprintf(stderr, "usage: api sync DIR N | direct N | turns PORT N | get PORT PATH N |\n"
                    "           load PORT PATH SECONDS CONNS | accept PORT SECONDS CONNS RATE\n");
    return 2;
}
