/* SPDX-License-Identifier: MIT
 * Migrates a database to what this binary needs, or reports why it can't or mustn't.
 *
 * Tables live in the schema postern and change by migrations, each applied once, in order, in a transaction of its own;
 * a file runs with that schema alone in its search_path. Functions live in a schema named after their text, made in one
 * transaction and never changed, so that nodes of two versions run side by side; those that no node has used for a
 * while are dropped. Everything here blocks. Reasons for failures are added to why, one sentence each. */
#ifndef PG_MIGRATE_H
#define PG_MIGRATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/status.h"

struct sync;

enum { MIGRATE_SCHEMA_SIZE = 32 };

/* Applies what is missing. One node does it while the others wait. Fast if there is nothing to do. */
enum status migrate_run(const char *conninfo, struct buf *why) MUST_CHECK;

/* Prints the server's version and the tested ones; then for each migration its name and when it was applied, or that it
 * is pending. Changes nothing. */
enum status migrate_status(const char *conninfo, FILE *out, struct buf *why) MUST_CHECK;

/* Reads a value of the table postern.meta, such as the key "epoch", and truncates it to fit; "" if there is no such key
 * or no such table. Returns false on failure: see sync_error(). */
bool migrate_meta(struct sync *s, const char *key, char *out, size_t size) MUST_CHECK;

/* "postern_0123456789ab". */
void migrate_functions_schema(char out[MIGRATE_SCHEMA_SIZE]);

/* Returns the conninfo of servers and commands: base, with keepalives and the like added where base doesn't set them.
 * The settings that the functions need are made on the connection (session.h). The caller frees it. NULL: base is
 * malformed. */
char *migrate_conninfo(const char *base, const char *session_attrs, struct buf *why);

#endif
