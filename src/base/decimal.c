/* SPDX-License-Identifier: MIT
 * See decimal.h. */
#include "base/decimal.h"

#include <stddef.h>

bool decimal_parse(const char *s, uint64_t *ret)
{
	uint64_t n = 0;
	size_t digits = 0;
	for (; s[digits] >= '0' && s[digits] <= '9'; digits++)
		if (digits < DECIMAL_DIGITS_MAX)
			n = n * 10 + (uint64_t)(s[digits] - '0');
	if (digits == 0 || s[digits] != '\0')
		return false;
	*ret = digits <= DECIMAL_DIGITS_MAX ? n : UINT64_MAX;
	return true;
}

bool decimal_is_bigint(const char *s)
{
	uint64_t n;
	return decimal_parse(s, &n) && n != UINT64_MAX;
}
