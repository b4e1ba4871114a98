/*
 * text.h - between text and token ids: tokenizers, chat templates, streaming detokenisation.
 *
 * It knows no weights and no file format: who has a vocabulary hands it over as a struct
 * vocabulary (model/ fills one from a GGUF file).
 *
 * Threads: a tokenizer and a chat_template are read-only after open; any thread may use them. A detok
 * belongs to one thread.
 */
#ifndef THINKD_TEXT_TEXT_H
#define THINKD_TEXT_TEXT_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* --- tokenizer ---------------------------------------------------------------------------------- */

/* llama.cpp's token types, as GGUF stores them in tokenizer.ggml.token_type. */
enum token_type {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3,
    TOKEN_USER_DEFINED = 4,
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6
};

/* What a model file says about its tokens. Everything is borrowed until tokenizer_open returns. */
struct vocabulary {
    struct str model;         /* tokenizer.ggml.model: "gpt2" (byte-level BPE), "llama" (SPM) */
    struct str pre;           /* tokenizer.ggml.pre: "qwen2", "llama-bpe", "gpt-2", ...; empty: "default" */
    const struct str *tokens; /* [n_tokens] */
    const float *scores;      /* [n_tokens] or NULL; SPM needs them */
    const int32_t *types;     /* [n_tokens] enum token_type, or NULL: all normal */
    size_t n_tokens;
    const struct str *merges; /* [n_merges] "left right"; BPE needs them */
    size_t n_merges;
    int32_t bos, eos, eot, unk, pad; /* ids, -1: none */
    bool add_bos, add_eos;
    bool add_space_prefix; /* SPM: a blank before the text (default true) */
};

/* What add_bos is where a file does not say: true for SPM, and for byte-level families whose texts begin
 * with bos. */
bool vocabulary_begins_with_bos(struct str model, struct str pre);

struct tokenizer;
struct ids {
    int32_t *ptr;
    size_t len, cap;
}; /* zero-initialise; caller's: ids_free */
void ids_put(struct ids *ids, int32_t id);
void ids_free(struct ids *ids);

/* ERR_FORMAT: unknown model or pre-tokenizer (named), lying sizes, a merge that names no token, ... */
enum err_code tokenizer_open(struct tokenizer **out, const struct vocabulary *v, struct err *err);
void tokenizer_close(struct tokenizer *t); /* NULL is fine */

/* flags: SPECIAL finds control tokens and user-defined markup (<think>, [INST]); user-defined words (runs
 * of blanks) are text and found in every mode. BOS adds bos (and eos) where the vocabulary asks for it. INSIDE: other text
 * stands before it, so no blank is put in front where a vocabulary begins with one. */
enum { ENCODE_PLAIN = 0, ENCODE_SPECIAL = 1, ENCODE_BOS = 2, ENCODE_INSIDE = 4 };
/* Appends to ids. Text must be UTF-8, apart from guard bytes (see text_guard), which are taken out. */
enum err_code tokenizer_encode(const struct tokenizer *t, struct str text, unsigned flags, struct ids *ids,
                               struct err *err);
/* Appends content with a guard byte (0xFF, which UTF-8 cannot hold) before every place where the text of a
 * control token or markup starts, or could start or end together with a template's own text, so that what
 * users write can never become one. Templates pass the byte through; tokenizer_encode takes it out. */
void text_guard(const struct tokenizer *t, struct str content, struct buf *out);
/* The same for a string inside a value that a template may write as JSON, where escapes put characters between those of
 * the content: what JSON escapes stands between two guards, so no token can begin with an escape's backslash or reach over
 * an escape. (One that is an escape's letters and nothing else, "n" or "u0001", would be found there.) */
void text_guard_json(const struct tokenizer *t, struct str content, struct buf *out);

size_t tokenizer_size(const struct tokenizer *t);
struct str tokenizer_bytes(const struct tokenizer *t,
                           int32_t id); /* what it stands for; empty for control tokens */
struct str tokenizer_text(const struct tokenizer *t,
                          int32_t id); /* as the vocabulary spells it: "<|im_end|>" */
int32_t tokenizer_find(const struct tokenizer *t,
                       struct str text); /* a special or plain token of that text, or -1 */
bool tokenizer_ends(const struct tokenizer *t,
                    int32_t id);                  /* eos, eot, <|im_end|>, <|eot_id|>, <end_of_turn>, ... */
int32_t tokenizer_bos(const struct tokenizer *t); /* -1: none */
int32_t tokenizer_eos(const struct tokenizer *t); /* -1: none */

/* --- streaming detokenisation -------------------------------------------------------------------- */

/* Holds back the bytes of an unfinished character; what can never become one comes out as U+FFFD. SPM's
 * leading blank of the first token is dropped. Zero-initialise. */
struct detok {
    struct buf held;
    bool started;
};
void detok_put(struct detok *d, const struct tokenizer *t, int32_t id, struct buf *out);
void detok_end(struct detok *d, struct buf *out); /* flushes what is held */
void detok_free(struct detok *d);

/* Finds stop strings in streamed text. Text that may still become a stop is held back. Zero-initialise,
 * then set stops (borrowed). */
struct stop_scan {
    const struct str *stops;
    size_t n_stops;
    struct buf held;
};
bool stop_scan_put(struct stop_scan *s, struct str text,
                   struct buf *out); /* true: a stop was found; out ends before it */
void stop_scan_end(struct stop_scan *s, struct buf *out);
void stop_scan_free(struct stop_scan *s);

/* --- chat templates ------------------------------------------------------------------------------ */

/* A Jinja template as model files carry it (tokenizer.chat_template), compiled once. What the language
 * subset leaves out is refused when the template is compiled, with its line. */
struct chat_template;
enum err_code chat_template_open(struct chat_template **out, struct str source, struct err *err);
void chat_template_close(struct chat_template *t); /* NULL is fine */
/* variables: an object with messages, add_generation_prompt, bos_token, eos_token, tools, enable_thinking,
 * reasoning_effort, ... Strings may hold guard bytes (json_stringn_nocheck). Steps, depth and output are
 * bounded. Errors: ERR_INVALID_VALUE with raise_exception's message; ERR_FORMAT for a template's own
 * fault. */
enum err_code chat_template_render(const struct chat_template *t, const json_t *variables, struct buf *out,
                                   struct err *err);
/* Whether the template ever reads a variable of that name: "reasoning_effort", "tools", "enable_thinking". */
bool chat_template_reads(const struct chat_template *t, const char *variable);

/* --- replies: how a model marks its thoughts and its tool calls (reply.c, calls.c) ------------------------------------ */

/*
 * A reply is a run of parts. Which tokens part them differs by family: <think> ... </think>; harmony's
 * channels (gpt-oss); tool calls as hermes and qwen write them (<tool_call>{"name",
 * "arguments"}</tool_call>), llama 3 ({"name", "parameters"}, <|python_tag|>), mistral ([TOOL_CALLS]). A
 * format is chosen once, from the vocabulary and the template. Markers that are no tokens of the vocabulary
 * stay text, and so do calls without markers: reply_call_start finds them.
 */
enum reply_part { REPLY_THOUGHT, REPLY_TEXT, REPLY_CALL };
struct reply_format;
/* template_source may be empty. Never fails: a model of which nothing is known writes text. t must outlive
 * the format. */
void reply_format_open(struct reply_format **out, const struct tokenizer *t, struct str template_source);
void reply_format_close(struct reply_format *f); /* NULL is fine */
const char *reply_format_name(
    const struct reply_format *f); /* "think+hermes", "harmony", "plain+mistral", ... */
/* How it writes calls, by the names of calls.c's forms (grammar.h): "hermes", "mistral-args", ...; NULL: it has no markers of
 * its own for them that may be asked for. */
const char *reply_calls_form(const struct reply_format *f);
bool reply_thinks(const struct reply_format *f);
/* The tokens that end a thought and begin the answer when they are forced: "</think>", or for harmony
 * "<|end|><|start|>assistant<|channel|>final<|message|>". Empty for a model that does not think. */
const struct ids *reply_closing(const struct reply_format *f);
/* The first so many of them lead to a message's head, where a grammar of calls in the form "harmony" begins; 0: the format has no heads. */
size_t reply_closing_to_head(const struct reply_format *f);
/* The tokens that begin a thought there, "<|channel|>analysis<|message|>"; empty for formats without heads. */
const struct ids *reply_opening(const struct reply_format *f);
/* Appends to a rendered prompt what keeps the model from thinking: an empty, closed thought; for harmony
 * the head of an answer, which is left to a grammar of calls (may_call). For templates without a switch of their own.
 * ERR_*: the vocabulary cannot spell it. */
enum err_code reply_skip_thought(const struct reply_format *f, bool may_call, struct ids *prompt,
                                 struct err *err);

/* One reply, token by token. Zero-initialise; reply_scan_start reads the prompt's last tokens to know
 * where the reply begins (inside a thought, or not). */
struct reply_scan {
    const struct reply_format *format;
    enum reply_part part;
    bool thought;        /* it has thought or does */
    bool shown;          /* something that is no blank came outside of thoughts */
    bool closed;         /* the prompt ends with a closed thought */
    int state;           /* reply.c's */
    int64_t part_tokens; /* of this part so far, markers too */
    struct buf header;   /* of a harmony message, until <|message|> */
    /* After a put, mostly empty: text of the part that stands before the token's own, the marker that
     * began a call as it is spelled ("<tool_call>", "... to=functions.f <|message|>"). Valid until the
     * next put. */
    struct str before;
};
void reply_scan_start(struct reply_scan *s, const struct reply_format *f, const struct ids *prompt);
/* What token id is: text of s->part (true), or a marker that is not shown (false); s->part is up to date
 * after it. Between <think> and its like there is one thought, and only before any text: later markers are
 * taken out. Harmony may think again between two messages. *ends: the model ends its turn with it
 * (harmony's call ends one too); if that happens inside a thought, s is as it was before, so that
 * reply_closing may be put instead. */
bool reply_scan_put(struct reply_scan *s, int32_t id, bool *ends);
/* The marker by which the next token may begin a thought; -1: there is none, or there will be no thought any more. */
int32_t reply_scan_opening(const struct reply_scan *s);
/* The next token belongs to the head of a message, which says what its body is (harmony). */
bool reply_scan_in_head(const struct reply_scan *s);
bool reply_scan_at_head(const struct reply_scan *s); /* and is its first: the channel is not said yet */
void reply_scan_free(struct reply_scan *s);

/* Tool calls out of the text of a whole reply: its REPLY_CALL parts as they were put (before + text), or
 * its REPLY_TEXT where markers are plain text or there are none. *calls: [{"name": string, "arguments":
 * object}], new; NULL: text holds no call. Arguments may be written as an object or as a string of JSON;
 * what follows <|python_tag|> and is neither JSON nor name.call(a="b") is {"name": "python", "arguments":
 * {"code": ...}}. Call ids of the model's are dropped. ERR_INVALID_VALUE: it begins like a call and is
 * none (what is wrong is said), so that a caller can show it as text. */
enum err_code reply_calls(const struct reply_format *f, struct str text, json_t **calls, struct err *err);
/* Where in a reply's text so far its calls begin, or may turn out to begin (half a marker at the end):
 * what is before is text to show. text.len: nowhere. */
size_t reply_call_start(const struct reply_format *f, struct str text);

#endif
