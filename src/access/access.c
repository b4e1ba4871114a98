/*
 * access.c - keys become owners, by hash and in constant time.
 *
 * Only SHA-256 digests of the keys are kept. A presented key is hashed and compared with every digest
 * there is, so neither the key's content nor its place in the list shows in the time. The owner's id is the first
 * half of the digest: 128 bits, the same on every server that knows the key, and of no use for calling.
 */
#include "access/access.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define KEY_BYTES_MIN 8
#define DIGEST_BYTES  32

struct access {
    size_t n_keys;
    unsigned char digests[][DIGEST_BYTES];
};

static void digest(struct str key, unsigned char out[DIGEST_BYTES])
{
    unsigned len = 0;
    int ok = EVP_Digest(key.ptr, key.len, out, &len, EVP_sha256(), NULL);
    assert(ok == 1 &&
           len == DIGEST_BYTES); /* SHA-256 is in every provider; without it nothing may be served */
    (void)ok;
}

/* Whether everybody who can reach the address is on this machine: 127.0.0.0/8, ::1 and its usual name. */
static bool is_loopback(struct str listen)
{
    if (str_starts(listen, STR("localhost:")) || str_starts(listen, STR("[::1]:")))
        return true;
    if (!str_starts(listen, STR("127.")))
        return false;
    for (size_t i = 0; i < listen.len && listen.ptr[i] != ':'; i++)
        if (listen.ptr[i] != '.' && (listen.ptr[i] < '0' || listen.ptr[i] > '9'))
            return false; /* 127.example.org is a name */
    return true;
}

/* What a header can carry unchanged: printable ASCII without blanks. */
static bool is_plain(struct str key)
{
    for (size_t i = 0; i < key.len; i++)
        if (key.ptr[i] <= ' ' || key.ptr[i] > '~')
            return false;
    return true;
}

static enum err_code add_key(struct access *a, struct str key, struct err *err)
{
    size_t number = a->n_keys + 1; /* keys are never shown, so messages count them */
    if (key.len < KEY_BYTES_MIN)
        return err_set(err, ERR_CONFIG, "keys", "keys: key number %zu has fewer than %d characters.", number,
                       KEY_BYTES_MIN);
    if (!is_plain(key))
        return err_set(err, ERR_CONFIG, "keys",
                       "keys: key number %zu holds a blank or a character that is not printable ASCII.",
                       number);
    digest(key, a->digests[a->n_keys]);
    for (size_t i = 0; i < a->n_keys; i++)
        if (memcmp(a->digests[i], a->digests[a->n_keys], DIGEST_BYTES) == 0)
            return err_set(err, ERR_CONFIG, "keys", "keys: key number %zu is the same as number %zu.", number,
                           i + 1);
    a->n_keys++;
    return ERR_OK;
}

enum err_code access_open(struct access **out, const struct config *cfg, struct err *err)
{
    if (cfg->keys.len == 0 && !is_loopback(str_from(cfg->listen)))
        return err_set(
            err, ERR_CONFIG, "keys",
            "listen: %.100s can be reached from other machines, and without keys anyone there could use "
            "this server. Make a key with 'openssl rand -hex 24' and pass it as --keys or THINKD_KEYS, or "
            "listen on 127.0.0.1.",
            cfg->listen);
    struct access *a = mem_zalloc(sizeof *a + cfg->keys.len * DIGEST_BYTES);
    enum err_code code = ERR_OK;
    for (size_t i = 0; !code && i < cfg->keys.len; i++)
        code = add_key(a, str_from(cfg->keys.items[i]), err);
    if (code) {
        access_close(a);
        return code;
    }
    *out = a;
    return ERR_OK;
}

void access_close(struct access *a)
{
    mem_free(a);
}

/* The key of "Bearer <key>", empty for any other scheme. */
static struct str bearer(struct str authorization)
{
    struct str scheme = str_slice(authorization, 0, strlen("Bearer "));
    if (!str_eq_nocase(scheme, STR("Bearer ")))
        return (struct str){ 0 };
    return str_trim(str_slice(authorization, scheme.len, authorization.len));
}

static enum err_code refuse(struct str key, struct err *err)
{
    char masked[16] = "***";
    if (key.len >= 12 && is_plain(key))
        snprintf(masked, sizeof masked, "%.5s***%.2s", key.ptr, key.ptr + key.len - 2);
    return err_set(err, ERR_INVALID_KEY, NULL, "Incorrect API key provided: %s.", masked);
}

static void owner_of(const unsigned char d[DIGEST_BYTES], struct access_owner *owner)
{
    for (size_t i = 0; i < (sizeof owner->id - 1) / 2; i++)
        snprintf(owner->id + 2 * i, 3, "%02x", d[i]);
}

enum err_code access_check(const struct access *a, struct str authorization, struct str api_key,
                           struct access_owner *owner, struct err *err)
{
    if (a->n_keys == 0) {
        snprintf(owner->id, sizeof owner->id, "local");
        return ERR_OK;
    }
    struct str key = bearer(authorization);
    if (key.len == 0)
        key = str_trim(api_key);
    if (key.len == 0)
        return err_set(
            err, ERR_NO_KEY, NULL,
            "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY' or as 'api-key: "
            "YOUR_KEY'.");
    unsigned char d[DIGEST_BYTES];
    digest(key, d);
    bool known = false;
    for (size_t i = 0; i < a->n_keys; i++) /* all of them, whichever matches */
        known |= CRYPTO_memcmp(d, a->digests[i], DIGEST_BYTES) == 0;
    if (!known)
        return refuse(key, err);
    owner_of(d, owner);
    return ERR_OK;
}
