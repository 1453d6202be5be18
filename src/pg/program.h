/* SPDX-License-Identifier: MIT
 * PostgreSQL's programs as child processes: initdb, postgres, pg_dump and the like. They get their full path as
 * argv[0], by which they find each other and their files, and an environment without what was meant for us: the
 * variables of libpq would send them to another server. They end when this process does. All of this blocks. */
#ifndef PG_PROGRAM_H
#define PG_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/status.h"

/* Forks, and ties the child's life to ours: deathsig is what it gets when we die. 0: in the child. */
pid_t program_fork(int deathsig);
/* In the child: default signals, a session of its own, the plain environment, / as the directory, nothing to read, and
 * out and err for what is written. Ends the process when that fails. */
void program_become(int out, int err);

struct program {
	const char *const *argv; /* argv[0] is the full path; NULL ends it */
	int in, out;             /* descriptors; -1: nothing to read, and what is printed counts as messages */
	const char *dir;         /* working directory; NULL: / */
	const char *password;    /* of the database; NULL: none. Never in argv, which everybody can see */
	bool keeps_environment;  /* libpq's variables complete the connection string, as they do ours */
	pid_t pid;               /* set by program_start() */
	int messages;            /* likewise */
};

/* Starts it; then program_wait() has to be called. */
enum status program_start(struct program *p, struct buf *why) MUST_CHECK;
/* Waits for its end. When it failed, its name and its last messages are added to why. */
enum status program_wait(struct program *p, struct buf *why) MUST_CHECK;
/* Both. */
enum status program_run(struct program *p, struct buf *why) MUST_CHECK;
/* Ends it at once, without a word. */
void program_kill(struct program *p);

#endif
