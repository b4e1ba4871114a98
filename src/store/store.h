/*
 * store.h - what outlives the process: jobs with their events and journals, and objects with a place in a list.
 *
 * A store knows rows, not meanings: bodies, events and journals are bytes that job/ and api/ wrote. Two shapes are enough:
 *
 *   job      one response: its request, its status, its events as the API shows them (numbered from 0 without
 *            gaps), the journal of what its branches generated, and at the end its response
 *   object   anything else that has an id, an owner and a place in a list: conversations and their items, stored chat
 *            completions, files, keys, idempotency records, webhooks that wait to be delivered
 *
 * Writes are gathered in a transaction by any thread and handed to the one writer, which commits everything that waits in
 * one group with one disk sync. A transaction is there whole or not at all, and a failed one does not hurt its
 * neighbours in the group. done is called in the order of store_commit, after the sync.
 *
 * Reads have handles of their own, see what was committed, and may run on any thread that may wait for the disk.
 *
 * Threads:   any; done callbacks run on the writer's thread and do no more than post to a mailbox.
 * Ownership: transactions copy what they are given; what a read returns lives in the caller's arena.
 * Errors:    ERR_NOT_FOUND, ERR_CONFLICT (there already, or not in the state that the write needs), ERR_STORE
 *            (disk full, read only, locked, corrupt: the message says which and what to do).
 * Invariant: a job's status only goes forwards, and once terminal never changes.
 */
#ifndef THINKD_STORE_STORE_H
#define THINKD_STORE_STORE_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct store;

struct store_config {
    const char *path; /* the database's file; NULL: in memory, gone with the process */
    const char *node; /* names this process among those that share the store, as "host:pid" */
};

/* Creates or migrates the schema (src/store/schema/NNN.sql, in order). A database of a newer thinkd, one that is
 * locked by another process, a corrupt one and a directory that cannot be written are errors that say so. */
enum err_code store_open(struct store **out, const struct store_config *cfg, struct err *err);
/* For reading and writing objects alone, whether or not another process holds the store: jobs must be left to that one. A
 * schema that is older than this program's is an error. */
enum err_code store_open_beside(struct store **out, const struct store_config *cfg, struct err *err);
void store_close(struct store *s); /* commits what waits, joins the writer; NULL is fine */

/* --- jobs ---------------------------------------------------------------------------------------------- */

/* The API's words, in the order in which a job can go through them. */
enum store_status {
    STORE_QUEUED,
    STORE_IN_PROGRESS,
    STORE_COMPLETED,
    STORE_INCOMPLETE,
    STORE_FAILED,
    STORE_CANCELLED
};
extern const char *const store_status_names[]; /* "queued", ... */

struct store_job {
    struct str id, owner; /* id is unique among all owners */
    enum store_status status;
    bool background;
    int64_t created_ms, ended_ms; /* wall clock; ended_ms 0 while it runs */
    struct str previous;          /* id of the response it goes on from, or empty */
    struct str conversation;      /* id, or empty */
    struct str engine;            /* fingerprint of the model whose tokens the journal holds */
    struct str request;           /* all that is needed to run it again */
    struct str response;          /* empty until it has ended */
    int64_t events;               /* how many are stored */
    int64_t restarts;             /* claims since it last made progress */
};

/* Reads. owner empty: any owner's (for the server's own use). */
enum err_code store_job_get(struct store *s, struct str owner, struct str id, struct store_job *out,
                            struct arena *arena, struct err *err);
/* The stored events with numbers first .. first + limit - 1, as far as they are there: out[0] is number first. Whole
 * events, at most bytes_max of them together but at least one where there is one. */
enum err_code store_job_events(struct store *s, struct str id, int64_t first, size_t limit, size_t bytes_max,
                               struct str **out, size_t *n, struct arena *arena, struct err *err);
/* The pieces that store_tx_append was given, one after the other. */
enum err_code store_job_journal(struct store *s, struct str id, struct str *out, struct arena *arena,
                                struct err *err);
/* Jobs that are not over: background ones, or the others. Of every owner, oldest first. */
enum err_code store_jobs_open(struct store *s, bool background, struct store_job **out, size_t *n,
                              struct arena *arena, struct err *err);
/* The job whose output holds the item, by store_tx_item. */
enum err_code store_item_job(struct store *s, struct str owner, struct str item, struct str *job,
                             struct arena *arena, struct err *err);

/* --- objects ---------------------------------------------------------------------------------------------- */

struct store_object {
    struct str kind, owner, id; /* together unique */
    struct str parent;          /* of a list's members: the list's id; else empty */
    int64_t created_ms;
    int64_t expires_ms; /* 0: never; the sweep removes it after */
    struct str body;
    int64_t place; /* given by the store: later ones are larger */
};
struct store_list {
    struct str kind, owner, parent;
    struct str after,
        before; /* ids, exclusive; empty: from the end of the list. ERR_NOT_FOUND: not in the list */
    size_t limit;
    bool descending;         /* newest first; after and before are meant in that order */
    int64_t created_from_ms; /* 0: any */
};
enum err_code store_object_get(struct store *s, struct str kind, struct str owner, struct str id,
                               struct store_object *out, struct arena *arena, struct err *err);
/* more: there are others behind the last. */
enum err_code store_object_list(struct store *s, const struct store_list *ask, struct store_object **out,
                                size_t *n, bool *more, struct arena *arena, struct err *err);
enum err_code store_object_count(struct store *s, struct str kind, struct str owner, struct str parent,
                                 int64_t *out, struct err *err);

/* --- writes ------------------------------------------------------------------------------------------------- */

struct store_tx;
struct store_tx *store_tx_open(void);
void store_tx_close(struct store_tx *tx); /* one that is not to be committed; NULL is fine */

void store_tx_insert(struct store_tx *tx, const struct store_job *job); /* ERR_CONFLICT: the id is taken */
/* Events number first, first + 1 ... (each JSON without line breaks) and a piece of the journal, either of them none.
 * ERR_CONFLICT: first is not the number of events that are stored, or the job is over; ERR_NOT_FOUND: it was deleted. A piece of
 * journal is progress: restarts goes back to 0. */
void store_tx_append(struct store_tx *tx, struct str id, int64_t first, const struct str *events, size_t n,
                     struct str journal);
/* queued -> in_progress. ERR_CONFLICT: it is in no state for that. */
void store_tx_start(struct store_tx *tx, struct str id);
/* The terminal state, once: the journal goes. ERR_CONFLICT: it is over already. only_unclaimed: also ERR_CONFLICT when a
 * node has claimed it, for those who cancel a job that waits. */
void store_tx_end(struct store_tx *tx, struct str id, enum store_status status, int64_t ended_ms,
                  struct str response, bool only_unclaimed);
void store_tx_item(struct store_tx *tx, struct str owner, struct str item, struct str job);
/* With events, journal and items. ERR_NOT_FOUND; ERR_CONFLICT: it is not over. */
void store_tx_delete(struct store_tx *tx, struct str owner, struct str id);

void store_tx_object_put(struct store_tx *tx, const struct store_object *o); /* a new one; ERR_CONFLICT */
void store_tx_object_update(struct store_tx *tx,
                            const struct store_object *o); /* body, expires_ms; ERR_NOT_FOUND */
void store_tx_object_delete(struct store_tx *tx, struct str kind, struct str owner,
                            struct str id); /* ERR_NOT_FOUND */

/* The transaction changes hands. done may be NULL; err->code is ERR_OK when it is on disk. */
typedef void store_done(void *ctx, const struct err *err);
void store_commit(struct store *s, struct store_tx *tx, store_done *done, void *ctx);
/* The same, waiting; for threads that may. */
enum err_code store_commit_wait(struct store *s, struct store_tx *tx, struct err *err);

/* Takes up to limit background jobs that nobody runs, oldest first, for this node: queued ones, and those in progress whose
 * node is gone (on SQLite: that were claimed before the store was opened). Each claim counts in restarts, the first
 * too. done is called once with them, in an arena that ends with the call. */
typedef void store_claimed(void *ctx, const struct store_job *jobs, size_t n, const struct err *err);
void store_claim(struct store *s, size_t limit, store_claimed *done, void *ctx);
/* A job that was claimed and is not run after all waits again; restarts goes back to what it was. */
void store_tx_unclaim(struct store_tx *tx, struct str id);
int64_t store_waiting(
    struct store *s); /* background jobs that nobody has claimed; kept in memory, any thread */

/* --- keeping it small ------------------------------------------------------------------------------------------ */

struct store_limits {
    int64_t ended_before_ms; /* terminal jobs that ended earlier go, unless a kept one goes on from them */
    int64_t now_ms;          /* objects that expired go */
    int64_t bytes_max; /* 0: no bound; then the oldest terminal jobs and objects that will expire go until the
                                database is smaller */
};
/* Runs on the writer's thread in small transactions, between groups. */
void store_sweep(struct store *s, const struct store_limits *limits, store_done *done, void *ctx);
int64_t store_bytes(
    struct store *s); /* of the database on disk, or in memory; a read. 0: it cannot be read */

#endif
