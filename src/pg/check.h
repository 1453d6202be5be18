/* SPDX-License-Identifier: MIT
 * Whether a database that isn't our own will do, asked once before it is used: a reason at start is worth more than a
 * server that half works. */
#ifndef PG_CHECK_H
#define PG_CHECK_H

#include "base/buf.h"
#include "base/status.h"

/* Waits up to wait_ms for a database that is coming up; then: version, encoding, no standby, that it allows so many
 * connections, and that LISTEN works, which it doesn't through a transaction pooler. The reason against it is added to
 * why. Blocks. */
enum status check_database(const char *conninfo, unsigned wait_ms, unsigned connections, struct buf *why) MUST_CHECK;

/* After the migration: whether a connection as servers and commands make it finds the functions in that schema, and may
 * do with them and the tables what it must. */
enum status check_session(const char *conninfo, const char *schema, struct buf *why) MUST_CHECK;

#endif
