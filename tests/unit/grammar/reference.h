/*
 * reference.h - what a grammar means, the slow way: for the tests of the fast one.
 *
 * Works on the nodes themselves and shares nothing with the automaton: which parts of one short text each node matches,
 * in rounds until nothing changes.
 */
#ifndef THINKD_TESTS_GRAMMAR_REFERENCE_H
#define THINKD_TESTS_GRAMMAR_REFERENCE_H

#include "grammar/grammar_impl.h"

#define REFERENCE_TEXT_MAX 60 /* bytes */

/* Whether the whole text is one of rule start's. Control tokens are their names. */
bool reference_matches(struct builder *b, size_t start, struct str text);
/* The rules, for whoever looks for what failed. */
void reference_print(struct builder *b, struct buf *out);

/* An SPM vocabulary of all bytes (id of byte b is b), the words from id 257 on (in angle brackets: user-defined), then the control
 * tokens; id 256 ends a turn. Caller closes. */
struct tokenizer *test_tokenizer(const char *const *words, size_t n_words, const char *const *controls,
                                 size_t n_controls);

#endif
