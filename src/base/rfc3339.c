/* SPDX-License-Identifier: MIT
 * See rfc3339.h. */
#include "base/rfc3339.h"

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define END_S INT64_C(253402300800) /* the year 10000 */

/* Reads that many digits and advances *s past them. Returns false if there are fewer, or if the number isn't in
 * min..max. */
static bool number(const char **s, int digits, int min, int max, int *ret)
{
	int n = 0;
	for (; digits > 0; digits--, ++*s) {
		if (**s < '0' || **s > '9')
			return false;
		n = n * 10 + (**s - '0');
	}
	*ret = n;
	return n >= min && n <= max;
}

static bool one_of(const char **s, char a, char b) { return (**s == a || **s == b) && *++*s != '\0'; }

static bool date(const char **s, struct tm *tm)
{
	static const signed char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int y, m, d;
	if (!number(s, 4, 1, 9999, &y) || !one_of(s, '-', '-') || !number(s, 2, 1, 12, &m) || !one_of(s, '-', '-') ||
		!number(s, 2, 1, 31, &d))
		return false;
	bool is_leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
	tm->tm_year = y - 1900;
	tm->tm_mon = m - 1;
	tm->tm_mday = d;
	return d <= days[m - 1] + (m == 2 && is_leap);
}

static bool clock_time(const char **s, struct tm *tm)
{
	return number(s, 2, 0, 23, &tm->tm_hour) && one_of(s, ':', ':') && number(s, 2, 0, 59, &tm->tm_min) &&
		one_of(s, ':', ':') && number(s, 2, 0, 60, &tm->tm_sec);
}

/* Reads ".25", if it is there, as microseconds; further digits are cut off. */
static bool fraction(const char **s, int *ret_us)
{
	int us = 0, unit = 100000, digits = 0;
	*ret_us = 0;
	if (**s != '.')
		return true;
	for (++*s; **s >= '0' && **s <= '9'; ++*s, digits++, unit /= 10)
		us += unit * (**s - '0');
	*ret_us = us;
	return digits > 0;
}

static bool offset(const char **s, int *ret_s)
{
	int h, m, sign = **s == '-' ? -1 : 1;
	*ret_s = 0;
	if (**s == 'Z' || **s == 'z')
		return *++*s == '\0';
	if (!one_of(s, '+', '-') || !number(s, 2, 0, 23, &h) || !one_of(s, ':', ':') || !number(s, 2, 0, 59, &m))
		return false;
	*ret_s = sign * (h * 3600 + m * 60);
	return **s == '\0';
}

bool rfc3339_utc(const char *s, char out[RFC3339_UTC_LEN + 1])
{
	struct tm tm = { 0 };
	int us, offset_s;
	if (!date(&s, &tm) || !one_of(&s, 'T', 't') || !clock_time(&s, &tm) || !fraction(&s, &us) ||
		!offset(&s, &offset_s))
		return false;
	int64_t seconds = (int64_t)timegm(&tm) - offset_s;
	if (seconds < 0 || seconds >= END_S)
		return false;
	time_t t = (time_t)seconds;
	gmtime_r(&t, &tm);
	size_t n = strftime(out, RFC3339_UTC_LEN + 1, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, RFC3339_UTC_LEN + 1 - n, ".%06dZ", us);
	return true;
}
