/* SPDX-License-Identifier: MIT
 * Opens the database of the settings for the server and the commands: the private cluster, created and started if need
 * be, or an external database; checks and migrates it.
 *
 * A command that finds a server on the state directory uses that server's database. Otherwise it starts the cluster
 * itself, and other commands wait until it ends. All of this blocks. Failures are explained in why. */
#ifndef PG_STORE_H
#define PG_STORE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/status.h"

struct cluster;
struct conf;

#define STORE_WORKER_CONNECTIONS 6 /* connections of a worker */

struct store {
	int state_fd;            /* of the directory; -1 with an external database */
	char *state;             /* its absolute name; NULL likewise */
	int lock_fd;             /* -1: this process doesn't hold it */
	struct cluster *cluster; /* NULL: this process doesn't run it */
	char *base;              /* conninfo as it was given, or the cluster's */
	char *conninfo;          /* of servers and commands: see migrate_conninfo() */
	char *read_base;         /* database_read, with a password that was read as root */
	char *read_conninfo;     /* the same of database_read; NULL: there is none */
};

#define STORE_INIT \
	{ \
		.state_fd = -1, .lock_fd = -1 \
	}

/* Creates the state directory, and as root changes to its owner for good. */
enum status store_become_owner(struct store *s, const struct conf *conf, struct buf *why) MUST_CHECK;
/* To be called then: finds or starts the database. The caller releases s in either case. */
enum status store_open(struct store *s, const struct conf *conf, bool as_server, struct buf *why) MUST_CHECK;
/* To be called instead by a command that replaces the private cluster: locks the directory, without a database. Waits
 * for other commands, which end soon. Fails if a server runs, unless beside_server. */
enum status store_lock(struct store *s, const struct conf *conf, bool beside_server, struct buf *why) MUST_CHECK;
/* Migrates it: migrate_run(). */
enum status store_migrate(struct store *s, struct buf *why) MUST_CHECK;
/* To be called in a forked child with the process id of its parent: gives up the lock, and makes conninfo valid where
 * the parent's part of /proc can't be read. */
void store_inherit(struct store *s, pid_t parent);
void store_release(struct store *s); /* stops the cluster if this process runs it */

#endif
