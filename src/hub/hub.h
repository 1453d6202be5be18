/* SPDX-License-Identifier: MIT
 * The hub: the users who are connected to this worker, their chats, and the frames that they receive. It listens to the
 * tail by itself, and owns the descriptors of all subscribers.
 *
 * Membership follows the log: a join or a kick takes effect for a stream exactly at its position. A subscriber that is
 * behind catches up from the ring or else from the tables; then it is live. One that reads too slowly falls back to
 * catching up, so that what waits for it is bounded and nothing is lost. */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include "hub/subscriber.h"
#include "log/cursor.h"

struct hub;
struct loop;
struct pg_pool;
struct replica;
struct tail;

/* Creates a hub, which listens to the tail. A subscriber for which more than queue_max bytes wait falls back to
 * catching up. Ends the process if there is no memory or no descriptor. */
struct hub *hub_new(
	struct loop *loop, struct tail *tail, struct pg_pool *pool, struct replica *replica, size_t queue_max);

/* Detaches every subscriber and frees the hub. The pool's calls have ended; the tail is still there. */
void hub_free(struct hub *hub);

void hub_set_queue_max(struct hub *hub, size_t queue_max);

struct hub_stats { /* since the start */
	uint64_t replays_ring, replays_tables, delivered, slow;
	unsigned subscribers, users, users_idle; /* now */
};

/* Returns counters, which stay the hub's. */
const struct hub_stats *hub_stats(const struct hub *hub);

/* Returns the tail that it listens to. */
struct tail *hub_tail(const struct hub *hub);

/* ---- for opening a stream or a poll ---- */

enum hub_start { HUB_START, HUB_START_RESET, HUB_START_AWAY };

struct hub_opening {
	enum hub_start outcome;
	const char *reason;    /* of a reset: foreign_epoch, rewound, future, expired; a constant */
	struct hub_user *user; /* a reference, for hub_attach() or hub_user_unref(); NULL if the database is away */
	struct position at;    /* where to start; with a reset: the head */
};

typedef void hub_open_fn(void *arg, const struct hub_opening *o);

/* Loads which chats the user called name is a member of, and finds the position to start from. since is copied; NULL:
 * from now on. on_open is called exactly once, possibly before this returns; o is only valid during the call. */
void hub_open(struct hub *hub, const char *name, const struct cursor *since, hub_open_fn *on_open, void *arg);

/* Drops a reference; user must not be NULL. */
void hub_user_unref(struct hub_user *user);

/* A poll of the user's was answered with messages up to pos. */
void hub_user_polled(struct hub_user *user, uint64_t pos);

/* Returns true if a client that resumes at pos confirms the receipt of messages that were not confirmed yet. Each
 * message is confirmed to one caller only. */
bool hub_user_confirms(struct hub_user *user, uint64_t pos);

/* ---- for transports ---- */

/* Makes s receive frames, from the position at on. The transport has set its members; all others are zero. Takes over
 * the reference to user, and fd. Frames that were pushed before the turn of the loop ends are written first. s may be
 * ended or dead when this returns. */
void hub_attach(struct hub *hub, struct hub_user *user, struct subscriber *s, int fd, struct position at);

/* Ends the subscription; on_gone is called at the end of the turn. Closes the descriptor, or returns it if keep_fd,
 * which makes it the caller's. Returns -1 if there is none to return. Does nothing if s is dead. */
int hub_detach(struct subscriber *s, bool keep_fd);

/* Has on_ready called, in this turn of the loop or the next. */
void hub_wake(struct subscriber *s);

/* For a transport that is about to report that there is nothing: returns true if something that was acknowledged to a
 * client of this node hasn't arrived here yet. Then on_ready is called again when it has arrived, or has taken too
 * long. Makes a subscriber wait only once. */
bool hub_wait_for_head(struct subscriber *s);

/* Returns the position that a client is at when everything that waits is written. s isn't ending. */
struct position hub_position(const struct subscriber *s);

/* ---- for authentication and presence ---- */

/* Ends the subscribers of a user (name NULL: of everybody) that were opened with a credential (0: with any). */
void hub_end(struct hub *hub, const char *name, uint64_t credential, enum subscriber_end why);

/* Calls fn for the credential of each subscriber; one may come more than once. */
typedef void hub_credential_fn(void *arg, uint64_t credential);
void hub_each_credential(struct hub *hub, hub_credential_fn *fn, void *arg);

/* Calls fn for each user who has subscribers. name is borrowed. */
typedef void hub_user_fn(void *arg, const char *name);
void hub_each_user(struct hub *hub, hub_user_fn *fn, void *arg);

/* Calls fn, the only watcher, when a user's first subscriber was attached (here) and when the last one was detached.
 * comes_again: it had been ended by the server, or answered, so that the client is expected to reconnect. */
typedef void hub_watch_fn(void *arg, const char *name, uint64_t key, bool here, bool comes_again);
void hub_watch_users(struct hub *hub, hub_watch_fn *fn, void *arg);

#endif
