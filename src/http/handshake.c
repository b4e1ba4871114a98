/*
 * handshake.c - whether a request wants a WebSocket, and the word that accepts it (RFC 6455, section 4.2).
 *
 * Extensions are never accepted: permessage-deflate would cost each socket a window of memory, and clients do without.
 *
 * Pure functions; any thread.
 */
#include "http/http_impl.h"

#include <assert.h>
#include <openssl/evp.h>
#include <string.h>

/* Whether a comma-separated field, or one of several of its name, holds the token. */
static bool has_token(const struct http_head *head, const char *name, const char *token)
{
    for (size_t i = 0; i < head->n_fields; i++) {
        struct str rest = head->fields[i].value;
        if (!str_eq_nocase(head->fields[i].name, str_from(name)))
            continue;
        while (rest.len) {
            size_t comma = str_find(rest, STR(","));
            if (str_eq_nocase(str_trim(str_slice(rest, 0, comma)), str_from(token)))
                return true;
            rest = comma == SIZE_MAX ? (struct str){ 0 } : str_slice(rest, comma + 1, rest.len);
        }
    }
    return false;
}

/* Base64 of 16 bytes. */
static bool is_key(struct str key)
{
    for (size_t i = 0; i < key.len; i++) {
        char c = key.ptr[i];
        bool digit = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '+' ||
                     c == '/';
        if (digit == (i >= 22) || (i >= 22 && c != '='))
            return false;
    }
    return key.len == 24;
}

enum err_code handshake_check(const struct http_head *head, struct err *err)
{
    size_t keys = 0;
    for (size_t i = 0; i < head->n_fields; i++)
        keys += str_eq_nocase(head->fields[i].name, STR("Sec-WebSocket-Key"));
    if (!str_is(head->method, "GET") || !str_is(head->version, "HTTP/1.1"))
        return err_set(err, ERR_BAD_REQUEST, NULL, "A WebSocket begins with GET and HTTP/1.1.");
    if (!has_token(head, "Upgrade", "websocket") || !has_token(head, "Connection", "upgrade"))
        return err_set(err, ERR_BAD_REQUEST, NULL,
                       "A WebSocket needs the header fields Upgrade: websocket and Connection: Upgrade.");
    if (!str_is(head_field(head, "Sec-WebSocket-Version"), "13"))
        return err_set(err, ERR_BAD_REQUEST, NULL,
                       "This server speaks version 13 of the WebSocket protocol.");
    if (keys != 1 || !is_key(head_field(head, "Sec-WebSocket-Key")))
        return err_set(err, ERR_BAD_REQUEST, NULL,
                       "A WebSocket needs one header field Sec-WebSocket-Key: 16 bytes in base64.");
    return ERR_OK;
}

void handshake_accept(struct str key, char accept[HTTP_ACCEPT_SIZE])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, section 1.3 */
    unsigned char text[24 + sizeof guid - 1], digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    assert(key.len == 24);
    memcpy(text, key.ptr, key.len);
    memcpy(text + key.len, guid, sizeof guid - 1);
    int ok = EVP_Digest(text, sizeof text, digest, &len, EVP_sha1(), NULL);
    assert(ok && len == 20);
    (void)ok;
    EVP_EncodeBlock((unsigned char *)accept, digest, (int)len);
}

bool http_wants_socket(const struct http_exchange *x)
{
    return has_token(&x->head, "Upgrade", "websocket");
}
