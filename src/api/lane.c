/* SPDX-License-Identifier: MIT
 * See lane.h. */
#include "api/lane.h"

#include <stdlib.h>

#include "base/mem.h"
#include "loop/loop.h"

struct lane {
	struct loop_timer *timer;
	struct list waiting;
	unsigned count;
};

static void on_timer(void *arg)
{
	struct lane *lane = arg;
	struct list *l = list_shift(&lane->waiting);
	if (l == NULL)
		return;
	if (--lane->count > 0)
		loop_timer_start(lane->timer, LANE_INTERVAL_MS, 0);
	struct lane_turn *t = container_of(l, struct lane_turn, link);
	t->on_turn(t);
}

struct lane *lane_new(struct loop *loop)
{
	struct lane *lane = mem_zeroed(1, sizeof(*lane));
	list_init(&lane->waiting);
	lane->timer = loop_timer_new(loop, on_timer, lane);
	return lane;
}

void lane_free(struct lane *lane)
{
	loop_timer_free(lane->timer);
	free(lane);
}

bool lane_add(struct lane *lane, struct lane_turn *t)
{
	unsigned own = 0;
	if (lane->count >= LANE_MAX)
		return false;
	for (struct list *l = lane->waiting.next; l != &lane->waiting; l = l->next)
		own += container_of(l, struct lane_turn, link)->owner == t->owner;
	if (own >= LANE_OWNER_MAX)
		return false;
	list_init(&t->link);
	list_append(&lane->waiting, &t->link);
	if (lane->count++ == 0)
		loop_timer_start(lane->timer, LANE_INTERVAL_MS, 0);
	return true;
}
