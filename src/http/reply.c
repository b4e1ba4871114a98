/*
 * reply.c - what every answer carries, and the answers that are written without the library.
 *
 * libmicrohttpd can answer only at two points of a request: at its head and when it is complete.
 * What goes wrong elsewhere (a head that never ends, a body that grows past its bound) is
 * answered by writing straight to the socket and ending the connection. That is safe, since
 * the library answers requests in order and has nothing to send while it receives one.
 */
#include "http/http_impl.h"

#include "base/clock.h"
#include "base/rng.h"

#include <string.h>

#define EXPOSED                                                                                              \
    "x-request-id, x-client-request-id, openai-processing-ms, openai-version, retry-after, "                 \
    "retry-after-ms, x-should-retry"

const struct http_constant http_constants[] = {
    { "openai-version", "2020-10-01" },
    { "Access-Control-Allow-Origin", "*" },
    { "Access-Control-Expose-Headers", EXPOSED },
    { NULL, NULL },
};

void request_id_make(char id[HTTP_ID_SIZE])
{
    memcpy(id, "req_", 4);
    rng_os_hex(id + 4, HTTP_ID_SIZE - 5);
}

bool client_request_id_ok(struct str id)
{
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!word && c != '.' && c != '_' && c != ':' && c != '-')
            return false;
    }
    return id.len >= 1 && id.len <= 128;
}

const char *status_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        { 400, "Bad Request" },           { 404, "Not Found" },
        { 405, "Method Not Allowed" },    { 408, "Request Timeout" },
        { 413, "Content Too Large" },     { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" }, { 503, "Service Unavailable" },
    };
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Error";
}

void refusal_write(struct buf *out, const struct http_config *cfg, const struct err *err, const char *id,
                   int64_t received_ns)
{
    struct buf body = { 0 };
    int status = err_status(err->code);
    cfg->error_body(&body, err);
    buf_printf(out, "HTTP/1.1 %d %s\r\n", status, status_reason(status));
    for (const struct http_constant *c = http_constants; c->name; c++)
        buf_printf(out, "%s: %s\r\n", c->name, c->value);
    buf_printf(out, "x-request-id: %s\r\nopenai-processing-ms: %lld\r\n", id,
               (long long)((clock_mono_ns() - received_ns) / 1000000));
    if (status == 503)
        buf_puts(out, "retry-after: 1\r\nretry-after-ms: 1000\r\n");
    buf_printf(out, "Connection: close\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               body.len);
    buf_put_str(out, buf_str(&body));
    buf_free(&body);
}
