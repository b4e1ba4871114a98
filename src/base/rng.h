/*
 * rng.h - reproducible random streams, and the system's own randomness.
 *
 * A stream is named by (seed, stream): branch i of a request draws from (request seed, i),
 * so what it says does not depend on how many other branches run. The generator is
 * xoshiro256** 1.0 (Blackman and Vigna, "Scrambled linear pseudorandom number generators",
 * ACM TOMS 47, 2021), its state filled by SplitMix64; the numbers are the same on every
 * machine and compiler, which recorded seeds rely on.
 *
 * Threads: a struct rng belongs to one; rng_os_bytes from any.
 */
#ifndef THINKD_BASE_RNG_H
#define THINKD_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed, uint64_t stream);
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n);               /* uniform in [0, n), n > 0, no modulo bias */
int64_t rng_range(struct rng *r, int64_t low, int64_t high); /* uniform in [low, high], both ends */
double rng_unit(struct rng *r);                              /* uniform in [0, 1), 53 bits */

void rng_os_bytes(void *out, size_t len); /* getrandom(2); ends the process if the kernel has none */
uint64_t rng_os_u64(void);
void rng_os_hex(char *out, size_t digits); /* lower-case hex digits and a NUL: digits + 1 bytes */

#endif
