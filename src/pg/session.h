/* SPDX-License-Identifier: MIT
 * The settings of every connection: the functions run under the settings that they were written for, whatever a role or
 * a database presets. They are made by SET, in one round trip, and not by the start-up parameter `options`, which
 * poolers refuse. */
#ifndef PG_SESSION_H
#define PG_SESSION_H

#include "base/buf.h"

enum session_kind {
	SESSION_PLAIN,     /* to look at a database and to migrate it */
	SESSION_FUNCTIONS, /* to call the functions */
};

/* Adds the statements. deadline_ms: a statement that takes longer is ended; 0: none. The last result is one row: the
 * server's process id. */
void session_sql(struct buf *out, enum session_kind kind, unsigned deadline_ms, int server_version);

#endif
