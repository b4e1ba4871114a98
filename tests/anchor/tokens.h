/*
 * tokens.h - what thinkd_tokens.c and llama_tokens.c share: texts in, one line of ids out for each.
 *
 *   PROGRAM VOCABULARY.gguf TEXTS {plain|special}
 *
 * TEXTS: each text as a 32-bit length (little-endian) and its bytes. special: tokens are found as they are
 * spelled.
 */
#ifndef THINKD_TESTS_ANCHOR_TOKENS_H
#define THINKD_TESTS_ANCHOR_TOKENS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (1 << 20)

static inline _Noreturn void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

struct texts {
    FILE *file;
    bool special;
    char *text;
    uint32_t len;
};

static inline struct texts texts_open(int argc, char **argv)
{
    if (argc != 4)
        fail("usage: PROGRAM VOCABULARY.gguf TEXTS {plain|special}");
    struct texts t = { .file = fopen(argv[2], "rb"), .special = strcmp(argv[3], "special") == 0 };
    t.text = malloc(TEXT_MAX);
    if (!t.file || !t.text)
        fail("the texts cannot be read");
    return t;
}

static inline bool texts_next(struct texts *t)
{
    unsigned char len[4];
    if (fread(len, 1, 4, t->file) != 4)
        return false;
    t->len = (uint32_t)len[0] | (uint32_t)len[1] << 8 | (uint32_t)len[2] << 16 | (uint32_t)len[3] << 24;
    if (t->len > TEXT_MAX || fread(t->text, 1, t->len, t->file) != t->len)
        fail("a text is cut short");
    return true;
}

static inline void texts_close(struct texts *t)
{
    fclose(t->file);
    free(t->text);
}

static inline void put_ids(const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf(i ? " %d" : "%d", (int)ids[i]);
    putchar('\n');
}

#endif
