/* SPDX-License-Identifier: MIT
 * Cursors, opaque to clients: the epoch, the position's check as 8 hexadecimal digits, a dot, the position. The same
 * text as that of cursor_text() in sql/functions/log/checks.sql. */
#ifndef LOG_CURSOR_H
#define LOG_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#define CURSOR_MAX 64

/* A position and the check that identifies its history: see log_check() in
 * sql/functions/log/checks.sql. */
struct position {
	uint64_t pos;
	uint32_t check;
};

struct cursor {
	char epoch[32];
	struct position at;
	bool unchecked; /* issued before there were checks: at.check means nothing */
};

/* Returns false if text doesn't have the form of a cursor. */
bool cursor_parse(const char *text, struct cursor *ret);

/* Writes the cursor of a position, NUL-terminated. epoch has at most 31 characters. */
void cursor_print(const char *epoch, struct position at, char out[CURSOR_MAX]);

#endif
