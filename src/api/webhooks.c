/*
 * webhooks.c - tells the operator's receiver that a background response has ended (Standard Webhooks).
 *
 * The event is an object of kind "webhook" in the very transaction that ends the job, so it is there if and only if the job has
 * ended, and it is deleted when the receiver has said 2xx: each is delivered at least once, over a restart too. A
 * receiver tells repeats apart by webhook-id, which is the same on each try.
 *
 * When a try fails the next is made at an age of the event that a table names, a little later by chance, so that many events do
 * not return at one moment. The age says how many tries there have been: nothing about tries is stored, and after a restart
 * an event is tried at once and then goes on in the table where its age puts it. After the last one it is dropped.
 *
 * In memory stand ids and times, at most WAITING_MAX; beyond that events are only in the store, and are read from there when the
 * list has run empty.
 *
 * Threads:   one of its own, the only one that waits for the network and the one that owns `due`; webhooks_tx and
 *            webhooks_wake may be called by any. The lock guards `fresh` and the flags.
 * Ownership: the store is borrowed, and outlives the thread. The secret is never logged.
 */
#include "api/api_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/thread.h"
#include "fetch/fetch.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define KIND             "webhook"
#define OWNER            "server" /* events are nobody's to list */
#define WAITING_MAX      100000
#define PAGE             256
#define SECRET_PREFIX    "whsec_"
#define SECRET_BYTES_MIN 24 /* as Standard Webhooks has it */
#define SECRET_BYTES_MAX 64
#define URL_BYTES_MAX    2048
#define CONNECT_MS       3000
#define SILENT_MS        5000
#define REPLY_BYTES_MAX  (64 * KIB)
#define COMMIT_MS        60000 /* within which a transaction is stored, or never */
#define RETRY_READ_MS    200
#define JITTER_SHARE     10 /* a wait is up to a tenth longer */
#define EVENT_HEX_DIGITS 48

#define SECONDS(n) ((int64_t)1000 * (n))
#define MINUTES(n) (60 * SECONDS(n))
#define HOURS(n)   (60 * MINUTES(n))
/* The ages at which an event is tried again. */
static const int64_t schedule_ms[] = { SECONDS(5), SECONDS(30), MINUTES(2), MINUTES(10), MINUTES(30),
                                       HOURS(1),   HOURS(2),    HOURS(4),   HOURS(8),    HOURS(16),
                                       HOURS(24),  HOURS(36),   HOURS(48),  HOURS(60),   HOURS(72) };

struct pending {
    char id[64];
    int64_t created_ms, due_ms;
};
struct list {
    struct pending *items;
    size_t n, cap;
};
struct webhooks {
    struct store *store;
    char *url;
    unsigned char secret[SECRET_BYTES_MAX];
    size_t secret_len;
    int64_t (*now_ms)(void);
    struct thread thread;
    bool started;

    struct list due; /* the thread's */

    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list fresh;           /* since the thread last looked */
    bool woken, closing, behind; /* behind: some events are only in the store */
};

/* --- what is sent -------------------------------------------------------------------------------------------- */

void webhook_sign(struct buf *out, struct str secret, struct str id, int64_t timestamp_s, struct str body)
{
    struct buf content = { 0 };
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    buf_printf(&content, "%.*s.%lld.", STR_ARG(id), (long long)timestamp_s);
    buf_put_str(&content, body);
    const unsigned char *ok = HMAC(EVP_sha256(), secret.ptr, (int)secret.len,
                                   (const unsigned char *)content.ptr, content.len, mac, &len);
    assert(ok);
    (void)ok;
    buf_puts(out, "v1,");
    base64_put(out, (struct str){ (const char *)mac, len });
    buf_free(&content);
}

static void put_event(struct buf *out, const char *id, int64_t created_s, const char *type,
                      struct str response)
{
    struct json_writer w = { .out = out };
    jw_begin_object(&w);
    jw_key_cstring(&w, "id", id);
    jw_key_cstring(&w, "object", "event");
    jw_key_int(&w, "created_at", created_s);
    jw_key_cstring(&w, "type", type);
    jw_key(&w, "data");
    jw_begin_object(&w);
    jw_key_string(&w, "id", response);
    jw_end_object(&w);
    jw_end_object(&w);
}

static bool deliver(struct webhooks *w, struct str id, struct str body)
{
    char id_line[96], time_line[64];
    struct buf signature = { 0 };
    int64_t now_s = w->now_ms() / 1000;
    snprintf(id_line, sizeof id_line, "webhook-id: %.*s", STR_ARG(id));
    snprintf(time_line, sizeof time_line, "webhook-timestamp: %lld", (long long)now_s);
    buf_puts(&signature, "webhook-signature: ");
    webhook_sign(&signature, (struct str){ (const char *)w->secret, w->secret_len }, id, now_s, body);
    const char *const headers[] = {
        "Content-Type: application/json", "User-Agent: thinkd", id_line, time_line, signature.ptr, NULL
    };
    const struct fetch_request req = { .method = "POST",
                                       .url = w->url,
                                       .headers = headers,
                                       .body = body,
                                       .connect_ms = CONNECT_MS,
                                       .silent_ms = SILENT_MS,
                                       .bytes_max = REPLY_BYTES_MAX };
    struct fetch_reply reply = { 0 };
    struct err err = { 0 };
    enum err_code code = fetch_perform(&req, &reply, &err);
    bool ok = !code && reply.status >= 200 && reply.status <= 299;
    if (!ok)
        log_line(LOG_WARN, "webhook", "not delivered id=%.*s status=%d reason=%s", STR_ARG(id),
                 code ? 0 : reply.status, code ? err.message : "the receiver refused it");
    buf_free(&reply.body);
    buf_free(&signature);
    return ok;
}

/* --- lists ----------------------------------------------------------------------------------------------------- */

static void list_add(struct list *l, struct pending p)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 16;
        l->items = mem_realloc(l->items, l->cap * sizeof *l->items);
    }
    l->items[l->n++] = p;
}

static void list_remove(struct list *l, size_t i)
{
    l->items[i] = l->items[--l->n]; /* the order is that of due_ms, not of the list */
}

static struct pending pending_of(struct str id, int64_t created_ms, int64_t due_ms)
{
    struct pending p = { .created_ms = created_ms, .due_ms = due_ms };
    snprintf(p.id, sizeof p.id, "%.*s", STR_ARG(id));
    return p;
}

/* From the store: what an earlier process left, or what did not fit. In the second case an event that is added meanwhile may come
 * to stand in the list twice, and be sent twice. */
static void load(struct webhooks *w)
{
    struct arena arena = { 0 };
    struct store_list ask = { .kind = STR(KIND), .owner = STR(OWNER), .limit = PAGE };
    bool more = true;
    while (more && w->due.n < WAITING_MAX) {
        struct store_object *page = NULL;
        size_t n = 0;
        struct err err = { 0 };
        if (store_object_list(w->store, &ask, &page, &n, &more, &arena, &err)) {
            log_line(LOG_WARN, "webhook", "cannot read what waits reason=%s", err.message);
            break;
        }
        for (size_t i = 0; i < n; i++)
            list_add(&w->due, pending_of(page[i].id, page[i].created_ms, w->now_ms()));
        if (!n)
            break;
        ask.after = page[n - 1].id;
    }
    arena_free(&arena);
    if (more && w->due.n >= WAITING_MAX) {
        pthread_mutex_lock(&w->lock);
        w->behind = true;
        pthread_mutex_unlock(&w->lock);
    }
}

/* --- one event --------------------------------------------------------------------------------------------------- */

static void removed(void *ctx, const struct err *err)
{
    (void)ctx;
    if (err->code && err->code != ERR_NOT_FOUND)
        log_line(LOG_WARN, "webhook", "an event that is done with stays in the store reason=%s",
                 err->message);
}

static void remove_event(struct webhooks *w, const char *id)
{
    struct store_tx *tx = store_tx_open();
    store_tx_object_delete(tx, STR(KIND), STR(OWNER), str_from(id));
    store_commit(w->store, tx, removed, NULL);
}

/* After the one that began now; 0: there is none. */
static int64_t next_try(const struct pending *p, int64_t now)
{
    int64_t age = now - p->created_ms;
    for (size_t i = 0; i < ARRAY_LEN(schedule_ms); i++)
        if (schedule_ms[i] > age) {
            int64_t wait = schedule_ms[i] - age;
            return now + wait + (int64_t)(rng_os_u64() % (uint64_t)(wait / JITTER_SHARE + 1));
        }
    return 0;
}

/* True: it is done with, whatever became of it. */
static bool attempt(struct webhooks *w, struct pending *p)
{
    struct arena arena = { 0 };
    struct store_object o;
    struct err err = { 0 };
    enum err_code code = store_object_get(w->store, STR(KIND), STR(OWNER), str_from(p->id), &o, &arena, &err);
    bool done = false;
    int64_t began = w->now_ms();
    if (code) { /* not committed yet, or never; or the disk is in trouble */
        p->due_ms = began + RETRY_READ_MS;
        done = code == ERR_NOT_FOUND && began - p->created_ms > COMMIT_MS;
    } else if (deliver(w, o.id, o.body)) {
        remove_event(w, p->id);
        done = true;
    } else if (!(p->due_ms = next_try(p, began))) {
        log_line(LOG_ERROR, "webhook", "given up after 72 hours id=%s", p->id);
        remove_event(w, p->id);
        done = true;
    }
    arena_free(&arena);
    return done;
}

/* --- the thread ----------------------------------------------------------------------------------------------------- */

static bool take_fresh(struct webhooks *w)
{
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->fresh.n && w->due.n < WAITING_MAX; i++)
        list_add(&w->due, w->fresh.items[i]);
    w->behind |= w->due.n == WAITING_MAX;
    w->fresh.n = 0;
    w->woken = false;
    bool closing = w->closing, reload = w->behind && !w->due.n;
    if (reload)
        w->behind = false;
    pthread_mutex_unlock(&w->lock);
    if (reload && !closing)
        load(w);
    return !closing;
}

static bool is_closing(struct webhooks *w)
{
    pthread_mutex_lock(&w->lock);
    bool closing = w->closing;
    pthread_mutex_unlock(&w->lock);
    return closing;
}

/* All that were due when it began. */
static void work(struct webhooks *w)
{
    int64_t now = w->now_ms();
    for (size_t i = 0; i < w->due.n && !is_closing(w);)
        if (w->due.items[i].due_ms <= now && attempt(w, &w->due.items[i]))
            list_remove(&w->due, i);
        else
            i++;
}

static int64_t sleep_ms(const struct webhooks *w)
{
    int64_t least = HOURS(1), now = w->now_ms();
    for (size_t i = 0; i < w->due.n; i++)
        if (w->due.items[i].due_ms - now < least)
            least = w->due.items[i].due_ms - now;
    return least > 0 ? least : 0;
}

static void wait_wake(struct webhooks *w, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&w->lock);
    while (!w->woken && !w->closing && pthread_cond_timedwait(&w->wake, &w->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&w->lock);
}

static void run(void *ctx)
{
    struct webhooks *w = ctx;
    while (take_fresh(w)) {
        work(w);
        wait_wake(w, sleep_ms(w));
    }
}

/* --- opening, and what others call ------------------------------------------------------------------------------------ */

static enum err_code set_secret(struct webhooks *w, const char *text, struct err *err)
{
    struct buf bytes = { 0 };
    struct str digits = str_from(text);
    bool ok = str_starts(digits, STR(SECRET_PREFIX)) &&
              base64_get(&bytes, str_slice(digits, sizeof SECRET_PREFIX - 1, digits.len)) &&
              bytes.len >= SECRET_BYTES_MIN && bytes.len <= SECRET_BYTES_MAX;
    if (ok) {
        memcpy(w->secret, bytes.ptr, bytes.len);
        w->secret_len = bytes.len;
    }
    buf_free(&bytes);
    if (ok)
        return ERR_OK;
    return err_set(err, ERR_CONFIG, "webhook_secret",
                   "webhook_secret: expected whsec_ and the base64 of %d to %d bytes. Make one with "
                   "'echo whsec_$(openssl rand -base64 32)'.",
                   SECRET_BYTES_MIN, SECRET_BYTES_MAX);
}

static enum err_code set_url(struct webhooks *w, const char *url, struct err *err)
{
    struct str s = str_from(url);
    if (s.len > URL_BYTES_MAX || (!str_starts(s, STR("http://")) && !str_starts(s, STR("https://"))))
        return err_set(err, ERR_CONFIG, "webhook_url",
                       "webhook_url: expected an http or https URL of at most %d characters.", URL_BYTES_MAX);
    w->url = mem_strdup(url);
    return ERR_OK;
}

enum err_code webhooks_open(struct webhooks **out, const struct webhooks_config *cfg, struct err *err)
{
    struct webhooks *w = mem_zalloc(sizeof *w);
    pthread_condattr_t attr;
    w->store = cfg->store;
    w->now_ms = cfg->now_ms ? cfg->now_ms : clock_wall_ms;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    enum err_code code = set_url(w, cfg->url, err);
    if (!code)
        code = set_secret(w, cfg->secret, err);
    if (code) {
        webhooks_close(w);
        return code;
    }
    load(w); /* before anybody can add, so that nothing is in the list twice */
    thread_start(&w->thread, "webhooks", run, w);
    w->started = true;
    *out = w;
    return ERR_OK;
}

void webhooks_close(struct webhooks *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    if (w->started)
        thread_join(&w->thread);
    OPENSSL_cleanse(w->secret, sizeof w->secret);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    mem_free(w->due.items);
    mem_free(w->fresh.items);
    mem_free(w->url);
    mem_free(w);
}

void webhooks_tx(struct webhooks *w, struct store_tx *tx, const char *type, struct str response_id)
{
    if (!w)
        return;
    char digits[EVENT_HEX_DIGITS + 1], id[64];
    struct buf body = { 0 };
    int64_t now = w->now_ms();
    rng_os_hex(digits, EVENT_HEX_DIGITS);
    snprintf(id, sizeof id, "evt_%s", digits);
    put_event(&body, id, now / 1000, type, response_id);
    const struct store_object o = {
        .kind = STR(KIND), .owner = STR(OWNER), .id = str_from(id), .created_ms = now, .body = buf_str(&body)
    };
    store_tx_object_put(tx, &o);
    buf_free(&body);
    pthread_mutex_lock(&w->lock);
    if (w->fresh.n < WAITING_MAX)
        list_add(&w->fresh, pending_of(o.id, now, now));
    else
        w->behind = true;
    pthread_mutex_unlock(&w->lock);
}

void webhooks_wake(struct webhooks *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->woken = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}
