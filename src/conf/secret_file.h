/* SPDX-License-Identifier: MIT
 * A secret that a setting keeps in a file of its own, so that it is in no list of processes, no environment and no log.
 */
#ifndef CONF_SECRET_FILE_H
#define CONF_SECRET_FILE_H

#include <stddef.h>

enum { SECRET_FILE_MAX = 1024 };

/* The first line of the file, in memory of the caller's. Returns NULL, or what is wrong with it. */
const char *secret_file_read(const char *path, char **ret_secret);
void secret_file_forget(char **secret);

#endif
