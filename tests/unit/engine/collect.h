/*
 * collect.h - an engine with a sink that remembers everything, for tests.
 *
 * Each event is checked as it comes: totals never fall, texts are whole characters, a stage is never gone
 * back to, nothing follows an end.
 *
 * Threads: the sink runs on the engine's; the rest on the test's.
 */
#ifndef THINKD_TESTS_UNIT_ENGINE_COLLECT_H
#define THINKD_TESTS_UNIT_ENGINE_COLLECT_H

#include "base/buf.h"
#include "engine/engine.h"

#include <pthread.h>

#define COLLECT_MAX 512 /* sequences are numbered below it */

struct collected {
    struct buf thought, answer;
    int64_t output_tokens, thinking_tokens;
    int events, ends;
    bool failed, closed_by_budget, answering;
    enum engine_finish finish;
    struct err err;
    uint64_t order;       /* its end's place among all ends, from 1 */
    uint64_t first_event; /* the place of its first event among all events, from 1 */
};

struct collector {
    struct engine *engine;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t news;
    struct collected seqs[COLLECT_MAX];
    uint64_t events, ends;
    const char *wrong;    /* what the sink found wrong, or NULL */
    pthread_mutex_t gate; /* a test that holds it stops the engine at its next event */
};

struct collector *collect_open(
    const struct engine_config *cfg);           /* fails the test when the engine does not open */
struct collector *collect_echo(void);           /* 64 sequences at a time */
void collect_close(struct collector *c);        /* closes the engine; checks that every sequence ended once */
void collect_engine_close(struct collector *c); /* only the engine; what was collected stays */

/* One user message. */
struct engine_prompt *collect_prompt(struct collector *c, const char *message, bool think);
struct engine_params collect_params(int64_t tokens_max); /* greedy, no bound on thinking, no stops */
void collect_submit(struct collector *c, uint64_t seq, struct engine_prompt *prompt,
                    const struct engine_params *params);
const struct collected *collect_wait(struct collector *c, uint64_t seq);     /* until it has ended */
void collect_wait_tokens(struct collector *c, uint64_t seq, int64_t tokens); /* until it has that many */
/* Prompt, submit, wait. */
const struct collected *collect_run(struct collector *c, uint64_t seq, const char *message, bool think,
                                    const struct engine_params *params);
const char *collect_text(const struct buf *b); /* "" for an empty one */

#endif
