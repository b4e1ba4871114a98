/*
 * site.c - see site.h.
 */
#include "site.h"

#include "base/log.h"
#include "test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ARGS_MAX 32

static void run(void *ctx)
{
    http_run(ctx);
}

static void open_config(struct config *cfg, const char *const *options)
{
    const char *args[ARGS_MAX] = { "--engine", "echo", "--listen", "127.0.0.1:0" };
    int n = 4;
    struct err err = { 0 };
    while (options && *options)
        args[n++] = *options++;
    if (config_load(cfg, CMD_SERVE, n, args, NULL, &err))
        fail_msg("%s", err.message);
}

static void open_server(struct site *s)
{
    struct err err = { 0 };
    struct http_config http = {
        .listen = s->cfg.listen,
        .app = s->api,
        .error_body = api_error_body,
        .workers = 2,
        .header_bytes_max = 16384,
        .connections_max = 64,
        .request_timeout_ms = 20000,
        .idle_timeout_ms = 20000,
        .ping_ms = 20000,
        .stream_bytes_max = 1 << 20,
        .stop_timeout_ms = 20000,
    };
    http.routes = api_routes(s->api, &http.n_routes);
    if (http_open(&s->server, &http, &err))
        fail_msg("%s", err.message);
    s->port = atoi(strrchr(http_url(s->server), ':') + 1);
    thread_start(&s->loop, "test-site", run, s->server);
}

void site_open(struct site *s, const char *const *options, const char *path)
{
    struct err err = { 0 };
    struct engine_config engine = { .kind = "echo", .sequences_max = 8 };
    struct store_config store = { .path = path, .node = "test" };
    *s = (struct site){ 0 };
    log_set_level(LOG_ERROR); /* each start and stop would have its lines */
    open_config(&s->cfg, options);
    if (store_open(&s->store, &store, &err) || access_open(&s->access, &s->cfg, s->store, &err))
        fail_msg("%s", err.message);
    struct conductor_config conductor = {
        .engine = &engine, .jobs_max = 64, .store = s->store, .background_max = 8, .queue_max = 64
    };
    if (conductor_open(&s->conductor, &conductor, &err))
        fail_msg("%s", err.message);
    struct api_config api = {
        .options = &s->cfg, .access = s->access, .store = s->store, .conductor = s->conductor
    };
    if (api_open(&s->api, &api, &err))
        fail_msg("%s", err.message);
    open_server(s);
}

void site_close(struct site *s)
{
    http_stop(s->server);
    thread_join(&s->loop);
    http_close(s->server);
    conductor_stop(s->conductor);
    api_close(s->api);
    conductor_close(s->conductor);
    store_close(s->store);
    access_close(s->access);
    config_free(&s->cfg);
    log_set_level(LOG_INFO);
}

int site_send(const struct site *s, const char *method, const char *path, const char *headers,
              const char *body)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)s->port) };
    struct buf out = { 0 };
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, connect(fd, (struct sockaddr *)&to, sizeof to));
    buf_printf(&out, "%s %s HTTP/1.1\r\nHost: here\r\nConnection: %s\r\n%s", method, path,
               headers && strstr(headers, "Upgrade:") ? "Upgrade" : "close", headers ? headers : "");
    if (body)
        buf_printf(&out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    buf_puts(&out, "\r\n");
    buf_puts(&out, body ? body : "");
    for (size_t at = 0; at < out.len;) {
        ssize_t n = send(fd, out.ptr + at, out.len - at, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += (size_t)n;
    }
    buf_free(&out);
    return fd;
}

struct site_reply site_read(int fd)
{
    struct buf in = { 0 };
    struct site_reply r = { 0 };
    struct err err;
    char piece[16384];
    for (ssize_t n; (n = recv(fd, piece, sizeof piece, 0)) > 0;)
        buf_put(&in, piece, (size_t)n);
    close(fd);
    size_t end = str_find(buf_str(&in), STR("\r\n\r\n"));
    if (end == SIZE_MAX || sscanf(in.ptr, "HTTP/1.1 %d", &r.status) != 1)
        fail_msg("no reply: %s", in.ptr ? in.ptr : "");
    r.head = mem_strndup(in.ptr, end + 2);
    buf_put_str(&r.body, str_slice(buf_str(&in), end + 4, in.len));
    if (json_read(&r.json, buf_str(&r.body), &err))
        r.json = NULL;
    buf_free(&in);
    return r;
}

struct site_reply site_ask(const struct site *s, const char *method, const char *path, const char *headers,
                           const char *body)
{
    return site_read(site_send(s, method, path, headers, body));
}

void site_reply_free(struct site_reply *r)
{
    mem_free(r->head);
    buf_free(&r->body);
    json_decref(r->json);
}

json_t *site_json(const struct site *s, const char *method, const char *path, const char *body, int status)
{
    struct site_reply r = site_ask(s, method, path, NULL, body);
    if (r.status != status)
        fail_msg("%s %s: %d, not %d: %s", method, path, r.status, status, r.body.ptr);
    json_t *json = json_incref(r.json);
    site_reply_free(&r);
    return json;
}

struct buf site_bytes(const struct site *s, const char *path)
{
    struct site_reply r = site_ask(s, "GET", path, NULL, NULL);
    struct buf bytes = r.body;
    assert_int_equal(r.status, 200);
    r.body = (struct buf){ 0 };
    site_reply_free(&r);
    return bytes;
}

void put_row(struct store *store, const struct row *row)
{
    struct buf request = { 0 };
    struct err err = { 0 };
    struct store_tx *tx = store_tx_open();
    size_t n = 0;
    struct str events[64];
    buf_printf(&request, "{\"body\":{},\"input\":%s}", row->input ? row->input : "[]");
    struct store_job job = { .id = str_from(row->id),
                             .owner = str_from(row->owner ? row->owner : OWNER),
                             .previous = str_from(row->previous),
                             .conversation = str_from(row->conversation),
                             .background = true,
                             .created_ms = row->created_ms,
                             .request = buf_str(&request) };
    store_tx_insert(tx, &job);
    while (row->events && row->events[n]) {
        events[n] = str_from(row->events[n]);
        n++;
    }
    if (n)
        store_tx_append(tx, job.id, 0, events, n, STR(""));
    if (row->status >= STORE_IN_PROGRESS)
        store_tx_start(tx, job.id);
    if (row->status >= STORE_COMPLETED)
        store_tx_end(tx, job.id, row->status, row->created_ms + 1, str_from(row->response), false);
    if (store_commit_wait(store, tx, &err))
        fail_msg("%s", err.message);
    buf_free(&request);
}
