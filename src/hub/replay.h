/* SPDX-License-Identifier: MIT
 * What a subscriber missed: from the ring where it reaches back far enough, else from the tables, a page at a time. */
#ifndef HUB_REPLAY_H
#define HUB_REPLAY_H

#include "hub/hub.h"

struct audience;
struct replay;

struct replay *replay_new(struct loop *loop, struct hub *hub, struct audience *audience, struct replica *replica,
	struct hub_stats *stats);
void replay_free(struct replay *r); /* while the pool is still there */

/* Queues the next of what s missed and makes it ready, or makes it live, or begins to read. */
void replay_next(struct replay *r, struct subscriber *s);

#endif
