/*
 * property.c - random transactions, claims and sweeps beside a model that is arrays and loops.
 *
 * The model is a value: a transaction works on a copy, which is thrown away when one of its writes is refused. After every step
 * all that the store can tell is compared. The seed is printed when a step differs.
 */
#include "store/store.h"

#include "base/rng.h"
#include "store/fresh.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOBS    8
#define EVENTS  24
#define JOURNAL 64
#define OBJECTS 6
#define STEPS   1500

struct model_job {
    bool there, background, claimed;
    enum store_status status;
    int owner, previous; /* previous: -1 none */
    int64_t created_ms, ended_ms, restarts, born;
    int events, salts[EVENTS]; /* what each event says */
    char journal[JOURNAL];
    int item; /* told as belonging to it */
};

struct model_object {
    bool there;
    int body;
    int64_t expires_ms, born;
};

struct model {
    struct model_job jobs[JOBS];
    struct model_object objects[OBJECTS];
    int64_t births;
};

struct run {
    struct store *store;
    struct model model, draft;
    struct store_tx *tx;
    struct arena arena;
    struct rng rng;
    int salt;
};

static const char *const owners[] = { "anna", "ben" };

static int below(struct run *r, int n)
{
    return (int)rng_below(&r->rng, (uint64_t)n);
}

static struct str named(struct run *r, const char *what, int i)
{
    return s(arena_printf(&r->arena, "%s_%d", what, i));
}

static bool is_over(const struct model_job *j)
{
    return j->status > STORE_IN_PROGRESS;
}

/* --- writes: each records in the transaction, does it to the draft, and says what it expects ---------- */

static enum err_code try_insert(struct run *r, int i)
{
    struct model_job *j = &r->draft.jobs[i];
    struct model_job fresh = { .there = true,
                               .background = below(r, 3) > 0,
                               .owner = below(r, 2),
                               .previous = below(r, 3) ? -1 : below(r, JOBS),
                               .created_ms = below(r, 5),
                               .born = ++r->draft.births,
                               .item = -1 };
    fresh.status = fresh.background ? STORE_QUEUED : STORE_IN_PROGRESS;
    fresh.claimed = !fresh.background;
    struct store_job job = { .id = named(r, "resp", i),
                             .owner = s(owners[fresh.owner]),
                             .status = fresh.status,
                             .background = fresh.background,
                             .created_ms = fresh.created_ms,
                             .request = named(r, "request", i) };
    if (fresh.previous >= 0)
        job.previous = named(r, "resp", fresh.previous);
    store_tx_insert(r->tx, &job);
    if (j->there)
        return ERR_CONFLICT;
    *j = fresh;
    return ERR_OK;
}

static enum err_code try_append(struct run *r, int i)
{
    struct model_job *j = &r->draft.jobs[i];
    struct str events[4];
    int n = below(r, 4), first = j->there ? j->events - (below(r, 8) == 0) : 0;
    char piece[2] = { below(r, 2) ? (char)('a' + below(r, 26)) : '\0', '\0' };
    if (j->there && (j->events + n > EVENTS || strlen(j->journal) + 2 > JOURNAL))
        n = 0, piece[0] = '\0';
    for (int k = 0; k < n; k++)
        events[k] = named(r, "event", r->salt + k);
    store_tx_append(r->tx, named(r, "resp", i), first, events, (size_t)n, s(piece));
    if (!j->there)
        return ERR_NOT_FOUND;
    if (is_over(j) || (n && first != j->events))
        return ERR_CONFLICT;
    for (int k = 0; k < n; k++)
        j->salts[j->events++] = r->salt + k;
    r->salt += n;
    strcat(j->journal, piece);
    j->restarts = piece[0] ? 0 : j->restarts;
    return ERR_OK;
}

static enum err_code try_start(struct run *r, int i)
{
    struct model_job *j = &r->draft.jobs[i];
    store_tx_start(r->tx, named(r, "resp", i));
    if (!j->there)
        return ERR_NOT_FOUND;
    if (j->status != STORE_QUEUED)
        return ERR_CONFLICT;
    j->status = STORE_IN_PROGRESS;
    return ERR_OK;
}

static enum err_code try_end(struct run *r, int i)
{
    struct model_job *j = &r->draft.jobs[i];
    enum store_status status = (enum store_status)(STORE_COMPLETED + below(r, 4));
    int64_t ended_ms = below(r, 100);
    bool only_unclaimed = below(r, 2);
    store_tx_end(r->tx, named(r, "resp", i), status, ended_ms, named(r, "response", i), only_unclaimed);
    if (!j->there)
        return ERR_NOT_FOUND;
    if (is_over(j) || (only_unclaimed && j->claimed))
        return ERR_CONFLICT;
    j->status = status;
    j->ended_ms = ended_ms;
    j->journal[0] = '\0';
    return ERR_OK;
}

static enum err_code try_item(struct run *r, int i)
{
    struct model_job *j = &r->draft.jobs[i];
    int item = below(r, 3);
    store_tx_item(r->tx, s("anna"), named(r, "msg", item), named(r, "resp", i));
    if (!j->there)
        return ERR_NOT_FOUND;
    for (int k = 0; k < JOBS; k++)
        if (r->draft.jobs[k].there && k != i && r->draft.jobs[k].item == item)
            return ERR_CONFLICT;
    if (j->item >= 0 && j->item != item)
        return ERR_COUNT; /* the model holds one a job: not comparable */
    j->item = item;
    return ERR_OK;
}

static enum err_code try_delete(struct run *r, int i)
{
    struct model_job *j = &r->draft.jobs[i];
    int owner = below(r, 2);
    store_tx_delete(r->tx, s(owners[owner]), named(r, "resp", i));
    if (!j->there || j->owner != owner)
        return ERR_NOT_FOUND;
    if (!is_over(j))
        return ERR_CONFLICT;
    j->there = false;
    return ERR_OK;
}

static enum err_code try_unclaim(struct run *r, int i)
{
    struct model_job *j = &r->draft.jobs[i];
    store_tx_unclaim(r->tx, named(r, "resp", i));
    if (!j->there)
        return ERR_NOT_FOUND;
    if (is_over(j) || !j->claimed || !j->background)
        return ERR_CONFLICT;
    j->claimed = false;
    j->restarts -= j->restarts > 0;
    return ERR_OK;
}

static enum err_code try_object(struct run *r, int i)
{
    int verb = below(r, 3);
    struct model_object *m = &r->draft.objects[i % OBJECTS];
    struct model_object fresh = { true, r->salt++, below(r, 2) * below(r, 100), ++r->draft.births };
    struct store_object o = { .kind = s("item"),
                              .owner = s("anna"),
                              .parent = s("list"),
                              .id = named(r, "o", i % OBJECTS),
                              .expires_ms = fresh.expires_ms,
                              .body = named(r, "body", fresh.body) };
    if (verb == 0)
        store_tx_object_put(r->tx, &o);
    else if (verb == 1)
        store_tx_object_update(r->tx, &o);
    else
        store_tx_object_delete(r->tx, o.kind, o.owner, o.id);
    if (m->there == (verb == 0))
        return verb == 0 ? ERR_CONFLICT : ERR_NOT_FOUND;
    fresh.born = verb == 1 ? m->born : fresh.born;
    fresh.there = verb != 2;
    *m = fresh;
    return ERR_OK;
}

static enum err_code (*const verbs[])(struct run *, int) = { try_insert, try_insert, try_append, try_append,
                                                             try_start,  try_end,    try_item,   try_unclaim,
                                                             try_delete, try_object };

static void step_tx(struct run *r)
{
    enum err_code want = ERR_OK;
    r->draft = r->model;
    r->tx = store_tx_open();
    for (int n = 1 + below(r, 4); !want && n > 0; n--)
        want = verbs[below(r, ARRAY_LEN(verbs))](r, below(r, JOBS));
    if (want == ERR_COUNT) {
        store_tx_close(r->tx);
        return;
    }
    commit(r->store, r->tx, want);
    if (!want)
        r->model = r->draft;
}

/* --- claims and sweeps -------------------------------------------------------------------------------- */

static int oldest_waiting(const struct model *m)
{
    int best = -1;
    for (int i = 0; i < JOBS; i++) {
        const struct model_job *j = &m->jobs[i], *b = best < 0 ? NULL : &m->jobs[best];
        if (!j->there || is_over(j) || !j->background || j->claimed)
            continue;
        if (!b || j->created_ms < b->created_ms || (j->created_ms == b->created_ms && j->born < b->born))
            best = i;
    }
    return best;
}

static void step_claim(struct run *r)
{
    struct store_job *jobs;
    size_t limit = (size_t)below(r, 3), n = claim(r->store, limit, &jobs, &r->arena);
    for (size_t k = 0; k < n; k++) {
        int i = oldest_waiting(&r->model);
        assert_true(i >= 0 && str_eq(jobs[k].id, named(r, "resp", i)));
        r->model.jobs[i].claimed = true;
        r->model.jobs[i].restarts++;
    }
    assert_true(n == limit || oldest_waiting(&r->model) < 0);
}

static bool is_gone_on_from(const struct model *m, int i)
{
    for (int k = 0; k < JOBS; k++)
        if (m->jobs[k].there && m->jobs[k].previous == i)
            return true;
    return false;
}

static void step_sweep(struct run *r)
{
    int64_t before_ms = below(r, 100), now_ms = below(r, 100);
    sweep(r->store, (struct store_limits){ .ended_before_ms = before_ms, .now_ms = now_ms }, ERR_OK);
    for (int again = 0; again < JOBS; again++)
        for (int i = 0; i < JOBS; i++) {
            struct model_job *j = &r->model.jobs[i];
            if (j->there && is_over(j) && j->ended_ms < before_ms && !is_gone_on_from(&r->model, i))
                j->there = false;
        }
    for (int i = 0; i < OBJECTS; i++) {
        struct model_object *o = &r->model.objects[i];
        if (o->expires_ms > 0 && o->expires_ms <= now_ms)
            o->there = false;
    }
}

/* --- comparison --------------------------------------------------------------------------------------- */

static void compare_events(struct run *r, int i, const struct model_job *j)
{
    struct str *events, journal;
    struct err err;
    size_t n;
    int first = below(r, EVENTS);
    assert_int_equal(store_job_events(r->store, named(r, "resp", i), first, EVENTS, SIZE_MAX, &events, &n,
                                      &r->arena, &err),
                     ERR_OK);
    assert_int_equal(n, j->events > first ? j->events - first : 0);
    for (size_t k = 0; k < n; k++)
        assert_true(str_eq(events[k], named(r, "event", j->salts[(size_t)first + k])));
    assert_int_equal(store_job_journal(r->store, named(r, "resp", i), &journal, &r->arena, &err), ERR_OK);
    assert_true(str_is(journal, j->journal));
}

static void compare_job(struct run *r, int i)
{
    const struct model_job *j = &r->model.jobs[i];
    struct store_job job;
    struct err err;
    enum err_code code = store_job_get(r->store, s(""), named(r, "resp", i), &job, &r->arena, &err);
    assert_int_equal(code, j->there ? ERR_OK : ERR_NOT_FOUND);
    if (code)
        return;
    assert_true(job.status == j->status && job.background == j->background && job.events == j->events);
    assert_true(job.restarts == j->restarts && job.ended_ms == j->ended_ms &&
                job.created_ms == j->created_ms);
    assert_true(str_is(job.owner, owners[j->owner]) && str_eq(job.request, named(r, "request", i)));
    assert_true(str_eq(job.response, is_over(j) ? named(r, "response", i) : s("")));
    compare_events(r, i, j);
}

static void compare_items(struct run *r)
{
    for (int item = 0; item < 3; item++) {
        struct str id, want = { 0 };
        struct err err;
        for (int i = 0; i < JOBS; i++)
            if (r->model.jobs[i].there && r->model.jobs[i].item == item)
                want = named(r, "resp", i);
        enum err_code code = store_item_job(r->store, s("anna"), named(r, "msg", item), &id, &r->arena, &err);
        assert_int_equal(code, want.len ? ERR_OK : ERR_NOT_FOUND);
        assert_true(code || str_eq(id, want));
    }
}

static int compare_born(const void *a, const void *b)
{
    const struct model_object *const *x = a, *const *y = b;
    return (*x)->born < (*y)->born ? -1 : 1;
}

static void compare_list(struct run *r)
{
    const struct model_object *want[OBJECTS];
    struct store_list ask = { .kind = s("item"), .owner = s("anna"), .parent = s("list"), .limit = OBJECTS };
    struct store_object *got;
    struct err err;
    size_t n, wanted = 0;
    bool more;
    for (int i = 0; i < OBJECTS; i++)
        if (r->model.objects[i].there)
            want[wanted++] = &r->model.objects[i];
    qsort(want, wanted, sizeof *want, compare_born);
    assert_int_equal(store_object_list(r->store, &ask, &got, &n, &more, &r->arena, &err), ERR_OK);
    assert_true(n == wanted && !more);
    for (size_t i = 0; i < n; i++) {
        assert_true(str_eq(got[i].body, named(r, "body", want[i]->body)));
        assert_true(got[i].expires_ms == want[i]->expires_ms);
        assert_true(str_eq(got[i].id, named(r, "o", (int)(want[i] - r->model.objects))));
    }
}

static void compare(struct run *r)
{
    int waiting = 0;
    for (int i = 0; i < JOBS; i++) {
        const struct model_job *j = &r->model.jobs[i];
        waiting += j->there && !is_over(j) && j->background && !j->claimed;
        compare_job(r, i);
    }
    assert_int_equal(store_waiting(r->store), waiting);
    compare_items(r);
    compare_list(r);
    arena_free(&r->arena);
}

static void random_work_is_what_the_model_says(void **state)
{
    const struct backend *backend = *state;
    uint64_t seed = rng_os_u64();
    struct run r = { 0 };
    struct err err;
    assert_int_equal(backend->open(&r.store, &err), ERR_OK);
    print_message("# seed %llu\n", (unsigned long long)seed);
    rng_init(&r.rng, seed, 0);
    for (int step = 0; step < STEPS; step++) {
        int kind = below(&r, 12);
        if (kind == 0)
            step_claim(&r);
        else if (kind == 1)
            step_sweep(&r);
        else
            step_tx(&r);
        compare(&r);
    }
    store_close(r.store);
}

static const struct CMUnitTest tests[] = {
    { "file: random work is what the model says", random_work_is_what_the_model_says, NULL, NULL,
      (void *)&store_backends[0] },
    { "memory: random work is what the model says", random_work_is_what_the_model_says, NULL, NULL,
      (void *)&store_backends[1] },
};
TEST_GROUP(store_property, tests)
