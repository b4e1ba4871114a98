/*
 * log.h - one line an event on standard error, for the person who runs the server.
 *
 * A line is "2026-11-23T14:55:58.123Z info http listening url=http://127.0.0.1:8080": time,
 * level, area, what happened, then key=value. No prompt, answer or key is ever logged.
 *
 * Threads: any; a line is one write, so lines never mix.
 */
#ifndef THINKD_BASE_LOG_H
#define THINKD_BASE_LOG_H

#include "base/mem.h"

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);                   /* LOG_INFO at start */
bool log_level_from(const char *name, enum log_level *out); /* "error", "warn", "info", "debug" */
void log_line(enum log_level level, const char *area, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
