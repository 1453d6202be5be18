/* SPDX-License-Identifier: MIT
 * A directory under /tmp for the files of a test program, and what tests do with files and commands there. Whatever
 * fails ends the test. */
#ifndef LIB_SCRATCH_H
#define LIB_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "command.h"

/* Open to everybody, as servers started by root are somebody else. It lives until scratch_remove(). */
void scratch_make(void);
void scratch_remove(void);
const char *scratch(void);
/* The path of something in it, until the test is over. */
char *scratch_path(const char *name);

#define run_command(...) command_run((struct invocation) { 0 }, __VA_ARGS__)
void expect_success(struct outcome o);
/* With status 1, nothing on standard output, and the reason somewhere on standard error. */
void expect_failure(struct outcome o, const char *reason);
/* By a shell; it must succeed. */
void run_shell(const char *command);

bool file_exists(const char *path);
/* How many entries of a directory begin so; none if it isn't there. */
unsigned count_entries(const char *dir, const char *prefix);
char *fresh_directory(const char *name); /* in the scratch directory; its path */
char *read_file(const char *path, size_t *ret_len);
void write_file(const char *path, const void *data, size_t len);

#endif
