/*
 * cli_impl.h - what the commands share: their table's row, a backend to ask, and the terminal.
 */
#ifndef THINKD_CLI_IMPL_H
#define THINKD_CLI_IMPL_H

#include "cli/cli.h"

#include "config/config.h"
#include "exam/exam.h"
#include "job/job.h"
#include "store/store.h"
#include "json/json.h"

#include <stdio.h>

struct command {
    const char *name;
    unsigned bit;        /* CMD_* */
    const char *args;    /* what it takes besides options: "[QUESTION...]" */
    const char *summary; /* one line */
    const char *details; /* paragraphs for --help */
    int (*run)(const struct config *cfg);
    void (*list)(struct buf *out); /* what --help shows behind the options; may be NULL */
};

int serve_run(const struct config *cfg);
int ask_run(const struct config *cfg);
int models_run(const struct config *cfg);
int exam_command(const struct config *cfg);
void exam_list(struct buf *out); /* the families */
int replay_run(const struct config *cfg);
int keys_run(const struct config *cfg);
int prompts_run(const struct config *cfg);
int version_run(const struct config *cfg);

/* "thinkd: message" on standard error; gives the exit status that belongs to the code. */
int cli_fail(const struct err *err);
/* For commands that take options alone. */
enum err_code cli_no_args(const struct config *cfg, const char *command, struct err *err);

/* --- asking: in this process, or at a URL ---------------------------------------------------------- */

/* One question. Strings are borrowed during the call. */
struct ask {
    struct str question;
    const char *instructions; /* NULL: none */
    const json_t *earlier;   /* messages before the question, as engine_chat has them; NULL: none. Borrowed */
    const json_t *tools;     /* as Chat Completions has them; NULL: none. Borrowed */
    const char *call_id;     /* the question is the result of this earlier call; NULL: it is the user's */
    const struct tier *tier; /* asked in this process; NULL at a URL */
    const struct tier *models[TIER_ROUTE]; /* that it asks, if it is one that asks others */
    const char *model; /* the name that a server is asked for; the tier's own in this process */
    struct {
        bool set;
        enum effort value;
    } effort; /* unset: the tier's default */
    struct {
        bool set;
        double value;
    } temperature;
    int64_t output_tokens_max; /* 0: the model's limit */
    struct {
        bool set;
        uint64_t value;
    } seed;        /* unset: drawn */
    bool thinking; /* the sink wants thoughts */
    bool trace; /* one line of thought, drawn as those of many are; a server is asked at their temperature */
};

/* Hears pieces on the thread that asks, while it asks. False: enough, the rest is not wanted. */
struct ask_sink {
    bool (*put)(void *ctx, bool thought, struct str piece);
    void *ctx;
};

struct answer {
    enum job_status status; /* COMPLETED, INCOMPLETE or CANCELLED: a failure is an error */
    char incomplete[64];    /* INCOMPLETE: the reason */
    struct buf text;
    bool counted; /* the numbers below are known */
    int64_t input_tokens, cached_tokens, output_tokens, reasoning_tokens;
    int64_t cost; /* nano-dollars, -1: unknown */
    int64_t elapsed_ms;
    struct engine_confidence confidence; /* of the first choice; window 0: unknown */
    const char *model;                   /* that answered, in this process; the configuration's */
    struct buf json;                     /* the Response object */
};
void answer_free(struct answer *a); /* a zeroed one is fine */

struct backend;
/* cfg is borrowed until backend_close. asks_max: questions that may be in flight. */
enum err_code backend_open(struct backend **out, const struct config *cfg, int64_t asks_max, struct err *err);
void backend_close(struct backend *b); /* NULL is fine */
/* Any thread; blocks until the answer is there. a is filled afresh; free it whatever is returned. */
enum err_code backend_ask(struct backend *b, const struct ask *ask, struct ask_sink sink, struct answer *a,
                          struct err *err);
/* The ask that cfg's options describe, all but the question. ERR_CONFIG: no such tier. */
enum err_code ask_from_config(struct ask *ask, const struct config *cfg, struct err *err);
/* Another model in place of --tier: a server is asked for it by its name. ERR_CONFIG: this process has none such. */
enum err_code ask_set_model(struct ask *ask, const struct config *cfg, const char *name, struct err *err);

/* The conductor and its engine as the configuration asks for them. */
enum err_code local_conductor(struct conductor **out, const struct config *cfg, int64_t jobs_max,
                              struct store *store, struct err *err);

/* The two kinds of backend: struct backend holds one of them. */
struct local;
enum err_code local_open(struct local **out, const struct config *cfg, int64_t asks_max, struct err *err);
void local_close(struct local *l);
const struct engine_info *local_info(const struct local *l);
enum err_code local_ask(struct local *l, const struct ask *ask, struct ask_sink sink, struct answer *a,
                        struct err *err);
struct remote;
enum err_code remote_open(struct remote **out, const struct config *cfg, struct err *err);
void remote_close(struct remote *r);
enum err_code remote_ask(struct remote *r, const struct ask *ask, struct ask_sink sink, struct answer *a,
                         struct err *err);
enum err_code remote_get(struct remote *r, const char *path, json_t **out, struct err *err);
/* The pieces of remote_ask that need no server. */
void remote_base(struct buf *out, struct str url);        /* "http://h:1/v1/" gives "http://h:1" */
void remote_body(struct buf *out, const struct ask *ask); /* of POST /v1/responses */
enum err_code remote_answer(struct answer *a, const json_t *response,
                            struct err *err); /* a Response object read */

/* --- the terminal ------------------------------------------------------------------------------------ */

bool term_is(FILE *f);     /* a person watches */
bool term_styled(FILE *f); /* and wants styles (NO_COLOR is not set) */
/* Text for a terminal: control characters other than line breaks and tabs, which could move the cursor or
 * retitle the window, become U+FFFD. text is UTF-8 of whole characters. */
void term_clean(struct buf *out, struct str text);
/* Writes and flushes; cleaned where f is a terminal. False: f cannot be written. */
bool term_put(FILE *f, struct str text);
void put_usd(struct buf *out, int64_t nano); /* "$0.0012": as many digits as it takes, 2 at least */
void put_usage(struct buf *out,
               const struct answer *a); /* "12 tokens in, 34 out (30 of thought), 1.2 s, $0.001" */

/* "[####....] 5/10  80.0% right  0:45 left"; right -1: nothing is said of it */
void put_progress(struct buf *out, int64_t done, int64_t total, int64_t right, double eta_seconds);
/* Draws that over itself on standard error, not too often; *drawn_ms begins as 0. */
void draw_progress(int64_t *drawn_ms, int64_t done, int64_t total, int64_t right, double eta_seconds);
/* What --by says. ERR_CONFIG: it is no such word. */
enum err_code cli_detail(const struct config *cfg, enum exam_detail *out, struct err *err);

/* --- the directory of what is kept ----------------------------------------------------------------------- */

#define DATA_STORE "thinkd.db" /* the store's file in it */

bool data_in_memory(const struct config *cfg); /* --data :memory: */
/* Path of a file in the directory, or of the directory where name is NULL; not in memory. ERR_CONFIG: --data names none
 * and the environment has no place for it. out is emptied first. */
enum err_code data_path(struct buf *out, const struct config *cfg, const char *name, struct err *err);
/* Makes the directory, mode 0700, and what is missing above it; hold: and locks it against a second server. *lock is a
 * descriptor to close at the end, or -1. ERR_CONFIG: no directory, not writable, in use. In memory it does nothing. */
enum err_code data_open(int *lock, const struct config *cfg, bool hold, struct err *err);
/* The store in the directory that data_open has made, or in memory. beside: for its objects alone, whether or not a
 * server runs on it. */
enum err_code data_store(struct store **out, const struct config *cfg, bool beside, struct err *err);

/* --- serve ------------------------------------------------------------------------------------------------- */

/* The block printed when the server listens: URL, model, a line to try; as JSON, one object. */
void serve_banner(struct buf *out, const char *url, const struct engine_info *engine, bool keys, bool json);

#endif
