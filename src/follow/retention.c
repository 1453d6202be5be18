/* SPDX-License-Identifier: MIT
 * See retention.h; retention_step() in SQL has the rules. */
#include "follow/retention.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "follow/backoff.h"
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
	struct backoff backoff;
	struct metrics *metrics;
	uint64_t began_ms;
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
			ms = rest(clock_mono_ms() - r->began_ms, behind, (uint64_t)pg_int(res, 0, 3));
	}
	loop_timer_start(r->timer, backoff_after(&r->backoff, res, "retention", ms), 0);
}

static void on_time(void *arg)
{
	struct retention *r = arg;
	r->began_ms = clock_mono_ms();
	pg_pool_call(r->pool, "select removed, more, behind, deliveries from retention_step(" CHUNK ")", 0, NULL,
		on_step, r);
}

struct retention *retention_new(struct loop *loop, struct pg_pool *pool, struct metrics *metrics)
{
	struct retention *r = mem_zeroed(1, sizeof(*r));
	*r = (struct retention) { .pool = pool, .metrics = metrics };
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
