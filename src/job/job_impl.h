/*
 * job_impl.h - what conductor.c, events.c and tokens.c share: a job as its owner sees it.
 *
 * conductor.c owns jobs and talks to the engine; events.c folds what the engine says into items and tells
 * the sink; tokens.c finds the text that a token belongs to. All of it runs on the conductor's thread.
 */
#ifndef THINKD_JOB_IMPL_H
#define THINKD_JOB_IMPL_H

#include "job/job.h"

#include <uthash.h>

#define JOB_HEX 40 /* hex digits that the ids of a job's items share */
#define NO_ITEM SIZE_MAX

/* The tokens of one choice: those before front are done with, the one at front may be shown in part, the others wait
 * for their text. */
struct tokens {
    struct job_token *list;       /* [cap] */
    struct job_alternative *tops; /* [cap][stride] */
    size_t n, cap, stride;
    size_t front, used; /* bytes of the token at front that the text already shows */
};

/* One choice while it is written; its public side is job_view's choices. */
struct line {
    struct tokens tokens;
    size_t reasoning, message; /* its items, or NO_ITEM */
    bool answering;            /* the engine has left the thought */
    bool part_open;            /* SUMMARY_ADDED was sent */
    struct summarizer summarizer;
};

struct job {
    uint64_t id;
    struct job_sink sink;
    struct job_view view; /* items and choices point to what follows */
    struct plan plan;
    struct job_item *items;
    size_t items_cap;
    struct job_choice *choices; /* [n_choices] */
    struct line *lines;         /* [n_choices] */
    uint64_t events;            /* numbered ones sent */
    char hex[JOB_HEX + 1];

    const struct engine *engine;    /* spells tokens */
    struct engine_prompt **prompts; /* [n_prompts], one reference each */
    size_t n_prompts;
    struct engine_params params; /* stream and tokens_max are filled in for each choice; stops are copies */
    int64_t context_max;
    bool raw, logprobs;
    size_t running;    /* choices that have not ended */
    bool stopping;     /* its sequences were cancelled */
    struct err err;    /* the first failure */
    UT_hash_handle hh; /* by id */
};

/* What the engine said, with its own copy of the text. */
struct heard {
    enum engine_kind kind;
    enum engine_stage stage;
    enum engine_finish finish;
    bool closed_by_budget;
    int64_t output_tokens, thinking_tokens, cached_tokens;
    struct engine_token token;
    struct engine_confidence confidence;
    struct str text;
    struct err *err; /* ENGINE_FAILED */
};

/* --- tokens.c ------------------------------------------------------------------------------------------ */

/* Another token: of the prompt, which is listed at once, or of the answer, which waits for its text. */
void tokens_put(struct tokens *t, const struct engine_token *token, bool prompt);
/* The text that has been shown, from its byte at on, grew by these bytes. all: tokens that show nothing stay. */
void tokens_show(struct tokens *t, const struct engine *e, size_t at, struct str grown, bool all);
/* The choice ended at byte at of its text. all: what still waits is listed, unless stops say why it was not shown. */
void tokens_end(struct tokens *t, const struct engine *e, size_t at, bool all, const struct str *stops,
                size_t n_stops);
size_t tokens_listed(const struct tokens *t);
void tokens_free(struct tokens *t);

/* --- events.c ------------------------------------------------------------------------------------------- */

/* Each tells the sink what follows from it. */
void job_begin(struct job *j);
void job_hear(struct job *j, size_t choice, const struct heard *h);
/* The choice ends; a failure is noted in j->err before. */
void job_end_choice(struct job *j, size_t choice, enum engine_finish finish, bool failed);
/* Every choice has ended. The terminal event; done is the owner's to call. */
void job_end(struct job *j);

#endif
