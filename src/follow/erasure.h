/* SPDX-License-Identifier: MIT
 * Erasure: removes or anonymises, step by step, what deleted accounts have left in chats; see
 * sql/functions/upkeep/erasure.sql. Every worker tries; the database lets one at a time work. */
#ifndef FOLLOW_ERASURE_H
#define FOLLOW_ERASURE_H

struct conf;
struct erasure;
struct loop;
struct metrics;
struct pg_pool;

/* Starts it. conf is only read during the call. Ends the process if there is no memory. */
struct erasure *erasure_new(struct loop *loop, struct pg_pool *pool, struct metrics *metrics, const struct conf *conf);

/* Applies settings that have changed. */
void erasure_set(struct erasure *e, const struct conf *conf);

/* Frees it. The pool's calls have ended. */
void erasure_free(struct erasure *e);

#endif
