/* SPDX-License-Identifier: MIT
 * Describes the machine and the software on which the values are measured. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stddef.h>

/* Writes CPU, cores, memory, kernel and the versions of all programs as one line, with "; " between them. */
void machine_describe(char *out, size_t size);
/* Writes the commit of the sources, or "" if they aren't a git clone. */
void machine_commit(char *out, size_t size);

#endif
