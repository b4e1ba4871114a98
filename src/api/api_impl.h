/*
 * api_impl.h - what the files of api/ share.
 *
 * A request becomes a turn: decoded and checked on a worker (decode), its prompt made, handed to the
 * conductor as a job, answered by the job's sink. The endpoints that generate (responses.c, chat.c, completions.c) fill
 * the same struct turn, so that what follows the decoding (turn.c) is written once.
 */
#ifndef THINKD_API_API_IMPL_H
#define THINKD_API_API_IMPL_H

#include "api/api.h"

#include "base/arena.h"

#include <stdatomic.h>

#define LABEL_CHARS_MAX 64 /* prompt_cache_key, safety_identifier */
#define STOPS_MAX       4
#define INPUT_CHARS_MAX 10485760
#define BIASES_MAX      1024    /* tokens of a logit_bias */
#define VERBOSITY_USUAL 1       /* medium */
#define LOGPROBS_MAX    4194304 /* of a request: tokens and their alternatives together */

#define ID_HEX_DIGITS 48
#define ID_PREFIX_MAX 31
#define ID_SIZE       (ID_PREFIX_MAX + ID_HEX_DIGITS + 1)

void id_make(char id[ID_SIZE],
             const char *prefix); /* "msg_" + 48 hex digits, younger ids behind older ones */

struct later;
struct lane;
struct lanes;
struct api {
    const struct config *cfg;
    struct access *access;
    struct store *store;
    struct conductor *conductor;
    struct arena arena;
    struct http_route *routes; /* of each endpoint in each family of paths */
    size_t n_routes;
    struct later *later;  /* what may wait for the disk and has no worker */
    struct lanes *lanes;  /* open WebSockets */
    char fingerprint[16]; /* "fp_" + 10 hex digits that change with the model */
    struct seal *seal;
    struct idempotency *idempotency;
    struct retention *retention;
    struct webhooks *webhooks; /* NULL: no webhook_url */
    struct prompts *prompts;
};

/* --- endpoints.c ------------------------------------------------------------------------------------ */

/* A request that was let in: whose it is, and the exchange that its handler answers exactly once, now or later. Lives
 * until the handler returns. Its place among the owner's limits is given back when the handler returns, unless the handler
 * has moved it to what goes on living (access_place_move): so a way out that forgets it leaks nothing. */
struct call {
    struct api *api;
    struct http_exchange *x;
    struct access_owner owner;
    struct access_place *place; /* empty where the endpoint does not generate */
    struct str deployment;      /* Azure: the model that the path names; else empty */
    bool again;                 /* it has waited for what it asks for; arriving.c */
};

enum {
    EP_KEY = 1,     /* the caller needs a key */
    EP_JSON = 2,    /* the body is JSON, as large as the configuration allows */
    EP_FORM = 4,    /* the body is multipart/form-data, as large as the configuration allows */
    EP_THINK = 8,   /* generates: it counts against the owner's limits and its replies say how they stand */
    EP_LIST = 16,   /* needs no key where the configuration's models_without_key says so */
    EP_SOCKET = 64, /* becomes a WebSocket, whose messages are as large as the configuration allows */
    EP_BODY = 32    /* a body is let pass unread: some clients send an empty object */
};

/* A row of the endpoint table: everything dispatch needs to know about a path. */
struct endpoint {
    const char *method, *path;
    void (*handle)(const struct call *c);
    unsigned flags;
    const char *const *query; /* NULL-terminated names of the query parameters that it reads; NULL: none */
};

/* Row i of the endpoint table, and the i-th field table; NULL past the end. */
const struct endpoint *endpoint_row(size_t i);
struct http_route *endpoint_routes(size_t *n, size_t body_max, struct arena *arena);
const struct field_table *field_table_at(size_t i);

/* --- limits.c ------------------------------------------------------------------------------------------- */

/* Takes a place among the owner's limits for a request with this much text, and says on the reply how they stand; also
 * when it is refused. */
enum err_code limits_enter(struct access *a, const struct access_owner *owner, struct http_exchange *x,
                           struct access_place *place, struct err *err);
int64_t limits_estimate(size_t bytes);          /* tokens of a request that is so long */
void put_duration(struct buf *out, int64_t ms); /* as Go writes one: "12ms", "1.5s", "6m0s" */

/* --- put.c: a key and its value ------------------------------------------------------------------------ */

void put_text(struct json_writer *w, const char *key, const char *value); /* NULL writes null */
void put_string(struct json_writer *w, const char *key, struct str value);
void put_int(struct json_writer *w, const char *key, int64_t value);
void put_raw(struct json_writer *w, const char *key, struct str json);
void put_value(struct json_writer *w, const char *key, const json_t *value);

/* --- errors.c --------------------------------------------------------------------------------------- */

void reply_error(struct http_exchange *x, const struct err *err);
void reply_json(struct http_exchange *x, int status, const struct buf *body);
/* message, type, param, code; without the type where the object has one of its own. */
void put_error_fields(struct json_writer *w, const struct err *err, bool with_type);

/* "Unsupported value: 'x' is not supported ...": the API knows it, this server cannot do it. why may be NULL. */
enum err_code refuse_unsupported(struct err *err, const char *param, const char *got, const char *why);

/* --- encode.c --------------------------------------------------------------------------------------- */

#define SHA256_HEX_SIZE 65                             /* 64 digits and a NUL */
void base64_put(struct buf *out, struct str bytes);    /* RFC 4648, with padding */
bool base64_get(struct buf *out, struct str text);     /* strict; what was put before it failed stays */
void base64url_put(struct buf *out, struct str bytes); /* its section 5, without padding */
bool base64url_get(struct buf *out, struct str text);
void sha256_hex(char out[SHA256_HEX_SIZE], const struct str *pieces,
                size_t n); /* of the pieces, one after the other */

/* --- seal.c ----------------------------------------------------------------------------------------- */

#define SEAL_TOKEN_MAX 10485760 /* characters: what the API lets encrypted_content be */
#define SEAL_PLAIN_MAX 7864000  /* bytes that fit in it */
struct seal;
/* secrets: the first seals, all open. None: the file "secret" in dir, made if it is not there, or, without dir, one that ends
 * with the process. ERR_CONFIG, ERR_FILE. */
enum err_code seal_open(struct seal **out, const struct config_list *secrets, const char *dir,
                        struct err *err);
void seal_close(struct seal *s); /* NULL is fine */
/* Appends a token that only this owner can have opened, and only as this kind ("reasoning", "compaction"). False: plain is
 * longer than SEAL_PLAIN_MAX. */
bool seal_put(const struct seal *s, struct str owner, const char *kind, struct str plain, struct buf *out);
/* Appends what was sealed. ERR_ENCRYPTED_CONTENT with param for anything else than a token of this owner and kind. */
enum err_code seal_get(const struct seal *s, struct str owner, const char *kind, struct str token,
                       const char *param, struct buf *plain, struct err *err);

/* --- compact.c -------------------------------------------------------------------------------------- */

/* input with the compaction items in it replaced by what they hold, each item where it once stood, the newest that come to
 * at most tokens_max. *out is the caller's, also where there was nothing to replace. */
enum err_code compaction_expand(json_t **out, const struct api *a, struct str owner, const json_t *input,
                                int64_t tokens_max, struct arena *arena, struct err *err);
/* tokens_max for a request that is to be answered: a share of the window of t's tier and the loaded model. */
struct turn;
int64_t compaction_room(const struct turn *t);

/* --- idempotency.c ---------------------------------------------------------------------------------- */

struct idempotency;
void idempotency_open(struct idempotency **out, struct store *store,
                      int64_t keep_ms);        /* keep_ms 0: keys are ignored */
void idempotency_close(struct idempotency *t); /* after every exchange was answered; NULL is fine */
/* True: the request is a repeat by its Idempotency-Key, and x was answered. Else its answer will be heard and kept. */
bool idempotency_answered(const struct call *c);
/* A background response's row is on disk: from here on a repeat of the request that x brought gets its stream. Before x is answered. */
void idempotency_accepted(struct idempotency *t, const struct http_exchange *x, struct str id,
                          bool obfuscate);

/* --- webhooks.c ------------------------------------------------------------------------------------- */

struct webhooks;
struct webhooks_config {
    struct store *store; /* borrowed */
    const char *url, *secret;
    int64_t (*now_ms)(void); /* NULL: the wall clock */
};
/* Goes on with what is stored. ERR_CONFIG. fetch_start comes before. */
enum err_code webhooks_open(struct webhooks **out, const struct webhooks_config *cfg, struct err *err);
void webhooks_close(struct webhooks *w); /* waits for a try under way; NULL is fine */
/* Adds an event ("response.completed", ...) to the transaction that ends a background job; webhooks_wake comes after its
 * commit. w NULL: nothing. Any thread. */
void webhooks_tx(struct webhooks *w, struct store_tx *tx, const char *type, struct str response_id);
void webhooks_wake(struct webhooks *w);
/* Appends "v1,<base64>" as Standard Webhooks has it. */
void webhook_sign(struct buf *out, struct str secret, struct str id, int64_t timestamp_s, struct str body);

/* --- tools.c ---------------------------------------------------------------------------------------- */

/* Tools as the reply repeats them. No tool is offered to the model in this version: hosted ones are inactive
 * for want of a backend, functions are accepted only where tool_choice rules out that they are called. */
struct tools {
    json_t *list;     /* normalised to the flat form; owned */
    json_t *choice;   /* as given, "auto" by default; owned */
    json_t *inactive; /* types of hosted tools; owned */
};
enum err_code tools_decode(struct tools *out, const json_t *tools, const json_t *choice, struct arena *arena,
                           struct err *err);
void tools_free(struct tools *t);

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
    const json_t *metadata; /* borrowed from doc; NULL: not given */
    bool store, background, truncate, obfuscate, sealed;
    bool keeps;                        /* the kind's keep is called with the answer */
    bool counts;                       /* the prompt is made to be counted, and may be empty */
    bool all_turns;                    /* thoughts of earlier turns stay, where they are known */
    struct str thought;                /* of the assistant's message that is added next */
    struct str previous, conversation; /* ids, or empty */
    json_t *input;   /* with store or a lane: the request's own input items, normalised; owned */
    json_t *history; /* the items before them; owned */
    struct {         /* what a reply repeats, and nothing else looks at */
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

    /* from turn.c and the sinks */
    char id[ID_SIZE];
    int64_t created_s, created_ms;
    bool began;         /* the stream was begun: there is no way back to a plain reply */
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
extern const char *const format_types[];
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
/* What the engine said of a prompt, in the words of the field that it came from. */
enum err_code turn_prompt_error(const struct turn *t, const char *param, struct err *err);
/* One SSE frame; event NULL has no event line. Cancels the job when nobody reads any more. */
void turn_write(struct turn *t, const char *event, struct str data);
/* Why a stream without event lines ends early: clients throw on it, and nothing but [DONE] comes behind it. */
void turn_write_failure(struct turn *t, const struct job_view *job);
/* The tokens of the prompt that create would make of body. */
enum err_code turn_count_tokens(const struct call *c, json_t *body, int64_t *tokens, struct err *err);
/* The same turn built without a client, for jobs that are in the store: decoded and prepared. The caller's reference. */
enum err_code turn_rebuild(struct turn **out, struct api *a, const struct turn_kind *kind,
                           const struct store_job *row, struct err *err);
struct turn *turn_ref(struct turn *t);
void turn_unref(struct turn *t);
void turn_spec(const struct turn *t, struct job_spec *spec); /* all but record and watcher */
struct job_sink turn_sink(struct turn *t);

/* --- kept.c: responses in the store ------------------------------------------------------------------- */

extern const struct turn_kind responses_kind;

/* What the store keeps of the request: before its input is dropped. */
void kept_request(struct turn *t);
void kept_begin(void *turn, const struct job_view *job, struct store_tx *tx);  /* as job_sink's */
void kept_finish(void *turn, const struct job_view *job, struct store_tx *tx); /* as job_sink's */
/* What the conversation of a response that is not stored itself gains; as turn_kind's. */
void kept_in_conversation(struct turn *t, const struct job_view *job, struct store_tx *tx);
/* Tells of the end of a background response whoever is to be called, as part of tx; webhooks_wake follows the commit. */
void kept_webhook(struct api *a, struct store_tx *tx, enum store_status status, struct str id);
/* Accepts a background response: answers its exchange when its row is on disk. Takes over the caller's reference where
 * it returns ERR_OK. */
enum err_code background_accept(struct turn *t, struct err *err);
enum err_code background_revive(void *api, const struct store_job *row,
                                struct err *err); /* as job_reviver's */
void background_orphan(void *api, const struct store_job *row);

/* --- websocket.c: responses over one connection ------------------------------------------------------------- */

struct lanes *lanes_open(struct api *a);
void lanes_close(struct lanes *all); /* every connection is closed, and later too; NULL is fine */

/* The items of the connection's last response and all before it. False: id is not that response. */
bool lane_history(struct lane *l, struct str id, json_t *items);
void lane_begins(struct lane *l, struct turn *t);
void lane_event(struct lane *l, struct str json);
/* The turn is over, well or not: its last event was sent, or err says what there is instead. t is not looked at again. */
void lane_answered(struct lane *l, struct turn *t, const struct err *err);

/* --- later.c: a thread for what may wait for the disk and has no worker ------------------------------------- */

struct later *later_open(void);
void later_close(struct later *l); /* runs what is due, drops no call; NULL is fine */
bool later_stops(struct later *l); /* what is put off is called now and must not be put off again */
/* Calls fn(ctx) on that thread, not before so many ms have passed. Any thread; calls of one moment run in order. */
void later_run(struct later *l, int64_t in_ms, void (*fn)(void *ctx), void *ctx);

/* --- retention.c: what is kept for how long -------------------------------------------------------------------- */

struct retention;
/* keep_ms, keep_bytes: 0 is no bound. Sweeps at once, and from time to time. */
void retention_open(struct retention **out, struct store *store, struct later *later, int64_t keep_ms,
                    int64_t keep_bytes);
void retention_close(struct retention *r); /* behind later_close; NULL is fine */

/* --- stream.c: streams of stored events --------------------------------------------------------------------- */

/* Streams the events of a background response from number next on: stored ones, then what comes. x is the stream's from
 * here on. */
void stream_response(struct api *a, struct http_exchange *x, struct str name, int64_t next, bool obfuscate);
/* An event as a frame of a stream. obfuscate: deltas are padded with random text. */
void stream_frame(struct buf *out, struct str json, bool obfuscate);

/* A place in a text, walked forwards: its byte and how many characters begin before it. */
struct text_place {
    size_t byte;
    int64_t chars;
};
/* What completions alone ask for. */
struct completions_ask {
    bool echo, tokens_as_ids;
    int64_t tokens_max;
    double min_p;
    const json_t *prompt;           /* borrowed from doc until the prompts are made */
    struct str *echoed;             /* [n_prompts] with echo: each prompt's text */
    struct completions_line *lines; /* streams: one per choice */
};
/* How far a choice's stream has come. */
struct completions_line {
    bool echoed; /* the prompt was sent */
    struct text_place in_prompt, in_text;
};

/* --- asked.c: each checks one field's meaning and stores it in t --------------------------------------- */

bool asked_as_aimlapi(const struct config *cfg);         /* whose defaults hold */
int64_t default_output_tokens(const struct config *cfg); /* 0: the tier's and the model's limit */
/* Whether the owner's key may use it. */
bool model_allowed(const struct config *cfg, const struct access_owner *owner, const struct tier *tier);
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

/* --- messages.c ------------------------------------------------------------------------------------- */

/* Append to t->messages. input: a string or items; messages: the chat form. */
enum err_code messages_from_input(struct turn *t, const json_t *input, struct err *err);
enum err_code messages_from_history(struct turn *t, const json_t *items, const char *path, struct err *err);
enum err_code messages_from_chat(struct turn *t, const json_t *messages, struct err *err);
void messages_add(struct turn *t, const char *role, struct str text, struct str name);
/* Function calls among items that stand before the input and are not added to the messages: their outputs may follow. */
void messages_note_calls(struct turn *t, const json_t *items);
enum err_code messages_check_calls(const struct turn *t, struct err *err); /* every call has its output */
/* Asks for an answer of that length, index into verbosities, in the first system message; the middle one asks for nothing. */
void messages_set_verbosity(struct turn *t, int verbosity);

/* --- parts.c -------------------------------------------------------------------------------------------- */

/* Appends the text of a message's content to out: a string as it is, parts one after the other with a line break between,
 * images and files in words. NULL is no text. */
enum err_code content_text(struct turn *t, const json_t *content, const char *path, struct buf *out,
                           struct err *err);

/* --- prompt.c ------------------------------------------------------------------------------------------- */

/* Where the body names a template, puts what that gives into the body, before its fields are looked at: what the request
 * says itself wins. The member "prompt" stays, for the reply. */
enum err_code prompt_apply(struct api *a, json_t *body, struct arena *arena, struct err *err);

/* --- extension.c --------------------------------------------------------------------------------------- */

/* The value of "thinkd": cost, route, budget, effort, seed, inactive_tools. */
void put_thinkd(struct json_writer *w, const struct turn *t, const struct job_view *job);
bool job_over(const struct job_view *job);

/* --- logprobs.c ------------------------------------------------------------------------------------------ */

/* The value of a list of tokens as chat and Responses have it: first, first + 1 ... of a choice. */
void put_token_list(struct json_writer *w, const struct turn *t, const struct job_view *job, size_t choice,
                    size_t first, size_t n);
/* The members tokens, token_logprobs, top_logprobs and text_offset of completions. The choice's text stands behind
 * prompt, which is empty without echo; both places are carried from one piece of a stream to the next. */
struct token_table {
    const struct turn *turn;
    const struct job_view *job;
    size_t choice, first, n;
    struct str prompt;
    struct text_place *in_prompt, *in_text;
};
void put_token_table(struct json_writer *w, const struct token_table *table);
void put_logprob(struct json_writer *w, float logprob); /* NAN writes null */

/* --- paging.c: query parameters, and lists in pages --------------------------------------------------------- */

#define PAGE_LIMIT_MAX       100
#define PAGE_LIMIT_FILES_MAX 10000

/* What a list's caller asked for; the endpoint's defaults before page_read. */
struct page {
    size_t limit, limit_max;
    bool descending;
    struct str after, before; /* ids, exclusive; views of the query */
};

bool param_get(const struct call *c, const char *name, struct str *value); /* the first of that name */
/* A parameter that was not sent leaves *out alone. */
enum err_code param_int(const struct call *c, const char *name, int64_t min, int64_t max, int64_t *out,
                        struct err *err);
enum err_code param_bool(const struct call *c, const char *name, bool *out, struct err *err);
/* include, include[] and lists with commas: known names only. */
enum err_code param_include(const struct call *c, struct err *err);
extern const char *const include_names[]; /* ends in NULL */

/* limit, order, after, before. */
enum err_code page_read(const struct call *c, struct page *page, struct err *err);
/* The page of a list that is all here, oldest first: a new array, in the page's order. With before alone it is the page
 * that ends there. more: the list goes on in the direction in which the caller walks. */
enum err_code page_cut(json_t **out, const json_t *items, const struct page *page, bool *more,
                       struct err *err);

/* {"object":"list","data":[...],"first_id","last_id","has_more"}, written entry by entry. */
struct list_reply {
    struct buf body;
    struct json_writer w;
    struct str first, last; /* views of the callers' ids */
};
void list_begin(struct list_reply *l);
void list_put(struct list_reply *l, struct str id, struct str json);
void list_send(struct list_reply *l, struct http_exchange *x, bool more);
void reply_items(struct http_exchange *x, const json_t *items, bool more);
void reply_value(struct http_exchange *x, const json_t *value);
void reply_deleted(struct http_exchange *x, struct str id, const char *object);

/* --- objects.c: stored objects of a call's owner --------------------------------------------------------------- */

/* JSON that this server wrote itself: no bound on its depth, and an error that does not blame the request. */
enum err_code stored_json(json_t **out, struct str text, struct str id, struct err *err);
/* what: "Conversation", for "Conversation with id 'x' not found." */
enum err_code not_found(struct err *err, const char *what, struct str id);
/* The body's object decoded by the table; no body is an empty object. *doc is the caller's. */
enum err_code body_decode(const struct call *c, const struct field *rows, size_t n, json_t **doc,
                          void *target, struct arena *arena, struct err *err);
enum err_code object_find(struct api *a, const struct access_owner *o, const char *kind, const char *what,
                          struct str id, struct store_object *out, struct arena *arena, struct err *err);
enum err_code object_page(const struct call *c, const char *kind, struct str parent, const struct page *page,
                          struct store_object **out, size_t *n, bool *more, struct arena *arena,
                          struct err *err);
/* The same of those that fit, looked at one after the other; keep(ctx) may not hold on to the object. Each is handed to
 * list_put as show makes it. */
struct object_filter {
    bool (*keep)(const json_t *body, void *ctx); /* NULL: all */
    void (*show)(const json_t *body, struct buf *json);
    void *ctx;
};
enum err_code object_list_reply(const struct call *c, const char *kind, const struct page *page,
                                const struct object_filter *filter, struct err *err);

/* --- items.c ---------------------------------------------------------------------------------------------- */

#define ITEM_ID_CHARS_MAX 256
#define CALL_ID_CHARS     64
#define TOOL_NAME_CHARS   128

char *new_id(struct arena *arena, const char *prefix); /* id_make's, in the arena */
/* An item of the input as it is kept and shown: its type and id are there, a message's content is an array of parts. The
 * new object (the caller's) shares values with item, which must not be changed afterwards. An item_reference stays
 * one: who keeps items resolves it with item_find. */
enum err_code item_normalise(json_t **out, const json_t *item, const char *path, struct arena *arena,
                             struct err *err);
/* Adds the value that object has under name; null and absent values are not kept, or otherwise (taken over) is. */
void keep_member(json_t *out, const json_t *object, const char *name);
void keep_member_or(json_t *out, const json_t *object, const char *name, json_t *otherwise);
void item_new_id(json_t *item, struct arena *arena); /* of a normalised item, by its type */
/* A string, or an array of items, into a new array. */
enum err_code items_normalise(json_t **out, const json_t *input, const char *path, struct arena *arena,
                              struct err *err);

/* item_parts.c: an array of content parts into a new array, under the names of the Responses API. */
enum err_code parts_normalise(json_t **out, const json_t *content, bool assistant, const char *path,
                              struct arena *arena, struct err *err);

/* --- fold.c ------------------------------------------------------------------------------------------------- */

/* A Response object out of its events, one after the other. One thread at a time. */
struct fold;
struct fold *fold_open(void);
enum err_code fold_add(struct fold *f, struct str event,
                       struct err *err); /* ERR_STORE: it is no next event */
/* As it stands; borrowed until the next call. NULL: no event yet. */
json_t *fold_response(struct fold *f);
bool fold_over(const struct fold *f); /* a terminal event was among them */
void fold_close(struct fold *f);      /* NULL is fine */

/* --- history.c ------------------------------------------------------------------------------------------------ */

#define HISTORY_RESPONSES_MAX 1000
#define HISTORY_BYTES_MAX     67108864 /* of the rows that are read for one context */

/* The Response object of a job as it stands now: the stored one, or the fold of its events with the row's status. *out
 * is the caller's. */
enum err_code response_now(struct api *a, const struct store_job *job, json_t **out, struct err *err);
/* Appends the items of a response's context and of the response itself: those of the responses it goes on from or of its
 * conversation, each one's input then its output, oldest first. Errors: ERR_INVALID_VALUE (no response id),
 * ERR_PREVIOUS_NOT_FOUND, ERR_CONFLICT (it still runs), ERR_CONTEXT_LENGTH (more than the bounds above). */
enum err_code history_items(struct api *a, const struct access_owner *o, struct str previous_id, json_t *out,
                            struct arena *arena, struct err *err);
/* The input of a response with all that it inherits; ancestors that were deleted are left out. */
enum err_code history_input(struct api *a, const struct store_job *job, json_t *out, struct arena *arena,
                            struct err *err);
/* An item by its id, of a response's output or of a conversation; *item is the caller's. */
enum err_code item_find(struct api *a, const struct access_owner *o, struct str id, json_t **item,
                        struct arena *arena, struct err *err);

/* --- arriving.c ------------------------------------------------------------------------------------------------- */

/* True: no row of this response was found, which may be on its way, and the handler is called again, once: it answers then.
 * False: it was. */
bool arriving_wait(const struct call *c, struct str id, void (*again)(const struct call *c));

/* --- conversations.c -------------------------------------------------------------------------------------------- */

#define CONVERSATION_ITEMS_MAX 10000
#define CONVERSATION_ADD_MAX   20 /* items of one request */

/* Appends a conversation's items, oldest first; ERR_NOT_FOUND. until_ms: those that were there by then; 0: all. */
enum err_code conversation_items(struct api *a, const struct access_owner *o, struct str id, int64_t until_ms,
                                 json_t *out, struct arena *arena, struct err *err);
/* ERR_ARRAY_TOO_LONG with param, when so many items more are too many. */
enum err_code conversation_room(struct api *a, const struct access_owner *o, struct str id, size_t more,
                                const char *param, struct err *err);
/* Items in a conversation have ids of their own, one owner's all different: an id that is taken, by an item of a
 * conversation or by a response's, is replaced. Call it when a response's input is accepted, before its ids are shown. */
enum err_code conversation_fresh_ids(struct api *a, const struct access_owner *o, json_t *items,
                                     struct arena *arena, struct err *err);
/* Adds items (each with its id) to the end of the conversation, as part of tx. */
void conversation_add_tx(struct store_tx *tx, const struct access_owner *o, struct str id,
                         const json_t *items);

/* --- stored_chat.c ------------------------------------------------------------------------------------------------ */

/* Puts a chat completion of store:true into tx. completion: the object as it was replied; messages: the request's;
 * metadata may be NULL; it goes after keep_ms (0: never). ERR_SERVER: completion is no object with an id. */
enum err_code stored_chat_tx(struct store_tx *tx, const struct access_owner *o, struct str completion,
                             const json_t *messages, const json_t *metadata, int64_t keep_ms,
                             struct err *err);

/* --- files.c ---------------------------------------------------------------------------------------------------- */

/* A file's name and bytes, in the arena. ERR_NOT_FOUND. */
enum err_code file_find(struct api *a, const struct access_owner *o, struct str id, struct str *name,
                        struct str *bytes, struct arena *arena, struct err *err);

/* --- stream.c --------------------------------------------------------------------------------------------------- */

/* Answers c with the events behind number starting_after (-1: all), then those to come. An error answers nothing. */
enum err_code responses_stream(const struct call *c, struct str id, int64_t starting_after,
                               bool include_obfuscation, struct err *err);
/* Answers c, a DELETE of a response that still runs. */
void stop_running(const struct call *c, const struct store_job *job);

/* --- replies ---------------------------------------------------------------------------------------- */

/* response.c: the Response object and its items. added: the item as response.output_item.added shows it. */
void put_response(struct json_writer *w, const struct turn *t, const struct job_view *job);
void put_item(struct json_writer *w, const struct turn *t, const struct job_view *job,
              const struct job_item *item, bool added);
/* The part of a message that is done, and the list of its tokens, [] where they were not asked for. */
void put_output_text(struct json_writer *w, const struct turn *t, const struct job_view *job,
                     const struct job_item *item);
void put_item_tokens(struct json_writer *w, const struct turn *t, const struct job_view *job,
                     const struct job_item *item);
/* events.c: one job event as the API shows it. */
void events_encode(void *turn, const struct job_event *ev, const struct job_view *job, struct buf *json);
/* chat_reply.c: chat's object and chunks. */
void chat_reply(struct turn *t, const struct job_view *job, struct buf *body);
void chat_put(void *turn, const struct job_event *ev, const struct job_view *job);
/* completions_reply.c: the text completion and its chunks. */
void completions_reply(struct turn *t, const struct job_view *job, struct buf *body);
void completions_put(void *turn, const struct job_event *ev, const struct job_view *job);

/* What was generated for a choice so far; "length" or "stop". */
struct str choice_text(const struct job_view *job, size_t choice);
const char *finish_name(enum engine_finish finish);

/* --- handlers and field tables ----------------------------------------------------------------------- */

void responses_create(const struct call *c);
void responses_cancel(const struct call *c);
void responses_socket(const struct call *c);
void chat_create(const struct call *c);
void completions_create(const struct call *c);
void models_list(const struct call *c);
void models_get(const struct call *c);
void health_get(const struct call *c);
void responses_get(const struct call *c);
void responses_delete(const struct call *c);
void responses_input_items(const struct call *c);
void conversations_create(const struct call *c);
void conversations_get(const struct call *c);
void conversations_update(const struct call *c);
void conversations_delete(const struct call *c);
void conversation_items_create(const struct call *c);
void conversation_items_list(const struct call *c);
void conversation_item_get(const struct call *c);
void conversation_item_delete(const struct call *c);
void stored_chat_list(const struct call *c);
void stored_chat_get(const struct call *c);
void stored_chat_update(const struct call *c);
void stored_chat_delete(const struct call *c);
void stored_chat_messages(const struct call *c);
void files_create(const struct call *c);
void files_list(const struct call *c);
void files_get(const struct call *c);
void files_delete(const struct call *c);
void files_content(const struct call *c);
void responses_compact(const struct call *c);
void responses_input_tokens(const struct call *c);
void openapi_get(const struct call *c);
void openapi_put(struct buf *out); /* the description itself */

/* A field table under the name that docs/api.md gives it. */
struct field_table {
    const char *name;
    const struct field *rows;
    size_t n;
};
extern const struct field_table responses_tables[], chat_tables[], completions_tables[], message_tables[],
    item_tables[], conversation_tables[], stored_chat_tables[], compact_tables[], input_tokens_tables[],
    part_tables[], prompt_tables[], item_part_tables[]; /* end in a NULL name */

/* Rows of a field table: a typed member of struct s, a field dropped by design, a field that is not built. */
#define FIELD_ROW(k, s, m) .name = #m, .kind = FIELD_##k, .offset = offsetof(struct s, m)
#define FIELD_DROP(n)                                                                                        \
    {                                                                                                        \
        .name = n, .kind = FIELD_IGNORED                                                                     \
    }
#define FIELD_LATER(n)                                                                                       \
    {                                                                                                        \
        .name = n, .kind = FIELD_UNBUILT                                                                     \
    }

#endif
