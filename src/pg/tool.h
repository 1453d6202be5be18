/* SPDX-License-Identifier: MIT
 * Runs pg_dump, pg_restore and pg_basebackup on the database of a connection string. They get the password in their
 * environment, never on their command line, which all users of the machine can read. All of this blocks. */
#ifndef PG_TOOL_H
#define PG_TOOL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/status.h"
#include "pg/bindir.h"
#include "pg/program.h"

enum { TOOL_ARGS_MAX = 16 };

struct tool {
	struct program program;
	char path[BINDIR_PROGRAM_SIZE];
	char *conninfo, *password; /* owned */
	const char *argv[TOOL_ARGS_MAX];
	unsigned argc;
	int major; /* the program's version */
};

/* Finds the program of that major version, or a newer one (bindir_find_program()), and points it to the database.
 * own: it is Postern's private cluster, so that libpq's variables are ignored. The caller releases t in either case. */
enum status tool_init(struct tool *t, const char *name, const char *pg_bindir, int major, const char *conninfo,
	bool own, struct buf *why) MUST_CHECK;
void tool_add(struct tool *t, const char *arg); /* arg must live as long as t */
/* Starts it with standard input and output on those descriptors (-1: none); then tool_wait() or program_kill(). */
enum status tool_start(struct tool *t, int in, int out, struct buf *why) MUST_CHECK;
/* Waits for its end. A SIGTERM or SIGINT that is blocked and pending ends the wait and the program. */
enum status tool_wait(struct tool *t, struct buf *why) MUST_CHECK;
void tool_release(struct tool *t);

#endif
