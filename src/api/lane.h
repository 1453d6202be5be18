/* SPDX-License-Identifier: MIT
 * A slow lane: what waits in it gets its turn one after the other, at a bounded rate, instead of being refused. */
#ifndef API_LANE_H
#define API_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct lane;
struct loop;

/* Embedded in what waits. The other members are set before lane_add(). */
struct lane_turn {
	struct list link;
	uint64_t owner; /* who may have LANE_OWNER_MAX of the places */
	void (*on_turn)(struct lane_turn *t);
};

enum { LANE_MAX = 256, LANE_OWNER_MAX = 64, LANE_INTERVAL_MS = 10 };

struct lane *lane_new(struct loop *loop);
void lane_free(struct lane *lane); /* nothing waits */

/* Has t->on_turn(t) called later, once; t exists until then. Returns false if there is no place. */
bool lane_add(struct lane *lane, struct lane_turn *t);

#endif
