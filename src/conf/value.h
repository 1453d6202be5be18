/* SPDX-License-Identifier: MIT
 * Parses and formats numbers, sizes, durations and booleans in settings. */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VALUE_TEXT_MAX = 32 };

/* Parses a value. Returns false if text has anything else in it, or the value is too large for 64 bits. */
bool value_parse_number(const char *text, uint64_t *ret);
bool value_parse_size(
	const char *text, uint64_t *ret); /* bytes: 512, 16K, 8M, 1G (powers of 1024); KiB and kB mean K */
bool value_parse_duration(const char *text, uint64_t *ret); /* seconds: 15, 15s, 90m, 12h, 30d, 2w */
bool value_parse_bool(const char *text, bool *ret);         /* yes/no, true/false, on/off, 1/0 */

/* Format a value in the largest unit that divides it. */
void value_format_size(uint64_t n, char out[VALUE_TEXT_MAX]);
void value_format_duration(uint64_t n, char out[VALUE_TEXT_MAX]);

#endif
