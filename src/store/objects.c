/*
 * objects.c - what has a kind, an owner, an id and a place in a list.
 *
 * A place is the row's number: a new one is above all that are there, so the order of a list is the order in which its
 * members came. kind and owner are matched as they are; an empty owner is an owner like others here.
 */
#include "store/store_impl.h"

#include <string.h>

static enum err_code not_found(struct str kind, struct str id, struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, NULL, "No %.*s with the id '%.*s' is stored.", STR_ARG(kind),
                   STR_ARG(id));
}

/* --- writes ------------------------------------------------------------------------------------------- */

static struct op *object_op(struct store_tx *tx, op_run *run, const struct store_object *o)
{
    struct op *op = tx_op(tx, run);
    op->object = arena_alloc(&tx->arena, sizeof *op->object);
    *op->object = *o;
    struct str *const copied[] = { &op->object->kind, &op->object->owner, &op->object->id,
                                   &op->object->parent, &op->object->body };
    for (size_t i = 0; i < ARRAY_LEN(copied); i++)
        *copied[i] = tx_copy(tx, *copied[i]);
    return op;
}

static enum err_code put(struct writing *w, const struct op *op, struct err *err)
{
    const struct store_object *o = op->object;
    struct query q;
    query_open(
        &q, w->h,
        "INSERT INTO objects (kind, owner, id, parent, created, expires, body) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (kind, owner, id) DO NOTHING");
    query_text(&q, o->kind);
    query_text(&q, o->owner);
    query_text(&q, o->id);
    query_text(&q, o->parent);
    query_int(&q, o->created_ms);
    query_int(&q, o->expires_ms);
    query_blob(&q, o->body);
    enum err_code code = query_run(&q, err);
    if (!code && sqlite3_changes(w->h->db) == 0)
        code = err_set(err, ERR_CONFLICT, NULL, "A %.*s with the id '%.*s' is stored already.",
                       STR_ARG(o->kind), STR_ARG(o->id));
    return code;
}

void store_tx_object_put(struct store_tx *tx, const struct store_object *o)
{
    object_op(tx, put, o);
}

static enum err_code update(struct writing *w, const struct op *op, struct err *err)
{
    const struct store_object *o = op->object;
    struct query q;
    query_open(&q, w->h, "UPDATE objects SET body = ?, expires = ? WHERE kind = ? AND owner = ? AND id = ?");
    query_blob(&q, o->body);
    query_int(&q, o->expires_ms);
    query_text(&q, o->kind);
    query_text(&q, o->owner);
    query_text(&q, o->id);
    enum err_code code = query_run(&q, err);
    return !code && sqlite3_changes(w->h->db) == 0 ? not_found(o->kind, o->id, err) : code;
}

void store_tx_object_update(struct store_tx *tx, const struct store_object *o)
{
    object_op(tx, update, o);
}

static enum err_code delete_one(struct writing *w, const struct op *op, struct err *err)
{
    struct query q;
    query_open(&q, w->h, "DELETE FROM objects WHERE kind = ? AND owner = ? AND id = ?");
    query_text(&q, op->kind);
    query_text(&q, op->owner);
    query_text(&q, op->id);
    enum err_code code = query_run(&q, err);
    return !code && sqlite3_changes(w->h->db) == 0 ? not_found(op->kind, op->id, err) : code;
}

void store_tx_object_delete(struct store_tx *tx, struct str kind, struct str owner, struct str id)
{
    struct op *op = tx_op(tx, delete_one);
    op->kind = tx_copy(tx, kind);
    op->owner = tx_copy(tx, owner);
    op->id = tx_copy(tx, id);
}

/* --- reads -------------------------------------------------------------------------------------------- */

#define OBJECT_COLUMNS "kind, owner, id, parent, created, expires, body, place"

static struct store_object read_object(struct query *q, struct arena *arena)
{
    return (struct store_object){
        .kind = arena_str(arena, query_get_str(q, 0)),
        .owner = arena_str(arena, query_get_str(q, 1)),
        .id = arena_str(arena, query_get_str(q, 2)),
        .parent = arena_str(arena, query_get_str(q, 3)),
        .created_ms = query_get_int(q, 4),
        .expires_ms = query_get_int(q, 5),
        .body = arena_str(arena, query_get_str(q, 6)),
        .place = query_get_int(q, 7),
    };
}

enum err_code store_object_get(struct store *s, struct str kind, struct str owner, struct str id,
                               struct store_object *out, struct arena *arena, struct err *err)
{
    struct handle *h = pool_take(s);
    struct query q;
    query_open(&q, h, "SELECT " OBJECT_COLUMNS " FROM objects WHERE kind = ? AND owner = ? AND id = ?");
    query_text(&q, kind);
    query_text(&q, owner);
    query_text(&q, id);
    bool found = query_row(&q);
    if (found)
        *out = read_object(&q, arena);
    enum err_code code = query_close(&q, err);
    pool_give(s, h);
    return !code && !found ? not_found(kind, id, err) : code;
}

/* A cursor's place; an empty one leaves *place alone. */
static enum err_code find_place(struct handle *h, const struct store_list *ask, struct str id, int64_t *place,
                                struct err *err)
{
    if (!id.len)
        return ERR_OK;
    struct query q;
    query_open(&q, h, "SELECT place FROM objects WHERE kind = ? AND owner = ? AND id = ? AND parent = ?");
    query_text(&q, ask->kind);
    query_text(&q, ask->owner);
    query_text(&q, id);
    query_text(&q, ask->parent);
    bool found = query_row(&q);
    if (found)
        *place = query_get_int(&q, 0);
    enum err_code code = query_close(&q, err);
    return !code && !found ? not_found(ask->kind, id, err) : code;
}

#define LIST                                                                                                 \
    "SELECT " OBJECT_COLUMNS " FROM objects WHERE kind = ? AND owner = ? AND parent = ? AND place > ? AND "  \
    "place < ? AND created >= ? ORDER BY place "

/* One more than the limit, if it is there, tells of others. */
static void read_objects(struct query *q, size_t limit, struct store_object **out, size_t *n, bool *more,
                         struct arena *arena)
{
    struct store_object *all = NULL;
    size_t cap = 0;
    *n = 0;
    *more = false;
    while (!*more && query_row(q)) {
        *more = *n == limit;
        if (*more)
            break;
        if (*n == cap) {
            cap = cap ? cap * 2 : 32;
            all = mem_realloc(all, cap * sizeof *all);
        }
        all[(*n)++] = read_object(q, arena);
    }
    *out = arena_array(arena, *n, sizeof **out);
    if (*n)
        memcpy(*out, all, *n * sizeof *all);
    mem_free(all);
}

/* Members between two places, both exclusive. */
struct span {
    int64_t above, below;
};

static void reverse(struct store_object *o, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        struct store_object swap = o[i];
        o[i] = o[n - 1 - i];
        o[n - 1 - i] = swap;
    }
}

static enum err_code find_span(struct handle *h, const struct store_list *ask, struct span *span,
                               struct err *err)
{
    *span = (struct span){ INT64_MIN, INT64_MAX };
    enum err_code code = find_place(h, ask, ask->after, ask->descending ? &span->below : &span->above, err);
    return code ? code : find_place(h, ask, ask->before, ask->descending ? &span->above : &span->below, err);
}

/* With before alone the page that ends there is meant, so it is read from its end. */
enum err_code store_object_list(struct store *s, const struct store_list *ask, struct store_object **out,
                                size_t *n, bool *more, struct arena *arena, struct err *err)
{
    bool backwards = ask->before.len && !ask->after.len;
    struct span span;
    struct query q;
    struct handle *h = pool_take(s);
    enum err_code code = find_span(h, ask, &span, err);
    if (code)
        goto leave;
    query_open(&q, h, ask->descending != backwards ? LIST "DESC" : LIST "ASC");
    query_text(&q, ask->kind);
    query_text(&q, ask->owner);
    query_text(&q, ask->parent);
    query_int(&q, span.above);
    query_int(&q, span.below);
    query_int(&q, ask->created_from_ms ? ask->created_from_ms : INT64_MIN);
    read_objects(&q, ask->limit, out, n, more, arena);
    code = query_close(&q, err);
    if (!code && backwards)
        reverse(*out, *n);
leave:
    pool_give(s, h);
    return code;
}

enum err_code store_object_count(struct store *s, struct str kind, struct str owner, struct str parent,
                                 int64_t *out, struct err *err)
{
    struct handle *h = pool_take(s);
    struct query q;
    query_open(&q, h, "SELECT count(*) FROM objects WHERE kind = ? AND owner = ? AND parent = ?");
    query_text(&q, kind);
    query_text(&q, owner);
    query_text(&q, parent);
    if (query_row(&q))
        *out = query_get_int(&q, 0);
    enum err_code code = query_close(&q, err);
    pool_give(s, h);
    return code;
}
