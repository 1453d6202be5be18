/* SPDX-License-Identifier: MIT
 * See utf8.h. */
#include "base/utf8.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

/* Returns the length of the sequence that begins with c, and the range of its second byte (Unicode 15, table 3-7); 0: c
 * can't begin one. */
static size_t sequence(unsigned char c, unsigned char *ret_low, unsigned char *ret_high)
{
	*ret_low = 0x80;
	*ret_high = 0xbf;
	if (c >= 0xc2 && c <= 0xdf)
		return 2;
	if (c == 0xe0)
		*ret_low = 0xa0;
	if (c == 0xed)
		*ret_high = 0x9f;
	if (c >= 0xe0 && c <= 0xef)
		return 3;
	if (c == 0xf0)
		*ret_low = 0x90;
	if (c == 0xf4)
		*ret_high = 0x8f;
	return c >= 0xf0 && c <= 0xf4 ? 4 : 0;
}

bool utf8_valid(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text, *end = s + len;
	while (s < end) {
		uint64_t eight;
		while (end - s >= 8 && (memcpy(&eight, s, 8), (eight & 0x8080808080808080ULL) == 0))
			s += 8;
		if (s < end && *s < 0x80) {
			s++;
			continue;
		}
		if (s == end)
			break;
		unsigned char low, high;
		size_t n = sequence(*s, &low, &high);
		if (n == 0 || (size_t)(end - s) < n || s[1] < low || s[1] > high)
			return false;
		for (size_t i = 2; i < n; i++)
			if ((s[i] & 0xc0) != 0x80)
				return false;
		s += n;
	}
	return true;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool utf8_percent_decode(char *s, bool plus)
{
	char *out = s;
	for (const char *in = s; *in != '\0'; in++) {
		if (*in != '%') {
			*out++ = plus && *in == '+' ? ' ' : *in;
			continue;
		}
		int high = hex(in[1]), low = high < 0 ? -1 : hex(in[2]);
		if (low < 0 || (high == 0 && low == 0))
			return false;
		*out++ = (char)(high << 4 | low);
		in += 2;
	}
	*out = '\0';
	return utf8_valid(s, (size_t)(out - s));
}
