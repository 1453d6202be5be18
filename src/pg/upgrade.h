/* SPDX-License-Identifier: MIT
 * Moving the private cluster to a newer version of PostgreSQL, with pg_upgrade: the steps. None of them changes the
 * cluster in STATE/pg. The new cluster is made in a state directory of its own, ASIDE, and the caller puts it in place
 * (cli/switch.h).
 *
 * All of this blocks. The caller holds the state directory's lock and isn't root. A SIGTERM or SIGINT that is blocked
 * and pending ends a wait. */
#ifndef PG_UPGRADE_H
#define PG_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "pg/bindir.h"

struct cluster;

struct upgrade {
	const char *state, *aside;                             /* absolute names; the caller's */
	const char *shown_state;                               /* the state directory's name in messages */
	bool clone;                                            /* files are cloned (reflinks), not copied */
	int from, to;                                          /* major versions; set by upgrade_plan() */
	char old_bindir[BINDIR_SIZE], new_bindir[BINDIR_SIZE]; /* likewise */
	bool checksums;       /* the old cluster's pages have them; set by upgrade_prepare() */
	struct cluster *made; /* the new one; set by upgrade_make() */
};

/* Finds both versions: that of the cluster in STATE/pg, and that of pg_bindir (NULL: the newest installed one). If they
 * are equal, there is nothing to do, and u->old_bindir may be empty. old_bindir is the directory of the old version's
 * programs (NULL: searched for). Refuses missing or unsupported versions and a downgrade. */
enum status upgrade_plan(struct upgrade *u, const char *old_bindir, const char *pg_bindir, struct buf *why) MUST_CHECK;

/* Returns the sum of the sizes of a directory's files, in bytes. */
uint64_t upgrade_size(const char *dir);
/* Refuses if a second cluster, of which size bytes are copied or cloned, wouldn't fit beside the first. */
enum status upgrade_check_space(const struct upgrade *u, uint64_t size, struct buf *why) MUST_CHECK;

/* Checks the old cluster. If it wasn't shut down cleanly, starts and stops it, which recovers it. */
enum status upgrade_prepare(struct upgrade *u, struct buf *why) MUST_CHECK;
/* Creates the new cluster in ASIDE/pg, with the old one's settings of ALTER SYSTEM, pg_hba.conf and pg_ident.conf. */
enum status upgrade_make(struct upgrade *u, struct buf *why) MUST_CHECK;
/* Runs pg_upgrade --check. If it fails, its log files are moved to STATE/upgrade-failed, whose name is added to why. */
enum status upgrade_check(struct upgrade *u, struct buf *why) MUST_CHECK;
/* The same without --check. */
enum status upgrade_transfer(struct upgrade *u, struct buf *why) MUST_CHECK;
/* Starts the new cluster, updates its extensions, has its statistics collected, and stops it. */
enum status upgrade_analyze(struct upgrade *u, struct buf *why) MUST_CHECK;
/* Stops the servers of both clusters, and releases `made`. */
void upgrade_end(struct upgrade *u);

#endif
