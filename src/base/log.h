/* SPDX-License-Identifier: MIT
 * The server's diagnostics: one line an event on standard error, `time level process message key=value…`.
 *
 * A line that repeats is written ten times a second at most, and less often while that lasts; what was left out is counted and reported
 * with the last line's values. Lines of level debug are all written.
 *
 * Never log secrets: tokens, passwords, message texts, query strings of tickets. errno is kept.
 * This has nothing to do with the log of positions that src/log is about. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/status.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* who appears in every line ("supervisor", "worker 2", "" for none); it is copied. */
void log_setup(enum log_level level, const char *who);
void log_set_level(enum log_level level);
bool log_level_parse(const char *name, enum log_level *ret_level); /* error, warn, info, debug */
bool log_enabled(enum log_level level);

void log_at(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) do { if (log_enabled(LOG_DEBUG)) log_at(LOG_DEBUG, __VA_ARGS__); } while (0)

/* Reports what was left out of lines that no longer come. For a timer, about once a second. */
void log_tick(void);

/* Says why and exits with status 1. Only at start, before anything is served. */
_Noreturn void fatal(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
