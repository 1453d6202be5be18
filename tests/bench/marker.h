/* SPDX-License-Identifier: MIT
 * The time at which a message was due, written into its text: who receives it knows how long it took. */
#ifndef BENCH_MARKER_H
#define BENCH_MARKER_H

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MARKER_LEN 20 /* ~~, 16 hexadecimal digits, ~~: nothing that the server looks at */
#define MARKER_FORMAT "~~%016" PRIx64 "~~"
/* What every scenario sends: 46 bytes of text. */
#define MARKER_TEXT MARKER_FORMAT " a message of some length"
#define MARKER_TEXT_LEN (MARKER_LEN + 25)

/* Finds the first marker from p on; ret_end is what follows it. NULL: there is none. */
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
