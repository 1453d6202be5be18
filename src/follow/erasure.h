/* SPDX-License-Identifier: MIT
 * Erasure: what accounts that were deleted leave in chats is seen to, step by step; see sql/functions/38_erasure.sql.
 * Every worker tries; the database lets one at a time do it. */
#ifndef FOLLOW_ERASURE_H
#define FOLLOW_ERASURE_H

struct conf;
struct erasure;
struct loop;
struct pg_pool;

struct erasure *erasure_new(struct loop *loop, struct pg_pool *pool, const struct conf *conf);
void erasure_set(struct erasure *e, const struct conf *conf); /* after it has changed */
void erasure_free(struct erasure *e);                         /* after the pool has ended its calls */

#endif
