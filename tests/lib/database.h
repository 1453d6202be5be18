/* SPDX-License-Identifier: MIT
 * A hand in the server's database: to hold a lock while something is under way, or to change what only time or an
 * accident does. */
#ifndef LIB_DATABASE_H
#define LIB_DATABASE_H

#include <libpq-fe.h>

#include "server.h"

/* A connection of its own; until the test is over. */
PGconn *database_open(const struct server *server);
/* Runs it; gives the first value of the first row, "" when there is none. Until the test is over. */
char *sql(PGconn *pg, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Waits until that many others wait for locks. */
void await_waiting(PGconn *pg, int count);

#endif
