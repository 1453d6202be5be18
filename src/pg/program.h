/* SPDX-License-Identifier: MIT
 * PostgreSQL's programs as child processes: initdb, postgres, pg_dump and the like. They get their full path as
 * argv[0], by which they find each other and their files, and an environment without libpq's variables, which would
 * send them to another server. They end when this process does. All of this blocks. */
#ifndef PG_PROGRAM_H
#define PG_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/status.h"

/* Forks a child that gets the signal deathsig when this process dies. Returns 0 in the child. */
pid_t program_fork(int deathsig);
/* Called in the child: sets default signals, a session of its own, the plain environment, the directory /, an empty
 * standard input, and out and err as its outputs. Exits if that fails. */
void program_become(int out, int err);

struct program {
	const char *const *argv; /* argv[0] is the full path; NULL ends it */
	int in, out;             /* descriptors; -1: empty input, and the output is added to the messages */
	const char *dir;         /* working directory; NULL: / */
	const char *password;    /* of the database; NULL: none. Never in argv, which all users can see */
	bool keeps_environment;  /* libpq's variables complete the connection string, as for this process */
	pid_t pid;               /* set by program_start() */
	int messages;            /* likewise */
};

/* Starts it; the caller must call program_wait() then. */
enum status program_start(struct program *p, struct buf *why) MUST_CHECK;
/* Waits for its end. If it failed, its name and last messages are added to why. */
enum status program_wait(struct program *p, struct buf *why) MUST_CHECK;
/* program_start() and program_wait(). */
enum status program_run(struct program *p, struct buf *why) MUST_CHECK;
/* Kills it, without adding to why. */
void program_kill(struct program *p);

#endif
