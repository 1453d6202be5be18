/* SPDX-License-Identifier: MIT
 * The server's diagnostics: one line for each event, on standard error. logline.h describes its format.
 *
 * Two kinds of lines: log_warn("can't watch %s: %s", …) for a sentence, and
 *     log_event(LOG_WARN, "request failed", F("path", path), F_NUMBER("status", 503));
 * for values that an operator may search for.
 *
 * A line that repeats (the same format, the same message of an event) is written ten times a second at most, and less
 * often while that lasts; how many were left out is reported with the last line's values. Lines of the levels debug and
 * trace are all written.
 *
 * Never log secrets: tokens, passwords, message texts, query strings of tickets. errno is kept.
 * This has nothing to do with the log of positions that src/log is about. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/logline.h"
#include "base/status.h"

enum { LOG_LEVELS = LOG_TRACE + 1 };

/* who appears in every line ("supervisor", "worker 2", "" for none); it is copied. If standard error is systemd's
 * journal, lines begin with their priority (sd-daemon(3)). */
void log_setup(enum log_level level, enum log_format format, const char *who);
void log_set(enum log_level level, enum log_format format);
bool log_level_parse(const char *name, enum log_level *ret_level);    /* error, warn, info, debug, trace */
bool log_format_parse(const char *name, enum log_format *ret_format); /* text, logfmt, json */
const char *log_level_name(enum log_level level);
const char *log_format_name(enum log_format format);
bool log_enabled(enum log_level level);

void log_at(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) \
	do { \
		if (log_enabled(LOG_DEBUG)) \
			log_at(LOG_DEBUG, __VA_ARGS__); \
	} while (0)

/* message is a literal: it identifies repetitions. */
void log_fields(enum log_level level, const char *message, const struct log_field *fields);
#define log_event(level, message, ...) \
	do { \
		if (log_enabled(level)) \
			log_fields(level, message, (const struct log_field[]) { __VA_ARGS__, { 0 } }); \
	} while (0)
/* The same, but every line is written: the caller must bound their number. */
void log_fields_each(enum log_level level, const char *message, const struct log_field *fields);
#define log_event_each(level, message, ...) \
	log_fields_each(level, message, (const struct log_field[]) { __VA_ARGS__, { 0 } })

/* Formats a line as log_event() does, for another log; with_priority: it goes to standard error. Returns its length. */
enum { LOG_LINE_MAX = LOGLINE_MAX + 3 };
size_t log_line(enum log_level level, const char *message, const struct log_field *fields, bool with_priority,
	char out[LOG_LINE_MAX]);

/* Returns the number of lines of that level since log_setup(), including those left out as repetitions. */
uint64_t log_count(enum log_level level);

/* Reports how many lines were left out of kinds that have stopped. A timer calls it about once a second. */
void log_tick(void);

/* Logs why and exits with status 1. Only at start, before anything is served. */
__attribute__((noreturn)) void fatal(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
