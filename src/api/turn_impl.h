/*
 * turn_impl.h - one request for text, from its body to its last byte: struct turn, and what decodes into it.
 *
 * The endpoints that generate (responses.c, chat.c, completions.c) fill the same struct, so that what follows the
 * decoding (turn.c) is written once. A worker fills it, the conductor's thread answers it.
 */
#ifndef THINKD_API_TURN_IMPL_H
#define THINKD_API_TURN_IMPL_H

#include "api/call_impl.h"

#define LABEL_CHARS_MAX 64 /* prompt_cache_key, safety_identifier */
#define STOPS_MAX       4
#define INPUT_CHARS_MAX 10485760
#define BIASES_MAX      1024    /* tokens of a logit_bias */
#define VERBOSITY_USUAL 1       /* medium */
#define LOGPROBS_MAX    4194304 /* of a request: tokens and their alternatives together */

struct completions_ask; /* reply_impl.h */
struct lane;            /* beside_impl.h */
struct turn;

/* --- tools.c ---------------------------------------------------------------------------------------- */

struct calls;
struct grammar;
/* Tools as the reply repeats them, and what the model may do with them. Hosted ones are inactive for want of a backend. */
struct tools {
    json_t *list;     /* normalised to the flat form, in the request's order; owned */
    json_t *choice;   /* as given, "auto" by default; owned */
    json_t *inactive; /* types of hosted tools; owned */
    json_t *only;     /* names of those that may be called; NULL: all; owned */
    bool none, required;
    bool functions; /* asked for in chat's older form, so that a call is told in it */
    /* What tools_bind makes of it; NULL where nothing can be called. */
    struct calls *calls;
    struct grammar *grammar; /* what an answer may be, the format included */
    struct grammar *refusal; /* what may stand in the place of an answer by a schema; NULL: nothing */
    json_t *omitted;         /* as a format's, of functions' parameters; owned */
    json_t *offered;         /* as Chat Completions has them, for the model; owned */
};
enum err_code tools_decode(struct tools *out, const json_t *tools, const json_t *choice, struct arena *arena,
                           struct err *err);
/* Behind tools_decode and the format: compiles what may be called. parallel: several calls in one answer. */
enum err_code tools_bind(struct turn *t, bool parallel, struct err *err);
bool tools_may_call(const struct tools *t);      /* an answer may have calls */
void tools_instruct(struct turn *t);             /* tells the model, where its template does not */
const json_t *tools_shown(const struct turn *t); /* what the engine is to show; NULL: nothing */
void tools_free(struct tools *t);

/* [A-Za-z0-9_-]{1,64}: what functions and schemas may be called. */
bool tool_name_is_good(struct str name);

/* --- format.c --------------------------------------------------------------------------------------- */

/* What form the answer has. All NULL: text. */
struct format {
    json_t *shown;           /* as a reply repeats it; owned */
    struct grammar *grammar; /* what the answer is held to; a reference */
    json_t *omitted; /* keywords of the schema that are not enforced, [{path, keyword}]; NULL: none; owned */
};
struct formats *formats_open(void);
void formats_close(struct formats *f); /* NULL is fine */
/* What was compiled of the same text before: its grammar and what it leaves out. False: nothing is kept of it. */
bool formats_take(struct formats *f, const char *key, struct format *out);
void formats_keep(struct formats *f, const char *key, const struct format *made);
/* text.format, or the one at path, and chat's response_format; an object. */
enum err_code format_decode(struct turn *t, const json_t *format, const char *path, struct err *err);
enum err_code format_decode_chat(struct turn *t, const json_t *format, struct err *err);
void format_instruct(struct turn *t); /* tells the model, behind all its messages were added */
void format_put(struct json_writer *w, const struct turn *t); /* as a value */
struct grammar *format_refusal(
    const struct turn *t); /* in place of an answer of its schema; NULL: it may not */
void format_free(struct format *f);

/* --- turn.c ----------------------------------------------------------------------------------------- */

/* One request for text, from its body to its last byte. A worker fills it, the conductor's thread answers
 * it; two references, the worker's and the job's, since either may finish first. */
struct turn {
    struct api *api;
    struct http_exchange
        *x;            /* the job's to answer, once there is a job; NULL: a background job's, or a lane's */
    struct lane *lane; /* the WebSocket that asked; borrowed until it was answered */
    struct access_owner owner;
    struct access_place place; /* until the job has ended, or there will be none */
    const struct turn_kind *kind;
    atomic_int refs;
    atomic_bool gone;      /* nobody reads any more: the client left, or is too slow */
    atomic_bool submitted; /* job_id is valid */
    uint64_t job_id;
    const struct store_job *row; /* of a background job that is built from the store again; the builder's */
    struct arena arena;          /* all strings of the request */
    json_t *doc;                 /* the body; its input is dropped once the prompt is made */

    /* what decode leaves */
    const struct tier *tier;
    const char *model;          /* as the reply names it */
    json_t *messages;           /* as engine_chat takes them */
    json_t *calls;              /* function calls among them by call_id, NULL: none; messages.c */
    bool stream, include_usage; /* include_usage: chat's, for streams */
    enum effort effort;
    bool effort_asked; /* the request names it */
    enum summary summary;
    struct reason_ask ask;
    struct str stops[STOPS_MAX];
    size_t n_stops;
    bool ignore_eos;
    float presence_penalty, frequency_penalty;
    const struct engine_bias *biases; /* in the arena */
    size_t n_biases;
    uint64_t seed;
    size_t choices;       /* of each prompt */
    struct {              /* what images and files of the request may still take; parts.c */
        int64_t until_ms; /* clock_mono_ms by which all of them are read; 0: none was yet */
        size_t text_bytes;
    } media;
    bool logprobs;        /* of what is generated */
    bool prompt_logprobs; /* of the prompts too, or in place of anything generated */
    int top_logprobs;
    struct tools tools;
    struct format format;
    const json_t *metadata; /* borrowed from doc; NULL: not given */
    bool store, background, truncate, obfuscate, sealed;
    bool trace;              /* the reply says how it came about */
    bool keeps;              /* the kind's keep is called with the answer */
    bool counts;             /* the prompt is made to be counted, and may be empty */
    bool all_turns;          /* thoughts of earlier turns stay, where they are known */
    struct str thought;      /* of the assistant's message that is added next */
    json_t *configured;      /* {"effort", "format"} of the items' configuration updates; NULL: none; owned */
    const char *format_path; /* of text.format, for errors; NULL: the request's own */
    struct str previous, conversation; /* ids, or empty */
    json_t *input;         /* with store or a lane: the request's own input items, normalised; owned */
    json_t *history;       /* the items before them; owned */
    int64_t compact_above; /* tokens of the prompt above which its window is compacted; 0: never */
    bool compacts;         /* a compaction_trigger ends the input: the item is the whole answer */
    struct str compaction; /* what the item that says so holds; empty: it was not */
    struct {               /* what a reply repeats, and nothing else looks at */
        struct field_string instructions, user, safety_identifier, prompt_cache_key;
        struct field_int max_output_tokens, max_tool_calls;
        int summary; /* index into summary_names, -1: not given */
        bool parallel_tool_calls;
        int verbosity; /* index into verbosities */
    } echo;

    struct completions_ask *completions; /* completions.c's own; NULL elsewhere */

    /* what prepare leaves */
    struct engine_prompt **prompts; /* [n_prompts]; the worker's, until the job is submitted */
    size_t n_prompts;
    struct plan plan;
    struct route *
        route; /* of models that are asked one after the other, with a prompt for each of them; NULL: there is none */
    const char *step_names[ROUTE_STEPS]; /* under which each step's model answers */
    struct str question;                 /* what the conversation asks last; conversations only */

    /* from turn.c and the sinks */
    char id[ID_SIZE];
    int64_t created_s, created_ms;
    bool began;         /* the stream was begun: there is no way back to a plain reply */
    int64_t shown;      /* numbered events that its client was sent; the conductor's thread */
    struct buf frame;   /* of the event being written; the conductor's thread */
    struct buf request; /* what the store keeps of the request, until the row is written */
    struct buf final;   /* the response as it was stored */
    bool final_holds;   /* final is the response as it stands: events that carry it need not write it again */
    struct buf *seal;   /* in the arena: its thought, sealed when its item was done */
};

/* How the endpoints differ once a request is there. */
struct turn_kind {
    const char *path;           /* "v1/responses", for messages */
    unsigned endpoint;          /* ENDPOINT_* that the model must offer */
    const char *id_prefix;      /* "resp_" */
    const char *input_param;    /* what an error of the prompt is about: "input", "messages" */
    const char *prompt_member;  /* of the body, dropped once the prompt is made */
    const char *logprobs_param; /* what asks for log-probabilities: "logprobs", "include" */
    bool raw;                   /* text goes on from text, without stages */
    enum err_code (*decode)(struct turn *t, struct err *err);
    enum err_code (*prepare)(struct turn *t, struct err *err); /* prompts and plan */
    /* One of the two writes streams: put as it goes, or encode for a log that others may read later. */
    void (*put)(void *turn, const struct job_event *ev, const struct job_view *job);
    void (*encode)(void *turn, const struct job_event *ev, const struct job_view *job, struct buf *json);
    void (*reply)(struct turn *t, const struct job_view *job, struct buf *body); /* the plain reply */
    /* Of an answer that has no job in the store: what is kept of it where t->keeps. */
    void (*keep)(struct turn *t, const struct job_view *job, struct store_tx *tx);
};

/* The values of fields that more than one endpoint has; each list ends in NULL. */
extern const char *const summary_names[]; /* auto, concise, detailed */
extern const char *const verbosities[];
extern const char *const truncations[];
extern const char *const service_tiers[];

/* Answers x: the whole path of one request. */
void turn_run(const struct call *c, const struct turn_kind *kind);
/* The same for a request that came over a WebSocket, as a message of so many bytes; doc changes hands. */
void turn_run_lane(struct lane *lane, struct api *a, const struct access_owner *owner, json_t *doc,
                   size_t bytes);
/* Nobody reads any more, so there is nothing to compute for. Any thread, until the turn was answered. */
void turn_cancel(struct turn *t);
/* prepare of the endpoints that take a conversation. */
enum err_code turn_prepare_chat(struct turn *t, struct err *err);
/* Adds the prompt of the conversation at an effort, truncated where the request allows it. */
enum err_code turn_open_prompt(struct turn *t, enum effort effort, struct err *err);
/* What the engine said of a prompt, in the words of the field that it came from. */
enum err_code turn_prompt_error(const struct turn *t, const char *param, struct err *err);
/* One SSE frame; event NULL has no event line. Cancels the job when nobody reads any more. */
void turn_write(struct turn *t, const char *event, struct str data);
/* Why a stream without event lines ends early: clients throw on it, and nothing but [DONE] comes behind it. */
void turn_write_failure(struct turn *t, const struct job_view *job);
/* The tokens of the prompt of t's messages as they stand; INT64_MAX: more than there is room for. */
enum err_code turn_measure(const struct turn *t, int64_t *tokens, struct err *err);
/* The tokens of the prompt that create would make of body. */
enum err_code turn_count_tokens(const struct call *c, json_t *body, int64_t *tokens, struct err *err);
/* The same turn built without a client, for jobs that are in the store: decoded and prepared. The caller's reference. */
enum err_code turn_rebuild(struct turn **out, struct api *a, const struct turn_kind *kind,
                           const struct store_job *row, struct err *err);
struct turn *turn_ref(struct turn *t);
void turn_unref(struct turn *t);
void turn_spec(const struct turn *t, struct job_spec *spec); /* all but record and watcher */
struct job_sink turn_sink(struct turn *t);

/* --- asked.c: each checks one field's meaning and stores it in t --------------------------------------- */

bool asked_as_aimlapi(const struct config *cfg);         /* whose defaults hold */
int64_t default_output_tokens(const struct config *cfg); /* 0: the tier's and the model's limit */
/* Whether the owner's key may use it. */
bool model_allowed(const struct config *cfg, const struct access_owner *owner, const struct tier *tier);
const char *model_name(const struct tier *tier, struct str asked, struct arena *arena); /* in replies */
enum err_code model_not_found(struct err *err, struct str asked);
enum err_code turn_set_model(struct turn *t, struct str asked, bool pro, struct err *err);
enum err_code turn_set_stops(struct turn *t, const json_t *stop, struct err *err);
enum err_code turn_set_metadata(struct turn *t, const json_t *metadata, struct err *err);
/* The same check on its own: 16 pairs, keys of 64 and values of 512 characters. metadata: an object, or NULL. */
enum err_code metadata_check(const json_t *metadata, struct arena *arena, struct err *err);
/* Given or not, they are checked by the tables. */
void turn_set_penalties(struct turn *t, struct field_real presence, struct field_real frequency);
/* logit_bias: {"token id": -100 to 100}; NULL: not given. */
enum err_code turn_set_biases(struct turn *t, const json_t *biases, struct err *err);
void turn_set_sampling(struct turn *t, struct field_real temperature, struct field_real top_p,
                       struct field_int seed);

/* --- routed.c --------------------------------------------------------------------------------------- */

/* Of a model that asks others: puts the one in its place that is to answer alone, where the request decides that. */
enum err_code route_choose(struct turn *t, struct err *err);
/* Prompts and plans of the others, where they are to be asked one after the other. */
enum err_code route_prepare(struct turn *t, struct err *err);

/* --- messages.c ------------------------------------------------------------------------------------- */

/* Append to t->messages. input: a string or items; messages: the chat form. */
enum err_code messages_from_input(struct turn *t, const json_t *input, struct err *err);
/* A compaction_trigger at the end of the input is taken off, and t->compacts set. */
enum err_code messages_take_trigger(struct turn *t, json_t *input, struct err *err);
enum err_code messages_from_history(struct turn *t, const json_t *items, const char *path, struct err *err);
enum err_code messages_from_chat(struct turn *t, const json_t *messages, struct err *err);
void messages_add(struct turn *t, const char *role, struct str text, struct str name);
/* Function calls among items that stand before the input and are not added to the messages: their outputs may follow. */
void messages_note_calls(struct turn *t, const json_t *items);
enum err_code messages_check_calls(const struct turn *t, struct err *err); /* every call has its output */
/* Asks for an answer of that length, index into verbosities, in the first system message; the middle one asks for nothing. */
void messages_set_verbosity(struct turn *t, int verbosity);
/* A line of its own at the end of the first system message, which a template may only have one of, or that message. */
void messages_instruct(struct turn *t, struct str line);

/* --- parts.c -------------------------------------------------------------------------------------------- */

/* Appends the text of a message's content to out: a string as it is, parts one after the other with a line break between,
 * images and files in words. NULL is no text. */
enum err_code content_text(struct turn *t, const json_t *content, const char *path, struct buf *out,
                           struct err *err);

/* --- prompt.c ------------------------------------------------------------------------------------------- */

/* Where the body names a template, puts what that gives into the body, before its fields are looked at: what the request
 * says itself wins. The member "prompt" stays, for the reply. */
enum err_code prompt_apply(struct api *a, json_t *body, struct arena *arena, struct err *err);

/* --- compact.c -------------------------------------------------------------------------------------- */

/* input with the compaction items in it replaced by what they hold, each item where it once stood, the newest that come to
 * at most tokens_max. *out is the caller's, also where there was nothing to replace. */
enum err_code compaction_expand(json_t **out, const struct api *a, struct str owner, const json_t *input,
                                int64_t tokens_max, struct arena *arena, struct err *err);
/* Whether a compaction item is this owner's; path is the item's. ERR_ENCRYPTED_CONTENT, or that of a field. */
enum err_code compaction_check(const struct api *a, struct str owner, const json_t *item, const char *path,
                               struct arena *arena, struct err *err);
/* tokens_max for a request that is to be answered: a share of the window of t's tier and the loaded model. */
int64_t compaction_room(const struct turn *t);
/* Where t's prompt is longer than t->compact_above, or t->compacts: seals the newest of the window's items, from a user message on
 * and together at most half of that (of the window, where there is none), and what lasts, in t->compaction. *window: the item in
 * whose place they stand, the caller's; NULL where nothing was to be done. */
enum err_code compaction_make(struct turn *t, const json_t *items, json_t **window, struct err *err);

#endif
