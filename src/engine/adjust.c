/*
 * adjust.c - what a request changes about the choice of its answer's tokens: repetition is punished, and single tokens are
 * made likelier or less likely.
 *
 *     logit[id] += bias(id), then logit[id] -= frequency * count(id) + presence * (count(id) > 0)
 *
 * count(id) is how often the token came in the visible answer so far (sequence.c counts). Each token's change is its own, in
 * float and in this order, so the same answer so far has the same changes in any company. Only tokens that are changed are
 * touched, in place, and put back when one was chosen, so that what is told of it is what the model said.
 *
 * Threads: the engine's counts; while it waits for the pool, the pool's threads read.
 */
#include "engine/engine_impl.h"

struct tally {
    int32_t id;
    int64_t count;
    UT_hash_handle hh;
};

void tally_put(struct tally **t, int32_t id)
{
    struct tally *found;
    HASH_FIND(hh, *t, &id, sizeof id, found);
    if (!found) {
        found = mem_zalloc(sizeof *found);
        found->id = id;
        HASH_ADD(hh, *t, id, sizeof found->id, found);
    }
    found->count++;
}

void tally_free(struct tally **t)
{
    struct tally *at, *next;
    HASH_ITER(hh, *t, at, next)
    {
        HASH_DEL(*t, at);
        mem_free(at);
    }
}

bool penalises(const struct engine_params *p)
{
    return p->presence_penalty != 0 || p->frequency_penalty != 0;
}

bool adjusts(const struct sequence *s)
{
    return s->params.n_biases > 0 || s->tally;
}

static float penalty(const struct engine_params *p, const struct tally *t)
{
    return p->frequency_penalty * (float)t->count + p->presence_penalty;
}

static void change(struct altered *a, float *logits, int32_t id, float by)
{
    if (a->n == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 256;
        a->list = mem_realloc(a->list, a->cap * sizeof *a->list);
    }
    a->list[a->n].id = id;
    a->list[a->n++].was = logits[id];
    logits[id] += by;
}

void adjust_logits(struct altered *a, float *logits, const struct sequence *s)
{
    const struct engine_params *p = &s->params;
    a->n = 0;
    for (size_t i = 0; i < p->n_biases; i++)
        change(a, logits, p->biases[i].id, p->biases[i].bias);
    for (const struct tally *t = s->tally; t; t = t->hh.next)
        change(a, logits, t->id, -penalty(p, t));
}

void adjust_undo(struct altered *a, float *logits)
{
    while (a->n > 0) {
        a->n--;
        logits[a->list[a->n].id] = a->list[a->n].was;
    }
}

float adjust_logit(const struct sequence *s, int32_t id, float logit)
{
    const struct engine_params *p = &s->params;
    const struct tally *found;
    for (size_t i = 0; i < p->n_biases; i++)
        if (p->biases[i].id == id)
            logit += p->biases[i].bias;
    HASH_FIND(hh, s->tally, &id, sizeof id, found);
    return found ? logit - penalty(p, found) : logit;
}

void altered_free(struct altered *a)
{
    mem_free(a->list);
    *a = (struct altered){ 0 };
}
