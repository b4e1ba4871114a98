/*
 * http.c - any bytes as a request's head: parsed, guarded, routed, decoded; or refused with a sentence.
 *
 * What passes must be what the guards promise: one Host, one length, no control characters; decoded paths are
 * valid UTF-8 without NUL, and arguments are parts of the path.
 */
#include "http/http_impl.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_route routes[] = {
    { "GET", "/", 0, NULL, 0 },
    { "POST", "/v1/responses", 100, NULL, 0 },
    { "GET", "/v1/models/{id+}", 0, NULL, 0 },
    { "GET", "/v1/responses/{id}", 0, NULL, 0 },
    { "POST", "/v1/responses/{id}/cancel", 0, NULL, 0 },
    { "POST", "/openai/deployments/{dep}/{rest+}", 0, NULL, 0 },
};

static void check_text(struct str s)
{
    assert(utf8_valid(s) && (s.len == 0 || !memchr(s.ptr, '\0', s.len)));
}

static void check_route(const struct http_head *head)
{
    struct arena a = { 0 };
    struct http_target target;
    struct http_match match;
    struct err err = { 0 };
    if (target_decode(head->target, &a, &target, &err) == ERR_OK) {
        check_text(target.path);
        for (size_t i = 0; i < target.n_query; i++) {
            check_text(target.query[i].name);
            check_text(target.query[i].value);
        }
        enum err_code code = route_find(routes, ARRAY_LEN(routes), head->method, &target, &a, &match, &err);
        assert(code == ERR_OK || code == ERR_NOT_FOUND || code == ERR_METHOD);
        for (size_t i = 0; code == ERR_OK && match.route && i < match.n_args; i++) {
            check_text(match.args[i]);
            assert(match.args[i].len && str_find(target.path, match.args[i]) != SIZE_MAX);
        }
    } else {
        assert(err.code == ERR_BAD_REQUEST && utf8_valid(str_from(err.message)));
    }
    arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = { (const char *)data, size };
    struct http_field fields[HTTP_FIELDS_MAX];
    struct http_head head;
    struct http_framing framing;
    struct err err = { 0 };
    size_t end = head_end(bytes);
    assert(end <= size);
    if (end == 0)
        return 0;
    if (head_parse(str_slice(bytes, 0, end), fields, ARRAY_LEN(fields), &head, &err) ||
        head_guard(&head, &framing, &err)) {
        assert(err.code && utf8_valid(str_from(err.message)));
        return 0;
    }
    assert(!framing.chunked || !framing.has_length);
    assert(str_is(head.version, "HTTP/1.0") || head_field(&head, "host").ptr);
    for (size_t i = 0; i < head.n_fields; i++)
        assert(!head.fields[i].value.len ||
               !memchr(head.fields[i].value.ptr, '\0', head.fields[i].value.len));
    assert(!head_accounts_for(&head, 0));
    (void)client_request_id_ok(head_field(&head, "x-client-request-id"));
    check_route(&head);
    return 0;
}
