/*
 * job_impl.h - what the files of this folder share: a job as its owner sees it.
 *
 * conductor.c  the thread and its mailbox; owns jobs, talks to the engine
 * events.c     folds what the engine says into items and numbered events
 * lines.c      many lines of thought: what the engine says of them, and what is done about it
 * tokens.c     finds the text that a token belongs to
 * journal.c    what the engine said, as bytes, and back
 * log.c        the events of one job: who watches, what of them is stored
 * waiting.c    background jobs that are in the store and not here: claimed, revived, cancelled before they run
 *
 * All but the front door's functions runs on the conductor's thread; the runner's part of waiting.c on its own.
 */
#ifndef THINKD_JOB_IMPL_H
#define THINKD_JOB_IMPL_H

#include "grammar/grammar.h"
#include "job/job.h"

#include "base/mailbox.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <uthash.h>

#define JOB_HEX 40 /* hex digits that the ids of a job's items share */
#define OWN_HEX 8  /* and those of each */
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
    size_t call; /* the last one's item, or NO_ITEM; it is done when the next begins, or the choice ends */
    struct calls_scan scan; /* where the job has calls */
    bool answering;         /* the engine has left the thought */
    bool part_open;         /* SUMMARY_ADDED was sent */
    struct summarizer summarizer;
};

/* One sequence of a job: a choice's, or one line of thought of its only choice. */
struct run {
    bool started; /* the engine is to run it */
    bool ended;
    bool stopping;   /* a line that need not go on */
    bool answering;  /* a line that has left its thought */
    struct buf past; /* of engine_past: what an earlier process came to, until it is submitted */
    /* Of a line of thought, until the job is over. */
    struct buf thought, answer;
    struct buf ends;   /* of size_t: where each of the answer's pieces ends */
    struct buf tokens; /* of struct engine_token: of each piece, where log-probabilities were asked for */
};

/* --- the events of one job (log.c) ---------------------------------------------------------------------- */

struct watcher {
    struct job_watcher w;
    int64_t next; /* number of the event it hears next */
    bool early;   /* hears events before they are stored, all but the last */
    struct watcher *prev, *nxt;
};

/* Active where there is a background record or a watcher; else nothing is encoded. */
struct log {
    bool active, stores, background;
    bool begun;    /* the row is there, or in a transaction that was handed over */
    bool start;    /* the row's status is to become in_progress with the next transaction */
    int64_t known; /* events that are stored from the beginning: not encoded again */
    bool diverged; /* read again, the journal brought other events than are stored */
    char **events; /* [n] JSON of event first, first + 1, ... */
    size_t n, cap;
    int64_t first, sent, stored; /* handed to the store, and on disk: numbers below these */
    struct buf journal;          /* not stored yet */
    size_t journal_sent;         /* of it, handed to the store */
    bool in_flight;              /* a transaction is on its way */
    bool last;                   /* that one holds the end */
    bool over;                   /* the end is stored, or no end will be */
    int64_t retry_ms;            /* clock_mono_ms of the next try; 0: none is due */
    struct err broken;           /* why an interactive job is not stored */
    struct watcher *watchers;    /* list */
};

/* Who wants to know when a job's end is stored. */
struct cancel {
    void (*done)(void *ctx, enum job_cancelled what);
    void *ctx;
    struct cancel *next;
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
    struct run *runs;           /* [n_runs] */
    size_t n_runs;
    uint64_t events; /* numbered ones sent */
    char hex[JOB_HEX + 1];
    struct str compaction; /* empty: none */

    const struct engine *engine;    /* spells tokens */
    struct engine_prompt **prompts; /* [n_prompts], one reference each */
    size_t n_prompts;
    struct engine_params params; /* stream and tokens_max are filled in for each choice; stops are copies */
    int64_t context_max;
    bool raw, logprobs;
    struct calls *calls; /* NULL: answers are text */
    bool json;
    size_t running; /* runs that have started and not ended */
    bool live;      /* what is started from now on goes to the engine at once */
    bool stopping;  /* its sequences were cancelled */

    /* Many lines of thought for one choice (lines.c). */
    struct thinker *thinker;    /* NULL: each choice has one run */
    struct route *route;        /* NULL: its lines have one prompt and one plan */
    struct job_choice *figures; /* [n_runs] */
    struct account account;
    size_t telling;        /* the line that the summary tells of */
    size_t told;           /* bytes of its thought that were */
    int64_t deadline_mono; /* clock_mono_ms; 0: none, or it has passed */
    struct err line_err;   /* the first line's that failed */
    struct err err;        /* the first failure */
    UT_hash_handle hh;     /* by id */

    struct log log;
    char *name;         /* of a job with a record, else NULL */
    bool ended;         /* every choice has: what is told now is the end */
    int64_t end_number; /* of the first event of the end */
    bool suspended;     /* a background job whose server stops: it ends here, not in the store */
    bool replaying;     /* its journal is read again: nobody hears */
    struct str past;    /* the journal of an earlier run; owned */
    struct cancel *cancels;
    UT_hash_handle by_name;
};

/* What the engine said, with its own copy of the text. */
struct heard {
    enum engine_kind kind;
    enum engine_stage stage;
    enum engine_finish finish;
    bool closed_by_budget;
    bool deadline; /* it came after the job's deadline, which it says once */
    int64_t output_tokens, thinking_tokens, cached_tokens;
    struct engine_token token;
    struct engine_confidence confidence;
    struct str text;
    struct err *err; /* ENGINE_FAILED */
};

/* --- the conductor (conductor.c) ------------------------------------------------------------------------ */

enum message_kind {
    MESSAGE_SUBMIT,
    MESSAGE_CANCEL,
    MESSAGE_ENGINE,
    MESSAGE_STORED,
    MESSAGE_START,
    MESSAGE_ANNOUNCE,
    MESSAGE_CLAIMED,
    MESSAGE_REVIVED,
    MESSAGE_UNCLAIMED,
    MESSAGE_WATCH,
    MESSAGE_UNWATCH,
    MESSAGE_CANCEL_NAMED,
    MESSAGE_FORGET,
    MESSAGE_CLOSE
};
struct message {
    enum message_kind kind;
    uint64_t id; /* of the job; MESSAGE_ENGINE: of the sequence */
    struct job *job;
    struct heard heard;
    char *name; /* owned, as what follows */
    struct watcher *watcher;
    struct cancel *cancel;
    struct claim *claim;
    struct err *err;
    void *ctx;
};

/* Background jobs that are in the store and not here (waiting.c). */
struct waiting {
    struct place *places; /* hash by name */
    size_t unclaimed;
    bool claiming;     /* an answer is due */
    size_t unclaiming; /* answers that are due */
    int64_t retry_ms;  /* clock_mono_ms at which what the store refused is tried again; 0: nothing */
    struct job_reviver reviver;
    struct mailbox *claims; /* the runner's */
    struct thread runner;
    bool runs;       /* the runner; whoever opens and closes the conductor looks at it, and nobody else */
    bool started;    /* claims may be asked for */
    int64_t running; /* background jobs that are here, or on their way */
};

struct conductor {
    struct engine *engine;
    struct store *store;
    struct mailbox *box;
    struct thread thread;
    int64_t jobs_max, background_max, queue_max;
    atomic_llong admitted; /* jobs accepted and not ended */
    atomic_llong runs;     /* theirs: sequences that the engine has or may get */
    atomic_llong reserved; /* places among those that wait */
    atomic_ullong last_id;

    /* The conductor's thread only. */
    struct job *jobs;  /* hash by id */
    struct job *named; /* hash by name, those with a record */
    struct waiting waiting;
    size_t stalled; /* jobs whose retry is due */
    bool deadlines; /* some job here may have one */
    bool closing;

    bool stopped; /* of whoever opens and closes it */
};

void conductor_submit(struct conductor *c, struct job *j, size_t run);
void conductor_cancel_run(struct conductor *c, struct job *j, size_t run);
struct job *conductor_named(struct conductor *c, const char *name);
void conductor_cancel(struct conductor *c, struct job *j);       /* its sequences are cancelled */
void cancels_end(struct cancel **list, enum job_cancelled what); /* each is told, and freed */

/* --- journal.c ------------------------------------------------------------------------------------------ */

void journal_put(struct buf *out, size_t run, const struct heard *h);
/* Takes one entry off the front. h->text is a view; of ENGINE_FAILED it is the message, and token.id the code. False: the
 * bytes are no journal. */
bool journal_take(struct str *journal, size_t *run, struct heard *h);

/* --- log.c ---------------------------------------------------------------------------------------------- */

void log_open(struct job *j, const struct job_spec *spec);
void log_free(struct log *l);
void log_event(struct job *j, const struct job_event *ev);
void log_heard(struct job *j, size_t run, const struct heard *h);
/* Stores what is not stored, if that is due. After the end: calls for it to be released when all is said. */
void log_flush(struct conductor *c, struct job *j);
void log_stored(struct conductor *c, struct job *j, const struct err *err);
void log_refuse(
    struct job *j); /* the server stops: a job that only came is not stored, and its client hears that */
void log_watch(struct job *j, struct watcher *w);
bool log_unwatch(struct watcher **list, void *ctx); /* false: it is not in the list */
void log_end_watchers(struct watcher **list, enum job_watch_end why);

/* --- waiting.c ------------------------------------------------------------------------------------------ */

void waiting_announce(struct conductor *c, char *name); /* takes the name */
void waiting_claim(struct conductor *c);                /* asks for as many as there is room for */
void waiting_claimed(struct conductor *c, struct claim *claim);
void waiting_revived(struct conductor *c, const char *name, enum err_code code);
void waiting_unclaimed(struct conductor *c, const char *name, const struct err *err); /* err NULL: it is */
void waiting_retry(struct conductor *c); /* what the store refused, if it is time */
/* A claimed job is here now: who watched its place watches it, who cancelled it cancels it. */
void waiting_arrived(struct conductor *c, struct job *j);
void waiting_left(struct conductor *c); /* a background job is not here any more */
bool waiting_watch(struct conductor *c, const char *name,
                   struct watcher *w); /* false: nobody of that name waits */
void waiting_unwatch(struct conductor *c, const char *name, void *ctx);
bool waiting_cancel(struct conductor *c, const char *name, struct cancel *cancel); /* as above */
void waiting_forget(struct conductor *c, const char *name);
void waiting_stop(struct conductor *c);  /* any thread but the conductor's: joins the runner */
void waiting_close(struct conductor *c); /* what is left hears that the server stops */
void claim_free(struct claim *claim);

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

/* --- lines.c ------------------------------------------------------------------------------------------- */

void lines_open(struct job *j, const struct job_spec *spec);
void lines_free(struct job *j);
/* What was heard of a line, again or for the first time. */
void lines_hear(struct conductor *c, struct job *j, size_t run, const struct heard *h);
/* Starts what the thinker has asked for so far, or ends what it no longer wants; from then on at once. */
void lines_go(struct conductor *c, struct job *j);
/* The deadline has come: it is heard, once, with a line that runs. False: none does. */
bool lines_deadline(struct job *j, size_t *run, struct heard *h);
void lines_cancel(struct conductor *c, struct job *j); /* nothing is to be decided any more */
/* The choice ends, when its last line has. */
void lines_end(struct job *j);

/* --- events.c ------------------------------------------------------------------------------------------- */

/* Each tells the sink, and the log, what follows from it. */
void job_begin(struct job *j);
void job_hear(struct job *j, size_t choice, const struct heard *h);
/* The same of many lines: the sums of their figures; text for the summary; the answer that is shown. */
void job_count_lines(struct job *j);
void job_begin_thought(struct job *j, size_t choice);
void job_put_raw_thought(struct job *j, size_t choice, struct str text);
void job_put_summary(struct job *j, size_t choice, struct str text);
bool job_refuses(const struct job *j, struct str answer); /* an answer that begins so */
void job_show_line(struct job *j, size_t choice, const struct run *line, bool complete);
/* The choice ends; a failure is noted in j->err before. */
void job_end_choice(struct job *j, size_t choice, enum engine_finish finish, bool failed);
/* Every choice has ended. The terminal event; done is the owner's to call. */
void job_end(struct job *j);

#endif
