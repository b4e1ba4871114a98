/*
 * clock.h - time: monotonic for measuring and deadlines, wall for what people and clients read.
 *
 * Threads: any.
 */
#ifndef THINKD_BASE_CLOCK_H
#define THINKD_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_mono_ns(void); /* never goes back; its zero means nothing */
int64_t clock_mono_ms(void);
int64_t clock_wall_s(void); /* seconds since 1970-01-01 UTC */
int64_t clock_wall_ms(void);

#endif
