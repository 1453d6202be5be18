/* SPDX-License-Identifier: MIT
 * See moment.h. */
#include "cli/moment.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "conf/value.h"

static bool parse_offset(const char *text, long *ret_seconds)
{
	unsigned hours, minutes;
	int len = 0;
	*ret_seconds = 0;
	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
		return true;
	if (*text != '+' && *text != '-')
		return false;
	if (sscanf(text + 1, "%2u:%2u%n", &hours, &minutes, &len) < 2 &&
		sscanf(text + 1, "%2u%2u%n", &hours, &minutes, &len) < 2)
		return false;
	*ret_seconds = (*text == '-' ? -1 : 1) * (long)(hours * 3600 + minutes * 60);
	return text[1 + len] == '\0' && hours < 24 && minutes < 60;
}

/* Reads ".25" as microseconds, and advances text past it. */
static uint64_t parse_fraction(const char **text)
{
	uint64_t us = 0, unit = 100000;
	if (**text != '.' || (*text)[1] < '0' || (*text)[1] > '9')
		return 0;
	for (++*text; **text >= '0' && **text <= '9'; ++*text, unit /= 10)
		us += unit * (uint64_t)(**text - '0');
	return us;
}

/* Rejects the 31st of February, of which mktime() would make another day. */
static bool is_same_day(const struct tm *given, const struct tm *made)
{
	return given->tm_mday == made->tm_mday && given->tm_mon == made->tm_mon && given->tm_year == made->tm_year;
}

static bool parse_time(const char *text, uint64_t *ret_us)
{
	static const char *const formats[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M",
		"%Y-%m-%d %H:%M", "%Y-%m-%d" };
	struct tm tm;
	const char *rest = NULL;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]) && rest == NULL; i++) {
		tm = (struct tm) { .tm_isdst = -1 };
		rest = strptime(text, formats[i], &tm);
		if (rest != NULL && strchr("+-Z", *rest) == NULL && *rest != '.' && *rest != '\0')
			rest = NULL;
	}
	if (rest == NULL || tm.tm_year < 70)
		return false;
	uint64_t us = parse_fraction(&rest);
	struct tm made = tm;
	long offset = 0;
	time_t seconds = *rest == '\0' ? mktime(&made) : timegm(&made);
	if ((*rest != '\0' && !parse_offset(rest, &offset)) || seconds - offset < 0 || !is_same_day(&tm, &made))
		return false;
	*ret_us = (uint64_t)(seconds - offset) * 1000000 + us;
	return true;
}

bool moment_parse(const char *text, char out[CLOCK_RFC3339_LEN + 1])
{
	uint64_t us, seconds, now = clock_real_us();
	if (value_parse_duration(text, &seconds)) {
		if (seconds > now / 1000000)
			return false;
		us = now - seconds * 1000000;
	} else if (!parse_time(text, &us))
		return false;
	clock_rfc3339(us, out);
	return true;
}
