/* SPDX-License-Identifier: MIT
 * See follower.h. A step that fails or takes long is followed by steps of one change each. A change that fails alone, a
 * few times, is skipped, so that it can't stop the follower for good. The timer runs whenever no step is in flight. */
#include "follow/follower.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "follow/backoff.h"
#include "log/tail.h"
#include "loop/loop.h"
#include "pg/pool.h"

#define GATHER_MS 250 /* from the first new frame to the step */
#define LOOK_MS 2000  /* without new frames */
#define RATE_CALM 500 /* positions a second; if the log grows more slowly, the rest is as long as the step */
#define REST_BUSY 200 /* else it is this many times as long: much less than 1 % of the sends meet a step */
#define REST_LATE 30  /* the same if the follower is LATE_MS behind */
#define LATE_MS 5000
#define STEP_ONE "1"
#define LONG_MS 1000 /* a step that takes longer is followed by ONES steps of one change */
#define ONES 16
#define ALONE_FAILURES_MAX 3 /* failures of a change alone before it is skipped */
#define STEP_SMALL "16"      /* changes a step: the next commit flushes what it writes, too */
#define STEP_LARGE "200"     /* when more are left and the log grows slowly */

struct follower {
	struct pg_pool *pool;
	const struct follower_kind *kind;
	void *arg;
	const char *node;
	struct loop_timer *timer;
	struct backoff backoff;
	bool prepared;
	bool woken;              /* there were new frames during the step */
	bool large;              /* the next step is STEP_LARGE */
	unsigned ones;           /* this many steps of one change are next */
	unsigned alone_failures; /* of the next change, in a row */
	bool idle;               /* there is no step in flight and no rest: a new frame leads to a step soon */
	uint64_t began_ms, head, head_ms;
};

/* Has the next step taken after that many ms. */
static void schedule_step(struct follower *f, uint64_t ms, bool idle)
{
	f->idle = idle;
	loop_timer_start(f->timer, ms, 0);
}

/* Returns true if the failed step may be the fault of one of its changes: of its data or a limit, an internal error, or
 * the time that it took. */
static bool may_be_the_change(const struct pg_result *r)
{
	static const char *const classes[] = { "22", "23", "54", "57014", "P0", "XX" };
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (strncmp(pg_sqlstate(r), classes[i], strlen(classes[i])) == 0)
			return true;
	return false;
}

static void on_failed_step(struct follower *f, const struct pg_result *r)
{
	if (may_be_the_change(r)) {
		f->alone_failures += f->ones > 0;
		f->ones = ONES;
	}
	schedule_step(f, backoff_after(&f->backoff, r, f->kind->name, LOOK_MS), false);
}

static void on_skip(void *arg, const struct pg_result *r)
{
	struct follower *f = arg;
	if (!pg_ok(r)) {
		on_failed_step(f, r);
		return;
	}
	f->alone_failures = 0;
	if (!pg_null(r, 0, 0)) {
		log_event_each(LOG_ERROR, "change skipped after it failed several times", F("follower", f->kind->name),
			F("change", pg_text(r, 0, 0)));
		f->kind->on_skipped(f->arg);
	}
	schedule_step(f, 0, false);
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

static void on_step(void *arg, const struct pg_result *r)
{
	struct follower *f = arg;
	uint64_t now = clock_mono_ms(), took = now - f->began_ms;
	if (!pg_ok(r)) {
		on_failed_step(f, r);
		return;
	}
	f->backoff = (struct backoff) { 0 };
	f->alone_failures = 0;
	f->ones = took > LONG_MS ? ONES : f->ones - (f->ones > 0);
	uint64_t head = (uint64_t)pg_int(r, 0, 1), pos = (uint64_t)pg_int(r, 0, 2);
	uint64_t age_ms = (uint64_t)pg_int(r, 0, 3);
	bool mine = pg_text(r, 0, 0)[0] == 't', busy = is_busy(f, head, now);
	f->large = !busy && pos < head;
	f->kind->on_lag(f->arg, head > pos ? head - pos : 0, age_ms);
	uint64_t rest = !busy ? took : age_ms < LATE_MS ? took * REST_BUSY : took * REST_LATE;
	if (mine && (pos < head || f->woken))
		schedule_step(f, rest > GATHER_MS || pos < head ? rest : GATHER_MS, false);
	else
		schedule_step(f, LOOK_MS, mine);
}

static void on_prepared(void *arg, const struct pg_result *r)
{
	struct follower *f = arg;
	f->prepared = pg_ok(r);
	if (f->prepared && !pg_null(r, 0, 0))
		log_warn("follower %s: %s", f->kind->name, pg_text(r, 0, 0));
	schedule_step(f, f->prepared ? 0 : backoff_after(&f->backoff, r, f->kind->name, LOOK_MS), false);
}

static void on_time(void *arg)
{
	struct follower *f = arg;
	f->idle = false;
	f->woken = false;
	f->began_ms = clock_mono_ms();
	if (!f->prepared && f->kind->prepare != NULL)
		pg_pool_call(f->pool, f->kind->prepare, 0, NULL, on_prepared, f);
	else if (f->alone_failures >= ALONE_FAILURES_MAX)
		pg_pool_call(f->pool, f->kind->skip, 1, (const char *[]) { f->node }, on_skip, f);
	else
		pg_pool_call(f->pool, f->kind->step, 2,
			(const char *[]) { f->node,
				f->ones > 0        ? STEP_ONE
					: f->large ? STEP_LARGE
						   : STEP_SMALL },
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
	const struct follower_kind *kind, void *arg)
{
	struct follower *f = mem_zeroed(1, sizeof(*f));
	*f = (struct follower) {
		.pool = pool, .kind = kind, .arg = arg, .node = node, .prepared = kind->prepare == NULL
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
