/*
 * queue.c - who waits, and whose turn is next.
 *
 * Groups of one class take turns, so a request with many branches does not shut out the request behind it; within
 * a group the order is that of submission. Whoever's turn has come gets a ticket and stands in `ahead` until it
 * runs: tickets are the order in which sequences are as good as running. A sequence that has to step back keeps its
 * ticket and comes back to its place.
 *
 * Ownership: sequences are the engine's; a group lives while somebody waits in it. Threads: the engine's.
 */
#include "engine/engine_impl.h"

#include <assert.h>
#include <utlist.h>

/* Group 0 is a group of its own for each sequence. */
struct group_key {
    uint64_t own, id;
};

struct queue_group {
    struct group_key key;
    struct sequence *waiting; /* list, in order of submission */
    struct queue_group *prev, *next;
    UT_hash_handle hh;
};

void queue_put(struct queue *q, struct sequence *s)
{
    struct group_key key = { s->params.group == 0, s->params.group ? s->params.group : s->id };
    struct queue_group *g;
    HASH_FIND(hh, q->groups, &key, sizeof key, g);
    if (!g) {
        g = mem_zalloc(sizeof *g);
        g->key = key;
        HASH_ADD(hh, q->groups, key, sizeof g->key, g);
        DL_APPEND(q->ring, g);
    }
    DL_APPEND(g->waiting, s);
    s->turn = g;
}

static void leave_group(struct queue *q, struct sequence *s)
{
    struct queue_group *g = s->turn;
    DL_DELETE(g->waiting, s);
    s->turn = NULL;
    if (g->waiting)
        return;
    HASH_DEL(q->groups, g);
    DL_DELETE(q->ring, g);
    mem_free(g);
}

struct sequence *queue_next(const struct queue *q, size_t nth)
{
    const struct queue_group *g;
    DL_FOREACH(q->ring, g)
    {
        if (nth-- == 0)
            return g->waiting;
    }
    return NULL;
}

void queue_turn(struct queue *q, struct sequence *s)
{
    struct queue_group *g = s->turn;
    assert(g && g->waiting == s);
    DL_DELETE(q->ring, g); /* behind the others, before it may be gone with its last sequence */
    DL_APPEND(q->ring, g);
    leave_group(q, s);
    s->ticket = ++*q->tickets;
    DL_APPEND(q->ahead, s);
    q->n_ahead++;
}

void queue_put_back(struct queue *q, struct sequence *s)
{
    struct sequence *later;
    assert(s->ticket && !s->turn);
    DL_FOREACH(q->ahead, later)
    {
        if (later->ticket > s->ticket)
            break;
    }
    if (later)
        DL_PREPEND_ELEM(q->ahead, later, s);
    else
        DL_APPEND(q->ahead, s);
    q->n_ahead++;
}

void queue_remove(struct queue *q, struct sequence *s)
{
    if (s->turn) {
        leave_group(q, s);
        return;
    }
    DL_DELETE(q->ahead, s);
    q->n_ahead--;
}
