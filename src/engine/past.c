/*
 * past.c - a sequence that goes on from the tokens an earlier run of it came to, before it was cut off.
 *
 * Its tokens go through the state machine once more, each with the random number that belongs to it, so stages, budgets,
 * half characters, held-back text and confidence stand where they stood; the kind then reads prompt and tokens like
 * those of a sequence that had stepped back. Nobody is told of them again and nothing is computed for them.
 *
 * A past may be foreign: the model's file or the request's settings may have changed since it was written down. What a
 * run of this sequence would have forced, chosen or ended otherwise is found here; that the model would have preferred
 * another token is not, since the model is not asked.
 *
 * Threads: the engine's. Ownership: the sequence's copy of its past goes when it was read.
 */
#include "engine/engine_impl.h"

#include <math.h>

/* What was forced where nothing was due to be: the model ended its turn inside the thought (sequence.c). */
static bool closed_thought(const struct sequence *s, bool own)
{
    return !own && sequence_forced(s, 0) < 0 && sequence_thinks(s) && !s->params.ignore_eos;
}

/* Or it ended the thought itself, and was sent back. */
static bool sent_back(const struct sequence *s, bool own, int32_t id)
{
    const struct spelling *p = &s->spelling;
    if (own || sequence_forced(s, 0) >= 0 || p->n_again == 0 || !again_wants(s, p->markers[0]))
        return false;
    return id == p->again[0];
}

/* The same in the answer: it had no room left, or the echo engine nothing to say that its grammar takes. */
static bool closed_answer(const struct sequence *s, bool own)
{
    return !own && sequence_forced(s, 0) < 0 && bind_holds(s);
}

/* One token of it. False: no run of s comes to that. */
static bool take(struct engine *e, struct sequence *s, const struct engine_past *past, bool *ended)
{
    bool own = !isnan(past->logprob);
    double uniform = rng_unit(&s->rng);
    if (sent_back(s, own, past->id))
        again_begin(s);
    else if (closed_thought(s, own))
        sequence_close_thought(s);
    else if (closed_answer(s, own))
        (void)bind_close(s); /* where it cannot, nothing is forced, which is found below */
    int32_t id = sequence_forced(s, 0);
    bool same = own || id == past->id || s->spelling.renumbers;
    if ((id < 0) != own || !same || (own && isnan(past->confidence)))
        return false;
    if (own)
        id = e->ops->recall(e, s, past->id, uniform);
    if (id < 0 || (own && bind_holds(s) && !bind_allows(s, id)))
        return false;
    *ended = sequence_put(s, id);
    if (s->own != own)
        return false;
    struct engine_token token = { .id = id, .logprob = past->logprob, .confidence = past->confidence };
    if (own)
        confidence_put(&s->confidence, &token);
    return true;
}

enum err_code past_read(struct engine *e, struct sequence *s, bool *ended, struct err *err)
{
    size_t n = s->params.n_past;
    *ended = false;
    for (size_t i = 0; i < n; i++)
        if (*ended || s->tokens_max == 0 || !take(e, s, &s->params.past[i], ended))
            return err_set(
                err, ERR_SERVER, NULL,
                "The answer cannot go on where it was cut off: token %zu of its %zu does not belong to "
                "this model and request. Has the model been changed since?",
                i + 1, n);
    if (n > 0)
        s->prompt_told = s->prompt->tokens;
    past_free(s);
    return ERR_OK;
}

void past_free(struct sequence *s)
{
    mem_free((void *)s->params.past);
    s->params.past = NULL;
    s->params.n_past = 0;
}
