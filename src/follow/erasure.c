/* SPDX-License-Identifier: MIT
 * See erasure.h. */
#include "follow/erasure.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "follow/steps.h"
#include "loop/loop.h"
#include "pg/pool.h"

#define LOOK_MS 1000 /* when there is nothing to do */
#define CHUNK "200"  /* messages or reactions */
#define REST_MS 5    /* between two steps, so that sends go first */

struct erasure {
	struct pg_pool *pool;
	struct loop_timer *timer;
	struct steps steps;
	bool removes;
};

static void on_step(void *arg, const struct pg_result *r)
{
	struct erasure *e = arg;
	bool more = pg_ok(r) && *pg_text(r, 0, 0) == 't';
	loop_timer_start(e->timer, steps_done(&e->steps, r, more ? REST_MS : LOOK_MS), 0);
}

static void on_skip(void *arg, const struct pg_result *r)
{
	struct erasure *e = arg;
	loop_timer_start(e->timer, steps_skipped(&e->steps, r, REST_MS), 0);
}

static void on_time(void *arg)
{
	struct erasure *e = arg;
	if (steps_must_skip(&e->steps))
		pg_pool_call(e->pool, "select erasure_skip()", 0, NULL, on_skip, e);
	else
		pg_pool_call(e->pool, "select erasure_step($1, $2)", 2,
			(const char *[]) { e->removes ? "t" : "f", steps_size(&e->steps, CHUNK) }, on_step, e);
}

struct erasure *erasure_new(struct loop *loop, struct pg_pool *pool, struct metrics *metrics, const struct conf *conf)
{
	struct erasure *e = mem_zeroed(1, sizeof(*e));
	e->pool = pool;
	e->steps = (struct steps) {
		.name = "erasure", .metrics = metrics, .skipped = M_ERASURE_SKIPPED, .stuck_gauge = G_ERASURE_STUCK
	};
	e->removes = conf->deletion_removes_messages;
	e->timer = loop_timer_new(loop, on_time, e);
	loop_timer_start(e->timer, LOOK_MS, 0);
	return e;
}

void erasure_set(struct erasure *e, const struct conf *conf) { e->removes = conf->deletion_removes_messages; }

void erasure_free(struct erasure *e)
{
	loop_timer_free(e->timer);
	free(e);
}
