/* SPDX-License-Identifier: MIT
 * Retention: removes messages that are older than the administrators allow, in small batches with rests in between, so
 * that senders hardly notice. One worker a node tries; the database lets one at a time work. */
#ifndef FOLLOW_RETENTION_H
#define FOLLOW_RETENTION_H

struct loop;
struct metrics;
struct pg_pool;
struct retention;

/* Starts it. Ends the process if there is no memory. */
struct retention *retention_new(struct loop *loop, struct pg_pool *pool, struct metrics *metrics);

/* Frees it; r may be NULL. The pool's calls have ended. */
void retention_free(struct retention *r);

#endif
