/*
 * run.c - asks a paper of questions from several threads and marks the replies.
 *
 * Threads: each takes the next question under the lock, asks without it, and enters the result under it
 *          again; progress is called with the lock held, so its calls come one at a time.
 * Invariant: an item is written by the one thread that took it; the report is summed after all have joined.
 */
#include "base/clock.h"
#include "base/thread.h"
#include "exam/exam_impl.h"
#include "exam/run_impl.h"

#include <pthread.h>
#include <string.h>

/* So many failures with no reply at all mean that the asker cannot work, and the run ends. */
#define HOPELESS_AFTER 8

struct run {
    const struct exam_config *config;
    struct exam_asker asker;
    struct exam_paper paper;
    int64_t started_ns;
    pthread_mutex_t lock; /* guards what follows, and the progress callback */
    size_t next;
    int64_t done, right, failed;
    bool hopeless;
    struct err first_error;
};

static bool stop_asked(const struct exam_config *config)
{
    return config->stop && __atomic_load_n(config->stop, __ATOMIC_RELAXED);
}

static struct exam_item *take_item(struct run *run)
{
    struct exam_item *item = NULL;
    pthread_mutex_lock(&run->lock);
    if (run->next < run->paper.len && !run->hopeless && !stop_asked(run->config))
        item = &run->paper.items[run->next++];
    pthread_mutex_unlock(&run->lock);
    return item;
}

static void tell_progress(struct run *run)
{
    if (!run->config->progress)
        return;
    double seconds = (double)(clock_mono_ns() - run->started_ns) / 1e9;
    struct exam_status s = { run->done, (int64_t)run->paper.len, run->right, seconds, 0 };
    s.eta_seconds = seconds / (double)run->done * (double)(s.total - s.done);
    run->config->progress(run->config->progress_ctx, &s);
}

static void enter_result(struct run *run, const struct exam_item *item, const struct err *why)
{
    pthread_mutex_lock(&run->lock);
    run->done++;
    run->right += item->right;
    run->failed += item->failed;
    if (item->failed && !run->first_error.code)
        run->first_error = *why;
    run->hopeless = run->failed == run->done && run->failed >= HOPELESS_AFTER;
    tell_progress(run);
    pthread_mutex_unlock(&run->lock);
}

static void ask_item(struct run *run, struct exam_item *item)
{
    struct exam_reply reply = { 0 };
    struct err why = { 0 };
    item->failed = run->asker.ask(run->asker.ctx, &item->question, &reply, &why) != ERR_OK;
    item->asked = true;
    item->right = !item->failed && exam_check(item->family, buf_str(&reply.text), item->answer);
    item->output_tokens = reply.output_tokens;
    item->reasoning_tokens = reply.reasoning_tokens;
    item->seconds = reply.seconds;
    enter_result(run, item, &why);
    buf_free(&reply.text);
}

static void ask_loop(void *ctx)
{
    struct run *run = ctx;
    for (struct exam_item *item; (item = take_item(run));)
        ask_item(run, item);
}

static enum err_code check_bounds(const struct exam_config *c, struct err *err)
{
    if (c->threads < 1 || c->threads > EXAM_THREADS_MAX)
        return err_set(err, ERR_INVALID_VALUE, "concurrency",
                       "Expected 1 to %d questions in flight, but got %d.", EXAM_THREADS_MAX, c->threads);
    if (!c->file && (c->items < 1 || c->items > EXAM_ITEMS_MAX))
        return err_set(err, ERR_INVALID_VALUE, "items", "Expected 1 to %d questions per level, but got %d.",
                       EXAM_ITEMS_MAX, c->items);
    return ERR_OK;
}

enum err_code exam_run(const struct exam_config *config, struct exam_asker asker, struct exam_report *report,
                       struct err *err)
{
    struct run run = { .config = config, .asker = asker, .started_ns = clock_mono_ns() };
    memset(report, 0, sizeof *report);
    enum err_code code = check_bounds(config, err);
    if (code)
        return code;
    code = exam_paper_open(&run.paper, config, err);
    if (code)
        goto out;
    pthread_mutex_init(&run.lock, NULL);
    size_t threads = (size_t)config->threads < run.paper.len ? (size_t)config->threads : run.paper.len;
    struct thread *team = mem_array(threads, sizeof *team);
    for (size_t i = 0; i < threads; i++)
        thread_start(&team[i], "exam", ask_loop, &run);
    for (size_t i = 0; i < threads; i++)
        thread_join(&team[i]);
    mem_free(team);
    pthread_mutex_destroy(&run.lock);
    exam_report_fill(report, &run.paper);
    report->seed = config->seed;
    report->wall_seconds = (double)(clock_mono_ns() - run.started_ns) / 1e9;
    report->first_error = run.first_error;
    if (run.hopeless) {
        if (err)
            *err = run.first_error;
        code = run.first_error.code;
    }
out:
    exam_paper_close(&run.paper);
    return code;
}
