/*
 * stored_impl.h - responses in the store: written, accepted in the background, streamed again, folded from their events, gone on from.
 *
 * Every look at what is stored goes by the caller's owner.
 */
#ifndef THINKD_API_STORED_IMPL_H
#define THINKD_API_STORED_IMPL_H

#include "api/turn_impl.h"

/* --- kept.c: responses in the store ------------------------------------------------------------------- */

extern const struct turn_kind responses_kind;

/* What the store keeps of the request: before its input is dropped. */
void kept_request(struct turn *t);
void kept_begin(void *turn, const struct job_view *job, struct store_tx *tx);  /* as job_sink's */
void kept_finish(void *turn, const struct job_view *job, struct store_tx *tx); /* as job_sink's */
/* What the conversation of a response that is not stored itself gains; as turn_kind's. */
void kept_in_conversation(struct turn *t, const struct job_view *job, struct store_tx *tx);
/* Tells of the end of a background response whoever is to be called, as part of tx; webhooks_wake follows the commit. */
void kept_webhook(struct api *a, struct store_tx *tx, enum store_status status, struct str id);
/* Accepts a background response: answers its exchange when its row is on disk. Takes over the caller's reference where
 * it returns ERR_OK. */
enum err_code background_accept(struct turn *t, struct err *err);
enum err_code background_revive(void *api, const struct store_job *row,
                                struct err *err); /* as job_reviver's */
void background_orphan(void *api, const struct store_job *row);

/* --- stream.c: streams of stored events --------------------------------------------------------------------- */

/* Streams the events of a background response from number next on: stored ones, then what comes. x is the stream's from
 * here on. */
void stream_response(struct api *a, struct http_exchange *x, struct str name, int64_t next, bool obfuscate);
/* An event as a frame of a stream. obfuscate: deltas are padded with random text. */
void stream_frame(struct buf *out, struct str json, bool obfuscate);
/* Answers c with the events behind number starting_after (-1: all), then those to come. An error answers nothing. */
enum err_code responses_stream(const struct call *c, struct str id, int64_t starting_after,
                               bool include_obfuscation, struct err *err);
/* Answers c, a DELETE of a response that still runs. */
void stop_running(const struct call *c, const struct store_job *job);

/* --- fold.c ------------------------------------------------------------------------------------------------- */

/* A Response object out of its events, one after the other. One thread at a time. */
struct fold;
struct fold *fold_open(void);
enum err_code fold_add(struct fold *f, struct str event,
                       struct err *err); /* ERR_STORE: it is no next event */
/* As it stands; borrowed until the next call. NULL: no event yet. */
json_t *fold_response(struct fold *f);
bool fold_over(const struct fold *f); /* a terminal event was among them */
void fold_close(struct fold *f);      /* NULL is fine */

/* --- history.c ------------------------------------------------------------------------------------------------ */

#define HISTORY_RESPONSES_MAX 1000
#define HISTORY_BYTES_MAX     67108864 /* of the rows that are read for one context */

/* The Response object of a job as it stands now: the stored one, or the fold of its events with the row's status. *out
 * is the caller's. */
enum err_code response_now(struct api *a, const struct store_job *job, json_t **out, struct err *err);
/* Appends the items of a response's context and of the response itself: those of the responses it goes on from or of its
 * conversation, each one's input then its output, oldest first. Errors: ERR_INVALID_VALUE (no response id),
 * ERR_PREVIOUS_NOT_FOUND, ERR_CONFLICT (it still runs), ERR_CONTEXT_LENGTH (more than the bounds above). */
enum err_code history_items(struct api *a, const struct access_owner *o, struct str previous_id, json_t *out,
                            struct arena *arena, struct err *err);
/* The input of a response with all that it inherits; ancestors that were deleted are left out. */
enum err_code history_input(struct api *a, const struct store_job *job, json_t *out, struct arena *arena,
                            struct err *err);
/* An item by its id, of a response's output or of a conversation; *item is the caller's. */
enum err_code item_find(struct api *a, const struct access_owner *o, struct str id, json_t **item,
                        struct arena *arena, struct err *err);

/* --- arriving.c ------------------------------------------------------------------------------------------------- */

/* True: no row of this response was found, which may be on its way, and the handler is called again, once: it answers then.
 * False: it was. */
bool arriving_wait(const struct call *c, struct str id, void (*again)(const struct call *c));

#endif
