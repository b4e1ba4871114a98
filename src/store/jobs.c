/*
 * jobs.c - jobs with their events, journals and items: what the writer does with them, and how they are read.
 *
 * An appended group of events is one row of lines, so a stream of tokens costs a row a group. How many events a job has
 * is what its last group says; nothing else counts them. A job is unclaimed while its node is NULL: a queued background
 * job from its insertion, any open job after the store was opened anew. Other jobs belong to the node that inserted
 * them.
 */
#include "store/store_impl.h"

#include <assert.h>
#include <string.h>

const char *const store_status_names[] = { "queued",     "in_progress", "completed",
                                           "incomplete", "failed",      "cancelled" };

static bool is_over(enum store_status status)
{
    return status > STORE_IN_PROGRESS;
}

/* --- rows --------------------------------------------------------------------------------------------- */

#define EVENTS_STORED                                                                                        \
    "coalesce((SELECT first + count FROM events WHERE job = key ORDER BY first DESC LIMIT 1), 0)"

/* read_job's order */
#define JOB_COLUMNS                                                                                          \
    "key, id, owner, status, background, created, ended, previous, conversation, engine, restarts, "         \
    "(SELECT body FROM requests WHERE job = key), (SELECT body FROM responses WHERE job = "                  \
    "key), " EVENTS_STORED

static struct store_job read_job(struct query *q, struct arena *arena)
{
    return (struct store_job){
        .id = arena_str(arena, query_get_str(q, 1)),
        .owner = arena_str(arena, query_get_str(q, 2)),
        .status = (enum store_status)query_get_int(q, 3),
        .background = query_get_int(q, 4) != 0,
        .created_ms = query_get_int(q, 5),
        .ended_ms = query_get_int(q, 6),
        .previous = arena_str(arena, query_get_str(q, 7)),
        .conversation = arena_str(arena, query_get_str(q, 8)),
        .engine = arena_str(arena, query_get_str(q, 9)),
        .restarts = query_get_int(q, 10),
        .request = arena_str(arena, query_get_str(q, 11)),
        .response = arena_str(arena, query_get_str(q, 12)),
        .events = query_get_int(q, 13),
    };
}

/* All rows of a query as an array in the arena. */
static void read_jobs(struct query *q, struct store_job **out, size_t *n, struct arena *arena)
{
    struct store_job *jobs = NULL;
    size_t cap = 0;
    *n = 0;
    while (query_row(q)) {
        if (*n == cap) {
            cap = cap ? cap * 2 : 16;
            jobs = mem_realloc(jobs, cap * sizeof *jobs);
        }
        jobs[(*n)++] = read_job(q, arena);
    }
    *out = arena_array(arena, *n, sizeof **out);
    if (*n)
        memcpy(*out, jobs, *n * sizeof *jobs);
    mem_free(jobs);
}

/* What a write must know of the job it changes. */
struct row {
    int64_t key, restarts;
    enum store_status status;
    bool background, claimed;
};

static enum err_code not_found(struct str id, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, NULL, "No response with the id '%.*s' is stored.", STR_ARG(id));
}

static enum err_code find(struct writing *w, struct str owner, struct str id, struct row *row,
                          struct err *err)
{
    struct query q;
    query_open(&q, w->h,
               "SELECT key, restarts, status, background, node IS NOT NULL FROM jobs "
               "WHERE id = ?1 AND (?2 = '' OR owner = ?2)");
    query_text(&q, id);
    query_text(&q, owner);
    bool found = query_row(&q);
    if (found)
        *row =
            (struct row){ query_get_int(&q, 0), query_get_int(&q, 1), (enum store_status)query_get_int(&q, 2),
                          query_get_int(&q, 3) != 0, query_get_int(&q, 4) != 0 };
    enum err_code code = query_close(&q, err);
    return !code && !found ? not_found(id, err) : code;
}

static enum err_code find_open(struct writing *w, struct str id, struct row *row, struct err *err)
{
    enum err_code code = find(w, (struct str){ 0 }, id, row, err);
    if (!code && is_over(row->status))
        code = err_set(err, ERR_CONFLICT, NULL, "The response '%.*s' is %s already.", STR_ARG(id),
                       store_status_names[row->status]);
    return code;
}

/* A row of a table that is a job's key and bytes. */
static enum err_code put_body(struct writing *w, const char *sql, int64_t key, struct str body,
                              struct err *err)
{
    struct query q;
    query_open(&q, w->h, sql);
    query_int(&q, key);
    query_blob(&q, body);
    return query_run(&q, err);
}

static enum err_code run_on(struct writing *w, const char *sql, int64_t key, struct err *err)
{
    struct query q;
    query_open(&q, w->h, sql);
    query_int(&q, key);
    return query_run(&q, err);
}

#define PUT_RESPONSE "INSERT INTO responses (job, body) VALUES (?, ?)"

/* --- writes: a job's life ----------------------------------------------------------------------------- */

static enum err_code insert_row(struct writing *w, const struct store_job *job, bool claimed, struct err *err)
{
    struct query q;
    query_open(
        &q, w->h,
        "INSERT INTO jobs (id, owner, status, background, created, ended, restarts, previous, conversation, "
        "engine, node) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING");
    query_text(&q, job->id);
    query_text(&q, job->owner);
    query_int(&q, job->status);
    query_int(&q, job->background);
    query_int(&q, job->created_ms);
    query_int(&q, job->ended_ms);
    query_int(&q, job->restarts);
    query_text(&q, job->previous);
    query_text(&q, job->conversation);
    query_text(&q, job->engine);
    if (claimed) /* else it stays NULL */
        query_text(&q, w->node);
    enum err_code code = query_run(&q, err);
    if (!code && sqlite3_changes(w->h->db) == 0)
        code = err_set(err, ERR_CONFLICT, NULL, "A response with the id '%.*s' is stored already.",
                       STR_ARG(job->id));
    return code;
}

static enum err_code insert(struct writing *w, const struct op *op, struct err *err)
{
    const struct store_job *job = op->job;
    bool claimed = !job->background || job->status != STORE_QUEUED;
    enum err_code code = insert_row(w, job, claimed, err);
    if (code)
        return code;
    int64_t key = sqlite3_last_insert_rowid(w->h->db);
    code = put_body(w, "INSERT INTO requests (job, body) VALUES (?, ?)", key, job->request, err);
    if (!code && job->response.len)
        code = put_body(w, PUT_RESPONSE, key, job->response, err);
    w->waiting += !claimed;
    return code;
}

void store_tx_insert(struct store_tx *tx, const struct store_job *job)
{
    struct op *op = tx_op(tx, insert);
    op->job = arena_alloc(&tx->arena, sizeof *op->job);
    *op->job = *job;
    struct str *const copied[] = { &op->job->id,           &op->job->owner,  &op->job->previous,
                                   &op->job->conversation, &op->job->engine, &op->job->request,
                                   &op->job->response };
    for (size_t i = 0; i < ARRAY_LEN(copied); i++)
        *copied[i] = tx_copy(tx, *copied[i]);
}

static enum err_code put_events(struct writing *w, const struct op *op, int64_t key, struct err *err)
{
    struct query q;
    int64_t stored = 0;
    query_open(&q, w->h, "SELECT " EVENTS_STORED " FROM jobs WHERE key = ?");
    query_int(&q, key);
    if (query_row(&q))
        stored = query_get_int(&q, 0);
    enum err_code code = query_close(&q, err);
    if (code)
        return code;
    if (stored != op->first)
        return err_set(err, ERR_CONFLICT, NULL,
                       "The response '%.*s' has %lld events; event %lld cannot follow.", STR_ARG(op->id),
                       (long long)stored, (long long)op->first);
    query_open(&q, w->h, "INSERT INTO events (job, first, count, lines) VALUES (?, ?, ?, ?)");
    query_int(&q, key);
    query_int(&q, op->first);
    query_int(&q, op->count);
    query_blob(&q, op->text);
    return query_run(&q, err);
}

static enum err_code append(struct writing *w, const struct op *op, struct err *err)
{
    struct row row;
    enum err_code code = find_open(w, op->id, &row, err);
    if (!code && op->count)
        code = put_events(w, op, row.key, err);
    if (!code && op->piece.len)
        code = put_body(w, "INSERT INTO journal (job, piece) VALUES (?, ?)", row.key, op->piece, err);
    if (!code && op->piece.len && row.restarts) /* rarely: most groups leave the job's row alone */
        code = run_on(w, "UPDATE jobs SET restarts = 0 WHERE key = ?", row.key, err);
    return code;
}

static struct str join_lines(struct store_tx *tx, const struct str *events, size_t n)
{
    size_t len = n ? n - 1 : 0, at = 0;
    for (size_t i = 0; i < n; i++)
        len += events[i].len;
    char *lines = arena_alloc(&tx->arena, len + 1);
    for (size_t i = 0; i < n; i++) {
        assert(!events[i].len || !memchr(events[i].ptr, '\n', events[i].len));
        if (i)
            lines[at++] = '\n';
        if (events[i].len)
            memcpy(lines + at, events[i].ptr, events[i].len);
        at += events[i].len;
    }
    return (struct str){ lines, len };
}

void store_tx_append(struct store_tx *tx, struct str id, int64_t first, const struct str *events, size_t n,
                     struct str journal)
{
    struct op *op = tx_op(tx, append);
    op->id = tx_copy(tx, id);
    op->first = first;
    op->count = (int64_t)n;
    op->text = join_lines(tx, events, n);
    op->piece = tx_copy(tx, journal);
}

static enum err_code start(struct writing *w, const struct op *op, struct err *err)
{
    struct row row;
    enum err_code code = find_open(w, op->id, &row, err);
    if (!code && row.status != STORE_QUEUED)
        code = err_set(err, ERR_CONFLICT, NULL, "The response '%.*s' has begun already.", STR_ARG(op->id));
    if (!code)
        code = run_on(w, "UPDATE jobs SET status = 1 WHERE key = ?", row.key, err);
    return code;
}

void store_tx_start(struct store_tx *tx, struct str id)
{
    tx_op(tx, start)->id = tx_copy(tx, id);
}

static enum err_code end_row(struct writing *w, const struct op *op, int64_t key, struct err *err)
{
    struct query q;
    query_open(&q, w->h, "UPDATE jobs SET status = ?, ended = ? WHERE key = ?");
    query_int(&q, op->status);
    query_int(&q, op->ended_ms);
    query_int(&q, key);
    enum err_code code = query_run(&q, err);
    if (!code)
        code = put_body(w, PUT_RESPONSE, key, op->text, err);
    return code ? code : run_on(w, "DELETE FROM journal WHERE job = ?", key, err);
}

static enum err_code end(struct writing *w, const struct op *op, struct err *err)
{
    struct row row;
    enum err_code code = find_open(w, op->id, &row, err);
    if (!code && op->only_unclaimed && row.claimed)
        code = err_set(err, ERR_CONFLICT, NULL, "The response '%.*s' no longer waits: it is being made.",
                       STR_ARG(op->id));
    if (!code)
        code = end_row(w, op, row.key, err);
    if (!code)
        w->waiting -= row.background && !row.claimed;
    return code;
}

void store_tx_end(struct store_tx *tx, struct str id, enum store_status status, int64_t ended_ms,
                  struct str response, bool only_unclaimed)
{
    assert(is_over(status));
    struct op *op = tx_op(tx, end);
    op->id = tx_copy(tx, id);
    op->status = status;
    op->ended_ms = ended_ms;
    op->text = tx_copy(tx, response);
    op->only_unclaimed = only_unclaimed;
}

enum err_code jobs_remove(struct writing *w, int64_t key, int64_t *rows, struct err *err)
{
    static const char *const parts[] = {
        "DELETE FROM events WHERE job = ?",    "DELETE FROM journal WHERE job = ?",
        "DELETE FROM items WHERE job = ?",     "DELETE FROM requests WHERE job = ?",
        "DELETE FROM responses WHERE job = ?", "DELETE FROM jobs WHERE key = ?",
    };
    enum err_code code = ERR_OK;
    for (size_t i = 0; !code && i < ARRAY_LEN(parts); i++) {
        code = run_on(w, parts[i], key, err);
        *rows += sqlite3_changes(w->h->db);
    }
    return code;
}

static enum err_code delete_job(struct writing *w, const struct op *op, struct err *err)
{
    struct row row;
    int64_t rows = 0;
    enum err_code code = find(w, op->owner, op->id, &row, err);
    if (!code && !is_over(row.status))
        code = err_set(err, ERR_CONFLICT, NULL, "The response '%.*s' is not over yet: cancel it first.",
                       STR_ARG(op->id));
    return code ? code : jobs_remove(w, row.key, &rows, err);
}

void store_tx_delete(struct store_tx *tx, struct str owner, struct str id)
{
    struct op *op = tx_op(tx, delete_job);
    op->owner = tx_copy(tx, owner);
    op->id = tx_copy(tx, id);
}

/* --- writes: items ------------------------------------------------------------------------------------ */

/* A job that goes on after a restart tells its items again, so the same item of the same job is fine. */
static enum err_code put_item(struct writing *w, const struct op *op, struct err *err)
{
    struct row row;
    struct query q;
    enum err_code code = find(w, (struct str){ 0 }, op->text, &row, err);
    if (code)
        return code;
    query_open(&q, w->h,
               "INSERT INTO items (item, owner, job) VALUES (?, ?, ?) "
               "ON CONFLICT DO UPDATE SET job = job WHERE job = excluded.job");
    query_text(&q, op->id);
    query_text(&q, op->owner);
    query_int(&q, row.key);
    code = query_run(&q, err);
    if (!code && sqlite3_changes(w->h->db) == 0)
        code =
            err_set(err, ERR_CONFLICT, NULL, "The item '%.*s' belongs to another response.", STR_ARG(op->id));
    return code;
}

void store_tx_item(struct store_tx *tx, struct str owner, struct str item, struct str job)
{
    struct op *op = tx_op(tx, put_item);
    op->owner = tx_copy(tx, owner);
    op->id = tx_copy(tx, item);
    op->text = tx_copy(tx, job);
}

/* --- claims ------------------------------------------------------------------------------------------- */

static enum err_code claim_one(struct writing *w, struct store_job *job, struct err *err)
{
    struct query q;
    query_open(&q, w->h, "UPDATE jobs SET node = ?, restarts = restarts + 1 WHERE id = ?");
    query_text(&q, w->node);
    query_text(&q, job->id);
    job->restarts++;
    w->waiting--;
    return query_run(&q, err);
}

enum err_code jobs_claim(struct writing *w, size_t limit, struct store_job **out, size_t *n,
                         struct arena *arena, struct err *err)
{
    struct query q;
    query_open(&q, w->h,
               "SELECT " JOB_COLUMNS " FROM jobs WHERE status < 2 AND background = 1 AND node IS NULL "
               "ORDER BY created, key LIMIT ?");
    query_int(&q, limit > INT64_MAX ? INT64_MAX : (int64_t)limit);
    read_jobs(&q, out, n, arena);
    enum err_code code = query_close(&q, err);
    for (size_t i = 0; !code && i < *n; i++)
        code = claim_one(w, &(*out)[i], err);
    return code;
}

static enum err_code unclaim(struct writing *w, const struct op *op, struct err *err)
{
    struct row row;
    enum err_code code = find_open(w, op->id, &row, err);
    if (!code && (!row.claimed || !row.background))
        code = err_set(err, ERR_CONFLICT, NULL, "The response '%.*s' was not claimed.", STR_ARG(op->id));
    if (code)
        return code;
    w->waiting++;
    return run_on(w, "UPDATE jobs SET node = NULL, restarts = max(restarts - 1, 0) WHERE key = ?", row.key,
                  err);
}

void store_tx_unclaim(struct store_tx *tx, struct str id)
{
    tx_op(tx, unclaim)->id = tx_copy(tx, id);
}

enum err_code jobs_recover(struct handle *h, int64_t *waiting, struct err *err)
{
    enum err_code code =
        handle_exec(h, "UPDATE jobs SET node = NULL WHERE status < 2 AND node IS NOT NULL", err);
    return code ? code
                : query_number(h, "SELECT count(*) FROM jobs WHERE status < 2 AND background = 1", waiting,
                               err);
}

/* --- reads -------------------------------------------------------------------------------------------- */

enum err_code store_job_get(struct store *s, struct str owner, struct str id, struct store_job *out,
                            struct arena *arena, struct err *err)
{
    struct handle *h = pool_take(s);
    struct query q;
    query_open(&q, h, "SELECT " JOB_COLUMNS " FROM jobs WHERE id = ?1 AND (?2 = '' OR owner = ?2)");
    query_text(&q, id);
    query_text(&q, owner);
    bool found = query_row(&q);
    if (found)
        *out = read_job(&q, arena);
    enum err_code code = query_close(&q, err);
    pool_give(s, h);
    return !code && !found ? not_found(id, err) : code;
}

/* The events that were asked for, as they are picked out of the groups. */
struct picked {
    struct str *events;
    size_t n, cap, limit, bytes, bytes_max;
    int64_t want; /* the number of the next */
};

/* False: that was all that may be taken. */
static bool pick(struct picked *p, struct str event, struct arena *arena)
{
    if (p->n == p->limit || (p->n && event.len > p->bytes_max - p->bytes))
        return false;
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 64;
        p->events = mem_realloc(p->events, p->cap * sizeof *p->events);
    }
    p->events[p->n++] = arena_str(arena, event);
    p->bytes += event.len < p->bytes_max - p->bytes ? event.len : p->bytes_max - p->bytes;
    p->want++;
    return true;
}

static bool pick_lines(struct picked *p, int64_t first, int64_t count, struct str lines, struct arena *arena)
{
    const char *at = lines.ptr, *end = lines.ptr + lines.len;
    for (int64_t number = first; number < first + count; number++) {
        const char *line = at;
        const char *stop = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
        stop = stop ? stop : end;
        at = stop < end ? stop + 1 : end;
        if (number == p->want && !pick(p, (struct str){ line, (size_t)(stop - line) }, arena))
            return false;
    }
    return true;
}

static enum err_code check_known(struct handle *h, struct str id, struct err *err)
{
    struct query q;
    query_open(&q, h, "SELECT 1 FROM jobs WHERE id = ?");
    query_text(&q, id);
    bool found = query_row(&q);
    enum err_code code = query_close(&q, err);
    return !code && !found ? not_found(id, err) : code;
}

enum err_code store_job_events(struct store *s, struct str id, int64_t first, size_t limit, size_t bytes_max,
                               struct str **out, size_t *n, struct arena *arena, struct err *err)
{
    struct picked p = { .limit = limit, .bytes_max = bytes_max, .want = first < 0 ? 0 : first };
    struct handle *h = pool_take(s);
    struct query q;
    /* From the group that holds the first one on. */
    query_open(
        &q, h,
        "SELECT e.first, e.count, e.lines FROM jobs, events e WHERE jobs.id = ?1 AND e.job = key AND "
        "e.first >= coalesce((SELECT first FROM events WHERE job = key AND first <= ?2 ORDER BY first DESC "
        "LIMIT 1), 0) ORDER BY e.first");
    query_text(&q, id);
    query_int(&q, p.want);
    while (query_row(&q))
        if (!pick_lines(&p, query_get_int(&q, 0), query_get_int(&q, 1), query_get_str(&q, 2), arena))
            break;
    enum err_code code = query_close(&q, err);
    if (!code && p.n == 0)
        code = check_known(h, id, err);
    *n = p.n;
    *out = arena_array(arena, p.n, sizeof **out);
    if (p.n)
        memcpy(*out, p.events, p.n * sizeof *p.events);
    pool_give(s, h);
    mem_free(p.events);
    return code;
}

enum err_code store_job_journal(struct store *s, struct str id, struct str *out, struct arena *arena,
                                struct err *err)
{
    struct buf all = { 0 };
    struct handle *h = pool_take(s);
    struct query q;
    enum err_code code = check_known(h, id, err);
    if (!code) {
        query_open(
            &q, h,
            "SELECT piece FROM journal WHERE job = (SELECT key FROM jobs WHERE id = ?) ORDER BY rowid");
        query_text(&q, id);
        while (query_row(&q))
            buf_put_str(&all, query_get_str(&q, 0));
        code = query_close(&q, err);
    }
    pool_give(s, h);
    if (!code)
        *out = arena_str(arena, buf_str(&all));
    buf_free(&all);
    return code;
}

enum err_code store_jobs_open(struct store *s, bool background, struct store_job **out, size_t *n,
                              struct arena *arena, struct err *err)
{
    struct handle *h = pool_take(s);
    struct query q;
    query_open(&q, h,
               "SELECT " JOB_COLUMNS " FROM jobs WHERE status < 2 AND background = ? ORDER BY created, key");
    query_int(&q, background);
    read_jobs(&q, out, n, arena);
    enum err_code code = query_close(&q, err);
    pool_give(s, h);
    return code;
}

enum err_code store_item_job(struct store *s, struct str owner, struct str item, struct str *job,
                             struct arena *arena, struct err *err)
{
    struct handle *h = pool_take(s);
    struct query q;
    query_open(
        &q, h,
        "SELECT jobs.id FROM items, jobs WHERE item = ?1 AND (?2 = '' OR items.owner = ?2) AND key = job");
    query_text(&q, item);
    query_text(&q, owner);
    bool found = query_row(&q);
    if (found)
        *job = arena_str(arena, query_get_str(&q, 0));
    enum err_code code = query_close(&q, err);
    pool_give(s, h);
    if (!code && !found)
        code = err_set(err, ERR_NOT_FOUND, NULL, "No item with the id '%.*s' is stored.", STR_ARG(item));
    return code;
}
