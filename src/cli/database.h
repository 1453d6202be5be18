/* SPDX-License-Identifier: MIT
 * The database for a command: the running server's, or one that is opened for the command only. */
#ifndef CLI_DATABASE_H
#define CLI_DATABASE_H

#include <stdbool.h>

#include "pg/store.h"

struct sync;

struct database {
	struct store store;
	struct sync *db; /* functions are found by their plain names; NULL before database_connect() */
};

/* Each returns 0, or prints the reason and returns the exit status. The caller closes it in either case. */
int database_open(struct database *d, const struct conf *conf);
/* The same in two steps: the first changes to the owner of the state directory, the second finds or starts the
 * database. */
int database_begin(struct database *d, const struct conf *conf);
int database_find(struct database *d, const struct conf *conf);
int database_connect(struct database *d); /* migrates first */
void database_close(struct database *d);

/* Prints why the last call was refused. */
int database_failed(const struct database *d);

#endif
