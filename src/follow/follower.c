/* SPDX-License-Identifier: MIT
 * See follower.h and, for what follows a failure, steps.h. The timer runs whenever no step is in flight. */
#include "follow/follower.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "follow/steps.h"
#include "log/tail.h"
#include "loop/loop.h"
#include "pg/pool.h"

#define GATHER_MS 250 /* from the first new frame to the step */
#define LOOK_MS 2000  /* without new frames */
#define RATE_CALM 500 /* positions a second; if the log grows more slowly, the rest is as long as the step */
#define REST_BUSY 200 /* else it is this many times as long: much less than 1 % of the sends meet a step */
#define REST_LATE 30  /* the same if the follower is LATE_MS behind */
#define LATE_MS 5000
#define REST_MAX_MS 1000
#define STEP_SMALL "64"  /* changes a step: the next commit flushes what it writes, too */
#define STEP_LARGE "500" /* when more are left and the log grows slowly */

struct follower {
	struct pg_pool *pool;
	const struct follower_kind *kind;
	void *arg;
	const char *node;
	struct loop_timer *timer;
	struct steps steps;
	bool prepared;
	bool woken; /* there were new frames during the step */
	bool large; /* the next step is STEP_LARGE */
	bool idle;  /* there is no step in flight and no rest: a new frame leads to a step soon */
	uint64_t head, head_ms;
};

/* Has the next step taken after that many ms. */
static void schedule_step(struct follower *f, uint64_t ms, bool idle)
{
	f->idle = idle;
	loop_timer_start(f->timer, ms, 0);
}

static void on_skip(void *arg, const struct pg_result *r)
{
	struct follower *f = arg;
	schedule_step(f, steps_skipped(&f->steps, r, pg_ok(r) ? 0 : LOOK_MS), false);
}

/* Returns true if the log has grown fast since the step before. */
static bool is_busy(struct follower *f, uint64_t head, uint64_t now)
{
	uint64_t grown = f->head > 0 && head > f->head ? head - f->head : 0,
		 ms = now > f->head_ms ? now - f->head_ms : 1;
	f->head = head;
	f->head_ms = now;
	return grown * 1000 > ms * RATE_CALM;
}

/* Returns how long to rest after a step that took that long in the database. */
static uint64_t rest(bool busy, uint64_t age_ms, uint64_t took_ms)
{
	uint64_t ms = !busy ? took_ms : age_ms < LATE_MS ? took_ms * REST_BUSY : took_ms * REST_LATE;
	return ms < REST_MAX_MS ? ms : REST_MAX_MS;
}

static void on_step(void *arg, const struct pg_result *r)
{
	struct follower *f = arg;
	if (!pg_ok(r)) {
		schedule_step(f, steps_done(&f->steps, r, LOOK_MS), false);
		return;
	}
	uint64_t head = (uint64_t)pg_int(r, 0, 1), pos = (uint64_t)pg_int(r, 0, 2);
	uint64_t age_ms = (uint64_t)pg_int(r, 0, 3);
	bool mine = pg_text(r, 0, 0)[0] == 't', more = pg_text(r, 0, 4)[0] == 't';
	bool busy = is_busy(f, head, clock_mono_ms());
	f->large = !busy && more;
	f->kind->on_lag(f->arg, head > pos ? head - pos : 0, age_ms);
	uint64_t ms = rest(busy, age_ms, (uint64_t)pg_int(r, 0, 5));
	bool soon = mine && (more || f->woken);
	ms = !soon ? LOOK_MS : more || ms > GATHER_MS ? ms : GATHER_MS;
	schedule_step(f, steps_done(&f->steps, r, ms), mine && !soon);
}

static void on_prepared(void *arg, const struct pg_result *r)
{
	struct follower *f = arg;
	f->prepared = pg_ok(r);
	if (f->prepared && !pg_null(r, 0, 0))
		log_warn("follower %s: %s", f->kind->name, pg_text(r, 0, 0));
	schedule_step(f, f->prepared ? 0 : steps_done(&f->steps, r, LOOK_MS), false);
}

static void on_time(void *arg)
{
	struct follower *f = arg;
	f->idle = false;
	f->woken = false;
	if (!f->prepared && f->kind->prepare != NULL)
		pg_pool_call(f->pool, f->kind->prepare, 0, NULL, on_prepared, f);
	else if (steps_must_skip(&f->steps))
		pg_pool_call(f->pool, f->kind->skip, 1, (const char *[]) { f->node }, on_skip, f);
	else
		pg_pool_call(f->pool, f->kind->step, 3,
			(const char *[]) {
				f->node, steps_size(&f->steps, f->large ? STEP_LARGE : STEP_SMALL), STEP_MS },
			on_step, f);
}

static void on_frame(void *arg, struct frame *frame, bool own)
{
	struct follower *f = arg;
	(void)frame;
	(void)own;
	f->woken = true;
	if (!f->idle)
		return;
	f->head_ms = clock_mono_ms(); /* the log hasn't grown until now */
	schedule_step(f, GATHER_MS, false);
}

static const struct tail_events tail_events = { .on_frame = on_frame };

struct follower *follower_new(struct loop *loop, struct tail *tail, struct pg_pool *pool, const char *node,
	const struct follower_kind *kind, struct metrics *metrics, void *arg)
{
	struct follower *f = mem_zeroed(1, sizeof(*f));
	*f = (struct follower) {
		.pool = pool, .kind = kind, .arg = arg, .node = node, .prepared = kind->prepare == NULL
	};
	f->steps = (struct steps) {
		.name = kind->name, .metrics = metrics, .skipped = kind->skipped, .stuck_gauge = kind->stuck
	};
	f->timer = loop_timer_new(loop, on_time, f);
	loop_timer_start(f->timer, 0, 0);
	tail_listen(tail, &tail_events, f);
	return f;
}

void follower_free(struct follower *f)
{
	if (f == NULL)
		return;
	loop_timer_free(f->timer);
	free(f);
}
