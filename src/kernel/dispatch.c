/*
 * dispatch.c - which instruction sets this CPU has, and the best kernel of each name.
 */
#include "kernel/kernel_impl.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

#define LEVEL_AVX512 (CPU_AVX2 | CPU_AVX512)
#define LEVEL_VNNI   (LEVEL_AVX512 | CPU_AVX512_VNNI)

/* Weakest first: a later row overlays what it implements, and renames the whole where it has a name. */
static const struct variant {
    unsigned needs;
    const struct kernels *kernels;
} variants[] = {
    { 0, &kernels_scalar },
#if defined(__x86_64__)
    { CPU_AVX2, &kernels_vector_avx2 },
    { CPU_AVX2, &kernels_attend_avx2 },
    { CPU_AVX2, &kernels_packed_avx2 },
    { CPU_AVX2 | CPU_AVX_VNNI, &kernels_packed_avxvnni },
    { LEVEL_AVX512, &kernels_vector_avx512 },
    { LEVEL_AVX512, &kernels_attend_avx512 },
    { LEVEL_AVX512, &kernels_packed_avx512 },
    { LEVEL_VNNI, &kernels_packed_vnni512 },
    { LEVEL_VNNI, &kernels_attend_vnni512 },
    { LEVEL_VNNI | CPU_AMX, &kernels_packed_amx },
#elif defined(__aarch64__)
    { CPU_NEON, &kernels_vector_neon },
    { CPU_NEON, &kernels_attend_neon },
    { CPU_NEON | CPU_DOTPROD, &kernels_packed_dotprod },
    { CPU_NEON | CPU_DOTPROD | CPU_I8MM, &kernels_packed_i8mm },
#endif
};

/* --- detection ------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)

/* The operating system must have given the process leave to use tiles before any thread does (Linux,
 * Documentation/arch/x86/xstate.rst): a signal frame would have no room for them otherwise. */
static bool may_use_tiles(void)
{
    enum { ARCH_REQ_XCOMP_PERM_CALL = 0x1023, XFEATURE_TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM_CALL, XFEATURE_TILE_DATA) == 0;
}

/* The compiler's builtin also asks the operating system whether it saves the wide registers. Newer bits than
 * clang 14's builtin knows are read from the CPU: leaf 1 for F16C, leaf 7 for VNNI, VBMI and the tiles. */
unsigned cpu_detect(void)
{
    unsigned cpu = 0, a, b, c = 0, d, c7 = 0, d7 = 0, a71 = 0;
    __builtin_cpu_init();
    if (!__get_cpuid(1, &a, &b, &c, &d) || !__get_cpuid_count(7, 0, &a, &b, &c7, &d7))
        return 0;
    if (!__get_cpuid_count(7, 1, &a71, &b, &a, &d))
        a71 = 0;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && (c & bit_F16C))
        cpu |= CPU_AVX2;
    if ((cpu & CPU_AVX2) && (a71 >> 4 & 1))
        cpu |= CPU_AVX_VNNI;
    if ((cpu & CPU_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        cpu |= CPU_AVX512;
    if ((cpu & CPU_AVX512) && (c7 >> 1 & 1) && (c7 >> 11 & 1)) /* VBMI, VNNI */
        cpu |= CPU_AVX512_VNNI;
    if ((cpu & CPU_AVX512_VNNI) && (d7 >> 24 & 1) && (d7 >> 25 & 1) && may_use_tiles()) /* tiles, int8 */
        cpu |= CPU_AMX;
    return cpu;
}

#elif defined(__aarch64__)

/* Bits of Linux' arch/arm64/include/uapi/asm/hwcap.h, which older C libraries do not name all. */
unsigned cpu_detect(void)
{
    unsigned long cap = getauxval(AT_HWCAP), cap2 = getauxval(AT_HWCAP2);
    unsigned cpu = cap >> 1 & 1 ? CPU_NEON : 0;
    if (cpu && (cap >> 10 & 1) && (cap >> 20 & 1)) /* half precision arithmetic, dot products */
        cpu |= CPU_DOTPROD;
    if ((cpu & CPU_DOTPROD) && (cap2 >> 13 & 1))
        cpu |= CPU_I8MM;
    return cpu;
}

#else

unsigned cpu_detect(void)
{
    return 0;
}

#endif

/* --- choice ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    unsigned bit;
} levels[] = {
    { "avx2", CPU_AVX2 },       { "avx-vnni", CPU_AVX_VNNI },
    { "avx512", CPU_AVX512 },   { "avx512-vnni", CPU_AVX512_VNNI },
    { "amx", CPU_AMX },         { "neon", CPU_NEON },
    { "dotprod", CPU_DOTPROD }, { "i8mm", CPU_I8MM },
};

static unsigned level_bit(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(levels); i++)
        if (strlen(levels[i].name) == len && memcmp(levels[i].name, name, len) == 0)
            return levels[i].bit;
    return 0;
}

bool cpu_mask_from(const char *names, unsigned *mask, const char **bad)
{
    *mask = ~0u;
    while (*names) {
        size_t len = strcspn(names, ",");
        unsigned bit = level_bit(names, len);
        if (!bit) {
            *bad = names;
            return false;
        }
        *mask &= ~bit;
        names += len + (names[len] == ',');
    }
    return true;
}

static void overlay(struct kernels *best, const struct kernels *k)
{
    if (k->isa)
        best->isa = k->isa;
#define X(ret, name, args)                                                                                   \
    if (k->name)                                                                                             \
        best->name = k->name;
    KERNEL_LIST(X)
#undef X
}

bool kernels_variant(size_t i, unsigned cpu, struct kernels *out)
{
    *out = kernels_scalar;
    for (size_t v = 0; v < ARRAY_LEN(variants); v++) {
        if ((cpu & variants[v].needs) != variants[v].needs)
            continue;
        overlay(out, variants[v].kernels);
        if (i-- == 0)
            return true;
    }
    return false;
}

struct kernels kernels_for(unsigned cpu)
{
    struct kernels best;
    for (size_t i = 0; kernels_variant(i, cpu, &best); i++)
        ; /* past the last, best has every row that this cpu can run */
    return best;
}
