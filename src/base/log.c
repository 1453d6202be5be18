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

#define REPEATS 10           /* lines of one kind in a window */
#define WINDOW_MIN_MS 1000   /* it doubles while lines are left out, */
#define WINDOW_MAX_MS 60000  /* so that an outage of an hour is a few lines a minute */
#define KINDS 64
#define PLACES 4             /* where a kind may be found */
#define LAST_MAX 400

/* What was written lately: kinds of lines, known by their format. */
struct kind {
	const char *fmt; /* NULL: a free place */
	uint64_t since_ms, window_ms;
	unsigned count; /* since then */
	enum log_level level;
	char last[LAST_MAX]; /* of those left out */
};

static const char *const level_names[] = { "error", "warn", "info", "debug" };
static enum log_level threshold = LOG_INFO;
static char self[32];
static struct kind kinds[KINDS];

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

/* Ends a kind's window: says what was left out, with the values of the last such line. */
static void end_window(struct kind *k, uint64_t now)
{
	unsigned more = k->count > REPEATS ? k->count - REPEATS : 0;
	if (more > 0)
		say(k->level, "%u more lines like this in %llu s, the last one: %s", more, (unsigned long long)(now - k->since_ms + 500) / 1000, k->last);
	k->window_ms = more == 0 ? WINDOW_MIN_MS : k->window_ms * 2 > WINDOW_MAX_MS ? WINDOW_MAX_MS : k->window_ms * 2;
	k->since_ms = now;
	k->count = 0;
}

void log_tick(void)
{
	uint64_t now = clock_mono_ms();
	for (struct kind *k = kinds; k < kinds + KINDS; k++)
		if (k->count > REPEATS && now - k->since_ms >= k->window_ms)
			end_window(k, now);
}

/* The kind's place; else that of the one which was silent for longest. */
static struct kind *kind_of(enum log_level level, const char *fmt, uint64_t now)
{
	struct kind *oldest = NULL;
	for (unsigned i = 0; i < PLACES; i++) {
		struct kind *k = &kinds[((uintptr_t)fmt / 8 + i) % KINDS];
		if (k->fmt == fmt)
			return k;
		if (oldest == NULL || k->since_ms < oldest->since_ms)
			oldest = k;
	}
	if (oldest->count > REPEATS)
		end_window(oldest, now);
	*oldest = (struct kind){ .fmt = fmt, .since_ms = now, .window_ms = WINDOW_MIN_MS, .level = level };
	return oldest;
}

/* The kind whose window has had its lines; NULL: write this one. */
static struct kind *flooding(enum log_level level, const char *fmt)
{
	uint64_t now = clock_mono_ms();
	log_tick();
	struct kind *k = kind_of(level, fmt, now);
	if (now - k->since_ms >= k->window_ms)
		end_window(k, now);
	return ++k->count > REPEATS ? k : NULL;
}

void log_at(enum log_level level, const char *fmt, ...)
{
	struct kind *k;
	int saved = errno;
	if (!log_enabled(level))
		return;
	va_list ap;
	va_start(ap, fmt);
	if (level < LOG_DEBUG && (k = flooding(level, fmt)) != NULL)
		vsnprintf(k->last, sizeof(k->last), fmt, ap);
	else
		write_line(level, fmt, ap);
	va_end(ap);
	errno = saved;
}

void fatal(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	write_line(LOG_ERROR, fmt, ap);
	va_end(ap);
	exit(EXIT_FAILURE);
}
