/*
 * journal.c - what the engine said of a job's sequences, as bytes, and back.
 *
 * Items and events are a fold over what is heard, so whoever hears the same again in the same order comes to the same
 * items with the same numbers, on every line of thought at once; and the tokens in it are what a sequence needs to go
 * on. An entry holds all that the fold looks at, no more. A failure is not written down: what failed is tried again.
 *
 * An entry: a fixed head, the text's bytes, the alternatives. Numbers are in the machine's own order (every machine that
 * thinkd runs on has the lowest byte first) and unaligned. The bytes come from the store, so every length is checked;
 * what does not parse ends the job with an error instead of guessing.
 *
 * Threads: the conductor's.
 */
#include "job/job_impl.h"

#include <string.h>

/* Sums since the start of the sequence fit 32 bits: a context has at most ten million tokens. */
struct entry {
    uint8_t choice, kind, stage, finish, closed_by_budget, n_top, deadline;
    uint32_t text_len;
    int32_t token;
    float logprob, confidence;
    uint32_t output_tokens, thinking_tokens, cached_tokens;
    struct engine_confidence figures;
};

void journal_put(struct buf *out, size_t choice, const struct heard *h)
{
    bool failed = h->kind == ENGINE_FAILED;
    struct str text = failed ? str_from(h->err->message) : h->text;
    struct entry e;
    memset(&e, 0, sizeof e); /* its padding is written too */
    e.choice = (uint8_t)choice;
    e.kind = (uint8_t)h->kind;
    e.stage = (uint8_t)h->stage;
    e.finish = (uint8_t)h->finish;
    e.closed_by_budget = h->closed_by_budget;
    e.n_top = failed ? 0 : (uint8_t)h->token.n_top;
    e.deadline = h->deadline;
    e.text_len = (uint32_t)text.len;
    e.token = failed ? (int32_t)h->err->code : h->token.id;
    e.logprob = h->token.logprob;
    e.confidence = h->token.confidence;
    e.output_tokens = (uint32_t)h->output_tokens;
    e.thinking_tokens = (uint32_t)h->thinking_tokens;
    e.cached_tokens = (uint32_t)h->cached_tokens;
    e.figures = h->confidence;
    buf_put(out, &e, sizeof e);
    buf_put_str(out, str_slice(text, 0, e.text_len));
    buf_put(out, h->token.top, (size_t)e.n_top * sizeof h->token.top[0]);
}

static bool take(struct str *from, void *out, size_t len)
{
    if (from->len < len)
        return false;
    memcpy(out, from->ptr, len);
    *from = str_slice(*from, len, from->len);
    return true;
}

static bool is_possible(const struct entry *e)
{
    return e->choice < JOB_CHOICES_MAX && e->kind <= ENGINE_FAILED && e->stage <= ENGINE_ANSWER &&
           e->finish <= FINISH_CANCELLED && e->n_top <= ENGINE_TOP_LOGPROBS_MAX && e->token >= -1;
}

bool journal_take(struct str *journal, size_t *choice, struct heard *h)
{
    struct entry e;
    if (!take(journal, &e, sizeof e) || !is_possible(&e) || journal->len < e.text_len)
        return false;
    *choice = e.choice;
    *h = (struct heard){
        .kind = (enum engine_kind)e.kind,
        .stage = (enum engine_stage)e.stage,
        .finish = (enum engine_finish)e.finish,
        .closed_by_budget = e.closed_by_budget != 0,
        .deadline = e.deadline != 0,
        .output_tokens = e.output_tokens,
        .thinking_tokens = e.thinking_tokens,
        .cached_tokens = e.cached_tokens,
        .token = { .id = e.token, .logprob = e.logprob, .confidence = e.confidence, .n_top = e.n_top },
        .confidence = e.figures,
        .text = str_slice(*journal, 0, e.text_len)
    };
    *journal = str_slice(*journal, e.text_len, journal->len);
    return utf8_valid(h->text) && take(journal, h->token.top, (size_t)e.n_top * sizeof h->token.top[0]);
}
