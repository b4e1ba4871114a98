/*
 * migrate.c - brings a database to the schema of this program, one numbered file after the other.
 *
 * The number of the last file that was applied is the database's user_version. Each file runs in a transaction with
 * the step of that number, so a process that dies in between leaves a whole older version. The file's application_id
 * keeps us from migrating a database that is somebody else's.
 */
#include "store/store_impl.h"

#include <stdio.h>
#include <string.h>

#define APPLICATION_ID 0x74686b64 /* as in schema/001.sql */

/* schema.S: texts, each with its NUL. */
extern const char thinkd_store_schema[], thinkd_store_schema_end[];

static int64_t newest(void)
{
    int64_t n = 0;
    for (const char *p = thinkd_store_schema; p < thinkd_store_schema_end; p += strlen(p) + 1)
        n++;
    return n;
}

static enum err_code check_ours(struct handle *h, int64_t version, struct err *err)
{
    int64_t tables = 0, application = 0;
    enum err_code code = query_number(h, "SELECT count(*) FROM sqlite_schema", &tables, err);
    if (!code)
        code = query_number(h, "PRAGMA application_id", &application, err);
    if (code || (!version && !tables) || application == APPLICATION_ID)
        return code;
    return err_set(err, ERR_STORE, NULL,
                   "This is a database, but not one of thinkd: give thinkd a file of its own.");
}

/* The version is read again inside: another process may have been faster. */
static enum err_code apply(struct handle *h, const char *sql, int64_t number, struct err *err)
{
    char step[64];
    int64_t version = 0;
    snprintf(step, sizeof step, "PRAGMA user_version = %lld; COMMIT", (long long)number);
    enum err_code code = handle_exec(h, "BEGIN IMMEDIATE", err);
    if (code)
        return code;
    code = query_number(h, "PRAGMA user_version", &version, err);
    if (!code && version < number)
        code = handle_exec(h, sql, err);
    if (!code)
        code = handle_exec(h, version < number ? step : "COMMIT", err);
    if (code && !sqlite3_get_autocommit(h->db))
        handle_exec(h, "ROLLBACK", NULL);
    return code;
}

enum err_code migrate(struct handle *h, bool beside, struct err *err)
{
    int64_t version = 0, number = 0;
    enum err_code code = query_number(h, "PRAGMA user_version", &version, err);
    if (!code)
        code = check_ours(h, version, err);
    if (!code && version > newest())
        code = err_set(
            err, ERR_STORE, NULL,
            "The store was written by a newer thinkd (schema %lld; this one knows %lld): run that one, or "
            "give this one another file.",
            (long long)version, (long long)newest());
    if (!code && beside && version && version < newest())
        code = err_set(
            err, ERR_STORE, NULL,
            "The store was written by an older thinkd (schema %lld; this one has %lld): start this one's "
            "server on it first, which brings it up to date.",
            (long long)version, (long long)newest());
    for (const char *p = thinkd_store_schema; !code && p < thinkd_store_schema_end; p += strlen(p) + 1)
        if (++number > version)
            code = apply(h, p, number, err);
    return code;
}
