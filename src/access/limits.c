/*
 * limits.c - one owner's share of the machine: two token buckets and a count of what runs.
 *
 * A bucket of L a minute holds at most L and gains L a minute. Its level is kept in parts of 1/60000, of which it gains
 * exactly L a millisecond, so nothing is rounded and no drift builds up however often it is looked at. A level may be
 * below zero: what a request used beyond its estimate is owed, and the owner waits until it is paid.
 *
 * Limits come with each request, since an owner's keys may differ: the bucket takes the limit of the key that calls. A
 * smaller one cuts what is there, a larger one gains from where it stands, and a limit where there was none begins full.
 *
 * Owners without limits are not kept at all. A seat stays while a request of its owner runs or a bucket is not full;
 * then forgetting it changes nothing, and it goes when the table wants its room. One lock guards all of it: it is held for
 * a few dozen instructions, and for one walk of the table when that is full.
 */
#include "access/access_impl.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#define PARTS       60000                  /* of one request or token: the milliseconds of a minute */
#define CHAINS      1024                   /* a power of two */
#define BUSY_MS     1000                   /* when to ask again where only a running request's end can tell */
#define TOKENS_MOST ((int64_t)1 << 40)     /* of one request */
#define LEVEL_LEAST (-TOKENS_MOST * PARTS) /* what one owner can owe; keeps sums far from overflow */

struct bucket {
    int64_t limit; /* a minute; 0: none */
    int64_t level; /* in parts; at most limit * PARTS */
};

struct access_seat {
    struct access_seat *next; /* in its chain */
    char owner[ACCESS_OWNER_CHARS_MAX + 1];
    int64_t filled_ms; /* when the levels were brought up to date */
    struct bucket requests, tokens;
    int64_t running;
};

struct limits {
    pthread_mutex_t lock;
    size_t seats;
    struct access_seat *chains[CHAINS];
};

struct limits *limits_open(void)
{
    struct limits *l = mem_zalloc(sizeof *l);
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

void limits_close(struct limits *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < CHAINS; i++)
        for (struct access_seat *s = l->chains[i], *next; s; s = next) {
            assert(s->running == 0); /* a place that was lost would bind its owner for ever */
            next = s->next;
            mem_free(s);
        }
    pthread_mutex_destroy(&l->lock);
    mem_free(l);
}

/* --- a bucket -------------------------------------------------------------------------------------------- */

static int64_t ms_until(const struct bucket *b, int64_t level) /* not reached yet */
{
    return (level - b->level + b->limit - 1) / b->limit;
}

static void fill(struct bucket *b, int64_t ms)
{
    int64_t most = b->limit * PARTS;
    if (b->level < most) /* compared by time, since limit * ms may be more than a number holds */
        b->level = ms >= ms_until(b, most) ? most : b->level + b->limit * ms;
}

static void set_limit(struct bucket *b, int64_t limit)
{
    if (b->limit == 0 || limit == 0 || b->level > limit * PARTS)
        b->level = limit * PARTS;
    b->limit = limit;
}

static struct access_rate rate_of(const struct bucket *b)
{
    int64_t most = b->limit * PARTS;
    return (struct access_rate){ .limit = b->limit,
                                 .remaining = b->level > 0 ? b->level / PARTS : 0,
                                 .reset_ms = b->level < most ? ms_until(b, most) : 0 };
}

/* 0: amount can be taken now; else the milliseconds until it can. */
static int64_t wait_of(const struct bucket *b, int64_t amount)
{
    return b->limit && b->level < amount * PARTS ? ms_until(b, amount * PARTS) : 0;
}

static void take(struct bucket *b, int64_t amount)
{
    if (b->limit)
        b->level -= amount * PARTS;
}

static int64_t within(int64_t n, int64_t most)
{
    return n < 0 ? 0 : n < most ? n : most;
}

/* --- seats ------------------------------------------------------------------------------------------------- */

static void refresh(struct access_seat *s, int64_t now_ms)
{
    if (now_ms <=
        s->filled_ms) /* two threads may have read the clock in one order and come here in the other */
        return;
    fill(&s->requests, now_ms - s->filled_ms);
    fill(&s->tokens, now_ms - s->filled_ms);
    s->filled_ms = now_ms;
}

static bool is_idle(struct access_seat *s, int64_t now_ms)
{
    refresh(s, now_ms);
    return s->running == 0 && s->requests.level == s->requests.limit * PARTS &&
           s->tokens.level == s->tokens.limit * PARTS;
}

static void evict_idle(struct limits *l, int64_t now_ms)
{
    for (size_t i = 0; i < CHAINS; i++)
        for (struct access_seat **at = &l->chains[i]; *at;) {
            struct access_seat *s = *at;
            if (is_idle(s, now_ms)) {
                *at = s->next;
                mem_free(s);
                l->seats--;
            } else {
                at = &s->next;
            }
        }
}

static struct access_seat **chain_of(struct limits *l, const char *owner)
{
    return &l->chains[str_hash(str_from(owner)) & (CHAINS - 1)];
}

static struct access_seat *find_seat(struct limits *l, const char *owner)
{
    struct access_seat *s = *chain_of(l, owner);
    while (s && strcmp(s->owner, owner) != 0)
        s = s->next;
    return s;
}

/* NULL: the table is full of owners whose buckets are not. */
static struct access_seat *seat_of(struct limits *l, const char *owner, int64_t now_ms)
{
    struct access_seat *s = find_seat(l, owner), **chain = chain_of(l, owner);
    if (s)
        return s;
    if (l->seats == ACCESS_OWNERS_MAX)
        evict_idle(l, now_ms);
    if (l->seats == ACCESS_OWNERS_MAX)
        return NULL;
    s = mem_zalloc(sizeof *s);
    memcpy(s->owner, owner, strlen(owner) + 1);
    s->filled_ms = now_ms;
    s->next = *chain;
    *chain = s;
    l->seats++;
    return s;
}

/* --- a request ------------------------------------------------------------------------------------------------ */

/* Clients read the wait from the end of the sentence, as "1.5s" or "20ms"; the headers say the same. */
static enum err_code refuse(struct err *err, enum err_code code, const char *owner, const char *of,
                            struct access_rate rate, int64_t requested, int64_t wait_ms)
{
    return err_set(
        err, code, NULL,
        "Rate limit reached for %s on %s: Limit %lld, Used %lld, Requested %lld. Please try again in "
        "%lld.%03llds.",
        owner, of, (long long)rate.limit, (long long)(rate.limit - rate.remaining), (long long)requested,
        (long long)(wait_ms / 1000), (long long)(wait_ms % 1000));
}

static enum err_code admit(struct access_seat *s, int64_t concurrency, int64_t tokens,
                           struct access_place *out, struct err *err)
{
    struct access_rate running = { .limit = concurrency, .remaining = concurrency - s->running };
    int64_t request_wait_ms = wait_of(&s->requests, 1), token_wait_ms = wait_of(&s->tokens, tokens);
    if (request_wait_ms) {
        out->wait_ms = request_wait_ms;
        return refuse(err, ERR_RATE_LIMIT_REQUESTS, s->owner, "requests per min (RPM)", rate_of(&s->requests),
                      1, out->wait_ms);
    }
    if (token_wait_ms) {
        out->wait_ms = token_wait_ms;
        return refuse(err, ERR_RATE_LIMIT_TOKENS, s->owner, "tokens per min (TPM)", rate_of(&s->tokens),
                      tokens, out->wait_ms);
    }
    if (running.limit && running.remaining <= 0) {
        out->wait_ms = BUSY_MS;
        return refuse(err, ERR_RATE_LIMIT_REQUESTS, s->owner, "requests at a time", running, 1, out->wait_ms);
    }
    take(&s->requests, 1);
    take(&s->tokens, tokens);
    s->running++;
    out->seat = s;
    out->estimate = s->tokens.limit ? tokens : 0;
    return ERR_OK;
}

enum err_code limits_take(struct limits *l, const struct access_owner *owner, int64_t now_ms, int64_t tokens,
                          struct access_place *out, struct err *err)
{
    assert(!out->seat);
    const struct access_limits *limits = &owner->limits;
    *out = (struct access_place){ 0 };
    if (!limits->requests_per_minute && !limits->tokens_per_minute && !limits->concurrency)
        return ERR_OK;
    pthread_mutex_lock(&l->lock);
    struct access_seat *s = seat_of(l, owner->id, now_ms);
    enum err_code code;
    if (s) {
        refresh(s, now_ms);
        set_limit(&s->requests, limits->requests_per_minute);
        set_limit(&s->tokens, limits->tokens_per_minute);
        code = admit(s, limits->concurrency, within(tokens, limits->tokens_per_minute), out, err);
        out->requests = rate_of(&s->requests);
        out->tokens = rate_of(&s->tokens);
    } else {
        code =
            err_set(err, ERR_BUSY, NULL, "More than %d owners are using this server. Please try again later.",
                    ACCESS_OWNERS_MAX);
    }
    pthread_mutex_unlock(&l->lock);
    return code;
}

/* Changes what there is by so many tokens, down to what can be owed at most. What goes beyond the brim is lost. */
static void add_tokens(struct bucket *b, int64_t tokens)
{
    int64_t most = b->limit * PARTS;
    if (!b->limit)
        return;
    b->level += tokens * PARTS;
    b->level = b->level > LEVEL_LEAST ? b->level : LEVEL_LEAST;
    b->level = b->level < most ? b->level : most;
}

/* The tokens go to the bucket as it is now: its limit may have changed since, and what came in the meantime may have filled
 * it, so that what was estimated too high is lost, as it would have been without the estimate. */
void limits_give(struct limits *l, struct access_place *place, int64_t now_ms, int64_t tokens_used)
{
    struct access_seat *s = place->seat;
    if (!s)
        return;
    place->seat = NULL;
    pthread_mutex_lock(&l->lock);
    assert(s->running > 0);
    s->running--;
    refresh(s, now_ms);
    add_tokens(&s->tokens, place->estimate - within(tokens_used, TOKENS_MOST));
    pthread_mutex_unlock(&l->lock);
}

/* An owner without a seat has no limits, or its bucket was full for so long that it was forgotten. */
void limits_charge(struct limits *l, const char *owner, int64_t now_ms, int64_t tokens_used)
{
    pthread_mutex_lock(&l->lock);
    struct access_seat *s = find_seat(l, owner);
    if (s) {
        refresh(s, now_ms);
        add_tokens(&s->tokens, -within(tokens_used, TOKENS_MOST));
    }
    pthread_mutex_unlock(&l->lock);
}
