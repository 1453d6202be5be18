/* SPDX-License-Identifier: MIT
 * Checks at the start whether an external database can be used: a refused start with a reason is better than a server
 * that works in part. */
#ifndef PG_CHECK_H
#define PG_CHECK_H

#include "base/buf.h"
#include "base/status.h"

/* Waits up to wait_ms for a database that is starting; then checks that its version and encoding are supported, that it
 * isn't a standby, that it allows that many connections, and that LISTEN works, which it doesn't through a pooler in
 * transaction mode. If not, the reason is added to why. Blocks. */
enum status check_database(const char *conninfo, unsigned wait_ms, unsigned connections, struct buf *why) MUST_CHECK;

/* After the migration: checks that a connection like those of servers and commands finds the functions in that schema,
 * and has the privileges that it needs on them and the tables. */
enum status check_session(const char *conninfo, const char *schema, struct buf *why) MUST_CHECK;

#endif
