/* SPDX-License-Identifier: MIT
 * Cursors, opaque to clients: the epoch, 8 hexadecimal digits that check the position, a dot, the position. The same
 * text as that of cursor_text() in sql/functions/01_log.sql. */
#ifndef LOG_CURSOR_H
#define LOG_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#define CURSOR_MAX 64

/* A position, and what tells the history it was given out in from any other: see log_check() in
 * sql/functions/01_log.sql. */
struct position {
	uint64_t pos;
	uint32_t check;
};

struct cursor {
	char epoch[32];
	struct position at;
	bool unchecked; /* from before there were checks: at.check means nothing */
};

bool cursor_parse(const char *text, struct cursor *ret); /* false: it was never one of ours */
void cursor_print(const char *epoch, struct position at, char out[CURSOR_MAX]);

#endif
