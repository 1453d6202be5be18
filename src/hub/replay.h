/* SPDX-License-Identifier: MIT
 * What a subscriber has missed: from the ring if that reaches back far enough, else from the tables, a page at a time.
 * Private to the hub. */
#ifndef HUB_REPLAY_H
#define HUB_REPLAY_H

#include "hub/hub.h"

struct replay;

/* stats is the hub's, which outlives the replay. */
struct replay *replay_new(struct loop *loop, struct tail *tail, struct replica *replica, struct hub_stats *stats);
void replay_free(struct replay *r); /* all subscribers are dead, and no query is in flight */

/* If s is catching up, queues the next part of what it has missed, requests a page of the tables, or makes it live.
 * Does nothing in any other state. */
void replay_next(struct replay *r, struct subscriber *s);

#endif
