/* SPDX-License-Identifier: MIT
 * A few connections for all calls but those of the batcher and the tail. Owners (base/owner.h) whose calls wait take
 * turns, and one owner's calls use at most half of the connections at a time, so that a call doesn't wait for all calls
 * of another owner. The server's own calls have no such limit.
 *
 * While the database is away calls wait, at most wait_ms; then they end with pg_away(). A call in flight whose
 * connection is lost ends so at once, because whether it took effect is unknown. */
#ifndef PG_POOL_H
#define PG_POOL_H

#include "pg/conn.h"

struct pg_pool;

struct pg_pool *pg_pool_new(
	struct loop *loop, const char *conninfo, unsigned size, unsigned deadline_ms, unsigned wait_ms);
void pg_pool_free(struct pg_pool *p); /* every call ends with pg_away() */

/* See pg_conn_call(). Never calls back before it returns. */
void pg_pool_call(
	struct pg_pool *p, const char *sql, unsigned n, const char *const values[], pg_result_fn *on_result, void *arg);

bool pg_pool_up(const struct pg_pool *p); /* at least one connection is up */
void pg_pool_set_wait(struct pg_pool *p, unsigned wait_ms);
/* Counts its connections: with a call in flight, idle, and lost. */
void pg_pool_count(const struct pg_pool *p, unsigned *ret_busy, unsigned *ret_idle, unsigned *ret_down);
unsigned pg_pool_waiting(const struct pg_pool *p);

#endif
