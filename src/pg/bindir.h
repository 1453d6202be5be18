/* SPDX-License-Identifier: MIT
 * Finding PostgreSQL's programs, which distributions keep off the PATH and install in several versions side by side. */
#ifndef PG_BINDIR_H
#define PG_BINDIR_H

#include "base/buf.h"
#include "base/status.h"

enum { BINDIR_SIZE = 1024, BINDIR_PROGRAM_SIZE = BINDIR_SIZE + 32 };

/* Finds a directory with initdb and postgres of that major version; 0: of one that Postern works with, tested ones
 * first. preferred (pg_bindir; NULL: none) is looked at first and must have them, of any version; then come the
 * directory that was there when Postern was built and what is installed, the newest first. Runs programs. ST_REFUSED:
 * what is needed and what was found is added to why. */
enum status bindir_find(const char *preferred, int major, char out[BINDIR_SIZE], struct buf *why) MUST_CHECK;

/* The major version of initdb and postgres in dir, an absolute name; 0: they aren't there, or don't run. */
int bindir_version(const char *dir);

/* The newest of all installed versions that Postern is tested with, in the same places. Returns its major version, and
 * the directory in out; 0: there is none. */
int bindir_newest(char out[BINDIR_SIZE]);

/* Finds another program, such as pg_dump, of that major version, else of the next newer one that is installed, in the
 * same places; preferred doesn't have to have it. Returns its version, and the full path in out. 0: what is missing was
 * added to why. */
int bindir_find_program(
	const char *preferred, const char *name, int major, char out[BINDIR_PROGRAM_SIZE], struct buf *why);

#endif
