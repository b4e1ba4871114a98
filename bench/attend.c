/*
 * attend.c - attention over pages and the passes over logits, on one thread, beside what one thread can do.
 *
 *     attend [--dims 64,128] [--types f16,q8_0,...] [--group N] [--cpu-mask NAMES]
 *
 * One call is one KV head of one layer: 1, 8 or 32 branches of `group` query heads (default 2) over 512 or 2,048
 * tokens, either the same pages for all (shared) or pages of their own. Calls go round many KV heads, 128 MiB of
 * them, so pages come from memory as they do in a model. A query and page cost 4 x 64 x head_dim operations (a
 * multiply-add is two); GB/s counts a page once for all who share it. Below, microseconds for a row of 151,936 logits.
 * Each figure is the best of 60 passes of 1.5 ms, short enough to fall between others' turns; the line of bench/peaks comes first when it stands beside this one.
 */
#include "kernel/kernel.h"

#include "base/clock.h"
#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PASSES = 60, PASS_NS = 1500000, BRANCHES_MAX = 32, PAGES_MAX = 32, LOGITS = 151936 };
#define MEMORY_BYTES (128 * MIB)

struct options {
    size_t dims[4], n_dims, group;
    const char *types;
    unsigned mask;
};

/* A round of calls; the branches of call i have the pages from i * stride on. */
struct job {
    const struct kernels *k;
    struct attend call;
    size_t calls, at, pages_each; /* of one branch */
    bool shared;
    struct attend_row rows[BRANCHES_MAX];
    uint32_t pages[BRANCHES_MAX][PAGES_MAX];
};

static void next_call(struct job *j)
{
    size_t per_call = j->pages_each * (j->shared ? 1 : j->call.n_rows);
    for (size_t r = 0; r < j->call.n_rows; r++)
        for (size_t i = 0; i < j->pages_each; i++)
            j->pages[r][i] = (uint32_t)(j->at * per_call + (j->shared ? 0 : r * j->pages_each) + i);
    j->k->attend(&j->call);
    j->at = j->at + 1 < j->calls ? j->at + 1 : 0;
}

/* Seconds of one call, the best average of the passes. */
static double time_call(void (*call)(struct job *), struct job *j)
{
    double best = 1e9;
    call(j);
    for (int pass = 0; pass < PASSES; pass++) {
        int64_t begin = clock_mono_ns(), end = begin;
        int n = 0;
        for (; end - begin < PASS_NS; n++, end = clock_mono_ns())
            call(j);
        double each = (double)(end - begin) * 1e-9 / n;
        best = each < best ? each : best;
    }
    return best;
}

static void bench_shape(const struct kernels *k, struct job *j, size_t branches, size_t tokens, bool shared)
{
    const size_t n = j->call.head_dim, pages = tokens / KV_PAGE_TOKENS;
    j->k = k;
    j->shared = shared;
    j->pages_each = pages;
    j->at = 0;
    j->calls = MEMORY_BYTES / j->call.page_bytes / (pages * (shared ? 1 : branches));
    j->call.n_rows = branches;
    for (size_t r = 0; r < branches; r++)
        j->rows[r].to = (int64_t)tokens;
    double s = time_call(next_call, j);
    double work = (double)(branches * j->call.group * pages),
           read = (double)(pages * (shared ? 1 : branches));
    printf("%-5s %4zu %3zu branches %5zu tokens %-7s %8.1f ns a page and query %8.1f Gflop/s %7.2f GB/s\n",
           kv_type_names[j->call.type], n, branches, tokens, shared ? "shared" : "private", s / work * 1e9,
           work * 4 * KV_PAGE_TOKENS * (double)n / s * 1e-9, read * (double)j->call.page_bytes / s * 1e-9);
    fflush(stdout);
}

/* Every token of every page holds one of 64 random keys and values: their bits do not matter to the speed. */
static unsigned char *random_pages(const struct kernels *k, enum kv_type type, size_t head_dim)
{
    size_t bytes = kv_head_bytes(type, head_dim);
    unsigned char *memory = mem_aligned(2 * MIB, MEMORY_BYTES);
    float *x = mem_array(2 * head_dim, sizeof *x);
    struct rng rng;
    rng_init(&rng, 1, type);
    madvise(memory, MEMORY_BYTES, MADV_HUGEPAGE);
    for (size_t t = 0; t < KV_PAGE_TOKENS; t++) {
        for (size_t i = 0; i < 2 * head_dim; i++)
            x[i] = (float)(2 * rng_unit(&rng) - 1);
        k->kv_store(&(struct kv_store){ type, head_dim, memory, t, x, x + head_dim });
    }
    for (size_t at = bytes; at + bytes <= MEMORY_BYTES; at += bytes)
        memcpy(memory + at, memory, bytes);
    mem_free(x);
    return memory;
}

static void bench_type(const struct kernels *k, const struct options *o, enum kv_type type, size_t head_dim)
{
    static const size_t branches[] = { 1, 8, 32 }, tokens[] = { 512, 2048 };
    unsigned char *memory = random_pages(k, type, head_dim);
    size_t queries = BRANCHES_MAX * o->group;
    float *q = mem_array(2 * queries * head_dim, sizeof *q);
    struct job j = { .call = { .type = type,
                               .head_dim = head_dim,
                               .group = o->group,
                               .memory = memory,
                               .page_bytes = kv_head_bytes(type, head_dim),
                               .scratch = mem_aligned(64, attend_scratch_bytes(head_dim, queries)) } };
    for (size_t i = 0; i < queries * head_dim; i++)
        q[i] = (float)(i % 7) * 0.1f - 0.3f;
    for (size_t r = 0; r < BRANCHES_MAX; r++)
        j.rows[r] = (struct attend_row){ .q = q + r * o->group * head_dim,
                                         .out = q + (BRANCHES_MAX + r) * o->group * head_dim,
                                         .pages = j.pages[r] };
    j.call.rows = j.rows;
    for (size_t b = 0; b < ARRAY_LEN(branches); b++)
        for (size_t t = 0; t < ARRAY_LEN(tokens); t++)
            for (int shared = branches[b] > 1; shared >= 0; shared--)
                bench_shape(k, &j, branches[b], tokens[t], shared);
    mem_free(j.call.scratch);
    mem_free(q);
    mem_free(memory);
}

/* --- logits --------------------------------------------------------------------------------------------------- */

static float logits[LOGITS], weights[LOGITS];
static struct logit_summary summary;
static size_t top;

static void summarize(struct job *j)
{
    j->k->summarize_logits(logits, LOGITS, top, &summary);
}

static void weigh(struct job *j)
{
    j->k->exp_weights(weights, logits, LOGITS, summary.max, 1.25f);
}

static void bench_logits(const struct kernels *k)
{
    struct job j = { .k = k };
    struct rng rng;
    rng_init(&rng, 2, 0);
    for (size_t i = 0; i < LOGITS; i++) /* three evens make something like a bell */
        logits[i] = (float)(4 * (rng_unit(&rng) + rng_unit(&rng) + rng_unit(&rng)) - 6);
    for (top = 0; top <= TOP_LOGITS; top += 32)
        printf("summarize_logits, %2zu best: %6.1f us\n", top, time_call(summarize, &j) * 1e6);
    printf("exp_weights:               %6.1f us\n", time_call(weigh, &j) * 1e6);
}

/* --- options -------------------------------------------------------------------------------------------------- */

/* Whether name is one of the names in list, which are apart by commas; NULL: all are. */
static bool listed(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || !at[len]))
            return true;
    return !list;
}

static bool parse_dims(struct options *o, const char *list)
{
    for (o->n_dims = 0; *list && o->n_dims < ARRAY_LEN(o->dims); list += *list == ',') {
        char *end;
        unsigned long n = strtoul(list, &end, 10);
        if (end == list || n < 2 || n > 512 || n % 2)
            return false;
        o->dims[o->n_dims++] = n;
        list = end;
    }
    return o->n_dims > 0;
}

static bool parse(struct options *o, int argc, char **argv)
{
    const char *bad;
    bool good = parse_dims(o, "64,128");
    for (int i = 1; i + 1 < argc && good; i += 2) {
        if (strcmp(argv[i], "--dims") == 0)
            good = parse_dims(o, argv[i + 1]);
        else if (strcmp(argv[i], "--types") == 0)
            o->types = argv[i + 1];
        else if (strcmp(argv[i], "--group") == 0)
            o->group = strtoul(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--cpu-mask") == 0)
            good = cpu_mask_from(argv[i + 1], &o->mask, &bad);
        else
            good = false;
    }
    return good && argc % 2 == 1 && o->group >= 1 && o->group <= 64;
}

static void print_peaks(const char *self)
{
    char command[512];
    const char *slash = strrchr(self, '/');
    snprintf(command, sizeof command, "'%.*s/peaks' --threads 1 2>/dev/null", slash ? (int)(slash - self) : 1,
             slash ? self : ".");
    if (system(command) != 0)
        printf("(no peaks beside this program)\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct options o = { .group = 2, .mask = ~0u };
    if (!parse(&o, argc, argv)) {
        fprintf(stderr, "usage: attend [--dims LIST] [--types LIST] [--group N] [--cpu-mask NAMES]\n");
        return 2;
    }
    print_peaks(argv[0]);
    struct kernels k = kernels_for(cpu_detect() & o.mask);
    printf("%s, 1 thread, group %zu\n", k.isa, o.group);
    for (size_t d = 0; d < o.n_dims; d++)
        for (int type = 0; type < KV_TYPE_COUNT; type++)
            if (listed(o.types, kv_type_names[type]))
                bench_type(&k, &o, (enum kv_type)type, o.dims[d]);
    bench_logits(&k);
    return 0;
}
