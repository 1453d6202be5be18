/* SPDX-License-Identifier: MIT
 * Finding PostgreSQL's programs, which distributions keep off the PATH and install in several versions side by side. */
#ifndef PG_BINDIR_H
#define PG_BINDIR_H

#include "base/buf.h"
#include "base/status.h"

enum { BINDIR_SIZE = 1024 };

/* A directory with initdb and postgres of that major version; 0: of any that is new enough, preferably the one that was
 * there when Postern was built. Runs programs. */
enum status bindir_find(int major, char out[BINDIR_SIZE], struct buf *why) MUST_CHECK;

#endif
