/* SPDX-License-Identifier: MIT
 * Times in requests: RFC 3339, as PostgreSQL takes them. */
#ifndef BASE_RFC3339_H
#define BASE_RFC3339_H

#include <stdbool.h>

#define RFC3339_UTC_LEN 27

/* Writes the time in UTC, as "2026-01-31T12:00:00.123456Z" and a NUL. A leap second is the second after it. Returns
 * false for what isn't RFC 3339, and for times before 1970 or after 9999, which can't be written in it. */
bool rfc3339_utc(const char *s, char out[RFC3339_UTC_LEN + 1]);

#endif
