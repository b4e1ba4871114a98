/*
 * sqlite.c - what only a store on a disk can do: come back after a crash, meet a full, read-only or foreign one.
 *
 * SQLite itself plays the other process that locks, and the tool that damages. Tests that need a file system of their
 * own mount a small tmpfs; where that is not allowed they skip and say so.
 */
#include "store/store.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/mailbox.h"
#include "base/rng.h"
#include "store/fresh.h"
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct store_job get(struct store *store, const char *id, struct arena *arena)
{
    struct store_job job;
    struct err err = { 0 };
    if (store_job_get(store, s(""), s(id), &job, arena, &err))
        fail_msg("%s: %s", id, err.message);
    return job;
}

/* That it cannot be opened, and that the message has these words. */
static void refuses(const char *path, const char *words)
{
    struct store *store = NULL;
    struct err err = { 0 };
    assert_int_equal(store_open(&store, &(struct store_config){ path, "test:2" }, &err), ERR_STORE);
    assert_null(store);
    if (!strstr(err.message, words))
        fail_msg("wanted '%s' in: %s", words, err.message);
}

static sqlite3 *raw_open(const char *path)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static void raw_exec(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL))
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

static int64_t file_bytes(const char *path, const char *suffix)
{
    char name[512];
    struct stat st;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    return stat(name, &st) ? -1 : (int64_t)st.st_size;
}

/* --- opened again ------------------------------------------------------------------------------------- */

static void all_is_there_when_opened_again(void **state)
{
    (void)state;
    char *path = fresh_path();
    struct arena arena = { 0 };
    struct store *store = fresh_at(path);
    struct store_job *jobs, direct = a_job("direct"), job;
    struct err err;
    size_t n;
    direct.background = false;
    direct.status = STORE_IN_PROGRESS;
    insert_job(store, a_job("resp_1"));
    insert_job(store, direct);
    assert_int_equal(claim(store, 1, &jobs, &arena), 1);
    append_events(store, "resp_1", 0, 3, "", ERR_OK);
    store_close(store);
    for (int restarts = 2; restarts < 5; restarts++) { /* claimed by a process that is gone: it waits again */
        store = fresh_at(path);
        assert_int_equal(store_waiting(store), 1);
        assert_int_equal(claim(store, 9, &jobs, &arena), 1);
        assert_int_equal(jobs[0].restarts, restarts);
        assert_int_equal(jobs[0].events, 3);
        store_close(store);
    }
    store = fresh_at(path);
    append_events(store, "resp_1", 3, 1, "", ERR_OK);
    assert_int_equal(store_jobs_open(store, false, &jobs, &n, &arena, &err), ERR_OK);
    assert_int_equal(n, 1);
    job = get(store, "direct", &arena);
    assert_true(str_eq(job.request, direct.request));
    store_close(store);
    arena_free(&arena);
    mem_free(path);
}

static void closing_commits_what_waits(void **state)
{
    (void)state;
    char *path = fresh_path();
    struct arena arena = { 0 };
    struct store *store = fresh_at(path);
    for (int i = 0; i < 500; i++) {
        struct store_job job = a_job(arena_printf(&arena, "resp_%d", i));
        struct store_tx *tx = store_tx_open();
        store_tx_insert(tx, &job);
        store_commit(store, tx, NULL, NULL);
    }
    store_close(store);
    store = fresh_at(path);
    assert_int_equal(store_waiting(store), 500);
    store_close(store);
    store_close(NULL);
    arena_free(&arena);
    mem_free(path);
}

static void its_files_are_private(void **state)
{
    (void)state;
    char *path = fresh_path(), name[512];
    static const char *const suffixes[] = { "", "-wal", "-shm", "-lock" };
    mode_t old = umask(0);
    struct store *store = fresh_at(path);
    insert_job(store, a_job("resp_1"));
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        struct stat st;
        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        assert_int_equal(stat(name, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    store_close(store);
    umask(old);
    mem_free(path);
}

/* --- killed ------------------------------------------------------------------------------------------- */

#define KILL_ROUNDS 6
#define KILL_JOBS   400
#define STAGES      3 /* inserted with events 0-2, events 3-4 appended, ended */

struct ack {
    int pipe;
    struct {
        short job, stage;
    } what;
};

static void on_acked(void *ctx, const struct err *err)
{
    const struct ack *ack = ctx;
    if (err->code || write(ack->pipe, &ack->what, sizeof ack->what) != (ssize_t)sizeof ack->what)
        _exit(3);
}

static struct store_tx *stage_tx(const char *id, int stage)
{
    static char large[3000];
    struct str events[] = { s("{\"n\":0}"), s("{\"n\":1}"), s("{\"n\":2}"), s("{\"n\":3}"), s("{\"n\":4}") };
    struct store_tx *tx = store_tx_open();
    struct store_job job = a_job(id);
    job.request = (struct str){ large, sizeof large };
    if (stage == 0)
        store_tx_insert(tx, &job);
    if (stage == 0)
        store_tx_append(tx, s(id), 0, events, 3, s("a"));
    if (stage == 1)
        store_tx_append(tx, s(id), 3, events + 3, 2, s("b"));
    if (stage == 2)
        store_tx_end(tx, s(id), STORE_COMPLETED, 2000, s("r"), false);
    return tx;
}

/* Commits as fast as it can and tells of each commit, until it is killed. */
static void child(const char *path, int round, int pipe_out)
{
    static struct ack acks[KILL_JOBS * STAGES];
    struct store *store;
    if (store_open(&store, &(struct store_config){ path, "child:1" }, NULL))
        _exit(2);
    for (int i = 0; i < KILL_JOBS * STAGES; i++) {
        char id[32];
        acks[i] = (struct ack){ pipe_out, { (short)(i / STAGES), (short)(i % STAGES) } };
        snprintf(id, sizeof id, "resp_%d_%d", round, i / STAGES);
        store_commit(store, stage_tx(id, i % STAGES), on_acked, &acks[i]);
    }
    for (;;)
        pause();
}

static void check_events(struct store *store, const char *id, const struct store_job *job,
                         struct arena *arena)
{
    struct str *events, journal;
    struct err err;
    size_t n;
    assert_int_equal(store_job_events(store, s(id), 0, 99, 9999, &events, &n, arena, &err), ERR_OK);
    assert_true(n == (size_t)job->events && (n == 3 || n == 5));
    for (size_t i = 0; i < n; i++)
        assert_true(str_is(events[i], arena_printf(arena, "{\"n\":%zu}", i)));
    assert_int_equal(store_job_journal(store, s(id), &journal, arena, &err), ERR_OK);
    bool over = job->status == STORE_COMPLETED;
    assert_true(str_is(journal, over ? "" : n == 3 ? "a" : "ab"));
    assert_true(str_is(job->response, over ? "r" : ""));
}

/* acked: stages of each job that the child heard of. Returns how many jobs are open. */
static int check_round(struct store *store, int round, const int *acked)
{
    int open = 0;
    for (int i = 0; i < KILL_JOBS; i++) {
        struct arena arena = { 0 };
        struct store_job job;
        struct err err;
        const char *id = arena_printf(&arena, "resp_%d_%d", round, i);
        enum err_code code = store_job_get(store, s(""), s(id), &job, &arena, &err);
        if (code)
            assert_true(code == ERR_NOT_FOUND && acked[i] == 0);
        else
            check_events(store, id, &job, &arena);
        if (!code) {
            int stages = job.status == STORE_COMPLETED ? 3 : job.events == 5 ? 2 : 1;
            assert_true(stages >= acked[i]);
            open += stages < 3;
        }
        arena_free(&arena);
    }
    return open;
}

/* Reads so many acknowledgements, kills, and reads those that were still under way. */
static void kill_after(pid_t pid, int pipe_in, uint64_t count, int *acked)
{
    struct ack ack;
    for (uint64_t i = 0; read(pipe_in, &ack.what, sizeof ack.what) == (ssize_t)sizeof ack.what; i++) {
        assert_int_equal(acked[ack.what.job]++, ack.what.stage);
        if (i == count)
            kill(pid, SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
    (void)state;
    char *path = fresh_path();
    struct rng rng;
    int64_t open = 0;
    rng_init(&rng, rng_os_u64(), 0);
    for (int round = 0; round < KILL_ROUNDS; round++) {
        int ends[2], acked[KILL_JOBS] = { 0 };
        assert_int_equal(pipe(ends), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            close(ends[0]);
            child(path, round, ends[1]);
        }
        close(ends[1]);
        kill_after(pid, ends[0], rng_below(&rng, KILL_JOBS * STAGES - 1), acked);
        close(ends[0]);
        struct store *store = fresh_at(path);
        open += check_round(store, round, acked);
        assert_int_equal(store_waiting(store), open);
        store_close(store);
    }
    mem_free(path);
}

/* --- a full disk -------------------------------------------------------------------------------------- */

/* Inserts jobs of 20 KB until one fails; returns how many were acknowledged. */
static int insert_until_full(struct store *store, struct err *err)
{
    static char large[20000];
    for (int i = 0; i < 1000; i++) {
        char id[32];
        snprintf(id, sizeof id, "resp_%d", i);
        struct store_job job = a_job(id);
        job.request = (struct str){ large, sizeof large };
        struct store_tx *tx = store_tx_open();
        store_tx_insert(tx, &job);
        if (store_commit_wait(store, tx, err))
            return i;
    }
    fail_msg("the disk did not become full");
    return 0;
}

static void tell(void *ctx, const struct err *err)
{
    mailbox_push(ctx, err);
}

/* Large transactions that share a group. Returns how many of the 40 heard that the disk is full. */
static int group_on_full(struct store *store)
{
    static char large[400000];
    struct mailbox *box = mailbox_open(40, sizeof(struct err));
    int full = 0;
    for (int i = 0; i < 40; i++) {
        char id[32];
        snprintf(id, sizeof id, "group_%d", i);
        struct store_job job = a_job(id);
        job.request = (struct str){ large, sizeof large };
        struct store_tx *tx = store_tx_open();
        store_tx_insert(tx, &job);
        store_commit(store, tx, tell, box);
    }
    for (int i = 0; i < 40; i++) {
        struct err err;
        mailbox_take(box, &err, -1);
        full += err.code == ERR_STORE && strstr(err.message, "full");
    }
    mailbox_close(box);
    return full;
}

static void check_after_full(struct store *store, int stored)
{
    struct arena arena = { 0 };
    struct store_job job;
    struct err err;
    for (int i = 0; i < stored; i++)
        assert_int_equal(get(store, arena_printf(&arena, "resp_%d", i), &arena).request.len, 20000);
    const char *failed = arena_printf(&arena, "resp_%d", stored);
    assert_int_equal(store_job_get(store, s(""), s(failed), &job, &arena, &err), ERR_NOT_FOUND);
    assert_int_equal(store_job_get(store, s(""), s("group_7"), &job, &arena, &err), ERR_NOT_FOUND);
    arena_free(&arena);
}

/* A limit on the size of files stands for the disk: it can be lifted again. */
static void a_full_disk_is_said_and_survived(void **state)
{
    (void)state;
    char *path = fresh_path();
    struct rlimit old, small;
    struct err err = { 0 };
    struct store *store = fresh_at(path);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){ 600 * KIB, old.rlim_max };
    setrlimit(RLIMIT_FSIZE, &small);
    int stored = insert_until_full(store, &err);
    int full = group_on_full(store);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_true(stored > 5);
    assert_int_equal(err.code, ERR_STORE);
    assert_non_null(strstr(err.message, "full"));
    assert_int_equal(full, 40);
    assert_int_equal(store_waiting(store), stored);
    check_after_full(store, stored);
    insert_job(store, a_job("later")); /* there is room again */
    store_close(store);
    store = fresh_at(path);
    check_after_full(store, stored);
    assert_int_equal(store_waiting(store), stored + 1);
    store_close(store);
    signal(SIGXFSZ, SIG_DFL);
    mem_free(path);
}

/* --- file systems of their own ------------------------------------------------------------------------ */

/* NULL, said by name, where mounting is not allowed. */
static const char *mounted(const char *options)
{
    static char dir[256];
    snprintf(dir, sizeof dir, "%s/mount", test_tmpdir());
    mkdir(dir, 0700);
    if (mount("tmpfs", dir, "tmpfs", 0, options) == 0)
        return dir;
    print_message("# skipped: mounting a tmpfs is not allowed here\n");
    return NULL;
}

static void a_really_full_disk(void **state)
{
    (void)state;
    const char *dir = mounted("size=1m");
    if (!dir)
        skip();
    char path[300], filler[300];
    struct err err = { 0 };
    snprintf(path, sizeof path, "%s/store.db", dir);
    snprintf(filler, sizeof filler, "%s/filler", dir);
    assert_int_equal(file_write(filler, (struct str){ (char[200000]){ 0 }, 200000 }, &err), ERR_OK);
    struct store *store = fresh_at(path);
    int stored = insert_until_full(store, &err);
    assert_int_equal(group_on_full(store), 40);
    assert_non_null(strstr(err.message, "full"));
    assert_true(stored > 5);
    check_after_full(store, stored);
    unlink(filler);
    insert_job(store, a_job("later"));
    assert_int_equal(mount("tmpfs", dir, "tmpfs", MS_REMOUNT, "size=4m"),
                     0); /* the log is copied at the end */
    store_close(store);
    store = fresh_at(path);
    check_after_full(store, stored);
    store_close(store);
    umount(dir);
}

static void a_disk_that_is_read_only(void **state)
{
    (void)state;
    const char *dir = mounted("size=2m");
    if (!dir)
        skip();
    char path[300], fresh[300];
    snprintf(path, sizeof path, "%s/store.db", dir);
    snprintf(fresh, sizeof fresh, "%s/fresh.db", dir);
    struct store *store = fresh_at(path);
    insert_job(store, a_job("resp_1"));
    store_close(store);
    assert_int_equal(mount("tmpfs", dir, "tmpfs", MS_REMOUNT | MS_RDONLY, NULL), 0);
    refuses(path, "read only");
    refuses(fresh, "read only");
    umount(dir);
}

static void a_directory_that_is_missing(void **state)
{
    (void)state;
    refuses("/nonexistent-thinkd/store.db", "must exist");
}

/* --- other processes ---------------------------------------------------------------------------------- */

static void one_process_has_a_store(void **state)
{
    (void)state;
    char *path = fresh_path();
    struct store *store = fresh_at(path);
    refuses(path, "locked by another process (test:1)");
    insert_job(store, a_job("resp_1"));
    store_close(store);
    store_close(fresh_at(path));
    mem_free(path);
}

static void a_lock_of_another_program(void **state)
{
    (void)state;
    char *path = fresh_path();
    struct store *store = fresh_at(path);
    sqlite3 *db = raw_open(path);
    raw_exec(db, "BEGIN IMMEDIATE");
    struct err err;
    struct store_job job = a_job("resp_1");
    struct store_tx *tx = store_tx_open();
    store_tx_insert(tx, &job);
    assert_int_equal(store_commit_wait(store, tx, &err), ERR_STORE);
    assert_non_null(strstr(err.message, "locked"));
    raw_exec(db, "COMMIT");
    insert_job(store, job); /* it goes on */
    store_close(store);
    raw_exec(db, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    refuses(path, "locked");
    sqlite3_close(db);
    store_close(fresh_at(path));
    mem_free(path);
}

/* --- files that are not ours -------------------------------------------------------------------------- */

static void an_empty_file_becomes_a_store(void **state)
{
    (void)state;
    char *path = fresh_path();
    struct arena arena = { 0 };
    assert_int_equal(file_write(path, s(""), NULL), ERR_OK);
    struct store *store = fresh_at(path);
    insert_job(store, a_job("resp_1"));
    store_close(store);
    store = fresh_at(path); /* the migrations are not run again */
    get(store, "resp_1", &arena);
    store_close(store);
    arena_free(&arena);
    mem_free(path);
}

static void a_file_of_something_else(void **state)
{
    (void)state;
    char *path = fresh_path();
    char junk[8192];
    memset(junk, 'x', sizeof junk);
    assert_int_equal(file_write(path, (struct str){ junk, sizeof junk }, NULL), ERR_OK);
    refuses(path, "corrupt or not a database");
    unlink(path);
    sqlite3 *db = raw_open(path);
    raw_exec(db, "CREATE TABLE recipes (name TEXT)");
    sqlite3_close(db);
    refuses(path, "not one of thinkd");
    mem_free(path);
}

static void a_newer_schema(void **state)
{
    (void)state;
    char *path = fresh_path();
    store_close(fresh_at(path));
    sqlite3 *db = raw_open(path);
    raw_exec(db, "PRAGMA user_version = 999");
    sqlite3_close(db);
    refuses(path, "newer thinkd (schema 999");
    mem_free(path);
}

/* All behind the first page is overwritten: the tables are named, their rows are rubbish. */
static void a_damaged_file(void **state)
{
    (void)state;
    char *path = fresh_path(), junk[4096];
    struct store *store = fresh_at(path);
    insert_job(store, a_job("resp_1"));
    store_close(store);
    int fd = open(path, O_RDWR);
    memset(junk, 0xff, sizeof junk);
    for (off_t at = 4096; at < file_bytes(path, ""); at += 4096)
        assert_int_equal(pwrite(fd, junk, sizeof junk, at), sizeof junk);
    close(fd);
    refuses(path, "corrupt");
    mem_free(path);
}

/* --- size --------------------------------------------------------------------------------------------- */

static void a_sweep_makes_the_file_smaller(void **state)
{
    (void)state;
    char *path = fresh_path();
    static char large[40000];
    struct store *store = fresh_at(path);
    for (int i = 0; i < 50; i++) {
        char id[32];
        snprintf(id, sizeof id, "resp_%d", i);
        struct store_job job = a_job(id);
        job.request = (struct str){ large, sizeof large };
        insert_job(store, job);
        end_job(store, id, 100);
    }
    store_close(store);
    assert_true(file_bytes(path, "") > 2000000);
    store = fresh_at(path);
    sweep(store, (struct store_limits){ .ended_before_ms = 101 }, ERR_OK);
    int64_t bytes = store_bytes(store);
    store_close(store);
    assert_int_equal(file_bytes(path, ""), bytes);
    assert_true(bytes < 200000);
    mem_free(path);
}

static void a_sweep_ends_with_the_store(void **state)
{
    (void)state;
    char *path = fresh_path();
    struct store *store = fresh_at(path);
    struct mailbox *box = mailbox_open(8, sizeof(struct err));
    for (int i = 0; i < 8; i++)
        store_sweep(store, &(struct store_limits){ .ended_before_ms = 1 }, tell, box);
    store_close(store);
    for (int i = 0; i < 8; i++) { /* each is told once, whole or not */
        struct err err;
        assert_true(mailbox_take(box, &err, 0));
        assert_true(err.code == ERR_OK || err.code == ERR_CANCELLED);
    }
    mailbox_close(box);
    mem_free(path);
}

#define LOG_BYTES_MAX (64 * MIB)
#define WRITTEN       (96 * MIB)

/* Without a pause the passive checkpoint would never catch up. */
static void the_log_is_bounded_under_constant_writing(void **state)
{
    (void)state;
    char *path = fresh_path();
    static char large[1 << 20];
    struct store *store = fresh_at(path);
    for (size_t i = 0; i < WRITTEN / sizeof large; i++) {
        char id[32];
        snprintf(id, sizeof id, "file_%zu", i);
        struct store_object o = an_object(id);
        o.body = (struct str){ large, sizeof large };
        struct store_tx *tx = store_tx_open();
        store_tx_object_put(tx, &o);
        store_commit(store, tx, NULL, NULL);
    }
    commit(store, store_tx_open(), ERR_OK); /* behind all of them */
    int64_t log = file_bytes(path, "-wal");
    assert_true(log > 0);
    assert_true(log < (int64_t)(LOG_BYTES_MAX + 12 * MIB)); /* and one group */
    store_close(store);
    unlink(path);
    mem_free(path);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(all_is_there_when_opened_again),
    cmocka_unit_test(closing_commits_what_waits),
    cmocka_unit_test(its_files_are_private),
    cmocka_unit_test(what_was_acknowledged_survives_a_kill),
    cmocka_unit_test(a_full_disk_is_said_and_survived),
    cmocka_unit_test(a_really_full_disk),
    cmocka_unit_test(a_disk_that_is_read_only),
    cmocka_unit_test(a_directory_that_is_missing),
    cmocka_unit_test(one_process_has_a_store),
    cmocka_unit_test(a_lock_of_another_program),
    cmocka_unit_test(an_empty_file_becomes_a_store),
    cmocka_unit_test(a_file_of_something_else),
    cmocka_unit_test(a_newer_schema),
    cmocka_unit_test(a_damaged_file),
    cmocka_unit_test(a_sweep_makes_the_file_smaller),
    cmocka_unit_test(a_sweep_ends_with_the_store),
    cmocka_unit_test(the_log_is_bounded_under_constant_writing),
};
TEST_GROUP(store_sqlite, tests)
