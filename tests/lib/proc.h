/* SPDX-License-Identifier: MIT
 * Processes, as /proc shows them: who is whose child, and who is left. */
#ifndef LIB_PROC_H
#define LIB_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The living children of a process whose name begins with that (NULL: all), ascending. */
size_t proc_children(pid_t parent, const char *name, pid_t *ret_pids, size_t most);
bool proc_lives(pid_t pid);        /* zombies don't */
unsigned proc_peak_kib(pid_t pid); /* the most that has been resident of it */
bool proc_name(pid_t pid, char *ret_name, size_t size);
/* Waits until that child has ended; its status as waitpid(2) gives it. False: the time is up. */
bool proc_await(pid_t child, unsigned ms, int *ret_status);

#endif
