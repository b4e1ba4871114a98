/*
 * idempotency.c - Idempotency-Key: a POST that is sent twice is done once.
 *
 * A key belongs to its owner and to one request, the hash of method, path and body. While that request runs the key stands in
 * a table in memory; when it was answered well, the answer goes to the store as an object of kind "idempotency", and stands in
 * the table until it is there, so that at no moment a repeat finds neither. What a repeat gets:
 *
 *     it still runs                 409, to be tried again
 *     it was answered with 2xx      the same status and body, and the header idempotent-replayed: true
 *     it is a background stream     the events from the first on, whether it still runs or not, and whoever has left: what was
 *                                   accepted is known by its id as soon as its row is on disk
 *     it was another stream         409, not to be tried again: events are not kept here
 *     anything else                 it is done anew: an error made nothing, and a client that left may ask again
 *     another request               400
 *
 * The answer is stored after it was sent, since a reply should not wait for the disk twice: a crash in between forgets the key.
 *
 * Threads:   begin on http's workers, the answer is heard on whichever thread gives it, stored on the store's writer;
 *            the mutex guards the list and what its entries say.
 * Ownership: the list's. An entry ends when its exchange was answered and its answer, if there is one to keep, is stored; every
 * exchange is answered, so none stays.
 */
#include "api/api_impl.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define KEY_CHARS_MAX 255
#define KIND          "idempotency"
#define STREAMED                                                                                             \
    0 /* the status of a record whose reply was a stream; its body is a background response's id, or empty */
#define OBFUSCATED " obfuscated" /* behind it, where its deltas were padded */

struct entry {
    struct idempotency *table;
    struct entry *next;
    struct access_owner owner;
    const struct http_exchange *x; /* compared, never followed */
    char key[SHA256_HEX_SIZE], request[SHA256_HEX_SIZE];
    int waits;     /* for: its exchange to be answered, its record to be stored */
    bool answered; /* body is there, and on its way to the store */
    bool expired;  /* an old record stands in the store and is to be replaced */
    struct buf body;
};
struct idempotency {
    struct store *store;
    int64_t keep_ms;
    pthread_mutex_t lock;
    pthread_cond_t empty;
    struct entry *entries;
};

void idempotency_open(struct idempotency **out, struct store *store, int64_t keep_ms)
{
    struct idempotency *t = mem_zalloc(sizeof *t);
    t->store = store;
    t->keep_ms = keep_ms;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->empty, NULL);
    *out = t;
}

static void entry_free(struct entry *e)
{
    buf_free(&e->body);
    mem_free(e);
}

void idempotency_close(struct idempotency *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    while (t->entries) /* every exchange has been answered, so what is left is on its way to the store */
        pthread_cond_wait(&t->empty, &t->lock);
    pthread_mutex_unlock(&t->lock);
    pthread_cond_destroy(&t->empty);
    pthread_mutex_destroy(&t->lock);
    mem_free(t);
}

static void unlink_entry(struct entry *e) /* lock held */
{
    struct entry **at = &e->table->entries;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    if (!e->table->entries)
        pthread_cond_signal(&e->table->empty);
}

/* One of the things that e waits for has come. */
static void heard(struct entry *e)
{
    struct idempotency *t = e->table;
    pthread_mutex_lock(&t->lock);
    bool over = --e->waits == 0;
    if (over)
        unlink_entry(e);
    pthread_mutex_unlock(&t->lock);
    if (over)
        entry_free(e);
}

/* --- a record: the request's hash, the status, and the body as it was sent ------------------------------------ */

static void put_record(struct buf *out, const char *request, int status, struct str body)
{
    buf_printf(out, "%s %03d\n", request, status);
    buf_put_str(out, body);
}

struct record {
    struct str request, body;
    int64_t status;
};

static struct record read_record(struct str text)
{
    struct record r = { .request = str_slice(text, 0, SHA256_HEX_SIZE - 1) };
    size_t line = str_find(text, STR("\n"));
    bool ok = line != SIZE_MAX && str_to_i64(str_slice(text, SHA256_HEX_SIZE, line), &r.status);
    assert(ok); /* put_record wrote it */
    (void)ok;
    r.body = str_slice(text, line + 1, text.len);
    return r;
}

/* --- the answer ---------------------------------------------------------------------------------------------- */

static void stored(void *ctx, const struct err *err)
{
    if (err->code)
        log_line(LOG_WARN, "api", "a reply was not kept for its idempotency key reason=%s", err->message);
    heard(ctx);
}

static void keep(struct entry *e, struct str body)
{
    int64_t now = clock_wall_ms();
    const struct store_object o = { .kind = STR(KIND),
                                    .owner = str_from(e->owner.id),
                                    .id = str_from(e->key),
                                    .created_ms = now,
                                    .expires_ms = now + e->table->keep_ms,
                                    .body = body };
    struct store_tx *tx = store_tx_open();
    if (e->expired)
        store_tx_object_update(tx, &o);
    else
        store_tx_object_put(tx, &o);
    store_commit(e->table->store, tx, stored, e);
}

/* Lock held; the record is then kept outside of it: nobody changes it any more. */
static void record(struct entry *e, int status, struct str body)
{
    put_record(&e->body, e->request, status, body);
    e->answered = true;
    e->waits++;
}

static void on_answer(void *ctx, const struct http_answer *a)
{
    struct entry *e = ctx;
    pthread_mutex_lock(&e->table->lock);
    bool keeps = !e->answered && a->status < 300 && !(a->stream && a->gone);
    if (keeps)
        record(e, a->stream ? STREAMED : a->status, a->body);
    pthread_mutex_unlock(&e->table->lock);
    if (keeps)
        keep(e, buf_str(&e->body));
    heard(e);
}

void idempotency_accepted(struct idempotency *t, const struct http_exchange *x, struct str id, bool obfuscate)
{
    struct buf body = { 0 };
    pthread_mutex_lock(&t->lock);
    struct entry *e = t->entries;
    while (e && e->x != x)
        e = e->next;
    if (e) {
        buf_printf(&body, "%.*s%s", STR_ARG(id), obfuscate ? OBFUSCATED : "");
        record(e, STREAMED, buf_str(&body));
    }
    pthread_mutex_unlock(&t->lock);
    if (e) /* its exchange is the caller's and not answered yet, so it is there */
        keep(e, buf_str(&e->body));
    buf_free(&body);
}

/* --- a repeat --------------------------------------------------------------------------------------------------- */

static void answer_conflict(struct http_exchange *x, bool again, const char *why)
{
    struct err err;
    err_set(&err, ERR_CONFLICT, NULL, "%s", why);
    http_set_header(x, "x-should-retry", again ? "true" : "false");
    if (again)
        http_set_header(x, "retry-after", "1");
    reply_error(x, &err);
}

static void answer_running(struct http_exchange *x)
{
    answer_conflict(
        x, true, "A request with this Idempotency-Key is still running. Please try again when it has ended.");
}

static void answer_other(struct http_exchange *x)
{
    struct err err;
    err_set(&err, ERR_INVALID_VALUE, NULL,
            "This Idempotency-Key was used for another request: a key belongs to one method, path and body. "
            "Send a new key, or the same request.");
    reply_error(x, &err);
}

/* The events of a background response that an earlier request of this key began. */
static void answer_stream(const struct call *c, struct str began)
{
    struct err err;
    bool obfuscate = str_ends(began, STR(OBFUSCATED));
    struct str id = str_slice(began, 0, obfuscate ? began.len - strlen(OBFUSCATED) : began.len);
    http_set_header(c->x, "idempotent-replayed", "true");
    if (responses_stream(c, id, -1, obfuscate, &err))
        reply_error(c->x, &err);
}

static void answer_record(const struct call *c, const char *request, struct str text)
{
    struct record r = read_record(text);
    struct http_exchange *x = c->x;
    if (!str_is(r.request, request)) {
        answer_other(x);
    } else if (r.status == STREAMED && r.body.len) {
        answer_stream(c, r.body);
    } else if (r.status == STREAMED) {
        answer_conflict(
            x, false,
            "The request with this Idempotency-Key was answered by a stream, which is not kept for a repeat. "
            "Retrieve its response by id, or send a new key.");
    } else {
        http_set_header(x, "idempotent-replayed", "true");
        http_reply(x, (int)r.status, "application/json", r.body);
    }
}

/* --- the request ------------------------------------------------------------------------------------------------- */

static enum err_code check_key(struct str key, struct err *err)
{
    if (key.len > KEY_CHARS_MAX)
        return err_set(err, ERR_INVALID_VALUE, NULL,
                       "Invalid Idempotency-Key: expected at most %d characters, but got %zu.", KEY_CHARS_MAX,
                       key.len);
    return ERR_OK;
}

static struct entry *entry_of(const struct call *c, struct str key)
{
    struct entry *e = mem_zalloc(sizeof *e);
    e->table = c->api->idempotency;
    e->owner = c->owner;
    e->x = c->x;
    e->waits = 1;
    const struct str parts[] = { http_method(c->x), STR("\n"), http_path(c->x), STR("\n"), http_body(c->x) };
    sha256_hex(e->key, &key, 1); /* of any length and any characters: the id of a row */
    sha256_hex(e->request, parts, ARRAY_LEN(parts));
    return e;
}

static const struct entry *find(const struct idempotency *t, const struct entry *like) /* lock held */
{
    const struct entry *e = t->entries;
    while (e && (strcmp(e->key, like->key) != 0 || strcmp(e->owner.id, like->owner.id) != 0))
        e = e->next;
    return e;
}

/* Enters e, or answers for the one that stands there. */
static bool answered_in_memory(const struct call *c, struct entry *e)
{
    struct idempotency *t = e->table;
    struct buf found = { 0 };
    pthread_mutex_lock(&t->lock);
    const struct entry *other = find(t, e);
    bool same = other && strcmp(other->request, e->request) == 0;
    if (other && other->answered) /* a copy: it may end as soon as the lock is open */
        buf_put_str(&found, buf_str(&other->body));
    if (!other) {
        e->next = t->entries;
        t->entries = e;
    }
    pthread_mutex_unlock(&t->lock);
    if (!other)
        return false;
    if (found.len)
        answer_record(c, e->request, buf_str(&found));
    else if (same)
        answer_running(c->x);
    else
        answer_other(c->x);
    buf_free(&found);
    entry_free(e);
    return true;
}

/* e stands in the table already, so no second request of the key looks here at the same time. */
static bool answered_from_store(const struct call *c, struct entry *e)
{
    struct arena arena = { 0 };
    struct store_object o;
    struct err err = { 0 };
    enum err_code code = store_object_get(e->table->store, STR(KIND), str_from(e->owner.id), str_from(e->key),
                                          &o, &arena, &err);
    bool found = !code && o.expires_ms > clock_wall_ms();
    e->expired = !code && !found;
    bool answered = found || (code && code != ERR_NOT_FOUND);
    if (answered) {
        char request[SHA256_HEX_SIZE];
        memcpy(request, e->request, sizeof request);
        heard(e);
        if (found)
            answer_record(c, request, o.body);
        else
            reply_error(c->x, &err);
    }
    arena_free(&arena);
    return answered;
}

bool idempotency_answered(const struct call *c)
{
    struct str key = str_trim(http_header(c->x, "idempotency-key"));
    if (!key.len || !c->api->idempotency->keep_ms || !str_is(http_method(c->x), "POST"))
        return false;
    struct err err;
    if (check_key(key, &err)) {
        reply_error(c->x, &err);
        return true;
    }
    struct entry *e = entry_of(c, key);
    if (answered_in_memory(c, e) || answered_from_store(c, e))
        return true;
    http_on_answer(c->x, on_answer, e);
    return false;
}
