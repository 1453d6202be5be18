/* SPDX-License-Identifier: MIT
 * A follower: a name, a durable position, and a function in SQL that processes the next changes after it. It listens to
 * the tail and also checks the log at intervals. The faster the log grows, the longer it rests between steps, so that
 * it doesn't slow senders down.
 *
 * One worker a node tries; the database lets one node at a time be the holder, until its lease runs out. The function
 * moves the position in the transaction of what it writes, so that each step happens once, whichever process dies. */
#ifndef FOLLOW_FOLLOWER_H
#define FOLLOW_FOLLOWER_H

#include <stdint.h>

#include "base/metrics.h"

struct follower;
struct loop;
struct pg_pool;
struct tail;

struct follower_kind {
	const char *name;
	const char *prepare; /* a query, run once: a text to log as a warning, or null; NULL: nothing to prepare */
	/* A query of the holder's name, how many changes at most, and for how many ms: mine, head, pos, age_ms, more,
	 * and how many ms it took. */
	const char *step;
	/* A query of the holder's name, for a change that fails alone: moves the position past the next change, and
	 * returns what was skipped, or null. */
	const char *skip;
	enum metric skipped;
	enum metric_gauge stuck;
	/* Called after each step: how many positions it is behind, and how long the oldest of them has waited. */
	void (*on_lag)(void *arg, uint64_t positions, uint64_t age_ms);
};

/* Starts a follower. node and kind must outlive it. Ends the process if there is no memory. */
struct follower *follower_new(struct loop *loop, struct tail *tail, struct pg_pool *pool, const char *node,
	const struct follower_kind *kind, struct metrics *metrics, void *arg);

/* Frees it; f may be NULL. The pool's calls have ended, and the loop doesn't run any more. */
void follower_free(struct follower *f);

#endif
