/* SPDX-License-Identifier: MIT
 * See retention.h; retention_step() in SQL has the rules. */
#include "follow/retention.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "follow/steps.h"
#include "loop/loop.h"
#include "pg/pool.h"

#define CHUNK "50"   /* messages: it holds the log lock for 2 or 3 ms */
#define LOOK_MS 1000 /* when nothing is due */
/* The rest after a step is the longer of REST times the step's duration, and 1 ms for every MEMBERS_A_MS members who
 * receive the removals. It is at least REST_MIN_MS, which keeps the rate (400 messages a second) below what
 * followers of the log take for a high load, or REST_LATE_MIN_MS if the retention is more than LATE_S behind. */
#define REST 4
#define MEMBERS_A_MS 100
#define REST_MIN_MS 125
#define REST_LATE_MIN_MS 10
#define LATE_S 3600

struct retention {
	struct pg_pool *pool;
	struct loop_timer *timer;
	struct steps steps;
	struct metrics *metrics;
};

/* Returns how long to rest, in ms. */
static uint64_t rest(uint64_t took_ms, uint64_t behind_s, uint64_t members)
{
	uint64_t least = behind_s < LATE_S ? REST_MIN_MS : REST_LATE_MIN_MS,
		 ms = took_ms * REST > members / MEMBERS_A_MS ? took_ms * REST : members / MEMBERS_A_MS;
	return ms > least ? ms : least;
}

static void on_step(void *arg, const struct pg_result *res)
{
	struct retention *r = arg;
	uint64_t ms = LOOK_MS;
	if (pg_ok(res)) {
		uint64_t behind = (uint64_t)pg_int(res, 0, 2);
		metrics_count(r->metrics, M_RETENTION_REMOVED, (uint64_t)pg_int(res, 0, 0));
		metrics_gauge(r->metrics, G_RETENTION_BEHIND, behind);
		if (pg_text(res, 0, 1)[0] == 't')
			ms = rest((uint64_t)pg_int(res, 0, 4), behind, (uint64_t)pg_int(res, 0, 3));
	}
	loop_timer_start(r->timer, steps_done(&r->steps, res, ms), 0);
}

static void on_skip(void *arg, const struct pg_result *res)
{
	struct retention *r = arg;
	loop_timer_start(r->timer, steps_skipped(&r->steps, res, REST_MIN_MS), 0);
}

static void on_time(void *arg)
{
	struct retention *r = arg;
	if (steps_must_skip(&r->steps))
		pg_pool_call(r->pool, "select retention_skip()", 0, NULL, on_skip, r);
	else
		pg_pool_call(r->pool,
			"select removed, more, behind, deliveries,"
			" (extract(epoch from clock_timestamp() - statement_timestamp()) * 1000)::int"
			" from retention_step($1)",
			1, (const char *[]) { steps_size(&r->steps, CHUNK) }, on_step, r);
}

struct retention *retention_new(struct loop *loop, struct pg_pool *pool, struct metrics *metrics)
{
	struct retention *r = mem_zeroed(1, sizeof(*r));
	*r = (struct retention) { .pool = pool, .metrics = metrics };
	r->steps = (struct steps) { .name = "retention",
		.metrics = metrics,
		.skipped = M_RETENTION_SKIPPED,
		.stuck_gauge = G_RETENTION_STUCK };
	r->timer = loop_timer_new(loop, on_time, r);
	loop_timer_start(r->timer, LOOK_MS, 0);
	return r;
}

void retention_free(struct retention *r)
{
	if (r == NULL)
		return;
	loop_timer_free(r->timer);
	free(r);
}
