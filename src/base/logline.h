/* SPDX-License-Identifier: MIT
 * One log line: time, level, process, message and fields, as text, logfmt or JSON. It only formats; log.c and the
 * access log write.
 *
 * Messages and values may contain anything from outside. In every format a line stays one line: control
 * characters, line separators, directional overrides and bytes that aren't UTF-8 are escaped, and a value can't be
 * taken for another field. */
#ifndef BASE_LOGLINE_H
#define BASE_LOGLINE_H

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_TRACE };
enum log_format { LOG_TEXT, LOG_LOGFMT, LOG_JSON };

/* A field. name is a literal, [a-z_]+; text NULL leaves the field out. */
struct log_field {
	const char *name;
	enum { FIELD_TEXT, FIELD_NUMBER, FIELD_SECONDS } kind;
	const char *text;
	uint64_t number; /* FIELD_SECONDS: microseconds */
};
#define F(name, text) ((struct log_field) { name, FIELD_TEXT, text, 0 })
#define F_NUMBER(name, n) ((struct log_field) { name, FIELD_NUMBER, NULL, (uint64_t)(n) })
#define F_SECONDS(name, us) ((struct log_field) { name, FIELD_SECONDS, NULL, (uint64_t)(us) })

/* A pipe takes this much atomically. */
enum { LOGLINE_MAX = 4096 };

struct logline {
	enum log_format format;
	const char *time; /* RFC 3339; NULL: message and fields only, as text */
	const char *level;
	const char *process; /* "": none */
	const char *message;
	const struct log_field *fields; /* ended by one without a name; NULL: none */
};

/* Writes the line with its newline (none without a time) and a NUL into out. A line that is too long is truncated so
 * that it stays well-formed. Returns its length. */
size_t logline_print(const struct logline *l, char out[LOGLINE_MAX]);

#endif
