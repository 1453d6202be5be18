/* SPDX-License-Identifier: MIT
 * See cursor.h. */
#include "log/cursor.h"

#include <ctype.h>
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
	ret->at = (struct position) { .pos = strtoull(text + n + 1, NULL, 10) };
	/* An epoch has 8 characters: without more than those there is no check. */
	ret->unchecked = n <= CHECK_DIGITS || strspn(text + n - CHECK_DIGITS, "0123456789abcdef") < CHECK_DIGITS;
	if (!ret->unchecked) {
		n -= CHECK_DIGITS;
		ret->at.check = (uint32_t)strtoul(text + n, NULL, 16);
	}
	memcpy(ret->epoch, text, n);
	ret->epoch[n] = '\0';
	return true;
}

/* Every message needs one, hence without printf(). */
void cursor_print(const char *epoch, struct position at, char out[CURSOR_MAX])
{
	static const char hex[] = "0123456789abcdef";
	char digits[20], *first = digits + sizeof(digits), *to = stpcpy(out, epoch);
	for (int shift = 4 * (CHECK_DIGITS - 1); shift >= 0; shift -= 4)
		*to++ = hex[at.check >> shift & 15];
	*to++ = '.';
	do
		*--first = (char)('0' + at.pos % 10);
	while ((at.pos /= 10) > 0);
	to = mempcpy(to, first, (size_t)(digits + sizeof(digits) - first));
	*to = '\0';
}
