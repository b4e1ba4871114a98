/*
 * config.h - every option of every command: one table, three sources, one struct.
 *
 * A key is a row of CONFIG_LIST: `--listen` on the command line, THINKD_LISTEN in the
 * environment, `listen:` in the YAML file; flag beats environment beats file beats default.
 * What is wrong is named with the place it stands in ("thinkd.yaml:3: ...", "--listen: ...").
 * YAML aliases, unknown keys and duplicate keys are refused; ${NAME} takes a value from the environment.
 *
 * The API's models are rows too (struct tier): the file's `models:` list replaces or adds to the built-in ones.
 *
 * Threads: read-only after config_load. Ownership: everything lives in the config's arena.
 */
#ifndef THINKD_CONFIG_CONFIG_H
#define THINKD_CONFIG_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "json/json.h"

#include <stdbool.h>
#include <stdint.h>

/* Which commands an option belongs to. */
enum {
    CMD_SERVE = 1,
    CMD_ASK = 2,
    CMD_MODELS = 4,
    CMD_EXAM = 8,
    CMD_REPLAY = 16,
    CMD_KEYS = 32,
    CMD_PROMPTS = 64,
    CMD_VERSION = 128
};

/* Kinds: STRING const char * (NULL: not set), INT int64_t in [min, max], BOOL bool, SIZE int64_t bytes
 * ("512MiB"), LIST struct config_list of strings (repeated flag, comma list, YAML list).
 *
 *    member              kind    default      min  max        commands                 help */
#define CONFIG_ENGINE_CMDS (CMD_SERVE | CMD_ASK | CMD_MODELS | CMD_EXAM)
/* clang-format off */
#define CONFIG_LIST(X)                                                                                           \
    X(config,              STRING, NULL,          0, 0,          CONFIG_ENGINE_CMDS | CMD_REPLAY | CMD_KEYS | CMD_PROMPTS, "YAML file with any of these keys") \
    X(listen,              STRING, "127.0.0.1:8080", 0, 0,       CMD_SERVE, "address and port to serve on; port 0 picks a free one") \
    X(data,                STRING, NULL,          0, 0,          CMD_SERVE | CMD_KEYS | CMD_PROMPTS, "directory for everything that is kept, made if it is missing; ':memory:' keeps nothing (default: $XDG_DATA_HOME/thinkd, or ~/.local/share/thinkd)") \
    X(model,               STRING, NULL,          0, 0,          CONFIG_ENGINE_CMDS, "GGUF file to think with (default: the bundled model); for ask and exam with --url: the model's name") \
    X(engine,              STRING, "local",       0, 0,          CONFIG_ENGINE_CMDS, "local, or echo (repeats the question; for tests)") \
    X(threads,             INT,    "0",           0, 1024,       CONFIG_ENGINE_CMDS, "threads that compute (0: one per CPU)")  \
    X(context,             INT,    "0",           0, 10000000,   CONFIG_ENGINE_CMDS, "tokens of context (0: what the model was trained for)") \
    X(kv_bytes_max,        SIZE,   "1GiB",        1048576, 0,    CONFIG_ENGINE_CMDS, "memory for the keys and values of all sequences") \
    X(kv_type,             STRING, "f16",         0, 0,          CONFIG_ENGINE_CMDS, "how keys and values are kept: f32, f16 or q8_0 (8 bits with scales, half of f16)") \
    X(speculation,         STRING, "lookup",      0, 0,          CONFIG_ENGINE_CMDS, "tokens guessed ahead, which changes the speed and never the text: off, or lookup (what followed earlier in the text)") \
    X(cpu_mask,            STRING, NULL,          0, 0,          CONFIG_ENGINE_CMDS, "instruction sets not to use, as avx512-vnni,amx (thinkd version names the one in use)") \
    X(sequences_max,       INT,    "64",          1, 4096,       CONFIG_ENGINE_CMDS, "sequences that are computed side by side") \
    X(jobs_max,            INT,    "256",         1, 100000,     CMD_SERVE, "requests that think or wait at a time; more are answered 503") \
    X(keys,                LIST,   NULL,          0, 0,          CMD_SERVE, "API keys that may call, beside those of 'thinkd keys' (none at all: anyone, loopback addresses only)") \
    X(models_without_key,  BOOL,   "false",       0, 0,          CMD_SERVE, "list the models to callers without a key too") \
    X(requests_per_minute, INT,    "0",           0, 1000000000, CMD_SERVE | CMD_KEYS, "requests that one owner may make in a minute, where its key says nothing else (0: no limit); for keys: of the new key") \
    X(tokens_per_minute,   INT,    "0",           0, 1000000000, CMD_SERVE | CMD_KEYS, "tokens that one owner may use in a minute, input and output together, where its key says nothing else (0: no limit); for keys: of the new key") \
    X(concurrency_per_key, INT,    "0",           0, 1000000000, CMD_SERVE, "requests that one owner may have in flight, where its key says nothing else (0: no limit)") \
    X(body_bytes_max,      SIZE,   "64MiB",       1024, 0,       CMD_SERVE, "largest request body")                            \
    X(fetch_urls,          BOOL,   "false",       0, 0,          CMD_SERVE, "read images and files that requests name by http and https URLs") \
    X(fetch_private,       BOOL,   "false",       0, 0,          CMD_SERVE, "read such URLs at addresses of this machine and of private networks too: whoever may ask can then reach what this machine can") \
    X(image_bytes_max,     SIZE,   "20MiB",       1024, 0,       CMD_SERVE, "largest image of a request")                      \
    X(file_bytes_max,      SIZE,   "32MiB",       1024, 0,       CMD_SERVE, "largest file of a request")                       \
    X(header_bytes_max,    SIZE,   "16KiB",       4096, 0,       CMD_SERVE, "largest request line and headers")                \
    X(connections_max,     INT,    "1024",        1, 100000,     CMD_SERVE, "open connections")                                \
    X(connections_per_ip,  INT,    "0",           0, 100000,     CMD_SERVE, "open connections of one address (0: no bound)")   \
    X(request_timeout_ms,  INT,    "30000",       100, 3600000,  CMD_SERVE, "time for a request's headers and body to arrive") \
    X(idle_timeout_ms,     INT,    "75000",       100, 3600000,  CMD_SERVE, "time a kept-alive connection may stay silent")    \
    X(ping_ms,             INT,    "15000",       100, 3600000,  CMD_SERVE, "silence on a stream before a keep-alive comment") \
    X(socket_life_ms,      INT,    "3600000",     1,   3600000,  CMD_SERVE, "how long a WebSocket may stay open") \
    X(stream_bytes_max,    SIZE,   "8MiB",        65536, 0,      CMD_SERVE, "unread bytes before a slow stream is cut off")    \
    X(stop_timeout_ms,     INT,    "10000",       0, 3600000,    CMD_SERVE, "time for running requests to end at SIGTERM")     \
    X(workers,             INT,    "2",           1, 64,         CMD_SERVE, "threads that parse and tokenise requests")        \
    X(dialect,             STRING, "openai",      0, 0,          CMD_SERVE, "whose defaults hold where a request says nothing: openai, or aimlapi (store false, 512 output tokens)") \
    X(background_max,      INT,    "32",          1, 4096,       CMD_SERVE, "background responses that run side by side") \
    X(queue_max,           INT,    "10000",       1, 10000000,   CMD_SERVE, "background responses that wait; more are answered 503") \
    X(restarts_max,        INT,    "3",           0, 1000000,    CMD_SERVE, "restarts without progress before a background response fails") \
    X(keep_ms,             INT,    "2592000000",  0, 3153600000000, CMD_SERVE, "time for which responses and stored chat completions are kept (0: for ever)") \
    X(keep_bytes,          SIZE,   "0",           0, 0,          CMD_SERVE, "size of the store above which the oldest responses go (0: no bound)") \
    X(max_output_tokens,   INT,    "0",           0, 10000000,   CMD_SERVE, "default of max_output_tokens (0: the tier's and model's limit)") \
    X(secret,              LIST,   NULL,          0, 0,          CMD_SERVE, "what seals content that clients carry, 32 characters or more each: the first seals, all open (none: a file in --data, or until the server ends)") \
    X(idempotency_ms,      INT,    "86400000",    0, 2592000000, CMD_SERVE, "time for which a reply is kept for its Idempotency-Key (0: the header is ignored)") \
    X(webhook_url,         STRING, NULL,          0, 0,          CMD_SERVE, "where the end of each background response is told") \
    X(webhook_secret,      STRING, NULL,          0, 0,          CMD_SERVE, "whsec_ and base64: what signs those events")      \
    X(log_level,           STRING, NULL,          0, 0,          CONFIG_ENGINE_CMDS | CMD_REPLAY | CMD_KEYS | CMD_PROMPTS, "error, warn, info or debug (default: info for serve, warn for the rest)") \
    X(url,                 STRING, NULL,          0, 0,          CMD_ASK | CMD_MODELS | CMD_EXAM, "ask this server instead, as http://127.0.0.1:8080") \
    X(api_key,             STRING, NULL,          0, 0,          CMD_ASK | CMD_MODELS | CMD_EXAM, "key for --url (default: OPENAI_API_KEY)") \
    X(tier,                STRING, "o3",          0, 0,          CMD_ASK | CMD_EXAM, "model of the API: o3-mini, o3, o3-pro, auto or one of the configuration's own") \
    X(effort,              STRING, NULL,          0, 0,          CMD_ASK | CMD_EXAM, "none, minimal, low, medium, high, xhigh or max") \
    X(instructions,        STRING, NULL,          0, 0,          CMD_ASK, "system message")                                    \
    X(max_tokens,          INT,    "0",           0, 10000000,   CMD_ASK, "most tokens to generate (0: the model's limit)")    \
    X(thinking,            BOOL,   "false",       0, 0,          CMD_ASK, "show the thinking, dimmed")                         \
    X(temperature,         STRING, NULL,          0, 0,          CMD_ASK | CMD_EXAM, "0 to 2 (default: the tier's)")           \
    X(seed,                INT,    "0",           0, INT64_MAX,  CMD_ASK | CMD_EXAM | CMD_REPLAY, "seed of the random numbers (0: drawn; exam and replay: 1)") \
    X(families,            LIST,   NULL,          0, 0,          CMD_EXAM, "families to ask, as NAME, NAME:LEVEL or NAME:FIRST-LAST (default: all)") \
    X(efforts,             LIST,   NULL,          0, 0,          CMD_EXAM, "efforts to ask each model at (default: --effort)")    \
    X(items,               INT,    "0",           0, 1000000,    CMD_EXAM, "questions per family and level, or out of --file (0: 20, and all of a file)") \
    X(file,                STRING, NULL,          0, 0,          CMD_EXAM, "JSONL of question and answer to ask instead")      \
    X(state,               STRING, NULL,          0, 0,          CMD_EXAM, "JSONL that keeps each reply: the same exam goes on where it stopped") \
    X(record,              INT,    "0",           0, 64,         CMD_EXAM, "traces of each question to keep in --state, for thinkd replay (0: one reply, not a trace)") \
    X(by,                  STRING, NULL,          0, 0,          CMD_EXAM | CMD_REPLAY, "tell accuracies apart by this as well: family or level") \
    X(csv,                 STRING, NULL,          0, 0,          CMD_EXAM | CMD_REPLAY, "write the figures to this file as CSV")             \
    X(svg,                 STRING, NULL,          0, 0,          CMD_EXAM | CMD_REPLAY, "write a chart of accuracy against tokens to this file") \
    X(concurrency,         INT,    "0",           0, 1024,       CMD_EXAM | CMD_KEYS, "questions in flight (0: 8); for keys: requests that the new key's owner may have in flight (0: no limit)") \
    X(owner,               STRING, NULL,          0, 0,          CMD_KEYS, "owner of the new key, so that several keys see the same responses (default: an owner of its own)") \
    X(models,              LIST,   NULL,          0, 0,          CMD_KEYS | CMD_EXAM, "models that the new key may use (default: all); exam: models to ask (default: --tier)") \
    X(json,                BOOL,   "false",       0, 0,          CONFIG_ENGINE_CMDS | CMD_REPLAY | CMD_KEYS | CMD_PROMPTS | CMD_VERSION, "print JSON")
/* clang-format on */

struct config_list {
    const char **items;
    size_t len;
};

/* --- the models of the API ----------------------------------------------------------------------- */

enum effort {
    EFFORT_NONE,
    EFFORT_MINIMAL,
    EFFORT_LOW,
    EFFORT_MEDIUM,
    EFFORT_HIGH,
    EFFORT_XHIGH,
    EFFORT_MAX,
    EFFORT_COUNT
};
extern const char *const effort_names[EFFORT_COUNT + 1]; /* NULL-terminated, for field tables */

enum { ENDPOINT_RESPONSES = 1, ENDPOINT_CHAT = 2 };
/* How long a tier thinks: as o3-mini, as o3, as o3-pro; or it asks others, until an answer is sure enough. */
enum thinking { THINKING_SHORT, THINKING_LONG, THINKING_BRANCHES, THINKING_ROUTE };
#define TIER_ROUTE                                                                                           \
    3 /* tiers that such a one asks: which tries, which is asked next, which thinks it through */

/* What one effort of a tier may use. */
struct effort_budget {
    int think_eighths; /* of one line of thought, in eighths of T, the model's nominal thought */
    int branches_min,
        branches_max; /* lines of thought of one answer: a vote is not settled by fewer than min */
    int wave;         /* lines that are started together */
    int agreement;    /* how sure the vote has to be before the rest is left out, in percent */
    int continues;    /* how often a finished thought may be sent back for another look */
};
#define TIER_BRANCHES_MAX 64

/* A budget of a tier's own: one value for each effort. */
struct tier_list {
    bool set;
    int values[EFFORT_COUNT];
};
/* What is measured before it is trusted: shadow says in the trace what it would have changed. */
enum trial { TRIAL_SHADOW, TRIAL_OFF, TRIAL_ON };
enum vote { VOTE_MAJORITY, VOTE_CONFIDENCE };

struct config;
struct tier {
    const char *name;           /* "o3-pro" */
    const char *const *aliases; /* NULL-terminated; each name and alias also answers to "openai/" + it */
    unsigned endpoints;         /* ENDPOINT_* */
    enum effort default_effort;
    enum thinking thinking;
    int64_t price_in, price_out;               /* nano-dollars a token: 1 $/M tokens is 1000 */
    int64_t context_window, max_output_tokens; /* ceilings of the tier, in tokens */
    int64_t created;                           /* unix seconds, for /v1/models */
    /* In place of what `thinking` brings; tier_budget puts both together. */
    struct tier_list think_eighths, branches_min, branches_max, wave, agreement, continues;
    int64_t thinking_tokens; /* T; 0: the model's */
    int64_t deadline_ms;     /* after which no further line of thought is waited for; 0: none */
    enum vote vote;
    enum trial check, prune;
    /* Of THINKING_ROUTE. */
    const char *route[TIER_ROUTE]; /* names; NULL: o3-mini, o3, o3-pro */
    int64_t
        confidence_floor; /* thousandths: two answers that agree are enough above it; 0: not measured yet */
};
/* The tier that t, of THINKING_ROUTE, asks in that place: 0 to TIER_ROUTE - 1. */
const struct tier *config_route(const struct config *c, const struct tier *t, size_t i);
/* The budget of one effort, whole and in bounds: 1 <= min <= max, 1 <= wave. Not of THINKING_ROUTE. */
struct effort_budget tier_budget(const struct tier *t, enum effort effort);

/* clang-format off */
struct config {
#define CONFIG_MEMBER_STRING(name) const char *name;
#define CONFIG_MEMBER_INT(name)    int64_t name;
#define CONFIG_MEMBER_SIZE(name)   int64_t name;
#define CONFIG_MEMBER_BOOL(name)   bool name;
#define CONFIG_MEMBER_LIST(name)   struct config_list name;
#define X(name, kind, dflt, min, max, cmds, help) CONFIG_MEMBER_##kind(name)
    CONFIG_LIST(X)
#undef X
    struct tier *tiers;
    size_t n_tiers;
    const char **args; /* what stood on the command line besides options */
    size_t n_args;
    const char **flags; /* names of the options that stood there: config_flagged */
    size_t n_flags;
    struct arena arena;
};
/* clang-format on */

/* Loads for one command. argv holds what follows the command's name. ERR_CONFIG names source and key.
 * env: "NAME=value" strings, NULL-terminated (environ); an empty value is the same as none.
 * config_free works on a half-loaded one too. */
enum err_code config_load(struct config *c, unsigned command, int argc, const char *const *argv,
                          const char *const *env, struct err *err);
void config_free(struct config *c);
/* Whether the option stood on the command line: for what a command does only when it is told to there and then. */
bool config_flagged(const struct config *c, const char *key);

/* The aligned option list of one command, for --help. */
void config_help(struct buf *out, unsigned command);
/* All rows in order, for docs/cli.md's test: false past the end. */
bool config_row(size_t i, const char **key, const char **dflt, const char **help, unsigned *commands);

/* The tier that a request's "model" names ("o3-pro", "openai/o3-pro-2025-06-10"), or NULL. */
const struct tier *config_tier(const struct config *c, struct str name);
bool effort_from(struct str name, enum effort *out);

/* --- prompt templates ------------------------------------------------------------------------------ */

/* A directory of NAME@VERSION.yaml, each a prompt that requests name by its id, pmpt_NAME, and fill in. Read once and
 * checked whole; read-only afterwards, any thread. What is returned lives until prompts_close. */
enum prompt_kind { PROMPT_TEXT, PROMPT_IMAGE, PROMPT_FILE, PROMPT_KINDS };
extern const char *const prompt_kind_names[PROMPT_KINDS + 1]; /* "text", ..., NULL */

struct prompt_variable {
    const char *name;
    enum prompt_kind kind;
    bool required;
    const char *dflt; /* NULL: none; texts only */
};

struct prompt_template {
    const char *name; /* without the prefix of ids; the file's name where that is no template's */
    int64_t version;  /* from 1; 0 where the file's name is no template's */
    const struct prompt_variable *variables;
    size_t n_variables;
    const char *instructions; /* NULL: none */
    const json_t *input;      /* NULL: none; a string, or an array of {role, content: a string} */
    const json_t *defaults;   /* request fields; NULL: none */
    struct err err;           /* code set: the file is wrong, and what is above is not all there */
};

#define PROMPT_ID_PREFIX "pmpt_"

struct prompts;
/* dir: NULL or not there: no templates. is_field: whether a request has a field of that name, NULL: not checked. A file
 * that is wrong is no error here but of its template; ERR_FILE: the directory cannot be read. */
enum err_code prompts_open(struct prompts **out, const char *dir, bool (*is_field)(const char *name),
                           struct err *err);
void prompts_close(struct prompts *p); /* NULL is fine */

/* In order of name and version: NULL past the end. */
const struct prompt_template *prompts_at(const struct prompts *p, size_t i);
/* id with its prefix; version in decimal, empty: the highest. NULL: no such template; one that is wrong is not found. */
const struct prompt_template *prompts_find(const struct prompts *p, struct str id, struct str version);
const struct prompt_variable *prompt_variable(const struct prompt_template *t, struct str name); /* or NULL */

/* The next piece of a text of a template: as it stands, and the name of the variable behind it, empty at the end.
 * False: there is no more. */
bool prompt_piece(struct str *rest, struct str *literal, struct str *variable);
/* The text with each variable's value in its place. */
void prompt_fill(struct buf *out, struct str text, struct str (*value)(void *ctx, struct str name),
                 void *ctx);

#endif
