/* SPDX-License-Identifier: MIT
 * See cursor.h. */
#include "log/cursor.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cursor_parse(const char *text, struct cursor *ret)
{
	size_t n = 0;
	while (isalnum((unsigned char)text[n]))
		n++;
	size_t digits = text[n] == '.' ? strspn(text + n + 1, "0123456789") : 0;
	if (n == 0 || n >= sizeof(ret->epoch) || digits == 0 || digits > 18 || text[n + 1 + digits] != '\0')
		return false;
	memcpy(ret->epoch, text, n);
	ret->epoch[n] = '\0';
	ret->pos = strtoull(text + n + 1, NULL, 10);
	return true;
}

void cursor_print(const char *epoch, uint64_t pos, char out[CURSOR_MAX])
{
	snprintf(out, CURSOR_MAX, "%s.%" PRIu64, epoch, pos);
}
