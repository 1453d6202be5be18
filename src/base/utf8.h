/* SPDX-License-Identifier: MIT
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

bool utf8_valid(const char *s, size_t len);
/* Decodes percent-encoding (RFC 3986) in place; plus: "+" is a space (forms). false: a bad escape, a NUL, or invalid
 * UTF-8. */
bool utf8_percent_decode(char *s, bool plus);

#endif
