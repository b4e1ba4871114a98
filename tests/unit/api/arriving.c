/*
 * arriving.c - while the store cannot write: a response that streams and has no row yet, and one that cannot be ended; and
 * where it cannot read.
 *
 * What holds the store up is another connection's lock on its database, which SQLite waits for.
 */
#include "site.h"
#include "test.h"

#include "base/clock.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 20000

static struct site site;
static char directory[] = "/tmp/thinkd-arriving-XXXXXX";
static char path[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(strrchr(directory, '-'), "-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/store.db", directory);
    site_open(&site, NULL, path);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const ends[] = { "", "-lock", "-wal", "-shm" };
    (void)state;
    site_close(&site);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        char name[80];
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
    return rmdir(directory);
}

static sqlite3 *lock_store(void)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, WAIT_MS); /* the store may be writing as it opens */
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void unlock_store(sqlite3 *db)
{
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* What comes up to and with a text. */
static void read_until(int fd, const char *text, struct buf *seen)
{
    char piece[4096];
    while (str_find(buf_str(seen), str_from(text)) == SIZE_MAX) {
        ssize_t n = recv(fd, piece, sizeof piece, 0);
        if (n <= 0)
            fail_msg("no %s in: %.*s", text, STR_ARG(buf_str(seen)));
        buf_put(seen, piece, (size_t)n);
    }
}

/* Whoever was asked before has been handed to a worker: there are two, and each has answered something since. */
static void wait_for_workers(void)
{
    for (int i = 0; i < 4; i++)
        json_decref(site_json(&site, "GET", "/v1/models", NULL, 200));
}

static void a_response_is_found_once_its_stream_began(void **state)
{
    static const char *const forms[] = { "GET /v1/responses/%s", "GET /v1/responses/%s/input_items",
                                         "DELETE /v1/responses/%s", "POST /v1/responses/%s/cancel" };
    static const int wanted[] = { 200, 200, 409, 400 };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct buf seen = { 0 };
        char id[80], line[160];
        sqlite3 *db = lock_store();
        int stream = site_send(&site, "POST", "/v1/responses", NULL,
                               "{\"model\":\"o3\",\"input\":\"/hold 2\",\"stream\":true}");
        read_until(stream, "response.in_progress", &seen);
        assert_int_equal(sscanf(strstr(seen.ptr, "\"id\":\"resp_"), "\"id\":\"%79[a-z0-9_]", id), 1);
        snprintf(line, sizeof line, forms[i], id);
        char *target = strchr(line, ' ');
        *target++ = '\0';
        int asked = site_send(&site, line, target, NULL, NULL);
        wait_for_workers();
        unlock_store(db);
        struct site_reply r = site_read(asked);
        if (r.status != wanted[i])
            fail_msg("%s %s: %d, not %d: %s", line, target, r.status, wanted[i], r.body.ptr);
        site_reply_free(&r);
        json_decref(site_json(&site, "POST", "/v1/responses",
                              "{\"model\":\"o3\",\"input\":\"/release\",\"store\":false}", 200));
        read_until(stream, "[DONE]", &seen);
        close(stream);
        buf_free(&seen);
    }
}

static void an_id_of_nobody_is_not_waited_for(void **state)
{
    (void)state;
    json_decref(site_json(&site, "GET", "/v1/responses/resp_nobody", NULL, 404));
}

static struct str status_of(const char *id, struct arena *arena)
{
    struct store_job row;
    struct err err;
    if (store_job_get(site.store, STR(""), str_from(id), &row, arena, &err))
        fail_msg("%s", err.message);
    return str_from(store_status_names[row.status]);
}

/* Its first try fails after two seconds, as long as SQLite waits for a lock; by then the lock is gone. */
static void an_orphan_is_ended_when_the_store_can_be_written_again(void **state)
{
    static const char *const events[] = {
        "{\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_orphan\","
        "\"status\":\"in_progress\",\"output\":[]}}",
        NULL
    };
    struct arena arena = { 0 };
    struct store_job row;
    struct err err;
    (void)state;
    put_row(site.store, &(struct row){ .id = "resp_orphan", .status = STORE_IN_PROGRESS, .events = events });
    assert_int_equal(store_job_get(site.store, STR(""), STR("resp_orphan"), &row, &arena, &err), ERR_OK);
    sqlite3 *db = lock_store();
    background_orphan(site.api, &row);
    assert_true(str_is(status_of("resp_orphan", &arena), "in_progress"));
    unlock_store(db);
    int64_t until = clock_mono_ms() + WAIT_MS;
    while (!str_is(status_of("resp_orphan", &arena), "cancelled"))
        assert_true(clock_mono_ms() < until);
    arena_free(&arena);
}

/* What was shown cannot be kept: the stream ends as one that failed. */
static void a_stream_that_cannot_be_stored_fails(void **state)
{
    struct buf seen = { 0 };
    (void)state;
    sqlite3 *db = lock_store();
    int stream = site_send(&site, "POST", "/v1/responses", NULL,
                           "{\"model\":\"o3\",\"input\":\"hi\",\"stream\":true}");
    read_until(stream, "[DONE]", &seen);
    unlock_store(db);
    static const char *const ends[] = { "event: error\ndata: {\"type\":\"error\",\"sequence_number\":10,",
                                        "event: response.failed\ndata: {\"type\":\"response.failed\"," };
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (str_find(buf_str(&seen), str_from(ends[i])) == SIZE_MAX)
            fail_msg("no %s in: %.*s", ends[i], STR_ARG(buf_str(&seen)));
    assert_int_equal(str_find(buf_str(&seen), STR("response.completed")), SIZE_MAX);
    close(stream);
    buf_free(&seen);
}

/* An event as any other: its name is its type, and it has a number. */
static void a_stream_that_cannot_be_read_says_so(void **state)
{
    static const char *const events[] = { "{\"type\":\"response.created\",\"sequence_number\":0}", NULL };
    (void)state;
    put_row(site.store,
            &(struct row){ .id = "resp_lost",
                           .status = STORE_COMPLETED,
                           .created_ms = clock_wall_ms(), /* young: the sweep at the start leaves it */
                           .response = "{}",
                           .events = events });
    sqlite3 *db = lock_store();
    assert_int_equal(
        sqlite3_exec(db, "ALTER TABLE events RENAME COLUMN lines TO elsewhere; COMMIT", NULL, NULL, NULL),
        SQLITE_OK);
    unlock_store(db);
    struct site_reply r = site_ask(&site, "GET", "/v1/responses/resp_lost?stream=true", NULL, NULL);
    assert_int_equal(r.status, 200);
    if (str_find(buf_str(&r.body), STR("event: error\ndata: {\"type\":\"error\",\"sequence_number\":0,"
                                       "\"status\":500,")) == SIZE_MAX)
        fail_msg("%.*s", STR_ARG(buf_str(&r.body)));
    site_reply_free(&r);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
static const struct CMUnitTest tests[] = {
    ON_DISK(a_response_is_found_once_its_stream_began),
    ON_DISK(an_id_of_nobody_is_not_waited_for),
    ON_DISK(a_stream_that_cannot_be_stored_fails),
    ON_DISK(a_stream_that_cannot_be_read_says_so),
    ON_DISK(an_orphan_is_ended_when_the_store_can_be_written_again),
};
TEST_GROUP(api_arriving, tests)
