/*
 * replay.c - `thinkd replay`: recorded traces, and what this configuration's rules would have made of them.
 *
 * Here a tier's efforts become policies for the exam's replay, which knows no tiers.
 */
#include "cli/cli_impl.h"

#include "base/clock.h"
#include "base/file.h"
#include "exam/exam.h"

#include <inttypes.h>

#define SEED_DEFAULT 1

static struct exam_policy policy_of(const struct tier *tier, enum effort effort)
{
    struct effort_budget b = tier_budget(tier, effort);
    struct exam_policy p = { .kind = POLICY_STOP,
                             .min = b.branches_min,
                             .max = b.branches_max,
                             .wave = b.wave,
                             .agreement = b.agreement,
                             .weighted = tier->vote == VOTE_CONFIDENCE,
                             .checked = tier->check == TRIAL_ON };
    snprintf(p.name, sizeof p.name, "%s %s", tier->name, effort_names[effort]);
    return p;
}

/* Of the tiers with efforts of their own: one that asks others has theirs, and a recording is of one way to ask. */
static size_t policies_of(const struct config *cfg, struct exam_policy *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < cfg->n_tiers; i++)
        for (int e = 0; e < EFFORT_COUNT && cfg->tiers[i].thinking != THINKING_ROUTE; e++) {
            struct exam_policy p = policy_of(&cfg->tiers[i], (enum effort)e);
            if (p.max > 1 && n < max)
                out[n++] = p;
        }
    return n;
}

static enum err_code write_form(const char *path, const struct exam_replay *r,
                                void (*form)(const struct exam_replay *r, struct buf *out), struct err *err)
{
    struct buf out = { 0 };
    if (!path)
        return ERR_OK;
    form(r, &out);
    enum err_code code = file_write(path, buf_str(&out), err);
    buf_free(&out);
    return code;
}

static void print(const struct config *cfg, const struct exam_replay *r)
{
    struct buf out = { 0 };
    if (cfg->json)
        exam_replay_json(r, &out);
    else
        exam_replay_table(r, &out);
    term_put(stdout, buf_str(&out));
    buf_free(&out);
}

struct watched {
    int64_t begun_ms, drawn_ms;
};

static void draw(void *ctx, int64_t done, int64_t total)
{
    struct watched *w = ctx;
    double elapsed = (double)(clock_mono_ms() - w->begun_ms) / 1000;
    draw_progress(&w->drawn_ms, done, total, -1, elapsed * (double)(total - done) / (double)done);
}

int replay_run(const struct config *cfg)
{
    struct err err = { 0 };
    struct exam_replay r = { 0 };
    struct exam_policy policies[EXAM_POLICIES_MAX];
    enum err_code code = ERR_OK;
    enum exam_detail by = EXAM_BY_NOTHING;
    if (cfg->n_args != 1)
        code = err_set(&err, ERR_CONFIG, NULL, "'thinkd replay' takes one file; see 'thinkd replay --help'.");
    if (!code)
        code = cli_detail(cfg, &by, &err);
    if (!code) {
        struct watched watched = { clock_mono_ms(), 0 };
        const struct exam_replay_config replay = { .path = cfg->args[0],
                                                   .more = policies,
                                                   .more_len =
                                                       policies_of(cfg, policies, ARRAY_LEN(policies)),
                                                   .seed = cfg->seed ? (uint64_t)cfg->seed : SEED_DEFAULT,
                                                   .by = by,
                                                   .progress = term_is(stderr) ? draw : NULL,
                                                   .progress_ctx = &watched };
        code = exam_replay(&r, &replay, &err);
    }
    if (!code) {
        print(cfg, &r);
        code = write_form(cfg->csv, &r, exam_replay_csv, &err);
    }
    if (!code)
        code = write_form(cfg->svg, &r, exam_replay_svg, &err);
    exam_replay_free(&r);
    return code ? cli_fail(&err) : CLI_OK;
}
