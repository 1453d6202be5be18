/* SPDX-License-Identifier: MIT
 * See upkeep.h. */
#include "follow/upkeep.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "follow/backoff.h"
#include "follow/steps.h"
#include "loop/loop.h"
#include "pg/pool.h"

#define PAUSE_MS 60000
#define AGAIN_MS 200
#define CHUNK 1000
#define EXPIRY_MS 1000     /* how late an expired message may be removed */
#define EXPIRY_CHUNK "200" /* it holds the log lock */

struct upkeep {
	struct pg_pool *pool;
	struct loop_timer *timer, *expiry;
	struct backoff backoff;
	struct steps expiry_steps;
	char key_ttl[24], tombstone_ttl[24];
};

static void on_done(void *arg, const struct pg_result *r)
{
	struct upkeep *u = arg;
	bool more = pg_ok(r) && pg_int(r, 0, 0) >= CHUNK;
	loop_timer_start(u->timer, backoff_after(&u->backoff, r, "upkeep", more ? AGAIN_MS : PAUSE_MS), 0);
}

static void on_time(void *arg)
{
	struct upkeep *u = arg;
	char chunk[16];
	snprintf(chunk, sizeof(chunk), "%d", CHUNK);
	pg_pool_call(u->pool, "select upkeep(make_interval(secs => $1), make_interval(secs => $2), $3)", 3,
		(const char *[]) { u->key_ttl, u->tombstone_ttl, chunk }, on_done, u);
}

static void on_expired(void *arg, const struct pg_result *r)
{
	struct upkeep *u = arg;
	uint64_t ms = EXPIRY_MS;
	if (pg_ok(r) && !pg_null(r, 0, 1) && pg_int(r, 0, 1) < EXPIRY_MS)
		ms = pg_int(r, 0, 1) > 20 ? (uint64_t)pg_int(r, 0, 1) : 20;
	loop_timer_start(u->expiry, steps_done(&u->expiry_steps, r, ms), 0);
}

static void on_expiry_skip(void *arg, const struct pg_result *r)
{
	struct upkeep *u = arg;
	loop_timer_start(u->expiry, steps_skipped(&u->expiry_steps, r, EXPIRY_MS), 0);
}

static void on_expiry(void *arg)
{
	struct upkeep *u = arg;
	if (steps_must_skip(&u->expiry_steps))
		pg_pool_call(u->pool, "select messages_expire_skip()", 0, NULL, on_expiry_skip, u);
	else
		pg_pool_call(u->pool, "select removed, next_ms from messages_expire($1)", 1,
			(const char *[]) { steps_size(&u->expiry_steps, EXPIRY_CHUNK) }, on_expired, u);
}

void upkeep_set(struct upkeep *u, const struct conf *conf)
{
	snprintf(u->key_ttl, sizeof(u->key_ttl), "%u", conf->key_ttl);
	snprintf(u->tombstone_ttl, sizeof(u->tombstone_ttl), "%u", conf->tombstone_ttl);
}

struct upkeep *upkeep_new(struct loop *loop, struct pg_pool *pool, struct metrics *metrics, const struct conf *conf)
{
	struct upkeep *u = mem_zeroed(1, sizeof(*u));
	u->pool = pool;
	u->expiry_steps = (struct steps) {
		.name = "expiry", .metrics = metrics, .skipped = M_EXPIRY_SKIPPED, .stuck_gauge = G_EXPIRY_STUCK
	};
	upkeep_set(u, conf);
	u->timer = loop_timer_new(loop, on_time, u);
	loop_timer_start(u->timer, PAUSE_MS, 0);
	u->expiry = loop_timer_new(loop, on_expiry, u);
	loop_timer_start(u->expiry, EXPIRY_MS, 0);
	return u;
}

void upkeep_free(struct upkeep *u)
{
	loop_timer_free(u->timer);
	loop_timer_free(u->expiry);
	free(u);
}
