/* SPDX-License-Identifier: MIT
 * $POSTERN_BIN as a child process with an environment and descriptors of the test's choosing, for what happens before a
 * server serves and for what a service manager does. Whatever is still there ends with the test. */
#ifndef LIB_PROGRAM_H
#define LIB_PROGRAM_H

#include <stdbool.h>
#include <sys/types.h>

struct program;

/* args: without the program, NULL ends them. env: NAME=value, or NAME to remove it; NULL ends them, may be NULL itself.
 * fds: become 3, 4, …, as LISTEN_PID and LISTEN_FDS say; -1 ends them, may be NULL. */
struct program *program_start(const char *const args[], const char *const env[], const int fds[]);

/* Those started from now on run as that user id, and its group; 0: as this process. It needs to be root. */
void program_run_as(uid_t user);

pid_t program_pid(const struct program *p);
/* Waits until it has said that, on standard output or standard error. Gives the line. */
char *program_await(struct program *p, const char *text);
/* How many bytes it has written that nothing of this has taken yet: a program that nobody reads stands still at 64 KiB.
 */
size_t program_unread(const struct program *p);
/* What it has said so far. */
const char *program_said(struct program *p);
/* Waits for its end. Gives the exit status; 128 and the signal if one has ended it. */
int program_await_exit(struct program *p);
/* SIGTERM, and waits. */
int program_stop(struct program *p);

#endif
