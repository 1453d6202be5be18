/* SPDX-License-Identifier: MIT
 * See log.h. A line is written with one write(2), so that the lines of several processes don't mix. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define REPEATS 10 /* lines of one kind a second */

/* What was written lately: kinds of lines, known by their format. */
struct kind {
	const char *fmt;
	uint64_t second;
	unsigned count;
};

static const char *const level_names[] = { "error", "warn", "info", "debug" };
static enum log_level threshold = LOG_INFO;
static char self[32];
static struct kind kinds[64];

void log_setup(enum log_level level, const char *who)
{
	threshold = level;
	snprintf(self, sizeof(self), "%s", who);
}

void log_set_level(enum log_level level) { threshold = level; }

bool log_enabled(enum log_level level) { return level <= threshold; }

bool log_level_parse(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++)
		if (strcmp(name, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return true;
		}
	return false;
}

/* What came from outside may hold control characters: they would forge lines. */
static void tame(char *line)
{
	for (; *line != '\0'; line++)
		if ((unsigned char)*line < 0x20 || *line == 0x7f)
			*line = ' ';
}

static void write_line(enum log_level level, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
static void write_line(enum log_level level, const char *fmt, va_list ap)
{
	int saved = errno;
	char line[2048], at[CLOCK_RFC3339_LEN + 1];
	clock_rfc3339(clock_real_us(), at);
	int head = snprintf(line, sizeof(line), "%s %s%s%s ", at, level_names[level], *self ? " " : "", self);
	errno = saved;
	int n = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, fmt, ap);
	size_t len = (size_t)head + (n > 0 ? (size_t)n : 0);
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len] = '\0';
	tame(line + head);
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0) { /* nowhere to say it */
	}
	errno = saved;
}

static void say(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say(enum log_level level, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	write_line(level, fmt, ap);
	va_end(ap);
}

/* Whether enough lines of this kind were written within this second. */
static bool is_flood(enum log_level level, const char *fmt)
{
	struct kind *k = &kinds[(uintptr_t)fmt / 8 % (sizeof(kinds) / sizeof(kinds[0]))];
	uint64_t second = clock_mono_ms() / 1000;
	if (k->fmt != fmt || k->second != second) {
		unsigned more = k->count > REPEATS ? k->count - REPEATS : 0;
		const char *was = k->fmt;
		*k = (struct kind){ .fmt = fmt, .second = second };
		if (more > 0)
			say(level, "%u more lines like this were left out: %s", more, was);
	}
	return ++k->count > REPEATS;
}

void log_at(enum log_level level, const char *fmt, ...)
{
	if (!log_enabled(level) || (level < LOG_DEBUG && is_flood(level, fmt)))
		return;
	va_list ap;
	va_start(ap, fmt);
	write_line(level, fmt, ap);
	va_end(ap);
}

void fatal(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	write_line(LOG_ERROR, fmt, ap);
	va_end(ap);
	exit(EXIT_FAILURE);
}
