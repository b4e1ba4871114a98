/*
 * access_impl.h - what the files of access/ share: digests, stored keys by their digest, the owners' buckets.
 */
#ifndef THINKD_ACCESS_IMPL_H
#define THINKD_ACCESS_IMPL_H

#include "access/access.h"

#define DIGEST_BYTES ACCESS_DIGEST_BYTES

void key_digest(struct str key, unsigned char out[DIGEST_BYTES]); /* SHA-256 */

/* The stored key of that digest; ERR_NOT_FOUND, ERR_STORE. */
enum err_code key_read(struct store *s, const unsigned char digest[DIGEST_BYTES], struct access_key *out,
                       struct err *err);
enum err_code key_count(struct store *s, int64_t *n, struct err *err);

/* --- limits.c ------------------------------------------------------------------------------------------- */

struct limits;
struct limits *limits_open(void);
void limits_close(struct limits *l); /* every place was given back; NULL is fine */
enum err_code limits_take(struct limits *l, const struct access_owner *owner, int64_t now_ms, int64_t tokens,
                          struct access_place *out, struct err *err);
void limits_charge(struct limits *l, const char *owner, int64_t now_ms, int64_t tokens_used);
void limits_give(struct limits *l, struct access_place *place, int64_t now_ms, int64_t tokens_used);

#endif
