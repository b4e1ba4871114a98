/*
 * access.h - who may call, and whose a response is.
 *
 * With no keys configured every caller is the same owner, and the server serves loopback
 * addresses only. With keys, a caller is the owner named by a hash of its key.
 *
 * Threads: read-only after access_open; any may check. Keys are compared in constant time and never logged.
 */
#ifndef THINKD_ACCESS_ACCESS_H
#define THINKD_ACCESS_ACCESS_H

#include "config/config.h"

struct access;

struct access_owner {
    char id[33]; /* 32 hex digits of SHA-256 of the key; "local" when no keys are configured */
};

/* ERR_CONFIG: a key that is too short (under 8 bytes) or twice there; listen is not loopback and there are no keys. */
enum err_code access_open(struct access **out, const struct config *cfg, struct err *err);
void access_close(struct access *a); /* NULL is fine */

/* authorization: the whole header value ("Bearer sk-..."), api_key: Azure's header; either may be empty.
 * Errors: ERR_NO_KEY, ERR_INVALID_KEY ("Incorrect API key provided: sk-ab***yz." masked). */
enum err_code access_check(const struct access *a, struct str authorization, struct str api_key,
                           struct access_owner *owner, struct err *err);

#endif
