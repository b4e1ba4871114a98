/*
 * replay_impl.h - recorded traces between the file that reads them and the one that replays them.
 */
#ifndef THINKD_EXAM_REPLAY_IMPL_H
#define THINKD_EXAM_REPLAY_IMPL_H

#include "exam/exam.h"
#include "reason/reason.h"

struct trace {
    bool there, right, complete;
    int64_t tokens;
    struct str text, thought;
    struct engine_confidence confidence;
};

/* One question's traces of one candidate. */
struct traced {
    struct str question, family;
    int level;
    uint64_t cluster;
    struct trace *samples; /* [traces.samples], the greedy one first */
};

/* Zero-initialise. Everything in the arena but items. */
struct traces {
    struct exam_candidate candidates[EXAM_CANDIDATES_MAX];
    size_t candidates_len, samples;
    struct traced *items; /* [questions][candidates_len] */
    size_t questions;
    struct arena *arena; /* the caller's */
};
enum err_code traces_read(struct traces *t, const char *path, struct err *err);
void traces_free(struct traces *t);
static inline struct traced *traces_at(const struct traces *t, size_t question, size_t candidate)
{
    return &t->items[question * t->candidates_len + candidate];
}

#endif
