/*
 * serve.c - `thinkd serve`: wires the folders together and keeps the process in order.
 *
 *     config -> data -> store -> access -> conductor (engine) -> api -> http
 *
 * The order of opening is the order of dependence, and closing goes the other way: http has returned, so no
 * exchange is left; then the conductor ends, then what its sinks used; the store last, when nobody writes any more.
 *
 * Signals are the main thread's: it waits on a signalfd while http_run runs on the loop thread. The first SIGTERM or SIGINT
 * stops gracefully, the second ends the process at once. SIGPIPE is ignored: a client that leaves is an error
 * code of a write.
 */
#include "cli/cli_impl.h"

#include "access/access.h"
#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "fetch/fetch.h"
#include "http/http.h"
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct server {
    int lock; /* of --data, or -1 */
    struct store *store;
    struct access *access;
    struct conductor *conductor;
    struct api *api;
    struct http_server *http;
    int ended; /* eventfd: http_run has returned */
};

static enum err_code open_conductor(struct server *s, const struct config *cfg, struct err *err)
{
    return local_conductor(&s->conductor, cfg, cfg->jobs_max, s->store, err);
}

static enum err_code open_api(struct server *s, const struct config *cfg, struct err *err)
{
    struct buf dir = { 0 };
    enum err_code code = data_in_memory(cfg) ? ERR_OK : data_path(&dir, cfg, NULL, err);
    const struct api_config api = { .options = cfg,
                                    .data = dir.len ? dir.ptr : NULL,
                                    .access = s->access,
                                    .store = s->store,
                                    .conductor = s->conductor };
    if (!code)
        code = api_open(&s->api, &api, err);
    buf_free(&dir);
    return code;
}

static enum err_code open_http(struct server *s, const struct config *cfg, struct err *err)
{
    struct http_config http = { .listen = cfg->listen,
                                .app = s->api,
                                .error_body = api_error_body,
                                .workers = (int)cfg->workers,
                                .header_bytes_max = cfg->header_bytes_max,
                                .connections_max = cfg->connections_max,
                                .connections_per_ip = cfg->connections_per_ip,
                                .request_timeout_ms = cfg->request_timeout_ms,
                                .idle_timeout_ms = cfg->idle_timeout_ms,
                                .ping_ms = cfg->ping_ms,
                                .stream_bytes_max = cfg->stream_bytes_max,
                                .stop_timeout_ms = cfg->stop_timeout_ms };
    http.routes = api_routes(s->api, &http.n_routes);
    return http_open(&s->http, &http, err);
}

/* The cheap checks come first: a wrong key or a locked directory should not wait for a model to load. */
static enum err_code open_server(struct server *s, const struct config *cfg, struct err *err)
{
    enum err_code code = data_open(&s->lock, cfg, true, err);
    if (!code)
        code = data_store(&s->store, cfg, false, err);
    if (!code)
        code = access_open(&s->access, cfg, s->store, err);
    if (!code)
        code = open_conductor(s, cfg, err);
    if (!code)
        code = open_api(s, cfg, err);
    if (!code)
        code = open_http(s, cfg, err);
    return code;
}

/* The conductor tells the API of the jobs' ends, and what the API still has in hand asks the conductor: so that one is
 * stopped before and freed behind it. */
static void close_server(struct server *s)
{
    http_close(s->http);
    conductor_stop(s->conductor);
    api_close(s->api);
    conductor_close(s->conductor);
    access_close(s->access);
    store_close(s->store);
    if (s->lock >= 0)
        close(s->lock);
}

/* --- running ----------------------------------------------------------------------------------------- */

static void run_loop(void *ctx)
{
    struct server *s = ctx;
    http_run(s->http);
    uint64_t one = 1;
    ssize_t n = write(s->ended, &one, sizeof one);
    assert(n == sizeof one);
    (void)n;
}

static void on_signal(struct server *s, int signals, bool *stopping)
{
    struct signalfd_siginfo info;
    if (read(signals, &info, sizeof info) != sizeof info)
        return;
    const char *name = info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM";
    if (*stopping) {
        log_line(LOG_WARN, "serve", "second signal, ending at once signal=%s", name);
        _exit(CLI_FAILED);
    }
    log_line(LOG_INFO, "serve", "stopping signal=%s jobs=%zu", name, conductor_jobs(s->conductor));
    *stopping = true;
    http_stop(s->http);
}

/* Until the loop has ended. */
static void watch(struct server *s, int signals)
{
    struct pollfd fds[] = { { .fd = signals, .events = POLLIN }, { .fd = s->ended, .events = POLLIN } };
    bool stopping = false;
    while (!fds[1].revents) {
        if (poll(fds, ARRAY_LEN(fds), -1) < 0) {
            assert(errno == EINTR);
            continue;
        }
        if (fds[0].revents)
            on_signal(s, signals, &stopping);
    }
}

static void put_banner_json(struct buf *out, const char *url, const struct engine_info *engine, bool keys)
{
    struct json_writer w = { .out = out };
    jw_begin_object(&w);
    jw_key_cstring(&w, "url", url);
    jw_key_cstring(&w, "model", engine->model);
    jw_key_cstring(&w, "description", engine->description);
    jw_key_bool(&w, "keys", keys);
    jw_end_object(&w);
    buf_putc(out, '\n');
}

void serve_banner(struct buf *out, const char *url, const struct engine_info *engine, bool keys, bool json)
{
    if (json) {
        put_banner_json(out, url, engine, keys);
        return;
    }
    buf_printf(out, "thinkd is listening on %s\nmodel: %s (%s)\n", url, engine->model, engine->description);
    buf_printf(out, "try:   curl %s/v1/responses -H 'Content-Type: application/json'", url);
    if (keys)
        buf_puts(out, " -H \"Authorization: Bearer $KEY\"");
    buf_puts(out, " -d '{\"model\": \"o3-pro\", \"input\": \"What is 17 + 25?\"}'\n");
}

/* One write, so that who reads a pipe for the URL gets all of it at once. */
static void announce(const struct server *s, const struct config *cfg, int64_t started_ns)
{
    const struct engine_info *engine = engine_info(conductor_engine(s->conductor));
    const char *url = http_url(s->http);
    struct buf block = { 0 };
    serve_banner(&block, url, engine, access_asks(s->access), cfg->json);
    term_put(stdout, buf_str(&block));
    log_line(LOG_INFO, "serve", "listening url=%s model=%s start_ms=%.1f", url, engine->model,
             (double)(clock_mono_ns() - started_ns) / 1e6);
    buf_free(&block);
}

static int run_server(struct server *s, const struct config *cfg, int signals, int64_t started_ns)
{
    struct thread loop;
    announce(s, cfg, started_ns);
    thread_start(&loop, "loop", run_loop, s);
    watch(s, signals);
    thread_join(&loop);
    log_line(LOG_INFO, "serve", "stopped generated=%lld",
             (long long)engine_tokens_generated(conductor_engine(s->conductor)));
    return CLI_OK;
}

/* Blocked before any thread starts, so that all of them inherit it and the signalfd hears everything. */
static int signal_source(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

int serve_run(const struct config *cfg)
{
    int64_t started_ns = clock_mono_ns();
    struct server s = { .lock = -1, .ended = eventfd(0, EFD_CLOEXEC) };
    struct err err = { 0 };
    int status, signals = signal_source();
    enum err_code code = cli_no_args(cfg, "serve", &err);
    if (!code && (signals < 0 || s.ended < 0))
        code = err_set(&err, ERR_SERVER, NULL, "no descriptor for signals: %s.", strerror(errno));
    fetch_start(); /* before there are threads */
    if (!code)
        code = open_server(&s, cfg, &err);
    status = code ? cli_fail(&err) : run_server(&s, cfg, signals, started_ns);
    close_server(&s);
    fetch_stop();
    close(s.ended);
    close(signals);
    return status;
}
