/*
 * engine.h - advance token sequences on a model, wherever that model runs.
 *
 * It does not know why a sequence is run, so the same reasoning drives a local model, a remote one
 * and the echo engine of the tests. What bounds a sequence (budget, closing text, stops) travels with its
 * submission, so what it generates never depends on when a message arrives; the same seed gives the same
 * tokens alone and in a batch. Sequences whose prompts begin alike share what is computed of them.
 *
 * Threads:   any thread may call; the sink runs on the engine's thread and does no more than post to a mailbox.
 * Ownership: prompts are reference-counted; an event is valid until the sink returns.
 * Invariant: each submitted sequence ends in exactly one ENGINE_DONE or ENGINE_FAILED, cancelled ones too.
 */
#ifndef THINKD_ENGINE_ENGINE_H
#define THINKD_ENGINE_ENGINE_H

#include "base/err.h"
#include "base/str.h"
#include "kernel/kernel.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct engine;
struct grammar;       /* grammar.h */
struct engine_prompt; /* a conversation, made ready for this engine: rendered and tokenised */

enum engine_stage { ENGINE_THINKING, ENGINE_ANSWER };
enum engine_kind {
    ENGINE_PROMPT, /* one token of the prompt with its log-probability, where that was asked for */
    ENGINE_TEXT,
    ENGINE_DONE,
    ENGINE_FAILED
};
enum engine_finish {
    FINISH_STOP,   /* the model ended its turn, or a stop string was found */
    FINISH_LENGTH, /* tokens_max, or the end of the context */
    FINISH_CANCELLED
};

#define ENGINE_TOP_LOGPROBS_MAX 20

/* One token as the model saw it: natural logarithms of probabilities at temperature 1, before top-p and min-p, and before
 * penalties, biases and the grammar. */
struct engine_token {
    int32_t id;    /* -1: none in this event */
    float logprob; /* of id; NAN for forced tokens and a prompt's first */
    float
        confidence; /* -(1/k) sum of the logprobs of the k likeliest, k = min(20, vocabulary): high is peaked (arXiv 2508.15260) */
    int n_top;      /* alternatives asked for by top_logprobs, best first; engine_token_text spells them */
    struct {
        int32_t id;
        float logprob;
    } top[ENGINE_TOP_LOGPROBS_MAX];
};

/* Confidence of a sequence so far (arXiv 2508.15260, section 3): windows of `window` tokens that the model chose. All NAN
 * until there is a first token; the windows' figures until one is full. */
struct engine_confidence {
    int64_t tokens; /* that the model chose: forced ones do not count */
    int window;
    float mean_logprob; /* of the chosen tokens */
    float mean;         /* of token confidence */
    float last_window;  /* mean over the newest window; at the end: the tail confidence */
    float lowest_window;
    float bottom_tenth; /* mean of the lowest tenth of windows; only in ENGINE_DONE */
};

struct engine_event {
    enum engine_kind kind;
    uint64_t seq;
    /* ENGINE_TEXT: one token, whole characters of one stage; text may be empty when the token brought none (a marker,
     * half a character). A step brings several where guesses held. Every token that is counted has one such event with
     * its id, forced ones too; text that was held back when a cancel came has one more, of no token (id -1). */
    enum engine_stage stage;
    struct str text;
    struct engine_token token; /* ENGINE_PROMPT and ENGINE_TEXT */
    struct engine_confidence confidence;
    /* Totals of the sequence so far, in tokens. thinking counts the markers and forced tokens too, so
     * output - thinking is what belongs to the visible answer. */
    int64_t output_tokens, thinking_tokens;
    int64_t cached_tokens; /* of the prompt, not computed again */
    /* ENGINE_DONE */
    enum engine_finish finish;
    bool closed_by_budget;  /* the thought was ended by think_tokens_max */
    bool closed_by_grammar; /* the shortest end that the grammar has was put instead of the model's choice */
    /* ENGINE_FAILED */
    struct err err;
};

/* A listener that has to be woken may leave that to flush, or leave flush NULL. It is called after put, before the engine
 * sleeps and before and after a step, but where steps take microseconds only once in a while: to wake a thread costs
 * more than such a step does. */
struct engine_sink {
    void (*put)(void *ctx, const struct engine_event *ev);
    void *ctx;
    void (*flush)(void *ctx);
};

/* Tokens that are computed before it is certain that they come. No token ever depends on it. */
enum engine_speculation {
    SPECULATION_OFF,   /* one token of a sequence in a step */
    SPECULATION_LOOKUP /* what followed the last time the text went like this, and forced tokens at once */
};

struct engine_config {
    const char *kind;       /* "local", "echo" */
    const char *model_path; /* NULL: bundled */
    int threads;
    int64_t context, kv_bytes_max;
    enum kv_type kv_type;
    unsigned cpu_mask;                   /* CPU_* bits that may be used */
    int sequences_max;                   /* computed side by side; more wait */
    enum engine_speculation speculation; /* of a local model */
};

struct engine_info {
    const char *model;       /* name to show */
    const char *description; /* one line: architecture, size, type, instruction set */
    int64_t context;         /* tokens of prompt and output together */
    int64_t thinking_tokens; /* nominal length of a thought (REASONING.md 1.4's T) */
    bool thinks;             /* the model marks thinking and has a template that asks for it */
    int32_t vocabulary;      /* tokens; 0 where the engine does not say */
    const char *
        calls; /* the form in which it writes calls of tools (grammar.h); NULL: none that it was trained for */
    bool shows_tools; /* its template shows the tools of a conversation; else a message must */
    /* How each of the model's refusals begins, with a letter that begins no JSON; NULL: it is not known for any. */
    const char *refusal;
    struct grammar *refusals;         /* what they may be where no calls are; NULL as refusal. The engine's */
    double temperature, top_p, min_p; /* that the model's file advises; NAN: it does not */
};

/* Which sequences go first when not all fit: whoever waits for an answer on the line, then the rest. */
enum engine_priority { ENGINE_INTERACTIVE, ENGINE_BACKGROUND };

/* A token that an earlier run of a sequence came to, as its ENGINE_TEXT event told of it. */
struct engine_past {
    int32_t id;
    float logprob, confidence; /* NAN: it was forced */
};

/* Added to a token's logit before one is chosen. */
struct engine_bias {
    int32_t id; /* of the vocabulary: the caller has checked it */
    float bias; /* finite */
};

#define CONTINUE_TOKENS_MIN  16 /* a look at anything takes as many */
#define CONTINUE_THOUGHT_MIN 32 /* what is shorter has worked nothing out */
#define CONTINUE_WORD_MAX    16

/* How one sequence is to be generated. Strings, biases and past are copied at submission. */
struct engine_params {
    enum engine_priority priority;
    uint64_t group;        /* sequences of one request; groups of one priority take turns */
    int top_logprobs;      /* alternatives a token's event brings, 0 .. ENGINE_TOP_LOGPROBS_MAX */
    bool prompt_logprobs;  /* ENGINE_PROMPT for each token of the prompt before the first ENGINE_TEXT */
    uint64_t seed, stream; /* branch i of a request draws from (seed, i) */
    double temperature;    /* 0: greedy */
    double top_p, min_p;   /* 1 and 0: off */
    /* What follows bends the choice of the visible answer's tokens and nothing else: a thought goes over its numbers and
     * steps again, so it is neither punished for that, nor does it count against the answer, nor can a token that the
     * answer must not show be missing in it. What events say of a token stays the model's own. */
    float presence_penalty,
        frequency_penalty; /* logit -= frequency * count + presence * (count > 0), of the answer so far */
    const struct engine_bias *biases;
    size_t n_biases;
    /* What the visible answer is held to, from its first token on, however the thought before it was closed; NULL: nothing.
     * A reference is taken at submission. The sequence ends with FINISH_STOP when the text is over, or is whole and the
     * model ends it; with ignore_eos only when it is over. Where tokens_max or the context leaves just enough for the
     * shortest text that makes it whole, that is put instead of the model's choice, and the sequence ends with FINISH_STOP
     * too, with closed_by_grammar; an answer that is not whole then ended with FINISH_LENGTH. Tokens that can only be these are
     * put without asking the model, as forced ones. The text is what the answer's events say, to the byte. */
    struct grammar *grammar;
    /* The model may refuse instead: a text of this one, the engine's refusals or one of grammar_open_refusal. Where the two part
     * decides, and nothing forces it: a closing is the grammar's. NULL: it may not. A reference is taken, too. */
    struct grammar *refusal;
    int64_t
        tokens_max; /* generated in all, > 0 (0 with prompt_logprobs: only the prompt is read); the context's end binds too */
    int64_t
        think_tokens_max; /* thinking before the closing text is forced; -1: no bound but tokens_max - answer_tokens_min */
    /* How often a thought that the model itself ends is sent back: in place of the marker that ends it stands the model's text
     * for that (thinkd.thinking.continue_text), forced, counted and shown as a part of the thought like the closing
     * text. Not where the model has no such text, where the thought has fewer than CONTINUE_THOUGHT_MIN tokens or fewer than
     * CONTINUE_TOKENS_MIN of its bound would be left behind it, or where the thought has said one of the words already, at the
     * beginning of a word of its own, capitals or not. Words are ASCII, in lower case and static; NULL behind the last. */
    int continues;
    const char *const *continue_unless; /* NULL: no words */
    int64_t
        answer_tokens_min; /* kept free of thinking out of tokens_max and context, so that an answer fits */
    struct str stops[4];   /* visible text only, never inside thinking */
    size_t n_stops;
    bool ignore_eos; /* generate until tokens_max */
    /* The tokens that a run of the same prompt with the same parameters has come to already: this one goes on as that one
     * would have, token by token, with its random numbers, budgets, stops and confidence, and with the text that one still
     * held back. Nothing is sent for them, nor for the prompt with prompt_logprobs, and they count in output_tokens, but
     * not as generated. Where they are all there is, ENGINE_DONE comes at once. ENGINE_FAILED when no such run can have
     * made them: one is not of the vocabulary or not the one that was forced there, or more follow an end. The totals of an
     * ENGINE_FAILED may fall short of them. The echo engine counts them and does not look at their ids. */
    const struct engine_past *past;
    size_t n_past;
};

enum err_code engine_open(struct engine **out, const struct engine_config *cfg, struct engine_sink sink,
                          struct err *err);
void engine_close(struct engine *e); /* fails what still runs, joins its thread; NULL is fine */
const struct engine_info *engine_info(const struct engine *e);

/* A conversation: messages as the chat template wants them ([{role, content[, name]}], content a string), but that the
 * tool_calls of an assistant's message are [{id, name, arguments}], arguments the JSON text, and a message of the role
 * "tool" says its tool_call_id; the effort's name for templates that read it. think false asks for an answer without thinking. */
struct engine_chat {
    const json_t *messages; /* borrowed during the call */
    const char *effort;     /* "low", ... */
    bool think;
    const json_t
        *tools;    /* as Chat Completions has them, where the engine shows tools; NULL: none; borrowed */
    bool may_call; /* the reply is held to a grammar of calls in the engine's form */
};
/* Costs milliseconds, so workers call it. Errors: ERR_CONTEXT_LENGTH when the prompt leaves no room for one
 * token (message gives both numbers), ERR_INVALID_VALUE from the template. *out has one reference. */
enum err_code engine_prompt_open(struct engine_prompt **out, const struct engine *e,
                                 const struct engine_chat *chat, struct err *err);
/* Text as it stands, without template: for completions. special: control tokens in it are found. */
enum err_code engine_prompt_open_text(struct engine_prompt **out, const struct engine *e, struct str text,
                                      bool special, struct err *err);
/* Token ids. ERR_INVALID_VALUE: one is not of the vocabulary; ERR_CONTEXT_LENGTH as above. */
enum err_code engine_prompt_open_ids(struct engine_prompt **out, const struct engine *e, const int32_t *ids,
                                     size_t n, struct err *err);
/* What is computed of a prompt is shared among prompts of one salt alone: neither cached_tokens nor time tell anything of another
 * salt's. 0, as it is opened: shared by all of 0. Before the prompt is submitted or referenced again. */
void engine_prompt_set_salt(struct engine_prompt *p, uint64_t salt);
struct engine_prompt *engine_prompt_ref(struct engine_prompt *p);
void engine_prompt_unref(struct engine_prompt *p); /* NULL is fine */
int64_t engine_prompt_tokens(const struct engine_prompt *p);
const int32_t *engine_prompt_ids(const struct engine_prompt *p);                       /* [tokens] */
bool engine_prompt_same(const struct engine_prompt *a, const struct engine_prompt *b); /* token by token */
/* The bytes that a token stands for, half characters as they are; a control token's own spelling. Any thread. */
struct str engine_token_text(const struct engine *e, int32_t id);

#define ENGINE_WAITING_MAX 65536 /* sequences that may wait, beside the sequences_max that run */
/* seq is the caller's choice, not in use. The engine takes its own reference to prompt. False: the engine
 * has more waiting than it accepts; nothing will be sent for seq. */
bool engine_submit(struct engine *e, uint64_t seq, struct engine_prompt *prompt,
                   const struct engine_params *params);
/* The sequence ends with FINISH_CANCELLED within one step; one that has ended already is fine. */
void engine_cancel(struct engine *e, uint64_t seq);

/* Where the engine stands, as of its last step. Any thread. */
struct engine_stats {
    int64_t running, waiting; /* sequences now */
    /* Since the start. */
    int64_t generated; /* tokens; cancelled and failed sequences' too */
    int64_t
        prefilled; /* tokens that were read: of prompts, and again of sequences that had stepped back or have a past */
    int64_t cached;    /* tokens that need not be read: found as they were admitted */
    int64_t preempted; /* how often a running sequence stepped back for another */
    int64_t steps;
    int64_t guessed, accepted; /* tokens put in a step by lookup, and how many of them came */
    /* Pages of keys and values: of sequences, kept for later prompts, given up; all 0 for an engine without. */
    int64_t kv_pages, kv_pages_used, kv_pages_kept, kv_page_bytes, kv_pages_evicted;
};
void engine_stats(const struct engine *e, struct engine_stats *out);
/* The same as stats.generated, and never behind an event that was sent: what tests of cancelling count. */
int64_t engine_tokens_generated(const struct engine *e);

#endif
