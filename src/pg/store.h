/* SPDX-License-Identifier: MIT
 * Opens the database of the settings for the server and the commands: the private cluster, created and started if need
 * be, or an external database; checks and migrates it.
 *
 * A command that finds a server on the state directory uses that one's database; else it starts the cluster for itself,
 * and other commands wait for it to end. All of this blocks. Failures are explained in why. */
#ifndef PG_STORE_H
#define PG_STORE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/status.h"

struct cluster;
struct conf;

#define STORE_WORKER_CONNECTIONS 6 /* that a worker makes */

struct store {
	int state_fd;            /* of the directory; -1 with an external database */
	char *state;             /* its absolute name; NULL likewise */
	int lock_fd;             /* -1: not ours */
	struct cluster *cluster; /* NULL: not ours to run */
	char *base;              /* conninfo as it was given, or the cluster's */
	char *conninfo;          /* with what it left open: what servers and commands connect with */
	char *read_base;         /* database_read, with a password that was read as root */
	char *read_conninfo;     /* the same of database_read; NULL: there is none */
};

#define STORE_INIT \
	{ \
		.state_fd = -1, .lock_fd = -1 \
	}

/* Makes the state directory, and as root becomes its owner, for good. */
enum status store_become_owner(struct store *s, const struct conf *conf, struct buf *why) MUST_CHECK;
/* Then: finds or starts the database. Release s in either case. */
enum status store_open(struct store *s, const struct conf *conf, bool as_server, struct buf *why) MUST_CHECK;
/* Instead, for a command that replaces the private cluster: takes the directory for itself, without a database.
 * Another command is waited for, it will be done soon; a server is in the way, unless beside_server. */
enum status store_lock(struct store *s, const struct conf *conf, bool beside_server, struct buf *why) MUST_CHECK;
/* Brings it up to date: migrate_run(). */
enum status store_migrate(struct store *s, struct buf *why) MUST_CHECK;
void store_release(struct store *s); /* stops the cluster if it is ours */

#endif
