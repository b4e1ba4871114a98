/*
 * exam.h - problems with exact answers: what the bundled model learns from and is measured by.
 *
 * A family is a row of one table: it draws a case (the numbers), asks it in one of many wordings, and
 * works it out in as many lines as the effort pays for. The same generators write the training corpus
 * and the held-out exam; a hash of the case keeps the two apart, so no exam question was ever trained on.
 * The runner asks the questions through an asker it was given, marks the replies by exact comparison and
 * reports accuracy with intervals per family and level.
 *
 * Threads:   generators, checkers and reports have no state; the runner starts threads of its own and
 *            calls the asker from all of them.
 * Ownership: a problem and a report belong to the caller, who frees them.
 */
#ifndef THINKD_EXAM_EXAM_H
#define THINKD_EXAM_EXAM_H

#include "base/buf.h"
#include "base/err.h"
#include "base/rng.h"
#include "json/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXAM_LEVELS_MAX  8
#define EXAM_EARLIER_MAX 6 /* turns before the question */

/* How much working is written. The names are those of reasoning.effort. */
enum exam_effort { EXAM_LOW, EXAM_MEDIUM, EXAM_HIGH, EXAM_XHIGH, EXAM_EFFORTS };

/* One case in a hundred, by a hash of its canonical form, is held out: training never sees it and the exam
 * asks nothing else. Levels with only a few cases are split by their wording instead. */
enum exam_split { EXAM_TRAIN, EXAM_HELD_OUT };

struct exam_family; /* a row of the table: see exam_impl.h */

/* A turn before the question: what was said to the model, and its reply. */
struct exam_turn {
    bool tool;       /* said is a tool's result and not the user's words */
    struct buf said; /* the message */
    struct buf trace, visible;
};

struct exam_problem {
    const struct exam_family *family;
    int level;           /* 1.. exam_family_levels() */
    uint64_t key;        /* hash of the canonical case: the same for a+b and b+a */
    bool new_wording;    /* asked in a wording that training never uses */
    struct buf question; /* what the user says */
    struct buf trace;    /* the working, lines ending in '\n'; goes between the thinking markers */
    struct buf recheck;  /* a further check of the same case by another route; may be empty */
    struct buf visible;  /* the whole visible reply */
    struct buf answer;   /* the exact answer, for the checker; for chat families the kind of reply */
    struct buf flawed; /* the working with a wrong end that it does not notice; mostly empty, see effort.c */
    struct buf mended; /* a recheck of flawed: it does not agree, "wait", and the working again, checked */
    struct buf system; /* the system message; may be empty */
    struct buf tools;  /* a JSON array of function tools as Chat Completions takes them; may be empty */
    bool tool;         /* the question is a tool's result: the last earlier turn called it */
    int earlier_len;
    struct exam_turn earlier[EXAM_EARLIER_MAX];
};

void exam_problem_free(struct exam_problem *p); /* a zeroed problem is fine */

size_t exam_family_count(void);
const struct exam_family *exam_family_at(size_t i);
const struct exam_family *exam_family_find(struct str name); /* NULL when there is none */
const char *exam_family_name(const struct exam_family *f);
const char *exam_family_what(const struct exam_family *f); /* one line for people */
int exam_family_levels(const struct exam_family *f);
/* Levels above this one are asked in the exam alone: one step longer than anything trained. */
int exam_family_train_levels(const struct exam_family *f);
bool exam_family_trains(const struct exam_family *f); /* false: withheld templates, for the exam alone */

/* Fills *p (reused: earlier contents are replaced). The same rng state gives the same problem. */
void exam_generate(const struct exam_family *f, int level, enum exam_effort effort, enum exam_split split,
                   struct rng *rng, struct exam_problem *p);

/* --- problems that people wrote --------------------------------------------------------------------- */

/* A file of {"question", "answer"} lines whose answers work with marks like <<48/2=24>> and end in "#### 24" (GSM8K).
 * Those whose marks are exact and lead to the answer are worked out again in this folder's lines; the others are left
 * out. A tenth, by the hash of the question, is withheld. */
struct exam_book;
enum err_code exam_book_open(struct exam_book **out, const char *path, struct err *err);
void exam_book_close(struct exam_book *b);                              /* NULL is fine */
size_t exam_book_len(const struct exam_book *b, enum exam_split split); /* problems kept */
size_t exam_book_dropped(const struct exam_book *b);                    /* lines left out of training */
int exam_book_steps(const struct exam_book *b, enum exam_split split, size_t i);
/* Fills *p. vary: other numbers and names in the same text, where that goes without changing what it says. */
void exam_book_problem(const struct exam_book *b, enum exam_split split, size_t i, enum exam_effort effort,
                       bool vary, struct rng *rng, struct exam_problem *p);

/* --- marking ------------------------------------------------------------------------------------- */

/* The final answer in a visible reply: the last "Answer: x" line, else the last \\boxed{x}, else the last number,
 * else empty. A view into reply. */
struct str exam_extract(struct str reply);
/* Exact equality of values: 1,234 is 1234, 0.5 is 1/2, "14 r 3" is "14 remainder 3", units behind a number do not
 * count. Answers that are no numbers compare as words, without regard to ASCII case. */
bool exam_same(struct str a, struct str b);
/* By the family's rule; family NULL: the final answer is exam_same as the reference. */
bool exam_check(const struct exam_family *f, struct str reply, struct str answer);

/* --- statistics: pure functions ------------------------------------------------------------------- */

struct exam_interval {
    double low, high;
};
/* Wilson's score interval at 95% for right of n; n 0 gives 0 to 1. */
struct exam_interval exam_wilson(int64_t right, int64_t n);
/* McNemar's exact test, two-sided, of two candidates that were right where the other was wrong so often. */
double exam_mcnemar(int64_t only_a, int64_t only_b);
/* Holm's step-down correction of n p-values, in place and in their order. */
void exam_holm(double *p, size_t n);
/* Items that have something in common: the sum of their values, and how many they are. */
struct exam_cluster {
    double sum;
    int64_t n;
};
#define EXAM_ROUNDS 10000
/* The middle 95% of sum / n over so many draws of `len` clusters with replacement. The same seed gives the same interval;
 * no item at all gives 0 to 0. */
struct exam_interval exam_bootstrap(const struct exam_cluster *clusters, size_t len, int rounds,
                                    uint64_t seed);
/* Of k traces drawn out of n, right of them right: the chance that one at least is. k <= n. */
double exam_pass_at(int64_t n, int64_t right, int64_t k);

/* --- the runner ---------------------------------------------------------------------------------- */

struct exam_question {
    const char *family; /* "file" for questions that were read */
    int level;
    int64_t index;    /* within family and level */
    size_t candidate; /* who is asked, of exam_config.candidates */
    int sample;       /* which of its replies; 0 where there is one */
    uint64_t seed;    /* of this reply: from the exam's seed, the question and the sample; 53 bits */
    struct str text;  /* valid during the call, as is all below */
    /* what belongs to it: see exam_problem */
    struct str system, tools;
    bool tool;
    int earlier_len;
    struct {
        bool tool;
        struct str said, visible;
    } earlier[EXAM_EARLIER_MAX];
};

/* How sure the model was of a reply: what the engine measures, as its header says (engine/engine.h). */
struct exam_confidence {
    int64_t tokens;
    int window; /* 0: unknown, and the rest too */
    float mean_logprob, mean, last_window, lowest_window, bottom_tenth;
};

/* The calls in a reply that was made here or brought by an asker, [{"name", "arguments"}], the caller's; NULL if one is not well
 * formed. What closes a call may be missing: engines show it in no text. */
json_t *exam_calls(struct str reply);

/* The asker fills it; text is the visible reply alone, calls of tools as "<tool_call>\n{"name": ..., "arguments":
 * {...}}\n</tool_call>", the last of it optional. Zeroed before the call, freed by the runner. */
struct exam_reply {
    struct buf text;
    struct buf thought; /* where it is known and exam_config.samples asks for more than one */
    bool cut;           /* it ended at its token limit */
    int64_t input_tokens;
    int64_t output_tokens; /* all generated tokens, thinking too */
    int64_t reasoning_tokens;
    bool priced;
    int64_t cost;   /* nano-dollars, where priced */
    double seconds; /* of waiting for this reply */
    struct exam_confidence confidence;
};

/* Called from exam_config.threads threads at a time. An error counts the question as not answered. */
struct exam_asker {
    enum err_code (*ask)(void *ctx, const struct exam_question *q, struct exam_reply *reply, struct err *err);
    void *ctx;
};

struct exam_status {
    int64_t done, total, right;
    double seconds, eta_seconds; /* eta by the average so far */
};

/* Who is asked: a model at an effort. */
struct exam_candidate {
    const char *model;
    const char *effort; /* NULL: the model's own */
};
#define EXAM_CANDIDATES_MAX 16
#define EXAM_SAMPLES_MAX    64

/* What an exam asks of a family. */
struct exam_selection {
    const struct exam_family *family;
    int first, last; /* levels */
};
/* "gcd", "gcd:4" or "gcd:2-5". ERR_INVALID_VALUE: there is no such family, or it has no such levels. */
enum err_code exam_select(struct exam_selection *out, const char *text, struct err *err);

struct exam_config {
    uint64_t seed;
    int items;                   /* questions per family and level, 1..EXAM_ITEMS_MAX */
    int threads;                 /* questions in flight, 1..EXAM_THREADS_MAX */
    const char *const *families; /* as exam_select reads them; NULL with families_len 0: all */
    size_t families_len;
    const char *file;       /* JSONL of {"question", "answer"} to ask instead; NULL: generated questions */
    int64_t file_items_max; /* questions read at most; 0: all */
    /* Each question is asked of all; NULL with candidates_len 0: of one that has no name. Borrowed until the report is freed. */
    const struct exam_candidate *candidates;
    size_t candidates_len;
    int samples; /* replies of each candidate to a question, traces to be replayed; 0 and 1: one */
    /* Where each reply is appended as a line of JSON; replies that are there are not asked for again. NULL: nowhere. */
    const char *state;
    const json_t *
        arguments; /* what else the replies depend on, an object that a state must have been made with; may be NULL */
    const bool *stop; /* set by anyone at any time (__atomic): no further question is asked; NULL: never */
    void (*progress)(void *ctx,
                     const struct exam_status *s); /* after each reply, one at a time; may be NULL */
    void *progress_ctx;
};

#define EXAM_ITEMS_MAX   1000000
#define EXAM_THREADS_MAX 1024

struct exam_row {
    const char *family;
    int level; /* 0: all levels of the family */
    int64_t asked, right, failed;
    int64_t output_tokens, reasoning_tokens; /* sums */
    double seconds;                          /* sum of the replies' */
    int64_t cost;                            /* sum of those whose price is known */
    int64_t priced;                          /* how many those are */
};

/* One candidate's figures. */
struct exam_part {
    struct exam_candidate candidate; /* both NULL where there was no name */
    struct exam_row *rows;           /* levels of a family one after the other, then its level 0 */
    size_t rows_len;
    struct exam_row total; /* family "total" */
};

/* Two candidates over the questions that both were asked: b minus a. */
struct exam_pair {
    size_t a, b;
    int64_t n, only_a, only_b; /* right where the other was wrong */
    size_t
        clusters; /* that were resampled: families and levels; single questions where there is one of those */
    double difference;
    struct exam_interval interval;
    double p, holm; /* McNemar's, and corrected for all pairs of the report */
};

struct exam_report {
    struct exam_part *parts; /* one a candidate */
    size_t parts_len;
    struct exam_pair *pairs; /* all of them; none where a candidate was asked for several samples */
    size_t pairs_len;
    int64_t resumed; /* replies that were there before */
    double wall_seconds;
    uint64_t seed;
    struct err first_error; /* of the first question that failed; code ERR_OK if none did */
};

/* Asks everything and fills *report, which the caller frees also after an error. Errors: unknown family, bad
 * bounds, a file that cannot be read (with its line), a state of other arguments (ERR_CONFIG, which names one), and the
 * asker's own when its first questions all fail. */
enum err_code exam_run(const struct exam_config *config, struct exam_asker asker, struct exam_report *report,
                       struct err *err);
void exam_report_free(struct exam_report *r); /* a zeroed report is fine */
/* What a table goes into. */
enum exam_detail { EXAM_BY_NOTHING, EXAM_BY_FAMILY, EXAM_BY_LEVEL };
/* For people. One candidate: a row per family and level. Several: accuracy by effort and model, each one's figures, the
 * differences. */
void exam_report_table(const struct exam_report *r, enum exam_detail detail, struct buf *out);
void exam_report_json(const struct exam_report *r, struct buf *out); /* one object and a newline */
void exam_report_csv(const struct exam_report *r,
                     struct buf *out); /* RFC 4180: a row per candidate, family and level */
void exam_report_svg(const struct exam_report *r, struct buf *out); /* accuracy against mean output tokens */

/* --- replay: what other rules would have made of recorded traces ------------------------------------------ */

enum exam_policy_kind {
    POLICY_GREEDY, /* the first trace of a record, which drew no random numbers */
    POLICY_SINGLE, /* one sampled trace */
    POLICY_VOTE,   /* max traces, all of them paid for */
    POLICY_STOP,   /* lines as a thinker starts, counts and cancels them */
    POLICY_PASS    /* one of max traces is right, whoever would have to know which: a ceiling, no policy */
};

/* The rules are those of a plan's lines (reason/reason.h), without pruning and deadline, which a record cannot show. */
struct exam_policy {
    enum exam_policy_kind kind;
    char name[32];
    int min, max, wave, agreement;
    bool weighted; /* votes count by confidence */
    bool checked;  /* false arithmetic leaves a quarter of a vote */
};

#define EXAM_ORDERS       200 /* random orders of each question's traces */
#define EXAM_POLICIES_MAX 64

struct exam_replay_row {
    size_t candidate, policy;
    double accuracy;
    struct exam_interval interval; /* of a bootstrap, as below */
    double tokens, lines;          /* means a question: generated, and lines begun */
    /* Against the vote of most traces that was asked for, of the same candidate. */
    bool compared;
    double difference, token_share;
    struct exam_interval difference_interval;
};

/* What the vote of most traces gains over one sample, of a family or of one of its levels. */
struct exam_replay_group {
    size_t candidate;
    struct str family;
    int level; /* 0: all of them */
    int64_t questions;
    double single, vote, gain;
    struct exam_interval interval; /* of the gain */
};

struct exam_replay {
    struct exam_policy policies[EXAM_POLICIES_MAX];
    size_t policies_len;
    struct exam_candidate candidates[EXAM_CANDIDATES_MAX]; /* names in the arena */
    size_t candidates_len;
    int traces; /* sampled ones of each question */
    struct exam_replay_row *rows;
    size_t rows_len;
    struct exam_replay_group *groups;
    size_t groups_len;
    int64_t items, left_out; /* questions of all candidates; those that lack traces are left out */
    size_t clusters;         /* of the first candidate */
    struct arena arena;
};

struct exam_replay_config {
    const char *path;               /* the state of an exam with samples */
    const struct exam_policy *more; /* rules beside those that are always evaluated */
    size_t more_len;
    uint64_t seed; /* the same gives the same figures */
    enum exam_detail by;
    /* Questions that were replayed, of all candidates; on the caller's thread, now and then; may be NULL. */
    void (*progress)(void *ctx, int64_t done, int64_t total);
    void *progress_ctx;
};
/* Evaluates greedy, single, votes, passes, the rules of reason.h and `more`, those of them that need no more traces than there
 * are. The caller frees *out also after an error: ERR_FORMAT names the line, ERR_CONFIG says that there is nothing to replay. */
enum err_code exam_replay(struct exam_replay *out, const struct exam_replay_config *config, struct err *err);
void exam_replay_free(struct exam_replay *r);
void exam_replay_table(const struct exam_replay *r, struct buf *out);
void exam_replay_json(const struct exam_replay *r, struct buf *out);
void exam_replay_csv(const struct exam_replay *r, struct buf *out);
void exam_replay_svg(const struct exam_replay *r, struct buf *out);

bool exam_effort_from(struct str name, enum exam_effort *out); /* "low", "medium", "high", "xhigh" */
const char *exam_effort_name(enum exam_effort effort);

#endif
