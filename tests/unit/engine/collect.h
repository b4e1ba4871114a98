/*
 * collect.h - an engine with a sink that remembers everything, for tests.
 *
 * A sequence with a past is taken to have had its tokens already. Each event is checked as it comes: totals never fall, texts are whole characters, a stage is never gone
 * back to, the prompt's tokens come before the others, nothing follows an end.
 *
 * Threads: the sink runs on the engine's; the rest on the test's.
 */
#ifndef THINKD_TESTS_UNIT_ENGINE_COLLECT_H
#define THINKD_TESTS_UNIT_ENGINE_COLLECT_H

#include "base/buf.h"
#include "engine/engine.h"

#include <pthread.h>

#define COLLECT_MAX 512 /* sequences are numbered below it */

struct collect_mark {
    size_t thought, answer; /* bytes */
    int64_t thinking_tokens;
};

struct collected {
    struct buf thought, answer;
    struct engine_token *prompt, *tokens; /* [n_prompt], [n_tokens]: what was said of each */
    struct collect_mark *marks;           /* [n_tokens] what had been shown and counted by then */
    size_t n_prompt, n_tokens, cap_prompt, cap_tokens;
    struct engine_confidence confidence; /* the last event's */
    int64_t output_tokens, thinking_tokens, cached_tokens;
    int events, ends;
    bool failed, closed_by_budget, closed_by_grammar, answering;
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
    bool stops; /* the sink waits where stop_seq has stop_tokens */
    uint64_t stop_seq;
    int64_t stop_tokens;
    uint64_t arrivals, events, ends; /* arrivals: events that came to the gate */
    const char *wrong;               /* what the sink found wrong, or NULL */
    pthread_mutex_t gate;            /* a test that holds it stops the engine at its next event */
};

struct collector *collect_open(
    const struct engine_config *cfg);           /* fails the test when the engine does not open */
struct collector *collect_echo(void);           /* 64 sequences at a time */
void collect_close(struct collector *c);        /* closes the engine; checks that every sequence ended once */
void collect_engine_close(struct collector *c); /* only the engine; what was collected stays */

/* One user message. */
struct engine_prompt *collect_prompt(struct collector *c, const char *message, bool think);
struct engine_prompt *collect_text_prompt(struct collector *c, const char *text);
struct engine_params collect_params(int64_t tokens_max); /* greedy, no bound on thinking, no stops */
void collect_submit(struct collector *c, uint64_t seq, struct engine_prompt *prompt,
                    const struct engine_params *params);
const struct collected *collect_wait(struct collector *c, uint64_t seq);     /* until it has ended */
void collect_wait_tokens(struct collector *c, uint64_t seq, int64_t tokens); /* until it has that many */
/* Submits one whose first n tokens are those of an earlier run. */
void collect_resume(struct collector *c, uint64_t seq, struct engine_prompt *prompt,
                    const struct engine_params *params, const struct collected *run, size_t n);
/* Prompt, submit, wait. */
const struct collected *collect_run(struct collector *c, uint64_t seq, const char *message, bool think,
                                    const struct engine_params *params);
/* The same tokens, texts, totals and figures, or the test fails. */
void collect_same(const struct collected *a, const struct collected *b);
const char *collect_text(const struct buf *b); /* "" for an empty one */
/* The engine stands still at its next event; what is submitted meanwhile arrives between two steps. */
void collect_hold(struct collector *c);
void collect_wait_arrival(struct collector *c); /* while held: until the engine stands at the gate */
void collect_let_go(struct collector *c);
/* The same, at the event by which seq has that many tokens; may be set anew while it stands there. */
void collect_stop_at(struct collector *c, uint64_t seq, int64_t tokens);
void collect_go_on(struct collector *c);
struct engine_stats collect_stats(struct collector *c);

#endif
