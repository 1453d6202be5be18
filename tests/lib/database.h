/* SPDX-License-Identifier: MIT
 * Direct access to the server's database: to hold a lock during a request, or to change what only time or a fault
 * changes. */
#ifndef LIB_DATABASE_H
#define LIB_DATABASE_H

#include <libpq-fe.h>

#include "server.h"

/* Opens a connection that lives until the end of the test. */
PGconn *database_open(const struct server *server);
/* Runs a statement; returns the first value of the first row, "" without rows. Lives until the end of the test. */
char *sql(PGconn *pg, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Returns how many entries of a chat with a word the index for searches has; "#" and the chat's number is a word of all
 * its entries. */
unsigned search_entries(PGconn *pg, long long chat, const char *word);

/* Waits until that many other sessions wait for locks. */
void await_waiting(PGconn *pg, int count);

#endif
