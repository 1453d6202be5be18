/* SPDX-License-Identifier: MIT
 * JSON that stays on one line for every reader. JSON allows U+0085, U+2028 and U+2029 inside strings as they are, but
 * programs that cut a stream with Python's str.splitlines() and the like take them for ends of lines. (So they do the
 * control characters below U+0020; those JSON itself escapes.) Written as \u0085, \u2028 and \u2029 they mean the same.
 */
#ifndef BASE_LINESAFE_H
#define BASE_LINESAFE_H

#include <stddef.h>

/* By how many bytes JSON in UTF-8 grows when it is made safe; 0, the usual case: it is already. */
size_t linesafe_growth(const char *json, size_t len);
/* Copies it safely to out, which has room for len and the growth; not terminated. */
void linesafe_copy(char *out, const char *json, size_t len);
/* The same for a block from malloc(), which is taken over: gives it, or another one with a NUL behind, and its length.
 * NULL: no memory. */
char *linesafe_take(char *json, size_t *len);

#endif
