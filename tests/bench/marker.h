/* SPDX-License-Identifier: MIT
 * A marker in a message's text: the time at which the message was due, from which the receiver computes its delay. */
#ifndef BENCH_MARKER_H
#define BENCH_MARKER_H

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MARKER_LEN 20 /* ~~, 16 hexadecimal digits, ~~; the server doesn't interpret it */
#define MARKER_FORMAT "~~%016" PRIx64 "~~"
/* The text of the messages. */
#define MARKER_TEXT MARKER_FORMAT " a message of some length"
#define MARKER_TEXT_LEN (MARKER_LEN + 25)

/* Finds the first marker between p and end, and its time. Returns what follows it, or NULL if there is none. */
static inline const char *marker_find(const char *p, const char *end, uint64_t *ret_at)
{
	while ((p = memchr(p, '~', (size_t)(end - p))) != NULL && end - p >= MARKER_LEN) {
		if (p[1] == '~' && p[MARKER_LEN - 2] == '~' && p[MARKER_LEN - 1] == '~') {
			*ret_at = 0;
			for (int i = 2; i < MARKER_LEN - 2; i++)
				*ret_at = *ret_at << 4 | (uint64_t)(p[i] <= '9' ? p[i] - '0' : p[i] - 'a' + 10);
			return p + MARKER_LEN;
		}
		p++;
	}
	return NULL;
}

#endif
