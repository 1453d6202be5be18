/* SPDX-License-Identifier: MIT
 * What the figures were measured on. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stddef.h>

/* CPU, cores, memory, kernel, and the versions of everything that takes part; one line, "; " between its parts. */
void machine_describe(char *out, size_t size);
/* The commit of the sources, if this is a clone. */
void machine_commit(char *out, size_t size);

#endif
