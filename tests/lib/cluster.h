/* SPDX-License-Identifier: MIT
 * PostgreSQL clusters of a test's own, to copy, restore, fail over and upgrade. They listen on Unix sockets only, do
 * not wait for the disk, and belong to the user that servers started by root become. Whatever fails ends the test. */
#ifndef LIB_CLUSTER_H
#define LIB_CLUSTER_H

#include <stdbool.h>

#include "database.h"

struct cluster;

/* Makes one, and starts it. It lives until clusters_remove_all(). */
struct cluster *cluster_new(void);
/* A copy of a running one by pg_basebackup, not started. standby: it follows the other one. */
struct cluster *cluster_copy(const struct cluster *of, bool standby);
/* What pg_upgrade makes of a stopped one, not started. NULL: it isn't installed. */
struct cluster *cluster_upgrade(const struct cluster *of);

void cluster_start(struct cluster *c);
void cluster_stop(struct cluster *c);  /* at once, as a crash would */
void cluster_close(struct cluster *c); /* orderly: what is written goes out to standbys first */
void cluster_promote(struct cluster *c);
/* Waits until its one standby has replayed all that it has written. */
void cluster_await_standby(const struct cluster *primary);
/* Adds a line to its postgresql.auto.conf. */
void cluster_configure(const struct cluster *c, const char *line);
/* Gives the one the other's place, as if its files had been put where the other's were. Both are stopped. */
void cluster_swap(struct cluster *a, struct cluster *b);

const char *cluster_dir(const struct cluster *c); /* its data directory */
/* "host=… dbname=…", until the test is over. */
char *cluster_conninfo(const struct cluster *c, const char *database);
/* Where its socket is. */
const char *cluster_host(const struct cluster *c);
PGconn *cluster_connect(const struct cluster *c, const char *database); /* until the test is over */

/* Runs a command in a shell with PostgreSQL's programs on the PATH, PGHOST the cluster's and PGUSER postern. */
void cluster_run(const struct cluster *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void clusters_remove_all(void);

#endif
