/*
 * peaks.c - what this machine can do at most right now: bytes read a second, multiply-adds a second.
 *
 *     peaks [--threads N] [--bandwidth] [--bytes N]
 *
 * One line of JSON on standard output. Virtual machines drift by a factor of two within the hour, so a floor is computed
 * from peaks of the same run, and a comparison is thrown away when the bandwidth around its two halves differs:
 * --bandwidth measures that alone, in about a fifth of a second. --bytes adds the rate at which N bytes, shared among the
 * threads, are read again and again: what a model of that size gets, whichever cache holds it.
 *
 * Each thread stays on its CPU and works on memory of its own; rates are summed. Reads: whole cache lines of 160 MiB a
 * thread (beyond a guest's share of any cache) and of 8 MiB in all (L3), the best of a few passes. Arithmetic: operands in
 * registers, enough chains to hide the latency. A multiply-add counts as two operations.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define THREADS_MAX 256
#define DRAM_BYTES  ((size_t)160 << 20) /* of one thread */
#define BYTES_MAX   (8LL << 30)         /* of --bytes */
#define L3_BYTES    ((size_t)8 << 20)   /* of all */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- kernels: what one thread repeats ---------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define KEEP(x) __asm__ volatile("" ::"x"(x))

/* The prefetch runs 8 KiB ahead: the hardware's own stops at a page's end. */
__attribute__((target("avx512f"))) static void read_512(const char *p, size_t n)
{
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    for (size_t i = 0; i < n; i += 256) {
        for (size_t k = 0; k < 256; k += 64)
            _mm_prefetch(p + i + 8192 + k, _MM_HINT_T0);
        a = _mm512_xor_si512(a, _mm512_load_si512(p + i));
        b = _mm512_xor_si512(b, _mm512_load_si512(p + i + 64));
        c = _mm512_xor_si512(c, _mm512_load_si512(p + i + 128));
        d = _mm512_xor_si512(d, _mm512_load_si512(p + i + 192));
    }
    __asm__ volatile("" ::"v"(_mm512_xor_si512(_mm512_xor_si512(a, b), _mm512_xor_si512(c, d))));
}

__attribute__((target("avx2"))) static void read_256(const char *p, size_t n)
{
    __m256i a = _mm256_setzero_si256(), b = a;
    for (size_t i = 0; i < n; i += 128) {
        _mm_prefetch(p + i + 8192, _MM_HINT_T0);
        _mm_prefetch(p + i + 8256, _MM_HINT_T0);
        a = _mm256_xor_si256(a, _mm256_load_si256((const __m256i *)(p + i)));
        b = _mm256_xor_si256(b, _mm256_load_si256((const __m256i *)(p + i + 32)));
        a = _mm256_xor_si256(a, _mm256_load_si256((const __m256i *)(p + i + 64)));
        b = _mm256_xor_si256(b, _mm256_load_si256((const __m256i *)(p + i + 96)));
    }
    KEEP(_mm256_xor_si256(a, b));
}

/* Twelve independent chains, by name: of an array the compiler makes memory, and what is measured is how fast it stores.
 * The assembler lines keep them from being folded. */
#define CHAINS 12
#define ARITHMETIC(name, isa, vec, zero, line, constraint)                                                   \
    __attribute__((target(isa))) static void name(long n)                                                    \
    {                                                                                                        \
        vec x = zero, a = x, b = x, c = x, d = x, e = x, f = x, g = x, h = x, i = x, j = x, k = x, l = x;    \
        for (long r = 0; r < n; r++) {                                                                       \
            __asm__ volatile(line : "+" constraint(a) : constraint(x));                                      \
            __asm__ volatile(line : "+" constraint(b) : constraint(x));                                      \
            __asm__ volatile(line : "+" constraint(c) : constraint(x));                                      \
            __asm__ volatile(line : "+" constraint(d) : constraint(x));                                      \
            __asm__ volatile(line : "+" constraint(e) : constraint(x));                                      \
            __asm__ volatile(line : "+" constraint(f) : constraint(x));                                      \
            __asm__ volatile(line : "+" constraint(g) : constraint(x));                                      \
            __asm__ volatile(line : "+" constraint(h) : constraint(x));                                      \
            __asm__ volatile(line : "+" constraint(i) : constraint(x));                                      \
            __asm__ volatile(line : "+" constraint(j) : constraint(x));                                      \
            __asm__ volatile(line : "+" constraint(k) : constraint(x));                                      \
            __asm__ volatile(line : "+" constraint(l) : constraint(x));                                      \
        }                                                                                                    \
    }
ARITHMETIC(fma_512, "avx512f", __m512, _mm512_setzero_ps(), "vfmadd231ps %1, %1, %0", "v")
ARITHMETIC(fma_256, "avx2,fma", __m256, _mm256_setzero_ps(), "vfmadd231ps %1, %1, %0", "x")
ARITHMETIC(int8_512, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512(), "vpdpbusd %1, %1, %0", "v")
ARITHMETIC(int8_vnni_256, "avx2,avxvnni", __m256i, _mm256_setzero_si256(), "%{vex%} vpdpbusd %1, %1, %0", "x")

/* Without VNNI: multiply pairs, add pairs, add: three instructions for 32 multiply-adds. */
__attribute__((target("avx2"))) static void int8_256(long n)
{
    __m256i x = _mm256_set1_epi8(1), one = _mm256_set1_epi16(1), a[6];
    for (int i = 0; i < 6; i++)
        a[i] = x;
    for (long r = 0; r < n; r++)
        for (int i = 0; i < 6; i++) {
            __m256i t;
            __asm__ volatile("vpmaddubsw %1, %1, %0" : "=x"(t) : "x"(x));
            a[i] = _mm256_add_epi32(a[i], _mm256_madd_epi16(t, one));
        }
    for (int i = 0; i < 6; i++)
        KEEP(a[i]);
}

#define AMX_TARGET __attribute__((target("avx512f,amx-tile,amx-int8")))
struct tile_config {
    uint8_t palette, start, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

AMX_TARGET static void int8_amx(long n)
{
    static const char operands[4096] __attribute__((aligned(64)));
    struct tile_config c = { .palette = 1 };
    for (int i = 0; i < 8; i++) {
        c.row_bytes[i] = 64;
        c.rows[i] = 16;
    }
    __asm__ volatile("" ::"r"(&c) : "memory"); /* gcc 12 thinks that the next line reads 8 bytes of it */
    _tile_loadconfig(&c);
    _tile_loadd(4, operands, 64);
    _tile_loadd(5, operands + 1024, 64);
    _tile_loadd(6, operands + 2048, 64);
    _tile_loadd(7, operands + 3072, 64);
    for (long r = 0; r < n; r++) {
        _tile_dpbssd(0, 4, 6);
        _tile_dpbssd(1, 4, 7);
        _tile_dpbssd(2, 5, 6);
        _tile_dpbssd(3, 5, 7);
    }
    _tile_release();
}

/* Linux gives a process the tiles' registers when it asks, once, before its threads start. */
static bool have_amx(void)
{
    unsigned leaf[4];
    __asm__ volatile("cpuid" : "=a"(leaf[0]), "=b"(leaf[1]), "=c"(leaf[2]), "=d"(leaf[3]) : "a"(7), "c"(0));
    return (leaf[3] >> 24 & 3) == 3 && syscall(SYS_arch_prctl, 0x1023, 18) == 0;
}

static bool have_avx_vnni(void)
{
    unsigned a, b, c, d;
    __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(1));
    return (a >> 4 & 1) && __builtin_cpu_supports("avx2");
}
#else
static void read_plain(const char *p, size_t n)
{
    uint64_t a = 0, b = 0, c = 0, d = 0;
    const uint64_t *w = (const uint64_t *)p;
    for (size_t i = 0; i < n / 8; i += 4) {
        a ^= w[i];
        b ^= w[i + 1];
        c ^= w[i + 2];
        d ^= w[i + 3];
    }
    volatile uint64_t sink = a ^ b ^ c ^ d;
    (void)sink;
}

static void fma_plain(long n)
{
    float a[16] = { 0 }, x = 0.5f;
    for (long r = 0; r < n; r++)
        for (int i = 0; i < 16; i++)
            a[i] = __builtin_fmaf(x, x, a[i]);
    volatile float sink = a[0] + a[15];
    (void)sink;
}
#endif

/* What this CPU has, the strongest. ops: of one repetition. */
struct peaks {
    void (*read)(const char *p, size_t n);
    void (*fma)(long n);
    const char *fma_name;
    double fma_ops;
    void (*int8)(long n); /* NULL: nothing wider than plain code is known */
    const char *int8_name;
    double int8_ops;
};

static struct peaks peaks_choose(void)
{
#if defined(__x86_64__)
    struct peaks p = { read_256, fma_256, "avx2", CHAINS * 16.0, int8_256, "avx2", 6 * 64.0 };
    if (have_avx_vnni()) {
        p.int8 = int8_vnni_256;
        p.int8_name = "avx-vnni";
        p.int8_ops = CHAINS * 64.0;
    }
    if (__builtin_cpu_supports("avx512f")) {
        p.read = read_512;
        p.fma = fma_512;
        p.fma_name = "avx512";
        p.fma_ops = CHAINS * 32.0;
    }
    if (__builtin_cpu_supports("avx512vnni")) {
        p.int8 = int8_512;
        p.int8_name = "avx512-vnni";
        p.int8_ops = CHAINS * 128.0;
    }
    if (have_amx()) {
        p.int8 = int8_amx;
        p.int8_name = "amx-int8";
        p.int8_ops = 4 * 16 * 16 * 64 * 2.0;
    }
    return p;
#else
    return (struct peaks){ read_plain, fma_plain, "plain", 32.0, NULL, "none", 0 };
#endif
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

enum { DRAM, L3, SIZED, FMA, INT8, MEASURES };
struct shared {
    struct peaks peaks;
    int threads;
    bool bandwidth_only;
    size_t sized; /* bytes of one thread for --bytes; 0: not asked */
    pthread_barrier_t barrier;
    double rate[THREADS_MAX][MEASURES];
};
struct worker {
    struct shared *shared;
    int number;
    pthread_t thread;
};

static double read_rate(struct shared *s, const char *memory, size_t n, int passes)
{
    double best = 0;
    for (int i = 0; i < passes; i++) {
        pthread_barrier_wait(&s->barrier);
        double begin = now();
        size_t done = 0;
        for (; done < DRAM_BYTES; done += n)
            s->peaks.read(memory, n);
        double rate = (double)done / (now() - begin);
        best = rate > best ? rate : best;
    }
    return best;
}

/* Repetitions double until they take 10 ms, so a slow machine is not kept busy for long; then the best of a few. */
static double op_rate(struct shared *s, void (*run)(long n), double ops)
{
    double best = 0;
    long n = 1 << 14;
    pthread_barrier_wait(&s->barrier);
    for (int passes = 0; passes < 8;) {
        double begin = now();
        run(n);
        double took = now() - begin, rate = (double)n * ops / took;
        best = rate > best ? rate : best;
        if (took > 0.01)
            passes++;
        else
            n *= 2;
    }
    return best;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct shared *s = w->shared;
    cpu_set_t allowed, one;
    CPU_ZERO(&one);
    int nth = -1;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET(cpu, &allowed) && ++nth == w->number) {
                CPU_SET(cpu, &one);
                sched_setaffinity(0, sizeof one, &one);
            }
    size_t bytes = (s->sized > DRAM_BYTES ? s->sized : DRAM_BYTES) + 16384; /* prefetches look past the end */
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("peaks: mmap");
        exit(1);
    }
    madvise(memory, bytes, MADV_HUGEPAGE);
    memset(memory, w->number + 1, bytes); /* by its reader, so that it lies near */
    double *rate = s->rate[w->number];
    rate[DRAM] = read_rate(s, memory, DRAM_BYTES, 8);
    if (!s->bandwidth_only) {
        rate[L3] = read_rate(s, memory, L3_BYTES / (size_t)s->threads / 256 * 256, 3);
        if (s->sized)
            rate[SIZED] = read_rate(s, memory, s->sized, s->sized > DRAM_BYTES ? 3 : 8);
        rate[FMA] = op_rate(s, s->peaks.fma, s->peaks.fma_ops);
        rate[INT8] = s->peaks.int8 ? op_rate(s, s->peaks.int8, s->peaks.int8_ops) : 0;
    }
    munmap(memory, bytes);
    return NULL;
}

static void print(const struct shared *s)
{
    double sum[MEASURES] = { 0 };
    for (int t = 0; t < s->threads; t++)
        for (int m = 0; m < MEASURES; m++)
            sum[m] += s->rate[t][m] / 1e9;
    printf("{\"threads\": %d, \"dram_gb_s\": %.2f", s->threads, sum[DRAM]);
    if (!s->bandwidth_only)
        printf(", \"l3_gb_s\": %.2f, \"l3_bytes\": %ld, \"fma_gflop_s\": %.1f, \"fma_with\": \"%s\", "
               "\"int8_gop_s\": %.1f, \"int8_with\": \"%s\"",
               sum[L3], sysconf(_SC_LEVEL3_CACHE_SIZE), sum[FMA], s->peaks.fma_name, sum[INT8],
               s->peaks.int8_name);
    if (s->sized)
        printf(", \"sized_gb_s\": %.2f", sum[SIZED]);
    printf("}\n");
}

int main(int argc, char **argv)
{
    static struct shared s;
    static struct worker workers[THREADS_MAX];
    s.threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    long long sized = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bandwidth") == 0) {
            s.bandwidth_only = true;
        } else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc) {
            s.threads = atoi(argv[++i]);
        } else if (strcmp(argv[i], "--bytes") == 0 && i + 1 < argc) {
            sized = atoll(argv[++i]);
        } else {
            fprintf(stderr, "usage: peaks [--threads N] [--bandwidth] [--bytes N]\n");
            return 2;
        }
    }
    if (s.threads < 1 || s.threads > THREADS_MAX || sized < 0 || sized > BYTES_MAX) {
        fprintf(stderr, "peaks: 1 to %d threads, at most %lld bytes\n", THREADS_MAX, BYTES_MAX);
        return 2;
    }
    s.sized = (size_t)sized / (size_t)s.threads / 256 * 256;
    s.peaks = peaks_choose();
    pthread_barrier_init(&s.barrier, NULL, (unsigned)s.threads);
    for (int t = 0; t < s.threads; t++) {
        workers[t] = (struct worker){ .shared = &s, .number = t };
        if (pthread_create(&workers[t].thread, NULL, work, &workers[t])) {
            perror("peaks: pthread_create");
            return 1;
        }
    }
    for (int t = 0; t < s.threads; t++)
        pthread_join(workers[t].thread, NULL);
    print(&s);
    return 0;
}
