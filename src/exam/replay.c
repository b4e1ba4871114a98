/*
 * replay.c - policies evaluated on recorded traces: what they would have answered, and what it would have cost.
 *
 * Each question's traces are put into EXAM_ORDERS random orders, the same for every policy, and in each a policy takes them from the
 * front. A stop rule is not written again here: the service's own thinker (reason.h) is told how the recorded lines end and says
 * what to start, to cancel and to show. Lines of a wave run side by side, a token each step, as they do in the
 * engine's batch: a line ends at its number of tokens after its start, and one that is cancelled has cost what had passed by then.
 *
 * A vote of k traces is the thinker's too, all k in one wave and all k paid for: its rule of the lead may end it
 * earlier, but with the answer that all k would have given.
 *
 * What a record cannot show is left out: pruning, which looks at lines as they run, and deadlines.
 *
 * Of the orders a question keeps its means; intervals are bootstraps over clusters of questions, differences paired. pass@k is not
 * drawn but counted.
 *
 * Threads: as many as there are CPUs take questions; each writes its question's means and nothing else.
 */
#include "base/thread.h"
#include "exam/exam_impl.h"
#include "exam/replay_impl.h"
#include "exam/run_impl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define THREADS_MAX 64

static const int sizes[] = { 2, 4, 8, 16, 32, 64 };

/* What a policy makes of a question: of one order, or the means over all. */
struct outcome {
    double right, tokens, lines;
};

/* --- the policies ------------------------------------------------------------------------------------------------- */

static void add_policy(struct exam_replay *r, struct exam_policy policy)
{
    if (policy.max <= r->traces && r->policies_len < EXAM_POLICIES_MAX)
        r->policies[r->policies_len++] = policy;
}

static void add_named(struct exam_replay *r, struct exam_policy policy, const char *name)
{
    snprintf(policy.name, sizeof policy.name, "%s@%d", name, policy.max);
    add_policy(r, policy);
}

/* All at once, and sure of nothing before the last. */
static struct exam_policy of_all(enum exam_policy_kind kind, int n)
{
    return (struct exam_policy){ .kind = kind, .min = n, .max = n, .wave = n, .agreement = 99 };
}

/* Each rule of the thinker by itself, over as many lines as the largest vote. */
static void add_rules(struct exam_replay *r, int n)
{
    static const int agreements[] = { 80, 90, 95, 99 };
    struct exam_policy p = of_all(POLICY_STOP, n);
    p.wave = n < 4 ? n : 4;
    add_named(r, p, "lead");
    p.min = n < 3 ? n : 3;
    for (size_t i = 0; i < ARRAY_LEN(agreements); i++) {
        char name[16];
        p.agreement = agreements[i];
        snprintf(name, sizeof name, "agree%d", agreements[i]);
        add_named(r, p, name);
    }
    p = of_all(POLICY_VOTE, n);
    p.weighted = true;
    add_named(r, p, "weighted");
    p.weighted = false;
    p.checked = true;
    add_named(r, p, "checked");
}

static int largest_vote(const struct exam_replay *r)
{
    int largest = 0;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        if (sizes[i] <= r->traces)
            largest = sizes[i];
    return largest;
}

static void set_policies(struct exam_replay *r, const struct exam_policy *more, size_t more_len)
{
    add_policy(r, (struct exam_policy){ .kind = POLICY_GREEDY, .name = "greedy", .max = 1 });
    add_policy(r, (struct exam_policy){ .kind = POLICY_SINGLE, .name = "single", .max = 1 });
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        add_named(r, of_all(POLICY_VOTE, sizes[i]), "maj");
    if (largest_vote(r))
        add_rules(r, largest_vote(r));
    for (size_t i = 0; i < more_len; i++)
        add_policy(r, more[i]);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        add_named(r, of_all(POLICY_PASS, sizes[i]), "pass");
}

/* --- one order of one question ------------------------------------------------------------------------------------- */

/* Lines as they run in step: what has passed, and which are on their way. */
struct race {
    struct thinker *thinker;
    const struct trace *const *order;
    int64_t now, starts[TIER_BRANCHES_MAX];
    bool runs[TIER_BRANCHES_MAX];
    int64_t tokens;
    int begun;
    size_t shown;
};

static void obey(struct race *r)
{
    struct thinker_do act;
    while (thinker_next(r->thinker, &act))
        switch (act.act) {
        case THINK_START:
            r->runs[act.line] = true;
            r->starts[act.line] = r->now;
            r->begun++;
            break;
        case THINK_CANCEL:
            r->runs[act.line] = false;
            r->tokens += r->now - r->starts[act.line];
            break;
        case THINK_COUNT: break;
        case THINK_DECIDE: r->shown = act.line; break;
        }
}

/* The line that ends next; of several the lowest. */
static size_t next_end(const struct race *r)
{
    size_t next = SIZE_MAX;
    for (size_t i = 0; i < TIER_BRANCHES_MAX; i++)
        if (r->runs[i] && (next == SIZE_MAX ||
                           r->starts[i] + r->order[i]->tokens < r->starts[next] + r->order[next]->tokens))
            next = i;
    return next;
}

static void end_line(struct race *r, size_t line)
{
    const struct trace *t = r->order[line];
    r->now = r->starts[line] + t->tokens;
    r->runs[line] = false;
    r->tokens += t->tokens;
    struct line_end end = {
        .thought = t->thought, .answer = t->text, .complete = t->complete, .confidence = t->confidence
    };
    thinker_ended(r->thinker, line, &end);
}

static struct plan plan_of(const struct exam_policy *p)
{
    return (struct plan){ .lines = { .min = p->min,
                                     .max = p->max,
                                     .wave = p->wave,
                                     .agreement = p->agreement,
                                     .vote = p->weighted ? VOTE_CONFIDENCE : VOTE_MAJORITY,
                                     .check = p->checked ? TRIAL_ON : TRIAL_OFF,
                                     .prune = TRIAL_OFF } };
}

static struct outcome run_thinker(const struct exam_policy *p, struct str question,
                                  const struct trace *const *order)
{
    struct plan plan = plan_of(p);
    struct race r = { .thinker = thinker_open(&plan, question), .order = order, .shown = SIZE_MAX };
    for (obey(&r); !thinker_decided(r.thinker); obey(&r)) {
        size_t line = next_end(&r);
        assert(line != SIZE_MAX); /* a thinker that has not decided waits for a line */
        end_line(&r, line);
    }
    thinker_close(r.thinker);
    return (struct outcome){ r.shown != SIZE_MAX && order[r.shown]->right, (double)r.tokens, r.begun };
}

static double tokens_of(const struct trace *const *order, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)order[i]->tokens;
    return sum;
}

static struct outcome run_order(const struct exam_policy *p, struct str question,
                                const struct trace *const *order)
{
    if (p->kind == POLICY_SINGLE)
        return (struct outcome){ order[0]->right, (double)order[0]->tokens, 1 };
    struct outcome o = run_thinker(p, question, order);
    if (p->kind == POLICY_VOTE)
        o.tokens = tokens_of(order, p->max);
    return o;
}

/* --- one question --------------------------------------------------------------------------------------------------- */

static struct outcome count_pass(const struct traced *item, int traces, int k)
{
    int64_t right = 0;
    double tokens = 0;
    for (int i = 1; i <= traces; i++) {
        right += item->samples[i].right;
        tokens += (double)item->samples[i].tokens;
    }
    return (struct outcome){ exam_pass_at(traces, right, k), tokens / traces * k, k };
}

static void shuffle(const struct trace **order, int n, struct rng *rng)
{
    for (int i = n - 1; i > 0; i--) {
        size_t k = rng_below(rng, (uint64_t)i + 1);
        const struct trace *t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
}

/* The means of every policy; out has a place for each. */
static void replay_item(const struct exam_replay *r, const struct traced *item, uint64_t seed,
                        struct outcome *out)
{
    const struct trace *order[EXAM_SAMPLES_MAX];
    struct rng rng;
    rng_init(&rng, seed, str_hash(item->question));
    for (int i = 0; i < r->traces; i++)
        order[i] = &item->samples[i + 1];
    for (int round = 0; round < EXAM_ORDERS; round++) {
        shuffle(order, r->traces, &rng);
        for (size_t p = 0; p < r->policies_len; p++) {
            if (r->policies[p].kind == POLICY_GREEDY || r->policies[p].kind == POLICY_PASS)
                continue;
            struct outcome o = run_order(&r->policies[p], item->question, order);
            out[p].right += o.right; /* whole numbers, divided once: no order leaves a rounding behind */
            out[p].tokens += o.tokens;
            out[p].lines += o.lines;
        }
    }
    const struct trace *greedy = &item->samples[0];
    for (size_t p = 0; p < r->policies_len; p++) {
        out[p] = (struct outcome){ out[p].right / EXAM_ORDERS, out[p].tokens / EXAM_ORDERS,
                                   out[p].lines / EXAM_ORDERS };
        if (r->policies[p].kind == POLICY_GREEDY)
            out[p] = (struct outcome){ greedy->right, (double)greedy->tokens, 1 };
        if (r->policies[p].kind == POLICY_PASS)
            out[p] = count_pass(item, r->traces, r->policies[p].max);
    }
}

/* --- all of them ------------------------------------------------------------------------------------------------------- */

/* One candidate's questions that have all their traces. */
struct answered {
    size_t candidate, len;
    const struct traced **items; /* [len] */
    uint64_t *clusters;
    struct outcome *outcomes; /* [len][policies] */
    double *values;           /* room for len */
    struct exam_cluster *sums;
};

static bool is_whole(const struct traced *item, size_t samples)
{
    for (size_t i = 0; item->samples && i < samples; i++)
        if (!item->samples[i].there)
            return false;
    return item->samples != NULL;
}

static struct exam_interval interval_of(const struct answered *f, uint64_t seed, size_t *clusters)
{
    *clusters = clusters_sum(f->clusters, f->values, f->len, f->sums);
    return exam_bootstrap(f->sums, *clusters, EXAM_ROUNDS, seed);
}

static void add_row(struct exam_replay *r, const struct answered *f, size_t policy, uint64_t seed)
{
    struct exam_replay_row *row = &r->rows[r->rows_len++];
    size_t clusters;
    *row = (struct exam_replay_row){ .candidate = f->candidate, .policy = policy };
    for (size_t i = 0; i < f->len; i++) {
        const struct outcome *o = &f->outcomes[i * r->policies_len + policy];
        f->values[i] = o->right;
        row->accuracy += o->right;
        row->tokens += o->tokens;
        row->lines += o->lines;
    }
    row->accuracy /= (double)f->len;
    row->tokens /= (double)f->len;
    row->lines /= (double)f->len;
    row->interval = interval_of(f, seed, &clusters);
    if (f->candidate == 0)
        r->clusters = clusters;
}

static size_t baseline_of(const struct exam_replay *r)
{
    char name[32];
    size_t i = 0;
    snprintf(name, sizeof name, "maj@%d", largest_vote(r));
    while (i < r->policies_len && strcmp(r->policies[i].name, name) != 0)
        i++;
    return i;
}

static void compare_row(const struct exam_replay *r, const struct answered *f, struct exam_replay_row *row,
                        const struct exam_replay_row *base, uint64_t seed)
{
    size_t clusters;
    for (size_t i = 0; i < f->len; i++)
        f->values[i] = f->outcomes[i * r->policies_len + row->policy].right -
                       f->outcomes[i * r->policies_len + base->policy].right;
    row->compared = true;
    row->difference = row->accuracy - base->accuracy;
    row->token_share = base->tokens > 0 ? row->tokens / base->tokens : 1;
    row->difference_interval = interval_of(f, seed, &clusters);
}

static size_t policy_of(const struct exam_replay *r, enum exam_policy_kind kind)
{
    size_t i = 0;
    while (r->policies[i].kind != kind)
        i++;
    return i;
}

static bool is_alike(const struct traced *a, const struct traced *b, enum exam_detail by)
{
    return str_eq(a->family, b->family) && (by == EXAM_BY_FAMILY || a->level == b->level);
}

/* Of the len questions from the first on, which are alike. */
static void add_group(struct exam_replay *r, struct answered *f, size_t first, size_t len, size_t vote,
                      const struct exam_replay_config *config)
{
    struct exam_replay_group *g = &r->groups[r->groups_len++];
    const struct traced *of = f->items[first];
    size_t single = policy_of(r, POLICY_SINGLE);
    *g = (struct exam_replay_group){ .candidate = f->candidate,
                                     .family = of->family,
                                     .level = config->by == EXAM_BY_LEVEL ? of->level : 0,
                                     .questions = (int64_t)len };
    for (size_t i = 0; i < len; i++) {
        const struct outcome *o = &f->outcomes[(first + i) * r->policies_len];
        g->single += o[single].right / (double)len;
        g->vote += o[vote].right / (double)len;
        f->values[i] = o[vote].right - o[single].right;
    }
    g->gain = g->vote - g->single;
    size_t clusters = clusters_sum(f->clusters + first, f->values, len, f->sums);
    g->interval = exam_bootstrap(f->sums, clusters, EXAM_ROUNDS, config->seed);
}

static void add_groups(struct exam_replay *r, struct answered *f, size_t vote,
                       const struct exam_replay_config *config)
{
    for (size_t first = 0, len; first < f->len; first += len) {
        for (len = 1; first + len < f->len && is_alike(f->items[first], f->items[first + len], config->by);
             len++)
            continue;
        add_group(r, f, first, len, vote, config);
    }
}

static void collect(struct exam_replay *r, const struct traces *t, struct answered *f)
{
    f->len = 0;
    for (size_t q = 0; q < t->questions; q++) {
        const struct traced *item = traces_at(t, q, f->candidate);
        if (is_whole(item, t->samples)) {
            f->clusters[f->len] = item->cluster;
            f->items[f->len++] = item;
        } else {
            r->left_out++;
        }
    }
    r->items += (int64_t)f->len;
}

/* Questions among threads: each is one thread's, and its orders are its own, so the figures do not depend on who took it. */
struct work {
    const struct exam_replay *replay;
    const struct answered *f;
    uint64_t seed;
    size_t next; /* __atomic */
};

static bool replay_next(struct work *w)
{
    size_t i = __atomic_fetch_add(&w->next, 1, __ATOMIC_RELAXED);
    if (i >= w->f->len)
        return false;
    replay_item(w->replay, w->f->items[i], w->seed, &w->f->outcomes[i * w->replay->policies_len]);
    return true;
}

static void replay_loop(void *ctx)
{
    while (replay_next(ctx))
        continue;
}

/* The calling thread is one of the team, and tells how far they are. */
static void replay_items(const struct exam_replay *r, const struct answered *f,
                         const struct exam_replay_config *config, size_t total)
{
    struct work w = { r, f, config->seed, 0 };
    struct thread team[THREADS_MAX];
    int n = thread_cpus() < THREADS_MAX ? thread_cpus() : THREADS_MAX;
    memset(f->outcomes, 0, f->len * r->policies_len * sizeof *f->outcomes);
    for (int i = 1; i < n; i++)
        thread_start(&team[i], "replay", replay_loop, &w);
    while (replay_next(&w)) {
        size_t taken = __atomic_load_n(&w.next, __ATOMIC_RELAXED);
        if (config->progress && taken < f->len)
            config->progress(config->progress_ctx, r->items - (int64_t)(f->len - taken), (int64_t)total);
    }
    for (int i = 1; i < n; i++)
        thread_join(&team[i]);
    if (config->progress && f->len)
        config->progress(config->progress_ctx, r->items, (int64_t)total);
}

static void replay_candidate(struct exam_replay *r, const struct traces *t, struct answered *f,
                             const struct exam_replay_config *config)
{
    size_t first = r->rows_len, base = baseline_of(r);
    uint64_t seed = config->seed;
    collect(r, t, f);
    replay_items(r, f, config, t->questions * t->candidates_len - (size_t)r->left_out);
    for (size_t p = 0; p < r->policies_len && f->len; p++)
        add_row(r, f, p, seed);
    for (size_t i = first; i < r->rows_len && base < r->policies_len; i++)
        if (i != first + base)
            compare_row(r, f, &r->rows[i], &r->rows[first + base], seed);
    if (config->by != EXAM_BY_NOTHING && base < r->policies_len)
        add_groups(r, f, base, config);
}

static void replay_all(struct exam_replay *r, const struct traces *t, const struct exam_replay_config *config)
{
    struct answered f = { .items = mem_array(t->questions, sizeof *f.items),
                          .clusters = mem_array(t->questions, sizeof *f.clusters),
                          .outcomes = mem_array(t->questions * r->policies_len, sizeof *f.outcomes),
                          .values = mem_array(t->questions, sizeof *f.values),
                          .sums = mem_array(t->questions, sizeof *f.sums) };
    r->rows = mem_array(t->candidates_len * r->policies_len, sizeof *r->rows);
    if (config->by != EXAM_BY_NOTHING)
        r->groups = mem_array(t->candidates_len * t->questions, sizeof *r->groups);
    for (f.candidate = 0; f.candidate < t->candidates_len; f.candidate++)
        replay_candidate(r, t, &f, config);
    mem_free(f.sums);
    mem_free(f.values);
    mem_free(f.outcomes);
    mem_free(f.clusters);
    mem_free(f.items);
}

enum err_code exam_replay(struct exam_replay *out, const struct exam_replay_config *config, struct err *err)
{
    memset(out, 0, sizeof *out);
    struct traces t = { .arena = &out->arena };
    enum err_code code = traces_read(&t, config->path, err);
    if (code)
        goto out;
    out->traces = (int)t.samples - 1;
    out->candidates_len = t.candidates_len;
    memcpy(out->candidates, t.candidates, sizeof out->candidates);
    set_policies(out, config->more, config->more_len);
    replay_all(out, &t, config);
    if (out->items == 0)
        code = err_set(err, ERR_CONFIG, NULL,
                       "%s: no question has all of its traces yet: let the exam that records them end.",
                       config->path);
out:
    traces_free(&t);
    return code;
}

void exam_replay_free(struct exam_replay *r)
{
    mem_free(r->rows);
    mem_free(r->groups);
    arena_free(&r->arena);
    memset(r, 0, sizeof *r);
}
