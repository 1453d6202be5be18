/* SPDX-License-Identifier: MIT
 * $POSTERN_BIN as a child process with the test's environment and descriptors: for tests of the start and of service
 * managers. A program that still runs is killed at the end of the test. */
#ifndef LIB_PROGRAM_H
#define LIB_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

struct program;

/* args: without the program's name, ended by NULL. env: NAME=value, or NAME to remove it, ended by NULL; may be NULL.
 * fds: become 3, 4, …, announced by LISTEN_PID and LISTEN_FDS; ended by -1; may be NULL. */
struct program *program_start(const char *const args[], const char *const env[], const int fds[]);

/* Programs started from now on run as this user id and group; 0: as this process. Requires root. */
void program_run_as(uid_t user);

/* Whether programs started from now on may install filters of system calls and use Landlock: as in a container. */
void program_forbid_confinement(bool forbid);

pid_t program_pid(const struct program *p);
/* Waits until the program's output has the text. Returns the line. */
char *program_await(struct program *p, const char *text);
/* Returns the bytes that the program has written and the test has not read. It blocks at 64 KiB. */
size_t program_unread(const struct program *p);
/* Returns its output so far. */
const char *program_said(struct program *p);
/* Waits until it exits. Returns the exit status, or 128 plus the signal that ended it. */
int program_await_exit(struct program *p);
/* Sends SIGTERM and waits. Returns as program_await_exit(). */
int program_stop(struct program *p);

#endif
