/*
 * sweep.c - what is old or too much goes, a little at a time.
 *
 * A sweep is a list of phases, each of which does one small transaction's worth and says whether there is more. The
 * time rule comes down from the youngest job that is old enough: a job is nearly always older than those that go on
 * from it, so a whole chain of responses goes in one pass. Where clocks made it otherwise, removing the last job that
 * goes on from one takes that one along. The size rule knows no chains: the oldest go until the rest fits, jobs that are over
 * and objects that would go by themselves. Else a store full of the latter would lose all of the former.
 */
#include "store/store_impl.h"

#include <assert.h>
#include <string.h>

void sweep_init(struct sweep *sw, const struct store_limits *limits)
{
    *sw = (struct sweep){ .limits = *limits, .ended_ms = limits->ended_before_ms, .key = INT64_MIN };
}

/* --- by time ------------------------------------------------------------------------------------------ */

static enum err_code sweep_objects(struct sweep *sw, struct writing *w, bool *more, struct err *err)
{
    struct query q;
    query_open(
        &q, w->h,
        "DELETE FROM objects WHERE place IN (SELECT place FROM objects WHERE expires > 0 AND expires <= ? "
        "LIMIT ?)");
    query_int(&q, sw->limits.now_ms);
    query_int(&q, SWEEP_ROWS);
    enum err_code code = query_run(&q, err);
    *more = sqlite3_changes(w->h->db) == SWEEP_ROWS;
    return code;
}

struct candidate {
    int64_t ended_ms, key;
    struct str id, previous;
};

static enum err_code is_kept(struct writing *w, struct str id, bool *kept, struct err *err)
{
    struct query q;
    query_open(&q, w->h, "SELECT 1 FROM jobs WHERE previous = ? AND previous <> '' LIMIT 1");
    query_text(&q, id);
    *kept = query_row(&q);
    return query_close(&q, err);
}

/* The job that a removed one went on from, if the pass has gone by it already. */
static enum err_code find_passed(struct sweep *sw, struct writing *w, struct candidate *c, bool *found,
                                 struct arena *arena, struct err *err)
{
    struct query q;
    query_open(&q, w->h,
               "SELECT ended, key, id, previous FROM jobs WHERE id = ? AND status >= 2 AND ended < ? AND "
               "(ended, key) >= (?, ?)");
    query_text(&q, c->previous);
    query_int(&q, sw->limits.ended_before_ms);
    query_int(&q, sw->ended_ms);
    query_int(&q, sw->key);
    *found = query_row(&q);
    if (*found)
        *c = (struct candidate){ query_get_int(&q, 0), query_get_int(&q, 1),
                                 arena_str(arena, query_get_str(&q, 2)),
                                 arena_str(arena, query_get_str(&q, 3)) };
    return query_close(&q, err);
}

static enum err_code remove_chain(struct sweep *sw, struct writing *w, struct candidate c, int64_t *rows,
                                  struct arena *arena, struct err *err)
{
    enum err_code code = ERR_OK;
    for (bool found = true, kept = false; !code && found;) {
        code = is_kept(w, c.id, &kept, err);
        if (code || kept)
            break;
        code = jobs_remove(w, c.key, rows, err);
        if (!code)
            code = find_passed(sw, w, &c, &found, arena, err);
    }
    return code;
}

static enum err_code find_old(struct sweep *sw, struct writing *w, struct candidate *out, size_t *n,
                              struct arena *arena, struct err *err)
{
    struct query q;
    query_open(&q, w->h,
               "SELECT ended, key, id, previous FROM jobs WHERE status >= 2 AND (ended, key) < (?, ?) "
               "ORDER BY ended DESC, key DESC LIMIT ?");
    query_int(&q, sw->ended_ms);
    query_int(&q, sw->key);
    query_int(&q, SWEEP_JOBS);
    for (*n = 0; query_row(&q); (*n)++)
        out[*n] = (struct candidate){ query_get_int(&q, 0), query_get_int(&q, 1),
                                      arena_str(arena, query_get_str(&q, 2)),
                                      arena_str(arena, query_get_str(&q, 3)) };
    return query_close(&q, err);
}

static enum err_code sweep_time(struct sweep *sw, struct writing *w, bool *more, struct err *err)
{
    struct candidate old[SWEEP_JOBS];
    struct arena arena = { 0 };
    size_t n = 0;
    int64_t rows = 0;
    enum err_code code = find_old(sw, w, old, &n, &arena, err);
    for (size_t i = 0; !code && i < n && rows < SWEEP_ROWS; i++) {
        sw->ended_ms = old[i].ended_ms;
        sw->key = old[i].key;
        code = remove_chain(sw, w, old[i], &rows, &arena, err);
    }
    *more = n > 0;
    arena_free(&arena);
    return code;
}

/* --- by size ------------------------------------------------------------------------------------------ */

static enum err_code bytes_used(struct writing *w, int64_t *out, struct err *err)
{
    int64_t pages = 0, unused = 0, page_bytes = 0;
    enum err_code code = query_number(w->h, "PRAGMA page_count", &pages, err);
    if (!code)
        code = query_number(w->h, "PRAGMA freelist_count", &unused, err);
    if (!code)
        code = query_number(w->h, "PRAGMA page_size", &page_bytes, err);
    *out = (pages - unused) * page_bytes;
    return code;
}

struct oldest {
    bool found, is_object;
    int64_t key, at_ms;
};

static enum err_code look_for_older(struct writing *w, const char *sql, bool is_object, struct oldest *o,
                                    struct err *err)
{
    struct query q;
    query_open(&q, w->h, sql);
    if (query_row(&q) && (!o->found || query_get_int(&q, 1) < o->at_ms))
        *o = (struct oldest){ true, is_object, query_get_int(&q, 0), query_get_int(&q, 1) };
    return query_close(&q, err);
}

static enum err_code remove_oldest(struct writing *w, bool *found, int64_t *rows, struct err *err)
{
    struct oldest o = { 0 };
    struct query q;
    enum err_code code = look_for_older(
        w, "SELECT key, ended FROM jobs WHERE status >= 2 ORDER BY ended, key LIMIT 1", false, &o, err);
    if (!code)
        code =
            look_for_older(w, "SELECT place, created FROM objects WHERE expires > 0 ORDER BY created LIMIT 1",
                           true, &o, err);
    *found = !code && o.found;
    if (!*found)
        return code;
    if (!o.is_object)
        return jobs_remove(w, o.key, rows, err);
    query_open(&q, w->h, "DELETE FROM objects WHERE place = ?");
    query_int(&q, o.key);
    ++*rows;
    return query_run(&q, err);
}

static enum err_code sweep_size(struct sweep *sw, struct writing *w, bool *more, struct err *err)
{
    int64_t rows = 0, used = 0;
    enum err_code code = ERR_OK;
    *more = sw->limits.bytes_max > 0;
    for (size_t i = 0; !code && *more && i < SWEEP_JOBS && rows < SWEEP_ROWS; i++) {
        code = bytes_used(w, &used, err);
        *more = used > sw->limits.bytes_max;
        if (!code && *more)
            code = remove_oldest(w, more, &rows, err);
    }
    return code;
}

#define QUOTE(x)  #x
#define QUOTED(x) QUOTE(x)

/* Gives the pages that nobody uses back to the disk. */
static enum err_code sweep_pages(struct sweep *sw, struct writing *w, bool *more, struct err *err)
{
    (void)sw;
    int64_t unused = 0;
    struct query q;
    query_open(&q, w->h, "PRAGMA incremental_vacuum(" QUOTED(SWEEP_PAGES) ")"); /* takes no parameter */
    enum err_code code = query_run(&q, err);
    if (!code)
        code = query_number(w->h, "PRAGMA freelist_count", &unused, err);
    *more = unused > 0;
    return code;
}

/* --- steps -------------------------------------------------------------------------------------------- */

static enum err_code (*const phases[])(struct sweep *, struct writing *, bool *, struct err *) = {
    sweep_objects,
    sweep_time,
    sweep_size,
    sweep_pages,
};

enum err_code sweep_step(struct sweep *sw, struct writing *w, bool *over, struct err *err)
{
    bool more = false;
    assert(sw->phase < ARRAY_LEN(phases));
    enum err_code code = phases[sw->phase](sw, w, &more, err);
    sw->phase += !more;
    *over = sw->phase == ARRAY_LEN(phases);
    return code;
}
