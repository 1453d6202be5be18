/* SPDX-License-Identifier: MIT
 * The private PostgreSQL: a cluster in the state directory and its server, a child of this process that can be reached
 * through a Unix socket only, by this user only.
 *
 *     STATE/pg            the cluster; postern.conf in it is written at a start that would change it
 *                         (ALTER SYSTEM overrides it)
 *     STATE/run           the socket, unless that name is too long for one
 *     STATE/postgres.log  the server's log
 *
 * The server stops by itself when this process dies. All of this blocks; the caller holds the state directory's
 * lock and isn't root. A SIGTERM or SIGINT that is blocked and pending ends the waiting. */
#ifndef PG_CLUSTER_H
#define PG_CLUSTER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/status.h"

struct cluster;

/* An empty file in a cluster that was made to replace another one (cli/switch.h) and isn't in use yet. A start removes
 * the file from STATE/pg, and removes every STATE/pg.old-* that has it: such a cluster was never in use. */
#define CLUSTER_UNUSED "postern.unused"
/* Prefixes of the names of old clusters that were kept. */
#define CLUSTER_OLD "pg.old-"
#define CLUSTER_BEFORE_UPGRADE "pg.before-upgrade-"
/* The name of the new cluster while it replaces the old one in two steps. A start that finds it without STATE/pg
 * renames it to STATE/pg; one that finds it beside STATE/pg removes it, since it was never in use. */
#define CLUSTER_SWITCHING "pg.switching"

/* state is an absolute path; pg_bindir: see bindir_find(), may be NULL; connections: how many the caller will make at
 * least. Only determines names. NULL: the reason is added to why. */
struct cluster *cluster_new(const char *state, const char *pg_bindir, unsigned connections, struct buf *why);
void cluster_free(struct cluster *c); /* the server must be stopped; NULL is allowed */

/* For a cluster in a temporary directory: its messages go to the postgres.log of that state directory. */
void cluster_log_in(struct cluster *c, const char *state);

/* Stops a server that an earlier process left running, and removes unfinished files, as a start does. */
enum status cluster_clean_up(struct cluster *c, struct buf *why) MUST_CHECK;

/* Creates the cluster where there is none, and doesn't start it; checksums: whether its pages have them. */
enum status cluster_make(struct cluster *c, bool checksums, struct buf *why) MUST_CHECK;
const char *cluster_sockets(
	const struct cluster *c); /* the directory of its socket; exists after cluster_make() or a start */

/* Creates the cluster if there is none, stops a server that an earlier process left running, starts one, and waits
 * until it accepts connections, however long its recovery takes. */
enum status cluster_start(struct cluster *c, struct buf *why) MUST_CHECK;

/* For a server that died: starts it again without waiting. */
enum status cluster_restart(struct cluster *c, struct buf *why) MUST_CHECK;

pid_t cluster_pid(const struct cluster *c); /* 0: not running */
void cluster_exited(struct cluster *c);     /* the caller has reaped it */
/* Logs the server's messages since the last call. */
void cluster_follow_log(struct cluster *c);
/* For a stopped server: removes the directory of its socket, which may be outside the state directory. */
void cluster_leave(const struct cluster *c);
void cluster_stop(struct cluster *c); /* ends sessions, writes everything to disk, and waits for the end */

const char *cluster_conninfo(const struct cluster *c); /* for base of migrate_conninfo(); owned by c */

#endif
