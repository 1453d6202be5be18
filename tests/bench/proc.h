/* SPDX-License-Identifier: MIT
 * The processes that the benchmark starts, and what /proc says about them. However the benchmark ends, it ends each of
 * them by its id and removes the scratch directory. */
#ifndef BENCH_PROC_H
#define BENCH_PROC_H

#include <stdbool.h>
#include <sys/types.h>

/* Creates the scratch directory, whose path is short because Unix sockets are in it, and installs the handlers that
 * clean up. */
void proc_init(void);
const char *proc_scratch(void);

/* Starts a program, which is looked up in PATH. Its standard error goes to NAME.log in the scratch directory. So does
 * its standard output, unless ret_out isn't NULL: then *ret_out is the reading end of a pipe. */
pid_t proc_start(const char *name, const char *const argv[], int *ret_out);
/* Forks a process that runs body(arg) and exits. */
pid_t proc_fork(void (*body)(void *arg), void *arg);
/* Sends SIGTERM and waits for the end. */
void proc_end(pid_t pid);
/* Runs a shell command; dies if it fails. */
void proc_shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Returns µs of CPU time of all threads; 0 if there is no such process. */
double proc_cpu(pid_t pid);
/* The same, with its children, dead ones included. */
double proc_cpu_family(pid_t pid);
/* Return the sum over pid's children whose names begin with prefix. */
double proc_cpu_children(pid_t pid, const char *prefix);
double proc_dirty_children(pid_t pid, const char *prefix);
/* Returns the first child whose name begins with prefix; 0: none. */
pid_t proc_child(pid_t pid, const char *prefix);
/* Returns the Private_Dirty in bytes. */
double proc_dirty(pid_t pid);
/* Returns the kernel memory of the machine in bytes: slab and the buffers of TCP sockets. Only differences between two
 * values are meaningful. */
double proc_kernel(void);

#endif
