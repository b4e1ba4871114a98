/*
 * logits.h - what the two programs that print logits share: the same command line, the same output.
 *
 *     ..._logits MODEL IDS OUT GREEDY CONTEXT
 *
 * IDS is a file of token ids in text. All of them are computed in one sequence, and OUT receives the logits behind
 * each as floats, [ids][vocabulary]. Then GREEDY more tokens are generated, each the likeliest. One line of JSON on
 * standard output: {"n_vocab": ..., "greedy": [...]}.
 *
 * Keys and values are F32 on both sides, so that what differs is the weights' arithmetic alone.
 */
#ifndef THINKD_TESTS_ANCHOR_LOGITS_H
#define THINKD_TESTS_ANCHOR_LOGITS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define IDS_MAX 4096

struct asked {
    const char *model;
    int32_t ids[IDS_MAX];
    int n_ids, greedy, context;
    FILE *out;
};

static inline void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(2);
}

static inline struct asked asked_read(int argc, char **argv)
{
    static struct asked a;
    if (argc != 6)
        fail("usage: MODEL IDS OUT GREEDY CONTEXT");
    a.model = argv[1];
    a.greedy = atoi(argv[4]);
    a.context = atoi(argv[5]);
    FILE *ids = fopen(argv[2], "r");
    a.out = fopen(argv[3], "wb");
    if (!ids || !a.out)
        fail("a file cannot be opened");
    while (a.n_ids < IDS_MAX && fscanf(ids, "%d", &a.ids[a.n_ids]) == 1)
        a.n_ids++;
    fclose(ids);
    if (a.n_ids == 0 || a.n_ids + a.greedy > a.context)
        fail("no ids, or more than the context holds");
    return a;
}

/* The lowest id of those that are likeliest. */
static inline int32_t likeliest(const float *logits, int32_t n)
{
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

#endif
