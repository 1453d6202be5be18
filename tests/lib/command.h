/* SPDX-License-Identifier: MIT
 * Runs `$POSTERN_BIN ARG…` as a user in a shell would: with a plain environment, and with all its output kept. */
#ifndef LIB_COMMAND_H
#define LIB_COMMAND_H

struct client;

/* Lives until the end of the test. */
struct outcome {
	int status;      /* as exit() gave it; -1: killed by a signal */
	char *out, *err; /* standard output and standard error, without their last newline */
};

struct invocation {
	const struct client *who; /* POSTERN_TOKEN, and POSTERN_URL if url is NULL; NULL: neither */
	const char *url;          /* POSTERN_URL */
	const char *input;        /* NULL: empty */
	const char *output;       /* a file to write to instead of `out`, such as /dev/full; NULL: `out` */
};

/* Runs the command until it exits; fails the test after PATIENCE. */
#define command_run(invocation, ...) command_run_args(invocation, (const char *const[]) { __VA_ARGS__, NULL })
struct outcome command_run_args(struct invocation i, const char *const args[]);

#endif
