/* SPDX-License-Identifier: MIT
 * See linesafe.h. Every message passes through this, so it first searches for bytes that most texts don't contain. */
#include "base/linesafe.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Returns the next of the three characters whose first byte is first; end: there is none. */
static const char *find_from(const char *at, const char *end, char first)
{
	size_t size = first == '\xc2' ? 2 : 3;
	for (; (size_t)(end - at) >= size &&
		(at = memchr(at, (unsigned char)first, (size_t)(end - at) - size + 1)) != NULL;
		at++)
		if (size == 2 ? at[1] == '\x85' : at[1] == '\x80' && (at[2] == '\xa8' || at[2] == '\xa9'))
			return at;
	return end;
}

size_t linesafe_growth(const char *json, size_t len)
{
	const char *end = json + len;
	size_t growth = 0;
	for (const char *at = json; (at = find_from(at, end, '\xc2')) < end; at += 2)
		growth += 4;
	for (const char *at = json; (at = find_from(at, end, '\xe2')) < end; at += 3)
		growth += 3;
	return growth;
}

void linesafe_copy(char *out, const char *json, size_t len)
{
	const char *end = json + len, *next = find_from(json, end, '\xc2'), *line = find_from(json, end, '\xe2');
	for (const char *at = json; at < end;) {
		const char *stop = next < line ? next : line;
		memcpy(out, at, (size_t)(stop - at));
		out += stop - at;
		if (stop == end)
			return;
		memcpy(out, *stop == '\xc2' ? "\\u0085" : stop[2] == '\xa8' ? "\\u2028" : "\\u2029", 6);
		out += 6;
		at = stop + (*stop == '\xc2' ? 2 : 3);
		if (stop == next)
			next = find_from(at, end, '\xc2');
		else
			line = find_from(at, end, '\xe2');
	}
}

char *linesafe_take(char *json, size_t *len)
{
	size_t growth = json != NULL ? linesafe_growth(json, *len) : 0;
	if (growth == 0)
		return json;
	char *safe = mem_alloc(*len + growth + 1);
	linesafe_copy(safe, json, *len);
	*len += growth;
	safe[*len] = '\0';
	free(json);
	return safe;
}
