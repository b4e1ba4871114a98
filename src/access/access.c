/*
 * access.c - keys become owners, by hash.
 *
 * Only SHA-256 digests of the keys are kept. A presented key is hashed and compared with every configured digest
 * in constant time, so neither the key's content nor its place in the list shows in the time; then it is looked up by
 * its digest among the stored ones, where the time shows nothing but digests. The owner's id is the first half of the
 * digest unless the stored key names another: 128 bits, the same on every server that knows the key, and of no
 * use for calling.
 *
 * What the store said is remembered in a table with one place per hash, so its size is fixed and a flood of wrong keys
 * costs at most a read each. An answer is as old as the moment before it was asked for, and is not believed longer
 * than ACCESS_KEY_LIFE_MS, whether it was yes or no. The store is read without the lock.
 *
 * The lock guards the table of answers and when the store was last asked whether it has keys at all.
 */
#include "access/access_impl.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define KEY_BYTES_MIN 8
#define ANSWERS       1024 /* a power of two */

/* What the store said of a digest. */
struct answer {
    unsigned char digest[DIGEST_BYTES];
    int64_t asked_ms;
    bool there, known;         /* there: the slot is in use; known: it is the digest of a key */
    struct access_owner owner; /* known */
};

struct access {
    pthread_mutex_t lock;
    int64_t (*now_ms)(void *ctx);
    void *clock_ctx;
    struct store *store;           /* NULL: none */
    struct access_limits defaults; /* the configuration's */
    struct limits *limits;
    atomic_bool asks;   /* callers need a key; never false again */
    bool counted;       /* counted_ms means something */
    int64_t counted_ms; /* when the store had no key at all */
    struct answer *answers;
    size_t n_keys;
    unsigned char digests[][DIGEST_BYTES]; /* of the configuration's keys */
};

static int64_t mono_ms(void *ctx)
{
    (void)ctx;
    return clock_mono_ms();
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

/* --- opening --------------------------------------------------------------------------------------------- */

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
    key_digest(key, a->digests[a->n_keys]);
    for (size_t i = 0; i < a->n_keys; i++)
        if (memcmp(a->digests[i], a->digests[a->n_keys], DIGEST_BYTES) == 0)
            return err_set(err, ERR_CONFIG, "keys", "keys: key number %zu is the same as number %zu.", number,
                           i + 1);
    a->n_keys++;
    return ERR_OK;
}

/* Needs a key where one is configured or stored; refuses to open where anyone could reach it without. */
static enum err_code choose(struct access *a, const struct config *cfg, struct err *err)
{
    int64_t stored = 0;
    enum err_code code = a->store ? key_count(a->store, &stored, err) : ERR_OK;
    if (code)
        return code;
    atomic_store(&a->asks, a->n_keys > 0 || stored > 0);
    if (access_asks(a) || is_loopback(str_from(cfg->listen)))
        return ERR_OK;
    return err_set(
        err, ERR_CONFIG, "keys",
        "listen: %.100s can be reached from other machines, and without keys anyone there could use this "
        "server. "
        "Make a key with 'thinkd keys create NAME', or pass one of your own (openssl rand -hex 24) as --keys "
        "or THINKD_KEYS, or listen on 127.0.0.1.",
        cfg->listen);
}

enum err_code access_open(struct access **out, const struct config *cfg, struct store *store, struct err *err)
{
    struct access *a = mem_zalloc(sizeof *a + cfg->keys.len * DIGEST_BYTES);
    pthread_mutex_init(&a->lock, NULL);
    a->now_ms = mono_ms;
    a->store = store;
    a->limits = limits_open();
    a->answers = mem_array(ANSWERS, sizeof *a->answers);
    a->defaults = (struct access_limits){ .requests_per_minute = cfg->requests_per_minute,
                                          .tokens_per_minute = cfg->tokens_per_minute,
                                          .concurrency = cfg->concurrency_per_key };
    enum err_code code = ERR_OK;
    for (size_t i = 0; !code && i < cfg->keys.len; i++)
        code = add_key(a, str_from(cfg->keys.items[i]), err);
    if (!code)
        code = choose(a, cfg, err);
    if (code) {
        access_close(a);
        return code;
    }
    *out = a;
    return ERR_OK;
}

void access_close(struct access *a)
{
    if (!a)
        return;
    limits_close(a->limits);
    pthread_mutex_destroy(&a->lock);
    mem_free(a->answers);
    mem_free(a);
}

void access_use_clock(struct access *a, int64_t (*now_ms)(void *ctx), void *ctx)
{
    a->now_ms = now_ms;
    a->clock_ctx = ctx;
}

static int64_t now(struct access *a)
{
    return a->now_ms(a->clock_ctx);
}

bool access_asks(const struct access *a)
{
    return atomic_load(&a->asks);
}

/* --- what the store knows ------------------------------------------------------------------------------------ */

/* Whether a key is needed by now: one may have been stored since the server began. */
static enum err_code look_for_keys(struct access *a, struct err *err)
{
    int64_t began_ms = now(a), stored = 0;
    if (access_asks(a) || !a->store)
        return ERR_OK;
    pthread_mutex_lock(&a->lock);
    bool fresh = a->counted && began_ms - a->counted_ms < ACCESS_KEY_LIFE_MS;
    pthread_mutex_unlock(&a->lock);
    enum err_code code = fresh ? ERR_OK : key_count(a->store, &stored, err);
    if (code || fresh)
        return code;
    if (stored > 0) {
        if (!atomic_exchange(&a->asks, true))
            log_line(LOG_INFO, "access", "the store has keys now, so callers need one");
        return ERR_OK;
    }
    pthread_mutex_lock(&a->lock);
    if (!a->counted || a->counted_ms < began_ms)
        a->counted_ms = began_ms;
    a->counted = true;
    pthread_mutex_unlock(&a->lock);
    return ERR_OK;
}

static struct answer *slot_of(struct access *a, const unsigned char digest[DIGEST_BYTES])
{
    return &a->answers[(digest[0] << 8 | digest[1]) & (ANSWERS - 1)];
}

static bool remembered(struct access *a, const unsigned char digest[DIGEST_BYTES], int64_t now_ms,
                       struct answer *out)
{
    pthread_mutex_lock(&a->lock);
    *out = *slot_of(a, digest);
    pthread_mutex_unlock(&a->lock);
    return out->there && now_ms - out->asked_ms < ACCESS_KEY_LIFE_MS &&
           CRYPTO_memcmp(out->digest, digest, DIGEST_BYTES) == 0;
}

static int64_t own_or(int64_t own, int64_t dflt)
{
    return own == ACCESS_UNSET ? dflt : own;
}

static enum err_code ask_store(struct access *a, const unsigned char digest[DIGEST_BYTES], int64_t now_ms,
                               struct answer *out, struct err *err)
{
    struct access_key key;
    enum err_code code = key_read(a->store, digest, &key, err);
    if (code && code != ERR_NOT_FOUND)
        return code; /* no answer is not a no: it is not remembered */
    *out = (struct answer){ .asked_ms = now_ms, .there = true, .known = code == ERR_OK };
    memcpy(out->digest, digest, DIGEST_BYTES);
    if (out->known) {
        const struct access_limits *own = &key.limits, *dflt = &a->defaults;
        memcpy(out->owner.id, key.owner, sizeof out->owner.id);
        memcpy(out->owner.models, key.models, sizeof out->owner.models);
        out->owner.limits.requests_per_minute = own_or(own->requests_per_minute, dflt->requests_per_minute);
        out->owner.limits.tokens_per_minute = own_or(own->tokens_per_minute, dflt->tokens_per_minute);
        out->owner.limits.concurrency = own_or(own->concurrency, dflt->concurrency);
    }
    pthread_mutex_lock(&a->lock);
    *slot_of(a, digest) = *out;
    pthread_mutex_unlock(&a->lock);
    return ERR_OK;
}

/* --- checking ------------------------------------------------------------------------------------------------ */

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

static bool is_configured(const struct access *a, const unsigned char digest[DIGEST_BYTES])
{
    bool known = false;
    for (size_t i = 0; i < a->n_keys; i++) /* all of them, whichever matches */
        known |= CRYPTO_memcmp(digest, a->digests[i], DIGEST_BYTES) == 0;
    return known;
}

static void note_key(struct access_owner *owner, const unsigned char digest[DIGEST_BYTES])
{
    memcpy(owner->digest, digest, DIGEST_BYTES);
    owner->keyed = true;
}

/* key is for the message alone. */
static enum err_code owner_of(struct access *a, const unsigned char digest[DIGEST_BYTES], struct str key,
                              struct access_owner *owner, struct err *err)
{
    struct answer answer = { 0 };
    if (is_configured(a, digest)) {
        *owner = (struct access_owner){ .limits = a->defaults };
        str_hex(owner->id, digest, ACCESS_OWNER_CHARS_MAX / 2);
        note_key(owner, digest);
        return ERR_OK;
    }
    int64_t now_ms = now(a);
    if (a->store && !remembered(a, digest, now_ms, &answer)) {
        enum err_code code = ask_store(a, digest, now_ms, &answer, err);
        if (code)
            return code;
    }
    if (!answer.known)
        return refuse(key, err);
    *owner = answer.owner;
    note_key(owner, digest);
    return ERR_OK;
}

enum err_code access_check(struct access *a, struct str authorization, struct str api_key,
                           struct access_owner *owner, struct err *err)
{
    enum err_code code = look_for_keys(a, err);
    if (code)
        return code;
    if (!access_asks(a)) {
        *owner = (struct access_owner){ .id = "local", .limits = a->defaults };
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
    unsigned char digest[DIGEST_BYTES];
    key_digest(key, digest);
    return owner_of(a, digest, key, owner, err);
}

enum err_code access_again(struct access *a, struct access_owner *owner, struct err *err)
{
    const struct access_owner before = *owner;
    enum err_code code = look_for_keys(a, err);
    if (code || !access_asks(a))
        return code;
    if (!before.keyed)
        return err_set(err, ERR_NO_KEY, NULL,
                       "This connection was opened when no API key was needed. Open another with a key.");
    code = owner_of(a, before.digest, STR(""), owner, err);
    if (code == ERR_INVALID_KEY)
        err_set(err, code, NULL, "The API key that this connection was opened with is no longer valid.");
    return code;
}

/* --- limits ---------------------------------------------------------------------------------------------------- */

enum err_code access_take(struct access *a, const struct access_owner *owner, int64_t tokens_estimate,
                          struct access_place *out, struct err *err)
{
    return limits_take(a->limits, owner, now(a), tokens_estimate, out, err);
}

void access_give(struct access *a, struct access_place *place, int64_t tokens_used)
{
    limits_give(a->limits, place, now(a), tokens_used);
}

void access_charge(struct access *a, const struct access_owner *owner, int64_t tokens_used)
{
    limits_charge(a->limits, owner->id, now(a), tokens_used);
}

struct access_place access_place_move(struct access_place *from)
{
    struct access_place moved = *from;
    from->seat = NULL;
    return moved;
}
