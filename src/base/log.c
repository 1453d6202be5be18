/* SPDX-License-Identifier: MIT
 * See log.h. A line is written with one write(2), so that the lines of several processes don't mix. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define REPEATS 10          /* lines of one kind in a window */
#define WINDOW_MIN_MS 1000  /* it doubles while lines are left out, */
#define WINDOW_MAX_MS 60000 /* so that an outage of an hour is a few lines a minute */
#define KINDS 64
#define PLACES 4 /* places that a kind may be in */
#define LAST_MAX 400

/* The kinds of lines that were written lately, by their format. */
struct kind {
	const char *fmt; /* NULL: a free place */
	uint64_t since_ms, window_ms;
	unsigned count; /* since then */
	enum log_level level;
	char last[LAST_MAX]; /* of the lines left out */
};

static const char *const level_names[] = { "error", "warn", "info", "debug", "trace" };
static const char *const format_names[] = { "text", "logfmt", "json" };
static enum log_level threshold = LOG_INFO;
static enum log_format format;
static char self[32];
static bool to_journal;
static uint64_t counts[LOG_LEVELS];
static struct kind kinds[KINDS];

/* Returns true if standard error is what systemd has connected to its journal (systemd.exec(5), JOURNAL_STREAM). */
static bool stderr_is_journal(void)
{
	unsigned long long device, inode;
	struct stat st;
	const char *stream = getenv("JOURNAL_STREAM");
	return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
		st.st_dev == device && st.st_ino == inode;
}

void log_set(enum log_level new_level, enum log_format new_format)
{
	threshold = new_level;
	format = new_format;
}

void log_setup(enum log_level new_level, enum log_format new_format, const char *who)
{
	log_set(new_level, new_format);
	snprintf(self, sizeof(self), "%s", who);
	to_journal = stderr_is_journal();
	memset(counts, 0, sizeof(counts)); /* of this process, not of the one that forked it */
	memset(kinds, 0, sizeof(kinds));
}

bool log_enabled(enum log_level level) { return level <= threshold; }
uint64_t log_count(enum log_level level) { return counts[level]; }
const char *log_level_name(enum log_level level) { return level_names[level]; }
const char *log_format_name(enum log_format f) { return format_names[f]; }

static bool parse(const char *name, const char *const names[], unsigned n, unsigned *ret)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

bool log_level_parse(const char *name, enum log_level *ret_level)
{
	unsigned i;
	bool ok = parse(name, level_names, LOG_LEVELS, &i);
	if (ok)
		*ret_level = (enum log_level)i;
	return ok;
}

bool log_format_parse(const char *name, enum log_format *ret_format)
{
	unsigned i;
	bool ok = parse(name, format_names, sizeof(format_names) / sizeof(format_names[0]), &i);
	if (ok)
		*ret_format = (enum log_format)i;
	return ok;
}

size_t log_line(enum log_level level, const char *message, const struct log_field *fields, bool with_priority,
	char out[LOG_LINE_MAX])
{
	static const char priorities[] = "34677"; /* LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG of syslog(3) */
	char at[CLOCK_RFC3339_LEN + 1];
	size_t from = 0;
	clock_rfc3339(clock_real_us(), at);
	if (with_priority && to_journal)
		from = (size_t)snprintf(out, LOG_LINE_MAX, "<%c>", priorities[level]);
	return from +
		logline_print(&(struct logline) { format, at, level_names[level], self, message, fields }, out + from);
}

static void write_line(enum log_level level, const char *message, const struct log_field *fields)
{
	int saved = errno;
	char out[LOG_LINE_MAX];
	size_t len = log_line(level, message, fields, true, out);
	if (write(STDERR_FILENO, out, len) < 0) { /* there is no place to report it */
	}
	errno = saved;
}

/* Ends a kind's window: reports how many lines were left out, with the values of the last one. */
static void end_window(struct kind *k, uint64_t now)
{
	unsigned more = k->count > REPEATS ? k->count - REPEATS : 0;
	if (more > 0) {
		char text[LAST_MAX + 96];
		snprintf(text, sizeof(text), "%u more lines like this in %llu s, the last one: %s", more,
			(unsigned long long)(now - k->since_ms + 500) / 1000, k->last);
		write_line(k->level, text, NULL);
	}
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

/* Returns the kind's place; if it has none, the place of the kind that was silent for the longest time. */
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
	*oldest = (struct kind) { .fmt = fmt, .since_ms = now, .window_ms = WINDOW_MIN_MS, .level = level };
	return oldest;
}

/* Returns the kind if its window is full already; NULL: write this line. */
static struct kind *flooding(enum log_level level, const char *fmt)
{
	uint64_t now = clock_mono_ms();
	log_tick();
	struct kind *k = kind_of(level, fmt, now);
	if (now - k->since_ms >= k->window_ms)
		end_window(k, now);
	return ++k->count > REPEATS ? k : NULL;
}

/* kind identifies repetitions; NULL: every line is written. */
static void emit(enum log_level level, const char *kind, const char *message, const struct log_field *fields)
{
	struct kind *k;
	char text[LOGLINE_MAX];
	counts[level]++;
	if (kind == NULL || level >= LOG_DEBUG || (k = flooding(level, kind)) == NULL) {
		write_line(level, message, fields);
		return;
	}
	logline_print(&(struct logline) { .message = message, .fields = fields }, text);
	snprintf(k->last, sizeof(k->last), "%.*s", LAST_MAX - 1, text);
}

void log_fields(enum log_level level, const char *message, const struct log_field *fields)
{
	int saved = errno;
	if (log_enabled(level))
		emit(level, message, message, fields);
	errno = saved;
}

void log_fields_each(enum log_level level, const char *message, const struct log_field *fields)
{
	int saved = errno;
	if (log_enabled(level))
		emit(level, NULL, message, fields);
	errno = saved;
}

/* Libraries end their messages with a newline. */
static void trim(char *message)
{
	size_t len = strlen(message);
	while (len > 0 && (message[len - 1] == '\n' || message[len - 1] == ' '))
		message[--len] = '\0';
}

void log_at(enum log_level level, const char *fmt, ...)
{
	char message[LOGLINE_MAX];
	int saved = errno;
	if (!log_enabled(level))
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	trim(message);
	emit(level, fmt, message, NULL);
	errno = saved;
}

void fatal(const char *fmt, ...)
{
	char message[LOGLINE_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	trim(message);
	write_line(LOG_ERROR, message, NULL);
	exit(EXIT_FAILURE);
}
