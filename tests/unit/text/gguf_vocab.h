/*
 * gguf_vocab.h - the vocabulary of a GGUF file, read for tests alone.
 *
 * model/ has the reader that guards the program; text/ lies below it and may not ask it, so the fixtures are
 * read here with the least code that trusts its files.
 */
#ifndef THINKD_TESTS_UNIT_TEXT_GGUF_VOCAB_H
#define THINKD_TESTS_UNIT_TEXT_GGUF_VOCAB_H

#include "base/arena.h"
#include "base/file.h"
#include "text/text.h"

struct gguf_vocab {
    struct file_map map;
    struct arena arena;
    struct vocabulary v; /* points into the two above */
};

bool gguf_vocab_read(struct gguf_vocab *g,
                     const char *path); /* false: not a GGUF v3 file with a vocabulary */
void gguf_vocab_free(struct gguf_vocab *g);

/* A fixture of 46 texts: texts in one file behind separator lines, ids in the other, one line each. */
struct encoding_case {
    struct str text;
    struct ids ids;
};
/* Reads both files; *n is the number of cases. The strings view *inp. Caller frees with encoding_cases_free. */
struct encoding_case *encoding_cases_read(const char *inp, const char *out, size_t *n, struct buf *bytes);
void encoding_cases_free(struct encoding_case *cases, size_t n, struct buf *bytes);

#endif
