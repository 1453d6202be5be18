/* SPDX-License-Identifier: MIT
 * The processes that the benchmark starts, and what /proc knows of them. Whatever way the benchmark ends, they are
 * ended by their own ids and the scratch directory is removed. */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stdbool.h>
#include <sys/types.h>

/* Makes the scratch directory (short: Unix sockets live in it) and arranges for the end. */
void proc_init(void);
const char *proc_scratch(void);

/* argv[0] is looked up in PATH. Standard error goes to NAME.log in the scratch directory; so does standard output,
 * unless ret_out is given: then it is the reading end of a pipe. */
pid_t proc_start(const char *name, const char *const argv[], int *ret_out);
/* Forks a process that runs body(arg) and exits. */
pid_t proc_fork(void (*body)(void *arg), void *arg);
/* SIGTERM, and waits. */
void proc_end(pid_t pid);
/* Runs a command of the shell; dies if it fails. */
void proc_shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* µs of CPU time, all threads; 0 if there is no such process. */
double proc_cpu(pid_t pid);
/* The same for a process, its children, and theirs that were reaped. */
double proc_cpu_family(pid_t pid);
/* Sums over the children of pid whose name begins with prefix. */
double proc_cpu_children(pid_t pid, const char *prefix);
double proc_dirty_children(pid_t pid, const char *prefix);
/* The first child of that name; 0: none. */
pid_t proc_child(pid_t pid, const char *prefix);
/* Private_Dirty in bytes. */
double proc_dirty(pid_t pid);
/* Kernel memory in bytes: slab, and the buffers of TCP sockets. Of the whole machine: only differences say something.
 */
double proc_kernel(void);

#endif
