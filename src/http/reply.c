/*
 * reply.c - what every answer carries, and the answers that are written without the library.
 *
 * The fields are rows of one table, walked for answers of both kinds.
 *
 * libmicrohttpd can answer only at two points of a request: at its head and when it is complete.
 * What goes wrong elsewhere (a head that never ends, a body that grows past its bound) is
 * answered by writing straight to the socket and ending the connection. That is safe, since
 * the library answers requests in order and has nothing to send while it receives one.
 */
#include "http/http_impl.h"

#include "base/clock.h"
#include "base/rng.h"

#include <stdio.h>
#include <string.h>

/* What a browser's script may read beside the few fields that are always shown. */
#define EXPOSED                                                                                              \
    "x-request-id, x-client-request-id, apim-request-id, x-ms-region, openai-processing-ms, "                \
    "openai-version, "                                                                                       \
    "openai-organization, x-ratelimit-limit-requests, x-ratelimit-limit-tokens, "                            \
    "x-ratelimit-remaining-requests, x-ratelimit-remaining-tokens, x-ratelimit-reset-requests, "             \
    "x-ratelimit-reset-tokens, retry-after, retry-after-ms, x-should-retry, idempotent-replayed"
#define VALUE_MAX 129 /* bytes of a made value and its NUL */

/* --- the fields ------------------------------------------------------------------------------------------ */

/* Each of these makes a value, or says that the answer goes without the field. */

static bool make_request_id(const struct reply_facts *f, char out[VALUE_MAX])
{
    snprintf(out, VALUE_MAX, "%s", f->id);
    return true;
}

static bool make_ms(const struct reply_facts *f, char out[VALUE_MAX])
{
    int64_t ns = f->complete_ns ? clock_mono_ns() - f->complete_ns : 0;
    snprintf(out, VALUE_MAX, "%lld", (long long)(ns / 1000000));
    return true;
}

static bool make_client_id(const struct reply_facts *f, char out[VALUE_MAX])
{
    if (!client_request_id_ok(f->client_id))
        return false;
    snprintf(out, VALUE_MAX, "%.*s", STR_ARG(f->client_id));
    return true;
}

static bool is_azure(const struct reply_facts *f)
{
    return str_starts(f->target, STR("/openai/"));
}

/* Azure's ids are GUIDs: this one has the digits of x-request-id, so that either finds the request in the log. */
static bool make_azure_id(const struct reply_facts *f, char out[VALUE_MAX])
{
    const char *hex = f->id + 4;
    snprintf(out, VALUE_MAX, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
    return is_azure(f);
}

static bool make_azure_region(const struct reply_facts *f, char out[VALUE_MAX])
{
    snprintf(out, VALUE_MAX, "local");
    return is_azure(f);
}

/* Clients wait this long before they try again, unless the application knows better. */
static bool make_retry_s(const struct reply_facts *f, char out[VALUE_MAX])
{
    snprintf(out, VALUE_MAX, "1");
    return f->status == 503 && !f->own_retry;
}

static bool make_retry_ms(const struct reply_facts *f, char out[VALUE_MAX])
{
    snprintf(out, VALUE_MAX, "1000");
    return f->status == 503 && !f->own_retry;
}

/* Clients repeat a 409 by themselves, at once: what is in no state for it now will hardly be a second later. */
static bool make_repeat(const struct reply_facts *f, char out[VALUE_MAX])
{
    snprintf(out, VALUE_MAX, "false");
    return f->status == 409 && !f->own_repeat;
}

static const struct {
    const char *name;
    const char *value; /* or NULL: made */
    bool (*make)(const struct reply_facts *f, char out[VALUE_MAX]);
} fields[] = {
    { "openai-version", "2020-10-01", NULL },
    { "Access-Control-Allow-Origin", "*", NULL },
    { "Access-Control-Expose-Headers", EXPOSED, NULL },
    { "x-request-id", NULL, make_request_id },
    { "openai-processing-ms", NULL, make_ms },
    { "x-client-request-id", NULL, make_client_id },
    { "apim-request-id", NULL, make_azure_id },
    { "x-ms-region", NULL, make_azure_region },
    { "retry-after", NULL, make_retry_s },
    { "retry-after-ms", NULL, make_retry_ms },
    { "x-should-retry", NULL, make_repeat },
};

void reply_fields(const struct reply_facts *facts,
                  void (*put)(void *ctx, const char *name, const char *value), void *ctx)
{
    char value[VALUE_MAX];
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (fields[i].value)
            put(ctx, fields[i].name, fields[i].value);
        else if (fields[i].make(facts, value))
            put(ctx, fields[i].name, value);
    }
}

/* --- ids and refusals -------------------------------------------------------------------------------------- */

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

static void put_line(void *ctx, const char *name, const char *value)
{
    buf_printf(ctx, "%s: %s\r\n", name, value);
}

void refusal_write(struct buf *out, const struct http_config *cfg, const struct err *err,
                   const struct reply_facts *facts)
{
    struct buf body = { 0 };
    cfg->error_body(&body, err);
    buf_printf(out, "HTTP/1.1 %d %s\r\n", facts->status, status_reason(facts->status));
    reply_fields(facts, put_line, out);
    buf_printf(out, "Connection: close\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
               body.len);
    buf_put_str(out, buf_str(&body));
    buf_free(&body);
}
