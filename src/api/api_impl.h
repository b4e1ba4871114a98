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
#define LOGPROBS_MAX    4194304 /* of a request: tokens and their alternatives together */

struct api {
    const struct config *cfg;
    const struct access *access;
    struct conductor *conductor;
    struct http_route *routes; /* one per endpoint, in the table's order */
    char fingerprint[16];      /* "fp_" + 10 hex digits that change with the model */
};

/* --- endpoints.c ------------------------------------------------------------------------------------ */

enum {
    EP_KEY = 1, /* the caller needs a key */
    EP_JSON = 2 /* the body is JSON, as large as the configuration allows */
};

/* A row of the endpoint table: everything dispatch needs to know about a path. */
struct endpoint {
    const char *method, *path;
    void (*handle)(struct api *a, struct http_exchange *x); /* answers exactly once, now or later */
    unsigned flags;
};

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
    struct http_exchange *x; /* the job's to answer, once there is a job */
    const struct turn_kind *kind;
    atomic_int refs;
    atomic_bool gone;      /* the client left */
    atomic_bool submitted; /* job_id is valid */
    uint64_t job_id;
    struct arena arena; /* all strings of the request */
    json_t *doc;        /* the body; its input is dropped once the prompt is made */

    /* what decode leaves */
    const struct tier *tier;
    const char *model;          /* as the reply names it */
    json_t *messages;           /* for the chat template: [{role, content[, name]}] */
    bool stream, include_usage; /* include_usage: chat's, for streams */
    enum effort effort;
    enum summary summary;
    struct reason_ask ask;
    struct str stops[STOPS_MAX];
    size_t n_stops;
    bool ignore_eos;
    uint64_t seed;
    size_t choices;       /* of each prompt */
    bool logprobs;        /* of what is generated */
    bool prompt_logprobs; /* of the prompts too, or in place of anything generated */
    int top_logprobs;
    struct tools tools;
    const json_t *metadata; /* borrowed from doc; NULL: not given */
    struct {                /* what a reply repeats, and nothing else looks at */
        struct field_string instructions, user, safety_identifier, prompt_cache_key;
        struct field_int max_output_tokens, max_tool_calls;
        int summary; /* index into summary_names, -1: not given */
        bool parallel_tool_calls;
    } echo;

    struct completions_ask *completions; /* completions.c's own; NULL elsewhere */

    /* what prepare leaves */
    struct engine_prompt **prompts; /* [n_prompts]; the worker's, until the job is submitted */
    size_t n_prompts;
    struct plan plan;

    /* from turn.c and the sinks */
    char id[80];
    int64_t created_s;
    bool began;       /* the stream was begun: there is no way back to a plain reply */
    bool cut;         /* nobody reads the stream any more */
    struct buf frame; /* of the event being written; the conductor's thread */
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
    enum err_code (*prepare)(struct turn *t, struct err *err);                       /* prompts and plan */
    void (*put)(void *turn, const struct job_event *ev, const struct job_view *job); /* streams only */
    void (*reply)(struct turn *t, const struct job_view *job, struct buf *body);     /* the plain reply */
};

extern const char *const summary_names[]; /* auto, concise, detailed */

/* Answers x: the whole path of one request. */
void turn_run(struct api *a, struct http_exchange *x, const struct turn_kind *kind);
/* prepare of the endpoints that take a conversation. */
enum err_code turn_prepare_chat(struct turn *t, struct err *err);
/* What the engine said of a prompt, in the words of the field that it came from. */
enum err_code turn_prompt_error(const struct turn *t, const char *param, struct err *err);
/* One SSE frame; event NULL has no event line. Cancels the job when nobody reads any more. */
void turn_write(struct turn *t, const struct job_view *job, const char *event, struct str data);
/* Why a stream without event lines ends early: clients throw on it, and nothing but [DONE] comes behind it. */
void turn_write_failure(struct turn *t, const struct job_view *job);

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

enum err_code turn_set_model(struct turn *t, struct str asked, bool pro, struct err *err);
enum err_code turn_set_stops(struct turn *t, const json_t *stop, struct err *err);
enum err_code turn_set_metadata(struct turn *t, const json_t *metadata, struct err *err);
void turn_set_sampling(struct turn *t, struct field_real temperature, struct field_real top_p,
                       struct field_int seed);

/* --- messages.c ------------------------------------------------------------------------------------- */

/* Append to t->messages. input: a string or items; messages: the chat form. */
enum err_code messages_from_input(struct turn *t, const json_t *input, struct err *err);
enum err_code messages_from_chat(struct turn *t, const json_t *messages, struct err *err);
void messages_add(struct turn *t, const char *role, struct str text, struct str name);

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
/* events.c: one job event as its frame, or frames. */
void events_put(void *turn, const struct job_event *ev, const struct job_view *job);
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

void responses_create(struct api *a, struct http_exchange *x);
void chat_create(struct api *a, struct http_exchange *x);
void completions_create(struct api *a, struct http_exchange *x);
void models_list(struct api *a, struct http_exchange *x);
void models_get(struct api *a, struct http_exchange *x);
void health_get(struct api *a, struct http_exchange *x);

/* A field table under the name that docs/api.md gives it. */
struct field_table {
    const char *name;
    const struct field *rows;
    size_t n;
};
extern const struct field_table responses_tables[], chat_tables[], completions_tables[],
    message_tables[]; /* end in a NULL name */

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
