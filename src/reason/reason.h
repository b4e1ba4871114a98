/*
 * reason.h - which thoughts deserve the next tokens.
 *
 * plan: a tier, an effort and a ceiling become budgets, for one line of thought or for many.
 * answers: what a line concluded, in a form in which equal conclusions are equal bytes.
 * routes: which model is asked first, and when its answers are sure enough that no other is.
 * thinker: many lines of thought: which are started, when enough agree, whose answer is shown.
 * summaries: what is told of thoughts that are not shown.
 *
 * Nothing here runs a sequence or reads a clock: the caller does, and says what came of it. The same words in the same
 * order lead to the same decisions, which is what makes a job that was killed go on as if it had not been.
 *
 * Threads: all of it on the conductor's thread; plans from any.
 */
#ifndef THINKD_REASON_REASON_H
#define THINKD_REASON_REASON_H

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"
#include "engine/engine.h"

/* --- plans ------------------------------------------------------------------------------------------ */

/* What the caller may set; unset members leave the tier's choice. */
struct reason_ask {
    enum effort effort;
    struct {
        bool set;
        double value;
    } temperature, top_p;
    int64_t output_tokens_max; /* 0: the tier's and the model's ceiling */
    size_t choices; /* answers asked for; 0 and 1: one. More than one: each has one line of thought */
};

/* Lines of thought of one answer; max 1: there is no vote, and the rest does not matter. */
struct plan_lines {
    int min, max, wave;
    int agreement; /* percent */
    bool cut;      /* max is what the tokens leave, not what the tier has */
    enum vote vote;
    enum trial check, prune;
    int64_t prune_after; /* thinking tokens before a line may be cut off */
    int64_t deadline_ms; /* 0: none */
};

struct plan {
    enum effort effort;
    bool think;                /* false: effort none, or a model that cannot */
    int64_t think_tokens_max;  /* of one line: the effort's cap in tokens */
    int64_t answer_tokens_min; /* min(256, 25%) kept for the answer */
    int64_t tokens_max;        /* of one line: thinking and answer together */
    int64_t total_tokens_max;  /* of all lines together */
    int continues; /* how often a thought that the model ended is sent back, where the model knows how */
    double temperature, top_p, min_p;
    struct plan_lines lines;
};

/* tokens_max is what the request, the tier and the context leave beside prompt_tokens; 0 when the prompt leaves
 * no room, which job_submit refuses (ERR_CONTEXT_LENGTH). */
struct plan reason_plan(const struct tier *tier, const struct engine_info *engine,
                        const struct reason_ask *ask, int64_t prompt_tokens);

/* A thought that has one of these words has looked at itself: it is not sent back. In lower case, NULL behind the last. */
extern const char *const plan_checking_words[];
/* Whether the request leaves no room for chance: every draw would be the same. */
bool reason_is_greedy(const struct reason_ask *ask);

/* --- one model after another ------------------------------------------------------------------------ */

/* What a line is drawn for. Where one model alone is asked for many lines, all of them are votes. */
enum route_step { STEP_TRY, STEP_AGAIN, STEP_DRAFT, STEP_VOTE };
#define ROUTE_STEPS     4
#define ROUTE_TRIES     2                                   /* samples of STEP_TRY */
#define ROUTE_AGAIN_MAX 4                                   /* and of STEP_AGAIN */
#define ROUTE_SAMPLES   (ROUTE_TRIES + ROUTE_AGAIN_MAX)     /* together */
#define LINES_MAX       (ROUTE_SAMPLES + TIER_BRANCHES_MAX) /* of one answer */
extern const char *const route_step_names[];

struct route {
    struct {
        const struct tier *tier; /* the configuration's */
        struct plan plan;
    } steps[ROUTE_STEPS];
    int again_max; /* samples of STEP_AGAIN: as many as the tokens reach for, at most ROUTE_AGAIN_MAX */
    int64_t floor; /* of confidence, in thousandths; 0: none was measured */
    enum trial check;
    bool carries; /* the samples are draws of the vote's own prompt, and count in it */
};

struct route_ask {
    const struct tier *own;                /* of THINKING_ROUTE */
    const struct tier *models[TIER_ROUTE]; /* that it asks */
    const struct engine_info *engine;
    struct reason_ask ask; /* its effort was looked at by route_direct */
    int64_t prompt_tokens[TIER_ROUTE];
    bool carries;
};

/* Which of the models is to answer alone; TIER_ROUTE: they are asked one after the other. models: NULL where the caller
 * may not use it; SIZE_MAX: it may use none. */
size_t route_direct(const struct tier *const models[TIER_ROUTE], const struct reason_ask *ask,
                    bool effort_asked);
/* Which model a step asks. Each has one prompt, at its effort. */
size_t route_model(enum route_step step);
enum effort route_effort(const struct tier *const models[TIER_ROUTE], size_t model);
/* False: there are too few tokens for all of the steps, and the first model is to answer alone. */
bool route_plan(struct route *r, const struct route_ask *ask);
/* What all the steps may use together: as the vote, with the samples among its lines. */
struct plan route_whole(const struct route *r, const struct route_ask *ask);

/* What a sample came to. */
struct route_sample {
    bool sound;         /* it has an answer, and no check speaks against it */
    bool open;          /* it has answered, and there is nothing to compare */
    size_t answer;      /* equal numbers are equal answers */
    int64_t confidence; /* thousandths */
};
enum route_next { ROUTE_ACCEPT, ROUTE_AGAIN, ROUTE_DRAFT, ROUTE_VOTE };
/* After the n samples of one step or of two; for ROUTE_AGAIN *more is how many are to follow. */
enum route_next route_rule(const struct route *r, const struct route_sample *s, size_t n, int *more);

/* --- answers ---------------------------------------------------------------------------------------- */

enum answer_kind { ANSWER_TEXT, ANSWER_JSON, ANSWER_CALLS, ANSWER_REFUSAL };
enum answer_form {
    FORM_NONE, /* nothing that could be compared */
    FORM_JSON,
    FORM_CALLS,
    FORM_REFUSAL,
    FORM_BOXED,  /* \boxed{x} */
    FORM_HASHES, /* #### x */
    FORM_MARKED, /* Answer: x */
    FORM_LETTER, /* a choice's letter */
    FORM_LINE    /* the last line */
};
extern const char *const answer_form_names[];

/* What the question says of how answers are written. */
struct answer_hints {
    bool percent;        /* it speaks of some, so that "50%" is 50 */
    struct buf question; /* its words, levelled: behind a number they are units */
};
void answer_hints_read(struct answer_hints *hints, struct str question);
void answer_hints_free(struct answer_hints *hints);

/* Finds what a visible text concludes: its form, the words themselves (a view), and the key, which is the same bytes for
 * answers that mean the same. FORM_NONE leaves both empty. hints may be NULL. kind: ANSWER_JSON: the text is to be a JSON value; ANSWER_CALLS:
 * a JSON array of {"name", "arguments": object or its JSON text}; ANSWER_REFUSAL: all of them mean the same. */
enum answer_form answer_find(struct str text, enum answer_kind kind, const struct answer_hints *hints,
                             struct str *found, struct buf *key);
/* The key of an answer's own words. */
void answer_key(struct str words, const struct answer_hints *hints, struct buf *key);

/* --- checks ------------------------------------------------------------------------------------------ */

struct arith_count {
    int claims; /* "expression = value" that could be computed exactly */
    int false_claims;
};
struct arith_count arith_check(struct str text);

/* --- stopping ----------------------------------------------------------------------------------------- */

enum stop {
    STOP_NONE,
    STOP_LEAD,      /* nobody can overtake the leader */
    STOP_AGREEMENT, /* the leader is sure enough */
    STOP_BUDGET,    /* as many lines as the tokens allowed */
    STOP_DEADLINE,
    STOP_CANCELLED,
    STOP_LINES_MAX,  /* as many lines as the effort allows */
    STOP_OPEN_ENDED, /* there is nothing to vote on */
    STOP_FAILED,     /* every line of a wave failed */
    STOP_ACCEPTED    /* the samples agree: nobody else need be asked */
};
extern const char *const stop_names[];

/* The least a for which P(Beta(a+1, b+1) > 1/2) >= agreement percent, in whole numbers. b at most TIER_BRANCHES_MAX; above
 * TIER_BRANCHES_MAX where no number of lines is enough. */
int stop_votes_needed(int agreement, int b);

/* --- many lines of thought ----------------------------------------------------------------------------- */

enum line_state { LINE_UNBORN, LINE_RUNS, LINE_ENDED, LINE_FAILED, LINE_PRUNED, LINE_CANCELLED };
extern const char *const line_state_names[];

/* What a line came to. Texts are looked at during the call only. */
struct line_end {
    struct str thought, answer;
    enum answer_kind kind;
    bool complete; /* it ended by itself, not at its token limit */
    bool invalid;  /* its answer breaks the contract: it has no vote */
    struct engine_confidence confidence;
};

/* One line as the trace shows it. */
struct line_trace {
    enum line_state state;
    enum route_step step;
    bool complete, counted;
    bool said; /* it came to an answer, whole or not */
    enum answer_form form;
    struct buf answer; /* its words, cut at LINE_ANSWER_MAX */
    struct buf key;
    int weight; /* of its vote, in VOTE_UNITs */
    struct arith_count arith;
    struct engine_confidence confidence;
    bool prunable;          /* less sure than the first wave's lines: pruned, or would have been */
    int64_t prunable_after; /* tokens at which that was seen */
};
#define LINE_ANSWER_MAX 256
#define VOTE_UNIT       4 /* a whole vote; a false line of arithmetic leaves a quarter */

/* One answer and who voted for it. */
struct vote_option {
    size_t first, best; /* lines: the lowest, and the surest that ended by itself where there is one */
    int votes, weight;
    int64_t confidence; /* summed, in millionths */
};

struct reason_trace {
    const struct line_trace *lines;
    size_t n_lines;                    /* that were started; the last one's step is the last that was taken */
    const struct vote_option *options; /* the leader first */
    size_t n_options;
    int counted, abstained; /* of the lines that vote: samples are not among them once others do */
    enum stop stop;         /* STOP_NONE while it runs */
    bool voted;             /* the answer shown was voted for; false: a draft was chosen, or nothing */
    size_t shown;           /* the line, or SIZE_MAX */
    int prunable;           /* lines */
};

enum thinker_act {
    THINK_START,  /* the line is to be run, with the stream of its number */
    THINK_CANCEL, /* it need not go on; what it says from now on is only counted */
    THINK_COUNT,  /* its end was taken into account; lines are counted in the order of their numbers */
    THINK_DECIDE  /* this line's answer is the answer; SIZE_MAX: there is none. The last act */
};
struct thinker_do {
    enum thinker_act act;
    size_t line;
};

struct thinker;
struct thinker *thinker_open(const struct plan *plan, struct str question); /* plan->lines.max > 1 */
/* The same with samples of other models before the vote; each line says of which step it is. route is copied. */
struct thinker *thinker_open_route(const struct route *route, struct str question);
void thinker_close(struct thinker *t); /* NULL is fine */
/* The acts that follow from what was said, one after the other; false: no more for now. The first are there at once. The
 * trace stands as of the act that was given last, so take them all after each thing that is told. */
bool thinker_next(struct thinker *t, struct thinker_do *out);
/* Each line that was started is told of exactly once, cancelled ones too; what a decided thinker is told changes nothing
 * but the trace. */
void thinker_ended(struct thinker *t, size_t line, const struct line_end *end);
void thinker_failed(struct thinker *t, size_t line);
void thinker_cancelled(struct thinker *t, size_t line);
/* How sure a running line is so far, and its tokens. */
void thinker_heard(struct thinker *t, size_t line, const struct engine_confidence *confidence,
                   int64_t tokens);
/* STOP_CANCELLED: nothing is to be decided any more. STOP_DEADLINE: those that have ended decide, or the next that does. */
void thinker_stop(struct thinker *t, enum stop why);
bool thinker_decided(const struct thinker *t);
const struct reason_trace *thinker_trace(const struct thinker *t); /* as it stands */

/* Which of n texts has most in common with all others: the medoid by the pairs of words that they share; the lowest of
 * equals. n > 0. */
size_t drafts_medoid(const struct str *texts, size_t n);

/* --- summaries of thoughts ------------------------------------------------------------------------ */

enum summary { SUMMARY_NONE, SUMMARY_AUTO, SUMMARY_CONCISE, SUMMARY_DETAILED };
/* Derived from the thought itself by rule, line by line as it is written: detailed gives every line, concise
 * the lines that conclude something, auto is concise. Never empty for a thought that is not. Zero-initialise with kind. */
struct summarizer {
    enum summary kind;
    struct buf line;
    bool wrote;
    struct buf last;
};
void summarizer_put(struct summarizer *s, struct str thought,
                    struct buf *out); /* appends what became certain */
void summarizer_end(struct summarizer *s, struct buf *out);
void summarizer_free(struct summarizer *s);

/* The same of many lines of thought, one after the other: what each tries, what it found, how many agree. Zero-initialise
 * with kind. */
struct account {
    enum summary kind;
    struct summarizer within; /* detailed: the line that is being told */
    struct buf opening;       /* concise: what it tries, until that is a whole line */
    size_t line;              /* that is being told */
    bool opened;              /* it was announced */
    bool told;                /* its opening was */
    bool wrote;
};
/* More of the thought of the line that is counted next. */
void account_put(struct account *a, size_t line, struct str thought, struct buf *out);
/* That line was counted. */
void account_count(struct account *a, size_t line, const struct reason_trace *trace, struct buf *out);
void account_decide(struct account *a, const struct reason_trace *trace, struct buf *out);
void account_free(struct account *a);

#endif
