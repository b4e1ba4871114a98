/*
 * rng.c - xoshiro256** seeded by SplitMix64; getrandom for secrets and ids.
 *
 * The stream of a seed is part of the product: recorded seeds must give the same text in every later version, so
 * tests hold the first numbers of some streams as golden values.
 */
#include "base/rng.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void rng_init(struct rng *r, uint64_t seed, uint64_t stream)
{
    /* The stream number is scrambled before it meets the seed: (1, 2) and (2, 1) must differ. */
    uint64_t mixed = stream, state = seed ^ splitmix(&mixed);
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix(&state);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t *s = r->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    assert(n > 0);
    uint64_t reject = (0 - n) % n; /* 2^64 mod n: below it the low residues would come once too often */
    for (;;) {
        uint64_t x = rng_u64(r);
        if (x >= reject)
            return x % n;
    }
}

int64_t rng_range(struct rng *r, int64_t low, int64_t high)
{
    assert(low <= high);
    uint64_t span = (uint64_t)high - (uint64_t)low + 1;
    return span ? (int64_t)((uint64_t)low + rng_below(r, span)) : (int64_t)rng_u64(r);
}

double rng_unit(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

void rng_os_bytes(void *out, size_t len)
{
    unsigned char *p = out;
    while (len) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            perror("thinkd: getrandom");
            abort();
        }
        p += n;
        len -= (size_t)n;
    }
}

uint64_t rng_os_u64(void)
{
    uint64_t x;
    rng_os_bytes(&x, sizeof x);
    return x;
}

void rng_os_hex(char *out, size_t digits)
{
    unsigned char bytes[64]; /* an id's at once: a system call costs more than its bytes */
    for (size_t i = 0; i < digits; i++) {
        size_t at = i % (2 * sizeof bytes), left = (digits - i + 1) / 2;
        if (at == 0)
            rng_os_bytes(bytes, left < sizeof bytes ? left : sizeof bytes);
        out[i] = "0123456789abcdef"[bytes[at / 2] >> at % 2 * 4 & 15];
    }
    out[digits] = '\0';
}
