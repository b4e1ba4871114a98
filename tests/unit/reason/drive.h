/*
 * drive.h - runs a thinker to its decision, lines ending in any order.
 */
#ifndef THINKD_TESTS_DRIVE_H
#define THINKD_TESTS_DRIVE_H

#include "base/rng.h"
#include "reason/reason.h"

/* Ends lines as the random numbers say until it is decided; each that was cancelled is told of, too. Appends to acts what was
 * started "+1", counted "=1" and decided "!1"; not the cancels, which follow who runs. Checks that nothing is asked for behind the
 * decision, and that votes and abstentions are the lines that were counted. */
typedef void drive_end_line(struct thinker *t, const void *script, size_t line);
void drive(struct thinker *t, struct rng *rng, drive_end_line *end_line, const void *script, char *acts,
           size_t acts_size);

#endif
