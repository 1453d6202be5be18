/* SPDX-License-Identifier: MIT
 * Reads a password from people and scripts. */
#ifndef CLI_PASSWORD_H
#define CLI_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

enum { PASSWORD_MIN = 8, PASSWORD_MAX = 1024 };

/* Reads it from the terminal, twice and without echo, or else from the first line of standard input. If it is empty,
 * generates one and sets *ret_generated. Returns 0, or prints what is wrong and returns the exit status. */
int password_read(char out[PASSWORD_MAX + 1], bool *ret_generated);

#endif
