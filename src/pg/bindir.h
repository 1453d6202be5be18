/* SPDX-License-Identifier: MIT
 * Finding PostgreSQL's programs, which distributions keep off the PATH and install in several versions side by side. */
#ifndef PG_BINDIR_H
#define PG_BINDIR_H

#include "base/buf.h"
#include "base/status.h"

enum { BINDIR_SIZE = 1024, BINDIR_PROGRAM_SIZE = BINDIR_SIZE + 32 };

/* Finds a directory with initdb and postgres of that major version; 0: of any supported one, tested ones first.
 * preferred (pg_bindir; NULL: none) must have them, and is used if their version fits. Otherwise searches the directory
 * that Postern was built with, then the installed versions, the newest first. Runs programs. ST_REFUSED: why says what
 * is needed and what was found. */
enum status bindir_find(const char *preferred, int major, char out[BINDIR_SIZE], struct buf *why) MUST_CHECK;

/* Returns the major version of initdb and postgres in dir, an absolute name; 0: they are missing, or don't run. */
int bindir_version(const char *dir);

/* Finds the newest installed version that Postern is tested with, in the same places. Returns its major version, and
 * its directory in out; 0: none. */
int bindir_newest(char out[BINDIR_SIZE]);

/* Finds another program, such as pg_dump, of that major version, or else of the next newer one, in the same places;
 * preferred may lack it. Returns its version, and its full path in out. 0: not found, and why says what is missing. */
int bindir_find_program(
	const char *preferred, const char *name, int major, char out[BINDIR_PROGRAM_SIZE], struct buf *why);

#endif
