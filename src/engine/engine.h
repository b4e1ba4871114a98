/*
 * engine.h - advance token sequences on a model, wherever that model runs.
 *
 * It does not know why a sequence is run, so the same reasoning drives a local model, a remote one
 * and the echo engine of the tests. What bounds a sequence (budget, closing text, stops) travels with its
 * submission, so what it generates never depends on when a message arrives; the same seed gives the same
 * tokens alone and in a batch.
 *
 * Threads:   any thread may call; the sink runs on the engine's thread and does no more than post to a mailbox.
 * Ownership: prompts are reference-counted; an event is valid until the sink returns.
 * Invariant: each submitted sequence ends in exactly one ENGINE_DONE or ENGINE_FAILED, cancelled ones too.
 */
#ifndef THINKD_ENGINE_ENGINE_H
#define THINKD_ENGINE_ENGINE_H

#include "base/err.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct engine;
struct engine_prompt; /* a conversation, made ready for this engine: rendered and tokenised */

enum engine_stage { ENGINE_THINKING, ENGINE_ANSWER };
enum engine_kind { ENGINE_TEXT, ENGINE_DONE, ENGINE_FAILED };
enum engine_finish {
    FINISH_STOP,   /* the model ended its turn, or a stop string was found */
    FINISH_LENGTH, /* tokens_max, or the end of the context */
    FINISH_CANCELLED
};

struct engine_event {
    enum engine_kind kind;
    uint64_t seq;
    /* ENGINE_TEXT: whole characters of one stage, at most one event a step; text may be empty when a token
     * brought none (a marker, half a character). */
    enum engine_stage stage;
    struct str text;
    /* Totals of the sequence so far, in tokens. thinking counts the markers and forced tokens too, so
     * output - thinking is what belongs to the visible answer. */
    int64_t output_tokens, thinking_tokens;
    int64_t cached_tokens; /* of the prompt, not computed again */
    /* ENGINE_DONE */
    enum engine_finish finish;
    bool closed_by_budget; /* the thought was ended by think_tokens_max */
    /* ENGINE_FAILED */
    struct err err;
};

struct engine_sink {
    void (*put)(void *ctx, const struct engine_event *ev);
    void *ctx;
};

struct engine_config {
    const char *kind;       /* "local", "echo" */
    const char *model_path; /* NULL: bundled */
    int threads;
    int64_t context, kv_bytes_max;
    int sequences_max; /* computed side by side; more wait in order */
};

struct engine_info {
    const char *model;       /* name to show */
    const char *description; /* one line: architecture, size, type, instruction set */
    int64_t context;         /* tokens of prompt and output together */
    int64_t thinking_tokens; /* nominal length of a thought (REASONING.md 1.4's T) */
    bool thinks;             /* the model marks thinking and has a template that asks for it */
};

/* How one sequence is to be generated. Strings are copied at submission. */
struct engine_params {
    uint64_t seed, stream; /* branch i of a request draws from (seed, i) */
    double temperature;    /* 0: greedy */
    double top_p, min_p;   /* 1 and 0: off */
    int64_t tokens_max;    /* generated in all, > 0; the context's end binds too */
    int64_t
        think_tokens_max; /* thinking before the closing text is forced; -1: no bound but tokens_max - answer_tokens_min */
    int64_t
        answer_tokens_min; /* kept free of thinking out of tokens_max and context, so that an answer fits */
    struct str stops[4];   /* visible text only, never inside thinking */
    size_t n_stops;
    bool ignore_eos; /* generate until tokens_max */
};

enum err_code engine_open(struct engine **out, const struct engine_config *cfg, struct engine_sink sink,
                          struct err *err);
void engine_close(struct engine *e); /* fails what still runs, joins its thread; NULL is fine */
const struct engine_info *engine_info(const struct engine *e);

/* A conversation: messages as the chat template wants them ([{role, content[, name]}], content a string),
 * the effort's name for templates that read it. think false asks for an answer without thinking. */
struct engine_chat {
    const json_t *messages; /* borrowed during the call */
    const char *effort;     /* "low", ... */
    bool think;
};
/* Costs milliseconds, so workers call it. Errors: ERR_CONTEXT_LENGTH when the prompt leaves no room for one
 * token (message gives both numbers), ERR_INVALID_VALUE from the template. *out has one reference. */
enum err_code engine_prompt_open(struct engine_prompt **out, const struct engine *e,
                                 const struct engine_chat *chat, struct err *err);
struct engine_prompt *engine_prompt_ref(struct engine_prompt *p);
void engine_prompt_unref(struct engine_prompt *p); /* NULL is fine */
int64_t engine_prompt_tokens(const struct engine_prompt *p);

/* seq is the caller's choice, not in use. The engine takes its own reference to prompt. False: the engine
 * has more waiting than it accepts; nothing will be sent for seq. */
bool engine_submit(struct engine *e, uint64_t seq, struct engine_prompt *prompt,
                   const struct engine_params *params);
/* The sequence ends with FINISH_CANCELLED within one step; one that has ended already is fine. */
void engine_cancel(struct engine *e, uint64_t seq);

/* Tokens generated since the start, over all sequences: what tests of cancelling count. */
int64_t engine_tokens_generated(const struct engine *e);

#endif
