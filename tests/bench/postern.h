/* SPDX-License-Identifier: MIT
 * The server under test, with its private cluster or on a database of another one's, and what it holds. */
#ifndef BENCH_POSTERN_H
#define BENCH_POSTERN_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct postern {
	char state[64]; /* of the cluster's owner */
	char conninfo[160];
	pid_t pid, owner; /* owner: of the cluster; the same process if it is its own */
	int port;
	unsigned workers;
};

/* On a private cluster, which is made when there is none of that name yet. */
void postern_start(struct postern *p, const char *name, unsigned workers);
/* One more server on the cluster of another: a node of it, or, with the name of another database there, a server of its
 * own. */
void postern_start_beside(struct postern *p, const struct postern *owner, const char *database, unsigned workers);
void postern_stop(struct postern *p);
/* Makes a database with Postern's tables and functions that no server follows; gives its conninfo. */
void postern_migrate(const struct postern *owner, const char *database, char *ret_conninfo, size_t size);

/* A connection with the search path and the settings of the server's own. */
PGconn *postern_database(const char *conninfo);
/* Runs it, dies if it fails. */
void sql(PGconn *pg, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* sql/town.sql, n users with tokens (token() names them), and whatever the statements make. */
void postern_populate(const char *conninfo, unsigned users, const char *statements);

/* µs of CPU: its workers; its cluster with all backends. */
double postern_cpu(const struct postern *p);
double postern_cpu_postgres(const struct postern *p);
/* Private_Dirty of the workers. */
double postern_dirty(const struct postern *p);
/* A line of /metrics, named with its labels. */
double postern_metric(const struct postern *p, const char *name);
/* The cursor from which nothing is missed, as user 1. */
void postern_cursor(const struct postern *p, char *out, size_t size);

/* Requests: a message to a chat, a stream. */
size_t post_message(char *out, size_t size, unsigned user, unsigned long chat, unsigned long long at_us);
/* The same with length bytes of text. */
size_t post_long_message(
	char *out, size_t size, unsigned user, unsigned long chat, unsigned long long at_us, int length);
size_t get_stream(char *out, size_t size, unsigned user, const char *cursor);

#endif
