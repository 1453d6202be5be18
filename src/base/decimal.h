/* SPDX-License-Identifier: MIT
 * Decimal numbers in text that comes from outside. */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stdbool.h>
#include <stdint.h>

#define DECIMAL_DIGITS_MAX 18 /* every number of up to this many digits fits PostgreSQL's bigint */

/* Reads s, which must consist of digits and nothing else. Returns false if it doesn't, and leaves *ret alone. A number
 * of more than DECIMAL_DIGITS_MAX digits reads as UINT64_MAX. */
bool decimal_parse(const char *s, uint64_t *ret);

/* Returns whether s consists of 1 to DECIMAL_DIGITS_MAX digits. */
bool decimal_is_bigint(const char *s);

#endif
