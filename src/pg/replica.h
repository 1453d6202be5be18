/* SPDX-License-Identifier: MIT
 * Reads on a standby of the database, never older than what the primary held when they were asked for: so a client that
 * reads after it has written, through whichever node, finds what it wrote.
 *
 * A read first learns the primary's head and its check (one small query for all reads of that moment). The standby
 * answers only if that is in its own history already; otherwise, or when it is away, or takes long, the primary
 * does. */
#ifndef PG_REPLICA_H
#define PG_REPLICA_H

#include "pg/pool.h"

struct replica;

struct replica_stats {   /* reads since the start */
	uint64_t served; /* by the standby, */
	uint64_t behind; /* by the primary, because the standby hadn't come so far, */
	uint64_t failed; /* or because it was away, took too long, or gave up on a query that stood in replication's way
			  */
};

/* conninfo NULL: there is no standby, and every read goes to the primary at once. */
struct replica *replica_new(
	struct loop *loop, struct pg_pool *primary, const char *conninfo, unsigned size, unsigned deadline_ms);
/* Before the primary's pool is freed: from here on reads end with that pool. */
void replica_stop(struct replica *r);
void replica_free(struct replica *r); /* after it */

/* pg_pool_call() of a query that only reads and gives a row at least. Its last two parameters, which aren't among
 * values, belong to `where reaches($N, $N+1)` of its end. */
void replica_call(
	struct replica *r, const char *sql, unsigned n, const char *const values[], pg_result_fn *on_result, void *arg);

const struct replica_stats *replica_stats(const struct replica *r);

#endif
