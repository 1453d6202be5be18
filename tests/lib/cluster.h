/* SPDX-License-Identifier: MIT
 * PostgreSQL clusters for tests to copy, restore, fail over and upgrade. They listen on Unix sockets only, don't
 * fsync, and belong to the user that a server started by root switches to. Any failure ends the test. */
#ifndef LIB_CLUSTER_H
#define LIB_CLUSTER_H

#include <stdbool.h>

#include "database.h"

struct cluster;

/* Creates a cluster and starts it. It lives until clusters_remove_all(). */
struct cluster *cluster_new(void);
/* Copies a running cluster by pg_basebackup; the copy is not started. standby: it replicates from the original. */
struct cluster *cluster_copy(const struct cluster *of, bool standby);
/* Upgrades a stopped cluster with pg_upgrade; the result is not started. NULL: pg_upgrade isn't installed. */
struct cluster *cluster_upgrade(const struct cluster *of);

void cluster_start(struct cluster *c);
void cluster_stop(struct cluster *c);  /* immediately, as in a crash */
void cluster_close(struct cluster *c); /* orderly: standbys receive all WAL first */
void cluster_promote(struct cluster *c);
/* Waits until the only standby has replayed all WAL. */
void cluster_await_standby(const struct cluster *primary);
/* Appends a line to postgresql.auto.conf. */
void cluster_configure(const struct cluster *c, const char *line);
/* Exchanges the data directories of two stopped clusters. */
void cluster_swap(struct cluster *a, struct cluster *b);

const char *cluster_dir(const struct cluster *c); /* its data directory */
/* "host=… dbname=…"; lives until the end of the test. */
char *cluster_conninfo(const struct cluster *c, const char *database);
/* The directory of its socket. */
const char *cluster_host(const struct cluster *c);
PGconn *cluster_connect(const struct cluster *c, const char *database); /* until the end of the test */

/* Runs a command in a shell with PostgreSQL's programs on the PATH, PGHOST the cluster's and PGUSER postern. */
void cluster_run(const struct cluster *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

void clusters_remove_all(void);

#endif
