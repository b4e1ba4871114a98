/*
 * drive.c - see drive.h.
 */
#include "drive.h"

#include "test.h"

#include <stdio.h>
#include <string.h>

/* Does what is asked for; returns how many lines run then. */
static size_t obey(struct thinker *t, size_t *running, size_t n, bool *decided, char *acts, size_t acts_size)
{
    static const char *const names[] = { "+", NULL, "=", "!" };
    size_t used = strlen(acts);
    struct thinker_do act;
    while (thinker_next(t, &act)) {
        assert_false(*decided);
        if (act.act == THINK_START)
            running[n++] = act.line;
        if (names[act.act])
            used += (size_t)snprintf(acts + used, acts_size - used, "%s%d ", names[act.act], (int)act.line);
        *decided = act.act == THINK_DECIDE;
    }
    return n;
}

void drive(struct thinker *t, struct rng *rng, drive_end_line *end_line, const void *script, char *acts,
           size_t acts_size)
{
    size_t running[LINES_MAX], n = 0;
    bool decided = false;
    while ((n = obey(t, running, n, &decided, acts, acts_size)) > 0) {
        size_t k = (size_t)rng_range(rng, 0, (int64_t)n - 1), line = running[k];
        running[k] = running[--n];
        if (decided)
            thinker_cancelled(t, line);
        else
            end_line(t, script, line);
    }
    assert_true(decided && thinker_decided(t));
    const struct reason_trace *trace = thinker_trace(t);
    int votes = 0;
    for (size_t i = 0; i < trace->n_options; i++)
        votes += trace->options[i].votes;
    assert_int_equal(trace->counted, votes + trace->abstained);
}
