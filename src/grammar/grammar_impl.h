/*
 * grammar_impl.h - what the files of grammar share: the intermediate form between the front ends (schema.c,
 * regex.c, lark.c) and the automaton.
 *
 * A builder holds nodes in an arena. A node describes a set of texts over bytes; rules name nodes and may call each
 * other in any way, recursion included, so a builder as a whole is a context-free grammar. Below a NODE_REGULAR bit
 * are only regular sets, where intersection and complement are allowed as well: a pattern with a maxLength, any key
 * but the named ones, a multiple of 3 in a range. Nodes are hash-consed: equal nodes are one pointer.
 *
 * A character is a Unicode scalar value and becomes its UTF-8 bytes; complements are taken among texts of whole
 * characters, so no text that is not UTF-8 is ever accepted.
 */
#ifndef THINKD_GRAMMAR_IMPL_H
#define THINKD_GRAMMAR_IMPL_H

#include "base/arena.h"
#include "grammar/grammar.h"

struct node;    /* immutable, lives as long as its builder */
struct builder; /* one compile */

struct char_range {
    uint32_t first, last; /* scalar values, inclusive */
};

void ranges_sort(struct char_range *ranges, size_t n); /* by their first */

#define REPEAT_ENDLESS SIZE_MAX

struct builder *builder_open(void);
void builder_close(struct builder *b); /* NULL is fine */
/* ERR_OK, or what the first node that broke a bound broke: checked at the end, so that building needs no error
 * paths. Nodes made after that are valid and mean nothing. */
enum err_code builder_err(const struct builder *b, struct err *err);
struct arena *builder_arena(struct builder *b);

const struct node *node_empty(struct builder *b); /* the empty text */
const struct node *node_never(struct builder *b); /* no text at all */
const struct node *node_text(struct builder *b, struct str utf8);
const struct node *node_class(struct builder *b, const struct char_range *ranges,
                              size_t n); /* any order, may overlap */
const struct node *node_seq(struct builder *b, const struct node *const *parts, size_t n);
const struct node *node_or(struct builder *b, const struct node *const *parts, size_t n);
const struct node *node_repeat(struct builder *b, const struct node *x, size_t min, size_t max);
/* Of regular nodes alone (asserted). */
const struct node *node_and(struct builder *b, const struct node *x, const struct node *y);
const struct node *node_not(struct builder *b, const struct node *x);
bool node_regular(const struct node *x);

/* Questions about a regular node, answered while the rest is still being built. What would take too long is not
 * known; of node_open_ended that is false. */
enum answer { ANSWER_NO, ANSWER_YES, ANSWER_UNKNOWN };
enum answer node_is_never(struct builder *b, const struct node *x);
enum answer node_has(struct builder *b, const struct node *x, struct str utf8);
/* No text has fewer or more characters than these; max SIZE_MAX: no bound is known. */
void node_lengths(const struct node *x, size_t *min, size_t *max);
/* Whatever a text of x begins with, there are endless texts of x that begin with it: no number of texts that are
 * taken out ever leaves a beginning without an end. */
bool node_open_ended(struct builder *b, const struct node *x);

/* The texts are JSON, and in none of them does an object say a key twice. No grammar can say that, since it would
 * have to remember the keys, so the matcher does. Only with keys that are open-ended, or else a text could come to
 * a place from which nothing goes on. */
void builder_unique_keys(struct builder *b);
/* The texts are JSON in part: an object begins with each mark, which ends inside the string of its first member, and
 * nothing else is looked at. mark is kept as it is; empty: the keys are not looked at at all. */
void builder_keys_behind(struct builder *b, struct str mark);
/* They are JSON from a control token on, and nothing is looked at before. Its name is kept as it is. */
void builder_keys_after(struct builder *b, struct str control);
/* They are JSON only at first: behind stop, which ends outside of strings, nothing is looked at. It is kept as it is. */
void builder_keys_until(struct builder *b, struct str stop);

/* No text needs more calls of rules inside each other, if there is a text within that many. */
void builder_calls_max(struct builder *b, uint32_t max);

/* A control token, by its text ("<tool_call>"): what a matcher's vocabulary has by that name. Not regular. Where
 * the vocabulary has none of that name, its text. */
const struct node *node_control(struct builder *b, struct str name);

/* Rules: made first, defined once, called from anywhere. Calling makes a node that is not regular. */
size_t rule_new(struct builder *b, const char *name); /* name: for messages; copied */
void rule_define(struct builder *b, size_t rule, const struct node *x);
const struct node *node_call(struct builder *b, size_t rule);

/* The grammar of rule start. Rules that can produce no text are cut off; a start that cannot is ERR_INVALID_SCHEMA
 * or ERR_INVALID_VALUE as the caller says. Takes the builder over, also when it fails. */
enum err_code grammar_from(struct grammar **out, struct builder *b, size_t start, enum err_code unsatisfiable,
                           struct err *err);

/* --- pieces that front ends share ------------------------------------------------------------------------ */

/* A pattern as a regular node. flavour: whose syntax; anchored: ECMA-262 patterns search unless they say ^ and $. */
enum regex_flavour {
    REGEX_ECMA, /* of strings in JSON: no text has U+0000 */
    REGEX_RUST
};
enum err_code regex_node(const struct node **out, struct builder *b, struct str pattern,
                         enum regex_flavour flavour, bool search, struct err *err);

/* A schema's texts as a part of something larger: the arguments of a function, say. As grammar_open_schema; what is
 * made stays the builder's, and is of no use after an error. */
enum err_code schema_node(const struct node **out, struct builder *b, const json_t *schema,
                          const struct schema_options *o, json_t **omitted, struct err *err);
/* Arrays and objects stand in each other as deep as json_read takes, if a text needs no more. Not where other grammars are a part of it. */
void schema_bound_depth(struct builder *b);

/* Lark's syntax, as custom tools document it: the rule whose texts are the grammar's. */
enum err_code lark_rule(size_t *out, struct builder *b, struct str source, struct err *err);

/* Texts as JSON writes them between quotes: the images of a regular set of texts under JSON's escaping. Each
 * character has one spelling: itself, or the shortest escape where JSON needs one (\" \\ \b \f \n \r \t \u00XX);
 * '/' stands for itself. */
const struct node *node_json_image(struct builder *b, const struct node *regular);

#endif
