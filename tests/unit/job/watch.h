/*
 * watch.h - a conductor on the echo engine, and sinks that check every event of a job against the API's order.
 *
 * A watch holds one job. Its sink refuses, at the event where it happens: a number out of sequence, an item
 * that is done twice or never, a delta outside its part, totals that do not add up, anything after the end.
 *
 * Threads: the sink runs on the conductor's; the rest on the test's.
 */
#ifndef THINKD_TESTS_UNIT_JOB_WATCH_H
#define THINKD_TESTS_UNIT_JOB_WATCH_H

#include "base/rng.h"
#include "job/job.h"

#include <pthread.h>

#define WATCH_ITEMS_MAX 256

enum watch_part { WATCH_NONE, WATCH_OPEN, WATCH_TEXT_DONE, WATCH_CLOSED };

struct watch {
    uint64_t id;
    struct buf log; /* the events by name, one a line, deltas of one kind in a row as one: "text_delta x3" */
    struct buf deltas[WATCH_ITEMS_MAX]; /* what the deltas of an item add up to */
    char ids[WATCH_ITEMS_MAX][64];
    enum watch_part parts[WATCH_ITEMS_MAX];
    bool items_done[WATCH_ITEMS_MAX];
    struct buf thought;             /* raw, of all choices */
    size_t listed[JOB_CHOICES_MAX]; /* tokens of a choice that events have listed */
    size_t n_items, choices_done;
    uint64_t next_number;
    enum job_event_kind last;
    int repeats;
    int64_t output_tokens; /* of the last view */
    bool ended, done;
    const char *wrong;

    /* As they were at the end. */
    enum job_status status;
    enum err_code failure;
    int64_t input_tokens, reasoning_tokens;
    struct buf texts[WATCH_ITEMS_MAX];
    enum job_item_kind kinds[WATCH_ITEMS_MAX];
    bool complete[WATCH_ITEMS_MAX];
    size_t choice_of[WATCH_ITEMS_MAX];
    int64_t cached_tokens;
    struct buf trace; /* of many lines: "STOP line=N counted=N", then "STATE ANSWER" of each, a line each */
    struct job_choice choices[JOB_CHOICES_MAX]; /* their tokens are copies */
};

/* One lock and one condition for all watches: guards everything a sink writes. */
extern pthread_mutex_t watch_lock;
extern pthread_cond_t watch_news;

struct conductor *watch_open(int64_t jobs_max, int sequences_max);
void watch_close(struct conductor *c);

/* A spec for one user message with the o3 tier's plan for effort; the caller unrefs its prompt. */
struct job_spec watch_spec(struct conductor *c, const char *message, enum effort effort,
                           int64_t output_tokens_max);
/* The same as many lines of thought, as o3-pro has them. */
struct job_spec watch_spec_lines(struct conductor *c, const char *message, enum effort effort,
                                 int64_t output_tokens_max);
/* The same with a function f, of any arguments, and a custom tool say, in that form; watch_drop_calls ends it. */
void watch_add_calls(struct job_spec *spec, const char *form);
void watch_drop_calls(struct job_spec *spec);
/* The same asked of one model after the other, as auto does; at holds what the spec points to, until it is submitted. */
struct watch_route {
    struct route route;
    struct engine_prompt *prompts[TIER_ROUTE]; /* all the same */
};
struct job_spec watch_spec_route(struct conductor *c, const char *message, int64_t output_tokens_max,
                                 bool carries, struct watch_route *at);
enum err_code watch_submit(struct watch *w, struct conductor *c, const struct job_spec *spec,
                           struct err *err);
struct job_sink watch_silent(void); /* of jobs that nobody looks at */
void watch_wait(struct watch *w);   /* until done; fails the test on what was wrong */
void watch_wait_tokens(struct watch *w, int64_t output_tokens); /* until the job has that many */
/* The same for text that is to go on from text, with all log-probabilities and one alternative each. */
struct job_spec watch_spec_text(struct conductor *c, const char *text, int64_t tokens_max);
/* Submits, lets go of the prompt, waits. */
void watch_run_spec(struct watch *w, struct conductor *c, const struct job_spec *spec);
/* The same, but that it is cancelled when it has some of its first 1,400 tokens, or has ended: whichever came first, it ended
 * well. */
void watch_run_cancelled(struct watch *w, struct conductor *c, const struct job_spec *spec, struct rng *rng);
/* What a job of at most total tokens comes to: it kept to them, and what was generated is what was counted. */
void watch_check_total(const struct watch *w, struct conductor *c, int64_t total);
/* Prompt, submit, wait. */
void watch_run(struct watch *w, struct conductor *c, const char *message, enum effort effort,
               int64_t output_tokens_max);
const char *watch_log(struct watch *w);
void watch_free(struct watch *w);

#endif
