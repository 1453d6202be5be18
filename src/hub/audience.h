/* SPDX-License-Identifier: MIT
 * The audience: the users who are connected to this worker, the chats they are members of, and their subscribers. A
 * user's chats are loaded from the database when the user connects, kept current by the log from then on, and forgotten
 * a minute after the last subscriber was detached. Private to the hub. */
#ifndef HUB_AUDIENCE_H
#define HUB_AUDIENCE_H

#include "hub/hub.h"

struct audience;
struct live;

/* stats is the hub's, which outlives the audience. */
struct audience *audience_new(
	struct loop *loop, struct hub *hub, struct tail *tail, struct pg_pool *pool, struct hub_stats *stats);
void audience_free(struct audience *a); /* all subscribers have been removed */

/* See hub_open(). */
void audience_open(struct audience *a, const char *name, const struct cursor *since, hub_open_fn *on_open, void *arg);

/* Adds s to the user's subscribers, and takes over the reference. Returns true if it is the user's first one. */
bool audience_add(struct hub_user *user, struct subscriber *s);

/* Removes s; the reference to its user becomes the caller's. Returns true if it was the user's last one. */
bool audience_remove(struct subscriber *s);

/* See hub_each_user(). */
void audience_each_user(struct audience *a, hub_user_fn *fn, void *arg);

/* Calls fn for each subscriber of a user (name NULL: of every user). fn may detach the subscriber it gets. */
typedef void audience_subscriber_fn(void *arg, struct subscriber *s);
void audience_each(struct audience *a, const char *name, audience_subscriber_fn *fn, void *arg);

/* Applies a change of membership, if f is one, and calls fn for every subscriber that receives f; for some more than
 * once. */
typedef void audience_frame_fn(void *arg, struct subscriber *s, struct frame *f);
void audience_deliver(struct audience *a, struct frame *f, audience_frame_fn *fn, void *arg);

/* Calls fn for every subscriber that receives an event that isn't in the log. */
void audience_deliver_live(struct audience *a, const struct live *l, audience_frame_fn *fn, void *arg);

/* Removes the user of a member frame from its chat: see on_rejoined in log/tail.h. */
void audience_leave(struct audience *a, const struct frame *f);

/* Forgets all users and their chats. Those who have subscribers become stale: see hub_user_is_stale(). */
void audience_forget(struct audience *a);

/* A chat of a user. */
struct hub_chat_view {
	uint64_t chat, since, floor; /* see member in struct frame */
};
unsigned hub_user_chats(const struct hub_user *u); /* how many */
struct hub_chat_view hub_user_chat(const struct hub_user *u, unsigned i);
const char *hub_user_name(const struct hub_user *u);
uint64_t hub_user_key(const struct hub_user *u);
struct hub *hub_user_hub(const struct hub_user *u);

/* Returns true if the audience has forgotten the user, so that no frame is delivered to the user's subscribers. */
bool hub_user_is_stale(const struct hub_user *u);

#endif
