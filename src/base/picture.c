/* SPDX-License-Identifier: MIT
 * See picture.h. Sources: PNG (W3C, 3rd edition) 5 and 11.2; JPEG (ITU-T T.81) B.1 and B.2; WebP (RFC 9649) 2.3 to 2.7;
 * GIF89a 17, 18. */
#include "base/picture.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static unsigned big16(const uint8_t *p) { return (unsigned)p[0] << 8 | p[1]; }
static unsigned little16(const uint8_t *p) { return (unsigned)p[1] << 8 | p[0]; }
static unsigned little24(const uint8_t *p) { return (unsigned)p[2] << 16 | little16(p); }

static bool png(const uint8_t *p, size_t len, unsigned *w, unsigned *h)
{
	static const uint8_t begin[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R' };
	if (len < 24 || memcmp(p, begin, sizeof(begin)) != 0)
		return false;
	*w = big16(p + 16) << 16 | big16(p + 18);
	*h = big16(p + 20) << 16 | big16(p + 22);
	return true;
}

static bool gif(const uint8_t *p, size_t len, unsigned *w, unsigned *h)
{
	if (len < 10 || (memcmp(p, "GIF87a", 6) != 0 && memcmp(p, "GIF89a", 6) != 0))
		return false;
	*w = little16(p + 6);
	*h = little16(p + 8);
	return true;
}

/* Reads segments, up to the first that begins a frame. */
static bool jpeg(const uint8_t *p, size_t len, unsigned *w, unsigned *h)
{
	if (len < 3 || p[0] != 0xff || p[1] != 0xd8)
		return false;
	for (size_t at = 2; at + 9 <= len && p[at] == 0xff;) {
		unsigned marker = p[at + 1];
		if (marker == 0xff) { /* fill byte */
			at++;
			continue;
		}
		if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) {
			*h = big16(p + at + 5);
			*w = big16(p + at + 7);
			return true;
		}
		/* A marker without a length, or one that can't precede the frame. */
		if (marker < 0xc0 || (marker >= 0xd0 && marker <= 0xda))
			return false;
		at += 2 + (size_t)big16(p + at + 2);
	}
	return false;
}

static bool webp(const uint8_t *p, size_t len, unsigned *w, unsigned *h)
{
	if (len < 30 || memcmp(p, "RIFF", 4) != 0 || memcmp(p + 8, "WEBP", 4) != 0)
		return false;
	if (memcmp(p + 12, "VP8X", 4) == 0) {
		*w = little24(p + 24) + 1;
		*h = little24(p + 27) + 1;
	} else if (memcmp(p + 12, "VP8L", 4) == 0 && p[20] == 0x2f) { /* 14 bits each */
		*w = (little16(p + 21) & 0x3fff) + 1;
		*h = (little24(p + 22) >> 6 & 0x3fff) + 1;
	} else if (memcmp(p + 12, "VP8 ", 4) == 0 && memcmp(p + 23, "\x9d\x01\x2a", 3) == 0) {
		*w = little16(p + 26) & 0x3fff;
		*h = little16(p + 28) & 0x3fff;
	} else {
		return false;
	}
	return true;
}

const char *picture_type(const void *data, size_t len, unsigned *ret_width, unsigned *ret_height)
{
	static const struct {
		const char *type;
		bool (*is)(const uint8_t *p, size_t len, unsigned *w, unsigned *h);
	} kinds[] = { { "image/png", png }, { "image/jpeg", jpeg }, { "image/webp", webp }, { "image/gif", gif } };
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].is(data, len, ret_width, ret_height))
			return *ret_width > 0 && *ret_height > 0 ? kinds[i].type : NULL;
	return NULL;
}
