/* SPDX-License-Identifier: MIT
 * Reads on a standby of the database that are never older than the primary was when the read began: a client that has
 * written, through whichever node, finds what it wrote.
 *
 * A read first learns the primary's head and its check (one small query for all reads of that moment). The standby
 * answers only if its history contains that head already. Otherwise, or if the standby is away or slow, the primary
 * answers. */
#ifndef PG_REPLICA_H
#define PG_REPLICA_H

#include "pg/pool.h"

struct replica;

/* Numbers of reads since the start. */
struct replica_stats {
	uint64_t served; /* by the standby */
	uint64_t behind; /* by the primary, because the standby was behind */
	uint64_t failed; /* by the primary, because the standby was away or too slow, or cancelled the query */
};

/* conninfo NULL: there is no standby, and every read goes to the primary at once. */
struct replica *replica_new(
	struct loop *loop, struct pg_pool *primary, const char *conninfo, unsigned size, unsigned deadline_ms);
/* To be called before the primary's pool is freed, which ends the reads that are left. */
void replica_stop(struct replica *r);
void replica_free(struct replica *r); /* after that pool was freed */

/* pg_pool_call() of a query that only reads and returns at least one row. It must end with `where reaches($N, $N+1)`;
 * these last two parameters aren't among values. */
void replica_call(
	struct replica *r, const char *sql, unsigned n, const char *const values[], pg_result_fn *on_result, void *arg);

const struct replica_stats *replica_stats(const struct replica *r);

#endif
