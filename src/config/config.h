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

#include <stdbool.h>
#include <stdint.h>

/* Which commands an option belongs to. */
enum { CMD_SERVE = 1, CMD_ASK = 2, CMD_MODELS = 4, CMD_EXAM = 8, CMD_VERSION = 16 };

/* Kinds: STRING const char * (NULL: not set), INT int64_t in [min, max], BOOL bool, SIZE int64_t bytes
 * ("512MiB"), LIST struct config_list of strings (repeated flag, comma list, YAML list).
 *
 *    member              kind    default      min  max        commands                 help */
#define CONFIG_ENGINE_CMDS (CMD_SERVE | CMD_ASK | CMD_MODELS | CMD_EXAM)
/* clang-format off */
#define CONFIG_LIST(X)                                                                                           \
    X(config,              STRING, NULL,          0, 0,          CONFIG_ENGINE_CMDS, "YAML file with any of these keys")      \
    X(listen,              STRING, "127.0.0.1:8080", 0, 0,       CMD_SERVE, "address and port to serve on; port 0 picks a free one") \
    X(data,                STRING, NULL,          0, 0,          CMD_SERVE, "directory for everything the server keeps; made if it is missing (this version keeps nothing but its lock)") \
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
    X(keys,                LIST,   NULL,          0, 0,          CMD_SERVE, "API keys that may call (none: anyone, loopback addresses only)") \
    X(body_bytes_max,      SIZE,   "64MiB",       1024, 0,       CMD_SERVE, "largest request body")                            \
    X(header_bytes_max,    SIZE,   "16KiB",       4096, 0,       CMD_SERVE, "largest request line and headers")                \
    X(connections_max,     INT,    "1024",        1, 100000,     CMD_SERVE, "open connections")                                \
    X(connections_per_ip,  INT,    "0",           0, 100000,     CMD_SERVE, "open connections of one address (0: no bound)")   \
    X(request_timeout_ms,  INT,    "30000",       100, 3600000,  CMD_SERVE, "time for a request's headers and body to arrive") \
    X(idle_timeout_ms,     INT,    "75000",       100, 3600000,  CMD_SERVE, "time a kept-alive connection may stay silent")    \
    X(ping_ms,             INT,    "15000",       100, 3600000,  CMD_SERVE, "silence on a stream before a keep-alive comment") \
    X(stream_bytes_max,    SIZE,   "8MiB",        65536, 0,      CMD_SERVE, "unread bytes before a slow stream is cut off")    \
    X(stop_timeout_ms,     INT,    "10000",       0, 3600000,    CMD_SERVE, "time for running requests to end at SIGTERM")     \
    X(workers,             INT,    "2",           1, 64,         CMD_SERVE, "threads that parse and tokenise requests")        \
    X(max_output_tokens,   INT,    "0",           0, 10000000,   CMD_SERVE, "default of max_output_tokens (0: the tier's and model's limit)") \
    X(log_level,           STRING, NULL,          0, 0,          CONFIG_ENGINE_CMDS, "error, warn, info or debug (default: info for serve, warn for the rest)") \
    X(url,                 STRING, NULL,          0, 0,          CMD_ASK | CMD_MODELS | CMD_EXAM, "ask this server instead, as http://127.0.0.1:8080") \
    X(api_key,             STRING, NULL,          0, 0,          CMD_ASK | CMD_MODELS | CMD_EXAM, "key for --url (default: OPENAI_API_KEY)") \
    X(tier,                STRING, "o3",          0, 0,          CMD_ASK | CMD_EXAM, "model of the API: o3-mini, o3, o3-pro or one of the configuration's own") \
    X(effort,              STRING, NULL,          0, 0,          CMD_ASK | CMD_EXAM, "none, minimal, low, medium, high, xhigh or max") \
    X(instructions,        STRING, NULL,          0, 0,          CMD_ASK, "system message")                                    \
    X(max_tokens,          INT,    "0",           0, 10000000,   CMD_ASK, "most tokens to generate (0: the model's limit)")    \
    X(thinking,            BOOL,   "false",       0, 0,          CMD_ASK, "show the thinking, dimmed")                         \
    X(temperature,         STRING, NULL,          0, 0,          CMD_ASK | CMD_EXAM, "0 to 2 (default: the tier's)")           \
    X(seed,                INT,    "0",           0, INT64_MAX,  CMD_ASK | CMD_EXAM, "seed of the random numbers (0: drawn; exam: 1)") \
    X(families,            LIST,   NULL,          0, 0,          CMD_EXAM, "families to ask (default: all)")                   \
    X(items,               INT,    "0",           0, 1000000,    CMD_EXAM, "questions per family and level, or out of --file (0: 20, and all of a file)") \
    X(file,                STRING, NULL,          0, 0,          CMD_EXAM, "JSONL of question and answer to ask instead")      \
    X(concurrency,         INT,    "8",           1, 1024,       CMD_EXAM, "questions in flight")                              \
    X(json,                BOOL,   "false",       0, 0,          CONFIG_ENGINE_CMDS | CMD_VERSION, "print JSON")
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
/* How long a tier thinks: as o3-mini, as o3, as o3-pro. */
enum thinking { THINKING_SHORT, THINKING_LONG, THINKING_BRANCHES };

struct tier {
    const char *name;           /* "o3-pro" */
    const char *const *aliases; /* NULL-terminated; each name and alias also answers to "openai/" + it */
    unsigned endpoints;         /* ENDPOINT_* */
    enum effort default_effort;
    enum thinking thinking;
    int64_t price_in, price_out;               /* nano-dollars a token: 1 $/M tokens is 1000 */
    int64_t context_window, max_output_tokens; /* ceilings of the tier, in tokens */
    int64_t created;                           /* unix seconds, for /v1/models */
};

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
    struct arena arena;
};
/* clang-format on */

/* Loads for one command. argv holds what follows the command's name. ERR_CONFIG names source and key.
 * env: "NAME=value" strings, NULL-terminated (environ); an empty value is the same as none.
 * config_free works on a half-loaded one too. */
enum err_code config_load(struct config *c, unsigned command, int argc, const char *const *argv,
                          const char *const *env, struct err *err);
void config_free(struct config *c);

/* The aligned option list of one command, for --help. */
void config_help(struct buf *out, unsigned command);
/* All rows in order, for docs/cli.md's test: false past the end. */
bool config_row(size_t i, const char **key, const char **dflt, const char **help, unsigned *commands);

/* The tier that a request's "model" names ("o3-pro", "openai/o3-pro-2025-06-10"), or NULL. */
const struct tier *config_tier(const struct config *c, struct str name);
bool effort_from(struct str name, enum effort *out);

#endif
