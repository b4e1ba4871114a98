/*
 * store_impl.h - what the files of store share: handles and queries, recorded writes, the writer's work.
 *
 * A handle is one SQLite connection with the statements it has prepared. It is used by one thread at a time: the
 * writer's by the writer, a reader's between pool_take and pool_give, the checkpoint's by its thread. In memory there
 * is one handle for all, and the writer takes it from the pool like everybody else.
 */
#ifndef THINKD_STORE_STORE_IMPL_H
#define THINKD_STORE_STORE_IMPL_H

#include "store/store.h"

#include "base/buf.h"
#include "base/mailbox.h"
#include "base/thread.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#define STATEMENTS_MAX   64 /* different statements of one handle */
#define READ_HANDLES     4
#define GROUP_MAX        256       /* transactions that share one sync */
#define GROUP_BYTES_MAX  (8 * MIB) /* and their bytes, beyond which the next waits for the next group */
#define BUSY_MS          2000      /* how long a lock of another process is waited for */
#define CHECKPOINT_PAGES 1000      /* more pages in the write-ahead log that wake the checkpoint */
#define WAL_PAGES_MAX    16384     /* and from which on the writer waits for it to be copied: 64 MiB */
#define SWEEP_JOBS       32        /* jobs looked at in one step of a sweep */
#define SWEEP_ROWS       1000      /* rows deleted in one step, but always at least one job */
#define SWEEP_PAGES      512       /* pages given back in one step */

/* --- handles and queries (handle.c) ---------------------------------------------------------------------------- */

struct handle {
    sqlite3 *db;
    int reason; /* errno after the last step that failed: SQLite forgets a COMMIT's */
    struct {
        const char *sql; /* the literal itself: it is found by its address */
        sqlite3_stmt *stmt;
    } cache[STATEMENTS_MAX];
    size_t n;
};

enum err_code handle_open(struct handle *h, const char *path, struct err *err); /* NULL: in memory */
void handle_close(struct handle *h);                                            /* a zeroed one is fine */
enum err_code handle_exec(struct handle *h, const char *sql, struct err *err);
/* SQLite's result code in words. */
enum err_code handle_error(struct handle *h, int rc, struct err *err);

/* One run of one statement: open, bind in order, rows, close. An error is kept and told by query_close. */
struct query {
    struct handle *h;
    sqlite3_stmt *stmt;
    int rc;
    int bound;
};

void query_open(struct query *q, struct handle *h, const char *sql); /* sql: a literal */
void query_text(struct query *q, struct str s);                      /* s lives until query_close */
void query_blob(struct query *q, struct str s);
void query_int(struct query *q, int64_t v);
bool query_row(struct query *q); /* false: no more, or an error */
int64_t query_get_int(struct query *q, int column);
struct str query_get_str(struct query *q, int column); /* until the next row */
enum err_code query_close(struct query *q, struct err *err);
enum err_code query_run(struct query *q, struct err *err); /* steps to the end, closes */
/* The first column of the first row of a statement without parameters. */
enum err_code query_number(struct handle *h, const char *sql, int64_t *out, struct err *err);

/* migrate.c. beside: only an empty database is given its schema; an older one is its server's to change. */
enum err_code migrate(struct handle *h, bool beside, struct err *err);

/* --- recorded writes (tx.c) -------------------------------------------------------------------------------------- */

/* What a transaction changes while the writer runs it. */
struct writing {
    struct handle *h;
    struct str node;
    int64_t waiting; /* by how much store_waiting changes if it is committed */
};

struct op;
typedef enum err_code op_run(struct writing *w, const struct op *op, struct err *err);

/* One recorded write, all in the transaction's arena. Which fields are set is run's affair. */
struct op {
    op_run *run;
    struct op *next;
    struct str owner, id, kind;
    struct str text;  /* events as lines, the response, the job of an item, a list's parent */
    struct str piece; /* of the journal */
    int64_t first, count, ended_ms;
    enum store_status status;
    bool only_unclaimed;
    struct store_job *job;
    struct store_object *object;
};

struct store_tx {
    struct arena arena;
    struct op *ops, **end;
};

struct op *tx_op(struct store_tx *tx, op_run *run);
struct str tx_copy(struct store_tx *tx, struct str s);
enum err_code tx_run(const struct store_tx *tx, struct writing *w, struct err *err);

/* --- jobs (jobs.c) -------------------------------------------------------------------------------------------------- */

/* Nobody runs anything when a store is opened: all open jobs are let go. Tells how many wait. */
enum err_code jobs_recover(struct handle *h, int64_t *waiting, struct err *err);
enum err_code jobs_claim(struct writing *w, size_t limit, struct store_job **out, size_t *n,
                         struct arena *arena, struct err *err);
enum err_code jobs_remove(struct writing *w, int64_t key, int64_t *rows,
                          struct err *err); /* rows: added to */

/* --- sweeping (sweep.c) ----------------------------------------------------------------------------------------------- */

struct sweep {
    struct store_limits limits;
    size_t phase;
    int64_t ended_ms, key; /* SWEEP_TIME has come down to this job */
};

void sweep_init(struct sweep *sw, const struct store_limits *limits);
/* One small transaction's worth; the caller begins and commits it. over: nothing is left to do. */
enum err_code sweep_step(struct sweep *sw, struct writing *w, bool *over, struct err *err);

/* --- the writer (writer.c) ---------------------------------------------------------------------------------------------- */

enum work_kind { WORK_TX, WORK_CLAIM, WORK_SWEEP };

struct work {
    enum work_kind kind;
    struct work *next; /* sweeps that wait for their turn */
    store_done *done;
    store_claimed *claimed;
    void *ctx;
    struct store_tx *tx;    /* WORK_TX */
    size_t limit;           /* WORK_CLAIM */
    struct store_job *jobs; /* what it got, in arena */
    size_t n;
    struct arena arena;
    struct sweep sweep; /* WORK_SWEEP */
    int64_t waiting;
    struct err err;
};

struct store {
    char *path, *node;
    bool beside; /* another process may hold it */
    int lock_fd; /* -1: none; held as long as the store is open */
    struct handle writer;
    struct mailbox *inbox; /* struct work * */
    struct thread writer_thread;
    bool writing; /* the thread was started */
    struct work *sweeps;
    int64_t wal_pages; /* after the last commit; the writer's */
    int64_t wal_noted; /* of them, when a checkpoint was last asked for; the writer's */
    int64_t wal_bound; /* where the writer next stops to empty the log */
    atomic_llong waiting;

    struct handle checkpointer;
    struct thread checkpoint_thread;
    struct mailbox *checkpoint_due;  /* int: SQLITE_CHECKPOINT_PASSIVE or _RESTART */
    struct mailbox *checkpoint_done; /* int: how a RESTART went */
    bool checkpointing;

    pthread_mutex_t lock; /* guards the pool */
    pthread_cond_t given;
    struct handle readers[READ_HANDLES];
    struct handle *pool[READ_HANDLES]; /* those that nobody uses */
    size_t pool_n;
};

struct handle *pool_take(struct store *s); /* waits for one */
void pool_give(struct store *s, struct handle *h);

void writer_start(struct store *s);
void writer_stop(struct store *s); /* after all that waits */

#endif
