/*
 * access.h - who may call, whose a response is, and how much of the machine one owner may take.
 *
 * Keys come from two places: the configuration's list, fixed while the server runs, and the store, where `thinkd keys`
 * puts and removes them beside a running server. A caller is the owner that its key names. With no key anywhere every
 * caller is the same owner, and the server serves loopback addresses only; once a server has asked for keys it goes
 * on asking until it ends, so that revoking the last key opens nothing.
 *
 * An owner's requests go through three limits: requests a minute, tokens a minute, requests at a time. A request that is let
 * through holds a place until access_give.
 *
 * Threads:   any. access_check may wait for the disk; access_take and access_give never do.
 * Ownership: a place belongs to whoever holds the struct; access_place_move hands it on. The store is borrowed
 *            until access_close.
 * Bound:     what is read of the store is believed for ACCESS_KEY_LIFE_MS: a revoked key stops, and a new one that
 *            was tried too early begins, within that time.
 */
#ifndef THINKD_ACCESS_ACCESS_H
#define THINKD_ACCESS_ACCESS_H

#include "base/arena.h"
#include "config/config.h"
#include "store/store.h"

#define ACCESS_KEY_LIFE_MS     2000
#define ACCESS_KEYS_MAX        10000      /* in the store */
#define ACCESS_NAME_CHARS_MAX  64         /* of a key's name */
#define ACCESS_OWNER_CHARS_MAX 32         /* of an owner's id */
#define ACCESS_LIMIT_MAX       1000000000 /* of any limit */
#define ACCESS_OWNERS_MAX      16384      /* whose buckets are kept; more than can have a key */
#define ACCESS_MODELS_MAX      255        /* bytes of the names of a key's models */
#define ACCESS_DIGEST_BYTES    32

struct access;

/* 0: no limit. */
struct access_limits {
    int64_t requests_per_minute, tokens_per_minute, concurrency;
};

struct access_owner {
    char id[ACCESS_OWNER_CHARS_MAX +
            1];                  /* the key's own, or 32 hex digits of its SHA-256; "local" without keys */
    struct access_limits limits; /* of the key that was shown, or the configuration's */
    char models[ACCESS_MODELS_MAX + 1];        /* that this key may use, with commas between; empty: all */
    unsigned char digest[ACCESS_DIGEST_BYTES]; /* of the key that was shown: SHA-256 */
    bool keyed;                                /* a key was needed, and digest is there */
};
/* The next name of such a list, which *rest begins as. False: there is no more. */
bool access_model(struct str *rest, struct str *name);

/* ERR_CONFIG: a key that is too short (under 8 bytes) or twice there; listen is not loopback and there are no keys.
 * store may be NULL: the configuration's keys alone. */
enum err_code access_open(struct access **out, const struct config *cfg, struct store *store,
                          struct err *err);
void access_close(struct access *a);      /* after every place was given back; NULL is fine */
bool access_asks(const struct access *a); /* callers need a key */
/* For tests, before any other call: milliseconds that never go back. */
void access_use_clock(struct access *a, int64_t (*now_ms)(void *ctx), void *ctx);

/* authorization: the whole header value ("Bearer sk-..."), api_key: Azure's header; either may be empty.
 * Errors: ERR_NO_KEY, ERR_INVALID_KEY ("Incorrect API key provided: sk-ab***yz." masked), ERR_STORE. */
enum err_code access_check(struct access *a, struct str authorization, struct str api_key,
                           struct access_owner *owner, struct err *err);

/* The same owner's next request on a connection that was let in before: its key may have been revoked since, or be needed
 * now. owner is filled anew. Errors as of access_check. */
enum err_code access_again(struct access *a, struct access_owner *owner, struct err *err);

/* --- limits ------------------------------------------------------------------------------------------- */

/* How one limit stands, for the reply's headers. limit 0: there is none. */
struct access_rate {
    int64_t limit, remaining;
    int64_t reset_ms; /* until all of it is there again */
};

/* A request that was let through. Zeroed is empty. It must not be copied, only moved: two copies would be given back
 * twice. The rates stay readable after it was moved or given back. */
struct access_place {
    struct access_seat *seat; /* NULL: nothing to give back */
    int64_t estimate;
    struct access_rate requests, tokens;
    int64_t wait_ms; /* after a refusal: when to try again */
};

/* Lets a request of the owner through, or refuses it whole: a refused one costs nothing. out must be empty; its rates are
 * filled either way. tokens_estimate is taken at once and corrected by access_give; what is more than a minute's
 * tokens counts as a minute's, since such a request can only be let through when nothing else was.
 * Errors: ERR_RATE_LIMIT_REQUESTS (also for requests at a time), ERR_RATE_LIMIT_TOKENS, with out->wait_ms. */
enum err_code access_take(struct access *a, const struct access_owner *owner, int64_t tokens_estimate,
                          struct access_place *out, struct err *err);
/* Ends the request. tokens_used replaces the estimate; an owner who used more than there was waits until it has come
 * back. An empty place is fine, and the place is empty afterwards. */
void access_give(struct access *a, struct access_place *place, int64_t tokens_used);
/* Tokens that an owner used without a place: what goes on thinking after its request was answered. They are owed like any
 * others, as long as the owner's tokens are limited. */
void access_charge(struct access *a, const struct access_owner *owner, int64_t tokens_used);
/* The place changes hands: *from is empty afterwards and giving it back does nothing. */
struct access_place access_place_move(struct access_place *from);

/* --- keys in the store -------------------------------------------------------------------------------- */

#define ACCESS_SECRET_CHARS 50   /* "sk-thinkd-" and 40 hex digits: 160 bits */
#define ACCESS_UNSET        (-1) /* of a limit: the server's default */

struct access_key {
    char id[65];                              /* hex SHA-256 of the key itself, which is kept nowhere */
    char name[4 * ACCESS_NAME_CHARS_MAX + 1]; /* UTF-8, for people; one name, one key */
    char owner[ACCESS_OWNER_CHARS_MAX + 1];
    int64_t created_s;
    struct access_limits limits;        /* ACCESS_UNSET: the server's default, 0: no limit */
    char models[ACCESS_MODELS_MAX + 1]; /* as an owner's */
};

/* Makes a key of key's name, limits, models and owner ("": of its own) and fills the rest. secret is shown once and never again.
 * ERR_CONFIG: name, owner, a limit or a model's name is not valid; ERR_CONFLICT: the name is taken; there are too many. */
enum err_code access_key_create(struct store *s, struct access_key *key, char secret[ACCESS_SECRET_CHARS + 1],
                                struct err *err);
enum err_code access_keys_list(struct store *s, struct access_key **out, size_t *n, struct arena *arena,
                               struct err *err); /* oldest first */
/* word: a key's name, or the first digits of its id, 8 at least. out: the key that is no more. ERR_NOT_FOUND; ERR_CONFLICT: it fits
 * several. */
enum err_code access_key_revoke(struct store *s, struct str word, struct access_key *out, struct err *err);

#endif
