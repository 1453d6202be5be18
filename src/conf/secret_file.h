/* SPDX-License-Identifier: MIT
 * A secret in a file of its own, so that it appears in no list of processes, no environment and no log. */
#ifndef CONF_SECRET_FILE_H
#define CONF_SECRET_FILE_H

#include <stddef.h>

enum { SECRET_FILE_MAX = 1024 };

/* Reads the first line of the file into memory that the caller frees. Returns NULL, or what is wrong with the file. */
const char *secret_file_read(const char *path, char **ret_secret);
void secret_file_forget(char **secret);

#endif
