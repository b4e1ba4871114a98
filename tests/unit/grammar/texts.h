/*
 * texts.h - whole texts and first bad bytes, as the tables of patterns and of Lark's grammars write them.
 */
#ifndef THINKD_TESTS_TEXTS_H
#define THINKD_TESTS_TEXTS_H

#include "grammar/grammar.h"

/* text: a whole one, or with '|' before the first byte that g does not take; at its end: what is there is too short. source names g. */
void texts_check(struct grammar *g, struct grammar_vocab *v, const char *source, const char *text);

#endif
