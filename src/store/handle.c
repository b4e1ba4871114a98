/*
 * handle.c - SQLite connections, their prepared statements, and what their errors mean in words.
 *
 * Statements are found by the address of their SQL, which is always a literal: a comparison of pointers instead of one
 * of texts, and the SQL stands where it is used. Views from query_get_str are SQLite's and end with the next row.
 *
 * Threads: a handle is used by one at a time (SQLITE_OPEN_NOMUTEX); its user says which.
 */
#include "store/store_impl.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

/* --- handles ------------------------------------------------------------------------------------------ */

/* Its count of all memory is one lock that every allocation of every handle takes, and nobody reads it. */
static void configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* refused where SQLite is in use already: no harm */
}

enum err_code handle_open(struct handle *h, const char *path, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(path ? path : ":memory:", &h->db, flags, NULL);
    if (rc)
        return handle_error(h, rc, err);
    sqlite3_extended_result_codes(h->db, 1);
    sqlite3_busy_timeout(h->db, BUSY_MS);
    return ERR_OK;
}

void handle_close(struct handle *h)
{
    for (size_t i = 0; i < h->n; i++)
        sqlite3_finalize(h->cache[i].stmt);
    sqlite3_close(h->db);
    *h = (struct handle){ 0 };
}

enum err_code handle_exec(struct handle *h, const char *sql, struct err *err)
{
    int rc = sqlite3_exec(h->db, sql, NULL, NULL, NULL);
    return rc ? handle_error(h, rc, err) : ERR_OK;
}

static bool is_full(int rc, int reason)
{
    return (rc & 0xff) == SQLITE_FULL ||
           ((rc & 0xff) == SQLITE_IOERR && (reason == ENOSPC || reason == EDQUOT || reason == EFBIG));
}

enum err_code handle_error(struct handle *h, int rc, struct err *err)
{
    int reason = h->db ? sqlite3_system_errno(h->db) : 0;
    reason = reason ? reason : h->reason;
    const char *why = reason ? strerror(reason) : sqlite3_errstr(rc);
    if (is_full(rc, reason))
        return err_set(
            err, ERR_STORE, NULL,
            "The disk that holds the store is full and nothing of this was kept: free some space, or let "
            "the store keep less.");
    switch (rc & 0xff) {
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return err_set(
            err, ERR_STORE, NULL,
            "The store is read only (%s): give its file and directory to the user that runs thinkd, on a "
            "disk that can be written.",
            why);
    case SQLITE_CANTOPEN:
        return err_set(
            err, ERR_STORE, NULL,
            "The store's file cannot be opened (%s): its directory must exist, and the user that runs "
            "thinkd must be able to write there.",
            why);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(
            err, ERR_STORE, NULL,
            "The store is locked by another process: end that one, or give this one a store of its own.");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return err_set(
            err, ERR_STORE, NULL,
            "The store's file is corrupt or not a database (%s): move it away to start with an empty "
            "one, or put back a copy.",
            sqlite3_errstr(rc));
    case SQLITE_IOERR:
        return err_set(err, ERR_STORE, NULL,
                       "The store's disk failed (%s): look into the system's log and check the disk.", why);
    default:
        return err_set(err, ERR_STORE, NULL, "The store failed: %s (SQLite's code %d).",
                       h->db ? sqlite3_errmsg(h->db) : sqlite3_errstr(rc), rc);
    }
}

/* --- queries ------------------------------------------------------------------------------------------ */

void query_open(struct query *q, struct handle *h, const char *sql)
{
    *q = (struct query){ .h = h };
    for (size_t i = 0; i < h->n; i++)
        if (h->cache[i].sql == sql) {
            q->stmt = h->cache[i].stmt;
            return;
        }
    assert(h->n < STATEMENTS_MAX);
    q->rc = sqlite3_prepare_v3(h->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->stmt, NULL);
    if (q->rc)
        return;
    h->cache[h->n].sql = sql;
    h->cache[h->n++].stmt = q->stmt;
}

void query_text(struct query *q, struct str s)
{
    if (!q->rc) /* a NULL pointer would bind NULL */
        q->rc =
            sqlite3_bind_text64(q->stmt, ++q->bound, s.len ? s.ptr : "", s.len, SQLITE_STATIC, SQLITE_UTF8);
}

void query_blob(struct query *q, struct str s)
{
    if (!q->rc)
        q->rc = sqlite3_bind_blob64(q->stmt, ++q->bound, s.len ? s.ptr : "", s.len, SQLITE_STATIC);
}

void query_int(struct query *q, int64_t v)
{
    if (!q->rc)
        q->rc = sqlite3_bind_int64(q->stmt, ++q->bound, v);
}

bool query_row(struct query *q)
{
    if (q->rc)
        return false;
    errno = 0;
    q->rc = sqlite3_step(q->stmt);
    q->h->reason = q->rc == SQLITE_ROW || q->rc == SQLITE_DONE ? 0 : errno;
    if (q->rc != SQLITE_ROW)
        return false;
    q->rc = SQLITE_OK;
    return true;
}

int64_t query_get_int(struct query *q, int column)
{
    return sqlite3_column_int64(q->stmt, column);
}

struct str query_get_str(struct query *q, int column)
{
    const char *ptr = sqlite3_column_blob(q->stmt, column);
    return (struct str){ ptr, (size_t)sqlite3_column_bytes(q->stmt, column) };
}

enum err_code query_close(struct query *q, struct err *err)
{
    enum err_code code = ERR_OK;
    if (q->rc && q->rc != SQLITE_DONE)
        code = handle_error(q->h, q->rc, err); /* before the reset, which overwrites the reason */
    if (q->stmt) {
        sqlite3_reset(q->stmt);
        sqlite3_clear_bindings(q->stmt);
    }
    return code;
}

enum err_code query_run(struct query *q, struct err *err)
{
    while (query_row(q))
        ;
    return query_close(q, err);
}

enum err_code query_number(struct handle *h, const char *sql, int64_t *out, struct err *err)
{
    struct query q;
    query_open(&q, h, sql);
    if (query_row(&q))
        *out = query_get_int(&q, 0);
    return query_close(&q, err);
}
