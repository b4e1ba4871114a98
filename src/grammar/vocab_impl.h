/*
 * vocab_impl.h - a vocabulary as a matcher sees it.
 *
 * A trie lies in an array in depth-first order: a node's children follow it, and `end` is where its subtree ends, so a walk is one pass
 * forward that leaps over what is not allowed. There are two tries: of all tokens, and of those that are not
 * wholly plain characters of a JSON string. For the plain ones there are sets by length.
 */
#ifndef THINKD_GRAMMAR_VOCAB_IMPL_H
#define THINKD_GRAMMAR_VOCAB_IMPL_H

#include "grammar/grammar.h"

#include <stdatomic.h>

#define PLAIN_CHARS_MAX 128  /* longer tokens stand in both tries */
#define TOKEN_BYTES_MAX 1024 /* longer ones are never allowed */

struct trie_node {
    uint32_t end;   /* of its subtree */
    int32_t token;  /* -1: none ends here */
    uint16_t depth; /* bytes up to here, from 1 */
    uint8_t byte;
    bool same; /* other tokens have the same bytes */
};

struct trie {
    struct trie_node *nodes;
    uint32_t n;
};

struct grammar_vocab {
    atomic_uint refs;
    const struct tokenizer *tokenizer;
    size_t n_tokens, words;
    uint32_t longest;       /* token, in bytes */
    struct trie all, odd;   /* odd: not plain */
    int32_t *same;          /* by token: the next one with the same bytes, -1 */
    uint32_t plain_longest; /* in characters */
    uint64_t *plain;        /* [plain_longest + 1][words]: plain tokens of at most so many characters */
    uint64_t *text;         /* [words]: tokens that may be part of a text: those of the tries */
    uint64_t *ends;         /* [words]: tokens that end a turn */
    int32_t *quoted;        /* tokens of text in which a quotation mark is */
    size_t n_quoted;
};

struct grammar_vocab *grammar_vocab_ref(struct grammar_vocab *v);

#endif
