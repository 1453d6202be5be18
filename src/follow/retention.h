/* SPDX-License-Identifier: MIT
 * Retention: removes what is older than the administrators say, a small batch at a time, with rests, so that whoever
 * sends hardly notices. One worker a node tries; the database lets one at a time do it. */
#ifndef FOLLOW_RETENTION_H
#define FOLLOW_RETENTION_H

struct loop;
struct metrics;
struct pg_pool;
struct retention;

struct retention *retention_new(struct loop *loop, struct pg_pool *pool, struct metrics *metrics);
void retention_free(struct retention *r); /* after the pool has ended its calls, before it is freed; NULL is fine */

#endif
