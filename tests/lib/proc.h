/* SPDX-License-Identifier: MIT
 * Processes as /proc shows them: children of a process, and whether a process is alive. */
#ifndef LIB_PROC_H
#define LIB_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Lists the living children whose name begins with name (NULL: all), by ascending pid. */
size_t proc_children(pid_t parent, const char *name, pid_t *ret_pids, size_t most);
bool proc_lives(pid_t pid);        /* false for zombies */
unsigned proc_peak_kib(pid_t pid); /* peak resident memory */
bool proc_name(pid_t pid, char *ret_name, size_t size);
/* Waits until the child has ended; *ret_status is that of waitpid(2). Returns false on timeout. */
bool proc_await(pid_t child, unsigned ms, int *ret_status);

#endif
