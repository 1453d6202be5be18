/* SPDX-License-Identifier: MIT
 * See value.h. */
#include "conf/value.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* Of equal factors, the first is used for writing. */
static const struct unit size_units[] = {
	{ "G", 1 << 30 },
	{ "M", 1 << 20 },
	{ "K", 1 << 10 },
	{ "", 1 },
	{ "GiB", 1 << 30 },
	{ "MiB", 1 << 20 },
	{ "KiB", 1 << 10 },
	{ "B", 1 },
	{ "GB", 1 << 30 },
	{ "MB", 1 << 20 },
	{ "KB", 1 << 10 },
	{ NULL, 0 },
};

static const struct unit duration_units[] = {
	{ "d", 86400 },
	{ "h", 3600 },
	{ "m", 60 },
	{ "s", 1 },
	{ "", 1 },
	{ "w", 7 * 86400 },
	{ NULL, 0 },
};

static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };

static bool parse(const char *text, const struct unit *units, uint64_t *ret)
{
	uint64_t n = 0;
	const char *p = text;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return false;
	if (p == text)
		return false;
	for (; units->name != NULL; units++)
		if (strcasecmp(p, units->name) == 0)
			return !__builtin_mul_overflow(n, units->factor, ret);
	return false;
}

static void format(uint64_t n, const struct unit *units, char out[VALUE_TEXT_MAX])
{
	if (n == 0) {
		strcpy(out, "0");
		return;
	}
	while (n % units->factor != 0)
		units++;
	snprintf(out, VALUE_TEXT_MAX, "%llu%s", (unsigned long long)(n / units->factor), units->name);
}

bool value_parse_number(const char *text, uint64_t *ret) { return parse(text, no_units, ret); }
bool value_parse_size(const char *text, uint64_t *ret) { return parse(text, size_units, ret); }
bool value_parse_duration(const char *text, uint64_t *ret) { return parse(text, duration_units, ret); }
void value_format_size(uint64_t n, char out[VALUE_TEXT_MAX]) { format(n, size_units, out); }
void value_format_duration(uint64_t n, char out[VALUE_TEXT_MAX]) { format(n, duration_units, out); }

bool value_parse_bool(const char *text, bool *ret)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on", "0", "1" };
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(text, words[i]) == 0) {
			*ret = i % 2 == 1;
			return true;
		}
	return false;
}
