/*
 * run.c - asks a paper of questions of each candidate from several threads and marks the replies.
 *
 * Questions are asked by their number within family and level, each of all candidates before the next: whatever has been
 * answered when somebody stops is a fair part of the paper, and the candidates can be compared on it.
 *
 * Threads: each takes the next question under the lock, asks without it, and enters the result under it
 *          again; progress is called with the lock held, so its calls come one at a time.
 * Invariant: a result is written by the one thread that took its place; the report is summed after all have joined.
 */
#include "base/clock.h"
#include "base/thread.h"
#include "exam/exam_impl.h"
#include "exam/run_impl.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* So many failures with no reply at all mean that the asker cannot work, and the run ends. */
#define HOPELESS_AFTER 8

struct run {
    const struct exam_config *config;
    struct exam_asker asker;
    struct exam_paper paper;
    size_t *order; /* of items */
    int64_t started_ns, total, resumed;
    pthread_mutex_t lock; /* guards what follows, the state and the progress callback */
    struct state *state;  /* NULL: replies are not kept */
    size_t next;          /* place: of order, and in it of the columns */
    int64_t done, right, failed;
    bool hopeless;
    struct err first_error, state_error;
};

/* One reply to be had. */
struct task {
    size_t item, column;
};

static bool stop_asked(const struct exam_config *config)
{
    return config->stop && __atomic_load_n(config->stop, __ATOMIC_RELAXED);
}

static size_t columns_of(const struct exam_paper *p)
{
    return p->candidates * p->samples;
}

static bool take_task(struct run *run, struct task *t)
{
    size_t columns = columns_of(&run->paper);
    bool taken = false;
    pthread_mutex_lock(&run->lock);
    while (!taken && run->next < run->paper.len * columns && !run->hopeless && !run->state_error.code &&
           !stop_asked(run->config)) {
        *t = (struct task){ run->order[run->next / columns], run->next % columns };
        run->next++;
        taken = !paper_result(&run->paper, t->item, t->column)->asked; /* else there before */
    }
    pthread_mutex_unlock(&run->lock);
    return taken;
}

static void tell_progress(struct run *run)
{
    if (!run->config->progress)
        return;
    double seconds = (double)(clock_mono_ns() - run->started_ns) / 1e9;
    struct exam_status s = { run->resumed + run->done, run->total, run->right, seconds, 0 };
    s.eta_seconds = seconds / (double)run->done * (double)(s.total - s.done);
    run->config->progress(run->config->progress_ctx, &s);
}

static void enter_result(struct run *run, struct task t, const struct exam_reply *reply,
                         const struct err *why)
{
    const struct exam_result *r = paper_result(&run->paper, t.item, t.column);
    pthread_mutex_lock(&run->lock);
    run->done++;
    run->right += r->right;
    run->failed += r->failed;
    if (r->failed && !run->first_error.code)
        run->first_error = *why;
    run->hopeless = run->failed == run->done && run->failed >= HOPELESS_AFTER;
    if (run->state && !run->state_error.code)
        state_put(run->state, t.item, t.column, reply, r->failed ? why : NULL, &run->state_error);
    tell_progress(run);
    pthread_mutex_unlock(&run->lock);
}

/* Other questions and samples draw from other streams; candidates from the same, which takes chance out of their
 * difference where they think alike. */
static uint64_t reply_seed(const struct exam_config *config, const struct exam_question *q, int sample)
{
    const int64_t at[] = { q->level, q->index, sample };
    struct rng rng;
    rng_init(&rng, config->seed, case_key(q->family, at, ARRAY_LEN(at)));
    return rng_u64(&rng) >> 11;
}

static void ask_one(struct run *run, struct task t)
{
    const struct exam_item *item = &run->paper.items[t.item];
    struct exam_result *r = paper_result(&run->paper, t.item, t.column);
    struct exam_question q = item->question;
    struct exam_reply reply = { 0 };
    struct err why = { 0 };
    q.candidate = t.column / run->paper.samples;
    q.sample = (int)(t.column % run->paper.samples);
    q.seed = reply_seed(run->config, &q, q.sample);
    bool failed = run->asker.ask(run->asker.ctx, &q, &reply, &why) != ERR_OK;
    *r = (struct exam_result){ .asked = true,
                               .failed = failed,
                               .right =
                                   !failed && exam_check(item->family, buf_str(&reply.text), item->answer),
                               .priced = reply.priced,
                               .cost = reply.cost,
                               .output_tokens = reply.output_tokens,
                               .reasoning_tokens = reply.reasoning_tokens,
                               .seconds = reply.seconds };
    enter_result(run, t, &reply, &why);
    buf_free(&reply.text);
    buf_free(&reply.thought);
}

static void ask_loop(void *ctx)
{
    struct run *run = ctx;
    for (struct task t; take_task(run, &t);)
        ask_one(run, t);
}

static enum err_code check_bounds(const struct exam_config *c, struct err *err)
{
    if (c->threads < 1 || c->threads > EXAM_THREADS_MAX)
        return err_set(err, ERR_INVALID_VALUE, "concurrency",
                       "Expected 1 to %d questions in flight, but got %d.", EXAM_THREADS_MAX, c->threads);
    if (!c->file && (c->items < 1 || c->items > EXAM_ITEMS_MAX))
        return err_set(err, ERR_INVALID_VALUE, "items", "Expected 1 to %d questions per level, but got %d.",
                       EXAM_ITEMS_MAX, c->items);
    if (c->candidates_len > EXAM_CANDIDATES_MAX)
        return err_set(err, ERR_INVALID_VALUE, "models",
                       "Expected at most %d models times efforts, but got %zu.", EXAM_CANDIDATES_MAX,
                       c->candidates_len);
    if (c->samples < 0 || c->samples > EXAM_SAMPLES_MAX + 1)
        return err_set(err, ERR_INVALID_VALUE, "record",
                       "Expected at most %d traces per question, but got %d.", EXAM_SAMPLES_MAX, c->samples);
    return ERR_OK;
}

struct place {
    int64_t index;
    size_t item;
};

static int compare_places(const void *x, const void *y)
{
    const struct place *a = x, *b = y;
    int by_index = (a->index > b->index) - (a->index < b->index);
    return by_index ? by_index : (a->item > b->item) - (a->item < b->item);
}

static size_t *order_items(const struct exam_paper *paper)
{
    struct place *places = mem_array(paper->len, sizeof *places);
    size_t *order = mem_array(paper->len, sizeof *order);
    for (size_t i = 0; i < paper->len; i++)
        places[i] = (struct place){ paper->items[i].question.index, i };
    qsort(places, paper->len, sizeof *places, compare_places);
    for (size_t i = 0; i < paper->len; i++)
        order[i] = places[i].item;
    mem_free(places);
    return order;
}

static enum err_code open_run(struct run *run, struct err *err)
{
    const struct exam_config *c = run->config;
    enum err_code code = check_bounds(c, err);
    if (!code)
        code = exam_paper_open(&run->paper, c, err);
    if (code)
        return code;
    run->paper.candidates = c->candidates_len ? c->candidates_len : 1;
    run->paper.samples = c->samples > 1 ? (size_t)c->samples : 1;
    run->paper.results = mem_array(run->paper.len * columns_of(&run->paper), sizeof *run->paper.results);
    run->total = (int64_t)(run->paper.len * columns_of(&run->paper));
    run->order = order_items(&run->paper);
    if (c->state)
        code = state_open(&run->state, c, &run->paper, &run->resumed, err);
    for (size_t i = 0; i < (size_t)run->total && !code; i++)
        run->right += run->paper.results[i].right;
    return code;
}

static void ask_all(struct run *run)
{
    size_t left = (size_t)(run->total - run->resumed);
    size_t threads = (size_t)run->config->threads < left ? (size_t)run->config->threads : left;
    struct thread *team = mem_array(threads, sizeof *team);
    pthread_mutex_init(&run->lock, NULL);
    for (size_t i = 0; i < threads; i++)
        thread_start(&team[i], "exam", ask_loop, run);
    for (size_t i = 0; i < threads; i++)
        thread_join(&team[i]);
    pthread_mutex_destroy(&run->lock);
    mem_free(team);
}

static void name_parts(struct exam_report *report, const struct exam_config *c)
{
    for (size_t i = 0; i < c->candidates_len; i++)
        report->parts[i].candidate = c->candidates[i];
}

enum err_code exam_run(const struct exam_config *config, struct exam_asker asker, struct exam_report *report,
                       struct err *err)
{
    struct run run = { .config = config, .asker = asker, .started_ns = clock_mono_ns() };
    memset(report, 0, sizeof *report);
    enum err_code code = open_run(&run, err);
    if (code)
        goto out;
    ask_all(&run);
    report->seed = config->seed;
    exam_report_fill(report, &run.paper);
    name_parts(report, config);
    report->resumed = run.resumed;
    report->wall_seconds = (double)(clock_mono_ns() - run.started_ns) / 1e9;
    report->first_error = run.first_error;
    const struct err *why = run.state_error.code ? &run.state_error : run.hopeless ? &run.first_error : NULL;
    if (why) {
        code = why->code;
        if (err)
            *err = *why;
    }
out:
    state_close(run.state);
    mem_free(run.order);
    exam_paper_close(&run.paper);
    return code;
}
