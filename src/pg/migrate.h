/* SPDX-License-Identifier: MIT
 * Brings a database to what this binary needs, and says so when that can't or mustn't be.
 *
 * Tables live in the schema postern and change by migrations, each applied once, in order, in a transaction of its own;
 * a file runs with that schema alone in its search_path. Functions live in a schema named after their text, made in one
 * transaction and never changed, so that nodes of two versions run side by side; those that no node has used for a
 * while are dropped. Everything here blocks, and every reason is one sentence added to why. */
#ifndef PG_MIGRATE_H
#define PG_MIGRATE_H

#include <stdio.h>

#include "base/buf.h"
#include "base/status.h"

enum { MIGRATE_SCHEMA_SIZE = 32 };

/* Applies what is missing. One node does it, the others wait for that. Does nothing quickly when there is nothing to
 * do. */
enum status migrate_run(const char *conninfo, struct buf *why) MUST_CHECK;

/* The version of the server and the tested ones; then a line for each migration: its name, and when it was applied, or
 * that it is pending. Changes nothing. */
enum status migrate_status(const char *conninfo, FILE *out, struct buf *why) MUST_CHECK;

/* "postern_0123456789ab". */
void migrate_functions_schema(char out[MIGRATE_SCHEMA_SIZE]);

/* The conninfo that servers and commands connect with: keepalives and so on; what base says itself stays. What the
 * functions need is set on the connection (session.h). Free it. NULL: base is malformed. */
char *migrate_conninfo(const char *base, const char *session_attrs, struct buf *why);

#endif
