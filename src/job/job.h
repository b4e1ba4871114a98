/*
 * job.h - a job's life: submitted, run, ended exactly once; its events numbered.
 *
 * A job is one request's answers: n choices over one prompt, or over each of several; each has one line of thought, or
 * one choice has many, of which one is shown. The conductor thread owns
 * all jobs; it hears submissions, cancels and engine events through one mailbox, folds them into the job's items
 * and tells the job's sink. The events are the API's, one to one (API.md section 8); api/ only gives them their JSON.
 *
 * Threads:   any thread may submit or cancel; sinks run on the conductor's thread and must not block.
 * Ownership: a spec is copied (its prompt referenced). The sink's done is the last call it gets.
 * Invariant: every accepted job ends in exactly one of completed, incomplete, failed, cancelled.
 */
#ifndef THINKD_JOB_JOB_H
#define THINKD_JOB_JOB_H

#include "engine/engine.h"
#include "reason/reason.h"
#include "store/store.h"

struct conductor;

enum job_status { JOB_QUEUED, JOB_IN_PROGRESS, JOB_COMPLETED, JOB_INCOMPLETE, JOB_FAILED, JOB_CANCELLED };
enum job_item_kind { JOB_REASONING, JOB_MESSAGE, JOB_COMPACTION, JOB_CALL };

/* One output item as it stands: the fold of its events. */
struct job_item {
    enum job_item_kind kind;
    char id[64]; /* "rs_", "msg_", "cmp_", "fc_" or "ctc_" + 48 hex */
    size_t choice;
    bool done;     /* item_done was sent */
    bool complete; /* status completed; else incomplete */
    struct buf
        text; /* a message's text; the summary's text of a reasoning item; what a compaction's holds; a call's
                      * arguments or input */
    bool refusal;       /* a message's text is one */
    struct buf thought; /* of a reasoning item: as it was thought; of many lines, the one that is shown */
    /* Of a call. */
    const char *name; /* the tool's */
    bool custom;
    char call_id[32]; /* "call_" + 24 hex */
};

/* A token whose log-probability was asked for. Which tokens are listed is tokens.c's rule. */
struct job_token {
    int32_t id;
    float logprob; /* NAN: the first of a prompt has none */
    int n_top;     /* of its alternatives that are there */
    size_t at;     /* byte of the choice's text at which it begins; 0 for tokens of the prompt */
};
struct job_alternative {
    int32_t id;
    float logprob;
};

struct job_choice {
    bool ended;
    enum engine_finish finish;
    int64_t output_tokens, reasoning_tokens, cached_tokens;
    bool closed_by_budget;
    struct engine_confidence confidence; /* once it has ended; without tokens all NAN */
    /* With logprobs only. The prompt's tokens, where those were asked for, then the answer's so far. */
    const struct job_token *tokens;
    size_t n_tokens, n_prompt_tokens;
    const struct job_alternative *alternatives; /* [n_tokens][view's top_logprobs], best first */
};

/* What the API shows of a job; read-only, valid during a sink call. */
struct job_view {
    uint64_t id;
    enum job_status status;
    const struct job_item *items; /* in order of output_index */
    size_t n_items;
    const struct job_choice *choices;
    size_t n_choices;
    size_t choices_each; /* of one prompt: choice i answers prompt i / choices_each */
    int64_t input_tokens, output_tokens, reasoning_tokens; /* over all choices; each prompt once */
    /* Of input_tokens, not computed again: what each prompt's first choice found. What the other choices share with
     * that one was never input twice. */
    int64_t cached_tokens;
    /* Where the choice has many lines of thought: what became of them, and each one's figures; else NULL. */
    const struct reason_trace *trace;
    const struct job_choice *lines; /* [trace->n_lines] */
    /* Where models are asked one after the other, else NULL; and the tokens of each step: its prompt's, 0 where
     * it was not taken, and what its lines generated. */
    const struct route *route;
    int64_t step_input[ROUTE_STEPS], step_output[ROUTE_STEPS];
    int top_logprobs; /* places for alternatives behind each token */
    struct err err;   /* JOB_FAILED */
    const struct plan *plan;
    uint64_t seed;
    int64_t started_ms, ended_ms; /* clock_wall_ms; ended_ms 0 while running */
};

enum job_watch_end {
    WATCH_OVER,   /* the job has ended, and its last event was put */
    WATCH_BEHIND, /* what is wanted next is older than what is kept in memory: it is in the store */
    WATCH_ABSENT, /* no such job waits or runs here: what there is of it is in the store */
    WATCH_LEFT,   /* it was ended by job_unwatch */
    WATCH_STOPPED /* the server stops, or the end of the job could not be stored */
};

enum job_event_kind {
    JOB_EV_CREATED,
    JOB_EV_QUEUED,  /* background jobs only */
    JOB_EV_STARTED, /* response.created, response.queued, response.in_progress */
    JOB_EV_ITEM_ADDED,
    JOB_EV_SUMMARY_ADDED,
    JOB_EV_SUMMARY_DELTA,
    JOB_EV_SUMMARY_TEXT_DONE,
    JOB_EV_SUMMARY_DONE,
    JOB_EV_PART_ADDED,
    JOB_EV_TEXT_DELTA,
    JOB_EV_TEXT_DONE,
    JOB_EV_PART_DONE,
    JOB_EV_CALL_DELTA,
    JOB_EV_CALL_DONE,
    JOB_EV_ITEM_DONE,
    JOB_EV_CHOICE_DONE,   /* chat: one choice ended; no Responses event, number 0 */
    JOB_EV_THOUGHT_DELTA, /* raw thinking as it comes; number 0: not an API event */
    JOB_EV_ERROR,         /* before the end of a job that failed */
    JOB_EV_ENDED          /* the terminal event, by the view's status */
};

struct job_event {
    uint64_t number; /* sequence_number: from 0, +1 each, no gaps */
    enum job_event_kind kind;
    size_t item; /* output_index */
    size_t choice;
    struct str text; /* of deltas; of *_DONE the whole text */
    /* Tokens first, first + 1 ... of the choice, listed with this event: TEXT_DELTA and CHOICE_DONE. */
    size_t first_token, n_tokens;
};

struct job_sink {
    void (*put)(void *ctx, const struct job_event *ev, const struct job_view *job);
    void (*done)(void *ctx, const struct job_view *job); /* after JOB_EV_ENDED; frees ctx */
    void *ctx;
    /* For jobs with a background record or a watcher: appends the event as JSON without line breaks. Events without a
     * number are not encoded. */
    void (*encode)(void *ctx, const struct job_event *ev, const struct job_view *job, struct buf *json);
    /* For jobs with a record: adds the row to an interactive job's first transaction; adds to the last one, behind the last
     * events, what is to be written when the job is over, store_tx_end among it. */
    void (*begin)(void *ctx, const struct job_view *job, struct store_tx *tx);
    void (*finish)(void *ctx, const struct job_view *job, struct store_tx *tx);
    /* In place of done, when the end of an interactive job could not be stored. NULL where there is no record. */
    void (*unstored)(void *ctx, const struct job_view *job, const struct err *err);
};

#define JOB_CHOICES_MAX 128 /* of a job, over all of its prompts */

struct job_spec {
    struct engine_prompt *prompt; /* the job takes its own references */
    /* In its place, where there are several: [n_prompts], 0 for prompt alone. */
    struct engine_prompt *const *prompts;
    size_t n_prompts;
    size_t choices;   /* of each prompt; 1..JOB_CHOICES_MAX in all */
    struct plan plan; /* of many lines: one prompt, one choice, not raw */
    const struct route
        *route; /* models that are asked one after the other, with a prompt for each of them; copied */
    struct str question; /* that the prompt ends in, where it is known: how answers to it are compared */
    int64_t context_max; /* tokens of a prompt and what is generated behind it; 0: the engine's bound alone */
    bool raw;            /* text goes on from text: no stages, every token is listed */
    bool logprobs;       /* keep tokens and their log-probabilities */
    bool prompt_logprobs; /* of the prompts' tokens too; plan.tokens_max may then be 0 */
    int top_logprobs;     /* alternatives of each, 0..ENGINE_TOP_LOGPROBS_MAX */
    enum summary summary;
    struct str
        compaction; /* what an item holds that stands before all others; empty: there is none; copied */
    bool
        compacts; /* that item is the whole answer: nothing is generated, no token counts, and prompts are not used */
    struct str stops[4];
    size_t n_stops;
    bool ignore_eos;
    float presence_penalty, frequency_penalty; /* as the engine has them */
    const struct engine_bias *biases;          /* copied */
    size_t n_biases;
    struct grammar *grammar; /* what each visible answer is held to, or NULL; the job takes a reference */
    struct calls
        *calls; /* grammar's: the calls that are part of an answer; NULL: none are; a reference too */
    bool json;  /* answers, or what of them is no call, are JSON */
    struct grammar *refusal; /* as the engine has it; a reference too */
    uint64_t seed;
    const struct job_record *record;   /* NULL: nothing is kept; copied */
    const struct job_watcher *watcher; /* of the caller that waits; NULL: none */
};

/* --- jobs that are kept ---------------------------------------------------------------------------------------- */

/*
 * A job with a record is written down in the store as it goes.
 *
 * A background job's row is there before it runs, with its first events; while it runs, its events (as the sink's encode
 * writes them) and a journal of all that the engine said are appended in one transaction at a time: what comes while one
 * is being committed goes into the next, so a group grows with the load. The journal makes the job resumable: read
 * again it brings the same items and the same numbers, and the tokens in it are the sequences' past. Who watches hears
 * stored events only.
 *
 * An interactive job's row comes with the first transaction (the sink's begin). The watcher that was given with it hears its
 * events at once, and they are stored in the same order soon after; without a watcher there is one transaction, at
 * its end.
 *
 * Nobody hears of the end of either before it is stored.
 */
struct job_watcher {
    /* Conductor's thread; must not block. json: one event as the API shows it. */
    void (*put)(void *ctx, int64_t number, struct str json);
    void (*end)(void *ctx, enum job_watch_end why); /* the last call */
    void *ctx;
};

struct job_record {
    struct str name; /* the response's id: "resp_" and hex digits, of which the items' ids take the first */
    bool background; /* nobody waits on the line */
    int64_t events;  /* that are stored already: an earlier run's, or those written with the row */
    struct str journal; /* of the earlier run */
};

/* What the API alone can do for jobs of the store. On the runner's thread, which may wait for the disk. */
struct job_reviver {
    /* A background job that was claimed: submits it (job_submit with its record), or ends it in the store.
     * ERR_BUSY, ERR_STORE: there is no place, or the store cannot be read or written; it waits again. */
    enum err_code (*revive)(void *ctx, const struct store_job *row, struct err *err);
    /* An interactive job whose process died: ends it in the store. */
    void (*orphan)(void *ctx, const struct store_job *row);
    void *ctx;
};

struct conductor_config {
    const struct engine_config *engine;
    int64_t jobs_max;
    struct store *store;    /* borrowed; NULL: no job has a record */
    int64_t background_max; /* background jobs that run side by side */
    int64_t queue_max;      /* background jobs that wait */
};

enum err_code conductor_open(struct conductor **out, const struct conductor_config *cfg,
                             struct err *err); /* opens the engine too */
struct engine *conductor_engine(struct conductor *c);
/* ERR_BUSY when jobs_max are running, or more choices than the engine takes: no sink call was or will be made. *id may
 * be cancelled at once. */
enum err_code job_submit(struct conductor *c, const struct job_spec *spec, struct job_sink sink, uint64_t *id,
                         struct err *err);
void job_cancel(struct conductor *c, uint64_t id); /* any thread; a job that has ended is fine */
/* --- background jobs, by their record's name; any thread ------------------------------------------------------- */

/* With a store: takes in hand what an earlier process left, then claims and runs what waits. r is copied; once. */
enum err_code conductor_start(struct conductor *c, const struct job_reviver *r, struct err *err);
/* A place among those that wait, before a row is written: ERR_BUSY when queue_max have one. It is the job's by
 * job_announce, which belongs into the done of the commit that wrote the row, or given back by job_unreserve. */
enum err_code job_reserve(struct conductor *c, struct err *err);
void job_unreserve(struct conductor *c);
void job_announce(struct conductor *c, struct str name);
/* w hears the events from number next on, then its end, which job_unwatch hastens; ctx names it there. Memory is used
 * again, so who unwatches twice may end a later watch: WATCH_LEFT where nobody left means to watch anew. */
void job_watch(struct conductor *c, struct str name, int64_t next, struct job_watcher w);
void job_unwatch(struct conductor *c, struct str name, void *ctx);
/* done, on the conductor's thread. */
enum job_cancelled {
    CANCEL_OVER, /* it ran, and its end is stored */
    CANCEL_WAITS, /* it was not claimed yet, so the caller ends it in the store (only_unclaimed), then says job_forget,
                      * or asks again when it was claimed meanwhile */
    CANCEL_ABSENT,   /* it neither waits nor runs here */
    CANCEL_UNSTORED, /* it has stopped, but the store cannot write that down now; it will be when it can */
    CANCEL_STOPPED   /* the server stops: what is stored of the job decides */
};
void job_cancel_named(struct conductor *c, struct str name, void (*done)(void *ctx, enum job_cancelled what),
                      void *ctx);
void job_forget(struct conductor *c, struct str name);
size_t conductor_jobs(struct conductor *c); /* running now */
/* Ends what runs (interactive jobs as cancelled; background ones stay in the store, to go on) and joins the threads: from
 * then on no callback comes, and everything above may still be called, in vain. NULL is fine. */
void conductor_stop(struct conductor *c);
void conductor_close(struct conductor *c); /* stops, and frees; NULL is fine */

#endif
