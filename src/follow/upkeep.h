/* SPDX-License-Identifier: MIT
 * Upkeep: once a minute, and again at once while there is much to do, what has run out is removed in chunks. Every node
 * tries; the database lets one at a time do it. */
#ifndef FOLLOW_UPKEEP_H
#define FOLLOW_UPKEEP_H

struct conf;
struct loop;
struct pg_pool;
struct upkeep;

struct upkeep *upkeep_new(struct loop *loop, struct pg_pool *pool, const struct conf *conf);
void upkeep_set(struct upkeep *u, const struct conf *conf); /* after it has changed */
void upkeep_free(struct upkeep *u);                         /* after the pool has ended its calls, before it is freed */

#endif
