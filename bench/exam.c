/*
 * exam.c - how fast training documents can be made: problems and bytes a second for each family, on one thread.
 *
 *     exam [SECONDS]     time for each family and effort, default 0.2
 *
 * Measured is exam_generate alone, from the random state to the filled buffers; a corpus adds the JSON around it.
 * Bytes are those of question, working and reply, which is what is trained on (about 1.1 to 2.5 of them make a token).
 */
#include "exam/exam.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

struct figures {
    double problems, bytes, seconds;
};

static struct figures measure(const struct exam_family *f, enum exam_effort effort, double seconds)
{
    struct figures out = { 0 };
    struct exam_problem p = { 0 };
    struct rng rng;
    int levels = exam_family_train_levels(f);
    rng_init(&rng, 1, 0);
    int64_t begin = clock_mono_ns();
    do {
        for (int i = 0; i < 100; i++) {
            exam_generate(f, (int)rng_range(&rng, 1, levels), effort, EXAM_TRAIN, &rng, &p);
            out.bytes += (double)(p.question.len + p.trace.len + p.visible.len);
        }
        out.problems += 100;
        out.seconds = (double)(clock_mono_ns() - begin) / 1e9;
    } while (out.seconds < seconds);
    exam_problem_free(&p);
    return out;
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 0.2;
    struct figures all = { 0 };
    printf("%-12s %12s %12s %12s %12s\n", "family", "medium/s", "MB/s", "xhigh/s", "MB/s");
    for (size_t i = 0; i < exam_family_count(); i++) {
        const struct exam_family *f = exam_family_at(i);
        if (!exam_family_trains(f))
            continue;
        struct figures m = measure(f, EXAM_MEDIUM, seconds), x = measure(f, EXAM_XHIGH, seconds);
        printf("%-12s %12.0f %12.1f %12.0f %12.1f\n", exam_family_name(f), m.problems / m.seconds,
               m.bytes / m.seconds / 1e6, x.problems / x.seconds, x.bytes / x.seconds / 1e6);
        all.problems += m.problems + x.problems;
        all.bytes += m.bytes + x.bytes;
        all.seconds += m.seconds + x.seconds;
    }
    printf("%-12s %12.0f %12.1f\n", "together", all.problems / all.seconds, all.bytes / all.seconds / 1e6);
    return 0;
}
