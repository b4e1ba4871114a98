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
    TOKEN_NORMAL = 1, TOKEN_UNKNOWN = 2, TOKEN_CONTROL = 3, TOKEN_USER_DEFINED = 4, TOKEN_UNUSED = 5, TOKEN_BYTE = 6
};

/* What a model file says about its tokens. Everything is borrowed until tokenizer_open returns. */
struct vocabulary {
    struct str model;            /* tokenizer.ggml.model: "gpt2" (byte-level BPE), "llama" (SPM) */
    struct str pre;              /* tokenizer.ggml.pre: "qwen2", "llama-bpe", "gpt-2", ...; empty: "default" */
    const struct str *tokens;    /* [n_tokens] */
    const float *scores;         /* [n_tokens] or NULL; SPM needs them */
    const int32_t *types;        /* [n_tokens] enum token_type, or NULL: all normal */
    size_t n_tokens;
    const struct str *merges;    /* [n_merges] "left right"; BPE needs them */
    size_t n_merges;
    int32_t bos, eos, eot, unk, pad; /* ids, -1: none */
    bool add_bos, add_eos;
    bool add_space_prefix;       /* SPM: a blank before the text (default true) */
};

struct tokenizer;
struct ids { int32_t *ptr; size_t len, cap; }; /* zero-initialise; caller's: ids_free */
void ids_put(struct ids *ids, int32_t id);
void ids_free(struct ids *ids);

/* ERR_FORMAT: unknown model or pre-tokenizer (named), lying sizes, a merge that names no token, ... */
enum err_code tokenizer_open(struct tokenizer **out, const struct vocabulary *v, struct err *err);
void tokenizer_close(struct tokenizer *t); /* NULL is fine */

/* flags: SPECIAL finds control tokens and user-defined markup (<think>, [INST]); user-defined words (runs of blanks)
 * are text and found in every mode. BOS adds bos (and eos) where the vocabulary asks for it. */
enum { ENCODE_PLAIN = 0, ENCODE_SPECIAL = 1, ENCODE_BOS = 2 };
/* Appends to ids. Text must be UTF-8, apart from guard bytes (see text_guard), which are taken out. */
enum err_code tokenizer_encode(const struct tokenizer *t, struct str text, unsigned flags, struct ids *ids,
                               struct err *err);
/* Appends content with a guard byte (0xFF, which UTF-8 cannot hold) before every place where the text of a control
 * token or markup starts, or could start or end together with a template's own text, so that what users write can
 * never become one. Templates pass the byte through; tokenizer_encode takes it out. */
void text_guard(const struct tokenizer *t, struct str content, struct buf *out);

size_t tokenizer_size(const struct tokenizer *t);
struct str tokenizer_bytes(const struct tokenizer *t, int32_t id);   /* what it stands for; empty for control tokens */
struct str tokenizer_text(const struct tokenizer *t, int32_t id);    /* as the vocabulary spells it: "<|im_end|>" */
int32_t tokenizer_find(const struct tokenizer *t, struct str text);  /* a special or plain token of that text, or -1 */
bool tokenizer_ends(const struct tokenizer *t, int32_t id);          /* eos, eot, <|im_end|>, <|eot_id|>, <end_of_turn>, ... */
int32_t tokenizer_bos(const struct tokenizer *t);                    /* -1: none */
int32_t tokenizer_eos(const struct tokenizer *t);                    /* -1: none */

/* --- streaming detokenisation -------------------------------------------------------------------- */

/* Holds back the bytes of an unfinished character; what can never become one comes out as U+FFFD. SPM's
 * leading blank of the first token is dropped. Zero-initialise. */
struct detok { struct buf held; bool started; };
void detok_put(struct detok *d, const struct tokenizer *t, int32_t id, struct buf *out);
void detok_end(struct detok *d, struct buf *out); /* flushes what is held */
void detok_free(struct detok *d);

/* Finds stop strings in streamed text. Text that may still become a stop is held back. Zero-initialise,
 * then set stops (borrowed). */
struct stop_scan { const struct str *stops; size_t n_stops; struct buf held; };
bool stop_scan_put(struct stop_scan *s, struct str text, struct buf *out); /* true: a stop was found; out ends before it */
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
 * bounded. Errors: ERR_INVALID_VALUE with raise_exception's message; ERR_FORMAT for a template's own fault. */
enum err_code chat_template_render(const struct chat_template *t, const json_t *variables, struct buf *out,
                                   struct err *err);
/* Whether the template ever reads a variable of that name: "reasoning_effort", "tools", "enable_thinking". */
bool chat_template_reads(const struct chat_template *t, const char *variable);

#endif
