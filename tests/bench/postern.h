/* SPDX-License-Identifier: MIT
 * The server under test, with its private cluster or with a database of another server's cluster, and its data. */
#ifndef BENCH_POSTERN_H
#define BENCH_POSTERN_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct postern {
	char state[64]; /* of the cluster's owner */
	char conninfo[160];
	pid_t pid, owner; /* owner: the server whose cluster it is; may be this one */
	int port;
	unsigned workers;
};

/* Starts a server with a private cluster, which is created unless the name has one. */
void postern_start(struct postern *p, const char *name, unsigned workers);
/* Starts another server on owner's cluster: a second node, or, if database isn't NULL, a server with its own database.
 */
void postern_start_beside(struct postern *p, const struct postern *owner, const char *database, unsigned workers);
void postern_stop(struct postern *p);
/* Creates a database with Postern's tables and functions that no server follows, and writes its conninfo. */
void postern_migrate(const struct postern *owner, const char *database, char *ret_conninfo, size_t size);

/* Returns a connection with the search path and the settings of the server's connections. */
PGconn *postern_database(const char *conninfo);
/* Runs a statement; dies if it fails. */
void sql(PGconn *pg, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Loads sql/town.sql, creates users user1, user2, … with tokens pt_1, pt_2, …, and runs the statements. */
void postern_populate(const char *conninfo, unsigned users, const char *statements);

/* Return µs of CPU time: of its workers; of its cluster with all backends. */
double postern_cpu(const struct postern *p);
double postern_cpu_postgres(const struct postern *p);
/* Returns the Private_Dirty of the workers, in bytes. */
double postern_dirty(const struct postern *p);
/* Returns the value of a line of /metrics. The name includes the labels. */
double postern_metric(const struct postern *p, const char *name);
/* Writes the current cursor of user 1. */
void postern_cursor(const struct postern *p, char *out, size_t size);

/* Write requests: a message to a chat, and a stream. */
size_t post_message(char *out, size_t size, unsigned user, unsigned long chat, unsigned long long at_us);
/* The same, with length bytes of text. */
size_t post_long_message(
	char *out, size_t size, unsigned user, unsigned long chat, unsigned long long at_us, int length);
size_t get_stream(char *out, size_t size, unsigned user, const char *cursor);

#endif
