/*
 * fresh.h - what the store's tests share: fresh stores, jobs in one line, calls that wait for their answer.
 */
#ifndef THINKD_TESTS_UNIT_STORE_FRESH_H
#define THINKD_TESTS_UNIT_STORE_FRESH_H

#include "store/store.h"

/* A way to get a store with nothing in it. A new implementation is one more row. */
struct backend {
    const char *name;
    enum err_code (*open)(struct store **out, struct err *err);
};
extern const struct backend store_backends[];
#define STORE_BACKENDS 2

char *fresh_path(void);                        /* where no file is yet; the caller frees */
struct store *fresh_at(const char *path);      /* opens it, which must succeed */
struct str s(const char *text);                /* a view */
struct store_job a_job(const char *id);        /* of owner "anna", background, queued, created at 1000 */
struct store_object an_object(const char *id); /* of kind "file" and owner "anna", in no list */

/* One transaction, committed; checks the code that it ends with. */
void commit(struct store *store, struct store_tx *tx, enum err_code want);
void insert_job(struct store *store, struct store_job job);
/* count events "{"n":N}" from first on, with a piece of journal. */
void append_events(struct store *store, const char *id, int64_t first, size_t count, const char *journal,
                   enum err_code want);
void end_job(struct store *store, const char *id, int64_t ended_ms);

/* The jobs in the arena; n is checked by the caller. */
size_t claim(struct store *store, size_t limit, struct store_job **out, struct arena *arena);
void sweep(struct store *store, struct store_limits limits, enum err_code want);

#endif
