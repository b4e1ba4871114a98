/*
 * beside_impl.h - what stands beside the requests: seals, webhooks, the thread for what may wait, sweeps, open WebSockets.
 *
 * api_open opens these and api_close closes them.
 */
#ifndef THINKD_API_BESIDE_IMPL_H
#define THINKD_API_BESIDE_IMPL_H

#include "api/turn_impl.h"

/* --- seal.c ----------------------------------------------------------------------------------------- */

#define SEAL_TOKEN_MAX 10485760 /* characters: what the API lets encrypted_content be */
#define SEAL_PLAIN_MAX 7864000  /* bytes that fit in it */
struct seal;
/* secrets: the first seals, all open. None: the file "secret" in dir, made if it is not there, or, without dir, one that ends
 * with the process. ERR_CONFIG, ERR_FILE. */
enum err_code seal_open(struct seal **out, const struct config_list *secrets, const char *dir,
                        struct err *err);
void seal_close(struct seal *s); /* NULL is fine */
/* Appends a token that only this owner can have opened, and only as this kind ("reasoning", "compaction"). False: plain is
 * longer than SEAL_PLAIN_MAX. */
bool seal_put(const struct seal *s, struct str owner, const char *kind, struct str plain, struct buf *out);
/* Appends what was sealed. ERR_ENCRYPTED_CONTENT with param for anything else than a token of this owner and kind. */
enum err_code seal_get(const struct seal *s, struct str owner, const char *kind, struct str token,
                       const char *param, struct buf *plain, struct err *err);

/* --- webhooks.c ------------------------------------------------------------------------------------- */

struct webhooks;
struct webhooks_config {
    struct store *store; /* borrowed */
    const char *url, *secret;
    int64_t (*now_ms)(void); /* NULL: the wall clock */
};
/* Goes on with what is stored. ERR_CONFIG. fetch_start comes before. */
enum err_code webhooks_open(struct webhooks **out, const struct webhooks_config *cfg, struct err *err);
void webhooks_close(struct webhooks *w); /* waits for a try under way; NULL is fine */
/* Adds an event ("response.completed", ...) to the transaction that ends a background job; webhooks_wake comes after its
 * commit. w NULL: nothing. Any thread. */
void webhooks_tx(struct webhooks *w, struct store_tx *tx, const char *type, struct str response_id);
void webhooks_wake(struct webhooks *w);
/* Appends "v1,<base64>" as Standard Webhooks has it. */
void webhook_sign(struct buf *out, struct str secret, struct str id, int64_t timestamp_s, struct str body);

/* --- later.c: a thread for what may wait for the disk and has no worker ------------------------------------- */

struct later *later_open(void);
void later_close(struct later *l); /* runs what is due, drops no call; NULL is fine */
bool later_stops(struct later *l); /* what is put off is called now and must not be put off again */
/* Calls fn(ctx) on that thread, not before so many ms have passed. Any thread; calls of one moment run in order. */
void later_run(struct later *l, int64_t in_ms, void (*fn)(void *ctx), void *ctx);

/* --- retention.c: what is kept for how long -------------------------------------------------------------------- */

struct retention;
/* keep_ms, keep_bytes: 0 is no bound. Sweeps at once, and from time to time. */
void retention_open(struct retention **out, struct store *store, struct later *later, int64_t keep_ms,
                    int64_t keep_bytes);
void retention_close(struct retention *r); /* behind later_close; NULL is fine */

/* --- websocket.c: responses over one connection ------------------------------------------------------------- */

struct lanes *lanes_open(struct api *a);
void lanes_close(struct lanes *all); /* every connection is closed, and later too; NULL is fine */

/* The items of the connection's last response and all before it. False: id is not that response. */
bool lane_history(struct lane *l, struct str id, json_t *items);
void lane_begins(struct lane *l, struct turn *t);
void lane_event(struct lane *l, struct str json);
/* The turn is over, well or not: its last event was sent, or err says what there is instead. t is not looked at again. */
void lane_answered(struct lane *l, struct turn *t, const struct err *err);

#endif
