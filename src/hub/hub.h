/* SPDX-License-Identifier: MIT
 * The hub: who is connected here, which chats are theirs, and what goes to whom. It owns the descriptors of all
 * subscribers.
 *
 * Membership follows the log: a join or a kick takes effect for a stream exactly at its position. A subscriber that is
 * behind reads from the ring, or else from the tables; then it is live. One that reads too slowly is set back to
 * reading, so that what waits for it is bounded and nothing is lost. */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include "hub/subscriber.h"
#include "log/cursor.h"

struct loop;
struct tail;
struct pg_pool;
struct replica;

struct hub_limits {
	uint32_t heartbeat_ms;
	size_t queue_max; /* bytes that wait for one subscriber */
};

struct hub_stats { /* since the start */
	uint64_t replays_ring, replays_tables, delivered, slow;
	unsigned subscribers, users, users_idle;
};

struct hub *hub_new(struct loop *loop, struct tail *tail, struct pg_pool *pool, struct replica *replica,
	const struct hub_limits *limits);
void hub_free(struct hub *hub); /* every subscriber is gone then */
const struct hub_stats *hub_stats(struct hub *hub);
/* Streams that are open keep their heartbeat. */
void hub_set_limits(struct hub *hub, const struct hub_limits *limits);
const struct hub_limits *hub_limits(const struct hub *hub);
struct tail *hub_tail(const struct hub *hub);

/* What the log tells: wire these to the tail's events. */
void hub_on_frame(struct hub *hub, struct frame *f);
void hub_on_rejoined(struct hub *hub, const struct frame *f);
struct live;
void hub_on_live(struct hub *hub, struct live *l);
void hub_on_head(struct hub *hub);
/* The history isn't what it was: common is the last position known that it still has; 0: none is known. Whoever is past
 * it gets a reset, the others are asked to come again. */
void hub_on_rewind(struct hub *hub, uint64_t common, bool foreign);

/* Before a stream is opened: loads who the user is a member of, and finds the position to start from. */
enum hub_start { HUB_START, HUB_START_RESET, HUB_START_AWAY };
struct hub_opening {
	enum hub_start outcome;
	const char *reason;    /* of a reset: foreign_epoch, rewound, future, expired */
	struct hub_user *user; /* a reference, for hub_attach() or hub_user_unref(); NULL when away */
	struct position at;    /* to start from; with a reset: now */
};
/* since NULL: from now on. on_open may be called before this returns. */
void hub_open(struct hub *hub, const char *name, const struct cursor *since,
	void (*on_open)(void *arg, const struct hub_opening *o), void *arg);
void hub_user_unref(struct hub_user *user);

/* s->ops, credential, expires_s and period_ms are set; the rest is zero. Takes the reference to user, and fd. What is
 * pushed before the loop's turn ends is written before anything else. */
void hub_attach(struct hub *hub, struct hub_user *user, struct subscriber *s, int fd, struct position at);
/* Forgets s; on_gone comes at the end of the turn. The descriptor is closed, or given back when keep_fd. */
int hub_detach(struct subscriber *s, bool keep_fd);
/* From on_ready, when nothing waits: gets more, or makes s live. */
void hub_catch_up(struct subscriber *s);
/* From on_ready, before it says that there is nothing: true when something that a client of this worker was told of is
 * still on its way here; on_ready comes again when it has arrived, or has taken too long. */
bool hub_wait_for_head(struct subscriber *s);
void hub_ready(struct subscriber *s); /* on_ready will be called this turn or the next */
/* Where s is when nothing waits for it. */
struct position hub_position(const struct subscriber *s);

/* Tells when a user's first subscriber comes (here) and when the last one has gone; comes_again: the server ended it,
 * or has answered it. */
void hub_watch_users(
	struct hub *hub, void (*fn)(void *arg, const char *name, uint64_t key, bool here, bool comes_again), void *arg);
void hub_each_user(struct hub *hub, void (*fn)(void *arg, const char *name), void *arg); /* those with subscribers */
/* A poll of the user's was answered with messages up to pos. */
void hub_told(struct hub_user *user, uint64_t pos);
/* Whether a client that has come as far as pos confirms messages which nobody has heard of yet. Only the first to ask
 * is told so. */
bool hub_confirms(struct hub_user *user, uint64_t pos);

const char *hub_reset_reason(enum subscriber_end why); /* what a reset says; NULL: it isn't one */
/* Ends the streams of a user (name NULL: of everybody): those of one credential, or all (0). */
void hub_end(struct hub *hub, const char *name, uint64_t credential, enum subscriber_end why);
void hub_each_credential(
	struct hub *hub, void (*fn)(void *arg, uint64_t credential), void *arg); /* one may come more than once */

#endif
