/*
 * kernels.c - each kernel by itself, on all threads, beside what the machine could do at most.
 *
 *     kernels [--threads N] [--cpu-mask NAMES]
 *
 * One line of JSON a case: the bytes that must be read, the operations that must be done and on which unit, and the median
 * time of the runs. bench/engine --kernels adds the floor from peaks of the same minute. Shapes are those of a 0.6B model:
 * products over rows of 1,024, attention of 8 KV heads with 2 query heads of 128 each. Matrices are larger than a cache that
 * two cores have to themselves, so weights come from memory as they do in a step.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernel/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COLS       1024
#define WEIGHTS    ((size_t)64 << 20) /* of a product's matrix */
#define ROWS_MAX   256
#define RUNS       5
#define KV_HEADS   8
#define GROUP      2
#define HEAD_DIM   128
#define VOCABULARY 151936

struct machine {
    struct kernels k;
    struct kernel_pool *pool;
};

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Milliseconds: the median of RUNS, after one that warms up. */
static double timed(const struct machine *m, int parts, void (*run)(void *ctx, int part, int parts),
                    void *ctx)
{
    double ms[RUNS];
    kernel_pool_run(m->pool, parts, run, ctx);
    for (int i = 0; i < RUNS; i++) {
        int64_t begin = clock_mono_ns();
        kernel_pool_run(m->pool, parts, run, ctx);
        ms[i] = (double)(clock_mono_ns() - begin) / 1e6;
    }
    qsort(ms, RUNS, sizeof *ms, by_size);
    return ms[RUNS / 2];
}

static void report(const struct machine *m, const char *kernel, const char *type, const char *shape,
                   double bytes, double ops, const char *unit, double ms)
{
    printf("{\"kernel\": \"%s\", \"type\": \"%s\", \"shape\": \"%s\", \"isa\": \"%s\", \"threads\": %d, "
           "\"bytes\": %.0f, "
           "\"ops\": %.0f, \"unit\": \"%s\", \"ms\": %.4f}\n",
           kernel, type, shape, m->k.isa, kernel_pool_threads(m->pool), bytes, ops, unit, ms);
    fflush(stdout);
}

/* Random bytes whose pairs are small finite halves wherever a type keeps its scales. */
static void fill(void *out, size_t bytes)
{
    static uint64_t tile[8209]; /* a prime: rows do not repeat each other */
    struct rng rng;
    rng_init(&rng, 1, bytes);
    for (size_t i = 0; i < ARRAY_LEN(tile); i++)
        tile[i] = rng_u64(&rng) & 0x3b3b3b3b3b3b3b3b;
    for (size_t at = 0; at < bytes; at += sizeof tile)
        memcpy((unsigned char *)out + at, tile, bytes - at < sizeof tile ? bytes - at : sizeof tile);
}

static void fill_floats(float *out, size_t n)
{
    struct rng rng;
    rng_init(&rng, 2, n);
    for (size_t i = 0; i < n; i++)
        out[i] = (float)(rng_unit(&rng) - 0.5);
}

/* --- products ------------------------------------------------------------------------------------------------------- */

struct products {
    const struct machine *m;
    struct matrix plain, w;
    struct product p;
    void *packed;
};

static void pack_part(void *ctx, int part, int parts)
{
    struct products *s = ctx;
    size_t panels = s->plain.rows / PANEL_ROWS;
    matrix_pack(&s->plain, s->packed, panels * (size_t)part / (size_t)parts,
                panels * (size_t)(part + 1) / (size_t)parts);
}

static void multiply_part(void *ctx, int part, int parts)
{
    struct products *s = ctx;
    struct product p = s->p;
    size_t panels = p.w->rows / PANEL_ROWS;
    p.from = panels * (size_t)part / (size_t)parts * PANEL_ROWS;
    p.to = panels * (size_t)(part + 1) / (size_t)parts * PANEL_ROWS;
    matrix_mul(&s->m->k, &p);
}

static void bench_products(const struct machine *m, enum tensor_type type, struct acts *acts, float *y)
{
    const struct tensor_type_info *info = tensor_type_info(type);
    size_t rows = WEIGHTS / COLS, bytes = WEIGHTS / info->block * info->bytes;
    size_t packed_bytes = matrix_packed_bytes(type, rows, COLS);
    void *file = mem_aligned(64, bytes);
    fill(file, bytes);
    struct products s = { .m = m, .plain = { .type = type, .rows = rows, .cols = COLS, .data = file } };
    s.w = s.plain;
    if (packed_bytes) {
        s.packed = mem_aligned(64, packed_bytes);
        kernel_pool_run(m->pool, 2 * kernel_pool_threads(m->pool), pack_part, &s);
        s.w.packed = true;
        s.w.data = s.packed;
        mem_free(file);
    }
    static const size_t counts[] = { 1, 8, 32, ROWS_MAX };
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        s.p = (struct product){ .w = &s.w, .x = acts, .n_rows = counts[i], .y = y, .y_stride = rows };
        double ms = timed(m, 8 * kernel_pool_threads(m->pool), multiply_part, &s);
        char shape[64];
        snprintf(shape, sizeof shape, "%zu rows x %d MiB of weights", counts[i], (int)(bytes / MIB));
        report(m, packed_bytes ? "mul_packed" : "mul", info->name, shape, (double)bytes,
               2.0 * (double)WEIGHTS * (double)counts[i], packed_bytes ? "int8" : "fma", ms);
    }
    mem_free((void *)s.w.data);
}

/* --- attention ------------------------------------------------------------------------------------------------------ */

struct attention {
    const struct machine *m;
    struct attend a; /* of head 0 */
    size_t head_bytes;
    const struct attend_row *rows; /* [KV_HEADS][n_rows] */
    unsigned char *scratch;
    size_t scratch_bytes;
};

static void attend_part(void *ctx, int part, int parts)
{
    struct attention *s = ctx;
    for (int h = part; h < KV_HEADS; h += parts) {
        struct attend a = s->a;
        a.offset = (size_t)h * s->head_bytes;
        a.rows = s->rows + (size_t)h * a.n_rows;
        a.scratch = s->scratch + (size_t)part * s->scratch_bytes;
        s->m->k.attend(&a);
    }
}

/* branches that share prefix tokens and have own tokens each, both in whole pages. */
static void bench_attention(const struct machine *m, enum kv_type type, size_t branches, size_t prefix,
                            size_t own)
{
    size_t shared = prefix / KV_PAGE_TOKENS, each = own / KV_PAGE_TOKENS, pages = shared + branches * each;
    size_t n = branches * KV_HEADS, parts = (size_t)kernel_pool_threads(m->pool);
    struct attention s = { .m = m, .head_bytes = kv_head_bytes(type, HEAD_DIM) };
    unsigned char *memory = mem_aligned(64, pages * KV_HEADS * s.head_bytes);
    uint32_t *tables = mem_array(branches * (shared + each), sizeof *tables);
    struct attend_row *rows = mem_array(n, sizeof *rows);
    float *q = mem_aligned(64, n * GROUP * HEAD_DIM * sizeof *q),
          *out = mem_aligned(64, n * GROUP * HEAD_DIM * sizeof *q);
    float *token = mem_aligned(64, HEAD_DIM * sizeof *token);
    fill_floats(q, n * GROUP * HEAD_DIM);
    fill_floats(token, HEAD_DIM);
    for (size_t i = 0; i < pages * KV_HEADS * KV_PAGE_TOKENS; i++)
        m->k.kv_store(&(struct kv_store){ .type = type,
                                          .head_dim = HEAD_DIM,
                                          .at = i % KV_PAGE_TOKENS,
                                          .key = token,
                                          .head = memory + i / KV_PAGE_TOKENS * s.head_bytes,
                                          .value = token });
    for (size_t b = 0; b < branches; b++)
        for (size_t i = 0; i < shared + each; i++)
            tables[b * (shared + each) + i] = (uint32_t)(i < shared ? i : shared + b * each + i - shared);
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct attend_row){ .q = q + i * GROUP * HEAD_DIM,
                                       .out = out + i * GROUP * HEAD_DIM,
                                       .pages = tables + i % branches * (shared + each),
                                       .to = (int64_t)(prefix + own) };
    s.rows = rows;
    s.scratch_bytes = (attend_scratch_bytes(HEAD_DIM, branches * GROUP) + 63) / 64 * 64;
    s.scratch = mem_aligned(64, parts * s.scratch_bytes);
    s.a = (struct attend){ .type = type,
                           .head_dim = HEAD_DIM,
                           .group = GROUP,
                           .memory = memory,
                           .page_bytes = KV_HEADS * s.head_bytes,
                           .n_rows = branches };
    double ms = timed(m, (int)parts, attend_part, &s);
    char shape[96];
    snprintf(shape, sizeof shape, "%zu branches, prefix %zu, %zu own", branches, prefix, own);
    report(m, "attend", kv_type_names[type], shape, (double)(pages * KV_HEADS * s.head_bytes),
           4.0 * HEAD_DIM * GROUP * KV_HEADS * (double)(branches * (prefix + own)), "fma", ms);
    mem_free(s.scratch);
    mem_free(token);
    mem_free(out);
    mem_free(q);
    mem_free(rows);
    mem_free(tables);
    mem_free(memory);
}

/* --- logits ----------------------------------------------------------------------------------------------------------- */

struct rows_of_logits {
    const struct machine *m;
    const float *logits;
    int n;
};

static void summarize_part(void *ctx, int part, int parts)
{
    struct rows_of_logits *s = ctx;
    struct logit_summary out;
    for (int i = part; i < s->n; i += parts)
        s->m->k.summarize_logits(s->logits + (size_t)i * VOCABULARY, VOCABULARY, 20, &out);
}

static void bench_logits(const struct machine *m)
{
    struct rows_of_logits s = { .m = m, .n = 32 };
    size_t bytes = (size_t)s.n * VOCABULARY * sizeof(float);
    float *logits = mem_aligned(64, bytes);
    fill_floats(logits, bytes / sizeof *logits);
    s.logits = logits;
    double ms = timed(m, kernel_pool_threads(m->pool), summarize_part, &s);
    report(m, "summarize_logits", "F32", "32 rows x 151,936", (double)bytes, 2.0 * (double)bytes / 4, "fma",
           ms);
    mem_free(logits);
}

int main(int argc, char **argv)
{
    int threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    unsigned mask = ~0u;
    const char *bad = NULL;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--threads") == 0)
            threads = atoi(argv[i + 1]);
        else if (i + 1 >= argc || strcmp(argv[i], "--cpu-mask") != 0 ||
                 !cpu_mask_from(argv[i + 1], &mask, &bad))
            threads = 0;
    }
    if (threads < 1 || threads > KERNEL_THREADS_MAX) {
        fprintf(stderr, "usage: kernels [--threads N] [--cpu-mask NAMES]\n");
        return 2;
    }
    struct machine m = { .k = kernels_for(cpu_detect() & mask), .pool = kernel_pool_open(threads) };
    struct acts acts = { 0 };
    acts_open(&acts, ROWS_MAX, COLS);
    acts.n = COLS;
    fill_floats(acts.x, ROWS_MAX * COLS);
    for (size_t r = 0; r < ROWS_MAX; r++)
        m.k.acts_quantize(&acts, r, 0, COLS);
    float *y = mem_aligned(64, ROWS_MAX * (WEIGHTS / COLS) * sizeof *y);
    for (int t = 0; t < TENSOR_TYPE_COUNT; t++)
        bench_products(&m, (enum tensor_type)t, &acts, y);
    mem_free(y);
    acts_free(&acts);
    for (int t = KV_F16; t < KV_TYPE_COUNT; t++) {
        bench_attention(&m, (enum kv_type)t, 1, 2048, 64);
        bench_attention(&m, (enum kv_type)t, 32, 512, 64);
        bench_attention(&m, (enum kv_type)t, 32, 2048, 64);
    }
    bench_logits(&m);
    kernel_pool_close(m.pool);
    return 0;
}
