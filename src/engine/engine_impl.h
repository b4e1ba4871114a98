/*
 * engine_impl.h - what the files of this folder share.
 *
 * engine.c     the front door: kinds, prompts and their references, the command mailbox's sending side
 * batch.c      the engine's thread: commands between steps, who is admitted and who has to step back, events out
 * queue.c      who waits: classes, groups that take turns, those that stepped back
 * sequence.c   one sequence's tokens: stages, budgets, forced closing, stops (knows no model)
 * bind.c       a grammar's hold on a sequence's answer
 * past.c       tokens that an earlier run of a sequence came to
 * confidence.c log-probabilities of a token, confidence of a sequence
 * sampler.c    logits to one token
 * adjust.c     penalties and biases
 * local.c      a model on this machine: opening it, prompts, vocabulary; chat.c its chat format
 * room.c       local: keys and values: beginnings that are shared, admission by memory
 * step.c       local: rows of one step, tokens out of their logits
 * lookup.c     local: guesses at the next tokens from what the text has said before
 * echo.c       no model, for tests; script.c what it will say, words.c its vocabulary
 *
 * A kind (struct engine_ops) only says how sequences advance by a token; everything that a caller can
 * observe about order, budgets and endings is in batch.c and sequence.c and the same for all kinds.
 */
#ifndef THINKD_ENGINE_IMPL_H
#define THINKD_ENGINE_IMPL_H

#include "base/buf.h"
#include "base/mailbox.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/thread.h"
#include "engine/engine.h"
#include "grammar/grammar.h"
#include "model/model.h"
#include "text/text.h"

#include <stdatomic.h>
#include <uthash.h>

/* --- prompts --------------------------------------------------------------------------------------- */

struct engine_prompt {
    atomic_int refs;
    int64_t tokens;
    bool at_least; /* tokens is a lower bound, and above the context already */
    bool raw;      /* text or ids as they stand: markers in the reply are text like any other */
    uint64_t salt;
    struct ids ids; /* [tokens] */
    struct echo_script *script;
    void (*free_script)(struct echo_script *); /* echo; so that a prompt may outlive its engine */
};

/* --- chat formats (chat.c) ----------------------------------------------------------------------------- */

struct chat_format {
    struct tokenizer *tokenizer;
    struct chat_template *chat;
    struct reply_format *reply; /* how a reply marks its thoughts */
    bool chat_switches;         /* the template reads enable_thinking or thinking */
    enum {
        CALL_ARGS_NONE,
        CALL_ARGS_OBJECT,
        CALL_ARGS_TEXT
    } calls;                /* how it takes a function call's arguments */
    size_t token_bytes_max; /* of the longest token */
};
/* source: the file's template or NULL. A format whose opening failed is freed too. */
enum err_code chat_format_open(struct chat_format *f, const struct vocabulary *vocabulary, const char *source,
                               struct err *err);
void chat_format_free(struct chat_format *f);
/* Fills tokens and ids; a text that cannot fit into context is not tokenised (at_least). */
enum err_code chat_format_prompt(const struct chat_format *f, int64_t context, const struct engine_chat *chat,
                                 struct engine_prompt *p, struct err *err);
enum err_code chat_format_text(const struct chat_format *f, int64_t context, struct str text, bool special,
                               struct engine_prompt *p, struct err *err);

/* --- confidence (confidence.c) --------------------------------------------------------------------------- */

#define CONFIDENCE_TOP 20 /* k of a token's confidence */

struct confidence {
    int window;
    double *sums; /* [n + 1] of the first tokens' confidences: any window's sum is one difference */
    size_t n, cap;
    double logprobs, lowest; /* sum; the least of the windows' sums */
};
void confidence_init(struct confidence *c, int64_t thinking_tokens);
void confidence_free(struct confidence *c);
/* What the model said of token id, whose logit is given: fills all of out. */
void confidence_token(struct engine_token *out, const struct logit_summary *row, int32_t id, float logit,
                      int n_top);
/* A token of which the model was not asked. */
void confidence_no_token(struct engine_token *out, int32_t id);
void confidence_put(struct confidence *c, const struct engine_token *t);
/* done: with bottom_tenth, which costs a pass over all windows. */
void confidence_get(const struct confidence *c, bool done, struct engine_confidence *out);

/* --- guesses (lookup.c) ------------------------------------------------------------------------------------ */

#define LOOKUP_AHEAD_MAX 7 /* guesses of one sequence in one step */

struct lookup {
    int32_t *last;  /* [slots] by an n-gram's hash: the place of what followed it the last time; 0: none */
    size_t slots;   /* a power of two; 0: nobody has asked yet */
    int64_t known;  /* tokens of the sequence that are in it, as followers */
    int ahead;      /* how many to guess now */
    int guessed;    /* in the present step */
    int64_t misses; /* times in a row that none came */
    int64_t quiet;  /* no guesses before so many tokens of output */
};

/* --- penalties and biases (adjust.c) --------------------------------------------------------------------- */

struct sequence;
struct tally; /* how often each token came: a hash by id */
void tally_put(struct tally **t, int32_t id);
void tally_free(struct tally **t);

/* Logits that were changed, and what they were; one for each thread. Zero-initialise. */
struct altered {
    struct {
        int32_t id;
        float was;
    } * list; /* [n], in the order of changes */
    size_t n, cap;
};
bool penalises(const struct engine_params *p);
bool adjusts(const struct sequence *s); /* a token of its answer that is chosen now */
void adjust_logits(struct altered *a, float *logits, const struct sequence *s);
void adjust_undo(struct altered *a, float *logits);                    /* to the bit */
float adjust_logit(const struct sequence *s, int32_t id, float logit); /* the same of one */
void altered_free(struct altered *a);

/* --- one sequence's tokens (sequence.c) ------------------------------------------------------------- */

/* What a sequence asks of a vocabulary. Lives as long as the sequence (in its engine or its prompt). */
struct spelling {
    const void *ctx;
    void (*put)(const void *ctx, struct detok *d, int32_t id, struct buf *out); /* appends whole characters */
    /* As reply_scan_put. */
    bool (*scan)(const void *ctx, struct reply_scan *scan, int32_t id, bool *ends);
    const int32_t *closing; /* [n_closing] the sentence that ends a thought early */
    size_t n_closing;
    const int32_t *markers; /* [n_markers] what ends it for the model; 0: a sequence that does not think */
    size_t n_markers;
    const int32_t *again; /* [n_again] what sends a thought back in place of them; 0: nothing does */
    size_t n_again;
    const int32_t *opening; /* [n_opening] what begins a thought where messages have heads; 0: none have */
    size_t n_opening, n_to_head; /* the first so many markers lead to a head */
    /* For a grammar. */
    struct grammar_vocab *vocab; /* NULL: it goes by the bytes of put */
    /* The tokens of a text that other text stands before; special: control tokens in it are found. False: it has none. */
    bool (*encode)(const void *ctx, struct str text, bool special, struct ids *out);
    const int32_t *ends; /* [n_ends] what ends a turn, the usual one first */
    size_t n_ends;
    const int32_t *layout; /* [n_layout] blanks, one of which may stand between a thought and its answer */
    size_t n_layout;
    bool renumbers; /* its ids may be other ones in another process */
};

/* --- a grammar's hold (bind.c) --------------------------------------------------------------------------- */

struct binding {
    struct matcher *matcher; /* NULL: nothing binds */
    struct matcher
        *refusal;       /* as long as the text may become one, beside what else it may be; NULL: it may not */
    bool begun, layout; /* a token of its text came; the blank before it */
    struct ids ahead;   /* what comes next whatever the model says; at: how many of them came */
    size_t at;
    bool closing;     /* and ends the sequence */
    bool tight;       /* each token is weighed against close */
    bool close_known; /* close fits into the tokens left */
    struct ids close; /* what makes the text whole from here */
    int64_t look_at;  /* close is looked for when so few tokens are left */
    /* Behind the token that was weighed last, until it is put. */
    struct matcher *next;
    struct ids close_next;
};
void bind_start(struct sequence *s); /* tokens_max and spelling are known */
void bind_free(struct sequence *s);  /* lets go of the grammar, too */
/* Behind that, once it is known what is forced first: a text that begins with the next token may be forced itself. */
void bind_begin(struct sequence *s);
/* The engine's refusals, which begin so; ERR_FORMAT: none can be told from JSON by that. */
enum err_code bind_open_refusal(struct grammar **out, struct str opening, struct err *err);
bool bind_holds(const struct sequence *s);
int64_t bind_room(
    const struct sequence *s); /* tokens that the shortest answer takes; 0: more than there are */
int32_t bind_forced(const struct sequence *s, size_t ahead); /* as sequence_forced */
/* The ids that may come after m, which is s's own or a copy that went on: [n_words]. */
void bind_mask(const struct sequence *s, struct matcher *m, uint64_t *mask, size_t n_words);
bool bind_allows(const struct sequence *s, int32_t id); /* one of them */
bool bind_accept(const struct sequence *s, struct matcher *m, int32_t id);
bool bind_takes(const struct sequence *s, int32_t id); /* as a part of the text */
/* Whether an allowed token leaves room for the closing. */
bool bind_admits(struct sequence *s, int32_t id);
bool bind_close(struct sequence *s);           /* the closing comes next; false: there is none */
bool bind_put(struct sequence *s, int32_t id); /* true: the answer is over */

/* --- another look (again.c) ------------------------------------------------------------------------------ */

struct again {
    int left;   /* times that it may be */
    bool never; /* it has said one of the words */
    char tail[CONTINUE_WORD_MAX +
              1]; /* the thought's last bytes, in lower case, in which the next text may end a word */
    size_t n_tail;
};
void again_start(struct sequence *s);
void again_hear(struct sequence *s, struct str thought);
/* The model has chosen id: whether the thought goes on instead. */
bool again_wants(const struct sequence *s, int32_t id);
void again_begin(struct sequence *s); /* the next token is the first of what sends it back */

enum sequence_state { SEQUENCE_WAITING, SEQUENCE_PREFILL, SEQUENCE_DECODE, SEQUENCE_ENDED };

struct sequence {
    uint64_t id;
    struct engine_prompt *prompt; /* one reference */
    struct engine_params params;  /* stops and biases are copies; past too, none any more once it was read */
    struct spelling spelling;
    struct rng rng;

    /* Fixed at the start, in tokens. */
    bool started;
    int64_t tokens_max; /* params' and the context's, whichever is less */
    int64_t think_max;  /* thinking after which closing is forced */
    bool closing_text;  /* there is room to force the sentence too, not only the markers */
    bool heads;         /* its grammar begins with a message's head */

    struct reply_scan scan;
    enum engine_stage stage;
    bool blank_so_far; /* nothing but blanks came in this stage: they are not shown */
    /* Tokens are being forced: forced_at is the next one and forced_end where they end, counted through the spelling's closing,
     * markers, again and opening. */
    bool forcing;
    size_t forced_at, forced_end;
    struct again again; /* whether the thought may be sent back */
    bool closed_by_budget;
    int64_t output_tokens, thinking_tokens;
    struct ids out; /* [output_tokens]; the model reads the last one next */
    bool own;       /* the model chose the last one */
    enum engine_finish finish;
    struct detok detok;
    struct stop_scan stops;
    struct buf piece, text; /* of the last token: as spelled, and as shown */
    enum engine_stage text_stage;
    struct confidence confidence;
    struct binding bind;
    bool closed_by_grammar;
    struct tally *tally; /* of the answer's tokens, where a penalty needs them */

    /* batch.c's, queue.c's and the kinds' */
    enum sequence_state state;
    uint64_t ticket;               /* order of first coming to the head of the queue; 0: not yet */
    struct queue_group *turn;      /* the group it waits in, before it has a ticket */
    bool admitted;                 /* once at least */
    int64_t cached_tokens;         /* of the prompt, when it was first admitted */
    uint64_t refused_at;           /* local: e->departures when there was no memory for it, + 1 */
    struct kv *kv;                 /* local */
    int64_t prompt_told;           /* tokens of the prompt whose log-probabilities were sent */
    int64_t store_at;              /* local: others wait until so much of the prompt is stored; 0: none */
    struct lookup lookup;          /* local */
    int64_t thought_at, answer_at; /* echo: places in the script */
    bool released;                 /* echo */
    struct sequence *prev, *next;  /* waiting list */
    UT_hash_handle hh;             /* live sequences by id */
};

/* prompt gains a reference. */
struct sequence *sequence_open(uint64_t id, struct engine_prompt *prompt, const struct engine_params *params);
void sequence_close(struct sequence *s); /* NULL is fine */
/* Once, before the first token; sets the bounds. format: NULL where spelling.scan needs none. */
void sequence_start(struct sequence *s, const struct spelling *spelling, const struct reply_format *format,
                    const struct engine_info *info);
/* The next token, or the one so many after it, when it is not the model's choice; then no logits are needed. Else -1. */
int32_t sequence_forced(const struct sequence *s, size_t ahead);
bool sequence_thinks(const struct sequence *s); /* now */
/* The next token is one of the visible answer, or may be: what binds the answer binds it. */
bool sequence_answers(const struct sequence *s);
bool sequence_binds(const struct sequence *s); /* something binds its answer */
/* What is forced now leads to the answer, as markers do. */
bool sequence_leads(const struct sequence *s);
/* The next tokens are the markers that end the thought, as when the model ends its turn inside of it. */
void sequence_close_thought(struct sequence *s);
void sequence_send_back(struct sequence *s); /* or those that send it back */
/* Takes the next token: the forced one where there is one, else chosen. The last of s->out is what became of it,
 * s->text what it shows of s->text_stage. True: the sequence ended, by s->finish. */
bool sequence_put(struct sequence *s, int32_t chosen);
/* Ends it here: s->text is what was held back and may be shown. */
void sequence_cancel(struct sequence *s);

/* Brings s, which has just been started, to the end of its past. *ended: that was its last token. ERR_SERVER: it is
 * none of s's. */
enum err_code past_read(struct engine *e, struct sequence *s, bool *ended, struct err *err);
void past_free(struct sequence *s);

void lookup_free(struct lookup *l);
/* At most n guesses at what follows s's last token, into out; returns how many. */
size_t lookup_guess(struct sequence *s, int32_t *out, size_t n);
/* How many of the step's guesses came. */
void lookup_learn(struct sequence *s, int accepted);

/* --- sampling (sampler.c) --------------------------------------------------------------------------- */

struct sampler; /* scratch for one vocabulary size and one thread, reused for every row */
struct sampler *sampler_open(const struct kernels *k, size_t n_vocab);
void sampler_close(struct sampler *s); /* NULL is fine */
/* How sampler_pick wants its row summarised: the k of summarize_logits, at least CONFIDENCE_TOP. */
size_t sampler_top(double temperature, double top_p, double min_p);
/* row: of these logits, with at least sampler_top of the largest; all: it lists every finite one. uniform in [0, 1). -1: no
 * logit is finite, or one is +inf. */
int32_t sampler_pick(struct sampler *s, const float *logits, const struct logit_summary *row, bool all,
                     double temperature, double top_p, double min_p, double uniform);

/* --- who waits (queue.c) ------------------------------------------------------------------------------ */

/*
 * Of each class a list of those that have a ticket (the next ones, those that wait for another's prefill, those that
 * stepped back), in the order of tickets, and a ring of groups behind it.
 */
struct queue {
    struct sequence *ahead; /* list */
    size_t n_ahead;
    struct queue_group *ring;   /* list: the head's turn is next */
    struct queue_group *groups; /* hash: those that have somebody waiting */
    uint64_t *tickets;          /* the engine's counter */
};
void queue_put(struct queue *q, struct sequence *s); /* a new one, at the end of its group */
/* The first to come of the nth group from the one whose turn is next; NULL: there are not so many. */
struct sequence *queue_next(const struct queue *q, size_t nth);
void queue_turn(struct queue *q,
                struct sequence *s); /* one of those gets its ticket; its group's next turn is last */
void queue_put_back(struct queue *q, struct sequence *s); /* one that has a ticket */
void queue_remove(struct queue *q, struct sequence *s);

/* --- kinds ----------------------------------------------------------------------------------------- */

enum admission {
    ADMITTED,
    ADMIT_LATER, /* a running sequence is computing what this one would: others may go before it */
    ADMIT_FULL   /* there is no room now; never said by an engine that runs nothing */
};

/* All but the prompts and the spelling run on the engine's thread. */
struct engine_ops {
    const char *kind;
    enum err_code (*open)(struct engine *e, const struct engine_config *cfg,
                          struct err *err); /* fills info */
    void (*close)(struct engine *e);        /* also after a failed open */
    /* Any thread; each fills tokens and ids, and script where the kind has one. */
    enum err_code (*chat)(const struct engine *e, const struct engine_chat *chat, struct engine_prompt *p,
                          struct err *err);
    enum err_code (*text)(const struct engine *e, struct str text, bool special, struct engine_prompt *p,
                          struct err *err);
    enum err_code (*ids)(const struct engine *e, struct engine_prompt *p,
                         struct err *err); /* p->ids is filled */
    bool (*knows)(const struct engine *e, int32_t id);
    struct str (*spell)(const struct engine *e, int32_t id); /* id is known */
    void (*start)(struct engine *e, struct sequence *s);     /* calls sequence_start */
    /* The model chose past for s in an earlier run: what it chooses there now; -1: it cannot have. */
    int32_t (*recall)(struct engine *e, struct sequence *s, int32_t past, double uniform);
    /* s is started; sets the state. */
    enum admission (*admit)(struct engine *e, struct sequence *s);
    void (*leave)(struct engine *e, struct sequence *s); /* gives room back, also to be admitted again */
    /* One step of the running sequences, telling batch of every token. False: none could advance. */
    bool (*step)(struct engine *e);
    void (*usage)(const struct engine *e, struct kv_usage *out); /* NULL: the kind has no memory to tell of */
};
extern const struct engine_ops engine_local, engine_echo;

/* What engine_stats tells, as the engine's thread last wrote it. */
struct counters {
    atomic_llong generated, prefilled, cached, preempted, steps, guessed, accepted;
    atomic_llong running, kv_pages, kv_pages_used, kv_pages_kept, kv_page_bytes, kv_pages_evicted;
};

struct engine {
    const struct engine_ops *ops;
    struct engine_info info;
    struct engine_sink sink;
    struct mailbox *commands;
    struct mailbox *opened; /* one message: how ops->open went */
    struct thread thread;
    struct counters counters;
    atomic_llong live; /* sequences submitted and not ended */
    int sequences_max;
    enum engine_speculation speculation;

    /* The engine's thread only. */
    struct sequence **running; /* [n_running], neighbours' prompts begin alike */
    size_t n_running, n_background;
    struct queue queues[2]; /* by priority */
    uint64_t tickets;
    uint64_t departures;    /* how often room was given back */
    struct sequence *by_id; /* hash of running and waiting */
    bool closing;
    bool unflushed;     /* the sink was told something since */
    int64_t flushed_ns; /* clock_mono_ns of its last flush */
    struct local *local;
    struct echo *echo;
};

/* --- the engine's thread (batch.c) ------------------------------------------------------------------- */

enum command_kind { COMMAND_SUBMIT, COMMAND_CANCEL, COMMAND_CLOSE };
struct command {
    enum command_kind kind;
    uint64_t id;
    struct sequence *seq; /* COMMAND_SUBMIT: changes hands */
};

struct batch_start { /* what the thread is started with; lives until opened has its message */
    struct engine *engine;
    const struct engine_config *cfg;
    struct err *err;
};
void batch_run(void *batch_start);
/* For the kinds' step. One token for s and word of it to the sink; s is SEQUENCE_ENDED when it was the last. row: what
 * the model said, NULL where it was not asked; logit: chosen's. */
void batch_token(struct engine *e, struct sequence *s, int32_t chosen, const struct logit_summary *row,
                 float logit);
/* Word of the prompt's next token; row as above, NULL for the first. */
void batch_prompt_token(struct engine *e, struct sequence *s, const struct logit_summary *row, float logit);
/* The prompt was all there was to read. */
void batch_done(struct engine *e, struct sequence *s);
void batch_fail(struct engine *e, struct sequence *s, const struct err *err);
/* s goes before t: when room is short, t steps back first. */
bool batch_before(const struct sequence *s, const struct sequence *t);
/* The last of the running by that order steps back to wait, which gives its room back. */
void batch_step_back(struct engine *e);

/* --- a local model (local.c, room.c, step.c) ------------------------------------------------------------- */

struct local {
    struct model *model;
    struct chat_format format;
    struct ids closing;          /* the sentence that ends a thought early */
    struct ids again;            /* what sends one back; empty: the file has none */
    struct ids ends, layout;     /* see struct spelling */
    struct grammar_vocab *vocab; /* NULL: no grammar was asked for yet */
    struct step *step;
    struct ids history; /* room.c's scratch */
};

/* What a sequence has to have read: its prompt, then what followed. */
int64_t room_history(const struct sequence *s);
int32_t room_token(const struct sequence *s, int64_t at);
int64_t room_context(const struct model *m, int64_t context); /* as much of it as there is memory for */
enum admission room_admit(struct engine *e, struct sequence *s);
void room_leave(struct engine *e, struct sequence *s);
/* One more token's room for each decoding sequence; some may have to step back for it. */
void room_reserve(struct engine *e);
/* After a step: stores what others wait for. */
void room_share(struct engine *e);

struct step *step_open(struct model *m, size_t sequences_max);
void step_close(struct step *t); /* NULL is fine */
bool step_run(struct engine *e);

/* --- the echo engine (echo.c, script.c, words.c) ------------------------------------------------------------ */

/* Ids: a few controls with fixed spellings, the closing sentence, words as they are first seen, and numbers. */
enum {
    ECHO_OPEN,
    ECHO_CLOSE,
    ECHO_END,
    ECHO_MESSAGE,
    ECHO_TURN,
    ECHO_CLOSING,
    ECHO_CLOSING_END = ECHO_CLOSING + 5
};
#define ECHO_NUMBER     (1 << 30) /* + n spells " n" */
#define ECHO_NUMBER_MAX 1000000

struct words; /* a vocabulary that grows; any thread */
struct words *words_open(void);
void words_close(struct words *w); /* NULL is fine */
enum err_code words_id(struct words *w, struct str text, int32_t *out,
                       struct err *err); /* ERR_BUSY: it is full */
bool words_known(struct words *w, int32_t id);
struct str words_text(struct words *w, int32_t id); /* of one that is known; lives as long as w */

enum echo_act {
    ACT_REPEAT,
    ACT_COUNT,
    ACT_ENDLESS,
    ACT_PONDER,
    ACT_RANDOM,
    ACT_HOLD,
    ACT_RELEASE,
    ACT_FAIL,
    ACT_VOTE,
    ACT_AGAIN
};
/* What the model will say to one prompt. Read-only once made, shared by the prompt's sequences. */
struct echo_script {
    struct ids pieces; /* the thought's first, then the answer's */
    size_t n_thought;
    enum echo_act act;
    int64_t number;   /* of /count, /random and /hold */
    struct ids votes; /* of /vote: where each answer ends, in pieces behind the thought */
    struct buf signs; /* and the sign before it: '!' it fails, '@' it waits; 0 for none */
    bool think;
};
/* message: what the model is to answer. ERR_INVALID_VALUE: a directive's number. */
enum err_code script_open(struct echo_script **out, struct words *w, struct str message, bool think,
                          struct err *err);
void script_close(struct echo_script *s); /* NULL is fine */
/* Appends a text's words: each with the blanks before it, the last with those behind it. */
enum err_code script_words(struct words *w, struct str text, struct ids *ids, struct err *err);
size_t script_count(struct str text); /* how many they are */

#endif
