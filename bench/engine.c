/*
 * engine.c - what the engine does in a second, measured through its front door.
 *
 *     engine MODEL [--work NAME] [--prefix N] [--new N] [--branches N] [--runs N] [--threads N] [--kv f16|q8_0|f32]
 *            [--cpu-mask NAMES] [--seed N] [--temperature X] [--speculation off|lookup] [--grammar PATTERN]
 *
 * Speculation is off unless asked for: greedy text of random weights runs in circles, which is what lookup guesses best,
 * and no gate is to be reached that way.
 *
 * Works: prefill (a prompt of `prefix` tokens, up to its first token), stream (one sequence of `new` tokens behind a few),
 * branches (`branches` sequences of `new` tokens that share a prompt of `prefix`), first (the same, one token each: how long
 * each waits). Prompts are random ids, other ones in every run, so that nothing is found in the cache but what branches share.
 *
 * A grammar is a regular expression of the answers; one that has forced text gets tokens that nobody computed.
 *
 * One line of JSON a run. prefill_s ends when the last sequence has its first token, decode_s from there to the end of all;
 * decode_per_s counts the tokens of that second part, so a branch that began early gains nothing. Memory at the end of the
 * run, in bytes: resident now and at most, and its anonymous part. Steps, and tokens guessed and accepted, are of all runs.
 *
 * Threads: the engine's sink fills tallies under a lock; main sleeps on a condition.
 */
#include "engine/engine.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/str.h"
#include "grammar/grammar.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BRANCHES_MAX 256
#define TOP_IDS      16 /* ids at the vocabulary's end that prompts leave out: there lie the control tokens */

static double now(void)
{
    return (double)clock_mono_ns() * 1e-9;
}

/* --- what the sink saw -------------------------------------------------------------------------------------------- */

struct branch {
    double first, last; /* times of tokens */
    int64_t tokens, cached;
    bool ended;
};

struct tally {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct branch branches[BRANCHES_MAX];
    int n_branches, n_first, n_ended;
    double all_first;    /* when the last branch had its first token */
    int64_t after_first; /* tokens from then on */
    struct err trouble;  /* of a sequence that failed */
};

static void token_seen(struct tally *t, struct branch *b, const struct engine_event *ev, double at)
{
    int64_t more = ev->output_tokens - b->tokens;
    if (more <= 0)
        return;
    if (t->n_first == t->n_branches)
        t->after_first += more;
    if (b->tokens == 0) {
        b->first = at;
        if (++t->n_first == t->n_branches)
            t->all_first = at;
    }
    b->tokens = ev->output_tokens;
    b->last = at;
}

static void put(void *ctx, const struct engine_event *ev)
{
    struct tally *t = ctx;
    double at = now();
    pthread_mutex_lock(&t->lock);
    struct branch *b = &t->branches[ev->seq % BRANCHES_MAX];
    token_seen(t, b, ev, at);
    b->cached = ev->cached_tokens;
    if (ev->kind == ENGINE_FAILED)
        t->trouble = ev->err;
    if (ev->kind == ENGINE_DONE || ev->kind == ENGINE_FAILED) {
        b->ended = true;
        t->n_ended++;
        pthread_cond_signal(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
}

static void tally_start(struct tally *t, int branches)
{
    pthread_mutex_lock(&t->lock);
    memset(t->branches, 0, sizeof t->branches);
    t->n_branches = branches;
    t->n_first = t->n_ended = 0;
    t->after_first = 0;
    t->all_first = 0;
    pthread_mutex_unlock(&t->lock);
}

static void tally_wait(struct tally *t)
{
    pthread_mutex_lock(&t->lock);
    while (t->n_ended < t->n_branches)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

/* --- one run -------------------------------------------------------------------------------------------------------- */

struct asked {
    const char *work;
    int64_t prefix, new_tokens, branches, runs, seed;
    double temperature;
    struct grammar *grammar; /* NULL: none */
    struct engine_config cfg;
};

/* A row of /proc/self/status in bytes; -1 where there is none. */
static int64_t memory_row(const char *row)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[128];
    long kib = -1;
    size_t len = strlen(row);
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, row, len) == 0 && line[len] == ':')
            kib = strtol(line + len + 1, NULL, 10);
    if (f)
        fclose(f);
    return kib < 0 ? -1 : (int64_t)kib * 1024;
}

static int fail(const char *what, const char *detail)
{
    fprintf(stderr, "engine: %s: %s\n", what, detail);
    return 1;
}

static struct engine_prompt *prompt_of(const struct engine *e, int64_t n, struct rng *rng)
{
    int64_t ids_max = engine_info(e)->vocabulary - TOP_IDS;
    int32_t *ids = mem_array((size_t)n, sizeof *ids);
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)rng_below(rng, (uint64_t)ids_max);
    struct engine_prompt *p = NULL;
    struct err err = { 0 };
    if (engine_prompt_open_ids(&p, e, ids, (size_t)n, &err))
        fail("prompt", err.message);
    mem_free(ids);
    return p;
}

static void print_run(const struct asked *a, const struct engine *e, const struct tally *t, double begin)
{
    double end = 0, first = 0;
    int64_t tokens = 0, cached = 0;
    for (int i = 0; i < t->n_branches; i++) {
        const struct branch *b = &t->branches[i];
        end = b->last > end ? b->last : end;
        first += (b->first - begin) / t->n_branches;
        tokens += b->tokens;
        cached += b->cached;
    }
    double prefill = t->all_first - begin, decode = end - t->all_first;
    printf("{\"work\": \"%s\", \"model\": \"%s\", \"prefix\": %" PRId64 ", \"new\": %" PRId64
           ", \"branches\": %" PRId64 ", \"threads\": %d, \"tokens\": %" PRId64
           ", \"cached_tokens\": %" PRId64
           ", \"prefill_s\": %.6f, \"first_mean_s\": %.6f, \"decode_s\": %.6f, \"total_s\": %.6f",
           a->work, engine_info(e)->description, a->prefix, a->new_tokens, a->branches, a->cfg.threads,
           tokens, cached, prefill, first, decode, end - begin);
    printf(", \"prefill_per_s\": %.3f, \"decode_per_s\": %.3f, \"total_per_s\": %.3f",
           (double)a->prefix / prefill, decode > 0 ? (double)t->after_first / decode : 0.0,
           (double)tokens / (end - begin));
    struct engine_stats stats;
    engine_stats(e, &stats);
    printf(", \"steps\": %" PRId64 ", \"guessed\": %" PRId64 ", \"accepted\": %" PRId64, stats.steps,
           stats.guessed, stats.accepted);
    printf(", \"rss\": %" PRId64 ", \"rss_max\": %" PRId64 ", \"rss_anon\": %" PRId64 "}\n",
           memory_row("VmRSS"), memory_row("VmHWM"), memory_row("RssAnon"));
    fflush(stdout);
}

static int run_once(const struct asked *a, struct engine *e, struct tally *t, uint64_t number,
                    struct rng *rng)
{
    struct engine_prompt *p = prompt_of(e, a->prefix, rng);
    if (!p)
        return 1;
    struct engine_params params = {
        .priority = ENGINE_INTERACTIVE,
        .group = number,
        .seed = (uint64_t)a->seed,
        .temperature = a->temperature,
        .top_p = 1,
        .tokens_max = a->new_tokens,
        .think_tokens_max = -1,
        .ignore_eos = true,
        .grammar = a->grammar,
    };
    tally_start(t, (int)a->branches);
    double begin = now();
    for (int64_t i = 0; i < a->branches; i++) {
        params.stream = (uint64_t)i;
        if (!engine_submit(e, number * BRANCHES_MAX + (uint64_t)i, p, &params))
            return fail("submit", "the engine's queue is full");
    }
    engine_prompt_unref(p);
    tally_wait(t);
    if (t->trouble.code)
        return fail("a sequence failed", t->trouble.message);
    print_run(a, e, t, begin);
    return 0;
}

/* --- the command line ----------------------------------------------------------------------------------------------- */

static const struct work {
    const char *name;
    int64_t prefix, new_tokens, branches; /* where none is given */
} works[] = {
    { "prefill", 512, 1, 1 },
    { "stream", 4, 128, 1 },
    { "branches", 512, 64, 32 },
    { "first", 512, 1, 8 },
};

static bool set_number(struct asked *a, const char *name, int64_t v)
{
    const struct {
        const char *name;
        int64_t *at;
    } numbers[] = { { "--prefix", &a->prefix },
                    { "--new", &a->new_tokens },
                    { "--branches", &a->branches },
                    { "--runs", &a->runs },
                    { "--seed", &a->seed } };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (strcmp(name, numbers[i].name) == 0) {
            *numbers[i].at = v;
            return v > 0;
        }
    if (strcmp(name, "--threads") == 0) {
        a->cfg.threads = (int)v;
        return v > 0;
    }
    return false;
}

static bool set_word(struct asked *a, const char *name, const char *v)
{
    const char *bad;
    if (strcmp(name, "--work") == 0)
        a->work = v;
    else if (strcmp(name, "--cpu-mask") == 0)
        return cpu_mask_from(v, &a->cfg.cpu_mask, &bad);
    else if (strcmp(name, "--grammar") == 0)
        return grammar_open_regex(&a->grammar, str_from(v), NULL) == ERR_OK;
    else if (strcmp(name, "--temperature") == 0)
        return str_to_double(str_from(v), &a->temperature) && a->temperature >= 0;
    else if (strcmp(name, "--speculation") == 0) {
        a->cfg.speculation = strcmp(v, "off") == 0 ? SPECULATION_OFF : SPECULATION_LOOKUP;
        return strcmp(v, "off") == 0 || strcmp(v, "lookup") == 0;
    } else if (strcmp(name, "--kv") == 0) {
        for (int i = 0; i < KV_TYPE_COUNT; i++)
            if (strcmp(v, kv_type_names[i]) == 0) {
                a->cfg.kv_type = (enum kv_type)i;
                return true;
            }
        return false;
    } else
        return set_number(a, name, strtoll(v, NULL, 10));
    return true;
}

static bool asked_read(struct asked *a, int argc, char **argv)
{
    *a = (struct asked){
        .work = "branches",
        .runs = 1,
        .seed = 1,
        .temperature = 1,
        .cfg = { .kind = "local",
                 .speculation = SPECULATION_OFF,
                 .threads = (int)sysconf(_SC_NPROCESSORS_ONLN),
                 .kv_type = KV_F16,
                 .cpu_mask = ~0u },
    };
    if (argc < 2 || argc % 2 != 0)
        return false;
    a->cfg.model_path = argv[1];
    for (int i = 2; i < argc; i += 2)
        if (!set_word(a, argv[i], argv[i + 1]))
            return false;
    for (size_t i = 0; i < ARRAY_LEN(works); i++)
        if (strcmp(a->work, works[i].name) == 0) {
            a->prefix = a->prefix ? a->prefix : works[i].prefix;
            a->new_tokens = a->new_tokens ? a->new_tokens : works[i].new_tokens;
            a->branches = a->branches ? a->branches : works[i].branches;
            return a->branches <= BRANCHES_MAX && a->prefix + a->new_tokens <= 1 << 20;
        }
    return false;
}

int main(int argc, char **argv)
{
    static struct tally tally = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
    struct asked a;
    if (!asked_read(&a, argc, argv)) {
        fprintf(stderr,
                "usage: engine MODEL [--work prefill|stream|branches|first] [--prefix N] [--new N] "
                "[--branches N]\n"
                "              [--runs N] [--threads N] [--kv f16|q8_0|f32] [--cpu-mask NAMES] [--seed N]\n"
                "              [--temperature X] [--speculation off|lookup] [--grammar PATTERN]\n");
        return 2;
    }
    a.cfg.context = (a.prefix + a.new_tokens + 255) / 256 * 256;
    a.cfg.kv_bytes_max = (int64_t)8 << 30; /* more than any work here takes: pages never used cost nothing */
    a.cfg.sequences_max = (int)a.branches;
    struct engine *e;
    struct err err = { 0 };
    if (engine_open(&e, &a.cfg, (struct engine_sink){ .put = put, .ctx = &tally }, &err))
        return fail("the engine does not open", err.message);
    struct rng rng;
    rng_init(&rng, (uint64_t)a.seed,
             (uint64_t)getpid()); /* other prompts in every process: no run warms another */
    int status = 0;
    for (int64_t i = 0; i < a.runs && status == 0; i++)
        status = run_once(&a, e, &tally, (uint64_t)i + 1, &rng);
    engine_close(e);
    grammar_unref(a.grammar);
    return status;
}
