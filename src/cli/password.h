/* SPDX-License-Identifier: MIT
 * Asking for a password. */
#ifndef CLI_PASSWORD_H
#define CLI_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

enum { PASSWORD_MIN = 8, PASSWORD_MAX = 1024 };

/* From the terminal, twice and without echo; else the first line of standard input. Nothing typed, or nothing to read:
 * one is made, and *ret_generated says so. Returns 0, or says what is wrong and returns the exit status. */
int password_read(char out[PASSWORD_MAX + 1], bool *ret_generated);

#endif
