/*
 * grammar.h - what a text may be, byte by byte, and so which tokens may come next.
 *
 * A contract (a JSON Schema, a regular expression, a Lark grammar) is compiled once into a grammar; a grammar and a model's
 * vocabulary make a matcher, which follows one text and says before each token which tokens keep it inside the
 * contract. Nothing is repaired afterwards: what cannot be enforced exactly is refused, or named, when it is compiled.
 *
 * Threads:   a grammar and a grammar_vocab are read-only once open (their caches are locked inside); any thread may use
 *            them. A matcher belongs to one thread at a time.
 * Ownership: both are reference-counted; a matcher holds a reference to each.
 * Errors:    ERR_INVALID_SCHEMA (code invalid_json_schema) names the keyword and its path; ERR_INVALID_VALUE for a grammar's
 *            or a pattern's own fault, with its line or offset.
 * Bounds:    compiling takes at most GRAMMAR_NODES_MAX nodes and GRAMMAR_BYTES_MAX of memory for them, whatever the input is, and with a
 *            schema's steps and an automaton's work (schema_impl.h, dfa.h) less than 100 ms and 50 MiB (bench/hostile). Texts may nest 1,000
 *            calls deep, those of schemas as deep as json_read takes. A repeat whose counts stay apart ((a|aa){300,600}) is followed in at most 256 of them at a time: then
 *            less is offered than the grammar allows, never anything else.
 */
#ifndef THINKD_GRAMMAR_GRAMMAR_H
#define THINKD_GRAMMAR_GRAMMAR_H

#include "base/buf.h"
#include "base/err.h"
#include "text/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define GRAMMAR_NODES_MAX  100000
#define GRAMMAR_BYTES_MAX  ((size_t)16 << 20)
#define GRAMMAR_TEXT_MAX   (4 << 20) /* of them, in texts and classes of characters */
#define GRAMMAR_FORCED_MAX 65536     /* bytes that matcher_forced gives at once */

struct grammar;       /* compiled: knows no vocabulary */
struct grammar_vocab; /* the tokens of a model, as a trie of their bytes */
struct matcher;       /* one text */

/* --- compiling ------------------------------------------------------------------------------------ */

/* Which texts of JSON there are beside a value's own: blanks between the tokens of JSON. */
enum json_layout {
    LAYOUT_COMPACT, /* one form: {"a":1,"b":[2,3]}: no blanks at all */
    LAYOUT_SPACED   /* none, or one blank behind ':' and ',', as json.dumps and JSON.stringify write */
};

struct schema_options {
    bool strict; /* a keyword that cannot be enforced is an error; else it is left out and named in omitted */
    const char *path; /* put before the paths in errors: "text.format.schema" */
    enum json_layout layout;
};

/* The texts that are JSON and valid against schema (draft 2020-12, and the forms of older drafts that SDKs send). Properties come in the order of the
 * schema. *omitted: NULL, or a new array of {"path", "keyword"} for the caller. */
enum err_code grammar_open_schema(struct grammar **out, const json_t *schema, const struct schema_options *o,
                                  json_t **omitted, struct err *err);
/* Any JSON object (response_format json_object). */
enum err_code grammar_open_json_object(struct grammar **out, enum json_layout layout, struct err *err);
/* The whole text matches the pattern: Rust's syntax without look-around and back-references, as custom tools document it. */
enum err_code grammar_open_regex(struct grammar **out, struct str pattern, struct err *err);
/* Lark's syntax, as custom tools document it. */
enum err_code grammar_open_lark(struct grammar **out, struct str source, struct err *err);

/* --- calls of tools (calls.c) ---------------------------------------------------------------------------- */

#define CALLS_MAX 32 /* of one answer */

struct calls; /* which tools may be called, and how; read-only once open, reference-counted */
struct calls_options {
    const char *form;     /* the model's: see calls.c; NULL: a form in letters */
    const json_t *only;   /* names of the tools that may be called; NULL: all */
    bool text;            /* an answer need not call: it is text, or text and calls */
    bool parallel;        /* several calls in one answer */
    const json_t *answer; /* the schema of an answer without calls; NULL: any text */
    bool answer_strict;
};
/* tools: [{type: "function", name, parameters, strict} or {type: "custom", name, format}], members of other types are left out; an
 * index among them names a tool. Functions' parameters may be null: any object. */
void calls_open(struct calls **out, const json_t *tools, const struct calls_options *o);
struct calls *calls_ref(struct calls *c);
void calls_unref(struct calls *c); /* NULL is fine */
const char *calls_name(const struct calls *c, size_t tool);
bool calls_custom(const struct calls *c, size_t tool);
/* Appends an example of a call, for a model that is to be told how it is written. */
void calls_example(const struct calls *c, struct buf *out);

/* The answers that may be given, with the same tools and options. *omitted as above, each path begins with its tool's;
 * what is left out of the answer's schema is not among them. *at: the tool that an error is about; their number: it is about none. */
enum err_code grammar_open_calls(struct grammar **out, const struct calls *c, const json_t *tools,
                                 const struct calls_options *o, json_t **omitted, size_t *at,
                                 struct err *err);
/* Its texts begin with a message's head, behind <|start|>assistant, and hold more of them: calls in the form "harmony". */
bool grammar_has_heads(const struct grammar *g);
/* What may stand in the place of an answer in JSON: a text that begins with opening (UTF-8, not empty) and goes on freely. Beside the
 * calls of c, if not NULL, it is spelled as a text of such an answer and holds nothing that could be taken for a call. */
enum err_code grammar_open_refusal(struct grammar **out, struct str opening, const struct calls *c,
                                   struct err *err);

/* An answer of that grammar taken apart while it comes: put, then next until there is none. */
enum calls_piece { CALLS_TEXT, CALLS_BEGIN, CALLS_ARGUMENTS };
struct calls_scan {
    const struct calls *calls; /* borrowed */
    struct buf held, piece;
    int state; /* calls.c's */
    int64_t depth;
    bool quoted, escaped, ended, shown;
    /* The piece: text, the beginning of a call of tool, or more of its arguments: JSON, or a custom tool's input. Valid until the next
     * call that takes s. */
    enum calls_piece kind;
    size_t tool;
    struct str text;
};
void calls_scan_start(struct calls_scan *s, const struct calls *c);
void calls_scan_put(struct calls_scan *s, struct str text);
void calls_scan_end(struct calls_scan *s); /* nothing more comes: next gives the text that was held back */
bool calls_scan_next(struct calls_scan *s);
bool calls_scan_whole(const struct calls_scan *s); /* what was read ends in no call's middle */
void calls_scan_free(struct calls_scan *s);

struct grammar *grammar_ref(struct grammar *g);
void grammar_unref(struct grammar *g); /* NULL is fine */
/* What it takes now, with all that is remembered of it for vocabularies: for whoever keeps many. */
size_t grammar_bytes(struct grammar *g);

/* --- vocabularies ----------------------------------------------------------------------------------- */

/* Costs tens of milliseconds for a large vocabulary, so once per model. Borrows t, which must outlive it. */
void grammar_vocab_open(struct grammar_vocab **out, const struct tokenizer *t);
void grammar_vocab_close(struct grammar_vocab *v); /* NULL is fine */

/* --- matching ---------------------------------------------------------------------------------------- */

/* v NULL: it goes by bytes alone (all but matcher_mask, _allows and _accept), where a control token is its text. */
void matcher_open(struct matcher **out, struct grammar *g, struct grammar_vocab *v);
void matcher_close(struct matcher *m);                 /* NULL is fine */
struct matcher *matcher_copy(const struct matcher *m); /* stands where m stands */

/* The tokens that may come next: bit id % 64 of word id / 64; [words] = (tokenizer_size + 63) / 64. Tokens that end a
 * turn are allowed where the text may end here. At least one bit is set in every state that can be reached, if the
 * vocabulary has every byte. Valid until the next call that
 * takes m; shared with other matchers, so read-only. */
const uint64_t *matcher_mask(struct matcher *m, size_t *words);
bool matcher_allows(const struct matcher *m, int32_t id); /* the bit of one token, without the mask */
/* Goes on by a token that the mask allows; false, and nothing has changed, for one that it does not. */
bool matcher_accept(struct matcher *m, int32_t id);
/* Goes on by bytes. Returns how many were accepted: fewer than len where the next one is the first bad byte. */
size_t matcher_put(struct matcher *m, struct str bytes);
bool matcher_may_end(const struct matcher *m); /* the text so far is whole */
bool matcher_over(const struct matcher *m);    /* it is whole, and no byte may follow */
/* What must come next whatever the model says: appends the forced bytes up to the next choice. */
void matcher_forced(const struct matcher *m, struct buf *out);
/* A shortest text that makes the text so far whole, by bytes, a control token by its name; false: there is none within max bytes. */
bool matcher_closing(const struct matcher *m, size_t max, struct buf *out);

#endif
