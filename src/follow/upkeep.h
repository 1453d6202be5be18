/* SPDX-License-Identifier: MIT
 * Upkeep: removes in chunks what has expired, once a minute, and again at once while there is much to remove; messages
 * with an expiry within a second. Every node tries; the database lets one at a time work. */
#ifndef FOLLOW_UPKEEP_H
#define FOLLOW_UPKEEP_H

struct conf;
struct loop;
struct metrics;
struct pg_pool;
struct upkeep;

/* Starts it. conf is only read during the call. Ends the process if there is no memory. */
struct upkeep *upkeep_new(struct loop *loop, struct pg_pool *pool, struct metrics *metrics, const struct conf *conf);

/* Applies settings that have changed. */
void upkeep_set(struct upkeep *u, const struct conf *conf);

/* Frees it. The pool's calls have ended. */
void upkeep_free(struct upkeep *u);

#endif
