/*
 * dispatch.c - which instruction sets this CPU has, and the best kernel of each name.
 */
#include "kernel/kernel_impl.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const struct variant {
    unsigned needs;
    const struct kernels *kernels;
} variants[] = {
    /* weakest first: a later one overlays what it implements */
    { 0, &kernels_scalar },
#if defined(__x86_64__)
    { CPU_AVX2, &kernels_avx2 },
    { CPU_AVX512, &kernels_avx512 },
#endif
};

#if defined(__x86_64__)
/* A name that clang 14's builtin does not know yet; leaf 1, ecx. */
static bool has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

/* The compiler's builtin also asks the operating system whether it saves the wide registers. */
unsigned cpu_detect(void)
{
    unsigned cpu = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c())
        cpu |= CPU_AVX2;
    if ((cpu & CPU_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        cpu |= CPU_AVX512;
#endif
    return cpu;
}

static void overlay(struct kernels *best, const struct kernels *k)
{
    best->isa = k->isa;
#define X(ret, name, args)                                                                                   \
    if (k->name)                                                                                             \
        best->name = k->name;
    KERNEL_LIST(X)
#undef X
}

struct kernels kernels_for(unsigned cpu)
{
    struct kernels best = kernels_scalar;
    for (size_t i = 0; i < ARRAY_LEN(variants); i++)
        if ((cpu & variants[i].needs) == variants[i].needs)
            overlay(&best, variants[i].kernels);
    return best;
}

bool kernels_variant(size_t i, unsigned cpu, struct kernels *out)
{
    for (size_t v = 0; v < ARRAY_LEN(variants); v++) {
        if ((cpu & variants[v].needs) != variants[v].needs)
            continue;
        if (i-- == 0) {
            *out = kernels_scalar;
            overlay(out, variants[v].kernels);
            return true;
        }
    }
    return false;
}
