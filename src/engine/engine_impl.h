/*
 * engine_impl.h - what the files of this folder share.
 *
 * engine.c   the front door: kinds, prompts' references, the command mailbox's sending side
 * batch.c    the engine's thread: commands between steps, admission in order, events out
 * sequence.c one sequence's tokens: stages, budgets, forced closing, stops (knows no model)
 * sampler.c  logits to one token
 * local.c    a model on this machine, chat.c its chat format; echo.c: no model, for tests
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
#include "text/text.h"

#include <stdatomic.h>
#include <uthash.h>

/* Sequences that may wait behind those being computed; more make engine_submit answer false. */
#define ENGINE_WAITING_MAX 65536

/* --- prompts --------------------------------------------------------------------------------------- */

struct engine_prompt {
    atomic_int refs;
    int64_t tokens;
    bool at_least;           /* tokens is a lower bound, and above the context already */
    enum engine_stage start; /* the stage the rendered text ends in */
    struct ids ids;          /* local: [tokens] */
    struct echo_script *script;
    void (*free_script)(struct echo_script *); /* echo; so that a prompt may outlive its engine */
};

/* --- chat formats (chat.c) ----------------------------------------------------------------------------- */

struct chat_format {
    struct tokenizer *tokenizer;
    struct chat_template *chat;
    bool chat_switches;     /* the template reads enable_thinking or thinking */
    size_t token_bytes_max; /* of the longest token */
    int32_t open, close;    /* thinking markers, both -1 for a model that does not think */
};
/* source: the file's template or NULL. A format whose opening failed is freed too. */
enum err_code chat_format_open(struct chat_format *f, const struct vocabulary *vocabulary, const char *source,
                               struct err *err);
void chat_format_free(struct chat_format *f);
/* Fills tokens, start and ids; a text that cannot fit into context is not tokenised (at_least). */
enum err_code chat_format_prompt(const struct chat_format *f, int64_t context, const struct engine_chat *chat,
                                 struct engine_prompt *p, struct err *err);

/* --- one sequence's tokens (sequence.c) ------------------------------------------------------------- */

/* What a sequence asks of a vocabulary. Lives as long as the sequence (in its engine or its prompt). */
struct spelling {
    const void *ctx;
    void (*put)(const void *ctx, struct detok *d, int32_t id, struct buf *out); /* appends whole characters */
    bool (*ends)(const void *ctx, int32_t id);                                  /* ends the model's turn */
    int32_t open, close;    /* thinking markers; both -1 for a model without */
    const int32_t *closing; /* [n_closing] tokens of the sentence that ends a thought early */
    size_t n_closing;
};

enum sequence_state { SEQUENCE_WAITING, SEQUENCE_PREFILL, SEQUENCE_DECODE, SEQUENCE_ENDED };

struct sequence {
    uint64_t id;
    struct engine_prompt *prompt; /* one reference */
    struct engine_params params;  /* stops are copies */
    struct spelling spelling;
    struct rng rng;

    /* Fixed at the start, in tokens. */
    int64_t tokens_max; /* params' and the context's, whichever is less */
    int64_t think_max;  /* thinking after which closing is forced */
    bool closing_text;  /* there is room to force the sentence too, not only the marker */

    enum engine_stage stage;
    bool blank_so_far; /* nothing but blanks came in this stage: they are not shown */
    bool thought;      /* it has thought or does: there is one thought */
    bool forcing;      /* the closing tokens are being forced; forced_at is the next */
    size_t forced_at;
    bool closed_by_budget;
    int64_t output_tokens, thinking_tokens;
    int32_t token; /* the last one, which the model reads next */
    enum engine_finish finish;
    struct detok detok;
    struct stop_scan stops;
    struct buf piece, text; /* of the last token: as spelled, and as shown */
    enum engine_stage text_stage;

    /* batch.c's and the kinds' */
    enum sequence_state state;
    struct kv *kv;    /* local */
    size_t prompt_at; /* local: prompt tokens given to the model */
    struct echo_state *echo;
    struct sequence *prev, *next; /* waiting list */
    UT_hash_handle hh;            /* live sequences by id */
};

/* prompt gains a reference. context: tokens of prompt and output together. */
struct sequence *sequence_open(uint64_t id, struct engine_prompt *prompt, const struct engine_params *params);
void sequence_close(struct sequence *s); /* NULL is fine */
/* Once, before the first token; sets the bounds. */
void sequence_start(struct sequence *s, const struct spelling *spelling, int64_t context);
/* The next token when it is not the model's choice, else -1: then no logits are needed. */
int32_t sequence_forced(const struct sequence *s);
/* Takes the next token: the forced one where there is one, else chosen. s->token is what became of it,
 * s->text what it shows of s->text_stage. True: the sequence ended, by s->finish. */
bool sequence_put(struct sequence *s, int32_t chosen);
/* Ends it here: s->text is what was held back and may be shown. */
void sequence_cancel(struct sequence *s);

/* --- sampling (sampler.c) --------------------------------------------------------------------------- */

struct sampler; /* scratch for one vocabulary size, reused for every sequence of one engine */
struct sampler *sampler_open(size_t n_vocab);
void sampler_close(struct sampler *s); /* NULL is fine */
/* uniform in [0, 1). -1: no logit is finite, or one is +inf. Logits are not changed. */
int32_t sampler_pick(struct sampler *s, const float *logits, double temperature, double top_p, double min_p,
                     double uniform);

/* --- kinds ----------------------------------------------------------------------------------------- */

/* All but prompt run on the engine's thread. */
struct engine_ops {
    const char *kind;
    enum err_code (*open)(struct engine *e, const struct engine_config *cfg,
                          struct err *err); /* fills info */
    void (*close)(struct engine *e);        /* also after a failed open */
    enum err_code (*prompt)(const struct engine *e, const struct engine_chat *chat, struct engine_prompt *p,
                            struct err *err); /* any thread; fills tokens, start, ids or script */
    /* Reserves all that the sequence may ever need and calls sequence_start. False: there is no room now; an
     * engine that runs nothing has room for any prompt that it accepted. */
    bool (*admit)(struct engine *e, struct sequence *s);
    void (*leave)(struct engine *e, struct sequence *s); /* gives it back; only after admit */
    /* One step of the running sequences, telling batch of every token. False: none could advance. */
    bool (*step)(struct engine *e);
};
extern const struct engine_ops engine_local, engine_echo;

struct engine {
    const struct engine_ops *ops;
    struct engine_info info;
    struct engine_sink sink;
    struct mailbox *commands;
    struct mailbox *opened; /* one message: how ops->open went */
    struct thread thread;
    atomic_llong generated; /* tokens */
    atomic_llong live;      /* sequences submitted and not ended */
    int sequences_max;

    /* The engine's thread only. */
    struct sequence **running; /* [n_running], in order of admission */
    size_t n_running;
    struct sequence *waiting; /* list */
    struct sequence *by_id;   /* hash of running and waiting */
    bool closing;
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
/* For the kinds' step: gives one token to s and tells the sink; s is SEQUENCE_ENDED when it was the last. */
void batch_token(struct engine *e, struct sequence *s, int32_t chosen);
void batch_fail(struct engine *e, struct sequence *s, const struct err *err);

#endif
