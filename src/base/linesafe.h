/* SPDX-License-Identifier: MIT
 * JSON that stays on one line for every reader. JSON allows U+0085, U+2028 and U+2029 inside strings as they are, but
 * programs that split a stream with Python's str.splitlines() and the like take them for ends of lines. (They also do
 * so with control characters below U+0020, which JSON always escapes.) Here they are written as \u0085, \u2028 and
 * \u2029, which means the same.
 */
#ifndef BASE_LINESAFE_H
#define BASE_LINESAFE_H

#include <stddef.h>

/* Returns by how many bytes JSON in UTF-8 grows when it is made safe; 0: it is safe already, the usual case. */
size_t linesafe_growth(const char *json, size_t len);
/* Copies it, made safe, to out, which has room for len and the growth. No NUL is added. */
void linesafe_copy(char *out, const char *json, size_t len);
/* Makes a block from malloc() safe. Returns it unchanged if it is safe already, or else frees it and returns another
 * one, which ends with a NUL; *len is the length without that. json may be NULL, and is returned then. */
char *linesafe_take(char *json, size_t *len);

#endif
