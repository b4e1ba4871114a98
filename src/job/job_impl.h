/*
 * job_impl.h - what conductor.c and events.c share: a job as its owner sees it.
 *
 * conductor.c owns jobs and talks to the engine; events.c folds what the engine says into items and tells
 * the sink. All of it runs on the conductor's thread.
 */
#ifndef THINKD_JOB_IMPL_H
#define THINKD_JOB_IMPL_H

#include "job/job.h"

#include <uthash.h>

#define JOB_CHOICES_MAX 128
#define JOB_HEX         40 /* hex digits that the ids of a job's items share */
#define NO_ITEM         SIZE_MAX

/* One choice while it is written; its public side is job_view's choices. */
struct line {
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

    struct engine_prompt *prompt; /* one reference */
    struct engine_params params;  /* stream is filled in for each choice; stops are copies */
    size_t running;               /* choices that have not ended */
    bool stopping;                /* its sequences were cancelled */
    struct err err;               /* the first failure */
    UT_hash_handle hh;            /* by id */
};

/* What the engine said, with its own copy of the text. */
struct heard {
    enum engine_kind kind;
    enum engine_stage stage;
    enum engine_finish finish;
    bool closed_by_budget;
    int64_t output_tokens, thinking_tokens, cached_tokens;
    struct str text;
    struct err *err; /* ENGINE_FAILED */
};

struct job *job_new(const struct job_spec *spec, struct job_sink sink);
void job_free(struct job *j);

/* events.c: each tells the sink what follows from it. */
void job_begin(struct job *j);
void job_hear(struct job *j, size_t choice, const struct heard *h);
/* The choice ends; a failure is noted in j->err before. */
void job_end_choice(struct job *j, size_t choice, enum engine_finish finish, bool failed);
/* Every choice has ended. The terminal event; done is the owner's to call. */
void job_end(struct job *j);

#endif
