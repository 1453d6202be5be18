/* SPDX-License-Identifier: MIT
 * The audience: the users that are connected here, the chats they are members of, and their subscribers. Loaded from
 * the database when a user comes, kept true by the log from then on, and kept for a minute after his last subscriber
 * went. */
#ifndef HUB_AUDIENCE_H
#define HUB_AUDIENCE_H

#include "hub/hub.h"

struct audience;

struct audience *audience_new(
	struct loop *loop, struct hub *hub, struct tail *tail, struct pg_pool *pool, struct hub_stats *stats);
void audience_free(struct audience *a); /* after all subscribers are gone */

/* See hub_open(). */
void audience_open(struct audience *a, const char *name, const struct cursor *since,
	void (*on_open)(void *, const struct hub_opening *), void *arg);
void audience_unref(struct hub_user *user);

/* True: it is the user's first; it was his last. */
bool audience_add(struct audience *a, struct hub_user *user, struct subscriber *s); /* takes the reference */
bool audience_remove(struct audience *a, struct subscriber *s);                     /* gives it back */
void audience_each_user(
	struct audience *a, void (*fn)(void *arg, const char *name), void *arg); /* who has subscribers */

/* Applies what f says of membership, and calls fn for every subscriber it is for; more than once for one it may be. */
void audience_deliver(
	struct audience *a, struct frame *f, void (*fn)(void *arg, struct subscriber *s, struct frame *f), void *arg);
/* The same for what isn't in the log: the members of its chats, its users, without who is excepted. */
struct live;
void audience_deliver_live(
	struct audience *a, struct live *l, void (*fn)(void *arg, struct subscriber *s, struct frame *f), void *arg);
/* See tail_events.on_rejoined: whom f is about is no member of its chat for now. */
void audience_leave(struct audience *a, const struct frame *f);
/* The subscribers of one user (name NULL: of all). fn may detach the one it gets. */
void audience_each(
	struct audience *a, const char *name, size_t len, void (*fn)(void *arg, struct subscriber *s), void *arg);
/* What is known of membership isn't true any more: the next to come loads it again. */
void audience_forget(struct audience *a);

/* A user's chats, for a replay. */
struct hub_chat_view {
	uint64_t chat, since, floor;
};
unsigned audience_chats(const struct hub_user *user);
struct hub_chat_view audience_chat(const struct hub_user *user, unsigned i);
bool audience_is_forgotten(const struct hub_user *u); /* since it was opened: nothing will come for it */
const char *audience_name(const struct hub_user *user);
struct hub *audience_hub(const struct hub_user *user);
uint64_t audience_key(const struct hub_user *user);

#endif
