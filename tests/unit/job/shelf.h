/*
 * shelf.h - a conductor on the echo engine over a store, background jobs in it, and who listens to them.
 *
 * It stands where api/ stands: a row's request is "CHOICES MESSAGE", its events are lines that name the event, its response
 * is the answers' texts, one behind the other. 0 choices are one with many lines of thought, whose response also says what
 * was decided. A message that spells a call may call tools, and the response has the calls too. A shelf counts what is called for each job, and a listener every event it is told, so that a test can ask
 * whether each was told once.
 *
 * Threads: callbacks come on the conductor's and the store's; watch_lock of watch.h guards what they write.
 */
#ifndef THINKD_TESTS_UNIT_JOB_SHELF_H
#define THINKD_TESTS_UNIT_JOB_SHELF_H

#include "job/job.h"
#include "job/watch.h"

struct shelf {
    char *path; /* of the database; NULL: in memory */
    struct store *store;
    struct conductor *c;
    int64_t background_max, queue_max;
    int revived, running, most; /* jobs built; here now, and at most */
    int orphans;
    bool gated, waits;    /* the reviver waits while it is gated, and says so */
    enum err_code refuse; /* what the reviver answers instead of building a job */
    const char *wrong;
};

/* path is taken. */
void shelf_open(struct shelf *s, char *path, int64_t background_max, int64_t queue_max);
void shelf_close(struct shelf *s);  /* conductor and store; its file stays until the test ends */
void shelf_reopen(struct shelf *s); /* as another process would, behind a close */
void shelf_free(struct shelf *s);

/* Reserves, writes the row with its first two events, announces. */
#define SHELF_ROUTE 999 /* in place of choices: models asked one after the other; 0: many lines of one */
void shelf_accept(struct shelf *s, const char *name, size_t choices, const char *message);
void shelf_gate(struct shelf *s, bool gated);
void shelf_wait_gated(struct shelf *s); /* until the reviver waits */
/* The job's row; waits until it is over when that is asked for. */
struct store_job shelf_row(struct shelf *s, const char *name, bool over, struct arena *arena);
/* All stored events, a line each, after checking that they are numbered from 0 on. */
const char *shelf_events(struct shelf *s, const char *name, struct arena *arena);

struct listener {
    struct buf events; /* lines */
    int64_t first, n;  /* number of the first, and how many */
    int ends;
    enum job_watch_end why;
    const char *wrong;
};
void listener_watch(struct listener *l, struct shelf *s, const char *name, int64_t next);
void listener_wait(struct listener *l);                        /* for its end */
void listener_wait_events(struct listener *l, int64_t n);      /* or its end */
void listener_wait_text(struct listener *l, const char *text); /* or its end */
int listener_ends(struct listener *l);                         /* by now */
void listener_free(struct listener *l);

/* The response of a background job that waits for a release (choices as shelf_accept has them). Before that, once `heard` was told,
 * the server is stopped so many times; what was stored by then stays, and the listener hears each event once. */
struct str shelf_run_held(size_t choices, const char *message, const char *heard, int stops,
                          struct arena *arena);

struct canceller {
    int told;
    enum job_cancelled what;
};
void canceller_cancel(struct canceller *k, struct shelf *s, const char *name);
enum job_cancelled canceller_wait(struct canceller *k);

/* The sink of an interactive job that is kept, which counts what is called. */
struct kept {
    struct shelf *s;
    const char *name;
    struct listener heard;
    int begun, done;
    struct err unstored;
    enum job_status status;
};
void kept_submit(struct kept *k, struct shelf *s, const char *name, const char *message, bool streamed);
void kept_wait(struct kept *k);
void kept_free(struct kept *k);

#endif
