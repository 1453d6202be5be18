/* SPDX-License-Identifier: MIT
 * See cursor.h. */
#include "log/cursor.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_DIGITS 8

bool cursor_parse(const char *text, struct cursor *ret)
{
	size_t n = 0;
	while (isalnum((unsigned char)text[n]))
		n++;
	size_t digits = text[n] == '.' ? strspn(text + n + 1, "0123456789") : 0;
	if (n == 0 || n >= sizeof(ret->epoch) || digits == 0 || digits > 18 || text[n + 1 + digits] != '\0')
		return false;
	ret->at = (struct position){ .pos = strtoull(text + n + 1, NULL, 10) };
	/* An epoch has 8 characters: a word that is no longer has no check. */
	ret->unchecked = n <= CHECK_DIGITS || strspn(text + n - CHECK_DIGITS, "0123456789abcdef") < CHECK_DIGITS;
	if (!ret->unchecked) {
		n -= CHECK_DIGITS;
		ret->at.check = (uint32_t)strtoul(text + n, NULL, 16);
	}
	memcpy(ret->epoch, text, n);
	ret->epoch[n] = '\0';
	return true;
}

void cursor_print(const char *epoch, struct position at, char out[CURSOR_MAX])
{
	snprintf(out, CURSOR_MAX, "%s%08" PRIx32 ".%" PRIu64, epoch, at.check, at.pos);
}
