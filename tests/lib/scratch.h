/* SPDX-License-Identifier: MIT
 * A directory under /tmp for the files of a test program, and helpers for files and commands in it. Any failure ends
 * the test. */
#ifndef LIB_SCRATCH_H
#define LIB_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "command.h"

/* Every user may enter it, because a server started by root runs as another user. It lives until scratch_remove(). */
void scratch_make(void);
void scratch_remove(void);
const char *scratch(void);
/* Returns the path of a file in it, until the end of the test. */
char *scratch_path(const char *name);

#define run_command(...) command_run((struct invocation) { 0 }, __VA_ARGS__)
void expect_success(struct outcome o);
/* Asserts status 1, no standard output, and the reason on standard error. */
void expect_failure(struct outcome o, const char *reason);
/* Runs a shell command, which must succeed. */
void run_shell(const char *command);

bool file_exists(const char *path);
/* Returns how many entries of a directory begin with prefix; 0 if there is no directory. */
unsigned count_entries(const char *dir, const char *prefix);
char *fresh_directory(const char *name); /* Creates an empty directory in the scratch directory; returns its path. */
char *read_file(const char *path, size_t *ret_len);
void write_file(const char *path, const void *data, size_t len);

#endif
