/*
 * sqlite.c - the store on SQLite: opened, closed, and the handles that reads borrow.
 *
 * On disk the database is in WAL mode with synchronous=FULL: a commit is synced before anyone hears of it, and readers
 * see the last commit without waiting for the next. One process has a store at a time, by a lock on a file beside it
 * (PATH-lock): SQLite's own locks last as long as a transaction, and two servers that take turns would run each other's
 * jobs. Who opens it beside takes no lock and touches no job. In memory there is one handle, lent in turns to the
 * writer and the readers.
 *
 * Files are made for the user alone: what is in them was said in confidence.
 */
#include "store/store_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define NODE_MAX 128 /* bytes of another node's name that a message shows */

/* --- the lock ----------------------------------------------------------------------------------------- */

static enum err_code locked_by(int fd, struct err *err)
{
    char node[NODE_MAX];
    ssize_t n = pread(fd, node, sizeof node, 0);
    return err_set(
        err, ERR_STORE, NULL,
        "The store is locked by another process (%.*s): end that one, or give this one a store of its own.",
        n > 0 ? (int)n : 7, n > 0 ? node : "unknown");
}

static enum err_code cannot_write(struct err *err)
{
    return err_set(
        err, ERR_STORE, NULL,
        "The store's directory cannot be written (%s): it must exist, on a disk that is not read only, and "
        "belong to the user that runs thinkd.",
        strerror(errno));
}

/* The file stays behind: removing it would race with the next one who locks it. */
static enum err_code lock_path(struct store *s, struct err *err)
{
    struct buf path = { 0 };
    enum err_code code = ERR_OK;
    buf_printf(&path, "%s-lock", s->path);
    s->lock_fd = open(path.ptr, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        code = cannot_write(err);
    else if (flock(s->lock_fd, LOCK_EX | LOCK_NB))
        code = locked_by(s->lock_fd, err);
    else if (ftruncate(s->lock_fd, 0) || pwrite(s->lock_fd, s->node, strlen(s->node), 0) < 0)
        code = errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? ERR_OK
                                                                    : cannot_write(err); /* a name only */
    buf_free(&path);
    return code;
}

/* SQLite would make it readable for everyone; its companions take over the mode that they find. */
static enum err_code make_private(const char *path, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return cannot_write(err);
    close(fd);
    return ERR_OK;
}

/* --- the pool of readers ------------------------------------------------------------------------------ */

struct handle *pool_take(struct store *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->pool_n)
        pthread_cond_wait(&s->given, &s->lock);
    struct handle *h = s->pool[--s->pool_n];
    pthread_mutex_unlock(&s->lock);
    return h;
}

void pool_give(struct store *s, struct handle *h)
{
    pthread_mutex_lock(&s->lock);
    s->pool[s->pool_n++] = h;
    pthread_cond_signal(&s->given);
    pthread_mutex_unlock(&s->lock);
}

/* --- opening ------------------------------------------------------------------------------------------ */

static enum err_code use_wal(struct handle *h, struct err *err)
{
    struct query q;
    bool wal = false;
    query_open(&q, h, "PRAGMA journal_mode = WAL");
    if (query_row(&q))
        wal = str_is(query_get_str(&q, 0), "wal");
    enum err_code code = query_close(&q, err);
    if (!code && !wal)
        code = err_set(
            err, ERR_STORE, NULL,
            "The store's disk does not let processes share memory, which SQLite's write-ahead log needs: "
            "put the store on a local disk.");
    return code;
}

static enum err_code open_writer(struct store *s, struct err *err)
{
    struct handle *h = &s->writer;
    enum err_code code = handle_open(h, s->path, err);
    if (!code) /* heard only while the database is empty, and before WAL mode writes its first page */
        code = handle_exec(h, "PRAGMA auto_vacuum = INCREMENTAL", err);
    if (!code && s->path)
        code = use_wal(h, err);
    if (!code)
        code = handle_exec(
            h, "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA temp_store = MEMORY", err);
    return code ? code : migrate(h, s->beside, err);
}

static enum err_code open_readers(struct store *s, struct err *err)
{
    enum err_code code = ERR_OK;
    if (!s->path) {
        pool_give(s, &s->writer);
        return ERR_OK;
    }
    for (size_t i = 0; !code && i < READ_HANDLES; i++) {
        code = handle_open(&s->readers[i], s->path, err);
        if (!code)
            code = handle_exec(&s->readers[i], "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY", err);
        if (!code)
            pool_give(s, &s->readers[i]);
    }
    if (!code)
        code = handle_open(&s->checkpointer, s->path, err);
    if (!code) /* it copies what was synced, and syncs the copy before the log may start anew */
        code = handle_exec(&s->checkpointer, "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0", err);
    return code;
}

static enum err_code open_all(struct store *s, struct err *err)
{
    int64_t waiting = 0;
    enum err_code code = s->path && !s->beside ? lock_path(s, err) : ERR_OK;
    if (!code && s->path)
        code = make_private(s->path, err);
    if (!code)
        code = open_writer(s, err);
    if (!code && !s->beside) /* beside a server its jobs are running */
        code = jobs_recover(&s->writer, &waiting, err);
    atomic_store(&s->waiting, waiting);
    return code ? code : open_readers(s, err);
}

static enum err_code open_as(struct store **out, const struct store_config *cfg, bool beside, struct err *err)
{
    struct store *s = mem_zalloc(sizeof *s);
    struct err why = { 0 };
    s->path = mem_strdup(cfg->path);
    s->node = mem_strdup(cfg->node ? cfg->node : "");
    s->beside = beside;
    s->lock_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->given, NULL);
    s->inbox = mailbox_open(GROUP_MAX, sizeof(struct work *));
    s->checkpoint_due = mailbox_open(1, sizeof(int));
    s->checkpoint_done = mailbox_open(1, sizeof(int));
    if (open_all(s, &why)) {
        store_close(s);
        return err_set(err, why.code, NULL, "%s: %s", cfg->path ? cfg->path : "(memory)", why.message);
    }
    writer_start(s);
    *out = s;
    return ERR_OK;
}

enum err_code store_open(struct store **out, const struct store_config *cfg, struct err *err)
{
    return open_as(out, cfg, false, err);
}

enum err_code store_open_beside(struct store **out, const struct store_config *cfg, struct err *err)
{
    return open_as(out, cfg, true, err);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    writer_stop(s);
    for (size_t i = 0; i < READ_HANDLES; i++)
        handle_close(&s->readers[i]);
    handle_close(&s->checkpointer);
    handle_close(&s->writer); /* the last: it copies what is left of the log and removes it */
    mailbox_close(s->inbox);
    mailbox_close(s->checkpoint_due);
    mailbox_close(s->checkpoint_done);
    pthread_cond_destroy(&s->given);
    pthread_mutex_destroy(&s->lock);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    mem_free(s->path);
    mem_free(s->node);
    mem_free(s);
}

int64_t store_waiting(struct store *s)
{
    return atomic_load(&s->waiting);
}

int64_t store_bytes(struct store *s)
{
    int64_t pages = 0, page_bytes = 0;
    struct handle *h = pool_take(s);
    query_number(h, "PRAGMA page_count", &pages, NULL);
    query_number(h, "PRAGMA page_size", &page_bytes, NULL);
    pool_give(s, h);
    return pages * page_bytes;
}
