/*
 * fetch.c - one outgoing request on one libcurl easy handle, blocking its caller.
 *
 * Streams may last for hours, so there is no limit on the whole: a peer is given up when it stays silent
 * for silent_ms, and total_ms is for those who want an end. Redirects are not followed unless asked for: an API that
 * moves is a configuration to correct, and a redirected POST would carry its key to another host. Only http and https
 * are spoken.
 *
 * public_only is decided where the socket is opened, by the address that is about to be connected to: a check of the
 * URL's name beforehand could be answered with another address than the one used a moment later, and a redirect or
 * a second address of the same host would go past it.
 *
 * Threads: any; a handle lives for one call. curl's global state is set up once, by fetch_start.
 */
#include "fetch/fetch.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define REPLY_BYTES_MAX (64 * MIB)
#define CONNECT_MS      10000
#define SILENT_MS       120000

void fetch_start(void)
{
    CURLcode rc = curl_global_init(CURL_GLOBAL_DEFAULT);
    assert(rc == CURLE_OK);
    (void)rc;
}

void fetch_stop(void)
{
    curl_global_cleanup();
}

struct transfer {
    CURL *curl;
    struct fetch_reply *reply;
    size_t bytes_max;
    const struct fetch_events *events; /* NULL: everything is body */
    struct sse_reader reader;
    bool is_stream, looked; /* whether the reply's content type is text/event-stream, once looked at */
    bool ended;             /* by the sink: not an error */
    bool refused;           /* an address that public_only keeps from */
    struct err err;         /* code set: why on_bytes stopped the transfer */
};

static bool is_event_stream(CURL *curl)
{
    const char *type = NULL;
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    static const char want[] = "text/event-stream";
    return status < 400 && type && strncasecmp(type, want, sizeof want - 1) == 0 &&
           strchr("; \t", type[sizeof want - 1]);
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
    struct str piece = { bytes, size * count };
    if (!t->looked) {
        t->looked = true;
        t->is_stream = t->events && is_event_stream(t->curl);
    }
    if (t->is_stream) {
        if (sse_reader_feed(&t->reader, piece, *t->events, &t->err))
            return piece.len;
        t->ended = t->err.code == ERR_OK;
        return CURL_WRITEFUNC_ERROR;
    }
    if (piece.len > t->bytes_max - t->reply->body.len) {
        t->reply->too_long = true;
        err_set(&t->err, ERR_NETWORK, NULL, "The peer's reply is longer than %zu bytes.", t->bytes_max);
        return CURL_WRITEFUNC_ERROR;
    }
    buf_put_str(&t->reply->body, piece);
    return piece.len;
}

static struct curl_slist *header_list(const struct fetch_request *req)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* no waiting for 100 Continue */
    for (const char *const *h = req->headers; h && *h; h++)
        list = curl_slist_append(list, *h);
    return list;
}

static void restrict_protocols(CURL *curl)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

/* curl asks for the socket of each address that it tries; none makes it try the next. */
static curl_socket_t open_public(void *ctx, curlsocktype purpose, struct curl_sockaddr *at)
{
    struct transfer *t = ctx;
    (void)purpose;
    if (fetch_address_is_public(&at->addr))
        return socket(at->family, at->socktype | SOCK_CLOEXEC, at->protocol);
    t->refused = true;
    return CURL_SOCKET_BAD;
}

static void follow_redirects(CURL *curl, const struct fetch_request *req)
{
    bool secure = strncasecmp(req->url, "https:", 6) == 0;
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)req->redirects_max);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
#else
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS,
                     (long)(secure ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static void set_bounds(CURL *curl, const struct fetch_request *req, struct transfer *t)
{
    int64_t silent_ms = req->silent_ms ? req->silent_ms : SILENT_MS;
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(req->connect_ms ? req->connect_ms : CONNECT_MS));
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L); /* fewer bytes a second than this is silence */
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)((silent_ms + 999) / 1000));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)req->total_ms);
    if (req->redirects_max)
        follow_redirects(curl, req);
    if (!req->public_only)
        return;
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_public);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, t);
}

static void set_options(CURL *curl, const struct fetch_request *req, struct transfer *t,
                        struct curl_slist *headers, char *reason)
{
    restrict_protocols(curl);
    set_bounds(curl, req, t);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L); /* other threads run */
    curl_easy_setopt(curl, CURLOPT_URL, req->url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
    if (strcmp(req->method, "GET") == 0)
        return;
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, req->method);
    if (req->body.len || strcmp(req->method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body.len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, req->body.len ? req->body.ptr : "");
    }
}

static enum err_code finish(struct transfer *t, CURLcode rc, const struct fetch_request *req,
                            const char *reason, struct err *err)
{
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    t->reply->status = (int)status;
    const char *type = NULL;
    curl_easy_getinfo(t->curl, CURLINFO_CONTENT_TYPE, &type);
    snprintf(t->reply->type, sizeof t->reply->type, "%s", type ? type : "");
    if (rc == CURLE_OK || t->ended)
        return ERR_OK;
    buf_free(&t->reply->body);
    if (t->err.code)
        return err_set(err, t->err.code, NULL, "%s", t->err.message);
    if (t->refused) /* without the address: it would tell a stranger what a name means inside */
        return err_set(
            err, ERR_NETWORK, NULL,
            "The host of %.200s is this machine or one of a private network, and none of those is asked.",
            req->url);
    return err_set(err, ERR_NETWORK, NULL, "No reply from %s: %s", req->url,
                   reason[0] ? reason : curl_easy_strerror(rc));
}

static enum err_code transfer(const struct fetch_request *req, const struct fetch_events *events,
                              struct fetch_reply *reply, struct err *err)
{
    char reason[CURL_ERROR_SIZE] = "";
    struct transfer t = { .reply = reply, .events = events };
    *reply = (struct fetch_reply){ 0 };
    t.bytes_max = req->bytes_max ? req->bytes_max : REPLY_BYTES_MAX;
    t.reader.bytes_max = t.bytes_max;
    t.curl = curl_easy_init();
    if (!t.curl)
        return err_set(err, ERR_NETWORK, NULL, "The HTTP client library does not start.");
    struct curl_slist *headers = header_list(req);
    set_options(t.curl, req, &t, headers, reason);
    enum err_code code = finish(&t, curl_easy_perform(t.curl), req, reason, err);
    curl_easy_cleanup(t.curl);
    curl_slist_free_all(headers);
    sse_reader_free(&t.reader);
    return code;
}

enum err_code fetch_perform(const struct fetch_request *req, struct fetch_reply *reply, struct err *err)
{
    return transfer(req, NULL, reply, err);
}

enum err_code fetch_stream(const struct fetch_request *req, struct fetch_events events,
                           struct fetch_reply *reply, struct err *err)
{
    return transfer(req, &events, reply, err);
}
