/* SPDX-License-Identifier: MIT
 * A follower: a name, a durable position, and a function in SQL that takes the next step after it. It is woken by the
 * log, looks by itself now and then, and rests between steps the longer the faster the log grows, so that it never
 * takes from senders what they need.
 *
 * One worker a node tries; the database lets one node at a time be the holder, until its lease runs out. The function
 * moves the position in the transaction of what it writes, so that a step happens once, whoever dies when. */
#ifndef FOLLOW_FOLLOWER_H
#define FOLLOW_FOLLOWER_H

#include <stdint.h>

struct follower;
struct loop;
struct pg_pool;

struct follower_kind {
	const char *name;
	const char *prepare; /* called once: a reason for a warning, or null; NULL: nothing to prepare */
	const char *step;    /* with the holder's name and at most how many changes: mine, head, pos, age_ms */
	/* After each step: positions that it is behind, and how long the oldest of them has waited. */
	void (*on_lag)(void *arg, uint64_t positions, uint64_t age_ms);
};

struct follower *follower_new(
	struct loop *loop, struct pg_pool *pool, const char *node, const struct follower_kind *kind, void *arg);
void follower_free(struct follower *f); /* after the pool has ended its calls, before it is freed; NULL is fine */

/* There is something new in the log. */
void follower_wake(struct follower *f);

#endif
